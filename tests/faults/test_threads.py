"""Threads that all want the same points."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.errors import InsufficientPoints, Refused
from loyaltykit.journal import Need
from loyaltykit.stores import MemoryStore, SQLiteStore
from loyaltykit.stores.protocol import Store

THREADS = 20
AT = fault_work.START + timedelta(days=1)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return each of the stores."""
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "shop.db")
    yield made
    made.close()


@pytest.fixture
def club(store: Store) -> Club:
    """Return a club with one member who has 100 points."""
    made = Club(fault_work.PROGRAM, store)
    made.earn("ann", 100, key="welcome", at=fault_work.START)
    return made


def _together(call: Callable[[int], Any]) -> list[Any]:
    """Let twenty threads call, with their numbers, and return what each got: an answer or a refusal."""
    start = threading.Barrier(THREADS)
    got: list[Any] = [None] * THREADS

    def run(number: int) -> None:
        start.wait(60)
        try:
            got[number] = call(number)
        except BaseException as error:
            got[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = [each for each in got if isinstance(each, BaseException) and not isinstance(each, Refused)]
    if wrong:
        raise wrong[0]
    return got


def test_one_of_twenty_redemptions_wins(store: Store, club: Club) -> None:
    """Of twenty redemptions of the whole balance exactly one succeeds; the others are told what is missing."""
    got = _together(lambda number: club.redeem("ann", 100, key=f"r{number}", at=AT))
    won = [each for each in got if not isinstance(each, Refused)]
    lost = [each for each in got if isinstance(each, InsufficientPoints)]
    assert (len(won), len(lost)) == (1, THREADS - 1)
    assert {(each.needed, each.available) for each in lost} == {(100, 0)}
    assert club.balance("ann", at=AT).available == 0
    context = store.load(Need("shop/ann", everything=True))
    assert [entry.amount for entry in context.entries if entry.kind == "redeem"] == [-100]
    assert context.head is not None
    assert context.head.version == len(context.records) == 1 + THREADS
    assert club.verify("ann") == []


def test_the_same_redemption_twenty_times(store: Store, club: Club) -> None:
    """One redemption that comes twenty times at once is done once, and everybody gets the same receipt."""
    got = _together(lambda number: club.redeem("ann", 60, key="cart-17", at=AT))
    assert got == [got[0]] * THREADS
    assert sorted(each.replayed for each in got) == [False] + [True] * (THREADS - 1)
    assert club.balance("ann", at=AT).available == 40
    assert club.verify("ann") == []


def test_one_of_twenty_gifts_arrives(store: Store, club: Club) -> None:
    """Of twenty transfers of the whole balance to twenty members one is made, and no point is made or lost."""
    others = [f"friend-{number}" for number in range(THREADS)]
    for other in others:
        club.earn(other, 1, key="welcome", at=fault_work.START)
    got = _together(lambda number: club.transfer("ann", others[number], 100, key=f"t{number}", at=AT))
    assert len([each for each in got if isinstance(each, InsufficientPoints)]) == THREADS - 1
    assert sorted(club.balance(other, at=AT).available for other in others) == [1] * (THREADS - 1) + [101]
    assert club.balance("ann", at=AT).available == 0
    assert [problem for member in club.members() for problem in club.verify(member)] == []


def test_points_go_round(store: Store, club: Club) -> None:
    """Members who send points to each other in a ring at the same time make and lose none."""
    ring = [f"m{number}" for number in range(THREADS)]
    for member in ring:
        club.earn(member, 50, key="welcome", at=fault_work.START)

    def send(number: int) -> None:
        for turn in range(5):
            at = AT + timedelta(minutes=turn)
            club.transfer(ring[number], ring[(number + 1) % THREADS], 10, key=f"t{turn}", at=at)

    _together(send)
    assert [club.balance(member, at=fault_work.END).available for member in ring] == [50] * THREADS
    assert [problem for member in club.members() for problem in club.verify(member)] == []


def test_one_hold_is_resolved_once(store: Store, club: Club) -> None:
    """A hold that is captured and released at the same time from many sides is resolved once."""
    club.hold("ann", 80, key="cart", until=AT + timedelta(hours=1), at=fault_work.START)

    def resolve(number: int) -> Any:
        if number % 2:
            return club.capture("ann", "cart", 50, key=f"c{number}", at=AT)
        return club.release("ann", "cart", key=f"l{number}", at=AT)

    got = _together(resolve)
    captured = [each for each in got if not isinstance(each, Refused) and each.kind == "capture"]
    balance = club.balance("ann", at=AT)
    assert len(captured) <= 1
    assert (balance.held, balance.available) == (0, 50 if captured else 100)
    assert club.verify("ann") == []


def test_everything_at_once(store: Store, club: Club) -> None:
    """Different things that happen to members at once lead to the balances that they have one after the other."""
    alone = Club(fault_work.PROGRAM, MemoryStore())
    welcomes = [fault_work.happening(number) for number in range(fault_work.MEMBERS)]
    # A capture needs its hold before it.
    others = [fault_work.happening(n) for n in range(10, 60) if n % 10 != 8]
    captures = [fault_work.happening(n) for n in range(18, 60, 10)]
    for what in [*welcomes, *others, *captures]:
        fault_work.answer(alone, what.call)
    for what in welcomes:
        fault_work.answer(club, what.call)

    def some(number: int) -> None:
        for what in others[number::THREADS]:
            fault_work.answer(club, what.call)

    _together(some)
    for what in captures:
        fault_work.answer(club, what.call)
    for number in range(fault_work.MEMBERS):
        member = f"m{number}"
        mine, theirs = (each.balance(member, at=fault_work.END) for each in (club, alone))
        assert mine == theirs
        assert club.verify(member) == []
