"""Time between orders: how long it takes customers to buy again, by the estimator of Kaplan and Meier.

A gap is the number of days from one day on which a customer bought to the next; several orders of a day are one. The
gap since the last purchase is still open: all that is known of it is that it lasted so long already. To leave it out
would make customers look quicker than they are, so it counts as *censored*.

Sources: E. L. Kaplan, P. Meier, "Nonparametric Estimation from Incomplete Observations", JASA 53 (1958), for the
share; M. Greenwood (1926) for its variance; J. D. Kalbfleisch, R. L. Prentice (1980) for the limits on the
log(-log) scale. Gaps of one customer count each for itself, so those who buy often weigh more.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

import attrs

from loyaltykit.amounts import whole
from loyaltykit.calendar import instant, local_date
from loyaltykit.errors import InputError
from loyaltykit.retention._listing import Listing
from loyaltykit.retention.intervals import open_share
from loyaltykit.retention.rows import Base, purchases, zone_for

# ---------------------------------------------------------------- gaps, counted


class GapCount(NamedTuple):
    """How many gaps of so many days ended with a purchase, and how many are still open."""

    days: int
    ended: int
    open: int


def gap_counts(base: Base, at: datetime, *, zone: str | None = None) -> tuple[GapCount, ...]:
    """Return how many gaps there are of each length in days, up to an instant, the shortest first.

    Each customer has one open gap, since the last purchase. Days are those of `zone` (default: that of the histories).
    This small table is all that `survival` needs, so an engine may count it as well.

    >>> from datetime import UTC
    >>> days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 8, 11)]
    >>> gap_counts([("ann", days[0]), ("ann", days[1]), ("bo", days[1])], days[2], zone="UTC")
    (GapCount(days=3, ended=0, open=2), GapCount(days=7, ended=1, open=0))
    """
    bought, today = days_bought(base, at, zone)
    return counted(bought, today)


def days_bought(base: Base, at: datetime, zone: str | None) -> tuple[dict[str, list[date]], date]:
    """Return the days on which each customer bought, each day once and in order, and the present one."""
    named = zone_for(base, zone)
    found: dict[str, list[date]] = {}
    for purchase in purchases(base, at):
        day = local_date(purchase.at, named)
        listed = found.setdefault(purchase.customer, [])
        if not listed or listed[-1] != day:
            listed.append(day)
    return found, local_date(instant(at), named)


def counted(bought: dict[str, list[date]], today: date) -> tuple[GapCount, ...]:
    """Return the gaps between the days on which customers bought, counted."""
    ended: Counter[int] = Counter()
    still: Counter[int] = Counter()
    for days in bought.values():
        ended.update((later - day).days for day, later in pairwise(days))
        still[(today - days[-1]).days] += 1
    return tuple(GapCount(days, ended[days], still[days]) for days in sorted(ended | still))


# ---------------------------------------------------------------- survival


@attrs.frozen
class SurvivalStep:
    """What is known of gaps of one length.

    `at_risk` gaps lasted to that day, `ended` ended and `open` are open on it. `share` is the estimated share of gaps
    that last longer; `error` is its standard error by Greenwood's formula, `low` and `high` its limits. They are None
    where nothing is known of them: where the share is 1 or 0.
    """

    days: int
    at_risk: int
    ended: int
    open: int
    share: Fraction
    error: float | None
    low: float | None
    high: float | None


@attrs.frozen
class Survival(Listing[SurvivalStep]):
    """How long the gaps last: iterate over it for steps, or make a frame of its `rows` and `columns`."""

    steps: tuple[SurvivalStep, ...]
    level: Fraction

    columns = ("days", "at_risk", "ended", "open", "share", "error", "low", "high")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a step; the share is a float there."""
        return tuple(
            (each.days, each.at_risk, each.ended, each.open, float(each.share), each.error, each.low, each.high)
            for each in self.steps
        )

    def longer(self, days: int) -> Fraction:
        """Return the share of gaps that last longer than so many days: ``S(days)``.

        Beyond the longest gap seen, it is that of the longest.
        """
        place = bisect_right(self.steps, whole(days, "days"), key=lambda step: step.days)
        return self.steps[place - 1].share if place else Fraction(1)

    def quantile(self, share: Any) -> int | None:
        """Return within how many days this share of gaps ends: the first day with ``S <= 1 - share``.

        None where so many are not seen to end.

        >>> survival([(7, 3, 0), (14, 4, 1), (30, 1, 1)]).quantile("0.7")
        14
        """
        target = 1 - open_share(share, "share")
        return next((step.days for step in self.steps if step.share <= target), None)

    @property
    def median(self) -> int | None:
        """Within how many days half of the gaps end, if so many are seen to end."""
        return self.quantile("0.5")

    def _values(self) -> tuple[SurvivalStep, ...]:
        return self.steps

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        headers = ["days", "at risk", "ended", "open", "last longer", f"{shown(self.level * 100)} % limits"]
        listed = []
        for row in self.rows[:count]:
            limits = "" if row[6] is None else f"{row[6]:.3f} to {row[7]:.3f}"
            listed.append([*row[:4], f"{row[4]:.3f}", limits])
        return headers, listed


def shown(value: Fraction) -> str:
    """Return a number with two decimals at most, for people."""
    return f"{float(value):,.2f}".rstrip("0").rstrip(".")


def survival(counts: Iterable[Sequence[int]], level: Any = "0.95") -> Survival:
    """Return the estimate of Kaplan and Meier from (days, gaps that ended, gaps still open) in any order.

    ``S(t)`` is the product of ``1 - ended / at risk`` over the lengths up to `t`, exact; a gap that is open on a day
    is at risk on it. ``Var S = S^2 x sum(ended / (at risk x (at risk - ended)))``, and the limits are
    ``S ** exp(+-z sqrt(sum) / log S)`` for the confidence `level`.

    >>> print(survival([(7, 3, 0), (14, 4, 1), (30, 1, 1)]))
    days  at risk  ended  open  last longer  95 % limits
       7       10      3     0  0.700        0.329 to 0.892
      14        7      4     1  0.300        0.071 to 0.578
      30        2      1     1  0.150        0.010 to 0.457
    """
    certain = open_share(level, "level")
    deviations = NormalDist().inv_cdf(0.5 + float(certain) / 2)
    ends: dict[int, tuple[int, int]] = {}
    for place, row in enumerate(counts):
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 3:
            raise InputError(f"counts[{place}]", row, "give (days, gaps that ended, gaps still open)")
        days, ended, still = (whole(each, f"counts[{place}]") for each in row)
        before = ends.get(days, (0, 0))
        ends[days] = (before[0] + ended, before[1] + still)
    at_risk = sum(map(sum, ends.values()))
    share, spread = Fraction(1), 0.0
    steps = []
    for days, (ended, still) in sorted(ends.items()):
        if ended:
            share *= Fraction(at_risk - ended, at_risk)
            spread += ended / (at_risk * (at_risk - ended)) if at_risk > ended else 0.0
        error = low = high = None
        if 0 < share < 1:
            error = float(share) * math.sqrt(spread)
            wide = math.exp(deviations * math.sqrt(spread) / -math.log(share))
            low, high = float(share) ** wide, float(share) ** (1 / wide)
        if ended or still:
            steps.append(SurvivalStep(days, at_risk, ended, still, share, error, low, high))
        at_risk -= ended + still
    return Survival(tuple(steps), certain)


def time_between_orders(base: Base, at: datetime, *, zone: str | None = None, level: Any = "0.95") -> Survival:
    """Return how long the gaps between the purchases of a base last, with those still open: see `survival`.

    A reminder before the `median` comes early for half of the gaps; one at ``quantile("0.9")`` goes to those who waited
    longer than nine in ten, and is a win-back.

    >>> from datetime import UTC
    >>> days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 8, 11)]
    >>> time_between_orders([("ann", days[0]), ("ann", days[1]), ("bo", days[1])], days[2], zone="UTC").median
    7
    """
    return survival(gap_counts(base, at, zone=zone), level)
