"""Who may buy first: head starts before a launch, private sales, and first dibs on what there is little of.

A `Launch` opens at an instant, and earlier for those who hold a tier or a segment with a head start; a private one
never opens for others. What opens may as well be a preview or a look behind the scenes: what is shown is the host's.
`first_dibs` gives few units to many who ask, and keeps the others in line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Literal

import attrs

from loyaltykit.amounts import whole
from loyaltykit.calendar import Period, from_us, hours, instant, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import brief, count, flag, moment, one_of, optional, pairs, several, texts, words
from loyaltykit.grants import Decision, keyed, stamp

Membership = Literal["live", "frozen"]

Groups = Iterable[str] | Callable[[datetime], Iterable[str]]
"""The tiers and segments that somebody holds: their names, or a function that names those held at an instant."""


# ---------------------------------------------------------------- launches


def _head_start(value: Any, field: str) -> Period:
    period = value if isinstance(value, Period) else hours(whole(value, field))
    if period.end_of is not None:
        raise InputError(field, period, "a head start goes to no end of a unit; leave to_end_of out")
    return period


@attrs.frozen(repr=False)
class Launch:
    """What opens at the instant `at`, and earlier, by their head starts, for those who hold a tier or a segment.

    `head_starts` are periods, or whole hours, by the names of tiers and segments. Hours are elapsed time; days and
    months are local to a zone, which has to be given then. Who holds several has the earliest of their openings. A
    `private` launch never opens for others. It is over at `ends`, exclusive, if that is given.

    `membership` says what counts: ``live``, what is held at the instant of buying, or ``frozen``, what was held at
    `announced_at`, whoever has left or joined since. A launch that is moved, ``attrs.evolve(launch, at=...)``, moves
    all its head starts, and freezes nobody anew.

    >>> from datetime import UTC
    >>> launch = Launch("summer", datetime(2024, 6, 10, 9, tzinfo=UTC), {"Gold": 48})
    >>> launch.may_buy(datetime(2024, 6, 8, 9, tzinfo=UTC), ["Gold"])
    True
    >>> launch.may_buy(datetime(2024, 6, 8, 8, 59, tzinfo=UTC), ["Gold"])
    False
    """

    name: str = attrs.field(converter=keyed("launch.name"))
    at: datetime = attrs.field(converter=moment("launch.at"), eq=to_us)
    head_starts: tuple[tuple[str, Period], ...] = attrs.field(
        default=(),
        converter=pairs("launch.head_starts", _head_start, "give a mapping of names to periods, or to hours"),
    )
    private: bool = attrs.field(default=False, converter=flag("launch.private"), kw_only=True)
    ends: datetime | None = attrs.field(
        default=None, eq=optional_us, converter=optional(moment("launch.ends")), kw_only=True
    )
    membership: Membership = attrs.field(
        default="live", converter=one_of("launch.membership", Membership), kw_only=True
    )
    announced_at: datetime | None = attrs.field(
        default=None, eq=optional_us, converter=optional(moment("launch.announced_at")), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if self.ends is not None and to_us(self.ends) <= to_us(self.at):
            raise InputError("launch.ends", self.ends, f"give an instant after the launch itself, {self.at}")
        if self.membership == "frozen" and self.announced_at is None:
            raise InputError("launch.announced_at", None, "who is in is frozen at the announcement; say when it is")
        if self.announced_at is not None and to_us(self.announced_at) > to_us(self.at):
            raise InputError("launch.announced_at", self.announced_at, f"not after the launch itself, {self.at}")
        if self.private and not self.head_starts:
            raise InputError(
                "launch.head_starts", (), "nobody could ever buy; name a tier or a segment, as {'Gold': 0}"
            )

    def judged_at(self, at: datetime) -> datetime:
        """Return the instant whose tiers and segments count, for somebody who would buy at `at`.

        >>> from datetime import UTC
        >>> told, launch = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 6, 10, tzinfo=UTC)
        >>> sale = Launch("summer", launch, {"Gold": 48}, membership="frozen", announced_at=told)
        >>> sale.judged_at(launch) == told
        True
        """
        at = instant(at)
        return self.announced_at if self.membership == "frozen" and self.announced_at is not None else at

    def opens_at(self, groups: Iterable[str] = (), zone: str | tzinfo | None = None) -> datetime | None:
        """Return the instant, in UTC, from which holders of these tiers and segments may buy; None: never.

        `zone` is needed where a head start has days or months. Raises `InputError` without it.
        """
        names = set(texts("groups")(groups))
        own = [self._early(name, period, zone) for name, period in self.head_starts if name in names]
        if not own and self.private:
            return None
        return min([from_us(to_us(self.at)), *own])

    def _early(self, name: str, period: Period, zone: str | tzinfo | None) -> datetime:
        if zone is None and (period.days or period.months):
            raise InputError("zone", zone, f"the head start of {name}, {period}, is in local days; say of which zone")
        return period.before(self.at, "UTC" if zone is None else zone)

    def may_buy(self, at: datetime, groups: Groups = (), zone: str | tzinfo | None = None) -> bool:
        """Say whether somebody may buy at an instant: from the opening, inclusive, until the end, exclusive.

        `groups` are the tiers and segments that count by `membership`, those held at ``judged_at(at)``; or a function
        that names those held at an instant, which is asked for that one.
        """
        at = instant(at)
        opens = self.opens_at(groups(self.judged_at(at)) if callable(groups) else groups, zone)
        open_by_now = opens is not None and to_us(opens) <= to_us(at)
        return open_by_now and (self.ends is None or to_us(at) < to_us(self.ends))

    def __str__(self) -> str:
        early = " and ".join(f"{name} {period} earlier" for name, period in self.head_starts if period != Period())
        who = f"for {' and '.join(name for name, _ in self.head_starts)} only" if self.private else ""
        parts = [f"{self.name} opens on {self.at:%Y-%m-%d %H:%M %Z}", who, early]
        return ", ".join(part for part in parts if part)

    __repr__ = brief


def invitations(
    launch: Launch, members: Mapping[str, Iterable[str]], zone: str | tzinfo | None = None
) -> tuple[Decision, ...]:
    """Return whom to tell of a launch, and when: one ``early_access`` decision for each member with a head start.

    `members` are the tiers and segments that each member holds, as of the announcement. It is due from the announcement
    (from the member's opening, if there is none), and no longer once the launch is open for all, or over. A launch that
    was moved is announced anew: the opening is part of the key, ``launch:<name>:<opening>:<member>``.

    >>> from datetime import UTC
    >>> launch = Launch("summer", datetime(2024, 6, 10, 9, tzinfo=UTC), {"Gold": 48})
    >>> [each.key for each in invitations(launch, {"ann": ["Gold"], "bo": []})]
    ['launch:summer:20240608T090000Z:ann']
    """
    known = {name for name, _ in launch.head_starts}
    over = launch.ends if launch.private else launch.at
    found = []
    for member in sorted(members):
        mine = sorted(known & set(texts("members")(members[member])))
        opens = launch.opens_at(mine, zone) if mine else None
        if opens is None or (over is not None and to_us(opens) >= to_us(over)):
            continue
        due = opens if launch.announced_at is None else launch.announced_at
        if over is not None and to_us(due) >= to_us(over):
            continue
        data = {"launch": launch.name, "opens": opens.isoformat()}
        key = f"launch:{launch.name}:{stamp(opens)}:{member}"
        found.append(Decision("early_access", member, key, due, over, reason=str(launch), data=data))
    return tuple(found)


# ---------------------------------------------------------------- first dibs


@attrs.frozen(repr=False)
class Request:
    """That a member asks for a unit, at the instant `at`, holding `tier` (None: none) at that instant."""

    member: str = attrs.field(converter=words("request.member"))
    at: datetime = attrs.field(converter=moment("request.at"), eq=to_us)
    tier: str | None = attrs.field(default=None, converter=optional(words("request.tier")))

    __repr__ = brief


_REQUESTS = several("requests", Request, "give requests, as in Request('ann', at, 'Gold')")


@attrs.frozen(repr=False)
class Allocation:
    """Who gets the units: the `line` of requests, first come first, without those who have `lapsed`, from its start.

    Made by `first_dibs`, changed by `pass_on`.
    """

    units: int = attrs.field(converter=count("allocation.units"))
    line: tuple[Request, ...] = attrs.field(converter=several("allocation.line", Request, "give requests"))
    lapsed: tuple[str, ...] = attrs.field(default=(), converter=texts("allocation.lapsed"))

    @property
    def allocated(self) -> tuple[str, ...]:
        """The members who have a unit, in the order of the line."""
        return self._open[: self.units]

    @property
    def waiting(self) -> tuple[str, ...]:
        """The members on the waiting list, the next first."""
        return self._open[self.units :]

    @property
    def _open(self) -> tuple[str, ...]:
        gone = set(self.lapsed)
        return tuple(request.member for request in self.line if request.member not in gone)

    def __str__(self) -> str:
        return f"{len(self.allocated):,} of {self.units:,} units allocated, {len(self.waiting):,} waiting"

    __repr__ = brief


def first_dibs(units: int, requests: Iterable[Request], ranks: Mapping[str, int]) -> Allocation:
    """Allocate scarce units by rank, the highest first, then by the instant of the request, then by the member.

    One unit a member: of several requests by one the earliest counts, with the tier that it names (at the same instant,
    the highest). `ranks` are the ranks of the tiers, from 0; no tier is below all of them. The order of the requests,
    and requests that come twice, make no difference. Raises `InputError` for a tier that has no rank.

    >>> from datetime import UTC
    >>> at = datetime(2024, 6, 10, 10, tzinfo=UTC)
    >>> asked = [Request("ana", at.replace(minute=5), "gold"), Request("bo", at, "base"),
    ...          Request("cy", at.replace(minute=1), "gold")]
    >>> found = first_dibs(2, asked, {"gold": 2, "base": 1})
    >>> found.allocated, found.waiting
    (('cy', 'ana'), ('bo',))
    """
    units = whole(units, "units")
    levels = dict(pairs("ranks", whole, "give a mapping of tiers to ranks")(ranks))

    def rank(request: Request) -> int:
        if request.tier is None:
            return -1
        if request.tier not in levels:
            raise InputError("request.tier", request.tier, f"has no rank; give it one beside {', '.join(levels)}")
        return int(levels[request.tier])

    first: dict[str, Request] = {}
    for request in sorted(_REQUESTS(requests), key=lambda each: (to_us(each.at), -rank(each), each.tier or "")):
        first.setdefault(request.member, request)
    line = sorted(first.values(), key=lambda each: (-rank(each), to_us(each.at), each.member))
    return Allocation(units, tuple(line))


def pass_on(allocation: Allocation, lapsed: Iterable[str] | str) -> Allocation:
    """Return the allocation without members who did not pay in time, or withdrew: their units go down the line.

    Whoever lapsed does not come back. Naming somebody twice changes nothing, and the order does not matter. Raises
    `InputError` for somebody who never asked.

    >>> from datetime import UTC
    >>> at = datetime(2024, 6, 10, 10, tzinfo=UTC)
    >>> found = first_dibs(1, [Request("ann", at), Request("bo", at)], {})
    >>> pass_on(found, "ann").allocated
    ('bo',)
    """
    asked = {request.member for request in allocation.line}
    gone = {*texts("lapsed")(lapsed)}
    if gone - asked:
        raise InputError("lapsed", min(gone - asked), "never asked for a unit")
    return attrs.evolve(allocation, lapsed=sorted(gone | set(allocation.lapsed)))


def offers(
    allocation: Allocation,
    release: str,
    at: datetime,
    within: Period,
    zone: str | tzinfo = "UTC",
    *,
    before: Allocation | None = None,
) -> tuple[Decision, ...]:
    """Return an ``offer`` for each member who has a unit: due at `at`, to be paid `within` a period from then.

    With the allocation `before` a `pass_on`, only those who have moved up are offered theirs. The key is
    ``offer:<release>:<member>``. Days of the period are local to `zone`.

    >>> from datetime import UTC
    >>> at = datetime(2024, 6, 10, 10, tzinfo=UTC)
    >>> asked = first_dibs(1, [Request("ann", at), Request("bo", at)], {})
    >>> later = pass_on(asked, "ann")
    >>> [each.key for each in offers(later, "lamp", at + hours(24), hours(24), before=asked)]
    ['offer:lamp:bo']
    """
    release, at = keyed("release")(release), instant(at)
    if not isinstance(within, Period):
        raise InputError("within", within, "give a period, as in hours(24)")
    ends = within.after(at, zone)
    had = set() if before is None else set(before.allocated)
    return tuple(
        Decision("offer", member, f"offer:{release}:{member}", at, ends, reason=f"first dibs on {release}")
        for member in allocation.allocated
        if member not in had
    )
