"""Retention over whole bases: the measures of `loyaltykit.retention`, on whatever engine holds the purchases.

Each function takes a `Base` and an instant, and gives what the pure function of the same name gives: the same values
where the result is small, and a frame of the caller's own kind (a lazy one stays lazy) where it has a row a customer.
An engine only counts and adds up whole numbers; what is worked out from them is worked out by the code of
`loyaltykit.retention`. Days and months are those of the base's zone, money that of its currency.
"""

from loyaltykit.frames._retention_buying import (
    buying,
    member_against_nonmember,
    repeat_purchase_rate,
    repeat_rate_within,
)
from loyaltykit.frames._retention_periods import cohorts, retention_by_period
from loyaltykit.frames._retention_perks import perk_lift
from loyaltykit.frames._retention_rfm import rfm, rfm_summary
from loyaltykit.frames._retention_rhythm import gap_counts, overdue, time_between_orders, won_back
from loyaltykit.frames._retention_sales import sales_by_channel, sales_by_period
from loyaltykit.frames._retention_scores import rfm_scores, rfm_segments
from loyaltykit.frames._retention_value import buying_counts, historic_value, lifetime_values, spending_counts

__all__ = [
    "buying",
    "buying_counts",
    "cohorts",
    "gap_counts",
    "historic_value",
    "lifetime_values",
    "member_against_nonmember",
    "overdue",
    "perk_lift",
    "repeat_purchase_rate",
    "repeat_rate_within",
    "retention_by_period",
    "rfm",
    "rfm_scores",
    "rfm_segments",
    "rfm_summary",
    "sales_by_channel",
    "sales_by_period",
    "spending_counts",
    "time_between_orders",
    "won_back",
]
