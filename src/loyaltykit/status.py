"""Where a member stands by all the rules of a program that look back: tiers, thresholds, segments, badges, cards.

One history, one instant, every rule: `status` says what a member is and holds, `due` what the host has to carry out.
Both are derived; what was carried out is told to `due` by its keys, and is not due again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs

from loyaltykit import (
    badges as badge_rules,
    occasions as occasion_rules,
    thresholds as threshold_rules,
    tiers as tier_rules,
)
from loyaltykit.amounts import format_money
from loyaltykit.badges import Stamped
from loyaltykit.benefits import Entitlement, held, lint_exclusive
from loyaltykit.calendar import from_us, instant, local_date, to_us, zone as zone_of
from loyaltykit.conditions import AllOf, AnyOf, Condition, Not
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Order, order_of
from loyaltykit.grants import Decision, Grant
from loyaltykit.history import History
from loyaltykit.matching import InTier, Tiers, leaves as leaves_of
from loyaltykit.measures import Comparison, Measure
from loyaltykit.rules import POINTS, check_minor, counted
from loyaltykit.thresholds import Progress
from loyaltykit.tiers import Invitation, Ladder, TierStanding

if TYPE_CHECKING:
    from loyaltykit.program import Program


@attrs.frozen
class Status:
    """What a member is and holds at an instant, by every rule of a program. Print it.

    `tiers` has one standing a ladder, `thresholds` one progress each, `segments` the names of those that the member is
    in, `badges` of those that were earned, `cards` the stamp cards; `benefits` are the perks held, each with its
    sources and its end, and `grants` everything that was ever granted, with its dates.
    """

    member: str
    at: datetime
    tiers: tuple[TierStanding, ...] = ()
    thresholds: tuple[Progress, ...] = ()
    segments: tuple[str, ...] = ()
    badges: tuple[str, ...] = ()
    cards: tuple[Stamped, ...] = ()
    benefits: tuple[Entitlement, ...] = ()
    grants: tuple[Grant, ...] = ()

    def tier(self, ladder: str | None = None) -> str | None:
        """Return the name of the tier on a ladder (default: the first); None where there is none."""
        for standing in self.tiers:
            if ladder is None or standing.ladder == ladder:
                return standing.tier
        if ladder is None:
            return None
        raise InputError(
            "ladder", ladder, f"the program has: {', '.join(each.ladder for each in self.tiers) or 'none'}"
        )

    def threshold(self, name: str) -> Progress:
        """Return the progress towards a threshold."""
        for progress in self.thresholds:
            if progress.threshold == name:
                return progress
        known = ", ".join(each.threshold for each in self.thresholds) or "none"
        raise InputError("threshold", name, f"the program has: {known}")

    def ahead(self, currency: str, zone: str) -> list[str]:
        """Return what is to come, in words: how far the next tier is, and until when the present one is kept."""
        said = []
        for each in self.tiers:
            if each.next is not None and each.to_next is not None:
                amount = (
                    format_money(each.to_next, currency) if isinstance(each.to_next, Decimal) else f"{each.to_next:,}"
                )
                said.append(f"{each.next} is {amount} away")
            if each.tier is not None and each.until is not None:
                said.append(f"{each.tier} is kept until {local_date(each.until, zone)} even if nothing more is bought")
        return said

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the tiers and segments that the member is in, as a `loyaltykit.access.Launch` asks for them."""
        return (*(each.tier for each in self.tiers if each.tier is not None), *self.segments)

    def __str__(self) -> str:
        lines = [f"{self.member} on {self.at:%Y-%m-%d}"]
        lines += [
            f"  {line}" for each in (*self.tiers, *self.thresholds, *self.cards) for line in str(each).splitlines()
        ]
        lines += [f"  segments: {', '.join(self.segments)}"] if self.segments else []
        lines += [f"  badges: {', '.join(self.badges)}"] if self.badges else []
        lines += [f"  {each}" for each in self.benefits]
        return "\n".join(lines)


def status(
    program: Program, history: History, at: datetime, invitations: Mapping[str, Iterable[Invitation]] | None = None,
    grants: Iterable[Grant] = (),
) -> Status:  # fmt: skip
    """Return a member's status at an instant.

    `invitations` are those to tiers, by ladder; `grants` those that come from elsewhere (memberships, by hand).

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.measures import spend
    >>> from loyaltykit.program import Program
    >>> from loyaltykit.tiers import Ladder
    >>> program = Program("Club", "USD", tiers=Ladder("status", spend(), {"Bronze": 0, "Silver": 300}))
    >>> history = History([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="420.00")])
    >>> status(program, history, datetime(2026, 3, 3, tzinfo=UTC)).tier()
    'Silver'
    """
    now = from_us(to_us(instant(at)))
    invited = invitations or {}
    every = grants_of(program, history, now, invited, grants)
    earned = badge_rules.earned_badges(program.badges, history, now)
    return Status(
        history.member,
        now,
        tuple(tier_rules.standing(each, history, now, invited.get(each.name, ())) for each in program.tiers),
        tuple(threshold_rules.progress(each, history, now) for each in program.thresholds),
        tuple(each.name for each in program.segments if each.condition.matches(history, now)),
        tuple(dict(each.data)["badge"] for each in earned if each.is_due(now)),
        tuple(badge_rules.stamped(each, history, now) for each in program.cards),
        held(every, now),
        every,
    )


def tiers_of(
    ladders: Iterable[Ladder], history: History, at: datetime,
    invitations: Mapping[str, Iterable[Invitation]] | None = None,
) -> Tiers:  # fmt: skip
    """Return the tier that a member has at an instant; of several ladders, those of each."""
    found = [tier_rules.tier_of(each, history, at, (invitations or {}).get(each.name, ())) for each in ladders]
    return as_tiers(name for name in found if name is not None)


def as_tiers(names: Iterable[str]) -> Tiers:
    """Return the names of tiers as rules are asked about them: one as it is, several as a tuple, none as None."""
    found = tuple(names)
    return found if len(found) > 1 else found[0] if found else None


def earning_tiers(
    program: Program, history: History, fact: Order | Activity,
    invitations: Mapping[str, Iterable[Invitation]] | None = None,
) -> Tiers:  # fmt: skip
    """Return the tier by which a fact earns, from the history of what was known before it.

    By a ladder's `earn_tier`, an order counts towards the tier that it earns by, or does not.
    """
    order = fact.id if isinstance(fact, Order) else None
    before = [each for each in history.facts if order is None or order_of(each) != order]
    found: list[str] = []
    for policy in ("at_start", "include_current"):
        ladders = [ladder for ladder in program.tiers if ladder.earn_tier == policy]
        if ladders:
            facts = before if policy == "at_start" or order is None else [*before, fact]
            there = attrs.evolve(history, facts=facts, joined=history.joined or fact.at)
            names = tiers_of(ladders, there, fact.at, invitations)
            found += [names] if isinstance(names, str) else names or ()
    return as_tiers(found)


def grants_of(
    program: Program, history: History, at: datetime, invitations: Mapping[str, Iterable[Invitation]] | None = None,
    others: Iterable[Grant] = (),
) -> tuple[Grant, ...]:  # fmt: skip
    """Return everything that was granted to a member by an instant, past and present: `others`, and by the rules."""
    found = [*others]
    for ladder in program.tiers:
        found += tier_rules.benefits_of(ladder, history, at, (invitations or {}).get(ladder.name, ()))
    for threshold in program.thresholds:
        found += threshold_rules.granted(threshold, history, at)
    return tuple(found)


@lru_cache(maxsize=256)
def asks_for_tiers(program: Program) -> bool:
    """Say whether what is earned depends on the tiers of the program's own ladders."""
    leaves = (leaf for rule in program.earning for leaf in leaves_of(rule.where))
    return bool(program.tiers) and any(isinstance(leaf, InTier) for leaf in leaves)


def due(
    program: Program, history: History, at: datetime, *, until: datetime | None = None, done: Collection[str] = (),
    invitations: Mapping[str, Iterable[Invitation]] | None = None, formerly: Iterable[str] = (),
    expiring: Iterable[tuple[str, datetime, int]] = (),
) -> tuple[Decision, ...]:  # fmt: skip
    """Return what the host has to carry out for a member at an instant: all that is due and not `done`, by its keys.

    Changes of tier and entry rewards, thresholds reached, badges and full cards, birthdays and other occasions, points
    that are about to expire; the earliest first. With `until`, what dates alone will make due by that instant is there
    too. Derived again, it is the same; acknowledged, it is gone. `expiring` are (unit, instant, points).
    """
    now = from_us(to_us(instant(at)))
    horizon = now if until is None else max(now, from_us(to_us(instant(until, "until"))))
    found: list[Decision] = []
    for ladder in program.tiers:
        found += tier_rules.decisions(ladder, history, now, (invitations or {}).get(ladder.name, ()))
    for threshold in program.thresholds:
        found += threshold_rules.decisions(threshold, history, now)
    found += badge_rules.earned_badges(program.badges, history, now)
    for card in program.cards:
        found += badge_rules.stamped(card, history, now).decisions
    found += occasion_rules.due(program.occasions, history, now, until=horizon, done=done, formerly=formerly)
    if program.expiry_notice is not None:
        found += _expiry(program, history.member, expiring)
    kept = {each.key: each for each in found if max(each.due, now) <= horizon and each.key not in done}
    kept = {key: each for key, each in kept.items() if each.is_due(max(each.due, now))}
    return tuple(sorted(kept.values(), key=lambda each: to_us(each.due)))


def _expiry(program: Program, member: str, expiring: Iterable[tuple[str, datetime, int]]) -> Iterator[Decision]:
    """Yield the decisions to tell a member that points are about to expire: one for each unit and local day."""
    if program.expiry_notice is None:
        return
    sums: dict[tuple[str, date], tuple[int, datetime]] = {}
    for unit, at, points in sorted(expiring, key=lambda each: to_us(each[1])):
        day = local_date(at, program.zone)
        before, first = sums.get((unit, day), (0, at))
        sums[unit, day] = (before + points, first)
    for (unit, day), (points, at) in sums.items():
        yield Decision(
            "points_expiring", member, f"expiring:{unit}:{member}:{day}",
            program.expiry_notice.before(at, program.zone), at,
            reason=f"{counted(points, unit)} expire on {at.astimezone(zone_of(program.zone)):%Y-%m-%d %H:%M}",
            data={"unit": unit, "points": str(points), "expires_at": at.isoformat()},
        )  # fmt: skip


# ---------------------------------------------------------------- whether a program's rules make sense


def looks_back(program: Program) -> bool:
    """Say whether a program has any rule that looks back."""
    return any((program.tiers, program.thresholds, program.segments, program.badges, program.cards))


def conditions(program: Program) -> Iterator[tuple[str, Condition]]:
    """Yield every condition of a program with its path."""
    for place, segment in enumerate(program.segments):
        yield f"program.segments[{place}].condition", segment.condition
    for place, badge in enumerate(program.badges):
        yield f"program.badges[{place}].condition", badge.condition


def comparisons(path: str, condition: Condition) -> Iterator[tuple[str, Comparison]]:
    """Yield the comparisons of a tree, each with its path."""
    match condition:
        case Not():
            yield from comparisons(f"{path}.part", condition.part)
        case AllOf() | AnyOf():
            for place, part in enumerate(condition.parts):
                yield from comparisons(f"{path}.parts[{place}]", part)
        case Comparison():
            yield path, condition


def measures(program: Program) -> Iterator[Measure]:
    """Yield every measure that a program's status rules ask for."""
    yield from (ladder.measure for ladder in program.tiers)
    yield from (threshold.measure for threshold in program.thresholds)
    for path, condition in conditions(program):
        yield from (leaf.measure for _, leaf in comparisons(path, condition))


def check(program: Program) -> None:
    """Refuse a program whose status rules cannot hold: unknown units, another currency, names given twice."""
    for kind in ("tiers", "thresholds", "segments", "badges", "cards"):
        seen: set[str] = set()
        for place, each in enumerate(getattr(program, kind)):
            if each.name in seen:
                raise InputError(f"program.{kind}[{place}].name", each.name, "another one has this name")
            seen.add(each.name)
    names: set[str] = set()
    for place, ladder in enumerate(program.tiers):
        path = f"program.tiers[{place}]"
        _check_measure(program, ladder.measure, f"{path}.measure")
        for number, tier in enumerate(ladder.tiers):
            if tier.name in names:
                raise InputError(f"{path}.tiers[{number}].name", tier.name, "another ladder has a tier of this name")
            names.add(tier.name)
            if ladder.measure.kind == "spend":
                check_minor(tier.threshold, program.currency, f"{path}.tiers[{number}].threshold")  # type: ignore[arg-type]  # money, of spend
    for place, threshold in enumerate(program.thresholds):
        path = f"program.thresholds[{place}]"
        _check_measure(program, threshold.measure, f"{path}.measure")
        if threshold.measure.kind == "spend":
            check_minor(threshold.target, program.currency, f"{path}.target")  # type: ignore[arg-type]  # money, of spend
    for path, condition in conditions(program):
        for where, leaf in comparisons(path, condition):
            _check_measure(program, leaf.measure, f"{where}.measure")
            if leaf.measure.kind == "spend":
                check_minor(leaf.value, program.currency, f"{where}.value")  # type: ignore[arg-type]  # money, of spend


def _check_measure(program: Program, measure: Measure, path: str) -> None:
    if measure.currency not in (None, program.currency):
        raise WrongCurrency(f"{path}.currency", measure.currency, f"the program counts in {program.currency}")
    if measure.kind in ("earned", "balance") and measure.name != POINTS:
        known = [unit.name for unit in program.units]
        if measure.name not in known:
            raise InputError(f"{path}.name", measure.name, f"declare it: units=[Unit({measure.name!r})]")


def lint(program: Program) -> list[str]:
    """Return what makes no sense about a program's status rules although it is valid."""
    found = [message for ladder in program.tiers for message in tier_rules.lint_ladder(ladder)]
    for ladder in program.tiers:
        *others, top = ladder.tiers
        if others and top.benefits:  # the best tier is to bring what the others do not
            found += lint_exclusive(
                top.benefits, [each for tier in others for each in tier.benefits], f"tier {top.name!r}"
            )
        found += [
            f"tier {tier.name!r} holds {each}, which is given only on entering: entry={each.name!r}"
            for tier in ladder.tiers
            for each in tier.benefits
            if each.points
        ]
    known = {tier.name for ladder in program.tiers for tier in ladder.tiers}
    found += [f"threshold {each.name!r} grants nothing" for each in program.thresholds if not each.grants]
    for rule in program.earning:
        for leaf in leaves_of(rule.where):
            if isinstance(leaf, InTier) and known:
                found += [
                    f"earning rule {rule.name!r} asks for tier {name!r}, which no ladder has"
                    for name in _of(leaf)
                    if name not in known
                ]
    return found


def _of(leaf: Any) -> Iterable[str]:
    names: Iterable[str] = leaf.names
    return names


def describe(program: Program) -> list[str]:
    """Return every status rule of a program in one plain line each, in the words that a shopper would be told."""
    said = [ladder.says(program.currency) for ladder in program.tiers]
    said += [threshold.says(program.currency) for threshold in program.thresholds]
    said += [str(each) for each in (*program.cards, *program.badges, *program.occasions)]
    said += [f"{each.name}: {each.condition.says(program.currency)}" for each in program.segments]
    return said
