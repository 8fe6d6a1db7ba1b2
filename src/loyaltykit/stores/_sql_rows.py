"""The rows of commits and loads, as the statements of a SQL store take and give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Need, Record, compact
from loyaltykit.stores._sql_statements import COLUMNS, HEAD_VALUES, KINDS, SIZES, SPENDING, Answer, Shape, Sizes

WIDEST = SIZES[-1]

# ---------------------------------------------------------------- what is asked


def too_wide(need: Need) -> bool:
    """Return whether a need names more of something than one statement has room for."""
    return max(map(len, (need.keys, need.refs, need.lots, need.stems, need.items, need.kinds))) > WIDEST


def split(need: Need) -> list[Need]:
    """Return needs that each fit into a statement, and together ask for the same."""
    named = ("keys", "refs", "lots", "stems", "items", "kinds")
    parts = [need._replace(**{name: getattr(need, name)[:WIDEST] for name in named})]
    for name in named:
        rest = getattr(need, name)[WIDEST:]
        parts += [Need(need.account, **{name: rest[place : place + WIDEST]}) for place in range(0, len(rest), WIDEST)]
    return parts


def asked(need: Need, limit: int) -> tuple[Shape, dict[str, Any]]:
    """Return the shape of a need, and the values for its statement."""
    values: dict[str, Any] = {"account": need.account}
    if need.due is not None:
        values["due"] = need.due
    if need.everything:
        return Shape(0, 0, 0, need.due is not None, 0, 0, 0, 0, 0, False, True), values
    spend = [(unit, wanted) for unit, wanted in need.spend if wanted > 0]
    if spend:
        values["spend_at"], values["limit"] = need.spend_at, limit
        values.update((f"unit_{place}", unit) for place, (unit, _) in enumerate(spend))
    item_kinds = {kind for kind, _ in need.items}
    return Shape(
        _put(values, "key", need.keys),
        _put(values, "ref", need.refs),
        len(spend),
        need.due is not None,
        _put(values, "lot", need.lots),
        _put_ranges(values, need.stems),
        _put(values, "kind", need.kinds),
        _put(values, "item_kind", tuple(item_kinds)),
        _put(values, "name", tuple({name for _, name in need.items})),
        need.open_lots,
        False,
    ), values


def _put(values: dict[str, Any], name: str, names: Sequence[str]) -> int:
    """Put names where a statement of the next size has room for them; return the size."""
    if not names:
        return 0
    size = room(len(names))
    for place in range(size):
        values[f"{name}_{place}"] = names[place] if place < len(names) else names[-1]
    return size


def _put_ranges(values: dict[str, Any], stems: Sequence[str]) -> int:
    """Put between what the names of lots lie that begin with a stem: it alone, or ``#`` or ``+`` and more."""
    _put(values, "begin", stems)
    return _put(values, "end", tuple(stem + "," for stem in stems))  # which follows "+"


def room(count: int) -> int:
    """Return the least size of a statement that takes so many names."""
    return next(size for size in SIZES if size >= count)


# ---------------------------------------------------------------- what is answered


def decode(answer: Answer, need: Need, rows: Iterable[Sequence[Any]], limit: int) -> Context | None:
    """Return the context that the rows of one answer are; None if more lots than `limit` are needed to be spent."""
    flat, readers, following = answer
    head: Head | None = None
    balances: dict[str, Balance] = {}
    records: list[Record] = []
    entries: list[Entry] = []
    lots: dict[str, Lot] = {}
    items: dict[tuple[str, str], Item] = {}
    next_at = NEVER
    spend = [wanted for _, wanted in need.spend if wanted > 0]
    seen = [0] * len(spend)
    for row in rows:
        tag = row[0]
        row = flat(row)
        if tag >= SPENDING:
            lot = Lot._make(readers[_LOT](row))
            lots[lot.lot] = lot
            spend[tag - SPENDING] -= lot.active
            seen[tag - SPENDING] += 1
            continue
        made: Any = KINDS[tag]._make(readers[tag](row))
        if tag == _HEAD:
            head = made
            next_at = min((at for at in row[following] if at is not None), default=NEVER)
        elif tag == _BALANCE:
            balances[made.unit] = made
        elif tag == _RECORD:
            records.append(made)
        elif tag == _LOT:
            lots[made.lot] = made
        elif tag == _ITEM:
            items[made.kind, made.name] = made
        else:
            entries.append(made)
    if any(count == limit and left > 0 for count, left in zip(seen, spend, strict=True)):
        return None
    entries.sort()
    records.sort()  # in the order of recording, whatever the database finds first
    return Context(head, balances, {record.key: record for record in records}, lots, items, tuple(entries), next_at)


_HEAD, _BALANCE, _RECORD, _LOT, _ITEM = map(KINDS.index, (Head, Balance, Record, Lot, Item))


def together(parts: Sequence[Context]) -> Context | None:
    """Return several answers about one account as one; None if they are not of the same version."""
    first = parts[0]
    if len({None if part.head is None else part.head.version for part in parts}) > 1:
        return None
    records: dict[str, Record] = {}
    lots: dict[str, Lot] = {}
    items: dict[tuple[str, str], Item] = {}
    for part in parts:
        records.update(part.records)
        lots.update(part.lots)
        items.update(part.items)
    return first._replace(records=records, lots=lots, items=items)


# ---------------------------------------------------------------- what is written


class Change(NamedTuple):
    """One or more commits of one account, which follow each other, as the rows that they come to."""

    account: str
    program: str
    expected: int
    head: Head
    rows: dict[str, list[tuple[Any, ...]]]  # by table; "dropped" are items that go


def change(program: str, commits: Sequence[Commit]) -> Change:
    """Return the rows of commits that have been checked; of a row that several of them write, the last."""
    account = commits[0].account
    lots: dict[str, Lot] = {}
    balances: dict[str, Balance] = {}
    items: dict[tuple[str, str], Item] = {}
    for commit in commits:
        lots.update((lot.lot, lot) for lot in commit.lots)
        balances.update((balance.unit, balance) for balance in commit.balances)
        items.update(((item.kind, item.name), item) for item in commit.items)
    rows: dict[str, list[tuple[Any, ...]]] = {
        "record": [record for commit in commits for record in commit.records],
        "entry": [entry for commit in commits for entry in commit.entries],
        "lot": [(*lot, lot.due_at) for lot in lots.values()],
        "balance": list(balances.values()),
        "dropped": [key for key, item in items.items() if item.value is None],
        "item": [item for item in items.values() if item.value is not None],
    }
    return Change(account, program, commits[0].expected, commits[-1].head, rows)


def head_values(change: Change) -> tuple[Any, ...]:
    """Return the values for the statement that moves a head, in the order of `HEAD_VALUES`."""
    return (change.account, change.account, change.program, change.expected, *change.head)


def named_head_values(change: Change) -> dict[str, Any]:
    """Return them by name."""
    return dict(zip(HEAD_VALUES, head_values(change), strict=True))


def appended(change: Change) -> tuple[Sizes, Sequence[Any]]:
    """Return which one statement appends a change, and the values for it."""
    sizes: list[tuple[str, bool]] = []
    values = [*head_values(change)]
    for name, rows in change.rows.items():
        if len(rows) == 1:
            values += rows[0]
        elif rows:
            values.append(compact([dict(zip(COLUMNS[name], row, strict=True)) for row in rows]))
        else:
            continue
        sizes.append((name, len(rows) > 1))
    return tuple(sizes), values
