"""A store that fails on purpose, so that what stands on a store can be shown to survive what stores do."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from types import TracebackType
from typing import Literal, get_args

from loyaltykit.errors import InputError, OutcomeUnknown, StaleVersion, StoreBusy, StoreError
from loyaltykit.journal import Balance, Commit, Context, Head, Need
from loyaltykit.stores.protocol import Store

Fault = Literal["none", "before", "after", "stale"]
"""What happens to one call of `append`, `append_many` or `replace`.

* ``none``: it works.
* ``before``: nothing is applied, and `StoreBusy` says so.
* ``after``: all is applied, and `OutcomeUnknown` hides it, as when the answer to a commit is lost.
* ``stale``: nothing is applied, and `StaleVersion` says that another writer was first.
"""


def seeded(seed: int, rate: float = 0.3) -> Iterator[Fault]:
    """Yield faults for ever, each call failing with probability `rate`; the same `seed` gives the same faults.

    >>> from itertools import islice
    >>> list(islice(seeded(1), 5)) == list(islice(seeded(1), 5))
    True
    """
    chance = random.Random(seed)
    while True:
        yield chance.choice(("before", "after", "stale")) if chance.random() < rate else "none"


class FaultyStore:
    """Pass everything on to `inner`, but let the calls that append fail as `plan` says, one fault a call.

    After the last fault of `plan` every call works. `met` lists the faults so far, without the ``none``.

    >>> from loyaltykit.stores.memory import MemoryStore
    >>> from loyaltykit.testing._rows import commit
    >>> store = FaultyStore(MemoryStore(), ["after"])
    >>> store.append(commit("coffee/ann"))
    Traceback (most recent call last):
        ...
    loyaltykit.errors.OutcomeUnknown: the answer was lost (on purpose); repeat the call with the same key
    >>> store.load(Need("coffee/ann")).head.version
    1
    """

    def __init__(self, inner: Store, plan: Iterable[Fault] = ()) -> None:
        self.inner = inner
        self.met: list[Fault] = []
        self._plan = iter(plan)
        self._lock = Lock()

    def load(self, need: Need) -> Context:
        """Pass on to the inner store."""
        return self.inner.load(need)

    def append(self, commit: Commit) -> None:
        """Append, or fail as planned."""
        fault = self._next()
        self._fail_before(fault)
        self.inner.append(commit)
        self._fail_after(fault)

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Append, or fail as planned, as a whole."""
        fault = self._next()
        self._fail_before(fault)
        outcomes = self.inner.append_many(commits)
        self._fail_after(fault)
        return outcomes

    def exclusive(self, account: str) -> AbstractContextManager[None]:
        """Pass on to the inner store."""
        return self.inner.exclusive(account)

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Pass on to the inner store."""
        return self.inner.accounts(program, after, limit)

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Pass on to the inner store."""
        return self.inner.balances(program, unit, after, limit)

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Pass on to the inner store."""
        return self.inner.due(program, before, limit)

    def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """Pass on to the inner store."""
        return self.inner.versions(program)

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Pass on to the inner store."""
        self.inner.register(program, version, effective_from, payload)

    def programs(self) -> Sequence[str]:
        """Pass on to the inner store."""
        return self.inner.programs()

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Replace, or fail as planned."""
        fault = self._next()
        self._fail_before(fault)
        self.inner.replace(account, expected, instead)
        self._fail_after(fault)

    def close(self) -> None:
        """Close the inner store."""
        self.inner.close()

    def __enter__(self) -> FaultyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> Fault:
        with self._lock:
            fault: Fault = next(self._plan, "none")
            if fault not in get_args(Fault):
                raise InputError("plan", fault, f"give faults out of {', '.join(get_args(Fault))}")
            if fault != "none":
                self.met.append(fault)
        return fault

    @staticmethod
    def _fail_before(fault: Fault) -> None:
        if fault == "before":
            raise StoreBusy("the store is busy (on purpose); nothing was changed")
        if fault == "stale":
            raise StaleVersion("another writer was first (on purpose); load again and decide again")

    @staticmethod
    def _fail_after(fault: Fault) -> None:
        if fault == "after":
            raise OutcomeUnknown("the answer was lost (on purpose); repeat the call with the same key")
