"""The register of consent: the last word counts, and no word is a no."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.consent import (
    Consent,
    agreed,
    channels,
    consented,
    consenting,
    last_word,
    permitted,
    withdraw_all,
    withdrawn,
)
from loyaltykit.errors import InputError
from loyaltykit.grants import Decision
from loyaltykit.wire import from_data, to_data

START = datetime(2024, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MEMBERS = ("ann", "bo")
TOPICS = ("spotlight:social", "spotlight:website", "spotlight", "ads")


def on(month: int, day: int) -> datetime:
    """Return the first instant of a day of 2024 in UTC."""
    return datetime(2024, month, day, tzinfo=UTC)


INSTANTS = st.integers(0, 6).map(lambda number: START + timedelta(days=number))
LOGS = st.lists(
    st.builds(Consent, st.sampled_from(MEMBERS), st.sampled_from(TOPICS), st.booleans(), INSTANTS), max_size=12
)


class TestTheRegister:
    @given(LOGS, INSTANTS, st.randoms(use_true_random=False))
    def test_neither_order_nor_repetition_matters(self, log: list[Consent], at: datetime, random: Any) -> None:
        """A log that arrives in another order, or twice, gives the same answers."""
        mixed = log + log
        random.shuffle(mixed)
        for topic in TOPICS:
            assert consenting(log, topic, at) == consenting(mixed, topic, at)

    @given(LOGS, INSTANTS)
    def test_the_last_word_counts(self, log: list[Consent], at: datetime) -> None:
        """Of what was said by then the latest counts; at one instant a refusal wins; nothing said is a no."""
        for member in MEMBERS:
            for topic in TOPICS:
                said = [entry for entry in log if (entry.member, entry.topic) == (member, topic) and entry.at <= at]
                latest = max((entry.at for entry in said), default=None)
                expected = bool(said) and all(entry.given for entry in said if entry.at == latest)
                assert expected == consented(log, member, topic, at)
                word = last_word(log, member, topic, at)
                assert expected == (word is not None and word.given)
                assert (latest is None) == (word is None)

    @given(LOGS, INSTANTS)
    def test_all_questions_agree(self, log: list[Consent], at: datetime) -> None:
        """Who consents, and for which channels, is what each member is asked one by one."""
        for topic in TOPICS:
            assert tuple(m for m in MEMBERS if consented(log, m, topic, at)) == consenting(log, topic, at)
        for member in MEMBERS:
            both = ("social", "website")
            expected = tuple(c for c in both if consented(log, member, "spotlight", at, c))
            assert expected == channels(log, member, "spotlight", at)

    @given(LOGS, INSTANTS)
    def test_what_comes_later_changes_nothing_before(self, log: list[Consent], at: datetime) -> None:
        """An answer for an instant is not changed by what is said after it."""
        known = [entry for entry in log if entry.at <= at]
        for topic in TOPICS:
            assert consenting(known, topic, at) == consenting(log, topic, at)

    @given(LOGS, INSTANTS, st.sampled_from(MEMBERS))
    def test_everything_can_be_withdrawn_at_once(self, log: list[Consent], at: datetime, member: str) -> None:
        """After withdrawing all a member consents to nothing, and the others to what they did."""
        after = [*log, *withdraw_all(log, member, at)]
        for topic in TOPICS:
            assert not consented(after, member, topic, at)
            assert tuple(m for m in consenting(log, topic, at) if m != member) == consenting(after, topic, at)
        assert () == withdraw_all(after, member, at)

    def test_a_consent_that_is_revoked(self) -> None:
        """It holds from the instant of the yes, inclusive, until the instant of the no, exclusive."""
        log = [Consent("ann", "spotlight:social", True, START), Consent("ann", "spotlight:social", False, on(3, 1))]
        assert consented(log, "ann", "spotlight:social", on(2, 1)) is True
        assert consented(log, "ann", "spotlight:social", on(3, 2)) is False
        assert consented(log, "ann", "spotlight:social", START)
        assert not consented(log, "ann", "spotlight:social", START - TICK)
        assert consented(log, "ann", "spotlight:social", on(3, 1) - TICK)
        assert not consented(log, "ann", "spotlight:social", on(3, 1))

    def test_a_revoked_consent_may_be_given_again(self) -> None:
        """A later yes takes the no back."""
        log = [agreed("ann", "ads", START), withdrawn("ann", "ads", on(3, 1)), agreed("ann", "ads", on(5, 1))]
        assert consented(log, "ann", "ads", on(5, 1))

    def test_absent_is_no(self) -> None:
        """Nobody has consented who has said nothing, not even where others have."""
        assert not consented([], "ann", "ads", START)
        assert not consented([agreed("bo", "ads", START)], "ann", "ads", START)

    def test_channels_are_separate(self) -> None:
        """A yes for one channel is none for another, nor for the purpose without a channel, nor the reverse."""
        log = [agreed("ann", "spotlight", START, channel="website"), agreed("bo", "spotlight", START)]
        assert consented(log, "ann", "spotlight:website", START)
        assert consented(log, "ann", "spotlight", START, channel="website")
        assert not consented(log, "ann", "spotlight:social", START)
        assert not consented(log, "ann", "spotlight", START)
        assert not consented(log, "bo", "spotlight:website", START)
        assert ("website",) == channels(log, "ann", "spotlight", START)
        assert () == channels(log, "bo", "spotlight", START)

    def test_names_are_compared_without_case_and_outer_spaces(self) -> None:
        """A withdrawal written otherwise still withdraws."""
        log = [agreed("ann", "Spotlight: Social", START), withdrawn("ann", " spotlight:SOCIAL", on(3, 1))]
        assert consented(log, "ann", "spotlight:social", START)
        assert not consented(log, "ann", "spotlight:social", on(3, 1))

    def test_instants_of_several_zones_compare(self) -> None:
        """09:00 in Tokyo comes before 01:00 in London on the same day."""
        tokyo = timezone(timedelta(hours=9))
        log = [
            withdrawn("ann", "ads", datetime(2024, 1, 1, 1, tzinfo=UTC)),
            agreed("ann", "ads", datetime(2024, 1, 1, 9, tzinfo=tokyo)),
        ]
        assert not consented(log, "ann", "ads", on(1, 2))

    def test_decisions_are_checked_again_when_taken_up(self) -> None:
        """A decision made while there was consent is not carried out after it was withdrawn."""
        log = [agreed(m, "email", START) for m in MEMBERS] + [withdrawn("bo", "email", on(2, 1))]
        made = [Decision("celebrate", member, f"birthday:{member}:2024", START) for member in MEMBERS]
        assert tuple(made) == permitted(made, log, "email", START)
        assert (made[0],) == permitted(made, log, "email", on(2, 1))


class TestEntries:
    def test_says_itself(self) -> None:
        """An entry reads as a sentence."""
        assert "ann agreed to ads on 2024-01-01" == str(agreed("ann", "ads", START))
        entry = withdrawn("ann", "spotlight", on(3, 1), channel="social", source="form 3")
        assert "ann said no to spotlight:social on 2024-03-01 (form 3)" == str(entry)

    @given(st.builds(Consent, st.just("ann"), st.sampled_from(TOPICS), st.booleans(), INSTANTS))
    def test_survives_plain_data(self, entry: Consent) -> None:
        """An entry comes back from plain data as it was."""
        assert entry == from_data(Consent, to_data(entry))

    def test_both_ways_to_write_a_channel_are_one(self) -> None:
        """The channel within the purpose and beside it is the same entry."""
        assert agreed("ann", "spotlight:social", START) == agreed("ann", "spotlight", START, channel="social")

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("consent.member", {"member": ""}),
            ("consent.purpose", {"purpose": None}),
            ("consent.purpose", {"purpose": ":social"}),
            ("consent.purpose", {"purpose": " "}),
            ("consent.purpose", {"purpose": "a:b:c"}),
            ("consent.channel", {"purpose": "a:"}),
            ("consent.channel", {"channel": "b:c"}),
            ("consent.channel", {"channel": 3}),
            ("consent.channel", {"purpose": "a:b", "channel": "b"}),
            ("consent.given", {"given": 1}),
            ("consent.given", {"given": "yes"}),
            ("consent.at", {"at": datetime(2024, 1, 1)}),
            ("consent.at", {"at": "2024-01-01"}),
            ("consent.source", {"source": ""}),
        ],
    )
    def test_what_is_no_entry_is_refused(self, field: str, changes: dict[str, Any]) -> None:
        """The error names the field."""
        with pytest.raises(InputError) as caught:
            Consent(**{"member": "ann", "purpose": "ads", "given": True, "at": START, **changes})
        assert field == caught.value.field

    def test_questions_check_what_they_are_asked(self) -> None:
        """A naive instant, a missing name or a doubled channel is refused rather than answered with no."""
        with pytest.raises(InputError, match="at="):
            consented([], "ann", "ads", datetime(2024, 1, 1))
        with pytest.raises(InputError, match="member="):
            consented([], "", "ads", START)
        with pytest.raises(InputError, match=r"consent\.channel="):
            consented([], "ann", "spotlight:social", START, channel="social")
