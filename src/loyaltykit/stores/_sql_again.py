"""Doing a shop's own transaction again where another one came between."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy.engine import Engine

from loyaltykit.errors import StaleVersion, StoreBusy
from loyaltykit.session import pause
from loyaltykit.stores._sql_errors import is_lost, is_overtaken, told

ATTEMPTS = 60
"""How often a transaction that others overtook is begun again."""

T = TypeVar("T")


def run_transaction(
    begin: Engine | Callable[[], AbstractContextManager[Any]],
    do: Callable[[Any], T],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Call `do` in a transaction, and all of it again, in a new one, where another transaction came between.

    For a shop that writes its own rows and those of a store `SqlStore.enlisted` together. The pauses between attempts
    grow and are random; after 60 attempts `StoreBusy` is raised.

    Args:
        begin: an engine of SQLAlchemy; or what returns a context that commits at its end and rolls back where an error
            leaves it, such as Django's ``transaction.atomic`` or a psycopg pool's ``connection``.
        do: is given what the context yields (a connection). It may be called several times, so that nothing but its
            transaction should come of it.
        sleep: waits so many seconds.

    Returns:
        What `do` returned in the transaction that was committed.

    Raises:
        StoreBusy: the conflicts did not cease.
        OutcomeUnknown: the answer to COMMIT was lost. Look whether the shop's own rows are there before doing it again.

    >>> import sqlalchemy as sa
    >>> from loyaltykit.stores.sql import SqlStore
    >>> from loyaltykit.testing._rows import commit
    >>> engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    >>> SqlStore(engine).create()
    >>> def order(connection):
    ...     SqlStore.enlisted(connection).append(commit("coffee/ann"))
    ...     return "done"
    >>> run_transaction(engine, order)
    'done'
    >>> [name for name, head in SqlStore(engine).accounts("coffee")]
    ['coffee/ann']
    """
    opened = begin.begin if isinstance(begin, Engine) else begin
    for attempt in range(ATTEMPTS):
        ended = False
        try:
            with opened() as connection:
                result = do(connection)
                ended = True
            return result
        except StaleVersion:
            pass
        except Exception as error:
            # Django raises errors of its own, from the driver's.
            if not is_overtaken(error) and not is_overtaken(error.__cause__ or error):
                if ended and is_lost(error):
                    raise told(error, "the shop's database", committing=True) from error
                raise
        pause(attempt, sleep)
    raise StoreBusy(f"the transaction was overtaken by others {ATTEMPTS} times in a row; try again")
