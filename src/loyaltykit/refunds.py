"""What is left of an order after its refunds, and what has gone back, in exact amounts.

Everything here is a function of the order and the **set** of its refunds (those that were reversed left out), which
are looked at in the order of their instants. What one refund gave back is the difference of two such answers, so any
sequence of partial refunds ends where one full refund ends, to the cent and the point.

A refund of goods takes back their part of the line, by quantity; a refund of an amount takes it from all goods that
are left, in proportion. Donations are discounted by nothing and come back only when named. Shipping (and what is left
of the tax) comes back with the last of the goods.

How an order discount and the parts of the payment are shared out is the program's `Split`:

* ``net_allocated``: over the goods in proportion to their price, and every refund over all parts of the payment.
  Of 2 x 10.00 − 5.00, one item is 7.50.
* ``gross_line_first``: goods come back at their own price; the discount stays with what is left of the order, and
  money goes back before gift cards, these before points. One item is 10.00, the other 5.00.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

import attrs

from loyaltykit.amounts import allocate, exponent, from_minor, to_minor, total
from loyaltykit.calendar import to_us
from loyaltykit.errors import InputError, RefundTooLarge, WrongCurrency
from loyaltykit.facts import Line, Order, Refund, Tender, TenderKind

Split = Literal["net_allocated", "gross_line_first"]
RewardBack = Literal["pro_rata", "full_only"]

_NOTHING = Decimal(0)


class LineLeft(NamedTuple):
    """What is left of one line. `units` and `gross_units` (before all discounts) count as `Remains.of` says."""

    line: str
    quantity: Decimal
    units: int
    gross_units: int
    gone: bool = False


class Remains(NamedTuple):
    """What is left of an order.

    Amounts are exact whole numbers of **units**, `of` of which are one minor unit (cent) of the currency; the
    properties give them as money, rounded half up to the minor unit. `paid_points_units` and `paid_gift_cards_units`
    are the parts of what is left that were paid with points and gift cards. `empty`: nothing of the goods is left.
    """

    order: str
    currency: str
    of: int
    lines: tuple[LineLeft, ...]
    empty: bool
    shipping_units: int
    tax_units: int
    total_units: int
    paid_points_units: int
    paid_gift_cards_units: int

    def money(self, units: int) -> Decimal:
        """Return so many units as money."""
        return from_minor((2 * units + self.of) // (2 * self.of), self.currency)

    @property
    def goods(self) -> Decimal:
        """The lines that are left, donations included, after all discounts."""
        return self.money(sum(line.units for line in self.lines))

    @property
    def shipping(self) -> Decimal:
        """The shipping that has not come back."""
        return self.money(self.shipping_units)

    @property
    def tax(self) -> Decimal:
        """The tax on what is left, whether on top of the prices or included in them."""
        return self.money(self.tax_units)

    @property
    def total(self) -> Decimal:
        """What was paid and has not come back."""
        return self.money(self.total_units)


@attrs.frozen
class Returned:
    """What has gone back, in all: each part of the payment, with its points.

    The parts are those of the order's `tenders`, in their order, and last the cash that they did not cover.
    """

    tenders: tuple[Tender, ...]

    def amount(self, kind: TenderKind) -> Decimal:
        """Return the money of one kind: ``cash``, ``gift_card``, or what ``points`` were worth."""
        return total(tender.amount for tender in self.tenders if tender.kind == kind)

    @property
    def cash(self) -> Decimal:
        """Real money."""
        return self.amount("cash")

    @property
    def points(self) -> int:
        """Points of the unit ``points``."""
        return sum(tender.points for tender in self.tenders if tender.unit == "points")


# ---------------------------------------------------------------- the order in minor units


class Sold(NamedTuple):
    """An order in minor units, before any refund."""

    order: Order
    currency: str
    split: Split
    net: list[int]  # of each line; with net_allocated after its share of the order's discount
    gross: list[int]
    discount: int  # of the order, where it has no shares
    shipping: int
    tax: int
    taxed: Fraction  # what the tax is for
    total: int


def sold(order: Order, currency: str, split: Split = "net_allocated") -> Sold:
    """Return an order in minor units; each line, the shipping and the tax are rounded to whole ones, half up.

    The tax is for all goods but gift cards and donations, and the shipping.
    """
    if order.currency is not None and order.currency != currency:
        raise WrongCurrency("order.currency", order.currency, f"the program's currency is {currency}")

    scale: int = 2 * 10 ** exponent(currency)

    def minor(value: Decimal) -> int:  # what `to_minor` does for all kinds of values and roundings
        numerator, denominator = value.as_integer_ratio()
        return (scale * numerator + denominator) // (2 * denominator)

    lines = order.lines
    gross = [minor(line.gross) for line in lines]
    net = [minor(line.net) if line.discount else units for line, units in zip(lines, gross, strict=True)]
    discount = 0
    if order.discount:
        discountable = [0 if line.donation else units for line, units in zip(lines, net, strict=True)]
        discount = min(minor(order.discount), sum(discountable))
        if split == "net_allocated":
            shares = allocate(discount, discountable)
            net = [units - share for units, share in zip(net, shares, strict=True)]
            discount = 0
    shipping = minor(order.shipping) if order.shipping else 0
    tax, taxed = 0, Fraction(0)
    if order.tax:
        tax = minor(order.tax)
        taxed = Fraction(sum(units for line, units in zip(lines, net, strict=True) if bears_tax(line)))
        if discount:
            taxed *= 1 - Fraction(discount, sum(discountable))
        taxed += shipping
    owed = sum(net) - discount + shipping + (0 if order.tax_included else tax)
    return Sold(order, currency, split, net, gross, discount, shipping, tax, taxed, owed)


def bears_tax(line: Line) -> bool:
    """Say whether the order's tax is (also) for this line: gift cards and donations bear none."""
    return not (line.gift_card or line.donation)


def _paid(goods: Sold, kind: TenderKind) -> int:
    tenders = goods.order.tenders
    if not tenders:
        return 0
    return sum(to_minor(t.amount, goods.currency, rounding="half_up") for t in tenders if t.kind == kind)


# ---------------------------------------------------------------- taking refunds off


def remains(order: Order, refunds: Iterable[Refund], currency: str, split: Split = "net_allocated") -> Remains:
    """Return what is left of `order` after `refunds`, of which each counts once.

    Of a cancelled order nothing is left but donations that were not refunded.

    Raises `RefundTooLarge` where a refund takes more than was left at its instant, `InputError` for a line that the
    order does not have, `WrongCurrency`.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> order = Order("1", "ann", at, [Line("mug", total="150.00"), Line("cup", total="60.00")], discount="42.00")
    >>> remains(order, [Refund("r", "ann", "1", at, {"mug": 1})], "USD").goods
    Decimal('48.00')
    """
    return left(sold(order, currency, split), ordered(refunds))


def ordered(refunds: Iterable[Refund]) -> list[Refund]:
    """Return each refund once, in the order of their instants, those of one instant by id."""
    each = {refund.id: refund for refund in refunds}
    return sorted(each.values(), key=lambda refund: (to_us(refund.at), refund.id))


def left(goods: Sold, refunds: Sequence[Refund]) -> Remains:
    """Return what is left after `refunds`, which are in order."""
    cancelled = goods.order.state == "cancelled"
    if not refunds and not cancelled and not goods.discount:
        lines = tuple(
            [
                LineLeft(line.name, line.quantity, net, gross)
                for line, net, gross in zip(goods.order.lines, goods.net, goods.gross, strict=True)
            ]
        )
        sums = goods.shipping, goods.tax, goods.total, _paid(goods, "points"), _paid(goods, "gift_card")
        return Remains(goods.order.id, goods.currency, 1, lines, False, *sums)
    taking = _Taking(goods)
    for refund in refunds:
        taking.take(refund)
    if cancelled:
        taking.everything()
    return taking.remains()


class _Taking:
    """The state while refunds are taken off: the quantities left, and the part of every price left by amounts."""

    def __init__(self, goods: Sold) -> None:
        self.goods = goods
        self.lines = goods.order.lines
        self.quantities = [line.quantity for line in self.lines]
        self.gone = [False] * len(self.lines)
        self.part = Fraction(1)
        self.whole = False

    def take(self, refund: Refund) -> None:
        order = self.goods.order
        if refund.order != order.id:
            raise InputError("refund.order", refund.order, f"refund {refund.id} is of another order than {order.id}")
        if refund.currency is not None and refund.currency != self.goods.currency:
            raise WrongCurrency("refund.currency", refund.currency, f"the order is in {self.goods.currency}")
        if refund.lines is not None:
            for name, quantity in refund.lines:
                self.take_line(refund, name, quantity)
        elif refund.amount is not None:
            self.take_amount(refund, to_minor(refund.amount, self.goods.currency, "refund.amount"))
        else:
            self.everything()

    def everything(self) -> None:
        """Take all but donations."""
        self.whole = True
        for place, line in enumerate(self.lines):
            if not line.donation:
                self.quantities[place], self.gone[place] = _NOTHING, True

    def take_line(self, refund: Refund, name: str, quantity: Decimal) -> None:
        """Take so much off the line of this name, or off the lines of this sku, the first first."""
        places = [place for place, line in enumerate(self.lines) if line.name == name]
        if not places or self.lines[places[0]].sku == name:
            places = [place for place, line in enumerate(self.lines) if line.sku == name]
        if not places:
            raise InputError("refund.lines", name, f"refund {refund.id}: order {refund.order} has no such line")
        had = total(self.quantities[place] for place in places)
        wanted = quantity
        for place in places:
            some = min(wanted, self.quantities[place])
            if not self.lines[place].quantity and not quantity:
                if self.gone[place]:
                    raise RefundTooLarge("refund.lines", name, f"refund {refund.id}: the line has come back already")
                self.gone[place] = True
            if some:
                wanted = total((wanted, some.copy_negate()))
                self.quantities[place] = total((self.quantities[place], some.copy_negate()))
                self.gone[place] = not self.quantities[place]
        if wanted:
            raise RefundTooLarge("refund.lines", (name, quantity), f"refund {refund.id}: only {had} are left of {name}")

    def take_amount(self, refund: Refund, amount: int) -> None:
        """Take so much off all goods that are left, in proportion."""
        worth = sum(self.values(goods_only=True), Fraction(0))
        if amount >= worth + 1:  # less than a cent more takes all: what is left may be a part of a cent
            most = from_minor(math.floor(worth), self.goods.currency)
            raise RefundTooLarge("refund.amount", refund.amount, f"refund {refund.id}: only {most} of goods is left")
        self.part *= 1 - min(Fraction(1), amount / worth)

    def values(self, goods_only: bool = False) -> list[Fraction]:
        """Return what is left of each line in minor units, exactly."""
        values = [self.share(place) * net for place, net in enumerate(self.goods.net)]
        goods = [Fraction(0) if line.donation else value for line, value in zip(self.lines, values, strict=True)]
        part, whole = self.part, sum(goods, Fraction(0))
        if self.goods.discount and whole:
            part *= max(Fraction(0), 1 - self.goods.discount / whole)
        return [
            (Fraction(0) if goods_only else value) if line.donation else value * part
            for line, value in zip(self.lines, values, strict=True)
        ]

    def share(self, place: int) -> Fraction:
        """Return which part of a line's quantity is left."""
        sold_quantity, quantity = self.lines[place].quantity, self.quantities[place]
        if quantity == sold_quantity:
            return Fraction(0 if self.gone[place] else 1)
        return Fraction(quantity) / Fraction(sold_quantity)

    def is_empty(self, values: list[Fraction]) -> bool:
        """Say whether the last of the goods is gone; goods that cost nothing do not keep an order alive."""
        if self.whole:
            return True
        goods = [place for place, line in enumerate(self.lines) if not line.donation]
        priced = [place for place in goods if self.goods.net[place]]
        if priced and (not self.part or not self.goods.discount):
            return not any(values[place] for place in priced)
        return bool(self.lines) and all(self.gone[place] for place in priced or goods or range(len(self.lines)))

    def remains(self) -> Remains:
        """Return what is left, in whole numbers of one unit that is fine enough for all of it."""
        goods = self.goods
        values = self.values()
        empty = self.is_empty(values)
        gross = [
            self.share(place) * units * (1 if line.donation else self.part)
            for place, (line, units) in enumerate(zip(self.lines, goods.gross, strict=True))
        ]
        shipping = Fraction(0 if empty else goods.shipping)
        tax = Fraction(0 if empty else goods.tax)
        if goods.taxed and not empty:
            bearing = (value for line, value in zip(self.lines, values, strict=True) if bears_tax(line))
            tax *= (shipping + sum(bearing, Fraction(0))) / goods.taxed
        whole = sum(values, Fraction(0)) + shipping + (0 if goods.order.tax_included else tax)
        by_points, by_gift_cards = Fraction(_paid(goods, "points")), Fraction(_paid(goods, "gift_card"))
        if goods.split == "net_allocated":
            rest = whole / goods.total if goods.total else Fraction(0)
            by_points, by_gift_cards = by_points * rest, by_gift_cards * rest
        else:
            by_points = min(by_points, whole)
            by_gift_cards = min(by_gift_cards, whole - by_points)
        sums = (shipping, tax, whole, by_points, by_gift_cards)
        of = math.lcm(*(value.denominator for value in (*values, *gross, *sums)))

        def units(value: Fraction) -> int:
            return value.numerator * (of // value.denominator)

        lines = tuple(
            LineLeft(line.name, quantity, units(net), units(before), gone)
            for line, quantity, net, before, gone in zip(
                self.lines, self.quantities, values, gross, self.gone, strict=True
            )
        )
        return Remains(goods.order.id, goods.currency, of, lines, empty, *map(units, sums))


# ---------------------------------------------------------------- what has gone back


def returned(
    order: Order,
    refunds: Iterable[Refund],
    currency: str,
    split: Split = "net_allocated",
    reward_back: RewardBack = "pro_rata",
) -> Returned:
    """Return what has gone back of each part of the payment, in all, after `refunds`.

    Money is in whole minor units, points are whole, rounded down until the last. With ``full_only`` points come back
    with the last of the goods, else in proportion to the money that they stood for.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit.facts import cash, points
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> order = Order("1", "ann", at, amount="36.09", tenders=[cash("35.21"), points(176, worth="0.88")])
    >>> back = returned(order, [Refund("r", "ann", "1", at)], "USD")
    >>> back.cash, back.points
    (Decimal('35.21'), 176)
    """
    goods, each = sold(order, currency, split), ordered(refunds)
    what_is_left = left(goods, each)
    rest = (2 * what_is_left.total_units + what_is_left.of) // (2 * what_is_left.of)
    parts, paid = _parts(goods)
    kept = _kept(parts, paid, rest, split)
    back = []
    for part, amount, keeps in zip(parts, paid, kept, strict=True):
        gone, count = amount - keeps, part.points
        if part.kind == "points" and reward_back == "full_only" and not what_is_left.empty:
            gone, count = 0, 0
        elif amount:
            count = count * gone // amount
        elif not what_is_left.empty:
            count = count * (goods.total - rest) // goods.total if goods.total else 0
        back.append(attrs.evolve(part, amount=from_minor(gone, currency), points=count))
    return Returned(tuple(back))


def _parts(goods: Sold) -> tuple[list[Tender], list[int]]:
    """Return the parts of the payment and their minor units: last, if there is any, the cash that no part names."""
    parts, paid, rest = list(goods.order.tenders), [], goods.total
    for part in parts:
        paid.append(min(rest, to_minor(part.amount, goods.currency, rounding="half_up")))
        rest -= paid[-1]
    if rest or not parts:
        parts.append(Tender("cash", from_minor(rest, goods.currency)))
        paid.append(rest)
    return parts, paid


def _kept(parts: Sequence[Tender], paid: Sequence[int], rest: int, split: Split) -> list[int]:
    """Split what is left over the parts of the payment, in whole minor units.

    Each part in turn takes its share of what the parts before it left, rounded, so that no part ever grows when the
    rest shrinks; the method of largest remainders would not keep to that.
    """
    rank = {"points": 0, "gift_card": 1, "cash": 2}
    open_paid, kept = sum(paid), [0] * len(parts)
    for place in sorted(range(len(parts)), key=lambda place: rank[parts[place].kind]):
        if split == "net_allocated":
            share = (2 * rest * paid[place] + open_paid) // (2 * open_paid) if open_paid else 0
        else:
            share = min(rest, paid[place])
        kept[place] = share
        rest -= share
        open_paid -= paid[place]
    return kept
