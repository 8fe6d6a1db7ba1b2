"""What status and occasions lead to: benefits that are granted, and decisions that are due.

A `Benefit` is what a rule promises; a `Grant` says that one member holds it, from when until when and from which
source. A `Decision` is something for the host to carry out: to send, print, charge or issue. Grants and decisions have
a natural key, so that deriving them again changes nothing. The library itself sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import attrs

from loyaltykit.amounts import money
from loyaltykit.calendar import from_us, instant, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import a, amount, brief, count, moment, one_of, optional, pairs, several, text, words

BenefitKind = Literal["perk", "free_shipping", "points", "percent_off", "amount_off"]

_PAIRS = "give a mapping, or pairs, of names and texts"


def _key(field: str) -> Any:
    """Convert nothing, but refuse what is no printable text; a natural key joins names, and is longer than they are."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= 1000 or not value.isprintable():
            raise InputError(field, value, "give a string of 1 to 1000 printable characters")
        return value

    return convert


def keyed(field: str) -> Any:
    """Convert the name of what gives grants or decisions: a text without ``:``, which separates the parts of keys.

    >>> keyed("badge.name")("five orders")
    'five orders'
    """

    def convert(value: Any) -> str:
        name = text(value, field)
        if ":" in name:
            raise InputError(field, name, "a name has no ':'; it separates the parts of keys")
        return name

    return convert


# ---------------------------------------------------------------- benefits


@attrs.frozen(repr=False)
class Benefit:
    """What a tier, a threshold, a membership or an occasion promises, by its name.

    Make one with `perk`, `free_shipping`, `bonus_points`, `percent_off` or `amount_off`.

    `limits` narrow where it holds, as in ``{"method": "standard", "country": "US|CA"}``: words of the host, compared as
    they are, with ``|`` between those of which one is enough. ``max_weight`` and ``min_weight`` are the most and the
    least, inclusive, of the number ``weight``; the same goes for any other name. `uses` is how many times a grant of
    it can be used; None: without end.

    >>> str(percent_off(10, on="the next purchase")), str(free_shipping(uses=1, country="US|CA"))
    ('10% off the next purchase', 'free shipping (country US or CA), once')
    """

    name: str = attrs.field(converter=words("benefit.name"))
    kind: BenefitKind = attrs.field(default="perk", converter=one_of("benefit.kind", BenefitKind))
    points: int = attrs.field(default=0, converter=count("benefit.points"))
    percent: Decimal | None = attrs.field(default=None, converter=optional(amount("benefit.percent", above_zero=True)))
    worth: Decimal | None = attrs.field(default=None, converter=optional(amount("benefit.worth", above_zero=True)))
    limits: tuple[tuple[str, str], ...] = attrs.field(
        default=(), converter=pairs("benefit.limits", text, _PAIRS), kw_only=True
    )
    uses: int | None = attrs.field(default=None, converter=optional(count("benefit.uses", 1)), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.percent is not None and self.percent > 100:
            raise InputError("benefit.percent", self.percent, "at most 100")
        for name, value in self.limits:
            if name.startswith(("max_", "min_")):
                money(value, f"benefit.limits.{name}")

    def unmet(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the limits, in words, that what is `given` does not keep; what was not given keeps no limit.

        >>> free_shipping(country="US", max_weight="2.5").unmet({"country": "US", "weight": "2.6"})
        ('weight at most 2.5',)
        """
        return tuple(_limit(*each) for each in self.limits if not _within(*each, given))

    def covers(self, other: Benefit) -> bool:
        """Say whether who holds this benefit has all of the `other`: the same, wherever and as often as that holds.

        >>> free_shipping().covers(free_shipping(country="US")), free_shipping(country="US").covers(free_shipping())
        (True, False)
        """
        if attrs.evolve(self, limits=(), uses=None) != attrs.evolve(other, limits=(), uses=None):
            return False
        if self.uses is not None and (other.uses is None or other.uses > self.uses):
            return False
        narrow = dict(other.limits)
        return all(name in narrow and _narrower(name, narrow[name], value) for name, value in self.limits)

    def __str__(self) -> str:
        limits = ", ".join(_limit(*each) for each in self.limits)
        shown = f"{self.name} ({limits})" if limits else self.name
        return shown if self.uses is None else f"{shown}, once" if self.uses == 1 else f"{shown}, {self.uses:,} times"

    __repr__ = brief


def _limit(name: str, value: str) -> str:
    """Return a limit in words."""
    if name.startswith(("max_", "min_")):
        return f"{name[4:]} at {'most' if name.startswith('max_') else 'least'} {value}"
    return f"{name} {value.replace('|', ' or ')}"


def _within(name: str, value: str, given: Mapping[str, Any]) -> bool:
    """Say whether what is given keeps to a limit."""
    bounded = name.startswith(("max_", "min_"))
    fact = given.get(name[4:] if bounded else name)
    if fact is None:
        return False
    return _narrower(name, fact if bounded else text(fact, name), value)


def _narrower(name: str, value: Any, limit: str) -> bool:
    """Say whether one value of a limit keeps within another."""
    if name.startswith("max_"):
        return money(value, name[4:]) <= money(limit, name)
    if name.startswith("min_"):
        return money(value, name[4:]) >= money(limit, name)
    return set(value.split("|")) <= set(limit.split("|"))


def perk(name: str, *, uses: int | None = None, **limits: str) -> Benefit:
    """Promise something that the host knows by name: early access, a gift, free returns."""
    return Benefit(name, limits=limits, uses=uses)


def free_shipping(*, uses: int | None = None, **limits: str) -> Benefit:
    """Promise that shipping costs nothing, perhaps only for a ``method``, a ``country``, so many times."""
    return Benefit("free shipping", "free_shipping", limits=limits, uses=uses)


def bonus_points(points: int) -> Benefit:
    """Promise so many points, once."""
    return Benefit(f"{points:,} points", "points", points=points)


def percent_off(percent: Any, on: str = "an order", **limits: str) -> Benefit:
    """Promise so many percent off; `on` says of what, in words."""
    shown = amount("benefit.percent", above_zero=True)(percent)
    return Benefit(f"{shown:f}% off {on}", "percent_off", percent=percent, limits=limits)


def amount_off(worth: Any, on: str = "an order", **limits: str) -> Benefit:
    """Promise so much money off, in the program's currency; `on` says of what, in words."""
    shown = amount("benefit.worth", above_zero=True)(worth)
    return Benefit(f"{shown:f} off {on}", "amount_off", worth=worth, limits=limits)


BENEFITS = several("benefits", Benefit, "give benefits, as in free_shipping() or perk('early access')")
"""Convert one benefit or several to a tuple of them."""


def stamp(at: datetime) -> str:
    """Return an instant as a part of a key: in UTC, to the second or, where it matters, the microsecond.

    >>> from datetime import UTC
    >>> stamp(datetime(2026, 3, 2, 9, tzinfo=UTC))
    '20260302T090000Z'
    """
    at = from_us(to_us(at))
    return f"{at:%Y%m%dT%H%M%S}{f'.{at:%f}' if at.microsecond else ''}Z"


# ---------------------------------------------------------------- grants and decisions


@attrs.frozen(repr=False)
class Grant:
    """That a member holds a benefit: from `starts` (inclusive) until `ends` (exclusive; None: for as long as it is so).

    `source` says where it comes from (``tier status: Gold``, ``threshold free shipping``, ``membership``), `key` is its
    natural key, and `revoked_at` the instant from which it is taken back.
    """

    benefit: Benefit = attrs.field(converter=a("grant.benefit", Benefit, "give a benefit, as in free_shipping()"))
    member: str = attrs.field(converter=words("grant.member"))
    source: str = attrs.field(converter=words("grant.source"))
    key: str = attrs.field(converter=_key("grant.key"))
    starts: datetime = attrs.field(converter=moment("grant.starts"), eq=to_us)
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("grant.ends")))
    revoked_at: datetime | None = attrs.field(
        default=None, eq=optional_us, converter=optional(moment("grant.revoked_at")), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.ends is not None and to_us(self.ends) < to_us(self.starts):
            raise InputError("grant.ends", self.ends, f"give an instant from the start on, {self.starts}")

    @property
    def until(self) -> datetime | None:
        """The instant, exclusive, at which it is over: its end or its revocation, whichever comes first, if any."""
        return min((each for each in (self.ends, self.revoked_at) if each is not None), key=to_us, default=None)

    def live(self, at: datetime) -> bool:
        """Say whether the benefit is held at an instant: ``starts <= at < ends``, and not revoked by then."""
        now, until = to_us(instant(at)), self.until
        return to_us(self.starts) <= now and (until is None or now < to_us(until))

    __repr__ = brief


@attrs.frozen(repr=False)
class Decision:
    """Something for the host to carry out once, and then to acknowledge by its `key`.

    `kind` says what (``celebrate``, ``coupon``, ``review_request``, ``tier_change``...). It is due from `due` on, until
    `ends` (exclusive; None: however late). `data` are the particulars, `benefit` what comes with it.
    """

    kind: str = attrs.field(converter=words("decision.kind"))
    member: str = attrs.field(converter=words("decision.member"))
    key: str = attrs.field(converter=_key("decision.key"))
    due: datetime = attrs.field(converter=moment("decision.due"), eq=to_us)
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("decision.ends")))
    reason: str = attrs.field(default="", converter=str, kw_only=True)
    benefit: Benefit | None = attrs.field(
        default=None, converter=optional(a("decision.benefit", Benefit, "give a benefit")), kw_only=True
    )
    data: tuple[tuple[str, str], ...] = attrs.field(
        default=(), converter=pairs("decision.data", text, _PAIRS), kw_only=True
    )

    def is_due(self, at: datetime) -> bool:
        """Say whether it is to be carried out at an instant: ``due <= at < ends``."""
        now = to_us(instant(at))
        return to_us(self.due) <= now and (self.ends is None or now < to_us(self.ends))

    __repr__ = brief
