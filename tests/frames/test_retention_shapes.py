"""Retention over bases without amounts, without customers, moved to another engine; what is refused; local days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from loyaltykit import frames, orders, retention as pure
from loyaltykit.calendar import days, from_us, hours, local_date, to_us
from loyaltykit.errors import InputError
from loyaltykit.frames import retention
from loyaltykit.frames._retention_time import number, number_of, offsets, wall
from loyaltykit.windows import between, lifetime


def polars_base(**options: Any) -> frames.Base:
    """Return three purchases of ann and one of bo, at noon in UTC."""
    ats = [datetime(2026, 1, day, 12) for day in (5, 8, 8, 6)]
    columns = {"who": ["ann", "ann", "ann", "bo"], "at": ats, "cents": [2000, 500, 700, 900]}
    return frames.Base(pl.DataFrame(columns), customer="who", **options)


AT = datetime(2026, 1, 20, 12, tzinfo=UTC)


def test_without_amounts() -> None:
    """Without amounts there is no money in what comes back, and what is about money alone is refused."""
    base = polars_base()
    assert ["who", "frequency", "recency", "T"] == retention.rfm_summary(base, AT).columns
    assert ["who", "days_since_last", "orders"] == retention.rfm(base, AT).columns
    assert [("ann", 3, 4), ("bo", 1, 2)] == retention.rfm_scores(base, AT, k=4, f=[1, 2, 3]).sort("who").rows()
    money = (retention.sales_by_period, retention.sales_by_channel)
    for call in (retention.buying, retention.historic_value, retention.spending_counts, *money):
        with pytest.raises(InputError) as caught:
            call(base, AT)
        assert caught.value.field == "base.amount"


def test_nobody() -> None:
    """Before the first purchase everything is empty, as in the pure functions."""
    base, early = polars_base(amount="cents"), datetime(2025, 1, 1, tzinfo=UTC)
    assert pure.cohorts((), early, zone="UTC") == retention.cohorts(base, early)
    assert pure.retention_by_period((), early, zone="UTC") == retention.retention_by_period(base, early)
    assert pure.buying((), early) == retention.buying(base, early)
    assert pure.sales_by_period((), early, zone="UTC") == retention.sales_by_period(base, early)
    assert retention.repeat_purchase_rate(base, early) is None
    assert () == retention.gap_counts(base, early) == retention.won_back(base, early)
    for frame in (
        retention.rfm_summary(base, early),
        retention.rfm_segments(base, early),
        retention.overdue(base, early),
    ):
        assert 0 == len(frame)


def test_members_by_their_column() -> None:
    """Who joined when may be a column of the customers; without it, it has to be said."""
    joined = [datetime(2026, 1, 7), None]
    named = frames.Customers(pl.DataFrame({"customer": ["ann", "bo"], "on": joined}), joined="on")
    window = between(datetime(2026, 1, 1, tzinfo=UTC), AT)
    found = retention.member_against_nonmember(polars_base(amount="cents", customers=named), AT, None, window)
    assert (1, Decimal("12.00"), 2, Decimal("29.00")) == (
        found.members.customers, found.members.spend, found.others.customers, found.others.spend,
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        retention.member_against_nonmember(polars_base(amount="cents"), AT, None, window)
    assert caught.value.field == "joined"


def test_a_moved_frame_comes_back() -> None:
    """A frame of pandas that is moved through another engine comes back as one of pandas, with the same rows."""
    ats = [datetime(2026, 1, day, 12) for day in (5, 8, 8, 6)]
    frame = pd.DataFrame({"who": ["ann", "ann", "ann", "bo"], "at": ats}, index=[9, 8, 7, 6])
    for engine in ("polars", "duckdb"):
        found = retention.rfm_summary(frames.Base(frame, customer="who", engine=engine), AT)
        assert [("ann", 1, 3, 15), ("bo", 0, 0, 14)] == sorted(found.itertuples(index=False, name=None))


def test_a_day_that_was_skipped() -> None:
    """In Samoa 29 December 2011 was followed by the 31st: the day before the last is the one before it."""
    rows = [("ann", datetime(2011, 12, day, 9, 30, tzinfo=UTC)) for day in (29, 30, 31)]  # the 28th, 29th and 31st
    columns = {"customer": ["ann"] * 3, "at": [at.replace(tzinfo=None) for _, at in rows]}
    base, at = frames.Base(pl.DataFrame(columns), zone="Pacific/Apia"), datetime(2012, 1, 2, tzinfo=UTC)
    expected = pure.cohorts(rows, at, "day", zone="Pacific/Apia")
    assert (1, 1, 1) == expected.cohorts[0].active[:3]
    assert expected == retention.cohorts(base, at, "day")
    days_of = pure.retention_by_period(rows, at, "day", zone="Pacific/Apia")
    assert days_of == retention.retention_by_period(base, at, "day")


def test_a_time_that_is_over_just_now() -> None:
    """Who bought 20 hours ago, to the microsecond, has had the time; a microsecond earlier, not yet."""
    over = datetime(2026, 1, 6, 8, tzinfo=UTC)
    assert "0 %" == str(retention.repeat_rate_within(polars_base(), over, hours(20)))
    assert retention.repeat_rate_within(polars_base(), over - timedelta(microseconds=1), hours(20)) is None


BAD: list[tuple[str, Callable[[frames.Base], Any]]] = [
    ("by", lambda base: retention.cohorts(base, AT, [date(2026, 1, 1), date(2026, 2, 1)])),  # type: ignore[arg-type]
    ("by", lambda base: retention.cohorts(base, AT, "fortnight")),  # type: ignore[arg-type]
    ("at", lambda base: retention.cohorts(base, datetime(2026, 1, 1))),
    ("window.period", lambda base: retention.retention_by_period(base, AT, active="alive", alive_for=days(0))),
    ("active", lambda base: retention.retention_by_period(base, AT, active="dead")),  # type: ignore[arg-type]
    ("by", lambda base: retention.sales_by_period(base, AT, "fortnight")),  # type: ignore[arg-type]
    ("by", lambda base: retention.sales_by_period(base, AT, 5)),  # type: ignore[arg-type]
    ("by", lambda base: retention.retention_by_period(base, AT, 5)),  # type: ignore[arg-type]
    ("base.channel", lambda base: retention.sales_by_channel(base, AT)),
    ("window", lambda base: retention.sales_by_channel(base, AT, "ever")),  # type: ignore[arg-type]
    ("counting", lambda base: retention.repeat_purchase_rate(base, AT, counting="weeks")),  # type: ignore[arg-type]
    ("window", lambda base: retention.rfm(base, AT, "ever")),  # type: ignore[arg-type]
    ("k", lambda base: retention.rfm_scores(base, AT, k=0)),
    ("cuts[1]", lambda base: retention.rfm_scores(base, AT, r=[3, 3])),
    ("cuts[0]", lambda base: retention.rfm_scores(base, AT, m=[Decimal("0.0000001")])),
    ("names", lambda base: retention.rfm_segments(base, AT, names={(1, 1): "all"})),
    ("lost", lambda base: retention.overdue(base, AT, lost=1)),
    ("lost", lambda base: retention.overdue(base, AT, lost="3.1415926")),
    ("lost", lambda base: retention.won_back(base, AT, lost="3.1415926")),
    ("without", lambda base: retention.overdue(base, AT, without="ann")),
    ("margin", lambda base: retention.historic_value(base, AT, margin="0.123456")),
    ("unit", lambda base: retention.buying_counts(base, AT, 0)),
    ("joined", lambda base: retention.member_against_nonmember(base, AT, ["ann"], days(9))),  # type: ignore[arg-type]
    ("window", lambda base: retention.member_against_nonmember(base, AT, {}, lifetime())),
    ("used", lambda base: retention.perk_lift("gift", base, AT, used=True, result=orders())),  # type: ignore[arg-type]
    ("result", lambda base: retention.perk_lift("gift", base, AT, used=orders() >= 1, result=7)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("field", "call"), BAD, ids=[f"{place}-{field}" for place, (field, _) in enumerate(BAD)])
def test_bad_input_is_named(field: str, call: Callable[[frames.Base], Any]) -> None:
    """What cannot be answered is refused, with the name of the argument."""
    with pytest.raises(InputError) as caught:
        call(polars_base(amount="cents"))
    assert field == caught.value.field


@pytest.mark.parametrize("cents", [-500, -2000])
def test_what_takes_back_names_the_channel_too(cents: int) -> None:
    """A row that takes back under another channel than its order's would be lost, so it is refused."""
    columns = {"at": [datetime(2026, 1, 5)] * 2, "order": ["1", "1"], "customer": ["ann"] * 2, "cents": [2000, cents]}

    def table(*channels: str | None) -> Any:
        rows = pl.DataFrame({**columns, "device": channels})
        return retention.sales_by_channel(
            frames.Base(rows, amount="cents", order="order", known="at", channel="device"), AT
        )

    left = [] if cents == -2000 else [("app", Decimal("15.00"))]
    assert left == [(each.channel, each.sales) for each in table("app", "app")]
    for other in (None, "web"):
        with pytest.raises(InputError, match="repeat its channel") as caught:
            table("app", other)
        assert "base.channel" == caught.value.field


def test_a_base_is_needed() -> None:
    """Plain rows, which the pure functions take, are refused with the way out."""
    with pytest.raises(InputError) as caught:
        retention.cohorts([("ann", AT)], AT)  # type: ignore[arg-type]
    assert caught.value.field == "base"
    assert "frames.Base" in str(caught.value)


# ---------------------------------------------------------------- local days

# In the last two, clocks fell back over midnight, and a day was skipped.
ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/St_Johns", "Pacific/Apia"]
INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2013, 1, 1))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["day", "week", "quarter"])
@settings(max_examples=10)
@given(st.lists(INSTANTS, max_size=20))
def test_local_days(zone: str, unit: Any, instants: list[datetime]) -> None:
    """The number of a local day, week or quarter is that of the local date, also where clocks fall back."""
    first, *changes = offsets(zone, *(to_us(datetime(year, 1, 1, tzinfo=UTC)) for year in (2010, 2013)))
    near = [change + ticks for change, _ in (first, *changes) for ticks in (-1, 0, 3_599_999_999)]
    every = [*instants, *(from_us(us).replace(tzinfo=None) for us in near)]
    span = tuple(to_us(each.replace(tzinfo=UTC)) for each in (min(every), max(every)))
    frame = nw.from_native(pl.DataFrame({"at": every}, schema={"at": pl.Datetime("us")}))
    found = frame.select(found=number(wall(nw.col("at"), zone, lambda: span), unit))["found"].to_list()
    assert [number_of(local_date(each.replace(tzinfo=UTC), zone), unit) for each in every] == found
