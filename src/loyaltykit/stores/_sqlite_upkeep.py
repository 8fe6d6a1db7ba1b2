"""What is done to a SQLite store's file as a whole: copying it while it is at work, and writing it anew."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from loyaltykit.errors import InputError, StoreBusy
from loyaltykit.stores._sqlite_file import Connection


def back_up(connection: Connection, path: str | os.PathLike[str]) -> str:
    """Write a copy of the whole store to the file `path`, as it is at one instant; return the file's real path.

    The copy bears its name only once it is complete and on the disk.
    """
    target = os.path.realpath(os.fsdecode(path))
    if os.path.exists(target):
        raise InputError("path", target, "exists already; give each backup a name of its own")
    if not os.path.isdir(os.path.dirname(target)):
        raise InputError("path", target, "is in a folder that does not exist; create it first")
    part = f"{target}.part"
    Path(part).unlink(missing_ok=True)  # of an earlier backup that was interrupted
    try:
        with closing(sqlite3.connect(part)) as copy:
            connection.copy_to(copy)
        with open(part, "rb+") as written:
            os.fsync(written.fileno())
        os.rename(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    _sync_folder(os.path.dirname(target))
    return target


def _sync_folder(folder: str) -> None:
    """Make the name of a new file durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_anew(connection: Connection, path: str) -> None:
    """Write the file anew from what is in it, and empty the log."""
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreBusy(f"readers of {path} did not let go of its log; call compact() again")
