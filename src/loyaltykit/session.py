"""One account being written: load, decide, append, and again where another writer was faster.

The shell's only loop. A session keeps what it loaded and what was decided since, so that many facts of one account
can be decided on one load and appended in one commit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from loyaltykit.commands import Draft, Terms, View
from loyaltykit.errors import StoreUnusable
from loyaltykit.journal import Commit, Context, Need
from loyaltykit.ledger import Envelope, Incomplete, Posting, post
from loyaltykit.stores.protocol import Store

T = TypeVar("T")


class Task(NamedTuple):
    """One write: what it needs to see, how it is recorded, and how to decide it once the books are there."""

    need: Need
    envelope: Envelope
    choose: Callable[[View], Draft]
    terms: Callable[[str], Terms]


class Session:
    """The writing of one account, from a load to `flush`."""

    def __init__(self, store: Store, need: Need) -> None:
        self._store = store
        self._need = need
        self._context: Context | None = None
        self._commits: list[Commit] = []

    @property
    def context(self) -> Context:
        """What is known of the account: as loaded, with what was decided since."""
        if self._context is None:
            self._context = self._store.load(self._need)
        return self._context

    def run(self, task: Task, recorded_at: int) -> Posting:
        """Decide a task on what is known, loading more where that is not enough."""
        if not _covers(self._need, task.need):
            self._reload(_union(self._need, task.need))
        while True:
            try:
                posting = post(self.context, self._need, task.envelope, recorded_at, task.choose, task.terms)
            except Incomplete as more:
                if more.need == self._need:  # what was asked for was loaded, and was not enough
                    if self._need.everything:
                        raise StoreUnusable(f"{self._need.account} names what it does not hold; verify it") from more
                    more.need = more.need._replace(everything=True)
                self._reload(more.need)
                continue
            if posting.commit is not None:
                self._commits.append(posting.commit)
                self._context = _applied(self.context, posting.commit)
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
        if self._context is not None and self._commits:
            self.flush()
        self._need, self._context = need, None


def pause(attempt: int) -> None:
    """Wait a little, at random, longer with each attempt, so that writers that collided do not collide again."""
    time.sleep(random.uniform(0, min(0.05, 0.0005 * 2**attempt)))


def _covers(have: Need, want: Need) -> bool:
    if have.everything:
        return True
    return (
        set(want.keys) <= set(have.keys)
        and set(want.refs) <= set(have.refs)
        and set(want.sources) <= set(have.sources)
        and set(want.items) <= set(have.items)
        and set(want.lots) <= set(have.lots)
        and set(want.kinds) <= set(have.kinds)
        and (want.due is None or (have.due is not None and want.due <= have.due))
    )


def _union(one: Need, other: Need) -> Need:
    """Return a need that covers both."""
    due = max((each.due for each in (one, other) if each.due is not None), default=None)
    return Need(
        other.account,
        _both(one.keys, other.keys),
        _both(one.refs, other.refs),
        other.spend or one.spend,
        other.spend_at or one.spend_at,
        due,
        _both(one.lots, other.lots),
        _both(one.sources, other.sources),
        _both(one.items, other.items),
        _both(one.kinds, other.kinds),
        one.open_lots or other.open_lots,
        one.everything or other.everything,
    )


def union(needs: list[Need]) -> Need:
    """Return a need that covers all of them."""
    need = needs[0]
    for other in needs[1:]:
        need = _union(need, other)
    return need


def _both(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return one if one == other else tuple(dict.fromkeys((*one, *other)))


def _applied(context: Context, commit: Commit) -> Context:
    """Return the context after a commit; its mappings are the session's own and are changed in place."""
    balances, records = dict(context.balances), dict(context.records)
    lots, items = dict(context.lots), dict(context.items)
    balances.update((row.unit, row) for row in commit.balances)
    records.update((record.key, record) for record in commit.records)
    lots.update((lot.lot, lot) for lot in commit.lots)
    items.update(((item.kind, item.name), item) for item in commit.items)
    return Context(commit.head, balances, records, lots, items, [*context.entries, *commit.entries], context.next_at)


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
