"""A stateful machine that drives a `Club` over several stores at once, and compares each step with a plain model.

In a test module of your own::

    class MyMachine(ClubMachine):
        makers = (MemoryStore, MyStore)

    TestMyMachine = MyMachine.TestCase

Whatever it does, it does on every store, with the same answers and the same rows to follow; faults are injected into
all stores but the first. After each step the books are proved against the fold of their records, against the entries,
and against `loyaltykit.testing.model`, now, in the past, in the future, and as known earlier. Needs the extra ``test``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loyaltykit import commands
from loyaltykit.calendar import from_us, to_us
from loyaltykit.club import Club
from loyaltykit.commands import Command
from loyaltykit.errors import (
    InputError,
    KeyReused,
    LoyaltyError,
    OutcomeUnknown,
    RefundTooLarge,
    Refused,
    StaleVersion,
    StoreBusy,
    UnknownMember,
)
from loyaltykit.facts import Line, Order, Refund, Reversal, order_key, points
from loyaltykit.journal import NEVER, Commit, Context, Head, Need
from loyaltykit.ledger import Balance
from loyaltykit.program import Program
from loyaltykit.stores.memory import MemoryStore
from loyaltykit.stores.protocol import Store
from loyaltykit.stories import key_of
from loyaltykit.testing import strategies as draw
from loyaltykit.testing._ledger_model import FAR, Ledger, lot_name
from loyaltykit.testing.faults import FaultyStore, seeded
from loyaltykit.testing.model import Fact, Impossible, Model

MEMBERS = ("ann", "bob")


class ClubMachine(RuleBasedStateMachine):
    """Rules and invariants; subclass it and say in `makers` how to make the stores."""

    makers: ClassVar[Sequence[Callable[[], Store]]] = (MemoryStore, MemoryStore)
    faults: ClassVar[float] = 0.1
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.clubs: list[Club] = []
        self.stores: list[Store] = []

    def teardown(self) -> None:
        """Close the stores."""
        for store in self.stores:
            store.close()

    @initialize(program=draw.programs(), seed=st.integers(0, 99))
    def begin(self, program: Program, seed: int) -> None:
        """Open a club on every store."""
        self.program = program
        self.clock = self.now = draw.EPOCH
        self.models = {member: Model(program) for member in MEMBERS}
        self.recorded_at = dict.fromkeys(MEMBERS, draw.hour(-9_999))
        self.number = 0
        self.orders: list[Order] = []
        self.refunds: list[Refund] = []
        self.named: set[str | None] = set()  # keys that an order names: one redemption pays for one order
        self.keys: dict[str, list[Command]] = {member: [] for member in MEMBERS}
        self.done: list[tuple[str, Any, Any]] = []
        self.seen: dict[str, Context] = {}
        self.stores = [make() for make in self.makers]
        self.served = [
            _Overtaken(store, seeded(seed, self.faults) if place else ()) for place, store in enumerate(self.stores)
        ]
        self.clubs = [Club(program, store, clock=lambda: self.clock) for store in self.served]
        self.others = [Club(program, store, clock=lambda: self.clock) for store in self.stores]

    # ------------------------------------------------------------ doing things on every store

    def everywhere(self, do: Callable[[Club], Any]) -> Any:
        """Do something in every club, again where its store was busy; all must answer the same."""
        type(self).steps[type(self).__name__] += 1
        answers = [self.answer(do, club) for club in self.clubs]
        assert all(answer == answers[0] for answer in answers), f"the stores answer {answers}"
        return answers[0]

    def answer(self, do: Callable[[Club], Any], club: Club) -> Any:
        """Return what came, or the error as a value."""
        for _ in range(50):
            try:
                return do(club)
            except (StoreBusy, StaleVersion, OutcomeUnknown):
                continue
            except Refused as error:
                return error.reason, str(error)
            except LoyaltyError as error:
                return type(error), str(error)
        raise AssertionError("the store stayed busy")

    def id(self) -> str:
        """Return a new id."""
        self.number += 1
        return _called(self.number)

    def when(self, data: st.DataObject, member: str) -> datetime:
        """Draw an instant: mostly now or a little later, sometimes any, often where something happens by itself."""
        edges = self.edges(member)
        if data.draw(st.integers(0, 3)):
            self.now = data.draw(draw.instants_from(self.now, edges))
            return self.now
        return data.draw(draw.instants(edges))

    def edges(self, member: str) -> set[datetime]:
        """Return the instants that matter: of the lots and holds, and of what was recorded."""
        model = self.models[member]
        edges = model.ledger(self.now).edges()
        return {each for each in edges if each < draw.hour(500)} | {record.what.at for record in model.records[-4:]}

    def member(self, data: st.DataObject) -> str:
        """Draw a member, mostly the first."""
        return data.draw(st.sampled_from([MEMBERS[0], MEMBERS[0], MEMBERS[0], MEMBERS[1]]))

    def stamp(self, member: str) -> datetime:
        """Return when the next record is made: the clock, but never before the last one."""
        return max(self.clock, self.recorded_at[member])

    def record(self, fact: Fact, many: bool = False) -> None:
        """Record a fact everywhere; the model says what should come of it."""
        key, member = key_of(fact), fact.member
        before = _plain(self.context(member))
        answer = self.everywhere(lambda club: club.record(fact))
        try:
            self.models[member].record(fact, key, self.stamp(member))
        except Impossible:
            assert _reason(answer) in (RefundTooLarge, InputError), f"{fact} was answered {answer}"
            self.unchanged(member, before)
            return
        assert answer.key == key, f"{fact} was answered {answer}"
        self.recorded_at[member] = self.stamp(member)
        self.done.append(("record", fact, answer))

    def do(self, command: Command) -> None:
        """Give a command everywhere; the model says whether it can be done."""
        before = _plain(self.context(command.member))
        answer = self.everywhere(lambda club: club.do(command))
        status = self.judge(command, answer, before.head)
        if status == "invalid":
            self.unchanged(command.member, before)
        elif status == "refused":
            self.refused(command.member, before)

    def judge(self, command: Command, answer: Any, head: Head | None) -> str:
        """Compare the answer to a command, given where the account had that head, with the model's."""
        member = command.member
        model = self.models[member]
        if head is None and not isinstance(command, commands.Earn | commands.Open):
            assert _reason(answer) is UnknownMember, f"{command} was answered {answer}"
            return "invalid"
        at = from_us(head.at) if head is not None else draw.hour(-9_999)
        expected = model.decide(command, self.stamp(member), at)
        said = f"{command}\n was answered {answer}\n and should be {expected}"
        if expected.status == "invalid":
            assert _reason(answer) in (InputError, RefundTooLarge), said
            return "invalid"
        self.recorded_at[member] = self.stamp(member)
        self.done.append(("do", command, answer))
        if expected.status == "refused":
            assert _reason(answer) == expected.reason, said
            if expected.reason == "insufficient_points":
                numbers = f"{expected.needed} {_unit(command, model)} are needed and {expected.available} are"
                assert numbers in answer[1], said
        else:
            assert not isinstance(answer, tuple), said
            self.keys[member].append(command)
        return expected.status

    def context(self, member: str, place: int = 0) -> Context:
        """Return everything that a store has of a member."""
        return self.stores[place].load(Need(f"{self.program.name}/{member}", everything=True))

    def unchanged(self, member: str, before: Context) -> None:
        """Assert that what was not accepted, or was done before, left no trace."""
        assert before == _plain(self.context(member)), "something that was refused, or came again, changed the books"

    def refused(self, member: str, before: Context) -> None:
        """Assert that a refusal was remembered and moved nothing but what time moves."""
        after = self.context(member)
        assert len(after.records) == len(before.records) + 1
        by_itself = {"expire", "activate", "release", "repay", "claw_back"}
        assert {entry.kind for entry in after.entries[len(before.entries) :]} <= by_itself

    # ------------------------------------------------------------ facts

    @rule(data=st.data())
    def order(self, data: st.DataObject) -> None:
        """Record an order, now and then paid with what was redeemed or is held."""
        member = self.member(data)
        at = self.when(data, member)
        named = [
            command.key
            for command in self.keys[member]
            if isinstance(command, commands.Redeem | commands.Hold)
            if command.at <= at and command.key not in self.named
        ]
        order = data.draw(draw.orders(member, self.id(), st.just(at), named[-2:]))
        self.named |= {part.key for part in order.tenders}
        self.orders.append(order)
        self.record(order)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def revise(self, data: st.DataObject) -> None:
        """Record a change or a cancellation, perhaps before what it changes."""
        order = data.draw(st.sampled_from(self.orders[-4:]))
        known = [each.revision for each in self.orders if each.id == order.id]
        revision = data.draw(st.sampled_from([each for each in range(2, 6) if each not in known] or [9]))
        if revision not in known:
            changed = data.draw(draw.revisions(order, revision, st.just(self.when(data, order.member))))
            self.orders.append(changed)
            self.record(changed)

    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        """Record a refund of an order, perhaps of one that will be heard of later."""
        member = self.member(data)
        coming = _called(self.number + data.draw(st.integers(2, 4)))
        known = [order.id for order in self.orders if order.member == member]
        of = data.draw(st.sampled_from([*known[-3:], *known[-3:], *known[-3:], coming]))
        refund = data.draw(draw.refunds(member, of, self.id(), st.just(self.when(data, member))))
        self.refunds.append(refund)
        self.record(refund)

    @precondition(lambda self: self.refunds)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        """Record that a refund did not stand."""
        refund = data.draw(st.sampled_from(self.refunds[-4:]))
        at = st.just(self.when(data, refund.member))
        self.record(data.draw(draw.reversals(refund.member, refund.order, refund.id, self.id(), at)))

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """Record a review, or the delivery of an order."""
        member = self.member(data)
        known = [order.id for order in self.orders if order.member == member]
        waits = 3 if self.models[member].event else 1
        of = data.draw(st.sampled_from([None, *waits * known[-3:]]))
        self.record(data.draw(draw.activities(member, self.id(), st.just(self.when(data, member)), of)))

    @rule(data=st.data())
    def record_many(self, data: st.DataObject) -> None:
        """Record some facts in one batch: it is as if they had come one by one."""
        facts: list[Fact] = []
        for _ in range(data.draw(st.integers(1, 4))):
            member = self.member(data)
            at = st.just(self.when(data, member))
            known = [order for order in self.orders if order.member == member]
            what = data.draw(st.sampled_from(["order", "activity", "repeat", "delivery"]))
            if what == "repeat" and known:
                facts.append(known[-1])
            elif what == "delivery" and known:
                facts.append(data.draw(draw.activities(member, self.id(), at, known[-1].id)))
            elif what == "order":
                order = data.draw(draw.orders(member, self.id(), at))
                self.orders.append(order)
                facts.append(order)
            else:
                facts.append(data.draw(draw.activities(member, self.id(), at)))
        receipts = self.everywhere(lambda club: list(club.record_many(facts)))
        assert [receipt.key for receipt in receipts] == [key_of(fact) for fact in facts]
        for fact, receipt in zip(facts, receipts, strict=True):
            self.models[fact.member].record(fact, key_of(fact), self.stamp(fact.member))
            self.recorded_at[fact.member] = self.stamp(fact.member)
            self.done.append(("record", fact, receipt))

    # ------------------------------------------------------------ commands

    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        """Bring points in."""
        member = self.member(data)
        self.do(data.draw(draw.grants(member, self.id(), self.when(data, member), self.units())))

    @rule(data=st.data())
    def spend(self, data: st.DataObject) -> None:
        """Spend or hold, often exactly what there is, or one more."""
        member = self.member(data)
        at = self.when(data, member)
        have = self.models[member].ledger(at)
        self.do(
            data.draw(draw.spendings(member, self.id(), at, self.units(), have.active("points") - have.debt["points"]))
        )

    @precondition(lambda self: any(self.made(commands.Hold)))
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        """Capture or release a hold."""
        hold = data.draw(st.sampled_from(self.made(commands.Hold)[-4:]))
        at = self.when(data, hold.member)
        self.do(data.draw(draw.resolutions(hold.member, self.id(), at, hold.key, hold.points)))

    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        """Restore, claw back, or reinstate."""
        member = self.member(data)
        at = self.when(data, member)
        ledger = self.models[member].ledger(max(at, self.now))
        redeemed, lots = sorted(ledger.spent)[-4:], sorted(lot.name for lot in ledger.lots.values() if lot.expired)
        earned = [command.key for command in self.made(commands.Earn) if command.member == member][-3:]
        if redeemed or earned or lots:
            self.do(data.draw(draw.corrections(member, self.id(), at, redeemed=redeemed, earned=earned, lots=lots[:3])))

    @rule(data=st.data())
    def overtake(self, data: st.DataObject) -> None:
        """Let another writer come between the load and the append of a command: it is decided again."""
        member = self.member(data)
        at = self.when(data, member)
        have = self.models[member].ledger(at).active("points")
        first, second = (data.draw(draw.spendings(member, self.id(), at, ("points",), have)) for _ in range(2))
        behind: dict[int, Any] = {}

        def both(club: Club) -> Any:
            place = self.clubs.index(club)
            store = self.served[place]

            def meddle() -> None:
                behind[place] = self.answer(lambda other: other.do(second), self.others[place])

            store.meddle = meddle
            try:
                return club.do(first)
            finally:
                store.meddle = None

        head = self.context(member).head
        answer = self.everywhere(both)
        if behind:
            assert len(behind) == len(self.clubs), "one store was overtaken, another was not"
            assert all(each == behind[0] for each in behind.values())
            self.judge(second, behind[0], head)
            head = head and head._replace(at=max(head.at, to_us(at)))
        self.judge(first, answer, head)
        if not behind:
            self.do(second)

    # ------------------------------------------------------------ chains that chance alone would seldom find

    def gift(self, member: str, points: int, at: datetime, expires_at: datetime) -> None:
        """Give points that can be spent at once."""
        self.do(commands.Earn(member, points, key=self.id(), at=at, active_at=at, expires_at=expires_at))

    @rule(data=st.data(), lasts=st.sampled_from([1, 2, 4]), held=st.sampled_from([1, 3, 5]))
    def hold_over_expiry(self, data: st.DataObject, lasts: int, held: int) -> None:
        """Hold points of a lot that expires before, with or after the hold; then resolve the hold or leave it."""
        member, at = self.member(data), self.now
        points = data.draw(draw.SMALL)
        self.gift(member, points, at, at + timedelta(hours=lasts))
        ledger = self.models[member].ledger(at)
        have = max(1, ledger.active("points") - ledger.debt["points"])
        hold, until = self.id(), at + timedelta(hours=held)
        count = data.draw(st.sampled_from([have, max(1, have - 1), points]))
        self.do(commands.Hold(member, count, key=hold, at=at, until=until))
        edges = {at + timedelta(hours=lasts), until}
        for edge in edges:
            self.compare(member, edge, None)
        if data.draw(st.integers(0, 3)):
            self.now = data.draw(draw.instants_from(at, edges))
            self.do(data.draw(draw.resolutions(member, self.id(), self.now, hold, count)))
            if data.draw(st.booleans()):  # another word comes late
                self.do(data.draw(draw.resolutions(member, self.id(), at, hold, count)))

    @rule(data=st.data(), held=st.integers(2, 9))
    def capture_a_part(self, data: st.DataObject, held: int) -> None:
        """Hold points and capture a part of them: the rest goes back to where it came from."""
        member, at, hold = self.member(data), self.now, self.id()
        self.gift(member, held, at, at + timedelta(hours=9))
        self.do(commands.Hold(member, held, key=hold, at=at, until=at + timedelta(hours=2)))
        self.do(commands.Capture(member, hold, key=self.id(), at=at, points=data.draw(st.integers(1, held - 1))))

    @rule(data=st.data(), keyed=st.booleans(), held=st.booleans())
    def pay_and_return(self, data: st.DataObject, keyed: bool, held: bool) -> None:
        """Pay an order with points: its own, redeemed, or held; then return it in parts, perhaps out of order."""
        member, at, key = self.member(data), self.now, self.id()
        count = data.draw(draw.SMALL)
        if data.draw(st.booleans()):
            self.gift(member, count, at, at + timedelta(hours=data.draw(st.sampled_from([1, 4, 99]))))
        if keyed and held:
            self.do(commands.Hold(member, count, key=key, at=at, until=at + timedelta(hours=2)))
        elif keyed:
            self.do(commands.Redeem(member, count, key=key, at=at))
        of = self.id()
        named = key if keyed and self.keys[member] and self.keys[member][-1].key == key else None
        self.named.add(named)
        paid = (points(count, data.draw(st.integers(0, 4)), named),)
        later = [at + timedelta(hours=data.draw(st.integers(0, 9))) for _ in range(3)]
        bought = (Line("mug", 2, unit_price=5), Line("tea", 1, unit_price=1))
        facts: list[Fact] = [Order(of, member, at, bought, tenders=paid)]
        facts.append(Refund(self.id(), member, of, later[0], {"mug": 1}))
        facts.append(data.draw(draw.refunds(member, of, self.id(), st.just(later[1]))))
        facts.append(Reversal(self.id(), member, of, facts[data.draw(st.integers(1, 2))].id, max(later)))
        count = data.draw(st.integers(1, len(facts)))
        by_hand = data.draw(st.integers(0, 4))  # after how many of them some points are given back by hand as well
        for place, fact in enumerate(data.draw(st.permutations(facts[:count])), 1):
            self.record(fact)
            if place == by_hand:
                some, then = data.draw(draw.SMALL), data.draw(st.sampled_from([at, self.now, *later]))
                self.do(commands.Restore(member, named or order_key(of), points=some, key=self.id(), at=then))
        self.orders += [fact for fact in facts if isinstance(fact, Order)]
        self.refunds += [fact for fact in facts[:count] if isinstance(fact, Refund)]

    @rule(data=st.data(), lasts=st.sampled_from([1, 3]))
    def correct_after_expiry(self, data: st.DataObject, lasts: int) -> None:
        """Earn, spend a part, and correct it around the instant at which the rest expires, perhaps out of order."""
        member, at, earned, spent = self.member(data), self.now, self.id(), self.id()
        count = data.draw(st.integers(2, 9))
        ends = at + timedelta(hours=lasts)
        self.do(commands.Earn(member, count, key=earned, at=at, active_at=at, expires_at=ends))
        self.do(commands.Redeem(member, data.draw(st.sampled_from([count - 1, 1])), key=spent, at=at))
        instants = []
        for _ in range(data.draw(st.integers(1, 4))):
            self.now = data.draw(draw.instants_from(self.now, {ends}))
            instants.append(self.now)
        named: dict[str, Any] = {"redeemed": [spent], "earned": [earned], "lots": [lot_name("key:" + earned)]}
        for at in data.draw(st.permutations(instants)):
            self.do(data.draw(draw.corrections(member, self.id(), at, **named)))

    @rule(data=st.data(), some=st.none() | draw.SMALL)
    def hear_late_what_was_taken_back(self, data: st.DataObject, some: int | None) -> None:
        """Reinstate what expired, and hear only then that it, or some of it, had been taken back by that time."""
        member, at, earned = self.member(data), self.now, self.id()
        ends = at + timedelta(hours=1)
        self.do(commands.Earn(member, data.draw(draw.SMALL), key=earned, at=at, active_at=at, expires_at=ends))
        self.now = ends + timedelta(hours=2)
        until = self.now + timedelta(hours=data.draw(st.sampled_from([1, 9])))
        lot = lot_name("key:" + earned)
        self.do(commands.Reinstate(member, lot, key=self.id(), at=self.now, expires_at=until))
        taken = ends + timedelta(hours=data.draw(st.sampled_from([0, 1])))
        self.do(commands.ClawBack(member, earned, points=some, key=self.id(), at=taken))

    @rule(data=st.data())
    def revise_out_of_order(self, data: st.DataObject) -> None:
        """Record an order and two revisions, in any order; the newer may be in force before the older."""
        member, at = self.member(data), self.now
        told = [data.draw(draw.orders(member, self.id(), st.just(at)))]
        for revision in (2, 3):
            later = at + timedelta(hours=data.draw(st.integers(0, 4)))
            told.append(data.draw(draw.revisions(told[0], revision, st.just(later))))
        for order in data.draw(st.permutations(told)):
            self.record(order)
        self.orders += told

    @rule(data=st.data(), late=st.booleans())
    def spend_what_goes_back(self, data: st.DataObject, late: bool) -> None:
        """Earn, spend it all, take the award back, and earn again: what is short is carried or forgiven."""
        member, at = self.member(data), self.now
        of = self.id()
        order = Order(of, member, at, (Line("pot", 1, unit_price=12),))
        self.orders.append(order)
        self.record(order)
        spent = at + timedelta(hours=3)
        ledger = self.models[member].ledger(spent)
        have = max(1, ledger.active("points") - ledger.debt["points"])
        self.do(commands.Redeem(member, data.draw(st.sampled_from([have, max(1, have - 3)])), key=self.id(), at=spent))
        back = spent + timedelta(hours=data.draw(st.sampled_from([-4, -2, 0, 1])))
        refund = Refund(self.id(), member, of, back)
        self.refunds.append(refund)
        self.record(refund)
        self.now = max(spent, back)
        again = self.now if not late else back + data.draw(st.sampled_from([-1, 0, 0, 1])) * draw.MICROSECOND
        if data.draw(st.booleans()):
            self.do(commands.Earn(member, data.draw(draw.SMALL), key=self.id(), at=again))
        else:
            other = Order(self.id(), member, again, (Line("mug", 2, unit_price=5),))
            self.orders.append(other)
            self.record(other)
        if data.draw(st.integers(0, 3)):
            self.record(Reversal(self.id(), member, of, refund.id, self.now + timedelta(hours=1)))

    @precondition(lambda self: self.program.validity is not None and self.program.activation is None)
    @rule(data=st.data(), late=st.sampled_from([0, 0, 0, 1]))
    def hear_late(self, data: st.DataObject, late: int) -> None:
        """Take points back that are spent, so that others go; then hear of an order of that instant, or of before.

        What it earned was there by then, and may have to go in their place.
        """
        member, at = self.member(data), self.now + timedelta(hours=1)
        self.gift(member, 40, at, at + timedelta(hours=data.draw(st.sampled_from([99, 999]))))
        spent, self.now = at + timedelta(hours=1), at + timedelta(hours=2)
        first, second = (Line("pot", count, unit_price=5) for count in (1, 2))
        order = Order(self.id(), member, at, (first,))
        self.record(order)
        have = self.models[member].ledger(spent)
        some = have.active("points") - have.debt["points"] - data.draw(st.integers(5, 20))
        self.do(commands.Redeem(member, max(1, some), key=self.id(), at=spent))
        self.record(Refund(self.id(), member, order.id, self.now))
        other = Order(self.id(), member, self.now - timedelta(hours=late), (second,))
        self.record(other)
        self.orders += [order, other]

    @precondition(lambda self: self.program.caps)
    @rule(data=st.data())
    def fill_the_cap(self, data: st.DataObject) -> None:
        """Earn about what may be earned in a day, return a part, and earn again: what went back no longer counts."""
        member, of = self.member(data), self.id()
        bought = (Line("pot", data.draw(st.integers(2, 3)), unit_price=12),)
        refund = Refund(self.id(), member, of, self.now, {"pot": data.draw(st.integers(1, 2))})
        again = Order(self.id(), member, self.now + timedelta(hours=1), bought)
        order = Order(of, member, self.now, bought)
        self.orders += [order, again]
        self.refunds.append(refund)
        for fact in (order, refund, again):
            self.record(fact)

    def made(self, kind: Any) -> list[Any]:
        """Return the commands of a kind that were done."""
        return [command for member in MEMBERS for command in self.keys[member] if isinstance(command, kind)]

    def units(self) -> list[str]:
        """Return the names of the units."""
        return ["points", *(unit.name for unit in self.program.units)]

    # ------------------------------------------------------------ again, at another time, by itself

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Do something again, even much later: the first answer comes, and nothing changes."""
        how, what, answer = data.draw(st.sampled_from(self.done))
        before = _plain(self.context(what.member))
        assert answer == self.everywhere(lambda club: getattr(club, how)(what))
        self.unchanged(what.member, before)

    @precondition(lambda self: self.done)
    @rule(data=st.data(), by=st.integers(1, 3))
    def reuse_key(self, data: st.DataObject, by: int) -> None:
        """Use a key for something else: it is refused, and nothing changes."""
        how, what, _ = data.draw(st.sampled_from(self.done))
        if isinstance(what, Command):
            other: Any = commands.Earn(what.member, 10 + by, key=what.key, at=what.at)
        else:
            other = attrs.evolve(what, at=what.at - timedelta(hours=by))
        before = _plain(self.context(what.member))
        answer = self.everywhere(lambda club: getattr(club, how)(other))
        assert _reason(answer) is KeyReused, f"{other} was answered {answer}"
        self.unchanged(what.member, before)

    @rule(data=st.data())
    def sweep(self, data: st.DataObject) -> None:
        """Write down what happened by itself; no balance changes by it."""
        at = self.when(data, MEMBERS[0])
        self.everywhere(lambda club: club.sweep(at=at) * 0)  # a store that was busy halfway has fewer left to do
        for store in self.stores:
            assert not store.due(self.program.name, to_us(at)), f"something is still due after the sweep at {at}"
        for member in MEMBERS:
            head = self.context(member).head
            if head is not None:
                self.recorded_at[member] = from_us(head.recorded_at)

    @rule(hours=st.sampled_from([-30, -2, 1, 1, 5]))
    def turn_clock(self, hours: int) -> None:
        """Let the clock by which things are recorded go on, or jump back."""
        self.clock += timedelta(hours=hours)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Look at any instant, by what was known at any other."""
        member = self.member(data)
        if self.context(member).head is None:
            return
        recorded = {record.recorded_at for record in self.models[member].records[-9:]}
        before = st.sampled_from(sorted(recorded)).map(lambda each: each - draw.MICROSECOND)
        at, known_at = self.when(data, member), data.draw(st.none() | before | draw.instants(recorded))
        self.compare(member, at, known_at)

    # ------------------------------------------------------------ what holds after every step

    @invariant()
    def stores_agree(self) -> None:
        """Every store holds the same rows, which follow from the records and add up; nothing written was changed."""
        for member in MEMBERS if self.clubs else ():
            contexts = [_plain(self.context(member, place)) for place in range(len(self.stores))]
            for context in contexts[1:]:
                assert context == contexts[0], f"the stores hold different rows: {_different(contexts[0], context)}"
            context = contexts[0]
            before = self.seen.get(member)
            if context.head is None or context == before:
                continue
            if before is not None:
                assert before.entries == context.entries[: len(before.entries)], "an entry was changed"
                assert before.records.items() <= context.records.items(), "a record was changed"
            problems = [*self.clubs[0].verify(member), *_wrong_rows(context), *_wrong_entries(context)]
            assert not problems, "\n".join(problems)
            self.seen[member] = context
            self.compare(member, from_us(context.head.at), None)
            for at in {self.now, self.now + timedelta(hours=(7 * self.number) % 60 - 30)}:
                self.compare(member, at, None)

    def compare(self, member: str, at: datetime, known_at: datetime | None) -> None:
        """Compare balances, lots and statements at an instant with the model."""
        ledger = self.models[member].ledger(at, FAR if known_at is None else known_at)
        club = self.clubs[(self.number + len(self.seen)) % len(self.clubs)]
        units = self.units()
        for place, unit in enumerate(units):
            balance = club.balance(member, at=at, unit=unit, known_at=known_at)
            found = {name: getattr(balance, name) for name in ledger.balance(unit)}
            where = f"{unit} of {member} at {at} as known at {known_at}"
            assert ledger.balance(unit) == found, _difference(where, ledger.balance(unit), found)
            assert (balance.unit, balance.at) == (unit, at)
            _check_law(balance)
            lots = club.lots(member, at=at, unit=unit, known_at=known_at)
            shown = [
                (lot.id, lot.earned_at, lot.active_at or FAR, lot.expires_at or FAR, lot.pending, lot.active, lot.held)
                for lot in lots
            ]
            assert _open_lots(ledger, unit) == shown, f"{where}: lots {shown}, should be {_open_lots(ledger, unit)}"
            if place != self.number % len(units):  # statements are told anew from the first record: one of them will do
                continue
            rows = club.statement(member, at=at, unit=unit, known_at=known_at)
            assert (rows[-1].balance if rows else 0) == balance.balance + balance.pending
            assert all(row.at <= at for row in rows)
            assert [row.at for row in rows] == sorted(row.at for row in rows), f"{where}: rows out of order"


class _Overtaken(FaultyStore):
    """A store in which, once, something else happens just before an append."""

    meddle: Callable[[], None] | None = None

    def append(self, commit: Commit) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        super().append(commit)


# ---------------------------------------------------------------- what every account's rows keep to


def _check_law(balance: Balance) -> None:
    """Assert the law of conservation in its public form, and that nothing is below zero."""
    came = balance.earned + balance.restored + balance.reinstated + balance.transferred_in + balance.adjusted_up
    went = balance.redeemed + balance.expired + balance.clawed_back + balance.transferred_out + balance.adjusted_down
    assert came == went + balance.active + balance.pending + balance.held - balance.debt, f"not conserved: {balance!r}"
    assert min(balance.active, balance.pending, balance.held, balance.debt, balance.receivable) >= 0, repr(balance)
    assert not (balance.active and (balance.debt or balance.receivable)), f"debt was not repaid: {balance!r}"


def _wrong_rows(context: Context) -> Iterator[str]:
    """Yield what is wrong with heads, records and lots by themselves."""
    head = context.head
    assert head is not None
    records = sorted(context.records.values(), key=lambda record: record.version)
    if [record.version for record in records] != list(range(1, head.version + 1)):
        yield "the versions have a gap"
    if [record.recorded_at for record in records] != sorted(record.recorded_at for record in records):
        yield "recorded time went back"
    if any(record.at > head.at for record in records):
        yield "a record lies after the head"
    for lot in context.lots.values():
        parts = (lot.pending, lot.active, lot.held, lot.spent, lot.expired, lot.clawed)
        if min(*parts, lot.owed, lot.excused, lot.forgiven) < 0 or lot.issued != sum(parts):
            yield f"{lot} does not add up"
        if head.at >= lot.expires_at and lot.active + lot.pending:
            yield f"{lot} should have expired by {head.at}"
        if head.at >= lot.active_at and lot.pending:
            yield f"{lot} should be active by {head.at}"
        due = [lot.expires_at] if lot.active or lot.pending else []
        due += [lot.active_at] if lot.pending else []
        if lot.due_at != min(due, default=NEVER):
            yield f"{lot} is due at another instant"
        if lot.due_at < head.next_at:
            yield f"{lot} is due before the head says"
    for balance in context.balances.values():
        if balance.active and balance.lapse_at < head.next_at:
            yield f"{balance} lapses before the head says"
    for (kind, name), item in context.items.items():
        if kind == "hold" and item.due_at < head.next_at:
            yield f"the hold {name} ends before the head says"


def _wrong_entries(context: Context) -> Iterator[str]:
    """Yield where the entries do not add up to the rows: the sums of the units, and what each lot holds."""
    sums: Counter[str] = Counter()
    units: Counter[tuple[str, str]] = Counter()
    lots: Counter[tuple[str, str]] = Counter()
    for entry in context.entries:
        sums[entry.unit] += entry.amount
        uses = json.loads(entry.uses)
        if not uses and not entry.amount and entry.kind not in ("hold", "release", "adjust_down"):
            yield f"{entry} says nothing"
        for lot, origin, to, quantity in uses:
            if quantity < 0 or (not quantity and entry.kind != "hold") or type(quantity) is not int:
                yield f"{entry} moves {quantity}"
            for counts, name in ((lots, lot), (units, entry.unit)):
                counts[name, origin] -= quantity
                counts[name, to] += quantity
    for unit, row in context.balances.items():
        there = {"active": row.active, "pending": row.pending, "held": row.held, "debt": -row.debt}
        if sum(there.values()) != sums[unit]:
            yield f"the entries of {unit} come to {sums[unit]}, the balance is {row}"
        if any(units[unit, bucket] != count for bucket, count in there.items()):
            yield f"the entries of {unit} lead to {units}, the balance is {row}"
    for lot in context.lots.values():
        for bucket in ("pending", "active", "held"):
            if lots[lot.lot, bucket] != getattr(lot, bucket):
                yield f"the entries leave {lots[lot.lot, bucket]} {bucket} in {lot}"


# ---------------------------------------------------------------- small steps


_MARKED = ("{0}", "#{0}", "{0}", "{1}@2", "{0}%23", "{0}", "{1}#2", "{0}+{1}", "ü>{0}", "{0}@@")


def _called(number: int) -> str:
    """Return the id of a number: now and then with marks that mean something in names, or like another id's."""
    return _MARKED[number % len(_MARKED)].format(number, number - 1)


def _plain(context: Context) -> Context:
    """Return a context in one form, whatever the store's containers, without the items that were removed."""
    return Context(
        context.head,
        dict(context.balances),
        dict(context.records),
        dict(context.lots),
        {key: item for key, item in context.items.items() if item.value is not None},
        tuple(context.entries),
    )


def _reason(answer: Any) -> Any:
    """Return why something was not done: a refusal's reason, or the class of the error; None if it was done."""
    return answer[0] if isinstance(answer, tuple) else None


def _different(one: Context, other: Context) -> str:
    parts = [(name, mine, theirs) for name, mine, theirs in zip(Context._fields, one, other, strict=True)]
    return "; ".join(f"{name} {mine} and {theirs}" for name, mine, theirs in parts if mine != theirs)


def _open_lots(ledger: Ledger, unit: str) -> list[tuple[Any, ...]]:
    return [
        (lot.name, lot.earned_at, lot.active_at, lot.expires_at, lot.pending, lot.active, lot.held)
        for lot in ledger.of(unit)
        if lot.pending or lot.active or lot.held
    ]


def _difference(where: str, expected: dict[str, int], found: dict[str, int]) -> str:
    wrong = [f"{name} {found[name]} (should be {expected[name]})" for name in expected if expected[name] != found[name]]
    return f"{where}: {', '.join(wrong)}"


def _unit(command: Any, model: Model) -> str:
    hold = model.keys.get(f"key:{getattr(command, 'hold', '')}")
    return str(getattr(command, "unit", None) or getattr(hold and hold.what, "unit", "points"))
