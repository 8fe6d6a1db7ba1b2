"""Rates: retention, churn and reactivation, by formula, by sets and by period."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st
from purchase_rows import INSTANTS, ROWS, UNITS, ZONES, bought, on

from loyaltykit.calendar import Period, days, hours, months, next_start, start_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import histories
from loyaltykit.retention.rates import (
    Rate,
    Turnover,
    churn_rate,
    does_well,
    end_count,
    retained_share,
    retention_by_period,
    retention_rate,
    turnover,
)
from loyaltykit.wire import from_data, to_data

TICK = timedelta(microseconds=1)
SETS = st.sets(st.sampled_from("abcdefgh"))


# ---------------------------------------------------------------- properties


@given(SETS, SETS, SETS)
def test_everybody_now_is_new_returned_or_retained(before: set[str], after: set[str], known: set[str]) -> None:
    """E = N + R + K; churn is what is missing to the retained share; the two rates are equal where R is 0."""
    found = turnover(before, after, known)

    assert len(after) == found.end == found.new + found.returned + found.retained
    assert (len(before & after), len(before - after)) == (found.retained, found.lost)
    assert (len((after & known) - before), len(after - known - before)) == (found.returned, found.new)
    assert len(known - before) == found.dormant
    if before:
        assert found.retained_share is not None
        assert found.churn is not None
        assert found.retained_share.share + found.churn.share == 1
        assert (found.retained_share == found.retention_rate) == (found.returned == 0)
        assert bool(found.retention_rate and found.retention_rate.note) == (found.returned > 0)
    else:
        assert found.retained_share is found.churn is found.retention_rate is None


@given(ROWS, INSTANTS, UNITS, ZONES)
def test_each_period_against_the_one_before(rows: list[Any], at: datetime, unit: Any, zone: str) -> None:
    """Active is who bought in the period; S, E, N, R and K are counted customer by customer."""
    rows = [row for row in rows if row[1] <= at]
    table = retention_by_period(rows, at, unit, zone=zone)

    def active(start: datetime, end: datetime) -> set[str]:
        return {row[0] for row in rows if start <= row[1] < end}

    assert bool(rows) == bool(len(table))
    for each in table:
        start, end = each.period.start, each.period.end
        assert start_of(unit, start, zone) == start
        assert next_start(unit, start, zone) == end
        before = active(start_of(unit, start - TICK, zone), start)
        ever = active(datetime(1970, 1, 1, tzinfo=UTC), start)
        assert turnover(before, active(start, end), ever) == each.turnover
        assert (at < end - TICK) == each.partial


@given(ROWS, INSTANTS, UNITS, ZONES, st.sampled_from([days(1), days(30), months(1), hours(24)]))
def test_alive_at_the_start_and_the_end(rows: list[Any], at: datetime, unit: Any, zone: str, length: Period) -> None:
    """Alive at an instant is who bought in (it - length, it]; a period compares its last microsecond with before it."""
    rows = [row for row in rows if row[1] <= at]

    def alive(then: datetime) -> set[str]:
        return {row[0] for row in rows if length.before(then, zone) < row[1] <= then}

    for each in retention_by_period(rows, at, unit, zone=zone, active="alive", alive_for=length):
        ever = {row[0] for row in rows if row[1] < each.period.start}
        last = min(at, each.period.end - TICK)
        assert turnover(alive(each.period.start - TICK), alive(last), ever) == each.turnover


@given(ROWS, INSTANTS, st.lists(st.dates(date(2023, 11, 1), date(2025, 3, 1)), min_size=3, max_size=6, unique=True))
def test_own_boundaries(rows: list[Any], at: datetime, boundaries: list[date]) -> None:
    """Periods of one's own are compared one with the next; the first is only what the second is compared with."""
    rows = [row for row in rows if row[1] <= at]
    edges = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in sorted(boundaries)]
    found = {each.period.start: each.turnover for each in retention_by_period(rows, at, sorted(boundaries), zone="UTC")}

    assert edges[0] not in found
    for first, second, third in zip(edges, edges[1:], edges[2:], strict=False):
        if second in found:
            before = {row[0] for row in rows if first <= row[1] < second}
            now = {row[0] for row in rows if second <= row[1] < third}
            assert turnover(before, now, {row[0] for row in rows if row[1] < second}) == found[second]
        else:
            assert not any(second <= row[1] for row in rows) or at < second


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.integers(-1000, 1000), st.integers(1, 1000))
def test_rates_compare_by_their_share(part: int, of: int, other: int, others: int) -> None:
    """A rate equals, exceeds and hashes as its exact share does."""
    one, two = Rate(part, of), Rate(other, others)
    assert (Fraction(part, of) < Fraction(other, others)) == (one < two) == (one < Fraction(other, others))
    assert (Fraction(part, of) == Fraction(other, others)) == (one == two)
    assert hash(Fraction(part, of)) == hash(one)
    assert one == Fraction(part, of)
    assert part / of == float(one)


# ---------------------------------------------------------------- by hand


def test_the_worked_example() -> None:
    """10,000 customers, 5,500 new and 2,500 lost make 13,000, of whom 75 % of the first are left."""
    assert 13_000 == end_count(start=10_000, new=5_500, lost=2_500)
    found = retention_rate(start=10_000, new=5_500, end=13_000)
    assert Fraction(3, 4) == found
    assert ("75 %", Decimal("75.00"), "") == (str(found), found and found.percent, found and found.note)
    assert "25 %" == str(churn_rate(10_000, 2_500))


def test_of_nobody_there_is_no_rate() -> None:
    """Without customers at the start nothing is retained or lost."""
    assert retention_rate(0, 5, 5) is None
    assert churn_rate(0, 0) is None
    assert retained_share([], ["a"]) is None
    assert turnover([], []).reactivation is None


def test_new_customers_who_left_again_hide_in_the_formula() -> None:
    """Of a to d three stay, e and f are new, e leaves: the formula says 50 %, not the 75 % that stayed, and tells."""
    assert "75 %" == str(retained_share(["a", "b", "c", "d"], ["a", "b", "c", "f"]))
    assert "50 %" == str(retention_rate(4, 2, 4))
    told = retention_rate(4, 2, 4, retained=3)
    assert Fraction(1, 2) == told
    assert "50 % (1 of the new had left again and count as if others had; truly retained are 75 %)" == str(told)


def test_those_who_came_back_show() -> None:
    """With reactivated customers the formula goes above the share retained, and the value says so."""
    told = retention_rate(2_214, 0, 2_339, retained=747)
    assert told is not None
    assert "1,592 came back after a pause and count as if they had stayed; truly retained are 33.74 %" == told.note
    alone = retention_rate(2_214, 0, 2_339)
    assert alone is not None
    assert "at least 125 came back after a pause and count as if they had stayed" == alone.note
    assert "" == getattr(retention_rate(4, 1, 4, retained=3), "note", None)


def test_the_benchmark_is_inclusive() -> None:
    """35 % does well, a hair less does not, and no rate at all does not."""
    assert does_well(Rate(35, 100))
    assert not does_well(Rate(34_999, 100_000))
    assert not does_well(None)
    assert does_well(Rate(1, 10), Decimal("0.1"))


def test_rates_read_well() -> None:
    """A rate is shown in percent with what it is of, exactly where two decimals suffice."""
    assert ["75 %", "33.33 %", "0.01 %", "100 %", "-50 %", "0 %"] == [
        str(Rate(*pair)) for pair in ((3, 4), (1, 3), (1, 8_000), (5, 5), (-1, 2), (0, 7))
    ]
    assert "Rate(1 of 3, 33.33 %)" == repr(Rate(1, 3))
    assert Rate(1, 3) != "33 %"
    with pytest.raises(TypeError):
        Rate(1, 3) < 0.5  # noqa: B015
    assert Rate(1, 2) >= Decimal("0.5")


def test_customers_by_month() -> None:
    """Ann and Bo in January, Ann and Cy in February, Bo again in March, which is not over."""
    rows = bought(ann=[(1, 5), (2, 3)], bo=[(1, 9), (3, 1)], cy=[(2, 7)])
    table = retention_by_period(rows, on(3, 10), zone="UTC")
    assert [Turnover(0, 2, 0, 0), Turnover(2, 1, 0, 1), Turnover(2, 0, 1, 0, 1)] == [each.turnover for each in table]
    assert [False, False, True] == [each.partial for each in table]
    last = table.periods[-1].turnover
    assert ("0 %", "100 %", "100 %") == (str(last.retained_share), str(last.churn), str(last.reactivation))
    assert "2026-03 (in progress): 0 of 2 stayed, 0 new, 1 came back: 1" == str(table.periods[-1])


def test_the_membership_of_a_day_is_that_of_the_zone() -> None:
    """At 23:30 on 31 January in New York it is February in UTC."""
    rows = [("ann", datetime(2026, 2, 1, 4, 30, tzinfo=UTC))]
    months_of = {
        zone: [each.period.label for each in retention_by_period(rows, on(2, 10), zone=zone)]
        for zone in ("UTC", "America/New_York")
    }
    assert {"UTC": ["2026-02"], "America/New_York": ["2026-01", "2026-02"]} == months_of


def test_alive_counts_whoever_bought_lately() -> None:
    """A customer who bought 30 days before the end of February is alive through it, one of 31 days before is not."""
    rows = bought(ann=[(1, 30)], bo=[(1, 29)])
    table = retention_by_period(rows, on(2, 28, hour=12), zone="UTC", active="alive", alive_for=days(30))
    assert Turnover(2, 0, 0, 1) == table.periods[-1].turnover
    assert table.periods[-1].partial


def test_a_refund_of_everything_undoes_a_purchase() -> None:
    """Who gave everything back is retained until the refund is known, and not after it; the zone is the history's."""
    facts = [
        Order("1", "ann", on(1, 5), amount=20),
        Order("2", "ann", on(2, 5), amount=20),
        Refund("r", "ann", "2", on(3, 5)),
    ]
    shares = {
        at: [str(each.turnover.retained_share) for each in retention_by_period(histories(facts), at)][1]
        for at in (on(2, 28), on(3, 6))
    }
    assert {on(2, 28): "100 %", on(3, 6): "0 %"} == shares


def test_the_table_is_plain_data_too() -> None:
    """Rows and columns make a frame; without purchases there are none."""
    table = retention_by_period(bought(ann=[(1, 5), (2, 3)]), on(2, 10), zone="UTC")
    assert all(len(table.columns) == len(row) for row in table.rows)
    found = dict(zip(table.columns, table.rows[1], strict=True))
    assert ("2026-02", True, 1, 1, 1.0, 1.0, 0.0) == tuple(
        found[name]
        for name in (
            "period", "partial", "customers_before", "retained", "retained_share", "retention_rate", "churn",
        )
    )  # fmt: skip
    assert (None, None, None) == table.rows[0][-3:]
    assert "2026-02 (in progress)" in str(table)
    assert "<td" in table._repr_html_()
    empty = retention_by_period([], on(2, 10), zone="UTC")
    assert (0, ()) == (len(empty), empty.rows)


def test_values_survive_json_and_pickling() -> None:
    """Rates and tables have a plain form and come back from it."""
    table = retention_by_period(bought(ann=[(1, 5), (2, 3)]), on(2, 10), zone="UTC", active="alive")
    assert table == from_data(type(table), to_data(table))
    assert table == pickle.loads(pickle.dumps(table))
    told = Rate(1, 3, "a note")
    assert ("a note", told) == (from_data(Rate, to_data(told)).note, pickle.loads(pickle.dumps(told)))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: retention_rate(10, 6, 5), "new"),
        (lambda: retention_rate(-1, 0, 5), "start"),
        (lambda: retention_rate(10, 0, 5, retained=6), "retained"),
        (lambda: retention_rate(1.5, 0, 5), "start"),  # type: ignore[arg-type]
        (lambda: end_count(1, 1, 3), "lost"),
        (lambda: churn_rate(1, 2), "lost"),
        (lambda: turnover("ann", ["bo"]), "before"),
        (lambda: Rate(1, 0), "rate.denominator"),
        (lambda: Rate(0.5, 2), "rate.numerator"),  # type: ignore[arg-type]
        (lambda: does_well(Rate(1, 2), 0.35), "least"),
        (lambda: retention_by_period([], on(1, 1)), "zone"),
        (lambda: retention_by_period(bought(ann=[(1, 1)]), on(1, 1), "decade", zone="UTC"), "by"),  # type: ignore[arg-type]
        (lambda: retention_by_period([], on(1, 1), zone="UTC", active="visit"), "active"),  # type: ignore[arg-type]
        (lambda: retention_by_period([], on(1, 1), zone="UTC", active="alive", alive_for=30), "window.period"),  # type: ignore[arg-type]
        (lambda: retention_by_period([], date(2026, 1, 1), zone="UTC"), "at"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_named(call: Any, field: str) -> None:
    """What cannot be is refused by its name."""
    with pytest.raises(InputError) as caught:
        call()
    assert field == caught.value.field
