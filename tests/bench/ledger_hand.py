"""A ledger by hand: an earn in as few statements as it takes to be right, for one unit, without rules or policies.

What it leaves out is everything that a library is for: that the payload under a key is the same, programs and their
units, what expires by itself, facts that come late, reasons, and a way to verify it all. So it tells how near to the
floor a durable ledger can come on this machine, with Python and SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

_TABLES = """
CREATE TABLE account (
    account TEXT PRIMARY KEY, version INTEGER NOT NULL, at INTEGER NOT NULL, active INTEGER NOT NULL,
    earned INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE record (
    account TEXT, version INTEGER, key TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (account, version)
) WITHOUT ROWID;
CREATE UNIQUE INDEX record_key ON record (account, key);
CREATE TABLE entry (
    account TEXT, version INTEGER, line INTEGER, lot TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (account, version, line)
) WITHOUT ROWID;
CREATE TABLE lot (
    account TEXT, lot TEXT, expires_at INTEGER NOT NULL, active INTEGER NOT NULL, PRIMARY KEY (account, lot)
) WITHOUT ROWID;
CREATE INDEX lot_open ON lot (account, expires_at) WHERE active > 0;
"""
_VALIDITY = timedelta(days=90) // timedelta(microseconds=1)


def ledger(path: Path) -> Callable[[str, int, str, int], None]:
    """Return what gives points to a member under a key, at an instant in microseconds, once and durably."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(_TABLES)
    execute = connection.cursor().execute

    def earn(member: str, points: int, key: str, at: int) -> None:
        execute("BEGIN IMMEDIATE")
        if execute("SELECT 1 FROM record WHERE account = ? AND key = ?", (member, key)).fetchone() is None:
            row = execute("SELECT version, active, earned FROM account WHERE account = ?", (member,)).fetchone()
            version, active, earned = row or (0, 0, 0)
            version += 1
            execute(
                "INSERT INTO account VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
                "version = excluded.version, at = excluded.at, active = excluded.active, earned = excluded.earned",
                (member, version, at, active + points, earned + points),
            )
            record = (member, version, key, "earn", at, f'{{"points":{points}}}')
            execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", record)
            execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (member, version, 1, key, points))
            execute("INSERT INTO lot VALUES (?, ?, ?, ?)", (member, key, at + _VALIDITY, points))
        execute("COMMIT")

    return earn
