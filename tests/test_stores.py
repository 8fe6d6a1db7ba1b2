"""The stores: the contract on each, and what a file can do to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from loyaltykit.stores import MemoryStore, SQLiteStore
from loyaltykit.stores.protocol import Store
from loyaltykit.testing.broken import BROKEN, BrokenStore
from loyaltykit.testing.contract import StoreContract, broken_laws


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


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_contract_catches(broken: type[BrokenStore]) -> None:
    """A store that is wrong in one way fails the contract, in the test that is about this."""

    class Contract(StoreContract):
        def make_store(self) -> Store:
            return broken()

    assert [broken.caught_by] == broken_laws(Contract, [broken.caught_by])
