"""Models of what customers will do: how often they buy (BG/NBD) and for how much (Gamma-Gamma).

Times are in any one unit, that of the data the model was fitted to (weeks, in the literature). Of a customer the models
know `x`, the number of purchases after the first, `t_x`, the time of the last of them, and `T`, the time from the first
purchase until now; purchases of one day are one: `loyaltykit.retention.recency.rfm_summary` gives them.

Sources: P. S. Fader, B. G. S. Hardie, K. L. Lee, "'Counting Your Customers' the Easy Way", Marketing Science 24 (2005);
P. S. Fader, B. G. S. Hardie, "The Gamma-Gamma Model of Monetary Value" (2013); and the same authors' "RFM and CLV",
Journal of Marketing Research 42 (2005).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from loyaltykit.amounts import money, whole
from loyaltykit.errors import InputError
from loyaltykit.retention._fitting import beta_mean, minimum

_PLAUSIBLE = math.log(1e6)  # beyond, a parameter runs away and says nothing
_FEW = "too little to fit a model to; take more customers, or a longer time"
_RUNS_AWAY = (
    "no convergence: the likelihood grows without end, as it does where customers never leave, or hardly differ;"
    " take more customers, or a longer time"
)

# ---------------------------------------------------------------- input


def _number(value: Any, field: str, minimum: float = 0.0) -> float:
    try:
        number = float(money(value, field) if isinstance(value, str) else value)
        if isinstance(value, bool):
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise InputError(field, value, "give a number") from None
    if not minimum <= number < math.inf:
        raise InputError(field, value, f"give a number of at least {minimum:g}")
    return number


def _above(value: Any, field: str) -> float:
    number = _number(value, field)
    if not number:
        raise InputError(field, value, "give more than 0")
    return number


def _customer(x: Any, t_x: Any, T: Any, *, field: str = "") -> tuple[int, float, float]:
    count, age = whole(x, field + "x"), _number(T, field + "T")
    last = _number(t_x, field + "t_x")
    if last > age:
        raise InputError(field + "t_x", t_x, f"the last purchase is not after now, T={age:g}")
    if bool(count) != bool(last):
        raise InputError(field + "t_x", t_x, "is 0 for those who bought once, and only for them")
    return count, last, age


# ---------------------------------------------------------------- how often: BG/NBD


def _positive(name: str) -> Any:
    return lambda value: _above(value, name)


@attrs.frozen
class BgNbd:
    """The BG/NBD model of buying: at what rates customers buy, and when they silently leave.

    A customer buys at a constant rate, which differs among customers as a gamma distribution with shape `r` and rate
    `alpha`, and leaves after any purchase with a probability that differs as a beta distribution with `a` and `b`.
    `log_likelihood` and `customers` say what it was fitted to, if it was. Fit it with `fit_bg_nbd`.

    >>> cdnow = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
    >>> round(cdnow.expected_of(39, x=2, t_x=30.43, T=38.86), 3)
    1.226
    """

    r: float = attrs.field(converter=_positive("r"))
    alpha: float = attrs.field(converter=_positive("alpha"))
    a: float = attrs.field(converter=_positive("a"))
    b: float = attrs.field(converter=_positive("b"))
    log_likelihood: float | None = None
    customers: int | None = None

    def expected(self, t: float) -> float:
        """Return how many purchases a new customer is expected to make, after the first, in a time `t`: ``E[X(t)]``."""
        return self._ahead(_number(t, "t"), 0, 0.0)

    def alive(self, x: int, t_x: float, T: float) -> float:
        """Return the probability that a customer has not left: ``P(alive | x, t_x, T)``.

        It is 1 for those who never bought again: in this model customers leave after a purchase that they made.

        >>> cdnow = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
        >>> round(cdnow.alive(x=2, t_x=30.43, T=38.86), 4)
        0.7266
        """
        return self._alive(*_customer(x, t_x, T))

    def expected_of(self, t: float, x: int, t_x: float, T: float) -> float:
        """Return how many purchases a customer is expected to make in the next time `t`: ``E[Y(t) | x, t_x, T]``."""
        ahead = _number(t, "t")
        count, last, age = _customer(x, t_x, T)
        return self._alive(count, last, age) * self._ahead(ahead, count, age)

    def discounted(
        self, x: int, t_x: float, T: float, *, steps: int, step: float = 1, discount: Any = 0
    ) -> float:  # fmt: skip
        """Return the expected purchases of the next `steps` times `step`, each discounted to now.

        What is bought within a step counts at its end, over ``(1 + discount) ** step number``: `discount` is the rate
        of one step (0.01: 1 %). With 0, it is `expected_of` the whole time.
        """
        count, last, age = _customer(x, t_x, T)
        length, rate = _above(step, "step"), 1 + _number(discount, "discount")
        total = before = 0.0
        for number in range(1, whole(steps, "steps", 1, 10_000) + 1):
            reached = self._ahead(number * length, count, age)
            total += (reached - before) / rate**number
            before = reached
        return self._alive(count, last, age) * total

    def log_likelihood_of(self, counts: Iterable[Sequence[Any]]) -> float:
        """Return the log-likelihood of customers, given as to `fit_bg_nbd`: to compare models on data not fitted to."""
        return _likelihood(_by_count(_grouped(counts), 1.0), self.r, self.alpha, self.a, self.b)

    def _alive(self, x: int, t_x: float, age: float) -> float:
        if not x:
            return 1.0
        odds = math.log(self.a / (self.b + x - 1)) + (self.r + x) * math.log((self.alpha + age) / (self.alpha + t_x))
        return 1 / (1 + math.exp(odds)) if odds < 700 else 0.0

    def _ahead(self, t: float, x: int, age: float) -> float:
        """Return the expected purchases in a time ahead of a customer who has not left.

        The published form, ``c / (a - 1) x (1 - (1 - z)^(r + x) 2F1(r + x, b + x; c; z))``, has a gap at a = 1 and
        cancels near it. By Euler's transformation of 2F1 and with its first term taken apart, it has neither.
        """
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        z = t / (alpha + age + t)
        first = a + b - r
        if first < 0 or z > 0.995:  # there the series cancels, or converges slowly
            shape, ratio = r + x, t / (alpha + age)
            return beta_mean(
                lambda p: -math.expm1(-shape * math.log1p(p * ratio)) / p if p > 1e-300 else shape * ratio, a, b + x
            )
        log = math.log1p(-z)
        part = -math.expm1((a - 1) * log) / (a - 1) if a != 1 else -log
        c = a + b + x - 1
        term = total = 1.0
        n = 0
        while abs(term) > 1e-17 * abs(total):
            term *= z * (first + n) * (a + n) / ((c + 1 + n) * (2 + n))
            total += term
            n += 1
        return c * part - math.exp((a - 1) * log) * (first - 1) * z * total


def fit_bg_nbd(counts: Iterable[Sequence[Any]]) -> BgNbd:
    """Fit the BG/NBD model by maximum likelihood to (x, t_x, T), or to (x, t_x, T, number of such customers).

    It takes all customers, those who bought once included, and one unit of time. Equal customers are counted together,
    so that time and memory depend on how many different ones there are. `InputError` where nobody bought again, or
    where the likelihood has no maximum at plausible values, as happens where nobody ever leaves.

    The likelihood is equation 6 of Fader, Hardie and Lee (2005), in logarithms. On the CDNOW data it gives their
    numbers: r 0.243, alpha 4.414, a 0.793, b 2.426, log-likelihood -9582.4.

    >>> model = fit_bg_nbd([(0, 0, 38, 60), (1, 10, 38, 12), (2, 20, 38, 6), (3, 12, 36, 2), (6, 35, 38, 4)])
    >>> model.customers
    84
    """
    found = _grouped(counts)
    size = sum(found.values())
    again = sum(number for (x, _, _), number in found.items() if x)
    if len(found) < 4 or not again:
        raise InputError("counts", f"{size} customers, {again} of whom bought again", _FEW)
    unit = math.fsum(age * number for (_, _, age), number in found.items()) / size
    by_count = _by_count(found, unit)

    def loss(point: tuple[float, ...]) -> float:
        if max(map(abs, point)) > 2 * _PLAUSIBLE:
            return math.inf
        return -_likelihood(by_count, *map(math.exp, point)) / size

    best = minimum(loss, (0.0, 0.0, 0.0, 0.0))
    if best is None or max(map(abs, best)) > _PLAUSIBLE:
        raise InputError("counts", f"{size} customers, {again} of whom bought again", _RUNS_AWAY)
    r, alpha, a, b = map(math.exp, best)
    # A density of times in another unit: each of the x purchases brings a factor 1 / unit.
    moved = sum(x * number for (x, _, _), number in found.items()) * math.log(unit)
    return BgNbd(r, alpha * unit, a, b, _likelihood(by_count, r, alpha, a, b) - moved, size)


def _grouped(counts: Iterable[Sequence[Any]]) -> Counter[tuple[int, float, float]]:
    found: Counter[tuple[int, float, float]] = Counter()
    for place, row in enumerate(counts):
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) not in (3, 4):
            raise InputError(f"counts[{place}]", row, "give (x, t_x, T), or (x, t_x, T, number of such customers)")
        number = whole(row[3], f"counts[{place}].n", 1) if len(row) == 4 else 1
        x, t_x, age = row[:3]
        found[_customer(x, t_x, age, field=f"counts[{place}].")] += number
    return found


def _by_count(
    found: Counter[tuple[int, float, float]], unit: float
) -> dict[int, list[tuple[float, float, int]]]:  # fmt: skip
    by_count: dict[int, list[tuple[float, float, int]]] = {}
    for (x, last, age), number in found.items():
        by_count.setdefault(x, []).append((last / unit, age / unit, number))
    return by_count


def _likelihood(
    by_count: dict[int, list[tuple[float, float, int]]], r: float, alpha: float, a: float, b: float
) -> float:
    lgamma, log, log1p, exp = math.lgamma, math.log, math.log1p, math.exp
    common = r * log(alpha) - lgamma(r) + lgamma(a + b) - lgamma(b)
    sums = []
    for x, customers in by_count.items():
        shape = r + x
        same = common + lgamma(shape) + lgamma(b + x) - lgamma(a + b + x)
        if x:
            left = log(a) - log(b + x - 1)
            for last, age, number in customers:
                stays, leaves = -shape * log(alpha + age), left - shape * log(alpha + last)
                larger, gap = (stays, leaves - stays) if stays > leaves else (leaves, stays - leaves)
                sums.append(number * (same + larger + log1p(exp(gap))))
        else:
            sums.extend(number * (same - shape * log(alpha + age)) for _, age, number in customers)
    return math.fsum(sums)


# ---------------------------------------------------------------- for how much: Gamma-Gamma


@attrs.frozen
class GammaGamma:
    """The Gamma-Gamma model of spending: what a purchase brings differs about each customer's own mean.

    Amounts of one customer follow a gamma distribution with shape `p`, whose rate differs among customers as a gamma
    distribution with shape `q` and rate `v`. It supposes that how often somebody buys and for how much have nothing to
    do with each other. Fit it with `fit_gamma_gamma`.

    >>> cdnow = GammaGamma(p=6.25, q=3.74, v=15.45)
    >>> round(cdnow.expected_of(x=2, mean=22.35), 2), round(cdnow.mean, 2)
    (24.67, 35.24)
    """

    p: float = attrs.field(converter=_positive("p"))
    q: float = attrs.field(converter=_positive("q"))
    v: float = attrs.field(converter=_positive("v"))
    log_likelihood: float | None = None
    customers: int | None = None

    @property
    def mean(self) -> float:
        """What a purchase brings over all customers: ``p v / (q - 1)``. `InputError` where `q` is not above 1."""
        return self.expected_of(0, 0)

    def expected_of(self, x: int, mean: Any) -> float:
        """Return what each purchase of a customer is expected to bring: ``p (v + x mean) / (p x + q - 1)``.

        `x` is the number of purchases that `mean` is the mean of. It lies between the customer's own mean and that of
        all, the nearer to the first the more purchases there were.
        """
        count, own = whole(x, "x"), _number(mean, "mean")
        weight = self.p * count + self.q - 1
        if weight <= 0:
            raise InputError("q", self.q, "amounts vary so much that they have no mean; fit with more customers")
        return self.p * (self.v + count * own) / weight

    def log_likelihood_of(self, means: Iterable[Sequence[Any]]) -> float:
        """Return the log-likelihood of customers, given as to `fit_gamma_gamma`."""
        return _spending([(x, mean, number) for (x, mean), number in _means(means).items()], self.p, self.q, self.v)


def fit_gamma_gamma(means: Iterable[Sequence[Any]]) -> GammaGamma:
    """Fit the Gamma-Gamma model by maximum likelihood to (x, mean), or to (x, mean, number of such customers).

    `mean` is that of the `x` purchases after the first (a number, or a Decimal) and above 0. Rows with x = 0 say
    nothing and are passed over. Whoever bought for nothing, on balance, does not belong to the model: leave them out.

    On the CDNOW data (946 customers who bought again) it gives the published p 6.25, q 3.74, v 15.45 (Fader and Hardie,
    2013, equation 1a).
    """
    found = _means(means)
    size = sum(found.values())
    if len(found) < 3:
        raise InputError("means", f"{size} customers who bought again", _FEW)
    unit = math.fsum(mean * number for (_, mean), number in found.items()) / size
    scaled = [(x, mean / unit, number) for (x, mean), number in found.items()]

    def loss(point: tuple[float, ...]) -> float:
        if max(map(abs, point)) > 2 * _PLAUSIBLE:
            return math.inf
        return -_spending(scaled, *map(math.exp, point)) / size

    best = minimum(loss, (0.0, 0.5, 0.0))
    if best is None or max(map(abs, best)) > _PLAUSIBLE:
        raise InputError("means", f"{size} customers who bought again", _RUNS_AWAY)
    p, q, v = map(math.exp, best)
    return GammaGamma(p, q, v * unit, _spending(scaled, p, q, v) - size * math.log(unit), size)


def _means(means: Iterable[Sequence[Any]]) -> Counter[tuple[int, float]]:
    found: Counter[tuple[int, float]] = Counter()
    for place, row in enumerate(means):
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) not in (2, 3):
            raise InputError(f"means[{place}]", row, "give (x, mean), or (x, mean, number of such customers)")
        x, number = whole(row[0], f"means[{place}].x"), whole(row[2], f"means[{place}].n", 1) if len(row) == 3 else 1
        if x:
            found[x, _above(row[1], f"means[{place}].mean")] += number
    return found


def _spending(means: list[tuple[int, float, int]], p: float, q: float, v: float) -> float:
    lgamma, log = math.lgamma, math.log
    common = q * log(v) - lgamma(q)
    by_count: dict[int, float] = {}
    sums = []
    for x, mean, number in means:
        shape = p * x
        same = by_count.get(x)
        if same is None:
            same = by_count[x] = common + lgamma(shape + q) - lgamma(shape) + shape * log(x)
        sums.append(number * (same + (shape - 1) * log(mean) - (shape + q) * log(x * mean + v)))
    return math.fsum(sums)
