"""Histories as plain columns, written out by the suite itself: what an engine reads is what pure Python reads.

The columns have names that engines may stumble over: keywords, spaces, quotes, letters beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from loyaltykit import frames
from loyaltykit.calendar import from_us
from loyaltykit.history import History, Sale
from loyaltykit.testing._frames_data import Sample

Make = Callable[[Mapping[str, Sequence[Any]], Mapping[str, str]], Any]
"""Makes a native frame of columns by name; what each holds is ``text``, ``integer`` or ``instant`` (aware, in UTC)."""

Collect = Callable[[Any], Iterable[Mapping[str, Any]]]
"""Returns the rows of a native frame, each with its values by column name."""

_SALES = {
    "customer id": "text", "order": "text", "at": "instant", "known from": "instant", "select": "integer",
    "group": "integer", "chännel": "text", "code 1": "text", "code 2": "text",
}  # fmt: skip
_LINES = {**_SALES, "who's sku": "text", "category": "text", "category 2": "text"}
_ACTIVITIES = {"customer id": "text", "at": "instant", "name": "text", "product": "text"}
_POINTS = {
    "customer id": "text", "at": "instant", "known from": "instant", "unit": "text", "kind": "text",
    "points": "integer",
}  # fmt: skip
_CUSTOMERS = {"customer id": "text", "joined": "instant", "since": "instant"}


def load(make: Make, sample: Sample, histories: Mapping[str, History]) -> frames.Base:
    """Return the base of some histories, and of the guests of the sample."""
    everybody: list[tuple[str | None, History]] = [*histories.items(), (None, sample.guests)]

    def native(kinds: Mapping[str, str], rows: Iterable[tuple[Any, ...]]) -> Any:
        found = list(rows)
        return make({name: [row[place] for row in found] for place, name in enumerate(kinds)}, kinds)

    customers = None
    if sample.listed:
        people = native(_CUSTOMERS, ((name, each.joined, each.anchor) for name, each in histories.items()))
        customers = frames.Customers(people, customer="customer id", joined="joined", since="since")
    columns: dict[str, Any] = {
        "customer": "customer id", "order": "order", "at": "at", "amount": "select", "known": "known from",
        "present": "group", "channel": "chännel", "code": ("code 1", "code 2"),
    }  # fmt: skip
    unknown = {"full": (), "amounts": ("present",), "alone": ("order", "known", "present")}[sample.road]
    shared = {name: column for name, column in columns.items() if name not in unknown}
    lines = None
    if sample.road == "full":
        rows = (_line(name, sale) for name, each in everybody for sale in each.sales)
        category = ("category", "category 2")
        lines = frames.Lines(native(_LINES, rows), **shared, sku="who's sku", category=category)
    return frames.Base(
        native(_SALES, (_sale(name, sale) for name, each in everybody for sale in each.purchases)),
        **shared,
        currency=sample.currency,
        zone=sample.zone,
        lines=lines,
        activities=frames.Activities(
            native(_ACTIVITIES, _activities(everybody)), customer="customer id", product="product"
        ),
        points=frames.Points(native(_POINTS, _points(everybody)), customer="customer id", known="known from"),
        customers=customers,
    )


def _two(values: Sequence[str]) -> tuple[str | None, str | None]:
    first, second, *_ = [*values, None, None]
    return first, second


def _sale(name: str | None, sale: Sale) -> tuple[Any, ...]:
    what = (sale.amount, sale.present, sale.channel, *_two(sale.codes))
    return (name, sale.order, from_us(sale.at), from_us(sale.known), *what)


def _line(name: str | None, sale: Sale) -> tuple[Any, ...]:
    return (*_sale(name, sale), sale.sku, *_two(sale.categories))


def _activities(everybody: Iterable[tuple[str | None, History]]) -> Iterator[tuple[Any, ...]]:
    for name, history in everybody:
        for each in history.activities:
            yield name, each.at.astimezone(UTC), each.name, each.product


def _points(everybody: Iterable[tuple[str | None, History]]) -> Iterator[tuple[Any, ...]]:
    for name, history in everybody:
        for move in history.movements:
            yield name, from_us(move.at), from_us(move.known), move.unit, move.kind, move.points


def told(histories: Mapping[str, History]) -> Iterator[str]:
    """Yield what is known of customers, a line each thing, for people to read."""
    for name, history in histories.items():
        joined = "" if history.joined is None else f", joined {history.joined.isoformat()}"
        yield f"{name!r}{joined}:"
        for sale in history.purchases:
            yield f"  {_when(sale)} order {sale.order}: {_what(sale)}"
        for sale in history.sales:
            yield f"  {_when(sale)} line of {sale.order}: {sale.sku} {sale.categories} {_what(sale)}"
        for each in history.activities:
            yield f"  {each.at.isoformat()} {each.name} {each.product or ''}"
        for move in history.movements:
            yield f"  {_when(move)} {move.points:+} {move.unit} ({move.kind})"


def _when(change: Any) -> str:
    known = "" if change.known == change.at else f" (known {from_us(change.known).isoformat()})"
    return f"{from_us(change.at).isoformat()}{known}"


def _what(sale: Sale) -> str:
    named = [*([] if sale.channel is None else [sale.channel]), *sale.codes]
    return f"{sale.amount:+} minor units, present {sale.present:+}{', '.join(['', *named])}"
