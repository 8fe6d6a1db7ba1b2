"""What was sold, period by period and channel by channel: orders, customers and money, net of refunds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import attrs

from loyaltykit.amounts import exact, money, total, whole
from loyaltykit.calendar import Period, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import count, one_of, optional, words
from loyaltykit.retention._listing import Listing, PeriodListing, as_float, as_text
from loyaltykit.retention.periods import By, Cut, cuts, places
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.retention.rows import Base, Purchase, bought_in, places_for, priced, purchases, zone_for
from loyaltykit.retention.trends import Trend
from loyaltykit.tables import html_text, number
from loyaltykit.windows import Window, lifetime

What = Literal["sales", "orders", "customers"]

_EVER = lifetime()
_what = one_of("of", What)


def _money(value: Any) -> Decimal:
    return money(value, "sales")


def at_least(amounts: Iterable[Decimal], decimals: int) -> Decimal:
    """Return the sum of amounts, with so many decimals or more.

    >>> at_least([Decimal(20), Decimal("0.5")], 2)
    Decimal('20.50')
    """
    return total([Decimal(f"0E-{decimals}"), *amounts])


# ---------------------------------------------------------------- by period


@attrs.frozen
class PeriodSales:
    """What was sold in one period: orders of how many customers, and what they come to."""

    period: Cut
    orders: int = attrs.field(converter=count("period.orders"))
    customers: int = attrs.field(converter=count("period.customers"))
    sales: Decimal = attrs.field(converter=_money)

    @property
    def partial(self) -> bool:
        """Whether the period is still in progress: its numbers are no drop, they are not complete."""
        return self.period.partial

    def __str__(self) -> str:
        return f"{self.period}: {self.orders:,} orders of {self.customers:,} customers, {number(self.sales)}"

    _repr_html_ = html_text


@attrs.frozen
class SalesTable(PeriodListing[PeriodSales]):
    """Sales period by period: iterate over it for values, or make a frame of its `rows` and `columns`.

    `places` is how many decimals its money has.
    """

    periods: tuple[PeriodSales, ...]
    places: int = 2

    columns = ("period", "start", "end", "partial", "orders", "customers", "sales")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a period."""
        listed = []
        for each in self.periods:
            cut = each.period
            listed.append((cut.label, cut.start, cut.end, cut.partial, each.orders, each.customers, each.sales))
        return tuple(listed)

    def trend(self, of: What = "sales", ahead: int = 1, *, last: int | None = None, partial: bool = False) -> Trend:
        """Return the line through the sales (or orders, or customers) of the whole periods: see `trend`.

        The period in progress is left out, so the next point is its own: what it may come to. With `partial` it is
        taken as it is. `last` takes the last so many periods only: the first of all often began late, and counts as
        whole. Boundaries of one's own must be about as far apart as months are: none by more than an eighth farther.

        >>> from datetime import UTC
        >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
        >>> rows = [("ann", on(1, 5), 100), ("bo", on(2, 3), 110), ("ann", on(3, 9), 120), ("ann", on(4, 1), 5)]
        >>> print(sales_by_period(rows, on(4, 2), zone="UTC").trend())
        next 130.00: 10.00 more each step, by the line through 3 values (r² 1.00; season is ignored)
        """
        _what(of)
        found = [each for each in self.periods if partial or not each.partial]
        if last is not None:
            found = found[-whole(last, "last", 2) :]
        if len(found) < 2:
            raise InputError(
                "periods", len(found), "a line needs two periods that are over, or more; wait, or cut finer"
            )
        lengths = [each.period.end - each.period.start for each in found]
        if 8 * max(lengths) > 9 * min(lengths):
            raise InputError("by", str(max(lengths)), f"one is as short as {min(lengths)}; give periods of one length")
        return Trend([getattr(each, of) for each in found], ahead, self.places if of == "sales" else 2)

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        shown = [[str(each.period), each.orders, each.customers, each.sales] for each in self.periods]
        return ["period", "orders", "customers", "sales"], shown


def sales_by_period(base: Base, at: datetime, by: By = "month", *, zone: str | None = None) -> SalesTable:
    """Return orders, customers and sales of each period up to an instant, from the first purchase on.

    An order counts in the period in which it was placed, with what is left of it: a refund lowers the sales of that
    period. A customer counts once in each period. A period without orders is there, with 0. The last one is `partial`
    until it is over. `by` and `zone` are as in `retention_by_period`; purchases, refunds and guests, who are left out,
    as in `purchases`. Every order needs an amount.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5), 20), ("ann", on(1, 8), 40), ("bo", on(1, 9), 30), ("ann", on(3, 1), 25)]
    >>> print(sales_by_period(rows, on(3, 10), zone="UTC"))
    period                 orders  customers  sales
    2026-01                     3          2  90.00
    2026-02                     0          0  0.00
    2026-03 (in progress)       1          1  25.00
    """
    zone = zone_for(base, zone)
    bought = purchases(base, at)
    first, last = (bought[0].at, bought[-1].at) if bought else (at, None)
    periods = cuts(by, first, at, zone, last=last)
    decimals = places_for(base)
    if not bought:
        return SalesTable((), decimals)
    listed: list[list[Purchase]] = [[] for _ in range(len(periods) + 2)]
    for place, purchase in zip(places([to_us(each.at) for each in bought], periods), bought, strict=True):
        listed[place].append(purchase)  # what is before the first boundary is in the last list, at -1
    counts = [
        (len(found), len({each.customer for each in found}), at_least([priced(found)], decimals))
        for found in listed[: len(periods)]
    ]
    return sales_table(periods, counts, decimals)


def sales_table(periods: Sequence[Cut], counts: Sequence[tuple[int, int, Decimal]], decimals: int) -> SalesTable:
    """Return the table of orders, customers and money by the place of the period."""
    found = (PeriodSales(cut, *each) for cut, each in zip(periods, counts, strict=True))
    return SalesTable(tuple(found), decimals)


# ---------------------------------------------------------------- by channel


@attrs.frozen
class ChannelSales:
    """What was sold through one channel (None: not known): orders, and what they come to."""

    channel: str | None = attrs.field(converter=optional(words("channel.channel")))
    orders: int = attrs.field(converter=count("channel.orders"))
    sales: Decimal = attrs.field(converter=_money)

    def __str__(self) -> str:
        return f"{self.channel or 'not known'}: {self.orders:,} orders, {number(self.sales)}"

    _repr_html_ = html_text


@attrs.frozen
class ChannelTable(Listing[ChannelSales]):
    """Sales channel by channel, the most money first: iterate over it, or make a frame of its `rows` and `columns`.

    >>> table = ChannelTable((ChannelSales("web", 60, "700.00"), ChannelSales("mobile", 40, "300.00")))
    >>> print(table.share_of_sales("mobile"), table.share_of_orders("mobile"))
    30 % 40 %
    """

    channels: tuple[ChannelSales, ...]

    columns = ("channel", "orders", "sales", "share_of_orders", "share_of_sales")
    """The names of the columns of `rows`."""

    def share_of_sales(self, *channels: str | None) -> Rate | None:
        """Return the share of all money that came through these channels together; None where there is none."""
        chosen = self._of(channels)
        all_of = exact(total(each.sales for each in self.channels))
        if all_of <= 0:
            return None
        share = exact(total(each.sales for each in chosen)) / all_of
        return Rate(share.numerator, share.denominator)

    def share_of_orders(self, *channels: str | None) -> Rate | None:
        """Return the share of all orders that came through these channels together; None where there is none."""
        part = sum(each.orders for each in self._of(channels))
        return rate(part, sum(each.orders for each in self.channels))

    def _of(self, channels: tuple[str | None, ...]) -> list[ChannelSales]:
        if not channels or not all(channel is None or isinstance(channel, str) for channel in channels):
            raise InputError("channels", channels, "name one or more, as in share_of_sales('mobile', 'app')")
        return [each for each in self.channels if each.channel in channels]

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a channel; shares are floats there (1 is 100 %), None where they are of nothing."""
        return tuple((*values, *map(as_float, shares)) for values, shares in self._each())

    def _each(self) -> list[tuple[tuple[str | None, int, Decimal], tuple[Rate | None, Rate | None]]]:
        return [
            (
                (each.channel, each.orders, each.sales),
                (self.share_of_orders(each.channel), self.share_of_sales(each.channel)),
            )
            for each in self.channels
        ]

    def _values(self) -> tuple[ChannelSales, ...]:
        return self.channels

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        listed = [[values[0] or "not known", *values[1:], *map(as_text, shares)] for values, shares in self._each()]
        return ["channel", "orders", "sales", "of orders", "of sales"], listed[:count]


def sales_by_channel(
    base: Base, at: datetime, window: Window | Period = _EVER, *, zone: str | None = None
) -> ChannelTable:
    """Return the orders and sales of a window by the channel that the order names, with their shares.

    A channel is what the shop calls one, say "web", "app" and "store", or a device. Orders that name none are listed as
    not known, and are a part of all. What is given back lowers the sales of the channel that it was bought in.
    Purchases, refunds and guests, who are left out, are as in `purchases`. Every order needs an amount.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5), 70, "1", "web"), ("bo", on(1, 8), 30, "2", "mobile")]
    >>> print(sales_by_channel(rows, on(3, 1)))
    channel  orders  sales  of orders  of sales
    web           1  70.00  50 %       70 %
    mobile        1  30.00  50 %       30 %
    """
    listed: dict[str | None, list[Purchase]] = {}
    for purchase in bought_in(base, at, window, zone):
        listed.setdefault(purchase.channel, []).append(purchase)
    decimals = places_for(base)
    counts = {channel: (len(found), at_least([priced(found)], decimals)) for channel, found in listed.items()}
    return channel_table(counts)


def channel_table(counts: dict[str | None, tuple[int, Decimal]]) -> ChannelTable:
    """Return the table of orders and money by channel: the most money first, then the most orders, then by name."""
    found = [ChannelSales(channel, *each) for channel, each in counts.items()]
    found.sort(key=lambda each: (-each.sales, -each.orders, each.channel is None, each.channel or ""))
    return ChannelTable(tuple(found))
