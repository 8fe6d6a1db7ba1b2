"""`AsyncClub`: a `Club` for asyncio. Nothing is decided here: every method is the club's own, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from importlib.util import find_spec
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from loyaltykit._twins import spawn, twin, twin_iterator, wait
from loyaltykit.club import Club, utc_now
from loyaltykit.errors import InputError
from loyaltykit.facts import Fact
from loyaltykit.program import Program
from loyaltykit.sources import FactSource
from loyaltykit.stores.aio import AsyncStore, Waiting, WaitingStore, waited
from loyaltykit.stores.protocol import Store

P = ParamSpec("P")
R = TypeVar("R")


class AsyncFactSource(Protocol):
    """A `loyaltykit.sources.FactSource` whose calls are awaited; the same names, the same laws."""

    async def facts(self, member: str) -> Iterable[Fact]:
        """Return everything known of a member. The law: `FactSource.facts`."""

    async def members(self, after: str = "", limit: int = 100) -> Sequence[str]:
        """Return a page of the members by name. The law: `FactSource.members`."""


class _WaitingSource(Waiting):
    facts = waited(AsyncFactSource.facts)
    members = waited(AsyncFactSource.members)


class AsyncClub:
    """A program at work under asyncio: every method of `Club` under the same name, awaited.

    What `Club` says of a method holds here. Those that yield are async iterators, which fetch some values at a time.

    Over an ordinary store, `SQLiteStore` say, each call runs as a whole in one of `threads` threads, so that the event
    loop never waits for a disk. Over an `AsyncStore`, `AsyncSqlStore` say, it runs on the event loop and gives way
    wherever the store is awaited; that needs the extra ``async``.

    A call may be cancelled at any time, and leaves nothing half done: what it was to write is there or not, and the
    same call again finds out and completes it. In a thread, what was begun is finished in the background.

    `source` tells what is known of members from the shop's own tables, as in `Club`; over an `AsyncStore` it may be
    awaited too, and must be if it would block.

    The store is first read when the club is entered (``async with``) or first asked, and that is when a program that
    does not fit it is refused. `close`, or leaving the club, closes the store.

    >>> import asyncio
    >>> from datetime import UTC, datetime
    >>> from loyaltykit import MemoryStore, Order, Program, per_amount
    >>> program = Program(name="corner", currency="USD", earning=[per_amount(1, each="1.00")])
    >>> async def shop():
    ...     async with AsyncClub(program, MemoryStore()) as club:
    ...         await club.record(Order("1001", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90"))
    ...         return await club.balance("ann", at=datetime(2026, 3, 3, tzinfo=UTC))
    >>> asyncio.run(shop()).available
    59
    """

    def __init__(
        self, program: Program | Iterable[Program], store: Store | AsyncStore, *,
        clock: Callable[[], datetime] = utc_now, source: FactSource | AsyncFactSource | None = None, threads: int = 8,
    ) -> None:  # fmt: skip
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise InputError("threads", threads, "give how many calls may run at once: a whole number from 1")
        source_waits = source is not None and iscoroutinefunction(source.facts)
        if iscoroutinefunction(store.load):
            if find_spec("greenlet") is None:
                raise ModuleNotFoundError(
                    "a store that is awaited needs greenlet: pip install 'loyaltykit[async]'", name="greenlet"
                )
            self._store: Store = WaitingStore(store)
            self._threads: ThreadPoolExecutor | None = None
        elif source_waits:
            raise InputError("source", source, "over a store that is not awaited, give one that is not awaited either")
        else:
            self._store = cast(Store, store)
            # Threads of its own: waiting for a busy store must not keep the event loop's from resolving a name.
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="loyaltykit")
        self._source = cast(FactSource | None, _WaitingSource(source) if source_waits else source)
        self._program = program if isinstance(program, Program) else tuple(program)
        self._clock = clock
        self._club: Club | None = None

    async def __aenter__(self) -> AsyncClub:
        await self._run(self._opened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the store."""
        await self._run(self._store.close)

    # ------------------------------------------------------------ facts

    record = twin(Club.record)
    record_many = twin_iterator(Club.record_many)
    preview = twin(Club.preview)

    # ------------------------------------------------------------ commands

    earn = twin(Club.earn)
    adjust = twin(Club.adjust)
    open = twin(Club.open)
    quote = twin(Club.quote)
    redeem = twin(Club.redeem)
    restore = twin(Club.restore)
    hold = twin(Club.hold)
    capture = twin(Club.capture)
    release = twin(Club.release)
    claw_back = twin(Club.claw_back)
    reinstate = twin(Club.reinstate)
    transfer = twin(Club.transfer)
    merge = twin(Club.merge)
    unmerge = twin(Club.unmerge)
    do = twin(Club.do)
    invite = twin(Club.invite)
    grant = twin(Club.grant)
    acknowledge = twin(Club.acknowledge)

    # ------------------------------------------------------------ status

    program = twin(Club.program)
    history = twin(Club.history)
    histories = twin_iterator(Club.histories)
    status = twin(Club.status)
    due = twin(Club.due)
    all_due = twin_iterator(Club.all_due)
    segment = twin(Club.segment)
    shipping_fee = twin(Club.shipping_fee)  # type: ignore[arg-type]  # **delivery might be called self
    may_buy = twin(Club.may_buy)
    consented = twin(Club.consented)
    consenting = twin(Club.consenting)

    # ------------------------------------------------------------ questions

    balance = twin(Club.balance)
    balances = twin(Club.balances)
    lots = twin(Club.lots)
    expiring = twin(Club.expiring)
    standing = twin(Club.standing)
    member = twin(Club.member)
    members = twin_iterator(Club.members)
    members_page = twin(Club.members_page)
    statement = twin(Club.statement)
    waiting = twin(Club.waiting)
    all_waiting = twin_iterator(Club.all_waiting)
    explain = twin(Club.explain)
    scenario = twin(Club.scenario)

    # ------------------------------------------------------------ housekeeping

    sweep = twin(Club.sweep)
    sweep_all = twin(Club.sweep_all)
    verify = twin(Club.verify)
    verify_all = twin_iterator(Club.verify_all)
    rebuild = twin(Club.rebuild)
    seal = twin(Club.seal)
    check = twin_iterator(Club.check)
    erase = twin(Club.erase)

    # ------------------------------------------------------------ where it runs

    async def _ask(self, method: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(lambda: method(self._opened(), *args, **kwargs))

    async def _run(self, call: Callable[[], R]) -> R:
        """Run a call that waits for the store: in a thread, or in a greenlet where the store is awaited."""
        if self._threads is None:
            return await spawn(call)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, copy_context().run, call)

    def _opened(self) -> Club:
        """Return the club, made when it is first needed. Where two calls make one each, the last is kept: all equal."""
        if self._club is None:
            club = Club(self._program, self._store, clock=self._clock, source=self._source)
            if self._threads is None:
                club._writer.sleep = lambda seconds: wait(asyncio.sleep(seconds))
            self._club = club
        return self._club
