"""Who is overdue: how long customers have been away, against their own rhythm and, beside it, against that of all."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

import attrs

from loyaltykit.amounts import exact
from loyaltykit.errors import InputError
from loyaltykit.fields import text
from loyaltykit.retention._listing import Listing
from loyaltykit.retention.gaps import counted, days_bought, shown, survival
from loyaltykit.retention.intervals import open_share
from loyaltykit.retention.rows import Base
from loyaltykit.tables import html_text

Label = Literal["on_time", "at_risk", "lost"]

# ---------------------------------------------------------------- one customer's rhythm


@attrs.frozen
class Risk:
    """How long a customer has been away, against the customer's own rhythm.

    `since` days have passed since `last`, `usual` is the mean gap and ``ratio = since / usual``. `at_risk_on` and
    `lost_on` are the days on which the customer becomes so by not buying (None beyond the year 9999).
    """

    label: Label
    ratio: Fraction
    since: int
    usual: Fraction
    last: date
    at_risk_on: date | None
    lost_on: date | None

    def __str__(self) -> str:
        times = f"{shown(self.ratio)} times the usual {shown(self.usual)}"
        return f"{self.label.replace('_', ' ')}: {self.since:,} days since the last purchase, {times}"

    _repr_html_ = html_text


def risk(days: Iterable[date], today: date, *, at_risk: Any = "1.5", lost: Any = 3) -> Risk | None:
    """Return whether a customer is overdue by the ratio of the days since the last purchase to the mean gap.

    At `at_risk` times the usual gap, inclusive, the customer is at risk, at `lost` times lost: documented choices, not
    measurements. None where there are not two days with a purchase: there is no rhythm yet. Several purchases of a day
    are one, and days after `today` do not count. The mean gap is ``(last - first) / (days with a purchase - 1)``.

    >>> found = risk([date(2024, 1, 1), date(2024, 1, 31), date(2024, 3, 1)], date(2024, 4, 30))
    >>> print(found)
    at risk: 60 days since the last purchase, 2 times the usual 30
    >>> found.lost_on
    datetime.date(2024, 5, 30)
    """
    limits = limits_of(at_risk, lost)
    listed = [_day(day, f"days[{place}]") for place, day in enumerate(days)]
    now = _day(today, "today")
    return _risk(sorted({day for day in listed if day <= now}), now, *limits)


def limits_of(at_risk: Any, lost: Any) -> tuple[Fraction, Fraction]:
    """Return from how many times the usual gap on customers are at risk, and lost."""
    first, second = times_of(at_risk, "at_risk"), times_of(lost, "lost")
    if second < first:
        raise InputError("lost", lost, "give no less than at_risk")
    return first, second


def times_of(value: Any, field: str) -> Fraction:
    """Return so many times the usual gap: above 0."""
    times = exact(value, field)
    if times <= 0:
        raise InputError(field, value, "give more than 0: so many times the usual gap")
    return times


def _day(value: Any, field: str) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise InputError(field, value, "give a date, as local_date(instant, zone) returns it")
    return value


def _risk(days: Sequence[date], today: date, at_risk: Fraction, lost: Fraction) -> Risk | None:
    if len(days) < 2:
        return None
    last = days[-1]
    usual, since = Fraction((last - days[0]).days, len(days) - 1), (today - last).days
    ratio = since / usual
    label: Label = "lost" if ratio >= lost else "at_risk" if ratio >= at_risk else "on_time"
    return Risk(label, ratio, since, usual, last, _after(last, at_risk * usual), _after(last, lost * usual))


def _after(day: date, wait: Fraction) -> date | None:
    try:
        return day + timedelta(math.ceil(wait))
    except OverflowError:
        return None


# ---------------------------------------------------------------- everybody


@attrs.frozen
class Waiting:
    """How overdue one customer is.

    `risk` is None for want of a rhythm. `since` days have passed since the last purchase; of all gaps of the base the
    share `longer` lasts longer than that, and `beyond` says whether the gap is over the base's quantile (None where
    that is not known). `reason` says it in words.
    """

    customer: str
    since: int
    risk: Risk | None
    longer: Fraction
    beyond: bool | None
    reason: str

    @property
    def label(self) -> Label | None:
        """``on_time``, ``at_risk`` or ``lost`` by the customer's own rhythm; None without one."""
        return None if self.risk is None else self.risk.label


@attrs.frozen
class WaitingTable(Listing[Waiting]):
    """Who is overdue, the most overdue first: iterate over it, or make a frame of its `rows` and `columns`.

    `usual` is the number of days within which the share `quantile` of the base's gaps ends.
    """

    customers: tuple[Waiting, ...]
    quantile: Fraction
    usual: int | None

    columns = ("customer", "label", "ratio", "usual", "since", "last", "at_risk_on", "lost_on", "longer", "beyond")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a customer; ratios and shares are floats there."""
        listed = []
        for each in self.customers:
            own = each.risk
            numbers = (None, None) if own is None else (float(own.ratio), float(own.usual))
            days = (None, None, None) if own is None else (own.last, own.at_risk_on, own.lost_on)
            listed.append((each.customer, each.label, *numbers, each.since, *days, float(each.longer), each.beyond))
        return tuple(listed)

    def labelled(self, label: Label | None) -> tuple[str, ...]:
        """Return the customers with that label, the most overdue first."""
        return tuple(each.customer for each in self.customers if each.label == label)

    def _values(self) -> tuple[Waiting, ...]:
        return self.customers

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        return ["customer", "why"], [[each.customer, each.reason] for each in self.customers[:count]]


def overdue(
    base: Base,
    at: datetime,
    *,
    zone: str | None = None,
    at_risk: Any = "1.5",
    lost: Any = 3,
    quantile: Any = "0.9",
    without: Collection[str] = (),
) -> WaitingTable:
    """Return how overdue each customer is, by the own rhythm (see `risk`) and, beside it, by that of the base.

    The most overdue by their own rhythm come first, then those without a rhythm, the longest away first. Those bought
    on one day only have no rhythm, but may be `beyond` the base's `quantile` (nine gaps in ten are shorter). Leave out,
    with `without`, whoever does not choose when to buy: subscribers.

    >>> from datetime import UTC
    >>> def on(month, day): return datetime(2024, month, day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 1)), ("ann", on(1, 31)), ("ann", on(3, 1)), ("bo", on(4, 1))]
    >>> print(overdue(rows, on(4, 30), zone="UTC"))
    customer  why
    ann       at risk: 60 days since the last purchase, 2 times the usual 30
    bo        no rhythm yet: bought on one day, 29 days ago
    """
    limits, share = limits_of(at_risk, lost), open_share(quantile, "quantile")
    if isinstance(without, str) or not isinstance(without, Collection):
        raise InputError("without", without, "give the ids of customers")
    left_out = frozenset(text(customer, "without") for customer in without)
    everybody, today = days_bought(base, at, zone)
    bought = {customer: days for customer, days in everybody.items() if customer not in left_out}
    gaps = survival(counted(bought, today))
    usual = gaps.quantile(share)
    found = []
    for customer, days in bought.items():
        own, since = _risk(days, today, *limits), (today - days[-1]).days
        beyond = None if usual is None else since > usual
        reason = f"no rhythm yet: bought on one day, {since:,} days ago" if own is None else str(own)
        if beyond:
            reason += f"; longer than {shown(share * 100)} % of gaps ({usual:,} days)"
        found.append(Waiting(customer, since, own, gaps.longer(since), beyond, reason))
    found.sort(key=lambda each: (each.risk is None, -each.risk.ratio if each.risk else -each.since, each.customer))
    return WaitingTable(tuple(found), share, usual)


@attrs.frozen
class WonBack:
    """A customer who had been lost by the own rhythm, and bought again.

    `gap` days had passed before the purchase on the day `on`; ``ratio = gap / usual``, of the mean gap until then.
    """

    customer: str
    on: date
    gap: int
    usual: Fraction
    ratio: Fraction

    def __str__(self) -> str:
        times = f"{shown(self.ratio)} times the usual {shown(self.usual)}"
        return f"{self.customer} came back on {self.on} after {self.gap:,} days, {times}"

    _repr_html_ = html_text


def won_back(base: Base, at: datetime, *, zone: str | None = None, lost: Any = 3) -> tuple[WonBack, ...]:
    """Return who bought again after `lost` times the usual gap of the time before, inclusive: the earliest first.

    >>> from datetime import UTC
    >>> def on(month, day): return datetime(2024, month, day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 1)), ("ann", on(1, 31)), ("ann", on(4, 30))]
    >>> print(*won_back(rows, on(5, 1), zone="UTC"))
    ann came back on 2024-04-30 after 90 days, 3 times the usual 30
    """
    limit = times_of(lost, "lost")
    found = []
    for customer, days in days_bought(base, at, zone)[0].items():
        for place in range(2, len(days)):
            usual, gap = Fraction((days[place - 1] - days[0]).days, place - 1), (days[place] - days[place - 1]).days
            if gap >= limit * usual:
                found.append(WonBack(customer, days[place], gap, usual, gap / usual))
    return tuple(sorted(found, key=lambda each: (each.on, each.customer)))
