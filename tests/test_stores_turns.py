"""Many writers of one file: nothing is lost, nobody starves, and a process that is killed takes nothing with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loyaltykit.errors import StaleVersion
from loyaltykit.journal import Need
from loyaltykit.stores import SQLiteStore
from loyaltykit.stores._turnstile import Turnstile
from loyaltykit.testing._rows import balance, commit

PROCESSES = 8
SECONDS = 1.5


def _add(store: SQLiteStore, account: str, key: str) -> None:
    """Load, decide, append: one more point."""
    context = store.load(Need(account, keys=(key,)))
    version = context.head.version if context.head else 0
    points = context.balances["points"].active if version else 0
    store.append(commit(account, version, key, balances=[balance(points + 1)]))


def _work(path: str, name: str, start: Any, answers: Any) -> None:
    """Write to an account of one's own, then to one that all share, as often as turns come."""
    with SQLiteStore(path) as store:
        counts = []
        for account in (f"p/{name}", "p/shared"):
            start.wait()
            count = 0
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                with store.exclusive(account):
                    _add(store, account, f"{name}:{count}")
                count += 1
            counts.append(count)
        start.wait()
        lost = 0
        for count in range(40):  # without a turn of its own: late again and again, and never lost
            while True:
                try:
                    _add(store, "p/raced", f"{name}:{count}")
                    break
                except StaleVersion:
                    lost += 1
    answers.put((name, *counts, lost))


def test_processes_take_turns(tmp_path: Path) -> None:
    """Of eight processes that write to one file none loses a commit, and the least served had half of the most."""
    context = multiprocessing.get_context("spawn")
    path = str(tmp_path / "shop.db")
    start = context.Barrier(PROCESSES)
    answers: Any = context.Queue()
    workers = [context.Process(target=_work, args=(path, f"w{n}", start, answers)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    results = [answers.get(timeout=80) for _ in workers]
    for worker in workers:
        worker.join()
    with SQLiteStore(path) as store:
        for name, own, _, _ in results:
            assert store.load(Need(f"p/{name}")).balances["points"].active == own
        for account, total in (("p/shared", sum(r[2] for r in results)), ("p/raced", 40 * PROCESSES)):
            context_of_it = store.load(Need(account, everything=True))
            assert context_of_it.balances["points"].active == total
            assert sorted(r.version for r in context_of_it.records.values()) == list(range(1, total + 1))
    for served in ([r[1] for r in results], [r[2] for r in results]):
        assert min(served) * 2 >= max(served), served


def test_threads_take_turns(tmp_path: Path) -> None:
    """Threads of one process take turns as well."""
    counts: dict[str, int] = {}
    with SQLiteStore(tmp_path / "shop.db") as store:
        start = threading.Barrier(4)

        def work(name: str) -> None:
            start.wait()
            counts[name] = 0
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                _add(store, f"p/{name}", f"{counts[name]}")
                counts[name] += 1

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {name: store.load(Need(f"p/{name}")).balances["points"].active for name in "abcd"} == counts
    assert min(counts.values()) * 2 >= max(counts.values()), counts


_UNTIL_KILLED = textwrap.dedent("""
    import sys
    from loyaltykit.stores import SQLiteStore
    from loyaltykit.testing._rows import balance, commit, lot
    store = SQLiteStore(sys.argv[1])
    version = int(sys.argv[2])
    while True:
        store.append(commit("p/a", version, lots=[lot(f"l{version}")], balances=[balance(version + 1)]))
        version += 1
        print(version, flush=True)
""")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal there")
def test_killed(tmp_path: Path) -> None:
    """What a process had acknowledged when it was killed is there, whole; at most one commit more is."""
    path = tmp_path / "shop.db"
    SQLiteStore(path).close()
    kept = 0
    for lines in (1, 40, 150):
        with subprocess.Popen(
            [sys.executable, "-c", _UNTIL_KILLED, str(path), str(kept)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            acknowledged = [int(line) for line in writer.stdout.read().split()]
        with SQLiteStore(path) as store:
            context = store.load(Need("p/a", everything=True))
            assert context.head is not None
            assert context.head.version - max([kept + lines, *acknowledged]) in (0, 1)
            kept = context.head.version
            assert (kept, kept, kept) == (len(context.records), len(context.lots), context.balances["points"].active)


# ---------------------------------------------------------------- the turnstile


@pytest.fixture
def gate(tmp_path: Path) -> str:
    """Return the path of a turnstile's file."""
    return str(tmp_path / "gate")


@pytest.fixture
def turnstile(gate: str) -> Iterator[Turnstile]:
    """Return a turnstile."""
    made = Turnstile(gate)
    yield made
    made.close()


def test_one_at_a_time(turnstile: Turnstile, gate: str) -> None:
    """Whoever is inside keeps others out, in this process and beside it, until leaving."""
    other = Turnstile(gate)
    for inside, outside in ((turnstile, other), (other, turnstile)):
        assert inside.enter(1)
        assert not inside.enter(0)
        assert not outside.enter(0.01)
        assert not outside.enter(0.01)
        inside.leave()
        assert outside.enter(1)
        outside.leave()
    other.close()


def test_in_the_order_of_asking(turnstile: Turnstile) -> None:
    """Threads pass in the order in which they came, and who gave up is passed over."""
    passed: list[int] = []

    def go(number: int) -> None:
        if turnstile.enter(0 if number == 2 else 20):
            passed.append(number)
            turnstile.leave()

    assert turnstile.enter(1)
    threads = []
    for number in range(5):
        thread = threading.Thread(target=go, args=(number,))
        thread.start()
        threads.append(thread)
        while number != 2 and len(turnstile._line) < len(threads) - (number > 2):
            pass  # until this one stands in the line
        if number == 2:
            thread.join()
    turnstile.leave()
    for thread in threads:
        thread.join()
    assert passed == [0, 1, 3, 4]


def test_a_turn_that_comes_too_late_is_passed_on(turnstile: Turnstile, gate: str) -> None:
    """Who gave up waiting for another process does not get in the way once that one leaves."""
    other = Turnstile(gate)
    third = Turnstile(gate)
    assert other._doors is not None
    assert other._doors.try_first()
    assert not turnstile.enter(0.01)
    other._doors.leave_first()
    assert third.enter(10)
    third.leave()
    assert turnstile.enter(10)
    turnstile.leave()
    third.close()
    other.close()


def test_closed_while_somebody_waits(turnstile: Turnstile, gate: str) -> None:
    """Closing lets the waiting ones through: their store is closed, and it is for the store to say so."""
    other = Turnstile(gate)
    assert other._doors is not None
    assert other._doors.try_first()
    passed: list[bool] = []
    thread = threading.Thread(target=lambda: passed.append(turnstile.enter(30)))
    thread.start()
    while turnstile._waiter is None or not turnstile._waiter._wanted:
        pass
    turnstile.close()
    thread.join()
    assert passed == [True]
    turnstile.leave()
    other._doors.leave_first()
    assert other.enter(10)
    other.leave()
    other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_keeps_nobody_out(turnstile: Turnstile, gate: str) -> None:
    """A child that was forked during its parent's turn does not keep the turn when the parent has ended."""
    code = textwrap.dedent("""
        import os, sys, warnings
        from loyaltykit.stores._turnstile import Turnstile
        turnstile = Turnstile(sys.argv[1])
        assert turnstile.enter(1)
        if os.fork() == 0:
            print("ready", flush=True)
            sys.stdin.readline()
        else:
            os._exit(0)
    """)
    with subprocess.Popen([sys.executable, "-c", code, gate], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == b"ready\n"
        assert turnstile.enter(10)
        turnstile.leave()
        parent.stdin.write(b"\n")
