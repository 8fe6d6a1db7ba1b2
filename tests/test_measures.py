"""Measures: how much a customer bought, how often, what and when, over windows of time, net of what came back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import attrs
import pytest
from histories import (
    CODES,
    INSTANTS,
    SKUS,
    WINDOWS,
    bought,
    histories,
    known_from,
    left_of,
    telling,
    until,
    utc,
)
from hypothesis import given, settings, strategies as st

from loyaltykit.amounts import allocate, from_minor, round_to_int
from loyaltykit.basis import basket
from loyaltykit.calendar import days, from_us, local_date, months, start_of, to_us, weeks, years
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Fact, Line, Order, Refund, Reversal
from loyaltykit.history import History, Movement
from loyaltykit.matching import Match, Scene, category, channel, code, depends_on_line, order_total, sku, tier, weekday
from loyaltykit.measures import (
    Measure,
    activities,
    balance_of,
    categories,
    codes,
    days_since_first,
    days_since_last,
    earned,
    orders,
    periods,
    products,
    shown,
    spend,
    timeline,
    value_of,
)
from loyaltykit.windows import (
    Lifetime,
    anniversary_year,
    between,
    bounds,
    calendar_month,
    calendar_year,
)

FILTERS: st.SearchStrategy[Match] = st.recursive(
    st.one_of(
        st.lists(st.sampled_from(["coffee", "tea"]), min_size=1).map(lambda names: category(*names)),
        st.lists(st.sampled_from([*SKUS, "order"]), min_size=1).map(lambda names: sku(*names)),
        st.sampled_from(["web", "shop"]).map(channel),
        st.sampled_from(CODES).map(code),
    ),
    lambda parts: st.one_of(parts.map(lambda part: ~part), st.tuples(parts, parts).map(lambda two: two[0] & two[1])),
    max_leaves=3,
)
WHERE = st.one_of(st.none(), st.none(), FILTERS)
UNITS: Any = st.sampled_from(["day", "week", "month", "year"])
STEADY: st.SearchStrategy[Measure] = st.one_of(
    st.builds(spend, WINDOWS, where=WHERE),
    st.builds(orders, WINDOWS, where=WHERE),
    st.builds(products, WINDOWS, where=WHERE),
    st.builds(categories, WINDOWS, where=WHERE),
    st.builds(codes, WINDOWS, where=WHERE),
    st.builds(periods, UNITS, WINDOWS, where=WHERE),
    st.builds(activities, st.sampled_from(["review", "visit", "none"]), WINDOWS, where=WHERE),
    st.builds(earned, WINDOWS, unit=st.sampled_from(["points", "stamps"])),
    st.sampled_from(["points", "stamps"]).map(balance_of),
)
AGES = st.one_of(st.builds(days_since_first, WINDOWS, where=WHERE), st.builds(days_since_last, WINDOWS, where=WHERE))
MEASURES = st.one_of(STEADY, STEADY, STEADY, AGES)


# ---------------------------------------------------------------- the naive reference


def reference(measure: Measure, history: History, at: datetime, facts: Iterable[Fact] | None = None) -> Any:
    """Return what a measure comes to, by going through all that was known at the instant (or through `facts`)."""
    known = [fact for fact in history.facts if known_from(fact) <= at] if facts is None else list(facts)
    begun = [*map(known_from, history.facts), *(from_us(move.known) for move in history.movements)]
    anchor = history.joined or min(begun, default=at)
    span = bounds(measure.window, at, history.zone, anchor)
    if measure.kind in ("earned", "balance"):
        moves = [each for each in history.movements if each.unit == measure.name and each.known <= to_us(at)]
        first, stop = span.us
        inside = [each for each in moves if (first is None or first <= each.at) and each.at < stop]
        return sum(each.points for each in inside if measure.kind == "balance" or each.kind == "earn")
    if measure.kind == "activities":
        done = {fact.id: fact for fact in known if isinstance(fact, Activity) and fact.name == measure.name}
        return sum(each.at in span and _on(measure, each) for each in done.values())
    found = []
    for number in {fact.id for fact in known if isinstance(fact, Order)}:
        of = [fact for fact in known if (getattr(fact, "order", None) or fact.id) == number]
        told = left_of({repr(fact): fact for fact in of}.values(), history)
        if told is not None and told[0].at in span and told[0].state not in ("draft", "cancelled"):
            found.append(_counted(measure, history, *told))
    cents = sum(each[0] for each in found)
    kept = [each for each in found if each[2]]
    match measure.kind:
        case "spend":
            return from_minor(cents, history.currency)
        case "orders":
            return len(kept)
        case "products":
            return len({line.sku for _, _, lines in kept for line in lines if isinstance(line, Line)})
        case "categories":
            return len({name for _, _, lines in kept for line in lines for name in line.categories})
        case "codes":
            return len({name.strip().casefold() for _, order, _ in kept for name in order.codes})
        case "periods":
            return len({start_of(measure.name, order.at, history.zone) for _, order, _ in kept})  # type: ignore[arg-type]
    dates = [local_date(order.at, history.zone) for _, order, _ in kept]
    if not dates:
        return None
    return (local_date(at, history.zone) - (min if measure.kind == "days_since_first" else max)(dates)).days


def _on(measure: Measure, each: Activity) -> bool:
    line = None if each.product is None else Line(each.product)
    return measure.where is None or measure.where.holds(Scene(each.at, UTC), line)


def _counted(measure: Measure, history: History, order: Order, rest: Any) -> tuple[int, Order, list[Any]]:
    """Return the minor units that count of an order, and the lines of it (or itself) that count as bought."""
    content = basket(history.basis, order, rest)
    total = 0 if rest.empty else round_to_int(Fraction(content.total, content.of), "half_up")
    shares = allocate(total, [each.basis for each in content.goods]) if total else [0] * len(content.goods)
    scene = Scene(order.at, UTC, channel=order.channel, codes=order.codes)
    per_line = measure.kind in ("products", "categories") or depends_on_line(measure.where)
    if not per_line:
        total = total if order.lines else 0
        goods = total > 0 or any(not line.donation for line in order.lines)
        fits = measure.where is None or measure.where.holds(scene, None)
        return (total if fits else 0), order, ([order] if fits and goods and not rest.empty else [])
    fits_line = {line.name: measure.where is None or measure.where.holds(scene, line) for line in order.lines}
    cents = sum(
        share
        for each, share in zip(content.goods, shares, strict=True)
        if each.line is not None and fits_line[each.name]
    )
    here = [
        line
        for line, left in zip(order.lines, rest.lines, strict=True)
        if fits_line[line.name] and not (rest.empty or left.gone or line.donation)
    ]
    return cents, order, here


class TestValues:
    @settings(max_examples=400)
    @given(histories(), st.lists(MEASURES, min_size=1, max_size=4), st.lists(INSTANTS, max_size=2), st.data())
    def test_a_value_is_that_of_a_person_going_through_the_facts(
        self, history: History, measures: list[Measure], instants: list[datetime], data: st.DataObject
    ) -> None:
        """A measure is what remains, at the instant, of the orders placed in the window, told one by one."""
        near = telling(history, [measure.window for measure in measures])
        for at in [*instants, *(data.draw(st.lists(st.sampled_from(near), max_size=5)) if near else [])]:
            for measure in measures:
                assert reference(measure, history, at) == measure.value(history, at), (str(measure), at)

    @given(histories(), MEASURES, INSTANTS, st.randoms(use_true_random=False))
    def test_facts_may_come_in_any_order_and_often(
        self, history: History, measure: Measure, at: datetime, random: Any
    ) -> None:
        """A value depends on the set of facts alone."""
        facts = [*history.facts, *history.facts[:2]]
        random.shuffle(facts)
        moves = list(history.movements)
        random.shuffle(moves)
        again = attrs.evolve(history, facts=facts, movements=moves)
        assert measure.value(history, at) == measure.value(again, at)

    @given(histories(), MEASURES, INSTANTS)
    def test_nothing_later_counts(self, history: History, measure: Measure, at: datetime) -> None:
        """What happened or became known after the instant changes nothing."""
        facts = [fact for fact in history.facts if known_from(fact) <= at]
        moves = [move for move in history.movements if move.known <= to_us(at)]
        then = attrs.evolve(history, facts=facts, movements=moves)
        assert measure.value(then, at) == measure.value(history, at)


class TestTimeline:
    @staticmethod
    def instants(history: History, measure: Measure, steps: Iterable[Any], data: st.DataObject) -> list[datetime]:
        """Return instants to look at: each step and just before it, and others where something might be."""
        near = telling(history, [measure.window])
        others = data.draw(st.lists(st.one_of(INSTANTS, st.sampled_from(near) if near else INSTANTS), max_size=6))
        return [*(from_us(step.at + tick) for step in steps for tick in (-1, 0)), *others]

    @settings(max_examples=300)
    @given(histories(), STEADY, INSTANTS, st.data())
    def test_it_is_the_value_at_every_instant(
        self, history: History, measure: Measure, now: datetime, data: st.DataObject
    ) -> None:
        """Up to now the steps are what was known then; after now, what will be if nothing more happens."""
        steps = timeline(measure, history, to_us(now))
        frozen = until(history, now)
        assert sorted({step.at for step in steps}) == [step.at for step in steps]
        for at in self.instants(history, measure, steps, data):
            value = next((step.value for step in reversed(steps) if step.at <= to_us(at)), 0)
            assert value_of(measure, history if at <= now else frozen, to_us(at)) == value, at

    @settings(max_examples=200)
    @given(histories(), STEADY.filter(lambda measure: measure.kind not in ("earned", "balance")), INSTANTS, st.data())
    def test_anew_it_is_as_if_nothing_had_ever_been_otherwise(
        self, history: History, measure: Measure, now: datetime, data: st.DataObject
    ) -> None:
        """Looked at anew, what is known now counts from the instant at which the order was placed."""
        history = attrs.evolve(history, joined=history.joined or utc(2024, 2, 29))
        steps = timeline(measure, history, to_us(now), anew=True)
        known = [fact for fact in history.facts if known_from(fact) <= now]
        for at in self.instants(history, measure, steps, data):
            value = next((step.value for step in reversed(steps) if step.at <= to_us(at)), 0)
            assert reference(measure, history, at, known) == shown(measure, history, value), at

    def test_a_refund_lowers_the_past_only_where_it_is_looked_at_anew(self) -> None:
        """What was reached on the day stays on the record; told anew, the refund was always there."""
        order, refund = bought("1", "2024-03-01", 500), Refund("r", "ann", "1", utc(2024, 4, 1), amount=100)
        history, later = History([order, refund]), to_us(utc(2024, 6, 1))
        march, april = to_us(utc(2024, 3, 1)), to_us(utc(2024, 4, 1))
        assert timeline(spend(), history, later) == ((march, 50000), (april, 40000))
        assert timeline(spend(), history, later, anew=True) == ((march, 40000),)
        assert timeline(spend(), history, later, anew=True, told=april - 1) == ((march, 50000),)
        assert timeline(spend(), history, april - 1) == ((march, 50000),)

    @pytest.mark.parametrize("measure", [spend(), orders(), periods("day")])
    def test_what_was_not_told_counts_neither_when_it_goes_nor_when_it_comes_again(self, measure: Measure) -> None:
        """A refund after the telling that is reversed, or an order that is moved or changed, is not there twice."""
        order, told = bought("1", "2024-03-01", 100), to_us(utc(2024, 3, 5))
        gone = [Refund("r", "ann", "1", utc(2024, 3, 10)), Reversal("v", "ann", "1", "r", utc(2024, 3, 12))]
        moved = bought("1", "2024-02-20", 100, revision=2, revised_at=utc(2024, 3, 11))
        other = lines("1", "2024-03-01", CATEGORY, revision=2, revised_at=utc(2024, 3, 11))
        for later in (gone, gone[:1], [moved], [other], [moved, *gone]):
            for anew in (False, True):
                steps = timeline(measure, History([order, *later]), to_us(utc(2024, 4, 1)), told=told, anew=anew)
                assert [(to_us(order.at), 10_000 if measure.kind == "spend" else 1)] == [*steps]

    def test_an_order_known_by_its_amount_alone_is_of_no_product(self) -> None:
        """What was bought is not known: it is an order and money spent, but no product."""
        history, now = History([bought("1", "2024-03-01", 100)]), utc(2024, 3, 2)
        assert (1, 0) == (orders().value(history, now), products().value(history, now))

    def test_what_leaves_the_window_is_a_step_too(self) -> None:
        """Without another order it is gone on the first day whose day a month before is not before it."""
        steps = timeline(spend(months(1)), History([bought("1", "2024-01-31", 50)]), to_us(utc(2024, 1, 31)))
        assert [(utc(2024, 1, 31), 5000), (utc(2024, 3, 1), 0)] == [(from_us(at), value) for at, value in steps]

    def test_days_that_pass_have_none(self) -> None:
        """Days since something grow every day, with no steps worth the name."""
        with pytest.raises(InputError, match=r"measure\.kind='days_since_last'"):
            timeline(days_since_last(), History(), 0)


# ---------------------------------------------------------------- by hand


CATEGORY = Line("suede", 1, total="40.00", categories=("shoes", "leather"))


def lines(number: str, day: str, *content: Line, **others: Any) -> Order:
    """Return an order of these lines."""
    return Order(number, "ann", datetime.fromisoformat(day).replace(tzinfo=UTC), content, **others)


class TestByHand:
    def test_the_past_six_months_clamp_at_the_end_of_a_month(self) -> None:
        """31 August less 6 months is 29 February, and the far bound is outside."""
        now = utc(2024, 8, 31)
        inside = History([bought("1", "2024-03-01", 100), bought("2", "2024-05-01", 150)])
        outside = History([bought("1", "2024-02-29", 100), bought("2", "2024-05-01", 150)])
        assert D("250.00") == spend(months(6)).value(inside, now)
        assert D("150.00") == spend(months(6)).value(outside, now)

    def test_five_weeks_are_35_days_with_the_far_bound_outside(self) -> None:
        """An order of 27 May counts on 30 June, one of 26 May does not; two of one day are two."""
        rest = [bought(str(place), day, 9) for place, day in enumerate(["2024-06-01", "2024-06-08", "2024-06-08"])]
        now = utc(2024, 6, 30)
        assert 4 == orders(weeks(5)).value(History([bought("x", "2024-05-27", 9), *rest]), now)
        assert 3 == orders(weeks(5)).value(History([bought("x", "2024-05-26", 9), *rest]), now)

    @pytest.mark.parametrize(
        "undone",
        [
            [Refund("r", "ann", "1", utc(2024, 3, 5))],
            [Refund("r", "ann", "1", utc(2024, 3, 5), amount=100)],
            [Refund("r", "ann", "1", utc(2024, 3, 5), {"order": 1})],
            [bought("1", "2024-03-01", 100, state="cancelled", revision=2, revised_at=utc(2024, 3, 5))],
            [
                bought("1", "2024-03-01", 100, state="cancelled", revision=2, revised_at=utc(2024, 3, 5)),
                Refund("r", "ann", "1", utc(2024, 3, 5)),
            ],
            [
                Refund("r", "ann", "1", utc(2024, 3, 5)),
                bought("1", "2024-03-01", 100, state="cancelled", revision=2, revised_at=utc(2024, 3, 6)),
            ],
        ],
    )
    def test_what_is_undone_counts_for_nothing_once(self, undone: list[Fact]) -> None:
        """An order that is refunded, or cancelled, or both, is no order and no spend: never one less."""
        history = History([bought("1", "2024-03-01", 100), *undone])
        for measure in (spend(), orders(), products(), codes(), periods("day"), spend(months(1)), orders(years(1))):
            assert 0 == measure.value(history, utc(2024, 3, 7)), str(measure)
        assert days_since_last().value(history, utc(2024, 3, 7)) is None
        assert (D(100), 1) == (spend().value(history, utc(2024, 3, 4)), orders().value(history, utc(2024, 3, 4)))

    def test_a_refund_of_the_same_instant_undoes_the_order(self) -> None:
        """What was refunded the moment that it was bought was never bought."""
        history = History([bought("1", "2024-03-01", 100), Refund("r", "ann", "1", utc(2024, 3, 1))])
        assert (0, 0) == (orders().value(history, utc(2024, 3, 1)), products().value(history, utc(2024, 3, 1)))
        assert days_since_last().value(history, utc(2024, 3, 1)) is None

    def test_a_refund_counts_where_the_order_was(self) -> None:
        """A January refund of a December order belongs to the old year."""
        history = History([bought("1", "2023-12-30", 80), Refund("r", "ann", "1", utc(2024, 1, 4), amount=30)])
        assert D(0) == spend(calendar_year()).value(history, utc(2024, 1, 4))
        assert D(50) == spend(months(1)).value(history, utc(2024, 1, 4))
        assert D(80) == spend(months(1)).value(history, utc(2024, 1, 3))

    def test_goods_are_told_apart_by_sku_and_category(self) -> None:
        """Where a filter names goods, only their lines count, each with its share of the order's discount."""
        mug = Line("mug", 2, total="60.00")
        history = History([lines("1", "2024-03-01", CATEGORY, mug, discount="10.00", codes="WELCOME10", channel="web")])
        now = utc(2024, 3, 1)
        assert D("36.00") == spend(where=category("shoes")).value(history, now)
        assert D("36.00") == spend(where=category("shoes") | category("leather")).value(history, now)
        assert D("54.00") == spend(where=sku("mug")).value(history, now)
        assert D("90.00") == spend(where=channel("web")).value(history, now)
        assert (2, 1) == (products().value(history, now), products(where=~sku("mug")).value(history, now))
        assert (2, 0) == (categories().value(history, now), categories(where=sku("mug")).value(history, now))
        assert (1, 0) == tuple(orders(where=code(name)).value(history, now) for name in ("welcome10 ", "SPRING"))

    def test_codes_are_the_same_in_either_case(self) -> None:
        """A code that was used twice, in other letters, is one code."""
        history = History(
            [bought("1", "2024-03-01", 5, codes=("SPRING", "x")), bought("2", "2024-03-02", 5, codes="spring ")]
        )
        assert 2 == codes().value(history, utc(2024, 3, 2))

    def test_periods_are_those_of_the_zone(self) -> None:
        """Two orders around midnight in New York are of two days and months there, and of one in UTC."""
        facts = [bought("1", "2024-04-01T03:59", 5), bought("2", "2024-04-01T04:00", 5)]
        for zone, count in (("America/New_York", 2), ("UTC", 1)):
            assert count == periods("day").value(History(facts, zone=zone), utc(2024, 4, 2))
            assert count == periods("month").value(History(facts, zone=zone), utc(2024, 4, 2))

    @pytest.mark.parametrize(
        ("unit", "count"), [("day", 5), ("week", 3), ("month", 3), ("quarter", 2), ("half_year", 2), ("year", 2)]
    )
    def test_periods_are_counted_once_each(self, unit: Any, count: int) -> None:
        """Weeks begin on Monday, also across the year's end."""
        placed = ["2024-12-29", "2024-12-30", "2025-01-05", "2025-02-08", "2025-02-09", "2025-02-09T20:00"]
        history = History([bought(day, day, 5) for day in placed])
        assert count == periods(unit).value(history, utc(2025, 3, 1))

    def test_days_since_are_local_days(self) -> None:
        """From one side of midnight to the other is a day, however short; within a day it is none."""
        history = History([bought("1", "2024-03-01T04:59", 5), bought("2", "2024-03-03", 5)], zone="America/New_York")
        assert 1 == days_since_last().value(history, utc(2024, 3, 1, 5))
        assert 0 == days_since_last().value(history, utc(2024, 3, 1, 4, 59))
        assert (3, 1) == (
            days_since_first().value(history, utc(2024, 3, 3, 5)),
            days_since_last().value(history, utc(2024, 3, 3, 5)),
        )
        assert days_since_first().value(History(), utc(2024, 3, 3)) is None

    def test_activities_are_counted_by_name(self) -> None:
        """A review is a review of a product where one is named."""
        history = History(
            [
                Activity("1", "ann", "review", utc(2024, 3, 1), product="mug"),
                Activity("2", "ann", "review", utc(2024, 3, 2)),
            ]
        )
        now = utc(2024, 3, 2)
        assert (2, 1) == tuple(activities("review", where=where).value(history, now) for where in (None, sku("mug")))
        assert (0, 1) == (activities("visit").value(history, now), activities("review", days(1)).value(history, now))

    def test_points_are_those_of_the_unit(self) -> None:
        """What was earned is net of what was taken back of it; the balance also of what was spent."""
        at = to_us(utc(2024, 3, 1))
        moves = [Movement(at, at, "points", "earn", 100), Movement(at, at + 9, "points", "earn", -30)]
        history = History(member="ann", movements=[*moves, Movement(at + 5, at + 5, "points", "redeem", -50)])
        now, before = utc(2024, 3, 2), from_us(at + 8)
        assert (70, 100) == (earned().value(history, now), earned().value(history, before))
        assert (20, 50) == (balance_of().value(history, now), balance_of().value(history, before))
        assert (0, 0) == (earned(unit="stamps").value(history, now), balance_of("stamps").value(history, now))
        assert 70 == earned(anniversary_year()).value(history, now)

    def test_points_that_will_expire_are_a_step_to_come(self) -> None:
        """What is known to expire needs nothing more to happen."""
        at, end = to_us(utc(2024, 3, 1)), to_us(utc(2024, 9, 1))
        history = History(
            member="ann",
            movements=[Movement(at, at, "points", "earn", 100), Movement(end, at, "points", "expire", -100)],
        )
        assert ((at, 100), (end, 0)) == timeline(balance_of(), history, at)

    def test_nobody_has_done_nothing(self) -> None:
        """Of somebody of whom nothing is known every number is 0, in every window."""
        for window in (
            Lifetime(),
            months(6),
            calendar_month(),
            anniversary_year(),
            between(date(2024, 1, 1), date(2025, 1, 1)),
        ):
            assert (D(0), 0) == (
                spend(window).value(History(), utc(2024, 3, 1)),
                orders(window).value(History(), utc(2024, 3, 1)),
            )

    def test_the_membership_year_counts_from_joining(self) -> None:
        """The year of who joined on 1 July ends on 30 June; by default it counts from the first thing known."""
        facts = [bought("1", "2023-09-01", 10), bought("2", "2024-07-02", 20)]
        assert D(20) == spend(anniversary_year()).value(History(facts, joined=utc(2023, 7, 1)), utc(2024, 8, 1))
        assert D(30) == spend(anniversary_year()).value(History(facts), utc(2024, 8, 1))

    def test_gift_cards_and_donations_are_no_spend(self) -> None:
        """A gift card is bought but not spent yet; a donation buys nothing."""
        card, gift = Line("card", 1, total=50, gift_card=True), Line("help", 1, total=5, donation=True)
        history = History([lines("1", "2024-03-01", card), lines("2", "2024-03-01", gift)])
        now = utc(2024, 3, 1)
        assert (D(0), 1, 1) == (
            spend().value(history, now),
            orders().value(history, now),
            products().value(history, now),
        )


# ---------------------------------------------------------------- words, values, bad input


class TestWords:
    @pytest.mark.parametrize(
        ("measure", "text"),
        [
            (spend(months(6)), "spent how much in the past 6 months"),
            (orders(weeks(5), where=category("coffee")), "placed how much orders on coffee in the past 5 weeks"),
            (activities("review"), "did review how much times"),
            (periods("half_year", years(2)), "ordered in how much half-years in the past 2 years"),
        ],
    )
    def test_a_measure_says_itself(self, measure: Measure, text: str) -> None:
        """A measure reads as a part of a sentence."""
        assert text == str(measure)

    @given(MEASURES, MEASURES)
    def test_measures_are_values(self, one: Measure, other: Measure) -> None:
        """Measures compare and hash by what they measure."""
        assert one == attrs.evolve(one)
        assert hash(one) == hash(attrs.evolve(one))
        assert (one == other) == (repr(one) == repr(other))


class TestBadInput:
    @pytest.mark.parametrize("number", [5, "5", D(5), 5.0])
    def test_a_measure_is_not_equal_to_a_number_by_itself(self, number: Any) -> None:
        """``spend() == 5`` would be a plain False: it is an error that says what to write instead."""
        with pytest.raises(TypeError, match=r"use measure\.equals"):
            _ = spend() == number
        with pytest.raises(TypeError, match=r"use measure\.equals"):
            _ = number == spend()
        assert spend() is not None
        assert spend() != ("something", "else")

    @pytest.mark.parametrize(
        ("field", "make"),
        [
            ("measure.kind", lambda: Measure("profit")),  # type: ignore[arg-type]
            ("measure.name", lambda: Measure("activities")),
            ("measure.name", lambda: Measure("orders", name="review")),
            ("measure.name", lambda: periods("fortnight")),  # type: ignore[arg-type]
            ("measure.currency", lambda: spend(currency="dollars")),
            ("measure.currency", lambda: Measure("orders", currency="USD")),
            ("measure.window", lambda: spend("6 months")),  # type: ignore[arg-type]
            ("measure.window", lambda: Measure("balance", months(6), name="points")),
            ("measure.where", lambda: spend(where="coffee")),  # type: ignore[arg-type]
            ("measure.where", lambda: spend(where=weekday("mon"))),
            ("measure.where", lambda: spend(where=category("coffee") & ~order_total(5))),
            ("measure.where", lambda: orders(where=tier("Gold"))),
            ("measure.where", lambda: Measure("earned", name="points", where=sku("mug"))),
            ("window.period", lambda: spend(days(0))),
        ],
    )
    def test_what_cannot_be_measured_is_refused(self, field: str, make: Any) -> None:
        """An unknown kind, a name too many or few, or a filter that not all engines know is an error that names it."""
        with pytest.raises(InputError) as caught:
            make()
        assert field == caught.value.field

    def test_another_currency_is_refused(self) -> None:
        """A measure in euros is not compared with dollars, nor are orders in them counted."""
        with pytest.raises(WrongCurrency, match=r"measure\.currency"):
            spend(currency="EUR").value(History(), utc(2024, 1, 1))
        with pytest.raises(WrongCurrency, match=r"order\.currency"):
            spend().value(History([bought("1", "2024-01-01", 5, currency="EUR")]), utc(2024, 1, 1))
        assert D(5) == spend(currency="EUR").value(
            History([bought("1", "2024-01-01", 5, currency="EUR")], currency="EUR"), utc(2024, 1, 1)
        )

    def test_an_instant_is_asked_for(self) -> None:
        """A day, or a time without a zone, is not an instant."""
        for at in (date(2024, 1, 1), datetime(2024, 1, 1), "2024-01-01"):
            with pytest.raises(InputError, match=r"^at="):
                spend().value(History(), at)  # type: ignore[arg-type]
