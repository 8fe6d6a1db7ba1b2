"""Converters for the fields of facts, rules and commands: they take what people write, and name the field they refuse.

Each function here, save `text` and `brief`, makes a converter. The type of a converter is ``Any`` because what a
field takes is wider than what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import attrs

from loyaltykit.amounts import exponent, money, whole
from loyaltykit.calendar import instant, to_us, zone
from loyaltykit.errors import InputError

# ---------------------------------------------------------------- texts


def text(value: Any, field: str) -> str:
    """Return `value` if it is a string of 1 to 200 printable characters; else raise `InputError`.

    >>> text("ann", "member")
    'ann'
    """
    if not isinstance(value, str):
        raise InputError(field, value, "give a string")
    if not value or len(value) > 200 or not value.isprintable():
        raise InputError(field, value, "give 1 to 200 printable characters")
    return value


def named(field: str) -> Any:
    """Convert a name: a text without ``/`` and ``~``, which separate the parts of keys.

    >>> named("unit.name")("stamps")
    'stamps'
    """

    def convert(value: Any) -> str:
        name = text(value, field)
        if "/" in name or "~" in name:
            raise InputError(field, name, "a name has no '/' and no '~'; they separate the parts of keys")
        return name

    return convert


def words(field: str) -> Any:
    """Convert nothing, but refuse what is no text of 1 to 200 printable characters."""
    return lambda value: text(value, field)


def texts(field: str) -> Any:
    """Convert one text or several to a tuple of them."""

    def convert(value: Any) -> tuple[str, ...]:
        if value == ():
            return ()
        if isinstance(value, str):
            value = (value,)
        elif not isinstance(value, Iterable):
            raise InputError(field, value, "give a string, or several")
        return tuple([text(item, field) for item in value])

    return convert


def one_of(field: str, kind: Any) -> Any:
    """Convert nothing, but refuse what is not one of the values of a ``Literal``."""
    allowed = get_args(kind)

    def convert(value: Any) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise InputError(field, value, f"choose one of {', '.join(allowed)}")
        return value

    return convert


def flag(field: str) -> Any:
    """Convert nothing, but refuse what is neither True nor False."""

    def convert(value: Any) -> bool:
        if not isinstance(value, bool):
            raise InputError(field, value, "give True or False")
        return value

    return convert


def currency(field: str) -> Any:
    """Convert nothing, but refuse what is no code of ISO 4217, three capital letters."""
    return _checked(field, exponent)


def zone_name(field: str) -> Any:
    """Convert nothing, but refuse what is no name of an IANA zone."""
    return _checked(field, zone)


def _checked(field: str, check: Callable[[Any], object]) -> Any:
    """Convert nothing, but refuse what `check` refuses, in the name of `field`."""

    def convert(value: Any) -> Any:
        try:
            check(value)
        except InputError as error:
            raise InputError(field, value, error.hint) from None
        return value

    return convert


# ---------------------------------------------------------------- numbers and instants


def count(field: str, minimum: int = 0) -> Any:
    """Convert a whole number of points, items or times, in size below 2**63."""
    return lambda value: whole(value, field, minimum)


def amount(field: str, above_zero: bool = False) -> Any:
    """Convert money, or another exact decimal number, that is not negative (or, with `above_zero`, above 0)."""

    def convert(value: Any) -> Decimal:
        number = money(value, field, 0)
        if above_zero and not number:
            raise InputError(field, number, "give more than 0")
        return number

    return convert


def moment(field: str) -> Any:
    """Convert an instant: an aware datetime whose year, in UTC, is from 1 to 9999."""

    def convert(value: Any) -> datetime:
        at = instant(value, field)
        if at.year in (1, 9999):  # at the edge, a zone may lead beyond what `to_us` can number
            try:
                to_us(at)
            except InputError as error:
                raise InputError(field, at, error.hint) from None
        return at

    return convert


# ---------------------------------------------------------------- values


def optional(convert: Callable[[Any], Any]) -> Any:
    """Let None pass, and convert everything else."""
    return lambda value: None if value is None else convert(value)


def a(field: str, kind: type[Any] | tuple[type[Any], ...], hint: str, *others: str) -> Any:
    """Convert nothing, but refuse what is not of the class `kind` (or one of the words `others`)."""

    def convert(value: Any) -> Any:
        if isinstance(value, kind) or (isinstance(value, str) and value in others):
            return value
        raise InputError(field, value, hint)

    return convert


def several(field: str, kind: type[Any] | tuple[type[Any], ...], hint: str) -> Any:
    """Convert one value of the class `kind`, or several, to a tuple of them."""

    def convert(value: Any) -> tuple[Any, ...]:
        if isinstance(value, kind):
            return (value,)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InputError(field, value, hint)
        items = tuple(value)
        for place, item in enumerate(items):
            if not isinstance(item, kind):
                raise InputError(f"{field}[{place}]", item, hint)
        return items

    return convert


def pairs(field: str, convert: Callable[[Any, str], Any], hint: str) -> Any:
    """Convert a mapping, or (name, value) pairs, to pairs sorted by name, which is a text and comes once.

    >>> pairs("refund.lines", text, "give names")({"b": "x", "a": "y"})
    (('a', 'y'), ('b', 'x'))
    """

    def convert_all(value: Any) -> tuple[tuple[str, Any], ...]:
        items = value.items() if isinstance(value, Mapping) else value
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise InputError(field, value, hint)
        found: dict[str, Any] = {}
        for pair in items:
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise InputError(field, pair, hint)
            name = text(pair[0], field)
            if name in found:
                raise InputError(field, name, "is named twice; give it once")
            found[name] = convert(pair[1], field)
        return tuple(sorted(found.items()))

    return convert_all


# ---------------------------------------------------------------- shown


def brief(value: Any) -> str:
    """Return a repr of an attrs value that leaves out the fields that are as they are by default.

    >>> from loyaltykit.rules import per_amount
    >>> per_amount(1, each="2.00")
    PerAmount(points=1, each=Decimal('2.00'), name='purchase')
    """
    fields = sorted(attrs.fields(type(value)), key=lambda field: bool(field.kw_only))
    items = [(field.name, getattr(value, field.name), field.default) for field in fields]
    shown = [f"{field}={item!r}" for field, item, default in items if item is not default and item != default]
    return f"{type(value).__name__}({', '.join(shown)})"
