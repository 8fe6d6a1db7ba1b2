"""Values of every kind, and data of them, for the tests of the plain-data form."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NewType
from zoneinfo import ZoneInfo

import attrs
from hypothesis import strategies as st

from loyaltykit import wire
from loyaltykit.calendar import Period, days, months
from loyaltykit.errors import InputError, RefundTooLarge
from loyaltykit.facts import Activity, Line, Member, Order, Refund, Reversal, cash, points
from loyaltykit.matching import category, dates, order_total, time_of_day, weekday
from loyaltykit.program import Program, Unit, grace
from loyaltykit.rewards import coins, reward
from loyaltykit.rules import OnEvent, activity, bonus, per_amount, per_month, per_order, rate_table
from loyaltykit.windows import CalendarWindow, Lifetime, Rolling

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
    lines=st.none() | st.dictionaries(names, st.decimals(0, 9, places=1), min_size=1, max_size=3),
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
    if value == 8:
        raise RefundTooLarge("picky.count", value, "not 8")
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


PROGRAM = Program(
    "Corner Shop Club",
    "USD",
    "America/New_York",
    earning=[
        per_amount(1, each="1.00"),
        bonus("1.5", where=category("coffee") & ~weekday("mon") | time_of_day("22:00", "02:00") & order_total("50")),
        activity("review", 50, cap=per_month(2), activation=OnEvent("delivered")),
        rate_table({"0": 1, "50.00": 2}, name="bands", validity="never"),
        per_order(5, where=dates(date(2026, 1, 1), through=date(2026, 2, 28))),
    ],
    rewards=[coins(100, worth="1.00", minimum=500), reward("tote", 300, kind="gift", through=date(2026, 6, 30))],
    units=[Unit("stamps", restore=grace(days(30))), Unit("credit", money=True, restore="off")],
    validity=months(12).to_end_of("month"),
    activation=days(14),
    basis="before_discounts",
    effective_from=datetime(2026, 1, 1, tzinfo=UTC),
)

GOOD: dict[str, Any] = wire.to_data(ORDER)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good order's data with one member set, which `path` names as in "lines.0.sku"."""
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    target: Any = data
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return data


def class_with(kind: Any, name: str = "value") -> Any:
    """Return a new class with one field of the type `kind`."""

    class Bad:
        pass

    Bad.__annotations__[name] = kind
    return attrs.frozen(Bad)
