"""Time a peer's RFM summary of a file of orders: ``python rfm.py lifetimes orders.parquet 2026-07-01 out.parquet 3``.

Runs in the peer's own environment; prints seconds and extra memory as JSON, and writes the summary for comparison.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd
from measuring import measured


def lifetimes(orders: pd.DataFrame, end: str) -> Any:
    """Return the summary as lifetimes makes it."""
    from lifetimes.utils import summary_data_from_transaction_data

    return summary_data_from_transaction_data(
        orders, "customer", "at", monetary_value_col="cents", observation_period_end=end
    ).reset_index()


def pymc_marketing(orders: pd.DataFrame, end: str) -> Any:
    """Return the summary as pymc-marketing makes it."""
    from pymc_marketing.clv.utils import rfm_summary

    return rfm_summary(
        orders, "customer", "at", monetary_value_col="cents", observation_period_end=end
    ).rename(columns={"customer_id": "customer"})  # fmt: skip


if __name__ == "__main__":
    peer, path, end, out, rounds = sys.argv[1:]
    orders = pd.read_parquet(path, columns=["customer", "at", "cents"])
    run = {"lifetimes": lifetimes, "pymc-marketing": pymc_marketing}[peer]
    run(orders.head(1000), end)  # what is loaded or compiled at the first call is not counted
    result, found = measured(lambda: run(orders, end), int(rounds))
    result[["customer", "frequency", "recency", "T"]].to_parquet(out)
    print(json.dumps(found))
