"""Points on the books: allocation of the price, revenue as points are redeemed, changed estimates, the reserve."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.liability import Deferral, defer, reserve, revenue_by_period, revenue_to_date

CENTS = st.integers(0, 10**9).map(lambda cents: Decimal(f"{cents}E-2"))
SHARES = st.integers(0, 100).map(lambda percent: Decimal(f"{percent}E-2"))
DEFERRALS = st.builds(defer, CENTS, st.integers(0, 10**6), CENTS, SHARES, goods=CENTS)
STEPS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 5000)).map(lambda pair: tuple(sorted(pair))), max_size=8
)


class TestAllocation:
    @given(DEFERRALS)
    def test_parts_sum(self, sale: Deferral) -> None:
        """What is recognised for the goods and what is deferred for the points sum to the price, none negative."""
        assert sale.price == sale.recognised + sale.deferred
        assert 0 <= sale.deferred <= sale.price

    @given(DEFERRALS)
    def test_relative_prices(self, sale: Deferral) -> None:
        """The exact parts stand to each other as the stand-alone prices do."""
        assert sale.exact * Fraction(sale.goods) == (Fraction(sale.price) - sale.exact) * sale.stand_alone

    def test_example(self) -> None:
        """2,000.00 with 2,000 points worth 0.10 of which 85 % are expected: 156.68 is deferred (170 of 2,170)."""
        sale = defer("2000.00", points=2000, worth="0.10", expected="0.85")
        assert Fraction(170) == sale.stand_alone
        assert (Decimal("156.68"), Decimal("1843.32")) == (sale.deferred, sale.recognised)
        assert 1700 == sale.expected_points

    def test_published_example(self) -> None:
        """IFRS 15, Example 52: of 100,000 with 10,000 points worth 1, 95 % expected, 8,676 are for the points."""
        sale = defer(100_000, points=10_000, worth=1, expected="0.95", places=0)
        assert (Decimal(8_676), Decimal(91_324)) == (sale.deferred, sale.recognised)

    def test_own_price_of_the_goods(self) -> None:
        """Goods sold below what they sell for by themselves take part with that price: 90 of 100 + 25 gives 18."""
        assert Decimal("18.00") == defer(90, points=250, worth="0.10", goods=100).deferred

    def test_nothing_to_divide(self) -> None:
        """No points, points that nobody will redeem, and a sale for nothing defer nothing."""
        assert [0, 0, 0] == [
            defer(10, points=0, worth=1).deferred,
            defer(10, points=100, worth=1, expected=0).deferred,
            defer(0, points=100, worth=0).deferred,
        ]

    def test_free_goods(self) -> None:
        """Where the goods have no price of their own, all of it is for the points."""
        assert Decimal("5.00") == defer(5, points=100, worth="0.05", goods=0).deferred

    def test_says_itself(self) -> None:
        """A deferral reads as one sentence."""
        text = "of 2,000.00, 1,843.32 is for the goods and 156.68 is deferred for 2,000 points"
        assert text == str(defer("2000.00", points=2000, worth="0.10", expected="0.85"))


class TestRevenue:
    def test_from_the_unrounded(self) -> None:
        """1,000 of 1,700 points of 156.682... are 92.17; worked out from the rounded 156.68 it would be 92.16."""
        sale = defer("2000.00", points=2000, worth="0.10", expected="0.85")
        assert Decimal("92.17") == revenue_to_date(sale, 1000, 1700)
        assert Decimal("92.16") == revenue_to_date("156.68", 1000, 1700)

    def test_published_example(self) -> None:
        """IFRS 15, Example 52: 4,110 in the first period, and 3,493 in the second, when 9,700 are expected."""
        sale = defer(100_000, points=10_000, worth=1, expected="0.95", places=0)
        table = revenue_by_period(sale, [(4500, 9500), (8500, 9700)])
        assert [4110, 3493] == [each.of_period for each in table]
        assert [4566, 1073] == [each.left for each in table]

    def test_given_allocation(self) -> None:
        """9,000 allocated, 4,500 of 9,700 used: 4,175; then 8,500 of 9,900: 3,552 more."""
        table = revenue_by_period(9000, [(4500, 9700), (8500, 9900)], places=0)
        assert [4175, 3552] == [each.of_period for each in table]
        assert [0, -84] == [each.catch_up for each in table]

    @given(st.one_of(CENTS, DEFERRALS), STEPS)
    def test_periods_sum_to_the_whole(self, allocated: Any, steps: Any) -> None:
        """The periods' revenue sums to the revenue to date, and with what is left to what was allocated."""
        table = revenue_by_period(allocated, steps)
        whole = allocated.deferred if isinstance(allocated, Deferral) else allocated
        reached = Decimal(0)
        for each in table:
            reached += each.of_period
            assert reached == each.to_date == revenue_to_date(allocated, each.redeemed, each.expected)
            assert whole == each.to_date + each.left
            assert each.left >= 0

    @given(CENTS, st.integers(1, 1000), st.integers(1, 1000))
    def test_catch_up_is_of_the_estimate(self, allocated: Decimal, redeemed: int, more: int) -> None:
        """Where only the estimate changes, all of the period's revenue is catch-up; where it does not, none is."""
        expected = redeemed + 500
        same = revenue_by_period(allocated, [(redeemed, expected), (redeemed + 1, expected)])
        other = revenue_by_period(allocated, [(redeemed, expected), (redeemed, expected + more)])
        assert 0 == same.periods[1].catch_up
        assert other.periods[1].of_period == other.periods[1].catch_up <= 0

    @given(CENTS, st.integers(0, 1000), st.integers(0, 1000))
    def test_nothing_more_expected(self, allocated: Decimal, redeemed: int, more: int) -> None:
        """Once nothing more is expected, as when the rest has expired, all of it is revenue; never more than all."""
        assert allocated == revenue_to_date(allocated, redeemed, redeemed)
        assert allocated >= revenue_to_date(allocated, redeemed, redeemed + more)

    def test_restored_points(self) -> None:
        """Points given back make the revenue of a period negative; it is no catch-up."""
        table = revenue_by_period(100, [(50, 100), (40, 100)])
        assert [(Decimal("50.00"), 0), (Decimal("-10.00"), 0)] == [(each.of_period, each.catch_up) for each in table]

    def test_estimate_below_what_was_redeemed(self) -> None:
        """More cannot have been redeemed than is expected in total."""
        with pytest.raises(InputError, match="raise the estimate") as caught:
            revenue_to_date(100, 51, 50)
        assert "expected" == caught.value.field

    def test_table(self) -> None:
        """A table is plain data, and reads well in a terminal and in a notebook."""
        table = revenue_by_period(9000, [(4500, 9700)], places=0)
        assert ((1, 4500, 9700, 4175, 4175, 0, 4825),) == table.rows
        assert len(table.columns) == len(table.rows[0])
        assert "4,825" in str(table)
        assert "<td" in table._repr_html_()
        assert 1 == len(table)


class TestReserve:
    def test_example(self) -> None:
        """120,000 points worth 0.01 of which 85 % will be redeemed: 1,020.00."""
        assert Decimal("1020.00") == reserve(120_000, worth="0.01", expected="0.85")

    @pytest.mark.parametrize(("points", "cents"), [(1, "0.01"), (49, "0.25"), (0, "0.00")])
    def test_rounds_half_up(self, points: int, cents: str) -> None:
        """Half a cent is rounded up, once."""
        assert Decimal(cents) == reserve(points, worth="0.005")

    @given(st.integers(0, 10**9), CENTS, SHARES)
    def test_less_breakage(self, points: int, worth: Decimal, expected: Decimal) -> None:
        """The reserve is what all points are worth less breakage, to the cent."""
        exactly = points * Fraction(worth) * Fraction(expected)
        assert abs(Fraction(reserve(points, worth, expected)) - exactly) <= Fraction(1, 200)

    def test_any_decimal_context(self) -> None:
        """An application's own decimal context changes no cent."""
        with decimal.localcontext(decimal.Context(prec=3)):
            assert Decimal("12345678.90") == reserve(1234567890, worth="0.01")
            assert Decimal("1843.32") == defer("2000.00", points=2000, worth="0.10", expected="0.85").recognised


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: defer(-1, 1, 1), "deferral.price"),
        (lambda: defer(1.5, 1, 1), "deferral.price"),
        (lambda: defer(1, -1, 1), "deferral.points"),
        (lambda: defer(1, 1, "-0.1"), "deferral.worth"),
        (lambda: defer(1, 1, 1, goods=-1), "deferral.goods"),
        (lambda: defer(1, 1, 1, expected=85), "expected"),
        (lambda: defer(1, 1, 1, places=5), "places"),
        (lambda: reserve(1, 1, "1.01"), "expected"),
        (lambda: reserve(True, 1), "points"),
        (lambda: reserve(1, 0.1), "worth"),
        (lambda: revenue_to_date(-1, 0, 0), "allocated"),
        (lambda: revenue_to_date(1, -1, 0), "redeemed"),
        (lambda: revenue_by_period(1, [3]), "periods[0]"),  # type: ignore[list-item]
        (lambda: revenue_by_period(1, [(1, 2), (1, 2, 3)]), "periods[1]"),
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
