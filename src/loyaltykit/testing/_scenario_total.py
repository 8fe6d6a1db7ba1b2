"""What a scenario sees of the whole ledger, or of one member's part of it, as an accountant does: sums, liability."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import attrs

from loyaltykit._replay_life import coins_of
from loyaltykit.amounts import exact, from_minor, round_to_int, rounded
from loyaltykit.basis import BASES
from loyaltykit.calendar import to_us
from loyaltykit.club import Club
from loyaltykit.errors import InputError
from loyaltykit.history import History
from loyaltykit.ledger import Balance
from loyaltykit.liability import defer, reserve, revenue_to_date
from loyaltykit.program import Program
from loyaltykit.testing._scenario_came import fields
from loyaltykit.testing._scenario_form import BUCKETS, LiabilitySeen
from loyaltykit.testing._scenario_status import Found


def whole_ledger(club: Club, at: datetime, unit: str) -> dict[str, int]:
    """Return what every bucket of a unit comes to over all members, page by page as the store lists them."""
    return summed(balance for _, balance in _listed(club, at, unit))


def _listed(club: Club, at: datetime, unit: str) -> Iterator[tuple[str, Balance]]:
    after: str | None = ""
    while after is not None:
        page = club.balances(at=at, unit=unit, after=after)
        yield from page
        after = page.next


def summed(balances: Iterable[Balance]) -> dict[str, int]:
    """Return the sum of every bucket."""
    balances = list(balances)
    return {name: sum(getattr(balance, name) for balance in balances) for name in BUCKETS}


def liability_found(
    wanted: LiabilitySeen | Decimal, program: Program, unit: str, sums: dict[str, int], paid: Decimal, place: str,
    why: Callable[[], str],
) -> Iterator[Found]:  # fmt: skip
    """Yield what the points are worth on the books, beside what was expected: of these sums, where so much was paid.

    The price of the goods is what was `paid` for them; the points given with them are those earned and not taken back,
    and those redeemed are without what was given back.
    """
    seen = LiabilitySeen(reserve=wanted) if isinstance(wanted, Decimal) else wanted
    worth = _worth(program, unit)
    given, redeemed = sums["earned"] - sums["clawed_back"], sums["redeemed"] - sums["restored"]
    sale = defer(paid, given, worth, seen.expected)
    so_far = revenue_to_date(sale, redeemed, max(redeemed, round_to_int(sale.expected_points, "half_up")))
    came = {
        "reserve": reserve(sums["active"] + sums["pending"] + sums["held"], worth, seen.expected),
        "deferred": sale.deferred,
        "goods": sale.recognised,
        "recognised": so_far,
        "left": sale.deferred - so_far,
    }
    for name, expected in fields(seen).items():
        if name != "expected":
            yield Found(f"{place}.liability.{name}", expected, came[name], why)


def _worth(program: Program, unit: str) -> Decimal:
    """Return what a point is worth by the program's coins."""
    coins = coins_of(program, unit)
    if coins is None:
        raise InputError("liability", unit, "the program has no coins that say what a point is worth")
    worth = Fraction(exact(coins.worth), coins.points)
    places = next((places for places in range(12) if (worth * 10**places).denominator == 1), None)
    if places is None:
        raise InputError("liability", f"{coins.points} for {coins.worth}", "a point has no exact worth in decimals")
    return rounded(worth, places)


def paid_for_goods(histories: Iterable[History], at: datetime) -> Decimal:
    """Return what was paid for goods, less what went back, as known at an instant."""
    units, currency = 0, "USD"
    for history in histories:
        bought = attrs.evolve(history, basis=BASES["goods"])
        units += sum(sale.amount for sale in bought.purchases if sale.known <= to_us(at))
        currency = history.currency
    return from_minor(units, currency)
