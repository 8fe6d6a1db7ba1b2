"""What the conformance suite of frames asks: each question of an engine, and of pure Python on the original facts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import attrs

from loyaltykit import frames, retention
from loyaltykit.amounts import to_minor
from loyaltykit.calendar import from_us, to_us
from loyaltykit.frames import retention as frames_retention
from loyaltykit.history import History
from loyaltykit.measures import value_of
from loyaltykit.testing._frames_load import Collect
from loyaltykit.testing._frames_rules import Question, RuleSet
from loyaltykit.thresholds import Progress, Threshold, progress
from loyaltykit.tiers import standing, tier_of


class Cell(NamedTuple):
    """One answer: of a customer (or about all: None), in a column."""

    row: Hashable
    column: str


Cells = dict[Cell, Any]
ANY: Any = object()
"""An answer of pure Python that leaves the engine free: any is right."""

Histories = Mapping[str, History]


class Check(NamedTuple):
    """A kind of questions: the rules that it takes, all asked in one query, and who answers them."""

    name: str
    rules: Callable[[RuleSet], Mapping[str, Any]]
    engine: Callable[[frames.Base, Mapping[str, Any], datetime, Collect], Cells]
    pure: Callable[[Histories, Mapping[str, Any], datetime], Cells]


def _cells(rows: Iterable[Mapping[str, Any]], customer: str, prefix: str = "") -> Cells:
    """Return the cells of rows with a column of customers."""
    found: Cells = {}
    for row in rows:
        for column, value in row.items():
            if column != customer:
                cell = Cell(row[customer], prefix + column)
                found[cell] = "twice" if cell in found else _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Return what an engine hands back as Python's own: no scalars of NumPy, no NaN, instants in UTC."""
    if value is None or value != value:
        return None
    if isinstance(value, datetime):
        return from_us(to_us(value if value.tzinfo is not None else value.replace(tzinfo=UTC)))
    return value.item() if hasattr(value, "item") else value


# ---------------------------------------------------------------- measures, conditions


def _measured(base: frames.Base, rules: Mapping[str, Any], at: datetime, collect: Collect) -> Cells:
    return _cells(collect(frames.measure(base, rules, at)), base.customer)


def _values(histories: Histories, rules: Mapping[str, Any], at: datetime) -> Cells:
    now = to_us(at)
    return {
        Cell(name, column): value_of(measure, history, now)
        for name, history in histories.items()
        for column, measure in rules.items()
    }


def _evaluated(base: frames.Base, rules: Mapping[str, Any], at: datetime, collect: Collect) -> Cells:
    return _cells(collect(frames.evaluate(base, rules, at)), base.customer)


def _holding(histories: Histories, rules: Mapping[str, Any], at: datetime) -> Cells:
    now = to_us(at)
    return {
        Cell(name, column): condition.holds(history, now)
        for name, history in histories.items()
        for column, condition in rules.items()
    }


# ---------------------------------------------------------------- thresholds, ladders


def _asked(ask: Callable[..., Any], columns: Sequence[str]) -> Callable[..., Cells]:
    """Return a function that asks an engine one rule after the other, each for some columns."""

    def cells(base: frames.Base, rules: Mapping[str, Any], at: datetime, collect: Collect) -> Cells:
        found: Cells = {}
        for name, rule in rules.items():
            for row in collect(ask(base, rule, at)):
                for column in columns:
                    cell = Cell((row[base.customer], column), name)
                    found[cell] = "twice" if cell in found else _plain(row[column])
        return found

    return cells


def _worked_out(judge: Callable[..., Any], columns: Sequence[str]) -> Callable[..., Cells]:
    """Return a function that asks pure Python the same of one customer after the other."""

    def cells(histories: Histories, rules: Mapping[str, Any], at: datetime) -> Cells:
        return {
            Cell((name, column), rule_name): _units(getattr(found, column), history.currency)
            for rule_name, rule in rules.items()
            for name, history in histories.items()
            for found in [judge(rule, history, at)]
            for column in columns
        }

    return cells


def _units(value: Any, currency: str) -> Any:
    """Return money in minor units, as frames have it."""
    return to_minor(value, currency) if isinstance(value, Decimal) else value


def _progress(threshold: Threshold, history: History, at: datetime) -> Progress:
    """Return how far a customer is; of several orders at one instant, nobody can say which reached a target."""
    found = progress(threshold, history, at)
    reached = None if found.reached_at is None else to_us(found.reached_at)
    orders = {sale.order for sale in history.purchases if sale.known == reached and not sale.back}
    return attrs.evolve(found, order=ANY) if len(orders) > 1 else found


_PROGRESS = ("value", "target", "to_go", "reached_at", "order", "until", "revoked_at", "granted")
_STANDING = ("tier", "since", "until", "then", "value", "next", "to_next", "to_keep", "reason")


def _tiers(base: frames.Base, rules: Mapping[str, Any], at: datetime, collect: Collect) -> Cells:
    return _cells(collect(frames.tiers(base, rules, at)), base.customer)


def _tiers_purely(histories: Histories, rules: Mapping[str, Any], at: datetime) -> Cells:
    return {
        Cell(name, column): tier_of(ladder, history, at)
        for column, ladder in rules.items()
        for name, history in histories.items()
    }


# ---------------------------------------------------------------- retention


def _lists(base: frames.Base, rules: Mapping[str, Question], at: datetime, collect: Collect) -> Cells:
    found: Cells = {}
    for name, rule in rules.items():
        columns = LISTS[rule.name][0]
        found |= _asked(lambda base, rule, at: getattr(frames_retention, rule.name)(base, at, **rule.args), columns)(
            base, {name: rule}, at, collect
        )
    return found


def _lists_purely(histories: Histories, rules: Mapping[str, Question], at: datetime) -> Cells:
    currency = next(iter(histories.values())).currency
    found: Cells = {}
    for name, rule in rules.items():
        columns, listed = LISTS[rule.name]
        for customer, *values in listed(histories, at, **rule.args):
            found |= {
                Cell((customer, key), name): _units(each, currency) for key, each in zip(columns, values, strict=True)
            }
    return found


def _scores(histories: Histories, at: datetime, window: Any, **args: Any) -> retention.RfmScores:
    return retention.rfm_scores(retention.rfm(histories, at, window), **args)


Listing = Callable[..., Iterable[tuple[Any, ...]]]
LISTS: Mapping[str, tuple[tuple[str, ...], Listing]] = {
    "rfm_summary": (
        ("frequency", "recency", "T", "repeat_spend"),
        lambda *asked: (attrs.astuple(each) for each in retention.rfm_summary(*asked).customers),
    ),
    "rfm": (
        ("days_since_last", "orders", "spent"),
        lambda *asked, **args: (attrs.astuple(each) for each in retention.rfm(*asked, **args).customers),
    ),
    "rfm_scores": (
        ("r", "f", "m"),
        lambda *asked, **args: (attrs.astuple(each) for each in _scores(*asked, **args).customers),
    ),
    "rfm_segments": (
        ("segment",),
        lambda *asked, **args: retention.rfm_segments(_scores(*asked, **args)).rows,
    ),
    "historic_value": (
        ("orders", "revenue", "value"),
        lambda *asked, **args: (attrs.astuple(each) for each in retention.historic_value(*asked, **args).customers),
    ),
    "overdue": (
        ("label", "since", "beyond"),
        lambda *asked, **args: (
            (each.customer, each.label, each.since, each.beyond) for each in retention.overdue(*asked, **args).customers
        ),
    ),
}
"""The functions of retention that answer with a row a customer: their columns, and the same in pure Python."""


def _tables(base: frames.Base, rules: Mapping[str, Question], at: datetime, collect: Collect) -> Cells:
    return {
        Cell(None, name): getattr(frames_retention, rule.name)(base, at, **rule.args) for name, rule in rules.items()
    }


def _tables_purely(histories: Histories, rules: Mapping[str, Question], at: datetime) -> Cells:
    return {Cell(None, name): getattr(retention, rule.name)(histories, at, **rule.args) for name, rule in rules.items()}


CHECKS = (
    Check("measure", lambda rules: rules.measures, _measured, _values),
    Check("evaluate", lambda rules: rules.conditions, _evaluated, _holding),
    Check(
        "progress",
        lambda rules: rules.thresholds,
        _asked(frames.progress, _PROGRESS),
        _worked_out(_progress, _PROGRESS),
    ),
    Check("tiers", lambda rules: rules.ladders, _tiers, _tiers_purely),
    Check(
        "standings", lambda rules: rules.ladders, _asked(frames.standings, _STANDING), _worked_out(standing, _STANDING)
    ),
    Check("lists", lambda rules: rules.lists, _lists, _lists_purely),
    Check("tables", lambda rules: rules.tables, _tables, _tables_purely),
)
