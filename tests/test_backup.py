"""A backup made while the shop is at work: of one instant, and with everything that was acknowledged before it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loyaltykit import (
    Budget,
    Club,
    InputError,
    Order,
    Program,
    Refund,
    SQLiteStore,
    StoreUnusable,
    activity,
    coins,
    per_amount,
)
from loyaltykit.audit import accounts, whole
from loyaltykit.stores.protocol import Compacts
from loyaltykit.transport import copy

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1), activity("review", 50, budget=Budget("spring", 10_000))],
    rewards=[coins(100, worth="1.00")],
)


def at(day: float) -> datetime:
    """Return an instant, in days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


def test_backup_under_load(tmp_path: Path) -> None:
    """While four threads write, a backup is a store of one instant with all that was acknowledged before it began."""
    club = Club(PROGRAM, SQLiteStore(tmp_path / "shop.db"))
    written: list[list[str]] = [[] for _ in range(4)]
    ended, begun = threading.Event(), threading.Barrier(5)
    errors: list[BaseException] = []

    def write(place: int) -> None:
        try:
            begun.wait(60)
            for number in range(100_000):
                if ended.is_set():
                    return
                who, key = f"m{(place + number) % 7}", f"{place}-{number}"
                club.record(Order(key, who, at(1), amount="30.00"))
                club.redeem(who, 5, key=key, at=at(2))
                club.record(Refund(key, who, key, at(3), amount="7.00"))
                written[place].append(key)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    backups: list[tuple[set[str], str]] = []
    try:
        while len(backups) < 4:
            if min(map(len, written)) > 4 * len(backups):
                acknowledged = {key for each in written for key in list(each)}
                backups.append((acknowledged, club._store.backup(tmp_path / f"{len(backups)}.db")))  # type: ignore[attr-defined]
            assert not errors
            time.sleep(0.001)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert [] == errors
    for acknowledged, path in backups:
        with Club(PROGRAM, SQLiteStore(path)) as copied:
            assert [] == list(copied.verify_all())
            kept = {
                key for account, _ in accounts(copied._store, "shop") for key in whole(copied._store, account).records
            }
            assert {f"refund:{key}" for key in acknowledged} <= kept
            assert kept < {
                key for account, _ in accounts(club._store, "shop") for key in whole(club._store, account).records
            }
    with SQLiteStore(backups[-1][1]) as last:  # a prefix: what the shop has now begins with it
        copy(club._store, last, "shop")
    club.close()


def test_a_backup_is_a_store_like_any_other(tmp_path: Path) -> None:
    """What was in the log only is in the copy too, which goes on by itself; the original goes on as well."""
    with Club(PROGRAM, SQLiteStore(tmp_path / "shop.db")) as club:
        club.earn("ann", 100, key="a", at=at(1))
        store: Any = club._store
        assert str(tmp_path / "copy.db") == store.backup(tmp_path / "copy.db")
        club.earn("ann", 1, key="b", at=at(1))
        with Club(PROGRAM, SQLiteStore(tmp_path / "copy.db")) as copied:
            assert 100 == copied.balance("ann", at=at(2)).available
            copied.redeem("ann", 100, key="c", at=at(2))
        assert 101 == club.balance("ann", at=at(2)).available


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup takes a name that is free in a folder that exists, and one that fails leaves nothing under its name."""
    with SQLiteStore(tmp_path / "shop.db") as store:
        for wrong in (tmp_path / "shop.db", tmp_path / "none" / "copy.db"):
            with pytest.raises(InputError, match="path"):
                store.backup(wrong)

        def fail(*values: object) -> None:
            raise OSError("no more")

        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", fail)
            with pytest.raises(OSError, match="no more"):
                store.backup(tmp_path / "copy.db")
        assert ["shop.db"] == sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".db", ".part"))
        (tmp_path / "copy.db.part").write_text("of a backup that was interrupted")
        store.backup(tmp_path / "copy.db")
        assert (tmp_path / "copy.db").stat().st_size > 0
        assert not (tmp_path / "copy.db.part").exists()
    with pytest.raises(StoreUnusable):
        store.backup(tmp_path / "late.db")


def test_compact(tmp_path: Path) -> None:
    """Writing the file anew keeps every row and gives back the space; other threads and the same thread go on."""
    with Club(PROGRAM, SQLiteStore(tmp_path / "shop.db")) as club:
        for number in range(200):
            club.earn(f"m{number % 5}", 3, key=f"k{number}", at=at(1), reason="x" * 150)
        store: Any = club._store
        assert isinstance(club._store, Compacts)
        before = [(name, whole(store, name)) for name, _ in accounts(store, "shop")]
        store.compact()
        assert 0 == (tmp_path / "shop.db-wal").stat().st_size
        assert before == [(name, whole(store, name)) for name, _ in accounts(store, "shop")]
        club.earn("m1", 3, key="after", at=at(1))
        assert [] == list(club.verify_all())
    with pytest.raises(StoreUnusable):
        store.compact()
