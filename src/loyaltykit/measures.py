"""Measures of what a customer has done, over windows of time; compared with a number they are conditions.

``spend(months(6)) >= "250.00"`` is such a condition, ``orders(weeks(5), where=category("coffee")) >= 5`` another. A
measure reads the orders (with what remains of them), activities and points of a `History`, up to an instant. Windows
are those of `loyaltykit.windows`; a bare period means the past so-and-so long, no window means ever.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import attrs

from loyaltykit.amounts import from_minor, money, to_minor, whole
from loyaltykit.calendar import CalendarUnit, Period, as_unit, day_start, from_us, instant, local_date, to_us
from loyaltykit.conditions import Condition, Verdict
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Line
from loyaltykit.fields import brief, currency, one_of, optional, words
from loyaltykit.history import History, Sale
from loyaltykit.matching import Category, Channel, Code, Match, Scene, Sku, depends_on_line, leaves
from loyaltykit.rules import counted, priced
from loyaltykit.windows import Anniversary, CalendarWindow, Lifetime, Window, as_window, bounds, inside

Kind = Literal[
    "spend", "orders", "products", "categories", "codes", "periods", "activities", "earned", "balance",
    "days_since_first", "days_since_last",
]  # fmt: skip

# What each kind counts, in words: {n} is how much, {of} what it is named after, {where} on which goods.
_SAYS: dict[str, tuple[str, str, str]] = {
    "spend": ("", "", "spent {n}{where}"),
    "orders": ("order", "orders", "placed {n}{where}"),
    "products": ("different product", "different products", "bought {n}{where}"),
    "categories": ("category", "categories", "bought from {n}{where}"),
    "codes": ("code", "codes", "used {n}{where}"),
    "periods": ("{of}", "{of}s", "ordered{where} in {n}"),
    "activities": ("time", "times", "did {of} {n}{where}"),
    "earned": ("{of}", "{of}", "earned {n}"),
    "balance": ("{of}", "{of}", "had {n}"),
    "days_since_first": ("day", "days", "placed the first order{where} {n} ago"),
    "days_since_last": ("day", "days", "placed the last order{where} {n} ago"),
}
_SUMS = frozenset({"spend", "activities", "earned", "balance"})
_AGES = frozenset({"days_since_first", "days_since_last"})
_FILTERS = (Category, Sku, Channel, Code)
_EVER = Lifetime()

Op = Literal[">=", ">", "<=", "<", "=="]
_OPS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq,
}  # fmt: skip
_OP_WORDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than", "==": "exactly"}


class Part(NamedTuple):
    """What one change in a history adds to a measure: `key` None adds `amount`, else so many of what the key names.

    `order` is the one that it is a change of, where it is; `sure` from when on it was certain to come by itself.
    """

    at: int
    known: int
    key: Any
    amount: int
    back: bool
    order: str | None = None
    sure: int | None = None

    @property
    def told(self) -> int:
        """From when on it is known, or certain to come."""
        return self.known if self.sure is None else self.sure


class Step(NamedTuple):
    """A measure's value from an instant (in microseconds) on, until the next step: in minor units where it is money."""

    at: int
    value: int


# ---------------------------------------------------------------- a measure


def _where(value: Any) -> Match:
    if not isinstance(value, Match):
        raise InputError("measure.where", value, "give a condition on goods or orders, as in category('coffee')")
    for leaf in leaves(value):
        if not isinstance(leaf, _FILTERS):
            raise InputError("measure.where", str(leaf), "a measure is filtered by category, sku, channel and code")
    return value


def _window(value: Any) -> Window:
    return as_window(value, "measure.window")


@attrs.frozen(repr=False, eq=False)
class Measure:
    """A number that a history has at an instant: how much of `kind`, in a window, on the goods or orders of `where`.

    Make one with `spend`, `orders` and their kin; compare it with a number to get a condition. `name` is what the kind
    needs one for: the activity, the unit of points, the calendar unit. `currency`, where it is said, must be that of
    the history.

    >>> print(spend(Period(months=6)) >= "250.00")
    spent at least 250.00 in the past 6 months
    """

    kind: Kind = attrs.field(converter=one_of("measure.kind", Kind))
    window: Window = attrs.field(default=_EVER, converter=_window)
    where: Match | None = attrs.field(default=None, converter=optional(_where))
    name: str | None = attrs.field(default=None, converter=optional(words("measure.name")))
    currency: str | None = attrs.field(default=None, converter=optional(currency("measure.currency")))

    def __attrs_post_init__(self) -> None:
        if (self.name is None) == (self.kind in ("periods", "activities", "earned", "balance")):
            raise InputError(
                "measure.name", self.name, "name the activity, the unit or the period; other kinds have no name"
            )
        if self.kind == "periods":
            as_unit(self.name, "measure.name")
        if self.currency is not None and self.kind != "spend":
            raise InputError("measure.currency", self.currency, f"{self.kind} is not money; leave the currency out")
        if self.where is not None and self.kind in ("earned", "balance"):
            raise InputError("measure.where", str(self.where), "points are not counted by goods; leave where out")
        if self.kind == "balance" and not isinstance(self.window, Lifetime):
            raise InputError("measure.window", str(self.window), "a balance is what there is; leave the window out")

    def value(self, history: History, at: datetime) -> Decimal | int | None:
        """Return the value at an instant: money as `Decimal`, else a whole number; None for days since what never was.

        >>> from datetime import UTC
        >>> from loyaltykit.facts import Order
        >>> history = History([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")])
        >>> spend().value(history, at=datetime(2026, 3, 2, tzinfo=UTC))
        Decimal('59.90')
        """
        return shown(self, history, value_of(self, history, to_us(instant(at))))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Measure):
            return attrs.astuple(self, recurse=False) == attrs.astuple(other, recurse=False)
        if isinstance(other, int | str | Decimal | float):
            raise TypeError("a measure is not equal to a number by itself; use measure.equals(number)")
        return NotImplemented

    def __hash__(self) -> int:
        return hash(attrs.astuple(self, recurse=False))

    def __ge__(self, value: Any) -> Comparison:
        return Comparison(self, ">=", value)

    def __gt__(self, value: Any) -> Comparison:
        return Comparison(self, ">", value)

    def __le__(self, value: Any) -> Comparison:
        return Comparison(self, "<=", value)

    def __lt__(self, value: Any) -> Comparison:
        return Comparison(self, "<", value)

    def equals(self, value: Any) -> Comparison:
        """Return the condition that the value is exactly this."""
        return Comparison(self, "==", value)

    def says(self, amount: str = "how much", many: bool = True) -> str:
        """Return the measure in words, with `amount` of it."""
        one, several, said = _SAYS[self.kind]
        of = str(self.name).replace("_", "-")
        noun = (several if many else one).format(of=of)
        where = "" if self.where is None else f" {self.where}"
        window = "" if isinstance(self.window, Lifetime) else f" {self.window}"
        return said.format(n=f"{amount} {noun}".rstrip(), of=of, where=where) + window

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


# ---------------------------------------------------------------- what a history adds to a measure


def _sales(measure: Measure, history: History) -> Iterator[Sale]:
    """Yield what is bought and given back, as far as the measure counts it."""
    per_line = measure.kind in ("products", "categories") or depends_on_line(measure.where)
    sales, where = history.sales if per_line else history.purchases, measure.where
    if where is None:
        yield from sales
        return
    seen: dict[Any, bool] = {}
    for sale in sales:
        kind = sale[3:7]
        if kind not in seen:
            seen[kind] = _fits(where, sale)
        if seen[kind]:
            yield sale


_ANY_TIME = datetime.min


def _fits(where: Match, sale: Sale) -> bool:
    line = None if sale.sku is None else Line(sale.sku, categories=sale.categories)
    scene = Scene(_ANY_TIME, None, channel=sale.channel, codes=sale.codes)  # type: ignore[arg-type]  # no filter asks
    return where.holds(scene, line)


def parts_of(measure: Measure, history: History) -> Iterator[Part]:
    """Yield what each change in a history adds to a measure."""
    match measure.kind:
        case "spend":
            for sale in _sales(measure, history):
                if sale.amount:
                    yield Part(sale.at, sale.known, None, sale.amount, sale.back, sale.order)
        case "activities":
            for each in history.activities:
                product = None if each.product is None else Line(each.product)
                fits = measure.where is None or measure.where.holds(Scene(each.at, history.tz), product)
                if each.name == measure.name and fits:
                    yield Part(to_us(each.at), to_us(each.at), None, 1, False)
        case "earned" | "balance":
            for move in history.movements:
                if move.unit == measure.name and (measure.kind == "balance" or move.kind == "earn"):
                    back = move.kind == "earn" and move.points < 0
                    yield Part(move.at, move.known, None, move.points, back, sure=move.sure)
        case _:
            for sale in _sales(measure, history):
                if sale.present:
                    for key in _keys(measure, sale, history):
                        yield Part(sale.at, sale.known, key, sale.present, sale.back, sale.order)


def _keys(measure: Measure, sale: Sale, history: History) -> Iterable[Any]:
    """Return what a sale is counted under, where things are counted that are different."""
    match measure.kind:
        case "products":
            return (sale.sku,)
        case "categories":
            return sale.categories
        case "codes":
            return {code.strip().casefold() for code in sale.codes}
        case "periods":
            return (_unit_of(str(measure.name), local_date(from_us(sale.at), history.tz)),)
    return ((sale.order, sale.at),)


_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def _unit_of(unit: str, day: date) -> int:
    """Return a number that all days of one calendar unit share, and no others."""
    if unit in _MONTHS:
        return (12 * day.year + day.month - 1) // _MONTHS[unit]
    return day.toordinal() - (day.weekday() if unit == "week" else 0)


class Column(NamedTuple):
    """All parts of a measure in a history: those known at once, by instant, with running sums; and those known late."""

    ats: list[int]
    keys: list[Any]
    sums: list[int]
    late: list[Part]


def _column(measure: Measure, history: History) -> Column:
    kept: dict[Any, Column] = history.__dict__.setdefault("_columns", {})
    name = (measure.kind, measure.where, measure.name)
    column = kept.get(name)
    if column is None:
        prompt: list[Part] = []
        late: list[Part] = []
        for part in parts_of(measure, history):
            # What counts once, however often it comes, can be taken away only where it is counted: among the late.
            told = part.known == part.at and (part.key is None or part.amount > 0)
            (prompt if told else late).append(part)
        prompt.sort(key=attrgetter("at"))
        sums = [0, *accumulate([part.amount for part in prompt])]
        column = kept[name] = Column([part.at for part in prompt], [part.key for part in prompt], sums, late)
    return column


def _span(measure: Measure, history: History, at: int) -> tuple[int | None, int]:
    """Return the first instant of the measure's window, and the one after its last."""
    if isinstance(measure.window, Lifetime):
        return None, at + 1
    spans: dict[Window, tuple[int | None, int]]
    then, spans = history.__dict__.get("_spans", (None, {}))
    if then != at:
        spans = {}
        history.__dict__["_spans"] = (at, spans)
    if measure.window not in spans:
        now = from_us(at)
        spans[measure.window] = bounds(measure.window, now, history.tz, history.anchor or now).us
    return spans[measure.window]


def value_of(measure: Measure, history: History, at: int) -> int | None:
    """Return a measure's value at an instant in microseconds: a whole number, of minor units where it is money.

    None is the number of days since what never was.
    """
    if measure.currency is not None and measure.currency != history.currency:
        raise WrongCurrency("measure.currency", measure.currency, f"the history is in {history.currency}")
    column = _column(measure, history)
    first, stop = _span(measure, history, at)
    low = 0 if first is None else bisect_left(column.ats, first)
    high = bisect_left(column.ats, stop)
    late = [p for p in column.late if p.known <= at and p.at < stop and (first is None or first <= p.at)]
    if measure.kind in _SUMS:
        return column.sums[high] - column.sums[low] + sum(part.amount for part in late)
    if measure.kind in _AGES and not late:  # in order of their instants
        return (
            _days(column.ats[low] if measure.kind == "days_since_first" else column.ats[high - 1], history, at)
            if low < high
            else None
        )
    keys: Iterable[Any] = column.keys[low:high]
    if late:
        counts = Counter(keys)
        for part in late:
            counts[part.key] += part.amount
        keys = [key for key, count in counts.items() if count > 0]
    if measure.kind not in _AGES:
        return len(set(keys))
    ats = [key[1] for key in keys]
    if not ats:
        return None
    then = min(ats) if measure.kind == "days_since_first" else max(ats)
    return _days(then, history, at)


def _days(then: int, history: History, at: int) -> int:
    return local_date(from_us(at), history.tz).toordinal() - local_date(from_us(then), history.tz).toordinal()


def amount(measure: Measure, history: History, value: int) -> Decimal | int:
    """Return a value as people know it: money in the currency, anything else as it is."""
    return from_minor(value, history.currency) if measure.kind == "spend" else value


def shown(measure: Measure, history: History, value: int | None) -> Decimal | int | None:
    """Return a value as people know it, where there is one."""
    return None if value is None else amount(measure, history, value)


# ---------------------------------------------------------------- a measure over time


def timeline(
    measure: Measure, history: History, at: int, *, told: int | None = None, anew: bool = False
) -> tuple[Step, ...]:
    """Return all steps of a measure by what is known at `at`: those up to it, and those after if nothing more happens.

    Before the first step the value is 0. Rules that look back have two more questions. `told`: of what went back
    (and came in its place), only what was known by that instant counts. `anew`: what is known counts from the order's
    own instant, as if it had never been otherwise. Not for the days since something, which never rest.
    """
    if measure.kind in _AGES:
        raise InputError(
            "measure.kind", measure.kind, "days since something grow by themselves; choose another measure"
        )
    events: list[tuple[int, Any, int]] = []
    stretches = _Stretches(measure, history)
    parts = [part for part in parts_of(measure, history) if part.told <= at]
    for part in sorted(parts if told is None else _as_told(parts, told), key=lambda part: part.at):
        begins = part.at if anew else part.known
        for enter, leave in stretches.of(part.at):
            enter = max(enter, begins)
            if leave is None or enter < leave:
                events.append((enter, part.key, part.amount))
                if leave is not None:
                    events.append((leave, part.key, -part.amount))
    events.sort(key=lambda event: event[0])
    steps, value = [], 0
    counts: Counter[Any] = Counter()
    for when, changes in groupby(events, key=lambda event: event[0]):
        before = value
        for _, key, amount in changes:
            if key is None:
                value += amount
            else:
                was = counts[key] > 0
                counts[key] += amount
                value += (counts[key] > 0) - was
        if value != before:
            steps.append(Step(when, value))
    return tuple(steps)


def _as_told(parts: list[Part], told: int) -> Iterator[Part]:
    """Leave out what went back after an instant, and of its order what then only came in its place."""
    kept: Counter[str | None] = Counter()
    for part in sorted(parts, key=lambda part: (part.known, part.amount > 0)):
        if part.known <= told or part.sure is not None:
            yield part
        elif part.back:
            kept[part.order] -= part.amount
        else:
            again = min(kept[part.order], part.amount) if part.order else 0
            kept[part.order] -= again
            if part.amount > again:
                yield part._replace(amount=part.amount - again)


class _Stretches:
    """When what happened at an instant lies in the window: as `inside`, each calendar period worked out once."""

    def __init__(self, measure: Measure, history: History) -> None:
        self.window, self.tz, self.anchor = measure.window, history.tz, history.anchor
        self.periodic = isinstance(measure.window, CalendarWindow | Anniversary)
        self.end: int | None = None
        self.known: dict[int, tuple[tuple[int, int | None], ...]] = {}

    def of(self, at: int) -> tuple[tuple[int, int | None], ...]:
        """Return the stretches; ask in the order of the instants."""
        if self.periodic and self.end is not None and at < self.end:
            return ((at, self.end),)
        found = self.known.get(at)
        if found is None:
            found = self.known[at] = inside(self.window, at, self.tz, self.anchor)
            if self.periodic:
                self.end = found[0][1]
        return found


# ---------------------------------------------------------------- a measure compared


@attrs.frozen(repr=False)
class Comparison(Condition):
    """A measure compared with a number: the leaf of every condition.

    `value` is money (as `Decimal`, text or whole number) for `spend`, a whole number for all others.
    """

    measure: Measure
    op: Op = attrs.field(converter=one_of("comparison.op", Op))
    value: int | Decimal = attrs.field()

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.measure, Measure):
            raise InputError("comparison.measure", self.measure, "give a measure, as in spend(months(6))")
        field = f"{self.measure.kind}.value"
        value = money(self.value, field) if self.measure.kind == "spend" else whole(self.value, field)
        object.__setattr__(self, "value", value)
        if self.measure.currency is not None:
            to_minor(value, self.measure.currency, field)

    def target(self, history: History) -> int:
        """Return the number to reach, in minor units where it is money."""
        if self.measure.kind != "spend":
            return int(self.value)
        return to_minor(self.value, history.currency, "spend.value")

    def holds(self, history: History, at: int) -> bool:
        """Say whether the comparison is true; of days since what never was, none is."""
        value = value_of(self.measure, history, at)
        return value is not None and _OPS[self.op](value, self.target(history))

    def flips(self, history: History, at: int) -> Iterator[int]:
        """Yield when the answer turns, as the window moves on."""
        now, target = self.holds(history, at), self.target(history)
        for us, value in self._values(history, at):
            if (value is not None and _OPS[self.op](value, target)) != now:
                now = not now
                yield us

    def _values(self, history: History, at: int) -> Iterator[tuple[int, int | None]]:
        """Yield the values after `at` by which the answer may turn, in order, if nothing more happens."""
        if self.measure.kind not in _AGES:
            yield from (step for step in timeline(self.measure, history, at) if step.at > at)
            return
        until, seen = _until(history, at), {at}
        stretches = _Stretches(self.measure, history)
        places = sorted({part.at for part in parts_of(self.measure, history) if part.known <= at >= part.at})
        for place in places:
            day = local_date(from_us(place), history.tz).toordinal()
            for later in (0, 1):
                try:
                    seen.add(to_us(day_start(type(_EPOCH).fromordinal(day + int(self.value) + later), history.tz)))
                except (InputError, ValueError, OverflowError):  # beyond the year 9999
                    continue
            seen |= {each for stretch in stretches.of(place) for each in stretch if each is not None}
        yield from ((us, value_of(self.measure, until, us)) for us in sorted(seen) if us > at)

    def judge(self, history: History, at: int) -> Verdict:
        """Return the verdict: measured, needed, missing."""
        value, target = value_of(self.measure, history, at), self.target(history)
        missing = None
        if self.op in (">=", ">", "==") and self.measure.kind not in _AGES and value is not None:
            missing = shown(self.measure, history, max(0, target + (self.op == ">") - value))
            missing = None if self.op == "==" and value > target else missing
        turn = next(self.flips(history, at), None)
        return Verdict(
            self.says(history.currency), self.holds(history, at), None if turn is None else from_us(turn),
            shown(self.measure, history, value), shown(self.measure, history, target), missing,
        )  # fmt: skip

    def says(self, currency: str | None = None) -> str:
        """Return "spent at least 250.00 in the past 6 months"."""
        if self.measure.kind == "spend":
            amount = priced(Decimal(self.value), currency or self.measure.currency)
        elif self.measure.kind in ("earned", "balance"):
            amount = counted(int(self.value), str(self.measure.name)).rpartition(" ")[0]
        else:
            amount = f"{int(self.value):,}"
        return self.measure.says(f"{_OP_WORDS[self.op]} {amount}", self.value != 1)

    __repr__ = brief


_EPOCH = local_date(from_us(0), "UTC")


def _until(history: History, at: int) -> History:
    """Return what a history was at an instant: without what happened or became known later."""
    kept = history.__dict__.get("_until")
    if kept is None or kept[0] != at:
        facts = [fact for fact in history.facts if to_us(getattr(fact, "known_from", fact.at)) <= at]
        moves = [move for move in history.movements if move.known <= at]
        kept = history.__dict__["_until"] = (at, attrs.evolve(history, facts=facts, movements=moves))
    until: History = kept[1]
    return until


# ---------------------------------------------------------------- the measures by name


def spend(window: Window | Period = _EVER, *, where: Match | None = None, currency: str | None = None) -> Measure:
    """Measure what was spent, net of refunds, on the history's basis."""
    return Measure("spend", window, where, None, currency)


def orders(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the orders of which something remains."""
    return Measure("orders", window, where)


def products(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the different products (skus) that were bought and kept."""
    return Measure("products", window, where)


def categories(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the different categories that were bought from."""
    return Measure("categories", window, where)


def codes(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the different coupon codes that were used; upper and lower case are the same."""
    return Measure("codes", window, where)


def periods(unit: CalendarUnit, window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the different days, weeks, months... in which something was ordered."""
    return Measure("periods", window, where, unit)


def activities(name: str, window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the activities of a name: reviews, visits."""
    return Measure("activities", window, where, name)


def earned(window: Window | Period = _EVER, *, unit: str = "points") -> Measure:
    """Measure the points that were earned, net of what was taken back."""
    return Measure("earned", window, None, unit)


def balance_of(unit: str = "points") -> Measure:
    """Measure the points that there are: what is spent or expires is there no more."""
    return Measure("balance", _EVER, None, unit)


def days_since_first(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the local days since the day of the first order in the window; compared with it, never is never true."""
    return Measure("days_since_first", window, where)


def days_since_last(window: Window | Period = _EVER, *, where: Match | None = None) -> Measure:
    """Count the local days since the day of the last order in the window; compared with it, never is never true."""
    return Measure("days_since_last", window, where)
