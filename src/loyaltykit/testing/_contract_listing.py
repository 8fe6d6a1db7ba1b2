"""The laws of a store about what spans accounts, and about its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loyaltykit.errors import StoreError, StoreUnusable
from loyaltykit.journal import NEVER, Need
from loyaltykit.testing._contract_base import StoreTests
from loyaltykit.testing._rows import (
    balance,
    commit,
    head,
)


class ListingLaws(StoreTests):
    """Pages of accounts and balances, what is due, versions of a program, and law 9."""

    # ------------------------------------------------------------ across accounts

    def test_pages_of_accounts(self) -> None:
        """Accounts come in pages in the order of their code points, each program's alone, with their latest head."""
        store = self.store()
        members = ["b", "a", "B", "é", "z", "ab", "a b", "\uffff", "😀", "10", "9", "a/b"]
        names = [f"p/{member}" for member in members]
        for name in [*names, "P/a", "p2/a", "p-x/a", "p.x/a", "o/z", "q/a"]:
            store.append(commit(name))
        store.append(commit("p/b", 1))
        pages: list[str] = []
        while True:
            page = store.accounts("p", pages[-1] if pages else "", 5)
            pages += [name for name, _ in page]
            if len(page) < 5:
                break
        assert sorted(names) == pages
        assert [head(2)] == [found for name, found in store.accounts("p") if name == "p/b"]
        assert ["p/😀"] == [name for name, _ in store.accounts("p", "p/\uffff")]
        assert sorted(names)[:1] == [name for name, _ in store.accounts("p", limit=1)]
        assert [] == list(store.accounts("p", limit=0))
        assert [] == list(store.accounts("nobody"))
        assert [] == list(store.accounts("p", "p/\U0010ffff"))

    def test_pages_of_balances(self) -> None:
        """Balances in one unit come in pages by account, with the head; accounts without that unit do not count."""
        store = self.store()
        for place, name in enumerate(["p/d", "p/a", "p/c", "p/b", "q/a"]):
            store.append(commit(name, balances=[balance(place), balance(1, "cash")][: 1 if name == "p/c" else 2]))
        store.append(commit("p/a", 1, balances=[balance(100)]))
        assert [("p/a", head(2), balance(100)), ("p/b", head(1), balance(3))] == list(
            store.balances("p", "points", limit=2)
        )
        assert ["p/c", "p/d"] == [name for name, _, _ in store.balances("p", "points", "p/b", 2)]
        assert ["p/a", "p/b", "p/d"] == [name for name, _, _ in store.balances("p", "cash", limit=3)]
        assert [] == list(store.balances("p", "stamps"))

    def test_due_accounts(self) -> None:
        """Accounts come soonest first once their instant is reached, by name where it is the same; never is never."""
        store = self.store()
        for name, next_at in [("p/c", 5), ("p/b", 7), ("p/a", 7), ("p/d", 9), ("p/e", NEVER), ("q/a", 1)]:
            store.append(commit(name, next_at=next_at))
        assert [] == list(store.due("p", 4))
        assert ["p/c"] == list(store.due("p", 5))
        assert ["p/c", "p/a", "p/b"] == list(store.due("p", 8))
        assert ["p/c", "p/a"] == list(store.due("p", 8, 2))
        assert ["p/c", "p/a", "p/b", "p/d"] == list(store.due("p", NEVER))
        assert [] == list(store.due("p", 9, 0))
        store.append(commit("p/c", 1, next_at=8))
        store.append(commit("p/a", 1, next_at=NEVER))
        store.append(commit("p/e", 1, next_at=6))
        assert ["p/e", "p/b", "p/c", "p/d"] == list(store.due("p", 9))
        store.append(commit("p/c", 2, next_at=5))
        assert ["p/c", "p/e", "p/b"] == list(store.due("p", 8))

    def test_versions(self) -> None:
        """A program's versions are kept once each, by number; another content under the same number is an error."""
        store = self.store()
        assert [] == list(store.versions("p"))
        for version, effective_from, payload in [(2, 20, '{"b": 2}'), (1, 10, '{"a": "é"}'), (2, 20, '{"b": 2}')]:
            store.register("p", version, effective_from, payload)
        store.register("q", 1, 0, "{}")
        for effective_from, payload in [(20, "{}"), (21, '{"b": 2}')]:
            with pytest.raises(StoreError):
                store.register("p", 2, effective_from, payload)
        assert [(1, 10, '{"a": "é"}'), (2, 20, '{"b": 2}')] == list(store.versions("p"))

    def test_programs(self) -> None:
        """The programs of which a version is registered are listed once each, in the order of their code points."""
        store = self.store()
        assert [] == list(store.programs())
        for program, version in [("q", 1), ("p b", 1), ("p", 1), ("p", 2), ("é", 1), ("P", 1), ("p~x", 1)]:
            store.register(program, version, 0, "{}")
        store.append(commit("only accounts/a"))
        assert ["P", "p", "p b", "p~x", "q", "é"] == list(store.programs())

    # ------------------------------------------------------------ 9: the end

    def test_closed(self) -> None:
        """A closed store raises `StoreUnusable`, whatever is asked of it; closing it again is nothing."""
        store = self.store()
        store.append(commit("p/a"))
        store.close()
        store.close()
        calls: list[Callable[[], object]] = [
            lambda: store.load(Need("p/a")),
            lambda: store.append(commit("p/a", 1)),
            lambda: store.append_many([commit("p/a", 1)]),
            lambda: store.exclusive("p/a").__enter__(),
            lambda: store.accounts("p"),
            lambda: store.balances("p", "points"),
            lambda: store.due("p", 0),
            lambda: store.versions("p"),
            lambda: store.register("p", 1, 0, "{}"),
            lambda: store.programs(),
            lambda: store.replace("p/a", 1, commit("p/b")),
        ]
        for call in calls:
            with pytest.raises(StoreUnusable):
                call()
