"""One measurement of the benchmark of frames, in a process of its own; what it finds is printed as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE / "peers"))
sys.path.remove(str(HERE))  # a script of this folder is called frames, too
sys.path.append(str(HERE))

from frames_data import AT, orders_file  # noqa: E402
from frames_hand import HAND  # noqa: E402
from measuring import measured  # noqa: E402

from loyaltykit import frames, retention  # noqa: E402
from loyaltykit.amounts import from_minor  # noqa: E402
from loyaltykit.calendar import days, months, to_us, weeks  # noqa: E402
from loyaltykit.facts import Order  # noqa: E402
from loyaltykit.frames import retention as of_bases  # noqa: E402
from loyaltykit.history import histories  # noqa: E402
from loyaltykit.matching import channel  # noqa: E402
from loyaltykit.measures import days_since_first, orders, spend  # noqa: E402
from loyaltykit.windows import calendar_year  # noqa: E402

SEGMENTS = {
    "loyal": (spend(months(6)) >= "250.00") | (orders(weeks(5)) >= 5),
    "lapsed": (orders() >= 1) & ~(orders(days(90)) >= 1),
    "big": spend(calendar_year()) >= "500.00",
    "fresh": days_since_first() <= 30,
    "once": orders().equals(1),
    "app": orders(months(6), where=channel("app")) >= 2,
}
CHECKED = ("loyal", "app")
"""The segments that pure Python judges everybody by, too."""


# ---------------------------------------------------------------- engines


def loaded(engine: str, path: Path) -> Any:
    """Return all orders, in memory, as a frame of the engine."""
    if engine in ("duckdb", "ibis"):
        import duckdb

        connection = duckdb.connect()
        if engine == "ibis":
            import ibis

            return ibis.duckdb.from_connection(connection).read_parquet(str(path))
        connection.execute(f"CREATE TABLE everything AS FROM read_parquet('{path}')")
        return connection.table("everything")
    if engine == "pyspark":
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "6g")
        builder = builder.config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
        return builder.config("spark.sql.shuffle.partitions", "8").getOrCreate().read.parquet(str(path))
    if engine == "pyarrow":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path)
    if engine == "pandas":
        import pandas

        return pandas.read_parquet(path)
    import polars

    return polars.read_parquet(path)


def in_memory(frame: Any) -> Any:
    """Return what an engine hands back as a table in memory, as it does that itself."""
    for method in ("to_arrow_table", "collect", "to_pyarrow"):  # DuckDB, Polars' plans, Ibis
        if hasattr(frame, method) and not hasattr(frame, "sparkSession"):
            return getattr(frame, method)()
    return frame.toArrow() if hasattr(frame, "sparkSession") else frame


def ours(task: str, orders: Any) -> Callable[[], Any]:
    """Return what runs a task by the library, from the caller's frame to rows in memory."""
    asked: dict[str, Callable[[frames.Base], Any]] = {
        "rfm": lambda base: in_memory(of_bases.rfm_summary(base, AT)),
        "segments": lambda base: in_memory(frames.evaluate(base, SEGMENTS, AT)),
        "cohorts": lambda base: of_bases.cohorts(base, AT),
    }

    def run() -> Any:
        return asked[task](frames.Base(orders, amount="cents", channel="channel", check=False))

    return run


def by_hand(task: str, engine: str, orders: Any) -> Callable[[], Any]:
    """Return what runs a task by the query written by hand."""
    return lambda: HAND[engine][task](orders)


# ---------------------------------------------------------------- answers


def plain(task: str, result: Any) -> Any:
    """Return the answers to a task as a Polars frame, or the counts of a cohort table."""
    import polars as pl

    if task == "cohorts":
        if isinstance(result, retention.CohortTable):
            return {
                (cohort.period.label, age): count
                for cohort in result.cohorts
                for age, count in enumerate(cohort.active)
                if count
            }
        found = result if isinstance(result, pl.DataFrame) else pl.from_arrow(result)
        months_of = found.select("first", "age", "customers").iter_rows()
        return {(f"{(first - 1) // 12:04}-{(first - 1) % 12 + 1:02}", age): count for first, age, count in months_of}
    if hasattr(result, "iloc"):
        found = pl.from_pandas(result)
    else:
        found = result if isinstance(result, pl.DataFrame) else pl.from_arrow(result)
    columns = ["frequency", "recency", "T", "repeat_cents"] if task == "rfm" else list(SEGMENTS)
    found = found.rename({"repeat_spend": "repeat_cents"}, strict=False)
    kind = pl.Int64 if task == "rfm" else pl.Boolean
    return found.select("customer", *(pl.col(column).cast(kind) for column in columns)).sort("customer")


def same(left: Any, right: Any) -> bool:
    """Say whether two answers are the same."""
    return bool(left.equals(right) if hasattr(left, "equals") else left == right)


# ---------------------------------------------------------------- pure Python


def people(path: Path, size: int = 20_000) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows (customer, instant, cents, order, channel) by customer, many customers at a time."""
    import duckdb

    query = f"""SELECT customer, "at", cents, "order", channel FROM '{path}' ORDER BY customer"""
    cursor = duckdb.connect().execute(query)

    def rows() -> Iterator[tuple[Any, ...]]:
        while batch := cursor.fetchmany(100_000):
            yield from ((customer, at.replace(tzinfo=UTC), *others) for customer, at, *others in batch)

    chunk: list[tuple[Any, ...]] = []
    for count, (_, of_one) in enumerate(groupby(rows(), key=itemgetter(0)), 1):
        chunk += of_one
        if count % size == 0:
            yield chunk
            chunk = []
    yield chunk


def pure(path: Path) -> Path:
    """Write the RFM summary and two segments of everybody as pure Python works them out, once; return the file."""
    import polars as pl

    out = path.with_suffix(".pure.parquet")
    if out.exists():
        return out
    parts = []
    for chunk in people(path):
        money = [(customer, at, from_minor(cents, "USD"), order) for customer, at, cents, order, _ in chunk]
        summaries = retention.rfm_summary(money, AT, zone="UTC")
        facts = (
            Order(order, customer, at, amount=from_minor(cents, "USD"), channel=channel)
            for customer, at, cents, order, channel in chunk
        )
        base, now = histories(facts), to_us(AT)
        parts.append(
            pl.DataFrame(
                [
                    (each.customer, each.frequency, each.recency, each.T, int((each.repeat_spend or 0) * 100),
                     *(SEGMENTS[name].holds(base[each.customer], now) for name in CHECKED))
                    for each in summaries.customers
                ],
                schema=["customer", "frequency", "recency", "T", "repeat_cents", *CHECKED],
                orient="row",
            )
        )  # fmt: skip
    pl.concat(parts).write_parquet(out)
    return out


def check(engine: str, path: Path) -> dict[str, str]:
    """Return how many customers have the same answers from an engine as from pure Python."""
    import polars as pl

    expected = pl.read_parquet(pure(path)).sort("customer")
    orders = loaded(engine, path)
    found = {}
    for task, columns in (("rfm", ["frequency", "recency", "T", "repeat_cents"]), ("segments", list(CHECKED))):
        got = plain(task, ours(task, orders)()).select("customer", *columns)
        wanted = expected.select("customer", *columns)
        equal = got.join(wanted, on=["customer", *columns], how="inner").height
        found[task] = f"{equal:,} of {max(got.height, wanted.height):,} equal"
    return found


def compare(path: Path, theirs: Path) -> dict[str, int]:
    """Return how many customers have the same frequency, recency and T in another package's summary."""
    import polars as pl

    columns = ["customer", "frequency", "recency", "T"]
    other = pl.read_parquet(theirs).select("customer", *(pl.col(name).cast(pl.Int64) for name in columns[1:]))
    mine = plain("rfm", ours("rfm", loaded("polars", path))()).select(columns)
    return {"equal": mine.join(other, on=columns, how="inner").height, "customers": max(mine.height, other.height)}


def main() -> None:
    """Run what the command line names."""
    what, *rest = sys.argv[1:]
    found: dict[str, Any] = {}
    if what == "data":
        import polars as pl

        path = orders_file(Path(rest[0]), int(rest[1]))
        found = {
            "path": str(path),
            "customers": pl.scan_parquet(path).select(pl.col("customer").n_unique()).collect().item(),
        }
    elif what == "check":
        found = check(rest[0], Path(rest[1]))
    elif what == "compare":
        found = compare(Path(rest[0]), Path(rest[1]))
    else:
        engine, task, path, rounds = rest[0], rest[1], Path(rest[2]), int(rest[3])
        frame = loaded(engine, path)
        few = frame.limit(1000) if engine == "duckdb" else frame.head(1000)
        runs = {"ours": ours(task, frame), "hand": by_hand(task, engine, frame)}
        ours(task, few)(), by_hand(task, engine, few)()  # what is imported at first is not counted
        if what == "both":
            found = {who: {"seconds": [], "work": []} for who in runs}
            results = {}
            for turn in range(rounds):
                for who in sorted(runs, reverse=turn % 2 == 0):  # neither always comes after the other
                    results[who], told = measured(runs[who], 1)
                    for name, taken in found[who].items():
                        taken += told[name]
            found["equal"] = same(*(plain(task, each) for each in results.values()))
        else:
            _, found = measured(runs[what], rounds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
