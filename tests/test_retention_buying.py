"""Buying: who buys again, how often and for how much, and members against others."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st
from purchase_rows import CUSTOMERS, INSTANTS, ROWS, ZONES, bought, on

from loyaltykit.calendar import days, hours, local_date, months
from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import histories
from loyaltykit.retention.repeat import (
    Buying,
    Group,
    SpendComparison,
    buying,
    member_against_nonmember,
    repeat_purchase_rate,
    repeat_rate,
    repeat_rate_within,
    uplift,
)
from loyaltykit.windows import between, lifetime
from loyaltykit.wire import from_data, to_data

YEAR = between(date(2024, 1, 1), date(2025, 1, 1))
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)


def as_rate(part: int, of: int) -> tuple[int, int] | None:
    """Return the counts of a rate, or None of nobody."""
    return (part, of) if of else None


def counts(found: Any) -> tuple[int, int] | None:
    """Return the counts that a rate keeps."""
    return None if found is None else (found.numerator, found.denominator)


# ---------------------------------------------------------------- properties


@given(ROWS, INSTANTS)
def test_repeat_customers_of_a_window(rows: list[Any], at: datetime) -> None:
    """Of those with an order in the window, the part with two; by days, several of one local day are one."""
    inside = [row for row in rows if START <= row[1] < END and row[1] <= at]
    orders = Counter(row[0] for row in inside)
    visits = Counter(name for name, _ in {(row[0], local_date(row[1], "UTC")) for row in inside})

    for counting, each in (("orders", orders), ("days", visits)):
        expected = as_rate(sum(count >= 2 for count in each.values()), len(each))
        assert expected == counts(repeat_purchase_rate(rows, at, YEAR, zone="UTC", counting=counting))  # type: ignore[arg-type]


@given(ROWS, INSTANTS, ZONES, st.sampled_from([days(30), months(1), hours(36)]), st.booleans())
def test_repeat_customers_of_a_cohort(rows: list[Any], at: datetime, zone: str, within: Any, by_days: bool) -> None:
    """Of those whose time is over, the part that bought again within it; the others are told in the note."""
    ripe = again = early = 0
    for customer in CUSTOMERS:
        found = sorted(row[1] for row in rows if row[0] == customer and row[1] <= at)
        if found:
            end = within.after(found[0], zone)
            late = [
                each
                for each in found[1:]
                if each <= end and (not by_days or local_date(each, zone) != local_date(found[0], zone))
            ]
            ripe, again, early = ripe + (end <= at), again + (end <= at and bool(late)), early + (end > at)
    rate = repeat_rate_within(rows, at, within, zone=zone, counting="days" if by_days else "orders")

    assert as_rate(again, ripe) == counts(rate)
    if rate is not None:
        assert (early > 0) == rate.note.startswith(f"{early} customer")


@given(ROWS, INSTANTS)
def test_value_is_frequency_times_order_value(rows: list[Any], at: datetime) -> None:
    """Orders, buyers and revenue are those of the window, and the exact averages multiply."""
    inside = [row for row in rows if START <= row[1] < END and row[1] <= at]
    found = buying(rows, at, YEAR, zone="UTC")

    revenue = sum((row[2] for row in inside), Decimal(0))
    assert (len({row[0] for row in inside}), len(inside), revenue) == (found.customers, found.orders, found.revenue)
    if inside:
        assert Fraction(found.orders, found.customers) == found.purchase_frequency
        exact = Fraction(revenue) / found.customers
        assert found.customer_value is not None
        assert abs(Fraction(found.customer_value) - exact) <= Fraction(1, 200)
    else:
        assert found.purchase_frequency is found.average_order_value is found.customer_value is None


JOINED = st.dictionaries(st.sampled_from(CUSTOMERS), INSTANTS)


@given(ROWS, INSTANTS, JOINED)
def test_every_purchase_is_on_one_side(rows: list[Any], at: datetime, joined: dict[str, datetime]) -> None:
    """Both sides together have all that was spent; a customer's time on them adds up to the window."""
    inside = [row for row in rows if START <= row[1] < END and row[1] <= at]
    found = member_against_nonmember(rows, at, joined, YEAR, zone="UTC")

    members = [row for row in inside if row[0] in joined and joined[row[0]] <= row[1]]
    others = [row for row in inside if row not in members]
    for side, group in ((members, found.members), (others, found.others)):
        assert (len({row[0] for row in side}), sum(row[2] for row in side)) == (group.customers, group.spend)
    both = {row[0] for row in members} & {row[0] for row in others}
    if both == {row[0] for row in inside}:
        assert found.length * len(both) == (found.members.time or 0) + (found.others.time or 0)


# ---------------------------------------------------------------- by hand


def test_half_of_four_bought_again() -> None:
    """Of orders 1, 1, 2, 5 two customers bought again: 50 %. Of nobody there is no rate, nor of those with none."""
    found = repeat_rate([1, 1, 2, 5])
    assert found is not None
    assert Decimal("50.00") == found.percent
    assert repeat_rate([]) is repeat_rate([0, 0]) is None


def test_an_order_given_back_is_no_repeat() -> None:
    """Who gave the second order back bought once."""
    facts = [Order("1", "ann", on(1, 5), amount=20), Order("2", "ann", on(1, 9), amount=20)]
    facts_later = [*facts, Refund("r", "ann", "2", on(2, 1))]
    rates = [str(repeat_purchase_rate(histories(facts_later), at)) for at in (on(1, 20), on(2, 2))]
    assert ["100 %", "0 %"] == rates


def test_within_thirty_days_of_the_first() -> None:
    """The end is inclusive, to the microsecond; whoever's time is not over is left out, even who bought again."""
    rows = bought(ann=[(1, 1), (1, 31)], bo=[(1, 1), (2, 1)], cy=[(2, 10), (2, 11)], di=[(2, 10)])
    found = repeat_rate_within(rows, on(2, 20), days(30), zone="UTC")
    assert "50 % (2 customers whose 30 days are not over are left out)" == str(found)
    january = between(date(2026, 1, 1), date(2026, 2, 1))
    assert "50 %" == str(repeat_rate_within(rows, on(2, 20), days(30), january, zone="UTC"))


def test_the_edges_of_a_cohort() -> None:
    """A customer whose time ends just now is ripe; one of the first instant of February is not new in January."""
    assert "0 %" == str(repeat_rate_within(bought(ann=[(1, 1)]), on(1, 31), days(30), zone="UTC"))
    rows = [("ann", on(1, 5)), ("bo", datetime(2026, 2, 1, tzinfo=UTC)), ("bo", on(2, 2))]
    january = between(date(2026, 1, 1), date(2026, 2, 1))
    assert "0 %" == str(repeat_rate_within(rows, on(6, 1), days(30), january, zone="UTC"))


def test_the_averages_of_a_window() -> None:
    """Three orders of 100 in all by two customers: 1.5 orders each of 33.33, and 50 a customer."""
    found = buying([("ann", on(1, 5), 20), ("ann", on(1, 8), 50), ("bo", on(2, 9), 30)], on(3, 1))
    assert (Fraction(3, 2), Decimal("33.33"), Decimal("50.00")) == (
        found.purchase_frequency, found.average_order_value, found.customer_value,
    )  # fmt: skip
    assert "no purchases" == str(buying([], on(3, 1)))


def test_yen_have_no_decimals() -> None:
    """Averages of histories are rounded to their currency's minor unit."""
    base = histories([Order("1", "ann", on(1, 5), amount=100), Order("2", "bo", on(1, 5), amount=101)], currency="JPY")
    assert Decimal(101) == buying(base, on(3, 1)).average_order_value  # 100.5, half up
    assert "2 customers, 2 orders (1.00 each) of 101 on average: 101 a customer" == str(buying(base, on(3, 1)))


def test_members_spend_more() -> None:
    """1,400 against 600 is 133.33 % more, 112 against 100 is 12 %; against nothing there is no part."""
    percents = [getattr(uplift(*pair), "percent", None) for pair in (("1400", "600"), ("112", "100"), ("118", "100"))]
    assert [Decimal("133.33"), Decimal("12.00"), Decimal("18.00")] == percents
    assert uplift("5", "0") is None
    assert "-50 %" == str(uplift(50, 100))


def test_a_comparison_tells_its_sample() -> None:
    """With 30 customers on each side it is told plainly, with fewer that it may be chance."""
    many = SpendComparison(Group(30, "42000"), Group(50, "30000"))
    assert "1,400.00 by each of 30 members, 600.00 by each of 50 others: 133.33 % more" == str(many)
    assert (Decimal("800.00"), Fraction(7, 3), "") == (many.difference, many.ratio, many.note)
    few = SpendComparison(Group(29, "42000"), Group(50, "30000"))
    assert "few customers: this may be chance" == few.note == getattr(few.uplift, "note", None)
    for empty in (SpendComparison(Group(0, 0), Group(5, 100)), SpendComparison(Group(5, 100), Group(0, 0))):
        assert empty.difference is empty.ratio is empty.uplift is None
        assert "nothing to compare: a group is empty" == str(empty)
    nothing = SpendComparison(Group(1, 9), Group(1, 0))
    assert nothing.ratio is nothing.uplift is None
    assert "9.00 by each of 1 members, 0.00 by each of 1 others (few customers: this may be chance)" == str(nothing)


def test_who_joins_within_the_window_is_split_there() -> None:
    """Ann, who joins halfway and spends 50 before and 100 after, counts as half a customer on each side."""
    january = between(on(1, 1), on(1, 31))
    rows = [("ann", on(1, 2), 50), ("ann", on(1, 20), 100), ("bo", on(1, 3), 70)]
    found = member_against_nonmember(rows, on(2, 10), {"ann": on(1, 16)}, january, zone="UTC")
    assert (Decimal("200.00"), Decimal("80.00")) == (found.member_spend, found.other_spend)
    assert (1, 2, Decimal("120.00")) == (found.members.customers, found.others.customers, found.difference)


def test_a_day_of_joining_counts_from_its_first_instant() -> None:
    """What was bought earlier on the day of joining is a member's, where the day is all that is known."""
    january = between(date(2026, 1, 1), date(2026, 2, 1))
    rows = [("ann", on(1, 16, hour=8), 50)]
    sides = [
        member_against_nonmember(rows, on(2, 10), {"ann": moment}, january, zone="UTC").members.customers
        for moment in (date(2026, 1, 16), on(1, 16, hour=9), on(1, 16, hour=8))
    ]
    assert [1, 0, 1] == sides


def test_the_sums_have_a_plain_form() -> None:
    """What averages and comparisons are made of comes back from JSON."""
    for value in (Buying(2, 5, "120.00"), SpendComparison(Group(2, "9.50", 7), Group(1, 3), 5)):
        assert value == from_data(type(value), to_data(value))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: repeat_rate([-1]), "counts"),
        (lambda: repeat_purchase_rate([], on(1, 1), counting="visits"), "counting"),  # type: ignore[arg-type]
        (lambda: repeat_purchase_rate([], on(1, 1), months(1)), "zone"),
        (lambda: repeat_rate_within([], on(1, 1), 30, zone="UTC"), "within"),  # type: ignore[arg-type]
        (lambda: buying([("ann", on(1, 1))], on(1, 1)), "base.amount"),
        (lambda: Buying(-1, 0, 0), "buying.customers"),
        (lambda: Buying(1, 1, 0.5), "buying.revenue"),
        (lambda: Group(1, -5), "group.spend"),
        (lambda: uplift(1.5, 1), "spend"),
        (lambda: member_against_nonmember([], on(1, 1), {}, lifetime(), zone="UTC"), "window"),
        (lambda: member_against_nonmember([], on(1, 1), ["ann"], months(1), zone="UTC"), "joined"),  # type: ignore[arg-type]
        (lambda: member_against_nonmember([], on(1, 1), {"ann": "x"}, months(1), zone="UTC"), "joined[ann]"),  # type: ignore[dict-item]
    ],
)
def test_bad_input_is_named(call: Any, field: str) -> None:
    """What cannot be is refused by its name."""
    with pytest.raises(InputError) as caught:
        call()
    assert field == caught.value.field
