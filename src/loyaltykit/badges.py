"""Stamp cards and badges: so many stamps fill a card, a condition that first holds earns a badge.

Both are read off a `History`, so importing old orders fills the cards and awards the badges that they would have
filled and awarded, at the instants at which they would have; an order that is recorded twice stamps once. What a
refund does to a card that was full, or to a badge that was earned, is a policy: ``keep``, or ``revoke``, and then what
is reached again is live again under its key. The name, colour and picture of a badge are the host's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from functools import cache, cached_property
from typing import Any, Literal

import attrs

from loyaltykit.amounts import exponent, whole
from loyaltykit.basis import basket
from loyaltykit.calendar import day_start, from_us, instant, local_date, to_us
from loyaltykit.conditions import Condition, leaves as leaves_of
from loyaltykit.courses import Stage, course
from loyaltykit.errors import InputError
from loyaltykit.facts import Line
from loyaltykit.fields import a, brief, count, one_of, optional, several, texts, words
from loyaltykit.grants import Benefit, Decision, keyed
from loyaltykit.history import History, Sale
from loyaltykit.matching import InTier, Match, Scene, depends_on_line, leaves
from loyaltykit.measures import Comparison, timeline
from loyaltykit.windows import Lifetime, inside

Per = Literal["order", "item", "product"]
AfterRefund = Literal["keep", "revoke"]

_BENEFIT = "give a benefit, as in perk('a free coffee')"


# ---------------------------------------------------------------- stamps


def _where(value: Any) -> Match:
    if not isinstance(value, Match):
        raise InputError("stamp_card.where", value, "give a condition, as in category('coffee')")
    if any(isinstance(leaf, InTier) for leaf in leaves(value)):
        raise InputError("stamp_card.where", str(value), "orders do not say which tier their member had")
    return value


@attrs.frozen(repr=False)
class StampCard:
    """A card that is full with `size` stamps, and then gives `benefit`.

    There is a stamp for each ``order``, for each ``item`` (by quantity; what is weighed is one item), or for each
    different ``product`` of an order; with `where`, for those that match. Donations, drafts, and what was given back
    do not count.

    After a refund (`after_refund`) a full card stays full, ``keep``: what was given back has to be bought again before
    the next one fills. Or it is full no more, ``revoke``.

    >>> from loyaltykit.grants import perk
    >>> from loyaltykit.matching import category
    >>> print(StampCard("coffee card", 5, perk("a free coffee"), per="item", where=category("coffee")))
    coffee card: a free coffee for every 5 items on coffee
    """

    name: str = attrs.field(converter=keyed("stamp_card.name"))
    size: int = attrs.field(converter=count("stamp_card.size", 1))
    benefit: Benefit = attrs.field(converter=a("stamp_card.benefit", Benefit, _BENEFIT))
    per: Per = attrs.field(default="order", converter=one_of("stamp_card.per", Per), kw_only=True)
    where: Match | None = attrs.field(default=None, converter=optional(_where), kw_only=True)
    after_refund: AfterRefund = attrs.field(
        default="keep", converter=one_of("stamp_card.after_refund", AfterRefund), kw_only=True
    )

    def __str__(self) -> str:
        what = {"order": "order", "item": "item", "product": "different product"}[self.per]
        what = what if self.size == 1 else f"{self.size:,} {what}s"
        where = f" {self.where}" if self.where is not None else ""
        return f"{self.name}: {self.benefit} for every {what}{where}"

    __repr__ = brief


def stamps(number: int, size: int) -> tuple[int, int]:
    """Return how many cards so many stamps fill, and how many stamps are left: ``number // size, number % size``.

    >>> stamps(4, size=5), stamps(5, size=5)
    ((0, 4), (1, 0))
    """
    return divmod(whole(number, "number"), whole(size, "size", 1))


@attrs.frozen(repr=False)
class Stamped:
    """How far a member has come with a card: `stamps` that count, `full` cards, and stamps `left` on the open one.

    `decisions` has a ``card_full`` for each card that was filled, in their order, under ``card:<name>:<member>:<n>``.
    One that a refund took back has the instant at which it did as its `ends`.
    """

    card: str = attrs.field(converter=words("stamped.card"))
    member: str = attrs.field(converter=str)
    size: int = attrs.field(converter=count("stamped.size", 1))
    stamps: int = attrs.field(converter=count("stamped.stamps"))
    full: int = attrs.field(converter=count("stamped.full"))
    left: int = attrs.field(converter=count("stamped.left"))
    decisions: tuple[Decision, ...] = attrs.field(
        default=(), converter=several("stamped.decisions", Decision, "give decisions")
    )

    @property
    def missing(self) -> int:
        """How many stamps more fill the open card."""
        return (self.full + 1) * self.size - self.stamps

    def __str__(self) -> str:
        return f"{self.card}: {self.full:,} full, {self.left:,} of {self.size:,} stamps on the next"

    __repr__ = brief


def stamped(card: StampCard, history: History, at: datetime) -> Stamped:
    """Return the state of a member's card at an instant.

    The number of stamps n is that of what remains of the orders, as known at `at`. With ``revoke``, there are
    ``n // size`` full cards and ``n % size`` stamps left. With ``keep``, there are as many full cards as there ever
    were, and what is left are the stamps beyond those that filled them.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.grants import perk
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> bought = History([Order(str(number), "ann", at, amount="3.50") for number in range(11)])
    >>> state = stamped(StampCard("coffee card", 5, perk("a free coffee")), bought, at)
    >>> print(state)
    coffee card: 2 full, 1 of 5 stamps on the next
    >>> [decision.key for decision in state.decisions]
    ['card:coffee card:ann:1', 'card:coffee card:ann:2']
    """
    now = to_us(instant(at))
    number, level, begun, over = 0, 0, [], {}  # type: int, int, list[int], dict[int, int]
    for known, change in _changes(card, history, now):
        number += change
        if card.after_refund == "revoke":
            for place in range(number // card.size, level):
                over[place] = known
            level = min(level, number // card.size)
        for place in range(level, number // card.size):
            over.pop(place, None)
            begun[place : place + 1] = [known]
        level = max(level, number // card.size)
    decisions = [_filled(card, history.member, place, us, over.get(place)) for place, us in enumerate(begun)]
    left = max(0, number - level * card.size)
    return Stamped(card.name, history.member, card.size, number, level, left, decisions)


def _filled(card: StampCard, member: str, place: int, begun: int, over: int | None) -> Decision:
    nth, ends = str(place + 1), None if over is None else from_us(over)
    data = {"card": card.name, "number": nth}
    key = f"card:{card.name}:{member}:{nth}"
    return Decision("card_full", member, key, from_us(begun), ends, reason=str(card), benefit=card.benefit, data=data)


def _changes(card: StampCard, history: History, now: int) -> Sequence[tuple[int, int]]:
    """Return by how much the stamps changed, and when that was known; what came at one instant is one change."""
    found: dict[int, int] = {}
    for facts in history.orders.values():
        before = 0
        for stage in course(facts, history.currency, history.split):
            number = _number(card, stage, history)
            if stage.known <= now and number != before:
                found[stage.known] = found.get(stage.known, 0) + number - before
                before = number
    return sorted(found.items())


def _number(card: StampCard, stage: Stage, history: History) -> int:
    """Return how many stamps there are for what remains of an order."""
    order, rest = stage.order, stage.rest
    if order.state in ("draft", "cancelled") or (rest.empty and order.lines):
        return 0
    content = basket(history.basis, order, rest)
    total = (content.total, content.of * 10 ** exponent(history.currency))
    scene = Scene(order.at, history.tz, None, order.channel, order.codes, total)
    here = [
        (line, int(left.quantity) if line.quantity and not line.quantity % 1 else 1)
        for line, left in zip(order.lines, rest.lines, strict=True)
        if not left.gone and not line.donation and _matches(card.where, scene, line)
    ]
    if card.per == "item":
        return sum(number for _, number in here)
    if card.per == "product":
        return len({line.sku for line, _ in here})
    return int(bool(here) or (not order.lines and _matches(card.where, scene, None)))


def _matches(where: Match | None, scene: Scene, line: Line | None) -> bool:
    return where is None or where.holds(scene, line if depends_on_line(where) else None)


# ---------------------------------------------------------------- badges


@attrs.frozen(repr=False)
class Badge:
    """What is awarded once, when `condition` first holds, perhaps with a benefit.

    That the condition holds no longer because time has passed takes no badge away. After a refund (`after_refund`) it
    is kept, ``keep``; or, ``revoke``, it is taken back if the condition would never have held of what remains of the
    orders.

    >>> from loyaltykit.measures import orders
    >>> print(Badge("five orders", orders() >= 5))
    five orders: placed at least 5 orders
    """

    name: str = attrs.field(converter=keyed("badge.name"))
    condition: Condition = attrs.field(converter=a("badge.condition", Condition, "give one, as in orders() >= 5"))
    benefit: Benefit | None = attrs.field(default=None, converter=optional(a("badge.benefit", Benefit, _BENEFIT)))
    after_refund: AfterRefund = attrs.field(
        default="keep", converter=one_of("badge.after_refund", AfterRefund), kw_only=True
    )

    def __str__(self) -> str:
        gives = "" if self.benefit is None else f", with {self.benefit}"
        return f"{self.name}{gives}: {self.condition}"

    __repr__ = brief


_several = several("badges", Badge, "give badges, as in Badge('five orders', orders() >= 5)")


def _badges(value: Any) -> tuple[Badge, ...]:
    found: tuple[Badge, ...] = _several(value)
    names = [badge.name for badge in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError("badges", name, "two badges have this name; give each its own")
    return found


def earned_badges(
    rules: Iterable[Badge] | Badge, history: History, at: datetime, *, have: Collection[str] = ()
) -> tuple[Decision, ...]:
    """Return a ``badge_earned`` for each badge that a member has earned by an instant, in the order they were earned.

    It is due from the instant at which the condition first held, under ``badge:<name>:<member>``. One that a refund
    took back has the instant at which it did as its `ends`. Badges that the member is known to `have`, by name, are
    returned only where they were taken back.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.measures import activities, orders
    >>> rules = [Badge("five orders", orders() >= 5), Badge("reviewer", activities("review") >= 1)]
    >>> bought = History([Order(str(day), "ann", datetime(2026, 3, day, tzinfo=UTC), amount=3) for day in range(1, 7)])
    >>> [(found.key, str(found.due.date())) for found in earned_badges(rules, bought, datetime(2026, 4, 1, tzinfo=UTC))]
    [('badge:five orders:ann', '2026-03-05')]
    >>> earned_badges(rules, bought, datetime(2026, 4, 1, tzinfo=UTC), have={"five orders"})
    ()
    """
    now, known = to_us(instant(at)), set(texts("have")(have))
    found = []
    for badge in _badges(rules):
        due, ends = _earned(badge, history, now)
        if due is not None and (ends is not None or badge.name not in known):
            found.append(_award(badge, history.member, due, ends))
    return tuple(sorted(found, key=lambda each: to_us(each.due)))


def _award(badge: Badge, member: str, due: int, ends: int | None) -> Decision:
    over = None if ends is None else from_us(ends)
    key, data = f"badge:{badge.name}:{member}", {"badge": badge.name}
    reason = str(badge.condition)
    return Decision("badge_earned", member, key, from_us(due), over, reason=reason, benefit=badge.benefit, data=data)


def first_held(condition: Condition, history: History, at: datetime) -> datetime | None:
    """Return the first instant, not after `at`, at which a condition held by what was known then; None: it never did.

    It is looked at from the first fact on; before that, there is nobody of whom to ask.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.measures import orders
    >>> bought = History([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount=3)])
    >>> first_held(orders() >= 1, bought, datetime(2026, 4, 1, tzinfo=UTC)).isoformat()
    '2026-03-02T00:00:00+00:00'
    """
    us = _first(condition, history, to_us(instant(at)))
    return None if us is None else from_us(us)


def _first(condition: Condition, history: History, at: int, after: int | None = None) -> int | None:
    """Return the first instant later than `after` and not later than `at` at which the condition holds."""
    marks = sorted(us for us in _marks(condition, history, at) if us <= at and (after is None or us > after))
    return next((us for us in marks if condition.holds(history, us)), None)


def _marks(condition: Condition, history: History, at: int) -> set[int]:
    """Return the instants at which the answer may change, up to `at`: facts come, or time takes them out of a window.

    None is before the first fact.
    """
    found = {to_us(getattr(fact, "known_from", fact.at)) for fact in history.facts}
    found.update(*((move.known, max(move.at, move.known)) for move in history.movements))
    first = min(found, default=at)
    for leaf in leaves_of(condition):
        if isinstance(leaf, Comparison) and leaf.measure.kind in ("days_since_first", "days_since_last"):
            found |= _birthdays(leaf, history, at)
        elif isinstance(leaf, Comparison) and not isinstance(leaf.measure.window, Lifetime):
            found |= {step.at for step in timeline(leaf.measure, history, at)}
    return {us for us in found if us >= first}


def _birthdays(leaf: Comparison, history: History, at: int) -> set[int]:
    """Return when orders become as many days old as a comparison asks, or older, and when they leave its window."""
    today, found = local_date(from_us(at), history.tz).toordinal(), set()
    for placed in {sale.at for sale in history.purchases if sale.at <= at}:
        day = local_date(from_us(placed), history.tz).toordinal() + int(leaf.value)
        found |= {to_us(day_start(date.fromordinal(each), history.tz)) for each in (day, day + 1) if each <= today}
        for stretch in inside(leaf.measure.window, placed, history.tz, history.anchor):
            found |= {us for us in stretch if us is not None}
    return found


def _earned(badge: Badge, history: History, at: int) -> tuple[int | None, int | None]:
    """Return since when the badge is held, and, where it was taken back, when that was."""
    condition = badge.condition
    due = _first(condition, history, at)
    if badge.after_refund == "keep" or due is None:
        return due, None
    corrections = _corrections(history, at)

    @cache
    def deserved(told: int) -> bool:
        return _first(condition, _hindsight(history, told), told) is not None

    while True:
        ends = next((told for told in corrections if told > due and not deserved(told)), None)
        if ends is None:
            return due, None
        again = [_first(condition, history, at, after=ends)]
        again += [told for told in corrections if told > ends and deserved(told)]
        since = min((us for us in again if us is not None), default=None)
        if since is None:
            return due, ends
        due = since


def _corrections(history: History, at: int) -> list[int]:
    """Return the instants at which something about the past became known."""
    sales = {sale.known for sale in (*history.purchases, *history.sales) if sale.at < sale.known <= at}
    return sorted(sales | {move.known for move in history.movements if move.at < move.known <= at})


@attrs.frozen(slots=False, eq=False, repr=False)
class _Hindsight(History):
    """A history as if what was `told` of its orders, as wholes and by line, had been known from the first."""

    told: tuple[tuple[Sale, ...], tuple[Sale, ...]] = attrs.field(default=((), ()), kw_only=True)

    @cached_property
    def purchases(self) -> Sequence[Sale]:
        return self.told[0]

    @cached_property
    def sales(self) -> Sequence[Sale]:
        return self.told[1]


def _hindsight(history: History, at: int) -> _Hindsight:
    named = {field.name: getattr(history, field.name) for field in attrs.fields(History)}
    named["joined"] = history.anchor
    named["movements"] = [move._replace(known=move.at) for move in history.movements if move.known <= at]
    return _Hindsight(**named, told=(_net(history.purchases, at), _net(history.sales, at)))


def _net(sales: Sequence[Sale], at: int) -> tuple[Sale, ...]:
    """Return what is left of sales by what is known at an instant."""
    left: dict[Sale, tuple[int, int]] = {}
    for sale in sales:
        if sale.known <= at:
            what = sale._replace(known=sale.at, amount=0, present=0, back=False)
            amount, present = left.get(what, (0, 0))
            left[what] = (amount + sale.amount, present + sale.present)
    found = (what._replace(amount=amount, present=present) for what, (amount, present) in left.items())
    return tuple(sale for sale in found if sale.amount or sale.present)
