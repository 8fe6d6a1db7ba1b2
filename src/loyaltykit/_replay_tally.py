"""Adding up many lives, period by period: what `loyaltykit.replay` turns into its result.

Pure.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from loyaltykit._replay_life import Life, Rules, debts
from loyaltykit._replay_result import Flow, MemberTotals, Population, Reached, Result, Span, share, worth
from loyaltykit.amounts import from_minor
from loyaltykit.calendar import as_unit, from_us, next_start, start_of, to_us
from loyaltykit.consent import Told
from loyaltykit.journal import NEVER
from loyaltykit.retention.periods import By, cuts

_FAR = datetime.fromisoformat("9999-12-01T00:00:00+00:00")
"""Later than every boundary of a period."""


class Calendar:
    """Tells in which period an instant lies: by the period's first microsecond. Grows as it is asked."""

    def __init__(self, every: By, zone: str, until: int) -> None:
        self._unit = as_unit(every) if isinstance(every, str) else None
        self._zone = zone
        if self._unit is None:
            self._edges = [to_us(each.start) for each in cuts(every, _FAR, _FAR, zone)]
            self._end = to_us(cuts(every, _FAR, _FAR, zone)[-1].end)
        else:
            start = start_of(self._unit, from_us(until), zone)
            self._edges = [to_us(start)]
            self._end = to_us(next_start(self._unit, start, zone))

    def last(self, until: int | None) -> int:
        """Return the last instant that counts: nothing after the last period does."""
        return self._end - 1 if until is None else min(until, self._end - 1)

    def start(self, us: int) -> int:
        """Return the start of the period of an instant up to the last; -NEVER before the first of given periods."""
        while us < self._edges[0]:
            if self._unit is None:
                return -NEVER
            self._edges.insert(0, to_us(start_of(self._unit, from_us(self._edges[0] - 1), self._zone)))
        return self._edges[bisect_right(self._edges, us) - 1]


# ---------------------------------------------------------------- adding up

_ISSUED, _BACK, _REDEEMED, _EXPIRED, _FORGIVEN, _OWED, _ORDERS, _REVENUE, _MEMBERS = range(9)
_COLUMN = {
    "earn": (_ISSUED, 1), "claw_back": (_BACK, -1), "reinstate": (_BACK, -1), "redeem": (_REDEEMED, -1),
    "restore": (_REDEEMED, -1), "expire": (_EXPIRED, -1), "adjust_up": (_FORGIVEN, 1),
}  # fmt: skip


class Tally:
    """The sums of many lives, by period."""

    def __init__(self) -> None:
        self.sums: dict[int, list[int]] = {}
        self.flows: Counter[tuple[int, str, str, str | None, str | None]] = Counter()
        self.reached: Counter[tuple[int, str]] = Counter()
        self.members: list[MemberTotals] = []
        self.first = NEVER
        self.buyers = 0
        self.best: list[tuple[Any, int, str, Sequence[Told]]] = []  # a heap of the members that move most

    def add(self, member: str, life: Life, rules: Rules, calendar: Calendar) -> MemberTotals:
        """Add one life; return its totals."""
        sums, mine, bought = self.sums, [0] * 9, set()
        start_of_period = calendar.start

        def row(start: int) -> list[int]:
            found = sums.get(start)
            if found is None:
                found = sums[start] = [0] * 9
            return found

        for move in life.moves:
            if move[0] != rules.unit:
                continue
            place = _COLUMN.get(move[1])
            owed = debts(move)
            if place is None and not owed:
                continue
            period = row(start_of_period(move[3]))
            if place is not None:
                column, sign = place
                period[column] += sign * move[2]
                mine[column] += sign * move[2]
            period[_OWED] += owed
            mine[_OWED] += owed
        for known, amount, present in life.sales:
            start = start_of_period(known)
            period = row(start)
            period[_REVENUE] += amount
            mine[_REVENUE] += amount
            if present > 0:
                period[_ORDERS] += 1
                mine[_ORDERS] += 1
                bought.add(start)
        for start in bought:
            row(start)[_MEMBERS] += 1
        self.buyers += any(start > -NEVER for start in bought)
        ends: dict[str, str | None] = {}
        for at, ladder, kind, before, after in life.tiers:
            self.flows[start_of_period(at), ladder, kind, before, after] += 1
            ends[ladder] = after
        for at, name in life.reached:
            self.reached[start_of_period(at), name] += 1
        self.first = min(self.first, life.first)
        totals = MemberTotals(
            member, mine[_ORDERS], from_minor(mine[_REVENUE], rules.program.currency), mine[_ISSUED], mine[_BACK],
            mine[_REDEEMED], mine[_EXPIRED], mine[_FORGIVEN], _left(mine) + mine[_OWED], mine[_OWED],
            tuple(name for name in ends.values() if name is not None),
        )  # fmt: skip
        self.members.append(totals)
        return totals

    def keep(self, candidate: tuple[Any, int, str, Sequence[Told]], most: int) -> None:
        """Keep a member among the few that move most; of equals, the first by name."""
        heapq.heappush(self.best, candidate)
        if len(self.best) > most:
            heapq.heappop(self.best)


def _left(row: Sequence[int]) -> int:
    """Return what the movements leave: outstanding less owed."""
    return row[_ISSUED] - row[_BACK] - row[_REDEEMED] - row[_EXPIRED] + row[_FORGIVEN]


# ---------------------------------------------------------------- the result


def summed_up(rules: Rules, by: By, tally: Tally) -> Result:
    """Return what was tallied as a result."""
    program, until = rules.program, from_us(rules.until)
    first = from_us(min(tally.first, rules.until))
    periods = cuts(by, first, until, program.zone, last=until)
    spans, populations, flows, reached = [], [], [], []
    every = [0] * 9
    left = list(tally.sums.get(-NEVER, every))  # what was before the first of given periods
    held: Counter[tuple[str, str | None]] = Counter()
    _flow(held, (flow for flow in tally.flows.items() if flow[0][0] == -NEVER))
    for cut in periods:
        start = to_us(cut.start)
        row = tally.sums.get(start, [0] * 9)
        left = [one + two for one, two in zip(left, row, strict=True)]
        every = [one + two for one, two in zip(every, row, strict=True)]
        spans.append(_span(rules, cut.label, cut.start, cut.end, cut.partial, row, left))
        moved = sorted((flow for flow in tally.flows.items() if flow[0][0] == start), key=repr)
        _flow(held, moved)
        flows += [Flow(cut.label, *which[1:], times) for which, times in moved]
        populations += [
            Population(cut.label, *which, count)
            for which, count in sorted(held.items(), key=lambda each: (each[0][0], each[0][1] or ""))
        ]
        reached += [
            Reached(cut.label, name, times) for (when, name), times in sorted(tally.reached.items()) if when == start
        ]
    every[_MEMBERS] = tally.buyers
    ends = [cut.label for cut in (*periods[:1], *periods[1:][-1:])]
    edges = (periods[0].start, periods[-1].end) if periods else (until, until)
    partial = any(cut.partial for cut in periods)
    total = _span(rules, " to ".join(ends), *edges, partial, every, left)
    members = tuple(sorted(tally.members, key=lambda each: each.member))
    return Result(
        program, rules.redemption, until, rules.unit, tuple(spans), total, tuple(populations), tuple(flows),
        tuple(reached), members,
    )  # fmt: skip


def _flow(held: Counter[tuple[str, str | None]], flows: Iterable[tuple[tuple[Any, ...], int]]) -> None:
    for (_, ladder, kind, before, after), times in flows:
        if kind != "joined":
            held[ladder, before] -= times
        held[ladder, after] += times


def _span(
    rules: Rules, label: str, start: datetime, end: datetime, partial: bool, row: Sequence[int], left: Sequence[int]
) -> Span:
    """Return a period's numbers from its own sums, and from those since the beginning."""
    program = rules.program
    revenue = from_minor(row[_REVENUE], program.currency)
    cost = worth(program, rules.unit, row[_REDEEMED])
    outstanding = _left(left) + left[_OWED]
    return Span(
        label, start, end, partial, row[_MEMBERS], row[_ORDERS], revenue, row[_ISSUED], row[_BACK], row[_REDEEMED],
        row[_EXPIRED], row[_FORGIVEN], outstanding, left[_OWED], worth(program, rules.unit, outstanding), cost,
        share(cost, revenue),
    )  # fmt: skip
