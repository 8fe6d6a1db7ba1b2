"""What the customers of whole bases brought, and what models say that they will bring."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.amounts import whole
from loyaltykit.errors import InputError
from loyaltykit.facts import ZERO
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import bought, counts_of, rows
from loyaltykit.frames._retention_rfm import recent, summary
from loyaltykit.retention.recency import mean_of
from loyaltykit.retention.value import margin_of, margin_on, valued


def historic_value(base: Base, at: datetime, *, margin: Any = None) -> Any:
    """Return what each customer brought up to an instant, as `loyaltykit.retention.historic_value` says.

    A frame of the kind that the base is made of: `orders`, and `revenue` and `value` in minor units (cents).

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 2, 2), datetime(2026, 1, 5)]
    >>> bought = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 3000, 2000]})
    >>> base = frames.Base(bought, amount="cents")
    >>> frames.retention.historic_value(base, datetime(2026, 3, 2, tzinfo=UTC), margin="0.30").sort("customer").rows()
    [('ann', 2, 5000, 1500), ('bo', 1, 2000, 600)]
    """
    share = margin_of(margin)
    if share.denominator > 10_000:
        raise InputError("margin", margin, "give a share with at most four decimals")
    found = bought(base, at).priced()
    revenue = nw.col("spent")
    size = (revenue.abs() * (2 * share.numerator) + share.denominator) // (2 * share.denominator)  # half up
    value = nw.when(revenue < 0).then(-size).otherwise(size)
    each = recent(found).with_columns(revenue=revenue, value=value)
    return found.native(each, "orders", "revenue", "value")


def buying_counts(
    base: Base, at: datetime, unit: int = 7
) -> tuple[tuple[int, float, float, int], ...]:  # fmt: skip
    """Return how many customers there are of each (x, t_x, T): what `loyaltykit.retention.fit_bg_nbd` is fitted to.

    Times are in units of so many days (7: weeks), as floats. Customers who are alike are one row, exactly, so that a
    million customers are fitted in pure Python as well.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 2, 2), datetime(2026, 1, 5)]
    >>> bought = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 3000, 2000]})
    >>> base = frames.Base(bought, amount="cents")
    >>> frames.retention.buying_counts(base, datetime(2026, 3, 2, tzinfo=UTC))
    ((0, 0.0, 8.0, 1), (1, 4.0, 8.0, 1))
    """
    days = whole(unit, "unit", 1)
    counts = counts_of(summary(bought(base, at)), "frequency", "recency", "T")
    return tuple((x, last / days, age / days, number) for (x, last, age), number in sorted(counts.items()))


def spending_counts(base: Base, at: datetime) -> tuple[tuple[int, Decimal, int], ...]:
    """Return how many customers there are of each (x, mean spend), for `fit_gamma_gamma`.

    Those who bought on one day only, and those whose repeat purchases came to nothing, are left out: the model is not
    about them.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> days = [datetime(2026, 1, 5), datetime(2026, 2, 2), datetime(2026, 1, 5)]
    >>> bought = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 3000, 2000]})
    >>> base = frames.Base(bought, amount="cents")
    >>> frames.retention.spending_counts(base, datetime(2026, 3, 2, tzinfo=UTC))
    ((1, Decimal('30.00'), 1),)
    """
    found = bought(base, at).priced()
    again = summary(found).filter(nw.col("frequency") > 0, nw.col("repeat_spend") > 0)
    counts = counts_of(again, "frequency", "repeat_spend")
    return tuple((x, mean_of(found.money(spent), x) or ZERO, number) for (x, spent), number in sorted(counts.items()))


def lifetime_values(
    base: Base, at: datetime, buying: pure.BgNbd, spending: pure.GammaGamma, *, steps: int, step: float = 1,
    discount: Any = 0, margin: Any = None, unit: int = 7,
) -> pure.LifetimeValues:  # fmt: skip
    """Return what each customer brought and is expected to bring, as `loyaltykit.retention.lifetime_values` says.

    The engine sums up a row a customer; the models are Python's, worked out once for customers who are alike. A table
    of values, as of the pure function: make a frame of its `rows` and `columns`.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames
    >>> from loyaltykit.retention import BgNbd, GammaGamma
    >>> days = [datetime(2026, 1, 5), datetime(2026, 2, 2), datetime(2026, 1, 5)]
    >>> bought = pl.DataFrame({"customer": ["ann", "ann", "bo"], "at": days, "cents": [2000, 3000, 2000]})
    >>> base = frames.Base(bought, amount="cents")
    >>> buying, spending = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426), GammaGamma(p=6.25, q=3.74, v=15.45)
    >>> print(frames.retention.lifetime_values(base, datetime(2026, 3, 2, tzinfo=UTC), buying, spending, steps=52))
    customer  historic  predicted  total   alive  purchases
    ann       50.00     65.95      115.95  0.654  2.087
    bo        20.00     24.74      44.74   1.000  0.702
    values are revenue; predicted values are estimates
    """
    days = whole(unit, "unit", 1)
    found = bought(base, at).priced()
    listed = rows(summary(found).select("customer", "spent", "frequency", "recency", "T", "repeat_spend"))
    known = (
        (
            margin_on(found.money(brought), margin, found.places),
            customer, x, last / days, age / days, float(mean_of(found.money(spent), x) or ZERO),
        )
        for customer, brought, x, last, age, spent in listed
    )  # fmt: skip
    return valued(
        known, buying, spending, steps=steps, step=step, discount=discount, margin=margin, places=found.places
    )
