"""Where numbers are heading: the straight line that is nearest to them, and the next points on it.

A line knows no season: it takes a good December for a rise. Use it for what changes steadily, over whole seasons, or on
values that are comparable already, such as the same month of several years.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set as AbstractSet
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from loyaltykit.amounts import exact, rounded, whole
from loyaltykit.errors import InputError
from loyaltykit.fields import count
from loyaltykit.tables import html_text, number

_VALUES = "give two numbers or more, the earliest first, as in [100, 110, 120]"
_GAP = "is a gap, and the line needs a value at every step: give 0 if there was nothing, or begin after the gap"


def _exact(values: Any) -> tuple[Fraction, ...]:
    if isinstance(values, str | Mapping | AbstractSet) or not isinstance(values, Iterable):
        raise InputError("values", values, _VALUES)
    found = []
    for place, value in enumerate(values):
        if value is None:
            raise InputError(f"values[{place}]", None, _GAP)
        found.append(exact(value, f"values[{place}]"))
    if len(found) < 2:
        raise InputError("values", len(found), f"a line needs two points: {_VALUES}")
    return tuple(found)


@attrs.frozen
class Trend:
    """The line that is nearest to `values`, and the next points on it, of which `ahead` are listed.

    ``slope`` is the change from one step to the next, ``intercept`` the line at the first value; both are exact, as is
    `line`. What is money, or meant to be read, is rounded half up to `places` decimals. Season is ignored, and nothing
    is cut off: a line that falls goes below 0.

    >>> print(Trend(["100.00", "110.00", "120.00"]))
    next 130.00: 10.00 more each step, by the line through 3 values (r² 1.00; season is ignored)
    """

    values: tuple[Fraction, ...] = attrs.field(converter=_exact)
    ahead: int = attrs.field(default=1, converter=count("ahead", 1))
    places: int = attrs.field(default=2, converter=count("places"))
    slope: Fraction = attrs.field(init=False, repr=False, eq=False)
    intercept: Fraction = attrs.field(init=False, repr=False, eq=False)

    @slope.default
    def _slope(self) -> Fraction:
        return 6 * self._leaning / (len(self.values) * (len(self.values) ** 2 - 1))

    @intercept.default
    def _intercept(self) -> Fraction:
        return self._mean - self.slope * Fraction(len(self.values) - 1, 2)

    @property
    def _mean(self) -> Fraction:
        return sum(self.values, Fraction(0)) / len(self.values)

    @property
    def _leaning(self) -> Fraction:
        """``sum((2x - (n - 1)) y)``: twice the products of steps and values, the steps counted from their middle."""
        last = len(self.values) - 1
        return sum(((2 * place - last) * value for place, value in enumerate(self.values)), Fraction(0))

    def line(self, place: int) -> Fraction:
        """Return the line at a place, exactly: 0 is the first value's, and as many as there are values is the next's.

        >>> Trend([100, 110, 121]).line(3)
        Fraction(394, 3)
        """
        return self.intercept + self.slope * whole(place, "place")

    def forecast(self, ahead: int = 1) -> Decimal:
        """Return the line so many steps after the last value, rounded half up.

        >>> Trend([100, 110, 120]).forecast(3)
        Decimal('150.00')
        """
        return rounded(self.line(len(self.values) - 1 + whole(ahead, "ahead", 1)), self.places)

    @property
    def next(self) -> Decimal:
        """The next point of the line, rounded half up."""
        return self.forecast()

    @property
    def forecasts(self) -> tuple[Decimal, ...]:
        """The next `ahead` points of the line, each rounded half up."""
        return tuple(self.forecast(step) for step in range(1, self.ahead + 1))

    @property
    def fitted(self) -> tuple[Decimal, ...]:
        """The line at each of the values, rounded half up."""
        return tuple(rounded(self.line(place), self.places) for place in range(len(self.values)))

    @property
    def r_squared(self) -> Fraction | None:
        """Which part of the values' variance the line explains, from 0 to 1; None where they do not vary.

        Of two values it is 1, whatever they are.
        """
        mean = self._mean
        spread = sum(((value - mean) ** 2 for value in self.values), Fraction(0))
        of_line = self.slope**2 * Fraction(len(self.values) * (len(self.values) ** 2 - 1), 12)
        return of_line / spread if spread else None

    def __str__(self) -> str:
        points = ", ".join(number(point) for point in self.forecasts)
        step = rounded(abs(self.slope), self.places)
        change = f"{number(step)} {'more' if self.slope > 0 else 'less'} each step" if self.slope else "no change"
        fit = "" if self.r_squared is None else f"r² {rounded(self.r_squared)}; "
        return f"next {points}: {change}, by the line through {len(self.values)} values ({fit}season is ignored)"

    _repr_html_ = html_text


def trend(values: Iterable[int | str | Decimal | Fraction], ahead: int = 1, *, places: int = 2) -> Trend:
    """Return the least-squares line through values that are a step apart, the earliest first, and its next points.

    With the values ``y`` at the steps ``x = 0 .. n - 1``, ``slope = sum((x - mean x) (y - mean y)) / sum((x - mean
    x)²)`` and ``intercept = mean y - slope mean x`` (Legendre, 1805). It is worked out in fractions and rounded once,
    half up, to `places` decimals. **Season is ignored**, as is whatever else makes the next step unlike the last ones.

    Values are numbers or money, no floats. Fewer than two, and gaps (None), are refused. For sales by month, say, see
    `sales_by_period`, whose table has a `trend`.

    >>> trend([100, 110, 120]).next, trend(["19.90", "21.00", "20.50"], ahead=2).forecasts
    (Decimal('130.00'), (Decimal('21.07'), Decimal('21.37')))
    """
    return Trend(values, ahead, places)
