"""Local days and calendar periods as whole numbers, on any engine: instants moved by the zone's offset, then counted.

Engines differ in their own time zones (by session, by version), so none is asked: the offsets of a zone come from
Python, as constants. What is left to the engine is to add a constant, and to take year, month and day apart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit.calendar import CalendarUnit, from_us, zone as zone_of
from loyaltykit.frames._base import lit
from loyaltykit.windows import _transitions

_DAY = 86_400_000_000
_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def offsets(zone: str, first: int, last: int) -> list[tuple[int, int]]:
    """Return from when on which offset counts in a zone, in microseconds, for all instants from `first` to `last`.

    ``(us + offset) // day`` is then the local day. Where clocks fall back across midnight, the repeated hour belongs to
    the day that has begun, as in `loyaltykit.calendar.local_date`: the offset changes when that day begins again.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit.calendar import to_us
    >>> year = [to_us(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 12)]
    >>> [(f"{from_us(us):%d %b}", offset // 3_600_000_000) for us, offset in offsets("Europe/Paris", *year)]
    [('01 Jan', 1), ('29 Mar', 2), ('25 Oct', 1)]
    """
    tz = zone_of(zone)

    def ahead(us: int) -> int:
        found = from_us(us).astimezone(tz).utcoffset() or timedelta()
        return found // timedelta(microseconds=1)

    found = [(first, ahead(first))]
    for change in _transitions(first, last, tz):
        before, after = ahead(change - 1), ahead(change)
        begun = (change - 1 + before) // _DAY
        again = (change + after) // _DAY < begun
        found.append((begun * _DAY - after if again else change, after))
    return found


def between(at: nw.Expr, low: int | None, stop: int | None) -> nw.Expr:
    """Return whether instants lie from `low` (inclusive, None: from ever) until `stop` (exclusive, None: for ever)."""
    if low is None:
        return at < lit(stop) if stop is not None else ~at.is_null()
    return (at >= lit(low)) & (at < lit(stop)) if stop is not None else at >= lit(low)


def wall(at: nw.Expr, zone: str, span: Callable[[], tuple[int, int]]) -> nw.Expr:
    """Return instants as a wall clock of `zone`; `span` is asked, where it matters, for the first and the last."""
    if zone == "UTC":
        return at
    changes = offsets(zone, *span())
    stretches: dict[int, nw.Expr] = {}
    ends = [start for start, _ in changes[1:]]
    for (start, offset), end in zip(changes, [*ends, None], strict=True):
        inside = between(at, start if ends and start != changes[0][0] else None, end)
        stretches[offset] = stretches[offset] | inside if offset in stretches else inside
    (usual, _), *others = stretches.items()
    found = _moved(at, usual)
    for offset, inside in others:
        found = nw.when(inside).then(_moved(at, offset)).otherwise(found)
    return found


def _moved(at: nw.Expr, offset: int) -> nw.Expr:
    return at.dt.offset_by(f"{offset // 1_000_000}s") if offset else at


def number(wall: nw.Expr, unit: CalendarUnit) -> nw.Expr:
    """Return the number of the day, week, month, ... of a wall clock: consecutive, and the same on every engine."""
    year = wall.dt.year().cast(nw.Int64)
    if unit in _MONTHS:
        month = year * 12 + wall.dt.month().cast(nw.Int64) - 1
        return month if unit == "month" else month // _MONTHS[unit]
    day = _day(year, wall.dt.ordinal_day().cast(nw.Int64))
    return day if unit == "day" else (day - 1) // 7


def _day(year: nw.Expr, place: nw.Expr) -> nw.Expr:
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + place


def place(wall: nw.Expr) -> nw.Expr:
    """Return a number that is less for an earlier day, at less cost than the day's own; `with_days` tells that."""
    return wall.dt.year().cast(nw.Int32) * 366 + wall.dt.ordinal_day().cast(nw.Int32)


def with_days(frame: Any, *names: str) -> Any:
    """Replace columns that hold the `place` of a day by the number of that day.

    Step by step: an engine that is asked in SQL would work out the year once for each time that it is written.
    """
    years = {name: f"year of {name}" for name in names}
    frame = frame.with_columns(**{year: (nw.col(name).cast(nw.Int64) - 1) // 366 for name, year in years.items()})
    return frame.with_columns(
        **{name: _day(nw.col(year), nw.col(name) - nw.col(year) * 366) for name, year in years.items()}
    )


def number_of(day: date, unit: CalendarUnit) -> int:
    """Return the number of the day, week, month, ... of a local day, as `number` does.

    >>> from datetime import date
    >>> number_of(date(2026, 3, 2), "day") - number_of(date(2026, 3, 1), "day"), number_of(date(2026, 3, 2), "week")
    (1, 105668)
    """
    if unit in _MONTHS:
        return (day.year * 12 + day.month - 1) // _MONTHS[unit]
    return day.toordinal() if unit == "day" else (day.toordinal() - 1) // 7
