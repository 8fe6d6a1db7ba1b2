"""The rows of one account, into the tables of a SQLite store and out of them. Transactions are the caller's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Need, Record
from loyaltykit.stores import _sqlite_schema as sql
from loyaltykit.stores._commits import check_commit, follows_failed, moved, stale
from loyaltykit.stores._sqlite_file import Connection

_HEAD = len(Head._fields)
_NEXT_AT = Head._fields.index("next_at")

# ---------------------------------------------------------------- reading


def view(connection: Connection, need: Need) -> Context:
    """Return what `need` names. Called in a transaction, so that it all is of one version."""
    account = need.account
    due = need.due
    rows = connection.execute(sql.HEAD if due is None else sql.HEAD_AND_DUE, (account,)).fetchall()
    if not rows:
        return Context(None, {}, {}, {}, {})
    lot_due = item_due = NEVER
    if due is not None:
        lot_due, item_due = (NEVER if at is None else at for at in rows[0][:2])
        rows = [row[2:] for row in rows]
    head = Head._make(rows[0][:_HEAD])
    connection.seen = (account, head.version, head.next_at)
    balances = {row[_HEAD]: Balance._make(row[_HEAD:]) for row in rows if row[_HEAD] is not None}
    if due is not None and lot_due <= due:
        lots_due, lot_due = _lots_due(connection, account, due)
    else:
        lots_due = []
    if due is not None and item_due <= due:
        items_due, item_due = _items_due(connection, account, due)
    else:
        items_due = []
    next_at = min(lot_due, item_due)
    if need.everything:
        return Context(
            head,
            balances,
            {row[1]: Record._make(row) for row in connection.execute(sql.RECORDS, (account,))},
            {row[0]: Lot._make(row) for row in connection.execute(sql.LOTS, (account,))},
            {(row[0], row[1]): Item._make(row) for row in connection.execute(sql.ITEMS, (account,))},
            tuple(map(Entry._make, connection.execute(sql.ENTRIES, (account,)))),
            next_at,
        )
    records: dict[str, Record] = {}
    for statement, names in ((sql.RECORDS_BY_KEY, need.keys), (sql.RECORDS_BY_REF, need.refs)):
        for row in _named(connection, statement, account, names):
            records[row[1]] = Record._make(row)
    lots = {lot.lot: lot for lot in lots_due}
    _lots(connection, need, lots)
    items = {(item.kind, item.name): item for item in items_due}
    by_kind: dict[str, list[str]] = {}
    for kind, name in need.items:
        by_kind.setdefault(kind, []).append(name)
    for kind, within in by_kind.items():
        for row in _named(connection, sql.ITEMS_BY_NAME, account, within, kind):
            items[kind, row[1]] = Item._make(row)
    for kind in need.kinds:
        for row in connection.execute(sql.ITEMS_BY_KIND, (account, kind)):
            items[kind, row[1]] = Item._make(row)
    return Context(head, balances, records, lots, items, (), next_at)


def _named(
    connection: Connection, statement: str, account: str, names: Sequence[str], *rest: str
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an account that the statement finds under each of the names, many at a time."""
    place = 0
    while place < len(names):
        size = next((size for size in _SIZES if size <= len(names) - place), 1)
        yield from connection.execute(sql.among(statement, size), (account, *rest, *names[place : place + size]))
        place += size


_SIZES = (64, 8)  # few, so that SQLite's statements stay prepared


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
    for statement, names in ((sql.LOTS_BY_NAME, need.lots), (sql.LOTS_BY_SOURCE, need.sources)):
        for row in _named(connection, statement, account, names):
            lots[row[0]] = Lot._make(row)
    if need.open_lots:
        for row in connection.execute(sql.LOTS_OPEN, (account,)):
            lots[row[0]] = Lot._make(row)


def _lots_due(connection: Connection, account: str, due: int) -> tuple[list[Lot], int]:
    """Return the lots with ``due_at <= due``, and the `due_at` that follows."""
    found: list[Lot] = []
    for row in connection.execute(sql.LOTS_DUE, (account,)):
        lot = Lot._make(row)
        if lot.due_at > due:
            return found, lot.due_at
        found.append(lot)
    return found, NEVER


def _items_due(connection: Connection, account: str, due: int) -> tuple[list[Item], int]:
    found: list[Item] = []
    for row in connection.execute(sql.ITEMS_DUE, (account,)):
        item = Item._make(row)
        if item.due_at > due:
            return found, item.due_at
        found.append(item)
    return found, NEVER


# ---------------------------------------------------------------- writing


def move_head(connection: Connection, commit: Commit, program: str) -> bool:
    """Put the new head in place of the one of version `expected`; return False if that is not there."""
    account, expected, head = commit.account, commit.expected, commit.head
    if expected == 0:
        connection.execute(sql.NEW_HEAD, (account, program, *head))
    elif connection.seen == (account, expected, head.next_at):
        connection.execute(sql.NEXT_HEAD_SAME_DUE, (*head[:_NEXT_AT], *head[_NEXT_AT + 1 :], account, expected))
    else:
        connection.execute(sql.NEXT_HEAD, (*head, account, expected))
    return connection.changed


def put_rows(connection: Connection, commit: Commit) -> None:
    """Write every row of a commit except its head."""
    account = commit.account
    execute = connection.execute
    for record in commit.records:
        execute(sql.PUT_RECORD, (account, *record))
    for entry in commit.entries:
        execute(sql.PUT_ENTRY, (account, *entry))
    for lot in commit.lots:
        execute(sql.PUT_LOT, (account, *lot))
    for balance in commit.balances:
        execute(sql.PUT_BALANCE, (account, *balance))
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
    entries: list[tuple[str | int | None, ...]] = []
    lots: dict[tuple[str, str], tuple[str | int | None, ...]] = {}
    balances: dict[tuple[str, str], tuple[str | int | None, ...]] = {}
    items: dict[tuple[str, str, str], tuple[str | int | None, ...] | None] = {}
    for commit in commits:
        outcome = head_outcome(connection, commit, failed)
        outcomes.append(outcome)
        account = commit.account
        if outcome is not None:
            failed.add(account)
            continue
        records.extend((account, *record) for record in commit.records)
        entries.extend((account, *entry) for entry in commit.entries)
        for lot in commit.lots:
            lots[account, lot.lot] = (account, *lot)
        for balance in commit.balances:
            balances[account, balance.unit] = (account, *balance)
        for item in commit.items:
            items[account, item.kind, item.name] = None if item.value is None else (account, *item)
    connection.executemany(sql.PUT_RECORD, records)
    connection.executemany(sql.PUT_ENTRY, entries)
    connection.executemany(sql.PUT_LOT, lots.values())
    connection.executemany(sql.PUT_BALANCE, balances.values())
    connection.executemany(sql.DROP_ITEM, [key for key, item in items.items() if item is None])
    connection.executemany(sql.PUT_ITEM, [item for item in items.values() if item is not None])
    return outcomes
