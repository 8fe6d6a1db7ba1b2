"""How values with parts are written as JSON and read back: arrays, mappings, choices between types.

`codec` compiles the converter of any type that a field may be declared as, once. Classes are the matter of
`loyaltykit._wire_classes`.
"""

from __future__ import annotations

import json
import types
from collections import abc
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import repeat
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import attrs

from loyaltykit import _wire_classes
from loyaltykit._wire_scalars import (
    DECIMAL,
    FRACTION,
    NOTHING,
    SCALARS,
    TEXT,
    WHOLE,
    Codec,
    Definitions,
    Schema,
    below,
    choice,
    wrong,
)
from loyaltykit.errors import InputError

Convert = Callable[[Any, int], Any]


@cache
def codec(kind: Any) -> Codec:
    """Return the converter of the type `kind`; `InputError` if it is, or holds, a type that has no JSON form."""
    if kind is None or kind in SCALARS:
        return SCALARS[kind or type(None)]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return choice(arguments)
    if origin is Union or origin is types.UnionType:
        return _union(arguments)
    if origin is Annotated:
        return codec(arguments[0])
    if isinstance(kind, NewType):
        return codec(kind.__supertype__)
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not ...):
        return _fixed(tuple(codec(part) for part in arguments))
    if origin is tuple or origin is abc.Sequence:
        return _named_pairs(arguments[0]) or _sequence(codec(arguments[0]))
    if (origin is abc.Mapping or origin is dict) and codec(arguments[0]).is_key:
        return _mapping(codec(arguments[0]), codec(arguments[1]))
    if _is_class(kind):
        return _wire_classes.declared((kind,), codec)
    raise InputError(
        "", str(kind), "has no JSON form; use attrs classes, tuples, mappings with text keys, plain values"
    )


_NOT_OURS = frozenset({"builtins", "abc", "collections.abc", "typing"})  # whose families are everybody's


def _is_class(kind: Any) -> bool:
    known = isinstance(kind, type) and kind not in SCALARS and get_origin(kind) is None
    return known and kind.__module__ not in _NOT_OURS


# ---------------------------------------------------------------- arrays


def _parts_of_tuple(value: Any) -> Sequence[Any]:
    if isinstance(value, tuple):
        return value
    raise wrong(value, "give a tuple")


def _parts_of_array(value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return value
    raise wrong(value, "give an array, in square brackets")


def _array(items: Sequence[Codec], length: int | None, schema: Callable[[Definitions], Schema]) -> Codec:
    """Return the codec of arrays: of `length` items each its own type, or (None) of any number of the one type."""

    def through(mode: str, parts_of: Callable[[Any], Sequence[Any]], finish: Callable[[list[Any]], Any]) -> Convert:
        modes = [getattr(item, mode) for item in items]
        converts: Iterable[Convert] = repeat(modes[0]) if length is None else modes

        def convert(value: Any, depth: int) -> Any:
            parts, inner = parts_of(value), below(depth, value)
            if length is not None and len(parts) != length:
                raise wrong(value, f"give exactly {length} items, not {len(parts)}")
            done: list[Any] = []
            try:
                for part, one in zip(parts, converts, strict=False):
                    done.append(one(part, inner))
            except InputError as error:
                error.field = f"[{len(done)}]{error.field}"
                raise
            return finish(done)

        return convert

    return Codec(
        expected="an array" if length is None else f"an array of {length}",
        takes=(tuple,),
        shapes=frozenset({"array"}),
        write=through("write", _parts_of_tuple, lambda done: done),
        canon=through("canon", _parts_of_tuple, lambda done: f"[{','.join(done)}]"),
        read=through("read", _parts_of_array, tuple),
        schema=schema,
    )


def _sequence(item: Codec) -> Codec:
    return _array((item,), None, lambda defs: {"type": "array", "items": item.schema(defs)})


def _fixed(items: tuple[Codec, ...]) -> Codec:
    size = len(items)
    return _array(
        items,
        size,
        lambda defs: {
            "type": "array",
            "prefixItems": [item.schema(defs) for item in items],
            "items": False,
            "minItems": size,
        },
    )


# ---------------------------------------------------------------- names with values


def _step(name: Any) -> str:
    return f"[{json.dumps(name[:100] if isinstance(name, str) else str(name), ensure_ascii=False)}]"


def _read_members(key: Codec, value: Codec, data: dict[Any, Any], depth: int) -> list[tuple[Any, Any]]:
    inner, done, name = below(depth, data), [], None
    try:
        for name, item in data.items():
            done.append((key.read(name, inner), value.read(item, inner)))
    except InputError as error:
        error.field = _step(name) + error.field
        raise
    return done


def _write_members(
    key: Convert, value: Convert, whole: Any, pairs: Iterable[tuple[Any, Any]], depth: int
) -> dict[str, Any]:
    inner, done, name = below(depth, whole), {}, None
    try:
        for name, item in pairs:
            done[key(name, inner)] = value(item, inner)
    except InputError as error:
        error.field = _step(name) + error.field
        raise
    return done


def _members_schema(key: Codec, value: Codec, defs: Definitions) -> Schema:
    names = {name: rule for name, rule in key.schema(defs).items() if name in ("pattern", "enum", "maxLength")}
    return {"type": "object", "propertyNames": names, "additionalProperties": value.schema(defs)}


def _mapping(key: Codec, value: Codec) -> Codec:
    def writer(key_mode: Convert, value_mode: Convert) -> Callable[[Any, int], dict[str, Any]]:
        def write(mapping: Any, depth: int) -> dict[str, Any]:
            if not isinstance(mapping, abc.Mapping):
                raise wrong(mapping, "give a mapping")
            return _write_members(key_mode, value_mode, mapping, mapping.items(), depth)

        return write

    texts = writer(key.canon, value.canon)

    def canon(mapping: Any, depth: int) -> str:
        members = sorted(texts(mapping, depth).items(), key=lambda member: json.loads(member[0]))
        return _wire_classes.joined([f"{name}:{item}" for name, item in members])

    def read(data: Any, depth: int) -> dict[Any, Any]:
        if not isinstance(data, dict):
            raise wrong(data, "give an object, in braces")
        return dict(_read_members(key, value, data, depth))

    return Codec(
        expected="an object",
        takes=(abc.Mapping,),
        shapes=frozenset({"object"}),
        write=writer(key.write, value.write),
        canon=canon,
        read=read,
        schema=lambda defs: _members_schema(key, value, defs),
    )


def _named_pairs(item: Any) -> Codec | None:
    """Return the codec of a tuple of (name, value) pairs, or None if `item` is not the type of such a pair.

    ``(("mug", 1), ("cup", 2))`` is the object ``{"mug": 1, "cup": 2}``, which people write and read more easily; the
    array of pairs is read as well, and is written where a name comes twice. The canonical form is always the array,
    because the order of pairs matters to equality and the order of an object's members does not.
    """
    arguments = get_args(item)
    if get_origin(item) is not tuple or len(arguments) != 2 or arguments[1] is ...:
        return None
    key, value = codec(arguments[0]), codec(arguments[1])
    if not key.is_key:
        return None
    plain = _sequence(_fixed((key, value)))

    def write(pairs: Any, depth: int) -> Any:
        parts = _parts_of_tuple(pairs)
        if all(isinstance(pair, tuple) and len(pair) == 2 for pair in parts):
            members = _write_members(key.write, value.write, pairs, parts, depth)
            if len(members) == len(parts):
                return members
        return plain.write(pairs, depth)

    def read(data: Any, depth: int) -> tuple[Any, ...]:
        if isinstance(data, dict):
            return tuple(_read_members(key, value, data, depth))
        if isinstance(data, list | tuple):
            return tuple(plain.read(data, depth))
        raise wrong(data, "give an object, in braces, from name to value")

    return attrs.evolve(
        plain,
        expected="an object from name to value",
        shapes=frozenset({"array", "object"}),
        write=write,
        read=read,
        schema=lambda defs: {"anyOf": [_members_schema(key, value, defs), plain.schema(defs)]},
    )


# ---------------------------------------------------------------- one of several types

_SHAPES = {
    str: "string",
    int: "integer",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "array",
    tuple: "array",
}


def _union(kinds: tuple[Any, ...]) -> Codec:
    """Return the codec of one of several types, which the shape of the data must be enough to tell apart.

    Objects are told apart by their tag, texts by their pattern. What cannot be told apart is refused here, once,
    rather than guessed at later.
    """
    classes = tuple(kind for kind in kinds if _is_class(kind))
    literals = tuple(name for kind in kinds if get_origin(kind) is Literal for name in get_args(kind))
    members = [codec(kind) for kind in kinds if not _is_class(kind) and get_origin(kind) is not Literal]
    if literals and not (TEXT in members and all(isinstance(name, str) for name in literals)):
        members.append(choice(literals))
    if classes:
        members.append(_wire_classes.declared(classes, codec))
    _refuse_ambiguous(kinds, members, literals)
    others = [member for member in members if member is not NOTHING]
    if len(others) == 1 and len(members) == 2:
        return _optional(others[0])
    return _one_of(members)


def _refuse_ambiguous(kinds: tuple[Any, ...], members: list[Codec], literals: tuple[Any, ...]) -> None:
    def refuse(what: str) -> None:
        shown = " | ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
        raise InputError("", shown, f"{what} of these types cannot be told apart in JSON")

    for shape in ("object", "array", "boolean", "integer"):
        rivals = [member for member in members if shape in member.shapes]
        if len(rivals) > 1 and not (shape == "integer" and DECIMAL in rivals and WHOLE in rivals and len(rivals) == 2):
            refuse(f"the {shape}s")
    texts = [member for member in members if "string" in member.shapes]
    anything = [member for member in texts if member.pattern is None]
    patterns = [(member, member.pattern) for member in texts if member.pattern is not None]
    matched = {member for member, pattern in patterns for name in literals if pattern.fullmatch(str(name))}
    if (anything and len(texts) > 1) or {DECIMAL, FRACTION} <= set(texts) or len(matched) > 1:
        refuse("the texts")


def _optional(inner: Codec) -> Codec:
    def wrap(convert: Convert, nothing: str | None) -> Convert:
        return lambda value, depth: nothing if value is None else convert(value, depth)

    return attrs.evolve(
        inner,
        expected=f"{inner.expected} or null",
        takes=(*inner.takes, type(None)),
        shapes=inner.shapes | {"null"},
        write=wrap(inner.write, None),
        canon=wrap(inner.canon, "null"),
        read=wrap(inner.read, None),
        schema=lambda defs: {"anyOf": [inner.schema(defs), {"type": "null"}]},
        is_key=False,
    )


def _one_of(members: list[Codec]) -> Codec:
    expected = ", or ".join(member.expected for member in members)
    by_type = {kind: member for member in members for kind in member.takes}
    by_shape: dict[str, list[Codec]] = {}
    for member in members:
        for shape in member.shapes:
            by_shape.setdefault(shape, []).append(member)
    if WHOLE in members:
        by_shape["integer"] = [WHOLE]

    def writer_of(value: Any) -> Codec:
        member = by_type.get(type(value))
        if member is not None:
            return member
        for base in type(value).__mro__:  # the nearest: a subclass of datetime is a date as well
            if base in by_type:
                return by_type[base]
        if abc.Mapping in by_type and isinstance(value, abc.Mapping):
            return by_type[abc.Mapping]
        raise wrong(value, f"give {expected}")

    def canon(value: Any, depth: int) -> str:
        member = writer_of(value)
        if member is WHOLE and DECIMAL in members:
            member = DECIMAL  # 1 and Decimal(1) are equal
        return member.canon(value, depth)

    def read(value: Any, depth: int) -> Any:
        shape = _SHAPES.get(type(value), "")
        candidates = by_shape.get(shape, [])
        if len(candidates) > 1:
            candidates = [member for member in candidates if member.pattern and member.pattern.fullmatch(value)]
        if not candidates and isinstance(value, float) and DECIMAL in members:
            candidates = [DECIMAL]  # which says why not
        if not candidates:
            raise wrong(value, f"give {expected}")
        return candidates[0].read(value, depth)

    return Codec(
        expected=expected,
        takes=tuple(by_type),
        shapes=frozenset(by_shape),
        write=lambda value, depth: writer_of(value).write(value, depth),
        canon=canon,
        read=read,
        schema=lambda defs: {"anyOf": [member.schema(defs) for member in members]},
        pattern=None,
    )
