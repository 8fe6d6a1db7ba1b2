"""What customers are worth: what they brought so far, what models say that they will bring, and both together.

What they brought is exact money. What they will bring is an estimate, of the models in `loyaltykit.retention.models`,
rounded to money only where it stands beside money.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import attrs

from loyaltykit.amounts import exact, round_to_int, total
from loyaltykit.errors import InputError
from loyaltykit.retention._listing import Listing
from loyaltykit.retention.models import BgNbd, GammaGamma
from loyaltykit.retention.recency import rfm_summary
from loyaltykit.retention.rows import Base, places_for, purchases

Of = Literal["revenue", "margin"]


def margin_of(value: Any) -> Fraction:
    """Return a share of revenue that is margin; 1 of None."""
    if value is None:
        return Fraction(1)
    share = exact(value, "margin")
    if not 0 < share <= 1:
        raise InputError("margin", value, "give the share of revenue that is margin, as in '0.30', or None for revenue")
    return share


def margin_on(revenue: Decimal, margin: Any, places: int) -> Decimal:
    """Return what is left of a revenue, rounded half up to so many decimals: all of it without a `margin`."""
    if margin is None:
        return revenue
    return Decimal(f"{round_to_int(Fraction(revenue) * margin_of(margin) * 10**places, 'half_up')}E-{places}")


# ---------------------------------------------------------------- so far


@attrs.frozen
class HistoricValue:
    """What one customer brought so far: in so many orders that much revenue, and the `value` counted of it."""

    customer: str
    orders: int
    revenue: Decimal
    value: Decimal


@attrs.frozen
class HistoricValues(Listing[HistoricValue]):
    """What each customer brought so far, the most valuable first; `of` says whether values are revenue or margin."""

    customers: tuple[HistoricValue, ...]
    of: Of

    columns = ("customer", "orders", "revenue", "value")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a customer."""
        return tuple((each.customer, each.orders, each.revenue, each.value) for each in self.customers)

    @property
    def total(self) -> Decimal:
        """What all of them brought: the sum of the values."""
        return total(each.value for each in self.customers)

    def _values(self) -> tuple[HistoricValue, ...]:
        return self.customers

    def _note(self) -> str:
        return f"values are {self.of}; {self.total:,} in all"


def historic_value(base: Base, at: datetime, *, margin: Any = None) -> HistoricValues:
    """Return what each customer brought up to an instant, net of refunds: revenue, or the `margin` that is left of it.

    `margin` is the share of revenue that is margin (``"0.30"``: 30 %); each customer's is rounded half up to the
    currency's decimals (2, for rows). Purchases, refunds and guests are as in `purchases`. An amount that is not known
    is refused: it would count as nothing.

    >>> from datetime import UTC
    >>> march = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    >>> rows = [("ann", march[0], "30.00"), ("bo", march[0], "80.00"), ("ann", march[1], "25.50")]
    >>> print(historic_value(rows, march[2], margin="0.30"))
    customer  orders  revenue  value
    bo             1  80.00    24.00
    ann            2  55.50    16.65
    values are margin; 40.65 in all
    """
    margin_of(margin)
    places = places_for(base)
    bought: dict[str, list[Decimal]] = {}
    for purchase in purchases(base, at):
        if purchase.amount is None:
            raise InputError("base", purchase.customer, "an amount is not known; give the amount of every purchase")
        bought.setdefault(purchase.customer, []).append(purchase.amount)
    found = []
    for customer, amounts in bought.items():
        revenue = total(amounts)
        value = margin_on(revenue, margin, places)
        found.append(HistoricValue(customer, len(amounts), revenue, value))
    found.sort(key=lambda each: (-each.value, each.customer))
    return HistoricValues(tuple(found), "revenue" if margin is None else "margin")


# ---------------------------------------------------------------- from now on


def residual_value(
    buying: BgNbd, spending: GammaGamma, x: int, t_x: float, T: float, mean: Any, *,
    steps: int, step: float = 1, discount: Any = 0, margin: Any = None,
) -> float:  # fmt: skip
    """Return what a customer is expected to bring in the next `steps` times `step`, discounted: without the past.

    ``margin x E[amount | x, mean] x sum of E[purchases in step k] / (1 + discount) ** k``. Times are in the unit that
    the models were fitted in, `discount` is the rate of one step, `margin` a share of revenue (None: revenue), and
    `mean` that of the `x` purchases after the first. The amount is money in whatever currency the model was fitted in;
    the result is a float, an estimate.

    Source: Fader, Hardie and Lee, "RFM and CLV" (2005), with purchases counted at the end of each step.

    >>> buying, spending = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426), GammaGamma(p=6.25, q=3.74, v=15.45)
    >>> round(residual_value(buying, spending, 2, 30.43, 38.86, "22.35", steps=52), 2)
    38.45
    """
    ahead = buying.discounted(x, t_x, T, steps=steps, step=step, discount=discount)
    return float(margin_of(margin)) * ahead * spending.expected_of(x, mean)


@attrs.frozen
class LifetimeValue:
    """What one customer brought, is expected to bring, and both together.

    `alive` is the probability that the customer has not left, `purchases` the expected number of purchases, discounted.
    """

    customer: str
    historic: Decimal
    predicted: Decimal
    total: Decimal
    alive: float
    purchases: float


@attrs.frozen
class LifetimeValues(Listing[LifetimeValue]):
    """What each customer is worth, the one who is expected to bring the most first."""

    customers: tuple[LifetimeValue, ...]
    of: Of

    columns = ("customer", "historic", "predicted", "total", "alive", "purchases")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a customer."""
        return tuple(attrs.astuple(each) for each in self.customers)

    def _values(self) -> tuple[LifetimeValue, ...]:
        return self.customers

    def _shown(self, count: int) -> tuple[tuple[str, ...], list[list[Any]]]:
        return self.columns, [[*row[:4], f"{row[4]:.3f}", f"{row[5]:.3f}"] for row in self.rows[:count]]

    def _note(self) -> str:
        return f"values are {self.of}; predicted values are estimates"


def lifetime_values(
    base: Base, at: datetime, buying: BgNbd, spending: GammaGamma, *, steps: int, step: float = 1, discount: Any = 0,
    margin: Any = None, unit: int = 7, zone: str | None = None,
) -> LifetimeValues:  # fmt: skip
    """Return what each customer brought and is expected to bring in the next `steps` times `step`.

    `unit` is the unit of the models' time in days (7: they were fitted in weeks); days are those of `zone`. See
    `historic_value` and `residual_value`; predicted values are rounded to the currency's decimals.

    >>> from datetime import UTC
    >>> def on(month, day): return datetime(2026, month, day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5), 20), ("ann", on(2, 2), 30), ("bo", on(1, 5), 20)]
    >>> buying, spending = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426), GammaGamma(p=6.25, q=3.74, v=15.45)
    >>> print(lifetime_values(rows, on(3, 2), buying, spending, steps=52, zone="UTC"))
    customer  historic  predicted  total   alive  purchases
    ann       50        65.95      115.95  0.654  2.087
    bo        20        24.74      44.74   1.000  0.702
    values are revenue; predicted values are estimates
    """
    past = {each.customer: each.value for each in historic_value(base, at, margin=margin)}
    summaries = rfm_summary(base, at, zone=zone).in_units_of(unit)
    known = ((past[customer], customer, *numbers) for customer, *numbers in summaries)
    return valued(
        known, buying, spending, steps=steps, step=step, discount=discount, margin=margin, places=places_for(base)
    )


def valued(
    customers: Iterable[tuple[Any, ...]], buying: BgNbd, spending: GammaGamma, *, steps: int, step: float,
    discount: Any, margin: Any, places: int,
) -> LifetimeValues:  # fmt: skip
    """Return what customers are worth, from what each brought so far, the customer, x, t_x, T and mean spend.

    Customers who are alike are worked out once.
    """
    share = float(margin_of(margin))
    known: dict[tuple[int, float, float], float] = {}
    found = []
    for historic, customer, x, t_x, age, mean in customers:
        key = (x, t_x, age)
        if key not in known:
            known[key] = buying.discounted(x, t_x, age, steps=steps, step=step, discount=discount)
        predicted = Decimal(f"{known[key] * spending.expected_of(x, mean) * share:.{places}f}")
        both = total((historic, predicted))
        found.append(LifetimeValue(customer, historic, predicted, both, buying.alive(x, t_x, age), known[key]))
    found.sort(key=lambda each: (-each.predicted, each.customer))
    return LifetimeValues(tuple(found), "revenue" if margin is None else "margin")
