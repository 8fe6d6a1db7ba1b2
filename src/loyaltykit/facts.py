"""What happened: orders, refunds, activities, members. Immutable, dated, each with an id of its own.

A fact is never refused: it happened. What is refused is a fact that cannot be true (a negative quantity, a float
as money, an instant without a zone), and the error names the field. Facts may arrive in any order and any number
of times.

Money is `decimal.Decimal` in the order's currency (the program's unless named); a ``str`` or ``int`` is taken as
one, a ``float`` is refused. Instants are aware datetimes.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import attrs

from loyaltykit import fields
from loyaltykit.amounts import product, quantity, total
from loyaltykit.calendar import optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import optional, text

OrderState = Literal["draft", "placed", "paid", "cancelled"]
TenderKind = Literal["cash", "points", "gift_card"]

ZERO = Decimal(0)

LARGEST = Decimal("922337203685477.5807")
"""The most that a line or an order comes to: in minor units of any currency (at most 4 decimals) below 2**63."""


# ---------------------------------------------------------------- orders


@attrs.frozen(kw_only=False)
class Line:
    """One line of an order: so many of a product, for so much.

    Give `total` (the whole line, before `discount`) or `unit_price`; with neither the line costs nothing. Some
    tills know only totals that do not divide by the quantity, or a quantity of 0 with a total: both are taken as
    they are. `discount` is the line's own; a donation has none. `id` tells lines of one sku apart; see `name`.

    >>> Line("espresso", 2, unit_price="3.50", categories="coffee").net
    Decimal('7.00')
    """

    sku: str = attrs.field(converter=fields.words("line.sku"))
    quantity: Decimal = attrs.field(default=Decimal(1), converter=fields.amount("line.quantity"))
    total: Decimal | None = attrs.field(default=None, converter=optional(fields.amount("line.total")))
    unit_price: Decimal | None = attrs.field(default=None, converter=optional(fields.amount("line.unit_price")))
    categories: tuple[str, ...] = attrs.field(default=(), converter=fields.texts("line.categories"))
    discount: Decimal = attrs.field(default=ZERO, converter=fields.amount("line.discount"))
    gift_card: bool = attrs.field(default=False, converter=fields.flag("line.gift_card"))
    donation: bool = attrs.field(default=False, converter=fields.flag("line.donation"))
    id: str | None = attrs.field(default=None, converter=optional(fields.words("line.id")))

    def __attrs_post_init__(self) -> None:
        if self.total is not None and self.unit_price is not None:
            raise InputError("line.total", self.total, "give total or unit_price, not both")
        gross = self.gross
        if gross > LARGEST:
            given = "unit_price" if self.total is None else "total"
            raise InputError(f"line.{given}", getattr(self, given), f"a line comes to at most {LARGEST}")
        if self.discount and self.donation:
            raise InputError("line.discount", self.discount, "a donation is not discounted; give what was donated")
        if self.discount > gross:
            raise InputError("line.discount", self.discount, f"at most the line's total, {gross}")

    @property
    def name(self) -> str:
        """What a refund calls the line: its id, or its sku where it has none of its own."""
        return self.id or self.sku

    @property
    def gross(self) -> Decimal:
        """The line before any discount, exactly."""
        if self.total is not None:
            return self.total
        return ZERO if self.unit_price is None else product(self.unit_price, self.quantity)

    @property
    def net(self) -> Decimal:
        """The line after its own discount, before its share of the order's."""
        return _less(self.gross, self.discount)


def _less(value: Decimal, discount: Decimal) -> Decimal:
    """Return the exact difference, whatever the decimal context."""
    return total((value, discount.copy_negate())) if discount else value


@attrs.frozen
class Tender:
    """One part of how an order was paid. Use `cash`, `gift_card` or `points`.

    A points part spends its points when the order is recorded, unless `key` names the redemption or the hold that
    spends them.
    """

    kind: TenderKind = attrs.field(converter=fields.one_of("tender.kind", TenderKind))
    amount: Decimal = attrs.field(converter=fields.amount("tender.amount"))
    points: int = attrs.field(default=0, converter=fields.count("tender.points"))
    key: str | None = attrs.field(default=None, converter=optional(fields.words("tender.key")))
    unit: str = attrs.field(default="points", converter=fields.words("tender.unit"))

    def __attrs_post_init__(self) -> None:
        if self.points and self.kind != "points":
            raise InputError("tender.points", self.points, f"a {self.kind} part has no points; use points(...)")


def cash(amount: Any) -> Tender:
    """The part of an order paid with real money, by whichever means.

    >>> cash("35.21").kind
    'cash'
    """
    return Tender("cash", amount)


def gift_card(amount: Any, key: str | None = None) -> Tender:
    """The part of an order paid from a gift card; `key` may name the card."""
    return Tender("gift_card", amount, key=key)


def points(count: int, worth: Any, key: str | None = None, unit: str = "points") -> Tender:
    """The part of an order paid with points: how many, and what they were worth.

    >>> points(176, worth="0.88").amount
    Decimal('0.88')
    """
    return Tender("points", worth, count, key, unit)


@attrs.frozen
class Order:
    """A purchase, placed at the instant `at`.

    An order whose lines are not known is given by `amount`, the goods after all discounts, without tax and
    shipping: it becomes one line named ``order``, and `amount` is None again. To give it another amount, take that
    line away: ``attrs.evolve(order, lines=(), amount="5.00")``.

    Every line has a `Line.name` of its own: its id, or its sku, or (where another line of the order is called that)
    the sku with a number, ``mug#2``, which becomes its id.

    A changed order is the same order with a higher `revision`, in force from `revised_at`. A draft counts for
    nothing; ``placed`` and ``paid`` count alike from `at`; a ``cancelled`` order is one of which nothing remains.

    `tax` is on top of the prices unless `tax_included`. `discount` is the order's own, on top of the lines'.
    Without `tenders` the order was paid in cash; with them, what they do not cover was.

    >>> from datetime import datetime, UTC
    >>> order = Order("1001", "ann", datetime(2026, 3, 2, 9, tzinfo=UTC), [Line("mug", 2, unit_price="10.00")],
    ...               discount="5.00", shipping="4.90")
    >>> order.goods, order.total
    (Decimal('15.00'), Decimal('19.90'))
    """

    id: str = attrs.field(converter=fields.words("order.id"))
    member: str = attrs.field(converter=fields.words("order.member"))
    at: datetime = attrs.field(converter=fields.moment("order.at"), eq=to_us)
    lines: tuple[Line, ...] = attrs.field(default=(), converter=fields.several("order.lines", Line, "give Line values"))
    amount: Decimal | None = attrs.field(default=None, converter=optional(fields.amount("order.amount")), kw_only=True)
    discount: Decimal = attrs.field(default=ZERO, converter=fields.amount("order.discount"), kw_only=True)
    shipping: Decimal = attrs.field(default=ZERO, converter=fields.amount("order.shipping"), kw_only=True)
    tax: Decimal = attrs.field(default=ZERO, converter=fields.amount("order.tax"), kw_only=True)
    tax_included: bool = attrs.field(default=False, converter=fields.flag("order.tax_included"), kw_only=True)
    tenders: tuple[Tender, ...] = attrs.field(
        default=(),
        converter=fields.several("order.tenders", Tender, "give cash(...), gift_card(...) or points(...)"),
        kw_only=True,
    )
    codes: tuple[str, ...] = attrs.field(default=(), converter=fields.texts("order.codes"), kw_only=True)
    channel: str | None = attrs.field(default=None, converter=optional(fields.words("order.channel")), kw_only=True)
    currency: str | None = attrs.field(
        default=None, converter=optional(fields.currency("order.currency")), kw_only=True
    )
    state: OrderState = attrs.field(default="paid", converter=fields.one_of("order.state", OrderState), kw_only=True)
    revision: int = attrs.field(default=1, converter=fields.count("order.revision", 1), kw_only=True)
    revised_at: datetime | None = attrs.field(
        default=None, converter=optional(fields.moment("order.revised_at")), eq=optional_us, kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.amount is not None:
            if self.lines:
                hint = "give lines or amount, not both; to change the amount of an order, give lines=() with it"
                raise InputError("order.amount", self.amount, hint)
            object.__setattr__(self, "lines", (Line("order", total=total((self.amount, self.discount))),))
            object.__setattr__(self, "amount", None)
        object.__setattr__(self, "lines", _named(self.lines))
        if self.revised_at is not None and to_us(self.revised_at) < to_us(self.at):
            raise InputError("order.revised_at", self.revised_at, f"not before the order itself, {self.at}")
        self._check_sums()

    def _check_sums(self) -> None:
        full = total([*[line.gross for line in self.lines], self.shipping, self.tax])
        if full > LARGEST:
            raise InputError("order.lines", full, f"an order with its shipping and tax comes to at most {LARGEST}")
        if self.discount:
            discountable = total(line.net for line in self.lines if not line.donation)
            if self.discount > discountable:
                raise InputError("order.discount", self.discount, f"at most what the lines leave, {discountable}")
        if self.tax_included and self.tax > total((self.goods, self.shipping)):
            raise InputError("order.tax", self.tax, "an included tax is at most what it is included in")
        if self.tenders:
            paid = total(tender.amount for tender in self.tenders)
            if paid > self.total:
                raise InputError("order.tenders", paid, f"the parts come to more than the order, {self.total}")

    @property
    def by_amount(self) -> bool:
        """Whether only the amount of the order is known: its one line is what the order made of it."""
        return len(self.lines) == 1 and self.lines[0] == Line("order", total=self.lines[0].gross)

    @property
    def goods(self) -> Decimal:
        """The lines after every discount, without shipping; with tax only where prices include it."""
        return _less(total(line.net for line in self.lines), self.discount)

    @property
    def total(self) -> Decimal:
        """What the customer owes: goods, shipping, and tax where it comes on top."""
        return total((self.goods, self.shipping, ZERO if self.tax_included else self.tax))

    @property
    def known_from(self) -> datetime:
        """The instant from which this revision of the order holds."""
        return self.revised_at or self.at


def _named(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Give every line a name of its own: those that say their id first, then the first of each sku, then the rest."""
    skus = {line.sku for line in lines}
    taken: set[str] = set()
    for line in lines:
        if line.id is not None:
            if line.id in taken:
                raise InputError("line.id", line.id, "two lines of one order have this id")
            taken.add(line.id)
    if not taken and len(skus) == len(lines):  # as good as always: nothing is made anew
        return lines
    free = skus - taken
    taken |= skus
    numbers: dict[str, int] = {}
    named = []
    for line in lines:
        if line.id == line.sku:
            line = attrs.evolve(line, id=None)
        elif line.id is None and line.sku in free:
            free.remove(line.sku)
        elif line.id is None:
            stem = line.sku[:_STEM]
            number = numbers.get(stem, 1) + 1
            while f"{stem}#{number}" in taken:
                number += 1
            numbers[stem] = number
            line = attrs.evolve(line, id=f"{stem}#{number}")
        named.append(line)
    return tuple(named)


_STEM = 190
"""So many characters of a long sku, with ``#`` and a number, make an id of at most 200."""


# ---------------------------------------------------------------- refunds


_PAIRS = "give a mapping, or pairs, of"
_line_pairs = fields.pairs("refund.lines", quantity, f"{_PAIRS} line names and quantities")


def _refund_lines(value: Any) -> tuple[tuple[str, Decimal], ...]:
    lines: tuple[tuple[str, Decimal], ...] = _line_pairs(value)
    if not lines:
        raise InputError("refund.lines", value, "name at least one line, or leave it out to refund the whole order")
    return lines


@attrs.frozen
class Refund:
    """Money given back for an order, known from the instant `at`.

    With `lines` (`Line.name` or sku, to quantity) those goods came back, with `amount` so much of what was paid for
    the goods, with neither everything that remains. Donations come back only when named in `lines`. A line that was
    sold with quantity 0 is named with quantity 0. Shipping comes back with the last of the order.

    >>> from datetime import datetime, UTC
    >>> Refund("r-1", "ann", "1001", datetime(2026, 3, 9, tzinfo=UTC), {"mug": 1}).lines
    (('mug', Decimal('1')),)
    """

    id: str = attrs.field(converter=fields.words("refund.id"))
    member: str = attrs.field(converter=fields.words("refund.member"))
    order: str = attrs.field(converter=fields.words("refund.order"))
    at: datetime = attrs.field(converter=fields.moment("refund.at"), eq=to_us)
    lines: tuple[tuple[str, Decimal], ...] | None = attrs.field(default=None, converter=optional(_refund_lines))
    amount: Decimal | None = attrs.field(
        default=None, converter=optional(fields.amount("refund.amount", above_zero=True))
    )
    currency: str | None = attrs.field(
        default=None, converter=optional(fields.currency("refund.currency")), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.lines is not None and self.amount is not None:
            raise InputError("refund.amount", self.amount, "give lines or amount, not both")


@attrs.frozen
class Reversal:
    """A refund that did not stand after all (the bank bounced it, it was booked by mistake), from the instant `at`."""

    id: str = attrs.field(converter=fields.words("reversal.id"))
    member: str = attrs.field(converter=fields.words("reversal.member"))
    order: str = attrs.field(converter=fields.words("reversal.order"))
    refund: str = attrs.field(converter=fields.words("reversal.refund"))
    at: datetime = attrs.field(converter=fields.moment("reversal.at"), eq=to_us)


# ---------------------------------------------------------------- activities and members


@attrs.frozen
class Activity:
    """Something else that a member did: a review, a sign-up, a share, a visit. The program names those that earn.

    >>> from datetime import datetime, UTC
    >>> Activity("rv-7", "ann", "review", datetime(2026, 3, 20, tzinfo=UTC), product="mug").name
    'review'
    """

    id: str = attrs.field(converter=fields.words("activity.id"))
    member: str = attrs.field(converter=fields.words("activity.member"))
    name: str = attrs.field(converter=fields.words("activity.name"))
    at: datetime = attrs.field(converter=fields.moment("activity.at"), eq=to_us)
    product: str | None = attrs.field(default=None, converter=optional(fields.words("activity.product")), kw_only=True)
    order: str | None = attrs.field(default=None, converter=optional(fields.words("activity.order")), kw_only=True)


def _birthday(value: Any) -> date | tuple[int, int]:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        month, day = value
        if type(month) is int and type(day) is int:
            date(2000, month, day)  # a leap year: 29 February is a birthday
            return (month, day)
    except (TypeError, ValueError):
        pass
    raise InputError("member.birthday", value, "give a date, or (month, day) where the year is unknown")


@attrs.frozen
class Member:
    """A person in the program, as known from the instant `at`; a later one replaces an earlier one.

    `id` should be a pseudonym (a customer number, not an e-mail address): it is all that the ledger knows.
    """

    id: str = attrs.field(converter=fields.words("member.id"))
    at: datetime = attrs.field(converter=fields.moment("member.at"), eq=to_us)
    zone: str | None = attrs.field(default=None, converter=optional(fields.zone_name("member.zone")), kw_only=True)
    birthday: date | tuple[int, int] | None = attrs.field(default=None, converter=optional(_birthday), kw_only=True)
    email: str | None = attrs.field(default=None, converter=optional(fields.words("member.email")), kw_only=True)
    attributes: tuple[tuple[str, str], ...] = attrs.field(
        default=(), converter=fields.pairs("member.attributes", text, f"{_PAIRS} names and texts"), kw_only=True
    )


Fact = Order | Refund | Reversal | Activity | Member


def order_key(order: str, revision: int = 1) -> str:
    """Return the key under which a revision of an order is recorded; that of the first stands for the order.

    An ``@`` that is part of the id is doubled, so that no two orders and revisions have one key.

    >>> order_key("1001"), order_key("1001", 2), order_key("1001@2")
    ('order:1001', 'order:1001@2', 'order:1001@@2')
    """
    key = f"order:{order.replace('@', '@@')}"
    return key if revision == 1 else f"{key}@{revision}"


def spending_key(order: str, number: int) -> str:
    """Return the key under which an order spends the points of its part of this number, counted from 0.

    >>> spending_key("1001", 0), spending_key("1001", 1)
    ('order:1001', 'order~2:1001')
    """
    return order_key(order) if number == 0 else f"order~{number + 1}:{order}"


def order_of(fact: Fact) -> str | None:
    """Return the id of the order that a fact is about; None where it is about none."""
    return fact.id if isinstance(fact, Order) else getattr(fact, "order", None)
