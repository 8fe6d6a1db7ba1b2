"""RFM of whole bases: a row a customer, in the caller's own kind of frame."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit.calendar import Period
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import AMOUNT, AT, EVER, Bought, bought, grouped
from loyaltykit.frames._retention_time import with_days
from loyaltykit.windows import Window

_FIRST, _LAST, _BIG, _SMALL = (nw.col(name) for name in ("first", "last", "big", "small"))
_PART = 2**39  # of an amount
_DAY = 2**41  # more than twice as much; with the place of a day, 22 bits, it just fits in 64 bits


def rfm_summary(base: Base, at: datetime) -> Any:
    """Return frequency, recency, T and monetary value of each customer, as `loyaltykit.retention.rfm_summary` says.

    A frame of the kind that the base is made of, a row a customer who bought: `frequency`, `recency` and `T`, in local
    days; and, where the base has amounts, `repeat_spend`, exact, in minor units (cents), and `monetary`, the mean of a
    repeat day in money, as the nearest float: what models take.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8), datetime(2026, 2, 4), datetime(2026, 2, 1)]
    >>> bought = pl.DataFrame({"shopper": ["ann", "ann", "ann", "bo"], "at": days, "cents": [2000, 3000, 6000, 900]})
    >>> base = frames.Base(bought, customer="shopper", amount="cents")
    >>> frames.retention.rfm_summary(base, datetime(2026, 3, 1, tzinfo=UTC)).sort("shopper").rows()
    [('ann', 2, 30, 55, 9000, 45.0), ('bo', 0, 0, 28, 0, 0.0)]
    """
    found = bought(base, at)
    each = summary(found)
    if found.sums:
        times = nw.when(nw.col("frequency") > 0).then(nw.col("frequency")).otherwise(nw.lit(1, nw.Int64))
        spend = nw.col("repeat_spend").cast(nw.Float64)
        each = each.with_columns(monetary=spend / (times * 10**found.places).cast(nw.Float64))
    return found.native(each, "frequency", "recency", "T", "repeat_spend", "monetary")


def summary(found: Bought) -> Any:
    """Return `frequency`, `recency` and `T` of each `customer`; of the `spent`, if known, `repeat_spend` came later."""
    days, day = found.days_by_place, nw.col("day")
    ends = {"first": day.min(), "last": day.max()}
    columns = {"frequency": nw.col("days") - 1, "recency": _LAST - _FIRST, "T": found.today - _FIRST}
    if not found.sums:
        each = grouped(days, ["customer"], (), "days", **ends)
        return with_days(each, "first", "last").select("customer", **columns)
    # The amount of the first day, without a second pass: the least of numbers that begin with the day is that of the
    # first. It is told in two parts, since 64 bits do not hold day and amount; they add up however engines divide,
    # which costs some of them much: they do it where it matters.
    usual, none = (AMOUNT >= 0) & (AMOUNT < _PART), nw.lit(0, nw.Int64)
    days = days.with_columns(big=nw.when(usual).then(none).otherwise((AMOUNT // _PART).cast(nw.Int64)))
    begin = day.cast(nw.Int64) * _DAY
    days = days.with_columns(big=begin + _BIG, small=begin + (AMOUNT - _BIG * _PART))
    each = grouped(days, ["customer"], found.sums, "days", **ends, big=_BIG.min(), small=_SMALL.min())
    begin = _FIRST.cast(nw.Int64) * _DAY
    each = each.with_columns(on_first=(_BIG - begin) * _PART + (_SMALL - begin))
    later = AMOUNT - nw.col("on_first")
    return with_days(each, "first", "last").select("customer", spent=AMOUNT, **columns, repeat_spend=later)


def rfm(base: Base, at: datetime, window: Window | Period = EVER) -> Any:
    """Return days since the last order, orders and spend of each customer, as `loyaltykit.retention.rfm` says.

    A frame of the kind that the base is made of, a row a customer who bought in the window: `days_since_last`,
    `orders`, and, where the base has amounts, `spent` in minor units (cents).

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8), datetime(2026, 2, 1)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "c": [20, 25, 9]}), amount="c")
    >>> frames.retention.rfm(base, datetime(2026, 3, 1, tzinfo=UTC)).sort("customer").rows()
    [('ann', 52, 2, 45), ('bo', 28, 1, 9)]
    """
    found = bought(base, at, window)
    return found.native(recent(found), "days_since_last", "orders", "spent")


def recent(found: Bought) -> Any:
    """Return `days_since_last` and `orders` of each `customer`, and what they `spent`, if known."""
    each = grouped(found.frame, ["customer"], found.sums, "orders", at=AT.max())
    spent = {"spent": AMOUNT} if found.sums else {}
    return each.select("customer", "orders", days_since_last=found.today - found.number("day"), **spent)
