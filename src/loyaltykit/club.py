"""`Club`: a program, a store, and every member's books. The only imperative part, and thin.

Read what the decision needs, call the pure function, append what it says: that is every method here. What two
writers do to one member at the same time is settled by the store's version check, and the one that came second
decides again on what the first one left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import attrs

from loyaltykit import commands, marks, wire
from loyaltykit.amounts import whole
from loyaltykit.awards import Award
from loyaltykit.calendar import instant, to_us
from loyaltykit.commands import Command, Draft
from loyaltykit.consent import Told
from loyaltykit.decisions import Receipt
from loyaltykit.errors import InputError, Refused, UnknownMember
from loyaltykit.facts import Activity, Member, Order
from loyaltykit.grants import Benefit, Decision
from loyaltykit.handover import merge, unmerge
from loyaltykit.housekeeping import Housekeeping
from loyaltykit.journal import NEVER, Need
from loyaltykit.ledger import (
    Envelope,
    verify,
)
from loyaltykit.matching import Tiers
from loyaltykit.merges import note_of
from loyaltykit.program import Program
from loyaltykit.rewards import Coins, Quote, Reward, quote
from loyaltykit.rulebook import Rulebook
from loyaltykit.session import Task
from loyaltykit.sources import FactSource
from loyaltykit.status import tiers_of
from loyaltykit.stores.protocol import Store
from loyaltykit.writer import Writer

SPENDS = (commands.Redeem, commands.Hold, commands.Capture, commands.Transfer)
"""The commands that only the member may give, or an agent that the program names."""


def utc_now() -> datetime:
    """Return this machine's time, in UTC. It only says when something was recorded, and decides nothing."""
    return datetime.now(UTC)


class Club(Housekeeping):
    """A program at work: record facts, give commands, ask questions.

    `program` is one `Program`, or several versions of one; versions that the store knows from earlier are added.
    `store` keeps the books; it is closed with the club where the club is used as a context manager. `clock` says
    when something is recorded (aware datetimes); it decides nothing. `source` tells what is known of members from the
    shop's own tables (see `loyaltykit.sources`), so that status, segments and tiers need no copies of orders.

    A club may be used by several threads. Instants are aware datetimes; days are the program's.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import MemoryStore, Order, Program, per_amount
    >>> club = Club(Program(name="corner", currency="USD", earning=[per_amount(1, each="1.00")]), MemoryStore())
    >>> club.record(Order("1001", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")).points
    59
    >>> club.balance("ann", at=datetime(2026, 3, 3, tzinfo=UTC)).available
    59
    """

    def __init__(
        self, program: Program | Iterable[Program], store: Store, *, clock: Callable[[], datetime] = utc_now,
        source: FactSource | None = None,
    ) -> None:  # fmt: skip
        programs = [program] if isinstance(program, Program) else list(program)
        if not programs:
            raise InputError("program", program, "give a Program, or several versions of one")
        if len({each.name for each in programs}) > 1:
            raise InputError("program", [each.name for each in programs], "give versions of one program")
        self.name = programs[0].name
        self._store = store
        versions = {each.version: each for each in programs}
        _check_versions(programs, store.versions(self.name))
        for each in programs:
            effective = -NEVER if each.effective_from is None else to_us(each.effective_from)
            store.register(self.name, each.version, effective, wire.canonical(each))
        for version, _, payload in store.versions(self.name):
            if version not in versions:
                versions[version] = wire.loads(Program, payload)
        self._rules = Rulebook(versions)
        self._writer = Writer(self._rules, store, clock, source)

    def __enter__(self) -> Club:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    # ------------------------------------------------------------ facts

    def record(self, fact: Told, *, tier: Tiers = None) -> Receipt:
        """Record a fact: an order, a refund, a reversal, an activity, a member, a consent.

        Facts may come in any order and any number of times; the same again is answered the same, and changes nothing.
        A fact of an unknown member opens an account. `tier` is the member's tier when an order or activity earns
        (default: that of the program's ladders, by what is on record then; it is not decided again later).
        Raises `KeyReused` if the fact's id was recorded with another content, `RefundTooLarge` for a refund above
        what is left of its order, `WrongCurrency`.
        """
        return self._rules.receipt(self._writer.record(fact, tier), fact)

    def record_many(self, facts: Iterable[Told], *, batch: int = 2_000) -> Iterator[Receipt]:
        """Record facts by batches, in the order given, each batch in one durable step; yield a receipt for each.

        Several times as fast as one by one. An error is raised once all that came before it is recorded; some of what
        comes after it in its batch may be recorded too. To deliver everything again is always safe.
        """
        batch = whole(batch, "batch", 1)
        pending: list[Told] = []
        for fact in facts:
            pending.append(fact)
            if len(pending) >= batch:
                yield from self._writer.record_batch(pending)
                pending = []
        if pending:
            yield from self._writer.record_batch(pending)

    def preview(self, order: Order | Activity, *, tier: Tiers = None) -> Award:
        """Return what an order or activity would earn if it were recorded now. Nothing is recorded.

        The same function decides as when it is recorded, with what has been counted under the caps so far.
        """
        self._rules.check_currency(order)
        return self._writer.preview(order, tier)

    # ------------------------------------------------------------ commands

    def earn(
        self, member: str, points: int, *, key: str, at: datetime, unit: str = "points",
        active_at: datetime | None = None, expires_at: datetime | None = None, actor: str | None = None,
        reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Give points by hand, outside any rule; dates left out are those of the unit. Opens an unknown account."""
        return self.do(
            commands.Earn(
                member,
                points,
                key=key,
                at=at,
                unit=unit,
                active_at=active_at,
                expires_at=expires_at,
                actor=actor,
                reason=reason,
            )
        )

    def adjust(
        self, member: str, points: int, *, key: str, at: datetime, reason: str, actor: str, unit: str = "points",
        expires_at: datetime | None = None,
    ) -> Receipt:  # fmt: skip
        """Correct a balance by hand, up (positive) or down, with a reason and an actor."""
        return self.do(
            commands.Adjust(
                member, points, key=key, at=at, unit=unit, expires_at=expires_at, actor=actor, reason=reason
            )
        )

    def open(
        self, member: str, lots: Iterable[commands.Opened], *, key: str, at: datetime, unit: str = "points"
    ) -> Receipt:
        """Take over a balance from an older system, lot by lot with its own dates. Opens an unknown account."""
        return self.do(commands.Open(member, tuple(lots), key=key, at=at, unit=unit))

    def quote(
        self, member: str, reward: str | None = None, *, at: datetime, due: Any = None, points: int | None = None,
        tier: Tiers = None, actor: str | None = None,
    ) -> Quote:  # fmt: skip
        """Price a reward for a member: how many points, for what. Nothing is taken.

        Without `reward` the program's points as money are meant; `due` is what is to be paid, of which no more points
        are used than needed. An actor who may not act for the member is quoted nothing.
        """
        program = self.program(instant(at))
        chosen = _reward(program, reward)
        if tier is None and isinstance(chosen, Reward) and program.tiers:
            history, told = self._recorded(member, at, None)
            tier = tiers_of(program.tiers, history, at, told.invitations)
        allowed = actor in (None, member, *program.agents)
        have = self.balance(member, at=at, unit=chosen.unit).available if allowed else 0
        left = None
        if isinstance(chosen, Reward) and chosen.stock is not None:
            left = chosen.stock - self._writer.used(self._writer.pool("stock", chosen.name))
        priced = quote(
            program, chosen, max(have, 0), due=due, at=at, tier=tier, points=points, member=member, left=left
        )
        return priced if allowed else attrs.evolve(priced, points=0, worth=None, reasons=("actor_not_allowed",))

    def redeem(
        self, member: str, points: int | Quote, *, key: str, at: datetime, unit: str = "points",
        order: str | None = None, reward: str | None = None, actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Spend points, or what a quote said, soonest expiring first.

        Raises `InsufficientPoints` (with how many are missing) and `Refused`; a refusal for want of points is
        remembered under the key, so that a late retry cannot succeed by surprise.
        """
        if isinstance(points, Quote):
            if points.member != member:
                raise InputError("quote", points.member, f"was made for another member than {member}")
            if not points.ok:
                raise Refused(points.reasons[0], f"the quote was refused: {', '.join(points.reasons)}", points)
            unit, reward, points = points.unit, points.reward, points.points
        return self.do(
            commands.Redeem(
                member, points, key=key, at=at, unit=unit, order=order, reward=reward, actor=actor, reason=reason
            )
        )

    def restore(
        self, member: str, of: str, points: int | None = None, *, at: datetime, key: str | None = None,
        actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Give back what was redeemed under the key `of` (or `points` of it), to the lots that it came from."""
        return self.do(
            commands.Restore(member, of, points=points, key=key or f"restore:{of}", at=at, actor=actor, reason=reason)
        )

    def hold(
        self, member: str, points: int, *, key: str, until: datetime, at: datetime, unit: str = "points",
        order: str | None = None, actor: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Set points aside for a checkout, at the latest until `until`."""
        return self.do(commands.Hold(member, points, key=key, until=until, at=at, unit=unit, order=order, actor=actor))

    def capture(
        self, member: str, hold: str, points: int | None = None, *, at: datetime, key: str | None = None,
        actor: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Spend what a hold set aside, or `points` of it; the rest goes back to its lots.

        Raises `HoldExpired` at or after the instant until which the points were held.
        """
        return self.do(commands.Capture(member, hold, points=points, key=key or f"capture:{hold}", at=at, actor=actor))

    def release(self, member: str, hold: str, *, at: datetime, key: str | None = None) -> Receipt:
        """Let a hold go; of one that has ended already, nothing."""
        return self.do(commands.Release(member, hold, key=key or f"release:{hold}", at=at))

    def claw_back(
        self, member: str, of: str, points: int | None = None, *, key: str, at: datetime, actor: str | None = None,
        reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Take back points that were given by hand under the key `of`: at most what still stands of them."""
        return self.do(commands.ClawBack(member, of, points=points, key=key, at=at, actor=actor, reason=reason))

    def reinstate(
        self, member: str, lot: str, *, key: str, at: datetime, expires_at: datetime | None = None,
        actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Undo the expiry of a lot, in the same lot, which then lives until `expires_at` (default: a full term)."""
        return self.do(
            commands.Reinstate(member, lot, key=key, at=at, expires_at=expires_at, actor=actor, reason=reason)
        )

    def transfer(
        self, sender: str, recipient: str, points: int, *, key: str, at: datetime, unit: str = "points",
        actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Send points to another member, the soonest expiring first; every lot keeps its dates.

        Two accounts are written one after the other. Should something interrupt it between them, the same call again
        or the next `sweep` completes it.
        """
        self._writer.head(recipient)
        return self.do(
            commands.Transfer(sender, recipient, points, key=key, at=at, unit=unit, actor=actor, reason=reason)
        )

    def merge(self, source: str, into: str, *, at: datetime) -> Receipt:
        """Move everything of one member to another and close the first; done again, it changes nothing.

        Every lot keeps its dates. Later facts of the merged member go to the other.
        """
        if source == into:
            raise InputError("into", into, "give another member than the one to be merged")
        other = self._writer.head(into)
        head = self._writer.head(source)
        note = note_of(head)
        number = note.get("merges", 0) + (head.status != "closed")
        if head.status == "closed" and note["into"] != into:
            raise Refused("member_closed", f"{source} was merged into {note['into']} before")
        if other.status == "closed" and head.status != "closed":
            raise Refused("member_closed", f"{into} was merged into {note_of(other)['into']}; merge into that one")
        return self._writer.hand_over(merge(self._account(source), into, f"merge:{into}:{number}", to_us(instant(at))))

    def unmerge(self, source: str, *, at: datetime) -> Receipt:
        """Undo a merge: each lot goes back, with what is left of it, to the member it came from; later lots stay."""
        head = self._writer.head(source)
        note = note_of(head)
        into = note.get("into") or note.get("last")
        if into is None:
            raise InputError("source", source, "this member was not merged into another")
        while head.status == "closed" and (other := self._writer.head(into)).status == "closed":
            into = note_of(other)["into"]  # by way of that one the lots came to another
        key = f"unmerge:{source}:{note.get('merges', 0)}"
        return self._writer.hand_over(unmerge(self._account(into), source, key, to_us(instant(at))))

    def do(self, command: Command) -> Receipt:
        """Give a command that was made as a value; the methods above make them."""
        if not isinstance(command, Command):
            raise InputError("command", command, "give a command of loyaltykit.commands or loyaltykit.marks")
        program = self.program(command.at)
        spends = isinstance(command, SPENDS)
        if spends and command.actor not in (None, command.member, *program.agents):
            raise Refused(
                "actor_not_allowed",
                f"{command.actor} may not spend the points of {command.member}; name agents in the program",
            )
        try:
            return self._do(command, program)
        except UnknownMember:
            told = self._writer.told(command.member)
            if not told or self._store.load(Need(self._account(command.member))).head is not None:
                raise
        # The shop's own tables know them: their account begins here.
        profiles = [fact for fact in told if isinstance(fact, Member)]
        self.record(max(profiles, key=lambda fact: to_us(fact.at), default=Member(command.member, command.at)))
        return self._do(command, program)

    def _do(self, command: Command, program: Program) -> Receipt:
        task = self._rules.command_task(command)
        if isinstance(command, commands.Transfer):
            return self._writer.hand_over(task)
        if isinstance(command, commands.Redeem) and command.reward is not None:
            return self._writer.redeem_from_stock(command, task, program)
        return self._rules.receipt(self._writer.write(task))

    def invite(
        self, member: str, tier: str, *, key: str, at: datetime, ends: datetime | None = None,
        source: str = "invitation", actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Let a member hold a tier from `at` until `ends` (exclusive; None: without end): invited, or paid for."""
        return self.do(marks.Invite(member, tier, key=key, at=at, ends=ends, source=source, actor=actor, reason=reason))

    def grant(
        self, member: str, benefit: Benefit, *, key: str, at: datetime, ends: datetime | None = None,
        source: str = "by hand", actor: str | None = None, reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Let a member hold a benefit from `at` until `ends` (exclusive; None: without end), outside any rule."""
        return self.do(
            marks.Give(member, benefit, key=key, at=at, ends=ends, source=source, actor=actor, reason=reason)
        )

    def acknowledge(
        self, decision: Decision, *, at: datetime, give: bool = True, actor: str | None = None,
        reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Say that a decision was carried out; it is due no more. What comes with it is given now: points or a benefit.

        With ``give=False`` it is only put away. Done again, it changes nothing. The receipt says what was earned by it.
        """
        benefit, said = decision.benefit, decision.reason or None
        given: Receipt | None = None
        if give and benefit is not None:
            valid = dict(decision.data).get("valid_until")
            ends = None if valid is None else datetime.fromisoformat(valid)
            if benefit.points:
                given = self.earn(
                    decision.member, benefit.points, key=decision.key, at=at, expires_at=ends, reason=said
                )
            else:
                source = said or decision.kind
                self.grant(decision.member, benefit, key=decision.key, at=at, ends=ends, source=source)
        key = f"done:{decision.key}"
        receipt = self.do(marks.Acknowledge(decision.member, decision.key, key=key, at=at, actor=actor, reason=reason))
        return receipt if given is None else attrs.evolve(receipt, points=given.points, changes=given.changes)

    # ------------------------------------------------------------ housekeeping

    def verify(self, member: str) -> list[str]:
        """Return what is wrong with a member's stored books, in words; an empty list if nothing is."""
        return verify(self._load(Need(self._account(member), everything=True), member))

    def rebuild(self, member: str, *, at: datetime) -> Receipt:
        """Fold a member's records anew and mend every row that differs; entries are corrected, never changed."""
        context = self._load(Need(self._account(member), everything=True), member)
        version = context.head.version if context.head else 0
        envelope = Envelope(f"rebuild@{version + 1}", "rebuild", to_us(instant(at)), "", "{}")
        need = Need(self._account(member), everything=True)
        task = Task(need, envelope, lambda view: Draft([], {}, anew=True), self._rules.terms(self.program(at)))
        return self._rules.receipt(self._writer.write(task))


# ---------------------------------------------------------------- small steps


def _check_versions(programs: Iterable[Program], known: Iterable[tuple[int, int, str]]) -> None:
    """Refuse a program that was changed under a version under which points were given already."""
    before = {version: payload for version, _, payload in known}
    for program in programs:
        if before.get(program.version, wire.canonical(program)) != wire.canonical(program):
            raise InputError(
                "program.version", program.version, "the store knows this version with another content: awards name the"
                " version that made them, so give the changed program the next version and its effective_from",
            )  # fmt: skip


def _reward(program: Program, name: str | None) -> Coins | Reward:
    """Return the reward of a name, or by default the program's points as money."""
    for each in program.rewards:
        if each.name == name or (name is None and isinstance(each, Coins)):
            return each
    known = ", ".join(each.name for each in program.rewards) or "none"
    raise InputError("reward", name, f"the program has no such reward; it has: {known}")
