"""Where a rule holds: conditions on an order, its lines and its moment, as trees of plain data.

``category("coffee") & weekday("mon") | ~channel("app")`` is such a tree. A condition on goods (`category`, `sku`)
is asked of each line, all others of the order as a whole. Days, weekdays and times of day are local to the
program's zone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal, NoReturn, get_args

import attrs

from loyaltykit.calendar import local_date
from loyaltykit.errors import InputError
from loyaltykit.facts import Line
from loyaltykit.fields import amount, one_of, optional, texts

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_DAYS: tuple[Day, ...] = get_args(Day)
_DAY_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_MAX_DEPTH = 10  # a tree of data that people wrote is not deeper; JSON of it stays within the levels that are read


Tiers = str | tuple[str, ...] | None
"""The member's tier; where there are several ladders, those that the member has."""


def has_tier(tier: Tiers, names: Container[str]) -> bool:
    """Say whether a member has one of the tiers of these names.

    >>> has_tier(("Gold", "Founder"), {"Founder"}), has_tier(None, {"Gold"})
    (True, False)
    """
    if tier is None or isinstance(tier, str):
        return tier in names
    return any(each in names for each in tier)


@attrs.frozen(slots=False)
class Scene:
    """What a condition is asked about: an order (or activity) at its instant, seen from the program.

    `tier` is the member's. `total` is the order's basis total as (numerator, denominator), in the currency; None where
    there is none.
    """

    at: datetime
    zone: tzinfo
    tier: Tiers = None
    channel: str | None = None
    codes: tuple[str, ...] = ()
    total: tuple[int, int] | None = None

    @cached_property
    def day(self) -> date:
        """The local day."""
        return local_date(self.at, self.zone)

    @cached_property
    def clock(self) -> time:
        """The local time of day."""
        return self.at.astimezone(self.zone).time()

    @cached_property
    def folded_codes(self) -> frozenset[str]:
        """The codes, as they are compared: without regard to case and outer spaces."""
        return frozenset(_folded(each) for each in self.codes)

    def reaches(self, least: Decimal) -> bool:
        """Say whether the order's total is at least so much."""
        if self.total is None:
            return False
        numerator, denominator = least.as_integer_ratio()
        return self.total[0] * denominator >= numerator * self.total[1]


class Match(ABC):
    """A condition. Combine conditions with ``&``, ``|`` and ``~``.

    >>> str(category("coffee") & ~weekday("sat", "sun"))
    'on coffee and not on Saturdays or Sundays'
    """

    __slots__ = ()

    per_line: ClassVar[bool] = False  # asked of each line, rather than of the order as a whole

    @abstractmethod
    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the condition holds of this line of the order; a condition on goods fails without a line."""

    def __and__(self, other: Match) -> AllOf:
        return AllOf(_joined(AllOf, self, other)) if isinstance(other, Match) else NotImplemented

    def __or__(self, other: Match) -> AnyOf:
        return AnyOf(_joined(AnyOf, self, other)) if isinstance(other, Match) else NotImplemented

    def __invert__(self) -> Match:
        return self.part if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("a condition is not true or false by itself; combine conditions with & | ~, not and, or, not")


def _joined(kind: type[AllOf] | type[AnyOf], *parts: Match) -> tuple[Match, ...]:
    """Put ``a & b & c`` into one tuple rather than nesting pairs."""
    return tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, kind) else (part,)))


def depends_on_line(match: Match | None) -> bool:
    """Say whether a condition has to be asked of each line.

    >>> depends_on_line(weekday("mon") | sku("mug")), depends_on_line(weekday("mon"))
    (True, False)
    """
    return any(leaf.per_line for leaf in leaves(match))


def leaves(match: Match | None) -> tuple[Match, ...]:
    """Return the single conditions that a tree is made of, from left to right."""
    if match is None:
        return ()
    if isinstance(match, Not):
        return leaves(match.part)
    if isinstance(match, AllOf | AnyOf):
        return tuple(leaf for part in match.parts for leaf in leaves(part))
    return (match,)


def _or(items: tuple[str, ...]) -> str:
    *others, last = items
    return f"{', '.join(others)} or {last}" if others else last


def _folded(code: str) -> str:
    return code.strip().casefold()


def _some(field: str, convert: Callable[[Any], tuple[Any, ...]]) -> Any:
    def check(value: Any) -> tuple[Any, ...]:
        items = convert(value)
        if not items:
            raise InputError(field, value, "name at least one")
        return items

    return check


@attrs.frozen
class _Named(Match):
    """What names one or several things."""

    names: tuple[str, ...] = attrs.field(converter=_some("where.names", texts("where.names")))


# ---------------------------------------------------------------- conditions on goods


@attrs.frozen
class Category(_Named):
    """The line is of one of these categories."""

    per_line: ClassVar[bool] = True

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the line has one of the categories."""
        return line is not None and any(each in self.names for each in line.categories)

    def __str__(self) -> str:
        return f"on {_or(self.names)}"


@attrs.frozen
class Sku(_Named):
    """The line is one of these products; of an activity, its product is."""

    per_line: ClassVar[bool] = True

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the line is one of the products."""
        return line is not None and line.sku in self.names

    def __str__(self) -> str:
        return f"on product {_or(self.names)}"


# ---------------------------------------------------------------- conditions on the order and its moment


@attrs.frozen
class Channel(_Named):
    """The order came through one of these channels."""

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the order's channel is named."""
        return scene.channel in self.names

    def __str__(self) -> str:
        return f"through {_or(self.names)}"


@attrs.frozen
class Code(_Named):
    """One of these codes was given with the order, in upper or lower case."""

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether one of the codes was given."""
        return bool(scene.codes) and any(_folded(each) in scene.folded_codes for each in self.names)

    def __str__(self) -> str:
        return f"with code {_or(self.names)}"


@attrs.frozen
class InTier(_Named):
    """The member has one of these tiers."""

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the member's tier is named."""
        return has_tier(scene.tier, self.names)

    def __str__(self) -> str:
        return f"for {_or(self.names)}"


def _weekdays(value: Any) -> tuple[Day, ...]:
    given = [one_of("weekday.days", Day)(each) for each in texts("weekday.days")(value)]
    return tuple(each for each in _DAYS if each in given)


@attrs.frozen
class Weekday(Match):
    """The order was placed on one of these weekdays."""

    days: tuple[Day, ...] = attrs.field(converter=_some("weekday.days", _weekdays))

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the local day is one of the weekdays."""
        return _DAYS[scene.day.weekday()] in self.days

    def __str__(self) -> str:
        return f"on {_or(tuple(_DAY_NAMES[_DAYS.index(each)] for each in self.days))}"


def _clock(field: str) -> Any:
    def convert(value: Any) -> time:
        if isinstance(value, str):
            try:
                value = time.fromisoformat(value)
            except ValueError:
                raise InputError(field, value, "give a local time of day, as in '17:30'") from None
        if not isinstance(value, time) or value.tzinfo is not None:
            raise InputError(field, value, "give a local time of day without a zone, as in '17:30'")
        return value

    return convert


@attrs.frozen
class TimeOfDay(Match):
    """The order was placed at a local time from `start`, inclusive, to `end`, exclusive; it may cross midnight."""

    start: time = attrs.field(converter=_clock("time_of_day.start"))
    end: time = attrs.field(converter=_clock("time_of_day.end"))

    def __attrs_post_init__(self) -> None:
        if self.start == self.end:
            raise InputError("time_of_day.end", self.end, "give another time than the start; a whole day needs no rule")

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the local time lies between the two."""
        after, before = self.start <= scene.clock, scene.clock < self.end
        return (after and before) if self.start < self.end else (after or before)

    def __str__(self) -> str:
        return f"from {self.start:%H:%M} to {self.end:%H:%M}"


def _day(field: str) -> Any:
    def convert(value: Any) -> date:
        if not isinstance(value, date) or isinstance(value, datetime):
            raise InputError(field, value, "give a local day, as in date(2026, 3, 2)")
        return value

    return convert


@attrs.frozen
class Dates(Match):
    """The order was placed on a local day from `start`, inclusive, until `until`, exclusive; None is without end."""

    start: date | None = attrs.field(default=None, converter=optional(_day("dates.start")))
    until: date | None = attrs.field(default=None, converter=optional(_day("dates.until")))

    def __attrs_post_init__(self) -> None:
        if self.start is not None and self.until is not None and self.until <= self.start:
            raise InputError("dates.until", self.until, f"give a day after the start, {self.start}")

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the local day is one of them."""
        return (self.start is None or self.start <= scene.day) and (self.until is None or scene.day < self.until)

    def __str__(self) -> str:
        parts = [f"from {self.start}"] if self.start else []
        parts += [until_words(self.until)] if self.until else []
        return " ".join(parts) or "on every day"


@attrs.frozen
class OrderTotal(Match):
    """The order's basis total, all lines that earn, is at least so much: exactly so much is enough."""

    at_least: Decimal = attrs.field(converter=amount("order_total.at_least"))

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether the order's total is reached."""
        return scene.reaches(self.at_least)

    def __str__(self) -> str:
        return f"on orders of at least {self.at_least:f}"


# ---------------------------------------------------------------- combinations


def _parts(field: str) -> Any:
    def convert(value: Any) -> tuple[Match, ...]:
        parts = tuple(value)
        if not parts:
            raise InputError(field, value, "give at least one condition")
        for part in parts:
            if not isinstance(part, Match):
                raise InputError(field, part, "give conditions, as in category('coffee')")
        _check_depth(field, parts)
        return parts

    return convert


def _part(value: Any) -> Any:
    (part,) = _parts("not.part")((value,))
    return part


def _depth(match: Match) -> int:
    if isinstance(match, Not):
        return 1 + _depth(match.part)
    if isinstance(match, AllOf | AnyOf):
        return 1 + max(map(_depth, match.parts))
    return 1


def _check_depth(field: str, parts: tuple[Match, ...]) -> None:
    if max(map(_depth, parts)) >= _MAX_DEPTH:
        raise InputError(field, "...", f"at most {_MAX_DEPTH} levels of conditions")


def _nested(part: Match) -> str:
    return f"({part})" if isinstance(part, AllOf | AnyOf) else str(part)


@attrs.frozen
class AllOf(Match):
    """All of the conditions hold: ``a & b``."""

    parts: tuple[Match, ...] = attrs.field(converter=_parts("all_of.parts"))

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether all of them hold."""
        return all(part.holds(scene, line) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(map(_nested, self.parts))


@attrs.frozen
class AnyOf(Match):
    """At least one of the conditions holds: ``a | b``."""

    parts: tuple[Match, ...] = attrs.field(converter=_parts("any_of.parts"))

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether one of them holds."""
        return any(part.holds(scene, line) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(map(_nested, self.parts))


@attrs.frozen
class Not(Match):
    """The condition does not hold: ``~a``."""

    part: Match = attrs.field(converter=_part)

    def holds(self, scene: Scene, line: Line | None) -> bool:
        """Say whether it does not hold."""
        return not self.part.holds(scene, line)

    def __str__(self) -> str:
        return f"not {_nested(self.part)}"


# ---------------------------------------------------------------- how they are written


def category(*names: str) -> Category:
    """Goods of one of these categories.

    >>> str(category("coffee", "tea"))
    'on coffee or tea'
    """
    return Category(names)


def sku(*names: str) -> Sku:
    """One of these products."""
    return Sku(names)


def channel(*names: str) -> Channel:
    """Orders through one of these channels."""
    return Channel(names)


def code(*names: str) -> Code:
    """Orders with one of these codes; case and outer spaces do not matter."""
    return Code(names)


def tier(*names: str) -> InTier:
    """Members of one of these tiers."""
    return InTier(names)


def weekday(*days: Day) -> Weekday:
    """Orders on one of these local weekdays: ``mon``, ``tue``, ``wed``, ``thu``, ``fri``, ``sat``, ``sun``."""
    return Weekday(days)


def time_of_day(start: time | str, end: time | str) -> TimeOfDay:
    """Orders at a local time from `start`, inclusive, to `end`, exclusive.

    >>> str(time_of_day("22:00", "02:00"))
    'from 22:00 to 02:00'
    """
    return TimeOfDay(start, end)


def dates(start: date | None = None, *, until: date | None = None, through: date | None = None) -> Dates:
    """Orders on local days from `start`, ``until`` a day (exclusive) or ``through`` a day (inclusive).

    >>> str(dates(date(2026, 6, 1), through=date(2026, 6, 30)))
    'from 2026-06-01 through 2026-06-30'
    """
    return Dates(start, until_or_through("dates", until, through))


def until_words(until: date) -> str:
    """Return in words that something lasts until a day, exclusive: its last day is meant.

    >>> until_words(date(2026, 7, 1))
    'through 2026-06-30'
    """
    return f"through {until - timedelta(1)}" if until > date.min else f"until {until}"


def until_or_through(owner: str, until: date | None, through: date | None) -> date | None:
    """Return the first day after the last one, from whichever of the two was given."""
    if through is None:
        return until
    if until is not None:
        raise InputError(f"{owner}.through", through, "give until (exclusive) or through (inclusive), not both")
    last = _day(f"{owner}.through")(through)
    return last + timedelta(1) if last < date.max else None


def order_total(at_least: Decimal | int | str) -> OrderTotal:
    """Orders whose basis total is at least so much (inclusive)."""
    return OrderTotal(at_least)
