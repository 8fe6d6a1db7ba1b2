"""Cancels what an asynchronous club does, wherever it waits, and proves that nothing is left half done.

For an `AsyncStore` of your own, in a test::

    @pytest.mark.parametrize("name", WORK)
    def test_cancelled(name):
        async def check():
            async with MyAsyncStore(...) as store:
                await cancel_everywhere(store, name)
        asyncio.run(check())
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import coroutine
from typing import Any

import attrs

from loyaltykit.async_club import AsyncClub
from loyaltykit.facts import Order
from loyaltykit.ledger import Balance
from loyaltykit.program import Program
from loyaltykit.rewards import reward
from loyaltykit.rules import Budget, per_amount
from loyaltykit.stores.aio import AsyncStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

Work = Callable[[AsyncClub], Coroutine[Any, Any, None]]


async def _record(club: AsyncClub) -> None:
    await club.record(Order("o9", "ann", NOON, amount="77.00"))


async def _record_many(club: AsyncClub) -> None:
    told = [Order(f"m{place}", ("ann", "bo", "cy")[place % 3], NOON, amount="10.00") for place in range(6)]
    receipts = [receipt async for receipt in club.record_many(told, batch=4)]
    assert len(told) == len(receipts), f"{len(told)} facts had {len(receipts)} receipts"


async def _redeem(club: AsyncClub) -> None:
    await club.redeem("ann", 50, key="mug-1", at=NOON, reward="mug")


async def _hold_and_capture(club: AsyncClub) -> None:
    await club.hold("ann", 40, key="cart", until=NOON + timedelta(hours=1), at=NOON)
    await club.capture("ann", "cart", at=NOON)


async def _transfer(club: AsyncClub) -> None:
    await club.transfer("ann", "bo", 30, key="gift", at=NOON)


async def _merge(club: AsyncClub) -> None:
    await club.merge("ann", "bo", at=NOON)


async def _sweep(club: AsyncClub) -> None:
    await club.earn("ann", 9, key="short", at=NOON, expires_at=NOON + timedelta(hours=1))
    await club.sweep(at=NOON + timedelta(hours=2))


_PLAIN = Program("plain", "USD", earning=[per_amount(1)], rewards=[reward("mug", 50, stock=1)])
_BUDGET = Program("budget", "USD", earning=[per_amount(1, budget=Budget("spring", 250))])

WORK: dict[str, tuple[Program, Work]] = {
    "record": (_PLAIN, _record),
    "record within a budget": (_BUDGET, _record),
    "record many": (_PLAIN, _record_many),
    "redeem the last one": (_PLAIN, _redeem),
    "hold and capture": (_PLAIN, _hold_and_capture),
    "transfer": (_PLAIN, _transfer),
    "merge": (_PLAIN, _merge),
    "sweep": (_PLAIN, _sweep),
}
"""What is cancelled, by name: on one account, on several, and on what all members share."""


async def cancel_everywhere(store: AsyncStore, name: str) -> int:
    """Do one of `WORK` again and again, cancelled at its first await, its second, ...; return how many there were.

    After each the books are proved. The same work is then given again, and must leave what it leaves undisturbed; after
    a transfer or a merge a sweep alone must lose no points.

    Raises:
        AssertionError: something was half done.
    """
    undisturbed = await _begun(store, name, "undisturbed")
    work = WORK[name][1]
    await work(undisturbed)
    expected = await _books(undisturbed)
    for place in count():
        club = await _begun(store, name, str(place))
        if not await asyncio.create_task(cancelled_at(place, work(club))):
            return place
        await _books(club)
        if name in ("transfer", "merge"):
            await club.sweep(at=NOON)
            left = sum(balance.available for balance in (await _books(club)).values())
            assert left == 200, f"{name}, cancelled at await {place} and swept: of 200 points {left} are left"
        await work(club)
        found = await _books(club)
        assert expected == found, f"{name}, cancelled at await {place} and given again: {found}, not {expected}"
    raise AssertionError


async def _begun(store: AsyncStore, name: str, suffix: str) -> AsyncClub:
    """Return a club of a new program, of which two members have a hundred points each."""
    program = attrs.evolve(WORK[name][0], name=f"{name} {suffix}")
    club = AsyncClub(program, store, clock=lambda: NOON)
    for member in ("ann", "bo"):
        await club.record(Order(f"o-{member}", member, NOON, amount="100.00"))
    return club


async def _books(club: AsyncClub) -> dict[str, Balance]:
    """Return what every member has, after proving that the stored rows follow from what was recorded."""
    found = {}
    async for name in club.members():
        assert not await club.verify(name), f"the books of {name} are wrong: {await club.verify(name)}"
        found[name] = await club.balance(name, at=NOON)
    return found


@coroutine
def cancelled_at(place: int, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, bool]:
    """Run a coroutine in the current task, cancelled where it waits for the `place`-th time; say if it came to that.

    >>> async def wait_twice():
    ...     await asyncio.sleep(0)
    ...     await asyncio.sleep(0)
    >>> async def try_it():
    ...     return [await asyncio.create_task(cancelled_at(place, wait_twice())) for place in range(3)]
    >>> asyncio.run(try_it())
    [True, True, False]
    """
    resume = partial(work.send, None)
    for waits in count():
        try:
            awaited = resume()
        except StopIteration:
            return False
        except BaseException as error:
            if not _from_cancelling(error):
                raise
            return True
        task = asyncio.current_task()
        if waits == place and task is not None:
            task.cancel()
        try:
            resume = partial(work.send, (yield awaited))
        except BaseException as error:
            resume = partial(work.throw, error)
    raise AssertionError


def _from_cancelling(error: BaseException | None) -> bool:
    """Say whether an error is a cancellation, or came up while one was handled, as some drivers' own assertions do."""
    while error is not None and not isinstance(error, asyncio.CancelledError):
        error = error.__context__
    return error is not None
