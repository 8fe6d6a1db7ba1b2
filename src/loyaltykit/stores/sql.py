"""The store on a database server: PostgreSQL, MariaDB, MySQL, or SQLite through SQLAlchemy. Extra ``sql``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

try:
    import sqlalchemy as sa
    from sqlalchemy.engine import URL, Connection, Engine
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("SqlStore needs SQLAlchemy: pip install 'loyaltykit[sql]'", name=error.name) from None

from loyaltykit.errors import InputError, StaleVersion, StoreBusy, StoreError, StoreUnusable
from loyaltykit.journal import Balance, Commit, Context, Head, Need
from loyaltykit.stores import _sql_schema
from loyaltykit.stores._commits import check_commit, check_replacement, other_version
from loyaltykit.stores._sql_again import run_transaction
from loyaltykit.stores._sql_desk import Chain, Desk, chained, is_about_rows
from loyaltykit.stores._sql_links import (
    EngineRoad,
    Held,
    JoinedRoad,
    Link,
    PsycopgRoad,
    Road,
    commits_by_itself,
    told_as,
)
from loyaltykit.stores._sql_rows import change, split, together, too_wide
from loyaltykit.stores._sql_schema import VERSIONS
from loyaltykit.stores._sql_statements import Sent, statements
from loyaltykit.stores._sql_tables import PREFIX, Tables, tables

__all__ = ["PREFIX", "VERSIONS", "SqlStore", "Tables", "metadata", "run_transaction", "tables"]

metadata = tables().metadata
"""The tables of a store under their default names, for a shop's own migrations. See `tables` for other names."""

MANY_ATTEMPTS = 3
"""How often `append_many` begins again where its whole transaction was overtaken; then each commit is told so."""

LOADS = 60
"""How often a load that takes several statements begins again where a writer came between."""

_HEAD = len(Head._fields)


class _Pin:
    """A connection that keeps one account locked, for the thread or task that asked for it."""

    def __init__(self, store: SqlStore, account: str, held: Held) -> None:
        self.store = store
        self.account = account
        self.held: Held | None = held

    def end(self) -> None:
        """Let go of the connection, and with it of the lock. Again is nothing."""
        held, self.held = self.held, None
        if held is not None:
            held.close()


_known_to_fit: WeakKeyDictionary[Engine, set[sa.MetaData]] = WeakKeyDictionary()
"""Tables that stores inside a shop's transactions need not look at again: there may be a new store for each order."""

_pins: ContextVar[tuple[_Pin, ...]] = ContextVar("loyaltykit.pins", default=())


class SqlStore:
    """Keep accounts in a database, for any number of processes and machines.

    Safety rests on the version check alone, so it holds at every isolation level; locks are only a hint. Each call
    takes a connection of the engine's pool for as long as it lasts. The tables are made once, with `create`.

    Args:
        engine: an engine of SQLAlchemy, or the address for one: ``"postgresql+psycopg://..."``.
        schema: the database schema in which the tables lie; None for the connection's own.
        prefix: what the tables' names begin with.
        one_statement: whether a commit is sent as one statement that changes several tables, and a load is answered in
            arrays. None, the default: on PostgreSQL itself. False where something that speaks its protocol cannot do
            that; the plain statements then sent are the same as on every other database.
        driver: whether statements go straight to the driver, which saves time but hides them from SQLAlchemy's events
            and log. None, the default: with psycopg.

    Raises:
        InputError: a `prefix` that cannot begin a plain SQL name, or an engine in AUTOCOMMIT.

    >>> import sqlalchemy as sa
    >>> from loyaltykit.journal import Commit, Head, Need, Record
    >>> order = Record(1, "order:1", "order", None, 0, 0, "f1", "applied", "{}", "[]", "{}")
    >>> with SqlStore(sa.create_engine("sqlite://", poolclass=sa.StaticPool)) as store:
    ...     store.create()
    ...     store.append(Commit("coffee/ann", 0, Head(1, 0, 0, 0, 0), [order]))
    ...     store.load(Need("coffee/ann", keys=("order:1",))).records["order:1"].kind
    'order'
    """

    def __init__(
        self,
        engine: Engine | URL | str,
        *,
        schema: str | None = None,
        prefix: str = PREFIX,
        one_statement: bool | None = None,
        driver: bool | None = None,
    ) -> None:
        own = None if isinstance(engine, Engine) else sa.create_engine(engine)
        used: Engine = own if own is not None else engine  # type: ignore[assignment]
        if commits_by_itself(used):
            raise InputError("engine", engine, "give one that is not in AUTOCOMMIT, for a commit must be whole")
        if driver is None:
            driver = used.dialect.driver == "psycopg" and not used.dialect.is_async
        self._set_up(PsycopgRoad(used) if driver else EngineRoad(used), tables(schema, prefix), one_statement)
        self._own: Engine | None = own

    @classmethod
    def enlisted(
        cls, connection: Any, *, schema: str | None = None, prefix: str = PREFIX, one_statement: bool | None = None
    ) -> SqlStore:
        """Return a store inside the transaction that is open on the shop's own `connection`.

        What is written becomes durable with the shop's COMMIT, together with what else the shop wrote, and is gone with
        its ROLLBACK. Nothing is committed here and nothing tried again: `StaleVersion` says that the shop's whole
        transaction is to be done again, for which there is `run_transaction`.

        Args:
            connection: of SQLAlchemy, or a plain one of sqlite3 or psycopg, such as Django's ``connection.connection``.
            schema: as for a store of its own.
            prefix: likewise.
            one_statement: likewise.

        Raises:
            InputError: a connection of another kind.

        >>> import sqlalchemy as sa
        >>> from loyaltykit.testing._rows import commit
        >>> engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        >>> SqlStore(engine).create()
        >>> with engine.connect() as connection:
        ...     SqlStore.enlisted(connection).append(commit("coffee/ann"))
        ...     connection.rollback()
        >>> SqlStore(engine).accounts("coffee")
        []
        """
        store = cls.__new__(cls)
        store._set_up(JoinedRoad(connection), tables(schema, prefix), one_statement)
        store._own = None
        return store

    def _set_up(self, road: Road, own: Tables, one_statement: bool | None) -> None:
        self._road = road
        self._tables = own
        one_statement = road.dialect.name == "postgresql" if one_statement is None else one_statement
        self._statements = statements(own, type(road.dialect), road.style, one_statement)  # type: ignore[arg-type]
        self._desk = Desk(self._statements, road.place)
        self._locks_all = road.dialect.name == "sqlite"  # it has one writer at a time, whatever is written
        self._checked = False
        self._closed = False

    @property
    def joined(self) -> bool:
        """Whether this store is inside a transaction of the shop's, which alone can be tried again."""
        return self._road.joined

    # ------------------------------------------------------------ the tables

    def create(self) -> None:
        """Make the tables where they are not there yet. Again is nothing.

        Raises:
            StoreUnusable: there are tables of another version; `upgrade` brings older ones up to date.
        """
        self._with_tables(_sql_schema.create)

    def upgrade(self) -> None:
        """Bring tables that an older loyaltykit made up to date. Up to date is nothing.

        Raises:
            StoreUnusable: a later loyaltykit made them, or there are none.
        """
        self._with_tables(_sql_schema.upgrade)

    def _with_tables(self, do: Callable[[Connection, Tables], None]) -> None:
        if self._closed or self._road.engine is None:
            raise StoreUnusable("tables are made by a SqlStore(engine) that is open, and not in a shop's transaction")
        with told_as(self._road.place), self._road.engine.begin() as connection:
            do(connection, self._tables)
        self._check()

    # ------------------------------------------------------------ the protocol

    def load(self, need: Need) -> Context:
        """Return one consistent view of an account. The law: `Store.load`."""
        with self._opened(need.account, single=True) as link:
            if need.everything or not too_wide(need):
                return self._desk.view(link, need)
            for _ in range(LOADS):
                context = together([self._desk.view(link, part) for part in split(need)])
                if context is not None:
                    return context
        raise StoreBusy(f"{need.account} was changed by others each time while so much of it was read; try again")

    def append(self, commit: Commit) -> None:
        """Apply `commit` durably and whole, or raise and change nothing. The law: `Store.append`."""
        new = change(check_commit(commit), [commit])
        try:
            with self._opened(commit.account, single=self._desk.one_statement and not self.joined, keep=True) as link:
                self._desk.put(link, new, commit)
        except StoreError as error:
            if not is_about_rows(error):
                raise
            with self._opened(commit.account, single=True) as link:
                raise self._desk.why(link, commit, error) from error.__cause__

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Apply each commit whole or not at all, in one transaction. The law: `Store.append_many`."""
        outcomes, chains = chained(commits)
        found: dict[int, StoreError] = {}
        for _ in range(MANY_ATTEMPTS):
            try:
                found = self._append_chains(chains)
                break
            except StaleVersion as error:  # a deadlock, or a serialization failure: nothing was applied
                if self.joined:
                    raise
                found = {place: error for chain in chains for place, _ in chain}
        return [found.get(place, outcome) for place, outcome in enumerate(outcomes)]

    def _append_chains(self, chains: Sequence[Chain]) -> dict[int, StoreError]:
        try:
            with self._opened(keep=True) as link:
                return self._desk.put_together(link, chains)
        except StoreError as error:
            if error.__cause__ is not None and not is_about_rows(error):
                raise
        # Rare: one of them must be refused, or was overtaken just now. Find out which, one by one.
        with self._opened(keep=True) as link:
            return self._desk.put_one_by_one(link, chains)

    @contextmanager
    def exclusive(self, account: str) -> Iterator[None]:
        """Lock the account's row, and load, decide and append inside: other writers that ask so come after.

        A hint: nothing depends on it. The lock ends with the first `append` to the account, or when this is left; in a
        transaction of the shop's, with that. One connection is kept until then.
        """
        self._check()
        lock = self._statements.lock
        pin = self._pin(account)
        if pin is not None or self.joined:
            with self._opened(account, single=True) as link:
                link.change(lock.sql, lock.values({"account": account}))
            yield
            return
        with told_as(self._road.place):
            held = self._road.open()
            try:
                held.link.change(lock.sql, lock.values({"account": account}))
            except BaseException as error:
                held.failed(error)
                held.close()
                raise
        pin = _Pin(self, account, held)
        _pins.set((*_pins.get(), pin))
        try:
            yield
        finally:
            _pins.set(tuple(each for each in _pins.get() if each is not pin))
            with told_as(self._road.place):
                pin.end()

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return a page of a program's accounts by name. The law: `Store.accounts`."""
        rows = self._rows(self._statements.accounts, _page(program, after, limit))
        return [(row[0], Head._make(row[1:])) for row in rows]

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Return a page of a program's balances in `unit` by name of account. The law: `Store.balances`."""
        rows = self._rows(self._statements.balances, {"unit": unit, **_page(program, after, limit)})
        return [(row[0], Head._make(row[1 : 1 + _HEAD]), Balance._make(row[1 + _HEAD :])) for row in rows]

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Return accounts whose `next_at` is at or before `before`, soonest first. The law: `Store.due`."""
        values = {"program": program, "before": before, "limit": max(limit, 0)}
        return [row[0] for row in self._rows(self._statements.due, values)]

    def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """Return the registered versions of a program. The law: `Store.versions`."""
        return [(row[0], row[1], row[2]) for row in self._rows(self._statements.programs, {"program": program})]

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep a version of a program. The law: `Store.register`."""
        new = (version, effective_from, payload)
        for _ in range(2):
            known = {row[0]: row for row in self.versions(program)}.get(version)
            if known is not None:
                break
            names = ("new_program", "new_version", "new_effective_from", "new_payload")
            put = self._statements.put_program
            try:
                with self._opened(keep=True) as link:
                    link.change(put.sql, put.values(dict(zip(names, (program, *new), strict=True))))
            except StoreError as error:
                if not is_about_rows(error):
                    raise
        if known != new:
            raise StoreError(other_version(program, version))

    def programs(self) -> Sequence[str]:
        """Return the names of the registered programs. The law: `Store.programs`."""
        return [row[0] for row in self._rows(self._statements.program_names, {})]

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Put another stream in the place of an account. The law: `Store.replace`."""
        check_replacement(account, expected, instead)
        with self._opened(account, keep=True) as link:
            self._desk.put_instead(link, account, expected, instead)

    def close(self) -> None:
        """Let go of the engine, if the store made it from an address. Closing twice is nothing."""
        self._closed = True
        if self._own is not None:
            self._own.dispose()

    def __enter__(self) -> SqlStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SqlStore {self._road.place}{', closed' if self._closed else ''}>"

    # ------------------------------------------------------------ connections

    def _check(self) -> None:
        """Refuse a closed store, and once, at first, tables of another version."""
        if self._closed:
            raise StoreUnusable(f"the store at {self._road.place} has been closed; make another one")
        if self._checked:
            return
        shared = self._road.shared
        known = set() if shared is None else _known_to_fit.setdefault(shared, set())
        if self._tables.metadata not in known:
            with told_as(self._road.place):
                held = self._road.open(single=True)
                try:
                    _sql_schema.check(held.link, self._statements)
                finally:
                    held.close()
            known.add(self._tables.metadata)
        self._checked = True

    def _pin(self, account: str) -> _Pin | None:
        """Return what keeps the account locked for this thread or task."""
        for pin in _pins.get():
            if pin.store is self and pin.held is not None and (pin.account == account or self._locks_all):
                return pin
        return None

    @contextmanager
    def _opened(self, account: str = "", *, single: bool = False, keep: bool = False) -> Iterator[Link]:
        """Yield a link: the one that locks the account, if there is one, else a new one.

        It is in a transaction, unless `single` statements will do; what was written is kept in the end if `keep` says
        so. Every failure is a `StoreError`.
        """
        self._check()
        pin = self._pin(account)
        held = None if pin is None else pin.held
        alone = single and held is None
        with told_as(self._road.place, committing=keep and alone):
            if held is None:
                held = self._road.open(single=single)
            try:
                yield held.link
                if keep and alone:
                    held.commit()  # sends nothing, but who reads SQLAlchemy's log sees no ROLLBACK
                elif keep:
                    with told_as(self._road.place, committing=True):
                        held.commit()
            except BaseException as error:
                held.failed(error)
                raise
            finally:
                if pin is None:
                    held.close()
                elif keep:
                    pin.end()

    def _rows(self, statement: Sent, values: dict[str, Any]) -> Sequence[Sequence[Any]]:
        with self._opened(single=True) as link:
            return link.rows(statement.sql, statement.values(values))


def _page(program: str, after: str, limit: int) -> dict[str, Any]:
    first = f"{program}/"
    end = f"{program}0"  # "0" follows "/"
    return {"first": max(first, after), "end": end, "after": after, "program": program, "limit": max(limit, 0)}
