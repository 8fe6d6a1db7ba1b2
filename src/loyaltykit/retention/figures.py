"""Numbers that are cited about loyalty and retention, each with who cites it; and what they would mean for a shop.

The sources disagree: keeping customers is said to be worth 25 % more profit, and 25 to 95 %. Each number stands here as
it was cited, and nothing is averaged, merged or scaled. They are claims of the trade press, not measurements of yours:
compare with them, do not plan on them.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args

import attrs

from loyaltykit.amounts import exact, money, product, total
from loyaltykit.errors import InputError
from loyaltykit.retention._listing import Listing
from loyaltykit.tables import html_text

Kind = Literal["retention", "acquisition", "spending", "buying", "programmes", "values", "rewards", "checkout", "email"]
Unit = Literal["percent", "times", "USD a year", "people", "rank", "words"]

_KEEPING = "an article on keeping loyal customers (Ecwid)"
_PROGRAMMES = "an article on loyalty programmes for online shops"
_SERVICE = "an article on customer service"
_RETENTION = "an article on customer retention"
_HARVARD = "Harvard, as cited by an article on customer retention"
_LOYALTY = "an article on customer loyalty"
_JOURNAL = "Journal of Consumer Research, as cited by an article on keeping loyal customers (Ecwid)"


@attrs.frozen
class Benchmark:
    """One number as it is cited: from `low` to `high`, in a `unit`, what it says, and who says it.

    A single number has both limits the same; "at least" and "more than" have no `high`; what is said without a number
    has neither, and the unit ``words``. `roughly` is the word that goes with it ("about", "nearly"), if any.
    """

    name: str
    kind: Kind
    low: Decimal | None
    high: Decimal | None
    unit: Unit
    statement: str
    source: str
    roughly: str = ""

    @property
    def value(self) -> str:
        """The number in words, as in ``25 to 95 %``; empty where there is none."""
        if self.low is None:
            return ""
        numbers = f"{self.low:,}" if self.high in (None, self.low) else f"{self.low:,} to {self.high:,}"
        text = f"{self.roughly} {numbers}".strip()
        return f"number {text}" if self.unit == "rank" else f"{text} {'%' if self.unit == 'percent' else self.unit}"

    def __str__(self) -> str:
        return f"{self.value} {self.statement}".strip() + f" ({self.source})"

    _repr_html_ = html_text


def _cited(
    name: str, kind: Kind, low: str | int | None, unit: Unit, statement: str, source: str, high: Any = "same",
    roughly: str = "",
) -> Benchmark:  # fmt: skip
    least = None if low is None else Decimal(low)
    most = least if high == "same" else None if high is None else Decimal(high)
    return Benchmark(name, kind, least, most, unit, statement, source, roughly)


BENCHMARKS: tuple[Benchmark, ...] = (
    _cited("profit_25", "retention", 25, "percent",
           "more profit from 5 % more retention", _PROGRAMMES),
    _cited("profit_25_to_95", "retention", 25, "percent",
           "more profit from 5 % more retention", _HARVARD, 95),
    _cited("doing_well", "retention", 35, "percent",
           "the retention rate of an online shop or SaaS firm that is doing really well", _RETENTION, None, "at least"),
    _cited("acquisition_5", "acquisition", 5, "times",
           "the cost of keeping a customer that winning one costs", _PROGRAMMES),
    _cited("acquisition_5_others", "acquisition", 5, "times",
           "the cost of keeping a customer that winning one costs, as some say", _RETENTION),
    _cited("acquisition_7", "acquisition", 7, "times",
           "the value of winning a customer that keeping one has, as others say", _RETENTION),
    _cited("acquisition_5_to_25", "acquisition", 5, "times",
           "the cost of keeping a customer that winning one costs", _RETENTION, 25),
    _cited("acquisition_dearer", "acquisition", None, "words",
           "winning customers costs more than keeping them", _SERVICE),
    _cited("loyalty_cheaper", "acquisition", None, "words",
           "loyalty is cheaper than attracting customers", _LOYALTY),
    _cited("loyal_spend_31", "spending", 31, "percent",
           "more spent by loyal customers", _PROGRAMMES),
    _cited("returning_spend_33", "spending", 33, "percent",
           "more spent by returning customers", _RETENTION, roughly="about"),
    _cited("members_spend_12_to_18", "spending", 12, "percent",
           "more spent by members of a loyalty programme than by others", _PROGRAMMES, 18),
    _cited("prime_members", "spending", 1400, "USD a year",
           "spent by members of Amazon Prime", _PROGRAMMES),
    _cited("prime_others", "spending", 600, "USD a year",
           "spent by customers of Amazon without Prime, on average", _PROGRAMMES),
    _cited("loyal_try_new_50", "buying", 50, "percent",
           "likelier that loyal customers try new products", _PROGRAMMES),
    _cited("returning_buy_50", "buying", 50, "percent",
           "likelier that returning customers buy", _RETENTION),
    _cited("regulars_try_new_6", "buying", 6, "times",
           "likelier that regular customers try new products", _RETENTION),
    _cited("word_of_mouth_5", "buying", 5, "times",
           "the sales of paid advertising that word of mouth brings", _RETENTION),
    _cited("extras_valued", "buying", None, "words",
           "an extra with a luxury product is seen as of high quality, and buyers will pay more for it", _JOURNAL),
    _cited("programme_buy_84", "programmes", 84, "percent",
           "of shoppers are likelier to buy from a brand with a loyalty programme", _PROGRAMMES),
    _cited("prime_size", "programmes", 150_000_000, "people",
           "are members of Amazon Prime", _PROGRAMMES, None, "more than"),
    _cited("shared_values_89", "values", 89, "percent",
           "of shoppers are loyal to brands that share their values", _PROGRAMMES),
    _cited("millennials_70", "values", 70, "percent",
           "of millennials look at a brand's values before they buy", _PROGRAMMES, roughly="nearly"),
    _cited("rewards_fun_28", "rewards", 28, "percent",
           "of members want rewards that are more fun", _PROGRAMMES),
    _cited("rewards_gifts_45", "rewards", 45, "percent",
           "of members want gifts", _PROGRAMMES),
    _cited("rewards_personal_30", "rewards", 30, "percent",
           "of members want rewards that are personal", _PROGRAMMES, roughly="nearly"),
    _cited("shipping_reason_1", "checkout", 1, "rank",
           "of the reasons to leave a cart: shipping costs that were not expected", _KEEPING),
    _cited("shipping_28", "checkout", 28, "percent",
           "of customers do not check out because shipping costs too much", _KEEPING),
    _cited("mobile_30", "checkout", 30, "percent",
           "of online sales are made on mobile phones", _SERVICE),
    _cited("cart_email_opened", "email", "40.5", "percent",
           "of e-mails on abandoned carts are opened", _SERVICE),
)  # fmt: skip
"""Every number that is cited, and by whom."""


@attrs.frozen
class BenchmarkTable(Listing[Benchmark]):
    """Cited numbers: iterate over it, or make a frame of its `rows` and `columns`."""

    benchmarks: tuple[Benchmark, ...]

    columns = ("name", "kind", "low", "high", "unit", "roughly", "statement", "source")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a number."""
        return tuple(tuple(getattr(each, name) for name in self.columns) for each in self.benchmarks)

    def _values(self) -> tuple[Benchmark, ...]:
        return self.benchmarks

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        shown = [[each.name, each.value, each.statement, each.source] for each in self.benchmarks]
        return ["name", "value", "statement", "source"], shown

    def _below(self) -> list[str]:
        return []  # all of it is shown


def benchmarks(kind: Kind | None = None) -> BenchmarkTable:
    """Return the cited numbers, of one kind if it is named.

    >>> print(benchmarks("email"))
    name               value   statement                                 source
    cart_email_opened  40.5 %  of e-mails on abandoned carts are opened  an article on customer service
    """
    if kind is not None and kind not in get_args(Kind):
        raise InputError("kind", kind, f"choose one of {', '.join(get_args(Kind))}")
    return BenchmarkTable(tuple(each for each in BENCHMARKS if kind in (None, each.kind)))


def benchmark(name: str) -> Benchmark:
    """Return one cited number by its name.

    >>> print(benchmark("profit_25_to_95").value)
    25 to 95 %
    """
    for each in BENCHMARKS:
        if each.name == name:
            return each
    raise InputError("name", name, f"choose one of {', '.join(each.name for each in BENCHMARKS)}")


# ---------------------------------------------------------------- what if


@attrs.frozen
class Answer:
    """What would follow by one source: from `low` to `high`, both the same where it cites one number."""

    low: Decimal
    high: Decimal
    benchmark: Benchmark

    def __str__(self) -> str:
        numbers = f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"
        return f"{numbers} ({self.benchmark.source}: {self.benchmark.value})"

    _repr_html_ = html_text


@attrs.frozen
class Answers(Listing[Answer]):
    """What would follow by each source; they are not merged, and none is preferred."""

    answers: tuple[Answer, ...]

    columns = ("low", "high", "name", "statement", "source")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a source."""
        return tuple(
            (each.low, each.high, each.benchmark.name, each.benchmark.statement, each.benchmark.source)
            for each in self.answers
        )

    def _values(self) -> tuple[Answer, ...]:
        return self.answers

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        shown = [
            [f"{each.low:,}", "" if each.high == each.low else f"{each.high:,}", each.benchmark.value,
             each.benchmark.statement, each.benchmark.source]
            for each in self.answers
        ]  # fmt: skip
        return ["from", "to", "cited", "statement", "source"], shown


def _answer(amount: Decimal, cited: Benchmark) -> Answer:
    assert cited.low is not None
    assert cited.high is not None
    limits = (cited.low, cited.high)
    if cited.unit == "percent":
        limits = (_more(cited.low), _more(cited.high))
    return Answer(product(amount, limits[0]), product(amount, limits[1]), cited)


def _more(percent: Decimal) -> Decimal:
    return product(total((Decimal(100), percent)), Decimal("0.01"))


def profit_if_retention_rises(profit: Any, by: int = 5) -> Answers:
    """Return what a profit would become if retention rose by 5 %, by each source that says so.

    The sources speak of 5 % and of nothing else, and do not say whether they mean per cent or percentage points: no
    other step is answered, as nothing is known of how the effect grows. A loss is refused, too.

    >>> for answer in profit_if_retention_rises("100000"):
    ...     print(answer)
    125,000.00 (an article on loyalty programmes for online shops: 25 %)
    125,000.00 to 195,000.00 (Harvard, as cited by an article on customer retention: 25 to 95 %)
    """
    if by != 5:
        raise InputError("by", by, "the sources speak of a rise of 5 % only; nothing is claimed of others")
    amount = money(profit, "profit", 0)
    return Answers(tuple(_answer(amount, benchmark(name)) for name in ("profit_25", "profit_25_to_95")))


def cost_of_acquisition(retention_cost: Any) -> Answers:
    """Return what winning a customer would cost, by each source, from what keeping one costs.

    One of them speaks of value, not of cost: read the statements.

    >>> [(answer.low, answer.high) for answer in cost_of_acquisition("10")][-1]
    (Decimal('50'), Decimal('250'))
    """
    amount = money(retention_cost, "retention_cost", 0)
    names = ("acquisition_5", "acquisition_5_others", "acquisition_7", "acquisition_5_to_25")
    return Answers(tuple(_answer(amount, benchmark(name)) for name in names))


def acquisition_ratio(acquisition_cost: Any, retention_cost: Any) -> Fraction | None:
    """Return how many times as much winning a customer costs as keeping one; None where keeping costs nothing.

    To hold against ``benchmarks("acquisition")``.

    >>> acquisition_ratio("90", "12")
    Fraction(15, 2)
    """
    winning, keeping = money(acquisition_cost, "acquisition_cost", 0), money(retention_cost, "retention_cost", 0)
    return exact(winning) / exact(keeping) if keeping else None
