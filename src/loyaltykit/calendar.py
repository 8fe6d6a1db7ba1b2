"""Instants, local days and calendar periods: every decision about time that loyaltykit makes.

An **instant** is an aware `datetime`; a naive one is refused, because nobody can say when it was. A **local day**
is a `date` in an explicit zone of the IANA database (`zoneinfo`). What is computed here comes back in UTC, whose
instants compare and subtract without surprises (two datetimes of one other zone compare by their wall clock and
ignore `fold`, see PEP 495); `datetime + Period` alone keeps the datetime's own zone.

Conventions, and where they come from:

* A month later is the same day of the month, or the month's last day where that day does not exist (31 January to
  28 February), as in `dateutil.relativedelta`. A series always counts from its first date: 31 January monthly is
  28 February, 31 March, 30 April.
* Months and days keep the local wall time across daylight-saving changes; hours and minutes are elapsed time (RFC
  5545, section 3.3.6, says the same of durations). A local time that does not exist moves forward by the gap; of
  one that exists twice the earlier is meant: PEP 495 with ``fold=0``.
* Weeks start on Monday (ISO 8601). Quarters and half-years are those of the calendar year.
* A local day begins with its first instant, which is not midnight where a clock change skips midnight. Once begun, a
  day is not left again: where clocks fall back across midnight, the repeated hour belongs to the new day.
* Intervals are half-open: a day, month or year is everything from its start until before the start of the next.

Years run from 1 to 9999, as in `datetime`; what would leave them raises `InputError`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo

import attrs
from dateutil.relativedelta import relativedelta

from loyaltykit.errors import InputError

CalendarUnit = Literal["day", "week", "month", "quarter", "half_year", "year"]

_UNITS = get_args(CalendarUnit)
_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MIN_US = -62_135_596_800_000_000  # 0001-01-01T00:00Z
_MAX_US = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
_EDGE = "the years run from 1 to 9999; this leaves them"


# ---------------------------------------------------------------- instants


def instant(value: Any, field: str = "at") -> datetime:
    """Return `value` if it is an aware datetime, of whatever zone; else raise `InputError` for `field`.

    A naive datetime, a date, a string and a number are refused, with the way out in the message. Of a subclass of
    `datetime` (a pandas ``Timestamp``) the plain datetime is taken, to the microsecond.

    >>> instant(datetime(2026, 3, 2, 9, tzinfo=UTC)).isoformat()
    '2026-03-02T09:00:00+00:00'
    """
    if isinstance(value, datetime):
        zone = value.tzinfo
        if zone is UTC or (zone is not None and value.utcoffset() is not None):
            return value if type(value) is datetime else datetime.combine(value.date(), value.timetz())
        raise InputError(field, value, "has no time zone; say which: value.replace(tzinfo=ZoneInfo('Europe/Paris'))")
    if isinstance(value, date):
        raise InputError(field, value, "a day is not an instant; give day_start(day, zone) or a datetime with its zone")
    if isinstance(value, str):
        raise InputError(field, value, "give a datetime: datetime.fromisoformat('2026-03-02T09:00+01:00')")
    raise InputError(field, value, "give a datetime with its zone: datetime(2026, 3, 2, 9, tzinfo=UTC)")


def to_us(at: datetime) -> int:
    """Return an instant as integer microseconds since 1970 in UTC (negative before), exactly.

    >>> to_us(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    try:
        since = at - _EPOCH
    except TypeError:
        since = instant(at) - _EPOCH
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not _MIN_US <= us <= _MAX_US:
        raise InputError("at", at, _EDGE)
    return us


def optional_us(at: datetime | None) -> int | None:
    """Return what an optional instant is compared by: instants of one zone else compare by the clock on the wall."""
    return None if at is None else to_us(at)


def from_us(us: int) -> datetime:
    """Return the instant, in UTC, that is `us` microseconds after the start of 1970: the inverse of `to_us`.

    >>> from_us(86_400_000_000).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    if not isinstance(us, int) or isinstance(us, bool):
        raise InputError("us", us, "give whole microseconds")
    try:
        return _EPOCH + us * _MICROSECOND
    except OverflowError:
        raise InputError("us", us, _EDGE) from None


# ---------------------------------------------------------------- zones and local days


def zone(name: str) -> ZoneInfo:
    """Return the zone of that IANA name; raise `InputError` if there is none.

    >>> zone("America/New_York").key
    'America/New_York'
    """
    if not isinstance(name, str):
        raise InputError("zone", name, "give the name of a zone, as in 'Europe/Paris'")
    return _load(name)


@lru_cache(maxsize=1024)
def _load(name: str) -> ZoneInfo:
    try:
        # "localtime" is whatever the machine is set to: the same program would decide differently elsewhere.
        if name != "localtime":
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    raise InputError("zone", name, "no such zone; give one like 'Europe/Paris' (if that fails too: install tzdata)")


def _tz(zone: str | tzinfo) -> tzinfo:
    """Take a zone by name or as it is. A pytz zone becomes its namesake: it cannot do arithmetic by itself."""
    if type(zone) is ZoneInfo or zone is UTC:
        return zone
    if isinstance(zone, str):
        return _load(zone)
    if not isinstance(zone, tzinfo):
        raise InputError("zone", zone, "give the name of a zone, as in 'Europe/Paris', or a tzinfo")
    name = getattr(zone, "zone", None)
    return _load(name) if isinstance(name, str) and hasattr(zone, "localize") else zone


def _wall(at: datetime, tz: tzinfo) -> datetime:
    try:
        return at.astimezone(tz)
    except (OverflowError, ValueError):
        raise InputError("at", at, _EDGE) from None


def local_date(at: datetime, zone: str | tzinfo) -> date:
    """Return the local day in which an instant lies: ``day_start(day) <= at < day_start(day + 1)``.

    >>> local_date(datetime(2026, 7, 7, 3, 59, tzinfo=UTC), "America/New_York")
    datetime.date(2026, 7, 6)
    """
    tz = _tz(zone)
    local = _wall(instant(at), tz)
    day = local.date()
    if local.fold and day < date.max:
        tomorrow = day + timedelta(1)
        return tomorrow if _day_start(tomorrow, tz) <= at else day
    return day


def day_start(day: date, zone: str | tzinfo) -> datetime:
    """Return the first instant of a local day, in UTC: midnight, or what follows a gap that swallows it.

    A day that a zone skipped altogether (Samoa, 30 December 2011) starts where the next one does.

    >>> day_start(date(2026, 5, 5), "Asia/Tokyo").isoformat()
    '2026-05-04T15:00:00+00:00'
    >>> day_start(date(2018, 11, 4), "America/Sao_Paulo").isoformat()  # clocks went from 23:59 to 01:00
    '2018-11-04T03:00:00+00:00'
    """
    if not isinstance(day, date) or isinstance(day, datetime):
        raise InputError("day", day, "give a date, as in date(2026, 3, 2)")
    return _day_start(day, _tz(zone))


def _day_start(day: date, tz: tzinfo) -> datetime:
    midnight = datetime(day.year, day.month, day.day)
    try:
        start = midnight.replace(tzinfo=tz).astimezone(UTC)
        if start.astimezone(tz).replace(tzinfo=None) == midnight:
            return start
        # Midnight lies in a gap. Read with the offset of after the gap (fold=1) it names an instant before the
        # change, with the one of before (fold=0) an instant after it: the change itself is in between.
        low = to_us(midnight.replace(tzinfo=tz, fold=1).astimezone(UTC))
        high = to_us(start)
        while high - low > 1:
            middle = (low + high) // 2
            if from_us(middle).astimezone(tz).replace(tzinfo=None) < midnight:
                low = middle
            else:
                high = middle
        return from_us(high)
    except (OverflowError, ValueError):
        raise InputError("day", day, _EDGE) from None


def until(day: date, zone: str | tzinfo) -> datetime:
    """Return the end of something that lasts until `day`, exclusive: the day's first instant, in UTC."""
    return day_start(day, zone)


def through(day: date, zone: str | tzinfo) -> datetime:
    """Return the end, exclusive, of something that lasts through `day`: the first instant of the next, in UTC.

    >>> through(date(2026, 7, 6), "America/New_York").isoformat()
    '2026-07-07T04:00:00+00:00'
    """
    tz = _tz(zone)
    day_start(day, tz)  # refuses what is no date
    return _day_start(_later(day, 1), tz)


def _later(day: date, count: int) -> date:
    try:
        return day + timedelta(count)
    except OverflowError:
        raise InputError("day", day, _EDGE) from None


def as_unit(value: Any, field: str = "unit") -> CalendarUnit:
    """Return `value` if it is one of ``day, week, month, quarter, half_year, year``; else raise `InputError`."""
    if value not in _UNITS:
        raise InputError(field, value, f"choose one of {', '.join(_UNITS)}")
    return cast(CalendarUnit, value)


def _start(unit: CalendarUnit, at: datetime, zone: str | tzinfo, step: int) -> datetime:
    """Return the first instant of the unit of `at`, or, with a `step` of 1, of the unit after it."""
    tz = _tz(zone)
    day = local_date(at, tz)
    size = _MONTHS.get(as_unit(unit))
    if size is None:
        first = day if unit == "day" else _later(day, -day.weekday())
        return _day_start(_later(first, step * (1 if unit == "day" else 7)), tz)
    months = 12 * day.year + (day.month - 1) // size * size + step * size
    if months >= 12 * (date.max.year + 1):
        raise InputError("at", at, _EDGE)
    return _day_start(date(months // 12, months % 12 + 1, 1), tz)


def start_of(unit: CalendarUnit, at: datetime, zone: str | tzinfo) -> datetime:
    """Return the first instant, in UTC, of the local day, week, month, quarter, half-year or year of `at`.

    >>> start_of("quarter", datetime(2026, 6, 30, 12, tzinfo=UTC), "UTC").isoformat()
    '2026-04-01T00:00:00+00:00'
    """
    return _start(unit, at, zone, 0)


def next_start(unit: CalendarUnit, at: datetime, zone: str | tzinfo) -> datetime:
    """Return the first instant, in UTC, of the next local day, week, ... after that of `at`: its exclusive end.

    >>> next_start("half_year", datetime(2026, 6, 30, 12, tzinfo=UTC), "UTC").isoformat()
    '2026-07-01T00:00:00+00:00'
    """
    return _start(unit, at, zone, 1)


def on_birthday(year: int, month: int, day: int, policy: Literal["feb28", "mar1"] = "feb28") -> date:
    """Return the day on which a birthday is kept in `year`.

    Someone born on 29 February has it, in a year without one, on 28 February (``feb28``) or on 1 March (``mar1``).

    >>> on_birthday(2026, 2, 29), on_birthday(2026, 2, 29, "mar1")
    (datetime.date(2026, 2, 28), datetime.date(2026, 3, 1))
    """
    if policy not in ("feb28", "mar1"):
        raise InputError("policy", policy, "choose one of feb28, mar1")
    try:
        date(2000, month, day)  # a leap year: is there such a day at all?
        if (month, day) == (2, 29) and date(year, 3, 1) - date(year, 2, 28) == timedelta(1):
            return date(year, 2, 28) if policy == "feb28" else date(year, 3, 1)
        return date(year, month, day)
    except (TypeError, ValueError, OverflowError):
        raise InputError("birthday", (year, month, day), "there is no such day") from None


# ---------------------------------------------------------------- periods


def _count(_: Any, attribute: attrs.Attribute[int], value: Any) -> None:
    most = {"months": 119_988, "days": 3_652_059, "microseconds": 315_537_897_600_000_000}[attribute.name]
    if type(value) is not int or not 0 <= value <= most:
        raise InputError(f"period.{attribute.name}", value, f"give a whole number from 0 to {most}")


def _end_of(value: CalendarUnit | None) -> CalendarUnit | None:
    return None if value is None else as_unit(value, "period.end_of")


@lru_cache(maxsize=256)
def _months(count: int) -> relativedelta:
    return relativedelta(months=count)


def _shift(at: datetime, months: int, days: int, microseconds: int, tz: tzinfo) -> datetime:
    """Move `at` by months and days on the wall clock of `tz`, then by elapsed time; the result is in UTC."""
    try:
        if tz is UTC or getattr(tz, "key", None) == "UTC":  # there the wall clock and elapsed time are one
            at = at.astimezone(UTC)
            if months:
                at = at + _months(months)
            return at + timedelta(days, microseconds=microseconds)
        if months or days:
            wall = at.astimezone(tz).replace(tzinfo=None)
            if months:
                wall = wall + _months(months)
            if days:
                wall = wall + timedelta(days)
            at = wall.replace(tzinfo=tz, fold=0)
        at = at.astimezone(UTC)
        return at + timedelta(microseconds=microseconds) if microseconds else at
    except (OverflowError, ValueError):
        raise InputError("at", at, _EDGE) from None


@attrs.frozen
class Period:
    """A length of time: months, then days, then elapsed microseconds, then (with `end_of`) on to the end of a unit.

    Make one with `minutes`, `hours`, `days`, `weeks`, `months`, `quarters` or `years`. A day is a local day (23 to 25
    hours); 24 hours are 24 hours.

    With `end_of`, the result is the exclusive end of the local day, month, ... in which the sum lies; a sum that is
    exactly the first instant of a day lies in that day.

    >>> str(months(12).to_end_of("month"))
    '12 months, to the end of the month'
    >>> months(12).to_end_of("month").after(datetime(2020, 7, 6, tzinfo=UTC), "UTC").isoformat()
    '2021-08-01T00:00:00+00:00'
    """

    months: int = attrs.field(default=0, validator=_count)
    days: int = attrs.field(default=0, validator=_count)
    microseconds: int = attrs.field(default=0, validator=_count)
    end_of: CalendarUnit | None = attrs.field(default=None, converter=_end_of)

    def to_end_of(self, unit: CalendarUnit) -> Period:
        """Return this period, extended to the end of the day, week, month, quarter, half_year or year it leads to."""
        return attrs.evolve(self, end_of=unit)

    def after(self, at: datetime, zone: str | tzinfo, anchor: datetime | None = None, times: int = 1) -> datetime:
        """Return the instant, in UTC, that is this period (or `times` periods) after `at`, in `zone`.

        With `anchor`, the dates of a series are meant that counts from there (anchor, anchor + 1 period, anchor + 2
        periods, ..., each computed from the anchor itself): the first one after `at`, or the `times`-th; with
        ``times=0`` the latest one that is not after `at`. Without, `at` is the anchor. `end_of` applies last, to the
        date found.

        >>> start = datetime(2026, 1, 31, tzinfo=UTC)
        >>> [f"{months(1).after(start, 'UTC', times=n):%d %b}" for n in (1, 2, 3)]
        ['28 Feb', '31 Mar', '30 Apr']
        >>> f"{months(1).after(datetime(2026, 2, 28, tzinfo=UTC), 'UTC', anchor=start):%d %b}"
        '31 Mar'
        """
        if type(times) is not int or times < 0:
            raise InputError("times", times, "give a whole number from 0")
        at, tz = instant(at), _tz(zone)
        if anchor is not None:
            anchor = instant(anchor, "anchor")
            times += self._count_to(at, anchor, tz)
            at = anchor
        moved = _shift(at, self.months * times, self.days * times, self.microseconds * times, tz)
        return moved if self.end_of is None else next_start(self.end_of, moved, tz)

    def before(self, at: datetime, zone: str | tzinfo) -> datetime:
        """Return the instant, in UTC, that is this period before `at`, in `zone`. Not for a period with an end.

        >>> months(6).before(datetime(2024, 8, 31, tzinfo=UTC), "UTC").isoformat()
        '2024-02-29T00:00:00+00:00'
        """
        if self.end_of is not None:
            raise InputError("period.end_of", self.end_of, "counting back, a period goes to no end; leave it out")
        return _shift(instant(at), -self.months, -self.days, -self.microseconds, _tz(zone))

    def _count_to(self, at: datetime, anchor: datetime, tz: tzinfo) -> int:
        """Return how many periods lead from `anchor` to the latest date of the series that is not after `at`."""
        # A month has 30.436875 days on average (146,097 days in 400 years); the loops correct the rest.
        mean = self.months * 2_629_746_000_000 + self.days * 86_400_000_000 + self.microseconds
        if not mean:
            raise InputError("period", str(self), "a series needs steps longer than nothing")
        target = to_us(at)

        def passed(count: int) -> bool:
            try:
                date = _shift(anchor, self.months * count, self.days * count, self.microseconds * count, tz)
            except InputError:  # beyond year 1 or 9999
                return count > 0
            return to_us(date) > target

        count = (target - to_us(anchor)) // mean
        while passed(count):
            count -= 1
        while not passed(count + 1):
            count += 1
        return count

    def __radd__(self, at: datetime) -> datetime:
        """Return ``at + period`` in the zone of `at`, by whose calendar days and months are counted."""
        if not isinstance(at, datetime):
            return NotImplemented
        tz = _tz(instant(at).tzinfo or UTC)
        return _wall(self.after(at, tz), tz)

    def __rsub__(self, at: datetime) -> datetime:
        """Return ``at - period`` in the zone of `at`, by whose calendar days and months are counted."""
        if not isinstance(at, datetime):
            return NotImplemented
        tz = _tz(instant(at).tzinfo or UTC)
        return _wall(self.before(at, tz), tz)

    def __str__(self) -> str:
        seconds, rest = divmod(self.microseconds, 1_000_000)
        parts = [
            _named(self.months, "month", 12, "year") if self.months != 12 else "12 months",
            _named(self.days, "day", 7, "week"),
            _named(seconds // 3600, "hour"),
            _named(seconds // 60 % 60, "minute"),
            _named(seconds % 60, "second"),
            _named(rest, "microsecond"),
        ]
        *others, last = [part for part in parts if part] or ["0 days"]
        length = f"{', '.join(others)} and {last}" if others else last
        if self.end_of is None:
            return length
        end = f"to the end of the {self.end_of.replace('_', '-')}"
        return end if length == "0 days" else f"{length}, {end}"


def _named(count: int, name: str, size: int = 1, large: str = "") -> str:
    """Return "3 months", "1 month", "2 years" (a multiple of `size` months), "" for none."""
    if large and count % size == 0:
        count, name = count // size, large
    return "" if not count else f"{count} {name}" if count == 1 else f"{count} {name}s"


def minutes(count: int) -> Period:
    """Return a period of so many minutes of elapsed time."""
    return Period(microseconds=_times(count, 60_000_000, "minutes"))


def hours(count: int) -> Period:
    """Return a period of so many hours of elapsed time: 24 of them are not always a day."""
    return Period(microseconds=_times(count, 3_600_000_000, "hours"))


def days(count: int) -> Period:
    """Return a period of so many local days, of 23 to 25 hours."""
    return Period(days=_times(count, 1, "days"))


def weeks(count: int) -> Period:
    """Return a period of so many times 7 local days."""
    return Period(days=_times(count, 7, "weeks"))


def months(count: int) -> Period:
    """Return a period of so many months; a day that a month does not have becomes its last."""
    return Period(months=_times(count, 1, "months"))


def quarters(count: int) -> Period:
    """Return a period of so many times 3 months."""
    return Period(months=_times(count, 3, "quarters"))


def years(count: int) -> Period:
    """Return a period of so many times 12 months; from 29 February that leads to 28 February, save in leap years."""
    return Period(months=_times(count, 12, "years"))


def _times(count: int, size: int, field: str) -> int:
    if type(count) is not int or count < 0:
        raise InputError(field, count, "give a whole number from 0")
    return count * size
