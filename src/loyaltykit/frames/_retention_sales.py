"""Sales of whole bases, by period and by channel: an engine adds up, Python makes tables of the sums."""

from __future__ import annotations

from datetime import datetime

import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.calendar import Period
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import EVER, bought, grouped
from loyaltykit.frames._retention_periods import place_of
from loyaltykit.frames._tables import rows
from loyaltykit.retention.periods import By, kept
from loyaltykit.retention.sales import channel_table, sales_table
from loyaltykit.windows import Window


def sales_by_period(base: Base, at: datetime, by: By = "month") -> pure.SalesTable:
    """Return orders, customers and sales of each period, as `retention.sales_by_period` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8), datetime(2026, 3, 1)]
    >>> table = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 4000, 3000]})
    >>> base = frames.Base(table, amount="cents")
    >>> print(frames.retention.sales_by_period(base, datetime(2026, 3, 10, tzinfo=UTC)))
    period                 orders  customers  sales
    2026-01                     2          1  60.00
    2026-02                     0          0  0.00
    2026-03 (in progress)       1          1  30.00
    """
    by = kept(by)
    pure.sales_by_period((), at, by, zone="UTC")
    found = bought(base, at).priced()
    periods = found.cuts(by)
    if not periods:
        return sales_table((), (), found.places)
    placed = found.frame.select("customer", "amount", place=place_of(found, periods, by))
    each = grouped(placed, ["customer", "place"], ["amount"], "orders").with_columns(customers=nw.lit(1))
    sums = grouped(each, ["place"], ["orders", "customers", "amount"]).select("place", "orders", "customers", "amount")
    counts = {place: (orders, customers, found.money(units)) for place, orders, customers, units in rows(sums)}
    nothing = (0, 0, found.money(0))
    return sales_table(periods, [counts.get(place, nothing) for place in range(len(periods))], found.places)


def sales_by_channel(base: Base, at: datetime, window: Window | Period = EVER) -> pure.ChannelTable:
    """Return the orders and sales of a window by channel, as `retention.sales_by_channel` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8)]
    >>> columns = {"customer": ["ann", "bo"], "at": days, "cents": [7000, 3000], "device": ["web", "mobile"]}
    >>> base = frames.Base(pl.DataFrame(columns), amount="cents", channel="device")
    >>> print(frames.retention.sales_by_channel(base, datetime(2026, 3, 1, tzinfo=UTC)))
    channel  orders  sales  of orders  of sales
    web           1  70.00  50 %       70 %
    mobile        1  30.00  50 %       30 %
    """
    pure.sales_by_channel((), at, window, zone="UTC")
    found = bought(base, at, window, "channel").priced()
    if "channel" not in found.frame.collect_schema():
        raise InputError("base.channel", None, "name the column of the channel, as in Base(frame, channel='device')")
    sums = grouped(found.frame, ["channel"], ["amount"], "orders").select("channel", "orders", "amount")
    listed = rows(sums)
    if not base.orders.alone:  # else a row is an order, and has its own channel
        whole = bought(base, at, window).frame.select(orders=nw.len(), amount=nw.col("amount").sum())
        ((orders, units),) = rows(whole)
        if (orders, int(units or 0)) != tuple(sum(each[place] for each in listed) for place in (1, 2)):
            why = "rows of one order differ; repeat its channel in the rows that take something back"
            raise InputError("base.channel", None, why)
    return channel_table({channel: (orders, found.money(units)) for channel, orders, units in listed})
