"""A small shop for the tests of the SQL store: a program, and what several threads do in it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from loyaltykit.calendar import days
from loyaltykit.club import Club
from loyaltykit.errors import Refused, StoreError
from loyaltykit.facts import Order
from loyaltykit.program import Program
from loyaltykit.rules import per_amount
from loyaltykit.stores.protocol import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = Program("shop", "USD", earning=[per_amount(1)], validity=days(90))


def club(store: Store) -> Club:
    """Return the shop's club over a store, with a clock that stands still."""
    return Club(PROGRAM, store, clock=lambda: BEGIN)


def order(number: int | str, member: str, amount: str = "10.00") -> Order:
    """Return an order at noon."""
    return Order(f"{number}", member, BEGIN + timedelta(hours=12), amount=amount)


def crowd(store: Store, members: list[str], each: int, threads: int = 8) -> dict[str, int]:
    """Let eight threads order and redeem for a few members; return how many points each should have."""
    expected = dict.fromkeys(members, 10)
    for member in members:
        club(store).record(order(f"first-{member}", member))
    guard = threading.Lock()

    def one(thread: int) -> None:
        mine, chance = club(store), random.Random(thread)
        for number in range(each):
            member, key = chance.choice(members), f"{thread}-{number}"
            if chance.random() < 0.6:
                insist(lambda member=member, key=key: mine.record(order(key, member)))
                change = 10
            else:
                try:
                    insist(lambda member=member, key=key: mine.redeem(member, 3, key=key, at=BEGIN + timedelta(days=1)))
                    change = -3
                except Refused:
                    change = 0
            with guard:
                expected[member] += change

    in_threads([lambda thread=thread: one(thread) for thread in range(threads)])
    return expected


def insist(call: Callable[[], object]) -> None:
    """Do it again with the same key while the store says that this is safe."""
    for _ in range(50):
        try:
            call()
            return
        except StoreError as error:
            if not error.retry:
                raise
    raise AssertionError("the store stayed busy")


def in_threads(calls: list[Callable[[], object]]) -> None:
    """Make the calls at the same time; raise the first error."""
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def wrong(store: Store, members: list[str]) -> list[str]:
    """Return what `verify` finds wrong with the members' books."""
    mine = club(store)
    return [f"{member}: {each}" for member in members for each in mine.verify(member)]


def points(store: Store, member: str) -> int:
    """Return a member's points."""
    return club(store).balance(member, at=BEGIN + timedelta(days=2)).available
