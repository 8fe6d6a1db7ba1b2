"""A program's books from one store to another: copied, compared, written as lines of JSON and read from them.

Works on any two stores. Every row arrives as it was, so that the hashes are the same on both sides (`differences`).
Doing it again is always safe: what is there already is left alone, and what was recorded at the source since is added.
So a shop may copy while it is at work, stop for a moment, and copy what is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import attrs

from loyaltykit.audit import Progress, accounts, whole
from loyaltykit.errors import InputError, StaleVersion, StoreError
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Record, compact
from loyaltykit.seals import Finding, digest
from loyaltykit.stores.protocol import Store

FORMAT = 1

_TOGETHER = 20_000
"""How many rows are written in one step, at least."""

_ROWS = (Record, Entry, Lot, Balance, Item)


@attrs.frozen
class Copied:
    """What a copy came to: the program, how many accounts it has, and how many of them were new or had grown."""

    program: str
    accounts: int
    written: int

    def __str__(self) -> str:
        return f"{self.program}: {self.accounts:,} accounts, {self.written:,} of them written"


# ---------------------------------------------------------------- one account


def _commit(account: str, context: Context) -> Commit:
    """Return a whole account as a commit from nothing, each kind of row in an order of its own."""
    if context.head is None:
        raise StoreError(f"{account} is gone")
    return Commit(
        account, 0, context.head, sorted(context.records.values()), sorted(context.entries),
        sorted(context.lots.values()), sorted(context.balances.values()), sorted(context.items.values()),
    )  # fmt: skip


def _size(commit: Commit) -> int:
    return sum(map(len, (commit.records, commit.entries, commit.lots, commit.balances, commit.items)))


def _rest(commit: Commit, known: Context) -> Commit | None:
    """Return what an account lacks that is there already; None if nothing. `StoreError` if it is another account."""
    here = _commit(commit.account, known)
    if here == commit:
        return None
    version = here.head.version
    if here.records != commit.records[:version] or version >= commit.head.version:
        raise StoreError(
            f"the target has {commit.account} with another content, at version {version}, the source at "
            f"{commit.head.version}; copy into a store without accounts of the program, or with an earlier copy of them"
        )
    left = {(item.kind, item.name) for item in commit.items}
    gone = [Item(kind, name, NEVER, None) for kind, name in known.items if (kind, name) not in left]
    return commit._replace(
        expected=version,
        records=commit.records[version:],
        entries=[entry for entry in commit.entries if entry.version > version],
        lots=[lot for lot in commit.lots if known.lots.get(lot.lot) != lot],
        balances=[row for row in commit.balances if known.balances.get(row.unit) != row],
        items=[item for item in commit.items if known.items.get((item.kind, item.name)) != item] + gone,
    )


def _write(target: Store, commits: list[Commit]) -> int:
    """Write whole accounts, or what is lacking of them; return how many were not there as they are."""
    written = 0
    for commit, outcome in zip(commits, target.append_many(commits), strict=True):
        if outcome is not None and not isinstance(outcome, StaleVersion):
            raise outcome
        if outcome is not None:  # it is there already
            rest = _rest(commit, whole(target, commit.account))
            if rest is None:
                continue
            target.append(rest)
        written += 1
    return written


def _in_steps(target: Store, commits: Iterable[Commit]) -> tuple[int, int]:
    """Write commits, many in one step; return how many there were, and how many were written."""
    count = written = size = 0
    waiting: list[Commit] = []
    for commit in commits:
        waiting.append(commit)
        count, size = count + 1, size + _size(commit)
        if size >= _TOGETHER:
            written += _write(target, waiting)
            waiting, size = [], 0
    return count, written + _write(target, waiting)


# ---------------------------------------------------------------- from store to store


def copy(source: Store, target: Store, program: str, *, progress: Progress = None) -> Copied:
    """Copy a program's versions and accounts, budgets and stocks, from one store to another.

    The target has none of the program's accounts, or an earlier copy of them: interrupted, the same call again goes on;
    repeated, it adds what was recorded since. `progress` is told every 500 accounts how many are read, and which was
    the last. Raises `StoreError` where the target has an account with another content; what was copied by then stays.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import Club, MemoryStore, Order, Program, per_amount
    >>> old, new = MemoryStore(), MemoryStore()
    >>> receipt = Club(Program("shop", "USD", earning=per_amount(1)), old).record(
    ...     Order("1001", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")
    ... )
    >>> print(copy(old, new, "shop"))
    shop: 1 accounts, 1 of them written
    >>> list(differences(old, new, "shop"))
    []
    """
    for version in source.versions(program):
        target.register(program, *version)
    return Copied(program, *_in_steps(target, _commits(source, program, progress)))


def _commits(source: Store, program: str, progress: Progress) -> Iterator[Commit]:
    for account, _ in accounts(source, program, progress):
        context = whole(source, account)
        if context.head is not None:  # it may have been erased since it was listed
            yield _commit(account, context)


def differences(source: Store, target: Store, program: str, *, progress: Progress = None) -> Iterator[Finding]:
    """Yield where the target is not, by its hashes, what the source is: accounts and versions, on either side."""
    if list(source.versions(program)) != list(target.versions(program)):
        yield Finding(program, "different", "the versions of the program are not the same")
    extra = {account for account, _ in accounts(target, program)}
    for account, _ in accounts(source, program, progress):
        if account not in extra:
            yield Finding(account, "missing", "the target does not have the account")
        elif digest(account, whole(source, account)) != digest(account, whole(target, account)):
            yield Finding(account, "different", "the account is not the same in the target")
        extra.discard(account)
    for account in sorted(extra):
        yield Finding(account, "only_there", "only the target has the account")


# ---------------------------------------------------------------- as lines


def export_lines(store: Store, program: str, *, progress: Progress = None) -> Iterator[str]:
    """Yield a program's books as lines of JSON, without line ends: one a version, one an account; the same each time.

    The first line says what it is, the last one how many accounts there are and the SHA-256 of all lines before it.
    Where accounts are written to meanwhile, each is as it was at one instant, not all at the same one.
    """
    seen = sha256()
    count = -1 - len(store.versions(program))
    for line in _lines(store, program, progress):
        seen.update(line.encode() + b"\n")
        count += 1
        yield line
    yield compact({"accounts": count, "sha256": seen.hexdigest()})


def _lines(store: Store, program: str, progress: Progress) -> Iterator[str]:
    yield compact({"books": FORMAT, "program": program})
    for version in store.versions(program):
        yield compact({"version": version})
    for commit in _commits(store, program, progress):
        yield compact({"account": commit.account, "head": commit.head, "rows": commit[3:]})


def import_lines(store: Store, lines: Iterable[str], *, progress: Progress = None) -> Copied:
    """Read what `export_lines` wrote into a store without accounts of the program, or with an earlier copy.

    Interrupted, the same call again goes on. Raises `InputError` for lines that are not a whole export (what came
    before the mistake is kept, and the whole of it mends that), `StoreError` for an account with another content.
    """
    reading = _Reading(store, progress)
    count, written = _in_steps(store, reading.commits(line.rstrip("\r\n") for line in lines))
    return Copied(reading.program, count, written)


class _Reading:
    """An export being read, line by line."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.program = ""
        self._store, self._progress = store, progress
        self._seen, self._count = sha256(), 0

    def commits(self, lines: Iterable[str]) -> Iterator[Commit]:
        """Yield the accounts; register the versions."""
        ended = False
        for number, line in enumerate(lines, 1):
            try:
                data = json.loads(line)
                if number == 1:
                    self._begin(data)
                elif ended:
                    raise InputError(f"line {number}", line[:40], "comes after the end of the export")
                elif "sha256" in data:
                    self._end(data)
                    ended = True
                elif "version" in data:
                    self._store.register(self.program, *data["version"])
                else:
                    yield self._account(data)
            except (ValueError, KeyError, TypeError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"line {number}", line[:40], f"is not a line of an export: {error!r}") from None
            self._seen.update(line.encode() + b"\n")
        if not ended:
            raise InputError("lines", self._count, "the export ends before its last line; import the whole of it again")

    def _begin(self, data: Any) -> None:
        if data["books"] != FORMAT:
            raise InputError("books", data["books"], f"was written by another version; this one reads {FORMAT}")
        self.program = data["program"]

    def _account(self, data: Any) -> Commit:
        rows = [[kind(*row) for row in part] for kind, part in zip(_ROWS, data["rows"], strict=True)]
        account = str(data["account"])
        if account.partition("/")[0].partition("~")[0] != self.program.partition("~")[0]:
            raise InputError("account", account, f"is not of the program {self.program}")
        self._count += 1
        if self._progress is not None and self._count % 500 == 0:
            self._progress(self._count, account)
        return Commit(account, 0, Head(*data["head"]), *rows)

    def _end(self, data: Any) -> None:
        if (data["accounts"], data["sha256"]) != (self._count, self._seen.hexdigest()):
            raise InputError(
                "sha256", data["sha256"], "is of other lines than these; import a file that was not changed"
            )
