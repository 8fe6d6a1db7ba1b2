"""Power cuts: what was written is played back up to some moment, and what was not synced survives by chance."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fault_disk
import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.errors import StoreError
from loyaltykit.stores import SQLiteStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the writes are watched by way of LD_PRELOAD")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that watches writes."""
    made = fault_disk.compiled(tmp_path_factory.mktemp("library"))
    if made is None:
        pytest.skip("NO POWER CUTS ARE TRIED: there is no C compiler (cc, gcc, clang)")
    return made


def _recorded(folder: Path, library: Path, synchronous: str, lanes: str, count: int) -> list[fault_disk.Change]:
    """Let one process for each lane write to one file, and return everything that was done to the disk."""
    (folder / "disk").mkdir()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "DISK_FOLDER": os.path.realpath(folder / "disk"),
        "DISK_LOG": str(folder / "log"),
    }
    path = os.path.realpath(folder / "disk" / "shop.db")
    workers = [
        subprocess.Popen(
            [sys.executable, fault_work.__file__, "write", f'["{path}", "{synchronous}", "{lane}", {count}]'],
            env=environment,
        )
        for lane in lanes
    ]
    assert [worker.wait() for worker in workers] == [0] * len(lanes)
    return list(fault_disk.changes(folder / "log"))


def _played(changes: list[fault_disk.Change], cuts: list[int], chance: random.Random, folder: Path) -> list[Path]:
    """Return a folder for each cut, as the disk may look if the power fails after so many changes."""
    disk, made, folders = fault_disk.Disk(), 0, []
    for number, cut in enumerate(sorted(cuts)):
        for change in changes[made:cut]:
            disk.apply(change)
        made = cut
        found = folder / f"cut-{number}"
        found.mkdir()
        disk.cut(found, chance)
        (found / "acknowledged").write_text("\n".join(disk.acknowledged))
        folders.append(found)
    return folders


def _acknowledged(folder: Path) -> dict[tuple[str, int], str]:
    lines = (folder / "acknowledged").read_text().splitlines()
    return {(lane, int(number)): answer for lane, number, answer in (line.split() for line in lines)}


def _lost(folder: Path) -> int:
    """Return how many keys that were acknowledged are not in the file."""
    acknowledged = {key for lane, number in _acknowledged(folder) for key in fault_work.happening(number, lane).keys}
    with SQLiteStore(folder / "shop.db") as store:
        assert fault_work.problems(store, Club(fault_work.PROGRAM, store)) == []
        return len(acknowledged - fault_work.stored_keys(store))


@pytest.mark.parametrize("lanes", ["m", "ab"], ids=["one writer", "two writers"])
def test_nothing_acknowledged_is_lost(tmp_path: Path, library: Path, lanes: str) -> None:
    """After a power cut everything acknowledged is there, the books and the file are in order, and work goes on.

    Of each writer at most the one thing that it was at is there as well, and comes to its end when it is told again.
    """
    count = 300 // len(lanes)
    changes = _recorded(tmp_path, library, "FULL", lanes, count)
    assert Counter(change.kind for change in changes)["a"] == count * len(lanes)
    chance = random.Random(len(lanes))
    cuts = chance.sample(range(len(changes)), 70)
    for folder in _played(changes, cuts, chance, tmp_path):
        acknowledged = _acknowledged(folder)
        keys = {key for lane, number in acknowledged for key in fault_work.happening(number, lane).keys}
        with SQLiteStore(folder / "shop.db") as store:
            club = Club(fault_work.PROGRAM, store)
            stored = fault_work.stored_keys(store)
            assert keys <= stored, f"lost: {sorted(keys - stored)}"
            assert fault_work.problems(store, club) == []
            for lane in lanes:
                next_one = len([each for each, _ in acknowledged if each == lane])
                interrupted = fault_work.happening(next_one, lane)
                keys |= interrupted.keys
                assert {key for key in stored if key[0][0] == lane} <= keys
                fault_work.answer(club, interrupted.call)
            for (lane, number), answer in chance.sample(sorted(acknowledged.items()), min(len(acknowledged), 10)):
                assert fault_work.answer(club, fault_work.happening(number, lane).call) == answer
            assert fault_work.stored_keys(store) == keys
            assert fault_work.problems(store, club) == []


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_cuts_that_tell(tmp_path: Path, library: Path, synchronous: str) -> None:
    """The same cuts find what is lost where SQLite is told not to wait for the disk."""
    changes = _recorded(tmp_path, library, synchronous, "m", 120)
    chance = random.Random(7)
    cuts = chance.sample(range(len(changes) // 4, len(changes)), 40)
    lost = damaged = 0
    for folder in _played(changes, cuts, chance, tmp_path):
        try:
            lost += _lost(folder) > 0
        except (StoreError, AssertionError):
            damaged += 1
    print(f"{synchronous}: of {len(cuts)} cuts {lost} lost what was acknowledged and {damaged} damaged the file")
    assert lost + damaged > 4


# ---------------------------------------------------------------- the log and the disk


def test_the_log_is_whole(tmp_path: Path, library: Path) -> None:
    """Played to its end, with all that was written, the log gives the very files that are there."""
    changes = _recorded(tmp_path, library, "FULL", "m", 130)
    disk = fault_disk.Disk()
    for change in changes:
        disk.apply(change)
    (tmp_path / "played").mkdir()
    disk.cut(tmp_path / "played", random.Random(1), share=1)
    files = {file.name: file.read_bytes() for file in (tmp_path / "disk").iterdir() if file.suffix != ".db-shm"}
    assert {file.name: file.read_bytes() for file in (tmp_path / "played").iterdir()} == files
    assert {"c", "w", "b", "s", "u", "d", "a"} <= {change.kind for change in changes}


def test_what_survives(tmp_path: Path) -> None:
    """What was synced survives, of the rest each sector by chance, and a new name only once the folder was synced."""
    old, new = b"o" * 2048, b"n" * 2048
    disk = fault_disk.Disk()
    steps = [("c", b""), ("w", old), ("b", b""), ("s", b""), ("d", b""), ("w", new)]
    for kind, data in steps:
        disk.apply(fault_disk.Change(kind, "" if kind == "d" else "file", 0, data))
    disk.apply(fault_disk.Change("c", "other", 0, b""))
    seen = set()
    chance = random.Random(3)
    for number in range(400):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        disk.cut(folder, chance, share=0.5)
        content = (folder / "file").read_bytes()
        assert [content[place : place + 512] in (old[:512], new[:512]) for place in range(0, 2048, 512)] == [True] * 4
        seen.add((content, (folder / "other").exists()))
    assert len(seen) == 2**4 * 2
