"""The shipped contract on the SQL store: on every database, and on every way in which it sends its statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from databases import MakeEngine
from hypothesis import settings

from loyaltykit.errors import StaleVersion
from loyaltykit.journal import Need
from loyaltykit.stores._sql_desk import Desk
from loyaltykit.stores.protocol import Store
from loyaltykit.stores.sql import SqlStore
from loyaltykit.testing._rows import Plain, balance, commit, item, lot
from loyaltykit.testing.contract import StoreContract


class OnSql(StoreContract):
    """The contract, on databases of their own."""

    __test__ = False
    examples: ClassVar[settings] = settings(StoreContract.examples, max_examples=40)
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _engines(self, make_engine: MakeEngine) -> None:
        self.make_engine: Callable[..., Any] = make_engine

    def make_store(self) -> Store:
        """Make the tables in an empty database."""
        self.engine = self.make_engine()
        store = SqlStore(self.engine, **self.options)
        store.create()
        return store

    def reopen(self, store: Store) -> Store:
        """Go on with the same database, over new connections."""
        store.close()
        self.engine.dispose()
        return SqlStore(self.engine, **self.options)

    def test_records_in_the_order_of_recording(self) -> None:
        """However a load asks for records, they come in the order in which they were recorded."""
        store = self.store()
        keys = ["d", "a", "c", "b", "f", "e"]
        made = commit("p/a", 0, *keys)
        store.append(made._replace(records=[record._replace(ref="r") for record in made.records]))
        for need in (
            Need("p/a", everything=True),
            Need("p/a", keys=tuple(sorted(keys))),
            Need("p/a", keys=("e", "a"), refs=("r",)),
        ):
            assert keys == list(store.load(need).records)

    def test_many_small_lots(self) -> None:
        """However many lots it takes to cover an amount, they all come."""
        store = self.store()
        lots = [lot(f"{number:04}", 1, expires_at=number + 10) for number in range(1200)]
        store.append(commit("p/a", lots=lots))
        for wanted in (1, 32, 33, 100, 1100):
            found = store.load(Need("p/a", spend=(("points", wanted),), spend_at=0)).lots
            assert {each.lot for each in lots[:wanted]} <= set(found)

    def test_commits_that_follow_each_other(self) -> None:
        """Commits of one account in one call, where all fit, leave what they would have left one after the other."""
        store = self.store()
        made = [
            commit("p/a", version, lots=[lot("x", version)], balances=[balance(version)], items=[item("k", "n", value)])
            for version, value in enumerate(["1", None, "3", "4", None])
        ]
        assert [None] * 5 == store.append_many(made)
        plain = Plain()
        for each in made:
            plain.apply(each)
        plain.check(Need("p/a", everything=True), store.load(Need("p/a", everything=True)))

    @pytest.mark.parametrize("expected", [0, 1])
    def test_overtaken_in_the_midst_of_many(self, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A writer that comes after the versions were looked at, and before the heads move, is noticed."""
        store = self.store()
        if expected:
            store.append_many([commit("p/a"), commit("p/b")])
        store.append(commit("p/a", expected, "theirs", balances=[balance(7)]))
        before = {"p/a": expected, "p/b": expected} if expected else {}
        monkeypatch.setattr(Desk, "_versions_of", lambda desk, link, accounts: before)
        mine = [commit(account, expected, "mine", balances=[balance(9)]) for account in ("p/a", "p/b")]
        outcomes = store.append_many(mine)
        assert [StaleVersion, type(None)] == [type(outcome) for outcome in outcomes]
        assert [7, 9] == [row.active for _, _, row in store.balances("p", "points")]


class TestThroughTheDefault(OnSql):
    __test__ = True


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # only where the default is another way
class TestThroughSQLAlchemy(OnSql):
    """psycopg behind SQLAlchemy's own connections."""

    __test__ = True
    options: ClassVar[dict[str, Any]] = {"driver": False}


class TestPlainStatements(TestThroughSQLAlchemy):
    """The reference path, which engines that speak PostgreSQL's protocol take."""

    options: ClassVar[dict[str, Any]] = {"one_statement": False, "prefix": "", "schema": "public"}
