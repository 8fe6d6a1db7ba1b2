"""How the customers of whole bases buy: who buys again, how often and for how much, and members against others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.calendar import Period, from_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base, lit
from loyaltykit.frames._retention_bought import AT, EVER, added, bought, counted, counts_of, grouped, rows
from loyaltykit.frames._retention_time import between
from loyaltykit.retention.rates import rate
from loyaltykit.retention.repeat import Counting, compared_span, joined_since, rate_within
from loyaltykit.windows import Window, as_window, bounds


def repeat_purchase_rate(
    base: Base, at: datetime, window: Window | Period = EVER, *, counting: Counting = "orders"
) -> pure.Rate | None:
    """Return the share of a window's customers who bought at least twice, as `retention.repeat_purchase_rate` says.

    >>> import polars as pl
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8), datetime(2026, 2, 1)]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days}))
    >>> print(frames.retention.repeat_purchase_rate(base, datetime(2026, 3, 1, tzinfo=UTC)))
    50 %
    """
    pure.repeat_purchase_rate((), at, window, zone="UTC", counting=counting)
    found = bought(base, at, window)
    each = found.frame if counting == "orders" else found.days
    counts = counts_of(grouped(each, ["customer"], count="orders"), "orders")
    return rate(sum(number for orders, number in counts.items() if orders >= 2), sum(counts.values()))


def repeat_rate_within(
    base: Base, at: datetime, within: Period, window: Window | Period = EVER, *, counting: Counting = "orders"
) -> pure.Rate | None:
    """Return which part of new customers bought again within so long, as `retention.repeat_rate_within` says.

    The engine decides by the days between the first and the second purchase; where they are so near to the end of the
    time that months and clocks decide, Python does.

    >>> import polars as pl
    >>> from loyaltykit import days, frames
    >>> at = [datetime(2026, *day) for day in ((1, 5), (2, 4), (1, 9), (2, 9), (2, 20))]
    >>> base = frames.Base(pl.DataFrame({"customer": ["ann", "ann", "bo", "bo", "cy"], "at": at}))
    >>> print(frames.retention.repeat_rate_within(base, datetime(2026, 3, 1, tzinfo=UTC), days(30)))
    50 % (1 customer whose 30 days are not over is left out)
    """
    pure.repeat_rate_within((), at, within, window, zone="UTC", counting=counting)
    found = bought(base, at)
    first, then = nw.col("first"), nw.col("then")
    ats = grouped(found.frame, ["customer", "at"], count="orders")
    starts = grouped(ats, ["customer"], first=AT.min())
    if counting == "orders":
        apart = (first < AT) | (nw.col("orders") > 1)
    else:
        apart = found.number("day", first) < found.number("day")
    seconds = grouped(ats.join(starts, on="customer", how="inner").filter(apart), ["customer"], then=AT.min())
    new = starts.filter(between(first, *bounds(as_window(window), found.at, found.zone).us))
    each = new.join(seconds, on="customer", how="left").with_columns(none=then.is_null())
    each = each.with_columns(then=nw.when(nw.col("none")).then(first).otherwise(then))
    least, most = _days(within)
    day = found.number("day", first)
    gap = nw.when(nw.col("none")).then(nw.lit(most + 1, nw.Int64)).otherwise(found.number("day", then) - day)
    sides = each.select("first", "then", again=_within(gap, least, most), early=_within(found.today - day, least, most))
    sure = (nw.col("again") != _UNSURE) & (nw.col("early") != _UNSURE)
    counts = counts_of(sides.filter(sure), "again", "early")
    unsure = counts_of(sides.filter(~sure), "again", "early", "first", "then")
    for (again, early, start, second), customers in unsure.items():
        end = within.after(start.replace(tzinfo=UTC), found.zone)
        again = int(end >= second.replace(tzinfo=UTC)) if again == _UNSURE else again
        early = int(end > found.at) if early == _UNSURE else early
        counts[again, early] += customers
    return rate_within(counts[1, 0], counts[0, 0] + counts[1, 0], counts[0, 1] + counts[1, 1], within)


_UNSURE = 2


def _within(days: nw.Expr, least: int, most: int) -> nw.Expr:
    """Return 1 where so many days are surely within a time, 0 where they surely are not, else that it is not sure."""
    shorter = nw.when(days < least).then(nw.lit(1, nw.Int64)).otherwise(nw.lit(_UNSURE, nw.Int64))
    return nw.when(days > most).then(nw.lit(0, nw.Int64)).otherwise(shorter)


def _days(within: Period) -> tuple[int, int]:
    """Return how many days are surely within a period if fewer, and surely not if more, whatever the clocks do."""
    known = within.days + within.microseconds // 86_400_000_000
    return 28 * within.months + known - 2, 31 * within.months + known + 3 + (367 if within.end_of else 0)


def buying(base: Base, at: datetime, window: Window | Period = EVER) -> pure.Buying:
    """Return customers, orders and revenue of a window, and with them the averages, as `retention.buying` says.

    >>> import polars as pl
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 1, 8), datetime(2026, 2, 1)]
    >>> bought = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 4000, 3000]})
    >>> print(frames.retention.buying(frames.Base(bought, amount="cents"), datetime(2026, 3, 1, tzinfo=UTC)))
    2 customers, 3 orders (1.50 each) of 30.00 on average: 45.00 a customer
    """
    found = bought(base, at, window).priced()
    each = grouped(found.frame, ["customer"], ["amount"], "orders").with_columns(customers=nw.lit(1))
    customers, orders, revenue = added(each, "customers", "orders", "amount")
    return pure.Buying(customers, orders, found.money(revenue), found.places)


def member_against_nonmember(
    base: Base, at: datetime, joined: Mapping[Any, datetime | date] | None, window: Window | Period
) -> pure.SpendComparison:
    """Compare what members and others spent in a window, as `loyaltykit.retention.member_against_nonmember` says.

    `joined` says since when each member is one; None: the base's customers do, where they are named with that column
    (`frames.Customers(..., joined="...")`), and who has no instant there is no member.

    >>> import polars as pl
    >>> from loyaltykit import frames
    >>> from loyaltykit.windows import between
    >>> days = [datetime(2026, 1, day) for day in (5, 8, 20, 25)]
    >>> bought = pl.DataFrame({"customer": ["ann", "bo", "bo", "cy"], "at": days, "cents": [9000, 4000, 2000, 2500]})
    >>> january = between(date(2026, 1, 1), date(2026, 2, 1))
    >>> base = frames.Base(bought, amount="cents")
    >>> members = {"ann": date(2025, 6, 1)}
    >>> print(frames.retention.member_against_nonmember(base, datetime(2026, 2, 1, tzinfo=UTC), members, january))
    90.00 by each of 1 members, 42.50 by each of 2 others: 111.76 % more (few customers: this may be chance)
    """
    found = bought(base, at, window).priced()
    low, stop = compared_span(*bounds(window, found.at, found.zone).us, window)
    since, member = nw.col("joined"), nw.col("member")
    each = found.frame.join(_joined(base, joined), on="customer", how="left")
    sides = each.with_columns(member=counted((since <= AT).fill_null(False)))
    inside = ((since > lit(low)) & (since < lit(stop))).fill_null(False)
    edge = nw.when(member == 1).then(lit(low)).otherwise(lit(stop))
    sides = sides.with_columns(turned=nw.when(inside).then(since).otherwise(edge))
    spent = dict.fromkeys((0, 1), 0) | dict(rows(grouped(sides, ["member"], ["amount"]).select("member", "amount")))
    heads, time = [0, 0], [0, 0]
    turns = counts_of(grouped(sides, ["customer", "member", "turned"]), "member", "turned")
    for (side, turned), customers in turns.items():
        us = to_us(turned.replace(tzinfo=UTC))
        heads[side] += customers
        time[side] += customers * (stop - us if side else us - low)
    others, members = (pure.Group(heads[side], found.money(spent[side]), time[side]) for side in (0, 1))
    return pure.SpendComparison(members, others, max(1, stop - low), found.places)


def _joined(base: Base, joined: Mapping[Any, datetime | date] | None) -> Any:
    """Return since when members are, as a frame of `customer` and `joined`."""
    if joined is not None:
        since = joined_since(joined, base.zone)
        columns = {"customer": list(since), "joined": [from_us(us).replace(tzinfo=None) for us in since.values()]}
        schema = {"customer": base.members.collect_schema()["customer"], "joined": nw.Datetime("us")}
        return base.lift(columns, schema)
    if base.customers is None or "joined" not in base.customers.has:
        hint = "say since when who is a member: here, or by Base(..., customers=Customers(frame, joined='...'))"
        raise InputError("joined", None, hint)
    return base.customers.frame.select("customer", "joined")
