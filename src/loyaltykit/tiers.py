"""Ladders of tiers: which tier a member has at an instant, since when, until when, and what would change it.

A ladder puts a measure against thresholds. How long a tier lasts once it is reached is the ladder's `validity`:

* ``while_qualifying``: as long as the measure reaches the threshold, and `grace` longer;
* ``end_of_period``, ``end_of_next_period``: until the end of the review period in which it last did (or of the one
  after that), and `grace` longer.

What a refund takes back counts at once (`refunds` ``immediate``: as if it had never been bought), or from the next
review on (``at_review``: the begin of a review period; until then, the most counts that was known of the order since
the last review). Where a tier ends, the member gets what the measure still reaches (`downgrade` ``recompute``), or not
less than the tier below until the end of the review period (``one_down``: a soft landing, one tier a period).

All of this is derived from the history, whenever one looks: the tier at an instant is the best of those whose threshold
the measure reached at some earlier instant from which the validity still lasts, by what counts at that instant. No job
has to run, and nothing that happens or becomes known later changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import attrs

from loyaltykit.amounts import money, to_minor, whole
from loyaltykit.calendar import Period, from_us, instant, local_date, optional_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import a, brief, flag, moment, named, one_of, optional, words
from loyaltykit.grants import BENEFITS, Benefit, Decision, Grant, keyed, stamp
from loyaltykit.history import History
from loyaltykit.ladders import FOREVER, SINCE_EVER, Course, Downgrade, RefundEffect, Rules, Run, TierValidity
from loyaltykit.measures import Measure, amount, shown
from loyaltykit.rules import counted, priced
from loyaltykit.windows import Anniversary, CalendarWindow, bounds

EarnTier = Literal["at_start", "include_current"]
Change = Literal["entry", "renewal", "downgrade"]


# ---------------------------------------------------------------- the rules


def _named(field: str) -> Any:
    """Convert a name that goes into the keys of the ledger, and of decisions."""
    return attrs.converters.pipe(named(field), keyed(field))


@attrs.frozen(repr=False)
class Tier:
    """One tier of a ladder: its name, the value from which it is reached (inclusive), and what it brings.

    `benefits` are held as long as the tier is; `entry` is given on entering it, once a review period. A tier by
    `invitation` is never reached by the measure: it is held by those who were invited, or who pay for it.
    """

    name: str = attrs.field(converter=_named("tier.name"))
    threshold: int | Decimal = attrs.field(default=0)
    benefits: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS)
    entry: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS)
    invitation: bool = attrs.field(default=False, converter=flag("tier.invitation"))

    __repr__ = brief


def _tiers(value: Any) -> tuple[Tier, ...]:
    if isinstance(value, Mapping):
        value = [Tier(name, threshold) for name, threshold in value.items()]
    if isinstance(value, str | Tier) or not isinstance(value, Iterable):
        raise InputError("ladder.tiers", value, "give tiers, or names and thresholds: {'Bronze': 0, 'Silver': 300}")
    tiers = tuple(value)
    for place, tier in enumerate(tiers):
        if not isinstance(tier, Tier):
            raise InputError(f"ladder.tiers[{place}]", tier, "give a Tier")
    return tiers


@attrs.frozen(repr=False, slots=False)
class Ladder:
    """A measure, and the tiers that its values lead to, from the lowest to the highest.

    >>> from loyaltykit.calendar import days, months
    >>> from loyaltykit.measures import spend
    >>> print(Ladder("status", spend(months(12)), {"Bronze": 0, "Silver": 300, "Gold": 1000}, grace=days(30)))
    status: Bronze; Silver from 300 spent in the past 12 months; Gold from 1000 spent in the past 12 months

    tiers: `Tier` values, or names and thresholds. period: how often it is reviewed: that of the measure's window where
    this is a calendar or anniversary window, else the calendar year. earn_tier: whether an order earns by the tier that
    the member had before it (``at_start``), or with it (``include_current``).
    """

    name: str = attrs.field(converter=_named("ladder.name"))
    measure: Measure = attrs.field(converter=a("ladder.measure", Measure, "give a measure, as in spend(months(12))"))
    tiers: tuple[Tier, ...] = attrs.field(converter=_tiers)
    validity: TierValidity = attrs.field(
        default="while_qualifying", converter=one_of("ladder.validity", TierValidity), kw_only=True
    )
    period: CalendarWindow | Anniversary | None = attrs.field(
        default=None,
        converter=optional(
            a("ladder.period", (CalendarWindow, Anniversary), "give calendar_year(), anniversary_year() or another")
        ),
        kw_only=True,
    )
    grace: Period | None = attrs.field(
        default=None, converter=optional(a("ladder.grace", Period, "give a period, as in days(30)")), kw_only=True
    )
    downgrade: Downgrade = attrs.field(
        default="recompute", converter=one_of("ladder.downgrade", Downgrade), kw_only=True
    )
    refunds: RefundEffect = attrs.field(
        default="immediate", converter=one_of("ladder.refunds", RefundEffect), kw_only=True
    )
    earn_tier: EarnTier = attrs.field(default="at_start", converter=one_of("ladder.earn_tier", EarnTier), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.tiers:
            raise InputError("ladder.tiers", self.tiers, "give at least one tier")
        if self.measure.kind.startswith("days_since"):
            raise InputError(
                "ladder.measure", str(self.measure), "days since something grow by themselves; choose another"
            )
        names, last = set(), None
        tiers = []
        for place, tier in enumerate(self.tiers):
            field = f"ladder.tiers[{place}]"
            if tier.name in names:
                raise InputError(f"{field}.name", tier.name, "another tier has this name")
            names.add(tier.name)
            threshold: int | Decimal
            if self.measure.kind == "spend":
                threshold = money(tier.threshold, f"{field}.threshold", 0)
                if self.measure.currency is not None:
                    to_minor(threshold, self.measure.currency, f"{field}.threshold")
            else:
                threshold = whole(tier.threshold, f"{field}.threshold")
            if not tier.invitation:
                if last is not None and threshold <= last:
                    raise InputError(f"{field}.threshold", threshold, f"tiers go upwards: give more than {last}")
                last = threshold
            tiers.append(attrs.evolve(tier, threshold=threshold))
        object.__setattr__(self, "tiers", tuple(tiers))

    @cached_property
    def review(self) -> CalendarWindow | Anniversary:
        """The review period."""
        if self.period is not None:
            return self.period
        window = self.measure.window
        return window if isinstance(window, CalendarWindow | Anniversary) else CalendarWindow("year")

    def place(self, name: str | None) -> int:
        """Return the place of a tier from the bottom, from 0; -1 for None."""
        if name is None:
            return -1
        for place, tier in enumerate(self.tiers):
            if tier.name == name:
                return place
        raise InputError("tier", name, f"the ladder {self.name} has: {', '.join(tier.name for tier in self.tiers)}")

    def says(self, currency: str | None = None) -> str:
        """Return the ladder in one line."""
        said = []
        for tier in self.tiers:
            if tier.invitation:
                said.append(f"{tier.name} by invitation")
            elif not tier.threshold:
                said.append(tier.name)
            else:
                said.append(f"{tier.name} from {_reached(self.measure, tier.threshold, currency)}")
        return f"{self.name}: {'; '.join(said)}"

    def __str__(self) -> str:
        return self.says()

    __repr__ = brief


_COUNTED = {"earned": "{name} earned", "balance": "{name}", "activities": "times {name}", "periods": "{name}s"}


def _reached(measure: Measure, threshold: int | Decimal, currency: str | None) -> str:
    window = "" if str(measure.window) == "ever" else f" {measure.window}"
    where = "" if measure.where is None else f" {measure.where}"
    if measure.kind == "spend":
        return f"{priced(Decimal(threshold), currency)} spent{where}{window}"
    noun, *rest = _COUNTED.get(measure.kind, measure.kind).format(name=measure.name).replace("_", "-").split(" ", 1)
    return " ".join([counted(int(threshold), noun), *rest]) + where + window


@attrs.frozen
class Invitation:
    """A tier that a member holds by invitation, or because it is paid for: from `starts` until `ends` (exclusive)."""

    tier: str = attrs.field(converter=words("invitation.tier"))
    starts: datetime = attrs.field(converter=moment("invitation.starts"), eq=to_us)
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("invitation.ends")))
    source: str = attrs.field(default="invitation", converter=words("invitation.source"))

    def __attrs_post_init__(self) -> None:
        if self.ends is not None and to_us(self.ends) <= to_us(self.starts):
            raise InputError("invitation.ends", self.ends, f"give an instant later than the start, {self.starts}")


# ---------------------------------------------------------------- what comes out


@attrs.frozen
class TierChange:
    """That a tier was entered, renewed or lost, at an instant. `before` and `after` are None where there is no tier."""

    kind: Change
    at: datetime
    before: str | None
    after: str | None


@attrs.frozen
class TierStanding:
    """Where a member stands on a ladder at an instant.

    `value` is the measure's, as it counts now. The tier is held since `since` (None: ever since), until `until`
    (exclusive; None: with no end in sight) if nothing more happens, and then it will be `then`. `to_next` is what is
    missing to `next`, `to_keep` the least that would have to be added now for the tier to last beyond `until` (each
    None: nothing that is done now helps, or nothing needs to be done). `reason` is ``qualified``, ``kept`` (its
    validity or grace lasts, a soft landing), or the source of an invitation.
    """

    ladder: str
    member: str
    at: datetime
    tier: str | None
    since: datetime | None
    until: datetime | None
    then: str | None
    value: int | Decimal
    next: str | None
    to_next: int | Decimal | None
    to_keep: int | Decimal | None
    reason: str
    zone: str = "UTC"

    def __str__(self) -> str:
        lines = [f"{self.ladder}: {self.tier or 'no tier'}"]
        if self.until is not None:
            lines[0] += f" until {local_date(self.until, self.zone)}, then {self.then or 'no tier'}"
        if self.to_next is not None:
            lines.append(f"  {self.to_next} to {self.next}")
        if self.to_keep:
            lines.append(f"  {self.to_keep} to keep {self.tier}")
        return "\n".join(lines)


# ---------------------------------------------------------------- what one asks


def standing(ladder: Ladder, history: History, at: datetime, invitations: Iterable[Invitation] = ()) -> TierStanding:
    """Return where a member stands on a ladder at an instant. Nothing that happens or becomes known later counts.

    >>> from datetime import UTC
    >>> from loyaltykit.calendar import days, months
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.measures import spend
    >>> ladder = Ladder("status", spend(months(12)), {"Bronze": 0, "Silver": 300, "Gold": 1000}, grace=days(30))
    >>> history = History([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="420.00")])
    >>> print(standing(ladder, history, datetime(2026, 3, 3, tzinfo=UTC)))
    status: Silver until 2027-04-01, then Bronze
      580.00 to Gold
      300.00 to keep Silver
    """
    now, invitations = to_us(instant(at)), tuple(invitations)
    course = _course(ladder, history, now, invitations)
    run = course.run(now)
    value, above = course.value(), course.above(run.place)
    counts = bool(course.stretches(now))  # of a fixed window, nothing does before and after it
    until = None if run.end >= FOREVER else from_us(run.end)
    reason = "qualified" if course.rank(value) >= run.place else "kept"
    if reason == "kept":
        holding = (each.source for each in invitations if ladder.place(each.tier) == run.place and _holds(each, now))
        reason = next(holding, reason)
    return TierStanding(
        ladder.name, history.member, from_us(now), _name(ladder, run.place), _begun(run, course), until,
        None if until is None else _name(ladder, course.run(run.end).place), amount(ladder.measure, history, value),
        None if above is None else _name(ladder, above),
        None if above is None or not counts else shown(ladder.measure, history, (course.goals[above] or 0) - value),
        None if until is None or run.place < 0 else shown(ladder.measure, history, course.to_keep(run)), reason,
        history.zone,
    )  # fmt: skip


def _course(ladder: Ladder, history: History, now: int, invitations: Iterable[Invitation]) -> Course:
    in_money = ladder.measure.kind == "spend"
    goals = [
        None if tier.invitation
        else to_minor(tier.threshold, history.currency, f"ladder.tiers[{place}].threshold") if in_money
        else int(tier.threshold)
        for place, tier in enumerate(ladder.tiers)
    ]  # fmt: skip
    invited = [
        Run(to_us(each.starts), FOREVER if each.ends is None else to_us(each.ends), ladder.place(each.tier))
        for each in invitations
        if to_us(each.starts) <= now
    ]
    terms = Rules(ladder.validity, ladder.review, ladder.grace, ladder.downgrade, ladder.refunds)
    return Course(terms, ladder.measure, goals, invited, history, now)


def _name(ladder: Ladder, place: int) -> str | None:
    return ladder.tiers[place].name if place >= 0 else None


def _holds(invitation: Invitation, at: int) -> bool:
    return to_us(invitation.starts) <= at and (invitation.ends is None or at < to_us(invitation.ends))


def _begun(run: Run, course: Course) -> datetime | None:
    """Return since when a tier is held: that which a member begins with, since there is the member."""
    if run.start != SINCE_EVER:
        return from_us(run.start)
    anchor = None if course.history.anchor is None else to_us(course.history.anchor)
    return None if anchor is None or anchor > course.at or anchor >= run.end else from_us(anchor)


def tier_of(ladder: Ladder, history: History, at: datetime, invitations: Iterable[Invitation] = ()) -> str | None:
    """Return the name of the tier at an instant; None where there is none."""
    now = to_us(instant(at))
    return _name(ladder, _course(ladder, history, now, invitations).run(now).place)


def changes(
    ladder: Ladder, history: History, at: datetime, invitations: Iterable[Invitation] = ()
) -> tuple[TierChange, ...]:
    """Return every entry, renewal and downgrade up to an instant, in time.

    A renewal is the first time in a later review period that the threshold of the tier is reached while it is held; of
    a tier that lasts while qualifying, any time that it is reached again in its grace. The tier that a member begins
    with is no change.
    """
    now = to_us(instant(at))
    course = _course(ladder, history, now, invitations)
    found = []
    before: Run | None = None
    for run in course.runs:
        if run.start > now:
            break
        name = _name(ladder, run.place)
        if before is not None:
            kind: Change = "entry" if run.place > before.place else "downgrade"
            found.append(TierChange(kind, from_us(run.start), _name(ladder, before.place), name))
        found += [TierChange("renewal", from_us(each), name, name) for each in course.renewals(run)]
        before = run
    return tuple(found)


def benefits_of(
    ladder: Ladder, history: History, at: datetime, invitations: Iterable[Invitation] = ()
) -> tuple[Grant, ...]:
    """Return the benefits of every tier that was held up to an instant, with their dates, as grants."""
    now = to_us(instant(at))
    course = _course(ladder, history, now, invitations)
    found = []
    for run in course.runs:
        starts = _begun(run, course)
        if run.place < 0 or run.start > now or starts is None:
            continue
        tier = ladder.tiers[run.place]
        ends = None if run.end >= FOREVER else from_us(run.end)
        held = f"{ladder.name}:{tier.name}:{history.member}:{stamp(starts)}"
        for label, benefit in _labelled(tier.benefits):
            found.append(
                Grant(benefit, history.member, f"{ladder.name}: {tier.name}", f"tier:{held}:{label}", starts, ends)
            )
    return tuple(found)


def _labelled(benefits: Iterable[Benefit]) -> Iterator[tuple[str, Benefit]]:
    """Yield benefits with their names, numbered where they are the same."""
    seen: dict[str, int] = {}
    for benefit in benefits:
        seen[benefit.name] = seen.get(benefit.name, 0) + 1
        yield benefit.name if seen[benefit.name] == 1 else f"{benefit.name}#{seen[benefit.name]}", benefit


def decisions(
    ladder: Ladder, history: History, at: datetime, invitations: Iterable[Invitation] = ()
) -> tuple[Decision, ...]:
    """Return what changes of tier ask the host to do: to tell the member, and to give what entering a tier brings.

    An entry reward is given once a review period and tier, however often the tier is entered in it. What was not
    carried out while the tier was held is over when it ends: a refund on the same day leaves nothing to celebrate.
    """
    found: dict[str, Decision] = {}
    seen: dict[str, int] = {}

    def numbered(key: str) -> str:
        seen[key] = seen.get(key, 0) + 1
        return key if seen[key] == 1 else f"{key}:{seen[key]}"

    told = changes(ladder, history, at, invitations)
    for place, change in enumerate(told):
        window = bounds(ladder.review, change.at, history.tz, history.anchor or change.at)
        period = _day(window.start or change.at, history)
        key = numbered(f"tier_{change.kind}:{ladder.name}:{change.after}:{history.member}:{period}")
        data = {name: value for name, value in (("from", change.before), ("to", change.after)) if value is not None}
        reason = f"{_TOLD[change.kind]} {change.after or 'no tier'} on {ladder.name}"
        over = next((other.at for other in told[place + 1 :] if other.kind != "renewal"), None)
        ends = over if change.kind != "downgrade" else None
        found[key] = Decision(f"tier_{change.kind}", history.member, key, change.at, ends, reason=reason, data=data)
        if change.kind == "entry" and change.after is not None:
            for label, benefit in _labelled(ladder.tiers[ladder.place(change.after)].entry):
                key = f"entry:{ladder.name}:{change.after}:{history.member}:{period}:{label}"
                given = Decision("entry_reward", history.member, key, change.at, ends, reason=reason, benefit=benefit)
                found[key] = attrs.evolve(found.get(key, given), ends=ends)
    return tuple(found.values())


_TOLD = {"entry": "reached", "renewal": "kept", "downgrade": "fell to"}


def _day(at: datetime, history: History) -> str:
    return local_date(at, history.tz).isoformat()


def lint_ladder(ladder: Ladder) -> list[str]:
    """Return what makes no sense about a ladder although it is valid."""
    found = []
    reachable = [tier for tier in ladder.tiers if not tier.invitation]
    if not reachable or reachable[0].threshold:
        found.append(f"ladder {ladder.name!r} has no tier that a member begins with")
    elif not (reachable[0].benefits or reachable[0].entry):
        found.append(f"tier {reachable[0].name!r} of ladder {ladder.name!r} brings nothing")
    return found
