"""Habits of customers by name: bought this, used that code, comes regularly, has stopped, has come back.

Each function returns a plain condition made of measures, and its docstring says which: nothing here can do more than
`loyaltykit.measures`, and what is written as data is the comparisons themselves. What came back after a refund was
not bought. Windows are those of `loyaltykit.windows`; a bare period means the past so-and-so long, none means ever.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from loyaltykit.amounts import whole
from loyaltykit.calendar import CalendarUnit, Period, as_unit, days, months, quarters, weeks, years
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError
from loyaltykit.matching import Match, code, sku
from loyaltykit.measures import Measure, activities, days_since_first, orders, periods
from loyaltykit.windows import Lifetime, Window

_EVER = Lifetime()


# ---------------------------------------------------------------- did, and never did


def bought(*skus: str, window: Window | Period = _EVER, where: Match | None = None) -> Condition:
    """Return whether one of the products, or anything on which `where` holds, was bought and kept, at least once.

    Without either: whether anything was. With both, both must hold of the same line. It is ``orders(...) >= 1``.

    >>> print(bought("suede", window=months(6)))
    placed at least 1 order on product suede in the past 6 months
    """
    if skus:
        where = sku(*skus) if where is None else sku(*skus) & where
    return orders(window, where=where) >= 1


def used_code(*codes: str, window: Window | Period = _EVER) -> Condition:
    """Return whether one of the coupon codes was given with an order that was kept; case does not matter.

    >>> print(used_code("WELCOME10"))
    placed at least 1 order with code WELCOME10
    """
    return orders(window, where=code(*codes)) >= 1


def did(name: str, window: Window | Period = _EVER, *, times: int = 1, product: str | None = None) -> Condition:
    """Return whether an activity of that name happened at least so many times (a visit, a share), on the product.

    >>> print(did("visit", months(1), times=3))
    did visit at least 3 times in the past month
    """
    return activities(name, window, where=None if product is None else sku(product)) >= _least("did.times", times)


def reviewed(product: str | None = None, window: Window | Period = _EVER) -> Condition:
    """Return whether there was a review, of the product where one is named: an activity named ``review``.

    >>> print(reviewed("mug"))
    did review at least 1 time on product mug
    """
    return did("review", window, product=product)


def never(something: Measure) -> Condition:
    """Return whether a measure is 0: this was never done in its window, or was all given back.

    >>> print(never(orders()))
    placed exactly 0 orders
    """
    return _counting("never.something", something).equals(0)


def has_not(something: Measure, window: Window | Period) -> Condition:
    """Return whether a measure is 0 in that window, whatever there was before: also of who never did it.

    >>> print(has_not(orders(), weeks(5)))
    placed exactly 0 orders in the past 5 weeks
    """
    return _within("has_not.something", something, window).equals(0)


# ---------------------------------------------------------------- patterns


def stopped(something: Measure, long: Window | Period, short: Window | Period) -> Condition:
    """Return whether it was done in the long window, but not in the short one: it is over.

    Both end now. It is ``measure(long) > 0 & measure(short) == 0``.

    >>> print(stopped(orders(), months(12), months(3)))
    placed more than 0 orders in the past 12 months, and placed exactly 0 orders in the past 3 months
    """
    before = _within("stopped.something", something, long)
    return (before > 0) & _within("stopped.something", something, short).equals(0)


def restarted(pause: int, recent: int, *, where: Match | None = None) -> Condition:
    """Return whether somebody orders again: in the past `recent` days, not in the `pause` days before, but before that.

    In local days: of the past ``recent + pause`` days the first order is at most `recent` days ago, and the first
    order ever at least ``recent + pause``.

    >>> print(restarted(90, 30))
    placed the first order at most 30 days ago in the past 120 days, and placed the first order at least 120 days ago
    """
    both = _least("restarted.pause", pause) + _least("restarted.recent", recent)
    return (days_since_first(days(both), where=where) <= recent) & (days_since_first(where=where) >= both)


def regularly(least: int, of: int, unit: CalendarUnit = "month", *, where: Match | None = None) -> Condition:
    """Return whether something was ordered in at least so many different calendar units in the past `of` units.

    The window rolls, ``(now - of units, now]``, while the units are those of the calendar: it touches up to ``of + 1``
    of them, the first and the present one in part. It is ``periods(unit, window) >= least``.

    >>> print(regularly(3, 6))
    ordered in at least 3 months in the past 6 months
    """
    length = _LENGTHS[as_unit(unit, "regularly.unit")](whole(of, "regularly.of", 1))
    return periods(unit, length, where=where) >= whole(least, "regularly.least", 1, of + 1)


# ---------------------------------------------------------------- buyers


def prospect() -> Condition:
    """Return whether somebody never bought, or gave it all back: ``orders() == 0``.

    >>> print(prospect())
    placed exactly 0 orders
    """
    return orders().equals(0)


def first_time_buyer(within: int) -> Condition:
    """Return whether the first order of all is at most so many local days ago: 0 is today.

    >>> print(first_time_buyer(30))
    placed the first order at most 30 days ago
    """
    return days_since_first() <= whole(within, "first_time_buyer.within")


def one_time_buyer() -> Condition:
    """Return whether there is exactly one order, whenever that was: ``orders() == 1``.

    >>> print(one_time_buyer())
    placed exactly 1 order
    """
    return orders().equals(1)


def repeat_buyer(least: int = 2) -> Condition:
    """Return whether there are at least so many orders, two or more: ``orders() >= least``.

    >>> print(repeat_buyer())
    placed at least 2 orders
    """
    return orders() >= whole(least, "repeat_buyer.least", 2)


def active(window: Window | Period) -> Condition:
    """Return whether there is an order in the window: ``orders(window) >= 1``.

    >>> print(active(months(3)))
    placed at least 1 order in the past 3 months
    """
    return orders(window) >= 1


def lapsed(after: Period) -> Condition:
    """Return whether somebody bought, but not in the past so-and-so long: ``orders() >= 1 & orders(after) == 0``.

    An order placed exactly so long ago is outside, as with every rolling window.

    >>> print(lapsed(days(90)))
    placed at least 1 order, and placed exactly 0 orders in the past 90 days
    """
    return (orders() >= 1) & orders(after).equals(0)


# ---------------------------------------------------------------- what is asked for

_LENGTHS: dict[CalendarUnit, Callable[[int], Period]] = {
    "day": days, "week": weeks, "month": months, "quarter": quarters, "half_year": lambda count: months(6 * count),
    "year": years,
}  # fmt: skip


def _least(field: str, value: int) -> int:
    return whole(value, field, 1)


def _counting(field: str, value: Measure) -> Measure:
    """Refuse what is no measure, or one that is nothing, rather than 0, of somebody who never did it."""
    if not isinstance(value, Measure) or value.kind in ("days_since_first", "days_since_last", "balance"):
        raise InputError(field, value, "give a measure of what is done, as in orders() or activities('visit')")
    return value


def _within(field: str, value: Measure, window: Window | Period) -> Measure:
    return attrs.evolve(_counting(field, value), window=window)
