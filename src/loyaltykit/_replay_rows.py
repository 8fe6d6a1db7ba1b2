"""Facts of rows: what a replay makes of a frame of orders, by way of the histories that the frame has of its customers.

Pure. Rows say how much of an order, or of its lines of one kind, came and went, and when it became known. Each instant
at which something became known is a revision of the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from loyaltykit.amounts import from_minor
from loyaltykit.calendar import from_us
from loyaltykit.consent import Told
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Line, Member, Order
from loyaltykit.history import History, Sale


@runtime_checkable
class Framed(Protocol):
    """What has a history of each customer, such as a `loyaltykit.frames.Base`."""

    def histories(self) -> Mapping[Any, History]:
        """Return the history of each customer."""


def facts_in(given: Iterable[Told] | Framed) -> Iterable[Told]:
    """Return facts as they are given, or those that the rows of a frame are."""
    if not isinstance(given, Framed):
        return given
    return (fact for history in given.histories().values() for fact in facts_of(history))


def facts_of(history: History) -> Iterator[Fact]:
    """Yield what a history of rows tells as facts: orders by amount, or by line where it has lines, and activities.

    A line is one piece, for rows have no quantities.
    """
    yield from (fact for fact in history.facts if isinstance(fact, Activity | Member))
    by_order = attrgetter("order")
    for order, changes in groupby(sorted([*history.purchases, *history.sales], key=by_order), key=by_order):
        yield from _revisions(history, order, list(changes))


def _revisions(history: History, order: str, changes: Sequence[Sale]) -> Iterator[Order]:
    """Yield an order as it was known from each instant on."""
    at, known = min(sale.at for sale in changes), attrgetter("known")
    lined = any(sale.sku is not None for sale in changes)
    there = 0  # whether anything of the order is
    left: dict[tuple[str, tuple[str, ...]], tuple[int, int]] = {}  # and of its lines of one kind, and how much
    for revision, (since, some) in enumerate(groupby(sorted(changes, key=known), key=known), 1):
        for sale in some:
            there += sale.present if sale.sku is None else 0
            if lined == (sale.sku is not None):
                kind = (sale.sku or "order", sale.categories)
                units, pieces = left.get(kind, (0, 0))
                left[kind] = units + sale.amount, pieces + sale.present
        least = min((units for units, _ in left.values()), default=0)
        if least < 0:
            shown = from_minor(least, history.currency)
            raise InputError(f"order {order}", shown, "more of it was taken back than there was; give rows that add up")
        yield Order(
            order, history.member, from_us(at),
            [
                Line(sku, total=from_minor(units, history.currency), categories=categories)
                for (sku, categories), (units, pieces) in left.items()
                if units > 0 or pieces > 0
            ],
            channel=sale.channel, codes=sale.codes, currency=history.currency,
            state="paid" if there > 0 or (lined and any(map(any, left.values()))) else "cancelled",
            revision=revision, revised_at=None if since == at else from_us(since),
        )  # fmt: skip
