"""A disk put together again from the log of what was written to it, as it may look after a power cut.

What was synced is there. Of what was written and not synced, each sector of 512 bytes has made it to the disk or has
not, on its own and in any order; so has the new size of a file, with zeros where nothing has arrived. The entry of a
new file, and the absence of a removed one, are certain only after the folder has been synced.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
_HEADER = struct.Struct("=c3xIQq")


class Change(NamedTuple):
    """One record of the log. `disklog.c` says what the letters mean."""

    kind: str
    name: str
    offset: int
    data: bytes


def compiled(folder: Path) -> Path | None:
    """Return the library to preload, compiled into `folder`; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = folder / "disklog.so"
    source = Path(__file__).with_name("disklog.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def changes(log: Path) -> Iterator[Change]:
    """Yield the records of a log."""
    content = log.read_bytes()
    place = 0
    while place < len(content):
        kind, name, data, offset = _HEADER.unpack_from(content, place)
        place += _HEADER.size
        end = place + name + data
        yield Change(kind.decode(), content[place : place + name].decode(), offset, content[place + name : end])
        place = end


class _File:
    """What a file holds for certain, and what was written to it since."""

    def __init__(self) -> None:
        self.certain = bytearray()
        self.pending: list[Change] = []
        self.begun: list[int] = []  # of each sync under way, how many changes it covers
        self.dropped = 0  # changes that are certain by now

    def sync(self) -> None:
        """Make certain what the oldest sync under way covers."""
        count = self.begun.pop(0) - self.dropped
        if count > 0:
            for change in self.pending[:count]:
                _apply(self.certain, change)
            del self.pending[:count]
            self.dropped += count

    def after_cut(self, chance: random.Random, share: float) -> bytes:
        """Return what may be found after a power cut; of what is pending each sector survives with this chance."""
        content = bytearray(self.certain)
        versions: dict[int, list[Change]] = {}
        for change in self.pending:
            if change.kind == "t":
                if chance.random() < share:
                    _apply(content, change)
                    versions = {sector: old for sector, old in versions.items() if sector * SECTOR < change.offset}
                continue
            start, end = change.offset, change.offset + len(change.data)
            while start < end:
                stop = min(end, (start // SECTOR + 1) * SECTOR)
                part = change.data[start - change.offset : stop - change.offset]
                versions.setdefault(start // SECTOR, []).append(Change("w", "", start, part))
                start = stop
        for parts in versions.values():
            # A sector holds one of the contents that it had in turn, never a mixture of them.
            kept = len(parts) if chance.random() < share else chance.randrange(len(parts))
            for written in parts[:kept]:
                _apply(content, written)
        return bytes(content)


def _apply(content: bytearray, change: Change) -> None:
    end = change.offset + len(change.data)
    if end > len(content):
        content.extend(bytes(end - len(content)))
    if change.kind == "t":
        del content[change.offset :]
    else:
        content[change.offset : end] = change.data


class Disk:
    """A folder on a disk, as it becomes change by change."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self._names: dict[str, list[_File | None]] = {}  # of each name the certain file, and what it was since

    def apply(self, change: Change) -> None:
        """Make one change of the log."""
        kind, name = change.kind, change.name
        if kind == "a":
            self.acknowledged.append(name)
        elif kind == "c":
            self._names.setdefault(name, [None]).append(_File())
        elif kind == "u":
            self._names[name].append(None)
        elif kind == "r":
            self._names.setdefault(change.data.decode(), [None]).append(self._file(name))
            self._names[name].append(None)
        elif kind == "d":
            for history in self._names.values():
                del history[:-1]
        elif kind in "wt":
            self._file(name).pending.append(change)
        elif kind == "b":
            file = self._file(name)
            file.begun.append(file.dropped + len(file.pending))
        elif kind == "s":
            self._file(name).sync()
        else:
            raise AssertionError(f"the log holds {change}")

    def _file(self, name: str) -> _File:
        file = self._names[name][-1]
        assert file is not None, f"{name} was changed and does not exist"
        return file

    def cut(self, folder: Path, chance: random.Random, share: float | None = None) -> None:
        """Put into an empty folder what may be found after a power cut at this moment.

        `share` is the chance of what is not certain to be there, by default any; 1 means what a killed process
        leaves, for the system goes on and forgets nothing.
        """
        if share is None:
            share = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for name, history in sorted(self._names.items()):
            file = history[-1] if share == 1 or chance.random() < share else chance.choice(history)
            if file is not None and not name.endswith("-shm"):  # -shm is memory under a name, made anew
                (folder / name).write_bytes(file.after_cut(chance, share))
