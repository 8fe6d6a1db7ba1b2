"""Databases for the tests of the SQL store: SQLite in files, and real servers that the session itself starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import servers
import sqlalchemy as sa

from loyaltykit.stores.sql import SqlStore

MakeEngine = Callable[..., sa.Engine]
_numbers = count(1)


def skip_loudly(absent: servers.Absent) -> None:
    """Skip, and say so where nobody overlooks it, even where the reasons of skips are not shown."""
    print(f"\nNOT TESTED: {absent}", file=sys.__stderr__, flush=True)
    pytest.skip(str(absent))


def new_database(server: Any) -> str:
    """Make an empty database on a server, and return its address."""
    name = f"db{next(_numbers)}"
    first = "postgres" if isinstance(server, servers.PostgreSQL) else "mysql"
    admin = sa.create_engine(server.url(first), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return str(server.url(name))


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], sa.URL]:
    """Return what makes an empty database of a kind and returns its address, for tests with kinds of their own."""

    def make(kind: str) -> sa.URL:
        if kind == "sqlite":
            return sa.make_url(f"sqlite:///{tmp_path / str(next(_numbers))}.db")
        return sa.make_url(new_database(request.getfixturevalue(kind)))

    return make


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.PostgreSQL]:
    """Run a server of PostgreSQL for the whole session."""
    pytest.importorskip("psycopg", reason="PostgreSQL is tested through psycopg: pip install psycopg[binary]")
    try:
        with servers.postgresql(durable=False) as server:
            yield server
    except servers.Absent as absent:
        skip_loudly(absent)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.MariaDB]:
    """Run a server of MariaDB for the whole session."""
    pytest.importorskip("pymysql", reason="MariaDB is tested through PyMySQL: pip install pymysql")
    try:
        with servers.mariadb() as server:
            yield server
    except servers.Absent as absent:
        skip_loudly(absent)


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def address(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Return what makes an empty database and returns its address."""
    if database == "sqlite":
        folder = tmp_path_factory.mktemp("databases")
        return lambda: f"sqlite:///{folder / str(next(_numbers))}.db"
    server = request.getfixturevalue(database)
    return lambda: new_database(server)


@pytest.fixture
def make_engine(address: Callable[[], str]) -> Iterator[MakeEngine]:
    """Return what makes an engine on an empty database, with SQLAlchemy's arguments; they are disposed of at last."""
    made: list[sa.Engine] = []

    def make(url: str | None = None, **arguments: Any) -> sa.Engine:
        engine = sa.create_engine(url or address(), **arguments)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def store(make_engine: MakeEngine) -> SqlStore:
    """Return an empty store."""
    made = SqlStore(make_engine())
    made.create()
    return made


@pytest.fixture(scope="session")
def reused(database: str, address: Callable[[], str]) -> Iterator[Callable[[], SqlStore]]:
    """Return what makes empty stores quickly: on tables that earlier ones have let go of, emptied, without syncing."""
    engine = sa.create_engine(address(), pool_size=5)
    quick = {"sqlite": "PRAGMA synchronous = OFF", "postgresql": "SET synchronous_commit = off"}.get(database)

    @sa.event.listens_for(engine, "connect")
    def do_not_wait(connection: Any, record: Any) -> None:
        if quick is not None:
            connection.execute(quick)
            connection.commit()

    free: list[str] = []
    names = count(1)

    class Reused(SqlStore):
        def close(self) -> None:
            if not self._closed:
                free.append(self.prefix)
            super().close()

    def make() -> SqlStore:
        if not free:
            prefix = f"t{next(names)}_"
            made = Reused(engine, prefix=prefix)
            made.create()
        else:
            prefix = free.pop()
            made = Reused(engine, prefix=prefix)
            with engine.begin() as connection:
                for table in made._tables[1:-1]:
                    connection.exec_driver_sql(f"DELETE FROM {table.name}")
        made.prefix = prefix
        return made

    yield make
    engine.dispose()
