"""Eight processes at one file: nothing is lost, nothing doubled, nobody starves."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.journal import Need
from loyaltykit.stores import MemoryStore, SQLiteStore

PROCESSES = 8
SECONDS = 3.0


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return where the processes find the file, and a folder beside it for what they leave."""
    (tmp_path / "left").mkdir()
    return str(tmp_path / "shop.db")


def _together(path: str, target: Callable[..., None], *given: Any, deadline: Any = None) -> dict[str, Any]:
    """Let eight processes do the same, each under a name of its own, and return what each has left."""
    context = multiprocessing.get_context("spawn")
    folder = Path(path).with_name("left")
    start = context.Barrier(PROCESSES + 1)
    rest = (*given, start) if deadline is None else (*given, start, deadline)
    workers = {
        name: context.Process(target=target, args=(path, name, *rest, str(folder))) for name in _names(PROCESSES)
    }
    for worker in workers.values():
        worker.start()
    ends = [worker.sentinel for worker in workers.values()]
    while start.n_waiting < PROCESSES and not wait(ends, timeout=0.01):
        pass  # until all have loaded, or one has failed
    if deadline is not None:
        deadline.value = time.monotonic() + SECONDS
    if start.n_waiting < PROCESSES:
        start.abort()
    else:
        start.wait(60)
    for worker in workers.values():
        worker.join(120)
    assert {name: worker.exitcode for name, worker in workers.items()} == dict.fromkeys(workers, 0)
    return {name: json.loads((folder / name).read_text()) for name in workers}


def _names(count: int) -> Iterator[str]:
    return (f"p{number}" for number in range(count))


@pytest.mark.parametrize("mode", ["hot", "spread"])
def test_writers(path: str, mode: str) -> None:
    """All that eight writers were told is done is there once, in order, and the least served had half of the most.

    None is ever told that the store is busy, be it one member that all write to, or any of 200.
    """
    members = ["hot"] if mode == "hot" else [f"m{number}" for number in range(200)]
    with SQLiteStore(path) as store:
        club = Club(fault_work.PROGRAM, store)
        opened = club.record_many(fault_work.welcomes(members))
        total = dict.fromkeys(members, 0)
        for receipt in opened:
            total[receipt.member] += receipt.points
        keys = fault_work.stored_keys(store)
    deadline = multiprocessing.get_context("spawn").Value("d", 0.0)
    done = _together(path, fault_work.compete, mode, deadline=deadline)
    served = sorted(len(each) for each in done.values())
    print(f"{mode}: {sum(served)} writes in {SECONDS} s, by process {served}")
    acknowledged = [tuple(each) for one in done.values() for each in one]
    keys |= {(member, key) for member, key, _ in acknowledged}
    for member, _, points in acknowledged:
        total[member] += points
    with SQLiteStore(path) as store:
        club = Club(fault_work.PROGRAM, store)
        assert fault_work.stored_keys(store) == keys
        assert len(keys) == len(acknowledged) + len(members)
        assert fault_work.problems(store, club) == []
        for member in members:
            head = store.load(Need(f"shop/{member}")).head
            assert head is not None
            assert head.version == len([each for each, _ in keys if each == member])
            assert club.balance(member, at=fault_work.END).available == total[member]
    assert served[0] * 2 >= served[-1], served


@pytest.mark.parametrize("with_commands", [False, True], ids=["facts", "facts and redemptions"])
def test_everything_eight_times(path: str, with_commands: bool) -> None:
    """What eight processes deliver, each in its own order, is applied once, and all of them get the same answers.

    The balances are those of one process that delivers in order, and where nothing was redeemed by command so are
    the lots.
    """
    members = [f"m{number}" for number in range(10)]
    calls = fault_work.deliveries(with_commands)
    in_order = Club(fault_work.PROGRAM, MemoryStore())
    with SQLiteStore(path) as store:
        for club in (in_order, Club(fault_work.PROGRAM, store)):
            for member in members:
                club.earn(member, 2_000, key="welcome", at=fault_work.START, expires_at=fault_work.LATE)
    for call in calls:
        call(in_order)
    answers = _together(path, fault_work.deliver, with_commands)
    assert {len(each) for each in answers.values()} == {len(calls)}
    assert len({json.dumps(each) for each in answers.values()}) == 1
    with SQLiteStore(path) as store:
        club = Club(fault_work.PROGRAM, store)
        assert len(fault_work.stored_keys(store)) == len(calls) + len(members)
        assert fault_work.problems(store, club) == []
        for member in members:
            assert in_order.verify(member) == []
            for at in (fault_work.END, fault_work.LATE):
                mine, theirs = club.balance(member, at=at), in_order.balance(member, at=at)
                assert mine.available == theirs.available
                if not with_commands:
                    assert mine == theirs
                    assert club.lots(member, at=at) == in_order.lots(member, at=at)


def test_what_is_scarce(path: str) -> None:
    """Of a campaign's budget and of a reward's stock eight processes together take all that there is and no more."""
    SQLiteStore(path).close()
    taken = _together(path, fault_work.grab)
    assert sum(given for given, _ in taken.values()) == 205
    assert sum(mugs for _, mugs in taken.values()) == 7
    with SQLiteStore(path) as store:
        club = Club(fault_work.SCARCE, store)
        assert fault_work.problems(store, club) == []
        left = sum(club.balance(name, at=fault_work.END).available for name in _names(PROCESSES))
        assert left == PROCESSES * 100 + 205 - 7 * 5
