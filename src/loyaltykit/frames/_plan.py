"""What is asked of a base, put together: all distinct measures in as few passes over its rows as possible.

Conditions become columns before anything is grouped, and only plain columns are added up, as whole numbers. The bounds
of windows come from Python, once each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit import matching
from loyaltykit.calendar import from_us, to_us
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.frames._base import Base, folded, lit, present, seen, summed, together, whole
from loyaltykit.frames._retention_time import number, wall
from loyaltykit.frames._tables import Table, ones
from loyaltykit.matching import Match
from loyaltykit.measures import Measure
from loyaltykit.windows import Anniversary, Window, bounds

_INT = nw.Int64
_AGES = ("days_since_first", "days_since_last")
# What is counted by order; the rest is added up, or counted by what differs.
_OF_ORDERS: dict[str, Callable[[nw.Expr], nw.Expr]] = {
    "spend": nw.Expr.sum, "orders": nw.Expr.count, "days_since_first": nw.Expr.min, "days_since_last": nw.Expr.max,
}  # fmt: skip
_COLUMNS: dict[type[Match], str] = {
    matching.Category: "category", matching.Sku: "sku", matching.Channel: "channel", matching.Code: "code",
}  # fmt: skip


class Plan:
    """The measures that are asked of a base at an instant. Each has a column of the frame that comes of it.

    Sums and counts are whole numbers, 0 where there is nothing. Of days since an order the column has the order's
    instant (UTC, without a zone), null where there is none.
    """

    def __init__(self, base: Base, now: int) -> None:
        self.base, self.now = base, now
        self.measures: list[Measure] = []

    def column(self, measure: Measure) -> str:
        """Return the column of a measure."""
        if not isinstance(measure, Measure):
            raise InputError("measure", measure, "give a measure, as in spend(months(6))")
        if measure.currency not in (None, self.base.currency):
            raise WrongCurrency("measure.currency", measure.currency, f"the base is in {self.base.currency}")
        if measure not in self.measures:
            self.measures.append(measure)
        return f"m{self.measures.index(measure)}"

    def frame(self) -> Any:
        """Return everybody with the columns of the measures that were asked for."""
        groups: dict[tuple[str, str], list[Measure]] = {}
        for measure in self.measures:
            groups.setdefault(self._source(measure), []).append(measure)
        found = [self._group(name, key, some) for (name, key), some in groups.items()]
        base = self.base
        alone = base.customers is None and len(base.tables) == 1 and not base.orders.derived
        if alone and list(groups) == [("orders", "order")]:  # the rows of one table have everybody
            return found[0]
        everybody = base.members
        for each in found:
            everybody = everybody.join(each, on="customer", how="left")
        sums = [self.column(measure) for measure in self.measures if measure.kind not in _AGES]
        return _numbers(everybody, sums)

    # ------------------------------------------------------------ where a measure is read

    def _source(self, measure: Measure) -> tuple[str, str]:
        """Return the table that a measure reads, and by what it counts; refuse what the base has no columns for."""
        kind = measure.kind
        if kind in ("activities", "earned", "balance"):
            name, key = ("activities" if kind == "activities" else "points"), "sum"
        else:
            per_line = kind in ("products", "categories") or matching.depends_on_line(measure.where)
            name = "lines" if per_line and self.base.lines is not self.base.orders else "orders"
            keys = {"products": "sku", "categories": "category", "codes": "code", "periods": str(measure.name)}
            key = "order" if kind in _OF_ORDERS else keys[kind]
        table = getattr(self.base, name)
        if table is None:
            hint = {
                "lines": "the base has no lines: name the column of skus, sku='...', or give lines=Lines(...)",
                "activities": "the base has no activities: give activities=Activities(...)",
                "points": "the base has no points: give points=Points(...)",
            }[name]
            raise InputError("measure", str(measure), hint)
        needed = {"amount"} if kind == "spend" else {key} & {"sku", "category", "code"}
        if name != "activities":
            needed |= {_COLUMNS[type(leaf)] for leaf in matching.leaves(measure.where)}
        for column in sorted(needed - table.has):
            raise InputError("measure", str(measure), f"the base has no such column: name it, {column}='...'")
        return name, key

    def _group(self, name: str, key: str, measures: Sequence[Measure]) -> Any:
        table: Table = getattr(self.base, name)
        if key == "order":
            return self._by_order(table, measures)
        return self._summed(table, measures) if key == "sum" else self._different(table, key, measures)

    # ------------------------------------------------------------ what engines do

    def _by_order(self, table: Table, measures: Sequence[Measure]) -> Any:
        """Return what was spent, how many orders there were, and when: by order where it can have several rows."""
        counting = any(measure.kind != "spend" for measure in measures)
        frame = present(table, self._known(table)) if counting else self._known(table)
        wheres = list(dict.fromkeys(measure.where for measure in measures))
        windows = list(dict.fromkeys(measure.window for measure in measures))
        parts = {}
        for measure in measures:
            source = "amount" if measure.kind == "spend" else "present"
            part = self._masked(nw.col(source), self._where(table, measure.where))
            parts[f"{source}{wheres.index(measure.where)}"] = part
        if counting and not table.alone:
            frame = summed(frame.with_columns(**parts), ["customer", "order", "at"], list(parts))
            parts = {part: nw.col(part) for part in parts}
        frame = self._anniversaries(frame, measures)
        columns, found = {}, {}
        for measure in measures:
            place, inside = wheres.index(measure.where), self._inside(measure.window)
            # What is asked of the same orders shares a column: the number of instants, the first of them, and the last.
            column = f"{'amount' if measure.kind == 'spend' else 'at'}{place}_{windows.index(measure.window)}"
            if measure.kind == "spend":
                columns[column] = self._masked(parts[f"amount{place}"], inside)
            else:
                always = table.alone and "present" not in table.has and measure.where is None
                there = inside if always else inside & (parts[f"present{place}"] > 0)
                columns[column] = nw.when(there).then(nw.col("at"))
            found[self.column(measure)] = _OF_ORDERS[measure.kind](nw.col(column))
        counts = [self.column(measure) for measure in measures if measure.kind not in _AGES]
        return whole(frame.select("customer", **columns).group_by("customer").agg(**found), counts)

    def _different(self, table: Table, key: str, measures: Sequence[Measure]) -> Any:
        """Return how many different skus, categories, codes, days, months... there were."""
        frame, there = self._anniversaries(present(table, self._known(table)), measures), nw.col("present")
        columns = {
            self.column(each): self._masked(there, self._where(table, each.where), self._inside(each.window))
            for each in measures
        }
        keys = {"category": table.categories, "code": table.codes}.get(key, (key,))
        frames = [frame.select("customer", key=self._key(key, column), **columns) for column in keys]
        counts = summed(together(frames).filter(~nw.col("key").is_null()), ["customer", "key"], list(columns))
        found = counts.select("customer", **{name: ones(nw.col(name) > 0) for name in columns})
        return summed(found, ["customer"], list(columns))

    def _summed(self, table: Table, measures: Sequence[Measure]) -> Any:
        """Return how many activities or points there were."""
        frame = self._anniversaries(self._known(table), measures)
        columns = {}
        for measure in measures:
            masks: list[nw.Expr | None] = [self._inside(measure.window)]
            if measure.kind == "activities":
                value = nw.lit(1, _INT)
                masks += [nw.col("name") == nw.lit(measure.name), self._where(table, measure.where)]
            else:
                value = nw.col("points")
                masks.append(nw.col("unit") == nw.lit(measure.name))
                masks += [nw.col("kind") == nw.lit("earn")] if measure.kind == "earned" else []
            columns[self.column(measure)] = self._masked(value, *masks)
        return summed(frame.select("customer", **columns), ["customer"], list(columns))

    def _known(self, table: Table) -> Any:
        """Return the rows of a table, with nothing in those that are not known yet: they still say who there is."""
        if "known" not in table.has:
            return table.frame
        if table.derived:
            return table.frame.filter(seen(table, self.now))
        known = nw.col("known") <= lit(self.now)
        columns = [each for each in ("amount", "present", "points") if each in table.has]
        return table.frame.with_columns(*[self._masked(nw.col(each), known).alias(each) for each in columns])

    @staticmethod
    def _masked(value: nw.Expr, *masks: nw.Expr | None) -> nw.Expr:
        """Return a value where all masks hold, else 0."""
        some = [mask for mask in masks if mask is not None]
        return nw.when(reduce(and_, some)).then(value).otherwise(nw.lit(0, _INT)) if some else value

    # ------------------------------------------------------------ windows

    def _inside(self, window: Window) -> nw.Expr:
        """Return whether instants lie in a window, at the instant that is asked about."""
        at = nw.col("at")
        if isinstance(window, Anniversary):
            return (at >= nw.col(self._start(window))) & (at <= lit(self.now))
        # The bounds as they are, with no microsecond added: not every database has literals or intervals so fine.
        span = bounds(window, from_us(self.now), self.base.tz)
        inside = at <= lit(self.now)
        if span.end is not None and to_us(span.end) <= self.now:
            inside = at < lit(to_us(span.end))
        if span.start is None:
            return inside
        start = lit(to_us(span.start))
        return ((at > start) if span.after_start else (at >= start)) & inside

    def _anniversaries(self, frame: Any, measures: Iterable[Measure]) -> Any:
        """Add when the year (or so) of each customer began, where measures ask for it."""
        windows = dict.fromkeys(each.window for each in measures if isinstance(each.window, Anniversary))
        for window in windows:
            frame = frame.join(self._starts(window), on="customer", how="left")
        return frame

    def _starts(self, window: Anniversary) -> Any:
        """Return since when each customer's year (or so) lasts, on the engine: Python knows the calendar."""
        starts: dict[int, datetime] = {}
        customers, begins = [], []
        for customer, anchor in self.base.anchors.items():
            begin = starts.get(self.now if anchor is None else anchor)
            if begin is None:
                origin = self.now if anchor is None else anchor
                start = bounds(window, from_us(self.now), self.base.tz, from_us(origin)).start
                assert start is not None
                begin = starts[origin] = start.replace(tzinfo=None)
            customers.append(customer)
            begins.append(begin)
        kind = self.base.members.collect_schema()["customer"]
        name = self._start(window)
        return self.base.lift({"customer": customers, name: begins}, {"customer": kind, name: nw.Datetime("us")})

    @staticmethod
    def _start(window: Anniversary) -> str:
        period = window.period
        return f"start_{period.months}_{period.days}_{period.microseconds}"

    # ------------------------------------------------------------ filters

    def _where(self, table: Table, where: Match | None) -> nw.Expr | None:
        """Return whether rows are of what a filter names."""
        match where:
            case None:
                return None
            case matching.Not(part):
                return ~self._some(table, part)
            case matching.AllOf(parts):
                return reduce(and_, [self._some(table, part) for part in parts])
            case matching.AnyOf(parts):
                return reduce(or_, [self._some(table, part) for part in parts])
            case matching.Category(names):
                return self._named(table.categories, names)
            case matching.Sku(names):
                return self._named(("product" if table is self.base.activities else "sku",), names)
            case matching.Channel(names):
                return self._named(("channel",) if "channel" in table.has else (), names)
            case matching.Code(names):
                return self._named(table.codes, self._spelled(names))
        raise InputError("measure.where", str(where), "a measure is filtered by category, sku, channel and code")

    def _some(self, table: Table, where: Match) -> nw.Expr:
        found = self._where(table, where)
        assert found is not None
        return found

    def _named(self, columns: Sequence[str], names: Sequence[str]) -> nw.Expr:
        """Return whether one of the columns has one of the names; nulls have none."""
        if not columns or not names:
            return ~nw.col("customer").is_null() & nw.col("customer").is_null()
        # One name is compared rather than looked for in a list: engines are quicker at that.
        one = nw.lit(names[0]) if len(names) == 1 else None
        found = [nw.col(column) == one if one is not None else nw.col(column).is_in(list(names)) for column in columns]
        return reduce(or_, [each.fill_null(False) for each in found])

    def _spelled(self, names: Iterable[str]) -> list[str]:
        found = self.base.spellings
        return [each for name in dict.fromkeys(map(folded, names)) for each in found.get(name, ())]

    # ------------------------------------------------------------ what differs

    def _key(self, key: str, column: str) -> nw.Expr:
        """Return what rows are counted under: different values are different things."""
        if key in ("sku", "category"):
            return nw.col(column)
        if key != "code":
            return number(wall(nw.col("at"), self.base.zone, lambda: self.base.span), key)  # type: ignore[arg-type]
        found = nw.col(column)
        for first, *others in self.base.spellings.values():
            if others:
                found = nw.when(nw.col(column).is_in(others)).then(nw.lit(first)).otherwise(found)
        return found


def reach(base: Base, measures: Sequence[Measure]) -> Any:
    """Return everybody with the most that measures can ever have been: if nothing was taken back, or left a window.

    The columns are ``m0``, ``m1``, ...; the true values, at any instant, are never more.
    """
    plan = Plan(base, 0)
    columns: dict[str, dict[str, nw.Expr]] = {}
    for measure in measures:
        column, (name, key) = plan.column(measure), plan._source(measure)
        table: Table = getattr(base, name)
        if measure.kind == "spend" or name == "points":
            value = nw.col("amount" if measure.kind == "spend" else "points")
            value = nw.when(value > 0).then(value).otherwise(nw.lit(0, _INT))
        else:
            value = ones(nw.col("present") > 0) if "present" in table.has else nw.lit(1, _INT)
            value = value * len({"category": table.categories, "code": table.codes}.get(key, "1"))
        columns.setdefault(name, {})[column] = plan._masked(value, plan._where(table, measure.where))
    everybody = base.members
    for name, some in columns.items():
        frame = getattr(base, name).frame.select("customer", **some)
        everybody = everybody.join(summed(frame, ["customer"], list(some)), on="customer", how="left")
    return _numbers(everybody, [column for some in columns.values() for column in some])


def _numbers(frame: Any, columns: Sequence[str]) -> Any:
    """Return a frame whose sums are whole numbers also for who has no rows."""
    numbers = [nw.col(each).fill_null(0).cast(_INT) for each in columns]
    return frame.with_columns(*numbers) if numbers else frame
