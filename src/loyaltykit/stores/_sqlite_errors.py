"""What SQLite says when it fails, in the words of `loyaltykit.errors`."""

from __future__ import annotations

import os
import sqlite3

from loyaltykit.errors import (
    OutcomeUnknown,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnusable,
)

BAD_VALUE = (OverflowError, UnicodeError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What sqlite3 raises for a value that it cannot store."""

CONSTRAINT = (sqlite3.IntegrityError, sqlite3.DataError)
"""What sqlite3 raises for a row that a table refuses."""

FAILURES = (sqlite3.Error, *BAD_VALUE)


def primary_code(error: BaseException) -> int:
    """Return SQLite's result code without its extension; -1 where the error did not come from SQLite itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


def told(error: BaseException, path: str, *, committing: bool = False) -> StoreError:
    """Return the `StoreError` that says what `error` means for the store in the file `path`.

    With `committing` the error came from COMMIT: what is neither a full disk nor a lock may have been written.
    """
    code = primary_code(error)
    why = f"{error} ({getattr(error, 'sqlite_errorname', None) or type(error).__name__})"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path} stayed locked by another program for the whole time allowed: {why}")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StoreFull(f"no space is left for {path}: {why}; nothing was changed")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreReadOnly(f"{path}, its folder or its file system may not be written: {why}")
    if code == sqlite3.SQLITE_CANTOPEN:
        return not_writable(path) or StoreUnusable(f"{path} cannot be opened: {why}")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreUnusable(f"{path} is not a SQLite file; give the path of a store, or of a file that does not exist")
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreUnusable(f"{path} is damaged: {why}; restore it from a copy")
    if committing:
        return OutcomeUnknown(f"whether {path} has taken the commit is not known: {why}; repeat it with the same key")
    if isinstance(error, BAD_VALUE):
        return StoreError(f"a row holds a value that SQLite cannot keep: {why}; nothing was changed")
    if isinstance(error, CONSTRAINT):
        return StoreError(f"{path} refuses a row: {why}; nothing was changed")
    retry = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL)
    return StoreError(f"{path} could not be read or written: {why}; nothing was changed", retry)


def not_writable(path: str) -> StoreReadOnly | None:
    """Return the error for a file or folder that may not be written, or None."""
    folder = os.path.dirname(path)
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return StoreReadOnly(f"{path} may not be read and written by this user, or its file system is read-only")
    if not os.access(folder, os.W_OK | os.X_OK):
        return StoreReadOnly(
            f"the folder {folder} may not be written by this user, or its file system is read-only; "
            "SQLite keeps its log in a file beside the database"
        )
    return None


def _is_full(path: str) -> bool:
    """Return whether the file system has no block left, for SQLite reports some of these cases as I/O errors."""
    if not hasattr(os, "statvfs"):
        return False
    try:
        return os.statvfs(os.path.dirname(path)).f_bavail == 0
    except OSError:
        return False
