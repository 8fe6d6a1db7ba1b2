"""The SQL store over asyncio engines: the contract, the club's own tests, many tasks at once, and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from databases import new_database
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

sa = pytest.importorskip("sqlalchemy", reason="the SQL store needs the extra 'sql': pip install loyaltykit[sql]")
pytest.importorskip("greenlet", reason="asyncio engines need the extra 'async': pip install loyaltykit[async]")

from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402

from loyaltykit import InputError, MemoryStore, Order, Program, per_amount  # noqa: E402
from loyaltykit.async_club import AsyncClub  # noqa: E402
from loyaltykit.errors import InsufficientPoints  # noqa: E402
from loyaltykit.journal import Need  # noqa: E402
from loyaltykit.stores.async_sql import AsyncSqlStore, run_transaction  # noqa: E402
from loyaltykit.stores.protocol import Store  # noqa: E402
from loyaltykit.stores.sql import tables  # noqa: E402
from loyaltykit.testing import _scenario_run, machine, scenarios  # noqa: E402
from loyaltykit.testing._rows import commit  # noqa: E402
from loyaltykit.testing.aio import ClubOnLoop, OnLoop, shared_loop  # noqa: E402
from loyaltykit.testing.cancelling import WORK, cancel_everywhere, cancelled_at  # noqa: E402
from loyaltykit.testing.contract import StoreContract  # noqa: E402

DRIVERS = {"aiosqlite": "sqlite", "asyncpg": "postgresql", "psycopg": "postgresql"}
NUMBERS = count()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROGRAM = Program("shop", "USD", earning=[per_amount(1)])
DOCUMENTS = scenarios.documents(Path(__file__).parent.parent / "scenarios")[::10]
"""Some of them: all are run on the same statements without asyncio, and under asyncio in memory."""


@pytest.fixture(scope="session", params=sorted(DRIVERS))
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the address of a database for each asyncio driver in turn; every test makes tables of its own in it."""
    driver, kind = request.param, DRIVERS[request.param]
    if find_spec(driver) is None:
        pytest.skip(f"NOT TESTED: {driver} is not installed")
    if kind == "sqlite":
        address = f"sqlite:///{tmp_path_factory.mktemp('async')}/shop.db"
    else:
        address = new_database(request.getfixturevalue(kind))
    return sa.make_url(address).set(drivername=f"{kind}+{driver}")


@pytest.fixture
def prefix(url: Any) -> str:
    """Make empty tables, and return what their names begin with."""
    name = f"t{next(NUMBERS)}_"

    async def create() -> None:
        async with AsyncSqlStore(url, prefix=name) as store:
            await store.create()

    asyncio.run(create())
    return name


Make = Callable[[], AsyncSqlStore]


@pytest.fixture(scope="session")
def engine(url: Any) -> Iterator[Any]:
    """Return an engine for the shared loop."""
    made = create_async_engine(url)
    yield made
    shared_loop().run(made.dispose())


@pytest.fixture
def make(engine: Any) -> Make:
    """Return what makes empty stores on the shared loop."""

    def make() -> AsyncSqlStore:
        store = AsyncSqlStore(engine, prefix=f"t{next(NUMBERS)}_")
        shared_loop().run(store.create())
        return store

    return make


@pytest.fixture
def emptied(engine: Any, prefix: str) -> Make:
    """Return what makes empty stores on the same tables, one after the other, which is faster."""
    own = tables(prefix=prefix)

    async def empty() -> AsyncSqlStore:
        async with engine.begin() as connection:
            for table in own.metadata.sorted_tables:
                if table is not own.schema:
                    await connection.execute(sa.delete(table))
        return AsyncSqlStore(engine, prefix=prefix)

    return lambda: shared_loop().run(empty())


class TestContract(StoreContract):
    examples: ClassVar[settings] = settings(StoreContract.examples, max_examples=10)

    @pytest.fixture(autouse=True)
    def _make(self, make: Make) -> None:
        self.make = make

    def make_store(self) -> Store:
        """Make the tables, and a store on the loop."""
        return OnLoop(self.make())


def test_scenarios(emptied: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the documents of the catalogue say comes true, over the awaited store too."""
    monkeypatch.setattr(_scenario_run, "Club", ClubOnLoop)
    for path in DOCUMENTS:
        scenarios.check(path, emptied)  # type: ignore[arg-type]


def test_random_steps(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random steps leave the rows and the answers that they leave in memory, and those of the plain model."""

    class Machine(machine.ClubMachine):
        makers = (MemoryStore, lambda: OnLoop(make()))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=3, stateful_step_count=25, database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- many tasks


def test_many_tasks_spend_one_balance(url: Any, prefix: str) -> None:
    """Whatever many tasks want of one member at once, no point is spent twice and none is lost."""

    async def shop() -> tuple[int, int, list[str]]:
        async with AsyncSqlStore(url, prefix=prefix) as store, AsyncClub(PROGRAM, store) as club:
            await club.record(Order("o", "ann", NOON, amount="100.00"))

            async def redeem(number: int) -> bool:
                try:
                    await club.redeem("ann", 10, key=f"r{number % 15}", at=NOON)
                except InsufficientPoints:
                    return False
                return True

            paid = await asyncio.gather(*(redeem(number) for number in range(30)))
            return sum(paid), (await club.balance("ann", at=NOON)).available, await club.verify("ann")

    assert (20, 0, []) == asyncio.run(shop())


def test_the_lock_is_the_tasks_own(url: Any, prefix: str) -> None:
    """Inside `exclusive` a task reads and writes on its own connection, and another task's are not mixed in."""

    async def shop() -> list[int]:
        async with AsyncSqlStore(url, prefix=prefix) as store:
            await store.append(commit("p/a"))
            await store.append(commit("p/b"))

            async def add(account: str) -> None:
                for number in range(5):
                    async with store.exclusive(account):
                        head = (await store.load(Need(account))).head
                        await asyncio.sleep(0)
                        await store.append(commit(account, head.version, f"{account}{number}"))  # type: ignore[union-attr]

            await asyncio.gather(add("p/a"), add("p/b"))
            return [head.version for _, head in await store.accounts("p")]

    assert [6, 6] == asyncio.run(shop())


# ---------------------------------------------------------------- cancelled


@pytest.mark.parametrize("name", WORK)
def test_cancelled_wherever_it_waits(url: Any, prefix: str, name: str) -> None:
    """Cancelled at any await, inside the driver too, nothing is half done; given again, it is completed."""

    async def shop() -> int:
        async with AsyncSqlStore(url, prefix=prefix) as store:
            return await cancel_everywhere(store, name)

    assert asyncio.run(shop()) >= 2


@pytest.mark.parametrize("url", ["psycopg"], indirect=True)
@pytest.mark.parametrize("name", WORK)
def test_cancelled_where_the_driver_lets_others_go_first(
    url: Any, prefix: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where psycopg gives up the loop at every call, as it does where that was busy for 5 ms."""
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", 0)
    test_cancelled_wherever_it_waits(url, prefix, name)


# ---------------------------------------------------------------- the shop's own transaction


def test_enlisted(url: Any, prefix: str) -> None:
    """In the shop's own transaction, what the club records is there with its COMMIT and gone with its ROLLBACK."""

    async def shop() -> list[str]:
        engine = create_async_engine(url)
        try:
            for order, ends in (("1001", "commit"), ("1002", "rollback"), ("1003", "commit")):
                async with engine.connect() as connection:
                    await connection.begin()
                    club = AsyncClub(PROGRAM, AsyncSqlStore.enlisted(connection, prefix=prefix))
                    await club.record(Order(order, "ann", NOON, amount="10.00"))
                    await getattr(connection, ends)()
            async with AsyncClub(PROGRAM, AsyncSqlStore(engine, prefix=prefix)) as club:
                return [row.source for row in await club.statement("ann", at=NOON)]
        finally:
            await engine.dispose()

    assert ["order:1001", "order:1003"] == asyncio.run(shop())


def test_enlisted_and_cancelled(url: Any, prefix: str) -> None:
    """Cancelled at any await, the shop's transaction ends as cancelled and not as failed, and nothing is half done."""

    async def shop() -> tuple[int, list[str]]:
        engine = create_async_engine(url)

        async def place(number: int) -> None:
            async with engine.begin() as connection:
                club = AsyncClub(PROGRAM, AsyncSqlStore.enlisted(connection, prefix=prefix))
                await club.record(Order(str(number), "ann", NOON, amount="10.00"))

        try:
            waits = 0
            while await asyncio.create_task(cancelled_at(waits, place(waits))):
                waits += 1
            return waits, await AsyncClub(PROGRAM, AsyncSqlStore(engine, prefix=prefix)).verify("ann")
        finally:
            await engine.dispose()

    waits, wrong = asyncio.run(shop())
    assert [] == wrong
    assert waits > 5


def test_the_shops_whole_function_is_done_again(url: Any, prefix: str) -> None:
    """Where others come between, the shop's rows and the club's are written again together, and there once."""

    async def shop() -> tuple[int, int]:
        # On SQLite, transactions that read first and want to write then get in each other's way.
        arguments = {"isolation_level": "IMMEDIATE"} if url.get_backend_name() == "sqlite" else {}
        engine = create_async_engine(url, connect_args=arguments)
        try:
            async with engine.begin() as connection:
                await connection.exec_driver_sql(f"CREATE TABLE {prefix}shop (id INTEGER)")

            async def checkout(number: int) -> None:
                async def place(connection: Any) -> None:
                    club = AsyncClub(PROGRAM, AsyncSqlStore.enlisted(connection, prefix=prefix))
                    await club.record(Order(str(number), "ann", NOON, amount="10.00"))
                    await connection.exec_driver_sql(f"INSERT INTO {prefix}shop VALUES ({number})")

                await run_transaction(engine, place)

            await asyncio.gather(*(checkout(number) for number in range(8)))
            async with engine.connect() as connection:
                placed = (await connection.exec_driver_sql(f"SELECT count(*) FROM {prefix}shop")).scalar()
            club = AsyncClub(PROGRAM, AsyncSqlStore(engine, prefix=prefix))
            return placed, (await club.balance("ann", at=NOON)).available
        finally:
            await engine.dispose()

    assert (8, 80) == asyncio.run(shop())


@pytest.mark.parametrize("engine", [None, 5, "sync"])
def test_what_is_no_asyncio_engine(engine: Any) -> None:
    """An engine or a connection that cannot be awaited is refused."""
    wrong = sa.create_engine("sqlite://") if engine == "sync" else engine
    with pytest.raises(InputError, match="engine"):
        AsyncSqlStore(wrong)
    with pytest.raises(InputError, match="connection"):
        AsyncSqlStore.enlisted(wrong)
