"""A program: all rules as one frozen value, validated as a whole, checked for sense, explained in three steps.

It is plain data: built in Python or read from JSON (`loyaltykit.wire`), with a version and an instant from which it is
in force. Changing anything gives a new value (``attrs.evolve(program, version=2, ...)``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import attrs

from loyaltykit import status
from loyaltykit.amounts import Rounding
from loyaltykit.badges import Badge, StampCard
from loyaltykit.basis import BASES, Basis, as_basis
from loyaltykit.calendar import Period, instant, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import (
    a,
    brief,
    count,
    currency,
    flag,
    moment,
    named,
    one_of,
    optional,
    several,
    texts,
    words,
    zone_name,
)
from loyaltykit.matching import Category, Channel, Code, OrderTotal, leaves
from loyaltykit.occasions import AnniversaryOf, Birthday, Occasion, OneTwoThree, Season
from loyaltykit.refunds import RewardBack, Split
from loyaltykit.rewards import REWARDS, Coins, Reward
from loyaltykit.rules import (
    POINTS,
    RULES,
    ActivityRule,
    Bonus,
    Cap,
    CashBack,
    OnEvent,
    PerAmount,
    PerItem,
    PerOrder,
    RateTable,
    Rule,
    check_minor,
)
from loyaltykit.segments import Segment
from loyaltykit.thresholds import Threshold
from loyaltykit.tiers import Ladder

Stacking = Literal["multiply", "additive", "best"]
Shortfall = Literal["debt", "clamp", "clamp_keep_receivable"]
HoldPolicy = Literal["pinned", "unpinned"]
ValidityFrom = Literal["activation", "earning"]


# ---------------------------------------------------------------- policies


@attrs.frozen
class Grace:
    """Points that are given back after their lot has expired live for so long from then on."""

    period: Period = attrs.field(converter=a("grace.period", Period, "give a period, as in days(30)"))


def grace(period: Period) -> Grace:
    """Return the restore policy that gives expired points back for a while."""
    return Grace(period)


Restore = Literal["strict", "off"] | Grace


def _restore(field: str) -> Any:
    return a(field, Grace, "choose strict, off, or grace(days(30))", "strict", "off")


def _period(field: str) -> Any:
    return optional(a(field, Period, "give a period, as in months(12)"))


def _activation(field: str) -> Any:
    return optional(a(field, (Period, OnEvent), "give a period as in days(14), or OnEvent('delivered')"))


def _choice(field: str, kind: Any) -> Any:
    return optional(one_of(field, kind))


@attrs.frozen(repr=False)
class Unit:
    """A kind of point, with policies of its own.

    money: it counts minor units of the program's currency (store credit). qualifying: it counts towards tiers and is
    not spent. validity None never expires, activation None is at once. All that is None and a policy is as the
    program says; for the unit ``points`` the dates are too.
    """

    name: str = attrs.field(converter=named("unit.name"))
    money: bool = attrs.field(default=False, converter=flag("unit.money"))
    qualifying: bool = attrs.field(default=False, converter=flag("unit.qualifying"))
    validity: Period | None = attrs.field(default=None, converter=_period("unit.validity"))
    activation: Period | OnEvent | None = attrs.field(default=None, converter=_activation("unit.activation"))
    validity_from: ValidityFrom | None = attrs.field(
        default=None, converter=_choice("unit.validity_from", ValidityFrom)
    )
    inactivity: Period | None = attrs.field(default=None, converter=_period("unit.inactivity"))
    shortfall: Shortfall | None = attrs.field(default=None, converter=_choice("unit.shortfall", Shortfall))
    restore: Restore | None = attrs.field(default=None, converter=optional(_restore("unit.restore")))
    hold: HoldPolicy | None = attrs.field(default=None, converter=_choice("unit.hold", HoldPolicy))
    rounding: Rounding | None = attrs.field(default=None, converter=_choice("unit.rounding", Rounding))

    __repr__ = brief


# ---------------------------------------------------------------- the program


def _terms(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError("program.terms", value, "give a string")
    return value


@attrs.frozen(repr=False, cache_hash=True)
class Program:
    """All rules of a loyalty program, as one value.

    >>> from loyaltykit.rewards import coins
    >>> from loyaltykit.rules import per_amount
    >>> program = Program("Corner Shop Club", "USD", earning=per_amount(1), rewards=coins(100, worth="1.00"))
    >>> for line in explain(program):
    ...     print(line)
    Join: free
    Earn: purchase = 1 point per $1.00
    Redeem: 100 points = $1.00 off

    name, currency (ISO 4217) and zone (IANA) are the program's own; `version` and `effective_from` order its versions.
    `validity`, `activation`, `validity_from` and `inactivity` are those of the unit ``points``; `units` declares
    others. `spend_basis` says what of an order counts as spent, for tiers, thresholds and segments (default: what
    earns, `basis`). `expiry_notice`: how long before points expire somebody is to be told. `agents` are the actors who
    may redeem for any member. `terms` is text for people.
    """

    name: str = attrs.field(converter=named("program.name"))
    currency: str = attrs.field(converter=currency("program.currency"))
    zone: str = attrs.field(default="UTC", converter=zone_name("program.zone"))
    join: str = attrs.field(default="free", converter=words("program.join"), kw_only=True)
    units: tuple[Unit, ...] = attrs.field(
        default=(), converter=several("program.units", Unit, "give units, as in Unit('stamps')"), kw_only=True
    )
    earning: tuple[Rule, ...] = attrs.field(default=(), converter=RULES, kw_only=True)
    rewards: tuple[Coins | Reward, ...] = attrs.field(default=(), converter=REWARDS, kw_only=True)
    caps: tuple[Cap, ...] = attrs.field(
        default=(), converter=several("program.caps", Cap, "give caps, as in per_day(points=50)"), kw_only=True
    )
    validity: Period | None = attrs.field(default=None, converter=_period("program.validity"), kw_only=True)
    activation: Period | OnEvent | None = attrs.field(
        default=None, converter=_activation("program.activation"), kw_only=True
    )
    validity_from: ValidityFrom = attrs.field(
        default="activation", converter=one_of("program.validity_from", ValidityFrom), kw_only=True
    )
    inactivity: Period | None = attrs.field(default=None, converter=_period("program.inactivity"), kw_only=True)
    basis: Basis = attrs.field(default=BASES["goods"], converter=as_basis("program.basis"), kw_only=True)
    rounding: Rounding = attrs.field(default="floor", converter=one_of("program.rounding", Rounding), kw_only=True)
    stacking: Stacking = attrs.field(default="multiply", converter=one_of("program.stacking", Stacking), kw_only=True)
    shortfall: Shortfall = attrs.field(default="debt", converter=one_of("program.shortfall", Shortfall), kw_only=True)
    restore: Restore = attrs.field(default="strict", converter=_restore("program.restore"), kw_only=True)
    refund_split: Split = attrs.field(
        default="net_allocated", converter=one_of("program.refund_split", Split), kw_only=True
    )
    reward_back: RewardBack = attrs.field(
        default="pro_rata", converter=one_of("program.reward_back", RewardBack), kw_only=True
    )
    hold: HoldPolicy = attrs.field(default="pinned", converter=one_of("program.hold", HoldPolicy), kw_only=True)
    tiers: tuple[Ladder, ...] = attrs.field(
        default=(), converter=several("program.tiers", Ladder, "give ladders, as in Ladder(...)"), kw_only=True
    )
    thresholds: tuple[Threshold, ...] = attrs.field(
        default=(),
        converter=several("program.thresholds", Threshold, "give thresholds, as in Threshold(...)"),
        kw_only=True,
    )
    segments: tuple[Segment, ...] = attrs.field(
        default=(), converter=several("program.segments", Segment, "give segments, as in Segment(...)"), kw_only=True
    )
    badges: tuple[Badge, ...] = attrs.field(
        default=(), converter=several("program.badges", Badge, "give badges, as in Badge(...)"), kw_only=True
    )
    cards: tuple[StampCard, ...] = attrs.field(
        default=(),
        converter=several("program.cards", StampCard, "give stamp cards, as in StampCard(...)"),
        kw_only=True,
    )
    occasions: tuple[Occasion, ...] = attrs.field(
        default=(),
        converter=several(
            "program.occasions", (Birthday, AnniversaryOf, OneTwoThree, Season), "give occasions, as in Birthday(...)"
        ),
        kw_only=True,
    )
    expiry_notice: Period | None = attrs.field(default=None, converter=_period("program.expiry_notice"), kw_only=True)
    spend_basis: Basis | None = attrs.field(
        default=None, converter=optional(as_basis("program.spend_basis")), kw_only=True
    )
    agents: tuple[str, ...] = attrs.field(default=(), converter=texts("program.agents"), kw_only=True)
    version: int = attrs.field(default=1, converter=count("program.version", 1), kw_only=True)
    effective_from: datetime | None = attrs.field(
        default=None, eq=optional_us, converter=optional(moment("program.effective_from")), kw_only=True
    )
    terms: str = attrs.field(default="", converter=_terms, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_units(self)
        _check_earning(self)
        _check_rewards(self)
        status.check(self)

    def unit(self, name: str) -> Unit:
        """Return a unit with every policy filled in; `InputError` if the program has none of that name."""
        return _resolved(self, name)

    __repr__ = brief


@lru_cache(maxsize=1024)
def _resolved(program: Program, name: str) -> Unit:
    unit = next((unit for unit in program.units if unit.name == name), Unit(POINTS))
    if unit.name != name:
        known = ", ".join([POINTS, *(unit.name for unit in program.units)])
        raise InputError("unit", name, f"the program has no such unit; it has: {known}")
    ours = name == POINTS
    return attrs.evolve(
        unit,
        validity=unit.validity if unit.validity is not None or not ours else program.validity,
        activation=unit.activation if unit.activation is not None or not ours else program.activation,
        inactivity=unit.inactivity if unit.inactivity is not None or not ours else program.inactivity,
        validity_from=unit.validity_from or program.validity_from,
        shortfall=unit.shortfall or program.shortfall,
        restore=unit.restore or program.restore,
        hold=unit.hold or program.hold,
        rounding=unit.rounding or ("half_up" if unit.money else program.rounding),
    )


# ---------------------------------------------------------------- validation


def _check_unique(field: str, found: Iterable[str]) -> None:
    seen: set[str] = set()
    for place, each in enumerate(found):
        if each in seen:
            raise InputError(f"{field}[{place}].name", each, "another one has this name; give name=...")
        seen.add(each)


def _check_units(program: Program) -> None:
    _check_unique("program.units", (unit.name for unit in program.units))


def _known_unit(program: Program, wanted: str, field: str) -> Unit:
    for unit in program.units:
        if unit.name == wanted:
            return unit
    if wanted != POINTS:
        raise InputError(field, wanted, f"declare it: units=[Unit({wanted!r})]")
    return Unit(POINTS)


def _check_earning(program: Program) -> None:
    _check_unique("program.earning", (rule.name for rule in program.earning))
    budgets: dict[str, int] = {}
    for place, rule in enumerate(program.earning):
        path = f"program.earning[{place}]"
        unit = _known_unit(program, rule.unit, f"{path}.unit")
        if isinstance(rule, CashBack) and not unit.money:
            raise InputError(f"{path}.unit", rule.unit, f"needs money: units=[Unit({rule.unit!r}, money=True)]")
        if isinstance(rule, PerAmount | RateTable):
            check_minor(rule.each, program.currency, f"{path}.each")
        if isinstance(rule, PerOrder):
            check_minor(rule.minimum, program.currency, f"{path}.minimum")
        if isinstance(rule, RateTable):
            for least, _ in rule.bands:
                check_minor(least, program.currency, f"{path}.bands")
        for leaf in leaves(rule.where):
            if isinstance(leaf, OrderTotal):
                check_minor(leaf.at_least, program.currency, f"{path}.where")
        if rule.cap is not None and rule.cap.unit not in (POINTS, rule.unit):
            raise InputError(f"{path}.cap.unit", rule.cap.unit, f"the rule gives {rule.unit}; leave the cap's unit out")
        if rule.budget is not None and budgets.setdefault(rule.budget.name, rule.budget.points) != rule.budget.points:
            raise InputError(f"{path}.budget", rule.budget, "rules that share a budget say the same number of points")
    for place, cap in enumerate(program.caps):
        _known_unit(program, cap.unit, f"program.caps[{place}].unit")


def _check_rewards(program: Program) -> None:
    _check_unique("program.rewards", (each.name for each in program.rewards))
    for place, each in enumerate(program.rewards):
        path = f"program.rewards[{place}]"
        if _known_unit(program, each.unit, f"{path}.unit").qualifying:
            raise InputError(f"{path}.unit", each.unit, "it is qualifying: it counts towards tiers and is not spent")
        check_minor(each.worth, program.currency, f"{path}.worth")


# ---------------------------------------------------------------- reading a program


_OF_ORDERS = (Category, Channel, Code, OrderTotal)


def lint(program: Program) -> list[str]:
    """Return what makes no sense although it is valid; nothing to say is an empty list.

    >>> from loyaltykit.rewards import reward
    >>> lint(Program("Club", "USD", rewards=reward("$5 off", 100)))
    ['no way to earn']
    """
    found = []
    giving = [rule for rule in program.earning if not isinstance(rule, Bonus)]
    if not giving:
        found.append("no way to earn")
    if not program.rewards:
        found.append("no way to redeem")
    earned = {rule.unit for rule in giving}
    multiplied = {rule.unit for rule in giving if isinstance(rule, PerAmount | PerItem | CashBack | RateTable)}
    for rule in program.earning:
        if isinstance(rule, Bonus) and giving and rule.unit not in multiplied:
            found.append(f"earning rule {rule.name!r} has no {rule.unit} to multiply")
        if isinstance(rule, PerAmount | PerItem | PerOrder | ActivityRule) and not rule.points:
            found.append(f"earning rule {rule.name!r} gives nothing")
        if isinstance(rule, RateTable) and not any(points for _, points in rule.bands):
            found.append(f"earning rule {rule.name!r} gives nothing")
        caps = () if rule.cap is None else (rule.cap.times, rule.cap.points)
        if 0 in caps or (rule.budget is not None and not rule.budget.points):
            found.append(f"earning rule {rule.name!r} is limited to nothing")
        if isinstance(rule, ActivityRule) and any(isinstance(leaf, _OF_ORDERS) for leaf in leaves(rule.where)):
            found.append(f"earning rule {rule.name!r} asks for an order, which an activity does not have")
    if giving:
        found += [
            f"reward {each.name!r} costs {each.unit}, which nothing earns"
            for each in program.rewards
            if each.unit not in earned
        ]
    found += [f"reward {each.name!r} has no stock" for each in program.rewards if getattr(each, "stock", None) == 0]
    used = earned | {each.unit for each in program.rewards} | {str(each.name) for each in status.measures(program)}
    found += [f"unit {unit.name!r} is not used" for unit in program.units if unit.name not in used]
    return found + status.lint(program)


def explain(program: Program) -> list[str]:
    """Return the program in exactly three steps, join, earn and redeem, in which every rule to earn and redeem appears.

    `loyaltykit.status.describe` tells the others: tiers, thresholds, cards, badges, occasions, segments.
    """
    earning = "; ".join(rule.says(program.currency) for rule in program.earning)
    redeeming = "; ".join(each.says(program.currency) for each in program.rewards)
    return [f"Join: {program.join}", f"Earn: {earning or 'nothing yet'}", f"Redeem: {redeeming or 'nothing yet'}"]


def in_force(programs: Iterable[Program], at: datetime) -> Program:
    """Return the version that is in force at an instant: the one that took effect last, of several the highest version.

    One without `effective_from` was always in force. Raises `InputError` if none is yet.
    """
    now = to_us(instant(at))
    begun = [(_start(each), each.version, each) for each in programs if _start(each) <= now]
    if not begun:
        raise InputError("at", at, "no version of the program is in force yet; the first has no effective_from")
    return max(begun, key=lambda each: each[:2])[2]


def _start(program: Program) -> int:
    return -(2**63) if program.effective_from is None else to_us(program.effective_from)
