"""The laws of a store about what comes back of an account: one view, rows as given, all that a `Need` asks for."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import StaleVersion
from loyaltykit.journal import NEVER, Commit, Need
from loyaltykit.testing._contract_base import StoreTests, attempt, together
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

# Names that a database may take for one by its collation: case, accents, spaces at the end, wildcards, prefixes.
_DISTINCT = ["p/a", "p/A", "p/a ", "p/ab", "p/a/b", "p/á", "p/a\u0301", "p/a%", "p/_", "p/ß", "p/ss", "P/a"]


class ReadingLaws(StoreTests):
    """Laws 5 to 8, and what a `Need` asks for."""

    # ------------------------------------------------------------ 5: one view

    def test_a_whole_account_in_the_order_of_recording(self) -> None:
        """The records of a whole account come in the order in which they were recorded, whatever their keys."""
        store, keys = self.store(), ["d", "a", "c", "b", "f", "e"]
        store.append(commit("p/a", 0, *keys))
        store.append(commit("p/a", len(keys), "0"))
        assert [*keys, "0"] == list(store.load(Need("p/a", everything=True)).records)

    @pytest.mark.parametrize("everything", [False, True])
    def test_one_view(self, everything: bool) -> None:
        """A reader beside a writer sees the head, balances, records, lots and items of one version."""
        store = self.store()
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

        together([write, read, read])

    # ------------------------------------------------------------ 6: read your writes

    def test_read_your_writes(self) -> None:
        """What one thread appended, every thread sees from then on."""
        store = self.store()
        for version in range(1, 6):
            store.append(commit("p/a", version - 1, balances=[balance(version)]))
            seen = together([lambda: store.load(Need("p/a"))] * 3)
            assert [version] * 3 == [context.balances["points"].active for context in seen]

    # ------------------------------------------------------------ 7: accounts do not meet

    def test_accounts_do_not_meet(self) -> None:
        """Accounts whose names differ in anything at all keep apart what has the same name in each."""
        store = self.store()
        for place, account in enumerate(_DISTINCT, 1):
            rows: dict[str, Any] = {
                "lots": [lot("l", place, 9)],
                "balances": [balance(place)],
                "items": [item("hold", "h", str(place), 9)],
            }
            store.append(commit(account, 0, "order:1", entries=[entry(1, amount=place)], next_at=9, **rows))
        for place, account in enumerate(_DISTINCT, 1):
            for need in (
                Need(account, everything=True),
                Need(account, ("order:1",), stems=("l",), kinds=("hold",)),
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
        store = self.store()
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
                stems=tuple(each.stem for each in made.lots),
                items=tuple(whole.items),
            )
            whole.check(need, store.load(need))

        check()

    def test_long_texts(self) -> None:
        """Payloads of a megabyte come back whole."""
        store = self.store()
        long = "{" + "ü😀" * 200_000 + "}"
        made = Commit("p/a", 0, head(1), [record(1, payload=long, outcome=long)])
        store.append(made)
        assert made.records[0] == store.load(Need("p/a", keys=("order:1",))).records["order:1"]

    def test_too_large_a_number(self) -> None:
        """A number above 2**63 - 1 comes back equal or is refused; it is never kept as another."""
        store = self.store()
        made = commit("p/a", balances=[balance(LARGEST + 1)])
        if attempt(store, made) is None:
            assert made.balances[0] == store.load(Need("p/a")).balances["points"]
        else:
            self.refused(store, made)

    # ------------------------------------------------------------ what a Need asks for

    def test_records_by_key_and_ref(self) -> None:
        """Records come by key, and by what they belong to; keys that are not recorded are not there."""
        store = self.store()
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
        store = self.store()
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
        store = self.store()
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
        store = self.store()
        lots = {
            "a": lot("a", 5, 10),
            "b": lot("b", 5, 11),
            "c": lot("c", 0, 10, held=1),
            "d": lot("d", 0, 99, pending=1, active_at=10),
        }
        items = {("hold", "h"): item("hold", "h", due_at=12), ("hold", "n"): item("hold", "n")}
        store.append(commit("p/a", next_at=10, lots=list(lots.values()), items=list(items.values())))
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
        """Lots come by name, by what brought them (what their names begin with), and all that hold anything."""
        store = self.store()
        lots = {
            "a": lot("a", 0, pending=1),
            "b": lot("b", 0, held=1),
            "c": lot("c", 1),
            "d": lot("d", 0),
            "d#2": lot("d#2", 0),
            "d+key:x": lot("d+key:x", 0),
            "d d": lot("d d", 0),
            "d%23": lot("d%23", 0),
        }
        store.append(commit("p/a", lots=list(lots.values())))
        assert_within({"d"}, lots, store.load(Need("p/a", lots=("d", "x"))).lots)
        assert_within({"d", "d#2", "d+key:x"}, lots, store.load(Need("p/a", stems=("d", "x"))).lots)
        assert_within({"d%23"}, lots, store.load(Need("p/a", stems=("d%23",))).lots)
        assert_within({"a", "b", "c"}, lots, store.load(Need("p/a", open_lots=True)).lots)
        lots["d#2"] = lot("d#2", 0, held=2)
        store.append(commit("p/a", 1, lots=[lots["d#2"]]))
        assert_within({"d", "d#2", "d+key:x"}, lots, store.load(Need("p/a", stems=("d",))).lots)
        assert_within({"a", "b", "c", "d#2"}, lots, store.load(Need("p/a", open_lots=True)).lots)

    def test_items(self) -> None:
        """Items come by name and by kind, in their latest value; None removes one, if it is there."""
        store = self.store()
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
        store = self.store()
        store.append(commit("p/a", balances=[balance(1)], lots=[lot("a", 1)], items=[item("hold", "h")]))
        context = store.load(Need("p/a", everything=True))
        before = as_lists(context)
        store.append(
            commit("p/a", 1, balances=[balance(2)], lots=[lot("a", 2), lot("b")], items=[item("hold", "h", None)])
        )
        assert before == as_lists(context)

    def test_agrees_with_the_plain_model(self) -> None:
        """After any commits, good or refused, every question has the answer that walking over all rows gives."""
        store = self.store()
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
                    assert isinstance(attempt(store, late), StaleVersion)
                store.append(made)
                plain.apply(made)
                need = data.draw(needs(account))
                plain.check(need, store.load(need))

        check()
