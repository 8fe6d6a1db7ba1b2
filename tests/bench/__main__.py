"""Measure the ledger against a floor in the same run: `python tests/bench`.

The floor is what this machine's SQLite does with one bare, durable INSERT a transaction. Everything is told as a ratio
to it, or as a ratio between two sizes of history, for these hold where absolute numbers do not: candidates take turns
in short slices, each ratio is one within a turn, and the median turn counts. The whole is measured twice, the second
time with every fsync one millisecond slower (a C compiler makes the shim for that), which is nearer to a shop's server
than a fast disk.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import operator
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import conditions
import ledger_hand

from loyaltykit.calendar import days, to_us
from loyaltykit.club import Club
from loyaltykit.facts import Activity, Fact, Line, Order
from loyaltykit.program import Program
from loyaltykit.rules import activity, per_amount
from loyaltykit.stores.memory import MemoryStore
from loyaltykit.stores.sqlite import SQLiteStore

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = Program("bench", "USD", earning=[per_amount(1), activity("review", 10)], validity=days(90))
MEMBERS = 200
NUMBERS = itertools.count()
Slice = Callable[[int], Callable[[], None]]
"""Prepares so many operations, and returns what does them: only that is timed."""


def floor(folder: Path) -> Slice:
    """Return the floor: one durable INSERT a transaction, with the pragmas that the store uses."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE bare (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")

    def prepare(count: int) -> Callable[[], None]:
        numbers = list(itertools.islice(NUMBERS, count))

        def run() -> None:
            for number in numbers:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO bare VALUES (?, ?)", (f"key-{number}", 100))
                connection.execute("COMMIT")

        return run

    return prepare


def _each(do: Callable[[str, str, datetime], object], members: int) -> Slice:
    """Return a slice of one command a time: of a member, under a key, at an instant."""

    def prepare(count: int) -> Callable[[], None]:
        numbers = list(itertools.islice(NUMBERS, count))

        def run() -> None:
            for number in numbers:
                do(f"m{number % members}", f"k{number}", BEGIN + timedelta(milliseconds=number))

        return run

    return prepare


def earn_by_hand(folder: Path) -> Slice:
    """Return a slice of earns of a ledger that is written by hand: see `ledger_hand`."""
    give = ledger_hand.ledger(folder / "hand.db")
    return _each(lambda member, key, at: give(member, 100, key, to_us(at)), MEMBERS)


def earn(club: Club, members: int = MEMBERS) -> Slice:
    """Return a slice of ledger earns."""
    return _each(lambda member, key, at: club.earn(member, 100, key=key, at=at), members)


def redeem(club: Club, members: int = MEMBERS) -> Slice:
    """Return a slice of redemptions of one point each."""
    return _each(lambda member, key, at: club.redeem(member, 1, key=key, at=at), members)


def basket(number: int, member: str, at: datetime) -> Order:
    """Return an order of three lines."""
    lines = [Line("beans", 2, unit_price="3.50"), Line("mug", 1, total="9.90"), Line("tea", 3, unit_price="2.10")]
    return Order(f"o{number}", member, at, lines)


def amount(number: int, member: str, at: datetime) -> Order:
    """Return an order of which only the amount is known."""
    return Order(f"o{number}", member, at, amount="23.20")


def review(number: int, member: str, at: datetime) -> Activity:
    """Return an activity that earns."""
    return Activity(f"a{number}", member, "review", at)


FACTS: dict[str, Callable[[int, str, datetime], Fact]] = {
    "three-line order": basket,
    "one-amount order": amount,
    "activity": review,
}


def _facts(make: Callable[[int, str, datetime], Fact], numbers: Iterable[int]) -> list[Fact]:
    return [make(number, f"m{number % MEMBERS}", BEGIN + timedelta(milliseconds=number)) for number in numbers]


def record(club: Club, make: Callable[[int, str, datetime], Fact]) -> Slice:
    """Return a slice of facts recorded one by one."""

    def prepare(count: int) -> Callable[[], None]:
        facts = _facts(make, itertools.islice(NUMBERS, count))

        def run() -> None:
            for fact in facts:
                club.record(fact)

        return run

    return prepare


def record_many(club: Club, make: Callable[[int, str, datetime], Fact]) -> Slice:
    """Return a slice of facts recorded as one batch."""

    def prepare(count: int) -> Callable[[], None]:
        facts = _facts(make, itertools.islice(NUMBERS, count))

        def run() -> None:
            for _ in club.record_many(facts, batch=count):
                pass

        return run

    return prepare


def _load_a_part(path: Path, what: str, part: int, parts: int, parent: Connection) -> None:
    """Record batches of the facts of a part of the members, whenever the parent process says so."""
    with Club(PROGRAM, SQLiteStore(path)) as club:
        while numbers := parent.recv():
            facts = _facts(FACTS[what], [number for number in numbers if number % MEMBERS % parts == part])
            parent.send("prepared")
            parent.recv()
            for _ in club.record_many(facts):
                pass
            parent.send("done")


def record_in_parallel(path: Path, what: str, parts: int, cleanup: ExitStack) -> Slice:
    """Return a slice of facts recorded in batches by several processes, each of which has members of its own."""
    pipes = []
    for part in range(parts):
        mine, its = multiprocessing.Pipe()
        process = multiprocessing.Process(target=_load_a_part, args=(path, what, part, parts, its))
        process.start()
        cleanup.callback(process.join)
        cleanup.callback(mine.send, None)
        pipes.append(mine)

    def prepare(count: int) -> Callable[[], None]:
        numbers = list(itertools.islice(NUMBERS, count))
        for pipe in pipes:
            pipe.send(numbers)
        for pipe in pipes:
            pipe.recv()

        def run() -> None:
            for pipe in pipes:
                pipe.send("go")
            for pipe in pipes:
                pipe.recv()

        return run

    return prepare


class Rates:
    """Operations a second of several candidates, in each of the rounds in which they took turns."""

    def __init__(self, seen: dict[str, list[float]]) -> None:
        self.seen = seen

    def median(self, name: str) -> float:
        """Return the median of a candidate's rates."""
        return statistics.median(self.seen[name])

    def ratio(self, name: str, base: str) -> float:
        """Return how many times as fast as another a candidate is: the median of the rounds, in which both ran."""
        return statistics.median(map(operator.truediv, self.seen[name], self.seen[base]))


def rates(slices: dict[str, tuple[Slice, int]], rounds: int) -> Rates:
    """Run every slice in turn, several rounds, and return their rates."""
    seen: dict[str, list[float]] = {name: [] for name in slices}
    for turn in range(rounds + 1):
        for name, (prepare, count) in slices.items():
            run = prepare(count)
            begin = time.perf_counter()
            run()
            if turn:  # the first round warms up
                seen[name].append(count / (time.perf_counter() - begin))
    return Rates(seen)


def against_the_floor(folder: Path, rounds: int) -> None:
    """Print the rates of durable writes as shares of the floor, and what a fact gains in bulk."""
    processes = os.cpu_count() or 1
    with ExitStack() as clubs:

        def club(name: str) -> Club:
            return clubs.enter_context(Club(PROGRAM, SQLiteStore(folder / f"{name}.db")))

        earning = club("earn")
        slices = {
            "bare INSERT": (floor(folder), 300),
            "earn by hand": (earn_by_hand(folder), 200),
            "Club.earn": (earn(earning), 200),
            "Club.redeem": (redeem(earning), 200),
        }
        for what, make in FACTS.items():
            slices[f"one by one: {what}"] = (record(club(f"record {what}"), make), 200)
            slices[f"in bulk: {what}"] = (record_many(club(f"bulk {what}"), make), 2_000)
            together = record_in_parallel(folder / f"together {what}.db", what, processes, clubs)
            slices[f"{processes} processes: {what}"] = (together, 2_000 * processes)
        found = rates(slices, rounds)
    floor_rate = "bare INSERT"
    print(f"  {floor_rate:<30}{found.median(floor_rate):>9,.0f} a second, the floor")
    for name in slices:
        if name != floor_rate:
            share = found.ratio(name, floor_rate)
            print(f"  {name:<30}{found.median(name):>9,.0f} a second, {share:.2f} of the floor")
    print(f"  Club.earn reaches {found.ratio('Club.earn', 'earn by hand'):.2f} of the rate of an earn by hand")
    for what in FACTS:
        gain = found.ratio(f"in bulk: {what}", f"one by one: {what}")
        more = found.ratio(f"{processes} processes: {what}", f"one by one: {what}")
        print(f"  in bulk, one {what} is {gain:.1f} times as fast as one by one, by {processes} processes {more:.1f}")


def against_history(folder: Path, rounds: int) -> None:
    """Print how an earn and a redemption cost with 10,000 earlier entries and open lots, against 10."""
    for kind in ("memory", "sqlite"):
        clubs = {}
        for history in (10, 10_000):
            store = MemoryStore() if kind == "memory" else SQLiteStore(folder / f"history-{history}.db")
            clubs[history] = Club(PROGRAM, store)
            facts = (
                Order(f"h{number}", "m0", BEGIN - timedelta(days=1) + timedelta(seconds=number), amount="100.00")
                for number in range(history)
            )
            for _ in clubs[history].record_many(facts, batch=5_000):
                pass
        for what, make in (("earn", earn), ("redeem", redeem)):
            found = rates({str(history): (make(club, 1), 100) for history, club in clubs.items()}, rounds)
            ratio = found.ratio("10", "10000")
            print(f"  {kind}: {what} with 10,000 earlier entries costs {ratio:.2f} times that with 10")


def slow(folder: Path, rounds: int) -> None:
    """Measure against the floor once more, in a process whose every fsync is a millisecond slower."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("  left out: no C compiler to make the shim with")
        return
    shim = folder / "slowsync.so"
    source = Path(__file__).with_name("slowsync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(shim), str(source), "-ldl"], check=True)
    command = [sys.executable, str(Path(__file__).parent), "--floor-only", "--rounds", str(rounds)]
    subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(shim)}, check=True)


def main() -> None:
    """Run the benchmarks that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="how many slices of each candidate count")
    parser.add_argument("--floor-only", action="store_true", help="only the durable writes against the floor")
    parser.add_argument("--folder", help="where the files go (default: a temporary folder); the disk matters")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.floor_only:
            against_the_floor(folder, options.rounds)
            return
        print("durable writes on SQLite, against one bare durable INSERT in the same run")
        against_the_floor(folder, options.rounds)
        print("the same, with every fsync one millisecond slower")
        slow(folder, options.rounds)
        print("the cost of history")
        against_history(folder, options.rounds)
    print("conditions on one member")
    conditions.compare(4 * options.rounds)


if __name__ == "__main__":
    main()
