"""The tables of the SQL store: made, brought up to date, refused; and what a failing database is told as."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import servers
import sqlalchemy as sa
from databases import MakeEngine, new_database
from sqlalchemy import exc

from loyaltykit.errors import (
    InputError,
    OutcomeUnknown,
    StaleVersion,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnusable,
)
from loyaltykit.journal import Balance, Entry, Head, Item, Lot, Need, Record
from loyaltykit.stores import _sql_schema
from loyaltykit.stores._sql_errors import told
from loyaltykit.stores.sql import VERSIONS, SqlStore, metadata, tables
from loyaltykit.testing._rows import balance, commit

# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "row"),
    [("head", Head), ("record", Record), ("entry", Entry), ("lot", Lot), ("balance", Balance), ("item", Item)],
)
def test_tables_are_the_journals_rows(name: str, row: Any) -> None:
    """Each table has the columns of its row in the journal, under the same names.

    If this fails because a row has changed: add a step to `_sql_schema.STEPS` that changes the table.
    """
    table = getattr(tables(), name)
    before = ["account", "program"] if name == "head" else ["account"]
    after = ["due_at"] if name == "lot" else []  # which the row works out, and the table has an index on
    assert [*before, *row._fields, *after] == [column.name for column in table.columns]


def test_made_once(store: SqlStore) -> None:
    """Making the tables again, or bringing them up to date again, changes nothing."""
    store.append(commit("p/a"))
    store.create()
    store.upgrade()
    assert ["p/a"] == [name for name, _ in store.accounts("p")]


def test_several_stores_in_one_database(make_engine: MakeEngine) -> None:
    """Stores under other prefixes, or in other schemas, do not meet."""
    engine = make_engine()
    first, second = SqlStore(engine), SqlStore(engine, prefix="other_")
    for store in (first, second):
        store.create()
    first.append(commit("p/a"))
    second.append(commit("p/b"))
    assert [["p/a"], ["p/b"]] == [[name for name, _ in store.accounts("p")] for store in (first, second)]


@pytest.mark.parametrize("prefix", ["Shop_", "my-", "a b", "é", "1x", "x;"])
def test_prefix(prefix: str) -> None:
    """A prefix that would have to be quoted is refused."""
    with pytest.raises(InputError, match="prefix"):
        tables(prefix=prefix)


def test_without_tables(make_engine: MakeEngine) -> None:
    """A database without the tables is refused at the first call, with the way out."""
    engine = make_engine()
    for call in (SqlStore(engine).upgrade, lambda: SqlStore(engine).load(Need("p/a"))):
        with pytest.raises(StoreUnusable, match=r"SqlStore\.create"):
            call()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("version", VERSIONS["version"] + 1, "later loyaltykit"),
        ("format", VERSIONS["format"] + 1, "later loyaltykit"),
        ("version", 0, "SqlStore.upgrade"),
    ],
)
def test_other_versions(make_engine: MakeEngine, column: str, value: int, message: str) -> None:
    """Tables of a later version or format, or of an earlier one, are refused before anything is read or written."""
    engine = make_engine()
    SqlStore(engine).create()
    with engine.begin() as connection:
        connection.execute(sa.update(tables().schema).values({column: value}))
    store = SqlStore(engine)
    for call in (lambda: store.load(Need("p/a")), lambda: store.append(commit("p/a")), lambda: store.append_many([])):
        with pytest.raises(StoreUnusable, match=message):
            call()
    if value:
        for call in (store.create, store.upgrade):
            with pytest.raises(StoreUnusable, match="later"):
                call()


def test_upgrade(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`upgrade` takes the steps that are missing, in order, once."""
    engine, taken = make_engine(), []
    SqlStore(engine).create()

    def step(connection: sa.Connection, its: Any) -> None:
        taken.append(its.metadata is metadata)

    monkeypatch.setattr(_sql_schema, "STEPS", (*_sql_schema.STEPS, step, step))
    monkeypatch.setattr(_sql_schema, "VERSIONS", {**VERSIONS, "version": 3})
    store = SqlStore(engine)
    with pytest.raises(StoreUnusable, match=r"SqlStore\.upgrade"):
        store.load(Need("p/a"))
    store.upgrade()
    store.upgrade()
    assert [True, True] == taken
    assert store.load(Need("p/a")).head is None


def test_migrations_of_the_shops_own(make_engine: MakeEngine) -> None:
    """Tables that the shop's own migration made serve too, once it has put the row that says which they are."""
    engine = make_engine()
    with engine.begin() as connection:
        metadata.create_all(connection)
    with pytest.raises(StoreUnusable, match="VERSIONS"):
        SqlStore(engine).load(Need("p/a"))
    with engine.begin() as connection:
        connection.execute(sa.insert(tables().schema), [VERSIONS])
    SqlStore(engine).append(commit("p/a"))


def test_from_an_address(tmp_path: Path) -> None:
    """A store that was given an address makes its own engine, and closes it."""
    store = SqlStore(f"sqlite:///{tmp_path / 'shop.db'}")
    store.create()
    assert "<SqlStore sqlite:///" in repr(store)
    store.close()
    assert repr(store).endswith(", closed>")


@pytest.mark.parametrize("way", ["engine", "options", "connection"])
def test_autocommit(make_engine: MakeEngine, way: str) -> None:
    """Where each statement would be a transaction by itself, a commit could be kept by half: that is refused."""
    engine = make_engine(**({"isolation_level": "AUTOCOMMIT"} if way == "engine" else {}))
    if way == "options":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    if way != "connection":
        with pytest.raises(InputError, match="AUTOCOMMIT"):
            SqlStore(engine)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        store = SqlStore.enlisted(connection)
        with pytest.raises(StoreUnusable, match="AUTOCOMMIT"):
            store.append(commit("p/a"))


def test_no_password_is_shown() -> None:
    """The address in messages is without its password."""
    store = SqlStore("postgresql+psycopg://shop:secret@localhost:1/shop?connect_timeout=1")
    assert "secret" not in repr(store)
    with pytest.raises(StoreError) as caught:
        store.load(Need("p/a"))
    assert "secret" not in str(caught.value)
    assert caught.value.retry


def test_server_that_cuts_silently(mariadb: servers.MariaDB, make_engine: MakeEngine) -> None:
    """A server that would cut texts and numbers and say nothing is refused."""
    engine = sa.create_engine(new_database(mariadb), connect_args={"init_command": "SET sql_mode = ''"})
    try:
        with pytest.raises(StoreUnusable, match="STRICT_TRANS_TABLES"):
            SqlStore(engine).create()
    finally:
        engine.dispose()


def test_too_long_a_name(mariadb: servers.MariaDB) -> None:
    """A name that is longer than MariaDB's tables hold is refused, and never cut."""
    engine = sa.create_engine(new_database(mariadb))
    store = SqlStore(engine)
    store.create()
    store.append(commit("p/" + "é" * 253))
    for wrong in (commit("p/" + "é" * 254), commit("p/a", 0, "k" * 256)):
        with pytest.raises(StoreError, match="refuses a row"):
            store.append(wrong)
    assert 1 == len(store.accounts("p"))
    engine.dispose()


def test_texts_that_cannot_be_stored(store: SqlStore) -> None:
    """A text that no database can hold is refused, and the store goes on."""
    with pytest.raises(StoreError) as caught:
        store.append(commit("p/a", 0, "\ud800"))
    assert not caught.value.retry
    outcomes = store.append_many([commit("p/b", 0, "\ud800"), commit("p/c", balances=[balance(2**70)]), commit("p/d")])
    assert [True, True, False] == [outcome is not None for outcome in outcomes]
    assert ["p/d"] == [name for name, _ in store.accounts("p")]


def test_read_only(postgresql: servers.PostgreSQL) -> None:
    """A database that may not be written, such as a standby, can be read; writing says why it cannot."""
    url = new_database(postgresql)
    writable = sa.create_engine(url)
    SqlStore(writable).create()
    SqlStore(writable).append(commit("p/a"))
    engine = sa.create_engine(url, connect_args={"options": "-c default_transaction_read_only=on"})
    store = SqlStore(engine)
    assert 1 == store.load(Need("p/a")).head.version
    with pytest.raises(StoreReadOnly):
        store.append(commit("p/a", 1))
    engine.dispose()
    writable.dispose()


def test_no_connection_to_spare(make_engine: MakeEngine) -> None:
    """A pool that has no connection left in time is a busy store."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.05, poolclass=sa.QueuePool)
    store = SqlStore(engine)
    store.create()
    with engine.connect(), pytest.raises(StoreBusy):
        store.load(Need("p/a"))


# ---------------------------------------------------------------- errors


class OperationalError(Exception):
    """As drivers name it."""


def failure(code: str | int | None) -> exc.DBAPIError:
    """Return what SQLAlchemy raises for a driver's error with this code."""
    origin = OperationalError(code, "broken") if isinstance(code, int) else OperationalError("broken")
    if isinstance(code, str):
        origin.sqlstate = code  # type: ignore[attr-defined]
    return exc.OperationalError("INSERT", {}, origin)


@pytest.mark.parametrize(
    ("code", "kind", "retry"),
    [
        ("40001", StaleVersion, True),
        ("40P01", StaleVersion, True),
        (1213, StaleVersion, True),
        (1205, StaleVersion, True),
        (1020, StaleVersion, True),
        ("53300", StoreBusy, True),
        ("55P03", StoreBusy, True),
        (1040, StoreBusy, True),
        ("53100", StoreFull, True),
        (1021, StoreFull, True),
        ("25006", StoreReadOnly, False),
        (1290, StoreReadOnly, False),
        ("42P01", StoreUnusable, False),
        (1146, StoreUnusable, False),
        ("28P01", StoreUnusable, False),
        ("42501", StoreUnusable, False),
        (1045, StoreUnusable, False),
        ("22003", StoreError, False),
        ("23514", StoreError, False),
        (1406, StoreError, False),
        ("57014", StoreError, True),
        ("XX000", StoreError, False),
        ("08006", StoreError, True),
        ("57P01", StoreError, True),
        (2013, StoreError, True),
        (None, StoreError, True),
    ],
)
def test_failures(code: str | int | None, kind: type[StoreError], retry: bool) -> None:
    """What a server says becomes the error that says whether another try is safe."""
    error = told(failure(code), "the shop")
    assert (kind, retry) == (type(error), error.retry)
    assert "broken" in str(error)


@pytest.mark.parametrize("code", ["08006", "08003", "40003", "57P01", 2006, 2013, None])
def test_lost_at_the_end(code: str | int | None) -> None:
    """A connection that breaks while a transaction ends leaves unknown whether it did."""
    error = told(failure(code), "the shop", committing=True)
    assert (OutcomeUnknown, True) == (type(error), error.retry)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (517, StaleVersion),
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_READONLY, StoreReadOnly),
    ],
)
def test_failures_of_sqlite(code: int, kind: type[StoreError]) -> None:
    """SQLite's codes are told in the same words."""
    origin = sqlite3.OperationalError("broken")
    origin.sqlite_errorcode = code
    assert kind is type(told(exc.OperationalError("INSERT", {}, origin), "the shop"))
