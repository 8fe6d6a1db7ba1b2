"""A plain model of one member's books, written from the laws and not from the code: what a club is compared with.

It keeps the list of everything that was recorded, and computes each answer from that list alone: no snapshot, no
short cut, no store. It knows the programs, facts and commands of `loyaltykit.testing.strategies`: whole prices, one
rule per amount, one per item, one activity, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import attrs

from loyaltykit import commands
from loyaltykit.calendar import Period, to_us
from loyaltykit.commands import Command
from loyaltykit.facts import Activity, Order, Refund, Reversal, Tender
from loyaltykit.program import Grace, Program
from loyaltykit.rules import ActivityRule, OnEvent, PerItem
from loyaltykit.testing._ledger_model import FAR, Ledger, Uses, lot_name

Fact = Order | Refund | Reversal | Activity
Dates = tuple[datetime, datetime, datetime]

# The order of what happens at one instant: an order spends, then earns; revisions by number; everything else that
# concerns an order; commands as they were recorded; what orders and refunds make of holds and redemptions.
SPENDS, EARNS, REVISES, CHANGES, COMMANDS, NAMES = range(1, 7)
PLACES = ("be_active", "spend", "paid", "returned", "award", "deliver")


class Action(NamedTuple):
    """Something that is done to a ledger, and its place among the actions of all time."""

    at: datetime
    phase: int
    among: int  # the number of a command's record, or of a revision
    source: str
    place: int
    op: str
    values: tuple[Any, ...]


class Recorded(NamedTuple):
    """A fact, or a command with what was decided."""

    recorded_at: datetime
    what: Fact | Command
    actions: tuple[Action, ...] = ()  # of a command
    used: Mapping[str, int] = {}  # of a fact: what was counted under the caps before it
    redeemed: frozenset[str] = frozenset()  # of an order: which of the keys it names were redemptions


class Answer(NamedTuple):
    """What a command should be answered: ``done``, ``refused`` (with the reason), or ``invalid``."""

    status: str
    reason: str = ""
    needed: int = 0
    available: int = 0


Story = tuple[Sequence[Action], int, Set[str]]
"""What an order and all about it does, what it counts under caps, and the refunds that are ignored."""


class Impossible(Exception):
    """A refund that cannot be true of its order."""


def period(value: Period | None) -> timedelta | None:
    """Return a period of hours as what it lasts."""
    return None if value is None else timedelta(microseconds=value.microseconds)


class Model:
    """One member's books. `key_of` names facts as the club does."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.records: list[Recorded] = []
        self.keys: dict[str, Recorded] = {}
        self.refused: dict[str, Answer] = {}
        self.event = program.activation.event if isinstance(program.activation, OnEvent) else None
        grace = program.restore
        self.grace = period(grace.period) if isinstance(grace, Grace) else None
        self._stories: dict[tuple[int, ...], tuple[Sequence[Recorded], Story]] = {}

    # ------------------------------------------------------------ asking

    def ledger(self, at: datetime, known_at: datetime = FAR) -> Ledger:
        """Return the books at an instant, by what had been recorded at `known_at`."""
        known = [record for record in self.records if record.recorded_at <= known_at]
        actions = [action for record in known for action in record.actions]
        actions += [action for order in _orders(known) for action in self.story(order, known)[0]]
        for record in known:
            if isinstance(record.what, Activity):
                actions += self.activity(record.what, self.given(record.what, record.used))
        ledger = Ledger(self.program.shortfall, self.program.hold == "pinned")
        # What one fact makes of several awards comes in the order of their lots' names.
        for action in sorted(actions, key=lambda each: (*each[:5], each.values[0] if each.op == "award" else "")):
            if action.at > at:
                break
            ledger.tick(action.at)
            self.do(ledger, action)
            ledger.tick(action.at)
        ledger.tick(at)
        return ledger

    def do(self, ledger: Ledger, action: Action) -> None:
        """Do an action; those that depend on what an order names are resolved here."""
        op, values = action.op, action.values
        if op == "paid":
            key, unit, points, redeemed = values
            if key in ledger.holds:
                ledger.capture(key, points)
            elif not redeemed and key not in ledger.spent:
                ledger.spend(key, unit, points, action.source, None)
        elif op == "returned":
            key, points, grace = values
            if key in ledger.spent:
                spent = ledger.spent[key]
                ledger.spend(key, spent.unit, max(0, spent.total - points), action.source, grace)
        else:
            ledger.do(op, values)

    # ------------------------------------------------------------ facts

    def record(self, fact: Fact, key: str, recorded_at: datetime) -> None:
        """Record a fact; the same again is nothing. `Impossible` for a refund that cannot be true of its order."""
        if key in self.keys:
            return
        named = {tender.key for tender in getattr(fact, "tenders", ()) if tender.key}
        redemptions = {
            record.what.key for record in self.records if isinstance(record.what, commands.Redeem) and record.actions
        }
        record = Recorded(recorded_at, fact, (), self.used(fact.at), frozenset(named & redemptions))
        if isinstance(fact, Refund):
            before = self.story(fact.order, self.records)[2]
            if self.story(fact.order, [*self.records, record])[2] - before:
                raise Impossible
        self.records.append(record)
        self.keys[key] = record

    def used(self, at: datetime) -> dict[str, int]:
        """Return what counts under the caps of a day, by all that has been recorded."""
        counts = {"points": 0, "review": 0, "reviews": 0}
        for record in self.records:
            if isinstance(record.what, Activity) and record.what.at.date() == at.date():
                given = self.given(record.what, record.used)
                counts["points"] += given
                counts["review"] += given
                counts["reviews"] += 1 if given else 0
        for order in _orders(self.records):
            placed = [r.what for r in self.records if isinstance(r.what, Order) and r.what.id == order]
            if placed and placed[0].at.date() == at.date():
                counts["points"] += self.story(order, self.records)[1]
        return counts

    def given(self, fact: Activity, used: Mapping[str, int]) -> int:
        """Return what an activity earns: the rule's points, or what its caps leave."""
        rule = next(rule for rule in self.program.earning if isinstance(rule, ActivityRule))
        points = rule.points if fact.name == rule.activity else 0
        if rule.cap is not None and rule.cap.points is not None:
            points = min(points, max(0, rule.cap.points - used["review"]))
        if rule.cap is not None and rule.cap.times is not None and used["reviews"] >= rule.cap.times:
            points = 0
        return self.capped(points, used)

    def capped(self, points: int, used: Mapping[str, int]) -> int:
        """Return what the program's cap of a day leaves of an award."""
        for cap in self.program.caps:
            points = min(points, max(0, (cap.points or 0) - used["points"]))
        return points

    def activity(self, fact: Activity, points: int) -> list[Action]:
        """Return what an activity does by itself."""
        source = f"activity:{fact.id}"
        if not points:
            return []
        dates = self.dates(fact.at)
        return [
            *self.lapses(fact.at, EARNS, 0, source, {"points"}),
            Action(fact.at, EARNS, 0, source, 4, "award", (lot_name(source), "points", points, dates, source)),
        ]

    def dates(self, at: datetime, unit: str = "points", validity: Period | None = None) -> Dates:
        """Return when points earned at an instant are earned, become active, and expire."""
        of = self.program.unit(unit)
        active, lasts = at, period(validity or of.validity)
        if isinstance(of.activation, OnEvent):
            active = FAR
        elif of.activation is not None:
            active = at + (period(of.activation) or timedelta())
        begin = active if of.validity_from == "activation" else at
        return at, active, FAR if lasts is None or begin == FAR else begin + lasts

    def delivered(self, dates: Dates, at: datetime, unit: str, validity: Period | None) -> tuple[datetime, datetime]:
        """Return when points that waited for an event, which came at `at`, become active and expire."""
        of = self.program.unit(unit)
        lasts = period(validity or of.validity)
        if of.validity_from == "earning":
            return at, dates[2]
        return at, FAR if lasts is None else at + lasts

    def lapses(self, at: datetime, phase: int, among: int, source: str, units: Iterable[str]) -> list[Action]:
        """Return what activity does to the lapse of balances."""
        lasts = {unit: period(self.program.unit(unit).inactivity) for unit in sorted(units)}
        return [
            Action(at, phase, among, source, 0, "be_active", (unit, at + last)) for unit, last in lasts.items() if last
        ]

    # ------------------------------------------------------------ orders

    def story(self, order_id: str, records: Sequence[Recorded]) -> Story:
        """Return what an order and all about it does, what it counts under caps, and the refunds that are ignored."""
        mine = [record for record in records if _order_of(record.what) == order_id]
        key = tuple(map(id, mine))
        if key not in self._stories:
            self._stories[key] = mine, self._told(mine)  # they are kept, so that what they are known by stays theirs
        return self._stories[key][1]

    def _told(self, mine: Sequence[Recorded]) -> Story:
        first = next((record for record in mine if isinstance(record.what, Order)), None)
        actions: list[Action] = []
        order: Order | None = None
        accepted: dict[str, Refund] = {}
        ignored: set[str] = set()
        lots: dict[str, tuple[str, Dates]] = {}
        parts: dict[str, Tender] = {}
        event: datetime | None = None
        counted = 0
        redeemed: set[str] = set()
        for record in mine:
            redeemed |= record.redeemed
        for at, phase, among, source, fact in sorted(
            (_placed(record.what) for record in mine), key=lambda row: row[:4]
        ):
            if isinstance(fact, Order):
                if order is not None and fact.revision < order.revision:
                    continue
                order = fact
            elif isinstance(fact, Refund):
                accepted[fact.id] = fact
            elif isinstance(fact, Reversal):
                accepted.pop(fact.refund, None)
            elif fact.name == self.event and event is None:
                event = fact.at
            if order is None or first is None:
                continue
            if isinstance(fact, Refund):
                try:
                    self.left(order, accepted.values())
                except Impossible:
                    ignored.add(accepted.pop(fact.id).id)
                else:
                    accepted[fact.id] = self.spelled_out(order, fact, accepted)
            if isinstance(fact, Order):
                before, accepted = accepted, {}
                for refund in before.values():
                    try:
                        self.left(order, [*accepted.values(), refund])
                    except Impossible:
                        ignored.add(refund.id)
                    else:
                        accepted[refund.id] = refund
                parts |= _points_parts(order)
            standing = list(accepted.values())
            named = self.award(order, standing, first.used)
            if isinstance(fact, Order) and phase == EARNS:
                units = {unit for _, unit, _, _, given, _ in named if given} | {part.unit for part in _parts(order)}
                actions += self.lapses(at, EARNS, among, source, units)
            actions += self.spending(at, phase, among, source, order, standing, parts, frozenset(redeemed))
            for name, unit, target, dates, _, validity in named:
                lots[name] = unit, dates
                actions.append(Action(at, phase, among, source, 4, "award", (name, unit, target, dates, source)))
                if event is not None and self.program.unit(unit).activation is not None:
                    when = self.delivered(dates, event, unit, validity)
                    actions.append(Action(at, phase, among, source, 5, "deliver", (name, *when)))
            for name, (unit, dates) in lots.items():
                if name not in {each[0] for each in named}:
                    actions.append(Action(at, phase, among, source, 4, "award", (name, unit, 0, dates, source)))
            counted = sum(target for _, unit, target, _, _, _ in named if unit == "points")
        return actions, counted, ignored

    def award(
        self, order: Order, refunds: Sequence[Refund], used: Mapping[str, int]
    ) -> list[tuple[str, str, int, Dates, int, Period | None]]:
        """Return an order's lots: name, unit, what stands of it, dates, what was given, its own validity."""
        if order.state in ("draft", "cancelled"):
            return []
        given, now = self.worth(order, []), self.worth(order, refunds)
        rows: list[tuple[str, str, int, int, Period | None]] = []
        most = self.capped(given[0], used)
        rows.append((lot_name(_order_key(order.id)), "points", most, now[0], None))
        for rule in self.program.earning:
            if isinstance(rule, PerItem):
                own = rule.validity if isinstance(rule.validity, Period) else None
                name = f"{lot_name(_order_key(order.id))}#stamps" if own is None else self.short_lot(order, own)
                rows.append((name, rule.unit, given[1] * rule.points, now[1] * rule.points, own))
        return [
            (name, unit, min(most, left), self.dates(order.at, unit, own), most, own)
            for name, unit, most, left, own in rows
            if most
        ]

    def short_lot(self, order: Order, validity: Period) -> str:
        """Return the name of a lot whose dates are not those of its unit."""
        _, active, expires = self.dates(order.at, "points", validity)
        ends = str(validity) if expires == FAR else str(to_us(expires))
        return f"{lot_name(_order_key(order.id))}#{self.event or to_us(active)}:{ends}"

    def worth(self, order: Order, refunds: Iterable[Refund]) -> tuple[int, int]:
        """Return what the goods that are left give: points for what was paid with money, rounded down once; items."""
        quantities, value = self.left(order, refunds)
        total = _total(order)
        paid = Fraction(sum(tender.amount for tender in order.tenders if tender.kind == "points"))
        if self.program.refund_split == "net_allocated":
            paid = paid * value / total
        points = max(Fraction(0), value - min(paid, value))
        return points.numerator // points.denominator, int(sum(quantities.values())) if value else 0

    def left(self, order: Order, refunds: Iterable[Refund]) -> tuple[dict[str, Fraction], Fraction]:
        """Return the quantities and the value that are left of an order. `Impossible` where there was less."""
        quantities = {line.sku: Fraction(line.quantity) for line in order.lines}
        prices = {line.sku: Fraction(line.unit_price or 0) for line in order.lines}
        part = Fraction(1)

        def value() -> Fraction:
            return part * sum((prices[sku] * count for sku, count in quantities.items()), Fraction(0))

        for refund in sorted(refunds, key=lambda refund: (refund.at, refund.id)):
            if refund.lines is not None:
                for sku, count in refund.lines:
                    if count > quantities.get(sku, Fraction(-1)):
                        raise Impossible
                    quantities[sku] -= Fraction(count)
            elif refund.amount is not None:
                if Fraction(refund.amount) >= value() + Fraction(1, 100):
                    raise Impossible
                part *= 1 - min(Fraction(1), Fraction(refund.amount) / value())
            else:
                quantities = dict.fromkeys(quantities, Fraction(0))
        if order.state == "cancelled":
            quantities = dict.fromkeys(quantities, Fraction(0))
        return quantities, value()

    def spelled_out(self, order: Order, refund: Refund, accepted: Mapping[str, Refund]) -> Refund:
        """Return a refund of all that is left as one of the lines that are, where others came before."""
        others = [each for each in accepted.values() if each.id != refund.id]
        if refund.lines is not None or refund.amount is not None or not others:
            return refund
        rest = {sku: Decimal(int(count)) for sku, count in self.left(order, others)[0].items() if count}
        return attrs.evolve(refund, lines=rest) if rest else refund

    def points_back(self, order: Order, refunds: Sequence[Refund], place: int) -> int:
        """Return how many points of one part of the payment have gone back."""
        if not refunds and order.state != "cancelled":
            return 0
        _, value = self.left(order, refunds)
        part, total = order.tenders[place], _total(order)
        if self.program.restore == "off" or (self.program.reward_back == "full_only" and value):
            return 0
        rest, whole = _half_up(value * 100), total * 100
        worth = int(part.amount * 100)
        if not worth:
            return part.points if not value else part.points * (whole - rest) // whole
        unpaid, shared = rest, sum(int(each.amount * 100) for each in order.tenders)
        shared += whole - shared  # what no part covers was paid in cash
        kept = 0
        for number, each in enumerate(order.tenders):
            if each.kind == "points":
                paid = int(each.amount * 100)
                kept = _half_up(Fraction(unpaid * paid, shared)) if shared else 0
                if self.program.refund_split == "gross_line_first":
                    kept = min(unpaid, paid)
                unpaid, shared = unpaid - kept, shared - paid
                if number == place:
                    break
        return part.points * (worth - kept) // worth

    def spending(
        self, at: datetime, phase: int, among: int, source: str, order: Order, refunds: Sequence[Refund],
        parts: Mapping[str, Tender], redeemed: frozenset[str],
    ) -> list[Action]:  # fmt: skip
        """Return what an order's payment with points amounts to after one of its events."""
        grace = None if self.grace is None else at + self.grace
        first = phase == EARNS
        actions = []
        names = _points_parts(order)
        places = {name: next(n for n, each in enumerate(order.tenders) if each is part) for name, part in names.items()}
        for name, part in {**parts, **names}.items():
            back = self.points_back(order, refunds, places[name]) if name in names else part.points
            if name not in names and self.program.restore == "off":
                continue
            if part.key is None:
                target = 0 if order.state == "draft" else part.points - back
                values: tuple[Any, ...] = (name, part.unit, target, source, grace)
                actions.append(Action(at, SPENDS if first else phase, among, source, 1, "spend", values))
                continue
            later = phase * 1_000 + among
            if order.state != "draft" and name in names:
                values = (name, part.unit, part.points, name in redeemed)
                actions.append(Action(at, NAMES, later, source, 2, "paid", values))
            actions.append(Action(at, NAMES, later, source, 3, "returned", (name, back, grace)))
        return actions

    # ------------------------------------------------------------ commands

    def decide(self, command: Command, recorded_at: datetime, head_at: datetime) -> Answer:
        """Decide a command on what has been recorded so far, and record it unless it is invalid."""
        key = "key:" + command.key
        if key in self.refused:
            return self.refused[key]
        if key in self.keys:
            return Answer("done")
        then = self.ledger(command.at)
        end = self.ledger(head_at) if command.at < head_at else None
        number = len(self.records)
        decided = Deciding(self, command, then, end, number).decide()
        if isinstance(decided, Answer):
            if decided.status == "refused":
                self.refused[key] = decided
            return decided
        record = Recorded(recorded_at, command, tuple(decided))
        self.records.append(record)
        self.keys[key] = record
        return Answer("done")


class Deciding:
    """One command, decided on the books at its instant, and on those at the end where later things were recorded."""

    def __init__(self, model: Model, command: Any, then: Ledger, end: Ledger | None, number: int) -> None:
        self.model, self.command, self.then, self.end, self.number = model, command, then, end, number
        self.at: datetime = command.at
        self.source = "key:" + command.key

    def decide(self) -> Answer | list[Action]:
        """Return what the command does, or why it does nothing."""
        return getattr(self, type(self.command).__name__.lower())()  # type: ignore[no-any-return]

    def act(self, *ops: tuple[Any, ...], units: Iterable[str] = ()) -> list[Action]:
        """Return actions at the place of this command."""
        actions = self.model.lapses(self.at, COMMANDS, self.number, self.source, units)
        for place, (op, *values) in enumerate(ops, 1):
            actions.append(Action(self.at, COMMANDS, self.number, self.source, place, op, tuple(values)))
        return actions

    def grace(self) -> datetime | None:
        """Return until when points live that come back to an expired lot."""
        return None if self.model.grace is None else self.at + self.model.grace

    def room(self) -> dict[str, int] | None:
        """Return what later commands have left of each lot; what expired since is still to be had."""
        if self.end is None:
            return None
        end = self.end.lots
        return {
            name: max(0, end[name].active + end[name].expired - lot.expired) for name, lot in self.then.lots.items()
        }

    def since(self, unit: str) -> int:
        """Return what later commands have left of the balance as a whole."""
        if self.end is None:
            return 2**63
        gone = sum(self.end.lots[lot.name].expired - lot.expired for lot in self.then.of(unit))
        return max(0, self.end.active(unit) + gone)

    def available(self, unit: str) -> int:
        """Return what may be spent: no more than is there, nor than later commands have left."""
        have, room = self.then.active(unit), self.room()
        if room is not None:
            have = min(have, self.since(unit), sum(min(lot.active, room[lot.name]) for lot in self.then.of(unit)))
        return have - self.then.debt[unit]

    def too_few(self, needed: int, have: int) -> Answer:
        """Return the refusal for want of points."""
        return Answer("refused", "insufficient_points", needed, have)

    def earn(self) -> list[Action]:
        """Give points."""
        c = self.command
        _, active, expires = self.model.dates(self.at, c.unit)
        dates = self.at, c.active_at or active, c.expires_at or expires
        return self.act(("award", lot_name(self.source), c.unit, c.points, dates, self.source), units={c.unit})

    def open(self) -> list[Action]:
        """Take lots over."""
        ops = []
        for number, lot in enumerate(self.command.lots, 1):
            dates = lot.earned_at, lot.active_at or lot.earned_at, lot.expires_at or FAR
            ops.append(
                ("credit", f"{lot_name(self.source)}#{number}", self.command.unit, lot.points, dates, "transferred_in")
            )
        return self.act(*ops)

    def adjust(self) -> list[Action]:
        """Correct a balance."""
        c = self.command
        if c.points > 0:
            dates = self.at, self.at, c.expires_at or self.model.dates(self.at, c.unit)[2]
            return self.act(("credit", lot_name(self.source), c.unit, c.points, dates, "adjusted_up"))
        have = min(-c.points, max(0, self.available(c.unit)))
        chosen: Uses = self.then.choose(c.unit, have, self.at, self.room())
        missing = -c.points - sum(points for _, points in chosen)
        if missing and self.model.program.shortfall == "debt":
            chosen.append(("", missing))
        return self.act(("redeem", self.source, c.unit, chosen, "adjusted_down"))

    def redeem(self) -> Answer | list[Action]:
        """Spend."""
        c = self.command
        if c.key in self.then.spent:
            return Answer("invalid")
        have = self.available(c.unit)
        if c.points > have:
            return self.too_few(c.points, have)
        chosen = self.then.choose(c.unit, c.points, self.at, self.room())
        return self.act(("redeem", c.key, c.unit, chosen, "redeemed"), units={c.unit})

    def hold(self) -> Answer | list[Action]:
        """Set aside."""
        c = self.command
        have = self.available(c.unit)
        if c.points > have:
            return self.too_few(c.points, have)
        chosen = self.then.choose(c.unit, c.points, self.at, self.room())
        return self.act(("hold", c.key, c.unit, c.points, c.until, chosen))

    def held(self) -> commands.Hold | None:
        """Return the hold that is named."""
        record = self.model.keys.get("key:" + self.command.hold)
        return record.what if record is not None and isinstance(record.what, commands.Hold) else None

    def resolved(self) -> bool:
        """Say whether the hold was captured or released, by anything recorded so far."""
        ended = {
            record.what.hold
            for record in self.model.records
            if isinstance(record.what, commands.Capture | commands.Release) and record.actions
        }
        return self.command.hold in ended or (self.end is not None and self.command.hold in self.end.spent)

    def capture(self) -> Answer | list[Action]:
        """Spend what a hold set aside."""
        c, hold = self.command, self.held()
        if hold is None:
            return Answer("invalid")
        if self.resolved():
            return Answer("refused", "hold_ended")
        kept = self.then.holds.get(c.hold)
        if kept is None:
            return Answer("refused", "hold_expired")
        points = hold.points if c.points is None else c.points
        if points > hold.points:
            return Answer("invalid")
        free = self.then.active(kept.unit) - self.then.debt[kept.unit]
        have = kept.amount + (free if kept.lots is None else max(0, free))
        room = self.room()
        if room is not None and self.end is not None and c.hold not in self.end.holds:
            left = self.since(kept.unit)
            if kept.lots is not None:
                left = sum(min(count, room[name]) for name, count in kept.lots)
            have = min(have, left)
        if points > have:
            return self.too_few(points, have)
        return self.act(("capture", c.hold, points), units={kept.unit})

    def release(self) -> Answer | list[Action]:
        """Let a hold go."""
        if self.held() is None:
            return Answer("invalid")
        if self.command.hold not in self.then.holds or self.resolved():
            return []
        return self.act(("release", self.command.hold))

    def restore(self) -> Answer | list[Action]:
        """Give back what was redeemed."""
        c = self.command
        spent = self.then.spent.get(c.of)
        if spent is None:
            return Answer("invalid")
        points = spent.left if self.end is None else min(spent.left, self.end.spent[c.of].left)
        points = min(points, points if c.points is None else c.points)
        return self.act(("restore", c.of, points, self.source, self.grace())) if points else []

    def clawback(self) -> Answer | list[Action]:
        """Take back what was given."""
        c = self.command
        lot = self.then.lots.get(lot_name("key:" + c.of))
        if lot is None:
            return Answer("invalid")
        points = lot.stands if self.end is None else min(lot.stands, self.end.lots[lot.name].stands)
        points = min(points, points if c.points is None else c.points)
        return self.act(("take_back", lot.name, points)) if points else []

    def reinstate(self) -> Answer | list[Action]:
        """Undo an expiry."""
        c = self.command
        lot = self.then.lots.get(c.lot)
        if lot is None or not lot.expired:
            return Answer("invalid")
        expires = c.expires_at or self.model.dates(self.at, lot.unit)[2]
        return self.act(("reinstate", c.lot, lot.expired - lot.excused, expires))


# ---------------------------------------------------------------- small steps


def _order_of(what: Fact | Command) -> str | None:
    return what.id if isinstance(what, Order) else None if isinstance(what, Command) else getattr(what, "order", None)


def _order_key(order: str) -> str:
    return "order:" + order.replace("@", "@@")


def _orders(records: Iterable[Recorded]) -> list[str]:
    return list(dict.fromkeys(order for record in records if (order := _order_of(record.what)) is not None))


def _placed(fact: Any) -> tuple[datetime, int, int, str, Fact]:
    if isinstance(fact, Order):
        first = fact.revision == 1
        source = _order_key(fact.id) + ("" if first else f"@{fact.revision}")
        return fact.known_from, EARNS if first else REVISES, 0 if first else fact.revision, source, fact
    return fact.at, CHANGES, 0, f"{type(fact).__name__.lower()}:{fact.id}", fact


def _parts(order: Order) -> list[Tender]:
    return [tender for tender in order.tenders if tender.kind == "points" and tender.points]


def _points_parts(order: Order) -> dict[str, Tender]:
    named = {}
    for number, tender in enumerate(order.tenders):
        if tender.kind == "points" and tender.points:
            own = _order_key(order.id) if not number else f"order~{number + 1}:{order.id}"
            named[tender.key or own] = tender
    return named


def _total(order: Order) -> int:
    return int(sum(line.net for line in order.lines))


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
