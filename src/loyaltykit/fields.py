"""Converters for the fields of rules: they take what people write, and name the field when they refuse.

Each function here makes a converter. Their type is ``Any`` because what a field takes is wider than what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, get_args

import attrs

from loyaltykit.amounts import money, whole
from loyaltykit.calendar import instant
from loyaltykit.errors import InputError
from loyaltykit.facts import text


def named(field: str) -> Any:
    """Convert a name: a text without ``/`` and ``~``, which separate the parts of keys.

    >>> named("unit.name")("stamps")
    'stamps'
    """

    def convert(value: Any) -> str:
        value = text(value, field)
        if "/" in value or "~" in value:
            raise InputError(field, value, "a name has no '/' and no '~'; they separate the parts of keys")
        return str(value)

    return convert


def words(field: str) -> Any:
    """Convert nothing, but refuse what is no text of 1 to 200 printable characters."""
    return lambda value: text(value, field)


def texts(field: str) -> Any:
    """Convert one text or several to a tuple of them."""

    def convert(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = (value,)
        elif not isinstance(value, Iterable):
            raise InputError(field, value, "give a string, or several")
        return tuple(text(item, field) for item in value)

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


def count(field: str, minimum: int = 0) -> Any:
    """Convert a whole number of points, items or times, below 2**63."""
    return lambda value: whole(value, field, minimum)


def amount(field: str, above_zero: bool = False) -> Any:
    """Convert money, or another exact decimal number, that is not negative (or, with `above_zero`, above 0)."""

    def convert(value: Any) -> Decimal:
        value = money(value, field, 0)
        if above_zero and not value:
            raise InputError(field, value, "give more than 0")
        return Decimal(value)

    return convert


def moment(field: str) -> Any:
    """Convert an instant."""
    return lambda value: instant(value, field)


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
