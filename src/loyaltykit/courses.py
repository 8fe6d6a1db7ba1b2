"""The course of an order: what it was, and which refunds stood, from one event to the next.

Revisions, refunds and reversals may come in any order; what counts is the instant from which each is known; at one
instant revisions come before refunds, and these before reversals. The highest revision known holds. A refund that
cannot be true of the order, beside those before it, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import attrs

from loyaltykit.calendar import to_us
from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund, Reversal
from loyaltykit.refunds import Remains, Sold, Split, left, ordered, sold


class Stage(NamedTuple):
    """An order from one of its events on, until the next: `known` is the event's instant, in microseconds."""

    known: int
    order: Order
    rest: Remains


def _place(fact: Order | Refund | Reversal) -> tuple[int, bool, int, str]:
    if isinstance(fact, Order):
        return to_us(fact.known_from), False, fact.revision, ""
    return to_us(fact.at), True, 0, f"{type(fact).__name__}:{fact.id}"


def course(facts: Iterable[Order | Refund | Reversal], currency: str, split: Split = "net_allocated") -> list[Stage]:
    """Return the stages of one order, in time; none while it is unknown.

    >>> from datetime import UTC, datetime
    >>> order = Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="50.00")
    >>> refund = Refund("r", "ann", "1", datetime(2026, 3, 9, tzinfo=UTC), amount="20.00")
    >>> [str(stage.rest.goods) for stage in course([refund, order], "USD")]
    ['50.00', '30.00']
    """
    order: Order | None = None
    refunds: dict[str, Refund] = {}
    stages: list[Stage] = []
    for fact in sorted(facts, key=_place):
        rest: Remains | None = None
        if isinstance(fact, Order):
            if order is not None and fact.revision < order.revision:
                continue
            order, goods, waiting, refunds = fact, sold(fact, currency, split), refunds, {}
            for refund in waiting.values():
                if _left(goods, [*refunds.values(), refund]) is not None:
                    refunds[refund.id] = refund
        elif isinstance(fact, Reversal):
            refunds.pop(fact.refund, None)
        elif order is None:
            refunds[fact.id] = fact
        elif fact.id not in refunds and (rest := _left(goods, [*refunds.values(), fact])) is not None:
            stands = _of_the_rest(goods, list(refunds.values()), fact)
            again = rest if stands is fact else _left(goods, [*refunds.values(), stands])
            refunds[fact.id], rest = (fact, rest) if again is None else (stands, again)
        if order is not None:
            stages.append(Stage(_place(fact)[0], order, rest or left(goods, ordered(refunds.values()))))
    return stages


def _left(goods: Sold, refunds: list[Refund]) -> Remains | None:
    """Return what is left after refunds; None where they cannot all be true."""
    try:
        return left(goods, ordered(refunds))
    except InputError:
        return None


def _of_the_rest(goods: Sold, others: list[Refund], refund: Refund) -> Refund:
    """Return a refund of the whole order, beside others, as one of the lines that remain at its instant.

    It stays that, even if another one is reversed later: money that had gone back by then was not its own.
    """
    if refund.lines is not None or refund.amount is not None or not others:
        return refund
    donations = {line.name for line in goods.order.lines if line.donation}
    rest = left(goods, ordered(others)).lines
    lines = {each.line: each.quantity for each in rest if not each.gone and each.line not in donations}
    narrowed = attrs.evolve(refund, lines=lines) if lines else refund
    # Of several lines of one sku that were sold with quantity 0, not each can be named beside the others.
    return refund if _left(goods, [*others, narrowed]) is None else narrowed
