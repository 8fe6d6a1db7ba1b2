"""What the laws of the store contract have in common: making stores, and looking at what an append left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import NEVER, Commit, Need
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._rows import LARGEST, as_lists

PATIENCE = 2000
"""How often a loop tries, so that a store that always refuses fails the test and does not hang it."""


class StoreTests:
    """What all tests of stores need: stores, made by a subclass and closed after each test."""

    examples: ClassVar[settings] = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    """How many examples of arbitrary rows are tried; a subclass may try more."""

    def make_store(self) -> Store:
        """Return a new and empty store."""
        raise NotImplementedError("say in make_store() how to make an empty store")

    def reopen(self, store: Store) -> Store | None:
        """Close `store` and return a new one on what it held; None if it held it in memory only."""
        return None

    def setup_method(self) -> None:
        """Begin with no store."""
        self._made: list[Store] = []

    def teardown_method(self) -> None:
        """Close what the test made."""
        for store in self._made:
            store.close()

    def store(self) -> Store:
        """Make a store that is closed after the test."""
        store = self.make_store()
        self._made.append(store)
        return store

    def refused(self, store: Store, made: Commit, kind: type[StoreError] = StoreError) -> StoreError:
        """Assert that `made` is refused with an error of `kind`, and that nothing has changed."""

        def all_of_it() -> list[Any]:
            accounts = [account for account, _ in store.accounts("p")]
            views = [as_lists(store.load(Need(account, everything=True))) for account in (*accounts, made.account)]
            asked = [store.load(Need(made.account, due=LARGEST - 1, open_lots=True, kinds=("hold", "count")))]
            return [accounts, views, [as_lists(each) for each in asked], list(store.due("p", NEVER))]

        before = all_of_it()
        with pytest.raises(kind) as caught:
            store.append(made)
        assert before == all_of_it()
        return caught.value


def attempt(store: Store, made: Commit) -> StoreError | None:
    """Append, and return the error if there was one."""
    try:
        store.append(made)
    except StoreError as error:
        return error
    return None


def outcome_name(outcome: StoreError | None) -> str:
    """Return ``ok``, ``StaleVersion`` or ``error``."""
    if outcome is None:
        return "ok"
    return "StaleVersion" if isinstance(outcome, StaleVersion) else "error"


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make the calls at the same time, each in a thread of its own; return their answers, or raise the first error."""
    start = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            start.wait(60)
            answers[place] = call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers
