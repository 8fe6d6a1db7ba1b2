"""Measures, conditions, segments and stages of everybody at once, with the answers that they give of one history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, or_
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit.calendar import Period, day_start, from_us, instant, local_date, to_us
from loyaltykit.conditions import AllOf, AnyOf, Condition, Not
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base, lit
from loyaltykit.frames._plan import _AGES, Plan
from loyaltykit.frames._retention_time import number, wall
from loyaltykit.history import History
from loyaltykit.measures import Comparison, Measure, orders
from loyaltykit.segments import LAPSED, Segment

_OPS: dict[str, Any] = {">=": ge, ">": gt, "<=": le, "<": lt, "==": eq}


def measure(base: Base, measures: Mapping[str, Measure], at: datetime) -> Any:
    """Return the values of measures of everybody in a base at an instant: a row a customer, a column a measure.

    Values are whole numbers: minor units (cents) where they are money, days of the base's zone for days since; these
    are null for what never was. All measures are asked together, in as few passes as possible. A measure that needs a
    column which the base has not is refused with `InputError`.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import days, frames, orders, spend
    >>> days_of_march = [datetime(2026, 3, day) for day in (1, 9)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann"] * 2, "at": days_of_march, "c": [500, 700]}), amount="c")
    >>> frames.measure(base, {"spent": spend(), "lately": orders(days(7))}, datetime(2026, 3, 9, tzinfo=UTC)).rows()
    [('ann', 1200, 1)]
    """
    now = to_us(instant(at))
    plan = Plan(base, now)
    columns, ages = {}, []
    for name, each in _named(base, measures, "measures").items():
        columns[name] = nw.col(plan.column(each))
        if each.kind in _AGES:
            columns[name] = _age(base, columns[name], now)
            ages.append(name)
    return base.native(plan.frame().select("customer", **columns), whole=ages)


def _age(base: Base, at: nw.Expr, now: int) -> nw.Expr:
    """Return the local days since instants, null where there is none."""
    some = nw.when(at.is_null()).then(lit(now)).otherwise(at)  # years of nulls are no whole numbers in pandas
    today = local_date(from_us(now), base.tz).toordinal()
    return nw.when(~at.is_null()).then(today - number(wall(some, base.zone, lambda: base.span), "day"))


def evaluate(base: Base, rules: Mapping[str, Segment | Condition], at: datetime) -> Any:
    """Return for whom conditions hold at an instant: a row for everybody in a base, a true or false column a rule.

    The answers are those of `Condition.matches` on each customer's history. All rules are asked together: what several
    of them measure is measured once.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames, orders
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann"], "at": [datetime(2026, 3, 1)]}))
    >>> frames.evaluate(base, {"new": orders() <= 1}, datetime(2026, 3, 9, tzinfo=UTC)).rows()
    [('ann', True)]
    """
    return base.native(_evaluated(base, rules, at))


def _evaluated(base: Base, rules: Mapping[str, Segment | Condition], at: datetime) -> Any:
    plan = Plan(base, to_us(instant(at)))
    answers = {name: _answer(plan, _condition(rule)) for name, rule in _named(base, rules, "rules").items()}
    return plan.frame().select("customer", **answers)


def members(base: Base, rule: Segment | Condition, at: datetime) -> Any:
    """Return the customers of whom a segment's condition holds at an instant: a frame with their column alone.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames, orders
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "bo", "ann"], "at": [datetime(2026, 3, 1)] * 3}))
    >>> frames.members(base, orders() >= 2, datetime(2026, 3, 9, tzinfo=UTC)).rows()
    [('ann',)]
    """
    return base.native(_evaluated(base, {"_holds": rule}, at).filter(nw.col("_holds")).select("customer"))


def changes(base: Base, rule: Segment | Condition, since: datetime, at: datetime) -> Any:
    """Return who joined a segment and who left it between two instants, by what was known at each of them.

    The frame has the customer and `change`, ``joined`` or ``left``.
    """
    before, after = (_evaluated(base, {name: rule}, when) for name, when in (("_was", since), ("_is", at)))
    both = before.join(after, on="customer", how="inner")
    joined, left = nw.col("_is") & ~nw.col("_was"), nw.col("_was") & ~nw.col("_is")
    change = nw.when(joined).then(nw.lit("joined")).otherwise(nw.lit("left"))
    return base.native(both.filter(joined | left).select("customer", change=change))


def stages(base: Base, at: datetime, lapsed: Period = LAPSED) -> Any:
    """Return the stage of everybody at an instant, as `loyaltykit.segments.stage` says: customer and `stage`."""
    return base.native(_staged(base, at, lapsed, "stage"))


def stage_changes(base: Base, since: datetime, at: datetime, lapsed: Period = LAPSED) -> Any:
    """Return whose stage changed between two instants: customer, `before` and `after`."""
    was, now = _staged(base, since, lapsed, "before"), _staged(base, at, lapsed, "after")
    both = was.join(now, on="customer", how="inner")
    return base.native(both.filter(nw.col("before") != nw.col("after")).select("customer", "before", "after"))


def _staged(base: Base, at: datetime, lapsed: Period, name: str) -> Any:
    if not isinstance(lapsed, Period):
        raise InputError("lapsed", lapsed, "give a period, as in days(90)")
    plan = Plan(base, to_us(instant(at)))
    count, lately = nw.col(plan.column(orders())), nw.col(plan.column(orders(lapsed)))
    stage = nw.when(count == 1).then(nw.lit("one_time")).otherwise(nw.lit("repeat"))
    stage = nw.when(lately == 0).then(nw.lit("lapsed")).otherwise(stage)
    stage = nw.when(count == 0).then(nw.lit("prospect")).otherwise(stage)
    return plan.frame().select("customer", **{name: stage})


# ---------------------------------------------------------------- conditions as columns


def _named(base: Base, asked: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(asked, Mapping):
        raise InputError(field, type(asked).__name__, "give names with what they ask, as in {'spent': spend()}")
    for name in asked:
        as_column(base, name, field)
    return asked


def as_column(base: Base, name: Any, field: str) -> None:
    """Refuse what cannot be a column beside that of the customers; for databases, upper and lower case are the same."""
    if not isinstance(name, str) or name.casefold() in ("customer", base.customer.casefold()):
        raise InputError(field, name, f"give another name: the customers' column is {base.customer}")


def _condition(rule: Any) -> Condition:
    found = rule.condition if isinstance(rule, Segment) else rule
    if not isinstance(found, Condition):
        raise InputError("rules", rule, "give a segment or a condition, as in spend(months(6)) >= '250.00'")
    return found


def _answer(plan: Plan, condition: Condition) -> nw.Expr:
    """Return a condition as a column of true and false, never null."""
    match condition:
        case Comparison():
            return _compared(plan, condition)
        case Not(part):
            return ~_answer(plan, part)
        case AllOf(parts) | AnyOf(parts) if parts:
            return reduce(and_ if isinstance(condition, AllOf) else or_, [_answer(plan, part) for part in parts])
        case AllOf() | AnyOf():
            return nw.lit(isinstance(condition, AllOf))
    raise InputError("rules", condition, "is no condition that engines know; ask it of Base.histories")


def _compared(plan: Plan, comparison: Comparison) -> nw.Expr:
    column = nw.col(plan.column(comparison.measure))
    target = comparison.target(History(currency=plan.base.currency))
    if comparison.measure.kind not in _AGES:
        found: nw.Expr = _OPS[comparison.op](column, target)
        return found
    # So many days ago, or more: on that local day, or before it. No engine counts days.
    tz = plan.base.tz
    day = local_date(from_us(plan.now), tz)
    then = {">=": (None, 1), ">": (None, 0), "<=": (0, None), "<": (1, None), "==": (0, 1)}[comparison.op]
    low, stop = (None if step is None else _day(day, step - target, tz) for step in then)
    found = ~column.is_null()
    if low is not None:
        found = found & (column >= lit(low)).fill_null(False)
    return found if stop is None else found & (column < lit(stop)).fill_null(False)


def _day(day: date, step: int, tz: Any) -> int:
    """Return the first instant of a day before or after another; of what is before the year 1, that of the year 1."""
    try:
        return to_us(day_start(day + timedelta(step), tz))
    except (InputError, OverflowError):
        return to_us(from_us(-62_135_596_800_000_000))
