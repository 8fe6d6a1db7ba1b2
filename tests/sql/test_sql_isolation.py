"""Many writers at once: no point is lost at any isolation level, and two ways of doing it wrong are caught."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import crowds as shop
import pytest
import servers
import sqlalchemy as sa
from databases import MakeEngine, new_database

from loyaltykit.errors import StaleVersion
from loyaltykit.journal import Commit, Context, Need
from loyaltykit.stores import MemoryStore
from loyaltykit.stores.sql import SqlStore
from loyaltykit.testing._rows import balance, commit

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
MEMBERS = ["ann", "bo", "cy"]


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Any:
    """Each server in turn."""
    return request.getfixturevalue(request.param)


def at_level(server: Any, make_engine: MakeEngine, level: str) -> sa.Engine:
    """Return an engine whose every transaction is at an isolation level, those of single statements too."""
    url = new_database(server)
    if isinstance(server, servers.PostgreSQL):
        named = level.lower().replace(" ", "\\ ")
        return make_engine(
            url,
            pool_size=16,
            connect_args={"options": f"-c default_transaction_isolation={named} -c synchronous_commit=off"},
        )
    return make_engine(url, pool_size=16, isolation_level=level)


@pytest.fixture
def make_engine(request: pytest.FixtureRequest) -> Any:
    """Return what makes engines at an address."""
    made: list[sa.Engine] = []

    def make(url: str, **arguments: Any) -> sa.Engine:
        made.append(sa.create_engine(url, **arguments))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options", [{}, {"driver": False, "one_statement": False}], ids=["default", "plain"])
def test_no_point_is_lost(server: Any, make_engine: MakeEngine, level: str, options: dict[str, Any]) -> None:
    """Eight threads on three members leave exactly the points that they were told, and sound books."""
    if options and isinstance(server, servers.MariaDB):
        pytest.skip("plain statements are the default there")
    store = SqlStore(at_level(server, make_engine, level), **options)
    store.create()
    expected = shop.crowd(store, MEMBERS, 15)
    assert [] == shop.wrong(store, MEMBERS)
    assert expected == {member: shop.points(store, member) for member in MEMBERS}


def test_batches_beside_each_other(server: Any, make_engine: MakeEngine) -> None:
    """Batches of several threads over the same members, in any order, end in the same points as one by one."""
    store = SqlStore(at_level(server, make_engine, "READ COMMITTED"))
    store.create()

    def batch(thread: int) -> None:
        members = MEMBERS if thread % 2 else MEMBERS[::-1]
        facts = [shop.order(f"{thread}-{number}", members[number % 3]) for number in range(30)]
        for _ in shop.club(store).record_many(facts, batch=10):
            pass

    shop.in_threads([lambda thread=thread: batch(thread) for thread in range(6)])
    assert [600, 600, 600] == [shop.points(store, member) for member in MEMBERS]
    assert [] == shop.wrong(store, MEMBERS)


def test_hot_members_are_locked_first(server: Any, make_engine: MakeEngine) -> None:
    """Who waits in `exclusive` sees what was committed meanwhile, and is not overtaken; other members do not wait."""
    store = SqlStore(at_level(server, make_engine, "READ COMMITTED"))
    store.create()
    store.append(commit("p/a", balances=[balance(0)]))
    store.append(commit("p/b"))

    def add() -> None:
        for _ in range(10):
            with store.exclusive("p/a"):
                context = store.load(Need("p/a"))
                version, points = context.head.version, context.balances["points"].active
                store.append(commit("p/a", version, balances=[balance(points + 1)]))

    with store.exclusive("p/b"):
        shop.in_threads([add] * 8)
    assert 80 == store.load(Need("p/a")).balances["points"].active


def test_a_club_locks_first_where_writers_met() -> None:
    """After a conflict a club asks at once to be alone at that member, for its next fifty writes, and at no other."""
    asked: list[str] = []

    class Meeting(MemoryStore):
        def append(self, made: Commit) -> None:
            if made.records[0].key == "key:met" and asked == []:
                raise StaleVersion("another was first")
            super().append(made)

        def exclusive(self, account: str) -> AbstractContextManager[None]:
            asked.append(account)
            return super().exclusive(account)

    club = shop.club(Meeting())
    club.earn("ann", 1, key="before", at=shop.BEGIN)
    club.earn("ann", 1, key="met", at=shop.BEGIN)
    assert ["shop/ann"] == asked
    for number in range(60):
        club.earn("ann", 1, key=f"ann-{number}", at=shop.BEGIN)
        club.earn("bo", 1, key=f"bo-{number}", at=shop.BEGIN)
    assert ["shop/ann"] * 51 == asked


# ---------------------------------------------------------------- two ways of doing it wrong


def buy_and_spend(store: SqlStore, other: SqlStore, meddle: Callable[[Callable[[], None]], None]) -> list[str]:
    """Let another writer spend at the instant at which `store` has read a part; return what `verify` then finds."""
    club = shop.club(other)
    club.record(shop.order(1, "ann", "50.00"))
    meddle(lambda: club.redeem("ann", 20, key="theirs", at=shop.BEGIN + shop.timedelta(days=1)))
    shop.club(store).redeem("ann", 20, key="mine", at=shop.BEGIN + shop.timedelta(days=1))
    return shop.wrong(other, ["ann"])


def test_lots_read_before_the_version(postgresql: servers.PostgreSQL, make_engine: MakeEngine) -> None:
    """A store that reads lots and balances before the version corrupts the books unnoticed; `verify` finds it.

    This is why the head comes first, or in the same statement, in `SqlStore.load`.
    """
    engine = at_level(postgresql, make_engine, "READ COMMITTED")
    between: list[Callable[[], None]] = []

    class LotsFirst(SqlStore):
        def load(self, need: Need) -> Context:
            rows = super().load(need)
            while between:
                between.pop()()
            return rows._replace(head=super().load(Need(need.account)).head)

    other = SqlStore(engine)
    other.create()
    assert [] != buy_and_spend(LotsFirst(engine), other, between.append)


def test_row_lock_after_the_snapshot(mariadb: servers.MariaDB, make_engine: MakeEngine) -> None:
    """A store that locks the row after its transaction has read anything sees old lots, at MariaDB's own default level.

    This is why the lock is the first statement of a transaction in `SqlStore.exclusive`, and why nothing rests on it.
    """
    engine = at_level(mariadb, make_engine, "REPEATABLE READ")
    between: list[Callable[[], None]] = []

    class LockLater(SqlStore):
        def load(self, need: Need) -> Context:
            with self.engine.connect() as connection:  # type: ignore[attr-defined]
                own = SqlStore.enlisted(connection)
                own.load(Need("shop/nobody"))  # the snapshot is of now
                while between:
                    between.pop()()
                sql = f"SELECT version FROM loyalty_head WHERE account = '{need.account}' FOR UPDATE"
                version = connection.exec_driver_sql(sql).scalar()
                rows = own.load(need)
                assert rows.head is not None
                return rows._replace(head=rows.head._replace(version=version))

    other = SqlStore(engine)
    other.create()
    store = LockLater(engine)
    store.engine = engine  # type: ignore[attr-defined]
    assert [] != buy_and_spend(store, other, between.append)


@pytest.mark.parametrize("level", LEVELS)
def test_the_store_itself_at_that_instant(server: Any, make_engine: MakeEngine, level: str) -> None:
    """At the same instant the store as it is notices that it was overtaken, and decides again."""
    engine = at_level(server, make_engine, level)
    between: list[Callable[[], None]] = []

    class Overtaken(SqlStore):
        def load(self, need: Need) -> Context:
            rows = super().load(need)
            while between:
                between.pop()()
            return rows

    other = SqlStore(engine)
    other.create()
    assert [] == buy_and_spend(Overtaken(engine), other, between.append)
    assert 10 == shop.points(other, "ann")
