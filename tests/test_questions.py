"""What a club refuses to be asked, or told: what it cannot answer is said, never answered with nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from shop import AT, program

from loyaltykit import (
    Activity,
    Club,
    Fact,
    InputError,
    MemoryStore,
    OnEvent,
    Opened,
    Order,
    Refund,
    Reversal,
    Unit,
    UnknownMember,
    days,
    gift_card,
    grace,
    per_amount,
    points,
)


@pytest.fixture
def club() -> Club:
    """A club with one member and a second unit."""
    club = Club(program(per_amount(1), units=Unit("stamps")), MemoryStore())
    club.record(Order("1", "ann", AT, amount="10.00"))
    return club


@pytest.mark.parametrize("question", ["balance", "lots", "expiring", "statement", "explain"])
def test_a_unit_that_the_program_does_not_have_is_refused(club: Club, question: str) -> None:
    """Nobody has any of a unit that does not exist, but a mistyped one is not a balance of 0."""
    ask: Callable[..., Any] = getattr(club, question)
    ask("ann", at=AT, unit="stamps")
    with pytest.raises(InputError, match=r"stmaps.*it has: points, stamps"):
        ask("ann", at=AT, unit="stmaps")
    with pytest.raises(InputError, match="stmaps"):
        club.balances(at=AT, unit="stmaps")


@pytest.mark.parametrize("limit", [0, -1, True, "5", 2.0, None])
def test_a_page_has_room_for_somebody(club: Club, limit: Any) -> None:
    """How many members a page, a batch or a sweep is of is a whole number from 1."""
    for field, ask in {
        "limit": lambda: club.balances(at=AT, limit=limit),
        "limit ": lambda: club.members_page(limit=limit),
        "limit  ": lambda: club.sweep(at=AT, limit=limit),
        "batch": lambda: club.sweep_all(at=AT, batch=limit),
        "batch ": lambda: list(club.record_many([], batch=limit)),
    }.items():
        with pytest.raises(InputError) as error:
            ask()
        assert field.strip() == error.value.field


def test_only_a_command_is_done(club: Club) -> None:
    """What is not a command is refused by name, and not looked into."""
    with pytest.raises(InputError, match="give a command"):
        club.do("redeem")  # type: ignore[arg-type]


def test_what_expires_is_called_by_the_key_that_it_came_under() -> None:
    """A statement names what a person knows, not the inner names of lots: of many taken over, or given back late."""
    club = Club(program(restore=grace(days(30))), MemoryStore())
    lots = [Opened(points, earned_at=AT, expires_at=AT + timedelta(days=points)) for points in (5, 7)]
    club.open("ann", lots, key="old", at=AT)
    club.redeem("ann", 5, key="mug", at=AT)
    club.restore("ann", "mug", at=AT + timedelta(days=6))
    rows = [(row.kind, row.reason) for row in club.statement("ann", at=AT + timedelta(days=50))]
    expected = [
        ("transfer_in", "old"),
        ("transfer_in", "old"),
        ("redeem", "mug"),
        ("restore", "redemption mug"),
        ("expire", "old"),
        ("expire", "old"),
    ]
    assert expected == rows


def test_what_waits_for_ever_is_listed() -> None:
    """A refund of a mistyped order is shown until the order comes; so is a reversal whose refund never came."""
    club = Club(program(per_amount(1), activation=OnEvent("delivered")), MemoryStore())
    told: list[Fact] = [
        Refund("r", "ann", "2", AT, amount="4.00"),
        Reversal("v", "ann", "1", "q", AT),
        Activity("d", "ann", "delivered", AT, order="2"),
        Activity("a", "ann", "visit", AT),
    ]
    for fact in (Order("1", "ann", AT, amount="10.00"), *told):
        club.record(fact)
    assert set(told[:3]) == set(club.waiting("ann")) == set(club.all_waiting())
    club.record(Order("2", "ann", AT, amount="10.00"))
    assert (told[1],) == club.waiting("ann")
    club.record(Refund("q", "ann", "1", AT, amount="1.00"))
    assert () == club.waiting("ann")
    with pytest.raises(UnknownMember):
        club.waiting("bob")


def test_what_waits_of_a_merged_member_is_listed_with_the_other() -> None:
    """It waits where facts of the member go now, and no longer once its order has come there."""
    club = Club(program(per_amount(1)), MemoryStore())
    refund = Refund("r", "ann", "2", AT, amount="4.00")
    for fact in (refund, Order("1", "bob", AT, amount="10.00")):
        club.record(fact)
    club.merge("ann", into="bob", at=AT)
    assert (refund,) == club.waiting("bob") == tuple(club.all_waiting())
    club.record(Order("2", "ann", AT, amount="10.00"))
    assert () == club.waiting("bob") == tuple(club.all_waiting())
    assert 16 == club.balance("bob", at=AT + timedelta(hours=1)).available


def test_a_cancellation_says_what_goes_back() -> None:
    """A cancelled order is a refund of what remains of it: its receipt says how much, in each kind."""
    club = Club(program(per_amount(1)), MemoryStore())
    club.earn("ann", 50, key="welcome", at=AT)
    paid = Order("1", "ann", AT, amount="21.50", tenders=[points(50, "0.50"), gift_card("6.00")])
    club.record(paid)
    club.record(Refund("r", "ann", "1", AT, amount="4.30"))
    gone = club.record(evolve(paid, state="cancelled", revision=2, revised_at=AT + timedelta(hours=1)))
    assert ("12.00", "4.80", 40) == (str(gone.cash), str(gone.gift_card), gone.points_back)
    assert 50 == club.balance("ann", at=AT + timedelta(hours=1)).available
    again = club.record(evolve(paid, state="cancelled", revision=3, revised_at=AT + timedelta(hours=2)))
    assert (0, 0, 0) == (again.cash, again.gift_card, again.points_back)
