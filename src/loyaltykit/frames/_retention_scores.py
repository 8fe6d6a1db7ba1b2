"""RFM scores and named segments of whole bases.

A score rises, or falls, at a few values. They are cut points of one's own, or Python finds them in the histogram of the
values, which is all that it asks an engine for; the engine then compares whole numbers with constants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit.calendar import Period
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import EVER, Bought, bought, counted, counts_of
from loyaltykit.frames._retention_rfm import recent
from loyaltykit.retention import recency as pure
from loyaltykit.windows import Window

Rises = Sequence[tuple[int, int, int]]
"""By how much a score rises where a value reaches ``numerator / denominator``: (numerator, denominator, rise)."""

_MOST = 10**14  # of minor units: times 10,000 orders, or at most four more decimals, they still are 64 bits


def rfm_scores(
    base: Base, at: datetime, window: Window | Period = EVER, k: int = 5, *, money: pure.Money = "total",
    r: pure.Cuts = None, f: pure.Cuts = None, m: pure.Cuts = None,
) -> Any:  # fmt: skip
    """Return the scores from 1 (worst) to `k` of each customer, as `loyaltykit.retention.rfm_scores` says.

    A frame of the kind that the base is made of: `r`, `f` and, where the base has amounts, `m`. Ties share a score.
    Where cut points are not your own (those of `m` are in money), the engine is asked at once how many customers have
    each value.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> rows = {"customer": ["ann", "ann", "bo"], "at": [datetime(2026, 1, day) for day in (5, 8, 6)]}
    >>> base = frames.Base(pl.DataFrame(rows))
    >>> frames.retention.rfm_scores(base, datetime(2026, 3, 1, tzinfo=UTC), k=2).sort("customer").rows()
    [('ann', 2, 2), ('bo', 1, 1)]
    """
    _sizes(k, money, r, f, m)
    found = bought(base, at, window)
    return found.native(_scored(found, k, money, r, f, m), "r", "f", "m")


def rfm_segments(
    base: Base, at: datetime, window: Window | Period = EVER, k: int = 5, *, money: pure.Money = "total",
    r: pure.Cuts = None, f: pure.Cuts = None, m: pure.Cuts = None,
    names: Mapping[tuple[int, ...], str] = pure.SEGMENT_NAMES,
) -> Any:  # fmt: skip
    """Return the named segment of each customer, by their scores, as `loyaltykit.retention.rfm_segments` says.

    A frame of the kind that the base is made of, with `segment`. For the scores, see `rfm_scores`.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> rows = {"customer": ["ann", "ann", "bo"], "at": [datetime(2026, 1, day) for day in (5, 8, 6)]}
    >>> base = frames.Base(pl.DataFrame(rows))
    >>> frames.retention.rfm_segments(base, datetime(2026, 3, 1, tzinfo=UTC)).sort("customer").rows()
    [('ann', 'need attention'), ('bo', 'hibernating')]
    """
    sizes = _sizes(k, money, r, f, m)
    of = pure.named_by(names, sizes)
    found = bought(base, at, window)
    if of == 3:
        found.priced()
    scored = _scored(found, k, money, r, f, m)
    cell = nw.lit(0, nw.Int64)
    for name, size in zip(("r", "f", "m")[:of], sizes, strict=False):
        cell = cell * (size + 1) + nw.col(name)
    cells: dict[str, list[int]] = {}
    for scores, name in sorted(names.items()):
        place = 0
        for score, size in zip(scores, sizes, strict=False):
            place = place * (size + 1) + score
        cells.setdefault(name, []).append(place)
    segment = nw.lit(None, nw.String)
    for name, places in cells.items():
        segment = nw.when(nw.col("cell").is_in(places)).then(nw.lit(name)).otherwise(segment)
    return found.native(scored.with_columns(cell=cell).with_columns(segment=segment), "segment")


def _sizes(k: int, money: pure.Money, r: pure.Cuts, f: pure.Cuts, m: pure.Cuts) -> tuple[int, int, int]:
    """Return how many scores there are of each kind; the pure function judges what is asked for."""
    return pure.rfm_scores(pure.RfmTable(()), k, money=money, r=r, f=f, m=m).sizes


def _scored(found: Bought, k: int, money: pure.Money, r: pure.Cuts, f: pure.Cuts, m: pure.Cuts) -> Any:
    each = recent(found)
    scores = {"r": _score(each, "days_since_last", k, r, low_is_good=True), "f": _score(each, "orders", k, f)}
    if found.sums:
        per = "orders" if money == "mean" else None
        scores["m"] = _score(each, "spent", k, m, per=per, unit=10**found.places)
    return each.select("customer", **scores)


def _score(
    each: Any, value: str, k: int, points: pure.Cuts, *, per: str | None = None, unit: int = 1,
    low_is_good: bool = False,
) -> nw.Expr:  # fmt: skip
    """Return the score of a column, or of its mean `per` another."""
    if points is None:
        names = [value] if per is None else [value, per]
        first, rises = _found(counts_of(each, *names), k, low_is_good)
    else:
        first, rises = _own(points, unit, low_is_good)
    score = nw.lit(first, nw.Int64)
    for numerator, denominator, rise in rises:
        limit = numerator if per is None else nw.col(per) * numerator
        score = score + counted(nw.col(value) * denominator >= limit) * rise
    return score


def _own(points: Sequence[int | Decimal], unit: int, low_is_good: bool) -> tuple[int, Rises]:
    """Return the score of the lowest value, and the rises at cut points of one's own: in units of so many parts."""
    exact = [Fraction(point) * unit for point in points]
    if low_is_good:
        return len(exact) + 1, [(floor(point) + 1, 1, -1) for point in exact]
    for place, point in enumerate(exact):
        if point.denominator > 10_000 or abs(point.numerator) > _MOST:
            hint = "give a point with at most four decimals more than the currency has"
            raise InputError(f"cuts[{place}]", points[place], hint)
    return 1, [(point.numerator, point.denominator, 1) for point in exact]


def _found(histogram: Mapping[Any, int], k: int, low_is_good: bool) -> tuple[int, Rises]:
    """Return the score of the lowest value, and the rises, from how many have each value, or each (total, count)."""
    ratios: dict[Any, tuple[int, int]] = {}
    counts: Counter[Any] = Counter()
    for value, customers in histogram.items():
        total, count = value if isinstance(value, tuple) else (value, 1)
        mean = pure.mean_of(Decimal(total), count) if isinstance(value, tuple) else value
        ratios[mean] = (total, count)
        counts[mean] += customers
    totals, parts = zip(*ratios.values(), strict=True) if ratios else ((0,), (0,))
    if max(totals) * max(parts) > 10_000 * _MOST:
        raise InputError("money", "mean", "is not exact in 64 bits for sums so large; score the total, or cut points")
    scores = pure.tiles(counts, k, low_is_good=low_is_good)
    steps = [(value, scores[value] - scores[before]) for before, value in pairwise(sorted(scores))]
    first = scores[min(scores)] if scores else 1
    return first, [(*ratios[value], rise) for value, rise in steps if rise]
