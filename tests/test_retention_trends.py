"""Trends: the nearest line and what comes next on it; sales by period, and by channel."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st
from purchase_rows import INSTANTS, ROWS, UNITS, ZONES, on

from loyaltykit.amounts import rounded
from loyaltykit.calendar import days, next_start, start_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import histories
from loyaltykit.retention.rates import Rate, retention_by_period
from loyaltykit.retention.sales import (
    ChannelSales,
    ChannelTable,
    SalesTable,
    sales_by_channel,
    sales_by_period,
)
from loyaltykit.retention.trends import Trend, trend
from loyaltykit.windows import between

FRACTIONS = st.fractions(-1000, 1000, max_denominator=100)
VALUES = st.lists(FRACTIONS, min_size=2, max_size=10)

# ---------------------------------------------------------------- the line


@given(VALUES)
def test_no_other_line_is_nearer(values: list[Fraction]) -> None:
    """The line is the solution of the normal equations: moving or turning it a little makes the squares larger."""
    found = trend(values)

    def squares(intercept: Fraction, slope: Fraction) -> Fraction:
        return sum(((value - intercept - slope * x) ** 2 for x, value in enumerate(values)), Fraction(0))

    least = squares(found.intercept, found.slope)
    for step in (Fraction(1, 1000), Fraction(-1, 1000)):
        assert least < squares(found.intercept + step, found.slope)
        assert least < squares(found.intercept, found.slope + step)
    rest = [value - found.line(x) for x, value in enumerate(values)]
    assert 0 == sum(rest) == sum(x * left for x, left in enumerate(rest))


@given(FRACTIONS, FRACTIONS, st.integers(2, 10), st.integers(1, 5))
def test_a_straight_line_goes_on(start: Fraction, slope: Fraction, length: int, ahead: int) -> None:
    """Values on a line are met exactly, and so are those that come next."""
    found = trend([start + slope * x for x in range(length)], ahead)

    assert (start, slope) == (found.intercept, found.slope)
    assert tuple(rounded(start + slope * (length + x)) for x in range(ahead)) == found.forecasts
    assert tuple(rounded(start + slope * x) for x in range(length)) == found.fitted
    assert (1 if slope else None) == found.r_squared


@given(VALUES)
def test_r_squared_is_a_share(values: list[Fraction]) -> None:
    """It is what the squares about the line leave of those about the mean."""
    found = trend(values)
    mean = sum(values, Fraction(0)) / len(values)
    about_mean = sum(((value - mean) ** 2 for value in values), Fraction(0))
    about_line = sum(((value - found.line(x)) ** 2 for x, value in enumerate(values)), Fraction(0))

    assert (1 - about_line / about_mean if about_mean else None) == found.r_squared


def test_trends_by_hand() -> None:
    """100, 110, 120 go on with 130; what does not change stays; money is rounded once, half up, to the cent."""
    assert Decimal("130.00") == trend([100, 110, 120]).next
    assert (130, 140, 150) == trend([100, 110, 120], ahead=3).forecasts
    assert 120 == trend([120, 120, 120]).next
    found = trend(["10.00", "10.01", Decimal("10.01")])
    assert Fraction("10.00") + Fraction(1, 60) == found.line(3)
    assert (Decimal("10.02"), Decimal("10.02")) == (found.next, found.forecast(2))
    assert Decimal("0.13") == trend(["0.125", "0.125"]).next
    assert Decimal("-50.00") == trend([100, 50, 0]).next
    assert Decimal("12") == trend([10, "10.6", Fraction(56, 5)], places=0).next
    assert -50 == trend([50, 0]).forecast()
    assert trend([1, 2, 4]) == trend(value for value in (1, 2, 4))


def test_a_trend_does_not_depend_on_the_decimal_context() -> None:
    """Few digits in the caller's context change nothing, in trends as in rates."""
    values = ["123456.78", "123456.79", "123456.81"]
    expected = trend(values, 2).forecasts
    with decimal.localcontext(decimal.Context(prec=3)):
        assert expected == trend(values, 2).forecasts
        assert "12345678.91 %" == str(Rate(1234567891, 10_000))


def test_a_trend_reads_well() -> None:
    """It says what is next, how much it changes, how well that fits, and what it leaves out."""
    assert (
        "next 140.00, 150.00: 10.00 more each step, by the line through 4 values (r² 1.00; season is ignored)"
    ) == str(trend([100, 110, 120, 130], 2))
    assert "next −50.00: 50.00 less each step" in str(trend([100, 50, 0]))
    assert "next 5.00: no change, by the line through 2 values (season is ignored)" == str(trend([5, 5]))
    assert "<p>next" in trend([1, 2])._repr_html_()
    assert "Trend(values=(Fraction(1, 1), Fraction(2, 1)), ahead=1, places=2)" == repr(trend([1, 2]))


# ---------------------------------------------------------------- sales by period


@given(ROWS, INSTANTS, UNITS, ZONES)
def test_each_purchase_is_in_one_period(rows: list[Any], at: datetime, unit: Any, zone: str) -> None:
    """Orders, customers and sales of a period are those of the rows in it, without a hole between the periods."""
    rows = [row for row in rows if row[1] <= at]
    table = sales_by_period(rows, at, unit, zone=zone)

    for each in table:
        inside = [row for row in rows if each.period.start <= row[1] < each.period.end]
        assert (len(inside), len({row[0] for row in inside})) == (each.orders, each.customers)
        assert sum(row[2] for row in inside) == each.sales
        assert start_of(unit, each.period.start, zone) == each.period.start
        assert next_start(unit, each.period.start, zone) == each.period.end
    assert len(rows) == sum(each.orders for each in table)
    assert [each.period for each in table] == [each.period for each in retention_by_period(rows, at, unit, zone=zone)]


SOLD = [
    ("ann", on(1, 5), 100),
    ("bo", on(1, 20), 10),
    ("ann", on(2, 3), 110),
    ("ann", on(3, 9), 120),
    ("ann", on(4, 1), 5),
]


def test_the_period_in_progress_is_left_out_of_the_trend() -> None:
    """It is told, shown, and not a drop; whoever wants it takes it."""
    table = sales_by_period(SOLD, on(4, 2), zone="UTC")

    assert [False, False, False, True] == [each.partial for each in table]
    assert ("2026-01", 2, 2, Decimal("110.00")) == (table.rows[0][0], *table.rows[0][4:])
    assert (110, 110, 120) == table.trend().values
    assert (110, 120) == table.trend(last=2).values == table.trend(last=2, ahead=3).values
    assert (2, 1, 1, 1) == table.trend("orders", partial=True).values
    assert (2, 1, 1) == table.trend("customers").values
    assert "2026-04 (in progress)" in str(table)
    assert "<i>2026-04 (in progress)</i>" in table._repr_html_()
    assert "2026-01: 2 orders of 2 customers, 110.00" == str(table.periods[0])


def test_a_refund_lowers_the_sales_of_the_order_s_period() -> None:
    """What is given back in February was bought in January; an order of which nothing is left is none."""
    facts = [
        Order("1", "ann", on(1, 5), amount="40.00"), Refund("r1", "ann", "1", on(2, 9), amount="15.00"),
        Order("2", "ann", on(1, 6), amount="30.00"), Refund("r2", "ann", "2", on(2, 9)),
        Order("3", "bo", on(2, 1), amount="7.50"),
    ]  # fmt: skip
    table = sales_by_period(histories(facts), on(3, 1, hour=0))
    assert [(1, 1, "25.00"), (1, 1, "7.50")] == [(each.orders, each.customers, str(each.sales)) for each in table]
    before = sales_by_period(histories(facts), on(2, 8))
    assert Decimal("70.00") == before.periods[0].sales


def test_months_without_sales_are_there() -> None:
    """A month in which nobody bought is 0, no gap: the line sees it."""
    table = sales_by_period([("ann", on(1, 5), 90), ("ann", on(3, 5), 30)], on(4, 1, hour=0), zone="UTC")
    assert (90, 0, 30) == table.trend().values
    assert "0.00" == str(table.periods[1].sales)


def test_periods_of_one_s_own() -> None:
    """Boundaries are taken as they are, before and after what was sold; a line needs them to be alike."""
    months = [date(2026, month, 1) for month in (2, 3, 4)]
    assert (110, 120) == sales_by_period(SOLD, on(4, 2), months, zone="UTC").trend().values
    unlike = sales_by_period(SOLD, on(4, 2), [date(2026, 1, 1), date(2026, 2, 1), date(2026, 4, 1)], zone="UTC")
    with pytest.raises(InputError) as caught:
        unlike.trend()
    assert "by" == caught.value.field
    changes = [date(2026, month, 1) for month in (2, 3, 4)]  # in March the clocks change
    assert 2 == len(sales_by_period(SOLD, on(4, 2), changes, zone="Europe/Paris").trend().values)
    assert () == sales_by_period(SOLD, on(1, 6), months, zone="UTC").periods


def test_money_has_the_decimals_of_its_currency() -> None:
    """Yen have none, in the table and in the trend."""
    facts = [Order(f"{day}", "ann", on(1, day), amount=100 * day, currency="JPY") for day in (5, 6, 8)]
    table = sales_by_period(histories(facts, currency="JPY", zone="Asia/Tokyo"), on(1, 8, hour=15), "day")
    assert ["500", "600", "0", "800"] == [str(each.sales) for each in table]
    assert "550" == str(table.trend().next)


def test_nothing_sold() -> None:
    """Without purchases there is no period, and no trend."""
    table = sales_by_period([], on(1, 1), zone="UTC")
    assert SalesTable(()) == table
    assert "period  orders  customers  sales" == str(table)
    with pytest.raises(InputError) as caught:
        table.trend()
    assert "periods" == caught.value.field


# ---------------------------------------------------------------- sales by channel


def test_the_share_of_a_channel() -> None:
    """Mobile is 30 % of the money and half of the orders; channels together; one that sold nothing has 0."""
    rows = [
        ("ann", on(1, 5), 70, "1", "web"),
        ("bo", on(1, 8), "20.00", "2", "app"),
        ("bo", on(1, 9), 10, "3", "mobile"),
    ]
    table = sales_by_channel(rows, on(2, 1))

    assert "30 %" == str(table.share_of_sales("mobile", "app"))
    assert Rate(2, 3) == table.share_of_orders("mobile", "app")
    assert 0 == table.share_of_sales("store")
    assert 1 == table.share_of_sales("web", "app", "mobile")
    assert ["web", "app", "mobile"] == [each.channel for each in table]
    assert ("web", 1, Decimal("70.00"), 1 / 3, 0.7) == table.rows[0]
    assert "web: 1 orders, 70.00" == str(table.channels[0])
    for wrong in ((), (["mobile", "app"],)):
        with pytest.raises(InputError, match="name one or more"):
            table.share_of_sales(*wrong)
        with pytest.raises(InputError, match="name one or more"):
            table.share_of_orders(*wrong)
    assert "<td" in table._repr_html_()
    assert ["app"] == [
        each.channel for each in sales_by_channel(rows, on(2, 1), between(on(1, 6), on(1, 9)), zone="UTC")
    ]


def test_orders_without_a_channel_are_part_of_all() -> None:
    """They are listed as not known, and last among those alike."""
    table = sales_by_channel([("ann", on(1, 5), 10), ("bo", on(1, 6), 10, None, "web")], on(2, 1), days(90), zone="UTC")
    assert ["web", None] == [each.channel for each in table]
    assert "50 %" == str(table.share_of_sales("web")) == str(table.share_of_sales(None))
    assert "not known       1  10.00  50 %       50 %" in str(table)
    assert "not known: 1 orders, 10.00" == str(table.channels[1])


def test_no_sales_no_share() -> None:
    """A share of nothing is none; of orders that cost nothing there is one of the orders."""
    assert sales_by_channel([], on(1, 1)).share_of_orders("web") is None
    free = ChannelTable((ChannelSales("web", 1, 0),))  # type: ignore[arg-type]  # a number is taken as money
    assert free.share_of_sales("web") is None
    assert 1 == free.share_of_orders("web")


def test_what_is_given_back_was_bought_in_the_order_s_channel() -> None:
    """Facts and rows say the same, also where an order's channel is put right later, or money goes back elsewhere."""
    facts = [
        Order("1", "ann", on(1, 5), amount="40.00", channel="app"), Refund("r", "ann", "1", on(1, 9), amount="15.00"),
        Order("2", "ann", on(1, 6), amount="30.00", channel="app"),
        Order("2", "ann", on(1, 6), amount="30.00", channel="web", revision=2, revised_at=on(1, 8)),
    ]  # fmt: skip
    rows = [
        ("ann", on(1, 9), "-15.00", "1", "store"),
        ("ann", on(1, 5), 40, "1", "app"),
        ("ann", on(1, 6), 30, "2", "web"),
    ]
    found = sales_by_channel(histories(facts), on(2, 1))
    assert [("web", 1, 30), ("app", 1, 25)] == [(each.channel, each.orders, each.sales) for each in found]
    assert found == sales_by_channel(rows, on(2, 1))
    before = sales_by_channel(histories(facts), on(1, 7))
    assert [("app", 2, 70)] == [(each.channel, each.orders, each.sales) for each in before]


# ---------------------------------------------------------------- refused


def sold(*args: Any, **named: Any) -> Trend:
    """Return the trend of the table of sales."""
    return sales_by_period(SOLD, on(4, 2), zone="UTC").trend(*args, **named)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: trend([]), "values"),
        (lambda: trend([1]), "values"),
        (lambda: trend("12"), "values"),
        (lambda: trend({1, 2}), "values"),
        (lambda: trend({1: 2, 3: 4}), "values"),
        (lambda: trend(12), "values"),  # type: ignore[arg-type]
        (lambda: trend([1, None, 3]), "values[1]"),  # type: ignore[list-item]
        (lambda: trend([1, 2.5]), "values[1]"),  # type: ignore[list-item]
        (lambda: trend([True, 2]), "values[0]"),
        (lambda: trend([1, "x"]), "values[1]"),
        (lambda: trend([1, Decimal("NaN")]), "values[1]"),
        (lambda: trend([1, 2], 0), "ahead"),
        (lambda: trend([1, 2], True), "ahead"),
        (lambda: trend([1, 2], places=-1), "places"),
        (lambda: trend([1, 2]).forecast(0), "ahead"),
        (lambda: trend([1, 2]).line(-1), "place"),
        (lambda: sold("profit"), "of"),
        (lambda: sold(last=1), "last"),
        (lambda: sold(ahead=0), "ahead"),
        (lambda: sales_by_period([], on(1, 1)), "zone"),
        (lambda: sales_by_period([], on(1, 1), "decade", zone="UTC"), "by"),  # type: ignore[arg-type]
        (lambda: sales_by_period([], datetime(2026, 1, 1), zone="UTC"), "at"),
        (lambda: sales_by_period([("ann", on(1, 1))], on(1, 2), zone="UTC"), "base.amount"),
        (lambda: sales_by_channel([("ann", on(1, 1))], on(1, 2)), "base.amount"),
        (lambda: sales_by_channel([("ann", on(1, 1), 5, "1", 7)], on(1, 2)), "base[0].channel"),
        (lambda: sales_by_channel([], on(1, 2), days(5)), "zone"),
        (lambda: sales_by_channel([], datetime(2026, 1, 1, tzinfo=UTC), "ever"), "window"),  # type: ignore[arg-type]
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field


def test_a_gap_is_refused_with_the_way_out() -> None:
    """The error says what may be done about a missing value."""
    with pytest.raises(InputError) as caught:
        trend([100, None, 120])  # type: ignore[list-item]
    assert "give 0" in str(caught.value)
