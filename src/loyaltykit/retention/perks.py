"""Which perks work: what those who used one do, against those who did not, and how sure the difference is.

Those who use a perk may differ from the others anyway: the loyal use it because they are loyal. A lift shows a cause
only where chance decided who was offered the perk (a hold-out group); everywhere else the tables say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import attrs

from loyaltykit.amounts import rounded, whole
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError
from loyaltykit.fields import text
from loyaltykit.history import History
from loyaltykit.measures import Measure
from loyaltykit.retention._listing import Listing, as_float
from loyaltykit.retention.intervals import Interval, Sample, newcombe, open_share, sample, welch
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.tables import html_text

Kind = Literal["rate", "mean"]
Verdict = Literal["higher", "lower", "unclear", "too_few"]

ENOUGH = 30
"""How many customers each group needs before a difference is called one: a rule of thumb, as the textbooks have it."""

_SAYS = {"higher": "higher", "lower": "lower", "unclear": "no clear difference", "too_few": "too few to say"}
_CAUTION = (
    "those who used a perk may differ from the others anyway: a lift is no proof that the perk is the cause; hold it"
    " back from some, by chance, to know"
)

# ---------------------------------------------------------------- one perk


def redemption_rate(issued: int, redeemed: int) -> Rate | None:
    """Return the share of what was issued that was redeemed; None where nothing was issued.

    >>> print(redemption_rate(issued=200, redeemed=80))
    40 %
    """
    number = whole(issued, "issued")
    return rate(whole(redeemed, "redeemed", 0, number), number)


@attrs.frozen
class PerkLift:
    """What those who used a perk do, less what the others do.

    `used` and `others` say how many there are in each group, `with_perk` and `without` are their rates (1 is 100 %) or
    means, exact, None of nobody. `low` and `high` are the limits of the `lift` at the confidence `level`. The `verdict`
    is ``too_few`` where a group is smaller than was asked for, ``unclear`` where the limits include 0. `held_out` says
    whether chance decided who was offered the perk.
    """

    perk: str
    kind: Kind
    used: int
    others: int
    with_perk: Fraction | None
    without: Fraction | None
    limits: Interval
    level: Fraction
    verdict: Verdict
    held_out: bool = False
    redemption: Rate | None = None

    @property
    def lift(self) -> Fraction | None:
        """The difference, exact: of rates as a share (1/5 is 20 points), of means in their unit; None of nobody."""
        return None if self.with_perk is None or self.without is None else self.with_perk - self.without

    @property
    def points(self) -> Decimal | None:
        """The lift of a rate in percentage points, rounded half up to two decimals; None of a mean, or of nobody."""
        return None if self.lift is None or self.kind == "mean" else rounded(self.lift * 100)

    def __str__(self) -> str:
        groups = f"{self.used:,} used it, {self.others:,} did not"
        if self.lift is None:
            return f"{self.perk}: {_SAYS[self.verdict]}; {groups}"
        with_perk, without, lift, low, high = self._numbers()
        unit = " points" if self.kind == "rate" else ""
        compared = f"{with_perk} against {without}, a lift of {lift}{unit} (between {low} and {high})"
        return f"{self.perk}: {_SAYS[self.verdict]}: {compared}; {groups}"

    _repr_html_ = html_text

    def _numbers(self) -> list[str]:
        numbers = (self.with_perk, self.without, self.lift, *self.limits)
        return [_shown(number, self.kind) for number in numbers]


def _shown(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    if value in (float("inf"), -float("inf")):
        return "unknown"
    number = float(value) * (100 if kind == "rate" else 1)
    return f"{number:,.2f}".replace("-", "−")


def _verdict(smaller: int, least: int, limits: Interval) -> Verdict:
    if smaller < least:
        return "too_few"
    return "higher" if limits.low > 0 else "lower" if limits.high < 0 else "unclear"


def _group(value: Any, field: str) -> tuple[int, int]:
    if isinstance(value, Rate):
        return value.numerator, value.denominator
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise InputError(field, value, "give (how many of them did it, how many there are), or a Rate")
    number = whole(value[1], field)
    return whole(value[0], field, 0, number), number


def rate_lift(
    perk: str, used: Rate | Sequence[int], others: Rate | Sequence[int], *, redemption: Rate | None = None,
    held_out: bool = False, level: Any = "0.95", least: int = ENOUGH,
) -> PerkLift:  # fmt: skip
    """Compare how many did something, say bought again, of those who used a perk and of those who did not.

    Each group is (how many did it, how many there are). The limits of the difference are Newcombe's: see
    `loyaltykit.retention.intervals.newcombe`. Below `least` in either group the verdict is ``too_few``.

    >>> found = rate_lift("free shipping", used=(50, 100), others=(30, 100))
    >>> found.points, found.verdict
    (Decimal('20.00'), 'higher')
    >>> print(str(found).split("; ")[0])
    free shipping: higher: 50.00 against 30.00, a lift of 20.00 points (between 6.42 and 32.58)
    """
    (hits, of), (other_hits, other_of) = _group(used, "used"), _group(others, "others")
    limits = newcombe(hits, of, other_hits, other_of, level)
    shares = (Fraction(hits, of) if of else None, Fraction(other_hits, other_of) if other_of else None)
    verdict = _verdict(min(of, other_of), whole(least, "least", 1), limits)
    return PerkLift(
        text(perk, "perk"), "rate", of, other_of, *shares, limits, open_share(level), verdict, held_out, redemption
    )


def mean_lift(
    perk: str, used: Sample | Iterable[Any], others: Sample | Iterable[Any], *, redemption: Rate | None = None,
    held_out: bool = False, level: Any = "0.95", least: int = ENOUGH,
) -> PerkLift:  # fmt: skip
    """Compare the mean of something, say what they spent, of those who used a perk and of those who did not.

    Each group is one number a customer (int, Decimal or text), or a `Sample` of them. The limits of the difference are
    Welch's: see `loyaltykit.retention.intervals.welch`. Below `least` in either group the verdict is ``too_few``.

    >>> print(mean_lift("birthday gift", used=["30.00", "50.00"], others=["20.00", "25.00", "30.00"], least=30).verdict)
    too_few
    """
    first, second = (value if isinstance(value, Sample) else sample(value) for value in (used, others))
    limits = welch(first, second, level)
    verdict = _verdict(min(first.count, second.count), max(2, whole(least, "least", 1)), limits)
    means = (first.mean, second.mean)
    return PerkLift(
        text(perk, "perk"), "mean", first.count, second.count, *means, limits, open_share(level), verdict, held_out,
        redemption,
    )  # fmt: skip


def perk_lift(
    perk: str, base: Mapping[str, History], at: datetime, *, used: Condition, result: Condition | Measure,
    redemption: Rate | None = None, held_out: bool = False, level: Any = "0.95", least: int = ENOUGH,
) -> PerkLift:  # fmt: skip
    """Compare the members of a base on whom `used` holds at an instant with the others.

    Where the `result` is a condition, the rates at which it holds are compared; where it is a measure, its means, money
    in the unit of its currency. Choose a result from the time after the perk was used: what came before is no effect.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.habits import used_code
    >>> from loyaltykit.history import histories
    >>> from loyaltykit.measures import orders
    >>> day = datetime(2026, 3, 2, tzinfo=UTC)
    >>> facts = [Order(f"{n}", f"m{n % 40}", day, amount=9, codes=["HELLO"] * (n % 40 < 20)) for n in range(60)]
    >>> used = used_code("HELLO")
    >>> found = perk_lift("welcome code", histories(facts), day, used=used, result=orders() >= 2, least=20)
    >>> found.verdict, found.points
    ('higher', Decimal('100.00'))
    """
    if not isinstance(base, Mapping):
        raise InputError("base", type(base).__name__, "give histories by member, as histories(facts) makes them")
    if not isinstance(used, Condition):
        raise InputError("used", used, "give a condition, as in used_code('WELCOME10')")
    groups: tuple[list[History], list[History]] = ([], [])
    for history in base.values():
        groups[not used.matches(history, at)].append(history)
    options: dict[str, Any] = {"redemption": redemption, "held_out": held_out, "level": level, "least": least}
    if isinstance(result, Condition):
        counts = [(sum(result.matches(each, at) for each in group), len(group)) for group in groups]
        return rate_lift(perk, *counts, **options)
    if not isinstance(result, Measure):
        raise InputError("result", result, "give a condition or a measure, as in orders() >= 2 or spend(months(3))")
    numbers = [[result.value(each, at) for each in group] for group in groups]
    if any(number is None for group in numbers for number in group):
        raise InputError("result", str(result), "has no value for some members; give one that everybody has")
    return mean_lift(perk, *numbers, **options)


# ---------------------------------------------------------------- ranked


@attrs.frozen
class PerkRanking(Listing[PerkLift]):
    """Perks by their lift: iterate over it, or make a frame of its `rows` and `columns`."""

    perks: tuple[PerkLift, ...]

    columns = (
        "perk", "used", "others", "with_perk", "without", "lift", "low", "high", "verdict", "held_out", "redemption",
    )  # fmt: skip
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a perk; rates, means and lifts are floats there, None of nobody."""
        listed = []
        for each in self.perks:
            numbers = (each.with_perk, each.without, each.lift, *each.limits, each.redemption)
            plain = [as_float(number) for number in numbers]
            listed.append((each.perk, each.used, each.others, *plain[:5], each.verdict, each.held_out, plain[5]))
        return tuple(listed)

    def _values(self) -> tuple[PerkLift, ...]:
        return self.perks

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        percent = " %" if self.perks and self.perks[0].kind == "rate" else ""
        headers = ["perk", "used", "others", f"with it{percent}", f"without{percent}", "lift", "limits", "verdict"]
        listed = []
        for each in self.perks[:count]:
            with_perk, without, lift, low, high = each._numbers()
            between = f"{low} to {high}" if lift else ""
            listed.append([each.perk, each.used, each.others, with_perk, without, lift, between, _SAYS[each.verdict]])
        return headers, listed

    def _note(self) -> str:
        notes = [] if all(each.held_out for each in self.perks) else [_CAUTION]
        count = len(self.perks)
        if count > 1:
            level = float(min(each.level for each in self.perks))
            by_chance = f"{count * (1 - level):.2g} of {count} would look different by chance alone"
            notes.append(f"at a confidence of {100 * level:.4g} %, {by_chance}")
        return "; ".join(notes)


def rank_perks(lifts: Iterable[PerkLift]) -> PerkRanking:
    """Return perks by their lift, the largest first; those of which too few are known come last.

    They must compare the same thing: rates with rates, means with means.

    >>> found = rank_perks([
    ...     rate_lift("birthday gift", (3, 4), (30, 100)),
    ...     rate_lift("early access", (33, 100), (30, 100)),
    ...     rate_lift("free shipping", (50, 100), (30, 100)),
    ... ])
    >>> print(str(found).split("those who")[0])
    perk           used  others  with it %  without %  lift   limits          verdict
    free shipping   100     100  50.00      30.00      20.00  6.42 to 32.58   higher
    early access    100     100  33.00      30.00      3.00   −9.77 to 15.64  no clear difference
    birthday gift     4     100  75.00      30.00      45.00  −0.95 to 66.99  too few to say
    <BLANKLINE>
    """
    found = tuple(lifts)
    for place, each in enumerate(found):
        if not isinstance(each, PerkLift):
            raise InputError(f"lifts[{place}]", each, "give lifts, as rate_lift and mean_lift make them")
        if each.kind != found[0].kind:
            raise InputError(f"lifts[{place}]", each.perk, "rates and means do not rank together; rank them apart")
    return PerkRanking(tuple(sorted(found, key=_place)))


def _place(lift: PerkLift) -> tuple[bool, bool, Fraction, str]:
    return lift.verdict == "too_few", lift.lift is None, -(lift.lift or Fraction(0)), lift.perk
