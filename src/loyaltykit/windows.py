"""Windows of time over a history: the past 6 months, this calendar year, the membership year, ever.

A window is a rule, plain data without an instant in it; `bounds` fixes it at an instant `at`, in a zone, as a `Span`.
Nothing after `at` belongs to it. Rolling windows are ``(at - period, at]``, all others ``[start, end)``, cut at `at`
inclusive; each bound is computed once, from `at`, and days and months are those of the zone.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Any

import attrs

from loyaltykit.calendar import (
    CalendarUnit,
    Period,
    as_unit,
    day_start,
    from_us,
    instant,
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
