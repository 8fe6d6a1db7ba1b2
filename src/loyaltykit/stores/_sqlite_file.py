"""Opening a SQLite store's file: is it one, is it of this schema, may it be written, and how it is talked to."""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from pathlib import Path
from threading import Lock

from loyaltykit.errors import InputError, StoreReadOnly, StoreUnusable
from loyaltykit.stores import _sqlite_schema as schema
from loyaltykit.stores._sqlite_errors import FAILURES, not_writable, primary_code, told
from loyaltykit.stores._turnstile import Turnstile

_LOG_PAGES = 4000
"""How long the log grows before it is folded into the database: 16 MiB, so that pages written often are folded once."""

_LONGEST_WAIT = (2**31 - 1) // 1000
"""Seconds; SQLite counts milliseconds in 32 bits."""

_left_behind: list[sqlite3.Connection] = []


class Connection:
    """One thread's connection. `lock` is held during each call, so that another thread may close it in between."""

    def __init__(self, path: str, timeout: float, *, create: bool = False) -> None:
        self.lock = Lock()
        self.broken = False
        self.seen: tuple[str, int, int] | None = None  # account, version and next_at of the head that was loaded last
        self._pid = os.getpid()
        self._raw = sqlite3.connect(
            f"{Path(path).as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=timeout,
            isolation_level=None,  # transactions begin where this package says so
            check_same_thread=False,
        )
        self._cursor = self._raw.cursor()
        self.execute = self._cursor.execute
        self.executemany = self._cursor.executemany
        try:
            self.execute("PRAGMA synchronous = FULL")
            self.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            self.execute("PRAGMA secure_delete = ON")  # what is removed or changed is overwritten
            if sys.platform == "darwin":  # there fsync alone does not reach the disk
                self.execute("PRAGMA fullfsync = ON")
                self.execute("PRAGMA checkpoint_fullfsync = ON")
        except BaseException:
            self.close()
            raise

    @property
    def changed(self) -> bool:
        """Whether the latest statement changed a row."""
        return self._cursor.rowcount == 1

    def undo(self) -> None:
        """Roll back what has been begun; a connection that cannot is closed and left for another."""
        self.seen = None
        try:
            if self._raw.in_transaction:
                self._raw.rollback()
        except FAILURES:
            self.close()

    def copy_to(self, other: sqlite3.Connection) -> None:
        """Copy the whole database in one step, so that it is of one instant; writers are not kept waiting."""
        self._raw.backup(other, pages=-1)

    def close(self) -> None:
        """Close the connection. Closing twice is nothing."""
        self.broken = True
        self._raw.close()

    def __del__(self) -> None:
        raw: sqlite3.Connection | None = getattr(self, "_raw", None)
        if raw is None:
            return
        if os.getpid() == self._pid:
            raw.close()
        else:  # a forked child must not touch its parent's connection, not even to close it
            _left_behind.append(raw)


def locate(path: str | os.PathLike[str], timeout: float) -> tuple[str, float]:
    """Return the file's real path and the timeout in seconds, or raise `InputError`."""
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise InputError("path", path, "give the path of a file, as str or pathlib.Path") from None
    if name == ":memory:" or not name.strip() or name.startswith("file:"):
        raise InputError(
            "path", name, 'give the path of a file, such as "shop.db"; for a store without a file use MemoryStore()'
        )
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise InputError("timeout", timeout, "give seconds, 0 or more")
    return os.path.realpath(name), float(min(timeout, _LONGEST_WAIT))


def prepare(path: str, timeout: float) -> Turnstile:
    """Make sure that the file `path` is a store of this schema, creating or bringing it up to date; return its turns.

    A file that is not a store is not touched.
    """
    if os.path.isdir(path):
        raise StoreUnusable(f"{path} is a folder; give the path of a file in it")
    if not os.path.isdir(os.path.dirname(path)):
        raise StoreUnusable(f"the folder {os.path.dirname(path)} does not exist; create it first")
    unwritable = not_writable(path)
    if unwritable is not None:
        raise unwritable
    try:
        connection = Connection(path, timeout, create=True)
        try:
            version = _version(connection, path)
            turnstile = _open_turnstile(path)
            try:
                mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
                if version != len(schema.STEPS) or mode != "wal":
                    _bring_up_to_date(connection, turnstile, path, timeout)
            except BaseException:
                turnstile.close()
                raise
        finally:
            connection.close()
    except FAILURES as error:
        raise told(error, path) from error
    return turnstile


def _version(connection: Connection, path: str) -> int:
    """Return how many steps the file has taken: 0 for an empty one. Raise `StoreUnusable` if it is not a store."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if owner == 0 and not tables:
        return 0
    if owner != schema.APPLICATION_ID:
        raise StoreUnusable(f"{path} is a SQLite file of another program; nothing in it was changed")
    row = connection.execute(schema.SCHEMA).fetchone() if "schema" in tables else None
    if row is None:
        raise StoreUnusable(f"{path} is damaged: it does not say which schema it has; restore it from a copy")
    if row[0] > len(schema.STEPS):
        raise StoreUnusable(
            f"{path} has schema {row[0]}, written by a later loyaltykit; this one reads up to {len(schema.STEPS)}: "
            "upgrade loyaltykit"
        )
    return int(row[0])


def _open_turnstile(path: str) -> Turnstile:
    try:
        return Turnstile(path)
    except OSError as error:
        raise StoreReadOnly(
            f"{path}-lock and -next, at which writers take turns, cannot be written: {error}"
        ) from error


def _bring_up_to_date(connection: Connection, turnstile: Turnstile, path: str, timeout: float) -> None:
    entered = turnstile.enter(timeout)
    try:
        _write_ahead(connection, path, timeout)
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection, path)  # again: another process may have been first
            for step in schema.STEPS[version:]:
                for statement in schema.script(step):
                    connection.execute(statement)
            connection.execute(schema.PUT_SCHEMA, (len(schema.STEPS),))
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            connection.undo()
            raise
    finally:
        if entered:
            turnstile.leave()


def _write_ahead(connection: Connection, path: str, timeout: float) -> None:
    """Switch to the write-ahead log. SQLite does not wait here while another process looks at the file, so we do."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(random.uniform(0.001, 0.01))
    if mode != "wal":
        raise StoreUnusable(f"the file system of {path} cannot hold a write-ahead log; put the file on a local disk")
