"""The SQL store over an asyncio engine of SQLAlchemy: with asyncpg or psycopg on PostgreSQL. Extra ``async``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

try:
    import greenlet as _greenlet  # noqa: F401  # so that who lacks it is told what to install
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
    from sqlalchemy.util import greenlet_spawn
except ModuleNotFoundError as error:
    hint = "AsyncSqlStore needs SQLAlchemy and greenlet: pip install 'loyaltykit[async]'"
    raise ModuleNotFoundError(hint, name=error.name) from None

from loyaltykit._twins import spawn, twin, wait
from loyaltykit.errors import InputError
from loyaltykit.stores import sql
from loyaltykit.stores.aio import entered
from loyaltykit.stores.sql import PREFIX, SqlStore

P = ParamSpec("P")
R = TypeVar("R")


class AsyncSqlStore:
    """`SqlStore`, awaited: the same tables, statements and laws, over an asyncio engine.

    An `AsyncStore`: give it to an `AsyncClub`. Like its engine it belongs to one event loop. A call that is cancelled
    gives its connection up; what it was to write is there whole or not at all.

    Args:
        engine: an asyncio engine of SQLAlchemy, or the address for one: ``"postgresql+asyncpg://..."``.
        schema, prefix, one_statement: as for `SqlStore`.

    Raises:
        InputError: an engine that is not an asyncio one, or a `prefix` that cannot begin a plain SQL name.

    >>> import asyncio
    >>> from loyaltykit.journal import Commit, Head, Need, Record
    >>> order = Record(1, "order:1", "order", None, 0, 0, "f1", "applied", "{}", "[]", "{}")
    >>> async def keep():
    ...     async with AsyncSqlStore("sqlite+aiosqlite://") as store:  # in memory: one task at a time
    ...         await store.create()
    ...         await store.append(Commit("coffee/ann", 0, Head(1, 0, 0, 0, 0), [order]))
    ...         return (await store.load(Need("coffee/ann", keys=("order:1",)))).records["order:1"].kind
    >>> asyncio.run(keep())
    'order'
    """

    def __init__(
        self,
        engine: AsyncEngine | URL | str,
        *,
        schema: str | None = None,
        prefix: str = PREFIX,
        one_statement: bool | None = None,
    ) -> None:
        own = create_async_engine(engine) if isinstance(engine, URL | str) else None
        used = own or engine
        if not isinstance(used, AsyncEngine):
            raise InputError("engine", engine, "give an engine that create_async_engine made, or an address for one")
        self._store = SqlStore(used.sync_engine, schema=schema, prefix=prefix, one_statement=one_statement)
        self._own = own

    @classmethod
    def enlisted(
        cls,
        connection: AsyncConnection,
        *,
        schema: str | None = None,
        prefix: str = PREFIX,
        one_statement: bool | None = None,
    ) -> AsyncSqlStore:
        """Return a store inside the transaction that is open on the shop's own `connection`: see `SqlStore.enlisted`.

        Raises:
            InputError: a connection that is not one of an asyncio engine.
        """
        if not isinstance(connection, AsyncConnection) or connection.sync_connection is None:
            raise InputError("connection", connection, "give an open connection of an asyncio engine")
        store = cls.__new__(cls)
        store._store = SqlStore.enlisted(
            connection.sync_connection, schema=schema, prefix=prefix, one_statement=one_statement
        )
        store._own = None
        return store

    create = twin(SqlStore.create)
    upgrade = twin(SqlStore.upgrade)

    load = twin(SqlStore.load)
    append = twin(SqlStore.append)
    append_many = twin(SqlStore.append_many)
    accounts = twin(SqlStore.accounts)
    balances = twin(SqlStore.balances)
    due = twin(SqlStore.due)
    versions = twin(SqlStore.versions)
    register = twin(SqlStore.register)
    programs = twin(SqlStore.programs)
    replace = twin(SqlStore.replace)

    @asynccontextmanager
    async def exclusive(self, account: str) -> AsyncIterator[None]:
        """Lock the account's row, for this task. A hint: see `SqlStore.exclusive`."""
        hint = self._store.exclusive(account)
        await greenlet_spawn(hint.__enter__)
        try:
            yield
        finally:
            await greenlet_spawn(hint.__exit__, None, None, None)

    async def close(self) -> None:
        """Close the store, and its engine if the store made that. A closed store raises `StoreUnusable`."""
        await self._ask(SqlStore.close)
        if self._own is not None:
            await self._own.dispose()

    async def __aenter__(self) -> AsyncSqlStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, method: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await greenlet_spawn(lambda: method(self._store, *args, **kwargs))


async def run_transaction(
    begin: AsyncEngine | Callable[[], AbstractAsyncContextManager[Any]], do: Callable[[Any], Awaitable[R]]
) -> R:
    """Await `do` in a transaction, and all of it again where another transaction came between.

    `loyaltykit.stores.sql.run_transaction`, awaited: `begin` is an asyncio engine, or what returns an asynchronous
    context; `do` is given the connection.

    >>> from loyaltykit import Order, Program, per_amount
    >>> from loyaltykit.async_club import AsyncClub
    >>> from datetime import UTC, datetime
    >>> program = Program(name="corner", currency="USD", earning=[per_amount(1)])
    >>> async def checkout(connection):
    ...     club = AsyncClub(program, AsyncSqlStore.enlisted(connection))
    ...     return await club.record(Order("1001", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90"))
    >>> async def shop():
    ...     engine = create_async_engine("sqlite+aiosqlite://")
    ...     await AsyncSqlStore(engine).create()
    ...     receipt = await run_transaction(engine, checkout)
    ...     await engine.dispose()
    ...     return receipt.points
    >>> asyncio.run(shop())
    59
    """
    opened = begin.begin if isinstance(begin, AsyncEngine) else begin
    return await spawn(
        lambda: sql.run_transaction(
            lambda: entered(opened()),
            lambda connection: wait(do(connection)),
            sleep=lambda seconds: wait(asyncio.sleep(seconds)),
        )
    )
