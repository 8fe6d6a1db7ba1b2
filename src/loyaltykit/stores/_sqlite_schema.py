"""The tables of a SQLite store, the statements on them, and the steps that bring an older file up to date.

A commit writes a page for each table and index that it touches, and at every commit those pages are what it costs. So
there are few: what is only read together with its head or its record is kept in that row, as JSON. The tables and the
views beside them are plain, so that an analyst can read them with any SQLite tool: one row for each row of
`loyaltykit.journal`, under the same names. Instants are integer microseconds since 1970 in UTC
(``datetime(at / 1000000, 'unixepoch')``), "never" is 9223372036854775807, texts that hold structure are JSON::

    SELECT program, unit, sum(active + held - debt) AS points FROM balance JOIN head USING (account) GROUP BY 1, 2;
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache

from loyaltykit.journal import NEVER, Balance, Entry, Head, Item, Lot, Record

APPLICATION_ID = 0x4C4F5941  # in the file's header, so that `file` and this module know whose it is


def _numbered(names: Sequence[str]) -> str:
    """Return the columns of a view that has them as a JSON array, under these names."""
    return ", ".join(f"json_extract(one.value, '$[{place}]') AS {name}" for place, name in enumerate(names))


_FIRST = f"""
CREATE TABLE schema (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL          -- of these tables: how many of the steps have been taken
) STRICT;

CREATE TABLE program (
    program TEXT NOT NULL,
    version INTEGER NOT NULL,
    effective_from INTEGER NOT NULL,
    payload TEXT NOT NULL,            -- JSON: the whole program
    PRIMARY KEY (program, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE head (
    account TEXT NOT NULL PRIMARY KEY, -- program/member
    program TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    note TEXT NOT NULL,
    balances TEXT NOT NULL            -- JSON: for each unit the numbers of its balance; see the view
) STRICT, WITHOUT ROWID;
CREATE INDEX head_due ON head (program, next_at, account) WHERE next_at < {NEVER};
CREATE VIEW balance AS
    SELECT account, one.key AS unit, {_numbered(Balance._fields[1:])} FROM head, json_each(balances) AS one;

-- Payloads are long, so these rows stand one after the other in the order of recording, whatever their account.
CREATE TABLE record (
    account TEXT NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL,
    payload TEXT NOT NULL,
    plan TEXT NOT NULL,
    outcome TEXT NOT NULL,
    entries TEXT NOT NULL             -- JSON: the movements that it brought; see the view
) STRICT;
CREATE UNIQUE INDEX record_key ON record (account, key);
CREATE INDEX record_ref ON record (account, ref) WHERE ref <> key; -- an order is found by its key
CREATE VIEW entry AS
    SELECT account, version, {_numbered(Entry._fields[1:])} FROM record, json_each(entries) AS one;

CREATE TABLE lot (
    account TEXT NOT NULL,
    lot TEXT NOT NULL,
    unit TEXT NOT NULL,
    earned_at INTEGER NOT NULL,
    active_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    active INTEGER NOT NULL,
    held INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    clawed INTEGER NOT NULL,
    owed INTEGER NOT NULL,
    excused INTEGER NOT NULL,
    forgiven INTEGER NOT NULL,
    PRIMARY KEY (account, lot)
) STRICT, WITHOUT ROWID;
CREATE INDEX lot_open ON lot (account, unit, expires_at, earned_at, lot) WHERE pending > 0 OR active > 0 OR held > 0;
CREATE INDEX lot_pending ON lot (account, active_at) WHERE pending > 0;

CREATE TABLE item (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_due ON item (account, due_at) WHERE due_at < {NEVER};
"""

STEPS: tuple[str, ...] = (_FIRST,)
"""SQL scripts: the n-th brings a file from schema n - 1 to n. A released step is never changed; a new one follows."""

_STRICT_SINCE = (3, 37, 0)


def script(step: str) -> list[str]:
    """Return the statements of a step, as this machine's SQLite understands them."""
    if sqlite3.sqlite_version_info < _STRICT_SINCE:
        step = step.replace(" STRICT, WITHOUT ROWID;", " WITHOUT ROWID;").replace(") STRICT;", ");")
    statements: list[str] = []
    part = ""
    for line in step.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            statements.append(part.strip())
            part = ""
    return statements


def _columns(
    row: type[Head] | type[Record] | type[Entry] | type[Lot] | type[Balance] | type[Item], of: str = ""
) -> str:
    return ", ".join(of + name for name in row._fields)


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def _upsert(table: str, columns: str, key: str) -> str:
    changed = [name for name in columns.split(", ") if name not in key.split(", ")]
    news = ", ".join(f"{name} = excluded.{name}" for name in changed)
    return f"{_insert(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {news}"


def _update_head(*, without: str = "") -> str:
    news = ", ".join(f"{name} = ?" for name in Head._fields if name != without)
    return f"UPDATE head SET {news}, balances = json_patch(balances, ?) WHERE account = ? AND version = ?"


# ---------------------------------------------------------------- writing

NEW_HEAD = _insert("head", f"account, program, {_columns(Head)}, balances") + " ON CONFLICT DO NOTHING"
NEXT_HEAD = _update_head()
NEXT_HEAD_SAME_DUE = _update_head(without="next_at")  # leaves the index on next_at alone
PUT_RECORD = _insert("record", f"account, {_columns(Record)}, entries")
PUT_LOT = _upsert("lot", f"account, {_columns(Lot)}", "account, lot")
PUT_ITEM = _upsert("item", f"account, {_columns(Item)}", "account, kind, name")
DROP_ITEM = "DELETE FROM item WHERE account = ? AND kind = ? AND name = ?"
DROP_HEAD = "DELETE FROM head WHERE account = ? AND version = ?"
DROP_ROWS = tuple(f"DELETE FROM {table} WHERE account = ?" for table in ("record", "lot", "item"))
PUT_PROGRAM = _insert("program", "program, version, effective_from, payload")

# ---------------------------------------------------------------- reading one account

VERSION = "SELECT version FROM head WHERE account = ?"
_RECORDS = f"SELECT {_columns(Record)} FROM record WHERE account = ?"
RECORDS_BY_KEY = f"{_RECORDS} AND key IN (?)"
RECORDS_BY_REF = f"{_RECORDS} AND ref IN (?) AND ref <> key"
RECORDS_OF_THEMSELVES = f"{_RECORDS} AND key IN (?) AND ref = key"
RECORDS_WITH_ENTRIES = f"SELECT {_columns(Record)}, entries FROM record WHERE account = ? ORDER BY version"
_LOTS = f"SELECT {_columns(Lot)} FROM lot"
LOTS = f"{_LOTS} WHERE account = ?"
LOTS_BY_NAME = f"{_LOTS} WHERE account = ? AND lot IN (?)"
_IS_OPEN = "(pending > 0 OR active > 0 OR held > 0)"
_OPEN_LOTS = f"{_LOTS} INDEXED BY lot_open WHERE account = ? AND {_IS_OPEN}"
LOTS_OPEN = _OPEN_LOTS
LOTS_TO_SPEND = (
    f"{_OPEN_LOTS} AND unit = ? AND active > 0 AND expires_at > ? AND active_at <= ? "
    "ORDER BY expires_at, earned_at, lot"
)
FIRST_UNIT = f"SELECT min(unit) FROM lot INDEXED BY lot_open WHERE account = ? AND {_IS_OPEN}"
NEXT_UNIT = f"{FIRST_UNIT} AND unit > ?"
LOTS_EXPIRING = (
    f"{_OPEN_LOTS} AND unit = ? AND expires_at <= ? AND expires_at < {NEVER} AND (pending > 0 OR active > 0)"
)
LOTS_ACTIVATING = f"{_LOTS} INDEXED BY lot_pending WHERE account = ? AND pending > 0 AND active_at <= ?"
NEXT_EXPIRY = (
    f"SELECT expires_at FROM lot INDEXED BY lot_open WHERE account = ? AND {_IS_OPEN} AND unit = ? AND expires_at > ? "
    "AND CASE WHEN pending > 0 THEN active_at > ? ELSE active > 0 END ORDER BY expires_at LIMIT 1"
)
NEXT_ACTIVATION = (
    "SELECT active_at FROM lot INDEXED BY lot_pending WHERE account = ? AND pending > 0 AND active_at > ? "
    "AND expires_at > ? ORDER BY active_at LIMIT 1"
)
ITEMS = f"SELECT {_columns(Item)} FROM item WHERE account = ?"
ITEMS_BY_NAME = f"{ITEMS} AND kind = ? AND name IN (?)"
ITEMS_BY_KIND = f"{ITEMS} AND kind = ?"
ITEMS_DUE = f"{ITEMS} AND due_at < {NEVER} ORDER BY due_at"

_HEAD = f"SELECT {_columns(Head)}, balances"
_NAMED = (
    "EXISTS (SELECT 1 FROM record WHERE account = head.account AND key = ?)",
    "EXISTS (SELECT 1 FROM record WHERE account = head.account AND ref = ? AND ref <> key)",
    "EXISTS (SELECT 1 FROM record WHERE account = head.account AND key = ? AND ref = key)",
    "EXISTS (SELECT 1 FROM lot WHERE account = head.account AND lot = ?)",
    "EXISTS (SELECT 1 FROM lot WHERE account = head.account AND lot >= ? AND lot < ?)",
    "EXISTS (SELECT 1 FROM item WHERE account = head.account AND kind = ? AND name = ?)",
)


@cache
def head_and_whether(keys: int, refs: int, orders: int, lots: int, stems: int, items: int) -> str:
    """Return the statement for the head, and whether anything is there under so many names of each kind."""
    counts = keys, refs, orders, lots, stems, items
    asked = [each for each, times in zip(_NAMED, counts, strict=True) for _ in range(times)]
    return f"{_HEAD}, {' OR '.join(asked) or '0'} FROM head WHERE account = ?"


HEAD = head_and_whether(0, 0, 0, 0, 0, 0)


@cache
def among(statement: str, size: int) -> str:
    """Return a statement on one name as the statement on so many."""
    return statement.replace("IN (?)", f"IN ({', '.join('?' * size)})")


@cache
def beginning(size: int) -> str:
    """Return the statement for the lots whose names lie between so many pairs of names."""
    pairs = ", ".join(["(?, ?)"] * size)
    within = "pair CROSS JOIN lot WHERE lot >= column1 AND lot < column2 AND account = ?"
    return f"WITH pair AS (VALUES {pairs}) SELECT {_columns(Lot)} FROM {within}"


# ---------------------------------------------------------------- reading across accounts

_PAGE = "account >= ? AND h.account < ? AND h.account <> ? AND h.program = ? ORDER BY h.account LIMIT ?"
ACCOUNTS = f"SELECT h.account, {_columns(Head, 'h.')} FROM head AS h WHERE h.{_PAGE}"
BALANCES = (
    f"SELECT h.account, {_columns(Head, 'h.')}, one.key, one.value FROM head AS h, json_each(h.balances) AS one "
    f"WHERE one.key = ? AND h.{_PAGE}"
)
DUE = (
    f"SELECT account FROM head WHERE program = ? AND next_at <= ? AND next_at < {NEVER} "
    "ORDER BY next_at, account LIMIT ?"
)
PROGRAM = "SELECT effective_from, payload FROM program WHERE program = ? AND version = ?"
PROGRAMS = "SELECT version, effective_from, payload FROM program WHERE program = ? ORDER BY version"
NEXT_PROGRAM = "SELECT min(program) FROM program WHERE program > ?"
SCHEMA = "SELECT version FROM schema WHERE id = 1"
PUT_SCHEMA = "INSERT INTO schema (id, version) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version"
