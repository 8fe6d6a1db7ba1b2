"""Retention and cohorts of whole bases: an engine counts customers by periods, Python makes tables of the counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise

import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.calendar import CalendarUnit, Period, local_date, to_us
from loyaltykit.frames._base import Base, lit
from loyaltykit.frames._retention_bought import AT, Bought, added, bought, counted, counts_of, grouped, rows
from loyaltykit.frames._retention_time import between, number_of
from loyaltykit.retention.cohort_tables import cohort_table
from loyaltykit.retention.periods import Active, By, Cut, Span, kept, spans
from loyaltykit.retention.rates import Turnover, counted as turnover, retention_table
from loyaltykit.segments import LAPSED

_AT_ONCE = 24  # periods that an engine counts together: more would only need more memory
_PLACE = nw.col("place")


def retention_by_period(
    base: Base,
    at: datetime,
    by: By = "month",
    *,
    active: Active = "purchase",
    alive_for: Period = LAPSED,
) -> pure.RetentionTable:
    """Return who stayed, came, came back and left in each period, as `retention.retention_by_period` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> def on(*day): return datetime(2026, *day, 12)
    >>> days = [on(1, 5), on(1, 9), on(2, 3), on(2, 7), on(3, 1)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "bo", "ann", "cy", "bo"], "at": days}))
    >>> print(frames.retention.retention_by_period(base, datetime(2026, 3, 10, tzinfo=UTC)))
    period                 S before  E now  N new  R came back  K kept  K/S kept  (E−N)/S  churn
    2026-01                       0      2      2            0       0
    2026-02                       2      2      1            0       1  50 %      50 %     50 %
    2026-03 (in progress)         2      1      0            1       0  0 %       50 %     100 %
    """
    by = kept(by)
    nobody = pure.retention_by_period((), at, by, zone="UTC", active=active, alive_for=alive_for)
    found = bought(base, at)
    periods = found.cuts(by)
    compared = spans(periods, by, found.at, found.zone, active, alive_for)
    if not compared:
        return nobody
    if active == "purchase":
        turnovers = _by_place(found, periods, by)[len(periods) - len(compared) :]
    else:
        parts = (compared[start : start + _AT_ONCE] for start in range(0, len(compared), _AT_ONCE))
        turnovers = [each for part in parts for each in _by_window(found, part)]
    return retention_table(periods, turnovers, active, alive_for)


def _by_place(found: Bought, periods: Sequence[Cut], by: By) -> list[Turnover]:
    """Return the turnover of each period against the one before, by who bought in it."""
    each = grouped(found.frame.select("customer", place=place_of(found, periods, by)), ["customer", "place"])
    first = grouped(each, ["customer"], first=_PLACE.min())
    before = each.select("customer", place=_PLACE + 1, before=nw.lit(1))
    joined = each.join(first, on="customer", how="inner").join(before, on=["customer", "place"], how="left")
    flags = joined.select("place", kept=counted(~nw.col("before").is_null()), new=counted(nw.col("first") == _PLACE))
    sums = grouped(flags, ["place"], ["kept", "new"], "now").select("place", "now", "kept", "new")
    counts = {place: tuple(numbers) for place, *numbers in rows(sums)}
    of = [counts.get(place, (0, 0, 0)) for place in range(-1, len(periods))]
    known = accumulate(new for _, _, new in of)
    return [
        turnover(was, now, kept, now - new, earlier)
        for ((was, _, _), (now, kept, new)), earlier in zip(pairwise(of), known, strict=False)
    ]


def place_of(found: Bought, periods: Sequence[Cut], by: By) -> nw.Expr:
    """Return in which of the periods instants lie: -1 before them all, and one more than the last after them."""
    if not isinstance(by, str):
        edges = [to_us(cut.start) for cut in periods] + [to_us(periods[-1].end)]
        begun = [counted(lit(edge) <= AT) for edge in edges]
        return sum(begun[1:], begun[0]) - 1
    numbers = [number_of(local_date(cut.start, found.zone), by) for cut in periods]
    place = number = found.number(by)
    for before, after in pairwise(numbers):
        if after - before > 1:  # a day that the zone skipped
            place = place - counted(number >= after) * (after - before - 1)
    return place - numbers[0]


def _by_window(found: Bought, compared: Sequence[tuple[Span, Span, int]]) -> list[Turnover]:
    """Return the turnover of each period, by who bought in a window at its start and in one at its end."""
    windows = list(dict.fromkeys(window for *both, _ in compared for window in both))
    flags = {f"in{place}": counted(between(AT, *window)) for place, window in enumerate(windows)}
    bought_in = {name: nw.col(name).max() for name in flags}
    each = grouped(found.frame.select("customer", "at", **flags), ["customer"], (), None, at=AT.min(), **bought_in)
    numbers: dict[str, nw.Expr] = {}
    for place, (before, now, start) in enumerate(compared):
        was, there = (nw.col(f"in{windows.index(window)}") for window in (before, now))
        known = counted(lit(start) > AT)
        parts = {"was": was, "now": there, "kept": was * there, "old": there * known, "known": known}
        numbers |= {f"{name}{place}": part for name, part in parts.items()}
    sums = added(each.select(**numbers), *numbers)
    return [turnover(*sums[place : place + 5]) for place in range(0, len(sums), 5)]


def cohorts(base: Base, at: datetime, by: CalendarUnit = "month", *, unbounded: bool = False) -> pure.CohortTable:
    """Return the cohort table of all purchases up to an instant, as `retention.cohorts` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> def on(*day): return datetime(2026, *day, 12)
    >>> days = [on(1, 5), on(1, 9), on(2, 3), on(2, 7), on(3, 1)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "bo", "ann", "cy", "bo"], "at": days}))
    >>> print(frames.retention.cohorts(base, datetime(2026, 3, 10, tzinfo=UTC)))
    cohort   customers      0     1      2
    2026-01          2  100 %  50 %  50 %*
    2026-02          1  100 %  0 %*
    * in progress
    """
    nobody = pure.cohorts((), at, by, zone="UTC", unbounded=unbounded)
    found = bought(base, at)
    periods = found.cuts(by)
    if not periods:
        return nobody
    places = found.frame.select("customer", place=place_of(found, periods, by))
    if unbounded:
        pairs = grouped(places, ["customer"], first=_PLACE.min(), place=_PLACE.max())
    else:
        each = grouped(places, ["customer", "place"])
        pairs = each.join(grouped(each, ["customer"], first=_PLACE.min()), on="customer", how="inner")
    return cohort_table(periods, counts_of(pairs, "first", "place"), by, unbounded)
