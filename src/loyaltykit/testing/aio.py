"""Stores that are awaited, under the tests of those that are not.

For a store of your own::

    class TestMyStore(StoreContract):
        def make_store(self):
            return OnLoop(MyAsyncStore(...))
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from loyaltykit.async_club import AsyncClub
from loyaltykit.program import Program
from loyaltykit.stores.aio import AsyncStore, WaitingStore
from loyaltykit.stores.protocol import Store

R = TypeVar("R")


class Loop:
    """An event loop in a thread of its own, for code that is not on one. `close` ends it.

    >>> loop = Loop()
    >>> loop.run(asyncio.sleep(0, "done"))
    'done'
    >>> loop.close()
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()
        self._caller = threading.local()

    def run(self, work: Awaitable[R]) -> R:
        """Await something on the loop and return what comes of it.

        The context variables that it sets are there when the same thread runs the next: a thread stands for a task.
        """
        variables: Context | None = getattr(self._caller, "variables", None)
        if variables is None:
            variables = self._caller.variables = copy_context()
        done: Future[R] = Future()
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(_into(done, work), context=variables))
        return done.result()

    def close(self) -> None:
        """End the loop and its thread. Closing twice is nothing."""
        if self._loop.is_closed():
            return
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _into(done: Future[R], work: Awaitable[R]) -> None:
    try:
        done.set_result(await work)
    except BaseException as error:
        done.set_exception(error)


@cache
def shared_loop() -> Loop:
    """Return the loop on which all stores are tested; it ends with the process."""
    loop = Loop()
    atexit.register(loop.close)
    return loop


class OnLoop(WaitingStore):
    """An `AsyncStore` as a `Store`, for tests: its calls run on an event loop, by default the `shared_loop`.

    >>> from loyaltykit.stores.protocol import Store
    >>> issubclass(OnLoop, Store)
    True
    """

    def __init__(self, store: AsyncStore, loop: Loop | None = None) -> None:
        super().__init__(store, (loop or shared_loop()).run)


class ClubOnLoop:
    """An `AsyncClub` as a `Club`, for tests: what it answers, and what it yields, comes from an event loop.

    >>> from loyaltykit import MemoryStore, Program
    >>> list(ClubOnLoop(Program(name="corner", currency="USD"), MemoryStore()).members())
    []
    """

    def __init__(self, program: Program | Iterable[Program], store: Store | AsyncStore, **options: Any) -> None:
        self.inner = AsyncClub(program, store, **options)
        shared_loop().run(self.inner.__aenter__())

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method, run = getattr(self.inner, name), shared_loop().run
        if iscoroutinefunction(method):
            return lambda *args, **options: run(method(*args, **options))
        return lambda *args, **options: iter(run(_listed(method(*args, **options))))


async def _listed(values: AsyncIterator[R]) -> list[R]:
    return [value async for value in values]
