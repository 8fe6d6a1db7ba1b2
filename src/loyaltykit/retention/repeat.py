"""How customers buy: the repeat purchase rate, how often and for how much, and members against non-members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import attrs

from loyaltykit.amounts import exact, money, rounded, whole
from loyaltykit.calendar import Period, day_start, instant, local_date, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import amount as amount_of, count, one_of
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.retention.rows import Base, Purchase, bought_in, places_for, priced, purchases, span_of, zone_for
from loyaltykit.tables import html_text
from loyaltykit.windows import Window, lifetime

Counting = Literal["orders", "days"]

_EVER = lifetime()
_FEW = 30
_counting = one_of("counting", Counting)


# ---------------------------------------------------------------- who buys again


def repeat_rate(counts: Iterable[int]) -> Rate | None:
    """Return the share of customers with two orders or more among those with one or more, from each one's count.

    None where nobody bought.

    >>> print(repeat_rate([1, 1, 2, 5]))
    50 %
    """
    numbers = [whole(number, "counts") for number in counts]
    return rate(sum(number >= 2 for number in numbers), sum(number >= 1 for number in numbers))


def repeat_purchase_rate(
    base: Base,
    at: datetime,
    window: Window | Period = _EVER,
    *,
    zone: str | None = None,
    counting: Counting = "orders",
) -> Rate | None:
    """Return the share of a window's customers who bought at least twice in it: ``|>= 2 orders| / |>= 1 order|``.

    With `counting` "days", several orders of one local day are one: two orders within minutes are often one intention.
    An order all of which was given back is none. None where nobody bought.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("ann", on(1, 5)), ("bo", on(1, 9)), ("cy", on(1, 9)), ("cy", on(2, 3))]
    >>> print(repeat_purchase_rate(rows, on(3, 1)))
    66.67 %
    >>> print(repeat_purchase_rate(rows, on(3, 1), zone="UTC", counting="days"))
    33.33 %
    """
    found = bought_in(base, at, window, zone)
    if _counting(counting) == "orders":
        return repeat_rate(Counter(purchase.customer for purchase in found).values())
    named = zone_for(base, zone)
    days = {(purchase.customer, local_date(purchase.at, named)) for purchase in found}
    return repeat_rate(Counter(customer for customer, _ in days).values())


def repeat_rate_within(
    base: Base,
    at: datetime,
    within: Period,
    window: Window | Period = _EVER,
    *,
    zone: str | None = None,
    counting: Counting = "orders",
) -> Rate | None:
    """Return which part of new customers bought again within so-and-so long of their first purchase.

    The new customers are those whose first purchase of all lies in `window`. The second purchase (with `counting`
    "days": on another local day) is at most `within` after the first, to the microsecond. Customers whose time is not
    over at `at` are left out, whether they bought again or not, and the rate's `note` says how many: counting them
    would show a drop that is none.

    >>> from datetime import UTC
    >>> from loyaltykit.calendar import days
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("ann", on(2, 4)), ("bo", on(1, 9)), ("bo", on(2, 9)), ("cy", on(2, 20))]
    >>> print(repeat_rate_within(rows, on(3, 1), days(30), zone="UTC"))
    50 % (1 customer whose 30 days are not over is left out)
    """
    _counting(counting)
    if not isinstance(within, Period):
        raise InputError("within", within, "give a period, as in days(30)")
    zone = zone_for(base, zone)
    low, stop = span_of(window, base, at, zone)
    now = to_us(instant(at))
    first: dict[str, tuple[Purchase, int]] = {}
    again: set[str] = set()
    for purchase in purchases(base, at):
        if purchase.customer not in first:
            first[purchase.customer] = (purchase, to_us(within.after(purchase.at, zone)))
            continue
        before, end = first[purchase.customer]
        apart = counting == "orders" or local_date(purchase.at, zone) != local_date(before.at, zone)
        if apart and to_us(purchase.at) <= end:
            again.add(purchase.customer)
    starts = {customer: to_us(purchase.at) for customer, (purchase, _) in first.items()}
    new = [customer for customer, us in starts.items() if (low is None or low <= us) and us < stop]
    ripe = [customer for customer in new if first[customer][1] <= now]
    return rate_within(sum(customer in again for customer in ripe), len(ripe), len(new) - len(ripe), within)


def rate_within(again: int, ripe: int, early: int, within: Period) -> Rate | None:
    """Return the rate of those who bought again among those whose time is over; so many are left out, as `early`."""
    who = "customer" if early == 1 else "customers"
    note = f"{early:,} {who} whose {within} are not over {'is' if early == 1 else 'are'} left out" if early else ""
    return rate(again, ripe, note)


# ---------------------------------------------------------------- how often, for how much


def _quotient(dividend: Decimal, divisor: Fraction, places: int) -> Decimal:
    return rounded(exact(dividend) / divisor, places)


def _revenue(value: Any) -> Decimal:
    return money(value, "buying.revenue")


@attrs.frozen
class Buying:
    """How many customers bought how many orders for how much: what averages are made of.

    Averages are rounded once, half up, to `places` decimals; None where nobody bought.

    >>> buying = Buying(customers=2, orders=5, revenue="120.00")
    >>> buying.purchase_frequency, buying.average_order_value, buying.customer_value
    (Fraction(5, 2), Decimal('24.00'), Decimal('60.00'))
    """

    customers: int = attrs.field(converter=count("buying.customers"))
    orders: int = attrs.field(converter=count("buying.orders"))
    revenue: Decimal = attrs.field(converter=_revenue)
    places: int = attrs.field(default=2, converter=count("buying.places"))

    @property
    def purchase_frequency(self) -> Fraction | None:
        """Orders a customer: ``orders / customers``, exactly."""
        return Fraction(self.orders, self.customers) if self.customers else None

    @property
    def average_order_value(self) -> Decimal | None:
        """Money an order: ``revenue / orders``."""
        return _quotient(self.revenue, Fraction(self.orders), self.places) if self.orders else None

    @property
    def customer_value(self) -> Decimal | None:
        """Money a customer: ``average order value x purchase frequency``, that is ``revenue / customers``."""
        return _quotient(self.revenue, Fraction(self.customers), self.places) if self.customers else None

    def __str__(self) -> str:
        if not self.orders or not self.customers:
            return "no purchases"
        frequency = _quotient(Decimal(self.orders), Fraction(self.customers), 2)
        return (
            f"{self.customers:,} customers, {self.orders:,} orders ({frequency} each) of {self.average_order_value:,} "
            f"on average: {self.customer_value:,} a customer"
        )

    _repr_html_ = html_text


def buying(base: Base, at: datetime, window: Window | Period = _EVER, *, zone: str | None = None) -> Buying:
    """Return customers, orders and revenue of a window, net of refunds, and with them the averages.

    Purchase frequency is orders by distinct buyers of the window, average order value is revenue by orders, customer
    value is the product of the two. Every order needs an amount.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> print(buying([("ann", on(1, 5), 20), ("ann", on(1, 8), 40), ("bo", on(2, 9), 30)], on(3, 1)))
    2 customers, 3 orders (1.50 each) of 30.00 on average: 45.00 a customer
    """
    found = bought_in(base, at, window, zone)
    return Buying(len({purchase.customer for purchase in found}), len(found), priced(found), places_for(base))


# ---------------------------------------------------------------- members and others


def uplift(spend: Any, than: Any) -> Rate | None:
    """Return by which part one amount is above another: ``(spend - than) / than``; None where the other is 0 or less.

    >>> print(uplift("1400", "600"), uplift("112", "100"), uplift("5", "0"))
    133.33 % 12 % None
    """
    return _uplift(exact(spend, "spend"), exact(than, "than"))


def _uplift(spend: Fraction, than: Fraction, note: str = "") -> Rate | None:
    if than <= 0:
        return None
    share = (spend - than) / than
    return Rate(share.numerator, share.denominator, note)


@attrs.frozen
class Group:
    """Customers, what they spent together, and for how long they were in the group (together, in microseconds).

    Without `time` all of them were in it for the whole of the window.
    """

    customers: int = attrs.field(converter=count("group.customers"))
    spend: Decimal = attrs.field(converter=amount_of("group.spend"))
    time: int | None = None


@attrs.frozen
class SpendComparison:
    """What a member spends against what another customer does, over a window of `length` microseconds.

    Each mean is money by customers, where a customer who was in the group for half of the window counts as a half. It
    compares; it does not say that membership is the cause: those who spend more anyway are likelier to join.

    >>> prime = SpendComparison(Group(2, "2800.00"), Group(5, "3000.00"))
    >>> print(prime)
    1,400.00 by each of 2 members, 600.00 by each of 5 others: 133.33 % more (few customers: this may be chance)
    >>> prime.difference, prime.ratio
    (Decimal('800.00'), Fraction(7, 3))
    """

    members: Group
    others: Group
    length: int = attrs.field(default=1, converter=count("comparison.length", 1))
    places: int = attrs.field(default=2, converter=count("comparison.places"))

    def _mean(self, group: Group) -> Fraction | None:
        heads = Fraction(group.customers) if group.time is None else Fraction(group.time, self.length)
        return exact(group.spend) / heads if heads else None

    def _money(self, value: Fraction | None) -> Decimal | None:
        return None if value is None else rounded(value, self.places)

    @property
    def member_spend(self) -> Decimal | None:
        """What a member spends in the window, rounded half up; None without members."""
        return self._money(self._mean(self.members))

    @property
    def other_spend(self) -> Decimal | None:
        """What another customer spends in the window, rounded half up; None without others."""
        return self._money(self._mean(self.others))

    @property
    def difference(self) -> Decimal | None:
        """How much more a member spends, in money, rounded once; None where a group is empty."""
        ours, theirs = self._mean(self.members), self._mean(self.others)
        return None if ours is None or theirs is None else self._money(ours - theirs)

    @property
    def ratio(self) -> Fraction | None:
        """How many times as much a member spends; None where a group is empty or others spend nothing."""
        ours, theirs = self._mean(self.members), self._mean(self.others)
        return None if ours is None or not theirs else ours / theirs

    @property
    def uplift(self) -> Rate | None:
        """By which part a member spends more: ``(a - b) / b``; None where a group is empty or others spend nothing."""
        ours, theirs = self._mean(self.members), self._mean(self.others)
        return None if ours is None or theirs is None else _uplift(ours, theirs, self.note)

    @property
    def note(self) -> str:
        """What to beware of: "" or that a group has fewer than 30 customers."""
        few = min(self.members.customers, self.others.customers) < _FEW
        return "few customers: this may be chance" if few else ""

    def __str__(self) -> str:
        found = self.uplift
        if self.member_spend is None or self.other_spend is None:
            return "nothing to compare: a group is empty"
        more = "" if found is None else f": {attrs.evolve(found, note='')} more"
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.member_spend:,} by each of {self.members.customers:,} members, "
            f"{self.other_spend:,} by each of {self.others.customers:,} others{more}{note}"
        )

    _repr_html_ = html_text


def member_against_nonmember(
    base: Base,
    at: datetime,
    joined: Mapping[str, datetime | date],
    window: Window | Period,
    *,
    zone: str | None = None,
) -> SpendComparison:
    """Compare what members and other customers spent in a window; `joined` says since when each member is one.

    Who joins within the window is split there: what was bought before counts among the others, what was bought from
    then on among the members (a date is from the first instant of that local day), and on each side the time counts
    that was spent on it, so that equal periods are compared. On both sides, those count who bought on it in the window.
    Give a window with a start.

    >>> from datetime import UTC
    >>> from loyaltykit.windows import between
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5), 90), ("bo", on(1, 8), 40), ("bo", on(1, 20), 20), ("cy", on(1, 25), 25)]
    >>> print(member_against_nonmember(rows, on(2, 1), {"ann": date(2025, 6, 1)},
    ...                                between(date(2026, 1, 1), date(2026, 2, 1)), zone="UTC"))
    90.00 by each of 1 members, 42.50 by each of 2 others: 111.76 % more (few customers: this may be chance)
    """
    zone = zone_for(base, zone)
    low, stop = compared_span(*span_of(window, base, at, zone), window)
    since = joined_since(joined, zone)
    members: dict[str, list[Purchase]] = {}
    others: dict[str, list[Purchase]] = {}
    for purchase in bought_in(base, at, window, zone):
        side = members if since.get(purchase.customer, stop) <= to_us(purchase.at) else others
        side.setdefault(purchase.customer, []).append(purchase)
    turned = {customer: min(max(since.get(customer, stop), low), stop) for customer in {*members, *others}}
    return SpendComparison(
        _group(members, sum(stop - turned[customer] for customer in members)),
        _group(others, sum(turned[customer] - low for customer in others)),
        max(1, stop - low),
        places_for(base),
    )


def compared_span(low: int | None, stop: int, window: Window | Period) -> tuple[int, int]:
    """Return the bounds of a window in which customers are compared; one without a start is refused."""
    if low is None:
        raise InputError("window", str(window), "give a window with a start: time is needed to compare equal periods")
    return low, stop


def joined_since(joined: Any, zone: str) -> dict[Any, int]:
    """Return since which microsecond each member is one, from instants and local days."""
    if not isinstance(joined, Mapping):
        raise InputError("joined", joined, "give the instant or day of joining by member")
    since = {}
    for member, moment in joined.items():
        is_day = isinstance(moment, date) and not isinstance(moment, datetime)
        since[member] = to_us(day_start(moment, zone) if is_day else instant(moment, f"joined[{member}]"))
    return since


def _group(side: Mapping[str, list[Purchase]], time: int) -> Group:
    return Group(len(side), priced(purchase for found in side.values() for purchase in found), time)
