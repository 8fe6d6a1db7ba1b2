"""Purchases: what counts as bought, of histories and of rows alike."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import pytest
from histories import histories as any_histories
from hypothesis import given, settings, strategies as st
from purchase_rows import INSTANTS, ROWS, UNITS, ZONES, on

from loyaltykit.calendar import days, start_of, to_us
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Order, Refund
from loyaltykit.history import History, histories
from loyaltykit.measures import orders, spend
from loyaltykit.retention.periods import cuts, places
from loyaltykit.retention.rows import Purchase, bought_in, places_for, purchases, zone_for
from loyaltykit.windows import between, lifetime


@settings(deadline=None)
@given(any_histories(), INSTANTS)
def test_a_history_s_purchases_are_its_orders_and_spend(history: History, at: datetime) -> None:
    """What is bought, in number and money, is what the measures `orders` and `spend` say, at every instant."""
    found = purchases({history.member: history}, at)

    assert orders().value(history, at) == len(found)
    assert spend().value(history, at) == sum(bought.amount or 0 for bought in found)
    assert all(bought.at <= at for bought in found)


@given(ROWS, INSTANTS)
def test_rows_up_to_the_instant_count_once_and_in_order(rows: list[Any], at: datetime) -> None:
    """Every row up to `at`, inclusive, is a purchase; asking again of the answer changes nothing."""
    found = purchases(rows, at)

    assert sorted((to_us(row[1]), row[0], row[2]) for row in rows if row[1] <= at) == sorted(
        (to_us(each.at), each.customer, each.amount) for each in found
    )
    assert sorted(to_us(each.at) for each in found) == [to_us(each.at) for each in found]
    assert found == purchases(found, at)


def test_lines_and_refunds_of_an_order_are_one_purchase() -> None:
    """Rows of one order add up at its first instant; a refund counts from its own instant on, in any order of rows."""
    rows = [("ann", on(1, 1), "20.00", "1"), ("ann", on(1, 1), 5, "1"), ("ann", on(1, 9), "-5.00", "1")]
    for listed in permutations(rows):
        assert (Purchase("ann", on(1, 1), Decimal("20.00"), "1"),) == purchases(listed, on(1, 9))
        assert (Purchase("ann", on(1, 1), Decimal("25.00"), "1"),) == purchases(listed, on(1, 8))


def test_what_was_all_given_back_was_not_bought() -> None:
    """An order of which nothing remains does not count, one that cost nothing does."""
    rows = [
        ("ann", on(1, 1), 20, "1"),
        ("ann", on(1, 9), -20, "1"),
        ("bo", on(1, 1), 0, "2"),
        ("cy", on(1, 2), -9, "3"),
    ]
    assert ["bo"] == [bought.customer for bought in purchases(rows, on(2, 1))]
    assert ["ann", "bo"] == [bought.customer for bought in purchases(rows, on(1, 1))]


def test_guests_are_left_out() -> None:
    """Whoever has no id is no customer."""
    assert () == purchases([(None, on(1, 1), 20)], on(2, 1))


def test_an_amount_that_is_not_known_stays_unknown() -> None:
    """An order of which a line has no amount has none, and is bought all the same."""
    assert (Purchase("ann", on(1, 1), None, "1"),) == purchases(
        [("ann", on(1, 1), None, "1"), ("ann", on(1, 1), 5, "1")], on(2, 1)
    )


def test_histories_and_rows_say_the_same() -> None:
    """An order and its refund are the same purchase as facts and as rows."""
    facts = [Order("1", "ann", on(1, 1), amount="20.00"), Refund("r", "ann", "1", on(1, 9), amount="5.00")]
    rows = [("ann", on(1, 1), "20.00", "1"), ("ann", on(1, 9), "-5.00", "1")]
    for at in (on(1, 1), on(1, 8), on(1, 9)):
        assert purchases(rows, at) == purchases(histories(facts), at)


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ("ann", "base"),
        (3, "base"),
        (["ann"], "base[0]"),
        ([("ann", on(1, 1)), ("bo",)], "base[1]"),
        ([(7, on(1, 1))], "base[0].customer"),
        ([("ann", date(2026, 1, 1))], "base[0].at"),
        ([("ann", datetime(2026, 1, 1))], "base[0].at"),
        ([("ann", on(1, 1), 0.1)], "base[0].amount"),
        ([("ann", on(1, 1), -5)], "base[0].amount"),
        ([("ann", on(1, 1), 5, 17)], "base[0].order"),
        ({"ann": on(1, 1)}, "base"),
    ],
)
def test_bad_rows_are_named(rows: Any, field: str) -> None:
    """What cannot be a purchase is refused by its place and field."""
    with pytest.raises(InputError) as caught:
        purchases(rows, on(2, 1))
    assert field == caught.value.field


def test_currencies_do_not_add_up() -> None:
    """Histories of several currencies are refused together."""
    base = {
        "ann": History([Order("1", "ann", on(1, 1), amount=5)], currency="USD"),
        "bo": History([Order("2", "bo", on(1, 1), amount=5, currency="EUR")], currency="EUR"),
    }
    with pytest.raises(WrongCurrency):
        purchases(base, on(2, 1))


def test_the_zone_is_the_histories_own_or_named() -> None:
    """Histories of one zone need none named; of several, and rows, do."""
    ann = History([Order("1", "ann", on(1, 1), amount=5)], zone="Asia/Tokyo", currency="JPY")
    assert "Asia/Tokyo" == zone_for({"ann": ann}, None)
    assert "UTC" == zone_for({"ann": ann}, "UTC")
    assert "UTC" == zone_for({}, None)
    assert (0, 2) == (places_for({"ann": ann}), places_for([]))
    for base in ([], {"ann": ann, "bo": History(member="bo")}):
        with pytest.raises(InputError) as caught:
            zone_for(base, None)
        assert "zone" == caught.value.field
    with pytest.raises(InputError):
        zone_for([], "Mars/Base")


def test_a_window_needs_a_zone_only_where_it_has_days() -> None:
    """Ever is ever in every zone; a month is not."""
    rows = [("ann", on(1, 1)), ("bo", on(2, 1))]
    assert 2 == len(bought_in(rows, on(3, 1), lifetime(), None))
    january = between(date(2026, 1, 1), date(2026, 2, 1))
    assert ["ann"] == [each.customer for each in bought_in(rows, on(3, 1), january, "UTC")]
    with pytest.raises(InputError):
        bought_in(rows, on(3, 1), january, None)


# ---------------------------------------------------------------- periods


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=400)), UNITS, ZONES)
def test_calendar_periods_follow_one_another(first: datetime, later: timedelta, unit: Any, zone: str) -> None:
    """Periods have no hole and no overlap, start where the calendar's do, and only the last can be in progress."""
    at = first + later
    found = cuts(unit, first, at, zone, last=at)

    assert start_of(unit, first, zone) == found[0].start
    assert start_of(unit, at, zone) == found[-1].start
    assert all(one.end == other.start and not one.partial for one, other in pairwise(found))
    assert (to_us(found[-1].end) - to_us(at) > 1) == found[-1].partial
    assert len(found) == len({cut.label for cut in found})
    assert [0, len(found) - 1] == places([to_us(first), to_us(at)], found)


def test_periods_have_the_names_that_people_use() -> None:
    """Labels sort as time does: ISO weeks, quarters, half-years."""
    at, second = datetime(2027, 1, 1, 9, tzinfo=UTC), datetime(2027, 1, 1, 8, tzinfo=UTC)
    labels = {
        unit: str(cuts(unit, second, at, "UTC")[0]) for unit in ("day", "week", "month", "quarter", "half_year", "year")
    }  # type: ignore[arg-type]
    progress = " (in progress)"
    assert {
        "day": f"2027-01-01{progress}",
        "week": f"2026-W53{progress}",
        "month": f"2027-01{progress}",
        "quarter": f"2027-Q1{progress}",
        "half_year": f"2027-H1{progress}",
        "year": f"2027{progress}",
    } == labels


def test_a_period_is_over_with_its_last_microsecond() -> None:
    """At the last microsecond of a month all of it is known; the next is there once something of it has passed."""
    end = datetime(2026, 2, 1, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    months = {at: [str(cut) for cut in cuts("month", on(1, 5), at, "UTC")] for at in (end - 2 * tick, end - tick, end)}
    assert {end - 2 * tick: ["2026-01 (in progress)"], end - tick: ["2026-01"], end: ["2026-01"]} == months
    assert ["2026-01", "2026-02 (in progress)"] == [str(cut) for cut in cuts("month", on(1, 5), end, "UTC", last=end)]


def test_own_boundaries_are_days_or_instants() -> None:
    """A period of one's own is named by its first and last day, or by its hours where it begins within a day."""
    found = cuts([date(2026, 1, 1), date(2026, 1, 2), on(1, 5), date(2026, 2, 1)], on(1, 1), on(1, 20), "UTC")
    assert [
        "2026-01-01",
        "2026-01-02 00:00 until 2026-01-05 12:00",
        "2026-01-05 12:00 until 2026-02-01 00:00 (in progress)",
    ] == [str(cut) for cut in found]
    assert [-1, 0, 3] == places([to_us(on(2025, 12, 31)), to_us(on(1, 1)), to_us(on(2, 2))], found)
    assert [-1] == places([5], ())


@pytest.mark.parametrize(
    ("by", "field"),
    [
        ("fortnight", "by"),
        (days(14), "by"),
        ([date(2026, 1, 1)], "by"),
        ([date(2026, 1, 2), date(2026, 1, 2)], "by[1]"),
        ([date(2026, 1, 2), "2026-01-03"], "by[1]"),
    ],
)
def test_bad_boundaries_are_named(by: Any, field: str) -> None:
    """Periods are a calendar unit, or at least two boundaries that ascend."""
    with pytest.raises(InputError) as caught:
        cuts(by, on(1, 1), on(2, 1), "UTC")
    assert field == caught.value.field
