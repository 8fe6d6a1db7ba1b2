"""The store in one SQLite file: the embedded default, on the standard library alone."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from weakref import WeakSet

from loyaltykit.errors import StaleVersion, StoreBusy, StoreError, StoreForked, StoreUnusable
from loyaltykit.journal import Balance, Commit, Context, Head, Need
from loyaltykit.stores import _sqlite_schema as sql
from loyaltykit.stores._commits import check_commit, check_replacement, key_twice, other_version, stale
from loyaltykit.stores._sqlite_errors import BAD_VALUE, CONSTRAINT, FAILURES, primary_code, told
from loyaltykit.stores._sqlite_file import Connection, locate, prepare
from loyaltykit.stores._sqlite_rows import (
    balance,
    glance,
    head_outcome,
    move_head,
    put_instead,
    put_rows,
    put_together,
    stored_version,
    view,
)
from loyaltykit.stores._sqlite_upkeep import back_up, write_anew
from loyaltykit.stores._turnstile import Turnstile


class _Thread(threading.local):
    """What a thread keeps for itself; it ends with the thread."""

    connection: Connection | None = None
    turns = 0  # how many calls, one inside the other, are in the turn that this thread has


class _Turn:
    """The turn to write: waited for unless the thread has it already, and given up at the end."""

    def __init__(self, path: str, turnstile: Turnstile, thread: _Thread, timeout: float) -> None:
        self._path, self._turnstile, self._thread, self._timeout = path, turnstile, thread, timeout

    def __enter__(self) -> None:
        thread = self._thread
        if thread.turns == 0 and not self._turnstile.enter(self._timeout):
            raise StoreBusy(f"other writers of {self._path} did not finish within {self._timeout:g} seconds")
        thread.turns += 1

    def __exit__(self, *raised: object) -> None:
        thread = self._thread
        thread.turns -= 1
        if thread.turns == 0:
            self._turnstile.leave()


class SQLiteStore:
    """Keep accounts in the file `path`, durably, for the threads of several processes.

    What `append` acknowledged survives ``kill -9`` and power cuts: every commit is one transaction in SQLite's
    write-ahead log with ``synchronous=FULL``. Several processes may open the same file, each with a store of its own;
    writers take turns in the order in which they come. The file must lie on a local disk, since the log is shared
    through memory. Beside it stand ``-wal`` and ``-shm`` (SQLite's) and ``-lock`` and ``-next`` (always empty).
    The tables are plain SQL, described in the file itself.

    Args:
        path: of a file that is a store, or that does not exist yet, in a folder that does.
        timeout: how many seconds a call waits for other writers before it raises `StoreBusy`.

    Raises:
        InputError: ``":memory:"``, an empty path, or a `timeout` that is no number of seconds.
        StoreUnusable: the folder does not exist, or the file is not a store, damaged, or of a later schema.
        StoreReadOnly: the file or the folder may not be written.
        StoreBusy: another program kept the file locked.

    >>> import tempfile
    >>> from loyaltykit.journal import Commit, Head, Need, Record
    >>> order = Record(1, "order:1", "order", None, 0, 0, "f1", "applied", "{}", "[]", "{}")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SQLiteStore(folder + "/shop.db") as store:
    ...         store.append(Commit("coffee/ann", 0, Head(1, 0, 0, 0, 0), [order]))
    ...     with SQLiteStore(folder + "/shop.db") as store:
    ...         store.load(Need("coffee/ann", keys=("order:1",))).records["order:1"].kind
    'order'
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 30.0) -> None:
        self._closed = True
        self._path, self._timeout = locate(path, timeout)
        self._pid = os.getpid()
        self._thread = _Thread()
        self._admin = threading.Lock()  # guards the set of connections
        self._connections: WeakSet[Connection] = WeakSet()
        self._turnstile = prepare(self._path, self._timeout)
        self._turn = _Turn(self._path, self._turnstile, self._thread, self._timeout)
        self._closed = False

    @property
    def path(self) -> str:
        """The file's real path."""
        return self._path

    # ------------------------------------------------------------ the protocol

    def load(self, need: Need) -> Context:
        """Return one consistent view of an account. The law: `Store.load`."""
        connection = self._connection()
        with connection.lock:
            try:
                context = glance(connection, need)
                if context is None:
                    connection.execute("BEGIN")
                    context = view(connection, need)
                    connection.execute("COMMIT")
            except FAILURES as error:
                raise self._failed(connection, error) from error
            except BaseException:
                connection.undo()
                raise
        return context

    def append(self, commit: Commit) -> None:
        """Apply `commit` durably and whole, or raise and change nothing. The law: `Store.append`."""
        program = check_commit(commit)
        connection = self._connection()
        with self._turn, connection.lock:
            try:
                self._begin(connection)
                if not move_head(connection, commit, program):
                    raise StaleVersion(stale(commit, stored_version(connection, commit.account)))
                put_rows(connection, commit)
            except CONSTRAINT as error:
                connection.undo()
                raise self._why(connection, commit, error) from error
            except FAILURES as error:
                raise self._failed(connection, error) from error
            except BaseException:
                connection.undo()
                raise
            self._commit(connection)

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Apply each commit whole or not at all, in one transaction. The law: `Store.append_many`."""
        connection = self._connection()
        with self._turn, connection.lock:
            try:
                self._begin(connection)
                try:
                    outcomes = put_together(connection, commits)
                except (*CONSTRAINT, *BAD_VALUE):
                    # Rare: a commit that must be refused for its rows. Find out which, one by one.
                    connection.undo()
                    self._begin(connection)
                    outcomes = self._put_one_by_one(connection, commits)
            except FAILURES as error:
                raise self._failed(connection, error) from error
            except BaseException:
                connection.undo()
                raise
            self._commit(connection)
        return outcomes

    @contextmanager
    def exclusive(self, account: str) -> Iterator[None]:
        """Take the turn to write and keep it: load, decide and append inside, and no other writer comes between.

        SQLite has one writer at a time, so until this is left the other accounts' writers wait too: decide quickly,
        and do not wait inside for another thread that writes.
        """
        self._connection()
        with self._turn:
            yield

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return a page of a program's accounts by name. The law: `Store.accounts`."""
        rows = self._rows(sql.ACCOUNTS, _page(program, after, limit))
        return [(row[0], Head._make(row[1:])) for row in rows]

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Return a page of a program's balances in `unit` by name of account. The law: `Store.balances`."""
        rows = self._rows(sql.BALANCES, (unit, *_page(program, after, limit)))
        return [(account, Head._make(head), balance(name, numbers)) for account, *head, name, numbers in rows]

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Return accounts whose `next_at` is at or before `before`, soonest first. The law: `Store.due`."""
        return [row[0] for row in self._rows(sql.DUE, (program, before, max(limit, 0)))]

    def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """Return the registered versions of a program. The law: `Store.versions`."""
        return [(row[0], row[1], row[2]) for row in self._rows(sql.PROGRAMS, (program,))]

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep a version of a program. The law: `Store.register`."""
        known = self._rows(sql.PROGRAM, (program, version))
        if not known:
            with self._transaction() as connection:
                known = connection.execute(sql.PROGRAM, (program, version)).fetchall()
                if not known:
                    connection.execute(sql.PUT_PROGRAM, (program, version, effective_from, payload))
        if known and known[0] != (effective_from, payload):
            raise StoreError(other_version(program, version))

    def programs(self) -> Sequence[str]:
        """Return the names of the registered programs. The law: `Store.programs`."""
        names: list[str] = []
        while (name := self._rows(sql.NEXT_PROGRAM, (names[-1] if names else "",))[0][0]) is not None:
            names.append(name)
        return names

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Put another stream in the place of an account. The law: `Store.replace`; for the file see `compact`."""
        program = check_replacement(account, expected, instead)
        with self._transaction() as connection:
            connection.seen = None
            put_instead(connection, account, expected, instead, program)

    # ------------------------------------------------------------ the file

    def backup(self, path: str | os.PathLike[str]) -> str:
        """Copy the store, while it is at work, to the file `path`, which must not exist; return its real path.

        The copy is a store like any other. It holds everything that was acknowledged before the call, and the store as
        it was at one instant; writers are not kept waiting. A copy that was interrupted does not bear the name.
        """
        connection = self._connection()
        with connection.lock:
            try:
                return back_up(connection, path)
            except FAILURES as error:
                raise self._failed(connection, error) from error

    def compact(self) -> None:
        """Write the file anew, so that nothing of what was removed or changed is left in its free space or its log.

        It takes about as long as copying the file, and as much space besides; writers wait. Raises `StoreBusy` where a
        reader in another process holds on to the log for the whole time allowed.
        """
        connection = self._connection()
        with self._turn, connection.lock:
            try:
                write_anew(connection, self._path)
            except FAILURES as error:
                raise self._failed(connection, error) from error

    def close(self) -> None:
        """Close the connections of all threads, each after the call that it is busy with. Closing twice is nothing."""
        if self._closed or os.getpid() != self._pid:
            self._closed = True  # in a forked child the connections are the parent's
            return
        self._closed = True
        with self._admin:
            connections = list(self._connections)
        for connection in connections:
            with connection.lock:
                connection.close()
        self._turnstile.close()

    def __enter__(self) -> SQLiteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path}{', closed' if self._closed else ''}>"

    # ------------------------------------------------------------ connections and turns

    def _connection(self) -> Connection:
        """Return this thread's connection; it is closed with the store, or when the thread ends."""
        if self._closed:
            raise StoreUnusable(f"the store {self._path} has been closed; open it again")
        if os.getpid() != self._pid:
            raise StoreForked(
                f"the store {self._path} was opened before this process was forked, and SQLite forbids sharing it; "
                "open a SQLiteStore of its own in each process"
            )
        connection = self._thread.connection
        if connection is None or connection.broken:
            try:
                connection = Connection(self._path, self._timeout)
            except FAILURES as error:
                raise told(error, self._path) from error
            with self._admin:
                if self._closed:
                    connection.close()
                    raise StoreUnusable(f"the store {self._path} has been closed; open it again")
                self._connections.add(connection)
            self._thread.connection = connection
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Write in one transaction, durable when this is left."""
        connection = self._connection()
        with self._turn, connection.lock:
            try:
                self._begin(connection)
                yield connection
            except FAILURES as error:
                raise self._failed(connection, error) from error
            except BaseException:
                connection.undo()
                raise
            self._commit(connection)

    def _begin(self, connection: Connection) -> None:
        if self._turnstile.spans_processes:
            connection.execute("BEGIN IMMEDIATE")
            return
        # No turns between processes: SQLite's own waiting lets one of them starve, short random pauses do not.
        deadline = time.monotonic() + self._timeout
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                        raise
                time.sleep(random.uniform(0.0002, 0.003))
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute("COMMIT")
        except FAILURES as error:
            raise self._failed(connection, error, committing=True) from error
        except BaseException:
            connection.undo()
            raise

    def _failed(self, connection: Connection, error: BaseException, *, committing: bool = False) -> StoreError:
        """Undo what the connection began, and return the error to raise."""
        connection.undo()
        if self._closed:
            return StoreUnusable(f"the store {self._path} was closed during the call")
        return told(error, self._path, committing=committing)

    def _why(self, connection: Connection, commit: Commit, error: BaseException) -> StoreError:
        """Return the error for rows that the tables refused, after they were undone."""
        try:
            for record in commit.records:
                if connection.execute(sql.RECORDS_BY_KEY, (commit.account, record.key)).fetchone():
                    return StoreError(key_twice(commit.account, record.key))
        except FAILURES:
            pass
        return told(error, self._path)

    def _put_one_by_one(self, connection: Connection, commits: Sequence[Commit]) -> list[StoreError | None]:
        outcomes: list[StoreError | None] = []
        failed: set[str] = set()
        for commit in commits:
            connection.execute("SAVEPOINT one")
            try:
                outcome = head_outcome(connection, commit, failed)
                if outcome is None:
                    put_rows(connection, commit)
            except (*CONSTRAINT, *BAD_VALUE) as error:
                connection.execute("ROLLBACK TO one")
                outcome = self._why(connection, commit, error)
            connection.execute("RELEASE one")
            if outcome is not None:
                failed.add(commit.account)
            outcomes.append(outcome)
        return outcomes

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        connection = self._connection()
        with connection.lock:
            try:
                return connection.execute(statement, values).fetchall()
            except FAILURES as error:
                raise self._failed(connection, error) from error


def _page(program: str, after: str, limit: int) -> tuple[str, str, str, str, int]:
    """Return the values of a page: names from, names below, the name to leave out, the program, how many."""
    first = f"{program}/"
    return max(first, after), f"{program}0", after, program, max(limit, 0)  # "0" follows "/"
