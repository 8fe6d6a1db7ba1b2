"""What happened: orders, refunds, activities, members. Immutable, dated, each with an id of its own.

A fact is never refused: it happened. What is refused is a fact that cannot be true (a negative quantity, a float
as money, an instant without a zone), and the error names the field. Facts may arrive in any order and any number
of times.

Money is `decimal.Decimal` in the order's currency (the program's unless named); a ``str`` or ``int`` is taken as
one, a ``float`` is refused. Instants are aware datetimes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs

from loyaltykit.amounts import money, quantity, whole
from loyaltykit.calendar import instant
from loyaltykit.errors import InputError, RefundTooLarge

OrderState = Literal["draft", "placed", "paid", "cancelled"]
TenderKind = Literal["cash", "points", "gift_card"]

ZERO = Decimal(0)


# ---------------------------------------------------------------- converters and validators, shared


def _money(field: str) -> Any:
    """A converter of non-negative money that names `field` in its error."""
    return lambda value: money(value, field, minimum=0)


def _optional_money(field: str) -> Any:
    return lambda value: None if value is None else money(value, field, minimum=0)


def _instant(field: str) -> Any:
    return lambda value: instant(value, field)


def _optional_instant(field: str) -> Any:
    return lambda value: None if value is None else instant(value, field)


def text(value: Any, field: str) -> str:
    """Return `value` if it is a non-empty string of at most 200 characters without control characters."""
    if not isinstance(value, str):
        raise InputError(field, value, "give a string")
    if not value or len(value) > 200 or not value.isprintable():
        raise InputError(field, value, "give 1 to 200 printable characters")
    return value


def _text(field: str) -> Any:
    return lambda value: text(value, field)


def _optional_text(field: str) -> Any:
    return lambda value: None if value is None else text(value, field)


def _texts(field: str) -> Any:
    def convert(value: Iterable[str] | str) -> tuple[str, ...]:
        return (text(value, field),) if isinstance(value, str) else tuple(text(item, field) for item in value)

    return convert


def _one_of(field: str, kind: Any) -> Any:
    allowed = get_args(kind)

    def convert(value: Any) -> Any:
        if value not in allowed:
            raise InputError(field, value, f"choose one of {', '.join(allowed)}")
        return value

    return convert


def _flag(field: str) -> Any:
    def convert(value: Any) -> bool:
        if not isinstance(value, bool):
            raise InputError(field, value, "give True or False")
        return value

    return convert


# ---------------------------------------------------------------- orders


@attrs.frozen(kw_only=False)
class Line:
    """One line of an order: so many of a product, for so much.

    Give `total` (the whole line, before `discount`) or `unit_price`; with neither the line costs nothing. Some
    tills know only totals that do not divide by the quantity, or a quantity of 0 with a total: both are taken as
    they are.

    >>> Line("espresso", 2, unit_price="3.50", categories="coffee").net
    Decimal('7.00')
    """

    sku: str = attrs.field(converter=_text("line.sku"))
    quantity: Decimal = attrs.field(default=Decimal(1), converter=lambda value: quantity(value, "line.quantity"))
    total: Decimal | None = attrs.field(default=None, converter=_optional_money("line.total"))
    unit_price: Decimal | None = attrs.field(default=None, converter=_optional_money("line.unit_price"))
    categories: tuple[str, ...] = attrs.field(default=(), converter=_texts("line.categories"))
    discount: Decimal = attrs.field(default=ZERO, converter=_money("line.discount"))
    gift_card: bool = attrs.field(default=False, converter=_flag("line.gift_card"))
    donation: bool = attrs.field(default=False, converter=_flag("line.donation"))
    id: str | None = attrs.field(default=None, converter=_optional_text("line.id"))

    def __attrs_post_init__(self) -> None:
        if self.total is not None and self.unit_price is not None:
            raise InputError("line.total", self.total, "give total or unit_price, not both")
        if self.discount > self.gross:
            raise InputError("line.discount", self.discount, f"at most the line's total, {self.gross}")

    @property
    def gross(self) -> Decimal:
        """The line before any discount."""
        if self.total is not None:
            return self.total
        return self.unit_price * self.quantity if self.unit_price is not None else ZERO

    @property
    def net(self) -> Decimal:
        """The line after its own discount, before its share of the order's."""
        return self.gross - self.discount


@attrs.frozen
class Tender:
    """One part of how an order was paid. Use `cash`, `gift_card` or `points`.

    A points part spends its points when the order is recorded, unless `key` names the redemption or the hold that
    spends them.
    """

    kind: TenderKind = attrs.field(converter=_one_of("tender.kind", TenderKind))
    amount: Decimal = attrs.field(converter=_money("tender.amount"))
    points: int = attrs.field(default=0, converter=lambda value: whole(value, "tender.points"))
    key: str | None = attrs.field(default=None, converter=_optional_text("tender.key"))
    unit: str = attrs.field(default="points", converter=_text("tender.unit"))

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


def _lines(value: Any) -> tuple[Line, ...]:
    lines = (value,) if isinstance(value, Line) else tuple(value)
    for line in lines:
        if not isinstance(line, Line):
            raise InputError("order.lines", line, "give Line values")
    return lines


def _tenders(value: Any) -> tuple[Tender, ...]:
    tenders = (value,) if isinstance(value, Tender) else tuple(value)
    for tender in tenders:
        if not isinstance(tender, Tender):
            raise InputError("order.tenders", tender, "give cash(...), gift_card(...) or points(...)")
    return tenders


@attrs.frozen
class Order:
    """A purchase, placed at the instant `at`.

    An order whose lines are not known is given by `amount`, the goods after all discounts, without tax and
    shipping: it becomes one line named ``order``. A changed order is the same order with a higher `revision`, in
    force from `revised_at`. A draft counts for nothing; ``placed`` and ``paid`` count alike from `at`; a
    ``cancelled`` order is one of which nothing remains.

    `tax` is on top of the prices unless `tax_included`. `discount` is the order's own, on top of the lines'.
    Without `tenders` the order was paid in cash; with them, what they do not cover was.

    >>> from datetime import datetime, UTC
    >>> order = Order("1001", "ann", datetime(2026, 3, 2, 9, tzinfo=UTC), [Line("mug", 2, unit_price="10.00")],
    ...               discount="5.00", shipping="4.90")
    >>> order.goods, order.total
    (Decimal('15.00'), Decimal('19.90'))
    """

    id: str = attrs.field(converter=_text("order.id"))
    member: str = attrs.field(converter=_text("order.member"))
    at: datetime = attrs.field(converter=_instant("order.at"))
    lines: tuple[Line, ...] = attrs.field(default=(), converter=_lines)
    amount: Decimal | None = attrs.field(default=None, converter=_optional_money("order.amount"), kw_only=True)
    discount: Decimal = attrs.field(default=ZERO, converter=_money("order.discount"), kw_only=True)
    shipping: Decimal = attrs.field(default=ZERO, converter=_money("order.shipping"), kw_only=True)
    tax: Decimal = attrs.field(default=ZERO, converter=_money("order.tax"), kw_only=True)
    tax_included: bool = attrs.field(default=False, converter=_flag("order.tax_included"), kw_only=True)
    tenders: tuple[Tender, ...] = attrs.field(default=(), converter=_tenders, kw_only=True)
    codes: tuple[str, ...] = attrs.field(default=(), converter=_texts("order.codes"), kw_only=True)
    channel: str | None = attrs.field(default=None, converter=_optional_text("order.channel"), kw_only=True)
    currency: str | None = attrs.field(default=None, converter=_optional_text("order.currency"), kw_only=True)
    state: OrderState = attrs.field(default="paid", converter=_one_of("order.state", OrderState), kw_only=True)
    revision: int = attrs.field(default=1, converter=lambda value: whole(value, "order.revision", 1), kw_only=True)
    revised_at: datetime | None = attrs.field(
        default=None, converter=_optional_instant("order.revised_at"), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.amount is not None:
            if self.lines:
                raise InputError("order.amount", self.amount, "give lines or amount, not both")
            object.__setattr__(self, "lines", (Line("order", total=self.amount + self.discount),))
            object.__setattr__(self, "amount", None)
        object.__setattr__(self, "lines", _with_ids(self.lines))
        if self.revised_at is not None and self.revised_at < self.at:
            raise InputError("order.revised_at", self.revised_at, f"not before the order itself, {self.at}")
        discountable = sum((line.net for line in self.lines if not line.donation), ZERO)
        if self.discount > discountable:
            raise InputError("order.discount", self.discount, f"at most what the lines leave, {discountable}")
        if self.tax_included and self.tax > self.goods + self.shipping:
            raise InputError("order.tax", self.tax, "an included tax is at most what it is included in")
        paid = sum((tender.amount for tender in self.tenders), ZERO)
        if paid > self.total:
            raise InputError("order.tenders", paid, f"the parts come to more than the order, {self.total}")

    @property
    def goods(self) -> Decimal:
        """The lines after every discount, without shipping; with tax only where prices include it."""
        return sum((line.net for line in self.lines), ZERO) - self.discount

    @property
    def total(self) -> Decimal:
        """What the customer owes: goods, shipping, and tax where it comes on top."""
        return self.goods + self.shipping + (ZERO if self.tax_included else self.tax)

    @property
    def known_from(self) -> datetime:
        """The instant from which this revision of the order holds."""
        return self.revised_at or self.at


def _with_ids(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Give every line an id: its own, else its sku, else (for a sku named twice) ``sku#2``."""
    seen: set[str] = set()
    named = []
    for line in lines:
        name = line.id
        if name is None:
            name, count = line.sku, 1
            while name in seen:
                count += 1
                name = f"{line.sku}#{count}"
            line = attrs.evolve(line, id=name)
        elif name in seen:
            raise InputError("line.id", name, "two lines of one order have this id")
        seen.add(name)
        named.append(line)
    return tuple(named)


# ---------------------------------------------------------------- refunds


def _refund_lines(value: Any) -> tuple[tuple[str, Decimal], ...] | None:
    if value is None:
        return None
    pairs = value.items() if isinstance(value, Mapping) else value
    lines = tuple(sorted((text(line, "refund.lines"), quantity(count, "refund.lines")) for line, count in pairs))
    if not lines:
        raise InputError("refund.lines", value, "name at least one line, or leave it out to refund the whole order")
    return lines


@attrs.frozen
class Refund:
    """Money given back for an order, known from the instant `at`.

    With `lines` (line id or sku to quantity) those goods came back, with `amount` so much of what was paid for the
    goods, with neither everything that remains. Donations come back only when named in `lines`. A line that was
    sold with quantity 0 is named with quantity 0. Shipping comes back with the last of the order.

    >>> from datetime import datetime, UTC
    >>> Refund("r-1", "ann", "1001", datetime(2026, 3, 9, tzinfo=UTC), {"mug": 1}).lines
    (('mug', Decimal('1')),)
    """

    id: str = attrs.field(converter=_text("refund.id"))
    member: str = attrs.field(converter=_text("refund.member"))
    order: str = attrs.field(converter=_text("refund.order"))
    at: datetime = attrs.field(converter=_instant("refund.at"))
    lines: tuple[tuple[str, Decimal], ...] | None = attrs.field(default=None, converter=_refund_lines)
    amount: Decimal | None = attrs.field(default=None, converter=_optional_money("refund.amount"))
    currency: str | None = attrs.field(default=None, converter=_optional_text("refund.currency"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.lines is not None and self.amount is not None:
            raise InputError("refund.amount", self.amount, "give lines or amount, not both")
        if self.amount is not None and not self.amount:
            raise RefundTooLarge("refund.amount", self.amount, "a refund of nothing is no refund; leave it out")


@attrs.frozen
class Reversal:
    """A refund that did not stand after all (the bank bounced it, it was booked by mistake), from the instant `at`."""

    id: str = attrs.field(converter=_text("reversal.id"))
    member: str = attrs.field(converter=_text("reversal.member"))
    order: str = attrs.field(converter=_text("reversal.order"))
    refund: str = attrs.field(converter=_text("reversal.refund"))
    at: datetime = attrs.field(converter=_instant("reversal.at"))


# ---------------------------------------------------------------- activities and members


@attrs.frozen
class Activity:
    """Something else that a member did: a review, a sign-up, a share, a visit. The program names those that earn.

    >>> from datetime import datetime, UTC
    >>> Activity("rv-7", "ann", "review", datetime(2026, 3, 20, tzinfo=UTC), product="mug").name
    'review'
    """

    id: str = attrs.field(converter=_text("activity.id"))
    member: str = attrs.field(converter=_text("activity.member"))
    name: str = attrs.field(converter=_text("activity.name"))
    at: datetime = attrs.field(converter=_instant("activity.at"))
    product: str | None = attrs.field(default=None, converter=_optional_text("activity.product"), kw_only=True)
    order: str | None = attrs.field(default=None, converter=_optional_text("activity.order"), kw_only=True)


def _birthday(value: Any) -> date | tuple[int, int] | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        month, day = value
        date(2000, month, day)
    except (TypeError, ValueError):
        raise InputError("member.birthday", value, "give a date, or (month, day) where the year is unknown") from None
    return (month, day)


def _attributes(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value
    return tuple(sorted((text(name, "member.attributes"), text(item, "member.attributes")) for name, item in pairs))


@attrs.frozen
class Member:
    """A person in the program, as known from the instant `at`; a later one replaces an earlier one.

    `id` should be a pseudonym (a customer number, not an e-mail address): it is all that the ledger knows.
    """

    id: str = attrs.field(converter=_text("member.id"))
    at: datetime = attrs.field(converter=_instant("member.at"))
    zone: str | None = attrs.field(default=None, converter=_optional_text("member.zone"), kw_only=True)
    birthday: date | tuple[int, int] | None = attrs.field(default=None, converter=_birthday, kw_only=True)
    email: str | None = attrs.field(default=None, converter=_optional_text("member.email"), kw_only=True)
    attributes: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_attributes, kw_only=True)


Fact = Order | Refund | Reversal | Activity | Member
