"""The tiers by which a member's orders earn, from one look at all that they ever did.

Pure. Quick where it is sure; where it is not, `loyaltykit._replay_life` looks at each order by itself.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import attrs

from loyaltykit import tiers
from loyaltykit.calendar import Period, from_us, to_us
from loyaltykit.consent import Told
from loyaltykit.facts import Activity, Order
from loyaltykit.history import History
from loyaltykit.program import Program
from loyaltykit.recorded import asks_for_points
from loyaltykit.status import asks_for_tiers
from loyaltykit.windows import Between

_QUARTER = 15 * 60 * 1_000_000
"""Days of every zone begin on a quarter of an hour in UTC, and clocks are changed by such quarters, some at a time."""

_CLOCKS = range(-12 * _QUARTER, 13 * _QUARTER, _QUARTER)

_DAY = 96 * _QUARTER


class Foresight:
    """The tiers that facts earn by, from one look at all of them: as good as one look before each, and far quicker.

    What a tier was just before an order is what it is at the order without it, unless time alone changes it at that
    very instant. Time does so at starts of days and at whole periods from what happened earlier; where the instant of
    an order may be one of these, or shares it with other facts, nothing is foreseen.
    """

    def __init__(
        self, ladders: Sequence[tiers.Ladder], history: History, known: Sequence[tuple[int, str, Told]]
    ) -> None:
        self._joined = None if history.joined is None else to_us(history.joined)
        self._ladders = [
            (ladder.earn_tier == "include_current", *_course(ladder, history, from_us(known[-1][0])))
            for policy in ("at_start", "include_current")
            for ladder in ladders
            if ladder.earn_tier == policy
        ]
        alone = Counter(at for at, _, _ in known)
        step = math.gcd(_DAY, *(each for ladder in ladders for each in _parts_of_days(ladder)))
        seen: set[int] = set()  # the times of day (or of what periods are multiples of) of what happened so far
        self._sure: set[int] = set()
        for at, _, fact in known:
            if alone[at] == 1 and at % _QUARTER and not any((at + each) % step in seen for each in _CLOCKS):
                self._sure.add(at)
            seen.update((at % step, to_us(fact.at) % step))

    def names(self, fact: Order | Activity, joined: int | None) -> list[str] | None:
        """Return the tiers by which a fact earns; None where that is not sure."""
        at = to_us(fact.at)
        if at not in self._sure or (joined or at) != self._joined or getattr(fact, "order", None) is not None:
            return None
        found = (
            names[bisect_right(starts, at if with_it and isinstance(fact, Order) else at - 1)]
            for with_it, starts, names in self._ladders
        )
        return [name for name in found if name is not None]


def _course(ladder: tiers.Ladder, history: History, end: datetime) -> tuple[list[int], list[str | None]]:
    """Return when the tier changes, and what it is before the first change and after each."""
    changes = [each for each in tiers.changes(ladder, history, end) if each.kind != "renewal"]
    first = changes[0].before if changes else tiers.tier_of(ladder, history, end)
    return [to_us(each.at) for each in changes], [first, *(each.after for each in changes)]


def _parts_of_days(value: Any) -> Iterator[int]:
    """Yield what the periods in a rule have besides whole days; 1 for a boundary that is given as an instant."""
    if isinstance(value, Period):
        yield value.microseconds
    elif isinstance(value, Between):
        yield 1
    elif isinstance(value, tuple):
        for each in value:
            yield from _parts_of_days(each)
    elif attrs.has(type(value)):
        for each in attrs.astuple(value, recurse=False):
            yield from _parts_of_days(each)


@lru_cache(maxsize=64)
def foreseeable(program: Program) -> bool:
    """Say whether tiers matter to what is earned, and can be foreseen: points move with what they decide."""
    return asks_for_tiers(program) and not asks_for_points(program)
