"""What a scenario sees of a member's status, beside what was expected of it, and why it is so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from loyaltykit.badges import Stamped
from loyaltykit.benefits import Entitlement
from loyaltykit.club import Club
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError
from loyaltykit.grants import Decision
from loyaltykit.status import Status
from loyaltykit.testing._scenario_came import fields, pairs, times_like
from loyaltykit.testing._scenario_form import BenefitSeen, DueSeen, Expect, ThresholdSeen, TierSeen
from loyaltykit.thresholds import Progress
from loyaltykit.tiers import TierStanding

NONE = "none"
"""What documents say where there is no tier, no order, nothing missing."""


class Found(NamedTuple):
    """One thing that was looked at: its place in the document, what was expected, what came, and how to say why."""

    place: str
    expected: Any
    came: Any
    why: Callable[[], str]


@attrs.frozen
class StatusLook:
    """A look at one member of a club, at an instant, from a place in a document."""

    club: Club
    member: str
    at: datetime
    known_at: datetime | None
    zone: str
    place: str

    def found(self, expect: Expect) -> Iterator[Found]:
        """Yield whatever is expected of the status, with what came."""
        if any(
            getattr(expect, name) is not None
            for name in ("tier", "thresholds", "segments", "badges", "cards", "benefits")
        ):
            yield from self._of_status(expect, self.club.status(self.member, at=self.at, known_at=self.known_at))
        if expect.due is not None:
            decisions = self.club.due(self.member, at=self.at)
            yield due_found(expect.due, decisions, self.zone, self.place, self._standing)
        for purpose, wanted in (expect.consented or {}).items():
            came = self.club.consented(self.member, purpose, at=self.at)
            why = f"{self.member}'s last word on {purpose} was {'yes' if came else 'no, or there is none'}"
            yield Found(f"{self.place}.consented.{purpose}", wanted, came, why.__str__)

    # ------------------------------------------------------------ what is derived from the history

    def _of_status(self, expect: Expect, status: Status) -> Iterator[Found]:
        def why() -> str:
            return str(status)

        if isinstance(expect.tier, str):
            yield Found(f"{self.place}.tier", expect.tier, status.tier() or NONE, why)
        elif expect.tier is not None:
            yield from self._each("tier", expect.tier, self._tier(expect.tier, status), why)
        for name, wanted in (expect.thresholds or {}).items():
            progress = status.threshold(name)
            if isinstance(wanted, bool):
                yield Found(f"{self.place}.thresholds.{name}", wanted, progress.granted, why)
            else:
                yield from self._each(f"thresholds.{name}", wanted, self._threshold(wanted, progress), why)
        for name, seen in (expect.cards or {}).items():
            card = _card(status, name)
            yield from self._each(f"cards.{name}", seen, {each: getattr(card, each) for each in fields(seen)}, why)
        if expect.benefits is not None:
            wants = sorted(expect.benefits, key=lambda each: each if isinstance(each, str) else each.benefit or "")
            came = [self._benefit(*pair) for pair in pairs(wants, sorted(status.benefits, key=_named))]
            yield Found(f"{self.place}.benefits", _given(wants), came, why)
        yield from self._named("segments", expect.segments, status.segments)
        yield from self._named("badges", expect.badges, status.badges)

    def _each(self, name: str, wanted: Any, came: Mapping[str, Any], why: Callable[[], str]) -> Iterator[Found]:
        for field, given in fields(wanted).items():
            yield Found(f"{self.place}.{name}.{field}", given, came[field], why)

    def _tier(self, wanted: TierSeen, status: Status) -> dict[str, Any]:
        ladder = wanted.ladder
        status.tier(ladder)  # which says what ladders there are, if it is none of them
        standing: TierStanding | None = next((each for each in status.tiers if ladder in (None, each.ladder)), None)
        if standing is None:
            raise InputError("tier", ladder, "the program has no ladder")
        came = {name: _or_none(getattr(standing, name)) for name in fields(wanted) if name != "through"}
        return came | self._times(wanted, {"since": standing.since, "until": standing.until}, standing.until)

    def _threshold(self, wanted: ThresholdSeen, progress: Progress) -> dict[str, Any]:
        named = ("granted", "value", "target", "to_go", "order")
        came = {name: _or_none(getattr(progress, name)) for name in named}
        came |= {name: getattr(progress.left, name, 0) for name in ("days", "months", "full_months")}
        times = {name: getattr(progress, name) for name in ("reached_at", "revoked_at", "until")}
        return came | self._times(wanted, times, progress.until)

    def _times(self, wanted: Any, times: Mapping[str, datetime | None], end: datetime | None) -> dict[str, str]:
        return times_like(wanted, {**times, "through": end}, self.zone, self.place)

    def _benefit(self, wanted: BenefitSeen | str | None, held: Entitlement) -> Any:
        if not isinstance(wanted, BenefitSeen):
            return str(held.benefit)
        sources = held.sources[0] if len(held.sources) == 1 else held.sources
        if isinstance(wanted.source, tuple):
            sources = held.sources
        came: dict[str, Any] = {"benefit": str(held.benefit), "source": sources}
        came |= self._times(wanted, {"until": held.until}, held.until)
        return {name: came[name] for name in fields(wanted)}

    # ------------------------------------------------------------ conditions

    def _named(self, name: str, wanted: Iterable[str] | None, came: Iterable[str]) -> Iterator[Found]:
        """Yield the names that hold; the rules about which there is a difference are explained."""
        if wanted is None:
            return
        wrong = set(wanted) ^ set(came)

        def why() -> str:
            rules = [each for each in getattr(self.club.program(self.at), name) if each.name in wrong]
            said = [f"{each.name}: {self.explained(each.condition)}" for each in rules]
            return "\n".join([*said, *(f"{each}: no such rule" for each in sorted(wrong - {r.name for r in rules}))])

        yield Found(f"{self.place}.{name}", sorted(wanted), sorted(came), why)

    def explained(self, condition: Condition) -> str:
        """Return why a condition holds, or does not."""
        history = self.club.history(self.member, at=self.at, known_at=self.known_at)
        return str(condition.explain(history, self.at))

    def _standing(self) -> str:
        return str(self.club.status(self.member, at=self.at))


def due_found(
    wanted: tuple[DueSeen | str, ...], decisions: Sequence[Decision], zone: str, place: str, standing: Callable[[], str]
) -> Found:
    """Return what is due, beside what was expected to be."""

    def why() -> str:
        said = [f"{each.kind} {each.key}, due {each.due:%Y-%m-%d %H:%M %Z}: {each.reason}" for each in decisions]
        return "\n".join([*said, standing()])

    came = [_decision(*pair, zone, place) for pair in pairs(wanted, decisions)]
    return Found(f"{place}.due", _given(wanted), came, why)


def _decision(wanted: DueSeen | str | None, decision: Decision, zone: str, place: str) -> Any:
    if not isinstance(wanted, DueSeen):
        return decision.key
    data = dict(decision.data)
    benefit = NONE if decision.benefit is None else str(decision.benefit)
    came: dict[str, Any] = {"kind": decision.kind, "key": decision.key, "benefit": benefit}
    came["data"] = {name: data.get(name, NONE) for name in wanted.data or {}}
    times = {"due": decision.due, "ends": decision.ends, "through": decision.ends}
    return {name: came[name] for name in fields(wanted) if name in came} | times_like(wanted, times, zone, place)


def in_segment(club: Club, name: str, wanted: Iterable[str], at: datetime, zone: str, place: str) -> Found:
    """Return who is in a segment at an instant, beside who was expected to be."""
    came = club.segment(name, at=at)

    def why() -> str:
        condition = next(each.condition for each in club.program(at).segments if each.name == name)
        looks = [StatusLook(club, member, at, None, zone, place) for member in sorted(set(wanted) ^ set(came))]
        return "\n".join(f"{look.member}: {look.explained(condition)}" for look in looks)

    return Found(f"{place}.{name}", sorted(wanted), sorted(came), why)


def _card(status: Status, name: str) -> Stamped:
    card = next((each for each in status.cards if each.card == name), None)
    if card is None:
        raise InputError("card", name, f"the program has: {', '.join(each.card for each in status.cards) or NONE}")
    return card


def _named(held: Entitlement) -> str:
    return str(held.benefit)


def _or_none(value: Any) -> Any:
    return NONE if value is None else value


def _given(wanted: Iterable[Any]) -> list[Any]:
    """Return what was expected, as it is compared: a text, or the fields that were given."""
    return [each if isinstance(each, str) else fields(each) for each in wanted]
