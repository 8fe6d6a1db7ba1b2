"""Time cut into periods that follow one another: calendar days to years, or periods between boundaries of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from itertools import pairwise
from typing import Literal

import attrs

from loyaltykit.calendar import (
    CalendarUnit,
    Period,
    as_unit,
    day_start,
    from_us,
    instant,
    local_date,
    next_start,
    start_of,
    to_us,
    zone as zone_of,
)
from loyaltykit.errors import InputError
from loyaltykit.windows import Rolling, bounds

Active = Literal["purchase", "alive"]
"""Who is active: whoever bought in a period, or whoever did in a trailing time."""

Span = tuple[int, int]
"""From a microsecond, inclusive, until another, exclusive."""

By = CalendarUnit | Iterable[date | datetime]
"""A calendar unit, or the boundaries between periods: instants, or local days that begin with their first instant."""

_BOUNDARIES = "give a calendar unit, as in 'month', or boundaries: dates or instants, each later than the one before"


@attrs.frozen
class Cut:
    """One period: from `start`, inclusive, until `end`, exclusive, in UTC; `partial` while it is not over."""

    label: str
    start: datetime
    end: datetime
    partial: bool = False

    def __str__(self) -> str:
        return f"{self.label} (in progress)" if self.partial else self.label


def cuts(by: By, first: datetime, at: datetime, zone: str | tzinfo, last: datetime | None = None) -> tuple[Cut, ...]:
    """Return the periods from the one of `first` through the one of `at`, without a hole.

    A period is in progress until the last microsecond of it has come. One that begins at `at` itself is left out, as
    nothing of it has passed, unless something, the `last` thing, happened at that very instant. Of boundaries, the
    periods that begin after `at` are left out, and `first` does not matter. Weeks are those of ISO 8601.

    >>> from datetime import UTC
    >>> march = datetime(2026, 3, 10, tzinfo=UTC)
    >>> [str(cut) for cut in cuts("month", datetime(2026, 1, 20, tzinfo=UTC), march, "UTC")]
    ['2026-01', '2026-02', '2026-03 (in progress)']
    >>> [str(cut) for cut in cuts([date(2026, 1, 1), date(2026, 1, 15), date(2026, 2, 1)], march, march, "UTC")]
    ['2026-01-01 to 2026-01-14', '2026-01-15 to 2026-01-31']
    """
    tz = zone_of(zone) if isinstance(zone, str) else zone
    now = to_us(instant(at))
    by = kept(by)
    starts = _calendar(as_unit(by, "by"), first, at, tz) if isinstance(by, str) else _own(by, tz)
    found = []
    for start, end in pairwise(starts):
        low, high = to_us(start), to_us(end)
        if low < now or (low == now and last is not None and to_us(last) == now):
            label = _label(by, start, tz) if isinstance(by, str) else _range(start, end, tz)
            found.append(Cut(label, start, end, partial=now + 1 < high))
    return tuple(found)


def _calendar(unit: CalendarUnit, first: datetime, at: datetime, tz: tzinfo) -> list[datetime]:
    starts = [start_of(unit, first, tz)]
    while starts[-1] <= at:
        starts.append(next_start(unit, starts[-1], tz))
    return starts


def kept(by: By) -> By:
    """Return the same, so that it can be gone over again and again.

    >>> kept("month"), kept(iter([date(2026, 1, 1), date(2026, 2, 1)]))
    ('month', (datetime.date(2026, 1, 1), datetime.date(2026, 2, 1)))
    """
    if not isinstance(by, Iterable):
        raise InputError("by", by, _BOUNDARIES)
    return by if isinstance(by, str) else tuple(by)


def _own(by: Iterable[date | datetime], tz: tzinfo) -> list[datetime]:
    starts: list[datetime] = []
    for place, value in enumerate(by):
        is_day = isinstance(value, date) and not isinstance(value, datetime)
        start = day_start(value, tz) if is_day else from_us(to_us(instant(value, f"by[{place}]")))
        if starts and start <= starts[-1]:
            raise InputError(f"by[{place}]", value, "give a boundary later than the one before")
        starts.append(start)
    if len(starts) < 2:
        raise InputError("by", len(starts), _BOUNDARIES)
    return starts


def _label(unit: str, start: datetime, tz: tzinfo) -> str:
    day = local_date(start, tz)
    if unit == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return {
        "day": day.isoformat(),
        "month": f"{day.year:04}-{day.month:02}",
        "quarter": f"{day.year:04}-Q{(day.month + 2) // 3}",
        "half_year": f"{day.year:04}-H{(day.month + 5) // 6}",
        "year": f"{day.year:04}",
    }[unit]


def _range(start: datetime, end: datetime, tz: tzinfo) -> str:
    """Return "first day to last day", or the wall times where a boundary is not the start of a day."""
    first, last = local_date(start, tz), local_date(from_us(to_us(end) - 1), tz)
    whole = day_start(first, tz) == start and day_start(local_date(end, tz), tz) == end
    if whole:
        return f"{first}" if first == last else f"{first} to {last}"
    return f"{start.astimezone(tz):%Y-%m-%d %H:%M} until {end.astimezone(tz):%Y-%m-%d %H:%M}"


def places(moments: Sequence[int], periods: Sequence[Cut]) -> list[int]:
    """Return, for instants in microseconds in ascending order, in which of the periods each lies; -1 before them all.

    What is later than the last of them has one more than its place.
    """
    edges = [to_us(cut.start) for cut in periods]
    edges += [to_us(periods[-1].end)] if periods else []
    found, place = [], -1
    for us in moments:
        while place + 1 < len(edges) and us >= edges[place + 1]:
            place += 1
        found.append(place)
    return found


def spans(
    periods: Sequence[Cut], by: By, at: datetime, zone: str, active: Active, alive_for: Period
) -> list[tuple[Span, Span, int]]:  # fmt: skip
    """Return for each period that is compared: whose buyers were active before, whose are now, and when it starts.

    Of boundaries, the first period is only what the second is compared with.

    >>> from datetime import UTC
    >>> periods = cuts("day", datetime(1970, 1, 1, 12, tzinfo=UTC), datetime(1970, 1, 3, tzinfo=UTC), "UTC")
    >>> hours = [[edge // 3_600_000_000 for span in each[:2] for edge in span]
    ...          for each in spans(periods, "day", datetime(1970, 1, 3, tzinfo=UTC), "UTC", "purchase", Period())]
    >>> hours
    [[0, 0, 0, 24], [0, 24, 24, 48]]
    """
    edges = [(to_us(cut.start), min(to_us(cut.end), to_us(instant(at)) + 1)) for cut in periods]
    if active == "purchase":
        nobody = [(low, low) for low, _ in edges[:1]]
        found = [(before, now, now[0]) for before, now in zip([*nobody, *edges], edges, strict=False)]
        return found if isinstance(by, str) else found[1:]
    window = Rolling(alive_for)

    def alive(stop: int) -> Span:
        """Return the window of who is alive at the last microsecond before `stop`."""
        low, high = bounds(window, from_us(stop - 1), zone).us
        return low or 0, high

    return [(alive(low), alive(stop), low) for low, stop in edges]
