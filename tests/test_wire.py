"""The plain-data form of every value: lossless, exact, readable, bounded, and described by a schema."""

from __future__ import annotations

import json
import pickle
import string
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Any, Literal, NewType
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from loyaltykit import wire
from loyaltykit.calendar import Period, days, months, to_us
from loyaltykit.errors import InputError, RefundTooLarge
from loyaltykit.facts import Activity, Fact, Line, Member, Order, Refund, Reversal, Tender, cash, points
from loyaltykit.windows import Between, CalendarWindow, Lifetime, Rolling

# ---------------------------------------------------------------- values to convert

ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
names = st.text(string.ascii_letters + string.digits + " -/ßüé中🎁\"'\\", min_size=1, max_size=12)
sums = st.decimals(0, 10**6, places=2) | st.sampled_from([Decimal(0), Decimal("0.00"), Decimal("1E+3"), Decimal("7")])
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
naive = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))
instants = st.builds(lambda at, zone: at.replace(tzinfo=zone), naive, offsets)
zoned = st.builds(lambda at, name: at.replace(tzinfo=ZoneInfo(name)), naive, st.sampled_from(ZONES))

lines = st.builds(
    Line,
    sku=names,
    quantity=st.decimals(0, 1000, places=3),
    total=sums,
    categories=st.lists(names, max_size=2),
    gift_card=st.booleans(),
    donation=st.booleans(),
)
orders = st.builds(
    Order,
    id=names,
    member=names,
    at=instants,
    lines=st.lists(lines, max_size=3),
    shipping=sums,
    tax=sums,
    codes=st.lists(names, max_size=2),
    channel=st.none() | names,
    state=st.sampled_from(["draft", "placed", "paid", "cancelled"]),
    revision=st.integers(1, 2**63 - 1),
)
refunds = st.builds(
    Refund,
    id=names,
    member=names,
    order=names,
    at=instants,
    lines=st.none() | st.lists(st.tuples(names, st.decimals(0, 9, places=1)), min_size=1, max_size=3),
)
birthdays = st.none() | st.dates() | st.dates().map(lambda day: (day.month, day.day))
members = st.builds(
    Member, id=names, at=instants, birthday=birthdays, attributes=st.dictionaries(names, names, max_size=2)
)
facts = st.one_of(
    orders,
    refunds,
    members,
    st.builds(Reversal, id=names, member=names, order=names, refund=names, at=instants),
    st.builds(Activity, id=names, member=names, name=names, at=instants, product=st.none() | names),
)

ORDER = Order(
    "1001",
    "ann",
    datetime(2026, 3, 2, 9, 30, tzinfo=ZoneInfo("America/New_York")),
    [Line("espresso", 2, unit_price="3.50", categories="coffee"), Line("mug", total="12.00", discount="2.00")],
    shipping="4.90",
    tenders=[cash("15.00"), points(88, worth="0.88")],
    channel="web",
)


class Shape:
    """A family of classes without fields of their own."""


@attrs.frozen
class Square(Shape):
    """A square."""

    side: Decimal


@attrs.frozen
class Both(Shape):
    """Two shapes."""

    parts: tuple[Shape, ...]


@attrs.frozen
class Leaf:
    """The end of a tree."""

    name: str = "leaf"


@attrs.frozen
class Node:
    """A tree as a union of its own classes."""

    children: tuple[Leaf | Node, ...] = ()


@attrs.frozen
class Plain:
    """A class that has a child class."""

    count: int = 0


@attrs.frozen
class PlainChild(Plain):
    """The child."""

    more: int = 0


Points = NewType("Points", int)


@attrs.frozen
class Everything:
    """One field of each type that has a JSON form."""

    when: datetime | date | None = None
    number: Decimal | int | None = None
    share: Fraction = Fraction(1)
    opens: time = time(9)
    weekday: Literal["mon", "tue"] | date = "mon"
    level: Literal[1, 2] = 1
    free: Literal["any"] | str = "any"
    birthday: date | tuple[int, int] | None = None
    bands: tuple[tuple[Decimal, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    prices: Mapping[str, Decimal] = attrs.field(factory=dict)
    byday: dict[date, Points] = attrs.field(factory=dict)
    validity: Period | Leaf | None = None
    shape: Shape | None = None
    plain: Plain | str | None = None
    limits: Mapping[str, int] | int | None = None
    note: Annotated[str, "free text"] = ""
    _hidden: bool = False
    derived: int = attrs.field(init=False, default=7)


def _count(value: int) -> int:
    if value < 0:
        raise InputError("rule.count", value, "not below 0")
    if value > 9:
        raise InputError("elsewhere.limit", value, "not above 9")
    if value == 7:
        raise ValueError("not 7")
    return value


def _twice(picky: Picky) -> int:
    return picky.count * 2


@attrs.frozen
class Picky:
    """A class with words of its own for what it refuses."""

    count: int = attrs.field(converter=_count)
    double: int = attrs.field(default=attrs.Factory(_twice, takes_self=True))
    ratio: Decimal = attrs.field(default="1.0", converter=Decimal)  # type: ignore[assignment]
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    aside: str = attrs.field(default="", eq=False)


shapes = st.recursive(
    st.builds(Square, sums), lambda inner: st.builds(Both, st.lists(inner, max_size=2).map(tuple)), max_leaves=4
)
everything = st.builds(
    Everything,
    when=st.none() | instants | st.dates(),
    number=st.none() | sums | st.integers(-(2**63) + 1, 2**63 - 1),
    share=st.fractions(),
    opens=st.times(),
    weekday=st.sampled_from(["mon", "tue"]) | st.dates(),
    level=st.sampled_from([1, 2]),
    free=st.sampled_from(["any"]) | names,
    birthday=birthdays,
    bands=st.lists(st.tuples(sums, st.integers(0, 9)), max_size=3).map(tuple),
    edges=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3).map(tuple),
    prices=st.dictionaries(names, sums, max_size=2),
    byday=st.dictionaries(st.dates(), st.integers(0, 9).map(Points), max_size=2),
    validity=st.sampled_from([None, months(12).to_end_of("month"), days(14), Leaf(), Leaf("x")]),
    shape=st.none() | shapes,
    plain=st.none() | names | st.builds(Plain, st.integers(0, 9)) | st.builds(PlainChild, more=st.integers(0, 9)),
    limits=st.none() | st.integers(0, 9) | st.dictionaries(names, st.integers(0, 9), max_size=2),
    note=names,
    hidden=st.booleans(),
)
values = facts | everything | shapes | st.sampled_from([Rolling(days(5)), CalendarWindow("month"), Lifetime()])


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
            {"sku": "espresso", "quantity": "2", "unit_price": "3.50", "categories": ["coffee"], "id": "espresso"},
            {"sku": "mug", "total": "12.00", "discount": "2.00", "id": "mug"},
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
    at = datetime(2026, 3, 9, tzinfo=UTC)
    once, twice = Refund("r", "a", "o", at, [("b", 1), ("a", 2)]), Refund("r", "a", "o", at, [("a", 1), ("a", 2)])
    assert wire.to_data(once)["lines"] == {"a": "2", "b": "1"}
    assert wire.to_data(twice)["lines"] == [["a", "1"], ["a", "2"]]
    assert twice == wire.from_data(Refund, wire.to_data(twice))


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
    by_price = _class_with(Mapping[Decimal, int])
    assert wire.fingerprint(by_price({Decimal("1.0"): 2})) == wire.fingerprint(by_price({Decimal("1.00"): 2}))
    assert wire.canonical(Square(Decimal("-0.0"))) == '{"side":"0","type":"square"}'
    assert wire.fingerprint(cash("1.50")) == ("d9cd5ae37dbc7fceae8833626f8360affb6475a4efded3e72412afb9aa7bb92d")


# ---------------------------------------------------------------- what is refused

GOOD: dict[str, Any] = wire.to_data(ORDER)


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good order's data with one member set, which `path` names as in "lines.0.sku"."""
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    target: Any = data
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "field", "hint"),
    [
        ("lines.1.skuu", "x", "order.lines[1].skuu", "did you mean sku? choose one of sku, quantity, total"),
        ("chanel", "web", "order.chanel", "did you mean channel?"),
        ("lines.1.sku", 5, "order.lines[1].sku", "give a string"),
        ("lines.1.sku", {"a": 1}, "order.lines[1].sku", "give a string"),
        ("lines.1.total", 12.5, "order.lines[1].total", 'put it in quotes: "12.5"'),
        ("lines.1.total", True, "order.lines[1].total", 'give a decimal number in quotes, such as "3.50"'),
        ("lines.1.total", "1e5", "order.lines[1].total", "plain decimal number"),
        ("lines.1.total", "١٢", "order.lines[1].total", "plain decimal number"),
        ("lines.1.total", "NaN", "order.lines[1].total", "plain decimal number"),
        ("lines.1.gift_card", 1, "order.lines[1].gift_card", "give true or false"),
        ("lines.1.categories", "coffee", "order.lines[1].categories", "give an array, in square brackets"),
        ("lines.1.categories", ["a", 5], "order.lines[1].categories[1]", "give a string"),
        ("lines", {"sku": "x"}, "order.lines", "give an array"),
        ("lines.0", "espresso", "order.lines[0]", "give a line object, in braces"),
        ("revision", True, "order.revision", "whole number"),
        ("revision", 1.0, "order.revision", "without a decimal point"),
        ("revision", 2**63, "order.revision", "at most 2**63 - 1"),
        ("at", "2026-03-02T09:30:00", "order.at", "say in which zone"),
        ("at", "2026-03-02 09:30", "order.at", "say in which zone"),
        ("at", "2026-02-30T09:30:00Z", "order.at", "day is out of range"),
        ("at", "2026-03-02T09:30:00.1234567Z", "order.at", "give an instant with its offset"),
        ("at", 1772443800, "order.at", "give an instant with its offset"),
        ("state", "plaid", "order.state", "did you mean paid? choose one of draft, placed, paid, cancelled"),
        ("channel", "\ud800", "order.channel", "surrogate"),
        ("channel", "x" * 100_001, "order.channel", "at most 100000 characters, not 100001"),
        ("type", "refund", "order.type", "choose one of order"),
    ],
)
def test_a_mistake_is_named_by_its_path(path: str, value: Any, field: str, hint: str) -> None:
    """Whatever is wrong, the error says where, and what would be right."""
    with pytest.raises(InputError) as caught:
        wire.from_data(Order, _changed(path, value))
    assert field == caught.value.field
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value", "field", "hint"),
    [
        ("lines.1.discount", "13.00", "order.lines[1].discount", "at most the line's total, 12.00"),
        ("lines.0.quantity", "-1", "order.lines[0].quantity", ""),
        ("lines.1.id", "espresso", "order.lines", "two lines of one order have this id"),
        ("discount", "100.00", "order.discount", "at most what the lines leave"),
        ("tenders.1.points", -5, "order.tenders[1].points", ""),
        ("id", "", "order.id", "1 to 200 printable characters"),
    ],
)
def test_what_a_class_refuses_is_named_by_its_path(path: str, value: Any, field: str, hint: str) -> None:
    """A refusal by the class itself is placed in the whole document too."""
    with pytest.raises(InputError) as caught:
        wire.from_data(Order, _changed(path, value))
    assert field == caught.value.field
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "field", "hint"),
    [(-1, "data[1].count", "not below 0"), (10, "data[1]", "not above 9"), (7, "data[1]", "picky: not 7")],
)
def test_a_class_may_have_its_own_words(value: int, field: str, hint: str) -> None:
    """A class that names its field otherwise, or raises something else, is still found by the path."""
    with pytest.raises(InputError) as caught:
        wire.from_data(tuple[Picky, ...], [{"count": 1}, {"count": value}])
    assert field == caught.value.field
    assert hint == caught.value.hint


def test_defaults_are_left_out_as_the_class_understands_them() -> None:
    """A default is compared as the class converts it; one that follows from other fields is always written."""
    assert wire.to_data(Picky(3)) == {"count": 3, "double": 6}
    assert wire.to_data(Picky(3, ratio="1.00", at=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))) == (
        {"count": 3, "double": 6}
    )
    assert Picky(3, ratio="2") == wire.loads(Picky, '{"count": 3, "ratio": "2"}')


def test_what_is_not_compared_is_kept_and_not_fingerprinted() -> None:
    """A field that does not count when values are compared is written, and no part of the fingerprint."""
    value = Picky(3, aside="by hand")
    assert wire.loads(Picky, wire.dumps(value)).aside == "by hand"
    assert wire.fingerprint(value) == wire.fingerprint(Picky(3))


def test_any_mapping_is_an_object() -> None:
    """A mapping need not be a dict, also where it is one of several types."""
    assert wire.from_data(Everything, {"limits": None}) == Everything()
    assert wire.to_data(Everything(limits=MappingProxyType({"a": 1}))) == {"limits": {"a": 1}}


def test_the_path_survives_pickling() -> None:
    """The error that crosses a process still says where."""
    with pytest.raises(InputError) as caught:
        wire.from_data(Order, _changed("lines.1.sku", 5))
    assert pickle.loads(pickle.dumps(caught.value)).field == "order.lines[1].sku"


def test_a_refusal_keeps_its_kind() -> None:
    """The class of an error that a fact raises stays what it was."""
    data = {"id": "r", "member": "a", "order": "o", "at": "2026-03-02T09:30:00Z", "amount": "0"}
    with pytest.raises(RefundTooLarge) as caught:
        wire.from_data(Refund, data)
    assert caught.value.field == "refund.amount"


@pytest.mark.parametrize(
    ("kind", "data", "field", "hint"),
    [
        (Line, {}, "line.sku", "missing; give a string"),
        (Line, {"sku": "a", "type": None}, "line.type", "missing; choose one of line"),
        (Line, [], "line", "give a line object, in braces"),
        (Line, {5: 1}, "line....", "no such field"),
        (Fact, {}, "data.type", "missing; choose one of order, refund, reversal, activity, member"),
        (Fact, {"type": "ordr"}, "data.type", "did you mean order?"),
        (Fact, {"type": ["order"]}, "data.type", "no such type"),
        (Fact, "order", "data", "give an order object or a refund object"),
        (Shape, {"type": "period"}, "shape.type", "no such type"),
        (Lifetime, {"x": 1}, "lifetime.x", "lifetime has no fields"),
        (Refund, wire.to_data(Refund("r", "a", "o", ORDER.at)) | {"lines": {"mug": 1.5}}, 'refund.lines["mug"]', "1.5"),
        (Refund, wire.to_data(Refund("r", "a", "o", ORDER.at)) | {"lines": [["mug"]]}, "refund.lines[0]", "exactly 2"),
        (Refund, wire.to_data(Refund("r", "a", "o", ORDER.at)) | {"lines": "mug"}, "refund.lines", "name to value"),
        (Everything, {"birthday": [2, 29, 1]}, "everything.birthday", "exactly 2 items, not 3"),
        (Everything, {"birthday": "29 Feb"}, "everything.birthday", 'give a day, such as "2026-03-02"'),
        (Everything, {"birthday": "2026-02-30"}, "everything.birthday", "day is out of range"),
        (Everything, {"when": "tomorrow"}, "everything.when", "give an instant"),
        (Everything, {"number": 1.5}, "everything.number", 'put it in quotes: "1.5"'),
        (Everything, {"weekday": "wed"}, "everything.weekday", "one of mon, tue"),
        (Everything, {"level": True}, "everything.level", "choose one of 1, 2"),
        (Everything, {"share": "1/0"}, "everything.share", 'such as "1/3"'),
        (Everything, {"opens": "25:00"}, "everything.opens", 'such as "17:30"'),
        (Everything, {"prices": {"a": "x"}}, 'everything.prices["a"]', "plain decimal number"),
        (Everything, {"byday": {"x": 1}}, 'everything.byday["x"]', "give a day"),
        (Everything, {"prices": []}, "everything.prices", "give an object, in braces"),
        (Everything, {"bands": {"x": 1}}, 'everything.bands["x"]', "plain decimal number"),
        (Everything, {"shape": {"type": "square", "side": 1.5}}, "everything.shape.side", "in quotes"),
        (Everything, {"note": None}, "everything.note", "give a string"),
        (Everything, {"derived": 8}, "everything.derived", "no such field"),
        (None, 5, "data", "null"),
        (Annotated[int, "any"], "5", "data", "whole number"),
        (tuple[Line, ...], [{"sku": "a"}, {}], "data[1].sku", "missing"),
        (Decimal, "1" * 1001, "decimal", "plain decimal number"),
    ],
)
def test_every_kind_of_mistake_has_its_words(kind: Any, data: Any, field: str, hint: str) -> None:
    """The same care for every type, wherever it stands."""
    with pytest.raises(InputError) as caught:
        wire.from_data(kind, data)
    assert field == caught.value.field
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "field", "hint"),
    [
        (Everything(number=1.5), "everything.number", "give"),  # type: ignore[arg-type]
        (Everything(number=Decimal("NaN")), "everything.number", "finite"),
        (Everything(number=Decimal("1E+1000")), "everything.number", "at most 1000 digits"),
        (Everything(number=Decimal("1E-1001")), "everything.number", "at most 1000 digits"),
        (Everything(number=2**63), "everything.number", "at most 2**63 - 1"),
        (Everything(number=True), "everything.number", ""),
        (Everything(share=Fraction(1, 10**1000)), "everything.share", "at most 1000 digits"),
        (Everything(share=0.5), "everything.share", "give a Fraction"),  # type: ignore[arg-type]
        (Everything(when=datetime(2026, 3, 2)), "everything.when", "tzinfo"),
        (Everything(opens=time(9, tzinfo=UTC)), "everything.opens", "without a zone"),
        (Everything(edges=[(1, 2)]), "everything.edges", "give a tuple"),  # type: ignore[arg-type]
        (Everything(edges=((1, 2, 3),)), "everything.edges[0]", "exactly 2"),  # type: ignore[arg-type]
        (Everything(bands=((Decimal(1), "x"),)), 'everything.bands["1"]', "whole number"),  # type: ignore[arg-type]
        (Everything(bands=(Decimal(1),)), "everything.bands[0]", "give a tuple"),  # type: ignore[arg-type]
        (Everything(prices=()), "everything.prices", "give a mapping"),  # type: ignore[arg-type]
        (Everything(validity=Square(Decimal(1))), "everything.validity", "period"),  # type: ignore[arg-type]
        (
            Everything(byday={datetime(2026, 3, 2): Points(1)}),
            'everything.byday["2026-03-02 00:00:00"]',
            "not a datetime",
        ),
        (Picky(5, at="now"), "picky.at", "give an aware datetime"),  # type: ignore[arg-type]
        (Square(ORDER), "square.side", "give a Decimal"),  # type: ignore[arg-type]
        (Both((Shape(),)), "both.parts[0]", "shape"),
        (5, "int", "give an attrs value"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(value: Any, field: str, hint: str) -> None:
    """A value that does not keep to its own annotations is refused when it is written, by its path."""
    with pytest.raises(InputError) as caught:
        wire.to_data(value)
    assert field == caught.value.field
    assert hint in caught.value.hint
    with pytest.raises(InputError):
        wire.fingerprint(value)


def test_an_instant_outside_the_years_of_utc_has_no_canonical_form() -> None:
    """Midnight of year 1, east of Greenwich, lies before year 1 of UTC: written as it is, and not fingerprinted."""
    value = Everything(when=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))
    assert value == wire.from_data(Everything, wire.to_data(value))
    with pytest.raises(InputError, match="years 1 to 9999"):
        wire.canonical(value)


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"sku": "a", "sku": "b"}', "twice"),
        ('{"sku": NaN}', "not JSON"),
        ('{"sku": -Infinity}', "not JSON"),
        ('{"sku": ', "Expecting value"),
        ("", "Expecting value"),
        ('{"sku": "a"} x', "Extra data"),
        ("[" * 100_000, "at most 32 levels"),
        ('{"a":' * 100_000, "at most 32 levels"),
        ("9" * 5000, "digits"),
        (b'{"sku": "\xff"}', "utf-8"),
        ({"sku": "a"}, "from_data"),
    ],
)
def test_text_that_is_not_json_is_an_input_error(text: Any, hint: str) -> None:
    """Whatever a stranger sends, the answer is one `InputError`, not a parser's."""
    with pytest.raises(InputError, match=hint) as caught:
        wire.loads(Line, text)
    assert caught.value.field == "json"
    assert str(caught.value)


def test_bytes_are_utf_8() -> None:
    """JSON from the network comes as bytes."""
    assert Line("käse") == wire.loads(Line, '{"sku": "käse"}'.encode())
    assert wire.dumps(Line("käse")) == '{"sku": "käse"}'


def test_a_long_text_is_not_looked_at() -> None:
    """The limit counts before anything is parsed; it is inclusive."""
    text = '{"sku": "a"}'
    assert Line("a") == wire.loads(Line, text, limit=len(text))
    with pytest.raises(InputError, match="pass limit="):
        wire.loads(Line, text, limit=len(text) - 1)


def _tree(levels: int) -> Any:
    """Return a tree that stands on so many levels; each of its nodes takes two, the object and the array in it."""
    tree: Any = Leaf()
    for _ in range((levels - 1) // 2):
        tree = Node((tree,))
    return tree


def test_depth_is_bounded_both_ways() -> None:
    """31 levels can be written and read; 33 can be neither."""
    deep = _tree(31)
    data = wire.to_data(deep)
    assert deep == wire.from_data(Node, data)
    too_deep = {"children": [{"type": "node", **data}]}
    for convert in (lambda: wire.to_data(_tree(33)), lambda: wire.from_data(Node, too_deep)):
        with pytest.raises(InputError, match="at most 32 levels") as caught:
            convert()
        assert caught.value.field == "node" + ".children[0]" * 16


def test_data_that_holds_itself_ends() -> None:
    """Data need not come from a parser, and may hold itself."""
    data: dict[str, Any] = {"type": "node"}
    data["children"] = [data]
    with pytest.raises(InputError, match="at most 32 levels"):
        wire.from_data(Node, data)


# ---------------------------------------------------------------- classes that have no JSON form


def _class_with(kind: Any, name: str = "value") -> Any:
    class Bad:
        pass

    Bad.__annotations__[name] = kind
    return attrs.frozen(Bad)


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (set[str], "no JSON form"),
        (timedelta, "no JSON form; make it an attrs class"),
        (float, "no JSON form"),
        (object, "no JSON form"),
        (Any, "no JSON form"),
        (tuple, "no JSON form"),
        (Mapping[int, str], "no JSON form"),
        (str | date, "the texts of these types cannot be told apart"),
        (Decimal | Fraction, "the texts of these types cannot be told apart"),
        (Literal["2026-03-02"] | date, "the texts of these types cannot be told apart"),
        (tuple[int, int] | tuple[str, ...], "the arrays of these types cannot be told apart"),
        (Leaf | Mapping[str, int], "the objects of these types cannot be told apart"),
        (Literal["a", 1] | None, "among strings, or among whole numbers"),
        (Literal[1] | int, "the integers of these types cannot be told apart"),
    ],
)
def test_a_class_that_cannot_be_converted_says_so(kind: Any, hint: str) -> None:
    """What has no JSON form, or an ambiguous one, is refused as such, by the name of the field that has it."""
    with pytest.raises(InputError, match=hint):
        wire.schema(kind)
    bad = _class_with(kind)
    with pytest.raises(InputError, match=hint) as caught:
        wire.to_data(bad(1))
    assert caught.value.field == "bad"
    assert "Bad.value" in str(caught.value)


def test_a_field_named_type_or_without_a_type_is_refused() -> None:
    """The tag's own key is taken, and a field without an annotation says nothing about its form."""
    with pytest.raises(InputError, match="rename the field"):
        wire.schema(_class_with(str, "type"))
    with pytest.raises(InputError, match="say of which type"):
        wire.schema(attrs.make_class("Bad", ["value"]))
    with pytest.raises(InputError, match="readable at run time"):
        wire.schema(_class_with("Nowhere"))


def test_two_classes_of_one_name_are_refused() -> None:
    """A tag that could mean two classes means none."""

    class Root:
        pass

    attrs.make_class("Twin", {}, bases=(Root,), class_body={"__qualname__": "First.Twin"})
    kept = [attrs.make_class("Twin", {}, bases=(Root,), class_body={"__qualname__": f"{place}.Twin"}) for place in "AB"]
    with pytest.raises(InputError, match="rename one of the two"):
        wire.schema(Root)
    assert len(kept) == 2


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
    assert not validator.is_valid(_changed(path, value))
    with pytest.raises(InputError):
        wire.from_data(Order, _changed(path, value))


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
