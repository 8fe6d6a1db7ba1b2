"""The plain rows that a member's books consist of, and what passes between the pure core and a store.

An **account** is one member in one program, and a stream of **records**: facts and commands in the order in which
they were recorded, each with the entries, lots, balances and items that it led to. All values are ``str``, ``int``
or ``None``; instants are integer microseconds since 1970 in UTC; "never" is `NEVER`; texts that hold structure are
JSON. They are tuples because they are the hot path's rows as well: a store passes them on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loyaltykit._encoding import json_writer

NEVER = 2**63 - 1
"""The instant that does not come: a lot without expiry, a record without a next event."""


compact = json_writer()
"""Write JSON as the rows hold it: without spaces."""


_MARKS = (("%", "%25"), ("#", "%23"), ("+", "%2B"), (">", "%3E"))


def stem(key: str) -> str:
    """Return a key as the beginning of a lot's name: there ``#`` and ``+`` part it from the rest, ``>`` from a member.

    >>> stem("order:1001"), stem("order:#1001")
    ('order:1001', 'order:%231001')
    """
    for mark, spelled in _MARKS:
        if mark in key:
            key = key.replace(mark, spelled)
    return key


def stem_of_lot(name: str) -> str:
    """Return what a lot's name begins with: the stem of a key, after the prefix of a merge.

    >>> stem_of_lot("order:%231001#stamps"), stem_of_lot("bob>order:1001+key:back")
    ('order:%231001', 'bob>order:1001')
    """
    return name.partition("+")[0].partition("#")[0]


def source_of_lot(name: str) -> str:
    """Return the key of the record that a lot comes from: what its name begins with.

    >>> source_of_lot("order:%231001#stamps"), source_of_lot("order:1001+key:back")
    ('order:#1001', 'order:1001')
    """
    name = stem_of_lot(name)
    for mark, spelled in reversed(_MARKS):
        if spelled in name:
            name = name.replace(spelled, mark)
    return name


def record_of(source: str, records: Mapping[str, Record]) -> Record | None:
    """Return the record that an entry's source is the key of, or that the lot which it names comes from."""
    return records.get(source) or records.get(source_of_lot(source))


class Head(NamedTuple):
    """The state of an account as a whole; there is none before the first commit."""

    version: int  # records so far
    at: int  # the books are settled up to this instant: the latest of the records, and of what was booked with them
    recorded_at: int  # when the latest record was made; never goes back
    settled_at: int  # a fact from before this instant may change what was booked since, one after it cannot
    next_at: int  # the next instant at which something happens by itself; NEVER if nothing will
    status: str = "open"  # "open", or "closed" once merged into another account
    note: str = "{}"  # JSON: merged into, absorbed, policy term applied


class Record(NamedTuple):
    """One fact or command, as recorded, with what was decided."""

    version: int
    key: str  # unique in the account: "order:1001", "order:1001@2", "refund:r-1", "redeem:cart-17", ...
    kind: str  # order, refund, reversal, activity, member, earn, redeem, hold, ...
    ref: str | None  # what it belongs to: a refund's "order:1001", a capture's "hold:cart-17"
    at: int  # when it happened
    recorded_at: int  # when it was recorded
    fingerprint: str  # of the payload: the same key with another one is a conflict
    status: str  # "applied", "waiting" (for what it refers to), "refused"
    payload: str  # JSON: the fact or command itself
    plan: str  # JSON: what it does to the books (see loyaltykit.ledger); "[]" for nothing
    outcome: str  # JSON: what was answered


class Entry(NamedTuple):
    """One signed movement of one unit. Never changed; a correction is an entry that names what it corrects."""

    version: int  # of the record that brought it
    line: int  # 1, 2, 3 ... in that record
    unit: str
    kind: str  # earn, redeem, expire, claw_back, restore, ...
    amount: int  # signed change of active + pending + held - debt; 0 for a movement between these
    at: int  # when it happened
    recorded_at: int
    source: str  # the key of the record that it follows from, or of the lot or hold for what happens by itself
    uses: str  # JSON: [[lot, from, to, quantity], ...]
    reason: str | None = None
    actor: str | None = None
    corrects: str | None = None  # "version/line" of the entry that this one takes back


class Lot(NamedTuple):
    """One credit, with what became of it. issued = pending + active + held + spent + expired + clawed."""

    lot: str  # begins with the `stem` of the key of the record that brought it
    unit: str
    earned_at: int
    active_at: int
    expires_at: int
    issued: int
    pending: int
    active: int
    held: int
    spent: int  # redeemed, transferred, adjusted down, repaid debt
    expired: int
    clawed: int  # taken back from this lot's own content for its own award
    owed: int  # taken back for this lot's award from elsewhere: other lots, or debt
    excused: int  # not taken back although the award was lowered, for it had expired by itself
    forgiven: int  # not taken back although the award was lowered: a clamped shortfall

    @property
    def stem(self) -> str:
        """What its name begins with."""
        return stem_of_lot(self.lot)

    @property
    def source(self) -> str:
        """The key of the record that brought it."""
        return source_of_lot(self.lot)

    @property
    def due_at(self) -> int:
        """The next instant at which it changes by itself; NEVER if none."""
        if self.pending > 0:
            return min(self.active_at, self.expires_at)
        return self.expires_at if self.active > 0 else NEVER


class Balance(NamedTuple):
    """One unit of an account at `Head.at`, and the gross sums that led to it."""

    unit: str
    pending: int = 0
    active: int = 0
    held: int = 0
    debt: int = 0
    reserved: int = 0  # of held: what unpinned holds keep back without binding lots
    receivable: int = 0  # a clamped shortfall that later credits repay; not part of the balance
    forgiven: int = 0  # a clamped shortfall that nobody repays
    lapse_at: int = NEVER  # inactivity: when the whole balance lapses
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


class Item(NamedTuple):
    """Anything else that an account keeps under a kind and a name: a hold, a count under a cap, a profile."""

    kind: str
    name: str
    due_at: int  # when it changes by itself (a hold's end); NEVER if it does not
    value: str | None  # JSON; None removes the item


class Need(NamedTuple):
    """What a decision wants to see of an account. The head and all balances always come."""

    account: str
    keys: tuple[str, ...] = ()  # records by key
    refs: tuple[str, ...] = ()  # records by what they belong to
    spend: tuple[tuple[str, int], ...] = ()  # (unit, n): open lots, soonest expiring first, until their active covers n
    spend_at: int = 0  # ... counting only lots with active_at <= spend_at < expires_at
    due: int | None = None  # lots and items with due_at <= due, unless the head's next_at is later: see Context.next_at
    lots: tuple[str, ...] = ()  # lots by id
    stems: tuple[str, ...] = ()  # lots by what their names begin with: this alone, or this and "#" or "+" and more
    items: tuple[tuple[str, str], ...] = ()  # items by (kind, name)
    kinds: tuple[str, ...] = ()  # all items of these kinds
    open_lots: bool = False  # all lots with anything pending, active or held
    everything: bool = False  # all records, entries, lots and items


class Context(NamedTuple):
    """An account at one version: what a `Need` asked for. Lots, records and items may be more than was asked."""

    head: Head | None
    balances: Mapping[str, Balance]
    records: Mapping[str, Record]  # by key
    lots: Mapping[str, Lot]  # by lot id
    items: Mapping[tuple[str, str], Item]
    entries: Sequence[Entry] = ()  # only for `everything`, ordered by (version, line)
    next_at: int = NEVER  # if `due` was asked for: the least due_at after it, or the head's next_at if that is after it


class Commit(NamedTuple):
    """What is to be appended to one account: the new records and every row that they change, whole."""

    account: str
    expected: int  # the version that was loaded; 0 for an account that does not exist yet
    head: Head
    records: Sequence[Record]
    entries: Sequence[Entry] = ()
    lots: Sequence[Lot] = ()  # new or changed
    balances: Sequence[Balance] = ()  # new or changed
    items: Sequence[Item] = ()  # new, changed or (value None) removed
