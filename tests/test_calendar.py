"""Instants, local days and periods, above all where clocks change."""

from __future__ import annotations

import pickle
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.tz import gettz, resolve_imaginary
from hypothesis import given, strategies as st

from loyaltykit.calendar import (
    CalendarUnit,
    Period,
    as_unit,
    day_start,
    days,
    from_us,
    hours,
    instant,
    local_date,
    minutes,
    months,
    next_start,
    on_birthday,
    quarters,
    start_of,
    through,
    to_us,
    until,
    weeks,
    years,
    zone,
)
from loyaltykit.errors import InputError

DAY = 86_400_000_000
FIRST = to_us(datetime(1, 1, 1, tzinfo=UTC))
LAST = to_us(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
UNITS: list[CalendarUnit] = ["day", "week", "month", "quarter", "half_year", "year"]

# Each for an oddity: half-hour summer time, midnight that is skipped or repeated, days that were skipped or lived
# twice, changes of two hours, winter time as the exception, odd offsets, local mean time to the second.
ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "America/Sao_Paulo",
    "America/Asuncion", "America/Havana", "America/St_Johns", "America/Scoresbysund", "America/Toronto", "Asia/Beirut",
    "Asia/Gaza", "Asia/Kathmandu", "Africa/Cairo", "Africa/Casablanca", "Antarctica/Troll", "Atlantic/Azores",
    "Pacific/Apia", "Pacific/Kwajalein", "Asia/Manila", "America/Juneau", "Pacific/Chatham",
]  # fmt: skip
NEW_YORK, BERLIN, LORD_HOWE = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")


def utc(*fields: int) -> datetime:
    """Return the instant with these fields in UTC."""
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc,arg-type]


@cache
def transitions(name: str) -> list[int]:
    """Return the instants, in microseconds, at which a zone's offset changed or will change between 1840 and 2040."""

    def offset(second: int) -> timedelta | None:
        return from_us(second * 1_000_000).astimezone(ZoneInfo(name)).utcoffset()

    found, step = [], 14 * 86_400
    for start in range(to_us(utc(1840, 1, 1)) // 1_000_000, to_us(utc(2040, 1, 1)) // 1_000_000, step):
        low, high = start, start + step
        if offset(low) != offset(high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append(high * 1_000_000)
    return found


@st.composite
def places(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """Draw an instant and a zone, mostly within hours of one of the zone's clock changes."""
    name = draw(st.sampled_from(ZONES))
    anywhere = st.integers(to_us(utc(1840, 1, 1)), to_us(utc(2100, 1, 1)))
    if not transitions(name):
        return from_us(draw(anywhere)), ZoneInfo(name)
    near = st.builds(
        lambda change, minutes, us: change + minutes * 60_000_000 + us,
        st.sampled_from(transitions(name)),
        st.integers(-27 * 60, 27 * 60),
        st.integers(-1, 1),
    )
    return from_us(draw(st.one_of(near, near, anywhere))), ZoneInfo(name)


PERIODS = st.builds(
    Period,
    months=st.integers(0, 40),
    days=st.integers(0, 70),
    microseconds=st.sampled_from([0, 0, 1, 1_800_000_000, 7_200_000_000]),
)


# ---------------------------------------------------------------- instants


class TestInstant:
    @pytest.mark.parametrize("tz", [UTC, NEW_YORK, timezone(timedelta(hours=5, minutes=45))])
    def test_an_aware_datetime_is_kept_as_it_is(self, tz: tzinfo) -> None:
        """An instant keeps the zone in which it was given."""
        at = datetime(2026, 3, 2, 9, tzinfo=tz)
        assert instant(at) is at

    @pytest.mark.parametrize(
        ("value", "way_out"),
        [
            (datetime(2026, 3, 2, 9), "value.replace(tzinfo="),
            (date(2026, 3, 2), "day_start(day, zone)"),
            ("2026-03-02T09:00+01:00", "datetime.fromisoformat("),
            (1_772_442_000, "datetime(2026, 3, 2, 9, tzinfo=UTC)"),
            (None, "datetime(2026, 3, 2, 9, tzinfo=UTC)"),
        ],
    )
    def test_anything_else_is_refused_with_the_way_out(self, value: Any, way_out: str) -> None:
        """What is not an instant is refused, and the message says how to make one."""
        with pytest.raises(InputError) as caught:
            instant(value, "order.at")
        assert caught.value.field == "order.at"
        assert way_out in str(caught.value)

    def test_a_zone_without_an_offset_does_not_make_a_datetime_aware(self) -> None:
        """A tzinfo that knows no offset leaves a datetime naive."""

        class Nowhere(tzinfo):
            def utcoffset(self, at: datetime | None) -> None:
                return None

        with pytest.raises(InputError):
            instant(datetime(2026, 3, 2, tzinfo=Nowhere()))

    def test_of_a_subclass_the_plain_datetime_is_taken(self) -> None:
        """Subclasses of datetime become datetimes, with zone and fold."""

        class Stamp(datetime):
            pass

        taken = instant(Stamp(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1))
        assert type(taken) is datetime
        assert (taken.fold, taken.tzinfo, to_us(taken)) == (1, NEW_YORK, to_us(utc(2026, 11, 1, 6, 30)))

    @given(st.integers(FIRST, LAST))
    def test_microseconds_are_exact_over_the_whole_range(self, us: int) -> None:
        """Every microsecond of the years 1 to 9999 comes back as it went."""
        assert to_us(from_us(us)) == us
        assert from_us(us).tzinfo is UTC

    @given(st.datetimes(timezones=st.timezones()))
    def test_microseconds_mean_the_instant_and_not_the_wall_clock(self, at: datetime) -> None:
        """The microseconds of an instant are those since 1970 in UTC, whatever its zone."""
        offset = at.utcoffset()
        assert offset is not None
        expected = (at.replace(tzinfo=None) - datetime(1970, 1, 1) - offset) // timedelta(microseconds=1)
        if FIRST <= expected <= LAST:
            assert expected == to_us(at)

    def test_the_repeated_hour_is_two_instants(self) -> None:
        """The two half past ones of the night in which summer time ends are an hour apart."""
        first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
        assert to_us(second) - to_us(first) == 3_600_000_000

    @pytest.mark.parametrize("us", [FIRST - 1, LAST + 1, 10**30, -(10**30)])
    def test_microseconds_outside_the_range_are_refused(self, us: int) -> None:
        """What lies before year 1 or after year 9999 is no instant."""
        with pytest.raises(InputError):
            from_us(us)

    @pytest.mark.parametrize(
        "at",
        [
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        ],
    )
    def test_an_instant_outside_the_range_in_utc_is_refused(self, at: datetime) -> None:
        """A local time of year 1 or 9999 that UTC has no year for is refused, not wrapped."""
        with pytest.raises(InputError):
            to_us(at)

    @pytest.mark.parametrize("us", [1.0, True, "1", None])
    def test_microseconds_are_integers(self, us: Any) -> None:
        """Floats, which cannot hold today's microseconds exactly after arithmetic, are refused."""
        with pytest.raises(InputError):
            from_us(us)

    def test_a_naive_datetime_has_no_microseconds(self) -> None:
        """Nothing is assumed about a datetime without a zone."""
        with pytest.raises(InputError):
            to_us(datetime(2026, 3, 2))


# ---------------------------------------------------------------- zones and local days


class TestZone:
    def test_a_name_gives_its_zone(self) -> None:
        """Zones go by their IANA names."""
        assert zone("Europe/Berlin") is BERLIN

    @pytest.mark.parametrize(
        "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "localtime", "Europe", "a\0b"]
    )
    def test_an_unknown_name_is_refused(self, name: str) -> None:
        """What is no zone of the database is refused, and so is the machine's own."""
        with pytest.raises(InputError):
            zone(name)

    @pytest.mark.parametrize("value", [None, 1, ["UTC"]])
    def test_a_zone_is_named_by_a_string(self, value: Any) -> None:
        """Nothing but a string names a zone."""
        with pytest.raises(InputError):
            zone(value)
        with pytest.raises(InputError):
            local_date(utc(2026, 3, 2), value)

    def test_functions_take_a_name_or_any_tzinfo(self) -> None:
        """Wherever a zone is asked for, its name, a ZoneInfo, a fixed offset or another tzinfo will do."""
        at = utc(2026, 7, 1, 2)
        fixed, other = timezone(timedelta(hours=-4)), gettz("America/New_York")
        assert other is not None
        assert {date(2026, 6, 30)} == {local_date(at, tz) for tz in ("America/New_York", NEW_YORK, fixed, other)}

    def test_a_pytz_zone_is_taken_for_its_namesake(self) -> None:
        """A zone of pytz, whose plain use gives local mean time, is replaced by the zone of the same name."""

        class Localizing(tzinfo):
            zone = "America/New_York"

            def localize(self, at: datetime) -> datetime:
                raise NotImplementedError

            def utcoffset(self, at: datetime | None) -> timedelta:
                return timedelta(hours=-4, minutes=-56)

        assert utc(2026, 7, 1, 4) == day_start(date(2026, 7, 1), Localizing())


class TestDays:
    @given(places())
    def test_an_instant_lies_in_its_local_day(self, place: tuple[datetime, ZoneInfo]) -> None:
        """Days tile the time line: day_start(day) <= at < day_start(day + 1)."""
        at, tz = place
        day = local_date(at, tz)
        assert day_start(day, tz) <= at < day_start(day + timedelta(1), tz)

    @given(places())
    def test_the_local_day_is_the_one_on_the_calendar(self, place: tuple[datetime, ZoneInfo]) -> None:
        """The local day is that of the wall clock, but for the part of a day that comes again after the next began."""
        at, tz = place
        wall = at.astimezone(tz)
        day = local_date(at, tz)
        assert day == wall.date() or (wall.fold == 1 and day == wall.date() + timedelta(1))

    @given(places())
    def test_a_day_starts_with_its_first_instant(self, place: tuple[datetime, ZoneInfo]) -> None:
        """One microsecond before a day's start the local day is an earlier one."""
        at, tz = place
        day = local_date(at, tz)
        start = day_start(day, tz)
        assert local_date(start, tz) == day
        assert local_date(start - timedelta(microseconds=1), tz) < day
        assert start.tzinfo is UTC

    @given(places(), st.sampled_from(UNITS))
    def test_units_tile_the_time_line(self, place: tuple[datetime, ZoneInfo], unit: CalendarUnit) -> None:
        """Every instant lies in one unit, whose start and end all its instants share."""
        at, tz = place
        start, end = start_of(unit, at, tz), next_start(unit, at, tz)
        assert start <= at < end
        last = end - timedelta(microseconds=1)
        assert (start, end) == (start_of(unit, start, tz), next_start(unit, start, tz))
        assert (start, end) == (start_of(unit, last, tz), next_start(unit, last, tz))
        assert end == start_of(unit, end, tz)

    @given(places())
    def test_larger_units_consist_of_smaller_ones(self, place: tuple[datetime, ZoneInfo]) -> None:
        """A month lies in one quarter, a quarter in one half-year, a half-year in one year."""
        at, tz = place
        nested: list[CalendarUnit] = ["day", "month", "quarter", "half_year", "year"]
        starts = [start_of(unit, at, tz) for unit in nested]
        ends = [next_start(unit, at, tz) for unit in nested]
        assert sorted(starts, reverse=True) == starts
        assert sorted(ends) == ends

    @pytest.mark.parametrize(
        ("unit", "start", "end"),
        [
            ("day", date(2026, 5, 20), date(2026, 5, 21)),
            ("week", date(2026, 5, 18), date(2026, 5, 25)),
            ("month", date(2026, 5, 1), date(2026, 6, 1)),
            ("quarter", date(2026, 4, 1), date(2026, 7, 1)),
            ("half_year", date(2026, 1, 1), date(2026, 7, 1)),
            ("year", date(2026, 1, 1), date(2027, 1, 1)),
        ],
    )
    def test_where_units_start(self, unit: CalendarUnit, start: date, end: date) -> None:
        """Weeks start on Monday; quarters and half-years are those of the calendar year."""
        at = datetime(2026, 5, 20, 23, 30, tzinfo=NEW_YORK)  # a Wednesday; in UTC already Thursday
        assert day_start(start, NEW_YORK) == start_of(unit, at, NEW_YORK)
        assert day_start(end, NEW_YORK) == next_start(unit, at, NEW_YORK)

    @pytest.mark.parametrize(
        ("name", "day", "start"),
        [
            ("Asia/Tokyo", date(2026, 5, 5), utc(2026, 5, 4, 15)),  # S85
            ("America/Sao_Paulo", date(2018, 11, 4), utc(2018, 11, 4, 3)),  # 00:00 became 01:00
            ("America/Toronto", date(1919, 3, 31), utc(1919, 3, 31, 4, 30)),  # 23:30 became 00:30
            ("America/Havana", date(2026, 11, 1), utc(2026, 11, 1, 4)),  # 00:00 to 01:00 came twice: the first
            ("America/St_Johns", date(2010, 11, 7), utc(2010, 11, 7, 2, 30)),  # at 00:01 it became 23:01 again
            ("Pacific/Apia", date(2011, 12, 30), utc(2011, 12, 30, 10)),  # skipped altogether
            ("Pacific/Apia", date(2011, 12, 31), utc(2011, 12, 30, 10)),
        ],
    )
    def test_where_a_day_begins(self, name: str, day: date, start: datetime) -> None:
        """A day begins with its first instant, which is midnight only where there is one."""
        assert start == day_start(day, name)

    @given(st.integers(1, 1799))
    def test_a_day_begins_where_a_gap_around_midnight_ends(self, seconds: int) -> None:
        """A gap that swallows midnight ends at the very instant of the change, wherever midnight lay in it."""
        change = datetime(2026, 1, 2) - timedelta(seconds=seconds)
        half_an_hour, nothing = timedelta(minutes=30), timedelta(0)

        class Uneven(tzinfo):
            def utcoffset(self, at: datetime | None) -> timedelta:
                assert at is not None
                late = at.replace(tzinfo=None) - change
                return half_an_hour if late >= (nothing if at.fold else half_an_hour) else nothing

            def fromutc(self, at: datetime) -> datetime:
                return at + (half_an_hour if at.replace(tzinfo=None) >= change else nothing)

            def dst(self, at: datetime | None) -> None:
                return None

        assert change.replace(tzinfo=UTC) == day_start(date(2026, 1, 2), Uneven())

    def test_a_day_that_has_begun_is_not_left_again(self) -> None:
        """Where clocks fall back across midnight, the repeated hour belongs to the new day."""
        repeated = datetime(2010, 11, 6, 23, 30, tzinfo=ZoneInfo("America/St_Johns"), fold=1)
        assert date(2010, 11, 7) == local_date(repeated, "America/St_Johns")
        assert date(2010, 11, 6) == local_date(repeated.replace(fold=0), "America/St_Johns")

    @pytest.mark.parametrize(
        ("day", "length"), [(date(2026, 3, 8), 23), (date(2026, 3, 9), 24), (date(2026, 11, 1), 25)]
    )
    def test_days_have_23_to_25_hours(self, day: date, length: int) -> None:
        """A local day is as long as the clocks make it."""
        assert timedelta(hours=length) == through(day, NEW_YORK) - until(day, NEW_YORK)

    def test_through_includes_the_day_and_until_does_not(self) -> None:
        """S87: through 6 July in New York is valid at 23:59 and over at midnight, 04:00 in UTC."""
        assert utc(2026, 7, 7, 4) == through(date(2026, 7, 6), "America/New_York")
        assert utc(2026, 7, 6, 4) == until(date(2026, 7, 6), "America/New_York")
        assert datetime(2026, 7, 6, 23, 59, tzinfo=NEW_YORK) < through(date(2026, 7, 6), NEW_YORK)

    @pytest.mark.parametrize("day", [utc(2026, 7, 6), "2026-07-06", None])
    def test_a_day_is_a_date(self, day: Any) -> None:
        """A datetime is no day, although it passes as a date."""
        for ask in (day_start, until, through):
            with pytest.raises(InputError):
                ask(day, "UTC")

    def test_the_ends_of_the_calendar_say_so(self) -> None:
        """What would lie before year 1 or after year 9999 is an error that says it, not a crash."""
        for ask in (
            lambda: through(date.max, "UTC"),
            lambda: day_start(date.min, "Asia/Tokyo"),
            lambda: local_date(utc(1, 1, 1), NEW_YORK),
            lambda: next_start("day", utc(9999, 12, 31), "UTC"),
            lambda: next_start("week", utc(9999, 12, 31), "UTC"),
            lambda: next_start("year", utc(9999, 1, 1), "UTC"),
            lambda: next_start("quarter", utc(9999, 10, 1), "UTC"),
        ):
            with pytest.raises(InputError, match="years run from 1 to 9999"):
                ask()
        assert utc(9999, 7, 1) == start_of("half_year", utc(9999, 12, 31), "UTC")
        assert utc(1, 1, 1) == start_of("week", utc(1, 1, 5), "UTC")

    def test_units_have_names(self) -> None:
        """An unknown unit is refused with the list of those that exist."""
        with pytest.raises(InputError, match="half_year"):
            start_of("fortnight", utc(2026, 1, 1), "UTC")  # type: ignore[arg-type]
        assert as_unit("week") == "week"
        with pytest.raises(InputError):
            as_unit(["day"])


class TestBirthday:
    @pytest.mark.parametrize(
        ("year", "feb28", "mar1"),
        [
            (2026, date(2026, 2, 28), date(2026, 3, 1)),
            (2028, date(2028, 2, 29), date(2028, 2, 29)),
            (2100, date(2100, 2, 28), date(2100, 3, 1)),
            (2000, date(2000, 2, 29), date(2000, 2, 29)),
        ],
    )
    def test_29_february(self, year: int, feb28: date, mar1: date) -> None:
        """S82: who was born on 29 February has a birthday every year, on a day that the policy names."""
        assert feb28 == on_birthday(year, 2, 29, "feb28") == on_birthday(year, 2, 29)
        assert mar1 == on_birthday(year, 2, 29, "mar1")

    @given(st.dates(), st.sampled_from(["feb28", "mar1"]))
    def test_every_other_day_is_itself(self, day: date, policy: Any) -> None:
        """The policy changes nothing for a day that the year has."""
        assert day == on_birthday(day.year, day.month, day.day, policy)

    @pytest.mark.parametrize(
        "parts",
        [(2026, 2, 30), (2026, 13, 1), (2026, 4, 31), (0, 2, 29), (10_000, 2, 29), (2026, "2", 3), (2026, 2, None)],
    )
    def test_a_day_that_no_year_has_is_refused(self, parts: Any) -> None:
        """30 February is no birthday."""
        with pytest.raises(InputError):
            on_birthday(*parts)

    def test_an_unknown_policy_is_refused(self) -> None:
        """A misspelt policy is an error, not a default."""
        with pytest.raises(InputError, match="feb28, mar1"):
            on_birthday(2026, 1, 1, "mar01")  # type: ignore[arg-type]


# ---------------------------------------------------------------- periods


class TestPeriod:
    @given(places(), PERIODS)
    def test_months_clamp_days_keep_the_wall_clock_and_time_elapses(
        self, place: tuple[datetime, ZoneInfo], period: Period
    ) -> None:
        """A period adds months (the day clamped), then days, on the local clock, then elapsed time."""
        at, tz = place
        wall = at.astimezone(tz).replace(tzinfo=None)
        month = 12 * wall.year + wall.month - 1 + period.months
        last = monthrange(month // 12, month % 12 + 1)[1]
        wall = wall.replace(year=month // 12, month=month % 12 + 1, day=min(wall.day, last)) + timedelta(period.days)
        start = resolve_imaginary(wall.replace(tzinfo=tz, fold=0)) if period.months or period.days else at
        assert to_us(start) + period.microseconds == to_us(period.after(at, tz))

    @given(places(), PERIODS)
    def test_before_is_the_mirror_image(self, place: tuple[datetime, ZoneInfo], period: Period) -> None:
        """Counting back takes months (the day clamped), then days, on the local clock, then elapsed time."""
        at, tz = place
        wall = at.astimezone(tz).replace(tzinfo=None)
        month = 12 * wall.year + wall.month - 1 - period.months
        last = monthrange(month // 12, month % 12 + 1)[1]
        wall = wall.replace(year=month // 12, month=month % 12 + 1, day=min(wall.day, last)) - timedelta(period.days)
        start = resolve_imaginary(wall.replace(tzinfo=tz, fold=0)) if period.months or period.days else at
        assert to_us(start) - period.microseconds == to_us(period.before(at, tz))

    @given(places(), PERIODS)
    def test_plus_and_minus_count_in_the_zone_of_the_datetime(
        self, place: tuple[datetime, ZoneInfo], period: Period
    ) -> None:
        """Datetime + period is period.after in the datetime's own zone, and stays in it; so is the difference."""
        at, tz = place
        local = at.astimezone(tz)
        assert to_us(local + period) == to_us(period.after(at, tz))
        assert to_us(local - period) == to_us(period.before(at, tz))
        assert (local + period).tzinfo is tz
        assert to_us(at + period) == to_us(period.after(at, UTC))

    @given(places(), st.sampled_from(UNITS), PERIODS)
    def test_end_of_is_the_exclusive_end_of_the_unit(
        self, place: tuple[datetime, ZoneInfo], unit: CalendarUnit, period: Period
    ) -> None:
        """Rounding to an end leads to the start of the unit after the one in which the sum lies."""
        at, tz = place
        rounded = period.to_end_of(unit).after(at, tz)
        exact = period.after(at, tz)
        assert start_of(unit, exact, tz) <= exact < rounded
        assert rounded == next_start(unit, exact, tz)

    @pytest.mark.parametrize(
        ("period", "earned", "expires"),
        [
            (months(1).to_end_of("day"), utc(2026, 1, 31), utc(2026, 3, 1)),  # S07
            (months(1).to_end_of("day"), utc(2026, 1, 31, 23, 59), utc(2026, 3, 1)),
            (months(1).to_end_of("day"), utc(2028, 1, 31), utc(2028, 3, 1)),
            (months(12).to_end_of("month"), utc(2020, 7, 6), utc(2021, 8, 1)),  # S08
            (months(0).to_end_of("day"), utc(2026, 1, 1, 10), utc(2026, 1, 2)),  # S09
            (years(1).to_end_of("day"), utc(2028, 2, 29), utc(2029, 3, 1)),  # S10
            (years(1), utc(2021, 12, 31), utc(2022, 12, 31)),  # S11
            (years(1), utc(2021, 1, 1), utc(2022, 1, 1)),
            (years(1).to_end_of("day"), utc(2025, 1, 1), utc(2026, 1, 2)),  # on the boundary: the day that begins
            (days(90).to_end_of("quarter"), utc(2026, 1, 1), utc(2026, 7, 1)),
            (months(6).to_end_of("half_year"), utc(2026, 3, 1), utc(2027, 1, 1)),
            (months(6).to_end_of("year"), utc(2026, 7, 1), utc(2028, 1, 1)),
        ],
    )
    def test_when_points_expire(self, period: Period, earned: datetime, expires: datetime) -> None:
        """The dates that a person works out by hand."""
        assert expires == period.after(earned, "UTC")

    @pytest.mark.parametrize(
        ("at", "period", "expected"),
        [
            # 02:30 does not exist on the day the clocks go forward: it moves by the hour that is missing
            (datetime(2026, 3, 7, 2, 30, tzinfo=NEW_YORK), days(1), datetime(2026, 3, 8, 3, 30, tzinfo=NEW_YORK)),
            # ... by the half hour that is missing on Lord Howe Island
            (datetime(2026, 10, 3, 2, 15, tzinfo=LORD_HOWE), days(1), datetime(2026, 10, 4, 2, 45, tzinfo=LORD_HOWE)),
            # 01:30 comes twice on the day they go back: the earlier
            (datetime(2026, 10, 31, 1, 30, tzinfo=NEW_YORK), days(1), datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)),
            # the later 01:30 plus minutes is elapsed time
            (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1), minutes(15), utc(2026, 11, 1, 6, 45)),
            # a day and 24 hours differ when the clocks change
            (datetime(2026, 3, 7, 12, tzinfo=NEW_YORK), days(1), utc(2026, 3, 8, 16)),
            (datetime(2026, 3, 7, 12, tzinfo=NEW_YORK), hours(24), utc(2026, 3, 8, 17)),
            # the day that Samoa skipped
            (datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia")), days(1), utc(2011, 12, 30, 22)),
        ],
    )
    def test_where_clocks_change(self, at: datetime, period: Period, expected: datetime) -> None:
        """A local time that does not exist moves forward by the gap; of two, the earlier is meant."""
        assert to_us(expected) == to_us(at + period)

    def test_months_count_back_to_the_clamped_day(self) -> None:
        """6 months before 31 August is the last day of February."""
        assert utc(2024, 2, 29) == months(6).before(utc(2024, 8, 31), "UTC")
        assert utc(2023, 2, 28) == months(6).before(utc(2023, 8, 31), "UTC")

    def test_nothing_is_where_it_started(self) -> None:
        """A period of nothing, or no times a period, leaves the instant alone, in the repeated hour too."""
        at = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1)
        assert to_us(at) == to_us(days(0).after(at, NEW_YORK)) == to_us(months(1).after(at, NEW_YORK, times=0))

    def test_the_ends_of_the_calendar_say_so(self) -> None:
        """A sum outside the years 1 to 9999 is an error that says it."""
        for ask in (
            lambda: utc(9999, 6, 1) + years(1),
            lambda: utc(9999, 12, 31) + days(1),
            lambda: utc(9999, 12, 31, 23) + hours(1),
            lambda: utc(1, 1, 1) - minutes(1),
            lambda: utc(1, 6, 1) - months(6),
            lambda: years(9999).after(utc(2026, 1, 1), "UTC", times=10**9),
            lambda: days(1).after(utc(2026, 1, 1), "UTC", times=10**12),
            lambda: hours(1).after(utc(2026, 1, 1), "UTC", times=10**18),
            lambda: days(1).after(utc(1, 1, 1), NEW_YORK),
        ):
            with pytest.raises(InputError, match="years run from 1 to 9999"):
                ask()
        assert utc(9999, 12, 31) == utc(9998, 12, 31) + years(1)
        assert utc(1, 1, 1) == utc(1, 2, 1) - months(1)

    @pytest.mark.parametrize("make", [minutes, hours, days, weeks, months, quarters, years])
    @pytest.mark.parametrize("count", [-1, 1.0, True, "1", None, 10**20])
    def test_counts_are_whole_and_not_negative(self, make: Any, count: Any) -> None:
        """Half a month has no meaning, and a negative period is asked for with before."""
        with pytest.raises(InputError):
            make(count)

    def test_a_period_is_checked_however_it_is_made(self) -> None:
        """The fields themselves are held to their bounds, so data from outside is too."""
        for fields in (
            {"months": -1},
            {"days": 1.5},
            {"microseconds": True},
            {"months": 119_989},
            {"end_of": "decade"},
        ):
            with pytest.raises(InputError, match=next(iter(fields))):
                Period(**fields)  # type: ignore[arg-type]

    def test_units_are_made_of_each_other(self) -> None:
        """A year is 12 months, a quarter 3, a week 7 days, an hour 60 minutes; 24 hours are no day."""
        assert years(2) == months(24) == quarters(8)
        assert weeks(2) == days(14)
        assert hours(2) == minutes(120)
        assert hours(24) != days(1)

    @pytest.mark.parametrize(
        ("period", "text"),
        [
            (months(12).to_end_of("month"), "12 months, to the end of the month"),
            (months(1), "1 month"),
            (months(6), "6 months"),
            (months(18), "18 months"),
            (years(2), "2 years"),
            (days(1), "1 day"),
            (days(30), "30 days"),
            (weeks(5), "5 weeks"),
            (minutes(30), "30 minutes"),
            (minutes(90), "1 hour and 30 minutes"),
            (hours(48), "48 hours"),
            (Period(months=1, days=3, microseconds=1_000_001), "1 month, 3 days, 1 second and 1 microsecond"),
            (days(0), "0 days"),
            (days(0).to_end_of("half_year"), "to the end of the half-year"),
        ],
    )
    def test_a_period_says_itself_in_plain_words(self, period: Period, text: str) -> None:
        """A period reads as one would say it."""
        assert text == str(period)

    def test_a_period_is_a_value(self) -> None:
        """Periods compare, hash and pickle by what they mean."""
        period = months(12).to_end_of("month")
        assert pickle.loads(pickle.dumps(period)) == period
        assert len({period, months(12).to_end_of("month"), months(12)}) == 2

    @pytest.mark.parametrize("left", [1, "2026-01-01", date(2026, 1, 1), timedelta(1)])
    def test_only_datetimes_can_be_moved(self, left: Any) -> None:
        """A period is added to an instant and to nothing else."""
        with pytest.raises(TypeError):
            left + days(1)
        with pytest.raises(TypeError):
            left - days(1)

    def test_a_naive_datetime_cannot_be_moved(self) -> None:
        """Nor is a period added to a datetime without a zone."""
        with pytest.raises(InputError, match="has no time zone"):
            datetime(2026, 1, 1) + days(1)

    def test_counting_back_knows_no_end(self) -> None:
        """A period that is extended to an end has no mirror image."""
        with pytest.raises(InputError):
            months(1).to_end_of("month").before(utc(2026, 1, 1), "UTC")


class TestSeries:
    def test_months_count_from_the_first_date(self) -> None:
        """S105: monthly from 31 January is 28 February, 31 March, 30 April, 31 May."""
        anchor, at, seen = utc(2026, 1, 31), utc(2026, 1, 31), []
        for _ in range(4):
            at = months(1).after(at, "UTC", anchor=anchor)
            seen.append((at.month, at.day))
        assert seen == [(2, 28), (3, 31), (4, 30), (5, 31)]
        assert seen == [(d.month, d.day) for d in (months(1).after(anchor, "UTC", times=n) for n in (1, 2, 3, 4))]

    def test_a_leap_day_comes_back(self) -> None:
        """Yearly from 29 February is 28 February, and 29 February in leap years."""
        found = [years(1).after(utc(2024, 2, 29), "UTC", times=n).day for n in range(1, 5)]
        assert found == [28, 28, 28, 29]

    @given(
        places(),
        st.sampled_from([days(1), days(7), months(1), quarters(1), years(1), hours(5), Period(months=1, days=1)]),
        st.integers(-60, 60),
        st.integers(-26 * 60, 26 * 60),
    )
    def test_the_next_date_is_the_first_one_after(
        self, place: tuple[datetime, ZoneInfo], period: Period, steps: int, away: int
    ) -> None:
        """With an anchor, the answer is the first date of the series after the instant, wherever that lies."""
        anchor, tz = place
        mean = 30 * DAY * period.months + DAY * period.days + period.microseconds
        at = from_us(to_us(anchor) + steps * mean + away * 60_000_000)
        found, latest = (period.after(at, tz, anchor=anchor, times=times) for times in (1, 0))
        assert latest <= at < found
        if at >= anchor:
            count = next(n for n in range(200) if period.after(anchor, tz, times=n) > at)
            assert found == period.after(anchor, tz, times=count)
            assert latest == period.after(anchor, tz, times=count - 1)
            assert period.after(at, tz, anchor=anchor, times=3) == period.after(anchor, tz, times=count + 2)

    @given(places(), PERIODS.filter(lambda period: period.months or period.days))
    def test_without_an_anchor_the_instant_is_it(self, place: tuple[datetime, ZoneInfo], period: Period) -> None:
        """A series that starts at the instant gives the same date with and without naming it."""
        at, tz = place
        assert period.after(at, tz) == period.after(at, tz, anchor=at)

    def test_the_end_applies_to_the_date_found(self) -> None:
        """Rounding to an end does not disturb the series: the dates count on from the anchor."""
        period, anchor = months(1).to_end_of("month"), utc(2026, 1, 15)
        assert utc(2026, 4, 1) == period.after(utc(2026, 3, 1), "UTC", anchor=anchor)
        assert utc(2026, 5, 1) == period.after(utc(2026, 4, 1), "UTC", anchor=anchor)

    def test_a_series_needs_a_step(self) -> None:
        """Nothing, repeated, leads nowhere."""
        with pytest.raises(InputError):
            days(0).after(utc(2026, 1, 1), "UTC", anchor=utc(2025, 1, 1))

    @pytest.mark.parametrize("times", [-1, 1.0, True, None])
    def test_times_is_a_whole_number(self, times: Any) -> None:
        """A series has a first date, a second, a third."""
        with pytest.raises(InputError):
            days(1).after(utc(2026, 1, 1), "UTC", times=times)

    def test_the_series_ends_with_the_calendar(self) -> None:
        """The last date of the series is found, and there is none after it."""
        anchor, at = utc(2026, 1, 1), utc(9999, 12, 31)
        assert utc(9999, 1, 1) == years(1).after(at, "UTC", anchor=anchor, times=0)
        with pytest.raises(InputError):
            years(1).after(at, "UTC", anchor=anchor)
        assert utc(1, 1, 1) == years(1).after(utc(1, 6, 1), "UTC", anchor=anchor, times=0)
        assert utc(1, 12, 31) == years(1).after(utc(1, 1, 1), "UTC", anchor=utc(2026, 12, 31))
        with pytest.raises(InputError):
            years(1).after(utc(1, 1, 1), "UTC", anchor=utc(2026, 12, 31), times=0)
