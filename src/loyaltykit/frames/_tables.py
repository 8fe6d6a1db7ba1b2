"""The caller's columns under the library's own names: one table for each kind of fact, every value exact.

Whatever an engine could take for something else is settled here, once: instants are UTC without a zone, in
microseconds; money is whole minor units; rows of guests, who have no customer, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any, Literal

import attrs
import narwhals.stable.v2 as nw

from loyaltykit.amounts import exponent, to_minor
from loyaltykit.calendar import to_us
from loyaltykit.errors import InputError

Floats = Literal["refuse", "round"]
Names = str | tuple[str, ...] | list[str] | None

_INSTANTS = ("at", "known", "sure", "joined", "since")
_MUST = ("at", "order", "sku", "amount", "present", "name", "unit", "kind", "points")  # no row is without them
_KEYS = ("customer", "order", "sku")
_UTC = ("UTC", "Etc/UTC", "+00:00", "Z")
_INT = nw.Int64
_MOST = 10.0**15
_ROUND = "pass floats='round' if cents that may be off by one are good enough"
_BACK = (
    "has amounts below zero: say of which order, and from when they are known (order=, known=); where each row has an"
    " instant of its own, known= may name the column of at=, and the first is the order's"
)


# ---------------------------------------------------------------- what the caller says of further frames


@attrs.frozen
class Lines:
    """Lines of orders, in a frame of their own: the columns of `Base`, with the product and its categories."""

    frame: Any
    customer: str = "customer"
    order: str = "order"
    at: str = "at"
    amount: str | None = "amount"
    known: str | None = None
    present: str | None = None
    sku: str = "sku"
    category: Names = None
    channel: str | None = None
    code: Names = None


@attrs.frozen
class Activities:
    """What customers did besides buying: a row each, with the activity's name, and its product where it has one."""

    frame: Any
    customer: str = "customer"
    at: str = "at"
    name: str = "name"
    product: str | None = None


@attrs.frozen
class Points:
    """Points that came and went: a row each, signed; `unit` and `kind` as in `loyaltykit.history.Movement`."""

    frame: Any
    customer: str = "customer"
    at: str = "at"
    points: str = "points"
    unit: str = "unit"
    kind: str = "kind"
    known: str | None = None
    sure: str | None = None


@attrs.frozen
class Customers:
    """Everybody in the base, a row each, with orders or without; whoever is not named is not in it.

    `joined` is the instant that anniversaries count from; where it is null, `since` is: the first thing known of the
    customer, which without that column is the first of the rows.
    """

    frame: Any
    customer: str = "customer"
    joined: str | None = None
    since: str | None = None


# ---------------------------------------------------------------- a table


@attrs.frozen
class Table:
    """A frame with the library's own names for its columns: those in `has`, and numbered ones where there are several.

    `categories` and `codes` are the names of the columns that hold them.
    """

    name: str
    frame: Any
    has: frozenset[str]
    categories: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether every row is an order of its own."""
        return "order" not in self.has

    @property
    def derived(self) -> bool:
        """Whether it follows from the amounts of an order what is left of it."""
        return "present" not in self.has and {"known", "amount"} <= self.has


def table(name: str, frame: nw.DataFrame[Any] | nw.LazyFrame[Any], columns: Mapping[str, Any], currency: str,
          floats: Floats, check: bool) -> Table:  # fmt: skip
    """Return a table of a frame; `columns` has the caller's name of each column, or several names, or None."""
    wanted: dict[str, str] = {}
    several: dict[str, tuple[str, ...]] = {}
    for column, given in columns.items():
        if isinstance(given, tuple | list):
            several[column] = tuple(f"{column}{place}" for place in range(len(given)))
            wanted |= dict(zip(several[column], given, strict=True))
        elif given is not None:
            several[column] = (column,)
            wanted[column] = given
    schema = frame.collect_schema()
    for column, given in wanted.items():
        if given not in schema:
            raise InputError(f"{name}.{column}", given, f"no such column; there are: {', '.join(schema.names())}")
        if column in _KEYS and schema[given].is_float():
            hint = "is a column of floats, maybe because of nulls; cast it to integers that have nulls, or to text"
            raise InputError(f"{name}.{column}", given, hint)
    makes = _Columns(name, wanted, schema, currency, floats)
    has = frozenset({*wanted, *several})
    if "known" in has and not has & {"amount", "present", "points"}:
        hint = "say what changes then: name the column of the amounts, or that of present"
        raise InputError(f"{name}.known", wanted["known"], hint)
    found = frame.filter(~nw.col(wanted["customer"]).is_null())
    found = makes.plain(found)
    read = [makes.column(column).alias(column) for column in wanted]
    if check:
        makes.check(found)
    found = found.select(*read)
    if "known" in has:
        if wanted["known"] == wanted["at"]:
            found = found.with_columns(at=nw.col("at").min().over("customer", "order"))
        known, at = nw.col("known"), nw.col("at")
        found = found.with_columns(known=nw.when(known.is_null()).then(at).otherwise(known))
    return Table(name, found, has, several.get("category", ()), several.get("code", ()))


class _Columns:
    """How the columns of one frame are read."""

    def __init__(self, name: str, wanted: Mapping[str, str], schema: Any, currency: str, floats: Floats) -> None:
        self.name, self.wanted, self.schema = name, wanted, schema
        self.currency, self.floats = currency, floats
        self.scale = 10 ** exponent(currency)

    def field(self, column: str) -> str:
        return f"{self.name}.{column}"

    def plain(self, frame: Any) -> Any:
        """Return a frame whose amounts an engine can add up: Python's own Decimals, in pandas, become integers."""
        given = self.wanted.get("amount")
        if given is None or not isinstance(self.schema[given], nw.Object):
            return frame
        values = frame[given].to_list()
        units = []
        for place, value in enumerate(values):
            if not isinstance(value, Decimal) or not value.is_finite():
                raise InputError(f"{self.field('amount')}[{place}]", value, "give a Decimal in every row, or integers")
            units.append(to_minor(value, self.currency, f"{self.field('amount')}[{place}]"))
        series = nw.new_series(given, units, _INT, backend=frame.implementation)
        self.schema = {**self.schema, given: _INT()}
        native = frame.to_native().reset_index(drop=True)
        return nw.from_native(native).with_columns(series)

    def column(self, column: str) -> nw.Expr:
        """Return how a column is read."""
        given = nw.col(self.wanted[column])
        if column in _INSTANTS:
            return self._instant(column, given)
        if column == "amount":
            return self._money(given)
        if isinstance(self.schema[self.wanted[column]], nw.Categorical | nw.Enum):
            return given.cast(nw.String)
        if column in ("present", "points"):
            if not self.schema[self.wanted[column]].is_integer():
                hint = f"give whole numbers: cast the column, now {self.schema[self.wanted[column]]}, to integers"
                raise InputError(self.field(column), self.wanted[column], hint)
            return given.cast(_INT)
        return given

    def _instant(self, column: str, given: nw.Expr) -> nw.Expr:
        dtype = self.schema[self.wanted[column]]
        if not isinstance(dtype, nw.Datetime):
            hint = f"is a column of {dtype}; give instants: timestamps in UTC"
            raise InputError(self.field(column), self.wanted[column], hint)
        if dtype.time_zone is not None and dtype.time_zone not in _UTC:
            hint = f"is in {dtype.time_zone}; convert the column to UTC, or to UTC without a zone"
            raise InputError(self.field(column), self.wanted[column], hint)
        found = given if dtype.time_zone is None else given.dt.replace_time_zone(None)
        return found.cast(nw.Datetime("us")) if dtype.time_unit == "ns" else found

    def _money(self, given: nw.Expr) -> nw.Expr:
        dtype = self.schema[self.wanted["amount"]]
        if dtype.is_integer():
            return given.cast(_INT)
        if isinstance(dtype, nw.Decimal):
            units: nw.Expr = given * self.scale
            return units.cast(_INT)
        if not dtype.is_float():
            hint = f"is a column of {dtype}; give integers, of minor units, or decimals"
            raise InputError(self.field("amount"), self.wanted["amount"], hint)
        if self.floats == "refuse":
            hint = f"floats are not exact: give integers, of minor units, or decimals; or {_ROUND}"
            raise InputError(self.field("amount"), self.wanted["amount"], hint)
        units = given * self.scale + 0.5
        return units.floor().cast(_INT)  # engines do not agree on rounding

    def check(self, frame: Any) -> None:
        """Ask the engine, once, whether there is anything in the columns that cannot be counted rightly."""
        doubts = list(self._doubts())
        if not doubts:
            return
        asked = [ones(doubt).sum().alias(f"d{place}") for place, (_, doubt, _) in enumerate(doubts)]
        ((*counts,),) = rows(frame.select(*asked))
        for (column, _, hint), count in zip(doubts, counts, strict=True):
            if count:
                raise InputError(self.field(column), self.wanted[column], f"{hint} ({int(count):,} rows)")

    def _doubts(self) -> Iterator[tuple[str, nw.Expr, str]]:
        """Yield what must not be so in any row: of which column, and the way out."""
        for column, given in self.wanted.items():
            if column in _MUST:
                yield column, nw.col(given).is_null(), "has rows without a value; fill them, or leave those rows out"
        if "present" in self.wanted:
            present = nw.col(self.wanted["present"])
            yield "present", (present < -1) | (present > 1), "is 1 where something begins to count, -1 where it is gone"
        if "amount" not in self.wanted:
            return
        money, dtype = nw.col(self.wanted["amount"]), self.schema[self.wanted["amount"]]
        if dtype.is_float():
            yield "amount", money.is_nan() | (money.abs() >= _MOST), "has rows that are no amount of money"
        if isinstance(dtype, nw.Decimal) and (dtype.scale or 0) > exponent(self.currency):
            hint = f"has parts of minor units: round it to {exponent(self.currency)} decimals first"
            yield "amount", money * self.scale != self._money(money), hint
        if "order" not in self.wanted or "known" not in self.wanted:
            yield "amount", money < 0, _BACK


def ones(flag: nw.Expr) -> nw.Expr:
    """Return 1 where a condition holds, else 0: sums of conditions differ among engines."""
    return nw.when(flag).then(nw.lit(1, _INT)).otherwise(nw.lit(0, _INT))


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a small table; the engine is asked here. Nulls are None, whatever the engine calls them."""
    found = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    if not found.implementation.is_pandas():
        return list(found.iter_rows())
    native = found.to_native()
    plain = native.astype(object).where(native.notna(), None)
    return list(plain.itertuples(index=False, name=None))


def us_of(value: Any) -> int | None:
    """Return an instant of a table in microseconds since 1970."""
    return None if value is None else to_us(value.replace(tzinfo=UTC))
