"""What points buy: coins (points as money) and a catalogue of rewards, priced before anything is committed.

A `quote` is a value: what would be taken, what it is worth, or why not. Committing it charges what it said.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import attrs

from loyaltykit.amounts import exact, exponent, from_minor, money, to_minor, whole
from loyaltykit.calendar import instant, local_date, to_us, zone as zone_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Order
from loyaltykit.fields import a, amount, brief, count, named, one_of, optional, several, texts
from loyaltykit.matching import Match, Scene, Tiers, has_tier, until_or_through, until_words
from loyaltykit.rules import POINTS, counted, priced

if TYPE_CHECKING:
    from loyaltykit.program import Program

RewardKind = Literal["discount", "gift", "gift_card", "free_shipping", "donation", "fun", "personalised"]

WANTED_KINDS: tuple[RewardKind, ...] = ("fun", "gift", "personalised")
"""Kinds that shoppers ask for most, beside discounts; `coverage` says which of them a catalogue lacks."""


def _percent(value: Any) -> Decimal:
    percent = money(value, "coins.max_percent", 0)
    if percent > 100:
        raise InputError("coins.max_percent", value, "at most 100")
    return percent


@attrs.frozen(repr=False)
class Coins:
    """Points as money: `points` of them are `worth` so much off what is due.

    At least `minimum` at a time, in multiples of `block`, and for at most `max_percent` of what is due.

    >>> print(coins(100, worth="1.00", minimum=500, block=100, max_percent=50))
    100 points = 1.00 off, from 500 points, in steps of 100, up to 50% of the order
    """

    points: int = attrs.field(converter=count("coins.points", 1))
    worth: Decimal = attrs.field(converter=amount("coins.worth", above_zero=True))
    minimum: int = attrs.field(default=0, converter=count("coins.minimum"), kw_only=True)
    block: int | None = attrs.field(default=None, converter=optional(count("coins.block", 1)), kw_only=True)
    max_percent: Decimal = attrs.field(default=Decimal(100), converter=_percent, kw_only=True)
    unit: str = attrs.field(default=POINTS, converter=named("coins.unit"), kw_only=True)
    name: str = attrs.field(default="coins", converter=named("coins.name"), kw_only=True)

    def says(self, currency: str | None = None) -> str:
        """Return the rule in the words that a shopper would be told."""
        parts = [f"{counted(self.points, self.unit)} = {priced(self.worth, currency)} off"]
        parts += [f"from {counted(self.minimum, self.unit)}"] if self.minimum else []
        parts += [f"in steps of {self.block:,}"] if self.block else []
        parts += [f"up to {self.max_percent:f}% of the order"] if self.max_percent < 100 else []
        return ", ".join(parts)

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


def _day(field: str) -> Any:
    def convert(value: Any) -> date:
        if not isinstance(value, date) or isinstance(value, datetime):
            raise InputError(field, value, "give a local day, as in date(2026, 3, 2)")
        return value

    return convert


@attrs.frozen(repr=False)
class Reward:
    """One option of the catalogue, for a fixed number of points.

    It can be had on local days of the program's zone from `starts`, inclusive, until `ends`, exclusive, by members of
    `tiers` (all, if none are named), where `where` holds, `stock` times in all.

    >>> print(reward("$5 off", 500, worth="5.00"))
    500 points = $5 off
    """

    name: str = attrs.field(converter=named("reward.name"))
    points: int = attrs.field(converter=count("reward.points"))
    kind: RewardKind = attrs.field(default="discount", converter=one_of("reward.kind", RewardKind), kw_only=True)
    worth: Decimal | None = attrs.field(default=None, converter=optional(amount("reward.worth")), kw_only=True)
    starts: date | None = attrs.field(default=None, converter=optional(_day("reward.starts")), kw_only=True)
    ends: date | None = attrs.field(default=None, converter=optional(_day("reward.ends")), kw_only=True)
    stock: int | None = attrs.field(default=None, converter=optional(count("reward.stock")), kw_only=True)
    tiers: tuple[str, ...] = attrs.field(default=(), converter=texts("reward.tiers"), kw_only=True)
    where: Match | None = attrs.field(
        default=None,
        converter=optional(a("reward.where", Match, "give a condition, as in weekday('mon')")),
        kw_only=True,
    )
    unit: str = attrs.field(default=POINTS, converter=named("reward.unit"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise InputError("reward.ends", self.ends, f"give a day after the start, {self.starts}")

    def on(self, day: date) -> bool:
        """Say whether it is offered on a local day: ``starts <= day < ends``."""
        return (self.starts is None or self.starts <= day) and (self.ends is None or day < self.ends)

    def says(self, currency: str | None = None) -> str:
        """Return the option in the words that a shopper would be told."""
        what = self.name
        if self.kind == "discount" and self.worth is not None and not any(each.isdigit() for each in what):
            what = f"{what} ({priced(self.worth, currency)} off)"
        parts = [f"{counted(self.points, self.unit)} = {what}"]
        parts += [f"for {' or '.join(self.tiers)}"] if self.tiers else []
        parts += [str(self.where)] if self.where is not None else []
        parts += [f"from {self.starts}"] if self.starts is not None else []
        parts += [until_words(self.ends)] if self.ends is not None else []
        return ", ".join(parts)

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


coins = Coins


def reward(
    name: str,
    points: int,
    *,
    kind: RewardKind = "discount",
    worth: Decimal | int | str | None = None,
    starts: date | None = None,
    ends: date | None = None,
    through: date | None = None,
    stock: int | None = None,
    tiers: tuple[str, ...] | str = (),
    where: Match | None = None,
    unit: str = POINTS,
) -> Reward:
    """Return an option of the catalogue; the last day is given by `through` (inclusive) or `ends` (exclusive).

    >>> reward("tote bag", 300, kind="gift", through=date(2026, 6, 30)).ends
    datetime.date(2026, 7, 1)
    """
    ends = until_or_through("reward", ends, through)
    return Reward(
        name, points, kind=kind, worth=worth, starts=starts, ends=ends, stock=stock, tiers=tiers, where=where, unit=unit
    )


REWARDS = several("program.rewards", (Coins, Reward), "give rewards, as in coins(100, worth='1.00')")


# ---------------------------------------------------------------- the catalogue


def available(
    rewards: Iterable[Coins | Reward], at: datetime | date, zone: str | tzinfo = UTC
) -> tuple[Coins | Reward, ...]:
    """Return what is offered on a local day (or on the local day of an instant), by name. Coins always are.

    >>> fund = reward("relief fund", 50, kind="donation", starts=date(2020, 4, 1), ends=date(2020, 10, 1))
    >>> [each.name for each in available([fund], date(2020, 9, 30))], available([fund], date(2020, 10, 1))
    (['relief fund'], ())
    """
    day = local_date(at, zone) if isinstance(at, datetime) else _day("at")(at)
    found = (each for each in rewards if isinstance(each, Coins) or (each.on(day) and each.stock != 0))
    return tuple(sorted(found, key=lambda each: each.name))


def coverage(rewards: Iterable[Coins | Reward]) -> tuple[RewardKind, ...]:
    """Return the kinds that shoppers ask for and none of `rewards` is: of fun, gift, personalised.

    >>> coverage([reward("tote bag", 300, kind="gift")])
    ('fun', 'personalised')
    """
    kinds = {each.kind for each in rewards if isinstance(each, Reward)}
    return tuple(kind for kind in WANTED_KINDS if kind not in kinds)


# ---------------------------------------------------------------- quotes


@attrs.frozen
class Quote:
    """What a redemption would take and give, at an instant, by a version of the program.

    `points` are taken and are `worth` so much money (None for what has no price); both are 0 where `reasons` say why
    not: ``insufficient_points``, ``below_minimum``, ``nothing_due``, ``not_available``, ``out_of_stock``, ``tier``,
    ``conditions``. `needed` is the least number of points that the redemption takes, `available` what the member has.
    """

    reward: str
    points: int
    worth: Decimal | None
    unit: str
    version: int
    member: str | None
    at: datetime = attrs.field(eq=to_us)
    reasons: tuple[str, ...] = attrs.field(default=(), converter=texts("quote.reasons"))
    needed: int = 0
    available: int = 0

    @property
    def ok(self) -> bool:
        """Whether it can be redeemed."""
        return not self.reasons

    @property
    def short(self) -> int:
        """How many points are missing."""
        return max(0, self.needed - self.available) if "insufficient_points" in self.reasons else 0

    def __str__(self) -> str:
        if not self.ok:
            missing = f", {self.short:,} short" if self.short else ""
            return f"{self.reward}: no ({', '.join(self.reasons)}{missing})"
        return f"{self.reward}: {counted(self.points, self.unit)}" + (f" = {self.worth}" if self.worth else "")


def quote(
    program: Program,
    reward: Coins | Reward | str,
    available: int,
    *,
    at: datetime,
    due: Decimal | int | str | None = None,
    tier: Tiers = None,
    points: int | None = None,
    member: str | None = None,
    order: Order | None = None,
    left: int | None = None,
) -> Quote:
    """Price a redemption for a member who has `available` points; a refusal is a quote with reasons.

    `reward` may be the name of one of the program's. `due` is what is to be paid, which coins never pass and no reward
    is worth more than; without it coins are only converted. `points` asks for so many coins rather than as many as
    make sense. `order` is what conditions on goods look at, `left` how many of the stock there still are.

    Coins never take more points than what they give is worth: their value is rounded down to the currency's minor
    unit, and then the least number of points with that value is taken.

    >>> from loyaltykit.program import Program
    >>> program = Program("Club", "USD", rewards=coins(1, worth="10.00"))
    >>> found = quote(program, "coins", 30, due="20.00", at=datetime(2026, 3, 2, tzinfo=UTC))
    >>> found.points, found.worth
    (2, Decimal('20.00'))
    """
    reward = _find(program, reward)
    at = instant(at)
    if type(available) is not int:
        available = whole(available, "quote.available", -(2**63))
    currency = program.currency
    due_units = None if due is None else to_minor(money(due, "quote.due", 0), currency, "quote.due")
    if isinstance(reward, Coins):
        if points is not None:
            points = whole(points, "quote.points")
        taken, units, needed, reasons = _coins(reward, available, due_units, points, currency)
        worth: Decimal | None = from_minor(units, currency)
    else:
        if points is not None:
            raise InputError("quote.points", points, f"{reward.name} has a fixed price; only coins take a number")
        reasons = _reasons(program, reward, at, due_units, tier, order, left)
        needed = reward.points
        if available < needed:
            reasons.append("insufficient_points")
        taken, worth = (needed, _worth(reward, due_units, currency)) if not reasons else (0, None)
    return Quote(reward.name, taken, worth, reward.unit, program.version, member, at, tuple(reasons), needed, available)


def _find(program: Program, reward: Coins | Reward | str) -> Coins | Reward:
    if isinstance(reward, Coins | Reward):
        return reward
    for each in program.rewards:
        if each.name == reward:
            return each
    known = ", ".join(each.name for each in program.rewards) or "none"
    raise InputError("quote.reward", reward, f"the program has no such reward; it has: {known}")


def _worth(reward: Reward, due: int | None, currency: str) -> Decimal | None:
    if reward.worth is None:
        return None
    units = to_minor(reward.worth, currency, "reward.worth")
    return from_minor(units if due is None or reward.kind == "gift_card" else min(units, due), currency)


def _reasons(
    program: Program, reward: Reward, at: datetime, due: int | None, tier: Tiers, order: Order | None,
    left: int | None,
) -> list[str]:  # fmt: skip
    """Return why a reward cannot be had, points aside."""
    tz = zone_of(program.zone)
    scene = Scene(
        at,
        tz,
        tier,
        order.channel if order is not None else None,
        order.codes if order is not None else (),
        None if due is None else (due, 10 ** exponent(program.currency)),
    )
    reasons = [] if reward.on(scene.day) else ["not_available"]
    if (reward.stock if left is None else left) == 0:
        reasons.append("out_of_stock")
    if reward.tiers and not has_tier(tier, reward.tiers):
        reasons.append("tier")
    if reward.where is not None:
        lines = order.lines if order is not None and order.lines else (None,)
        if not any(reward.where.holds(scene, line) for line in lines):
            reasons.append("conditions")
    return reasons


def _coins(
    rule: Coins, available: int, due: int | None, wanted: int | None, currency: str
) -> tuple[int, int, int, list[str]]:
    """Return the points taken, the minor units given, the points needed, and why not."""
    value = exact(rule.worth) * 10 ** exponent(currency) / rule.points  # minor units a point
    block = rule.block or 1

    def steps(points: int) -> int:
        """Round up to whole blocks."""
        return -(-points // block) * block

    least = steps(max(rule.minimum, _ceiling(1 / value)))
    if due == 0:
        return 0, 0, least, ["nothing_due"]
    useful = None if due is None else _floor(due * exact(rule.max_percent) / 100 / value)
    asked = max(0, available) if wanted is None else wanted
    most = asked if useful is None else min(asked, useful)
    most -= most % block
    if most < least:
        held_back = wanted is None and (useful is None or useful - useful % block >= least)
        return 0, 0, least, ["insufficient_points" if held_back else "below_minimum"]
    units = _floor(most * value)
    taken = max(least, steps(_ceiling(units / value)))  # the fewest that are worth as much
    return (taken, units, taken, []) if taken <= available else (0, 0, taken, ["insufficient_points"])


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


def _ceiling(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
