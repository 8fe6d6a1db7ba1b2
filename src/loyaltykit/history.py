"""One member's facts, compiled for questions about them: what counts, at which instant, known from when.

An order counts at the instant at which it was placed, with what remains of it. A refund changes the order that it
names, at that order's instant, and is known from its own: what was spent in a window, at an instant, is what remains,
at that instant, of the orders placed in the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

import attrs

from loyaltykit.amounts import allocate, exponent
from loyaltykit.basis import BASES, Basis, as_basis, basket
from loyaltykit.calendar import from_us, instant, to_us, zone as zone_of
from loyaltykit.courses import Stage, course
from loyaltykit.errors import InputError, KeyReused
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal
from loyaltykit.fields import currency, moment, one_of, optional, several, zone_name
from loyaltykit.refunds import Split


class Sale(NamedTuple):
    """One change of what remains of an order (then `sku` is None), or of its lines of one kind.

    `present` is 1 when this begins to count as bought, -1 when the last of it is gone, 0 when only the amount changes.
    """

    at: int  # when the order was placed, in microseconds
    known: int  # from when the change is known
    order: str
    sku: str | None
    categories: tuple[str, ...]
    channel: str | None
    codes: tuple[str, ...]
    amount: int  # in minor units of the currency
    present: int
    back: bool = False  # whether something went back, by a refund or a later revision


_AT, _KNOWN = itemgetter(0), itemgetter(1)


class Movement(NamedTuple):
    """Points that came or went: at the instant at which they count, known from another one on."""

    at: int
    known: int
    unit: str
    kind: str  # "earn" for what was earned and taken back of it, anything else for other movements
    points: int
    sure: int | None = None  # from when on it was certain to come by itself, where that is before `known`


_FACT = "give orders, refunds, reversals, activities and members"
_facts = several("history.facts", (Order, Refund, Reversal, Activity, Member), _FACT)


def _movements(value: Any) -> tuple[Movement, ...]:
    return tuple(value)


@attrs.frozen(slots=False, eq=False, repr=False)
class History:
    """What one member has done: the facts, in any order, each any number of times.

    `currency` and `zone` are the program's; `basis` says what of an order counts as spent (a `Basis`, or the name of
    one: the goods, by default); `joined` is the instant that anniversary years count from (default: the first thing
    known of the member). `movements` are the member's points, where rules ask about them.

    >>> from datetime import UTC, datetime
    >>> history = History([Order("1001", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")])
    >>> history
    <History of ann: 1 order, since 2026-03-02>
    """

    facts: tuple[Fact, ...] = attrs.field(default=(), converter=_facts)
    member: str = attrs.field(default="", converter=str, kw_only=True)
    currency: str = attrs.field(default="USD", converter=currency("history.currency"), kw_only=True)
    zone: str = attrs.field(default="UTC", converter=zone_name("history.zone"), kw_only=True)
    basis: Basis = attrs.field(default=BASES["goods"], converter=as_basis("history.basis"), kw_only=True)
    split: Split = attrs.field(default="net_allocated", converter=one_of("history.split", Split), kw_only=True)
    joined: datetime | None = attrs.field(default=None, converter=optional(moment("history.joined")), kw_only=True)
    movements: tuple[Movement, ...] = attrs.field(default=(), converter=_movements, kw_only=True)

    def __attrs_post_init__(self) -> None:
        members = {fact.id if isinstance(fact, Member) else fact.member for fact in self.facts}
        if not self.member:
            object.__setattr__(self, "member", min(members, default=""))
        if members - {self.member}:
            hint = f"give the facts of one member, here {self.member}; histories(facts) makes one for each"
            raise InputError("history.facts", sorted(members - {self.member})[0], hint)

    @cached_property
    def tz(self) -> tzinfo:
        """The zone in which days, months and years are decided."""
        return zone_of(self.zone)

    @cached_property
    def anchor(self) -> datetime | None:
        """The instant that anniversary years count from: when the member joined, or the first thing known of them."""
        if self.joined is not None:
            return self.joined
        known = [to_us(_known_from(fact)) for fact in self.facts] + [move.known for move in self.movements]
        return from_us(min(known)) if known else None

    @cached_property
    def orders(self) -> Mapping[str, Sequence[Order | Refund | Reversal]]:
        """All that is known of each order, each fact once."""
        found: dict[str, list[Order | Refund | Reversal]] = {}
        seen: dict[tuple[type[Fact], str, int], Fact] = {}
        for fact in self.facts:
            key: tuple[type[Fact], str, int]
            if isinstance(fact, Order):
                key, order = (Order, fact.id, fact.revision), fact.id
            elif isinstance(fact, Refund | Reversal):
                key, order = (type(fact), fact.id, 0), fact.order
            else:
                continue
            first = seen.setdefault(key, fact)
            if first is fact:
                found.setdefault(order, []).append(fact)
            elif first != fact:
                raise _reused(fact.id)
        return found

    @cached_property
    def purchases(self) -> Sequence[Sale]:
        """Every change of an order as a whole, by the instant from which it is known."""
        return self._changes(_whole, _quick_whole)

    @cached_property
    def sales(self) -> Sequence[Sale]:
        """Every change of an order's lines, by the instant from which it is known."""
        return self._changes(_lines, _quick_lines)

    @cached_property
    def activities(self) -> Sequence[Activity]:
        """Every activity once, by instant."""
        found: dict[str, Activity] = {}
        for fact in self.facts:
            if isinstance(fact, Activity) and found.setdefault(fact.id, fact) != fact:
                raise _reused(fact.id)
        return sorted(found.values(), key=lambda fact: (to_us(fact.at), fact.id))

    def profile(self, at: datetime) -> Member | None:
        """Return what was known of the member as a person at an instant; the latest word holds."""
        now = to_us(instant(at))
        known = [fact for fact in self.facts if isinstance(fact, Member) and to_us(fact.at) <= now]
        return max(known, key=lambda fact: to_us(fact.at), default=None)

    def _changes(self, counted: Counted, quick: Quick) -> list[Sale]:
        """Return what each order changes, in a quick way where that is simple."""
        found: list[Sale] = []
        for number, (first, *_) in self.orders.items():
            simple = self._simple.get(number)
            if simple is not None and isinstance(first, Order):
                found += quick(first, simple)
            else:
                found += self._compared(number, counted)
        found.sort(key=_AT)
        found.sort(key=_KNOWN)
        return found

    @cached_property
    def _simple(self) -> dict[str, Simple]:
        """The orders that are simply the sum of their lines, less refunds of amounts or of everything."""
        if self.basis != BASES["goods"]:
            return {}
        whole = 10 ** exponent(self.currency)
        found = {}
        for number, (first, *others) in self.orders.items():
            if isinstance(first, Order) and _is_plain(first, self.currency):
                simple = _simply(first, others, whole)
                if simple is not None:
                    found[number] = simple
        return found

    @cached_property
    def _stages(self) -> dict[str, list[tuple[Stage, dict[str | None, int]]]]:
        """The course of each order that was asked for, with the amounts that count after each event."""
        return {}

    def _staged(self, number: str) -> list[tuple[Stage, dict[str | None, int]]]:
        if number not in self._stages:
            stages = course(self.orders[number], self.currency, self.split)
            idle = ("draft", "cancelled")
            self._stages[number] = [
                (stage, {} if stage.order.state in idle else self._amounts(stage)) for stage in stages
            ]
        return self._stages[number]

    def _compared(self, number: str, counted: Counted) -> Iterator[Sale]:
        """Compare what counts of an order after each of its events with what counted before."""
        before: dict[Kind, tuple[int, bool]] = {}
        for place, (stage, amounts) in enumerate(self._staged(number)):
            now = counted(stage, amounts) if amounts else {}
            for kind in {**before, **now}:
                (amount, there), (had, was) = now.get(kind, (0, False)), before.get(kind, (0, False))
                if amount != had or there != was:
                    at, sku, categories, channel, codes = kind
                    shared = (stage.order.id, sku, categories, channel, codes)
                    back = place > 0 and (amount < had or there < was)
                    yield Sale(at, max(stage.known, at), *shared, amount - had, there - was, back)
            before = now

    def _amounts(self, stage: Stage) -> dict[str | None, int]:
        """Return what of an order counts, in whole minor units that sum up: of each line, and (None) of all."""
        content = basket(self.basis, stage.order, stage.rest)
        total = 0 if stage.rest.empty else (2 * content.total + content.of) // (2 * content.of)
        shares = allocate(total, [each.basis for each in content.goods]) if total else [0] * len(content.goods)
        amounts: dict[str | None, int] = {None: total}
        for each, share in zip(content.goods, shares, strict=True):
            if each.line is not None:
                amounts[each.line.name] = share
        return amounts

    def __repr__(self) -> str:
        count = len(self.orders)
        since = f", since {self.anchor:%Y-%m-%d}" if self.anchor is not None else ""
        return f"<History of {self.member or 'nobody'}: {count} {'order' if count == 1 else 'orders'}{since}>"


Kind = tuple[int, str | None, tuple[str, ...], str | None, tuple[str, ...]]
Counted = Callable[[Stage, dict[str | None, int]], dict[Kind, tuple[int, bool]]]


def _whole(stage: Stage, amounts: dict[str | None, int]) -> dict[Kind, tuple[int, bool]]:
    """Return the amount of an order, and whether it counts as one: while any goods are left, or anything counts."""
    order, rest = stage.order, stage.rest
    amount = amounts[None] if order.lines else 0
    here = not rest.empty and (amount > 0 or any(not line.donation for line in order.lines))
    return {(to_us(order.at), None, (), order.channel, order.codes): (amount, here)}


def _lines(stage: Stage, amounts: dict[str | None, int]) -> dict[Kind, tuple[int, bool]]:
    """Return the amount of each kind of line of an order, and whether any of it is left."""
    order, rest, named = stage.order, stage.rest, not stage.order.by_amount
    found: dict[Kind, tuple[int, bool]] = {}
    for line, left in zip(order.lines, rest.lines, strict=True):
        kind = (to_us(order.at), line.sku, line.categories, order.channel, order.codes)
        amount, there = found.get(kind, (0, False))
        there = there or (named and not (rest.empty or left.gone or line.donation))
        found[kind] = (amount + amounts.get(line.name, 0), there)
    return found


def _is_plain(order: Order, currency: str) -> bool:
    """Say whether an order is simply the sum of its lines, in the history's currency."""
    return not (order.discount or order.tenders or order.shipping or order.tax or order.revised_at) and (
        order.state in ("placed", "paid") and order.currency in (None, currency)
    )


def _minor(value: Decimal, whole: int) -> int | None:
    """Return money in minor units, exactly; None where it comes to a part of one."""
    numerator, denominator = value.as_integer_ratio()
    units, rest = divmod(numerator * whole, denominator)
    return None if rest else units


# A simple order in minor units: each line, and what is left of their sum (and whether it still is an order) from
# which instant on. Plain tuples of numbers, for there are many: the garbage collector does not go through them.
Simple = tuple[tuple[int, ...], tuple[tuple[int, int, bool], ...]]
Quick = Callable[[Order, Simple], list[Sale]]


def _simply(order: Order, others: Sequence[Order | Refund | Reversal], whole: int) -> Simple | None:
    """Return a plain order of goods after refunds of amounts or of everything; None for all others."""
    lines = []
    if not order.lines:
        return None
    for line in order.lines:
        numerator, denominator = line.net.as_integer_ratio()
        units, rest = divmod(numerator * whole, denominator)
        if rest or line.gift_card or line.donation:
            return None
        lines.append(units)
    at, rest = to_us(order.at), sum(lines)
    left = [(at, rest, True)]
    if others:
        refunds = [fact for fact in others if isinstance(fact, Refund) and fact.lines is None and fact.currency is None]
        if len(refunds) < len(others) or not lines:
            return None
        for known, _, refund in sorted((to_us(refund.at), refund.id, refund) for refund in refunds):
            back = rest if refund.amount is None else _minor(refund.amount, whole)
            if back is None or known < at:
                return None
            if left[-1][2] and back <= rest:  # what takes more than there is cannot be true
                rest -= back
                left.append((known, rest, refund.amount is not None and rest > 0))
    return tuple(lines), tuple(left)


def _quick_whole(order: Order, simple: Simple) -> list[Sale]:
    """Return what a simple order comes to and loses."""
    at, had, was = to_us(order.at), 0, False
    if len(simple[1]) == 1:
        return [Sale(at, at, order.id, None, (), order.channel, order.codes, simple[1][0][1], 1)]
    shared = (order.id, None, (), order.channel, order.codes)
    sales: list[Sale] = []
    for known, rest, here in simple[1]:
        sales.append(Sale(at, known, *shared, rest - had, here - was, was))
        had, was = rest, here
    return sales


def _quick_lines(order: Order, simple: Simple) -> list[Sale]:
    """Return what the lines of a simple order come to and lose."""
    at, had, was, named = to_us(order.at), dict[Any, int](), False, not order.by_amount
    sales: list[Sale] = []
    for known, rest, here in simple[1]:
        now: dict[Any, int] = {}
        shares = allocate(rest, simple[0]) if was and rest else simple[0]
        for line, units in zip(order.lines, shares, strict=True):
            kind = (line.sku, line.categories)
            now[kind] = now.get(kind, 0) + (units if rest else 0)
        for (sku, categories), units in now.items():
            change, present = units - had.get((sku, categories), 0), (here - was) * named
            if change or present:
                shared = (order.id, sku, categories, order.channel, order.codes)
                sales.append(Sale(at, known, *shared, change, present, was))
        had, was = now, here
    return sales


def _reused(id: str) -> KeyReused:
    return KeyReused("history.facts", id, "two facts of one kind have this id, with other contents")


def _known_from(fact: Fact) -> datetime:
    return fact.known_from if isinstance(fact, Order) else fact.at


def _member(fact: Fact) -> str:
    return fact.id if isinstance(fact, Member) else fact.member


def histories(facts: Iterable[Fact], **named: Any) -> dict[str, History]:
    """Return a history of each member that the facts are of; `named` are the other fields of `History`.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> histories([Order("1", "ann", at, amount=5), Order("2", "bo", at, amount=7)])["bo"]
    <History of bo: 1 order, since 2026-03-02>
    """
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(_member(fact), []).append(fact)
    return {member: History(each, member=member, **named) for member, each in found.items()}
