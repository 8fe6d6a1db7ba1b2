"""Purchases to ask about retention, cohorts and RFM: few customers, many days, near the edges of months and clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

CUSTOMERS = ["ann", "bo", "cy", "di", "ed"]
# Ends of months and years in UTC and elsewhere, and days on which clocks are changed.
_EDGES = [datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 31, tzinfo=UTC),
          datetime(2024, 4, 1, 4, tzinfo=UTC), datetime(2024, 11, 3, 5, tzinfo=UTC)]  # fmt: skip
_START = datetime(2023, 11, 1, tzinfo=UTC)

ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"])
INSTANTS = st.one_of(
    st.builds(lambda edge, ticks: edge + timedelta(microseconds=ticks), st.sampled_from(_EDGES), st.integers(-1, 1)),
    st.builds(lambda hours: _START + timedelta(hours=hours), st.integers(0, 500 * 24)),
)
AMOUNTS = st.integers(0, 9999).map(lambda cents: Decimal(cents).scaleb(-2))
ROWS = st.lists(st.tuples(st.sampled_from(CUSTOMERS), INSTANTS, AMOUNTS), max_size=25)
UNITS = st.sampled_from(["day", "week", "month", "quarter", "half_year", "year"])


def on(*day: int, hour: int = 12) -> datetime:
    """Return noon, or another hour, in UTC, of a day of 2026 (month, day) or of any year (year, month, day)."""
    year, month, number = day if len(day) == 3 else (2026, *day)
    return datetime(year, month, number, hour, tzinfo=UTC)


def bought(**days: list[tuple[int, int]]) -> list[tuple[Any, ...]]:
    """Return a row for each customer and day of 2026, at noon in UTC."""
    return [(customer, on(*day)) for customer, listed in days.items() for day in listed]
