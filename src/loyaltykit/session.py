"""One account being written: load, decide, append, and again where another writer was faster.

The shell's only loop. A session keeps what it loaded and what was decided since, so that many facts of one account
can be decided on one load and appended in one commit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from loyaltykit.books import Books
from loyaltykit.commands import Draft, Terms, View
from loyaltykit.errors import StoreUnusable
from loyaltykit.journal import Balance, Commit, Context, Entry, Item, Lot, Need, Record
from loyaltykit.ledger import Envelope, Incomplete, Posting, post
from loyaltykit.stores.protocol import Store

T = TypeVar("T")

_Rows = tuple[
    dict[str, Balance], dict[str, Record], dict[str, Lot], dict[tuple[str, str], Item], list[Entry]
]  # fmt: skip


class Task(NamedTuple):
    """One write: what it needs to see, how it is recorded, and how to decide it once the books are there."""

    need: Need
    envelope: Envelope
    choose: Callable[[View], Draft]
    terms: Callable[[str], Terms]


class Session:
    """The writing of one account, from a load of all that is needed, with what is due by then, to `flush`."""

    def __init__(self, store: Store, *needs: Need, due: int | None = None) -> None:
        self._store = store
        self._needs = needs  # kept, so that what each is known by stays its own
        self._asked = frozenset(map(id, needs))
        self._need = union(needs)
        if due is not None:
            self._need = self._need._replace(due=due)
        self._known: _Known | None = None
        self._commits: list[Commit] = []
        self._books: Books | None = None  # as the latest posting left them

    @property
    def context(self) -> Context:
        """What is known of the account: as loaded, with what was decided since."""
        if self._known is None:
            self._known = _Known(self._need, self._load())
        return self._known.context()

    def _load(self) -> Context:
        context, due = self._store.load(self._need), self._need.due
        if due is not None and context.head is not None and context.head.next_at > due:
            # A store need not look then. Those that do may know better, but the books shall not depend on which it is.
            context = context._replace(next_at=context.head.next_at)
        return context

    def run(self, task: Task, recorded_at: int) -> Posting:
        """Decide a task on what is known, loading more where that is not enough."""
        if id(task.need) not in self._asked and not self._covers(task.need):
            self._reload(union([self._need, task.need]))
        while True:
            books, self._books = self._books, None  # deciding changes them: where it fails they are of no use
            try:
                posting = post(self.context, self._need, task.envelope, recorded_at, task.choose, task.terms, books)
            except Incomplete as more:
                if more.need == self._need:  # what was asked for was loaded, and was not enough
                    if self._need.everything:
                        raise StoreUnusable(f"{self._need.account} names what it does not hold; verify it") from more
                    more.need = more.need._replace(everything=True)
                self._reload(more.need)
                continue
            if posting.commit is not None:
                self._commits.append(posting.commit)
                if self._known is not None:
                    self._known.behind.append(posting.commit)
                self._books = posting.books
                if self._need.spend:
                    self._need = self._need._replace(spend=())  # what covered an amount may be spent by now
            return posting

    def commit(self) -> Commit | None:
        """Return everything decided since the last load as one commit; None if there was nothing."""
        return _joined(self._commits) if self._commits else None

    def flush(self) -> None:
        """Append what was decided."""
        commit = self.commit()
        if commit is not None:
            self._store.append(commit)
        self._commits = []

    def _reload(self, need: Need) -> None:
        if self._known is not None and self._commits:
            self.flush()
        self._need, self._known, self._books = need, None, None

    def _covers(self, want: Need) -> bool:
        """Say whether all that `want` names was loaded, or will be."""
        have = self._need
        if have.everything:
            return True
        due = want.due is None or (have.due is not None and want.due <= have.due)
        if self._known is None:
            return due and all(set(named) <= set(mine) for named, mine in zip(_named(want), _named(have), strict=True))
        return due and all(map(frozenset.issuperset, self._known.named, _named(want)))


class _Known:
    """What a session knows of its account: what was loaded, in mappings of its own, and the commits that follow it."""

    def __init__(self, need: Need, loaded: Context) -> None:
        self._need = need
        self.behind: list[Commit] = []  # commits that the context does not show yet
        self._context = loaded
        self._own: _Rows | None = None

    @cached_property
    def named(self) -> list[frozenset[Any]]:
        """What was asked for by name, of each kind."""
        return [frozenset(each) for each in _named(self._need)]

    def context(self) -> Context:
        if self.behind:
            self._catch_up()
        return self._context

    def _catch_up(self) -> None:
        old = self._context
        if self._own is None:
            self._own = dict(old.balances), dict(old.records), dict(old.lots), dict(old.items), list(old.entries)
        balances, records, lots, items, entries = self._own
        for commit in self.behind:
            for row in commit.balances:
                balances[row.unit] = row
            for record in commit.records:
                records[record.key] = record
            for lot in commit.lots:
                lots[lot.lot] = lot
            for item in commit.items:
                items[item.kind, item.name] = item
            entries += commit.entries
        self._context = Context(self.behind[-1].head, balances, records, lots, items, entries, old.next_at)
        self.behind.clear()


def pause(attempt: int, sleep: Callable[[float], object] = time.sleep) -> None:
    """Wait a little, at random, longer with each attempt, so that writers that collided do not collide again."""
    sleep(random.uniform(0, min(0.05, 0.0005 * 2**attempt)))


def _named(need: Need) -> tuple[Iterable[Any], ...]:
    return need.keys, need.refs, need.stems, need.items, need.lots, need.kinds


def union(needs: Sequence[Need]) -> Need:
    """Return a need that covers all of them; what the last of them wants to spend counts."""
    if len(needs) == 1:
        return needs[0]
    dues = [need.due for need in needs if need.due is not None]
    spending = next((need for need in reversed(needs) if need.spend), needs[-1])
    return Need(
        needs[-1].account,
        _all(need.keys for need in needs),
        _all(need.refs for need in needs),
        spending.spend,
        spending.spend_at,
        max(dues, default=None),
        _all(need.lots for need in needs),
        _all(need.stems for need in needs),
        _all(need.items for need in needs),
        _all(need.kinds for need in needs),
        any(need.open_lots for need in needs),
        any(need.everything for need in needs),
    )


def _all(parts: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))


def _joined(commits: list[Commit]) -> Commit:
    """Return consecutive commits of one account as one."""
    if len(commits) == 1:
        return commits[0]
    return Commit(
        commits[0].account,
        commits[0].expected,
        commits[-1].head,
        [record for commit in commits for record in commit.records],
        [entry for commit in commits for entry in commit.entries],
        list({lot.lot: lot for commit in commits for lot in commit.lots}.values()),
        list({row.unit: row for commit in commits for row in commit.balances}.values()),
        list({(item.kind, item.name): item for commit in commits for item in commit.items}.values()),
    )
