"""Thresholds: what reaching a target brings, from when until when, what takes it back, what is left and to go."""

from __future__ import annotations

import heapq
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise, permutations
from typing import Any, NamedTuple

import attrs
import pytest
from histories import INSTANTS, TICK, WINDOWS, ZONES, bought, histories, known_from, telling, until, utc
from hypothesis import assume, given, settings, strategies as st

from loyaltykit import wire
from loyaltykit.calendar import (
    Period,
    day_start,
    days,
    from_us,
    hours,
    local_date,
    months,
    to_us,
)  # fmt: skip
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Fact, Line, Order, Refund, Reversal
from loyaltykit.grants import bonus_points, free_shipping, perk
from loyaltykit.history import History, Movement
from loyaltykit.matching import category
from loyaltykit.measures import (
    Measure,
    activities,
    balance_of,
    categories,
    days_since_first,
    days_since_last,
    earned,
    orders,
    parts_of,
    periods,
    products,
    spend,
)  # fmt: skip
from loyaltykit.thresholds import (
    Left,
    Progress,
    Threshold,
    decisions,
    end_of_day,
    end_of_month,
    end_of_year,
    granted,
    left,
    progress,
)  # fmt: skip
from loyaltykit.windows import (
    Anniversary,
    Between,
    CalendarWindow,
    Lifetime,
    Rolling,
    anniversary_year,
    between,
    bounds,
    calendar_month,
    calendar_year,
    lifetime,
)  # fmt: skip

MEASURES: st.SearchStrategy[Measure] = st.one_of(
    st.builds(spend, WINDOWS),
    st.builds(spend, WINDOWS, where=st.just(category("coffee"))),
    st.builds(orders, WINDOWS),
    st.builds(products, WINDOWS),
    st.builds(activities, st.just("review"), WINDOWS),
    st.builds(earned, WINDOWS),
    st.just(balance_of()),
)
LASTING = st.sampled_from(
    [None, None, "while_reached", "for_ever", days(1), months(1), months(12), hours(36), end_of_year(), end_of_month()]
)
BENEFITS = st.sampled_from([(), free_shipping(), (free_shipping(), bonus_points(100))])


def periodic(measure: Measure) -> bool:
    """Say whether the window is followed by another."""
    return isinstance(measure.window, CalendarWindow | Anniversary)


@st.composite
def thresholds(draw: st.DrawFn, measures: st.SearchStrategy[Measure] = MEASURES) -> Threshold:
    """Draw a threshold that random histories reach now and then."""
    measure = draw(measures)
    money = st.sampled_from(["0.01", "3.33", "10.00", "15", "20", "20", "25", "33.33"])
    target: Any = draw(money if measure.kind == "spend" else st.sampled_from([1, 1, 2, 3]))
    lasting = LASTING if not periodic(measure) else st.one_of(LASTING, st.just("end_of_window"))
    return Threshold(
        "goal", measure, target, grants=draw(BENEFITS), until=draw(lasting),
        refunds=draw(st.sampled_from(["keep", "revoke", "revoke"])),
    )  # fmt: skip


# ---------------------------------------------------------------- the naive reference: day by day, as it happens


class Held(NamedTuple):
    """A grant, as it would be booked by hand."""

    key: str
    starts: datetime
    ends: datetime | None
    revoked: datetime | None = None

    def over_by(self, at: datetime) -> bool:
        """Say whether it is held no more at an instant."""
        end = self.ends if self.revoked is None else self.revoked
        return end is not None and end <= at


class Diary:
    """Walks through time from instant to instant, and books what a threshold's words say, by what is known then."""

    def __init__(self, threshold: Threshold, history: History, at: datetime) -> None:
        self.threshold, self.history, self.at = threshold, history, at
        self.measure, self.zone = threshold.measure, history.zone
        self.told: dict[int, History] = {}
        self.times = self.instants()
        self.held: dict[Any, Held] = {}  # by window; where it is rolling, by key
        self.last: Held | None = None
        self.on = False
        self.news = {max(part[:2]) for part in parts_of(self.measure, history) if not part.back}
        todo = [each for each in self.times if each <= at]
        heapq.heapify(todo)
        past: datetime | None = None
        while todo:
            now = heapq.heappop(todo)
            if now == past:
                continue
            self.look_back(now)
            new = self.look(now)
            if new is not None and new.ends is not None and now < new.ends <= at:
                heapq.heappush(todo, new.ends)
            past = now

    def known(self, at: datetime) -> History:
        """Return the history as it was known at an instant."""
        moments = [*map(known_from, self.history.facts), *(from_us(move.known) for move in self.history.movements)]
        number = sum(each <= at for each in moments)
        if number not in self.told:
            self.told[number] = attrs.evolve(until(self.history, at), joined=self.history.anchor)
        return self.told[number]

    def reaches(self, at: datetime, known: datetime | None = None, measure: Measure | None = None) -> bool:
        """Say whether the target is reached at an instant, by what is known then (or by another)."""
        history = self.known(known or at)
        value: Any = (measure or self.measure).value(history, at)
        return bool(value >= self.threshold.target)

    def instants(self) -> list[datetime]:
        """Return all instants at which anything may change, as far as anything is known at the end."""
        found = {*map(known_from, self.history.facts), *(fact.at for fact in self.history.facts)}
        found |= {from_us(us) for move in self.history.movements for us in move[:2]} | {self.at}
        window = self.measure.window
        if isinstance(window, Rolling):
            found |= set(telling(until(self.history, self.at), [window]))
            # The end of a month is reached from any of its last days: what leaves the window may do so days later.
            found |= {window.period.after(each, self.zone) + timedelta(4) for each in set(found)}
        if isinstance(window, Between):
            span = bounds(window, self.at, self.zone)
            found |= {each for each in (span.start, span.end) if each is not None}
        if periodic(self.measure):
            found |= {edge for each in set(found) for edge in self.window(each) if edge is not None}
        places = sorted(found)
        for one, two in pairwise(places):
            moment = min(one, self.at)
            if self.reaches(one, moment) != self.reaches(two - TICK, moment):
                low, high = to_us(one), to_us(two) - 1
                while high - low > 1:
                    middle = (low + high) // 2
                    same = self.reaches(from_us(middle), moment) == self.reaches(one, moment)
                    low, high = (middle, high) if same else (low, middle)
                found.add(from_us(high))
        return sorted(found)

    def window(self, at: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the window that an instant lies in; for ever, where there is only one."""
        if isinstance(self.measure.window, Rolling | Lifetime):
            return None, None
        span = bounds(self.measure.window, at, self.zone, self.history.anchor or at)
        return span.start, span.end if periodic(self.measure) else None

    def key(self, at: datetime) -> str:
        """Return the key of what is reached at an instant."""
        base = "threshold:goal:ann"
        window = self.measure.window
        if window == Lifetime() or self.threshold.until == "for_ever":
            return base
        day = local_date(at if isinstance(window, Rolling) else self.window(at)[0] or at, self.zone)
        return f"{base}:{day.year}" if window == CalendarWindow("year") else f"{base}:{day}"

    def ends(self, at: datetime) -> datetime | None:
        """Return until when a grant lasts that begins at an instant."""
        lasting = self.threshold.until
        if isinstance(lasting, Period):
            return lasting.after(at, self.zone)
        if lasting == "end_of_window":
            return self.window(at)[1]
        if lasting == "for_ever":
            return None
        for each in self.times:
            if each > at and (
                not self.reaches(each, min(each, self.at))
                or (periodic(self.measure) and self.window(each) != self.window(at))
            ):
                return each
        return None

    def look_back(self, now: datetime) -> None:
        """Revoke what is no longer reached, by what is known now; or let it stand after all."""
        if self.threshold.refunds == "keep" or self.threshold.until == "while_reached":
            return
        for key, grant in self.held.items():
            if not grant.starts < now or (grant.ends is not None and grant.ends <= now):
                continue
            if isinstance(self.measure.window, Rolling):
                if grant is not self.last:
                    continue
                stands, over = self.reached_since(grant.starts, now), not self.reaches(now)
            else:
                start, end = self.window(grant.starts)
                whole = attrs.evolve(self.measure, window=between(start, end)) if start and end else self.measure
                stands, over = self.reaches(now, measure=whole), end is not None and end <= now
            if not stands and grant.revoked is None:
                self.held[key] = grant._replace(revoked=now)
            if stands and over and grant.revoked is not None:
                self.held[key] = grant._replace(revoked=None)
            self.last = self.held[key] if grant is self.last else self.last

    def reached_since(self, start: datetime, now: datetime) -> bool:
        """Say whether the target was reached at any instant since `start`, as we know now."""
        for each in {*self.times, start, now}:
            if start <= each <= now:
                span = bounds(self.measure.window, each, self.zone)
                assert span.start is not None
                whole = attrs.evolve(self.measure, window=between(span.start + TICK, each + TICK))
                if self.reaches(now, measure=whole):
                    return True
        return False

    def look(self, now: datetime) -> Held | None:
        """Book what is reached now and was not held, or not any more."""
        rolling = isinstance(self.measure.window, Rolling)
        self.on = self.reaches(now) and (self.on or not rolling or to_us(now) in self.news)
        if not self.on:
            return None
        if isinstance(self.measure.window, Rolling):
            if self.last is not None and not self.last.over_by(now):
                return None
            revived = self.last is not None and self.last.revoked is not None and (
                self.last.ends is None or now < self.last.ends
            )  # fmt: skip
            key = self.last.key if self.last is not None and revived else self.key(now)
        else:
            key = self.window(now)
            earlier = self.held.get(key)
            again = earlier is not None and self.threshold.until == "while_reached" and earlier.over_by(now)
            if earlier is not None and earlier.revoked is None and not again:
                return None
        self.last = self.held[key] = Held(key if rolling else self.key(now), now, self.ends(now))
        return self.last

    def book(self) -> list[Held]:
        """Return what is held at the end, in time: for ever is granted once, as long as any window bears it."""
        found = sorted(self.held.values(), key=lambda each: each.starts)
        if self.threshold.until == "for_ever" and periodic(self.measure) and found:
            return [next((each for each in found if each.revoked is None), found[-1])]
        return found


def booked(threshold: Threshold, history: History, at: datetime) -> list[Held]:
    """Return what the threshold itself says, one benefit for all."""
    one = attrs.evolve(threshold, grants=perk("early access"))
    return [Held(each.key, each.starts, each.ends, each.revoked_at) for each in granted(one, history, at)]


LATER = st.integers(0, 60).map(lambda weeks: timedelta(days=7 * weeks, hours=1))


@st.composite
def busy(draw: st.DrawFn) -> History:
    """Draw orders that reach targets together, much of which comes back, some of it late, and again not."""
    found: list[Fact] = []
    for place in range(draw(st.integers(1, 5))):
        number, at = f"o{place}", draw(INSTANTS)
        found.append(bought_of(number, at, draw(st.sampled_from([5, 10, 10, 20]))))
        later = st.one_of(INSTANTS, LATER.map(at.__add__))
        back = draw(st.sampled_from([None, None, "refund", "refund", "reversal", "revision"]))
        when = max(at + TICK, draw(later))
        if back == "revision":
            more = attrs.evolve(found[-1], revision=2, revised_at=when, channel="shop")  # type: ignore[call-arg]
            found.append(attrs.evolve(more, lines=bought_of(number, at, draw(st.sampled_from([5, 20]))).lines))
        elif back is not None:
            amount = draw(st.sampled_from([None, None, "5.00", "0.01"]))
            found.append(Refund(f"{number}r", "ann", number, when, None, amount))
            if back == "reversal":
                found.append(Reversal(f"{number}v", "ann", number, f"{number}r", max(when, draw(later))))
    moves = [] if draw(st.booleans()) else [
        Movement(to_us(at), to_us(at), "points", "earn", draw(st.sampled_from([-2, -1, 1, 2, 3])))
        for at in draw(st.lists(INSTANTS, max_size=3))
    ]  # fmt: skip
    joined = draw(st.one_of(st.none(), INSTANTS))
    return History(found, member="ann", zone=draw(ZONES), joined=joined, movements=moves)


def bought_of(number: str, at: datetime, amount: int) -> Order:
    """Return an order of one line of coffee or of a mug."""
    kind = {"sku": "beans", "categories": ("coffee",)} if amount != 5 else {"sku": "mug"}
    return Order(number, "ann", at, [Line(**kind, total=amount)])  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn, measures: st.SearchStrategy[Measure] = MEASURES) -> tuple[Threshold, History, datetime]:
    """Draw a threshold, a history, and an instant to ask at, more often late than early."""
    history, threshold = draw(st.one_of(busy(), busy(), histories(3))), draw(thresholds(measures))
    times = telling(history, [threshold.measure.window]) or [utc(2024, 6, 1)]
    return threshold, history, draw(st.one_of(INSTANTS, st.sampled_from(times), st.sampled_from(times[-20:])))


class TestReference:
    @given(cases())
    @settings(max_examples=300)
    def test_what_is_granted_is_what_one_would_book_as_it_happens(
        self, case: tuple[Threshold, History, datetime]
    ) -> None:
        """Grants, with key, start, end and revocation, are those booked by hand from instant to instant."""
        threshold, history, at = case
        assert Diary(threshold, history, at).book() == booked(threshold, history, at)


class TestProperties:
    @given(cases())
    @settings(max_examples=150)
    def test_nothing_later_counts(self, case: tuple[Threshold, History, datetime]) -> None:
        """Progress, grants and decisions at an instant depend on no fact that became known after it."""
        threshold, history, at = case
        then = attrs.evolve(until(history, at), joined=history.anchor)
        assert progress(threshold, then, at) == progress(threshold, history, at)
        assert granted(threshold, then, at) == granted(threshold, history, at)
        assert decisions(threshold, then, at) == decisions(threshold, history, at)

    @given(cases(), INSTANTS)
    @settings(max_examples=150)
    def test_keys_are_unique_and_stay(self, case: tuple[Threshold, History, datetime], later: datetime) -> None:
        """No two grants, and no two decisions, have one key; asked later, every key is still there."""
        threshold, history, at = case
        early, late = sorted((at, later))
        first, second = (granted(threshold, history, each) for each in (early, late))
        keys = [each.key for each in second]
        assert len(set(keys)) == len(keys)
        assert {each.key for each in first} <= set(keys)
        told = [each.key for each in decisions(threshold, history, late)]
        assert len(set(told)) == len(told)

    @given(cases(), INSTANTS)
    @settings(max_examples=150)
    def test_a_grant_that_is_kept_never_changes(
        self, case: tuple[Threshold, History, datetime], later: datetime
    ) -> None:
        """Where grants are kept, what was granted for a period or a window is the same whenever one asks."""
        threshold, history, at = case
        assume(threshold.until != "while_reached")
        early, late = sorted((at, later))
        kept = attrs.evolve(threshold, refunds="keep", grants=free_shipping())
        assert set(granted(kept, history, early)) <= set(granted(kept, history, late))

    @given(cases())
    @settings(max_examples=150)
    def test_no_two_grants_at_once(self, case: tuple[Threshold, History, datetime]) -> None:
        """Grants of one threshold do not overlap, unless they last longer than a window that another follows."""
        threshold, history, at = case
        if periodic(threshold.measure) and isinstance(threshold.until, Period):
            threshold = attrs.evolve(threshold, until="end_of_window")
        grants = sorted(booked(threshold, history, at), key=lambda each: each.starts)
        for one, two in pairwise(grants):
            assert one.over_by(two.starts), (one, two)

    @given(cases())
    @settings(max_examples=150)
    def test_what_is_to_go_is_exact(self, case: tuple[Threshold, History, datetime]) -> None:
        """An order of exactly what is to go reaches the target there and then; of a cent less, it does not."""
        threshold, history, at = case
        measure = attrs.evolve(threshold.measure, where=None)
        assume(
            measure.kind in ("spend", "orders") and at in bounds(measure.window, at, history.zone, history.anchor or at)
        )
        threshold = attrs.evolve(threshold, measure=measure)
        to_go = progress(threshold, history, at).to_go
        assert isinstance(to_go, D if measure.kind == "spend" else int)

        def placed(*amounts: Any) -> Progress:
            added = [Order(f"new{n}", "ann", at, [Line("mug", total=each)]) for n, each in enumerate(amounts)]
            return progress(threshold, attrs.evolve(history, facts=[*history.facts, *added]), at)

        if measure.kind == "orders":
            assert threshold.target <= placed(*[1] * int(to_go)).value
            assert not to_go or placed(*[1] * (int(to_go) - 1)).to_go == 1
        else:
            assert placed(to_go).to_go == 0
            assert not to_go or D("0.01") == placed(to_go - D("0.01")).to_go
        if to_go and not booked(threshold, history, at):
            reached = placed(*[1] * int(to_go)) if measure.kind == "orders" else placed(to_go)
            assert (at, True) == (reached.reached_at, reached.granted)

    @given(cases())
    @settings(max_examples=150)
    def test_progress_is_what_is_granted(self, case: tuple[Threshold, History, datetime]) -> None:
        """A threshold is granted at an instant exactly where one of its grants is live, and lasts as long as that."""
        threshold, history, at = case
        threshold = attrs.evolve(threshold, grants=free_shipping())
        found, live = progress(threshold, history, at), [g for g in granted(threshold, history, at) if g.live(at)]
        assert bool(live) == found.granted
        assert max(0, found.target - found.value) == found.to_go
        if live:
            assert (found.reached_at, found.until) in [(each.starts, each.ends) for each in live]
            last = found.until
            assert found.left == (None if last is None else left(at, last, history.zone))
        else:
            assert found.left is None

    @given(cases())
    @settings(max_examples=150)
    def test_the_order_is_one_that_counts(self, case: tuple[Threshold, History, datetime]) -> None:
        """The order with which a target was reached became known at that instant and adds to the measure."""
        threshold, history, at = case
        found = progress(threshold, history, at)
        if found.order is None:
            return
        assert found.reached_at is not None
        moments = {to_us(known_from(f)) for f in history.facts if found.order in (getattr(f, "order", None), f.id)}
        moments |= {to_us(f.at) for f in history.facts if isinstance(f, Order) and f.id == found.order}
        assert to_us(found.reached_at) in moments

    @given(INSTANTS, INSTANTS, ZONES)
    def test_what_is_left_counts_days(self, at: datetime, end: datetime, zone: str) -> None:
        """Days and months left are those that one counts off on a calendar, up to and including the last day."""
        assert by_calendar(at, end, zone) == left(at, end, zone)

    @given(st.dates(date(2023, 1, 1), date(2025, 1, 1)), st.integers(0, 800), ZONES)
    def test_what_is_left_of_whole_days(self, day: date, more: int, zone: str) -> None:
        """The same where it lasts through a day, in a zone whose midnight is sometimes skipped."""
        at, end = day_start(day, zone), day_start(day + timedelta(more + 1), zone)
        assert by_calendar(at, end, zone) == left(at, end, zone)
        assert more == left(at, end, zone).days

    @given(thresholds(), st.sampled_from([None, "USD"]))
    def test_plain_data_and_back(self, threshold: Threshold, currency: str | None) -> None:
        """A threshold has a plain form, from which the same threshold comes back; what it leads to has one as well."""
        again = wire.loads(Threshold, wire.dumps(threshold))
        assert threshold == again
        assert threshold.says(currency) == again.says(currency)

    @given(cases())
    @settings(max_examples=50)
    def test_progress_as_plain_data(self, case: tuple[Threshold, History, datetime]) -> None:
        """Progress has a plain form, from which the same comes back."""
        found = progress(*case)
        assert found == wire.loads(Progress, wire.dumps(found))


def by_calendar(at: datetime, end: datetime, zone: str) -> Left:
    """Return what is left, counted off day by day."""
    if at >= end:
        return Left(0, 0, 0)
    today, last = local_date(at, zone), local_date(end - TICK, zone)
    each, count = today, 0
    while each < last:
        each, count = each + timedelta(1), count + 1
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    turns = [months(number).after(noon, "UTC").date() for number in range(1, 80)]
    full = sum(turn <= last + timedelta(1) for turn in turns)
    begun = [today, *turns][full] <= last
    return Left(count, full + begun, full)


# ---------------------------------------------------------------- by hand

YEAR = Threshold("free shipping", spend(calendar_year()), "500.00", grants=free_shipping())


def days_of(threshold: Threshold, history: History, at: datetime) -> list[tuple[str, str | None]]:
    """Return the first and the last local day of each live grant."""
    found = []
    for each in granted(threshold, history, at):
        if each.revoked_at is None:
            last = None if each.ends is None else str(local_date(each.ends - TICK, history.zone))
            found.append((str(local_date(each.starts, history.zone)), last))
    return found


class TestYear:
    LATE = utc(2024, 12, 31, 12)

    def test_the_order_that_reaches_the_target(self) -> None:
        """500 in a calendar year is free shipping from that order's day until 31 December."""
        history = History([bought("1", "2024-03-01T10:00", 300), bought("2", "2024-08-15T10:00", 200)])
        assert [("2024-08-15", "2024-12-31")] == days_of(YEAR, history, self.LATE)
        found = progress(YEAR, history, utc(2024, 8, 15, 10))
        assert (utc(2024, 8, 15, 10), "2", utc(2025, 1, 1)) == (found.reached_at, found.order, found.until)
        assert (Left(138, 5, 4), True) == (found.left, found.granted)
        assert "free shipping: reached, granted until 2025-01-01" == str(found)
        (decision,) = decisions(YEAR, history, self.LATE)
        assert ("threshold_reached", "threshold:free shipping:ann:2024") == (decision.kind, decision.key)
        assert ("reached free shipping with order 2", (("order", "2"),)) == (decision.reason, decision.data)

    def test_a_cent_less(self) -> None:
        """499.99 are not 500."""
        history = History([bought("1", "2024-03-01T10:00", 300), bought("2", "2024-08-15T10:00", "199.99")])
        assert () == granted(YEAR, history, self.LATE)
        found = progress(YEAR, history, self.LATE)
        assert (D("499.99"), D("500.00"), D("0.01")) == (found.value, found.target, found.to_go)
        assert (None, None, None, False) == (found.reached_at, found.order, found.left, found.granted)

    def test_how_much_is_to_go(self) -> None:
        """Of 500, 79.50 are to go after 420.50."""
        found = progress(YEAR, History([bought("1", "2024-03-01", "420.50")]), self.LATE)
        assert D("79.50") == found.to_go
        assert "free shipping: 420.50 of 500.00, 79.50 to go" == str(found)

    def test_nothing_yet(self) -> None:
        """Who has bought nothing has everything to go."""
        assert D("500.00") == progress(YEAR, History(member="ann"), self.LATE).to_go

    @pytest.mark.parametrize(
        ("zone", "expected"),
        [("America/New_York", [("2024-12-31", "2024-12-31")]), ("UTC", [("2025-01-01", "2025-12-31")])],
    )
    def test_the_year_is_that_of_the_shop(self, zone: str, expected: list[tuple[str, str]]) -> None:
        """An order at 04:30 UTC on 1 January is of the old year in New York."""
        history = History([bought("1", "2025-01-01T04:30", 500)], zone=zone)
        assert expected == days_of(YEAR, history, utc(2025, 1, 1, 4, 30))

    def test_keep_or_revoke(self) -> None:
        """A refund that takes the year below the target revokes the grant, or does not."""
        refund = Refund("r", "ann", "1", utc(2024, 4, 1, 10), amount=100)
        history = History([bought("1", "2024-03-01T10:00", 500), refund])
        assert [("2024-03-01", "2024-12-31")] == days_of(YEAR, history, self.LATE)
        revoking = attrs.evolve(YEAR, refunds="revoke")
        assert [] == days_of(revoking, history, self.LATE)
        (grant,) = granted(revoking, history, self.LATE)
        assert (utc(2024, 3, 1, 10), utc(2024, 4, 1, 10)) == (grant.starts, grant.revoked_at)
        assert [True, False] == [grant.live(utc(2024, 4, 1, 10) - TICK), grant.live(utc(2024, 4, 1, 10))]
        found = progress(revoking, history, self.LATE)
        assert (False, utc(2024, 4, 1, 10), None, D("100.00")) == (
            found.granted,
            found.revoked_at,
            found.left,
            found.to_go,
        )
        assert () == decisions(revoking, history, self.LATE)
        assert 1 == len(decisions(revoking, history, utc(2024, 3, 31)))

    def test_reached_again(self) -> None:
        """A revoked grant that is reached again is live again, from then on, under its key."""
        refund = Refund("r", "ann", "1", utc(2024, 4, 1), amount=100)
        facts = [bought("1", "2024-03-01", 500), refund, bought("2", "2024-06-01", 100)]
        revoking = attrs.evolve(YEAR, refunds="revoke", grants=(free_shipping(), bonus_points(50)))
        keys = {each.key for each in granted(revoking, History(facts), utc(2024, 3, 2))}
        found = granted(revoking, History(facts), self.LATE)
        assert keys == {each.key for each in found}
        assert {(utc(2024, 6, 1), None)} == {(each.starts, each.revoked_at) for each in found}
        assert ("2", True) == (
            progress(revoking, History(facts), self.LATE).order, progress(revoking, History(facts), self.LATE).granted,
        )  # fmt: skip
        given = decisions(revoking, History(facts), utc(2024, 3, 2)) + decisions(revoking, History(facts), self.LATE)
        assert {"threshold:free shipping:ann:2024:50 points"} == {each.key for each in given}

    def test_a_refund_in_january_is_of_the_old_year(self) -> None:
        """What comes back in January of an order of December lowers the old year, and not the new one."""
        refund = Refund("r", "ann", "1", utc(2025, 1, 10), amount=300)
        history = History([bought("1", "2024-12-20", 500), bought("2", "2025-01-05", 500), refund])
        revoking = attrs.evolve(YEAR, refunds="revoke")
        assert [("2024-12-20", "2024-12-31"), ("2025-01-05", "2025-12-31")] == days_of(
            revoking, history, utc(2025, 2, 1)
        )
        assert D("500.00") == progress(revoking, history, utc(2025, 2, 1)).value

    def test_a_refund_in_january_revokes_what_still_lasts(self) -> None:
        """Where the grant of the old year lasts twelve months, that refund takes it back; a reversal undoes that."""
        lasting = attrs.evolve(YEAR, until=months(12), refunds="revoke")
        refund = Refund("r", "ann", "1", utc(2025, 1, 10), amount=300)
        history = History([bought("1", "2024-12-20", 500), refund])
        assert [("2024-12-20", "2025-12-19")] == days_of(lasting, history, utc(2025, 1, 10) - TICK)
        assert utc(2025, 1, 10) == progress(lasting, history, utc(2025, 2, 1)).revoked_at
        again = History([*history.facts, Reversal("v", "ann", "1", "r", utc(2025, 3, 1))])
        assert utc(2025, 1, 10) == progress(lasting, again, utc(2025, 3, 1) - TICK).revoked_at
        assert [("2024-12-20", "2025-12-19")] == days_of(lasting, again, utc(2025, 3, 1))

    def test_a_later_change_of_the_order_revokes_nothing_earlier(self) -> None:
        """When a grant was revoked stays as it was, even if the order is changed in another way later."""
        lasting = attrs.evolve(YEAR, until=months(12), refunds="revoke")
        first, other = bought("1", "2024-12-01", 300), bought("2", "2024-12-02", 200)
        refund = Refund("r", "ann", "2", utc(2025, 1, 5))
        moved = attrs.evolve(first, channel="shop", revision=2, revised_at=utc(2025, 1, 10))
        for facts in ([first, other, refund], [first, other, refund, moved]):
            assert utc(2025, 1, 5) == progress(lasting, History(facts), utc(2025, 1, 11)).revoked_at

    def test_another_grant_lasts_on(self) -> None:
        """While the grant of the old year lasts, one of the new year that was revoked does not hide it."""
        lasting = attrs.evolve(YEAR, until=months(12), refunds="revoke")
        refund = Refund("r", "ann", "2", utc(2025, 3, 1))
        history = History([bought("1", "2024-08-01", 500), bought("2", "2025-02-01", 500), refund])
        found = progress(lasting, history, utc(2025, 3, 2))
        assert (True, "1", utc(2025, 8, 1)) == (found.granted, found.order, found.until)

    def test_everything_begins_anew_on_1_january(self) -> None:
        """With the year the sum is 0 again; each year is granted once, however often its target is passed."""
        facts = [bought(str(n), f"2024-0{n}-01", 500) for n in range(1, 5)] + [bought("9", "2025-01-01", 500)]
        assert [("2024-01-01", "2024-12-31")] == days_of(YEAR, History(facts), utc(2025, 1, 1) - TICK)
        assert [("2024-01-01", "2024-12-31"), ("2025-01-01", "2025-12-31")] == days_of(
            YEAR, History(facts), utc(2025, 1, 1)
        )
        assert D("500.00") == progress(YEAR, History(facts[:-1]), utc(2025, 1, 1)).to_go

    def test_one_year_follows_the_other_without_a_gap(self) -> None:
        """An order of the first instant of the new year reaches the target of the new year."""
        history = History([bought("1", "2024-12-15", 500), bought("2", "2025-01-01", 500)])
        keys = [each.key for each in granted(YEAR, history, utc(2025, 1, 1))]
        assert ["threshold:free shipping:ann:2024", "threshold:free shipping:ann:2025"] == keys

    def test_shipping_counts_where_the_history_says_so(self) -> None:
        """What of an order is spent is the history's basis."""
        order = Order("1", "ann", utc(2024, 3, 1), amount="495.00", shipping="5.00")
        assert D("5.00") == progress(YEAR, History([order]), self.LATE).to_go
        assert progress(YEAR, History([order], basis="everything_paid"), self.LATE).granted

    def test_only_an_order_that_counts_reaches(self) -> None:
        """Of two orders at one instant, the one that the measure counts is named."""
        tea = Threshold("tea", spend(where=category("tea")), 10)
        mug = Order("1", "ann", utc(2024, 3, 1), [Line("mug", total=50)])
        leaf = Order("2", "ann", utc(2024, 3, 1), [Line("leaf", total=10, categories="tea")])
        assert "2" == progress(tea, History([mug, leaf]), self.LATE).order
        review = Threshold("review", activities("review"), 1)
        history = History([mug, Activity("a", "ann", "review", utc(2024, 3, 1))])
        assert (None, utc(2024, 3, 1)) == (
            progress(review, history, self.LATE).order,
            progress(review, history, self.LATE).reached_at,
        )


class TestLasting:
    def test_as_long_as_it_is_so(self) -> None:
        """By a rolling window it lasts until what was bought leaves it, and begins again."""
        gold = Threshold("gold", spend(days(30)), 100, grants=perk("gold"))
        assert "while_reached" == gold.until
        history = History(
            [bought("1", "2024-03-01", 60), bought("2", "2024-03-11", 40), bought("3", "2024-05-01", 100)]
        )
        assert [("2024-03-11", "2024-03-30"), ("2024-05-01", "2024-05-30")] == days_of(gold, history, utc(2024, 5, 1))
        assert utc(2024, 3, 31) == progress(gold, history, utc(2024, 3, 12)).until

    def test_as_long_as_it_is_so_with_refunds_on_one_day(self) -> None:
        """A refund ends it; reached again on the same day, it is live again under the same key."""
        gold = Threshold("gold", spend(days(30)), 100, grants=perk("gold"))
        refund = Refund("r", "ann", "1", utc(2024, 3, 1, 11))
        history = History([bought("1", "2024-03-01T10:00", 100), refund, bought("2", "2024-03-01T12:00", 100)])
        assert ["threshold:gold:ann:2024-03-01"] == [each.key for each in granted(gold, history, utc(2024, 3, 2))]
        assert not progress(gold, history, utc(2024, 3, 1, 11)).granted
        assert (True, "2") == (
            progress(gold, history, utc(2024, 3, 2)).granted,
            progress(gold, history, utc(2024, 3, 2)).order,
        )

    def test_as_long_as_it_is_so_in_a_year(self) -> None:
        """In a calendar year, too, it begins again when it is reached again."""
        gold = attrs.evolve(YEAR, until="while_reached")
        refund = Refund("r", "ann", "1", utc(2024, 4, 1))
        history = History([bought("1", "2024-03-01", 500), refund, bought("2", "2024-06-01", 500)])
        assert not progress(gold, history, utc(2024, 5, 1)).granted
        assert [("2024-06-01", "2024-12-31")] == days_of(gold, history, utc(2024, 6, 1))

    def test_for_a_period(self) -> None:
        """What is still reached when its period is over is granted for another period, and no longer."""
        month = Threshold("month", spend(days(30)), 100, grants=perk("gold"), until=days(20))
        history = History([bought("1", "2024-03-01", 100)])
        assert [("2024-03-01", "2024-03-20"), ("2024-03-21", "2024-04-09")] == days_of(month, history, utc(2024, 5, 1))

    def test_a_period_that_was_revoked(self) -> None:
        """Revoked and reached again before its period is over, it is live again under its key, for a whole one."""
        month = Threshold("month", spend(days(30)), 100, grants=perk("gold"), until=months(3), refunds="revoke")
        refund = Refund("r", "ann", "1", utc(2024, 3, 10))
        history = History([bought("1", "2024-03-01", 100), refund, bought("2", "2024-03-20", 100)])
        (grant,) = granted(month, history, utc(2024, 4, 1))
        assert ("threshold:month:ann:2024-03-01", utc(2024, 3, 20), utc(2024, 6, 20)) == (
            grant.key,
            grant.starts,
            grant.ends,
        )

    def test_a_refund_of_what_has_left_the_window(self) -> None:
        """What was reached only with what came back later is revoked, though something else had reached it before."""
        month = Threshold("month", spend(days(30)), 100, grants=perk("gold"), until=months(12), refunds="revoke")
        refund = Refund("r", "ann", "2", utc(2024, 9, 1))
        history = History([bought("1", "2022-01-01", 100), bought("2", "2024-06-01", 100), refund])
        assert utc(2024, 9, 1) == progress(month, history, utc(2024, 9, 2)).revoked_at

    def test_months_of_different_length_reach_nothing_anew(self) -> None:
        """An order of 28 February is in the month before 29 March, too, for some hours: that grants nothing again."""
        month = Threshold("month", spend(months(1)), 100, grants=bonus_points(50))
        history = History([bought("1", "2023-02-28T10:00", 100)])
        (grant,) = granted(month, history, utc(2023, 5, 1))
        assert (utc(2023, 2, 28, 10), utc(2023, 3, 28, 10)) == (grant.starts, grant.ends)
        assert 1 == len(decisions(month, history, utc(2023, 5, 1)))

    def test_once_in_a_fixed_window(self) -> None:
        """In a fixed window it is reached once, even if its period is over long before."""
        spring = between(date(2024, 3, 1), date(2024, 6, 1))
        campaign = Threshold("spring", spend(spring), 100, grants=perk("gold"), until=days(7))
        history = History([bought("1", "2024-04-01", 100)])
        assert [("2024-04-01", "2024-04-07")] == days_of(campaign, history, utc(2024, 12, 1))
        assert ["threshold:spring:ann:2024-03-01"] == [each.key for each in granted(campaign, history, utc(2024, 5, 1))]

    def test_for_ever(self) -> None:
        """What has no window lasts for ever; once in a lifetime, under one key."""
        friend = Threshold("friend", orders(), 2, grants=perk("friend"))
        history = History([bought(str(n), f"2024-0{n}-01", 5) for n in range(1, 6)])
        found = progress(friend, history, utc(2030, 1, 1))
        assert ("for_ever", utc(2024, 2, 1), None, None, True) == (
            friend.until, found.reached_at, found.until, found.left, found.granted,
        )  # fmt: skip
        assert "friend: reached, granted" == str(found)
        assert ["threshold:friend:ann"] == [each.key for each in granted(friend, history, utc(2030, 1, 1))]

    def test_for_ever_by_any_year(self) -> None:
        """What one year no longer bears is borne by another year that has reached it as well."""
        friend = attrs.evolve(YEAR, until="for_ever", refunds="revoke")
        refund = Refund("r", "ann", "1", utc(2026, 2, 1))
        history = History([bought("1", "2024-03-01", 500), bought("2", "2025-03-01", 500), refund])
        assert [("2024-03-01", None)] == days_of(friend, history, utc(2026, 1, 1))
        assert [("2025-03-01", None)] == days_of(friend, history, utc(2026, 2, 1))

    def test_the_year_of_membership(self) -> None:
        """An anniversary year begins with the day of joining and names its key by it."""
        friend = Threshold("friend", spend(anniversary_year()), 100, grants=perk("friend"))
        history = History([bought("1", "2024-02-28", 60), bought("2", "2024-03-02", 60)], joined=utc(2023, 3, 1))
        assert () == granted(friend, history, utc(2024, 4, 1))
        history = attrs.evolve(history, joined=utc(2023, 2, 28))
        assert [("2024-03-02", "2025-02-27")] == days_of(friend, history, utc(2024, 4, 1))
        assert ["threshold:friend:ann:2024-02-28"] == [each.key for each in granted(friend, history, utc(2024, 4, 1))]

    @pytest.mark.parametrize(
        ("until", "last"), [(end_of_day(), "2024-08-15"), (end_of_month(), "2024-08-31"), (end_of_year(), "2024-12-31"),
                            (months(3).to_end_of("month"), "2024-11-30"), (months(1), "2024-09-14")]
    )  # fmt: skip
    def test_periods(self, until: Period, last: str) -> None:
        """A period lasts from the instant of reaching it, perhaps to the end of a unit."""
        threshold = attrs.evolve(YEAR, until=until)
        history = History([bought("1", "2024-08-15", 500)])
        assert [("2024-08-15", last)] == days_of(threshold, history, utc(2024, 8, 20))


class TestLeft:
    @pytest.mark.parametrize(
        ("day", "last", "expected"),
        [("2024-08-15", "2024-12-31", (138, 5, 4)), ("2024-08-01", "2024-12-31", (152, 5, 5)),
         ("2025-01-01", "2024-12-31", (0, 0, 0)), ("2024-12-31", "2024-12-31", (0, 1, 0)),
         ("2024-01-31", "2024-02-29", (29, 2, 1)), ("2024-01-31", "2024-02-28", (28, 1, 1)),
         ("9999-11-30", "9999-12-30", (30, 2, 1))],
    )  # fmt: skip
    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "America/Havana"])
    def test_by_hand(self, day: str, last: str, expected: tuple[int, int, int], zone: str) -> None:
        """Both ways of counting: the month that has begun, and those that fit whole up to the last day."""
        at, end = day_start(date.fromisoformat(day), zone), day_start(date.fromisoformat(last) + timedelta(1), zone)
        assert Left(*expected) == left(at, end, zone)

    def test_a_day_without_midnight(self) -> None:
        """A day that begins at 01:00, because clocks are put forward, does not shorten the month that it begins."""
        zone = "America/Sao_Paulo"
        at, end = day_start(date(2018, 11, 4), zone), day_start(date(2018, 12, 4), zone)
        assert Left(29, 1, 1) == left(at, end, zone)

    def test_the_last_day_counts_whole(self) -> None:
        """What ends at ten in the morning lasts through that day, as people count."""
        assert Left(30, 1, 1) == left(utc(2024, 8, 15, 9), utc(2024, 9, 14, 10), "UTC")

    def test_the_end_of_time(self) -> None:
        """The last instant that there is can be an end."""
        last = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
        assert Left(30, 1, 1) == left(utc(9999, 12, 1), last, "UTC")

    def test_naive_instants(self) -> None:
        """An instant says its offset."""
        with pytest.raises(InputError, match="until"):
            left(utc(2024, 1, 1), datetime(2024, 2, 1), "UTC")
        with pytest.raises(InputError, match="at"):
            left(datetime(2024, 2, 1), utc(2024, 1, 1), "UTC")


class TestWords:
    @pytest.mark.parametrize(
        ("threshold", "expected"),
        [(YEAR, "free shipping: free shipping for 500.00 spent in the calendar year, until its end"),
         (Threshold("x", spend(months(6), where=category("coffee")), 50, grants=(perk("a"), perk("b"))),
          "x: a, b for 50 spent on coffee in the past 6 months, as long as it is so"),
         (Threshold("x", orders(), 1), "x: nothing yet for 1 order"),
         (Threshold("x", orders(calendar_month()), 1000, until=months(3)),
          "x: nothing yet for 1,000 orders in the calendar month, for 3 months"),
         (Threshold("x", categories(), 1), "x: nothing yet for 1 category"),
         (Threshold("x", categories(), 3), "x: nothing yet for 3 categories"),
         (Threshold("x", products(), 1), "x: nothing yet for 1 product"),
         (Threshold("x", activities("app_visit"), 1), "x: nothing yet for app-visit once"),
         (Threshold("x", activities("review", calendar_year()), 3, until=end_of_year()),
          "x: nothing yet for review 3 times in the calendar year, until the end of the year"),
         (Threshold("x", periods("half_year"), 1), "x: nothing yet for orders in 1 half-year"),
         (Threshold("x", periods("month"), 3), "x: nothing yet for orders in 3 months"),
         (Threshold("x", earned(), 500), "x: nothing yet for 500 points"),
         (Threshold("x", balance_of("stamps"), 1), "x: nothing yet for 1 stamp")],
    )  # fmt: skip
    def test_in_one_line(self, threshold: Threshold, expected: str) -> None:
        """A threshold says itself as a shopper would be told."""
        assert expected == str(threshold)

    def test_in_a_currency(self) -> None:
        """With a currency, money is shown in it."""
        assert "free shipping for $500.00 spent in" in YEAR.says("USD")


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "make"),
        [("threshold.target", lambda: Threshold("x", spend(), 0)),
         ("threshold.target", lambda: Threshold("x", spend(), "-1")),
         ("threshold.target", lambda: Threshold("x", spend(), 500.0)),
         ("threshold.target", lambda: Threshold("x", spend(), "much")),
         ("threshold.target", lambda: Threshold("x", spend(), True)),
         ("threshold.target", lambda: Threshold("x", spend(), None)),
         ("threshold.target", lambda: Threshold("x", orders(), "1.5")),
         ("threshold.target", lambda: Threshold("x", orders(), 0)),
         ("threshold.target", lambda: Threshold("x", orders(), 2.0)),
         ("threshold.target", lambda: Threshold("x", spend(currency="USD"), "0.005")),
         ("threshold.name", lambda: Threshold("", spend(), 1)),
         ("threshold.name", lambda: Threshold("a:b", spend(), 1)),
         ("threshold.measure", lambda: Threshold("x", "spend", 1)),
         ("threshold.measure", lambda: Threshold("x", days_since_last(), 1)),
         ("threshold.measure", lambda: Threshold("x", days_since_first(), 1)),
         ("threshold.until", lambda: Threshold("x", spend(months(6)), 1, until="end_of_window")),
         ("threshold.until", lambda: Threshold("x", spend(lifetime()), 1, until="end_of_window")),
         ("threshold.until", lambda: Threshold("x", spend(), 1, until="year")),
         ("threshold.until", lambda: Threshold("x", spend(), 1, until=timedelta(1))),
         ("threshold.until", lambda: Threshold("x", spend(months(6)), 1, until=days(0))),
         ("threshold.refunds", lambda: Threshold("x", spend(), 1, refunds="forget")),
         ("benefits", lambda: Threshold("x", spend(), 1, grants="free shipping"))],
    )  # fmt: skip
    def test_what_a_threshold_cannot_be(self, field: str, make: Any) -> None:
        """A threshold that makes no sense is refused, and the error names the field."""
        with pytest.raises(InputError) as caught:
            make()
        assert caught.value.field.startswith(field)

    @pytest.mark.parametrize("ask", [progress, granted, decisions])
    def test_another_currency(self, ask: Any) -> None:
        """Money of one currency is not measured in another, nor in parts of its smallest coin."""
        history = History([bought("1", "2024-03-01", 5)], currency="EUR")
        with pytest.raises(WrongCurrency):
            ask(Threshold("x", spend(currency="USD"), 1), history, utc(2024, 4, 1))
        with pytest.raises(InputError) as caught:
            ask(Threshold("x", spend(), "0.001"), history, utc(2024, 4, 1))
        assert "threshold.target" == caught.value.field

    @pytest.mark.parametrize("ask", [progress, granted, decisions])
    def test_naive_instants(self, ask: Any) -> None:
        """An instant says its offset."""
        with pytest.raises(InputError):
            ask(YEAR, History(member="ann"), datetime(2024, 4, 1))


def test_of_several_orders_at_one_instant_the_same_one_is_named() -> None:
    """Which order reached the target does not depend on the order in which facts are told: the first placed, by id."""
    at = utc(2024, 3, 1)
    facts = [bought(name, "2024-03-01", 60) for name in ("b", "a", "c")]
    facts.append(Order("0", "ann", utc(2024, 2, 1), amount=0))
    for told in permutations(facts):
        history = History(told)
        assert "a" == progress(Threshold("x", spend(), 150), history, at).order
        [decision] = decisions(Threshold("x", spend(), 150), history, at)
        assert {"order": "a"} == dict(decision.data)
