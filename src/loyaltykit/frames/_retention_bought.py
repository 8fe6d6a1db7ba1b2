"""Purchases of a base, a row each: what every measure of retention begins with, on any engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import attrs
import narwhals.stable.v2 as nw

from loyaltykit.amounts import exponent, from_minor
from loyaltykit.calendar import CalendarUnit, Period, from_us, instant, local_date, to_us
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_time import between, number, place, wall
from loyaltykit.retention.periods import By, Cut, cuts
from loyaltykit.windows import Window, as_window, bounds, lifetime

EVER = lifetime()
CUSTOMER, AT, AMOUNT = nw.col("customer"), nw.col("at"), nw.col("amount")


@attrs.frozen(slots=False)
class Bought:
    """The purchases of a window up to an instant: `frame` has `customer`, `at` and, where known, `amount`.

    Instants are in UTC without a zone, amounts whole minor units of what is left of an order.
    """

    base: Base
    frame: Any
    at: datetime

    @property
    def zone(self) -> str:
        """The zone in which days and months are decided."""
        return self.base.zone

    @property
    def today(self) -> int:
        """The number of the local day of the instant."""
        return local_date(self.at, self.zone).toordinal()

    @cached_property
    def span(self) -> tuple[int, int] | None:
        """The first and the last instant, in microseconds; None where nobody bought. The engine is asked for it."""
        ((first, last),) = rows(self.frame.select(first=AT.min(), last=AT.max()))
        return None if first is None else (to_us(first.replace(tzinfo=UTC)), to_us(last.replace(tzinfo=UTC)))

    def number(self, unit: CalendarUnit, at: nw.Expr = AT) -> nw.Expr:
        """Return the number of the local day, week, month, ... of instants."""
        return number(self._wall(at), unit)

    def _wall(self, at: nw.Expr) -> nw.Expr:
        return wall(at, self.zone, lambda: (self.base.span[0], to_us(self.at)))

    @property
    def days(self) -> Any:
        """Each day on which each customer bought: `customer`, `day`, its number, and the `amount` of that day."""
        return self._daily(self.number("day"))

    @property
    def days_by_place(self) -> Any:
        """The same with the `place` of each day as its `day`: see `loyaltykit.frames._retention_time.place`."""
        return self._daily(place(self._wall(AT)))

    def _daily(self, day: nw.Expr) -> Any:
        days = self.frame.select(CUSTOMER, *self.sums, day=day)
        return grouped(days, ["customer", "day"], self.sums)

    def cuts(self, by: By) -> tuple[Cut, ...]:
        """Return the periods from that of the first purchase until that of the instant."""
        if self.span is None:
            return ()
        first, last = map(from_us, self.span)
        return cuts(by, first, self.at, self.zone, last=last)

    # ------------------------------------------------------------ money

    @property
    def sums(self) -> list[str]:
        """The columns that add up: the amount, where the base has one."""
        return [name for name in self.frame.columns if name == "amount"]

    def priced(self) -> Bought:
        """Return the same purchases, or refuse those of a base without amounts."""
        if not self.sums:
            raise InputError("base.amount", None, "name the column of the amounts, as in Base(frame, amount='cents')")
        return self

    @property
    def places(self) -> int:
        """How many decimals money has."""
        return exponent(self.base.currency)

    def money(self, units: int) -> Decimal:
        """Return whole minor units as money."""
        return from_minor(units, self.base.currency)

    # ------------------------------------------------------------ out

    def native(self, frame: Any, *columns: str) -> Any:
        """Return `customer` and those of the columns that there are, as a frame of the caller's kind."""
        chosen = frame.select("customer", *(name for name in columns if name in frame.columns))
        eager = isinstance(self.base.orders.frame, nw.DataFrame)
        return self.base.native(chosen.collect() if eager and isinstance(chosen, nw.LazyFrame) else chosen)


def bought(base: Base, at: datetime, window: Window | Period = EVER, *others: str) -> Bought:
    """Return the purchases of a window up to an instant, with `others` of their columns."""
    if not isinstance(base, Base):
        raise InputError("base", type(base).__name__, "give a base, as in frames.Base(frame, customer='...', at='...')")
    at = from_us(to_us(instant(at)))
    low, stop = bounds(as_window(window), at, base.zone).us
    found = base.bought(at, *others)
    if low is not None or stop <= to_us(at):
        found = found.filter(between(AT, low, stop))
    # A plan is worked out better as a whole than step by step.
    planned = found.lazy() if found.implementation.is_polars() else found
    return Bought(base, planned, at)


# ---------------------------------------------------------------- what every engine can do


def grouped(
    frame: Any, by: Sequence[str], sums: Sequence[str] = (), count: str | None = None, **others: nw.Expr
) -> Any:  # fmt: skip
    """Group a frame, add up columns and count rows, as whole numbers of 64 bits: what engines sum to differs.

    The `others` are elementary aggregates, the only ones that every engine has.
    """
    counts = {} if count is None else {count: nw.len()}
    found = frame.group_by(*by).agg(*(nw.col(name).sum() for name in sums), **counts, **others)
    return found.with_columns(nw.col(name).cast(nw.Int64) for name in [*sums, *counts])


def counted(flag: nw.Expr) -> nw.Expr:
    """Return 1 where a condition holds, else 0: sums of conditions differ among engines."""
    return nw.when(flag).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(0, nw.Int64))


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a small table, in plain Python: the engine is asked here."""
    found = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return list(zip(*(found[name].to_list() for name in found.columns), strict=True))


def added(frame: Any, *names: str) -> tuple[int, ...]:
    """Return the sums of columns; 0 of nothing."""
    (found,) = rows(frame.select(nw.col(name).sum().cast(nw.Int64) for name in names))
    return tuple(number or 0 for number in found)


def counts_of(frame: Any, *by: str) -> Counter[Any]:
    """Return how many rows there are of each value of a column, or of each tuple of values of several."""
    found = rows(grouped(frame, by, count="n").select(*by, "n"))
    return Counter({row[0] if len(by) == 1 else row[:-1]: row[-1] for row in found})
