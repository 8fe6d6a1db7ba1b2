"""Cohorts: who is active so many periods after their first."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from purchase_rows import CUSTOMERS, INSTANTS, ROWS, UNITS, ZONES, bought, on

from loyaltykit.calendar import next_start, start_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import histories
from loyaltykit.retention.cohort_tables import CohortTable, cohorts
from loyaltykit.tables import percent
from loyaltykit.wire import from_data, to_data

TICK = timedelta(microseconds=1)


def steps(unit: Any, start: datetime, end: datetime, zone: str) -> int:
    """Return how many units lie between two starts of one."""
    count = 0
    while start < end:
        start, count = next_start(unit, start, zone), count + 1
    assert start == end
    return count


# ---------------------------------------------------------------- properties


@given(ROWS, INSTANTS, UNITS, ZONES)
def test_each_cell_counts_different_customers(rows: list[Any], at: datetime, unit: Any, zone: str) -> None:
    """Bounded: active in the k-th period after the first purchase's; unbounded: in that one or a later one."""
    rows = [row for row in rows if row[1] <= at]
    found: dict[datetime, list[set[int]]] = {}
    for customer in CUSTOMERS:
        starts = sorted({start_of(unit, row[1], zone) for row in rows if row[0] == customer})
        if starts:
            found.setdefault(starts[0], []).append({steps(unit, starts[0], start, zone) for start in starts})
    bounded, unbounded = (cohorts(rows, at, unit, zone=zone, unbounded=each) for each in (False, True))

    assert sorted(found) == [cohort.period.start for cohort in bounded] == [each.period.start for each in unbounded]
    for cohort, wider in zip(bounded, unbounded, strict=True):
        ages = found[cohort.period.start]
        assert len(ages) == cohort.size == wider.size == cohort.active[0]
        for age in range(len(cohort.active)):
            assert sum(age in each for each in ages) == cohort.active[age]
            assert sum(max(each) >= age for each in ages) == wider.active[age]


@given(ROWS, INSTANTS, UNITS, ZONES)
def test_rows_end_with_the_period_of_now(rows: list[Any], at: datetime, unit: Any, zone: str) -> None:
    """Every cohort reaches the same last period, and its last cell alone is partial, while that is in progress."""
    table = cohorts(rows, at, unit, zone=zone)
    last = start_of(unit, at, zone)
    if last == at and at not in {row[1] for row in rows}:
        last = start_of(unit, at - TICK, zone)
    for cohort in table:
        assert steps(unit, cohort.period.start, last, zone) + 1 == len(cohort.active)
        progress = at < next_start(unit, last, zone) - TICK
        assert [False] * (len(cohort.active) - 1) + [progress] == [cell.partial for cell in cohort]


@given(ROWS, INSTANTS, UNITS, ZONES)
def test_the_curve_of_all_is_weighted_by_size(rows: list[Any], at: datetime, unit: Any, zone: str) -> None:
    """At each age: all active of all customers, of the cohorts that have come so far; in progress or not."""
    table = cohorts(rows, at, unit, zone=zone)
    for partial in (False, True):
        cells = [cell for cohort in table for cell in cohort if partial or not cell.partial]
        expected = [
            (sum(cell.customers for cell in cells if cell.age == age), sum(c.size for c in cells if c.age == age))
            for age in range(max((cell.age for cell in cells), default=-1) + 1)
        ]
        assert expected == [(rate.numerator, rate.denominator) for rate in table.overall(partial).points]
        curves = {curve.name: [rate.share for rate in curve.points] for curve in table.curves(partial)}
        assert sum(map(len, curves.values())) == len(cells)
        assert all(curves[cell.cohort][cell.age] == Fraction(cell.customers, cell.size) for cell in cells)


# ---------------------------------------------------------------- by hand


def small(unbounded: bool = False) -> CohortTable:
    """Ann and Bo start in January, Cy in February, Di in April; it is 10 April."""
    rows = bought(ann=[(1, 5), (1, 6), (2, 3)], bo=[(1, 9), (3, 1), (4, 1)], cy=[(2, 7)], di=[(4, 2)])
    return cohorts(rows, on(4, 10), zone="UTC", unbounded=unbounded)


def test_the_small_table() -> None:
    """Several orders of a month are one customer; a month without new customers has no cohort."""
    assert [("2026-01", (2, 1, 1, 1)), ("2026-02", (1, 0, 0)), ("2026-04", (1,))] == [
        (cohort.period.label, cohort.active) for cohort in small()
    ]
    assert [(2, 2, 1, 1), (1, 0, 0), (1,)] == [cohort.active for cohort in small(unbounded=True)]
    assert 4 == small().ages


def test_the_small_table_reads_well() -> None:
    """A star marks what is in progress, and says so."""
    expected = """
cohort                 customers       0     1     2      3
2026-01                        2   100 %  50 %  50 %  50 %*
2026-02                        1   100 %   0 %  0 %*
2026-04 (in progress)          1  100 %*
* in progress"""
    assert expected[1:] == str(small())
    assert "2026-01: 2 customers, 100 % 50 % 50 % 50 %*" == str(small().cohorts[0])


def test_the_curves_leave_out_what_is_in_progress() -> None:
    """Of January and February together 1 of 3 came a month later; April has no point yet."""
    assert "all: 100 % 33.33 % 50 %" == str(small().overall())
    assert ["2026-01: 100 % 50 % 50 %", "2026-02: 100 % 0 %"] == [str(curve) for curve in small().curves()]
    assert "all: 100 % 33.33 % 33.33 % 50 %" == str(small().overall(partial=True))


def test_a_month_that_is_over_has_no_star() -> None:
    """At the last microsecond of March nothing is in progress."""
    rows = bought(ann=[(1, 5), (2, 3)])
    end = datetime(2026, 4, 1, tzinfo=UTC)
    assert "*" not in str(cohorts(rows, end - TICK, zone="UTC"))
    assert (1, 1, 0) == cohorts(rows, end - TICK, zone="UTC").cohorts[0].active
    assert (1, 1, 0) == cohorts(rows, end, zone="UTC").cohorts[0].active


def test_months_are_of_the_calendar_and_the_zone() -> None:
    """31 January and 1 February are a month apart; in New York, 23:30 of 31 January is January still."""
    rows = bought(ann=[(1, 31), (2, 1)])
    assert (1, 1) == cohorts(rows, on(2, 10), zone="UTC").cohorts[0].active
    late = [("ann", datetime(2026, 1, 5, tzinfo=UTC)), ("ann", datetime(2026, 2, 1, 4, 30, tzinfo=UTC))]
    assert (1, 1) == cohorts(late, on(2, 10), zone="UTC").cohorts[0].active
    assert (1, 0) == cohorts(late, on(2, 10), zone="America/New_York").cohorts[0].active


def test_a_first_order_given_back_is_no_first() -> None:
    """Once the January order was given back, Ann begins in February; the zone is that of the histories."""
    facts = [Order("1", "ann", on(1, 5), amount=5), Order("2", "ann", on(2, 5), amount=5)]
    base = histories([*facts, Refund("r", "ann", "1", on(2, 9))])
    assert ["2026-01", "2026-02"] == [cohorts(base, at).cohorts[0].period.label for at in (on(2, 8), on(2, 9))]


def test_the_heat_table_needs_nothing() -> None:
    """In a notebook the highest share is the darkest, what is in progress dashed; a cell says of how many it is."""
    html = small()._repr_html_()
    assert 'background:rgb(8,81,156);color:#fff" title="1 of 2, 50 %">50.0 %</td>' in html
    assert 'opacity:0.6" title="2 of 2, 100 %">100.0 %</td>' in html
    assert 'dashed #888;outline-offset:-2px;font-style:italic" title="0 of 1, 0 %">0.0 %*</td>' in html
    assert html.count("dashed") == 3
    assert "<caption>share active that many months later; * in progress</caption>" in html
    assert "months later or after" in small(unbounded=True)._repr_html_()


def test_the_heat_table_ends_with_everybody() -> None:
    """The last line is of all cohorts together, each with the weight of its size, without what is in progress."""
    last = small()._repr_html_().split("<tr>")[-1]
    assert last.startswith('<th style="text-align:left;white-space:nowrap">all</th>')
    assert [percent(share.share, 1) for share in small().overall().points] == re.findall(r"[\d.]+ %(?=</td>)", last)
    one = cohorts(bought(ann=[(1, 5)]), on(2, 10), zone="UTC")
    assert "all</th>" not in one._repr_html_()


def test_the_table_is_plain_data_too() -> None:
    """Rows and columns make a frame, a row a cell; and there is a plain form."""
    table = small()
    assert ("2026-01", 2, 1, 1, 0.5, False) == table.rows[1]
    assert 8 == len(table.rows)
    assert all(len(table.columns) == len(row) for row in table.rows)
    assert table == from_data(CohortTable, to_data(table)) == pickle.loads(pickle.dumps(table))
    empty = cohorts([], on(1, 1), zone="UTC")
    assert (0, (), (), ()) == (len(empty), empty.rows, empty.curves(), empty.overall().points)
    assert "cohort  customers" == str(empty)


def test_a_share_that_has_not_come_is_none() -> None:
    """A cohort knows its share at an age, and none for what is to come."""
    first = small().cohorts[0]
    assert "50 %" == str(first.share(1))
    assert first.share(4) is first.share(-1) is None


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: cohorts([], on(1, 1), "fortnight", zone="UTC"), "by"),  # type: ignore[arg-type]
        (lambda: cohorts([], on(1, 1), [on(1, 1), on(1, 2)], zone="UTC"), "by"),  # type: ignore[arg-type]
        (lambda: cohorts([], on(1, 1)), "zone"),
        (lambda: cohorts([], on(1, 1), zone="UTC", unbounded="yes"), "unbounded"),  # type: ignore[arg-type]
        (lambda: cohorts([], datetime(2026, 1, 1), zone="UTC"), "at"),
    ],
)
def test_bad_input_is_named(call: Any, field: str) -> None:
    """What cannot be is refused by its name."""
    with pytest.raises(InputError) as caught:
        call()
    assert field == caught.value.field
