"""The stores: the contract on each, the contract on stores that are wrong, and faults on purpose."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import Phase, given, settings, strategies as st

import loyaltykit.stores
from loyaltykit.errors import InputError, OutcomeUnknown, StaleVersion, StoreBusy, StoreError
from loyaltykit.journal import NEVER, Need
from loyaltykit.stores import MemoryStore, SQLiteStore
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._rows import balance, commit
from loyaltykit.testing.broken import BROKEN, BrokenStore
from loyaltykit.testing.contract import StoreContract, broken_laws
from loyaltykit.testing.faults import Fault, FaultyStore, seeded


class TestMemoryStore(StoreContract):
    def make_store(self) -> Store:
        """Make an empty store."""
        return MemoryStore()


class TestSQLiteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> Store:
        """Make an empty store in a file of its own."""
        return SQLiteStore(self.folder / f"{len(self._made)}.db")

    def reopen(self, store: Store) -> Store:
        """Open the file again."""
        assert isinstance(store, SQLiteStore)
        store.close()
        return SQLiteStore(store.path)


class TestFaultyStoreWithoutFaults(StoreContract):
    def make_store(self) -> Store:
        """Make an empty store that will not fail."""
        return FaultyStore(MemoryStore())


# ---------------------------------------------------------------- the contract itself


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_contract_catches(broken: type[BrokenStore]) -> None:
    """A store that is wrong in one way fails the contract, in the test that is about this."""

    class Contract(StoreContract):
        examples = settings(StoreContract.examples, phases=[Phase.generate])  # one failure will do, however large

        def make_store(self) -> Store:
            return broken()

    assert broken_laws(Contract, [broken.caught_by]) == [broken.caught_by]


def test_contract_catches_a_store_that_loses_what_it_held() -> None:
    """A store that comes back empty after it was closed fails the contract."""

    class Contract(StoreContract):
        def make_store(self) -> Store:
            return MemoryStore()

        def reopen(self, store: Store) -> Store:
            store.close()
            return MemoryStore()

    assert broken_laws(Contract, ["test_outlives_the_store"]) == ["test_outlives_the_store"]


def test_contract_finds_nothing_in_a_good_store() -> None:
    """`broken_laws` runs every test of the contract with all of its parameters, and a good store breaks none."""
    asked: list[str] = []

    class Contract(StoreContract):
        examples: ClassVar[settings] = settings(StoreContract.examples, max_examples=5)

        def make_store(self) -> Store:
            asked.append("store")
            return MemoryStore()

    assert broken_laws(Contract) == []
    assert len(asked) > len([name for name in dir(StoreContract) if name.startswith("test_")])
    with pytest.raises(NotImplementedError):
        StoreContract().make_store()


# ---------------------------------------------------------------- faults on purpose


def test_faults_as_planned() -> None:
    """Each call meets the next fault of the plan; before and stale apply nothing, after applies all and hides it."""
    plan: list[Fault] = ["before", "stale", "none", "after", "after"]
    with FaultyStore(MemoryStore(), plan) as store:
        made = commit("p/a")
        with pytest.raises(StoreBusy):
            store.append(made)
        with pytest.raises(StaleVersion):
            store.append_many([made])
        assert store.load(Need("p/a")).head is None
        store.append(made)
        with pytest.raises(OutcomeUnknown) as caught:
            store.append(commit("p/a", 1))
        assert caught.value.retry is True
        with pytest.raises(OutcomeUnknown):
            store.append_many([commit("p/a", 2), commit("p/b")])
        assert [(name, head.version) for name, head in store.accounts("p")] == [("p/a", 3), ("p/b", 1)]
        store.append(commit("p/a", 3))
        assert store.met == ["before", "stale", "after", "after"]


def test_unknown_fault() -> None:
    """A plan with a word that is no fault is the caller's mistake."""
    with pytest.raises(InputError, match="plan"):
        FaultyStore(MemoryStore(), ["sometimes"]).append(commit("p/a"))  # type: ignore[list-item]


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_retries_with_the_same_key_converge(seed: int) -> None:
    """Whoever looks for the key, and tries again while it is not there, records it once, whatever fails in between."""
    store = FaultyStore(MemoryStore(), seeded(seed, rate=0.6))
    for number in range(8):
        key = f"order:{number}"
        for _ in range(200):
            context = store.load(Need("p/a", keys=(key,)))
            if key in context.records:
                break
            version = context.head.version if context.head else 0
            try:
                store.append(commit("p/a", version, key, balances=[balance(number + 1)]))
            except StoreError as error:
                if not error.retry:
                    raise
    assert store.load(Need("p/a")).balances["points"].active == 8
    assert list(islice(seeded(seed), 20)) == list(islice(seeded(seed), 20))


# ---------------------------------------------------------------- the package


def test_names_load_when_used() -> None:
    """The package exports its stores, and loads SQLite only for who asks for it."""
    assert [getattr(loyaltykit.stores, name).__name__ for name in loyaltykit.stores.__all__] == [
        "AsyncStore",
        "MemoryStore",
        "SQLiteStore",
        "Store",
    ]
    assert set(loyaltykit.stores.__all__) <= set(dir(loyaltykit.stores))
    with pytest.raises(AttributeError, match="PaperStore"):
        loyaltykit.stores.PaperStore  # noqa: B018
    code = "import sys; from loyaltykit.stores import MemoryStore; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_memory_store_is_shown() -> None:
    """A store says how much it holds, and whether it has been closed."""
    with MemoryStore() as store:
        store.append(commit("p/a"))
        assert repr(store) == "<MemoryStore: 1 accounts>"
    assert repr(store) == "<MemoryStore: closed>"


def test_memory_store_forgets_replaced_instants() -> None:
    """What is due next may change any number of times without the list of what is due growing without end."""
    store = MemoryStore()
    store.append(commit("p/b"))
    for version in range(1000):
        store.append(commit("p/a", version, next_at=version % 7))
    assert list(store.due("p", NEVER)) == ["p/a"]
    assert len(store._programs["p"]._heap) < 100


def test_connections_end_with_their_threads(tmp_path: Path) -> None:
    """A thread's connection is closed when the thread ends, so that threads that come and go leave nothing open."""
    with SQLiteStore(tmp_path / "shop.db") as store:
        store.append(commit("p/a"))
        for _ in range(20):
            thread = threading.Thread(target=store.load, args=(Need("p/a"),))
            thread.start()
            thread.join()
        gc.collect()
        assert len(store._connections) == 1
