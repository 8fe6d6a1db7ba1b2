"""The plain-data form of every value: lossless, exact, readable, and described by a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator
from wire_values import (
    GOOD,
    ORDER,
    PROGRAM,
    Everything,
    Leaf,
    Node,
    Plain,
    PlainChild,
    Shape,
    Square,
    changed,
    class_with,
    everything,
    facts,
    instants,
    names,
    offsets,
    shapes,
    values,
    zoned,
)

from loyaltykit import wire
from loyaltykit.awards import Award
from loyaltykit.calendar import Period, days, to_us
from loyaltykit.commands import Command, Redeem
from loyaltykit.earning import award
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal, Tender, cash
from loyaltykit.program import Program
from loyaltykit.rewards import Quote, quote
from loyaltykit.windows import Between

# ---------------------------------------------------------------- out and in again


@given(values)
def test_what_is_written_is_read_back_equal(value: Any) -> None:
    """A value becomes text and the same value again; the text is of plain JSON types."""
    assert value == wire.loads(type(value), wire.dumps(value))
    assert value == wire.from_data(type(value), wire.to_data(value))
    assert value == wire.loads(type(value), wire.dumps(value, indent=2))
    assert wire.to_data(value) == json.loads(json.dumps(wire.to_data(value)))


@given(facts)
def test_a_union_names_the_class(fact: Any) -> None:
    """Read as one of several classes, a value says of which it is, and comes back as that."""
    data = wire.to_data(fact, Fact)
    assert type(fact).__name__.lower() == data["type"]
    assert fact == wire.from_data(Fact, data)
    assert fact == wire.from_data(type(fact), data)
    assert (fact,) == wire.loads(tuple[Fact, ...], wire.dumps((fact,), tuple[Fact, ...]))


@given(st.builds(Reversal, id=names, member=names, order=names, refund=names, at=zoned))
def test_the_instant_survives_any_zone(value: Reversal) -> None:
    """An instant in any zone, gaps, repeated hours and local mean times included, comes back as the same instant."""
    back = wire.loads(Reversal, wire.dumps(value))
    assert to_us(value.at) == to_us(back.at)
    assert wire.fingerprint(value) == wire.fingerprint(back)


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2026, 3, 2, 9, 30, tzinfo=UTC), "2026-03-02T09:30:00Z"),
        (datetime(2026, 3, 2, 9, 30, 0, 5, tzinfo=ZoneInfo("America/New_York")), "2026-03-02T09:30:00.000005-05:00"),
        (datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York")), "2026-11-01T01:30:00-04:00"),
        (datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York")), "2026-11-01T01:30:00-05:00"),
        (datetime(2026, 3, 8, 2, 30, tzinfo=ZoneInfo("America/New_York")), "2026-03-08T02:30:00-05:00"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "0001-01-01T00:00:00+05:00"),
        (datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Paris")), "1799-12-31T23:50:39Z"),
    ],
)
def test_instants_are_iso_8601_with_their_offset(at: datetime, written: str) -> None:
    """An instant is written at its own offset; only an offset of odd seconds, which ISO 8601 lacks, becomes UTC."""
    assert written == wire.to_data(at, datetime)


def test_an_order_reads_like_an_order() -> None:
    """Names, amounts and instants stand as a person would write them, and nothing stands that goes without saying."""
    assert wire.to_data(ORDER) == {
        "id": "1001",
        "member": "ann",
        "at": "2026-03-02T09:30:00-05:00",
        "lines": [
            {"sku": "espresso", "quantity": "2", "unit_price": "3.50", "categories": ["coffee"]},
            {"sku": "mug", "total": "12.00", "discount": "2.00"},
        ],
        "shipping": "4.90",
        "tenders": [{"kind": "cash", "amount": "15.00"}, {"kind": "points", "amount": "0.88", "points": 88}],
        "channel": "web",
    }


def test_an_order_may_be_written_by_hand() -> None:
    """What a person leaves out has its default, whole amounts may be bare numbers, null is nothing."""
    data = {"id": "1", "member": "ann", "at": "2026-03-02T09:30:00Z", "amount": 25, "channel": None}
    assert Order("1", "ann", datetime(2026, 3, 2, 9, 30, tzinfo=UTC), amount=25) == wire.from_data(Order, data)


def test_pairs_are_an_object_while_their_names_differ() -> None:
    """Named values are an object, in their order; a name that comes twice makes them an array of pairs."""
    once = Everything(bands=((Decimal(2), 1), (Decimal(1), 2)))
    twice = Everything(bands=((Decimal(1), 1), (Decimal(1), 2)))
    assert list(wire.to_data(once)["bands"].items()) == [("2", 1), ("1", 2)]
    assert wire.to_data(twice)["bands"] == [["1", 1], ["1", 2]]
    assert twice == wire.from_data(Everything, wire.to_data(twice))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1.00"), "1.00"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.0000001"), "-0.0000001"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("123456789012345678901234567890.123"), "123456789012345678901234567890.123"),
    ],
)
def test_decimal_numbers_are_exact_texts(value: Decimal, written: str) -> None:
    """A decimal number is its digits, all of them, never an exponent and never a float."""
    assert written == wire.to_data(value, Decimal)
    assert str(wire.from_data(Decimal, written)) == str(Decimal(written))


def test_a_value_of_several_types_keeps_its_type() -> None:
    """What a union holds comes back as the type that it was: a day, an instant, a number, a pair."""
    day, at = date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC)
    for value in (day, at, None):
        assert type(value) is type(wire.loads(Everything, wire.dumps(Everything(when=value))).when)
    assert isinstance(wire.loads(Everything, wire.dumps(Everything(number=1))).number, int)
    assert isinstance(wire.loads(Everything, wire.dumps(Everything(number=Decimal(1)))).number, Decimal)
    assert wire.from_data(Between, {"start": "2026-01-01", "end": "2026-07-01T00:00:00Z"}).start == date(2026, 1, 1)
    assert wire.to_data(Everything(birthday=(2, 29))) == {"birthday": [2, 29]}
    assert wire.to_data(Everything(validity=days(14))) == {"validity": {"type": "period", "days": 14}}
    assert wire.to_data(Everything(plain=Plain(3))) == {"plain": {"count": 3}}
    assert wire.to_data(Everything(plain=PlainChild())) == {"plain": {"type": "plain_child"}}


def test_a_finer_or_foreign_datetime_is_not_cut() -> None:
    """A subclass of datetime is written by its instant; one that is finer than microseconds is refused."""

    class Stamp(datetime):
        nanosecond = 0

        def isoformat(self, *args: Any) -> str:
            return "something else"

    stamp = Stamp(2026, 3, 2, 9, tzinfo=UTC)
    assert wire.to_data(Everything(when=stamp)) == {"when": "2026-03-02T09:00:00Z"}
    Stamp.nanosecond = 5
    with pytest.raises(InputError, match="at most microseconds"):
        wire.to_data(Everything(when=stamp))


def test_a_class_defined_later_is_known() -> None:
    """A rule of one's own takes part as soon as it exists; defined anew, as in a notebook, the latest holds."""

    def define() -> Any:
        @attrs.frozen
        class LaterShape(Shape):
            size: int = 1

        return LaterShape

    first, second = define(), define()
    assert wire.from_data(Shape, {"type": "later_shape", "size": 2}) == second(2)
    assert wire.to_data((second(2),), tuple[Shape, ...]) == [{"type": "later_shape", "size": 2}]
    assert first is not second


# ---------------------------------------------------------------- rules and what comes of them


def test_a_program_is_plain_data() -> None:
    """All rules of a program are one document, in which each rule says what it is."""
    data = wire.to_data(PROGRAM)
    assert wire.from_data(Program, json.loads(json.dumps(data))) == PROGRAM
    assert wire.fingerprint(PROGRAM) == wire.fingerprint(wire.from_data(Program, data))
    assert data["basis"] == {"discounts": "gross"}
    assert data["earning"][0] == {"type": "per_amount", "points": 1, "name": "purchase"}
    assert data["earning"][3] == {
        "type": "rate_table",
        "bands": {"0": 1, "50.00": 2},
        "name": "bands",
        "validity": "never",
    }
    assert data["validity"] == {"months": 12, "end_of": "month"}
    assert [unit.get("restore") for unit in data["units"]] == [{"period": {"days": 30}}, "off"]
    Draft202012Validator(wire.schema(Program)).validate(data)


@pytest.mark.parametrize(
    ("value", "hint"), [(1.5, "without a decimal point"), ("50", "without quotes"), (-1, "whole number")]
)
def test_a_rule_is_named_by_its_place_in_the_program(value: Any, hint: str) -> None:
    """A mistake deep in a program's rules is found by its path."""
    data = wire.to_data(PROGRAM)
    data["earning"][2]["points"] = value
    with pytest.raises(InputError, match=hint) as caught:
        wire.from_data(Program, data)
    assert caught.value.field == "program.earning[2].points"


def test_what_comes_of_rules_is_plain_data() -> None:
    """Awards, quotes and commands go through text and back like facts."""
    given = award(PROGRAM, ORDER)
    asked = quote(PROGRAM, "coins", 1000, at=ORDER.at, due="7.50")
    assert given == wire.loads(Award, wire.dumps(given))
    assert asked == wire.loads(Quote, wire.dumps(asked))
    command = Redeem("ann", 500, key="cart-17", at=ORDER.at)
    assert wire.to_data(command, Command)["type"] == "redeem"
    assert command == wire.loads(Command, wire.dumps(command, Command))
    for kind, value in ((Award, given), (Quote, asked), (Command, command)):
        Draft202012Validator(wire.schema(kind)).validate(wire.to_data(value, kind))


# ---------------------------------------------------------------- canonical text and fingerprint


@given(instants, offsets, st.decimals(0, 100, places=2))
def test_equal_values_have_equal_fingerprints(at: datetime, offset: timezone, amount: Decimal) -> None:
    """The same instant at another offset, and the same number with other zeros, are the same value."""

    def refund(at: datetime, amount: Decimal) -> Refund:
        return Refund("r-1", "ann", "1001", at, {"mug": amount})

    first = refund(at, amount)
    second = refund(at.astimezone(offset), amount.quantize(Decimal("0.0001")))
    assert first == second
    assert wire.canonical(first) == wire.canonical(second)
    assert wire.fingerprint(first) == wire.fingerprint(second)


@given(values, values)
def test_fingerprints_tell_values_apart(first: Any, second: Any) -> None:
    """Two values have the same fingerprint exactly when they are equal values of the same class."""
    same = type(first) is type(second) and first == second
    assert same == (wire.fingerprint(first) == wire.fingerprint(second))


@given(values)
def test_canonical_text_is_read_like_any_other(value: Any) -> None:
    """The canonical text is JSON of the same value, sorted and without spaces, and its own canonical text."""
    text = wire.canonical(value)
    assert value == wire.loads(type(value), text)
    assert text == wire.canonical(wire.loads(type(value), text))
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_fingerprint_says_of_which_class_and_in_which_order() -> None:
    """The class and the order of pairs matter; a whole number equals the same decimal; an example that stays."""
    assert wire.fingerprint(Leaf("x")) != wire.fingerprint(Square(Decimal(1)))
    assert wire.fingerprint(Plain(0)) != wire.fingerprint(PlainChild())
    bands = ((Decimal(1), 2), (Decimal(2), 3))
    assert wire.fingerprint(Everything(bands=bands)) != wire.fingerprint(Everything(bands=bands[::-1]))
    assert wire.fingerprint(Everything(number=5)) == wire.fingerprint(Everything(number=Decimal("5.0")))
    by_price = class_with(Mapping[Decimal, int])
    assert wire.fingerprint(by_price({Decimal("1.0"): 2})) == wire.fingerprint(by_price({Decimal("1.00"): 2}))
    assert wire.canonical(Square(Decimal("-0.0"))) == '{"side":"0","type":"square"}'
    assert wire.fingerprint(cash("1.50")) == ("d9cd5ae37dbc7fceae8833626f8360affb6475a4efded3e72412afb9aa7bb92d")


# ---------------------------------------------------------------- the schema

KINDS: list[Any] = [Fact, Order, Refund, Reversal, Activity, Member, Tender, Everything, Shape, Node, Period, Plain]


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_one(kind: Any) -> None:
    """The schema is a valid document of 2020-12 whose objects are closed."""
    schema = wire.schema(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(body["additionalProperties"] is False for body in schema["$defs"].values())


VALIDATORS = {kind: Draft202012Validator(wire.schema(kind)) for kind in (Fact, Everything, Shape)}


@given(facts, everything, shapes)
def test_what_is_written_fits_the_schema(fact: Any, value: Everything, shape: Shape) -> None:
    """Every value's data, and its canonical form, fit the schema of the type that it is read as."""
    for kind, written in ((Fact, fact), (Everything, value), (Shape, shape)):
        VALIDATORS[kind].validate(wire.to_data(written, kind))
        VALIDATORS[kind].validate(json.loads(wire.canonical(written)))


BROKEN = [
    ("lines.1.skuu", "x"),
    ("lines.1.sku", 5),
    ("lines.1.total", 12.5),
    ("lines.1.total", "1e5"),
    ("lines.1.gift_card", 1),
    ("lines.1.categories", "coffee"),
    ("lines", {"sku": "x"}),
    ("revision", True),
    ("revision", 2**63),
    ("at", "2026-03-02T09:30:00"),
    ("at", "2026-13-02T09:30:00Z"),
    ("state", "payed"),
    ("channel", "x" * 100_001),
    ("type", "refund"),
]


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_what_the_schema_refuses_is_refused_and_the_other_way_round(path: str, value: Any) -> None:
    """Schema and reader agree on what is well formed."""
    validator = Draft202012Validator(wire.schema(Order))
    assert validator.is_valid(GOOD)
    assert not validator.is_valid(changed(path, value))
    with pytest.raises(InputError):
        wire.from_data(Order, changed(path, value))


def test_the_schema_of_a_line() -> None:
    """What a person sees of a class in the schema: its sentence, its fields, its defaults."""
    schema = wire.schema(Tender)
    assert schema["$ref"] == "#/$defs/Tender"
    assert schema["$defs"]["Tender"] == {
        "type": "object",
        "description": "One part of how an order was paid. Use `cash`, `gift_card` or `points`.",
        "properties": {
            "type": {"const": "tender"},
            "kind": {"enum": ["cash", "points", "gift_card"]},
            "amount": {key: rule for key, rule in wire.schema(Decimal).items() if key[0] != "$"},
            "points": {"type": "integer", "minimum": 1 - 2**63, "maximum": 2**63 - 1, "default": 0},
            "key": {"anyOf": [{"type": "string", "maxLength": 100_000}, {"type": "null"}]},
            "unit": {"type": "string", "maxLength": 100_000, "default": "points"},
        },
        "required": ["kind", "amount"],
        "additionalProperties": False,
    }
