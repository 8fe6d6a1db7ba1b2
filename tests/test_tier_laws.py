"""What ladders of tiers promise, whatever happened: compared with a naive reading of the rules, instant by instant."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import attrs
from histories import until as history_until, utc
from hypothesis import given, strategies as st

from loyaltykit.amounts import from_minor
from loyaltykit.calendar import days, months, to_us, weeks
from loyaltykit.facts import Fact, Order, Refund, Reversal
from loyaltykit.grants import bonus_points, perk
from loyaltykit.history import History, Movement
from loyaltykit.measures import (
    Measure,
    balance_of,
    earned,
    orders,
    spend,
)
from loyaltykit.tiers import (
    Invitation,
    Ladder,
    Tier,
    benefits_of,
    changes,
    decisions,
    standing,
    tier_of,
)
from loyaltykit.windows import (
    Anniversary,
    Lifetime,
    Rolling,
    anniversary_year,
    bounds,
    calendar_day,
    calendar_month,
    calendar_quarter,
    calendar_year,
)
from loyaltykit.wire import dumps, loads

D = Decimal
TICK = timedelta(microseconds=1)
NAMES = ("Bronze", "Silver", "Gold", "Platinum")

# ---------------------------------------------------------------- random members

_DAYS = [
    datetime(2023, 12, 31), datetime(2024, 1, 1), datetime(2024, 1, 31), datetime(2024, 2, 28), datetime(2024, 2, 29),
    datetime(2024, 3, 10), datetime(2024, 3, 31), datetime(2024, 7, 1), datetime(2024, 8, 31), datetime(2024, 11, 3),
    datetime(2024, 12, 31), datetime(2025, 1, 1), datetime(2025, 2, 28),
]  # fmt: skip
INSTANTS = st.builds(
    lambda day, hours: day.replace(tzinfo=UTC) + timedelta(hours=hours), st.sampled_from(_DAYS), st.integers(0, 30)
)
ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo"])
CENTS = st.sampled_from([1, 5000, 10000, 10001, 20000, 30000, 60000])


class State(NamedTuple):
    """What is known of one order from an instant on: when it was placed, and what it comes to."""

    known: datetime
    at: datetime
    amount: int


class Tale(NamedTuple):
    """The facts of one order, or movements of points of one instant, with the states that they lead to."""

    facts: tuple[Fact, ...]
    moves: tuple[Movement, ...]
    states: tuple[State, ...]


@st.composite
def refunded(draw: st.DrawFn, number: str) -> Tale:
    """Draw an order with refunds that are possible in any order, some of which did not stand."""
    at, full = draw(INSTANTS), draw(CENTS)
    order = Order(number, "ann", at, amount=from_minor(full, "USD"))
    facts: list[Fact] = [order]
    changed: list[tuple[datetime, int]] = []
    rest = full
    for place in range(draw(st.integers(0, 2))):
        cents = min(rest, draw(st.sampled_from([1, 5000, 20000])))
        if cents:
            rest -= cents
            when = draw(st.one_of(INSTANTS, st.just(at)))
            facts.append(Refund(f"{number}r{place}", "ann", number, when, amount=from_minor(cents, "USD")))
            changed.append((when, -cents))
            if draw(st.booleans()):
                back = max(when, draw(INSTANTS))
                facts.append(Reversal(f"{number}v{place}", "ann", number, f"{number}r{place}", back))
                changed.append((back, cents))
    states = [State(at, at, full + sum(cents for when, cents in changed if when <= at))]
    for when in sorted({when for when, _ in changed if when > at}):
        states.append(State(when, at, full + sum(cents for known, cents in changed if known <= when)))
    return Tale(tuple(facts), (), tuple(states))


@st.composite
def revised(draw: st.DrawFn, number: str) -> Tale:
    """Draw an order that was changed: it came to more or less, or is of another day, or was a draft at first."""
    at = draw(INSTANTS)
    facts, states = [], {}
    known = at
    for revision in range(1, draw(st.integers(2, 4))):
        state: Any = draw(st.sampled_from(["paid", "paid", "draft", "cancelled"]))
        cents = draw(CENTS)
        if revision > 1:
            known = max(known, draw(INSTANTS))
            at = draw(st.sampled_from([at, at, known, min(known, draw(INSTANTS))]))
        facts.append(
            Order(number, "ann", at, amount=from_minor(cents, "USD"), state=state, revision=revision,
                  revised_at=known if revision > 1 else None)
        )  # fmt: skip
        states[known] = State(known, at, cents if state == "paid" else 0)
    return Tale(tuple(facts), (), tuple(states.values()))


@st.composite
def points(draw: st.DrawFn, number: str) -> Tale:
    """Draw points that were earned, perhaps known before they count, and later taken back in part."""
    at, count = draw(INSTANTS), draw(st.sampled_from([50, 100, 300]))
    known = draw(st.sampled_from([at, at - timedelta(days=40)]))
    moves = [Movement(to_us(at), to_us(known), "points", "earn", count)]
    states = [State(known, at, count)]
    late = draw(INSTANTS)
    if late > at and draw(st.booleans()):
        taken = draw(st.sampled_from([50, 400]))
        moves.append(Movement(to_us(at), to_us(late), "points", "earn", -taken))
        states.append(State(late, at, count - taken))
    return Tale((), tuple(moves), tuple(states))


TALES = st.integers(0, 5).flatmap(
    lambda count: st.tuples(*(st.one_of(refunded(f"o{place}"), revised(f"o{place}")) for place in range(count)))
)
WINDOWS = st.sampled_from(
    [Lifetime(), Rolling(months(12)), Rolling(months(1)), Rolling(days(60)), Rolling(weeks(1)), calendar_year(),
     calendar_quarter(), calendar_month(), anniversary_year(), Anniversary(months(3))]
)  # fmt: skip
REVIEWS = st.sampled_from([None, None, calendar_year(), calendar_quarter(), calendar_month(), anniversary_year()])


@st.composite
def ladders(draw: st.DrawFn, measures: Callable[..., Measure] | None = None) -> Ladder:
    """Draw a ladder with any policies."""
    measure = (measures or draw(st.sampled_from([spend, spend, spend, orders])))(draw(WINDOWS))
    return climbing(draw, measure)


def climbing(draw: st.DrawFn, measure: Measure) -> Ladder:
    """Draw the tiers and policies of a ladder on a measure."""
    goals = draw(st.sampled_from([(0, 100, 200, 400), (0, 100, 101, 500), (100, 200, 300, 400), (0, 50, 300, 900)]))
    if measure.kind == "orders":
        goals = (goals[0] // 100, 1 + (goals[0] > 0), 3, 4)
    tiers = [Tier(name, goal, perk("lounge"), bonus_points(100)) for name, goal in zip(NAMES, goals, strict=True)]
    if draw(st.booleans()):
        tiers.insert(draw(st.integers(1, 4)), Tier("Friends", invitation=True))
    return Ladder(
        "status", measure, tuple(tiers),
        validity=draw(st.sampled_from(["while_qualifying", "end_of_period", "end_of_next_period"])),
        period=draw(REVIEWS),
        grace=draw(st.sampled_from([None, None, days(30), months(1)])),
        downgrade=draw(st.sampled_from(["recompute", "one_down"])),
        refunds=draw(st.sampled_from(["immediate", "at_review"])),
    )  # fmt: skip


INVITATIONS = st.lists(
    st.builds(
        lambda tier, starts, length, source: Invitation(
            tier, starts, None if length is None else starts + timedelta(days=length), source
        ),
        st.sampled_from(["Friends", "Gold"]),
        INSTANTS,
        st.sampled_from([None, 1, 40, 400]),
        st.sampled_from(["invitation", "paid"]),
    ),
    max_size=2,
)


class Case(NamedTuple):
    """A ladder, what a member did, and who invited them."""

    ladder: Ladder
    tales: tuple[Tale, ...]
    history: History
    invitations: tuple[Invitation, ...]

    def told(self, at: datetime) -> History:
        """Return what the history was at an instant."""
        return history_until(self.history, at)


def _case(ladder: Ladder, tales: tuple[Tale, ...], zone: str, joined: datetime, invited: list[Invitation]) -> Case:
    facts = [fact for tale in tales for fact in tale.facts]
    moves = [move for tale in tales for move in tale.moves]
    history = History(facts, member="ann", zone=zone, joined=joined, movements=tuple(moves))
    names = {tier.name for tier in ladder.tiers}
    return Case(ladder, tales, history, tuple(each for each in invited if each.tier in names))


_REST = (ZONES, INSTANTS, INVITATIONS)
CASES = st.one_of(
    st.builds(_case, ladders(), TALES, *_REST),
    st.builds(_case, ladders(), TALES, *_REST),
    st.builds(
        _case,
        st.composite(lambda draw: climbing(draw, draw(st.sampled_from([earned(), earned(months(1)), balance_of()]))))(),
        st.lists(points("p"), max_size=4, unique_by=lambda tale: tale.states[0].at).map(tuple),
        *_REST,
    ),
)

# ---------------------------------------------------------------- the promise, read naively


class Naive:
    """The tiers of a member by what the rules say, told by trying instants one by one."""

    def __init__(self, case: Case, now: datetime) -> None:
        self.ladder, self.tales, self.now = case.ladder, case.tales, now
        self.tz, self.anchor = case.history.tz, case.history.joined
        self.invited = [each for each in case.invitations if each.starts <= now]
        in_cents = case.ladder.measure.kind == "spend"
        self.goals = {
            place: int(tier.threshold * (100 if in_cents else 1))
            for place, tier in enumerate(case.ladder.tiers)
            if not tier.invitation
        }
        self.grid = self._grid()
        self.counts: dict[datetime, Any] = {}

    def review(self, at: datetime) -> tuple[datetime, datetime]:
        """Return the review period of an instant."""
        span = bounds(self.ladder.review, at, self.tz, self.anchor)
        assert span.start is not None
        assert span.end is not None
        return span.start, span.end

    def _grid(self) -> list[datetime]:
        """Return instants enough that nothing changes between them."""
        found = {state.known for tale in self.tales for state in tale.states}
        placed = {state.at for tale in self.tales for state in tale.states}
        found |= placed
        for at in placed:
            window = self.ladder.measure.window
            if isinstance(window, Rolling):
                left = window.period.after(at, self.tz)
                near = [left + timedelta(days=day, hours=hour) for day in range(-1, 4) for hour in (-1, 0, 1)]
                found |= {*near, *(bounds(calendar_day(), each, self.tz).start for each in near)}  # type: ignore[arg-type]
            elif not isinstance(window, Lifetime):
                found.add(bounds(window, at, self.tz, self.anchor).end)  # type: ignore[arg-type]
        last = max(found | {self.now}) + timedelta(days=500)
        turn = self.review(min(found | {self.now}) - timedelta(days=1))[0]
        while turn < last:
            found.add(turn)
            turn = self.review(turn)[1]
        return sorted(found)

    def counted(self, tale: Tale, at: datetime) -> State | None:
        """Return what of an order counts at an instant."""
        known = [state for state in tale.states if state.known <= at]
        if self.ladder.refunds == "immediate":
            return known[-1] if known else None
        review = self.review(at)[0]
        since = [state for state in known if state.known > review]
        before = [state for state in known if state.known <= review]
        most: State | None = before[-1] if before else None
        for state in since:
            if most is None or self.size(state) >= self.size(most):
                most = state
        return most

    def measured(self, at: datetime, by: datetime) -> int:
        """Return the measure at an instant, by what counts at another."""
        states = [state for tale in self.tales if (state := self.counted(tale, by)) is not None]
        if at not in self.counts:
            self.counts[at] = bounds(self.ladder.measure.window, at, self.tz, self.anchor).us
        first, stop = self.counts[at]
        here = [state for state in states if (first is None or first <= to_us(state.at)) and to_us(state.at) < stop]
        return sum(self.size(state) for state in here)

    def size(self, state: State) -> int:
        """Return what a state of an order adds to the measure."""
        return int(state.amount > 0) if self.ladder.measure.kind == "orders" else state.amount

    def lasts(self, until: datetime) -> datetime:
        """Return until when a tier lasts that was reached until an instant."""
        if self.ladder.validity != "while_qualifying":
            until = self.review(until - TICK)[1]
        if self.ladder.validity == "end_of_next_period":
            until = self.review(until)[1]
        return until if self.ladder.grace is None else self.ladder.grace.after(until, self.tz)

    def tier(self, at: datetime) -> int:
        """Return the place of the tier at an instant."""
        by = max(each for each in [*self.grid, at] if each <= at)
        base = max((place for place, goal in self.goals.items() if goal == 0), default=-1)
        lasting = [(place, begin, end) for begin, end, place in self._lasting(by)]
        marks = sorted({at, *self.grid, *(end for _, _, end in lasting), *(begin for _, begin, _ in lasting)})
        tier = base
        floor, floor_end = -1, marks[0]
        for mark in marks[: bisect_right(marks, at)]:
            best = max([base, *(place for place, begin, end in lasting if begin <= mark < end)])
            if self.ladder.downgrade == "one_down":
                if mark < floor_end:
                    best = max(best, floor)
                if best < tier:
                    floor = max((place for place in self.goals if place < tier), default=-1)
                    floor_end = self.review(mark)[1]
                    best = max(best, floor)
            tier = best
        return max([tier, *(self._place(each.tier) for each in self.invited if each.starts <= at and _live(each, at))])

    def _place(self, name: str) -> int:
        return [tier.name for tier in self.ladder.tiers].index(name)

    def _lasting(self, by: datetime) -> Iterable[tuple[datetime, datetime, int]]:
        grid = sorted({*self.grid, by})
        for begin, end in pairwise(grid):
            value = max(0, self.measured(begin, by))
            for place, goal in self.goals.items():
                if value >= goal > 0:
                    yield begin, self.lasts(end), place


def _live(invitation: Invitation, at: datetime) -> bool:
    return invitation.ends is None or at < invitation.ends


def name_of(ladder: Ladder, place: int) -> str | None:
    """Return the name of a tier by its place."""
    return ladder.tiers[place].name if place >= 0 else None


# ---------------------------------------------------------------- properties


@given(CASES, st.data())
def test_a_tier_is_what_the_rules_say(case: Case, data: st.DataObject) -> None:
    """The tier is the best of those that were reached at some earlier instant from which the validity still lasts."""
    for at in data.draw(st.lists(moments(case), min_size=1, max_size=4)):
        told = tier_of(case.ladder, case.history, at, case.invitations)
        assert name_of(case.ladder, Naive(case, at).tier(at)) == told


def moments(case: Case) -> st.SearchStrategy[datetime]:
    """Draw instants at and next to those at which something may change."""
    grid = Naive(case, utc(2026, 1, 1)).grid
    return st.builds(lambda at, ticks: at + ticks * TICK, st.sampled_from(grid), st.sampled_from([-1, 0, 0, 1]))


@given(CASES, st.data())
def test_it_does_not_matter_when_one_looks(case: Case, data: st.DataObject) -> None:
    """The changes found late, in one look, are the tiers told at each instant, in whatever order it is asked."""
    last = utc(2026, 6, 1)
    found = changes(case.ladder, case.history, last, case.invitations)
    moves = [change for change in found if change.kind != "renewal"]
    assert sorted(moves, key=lambda change: change.at) == moves
    asked = data.draw(st.lists(moments(case).filter(lambda at: at <= last), max_size=6))
    asked += [change.at - tick for change in found for tick in (TICK, 0 * TICK)]
    random.Random(len(asked)).shuffle(asked)
    begin = tier_of(case.ladder, case.history, utc(2020, 1, 1), case.invitations)
    for at in asked:
        told = tier_of(case.ladder, case.history, at, case.invitations)
        assert next((change.after for change in reversed(moves) if change.at <= at), begin) == told
        assert [change for change in found if change.at <= at] == list(
            changes(case.ladder, case.history, at, case.invitations)
        )
    for before, after in pairwise(moves):
        assert before.after == after.before
    for change in moves:
        assert change.before != change.after
        upwards = case.ladder.place(change.after) > case.ladder.place(change.before)
        assert upwards == (change.kind == "entry")


@given(CASES, st.data())
def test_nothing_that_comes_later_counts(case: Case, data: st.DataObject) -> None:
    """Where one stands does not depend on what happened, or became known, after the instant; nor do the grants."""
    at = data.draw(moments(case))
    early = case.told(at)
    invited = [each for each in case.invitations if each.starts <= at]
    for ask in (standing, tier_of, changes, benefits_of, decisions):
        assert ask(case.ladder, early, at, invited) == ask(case.ladder, case.history, at, case.invitations)


@given(CASES, st.data())
def test_until_is_exact(case: Case, data: st.DataObject) -> None:
    """If nothing more happens, the tier is kept to the last microsecond before `until`, and is `then` from it on."""
    at = data.draw(moments(case))
    told, early = standing(case.ladder, case.history, at, case.invitations), case.told(at)
    invited = [each for each in case.invitations if each.starts <= at]
    assert tier_of(case.ladder, early, at, invited) == told.tier
    if told.since is not None and told.since != case.history.joined:
        assert told.tier != tier_of(case.ladder, early, told.since - TICK, invited)
    if told.until is None:
        assert told.tier == tier_of(case.ladder, early, at + timedelta(days=3000), invited)
    else:
        assert at < told.until
        assert told.tier == tier_of(case.ladder, early, told.until - TICK, invited)
        assert told.then == tier_of(case.ladder, early, told.until, invited) != told.tier


def added(case: Case, at: datetime, more: Decimal | int) -> History:
    """Return what the history was at an instant, with an order (orders, points) at that instant."""
    early = case.told(at)
    if case.ladder.measure.kind in ("earned", "balance"):
        move = Movement(to_us(at), to_us(at), "points", "earn", int(more))
        return attrs.evolve(early, movements=(*early.movements, move))
    amounts = [more] if case.ladder.measure.kind == "spend" else int(more) * [1]
    orders = [Order(f"more{place}", "ann", at, amount=amount) for place, amount in enumerate(amounts)]
    return attrs.evolve(early, facts=(*early.facts, *orders))


@given(CASES, st.data())
def test_what_is_missing_to_the_next_tier_gives_it(case: Case, data: st.DataObject) -> None:
    """So much more now, and it is the next tier; a cent (an order, a point) less, and it is not."""
    at = data.draw(moments(case))
    told = standing(case.ladder, case.history, at, case.invitations)
    assert (told.next is None) == (told.to_next is None)
    if told.to_next is None:
        above = case.ladder.tiers[case.ladder.place(told.tier) + 1 :]
        assert all(tier.invitation for tier in above)
        return
    less = told.to_next - (D("0.01") if case.ladder.measure.kind == "spend" else 1)
    assert told.next == tier_of(case.ladder, added(case, at, told.to_next), at, case.invitations)
    if less > 0:
        assert told.tier == tier_of(case.ladder, added(case, at, less), at, case.invitations)


@given(CASES, st.data())
def test_what_is_missing_to_keep_a_tier_keeps_it(case: Case, data: st.DataObject) -> None:
    """So much more now, and the tier lasts beyond `until`; a cent less, and it does not. None: no amount does it."""
    at = data.draw(moments(case))
    told = standing(case.ladder, case.history, at, case.invitations)
    if told.until is None or told.tier is None:
        assert told.to_keep is None
        return
    place, step = case.ladder.place(told.tier), D("0.01") if case.ladder.measure.kind == "spend" else 1
    invited = [each for each in case.invitations if each.starts <= at]

    def kept(more: Decimal | int) -> bool:
        if case.ladder.measure.kind == "orders":
            more = min(more, 20)
        return case.ladder.place(tier_of(case.ladder, added(case, at, more), told.until, invited)) >= place

    if told.to_keep is None:
        assert case.ladder.place(told.then) > place or case.ladder.tiers[place].invitation or not kept(5000)
    else:
        assert kept(told.to_keep)
        assert not told.to_keep > step or not kept(told.to_keep - step)


@given(CASES, st.data())
def test_the_value_is_the_measures(case: Case, data: st.DataObject) -> None:
    """The value is what the measure says at the instant, where what went back counts at once."""
    at = data.draw(moments(case))
    ladder = attrs.evolve(case.ladder, refunds="immediate")
    assert ladder.measure.value(case.history, at) == standing(ladder, case.history, at, case.invitations).value


@given(CASES, st.data())
def test_decisions_have_unique_and_stable_keys(case: Case, data: st.DataObject) -> None:
    """What was decided by an instant is decided the same later on, each under a key of its own."""
    early, late = sorted(data.draw(st.tuples(moments(case), moments(case))))
    before = decisions(case.ladder, case.history, early, case.invitations)
    after = decisions(case.ladder, case.history, late, case.invitations)
    kept = [attrs.evolve(each, ends=None) for each in after if each.due <= early]
    assert kept == [attrs.evolve(each, ends=None) for each in before]
    assert len({each.key for each in after}) == len(after)
    rewards = [each for each in after if each.kind == "entry_reward"]
    entered = {
        (change.after, Naive(case, late).review(change.at)[0])
        for change in changes(case.ladder, case.history, late, case.invitations)
        if change.kind == "entry" and change.after != "Friends"
    }
    assert len(entered) == len(rewards)


@given(CASES, st.data())
def test_benefits_are_held_as_long_as_the_tier(case: Case, data: st.DataObject) -> None:
    """At every instant the grants that are live are those of the tier; each has a key of its own, the same for ever."""
    early, late = sorted(data.draw(st.tuples(moments(case), moments(case))))
    grants = benefits_of(case.ladder, case.history, late, case.invitations)
    assert len({grant.key for grant in grants}) == len(grants)
    tier = tier_of(case.ladder, case.history, early, case.invitations)
    live = [grant for grant in grants if grant.live(early)]
    if case.history.joined is not None and early >= case.history.joined:
        held = tier is not None and tier != "Friends"
        assert [f"status: {tier}"] * held == [grant.source for grant in live]
    told = {grant.key for grant in benefits_of(case.ladder, case.history, early, case.invitations)}
    assert {grant.key for grant in grants if grant.starts <= early} == told


@given(ladders())
def test_a_ladder_is_plain_data(ladder: Ladder) -> None:
    """A ladder is written as JSON and read again as the same value."""
    assert ladder == loads(Ladder, dumps(ladder))
