"""The questions that a club answers: balances, statements, standings, status, decisions due, segments, reasons.

Nothing here writes (save what is bookkeeping: that a version switched expiry on). Every answer is for an instant, past
or future, with no job run, and may be limited to what had been recorded by another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from loyaltykit import wire
from loyaltykit.access import Launch
from loyaltykit.amounts import whole
from loyaltykit.benefits import ShippingFee, shipping_fee
from loyaltykit.books import Books, More
from loyaltykit.calendar import Period, from_us, instant, to_us
from loyaltykit.consent import consented
from loyaltykit.decisions import Expiring, Explanation, Page, Standing, Statement
from loyaltykit.elsewhere import with_others
from loyaltykit.errors import (
    InputError,
)
from loyaltykit.explaining import explain_account, reason_of
from loyaltykit.facts import Fact, Member
from loyaltykit.grants import Decision
from loyaltykit.history import History
from loyaltykit.journal import NEVER, Context, Need, Record
from loyaltykit.ledger import (
    Balance,
    Incomplete,
    Lot,
    lots_of,
    statement_of,
    view_at,
    wider,
)
from loyaltykit.merges import links_of, note_of
from loyaltykit.program import Program
from loyaltykit.recorded import Recorded, history_of, waiting
from loyaltykit.rulebook import Rulebook, unknown_member
from loyaltykit.status import Status, due, grants_of, looks_back, status
from loyaltykit.steps import replay
from loyaltykit.stores.protocol import Store
from loyaltykit.writer import Writer


class Questions:
    """What a `loyaltykit.club.Club` can be asked. Made by the club, over its rules and its store."""

    name: str
    _rules: Rulebook
    _store: Store
    _writer: Writer

    def program(self, at: datetime) -> Program:
        """Return the version of the program that is in force at an instant."""
        return self._rules.program(at)

    def _account(self, member: str) -> str:
        return self._rules.account(member)

    # ------------------------------------------------------------ status

    def history(self, member: str, *, at: datetime, known_at: datetime | None = None) -> History:
        """Return what a member has done, as the program in force at an instant counts it: for any rule that looks back.

        It holds everything on record (`known_at`: that was recorded by then), of merged members too; what is asked of
        it says up to which instant.
        """
        return self._recorded(member, at, known_at)[0]

    def status(self, member: str, *, at: datetime, known_at: datetime | None = None) -> Status:
        """Return a member's tiers, thresholds, segments, badges, stamp cards and benefits at any instant.

        No job need have run, and nothing that happened later counts. `known_at` limits the answer to what had been
        recorded by then.
        """
        history, told = self._recorded(member, at, known_at)
        return status(self.program(at), history, at, told.invitations, told.grants)

    def due(self, member: str, *, at: datetime, within: Period | None = None) -> tuple[Decision, ...]:
        """Return what is to be carried out for a member at an instant and was not acknowledged: the earliest first.

        With `within`, what dates alone will make due in that period is there too: birthdays, points about to expire.
        Deriving it again gives the same decisions under the same keys, whichever days a job missed. Each is judged by
        the version of the program that is in force at the instant from which it is due.
        """
        history, told = self._recorded(member, at, None)
        program = self.program(at)
        until = _end(within, at, program.zone)
        soon: list[tuple[str, datetime, int]] = []
        if program.expiry_notice is not None:
            books = self._books(member, at, None, lots=True)
            soon = [(unit, each.at, each.points) for unit in books.units for each in _expiring(books, unit, None)]
        found = [
            decision
            for version in self._rules.versions.values()
            for decision in due(
                version, history, at, until=until, done=told.done, invitations=told.invitations,
                formerly=told.formerly, expiring=soon,
            )
            if self._rules.judges(version, decision.due)
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda decision: to_us(decision.due)))

    def all_due(self, *, at: datetime, within: Period | None = None) -> Iterator[Decision]:
        """Yield what is to be carried out for every member, one member after the other, as `due` says it."""
        for member in self.members():
            yield from self.due(member, at=at, within=within)

    def histories(self, *, at: datetime) -> Iterator[History]:
        """Yield the history of every member, by name: what `loyaltykit.segments` asks about the whole base."""
        yield from (self.history(member, at=at) for member in self.members())

    def segment(self, name: str, *, at: datetime) -> tuple[str, ...]:
        """Return the members that are in one of the program's segments at an instant, by name."""
        program = self.program(instant(at))
        found = next((each for each in program.segments if each.name == name), None)
        if found is None:
            known = ", ".join(each.name for each in program.segments) or "none"
            raise InputError("segment", name, f"the program has no such segment; it has: {known}")
        return tuple(each.member for each in self.histories(at=at) if found.condition.matches(each, at))

    def shipping_fee(self, member: str, fee: Any, *, at: datetime, **delivery: Any) -> ShippingFee:
        """Decide once what shipping costs a member, from every source of free shipping, with the reason.

        `fee` is what it costs without; `delivery` is what is known of it, by the names of the benefits' limits.
        """
        history, told = self._recorded(member, at, None)
        program = self.program(at)
        found = grants_of(program, history, at, told.invitations, told.grants)
        return shipping_fee(fee, found, at, currency=program.currency, **delivery)

    def may_buy(self, member: str, launch: Launch, *, at: datetime) -> bool:
        """Say whether a member may buy at an instant what is launched for some tiers and segments first."""
        groups = self.status(member, at=launch.judged_at(at)).groups
        return launch.may_buy(at, groups, self.program(at).zone)

    def consenting(self, purpose: str, *, at: datetime, channel: str | None = None) -> tuple[str, ...]:
        """Return the members, by name, whose last word on a purpose (and channel), by an instant, was yes."""
        return tuple(name for name in self.members() if self.consented(name, purpose, at=at, channel=channel))

    def consented(self, member: str, purpose: str, *, at: datetime, channel: str | None = None) -> bool:
        """Say whether a member's last word on a purpose (and channel), by an instant, was yes; silence is no."""
        return consented(self._recorded(member, at, None)[1].consents, member, purpose, at, channel)

    # ------------------------------------------------------------ questions

    def balance(self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None) -> Balance:
        """Return a member's balance at any instant, past or future.

        No job need have run. `known_at` limits the answer to what had been recorded by then (default: everything).
        """
        self._rules.check_unit(unit)
        books = self._books(member, at, known_at)
        return Balance.of(books.unit(unit).row(), at)

    def lots(
        self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None
    ) -> tuple[Lot, ...]:
        """Return the lots that hold anything, in the order in which they are spent."""
        self._rules.check_unit(unit)
        return lots_of(self._books(member, at, known_at, lots=True), unit)

    def expiring(
        self, member: str, *, at: datetime, within: Period | None = None, unit: str = "points"
    ) -> tuple[Expiring, ...]:
        """Return what will expire after `at` (`within` a period, default: ever) unless it is spent, soonest first."""
        self._rules.check_unit(unit)
        end = _end(within, at, self.program(at).zone)
        return _expiring(self._books(member, at, None, lots=True), unit, end)

    def standing(self, member: str, *, at: datetime, known_at: datetime | None = None) -> Standing:
        """Return where a member stands: every balance, the lots, what expires when, and the status by every rule."""
        books = self._books(member, at, known_at, lots=True)
        names = sorted({*books.units, *(unit.name for unit in self.program(at).units), "points"})
        return Standing(
            member,
            at,
            tuple(Balance.of(books.unit(name).row(), at) for name in names),
            tuple(lot for name in names for lot in lots_of(books, name)),
            _expiring(books, "points", None),
            self.member(member),
            self.status(member, at=at, known_at=known_at) if looks_back(self.program(at)) else None,
        )

    def member(self, member: str) -> Member | None:
        """Return what is known of a member as a person; None where only an account is."""
        context = self._store.load(Need(self._account(member), items=(("profile", "member"),)))
        item = context.items.get(("profile", "member"))
        return None if item is None or item.value is None else wire.loads(Member, item.value)

    def statement(
        self, member: str, *, at: datetime, unit: str = "points", known_at: datetime | None = None
    ) -> Statement:
        """Return every entry up to `at` with its reason and running balance, oldest first.

        What expired or became active by itself and is not written down yet is shown too, with `booked` False.
        """
        self._rules.check_unit(unit)
        context, books = self._everything(member, at, known_at)
        known = NEVER if known_at is None else to_us(instant(known_at, "known_at"))
        rows = statement_of(context.entries, books, unit, to_us(at), known, reason_of(context.records))
        return Statement(member, unit, at, rows, self.program(at).zone)

    def waiting(self, member: str) -> tuple[Fact, ...]:
        """Return the facts of a member that wait for another one, as they were recorded, the first recorded first.

        A refund waits for its order, however long; so does a reversal, for its refund as well, and an activity that
        means something only to an order. What waits for ever names an order that there is not: mistyped perhaps.

        >>> from datetime import UTC
        >>> from loyaltykit import Club, MemoryStore, Order, Program, Refund, per_amount
        >>> club, monday = Club(Program("corner", "USD", earning=per_amount(1)), MemoryStore()), datetime(2026, 3, 2)
        >>> club.record(Refund("r-1", "ann", "1O01", monday.replace(tzinfo=UTC), amount="5.00")).status
        'waiting'
        >>> [(fact.id, fact.order) for fact in club.waiting("ann")]
        [('r-1', '1O01')]
        """
        context = self._load(Need(self._account(member), everything=True), member)
        return waiting(with_others(context, self._elsewhere(context)))

    def all_waiting(self) -> Iterator[Fact]:
        """Yield the facts of all members that wait for another one, one member after the other."""
        for member in self.members():
            context = self._store.load(Need(self._account(member), everything=True))
            if context.head is not None and context.head.status != "closed":  # else it is with whom they were merged
                yield from waiting(with_others(context, self._elsewhere(context)))

    def explain(self, member: str, *, at: datetime, unit: str = "points") -> Explanation:
        """Return why the balance is what it is: the tree of facts and rules behind it. Print it."""
        self._rules.check_unit(unit)
        context, books = self._everything(member, at, None)
        program = self.program(at)
        found = self.status(member, at=at) if program.tiers else None
        return explain_account(self._rules.versions, program, context, books, unit, at, found)

    def scenario(self, member: str, *, at: datetime | None = None, texts: bool = True) -> dict[str, Any]:
        """Return all that is on record of a member as a scenario document: a bug report that reproduces itself.

        Plain data for `json.dumps`: the program, every fact and command as recorded, what is seen at an instant
        (default: the latest on record). `loyaltykit.testing.scenarios` runs it on any store. Members from whom
        something came are in it too. With ``texts=False`` what no rule looks at is left out: names of products,
        e-mail addresses, reasons; ids stay.

        Raises `UnknownMember`; `InputError` where a person was erased on whom it rests.

        >>> from datetime import UTC
        >>> from loyaltykit import Club, MemoryStore, Order, Program, per_amount
        >>> club = Club(Program("corner", "USD", earning=per_amount(1)), MemoryStore(), clock=lambda: monday)
        >>> monday = datetime(2026, 3, 2, tzinfo=UTC)
        >>> _ = club.record(Order("1001", "ann", monday, amount="59.90"))
        >>> club.scenario("ann")["steps"][0]
        {'at': '2026-03-02', 'order': {'id': '1001', 'amount': '59.9'}, 'gives': 59}
        """
        from loyaltykit.testing._scenario_write import written  # which needs the club

        def read(name: str) -> Context:
            return self._load(Need(self._account(name), everything=True), name)

        return written(self, self._rules, read, member, at, texts=texts, whole=self._writer.source is None)

    def members(self) -> Iterator[str]:
        """Yield every member, by name. They are read page by page, so a base of any size takes little memory."""
        page = self.members_page(limit=1_000)
        yield from page
        while page.next is not None:
            page = self.members_page(after=page.next, limit=1_000)
            yield from page

    def members_page(self, *, after: str = "", limit: int = 100) -> Page:
        """Return a page of the members, by name; ask for the next one with ``after=page.next``."""
        limit = whole(limit, "limit", 1)
        rows = self._store.accounts(self.name, after and self._account(after), limit)
        names = [account.partition("/")[2] for account, _ in rows]
        more = len(names) == limit
        if self._writer.source is not None:
            told = self._writer.source.members(after, limit)
            more = more or len(told) == limit
            names = sorted({*names, *told})
        more = more or len(names) > limit
        names = names[:limit]
        return Page(tuple(names), names[-1] if more and names else None)

    def balances(self, *, at: datetime, unit: str = "points", after: str = "", limit: int = 100) -> Page:
        """Return a page of (member, `Balance`) at an instant, by name."""
        until, limit = to_us(instant(at)), whole(limit, "limit", 1)
        self._rules.check_unit(unit)
        listed = []
        rows = self._store.balances(self.name, unit, after and self._account(after), limit)
        for account, head, row in rows:
            member = account.partition("/")[2]
            if head.at <= until and min(head.next_at, row.lapse_at) > until:
                listed.append((member, Balance.of(row, at)))
            else:
                listed.append((member, self.balance(member, at=at, unit=unit)))
        return Page(tuple(listed), listed[-1][0] if len(rows) == limit else None)

    # ------------------------------------------------------------ reading

    def _recorded(self, member: str, at: datetime, known_at: datetime | None) -> tuple[History, Recorded]:
        """Return a member's history and what else is on record, of those too that were merged into them."""
        program = self.program(instant(at))
        context = self._store.load(Need(self._account(member), everything=True))
        formerly = note_of(context.head).get("absorbed", [])
        told = [fact for name in (member, *formerly) for fact in self._writer.told(name, known_at)]
        known = _known(with_others(context, self._elsewhere(context)), known_at)
        if context.head is None and not told:
            raise unknown_member(member)
        return history_of(member, context, known, program, to_us(at), formerly, told)

    def _elsewhere(self, context: Context) -> dict[str, Sequence[Record]]:
        """Return the records of those with whom a member is, or was, merged."""
        return {
            other: tuple(self._store.load(Need(self._account(other), everything=True)).records.values())
            for other in links_of(note_of(context.head))
        }

    def _load(self, need: Need, member: str) -> Context:
        context = self._store.load(need)
        if context.head is None and not self._writer.told(member):
            raise unknown_member(member)
        return context

    def _books(self, member: str, at: datetime, known_at: datetime | None, lots: bool = False) -> Books:
        """Return the books at an instant: those that are kept, moved on, or folded anew for the past."""
        until = to_us(instant(at))
        self._writer.book_switches(member, until)
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
        return context, replay(_known(context.records.values(), known_at), until=to_us(instant(at)))


def _known(records: Iterable[Record], known_at: datetime | None) -> list[Record]:
    """Return what had been recorded by an instant; by default, everything."""
    known = NEVER if known_at is None else to_us(instant(known_at, "known_at"))
    return [record for record in records if record.recorded_at <= known]


def _end(within: Period | None, at: datetime, zone: str) -> datetime | None:
    """Return the end of a look ahead; None where there is none."""
    if within is None:
        return None
    if not isinstance(within, Period):
        raise InputError("within", within, "give a period, as in days(7)")
    return within.after(instant(at), zone)


def _expiring(books: Books, unit: str, end: datetime | None) -> tuple[Expiring, ...]:
    last = NEVER - 1 if end is None else to_us(end)
    return tuple(Expiring(from_us(when), points) for when, points in books.expiring(unit) if when <= last)
