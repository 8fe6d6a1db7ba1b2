"""`Club`: a program, a store, and every member's books. The only imperative part, and thin.

Read what the decision needs, call the pure function, append what it says: that is every method here. What two
writers do to one member at the same time is settled by the store's version check, and the one that came second
decides again on what the first one left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

import attrs

from loyaltykit import commands, wire
from loyaltykit.awards import Award
from loyaltykit.books import Books, More
from loyaltykit.calendar import Period, from_us, instant, to_us
from loyaltykit.commands import Command, Draft, Terms, View, decide, raise_refusal, record_key
from loyaltykit.decisions import Expiring, Explanation, Page, Receipt, Standing
from loyaltykit.earning import award, counters, dates
from loyaltykit.errors import (
    InputError,
    LoyaltyError,
    OutcomeUnknown,
    RefundTooLarge,
    Refused,
    StaleVersion,
    StoreBusy,
    UnknownMember,
    WrongCurrency,
)
from loyaltykit.explaining import explain_account, reason_of
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal, text
from loyaltykit.journal import NEVER, Context, Need
from loyaltykit.ledger import (
    Balance,
    Envelope,
    Incomplete,
    Lot,
    Posting,
    StatementRow,
    lots_of,
    statement_of,
    verify,
    view_at,
    wider,
)
from loyaltykit.program import Grace, Program, in_force
from loyaltykit.refunds import remains
from loyaltykit.rewards import Coins, Quote, Reward, quote
from loyaltykit.session import Session, Task, pause, union
from loyaltykit.steps import replay
from loyaltykit.stores.protocol import Store
from loyaltykit.stories import Known, activity_steps, key_of, order_story, ref_of, unsaid

ATTEMPTS = 60
"""How often a write that others overtook is decided again before `StoreBusy` is raised."""

KINDS = {"order": Order, "refund": Refund, "reversal": Reversal, "activity": Activity, "member": Member}


def utc_now() -> datetime:
    """Return this machine's time, in UTC. It only says when something was recorded, and decides nothing."""
    return datetime.now(UTC)


class Club:
    """A program at work: record facts, give commands, ask questions.

    `program` is one `Program`, or several versions of one; versions that the store knows from earlier are added.
    `store` keeps the books; it is closed with the club where the club is used as a context manager. `clock` says
    when something is recorded (aware datetimes); it decides nothing.

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
        self, program: Program | Iterable[Program], store: Store, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        programs = [program] if isinstance(program, Program) else list(program)
        if not programs:
            raise InputError("program", program, "give a Program, or several versions of one")
        if len({each.name for each in programs}) > 1:
            raise InputError("program", [each.name for each in programs], "give versions of one program")
        self.name = programs[0].name
        self._store = store
        self._clock = clock
        versions = {each.version: each for each in programs}
        for each in programs:
            effective = -NEVER if each.effective_from is None else to_us(each.effective_from)
            store.register(self.name, each.version, effective, wire.canonical(each))
        for version, _, payload in store.versions(self.name):
            if version not in versions:
                versions[version] = wire.loads(Program, payload)
        self._versions = versions
        self._programs = tuple(versions[version] for version in sorted(versions))
        self._terms_of: dict[tuple[int, str], Terms] = {}

    def __enter__(self) -> Club:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    # ------------------------------------------------------------ programs

    def program(self, at: datetime) -> Program:
        """Return the version of the program that is in force at an instant."""
        return in_force(self._programs, at)

    def _terms(self, program: Program) -> Callable[[str], Terms]:
        def of(unit: str) -> Terms:
            terms = self._terms_of.get((program.version, unit))
            if terms is None:
                terms = self._terms_of[program.version, unit] = _terms(program, unit)
            return terms

        return of

    def _account(self, member: str) -> str:
        return f"{self.name}/{text(member, 'member')}"

    # ------------------------------------------------------------ facts

    def record(self, fact: Fact, *, tier: str | None = None) -> Receipt:
        """Record a fact: an order, a refund, a reversal, an activity, a member.

        Facts may come in any order and any number of times; the same again is answered the same, and changes nothing.
        A fact of an unknown member opens an account. `tier` is the member's tier when an order or activity earns.
        Raises `KeyReused` if the fact's id was recorded with another content, `RefundTooLarge` for a refund above
        what is left of its order, `WrongCurrency`.
        """
        task = self._fact_task(fact, tier)
        posting = self._write(task)
        return self._receipt(posting, fact)

    def record_many(self, facts: Iterable[Fact], *, batch: int = 2_000) -> Iterator[Receipt]:
        """Record facts by batches, in the order given, each batch in one durable step; yield a receipt for each.

        Several times as fast as one by one. An error is raised once what came before it in the batch is recorded.
        """
        pending: list[Fact] = []
        for fact in facts:
            pending.append(fact)
            if len(pending) >= batch:
                yield from self._record_batch(pending)
                pending = []
        if pending:
            yield from self._record_batch(pending)

    def preview(self, order: Order | Activity, *, tier: str | None = None) -> Award:
        """Return what an order or activity would earn if it were recorded now. Nothing is recorded.

        The same function decides as when it is recorded, with what has been counted under the caps so far.
        """
        self._check_currency(order)
        program = self.program(order.at)
        names = counters(program, order)
        used: Mapping[str, int] = {}
        if names:
            context = self._store.load(Need(self._account(order.member), items=_items(names)))
            used = _counted(Books(items=context.items), names)
        return award(program, order, tier=tier, used=used)

    # ------------------------------------------------------------ commands

    def earn(
        self, member: str, points: int, *, key: str, at: datetime, unit: str = "points",
        active_at: datetime | None = None, expires_at: datetime | None = None, actor: str | None = None,
        reason: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Give points by hand, outside any rule; dates left out are those of the unit. Opens an unknown account."""
        return self.do(
            commands.Earn(
                member, points, key=key, at=at, unit=unit, active_at=active_at, expires_at=expires_at, actor=actor,
                reason=reason,
            )  # fmt: skip
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
        tier: str | None = None, actor: str | None = None,
    ) -> Quote:  # fmt: skip
        """Price a reward for a member: how many points, for what. Nothing is taken.

        Without `reward` the program's points as money are meant; `due` is what is to be paid, of which no more points
        are used than needed. An actor who may not act for the member is quoted nothing.
        """
        program = self.program(instant(at))
        chosen = _reward(program, reward)
        allowed = self._may(program, member, actor)
        have = self.balance(member, at=at, unit=chosen.unit).available if allowed else 0
        priced = quote(program, chosen, max(have, 0), due=due, at=at, tier=tier, points=points, member=member)
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
        """Spend what a hold set aside (or `points` of it); the rest goes back to its lots. `HoldExpired` if too late."""
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

    def do(self, command: Command) -> Receipt:
        """Give a command that was made as a value; the methods above make them."""
        program = self.program(command.at)
        if isinstance(command, commands.Redeem | commands.Hold | commands.Capture) and not self._may(
            program, command.member, command.actor
        ):
            raise Refused(
                "actor_not_allowed", f"{command.actor} may not spend the points of {command.member}; name agents in the program"
            )
        return self._receipt(self._write(self._command_task(command, program)))

    # ------------------------------------------------------------ questions

    def balance(
        self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None
    ) -> Balance:
        """Return a member's balance at any instant, past or future, by what was recorded at `known_at` (default: all)."""
        books = self._books(member, at, known_at)
        return Balance.of(books.unit(unit).row(), at)

    def lots(self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None) -> tuple[Lot, ...]:
        """Return the lots that hold anything, in the order in which they are spent."""
        return lots_of(self._books(member, at, known_at, lots=True), unit)

    def expiring(
        self, member: str, *, at: datetime, within: Period | None = None, unit: str = "points"
    ) -> tuple[Expiring, ...]:
        """Return what will expire after `at` (`within` a period, default: ever) unless it is spent, soonest first."""
        end = None if within is None else within.after(instant(at), self.program(at).zone)
        return _expiring(self._books(member, at, None, lots=True), unit, at, end)

    def standing(self, member: str, *, at: datetime, known_at: datetime | None = None) -> Standing:
        """Return where a member stands: every balance, the lots, and what expires when."""
        books = self._books(member, at, known_at, lots=True)
        names = sorted({*books.units, *(unit.name for unit in self.program(at).units), "points"})
        return Standing(
            member,
            at,
            tuple(Balance.of(books.unit(name).row(), at) for name in names),
            tuple(lot for name in names for lot in lots_of(books, name)),
            _expiring(books, "points", at, None),
            self.member(member),
        )

    def member(self, member: str) -> Member | None:
        """Return what is known of a member as a person; None where only an account is."""
        context = self._store.load(Need(self._account(member), items=(("profile", "member"),)))
        item = context.items.get(("profile", "member"))
        return None if item is None or item.value is None else wire.loads(Member, item.value)

    def statement(
        self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None
    ) -> tuple[StatementRow, ...]:
        """Return every entry up to `at` with its reason and running balance, oldest first.

        What expired or became active by itself and is not written down yet is shown too, with `booked` False.
        """
        context, books = self._everything(member, at, known_at)
        known = NEVER if known_at is None else to_us(instant(known_at, "known_at"))
        return statement_of(context.entries, books, unit, to_us(at), known, reason_of(context.records))

    def explain(self, member: str, *, at: datetime, unit: str = "points") -> Explanation:
        """Return why the balance is what it is: the tree of facts and rules behind it. Print it."""
        context, books = self._everything(member, at, None)
        return explain_account(self._versions, self.program(at), context, books, unit, at)

    def members(self, *, after: str = "", limit: int = 100) -> Page:
        """Return a page of the members, by name; ask for the next one with ``after=page.next``."""
        rows = self._store.accounts(self.name, after and self._account(after), limit)
        names = [account.partition("/")[2] for account, _ in rows]
        return Page(tuple(names), names[-1] if len(rows) == limit else None)

    def balances(self, *, at: datetime, unit: str = "points", after: str = "", limit: int = 100) -> Page:
        """Return a page of (member, `Balance`) at an instant, by name."""
        until = to_us(instant(at))
        listed = []
        rows = self._store.balances(self.name, unit, after and self._account(after), limit)
        for account, head, row in rows:
            member = account.partition("/")[2]
            if head.at <= until and min(head.next_at, row.lapse_at) > until:
                listed.append((member, Balance.of(row, at)))
            else:
                listed.append((member, self.balance(member, at=at, unit=unit)))
        return Page(tuple(listed), listed[-1][0] if len(rows) == limit else None)

    # ------------------------------------------------------------ housekeeping

    def sweep(self, *, at: datetime, limit: int = 1_000) -> int:
        """Write down what has expired or become active by `at`, for up to `limit` members; return for how many.

        Bookkeeping only: no balance changes by it, and none depends on it.
        """
        until = to_us(instant(at))
        accounts = self._store.due(self.name, until, limit)
        for account in accounts:
            envelope = Envelope(f"sweep@{until}", "sweep", until, "", "{}")
            need = Need(account, keys=(envelope.key,), due=until, kinds=("hold",))
            self._write(Task(need, envelope, lambda view: Draft([], {}), self._terms(self.program(at))))
        return len(accounts)

    def verify(self, member: str) -> list[str]:
        """Return what is wrong with a member's stored books, in words; an empty list if nothing is."""
        return verify(self._load(Need(self._account(member), everything=True), member))

    def rebuild(self, member: str, *, at: datetime) -> Receipt:
        """Fold a member's records anew and mend every row that differs; entries are corrected, never changed."""
        context = self._load(Need(self._account(member), everything=True), member)
        version = context.head.version if context.head else 0
        envelope = Envelope(f"rebuild@{version + 1}", "rebuild", to_us(instant(at)), "", "{}")
        need = Need(self._account(member), everything=True)
        task = Task(need, envelope, lambda view: Draft([], {}, anew=True), self._terms(self.program(at)))
        return self._receipt(self._write(task))

    # ------------------------------------------------------------ writing

    def _may(self, program: Program, member: str, actor: str | None) -> bool:
        return actor is None or actor == member or actor in program.agents

    def _check_currency(self, fact: Fact) -> None:
        program = self.program(fact.at)
        currency = getattr(fact, "currency", None)
        if currency is not None and currency != program.currency:
            raise WrongCurrency(
                f"{type(fact).__name__.lower()}.currency", currency, f"the program {self.name} counts in {program.currency}"
            )

    def _write(self, task: Task) -> Posting:
        """Load, decide, append; again where another writer was faster or the answer was lost."""
        for attempt in range(ATTEMPTS):
            hint = self._store.exclusive(task.need.account) if attempt else nullcontext()
            try:
                with hint:
                    session = Session(self._store, task.need)
                    posting = session.run(task, self._now())
                    session.flush()
                return posting
            except (StaleVersion, OutcomeUnknown):
                pause(attempt)
        raise StoreBusy(f"{task.need.account} was changed by others {ATTEMPTS} times in a row; try again with the same key")

    def _now(self) -> int:
        return to_us(instant(self._clock(), "clock()"))

    def _fact_task(self, fact: Fact, tier: str | None) -> Task:
        """Say what recording a fact needs to see, and how it is decided."""
        if not isinstance(fact, Order | Refund | Reversal | Activity | Member):
            raise InputError("fact", fact, "give an Order, Refund, Reversal, Activity or Member")
        if not isinstance(fact, Member):
            self._check_currency(fact)
        key, ref, at = key_of(fact), ref_of(fact), to_us(fact.at)
        kind = type(fact).__name__.lower()
        member = fact.id if isinstance(fact, Member) else fact.member
        program = self.program(fact.at)
        need = Need(self._account(member), keys=(key,))
        payload = "{}" if isinstance(fact, Member) else wire.dumps(fact)
        envelope = Envelope(key, kind, at, wire.fingerprint(fact), payload, ref)
        terms = self._terms(program)
        if isinstance(fact, Member):
            need = need._replace(items=(("profile", "member"),))
            return Task(need, envelope, lambda view: _enrol(fact, view), terms)
        if isinstance(fact, Activity):
            need = need._replace(items=_items(counters(program, fact)))
        if ref is not None:
            items = [("order", ref)]
            if isinstance(fact, Order):
                items += _items(counters(program, fact))
                items += _spending_items(fact)
            need = need._replace(refs=(ref,), sources=(ref,), items=(*need.items, *items))
        return Task(need, envelope, lambda view: self._tell(fact, tier, view, need), terms)

    def _tell(self, fact: Order | Refund | Reversal | Activity, tier: str | None, view: View, need: Need) -> Draft:
        """Decide a fact: what an activity earns by itself, and what the story of its order now says."""
        program = self.program(fact.at)
        steps: list[Any] = []
        outcome: dict[str, Any] = {}
        counts: dict[str, int] = {}
        if isinstance(fact, Activity):
            names = counters(program, fact)
            used = _counted(view.books, names)
            given = award(program, fact, tier=tier, used=used)
            steps += activity_steps(program, fact, given, self._terms(program))
            outcome = {"version": program.version, "tier": tier, "used": used}
            counts = dict(given.counts)
        ref = ref_of(fact)
        waiting = False
        if ref is not None:
            story_steps, more, waiting = self._order(fact, ref, tier, view, counts)
            steps += story_steps
            outcome.update(more)
        for name, amount in counts.items():
            if amount:
                view.books.keep("count", name, _count(view.books, name) + amount)
        return Draft(steps, outcome, "waiting" if waiting and not steps else "applied", ref)

    def _order(
        self, fact: Order | Refund | Reversal | Activity, ref: str, tier: str | None, view: View, counts: dict[str, int]
    ) -> tuple[list[Any], dict[str, Any], bool]:
        """Tell the story of the order that a fact belongs to; add to `counts` what changes under the caps."""
        records = sorted((r for r in view.records.values() if r.ref == ref and r.kind in KINDS), key=lambda r: r.version)
        known = next((json.loads(r.outcome) for r in records if r.kind == "order"), None)
        outcome: dict[str, Any] = {}
        if known is None:
            if not isinstance(fact, Order):
                return [], {}, True
            program = self.program(fact.at)
            known = {"version": program.version, "tier": tier, "used": _counted(view.books, counters(program, fact))}
        if isinstance(fact, Order):
            outcome = {name: known[name] for name in ("version", "tier", "used")}
        fixed = Known(self._versions[known["version"]], known["tier"], known["used"])
        facts = [wire.loads(KINDS[record.kind], record.payload) for record in records]
        story = order_story([*facts, fact], fixed, self._terms(fixed.program))
        before = view.books.value("order", ref) or {}
        if isinstance(fact, Refund) and set(story.ignored) - set(before.get("ignored", ())):
            raise _too_large(fact, facts, fixed.program)
        wanted = [("order", ref), *(("count", name) for name in story.counts)]
        for order in (each for each in [*facts, fact] if isinstance(each, Order)):
            wanted += _spending_items(order)
        missing = tuple(key for key in wanted if not view.saw(key))
        if missing:
            raise More(items=missing)
        for name in {*story.counts, *before.get("counts", {})}:
            counts[name] = counts.get(name, 0) + story.counts.get(name, 0) - before.get("counts", {}).get(name, 0)
        back = story.returned
        after = {
            "counts": {name: amount for name, amount in story.counts.items() if amount},
            "cash": str(back.amount("cash")) if back else "0",
            "gift_card": str(back.amount("gift_card")) if back else "0",
            "points": back.points if back else 0,
            "ignored": list(story.ignored),
        }
        view.books.keep("order", ref, after)
        if not isinstance(fact, Order):
            outcome["back"] = [before.get("cash", "0"), before.get("gift_card", "0"), before.get("points", 0)]
            outcome["now"] = [after["cash"], after["gift_card"], after["points"]]
        if story.ignored:
            outcome["ignored"] = list(story.ignored)
        planned = [step for record in records for step in json.loads(record.plan)]
        return unsaid(story.steps, planned), outcome, False

    def _command_task(self, command: Command, program: Program) -> Task:
        """Say what a command needs to see, and how it is decided."""
        at, key = to_us(command.at), record_key(command.key)
        kind = type(command).__name__.lower()
        need = Need(self._account(command.member), keys=(key,))
        match command:
            case commands.Redeem() | commands.Hold():
                program.unit(command.unit)
                need = need._replace(spend=((command.unit, command.points),), spend_at=at)
            case commands.Earn() | commands.Open():
                program.unit(command.unit)
            case commands.Adjust():
                program.unit(command.unit)
                if command.points < 0:
                    need = need._replace(spend=((command.unit, -command.points),), spend_at=at)
            case commands.Capture() | commands.Release():
                need = need._replace(
                    keys=(key, record_key(command.hold)), refs=(f"hold:{command.hold}",), items=(("hold", command.hold),)
                )
            case commands.Restore():
                need = need._replace(items=(("spent", command.of),))
            case commands.ClawBack():
                need = need._replace(sources=(record_key(command.of),))
            case commands.Reinstate():
                need = need._replace(lots=(command.lot,))
            case _:
                raise InputError("command", command, "give a command of loyaltykit.commands")
        opens = isinstance(command, commands.Earn | commands.Open)

        def choose(view: View) -> Draft:
            if not opens and not view.known:
                raise _unknown(command.member)
            if view.closed:
                return commands.refused("member_closed", f"{command.member} was merged into another member")
            return decide(command, view)

        envelope = Envelope(key, kind, at, wire.fingerprint(command), wire.dumps(command))
        return Task(need, envelope, choose, self._terms(program))

    def _receipt(self, posting: Posting, fact: Fact | None = None) -> Receipt:
        """Turn what was recorded into the answer; raise the refusal that it stands for, if it is one."""
        record = posting.record
        outcome = json.loads(record.outcome)
        given: Award | None = None
        if isinstance(fact, Order | Activity) and "version" in outcome:
            program = self._versions[outcome["version"]]
            given = award(program, fact, tier=outcome["tier"], used=outcome["used"])
        cash, gift_card, points_back = None, None, 0
        if "now" in outcome:
            then, now = outcome["back"], outcome["now"]
            cash, gift_card = Decimal(now[0]) - Decimal(then[0]), Decimal(now[1]) - Decimal(then[1])
            points_back = now[2] - then[2]
        changes = outcome.get("changes", {})
        receipt = Receipt(
            record.key, record.kind, posting.member, from_us(record.at), record.status,
            changes.get("points", 0), tuple(sorted(changes.items())), outcome.get("shortfall", 0), given,
            cash, gift_card, points_back, tuple(outcome.get("ignored", ())), posting.commit is None,
        )  # fmt: skip
        raise_refusal(outcome, receipt)
        return receipt

    def _record_batch(self, facts: Sequence[Fact]) -> Iterator[Receipt]:
        """Record facts account by account, each account loaded once and appended once, all in one durable step."""
        tasks = [self._fact_task(fact, None) for fact in facts]
        by_account: dict[str, list[int]] = {}
        for place, task in enumerate(tasks):
            by_account.setdefault(task.need.account, []).append(place)
        postings: dict[int, Posting] = {}
        sessions = []
        error: Exception | None = None
        first_bad = len(facts)
        for places in by_account.values():
            last = max(tasks[place].envelope.at for place in places)
            session = Session(self._store, union([tasks[place].need for place in places])._replace(due=last))
            for place in places:
                if place > first_bad:
                    break
                try:
                    postings[place] = session.run(tasks[place], self._now())
                except LoyaltyError as wrong:
                    error, first_bad = wrong, place
                    break
            sessions.append((session, places))
        commits = [(commit, places) for session, places in sessions if (commit := session.commit()) is not None]
        outcomes = self._store.append_many([commit for commit, _ in commits])
        for (_, places), outcome in zip(commits, outcomes, strict=True):
            if outcome is None:
                continue
            if not outcome.retry:
                raise outcome
            for place in places:  # another writer was faster: one by one
                if place < first_bad:
                    postings[place] = self._write(tasks[place])
        for place in range(first_bad):
            yield self._receipt(postings[place], facts[place])
        if error is not None:
            raise error

    # ------------------------------------------------------------ reading

    def _load(self, need: Need, member: str) -> Context:
        context = self._store.load(need)
        if context.head is None:
            raise _unknown(member)
        return context

    def _books(self, member: str, at: datetime, known_at: datetime | None, lots: bool = False) -> Books:
        """Return the books at an instant: those that are kept, moved on, or folded anew for the past."""
        until = to_us(instant(at))
        if known_at is not None:
            return self._everything(member, at, known_at)[1]
        need = Need(self._account(member), due=until, kinds=("hold",), open_lots=lots)
        while True:
            context = self._load(need, member)
            head = context.head
            if head is None or until < head.at:
                return self._everything(member, at, None)[1]
            try:
                return view_at(context, need, until)[0]
            except Incomplete as more:
                need = more.need
            except More as more_lots:
                need = wider(need, more_lots)

    def _everything(self, member: str, at: datetime, known_at: datetime | None) -> tuple[Context, Books]:
        context = self._load(Need(self._account(member), everything=True), member)
        known = NEVER if known_at is None else to_us(instant(known_at, "known_at"))
        records = [record for record in context.records.values() if record.recorded_at <= known]
        return context, replay(records, until=to_us(instant(at)))


# ---------------------------------------------------------------- small steps


def _terms(program: Program, name: str) -> Terms:
    unit, zone = program.unit(name), program.zone
    grace = unit.restore if isinstance(unit.restore, Grace) else None

    def when(at: datetime) -> tuple[int, int]:
        made = dates(unit, at, zone)
        return (
            NEVER if made.active_at is None else to_us(made.active_at),
            NEVER if made.expires_at is None else to_us(made.expires_at),
        )

    return Terms(
        shortfall=unit.shortfall or "debt",
        hold=unit.hold or "pinned",
        restore="off" if unit.restore == "off" else "strict",
        dates=when,
        lapse_at=lambda at: None if unit.inactivity is None else to_us(unit.inactivity.after(at, zone)),
        grace_until=lambda at: 0 if grace is None else to_us(grace.period.after(at, zone)),
    )


def _reward(program: Program, name: str | None) -> Coins | Reward:
    """Return the reward of a name, or by default the program's points as money."""
    for each in program.rewards:
        if each.name == name or (name is None and isinstance(each, Coins)):
            return each
    known = ", ".join(each.name for each in program.rewards) or "none"
    raise InputError("reward", name, f"the program has no such reward; it has: {known}")


def _items(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("count", name) for name in names)


def _spending_items(order: Order) -> list[tuple[str, str]]:
    """Return the items that an order paid with points reads: its own redemptions, and those that its parts name."""
    found = []
    for number, tender in enumerate(order.tenders):
        if tender.kind == "points" and tender.key is None:
            found.append(("spent", f"order:{order.id}" if number == 0 else f"order:{order.id}#{number + 1}"))
        elif tender.kind == "points" and tender.key is not None:
            found += [("spent", tender.key), ("hold", tender.key)]
    return found


def _count(books: Books, name: str) -> int:
    return int(books.value("count", name) or 0)


def _counted(books: Books, names: Iterable[str]) -> dict[str, int]:
    return {name: count for name in names if (count := _count(books, name))}


def _enrol(member: Member, view: View) -> Draft:
    """Keep what is known of a person: the latest word holds."""
    known = view.books.value("profile", "member")
    if known is None or to_us(wire.from_data(Member, known).at) <= to_us(member.at):
        view.books.keep("profile", "member", wire.to_data(member))
    return Draft([], {})


def _unknown(member: str) -> UnknownMember:
    return UnknownMember("member", member, "nothing was recorded of this member; record a Member or another fact first")


def _too_large(refund: Refund, facts: Sequence[Fact], program: Program) -> InputError:
    """Return why a refund cannot be true of its order."""
    order = max((each for each in facts if isinstance(each, Order)), key=lambda each: each.revision)
    others = [each for each in facts if isinstance(each, Refund)]
    try:
        remains(order, [*others, refund], program.currency, program.refund_split)
    except InputError as error:
        return error
    return RefundTooLarge("refund.id", refund.id, "with it, more would be refunded than the order was of")


def _expiring(books: Books, unit: str, at: datetime, end: datetime | None) -> tuple[Expiring, ...]:
    sums: dict[int, int] = {}
    last = NEVER - 1 if end is None else to_us(end)
    for lot in books.lots.values():
        if lot.unit == unit and lot.active + lot.pending and to_us(at) < lot.expires_at <= last:
            sums[lot.expires_at] = sums.get(lot.expires_at, 0) + lot.active + lot.pending
    return tuple(Expiring(from_us(when), points) for when, points in sorted(sums.items()))
