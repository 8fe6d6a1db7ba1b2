"""The laws of a store about what is appended: the stream, the whole commit, the version check, the key."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from loyaltykit.errors import StaleVersion, StoreBusy
from loyaltykit.journal import Commit, Need
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._contract_base import PATIENCE, StoreTests, attempt, outcome_name, together
from loyaltykit.testing._rows import (
    LARGEST,
    Plain,
    as_lists,
    balance,
    commit,
    entry,
    head,
    item,
    lot,
    record,
)


class WritingLaws(StoreTests):
    """Laws 1 to 4, for one commit and for many."""

    # ------------------------------------------------------------ 1: the stream

    def test_is_a_store(self) -> None:
        """A store has every method of the protocol."""
        assert isinstance(self.store(), Store)

    def test_unknown_account(self) -> None:
        """An account of which nothing is recorded has no head and no rows, and looking at it does not create it."""
        store = self.store()
        for need in (
            Need("p/a"),
            Need("p/a", everything=True),
            Need("p/a", ("order:1",), spend=(("points", 1),), due=9),
        ):
            assert [None, {}, {}, {}, {}, []] == as_lists(store.load(need))
        assert [] == list(store.accounts("p"))
        store.append(commit("p/a"))

    def test_stream(self) -> None:
        """Records are numbered 1, 2, 3, ... and stay as they were recorded."""
        store = self.store()
        made = [commit("p/a", 0), commit("p/a", 1, "x", "y", "z"), commit("p/a", 4, "refund:1")]
        for each in made:
            store.append(each)
        context = store.load(Need("p/a", everything=True))
        assert head(5) == context.head
        assert [r for each in made for r in each.records] == sorted(context.records.values())

    @pytest.mark.parametrize(
        "broken",
        [
            Commit("p/a", 1, head(2), []),
            Commit("p/a", 1, head(3), [record(3)]),
            Commit("p/a", 1, head(3), [record(2)]),
            Commit("p/a", 1, head(3), [record(2), record(2, "other")]),
            Commit("p/a", 1, head(2), [record(2)], [entry(1, 2)]),
            Commit("p/a", 1, head(2), [record(2)], [entry(2), entry(2)]),
            Commit("nowhere", 0, head(1), [record(1)]),
        ],
        ids=["no record", "gap", "head ahead", "version twice", "old entry", "entry twice", "no program"],
    )
    def test_gap(self, broken: Commit) -> None:
        """A commit that would leave a gap, or does not fit together, is refused whole."""
        store = self.store()
        store.append(commit("p/a", entries=[entry(1)]))
        self.refused(store, broken)

    # ------------------------------------------------------------ 2: all or nothing

    def test_nothing_of_a_refused_commit(self) -> None:
        """A commit that is refused, for its version or for a key, leaves no row behind."""
        store = self.store()
        first = commit(
            "p/a", 0, next_at=5, lots=[lot("l")], balances=[balance(10)], items=[item("hold", "h")], entries=[entry(1)]
        )
        store.append(first)
        news: dict[str, Any] = {
            "lots": [lot("l", 3, 7), lot("m", 4, 6)],
            "balances": [balance(7), balance(1, "cash")],
            "items": [item("hold", "h", None), item("count", "c")],
        }
        self.refused(store, commit("p/a", 0, "order:9", next_at=1, entries=[entry(1)], **news), StaleVersion)
        self.refused(store, commit("p/a", 2, "order:9", next_at=1, entries=[entry(3)], **news), StaleVersion)
        self.refused(store, commit("p/a", 1, "order:9", "order:1", next_at=1, entries=[entry(2)], **news))

    def test_outlives_the_store(self) -> None:
        """What was acknowledged is there after the store was closed and opened again."""
        store = self.store()
        store.append(commit("p/a", 0, next_at=5, lots=[lot("l")], balances=[balance(10)], entries=[entry(1)]))
        store.append_many([commit("p/a", 1, items=[item("hold", "h")]), commit("p/b")])
        store.register("p", 1, 0, "{}")
        before = as_lists(store.load(Need("p/a", everything=True)))
        again = self.reopen(store)
        if again is None:
            return
        self._made.append(again)
        assert before == as_lists(again.load(Need("p/a", everything=True)))
        assert ["p/a", "p/b"] == [name for name, _ in again.accounts("p")]
        assert [(1, 0, "{}")] == list(again.versions("p"))
        again.append(commit("p/a", 2))

    # ------------------------------------------------------------ 3: the version check

    @pytest.mark.parametrize("expected", [0, 1, 3, 4, LARGEST - 1, -1])
    def test_version_check(self, expected: int) -> None:
        """A commit on any other version than the account's raises `StaleVersion`, which is worth another try."""
        store = self.store()
        store.append(commit("p/a", 0, "a", "b"))
        error = self.refused(store, commit("p/a", expected, "c"), StaleVersion)
        assert error.retry is True
        store.append(commit("p/a", 2, "c"))

    def test_version_check_of_an_unknown_account(self) -> None:
        """A commit on version 1 of an account that does not exist is stale."""
        self.refused(self.store(), commit("p/a", 1), StaleVersion)

    def test_one_of_many_writers_wins(self) -> None:
        """Of eight threads that append on the same version exactly one succeeds, and the others are told."""
        store = self.store()

        def eight(version: int) -> list[Commit]:
            return [commit("p/a", version, f"{version}{name}") for name in "abcdefgh"]

        for version in range(12):
            answers = together([partial(attempt, store, made) for made in eight(version)])
            assert [None] == [answer for answer in answers if answer is None]
            assert all(isinstance(answer, StaleVersion | StoreBusy) for answer in answers if answer is not None)
        assert set(range(1, 13)) == {r.version for r in store.load(Need("p/a", everything=True)).records.values()}

    def test_nothing_is_lost_between_writers(self) -> None:
        """Eight threads that each add 12 times to one balance, loading again when they were late, add 96 times."""
        store = self.store()

        def add(name: str) -> None:
            done = 0
            for _ in range(PATIENCE):
                if done == 12:
                    break
                context = store.load(Need("p/a"))
                version = 0 if context.head is None else context.head.version
                points = context.balances["points"].active if version else 0
                done += attempt(store, commit("p/a", version, f"{name}{done}", balances=[balance(points + 1)])) is None

        together([partial(add, name) for name in "abcdefgh"])
        context = store.load(Need("p/a", everything=True))
        assert (96, 96, 96) == (
            context.head and context.head.version,
            context.balances["points"].active,
            len(context.records),
        )

    # ------------------------------------------------------------ 4: one key, one record

    def test_key_once(self) -> None:
        """A key is recorded once in an account, however long ago, and freely in others."""
        store = self.store()
        for version in range(20):
            store.append(commit("p/a", version))
        self.refused(store, commit("p/a", 20, "order:1"))
        self.refused(store, commit("p/a", 20, "new", "new"))
        store.append(commit("p/a", 20, "Order:1", "order:1 "))
        store.append(commit("p/b", 0, "order:1"))
        found = store.load(Need("p/a", keys=("order:1",))).records["order:1"]
        assert record(1) == found

    # ------------------------------------------------------------ many commits at once

    def test_append_many(self) -> None:
        """Of many commits each is applied whole or not at all, and each is answered for, in order."""
        store = self.store()
        store.append(commit("p/a"))
        made = [
            commit("p/a", 1, lots=[lot("x", 1)], balances=[balance(1)]),
            commit("p/b", 1, balances=[balance(9)]),  # does not exist
            commit("p/a", 2, lots=[lot("x", 2)], balances=[balance(2)], items=[item("hold", "h")]),
            commit("p/c", 0, "k", entries=[entry(1)]),
            commit("p/c", 1, "k", balances=[balance(9)], items=[item("hold", "h")]),  # the key again
            commit("p/a", 3, "y", items=[item("hold", "h", None)], lots=[lot("x", 3)], balances=[balance(3)]),
            commit("p/d", 0, entries=[entry(1), entry(1)]),  # an entry twice
        ]
        outcomes = store.append_many(made)
        assert ["ok", "StaleVersion", "ok", "ok", "error", "ok", "error"] == [
            outcome_name(outcome) for outcome in outcomes
        ]
        plain = Plain()
        for each in [commit("p/a"), made[0], made[2], made[5]]:
            plain.apply(each)
        plain.check(Need("p/a", everything=True), store.load(Need("p/a", everything=True)))
        assert [("p/a", head(4)), ("p/c", head(1))] == list(store.accounts("p"))
        assert [("p/a", head(4), balance(3))] == list(store.balances("p", "points"))
        assert [] == list(store.append_many([]))

    def test_what_follows_a_failed_commit_fails(self) -> None:
        """After a commit of an account failed, later ones in the same call are stale, even if the version fits.

        They were decided on what the failed one would have done; another writer brought the version there.
        """
        store = self.store()
        store.append(commit("p/a", 0, "theirs"))
        outcomes = store.append_many([commit("p/a", 0, "mine"), commit("p/a", 1, "mine too"), commit("p/b")])
        assert ["StaleVersion", "StaleVersion", "ok"] == [outcome_name(outcome) for outcome in outcomes]
        assert ["theirs"] == list(store.load(Need("p/a", everything=True)).records)

    def test_exclusive(self) -> None:
        """Inside `exclusive` a thread loads and appends as ever; errors pass through it and it ends with them."""
        store = self.store()

        def add(name: str) -> None:
            done = 0
            for _ in range(PATIENCE):
                if done == 6:
                    break
                with store.exclusive("p/a"):
                    found = store.load(Need("p/a")).head
                    done += attempt(store, commit("p/a", found.version if found else 0, f"{name}{done}")) is None

        with pytest.raises(StaleVersion), store.exclusive("p/a"), store.exclusive("p/b"):
            store.append(commit("p/a", 7))
        together([partial(add, name) for name in "abcd"])
        assert 24 == len(store.load(Need("p/a", everything=True)).records)
