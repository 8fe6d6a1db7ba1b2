"""From an order or activity to points, by the rules of a program: exactly, once rounded, and the same at every call.

`award` is both the preview of a cart and the decision on an order. `targets` says what stands of an award after
refunds. Both are pure functions of what they are given; counters under caps and budgets come in and go out as
values.

How an order is computed, for each unit:

1. The earn basis of each line, as the program's `Basis` says, is an exact number of a fine enough unit.
2. Each rule gives rate x basis x factor, where the factor joins the bonuses that hold on the line: ``multiply``
   (1.5 and 2 are 3), ``additive`` (1 + 0.5 + 1 = 2.5) or ``best`` (2).
3. Caps, budgets and "once" limit each rule; the remainder under a limit is given.
4. The sum is rounded once, caps of the whole unit limit it, and it is split over the lots (one for each pair of
   dates) by largest remainder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from loyaltykit.amounts import MAX_WHOLE, allocate, round_to_int
from loyaltykit.awards import Award, AwardLot, LotDates
from loyaltykit.calendar import Period, local_date, start_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Order, Refund, order_key
from loyaltykit.matching import Tiers
from loyaltykit.refunds import left, ordered, sold
from loyaltykit.rules import ActivityRule, Cap, OnEvent, Rule
from loyaltykit.worth import ZERO, Plan, UnitPlan, Worth, activity_worth, added, order_worth, plan_of

if TYPE_CHECKING:
    from loyaltykit.program import Program, Unit

__all__ = ["award", "counters", "counts_back", "dates", "dates_on_event", "targets"]

_UNUSED: Mapping[str, int] = MappingProxyType({})


# ---------------------------------------------------------------- the award


def award(program: Program, fact: Order | Activity, *, tier: Tiers = None, used: Mapping[str, int] = _UNUSED) -> Award:
    """Return what `fact` earns a member of `tier`.

    `used` says how much of the counters (see `counters`) was used before; what is missing counts as 0. Nothing is
    changed: the award's `counts` say what to add.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit.facts import Line
    >>> from loyaltykit.program import Program
    >>> from loyaltykit.rules import per_amount
    >>> program = Program("Corner Shop Club", "USD", earning=[per_amount(1, each="1.00")])
    >>> order = Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), [Line(sku, total="0.99") for sku in "abc"])
    >>> award(program, order).points
    2
    """
    plan = plan_of(program)
    if isinstance(fact, Order):
        worth = order_worth(plan, fact, left(sold(fact, plan.currency, plan.split), ()), tier)
        return _granted(plan, fact, order_key(fact.id), tier, worth, used)
    if isinstance(fact, Activity):
        return _granted(plan, fact, f"activity:{fact.id}", tier, activity_worth(plan, fact, tier), used)
    raise InputError("fact", fact, "give an Order or an Activity")


def _granted(plan: Plan, fact: Order | Activity, key: str, tier: Tiers, worth: Worth, used: Mapping[str, int]) -> Award:
    limits = _Limits(plan, fact, used) if plan.counted else None
    asked, given, lots, counts = [], [], [], []
    for unit in plan.units:
        exact = {name: worth.points[name] for name in unit.names if name in worth.points}
        if not exact:
            continue
        wanted = total = _rounded(unit, exact.values())
        allowed = exact
        if limits is not None and unit.counted:
            allowed = {name: limits.on_rule(plan.rules[name], points) for name, points in exact.items()}
            total = limits.on_unit(unit, _rounded(unit, allowed.values()))
        total = min(total, MAX_WHOLE)
        asked.append((unit.name, wanted))
        given.append((unit.name, total))
        made = _lots(plan, unit, fact.at, allowed, total)
        lots += made
        if limits is not None and unit.counted:
            counts += limits.counts(unit, made, allowed, total)
    reasons = [*worth.reasons, *dict.fromkeys(limits.reasons if limits else ())]
    if asked and not reasons and not any(points for _, points in asked):
        reasons.append("rounded_down")
    in_all = tuple(asked)  # as good as always what is given, too
    return Award(
        key, plan.version, tier, in_all, in_all if given == asked else tuple(given), tuple(lots),
        tuple(reasons), tuple(worth.shares), tuple(limits.cut) if limits else (), tuple(counts),
        fact.revision if isinstance(fact, Order) else 1,
    )  # fmt: skip


def _rounded(unit: UnitPlan, points: Iterable[Fraction]) -> int:
    total = added(points)
    return total.numerator // total.denominator if unit.rounding == "floor" else round_to_int(total, unit.rounding)


def _lots(plan: Plan, unit: UnitPlan, at: datetime, allowed: Mapping[str, Fraction], total: int) -> list[AwardLot]:
    """Split a unit's points over lots, one for each pair of dates, in the order of the rules."""
    if len(allowed) == 1:
        ((name, points),) = allowed.items()
        if not points:
            return []
        only = _dates(at, plan.zone, *unit.terms[name])
        lot = AwardLot(unit.name, total, at, only.active_at, only.expires_at, only.event, only.validity, (name,))
        return [lot] if total else []
    groups: dict[LotDates, list[str]] = {}
    dated: dict[Any, LotDates] = {}
    for name, points in allowed.items():
        if points:
            term = unit.terms[name]
            when = dated.get(term)
            if when is None:
                when = dated[term] = _dates(at, plan.zone, *term)
            groups.setdefault(when, []).append(name)
    parts = [total]
    if len(groups) != 1:
        parts = allocate(total, [added(allowed[name] for name in group) for group in groups.values()])
    return [
        AwardLot(unit.name, part, at, when.active_at, when.expires_at, when.event, when.validity, tuple(group))
        for part, (when, group) in zip(parts, groups.items(), strict=True)
        if part
    ]


# ---------------------------------------------------------------- dates


def dates(unit: Unit, at: datetime, zone: str | tzinfo) -> LotDates:
    """Return when points of `unit` (as `Program.unit` gives it) that are earned at `at` become active and expire."""
    return _dates(at, zone, unit.activation, unit.validity, unit.validity_from or "activation")


def _dates(
    at: datetime, zone: str | tzinfo, activation: Period | OnEvent | None, validity: Period | None, validity_from: str
) -> LotDates:
    if isinstance(activation, OnEvent):
        if validity is None or validity_from == "activation":
            return LotDates(None, None, activation.event, validity)
        return LotDates(None, validity.after(at, zone), activation.event)
    active_at = at if activation is None else activation.after(at, zone)
    if validity is None:
        return LotDates(active_at)
    return LotDates(active_at, validity.after(active_at if validity_from == "activation" else at, zone))


def dates_on_event(lot: AwardLot, at: datetime, zone: str | tzinfo) -> LotDates:
    """Return the dates of a lot that waited for an event, which came at the instant `at`."""
    return LotDates(at, lot.expires_at if lot.validity is None else lot.validity.after(at, zone))


# ---------------------------------------------------------------- limits and their counters


def counters(program: Program, fact: Order | Activity) -> tuple[str, ...]:
    """Return the names of the counters that the award of `fact` looks at.

    ``cap/<rule>/<period>/points`` and ``.../times`` count one member, where the period is ``day:2026-03-02`` (the
    first local day of the window) or ``lifetime``, and ``~<unit>`` stands for the rule where the whole unit is
    capped; ``once/<rule>/<value>`` says that a scope was rewarded; ``budget/<name>`` counts all members together.
    """
    plan = plan_of(program)
    if not plan.counted:
        return ()
    limits = _Limits(plan, fact, _UNUSED)
    found = []
    for unit in plan.units:
        for name in unit.names:
            rule = plan.rules[name]
            if _concerns(rule, fact):
                found += [counter for _, counter, _ in limits.of_rule(rule)]
        found += [counter for _, counter, _ in limits.of_unit(unit)]
    return tuple(dict.fromkeys(found))


def _concerns(rule: Rule, fact: Order | Activity) -> bool:
    if isinstance(fact, Activity):
        return isinstance(rule, ActivityRule) and rule.activity == fact.name and rule.in_force(fact.at)
    return not isinstance(rule, ActivityRule) and rule.in_force(fact.at)


class _Limits:
    """What caps, budgets and "once" leave, while one award is made."""

    def __init__(self, plan: Plan, fact: Order | Activity, used: Mapping[str, int]) -> None:
        self.plan, self.fact, self.used = plan, fact, used
        self.windows: dict[str, str] = {}
        self.taken: dict[str, int] = {}
        self.reasons: list[str] = []
        self.cut: list[tuple[str, int]] = []

    def window(self, cap: Cap) -> str:
        if cap.window is None:
            return cap.period
        if cap.period not in self.windows:
            start = local_date(start_of(cap.window, self.fact.at, self.plan.zone), self.plan.zone)
            self.windows[cap.period] = f"{cap.period}:{start.isoformat()}"
        return self.windows[cap.period]

    def of_cap(self, owner: str, cap: Cap) -> list[tuple[str, str, int]]:
        prefix = f"cap/{owner}/{self.window(cap)}"
        pairs = (("points", cap.points), ("times", cap.times))
        return [(kind, f"{prefix}/{kind}", limit) for kind, limit in pairs if limit is not None]

    def of_rule(self, rule: Rule) -> list[tuple[str, str, int]]:
        """Return the limits on a rule: their kind, counter, and how much there is in all."""
        found = self.of_cap(rule.name, rule.cap) if rule.cap is not None else []
        if isinstance(rule, ActivityRule) and rule.once is not None and isinstance(self.fact, Activity):
            found.append(("once", f"once/{rule.name}/{self.scope(rule.once, self.fact)}", 1))
        if rule.budget is not None:
            found.append(("budget", f"budget/{rule.budget.name}", rule.budget.points))
        return found

    def scope(self, once: str, fact: Activity) -> str:
        if once == "day":
            return local_date(fact.at, self.plan.zone).isoformat()
        return {"product": fact.product, "order": fact.order}.get(once) or ""

    def of_unit(self, unit: UnitPlan) -> list[tuple[str, str, int]]:
        return [limit for cap in unit.caps for limit in self.of_cap(f"~{unit.name}", cap)]

    def on_rule(self, rule: Rule, points: Fraction) -> Fraction:
        """Return what the limits leave of a rule's points."""
        if rule.name not in self.plan.limited:
            return points
        if rule.name in self.plan.whole:
            points = Fraction(points.numerator // points.denominator)
        limits = self.of_rule(rule)
        room, reason = self.room(limits)
        if room is not None and points > room:
            self.reasons.append(reason)
            self.cut.append((rule.name, room))
            points = Fraction(room)
        if rule.budget is not None:
            self.taken[f"budget/{rule.budget.name}"] = self.taken.get(f"budget/{rule.budget.name}", 0) + int(points)
        return points

    def on_unit(self, unit: UnitPlan, total: int) -> int:
        """Return what the caps of a whole unit leave of its points."""
        room, reason = self.room(self.of_unit(unit)) if unit.caps else (None, "")
        if room is None or total <= room:
            return total
        self.reasons.append(reason)
        return room

    def room(self, limits: Iterable[tuple[str, str, int]]) -> tuple[int | None, str]:
        """Return the least that is left under `limits`, None if nothing limits, and which it is."""
        least: int | None = None
        reason = ""
        for kind, counter, limit in limits:
            rest = max(0, limit - self.used.get(counter, 0) - self.taken.get(counter, 0))
            if kind in ("times", "once") and rest:
                continue
            if least is None or rest < least:
                least, reason = rest, "cap" if kind in ("points", "times") else kind
        return least, reason

    def counts(
        self, unit: UnitPlan, lots: Sequence[AwardLot], allowed: Mapping[str, Fraction], total: int
    ) -> list[tuple[str, int]]:
        """Return what an award of `lots` adds to which counter."""
        by_rule = _by_rule(lots, [lot.points for lot in lots], allowed)
        found: dict[str, int] = {}
        limits = [(limit, points) for name, points in by_rule.items() for limit in self.of_rule(self.plan.rules[name])]
        limits += [(limit, total) for limit in self.of_unit(unit)]
        for (kind, counter, _), points in limits:
            if points:
                found[counter] = found.get(counter, 0) + (1 if kind in ("times", "once") else points)
        return list(found.items())


def _by_rule(lots: Sequence[AwardLot], points: Sequence[int], allowed: Mapping[str, Fraction]) -> dict[str, int]:
    """Split the points of lots over the rules that gave them."""
    found: dict[str, int] = {}
    for lot, part in zip(lots, points, strict=True):
        shares = allocate(part, [allowed.get(name, ZERO) for name in lot.rules])
        found.update(zip(lot.rules, shares, strict=True))
    return found


# ---------------------------------------------------------------- after refunds


def targets(program: Program, order: Order, refunds: Iterable[Refund], award: Award) -> tuple[int, ...]:
    """Return what stands of each lot of `award` after `refunds`: never more than was given, never more than before.

    `program` is the version that made the award, `order` the latest revision. A unit's points are the least of what
    was given and what the rules, without counting caps again, give for what remains of the order; where nothing of
    the goods remains they are all 0. Refunds are looked at in the order of their instants, as in
    `loyaltykit.refunds`.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit.program import Program
    >>> from loyaltykit.rules import per_amount
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> program, order = Program("Club", "USD", earning=per_amount(1)), Order("1", "ann", at, amount="49.95")
    >>> given = award(program, order)
    >>> targets(program, order, [], given), targets(program, order, [Refund("r", "ann", "1", at)], given)
    ((49,), (0,))
    """
    return tuple(_standing(program, order, refunds, award)[0])


def counts_back(program: Program, order: Order, refunds: Iterable[Refund], award: Award) -> tuple[tuple[str, int], ...]:
    """Return how much of each counter of `award` comes free again after `refunds`, in all.

    Points come free as they are taken back, a time when none of its points are left.
    """
    refunds, plan = tuple(refunds), plan_of(program)
    if not award.counts or (not refunds and order.revision == award.revision):
        return tuple((counter, 0) for counter, _ in award.counts)
    standing, allowed = _standing(program, order, refunds, award)
    limits = _Limits(plan, order, _UNUSED)
    kept: dict[str, int] = {}
    for unit in plan.units:
        mine = [(lot, points) for lot, points in zip(award.lots, standing, strict=True) if lot.unit == unit.name]
        lots = [_with_points(lot, points) for lot, points in mine]
        for counter, points in limits.counts(unit, lots, allowed, sum(lot.points for lot in lots)):
            kept[counter] = kept.get(counter, 0) + points
    return tuple((counter, points - min(points, kept.get(counter, 0))) for counter, points in award.counts)


def _with_points(lot: AwardLot, points: int) -> AwardLot:
    return AwardLot(lot.unit, points, lot.earned_at, rules=lot.rules)


def _standing(
    program: Program, order: Order, refunds: Iterable[Refund], award: Award
) -> tuple[list[int], dict[str, Fraction]]:
    """Return what stands of each lot, and of each rule exactly."""
    plan = plan_of(program)
    if award.version != plan.version:
        raise InputError("program.version", plan.version, f"the award was made by version {award.version}; give that")
    standing = [lot.points for lot in award.lots]
    allowed: dict[str, Fraction] = {}
    each, cut = ordered(refunds), dict(award.cut)
    first = 1 if order.revision == award.revision else 0  # before its first refund an order is what was awarded
    if first > len(each):
        return standing, allowed
    goods = sold(order, plan.currency, plan.split)
    # One refund after the other: where a unit has several lots, largest remainders alone could let one of them rise
    # while the sum falls.
    for count in range(first, len(each) + 1):
        worth = order_worth(plan, order, left(goods, each[:count]), award.tier)
        allowed = {name: _within(plan, name, points, cut) for name, points in worth.points.items()}
        for unit in plan.units:
            places = [place for place, lot in enumerate(award.lots) if lot.unit == unit.name]
            exact = [added(allowed.get(name, ZERO) for name in award.lots[place].rules) for place in places]
            now = _lowered([standing[place] for place in places], exact, _rounded(unit, exact))
            for place, points in zip(places, now, strict=True):
                standing[place] = points
    return standing, allowed


def _within(plan: Plan, name: str, points: Fraction, cut: Mapping[str, int]) -> Fraction:
    if name in plan.whole:
        points = Fraction(points.numerator // points.denominator)
    return min(points, Fraction(cut[name])) if name in cut else points


def _lowered(now: list[int], exact: Sequence[Fraction], total: int) -> list[int]:
    """Lower the points of lots until they come to `total`, each to about its exact value, none raised."""
    total = min(total, sum(now))
    lower = [min(points, value.numerator // value.denominator) for points, value in zip(now, exact, strict=True)]
    missing = total - sum(lower)
    while missing > 0:
        raisable = [place for place, points in enumerate(lower) if points < now[place]]
        for place in sorted(raisable, key=lambda place: lower[place] - exact[place])[:missing]:
            lower[place] += 1
            missing -= 1
    return lower
