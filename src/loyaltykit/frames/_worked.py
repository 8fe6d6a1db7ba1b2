"""Thresholds and ladders of everybody: the engine measures, and says who may have reached anything; Python finishes.

When a target was reached, or how long a tier lasts, follows from the whole course of a history. The engine leaves out
all whose rows together could never have reached a target; of the others Python judges the histories, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit import thresholds
from loyaltykit.amounts import to_minor
from loyaltykit.calendar import instant, to_us
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._plan import Plan, reach
from loyaltykit.frames._rules import as_column
from loyaltykit.frames._tables import rows
from loyaltykit.history import History
from loyaltykit.measures import Measure
from loyaltykit.thresholds import Threshold
from loyaltykit.tiers import Invitation, Ladder, standing, tier_of

Invitations = Mapping[Any, Iterable[Invitation]]
_INT, _TEXT, _FLAG, _AT = nw.Int64(), nw.String(), nw.Boolean(), nw.Datetime("us")


def progress(base: Base, threshold: Threshold, at: datetime) -> Any:
    """Return how far everybody is towards a threshold at an instant, as `loyaltykit.thresholds.progress` says.

    The columns: the customer, `value`, `target`, `to_go` (minor units where they are money), `reached_at`, `order`,
    `until`, `revoked_at` (in UTC, without a zone; null where there is none) and `granted`. Where the base has no ids of
    orders, `order` is null.
    """
    if not isinstance(threshold, Threshold):
        raise InputError("threshold", threshold, "give a threshold, as in Threshold('the year', spend(), 500)")
    plan = Plan(base, to_us(instant(at)))
    value = plan.column(threshold.measure)
    target = _units(base, threshold.measure, threshold.target, "threshold.target")
    found = _judged(base, [(threshold.measure, target)], lambda _, history: thresholds.progress(threshold, history, at))
    columns = {"reached_at": _AT, "order": _TEXT, "until": _AT, "revoked_at": _AT, "granted": _FLAG}
    worked = _lifted(base, found, columns)
    if base.orders.alone:  # the ids in such histories are made up
        worked = worked.with_columns(order=nw.lit(None, _TEXT))
    to_go = nw.when(nw.col(value) < target).then(target - nw.col(value)).otherwise(nw.lit(0, nw.Int64))
    numbers = plan.frame().select("customer", value=nw.col(value), target=nw.lit(target, nw.Int64), to_go=to_go)
    joined = numbers.join(worked, on="customer", how="left")
    return base.native(joined.with_columns(nw.col("granted").fill_null(False)))


def tiers(
    base: Base, ladders: Ladder | Iterable[Ladder] | Mapping[str, Ladder], at: datetime,
    invitations: Invitations | None = None,
) -> Any:  # fmt: skip
    """Return the tiers of everybody at an instant, as `loyaltykit.tiers.tier_of` says: a column a ladder.

    The columns are named as the ladders are, or as the mapping says; null is no tier. `invitations` are those of each
    customer. A tier that lasts as long as it is qualified for, without grace, follows from the measure alone; of all
    others the course has to be known, and Python works it out for those who ever came near.
    """
    if isinstance(ladders, Ladder):
        ladders = [ladders]
    listed = (
        list(ladders.items())
        if isinstance(ladders, Mapping)
        else [(getattr(each, "name", ""), each) for each in ladders]
    )
    for name, ladder in listed:
        if not isinstance(ladder, Ladder):
            raise InputError("ladders", ladder, "give a ladder, or several, or ladders by name")
        as_column(base, name, "ladders")
    named = dict(listed)
    if len(named) < len(listed):
        raise InputError(
            "ladders", [name for name, _ in listed], "two have one name; give a mapping with names of their own"
        )
    plan = Plan(base, to_us(instant(at)))
    answers, courses = {}, {}
    for place, (name, ladder) in enumerate(named.items()):
        goals = _goals(base, ladder)
        if _at_once(ladder) and not invitations:
            answers[name] = _ranked(nw.col(plan.column(ladder.measure)), goals)
        else:
            answers[name] = nw.col(f"_t{place}")
            courses[f"_t{place}"] = (ladder, goals)
    everybody = plan.frame() if plan.measures else base.members
    if courses:
        everybody = _with_courses(base, everybody, courses, at, invitations or {})
    return base.native(everybody.select("customer", **answers))


def standings(
    base: Base, ladder: Ladder, at: datetime, customers: Iterable[Any] | None = None,
    invitations: Invitations | None = None,
) -> Any:  # fmt: skip
    """Return where everybody, or some customers, stand on a ladder, as `loyaltykit.tiers.standing` says.

    The columns: the customer, `tier`, `since`, `until`, `then`, `value`, `next`, `to_next`, `to_keep` (minor units
    where they are money) and `reason`. All of it is worked out in Python, one customer after the other: ask it of those
    whom you show it to, and `tiers` of everybody.
    """
    if not isinstance(ladder, Ladder):
        raise InputError("ladder", ladder, "give a ladder")
    asked, by = base.histories(customers), invitations or {}
    found = {customer: standing(ladder, history, at, by.get(customer, ())) for customer, history in asked.items()}
    columns = {"tier": _TEXT, "since": _AT, "until": _AT, "then": _TEXT, "value": _INT, "next": _TEXT,
               "to_next": _INT, "to_keep": _INT, "reason": _TEXT}  # fmt: skip
    return base.native(_lifted(base, found, columns), whole=["value", "to_next", "to_keep"])


# ---------------------------------------------------------------- what Python is left with


def _units(base: Base, measure: Measure, value: Any, field: str) -> int:
    return to_minor(value, base.currency, field) if measure.kind == "spend" else int(value)


def _goals(base: Base, ladder: Ladder) -> list[tuple[int, str]]:
    """Return the values from which the tiers are reached, and their names, the lowest first."""
    return [
        (_units(base, ladder.measure, tier.threshold, f"ladder.tiers[{place}].threshold"), tier.name)
        for place, tier in enumerate(ladder.tiers)
        if not tier.invitation
    ]


def _at_once(ladder: Ladder) -> bool:
    """Say whether the tier follows from what the measure is now."""
    lasting = ladder.validity == "while_qualifying" and ladder.grace is None
    return lasting and ladder.downgrade == "recompute" and ladder.refunds == "immediate"


def _ranked(value: nw.Expr, goals: Iterable[tuple[int, str]]) -> nw.Expr:
    """Return the name of the highest tier that values reach. From nothing on is always: also below."""
    found = nw.lit(None, _TEXT)
    for goal, name in goals:
        found = nw.when(value >= goal).then(nw.lit(name)).otherwise(found) if goal else nw.lit(name)
    return found


def _with_courses(base: Base, everybody: Any, courses: Mapping[str, tuple[Ladder, Any]], at: datetime,
                  invitations: Invitations) -> Any:  # fmt: skip
    """Add the tiers that follow from the course of a history: those of nobody, but for who ever came near."""
    least = [
        (ladder.measure, min(goal for goal, _ in goals if goal))
        for ladder, goals in courses.values()
        if any(goal for goal, _ in goals)
    ]

    def judge(customer: Any, history: History) -> dict[str, Any]:
        invited = tuple(invitations.get(customer, ()))
        return {name: tier_of(ladder, history, at, invited) for name, (ladder, _) in courses.items()}

    found = _judged(base, least, judge, also=list(invitations))
    worked = _lifted(base, found, dict.fromkeys(courses, _TEXT)).with_columns(_near=nw.lit(True))
    joined = everybody.join(worked, on="customer", how="left")
    near = nw.col("_near").fill_null(False)
    first = {name: _ranked(nw.lit(0, nw.Int64), goals) for name, (_, goals) in courses.items()}
    return joined.with_columns(**{name: nw.when(near).then(nw.col(name)).otherwise(first[name]) for name in courses})


def _judged(base: Base, rules: Iterable[tuple[Measure, int]], judge: Callable[[Any, History], Any],
            also: list[Any] | None = None) -> dict[Any, Any]:  # fmt: skip
    """Return what is judged of all whose rows together may have reached one of some values, and of others."""
    asked: dict[Measure, int] = {}
    for measure, goal in rules:
        asked[measure] = min(goal, asked.get(measure, goal))
    most = reach(base, list(asked))
    near = [nw.col(f"m{place}") >= goal for place, goal in enumerate(asked.values())]
    near += [nw.col("customer").is_in(also)] if also else []
    if not near:
        return {}
    chosen = [customer for (customer,) in rows(most.filter(reduce(or_, near)).select("customer"))]
    found = base.histories(chosen) if chosen else {}
    return {customer: judge(customer, history) for customer, history in found.items()}


def _lifted(base: Base, found: Mapping[Any, Any], columns: Mapping[str, Any]) -> Any:
    """Return what Python has found of customers as a frame on the engine."""

    def plain(judged: Any, name: str) -> Any:
        value = judged[name] if isinstance(judged, Mapping) else getattr(judged, name)
        if isinstance(value, datetime):
            return value.replace(tzinfo=None)
        return to_minor(value, base.currency) if isinstance(value, Decimal) else value

    kinds = {"customer": base.members.collect_schema()["customer"], **columns}
    return base.lift(
        {"customer": list(found), **{name: [plain(each, name) for each in found.values()] for name in columns}}, kinds
    )
