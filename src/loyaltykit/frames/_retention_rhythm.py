"""Gaps between the days on which the customers of a base bought: counted, and each against the customer's rhythm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import attrs
import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import Bought, bought, counts_of, grouped, rows
from loyaltykit.retention.rhythm import limits_of, times_of

_DAY, _BEFORE, _FIRST, _LAST = nw.col("day"), nw.col("before"), nw.col("first"), nw.col("last")
_PLACE = nw.col("place")


def gap_counts(base: Base, at: datetime) -> tuple[pure.GapCount, ...]:
    """Return how many gaps there are of each length in days, as `loyaltykit.retention.gap_counts` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 3, day) for day in (1, 8, 8)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days}))
    >>> frames.retention.gap_counts(base, datetime(2026, 3, 11, tzinfo=UTC))
    (GapCount(days=3, ended=0, open=2), GapCount(days=7, ended=1, open=0))
    """
    return _gap_counts(bought(base, at))


def time_between_orders(base: Base, at: datetime, *, level: Any = "0.95") -> pure.Survival:
    """Return how long the gaps between purchases last, as `loyaltykit.retention.time_between_orders` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 3, day) for day in (1, 8, 8)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days}))
    >>> frames.retention.time_between_orders(base, datetime(2026, 3, 11, tzinfo=UTC)).median
    7
    """
    return pure.survival(gap_counts(base, at), level)


def _gap_counts(found: Bought) -> tuple[pure.GapCount, ...]:
    ended = _lagged(found).filter(~_BEFORE.is_null()).select(gap=(_DAY - _BEFORE).cast(nw.Int64))
    last = grouped(found.frame, ["customer"], at=nw.col("at").max())
    still = last.select(gap=found.today - found.number("day"))
    ends, opens = (Counter(counts_of(each, "gap")) for each in (ended, still))
    return tuple(pure.GapCount(length, ends[length], opens[length]) for length in sorted(ends | opens))


def _lagged(found: Bought) -> Any:
    """Return each day of each customer, the one `before` if any, and its `place` in some order of the customer's."""
    days = found.days.select("customer", "day")
    if isinstance(days, nw.LazyFrame):
        before, place = (each.over("customer", order_by="day") for each in (_DAY.shift(1), _DAY.cum_count()))
        return days.with_columns(before=before, place=place)
    # In memory: sorted, since not all of these have windows, or right ones.
    moved = days.sort("customer", "day").with_row_index("place")
    moved = moved.with_columns(before=_DAY.shift(1), other=nw.col("customer").shift(1))
    same = (nw.col("customer") == nw.col("other")).fill_null(False)
    return moved.select("customer", "day", "place", before=nw.when(same).then(_BEFORE))


def overdue(
    base: Base, at: datetime, *, at_risk: Any = "1.5", lost: Any = 3, quantile: Any = "0.9",
    without: Collection[str] = (),
) -> Any:  # fmt: skip
    """Return how overdue each customer is, by the own rhythm and, beside it, by that of the base: see `overdue`.

    A frame of the kind that the base is made of: `label` (``on_time``, ``at_risk``, ``lost``; null without a rhythm),
    `since`, the days since the last purchase, `usual`, the mean gap, and ``ratio = since / usual`` as floats,
    `at_risk_in` and `lost_in`, the days until then (0 or less where it has come), and `beyond`, whether the customer is
    away for longer than the `quantile` of all gaps (null where that is not known): the engine is asked at once for it.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2024, 1, 1), datetime(2024, 1, 31), datetime(2024, 3, 1), datetime(2024, 4, 1)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "ann", "bo"], "at": days}))
    >>> found = frames.retention.overdue(base, datetime(2024, 4, 30, tzinfo=UTC)).sort("customer")
    >>> found.select("customer", "label", "since", "usual", "lost_in").rows()
    [('ann', 'at_risk', 60, 30.0, 30), ('bo', None, 29, None, None)]
    """
    judged = pure.overdue((), at, zone="UTC", at_risk=at_risk, lost=lost, quantile=quantile, without=without)
    found = bought(base, at)
    if without:
        found = attrs.evolve(found, frame=found.frame.filter(~nw.col("customer").is_in(sorted(without))))
    usual = pure.survival(_gap_counts(found)).quantile(judged.quantile)
    each = grouped(found.days, ["customer"], count="days", first=_DAY.min(), last=_DAY.max())
    each = each.select("customer", since=found.today - _LAST, span=_LAST - _FIRST, gaps=nw.col("days") - 1)
    since, span, gaps = nw.col("since"), nw.col("span"), nw.col("gaps")

    def own(value: nw.Expr) -> nw.Expr:
        """Return a value where there is a rhythm, else null."""
        return nw.when(gaps > 0).then(value)

    def wait(limit: Fraction) -> nw.Expr:
        """Return in how many days so many times the usual gap, rounded up, will have passed."""
        per = nw.when(gaps > 0).then(gaps).otherwise(1) * limit.denominator
        return (span * limit.numerator + per - 1) // per - since

    def ratio(part: nw.Expr, of: nw.Expr) -> nw.Expr:
        return part.cast(nw.Float64) / nw.when(gaps > 0).then(of).otherwise(1).cast(nw.Float64)

    limits = zip(limits_of(at_risk, lost), ("at_risk", "lost"), strict=True)
    soon, late = (wait(_small(limit, field)) for limit, field in limits)
    overdue_now = nw.when(late > 0).then(nw.lit("at_risk")).otherwise(nw.lit("lost"))
    label = nw.when(soon > 0).then(nw.lit("on_time")).otherwise(overdue_now)
    columns = {
        "label": own(label),
        "since": since,
        "usual": own(ratio(span, gaps)),
        "ratio": own(ratio(since * gaps, span)),
        "at_risk_in": own(soon),
        "lost_in": own(late),
        # Of no row, rather than a null of its own, which NumPy's booleans have not: pandas would make it false.
        "beyond": nw.when(since < 0).then(since < 0) if usual is None else since > usual,
    }
    return found.native(each.select("customer", **columns), *columns)


def _small(limit: Fraction, field: str) -> Fraction:
    """Return a number whose products with days are whole numbers of 64 bits."""
    if max(limit.numerator, limit.denominator) > 10**6:
        raise InputError(field, str(limit), "give a shorter number, which an engine multiplies exactly, as in '1.5'")
    return limit


def won_back(base: Base, at: datetime, *, lost: Any = 3) -> tuple[pure.WonBack, ...]:
    """Return who bought again after `lost` times the usual gap of the time before, as `retention.won_back` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2024, 1, 1), datetime(2024, 1, 31), datetime(2024, 4, 30)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann"] * 3, "at": days}))
    >>> print(*frames.retention.won_back(base, datetime(2024, 5, 1, tzinfo=UTC)))
    ann came back on 2024-04-30 after 90 days, 3 times the usual 30
    """
    limit = _small(times_of(lost, "lost"), "lost")
    found = bought(base, at)
    days = _lagged(found)
    first = grouped(days, ["customer"], first=_DAY.min(), start=_PLACE.min())
    each = days.join(first, on="customer", how="inner").filter(~_BEFORE.is_null(), _BEFORE > _FIRST)
    gaps = _PLACE.cast(nw.Int64) - nw.col("start").cast(nw.Int64) - 1
    each = each.with_columns(_BEFORE.cast(nw.Int64), gaps=gaps)
    back = each.filter((_DAY - _BEFORE) * nw.col("gaps") * limit.denominator >= (_BEFORE - _FIRST) * limit.numerator)
    listed = []
    for customer, day, before, start, gaps in rows(back.select("customer", "day", "before", "first", "gaps")):
        usual, gap = Fraction(before - start, gaps), day - before
        listed.append(pure.WonBack(customer, date.fromordinal(day), gap, usual, gap / usual))
    return tuple(sorted(listed, key=lambda each: (each.on, each.customer)))
