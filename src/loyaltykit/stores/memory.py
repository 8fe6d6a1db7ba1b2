"""The store that lives in memory: the executable specification of `loyaltykit.stores.protocol.Store`."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from threading import Lock
from types import TracebackType
from typing import TypeVar

from loyaltykit.errors import StaleVersion, StoreError, StoreUnusable
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Item, Lot, Need, Record
from loyaltykit.stores._commits import (
    check_commit,
    check_replacement,
    follows_failed,
    key_twice,
    moved,
    other_version,
    stale,
)

_LotKey = tuple[int, int, str]  # (expires_at, earned_at, lot): the order in which lots are spent
_ItemKey = tuple[str, str]


class MemoryStore:
    """Keep every account in this process's memory, for tests, trials and small tools.

    It keeps all laws of `loyaltykit.stores.protocol` except durability: what it holds ends with it. It may be shared
    between threads, not between processes. Loading what a purchase or a redemption needs, and appending, take the
    same time for 10,000 records and lots as for ten.

    >>> from loyaltykit.journal import Commit, Head, Need, Record
    >>> order = Record(1, "order:1", "order", None, 0, 0, "f1", "applied", "{}", "[]", "{}")
    >>> with MemoryStore() as store:
    ...     store.append(Commit("coffee/ann", 0, Head(1, 0, 0, 0, 0), [order]))
    ...     store.load(Need("coffee/ann", keys=("order:1",))).records["order:1"].kind
    'order'
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: dict[str, _Account] = {}
        self._programs: dict[str, _Listing] = {}
        self._versions: dict[str, dict[int, tuple[int, str]]] = {}
        self._closed = False

    def load(self, need: Need) -> Context:
        """Return one consistent view of an account. The law: `Store.load`."""
        with self._lock:
            self._check_open()
            account = self._accounts.get(need.account)
            return Context(None, {}, {}, {}, {}) if account is None else account.view(need)

    def append(self, commit: Commit) -> None:
        """Apply `commit` whole, or raise and change nothing. The law: `Store.append`."""
        with self._lock:
            self._check_open()
            self._append(commit)

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Apply each commit whole or not at all. The law: `Store.append_many`."""
        outcomes: list[StoreError | None] = []
        failed: set[str] = set()
        with self._lock:
            self._check_open()
            for commit in commits:
                outcome: StoreError | None = None
                try:
                    if commit.account in failed:
                        raise StaleVersion(follows_failed(commit))
                    self._append(commit)
                except StoreError as error:
                    failed.add(commit.account)
                    outcome = error
                outcomes.append(outcome)
        return outcomes

    def exclusive(self, account: str) -> AbstractContextManager[None]:
        """Return a context that does nothing: here a repeated decision costs less than waiting for a turn."""
        self._check_open()
        return nullcontext()

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return a page of a program's accounts by name. The law: `Store.accounts`."""
        with self._lock:
            self._check_open()
            listing = self._programs.get(program)
            names = () if listing is None else listing.names_after(after)
            return [(name, self._accounts[name].head) for name, _ in zip(names, range(limit), strict=False)]

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Return a page of a program's balances in `unit` by name of account. The law: `Store.balances`."""
        page: list[tuple[str, Head, Balance]] = []
        with self._lock:
            self._check_open()
            listing = self._programs.get(program)
            for name in () if listing is None else listing.names_after(after):
                if len(page) >= limit:
                    break
                account = self._accounts[name]
                balance = account.balances.get(unit)
                if balance is not None:
                    page.append((name, account.head, balance))
        return page

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Return accounts whose `next_at` is at or before `before`, soonest first. The law: `Store.due`."""
        with self._lock:
            self._check_open()
            listing = self._programs.get(program)
            return [] if listing is None else listing.due(self._accounts, before, limit)

    def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """Return the registered versions of a program. The law: `Store.versions`."""
        with self._lock:
            self._check_open()
            return [(version, *rest) for version, rest in sorted(self._versions.get(program, {}).items())]

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep a version of a program. The law: `Store.register`."""
        with self._lock:
            self._check_open()
            known = self._versions.setdefault(program, {}).setdefault(version, (effective_from, payload))
            if known != (effective_from, payload):
                raise StoreError(other_version(program, version))

    def programs(self) -> Sequence[str]:
        """Return the names of the registered programs. The law: `Store.programs`."""
        with self._lock:
            self._check_open()
            return sorted(self._versions)

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Put another stream in the place of an account. The law: `Store.replace`."""
        with self._lock:
            self._check_open()
            check_replacement(account, expected, instead)
            known = self._accounts.get(account)
            if known is None or known.head.version != expected:
                raise StaleVersion(moved(account, expected, 0 if known is None else known.head.version))
            listing = self._programs[account.partition("/")[0]]
            del self._accounts[account]
            listing.remove(account)
            try:
                self._append(instead)
            except StoreError:
                self._accounts[account] = known
                listing.add(account)
                listing.expect(known.head.next_at, account, self._accounts)
                raise

    def close(self) -> None:
        """Forget everything. Closing twice is nothing."""
        with self._lock:
            self._closed = True
            self._accounts, self._programs, self._versions = {}, {}, {}

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MemoryStore: {'closed' if self._closed else f'{len(self._accounts)} accounts'}>"

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnusable("this MemoryStore has been closed, and what it held is gone; make another one")

    def _append(self, commit: Commit) -> None:
        program = check_commit(commit)
        account = self._accounts.get(commit.account)
        version = 0 if account is None else account.head.version
        if version != commit.expected:
            raise StaleVersion(stale(commit, version))
        for record in commit.records:
            if account is not None and record.key in account.by_key:
                raise StoreError(key_twice(commit.account, record.key))
        listing = self._programs.setdefault(program, _Listing())
        if account is None:
            account = self._accounts[commit.account] = _Account(commit.head)
            listing.add(commit.account)
            due_before = NEVER
        else:
            due_before = account.head.next_at
        account.apply(commit)
        if commit.head.next_at != due_before:
            listing.expect(commit.head.next_at, commit.account, self._accounts)


class _Account:
    """One account's rows, each kept under every way in which a `Need` asks for them. Guarded by the store's lock."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.balances: dict[str, Balance] = {}
        self.records: list[Record] = []
        self.by_key: dict[str, Record] = {}
        self.by_ref: dict[str, list[Record]] = {}
        self.entries: list[Entry] = []
        self.lots: dict[str, Lot] = {}
        self.by_stem: dict[str, list[str]] = {}
        self.spendable: dict[str, list[_LotKey]] = {}  # by unit: what has anything active
        self.open: dict[str, None] = {}  # the lots with anything pending, active or held
        self.lots_due: list[tuple[int, str]] = []
        self.items: dict[str, dict[str, Item]] = {}
        self.items_due: list[tuple[int, str, str]] = []

    def apply(self, commit: Commit) -> None:
        """Take the rows of a commit that has been checked; from here on nothing can be refused."""
        for record in commit.records:
            self.records.append(record)
            self.by_key[record.key] = record
            if record.ref is not None:
                self.by_ref.setdefault(record.ref, []).append(record)
        self.entries.extend(sorted(commit.entries, key=itemgetter(0, 1)))
        for lot in commit.lots:
            self._put_lot(lot)
        for balance in commit.balances:
            self.balances[balance.unit] = balance
        for item in commit.items:
            self._put_item(item)
        self.head = commit.head

    def _put_lot(self, lot: Lot) -> None:
        old = self.lots.get(lot.lot)
        self.lots[lot.lot] = lot
        was = None if old is None or old.active <= 0 else (old.unit, (old.expires_at, old.earned_at, old.lot))
        now = None if lot.active <= 0 else (lot.unit, (lot.expires_at, lot.earned_at, lot.lot))
        if was != now:
            if was is not None:
                _take_out(self.spendable[was[0]], was[1])
            if now is not None:
                insort(self.spendable.setdefault(now[0], []), now[1])
        if lot.pending > 0 or lot.active > 0 or lot.held > 0:
            self.open[lot.lot] = None
        else:
            self.open.pop(lot.lot, None)
        due_before, due_at = NEVER if old is None else old.due_at, lot.due_at
        if due_before != due_at:
            if due_before != NEVER:
                _take_out(self.lots_due, (due_before, lot.lot))
            if due_at != NEVER:
                insort(self.lots_due, (due_at, lot.lot))
        if old is None:
            self.by_stem.setdefault(lot.stem, []).append(lot.lot)

    def _put_item(self, item: Item) -> None:
        of_kind = self.items.setdefault(item.kind, {})
        old = of_kind.pop(item.name, None)
        if old is not None and old.due_at != NEVER:
            _take_out(self.items_due, (old.due_at, old.kind, old.name))
        if item.value is not None:
            of_kind[item.name] = item
            if item.due_at != NEVER:
                insort(self.items_due, (item.due_at, item.kind, item.name))

    def view(self, need: Need) -> Context:
        """Return what `need` names, in collections of the caller's own."""
        following = NEVER if need.due is None else self._due_after(need.due)
        if need.everything:
            items = {(item.kind, item.name): item for of_kind in self.items.values() for item in of_kind.values()}
            return Context(
                self.head,
                dict(self.balances),
                dict(self.by_key),
                dict(self.lots),
                items,
                tuple(self.entries),
                following,
            )
        records: dict[str, Record] = {}
        for key in need.keys:
            record = self.by_key.get(key)
            if record is not None:
                records[key] = record
        for ref in need.refs:
            for record in self.by_ref.get(ref, ()):
                records[record.key] = record
        lots = {lot.lot: lot for lot in self._lots(need)}
        return Context(self.head, dict(self.balances), records, lots, self._items(need), (), following)

    def _lots(self, need: Need) -> Iterator[Lot]:
        lots = self.lots
        for unit, wanted in need.spend:
            yield from self._prefix(unit, wanted, need.spend_at)
        if need.due is not None:
            for due_at, name in self.lots_due:
                if due_at > need.due:
                    break
                yield lots[name]
        for name in need.lots:
            if name in lots:
                yield lots[name]
        for stem in need.stems:
            for name in self.by_stem.get(stem, ()):
                yield lots[name]
        if need.open_lots:
            for name in self.open:
                yield lots[name]

    def _prefix(self, unit: str, wanted: int, at: int) -> Iterator[Lot]:
        """Yield lots of `unit`, soonest expiring first, until what is spendable in them at `at` covers `wanted`."""
        keys = self.spendable.get(unit, [])
        for place in range(bisect_left(keys, (at + 1,)), len(keys)):  # those before have expired by then
            if wanted <= 0:
                return
            lot = self.lots[keys[place][2]]
            if lot.active_at <= at:
                wanted -= lot.active
                yield lot

    def _due_after(self, at: int) -> int:
        """Return the least `due_at` of lots and items that is greater than `at`."""
        lots = bisect_left(self.lots_due, (at + 1,))
        items = bisect_left(self.items_due, (at + 1,))
        return min(
            self.lots_due[lots][0] if lots < len(self.lots_due) else NEVER,
            self.items_due[items][0] if items < len(self.items_due) else NEVER,
        )

    def _items(self, need: Need) -> dict[_ItemKey, Item]:
        found: dict[_ItemKey, Item] = {}
        for kind, name in need.items:
            item = self.items.get(kind, {}).get(name)
            if item is not None:
                found[kind, name] = item
        for kind in need.kinds:
            for name, item in self.items.get(kind, {}).items():
                found[kind, name] = item
        if need.due is not None:
            for due_at, kind, name in self.items_due:
                if due_at > need.due:
                    break
                found[kind, name] = self.items[kind][name]
        return found


class _Listing:
    """The accounts of one program: by name, and by what is due next. Guarded by the store's lock."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sorted = True
        self._heap: list[tuple[int, str]] = []  # may hold instants that have been replaced since; skipped when read

    def add(self, account: str) -> None:
        self._sorted = self._sorted and (not self._names or self._names[-1] < account)
        self._names.append(account)

    def remove(self, account: str) -> None:
        self._names.remove(account)
        self._heap = [pair for pair in self._heap if pair[1] != account]
        heapq.heapify(self._heap)

    def names_after(self, after: str) -> Iterator[str]:
        if not self._sorted:
            self._names.sort()
            self._sorted = True
        for place in range(bisect_left(self._names, after), len(self._names)):
            if self._names[place] != after:
                yield self._names[place]

    def expect(self, next_at: int, account: str, accounts: dict[str, _Account]) -> None:
        """Note that something happens in `account` at `next_at`."""
        if next_at != NEVER:
            heapq.heappush(self._heap, (next_at, account))
        if len(self._heap) > 2 * len(self._names) + 64:
            self._heap = [(accounts[name].head.next_at, name) for name in self._names]
            self._heap = [pair for pair in self._heap if pair[0] != NEVER]
            heapq.heapify(self._heap)

    def due(self, accounts: dict[str, _Account], before: int, limit: int) -> list[str]:
        found: dict[str, int] = {}
        while self._heap and self._heap[0][0] <= before and len(found) < limit:
            next_at, name = heapq.heappop(self._heap)
            if accounts[name].head.next_at == next_at:
                found[name] = next_at
        for name, next_at in found.items():
            heapq.heappush(self._heap, (next_at, name))
        return list(found)


_Key = TypeVar("_Key", tuple[int, int, str], tuple[int, str], tuple[int, str, str])


def _take_out(ordered: list[_Key], key: _Key) -> None:
    """Remove `key` from a sorted list that contains it."""
    del ordered[bisect_left(ordered, key)]
