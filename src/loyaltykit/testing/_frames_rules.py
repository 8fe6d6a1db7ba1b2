"""Random rules for the conformance suite of frames: their numbers are those that some customer just reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import attrs

from loyaltykit import measures as m
from loyaltykit.amounts import from_minor
from loyaltykit.calendar import days, hours, months, to_us
from loyaltykit.conditions import AllOf, AnyOf, Condition, Not
from loyaltykit.matching import Match, category, channel, code, sku
from loyaltykit.measures import Comparison, Measure, value_of
from loyaltykit.testing._frames_data import ACTIVITIES, CATEGORIES, CHANNELS, CODES, SKUS, UNITS, Sample
from loyaltykit.thresholds import Threshold, end_of_year
from loyaltykit.tiers import Ladder
from loyaltykit.windows import Anniversary, CalendarWindow, Window

_Make = Callable[[Window, Match | None], Measure]
_CALENDAR: Sequence[Any] = ("day", "week", "month", "quarter", "half_year", "year")


@attrs.frozen
class Question:
    """A function of retention, which `loyaltykit.frames` and `loyaltykit.retention` both have, and its arguments."""

    name: str
    args: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.args.items())})"


@attrs.frozen(repr=False)
class RuleSet:
    """Rules to ask of a sample, each under a short name."""

    measures: dict[str, Measure]
    conditions: dict[str, Condition]
    thresholds: dict[str, Threshold]
    ladders: dict[str, Ladder]
    lists: dict[str, Question]
    tables: dict[str, Question]


def rules(sample: Sample, count: int = 40) -> RuleSet:
    """Draw so many measures and conditions, and some thresholds and ladders, for a sample: always the same for it.

    >>> from loyaltykit.testing._frames_data import sample
    >>> len(rules(sample(1, 5), 12).conditions)
    12
    """
    draw = _Draw(sample)
    return RuleSet(
        _named("m", draw.measures(count)),
        _named("c", (draw.tree(0) for _ in range(count))),
        # Where rows do not say of which order they are, nobody can tell with which order a target was reached.
        {each.name: each for each in draw.thresholds(max(4, count // 5) if sample.road != "alone" else 0)},
        {each.name: each for each in draw.ladders(max(4, count // 5))},
        _named("r", draw.lists()),
        _named("r", draw.tables()),
    )


def _named(letter: str, found: Iterator[Any]) -> dict[str, Any]:
    return {f"{letter}{number}": each for number, each in enumerate(found)}


class _Draw:
    """Draws rules about one sample."""

    def __init__(self, sample: Sample) -> None:
        self.rng, self.sample = Random(f"rules of {sample.seed}"), sample
        self.histories = list(sample.histories.values())
        self.shared = [window for window in sample.windows if not isinstance(window, Anniversary)]
        lined: tuple[_Make, ...] = (
            lambda window, where: m.products(window, where=where),
            lambda window, where: m.categories(window, where=where),
        )
        self.makes: tuple[_Make, ...] = (
            lambda window, where: m.spend(window, where=where),
            lambda window, where: m.spend(window, where=where),
            lambda window, where: m.orders(window, where=where),
            lambda window, where: m.codes(window, where=where),
            lambda window, where: m.periods(self.rng.choice(_CALENDAR), window, where=where),
            lambda window, where: m.activities(self.rng.choice(ACTIVITIES), window, where=where),
            lambda window, where: m.earned(window, unit=self.rng.choice(UNITS)),
            lambda window, where: m.balance_of(self.rng.choice(UNITS)),
            lambda window, where: m.days_since_first(window, where=where),
            lambda window, where: m.days_since_last(window, where=where),
            *(lined if sample.road == "full" else ()),
        )

    def measures(self, count: int) -> Iterator[Measure]:
        """Draw measures: of each kind, in turn."""
        for number in range(count):
            yield self.makes[number % len(self.makes)](self.window(), self.where())

    def measure(self) -> Measure:
        """Draw a measure of any kind."""
        return self.rng.choice(self.makes)(self.window(), self.where())

    def window(self) -> Window:
        """Draw one of the windows whose bounds the sample is steered to."""
        return self.rng.choice(self.sample.windows)

    def where(self) -> Match | None:
        """Draw no filter, one, or a small tree of them."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            return None
        first = self.filter()
        if kind < 0.8:
            return first
        other = self.filter()
        return rng.choice([~first, first & other, first | other, first & ~other, ~(first | other)])

    def filter(self) -> Match:
        """Draw a filter, also by a name that nobody has."""
        rng = self.rng
        channels = [each for each in CHANNELS if each is not None]
        names: tuple[tuple[Callable[..., Match], Sequence[str]], ...] = (
            (category, CATEGORIES), (sku, sorted(SKUS)), (channel, channels), (code, CODES),
        )  # fmt: skip
        make, known = rng.choice(names if self.sample.road == "full" else names[2:])
        return make(*rng.sample([*known, "nobody's"], rng.choice([1, 1, 2])))

    def near(self, measure: Measure) -> int:
        """Draw a number that some customer's value is, or one beside it: in minor units where it is money."""
        values = {value_of(measure, history, to_us(self.sample.at)) for history in self.histories}
        reached = sorted(value for value in values if value) or [1]
        return self.rng.choice(reached) + self.rng.choice([0, 0, 0, 0, -1, 1])

    def amount(self, measure: Measure, number: int) -> int | Decimal:
        """Return a number as the measure is compared with it."""
        return from_minor(number, self.sample.currency) if measure.kind == "spend" else number

    def comparison(self) -> Comparison:
        """Draw a comparison with a number that matters."""
        measure = self.measure()
        op = self.rng.choice([">=", ">=", ">=", ">", "<=", "<", "=="])
        return Comparison(measure, op, self.amount(measure, max(0, self.near(measure))))

    def tree(self, depth: int) -> Condition:
        """Draw a comparison, or a tree of some, now and then with an empty group in it."""
        rng = self.rng
        if depth == 3 or rng.random() < (0.3, 0.5, 0.7)[depth]:
            return self.comparison()
        if rng.random() < 0.25:
            return Not(self.tree(depth + 1))
        parts = [self.tree(depth + 1) for _ in range(rng.choice([2, 2, 3]))] if rng.random() < 0.97 else []
        return rng.choice([AllOf, AnyOf])(parts)

    def rising(self) -> Measure:
        """Draw a measure that thresholds and ladders may have: not days, which grow by themselves."""
        found = self.measure()
        return self.rising() if found.kind.startswith("days_since") else found

    def thresholds(self, count: int) -> Iterator[Threshold]:
        """Draw thresholds, of every way to last."""
        for number in range(count):
            measure = self.rising()
            lasting: list[Any] = [None, "while_reached", "for_ever", days(30), end_of_year()]
            if isinstance(measure.window, CalendarWindow | Anniversary):
                lasting.append("end_of_window")
            yield Threshold(
                f"t{number}", measure, self.amount(measure, max(1, self.near(measure))),
                until=self.rng.choice(lasting), refunds=self.rng.choice(["keep", "revoke"]),
            )  # fmt: skip

    def ladders(self, count: int) -> Iterator[Ladder]:
        """Draw ladders, with every policy."""
        rng = self.rng
        for number in range(count):
            measure = self.rising()
            goals = sorted({max(1, self.near(measure)) for _ in range(rng.choice([1, 2, 3]))} | {0})
            yield Ladder(
                f"l{number}", measure,
                {name: self.amount(measure, goal) for name, goal in zip("WXYZ", goals, strict=False)},
                validity=rng.choice(["while_qualifying", "while_qualifying", "end_of_period", "end_of_next_period"]),
                grace=rng.choice([None, None, days(30), hours(1), months(1)]),
                downgrade=rng.choice(["recompute", "one_down"]),
                refunds=rng.choice(["immediate", "at_review"]),
            )  # fmt: skip

    def lists(self) -> Iterator[Question]:
        """Draw what there is to know of each customer in the tables of retention."""
        rng, windows = self.rng, self.shared
        yield Question("rfm_summary", {})
        yield Question("rfm", {"window": rng.choice(windows)})
        scored = {"window": rng.choice(windows), "k": rng.choice([2, 3, 4, 5]), "money": rng.choice(["total", "mean"])}
        cuts = {"r": [rng.randrange(1, 20), 30, 90], "f": [2, 3], "m": [5, 10, 20]}
        yield Question("rfm_scores", scored)
        yield Question("rfm_scores", {"window": rng.choice(windows), **cuts})
        yield Question("rfm_segments", {"window": rng.choice(windows)})
        yield Question("historic_value", {"margin": rng.choice([None, "0.30", "0.125"])})
        yield Question("overdue", {"at_risk": rng.choice(["1.5", "1.25"]), "quantile": rng.choice(["0.9", "0.5"])})

    def tables(self) -> Iterator[Question]:
        """Draw tables of retention about all customers together."""
        rng, units = self.rng, list(_CALENDAR)
        yield Question("cohorts", {"by": rng.choice(units[1:])})
        yield Question("cohorts", {"by": rng.choice(units[2:]), "unbounded": True})
        yield Question("retention_by_period", {"by": rng.choice(units[1:])})
        yield Question("retention_by_period", {"by": "quarter", "active": "alive", "alive_for": days(90)})
        yield Question("gap_counts", {})
        yield Question("buying", {"window": rng.choice(self.shared)})
        yield Question("repeat_purchase_rate", {"window": rng.choice(self.shared)})
        yield Question("won_back", {"lost": rng.choice(["1.5", 3])})
        yield Question("sales_by_period", {"by": rng.choice(units)})
        yield Question("sales_by_channel", {"window": rng.choice(self.shared)})
