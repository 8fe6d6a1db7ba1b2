"""Windows of time: what belongs to the past 6 months, the calendar year, the membership year."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from loyaltykit.calendar import Period, days, from_us, hours, months, next_start, start_of, to_us, weeks, years
from loyaltykit.errors import InputError
from loyaltykit.windows import (
    Anniversary,
    Between,
    CalendarWindow,
    Lifetime,
    Rolling,
    Span,
    Window,
    anniversary_year,
    as_window,
    between,
    bounds,
    calendar_day,
    calendar_half_year,
    calendar_month,
    calendar_quarter,
    calendar_week,
    calendar_year,
    inside,
    lifetime,
)

NEW_YORK = ZoneInfo("America/New_York")
TICK = timedelta(microseconds=1)
JOINED = datetime(2024, 2, 29, 15, tzinfo=UTC)

INSTANTS = st.integers(to_us(datetime(1990, 1, 1, tzinfo=UTC)), to_us(datetime(2060, 1, 1, tzinfo=UTC))).map(from_us)
ZONES = st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"])
WINDOWS: st.SearchStrategy[Window] = st.one_of(
    st.sampled_from([months(1), months(6), days(30), weeks(5), hours(24), years(1)]).map(Rolling),
    st.sampled_from(["day", "week", "month", "quarter", "half_year", "year"]).map(CalendarWindow),  # type: ignore[arg-type]
    st.sampled_from([years(1), months(1)]).map(Anniversary),
    st.just(Lifetime()),
    st.tuples(INSTANTS, INSTANTS).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Between(*pair)),
    st.tuples(st.dates(date(1995, 1, 1), date(2055, 1, 1)), st.integers(1, 999)).map(
        lambda pair: Between(pair[0], pair[0] + timedelta(pair[1]))
    ),
)


def utc(*fields: int) -> datetime:
    """Return the instant with these fields in UTC."""
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc,arg-type]


class TestBounds:
    @given(WINDOWS, INSTANTS, ZONES, INSTANTS)
    def test_nothing_after_the_instant_belongs_to_a_window(
        self, window: Window, at: datetime, zone: str, other: datetime
    ) -> None:
        """A window is cut at the instant, inclusive: what comes later never counts."""
        span = bounds(window, at, zone, anchor=JOINED)
        assert at + TICK not in span
        if other > at:
            assert other not in span
        if not isinstance(window, Between):
            assert at in span

    @given(WINDOWS, INSTANTS, ZONES, st.integers(-1, 1))
    def test_bounds_are_as_documented(self, window: Window, at: datetime, zone: str, ticks: int) -> None:
        """The start belongs to a window unless it is rolling; the end never does."""
        span = bounds(window, at, zone, anchor=JOINED)
        if span.start is not None:
            x = span.start + ticks * TICK
            begun = x > span.start or (x == span.start and not isinstance(window, Rolling))
            assert (begun and x <= at and (span.end is None or x < span.end)) == (x in span)
        if span.end is not None:
            assert span.end not in span

    @given(WINDOWS, INSTANTS, ZONES, INSTANTS)
    def test_the_integers_say_the_same(self, window: Window, at: datetime, zone: str, x: datetime) -> None:
        """Engines that compare integer microseconds decide as Python does."""
        span = bounds(window, at, zone, anchor=JOINED)
        first, stop = span.us
        for moment in [
            x,
            at,
            *(edge + tick for edge in (span.start, span.end) if edge for tick in (-TICK, 0 * TICK, TICK)),
        ]:
            assert ((first is None or first <= to_us(moment)) and to_us(moment) < stop) == (moment in span)
        assert first is None or first <= stop

    @given(st.sampled_from(["day", "week", "month", "quarter", "half_year", "year"]), INSTANTS, ZONES)
    def test_calendar_windows_are_those_of_the_zone(self, unit: Any, at: datetime, zone: str) -> None:
        """A calendar window runs from the start of the local unit to the start of the next."""
        span = bounds(CalendarWindow(unit), at, zone)
        assert (start_of(unit, at, zone), next_start(unit, at, zone)) == (span.start, span.end)

    @given(INSTANTS, st.sampled_from([years(1), months(1)]), INSTANTS)
    def test_anniversary_windows_tile_the_time_line(self, at: datetime, period: Any, anchor: datetime) -> None:
        """Every instant lies in one membership year; where one ends the next begins."""
        span = bounds(Anniversary(period), at, NEW_YORK, anchor)
        assert span.start is not None
        assert span.end is not None
        assert span.start <= at < span.end
        assert span.end == bounds(Anniversary(period), span.end, NEW_YORK, anchor).start
        assert span.start == bounds(Anniversary(period), span.end - TICK, NEW_YORK, anchor).start

    def test_six_months_clamp(self) -> None:
        """The past 6 months of 31 August begin after 29 February: an order at that instant is out, one later is in."""
        span = bounds(Rolling(months(6)), utc(2024, 8, 31, 12), "UTC")
        assert utc(2024, 2, 29, 12) == span.start
        assert utc(2024, 2, 29, 12) not in span
        assert utc(2024, 2, 29, 12, 0, 0, 1) in span
        assert utc(2024, 8, 31, 12) in span

    def test_the_calendar_year_is_the_zones(self) -> None:
        """At 3 o'clock of 1 January in UTC it is still last year in New York."""
        span = bounds(calendar_year(), utc(2026, 1, 1, 3), NEW_YORK)
        assert (utc(2025, 1, 1, 5), utc(2026, 1, 1, 5)) == (span.start, span.end)
        assert utc(2025, 1, 1, 5) in span
        assert utc(2025, 1, 1, 4, 59) not in span

    def test_membership_years_count_from_the_first_day(self) -> None:
        """Who joined on 29 February starts a year on 28 February, and on 29 February again in leap years."""
        joined = date(2024, 2, 29)
        starts = [
            bounds(anniversary_year(), utc(year, 7, 1), "UTC", joined).start for year in (2024, 2025, 2026, 2027, 2028)
        ]
        assert starts == [utc(2024, 2, 29), utc(2025, 2, 28), utc(2026, 2, 28), utc(2027, 2, 28), utc(2028, 2, 29)]

    def test_a_bare_date_is_a_day_in_the_zone(self) -> None:
        """Dates of a fixed window begin with the local day; the end's day is out."""
        span = bounds(between(date(2026, 7, 1), date(2026, 7, 7)), utc(2027, 1, 1), NEW_YORK)
        assert (utc(2026, 7, 1, 4), utc(2026, 7, 7, 4)) == (span.start, span.end)
        assert datetime(2026, 7, 6, 23, 59, tzinfo=NEW_YORK) in span
        assert datetime(2026, 7, 7, tzinfo=NEW_YORK) not in span

    def test_a_fixed_window_that_has_not_begun_is_empty(self) -> None:
        """Before its start a fixed window holds nothing, not even the instant asked about."""
        span = bounds(between(utc(2026, 7, 1), utc(2026, 8, 1)), utc(2026, 6, 1), "UTC")
        assert utc(2026, 6, 1) not in span
        assert utc(2026, 7, 1) not in span
        assert span.us[0] == span.us[1]

    def test_the_repeated_hour_is_told_apart(self) -> None:
        """Membership goes by the instant, not by the wall clock, where an hour comes twice."""
        first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
        span = bounds(calendar_day(), first, NEW_YORK)
        assert first in span
        assert second not in span

    def test_a_lifetime_has_no_start(self) -> None:
        """Everything so far counts, from the first year on."""
        span = bounds(lifetime(), utc(2026, 1, 1), "UTC")
        assert (span.start, span.end) == (None, None)
        assert utc(1, 1, 1) in span

    def test_a_bare_period_is_rolling(self) -> None:
        """Where a window is asked for, a period means the past so-and-so long."""
        assert as_window(months(6)) == Rolling(months(6))
        assert bounds(months(6), JOINED, "UTC") == bounds(Rolling(months(6)), JOINED, "UTC")

    def test_an_anniversary_needs_its_anchor(self) -> None:
        """Without the day of joining there is no membership year."""
        with pytest.raises(InputError, match="anchor"):
            bounds(anniversary_year(), utc(2026, 1, 1), "UTC")
        with pytest.raises(InputError, match="anchor"):
            bounds(anniversary_year(), utc(2026, 1, 1), "UTC", anchor="2024-02-29")  # type: ignore[arg-type]

    def test_a_span_asks_for_instants(self) -> None:
        """A naive datetime is neither inside nor outside."""
        with pytest.raises(InputError):
            _ = datetime(2026, 1, 1) in Span(None, None, utc(2026, 1, 1))


class TestWindows:
    @pytest.mark.parametrize(
        ("window", "text"),
        [
            (Rolling(months(6)), "in the past 6 months"),
            (Rolling(months(1)), "in the past month"),
            (Rolling(weeks(5)), "in the past 5 weeks"),
            (Rolling(hours(1)), "in the past hour"),
            (calendar_day(), "in the calendar day"),
            (calendar_week(), "in the calendar week"),
            (calendar_month(), "in the calendar month"),
            (calendar_quarter(), "in the calendar quarter"),
            (calendar_half_year(), "in the calendar half-year"),
            (calendar_year(), "in the calendar year"),
            (anniversary_year(), "in the membership year"),
            (Anniversary(months(1)), "in the membership month"),
            (Anniversary(months(3)), "in the current 3 months of membership"),
            (lifetime(), "ever"),
            (between(date(2026, 1, 1), date(2026, 7, 1)), "from 2026-01-01 until 2026-07-01"),
        ],
    )
    def test_a_window_says_itself_in_plain_words(self, window: Window, text: str) -> None:
        """A window reads as one would say it."""
        assert text == str(window)

    @given(WINDOWS)
    def test_windows_are_values(self, window: Window) -> None:
        """Windows compare, hash and pickle by what they mean."""
        assert pickle.loads(pickle.dumps(window)) == window
        assert hash(window) == hash(pickle.loads(pickle.dumps(window)))

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Rolling(days(0)),
            lambda: Rolling(months(1).to_end_of("month")),
            lambda: Rolling("6 months"),  # type: ignore[arg-type]
            lambda: Anniversary(days(0)),
            lambda: CalendarWindow("decade"),  # type: ignore[arg-type]
            lambda: between(date(2026, 1, 2), date(2026, 1, 1)),
            lambda: between(date(2026, 1, 1), date(2026, 1, 1)),
            lambda: between(utc(2026, 1, 2), utc(2026, 1, 1)),
            lambda: between(datetime(2026, 1, 1), utc(2026, 1, 2)),
            lambda: between("2026-01-01", date(2026, 1, 2)),  # type: ignore[arg-type]
            lambda: as_window("year"),
        ],
    )
    def test_what_is_no_window_is_refused(self, make: Any) -> None:
        """An empty or endless window, an unknown unit or a window that ends before it starts is an error."""
        with pytest.raises(InputError, match="window"):
            make()

    def test_the_order_of_a_fixed_window_goes_by_the_instant(self) -> None:
        """A window within the repeated hour is not mistaken for an empty one."""
        first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
        assert first in bounds(between(first, second), utc(2027, 1, 1), "UTC")
        with pytest.raises(InputError):
            between(second, first)


# Days on which clocks are changed somewhere, and the last of months of different length.
EDGES = st.sampled_from(
    [date(2024, 3, 10), date(2024, 11, 3), date(2024, 4, 7), date(2024, 10, 6), date(2024, 2, 29), date(2024, 8, 31)]
)
NEAR_EDGES = st.tuples(EDGES, st.integers(-1440, 2880)).map(
    lambda pair: datetime(pair[0].year, pair[0].month, pair[0].day, tzinfo=UTC) + timedelta(minutes=pair[1])
)
LENGTHS = st.sampled_from(
    [days(1), days(30), weeks(5), months(1), months(6), months(12), hours(5), Period(months=1, days=1, microseconds=5)]
)


class TestInside:
    @staticmethod
    def agree(window: Window, at: datetime, zone: ZoneInfo, others: list[datetime]) -> None:
        """Check the stretches of time against the window itself, at their ends and at other instants."""
        stretches = inside(window, to_us(at), zone, JOINED)
        ends = [end for stretch in stretches for end in stretch if end is not None]
        assert sorted(ends) == ends
        steps = [timedelta(0), -TICK, TICK, timedelta(minutes=30), timedelta(minutes=-30), timedelta(hours=1)]
        for then in [*(from_us(end) + step for end in ends for step in steps), *others]:
            if then >= at:
                told = any(start <= to_us(then) and (end is None or to_us(then) < end) for start, end in stretches)
                assert told == (at in bounds(window, then, zone, JOINED)), then

    @settings(max_examples=300)
    @given(LENGTHS, NEAR_EDGES, ZONES, st.booleans(), st.data())
    def test_rolling_windows_leave_a_purchase_behind_once(
        self, period: Period, at: datetime, zone: str, leaving: bool, data: st.DataObject
    ) -> None:
        """From when until when a purchase counts is exact, also where clocks are changed at either end."""
        at = period.before(at, zone) if leaving else at
        after = data.draw(st.lists(st.integers(0, 400 * 1440), max_size=9))
        self.agree(Rolling(period), at, ZoneInfo(zone), [at + timedelta(minutes=count) for count in after])

    @given(WINDOWS, INSTANTS, ZONES, st.lists(INSTANTS, max_size=9))
    def test_it_is_the_other_way_round_of_bounds(
        self, window: Window, at: datetime, zone: str, others: list[datetime]
    ) -> None:
        """An instant lies in the window at exactly the instants of its stretches."""
        self.agree(window, at, ZoneInfo(zone), others)

    def test_by_hand(self) -> None:
        """A purchase of 31 August leaves the past six months with 28 February, the calendar year with 31 December."""
        at = to_us(utc(2025, 8, 31, 12))
        assert ((at, to_us(utc(2026, 3, 1))),) == inside(Rolling(months(6)), at, ZoneInfo("UTC"))
        assert ((at, to_us(utc(2026, 1, 1))),) == inside(calendar_year(), at, ZoneInfo("UTC"))
        assert ((at, None),) == inside(lifetime(), at, ZoneInfo("UTC"))
        assert () == inside(between(utc(2026, 1, 1), utc(2027, 1, 1)), at, ZoneInfo("UTC"))

    def test_an_hour_that_comes_twice_may_bring_it_in_again(self) -> None:
        """A day of 1:30 the day before clocks are put back counts until 1:30, and once more until the second 1:30."""
        bought = datetime(2026, 10, 31, 1, 30, tzinfo=NEW_YORK)
        first, back, second = utc(2026, 11, 1, 5, 30), utc(2026, 11, 1, 6), utc(2026, 11, 1, 6, 30)
        stretches = inside(Rolling(days(1)), to_us(bought), NEW_YORK)
        assert [(to_us(bought), to_us(first)), (to_us(back), to_us(second))] == list(stretches)

    def test_there_is_an_end_of_time(self) -> None:
        """What would leave a window after the year 9999 stays in it."""
        at = to_us(utc(9999, 6, 1))
        assert ((at, None),) == inside(Rolling(years(1)), at, ZoneInfo("UTC"))
