"""The points ledger, pure: from the records of a member to every balance, lot and statement, at any instant.

A ledger is used in two ways. `Account` is one member's whole books as a value, for notebooks, tests and shops with
storage of their own: each method returns a new account. `post` is the same decision on a partial view of the books,
for stores that hold millions of entries: it turns what was loaded into what is to be appended. Both are one code
path, and `Account.verify` proves a stored account against the fold of its records.

The laws: nothing is updated or deleted; every point that came in is active, pending, held or went out; every balance
is a function of the records and an instant, with no job run; lots are spendable while ``active_at <= t <
expires_at``; the soonest expiring goes first; what goes back goes where it came from; facts in any order and any
number of times mean the same; points are integers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from loyaltykit import journal
from loyaltykit.books import RANK_COMMAND, Books, More, Move, Step, order_key
from loyaltykit.calendar import from_us, instant, to_us
from loyaltykit.commands import Command, Draft, Terms, View, decide, raise_refusal, record_key
from loyaltykit.errors import InputError, KeyReused
from loyaltykit.fields import brief
from loyaltykit.journal import NEVER, Commit, Context, Head, Need, Record, compact
from loyaltykit.steps import apply, awarded, corrections, replay, standing_entries
from loyaltykit.tables import number

NEW = Head(0, -NEVER, -NEVER, -NEVER, NEVER)


# ---------------------------------------------------------------- posting


class Incomplete(Exception):
    """The decision needs to see more of the account: `need` widened accordingly."""

    def __init__(self, need: Need) -> None:
        super().__init__(need)
        self.need = need


class Posting(NamedTuple):
    """A record as decided, and what is to be appended for it; `commit` is None where it was recorded before.

    `outcome` is what the record's says, as data. `books` are those of the new head where the next can go on from them.
    """

    member: str
    record: Record
    commit: Commit | None
    award: Any = None
    outcome: dict[str, Any] | None = None
    books: Books | None = None


class Envelope(NamedTuple):
    """A record before it is decided."""

    key: str
    kind: str
    at: int
    fingerprint: str
    payload: str
    ref: str | None = None


def member_of(need: Need) -> str:
    """Return the member's name: an account is named ``program/member``."""
    return need.account.partition("/")[2] or need.account


def view_at(
    context: Context, need: Need, at: int, blind: bool = False, kept: Books | None = None
) -> tuple[Books, Books | None]:
    """Return the books at the instant `at`, and those of the head where that is later.

    `kept` are the books of the head, if they are at hand; they are changed. A `blind` decision does not look at lots,
    holds or redemptions: what has not been settled is not folded anew for it. Raises `Incomplete` where the answer lies
    before what the loaded state was settled up to, or where something that happened by itself meanwhile was not loaded.
    """
    head = context.head or NEW
    if at >= head.at or (blind and at > head.settled_at):
        next_at = head.next_at if need.due is None else context.next_at
        if not need.everything and next_at <= at and (need.due is None or need.due < at):
            raise Incomplete(need._replace(due=at, kinds=tuple({*need.kinds, "hold"})))
        covered = {unit: (amount, need.spend_at) for unit, amount in need.spend}
        unseen = NEVER if need.everything else next_at
        if kept is not None and at >= head.at:
            books = kept
            books.go_on(covered, unseen)
        else:
            complete, then = need.everything or need.open_lots, min(head.at, at)
            books = Books(
                context.lots, context.balances, context.items, at=then, settled_at=head.settled_at, complete=complete,
                covered=covered, next_at=unseen,
            )  # fmt: skip
        if at >= head.at:
            books.advance(at)
        return books, None
    if not need.everything:
        raise Incomplete(need._replace(everything=True))
    records = list(context.records.values())
    books, end = replay(records, until=at), replay(records, until=head.at)
    others = {key: item for key, item in context.items.items() if key[0] not in ("hold", "spent")}
    books.items = {**others, **books.items}
    return books, end


def _follows(step: Step, head: Head) -> bool:
    """Say whether a step at the instant of the head comes after all that was recorded of that instant.

    Commands come after facts. The little that comes after commands settles its instant.
    """
    return bool(step[0] == head.at > head.settled_at and step[1] >= RANK_COMMAND)


def _commutes(books: Books, step: Step, head: Head) -> bool:
    """Say whether a step from before `head.at` can simply be added, because nothing since depended on it."""
    op = step[3]
    if step[0] <= head.settled_at or any(row.debt or row.receivable for row in books.units.values()):
        return False
    if op == "award":
        return step[4] not in books.lots and bool(step[9] > head.at)
    if op == "credit":
        return all(lot[0] not in books.lots and lot[5] > head.at for lot in step[5])
    if op == "lapse":
        return bool(step[5] > head.at)
    if op == "hold":
        return step[7] is not None and bool(step[6] > head.at)
    return op in ("note", "redeem")


LATE = ("redeem", "hold", "transfer")
"""Commands that may be decided a little late on what is loaded: what they take is there, now as it was then."""


def post(
    context: Context,
    need: Need,
    envelope: Envelope,
    recorded_at: int,
    choose: Callable[[View], Draft],
    terms: Callable[[str], Terms],
    kept: Books | None = None,
) -> Posting:
    """Decide one fact or command on what was loaded, and return what to append.

    `choose` is called with the books at the record's instant, unless the key was recorded before. `kept` are the books
    that the posting before this one left, where this one goes on from it. Raises `KeyReused` if the key was recorded
    with another payload, and `Incomplete` where more of the account has to be seen.
    """
    head = context.head or NEW
    seen = context.records.get(envelope.key)
    if seen is not None:
        if seen.fingerprint != envelope.fingerprint:
            raise _reused(envelope)
        return Posting(member_of(need), seen, None)
    try:
        blind = not envelope.key.startswith(record_key("")) or envelope.kind in ("earn", "open")
        blind = blind or (envelope.kind in LATE and not need.everything)
        books, end = view_at(context, need, envelope.at, blind, kept)
        late = end is None and envelope.at < head.at
        draft = choose(View(books, context, need, terms, end, late))
        record = Record(
            head.version + 1, envelope.key, envelope.kind, draft.ref or envelope.ref, envelope.at,
            max(recorded_at, head.recorded_at), envelope.fingerprint, draft.status, envelope.payload,
            compact(draft.steps), "",
        )  # fmt: skip
        return _posting(context, need, record, draft, books, end is None)
    except More as more:
        raise Incomplete(wider(need, more)) from None


def _reused(envelope: Envelope) -> KeyReused:
    if envelope.key.startswith("key:"):
        key = envelope.key.removeprefix("key:")
        return KeyReused("key", key, "was used before for another command; give each command its own key")
    hint = "was recorded before with another content; a changed order takes the next revision, another fact a new id"
    return KeyReused("id", envelope.key, hint)


def wider(need: Need, more: More) -> Need:
    """Return the need for what turned out to be missing."""
    if more.everything:
        return need._replace(everything=True)
    if need.everything:
        raise RuntimeError(f"{need.account}: the whole account is not enough for {more}")
    if more.items or more.stems:
        return need._replace(items=(*need.items, *more.items), stems=(*need.stems, *more.stems))
    if more.lots:
        if set(more.lots) <= set(need.lots):
            return need._replace(everything=True)
        return need._replace(lots=(*need.lots, *more.lots))
    if more.amount >= NEVER:
        return need._replace(open_lots=True, kinds=tuple({*need.kinds, "hold"}))
    if need.spend and (need.spend_at != more.at or dict(need.spend).get(more.unit, 0) >= more.amount):
        return need._replace(open_lots=True)
    return need._replace(spend=tuple({**dict(need.spend), more.unit: more.amount}.items()), spend_at=more.at)


def _posting(context: Context, need: Need, record: Record, draft: Draft, books: Books, ahead: bool) -> Posting:
    """Apply the steps of a new record, at the end of the books or by folding them anew, and return what to append."""
    head = context.head or NEW
    steps = draft.steps
    if len(steps) > 1:
        steps = sorted(steps, key=lambda step: order_key(step, record.version))
    passed = max(head.at, head.settled_at)
    in_order = ahead and (
        not steps
        or steps[0][0] > passed  # the first of them all: they are sorted
        or all(step[0] > passed or _follows(step, head) for step in steps)
        or (len({step[0] for step in steps}) == 1 and all(_commutes(books, step, head) for step in steps))
    )
    taken_back: list[journal.Entry] = []
    if not draft.anew and (in_order or not steps):
        if not steps and books.at < head.at:  # decided on the past, and nothing came of it but perhaps items
            chosen = {key: books.items[key] for key in books.changed_items if key[0] not in ("hold", "spent")}
            books = Books(at=head.at, settled_at=head.settled_at, complete=False, next_at=head.next_at)
            books.items.update(chosen)
            books.changed_items.update(chosen)
        _foresee(context, need, steps, head)
        for step in steps:
            apply(books, step)
        books.advance(max(head.at, record.at) if head.version else record.at)
        moves: Iterable[Move] = books.moves
        goes_on = record.at >= head.at
    else:
        if not need.everything:
            raise Incomplete(need._replace(everything=True))
        chosen = {key: books.items[key] for key in books.changed_items if key[0] not in ("hold", "spent")}
        books = replay([*context.records.values(), record], until=max(head.at, record.at, *(step[0] for step in steps)))
        taken_back, moves = corrections(context.entries, books.moves)
        _complete_rows(context, books)
        books.items.update(chosen)
        books.changed_items.update(chosen)
        goes_on = False
    balances = [books.units[name].row() for name in sorted(books.changed_units)]
    for row in balances:
        most = max(row[1:])
        if most > NEVER:
            raise InputError("points", most, f"with it, a sum of {row.unit} of this member passes 2**63 - 1")
    entries = _entries(record, taken_back, moves)
    changes: dict[str, int] = {}
    debt = 0
    for entry in entries:
        if entry.source != record.key:
            continue
        if entry.amount:
            changes[entry.unit] = changes.get(entry.unit, 0) + entry.amount
        if entry.corrects is None and '"debt"' in entry.uses:
            debt += sum(quantity for _, origin, _, quantity in json.loads(entry.uses) if origin == "debt")
    shortfall = draft.outcome.get("shortfall", 0)
    if books.shortfalls:
        shortfall += sum(amount for (source, _), amount in books.shortfalls.items() if source == record.key)
    outcome = {**draft.outcome, "changes": changes, "shortfall": shortfall, "debt": debt}
    record = Record(*record[:-1], compact(outcome))
    new_head = Head(
        record.version, books.at, record.recorded_at, max(head.settled_at, books.settled_at), books.next_at(),
        draft.head[0] if draft.head else head.status, draft.head[1] if draft.head else head.note,
    )  # fmt: skip
    return Posting(
        member_of(need),
        record,
        Commit(
            need.account,
            head.version,
            new_head,
            (record,),
            entries,
            [books.lots[name] for name in books.changed_lots],
            balances,
            [books.items[key] for key in books.changed_items],
        ),
        draft.award,
        outcome,
        books if goes_on else None,
    )


def _foresee(context: Context, need: Need, steps: list[Step], head: Head) -> None:
    """Raise `Incomplete` unless all that happens by itself until the last of the steps was loaded."""
    if need.everything:
        return
    last = steps[-1][0] if steps else head.at  # they are sorted
    next_at = head.next_at if need.due is None else context.next_at
    if next_at <= last and (need.due is None or need.due < last):
        raise Incomplete(need._replace(due=last, kinds=tuple({*need.kinds, "hold"})))


def _entries(record: Record, taken_back: Iterable[journal.Entry], moves: Iterable[Move]) -> list[journal.Entry]:
    """Return the entries of a record: first what takes back entries that no longer hold, then what happened."""
    entries: list[journal.Entry] = []
    for entry in taken_back:
        uses = compact([[lot, to, origin, quantity] for lot, origin, to, quantity in json.loads(entry.uses)])
        entry = entry._replace(
            version=record.version, line=len(entries) + 1, amount=-entry.amount, recorded_at=record.recorded_at,
            uses=uses, corrects=f"{entry.version}/{entry.line}",
        )  # fmt: skip
        entries.append(entry)
    known_at = record.recorded_at
    for unit, kind, amount, at, source, uses, reason, actor in moves:
        line = len(entries) + 1
        entries.append(
            journal.Entry(record.version, line, unit, kind, amount, at, known_at, source, uses, reason, actor)
        )
    return entries


def _complete_rows(context: Context, books: Books) -> None:
    """After a fold from the first record, mark what differs from the rows that are stored."""
    nothing: dict[str, Any] = dict.fromkeys(journal.Lot._fields[5:], 0)
    for name, lot in context.lots.items():
        if name not in books.lots:
            books.lots[name] = lot._replace(**nothing)
    books.changed_lots = {name for name, lot in books.lots.items() if context.lots.get(name) != lot}
    books.changed_units = {
        name for name in {*books.units, *context.balances} if context.balances.get(name) != books.unit(name).row()
    }
    for key, item in context.items.items():
        if key[0] in ("hold", "spent") and key not in books.items:
            books.items[key] = item._replace(value=None, due_at=NEVER)
    books.changed_items = {key for key, item in books.items.items() if context.items.get(key) != item}


# ---------------------------------------------------------------- what is read


@attrs.frozen(repr=False)
class Balance:
    """One unit of a member at one instant.

    `available` (active minus debt) is what can be spent and may be negative; `balance` adds what is held; pending
    points are in neither. The gross sums follow, whose difference is active + pending + held - debt. `receivable`
    and `forgiven` are shortfalls that were not carried as debt.
    """

    unit: str
    at: datetime
    active: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0
    earned: int = 0
    restored: int = 0
    reinstated: int = 0
    transferred_in: int = 0
    adjusted_up: int = 0
    redeemed: int = 0
    expired: int = 0
    clawed_back: int = 0
    transferred_out: int = 0
    adjusted_down: int = 0
    receivable: int = 0
    forgiven: int = 0

    @property
    def available(self) -> int:
        """What can be spent: active minus debt."""
        return self.active - self.debt

    @property
    def balance(self) -> int:
        """What is available, and what is held."""
        return self.available + self.held

    __repr__ = brief

    def __str__(self) -> str:
        parts = [f"{number(self.available)} {self.unit} available"]
        parts += [
            f"{number(count)} {name}" for name, count in (("pending", self.pending), ("held", self.held)) if count
        ]
        return ", ".join(parts)

    @classmethod
    def of(cls, row: journal.Balance, at: datetime) -> Balance:
        """Make the public value of a row."""
        names = [field.name for field in attrs.fields(cls) if field.name not in ("unit", "at")]
        return cls(row.unit, at, *[getattr(row, name) for name in names])


@attrs.frozen
class Lot:
    """One credit with what remains of it: spendable while ``active_at <= t < expires_at``."""

    id: str
    unit: str
    source: str
    earned_at: datetime
    active_at: datetime | None
    expires_at: datetime | None
    issued: int
    active: int
    pending: int
    held: int

    @property
    def remaining(self) -> int:
        """Everything that the lot still holds, spendable or not."""
        return self.active + self.pending + self.held

    @classmethod
    def of(cls, row: journal.Lot) -> Lot:
        """Make the public value of a row."""
        return cls(
            row.lot, row.unit, row.source, from_us(row.earned_at), _instant(row.active_at), _instant(row.expires_at),
            row.issued, row.active, row.pending, row.held,
        )  # fmt: skip


def _instant(us: int) -> datetime | None:
    return None if us == NEVER else from_us(us)


@attrs.frozen
class StatementRow:
    """One entry: when, what, how many, the running balance after it, and whether it is booked yet.

    `amount` is the change of active + pending + held - debt, `balance` the sum of the amounts so far. Expiry and
    activation that have happened but that no one has written down yet are shown with `booked` False.
    """

    at: datetime
    kind: str
    amount: int
    balance: int
    reason: str
    source: str
    booked: bool = True
    actor: str | None = None
    uses: tuple[tuple[str, str, str, int], ...] = ()


def lots_of(books: Books, unit: str) -> tuple[Lot, ...]:
    """Return the lots of a unit that still hold anything, in the order in which they are spent."""
    rows = [lot for lot in books.lots.values() if lot.unit == unit and (lot.active or lot.pending or lot.held)]
    return tuple(Lot.of(row) for row in sorted(rows, key=lambda row: (row.expires_at, row.earned_at, row.lot)))


def statement_of(
    entries: Iterable[journal.Entry],
    books: Books,
    unit: str,
    at: int,
    known_at: int,
    reasons: Callable[[str], str | None],
) -> tuple[StatementRow, ...]:
    """Return the standing entries of a unit up to `at` as rows with their running balance, oldest first.

    The rows are those of `books`, folded from the records known at `known_at`; an entry that has no twin among
    `entries` is not booked yet. `reasons` turns a source into words.
    """
    booked = {
        (entry.unit, entry.kind, entry.amount, entry.at, entry.source, entry.uses)
        for entry in standing_entries(entry for entry in entries if entry.recorded_at <= known_at)
    }
    rows, running = [], 0
    for move_unit, kind, amount, when, source, uses, reason, actor in books.moves:
        if move_unit != unit or when > at:
            continue
        running += amount
        row = StatementRow(
            from_us(when), kind, amount, running, reason or reasons(source) or source, source,
            (move_unit, kind, amount, when, source, uses) in booked, actor,
            tuple(tuple(use) for use in json.loads(uses)),
        )  # fmt: skip
        rows.append(row)
    return tuple(rows)


# ---------------------------------------------------------------- checking


def verify(context: Context) -> list[str]:
    """Return what is wrong with a whole account, in words; an empty list if nothing is.

    The records are folded anew and compared with the stored entries, lots, balances and items; the conservation law
    is checked for every unit and lot, and the versions for gaps.
    """
    problems: list[str] = []
    head = context.head or NEW
    records = sorted(context.records.values(), key=lambda record: record.version)
    if [record.version for record in records] != list(range(1, head.version + 1)):
        problems.append(f"the records' versions are not 1 to {head.version}")
    books = replay(records, until=head.at)
    wrong, missing = corrections(context.entries, books.moves)
    for entry in wrong:
        problems.append(f"entry {entry.version}/{entry.line} ({entry.kind} {entry.amount}) follows from no record")
    problems += [f"no entry for: {move[1]} {move[2]} {move[0]} of {move[4]}" for move in missing]
    stored = {name: lot for name, lot in context.lots.items() if lot.issued or lot.spent}
    folded = {name: lot for name, lot in books.lots.items() if lot.issued or lot.spent}
    for name in sorted({*stored, *folded}):
        if stored.get(name) != folded.get(name):
            problems.append(f"lot {name} is stored as {stored.get(name)} and should be {folded.get(name)}")
    for name in sorted({*context.balances, *books.units}):
        row = context.balances.get(name, journal.Balance(name))
        if row != books.unit(name).row():
            problems.append(f"the balance of {name} is stored as {row} and should be {books.unit(name).row()}")
        problems += conservation(books, name)
    for key in sorted({*context.items, *books.items}):
        if key[0] in ("hold", "spent"):
            mine, theirs = context.items.get(key), books.items.get(key)
            if (mine and mine.value) != (theirs and theirs.value):
                problems.append(f"{key[0]} {key[1]} is stored as {mine} and should be {theirs}")
    return problems


def conservation(books: Books, unit: str) -> list[str]:
    """Return where the conservation law fails for a unit: what came in is what is there and what went out."""
    row = books.unit(unit)
    came_in = row.earned + row.restored + row.reinstated + row.transferred_in + row.adjusted_up
    went_out = row.redeemed + row.expired + row.clawed_back + row.transferred_out + row.adjusted_down
    there = row.active + row.pending + row.held - row.debt
    problems = []
    if came_in != there + went_out:
        problems.append(f"{unit}: {came_in} came in, {went_out} went out and {there} are there")
    lots = [lot for lot in books.lots.values() if lot.unit == unit]
    sums = [sum(getattr(lot, bucket) for lot in lots) for bucket in ("active", "pending", "held")]
    if sums != [row.active + row.reserved, row.pending, row.held - row.reserved]:
        problems.append(f"{unit}: the lots hold {sums} active, pending and held, the balance says {row.row()}")
    for lot in lots:
        buckets = lot.pending, lot.active, lot.held, lot.expired, lot.clawed, lot.owed, lot.excused, lot.forgiven
        if min(buckets) < 0 or lot.issued != sum(buckets[:5]) + lot.spent or awarded(lot) < 0:
            problems.append(f"lot {lot.lot}: does not add up: {lot}")
    if min(row.debt, row.pending, row.held, row.reserved, row.receivable) < 0:
        problems.append(f"{unit}: a bucket is below zero: {row.row()}")
    return problems


# ---------------------------------------------------------------- one member's books as a value


def _default_terms(unit: str) -> Terms:
    return Terms()


@attrs.frozen
class Account:
    """One member's whole books as a value: every command returns a new account.

    `terms` says for each unit what the program would: its dates and policies; by default points are active at once,
    never expire, and a shortfall is carried as debt.

    >>> from datetime import datetime, UTC
    >>> from loyaltykit.commands import Earn, Redeem
    >>> may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    >>> account = Account("ann").do(Earn("ann", 100, key="welcome", at=may, expires_at=june))
    >>> account = account.do(Redeem("ann", 30, key="mug", at=datetime(2026, 5, 9, tzinfo=UTC)))
    >>> account.balance(may).available, account.balance(june).available
    (100, 0)
    """

    member: str
    terms: Callable[[str], Terms] = attrs.field(default=_default_terms, repr=False)
    context: Context = attrs.field(default=Context(None, {}, {}, {}, {}), repr=False)

    def do(self, command: Command, known_at: datetime | None = None) -> Account:
        """Return the account after `command`; the same account if the command was done before.

        Raises `Refused` where the rules say no (the refusal is not remembered, unlike in a `Club`), `KeyReused` if
        the key was used for another command, `InputError` for what cannot be.
        """
        if command.member != self.member:
            raise InputError("member", command.member, f"these are the books of {self.member}")
        need = Need(self.member, everything=True)
        kind = type(command).__name__.lower()
        draft = Envelope(record_key(command.key), kind, to_us(command.at), repr(command), "{}")
        recorded_at = to_us(command.at if known_at is None else instant(known_at, "known_at"))
        posting = post(self.context, need, draft, recorded_at, lambda view: decide(command, view), self.terms)
        raise_refusal(json.loads(posting.record.outcome))
        return self if posting.commit is None else self.append(posting.commit)

    def append(self, commit: Commit) -> Account:
        """Return the account with a commit applied."""
        old = self.context
        return attrs.evolve(
            self,
            context=Context(
                commit.head,
                {**old.balances, **{row.unit: row for row in commit.balances}},
                {**old.records, **{record.key: record for record in commit.records}},
                {**old.lots, **{lot.lot: lot for lot in commit.lots}},
                {**old.items, **{(item.kind, item.name): item for item in commit.items}},
                (*old.entries, *commit.entries),
            ),
        )

    def books(self, at: datetime, known_at: datetime | None = None) -> Books:
        """Return the books folded from the records known at `known_at`, as they stand at `at`."""
        until = to_us(instant(at))
        records: Iterable[Record] = self.context.records.values()
        if known_at is not None:
            known = to_us(instant(known_at, "known_at"))
            records = [record for record in records if record.recorded_at <= known]
        return replay(records, until=until)

    def balance(self, at: datetime, unit: str = "points", known_at: datetime | None = None) -> Balance:
        """Return the balance at any instant, past or future, by what had been recorded at `known_at` (default: all)."""
        return Balance.of(self.books(at, known_at).unit(unit).row(), at)

    def lots(self, at: datetime, unit: str = "points") -> tuple[Lot, ...]:
        """Return the lots that hold anything at `at`, in the order in which they are spent."""
        return lots_of(self.books(at), unit)

    def statement(
        self, at: datetime, unit: str = "points", known_at: datetime | None = None
    ) -> tuple[StatementRow, ...]:
        """Return every entry up to `at` with its reason and running balance, oldest first."""
        known = NEVER if known_at is None else to_us(instant(known_at, "known_at"))
        books = self.books(at, known_at)
        return statement_of(
            self.context.entries, books, unit, to_us(at), known, lambda source: source.removeprefix("key:")
        )

    def verify(self) -> list[str]:
        """Return what is wrong with these books, in words; an empty list if nothing is."""
        return verify(self.context)


__all__ = ["Account", "Balance", "Incomplete", "Lot", "Posting", "StatementRow", "conservation", "post", "verify"]
