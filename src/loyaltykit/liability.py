"""What outstanding points are worth on the books: deferral, revenue as points are redeemed, breakage, a simple reserve.

Points given with a sale are a promise that the customer has paid for: part of the price is deferred until they are
redeemed (IFRS 15 B39-B42, ASC 606-10-55-41 to 45: a material right). Points that will never be redeemed are *breakage*
(IFRS 15 B44-B47): their revenue is recognised in proportion to the redemptions.

Money is `Decimal` in one currency, rounded half up once, to `places` decimals; nothing rounded is worked on. These are
the numbers of the standards' examples, and no advice: whether a programme is a material right, your auditor says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from loyaltykit.amounts import exact, money, round_to_int, total, whole
from loyaltykit.errors import InputError
from loyaltykit.fields import amount, count
from loyaltykit.tables import html_table, text_table

# ---------------------------------------------------------------- input


def _share(value: Any) -> Decimal:
    share = money(value, "expected", 0)
    if share > 1:
        raise InputError("expected", share, "give a share from 0 to 1, as in '0.85' where 85 % will be redeemed")
    return share


def _places(value: Any) -> int:
    return whole(value, "places", 0, 4)


def _rounded(value: Fraction, places: int) -> Decimal:
    return Decimal(f"{round_to_int(value * 10**places, 'half_up')}E-{places}")  # whatever the decimal context


def _less(left: Decimal, right: Decimal) -> Decimal:
    return total((left, right.copy_negate()))  # a minus sign would round to the decimal context


# ---------------------------------------------------------------- the reserve


def reserve(points: int, worth: Any, expected: Any = 1, places: int = 2) -> Decimal:
    """Return what outstanding points will cost: ``points x worth x expected``, rounded half up.

    `worth` is what one point is worth when redeemed, `expected` the share of them that will be (1 less breakage; 1:
    all, the careful choice). It is the simple reserve of a programme that does not defer revenue.

    >>> reserve(120_000, worth="0.01", expected="0.85")
    Decimal('1020.00')
    """
    value = whole(points, "points") * exact(money(worth, "worth", 0)) * exact(_share(expected))
    return _rounded(value, _places(places))


# ---------------------------------------------------------------- allocation


@attrs.frozen
class Deferral:
    """How the price of a sale divides between the goods and the points given with them.

    `price` is what was paid, `goods` what the goods sell for by themselves, `points` how many were given, `worth` what
    one is worth when redeemed, `expected` the share that will be. Make it with `defer`.

    Parts of the price are as the relative stand-alone prices (IFRS 15.74, ASC 606-10-32-31), the points' being
    ``points x worth x expected``: ``deferred = price x points' / (goods' + points')``.
    """

    price: Decimal = attrs.field(converter=amount("deferral.price"))
    goods: Decimal = attrs.field(converter=amount("deferral.goods"))
    points: int = attrs.field(converter=count("deferral.points"))
    worth: Decimal = attrs.field(converter=amount("deferral.worth"))
    expected: Decimal = attrs.field(default=Decimal(1), converter=_share)
    places: int = attrs.field(default=2, converter=_places)

    @property
    def stand_alone(self) -> Fraction:
        """What the points would sell for by themselves: ``points x worth x expected``, exact."""
        return self.points * exact(self.worth) * exact(self.expected)

    @property
    def exact(self) -> Fraction:
        """What is deferred for the points, not rounded: later revenue is worked out from it."""
        alone = self.stand_alone
        together = exact(self.goods) + alone
        return exact(self.price) * alone / together if together else Fraction(0)

    @property
    def deferred(self) -> Decimal:
        """What is deferred for the points, rounded half up."""
        return _rounded(self.exact, self.places)

    @property
    def recognised(self) -> Decimal:
        """What is revenue from the goods at once: the price less what is deferred, so that both sum to the price."""
        return _less(self.price, self.deferred)

    @property
    def expected_points(self) -> Fraction:
        """How many of the points will be redeemed, exact: what revenue is counted against at first."""
        return self.points * exact(self.expected)

    def __str__(self) -> str:
        return (
            f"of {self.price:,}, {self.recognised:,} is for the goods and {self.deferred:,} is deferred for"
            f" {self.points:,} points"
        )


def defer(
    price: Any, points: int, worth: Any, expected: Any = 1, *, goods: Any = None, places: int = 2
) -> Deferral:  # fmt: skip
    """Divide the price of a sale between the goods and the points given with them.

    `goods` is what the goods sell for by themselves (default: the price). See `Deferral` for the formula.

    >>> sale = defer("2000.00", points=2000, worth="0.10", expected="0.85")
    >>> print(sale)
    of 2,000.00, 1,843.32 is for the goods and 156.68 is deferred for 2,000 points
    >>> revenue_to_date(sale, redeemed=1000, expected=1700)
    Decimal('92.17')
    """
    return Deferral(price, price if goods is None else goods, points, worth, expected, places)


# ---------------------------------------------------------------- revenue


def revenue_to_date(
    allocated: Deferral | Decimal | int | str, redeemed: int, expected: int, places: int | None = None
) -> Decimal:
    """Return the revenue from redeemed points so far: ``allocated x redeemed / expected``, rounded half up.

    `allocated` is a `Deferral`, of which the part that is not rounded counts, or an amount that was allocated by other
    means; `redeemed` and `expected` are points since the start: so far, and in total by the present estimate. More
    than was expected cannot have been redeemed: raise the estimate. Once nothing more is expected, all of the rest is
    revenue, also where no point was ever redeemed. `places` are those of the `Deferral`, else 2.

    Source: IFRS 15 B46 and Example 52 (proportional to the pattern of rights exercised).

    >>> revenue_to_date("9000", redeemed=4500, expected=9700, places=0)
    Decimal('4175')
    """
    exactly, decimals = _allocated(allocated, places)
    return _rounded(_part(exactly, redeemed, expected), decimals)


def _allocated(value: Any, places: int | None) -> tuple[Fraction, int]:
    if isinstance(value, Deferral):
        return value.exact, value.places if places is None else _places(places)
    return exact(money(value, "allocated", 0)), 2 if places is None else _places(places)


def _part(exactly: Fraction, redeemed: int, expected: int) -> Fraction:
    redeemed, expected = whole(redeemed, "redeemed"), whole(expected, "expected")
    if redeemed > expected:
        raise InputError("expected", expected, f"{redeemed} were redeemed already; raise the estimate to that at least")
    return exactly * redeemed / expected if expected else exactly


@attrs.frozen
class Recognition:
    """The revenue of one period: what it brought, and where that leaves the deferral.

    `to_date` is the revenue since the start and `of_period` what it grew by; of this, `catch_up` corrects earlier
    periods because the estimate changed (IFRS 15 B46: a cumulative catch-up), and the rest is from points redeemed in
    the period. `left` is still deferred.
    """

    redeemed: int
    expected: int
    to_date: Decimal
    of_period: Decimal
    catch_up: Decimal
    left: Decimal


@attrs.frozen
class RevenueTable:
    """Revenue from redeemed points, period by period: iterate over it, or make a frame of its `rows` and `columns`."""

    periods: tuple[Recognition, ...]

    columns = ("period", "redeemed", "expected", "to_date", "of_period", "catch_up", "left")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a period."""
        return tuple((number, *attrs.astuple(each)) for number, each in enumerate(self.periods, 1))

    def __iter__(self) -> Iterator[Recognition]:
        return iter(self.periods)

    def __len__(self) -> int:
        return len(self.periods)

    def _shown(self) -> tuple[list[str], list[list[Any]]]:
        headers = ["period", "points redeemed", "expected", "revenue to date", "of the period", "catch-up", "left"]
        return headers, [[*row[:3], *(f"{each:,}".replace("-", "−") for each in row[3:])] for row in self.rows]

    def __str__(self) -> str:
        return text_table(*self._shown())

    def _repr_html_(self) -> str:
        return html_table(*self._shown())


def revenue_by_period(
    allocated: Deferral | Decimal | int | str, periods: Iterable[Sequence[int]], places: int | None = None
) -> RevenueTable:
    """Return the revenue of each period, from (redeemed so far, expected in total by the estimate of its end).

    The revenue of a period is the difference of the rounded revenue to date, so that the periods sum to the whole;
    a changed estimate is caught up on in the period in which it changes, and may make its revenue negative.

    The example is that of KPMG on loyalty programmes (10A).

    >>> print(revenue_by_period("9000", [(4500, 9700), (8500, 9900)], places=0))
    period  points redeemed  expected  revenue to date  of the period  catch-up  left
         1            4,500     9,700  4,175            4,175          0         4,825
         2            8,500     9,900  7,727            3,552          −84       1,273
    """
    exactly, decimals = _allocated(allocated, places)
    whole_amount = _rounded(exactly, decimals)
    found: list[Recognition] = []
    before, reached = 0, _rounded(Fraction(0), decimals)
    for place, period in enumerate(periods):
        if isinstance(period, str) or not isinstance(period, Sequence) or len(period) != 2:
            raise InputError(f"periods[{place}]", period, "give (points redeemed so far, points expected in total)")
        redeemed, expected = period
        to_date = _rounded(_part(exactly, redeemed, expected), decimals)
        # What the old redemptions are worth by the new estimate; there may now be fewer of them.
        again = _rounded(_part(exactly, min(before, expected), expected), decimals) if found else reached
        left = _less(whole_amount, to_date)
        found.append(Recognition(redeemed, expected, to_date, _less(to_date, reached), _less(again, reached), left))
        before, reached = redeemed, to_date
    return RevenueTable(tuple(found))
