"""Lots, debts and holds as plain objects and loops: the part of `loyaltykit.testing.model` in which time passes.

Everything is looked at anew for every question, nothing is kept sorted, nothing is remembered: slow, and short enough
to be seen to be right. It shares no code with the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

FAR = datetime.max.replace(tzinfo=UTC)
"""The instant that does not come."""

Uses = list[tuple[str, int]]
"""(lot, points) that paid for something, the first taken first; the lot is "" for points that nobody had."""


def lot_name(key: str) -> str:
    """Return how the lots of a key are called, in which some marks mean something."""
    return key.translate({ord(mark): f"%{ord(mark):X}" for mark in "%#+>"})


@dataclass
class Lot:
    """One credit. issued = pending + active + held + spent + expired + clawed."""

    name: str
    unit: str
    earned_at: datetime
    active_at: datetime
    expires_at: datetime
    issued: int = 0
    pending: int = 0
    active: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    clawed: int = 0
    owed: int = 0  # taken back elsewhere: from other lots, or as debt
    excused: int = 0  # not taken back, for it had expired
    forgiven: int = 0  # not taken back, for there was nothing and the program asks for no debt

    @property
    def stands(self) -> int:
        """What stands of the award that made the lot."""
        return self.issued - self.clawed - self.owed - self.excused - self.forgiven

    def put(self, points: int, at: datetime) -> None:
        """Let points come in: they wait while the lot does."""
        if self.active_at > at:
            self.pending += points
        else:
            self.active += points


@dataclass
class Hold:
    """Points set aside: of named lots, or, where they are None, of the balance as a whole."""

    unit: str
    amount: int
    until: datetime
    lots: Uses | None


@dataclass
class Spent:
    """Points spent under a name, with the lots they came from: in all, and what was given back by hand."""

    unit: str
    lots: Uses = field(default_factory=list)
    total: int = 0
    by_hand: int = 0

    @property
    def left(self) -> int:
        """What is still spent."""
        return sum(points for _, points in self.lots)


class Ledger:
    """A member's lots at an instant."""

    def __init__(self, shortfall: str, pinned: bool) -> None:
        self.shortfall, self.pinned = shortfall, pinned
        self.at = datetime.min.replace(tzinfo=UTC)
        self.lots: dict[str, Lot] = {}
        self.holds: dict[str, Hold] = {}
        self.spent: dict[str, Spent] = {}
        self.lapse: dict[str, datetime] = {}
        self.debt: Counter[str] = Counter()
        self.receivable: Counter[str] = Counter()
        self.forgiven: Counter[str] = Counter()
        self.sums: Counter[tuple[str, str]] = Counter()

    # ------------------------------------------------------------ what is there

    def reserved(self, unit: str) -> int:
        """Return what holds keep back without binding lots."""
        return sum(hold.amount for hold in self.holds.values() if hold.unit == unit and hold.lots is None)

    def active(self, unit: str) -> int:
        """Return what is active and not kept back."""
        return sum(lot.active for lot in self.lots.values() if lot.unit == unit) - self.reserved(unit)

    def of(self, unit: str) -> list[Lot]:
        """Return the lots of a unit, soonest expiring first, ties by earning instant, then by name."""
        lots = [lot for lot in self.lots.values() if lot.unit == unit]
        return sorted(lots, key=lambda lot: (lot.expires_at, lot.earned_at, lot.name))

    def balance(self, unit: str) -> dict[str, int]:
        """Return every number that a balance has."""
        names = ["earned", "restored", "reinstated", "transferred_in", "adjusted_up"]
        names += ["redeemed", "expired", "clawed_back", "transferred_out", "adjusted_down"]
        return {
            "active": self.active(unit),
            "pending": sum(lot.pending for lot in self.of(unit)),
            "held": sum(lot.held for lot in self.of(unit)) + self.reserved(unit),
            "debt": self.debt[unit],
            "receivable": self.receivable[unit],
            "forgiven": self.forgiven[unit],
            **{name: self.sums[unit, name] for name in names},
        }

    def edges(self) -> set[datetime]:
        """Return the instants at which something happens by itself."""
        times = {hold.until for hold in self.holds.values()} | set(self.lapse.values())
        for lot in self.lots.values():
            times |= {lot.active_at, lot.expires_at}
        return {time for time in times if time != FAR}

    # ------------------------------------------------------------ what time does

    def tick(self, to: datetime) -> None:
        """Let everything happen that is due up to `to`, one after the other."""
        while True:
            due = [(hold.until, 0, name) for name, hold in self.holds.items()]
            due += [(min(lot.active_at, lot.expires_at), 1, lot.name) for lot in self.lots.values() if lot.pending]
            due += [(lot.expires_at, 1, lot.name) for lot in self.lots.values() if lot.active]
            due += [(time, 2, unit) for unit, time in self.lapse.items()]
            when, kind, name = min(due, default=(FAR, 0, ""))
            if when > to or when == FAR:
                break
            self.at = max(self.at, when)
            if kind == 0:
                unit = self.holds[name].unit
                self.end_hold(name)
                self.settle(unit)
            elif kind == 2:
                del self.lapse[name]
                self.expire(name, [(lot, lot.active, 0) for lot in self.of(name)])
            elif self.lots[name].expires_at <= self.at:
                lot = self.lots[name]
                self.expire(lot.unit, [(lot, lot.active, lot.pending)])
            else:
                lot = self.lots[name]
                lot.active, lot.pending = lot.active + lot.pending, 0
                self.settle(lot.unit)
        self.at = max(self.at, to)

    def expire(self, unit: str, parts: Iterable[tuple[Lot, int, int]]) -> None:
        """Let parts of lots expire: (lot, active, pending). Holds that no lots back keep less, the newest first."""
        for lot, active, pending in parts:
            lot.active, lot.pending, lot.expired = (
                lot.active - active,
                lot.pending - pending,
                lot.expired + active + pending,
            )
            self.sums[unit, "expired"] += active + pending
        for name in sorted(self.holds, reverse=True):
            hold = self.holds[name]
            if hold.unit == unit and hold.lots is None:
                hold.amount -= min(hold.amount, max(0, -self.active(unit)))

    def settle(self, unit: str) -> None:
        """Let what is active repay debt, then a shortfall that is still to be had."""
        repaid = sum(points for _, points in self.take(unit, self.debt[unit]))
        self.debt[unit] -= repaid
        recovered = sum(points for _, points in self.take(unit, self.receivable[unit]))
        self.receivable[unit] -= recovered
        self.sums[unit, "clawed_back"] += recovered

    # ------------------------------------------------------------ taking and giving

    def choose(self, unit: str, points: int, at: datetime, room: Mapping[str, int] | None = None) -> Uses:
        """Choose lots that are spendable at `at`; `room` limits what may be taken of each."""
        chosen: Uses = []
        for lot in self.of(unit) if points else ():
            if lot.active_at <= at < lot.expires_at:
                some = min(points, lot.active if room is None else min(lot.active, room[lot.name]))
                chosen += [(lot.name, some)] if some else []
                points -= some
        return chosen

    def take(self, unit: str, points: int, chosen: Uses | None = None, into: str = "spent") -> Uses:
        """Take up to so many points, of the chosen lots or soonest expiring first; return what was taken."""
        taken: Uses = []
        if not points and chosen is None:
            return taken
        free = max(0, self.active(unit))
        for name, wanted in self.choose(unit, min(points, free), self.at) if chosen is None else chosen:
            lot = self.lots.get(name)
            some = 0 if lot is None else min(wanted, lot.active, free)
            if lot is not None and some:
                lot.active -= some
                setattr(lot, into, getattr(lot, into) + some)
                free -= some
                taken.append((name, some))
        return taken

    def pay(self, unit: str, points: int, chosen: Uses | None = None, kind: str = "redeemed") -> Uses:
        """Spend points: of the chosen lots, then of others; what nobody has is a shortfall."""
        paid = self.take(unit, points, chosen)
        paid += self.take(unit, points - sum(count for _, count in paid))
        missing = points - sum(count for _, count in paid)
        self.sums[unit, kind] += points
        if missing:
            paid.append(("", missing))
            self.short(unit, missing)
            if self.shortfall != "debt":
                self.sums[unit, "adjusted_up"] += missing
        return paid

    def short(self, unit: str, points: int) -> None:
        """Book a shortfall as the program wants it."""
        kept = {"debt": self.debt, "clamp": self.forgiven, "clamp_keep_receivable": self.receivable}[self.shortfall]
        kept[unit] += points

    def unshort(self, unit: str, points: int) -> int:
        """Let a shortfall be as if it had never been; return how much of it other points have paid meanwhile."""
        if self.shortfall == "clamp":
            self.forgiven[unit] -= min(points, self.forgiven[unit])
            return 0
        kept = self.debt if self.shortfall == "debt" else self.receivable
        gone = min(points, kept[unit])
        kept[unit] -= gone
        return points - gone

    def aside(self, like: Lot, source: str, points: int, expires_at: datetime | None = None) -> None:
        """Put points into a lot beside another one, of the same dates or with an end of its own."""
        name = f"{like.name}+{source}"
        if name not in self.lots:
            end = like.expires_at if expires_at is None else expires_at
            self.lots[name] = Lot(name, like.unit, like.earned_at, like.active_at, end)
        self.lots[name].issued += points
        self.lots[name].put(points, self.at)

    # ------------------------------------------------------------ what happens

    def award(self, name: str, unit: str, target: int, dates: tuple[datetime, datetime, datetime], source: str) -> None:
        """Let so much stand of an award: earn, take back or give back the difference."""
        lot = self.lots.get(name)
        if lot is None:
            if target:
                lot = self.lots[name] = Lot(name, unit, *dates, issued=target)
                lot.put(target, self.at)
                self.sums[unit, "earned"] += target
                self.settle(unit)
        elif target < lot.stands:
            self.claw_back(lot, lot.stands - target)
        elif target > lot.stands:
            self.give_again(lot, target - lot.stands, source)

    def claw_back(self, lot: Lot, points: int) -> None:
        """Take an award back: pending, its own lot, not what expired by itself, other lots, the shortfall policy."""
        unit = lot.unit
        pending = min(points, lot.pending)
        own = min(points - pending, lot.active, max(0, self.active(unit)))
        lot.pending, lot.active, lot.clawed = lot.pending - pending, lot.active - own, lot.clawed + pending + own
        points -= pending + own
        excused = min(points, lot.expired - lot.excused)
        lot.excused += excused
        points -= excused
        others = sum(count for _, count in self.take(unit, points))
        missing = points - others
        if missing:
            self.short(unit, missing)
        as_debt = missing if self.shortfall == "debt" else 0
        lot.owed += others + as_debt
        lot.forgiven += missing - as_debt
        self.sums[unit, "clawed_back"] += pending + own + others + as_debt
        self.settle(unit)

    def take_back(self, name: str, points: int) -> None:
        """Take back so many points that were given by hand."""
        if name in self.lots:
            self.claw_back(self.lots[name], min(points, self.lots[name].stands))

    def give_again(self, lot: Lot, points: int, source: str) -> None:
        """Let more of an award stand: first what was taken back elsewhere, then of the lot, then what never was."""
        unit = lot.unit
        owed = min(points, lot.owed)
        clawed = min(points - owed, lot.clawed)
        forgiven = min(points - owed - clawed, lot.forgiven)
        excused = min(points - owed - clawed - forgiven, lot.excused)
        new = points - owed - clawed - forgiven - excused
        lot.owed, lot.clawed, lot.forgiven = lot.owed - owed, lot.clawed - clawed, lot.forgiven - forgiven
        lot.excused, lot.issued = lot.excused - excused, lot.issued + new
        lot.put(new + clawed, self.at)
        paid = self.unshort(unit, forgiven)
        cancelled = min(owed + paid, self.debt[unit])
        self.debt[unit] -= cancelled
        if owed + paid > cancelled:
            self.aside(lot, source, owed + paid - cancelled)
        self.sums[unit, "earned"] += new
        self.sums[unit, "reinstated"] += clawed + owed + paid
        self.settle(unit)

    def reinstate(self, name: str, points: int, expires_at: datetime) -> None:
        """Undo an expiry in the same lot."""
        lot = self.lots.get(name)
        points = 0 if lot is None else min(points, lot.expired - lot.excused)
        if lot is not None and points:
            lot.expired, lot.expires_at = lot.expired - points, expires_at
            lot.put(points, self.at)
            self.sums[lot.unit, "reinstated"] += points
            self.settle(lot.unit)

    def spend(self, name: str, unit: str, target: int, source: str, grace: datetime | None) -> None:
        """Let so many points be spent under a name, less what was given back by hand."""
        spent = self.spent.get(name)
        if spent is None:
            if not target:
                return
            spent = self.spent[name] = Spent(unit)
        target, goal = max(0, target - spent.by_hand), target
        if target > spent.left:
            spent.lots += self.pay(unit, target - spent.left)
        elif target < spent.left:
            self.give_back(spent, spent.left - target, source, grace)
        spent.total = max(spent.total, goal)
        self.settle(unit)

    def restore(self, name: str, points: int, source: str, grace: datetime | None) -> None:
        """Give back by hand."""
        spent = self.spent.get(name)
        if spent is not None:
            points = min(points, spent.left)
            spent.by_hand += points
            self.give_back(spent, points, source, grace)
            self.settle(spent.unit)

    def give_back(self, spent: Spent, points: int, source: str, grace: datetime | None) -> None:
        """Give points back to the very lots, those taken last first; with grace, beside lots that have expired."""
        unit = spent.unit
        while points:
            name, count = spent.lots.pop()
            back = min(points, count)
            points -= back
            if back < count:
                spent.lots.append((name, count - back))
            if not name:
                if self.shortfall != "debt":
                    back = self.unshort(unit, back)
                cancelled = min(back, self.debt[unit])
                self.debt[unit] -= cancelled
                if back > cancelled:
                    self.aside(Lot(lot_name(source), unit, self.at, self.at, FAR), source, back - cancelled)
            elif grace is not None and grace > self.at >= self.lots[name].expires_at:
                self.aside(self.lots[name], source, back, grace)
            else:
                self.lots[name].spent -= back
                self.lots[name].put(back, self.at)
            self.sums[unit, "restored"] += back

    def redeem(self, name: str, unit: str, chosen: Uses, kind: str) -> None:
        """Spend the lots that were decided upon."""
        paid = self.pay(unit, sum(points for _, points in chosen), [use for use in chosen if use[0]], kind)
        if kind == "redeemed":
            self.spent[name] = Spent(unit, paid, sum(points for _, points in paid))

    def hold(self, name: str, unit: str, points: int, until: datetime, chosen: Uses) -> None:
        """Set points aside, of the lots that were decided upon or of all."""
        if not self.pinned:
            self.holds[name] = Hold(unit, min(points, max(0, self.active(unit))), until, None)
            return
        taken = self.take(unit, points, chosen, "held")
        taken += self.take(unit, points - sum(count for _, count in taken), None, "held")
        self.holds[name] = Hold(unit, sum(count for _, count in taken), until, taken)

    def end_hold(self, name: str) -> Hold:
        """Give back what is held to where it came from."""
        hold = self.holds.pop(name)
        for lot, points in hold.lots or ():
            self.lots[lot].held -= points
            self.lots[lot].active += points
        return hold

    def capture(self, name: str, points: int) -> None:
        """Spend so many points of a hold; the rest goes back."""
        if name in self.holds:
            hold = self.end_hold(name)
            chosen: Uses | None = None
            if hold.lots is not None:
                chosen, rest = [], points
                for lot, count in hold.lots:
                    chosen.append((lot, min(count, rest)))
                    rest -= min(count, rest)
            paid = self.pay(hold.unit, points, chosen)
            self.spent[name] = Spent(hold.unit, paid, points)
            self.settle(hold.unit)

    def release(self, name: str) -> None:
        """Let a hold go."""
        if name in self.holds:
            self.settle(self.end_hold(name).unit)

    def credit(self, name: str, unit: str, points: int, dates: tuple[datetime, datetime, datetime], kind: str) -> None:
        """Let a lot come in from outside."""
        lot = self.lots[name] = Lot(name, unit, *dates, issued=points)
        lot.put(points, self.at)
        self.sums[unit, kind] += points
        self.settle(unit)

    def deliver(self, name: str, active_at: datetime, expires_at: datetime) -> None:
        """Date a lot that waited for its event."""
        lot = self.lots.get(name)
        if lot is not None and lot.active_at > self.at:
            self.lots[name] = replace(lot, active_at=active_at, expires_at=expires_at)

    def be_active(self, unit: str, until: datetime) -> None:
        """Put the lapse of a balance off."""
        self.lapse[unit] = max(until, self.lapse.get(unit, until))

    def do(self, op: str, values: tuple[Any, ...]) -> None:
        """Do what an action says."""
        getattr(self, op)(*values)
