"""The rows of one account, into the tables of a SQLite store and out of them. Transactions are the caller's."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from loyaltykit._encoding import parsed
from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Need, Record, compact
from loyaltykit.stores import _sqlite_schema as sql
from loyaltykit.stores._commits import check_commit, follows_failed, moved, stale
from loyaltykit.stores._sqlite_file import Connection

T = TypeVar("T")

_HEAD = len(Head._fields)
_NEXT_AT = Head._fields.index("next_at")

# ---------------------------------------------------------------- reading


def glance(connection: Connection, need: Need) -> Context | None:
    """Return what `need` names if one statement tells that: most facts are new, and there is nothing of theirs yet.

    None where there is something, or where more is asked for than what is named; then `view` tells.
    """
    account, keys, refs, spend, _, due, names, stems, items, kinds, open_lots, everything = need
    if spend or kinds or open_lots or everything:
        return None
    orders = [ref for ref in refs if ref not in keys]  # each may be the key of what it names
    asked: Sequence[Sequence[Any]] = keys, refs, orders, names, [_range(stem) for stem in stems], items
    padded = [_padded(each) if each else () for each in asked]
    counts = tuple([len(each) for each in padded])
    if max(counts) > _MOST:
        return None
    named = chain(*padded[:4], *padded[4], *padded[5])
    row = connection.execute(sql.head_and_whether(*counts), (*named, account)).fetchone()
    if row is None:
        return Context(None, {}, {}, {}, {})
    head = Head._make(row[:_HEAD])
    if row[-1] or (due is not None and head.next_at <= due):
        return None
    connection.seen = (account, head.version, head.next_at)
    return Context(head, _balances(row[_HEAD]), {}, {}, {}, (), NEVER if due is None else head.next_at)


def view(connection: Connection, need: Need) -> Context:
    """Return what `need` names. Called in a transaction, so that it all is of one version."""
    account, due = need.account, need.due
    row = connection.execute(sql.HEAD, (account,)).fetchone()
    if row is None:
        return Context(None, {}, {}, {}, {})
    head = Head._make(row[:_HEAD])
    balances = _balances(row[_HEAD])
    connection.seen = (account, head.version, head.next_at)
    lots: dict[str, Lot] = {}
    items: dict[tuple[str, str], Item] = {}
    next_at = NEVER if due is None else head.next_at
    if due is not None and next_at <= due:  # otherwise the head says that nothing is due
        next_at = min(_due_lots(connection, account, due, lots), _due_items(connection, account, due, items))
    if need.everything:
        records: dict[str, Record] = {}
        entries: list[Entry] = []
        for row in connection.execute(sql.RECORDS_WITH_ENTRIES, (account,)):
            record = records[row[1]] = Record._make(row[:-1])
            entries += (Entry(record.version, *each) for each in json.loads(row[-1]))
        entries.sort(key=itemgetter(0, 1))
        return Context(
            head,
            balances,
            records,
            {row[0]: Lot._make(row) for row in connection.execute(sql.LOTS, (account,))},
            {(row[0], row[1]): Item._make(row) for row in connection.execute(sql.ITEMS, (account,))},
            tuple(entries),
            next_at,
        )
    _lots(connection, need, lots)
    _items(connection, need, items)
    return Context(head, balances, _records(connection, need), lots, items, (), next_at)


def _balances(text: str) -> dict[str, Balance]:
    return {unit: Balance(unit, *numbers) for unit, numbers in parsed(text).items()}


def balance(unit: str, numbers: str) -> Balance:
    """Return the balance of a unit from the numbers that are kept of it."""
    return Balance(unit, *parsed(numbers))


def _range(stem: str) -> tuple[str, str]:
    """Return between what the names of lots lie that begin with a stem. Few others lie there as well."""
    return stem, stem + ","  # which follows "+"


def _named(
    connection: Connection, statement: str, account: str, names: Sequence[str], *rest: str
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an account that the statement finds under each of the names, many at a time."""
    for some in _parts(names):
        yield from connection.execute(sql.among(statement, len(some)), (account, *rest, *some))


_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""About how many names of a kind there are statements. They are few, so that all stay prepared."""
_MOST = _COUNTS[-1]


def _padded(names: Sequence[T]) -> Sequence[T]:
    """Return names as many as there are statements for: the last repeats."""
    count = len(names)
    if count < 3 or count > _MOST:
        return names
    return [*names, *[names[-1]] * (_COUNTS[bisect_left(_COUNTS, count)] - count)]


def _parts(names: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the names in parts that are as long as there are statements for."""
    for place in range(0, len(names), _MOST):
        yield _padded(names[place : place + _MOST])


def _records(connection: Connection, need: Need) -> dict[str, Record]:
    records: dict[str, Record] = {}
    of_themselves = [ref for ref in need.refs if ref not in need.keys]
    for statement, names in (
        (sql.RECORDS_BY_KEY, need.keys),
        (sql.RECORDS_BY_REF, need.refs),
        (sql.RECORDS_OF_THEMSELVES, of_themselves),
    ):
        for row in _named(connection, statement, need.account, names):
            records[row[1]] = Record._make(row)
    return records


def _lots(connection: Connection, need: Need, lots: dict[str, Lot]) -> None:
    account, at = need.account, need.spend_at
    for unit, wanted in need.spend:
        if wanted > 0:
            # The rows come one by one and in order, so that what is not needed is not read.
            for row in connection.execute(sql.LOTS_TO_SPEND, (account, unit, at, at)):
                lot = lots[row[0]] = Lot._make(row)
                wanted -= lot.active
                if wanted <= 0:
                    break
    _keep(lots, _named(connection, sql.LOTS_BY_NAME, account, need.lots))
    for stems in _parts(need.stems):
        ranges = chain.from_iterable(map(_range, stems))
        _keep(lots, connection.execute(sql.beginning(len(stems)), (*ranges, account)))
    if need.open_lots:
        _keep(lots, connection.execute(sql.LOTS_OPEN, (account,)))


def _keep(lots: dict[str, Lot], rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        lots[row[0]] = Lot._make(row)


def _due_lots(connection: Connection, account: str, due: int, lots: dict[str, Lot]) -> int:
    """Add the lots with ``due_at <= due``, and return the `due_at` that follows."""
    following = [NEVER]
    _keep(lots, connection.execute(sql.LOTS_ACTIVATING, (account, due)))
    following += connection.execute(sql.NEXT_ACTIVATION, (account, due, due)).fetchone() or ()
    unit = connection.execute(sql.FIRST_UNIT, (account,)).fetchone()[0]
    while unit is not None:
        _keep(lots, connection.execute(sql.LOTS_EXPIRING, (account, unit, due)))
        following += connection.execute(sql.NEXT_EXPIRY, (account, unit, due, due)).fetchone() or ()
        unit = connection.execute(sql.NEXT_UNIT, (account, unit)).fetchone()[0]
    return min(following)


def _items(connection: Connection, need: Need, items: dict[tuple[str, str], Item]) -> None:
    by_kind: dict[str, list[str]] = {}
    for kind, name in need.items:
        by_kind.setdefault(kind, []).append(name)
    for kind, within in by_kind.items():
        for row in _named(connection, sql.ITEMS_BY_NAME, need.account, within, kind):
            items[kind, row[1]] = Item._make(row)
    for kind in need.kinds:
        for row in connection.execute(sql.ITEMS_BY_KIND, (need.account, kind)):
            items[kind, row[1]] = Item._make(row)


def _due_items(connection: Connection, account: str, due: int, items: dict[tuple[str, str], Item]) -> int:
    """Add the items with ``due_at <= due``, and return the `due_at` that follows."""
    for row in connection.execute(sql.ITEMS_DUE, (account,)):
        item = Item._make(row)
        if item.due_at > due:
            return item.due_at
        items[item.kind, item.name] = item
    return NEVER


# ---------------------------------------------------------------- writing


def _json(rows: Any) -> str:
    try:
        return compact(rows)
    except TypeError as error:  # as sqlite3 says it of a value that it is given for a column
        raise sqlite3.ProgrammingError(str(error)) from None


def move_head(connection: Connection, commit: Commit, program: str) -> bool:
    """Put the new head and balances in place of those of version `expected`; return False if that is not there."""
    account, expected, head = commit.account, commit.expected, commit.head
    balances = _json({balance[0]: balance[1:] for balance in commit.balances})
    if expected == 0:
        connection.execute(sql.NEW_HEAD, (account, program, *head, balances))
    elif connection.seen == (account, expected, head.next_at):
        connection.execute(
            sql.NEXT_HEAD_SAME_DUE, (*head[:_NEXT_AT], *head[_NEXT_AT + 1 :], balances, account, expected)
        )
    else:
        connection.execute(sql.NEXT_HEAD, (*head, balances, account, expected))
    return connection.changed


def _record_rows(commit: Commit) -> Iterator[tuple[str | int | None, ...]]:
    """Yield a row for each record of a commit, with the entries that it brought."""
    account, records, entries = commit.account, commit.records, commit.entries
    if len(records) == 1:
        yield (account, *records[0], _json([entry[1:] for entry in entries]))
        return
    of: dict[int, list[Any]] = {record.version: [] for record in records}
    for entry in entries:
        of[entry.version].append(entry[1:])
    for record in records:
        yield (account, *record, _json(of[record.version]))


def put_rows(connection: Connection, commit: Commit) -> None:
    """Write every row of a commit except its head and balances."""
    account = commit.account
    execute = connection.execute
    for row in _record_rows(commit):
        execute(sql.PUT_RECORD, row)
    for lot in commit.lots:
        execute(sql.PUT_LOT, (account, *lot))
    for item in commit.items:
        if item.value is None:
            execute(sql.DROP_ITEM, (account, item.kind, item.name))
        else:
            execute(sql.PUT_ITEM, (account, *item))


def stored_version(connection: Connection, account: str) -> int:
    """Return the account's version, 0 if there is none."""
    row = connection.execute(sql.VERSION, (account,)).fetchone()
    return 0 if row is None else int(row[0])


def put_instead(connection: Connection, account: str, expected: int, instead: Commit, program: str) -> None:
    """Remove every row of an account, and write another in its place; raise `StaleVersion` if it is not there."""
    connection.execute(sql.DROP_HEAD, (account, expected))
    if not connection.changed:
        raise StaleVersion(moved(account, expected, stored_version(connection, account)))
    for statement in sql.DROP_ROWS:
        connection.execute(statement, (account,))
    if not move_head(connection, instead, program):
        raise StaleVersion(stale(instead, stored_version(connection, instead.account)))
    put_rows(connection, instead)


def head_outcome(connection: Connection, commit: Commit, failed: set[str]) -> StoreError | None:
    """Move a commit's head, as one of several; return what is wrong if it cannot be moved."""
    if commit.account in failed:
        return StaleVersion(follows_failed(commit))
    try:
        program = check_commit(commit)
    except StoreError as error:
        return error
    if not move_head(connection, commit, program):
        return StaleVersion(stale(commit, stored_version(connection, commit.account)))
    return None


def put_together(connection: Connection, commits: Sequence[Commit]) -> list[StoreError | None]:
    """Write many commits, table by table; return what was wrong with each.

    Of a row that several of them write, only the last is written. Raises whatever SQLite does when it refuses a row;
    then all must be rolled back.
    """
    outcomes: list[StoreError | None] = []
    failed: set[str] = set()
    records: list[tuple[str | int | None, ...]] = []
    lots: dict[tuple[str, str], tuple[str | int | None, ...]] = {}
    items: dict[tuple[str, str, str], tuple[str | int | None, ...] | None] = {}
    for commit in commits:
        outcome = head_outcome(connection, commit, failed)
        outcomes.append(outcome)
        account = commit.account
        if outcome is not None:
            failed.add(account)
            continue
        records += _record_rows(commit)
        for lot in commit.lots:
            lots[account, lot.lot] = (account, *lot)
        for item in commit.items:
            items[account, item.kind, item.name] = None if item.value is None else (account, *item)
    connection.executemany(sql.PUT_RECORD, records)
    connection.executemany(sql.PUT_LOT, lots.values())
    connection.executemany(sql.DROP_ITEM, [key for key, item in items.items() if item is None])
    connection.executemany(sql.PUT_ITEM, [item for item in items.values() if item is not None])
    return outcomes
