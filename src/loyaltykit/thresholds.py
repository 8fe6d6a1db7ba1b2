"""Thresholds: what reaching a target in a window of time brings, until when, and how much is still to go.

``Threshold("free shipping", spend(calendar_year()), "500.00", grants=free_shipping())`` promises whoever spends $500 in
a calendar year free shipping for the rest of it. Everything is derived from the history at the instant that one asks:
reached at which order and instant, granted until when, taken back by which refund.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

import attrs

from loyaltykit.amounts import format_money, money, to_minor, whole
from loyaltykit.calendar import Period, from_us, instant, local_date, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import a, brief, one_of, optional
from loyaltykit.grants import BENEFITS, Benefit, Decision, Grant, keyed
from loyaltykit.history import History
from loyaltykit.measures import Measure, Step, amount, parts_of, timeline, value_of
from loyaltykit.rules import counted
from loyaltykit.windows import Anniversary, Between, CalendarWindow, Lifetime, Rolling, bounds

GrantAfterRefund = Literal["keep", "revoke"]
Lasting = Period | Literal["while_reached", "end_of_window", "for_ever"]

_FOREVER = 2**63 - 1


def end_of_day() -> Period:
    """Return the period until the end of the local day."""
    return Period(end_of="day")


def end_of_month() -> Period:
    """Return the period until the end of the local month."""
    return Period(end_of="month")


def end_of_year() -> Period:
    """Return the period until the end of the local year: the rest of it."""
    return Period(end_of="year")


@attrs.frozen(repr=False)
class Threshold:
    """A target that a measure is to reach, and what reaching it grants.

    >>> from loyaltykit.grants import free_shipping
    >>> from loyaltykit.measures import spend
    >>> from loyaltykit.windows import calendar_year
    >>> print(Threshold("free shipping", spend(calendar_year()), "500.00", grants=free_shipping()))
    free shipping: free shipping for 500.00 spent in the calendar year, until its end

    `until` says how long it lasts: a period from the instant of reaching it (``end_of_year()`` is the rest of the
    year), until the window's own end (``end_of_window``, for calendar and anniversary windows, whose default it is),
    ``while_reached`` (default for rolling windows and fixed ones), or ``for_ever`` (default where there is no window).
    The order that reaches the target is not part of what it grants.

    It is reached once in each window. A rolling window has no next one: there, what is still reached when its period
    is over is granted for another period.

    `refunds` says whether a grant is kept or revoked when what went back takes the measure of its window below the
    target, also after the window is over: a refund in January of an order of December belongs to the old year. A
    revoked grant that is reached again is live again from then on, under the same key; if what went back after the end
    of its window is reversed, it is as if it had never been revoked. ``while_reached`` ends with every refund that
    takes the measure below the target, and begins again.
    """

    name: str = attrs.field(converter=keyed("threshold.name"))
    measure: Measure = attrs.field(
        converter=a("threshold.measure", Measure, "give a measure, as in spend(calendar_year())")
    )
    target: int | Decimal = attrs.field()
    grants: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS, kw_only=True)
    until: Lasting | None = attrs.field(
        default=None,
        converter=optional(
            a("threshold.until", Period, "give a period, or while_reached, end_of_window or for_ever",
              "while_reached", "end_of_window", "for_ever")
        ),
        kw_only=True,
    )  # fmt: skip
    refunds: GrantAfterRefund = attrs.field(
        default="keep", converter=one_of("threshold.refunds", GrantAfterRefund), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.measure.kind.startswith("days_since"):
            raise InputError("threshold.measure", str(self.measure), "days since something grow by themselves")
        field = "threshold.target"
        target = money(self.target, field) if self.measure.kind == "spend" else whole(self.target, field)
        if target <= 0:
            raise InputError(field, self.target, "give more than 0")
        if self.measure.currency is not None:
            to_minor(target, self.measure.currency, field)
        object.__setattr__(self, "target", target)
        periodic = isinstance(self.measure.window, CalendarWindow | Anniversary)
        if self.until is None:
            lasting: Lasting = "end_of_window" if periodic else "while_reached"
            if isinstance(self.measure.window, Lifetime):
                lasting = "for_ever"
            object.__setattr__(self, "until", lasting)
        if self.until == "end_of_window" and not periodic:
            raise InputError(
                "threshold.until", self.until, "only calendar and anniversary windows have an end; give a period"
            )
        if self.until == Period():
            raise InputError("threshold.until", str(self.until), "give a period that is longer than nothing")

    def says(self, currency: str | None = None) -> str:
        """Return the threshold in one line; with a currency, money is shown in it."""
        target = _targeted(self, currency)
        where = "" if self.measure.where is None else f" {self.measure.where}"
        window = "" if isinstance(self.measure.window, Lifetime) else f" {self.measure.window}"
        ends = {"while_reached": ", as long as it is so", "end_of_window": ", until its end", "for_ever": ""}
        lasts = ends[self.until] if isinstance(self.until, str) else f", for {self.until}"
        if isinstance(self.until, Period) and self.until == Period(end_of=self.until.end_of):
            lasts = f", until the end of the {self.until.end_of}"
        granted = ", ".join(map(str, self.grants)) or "nothing yet"
        return f"{self.name}: {granted} for {target}{where}{window}{lasts}"

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


@attrs.frozen
class Left:
    """How long something lasts: whole local days after today, and months.

    `months` counts the month that has begun, `full_months` only those that fit whole, up to and including the last
    day.
    """

    days: int
    months: int
    full_months: int


@attrs.frozen
class Progress:
    """How far a member is towards a threshold at an instant.

    `value` and `to_go` are money or whole numbers. Where it is reached, `reached_at` says when, `order` with which
    order, and `until` until when what it grants lasts (exclusive; None: for ever), of which `left` is left;
    `revoked_at` says when it was taken back.
    """

    threshold: str
    member: str
    at: datetime
    value: int | Decimal
    target: int | Decimal
    to_go: int | Decimal
    reached_at: datetime | None = None
    order: str | None = None
    until: datetime | None = None
    revoked_at: datetime | None = None
    left: Left | None = None
    zone: str = "UTC"

    @property
    def granted(self) -> bool:
        """Whether what the threshold grants is held now."""
        now = to_us(self.at)
        return (
            self.reached_at is not None and self.revoked_at is None and (self.until is None or now < to_us(self.until))
        )

    def __str__(self) -> str:
        if self.granted:
            until = "" if self.until is None else f" until {local_date(self.until, self.zone)}"
            return f"{self.threshold}: reached, granted{until}"
        return f"{self.threshold}: {self.value} of {self.target}, {self.to_go} to go"


def _targeted(threshold: Threshold, currency: str | None) -> str:
    """Return the target in words: 500.00 spent, 5 orders, review 3 times, orders in 3 months."""
    measure, target = threshold.measure, threshold.target
    name, count = (measure.name or "").replace("_", "-"), int(target)
    match measure.kind:
        case "spend":
            shown = f"{target}" if currency is None else format_money(Decimal(target), currency)
            return f"{shown} spent"
        case "earned" | "balance":
            return counted(count, name)
        case "activities":
            return f"{name} once" if count == 1 else f"{name} {count:,} times"
        case "periods":
            return f"orders in {counted(count, f'{name}s')}"
        case "categories":
            return "1 category" if count == 1 else f"{count:,} categories"
    return counted(count, measure.kind)


def left(at: datetime, until: datetime, zone: str) -> Left:
    """Return how long is left from the local day of `at` until `until` (exclusive), in local days of `zone`.

    The last day counts whole, also where `until` lies within it.

    >>> from datetime import UTC
    >>> left(datetime(2024, 8, 15, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC), "UTC")
    Left(days=138, months=5, full_months=4)
    """
    if to_us(instant(at)) >= to_us(instant(until, "until")):
        return Left(0, 0, 0)
    today, last = local_date(at, zone), local_date(from_us(to_us(until) - 1), zone)
    length = monthrange(last.year, last.month)[1]
    # The day after the last, as a month and a day of it: beyond the year 9999 there is no such date.
    month, day = (_month(last) + 1, 1) if last.day == length else (_month(last), last.day + 1)
    kept = min(today.day, monthrange(*_year_and_month(month))[1])
    full = month - _month(today) - (kept > day)
    return Left((last - today).days, full + (kept != day), full)


def _month(day: date) -> int:
    return 12 * day.year + day.month - 1


def _year_and_month(month: int) -> tuple[int, int]:
    return month // 12, month % 12 + 1


# ---------------------------------------------------------------- how a threshold follows from a history


class Reach(NamedTuple):
    """That a threshold was reached, in microseconds: when, until when it grants, and whether that was taken back."""

    at: int
    until: int
    key: str
    revoked: int | None = None

    @property
    def over(self) -> int:
        """The instant at which what was reached is held no more."""
        return self.until if self.revoked is None else self.revoked


def _runs(steps: tuple[Step, ...], target: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of time in which the measure reaches the target."""
    begun: int | None = None
    for step in steps:
        if step.value >= target and begun is None:
            begun = step.at
        elif step.value < target and begun is not None:
            yield begun, step.at
            begun = None
    if begun is not None:
        yield begun, _FOREVER


class _Course:
    """What a member has reached of a threshold, by what is known at an instant."""

    def __init__(self, threshold: Threshold, history: History, at: int) -> None:
        self.threshold, self.history, self.at = threshold, history, at
        self.measure = threshold.measure
        self.value = value_of(self.measure, history, at) or 0
        target = threshold.target
        money = self.measure.kind == "spend"
        self.target = to_minor(target, history.currency, "threshold.target") if money else int(target)
        self.periodic = isinstance(self.measure.window, CalendarWindow | Anniversary)
        self.runs = list(self._within_windows())
        self.reached = sorted(self._rolling() if isinstance(self.measure.window, Rolling) else self._by_window())

    def _within_windows(self) -> Iterator[tuple[int, int]]:
        """Yield the stretches in which the target is reached, each in one window: a next one may begin at once.

        What is in a rolling window again because months differ in length, or clocks are put back, reaches nothing anew.
        """
        rolling = isinstance(self.measure.window, Rolling)
        parts = parts_of(self.measure, self.history) if rolling else ()
        news = sorted({max(part.at, part.known) for part in parts if not part.back})
        for begin, end in _runs(timeline(self.measure, self.history, self.at), self.target):
            if rolling:
                place = bisect_left(news, begin)
                begin = news[place] if place < len(news) else end
            while begin < end and begin <= self.at:
                stop = min(end, self.window(begin)[1])
                yield begin, stop
                begin = stop

    def window(self, at: int) -> tuple[int, int]:
        """Return the begin and the end of the measure's window of an instant: for ever, where it has none."""
        if isinstance(self.measure.window, Lifetime | Rolling):
            return -_FOREVER, _FOREVER
        span = bounds(self.measure.window, from_us(at), self.history.tz, self.history.anchor)
        return to_us(span.start or from_us(at)), to_us(span.end) if self.periodic and span.end else _FOREVER

    def end(self, at: int, run_end: int) -> int:
        """Return until when a grant lasts that begins at an instant."""
        match self.threshold.until:
            case Period() as period:
                return to_us(period.after(from_us(at), self.history.tz))
            case "end_of_window":
                return self.window(at)[1]
            case "while_reached":
                return run_end
        return _FOREVER

    def _by_window(self) -> Iterable[Reach]:
        """Return what was reached: once in each window, and anew where that was revoked or has ended by itself."""
        found: dict[int, Reach] = {}
        for place, (begin, end) in enumerate(self.runs):
            window = self.window(begin)
            earlier = found.get(window[0])
            if earlier is None or earlier.revoked is not None or self.threshold.until == "while_reached":
                after = self.runs[place + 1][0] if place + 1 < len(self.runs) else _FOREVER
                found[window[0]] = self._reach(begin, end, self.key(begin), after if after < window[1] else None)
        reached = list(found.values())
        if self.threshold.until == "for_ever" and reached:  # once and for all, as long as any window bears it
            return [next((each for each in reached if each.revoked is None), reached[-1])]
        return reached

    def _rolling(self) -> Iterable[Reach]:
        """Return what was reached one after the other; of what was reached on one day, the last."""
        found: dict[str, Reach] = {}
        last: Reach | None = None
        for (begin, end), (again, _) in pairwise([*self.runs, (_FOREVER, _FOREVER)]):
            start = begin
            while start < end and start <= self.at:
                if last is not None and start < last.over:
                    start = last.over
                    continue
                revived = last is not None and start < last.until
                key = last.key if last is not None and revived else self.key(start)
                last = found[key] = self._reach(start, end, key, again)
        return found.values()

    def _reach(self, at: int, run_end: int, key: str, again: int | None) -> Reach:
        """Return that the target was reached; `again` is when it was reached for the next time."""
        reach = Reach(at, self.end(at, run_end), key)
        if self.threshold.refunds == "keep" or self.threshold.until == "while_reached":
            return reach
        revoked: int | None = None
        for known, stands in self._doubts(reach):
            if known > min(self.at, reach.until - 1) or (revoked is not None and again is not None and again <= known):
                break
            revoked = None if stands else known if revoked is None else revoked
        return reach._replace(revoked=revoked)

    def _doubts(self, reach: Reach) -> Iterator[tuple[int, bool]]:
        """Yield the instants from which a target that was reached counts as not reached after all, or again as so."""
        if isinstance(self.measure.window, Rolling):
            late = (p.known for p in parts_of(self.measure, self.history) if p.back or p.known > p.at)
            for known in sorted({each for each in late if reach.at < each <= self.at}):
                steps = timeline(self.measure, self.history, known, anew=True)
                yield known, any(b <= known and reach.at < e for b, e in _runs(steps, self.target))
            return
        runs = self.runs
        if self.periodic:  # what of its orders is left, also after the window is over
            window = Between(*map(from_us, self.window(reach.at)))
            steps = timeline(attrs.evolve(self.measure, window=window), self.history, self.at)
            runs = list(_runs(steps, self.target))
        for begin, end in runs:
            for known, stands in ((begin, True), (end, False)):
                if known > reach.at:
                    yield known, stands

    def key(self, at: int) -> str:
        """Return the natural key of what is reached at an instant: one for each window, or for each day."""
        name = f"threshold:{self.threshold.name}:{self.history.member}"
        window = self.measure.window
        if isinstance(window, Lifetime) or self.threshold.until == "for_ever":
            return name
        day = local_date(from_us(at if isinstance(window, Rolling) else self.window(at)[0]), self.history.tz)
        return f"{name}:{day.year if window == CalendarWindow('year') else day.isoformat()}"

    def order(self, at: int) -> str | None:
        """Return the order with which the target was reached: of several at one instant the first placed, by id."""
        found = {(sale.at, sale.order) for sale in self.history.purchases if sale.known == at and not sale.back}
        return next((order for _, order in sorted(found) if self._counts(order, at)), None)

    def _counts(self, order: str, at: int) -> bool:
        """Say whether an order added to the measure at an instant; points tell no order."""
        if self.measure.kind in ("earned", "balance"):
            return True
        alone = attrs.evolve(self.history, facts=self.history.orders[order], movements=())
        return any(part.known == at and not part.back for part in parts_of(self.measure, alone))


# ---------------------------------------------------------------- what one asks


def progress(threshold: Threshold, history: History, at: datetime) -> Progress:
    """Return how far a member is at an instant. Nothing that happens or becomes known later counts.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.measures import spend
    >>> from loyaltykit.windows import calendar_year
    >>> history = History([Order("1", "ann", datetime(2024, 8, 15, tzinfo=UTC), amount="420.50")])
    >>> print(progress(Threshold("the year", spend(calendar_year()), 500), history, datetime(2024, 9, 1, tzinfo=UTC)))
    the year: 420.50 of 500.00, 79.50 to go
    """
    now = to_us(instant(at))
    course = _Course(threshold, history, now)
    made = partial(amount, threshold.measure, history)
    reached = [reach for reach in course.reached if reach.until > now]
    base = Progress(
        threshold.name,
        history.member,
        from_us(now),
        made(course.value),
        made(course.target),
        made(max(0, course.target - course.value)),
        zone=history.zone,
    )
    if not reached:
        return base
    reach = max(reached, key=lambda each: (each.revoked is None, each.at))
    until = None if reach.until >= _FOREVER else from_us(reach.until)
    revoked = None if reach.revoked is None else from_us(reach.revoked)
    rest = None if until is None or revoked is not None else left(from_us(now), until, history.zone)
    return attrs.evolve(
        base, reached_at=from_us(reach.at), order=course.order(reach.at), until=until, revoked_at=revoked, left=rest
    )


def granted(threshold: Threshold, history: History, at: datetime) -> tuple[Grant, ...]:
    """Return the grants that reaching a threshold has led to by an instant, past ones too."""
    course = _Course(threshold, history, to_us(instant(at)))
    found = []
    for reach in course.reached:
        ends = None if reach.until >= _FOREVER else from_us(reach.until)
        revoked = None if reach.revoked is None else from_us(reach.revoked)
        for place, benefit in enumerate(threshold.grants):
            key = reach.key if len(threshold.grants) == 1 else f"{reach.key}:{place + 1}"
            source = f"threshold {threshold.name}"
            found.append(Grant(benefit, history.member, source, key, from_us(reach.at), ends, revoked_at=revoked))
    return tuple(found)


def decisions(threshold: Threshold, history: History, at: datetime) -> tuple[Decision, ...]:
    """Return what reaching a threshold asks the host to do: to tell the member, and to give what is given once.

    What has been revoked by then is asked no more.
    """
    course = _Course(threshold, history, to_us(instant(at)))
    found = []
    for reach in course.reached:
        if reach.revoked is not None:
            continue
        order = course.order(reach.at)
        data = {} if order is None else {"order": order}
        reason = f"reached {threshold.name}" + (f" with order {order}" if order else "")
        once: list[Benefit | None] = [each for each in threshold.grants if each.kind == "points"]
        for benefit in once or [None]:
            key = reach.key if benefit is None else f"{reach.key}:{benefit.name}"
            found.append(
                Decision(
                    "threshold_reached",
                    history.member,
                    key,
                    from_us(reach.at),
                    reason=reason,
                    benefit=benefit,
                    data=data,
                )
            )
    return tuple(found)
