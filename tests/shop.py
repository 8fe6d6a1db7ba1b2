"""Orders, refunds and programs to try the rules on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from loyaltykit.amounts import from_minor
from loyaltykit.calendar import days, months
from loyaltykit.errors import InputError
from loyaltykit.facts import Line, Order, Refund, Tender
from loyaltykit.matching import category, order_total, tier, weekday
from loyaltykit.program import BASES, Program, Unit
from loyaltykit.refunds import Split, remains
from loyaltykit.rules import Rule, activity, bonus, cash_back, per_amount, per_item, per_order, rate_table

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # a Monday

SPLITS = st.sampled_from(["net_allocated", "gross_line_first"])


def order(*lines: Line, **others: Any) -> Order:
    """Return an order of these lines."""
    return Order("1", "ann", AT, lines, **others)


def refund(number: int, lines: dict[str, Any] | None = None, amount: Any = None, at: datetime | None = None) -> Refund:
    """Return the refund of that number, so many hours after the order."""
    return Refund(f"r{number}", "ann", "1", at or AT + timedelta(hours=number), lines, amount)


def program(*earning: Rule, **others: Any) -> Program:
    """Return a program of these earning rules."""
    return Program("Corner Shop Club", "USD", **{"earning": earning, **others})


def cents(most: int = 20_000) -> st.SearchStrategy[Decimal]:
    """Amounts of money, often small, sometimes nothing."""
    return st.one_of(st.integers(0, 300), st.integers(0, most)).map(lambda units: from_minor(units, "USD"))


@st.composite
def lines(draw: st.DrawFn, number: int) -> Line:
    """One line: of whole or weighed goods, of quantity 0, discounted, a gift card, a donation."""
    quantity = draw(st.one_of(st.integers(0, 5).map(Decimal), st.sampled_from([Decimal("0.350"), Decimal("1.5")])))
    total = draw(cents())
    kind = draw(st.sampled_from(["goods"] * 8 + ["gift_card", "donation"]))
    return Line(
        f"s{number}",
        quantity,
        total=total,
        discount=total * draw(st.sampled_from([0, 0, 0, 1])) if kind != "donation" else 0,
        categories=draw(st.sampled_from([(), ("coffee",), ("tea",), ("coffee", "tea")])),
        gift_card=kind == "gift_card",
        donation=kind == "donation",
    )


@st.composite
def orders(draw: st.DrawFn, most_lines: int = 5) -> Order:
    """An order with any of discounts, shipping, tax, and parts paid with points and gift cards."""
    content = [draw(lines(number)) for number in range(draw(st.integers(1, most_lines)))]
    discountable = sum((line.net for line in content if not line.donation), Decimal(0))
    discount = min(draw(st.one_of(st.just(Decimal(0)), cents())), discountable)
    included = draw(st.booleans())
    bare = order(*content, discount=discount, shipping=draw(st.sampled_from(["0", "4.90"])))
    tax = draw(st.one_of(st.just(Decimal(0)), cents(500)))
    if included:
        tax = min(tax, bare.goods + bare.shipping)
    taxed = order(*content, discount=discount, shipping=bare.shipping, tax=tax, tax_included=included)
    tenders, rest = [], taxed.total
    for kind in draw(st.lists(st.sampled_from(["points", "gift_card", "cash"]), max_size=3)):
        part = min(rest, draw(cents()))
        points = draw(st.integers(0, 5_000)) if kind == "points" else 0
        tenders.append(Tender(kind, part, points))  # type: ignore[arg-type]
        rest -= part
    return order(*content, discount=discount, shipping=bare.shipping, tax=tax, tax_included=included, tenders=tenders)


KINDS = ("lines", "lines", "amount", "whole")


@st.composite
def refunds(draw: st.DrawFn, of: Order, split: Split, kinds: Sequence[str] = KINDS, most: int = 4) -> list[Refund]:
    """Some refunds that are possible one after the other: of goods, of amounts, of everything."""
    found: list[Refund] = []
    for number in range(1, draw(st.integers(0, most)) + 1):
        found.append(draw(one_refund(of, found, number, split, kinds)))
    return found


@st.composite
def one_refund(
    draw: st.DrawFn, of: Order, before: list[Refund], number: int, split: Split, kinds: Sequence[str] = KINDS
) -> Refund:
    """One more refund that is possible after those before it."""
    rest = remains(of, before, "USD", split)
    kind = draw(st.sampled_from(kinds))
    here = [left for left in rest.lines if not left.gone]
    if kind == "lines" and here:
        taken = {}
        for left in draw(st.lists(st.sampled_from(here), min_size=1, max_size=3, unique_by=lambda left: left.line)):
            whole = not left.quantity % 1
            taken[left.line] = Decimal(draw(st.integers(0, int(left.quantity)))) if whole else left.quantity
        return refund(number, taken)
    goods = sum(left.units for left, line in zip(rest.lines, of.lines, strict=True) if not line.donation) // rest.of
    if kind == "amount" and goods:
        return refund(number, amount=from_minor(draw(st.integers(1, goods)), "USD"))
    return refund(number)


def possible(of: Order, some: list[Refund], split: Split) -> bool:
    """Say whether these refunds can all be true."""
    try:
        remains(of, some, "USD", split)
    except InputError:
        return False
    return True


RULES: list[st.SearchStrategy[Rule]] = [
    st.builds(per_amount, st.integers(0, 20), st.sampled_from(["0.03", "1.00", "7.50"])),
    st.just(per_item(3, where=category("tea"))),
    st.just(per_order(25)),
    st.just(per_order(10, name="big order", minimum="50.00")),
    st.just(rate_table({"5.00": 1, "50.00": 2}, each="0.70")),
    st.just(bonus("1.5", where=category("coffee"))),
    st.just(bonus(2, where=tier("Gold"))),
    st.just(bonus(3, name="Mondays", where=weekday("mon") & order_total("20.00"))),
    st.just(bonus(2, name="short-lived", where=category("tea"), validity=days(7))),
    st.just(per_amount(1, each="1.70", name="slow", activation=days(14))),
    st.just(per_amount(2, each="3.00", unit="status")),
    st.just(cash_back("1.25")),
    st.just(activity("review", 50)),
]


@st.composite
def programs(draw: st.DrawFn, **others: Any) -> Program:
    """A program of some of the rules above, with any of the policies that matter to earning."""
    chosen = draw(st.lists(st.sampled_from(range(len(RULES))), min_size=1, max_size=6, unique=True))
    return program(
        *[draw(RULES[place]) for place in chosen],
        **{
            "units": [Unit("status", qualifying=True), Unit("cash", money=True)],
            "stacking": draw(st.sampled_from(["multiply", "additive", "best"])),
            "rounding": draw(st.sampled_from(["floor", "half_up", "ceiling"])),
            "refund_split": draw(SPLITS),
            "validity": months(12).to_end_of("month"),
            "basis": draw(st.sampled_from([*BASES])),
            **others,
        },
    )
