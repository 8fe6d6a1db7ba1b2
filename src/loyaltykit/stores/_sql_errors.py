"""What database servers say when they fail, in the words of `loyaltykit.errors`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import exc

from loyaltykit.errors import (
    LoyaltyError,
    OutcomeUnknown,
    StaleVersion,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnusable,
)
from loyaltykit.stores._sqlite_errors import primary_code

BAD_VALUE = (OverflowError, UnicodeError)
"""What drivers raise by themselves for a value that cannot be sent."""

# By SQLSTATE (PostgreSQL and its kin: two letters name a class), MySQL's numbers and SQLite's primary codes.
_OVERTAKEN = {"40001", "40P01", 1020, 1205, 1213}
_LOST = {"08", "40003", "57P01", "57P02", "57P03", 1053, 1927, 2002, 2003, 2006, 2013, 2055}
_BUSY = {"53300", "55P03", 1040, 1203, 5, 6}
_FULL = {"53100", 1021, 1114, 13}
_READ_ONLY = {"25006", 1036, 1290, 1792, 1836, 8}
_MISSING = {"42P01", "3F000", 1146}
_CLOSED = {"28", "3D000", "42501", 1044, 1045, 1049, 1142, 14, 26}
_AGAIN = {"57014", "53200", 1317, 3024, 1969, 7, 9, 10}
_SNAPSHOT = 517  # SQLite: the transaction has read what another one has changed since
_REFUSED_ROW = {"22", "23", "54000", 1048, 1062, 1264, 1366, 1406, 18, 19, 20, 25}


def code_of(error: BaseException) -> str | int | None:
    """Return the SQLSTATE, MySQL's number or SQLite's primary code of an error; None where it has none."""
    origin = getattr(error, "orig", None) or error
    first = origin.args[0] if origin.args else None
    if isinstance(first, int):  # MySQL's number says more than the SQLSTATE beside it
        return first
    if getattr(origin, "sqlite_errorcode", None) is not None:
        return primary_code(origin)
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    return None if state is None else str(state)


def is_overtaken(error: BaseException) -> bool:
    """Return whether another transaction came between, so that the whole may be done again."""
    origin = getattr(error, "orig", None) or error
    return _is(error, _OVERTAKEN) or getattr(origin, "sqlite_errorcode", None) == _SNAPSHOT


def is_refused_row(error: BaseException) -> bool:
    """Return whether a table or a driver refuses a row, which no retry mends."""
    return isinstance(error, BAD_VALUE) or _named(error, "IntegrityError", "DataError") or _is(error, _REFUSED_ROW)


def told(error: BaseException, place: str, *, committing: bool = False) -> StoreError:
    """Return the `StoreError` that says what `error` means for the store at `place`.

    With `committing` the error came from a statement that ends a transaction: where the connection broke, nobody knows
    whether it was taken.
    """
    if isinstance(error, StoreError):
        return error
    origin: Any = getattr(error, "orig", None) or error
    code = code_of(error)
    why = f"{str(origin).strip() or type(origin).__name__}" + ("" if code is None else f" ({code})")
    if is_overtaken(error):
        return StaleVersion(f"another transaction came between: {why}; load again and decide again")
    if is_lost(error):
        if committing:
            return OutcomeUnknown(
                f"whether {place} has taken the commit is not known: {why}; repeat it with the same key"
            )
        return StoreError(f"the connection to {place} was lost: {why}; nothing was changed", True)
    if isinstance(error, exc.TimeoutError) or _is(error, _BUSY):
        return StoreBusy(f"{place} had no connection or lock to spare for the whole time allowed: {why}")
    if _is(error, _FULL):
        return StoreFull(f"no space is left for {place}: {why}; nothing was changed")
    if _is(error, _READ_ONLY):
        return StoreReadOnly(f"{place} may not be written, as a standby or for this user: {why}")
    if _is(error, _MISSING) or "no such table" in why:
        return StoreUnusable(f"{place} has not the tables of a store: {why}; make them with SqlStore.create()")
    if _is(error, _CLOSED):
        return StoreUnusable(f"{place} lets nobody in with this address and these rights: {why}")
    if is_refused_row(error):
        return StoreError(f"{place} refuses a row: {why}; nothing was changed")
    return StoreError(f"{place} could not be read or written: {why}; nothing was changed", _is(error, _AGAIN))


def _is(error: BaseException, codes: Collection[object]) -> bool:
    code = code_of(error)
    return code in codes or (isinstance(code, str) and code[:2] in codes)


def _named(error: BaseException, *names: str) -> bool:
    """Return whether the driver's error is of one of these classes, which every driver has."""
    return any(cls.__name__ in names for cls in type(getattr(error, "orig", None) or error).__mro__)


def is_lost(error: BaseException) -> bool:
    """Return whether the connection broke."""
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    # psycopg and PyMySQL say nothing more where the connection went away under them.
    return _is(error, _LOST) or (code_of(error) in (None, 0) and _named(error, "OperationalError", "InterfaceError"))


def is_a_drivers(error: Exception) -> bool:
    """Return whether a driver raised this: PEP 249 says what the base classes of its errors are called."""
    return _named(error, "DatabaseError", "InterfaceError")


def is_an_answer(error: BaseException) -> bool:
    """Return whether an error leaves its connection fit for the next one: ours, and what the database answered.

    A cancellation does not, nor does what a driver stumbles over while it handles one.
    """
    ours = isinstance(error, (LoyaltyError, exc.StatementError, *BAD_VALUE))
    return ours or (isinstance(error, Exception) and is_a_drivers(error))
