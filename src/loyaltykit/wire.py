"""Every value as plain JSON data, and back.

What a value looks like follows from its class alone, its fields and their annotations:

* an attrs value is an object of its fields; fields that equal their default are left out;
* money, quantities and other decimal numbers are texts (``"3.50"``), whole numbers are numbers;
* instants are ISO 8601 with their offset (``"2026-03-02T09:30:00-05:00"``), days are ``"2026-03-02"``;
* tuples are arrays; mappings, and tuples of (name, value) pairs, are objects;
* where a value may be of several classes, ``"type"`` names its class in snake case (``"per_amount"``). It is read
  everywhere, and written only where it is needed.

Nothing is lost: ``from_data(cls, to_data(value)) == value``. An instant comes back as the same instant at the same
offset from UTC; the name of its zone is not kept. (Python holds two instants for unequal, however, when one of them
is in the repeated hour of a named zone. Their `fingerprint` is the same.)

What comes in is never evaluated, and it is bounded: 32 levels, 100,000 characters in one text, and as many in all
as the caller allows. Whatever is wrong with it is an `InputError` whose field is the path of the culprit, such as
``order.lines[1].sku``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from hashlib import sha256
from typing import Any, NoReturn, TypeVar, overload

import attrs

from loyaltykit._wire_classes import plain, tag_of, tagged, text_of
from loyaltykit._wire_scalars import MAX_DEPTH, MAX_TEXT, Codec, Definitions, Schema
from loyaltykit._wire_types import codec
from loyaltykit.errors import InputError

__all__ = [
    "MAX_DEPTH",
    "MAX_SIZE",
    "MAX_TEXT",
    "canonical",
    "dumps",
    "fingerprint",
    "from_data",
    "loads",
    "schema",
    "signed",
    "to_data",
]

MAX_SIZE = 10_000_000
"""Characters (or bytes) of JSON that `loads` takes unless told otherwise."""

T = TypeVar("T")

# ---------------------------------------------------------------- out


def _root(kind: Any) -> str:
    return tag_of(kind) if isinstance(kind, type) else "data"


def _check(value: Any) -> None:
    if not attrs.has(type(value)):
        raise InputError("", type(value).__name__, "give an attrs value, or say of which type it is")


def _own_codec(value: Any) -> Codec:
    _check(value)
    return plain(type(value), codec)


def to_data(value: Any, kind: Any = None) -> Any:
    """Return `value` as plain data: dicts, lists, strings, whole numbers, booleans, None.

    `kind` is the type that the reader will expect, where that is not the class of `value`: a union such as `Fact`
    (the object then names its class), or ``tuple[Order, ...]``.

    Raises `InputError` for a value that does not keep to its own annotations, and so could not be read back.

    >>> from loyaltykit.facts import Fact, Line
    >>> to_data(Line("espresso", 2, unit_price="3.50", categories="coffee"))
    {'sku': 'espresso', 'quantity': '2', 'unit_price': '3.50', 'categories': ['coffee']}
    """
    try:
        return (_own_codec(value) if kind is None else codec(kind)).write(value, 0)
    except InputError as error:
        error.field = _root(type(value) if kind is None else kind) + error.field
        raise


_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def dumps(value: Any, kind: Any = None, *, indent: int | None = None) -> str:
    """Return `value` as JSON text; `indent` puts each field on a line of its own. See `to_data`.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit.facts import Refund
    >>> dumps(Refund("r-1", "ann", "1001", datetime(2026, 3, 9, tzinfo=UTC), {"mug": 1}))
    '{"id": "r-1", "member": "ann", "order": "1001", "at": "2026-03-09T00:00:00Z", "lines": {"mug": "1"}}'
    """
    data = to_data(value, kind)
    return _COMPACT.encode(data) if indent is None else json.dumps(data, ensure_ascii=False, indent=indent)


def canonical(value: Any, without: Collection[str] = ()) -> str:
    """Return the one JSON text that all values equal to `value` share: sorted, compact, with its class named.

    Instants are in UTC, decimal numbers without trailing zeros. `loads` reads it like any other. Fields named in
    `without` are left out, for values that shall count as equal although these differ.

    >>> from loyaltykit.facts import cash
    >>> canonical(cash("35.20"))
    '{"amount":"35.2","kind":"cash","type":"tender"}'
    """
    return text_of(_without(_said(value), without))


def _said(value: Any) -> list[tuple[str, str]]:
    _check(value)
    try:
        return tagged(type(value), codec)(value, 0)
    except InputError as error:
        error.field = _root(type(value)) + error.field
        raise


def _without(said: list[tuple[str, str]], names: Collection[str]) -> list[tuple[str, str]]:
    return [pair for pair in said if pair[0] not in names] if names else said


def signed(value: Any, without: Collection[str] = ()) -> tuple[str, str]:
    """Return the `canonical` text of a value, and its fingerprint, for which fields named in `without` do not count.

    >>> from loyaltykit.facts import cash
    >>> signed(cash("35.20"))[1] == fingerprint(cash("35.2"))
    True
    """
    said = _said(value)
    text = text_of(said)
    return text, _hashed(text_of(_without(said, without)) if without else text)


def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of `canonical`, in hexadecimal: the same for equal values, and different for others.

    >>> from loyaltykit.facts import cash
    >>> fingerprint(cash("35.20")) == fingerprint(cash("35.2")) != fingerprint(cash("35.21"))
    True
    """
    return _hashed(canonical(value))


# ---------------------------------------------------------------- in


@overload
def from_data(cls: type[T], data: Any) -> T: ...
@overload
def from_data(cls: Any, data: Any) -> Any: ...
def from_data(cls: Any, data: Any) -> Any:
    """Return the value of `cls` (a class, or a type such as `Fact` or ``tuple[Order, ...]``) that `data` describes.

    `data` is what a JSON reader returns. Raises `InputError` for a field that is unknown, missing or of the wrong
    type, a float where an exact number is needed, and whatever the class itself refuses; it names the path.

    >>> from loyaltykit.facts import Line
    >>> from_data(Line, {"sku": "mug", "total": "12.00"})
    Line(sku='mug', quantity=Decimal('1'), total=Decimal('12.00'), unit_price=None, ...)
    >>> from_data(Line, {"sku": "mug", "totl": "12.00"})
    Traceback (most recent call last):
        ...
    loyaltykit.errors.InputError: line.totl='12.00': line has no such field; did you mean total? choose one of ...
    """
    try:
        return codec(cls).read(data, 0)
    except InputError as error:
        error.field = _root(cls) + error.field
        raise


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InputError("json", name[:100], "this name comes twice in one object; give it once")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InputError("json", name, "is not JSON; give a finite number")


_READER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant)


@overload
def loads(cls: type[T], text: str | bytes, *, limit: int = MAX_SIZE) -> T: ...
@overload
def loads(cls: Any, text: str | bytes, *, limit: int = MAX_SIZE) -> Any: ...
def loads(cls: Any, text: str | bytes, *, limit: int = MAX_SIZE) -> Any:
    """Return the value of `cls` that the JSON `text` describes; bytes are UTF-8. See `from_data`.

    `limit` is the longest text to be looked at, in characters or bytes. Raises `InputError`, also for what is not
    JSON: names that come twice in one object, NaN, Infinity.

    >>> from loyaltykit.facts import Tender
    >>> loads(Tender, '{"kind": "cash", "amount": "35.21"}').amount
    Decimal('35.21')
    >>> loads(Tender, '{"kind": "cash", "amount": 35.21}')
    Traceback (most recent call last):
        ...
    loyaltykit.errors.InputError: tender.amount=35.21: a JSON number with a decimal point is not exact; put it in ...
    """
    if not isinstance(text, str | bytes | bytearray):
        raise InputError("json", type(text).__name__, "give JSON as str or bytes; for dicts and lists use from_data")
    if len(text) > limit:
        raise InputError("json", f"{len(text)} characters", f"at most {limit}; pass limit= to allow more")
    try:
        data = _READER.decode(text if isinstance(text, str) else text.decode())
    except InputError:
        raise
    except RecursionError:
        raise InputError("json", "...", f"at most {MAX_DEPTH} levels within each other") from None
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        raise InputError("json", "...", str(error)) from None
    return from_data(cls, data)


# ---------------------------------------------------------------- what it looks like


def schema(cls: Any) -> Schema:
    """Return the JSON Schema (2020-12) of what `from_data` reads as `cls`, with a definition for each class.

    It is made from the same definitions as the converters. What a class checks itself (that a discount is at most
    the line's total) is not in it, and it takes 1.0 for a whole number, which `from_data` does not.

    >>> from loyaltykit.facts import Tender
    >>> schema(Tender)["$defs"]["Tender"]["properties"]["kind"]
    {'enum': ['cash', 'points', 'gift_card']}
    """
    defs = Definitions()
    try:
        root = codec(cls).schema(defs)
    except InputError as error:
        error.field = _root(cls) + error.field
        raise
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": defs.bodies}
