"""What the plain-data form refuses: each mistake by its path, in words that help, and within bounds."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Any, Literal

import attrs
import pytest
from wire_values import (
    ORDER,
    Both,
    Everything,
    Leaf,
    Node,
    Picky,
    Points,
    Shape,
    Square,
    changed,
    class_with,
)

from loyaltykit import wire
from loyaltykit.errors import InputError, RefundTooLarge
from loyaltykit.facts import Fact, Line, Order, Refund
from loyaltykit.windows import Lifetime

# ---------------------------------------------------------------- what is refused


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
        wire.from_data(Order, changed(path, value))
    assert field == caught.value.field
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value", "field", "hint"),
    [
        ("lines.1.discount", "13.00", "order.lines[1].discount", "at most the line's total, 12.00"),
        ("lines.0.quantity", "-1", "order.lines[0].quantity", ""),
        ("lines", [{"sku": "mug", "id": "a"}] * 2, "order.lines", "two lines of one order have this id"),
        ("discount", "100.00", "order.discount", "at most what the lines leave"),
        ("tenders.1.points", -5, "order.tenders[1].points", ""),
        ("id", "", "order.id", "1 to 200 printable characters"),
    ],
)
def test_what_a_class_refuses_is_named_by_its_path(path: str, value: Any, field: str, hint: str) -> None:
    """A refusal by the class itself is placed in the whole document too."""
    with pytest.raises(InputError) as caught:
        wire.from_data(Order, changed(path, value))
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
        wire.from_data(Order, changed("lines.1.sku", 5))
    assert pickle.loads(pickle.dumps(caught.value)).field == "order.lines[1].sku"


def test_a_refusal_keeps_its_kind() -> None:
    """The class of an error that a value raises stays what it was."""
    with pytest.raises(RefundTooLarge) as caught:
        wire.from_data(tuple[Picky, ...], [{"count": 8}])
    assert caught.value.field == "data[0].count"


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
    bad = class_with(kind)
    with pytest.raises(InputError, match=hint) as caught:
        wire.to_data(bad(1))
    assert caught.value.field == "bad"
    assert "Bad.value" in str(caught.value)


def test_a_field_named_type_or_without_a_type_is_refused() -> None:
    """The tag's own key is taken, and a field without an annotation says nothing about its form."""
    with pytest.raises(InputError, match="rename the field"):
        wire.schema(class_with(str, "type"))
    with pytest.raises(InputError, match="say of which type"):
        wire.schema(attrs.make_class("Bad", ["value"]))
    with pytest.raises(InputError, match="readable at run time"):
        wire.schema(class_with("Nowhere"))


def test_two_classes_of_one_name_are_refused() -> None:
    """A tag that could mean two classes means none."""

    class Root:
        pass

    attrs.make_class("Twin", {}, bases=(Root,), class_body={"__qualname__": "First.Twin"})
    kept = [attrs.make_class("Twin", {}, bases=(Root,), class_body={"__qualname__": f"{place}.Twin"}) for place in "AB"]
    with pytest.raises(InputError, match="rename one of the two"):
        wire.schema(Root)
    assert len(kept) == 2
