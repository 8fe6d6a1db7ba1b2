"""What of an order counts as bought: for points, and for what a customer has spent.

The goods, after all discounts, is the usual answer; a `Basis` says what comes with them, and what is left out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, NamedTuple

import attrs

from loyaltykit.errors import InputError
from loyaltykit.facts import Line, Order
from loyaltykit.fields import brief, flag, one_of
from loyaltykit.refunds import Remains, bears_tax

NetOrGross = Literal["net", "gross"]


@attrs.frozen(repr=False)
class Basis:
    """What of an order counts: the goods, after all discounts and without what was paid with points, unless said here.

    tax: with the tax on the goods. shipping: with the shipping. discounts: ``net`` of them, or ``gross``. points:
    ``net`` of what was paid with points, or ``gross``. gift_cards: when a gift card is bought (then what is paid with
    one counts nothing), rather than when it is spent. donations: with donations.
    """

    tax: bool = attrs.field(default=False, converter=flag("basis.tax"))
    shipping: bool = attrs.field(default=False, converter=flag("basis.shipping"))
    discounts: NetOrGross = attrs.field(default="net", converter=one_of("basis.discounts", NetOrGross))
    points: NetOrGross = attrs.field(default="net", converter=one_of("basis.points", NetOrGross))
    gift_cards: bool = attrs.field(default=False, converter=flag("basis.gift_cards"))
    donations: bool = attrs.field(default=False, converter=flag("basis.donations"))

    __repr__ = brief


BASES: dict[str, Basis] = {
    "goods": Basis(),
    "goods_and_tax": Basis(tax=True),
    "goods_and_shipping": Basis(shipping=True),
    "before_discounts": Basis(discounts="gross"),
    "before_points": Basis(points="gross"),
    "everything_paid": Basis(tax=True, shipping=True),
}
"""Usual bases by name; ``goods`` is the default."""


def as_basis(field: str) -> Any:
    """Convert nothing, but refuse what is neither a `Basis` nor the name of one."""

    def convert(value: Any) -> Basis:
        if isinstance(value, str) and value in BASES:
            return BASES[value]
        if isinstance(value, Basis):
            return value
        raise InputError(field, value, f"give a Basis, or one of {', '.join(BASES)}")

    return convert


# ---------------------------------------------------------------- the basis of one order


class Goods(NamedTuple):
    """A line as far as it counts: its basis counts as `Basket.of` says. Shipping is goods without a line."""

    line: Line | None
    name: str
    basis: int
    quantity: Decimal


class Basket(NamedTuple):
    """The basis of an order: whole numbers of which `of` are one minor unit of money."""

    goods: list[Goods]
    of: int
    total: int


def basket(basis: Basis, order: Order, what_is_left: Remains) -> Basket:
    """Return what of an order counts, line by line."""
    gross = basis.discounts == "gross"
    goods, others = [], 0
    for line, rest in zip(order.lines, what_is_left.lines, strict=True):
        units = rest.gross_units if gross else rest.units
        if (line.donation and not basis.donations) or (line.gift_card and not basis.gift_cards):
            others += 0 if line.donation else units
        elif not rest.gone:
            goods.append(Goods(line, rest.line, units, rest.quantity))
    if basis.shipping and what_is_left.shipping_units:
        goods.append(Goods(None, "shipping", what_is_left.shipping_units, Decimal(1)))
    of = what_is_left.of
    if order.tax and basis.tax != order.tax_included:
        goods, of, others = _taxed(order, goods, what_is_left, others, 1 if basis.tax else -1)
    paid = what_is_left.paid_points_units if basis.points == "net" else 0
    if basis.gift_cards:  # earned when the card was bought
        paid += what_is_left.paid_gift_cards_units
    if paid:
        # What points paid comes off all goods in proportion to their basis, whole: 50.00 of 100.00 leave 50.00.
        whole = sum(each.basis for each in goods) + others
        unpaid = max(0, whole - paid * (of // what_is_left.of))
        goods = [each._replace(basis=each.basis * unpaid) for each in goods]
        of *= whole or 1
    return Basket(goods, of, sum(each.basis for each in goods))


def _taxed(order: Order, goods: list[Goods], rest: Remains, others: int, sign: int) -> tuple[list[Goods], int, int]:
    """Put the tax onto what bears it, or take an included tax off, in proportion."""
    lines = zip(order.lines, rest.lines, strict=True)
    bearing = rest.shipping_units + sum(after.units for line, after in lines if bears_tax(line))
    tax = sign * rest.tax_units if bearing else 0
    whole = bearing or 1
    changed = [
        each._replace(basis=each.basis * (whole + (tax if each.line is None or bears_tax(each.line) else 0)))
        for each in goods
    ]
    return changed, rest.of * whole, others * whole
