"""Cited numbers, each with its source, and what they would mean."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.retention.figures import (
    BENCHMARKS,
    Kind,
    acquisition_ratio,
    benchmark,
    benchmarks,
    cost_of_acquisition,
    profit_if_retention_rises,
)
from loyaltykit.retention.rates import DOING_WELL

MONEY = st.integers(0, 10**9).map(lambda cents: Decimal(f"{cents}E-2"))


class TestRegister:
    @pytest.mark.parametrize(
        ("name", "low", "high", "value"),
        [
            ("profit_25", 25, 25, "25 %"),
            ("profit_25_to_95", 25, 95, "25 to 95 %"),
            ("doing_well", 35, None, "at least 35 %"),
            ("acquisition_5", 5, 5, "5 times"),
            ("acquisition_5_others", 5, 5, "5 times"),
            ("acquisition_7", 7, 7, "7 times"),
            ("acquisition_5_to_25", 5, 25, "5 to 25 times"),
            ("acquisition_dearer", None, None, ""),
            ("loyalty_cheaper", None, None, ""),
            ("loyal_spend_31", 31, 31, "31 %"),
            ("returning_spend_33", 33, 33, "about 33 %"),
            ("members_spend_12_to_18", 12, 18, "12 to 18 %"),
            ("prime_members", 1400, 1400, "1,400 USD a year"),
            ("prime_others", 600, 600, "600 USD a year"),
            ("loyal_try_new_50", 50, 50, "50 %"),
            ("returning_buy_50", 50, 50, "50 %"),
            ("regulars_try_new_6", 6, 6, "6 times"),
            ("word_of_mouth_5", 5, 5, "5 times"),
            ("extras_valued", None, None, ""),
            ("programme_buy_84", 84, 84, "84 %"),
            ("prime_size", 150_000_000, None, "more than 150,000,000 people"),
            ("shared_values_89", 89, 89, "89 %"),
            ("millennials_70", 70, 70, "nearly 70 %"),
            ("rewards_fun_28", 28, 28, "28 %"),
            ("rewards_gifts_45", 45, 45, "45 %"),
            ("rewards_personal_30", 30, 30, "nearly 30 %"),
            ("shipping_reason_1", 1, 1, "number 1"),
            ("shipping_28", 28, 28, "28 %"),
            ("mobile_30", 30, 30, "30 %"),
            ("cart_email_opened", Decimal("40.5"), Decimal("40.5"), "40.5 %"),
        ],
    )
    def test_as_cited(self, name: str, low: Any, high: Any, value: str) -> None:
        """Each number stands as it was cited: one number, a range, or a bound on one side."""
        found = benchmark(name)
        assert (low, high, value) == (found.low, found.high, found.value)

    def test_complete(self) -> None:
        """There are 30; each has a name of its own, says something, and says who says it."""
        assert 30 == len({each.name for each in BENCHMARKS}) == len(BENCHMARKS)
        assert all(each.statement and each.source and each.kind in get_args(Kind) for each in BENCHMARKS)

    def test_one_for_each_source(self) -> None:
        """Sources that disagree keep each its own entry: nothing is merged."""
        assert ["31 %", "about 33 %", "12 to 18 %"] == [each.value for each in benchmarks("spending")][:3]
        assert 2 == len({each.source for each in benchmarks("retention") if each.name.startswith("profit")})
        assert "Harvard" in benchmark("profit_25_to_95").source

    def test_doing_well(self) -> None:
        """The retention rate that is said to be good is the one that rates are held against."""
        assert DOING_WELL == Fraction(benchmark("doing_well").low or 0) / 100

    def test_says_itself(self) -> None:
        """A number reads as a phrase with its source."""
        text = "25 to 95 % more profit from 5 % more retention (Harvard, as cited by an article on customer retention)"
        assert text == str(benchmark("profit_25_to_95"))
        assert "loyalty is cheaper than attracting customers (an article on customer loyalty)" == str(
            benchmark("loyalty_cheaper")
        )

    def test_table(self) -> None:
        """A table is plain data, and all of it is shown."""
        table = benchmarks()
        assert BENCHMARKS == tuple(table)
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert len(BENCHMARKS) + 1 == len(str(table).splitlines())
        assert "Journal of Consumer Research" in table._repr_html_()


class TestWhatIf:
    def test_profit(self) -> None:
        """Of 100,000: 125,000 by one source, 125,000 to 195,000 by the other; both are returned, not merged."""
        answers = profit_if_retention_rises("100000")
        assert [(Decimal(125000), Decimal(125000)), (Decimal(125000), Decimal(195000))] == [
            (each.low, each.high) for each in answers
        ]
        assert ["profit_25", "profit_25_to_95"] == [each.benchmark.name for each in answers]

    @given(MONEY)
    def test_profit_exactly(self, profit: Decimal) -> None:
        """The limits are the profit and so many percent of it, exactly."""
        for each in profit_if_retention_rises(profit):
            for limit, percent in ((each.low, each.benchmark.low), (each.high, each.benchmark.high)):
                assert Fraction(limit) == Fraction(profit) * (100 + Fraction(percent or 0)) / 100

    def test_no_other_step(self) -> None:
        """Nothing is claimed of a rise of 10 %: the sources do not say how the effect grows."""
        with pytest.raises(InputError, match="5 % only") as caught:
            profit_if_retention_rises(100, by=10)
        assert "by" == caught.value.field

    def test_acquisition(self) -> None:
        """Where keeping a customer costs 10, winning one costs 50, 50, 70 or 50 to 250."""
        assert [(50, 50), (50, 50), (70, 70), (50, 250)] == [(each.low, each.high) for each in cost_of_acquisition(10)]

    def test_ratio(self) -> None:
        """A shop's own ratio is exact; where keeping costs nothing there is none."""
        assert Fraction(15, 2) == acquisition_ratio("90", "12")
        assert acquisition_ratio("90", 0) is None

    def test_table(self) -> None:
        """The answers are plain data, each with its source."""
        table = cost_of_acquisition(10)
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert "250" in str(table)
        assert "5 to 25 times" in str(table)
        assert "50 to 250 (an article on customer retention: 5 to 25 times)" == str(table.answers[-1])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: benchmark("profit"), "name"),
        (lambda: benchmarks("profit"), "kind"),  # type: ignore[arg-type]
        (lambda: profit_if_retention_rises(-1), "profit"),
        (lambda: profit_if_retention_rises(0.5), "profit"),
        (lambda: cost_of_acquisition(-1), "retention_cost"),
        (lambda: acquisition_ratio(-1, 1), "acquisition_cost"),
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
