"""Retention, churn and reactivation: from counts, from sets of customers, and period by period over a whole base.

Two numbers go by the name of retention rate, and they are equal only where nobody comes back after a pause:

* the **retained share**, ``K / S``: of those who were active before, the part that still is. It cannot exceed 100 %.
* the **retention rate**, ``(E - N) / S``, from the counts of customers at the start, newly acquired, and at the end
  (the formula of the business press). It is right for contracts and memberships. Where customers come and go by
  themselves, those who came back after a pause, `R`, count as if they had stayed: ``E = N + R + K``.

On the published purchases of CDNOW (23,570 customers, June 1997) the second is 105.6 %, the first 33.7 %.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import total_ordering
from typing import Any

import attrs

from loyaltykit.amounts import exact, rounded, whole
from loyaltykit.calendar import Period, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import one_of
from loyaltykit.retention._listing import PeriodListing, as_float
from loyaltykit.retention.periods import Active, By, Cut, Span, cuts, spans
from loyaltykit.retention.rows import Base, purchases, zone_for
from loyaltykit.segments import LAPSED
from loyaltykit.tables import html_text

DOING_WELL = Fraction(35, 100)
"""The retention rate from which guides say that an online shop or SaaS firm does really well: a claim, not measured."""

# ---------------------------------------------------------------- values


_HUGE = 10**200  # an exact share of money and microseconds has many digits


def _part(value: Any) -> int:
    return whole(value, "rate.numerator", -_HUGE, _HUGE)


def _of(value: Any) -> int:
    return whole(value, "rate.denominator", 1, _HUGE)


@total_ordering
@attrs.frozen(eq=False)
class Rate:
    """So many of so many: an exact share, which keeps the counts that it comes from, and what to beware of (`note`).

    It compares by its share, with other rates and with numbers: ``Rate(3, 4) == Fraction(3, 4)``.

    >>> print(Rate(747, 2214))
    33.74 %
    >>> Rate(3, 4), Rate(3, 4) >= Fraction(35, 100), Rate(3, 4).percent
    (Rate(3 of 4, 75 %), True, Decimal('75.00'))
    """

    numerator: int = attrs.field(converter=_part)
    denominator: int = attrs.field(converter=_of)
    note: str = ""

    @property
    def share(self) -> Fraction:
        """The exact share: 1 is 100 %."""
        return Fraction(self.numerator, self.denominator)

    @property
    def percent(self) -> Decimal:
        """The share in percent, rounded half up to two decimals."""
        return rounded(self.share * 100)

    def __float__(self) -> float:
        """Return the share as a float, for pictures and frames."""
        return self.numerator / self.denominator

    def __eq__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.share == number

    def __lt__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.share < number

    def __hash__(self) -> int:
        return hash(self.share)

    def __str__(self) -> str:
        text = f"{self.percent:f}".rstrip("0").rstrip(".")
        return f"{text} % ({self.note})" if self.note else f"{text} %"

    _repr_html_ = html_text

    def __repr__(self) -> str:
        return f"Rate({self.numerator} of {self.denominator}, {self})"


def _number(value: object) -> Fraction | None:
    if isinstance(value, Rate):
        return value.share
    if isinstance(value, int | Fraction) or (isinstance(value, Decimal) and value.is_finite()):
        return Fraction(value)
    return None


def rate(part: int, of: int, note: str = "") -> Rate | None:
    """Return the rate of `part` in `of`; None of nothing."""
    return Rate(part, of, note) if of else None


def does_well(rate: Rate | None, least: Any = DOING_WELL) -> bool:
    """Return whether a retention rate reaches a benchmark, inclusive; without a rate it does not.

    The default, 35 %, is what guides to retention say of online shops and SaaS, not a measurement; give your own as a
    share: ``"0.35"``, a Decimal or a Fraction.

    >>> does_well(Rate(35, 100)), does_well(Rate(349, 1000)), does_well(Rate(349, 1000), "0.25")
    (True, False, True)
    """
    return rate is not None and rate >= exact(least, "least")


# ---------------------------------------------------------------- from counts


def retention_rate(start: int, new: int, end: int, retained: int | None = None) -> Rate | None:
    """Return ``(end - new) / start``: customers at the end, less those acquired in the period, by those at the start.

    None where there was nobody at the start. Where it is known how many of those at the start are still there
    (`retained`), or where the counts alone prove it (more than 100 %), the rate says in its `note` that it is not the
    share truly retained. More new customers than there are at the end is an error.

    Source: the formula of the business press (exprimere.net and others), with the usual example of 10,000 customers,
    of whom 2,500 leave while 5,500 come.

    >>> print(retention_rate(start=10_000, new=5_500, end=13_000))
    75 %
    >>> print(retention_rate(start=2_214, new=0, end=2_339, retained=747))
    105.65 % (1,592 came back after a pause and count as if they had stayed; truly retained are 33.74 %)
    """
    start, new, end = (whole(each, name) for each, name in ((start, "start"), (new, "new"), (end, "end")))
    if new > end:
        raise InputError("new", new, f"there are only {end} customers at the end; count the new who are still there")
    if retained is None:
        more = end - new - start
        note = f"at least {more:,} came back after a pause and count as if they had stayed" if more > 0 else ""
        return rate(end - new, start, note)
    if whole(retained, "retained") > min(start, end):
        raise InputError("retained", retained, f"at most {min(start, end)}: they are there at the start and at the end")
    more, truly = end - new - retained, rate(retained, start)
    if more > 0:
        note = f"{more:,} came back after a pause and count as if they had stayed; truly retained are {truly}"
    elif more < 0:
        note = f"{-more:,} of the new had left again and count as if others had; truly retained are {truly}"
    else:
        note = ""
    return rate(end - new, start, note)


def end_count(start: int, new: int, lost: int) -> int:
    """Return how many customers there are at the end: ``start + new - lost``.

    >>> end_count(start=10_000, new=5_500, lost=2_500)
    13000
    """
    there = whole(start, "start") + whole(new, "new")
    return there - whole(lost, "lost", 0, there)


def churn_rate(start: int, lost: int) -> Rate | None:
    """Return the share of those at the start who were lost: ``lost / start``, None where there was nobody.

    >>> print(churn_rate(start=10_000, lost=2_500))
    25 %
    """
    return rate(whole(lost, "lost", 0, whole(start, "start")), start)


# ---------------------------------------------------------------- from sets


@attrs.frozen
class Turnover:
    """Who stayed, who came, who came back: the counts of two moments or periods, compared.

    `start` (S) were active before, `end` (E) are now. Of these, `new` (N) were never seen before, `returned` (R) had
    been, but not among S, and `retained` (K) are of S: ``E = N + R + K``. `dormant` were known before without being
    among S: out of them the returned came.

    >>> print(Turnover(start=4, new=1, returned=1, retained=2, dormant=5))
    2 of 4 stayed, 1 new, 1 came back: 4
    """

    start: int
    new: int
    returned: int
    retained: int
    dormant: int = 0

    @property
    def end(self) -> int:
        """How many are active now: ``N + R + K``."""
        return self.new + self.returned + self.retained

    @property
    def lost(self) -> int:
        """How many of those before are no longer active: ``S - K``."""
        return self.start - self.retained

    @property
    def retained_share(self) -> Rate | None:
        """``K / S``: the share truly retained; None where there was nobody."""
        return rate(self.retained, self.start)

    @property
    def retention_rate(self) -> Rate | None:
        """``(E - N) / S``, with a note where those who came back make it another number than the share retained."""
        return retention_rate(self.start, self.new, self.end, self.retained)

    @property
    def churn(self) -> Rate | None:
        """``(S - K) / S``: the share lost, 1 less the share retained; None where there was nobody."""
        return rate(self.lost, self.start)

    @property
    def reactivation(self) -> Rate | None:
        """``R / dormant``: of those known but not active before, the share that came back; None of nobody."""
        return rate(self.returned, self.dormant)

    def __str__(self) -> str:
        return (
            f"{self.retained:,} of {self.start:,} stayed, {self.new:,} new, {self.returned:,} came back: {self.end:,}"
        )

    _repr_html_ = html_text


def turnover(before: Collection[str], after: Collection[str], known: Collection[str] = ()) -> Turnover:
    """Compare two sets of active customers; `known` are others who had been customers before, active or not.

    Whoever is in `after` alone is new unless `known`: without them, nobody can be told to have come back.

    >>> found = turnover(["a", "b", "c", "d"], ["a", "b", "c", "f"])
    >>> print(found.retained_share, found.churn)
    75 % 25 %
    """
    was, now, earlier = _set(before, "before"), _set(after, "after"), _set(known, "known")
    return _turnover(was, now, earlier | was)


def _set(value: Collection[str], field: str) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(field, value, "give the ids of customers")
    return frozenset(value)


def _turnover(was: Collection[str], now: Collection[str], known: Collection[str]) -> Turnover:
    kept, old = (sum(customer in others for customer in now) for others in (was, known))
    return counted(len(was), len(now), kept, old, len(known))


def counted(was: int, now: int, kept: int, old: int, known: int) -> Turnover:
    """Return the turnover from how many were and are active, are both, are active and were known, and were known.

    >>> print(counted(was=4, now=4, kept=2, old=3, known=9))
    2 of 4 stayed, 1 new, 1 came back: 4
    """
    return Turnover(was, now - old, old - kept, kept, known - was)


def retained_share(before: Collection[str], after: Collection[str]) -> Rate | None:
    """Return the share of those active before who still are: ``|before & after| / |before|``, None of nobody.

    >>> print(retained_share(["a", "b", "c", "d"], ["a", "b", "c", "f"]))
    75 %
    """
    return turnover(before, after).retained_share


# ---------------------------------------------------------------- period by period


@attrs.frozen
class PeriodTurnover:
    """One row of `retention_by_period`: the counts of a period against the one before, or its end against its start."""

    period: Cut
    turnover: Turnover

    @property
    def partial(self) -> bool:
        """Whether the period is still in progress: its numbers are no drop, they are not complete."""
        return self.period.partial

    def __str__(self) -> str:
        return f"{self.period}: {self.turnover}"

    _repr_html_ = html_text


@attrs.frozen
class RetentionTable(PeriodListing[PeriodTurnover]):
    """Retention period by period: iterate over it for values, or make a frame of its `rows` and `columns`."""

    periods: tuple[PeriodTurnover, ...]
    active: Active = "purchase"
    alive_for: Period | None = None

    columns = (
        "period", "start", "end", "partial", "customers_before", "customers_now", "new", "returned", "retained",
        "retained_share", "retention_rate", "churn",
    )  # fmt: skip
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a period; shares are floats there (1 is 100 %), None where they are of nobody."""
        listed = []
        for each in self.periods:
            cut, counts = each.period, each.turnover
            numbers = (counts.start, counts.end, counts.new, counts.returned, counts.retained)
            shares = map(as_float, _shares(counts))
            listed.append((cut.label, cut.start, cut.end, cut.partial, *numbers, *shares))
        return tuple(listed)

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        headers = ["period", "S before", "E now", "N new", "R came back", "K kept", "K/S kept", "(E−N)/S", "churn"]
        listed = []
        for each in self.periods:
            counts = each.turnover
            shares = ["" if found is None else str(attrs.evolve(found, note="")) for found in _shares(counts)]
            numbers = [counts.start, counts.end, counts.new, counts.returned, counts.retained]
            listed.append([str(each.period), *numbers, *shares])
        return headers, listed


def _shares(counts: Turnover) -> tuple[Rate | None, Rate | None, Rate | None]:
    return counts.retained_share, counts.retention_rate, counts.churn


_active = one_of("active", Active)


def retention_by_period(
    base: Base,
    at: datetime,
    by: By = "month",
    *,
    zone: str | None = None,
    active: Active = "purchase",
    alive_for: Period = LAPSED,
) -> RetentionTable:
    """Return who stayed, came, came back and left in each period up to an instant, from the first purchase on.

    With `active` "purchase", whoever bought in a period is active in it, and each is compared with the one before.
    With "alive", whoever bought in the trailing `alive_for` (90 days) is: each period's end is compared with its start.
    `new` are those whose first purchase of all is in the period and who are active (at the end of it).

    `by` is a calendar unit, or boundaries of one's own: of these, "purchase" needs the first period to compare the
    second with, and gives no row for it. The last period is `partial` until it is over: it is no drop. Days and months
    are those of `zone` (default: that of the histories). Purchases, refunds and guests are as in `purchases`.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("bo", on(1, 9)), ("ann", on(2, 3)), ("cy", on(2, 7)), ("bo", on(3, 1))]
    >>> print(retention_by_period(rows, on(3, 10), zone="UTC"))
    period                 S before  E now  N new  R came back  K kept  K/S kept  (E−N)/S  churn
    2026-01                       0      2      2            0       0
    2026-02                       2      2      1            0       1  50 %      50 %     50 %
    2026-03 (in progress)         2      1      0            1       0  0 %       50 %     100 %
    """
    _active(active)
    zone = zone_for(base, zone)
    bought = purchases(base, at)
    moments = [to_us(purchase.at) for purchase in bought]
    periods = cuts(by, bought[0].at, at, zone, last=bought[-1].at) if bought else ()

    def buyers(span: Span) -> set[str]:
        low, stop = (bisect_left(moments, edge) for edge in span)
        return {bought[place].customer for place in range(low, stop)}

    found: list[Turnover] = []
    known: set[str] = set()
    reached = 0
    for before, now, start in spans(periods, by, at, zone, active, alive_for):
        while reached < len(bought) and moments[reached] < start:
            known.add(bought[reached].customer)
            reached += 1
        found.append(_turnover(buyers(before), buyers(now), known))
    return retention_table(periods, found, active, alive_for)


def retention_table(
    periods: Sequence[Cut], found: Sequence[Turnover], active: Active, alive_for: Period
) -> RetentionTable:
    """Return the table of the turnovers of the last so many periods."""
    rows = zip(periods[len(periods) - len(found) :], found, strict=True)
    listed = tuple(PeriodTurnover(cut, each) for cut, each in rows)
    return RetentionTable(listed, active, alive_for if active == "alive" else None)
