"""How tiers follow from a history: in stretches of time with one tier each, by what counts at every instant.

Instants are microseconds since 1970 in UTC; a tier is its place on the ladder, from 0 for the lowest, and -1 is none.

What becomes known of an order only after it was placed (that it was paid, that something went back) counts from when it
is known. It then counts as if it had always been so: at every instant the tiers follow anew from what counts then.
Between two such instants (`Course.epochs`) what counts is the same, and the tiers come from one pass over it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from loyaltykit.calendar import Period, from_us, to_us
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.history import History
from loyaltykit.measures import Measure, Part, Step, parts_of
from loyaltykit.windows import Anniversary, CalendarWindow, bounds, inside

TierValidity = Literal["while_qualifying", "end_of_period", "end_of_next_period"]
Downgrade = Literal["recompute", "one_down"]
RefundEffect = Literal["immediate", "at_review"]

FOREVER = 2**63 - 1
SINCE_EVER = -(2**63)


class Run(NamedTuple):
    """A stretch of time with one tier, by its place: from `start` until `end` (exclusive)."""

    start: int
    end: int
    place: int


class Rules(NamedTuple):
    """How long a tier lasts, how it ends, and from when on it counts that something went back."""

    validity: TierValidity
    review: CalendarWindow | Anniversary
    grace: Period | None
    downgrade: Downgrade
    refunds: RefundEffect


class _Event(NamedTuple):
    """What enters or leaves a measure's window at an instant, and the epoch from which on it counts."""

    at: int
    counts_from: int
    key: Any
    amount: int


class Course:
    """The tiers of one member on one ladder, by what is known at an instant: those past, and those to come.

    `goals` are the values, in minor units where they are money, from which the tiers are reached; None of one that is
    not. What is `invited` is held besides.
    """

    def __init__(
        self, terms: Rules, measure: Measure, goals: Sequence[int | None], invited: Iterable[Run],
        history: History, at: int,
    ) -> None:  # fmt: skip
        if measure.currency is not None and measure.currency != history.currency:
            raise WrongCurrency("measure.currency", measure.currency, f"the history is in {history.currency}")
        self.terms, self.measure, self.goals, self.history, self.at = terms, measure, goals, history, at
        self.places = [place for place, goal in enumerate(goals) if goal is not None]
        # From nothing on is always: who owes points has the tier of everybody, too.
        self.reaches = [goal or SINCE_EVER for goal in goals if goal is not None]
        anchor = history.anchor
        # The first fact, where it is still to come, is not known yet; the instant of joining may be.
        if anchor is None or (history.joined is None and to_us(anchor) > at):
            anchor = from_us(at)
        self.reviews = _Periods(terms.review, history, anchor)
        window = measure.window
        self.periods = _Periods(window, history, anchor) if isinstance(window, CalendarWindow | Anniversary) else None
        qualified = [run for begin, end in pairwise([*self.epochs, FOREVER]) for run in self._within(begin, end)]
        self.runs = _joined(_highest([*qualified, *invited], SINCE_EVER, FOREVER))

    # ------------------------------------------------------------ what is asked of it

    def run(self, at: int) -> Run:
        """Return the stretch that an instant lies in."""
        return _at(self.runs, at)

    def rank(self, value: int) -> int:
        """Return the place of the highest tier that a value reaches."""
        return [-1, *self.places][bisect_right(self.reaches, value)]

    def value(self) -> int:
        """Return what counts at the instant that the course is known at."""
        return _value(self.steps(self._epoch(self.at), self.at + 1), self.at)

    def above(self, place: int) -> int | None:
        """Return the next tier above that can be reached, if any."""
        return next((each for each in self.places if each > place), None)

    def to_keep(self, run: Run) -> int | None:
        """Return the least that, added now, makes a tier last beyond the end of its run; None if nothing does."""
        epoch, stop = self._epoch(run.end), run.end + 1
        steps, added = self.steps(epoch, stop), self.stretches(self.at)
        edges = {edge for stretch in added for edge in stretch if edge is not None}
        pieces = [
            (at, _value(steps, at), any(begin <= at and (end is None or at < end) for begin, end in added))
            for at in sorted({*(step.at for step in steps), *edges})
            if at < stop
        ]

        def keeps(more: int) -> bool:
            climbed = self._climb(((at, value + more if raised else value) for at, value, raised in pieces), stop)
            return _at(climbed, run.end).place >= run.place

        goals = [goal for goal, place in zip(self.reaches, self.places, strict=True) if place >= run.place]
        values = {value for _, value, raised in pieces if raised}
        amounts = sorted({goal - value for goal in goals for value in values if goal > value})
        found = bisect_left(amounts, True, key=keeps)
        return amounts[found] if found < len(amounts) and not keeps(0) else None

    def renewals(self, run: Run) -> Iterator[int]:
        """Yield when a tier was reached again while it was held, up to now."""
        goal = self.goals[run.place] if run.place >= 0 else None
        if not goal or run.start == SINCE_EVER:
            return
        end = min(run.end, self.at + 1)
        if self.terms.validity == "while_qualifying":
            for before, step in pairwise(self._counted):
                if before.value < goal <= step.value and run.start < step.at < end:
                    yield step.at
            return
        renewed = self.reviews.of(run.start)[1]
        for step, following in pairwise([*self._counted, Step(FOREVER, 0)]):
            while step.value >= goal and following.at > renewed and max(step.at, renewed) < end:
                yield max(step.at, renewed)
                renewed = self.reviews.of(max(step.at, renewed))[1]

    def stretches(self, at: int) -> tuple[tuple[int, int | None], ...]:
        """Return when something of an instant lies in the measure's window."""
        if self.periods is not None:
            return ((at, self.periods.of(at)[1]),)
        return inside(self.measure.window, at, self.history.tz)

    # ------------------------------------------------------------ what counts

    @cached_property
    def events(self) -> list[_Event]:
        """What enters and leaves the window, by instant."""
        found = []
        for part, counts_from in self._parts():
            for enter, leave in self.stretches(part.at):
                found.append(_Event(enter, counts_from, part.key, part.amount))
                if leave is not None:
                    found.append(_Event(leave, counts_from, part.key, -part.amount))
        found.sort(key=itemgetter(0))
        return found

    @cached_property
    def epochs(self) -> list[int]:
        """The instants at which it changes what counts, besides what happens at them."""
        return sorted({SINCE_EVER, *(event.counts_from for event in self.events)})

    def steps(self, epoch: int, end: int = FOREVER) -> list[Step]:
        """Return the measure's steps before `end`, by what counts from an epoch on."""
        found: list[Step] = []
        counts: dict[Any, int] = {}
        value, last = 0, SINCE_EVER
        for at, counts_from, key, amount in self.events:
            if counts_from > epoch:
                continue
            if at >= end:
                break
            if at != last:
                if last != SINCE_EVER:
                    found.append(Step(last, value))
                last = at
            if key is None:
                value += amount
            else:
                before = counts.get(key, 0)
                counts[key] = before + amount
                value += (before + amount > 0) - (before > 0)
        if last != SINCE_EVER:
            found.append(Step(last, value))
        return found

    @cached_property
    def _counted(self) -> list[Step]:
        """The value at every instant, by what counts then."""
        found = [Step(SINCE_EVER, 0)]
        for begin, end in pairwise([*self.epochs, FOREVER]):
            steps = self.steps(begin, end)
            found.append(Step(begin, _value(steps, begin)))
            found += [step for step in steps if step.at > begin]
        return found

    def _epoch(self, at: int) -> int:
        """Return the epoch that an instant lies in."""
        return self.epochs[bisect_right(self.epochs, at) - 1]

    def _parts(self) -> Iterator[tuple[Part, int]]:
        """Yield what is known, and the epoch from which on it counts."""
        parts = [part for part in parts_of(self.measure, self.history) if part.told <= self.at]
        if self.terms.refunds == "immediate":
            yield from ((part, part.known if part.known > part.at else SINCE_EVER) for part in parts)
            return
        late: dict[Any, list[Part]] = {_source(part): [] for part in parts if part.known > part.at}
        for part in parts:
            if part.known > part.at or (part.order is not None and part.order in late):
                late[_source(part)].append(part)
            else:
                yield part, SINCE_EVER
        for some in late.values():
            yield from self._reviewed(sorted(some, key=_known))

    def _reviewed(self, parts: list[Part]) -> Iterator[tuple[Part, int]]:
        """Yield what became known of one order, so that the most counts that was known since the last review."""
        changes = [(known, list(some)) for known, some in groupby(parts, _known)]
        begins = [known for known, _ in changes]
        sizes = [0, *accumulate(sum(part.amount for part in some) for _, some in changes)]
        counted = 0
        for moment in sorted({each for known in begins for each in (known, self.reviews.of(known)[1])}):
            oldest = bisect_right(begins, self.reviews.of(moment)[0])
            newest = bisect_right(begins, moment)
            most = max(range(oldest, newest + 1), key=lambda place: (sizes[place], place))
            for _, some in changes[counted:most]:
                prompt = not counted and some is changes[0][1]
                yield from ((part, SINCE_EVER if prompt and part.known <= part.at else moment) for part in some)
            counted = max(counted, most)

    # ------------------------------------------------------------ which tiers follow

    def _within(self, begin: int, end: int) -> Iterator[Run]:
        """Yield the tiers in the time from an epoch until the next."""
        for run in self._climb(self.steps(begin, end), end):
            if run.end > begin:
                yield run._replace(start=max(run.start, begin))

    def _climb(self, steps: Iterable[tuple[int, int]], end: int) -> list[Run]:
        """Return the best tier that was reached and still lasts, at every instant before `end`."""
        lasting, ranks, reaches = [], [-1, *self.places], self.reaches
        since, place = SINCE_EVER, self.rank(0)
        for at, value in steps:
            rank = ranks[bisect_right(reaches, value)]
            if rank != place:
                if place >= 0:
                    lasting.append(Run(since, self._lasts(at), place))
                since, place = at, rank
        if place >= 0:
            lasting.append(Run(since, FOREVER, place))
        runs = list(_highest(lasting, SINCE_EVER, end))
        return runs if self.terms.downgrade == "recompute" else list(_landed(runs, self._below, self.reviews))

    def _lasts(self, until: int) -> int:
        """Return until when a tier lasts that was reached until an instant (exclusive)."""
        if self.terms.validity != "while_qualifying":
            until = self.reviews.of(until - 1)[1]
            if self.terms.validity == "end_of_next_period":
                until = self.reviews.of(until)[1]
        if self.terms.grace is None:
            return until
        try:
            return to_us(self.terms.grace.after(from_us(until), self.history.tz))
        except InputError:  # beyond the year 9999
            return FOREVER

    def _below(self, place: int) -> int:
        """Return the next tier below that can be reached."""
        return max((each for each in self.places if each < place), default=-1)


class _Periods:
    """The periods of a calendar or anniversary window, each worked out once."""

    def __init__(self, window: CalendarWindow | Anniversary, history: History, anchor: Any) -> None:
        self.window, self.tz, self.anchor = window, history.tz, anchor
        self.starts: list[int] = []
        self.ends: list[int] = []

    def of(self, at: int) -> tuple[int, int]:
        """Return the begin and the end of the period that an instant lies in."""
        place = bisect_right(self.starts, at)
        if not place or self.ends[place - 1] <= at:
            span = bounds(self.window, from_us(at), self.tz, self.anchor)
            assert span.start is not None
            assert span.end is not None
            self.starts.insert(place, to_us(span.start))
            self.ends.insert(place, to_us(span.end))
            place += 1
        return self.starts[place - 1], self.ends[place - 1]


def _known(part: Part) -> int:
    return part.known


def _source(part: Part) -> Any:
    """Return what a part is a change of: an order, or the points of an instant."""
    return part.at if part.order is None else part.order


def _highest(lasting: Iterable[Run], begin: int, end: int) -> Iterator[Run]:
    """Yield the highest place at every instant from `begin` until `end`."""
    some = [run for run in lasting if run.end > begin and run.start < end]
    events = [(max(run.start, begin), 1, run.place) for run in some]
    events += [(run.end, -1, run.place) for run in some if run.end < end]
    counts: dict[int, int] = {}
    since, place = begin, -1
    for when, changes in groupby(sorted(events), key=itemgetter(0)):
        for _, change, each in changes:
            counts[each] = counts.get(each, 0) + change
        best = max((each for each, count in counts.items() if count > 0), default=-1)
        if best != place:
            if when > since:
                yield Run(since, when, place)
            since, place = when, best
    yield Run(since, end, place)


def _landed(runs: Iterable[Run], below: Callable[[int], int], reviews: _Periods) -> Iterator[Run]:
    """Let every fall end softly: not deeper than to the tier below, until the end of the review period, and so on."""
    floor = Run(SINCE_EVER, SINCE_EVER, -1)
    above = -1
    for run in runs:
        start = run.start
        while start < run.end:
            place = max(run.place, floor.place) if start < floor.end else run.place
            if place < above:
                floor = Run(start, reviews.of(start)[1], below(above))
                place = max(run.place, floor.place)
            end = run.end if place == run.place else min(run.end, floor.end)
            yield Run(start, end, place)
            start, above = end, place


def _joined(runs: Iterable[Run]) -> list[Run]:
    """Join neighbours of one place."""
    found: list[Run] = []
    for run in runs:
        if found and found[-1].place == run.place:
            found[-1] = found[-1]._replace(end=run.end)
        else:
            found.append(run)
    return found


def _at(runs: Sequence[Run], at: int) -> Run:
    return runs[bisect_right(runs, at, key=itemgetter(0)) - 1]


def _value(steps: Sequence[Step], at: int) -> int:
    place = bisect_right(steps, at, key=itemgetter(0))
    return steps[place - 1].value if place else 0
