"""Earning rules as data: what gives points, how often, from when until when.

A rule is a frozen value without behaviour; `loyaltykit.earning` computes with it. What all rules share is said once,
in `Rule`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import attrs

from loyaltykit.amounts import format_money, money, to_minor, whole
from loyaltykit.calendar import CalendarUnit, Period, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import a, amount, brief, count, moment, named, one_of, optional, several, words
from loyaltykit.matching import Match

CapPeriod = Literal["day", "week", "month", "quarter", "half_year", "year", "lifetime"]
Once = Literal["product", "day", "order", "customer"]

POINTS = "points"
"""The unit of all that names no other."""


# ---------------------------------------------------------------- what limits a rule, and what dates its points


@attrs.frozen
class Cap:
    """At most so many times, or so many points, in each calendar period of the program's zone, net of clawbacks.

    Of an award that passes the cap the remainder is given. On a rule the cap counts that rule; on a program it counts
    everything earned in `unit`.

    >>> str(per_month(2)), str(per_day(points=50))
    ('at most 2 times a month', 'at most 50 points a day')
    """

    period: CapPeriod = attrs.field(converter=one_of("cap.period", CapPeriod))
    times: int | None = attrs.field(default=None, converter=optional(count("cap.times")))
    points: int | None = attrs.field(default=None, converter=optional(count("cap.points")))
    unit: str = attrs.field(default=POINTS, converter=named("cap.unit"))

    def __attrs_post_init__(self) -> None:
        if self.times is None and self.points is None:
            raise InputError("cap.times", None, "give times, points, or both")

    @property
    def window(self) -> CalendarUnit | None:
        """The calendar unit in which it counts; None counts for ever."""
        return None if self.period == "lifetime" else self.period

    def __str__(self) -> str:
        parts = ["once" if self.times == 1 else f"{self.times} times"] if self.times is not None else []
        if self.points is not None:
            parts.append(counted(self.points, self.unit))
        period = "ever" if self.window is None else f"a {self.period.replace('_', '-')}"
        return f"at most {' and '.join(parts)} {period}"


def per_day(times: int | None = None, points: int | None = None, unit: str = POINTS) -> Cap:
    """Cap each local day."""
    return Cap("day", times, points, unit)


def per_week(times: int | None = None, points: int | None = None, unit: str = POINTS) -> Cap:
    """Cap each local week, from Monday."""
    return Cap("week", times, points, unit)


def per_month(times: int | None = None, points: int | None = None, unit: str = POINTS) -> Cap:
    """Cap each calendar month."""
    return Cap("month", times, points, unit)


def per_year(times: int | None = None, points: int | None = None, unit: str = POINTS) -> Cap:
    """Cap each calendar year."""
    return Cap("year", times, points, unit)


def per_lifetime(times: int | None = None, points: int | None = None, unit: str = POINTS) -> Cap:
    """Cap for ever."""
    return Cap("lifetime", times, points, unit)


@attrs.frozen
class Budget:
    """A campaign's points, of all members together; what is left of it is given. Rules may share one by its name."""

    name: str = attrs.field(converter=named("budget.name"))
    points: int = attrs.field(converter=count("budget.points"))


@attrs.frozen
class OnEvent:
    """Points that are pending until the host reports an event, such as ``delivered``, for what they were earned on."""

    event: str = attrs.field(converter=named("on_event.event"))

    def __str__(self) -> str:
        return f"once {self.event}"


def counted(count: int, unit: str) -> str:
    """Return so many of a unit, in words.

    >>> counted(1, "points"), counted(1000, "stamps"), counted(1, "status")
    ('1 point', '1,000 stamps', '1 status')
    """
    if count == 1 and unit.endswith("s") and not unit.endswith(("ss", "us", "is")):
        unit = unit[:-1]
    return f"{count:,} {unit}"


def priced(value: Decimal, currency: str | None) -> str:
    """Return money in words; without a currency, as a plain number."""
    return f"{value:f}" if currency is None else format_money(value, currency)


# ---------------------------------------------------------------- what all rules share


def _rule_name(value: Any) -> str:
    return "" if value == "" else str(named("rule.name")(value))


def _budget(value: Any) -> Any:
    return value if value is None or isinstance(value, Budget) else whole(value, "rule.budget")


_period = a("rule.validity", Period, "give a period as in months(12), or 'never'", "never")
_activation = a("rule.activation", (Period, OnEvent), "give a period as in days(14), or OnEvent")


@attrs.frozen(kw_only=True, repr=False)
class Rule(ABC):
    """What every earning rule has besides its own fields.

    name: unique in the program; derived where left out. unit: what it gives. where: on what, and when. cap: how often
    or how much for one member, budget: how much for all. validity: how long its points live (``"never"`` expire),
    activation: when they become active; both as the unit says where left out. starts, ends: the instants from which
    (inclusive) and until which (exclusive) it is in force.
    """

    name: str = attrs.field(default="", converter=_rule_name)
    unit: str = attrs.field(default=POINTS, converter=named("rule.unit"))
    where: Match | None = attrs.field(
        default=None, converter=optional(a("rule.where", Match, "give a condition, as in category('coffee')"))
    )
    cap: Cap | None = attrs.field(
        default=None, converter=optional(a("rule.cap", Cap, "give a cap, as in per_month(2)"))
    )
    budget: Budget | None = attrs.field(default=None, converter=_budget)
    validity: Period | Literal["never"] | None = attrs.field(default=None, converter=optional(_period))
    activation: Period | OnEvent | None = attrs.field(default=None, converter=optional(_activation))
    starts: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("rule.starts")))
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("rule.ends")))

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self._derived_name())
        if isinstance(self.budget, int):  # a budget of the rule's own, by its name
            object.__setattr__(self, "budget", Budget(self.name, self.budget))
        if self.starts is not None and self.ends is not None and to_us(self.ends) <= to_us(self.starts):
            raise InputError("rule.ends", self.ends, f"give an instant after the start, {self.starts}")

    @abstractmethod
    def _word(self) -> str:
        """Return what the rule rewards, in a word or two."""

    @abstractmethod
    def gives(self, currency: str | None = None) -> str:
        """Return what the rule gives, without its limits, in the words that a shopper would be told."""

    def _derived_name(self) -> str:
        derived = self._word()
        if self.where is not None:
            derived += f" {self.where}"
        if self.unit != POINTS:
            derived += f" ({self.unit})"
        return derived.replace("/", "-").replace("~", "-")[:200]

    def in_force(self, at: datetime) -> bool:
        """Say whether the rule is in force at an instant: ``starts <= at < ends``."""
        if self.starts is None and self.ends is None:
            return True
        us = to_us(at)
        return (self.starts is None or to_us(self.starts) <= us) and (self.ends is None or us < to_us(self.ends))

    def says(self, currency: str | None = None) -> str:
        """Return the rule as one plain phrase: its name, what it gives, and its limits."""
        parts = [self.gives(currency)]
        if self.where is not None and str(self.where) not in self.name:
            parts[0] += f" {self.where}"
        if self.cap is not None:
            parts.append(str(attrs.evolve(self.cap, unit=self.unit)))
        if self.budget is not None:
            parts.append(f"as long as the {self.budget.points:,} of {self.budget.name} last")
        parts += [f"from {self.starts:%Y-%m-%d %H:%M %Z}"] if self.starts is not None else []
        parts += [f"until {self.ends:%Y-%m-%d %H:%M %Z}"] if self.ends is not None else []
        return f"{self.name} = {', '.join(parts)}"

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


# ---------------------------------------------------------------- the rules


@attrs.frozen(repr=False)
class PerAmount(Rule):
    """So many points for each so much of the earn basis; a part of it gives its part.

    >>> print(per_amount(1, each="1.00"))
    purchase = 1 point per 1.00
    """

    points: int = attrs.field(converter=count("per_amount.points"))
    each: Decimal = attrs.field(default=Decimal("1.00"), converter=amount("per_amount.each", above_zero=True))

    def _word(self) -> str:
        return "purchase"

    def gives(self, currency: str | None = None) -> str:
        """Return "1 point per $1.00"."""
        return f"{counted(self.points, self.unit)} per {priced(self.each, currency)}"


@attrs.frozen(repr=False)
class PerItem(Rule):
    """So many points for each item bought: times the quantity.

    >>> from loyaltykit.matching import sku
    >>> print(per_item(10, where=sku("mug")))
    item on product mug = 10 points per item
    """

    points: int = attrs.field(converter=count("per_item.points"))

    def _word(self) -> str:
        return "item"

    def gives(self, currency: str | None = None) -> str:
        """Return "10 points per item"."""
        return f"{counted(self.points, self.unit)} per item"


@attrs.frozen(repr=False)
class PerOrder(Rule):
    """So many points for an order, however large; with `minimum`, for one whose basis total reaches it.

    Nothing multiplies it. It stays until the last of what it was given for goes back, or the rest falls below
    `minimum`.

    >>> print(per_order(5, minimum="30.00"))
    order = 5 points per order of at least 30.00
    """

    points: int = attrs.field(converter=count("per_order.points"))
    minimum: Decimal | None = attrs.field(default=None, converter=optional(amount("per_order.minimum")))

    def _word(self) -> str:
        return "order"

    def gives(self, currency: str | None = None) -> str:
        """Return "5 points per order of at least $30.00"."""
        least = "" if self.minimum is None else f" of at least {priced(self.minimum, currency)}"
        return f"{counted(self.points, self.unit)} per order{least}"


@attrs.frozen(repr=False)
class CashBack(Rule):
    """So many percent of the earn basis, in a money unit, rounded half up to the currency's minor unit.

    >>> print(cash_back(1))
    cash back (cash) = 1% back as cash
    """

    percent: Decimal = attrs.field(converter=amount("cash_back.percent", above_zero=True))
    unit: str = attrs.field(default="cash", converter=named("cash_back.unit"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.percent > 100:
            raise InputError("cash_back.percent", self.percent, "at most 100")

    def _word(self) -> str:
        return "cash back"

    def gives(self, currency: str | None = None) -> str:
        """Return "1% back as cash"."""
        return f"{self.percent:f}% back as {self.unit}"


def _factor(value: Any) -> Decimal:
    return money(value, "bonus.factor", 0)


@attrs.frozen(repr=False)
class Bonus(Rule):
    """Multiply what the amount, item, percent and table rules of the unit give, on the lines where it holds.

    Where several hold, the program's `stacking` says how they combine. With a cap, a budget, a validity or an
    activation of its own, these are for what the bonus adds.

    >>> from loyaltykit.matching import category
    >>> print(bonus(2, where=category("coffee")))
    bonus on coffee = 2 x points
    """

    factor: Decimal = attrs.field(converter=_factor)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.factor < 1 and self.stands_alone:
            raise InputError("bonus.factor", self.factor, "below 1 it adds nothing that could have limits or dates")

    @property
    def stands_alone(self) -> bool:
        """Whether what it adds is counted or dated apart from what it multiplies."""
        return not (self.cap is None and self.budget is None and self.validity is None and self.activation is None)

    def _word(self) -> str:
        return "bonus"

    def gives(self, currency: str | None = None) -> str:
        """Return "2 x points"."""
        return f"{self.factor:f} x {self.unit}"


def _bands(value: Any) -> tuple[tuple[Decimal, int], ...]:
    pairs = value.items() if isinstance(value, Mapping) else value
    field = "rate_table.bands"
    try:
        bands = sorted((money(least, field, 0), whole(points, field)) for least, points in pairs)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(field, value, "give order totals with points, as in {'0': 1, '50.00': 2}") from None
    if not bands or len({least for least, _ in bands}) < len(bands):
        raise InputError(field, value, "give at least one order total, and none twice")
    return tuple(bands)


@attrs.frozen(repr=False)
class RateTable(Rule):
    """Points per amount at a rate that depends on the order's basis total.

    The highest band reached (inclusive) applies to the whole basis; below the first band there is nothing.

    >>> print(rate_table({"0": 1, "50.00": 2}))
    purchase by total = per 1.00: 1 point from 0, 2 points from 50.00
    """

    bands: tuple[tuple[Decimal, int], ...] = attrs.field(converter=_bands)
    each: Decimal = attrs.field(default=Decimal("1.00"), converter=amount("rate_table.each", above_zero=True))

    def _word(self) -> str:
        return "purchase by total"

    def gives(self, currency: str | None = None) -> str:
        """Return "per $1.00: 1 point from $0.00, 2 points from $50.00"."""
        rates = (f"{counted(points, self.unit)} from {priced(least, currency)}" for least, points in self.bands)
        return f"per {priced(self.each, currency)}: {', '.join(rates)}"


@attrs.frozen(repr=False)
class ActivityRule(Rule):
    """So many points for an activity of this name: each time, or `once` a product, local day, order or customer.

    >>> print(activity("review", 50, once="product", cap=per_month(2)))
    review = 50 points, once per product, at most 2 times a month
    """

    activity: str = attrs.field(converter=words("activity_rule.activity"))
    points: int = attrs.field(converter=count("activity_rule.points"))
    once: Once | None = attrs.field(default=None, converter=optional(one_of("activity_rule.once", Once)))

    def _word(self) -> str:
        return self.activity

    def gives(self, currency: str | None = None) -> str:
        """Return "50 points, once per product"."""
        scope = f", once per {self.once}" if self.once is not None else ""
        return f"{counted(self.points, self.unit)}{scope}"


per_amount = PerAmount
per_item = PerItem
per_order = PerOrder
activity = ActivityRule
cash_back = CashBack
bonus = Bonus
rate_table = RateTable


def check_minor(value: Decimal | None, currency: str, field: str) -> None:
    """Refuse an amount of money that has more decimals than the currency."""
    if value is not None:
        to_minor(value, currency, field)


RULES = several("program.earning", Rule, "give earning rules, as in per_amount(1, each='1.00')")
