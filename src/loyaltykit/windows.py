"""Windows of time over a history: the past 6 months, this calendar year, the membership year, ever.

A window is a rule, plain data without an instant in it; `bounds` fixes it at an instant `at`, in a zone, as a `Span`.
Nothing after `at` belongs to it. Rolling windows are ``(at - period, at]``, all others ``[start, end)``, cut at `at`
inclusive; each bound is computed once, from `at`, and days and months are those of the zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any

import attrs

from loyaltykit.calendar import (
    CalendarUnit,
    Period,
    as_unit,
    day_start,
    from_us,
    instant,
    local_date,
    months,
    next_start,
    start_of,
    to_us,
    years,
)
from loyaltykit.errors import InputError


@attrs.frozen
class Span:
    """A window at an instant: from `start` until `end`, both in UTC, and nothing after `at`.

    `start` and `end` are those of the window itself and None where it has none; `end` is exclusive, `at` inclusive,
    `start` inclusive unless `after_start`.

    >>> from datetime import UTC
    >>> span = bounds(calendar_year(), datetime(2026, 3, 2, tzinfo=UTC), "UTC")
    >>> span.end.isoformat(), datetime(2026, 1, 1, tzinfo=UTC) in span, datetime(2026, 3, 3, tzinfo=UTC) in span
    ('2027-01-01T00:00:00+00:00', True, False)
    """

    start: datetime | None
    end: datetime | None
    at: datetime
    after_start: bool = False

    @property
    def us(self) -> tuple[int | None, int]:
        """The span as integer microseconds, first included and last excluded: ``first <= to_us(x) < stop``."""
        first = None if self.start is None else to_us(self.start) + self.after_start
        stop = to_us(self.at) + 1
        if self.end is not None:
            stop = min(stop, to_us(self.end))
        return first, stop if first is None else max(first, stop)

    def __contains__(self, at: object) -> bool:
        """Say whether an instant lies in the span."""
        first, stop = self.us
        us = to_us(instant(at))
        return (first is None or first <= us) and us < stop


def _period(_: Any, attribute: attrs.Attribute[Period], value: Any) -> None:
    field = f"window.{attribute.name}"
    if not isinstance(value, Period):
        raise InputError(field, value, "give a period, as in months(6)")
    if value.end_of is not None:
        raise InputError(field, value, "a window's period goes to no end of a unit; leave to_end_of out")
    if not (value.months or value.days or value.microseconds):
        raise InputError(field, value, "a window is longer than nothing")


def _known(_: Any, __: attrs.Attribute[CalendarUnit], value: Any) -> None:
    as_unit(value, "window.unit")


def _name(period: Period) -> str:
    """Return how a period is named after "the past": 6 months, but (the past) month."""
    text = str(period)
    return text[2:] if text.startswith("1 ") and " and " not in text else text


@attrs.frozen
class Rolling:
    """The past so-and-so long: ``(at - period, at]``.

    >>> str(Rolling(Period(months=6)))
    'in the past 6 months'
    """

    period: Period = attrs.field(validator=_period)

    def __str__(self) -> str:
        return f"in the past {_name(self.period)}"


@attrs.frozen
class CalendarWindow:
    """The local day, week, month, quarter, half-year or year that `at` lies in, up to `at`."""

    unit: CalendarUnit = attrs.field(validator=_known)

    def __str__(self) -> str:
        return f"in the calendar {self.unit.replace('_', '-')}"


@attrs.frozen
class Anniversary:
    """The year (or other `period`) since the latest anniversary of an anchor such as the day of joining, up to `at`.

    Every anniversary counts from the anchor itself: one of 29 February is kept on 28 February, and on 29 February in
    leap years.
    """

    period: Period = attrs.field(factory=lambda: years(1), validator=_period)

    def __str__(self) -> str:
        if self.period in (years(1), months(1)):
            return f"in the membership {'year' if self.period == years(1) else 'month'}"
        return f"in the current {_name(self.period)} of membership"


@attrs.frozen
class Lifetime:
    """Everything up to `at`."""

    def __str__(self) -> str:
        return "ever"


def _moment(_: Any, attribute: attrs.Attribute[datetime | date], value: Any) -> None:
    if isinstance(value, datetime) or not isinstance(value, date):
        instant(value, f"window.{attribute.name}")


@attrs.frozen
class Between:
    """From `start`, inclusive, until `end`, exclusive: instants, or local days that begin with their first instant.

    >>> str(Between(date(2026, 1, 1), date(2026, 7, 1)))
    'from 2026-01-01 until 2026-07-01'
    """

    start: datetime | date = attrs.field(validator=_moment)
    end: datetime | date = attrs.field(validator=_moment)

    def __attrs_post_init__(self) -> None:
        start, end = self.start, self.end
        if isinstance(start, datetime) and isinstance(end, datetime):
            empty = to_us(end) <= to_us(start)
        else:  # a day and an instant can only be compared in a zone: `bounds` then gives an empty span
            empty = not isinstance(start, datetime) and not isinstance(end, datetime) and end <= start
        if empty:
            raise InputError("window.end", end, f"give one later than the start, {start}")

    def __str__(self) -> str:
        return f"from {self.start} until {self.end}"


Window = Rolling | CalendarWindow | Anniversary | Lifetime | Between


def as_window(value: Any, field: str = "window") -> Window:
    """Return `value` if it is a window; a bare period means the past so-and-so long.

    >>> str(as_window(Period(days=35)))
    'in the past 5 weeks'
    """
    if isinstance(value, Period):
        return Rolling(value)
    if isinstance(value, Rolling | CalendarWindow | Anniversary | Lifetime | Between):
        return value
    raise InputError(field, value, "give a period such as months(6), or a window such as calendar_year()")


def bounds(window: Window | Period, at: datetime, zone: str | tzinfo, anchor: datetime | date | None = None) -> Span:
    """Return what a window means at the instant `at`, in `zone`.

    `anchor` is where anniversaries count from: an instant, or a local day that begins with its first instant.

    >>> from datetime import UTC
    >>> span = bounds(Rolling(Period(months=6)), datetime(2024, 8, 31, tzinfo=UTC), "UTC")
    >>> span.start.isoformat(), span.start in span
    ('2024-02-29T00:00:00+00:00', False)
    """
    window, at = as_window(window), from_us(to_us(instant(at)))
    if isinstance(window, Rolling):
        return Span(window.period.before(at, zone), None, at, after_start=True)
    if isinstance(window, CalendarWindow):
        return Span(start_of(window.unit, at, zone), next_start(window.unit, at, zone), at)
    if isinstance(window, Lifetime):
        return Span(None, None, at)
    if isinstance(window, Between):
        return Span(_resolve(window.start, zone), _resolve(window.end, zone), at)
    if anchor is None:
        raise InputError("anchor", anchor, "an anniversary needs the day or instant that it counts from")
    origin = _resolve(anchor, zone, "anchor")
    start, end = (window.period.after(at, zone, anchor=origin, times=times) for times in (0, 1))
    return Span(start, end, at)


def _resolve(value: datetime | date, zone: str | tzinfo, field: str = "at") -> datetime:
    if isinstance(value, datetime) or not isinstance(value, date):
        return from_us(to_us(instant(value, field)))
    return day_start(value, zone)


def calendar_day() -> CalendarWindow:
    """Return the window of the current local day."""
    return CalendarWindow("day")


def calendar_week() -> CalendarWindow:
    """Return the window of the current local week, from Monday (ISO 8601)."""
    return CalendarWindow("week")


def calendar_month() -> CalendarWindow:
    """Return the window of the current local month."""
    return CalendarWindow("month")


def calendar_quarter() -> CalendarWindow:
    """Return the window of the current quarter: from January, April, July or October."""
    return CalendarWindow("quarter")


def calendar_half_year() -> CalendarWindow:
    """Return the window of the current half-year: from January or July."""
    return CalendarWindow("half_year")


def calendar_year() -> CalendarWindow:
    """Return the window of the current local year."""
    return CalendarWindow("year")


def anniversary_year() -> Anniversary:
    """Return the window of the current year of membership, counted from the anchor."""
    return Anniversary()


def lifetime() -> Lifetime:
    """Return the window of everything so far."""
    return Lifetime()


def between(start: datetime | date, end: datetime | date) -> Between:
    """Return a fixed window: from `start`, inclusive, until `end`, exclusive; bare dates are local days."""
    return Between(start, end)


# ---------------------------------------------------------------- the other way round: from an instant to its windows


_DAY = 86_400_000_000


def inside(window: Window, at: int, zone: tzinfo, anchor: datetime | None = None) -> tuple[tuple[int, int | None], ...]:
    """Return when something of the instant `at` lies in the window: from (inclusive) until (exclusive; None: for ever).

    All in microseconds since 1970 in UTC. It is one stretch of time, save that a rolling window of days or months
    moves back where clocks are put back, and one of months where months are longer than the one that it begins in (the
    past month of 29 March begins on 28 February, as that of 28 March does): what has left it may come in again.

    >>> from datetime import UTC
    >>> bought = to_us(datetime(2025, 3, 1, 10, tzinfo=UTC))
    >>> [from_us(end).isoformat() for _, end in inside(Rolling(Period(months=12)), bought, UTC)]
    ['2026-03-01T10:00:00+00:00']
    """
    if isinstance(window, Lifetime):
        return ((at, None),)
    if isinstance(window, Between):
        return ((at, None),) if from_us(at) in bounds(window, from_us(at), zone) else ()
    if not isinstance(window, Rolling):
        stop = bounds(window, from_us(at), zone, anchor).end
        return ((at, None if stop is None else to_us(stop)),)
    period = window.period
    if not period.months and not period.days:
        return ((at, at + period.microseconds),)
    offset = _steady(at // _DAY, zone)
    later = None if offset is None else _all_day(period, (at + offset) // _DAY, offset, zone)
    if later is not None:
        return ((at, at + later),)
    try:
        end = to_us(period.after(from_us(at), zone))
    except InputError:  # beyond the year 9999
        return ((at, None),)
    return tuple(_stretches(period, at, end, zone))


def _start_us(period: Period, at: int, zone: tzinfo) -> int:
    return to_us(period.before(from_us(at), zone))


def _offset(at: int, zone: tzinfo) -> Any:
    return from_us(at).astimezone(zone).utcoffset()


@lru_cache(maxsize=4096)
def _steady(day: int, zone: tzinfo) -> int | None:
    """Return the zone's offset, in microseconds, where clocks are not changed on a day or next to it; else None."""
    offsets = {_offset((day + each) * _DAY, zone) for each in range(-1, 3)}
    return offsets.pop() // timedelta(microseconds=1) if len(offsets) == 1 else None


@lru_cache(maxsize=16384)
def _all_day(period: Period, day: int, offset: int, zone: tzinfo) -> int | None:
    """Return how much later whatever is of a local day leaves the window; None where that depends on its hour."""
    noon = day * _DAY + _DAY // 2 - offset
    if period.microseconds:
        return None
    try:
        end = to_us(period.after(from_us(noon), zone))
        before, then, after = (_start_us(period, end + each * _DAY, zone) for each in (-1, 0, 1))
    except InputError:  # beyond the year 9999
        return None
    return end - noon if before < noon == then < after and _steady(end // _DAY, zone) is not None else None


def _first_left(period: Period, at: int, low: int, high: int, zone: tzinfo) -> int:
    """Return the first instant after `low`, up to `high`, at which the window's start has reached `at`."""
    while high - low > 1:
        middle = (low + high) // 2
        if _start_us(period, middle, zone) >= at:
            high = middle
        else:
            low = middle
    return high


def _stretches(period: Period, at: int, end: int, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """Yield when `at` lies in a rolling window that ends about `end`, piece by piece: in each its start only grows."""
    low, high = max(at, end - 4 * _DAY), end + 4 * _DAY
    breaks = {low, high, *_transitions(low, high, zone)}
    first = local_date(from_us(low), zone)
    breaks |= {to_us(day_start(first + timedelta(days=day), zone)) for day in range(1, 10)}
    for change in _transitions(at - 2 * _DAY, at + 2 * _DAY, zone):
        # Where the start comes to the hour that is skipped or repeated, it jumps: by its clock before, and after.
        for wall in (from_us(change - 1).astimezone(zone), from_us(change).astimezone(zone)):
            edge = wall.replace(tzinfo=None) + timedelta(microseconds=1 if wall == from_us(change - 1) else 0)
            for day in range(-3, 4):
                moved = period.after((edge + timedelta(days=day)).replace(tzinfo=UTC), UTC).replace(tzinfo=None)
                breaks |= {to_us(moved.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)}
    begin: int | None = at
    places = sorted(each for each in breaks if low <= each <= high)
    for start, stop in pairwise(places):
        if begin is None and _start_us(period, start, zone) < at:
            begin = start
        if begin is not None and _start_us(period, start, zone) >= at:
            yield begin, start
            begin = None
        if begin is not None and _start_us(period, stop - 1, zone) >= at:
            yield begin, _first_left(period, at, start, stop - 1, zone)
            begin = None
    if begin is not None:
        yield begin, high


def _transitions(low: int, high: int, zone: tzinfo) -> Iterator[int]:
    """Yield the instants in a few days at which clocks are changed: the first of each new offset."""
    for day in range(low // _DAY, high // _DAY + 1):
        yield from (change for change in _changes_on(day, zone) if low < change <= high)


@lru_cache(maxsize=4096)
def _changes_on(day: int, zone: tzinfo) -> tuple[int, ...]:
    found, step = [], _DAY // 4
    for left in range(day * _DAY, (day + 1) * _DAY, step):
        right, after = left + step, _offset(left + step, zone)
        if _offset(left, zone) == after:
            continue
        while right - left > 1:
            middle = (left + right) // 2
            left, right = (left, middle) if _offset(middle, zone) == after else (middle, right)
        found.append(right)
    return tuple(found)
