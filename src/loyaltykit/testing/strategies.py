"""Hypothesis strategies for programs, facts, commands and instants, for properties of your own.

Numbers are small and instants few, so that what is drawn meets: equal instants, exact amounts, lots that run out.
Give `instants` the instants that matter to you, and it steers to them and to one microsecond before and after.
Needs the extra ``test``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from loyaltykit import commands
from loyaltykit.calendar import Period, hours
from loyaltykit.commands import Command
from loyaltykit.facts import Activity, Line, Order, Refund, Reversal, Tender, cash, points
from loyaltykit.program import Program, Unit, grace
from loyaltykit.rules import OnEvent, activity, per_amount, per_day, per_item

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
"""The first instant of all that is drawn."""

MICROSECOND = timedelta(microseconds=1)

SMALL = st.integers(1, 9)
"""Numbers of points that are soon used up."""

SKUS = {"tea": 1, "mug": 5, "pot": 12}
"""What is sold, and its price."""


def hour(count: float) -> datetime:
    """Return the instant so many hours after `EPOCH`.

    >>> hour(25).isoformat()
    '2026-03-02T01:00:00+00:00'
    """
    return EPOCH + timedelta(hours=count)


def instants(steer: Iterable[datetime] = (), last: int = 48) -> SearchStrategy[datetime]:
    """Draw instants: full hours up to `last`, the instants in `steer`, and a microsecond before and after those."""
    grid = st.integers(0, last).map(hour)
    edges = sorted(set(steer))
    if not edges:
        return grid
    near = st.tuples(st.sampled_from(edges), st.sampled_from([0, 0, 1, -1]))
    return st.one_of(near.map(lambda pair: pair[0] + pair[1] * MICROSECOND), grid)


def instants_from(begin: datetime, steer: Iterable[datetime] = ()) -> SearchStrategy[datetime]:
    """Draw instants not before `begin`: mostly soon after it, or those of `steer`."""
    soon = st.sampled_from([0, 0, 1, 1, 2, 3, 5, 12]).map(lambda count: begin + timedelta(hours=count))
    edges = sorted(each + step * MICROSECOND for each in set(steer) for step in (-1, 0, 1))
    later = [each for each in edges if each >= begin]
    return soon if not later else st.one_of(soon, st.sampled_from(later))


ANY_TIME = instants()
"""Any full hour of the first two days."""


# ---------------------------------------------------------------- programs


_VALIDITY = st.sampled_from([None, hours(5), hours(10), hours(20)])
_ACTIVATION: SearchStrategy[Period | OnEvent | None] = st.sampled_from([None, None, hours(3), OnEvent("delivered")])


@st.composite
def programs(draw: DrawFn, name: str = "club") -> Program:
    """Draw a program with one or two units, short periods, and any of the ledger's policies."""
    earning: list[Any] = [per_amount(1, each="1.00"), activity("review", 5, cap=draw(st.sampled_from(_CAPS)))]
    units: list[Unit] = []
    kind = draw(st.sampled_from(["plain", "short", "stamps", "capped"]))
    if kind == "short":  # an order then has two lots of one unit
        earning.append(per_item(2, validity=hours(4)))
    if kind == "stamps":
        earning.append(per_item(1, unit="stamps"))
        units.append(Unit("stamps", validity=draw(_VALIDITY)))
    return Program(
        name,
        "USD",
        earning=earning,
        units=units,
        caps=[per_day(points=30)] if kind == "capped" else [],
        validity=draw(_VALIDITY),
        activation=draw(_ACTIVATION),
        validity_from=draw(st.sampled_from(["activation", "earning"])),
        inactivity=draw(st.sampled_from([None, None, hours(12)])),
        shortfall=draw(st.sampled_from(["debt", "clamp", "clamp_keep_receivable"])),
        restore=draw(st.sampled_from(["strict", "off", grace(hours(6))])),
        hold=draw(st.sampled_from(["pinned", "unpinned"])),
        refund_split=draw(st.sampled_from(["net_allocated", "gross_line_first"])),
        reward_back=draw(st.sampled_from(["pro_rata", "full_only"])),
    )


_CAPS = [None, per_day(times=1), per_day(points=8)]


# ---------------------------------------------------------------- facts


@st.composite
def lines(draw: DrawFn) -> tuple[Line, ...]:
    """Draw one to three lines of different goods at whole prices."""
    chosen = draw(st.lists(st.sampled_from(sorted(SKUS)), min_size=1, max_size=3, unique=True))
    return tuple(Line(sku, draw(st.integers(1, 3)), unit_price=SKUS[sku]) for sku in chosen)


@st.composite
def tenders(draw: DrawFn, total: int, keys: Sequence[str] = ()) -> tuple[Tender, ...]:
    """Draw the parts of a payment of `total`: points of their own or under one of `keys`, cash, or nothing named."""
    parts: list[Tender] = []
    for key in draw(st.lists(st.sampled_from([None, *keys]), max_size=2)):
        if key is not None and any(part.key == key for part in parts):
            continue
        rest = total - int(sum(part.amount for part in parts))
        parts.append(points(draw(SMALL), draw(st.integers(0, min(6, rest))), key))
    if draw(st.booleans()) and (rest := total - int(sum(part.amount for part in parts))):
        parts.append(cash(draw(st.integers(1, rest))))
    return tuple(parts)


@st.composite
def orders(
    draw: DrawFn, member: str = "ann", id: str = "1", at: SearchStrategy[datetime] = ANY_TIME, keys: Sequence[str] = ()
) -> Order:
    """Draw an order at whole prices, now and then a draft, now and then paid with points."""
    bought = draw(lines())
    paid = draw(tenders(int(sum(line.net for line in bought)), keys)) if draw(st.booleans()) else ()
    state: Any = draw(st.sampled_from(["paid", "paid", "paid", "placed", "draft"]))
    return Order(id, member, draw(at), bought, tenders=paid, state=state)


@st.composite
def revisions(draw: DrawFn, order: Order, revision: int, at: SearchStrategy[datetime] = ANY_TIME) -> Order:
    """Draw a changed or cancelled order, in force from an instant not before the order's own."""
    changed = draw(st.booleans())
    bought = draw(lines()) if changed else order.lines
    total = int(sum(line.net for line in bought))
    paid = order.tenders
    if draw(st.booleans()) or sum(part.amount for part in paid) > total:
        paid = draw(tenders(total))
    return attrs.evolve(
        order,
        lines=bought,
        tenders=paid,
        state=draw(st.sampled_from(["paid", "paid", "cancelled"])),
        revision=revision,
        revised_at=max(order.at, draw(at)),
    )


@st.composite
def refunds(draw: DrawFn, member: str, order: str, id: str = "1", at: SearchStrategy[datetime] = ANY_TIME) -> Refund:
    """Draw a refund: whole, by line, or by amount. It may be more than is left of the order."""
    what = draw(st.sampled_from(["whole", "whole", "lines", "lines", "amount"]))
    taken = amount = None
    if what == "lines":
        chosen = draw(st.lists(st.sampled_from(sorted(SKUS)), min_size=1, max_size=2, unique=True))
        taken = {sku: draw(st.integers(1, 2)) for sku in chosen}
    if what == "amount":
        amount = f"{draw(st.integers(1, 12))}.{draw(st.sampled_from(['00', '50', '99']))}"
    return Refund(id, member, order, draw(at), taken, amount)


def reversals(
    member: str, order: str, refund: str, id: str = "1", at: SearchStrategy[datetime] = ANY_TIME
) -> SearchStrategy[Reversal]:
    """Draw the reversal of a refund."""
    return at.map(lambda when: Reversal(id, member, order, refund, when))


def activities(
    member: str, id: str = "1", at: SearchStrategy[datetime] = ANY_TIME, order: str | None = None
) -> SearchStrategy[Activity]:
    """Draw a review, or, where an order is named, its delivery."""
    name = "review" if order is None else "delivered"
    return at.map(lambda when: Activity(id, member, name, when, order=order))


# ---------------------------------------------------------------- commands

_Make = Callable[..., Command]


@st.composite
def grants(draw: DrawFn, member: str, key: str, at: datetime, units: Sequence[str] = ("points",)) -> Command:
    """Draw a command that brings points in: by hand, as a correction, or from an older system."""
    unit = draw(st.sampled_from(units))
    expires_at = draw(st.sampled_from([None, at + timedelta(hours=2), at + timedelta(hours=6)]))
    what = draw(st.sampled_from(["earn", "earn", "adjust", "open"]))
    if what == "adjust":
        return commands.Adjust(
            member, draw(SMALL), key=key, at=at, unit=unit, expires_at=expires_at, actor="clerk", reason="a mistake"
        )
    if what == "open":
        earned = at - timedelta(hours=draw(st.integers(0, 6)))
        active = draw(st.sampled_from([None, at + timedelta(hours=1)]))
        lot = commands.Opened(draw(SMALL), earned, expires_at, active)
        other = commands.Opened(draw(SMALL), earned - MICROSECOND, at + timedelta(hours=draw(st.integers(1, 9))))
        return commands.Open(member, (lot, other), key=key, at=at, unit=unit)
    active_at = draw(st.sampled_from([None, None, at - timedelta(hours=2), at + timedelta(hours=1)]))
    return commands.Earn(
        member, draw(SMALL), key=key, at=at, unit=unit, active_at=active_at, expires_at=expires_at,
        reason=draw(st.sampled_from([None, "a gift"])),
    )  # fmt: skip


@st.composite
def spendings(
    draw: DrawFn, member: str, key: str, at: datetime, units: Sequence[str] = ("points",), have: int = 9
) -> Command:
    """Draw a command that spends or holds: often exactly what is there (`have`), or one more."""
    unit = draw(st.sampled_from(units))
    count = draw(st.one_of(SMALL, st.sampled_from([max(1, have), max(1, have + 1), max(1, have // 2)])))
    what = draw(st.sampled_from(["redeem", "redeem", "hold", "hold", "adjust"]))
    if what == "hold":
        until = at + draw(st.sampled_from([MICROSECOND, timedelta(hours=1), timedelta(hours=3), timedelta(hours=8)]))
        return commands.Hold(member, count, key=key, at=at, until=until, unit=unit)
    if what == "adjust":
        return commands.Adjust(member, -count, key=key, at=at, unit=unit, actor="clerk", reason="a mistake")
    return commands.Redeem(member, count, key=key, at=at, unit=unit)


def resolutions(member: str, key: str, at: datetime, hold: str, held: int = 9) -> SearchStrategy[Command]:
    """Draw what ends a hold: a capture of all that is `held`, of a part or of too much, or a release."""
    named: dict[str, Any] = {"key": st.just(key), "at": st.just(at)}
    some = st.sampled_from([None, 1, max(1, held - 1), held + 1])
    capture = st.builds(commands.Capture, st.just(member), st.just(hold), points=some, **named)
    return st.one_of(capture, capture, st.builds(commands.Release, st.just(member), st.just(hold), **named))


def corrections(
    member: str,
    key: str,
    at: datetime,
    *,
    redeemed: Sequence[str] = (),
    earned: Sequence[str] = (),
    lots: Sequence[str] = (),
) -> SearchStrategy[Command]:
    """Draw what takes something back: a restore, a clawback, or the reinstatement of an expired lot."""
    named: dict[str, Any] = {"key": st.just(key), "at": st.just(at)}
    some = st.none() | SMALL
    choices: list[SearchStrategy[Command]] = []
    if redeemed:
        choices.append(st.builds(commands.Restore, st.just(member), st.sampled_from(redeemed), points=some, **named))
    if earned:
        choices.append(st.builds(commands.ClawBack, st.just(member), st.sampled_from(earned), points=some, **named))
    if lots:
        later = st.sampled_from([None, at + timedelta(hours=4)])
        choices.append(st.builds(commands.Reinstate, st.just(member), st.sampled_from(lots), expires_at=later, **named))
    return st.one_of(choices)
