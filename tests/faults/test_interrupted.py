"""What takes several steps, stopped before and after each of them: told again, it comes to the same end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.commands import Redeem
from loyaltykit.errors import OutcomeUnknown, Refused, StoreError
from loyaltykit.facts import Activity, Order, Refund
from loyaltykit.journal import Commit, Need
from loyaltykit.stores import MemoryStore


def _at(hours: float) -> datetime:
    return fault_work.START + timedelta(hours=hours)


class _Stop(BaseException):
    """The process ends here."""


class _Stopping(MemoryStore):
    """A store whose process ends before or after one of the steps to come."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.stop: tuple[int, bool] | None = None  # at which step, after it?

    def append(self, commit: Commit) -> None:
        """Append, or stop."""
        self._in_steps(lambda: MemoryStore.append(self, commit))

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Append, or stop."""
        found: list[StoreError | None] = []
        self._in_steps(lambda: found.extend(MemoryStore.append_many(self, commits)))
        return found

    def _in_steps(self, call: Callable[[], None]) -> None:
        self.steps += 1
        if self.stop == (self.steps, False):
            raise _Stop
        call()
        if self.stop == (self.steps, True):
            raise _Stop


def _begin(thing: str) -> tuple[_Stopping, Club]:
    """Return a store with some history: ann and bob have points, eve has used the budget up but for 15."""
    store = _Stopping()
    club = Club(fault_work.SCARCE, store)
    for member in ("ann", "bob", "eve"):
        club.earn(member, 500, key="welcome", at=_at(0), expires_at=_at(9_000))
        club.record(Order(f"o-{member}", member, _at(1), amount="80.00"))
    for number in range(19):
        club.record(Activity(f"g{number}", "eve", "gift", _at(2)))
    club.redeem("ann", 40, key="early", at=_at(3))
    if thing.startswith("unmerge"):
        _merged(club)
    store.steps = 0
    return store, club


def _merged(club: Club) -> Any:
    return club.merge("ann", "bob", at=_at(5))


THINGS: dict[str, Callable[[Club], Any]] = {
    "order": lambda club: club.record(Order("o-1", "ann", _at(5), amount="12.00")),
    "redemption": lambda club: club.redeem("ann", 50, key="k", at=_at(5)),
    "refusal": lambda club: club.redeem("ann", 5_000, key="k", at=_at(5)),
    "budget": lambda club: club.record(Activity("g", "ann", "gift", _at(5))),
    "the last of a budget": lambda club: [
        club.record(Activity(f"g-{number}", "ann", "gift", _at(5 + number))) for number in range(3)
    ],
    "stock": lambda club: club.redeem("ann", 5, reward="mug", key="k", at=_at(5)),
    "stock, refused": lambda club: club.redeem("ann", 5_000, reward="mug", key="k", at=_at(5)),
    "stock, early": lambda club: club.do(Redeem("ann", 5, reward="mug", key="k", at=_at(2))),
    "transfer": lambda club: club.transfer("ann", "bob", 70, key="t", at=_at(5)),
    "transfer, early": lambda club: club.transfer("ann", "bob", 70, key="t", at=_at(2)),
    "merge": _merged,
    "merge, and a refund": lambda club: [
        _merged(club),
        club.record(Refund("r", "ann", "o-ann", _at(6), amount="30.00")),
    ],
    "unmerge": lambda club: club.unmerge("ann", at=_at(7)),
    "a batch": lambda club: list(
        club.record_many([Order(f"b{n}", f"{'ann' if n % 2 else 'new'}", _at(4 + n), amount="9.00") for n in range(6)])
    ),
}


def _answer(club: Club, call: Callable[[Club], Any]) -> Any:
    try:
        return call(club)
    except Refused as error:
        return type(error), str(error)


def _state(store: MemoryStore, club: Club) -> Any:
    """Return all that is known and what is wrong with it."""
    members = list(club.members())
    found: dict[str, Any] = {
        member: (club.balance(member, at=_at(90)), club.lots(member, at=_at(90)), club.verify(member))
        for member in members
    }
    for pool in ("scarce~budget/spring", "scarce~stock/mug"):
        context = store.load(Need(pool, items=(("count", "used"),)))
        found[pool] = [item.value for item in context.items.values()]
    found["on its way"] = [
        key
        for member in members
        for key in store.load(Need(f"scarce/{member}", everything=True)).items
        if key[0] == "handover"
    ]
    return found


def _expected(thing: str) -> tuple[Any, Any, int]:
    """Return what is answered and what is known when nothing interrupts it, and in how many steps that is."""
    store, club = _begin(thing)
    answer = _answer(club, THINGS[thing])
    steps = store.steps
    assert _answer(club, THINGS[thing]) == answer
    assert store.steps == steps, "told again, it should change nothing"
    return answer, _state(store, club), steps


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("thing", THINGS)
def test_stopped_at_each_step(thing: str, after: bool) -> None:
    """Whichever step it is stopped at, once it is told again the answer and the books are as if nothing had been."""
    answer, state, steps = _expected(thing)
    assert state["on its way"] == []
    assert not [problem for each in state.values() if isinstance(each, tuple) for problem in each[2]]
    for step in range(1, steps + 1):
        store, club = _begin(thing)
        store.stop = (step, after)
        with pytest.raises(_Stop):
            _answer(club, THINGS[thing])
        store.stop = None
        later = Club(fault_work.SCARCE, store)
        assert _answer(later, THINGS[thing]) == answer, f"stopped at step {step} of {steps}"
        assert _state(store, later) == state, f"stopped at step {step} of {steps}"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("thing", ["transfer", "transfer, early", "merge", "unmerge"])
def test_the_sweep_completes_it(thing: str, after: bool) -> None:
    """What left one account and did not arrive in the other is completed by the next sweep."""
    _, state, steps = _expected(thing)
    nothing, club = _begin(thing)
    before = _state(nothing, club)
    for step in range(1, steps + 1):
        store, club = _begin(thing)
        store.stop = (step, after)
        with pytest.raises(_Stop):
            _answer(club, THINGS[thing])
        store.stop = None
        later = Club(fault_work.SCARCE, store)
        later.sweep(at=_at(80))
        left = (step, after) != (1, False)
        assert _state(store, later) == (state if left else before), f"stopped at step {step} of {steps}"
        later.sweep(at=_at(81))  # may yet look at what has become of it
        assert later.sweep(at=_at(82)) == 0


@pytest.mark.parametrize("thing", THINGS)
def test_every_answer_lost_once(thing: str) -> None:
    """Where the answer to a step is lost, the club asks again by itself, and nothing is done twice."""
    answer, state, steps = _expected(thing)
    for step in range(1, steps + 1):
        store, club = _begin(thing)
        store.stop = (step, True)
        in_steps = store._in_steps

        def lost(call: Callable[[], None], in_steps: Callable[..., None] = in_steps) -> None:
            try:
                in_steps(call)
            except _Stop:
                raise OutcomeUnknown("the answer was lost") from None

        store._in_steps = lost  # type: ignore[method-assign]
        try:
            assert _answer(club, THINGS[thing]) == answer
        except OutcomeUnknown:
            assert thing == "a batch"  # which is told again by whoever told it
            assert _answer(club, THINGS[thing]) == answer
        assert _state(store, club) == state, f"the answer to step {step} of {steps} was lost"
