"""The club under asyncio: over stores that block and stores that are awaited, and cancelled wherever it can be."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from loyaltykit import (
    Club,
    InputError,
    MemoryStore,
    Order,
    Program,
    Refund,
    RefundTooLarge,
    SQLiteStore,
    per_amount,
)
from loyaltykit._twins import PAGE, spawn, wait
from loyaltykit.async_club import AsyncClub
from loyaltykit.errors import StoreUnusable
from loyaltykit.journal import Commit, Context, Need
from loyaltykit.stores.aio import AsyncStore
from loyaltykit.stores.protocol import Store
from loyaltykit.testing import FaultyStore, StoreContract, _scenario_run, machine, scenarios
from loyaltykit.testing.aio import ClubOnLoop, OnLoop
from loyaltykit.testing.cancelling import WORK, cancel_everywhere

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROGRAM = Program("shop", "USD", earning=[per_amount(1)])


class Giving:
    """A store made awaited: it gives way before and after each call, and so can be cancelled there."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            try:
                return getattr(self.inner, name)(*args, **options)
            finally:
                await asyncio.sleep(0)

        return call

    @asynccontextmanager
    async def exclusive(self, account: str) -> AsyncIterator[None]:
        """Give way, and take the inner store's hint."""
        await asyncio.sleep(0)
        with self.inner.exclusive(account):
            yield


def awaited(inner: Store) -> AsyncStore:
    """Return the store as one that is awaited."""
    store: Any = Giving(inner)
    return store


def in_thread(inner: Store) -> Store:
    """Return the store as it is, which is asked in a thread."""
    return inner


Road = Callable[[Store], Any]
awaits = pytest.mark.skipif(find_spec("greenlet") is None, reason="NOT TESTED: awaited stores, which need greenlet")


@pytest.fixture(params=[in_thread, pytest.param(awaited, marks=awaits)])
def road(request: pytest.FixtureRequest) -> Road:
    """Both ways in which an asynchronous club reaches its store."""
    found: Road = request.param
    return found


def order(number: int, member: str = "ann", amount: str = "10.00") -> Order:
    """Return an order that earns ten points."""
    return Order(f"o{number}", member, NOON, amount=amount)


# ---------------------------------------------------------------- the same as the club


def public(kind: type) -> set[str]:
    """Return the names of a class's public methods."""
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_every_method_of_the_club_has_its_twin() -> None:
    """What a club can do an asynchronous one can, under the same name."""
    assert public(Club) == public(AsyncClub)
    assert set(inspect.signature(Club).parameters) <= set(inspect.signature(AsyncClub).parameters)


@pytest.mark.parametrize("name", sorted(public(Club)))
def test_a_twin_is_called_and_described_as_its_method(name: str) -> None:
    """A twin takes the same arguments, says the same of itself, and is awaited or iterated asynchronously."""
    method, twin = getattr(Club, name), getattr(AsyncClub, name)
    assert inspect.signature(method) == inspect.signature(twin)
    assert inspect.getdoc(method) == inspect.getdoc(twin)
    assert name == twin.__name__
    yields = str(inspect.signature(method).return_annotation).startswith("Iterator[")
    assert (yields, not yields) == (inspect.isasyncgenfunction(twin), inspect.iscoroutinefunction(twin))


@pytest.mark.parametrize("path", scenarios.documents(Path(__file__).parent / "scenarios"), ids=lambda path: path.stem)
def test_scenario(path: Path, road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a document of the catalogue says comes true under asyncio too."""
    monkeypatch.setattr(_scenario_run, "Club", lambda program, store, **more: ClubOnLoop(program, road(store), **more))
    scenarios.check(path, MemoryStore)


def test_random_steps(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done, and whatever a store does to it, the answers and the books are those of the plain model."""

    def club(program: Program, store: Store, **more: Any) -> Any:
        bare = isinstance(store, MemoryStore)  # another writer's, that comes between
        return Club(program, store, **more) if bare else ClubOnLoop(program, road(store), **more)

    class Machine(machine.ClubMachine):
        makers = (MemoryStore, MemoryStore)

    monkeypatch.setattr(machine, "Club", club)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15, stateful_step_count=30, database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@awaits
class TestAwaitedStore(StoreContract):
    def make_store(self) -> Store:
        """Make an awaited store, on a loop."""
        return OnLoop(awaited(MemoryStore()))


# ---------------------------------------------------------------- values that are yielded


class TestIterators:
    def test_members_come_page_by_page_and_none_is_lost(self, road: Road) -> None:
        """An async iterator yields what the club's own does, over many pages, and at their edges."""

        async def names(many: int) -> tuple[list[str], list[str]]:
            async with AsyncClub(PROGRAM, road(MemoryStore())) as club:
                told = [order(place, f"m{place:04}", "1.00") for place in range(many)]
                receipts = [receipt.member async for receipt in club.record_many(told, batch=2 * PAGE)]
                return receipts, [name async for name in club.members()]

        for many in (0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE):
            expected = [f"m{place:04}" for place in range(many)]
            assert (expected, expected) == asyncio.run(names(many))

    def test_what_came_before_an_error_is_yielded(self, road: Road) -> None:
        """A fact that cannot be recorded takes no receipt of an earlier one with it."""

        async def deliver() -> list[str]:
            club, seen = AsyncClub(PROGRAM, road(MemoryStore())), []
            facts = [order(1), order(2), Refund("r1", "ann", "o1", NOON, amount="99.00"), order(3)]
            try:
                async for receipt in club.record_many(facts):
                    seen.append(receipt.key)
            except RefundTooLarge:
                return seen
            raise AssertionError("was recorded")

        assert ["order:o1", "order:o2"] == asyncio.run(deliver())

    def test_nothing_is_read_before_it_is_asked_for(self, road: Road) -> None:
        """An iterator that is left alone has read nothing, and one that is left early not all."""
        store, taken = MemoryStore(), []

        def facts() -> Iterator[Order]:
            for number in count():
                taken.append(number)
                yield order(number)

        async def begin() -> None:
            club = AsyncClub(PROGRAM, road(store))
            receipts = club.record_many(facts(), batch=PAGE)
            assert not taken
            assert "order:o0" == (await anext(receipts)).key

        asyncio.run(begin())
        assert PAGE == len(taken)


# ---------------------------------------------------------------- where it runs


class TestTheLoopGoesOn:
    def test_while_a_blocking_store_works(self) -> None:
        """A store that blocks keeps one thread waiting, not the event loop; a call runs in one thread, start to end."""
        go, threads = threading.Event(), set()

        class Slow(FaultyStore):
            def load(self, need: Need) -> Context:
                threads.add(threading.current_thread().name)
                assert go.wait(60)
                return super().load(need)

        async def shop() -> int:
            club = AsyncClub(PROGRAM, Slow(MemoryStore()))
            call = asyncio.create_task(club.record(order(1)))
            await asyncio.sleep(0)
            go.set()  # by the loop, which the call has not stopped
            return (await call).points

        assert 10 == asyncio.run(shop())
        assert 1 == len(threads)
        assert threading.current_thread().name not in threads

    @awaits
    def test_while_a_writer_that_was_overtaken_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before it decides again, a writer over an awaited store sleeps on the loop, and nothing else does."""
        monkeypatch.setattr(time, "sleep", None)
        slept: list[float] = []
        sleep = asyncio.sleep

        async def noted(seconds: float) -> None:
            slept.append(seconds)
            await sleep(0)

        async def shop() -> int:
            club = AsyncClub(PROGRAM, awaited(FaultyStore(MemoryStore(), ["stale", "stale", "after"])))
            monkeypatch.setattr(asyncio, "sleep", noted)
            return (await club.earn("ann", 5, key="k", at=NOON)).points

        assert 5 == asyncio.run(shop())
        assert 3 == len([seconds for seconds in slept if seconds])

    def test_context_variables_are_the_callers(self, road: Road) -> None:
        """What the caller's context says, a trace id perhaps, the store and the club's own code can read."""
        trace: ContextVar[str] = ContextVar("trace", default="none")
        seen = []

        class Tracing(FaultyStore):
            def append(self, commit: Commit) -> None:
                seen.append(trace.get())
                super().append(commit)

        def clock() -> datetime:
            seen.append(trace.get())
            return NOON

        async def shop() -> None:
            async with AsyncClub(PROGRAM, road(Tracing(MemoryStore())), clock=clock) as club:
                trace.set("t-17")
                await club.record(order(1))

        asyncio.run(shop())
        assert ["t-17", "t-17"] == seen

    def test_many_tasks_on_one_member(self, road: Road) -> None:
        """What many tasks record of one member at once is all recorded, once."""

        async def shop() -> tuple[int, list[str]]:
            club = AsyncClub(PROGRAM, road(MemoryStore()))
            await asyncio.gather(*(club.record(order(number % 30)) for number in range(60)))
            return (await club.balance("ann", at=NOON)).available, await club.verify("ann")

        assert (300, []) == asyncio.run(shop())


class Tables:
    def facts(self, member: str) -> list[Order]:
        """Return the one order that everybody has."""
        return [order(1, member, "120.00")]

    def members(self, after: str = "", limit: int = 100) -> list[str]:
        """Return the only member."""
        return [name for name in ["ann"] if name > after][:limit]


class TestSource:
    def test_orders_are_read_where_the_shop_has_them(self, road: Road) -> None:
        """A source tells an asynchronous club what it tells a club, awaited itself where the store is."""
        tables: Any = Tables() if road is in_thread else Giving(Tables())  # type: ignore[arg-type]

        async def shop() -> tuple[int, list[str]]:
            club = AsyncClub(PROGRAM, road(MemoryStore()), source=tables)
            history = await club.history("ann", at=NOON)
            return len(history.orders), [name async for name in club.members()]

        assert (1, ["ann"]) == asyncio.run(shop())

    def test_an_awaited_source_needs_an_awaited_store(self) -> None:
        """Threads cannot await: a source that is awaited is refused over a store that is not."""
        tables: Any = Giving(Tables())  # type: ignore[arg-type]
        with pytest.raises(InputError, match="source"):
            AsyncClub(PROGRAM, MemoryStore(), source=tables)


class TestOpening:
    def test_a_program_that_does_not_fit_the_store_is_refused_on_entering(self, road: Road) -> None:
        """A program that was changed under its version is refused, as by the club."""
        store = MemoryStore()
        Club(PROGRAM, store)

        async def enter() -> None:
            async with AsyncClub(Program("shop", "USD", earning=[per_amount(2)]), road(store)):
                raise AssertionError("was let in")

        with pytest.raises(InputError, match=r"program\.version"):
            asyncio.run(enter())

    def test_a_closed_club_says_so(self, road: Road, tmp_path: Path) -> None:
        """Leaving the club closes the store; closing again is nothing, and what is asked then is refused."""

        async def shop() -> None:
            async with AsyncClub([PROGRAM], road(SQLiteStore(tmp_path / "shop.db"))) as club:
                await club.record(order(1))
            await club.close()
            with pytest.raises(StoreUnusable, match="closed"):
                await club.balance("ann", at=NOON)

        asyncio.run(shop())

    def test_what_an_awaited_store_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without greenlet an awaited store is refused at once, and the message says what to install."""
        monkeypatch.setattr("loyaltykit.async_club.find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match=r"loyaltykit\[async\]"):
            AsyncClub(PROGRAM, awaited(MemoryStore()))

    @pytest.mark.parametrize("threads", [0, -1, True, "8", 1.5])
    def test_the_number_of_threads(self, threads: Any) -> None:
        """The number of threads is a whole number from 1."""
        with pytest.raises(InputError, match="threads"):
            AsyncClub(PROGRAM, MemoryStore(), threads=threads)


# ---------------------------------------------------------------- cancelled


@awaits
@pytest.mark.parametrize("name", WORK)
def test_cancelled_wherever_it_waits(name: str) -> None:
    """Cancelled at any await, a call leaves books that are right; given again, it leaves what it would have left."""
    assert asyncio.run(cancel_everywhere(awaited(MemoryStore()), name)) >= 4


@awaits
def test_what_is_cancelled_cleans_up() -> None:
    """Code that waits in a greenlet is told that it was cancelled, and may wait for what it has to tidy up."""
    seen = []

    def work() -> None:
        try:
            wait(asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append(wait(asyncio.sleep(0, "tidied up")))
            raise

    async def cancel() -> None:
        task = asyncio.create_task(spawn(work))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ["tidied up"] == seen


@awaits
def test_what_is_half_done_is_found() -> None:
    """The proof would find a store that has taken a commit by halves when it was cancelled."""

    class Halves(Giving):
        async def append(self, commit: Commit) -> None:
            """Append what was recorded, and only then, elsewhere, what follows from it."""
            self.inner.append(commit._replace(balances=[]))
            await asyncio.sleep(0)
            account = self.inner._accounts[commit.account]  # type: ignore[attr-defined]
            account.balances.update((row.unit, row) for row in commit.balances)

    store: Any = Halves(MemoryStore())
    with pytest.raises(AssertionError, match="the books of ann are wrong"):
        asyncio.run(cancel_everywhere(store, "record"))


def test_what_was_begun_in_a_thread_is_finished() -> None:
    """A call that is cancelled once its thread works is done as a whole; one that still waits for a thread is not."""
    inside, go = threading.Event(), threading.Event()

    class Slow(FaultyStore):
        def load(self, need: Need) -> Context:
            inside.set()
            assert go.wait(60)
            return super().load(need)

    async def shop() -> tuple[int, int]:
        go.set()
        club = AsyncClub(PROGRAM, Slow(MemoryStore()), threads=1)
        await club.record(order(1, "ann", "100.00"))
        await club.record(order(2, "bo", "100.00"))
        go.clear()
        inside.clear()
        first = asyncio.create_task(club.transfer("ann", "bo", 30, key="gift", at=NOON))
        second = asyncio.create_task(club.record(order(3, "bo")))
        while not inside.is_set():
            await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        go.set()
        assert [] == await club.verify("ann") + await club.verify("bo")
        return (await club.balance("ann", at=NOON)).available, (await club.balance("bo", at=NOON)).available

    assert (70, 130) == asyncio.run(shop())
