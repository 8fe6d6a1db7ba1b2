"""A customer's way so far: what they bought and kept, their favourites, and everything that happened, in one line.

Pure functions over facts, given in any order and any number of times, and one instant: nothing later is known. A
refund takes back what it names from the order that it names; what was returned was not bought. Facts of several
members, as after a merge of accounts, are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import NamedTuple

import attrs

from loyaltykit.amounts import format_money, total, whole
from loyaltykit.calendar import instant, to_us, zone as zone_of
from loyaltykit.courses import course
from loyaltykit.errors import InputError, KeyReused
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal, order_key
from loyaltykit.fields import texts
from loyaltykit.history import History
from loyaltykit.refunds import Remains
from loyaltykit.tables import html_table, text_table

Facts = History | Iterable[Fact]

_NOTHING = Decimal(0)


_KINDS: tuple[type, ...] = (Member, Order, Refund, Reversal, Activity)  # in their order at one instant


def _known(facts: Facts, at: datetime) -> list[Fact]:
    """Return each fact known at an instant once, in an order that does not depend on how they came."""
    now = to_us(instant(at))
    found: dict[tuple[int, int, str, int, str], Fact] = {}
    for place, fact in enumerate(facts.facts if isinstance(facts, History) else facts):
        if not isinstance(fact, _KINDS):
            raise InputError(f"facts[{place}]", fact, "give orders, refunds, reversals, activities and members")
        since, revision, profile = to_us(_since(fact)), 0, ""
        if isinstance(fact, Order):
            revision = fact.revision
        elif isinstance(fact, Member):  # of two profiles of one instant neither is the later one: both are there
            profile = str(attrs.astuple(fact)[2:])
        key = (since, _KINDS.index(type(fact)), fact.id, revision, profile)
        if since <= now and found.setdefault(key, fact) != fact:
            raise KeyReused(f"facts[{place}]", fact.id, "another fact of this kind has this id, with other contents")
    return [found[key] for key in sorted(found)]


def _since(fact: Fact) -> datetime:
    return fact.known_from if isinstance(fact, Order) else fact.at


# ---------------------------------------------------------------- what was bought and kept


class Product(NamedTuple):
    """One product of an order: how much of it is left, and whether any is (a line may be sold with quantity 0)."""

    sku: str
    quantity: Decimal
    kept: bool


class Purchase(NamedTuple):
    """An order as it was known at an instant. It is `kept` unless all its goods have gone back or it was cancelled."""

    order: Order
    products: tuple[Product, ...]
    kept: bool


def purchases(facts: Facts, at: datetime, *, currency: str = "USD") -> tuple[Purchase, ...]:
    """Return what is known at `at` of every order placed by then, the earliest first; drafts are none.

    `products` are in the order of the lines, donations left out; an order that was given by its amount alone has none.
    An order of nothing but donations is not kept. `currency` is that of orders that name none (a `History` knows it).

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Line
    >>> placed, back = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
    >>> order = Order("1", "ann", placed, [Line("mug", 2, unit_price="10.00")])
    >>> purchases([order, Refund("r", "ann", "1", back, {"mug": 1})], back)[0].products
    (Product(sku='mug', quantity=Decimal('1'), kept=True),)
    """
    now, stories = to_us(instant(at)), dict[str, list[Order | Refund | Reversal]]()
    for fact in _known(facts, at):
        if isinstance(fact, Order | Refund | Reversal):
            stories.setdefault(fact.id if isinstance(fact, Order) else fact.order, []).append(fact)
    currency, split = (facts.currency, facts.split) if isinstance(facts, History) else (currency, "net_allocated")
    found = []
    for story in stories.values():
        named = (fact.currency for fact in story if isinstance(fact, Order) and fact.currency)
        stages = course(story, next(named, currency), split)
        if stages and stages[-1].order.state != "draft" and to_us(stages[-1].order.at) <= now:
            found.append(_purchase(stages[-1].order, stages[-1].rest))
    return tuple(sorted(found, key=lambda each: (to_us(each.order.at), each.order.id)))


def _purchase(order: Order, rest: Remains) -> Purchase:
    found: dict[str, Product] = {}
    for line, left in zip(order.lines, rest.lines, strict=True):
        if not line.donation and not order.by_amount:
            kept = not (left.gone or rest.empty)
            had = found.get(line.sku, Product(line.sku, _NOTHING, False))
            quantity = total((had.quantity, left.quantity)) if kept else had.quantity
            found[line.sku] = Product(line.sku, quantity, had.kept or kept)
    goods = not order.lines or any(not line.donation for line in order.lines)
    return Purchase(order, tuple(found.values()), goods and not rest.empty)


@attrs.frozen
class Bought:
    """How much of a product a customer bought and kept, in all, and when last."""

    product: str
    quantity: Decimal
    last: datetime = attrs.field(eq=to_us)


def bought(facts: Facts, at: datetime) -> tuple[Bought, ...]:
    """Return what a customer bought and kept: the most first, among equals the latest bought, then by name.

    A product of which nothing remains is left out. `last` is the instant of the latest order of which some remains.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Line
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> [(each.product, str(each.quantity)) for each in bought([Order("1", "ann", at, [Line("mug", 2)])], at)]
    [('mug', '2')]
    """
    found: dict[str, Bought] = {}
    for purchase in purchases(facts, at):
        for sku, quantity, _ in purchase.products:
            if quantity:
                had = found[sku].quantity if sku in found else _NOTHING
                found[sku] = Bought(sku, total((had, quantity)), purchase.order.at)
    return tuple(
        sorted(found.values(), key=lambda each: (each.quantity.copy_negate(), -to_us(each.last), each.product))
    )


def favourites(facts: Facts, at: datetime, *, declared: Iterable[str] = (), top: int | None = None) -> tuple[str, ...]:
    """Return a customer's favourite products: those they declared, as they put them, then those that they buy most.

    What they buy most is by quantity, net of what they returned by `at`; among equals the latest bought comes first.
    What they declared stays, bought or not. `top` is how many to return at most.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Line
    >>> days = [datetime(2024, month, 5, tzinfo=UTC) for month in (1, 2, 3)]
    >>> lines = [Line("mug", 2), Line("tea", 3), Line("pot", 2)]
    >>> orders = [Order(line.sku, "ann", day, line) for line, day in zip(lines, days)]
    >>> favourites(orders, days[-1])
    ('tea', 'pot', 'mug')
    """
    most = None if top is None else whole(top, "top", 0)
    named = [*texts("declared")(declared), *(each.product for each in bought(facts, at))]
    return tuple(dict.fromkeys(named))[:most]


# ---------------------------------------------------------------- everything that happened


@attrs.frozen
class Stop:
    """One thing that happened: when, what, about what. `key` names the fact, as in ``order:1001``."""

    at: datetime = attrs.field(eq=to_us)
    what: str
    about: str
    key: str


@attrs.frozen(repr=False)
class Journey:
    """All steps of a customer, the earliest first; shown with the local times of `zone`."""

    steps: tuple[Stop, ...]
    zone: str = "UTC"

    def __iter__(self) -> Iterator[Stop]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def _rows(self) -> list[tuple[str, str, str]]:
        tz: tzinfo = zone_of(self.zone)
        return [(f"{step.at.astimezone(tz):%Y-%m-%d %H:%M}", step.what, step.about) for step in self.steps]

    def __str__(self) -> str:
        return text_table(_HEADERS, self._rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_HEADERS, self._rows())


_HEADERS = ("when", "what", "about")


def journey(facts: Facts, at: datetime, *, zone: str = "UTC", currency: str = "USD") -> Journey:
    """Return everything known at `at` as one line of time, each fact once.

    An order is there from the instant at which it was placed, each later revision from its own. Of one instant, the
    member comes first, then orders, refunds, reversals and activities, each by id. A change of the profile says which
    fields changed and not to what. `zone` (for showing times) and `currency` are the program's; a `History` knows both.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Line
    >>> at = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    >>> order = Order("1001", "ann", at, [Line("mug", 2, unit_price="10.00")])
    >>> print(journey([Activity("t-1", "ann", "ticket", at, order="1001"), order], at))
    when              what     about
    2026-03-02 09:30  ordered  1001: 2 × mug, $20.00
    2026-03-02 09:30  ticket   1001
    """
    if isinstance(facts, History):
        zone, currency = facts.zone, facts.currency
    zone_of(zone)
    steps, profiles, orders = [], dict[str, Member](), dict[str, Order]()
    for fact in _known(facts, at):
        if isinstance(fact, Member):
            what, about = _profile(fact, profiles.get(fact.id))
            profiles[fact.id] = fact
        elif isinstance(fact, Order):
            what, about = _order(fact, orders.get(fact.id), currency)
            orders[fact.id] = fact
        else:
            what, about = _said(fact, currency)
        steps.append(Stop(_since(fact), what, about, _key(fact)))
    return Journey(tuple(steps), zone)


def _key(fact: Fact) -> str:
    if isinstance(fact, Order):
        return order_key(fact.id, fact.revision)
    return f"{type(fact).__name__.lower()}:{fact.id}"


def _profile(member: Member, before: Member | None) -> tuple[str, str]:
    if before is None:
        return "joined", ""
    names = ("birthday", "email", "zone")
    changed = [name for name in names if getattr(member, name) != getattr(before, name)]
    new, old = dict(member.attributes), dict(before.attributes)
    changed += sorted(name for name in {**new, **old} if new.get(name) != old.get(name))
    return "changed the profile", ", ".join(changed)


def _order(order: Order, before: Order | None, currency: str) -> tuple[str, str]:
    goods = [] if order.by_amount else [f"{_plain(line.quantity)} × {line.sku}" for line in order.lines]
    about = ", ".join([*goods, format_money(order.total, order.currency or currency)])
    changed = before is not None and before.state != "draft" and order.state != "cancelled"
    return "changed an order" if changed else _STATES[order.state], f"{order.id}: {about}"


def _said(fact: Refund | Reversal | Activity, currency: str) -> tuple[str, str]:
    """Return what happened, and about what, in words."""
    match fact:
        case Refund(lines=None, amount=None):
            return "returned", f"all that was left of {fact.order}"
        case Refund(lines=None):
            return "got money back", f"{format_money(fact.amount or 0, fact.currency or currency)} of {fact.order}"
        case Refund():
            goods = [f"{_plain(quantity)} × {name}" for name, quantity in fact.lines or ()]
            return "returned", f"{', '.join(goods)} of {fact.order}"
        case Reversal():
            return "refund did not stand", f"{fact.refund} of {fact.order}"
        case _:
            return fact.name, " of ".join(each for each in (fact.product, fact.order) if each)


_STATES = {"draft": "drafted an order", "placed": "ordered", "paid": "ordered", "cancelled": "cancelled an order"}


def _plain(quantity: Decimal) -> str:
    shown = f"{quantity:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
