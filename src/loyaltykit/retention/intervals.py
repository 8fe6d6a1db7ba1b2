"""How sure a rate, a mean or a difference is: the limits within which the truth lies with a stated confidence.

Limits are floats. `level` is the confidence, a share such as ``"0.95"``: of many such intervals, so many are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist
from typing import Any, NamedTuple

import attrs

from loyaltykit.amounts import exact, whole
from loyaltykit.errors import InputError


class Interval(NamedTuple):
    """The lower and the upper limit."""

    low: float
    high: float


def open_share(value: Any, field: str = "level") -> Fraction:
    """Return a share above 0 and below 1, exactly; else raise `InputError`.

    >>> open_share("0.95")
    Fraction(19, 20)
    """
    share = exact(value, field)
    if not 0 < share < 1:
        raise InputError(field, value, "give a share above 0 and below 1, as in '0.95'")
    return share


# ---------------------------------------------------------------- rates


def wilson(hits: int, of: int, level: Any = "0.95") -> Interval:
    """Return the limits of a rate, by Wilson's score interval without continuity correction.

    ``(2 n p + z^2 -+ z sqrt(z^2 + 4 n p (1 - p))) / (2 (n + z^2))``: never outside 0 to 1, and good for small numbers.
    Of nothing, nothing is known: 0 to 1.

    Source: E. B. Wilson, JASA 22 (1927); R. G. Newcombe, Statistics in Medicine 17, 857-872 (1998), method 3.

    >>> low, high = wilson(81, 263)
    >>> round(low, 4), round(high, 4)
    (0.2553, 0.3662)
    """
    number = whole(of, "of")
    successes = whole(hits, "hits", 0, number)
    z = NormalDist().inv_cdf(0.5 + float(open_share(level)) / 2)
    if not number:
        return Interval(0.0, 1.0)
    rate = successes / number
    middle = 2 * successes + z * z
    wide = z * math.sqrt(z * z + 4 * successes * (1 - rate))
    below, above = (middle - wide) / (2 * (number + z * z)), (middle + wide) / (2 * (number + z * z))
    return Interval(max(0.0, below) if successes else 0.0, min(1.0, above) if successes < number else 1.0)


def newcombe(hits: int, of: int, other_hits: int, other_of: int, level: Any = "0.95") -> Interval:
    """Return the limits of the difference of two rates, the first less the second, from Wilson's limits of each.

    With ``d = p1 - p2``: from ``d - sqrt((p1 - l1)^2 + (u2 - p2)^2)`` to ``d + sqrt((u1 - p1)^2 + (p2 - l2)^2)``. Where
    one group is empty, nothing is known: -1 to 1.

    Source: R. G. Newcombe, Statistics in Medicine 17, 873-890 (1998), method 10.

    >>> low, high = newcombe(56, 70, 48, 80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    first, second = wilson(hits, of, level), wilson(other_hits, other_of, level)
    if not of or not other_of:
        return Interval(-1.0, 1.0)
    one, two = hits / of, other_hits / other_of
    below = math.hypot(one - first.low, second.high - two)
    above = math.hypot(first.high - one, two - second.low)
    return Interval(max(-1.0, one - two - below), min(1.0, one - two + above))


# ---------------------------------------------------------------- means


def _count(value: Any) -> int:
    return whole(value, "sample.count")


def _sum(value: Any) -> Fraction:
    return exact(value, "sample.sum")


def _squares(value: Any) -> Fraction:
    return exact(value, "sample.squares")


@attrs.frozen
class Sample:
    """Numbers summed up: how many, their sum, and the sum of their squares. What an engine counts for a mean.

    >>> Sample(3, 6, 14).mean, Sample(3, 6, 14).variance
    (Fraction(2, 1), Fraction(1, 1))
    """

    count: int = attrs.field(converter=_count)
    sum: Fraction = attrs.field(converter=_sum)
    squares: Fraction = attrs.field(converter=_squares)

    def __attrs_post_init__(self) -> None:
        if self.squares * self.count < self.sum * self.sum or (not self.count and self.squares):
            raise InputError("sample.squares", self.squares, "is less than such numbers can have; sum their squares")

    @property
    def mean(self) -> Fraction | None:
        """The mean, exact; None of nothing."""
        return self.sum / self.count if self.count else None

    @property
    def variance(self) -> Fraction | None:
        """The sample variance, with ``n - 1``, exact; None of fewer than two."""
        if self.count < 2:
            return None
        return (self.squares - self.sum * self.sum / self.count) / (self.count - 1)


def sample(values: Iterable[int | str | Decimal | Fraction]) -> Sample:
    """Return numbers summed up, exactly; floats are refused.

    >>> sample(["1.50", 2]).mean
    Fraction(7, 4)
    """
    count, total, squares = 0, Fraction(0), Fraction(0)
    for value in values:
        number = exact(value, "values")
        count, total, squares = count + 1, total + number, squares + number * number
    return Sample(count, total, squares)


def welch(values: Sample, others: Sample, level: Any = "0.95") -> Interval:
    """Return the limits of the difference of two means, the first less the second, whose variances may differ.

    ``d -+ t sqrt(s1^2 / n1 + s2^2 / n2)``, with Student's `t` at the degrees of freedom of Welch and Satterthwaite.
    Where a group has fewer than two, nothing is known: minus to plus infinity.

    Source: B. L. Welch, Biometrika 34, 28-35 (1947).

    >>> low, high = welch(sample([5, 7, 9, 11]), sample([1, 2, 3]))
    >>> round(low, 2), round(high, 2)
    (2.1, 9.9)
    """
    sure = float(open_share(level))
    if values.variance is None or others.variance is None or values.mean is None or others.mean is None:
        return Interval(-math.inf, math.inf)
    difference = float(values.mean - others.mean)
    first, second = values.variance / values.count, others.variance / others.count
    both = first + second
    if not both:
        return Interval(difference, difference)
    freedom = both * both / (first * first / (values.count - 1) + second * second / (others.count - 1))
    wide = student(sure, float(freedom)) * math.sqrt(both)
    return Interval(difference - wide, difference + wide)


def student(level: float, freedom: float) -> float:
    """Return the `t` between whose two signs a variable of Student's distribution lies with this probability.

    >>> round(student(0.95, 10), 3)
    2.228
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < level:
        low, high = high, high * 2
        if high > 1e12:
            return high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: float) -> float:
    """Return the probability of ``-t`` to ``t``: ``1 - I(f / (f + t^2); f / 2, 1 / 2)``."""
    x = freedom / (freedom + t * t)
    a, b = freedom / 2, 0.5
    if x >= 1:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The continued fraction converges quickly on this side of the mean, and its mirror image on the other.
    if x < (a + 1) / (a + b + 2):
        return 1 - front * _fraction(x, a, b) / a
    return front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    result = c = 1.0
    d = 1 / (1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + term * d), 1 + term / c
            result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result
