"""What customers are worth: history, the BG/NBD and Gamma-Gamma models, and both together."""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.facts import Order, Refund
from loyaltykit.history import History
from loyaltykit.retention._fitting import beta_mean, minimum
from loyaltykit.retention.models import BgNbd, GammaGamma, fit_bg_nbd, fit_gamma_gamma
from loyaltykit.retention.value import historic_value, lifetime_values, residual_value

START = datetime(2024, 1, 1, 12, tzinfo=UTC)
AT = START + timedelta(days=300)
PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
SPENDING = GammaGamma(p=6.25, q=3.74, v=15.45)

SIZES = st.floats(0.05, 20)
MODELS = st.builds(BgNbd, SIZES, SIZES, SIZES, SIZES)
CUSTOMERS = st.one_of(
    st.tuples(st.just(0), st.just(0.0), st.floats(0, 100)),
    st.tuples(st.integers(1, 60), st.floats(0.1, 100), st.floats(0, 50)).map(
        lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
)

# ---------------------------------------------------------------- CDNOW

_LIFETIMES = find_spec("lifetimes")
needs_cdnow = pytest.mark.skipif(
    _LIFETIMES is None, reason="the CDNOW data are not there; they come with: pip install --no-deps lifetimes==0.11.3"
)


@cache
def cdnow() -> tuple[tuple[int, float, float, float], ...]:
    """Return x, t_x, T in weeks and the mean of the purchases after the first of 2,357 customers."""
    assert _LIFETIMES is not None
    assert _LIFETIMES.origin is not None
    path = Path(_LIFETIMES.origin).parent / "datasets" / "cdnow_customers_summary_with_transactions.csv"
    with path.open(newline="") as file:
        return tuple(
            (int(row["x"]), float(row["t_x"]), float(row["T"]), float(row["zbar"])) for row in csv.DictReader(file)
        )


@needs_cdnow
class TestPublished:
    def test_bg_nbd(self) -> None:
        """The fit to CDNOW is the published one: .243, 4.414, .793, 2.426, and a log-likelihood of -9582.4."""
        counts = Counter((x, t_x, T) for x, t_x, T, _ in cdnow())
        assert 1016 == len(counts)
        found = fit_bg_nbd([(*customer, number) for customer, number in counts.items()])
        assert (0.243, 4.414, 0.793, 2.426) == pytest.approx((found.r, found.alpha, found.a, found.b), abs=0.0005)
        assert -9582.4 == pytest.approx(found.log_likelihood, abs=0.05)
        assert 2357 == found.customers
        assert found == fit_bg_nbd([row[:3] for row in cdnow()])
        assert 1.226 == pytest.approx(found.expected_of(39, 2, 30.43, 38.86), abs=0.0005)

    def test_gamma_gamma(self) -> None:
        """The fit to the 946 who bought again is the published one: 6.25, 3.74, 15.45."""
        found = fit_gamma_gamma([(x, mean) for x, _, _, mean in cdnow()])
        assert (6.25, 3.74, 15.45) == pytest.approx((found.p, found.q, found.v), abs=0.005)
        assert 946 == found.customers

    def test_lifetime_value(self) -> None:
        """The first two customers and those who bought once are worth what the package lifetimes says of them."""
        buying = fit_bg_nbd([row[:3] for row in cdnow()])
        spending = fit_gamma_gamma([(x, mean) for x, _, _, mean in cdnow()])
        worth = [
            residual_value(buying, spending, *customer, steps=12, step=30, discount=0.01)
            for customer in [(2, 30.43, 38.86, 22.35), (1, 1.71, 38.86, 11.77), (0, 0, 38.86, 0)]
        ]
        assert (140.096211, 18.943467, 38.180574) == pytest.approx(worth, abs=0.001)

    def test_in_days(self) -> None:
        """Fitted in days instead of weeks, alpha is seven times as large and nothing else changes."""
        weeks = fit_bg_nbd([row[:3] for row in cdnow()])
        days = fit_bg_nbd([(x, 7 * t_x, 7 * T) for x, t_x, T, _ in cdnow()])
        assert (weeks.r, 7 * weeks.alpha, weeks.a, weeks.b) == pytest.approx(
            (days.r, days.alpha, days.a, days.b), rel=1e-6
        )
        assert days.log_likelihood == pytest.approx(
            days.log_likelihood_of([(x, 7 * t, 7 * T) for x, t, T, _ in cdnow()])
        )


# ---------------------------------------------------------------- buying


def simulated(model: BgNbd, customers: int, weeks: float, seed: int) -> list[tuple[int, float, float]]:
    """Return customers who behave as the model says."""
    source = random.Random(seed)
    found = []
    for _ in range(customers):
        rate, leaves = source.gammavariate(model.r, 1 / model.alpha), source.betavariate(model.a, model.b)
        x, last, now = 0, 0.0, 0.0
        while True:
            now += source.expovariate(rate) if rate > 0 else math.inf
            if now > weeks:
                break
            x, last = x + 1, now
            if source.random() < leaves:
                break
        found.append((x, last, weeks))
    return found


class TestBuying:
    def test_published_customer(self) -> None:
        """E[39 weeks | 2, 30.43, 38.86] is 1.226."""
        assert 1.226 == round(PUBLISHED.expected_of(39, 2, 30.43, 38.86), 3)

    def test_finds_what_made_the_data(self) -> None:
        """Fitted to customers made by a model, it fits at least as well as that model, and says what they will do."""
        truth = BgNbd(r=0.8, alpha=6, a=0.7, b=2.5)
        counts = simulated(truth, 3000, 52, seed=7)
        found = fit_bg_nbd(counts)
        assert found.log_likelihood is not None
        assert found.log_likelihood >= truth.log_likelihood_of(counts)
        assert sum(x for x, _, _ in counts) / 3000 == pytest.approx(found.expected(52), rel=0.02)
        assert truth.expected(52) == pytest.approx(found.expected(52), rel=0.1)
        assert (0.8, 6, 0.7, 2.5) == pytest.approx((found.r, found.alpha, found.a, found.b), rel=0.3)

    def test_no_better_nearby(self) -> None:
        """No parameter moved a little either way makes the data likelier; the customers' order is no matter."""
        counts = simulated(PUBLISHED, 800, 40, seed=11)
        found = fit_bg_nbd(counts)
        assert found == fit_bg_nbd(counts[::-1])
        best = found.log_likelihood_of(counts)
        for name in ("r", "alpha", "a", "b"):
            for factor in (0.97, 1.03):
                values = {each: getattr(found, each) for each in ("r", "alpha", "a", "b")}
                assert BgNbd(**{**values, name: values[name] * factor}).log_likelihood_of(counts) < best

    def test_likelihood_by_hand(self) -> None:
        """One who bought once has (alpha / (alpha + T)) ** r; one who bought again can have left at once, or not."""
        model = BgNbd(r=1, alpha=1, a=1, b=1)
        assert math.log(1 / 4) == pytest.approx(model.log_likelihood_of([(0, 0, 3)]))
        # rate ~ exp(1), p ~ uniform: E[1 - p] E[rate e^(-3 rate)] + E[p] E[rate e^(-rate)] = 1/2 x 1/16 + 1/2 x 1/4
        assert math.log(1 / 32 + 1 / 8) == pytest.approx(model.log_likelihood_of([(1, 1, 3)]))
        assert 2 * math.log(1 / 4) == pytest.approx(model.log_likelihood_of([(0, 0, 3, 2)]))

    @given(MODELS, CUSTOMERS, st.floats(0.01, 500))
    def test_two_ways(self, model: BgNbd, customer: Any, t: float) -> None:
        """The expectation, a hypergeometric series, is the integral over who the customer may be."""
        x, t_x, age = customer
        shape, ratio = model.r + x, t / (model.alpha + age)
        ahead = beta_mean(lambda p: -math.expm1(-shape * math.log1p(p * ratio)) / max(p, 1e-300), model.a, model.b + x)
        assert model.alive(x, t_x, age) * ahead == pytest.approx(model.expected_of(t, x, t_x, age), rel=1e-8)

    @given(MODELS, CUSTOMERS, st.floats(0.1, 100))
    def test_grows(self, model: BgNbd, customer: Any, t: float) -> None:
        """More is expected of a longer time, and no more than if nobody ever left; being alive is a probability."""
        x, t_x, age = customer
        assert 0 <= model.alive(x, t_x, age) <= 1
        near, far = model.expected_of(t, x, t_x, age), model.expected_of(2 * t, x, t_x, age)
        assert 0 <= near <= far * (1 + 1e-9)
        assert near <= (model.r + x) / (model.alpha + age) * t * (1 + 1e-9)

    @pytest.mark.parametrize("near", [1e-4, 1e-8, 1e-12])
    def test_at_one(self, near: float) -> None:
        """Where a is 1, the published form divides by nothing; the expectation goes through it smoothly."""
        exactly = BgNbd(0.3, 4, 1, 2.4).expected_of(39, 2, 30, 38)
        around = [BgNbd(0.3, 4, 1 + sign * near, 2.4).expected_of(39, 2, 30, 38) for sign in (-1, 1)]
        assert [exactly, exactly] == pytest.approx(around, rel=2 * near + 1e-11)

    def test_at_one_in_all(self) -> None:
        """Where a + b is 1, too."""
        exactly = BgNbd(0.3, 4, 0.4, 0.6).expected(39)
        assert exactly == pytest.approx(BgNbd(0.3, 4, 0.4, 0.6 + 1e-9).expected(39), rel=1e-7)
        assert exactly > 0

    @given(MODELS, st.floats(0.01, 1e6))
    def test_of_a_new_customer(self, model: BgNbd, t: float) -> None:
        """Of a new customer is expected what is expected of one who bought just now."""
        assert model.expected(t) == model.expected_of(t, 0, 0, 0)

    @given(MODELS, CUSTOMERS, st.integers(1, 20), st.floats(0.1, 10))
    def test_discounts(self, model: BgNbd, customer: Any, steps: int, step: float) -> None:
        """Without a discount the steps sum to the whole; with one they are worth less, one step exactly by the rate."""
        whole = model.expected_of(steps * step, *customer)
        assert whole == pytest.approx(model.discounted(*customer, steps=steps, step=step))
        assert model.discounted(*customer, steps=steps, step=step, discount="0.1") <= whole / 1.1 * (1 + 1e-9)
        assert model.discounted(*customer, steps=1, step=step, discount=1) == pytest.approx(
            model.expected_of(step, *customer) / 2
        )

    def test_long_gone(self) -> None:
        """A frequent buyer who has been away for ages has left; the one who bought once is always taken as alive."""
        assert 0 == PUBLISHED.alive(500, 1, 1000)
        assert 1 == PUBLISHED.alive(0, 0, 1000)

    @pytest.mark.parametrize(
        "counts",
        [
            [],
            [(0, 0, 10)] * 50,
            [(0, 0, 10), (0, 0, 11), (0, 0, 12), (0, 0, 13)],
            [(1, 5, 10)] * 100,
        ],
    )
    def test_too_little(self, counts: Any) -> None:
        """Of nobody who bought again, or of customers who are all alike, nothing can be fitted."""
        with pytest.raises(InputError, match="too little") as caught:
            fit_bg_nbd(counts)
        assert "counts" == caught.value.field

    def test_no_convergence(self) -> None:
        """Where nobody ever leaves, there is no rate of leaving to be found, and the error says so."""
        counts = [(x, 50.0 - 0.1 * x, 50.0, 20) for x in range(1, 12)]
        with pytest.raises(InputError, match="no convergence") as caught:
            fit_bg_nbd(counts)
        assert "counts" == caught.value.field


# ---------------------------------------------------------------- spending


class TestSpending:
    def simulated(self, customers: int) -> list[tuple[int, float]]:
        """Return the spending of customers who behave as the model says."""
        source = random.Random(3)
        found = []
        for _ in range(customers):
            rate, x = source.gammavariate(3.74, 1 / 15.45), source.randint(1, 5)
            found.append((x, sum(source.gammavariate(6.25, 1 / rate) for _ in range(x)) / x))
        return found

    def test_published_customers(self) -> None:
        """Of one who bought twice again for 22.35, 24.66 is expected; of one once for 11.77, 18.91; of others 35.17."""
        fitted = GammaGamma(p=6.2488, q=3.7446, v=15.4477)
        assert ["24.66", "18.91", "35.17"] == [
            f"{fitted.expected_of(x, mean):.2f}" for x, mean in [(2, 22.35), (1, "11.77"), (0, 0)]
        ]
        assert fitted.mean == fitted.expected_of(0, 0)

    @given(st.integers(0, 1000), st.floats(0.01, 1000))
    def test_between(self, x: int, mean: float) -> None:
        """What is expected lies between the customer's own mean and that of all, nearer to the own with more of it."""
        found, more = SPENDING.expected_of(x, mean), SPENDING.expected_of(x + 1, mean)
        low, high = sorted((mean, SPENDING.mean))
        assert low * (1 - 1e-12) <= found <= high * (1 + 1e-12)
        assert abs(more - mean) <= abs(found - mean) * (1 + 1e-9) + 1e-9

    def test_finds_what_made_the_data(self) -> None:
        """Fitted to spending made by a model, it fits at least as well as that model, and has its mean."""
        means = self.simulated(3000)
        found = fit_gamma_gamma(means)
        assert found.log_likelihood is not None
        assert found.log_likelihood == pytest.approx(found.log_likelihood_of(means))
        assert found.log_likelihood >= SPENDING.log_likelihood_of(means)
        assert SPENDING.mean == pytest.approx(found.mean, rel=0.05)

    def test_in_cents(self) -> None:
        """In cents instead of units, v is a hundred times as large and nothing else changes; zeros say nothing."""
        means = [(x, Decimal(f"{mean:.2f}")) for x, mean in self.simulated(300)]
        units, cents = fit_gamma_gamma(means), fit_gamma_gamma([(x, mean * 100, 1) for x, mean in means])
        assert (units.p, units.q, 100 * units.v) == pytest.approx((cents.p, cents.q, cents.v), rel=1e-5)
        assert units == fit_gamma_gamma([*means, (0, 0)])

    def test_no_mean(self) -> None:
        """Where amounts vary beyond measure there is no mean to expect, and the error says so."""
        with pytest.raises(InputError, match="vary so much") as caught:
            _ = GammaGamma(1, 0.9, 1).mean
        assert "q" == caught.value.field

    def test_too_little(self) -> None:
        """Of two customers nothing can be fitted, nor of any number who are all alike."""
        for means in ([(1, 5), (2, 6)], [(2, 5)] * 100):
            with pytest.raises(InputError, match="too little"):
                fit_gamma_gamma(means)
        with pytest.raises(InputError, match="no convergence"):
            fit_gamma_gamma([(1, 5), (2, 5), (3, 5), (4, 5)])


# ---------------------------------------------------------------- values


AMOUNTS = st.integers(0, 10**6).map(lambda cents: Decimal(f"{cents}E-2"))
ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 290).map(lambda days: START + timedelta(days)), AMOUNTS),
    max_size=25,
)


class TestHistoric:
    @given(ROWS)
    def test_sums(self, rows: Any) -> None:
        """The values sum to the total, of revenue exactly; a customer's is that of their purchases."""
        found = historic_value(rows, AT)
        assert sum((amount for _, _, amount in rows), Decimal(0)) == found.total
        assert {customer for customer, _, _ in rows} == {each.customer for each in found}
        assert sorted((each.value for each in found), reverse=True) == [each.value for each in found]
        for each in found:
            assert (
                each.value == each.revenue == sum(amount for customer, _, amount in rows if customer == each.customer)
            )

    @given(ROWS, st.integers(1, 100))
    def test_margin(self, rows: Any, percent: int) -> None:
        """A margin is that share of each customer's revenue, to the cent."""
        for each in historic_value(rows, AT, margin=Decimal(percent) / 100):
            assert abs(Fraction(each.value) - Fraction(each.revenue) * percent / 100) <= Fraction(1, 200)

    def test_net_of_refunds(self) -> None:
        """What came back was not brought; money has the decimals of the currency."""
        facts = [Order("1", "ann", START, amount=1000), Order("2", "ann", START, amount=505)]
        history = History([*facts, Refund("r", "ann", "1", START, amount=1000)], currency="JPY")
        found = historic_value({"ann": history}, AT, margin="0.50")
        assert [("ann", 1, Decimal(505), Decimal(253))] == list(found.rows)
        assert "margin" == found.of

    def test_unknown_amount(self) -> None:
        """An amount that is not known is refused: it would count as nothing."""
        with pytest.raises(InputError, match="not known"):
            historic_value([("ann", START)], AT)

    def test_long_table(self) -> None:
        """Of a long table the first 20 customers are printed, and how many more there are."""
        found = historic_value([(f"c{number:02}", START, 100 - number) for number in range(30)], AT)
        assert "c19" in str(found)
        assert "c20" not in str(found)
        assert "... and 10 more\nvalues are revenue; 2,565 in all" in str(found)
        assert "<p>... and 10 more</p>" in found._repr_html_()


class TestLifetime:
    def test_total(self) -> None:
        """Each customer's total is what they brought and what is expected of them, with the one unit of the model."""
        rows = [("ann", START, 20), ("ann", START + timedelta(days=213), "22.35"), ("bo", START, 10)]
        at = START + timedelta(days=272)
        found = {each.customer: each for each in lifetime_values(rows, at, PUBLISHED, SPENDING, steps=52, zone="UTC")}
        expected = residual_value(PUBLISHED, SPENDING, 1, 213 / 7, 272 / 7, 22.35, steps=52)
        ann = found["ann"]
        assert (Decimal("42.35"), Decimal(f"{expected:.2f}")) == (ann.historic, ann.predicted)
        assert ann.total == ann.historic + ann.predicted
        assert ann.alive == PUBLISHED.alive(1, 213 / 7, 272 / 7)
        assert 1 == found["bo"].alive
        assert found["bo"].purchases == pytest.approx(PUBLISHED.expected_of(52, 0, 0, 272 / 7))

    @given(ROWS)
    def test_margin(self, rows: Any) -> None:
        """A margin of one half halves what was brought and what is expected; the order is by the latter."""
        revenue = lifetime_values(rows, AT, PUBLISHED, SPENDING, steps=4, zone="UTC")
        half = {
            each.customer: each
            for each in lifetime_values(rows, AT, PUBLISHED, SPENDING, steps=4, margin="0.5", zone="UTC")
        }
        assert ("revenue", len(half)) == (revenue.of, len(revenue))
        assert sorted((each.predicted for each in revenue), reverse=True) == [each.predicted for each in revenue]
        for each in revenue:
            assert abs(each.historic / 2 - half[each.customer].historic) <= Decimal("0.005")
            assert abs(each.predicted / 2 - half[each.customer].predicted) <= Decimal("0.0075")

    def test_table(self) -> None:
        """A table is plain data, and reads well in a terminal and in a notebook."""
        found = lifetime_values([("ann", START, 20)], AT, PUBLISHED, SPENDING, steps=4, zone="UTC")
        assert "ann" == found.rows[0][0]
        assert len(found.columns) == len(found.rows[0])
        assert "predicted values are estimates" in str(found)


# ---------------------------------------------------------------- tools


class TestTools:
    @given(st.lists(st.floats(-5, 5), min_size=1, max_size=4))
    def test_minimum(self, place: list[float]) -> None:
        """The minimiser finds the bottom of a bowl, wherever it is."""
        found = minimum(
            lambda at: sum(k * (a - b) ** 2 for k, a, b in zip(range(1, 9), at, place, strict=False)),
            [0.0] * len(place),
        )
        assert place == pytest.approx(found, abs=1e-4)

    def test_valley(self) -> None:
        """It finds the end of Rosenbrock's curved valley."""
        found = minimum(lambda at: (1 - at[0]) ** 2 + 100 * (at[1] - at[0] ** 2) ** 2, (-1.2, 1.0))
        assert (1, 1) == pytest.approx(found, abs=1e-4)

    def test_no_bottom(self) -> None:
        """Where there is no bottom, it says so instead of searching for ever."""
        assert minimum(lambda at: -at[0], (0.0, 0.0)) is None

    @given(st.floats(0.01, 500), st.floats(0.01, 500))
    def test_beta(self, left: float, right: float) -> None:
        """The mean of 1, of p and of p squared are those of the beta distribution."""
        assume(left + right > 0.05)
        whole = left + right
        assert 1 == pytest.approx(beta_mean(lambda p: 1, left, right), rel=1e-8)
        assert left / whole == pytest.approx(beta_mean(lambda p: p, left, right), rel=1e-8)
        square = left * (left + 1) / whole / (whole + 1)
        assert square == pytest.approx(beta_mean(lambda p: p * p, left, right), rel=1e-8)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: BgNbd(0, 1, 1, 1), "r"),
        (lambda: BgNbd(1, math.nan, 1, 1), "alpha"),
        (lambda: BgNbd(1, 1, True, 1), "a"),
        (lambda: BgNbd(1, 1, 1, "x"), "b"),
        (lambda: GammaGamma(1, 1, -1), "v"),
        (lambda: GammaGamma(1, 1, None), "v"),
        (lambda: PUBLISHED.expected(-1), "t"),
        (lambda: PUBLISHED.expected(math.inf), "t"),
        (lambda: PUBLISHED.alive(-1, 0, 1), "x"),
        (lambda: PUBLISHED.alive(1, 2, 1), "t_x"),
        (lambda: PUBLISHED.alive(1, 0, 1), "t_x"),
        (lambda: PUBLISHED.alive(0, 1, 1), "t_x"),
        (lambda: PUBLISHED.alive(0, 0, -1), "T"),
        (lambda: PUBLISHED.discounted(0, 0, 1, steps=0), "steps"),
        (lambda: PUBLISHED.discounted(0, 0, 1, steps=1, step=0), "step"),
        (lambda: PUBLISHED.discounted(0, 0, 1, steps=1, discount=-1), "discount"),
        (lambda: SPENDING.expected_of(1, -1), "mean"),
        (lambda: fit_bg_nbd([(1, 2)]), "counts[0]"),
        (lambda: fit_bg_nbd([(0, 0, 1), (1, 3, 2)]), "counts[1].t_x"),
        (lambda: fit_bg_nbd([(0, 0, 1, 0)]), "counts[0].n"),
        (lambda: fit_gamma_gamma([(1,)]), "means[0]"),
        (lambda: fit_gamma_gamma([(1, 0)]), "means[0].mean"),
        (lambda: fit_gamma_gamma([(1.5, 1)]), "means[0].x"),
        (lambda: historic_value([], AT, margin=30), "margin"),
        (lambda: residual_value(PUBLISHED, SPENDING, 0, 0, 1, 0, steps=1, margin=0), "margin"),
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
