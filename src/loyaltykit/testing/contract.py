"""The contract of a store, as tests to inherit: whoever keeps `StoreContract` keeps the laws of `Store`.

In a test module of your own::

    class TestMyStore(StoreContract):
        def make_store(self):
            return MyStore(...)

pytest then runs every law against it. It needs the extra ``test`` (pytest and hypothesis). The laws are numbered in
`loyaltykit.stores.protocol`.
"""

# ruff: noqa: SIM300  (in an assertion what is expected stands first)

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from loyaltykit.errors import StaleVersion, StoreBusy, StoreError, StoreUnusable
from loyaltykit.journal import NEVER, Commit, Need
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._rows import (
    LARGEST,
    Plain,
    as_lists,
    assert_within,
    balance,
    changes,
    commit,
    commits,
    entry,
    head,
    item,
    lot,
    needs,
    record,
)

_PATIENCE = 2000  # tries, so that a store that always refuses fails and does not hang

# Pairs that a database may take for one name by its collation: case, accents, spaces at the end, prefixes.
_DISTINCT = ["p/a", "p/A", "p/a ", "p/ab", "p/a/b", "p/á", "p/a\u0301", "p/a%", "p/_", "p/ß", "p/ss", "P/a"]


class StoreContract:
    """Every law of `loyaltykit.stores.protocol.Store`; a subclass says how to make the store.

    Override `make_store`, and `reopen` if what the store holds outlives it. Stores are closed after each test.
    """

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

    def _store(self) -> Store:
        store = self.make_store()
        self._made.append(store)
        return store

    # ------------------------------------------------------------ 1: the stream

    def test_is_a_store(self) -> None:
        """A store has every method of the protocol."""
        assert isinstance(self._store(), Store)

    def test_unknown_account(self) -> None:
        """An account of which nothing is recorded has no head and no rows, and looking at it does not create it."""
        store = self._store()
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
        store = self._store()
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
        store = self._store()
        store.append(commit("p/a", entries=[entry(1)]))
        self._refused(store, broken)

    # ------------------------------------------------------------ 2: all or nothing

    def test_nothing_of_a_refused_commit(self) -> None:
        """A commit that is refused, for its version or for a key, leaves no row behind."""
        store = self._store()
        first = commit(
            "p/a", 0, next_at=5, lots=[lot("l")], balances=[balance(10)], items=[item("hold", "h")], entries=[entry(1)]
        )
        store.append(first)
        news: dict[str, Any] = {
            "lots": [lot("l", 3, 7), lot("m", 4, 6)],
            "balances": [balance(7), balance(1, "cash")],
            "items": [item("hold", "h", None), item("count", "c")],
        }
        self._refused(store, commit("p/a", 0, "order:9", next_at=1, entries=[entry(1)], **news), StaleVersion)
        self._refused(store, commit("p/a", 2, "order:9", next_at=1, entries=[entry(3)], **news), StaleVersion)
        self._refused(store, commit("p/a", 1, "order:9", "order:1", next_at=1, entries=[entry(2)], **news))

    def test_outlives_the_store(self) -> None:
        """What was acknowledged is there after the store was closed and opened again."""
        store = self._store()
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
        store = self._store()
        store.append(commit("p/a", 0, "a", "b"))
        error = self._refused(store, commit("p/a", expected, "c"), StaleVersion)
        assert error.retry is True
        store.append(commit("p/a", 2, "c"))

    def test_version_check_of_an_unknown_account(self) -> None:
        """A commit on version 1 of an account that does not exist is stale."""
        self._refused(self._store(), commit("p/a", 1), StaleVersion)

    def test_one_of_many_writers_wins(self) -> None:
        """Of eight threads that append on the same version exactly one succeeds, and the others are told."""
        store = self._store()

        def eight(version: int) -> list[Commit]:
            return [commit("p/a", version, f"{version}{name}") for name in "abcdefgh"]

        for version in range(12):
            answers = _together([partial(_attempt, store, made) for made in eight(version)])
            assert [None] == [answer for answer in answers if answer is None]
            assert all(isinstance(answer, StaleVersion | StoreBusy) for answer in answers if answer is not None)
        assert set(range(1, 13)) == {r.version for r in store.load(Need("p/a", everything=True)).records.values()}

    def test_nothing_is_lost_between_writers(self) -> None:
        """Eight threads that each add 12 times to one balance, loading again when they were late, add 96 times."""
        store = self._store()

        def add(name: str) -> None:
            done = 0
            for _ in range(_PATIENCE):
                if done == 12:
                    break
                context = store.load(Need("p/a"))
                version = 0 if context.head is None else context.head.version
                points = context.balances["points"].active if version else 0
                done += _attempt(store, commit("p/a", version, f"{name}{done}", balances=[balance(points + 1)])) is None

        _together([partial(add, name) for name in "abcdefgh"])
        context = store.load(Need("p/a", everything=True))
        assert (96, 96, 96) == (
            context.head and context.head.version,
            context.balances["points"].active,
            len(context.records),
        )

    # ------------------------------------------------------------ 4: one key, one record

    def test_key_once(self) -> None:
        """A key is recorded once in an account, however long ago, and freely in others."""
        store = self._store()
        for version in range(20):
            store.append(commit("p/a", version))
        self._refused(store, commit("p/a", 20, "order:1"))
        self._refused(store, commit("p/a", 20, "new", "new"))
        store.append(commit("p/a", 20, "Order:1", "order:1 "))
        store.append(commit("p/b", 0, "order:1"))
        found = store.load(Need("p/a", keys=("order:1",))).records["order:1"]
        assert record(1) == found

    # ------------------------------------------------------------ 5: one view

    @pytest.mark.parametrize("everything", [False, True])
    def test_one_view(self, everything: bool) -> None:
        """A reader beside a writer sees the head, balances, records, lots and items of one version."""
        store = self._store()
        need = Need("p/a", lots=("a", "b"), items=(("count", "c"),), refs=("r",), everything=everything)

        def rows(version: int) -> dict[str, Any]:
            return {
                "lots": [lot("a", version), lot("b", version)],
                "balances": [balance(version), balance(version, "cash")],
                "items": [item("count", "c", str(version))],
            }

        def of_version(version: int) -> Commit:
            made = commit("p/a", version, **rows(version + 1))
            return made._replace(records=[made.records[0]._replace(ref="r")])

        store.append(of_version(0))
        ended = threading.Event()

        def write() -> None:
            try:
                for version in range(1, 60):
                    store.append(of_version(version))
            finally:
                ended.set()

        def read() -> None:
            last = False
            while not last:
                last = ended.is_set()
                context = store.load(need)
                assert context.head is not None
                version = context.head.version
                assert rows(version) == {
                    "lots": [context.lots["a"], context.lots["b"]],
                    "balances": [context.balances["points"], context.balances["cash"]],
                    "items": [context.items["count", "c"]],
                }
                assert version == len(context.records)

        _together([write, read, read])

    # ------------------------------------------------------------ 6: read your writes

    def test_read_your_writes(self) -> None:
        """What one thread appended, every thread sees from then on."""
        store = self._store()
        for version in range(1, 6):
            store.append(commit("p/a", version - 1, balances=[balance(version)]))
            seen = _together([lambda: store.load(Need("p/a"))] * 3)
            assert [version] * 3 == [context.balances["points"].active for context in seen]

    # ------------------------------------------------------------ 7: accounts do not meet

    def test_accounts_do_not_meet(self) -> None:
        """Accounts whose names differ in anything at all keep apart what has the same name in each."""
        store = self._store()
        for place, account in enumerate(_DISTINCT, 1):
            rows: dict[str, Any] = {
                "lots": [lot("l", place, 9)],
                "balances": [balance(place)],
                "items": [item("hold", "h", str(place), 9)],
            }
            store.append(commit(account, 0, "order:1", entries=[entry(1, amount=place)], **rows))
        for place, account in enumerate(_DISTINCT, 1):
            for need in (
                Need(account, everything=True),
                Need(account, ("order:1",), sources=("of l",), kinds=("hold",)),
                Need(account, ("order:1",), spend=(("points", 99),), due=9),
            ):
                context = store.load(need)
                assert {"l": lot("l", place, 9)} == dict(context.lots)
                assert {"points": balance(place)} == dict(context.balances)
                assert {("hold", "h"): item("hold", "h", str(place), 9)} == dict(context.items)
                assert ["order:1"] == list(context.records)

    # ------------------------------------------------------------ 8: rows as given

    def test_rows_as_given(self) -> None:
        """Every field of every row comes back as it was: the largest numbers, the last microsecond, every letter."""
        store = self._store()
        names = iter(range(10**6))

        @self.examples
        @given(st.data())
        def check(data: st.DataObject) -> None:
            made = data.draw(commits(f"p/{next(names)}"))
            store.append(made)
            whole = Plain()
            whole.apply(made)
            whole.check(Need(made.account, everything=True), store.load(Need(made.account, everything=True)))
            need = Need(
                made.account,
                keys=tuple(whole.records),
                refs=tuple(each.ref for each in made.records if each.ref is not None),
                lots=tuple(whole.lots),
                sources=tuple(each.source for each in made.lots),
                items=tuple(whole.items),
            )
            whole.check(need, store.load(need))

        check()

    def test_long_texts(self) -> None:
        """Payloads of a megabyte come back whole."""
        store = self._store()
        long = "{" + "ü😀" * 200_000 + "}"
        made = Commit("p/a", 0, head(1), [record(1, payload=long, outcome=long)])
        store.append(made)
        assert made.records[0] == store.load(Need("p/a", keys=("order:1",))).records["order:1"]

    def test_too_large_a_number(self) -> None:
        """A number above 2**63 - 1 comes back equal or is refused; it is never kept as another."""
        store = self._store()
        made = commit("p/a", balances=[balance(LARGEST + 1)])
        if _attempt(store, made) is None:
            assert made.balances[0] == store.load(Need("p/a")).balances["points"]
        else:
            self._refused(store, made)

    # ------------------------------------------------------------ what a Need asks for

    def test_records_by_key_and_ref(self) -> None:
        """Records come by key, and by what they belong to; keys that are not recorded are not there."""
        store = self._store()
        made = Commit("p/a", 0, head(4), [record(1), record(2, ref="x"), record(3, ref="x"), record(4, ref="X")])
        store.append(made)
        context = store.load(Need("p/a", keys=("order:1", "order:9", "ORDER:1"), refs=("x", "y")))
        assert_within({"order:1", "order:2", "order:3"}, {r.key: r for r in made.records}, context.records)

    @pytest.mark.parametrize(
        ("wanted", "at", "expected"),
        [
            (0, 5, ""),
            (1, 5, "c"),  # a has expired at 5: the end is not included; b is not active before 6
            (10, 5, "c"),
            (11, 5, "cd"),  # c and d expire together; c was earned first
            (21, 5, "cde"),  # d and e were also earned together; d comes first by its name
            (31, 5, "cdef"),
            (99, 5, "cdef"),  # all there is
            (1, 4, "a"),
            (11, 6, "bc"),
            (1, 20, "f"),
            (1, LARGEST, ""),
        ],
    )
    def test_lots_to_spend(self, wanted: int, at: int, expected: str) -> None:
        """The lots to spend come soonest expiring first, then by earning instant and name, until they cover."""
        store = self._store()
        made = [
            lot("f", 10),
            lot("e", 10, 20, earned_at=3),
            lot("d", 10, 20, earned_at=3),
            lot("c", 10, 20, earned_at=2),
            lot("b", 10, 9, active_at=6),
            lot("a", 10, 5),
            lot("0", 0, 8, pending=10),
            lot("1", 0, 8, held=10),
            lot("2", 10, 8, unit="cash"),
        ]
        store.append(commit("p/a", lots=made))
        context = store.load(Need("p/a", spend=(("points", wanted),), spend_at=at))
        assert_within(set(expected), {each.lot: each for each in made}, context.lots)

    def test_lots_to_spend_follow_changes(self) -> None:
        """A lot that was spent, extended or given back is spent in its new place."""
        store = self._store()
        store.append(commit("p/a", lots=[lot("a", 5, 10), lot("b", 5, 11), lot("c", 5, 12)]))
        first = Need("p/a", spend=(("points", 1),), spend_at=1)
        assert_within({"a"}, {"a": lot("a", 5, 10)}, {"a": store.load(first).lots["a"]})
        for version, change, then in [
            (1, lot("a", 0, 10), "b"),
            (2, lot("b", 5, 13), "c"),
            (3, lot("a", 1, 10), "a"),
            (4, lot("a", 1, 10, unit="cash"), "c"),
            (5, lot("a", 1, 10, active_at=2), "c"),
            (6, lot("b", 5, 9), "b"),
        ]:
            store.append(commit("p/a", version, lots=[change]))
            assert then in store.load(first).lots, f"after {change}"

    def test_due(self) -> None:
        """Lots and items come when they are due at or before the instant, and the next instant is named."""
        store = self._store()
        lots = {
            "a": lot("a", 5, 10),
            "b": lot("b", 5, 11),
            "c": lot("c", 0, 10, due_at=NEVER),
            "d": lot("d", due_at=10),
        }
        items = {("hold", "h"): item("hold", "h", due_at=12), ("hold", "n"): item("hold", "n")}
        store.append(commit("p/a", lots=list(lots.values()), items=list(items.values())))
        for due, names, things, following in [
            (9, "", [], 10),
            (10, "ad", [], 11),
            (11, "abd", [], 12),
            (12, "abd", [("hold", "h")], NEVER),
            (LARGEST - 1, "abd", [("hold", "h")], NEVER),
        ]:
            context = store.load(Need("p/a", due=due))
            assert_within(set(names), lots, context.lots)
            assert_within(set(things), items, context.items)
            assert following == context.next_at

    def test_lots_by_name_source_and_state(self) -> None:
        """Lots come by name, by what brought them, and all that hold anything; a changed source counts."""
        store = self._store()
        lots = {
            "a": lot("a", 0, pending=1),
            "b": lot("b", 0, held=1),
            "c": lot("c", 1),
            "d": lot("d", 0),
            "e": lot("e", 0, source="of d"),
        }
        store.append(commit("p/a", lots=list(lots.values())))
        assert_within({"d"}, lots, store.load(Need("p/a", lots=("d", "x"))).lots)
        assert_within({"d", "e"}, lots, store.load(Need("p/a", sources=("of d", "of x"))).lots)
        assert_within({"a", "b", "c"}, lots, store.load(Need("p/a", open_lots=True)).lots)
        lots["e"] = lot("e", 0, held=2, source="of f")
        store.append(commit("p/a", 1, lots=[lots["e"]]))
        assert_within({"e"}, lots, store.load(Need("p/a", sources=("of f",))).lots)
        assert_within({"a", "b", "c", "e"}, lots, store.load(Need("p/a", open_lots=True)).lots)

    def test_items(self) -> None:
        """Items come by name and by kind, in their latest value; None removes one, if it is there."""
        store = self._store()
        store.append(
            commit("p/a", items=[item("hold", "a"), item("hold", "b"), item("count", "a"), item("x", "y", None)])
        )
        store.append(commit("p/a", 1, items=[item("hold", "a", None), item("hold", "b", "2")]))
        items = {("hold", "b"): item("hold", "b", "2"), ("count", "a"): item("count", "a")}
        assert_within({("count", "a")}, items, store.load(Need("p/a", items=(("count", "a"), ("hold", "a")))).items)
        assert_within({("hold", "b")}, items, store.load(Need("p/a", kinds=("hold", "none"))).items)
        assert_within(set(items), items, store.load(Need("p/a", everything=True)).items)

    def test_an_answer_stays(self) -> None:
        """What `load` returned does not change with later commits."""
        store = self._store()
        store.append(commit("p/a", balances=[balance(1)], lots=[lot("a", 1)], items=[item("hold", "h")]))
        context = store.load(Need("p/a", everything=True))
        before = as_lists(context)
        store.append(
            commit("p/a", 1, balances=[balance(2)], lots=[lot("a", 2), lot("b")], items=[item("hold", "h", None)])
        )
        assert before == as_lists(context)

    def test_agrees_with_the_plain_model(self) -> None:
        """After any commits, good or refused, every question has the answer that walking over all rows gives."""
        store = self._store()
        names = iter(range(10**6))

        @self.examples
        @given(st.data())
        def check(data: st.DataObject) -> None:
            account = f"p/{next(names)}"
            plain = Plain()
            for version, news in enumerate(data.draw(st.lists(changes(), min_size=1, max_size=6))):
                rows = {key: value for key, value in news.items() if key != "ref"}
                made = commit(account, version, **rows)
                made = made._replace(records=[made.records[0]._replace(ref=news["ref"])])
                if data.draw(st.booleans()):
                    late = made._replace(expected=version + 1, head=head(version + 2), records=[record(version + 2)])
                    assert isinstance(_attempt(store, late), StaleVersion)
                store.append(made)
                plain.apply(made)
                need = data.draw(needs(account))
                plain.check(need, store.load(need))

        check()

    # ------------------------------------------------------------ many commits at once

    def test_append_many(self) -> None:
        """Of many commits each is applied whole or not at all, and each is answered for, in order."""
        store = self._store()
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
        assert ["ok", "StaleVersion", "ok", "ok", "error", "ok", "error"] == [_name(outcome) for outcome in outcomes]
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
        store = self._store()
        store.append(commit("p/a", 0, "theirs"))
        outcomes = store.append_many([commit("p/a", 0, "mine"), commit("p/a", 1, "mine too"), commit("p/b")])
        assert ["StaleVersion", "StaleVersion", "ok"] == [_name(outcome) for outcome in outcomes]
        assert ["theirs"] == list(store.load(Need("p/a", everything=True)).records)

    def test_exclusive(self) -> None:
        """Inside `exclusive` a thread loads and appends as ever; errors pass through it and it ends with them."""
        store = self._store()

        def add(name: str) -> None:
            done = 0
            for _ in range(_PATIENCE):
                if done == 6:
                    break
                with store.exclusive("p/a"):
                    found = store.load(Need("p/a")).head
                    done += _attempt(store, commit("p/a", found.version if found else 0, f"{name}{done}")) is None

        with pytest.raises(StaleVersion), store.exclusive("p/a"), store.exclusive("p/b"):
            store.append(commit("p/a", 7))
        _together([partial(add, name) for name in "abcd"])
        assert 24 == len(store.load(Need("p/a", everything=True)).records)

    # ------------------------------------------------------------ across accounts

    def test_pages_of_accounts(self) -> None:
        """Accounts come in pages in the order of their code points, each program's alone, with their latest head."""
        store = self._store()
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
        store = self._store()
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
        store = self._store()
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
        store = self._store()
        assert [] == list(store.versions("p"))
        for version, effective_from, payload in [(2, 20, '{"b": 2}'), (1, 10, '{"a": "é"}'), (2, 20, '{"b": 2}')]:
            store.register("p", version, effective_from, payload)
        store.register("q", 1, 0, "{}")
        for effective_from, payload in [(20, "{}"), (21, '{"b": 2}')]:
            with pytest.raises(StoreError):
                store.register("p", 2, effective_from, payload)
        assert [(1, 10, '{"a": "é"}'), (2, 20, '{"b": 2}')] == list(store.versions("p"))

    # ------------------------------------------------------------ 9: the end

    def test_closed(self) -> None:
        """A closed store raises `StoreUnusable`, whatever is asked of it; closing it again is nothing."""
        store = self._store()
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
        ]
        for call in calls:
            with pytest.raises(StoreUnusable):
                call()

    # ------------------------------------------------------------ helpers

    def _refused(self, store: Store, made: Commit, kind: type[StoreError] = StoreError) -> StoreError:
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


def _attempt(store: Store, made: Commit) -> StoreError | None:
    """Append, and return the error if there was one."""
    try:
        store.append(made)
    except StoreError as error:
        return error
    return None


def _name(outcome: StoreError | None) -> str:
    if outcome is None:
        return "ok"
    return "StaleVersion" if isinstance(outcome, StaleVersion) else "error"


def _together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
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


def broken_laws(contract: type[StoreContract], names: Collection[str] | None = None) -> list[str]:
    """Run the tests of `contract`, or those called `names`, without pytest's collection; return those that fail.

    For tests of tests: a store known to be wrong must break some law.
    """
    found: list[str] = []
    for name, arguments in _calls(contract):
        if name in found or (names is not None and name not in names):
            continue
        instance = contract()
        instance.setup_method()
        try:
            getattr(instance, name)(**arguments)
        except (Exception, pytest.fail.Exception):
            found.append(name)
        finally:
            instance.teardown_method()
    return found


def _calls(contract: type[StoreContract]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every test of `contract` with its arguments, one call for each set of parameters."""
    names = [name for cls in reversed(contract.__mro__) for name in vars(cls) if name.startswith("test_")]
    for name in dict.fromkeys(names):
        marks = [mark for mark in getattr(getattr(contract, name), "pytestmark", []) if mark.name == "parametrize"]
        if not marks:
            yield name, {}
            continue
        fields, values = marks[0].args[:2]
        for value in values:
            yield name, {fields: value} if isinstance(fields, str) else dict(zip(fields, value, strict=True))
