"""The engines that the suite is run on: how each makes a frame from plain columns, and hands one back as rows.

Instants come as aware datetimes in UTC. Some engines keep them so, others as naive ones: both are what a base takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import pytest

NEEDS = {"polars-lazy": "polars", "pandas-numpy": "pandas", "pandas-nullable": "pandas", "pandas-arrow": "pandas"}
"""The package that an engine needs, where that has another name."""

# Where all engines have to be there (as in CI), one that is missing is a failure rather than a skip.
_ALL = os.environ.get("LOYALTYKIT_ENGINES") == "all"


def need(*modules: str) -> None:
    """Skip a test, or a module of tests, that needs what is not installed; or fail it where that has to be there."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing and _ALL:
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"NOT TESTED, for not installed: {', '.join(missing)}", allow_module_level=True)


Columns = Mapping[str, Sequence[Any]]
Kinds = Mapping[str, str]
Rows = list[dict[str, Any]]
Engine = tuple[Callable[[Columns, Kinds], Any], Callable[[Any], Rows]]


def _naive(values: Sequence[datetime | None]) -> list[datetime | None]:
    return [None if value is None else value.astimezone(UTC).replace(tzinfo=None) for value in values]


def _without_zone(columns: Columns, kinds: Kinds) -> dict[str, Sequence[Any]]:
    return {name: _naive(values) if kinds[name] == "instant" else values for name, values in columns.items()}


# ---------------------------------------------------------------- pandas


def _pandas(dtypes: Mapping[str, Any], missing: Any) -> Engine:
    import pandas as pd

    def make(columns: Columns, kinds: Kinds) -> Any:
        return pd.DataFrame(
            {
                name: pd.Series([missing if value is None else value for value in values], dtype=dtypes[kinds[name]])
                for name, values in columns.items()
            }
        )

    def collect(frame: Any) -> Rows:
        assert isinstance(frame, pd.DataFrame)
        plain = frame.astype(object)
        return list(plain.where(frame.notna(), None).to_dict("records"))

    return make, collect


def pandas_numpy() -> Engine:
    """Pandas with the types of NumPy: nulls make floats of integers, so whole columns must have none."""
    return _pandas({"text": object, "integer": "int64", "instant": "datetime64[us, UTC]"}, None)


def pandas_nullable() -> Engine:
    """Pandas with its own nullable types, and naive instants."""
    import pandas as pd

    make, collect = _pandas({"text": "string", "integer": "Int64", "instant": "datetime64[us]"}, pd.NA)
    return lambda columns, kinds: make(_without_zone(columns, kinds), kinds), collect


def pandas_arrow() -> Engine:
    """Pandas with the types of Arrow."""
    import pandas as pd
    import pyarrow as pa

    types = {"text": pa.string(), "integer": pa.int64(), "instant": pa.timestamp("us", "UTC")}
    return _pandas({kind: pd.ArrowDtype(each) for kind, each in types.items()}, None)


# ---------------------------------------------------------------- Polars, PyArrow


def _polars_frame(columns: Columns, kinds: Kinds) -> Any:
    import polars as pl

    types = {"text": pl.String, "integer": pl.Int64, "instant": pl.Datetime("us", "UTC")}
    return pl.DataFrame(dict(columns), schema={name: types[kinds[name]] for name in columns})


def polars_eager() -> Engine:
    """Polars, a frame in memory."""
    return _polars_frame, lambda frame: frame.to_dicts()


def polars_lazy() -> Engine:
    """Polars, a plan: what comes back has to be one as well."""
    return lambda columns, kinds: _polars_frame(columns, kinds).lazy(), lambda frame: frame.collect().to_dicts()


def _arrow_table(columns: Columns, kinds: Kinds, zone: str | None = "UTC") -> Any:
    import pyarrow as pa

    types = {"text": pa.string(), "integer": pa.int64(), "instant": pa.timestamp("us", zone)}
    if zone is None:
        columns = _without_zone(columns, kinds)
    return pa.table({name: pa.array(list(values), types[kinds[name]]) for name, values in columns.items()})


def pyarrow() -> Engine:
    """PyArrow tables."""
    return _arrow_table, lambda frame: frame.to_pylist()


# ---------------------------------------------------------------- databases


def duckdb() -> Engine:
    """DuckDB relations, on a connection whose own zone is not UTC."""
    import duckdb as db

    connection = db.connect()
    connection.execute("SET TimeZone = 'America/New_York'")

    def make(columns: Columns, kinds: Kinds) -> Any:
        return connection.from_arrow(_arrow_table(columns, kinds, None))

    def collect(relation: Any) -> Rows:
        assert isinstance(relation, db.DuckDBPyRelation)
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

    return make, collect


def ibis() -> Engine:
    """Ibis tables, on DuckDB."""
    import ibis as lib

    connection = lib.duckdb.connect()

    def make(columns: Columns, kinds: Kinds) -> Any:
        return connection.create_table(lib.util.gen_name("t"), _arrow_table(columns, kinds, None))

    def collect(table: Any) -> Rows:
        assert isinstance(table, lib.Table)
        return list(table.to_pyarrow().to_pylist())

    return make, collect


@contextmanager
def spark_session() -> Iterator[Any]:
    """Start Spark for real, on two cores of this machine."""
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .appName("loyaltykit")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.adaptive.enabled", "false")  # plans of small tables need not change on the way
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    try:
        session.sparkContext.setLogLevel("ERROR")
        yield session
    finally:
        session.stop()


def pyspark(session: Any) -> Engine:
    """Spark's frames."""
    from pyspark.sql import types as st

    types = {"text": st.StringType(), "integer": st.LongType(), "instant": st.TimestampNTZType()}

    def make(columns: Columns, kinds: Kinds) -> Any:
        schema = st.StructType([st.StructField(name, types[kinds[name]]) for name in columns])
        plain = _without_zone(columns, kinds)
        return session.createDataFrame(list(zip(*plain.values(), strict=True)), schema).coalesce(1).cache()

    return make, lambda frame: [row.asDict() for row in frame.collect()]


ENGINES: dict[str, Callable[[], Engine]] = {
    "pandas-numpy": pandas_numpy,
    "pandas-nullable": pandas_nullable,
    "pandas-arrow": pandas_arrow,
    "polars": polars_eager,
    "polars-lazy": polars_lazy,
    "pyarrow": pyarrow,
    "duckdb": duckdb,
    "ibis": ibis,
}
"""All but Spark, which needs a session."""
