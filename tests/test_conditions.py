"""Conditions on a history: trees that obey Boolean algebra, say why, and know when their answer will change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal as D
from itertools import islice
from typing import Any

import pytest
from histories import INSTANTS, bought, histories, telling, until, utc
from hypothesis import given, settings, strategies as st
from test_measures import AGES, FILTERS, STEADY

from loyaltykit import matching
from loyaltykit.calendar import days, from_us, months, to_us, weeks
from loyaltykit.conditions import (
    MAX_DEPTH,
    MAX_LEAVES,
    AllOf,
    AnyOf,
    Condition,
    Not,
    Verdict,
    all_of,
    any_of,
    depth,
    leaves,
)
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Line, Order, Refund
from loyaltykit.history import History, Movement
from loyaltykit.matching import Match, category, code, sku
from loyaltykit.measures import (
    Comparison,
    Measure,
    balance_of,
    days_since_last,
    orders,
    products,
    spend,
)
from loyaltykit.windows import Lifetime, anniversary_year, between, calendar_year
from loyaltykit.wire import canonical, dumps, from_data, loads, schema

OPS: Any = st.sampled_from([">=", ">", "<=", "<", "=="])


def _compared(measure: Measure, op: Any, number: int) -> Comparison:
    value = D(number) * D("3.33") if measure.kind == "spend" else number
    return Comparison(measure, op, value)


COMPARISONS = st.one_of(
    st.builds(_compared, STEADY, OPS, st.integers(0, 4)),
    st.builds(_compared, STEADY, OPS, st.integers(0, 4)),
    st.builds(_compared, AGES, OPS, st.sampled_from([0, 1, 2, 30, 60, 366])),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    COMPARISONS,
    lambda parts: st.one_of(
        parts.map(lambda part: ~part),
        parts.map(Not),
        st.lists(parts, max_size=3).map(lambda several: all_of(*several)),
        st.lists(parts, max_size=3).map(lambda several: any_of(*several)),
        st.tuples(parts, parts).map(lambda two: two[0] & two[1]),
        st.tuples(parts, parts).map(lambda two: two[0] | two[1]),
    ),
    max_leaves=5,
).filter(lambda condition: depth(condition) < MAX_DEPTH - 2)


class TestAlgebra:
    @given(histories(3), CONDITIONS, CONDITIONS, CONDITIONS, INSTANTS)
    def test_the_laws_of_boolean_algebra_hold(
        self, history: History, a: Condition, b: Condition, c: Condition, at: datetime
    ) -> None:
        """De Morgan, double negation, distribution, absorption, the excluded middle, and the empty ones."""
        everybody, nobody = all_of(), any_of()
        equal = [
            (~(a & b), ~a | ~b),
            (~(a | b), ~a & ~b),
            (~~a, a),
            (Not(Not(a)), a),
            (a & (b | c), (a & b) | (a & c)),
            (a | (b & c), (a | b) & (a | c)),
            (a & (a | b), a),
            (a & b, b & a),
            ((a & b) & c, a & (b & c)),
            (a & everybody, a),
            (a | nobody, a),
            (a | everybody, everybody),
            (a & nobody, nobody),
            (a | ~a, everybody),
            (a & ~a, nobody),
            (~everybody, nobody),
        ]
        for one, other in equal:
            assert one.matches(history, at) == other.matches(history, at), (str(one), str(other))
            assert one.changes_at(history, at) == other.changes_at(history, at), (str(one), str(other))

    def test_of_none_all_is_everybody_and_any_is_nobody(self) -> None:
        """An empty rule with "all" lets everybody in, one with "any" nobody."""
        assert all_of().matches(History(), utc(2024, 1, 1))
        assert not any_of().matches(History(), utc(2024, 1, 1))
        assert ("anybody", "nobody") == (str(all_of()), str(any_of()))

    def test_chains_are_flat(self) -> None:
        """``a & b & c`` is one list of three, and says so in one breath; brackets stay where they mean something."""
        a, b, c = orders() >= 1, orders() >= 2, orders() >= 3
        assert (a, b, c) == (a & b & c).parts == (a & (b & c)).parts
        assert (a, b, c) == (a | b | c).parts
        assert ((a | b), c) == ((a | b) & c).parts

    @given(st.lists(CONDITIONS, max_size=4))
    def test_leaves_are_all_comparisons(self, parts: list[Condition]) -> None:
        """The leaves of a tree are those of its parts, in their order."""
        assert [leaf for part in parts for leaf in leaves(part)] == list(leaves(all_of(*parts)))
        assert all(isinstance(leaf, Comparison) for leaf in leaves(any_of(*parts)))


class TestComparing:
    @given(histories(3), st.one_of(STEADY, AGES), st.integers(0, 5), INSTANTS)
    def test_it_compares_the_value(self, history: History, measure: Measure, number: int, at: datetime) -> None:
        """A comparison is that of the value with the number; what never was compares as false."""
        value: Any = measure.value(history, at)
        pairs = [
            (measure >= number, lambda: value >= number),
            (measure > number, lambda: value > number),
            (measure <= number, lambda: value <= number),
            (measure < number, lambda: value < number),
            (measure.equals(number), lambda: value == number),
        ]
        for condition, expected in pairs:
            assert (value is not None and expected()) == condition.matches(history, at)

    @given(histories(3), STEADY, OPS, st.integers(0, 5), INSTANTS)
    def test_what_is_missing_makes_it_hold(
        self, history: History, measure: Measure, op: Any, number: int, at: datetime
    ) -> None:
        """As much more as is missing would do, and less would not; nothing is missing where it holds."""
        condition = _compared(measure, op, number)
        verdict = condition.explain(history, at)
        assert verdict.measured == measure.value(history, at)
        assert (verdict.measured, verdict.needed) == (measure.value(history, at), condition.value)
        smallest = D("0.01") if measure.kind == "spend" else 1
        if op in ("<", "<="):
            assert verdict.missing is None
        elif verdict.holds:
            assert not verdict.missing
        elif verdict.missing is not None:
            more = verdict.measured + verdict.missing
            assert not _compared(measure, "<", 0).holds(history, 0)
            assert _true(op, more, verdict.needed)
            assert not _true(op, more - smallest, verdict.needed)
        else:
            assert op == "=="

    def test_a_comparison_the_other_way_round_is_the_same(self) -> None:
        """``5 <= orders()`` is ``orders() >= 5``."""
        assert (orders() >= 5) == (5 <= orders())
        assert (spend() < "5.00") == ("5" > spend())


def _true(op: str, value: Any, needed: Any) -> bool:
    found = {">=": value >= needed, ">": value > needed, "==": value == needed}
    return bool(found[op])


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, Not):
        return (condition.part,)
    return condition.parts if isinstance(condition, AllOf | AnyOf) else ()


def _nodes(condition: Condition, verdict: Verdict) -> Iterator[tuple[Condition, Verdict]]:
    yield condition, verdict
    parts = _parts(condition)
    assert len(parts) == len(verdict.parts)
    for part, told in zip(parts, verdict.parts, strict=True):
        yield from _nodes(part, told)


class TestExplaining:
    @given(histories(3), CONDITIONS, INSTANTS)
    def test_every_part_of_an_explanation_is_true(self, history: History, condition: Condition, at: datetime) -> None:
        """Each node of the tree says what asking it alone would say."""
        for part, verdict in _nodes(condition, condition.explain(history, at)):
            assert part.matches(history, at) == verdict.holds
            assert part.changes_at(history, at) == verdict.changes_at
            assert part.says(history.currency) == verdict.text

    def test_it_reads_as_a_tree(self) -> None:
        """An explanation shows each part: what is so far, what is missing, until when it stays so."""
        loyal = (spend(months(6)) >= "250.00") | ((orders(weeks(5)) >= 5) & ~(days_since_last() > 30))
        history = History([bought("1", "2024-03-01", 100), bought("2", "2024-05-01", 150)])
        assert str(loyal.explain(history, utc(2024, 8, 30))).splitlines() == [
            "yes: spent at least $250.00 in the past 6 months, or (placed at least 5 orders in the past 5 weeks, "
            "and not placed the last order more than 30 days ago) (until 2024-09-01 00:00 UTC)",
            "├─ yes: spent at least $250.00 in the past 6 months (250.00 so far; until 2024-09-01 00:00 UTC)",
            "└─ no: placed at least 5 orders in the past 5 weeks, and not placed the last order more than 30 days ago",
            "   ├─ no: placed at least 5 orders in the past 5 weeks (0 so far; 5 missing)",
            "   └─ no: not placed the last order more than 30 days ago",
            "      └─ yes: placed the last order more than 30 days ago (121 so far)",
        ]

    def test_never_is_nothing_so_far(self) -> None:
        """Days since what never was are none, and the answer is no."""
        assert "no: placed the last order at least 90 days ago (nothing)" == str(
            (days_since_last() >= 90).explain(History(), utc(2024, 8, 31))
        )


class TestChanging:
    @settings(max_examples=300)
    @given(histories(3), CONDITIONS, INSTANTS, st.data())
    def test_it_turns_then_and_not_before(
        self, history: History, condition: Condition, now: datetime, data: st.DataObject
    ) -> None:
        """If nothing more happens, the answer turns at the instants given, to the microsecond, and at no other."""
        frozen = until(history, now)
        turns = list(islice(condition.flips(history, to_us(now)), 40))
        assert sorted(set(turns)) == turns
        assert condition.changes_at(history, now) == (from_us(turns[0]) if turns else None)
        windows = [leaf.measure.window for leaf in leaves(condition) if isinstance(leaf, Comparison)]
        near = [at for at in telling(frozen, windows) if at > now]
        far = st.integers(1, 60 * 365).map(lambda count: now + timedelta(days=count))
        soon = st.integers(1, 24 * 400).map(lambda count: now + timedelta(hours=count))
        others = data.draw(st.lists(st.one_of(soon, far, *[st.sampled_from(near)][: len(near)]), max_size=8))
        answer = condition.matches(history, now)
        places = [from_us(us + tick) for us in turns for tick in (-1, 0)]
        for at in [*places, *others]:
            if at > now and (len(turns) < 40 or to_us(at) <= turns[-1]):
                odd = sum(us <= to_us(at) for us in turns) % 2 == 1
                assert condition.matches(frozen, at) == (answer != odd), at

    @given(histories(3), CONDITIONS, INSTANTS)
    def test_nothing_later_counts(self, history: History, condition: Condition, at: datetime) -> None:
        """Neither the answer nor its reasons know what happens later."""
        assert condition.explain(until(history, at), at) == condition.explain(history, at)

    def test_two_parts_that_turn_together_may_leave_the_answer(self) -> None:
        """Where one part begins the moment that another ends, the whole does not change."""
        history = History([bought("1", "2024-03-01", 5)])
        now = utc(2024, 3, 2)
        recent = orders(days(30)) >= 1
        assert utc(2024, 3, 31) == recent.changes_at(history, now)
        assert (recent | ~recent).changes_at(history, now) is None
        assert (recent | (days_since_last() >= 30)).changes_at(history, now) is None
        assert (recent & ~(days_since_last() >= 30)).changes_at(history, now) == utc(2024, 3, 31)

    @pytest.mark.parametrize(
        ("condition", "at"),
        [
            (spend(months(6)) >= "250.00", utc(2024, 9, 1)),
            (spend(months(6)) > "250.00", None),
            (spend() >= "250.00", None),
            (spend(calendar_year()) >= "250.00", utc(2025, 1, 1)),
            (spend(anniversary_year()) >= "250.00", utc(2025, 3, 1)),
            (spend(between(utc(2024, 1, 1), utc(2024, 9, 1))) >= "250.00", None),
            (days_since_last() >= 90, None),
            (days_since_last() >= 123, utc(2024, 9, 1)),
            (days_since_last(months(6)) >= 123, utc(2024, 9, 1)),
            (days_since_last() <= 121, utc(2024, 8, 31)),
            (days_since_last().equals(122), utc(2024, 8, 31)),
            (days_since_last() >= 9_999_999, None),
        ],
    )
    def test_by_hand(self, condition: Condition, at: datetime | None) -> None:
        """What was bought on 1 March and 1 May, asked on 30 August."""
        history = History([bought("1", "2024-03-01", 100), bought("2", "2024-05-01", 150)])
        assert at == condition.changes_at(history, utc(2024, 8, 30, 12))

    def test_points_that_expire_are_foreseen(self) -> None:
        """A balance that is known to expire ends a condition on it."""
        at, end = utc(2024, 3, 1), utc(2024, 9, 1)
        moves = [
            Movement(to_us(at), to_us(at), "points", "earn", 100),
            Movement(to_us(end), to_us(at), "points", "expire", -100),
        ]
        assert end == (balance_of() >= 100).changes_at(History(member="ann", movements=moves), at)


# ---------------------------------------------------------------- as data


class TestData:
    @given(CONDITIONS)
    def test_every_tree_comes_back_from_json(self, condition: Condition) -> None:
        """What is written is read as an equal tree that says the same, and is written the same again."""
        text = dumps(condition, Condition)
        again = loads(Condition, text)
        assert condition == again
        assert hash(condition) == hash(again)
        assert str(condition) == str(again)
        assert text == dumps(again, Condition)
        assert canonical(condition) == canonical(again)

    def test_it_is_plain_data(self) -> None:
        """The form is short: what is as usual is left out, amounts are texts."""
        assert json.loads(dumps(spend(months(6), where=category("coffee"), currency="USD") >= "250.00", Condition)) == {
            "type": "comparison",
            "measure": {
                "kind": "spend",
                "window": {"type": "rolling", "period": {"months": 6}},
                "where": {"type": "category", "names": ["coffee"]},
                "currency": "USD",
            },
            "op": ">=",
            "value": "250.00",
        }

    def test_the_deepest_tree_is_within_the_levels_that_are_read(self) -> None:
        """A tree as deep as may be, with filters and windows below it, can be written and read."""
        where: Match = sku("mug") | category("tea")
        for _ in range(8):  # with its leaves and the alternatives above them, the 10 levels that a filter may have
            where = matching.Not(where)
        condition: Condition = spend(between(utc(2024, 1, 1), utc(2025, 1, 1)), where=where) >= 5
        while depth(condition) < MAX_DEPTH:
            condition = AnyOf((condition,)) if depth(condition) % 2 else Not(condition)
        assert condition == loads(Condition, dumps(condition, Condition))

    def test_it_has_a_schema(self) -> None:
        """Another program can check a tree before it sends it."""
        assert {"AllOf", "AnyOf", "Not", "Comparison", "Measure"} <= set(schema(Condition)["$defs"])


LEAF = {"type": "comparison", "measure": {"kind": "orders"}, "op": ">=", "value": 1}


def leaf(**changed: Any) -> dict[str, Any]:
    """Return the data of a comparison with some fields changed."""
    return {**LEAF, **changed}


def during(kind: str, **window: Any) -> dict[str, Any]:
    """Return the data of a comparison in a window of that kind."""
    return leaf(measure={"kind": "orders", "window": {"type": kind, **window}})


class TestBadData:
    @pytest.mark.parametrize(
        ("field", "data"),
        [
            ("condition.type", {"type": "reads_minds"}),
            ("condition.type", {"measure": {"kind": "orders"}, "op": ">=", "value": 1}),
            ("condition.parts[1].type", {"type": "all_of", "parts": [LEAF, {"type": "reads_minds"}]}),
            ("condition.part.parts[0].op", {"type": "not", "part": {"type": "any_of", "parts": [leaf(op="!=")]}}),
            ("condition.measure.kind", leaf(measure={"kind": "profit"})),
            ("condition.measure.window.unit", during("calendar_window", unit="decade")),
            ("condition.measure.window.period.weeks", during("rolling", period={"weeks": 5})),
            ("condition.measure.window.period", during("rolling", period={})),
            ("condition.measure.window.type", during("lately")),
            ("condition.measure.name", leaf(measure={"kind": "periods", "name": "fortnight"})),
            ("condition.measure.where", leaf(measure={"kind": "orders", "where": {"type": "dates"}})),
            ("condition.measure.where.type", leaf(measure={"kind": "orders", "where": {"type": "horoscope"}})),
            ("condition.value", leaf(value=1.5)),
            ("condition.value", leaf(value=True)),
            ("condition.value", leaf(value="plenty")),
            ("condition.value", leaf(value="1.5")),
            ("condition.value", leaf(value=-1)),
            ("condition.value", leaf(measure={"kind": "spend"}, value="NaN")),
            ("condition.value", leaf(measure={"kind": "spend", "currency": "USD"}, value="5.001")),
            ("condition.measure.currency", leaf(measure={"kind": "spend", "currency": "gold"}, value=5)),
            ("condition.valeu", leaf(valeu=1)),
        ],
    )  # fmt: skip
    def test_the_path_is_named(self, field: str, data: Any) -> None:
        """What is wrong in a tree is named by its whole path."""
        with pytest.raises(InputError) as caught:
            from_data(Condition, data)
        assert field == caught.value.field

    def test_a_tree_is_bounded(self) -> None:
        """Too deep or too large a tree is refused, made in Python or read from data."""
        deep: Any = LEAF
        for _ in range(MAX_DEPTH):
            deep = {"type": "not", "part": deep}
        with pytest.raises(InputError, match=f"at most {MAX_DEPTH} levels"):
            from_data(Condition, deep)
        with pytest.raises(InputError, match=f"at most {MAX_LEAVES} comparisons"):
            from_data(Condition, {"type": "all_of", "parts": [LEAF] * (MAX_LEAVES + 1)})
        with pytest.raises(InputError, match=f"at most {MAX_LEAVES} comparisons"):
            from_data(Condition, {"type": "all_of", "parts": [{"type": "any_of", "parts": []}] * (MAX_LEAVES + 1)})
        within = all_of(*[orders() >= 1] * MAX_LEAVES)
        with pytest.raises(InputError, match=f"at most {MAX_LEAVES} comparisons"):
            _ = within & (orders() >= 2)
        with pytest.raises(InputError):
            loads(Condition, '{"type":"not","part":' * 5000 + "1" + "}" * 5000)


class TestBadInput:
    def test_a_condition_is_not_true_by_itself(self) -> None:
        """``if condition``, ``and``, ``or``, ``not`` and chained comparisons would silently mean something else."""
        condition = orders() >= 2
        for use in (
            lambda: bool(condition),
            lambda: not condition,
            lambda: condition and condition,
            lambda: 1 <= orders() <= 5,
            lambda: bool(all_of()),
        ):
            with pytest.raises(TypeError, match=r"& \| ~"):
                use()

    @pytest.mark.parametrize("other", [True, None, 5, "orders"])
    def test_it_combines_with_conditions_only(self, other: Any) -> None:
        """What is no condition is not joined to one."""
        with pytest.raises(TypeError):
            _ = (orders() >= 2) & other
        with pytest.raises(TypeError):
            _ = (orders() >= 2) | other

    @pytest.mark.parametrize(
        ("field", "make"),
        [
            ("spend.value", lambda: spend() >= 5.0),
            ("spend.value", lambda: spend() >= True),
            ("spend.value", lambda: spend() >= "much"),
            ("spend.value", lambda: spend() >= None),
            ("spend.value", lambda: spend(currency="JPY") >= "0.50"),
            ("orders.value", lambda: orders() >= 2.0),
            ("orders.value", lambda: orders() >= True),
            ("orders.value", lambda: orders() >= "1.5"),
            ("orders.value", lambda: orders() >= -1),
            ("comparison.measure", lambda: Comparison("spend", ">=", 5)),  # type: ignore[arg-type]
            ("comparison.op", lambda: Comparison(orders(), "!=", 5)),  # type: ignore[arg-type]
            ("condition.parts", lambda: AllOf("spend")),
            ("condition.parts", lambda: AnyOf(orders() >= 1)),
            ("condition.parts[1]", lambda: all_of(orders() >= 1, orders())),  # type: ignore[arg-type]
            ("condition.part", lambda: Not(orders())),
            ("history", lambda: (orders() >= 1).matches([], utc(2024, 1, 1))),  # type: ignore[arg-type]
            ("at", lambda: (orders() >= 1).matches(History(), datetime(2024, 1, 1))),
            ("at", lambda: (orders() >= 1).explain(History(), "2024-01-01")),  # type: ignore[arg-type]
            ("spend.value", lambda: (spend() >= "0.50").matches(History(currency="JPY"), utc(2024, 1, 1))),
        ],
    )
    def test_the_field_is_named(self, field: str, make: Any) -> None:
        """A threshold that is no amount of what is measured, or a part that is no condition, is an error."""
        with pytest.raises(InputError) as caught:
            make()
        assert field == caught.value.field

    def test_currencies_are_not_mixed(self) -> None:
        """A condition in euros asked of a history in dollars is an error, not a no."""
        with pytest.raises(WrongCurrency):
            (spend(currency="EUR") >= 5).matches(History(), utc(2024, 1, 1))


# ---------------------------------------------------------------- by hand


class TestByHand:
    def test_loyal_by_spend(self) -> None:
        """250.00 in the past 6 months: exactly so much is enough, and 29 February is out on 31 August."""
        loyal, now = spend(months(6)) >= "250.00", utc(2024, 8, 31)
        assert loyal.matches(History([bought("1", "2024-03-01", 100), bought("2", "2024-05-01", 150)]), now)
        assert not loyal.matches(History([bought("1", "2024-02-29", 100), bought("2", "2024-05-01", 150)]), now)

    def test_loyal_by_frequency(self) -> None:
        """5 orders in the past 5 weeks, the far bound outside."""
        rest = ["2024-06-01", "2024-06-08", "2024-06-15", "2024-06-30"]
        for first, expected in (("2024-05-27", True), ("2024-05-26", False)):
            history = History([bought(day, day, 9) for day in [first, *rest]])
            assert expected == (orders(weeks(5)) >= 5).matches(history, utc(2024, 6, 30))

    def test_products_codes_and_spend_combined(self) -> None:
        """Who bought suede or used a code; who spent 50.00 without it."""
        who = {"ana": ("suede", "", 90), "bo": ("mug", "WELCOME10", 10), "cy": ("mug", "", 400)}
        past = {
            name: History([Order("1", name, utc(2024, 3, 1), [Line(product, total=total)], codes=[used][: bool(used)])])
            for name, (product, used, total) in who.items()
        }
        suede, welcomed = orders(where=sku("suede")) >= 1, orders(where=code("WELCOME10")) >= 1
        for condition, expected in (
            (any_of(suede, welcomed), ["ana", "bo"]),
            (all_of(spend() >= 50, ~welcomed), ["ana", "cy"]),
            (all_of(), ["ana", "bo", "cy"]),
            (any_of(), []),
        ):
            assert expected == [name for name in sorted(past) if condition.matches(past[name], utc(2024, 3, 2))]

    def test_what_was_given_back_does_not_count(self) -> None:
        """An order that was refunded and cancelled makes nobody loyal, and is not held against anybody."""
        history = History(
            [
                bought("1", "2024-03-01", 100),
                Refund("r", "ann", "1", utc(2024, 3, 5)),
                bought("1", "2024-03-01", 100, state="cancelled", revision=2, revised_at=utc(2024, 3, 6)),
                Order("2", "ann", utc(2024, 3, 3), [Line("mug", total=60)]),
            ]
        )
        now = utc(2024, 3, 7)
        assert (spend().equals(60) & orders().equals(1) & products().equals(1)).matches(history, now)
        assert (spend().equals(160) & orders().equals(2)).matches(history, utc(2024, 3, 4))


class TestWords:
    @pytest.mark.parametrize(
        ("condition", "text"),
        [
            (spend() >= 250, "spent at least 250"),
            (spend(currency="EUR") >= "250.50", "spent at least €250.50"),
            (orders() >= 1, "placed at least 1 order"),
            (orders(weeks(5)) < 1000, "placed less than 1,000 orders in the past 5 weeks"),
            (~(orders() >= 1), "not placed at least 1 order"),
            (~((orders() >= 1) & (spend() > 5)), "not (placed at least 1 order, and spent more than 5)"),
            (balance_of() >= 500, "had at least 500 points"),
            (orders(days(7), where=sku("mug")).equals(2), "placed exactly 2 orders on product mug in the past week"),
            (Comparison(Measure("earned", Lifetime(), name="stamps"), "<=", 3), "earned at most 3 stamps"),
        ],
    )  # fmt: skip
    def test_a_condition_says_itself(self, condition: Condition, text: str) -> None:
        """A condition is one sentence that a shopper would be told."""
        assert text == str(condition)

    @given(FILTERS)
    def test_filters_are_said(self, where: Any) -> None:
        """Which goods or orders count is part of the sentence."""
        assert str(where) in str(spend(where=where) >= 5)
