"""The stores that scenarios can be run on: by name, at the URL of a database, or made by a function."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from loyaltykit.errors import InputError
from loyaltykit.stores.memory import MemoryStore
from loyaltykit.stores.protocol import Store

Make = Callable[[], Store]


@attrs.frozen
class Shared:
    """Makes new and empty stores (`make`) that another process can open as well: by what `again` returns of one."""

    make: Make
    again: Callable[[Any], Make]

    def __call__(self) -> Store:
        """Make a store."""
        return self.make()


def is_shared(make: Make) -> bool:
    """Say whether other processes can open the stores that are made."""
    return isinstance(make, Shared)


def again(make: Make, store: Store) -> Make | None:
    """Return how another process opens a store that was made; None where it cannot."""
    return make.again(store) if isinstance(make, Shared) else None


@contextmanager
def _memory() -> Iterator[Make]:
    yield MemoryStore


@contextmanager
def _sqlite() -> Iterator[Make]:
    from loyaltykit.stores.sqlite import SQLiteStore

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        empty, numbers = Path(folder) / "empty.db", count(1)
        SQLiteStore(empty).close()

        def sqlite() -> Store:
            # A copy, not a new one: laying out the tables costs more than most scenarios do.
            return SQLiteStore(copyfile(empty, Path(folder) / f"{next(numbers)}.db"))

        yield Shared(sqlite, lambda store: partial(SQLiteStore, store.path))


STORES: dict[str, Callable[[], AbstractContextManager[Make]]] = {"memory": _memory, "sqlite": _sqlite}
"""The stores that documents can be run on by name: a context that makes new and empty ones."""


@contextmanager
def _database(url: str) -> Iterator[Make]:
    """Make stores in a database, in tables of their own, which are emptied for each and dropped in the end."""
    try:
        import sqlalchemy as sa
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        from loyaltykit.stores.sql import SqlStore, tables
    except ModuleNotFoundError as error:
        raise InputError("store", url, f"{error.name} is missing: pip install 'loyaltykit[sql]'") from None
    try:
        engine = sa.create_engine(url)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError("store", url, str(error)) from None
    prefix = f"scenario_{secrets.token_hex(4)}_"  # nobody else's rows are touched, nor another run's
    own = tables(prefix=prefix).metadata
    filled = [table for name, table in own.tables.items() if name != f"{prefix}schema"]

    def database() -> Store:
        with engine.begin() as connection:
            for table in filled:
                connection.execute(table.delete())
        return SqlStore(engine, prefix=prefix)

    try:
        SqlStore(engine, prefix=prefix).create()
        yield Shared(database, lambda store: partial(SqlStore, url, prefix=prefix))
    finally:
        own.drop_all(engine)
        engine.dispose()


@contextmanager
def opened(store: str | Make) -> Iterator[tuple[str, Make]]:
    """Open a store by its name or URL, as ``module:function``, or as a function that makes a new and empty one."""
    if callable(store):
        yield getattr(store, "__name__", type(store).__name__), store
    elif store in STORES:
        with STORES[store]() as make:
            yield store, make
    elif "://" in store:
        with _database(store) as make:
            yield store.partition(":")[0], make
    else:
        yield store, _found(store)


def _found(store: str) -> Make:
    """Return the function that ``module:function`` names."""
    module, colon, name = store.partition(":")
    if not colon:
        hint = f"give one of {', '.join(STORES)}, the URL of a database, or module:function that makes a store"
        raise InputError("store", store, hint)
    try:
        make: Make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError("store", store, str(error)) from None
    return make
