"""Stores that are awaited: the protocol, and the SQL store over an asyncio engine.

The laws are those of `loyaltykit.stores.protocol`, one by one, and `loyaltykit.testing.StoreContract` checks them
through `loyaltykit.testing.aio.OnLoop`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from loyaltykit._twins import wait
from loyaltykit.errors import StoreError
from loyaltykit.journal import Balance, Commit, Context, Head, Need

P = ParamSpec("P")
R = TypeVar("R")


@runtime_checkable
class AsyncStore(Protocol):
    """A `Store` whose calls are awaited; the same names, the same laws.

    A call that is cancelled leaves the store as any other failure does: what it was to append is there whole or not
    at all. Calls of several tasks may overlap.
    """

    async def load(self, need: Need) -> Context:
        """Return one consistent view of an account. The law: `Store.load`."""

    async def append(self, commit: Commit) -> None:
        """Apply `commit` durably and whole, or raise and change nothing. The law: `Store.append`."""

    async def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Apply each commit whole or not at all. The law: `Store.append_many`."""

    def exclusive(self, account: str) -> AbstractAsyncContextManager[None]:
        """A hint, not a promise: until it is left, other writers of `account` wait. The law: `Store.exclusive`."""

    async def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return a page of a program's accounts by name. The law: `Store.accounts`."""

    async def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Return a page of a program's balances in `unit` by name of account. The law: `Store.balances`."""

    async def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Return accounts in which something happens by itself by `before`, soonest first. The law: `Store.due`."""

    async def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """Return the registered versions of a program. The law: `Store.versions`."""

    async def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep a version of a program. The law: `Store.register`."""

    async def programs(self) -> Sequence[str]:
        """Return the names of the programs of which a version is registered. The law: `Store.programs`."""

    async def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Remove an account whole and put another stream in its place. The law: `Store.replace`."""

    async def close(self) -> None:
        """Let go of connections. A closed store raises `StoreUnusable`."""


def waited(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Any, P], R]:
    """Return a method that waits for the one of that name of what is ``awaited``."""
    name = method.__name__

    def waiting(self: Waiting, /, *args: P.args, **kwargs: P.kwargs) -> R:
        answer: R = self.wait(getattr(self.awaited, name)(*args, **kwargs))
        return answer

    return update_wrapper(waiting, method, assigned=("__name__", "__doc__", "__annotations__"))


class Waiting:
    """Something awaited, for code that is not: `wait` says how; by default as code does that runs in a greenlet."""

    def __init__(self, awaited: Any, wait: Callable[[Awaitable[Any]], Any] = wait) -> None:
        self.awaited = awaited
        self.wait = wait


@contextmanager
def entered(context: AbstractAsyncContextManager[R], wait: Callable[[Awaitable[Any]], Any] = wait) -> Iterator[R]:
    """Enter an asynchronous context in code that is not, and leave it at the end."""
    with ExitStack() as inside:
        value: R = wait(context.__aenter__())
        inside.push(lambda *error: wait(context.__aexit__(*error)))
        yield value


class WaitingStore(Waiting):
    """An `AsyncStore` as a `Store`."""

    load = waited(AsyncStore.load)
    append = waited(AsyncStore.append)
    append_many = waited(AsyncStore.append_many)
    accounts = waited(AsyncStore.accounts)
    balances = waited(AsyncStore.balances)
    due = waited(AsyncStore.due)
    versions = waited(AsyncStore.versions)
    register = waited(AsyncStore.register)
    programs = waited(AsyncStore.programs)
    replace = waited(AsyncStore.replace)
    close = waited(AsyncStore.close)

    def exclusive(self, account: str) -> AbstractContextManager[None]:
        """Enter and leave the store's own hint, waiting for both."""
        return entered(self.awaited.exclusive(account), self.wait)
