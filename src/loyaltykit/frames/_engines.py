"""The engines behind frames: which of them are trusted, and how rows from Python get into each."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import narwhals.stable.v2 as nw

from loyaltykit.errors import InputError

Engine = Literal["polars", "duckdb"]

CONFORMING = frozenset({"pandas", "polars", "pyarrow", "duckdb", "pyspark", "ibis on duckdb"})
"""The engines that have passed the conformance suite (`loyaltykit.testing.frames`)."""

_WRONG = {"ibis on sqlite": "it keeps instants as text and compares them so; load the rows into DuckDB"}
_UNBOUND = "ibis without a connection"  # nothing is run there, so nothing can be wrong about it


class EngineWarning(UserWarning):
    """An engine has not passed the conformance suite: its answers may differ from those of pure Python."""


def narwhal(frame: Any, field: str) -> Any:
    """Return a caller's frame as one of Narwhals; refuse what is none."""
    try:
        return nw.from_native(frame)
    except TypeError:
        hint = "give a frame of pandas, Polars, PyArrow, DuckDB, PySpark or Ibis"
        raise InputError(field, type(frame).__name__, hint) from None


def engine_of(frame: Any) -> str:
    """Return the name of a frame's engine, as in `CONFORMING`."""
    if not frame.implementation.is_ibis():
        return str(frame.implementation.value).lower()
    try:
        return f"ibis on {frame.to_native().get_backend().name}"
    except sys.modules["ibis"].common.exceptions.IbisError:
        return _UNBOUND


def trusted(frame: Any) -> None:
    """Refuse an engine that is known to answer wrongly, and warn of one that nobody has put to the test."""
    engine = engine_of(frame)
    if engine in _WRONG:
        raise InputError("base.frame", engine, _WRONG[engine])
    if engine not in CONFORMING and engine != _UNBOUND:
        message = (
            f"{engine} has not passed the conformance suite of loyaltykit: its answers may differ from those of pure"
            " Python. Run loyaltykit.testing.frames.conform on it, or compare a sample with Base.histories"
        )
        warnings.warn(message, EngineWarning, stacklevel=3)


def lifted(beside: Any, columns: Mapping[str, Sequence[Any]], schema: Mapping[str, Any]) -> Any:
    """Return plain columns as a frame on the engine, and the connection, of another frame."""
    native, implementation = beside.to_native(), beside.implementation
    if implementation.is_pandas():
        pandas = sys.modules["pandas"]
        return nw.from_native(
            pandas.DataFrame(
                {name: pandas.Series(columns[name], dtype=_named(kind, _PANDAS)) for name, kind in schema.items()}
            )
        )
    if implementation.is_pyspark():
        said = ", ".join(f"`{name}` {_named(kind, _SPARK)}" for name, kind in schema.items())
        found = [list(row) for row in zip(*columns.values(), strict=True)]
        return nw.from_native(native.sparkSession.createDataFrame(found, said))
    if implementation.is_pyarrow() or implementation.is_polars():
        plain = nw.from_dict(columns, schema, backend=implementation)
        return plain.lazy() if isinstance(beside, nw.LazyFrame) else plain
    table_of_python = nw.from_dict(columns, schema, backend="pyarrow").to_native()
    if implementation.is_duckdb():
        return nw.from_native(native.query("_", "select * from table_of_python"))
    if implementation.is_ibis():
        return nw.from_native(sys.modules["ibis"].memtable(table_of_python))
    raise InputError("base.frame", str(implementation), "cannot take rows from Python; collect the frame first")


_PANDAS = ("Int64", "boolean", "string", "datetime64[us]")  # the types that have nulls
_SPARK = ("bigint", "boolean", "string", "timestamp_ntz")


def _named(kind: Any, names: tuple[str, str, str, str]) -> str:
    """Return an engine's own name of whole numbers, flags, texts or instants."""
    if kind.is_integer():
        return names[0]
    types = (nw.Boolean, nw.String, nw.Datetime)
    for type_, name in zip(types, names[1:], strict=True):
        if isinstance(kind, type_):
            return name
    raise InputError(
        "base.customer", str(kind), "is a column that Python cannot hand back; cast it to text or integers"
    )
