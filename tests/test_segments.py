"""Segments of a customer base: membership and its changes, the top, stages, interests, engagement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.calendar import days, months, weeks
from loyaltykit.conditions import all_of, any_of
from loyaltykit.consent import agreed, consenting, permitted, withdrawn
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Fact, Line, Order, Refund
from loyaltykit.history import History, histories
from loyaltykit.matching import code, sku
from loyaltykit.measures import activities, orders, spend
from loyaltykit.segments import (
    Delta,
    Interest,
    Segment,
    StageChange,
    announce,
    changes,
    delta,
    derive,
    engagement,
    interested,
    interests,
    loyal,
    members,
    stage,
    stage_changes,
    stages,
    top,
    top_spenders,
)
from loyaltykit.wire import dumps, from_data, loads, to_data


def day(text: str) -> datetime:
    """Return the first instant of a day in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


START = day("2026-03-02")


def bought(member: str, *sales: tuple[str, Any]) -> list[Fact]:
    """Return orders of a member: days with amounts."""
    return [Order(f"{member}-{place}", member, day(when), amount=amount) for place, (when, amount) in enumerate(sales)]


def ordered(*when: str) -> History:
    """Return the history of ann, who ordered on these days."""
    return History(bought("ann", *((each, "10.00") for each in when)), member="ann")


IDS = st.sets(st.sampled_from(["ana", "bo", "cy", "di"]))
VALUES = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.one_of(st.none(), st.integers(-2, 5)))
ORDERS = st.lists(
    st.tuples(st.sampled_from(["ana", "bo", "cy"]), st.integers(0, 300), st.integers(0, 400), st.booleans()), max_size=9
)


def facts(rows: list[tuple[str, int, int, bool]]) -> list[Fact]:
    """Return orders on a day of 2025, some of them refunded a month later."""
    found: list[Fact] = []
    for place, (member, when, amount, refunded) in enumerate(rows):
        at = day("2025-01-01") + timedelta(days=when)
        found.append(Order(str(place), member, at, amount=amount))
        if refunded:
            found.append(Refund(f"r{place}", member, str(place), at + timedelta(days=30)))
    return found


class TestMembers:
    @given(ORDERS, st.integers(0, 400), st.integers(0, 400))
    def test_a_delta_leads_from_one_instant_to_the_other(
        self, rows: list[tuple[str, int, int, bool]], since: int, later: int
    ) -> None:
        """Members before, less who left, plus who joined, are the members after; asked again, nothing changed."""
        base = histories(facts(rows))
        first, last = day("2025-01-01") + timedelta(days=since), day("2025-01-01") + timedelta(days=later)
        before, after = members(loyal(), base, first), members(loyal(), base, last)
        change = changes(loyal(), base, first, last)
        assert tuple(sorted({*before, *change.joined} - set(change.left))) == after
        assert change == delta(before, after)
        assert changes(loyal(), base, last, last).empty

    @given(ORDERS, st.integers(0, 400))
    def test_a_segment_is_its_condition_asked_of_each(self, rows: list[tuple[str, int, int, bool]], when: int) -> None:
        """Members are those whose history matches, sorted; everybody is in the segment or in its opposite."""
        base, at = histories(facts(rows)), day("2025-01-01") + timedelta(days=when)
        segment = loyal()
        inside = members(segment, base, at)
        assert tuple(sorted(m for m in base if segment.condition.matches(base[m], at))) == inside
        outside = members(Segment("others", ~segment.condition), base, at)
        assert sorted(base) == sorted(inside + outside)

    def test_spent_250_in_the_past_six_months(self) -> None:
        """At the end of August the window begins after 29 February: that day is outside."""
        rule, at = Segment("big spenders", spend(months(6)) >= "250.00"), day("2024-08-31")
        rows = bought("ana", ("2024-03-01", "100"), ("2024-05-01", "150"))
        rows += bought("bo", ("2024-02-29", "100"), ("2024-05-01", "150"))
        base = histories(rows)
        assert ("ana",) == members(rule, base, at)
        assert Decimal(150) == spend(months(6)).value(base["bo"], at)

    def test_a_refund_leaves_the_segment_when_it_is_known(self) -> None:
        """What is given back of an order in the window is not spent, from the refund's instant on."""
        rule = spend(months(6)) >= "250.00"
        base = histories([*bought("ana", ("2024-05-01", "250")), Refund("r", "ana", "ana-0", day("2024-06-01"))])
        assert Delta((), ("ana",)) == changes(rule, base, day("2024-05-31"), day("2024-06-01"))

    def test_five_orders_in_the_last_five_weeks(self) -> None:
        """An order exactly 35 days ago is outside."""
        rule, at = orders(weeks(5)) >= 5, day("2024-06-30")
        rest = ("2024-06-01", "2024-06-08", "2024-06-15", "2024-06-30")
        base = {"in": ordered("2024-05-27", *rest), "out": ordered("2024-05-26", *rest)}
        assert ("in",) == members(rule, base, at)

    def test_products_codes_and_spend_combined(self) -> None:
        """Or, and, not over what was bought, which code was used and how much was spent; any_of() is nobody."""
        at = START
        base = histories(
            [
                Order("1", "ana", at, [Line("suede", total="90")]),
                Order("2", "bo", at, [Line("mug", total="10")], codes="WELCOME10"),
                Order("3", "cy", at, [Line("mug", total="400")]),
            ]
        )
        suede, welcome = orders(where=sku("suede")) >= 1, orders(where=code("welcome10")) >= 1
        assert ("ana", "bo") == members(suede | welcome, base, at)
        few = {member: base[member] for member in ("ana", "bo")}
        assert ("ana",) == members((spend() >= 50) & ~welcome, few, at)
        assert () == members(any_of(), base, at)
        assert ("ana", "bo", "cy") == members(all_of(), base, at)
        assert () == members(activities("never heard of") >= 1, base, at)

    def test_the_usual_loyal_segment_is_either_or(self) -> None:
        """Much spent or often bought: one of the two is enough."""
        base = histories(
            bought("ana", ("2026-03-01", "250"))
            + bought("bo", *((f"2026-02-2{place}", "1") for place in range(5)))
            + bought("cy", ("2026-03-01", "249.99"))
        )
        assert ("ana", "bo") == members(loyal(), base, START)
        assert ("ana", "bo", "cy") == members(loyal("249.99"), base, START)

    def test_survives_plain_data(self) -> None:
        """A segment comes back from JSON as it was, and says itself."""
        segment = Segment("quiet", ~(orders(months(2)) >= 1) & (spend() >= "100.00"))
        assert segment == loads(Segment, dumps(segment))
        assert "quiet: not placed at least 1 order in the past 2 months, and spent at least 100.00" == str(segment)

    def test_delta(self) -> None:
        """Who is in one of the two only; of the same, nobody."""
        assert Delta(("cy",), ("ana",)) == delta({"ana", "bo"}, {"bo", "cy"})
        assert Delta() == delta(["bo"], ["bo"])
        assert delta(["bo"], ["bo"]).empty
        assert not Delta((), ("bo",)).empty
        assert not Delta(("bo",)).empty
        assert "1 joined, 2 left" == str(Delta(("a",), ("b", "c")))

    @given(IDS, IDS)
    def test_a_delta_undone(self, before: set[str], after: set[str]) -> None:
        """The delta back is the delta turned round."""
        there, back = delta(before, after), delta(after, before)
        assert (there.joined, there.left) == (back.left, back.joined)

    def test_what_is_no_segment_or_base_is_refused(self) -> None:
        """The error names what was wrong."""
        with pytest.raises(InputError, match="segment="):
            members("loyal", {}, START)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="base='list'"):
            members(loyal(), [History()], START)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="base='ann'"):
            members(loyal(), {"ann": []}, START)  # type: ignore[dict-item]
        with pytest.raises(InputError, match="at="):
            members(loyal(), {}, datetime(2026, 3, 2))
        with pytest.raises(InputError, match=r"segment\.condition="):
            Segment("x", "spend >= 3")
        with pytest.raises(InputError, match=r"segment\.name="):
            Segment("a/b", orders() >= 1)


class TestTop:
    @given(VALUES, st.integers(0, 8))
    def test_strictly_n(self, values: dict[str, int | None], n: int) -> None:
        """Without ties there are at most n; each has at least the value of everybody left out, equal ones by id."""
        found = top(values, n, ties=False)
        able = {member: value for member, value in values.items() if value is not None and value > 0}
        assert min(n, len(able)) == len(found)
        assert tuple(sorted(able, key=lambda member: (-able[member], member))[:n]) == found

    @given(VALUES, st.integers(1, 8))
    def test_with_ties(self, values: dict[str, int | None], n: int) -> None:
        """With ties nobody is left out who has as much as somebody within."""
        strict, found = top(values, n, ties=False), top(values, n)
        assert strict == found[: len(strict)]
        rest = [value for member, value in values.items() if member not in found and value is not None and value > 0]
        assert all(value < (values[member] or 0) for member in found for value in rest)
        assert {values[member] for member in found[len(strict) :]} <= {values[strict[-1]] if strict else None}

    @given(VALUES, st.fractions(min_value=0, max_value=1).filter(bool))
    def test_a_share_is_a_number_of_places(self, values: dict[str, int | None], share: Fraction) -> None:
        """A share is so many of all, rounded down, and at least one."""
        places = max(1, len(values) * share.numerator // share.denominator)
        assert top(values, places) == top(values, share=share)

    def test_ties_at_the_cut(self) -> None:
        """A quarter of four is one place; two share it."""
        values = {"ana": 100, "bo": 300, "cy": 300, "di": 50}
        for share in ("0.25", Decimal("0.25"), Fraction(1, 4)):
            assert ("bo", "cy") == top(values, share=share)
        assert ("bo",) == top(values, n=1, ties=False)
        assert ("bo", "cy", "ana", "di") == top(values, n=9)
        assert () == top(values, n=0)
        assert () == top({}, share="0.5")

    def test_zero_never_qualifies(self) -> None:
        """However many places there are, who spent nothing is not among the top."""
        assert ("bo",) == top({"ana": 0, "bo": Decimal("0.01"), "cy": None, "di": -3}, share=1)

    @pytest.mark.parametrize(
        ("values", "given", "field"),
        [
            ({}, {}, "n"),
            ({}, {"n": 1, "share": "0.5"}, "n"),
            ({}, {"n": -1}, "n"),
            ({}, {"n": 1.0}, "n"),
            ({}, {"share": 0.25}, "share"),
            ({}, {"share": "0"}, "share"),
            ({}, {"share": "1.01"}, "share"),
            ({}, {"share": "a quarter"}, "share"),
            ({"ana": 1.5}, {"n": 1}, "values"),
            ({"ana": True}, {"n": 1}, "values"),
            ({"ana": "7"}, {"n": 1}, "values"),
            ({"ana": Decimal("NaN")}, {"n": 1}, "values"),
        ],
    )
    def test_what_is_no_number_is_refused(self, values: Any, given: Any, field: str) -> None:
        """Floats above all; the error names the field."""
        with pytest.raises(InputError) as caught:
            top(values, **given)
        assert field == caught.value.field

    def test_top_spenders(self) -> None:
        """Ranked by what remains of their orders in the window."""
        base = histories(
            [
                *bought("ana", ("2026-02-01", "100")),
                *bought("bo", ("2026-02-01", "300")),
                *bought("cy", ("2025-02-01", "900"), ("2026-02-01", "300")),
                *bought("di", ("2026-02-01", "500")),
                Refund("r", "di", "di-0", day("2026-02-15"), amount="450"),
            ]
        )
        assert ("bo", "cy") == top_spenders(base, START, months(6), share="0.25")
        assert ("bo",) == top_spenders(base, START, months(6), n=1, ties=False)
        assert ("cy",) == top_spenders(base, START, n=1)
        assert ("di",) == top_spenders(base, day("2026-02-14"), months(6), n=1)

    def test_currencies_do_not_compare(self) -> None:
        """A ranking over dollars and yen is refused."""
        base = {"ana": History(), "bo": History(currency="JPY")}
        with pytest.raises(WrongCurrency, match="base='JPY, USD'"):
            top_spenders(base, START, n=1)


class TestStage:
    @pytest.mark.parametrize(
        ("expected", "when", "at"),
        [
            ("prospect", [], "2024-06-30"),
            ("one_time", ["2024-06-20"], "2024-06-30"),
            ("lapsed", ["2024-01-01", "2024-04-01"], "2024-06-30"),
            ("repeat", ["2024-01-01", "2024-04-01"], "2024-06-29"),
            ("lapsed", ["2024-04-01"], "2024-06-30"),
            ("repeat", ["2024-01-01", "2024-06-30"], "2024-06-30"),
            ("prospect", ["2024-07-01"], "2024-06-30"),
        ],
    )
    def test_stages(self, expected: str, when: list[str], at: str) -> None:
        """None is a prospect; 90 days after the last order, to the day, lapsed; one is one_time, more are repeat."""
        assert expected == stage(ordered(*when), day(at))

    def test_refunded_orders_do_not_count(self) -> None:
        """Who gave everything back is a prospect again, from the refund on."""
        rows = bought("ann", ("2026-02-01", "10"), ("2026-02-02", "10"))
        rows.append(Refund("r0", "ann", "ann-0", day("2026-02-10")))
        assert "repeat" == stage(History(rows), day("2026-02-09"))
        assert "one_time" == stage(History(rows), day("2026-02-10"))
        rows.append(Refund("r1", "ann", "ann-1", day("2026-02-11")))
        assert "prospect" == stage(History(rows), START)

    def test_how_long_is_lapsed_is_free(self) -> None:
        """A shop says after how long a customer has lapsed."""
        assert "lapsed" == stage(ordered("2026-02-20"), START, lapsed=days(10))
        assert "one_time" == stage(ordered("2026-02-20"), START, lapsed=days(11))
        with pytest.raises(InputError, match="lapsed=90"):
            stage(ordered(), START, lapsed=90)  # type: ignore[arg-type]

    def test_changes_of_stage(self) -> None:
        """Everybody whose stage is another one, once; who was unknown was a prospect; replayed, nobody."""
        base = histories(bought("ana", ("2026-01-01", 1)) + bought("bo", ("2025-10-01", 1), ("2026-02-01", 1)))
        before, after = stages(base, day("2025-12-31")), stages(base, START)
        assert {"ana": "prospect", "bo": "lapsed"} == before
        expected = (StageChange("ana", "prospect", "one_time"), StageChange("bo", "lapsed", "repeat"))
        assert expected == stage_changes(before, after)
        assert () == stage_changes(after, after)
        assert (StageChange("cy", "prospect", "repeat"),) == stage_changes({}, {"cy": "repeat", "di": "prospect"})


class TestInterests:
    @given(
        st.lists(
            st.builds(
                Interest,
                st.sampled_from(["ana", "bo"]),
                st.sampled_from(["cat", "dog"]),
                st.integers(0, 3).map(lambda number: START + timedelta(days=number)),
                st.booleans(),
                source=st.sampled_from(["declared", "derived"]),
            ),
            max_size=8,
        ),
        st.randoms(use_true_random=False),
    )
    def test_neither_order_nor_repetition_matters(self, entries: list[Interest], random: Any) -> None:
        """Entries in another order, or twice, say the same; a refused topic is never among the interests."""
        mixed, at = entries + entries, START + timedelta(days=2)
        random.shuffle(mixed)
        found = interests(entries, at)
        assert found == interests(mixed, at)
        assert {entry.member for entry in entries if entry.at <= at} == set(found)
        for member, topics in found.items():
            for topic in ("cat", "dog"):
                said = [e for e in entries if (e.member, e.topic, e.source) == (member, topic, "declared")]
                said = [e for e in said if e.at == max((x.at for x in said if x.at <= at), default=None)]
                if any(not entry.wanted for entry in said):
                    assert topic not in topics

    def test_each_to_their_own(self) -> None:
        """The owner of both gets both, of neither neither."""
        known: Mapping[str, set[str]] = {"ana": {"cat"}, "bo": {"dog"}, "cy": {"cat", "dog"}, "di": set()}
        assert ("bo", "cy") == interested(known, "dog")
        assert ("ana", "cy") == interested(known, "cat")
        assert ("bo", "cy") == interested(known, " Dog ")
        assert () == interested(known, "bird")

    def test_declared_beats_derived(self) -> None:
        """A present for somebody else's dog does not make a dog owner of who said cat; a no removes a derived topic."""
        derived = [Interest(member, "dog", START, source="derived") for member in ("ana", "bo", "cy")]
        derived.append(Interest("cy", "cat", START, source="derived"))
        declared = [Interest("ana", "cat", START), Interest("cy", "dog", START, False)]
        assert {"ana": ("cat",), "bo": ("dog",), "cy": ("cat",)} == interests(derived + declared, START)

    def test_the_last_word_counts(self) -> None:
        """Taken back from an instant on, and not before; at one instant, the no wins."""
        entries = [Interest("ana", "cat", START), Interest("ana", "Cat", START + timedelta(days=1), False)]
        assert {} == interests(entries, START - timedelta(days=1))
        assert {"ana": ("cat",)} == interests(entries, START)
        assert {"ana": ()} == interests(entries, START + timedelta(days=1))
        assert {"ana": ()} == interests([Interest("ana", "cat", START), Interest("ana", "cat", START, False)], START)

    def test_derived_from_purchases(self) -> None:
        """A topic from any of its categories, in the window, of what was kept."""
        rows: list[Fact] = [
            Order("1", "ana", day("2026-02-01"), [Line("kibble", total="9", categories="dog food")]),
            Order("2", "ana", day("2026-02-02"), [Line("litter", total="9", categories="cat toilets")]),
            Order("3", "bo", day("2025-02-01"), [Line("leash", total="9", categories=("dog", "walks"))]),
            Refund("r", "ana", "2", day("2026-02-20")),
        ]
        topics = {"dog food": "Dog", "dog": "dog", "cat toilets": "cat"}
        base = histories(rows)
        known = interests(derive(base, topics, START), START)
        assert {"ana": ("dog",), "bo": ("dog",)} == known
        early = day("2026-02-19")
        assert ("cat", "dog") == interests(derive(base, topics, early), early)["ana"]
        assert {"ana": ("dog",)} == interests(derive(base, topics, START, months(6)), START)
        assert {"derived"} == {entry.source for entry in derive(base, topics, START)}

    def test_announcements_go_to_the_interested_who_agreed(self) -> None:
        """Neither interest nor consent alone is enough; one each, under one key; consent is asked for again later."""
        known = {"ana": ["cat"], "bo": ["dog"], "cy": ["cat", "dog"], "di": []}
        log = [agreed(member, "newsletter", START) for member in ("ana", "bo", "cy", "di")]
        log.append(withdrawn("bo", "newsletter", START))
        made = announce("leashes", "Dog", known, consenting(log, "newsletter", START), START)
        assert ["announcement:leashes:cy"] == [each.key for each in made]
        assert ("announcement", "cy", "interested in dog") == (made[0].kind, made[0].member, made[0].reason)
        assert (("name", "leashes"), ("topic", "dog")) == made[0].data
        later = START + timedelta(days=1)
        assert () == permitted(made, [*log, withdrawn("cy", "newsletter", later)], "newsletter", later)

    def test_general_news_go_to_all_who_agreed(self) -> None:
        """Without a topic those without an interest get it too."""
        made = announce("hours", None, {"ana": ["cat"], "di": []}, ["di", "eve"], START, START + timedelta(days=7))
        assert [("di", "for everybody", (("name", "hours"),))] == [(m.member, m.reason, m.data) for m in made]
        assert made[0].is_due(START)
        assert not made[0].is_due(START + timedelta(days=7))

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("interest.member", {"member": ""}),
            ("interest.topic", {"topic": " "}),
            ("interest.topic", {"topic": None}),
            ("interest.at", {"at": "2026-03-02"}),
            ("interest.wanted", {"wanted": 1}),
            ("interest.source", {"source": "guessed"}),
        ],
    )
    def test_what_is_no_interest_is_refused(self, field: str, changes: dict[str, Any]) -> None:
        """The error names the field."""
        with pytest.raises(InputError) as caught:
            Interest(**{"member": "ana", "topic": "cat", "at": START, **changes})
        assert field == caught.value.field

    def test_survives_plain_data(self) -> None:
        """An interest comes back from JSON as it was."""
        entry = Interest("ana", "cat", START, False)
        assert entry == loads(Interest, dumps(entry))


class TestEngagement:
    def test_a_weighted_sum(self) -> None:
        """Two reads, a review and a share; a bounce and a machine's opening have no weight and count nothing."""
        names = ["email_read", "review", "share", "email_read", "bounce", "machine_open"]
        rows = [Activity(str(place), "ann", name, START) for place, name in enumerate(names)]
        weights = {"email_read": 1, "review": 5, "share": 3, "visit": 7}
        assert 10 == engagement(History(rows), weights, START)
        assert 10 == engagement(History(rows + rows), weights, START)
        assert 0 == engagement(History(rows), weights, START - timedelta(days=1))
        assert 0 == engagement(History(), weights, START)
        assert -1 == engagement(History(rows), {"bounce": -1}, START)

    def test_in_a_window(self) -> None:
        """What lies before the window counts no more."""
        rows = [Activity(each, "ann", "review", day(each)) for each in ("2026-01-31", "2026-02-01", "2026-03-02")]
        assert 10 == engagement(History(rows), {"review": 5}, START, days(30))

    @pytest.mark.parametrize("weight", ["5", 1.5, None, True, 10**10])
    def test_weights_are_whole_numbers(self, weight: Any) -> None:
        """Any other weight is refused, also of what never happened."""
        with pytest.raises(InputError, match="weights="):
            engagement(History(), {"review": weight}, START)


def test_a_segment_of_another_form_is_refused() -> None:
    """Data without a form is of form 1; what a later version wrote in another one is not misread."""
    data = to_data(loyal())
    assert loyal() == from_data(Segment, data) == from_data(Segment, {**data, "form": 1})
    with pytest.raises(InputError, match="reads form 1") as error:
        from_data(Segment, {**data, "form": 2})
    assert "segment.form" == error.value.field
