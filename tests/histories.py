"""Histories to ask conditions about: everything that can happen to an order, near the edges of windows and clocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from loyaltykit.amounts import from_minor
from loyaltykit.calendar import Period, days, from_us, hours, months, to_us, weeks, years
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Line, Order, Refund, Reversal, Tender
from loyaltykit.history import History, Movement
from loyaltykit.refunds import Remains, remains
from loyaltykit.windows import Anniversary, Between, CalendarWindow, Lifetime, Rolling, Window

TICK = timedelta(microseconds=1)

# Ends of months and years, and days on which clocks are changed somewhere.
_DAYS = [
    date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 31), date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1),
    date(2024, 3, 9), date(2024, 3, 10), date(2024, 3, 31), date(2024, 4, 6), date(2024, 4, 7), date(2024, 8, 31),
    date(2024, 9, 1), date(2024, 10, 5), date(2024, 10, 6), date(2024, 10, 27), date(2024, 11, 2), date(2024, 11, 3),
    date(2024, 12, 31), date(2025, 1, 1), date(2025, 2, 28),
]  # fmt: skip
ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"])
INSTANTS = st.builds(
    lambda day, half_hours, ticks: (
        datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=30 * half_hours, microseconds=ticks)
    ),
    st.sampled_from(_DAYS),
    st.one_of(st.sampled_from([0, 8, 10, 12]), st.integers(0, 47)),
    st.sampled_from([0, 0, 0, -1, 1]),
)
PERIODS = st.sampled_from(
    [months(6), weeks(5), days(1), days(30), months(1), months(12), hours(24), Period(months=1, days=1, microseconds=5)]
)
WINDOWS: st.SearchStrategy[Window] = st.one_of(
    st.just(Lifetime()),
    PERIODS.map(Rolling),
    PERIODS.map(Rolling),
    st.sampled_from(["day", "week", "month", "quarter", "half_year", "year"]).map(CalendarWindow),  # type: ignore[arg-type]
    st.sampled_from([years(1), months(1)]).map(Anniversary),
    st.sampled_from([Between(date(2024, 2, 29), date(2024, 11, 3)), Between(date(2024, 1, 1), date(2025, 1, 1))]),
    st.tuples(INSTANTS, INSTANTS).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Between(*pair)),
)

SKUS = {"beans": ("coffee",), "brew": ("coffee", "tea"), "leaf": ("tea",), "mug": ()}
CHANNELS = [None, "web", "shop"]
CODES = ["WELCOME10", "welcome10 ", "SPRING"]


def utc(*fields: int) -> datetime:
    """Return the instant with these fields in UTC."""
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc,arg-type]


def bought(number: str, day: str, amount: Any, **others: Any) -> Order:
    """Return an order of so much on a day (or at an instant) in UTC."""
    return Order(number, "ann", datetime.fromisoformat(day).replace(tzinfo=UTC), amount=amount, **others)


@st.composite
def lines(draw: st.DrawFn, special: bool) -> Line:
    """Draw a line: of goods, or something special."""
    sku = draw(st.sampled_from(sorted(SKUS)))
    kind = draw(st.sampled_from(["goods", "goods", "gift_card", "donation"])) if special else "goods"
    cents = draw(st.sampled_from([0, 1, 333, 1000, 2500]))
    total = from_minor(cents, "USD") + (draw(st.sampled_from([Decimal(0), Decimal("0.005")])) if special else 0)
    return Line(
        sku,
        draw(st.sampled_from([1, 2, 3, 0] if special else [1, 2])),
        total=total,
        discount=draw(st.sampled_from([0, total])) if special and kind == "goods" else 0,
        categories=SKUS[sku],
        gift_card=kind == "gift_card",
        donation=kind == "donation",
    )


@st.composite
def orders(draw: st.DrawFn, number: str, at: datetime, points: bool = True) -> Order:
    """Draw an order: plain, or with whatever there may be to it."""
    special = draw(st.booleans())
    content = draw(st.lists(lines(special), min_size=0 if special else 1, max_size=3))
    plain = Order(
        number, "ann", at, content, channel=draw(st.sampled_from(CHANNELS)),
        codes=draw(st.lists(st.sampled_from(CODES), max_size=2)),
    )  # fmt: skip
    if not special:
        return plain
    discountable = sum((line.net for line in content if not line.donation), Decimal(0))
    full = attrs.evolve(
        plain,
        discount=min(discountable, draw(st.sampled_from([Decimal(0), Decimal("1.01"), Decimal(99)]))),
        shipping=draw(st.sampled_from(["0", "4.90"])),
        tax=draw(st.sampled_from(["0", "0.37"])),
        state=draw(st.sampled_from(["paid", "paid", "placed", "draft", "cancelled"])),
    )
    kind: Any = draw(st.sampled_from(["cash", "gift_card", *["points"][:points]]))
    part = min(full.total, draw(st.sampled_from([Decimal(0), Decimal("3.33"), Decimal(25)])))
    return attrs.evolve(full, tenders=[Tender(kind, part)] if part else ())


@st.composite
def stories(draw: st.DrawFn, number: str, points: bool = True) -> list[Order | Refund | Reversal]:
    """Draw what happened to one order: revisions, refunds (some that cannot be true), reversals, also out of turn."""
    at = draw(INSTANTS)
    first = draw(orders(number, at, points))
    found: list[Order | Refund | Reversal] = [first]
    soon = st.one_of(st.just(at), INSTANTS, st.integers(1, 900).map(lambda count: at + timedelta(hours=count)))
    if draw(st.sampled_from([False, False, True])):
        moved = draw(st.sampled_from([at, at, at - timedelta(days=1)]))
        changed = draw(st.sampled_from([first, draw(orders(number, at, points))]))
        state = draw(st.sampled_from([changed.state, "cancelled"]))
        revised = max(moved, draw(soon))
        found.append(attrs.evolve(changed, at=moved, state=state, revision=2, revised_at=revised))
        if draw(st.sampled_from([False, False, True])):
            del found[0]
    for place in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        kind = draw(st.sampled_from(["whole", "lines", "amount"]))
        taken = amount = None
        if kind == "lines":
            of = [line.name for line in first.lines] or ["none"]
            taken = {name: draw(st.integers(0, 2)) for name in draw(st.sets(st.sampled_from(of), min_size=1))}
        if kind == "amount":
            amount = draw(st.sampled_from(["0.01", "3.33", "10.00"]))
        found.append(Refund(f"{number}r{place}", "ann", number, draw(soon), taken, amount))
        if draw(st.sampled_from([False, False, True])):
            found.append(Reversal(f"{number}v{place}", "ann", number, f"{number}r{place}", draw(soon)))
    return found


@st.composite
def movements(draw: st.DrawFn) -> Movement:
    """Draw points that come or go, now and then announced before, or told late."""
    at = to_us(draw(INSTANTS))
    known = draw(st.sampled_from([at, at, to_us(draw(INSTANTS))]))
    kind = draw(st.sampled_from(["earn", "earn", "redeem", "expire"]))
    return Movement(at, known, draw(st.sampled_from(["points", "stamps"])), kind, draw(st.integers(-9, 9)))


@st.composite
def facts(draw: st.DrawFn, most: int = 4, points: bool = True) -> list[Fact]:
    """Draw what one member did, in any order."""
    found: list[Fact] = []
    for number in range(draw(st.integers(0, most))):
        found += draw(stories(f"o{number}", points))
    for number in range(draw(st.integers(0, 3))):
        name, product = draw(st.sampled_from(["review", "visit"])), draw(st.sampled_from([None, "mug", "leaf"]))
        found.append(Activity(f"a{number}", "ann", name, draw(INSTANTS), product=product))
    return draw(st.permutations(found))


@st.composite
def histories(draw: st.DrawFn, most: int = 4) -> History:
    """Draw a history in some zone, on some basis, with some day of joining."""
    return History(
        draw(facts(most)),
        member="ann",
        zone=draw(ZONES),
        basis=draw(st.sampled_from(["goods", "goods", "everything_paid", "before_discounts"])),
        split=draw(st.sampled_from(["net_allocated", "net_allocated", "gross_line_first"])),
        joined=draw(st.one_of(st.none(), INSTANTS)),
        movements=draw(st.lists(movements(), max_size=3)),
    )


def known_from(fact: Fact) -> datetime:
    """Return the instant from which a fact is known."""
    return fact.known_from if isinstance(fact, Order) else fact.at


def until(history: History, at: datetime) -> History:
    """Return what a history was at an instant."""
    return attrs.evolve(
        history,
        facts=[fact for fact in history.facts if known_from(fact) <= at],
        movements=[move for move in history.movements if move.known <= to_us(at)],
    )


def telling(history: History, windows: Iterable[Window] = ()) -> list[datetime]:
    """Return instants at which answers may change, and others around them."""
    found: set[datetime] = set()
    moments = {known_from(fact) for fact in history.facts} | {fact.at for fact in history.facts}
    moments |= {from_us(each) for move in history.movements for each in move[:2]}
    for moment in moments:
        found.add(moment)
        for window in windows:
            if isinstance(window, Rolling):
                found.add(window.period.after(moment, history.tz))
    near: Sequence[timedelta] = [
        timedelta(0),
        -TICK,
        TICK,
        timedelta(minutes=30),
        timedelta(hours=1),
        -timedelta(hours=1),
    ]
    return sorted({each + step for each in found for step in near})


# ---------------------------------------------------------------- what is left of an order, told naively


def left_of(facts: Iterable[Fact], history: History) -> tuple[Order, Remains] | None:
    """Return one order with what remains of it after these facts; None while it is unknown."""
    order: Order | None = None
    standing: list[Refund] = []
    for fact in sorted(facts, key=_place):
        if isinstance(fact, Order) and (order is None or fact.revision > order.revision):
            order, before, standing = fact, standing, []
            for refund in before:
                standing += [refund] if _possible(order, [*standing, refund], history) else []
        elif isinstance(fact, Refund):
            if order is None:
                standing.append(fact)
            elif _possible(order, [*standing, fact], history):
                standing.append(_exactly(order, standing, fact, history))
        elif isinstance(fact, Reversal):
            standing = [refund for refund in standing if refund.id != fact.refund]
    return None if order is None else (order, remains(order, standing, history.currency, history.split))


def _place(fact: Any) -> tuple[datetime, int, str]:
    if isinstance(fact, Order):
        return known_from(fact), fact.revision, ""
    return known_from(fact), 99, f"{type(fact).__name__}{fact.id}"


def _possible(order: Order, refunds: list[Refund], history: History) -> bool:
    try:
        remains(order, refunds, history.currency, history.split)
    except InputError:
        return False
    return True


def _exactly(order: Order, others: list[Refund], refund: Refund, history: History) -> Refund:
    """Return a refund of everything, beside others, as one of the lines that were left."""
    if refund.lines is not None or refund.amount is not None or not others:
        return refund
    donations = {line.name for line in order.lines if line.donation}
    rest = remains(order, others, history.currency, history.split).lines
    lines = {each.line: each.quantity for each in rest if not each.gone and each.line not in donations}
    told = attrs.evolve(refund, lines=lines) if lines else refund
    return told if _possible(order, [*others, told], history) else refund
