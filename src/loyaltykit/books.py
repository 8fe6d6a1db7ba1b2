"""The arithmetic of the ledger: what a step does to the lots, and what time does by itself.

Pure, and in plain integers: points are ``int``, instants are microseconds since 1970 in UTC. `loyaltykit.ledger` is
the public face of this module.

Everything that ever happens to the books of a member is a **step**, a list of plain data kept in the plan of the
record that brought it::

    [at, rank, source, op, ...]      when, its place among the steps of one instant, the record's key, what

A fact's steps are **targets**: "the award of order 1001 is now 60", "the points spent on order 1001 are now 0". The
books move the difference, so a repeated, delayed or partial fact cannot count twice, and partial refunds end where
one full refund ends. A command's steps are **pinned**: they name the lots that were decided upon and are never
decided again. Between two steps, time acts: lots become active, lots expire, holds end, balances lapse.

The state of a member is the fold of all steps in the order of `order_key`. It does not depend on the order in which
the records arrived. `Books.advance` and `Books.apply` are the fold; `replay` runs it from the first record.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

from loyaltykit.journal import NEVER, Balance, Item, Lot, compact

Step = list[Any]
Use = tuple[str, str, str, int]
"""(lot, from, to, quantity); the lot is "" where no lot is concerned, as for debt."""

# The place of a step among those of one instant. What expires or becomes active at an instant does so before any of
# them; an order spends before it earns, and what changes it follows. Commands were decided on all that, so they come
# after it; last comes what an order and its refunds make of the holds and redemptions that the order names.
RANK_TERM, RANK_SPEND, RANK_AWARD, RANK_REVISION = 5, 10, 20, 1_000
RANK_REFUND, RANK_COMMAND, RANK_CAPTURE = 2_000_000_000, 3_000_000_000, 4_000_000_000


class More(Exception):
    """The books need to see more of the account than was loaded: lots or items by name, or more open lots of a unit."""

    def __init__(
        self, unit: str = "", amount: int = 0, at: int = 0, lots: tuple[str, ...] = (),
        items: tuple[tuple[str, str], ...] = (), stems: tuple[str, ...] = (), everything: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(unit, amount, at, lots, items, stems, everything)
        self.unit, self.amount, self.at, self.lots, self.items = unit, amount, at, lots, items
        self.stems, self.everything = stems, everything


class Running:
    """The running balance of one unit: the mutable twin of `Balance`."""

    __slots__ = Balance._fields

    unit: str
    pending: int
    active: int
    held: int
    debt: int
    reserved: int
    receivable: int
    forgiven: int
    lapse_at: int
    earned: int
    restored: int
    reinstated: int
    transferred_in: int
    adjusted_up: int
    redeemed: int
    expired: int
    clawed_back: int
    transferred_out: int
    adjusted_down: int

    def __init__(self, row: Balance) -> None:
        (
            self.unit, self.pending, self.active, self.held, self.debt, self.reserved, self.receivable, self.forgiven,
            self.lapse_at, self.earned, self.restored, self.reinstated, self.transferred_in, self.adjusted_up,
            self.redeemed, self.expired, self.clawed_back, self.transferred_out, self.adjusted_down,
        ) = row  # fmt: skip

    def row(self) -> Balance:
        """Return the balance as it is now."""
        return Balance._make(_columns_of(self))


_columns_of = attrgetter(*Balance._fields)


# Which gross sum an entry's kind adds to, and its sign there.
SUMS = {
    "earn": ("earned", 1),
    "restore": ("restored", 1),
    "reinstate": ("reinstated", 1),
    "transfer_in": ("transferred_in", 1),
    "adjust_up": ("adjusted_up", 1),
    "redeem": ("redeemed", -1),
    "expire": ("expired", -1),
    "claw_back": ("clawed_back", -1),
    "transfer_out": ("transferred_out", -1),
    "adjust_down": ("adjusted_down", -1),
}
"""kind -> (column of `Balance`, sign). Other kinds (activate, hold, capture, release, repay) move nothing in or out."""


class Move(tuple[Any, ...]):
    """What the books did: (unit, kind, amount, at, source, uses as JSON, reason, actor). An entry without its place."""

    __slots__ = ()


_PLACES = {
    op: place for place, op in enumerate(("note", "lapse", "term", "spent", "paid", "returned", "award", "dates"))
}


def order_key(step: Step, version: int) -> tuple[int, int, int, str, int, str]:
    """The place of a step in the fold: by instant and rank; commands then as recorded, facts by source, op and subject.

    An order spends before it earns, and gives back before it takes back.
    """
    if step[1] == RANK_COMMAND:
        return (step[0], step[1], version, step[2], 0, "")
    return (step[0], step[1], 0, step[2], _PLACES.get(step[3], len(_PLACES)), str(step[4]))


class Books:
    """The lots, balances and items of one member at one instant, and the moves that led here from where they began.

    `complete` says that all open lots were given; otherwise `More` is raised where an answer would need others.
    """

    def __init__(
        self,
        lots: Mapping[str, Lot] = {},
        balances: Mapping[str, Balance] = {},
        items: Mapping[tuple[str, str], Item] = {},
        *,
        at: int = -NEVER,
        settled_at: int = -NEVER,
        complete: bool = True,
        covered: Mapping[str, tuple[int, int]] = {},
        next_at: int = NEVER,
    ) -> None:
        self.at = at
        self.settled_at = settled_at
        self.lots: dict[str, Lot] = dict(lots)
        self.units: dict[str, Running] = {}
        for name, row in balances.items():
            self.units[name] = Running(row)
        self.items: dict[tuple[str, str], Item] = dict(items)
        self.moves: list[Move] = []
        self.changed_lots: set[str] = set()
        self.changed_units: set[str] = set()
        self.changed_items: set[tuple[str, str]] = set()
        self.shortfalls: dict[tuple[str, str], int] = {}
        self._complete = complete
        self._covered = dict(covered)
        self._next_at = next_at
        self.notes: dict[str, tuple[str | None, str | None]] = {}
        self._open: dict[str, list[tuple[int, int, str]]] = {}
        self._heap: list[tuple[int, int, str]] = []
        for lot in self.lots.values():
            if lot.active:
                self._open.setdefault(lot.unit, []).append((lot.expires_at, lot.earned_at, lot.lot))
            due_at = lot.due_at
            if due_at != NEVER:
                self._heap.append((due_at, 1, lot.lot))
        for keys in self._open.values():
            keys.sort()
        for (kind, name), item in self.items.items():
            if kind == "hold" and item.value is not None and item.due_at != NEVER:
                self._heap.append((item.due_at, 0, name))
        self._heap.sort()

    def go_on(self, covered: Mapping[str, tuple[int, int]], next_at: int) -> None:
        """Begin anew from where the books stand: what led here has been written down."""
        self.moves, self.notes, self.shortfalls = [], {}, {}
        self.changed_lots, self.changed_units, self.changed_items = set(), set(), set()
        self._covered, self._next_at = dict(covered), next_at

    # ------------------------------------------------------------ reading

    def unit(self, name: str) -> Running:
        """Return the running balance of a unit, empty if there was none."""
        unit = self.units.get(name)
        if unit is None:
            unit = self.units[name] = Running(Balance(name))
        return unit

    def available(self, unit: str) -> int:
        """Return active minus debt at the instant of the books."""
        row = self.unit(unit)
        return row.active - row.debt

    def next_at(self) -> int:
        """Return the next instant at which something happens by itself; never later than it really is."""
        heap = self._heap
        while heap and not self._stands(*heap[0]):
            heappop(heap)
        least = min(self._next_at, heap[0][0]) if heap else self._next_at
        for item in self.items.values():
            if item.due_at < least and item.value is not None:
                least = item.due_at
        for unit in self.units.values():
            if unit.lapse_at < least and (unit.active or unit.reserved):
                least = unit.lapse_at
        return least

    def expiring(self, unit: str) -> list[tuple[int, int]]:
        """Return when how much goes if nothing more happens, soonest first: lots that expire, a balance that lapses."""
        sums: dict[int, int] = {}
        lapse_at = self.unit(unit).lapse_at
        for lot in self.lots.values():
            if lot.unit == unit:
                for count, when in ((lot.active, min(lot.expires_at, lapse_at)), (lot.pending, lot.expires_at)):
                    if count and self.at < when < NEVER:
                        sums[when] = sums.get(when, 0) + count
        return sorted(sums.items())

    def choose(self, unit: str, amount: int, at: int, usable: Mapping[str, int] | None = None) -> list[tuple[str, int]]:
        """Choose lots for `amount`, soonest expiring first; fewer where there are not enough.

        `usable` limits what may be taken of a lot, for a command that arrives after later ones.
        """
        chosen, missing = [], amount
        for _, _, name in self._open.get(unit, ()):
            if missing <= 0:
                break
            lot = self.lots[name]
            if not lot.active_at <= at < lot.expires_at:
                continue
            take = min(missing, lot.active if usable is None else min(lot.active, usable.get(name, 0)))
            if take > 0:
                chosen.append((name, take))
                missing -= take
        if amount > 0 and not self._complete and not self._covers(unit, amount, at):
            row = self.unit(unit)
            if sum(self.lots[name].active for _, _, name in self._open.get(unit, ())) < row.active + row.reserved:
                raise More(unit, amount, at)
        return chosen

    def _covers(self, unit: str, amount: int, at: int) -> bool:
        """Say whether lots for so much at this instant were asked for when the books were loaded."""
        loaded, then = self._covered.get(unit, (0, 0))
        return amount <= loaded and at == then

    def find(self, name: str) -> Lot | None:
        """Return a lot by name, None where there is none; raise `More` if it may not have been given."""
        return self.lots.get(name) if self._complete else self.lot(name)

    def require_all(self, unit: str) -> None:
        """Raise `More` unless every open lot of the unit was given."""
        row = self.unit(unit)
        given = sum(opened(lot) for lot in self.lots.values() if lot.unit == unit)
        if not self._complete and given < row.pending + row.active + row.held:
            raise More(unit, NEVER)

    # ------------------------------------------------------------ writing, shared by all steps

    def put(self, lot: Lot) -> None:
        """Keep a changed lot, and what is derived from it: its next event and its place among the open lots."""
        old = self.lots.get(lot.lot)
        due_at = lot.due_at
        if due_at != NEVER and (old is None or old.due_at != due_at):
            heappush(self._heap, (due_at, 1, lot.lot))
        was = old is not None and old.active > 0
        if was and old is not None and (not lot.active or old.expires_at != lot.expires_at):
            keys = self._open[old.unit]
            del keys[bisect_left(keys, (old.expires_at, old.earned_at, old.lot))]
            was = False
        if lot.active and not was:
            insort(self._open.setdefault(lot.unit, []), (lot.expires_at, lot.earned_at, lot.lot))
        self.lots[lot.lot] = lot
        self.changed_lots.add(lot.lot)
        if old is not None and lot.active < old.active and self.at < lot.expires_at:
            self._covered.pop(lot.unit, None)  # what covered an amount may be gone now

    def lot(self, name: str) -> Lot:
        """Return a lot by name; raise `More` if it was not given."""
        lot = self.lots.get(name)
        if lot is None:
            raise More(lots=(name,))
        return lot

    def keep(self, kind: str, name: str, value: Any, due_at: int = NEVER) -> None:
        """Keep plain data under a kind and a name, or (None) nothing any more; a hold ends by itself at `due_at`."""
        text = None if value is None else compact(value)
        self.items[kind, name] = Item(kind, name, due_at if value is not None else NEVER, text)
        self.changed_items.add((kind, name))
        if kind == "hold" and value is not None:
            heappush(self._heap, (due_at, 0, name))

    def value(self, kind: str, name: str) -> Any:
        """Return what is kept under a kind and a name, None if nothing is."""
        item = self.items.get((kind, name))
        return None if item is None or item.value is None else json.loads(item.value)

    def move(self, unit: str, kind: str, amount: int, at: int, source: str, uses: Sequence[Use]) -> None:
        """Note a movement, and add it to the gross sums."""
        reason, actor = self.notes.get(source, (None, None))
        self.moves.append(Move((unit, kind, amount, at, source, compact(uses), reason, actor)))
        if amount and kind in SUMS:
            column, sign = SUMS[kind]
            row = self.unit(unit)
            setattr(row, column, getattr(row, column) + sign * amount)
        self.changed_units.add(unit)

    def settle(self, unit: str, at: int, source: str) -> None:
        """Let what is active repay debt, then what is receivable."""
        row = self.unit(unit)
        if row.debt and row.active > 0:
            uses = self.spend(row, min(row.debt, row.active), at, "debt")
            row.debt -= sum(use[3] for use in uses)
            self.settled_at = max(self.settled_at, at)
            if uses:  # what a hold kept alive beyond its date is active for a moment, and repays nothing
                self.move(unit, "repay", 0, at, source, uses)
        if row.receivable and row.active > 0:
            uses = self.spend(row, min(row.receivable, row.active), at, "clawed")
            taken = sum(use[3] for use in uses)
            row.receivable -= taken
            self.settled_at = max(self.settled_at, at)
            if uses:
                self.move(unit, "claw_back", -taken, at, source, uses)

    def spend(self, row: Running, amount: int, at: int, to: str) -> list[Use]:
        """Take up to `amount` of what is active, soonest expiring first; return what was taken."""
        return self.take(row, self.choose(row.unit, min(amount, max(row.active, 0)), at), to)

    def take(self, row: Running, chosen: Iterable[Sequence[Any]], to: str) -> list[Use]:
        """Take the chosen quantities out of active, as far as the lots hold them and no hold keeps them back."""
        uses: list[Use] = []
        for name, quantity in chosen:
            if not name:  # decided as debt
                continue
            lot = self.find(name)
            if lot is None:  # decided before it was learnt that the lot was never earned
                continue
            take = min(quantity, lot.active, max(row.active, 0))
            if take > 0:
                column = "held" if to == "held" else "spent"
                self.put(lot._replace(active=lot.active - take, **{column: getattr(lot, column) + take}))
                row.active -= take
                uses.append((name, "active", to, take))
        self.changed_units.add(row.unit)
        return uses

    def short(self, row: Running, amount: int, policy: str, source: str) -> int:
        """Book a shortfall of `amount` as the policy says; return how much of it became debt."""
        self.changed_units.add(row.unit)
        if policy == "debt":
            row.debt += amount
            return amount
        self.excuse(row, amount, policy, source)
        return 0

    def excuse(self, row: Running, amount: int, policy: str, source: str) -> None:
        """Report a shortfall that is not carried as debt: later credits repay it, or nobody does."""
        self.shortfalls[source, row.unit] = self.shortfalls.get((source, row.unit), 0) + amount
        if policy == "clamp_keep_receivable":
            row.receivable += amount
        else:
            row.forgiven += amount

    def credit(self, lot: Lot, quantity: int, at: int) -> tuple[Lot, str]:
        """Put `quantity` into a lot: pending while its time has not come, else active. Not kept yet."""
        row = self.unit(lot.unit)
        if lot.active_at > at:
            row.pending += quantity
            return lot._replace(pending=lot.pending + quantity), "pending"
        row.active += quantity
        return lot._replace(active=lot.active + quantity), "active"

    def aside(self, lot: Lot, source: str, quantity: int, at: int, origin: str, expires_at: int | None = None) -> Use:
        """Credit a lot beside `lot`, of its dates unless `expires_at` is given."""
        name = f"{lot.lot}+{source}"
        beside = self.lots.get(name) or lot._replace(
            lot=name, expires_at=lot.expires_at if expires_at is None else expires_at,
            issued=0, pending=0, active=0, held=0, spent=0, expired=0, clawed=0, owed=0, excused=0, forgiven=0,
        )  # fmt: skip
        beside, bucket = self.credit(beside._replace(issued=beside.issued + quantity), quantity, at)
        self.put(beside)
        return (name, origin, bucket, quantity)

    # ------------------------------------------------------------ what time does

    def advance(self, at: int) -> None:
        """Let time pass up to and including `at`: holds end, lots become active and expire, balances lapse."""
        if not self._stirs(at):
            if at > self.at:
                self.at = at
            return
        notes, self.notes = self.notes, {}  # nobody gave a reason for what happens by itself
        while True:
            when = self._heap[0][0] if self._heap else NEVER
            lapsing = None
            for row in self.units.values():
                if row.lapse_at < when and row.lapse_at <= at:
                    when, lapsing = row.lapse_at, row
            if when > at or when == NEVER:
                break
            now = self.at = max(when, self.at)
            if lapsing is not None:
                self._lapse(lapsing, now)
                continue
            _, what, name = heappop(self._heap)
            if not self._stands(when, what, name):
                continue
            if what:
                self._lot_event(self.lots[name], now)
            else:
                unit, _ = self.end_hold(name, now, "hold:" + name)
                self.settle(unit, now, "hold:" + name)
        self.at = max(self.at, at)
        self.notes = notes

    def _stirs(self, at: int) -> bool:
        """Say whether anything may happen by itself until `at`."""
        if self._heap and self._heap[0][0] <= at:
            return True
        for row in self.units.values():  # noqa: SIM110 (asked several times a fact)
            if row.lapse_at <= at:
                return True
        return False

    def _stands(self, when: int, what: int, name: str) -> bool:
        """Say whether a lot or hold still has the date under which it lies on the heap."""
        if what:
            return self.lots[name].due_at == when
        item = self.items.get(("hold", name))
        return item is not None and item.value is not None and item.due_at == when

    def _lot_event(self, lot: Lot, now: int) -> None:
        row = self.unit(lot.unit)
        if lot.expires_at <= now:
            uses: list[Use] = []
            gone = lot.active
            if lot.active:
                uses.append((lot.lot, "active", "expired", lot.active))
            if lot.pending:
                uses.append((lot.lot, "pending", "expired", lot.pending))
            self.put(lot._replace(active=0, pending=0, expired=lot.expired + lot.active + lot.pending))
            row.active -= gone
            row.pending -= lot.pending
            uses += self._uncover(row)
            self.settled_at = max(self.settled_at, now)
            self.move(lot.unit, "expire", -(gone + lot.pending), now, lot.lot, uses)
        elif lot.pending and lot.active_at <= now:
            self.put(lot._replace(pending=0, active=lot.active + lot.pending))
            row.pending -= lot.pending
            row.active += lot.pending
            self.move(lot.unit, "activate", 0, now, lot.lot, [(lot.lot, "pending", "active", lot.pending)])
            self.settle(lot.unit, now, lot.lot)
        else:
            self.put(lot)

    def _uncover(self, row: Running) -> list[Use]:
        """Where lots expired under unpinned holds, let the newest holds keep back less."""
        uses: list[Use] = []
        if row.active >= 0 or not row.reserved:
            return uses
        holds = [name for (kind, name), item in self.items.items() if kind == "hold" and item.value is not None]
        if not holds and not self._complete:
            raise More(row.unit, NEVER)
        for name in sorted(holds, reverse=True):
            value = self.value("hold", name)
            give = min(-row.active, value[1])
            if value[0] == row.unit and value[2] is None and give > 0:
                self.keep("hold", name, [value[0], value[1] - give, None], self.items["hold", name].due_at)
                row.reserved -= give
                row.held -= give
                row.active += give
                uses.append(("", "held", "active", give))
        return uses

    def _lapse(self, row: Running, now: int) -> None:
        """Expire the whole active balance, for nobody was active in time."""
        self.require_all(row.unit)
        uses: list[Use] = []
        for _, _, name in list(self._open.get(row.unit, ())):
            lot = self.lots[name]
            uses.append((name, "active", "expired", lot.active))
            row.active -= lot.active
            self.put(lot._replace(active=0, expired=lot.expired + lot.active))
        uses += self._uncover(row)
        gone = sum(use[3] for use in uses if use[2] == "expired")
        row.lapse_at = NEVER
        self.settled_at = max(self.settled_at, now)
        self.changed_units.add(row.unit)
        if uses:
            self.move(row.unit, "expire", -gone, now, "inactivity", uses)

    def end_hold(self, name: str, at: int, source: str) -> tuple[str, list[list[Any]] | None]:
        """Give back what a hold still holds, to the lots it came from; return its unit and its lots."""
        unit, amount, pinned = self.value("hold", name)
        row = self.unit(unit)
        uses: list[Use] = []
        if pinned is None:
            row.reserved -= amount
            row.held -= amount
            row.active += amount
            if amount:
                uses.append(("", "held", "active", amount))
        else:
            for lot_name, quantity in pinned:
                lot = self.lot(lot_name)
                self.put(lot._replace(held=lot.held - quantity, active=lot.active + quantity))
                row.held -= quantity
                row.active += quantity
                uses.append((lot_name, "held", "active", quantity))
        self.keep("hold", name, None)
        self.settled_at = max(self.settled_at, at)
        self.move(unit, "release", 0, at, source, uses)
        return unit, pinned


def opened(lot: Lot) -> int:
    """Return what of a lot can still come to anything: pending, active and held."""
    return lot.pending + lot.active + lot.held
