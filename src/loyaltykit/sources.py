"""A shop's own tables as the source of what its members did, so that orders need not be copied to be asked about.

Whoever has the orders already gives the club a `FactSource` over them: ``Club(program, store, source=OurOrders())``.
Status, segments, tiers, thresholds and decisions are then worked out from what the source tells. What the source does
not know of, activities perhaps, is recorded with the club as ever. Points still are: the ledger keeps with each award
the order that it was judged by, since a refund next year is to be judged by the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from loyaltykit.calendar import to_us
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal, order_of


@runtime_checkable
class FactSource(Protocol):
    """What a shop implements over its own tables. Both methods only read, and may be called from any thread."""

    def facts(self, member: str) -> Iterable[Fact]:
        """Return everything known of a member: orders, refunds, reversals, activities, in any order.

        The ids of facts, and what is told under them, have to be the same each time. Nobody's facts are none.
        """

    def members(self, after: str = "", limit: int = 100) -> Sequence[str]:
        """Return a page of the members whose name comes after `after`, by name in code point order."""


def told_by(source: FactSource, member: str, known_at: datetime | None = None) -> tuple[Fact, ...]:
    """Return what a source tells of a member: with `known_at`, what had happened by then.

    Raises:
        InputError: the source told something else than a fact, or a fact of another member.
    """
    told = tuple(source.facts(member))
    for place, fact in enumerate(told):
        if not isinstance(fact, Order | Refund | Reversal | Activity | Member):
            raise InputError(f"source.facts({member!r})[{place}]", fact, "tell orders, refunds, reversals, activities")
        if _whose(fact) != member:
            raise InputError(f"source.facts({member!r})[{place}]", _whose(fact), "tell the facts of this member alone")
    if known_at is None:
        return told
    return tuple(fact for fact in told if to_us(_known(fact)) <= to_us(known_at))


def together(recorded: Iterable[Fact], told: Sequence[Fact], member: str) -> list[Fact]:
    """Return what is recorded of a member and what a source tells: of an order that both know, what the source tells.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> ours, theirs = Order("1", "ann", at, amount="20.00"), Order("1", "ann", at, amount="25.00")
    >>> [fact.id for fact in together([ours, Activity("a", "ann", "review", at)], [theirs], "ann")]
    ['a', '1']
    """
    orders = {order_of(fact) for fact in told} - {None}
    others = {(type(fact), fact.id) for fact in told}
    kept = [fact for fact in recorded if order_of(fact) not in orders and (type(fact), fact.id) not in others]
    return kept + [fact if _whose(fact) == member else _of(fact, member) for fact in told]


def _whose(fact: Fact) -> str:
    return fact.id if isinstance(fact, Member) else fact.member


def _of(fact: Fact, member: str) -> Fact:
    """Return a fact of somebody who was merged into another member as a fact of that one."""
    return attrs.evolve(fact, id=member) if isinstance(fact, Member) else attrs.evolve(fact, member=member)


def _known(fact: Fact) -> datetime:
    return fact.known_from if isinstance(fact, Order) else fact.at
