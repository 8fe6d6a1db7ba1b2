"""How code that waits for its store becomes code that is awaited, without being written twice.

A *twin* of a method has its parameters, its result and its documentation, and is awaited. It hands the method itself
to the object's ``_ask``, which says where the method runs: in a thread, or here, inside a greenlet. In a greenlet
ordinary code calls `wait` where it would block; the greenlet then rests while the event loop does other things.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import update_wrapper
from itertools import islice
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

PAGE = 100
"""How many values an iterator's twin fetches at a time."""


class Asks(Protocol):
    """What has twins: it calls a method of what it stands for, wherever that may run."""

    async def _ask(self, method: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a method of what this stands for."""


def twin(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return the twin of a method: the same, awaited.

    >>> import asyncio
    >>> class Shop:
    ...     def greet(self, name):
    ...         return f"hello {name}"
    >>> class AsyncShop:
    ...     greet = twin(Shop.greet)
    ...     async def _ask(self, method, /, *args):
    ...         return method(Shop(), *args)
    >>> asyncio.run(AsyncShop().greet("ann"))
    'hello ann'
    """

    async def awaited(self: Asks, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._ask(method, *args, **kwargs)

    return _named_as(method, awaited)


def twin_iterator(
    method: Callable[Concatenate[Any, P], Iterator[R]],
) -> Callable[Concatenate[Any, P], AsyncIterator[R]]:
    """Return the twin of a method that yields: an async iterator, which fetches `PAGE` values at a time."""

    async def awaited(self: Asks, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        values = await self._ask(method, *args, **kwargs)
        while True:
            page, error = await self._ask(_page, values)
            for value in page:
                yield value
            if error is not None:
                raise error
            if len(page) < PAGE:
                return

    return _named_as(method, awaited)


def _page(_: object, values: Iterator[R]) -> tuple[list[R], Exception | None]:
    """Return the next values, and the error that came after them: what came before it must not be lost."""
    page: list[R] = []
    try:
        page.extend(islice(values, PAGE))
    except Exception as error:
        return page, error
    return page, None


def _named_as(method: Callable[..., Any], awaited: F) -> F:
    """Give a twin the name, the signature and the documentation of its method."""
    update_wrapper(awaited, method, assigned=("__name__", "__doc__", "__annotations__"))
    awaited.__qualname__ = method.__name__
    return awaited


async def spawn(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that may `wait`, on this event loop; cancelling this cancels what it waits for.

    >>> import asyncio
    >>> asyncio.run(spawn(lambda: wait(asyncio.sleep(0, "later"))))
    'later'
    """
    from greenlet import getcurrent, greenlet

    driver = getcurrent()
    running = greenlet(function, driver)
    running.gr_context = driver.gr_context  # context variables are the caller's
    result: Any = running.switch(*args, **kwargs)
    while not running.dead:
        try:
            answer = await result
        except BaseException as error:
            result = running.throw(error)
        else:
            result = running.switch(answer)
    return result  # type: ignore[no-any-return]  # greenlets do not say what they return


def wait(awaitable: Awaitable[R]) -> R:
    """Wait, in code that `spawn` runs, and return what comes of it; meanwhile the event loop goes on."""
    from greenlet import getcurrent

    driver = getcurrent().parent
    assert driver is not None, "called outside of spawn()"
    return driver.switch(awaitable)  # type: ignore[no-any-return]  # nor what they are given
