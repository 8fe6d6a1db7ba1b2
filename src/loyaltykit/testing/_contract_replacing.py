"""The laws of a store about putting one account in the place of another."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given

from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import Commit, Need
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._contract_base import PATIENCE, StoreTests, attempt, together
from loyaltykit.testing._rows import Plain, as_lists, balance, commit, commits, entry, head, item, lot, record

_FULL: dict[str, Any] = {
    "next_at": 7,
    "entries": [entry(1), entry(2)],
    "lots": [lot("l", 4, 7), lot("m")],
    "balances": [balance(14), balance(1, "cash")],
    "items": [item("hold", "h", due_at=9), item("profile", "member", '"ann"')],
}
_NOTHING: list[Any] = [None, {}, {}, {}, {}, []]


def _replace(store: Store, account: str, expected: int, instead: Commit) -> StoreError | None:
    try:
        store.replace(account, expected, instead)
    except StoreError as error:
        return error
    return None


def _everything(store: Store, account: str) -> list[Any]:
    return list(as_lists(store.load(Need(account, everything=True))))


class ReplacingLaws(StoreTests):
    """Law 10."""

    def test_replaced_by_another_name(self) -> None:
        """The new account is there whole, and of the old one no call returns anything any more."""
        store = self.store()
        store.append(commit("p/ann", 0, "order:1", "order:2", **_FULL))
        store.append(commit("p/bo", next_at=8))
        instead = commit("p/x", 0, "a", "b", "c", next_at=5, lots=[lot("n", 3)], balances=[balance(3)])
        store.replace("p/ann", 2, instead)
        model = Plain()
        model.apply(instead)
        model.check(Need("p/x", everything=True), store.load(Need("p/x", everything=True)))
        assert _NOTHING == _everything(store, "p/ann")
        asked = Need("p/ann", ("order:1",), ("r",), (("points", 1),), 0, 9, ("l",), ("of l",), (), ("hold",), True)
        assert _NOTHING == list(as_lists(store.load(asked)))
        assert ["p/bo", "p/x"] == [name for name, _ in store.accounts("p")]
        assert ["p/x"] == [name for name, _, _ in store.balances("p", "points")]
        assert [] == list(store.balances("p", "cash"))
        assert ["p/x", "p/bo"] == list(store.due("p", 9))

    def test_replaced_by_itself(self) -> None:
        """An account may be replaced by another form of itself; no row of the old form shows through."""
        store = self.store()
        store.append(commit("p/ann", 0, "order:1", "order:2", **_FULL))
        instead = commit("p/ann", 0, "a", "b", "c", lots=[lot("n", 3)], items=[item("hold", "h", None)])
        store.replace("p/ann", 2, instead)
        model = Plain()
        model.apply(instead)
        model.check(Need("p/ann", everything=True), store.load(Need("p/ann", everything=True)))
        assert ["p/ann"] == [name for name, _ in store.accounts("p")]
        assert [] == list(store.due("p", 9))
        assert isinstance(attempt(store, commit("p/ann", 2)), StaleVersion)
        store.append(commit("p/ann", 3, "order:1"))

    def test_replaced_under_the_hint(self) -> None:
        """Who asked that others wait may replace the account meanwhile, and append to it afterwards."""
        store = self.store()
        store.append(commit("p/ann"))
        with store.exclusive("p/ann"):
            kept = store.load(Need("p/ann")).head
            assert kept is not None
            store.replace("p/ann", kept.version, commit("p/ann", 0, "a", "b"))
        with store.exclusive("p/ann"):
            store.replace("p/ann", 2, commit("p/x"))
        store.append(commit("p/ann"))
        assert ["p/ann", "p/x"] == [name for name, _ in store.accounts("p")]

    def test_a_name_that_became_free(self) -> None:
        """The old name is like one that never was: a new account begins there at its first record."""
        store = self.store()
        store.append(commit("p/ann", 0, "order:1", "order:2", **_FULL))
        store.replace("p/ann", 2, commit("p/x"))
        assert isinstance(attempt(store, commit("p/ann", 2)), StaleVersion)
        store.append(commit("p/ann", 0, "order:1"))
        assert [head(1), {}, {"order:1": record(1, "order:1")}, {}, {}, []] == _everything(store, "p/ann")

    @pytest.mark.parametrize(
        ("account", "expected", "instead", "kind"),
        [
            ("p/ann", 1, commit("p/x"), StaleVersion),
            ("p/ann", 3, commit("p/x"), StaleVersion),
            ("p/cy", 1, commit("p/x"), StaleVersion),
            ("p/ann", 2, commit("p/bo"), StaleVersion),
            ("p/ann", 0, commit("p/x"), StoreError),
            ("p/ann", 2, commit("p/x", 2), StoreError),
            ("p/ann", 2, commit("p/ann", 0, "a", "b"), StoreError),
            ("p/ann", 2, commit("p/x")._replace(records=[]), StoreError),
            ("p/ann", 2, commit("p/x", entries=[entry(1), entry(1)]), StoreError),
            ("p/ann", 2, commit("nowhere"), StoreError),
        ],
        ids=[
            "moved on", "not there yet", "unknown", "name taken", "of nothing", "by a part", "by no more than itself",
            "without records", "entry twice", "no program",
        ],
    )  # fmt: skip
    def test_refused_replacement(self, account: str, expected: int, instead: Commit, kind: type[StoreError]) -> None:
        """What may not take the place of an account is refused, and nothing has changed."""
        store = self.store()
        store.append(commit("p/ann", 0, "order:1", "order:2", **_FULL))
        store.append(commit("p/bo"))
        before = [_everything(store, name) for name in ("p/ann", "p/bo", "p/x")], list(store.due("p", 99))
        error = _replace(store, account, expected, instead)
        assert isinstance(error, kind)
        assert (kind is StaleVersion) == isinstance(error, StaleVersion) == error.retry
        assert before == ([_everything(store, name) for name in ("p/ann", "p/bo", "p/x")], list(store.due("p", 99)))
        store.append(commit("p/ann", 2))

    def test_any_rows_instead(self) -> None:
        """Whatever rows an account has, the one in its place has its own and no other."""
        store = self.store()
        place = iter(range(10**6))

        @self.examples
        @given(commits(), commits())
        def check(first: Commit, second: Commit) -> None:
            old, new = f"p/old{next(place)}", f"p/new{next(place)}"
            store.append(first._replace(account=old))
            store.replace(old, first.head.version, second._replace(account=new))
            model = Plain()
            model.apply(second)
            model.check(Need(new, everything=True), store.load(Need(new, everything=True)))
            assert _NOTHING == _everything(store, old)

        check()

    def test_replacing_beside_writers(self) -> None:
        """Beside a writer, either the commit or the replacement comes first; what was acknowledged before is in it."""
        store = self.store()
        store.append(commit("p/ann"))
        written: list[int] = []

        def write() -> None:
            for version in range(1, PATIENCE):
                if attempt(store, commit("p/ann", version)) is not None:
                    return
                written.append(version + 1)
                time.sleep(version / 1_000)  # longer and longer: sooner or later a replacement finds what it has seen

        def replace() -> int:
            for _ in range(PATIENCE):
                kept = store.load(Need("p/ann")).head
                assert kept is not None
                keys = [f"k{version}" for version in range(kept.version)]
                if _replace(store, "p/ann", kept.version, commit("p/x", 0, *keys)) is None:
                    return kept.version
            raise AssertionError("every replacement was refused")

        _, version = together([write, replace])
        assert version == (written or [1])[-1]
        assert _NOTHING == _everything(store, "p/ann")

    def test_replacement_outlives_the_store(self) -> None:
        """What was replaced is so after the store was closed and opened again."""
        store = self.store()
        store.append(commit("p/ann", 0, "order:1", "order:2", **_FULL))
        store.replace("p/ann", 2, commit("p/x"))
        again = self.reopen(store)
        if again is None:
            return
        self._made.append(again)
        assert ["p/x"] == [name for name, _ in again.accounts("p")]
        assert _NOTHING == _everything(again, "p/ann")
