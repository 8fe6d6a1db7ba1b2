"""Members merged one into another, and taken out again: their facts find their orders, wherever the lots are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from loyaltykit import (
    Activity,
    Club,
    Fact,
    KeyReused,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    RefundTooLarge,
    Reversal,
    SQLiteStore,
    activity,
    lifetime,
    months,
    per_amount,
    spend,
)
from loyaltykit.stores.protocol import Store

PROGRAM = Program("shop", "USD", earning=[per_amount(1), activity("review", 50)])
NAMES = ("ann", "bob", "cy", "dee")


def day(number: float) -> datetime:
    """Return the instant so many days after the year began."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


@pytest.fixture(params=[MemoryStore, SQLiteStore])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of each kind."""
    made: Callable[..., Store] = request.param
    return made() if made is MemoryStore else made(tmp_path_factory.mktemp("books") / "shop.db")


def available(club: Club, *members: str) -> list[int]:
    """Return what members have at the end of the year."""
    return [club.balance(member, at=day(365)).available for member in members]


def chain(store: Store) -> Club:
    """Return a club in which ann was merged into bob, and bob into cy; each has an order."""
    club = Club(PROGRAM, store)
    for number, (member, amount) in enumerate([("ann", "10.00"), ("bob", "20.00"), ("cy", "40.00")]):
        club.record(Order(f"o{number}", member, day(1), amount=amount))
    club.redeem("ann", 3, key="mug", at=day(1))
    club.merge("ann", into="bob", at=day(2))
    club.merge("bob", into="cy", at=day(3))
    return club


def test_a_fact_finds_its_order_through_any_number_of_merges(store: Store) -> None:
    """A refund of somebody merged twice over takes back what that order earned, and counts in their history."""
    club = chain(store)
    receipt = club.record(Refund("r", "ann", "o0", day(4), amount="4.00"))
    assert ("cy", "applied", -4) == (receipt.member, receipt.status, receipt.points)
    assert [0, 0, 63] == available(club, "ann", "bob", "cy")
    assert 66 == spend(lifetime()).value(club.history("cy", at=day(5)), at=day(5))
    with pytest.raises(RefundTooLarge):
        club.record(Refund("r-2", "ann", "o0", day(5), amount="6.01"))
    assert [] == club.verify("cy")


def test_the_inner_of_two_merges_can_be_undone(store: Store) -> None:
    """Each lot goes straight back to its member, from wherever it is by now; the outer merge stays, and can go too."""
    club = chain(store)
    club.record(Refund("r", "ann", "o0", day(4), amount="4.00"))
    assert -3 == club.unmerge("ann", at=day(5)).points
    assert club.unmerge("ann", at=day(6)).replayed
    assert [3, 0, 60] == available(club, "ann", "bob", "cy")
    assert 60 == spend(lifetime()).value(club.history("cy", at=day(7)), at=day(7))
    club.unmerge("bob", at=day(7))
    assert [3, 20, 40] == available(club, "ann", "bob", "cy")
    assert ["6.00", "20.00"] == [
        str(spend(lifetime()).value(club.history(who, at=day(8)), at=day(8))) for who in ("ann", "bob")
    ]
    assert [] == [wrong for who in NAMES[:3] for wrong in club.verify(who)]


def test_a_refund_is_known_after_the_merge_is_undone(store: Store) -> None:
    """What was refunded while the member was merged is not refunded again, and the rest is."""
    club = chain(store)
    club.record(Refund("r", "ann", "o0", day(4), amount="4.00"))
    club.unmerge("ann", at=day(5))
    with pytest.raises(RefundTooLarge):
        club.record(Refund("r-2", "ann", "o0", day(6), amount="6.01"))
    receipt = club.record(Refund("r-3", "ann", "o0", day(6)))
    assert ("ann", "6.00", -6, 3) == (receipt.member, str(receipt.cash), receipt.points, receipt.debt)


def test_what_came_while_merged_stays_and_is_found_there(store: Store) -> None:
    """An order told while the member was merged stayed with the other; so do its refunds, also later ones."""
    club = chain(store)
    club.record(Order("o9", "ann", day(4), amount="9.00"))
    club.unmerge("ann", at=day(5))
    receipt = club.record(Refund("r", "ann", "o9", day(6), amount="2.00"))
    assert ("cy", -2) == (receipt.member, receipt.points)
    assert [7, 0, 67] == available(club, "ann", "bob", "cy")


def test_what_was_told_while_merged_is_known_when_it_comes_again(store: Store) -> None:
    """The same fact again is answered the same after the merge is undone; another one under its id is refused."""
    club = chain(store)
    facts: list[Fact] = [
        Activity("rv", "ann", "review", day(4), product="mug"),
        Order("o9", "ann", day(4), amount="9.00"),
        Refund("r", "ann", "o0", day(4), amount="4.00"),
    ]
    receipts = [club.record(fact) for fact in facts]
    club.unmerge("ann", at=day(5))
    again = [club.record(fact) for fact in facts]
    assert receipts == again
    assert all(receipt.replayed for receipt in again)
    with pytest.raises(KeyReused):
        club.record(Order("o9", "ann", day(4), amount="8.00"))


def test_a_redemption_of_a_merged_member_can_be_given_back(store: Store) -> None:
    """It is known under its key, to the member who took the other in, however far; the points go to their own lot."""
    club = chain(store)
    assert 3 == club.restore("cy", "mug", at=day(4)).points
    club.unmerge("ann", at=day(5))
    assert [10] == available(club, "ann")


def test_a_merge_carries_when_a_balance_lapses() -> None:
    """The same person was active under either name: the later of the two dates holds."""
    club = Club(Program("shop", "USD", earning=per_amount(1), inactivity=months(6)), MemoryStore())
    club.record(Order("1", "ann", day(100), amount="10.00"))
    club.record(Order("2", "bob", day(0), amount="20.00"))
    club.merge("ann", into="bob", at=day(110))
    assert [30, 0] == [club.balance("bob", at=day(at)).available for at in (282, 284)]


def test_members_whose_ids_hold_the_mark_of_merges_are_told_apart() -> None:
    """What came of "ann" goes back to "ann", and not what came of "ann>bob"."""
    club = Club(PROGRAM, MemoryStore())
    for number, who in enumerate(["ann", "ann>bob", "cy"]):
        club.record(Order(f"o{number}", who, day(1), amount="10.00"))
    club.merge("ann", into="cy", at=day(2))
    club.merge("ann>bob", into="cy", at=day(2))
    club.unmerge("ann", at=day(3))
    assert [10, 0, 20] == available(club, "ann", "ann>bob", "cy")
    club.record(Refund("r", "ann>bob", "o1", day(4)))
    assert [10, 0, 10] == available(club, "ann", "ann>bob", "cy")


class Life:
    """A random life of four members: what they did, merges of any depth, and what all of it must come to."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.club = Club(PROGRAM, MemoryStore(), clock=lambda: day(0))
        self.now = 0
        self.into: dict[str, str] = {}
        self.orders: dict[str, Order] = {}
        self.refunded: dict[str, dict[str, int]] = {}
        self.bounced: dict[str, int] = {}
        self.redeemed = 0
        self.told: list[Fact] = []
        for name in NAMES:
            self.club.record(Member(name, day(-1)))

    def step(self) -> None:
        """Let something happen; facts are often heard of late."""
        self.now += 1
        do = self.chance.choices(
            [self._order, self._refund, self._bounce, self._merge, self._unmerge, self._again, self._redeem],
            [5, 6, 1, 3, 3, 2, 2],
        )
        do[0]()

    def _when(self) -> datetime:
        return day(self.chance.choice([self.now, self.chance.randint(0, self.now)]))

    def _order(self) -> None:
        amount = self.chance.randint(1, 50)
        order = Order(f"o{self.now}", self.chance.choice(NAMES), self._when(), amount=f"{amount}.00")
        assert amount == self.club.record(order).points
        self.orders[order.id] = order
        self.told.append(order)

    def _refund(self) -> None:
        if not self.orders:
            return
        order = self.orders[self.chance.choice(list(self.orders))]
        amount, known = self.chance.randint(1, 25), self.refunded.setdefault(order.id, {})
        refund = Refund(f"r{self.now}", order.member, order.id, max(self._when(), order.at), amount=f"{amount}.00")
        most = order.total - sum(known.values())
        try:
            receipt = self.club.record(refund)
        except RefundTooLarge:
            assert amount > most - self.bounced.get(order.id, 0)  # one that bounced later stood for a while
        else:
            assert amount <= most
            assert amount == receipt.cash
            known[refund.id] = amount
            self.told.append(refund)

    def _bounce(self) -> None:
        for order, known in self.refunded.items():
            if known:
                refund, amount = known.popitem()
                fact = Reversal(f"v{self.now}", self.orders[order].member, order, refund, day(self.now))
                assert -amount == self.club.record(fact).cash
                self.bounced[order] = self.bounced.get(order, 0) + amount
                self.told.append(fact)
                return

    def _merge(self) -> None:
        names = [name for name in NAMES if name not in self.into]
        if len(names) > 1:
            name, other = self.chance.sample(names, 2)
            self.club.merge(name, into=other, at=day(self.now))
            self.into[name] = other

    def _unmerge(self) -> None:
        if self.into:
            name = self.chance.choice(list(self.into))
            self.club.unmerge(name, at=day(self.now))
            del self.into[name]

    def _again(self) -> None:
        if self.told:
            assert self.club.record(self.chance.choice(self.told)).replayed

    def _redeem(self) -> None:
        name = self.chance.choice([name for name in NAMES if name not in self.into])
        have = self.club.balance(name, at=day(self.now)).available
        if have > 0:
            points = self.chance.randint(1, have)
            self.club.redeem(name, points, key=f"k{self.now}", at=day(self.now))
            self.redeemed += points

    def check(self) -> None:
        """Compare the books, and what rules look back on, with the sums of what was told."""
        at = day(self.now + 1_000)
        bought = sum(int(order.total) for order in self.orders.values())
        kept = bought - sum(sum(known.values()) for known in self.refunded.values())
        assert [] == [wrong for name in NAMES for wrong in self.club.verify(name)]
        assert kept - self.redeemed == sum(self.club.balance(name, at=at).available for name in NAMES)
        histories = [self.club.history(name, at=at) for name in NAMES if name not in self.into]
        assert kept == sum(spend(lifetime()).value(history, at=at) for history in histories)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(5, 40))
def test_nothing_is_lost_or_doubled_by_merging(seed: int, steps: int) -> None:
    """Whoever is merged into whom and taken out again, in any order, and however late facts come: all adds up.

    Every refund is of what is left of its order, what was told comes to the same again, and the balances and
    histories of all members together are the sums of what they did.
    """
    life = Life(Random(seed))
    for _ in range(steps):
        life.step()
        life.check()
