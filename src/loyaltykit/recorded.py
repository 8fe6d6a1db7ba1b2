"""What an account has on record about a member, as values: the facts, the movements of points, consents and marks.

Pure: from stored records and the books folded from them to what the rules that look back ask for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from loyaltykit import status, wire
from loyaltykit.books import Move
from loyaltykit.calendar import from_us, to_us
from loyaltykit.commands import record_key
from loyaltykit.consent import Consent
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal
from loyaltykit.grants import Grant
from loyaltykit.history import History, Movement
from loyaltykit.journal import NEVER, Context, Record, record_of
from loyaltykit.marks import Acknowledge, Give, Invite
from loyaltykit.matching import Tiers
from loyaltykit.program import Program
from loyaltykit.sources import together
from loyaltykit.steps import replay
from loyaltykit.tiers import Invitation

FACTS: Mapping[str, Any] = {
    "order": Order, "refund": Refund, "reversal": Reversal, "activity": Activity,
}  # fmt: skip
"""The kinds of records that are facts about what a member did."""

MARKS: Mapping[str, Any] = {"invite": Invite, "give": Give, "acknowledge": Acknowledge}


class Recorded(NamedTuple):
    """Everything on record about a member, up to an instant of recording."""

    facts: list[Fact]
    consents: list[Consent]
    invitations: dict[str, list[Invitation]]  # by ladder
    grants: list[Grant]
    done: frozenset[str]  # the keys of the decisions that were carried out
    formerly: tuple[str, ...]  # members that were merged into this one


def recorded(
    member: str, records: Iterable[Record], program: Program, at: int, formerly: Iterable[str] = ()
) -> Recorded:
    """Read records back: those of the member, and of those that were merged into them; what was done by `at`."""
    facts: list[Fact] = []
    consents, grants, done = [], [], set()
    invitations: dict[str, list[Invitation]] = {}
    ladders = {tier.name: ladder.name for ladder in program.tiers for tier in ladder.tiers}
    for record in records:
        if record.status == "refused":
            continue
        if record.kind in FACTS:
            fact = wire.loads(FACTS[record.kind], record.payload)
            facts.append(fact if fact.member == member else attrs.evolve(fact, member=member))
        elif record.kind == "consent":
            said = wire.loads(Consent, record.payload)
            consents.append(said if said.member == member else attrs.evolve(said, member=member))
        elif record.kind in MARKS:
            mark = wire.loads(MARKS[record.kind], record.payload)
            match mark:
                case Invite() if mark.tier in ladders:
                    invitations.setdefault(ladders[mark.tier], []).append(mark.invitation)
                case Give():
                    grants.append(attrs.evolve(mark.grant, member=member))
                case Acknowledge() if record.at <= at:
                    done.add(mark.decision)
    return Recorded(facts, consents, invitations, grants, frozenset(done), tuple(formerly))


def waiting(records: Iterable[Record]) -> tuple[Fact, ...]:
    """Return the facts that wait for another: for their order, or for the refund that they say did not stand."""
    told = [record for record in records if record.kind in FACTS]
    known = {record.ref for record in told if record.kind == "order"}
    refunds = {record.key for record in told if record.kind == "refund"}
    found: list[Fact] = []
    for record in sorted(told, key=lambda record: (record.recorded_at, record.at, record.key)):
        idle = record.kind in ("refund", "reversal") or record.status == "waiting"
        fact = wire.loads(FACTS[record.kind], record.payload) if idle else None
        if fact is not None and (
            record.ref not in known or (isinstance(fact, Reversal) and f"refund:{fact.refund}" not in refunds)
        ):
            found.append(fact)
    return tuple(found)


def asks_for_points(program: Program) -> bool:
    """Say whether a program's status rules look at points."""
    return any(measure.kind in ("earned", "balance") for measure in status.measures(program))


def movements(records: Mapping[str, Record], at: int) -> list[Movement]:
    """Return how a member's points moved, and will move after `at` by themselves if nothing more happens.

    Pending points count from when they become active. What was earned on an order, and taken back of it, counts at the
    instant of the order, known from when it happened.
    """
    books = replay([record for record in records.values() if record.at <= at], until=NEVER - 1)
    return [found for move in books.moves if (found := _movement(move, records, at)).points]


_EARNED = ("earn", "activate", "claw_back")


def _movement(move: Move, records: Mapping[str, Record], at: int) -> Movement:
    unit, kind, points, when, source, uses, *_ = move
    for _, origin, to, count in json.loads(uses):
        points += count * ((origin == "pending") - (to == "pending"))
    begun = when
    if kind in _EARNED:
        record = record_of(source, records)
        ref = None if record is None else record.ref or _of(record)
        of = record if ref is None else records.get(ref)
        begun = when if of is None else min(of.at, when)
    sure = at if when > at else None
    return Movement(begun, when, unit, "earn" if kind in _EARNED else kind, points, sure)


def _of(record: Record) -> str | None:
    """Return the record that a command given by hand takes back."""
    of = json.loads(record.payload).get("of") if record.kind == "clawback" else None
    return None if of is None else record_key(of)


def earning_tiers(
    member: str, context: Context, records: Iterable[Record], program: Program, fact: Order | Activity,
    source: Sequence[Fact] = (),
) -> Tiers:  # fmt: skip
    """Return the tier by which a fact earns that is about to be recorded: what it is by all that is known now."""
    history, told = history_of(member, context, records, program, to_us(fact.at), source=source)
    return status.earning_tiers(program, history, fact, told.invitations)


def history_of(
    member: str, context: Context, records: Iterable[Record], program: Program, at: int,
    formerly: Iterable[str] = (), source: Sequence[Fact] = (),
) -> tuple[History, Recorded]:  # fmt: skip
    """Return a member's history as a program counts it, and what else is on record; `source` tells more facts."""
    records = list(records)
    told = recorded(member, records, program, at, formerly)
    known = {record.key for record in records}
    own = {key: record for key, record in context.records.items() if key in known}
    facts = together(told.facts, source, member)
    for (kind, name), item in context.items.items():  # what is said of a person is kept apart from the records
        if kind == "profile" and name != "member" and item.value is not None:
            facts.append(attrs.evolve(wire.loads(Member, item.value), id=member))
    first = [record.at for record in context.records.values()] + [to_us(fact.at) for fact in source]
    joined = min(first, default=None)
    history = History(
        facts,
        member=member,
        currency=program.currency,
        zone=program.zone,
        basis=program.spend_basis or program.basis,
        split=program.refund_split,
        joined=None if joined is None else from_us(joined),
        movements=movements(own, at) if asks_for_points(program) else (),
    )
    return history, told
