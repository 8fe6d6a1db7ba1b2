"""A disk without space, or that fails: an error that says so, nothing by halves, and the same key works later."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import fault_disk
import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.errors import OutcomeUnknown, StoreFull
from loyaltykit.stores import SQLiteStore

COUNT = 60


def _report(*given: Any, preload: Path | None = None, control: Path | None = None, folder: Path) -> dict[str, Any]:
    """Run one of the programs in `fault_work`, perhaps on a disk that can be full, and return what it reports."""
    environment = dict(os.environ)
    if preload is not None and control is not None:
        control.write_bytes(struct.pack("=qq", 2**60, 0))
        watched = {"DISK_FOLDER": os.path.realpath(folder), "DISK_LOG": os.devnull, "DISK_CONTROL": str(control)}
        environment.update(watched, LD_PRELOAD=str(preload))
    name, *rest = given
    ran = subprocess.run(
        [sys.executable, fault_work.__file__, name, json.dumps(rest)],
        env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    print(f"{name}: {len(report['errors'])} errors in {len(report['answers'])} things that happened")
    return report


def _expected(tmp_path: Path) -> list[str]:
    """Return what is answered where nothing goes wrong."""
    with SQLiteStore(tmp_path / "good.db") as store:
        club = Club(fault_work.PROGRAM, store)
        return [fault_work.answer(club, fault_work.happening(number).call) for number in range(COUNT)]


def test_no_page_left(tmp_path: Path) -> None:
    """Where the file may have no more pages, every kind of write is refused whole, reading works, and so does later."""
    report = fault_work.Report()
    with SQLiteStore(tmp_path / "shop.db") as store:
        club = Club(fault_work.PROGRAM, store)
        execute = store._connection().execute

        def full() -> None:
            execute(f"PRAGMA max_page_count = {execute('PRAGMA page_count').fetchone()[0]}")

        def free() -> None:
            execute("PRAGMA max_page_count = 1000000")

        for number in range(COUNT):
            report.attempt(store, club, number, full, free)
        # A page with room may take another row, so not every write needs a new one.
        assert report.errors
        assert set(report.errors) == {StoreFull.__name__}
        report.check(store, club, COUNT)
    assert report.unsound == []
    assert list(report.answers.values()) == _expected(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the disk is made full by way of LD_PRELOAD")
def test_no_space_left(tmp_path: Path) -> None:
    """Where the disk is full, or fills in the midst of a write, it is the same."""
    library = _library(tmp_path)
    folder = tmp_path / "disk"
    folder.mkdir()
    path = str(folder / "shop.db")
    report = _report("fill", path, COUNT, 5, preload=library, control=tmp_path / "control", folder=folder)
    assert report["unsound"] == []
    assert len(report["errors"]) > COUNT // 3
    assert set(report["errors"]) == {StoreFull.__name__}
    assert report["answers"] == _expected(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
def test_no_larger_file_allowed(tmp_path: Path) -> None:
    """Where the file may not grow, which SQLite reports as a failure of the disk, nothing is kept by halves either.

    The error does not blame other writers, for there are none.
    """
    report = _report("limit", str(tmp_path / "shop.db"), 12, folder=tmp_path)
    assert report["unsound"] == []
    assert len(report["errors"]) > 6
    assert set(report["errors"]) <= {StoreFull.__name__, OutcomeUnknown.__name__}
    assert report["answers"] == _expected(tmp_path)[:12]


@pytest.mark.skipif(sys.platform != "linux", reason="the disk is made to fail by way of LD_PRELOAD")
def test_syncs_that_fail(tmp_path: Path) -> None:
    """A sync that fails leaves open what was written; asked again under the same key, everything is there once."""
    library = _library(tmp_path)
    folder = tmp_path / "disk"
    folder.mkdir()
    path = str(folder / "shop.db")
    report = _report("fail_to_sync", path, COUNT, preload=library, control=tmp_path / "control", folder=folder)
    assert report["unsound"] == []
    assert report["answers"] == _expected(tmp_path)


def _library(tmp_path: Path) -> Path:
    (tmp_path / "library").mkdir()
    made = fault_disk.compiled(tmp_path / "library")
    if made is None:
        pytest.skip("NO FULL DISK IS TRIED: there is no C compiler (cc, gcc, clang)")
    return made
