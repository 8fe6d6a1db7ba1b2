"""How attrs values are written as JSON objects and read back, worked out once for each class from its fields."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from operator import attrgetter, itemgetter
from threading import RLock
from typing import Any, get_type_hints

import attrs
from attrs import NOTHING

from loyaltykit._encoding import quoted
from loyaltykit._wire_scalars import Codec, Definitions, Schema, below, near, wrong
from loyaltykit.errors import InputError

TAG = "type"
"""The key that says of which class an object is, where more than one is possible."""

Convert = Callable[[Any, int], Any]
CodecOf = Callable[[Any], Codec]
Pairs = Callable[[Any, int], list[tuple[str, Any]]]
"""From a value and its depth to the fields that are not at their default, by name, as they are written."""

_OBJECT = frozenset({"object"})
_FACTORY: Any = attrs.Factory  # a class at run time, a function to type checkers
_UNEQUAL = object()  # equal to no value: the default of a field that is always written


@cache
def tag_of(cls: Any) -> str:
    """Return the name of a class in data: that of ``PerAmount`` is ``per_amount``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__.strip("_")).lower()


# ---------------------------------------------------------------- one class


@attrs.frozen
class _Field:
    key: str  # in JSON, and as the argument
    attribute: str
    codec: Codec
    default: Any  # NOTHING for a field that must be given
    compared: bool  # part of what makes two values equal

    @property
    def required(self) -> bool:
        return self.default is NOTHING


def _default(field: attrs.Attribute[Any]) -> Any:
    value: Any = field.default
    if isinstance(value, _FACTORY):
        value = _UNEQUAL if value.takes_self else value.factory()
    if value is not NOTHING and value is not _UNEQUAL and callable(field.converter):
        with suppress(TypeError):  # one that also wants the value itself: the default stays as it is declared
            value = field.converter(value)
    return value


def _fields(cls: type, codec_of: CodecOf) -> list[_Field]:
    where = cls.__name__
    try:
        hints = get_type_hints(cls)
    except NameError as error:
        raise InputError("", where, f"{error}: its annotations must be readable at run time") from None
    found = []
    for field in attrs.fields(cls):
        if not field.init:
            continue
        if field.alias == TAG:
            raise InputError("", f"{where}.{field.name}", f'rename the field: "{TAG}" names the class in JSON')
        if field.name not in hints:
            raise InputError("", f"{where}.{field.name}", "say of which type the field is")
        try:
            inner = codec_of(hints[field.name])
        except InputError as error:
            error.value = f"{where}.{field.name}: {error.value}"
            raise
        found.append(_Field(field.alias or field.name, field.name, inner, _default(field), bool(field.eq)))
    return found


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function from a value to the tuple of its attributes `names`."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _pairs(rows: list[tuple[str, str, Any, Convert]]) -> Pairs:
    """Return what writes a value's fields: `rows` are their names, attributes, defaults, and how they are written."""
    get, rules = _getter([row[1] for row in rows]), [(name, default, convert) for name, _, default, convert in rows]

    def pairs(value: Any, depth: int) -> list[tuple[str, Any]]:
        inner, done, name = below(depth, value), [], ""
        try:
            for (name, default, convert), item in zip(rules, get(value), strict=True):
                if item is not default and (default is NOTHING or item != default):
                    done.append((name, convert(item, inner)))
        except InputError as error:
            error.field = f".{name}{error.field}"
            raise
        return done

    return pairs


def _plain_pairs(fields: list[_Field]) -> Pairs:
    rows = [(field.key, field.attribute, field.default, field.codec.write) for field in fields]
    return _pairs(sorted(rows, key=lambda row: row[2] is not NOTHING))  # what must be given comes first


def _canonical_pairs(fields: list[_Field], tag: str | None = None) -> Pairs:
    """Return what writes a value sorted, with its tag if there is one, and without what does not count as equal."""
    rows = [(field.key, field.attribute, field.default, field.codec.canon) for field in fields if field.compared]
    if tag is not None:
        rows.append((TAG, "__class__", NOTHING, lambda cls, depth: quoted(tag)))
    return _pairs(sorted(rows, key=itemgetter(0)))


def joined(members: Iterable[str]) -> str:
    """Return the members of a JSON object as the object."""
    return f"{{{','.join(members)}}}"


def text_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Return canonical fields as the JSON object."""
    return joined([f'"{name}":{text}' for name, text in pairs])


def _own_path(cls: type, names: frozenset[str], field: str) -> str:
    """Return the path, from a value of `cls`, of a field that its constructor named in its own words.

    Constructors say "line.total", "total", or (for a part that they look at) "line.id" where the field is "lines".
    """
    parts = field.split(".")
    if parts[0] == tag_of(cls) and len(parts) > 1:
        parts = parts[1:]
    elif parts[0] not in names and f"{parts[0]}s" in names:
        return f".{parts[0]}s"
    while parts and parts[0].split("[")[0] not in names:
        parts = parts[1:]
    return "".join(f".{part}" for part in parts)


def _reader(cls: type, fields: list[_Field]) -> Convert:
    known = {field.key: field.codec.read for field in fields}
    names = frozenset(known)
    required = {field.key: field.codec.expected for field in fields if field.required}
    tag = tag_of(cls)

    def unknown(key: Any, value: Any) -> InputError:
        error = wrong(value, f"{tag} has no such field; {near(key, known)}" if known else f"{tag} has no fields")
        error.field = f".{key if isinstance(key, str) and len(key) <= 100 else '...'}"
        return error

    def read(data: dict[Any, Any], depth: int) -> Any:
        inner, given = below(depth, data), {}
        for key, item in data.items():
            convert = known.get(key)
            if convert is None:
                if key == TAG:  # what brought the data here
                    continue
                raise unknown(key, item)
            try:
                given[key] = convert(item, inner)
            except InputError as error:
                error.field = f".{key}{error.field}"
                raise
        for key in required:
            if key not in given:
                raise InputError(f".{key}", None, f"missing; give {required[key]}")
        try:
            return cls(**given)
        except InputError as error:
            error.field = _own_path(cls, names, error.field)
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise wrong(data, f"{tag}: {error}") from None

    return read


def _expected(cls: type) -> str:
    tag = tag_of(cls)
    return f"{'an' if tag[0] in 'aeio' else 'a'} {tag} object"


def _describe(cls: type, fields: list[_Field], defs: Definitions) -> Schema:
    properties: Schema = {TAG: {"const": tag_of(cls)}}
    for field in fields:
        properties[field.key] = field.codec.schema(defs)
        if not field.required and field.default is not None and field.default is not _UNEQUAL:
            properties[field.key] = {**properties[field.key], "default": field.codec.write(field.default, 1)}
    schema: Schema = {"type": "object"}
    if cls.__doc__ and not cls.__doc__.startswith("Method generated by attrs"):
        schema["description"] = " ".join(inspect.cleandoc(cls.__doc__).split("\n\n")[0].split())
    schema["properties"] = properties
    schema["required"] = [field.key for field in fields if field.required]
    schema["additionalProperties"] = False
    return schema


_done: dict[type, Codec] = {}
_tagged: dict[type, Pairs] = {}
_started: set[type] = set()
_lock = RLock()


def plain(cls: type, codec_of: CodecOf) -> Codec:
    """Return the codec of exactly this attrs class, which writes no tag and reads only dicts."""
    found = _done.get(cls)
    if found is not None:
        return found
    with _lock:
        if cls in _started:  # a class that holds itself: look it up again when it is used, it will be done then
            return _codec(
                cls,
                lambda value, depth: plain(cls, codec_of).write(value, depth),
                lambda value, depth: plain(cls, codec_of).canon(value, depth),
                lambda value, depth: plain(cls, codec_of).read(value, depth),
                lambda defs: plain(cls, codec_of).schema(defs),
            )
        _started.add(cls)
        try:
            fields = _fields(cls, codec_of)
        finally:
            _started.discard(cls)
        written, untagged = _plain_pairs(fields), _canonical_pairs(fields)
        _tagged[cls] = _canonical_pairs(fields, tag_of(cls))
        _done[cls] = _codec(
            cls,
            lambda value, depth: dict(written(value, depth)),
            lambda value, depth: text_of(untagged(value, depth)),
            _reader(cls, fields),
            lambda defs: defs.reference(cls, lambda: _describe(cls, fields, defs)),
        )
        return _done[cls]


def tagged(cls: type, codec_of: CodecOf) -> Pairs:
    """Return what writes values of exactly this attrs class canonically, with their tag."""
    if cls not in _tagged:
        plain(cls, codec_of)
    return _tagged[cls]


def _codec(cls: type, write: Convert, canon: Convert, read: Convert, schema: Callable[[Definitions], Schema]) -> Codec:
    return Codec(_expected(cls), (cls,), _OBJECT, write, canon, read, schema)


# ---------------------------------------------------------------- one of several classes


def _is_value_class(cls: type) -> bool:
    """Say whether values of exactly this class are data: an attrs class, not abstract, not private."""
    return "__attrs_attrs__" in vars(cls) and not inspect.isabstract(cls) and not cls.__name__.startswith("_")


def _family(cls: type) -> Iterator[type]:
    yield cls
    children: list[type] = type.__subclasses__(cls)
    for child in children:
        yield from _family(child)


def _by_tag(roots: tuple[type, ...]) -> dict[str, type]:
    """Return the classes that data may name where one of `roots` is expected: these, and whatever derives from them."""
    found: dict[str, type] = {}
    for cls in (each for root in roots for each in _family(root) if _is_value_class(each)):
        other = found.setdefault(tag_of(cls), cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InputError("", cls.__qualname__, f"{other} has the same name in JSON; rename one of the two")
        found[tag_of(cls)] = cls  # the same class defined anew, as in a notebook: the latest holds
    return found


def declared(roots: tuple[type, ...], codec_of: CodecOf) -> Codec:
    """Return the codec of a field that holds a value of one of `roots`, or of a class derived from one.

    A value of the only root needs no tag. All others are told apart by theirs.
    """
    single = roots[0] if len(roots) == 1 and _is_value_class(roots[0]) else None
    if not _by_tag(roots):
        raise InputError("", str(roots[0]), "has no JSON form; make it an attrs class with annotated fields")
    own = {tag_of(root): plain(root, codec_of) for root in roots if _is_value_class(root)}
    usual = frozenset(root for root in roots if _is_value_class(root))
    untagged = None if single is None else tag_of(single)
    expected = " or ".join(_expected(root) for root in roots)

    def class_of(value: Any) -> Any:
        cls: Any = type(value)
        if cls not in usual and not (isinstance(value, roots) and _is_value_class(cls)):
            raise wrong(value, f"give {expected}")
        return cls

    def write(value: Any, depth: int) -> dict[str, Any]:
        cls = class_of(value)
        data: dict[str, Any] = plain(cls, codec_of).write(value, depth)
        return data if cls is single else {TAG: tag_of(cls), **data}

    def canon(value: Any, depth: int) -> str:
        cls = class_of(value)
        if cls is single:
            return plain(type(value), codec_of).canon(value, depth)
        return text_of(tagged(cls, codec_of)(value, depth))

    def read(data: Any, depth: int) -> Any:
        if not isinstance(data, dict):
            raise wrong(data, f"give {expected}, in braces")
        tag = data.get(TAG, untagged)
        if isinstance(tag, str) and tag in own:
            return own[tag].read(data, depth)
        classes = _by_tag(roots)
        if not isinstance(tag, str) or tag not in classes:
            what = "missing" if tag is None else "no such type"
            error = wrong(tag, f"{what}; {near(tag, classes)}")
            error.field = f".{TAG}"
            raise error
        return plain(classes[tag], codec_of).read(data, depth)

    def schema(defs: Definitions) -> Schema:
        choices = [
            {**plain(cls, codec_of).schema(defs), **({} if cls is single else {"required": [TAG]})}
            for cls in _by_tag(roots).values()
        ]
        return choices[0] if len(choices) == 1 else {"oneOf": choices}

    return Codec(expected, roots, _OBJECT, write, canon, read, schema)
