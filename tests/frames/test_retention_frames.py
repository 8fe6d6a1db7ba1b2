"""Retention over whole bases: on every engine, the answers of the pure functions on the same purchases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import attrs
import pytest
from engines import ENGINES, Engine, pyspark

from loyaltykit import frames, orders, retention as pure, spend
from loyaltykit.calendar import day_start, days, hours, local_date, months
from loyaltykit.frames import retention
from loyaltykit.windows import between, lifetime

# DuckDB 2 says so of what Ibis 12 calls.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

KINDS = {"who": "text", "placed": "instant", "cents": "integer", "number": "text", "via": "text"}
NAMES = ["ann", "o'brien", 'bo "q"', "Žofie", "NaN", "null", "日本", " ann"]
BOUNDARIES = [date(2011, 12, 1), date(2011, 12, 31), date(2012, 2, 2), datetime(2012, 3, 1, 7, tzinfo=UTC)]


@attrs.frozen
class Case:
    """The same purchases twice: as rows of the pure functions, and as a base on an engine."""

    rows: list[tuple[Any, ...]]
    at: datetime
    zone: str
    base: frames.Base
    collect: Callable[[Any], list[dict[str, Any]]]

    def found(self, native: Any, *columns: str) -> list[tuple[Any, ...]]:
        """Return those columns of a frame that came back, by customer."""
        return sorted(tuple(row[column] for column in ("who", *columns)) for row in self.collect(native))


def purchases(zone: str, refunds: bool, count: int = 400) -> tuple[list[tuple[Any, ...]], datetime]:
    """Return purchases about some changes of clocks: guests, same instants, begins of days; and what was given back."""
    rng = Random(f"{zone} {refunds}")
    start = datetime(2011, 10, 20, tzinfo=UTC)
    at = start + timedelta(days=180, seconds=rng.randrange(86_400))
    rows: list[tuple[Any, ...]] = []
    for number in range(count):
        who = rng.choice([None, *NAMES]) if rng.random() < 0.3 else f"c{int(rng.expovariate(0.05))}"
        day = day_start(local_date(start + timedelta(days=rng.randrange(190)), zone), zone)
        moment = rng.choice([day, day - timedelta(microseconds=1), at, day + timedelta(seconds=rng.randrange(86_400))])
        cents = rng.randrange(0, 9000)
        via = (None, "web", "app", "web")[number % 4]
        rows.append((who, moment, Decimal(cents) / 100, f"{number}", via))
        if refunds and rng.random() < 0.3:
            back = rng.choice([cents, cents, cents // 2])
            rows.append((who, moment + timedelta(days=rng.randrange(0, 60)), Decimal(-back) / 100, f"{number}", via))
    rng.shuffle(rows)
    return rows, at


def case(engine: Engine, zone: str, refunds: bool) -> Case:
    """Return the purchases of a zone on an engine."""
    make, collect = engine
    rows, at = purchases(zone, refunds)
    who, placed, amounts, numbers, via = zip(*rows, strict=True)
    cents_of = [int(amount * 100) for amount in amounts]
    columns = {"who": who, "placed": placed, "cents": cents_of, "number": numbers, "via": via}
    named: dict[str, Any] = {"order": "number", "known": "placed"} if refunds else {}
    base = frames.Base(
        make(columns, KINDS), customer="who", at="placed", amount="cents", channel="via", zone=zone, **named
    )
    return Case(rows, at, zone, base, collect)


@pytest.fixture(scope="module", params=[("UTC", False), ("America/Havana", True)], ids=["plain", "refunds"])
def data(request: pytest.FixtureRequest) -> tuple[str, bool]:
    """Return a zone, and whether orders are given back."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=ENGINES)
def on(request: pytest.FixtureRequest, data: tuple[str, bool]) -> Case:
    """Return the purchases on each engine."""
    pytest.importorskip(request.param.partition("-")[0], reason=f"NOT TESTED: {request.param} is not here")
    return case(ENGINES[request.param](), *data)


# ---------------------------------------------------------------- small results: the same values


@pytest.mark.parametrize("by", ["day", "week", "month", "quarter", "year"])
def test_cohorts(on: Case, by: Any) -> None:
    """Cohorts by calendar periods are those of the pure function."""
    assert pure.cohorts(on.rows, on.at, by, zone=on.zone) == retention.cohorts(on.base, on.at, by)


def test_unbounded_cohorts(on: Case) -> None:
    """So are those in which a customer counts until the last purchase."""
    expected = pure.cohorts(on.rows, on.at, zone=on.zone, unbounded=True)
    assert expected == retention.cohorts(on.base, on.at, unbounded=True)


@pytest.mark.parametrize("by", ["week", "month", BOUNDARIES], ids=["week", "month", "own"])
@pytest.mark.parametrize("active", ["purchase", "alive"])
def test_retention(on: Case, by: Any, active: Any) -> None:
    """Who stayed, came and came back is the same, by purchases of a period and by those of a trailing time."""
    options: dict[str, Any] = {"active": active, "alive_for": days(20)}
    expected = pure.retention_by_period(on.rows, on.at, by, zone=on.zone, **options)
    assert expected == retention.retention_by_period(on.base, on.at, by, **options)


@pytest.mark.parametrize(("window", "counting"), [(days(60), "days"), (hours(24), "orders"), (months(3), "orders")])
def test_repeat_purchase_rate(on: Case, window: Any, counting: Any) -> None:
    """The share that bought again is the same, to the count."""
    expected = pure.repeat_purchase_rate(on.rows, on.at, window, zone=on.zone, counting=counting)
    found = retention.repeat_purchase_rate(on.base, on.at, window, counting=counting)
    assert repr(expected) == repr(found)


@pytest.mark.parametrize("counting", ["orders", "days"])
def test_repeat_rate_within(on: Case, counting: Any) -> None:
    """Who bought again within a time is the same, to the microsecond, and so is how many are left out."""
    asked = [
        (days(7), lifetime()), (hours(30), days(70)), (months(1), lifetime()), (months(2).to_end_of("month"), days(70)),
    ]  # fmt: skip
    for within, window in asked:
        expected = pure.repeat_rate_within(on.rows, on.at, within, window, zone=on.zone, counting=counting)
        found = retention.repeat_rate_within(on.base, on.at, within, window, counting=counting)
        assert repr(expected) == repr(found)


def test_buying(on: Case) -> None:
    """Customers, orders and revenue are the same, ever and in a window."""
    assert pure.buying(on.rows, on.at) == retention.buying(on.base, on.at)
    assert pure.buying(on.rows, on.at, days(30), zone=on.zone) == retention.buying(on.base, on.at, days(30))


@pytest.mark.parametrize("by", ["day", "week", "month", BOUNDARIES], ids=["day", "week", "month", "own"])
def test_sales_by_period(on: Case, by: Any) -> None:
    """Orders, customers and sales of each period are the same, and print the same; and so is their trend."""
    expected = pure.sales_by_period(on.rows, on.at, by, zone=on.zone)
    found = retention.sales_by_period(on.base, on.at, by)
    assert expected == found
    assert str(expected) == str(found)
    assert 1 < len(found)


@pytest.mark.parametrize("window", [lifetime(), days(60)], ids=str)
def test_sales_by_channel(on: Case, window: Any) -> None:
    """Orders and sales of each channel are the same, with those of orders that name none."""
    expected = pure.sales_by_channel(on.rows, on.at, window, zone=on.zone)
    found = retention.sales_by_channel(on.base, on.at, window)
    assert expected == found
    assert str(expected) == str(found)
    assert {None, "web", "app"} == {each.channel for each in found}


def test_gaps(on: Case) -> None:
    """Gaps between days of purchase are the same, with those that are still open."""
    assert pure.gap_counts(on.rows, on.at, zone=on.zone) == retention.gap_counts(on.base, on.at)
    expected = pure.time_between_orders(on.rows, on.at, zone=on.zone, level="0.9")
    assert expected == retention.time_between_orders(on.base, on.at, level="0.9")


@pytest.mark.parametrize("lost", ["1.5", 3])
def test_won_back(on: Case, lost: Any) -> None:
    """Who was lost and bought again is the same, with each gap and each rhythm."""
    expected = pure.won_back(on.rows, on.at, zone=on.zone, lost=lost)
    assert expected
    assert expected == retention.won_back(on.base, on.at, lost=lost)


def test_members_against_others(on: Case) -> None:
    """What members and others spend is the same, where some joined before, in and after the window."""
    start = on.at - timedelta(days=90)
    since = {f"c{number}": start + timedelta(days=5 * number - 20) for number in range(0, 40, 2)}
    window = between(start, on.at)
    expected = pure.member_against_nonmember(on.rows, on.at, since, window, zone=on.zone)
    assert 0 < expected.members.customers
    assert expected == retention.member_against_nonmember(on.base, on.at, since, window)


# ---------------------------------------------------------------- a row a customer


def cents(value: Decimal | None) -> int:
    """Return money in minor units."""
    assert value is not None
    return int(value * 100)


def test_rfm_summary(on: Case) -> None:
    """Frequency, recency, T, the repeat spend in cents and its mean are those of the pure function."""
    expected = [
        (each.customer, each.frequency, each.recency, each.T, cents(each.repeat_spend), float(each.monetary or 0))
        for each in pure.rfm_summary(on.rows, on.at, zone=on.zone)
    ]
    found = retention.rfm_summary(on.base, on.at)
    assert expected == on.found(found, "frequency", "recency", "T", "repeat_spend", "monetary")


# About where an amount is taken apart, and as much as means, which are floats, are made of on every engine.
LARGE = [sign * amount + step for amount in (2**39, 2**41, 2**53 - 1) for sign in (1, -1) for step in (-1, 0, 1)]


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support:FutureWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("engine", [*ENGINES, "pyspark"], indirect=True)
def test_rfm_summary_of_any_amount(engine: Engine) -> None:
    """However much is spent or given back on the first day or after it, to the last day of all, the rest is exact."""
    make, collect = engine
    first, then = (datetime(9999, 12, day, 12, tzinfo=UTC) for day in (1, 31))
    rows = [row for cents in LARGE for row in ((f"first {cents}", first, cents), (f"first {cents}", then, 7))]
    rows += [row for cents in LARGE for row in ((f"then {cents}", first, 7), (f"then {cents}", then, cents))]
    who, placed, amounts = (list(column) for column in zip(*rows, strict=True))
    frame = make({"who": who, "placed": placed, "cents": amounts}, KINDS)
    base = frames.Base(frame, customer="who", at="placed", amount="cents", check=False)

    found = {row["who"]: row["repeat_spend"] for row in collect(retention.rfm_summary(base, then))}

    assert {f"first {cents}": 7 for cents in LARGE} | {f"then {cents}": cents for cents in LARGE} == found


def test_rfm(on: Case) -> None:
    """Days since the last order, orders and spend of a window are those of the pure function."""
    expected = [(*each.row[:3], cents(each.spent)) for each in pure.rfm(on.rows, on.at, days(90), zone=on.zone)]
    assert expected == on.found(retention.rfm(on.base, on.at, days(90)), "days_since_last", "orders", "spent")


SCORED: list[dict[str, Any]] = [
    {},
    {"k": 3, "money": "mean"},
    {"r": [10, 20, 30], "f": [2, 4], "m": [Decimal("10.005"), 50, 100]},
    {"money": "mean", "m": [20, Decimal("40.33")]},
]


@pytest.mark.parametrize("options", SCORED, ids=["ties", "mean", "own", "own mean"])
def test_rfm_scores(on: Case, options: dict[str, Any]) -> None:
    """Scores are those of the pure function: ties share one, and own points are reached from the better side."""
    table = pure.rfm(on.rows, on.at, days(90), zone=on.zone)
    expected = [each.row for each in pure.rfm_scores(table, **options)]
    assert expected == on.found(retention.rfm_scores(on.base, on.at, days(90), **options), "r", "f", "m")


def test_rfm_segments(on: Case) -> None:
    """Everybody has the segment that the pure function gives, by two scores and by three."""
    found = pure.rfm_scores(pure.rfm(on.rows, on.at, zone=on.zone))
    expected = pure.rfm_segments(found)
    assert list(expected.rows) == on.found(retention.rfm_segments(on.base, on.at), "segment")

    names = {(r, f, m): "best" if r + f + m > 4 else "it's fine" for r in (1, 2) for f in (1, 2) for m in (1, 2)}
    points: dict[str, Any] = {"r": [30], "f": [3], "m": [100]}
    triples = pure.rfm_segments(pure.rfm_scores(pure.rfm(on.rows, on.at, zone=on.zone), **points), names)
    assert list(triples.rows) == on.found(retention.rfm_segments(on.base, on.at, names=names, **points), "segment")


def test_overdue(on: Case) -> None:
    """Labels, ratios and the days until the next label are those of the pure function, without those left out."""
    today = local_date(on.at, on.zone)
    expected = []
    for each in pure.overdue(on.rows, on.at, zone=on.zone, without=["c1"]):
        own = each.risk
        numbers = (None,) * 4
        if own is not None:
            assert own.at_risk_on is not None
            assert own.lost_on is not None
            numbers = (float(own.usual), float(own.ratio), (own.at_risk_on - today).days, (own.lost_on - today).days)
        expected.append((each.customer, each.label, each.since, each.beyond, *numbers))
    columns = ("label", "since", "beyond", "usual", "ratio", "at_risk_in", "lost_in")
    assert sorted(expected) == on.found(retention.overdue(on.base, on.at, without=["c1"]), *columns)


@pytest.mark.parametrize("margin", [None, "0.335", "0.30"])
def test_historic_value(on: Case, margin: Any) -> None:
    """Orders, revenue and margin are those of the pure function, rounded as it rounds."""
    values = pure.historic_value(on.rows, on.at, margin=margin)
    expected = sorted((each.customer, each.orders, cents(each.revenue), cents(each.value)) for each in values)
    assert expected == on.found(retention.historic_value(on.base, on.at, margin=margin), "orders", "revenue", "value")


# ---------------------------------------------------------------- models


def test_what_models_are_fitted_to(on: Case) -> None:
    """Customers who are alike are counted together, and none is lost."""
    summaries = pure.rfm_summary(on.rows, on.at, zone=on.zone)
    alike = Counter((x, t_x, age) for _, x, t_x, age, _ in summaries.in_units_of(7))
    assert sorted((*key, number) for key, number in alike.items()) == list(retention.buying_counts(on.base, on.at))

    spent = Counter((each.frequency, each.monetary) for each in summaries if each.frequency and each.repeat_spend)
    assert sorted((*key, number) for key, number in spent.items()) == list(retention.spending_counts(on.base, on.at))


def test_lifetime_values(on: Case) -> None:
    """What customers will bring is what the pure function says, to the cent."""
    models = pure.BgNbd(0.243, 4.414, 0.793, 2.426), pure.GammaGamma(6.25, 3.74, 15.45)
    expected = pure.lifetime_values(on.rows, on.at, *models, steps=3, margin="0.3", zone=on.zone)
    assert expected == retention.lifetime_values(on.base, on.at, *models, steps=3, margin="0.3")


def test_perks(on: Case) -> None:
    """The lift of a perk comes from the same counts and the same sums as one customer after another gives."""
    used, more = orders(days(90)) >= 3, spend(days(30))
    histories = on.base.histories()
    for result in (more >= "50.00", more):
        expected = pure.perk_lift("gift", histories, on.at, used=used, result=result, least=5)
        assert expected == retention.perk_lift("gift", on.base, on.at, used=used, result=result, least=5)


# ---------------------------------------------------------------- Spark, which takes its time


def test_on_spark(spark: Any) -> None:
    """Spark gives the same answers, whatever the zones of the session and of the machine are."""
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        there = case(pyspark(spark), "America/Havana", True)
        test_cohorts(there, "month")
        test_retention(there, "month", "purchase")
        test_retention(there, BOUNDARIES, "alive")
        test_repeat_purchase_rate(there, days(60), "days")
        test_gaps(there)
        test_won_back(there, "1.5")
        test_members_against_others(there)
        test_rfm_summary(there)
        test_rfm_scores(there, SCORED[1])
        test_overdue(there)
        test_historic_value(there, "0.335")
        test_what_models_are_fitted_to(there)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
