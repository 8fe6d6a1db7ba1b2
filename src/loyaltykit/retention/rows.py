"""Purchases: who bought, when, for how much. What rates, cohorts, RFM and lifetime value are worked out from.

They come from histories, or from plain rows as an export of orders has them. In both, an order counts at the instant
at which it was placed with what remains of it, what is later than `at` does not count, and guests are left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from loyaltykit.amounts import exponent, from_minor, money, total
from loyaltykit.calendar import Period, from_us, instant, to_us, zone as zone_of
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.fields import text
from loyaltykit.history import History
from loyaltykit.windows import Lifetime, Window, as_window, bounds


class Purchase(NamedTuple):
    """One order of one customer: its instant, what remains of its amount (None: not known), its id and its channel.

    >>> from datetime import UTC
    >>> Purchase("ann", datetime(2026, 3, 2, tzinfo=UTC), Decimal("20.00")).amount
    Decimal('20.00')
    """

    customer: str
    at: datetime
    amount: Decimal | None = None
    order: str | None = None
    channel: str | None = None


Base = Mapping[str, History] | Iterable[Purchase | tuple[Any, ...]]
"""Histories by member, or rows of (customer, at, amount, order, channel); all after `at` may be left out."""

_ROWS = "give histories by member, or rows of (customer, at, amount, order, channel)"


def purchases(base: Base, at: datetime) -> tuple[Purchase, ...]:
    """Return what was bought up to an instant, inclusive, net of refunds: the earliest first, then by customer.

    Of histories, an order counts while any of it is left, with what counts as spent by the history's basis, as in
    `loyaltykit.measures.orders` and `spend`. Histories in several currencies do not add up: `WrongCurrency`.

    Of rows, the customer is a text, or None for a guest, who is left out; the instant is an aware datetime; the amount
    is money (no float) or None. Rows of one customer and one order are one purchase at the earliest of their instants:
    the amounts add up, a negative one takes back, from its own instant on, and an order all of which was taken back no
    longer counts. The channel is that of the earliest row that names one, wherever something is given back. Without an
    order's id every row is a purchase of its own, and a negative amount is refused.

    >>> from datetime import UTC
    >>> march = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    >>> rows = [("ann", march[0], "30.00", "1"), ("ann", march[1], "-10.00", "1"), (None, march[1], 5, "2")]
    >>> [(bought.customer, bought.at.day, bought.amount) for bought in purchases(rows, march[2])]
    [('ann', 1, Decimal('20.00'))]
    """
    now = to_us(instant(at))
    if isinstance(base, Mapping):
        found = _of_histories(base, now)
    elif isinstance(base, Iterable) and not isinstance(base, str):
        found = _of_rows(base, now)
    else:
        raise InputError("base", type(base).__name__, _ROWS)
    found.sort(key=lambda item: (item[0], item[1].customer, item[1].order or ""))
    return tuple([bought for _, bought in found])


def _of_histories(base: Mapping[Any, Any], now: int) -> list[tuple[int, Purchase]]:
    currencies = set()
    found = []
    for member, history in base.items():
        if not isinstance(history, History):
            raise InputError("base", member, "give a History for each member, as histories(facts) makes them")
        left: dict[tuple[int, str], tuple[int, int, str | None]] = {}
        for sale in history.purchases:
            if sale.known > now:
                break  # they are sorted by when they are known
            amount, present, channel = left.get((sale.at, sale.order), (0, 0, None))
            channel = sale.channel if sale.present > 0 else channel  # a later revision may name another
            left[sale.at, sale.order] = (amount + sale.amount, present + sale.present, channel)
        for (us, order), (amount, present, channel) in left.items():
            if present:
                found.append((us, Purchase(member, from_us(us), from_minor(amount, history.currency), order, channel)))
                currencies.add(history.currency)
    if len(currencies) > 1:
        raise WrongCurrency("base", ", ".join(sorted(currencies)), "take the members of one currency at a time")
    return found


def _of_rows(rows: Iterable[Any], now: int) -> list[tuple[int, Purchase]]:
    found: list[tuple[int, Purchase]] = []
    orders: dict[tuple[str, str], list[tuple[int, Decimal | None, str | None]]] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, tuple | list) or not 2 <= len(row) <= 5:
            raise InputError(f"base[{place}]", row, _ROWS)
        customer, moment, amount, order, channel = (*row, None, None, None)[:5]
        if customer is None:
            continue
        field = f"base[{place}]."
        customer, us = text(customer, field + "customer"), to_us(instant(moment, field + "at"))
        amount = None if amount is None else money(amount, field + "amount")
        channel = None if channel is None else text(channel, field + "channel")
        if order is not None:
            order = text(order, field + "order")
        elif amount is not None and amount < 0:
            raise InputError(field + "amount", amount, "name the order that this takes back from, or leave the row out")
        if us > now:
            continue
        if order is None:
            found.append((us, Purchase(customer, from_us(us), amount, None, channel)))
        else:
            orders.setdefault((customer, order), []).append((us, amount, channel))
    for (customer, order), parts in orders.items():
        known = [amount for _, amount, _ in parts if amount is not None]
        left = total(known) if len(known) == len(parts) else None
        if left is not None and left <= 0 and any(amount < 0 for amount in known):
            continue
        us = min(us for us, _, _ in parts)
        named = min(((us, channel) for us, _, channel in parts if channel is not None), default=(us, None))[1]
        found.append((us, Purchase(customer, from_us(us), left, order, named)))
    return found


def zone_for(base: Base, zone: str | None) -> str:
    """Return the zone in which the days and months of a base are decided: the one named, else that of its histories.

    Rows have no zone of their own, and histories may differ; there it has to be named.
    """
    if zone is not None:
        zone_of(zone)
        return zone
    if isinstance(base, Mapping):
        zones = {history.zone for history in base.values() if isinstance(history, History)}
        if len(zones) <= 1:
            return zones.pop() if zones else "UTC"
        raise InputError("zone", None, f"the histories are of several zones ({', '.join(sorted(zones))}); name one")
    raise InputError("zone", None, "say in which zone days and months are meant, as in zone='Europe/Paris'")


def places_for(base: Base) -> int:
    """Return how many decimals the money of a base has: those of its histories' currency, 2 for rows."""
    if isinstance(base, Mapping):
        return max((exponent(history.currency) for history in base.values() if isinstance(history, History)), default=2)
    return 2


def priced(found: Iterable[Purchase]) -> Decimal:
    """Return what purchases come to; each needs an amount."""
    amounts = []
    for purchase in found:
        if purchase.amount is None:
            raise InputError("base.amount", None, f"what {purchase.customer} bought has no amount; give one")
        amounts.append(purchase.amount)
    return total(amounts)


# ---------------------------------------------------------------- windows


def span_of(window: Window | Period, base: Base, at: datetime, zone: str | None) -> tuple[int | None, int]:
    """Return the window in microseconds; no zone is needed where there are no days and months in it."""
    window = as_window(window)
    named = zone if isinstance(window, Lifetime) else zone_for(base, zone)
    return bounds(window, at, named or "UTC").us


def bought_in(base: Base, at: datetime, window: Window | Period, zone: str | None) -> tuple[Purchase, ...]:
    """Return the purchases of a window, as `purchases` does."""
    first, stop = span_of(window, base, at, zone)
    found = purchases(base, at)
    moments = [to_us(purchase.at) for purchase in found]
    return found[0 if first is None else bisect_left(moments, first) : bisect_left(moments, stop)]
