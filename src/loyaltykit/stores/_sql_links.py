"""Ways to a database: through SQLAlchemy, straight to a driver's connection, or inside the shop's own transaction.

A `Link` sends finished SQL; what is sent does not depend on the way. A `Road` opens connections and says where a
transaction ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine

from loyaltykit.errors import InputError, StoreUnusable
from loyaltykit.stores._sql_errors import BAD_VALUE, is_a_drivers, is_an_answer, told

Values = Sequence[Any]


class Link(Protocol):
    """One connection, for statements whose values come in the driver's order."""

    def rows(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Return the rows that a statement answers with."""

    def change(self, statement: str, values: Values = ()) -> int:
        """Return how many rows a statement changed."""

    def many(self, statement: str, values: Sequence[Values]) -> int:
        """Send one statement with many rows; return how many changed, -1 where the driver does not say."""


class CoreLink:
    """Over a connection of SQLAlchemy, so that its events, its log and its asyncio see every statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._send: Callable[..., Any] = (
            self._send_raw if connection.dialect.driver in _PSYCOPG else connection.exec_driver_sql
        )

    def rows(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Return the rows that a statement answers with."""
        rows: Sequence[Sequence[Any]] = self._send(statement, tuple(values)).fetchall()
        return rows

    def change(self, statement: str, values: Values = ()) -> int:
        """Return how many rows a statement changed."""
        return int(self._send(statement, tuple(values), {"preserve_rowcount": True}).rowcount)

    def many(self, statement: str, values: Sequence[Values]) -> int:
        """Send one statement with many rows."""
        return int(self._send(statement, list(map(tuple, values)), {"preserve_rowcount": True}).rowcount)

    def _send_raw(self, *what: Any) -> Any:
        """Let SQLAlchemy use a cursor of our kind for this statement; the next one is of its own kind again."""
        pooled = self._connection.connection
        driver: Any = pooled.driver_connection
        usual = driver.cursor_factory
        cursor = pooled.info.get(_CURSOR)
        if cursor is None:
            cursor = psycopg_cursor(driver)
            if hasattr(cursor, "lasts"):
                pooled.info[_CURSOR] = cursor

        def once(*_: Any, **__: Any) -> Any:
            driver.cursor_factory = usual
            return cursor

        driver.cursor_factory = once
        try:
            return self._connection.exec_driver_sql(*what)
        finally:
            driver.cursor_factory = usual


class DriverLink:
    """Over a cursor of the driver itself."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def rows(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        """Return the rows that a statement answers with."""
        self._cursor.execute(statement, values)
        rows: Sequence[Sequence[Any]] = self._cursor.fetchall()
        return rows

    def change(self, statement: str, values: Values = ()) -> int:
        """Return how many rows a statement changed."""
        self._cursor.execute(statement, values)
        return int(self._cursor.rowcount)

    def many(self, statement: str, values: Sequence[Values]) -> int:
        """Send one statement with many rows."""
        self._cursor.executemany(statement, values)
        return int(self._cursor.rowcount)


class Held(NamedTuple):
    """A connection in use. `close` takes back what `commit` did not keep, and must be called.

    `drop`, before it, says that nobody else may have the connection: something was interrupted on it, and its next
    answer may be to an earlier question.
    """

    link: Link
    commit: Callable[[], None]
    close: Callable[[], None]
    drop: Callable[[], None]

    def failed(self, error: BaseException) -> None:
        """Drop the connection if this error is no answer to what was asked."""
        if not is_an_answer(error):
            self.drop()


class Road(Protocol):
    """Where connections come from."""

    place: str  # for messages; never with a password
    dialect: Dialect
    style: str  # how the places of values are marked, as PEP 249 and SQLAlchemy name it
    joined: bool  # whether a transaction of the shop's decides in the end

    @property
    def engine(self) -> Engine | None:
        """The engine that may be used besides, to make the tables."""

    @property
    def shared(self) -> Engine | None:
        """What many stores of one transaction each have in common."""

    def open(self, *, single: bool = False) -> Held:
        """Return a connection: for one statement that is a transaction by itself, or for a transaction."""


class EngineRoad:
    """Through a SQLAlchemy engine, with its pool and its settings."""

    joined = False
    shared = None

    def __init__(self, engine: Engine) -> None:
        self.place = _without_password(engine)
        self.dialect = engine.dialect
        self.style = in_order(engine.dialect)
        self.engine = engine

    def open(self, *, single: bool = False) -> Held:
        """Check a connection out."""
        connection = self.engine.connect()
        close = connection.close
        try:
            if single and self.dialect.name == "postgresql":
                close = _by_itself(connection)
            elif not single and self.dialect.name == "sqlite":
                begin(connection.connection.driver_connection, CoreLink(connection), " IMMEDIATE")
        except BaseException as error:
            if not is_an_answer(error):
                connection.invalidate()
            connection.close()
            raise
        return Held(CoreLink(connection), connection.commit, close, connection.invalidate)


def _by_itself(connection: Connection) -> Callable[[], None]:
    """Let each statement be a transaction, in one round trip without BEGIN; return what ends that and closes.

    The driver is told so, and not SQLAlchemy, whose AUTOCOMMIT takes as long as the statement.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True

    def close() -> None:
        try:
            if not connection.invalidated:
                driver.autocommit = False
        except BaseException as error:  # it was lost, is still busy, or this was interrupted: nobody else may have it
            connection.invalidate()
            if not isinstance(error, Exception):
                raise
        finally:
            connection.close()

    return close


class PsycopgRoad:
    """Through a SQLAlchemy engine's pool and from there straight to psycopg: the same statements in less time."""

    joined = False
    shared = None
    style = "numeric_dollar"

    def __init__(self, engine: Engine) -> None:
        self.place = _without_password(engine)
        self.dialect = engine.dialect
        self.engine = engine

    def open(self, *, single: bool = False) -> Held:
        """Check a connection out."""
        pooled = self.engine.raw_connection()
        connection: Any = pooled.driver_connection
        link = pooled.info.get(_LINK)
        if link is None:
            link = pooled.info[_LINK] = DriverLink(psycopg_cursor(connection))

        def drop() -> None:
            if pooled.is_valid:
                pooled.invalidate()

        def close() -> None:
            if connection.closed:
                drop()
            elif single:
                connection.autocommit = False
            pooled.close()

        if single:
            try:
                connection.autocommit = True
            except BaseException:
                drop()
                pooled.close()
                raise
        return Held(link, connection.commit, close, drop)


_LINK, _CURSOR = "loyaltykit.link", "loyaltykit.cursor"
_PSYCOPG = ("psycopg", "psycopg_async")


def psycopg_cursor(connection: Any) -> Any:
    """Return a cursor that gives tuples, takes PostgreSQL's own $1 and sends every int as a BIGINT.

    So nothing is searched for percent signs, and a statement is prepared once, not once for each size of its numbers.
    """
    from psycopg import AsyncConnection, AsyncRawCursor
    from psycopg.rows import tuple_row
    from psycopg.types.numeric import Int8Dumper

    kind: Any = AsyncRawCursor if isinstance(connection, AsyncConnection) else _lasting_cursor()
    cursor = kind(connection, row_factory=tuple_row)
    cursor.adapters.register_dumper(int, Int8Dumper)
    return cursor


@cache
def _lasting_cursor() -> Any:
    """Return a kind of cursor that can be used again after SQLAlchemy has closed it: making one takes a while."""
    from psycopg import RawCursor

    class LastingCursor(RawCursor[Any]):
        lasts = True

        def close(self) -> None:
            pass

    return LastingCursor


class JoinedRoad:
    """Inside a transaction that the shop has begun and will end: what would be a transaction is a savepoint."""

    joined = True
    engine = None
    _commits_by_itself = False
    shared: Engine | None = None

    def __init__(self, connection: Any) -> None:
        if isinstance(connection, Connection):
            self.place = _without_password(connection.engine)
            self.shared = connection.engine
            self.dialect = connection.dialect
            self.style = in_order(connection.dialect)
            self._link: Link = CoreLink(connection)
            self._commits_by_itself = commits_by_itself(connection)
            self._driver: Callable[[], Any] = lambda: connection.connection.driver_connection
            self._gone: Callable[[], bool] = lambda: connection.closed or connection.invalidated
        elif isinstance(connection, sqlite3.Connection):
            self.place = "the shop's SQLite connection"
            self.dialect = sqlite.dialect()
            self.style = "qmark"
            cursor = connection.cursor()
            cursor.row_factory = None
            self._link = DriverLink(cursor)
            self._driver = lambda: connection
            self._gone = lambda: False
        elif type(connection).__module__.split(".")[0] == "psycopg" and hasattr(connection, "pgconn"):
            self.place = "the shop's PostgreSQL connection"
            self.dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
            self.style = PsycopgRoad.style
            self._link = DriverLink(psycopg_cursor(connection))
            self._driver = lambda: connection
            self._gone = lambda: bool(connection.closed)
        else:
            raise InputError(
                "connection",
                connection,
                "give a connection of SQLAlchemy, sqlite3 or psycopg (Django's is connection.connection)",
            )

    def open(self, *, single: bool = False) -> Held:
        """Return the shop's connection, in a savepoint unless it is for a single statement."""
        self._begin()
        link = self._link
        if single:
            return Held(link, _nothing, _nothing, _nothing)
        link.change(f"SAVEPOINT {_SAVEPOINT}")
        kept = False

        def commit() -> None:
            nonlocal kept
            link.change(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            kept = True

        def close() -> None:
            if not kept and not self._gone():  # a connection that is lost, or was cancelled, has rolled back by itself
                link.change(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                link.change(f"RELEASE SAVEPOINT {_SAVEPOINT}")

        return Held(link, commit, close, _nothing)

    def _begin(self) -> None:
        """Make sure that a transaction is open, so that the end of a savepoint does not end it."""
        driver = self._driver()
        if self._commits_by_itself:
            raise StoreUnusable(f"{self.place} is in AUTOCOMMIT: begin a transaction, write, and commit it yourself")
        if self.dialect.name == "sqlite":
            if driver.in_transaction:
                return
            if driver.isolation_level is not None:
                begin(driver, self._link, f" {driver.isolation_level}".rstrip())
                return
        elif getattr(driver, "autocommit", None) is not True or driver.info.transaction_status:
            return
        raise StoreUnusable(f"{self.place} is in no transaction: begin one, write, and commit it yourself")


def begin(driver: Any, link: Link, how: str = "") -> None:
    """Begin a transaction on SQLite, unless one is open: by itself the driver does so with the first change only."""
    if not driver.in_transaction:
        link.change("BEGIN" + how)


_SAVEPOINT = "loyaltykit"


def _nothing() -> None:
    pass


def commits_by_itself(of: Engine | Connection) -> bool:
    """Return whether statements over this would each be a transaction by itself."""
    dialect_wide = getattr(of.dialect, "_on_connect_isolation_level", None)  # what create_engine() was told
    return of.get_execution_options().get("isolation_level", dialect_wide) == "AUTOCOMMIT"


def in_order(dialect: Dialect) -> str:
    """Return the style in which this driver takes values in order, which is less work than by name."""
    if dialect.driver in _PSYCOPG:
        return PsycopgRoad.style
    return "format" if dialect.paramstyle == "pyformat" else dialect.paramstyle


def _without_password(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def told_as(place: str, *, committing: bool = False) -> Iterator[None]:
    """Raise what a driver or SQLAlchemy raises as a `StoreError`."""
    try:
        yield
    except (exc.SQLAlchemyError, *BAD_VALUE) as error:
        raise told(error, place, committing=committing) from error
    except Exception as error:
        if is_a_drivers(error):
            raise told(error, place, committing=committing) from error
        raise
