"""A whole customer base: the caller's own frames, whatever engine holds them, with their columns named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import cached_property
from typing import Any

import attrs
import narwhals.stable.v2 as nw

from loyaltykit.calendar import from_us, instant, to_us, zone as zone_of
from loyaltykit.errors import InputError
from loyaltykit.fields import currency as currency_code, one_of, zone_name
from loyaltykit.frames._engines import Engine, engine_of, lifted, narwhal, trusted
from loyaltykit.frames._tables import (
    Activities,
    Customers,
    Floats,
    Lines,
    Names,
    Points,
    Table,
    ones,
    rows,
    table,
    us_of,
)
from loyaltykit.history import History

_INT = nw.Int64


class Base:
    """A whole customer base, in frames of the caller's: which of their columns means what.

    >>> import polars as pl
    >>> from datetime import UTC, datetime
    >>> from loyaltykit import frames, months, orders, spend
    >>> bought = pl.DataFrame({
    ...     "shopper": ["ann", "ann", "bo", None],
    ...     "placed": [datetime(2026, 3, day) for day in (1, 9, 2, 2)],
    ...     "cents": [20_000, 6_000, 4_000, 900],
    ... })
    >>> base = frames.Base(bought, customer="shopper", at="placed", amount="cents")
    >>> rules = {"loyal": (spend(months(6)) >= "250.00") | (orders() >= 5)}
    >>> frames.evaluate(base, rules, at=datetime(2026, 3, 10, tzinfo=UTC)).sort("shopper").rows()
    [('ann', True), ('bo', False)]

    `frame` has a row for every change of an order, or (with `sku`) of one kind of line of it: pandas, Polars, PyArrow,
    DuckDB, PySpark, an Ibis table. What comes back is of the same kind, and as lazy. The columns:

    * `customer`: their id. Rows without one are a guest's, and count nowhere.
    * `at`: the instant at which the order was placed, the same in all its rows: timestamps in UTC, aware or naive.
      Naive ones are taken for UTC.
    * `order`: its id. Without, every row is an order of its own, which is faster.
    * `amount`: what is spent, signed: integers are minor units (cents), decimals are money. Floats are refused, since
      their sums are not exact: totals that should be 250.00 come out below it, on some engines for every fifth
      customer. With ``floats="round"`` each is rounded to minor units once, half up: an amount whose float lies just
      beside a half unit may be one unit off.
    * `known`: from when the row is known, where that is not `at` (null: at once). A refund has its order's instant as
      `at` and its own as `known`. Where rows only have an instant of their own, name that column for both: the first
      of an order is then the order's.
    * `present`: 1 in the row in which an order or line begins to count as bought, -1 where the last of it is gone, else
      0. Without, it is gone when what is left is nothing, or less, and something was taken back.
    * `sku`, `category` (a column or several), `channel`, `code` (a column or several): what rules ask about. A row that
      takes back repeats them.

    `lines` are the lines of the orders where the frame has orders as a whole; `activities` and `points` what else
    rules ask about; `customers` everybody, also who has bought nothing (else: whoever is in a row). `currency` and
    `zone` are the program's. `engine` (``polars``, ``duckdb``) moves frames of pandas or PyArrow through a faster
    engine and back. `check` asks the engine once, now, whether there are nulls, parts of cents or refunds of unknown
    orders in the columns; turn it off for what cannot be asked, as an Ibis table without a connection.

    Raises `InputError` naming the column and the way out. Warns (`EngineWarning`) of an engine not in `CONFORMING`.
    """

    def __init__(
        self, frame: Any, *, customer: str = "customer", at: str = "at", order: str | None = None,
        amount: str | None = None, known: str | None = None, present: str | None = None, sku: str | None = None,
        category: Names = None, channel: str | None = None, code: Names = None, lines: Lines | None = None,
        activities: Activities | None = None, points: Points | None = None, customers: Customers | None = None,
        currency: str = "USD", zone: str = "UTC", floats: Floats = "refuse", engine: Engine | None = None,
        check: bool = True,
    ) -> None:  # fmt: skip
        self.currency: str = currency_code("base.currency")(currency)
        self.zone: str = zone_name("base.zone")(zone)
        self.customer = customer
        self._floats: Floats = one_of("base.floats", Floats)(floats)
        self._engine = None if engine is None else one_of("base.engine", Engine)(engine)
        self._check = check
        self._given = narwhal(frame, "base.frame")
        self._connection: Any = None
        trusted(self._given)
        columns: dict[str, Any] = {
            "customer": customer, "at": at, "order": order, "amount": amount, "known": known, "present": present,
            "sku": sku, "category": category, "channel": channel, "code": code,
        }  # fmt: skip
        if known is not None and order is None:
            raise InputError("base.known", known, "name the column of the order's id, too: order='...'")
        self.orders = self._table("base", frame, columns)
        self.lines = self.orders if sku is not None else None
        if lines is not None:
            if sku is not None:
                raise InputError("base.lines", "Lines(...)", "the frame has a sku; give lines here or there")
            self.lines = self._table("lines", **_described(lines))
        self.activities = None if activities is None else self._table("activities", **_described(activities))
        self.points = None if points is None else self._table("points", **_described(points))
        self.customers = None if customers is None else self._table("customers", **_described(customers))
        if check and self.customers is not None:
            self._unique(self.customers)

    def _table(self, name: str, frame: Any, columns: Mapping[str, Any]) -> Table:
        moved = self._moved(narwhal(frame, f"{name}.frame"), name, columns)
        return table(name, moved, columns, self.currency, self._floats, self._check)

    def _moved(self, frame: Any, name: str, columns: Mapping[str, Any]) -> Any:
        """Move a frame to the engine that was asked for, as far as its columns are named."""
        if frame.implementation != self._given.implementation:
            hint = f"give a frame of {self._given.implementation}, as the first is"
            raise InputError(f"{name}.frame", str(frame.implementation), hint)
        if self._engine is None:  # a plan is worked out as a whole, a frame step by step
            return frame.lazy() if frame.implementation.is_polars() else frame
        if not (frame.implementation.is_pandas() or frame.implementation.is_pyarrow()):
            raise InputError("base.engine", self._engine, "only frames of pandas and PyArrow are moved; leave it out")
        given = [each for some in columns.values() for each in ([some] if isinstance(some, str) else some or ())]
        there = frame.select(*dict.fromkeys(each for each in given if each in frame.columns))
        if frame.implementation.is_pandas():  # an index would become a column
            there = nw.from_native(there.to_native().reset_index(drop=True))
        if self._engine == "polars":
            return nw.from_native(there.to_polars().lazy())
        if self._connection is None:
            import duckdb

            self._connection = duckdb.connect()
            self._connection.execute("SET TimeZone = 'UTC'")
        return nw.from_native(self._connection.from_arrow(there.to_arrow()))

    def _unique(self, customers: Table) -> None:
        counts = customers.frame.group_by("customer").agg(times=nw.len())
        ((most,),) = rows(counts.select(nw.col("times").max()))
        if most is not None and most > 1:
            raise InputError("customers.customer", "customer", "has somebody twice; give each customer one row")

    # ------------------------------------------------------------ what the rest of the package builds on

    @cached_property
    def tz(self) -> tzinfo:
        """The zone in which days, months and years are decided."""
        return zone_of(self.zone)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables with facts."""
        found = (self.orders, self.lines if self.lines is not self.orders else None, self.activities, self.points)
        return tuple(each for each in found if each is not None)

    @cached_property
    def members(self) -> Any:
        """Everybody in the base: a frame of `customer`, each once."""
        if self.customers is not None:
            return self.customers.frame.select("customer")
        every = together(each.frame.select("customer") for each in self.tables)
        return every.group_by("customer").agg(_rows=nw.len()).select("customer")

    @cached_property
    def span(self) -> tuple[int, int]:
        """The first and the last instant in any row, in microseconds. This asks the engine."""
        every = together(each.frame.select("at") for each in self.tables)
        ((first, last),) = rows(every.select(first=nw.col("at").min(), last=nw.col("at").max()))
        return us_of(first) or 0, us_of(last) or 0

    @cached_property
    def spellings(self) -> dict[str, tuple[str, ...]]:
        """The ways in which each code is spelled: casefolding is Python's. This asks the engine."""
        every = together(each.frame.select(code=nw.col(code)) for each in self.tables for code in each.codes)
        codes = rows(every.filter(~nw.col("code").is_null()).group_by("code").agg(_rows=nw.len()).select("code"))
        spelled: dict[str, tuple[str, ...]] = {}
        for (code,) in sorted(codes):
            spelled[folded(code)] = (*spelled.get(folded(code), ()), code)
        return spelled

    @cached_property
    def anchors(self) -> dict[Any, int | None]:
        """The instant that anniversaries of each customer count from, in microseconds. This asks the engine."""
        has = frozenset() if self.customers is None else self.customers.has
        found = self.members if self.customers is None else self.customers.frame
        if "since" not in has:
            every = together(
                each.frame.select("customer", since=nw.col("known" if "known" in each.has else "at"))
                for each in self.tables
            )
            found = found.join(every.group_by("customer").agg(nw.col("since").min()), on="customer", how="left")
        columns = ["joined", "since"] if "joined" in has else ["since"]
        anchors = {}
        for customer, *moments in rows(found.select("customer", *columns)):
            anchors[customer] = next((us for us in map(us_of, moments) if us is not None), None)
        return anchors

    def bought(self, at: datetime, *others: str) -> Any:
        """Return each order of which something remains at an instant, known by then: `customer`, `at`, `amount`, ...

        `at` is UTC without a zone; `amount` (where the base has one) whole minor units; `order` is there where the base
        has one, and so are `others`, which are the same in all rows of an order. Nothing is asked of the engine yet.
        """
        now = to_us(instant(at))
        table = self.orders
        keys = [each for each in ("customer", "order", "at", *others) if each in table.has]
        sums = [each for each in ("amount", "present") if each in table.has or each == "present"]
        found = present(table, table.frame.filter(seen(table, now)))
        if not table.alone:
            found = summed(found, keys, sums).filter(nw.col("present") > 0)
        if self.customers is not None:
            found = found.join(self.members, on="customer", how="inner")
        return found.select(*keys, *[each for each in sums if each == "amount"])

    def __repr__(self) -> str:
        return f"<Base on {engine_of(self._given)}: {', '.join(self._given.collect_schema().names())}>"

    def histories(self, customers: Iterable[Any] | None = None) -> dict[Any, History]:
        """Return a history of each customer, or of those named, made of their rows: what all pure functions take.

        What is asked of orders, activities and points is answered as by the facts themselves; there are no lines,
        tenders or addresses in rows. It takes memory for every row of those customers.

        >>> import polars as pl
        >>> base = Base(pl.DataFrame({"customer": ["ann", "bo"], "at": [datetime(2026, 3, 1)] * 2}))
        >>> base.histories(["ann"])
        {'ann': <History of ann: 1 order, since 2026-03-01>}
        """
        from loyaltykit.frames._histories import histories  # which builds on this module

        if customers is None:
            return histories(self)
        wanted = list(dict.fromkeys(customers))
        chosen = self.lift({"customer": wanted}, {"customer": self.members.collect_schema()["customer"]})
        return histories(self, self.members.join(chosen, on="customer", how="semi"))

    def native(self, frame: Any, whole: Sequence[str] = ()) -> Any:
        """Return a frame of ours as one of the caller's kind: its column `customer` named as in the caller's frame.

        `whole` are the columns of whole numbers with nulls: pandas would make floats of them.
        """
        found = frame.rename({"customer": self.customer}) if self.customer != "customer" else frame
        given = self._given.implementation
        if isinstance(found, nw.LazyFrame) and not isinstance(self._given, nw.LazyFrame):
            found = found.collect("polars" if given.is_polars() else "pyarrow")
        if given.is_pyarrow():
            return found.to_arrow()
        if not given.is_pandas():
            return found.to_native()
        plain = found.to_pandas()
        return plain.astype(dict.fromkeys(whole, "Int64")) if whole else plain

    def lift(self, columns: Mapping[str, Sequence[Any]], schema: Mapping[str, Any]) -> Any:
        """Return a frame of plain columns, on the engine of the base: what Python has worked out goes back by it."""
        return lifted(self.members, columns, schema)


def together(frames: Iterable[Any]) -> Any:
    """Return the rows of one frame, or of several."""
    first, *others = frames
    return nw.concat([first, *others], how="vertical") if others else first


def folded(code: str) -> str:
    """Return a code as codes are compared: without regard to case and outer spaces."""
    return code.strip().casefold()


def summed(frame: Any, keys: Sequence[str], sums: Sequence[str], **others: nw.Expr) -> Any:
    """Return sums by keys, as whole numbers of 64 bits, and other aggregates.

    Only plain columns are added up: a condition within an aggregate is ignored by some engines.
    """
    return whole(frame.group_by(*keys).agg(*[nw.col(each).sum() for each in sums], **others), sums)


def whole(frame: Any, columns: Sequence[str]) -> Any:
    """Return a frame with columns as whole numbers of 64 bits: what engines count and add up to differs."""
    return frame.with_columns(*[nw.col(each).cast(_INT) for each in columns]) if columns else frame


def lit(us: int) -> nw.Expr:
    """Return an instant as a constant: without a zone, in UTC, as the columns of a base are.

    It is made of a day and a time, since Spark takes a Python datetime for one of the machine's own zone.
    """
    at = from_us(us)
    found = nw.lit(at.date(), nw.Datetime("us"))
    seconds = at.hour * 3600 + at.minute * 60 + at.second
    for count, unit in ((seconds, "s"), (at.microsecond, "us")):
        found = found.dt.offset_by(f"{count}{unit}") if count else found
    return found


def seen(table: Table, now: int) -> nw.Expr:
    """Return whether rows have happened by an instant, and are known by it."""
    happened = nw.col("at") <= lit(now)
    return happened & (nw.col("known") <= lit(now)) if "known" in table.has else happened


def present(table: Table, frame: Any) -> Any:
    """Return rows of orders or lines with `present`, which adds up to more than 0 as long as something is there.

    Where the caller does not say it, the rows of one order, or of its lines of one kind, become one.
    """
    if "present" in table.has:
        return frame
    if not table.derived:  # nothing was taken back
        return frame.with_columns(present=nw.lit(1, _INT))
    kind = [each for each in frame.columns if each not in ("known", "amount")]
    grouped = summed(frame, kind, ["amount"], least=nw.col("amount").min())
    gone = (nw.col("amount") <= 0) & (nw.col("least") < 0)
    return grouped.select(*kind, "amount", present=ones(~gone))


def _described(described: Any) -> dict[str, Any]:
    """Return a further frame and its columns, as `Base._table` takes them."""
    fields = {each.name: getattr(described, each.name) for each in attrs.fields(type(described))}
    return {"frame": fields.pop("frame"), "columns": fields}
