"""Static lists of addresses: imported again and again, suppressed for good, linked later, handed on as hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.addresses import Batch, read_text
from loyaltykit.consent import agreed, consenting, withdrawn
from loyaltykit.errors import InputError
from loyaltykit.lists import (
    Destination,
    HandOver,
    How,
    StaticList,
    acknowledged,
    audience,
    hand_over,
    import_list,
    link,
    readmit,
    reimport,
    sent,
    suppress,
)
from loyaltykit.wire import from_data, to_data

START = datetime(2026, 3, 2, tzinfo=UTC)
LATER = datetime(2026, 4, 1, tzinfo=UTC)
ANN, BO, CY, DI = "ann@example.com", "bo@example.com", "cy@example.com", "di@example.com"

ADDRESSES = st.lists(st.sampled_from([ANN, BO, CY, DI]), max_size=4)
MEMBERS = st.sets(st.sampled_from("abcd"))
HOWS: st.SearchStrategy[How] = st.sampled_from(["replace", "merge"])


def batch(*addresses: str) -> Batch:
    """Return what is read of an export of these addresses."""
    return read_text("\n".join(addresses))


def vips(*addresses: str, suppressed: Sequence[str] = ()) -> StaticList:
    """Return a list of these addresses."""
    return import_list("vips", batch(*addresses), "crm", START, suppressed)


class TestImport:
    @given(ADDRESSES, ADDRESSES, st.lists(st.tuples(HOWS, ADDRESSES), max_size=4))
    def test_what_unsubscribed_stays_out(
        self, first: list[str], out: list[str], imports: list[tuple[How, list[str]]]
    ) -> None:
        """No import, of whichever kind, brings a suppressed address back."""
        found = suppress(vips(*first), out)
        for how, addresses in imports:
            found = reimport(found, batch(*addresses), how, "shop", LATER)
        assert not set(out) & set(found.active)
        assert set(out) == set(found.suppressed)

    @given(ADDRESSES, ADDRESSES, ADDRESSES)
    def test_replace_and_merge(self, first: list[str], second: list[str], out: list[str]) -> None:
        """Replacing leaves what the export has, merging what either has; doing it twice is doing it once."""
        old = suppress(vips(*first), out)
        replaced = reimport(old, batch(*second), "replace", "shop", LATER)
        merged = reimport(old, batch(*second), "merge", "shop", LATER)
        assert tuple(sorted(set(second))) == replaced.addresses
        assert tuple(sorted({*first, *second})) == merged.addresses
        assert replaced == reimport(replaced, batch(*second), "replace", "shop", LATER)
        assert merged == reimport(merged, batch(*second), "merge", "shop", LATER)

    @given(ADDRESSES, ADDRESSES, st.dictionaries(st.sampled_from([ANN, BO, CY, DI]), st.sampled_from("xyz")))
    def test_every_active_address_is_linked_or_unknown(
        self, first: list[str], out: list[str], members: dict[str, str]
    ) -> None:
        """Nothing is lost by linking; and a list comes back from plain data as it was."""
        found = link(suppress(vips(*first), out), members)
        assert set(found.active) == set(first) - set(out)
        assert set(found.unknown) == set(found.active) - set(members)
        assert set(found.members) == {members[each] for each in found.active if each in members}
        assert found == from_data(StaticList, to_data(found))

    def test_where_from_and_when(self) -> None:
        """A list knows its source and the instant of its last import."""
        old = vips(ANN, BO, suppressed=[BO])
        assert ("crm", START) == (old.source, old.imported_at)
        assert "vips: 1 addresses from crm, 2026-03-02" == str(old)
        new = reimport(old, batch(CY), "merge", "shop", LATER)
        assert ("shop", LATER) == (new.source, new.imported_at)

    def test_how_to_import_again_must_be_said(self) -> None:
        """Neither replacing nor merging is the default."""
        with pytest.raises(InputError, match="how=None: choose one of replace, merge"):
            reimport(vips(ANN), batch(BO), None, "shop", LATER)  # type: ignore[arg-type]

    def test_suppressed_before_it_was_ever_on_the_list(self) -> None:
        """An address that unsubscribed elsewhere is out from the first import on."""
        assert (ANN,) == vips(ANN, BO, suppressed=["Bo@Example.com"]).active

    def test_readmitted(self) -> None:
        """Who subscribes again by themselves is in again."""
        assert (ANN, BO) == readmit(suppress(vips(ANN, BO), [ANN, BO]), [" ANN@example.com", BO]).active
        assert (BO,) == suppress(vips(ANN, BO), ANN).active


class TestLinks:
    def test_unknown_addresses_are_kept_and_linked_later(self) -> None:
        """An address of nobody known stays on the list until somebody has it."""
        found = vips(ANN, BO)
        assert ((), (ANN, BO)) == (found.members, found.unknown)
        found = link(found, {"Ann@Example.com": "ann"})
        assert (("ann",), (BO,)) == (found.members, found.unknown)
        found = link(found, {BO: "bo"})
        assert (("ann", "bo"), ()) == (found.members, found.unknown)

    def test_links_follow_their_addresses(self) -> None:
        """They stay over an import with the address, and go with it."""
        found = link(vips(ANN, BO), {ANN: "ann", BO: "bo"})
        assert ((BO, "bo"),) == reimport(found, batch(BO, CY), "replace", "shop", LATER).links
        assert ("ann", "bo") == reimport(found, batch(CY), "merge", "shop", LATER).members
        assert ("bo",) == suppress(found, ANN).members

    def test_all_customers_may_be_given(self) -> None:
        """Addresses that are not on the list, or are none, are passed over; a new link replaces the old one."""
        found = link(vips(ANN), {ANN: "a-1", DI: "di", "none": "no", None: "no"})  # type: ignore[dict-item]
        assert ((ANN, "a-1"),) == found.links
        assert ("a-2",) == link(found, {ANN: "a-2"}).members

    def test_two_members_with_one_address_are_refused(self) -> None:
        """Nobody can tell which of the two is meant."""
        with pytest.raises(InputError, match=r"members='Ann@Example\.com': is the address of two members"):
            link(vips(ANN), {ANN: "a-1", "Ann@Example.com": "a-2"})

    def test_one_member_may_have_two_addresses(self) -> None:
        """They count once among the members."""
        assert ("ann",) == link(vips(ANN, BO), {ANN: "ann", BO: "ann"}).members

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("static_list.name", {"name": "a/b"}),
            ("static_list.addresses", {"addresses": ["nope"]}),
            ("static_list.addresses", {"addresses": 7}),
            ("static_list.source", {"source": ""}),
            ("static_list.imported_at", {"imported_at": datetime(2026, 3, 2)}),
            ("static_list.suppressed", {"suppressed": ["nope"]}),
            ("static_list.links", {"links": 7}),
            ("static_list.links", {"links": [7]}),
            ("static_list.links", {"links": {"nope": "ann"}}),
            ("static_list.links", {"links": {ANN: ""}}),
            ("static_list.links", {"links": [(ANN, "a-1"), (ANN, "a-2")]}),
        ],
    )
    def test_what_is_no_list_is_refused(self, field: str, changes: dict[str, Any]) -> None:
        """The error names the field."""
        with pytest.raises(InputError) as caught:
            StaticList(**{"name": "vips", "addresses": (ANN,), "source": "crm", "imported_at": START, **changes})
        assert field == caught.value.field


class TestAudience:
    def test_hashes_of_those_who_consented(self) -> None:
        """Of three, one bought and agreed: her hash is all there is, and no address."""
        emails = {"ana": " Ana@Example.com", "bo": "bo@example.com", "cy": "cy@example.com"}
        rows = audience(["ana", "bo"], emails, ["ana", "cy"])
        assert (sha256(b"ana@example.com").hexdigest(),) == rows

    @given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abc")))
    def test_never_more_than_was_agreed_to(self, members: set[str], agree: set[str], known: set[str]) -> None:
        """The audience is exactly who is chosen, agreed and has an address; no raw address is in it."""
        emails = {each: f"{each}@example.com" for each in known}
        rows = audience(members, emails, agree)
        expected = sorted(sha256(emails[each].encode()).hexdigest() for each in members & agree & known)
        assert tuple(expected) == rows
        assert "@" not in "".join(rows)

    def test_whoever_withdraws_is_gone_from_the_next_export(self) -> None:
        """Consent counts at the instant of the export."""
        log = [agreed("ana", "ads", START), agreed("bo", "ads", START), withdrawn("ana", "ads", LATER)]
        emails = {"ana": "ana@example.com", "bo": "bo@example.com"}
        before = audience(["ana", "bo"], emails, consenting(log, "ads", START))
        after = audience(["ana", "bo"], emails, consenting(log, "ads", LATER))
        assert 2 == len(before)
        assert {sha256(b"ana@example.com").hexdigest()} == set(before) - set(after)

    def test_without_a_good_address_there_is_no_row(self) -> None:
        """A missing or malformed address is nobody's hash; two members of one address are one row."""
        emails: dict[str, Any] = {"ana": "n/a", "bo": None, "cy": "c@d.de", "di": "C@d.de "}
        assert 1 == len(audience(["ana", "bo", "cy", "di", "eve"], emails, ["ana", "bo", "cy", "di", "eve"]))

    def test_one_name_is_one_member(self) -> None:
        """A string is a name, not its letters."""
        assert () == audience("ana", {"a": "a@b.de"}, ["a"])


class TestHandOver:
    @given(MEMBERS, MEMBERS, MEMBERS)
    def test_once_taken_the_service_has_who_is_wanted(self, old: set[str], new: set[str], agree: set[str]) -> None:
        """After the rows it has exactly the members who agreed, and the same hand-over again is empty."""
        state = Destination("mailing", old)
        rows = hand_over(state, new, agree)
        assert (tuple(sorted((new & agree) - old)), tuple(sorted(old - (new & agree)))) == (rows.add, rows.remove)
        state = acknowledged(state, rows)
        assert tuple(sorted(new & agree)) == state.members
        assert hand_over(state, new, agree).empty
        assert state == acknowledged(state, rows)

    @given(
        st.lists(
            st.tuples(MEMBERS, MEMBERS, st.sampled_from(["fails", "is lost", "answers", "fails in part"])), max_size=6
        ),
        MEMBERS,
        MEMBERS,
    )
    def test_whatever_fails_the_service_ends_right(
        self, rounds: list[tuple[set[str], set[str], str]], new: set[str], agree: set[str]
    ) -> None:
        """After calls that fail, wholly or in part, or whose answer is lost, one that succeeds puts all right."""
        state, service = Destination("mailing"), set[str]()
        for wanted, willing, outcome in [*rounds, (new, agree, "answers")]:
            rows = hand_over(state, wanted, willing)
            state = sent(state, rows)
            failed = set("ab") if outcome == "fails in part" else set()
            if outcome != "fails":
                service = (service - (set(rows.remove) - failed)) | (set(rows.add) - failed)
            if outcome.startswith("answers") or failed:
                state = acknowledged(state, rows, failed)
            assert set(state.members) <= service <= {*state.members, *state.unsure}
        assert new & agree == service
        assert tuple(sorted(service)) == state.members
        assert () == state.unsure

    def test_joined_and_left(self) -> None:
        """One to add and one to remove; of the same members, nothing."""
        everybody = ["ana", "bo", "cy"]
        rows = hand_over(Destination("mailing", ["ana", "bo"]), ["bo", "cy"], everybody)
        assert HandOver("mailing", ["cy"], ["ana"]) == rows
        assert "mailing: 1 to add, 1 to remove" == str(rows)
        assert hand_over(Destination("mailing", ["bo"]), ["bo"], everybody).empty

    def test_consent_filters_and_removes(self) -> None:
        """Nobody is added who has not agreed, and whoever withdraws is removed although in the segment."""
        log = [agreed("ana", "newsletter", START), agreed("bo", "newsletter", START)]
        log.append(withdrawn("bo", "newsletter", LATER))
        state, segment = Destination("mailing"), ["ana", "bo", "cy"]
        rows = hand_over(state, segment, consenting(log, "newsletter", START))
        assert (("ana", "bo"), ()) == (rows.add, rows.remove)
        rows = hand_over(acknowledged(state, rows), segment, consenting(log, "newsletter", LATER))
        assert ((), ("bo",)) == (rows.add, rows.remove)

    def test_a_hand_over_that_failed_is_made_again(self) -> None:
        """Not acknowledged, or acknowledged but for some rows, what is missing comes again."""
        state = Destination("mailing", ["ana"])
        rows = hand_over(state, ["bo", "cy"], ["bo", "cy"])
        assert rows == hand_over(state, ["bo", "cy"], ["bo", "cy"])
        state = acknowledged(state, rows, failed=["cy", "ana"])
        assert ("ana", "bo") == state.members
        assert HandOver("mailing", ["cy"], ["ana"]) == hand_over(state, ["bo", "cy"], ["bo", "cy"])

    def test_whose_answer_is_lost_is_still_removed(self) -> None:
        """Somebody who was perhaps added and withdraws meanwhile is removed all the same."""
        state = Destination("mailing")
        state = sent(state, hand_over(state, ["ana"], ["ana"]))
        assert ((), ("ana",)) == (state.members, state.unsure)
        assert HandOver("mailing", ["ana"]) == hand_over(state, ["ana"], ["ana"])
        assert HandOver("mailing", (), ["ana"]) == hand_over(state, ["ana"], [])

    def test_each_destination_has_its_own_state(self) -> None:
        """Rows for one service are not taken for another's."""
        rows = hand_over(Destination("mailing"), ["ana"], ["ana"])
        for note in (sent, acknowledged):
            with pytest.raises(InputError, match=r"hand_over\.destination='mailing': these rows are not for ads"):
                note(Destination("ads"), rows)

    def test_survives_plain_data(self) -> None:
        """State and rows come back from plain data as they were."""
        state = Destination("mailing", ["bo", "ana", "bo"], unsure=["cy"])
        assert ("ana", "bo") == state.members
        assert state == from_data(Destination, to_data(state))
        rows = HandOver("mailing", ["bo"], ["ana"])
        assert rows == from_data(HandOver, to_data(rows))

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("destination.name", {"name": ""}),
            ("destination.members", {"members": 7}),
            ("destination.members", {"members": [""]}),
            ("destination.unsure", {"members": ["ana"], "unsure": ["ana"]}),
        ],
    )
    def test_what_is_no_destination_is_refused(self, field: str, changes: dict[str, Any]) -> None:
        """The error names the field."""
        with pytest.raises(InputError) as caught:
            Destination(**{"name": "mailing", **changes})
        assert field == caught.value.field
