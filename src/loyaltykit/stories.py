"""What facts mean to the books: from everything known about an order, or an activity, to the steps of the ledger.

Pure. An order, its revisions, refunds, reversals and the events that its points wait for are one story. Whenever a
part of it arrives, in whatever order, the whole story is told anew: after each of its events, what the award
amounts to and how many points are spent. Steps that were planned before in the same words are left out, so a story
heard in order costs one step an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from loyaltykit.awards import Award, AwardLot
from loyaltykit.books import RANK_AWARD, RANK_CAPTURE, RANK_REFUND, RANK_REVISION, RANK_SPEND, Step
from loyaltykit.calendar import from_us, to_us
from loyaltykit.commands import Terms
from loyaltykit.consent import Consent, Told
from loyaltykit.earning import award, counts_back, dates, dates_on_event, targets
from loyaltykit.errors import InputError
from loyaltykit.facts import (
    Activity,
    Member,
    Order,
    Refund,
    Reversal,
    Tender,
    order_key,
    order_of,
    spending_key,
)
from loyaltykit.journal import NEVER, stem
from loyaltykit.matching import Tiers
from loyaltykit.program import Program
from loyaltykit.refunds import Returned, remains, returned
from loyaltykit.worth import plan_of

OrderFact = Order | Refund | Reversal | Activity


class Known(NamedTuple):
    """What was fixed when an order first became known, and holds for all its later events."""

    program: Program
    tier: Tiers
    used: Mapping[str, int]
    redeemed: frozenset[str] = frozenset()  # the keys of its points parts under which redemptions were known


class Event(NamedTuple):
    """One fact of an order's story, with its place."""

    at: int
    rank: int
    key: str
    fact: OrderFact


class Story(NamedTuple):
    """An order's whole story, told."""

    steps: list[Step]
    award: Award | None  # of the revision in force at the end; None while the order is unknown
    award_of: Order | None  # that revision
    counts: dict[str, int]  # what counts under caps and budgets at the end
    returned: Returned | None  # what has gone back to the customer at the end
    ignored: tuple[str, ...]  # refunds that cannot be true of this order


def key_of(fact: Told) -> str:
    """Return the key under which a fact is recorded.

    >>> from datetime import datetime, UTC
    >>> key_of(Order("7", "ann", datetime(2026, 1, 1, tzinfo=UTC), amount="1.00", revision=2))
    'order:7@2'
    """
    match fact:
        case Order():
            return order_key(fact.id, fact.revision)
        case Member():
            return f"member@{to_us(fact.at)}"
        case Consent():
            return f"consent:{fact.topic}@{to_us(fact.at)}"
        case _:
            return f"{type(fact).__name__.lower()}:{fact.id}"


_NO_STORY = (Member, Consent)


def ref_of(fact: Told) -> str | None:
    """Return the key of the order whose story a fact belongs to, if any."""
    order = None if isinstance(fact, _NO_STORY) else order_of(fact)
    return None if order is None else order_key(order)


def _event(fact: OrderFact) -> Event:
    if isinstance(fact, Order):
        rank = RANK_AWARD if fact.revision == 1 else RANK_REVISION + fact.revision
        return Event(to_us(fact.known_from), rank, key_of(fact), fact)
    return Event(to_us(fact.at), RANK_REFUND, key_of(fact), fact)


def order_story(facts: Iterable[OrderFact], known: Known, terms: Callable[[str], Terms]) -> Story:
    """Tell the story of one order from all facts about it, whatever the order in which they are given."""
    program = known.program
    order: Order | None = None
    given: Award | None = None
    back: Returned | None = None
    refunds: dict[str, Refund] = {}
    happened: dict[str, datetime] = {}
    lots: dict[str, list[Any]] = {}
    parts: dict[str, Tender] = {}
    steps: list[Step] = []
    ignored: list[str] = []
    for at, rank, key, fact in sorted((_event(fact) for fact in facts), key=lambda event: event[:3]):
        match fact:
            case Order():
                if order is not None and fact.revision < order.revision:
                    continue
                order, given = fact, award(program, fact, tier=known.tier, used=known.used)
            case Refund():
                refunds[fact.id] = fact
            case Reversal():
                refunds.pop(fact.refund, None)
            case Activity():
                happened.setdefault(fact.name, fact.at)
        if order is None or given is None:
            continue
        match fact:
            case Refund() if not _possible(order, refunds.values(), program):
                ignored.append(key)
                del refunds[fact.id]
            case Refund(lines=None, amount=None):
                refunds[fact.id] = _what_is_left(order, fact, refunds, program)
            case Order():
                steps += _activity(at, rank, key, given, fact, terms)
                parts.update(_parts(fact))
                kept: dict[str, Refund] = {}
                for earlier in refunds.values():
                    if _possible(order, [*kept.values(), earlier], program):
                        kept[earlier.id] = earlier
                    else:
                        ignored.append(key_of(earlier))
                refunds = kept
        standing = tuple(refunds.values())
        back, stands = None, tuple(lot.points for lot in given.lots)
        if standing or order.state == "cancelled":
            back = returned(order, standing, program.currency, program.refund_split, program.reward_back)
            stands = targets(program, order, standing, given)
        steps += _spending(at, rank, key, order, back, known, terms)
        steps += _no_longer_spent(at, rank, key, order, parts, terms)
        named = {lot_name(program, order_key(order.id), lot): lot for lot in given.lots}
        for (name, lot), target in zip(named.items(), stands, strict=True):
            lots[name] = [lot.unit, *_when(lot)]
            steps.append([at, rank, key, "award", name, lot.unit, target, *_when(lot), terms(lot.unit).shortfall])
            if lot.active_at is None and lot.event in happened:
                made = dates_on_event(lot, happened[lot.event], program.zone)
                steps.append([at, rank, key, "dates", name, _us(made.active_at), _us(made.expires_at)])
        for name, (unit, *when) in lots.items():
            if name not in named:
                steps.append([at, rank, key, "award", name, unit, 0, *when, terms(unit).shortfall])
    counts: dict[str, int] = {}
    if order is not None and given is not None:
        counts = dict(given.counts)
        if refunds and counts:
            for name, amount in counts_back(program, order, tuple(refunds.values()), given):
                counts[name] = counts.get(name, 0) - amount
    return Story(steps, given, order, counts, back, tuple(ignored))


def new_story(order: Order, known: Known, terms: Callable[[str], Terms]) -> Story:
    """Tell the story of an order of which nothing else is known: what `order_story` says of its one revision."""
    if order.state == "cancelled":
        return order_story([order], known, terms)
    at, rank, key, _ = _event(order)
    given = award(known.program, order, tier=known.tier, used=known.used)
    steps = _activity(at, rank, key, given, order, terms)
    if order.tenders:
        steps += _spending(at, rank, key, order, None, known, terms)
    steps += _awarded(at, rank, key, known.program, order_key(order.id), given, terms)
    return Story(steps, given, order, dict(given.counts), None, ())


def _awarded(
    at: int, rank: int, key: str, program: Program, of: str, given: Award, terms: Callable[[str], Terms]
) -> list[Step]:
    """Return the steps that say what an award amounts to when it is given."""
    return [
        [at, rank, key, "award", lot_name(program, of, lot), lot.unit, lot.points, *_when(lot),
         terms(lot.unit).shortfall]
        for lot in given.lots
    ]  # fmt: skip


def _when(lot: AwardLot) -> tuple[int, int, int]:
    earned_at = to_us(lot.earned_at)
    active_at = earned_at if lot.active_at is lot.earned_at else _us(lot.active_at)
    return earned_at, active_at, _us(lot.expires_at)


def _what_is_left(order: Order, refund: Refund, refunds: Mapping[str, Refund], program: Program) -> Refund:
    """Return a refund of the whole order as one of the lines that remain at its instant.

    It stays that, even if an earlier refund is reversed later: money that had gone back by then was not its own.
    """
    others = [each for each in refunds.values() if each.id != refund.id]
    rest = remains(order, others, program.currency, program.refund_split)
    donations = {line.name for line in order.lines if line.donation}
    lines = {left.line: left.quantity for left in rest.lines if not left.gone and left.line not in donations}
    taken = attrs.evolve(refund, lines=lines) if others and lines else refund
    return taken if _possible(order, [*others, taken], program) else refund


def _activity(at: int, rank: int, key: str, given: Award, order: Order, terms: Callable[[str], Terms]) -> list[Step]:
    """Return the steps that put off the lapse of balances: an order that earns or spends is activity."""
    if rank != RANK_AWARD:
        return []
    units = {lot.unit for lot in given.lots} | {part.unit for part in order.tenders if part.kind == "points"}
    return _lapses(at, rank, key, order.at, units, terms)


def _lapses(
    at: int, rank: int, key: str, when: datetime, units: Iterable[str], terms: Callable[[str], Terms]
) -> list[Step]:
    steps: list[Step] = []
    for unit in sorted(units):
        end = terms(unit).lapse_at(when)
        if end is not None:
            steps.append([at, rank, key, "lapse", unit, end])
    return steps


def _us(at: datetime | None) -> int:
    return NEVER if at is None else to_us(at)


def _possible(order: Order, refunds: Iterable[Refund], program: Program) -> bool:
    try:
        remains(order, tuple(refunds), program.currency, program.refund_split)
    except InputError:
        return False
    return True


def _spending(
    at: int, rank: int, key: str, order: Order, back: Returned | None, known: Known, terms: Callable[[str], Terms]
) -> list[Step]:
    """Return how many points are spent on an order after one of its events.

    Points of a part that names no key are spent by the order itself. A part that names one was spent by a redemption
    or is held: the hold is captured with the order, and refunds give back to the redemption. Where nothing was redeemed
    or is held under the key, the order spends the points itself, under that key.
    """
    steps: list[Step] = []
    first = rank == RANK_AWARD
    for number, tender in enumerate(order.tenders):
        if tender.kind != "points" or not tender.points:
            continue
        of = terms(tender.unit)
        points_back = 0 if back is None or of.restore == "off" else back.tenders[number].points
        ends = [of.shortfall, of.grace_until(from_us(at))]
        if tender.key is None:
            name = spending_key(order.id, number)
            target = 0 if order.state == "draft" else tender.points - points_back
            steps.append([at, RANK_SPEND if first else rank, key, "spent", name, tender.unit, target, *ends])
        else:
            later = RANK_CAPTURE + rank
            if order.state != "draft":
                paid = tender.key in known.redeemed
                steps.append([at, later, key, "paid", tender.key, tender.unit, tender.points, of.shortfall, paid])
            steps.append([at, later, key, "returned", tender.key, tender.unit, points_back, *ends])
    return steps


def _parts(order: Order) -> dict[str, Tender]:
    """Return the parts that were paid in points, by the name under which they are spent."""
    return {
        tender.key or spending_key(order.id, number): tender
        for number, tender in enumerate(order.tenders)
        if tender.kind == "points" and tender.points
    }


def _no_longer_spent(
    at: int, rank: int, key: str, order: Order, parts: Mapping[str, Tender], terms: Callable[[str], Terms]
) -> list[Step]:
    """Return the steps that give back what earlier revisions of an order were paid with and this one is not."""
    steps: list[Step] = []
    now = _parts(order)
    for name, tender in parts.items():
        of = terms(tender.unit)
        if name in now or of.restore == "off":
            continue
        ends = [of.shortfall, of.grace_until(from_us(at))]
        if tender.key is None:
            steps.append([at, rank, key, "spent", name, tender.unit, 0, *ends])
        else:
            steps.append([at, RANK_CAPTURE + rank, key, "returned", name, tender.unit, tender.points, *ends])
    return steps


def lot_name(program: Program, key: str, lot: AwardLot) -> str:
    """Return the name of a lot: its fact's key, and what tells it from a lot of ``points`` with their usual dates."""
    key = stem(key)
    parts = [] if lot.unit == "points" else [lot.unit]
    if not plan_of(program).usual.isdisjoint(lot.rules):
        return f"{key}#{lot.unit}" if parts else key
    usual = dates(program.unit(lot.unit), lot.earned_at, program.zone)
    if (lot.active_at, lot.expires_at, lot.event, lot.validity) != (
        usual.active_at, usual.expires_at, usual.event, usual.validity,
    ):  # fmt: skip
        ends = str(_us(lot.expires_at)) if lot.validity is None else str(lot.validity)
        parts += [lot.event or str(_us(lot.active_at)), ends]
    return "#".join([key, ":".join(parts)]) if parts else key


def activity_steps(program: Program, activity: Activity, given: Award, terms: Callable[[str], Terms]) -> list[Step]:
    """Return the steps of what an activity earned."""
    at, key = to_us(activity.at), key_of(activity)
    steps = _lapses(at, RANK_AWARD, key, activity.at, {lot.unit for lot in given.lots}, terms)
    return steps + _awarded(at, RANK_AWARD, key, program, key, given, terms)


def unsaid(steps: Sequence[Step], planned: Sequence[Step]) -> list[Step]:
    """Return the steps of a story that change anything: neither planned in the same words, nor saying what stands.

    `planned` are the steps of earlier records of the story. One that the story no longer has is taken back: it is
    said anew with None in place of its values.
    """
    if not planned and len(steps) == 1 and steps[0][3] == "award" and _target(steps[0]):
        return [*steps]  # what nearly every order comes to
    # What an activity earned by itself is said beside the story of the order that it names.
    before = {
        (step[2], step[3], step[4]): step
        for step in planned
        if not (step[1] == RANK_AWARD and step[2].startswith("activity:"))
    }
    standing: dict[tuple[str, str], Any] = {}
    told = set()
    new = []
    for step in steps:
        what, said = (step[3], step[4]), step[5:]
        if step[3] == "award" and standing.get(what) != said:
            standing.pop(("dates", step[4]), None)  # there may have been no lot that could be dated
        earlier = before.get((step[2], *what))
        if earlier is None:
            nothing = what not in standing and step[3] in ("award", "spent", "returned") and not _target(step)
            if not nothing and standing.get(what) != said:
                new.append(step)
        elif earlier != step:
            new.append(step)
        standing[what] = said
        told.add((step[2], *what))
    new += [[*step[:5], None] for which, step in before.items() if which not in told and step[5] is not None]
    return new


def _target(step: Step) -> int:
    return int(step[6])
