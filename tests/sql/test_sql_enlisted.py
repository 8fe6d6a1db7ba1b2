"""The SQL store inside a transaction of the shop's own, over every kind of connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import crowds as shop
import pytest
import servers
import sqlalchemy as sa
from databases import MakeEngine, new_database
from sqlalchemy import exc

from loyaltykit.errors import InputError, OutcomeUnknown, StaleVersion, StoreBusy, StoreError, StoreUnusable
from loyaltykit.journal import Need
from loyaltykit.stores.sql import SqlStore, run_transaction
from loyaltykit.testing._rows import balance, commit

KINDS = ["sqlalchemy", "driver"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, database: str) -> str:
    """Each kind of connection; plain ones of sqlite3 and psycopg."""
    if request.param == "driver" and database == "mariadb":
        pytest.skip("a plain connection is one of sqlite3 or psycopg")
    return str(request.param)


@pytest.fixture
def engine(make_engine: MakeEngine) -> sa.Engine:
    """Return an engine on a database with a store, and with a table of the shop's."""
    made = make_engine()
    SqlStore(made).create()
    with made.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE shop_order (id INTEGER PRIMARY KEY)")
    return made


@pytest.fixture
def begin(engine: sa.Engine, kind: str) -> Callable[[], Any]:
    """Return what opens a transaction of the shop's, and yields the connection."""

    @contextmanager
    def plain() -> Iterator[Any]:
        pooled = engine.raw_connection()
        try:
            yield pooled.driver_connection
            pooled.commit()
        finally:
            pooled.rollback()
            pooled.close()

    return engine.begin if kind == "sqlalchemy" else plain


def insert(connection: Any, number: int) -> None:
    """Insert the shop's own row."""
    statement = f"INSERT INTO shop_order VALUES ({number})"
    getattr(connection, "exec_driver_sql", None) and connection.exec_driver_sql(statement)
    if not hasattr(connection, "exec_driver_sql"):
        connection.execute(statement)


def orders(engine: sa.Engine) -> list[int]:
    """Return the ids of the shop's own rows."""
    with engine.connect() as connection:
        return sorted(row[0] for row in connection.exec_driver_sql("SELECT id FROM shop_order"))


@pytest.mark.parametrize("shop_first", [True, False])
def test_one_transaction(engine: sa.Engine, begin: Any, shop_first: bool) -> None:
    """The shop's row and the member's points become durable together, with the shop's COMMIT, and not before."""
    with begin() as connection:
        if shop_first:
            insert(connection, 1)
        with shop.club(SqlStore.enlisted(connection)) as club:
            club.record(shop.order(1, "ann"))
        if not shop_first:
            insert(connection, 1)
        if engine.dialect.name != "sqlite":
            assert SqlStore(engine).load(Need("shop/ann")).head is None
    assert [1] == orders(engine)
    assert 10 == shop.points(SqlStore(engine), "ann")
    assert [] == shop.wrong(SqlStore(engine), ["ann"])


@pytest.mark.parametrize("shop_first", [True, False])
def test_rollback_leaves_nothing(engine: sa.Engine, begin: Any, shop_first: bool) -> None:
    """After the shop's ROLLBACK nothing is there: not its row, no points, not even the program that was registered."""
    with suppress(ZeroDivisionError), begin() as connection:
        if shop_first:
            insert(connection, 1)
        club = shop.club(SqlStore.enlisted(connection))
        club.record(shop.order(1, "ann"))
        for _ in club.record_many([shop.order(2, "bo"), shop.order(3, "cy")]):
            pass
        if not shop_first:
            insert(connection, 1)
        raise ZeroDivisionError
    assert [] == orders(engine)
    store = SqlStore(engine)
    assert ([], [], []) == (list(store.accounts("shop")), list(store.versions("shop")), list(store.programs()))


def test_what_is_refused_does_not_spoil_the_transaction(engine: sa.Engine, begin: Any) -> None:
    """A commit that is stale, or repeats a key, is refused; what the shop wrote before and writes after is kept."""
    SqlStore(engine).append(commit("p/a", balances=[balance(1)]))
    with begin() as connection:
        insert(connection, 1)
        store = SqlStore.enlisted(connection)
        for wrong, kind in (
            (commit("p/a", 0, "other", balances=[balance(9)]), StaleVersion),
            (commit("p/a", 7, "other", balances=[balance(9)]), StaleVersion),
            (commit("p/a", 1, "order:1", balances=[balance(9)]), StoreError),
            (commit("p/b", balances=[balance(2**63)]), StoreError),
        ):
            with pytest.raises(kind) as caught:
                store.append(wrong)
            assert (kind is StaleVersion) == caught.value.retry
        outcomes = store.append_many([commit("p/a", 1, "order:1"), commit("p/c", balances=[balance(5)])])
        assert [StoreError, type(None)] == [type(outcome) for outcome in outcomes]
        store.append(commit("p/a", 1, balances=[balance(3)]))
        insert(connection, 2)
    assert [1, 2] == orders(engine)
    store = SqlStore(engine)
    assert [3, 5] == [row.active for _, _, row in store.balances("p", "points")]


def test_nothing_is_tried_again_inside(engine: sa.Engine, begin: Any) -> None:
    """Where another transaction came between, the club raises `StaleVersion` at once, for all must be done again."""
    loads: list[Need] = []

    class Overtaken(SqlStore):
        def load(self, need: Need) -> Any:
            loads.append(need)
            context = super().load(need)
            version = 0 if context.head is None else context.head.version
            return context._replace(head=commit("p/a", version + 1).head)  # another one, as a later reader sees it

    with begin() as connection:
        store = Overtaken.enlisted(connection)
        assert store.joined
        club = shop.club(store)
        with pytest.raises(StaleVersion):
            club.earn("ann", 5, key="1", at=shop.BEGIN)
    assert 1 == len([need for need in loads if need.account == "shop/ann"])


def test_the_whole_is_done_again(engine: sa.Engine, begin: Any) -> None:
    """`run_transaction` does the shop's whole function again, and each order counts once, whatever comes between."""

    def buy(number: int) -> Callable[[Any], None]:
        def do(connection: Any) -> None:
            insert(connection, number)
            shop.club(SqlStore.enlisted(connection)).record(shop.order(number, "ann"))

        return do

    threads = 1 if engine.dialect.name == "sqlite" else 6
    shop.in_threads(
        [
            lambda thread=thread: [run_transaction(begin, buy(6 * thread + number)) for number in range(6)]
            for thread in range(threads)
        ]
    )
    assert list(range(6 * threads)) == orders(engine)
    assert 60 * threads == shop.points(SqlStore(engine), "ann")
    assert [] == shop.wrong(SqlStore(engine), ["ann"])


def test_run_transaction_gives_up(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conflicts that do not cease end in `StoreBusy`; other errors, and those of the shop, pass at once."""
    monkeypatch.setattr("loyaltykit.session.time.sleep", lambda seconds: None)
    engine, calls = make_engine("sqlite://"), []

    def fail(error: Exception) -> Callable[[Any], None]:
        def do(connection: Any) -> None:
            calls.append(connection)
            raise error

        return do

    with pytest.raises(StoreBusy):
        run_transaction(engine, fail(StaleVersion("moved")))
    assert 60 == len(calls)
    for error in (ZeroDivisionError(), StoreError("full"), exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError())):
        with pytest.raises(type(error)):
            run_transaction(engine, fail(error))
    assert 63 == len(calls)


def test_run_transaction_whose_answer_is_lost(make_engine: MakeEngine) -> None:
    """Where the answer to COMMIT is lost nothing is repeated: the shop's own rows have no key that could tell."""

    class Lost(Exception):
        pass

    lost = exc.DBAPIError("COMMIT", {}, Lost(), connection_invalidated=True)

    @contextmanager
    def begin() -> Iterator[None]:
        yield
        raise lost

    with pytest.raises(OutcomeUnknown):
        run_transaction(begin, lambda connection: None)


def test_exclusive(engine: sa.Engine, begin: Any) -> None:
    """The row lock may be taken in the shop's transaction too, and ends with it."""
    with begin() as connection:
        store = SqlStore.enlisted(connection)
        with store.exclusive("p/a"), store.exclusive("p/a"):
            store.append(commit("p/a"))
            store.append(commit("p/a", 1))
            assert 2 == store.load(Need("p/a")).head.version
        with store.exclusive("p/a"):
            insert(connection, 7)
    assert [7] == orders(engine)
    assert 2 == SqlStore(engine).load(Need("p/a")).head.version


def test_other_row_factories(postgresql: servers.PostgreSQL) -> None:
    """What the shop has set on its connection (rows as dictionaries, prepared statements off) does not matter."""
    import psycopg
    from psycopg.rows import dict_row

    url = new_database(postgresql)
    engine = sa.create_engine(url)
    SqlStore(engine).create()
    engine.dispose()
    database = sa.make_url(url).database
    with psycopg.connect(
        host=str(postgresql.path),
        dbname=database,
        user="postgres",
        row_factory=dict_row,
        prepare_threshold=None,
        cursor_factory=psycopg.ClientCursor,
    ) as connection:
        store = SqlStore.enlisted(connection)
        store.append(commit("p/a", balances=[balance(4)]))
        assert 4 == store.load(Need("p/a")).balances["points"].active


def test_a_transaction_must_be_open(postgresql: servers.PostgreSQL, tmp_path: Path) -> None:
    """On a connection that commits by itself there is no transaction to join, and the store says so."""
    import psycopg

    with psycopg.connect(host=str(postgresql.path), user="postgres", autocommit=True) as connection:
        with pytest.raises(StoreUnusable, match="in no transaction"):
            SqlStore.enlisted(connection).append(commit("p/a"))
        with connection.transaction(), pytest.raises(StoreUnusable, match="create"):
            SqlStore.enlisted(connection, prefix="none_").append(commit("p/a"))
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    with pytest.raises(StoreUnusable, match="in no transaction"):
        SqlStore.enlisted(connection).append(commit("p/a"))
    connection.close()


def test_sqlite_rows(tmp_path: Path) -> None:
    """A connection of sqlite3 that gives rows of its own kind serves as well, in the shop's BEGIN."""
    path = tmp_path / "shop.db"
    SqlStore(f"sqlite:///{path}").create()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    SqlStore.enlisted(connection).append(commit("p/a", balances=[balance(4)]))
    assert 4 == SqlStore.enlisted(connection).load(Need("p/a")).balances["points"].active
    connection.execute("ROLLBACK")
    connection.execute("BEGIN")
    assert SqlStore.enlisted(connection).load(Need("p/a")).head is None
    connection.close()


@pytest.mark.parametrize("connection", [None, "sqlite://", object()])
def test_no_connection(connection: Any) -> None:
    """What is no connection of a known kind is the caller's mistake."""
    with pytest.raises(InputError, match="connection"):
        SqlStore.enlisted(connection)


def test_tables_are_not_made_inside(make_engine: MakeEngine) -> None:
    """Tables are made by a store of its own, since some databases commit when a table is made."""
    with make_engine("sqlite://").connect() as connection, pytest.raises(StoreUnusable, match="SqlStore"):
        SqlStore.enlisted(connection).create()
