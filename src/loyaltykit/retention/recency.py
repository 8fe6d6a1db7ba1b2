"""RFM: the summary that models of lifetime value are fitted to, and the RFM of marketing, with scores and segments.

The two mean different things by recency and by frequency, so they have different names here:

* the **model's** (`rfm_summary`): `frequency` is the number of repeat purchase days, `recency` the age of the customer
  at the last of them (large is good), `T` their age now.
* **marketing's** (`rfm`): `days_since_last` (small is good), `orders` with the first one, and what they `spent`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from itertools import product
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import attrs

from loyaltykit.amounts import total, whole
from loyaltykit.calendar import Period, local_date
from loyaltykit.errors import InputError
from loyaltykit.fields import one_of, text
from loyaltykit.retention._listing import Listing, as_float
from loyaltykit.retention.rates import Rate
from loyaltykit.retention.rows import Base, Purchase, bought_in, purchases, zone_for
from loyaltykit.tables import html_table, html_text, text_table
from loyaltykit.windows import Window, lifetime

_MEAN = Context(prec=28)
_EVER = lifetime()
V = TypeVar("V", int, int | Decimal)


def mean_of(total: Decimal | None, count: int) -> Decimal | None:
    """Return a mean to 28 digits, whatever the decimal context; 0 of nothing."""
    if total is None:
        return None
    return _MEAN.divide(total, Decimal(count)) if count else Decimal(0)


def _sum(found: Iterable[Purchase]) -> Decimal | None:
    """Return what purchases come to; None if that of one of them is not known."""
    amounts = [purchase.amount for purchase in found]
    known = [amount for amount in amounts if amount is not None]
    return total(known) if len(known) == len(amounts) else None


def _by_customer(found: Iterable[Purchase]) -> list[tuple[str, list[Purchase]]]:
    by: dict[str, list[Purchase]] = {}
    for purchase in found:
        by.setdefault(purchase.customer, []).append(purchase)
    return sorted(by.items())


class _Customers(Listing[Any]):
    """A table with a row a customer."""

    __slots__ = ()

    def _values(self) -> tuple[Any, ...]:
        return self.customers  # type: ignore[attr-defined,no-any-return]  # each table has its own

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a customer."""
        return tuple(each.row for each in self)


# ---------------------------------------------------------------- the model's summary


@attrs.frozen
class RfmSummary:
    """What models of buying know of one customer, in local days.

    `frequency` (x) is the number of different days of purchase less 1, `recency` (t_x) the days from the first of them
    to the last, `T` the days from the first to the end of the observation. `repeat_spend` is what was bought after the
    first day, None where an amount is not known.
    """

    customer: str
    frequency: int
    recency: int
    T: int
    repeat_spend: Decimal | None = None

    @property
    def monetary(self) -> Decimal | None:
        """The mean of the daily totals after the first day, to 28 digits; 0 without any."""
        return mean_of(self.repeat_spend, self.frequency)

    @property
    def row(self) -> tuple[str, int, int, int, Decimal | None]:
        """Plain data: customer, frequency, recency, T, monetary."""
        return (self.customer, self.frequency, self.recency, self.T, self.monetary)


@attrs.frozen
class RfmSummaries(_Customers):
    """The summary of each customer, by id: iterate over it, or make a frame of its `rows` and `columns`."""

    customers: tuple[RfmSummary, ...]

    columns = ("customer", "frequency", "recency", "T", "monetary")
    """The names of the columns of `rows`."""

    def in_units_of(self, days: int) -> tuple[tuple[str, int, float, float, float | None], ...]:
        """Return the rows with recency and T in units of so many days (7: weeks), as floats, which models take.

        >>> RfmSummaries((RfmSummary("ann", 2, 213, 272, Decimal("44.70")),)).in_units_of(7)[0][:3]
        ('ann', 2, 30.428571428571427)
        """
        unit = whole(days, "days", 1)
        return tuple(
            (each.customer, each.frequency, each.recency / unit, each.T / unit, as_float(mean))
            for each in self.customers
            for mean in [each.monetary]
        )


def rfm_summary(base: Base, at: datetime, *, zone: str | None = None) -> RfmSummaries:
    """Return frequency, recency, T and monetary value of each customer, observed until the local day of `at`.

    Several purchases of one local day are one. Those who bought once have frequency, recency and monetary value 0.
    Purchases, refunds and guests are as in `purchases`; `zone` is by default that of the histories.

    Source: Fader, Hardie and Lee, "Counting Your Customers the Easy Way" (Marketing Science 24, 2005) and "RFM and
    CLV" (Journal of Marketing Research 42, 2005); the package `lifetimes` gives the same numbers.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5), 20), ("ann", on(1, 8), 25), ("ann", on(1, 8), 5), ("ann", on(2, 4), 60)]
    >>> print(rfm_summary([*rows, ("bo", on(2, 1), 9)], on(3, 1), zone="UTC"))
    customer  frequency  recency   T  monetary
    ann               2       30  55  45
    bo                0        0  28  0
    """
    zone = zone_for(base, zone)
    end = local_date(at, zone)
    found = []
    for customer, bought in _by_customer(purchases(base, at)):
        days = [local_date(purchase.at, zone) for purchase in bought]
        later = _sum(purchase for purchase, day in zip(bought, days, strict=True) if day > days[0])
        spans = ((days[-1] - days[0]).days, (end - days[0]).days)
        found.append(RfmSummary(customer, len(set(days)) - 1, *spans, later))
    return RfmSummaries(tuple(found))


# ---------------------------------------------------------------- marketing's


@attrs.frozen
class Rfm:
    """What marketing asks of one customer: local days since the last order, orders with the first, money spent."""

    customer: str
    days_since_last: int
    orders: int
    spent: Decimal | None = None

    @property
    def mean_spent(self) -> Decimal | None:
        """Money an order, to 28 digits; None where an amount is not known."""
        return mean_of(self.spent, self.orders)

    @property
    def row(self) -> tuple[str, int, int, Decimal | None]:
        """Plain data: customer, days since the last order, orders, spent."""
        return (self.customer, self.days_since_last, self.orders, self.spent)


@attrs.frozen
class RfmTable(_Customers):
    """Days since the last order, orders and spend of each customer, by id."""

    customers: tuple[Rfm, ...]

    columns = ("customer", "days_since_last", "orders", "spent")
    """The names of the columns of `rows`."""


def rfm(base: Base, at: datetime, window: Window | Period = _EVER, *, zone: str | None = None) -> RfmTable:
    """Return days since the last order, orders and spend of each customer who bought in a window (default: ever).

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> print(rfm([("ann", on(1, 5), 20), ("ann", on(1, 8), 25), ("bo", on(2, 1), 9)], on(3, 1), zone="UTC"))
    customer  days_since_last  orders  spent
    ann                    52       2  45
    bo                     28       1  9
    """
    zone = zone_for(base, zone)
    end = local_date(at, zone)
    return RfmTable(
        tuple(
            Rfm(customer, (end - local_date(bought[-1].at, zone)).days, len(bought), _sum(bought))
            for customer, bought in _by_customer(bought_in(base, at, window, zone))
        )
    )


# ---------------------------------------------------------------- scores


def scores(
    values: Mapping[str, int | Decimal],
    k: int = 5,
    *,
    low_is_good: bool = False,
    cuts: Sequence[int | Decimal] | None = None,
) -> dict[str, int]:
    """Return a score from 1 to `k` for each value: ``floor(k * number of strictly worse ones / n) + 1``.

    The order of the values does not matter, and equal ones share a score, so that some scores may go to nobody. With
    `cuts`, ascending points of your own, the score is 1 more than the number of points reached (at least the point; at
    most it, where `low_is_good`), up to ``len(cuts) + 1``, and `k` does not matter.

    >>> scores({"ann": 10, "bo": 10, "cy": 30, "di": 20}, 4)
    {'ann': 1, 'bo': 1, 'cy': 4, 'di': 3}
    >>> scores({"ann": 30, "bo": 31, "cy": 400}, low_is_good=True, cuts=[30, 90, 180, 365])
    {'ann': 5, 'bo': 4, 'cy': 1}
    """
    for customer, value in values.items():
        _comparable(value, f"values[{customer}]")
    if cuts is not None:
        points = _points(cuts)
        if low_is_good:
            return {each: 1 + len(points) - bisect_left(points, value) for each, value in values.items()}
        return {each: 1 + bisect_right(points, value) for each, value in values.items()}
    found = tiles(Counter(values.values()), k, low_is_good=low_is_good)
    return {each: found[value] for each, value in values.items()}


def tiles(counts: Mapping[V, int], k: int, *, low_is_good: bool = False) -> dict[V, int]:
    """Return the score of each value, from how many have it: all that `scores` needs to know of a base.

    >>> tiles({10: 2, 20: 1, 30: 1}, 4)
    {10: 1, 20: 3, 30: 4}
    """
    whole(k, "k", 1)
    n, worse, found = sum(counts.values()), 0, {}
    for value in sorted(counts, reverse=low_is_good):
        found[value] = k * worse // n + 1
        worse += counts[value]
    return found


def _comparable(value: Any, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InputError(field, value, "give a whole number or a Decimal; a float is not exact")
    if isinstance(value, Decimal) and not value.is_finite():
        raise InputError(field, value, "give a finite number")


def _points(cuts: Sequence[int | Decimal]) -> list[int | Decimal]:
    points = list(cuts)
    for place, point in enumerate(points):
        _comparable(point, f"cuts[{place}]")
        if place and point <= points[place - 1]:
            raise InputError(f"cuts[{place}]", point, "give a point above the one before")
    return points


@attrs.frozen
class RfmScore:
    """The scores of one customer, 1 the worst: of recency, frequency and money (None where no amounts are known)."""

    customer: str
    r: int
    f: int
    m: int | None = None

    @property
    def row(self) -> tuple[str, int, int, int | None]:
        """Plain data: customer, r, f, m."""
        return (self.customer, self.r, self.f, self.m)

    def __str__(self) -> str:
        return "-".join(str(score) for score in (self.r, self.f, self.m) if score is not None)

    _repr_html_ = html_text


@attrs.frozen
class RfmScores(_Customers):
    """The scores of each customer, by id, and how many scores there are of recency, frequency and money."""

    customers: tuple[RfmScore, ...]
    sizes: tuple[int, int, int] = (5, 5, 5)

    columns = ("customer", "r", "f", "m")
    """The names of the columns of `rows`."""


Money = Literal["total", "mean"]
_money = one_of("money", Money)
Cuts = Sequence[int | Decimal] | None


def rfm_scores(
    table: RfmTable, k: int = 5, *, money: Money = "total", r: Cuts = None, f: Cuts = None, m: Cuts = None
) -> RfmScores:
    """Return the scores from 1 (worst) to `k` of each customer of a table: see `scores`.

    `money` says whether all that was spent is scored, or the mean of an order. `r`, `f` and `m` are cut points of
    one's own: days since the last order, orders, money; one who reaches a point exactly is on its better side.

    >>> table = RfmTable((Rfm("ann", 3, 9, Decimal(400)), Rfm("bo", 40, 2, Decimal(50)), Rfm("cy", 40, 1, Decimal(60))))
    >>> [str(score) for score in rfm_scores(table, 3)]
    ['3-3-3', '1-2-1', '1-1-2']
    >>> [str(score) for score in rfm_scores(table, r=[30, 90], f=[2, 5], m=[100])]
    ['3-3-2', '2-2-1', '2-1-1']
    """
    _money(money)
    spent = {each.customer: each.spent if money == "total" else each.mean_spent for each in table.customers}
    known = {customer: value for customer, value in spent.items() if value is not None}
    if known and len(known) < len(spent):
        unknown = min(spent.keys() - known.keys())
        raise InputError("table.spent", None, f"of {unknown} an amount is not known; give all of them, or none")
    recency = scores({each.customer: each.days_since_last for each in table.customers}, k, low_is_good=True, cuts=r)
    frequency = scores({each.customer: each.orders for each in table.customers}, k, cuts=f)
    monetary = scores(known, k, cuts=m)
    found = [
        RfmScore(each.customer, recency[each.customer], frequency[each.customer], monetary.get(each.customer))
        for each in table.customers
    ]
    sizes = tuple(k if points is None else len(points) + 1 for points in (r, f, m))
    return RfmScores(tuple(found), sizes)  # type: ignore[arg-type]  # three of them


# ---------------------------------------------------------------- segments

_GRID = (
    # f = 1,           f = 2,                 f = 3,                 f = 4,       f = 5
    ("hibernating", "hibernating", "at risk", "at risk", "cannot lose"),  # r = 1, longest ago
    ("hibernating", "hibernating", "at risk", "at risk", "cannot lose"),  # r = 2
    ("about to sleep", "about to sleep", "need attention", "loyal", "loyal"),  # r = 3
    ("promising", "potential loyal", "potential loyal", "loyal", "loyal"),  # r = 4
    ("new", "potential loyal", "potential loyal", "champions", "champions"),  # r = 5, just now
)

SEGMENT_NAMES: Mapping[tuple[int, ...], str] = MappingProxyType(
    {(r, f): name for r, names in enumerate(_GRID, 1) for f, name in enumerate(names, 1)}
)
"""The name of each pair of a recency and a frequency score from 1 to 5: ten names, as RFM tools commonly use them.

=======  ===============  ===============  ===============  ===========  ===========
recency  frequency 1      frequency 2      frequency 3      frequency 4  frequency 5
=======  ===============  ===============  ===============  ===========  ===========
5        new              potential loyal  potential loyal  champions    champions
4        promising        potential loyal  potential loyal  loyal        loyal
3        about to sleep   about to sleep   need attention   loyal        loyal
2        hibernating      hibernating      at risk          at risk      cannot lose
1        hibernating      hibernating      at risk          at risk      cannot lose
=======  ===============  ===============  ===============  ===========  ===========
"""


@attrs.frozen
class RfmSegment:
    """A name and the customers who have it, by id."""

    name: str
    customers: tuple[str, ...]


@attrs.frozen
class RfmSegments:
    """Every customer in exactly one segment, the largest segment first: iterate over it for the segments."""

    segments: tuple[RfmSegment, ...]

    columns = ("customer", "segment")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Plain data: a tuple a customer, by id."""
        return tuple(sorted((customer, segment.name) for segment in self.segments for customer in segment.customers))

    def __iter__(self) -> Iterator[RfmSegment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def _shown(self) -> tuple[list[str], list[list[Any]]]:
        n = sum(len(segment.customers) for segment in self.segments)
        sizes = [(segment.name, len(segment.customers)) for segment in self.segments]
        return ["segment", "customers", "share"], [
            [name, size, str(Rate(size, n)) if n else ""] for name, size in sizes
        ]

    def __str__(self) -> str:
        return text_table(*self._shown())

    def _repr_html_(self) -> str:
        return html_table(*self._shown())


def rfm_segments(found: RfmScores, names: Mapping[tuple[int, ...], str] = SEGMENT_NAMES) -> RfmSegments:
    """Return the named segment of every customer, by their scores; segments of nobody are there as well.

    `names` has a name for every (r, f), or every (r, f, m), that there can be: a hole is an error, not a customer
    without a segment, and so is a name for scores that there are not.

    >>> print(rfm_segments(RfmScores((RfmScore("ann", 5, 5, 4), RfmScore("bo", 2, 5, 5), RfmScore("cy", 5, 4, 1)))))
    segment          customers  share
    champions                2  66.67 %
    cannot lose              1  33.33 %
    about to sleep           0  0 %
    at risk                  0  0 %
    ...
    """
    of = named_by(names, found.sizes)
    parts: dict[str, list[str]] = {text(name, "names"): [] for name in sorted(set(names.values()))}
    for each in found.customers:
        if of == 3 and each.m is None:
            raise InputError("found", each.customer, "has no score of money; name pairs (r, f)")
        parts[names[(each.r, each.f, each.m)[:of]]].append(each.customer)  # type: ignore[index]  # m is checked
    listed = [RfmSegment(name, tuple(sorted(customers))) for name, customers in parts.items()]
    return RfmSegments(tuple(sorted(listed, key=lambda segment: -len(segment.customers))))


def named_by(names: Mapping[tuple[int, ...], str], sizes: tuple[int, int, int]) -> int:
    """Return by how many scores segments are named, 2 or 3; a hole, or a name too many, is refused."""
    if not isinstance(names, Mapping) or not names:
        raise InputError("names", names, "give a name for each (r, f), or for each (r, f, m)")
    of = 3 if all(isinstance(cell, tuple) and len(cell) == 3 for cell in names) else 2
    cells = set(product(*(range(1, size + 1) for size in sizes[:of])))
    missing, others = sorted(cells - names.keys()), sorted(names.keys() - cells, key=repr)
    if missing:
        raise InputError("names", missing[0], "has no name; name every pair (or triple) of scores")
    if others:
        raise InputError("names", others[0], f"there are no such scores; they go up to {sizes[:of]}")
    return of
