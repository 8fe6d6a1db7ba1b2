"""The floor of the benchmark of frames: what somebody who knows an engine well would write for these very questions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from frames_data import AT

DAY = "2026-07-01"  # of AT, in UTC
SIX_MONTHS, FIVE_WEEKS, NINETY_DAYS = datetime(2026, 1, 1, 12), datetime(2026, 5, 27, 12), datetime(2026, 4, 2, 12)
THIS_YEAR, A_MONTH_OF_DAYS = datetime(2026, 1, 1), datetime(2026, 6, 1)
NOW = AT.replace(tzinfo=None)

# ---------------------------------------------------------------- DuckDB

_RFM = f"""
    WITH daily AS (
        SELECT customer, "at"::DATE AS day, sum(cents)::BIGINT AS cents
        FROM orders WHERE customer IS NOT NULL AND "at" <= TIMESTAMP '{NOW}' GROUP BY ALL
    )
    SELECT customer, count(*) - 1 AS frequency, max(day) - min(day) AS recency, DATE '{DAY}' - min(day) AS "T",
           (sum(cents) - arg_min(cents, day))::BIGINT AS repeat_cents,
           repeat_cents / greatest(frequency, 1) / 100 AS monetary
    FROM daily GROUP BY customer
"""
_SEGMENTS = f"""
    SELECT customer,
        coalesce(sum(cents) FILTER ("at" > TIMESTAMP '{SIX_MONTHS}'), 0) >= 25000
            OR count(*) FILTER ("at" > TIMESTAMP '{FIVE_WEEKS}') >= 5 AS loyal,
        max("at") <= TIMESTAMP '{NINETY_DAYS}' AS lapsed,
        coalesce(sum(cents) FILTER ("at" >= TIMESTAMP '{THIS_YEAR}'), 0) >= 50000 AS big,
        min("at") >= TIMESTAMP '{A_MONTH_OF_DAYS}' AS fresh,
        count(*) = 1 AS once,
        count(*) FILTER (channel = 'app' AND "at" > TIMESTAMP '{SIX_MONTHS}') >= 2 AS app
    FROM orders WHERE customer IS NOT NULL AND "at" <= TIMESTAMP '{NOW}' GROUP BY customer
"""
_COHORTS = f"""
    WITH active AS (
        SELECT DISTINCT customer, year("at") * 12 + month("at") AS m
        FROM orders WHERE customer IS NOT NULL AND "at" <= TIMESTAMP '{NOW}'
    ), cohort AS (SELECT customer, min(m) AS first FROM active GROUP BY customer)
    SELECT first, m - first AS age, count(*) AS customers FROM active JOIN cohort USING (customer) GROUP BY ALL
"""


def duckdb(orders: Any, query: str) -> Any:
    """Run one of the queries on a relation."""
    return orders.query("orders", query).to_arrow_table()


# ---------------------------------------------------------------- Polars


def _bought(orders: Any) -> Any:
    import polars as pl

    return orders.lazy().filter(pl.col("customer").is_not_null() & (pl.col("at") <= NOW))


def polars_rfm(orders: Any) -> Any:
    """Return frequency, recency, T and what was spent after the first day."""
    import polars as pl

    day, end = pl.col("day"), pl.lit(NOW.date())
    daily = _bought(orders).group_by("customer", pl.col("at").dt.date().alias("day")).agg(pl.col("cents").sum())
    return (
        daily.group_by("customer")
        .agg(
            frequency=pl.len() - 1,
            first=day.min(),
            last=day.max(),
            repeat_cents=pl.col("cents").sum() - pl.col("cents").get(day.arg_min()),
        )
        .select(
            "customer", "frequency", recency=(pl.col("last") - pl.col("first")).dt.total_days(),
            T=(end - pl.col("first")).dt.total_days(), repeat_cents="repeat_cents",
            monetary=pl.col("repeat_cents") / pl.max_horizontal("frequency", 1) / 100,
        )
        .collect()
    )  # fmt: skip


def polars_segments(orders: Any) -> Any:
    """Return who is in which of six segments."""
    import polars as pl

    at, cents = pl.col("at"), pl.col("cents")
    return (
        _bought(orders)
        .group_by("customer")
        .agg(
            loyal=(cents.filter(at > SIX_MONTHS).sum() >= 25000) | ((at > FIVE_WEEKS).sum() >= 5),
            lapsed=at.max() <= NINETY_DAYS,
            big=cents.filter(at >= THIS_YEAR).sum() >= 50000,
            fresh=at.min() >= A_MONTH_OF_DAYS,
            once=pl.len() == 1,
            app=((pl.col("channel") == "app") & (at > SIX_MONTHS)).sum() >= 2,
        )
        .collect()
    )


def polars_cohorts(orders: Any) -> Any:
    """Return how many of the customers of each month bought how many months later."""
    import polars as pl

    month = (pl.col("at").dt.year() * 12 + pl.col("at").dt.month()).alias("m")
    active = _bought(orders).select("customer", month).unique()
    cohort = active.group_by("customer").agg(first=pl.col("m").min())
    return (
        active.join(cohort, on="customer")
        .group_by("first", age=pl.col("m") - pl.col("first"))
        .agg(customers=pl.len())
        .collect()
    )


Task = Callable[[Any], Any]
HAND: dict[str, dict[str, Task]] = {
    "duckdb": {
        "rfm": lambda orders: duckdb(orders, _RFM),
        "segments": lambda orders: duckdb(orders, _SEGMENTS),
        "cohorts": lambda orders: duckdb(orders, _COHORTS),
    },
    "polars": {"rfm": polars_rfm, "segments": polars_segments, "cohorts": polars_cohorts},
}
