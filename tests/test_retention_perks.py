"""Which perks work: rates and means of those who used one against the others, how sure, and ranked."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.facts import Order
from loyaltykit.habits import used_code
from loyaltykit.history import histories
from loyaltykit.measures import days_since_last, orders, spend
from loyaltykit.retention.intervals import Sample, newcombe, sample, student, welch, wilson
from loyaltykit.retention.perks import mean_lift, perk_lift, rank_perks, rate_lift, redemption_rate
from loyaltykit.retention.rates import Rate

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
GROUPS = st.integers(0, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
NUMBERS = st.lists(st.integers(-1000, 1000), max_size=12)
SLEEP = (
    [Decimal(each) for each in ("0.7", "-1.6", "-0.2", "-1.2", "-0.1", "3.4", "3.7", "0.8", "0.0", "2.0")],
    [Decimal(each) for each in ("1.9", "0.8", "1.1", "0.1", "-0.1", "4.4", "5.5", "1.6", "4.6", "3.4")],
)  # Student's data of 1908: hours of sleep gained with two drugs


class TestIntervals:
    @pytest.mark.parametrize(
        ("hits", "of", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_wilson_published(self, hits: int, of: int, low: float, high: float) -> None:
        """The limits of a rate are those in Newcombe's first paper of 1998."""
        assert (low, high) == pytest.approx(wilson(hits, of), abs=0.00005)

    @pytest.mark.parametrize(
        ("first", "second", "low", "high"),
        [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ],
    )
    def test_newcombe_published(self, first: Any, second: Any, low: float, high: float) -> None:
        """The limits of a difference are those in Newcombe's second paper of 1998, also for the smallest numbers."""
        assert (low, high) == pytest.approx(newcombe(*first, *second), abs=0.00005)

    def test_welch_published(self) -> None:
        """The limits of Student's sleep data are -3.3654832 and 0.2054832, as every statistics package has them."""
        found = welch(sample(SLEEP[0]), sample(SLEEP[1]))
        assert (-3.3654832, 0.2054832) == pytest.approx(found, abs=1e-7)

    @pytest.mark.parametrize(
        ("level", "freedom", "t"),
        [("0.95", 1, 12.7062), ("0.95", 10, 2.2281), ("0.99", 30, 2.7500), ("0.9", 2, 2.9200), ("0.95", 1e6, 1.9600)],
    )
    def test_student(self, level: str, freedom: float, t: float) -> None:
        """Student's t is that of the printed tables, and the normal's for large samples."""
        assert t == pytest.approx(student(float(level), freedom), abs=0.00005)

    @given(st.floats(0.01, 0.999), st.floats(1, 1e5))
    def test_student_covers(self, level: float, freedom: float) -> None:
        """Between the two signs of t lies the probability asked for: by summing up the density."""
        t = student(level, freedom)
        scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi * freedom) / 2
        # with x = tan u the heavy tails do no harm
        end, steps = math.atan(t), 400

        def density(u: float) -> float:
            x = math.tan(u)
            return math.exp(scale - (freedom + 1) / 2 * math.log1p(x * x / freedom)) * (1 + x * x)

        inner = sum((4 if place % 2 else 2) * density(end * place / steps) for place in range(1, steps))
        area = 2 * (density(0) + inner + density(end)) * end / steps / 3
        assert level == pytest.approx(area, abs=1e-4)

    @given(GROUPS, GROUPS)
    def test_rates(self, first: Any, second: Any) -> None:
        """Limits hold what was seen and stay possible; exchanging the groups turns them round; more is asked, wider."""
        low, high = wilson(*first)
        assert 0 <= low <= (first[0] / first[1] if first[1] else low) <= high <= 1
        found, turned = newcombe(*first, *second), newcombe(*second, *first)
        assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low))
        assert -1 <= found.low <= found.high <= 1
        wide = newcombe(*first, *second, level="0.99")
        assert wide.low <= found.low <= found.high <= wide.high
        if first[1] and second[1]:
            assert found.low <= first[0] / first[1] - second[0] / second[1] <= found.high

    @given(NUMBERS, NUMBERS)
    def test_means(self, first: list[int], second: list[int]) -> None:
        """Limits hold the difference that was seen, evenly on both sides; of fewer than two nothing is known."""
        low, high = welch(sample(first), sample(second))
        if len(first) < 2 or len(second) < 2:
            assert (-math.inf, math.inf) == (low, high)
        else:
            difference = sum(first) / len(first) - sum(second) / len(second)
            assert difference == pytest.approx((low + high) / 2, abs=1e-6)
            assert low <= high

    @given(st.lists(st.integers(-1000, 1000), min_size=2))
    def test_sample(self, numbers: list[int]) -> None:
        """The variance is that of the definition, exactly."""
        mean = Fraction(sum(numbers), len(numbers))
        assert sum((each - mean) ** 2 for each in numbers) / (len(numbers) - 1) == sample(numbers).variance

    def test_no_spread(self) -> None:
        """Where nobody differs, the difference is certain."""
        assert (2, 2) == welch(sample([3, 3]), sample([1, 1]))


class TestRates:
    def test_redemption(self) -> None:
        """80 of 200 were redeemed: 40 %; of nothing issued there is no rate."""
        found = redemption_rate(issued=200, redeemed=80)
        assert found is not None
        assert Decimal("40.00") == found.percent
        assert redemption_rate(0, 0) is None

    def test_lift(self) -> None:
        """50 of 100 who used it came again, 30 of 100 others: a lift of 20 points, surely above 0."""
        found = rate_lift("free shipping", (50, 100), Rate(30, 100))
        assert (Fraction(1, 5), Decimal("20.00"), "higher") == (found.lift, found.points, found.verdict)
        assert newcombe(50, 100, 30, 100) == found.limits
        assert str(found) == (
            "free shipping: higher: 50.00 against 30.00, a lift of 20.00 points (between 6.42 and 32.58);"
            " 100 used it, 100 did not"
        )

    @pytest.mark.parametrize(
        ("used", "others", "verdict"),
        [
            ((50, 100), (30, 100), "higher"),
            ((30, 100), (50, 100), "lower"),
            ((33, 100), (30, 100), "unclear"),
            ((29, 29), (0, 1000), "too_few"),
            ((30, 30), (0, 1000), "higher"),
            ((900, 1000), (0, 29), "too_few"),
            ((0, 0), (30, 100), "too_few"),
        ],
    )
    def test_verdict(self, used: Any, others: Any, verdict: str) -> None:
        """A difference is called one where its limits leave 0 out, and where both groups are large enough."""
        assert verdict == rate_lift("perk", used, others).verdict

    def test_nobody(self) -> None:
        """Of nobody there is no rate and no lift, and it says so."""
        found = rate_lift("perk", (0, 0), (30, 100))
        assert (None, None, Fraction(3, 10)) == (found.lift, found.points, found.without)
        assert "perk: too few to say; 0 used it, 100 did not" == str(found)

    @given(GROUPS, GROUPS)
    def test_never_sure_of_nothing(self, used: Any, others: Any) -> None:
        """What is called higher is higher, and lower is lower; the groups exchanged say the opposite."""
        found, turned = rate_lift("perk", used, others), rate_lift("perk", others, used)
        opposite = {"higher": "lower", "lower": "higher"}
        assert opposite.get(found.verdict, found.verdict) == turned.verdict
        assert found.verdict != "higher" or (found.lift or 0) > 0
        assert found.verdict != "too_few" or min(used[1], others[1]) < 30


class TestMeans:
    def test_lift(self) -> None:
        """The means, their difference and its limits, of money or of numbers summed up elsewhere."""
        found = mean_lift("gift", SLEEP[0], Sample(10, "23.3", "90.37"), least=10)
        assert (Fraction("0.75"), Fraction("2.33"), Fraction("-1.58")) == (found.with_perk, found.without, found.lift)
        assert found.limits == welch(sample(SLEEP[0]), sample(SLEEP[1]))
        assert ("unclear", None) == (found.verdict, found.points)
        assert "gift: no clear difference: 0.75 against 2.33, a lift of −1.58 (between −3.37 and 0.21)" in str(found)

    def test_no_difference_at_all(self) -> None:
        """Where everybody spends the same there is no difference, however sure that is."""
        found = mean_lift("gift", [3] * 30, [3] * 30)
        assert ((0, 0), "unclear") == (found.limits, found.verdict)

    def test_too_few(self) -> None:
        """Two customers each are too few to say anything, and one is, whatever is asked for."""
        assert "too_few" == mean_lift("gift", ["99.00"] * 2, [1, 1]).verdict
        found = mean_lift("gift", ["99.00"], [1, 1], least=1)
        assert "too_few" == found.verdict
        assert "(between unknown and unknown)" in str(found)


class TestBase:
    FACTS = tuple(
        Order(f"{number}", f"m{number % 80}", AT, amount=10 + number % 7, codes=["HELLO"] * (number % 80 < 40))
        for number in range(80 + 25)
    )

    def test_condition(self) -> None:
        """Members who used a code against the others, by whether they bought twice: 25 of 40, and none of 40."""
        found = perk_lift("code", histories(self.FACTS), AT, used=used_code("HELLO"), result=orders() >= 2)
        assert rate_lift("code", (25, 40), (0, 40)) == found
        assert "higher" == found.verdict

    def test_measure(self) -> None:
        """By what they spent on average: the exact means."""
        base = histories(self.FACTS)
        found = perk_lift("code", base, AT, used=used_code("HELLO"), result=spend())
        spent = [spend().value(base[f"m{number}"], AT) for number in range(80)]
        assert mean_lift("code", spent[:40], spent[40:]) == found

    def test_measure_without_a_value(self) -> None:
        """What some members have no value of is no result to compare."""
        early = AT.replace(year=2025)
        with pytest.raises(InputError, match="no value"):
            perk_lift("code", histories(self.FACTS), early, used=used_code("HELLO"), result=days_since_last())


class TestRanking:
    LIFTS = (
        rate_lift("gift", (3, 4), (30, 100)),
        rate_lift("access", (33, 100), (30, 100)),
        rate_lift("shipping", (50, 100), (30, 100), redemption=Rate(80, 200)),
        rate_lift("nobody's", (0, 0), (30, 100)),
    )

    def test_order(self) -> None:
        """The largest lift first; those of which too few are known last, however large."""
        assert ["shipping", "access", "gift", "nobody's"] == [each.perk for each in rank_perks(self.LIFTS)]

    def test_any_order(self) -> None:
        """In whatever order they are given, the ranking is the same."""
        assert rank_perks(self.LIFTS) == rank_perks(self.LIFTS[::-1])

    def test_says_what_it_is_not(self) -> None:
        """A lift is no proof of a cause, unless chance decided; of many comparisons some look different anyway."""
        shown = str(rank_perks(self.LIFTS))
        assert "no proof that the perk is the cause" in shown
        assert "at a confidence of 95 %, 0.2 of 4 would look different by chance alone" in shown
        assert "no proof" not in str(rank_perks([rate_lift("gift", (50, 100), (30, 100), held_out=True)]))

    def test_table(self) -> None:
        """A table is plain data, and reads well in a terminal and in a notebook."""
        table = rank_perks(self.LIFTS)
        assert ("shipping", 100, 100, 0.5, 0.3, 0.2) == table.rows[0][:6]
        assert ("higher", False, 0.4) == table.rows[0][8:]
        assert (None, 0.3, None) == table.rows[-1][3:6]
        assert {len(table.columns)} == {len(row) for row in table.rows}
        assert "too few to say" in str(table)
        assert "<td" in table._repr_html_()
        assert 4 == len(table)
        assert 0 == len(rank_perks([]))
        assert "perk" in str(rank_perks([]))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: wilson(3, 2), "hits"),
        (lambda: wilson(1, 2, level=95), "level"),
        (lambda: newcombe(1, 2, -1, 2), "hits"),
        (lambda: sample([1.5]), "values"),  # type: ignore[list-item]
        (lambda: Sample(2, 10, 49), "sample.squares"),
        (lambda: Sample(0, 0, 1), "sample.squares"),
        (lambda: redemption_rate(10, 11), "redeemed"),
        (lambda: rate_lift("perk", (1, 2, 3), (1, 2)), "used"),
        (lambda: rate_lift("perk", (1, 2), (3, 2)), "others"),
        (lambda: rate_lift("", (1, 2), (1, 2)), "perk"),
        (lambda: rate_lift("perk", (1, 2), (1, 2), least=0), "least"),
        (lambda: mean_lift("perk", ["x"], [1]), "values"),
        (lambda: perk_lift("perk", [], AT, used=orders() >= 1, result=spend()), "base"),  # type: ignore[arg-type]
        (lambda: perk_lift("perk", {}, AT, used=orders(), result=spend()), "used"),  # type: ignore[arg-type]
        (lambda: perk_lift("perk", {}, AT, used=orders() >= 1, result=2), "result"),  # type: ignore[arg-type]
        (lambda: rank_perks(["gift"]), "lifts[0]"),  # type: ignore[list-item]
        (lambda: rank_perks([rate_lift("a", (1, 2), (1, 2)), mean_lift("b", [1], [2])]), "lifts[1]"),
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
