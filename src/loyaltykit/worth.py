"""What an order or activity is worth by the rules, exactly: before limits, before rounding.

A program is compiled once into a `Plan`, in which each unit's rules are sorted by what they do and rates are
fractions of points per minor unit of money.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from loyaltykit.amounts import Rounding, exact, exponent, from_minor, total
from loyaltykit.awards import Share
from loyaltykit.basis import Basis, Basket, Goods, basket
from loyaltykit.calendar import zone
from loyaltykit.facts import Activity, Line, Order
from loyaltykit.matching import Scene, Tiers, depends_on_line
from loyaltykit.refunds import Remains, Split
from loyaltykit.rules import ActivityRule, Bonus, Cap, CashBack, PerAmount, PerItem, PerOrder, RateTable, Rule

if TYPE_CHECKING:
    from loyaltykit.program import Program

ZERO, _ONE = Fraction(0), Fraction(1)


def added(values: Iterable[Fraction]) -> Fraction:
    """Return the sum; a lone value, the usual case, costs no arithmetic."""
    result = ZERO
    for value in values:
        result = value if result is ZERO else result + value
    return result


# ---------------------------------------------------------------- a program, compiled


class Rate(NamedTuple):
    """A rule that gives so much per minor unit of money (or per item).

    `bands` are (least total, rate, rate as it is shown), falling.
    """

    rule: Rule
    per_line: bool
    per_item: bool
    bands: tuple[tuple[Decimal, Fraction, Fraction], ...]


class Factor(NamedTuple):
    """What bonuses that hold on a line do: `names` are those whose part the rule itself gives.

    A bonus with limits or dates of its own gives its part itself; it is the `owner` then.
    """

    owner: str  # "": the rule
    by: Fraction
    names: tuple[str, ...]


class UnitPlan(NamedTuple):
    """The rules of one unit. `terms` are each rule's activation, validity and where the validity counts from."""

    name: str
    rounding: Rounding
    names: tuple[str, ...]
    rates: tuple[Rate, ...]
    orders: tuple[tuple[PerOrder, bool], ...]
    bonuses: tuple[tuple[Bonus, bool], ...]
    activities: tuple[ActivityRule, ...]
    caps: tuple[Cap, ...]
    counted: bool
    terms: dict[str, tuple[Any, Any, str]]
    usual: frozenset[str]  # the rules whose points live and become active as the unit says
    factors: dict[tuple[int, ...], tuple[Factor, ...]]


class Plan(NamedTuple):
    """A program as far as earning needs it. `whole`: rules that share a budget give whole points only."""

    version: int
    currency: str
    minor: int  # minor units in one of the currency
    zone: ZoneInfo
    split: Split
    basis: Basis
    stacking: str
    units: tuple[UnitPlan, ...]
    rules: dict[str, Rule]
    limited: frozenset[str]
    whole: frozenset[str]
    counted: bool  # anything is limited at all
    usual: frozenset[str]


class Worth(NamedTuple):
    """Exact points by rule, the shares that they consist of, and why there are none."""

    points: dict[str, Fraction]
    shares: list[Share]
    reasons: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def plan_of(program: Program) -> Plan:
    """Return the plan of a program, made once for each."""
    units = tuple(_unit_plan(program, name) for name in dict.fromkeys(rule.unit for rule in program.earning))
    budgets = [rule.budget.name for rule in program.earning if rule.budget is not None]
    return Plan(
        program.version,
        program.currency,
        10 ** exponent(program.currency),
        zone(program.zone),
        program.refund_split,
        program.basis,
        program.stacking,
        units,
        {rule.name: rule for rule in program.earning},
        frozenset(rule.name for rule in program.earning if _limited(rule)),
        frozenset(rule.name for rule in program.earning if rule.budget and budgets.count(rule.budget.name) > 1),
        any(unit.counted for unit in units),
        frozenset().union(*(unit.usual for unit in units)),
    )


def _limited(rule: Rule) -> bool:
    once = isinstance(rule, ActivityRule) and rule.once is not None
    return once or rule.cap is not None or rule.budget is not None


def _unit_plan(program: Program, name: str) -> UnitPlan:
    unit = program.unit(name)
    rules = [rule for rule in program.earning if rule.unit == name]
    caps = tuple(cap for cap in program.caps if cap.unit == name)
    own: tuple[Any, Any, str] = (unit.activation, unit.validity, unit.validity_from or "activation")
    terms = {
        rule.name: (
            own[0] if rule.activation is None else rule.activation,
            own[1] if rule.validity is None else None if rule.validity == "never" else rule.validity,
            own[2],
        )
        for rule in rules
    }
    return UnitPlan(
        name,
        unit.rounding or "floor",
        tuple(rule.name for rule in rules),
        tuple(_rate(rule, 10 ** exponent(program.currency)) for rule in rules if isinstance(rule, _RATES)),
        tuple((rule, depends_on_line(rule.where)) for rule in rules if isinstance(rule, PerOrder)),
        tuple((rule, depends_on_line(rule.where)) for rule in rules if isinstance(rule, Bonus)),
        tuple(rule for rule in rules if isinstance(rule, ActivityRule)),
        caps,
        bool(caps) or any(_limited(rule) for rule in rules),
        terms,
        frozenset(name for name, term in terms.items() if term == own),
        {},
    )


_RATES = (PerAmount, PerItem, CashBack, RateTable)


def _rate(rule: PerAmount | PerItem | CashBack | RateTable, minor: int) -> Rate:
    if isinstance(rule, PerItem):
        bands = [(Decimal(0), Fraction(rule.points))]
    elif isinstance(rule, CashBack):
        bands = [(Decimal(0), exact(rule.percent) / 100)]
    elif isinstance(rule, RateTable):
        bands = [(least, points / (exact(rule.each) * minor)) for least, points in reversed(rule.bands)]
    else:
        bands = [(Decimal(0), rule.points / (exact(rule.each) * minor))]
    per_shown = 1 if isinstance(rule, PerItem | CashBack) else minor
    return Rate(
        rule,
        depends_on_line(rule.where),
        isinstance(rule, PerItem),
        tuple((least, rate, rate * per_shown) for least, rate in bands),
    )


# ---------------------------------------------------------------- orders


def order_worth(plan: Plan, order: Order, what_is_left: Remains, tier: Tiers) -> Worth:
    """Return what the rules give for what is left of an order."""
    if order.state in ("draft", "cancelled"):
        return Worth({}, [], (order.state,))
    if what_is_left.empty:
        return Worth({}, [], ("no_basis",))
    content = basket(plan.basis, order, what_is_left)
    scene = Scene(order.at, plan.zone, tier, order.channel, order.codes, (content.total, content.of * plan.minor))
    points: dict[str, Fraction] = {}
    shares: list[Share] = []
    for unit in plan.units:
        rates = [rate for rate in unit.rates if _applies(rate.rule, rate.per_line, scene)]
        if rates:
            groups = _grouped(unit, content.goods, scene)
            for rate in rates:
                for places, members in groups.items():
                    factors = unit.factors.get(places) or _factors(plan, unit, places)
                    _add_rate(plan, content, scene, unit.name, rate, factors, members, points, shares)
        for rule, per_line in unit.orders:
            if _applies(rule, per_line, scene) and (rule.minimum is None or scene.reaches(rule.minimum)):
                lines = tuple(each.name for each in _where(rule, per_line, content.goods, scene) if each.line)
                if lines:
                    points[rule.name] = Fraction(rule.points)
                    shares.append(Share(rule.name, unit.name, lines, None, _ONE, points[rule.name]))
    reasons = () if any(points.values()) else ("no_rule",) if content.total and not points else ("no_basis",)
    return Worth(points, shares, reasons)


def _applies(rule: Rule, per_line: bool, scene: Scene) -> bool:
    return rule.in_force(scene.at) and (rule.where is None or per_line or rule.where.holds(scene, None))


def _where(rule: Rule, per_line: bool, goods: Sequence[Goods], scene: Scene) -> Sequence[Goods]:
    if rule.where is None or not per_line:
        return goods
    return [each for each in goods if rule.where.holds(scene, each.line)]


def _grouped(unit: UnitPlan, goods: list[Goods], scene: Scene) -> dict[tuple[int, ...], list[Goods]]:
    """Sort goods by the bonuses that hold on them."""
    live = [
        (place, rule.where if per_line else None)
        for place, (rule, per_line) in enumerate(unit.bonuses)
        if _applies(rule, per_line, scene)
    ]
    if not live:
        return {(): goods}
    groups: dict[tuple[int, ...], list[Goods]] = {}
    for each in goods:
        holding = tuple([place for place, where in live if where is None or where.holds(scene, each.line)])
        groups.setdefault(holding, []).append(each)
    return groups


def _factors(plan: Plan, unit: UnitPlan, places: tuple[int, ...]) -> tuple[Factor, ...]:
    """Join the bonuses at these places; each one's own part is what it adds to those before it."""
    bonuses = [unit.bonuses[place][0] for place in places]
    if plan.stacking == "best" and bonuses:
        bonuses = [max(bonuses, key=lambda rule: rule.factor)]
    reached = joint = _ONE
    apart = []
    for rule in sorted(bonuses, key=lambda rule: rule.factor >= 1):  # a factor of 0 leaves nothing to add to
        factor = exact(rule.factor)
        added = factor - 1 if plan.stacking == "additive" else reached * (factor - 1)
        reached += added
        if rule.stands_alone:
            apart.append(Factor(rule.name, added, ()))
        else:
            joint += added
    joined = tuple(rule.name for rule in bonuses if not rule.stands_alone)
    found = (Factor("", max(joint, ZERO), joined), *apart)
    if len(unit.factors) < 4096:  # there are as many as combinations of bonuses on a line
        unit.factors[places] = found
    return found


def _add_rate(
    plan: Plan, content: Basket, scene: Scene, unit: str, rate: Rate, factors: Sequence[Factor],
    members: Sequence[Goods], points: dict[str, Fraction], shares: list[Share],
) -> None:  # fmt: skip
    """Add what one rule gives on the lines that share a factor."""
    chosen = _where(rate.rule, rate.per_line, members, scene)
    if rate.per_item:
        chosen = [each for each in chosen if each.line]
    reached = [band for band in rate.bands if scene.reaches(band[0])]
    if not chosen or not reached:
        return
    _, per_one, per_shown = reached[0]
    if rate.per_item:
        shown = total(each.quantity for each in chosen)
        base = Fraction(shown) * per_one
    else:
        units = sum([each.basis for each in chosen])
        base = Fraction(units * per_one.numerator, content.of * per_one.denominator)
        shown = from_minor((2 * units + content.of) // (2 * content.of), plan.currency)
    if not base:
        points.setdefault(rate.rule.name, ZERO)
        return
    lines = tuple([each.name for each in chosen])
    for owner, part, names in factors:
        name = owner or rate.rule.name
        worth = base if part is _ONE else base * part
        points[name] = points[name] + worth if name in points else worth
        shares.append(Share(name, unit, lines, shown, per_shown if part is _ONE else per_shown * part, worth, names))


# ---------------------------------------------------------------- activities


def activity_worth(plan: Plan, fact: Activity, tier: Tiers) -> Worth:
    """Return what the rules give for an activity."""
    scene = Scene(fact.at, plan.zone, tier)
    line = None if fact.product is None else Line(fact.product)
    points: dict[str, Fraction] = {}
    shares: list[Share] = []
    for unit in plan.units:
        for rule in unit.activities:
            if (
                rule.activity == fact.name
                and rule.in_force(fact.at)
                and (rule.where is None or rule.where.holds(scene, line))
            ):
                points[rule.name] = Fraction(rule.points)
                shares.append(Share(rule.name, unit.name, (), None, _ONE, points[rule.name]))
    return Worth(points, shares, () if points else ("no_rule",))
