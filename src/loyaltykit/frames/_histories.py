"""From rows to histories and back: what Python finishes, and how pure histories get into any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import count, groupby
from operator import attrgetter
from typing import Any

import attrs

from loyaltykit.calendar import from_us
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Fact, Member, Order
from loyaltykit.frames._base import Base
from loyaltykit.frames._tables import Activities, Customers, Lines, Points, Table, rows, us_of
from loyaltykit.history import History, Movement, Sale

Columns = dict[str, list[Any]]


# ---------------------------------------------------------------- histories of rows


@attrs.frozen(slots=False, eq=False, repr=False)
class RowHistory(History):
    """A history made of rows: they are what its orders come to. Its facts only say when what became known."""

    whole: tuple[Sale, ...] = attrs.field(default=(), kw_only=True)
    lined: tuple[Sale, ...] = attrs.field(default=(), kw_only=True)

    @cached_property
    def purchases(self) -> list[Sale]:
        """Every change of an order as a whole that the facts are of, by the instant from which it is known."""
        return self._of_facts(self.whole)

    @cached_property
    def sales(self) -> list[Sale]:
        """Every change of an order's lines that the facts are of, by the instant from which it is known."""
        return self._of_facts(self.lined)

    def _of_facts(self, sales: Iterable[Sale]) -> list[Sale]:
        told = {(fact.id, fact.known_from) for fact in self.facts if isinstance(fact, Order)}
        found = [sale for sale in sales if (sale.order, from_us(sale.known)) in told]
        return sorted(found, key=attrgetter("known", "at"))


def histories(base: Base, chosen: Any = None) -> dict[Any, History]:
    """Return a history of each customer, or of those in a frame of them, from their rows."""
    everybody = base.members if chosen is None else chosen
    lined = _grouped(base.lines, chosen, _sales_of(base.lines))
    whole = lined if base.lines is base.orders else _grouped(base.orders, chosen, _sales_of(base.orders))
    did = _grouped(base.activities, chosen, _activity)
    moved = _grouped(base.points, chosen, _movement)
    joined = _grouped(base.customers, chosen, lambda row: row)
    found: dict[Any, History] = {}
    for (customer,) in sorted(rows(everybody)):
        person, member = (joined.get(customer) or [{}])[0], str(customer)
        since, join = (us_of(person.get(each)) for each in ("since", "joined"))
        purchases = [sale._replace(sku=None, categories=()) for sale in _changes(whole.get(customer, ()), base.orders)]
        sales = _changes(lined.get(customer, ()), base.lines)
        facts: list[Fact] = [Member(member, from_us(since))] if since is not None else []
        facts += _told(member, (*purchases, *sales))
        facts += [
            Activity(str(number), member, name, from_us(at), product=product)
            for number, (name, at, product) in enumerate(did.get(customer, ()), 1)
        ]
        found[customer] = RowHistory(
            facts, member=member, currency=base.currency, zone=base.zone, movements=moved.get(customer, ()),
            joined=None if join is None else from_us(join), whole=tuple(purchases), lined=sales,
        )  # fmt: skip
    return found


def _grouped(table: Table | None, chosen: Any, make: Callable[[dict[str, Any]], Any]) -> dict[Any, list[Any]]:
    """Return what is made of the rows of each customer. This asks the engine."""
    found: dict[Any, list[Any]] = {}
    if table is not None:
        frame = table.frame if chosen is None else table.frame.join(chosen, on="customer", how="semi")
        names = frame.columns
        for row in rows(frame):
            values = dict(zip(names, row, strict=True))
            found.setdefault(values["customer"], []).append(make(values))
    return found


def _sales_of(table: Table | None) -> Callable[[dict[str, Any]], Sale]:
    numbers = count(1)
    several = ((), ()) if table is None else (table.categories, table.codes)

    def make(row: dict[str, Any]) -> Sale:
        at, known = us_of(row["at"]), us_of(row.get("known"))
        assert at is not None
        amount = 0 if row.get("amount") is None else int(row["amount"])
        there = 1 if "present" not in row else int(row["present"])
        order = str(row["order"]) if "order" in row else f"row {next(numbers)}"
        sku = str(row["sku"]) if "sku" in row else None
        categories, codes = (tuple(row[each] for each in some if row[each] is not None) for some in several)
        back = amount < 0 or there < 0
        shared = (order, sku, categories, row.get("channel"), codes)
        return Sale(at, at if known is None else max(at, known), *shared, amount, there, back)

    return make


def _changes(sales: Iterable[Sale], table: Table | None) -> tuple[Sale, ...]:
    """Return sales with what is there of an order, or of its lines of one kind, where that follows from amounts."""
    if table is None or not table.derived:
        return tuple(sales)
    found: list[Sale] = []
    kind = attrgetter("order", "at", "sku", "categories", "channel", "codes")
    for _, some in groupby(sorted(sales, key=lambda sale: (repr(kind(sale)), sale.known)), key=kind):
        left, taken, was = 0, False, 0
        for _, same in groupby(some, key=attrgetter("known")):
            changes = list(same)
            amount = sum(each.amount for each in changes)
            left, taken = left + amount, taken or any(each.amount < 0 for each in changes)
            there = 0 if left <= 0 and taken else 1
            back = amount < 0 or there < was
            found.append(changes[0]._replace(amount=amount, present=there - was, back=back))
            was = there
    return tuple(found)


def _told(member: str, sales: Iterable[Sale]) -> Iterator[Order]:
    """Yield a fact for each instant at which something became known of an order."""
    begun: dict[tuple[str, int], int] = {}
    for sale in sales:
        key = (sale.order, sale.known)
        begun[key] = min(sale.at, begun.get(key, sale.at))
    counts: dict[str, int] = {}
    for (order, known), at in sorted(begun.items(), key=lambda item: item[0][1]):
        counts[order] = counts.get(order, 0) + 1
        yield Order(order, member, from_us(at), revision=counts[order], revised_at=from_us(known))


def _activity(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["name"], us_of(row["at"]), row.get("product")


def _movement(row: dict[str, Any]) -> Movement:
    at, known = us_of(row["at"]), us_of(row.get("known"))
    assert at is not None
    known = at if known is None else known
    return Movement(at, known, row["unit"], row["kind"], int(row["points"]), us_of(row.get("sure")))


# ---------------------------------------------------------------- rows of histories


_SALE = {"customer": "text", "order": "text", "at": "instant", "known": "instant", "amount": "integer",
         "present": "integer", "channel": "text"}  # fmt: skip


@attrs.frozen(repr=False)
class Rows:
    """Histories as plain columns by name, which any engine can take: instants are aware, amounts are minor units.

    `kinds` says what each column holds: ``text``, ``integer`` or ``instant``; texts, and the instants of `points` and
    `customers`, may be None. Several categories or codes are in several columns, ``category0``, ``category1``, ...
    """

    orders: Columns
    lines: Columns
    activities: Columns
    points: Columns
    customers: Columns
    currency: str
    zone: str

    @property
    def kinds(self) -> dict[str, str]:
        """What the columns hold, by name."""
        named = {**_SALE, "name": "text", "product": "text", "unit": "text", "kind": "text", "points": "integer",
                 "sku": "text", "sure": "instant", "joined": "instant", "since": "instant"}  # fmt: skip
        return named | {name: "text" for name in self.lines if name not in named}

    def base(self, make: Callable[[Columns, dict[str, str]], Any], **options: Any) -> Base:
        """Return the base of frames that `make` makes of columns and their kinds; `options` are those of `Base`."""
        kinds = self.kinds

        def made(columns: Columns) -> Any:
            return make(columns, {name: kinds[name] for name in columns})

        shared: dict[str, Any] = {name: name for name in ("order", "amount", "known", "present", "channel")}
        shared["code"] = tuple(name for name in self.orders if name.startswith("code"))
        categories = tuple(name for name in self.lines if name.startswith("category"))
        return Base(
            made(self.orders),
            **shared,
            lines=Lines(made(self.lines), **shared, category=categories),
            activities=Activities(made(self.activities), product="product"),
            points=Points(made(self.points), known="known", sure="sure"),
            customers=Customers(made(self.customers), joined="joined", since="since"),
            **{"currency": self.currency, "zone": self.zone, **options},
        )

    def __repr__(self) -> str:
        return f"<Rows: {len(self.customers['customer']):,} customers, {len(self.orders['order']):,} changes of orders>"


def export(histories: Mapping[str, History]) -> Rows:
    """Return histories as plain columns, for a frame of any kind: the inverse of `Base.histories`.

    >>> from datetime import UTC, datetime
    >>> import polars as pl
    >>> from loyaltykit import Order, frames, histories
    >>> found = histories([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")])
    >>> types = {"text": pl.String, "integer": pl.Int64, "instant": pl.Datetime("us", "UTC")}
    >>> def make(columns, kinds):
    ...     return pl.DataFrame(columns, {name: types[kind] for name, kind in kinds.items()})
    >>> frames.export(found).base(make).histories()
    {'ann': <History of ann: 1 order, since 2026-03-02>}
    """
    for field in ("currency", "zone"):
        several = sorted({getattr(history, field) for history in histories.values()})
        if len(several) > 1:
            error = WrongCurrency if field == "currency" else InputError
            raise error("histories", ", ".join(several), f"export those of one {field} at a time")
    currency, zone = next(((each.currency, each.zone) for each in histories.values()), ("USD", "UTC"))
    whole = [(name, sale) for name, history in histories.items() for sale in history.purchases]
    lined = [(name, sale) for name, history in histories.items() for sale in history.sales]
    did = [(name, each) for name, history in histories.items() for each in history.activities]
    moved = [(name, each) for name, history in histories.items() for each in history.movements]
    every = [sale for _, sale in (*whole, *lined)]
    codes = max([1, *(len(sale.codes) for sale in every)])
    categories = max([1, *(len(sale.categories) for sale in every)])
    return Rows(
        _sold(whole, codes),
        {
            **_sold(lined, codes),
            "sku": [sale.sku for _, sale in lined],
            **_spread("category", categories, [sale.categories for _, sale in lined]),
        },
        {
            "customer": [name for name, _ in did],
            "at": [each.at for _, each in did],
            "name": [each.name for _, each in did],
            "product": [each.product for _, each in did],
        },
        {
            "customer": [name for name, _ in moved],
            "at": [from_us(move.at) for _, move in moved],
            "known": [from_us(move.known) for _, move in moved],
            "sure": [None if move.sure is None else from_us(move.sure) for _, move in moved],
            "unit": [move.unit for _, move in moved],
            "kind": [move.kind for _, move in moved],
            "points": [move.points for _, move in moved],
        },
        {
            "customer": list(histories),
            "joined": [history.joined for history in histories.values()],
            "since": [None if history.joined else history.anchor for history in histories.values()],
        },
        currency,
        zone,
    )


def _sold(sold: list[tuple[str, Sale]], codes: int) -> Columns:
    return {
        "customer": [name for name, _ in sold],
        "order": [sale.order for _, sale in sold],
        "at": [from_us(sale.at) for _, sale in sold],
        "known": [from_us(sale.known) for _, sale in sold],
        "amount": [sale.amount for _, sale in sold],
        "present": [sale.present for _, sale in sold],
        "channel": [sale.channel for _, sale in sold],
        **_spread("code", codes, [sale.codes for _, sale in sold]),
    }


def _spread(name: str, width: int, values: list[tuple[str, ...]]) -> Columns:
    return {f"{name}{place}": [each[place] if place < len(each) else None for each in values] for place in range(width)}
