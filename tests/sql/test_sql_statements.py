"""What is sent: the rules that engines which spread accounts over machines ask for, and errors at every statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import crowds as shop
import pytest
import servers
import sqlalchemy as sa
from databases import new_database
from sqlalchemy import event
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from loyaltykit.errors import OutcomeUnknown
from loyaltykit.journal import Need
from loyaltykit.stores._sql_links import EngineRoad
from loyaltykit.stores.sql import SqlStore, metadata, tables
from loyaltykit.testing._rows import balance, commit, entry, item, lot

WAYS = [{"driver": False}, {"driver": False, "one_statement": False}]
FORBIDDEN = re.compile(
    r"\b(now|current_\w+|localtime\w*|clock_timestamp|nextval|\w*serial|sequence|identity|pg_\w*advisory\w*|lock table|"
    r"listen|notify|trigger|function|deferrable|exclude|generated|references|foreign)\b",
    re.IGNORECASE,
)


@pytest.fixture
def engine(postgresql: servers.PostgreSQL) -> Iterator[sa.Engine]:
    """Return an engine on an empty database of PostgreSQL."""
    made = sa.create_engine(new_database(postgresql))
    yield made
    made.dispose()


def visit(store: SqlStore) -> None:
    """Do a bit of everything for one member."""
    club = shop.club(store)
    shop.insist(lambda: club.record(shop.order(1, "ann", "50.00")))
    shop.insist(lambda: club.record(shop.order(1, "ann", "50.00")))
    shop.insist(lambda: club.redeem("ann", 20, key="k", at=shop.BEGIN + shop.timedelta(days=1)))
    shop.insist(
        lambda: club.hold(
            "ann", 5, key="h", at=shop.BEGIN + shop.timedelta(days=1), until=shop.BEGIN + shop.timedelta(days=2)
        )
    )
    shop.insist(lambda: club.release("ann", "h", key="r", at=shop.BEGIN + shop.timedelta(days=1)))


@contextmanager
def recorded(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Record what is sent over an engine, with its values."""
    sent: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        sent.append((statement, values if many else [values]))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("table", [table for table in tables()[1:-2]], ids=lambda table: table.name)
def test_account_comes_first(table: sa.Table) -> None:
    """The account is the first column of every primary key and unique index, so that it may say on which machine."""
    keys = [list(table.primary_key.columns)] + [list(index.columns) for index in table.indexes if index.unique]
    assert ["account"] * len(keys) == [key[0].name for key in keys]
    assert "account" == next(iter(table.columns)).name


@pytest.mark.parametrize(
    "dialect", [postgresql.dialect(), sqlite.dialect(), mysql.dialect()], ids=lambda each: each.name
)
def test_nothing_special_is_made(dialect: Any) -> None:
    """The tables need no sequence, trigger, foreign key, generated column or clock of the server."""
    for table in metadata.sorted_tables:
        made = [str(CreateTable(table).compile(dialect=dialect))]
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
        assert [] == [text for text in made if FORBIDDEN.search(text)]


# ---------------------------------------------------------------- statements


@pytest.mark.parametrize("options", WAYS, ids=["one statement", "plain"])
def test_each_statement_is_about_one_account(engine: sa.Engine, options: dict[str, Any]) -> None:
    """Loading and appending name one account, first in every condition, and use nothing that engines lack."""
    store = SqlStore(engine, **options)
    store.create()
    with store:
        visit(store)  # the program is registered, and versions are checked, which is not about an account
        with recorded(engine) as sent:
            visit(store)
            club = shop.club(store)
            club.record(shop.order(2, "ann"))
            store.load(Need("shop/ann", everything=True))
            store.load(
                Need("shop/ann", ("k",), ("r",), (("points", 5),), 5, 9, ("l",), ("s",), (("a", "b"),), ("hold",), True)
            )
            with store.exclusive("shop/ann"):
                version = store.load(Need("shop/ann")).head.version
                rows: dict[str, Any] = {"lots": [lot("x")], "items": [item("a", "b"), item("c", "d", None)]}
                store.append(
                    commit("shop/ann", version, "x", balances=[balance(1)], entries=[entry(version + 1)], **rows)
                )
    core = [(statement, values) for statement, values in sent if "loyalty_program" not in statement]
    assert len(core) > 10
    for statement, rows in core:
        assert not FORBIDDEN.search(statement), statement
        assert {"shop/ann"} == {value for row in rows for value in row if str(value).startswith("shop/")}, statement
        assert [] == conditions_without_account(statement), statement
    assert any("FOR UPDATE" in statement for statement, _ in core)
    assert options.get("one_statement", True) == any(statement.startswith("WITH moved") for statement, _ in core)


def conditions_without_account(statement: str) -> list[str]:
    """Return the places at which a table is read or changed without the account as the first condition."""
    wrong = []
    for found in re.finditer(r"\b(FROM|UPDATE|JOIN|INSERT INTO)\s+(loyalty_\w+)", statement):
        verb, table = found.groups()
        rest = statement[found.end() :]
        if verb == "INSERT INTO":
            ok = re.match(r"\s*\(account,", rest)
        else:
            ok = re.search(r"\bWHERE\s+\(?(\S+)", rest)
            ok = ok if ok and ok.group(1) == f"{table}.account" else None
        if not ok:
            wrong.append(found.group())
    return wrong


def test_the_test_of_conditions() -> None:
    """The rule above notices a table without a condition on the account, or with another one before it."""
    good = "SELECT 1 FROM loyalty_lot WHERE loyalty_lot.account = %s AND x = 1"
    assert [] == conditions_without_account(good)
    for wrong in (
        "SELECT 1 FROM loyalty_lot WHERE x = 1 AND loyalty_lot.account = %s",
        "SELECT 1 FROM loyalty_lot",
        "UPDATE loyalty_head SET x = 1 WHERE loyalty_lot.account = %s",
        "INSERT INTO loyalty_lot (lot, account) VALUES (%s, %s)",
    ):
        assert 1 == len(conditions_without_account(wrong))
    assert FORBIDDEN.search("SELECT now()")
    assert FORBIDDEN.search("CREATE TABLE x (id BIGSERIAL)")


def test_round_trips(engine: sa.Engine) -> None:
    """On PostgreSQL a load is one statement and an append another, without BEGIN and COMMIT around them."""
    store = SqlStore(engine, driver=False)
    store.create()
    club = shop.club(store)
    club.record(shop.order(1, "ann"))
    alone: list[bool] = []

    def note(connection: Any, cursor: Any, *rest: Any) -> None:
        alone.append(cursor.connection.autocommit)

    event.listen(engine, "before_cursor_execute", note)
    club.record(shop.order(2, "ann"))
    assert [True, True] == alone


def test_statements_do_not_grow_in_number(engine: sa.Engine) -> None:
    """However many names a load has, there are few statements; those that differ in size alone share one."""
    store = SqlStore(engine, driver=False)
    store.create()
    store.append(commit("p/a"))
    with recorded(engine) as sent:
        for count in (1, 2, 3, 4, 5, 9, 16, 17, 50, 64, 200, 256, 257, 700):
            found = store.load(Need("p/a", keys=tuple(f"order:{number}" for number in range(count))))
            assert ["order:1"] == list(found.records) or count == 1
    assert len({statement for statement, _ in sent}) == 5
    assert len(sent) == 12 + 2 + 3  # two of them are too wide for one


@pytest.mark.parametrize("options", [{}, *WAYS], ids=["driver", "one statement", "plain"])
def test_statements_are_prepared_once(postgresql: servers.PostgreSQL, options: dict[str, Any]) -> None:
    """A statement is prepared once, however large its numbers are; else the server would plan it again and again."""
    engine = sa.create_engine(new_database(postgresql), pool_size=1, max_overflow=0)
    store = SqlStore(engine, **options)
    store.create()
    for version, amount in enumerate([7, 70_000, 2**40] * 7):
        lots = [lot("x")._replace(issued=amount, active=amount, expires_at=amount)]
        store.append(commit("p/a", version, f"k{version}", lots=lots, balances=[balance(amount)]))
        need = Need("p/a", (f"k{version}",), spend=(("points", 1),), spend_at=amount, due=amount)
        assert store.load(need).balances["points"] == balance(amount)
    with engine.connect() as connection:
        prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars().all()
    engine.dispose()
    assert len(prepared) == len(set(prepared))
    kept = [statement for statement in prepared if "loyalty_record" in statement]
    assert len(kept) == 2  # a load and an append


def test_shops_statements_keep_their_kind(engine: sa.Engine) -> None:
    """What the shop sends on the same connection, and listens to, is not touched by our kind of cursor."""
    SqlStore(engine).create()
    twice = sa.text("SELECT :number * 2")

    def listen(connection: sa.Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if "loyalty_" in statement:
            heard.append(connection.execute(twice, {"number": 21}).scalar())

    heard: list[Any] = []
    event.listen(engine, "before_cursor_execute", listen)
    with engine.begin() as connection:
        SqlStore.enlisted(connection).append(commit("p/a"))
        assert 8 == connection.execute(twice, {"number": 4}).scalar()
    event.remove(engine, "before_cursor_execute", listen)
    assert len(heard) >= 2
    assert {42} == set(heard)


@pytest.mark.parametrize("single", [True, False])
def test_connections_go_back_as_they_were(engine: sa.Engine, single: bool) -> None:
    """A connection that was told that each statement stands alone is told so no longer; if it cannot be, it is gone."""
    road = EngineRoad(engine)
    held = road.open(single=single)
    first = held.link.rows("SELECT pg_backend_pid()", ())
    held.close()
    held = road.open(single=single)
    assert first == held.link.rows("SELECT pg_backend_pid()", ())
    held.link.change("BEGIN")
    held.close()
    with engine.connect() as connection:
        assert not connection.connection.driver_connection.autocommit  # type: ignore[union-attr]  # it is open
        assert single != (first[0][0] == connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())


# ---------------------------------------------------------------- errors at every statement

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{}'; END $$"


@pytest.mark.parametrize("options", WAYS, ids=["one statement", "plain"])
@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_overtaken_at_every_statement(engine: sa.Engine, options: dict[str, Any], state: str) -> None:
    """Whichever statement a serialization failure hits, trying again ends in the same books, and nothing is doubled."""
    fail_at_each(engine, options, RAISE.format(state), at_least=12 if options.get("one_statement", True) else 25)


@pytest.mark.parametrize("options", WAYS, ids=["one statement", "plain"])
def test_cut_off_at_every_statement(engine: sa.Engine, options: dict[str, Any]) -> None:
    """Whichever statement the server ends the connection at, the same key again ends in the same books."""
    fail_at_each(engine, options, "SELECT pg_terminate_backend(pg_backend_pid())", at_least=12)


def fail_at_each(engine: sa.Engine, options: dict[str, Any], failing: str, at_least: int) -> None:
    """Let a visit fail at its first statement, at its second, and so on until it has no more."""
    store = SqlStore(engine, **options)
    store.create()
    for index in range(200):
        with engine.begin() as connection:
            for table in tables()[1:-1]:
                connection.execute(sa.delete(table))
        left = [index]

        def fail(connection: Any, cursor: Any, *rest: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                cursor.execute(failing)

        event.listen(engine, "before_cursor_execute", fail)
        shop.insist(lambda: visit(store))
        event.remove(engine, "before_cursor_execute", fail)
        assert [] == shop.wrong(store, ["ann"])
        assert (30, 4) == (shop.points(store, "ann"), store.load(Need("shop/ann")).head.version)
        if left[0] >= 0:
            break
    assert at_least < index < 199


@pytest.mark.parametrize("before", [True, False])
def test_lost_answer_to_commit(engine: sa.Engine, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A COMMIT whose answer is lost is `OutcomeUnknown`, whether it was taken or not; the same key again is safe."""
    store = SqlStore(engine, driver=False, one_statement=False)
    store.create()
    store.append(commit("p/a"))
    losing: list[None] = [None]
    do_commit = engine.dialect.do_commit

    def lose(connection: Any) -> None:
        if losing:
            losing.pop()
            if not before:
                do_commit(connection)
            connection.dbapi_connection.close()
        do_commit(connection)

    monkeypatch.setattr(engine.dialect, "do_commit", lose)
    with pytest.raises(OutcomeUnknown) as caught:
        store.append(commit("p/a", 1))
    assert caught.value.retry
    assert (1 if before else 2) == store.load(Need("p/a")).head.version
    club = shop.club(store)
    losing.append(None)
    club.record(shop.order(1, "ann"))  # a club sends it again by itself
    assert [] == losing
    assert 10 == shop.points(store, "ann")
