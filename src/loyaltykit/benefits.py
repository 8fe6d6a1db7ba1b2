"""Who holds which benefit, from which source and until when; and what shipping costs at the checkout, with the reason.

Grants come from everywhere: tiers, memberships, thresholds, trials, rewards. Here they meet. A grant holds while
``starts <= at < ends``; an end that is a last local day is given as ``calendar.through(day, zone)``, so that the whole
of that day still counts. An order is judged at one instant: a source that ends afterwards has counted for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import attrs

from loyaltykit.amounts import format_money, from_minor, to_minor, total, whole
from loyaltykit.calendar import from_us, instant, local_date, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import (
    a,
    amount,
    brief,
    currency as currency_code,
    flag,
    moment,
    optional,
    several,
    text,
    words,
)
from loyaltykit.grants import BENEFITS, Benefit, Grant

GRANTS = several("grants", Grant, "give grants, as in Grant(free_shipping(), 'ann', 'membership', key, starts, ends)")
"""Convert one grant or several to a tuple of them."""


# ---------------------------------------------------------------- who holds what


@attrs.frozen(repr=False)
class Entitlement:
    """That a member holds a benefit at an instant: by which live grants, and `until` when without a break.

    `until` is exclusive, and None where no end is known. A grant that takes over before the last of the live ones ends
    (a membership that is renewed) prolongs it.
    """

    benefit: Benefit = attrs.field(converter=a("entitlement.benefit", Benefit, "give a benefit"))
    member: str = attrs.field(converter=words("entitlement.member"))
    grants: tuple[Grant, ...] = attrs.field(converter=GRANTS)
    until: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("entitlement.until")))

    @property
    def sources(self) -> tuple[str, ...]:
        """Where it comes from: each source once, sorted."""
        return tuple(sorted({grant.source for grant in self.grants}))

    def last_day(self, zone: str | tzinfo) -> date | None:
        """Return the last local day on which it is held, if only for a part of it; None where no end is known."""
        return None if self.until is None else local_date(from_us(to_us(self.until) - 1), zone)

    def says(self, zone: str | tzinfo) -> str:
        """Return it in the words that a shopper would be told, with its last day in `zone`."""
        last = self.last_day(zone)
        return str(self) if last is None else f"{self}, through {last}"

    def __str__(self) -> str:
        return f"{self.benefit} from {' and '.join(self.sources)}"

    __repr__ = brief


def held(
    grants: Iterable[Grant],
    at: datetime,
    *,
    terms: Iterable[Benefit] | Benefit | None = None,
    used: Mapping[str, int] | None = None,
) -> tuple[Entitlement, ...]:
    """Return which benefits are held at an instant: the union of the live grants, by member and benefit.

    The result is sorted by member and by the benefit's name; the order of the grants, and grants that come twice, make
    no difference. With `terms`, the benefits that the program promises today, what is no longer among them is left
    out; without, a benefit that was granted is held until its grants end. `used` is how often grants with a number of
    uses have been used, by their keys; one that is used up is no longer held.

    >>> from datetime import UTC
    >>> from loyaltykit.grants import free_shipping
    >>> starts, ends = datetime(2024, 8, 15, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    >>> year = Grant(free_shipping(), "ann", "year_threshold", "threshold:2024:ann", starts, ends)
    >>> plus = Grant(free_shipping(), "ann", "membership", "membership:ann:1", starts)
    >>> [str(each) for each in held([year, plus], starts)]
    ['free shipping from membership and year_threshold']
    """
    now = to_us(instant(at))
    wanted = None if terms is None else frozenset(BENEFITS(terms))
    counts = _used(used)
    known: dict[tuple[str, Benefit], list[Grant]] = {}
    for grant in dict.fromkeys(sorted(GRANTS(grants), key=_grant_order)):
        if (wanted is None or grant.benefit in wanted) and _left(grant, counts) != 0:
            known.setdefault((grant.member, grant.benefit), []).append(grant)
    found = []
    for (member, benefit), some in known.items():
        live = tuple(grant for grant in some if grant.live(at))
        if live:
            found.append(Entitlement(benefit, member, live, _unbroken(some, now)))
    return tuple(sorted(found, key=lambda each: (each.member, _benefit_order(each.benefit))))


def _unbroken(grants: Iterable[Grant], now: int) -> datetime | None:
    """Return the first instant after now at which none of the grants holds; they are in the order of their starts."""
    end = now
    for grant in grants:
        if to_us(grant.starts) <= end:
            if grant.until is None:
                return None
            end = max(end, to_us(grant.until))
    return from_us(end)


def _grant_order(grant: Grant) -> tuple[Any, ...]:
    return to_us(grant.starts), grant.source, grant.key, grant.member, _ending(grant), _benefit_order(grant.benefit)


def _ending(grant: Grant) -> tuple[bool, int]:
    return grant.until is None, 0 if grant.until is None else to_us(grant.until)


def _benefit_order(benefit: Benefit) -> tuple[Any, ...]:
    numbers = (benefit.points, benefit.percent or 0, benefit.worth or 0, benefit.uses or 0)
    return benefit.name, benefit.limits, benefit.kind, numbers


def _used(value: Mapping[str, int] | None) -> dict[str, int]:
    if not isinstance(value, Mapping | None):
        raise InputError("used", value, "give a mapping of the keys of grants to how often each was used")
    return {key: whole(times, f"used.{key}") for key, times in (value or {}).items()}


def _left(grant: Grant, used: Mapping[str, int]) -> int | None:
    """Return how many uses are left of a grant; None where they are without number."""
    return None if grant.benefit.uses is None else max(0, grant.benefit.uses - used.get(grant.key, 0))


# ---------------------------------------------------------------- what only some hold


def exclusive(
    vip: Iterable[Benefit | str] | Benefit | str, everyone: Iterable[Benefit | str] | Benefit | str
) -> tuple[Benefit, ...]:
    """Return what VIPs have that others have not, sorted by name; a text stands for the perk of that name.

    What others have without limits is not exclusive with limits: free shipping to the US is nothing that others lack
    who have free shipping everywhere.

    >>> [str(each) for each in exclusive({"video", "music", "member price"}, {"member price"})]
    ['music', 'video']
    """
    others = frozenset(_benefits(everyone, "everyone"))
    ours = dict.fromkeys(sorted(_benefits(vip, "vip"), key=_benefit_order))
    return tuple(each for each in ours if not any(other.covers(each) for other in others))


def lint_exclusive(
    vip: Iterable[Benefit | str] | Benefit | str,
    everyone: Iterable[Benefit | str] | Benefit | str,
    name: str = "VIP",
) -> list[str]:
    """Return a message if VIPs have nothing that others have not; nothing to say is an empty list.

    >>> lint_exclusive({"member price"}, {"member price"}, "tier 'Gold'")
    ["tier 'Gold' has no benefit that others do not have"]
    """
    return [] if exclusive(vip, everyone) else [f"{name} has no benefit that others do not have"]


def _benefits(value: Any, field: str) -> list[Benefit]:
    given = [value] if isinstance(value, str | Benefit) else value
    if not isinstance(given, Iterable):
        raise InputError(field, value, "give benefits, or the names of perks")
    found = []
    for each in given:
        if not isinstance(each, str | Benefit):
            raise InputError(field, each, "give benefits, or the names of perks")
        found.append(Benefit(text(each, field)) if isinstance(each, str) else each)
    return found


# ---------------------------------------------------------------- shipping

STANDARD = "standard"
"""The reason of a fee that nothing takes away."""


def _missed(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(why)) for key, why in value)


@attrs.frozen(repr=False)
class ShippingFee:
    """What shipping costs an order at an instant, and why.

    `fee` and `base` (the fee without any benefit) are money in `currency`, with its decimals. `reason` is the source
    that takes the fee away, and `grant` the key of its grant; or `reason` is ``standard``, and `missed` says of each
    grant of free shipping, by its key, why it does not hold for this order. `uses_up`: once the order is placed, the
    host counts one more use of the grant.
    """

    fee: Decimal = attrs.field(converter=amount("shipping_fee.fee"))
    reason: str = attrs.field(converter=words("shipping_fee.reason"))
    base: Decimal = attrs.field(converter=amount("shipping_fee.base"))
    currency: str = attrs.field(converter=currency_code("shipping_fee.currency"))
    at: datetime = attrs.field(converter=moment("shipping_fee.at"), eq=to_us)
    grant: str | None = attrs.field(default=None, converter=optional(a("shipping_fee.grant", str, "give a key")))
    uses_up: bool = attrs.field(default=False, converter=flag("shipping_fee.uses_up"))
    missed: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_missed)

    @property
    def saved(self) -> Decimal:
        """What the benefit is worth to this order."""
        return total((self.base, self.fee.copy_negate()))

    def __str__(self) -> str:
        shown = format_money(self.fee, self.currency) if self.fee else "free"
        return f"{shown} shipping ({self.reason})"

    __repr__ = brief


def shipping_fee(
    fee: Any,
    grants: Iterable[Grant],
    at: datetime,
    *,
    currency: str = "USD",
    used: Mapping[str, int] | None = None,
    **given: Any,
) -> ShippingFee:
    """Decide once what shipping costs, from every source of free shipping that one member has.

    `fee` is what shipping costs without a benefit, in whole minor units of `currency`; `given` is what is known of the
    delivery, by the names of the benefits' limits: ``method="standard"``, ``country="US"``, ``weight="1.250"``. A limit
    of which nothing is known is not kept, so that no fee comes as a surprise later. `used` is how often grants with a
    number of uses have been used, by their keys.

    Where several sources would do, one is chosen so that scarce ones last: those without a number of uses come
    first; then what ends first, the never-ending last; then the one with the most limits, then the one with the most
    uses left, then the one that started first; ties by source and key. Where there is no fee, nothing is used.

    >>> from datetime import UTC, date
    >>> from loyaltykit.calendar import day_start, through
    >>> from loyaltykit.grants import free_shipping
    >>> starts, ends = day_start(date(2024, 8, 15), "UTC"), through(date(2024, 12, 31), "UTC")
    >>> year = Grant(free_shipping(), "ann", "year_threshold", "threshold:2024:ann", starts, ends)
    >>> print(shipping_fee("7.90", [year], datetime(2024, 12, 31, 23, 59, tzinfo=UTC)))
    free shipping (year_threshold)
    >>> print(shipping_fee("7.90", [year], datetime(2025, 1, 1, tzinfo=UTC)))
    $7.90 shipping (standard)
    """
    base, at = _in_minor(fee, currency), instant(at)
    found = dict.fromkeys(sorted(GRANTS(grants), key=_grant_order))
    counts, members = _used(used), sorted({grant.member for grant in found})
    if len(members) > 1:
        raise InputError("grants", members, "give the grants of one member, who orders")
    missed: dict[str, str] = {}
    usable = []
    for grant in found:
        if grant.benefit.kind != "free_shipping":
            continue
        left = _left(grant, counts)
        why = _why_not(grant, left, at, given)
        if why:
            missed[grant.key] = why
        else:
            usable.append((_scarcity(grant, left), grant))
    if not base or not usable:
        return ShippingFee(base, STANDARD, base, currency, at, missed=tuple(sorted(missed.items())))
    chosen = min(usable, key=lambda each: each[0])[1]
    free, scarce = from_minor(0, currency), chosen.benefit.uses is not None
    return ShippingFee(free, chosen.source, base, currency, at, chosen.key, scarce)


def _in_minor(fee: Any, currency: str) -> Decimal:
    """Return a fee with the decimals of its currency; refuse one with more."""
    return from_minor(to_minor(amount("fee")(fee), currency, "fee"), currency)


def _why_not(grant: Grant, left: int | None, at: datetime, given: Mapping[str, Any]) -> str:
    if not grant.live(at):
        return "not begun" if to_us(at) < to_us(grant.starts) else "ended"
    unmet = grant.benefit.unmet(given)
    if unmet:
        return f"only for {', '.join(unmet)}"
    return "used up" if left == 0 else ""


def _scarcity(grant: Grant, left: int | None) -> tuple[Any, ...]:
    return left is not None, _ending(grant), -len(grant.benefit.limits), -(left or 0), _grant_order(grant)
