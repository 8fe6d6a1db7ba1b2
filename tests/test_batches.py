"""Batches that meet other writers, and members who were merged: nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from loyaltykit import Activity, Club, MemoryStore, Order, Program, Refund, RefundTooLarge, activity, per_amount
from loyaltykit.errors import StoreError
from loyaltykit.journal import Commit

PROGRAM = Program("shop", "USD", earning=[per_amount(1), activity("visit", 7)])


def day(number: int) -> datetime:
    """Return a day of March."""
    return datetime(2026, 3, number, tzinfo=UTC)


class Overtaken(MemoryStore):
    """A store in which another writer is faster, just before the next append."""

    other: Callable[[], object] | None = None

    def _let_other(self) -> None:
        other, self.other = self.other, None
        if other is not None:
            other()

    def append(self, commit: Commit) -> None:
        """Append after the other writer."""
        self._let_other()
        super().append(commit)

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Append after the other writer."""
        self._let_other()
        return super().append_many(commits)


def merged(store: MemoryStore) -> Club:
    """Return a club in which the member kim took over the guest, who had an order."""
    club = Club(PROGRAM, store)
    club.record(Order("g1", "guest", day(1), amount="40.00"))
    club.record(Order("k1", "kim", day(1), amount="25.00"))
    club.merge("guest", into="kim", at=day(2))
    return club


def test_a_batch_that_is_overtaken_loses_nothing() -> None:
    """A fact that must be told apart has those before it written; where another writer came first, they are redone."""
    store = Overtaken()
    club = merged(store)
    store.other = lambda: Club(PROGRAM, store).record(Order("k2", "kim", day(3), amount="1.00"))
    facts = [Activity("v", "kim", "visit", day(4)), Refund("r", "kim", "g1", day(5), amount="10.00")]
    assert [7, -10] == [receipt.points for receipt in club.record_many(facts)]
    assert 40 + 25 + 1 + 7 - 10 == club.balance("kim", at=day(6)).available
    assert [] == club.verify("kim")


def test_a_member_may_be_merged_while_a_batch_is_decided() -> None:
    """What the batch has for them is recorded where they are now."""
    store = Overtaken()
    club = Club(PROGRAM, store)
    club.record(Order("g1", "guest", day(1), amount="40.00"))
    club.record(Order("k1", "kim", day(1), amount="25.00"))
    store.other = lambda: Club(PROGRAM, store).merge("guest", into="kim", at=day(2))
    [receipt] = club.record_many([Refund("r", "guest", "g1", day(5), amount="10.00")])
    assert ("kim", -10) == (receipt.member, receipt.points)
    assert 40 + 25 - 10 == club.balance("kim", at=day(6)).available


def test_a_batch_ends_before_a_fact_of_a_merged_member_that_cannot_be_true() -> None:
    """All that came before it is recorded and answered, whoever it was of; then the error is raised."""
    club = merged(MemoryStore())
    facts = [
        Order("a1", "ann", day(3), amount="5.00"),
        Refund("r", "guest", "g1", day(5), amount="50.00"),
        Order("b1", "bob", day(6), amount="5.00"),
    ]
    receipts = club.record_many(facts)
    assert 5 == next(receipts).points
    with pytest.raises(RefundTooLarge):
        next(receipts)
    assert 5 == club.balance("ann", at=day(7)).available
