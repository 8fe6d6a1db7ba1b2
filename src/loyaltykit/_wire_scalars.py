"""How one indivisible value is written as JSON and read back: texts, numbers, money, instants, days, named choices.

A `Codec` is the compiled converter of one type. It works both ways, says which Python and which JSON values it takes
(so that a union can choose), and describes itself in a JSON Schema. `loyaltykit._wire_types` builds those of
everything that has parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

import attrs

from loyaltykit._encoding import json_writer, quoted
from loyaltykit.errors import InputError

MAX_DEPTH = 32
"""Values within values: the outermost one is level 1."""
MAX_TEXT = 100_000
"""Characters in one text."""
MAX_DIGITS = 1_000
"""Digits on each side of the point of one number written as text."""

_LARGEST = 2**63 - 1  # what a store's integer holds; `amounts.whole` has the same bound
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_SECONDS = r":[0-5][0-9](\.[0-9]{1,6})?"
_NAIVE = re.compile(rf"{_DATE}[T ]{_CLOCK}({_SECONDS})?")

Schema = dict[str, Any]


class Definitions:
    """The ``$defs`` of a schema while it is made: one for each class, under its name."""

    def __init__(self) -> None:
        self.names: dict[type, str] = {}
        self.bodies: dict[str, Schema] = {}

    def reference(self, cls: type, describe: Callable[[], Schema]) -> Schema:
        """Return a reference to the definition of `cls`, made by `describe` when it is first asked for."""
        name = self.names.get(cls)
        if name is None:
            name = cls.__name__ if cls.__name__ not in self.bodies else f"{cls.__module__}.{cls.__qualname__}"
            self.names[cls] = name
            self.bodies[name] = {}  # it may be asked for again, from within itself
            self.bodies[name] = describe()
        return {"$ref": f"#/$defs/{name}"}


@attrs.frozen(eq=False)
class Codec:
    """The compiled converter of one type.

    `write`, `canon` and `read` take a value and the depth at which it stands. `write` returns plain data, `canon` the
    JSON text that all equal values share. All three raise `InputError`, whose field is the path from the value that
    they were given ("" for itself); whoever holds the value puts its own step in front.
    """

    expected: str  # "a whole number": what would be right, for error messages
    takes: tuple[type, ...]  # the Python types that it writes
    shapes: frozenset[str]  # the JSON shapes that it reads: null, boolean, integer, string, array, object
    write: Callable[[Any, int], Any]
    canon: Callable[[Any, int], str]
    read: Callable[[Any, int], Any]
    schema: Callable[[Definitions], Schema]
    pattern: re.Pattern[str] | None = None  # which strings it reads; None with the shape "string": all of them
    is_key: bool = False  # its written form is always a string, which may be the key of an object


def wrong(value: Any, hint: str) -> InputError:
    """Return the error for `value`; a container is named and not carried, since it may be deep or huge."""
    if isinstance(value, dict | list | tuple):
        value = "{...}" if isinstance(value, dict) else "[...]"
    return InputError("", value, hint)


def below(depth: int, value: Any) -> int:
    """Return the depth of what `value`, itself at `depth`, holds."""
    if depth >= MAX_DEPTH:
        raise wrong(value, f"at most {MAX_DEPTH} levels within each other")
    return depth + 1


def near(name: Any, names: Any) -> str:
    """Return what to choose from instead of `name`: the nearest of `names` first, then all of them."""
    close = get_close_matches(name, names, n=1) if isinstance(name, str) and len(name) <= 100 else []
    guess = f"did you mean {close[0]}? " if close else ""
    return f"{guess}choose one of {', '.join(str(item) for item in names)}"


_json = json_writer()


def _same(write: Callable[[Any, int], Any], **rest: Any) -> Codec:
    """Return a codec whose canonical form is the one that it writes anyway, as JSON."""
    return Codec(write=write, canon=lambda value, depth: _json(write(value, depth)), **rest)


# ---------------------------------------------------------------- texts, truth, whole numbers


def _text(value: Any, depth: int) -> str:
    if not isinstance(value, str):
        raise wrong(value, "give a string")
    if len(value) > MAX_TEXT:
        raise InputError("", value[:100] + "...", f"at most {MAX_TEXT} characters, not {len(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise wrong(value, "half of a surrogate pair is not a character; give Unicode text") from None
    return str(value)


def _canon_text(value: Any, depth: int) -> str:
    if type(value) is str and value.isascii() and len(value) <= MAX_TEXT:  # as most are
        return quoted(value)
    return quoted(_text(value, depth))


TEXT = Codec(
    expected="a string",
    takes=(str,),
    shapes=frozenset({"string"}),
    write=_text,
    canon=_canon_text,
    read=_text,
    schema=lambda defs: {"type": "string", "maxLength": MAX_TEXT},
    is_key=True,
)


def _truth(value: Any, depth: int) -> bool:
    if value is True or value is False:
        return bool(value)
    raise wrong(value, "give true or false")


TRUTH = _same(
    expected="true or false",
    takes=(bool,),
    shapes=frozenset({"boolean"}),
    write=_truth,
    read=_truth,
    schema=lambda defs: {"type": "boolean"},
)


def _whole(value: Any, depth: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(value, "give a whole number, without quotes and without a decimal point")
    if not -_LARGEST <= value <= _LARGEST:
        raise InputError("", value if abs(value) < 10**100 else "...", "at most 2**63 - 1")
    return int(value)


WHOLE = Codec(
    expected="a whole number",
    takes=(int,),
    shapes=frozenset({"integer"}),
    write=_whole,
    canon=lambda value, depth: str(_whole(value, depth)),
    read=_whole,
    schema=lambda defs: {"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST},
)


def _nothing(value: Any, depth: int) -> None:
    if value is not None:
        raise wrong(value, "leave it out, or give null")


NOTHING = _same(
    expected="null",
    takes=(type(None),),
    shapes=frozenset({"null"}),
    write=_nothing,
    read=_nothing,
    schema=lambda defs: {"type": "null"},
)

# ---------------------------------------------------------------- exact numbers

_DECIMAL = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{1,{MAX_DIGITS}}})?")
_FRACTION = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(/[1-9][0-9]{{0,{MAX_DIGITS - 1}}})?")


def _write_decimal(value: Any, depth: int) -> str:
    if not isinstance(value, Decimal):
        if isinstance(value, int) and not isinstance(value, bool):
            return str(WHOLE.write(value, depth))
        raise wrong(value, "give a Decimal")
    if not value.is_finite():
        raise wrong(value, "give a finite number")
    text = str(value)
    if "E" in text or len(text) > MAX_DIGITS:
        exponent = value.as_tuple().exponent
        if value.adjusted() >= MAX_DIGITS or not isinstance(exponent, int) or exponent < -MAX_DIGITS:
            raise InputError("", text[:100], f"at most {MAX_DIGITS} digits on each side of the point")
        # Never the exponent form: it is harder to read, and a short text must not stand for a number of any size.
        text = format(value, "f")
    return text


def _canon_decimal(value: Any, depth: int) -> str:
    text = _write_decimal(value, depth)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return '"0"' if text == "-0" else f'"{text}"'


def _read_decimal(value: Any, depth: int) -> Decimal:
    if isinstance(value, str):
        if _DECIMAL.fullmatch(value):
            return Decimal(value)
        raise wrong(value, 'give a plain decimal number in quotes, such as "3.50"')
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(WHOLE.read(value, depth))
    if isinstance(value, float):
        raise wrong(value, f'a JSON number with a decimal point is not exact; put it in quotes: "{value}"')
    raise wrong(value, 'give a decimal number in quotes, such as "3.50"')


DECIMAL = Codec(
    expected='a decimal number in quotes, such as "3.50"',
    takes=(Decimal,),
    shapes=frozenset({"string", "integer"}),
    write=_write_decimal,
    canon=_canon_decimal,
    read=_read_decimal,
    schema=lambda defs: {
        "type": ["string", "integer"],
        "pattern": f"^{_DECIMAL.pattern}$",
        "minimum": -_LARGEST,
        "maximum": _LARGEST,
    },
    pattern=_DECIMAL,
    is_key=True,
)


def _write_fraction(value: Any, depth: int) -> str:
    if not isinstance(value, Fraction):
        raise wrong(value, "give a Fraction")
    if max(abs(value.numerator), value.denominator) >= 10**MAX_DIGITS:
        raise InputError("", "...", f"at most {MAX_DIGITS} digits above and below the line")
    return str(value)


def _read_fraction(value: Any, depth: int) -> Fraction:
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return Fraction(value)
    raise wrong(value, 'give a fraction in quotes, such as "1/3" or "2"')


FRACTION = _same(
    expected='a fraction in quotes, such as "1/3"',
    takes=(Fraction,),
    shapes=frozenset({"string"}),
    write=_write_fraction,
    read=_read_fraction,
    schema=lambda defs: {"type": "string", "pattern": f"^{_FRACTION.pattern}$"},
    pattern=_FRACTION,
    is_key=True,
)

# ---------------------------------------------------------------- instants, days, times of day

_INSTANT = re.compile(rf"{_DATE}T{_CLOCK}{_SECONDS}(Z|[+-]{_CLOCK})")
_DAY = re.compile(_DATE)
_TIME = re.compile(rf"{_CLOCK}({_SECONDS})?")


def _plain_instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise wrong(value, "give an aware datetime")
    if value.utcoffset() is None:
        raise wrong(value, "give an aware datetime, such as value.replace(tzinfo=ZoneInfo('Europe/Paris'))")
    if type(value) is datetime:
        return value
    # A data frame's timestamp is a datetime too, and may be finer than one.
    if getattr(value, "nanosecond", 0):
        raise wrong(value, "an instant has at most microseconds; round it first")
    return datetime.combine(value.date(), value.timetz())


def _write_instant(value: Any, depth: int) -> str:
    value = _plain_instant(value)
    offset = value.utcoffset()
    if offset.seconds % 60 or offset.microseconds:  # the local mean times of before about 1900; ISO 8601 has no form
        return _in_utc(value)
    text: str = value.isoformat()
    return text if offset else text[:-6] + "Z"


def _canon_instant(value: Any, depth: int) -> str:
    return f'"{_in_utc(value)}"'


def _in_utc(value: Any) -> str:
    if type(value) is datetime and value.tzinfo is UTC:  # as most are
        return value.isoformat()[:-6] + "Z"
    try:
        return _plain_instant(value).astimezone(UTC).isoformat()[:-6] + "Z"
    except OverflowError:
        raise wrong(value, "give an instant that lies in the years 1 to 9999 of UTC") from None


def _read_instant(value: Any, depth: int) -> datetime:
    if isinstance(value, str):
        if _INSTANT.fullmatch(value):
            try:
                return datetime.fromisoformat(value)
            except ValueError as error:
                raise wrong(value, str(error)) from None
        if _NAIVE.fullmatch(value):
            raise wrong(value, "say in which zone: end it with an offset such as -05:00, or with Z for UTC")
    raise wrong(value, 'give an instant with its offset, such as "2026-03-02T09:30:00-05:00"')


INSTANT = Codec(
    expected='an instant with its offset, such as "2026-03-02T09:30:00-05:00"',
    takes=(datetime,),
    shapes=frozenset({"string"}),
    write=_write_instant,
    canon=_canon_instant,
    read=_read_instant,
    schema=lambda defs: {"type": "string", "format": "date-time", "pattern": f"^{_INSTANT.pattern}$"},
    pattern=_INSTANT,
    is_key=True,
)


def _write_day(value: Any, depth: int) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise wrong(value, "give a date, which is not a datetime")
    return value.isoformat()


def _read_day(value: Any, depth: int) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise wrong(value, str(error)) from None
    raise wrong(value, 'give a day, such as "2026-03-02"')


DAY = _same(
    expected='a day, such as "2026-03-02"',
    takes=(date,),
    shapes=frozenset({"string"}),
    write=_write_day,
    read=_read_day,
    schema=lambda defs: {"type": "string", "format": "date", "pattern": f"^{_DAY.pattern}$"},
    pattern=_DAY,
    is_key=True,
)


def _write_time(value: Any, depth: int) -> str:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise wrong(value, "give a time of day without a zone")
    return value.isoformat("auto" if value.second or value.microsecond else "minutes")


def _read_time(value: Any, depth: int) -> time:
    if isinstance(value, str) and _TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise wrong(value, 'give a time of day, such as "17:30"')


TIME = _same(
    expected='a time of day, such as "17:30"',
    takes=(time,),
    shapes=frozenset({"string"}),
    write=_write_time,
    read=_read_time,
    schema=lambda defs: {"type": "string", "pattern": f"^{_TIME.pattern}$"},
    pattern=_TIME,
    is_key=True,
)

# ---------------------------------------------------------------- named choices


def choice(names: tuple[Any, ...]) -> Codec:
    """Return the codec of one of `names`: all strings, or all whole numbers."""
    base = type(names[0])
    if base not in (str, int) or any(type(name) is not base for name in names):
        raise InputError("", names, "a choice is among strings, or among whole numbers")
    allowed = frozenset(names)

    def same(value: Any, depth: int) -> Any:
        if type(value) is base and value in allowed:
            return value
        raise wrong(value, near(value, names))

    return _same(
        expected=f"one of {', '.join(str(name) for name in names)}",
        takes=(base,),
        shapes=frozenset({"string" if base is str else "integer"}),
        write=same,
        read=same,
        schema=lambda defs: {"enum": list(names)},
        pattern=re.compile("|".join(re.escape(name) for name in names)) if base is str else None,
        is_key=base is str,
    )


SCALARS: dict[Any, Codec] = {
    str: TEXT,
    bool: TRUTH,
    int: WHOLE,
    type(None): NOTHING,
    Decimal: DECIMAL,
    Fraction: FRACTION,
    datetime: INSTANT,
    date: DAY,
    time: TIME,
}
