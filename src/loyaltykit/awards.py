"""What an order or activity earns: the award, with its lots and its reasons. `loyaltykit.earning` makes them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import attrs

from loyaltykit.calendar import Period, optional_us, to_us
from loyaltykit.fields import texts
from loyaltykit.matching import Tiers
from loyaltykit.rules import POINTS, counted


class LotDates(NamedTuple):
    """When points become active and when they expire.

    `active_at` None waits for `event`; `expires_at` None never expires, unless `validity` says how long from the
    instant at which the event comes.
    """

    active_at: datetime | None = None
    expires_at: datetime | None = None
    event: str | None = None
    validity: Period | None = None


@attrs.frozen
class AwardLot:
    """Points of one unit with the same dates; `rules` are the names of those that gave them.

    `active_at`, `expires_at`, `event` and `validity` are as in `LotDates`.
    """

    unit: str
    points: int
    earned_at: datetime = attrs.field(eq=to_us)
    active_at: datetime | None = attrs.field(default=None, eq=optional_us)
    expires_at: datetime | None = attrs.field(default=None, eq=optional_us)
    event: str | None = None
    validity: Period | None = None
    rules: tuple[str, ...] = ()


@attrs.frozen
class Share:
    """What one rule gives on the lines of an order that share a factor, exactly, before limits and rounding.

    points = factor x basis. `basis` is money (rounded to the minor unit, to be read), or a number of items; a fixed
    award has none. `bonuses` are the names of the bonuses in the factor.
    """

    rule: str
    unit: str
    lines: tuple[str, ...]
    basis: Decimal | None
    factor: Fraction
    points: Fraction
    bonuses: tuple[str, ...] = ()


@attrs.frozen(repr=False)
class Award:
    """What a fact (an order at a `revision`, an activity) earns, by a version of the program, and why.

    `asked` is what the rules give, `given` what is left of it after caps, budgets and "once"; both in whole points a
    unit. `cut` names the rules that were limited, with what they still gave. `counts` is what to add to which counter
    when the award is booked. `reasons` are machine-readable: ``cap``, ``budget``, ``once`` (limited), ``no_rule``,
    ``no_basis``, ``rounded_down``, ``draft``, ``cancelled`` (nothing earned).
    """

    fact: str
    version: int
    tier: Tiers = None
    asked: tuple[tuple[str, int], ...] = ()
    given: tuple[tuple[str, int], ...] = ()
    lots: tuple[AwardLot, ...] = ()
    reasons: tuple[str, ...] = attrs.field(default=(), converter=texts("award.reasons"))
    shares: tuple[Share, ...] = ()
    cut: tuple[tuple[str, int], ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    revision: int = 1

    @property
    def points(self) -> int:
        """What is given in the unit ``points``."""
        return dict(self.given).get(POINTS, 0)

    def explain(self) -> list[str]:
        """Return how the points came about, one line a unit, and what limited them."""
        lines = []
        for unit, asked in self.asked:
            shares = [share for share in self.shares if share.unit == unit]
            text = " + ".join(_said(share, shares) for share in shares) or "nothing"
            exact = sum((share.points for share in shares), Fraction(0))
            if any(share.basis is not None for share in shares) and (exact != asked or unit == POINTS):
                text += ", rounded down once" if exact >= asked else ", rounded up once"
            lines.append(text if unit == POINTS else f"{unit}: {text}")
            given = dict(self.given).get(unit, 0)
            if given != asked:
                limits = [reason for reason in self.reasons if reason in ("cap", "budget", "once")]
                lines.append(f"{counted(given, unit)} of {asked:,} given: {', '.join(limits)}")
        return lines or [f"nothing: {', '.join(self.reasons)}"]

    def __str__(self) -> str:
        given = " and ".join(counted(points, unit) for unit, points in self.given) or counted(0, POINTS)
        return f"{given} for {self.fact}"

    def __repr__(self) -> str:
        return f"<Award {self}: {'; '.join(self.explain())}>"


def plain(value: Fraction) -> str:
    """Return an exact number as people write it: "2", "1.5", else "1/3".

    >>> plain(Fraction(3, 2)), plain(Fraction(1, 3))
    ('1.5', '1/3')
    """
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, places = rest // prime, places + 1
    if rest != 1:
        return str(value)
    digits = f"{value.numerator * 10**places // value.denominator:0{places + 1}d}"
    return digits if not places else f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def _said(share: Share, shares: list[Share]) -> str:
    """Return one share in words: "2 x 480.00 coffee"."""
    if share.basis is None:
        return f"{plain(share.points)} {share.rule}"
    label = " and ".join(_label(name) for name in share.bonuses)
    if not label and len({each.rule for each in shares if not each.bonuses}) > 1:
        label = _label(share.rule)
    if not label and any(each.bonuses for each in shares):
        label = "other"
    if share.points != share.factor * Fraction(share.basis) and share.factor < 1:  # in minor units, of an amount
        return f"{plain(share.factor * 100)}% of {share.basis:,f} {label}".rstrip()
    return f"{plain(share.factor)} x {share.basis:,f} {label}".rstrip()


def _label(rule: str) -> str:
    for prefix in ("bonus ", "on ", "for "):
        rule = rule.removeprefix(prefix)
    return rule
