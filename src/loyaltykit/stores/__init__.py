"""Where members' books are kept: the protocol, and the stores that come with the package.

>>> from loyaltykit.stores import MemoryStore, Store
>>> isinstance(MemoryStore(), Store)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loyaltykit.stores.aio import AsyncStore
    from loyaltykit.stores.async_sql import AsyncSqlStore as AsyncSqlStore
    from loyaltykit.stores.memory import MemoryStore
    from loyaltykit.stores.protocol import Store
    from loyaltykit.stores.sql import SqlStore as SqlStore
    from loyaltykit.stores.sqlite import SQLiteStore

__all__ = ["AsyncStore", "MemoryStore", "SQLiteStore", "Store"]

# Loaded when first used: who keeps books in memory need not load SQLite.
_HOME = {"AsyncStore": "aio", "MemoryStore": "memory", "SQLiteStore": "sqlite", "Store": "protocol"}
_HOME |= {"AsyncSqlStore": "async_sql", "SqlStore": "sql"}  # these need the extras `async` and `sql`


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
