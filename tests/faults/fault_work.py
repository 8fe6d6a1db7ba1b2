"""What the processes of these tests do: the n-th thing that happens in a shop, and programs that do one after another.

What happens n-th is a function of n alone, so that whoever sees the books afterwards can say what should be in them,
and can deliver anything again.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from loyaltykit.calendar import months
from loyaltykit.club import Club
from loyaltykit.commands import Redeem
from loyaltykit.decisions import Receipt
from loyaltykit.errors import Refused, StoreError
from loyaltykit.facts import Activity, Fact, Line, Order, Refund, Reversal, points as paid_with_points
from loyaltykit.program import Program
from loyaltykit.rewards import coins, reward
from loyaltykit.rules import Budget, activity, per_amount
from loyaltykit.stores import SQLiteStore

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1, each="1.00"), activity("visit", 5)],
    rewards=[coins(100, worth="1.00")],
    validity=months(12).to_end_of("month"),
)
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
END = START + timedelta(days=300)
LATE = START + timedelta(days=900)  # by then everything has expired that was not said to live so long
MEMBERS = 10

Call = Callable[[Club], Any]


@attrs.frozen
class Happening:
    """One thing that happens: how it is told to a club, and the (member, key) of every record that it makes."""

    call: Call
    keys: frozenset[tuple[str, str]]

    @property
    def members(self) -> set[str]:
        """The members whose books it touches."""
        return {member for member, _ in self.keys}


def happening(number: int, lane: str = "m") -> Happening:
    """Return what happens `number`-th to the members of a lane: welcomes first, then by tens a story of one member."""
    at = START + timedelta(minutes=number)
    if number < MEMBERS:
        who = f"{lane}{number}"
        return _one(lambda club: club.earn(who, 100, key="welcome", at=at), who, "key:welcome")
    tens, place = divmod(number, 10)
    who, other = f"{lane}{tens % MEMBERS}", f"{lane}{(tens + 1) % MEMBERS}"
    if place in (0, 1, 2):
        order = Order(f"o{number}", who, at, amount=f"{20 + number % 7}.50")
        return _one(lambda club: club.record(order), who, f"order:o{number}")
    if place == 3:
        refund = Refund(f"r{number}", who, f"o{number - 3}", at, amount="7.00")
        return _one(lambda club: club.record(refund), who, f"refund:r{number}")
    if place == 4:
        points = 30 if tens % 4 else 1_000_000  # a refusal is remembered too
        return _one(lambda club: club.redeem(who, points, key=f"k{number}", at=at), who, f"key:k{number}")
    if place == 5:
        return _one(lambda club: club.earn(who, 3, key=f"k{number}", at=at), who, f"key:k{number}")
    if place == 6:
        visit = Activity(f"v{number}", who, "visit", at)
        return _one(lambda club: club.record(visit), who, f"activity:v{number}")
    if place == 7:
        until = at + timedelta(hours=1)
        return _one(lambda club: club.hold(who, 10, key=f"h{number}", until=until, at=at), who, f"key:h{number}")
    if place == 8:
        key = f"capture:h{number - 1}"
        return _one(lambda club: club.capture(who, f"h{number - 1}", 6, at=at), who, f"key:{key}")
    return Happening(
        lambda club: club.transfer(who, other, 9, key=f"k{number}", at=at),
        frozenset({(who, f"key:k{number}"), (other, f"transfer:{who}:k{number}"), (who, f"arrived:k{number}")}),
    )


def _one(call: Call, member: str, key: str) -> Happening:
    return Happening(call, frozenset({(member, key)}))


def answer(club: Club, call: Call) -> str:
    """Return what a club answers, a refusal too, in a few letters that are the same for equal answers."""
    try:
        told = repr(attrs.evolve(call(club), replayed=False))
    except Refused as error:
        told = f"{type(error).__name__}: {error}"
    return hashlib.sha256(told.encode()).hexdigest()[:20]


def stored_keys(store: SQLiteStore) -> set[tuple[str, str]]:
    """Return (member, key) of every record in the file."""
    rows = store._rows("SELECT account, key FROM record", ())
    found = [(account.partition("/")[2], key) for account, key in rows]
    assert len(found) == len(set(found)), "a key was recorded twice"
    return set(found)


def problems(store: SQLiteStore, club: Club, members: Iterable[str] | None = None) -> list[str]:
    """Return what is wrong with the file and with the books of `members` (default: all), in words."""
    found = [str(row[0]) for row in store._rows("PRAGMA integrity_check", ())]
    wrong = found if found != ["ok"] else []
    for member in club.members() if members is None else sorted(members):
        wrong += [f"{member}: {problem}" for problem in club.verify(member)]
    return wrong


# ---------------------------------------------------------------- the programs


def hatch() -> None:
    """For each line "path first pages" on standard input fork a child that writes from `first` on until it is killed.

    The child says its process id, then each number with its answer once it is acknowledged; "dead" follows its end.
    `pages` is how long the log grows before it is folded into the file.
    """
    for line in sys.stdin:
        path, first, pages = json.loads(line)
        child = os.fork()
        if child == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            store = SQLiteStore(path)
            store._connection().execute(f"PRAGMA wal_autocheckpoint = {pages}")
            club = Club(PROGRAM, store)
            while True:
                os.write(1, f"{first} {answer(club, happening(first).call)}\n".encode())
                first += 1
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


def write(path: str, synchronous: str, lane: str, count: int) -> None:
    """Let `count` things happen in a lane, and append an acknowledgement of each to the log of the disk."""
    log = os.open(os.environ["DISK_LOG"], os.O_WRONLY | os.O_APPEND)
    for first in range(0, count, 120):
        with SQLiteStore(path) as store:
            execute = store._connection().execute
            execute(f"PRAGMA synchronous = {synchronous}")
            execute("PRAGMA wal_autocheckpoint = 60")
            club = Club(PROGRAM, store)
            for number in range(first, min(first + 120, count)):
                told = f"{lane} {number} {answer(club, happening(number, lane).call)}".encode()
                os.write(log, struct.pack("=c3xIQq", b"a", len(told), 0, 0) + told)


def fill(path: str, count: int, seed: int) -> None:
    """Let `count` things happen on a disk that runs full before each of them; print what came of it."""
    with open(os.environ["DISK_CONTROL"], "r+b") as file:
        control = mmap.mmap(file.fileno(), 16)
    chance = random.Random(seed)

    def space(free: int, failing: int = 0) -> None:
        control[:] = struct.pack("=qq", free, failing)

    space(2**60)
    report = Report()
    with SQLiteStore(path) as store:
        club = Club(PROGRAM, store)
        for number in range(count):
            free = chance.choice([0, 1, 3_000, chance.randrange(60_000)])
            report.attempt(store, club, number, partial(space, free), partial(space, 2**60))
        report.finish(store, club, count)


def limit(path: str, count: int) -> None:
    """The same where a file may not grow beyond the size that it has; print what came of it."""
    import resource  # not everywhere

    report = Report()

    def allow(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with SQLiteStore(path) as store:
        club = Club(PROGRAM, store)
        for number in range(count):
            size = os.path.getsize(path + "-wal")
            report.attempt(store, club, number, partial(allow, size + 1_000), partial(allow, resource.RLIM_INFINITY))
        report.finish(store, club, count)


def fail_to_sync(path: str, count: int) -> None:
    """Let `count` things happen on a disk that now and then cannot sync; print what came of it."""
    with open(os.environ["DISK_CONTROL"], "r+b") as file:
        control = mmap.mmap(file.fileno(), 16)
    report = Report()
    control[:] = struct.pack("=qq", 2**60, 0)
    with SQLiteStore(path) as store:
        club = Club(PROGRAM, store)
        for number in range(count):
            control[:] = struct.pack("=qq", 2**60, number % 3)
            report.answers[number] = answer(club, happening(number).call)
        report.finish(store, club, count)


class Report:
    """What came of things that happened while the disk was full."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.unsound: list[str] = []
        self.answers: dict[int, str] = {}

    def attempt(
        self, store: SQLiteStore, club: Club, number: int, full: Callable[[], object], free: Callable[[], object]
    ) -> None:
        """Try the n-th happening while the disk is full, look at everything, and try it again with space."""
        what = happening(number)
        before = stored_keys(store)
        full()
        try:
            self.answers[number] = answer(club, what.call)
        except StoreError as error:
            self.errors.append(type(error).__name__)
        known = sorted({member for member, _ in before})
        for member in known:
            club.balance(member, at=END)
            self.unsound += club.verify(member)
        new = stored_keys(store) - before
        if (number in self.answers and new != what.keys) or not new <= what.keys:
            self.unsound.append(f"{number}: {sorted(new)} was recorded of {sorted(what.keys)}")
        free()
        again = answer(club, what.call)
        if self.answers.setdefault(number, again) != again:
            self.unsound.append(f"{number}: answered otherwise when it was repeated")

    def check(self, store: SQLiteStore, club: Club, count: int) -> None:
        """Check that everything is there once, and in order."""
        everything = {key for number in range(count) for key in happening(number).keys}
        if stored_keys(store) != everything:
            self.unsound.append(f"not as recorded: {sorted(stored_keys(store) ^ everything)}")
        self.unsound += problems(store, club)

    def finish(self, store: SQLiteStore, club: Club, count: int) -> None:
        """Check everything and print the report."""
        self.check(store, club, count)
        print(json.dumps({"errors": self.errors, "unsound": self.unsound, "answers": list(self.answers.values())}))


# ---------------------------------------------------------------- many at once


def welcomes(members: Iterable[str]) -> list[Order]:
    """Return for each member an order that is worth enough points for all that they will redeem."""
    return [Order(f"welcome-{member}", member, START, amount="100000.00") for member in members]


def compete(path: str, name: str, mode: str, start: Any, deadline: Any, folder: str) -> None:
    """Write as often as turns come until the deadline: to one member, or to any of 200. Leave a list of it."""
    done: list[tuple[str, str, int]] = []  # member, key of the record, points
    chance = random.Random(name)
    with SQLiteStore(path) as store:
        club = Club(PROGRAM, store)
        start.wait(120)
        count = 0
        while time.monotonic() < deadline.value:
            member = "hot" if mode == "hot" else f"m{chance.randrange(200)}"
            at = START + timedelta(seconds=count)
            key = f"{name}-{count}"
            if count % 3 == 0:
                points = club.record(Order(key, member, at, amount="12.34")).points
            elif count % 3 == 1:
                points = club.redeem(member, 5, key=key, at=at).points
            else:
                points = club.earn(member, 2, key=key, at=at).points
            done.append((member, f"order:{key}" if count % 3 == 0 else f"key:{key}", points))
            count += 1
    Path(folder, name).write_text(json.dumps(done))


def facts() -> list[Fact]:
    """Return 300 facts of ten members: orders, later revisions, refunds, refunds that did not stand, visits.

    All of them can be true together, in whatever order they become known.
    """
    found: list[Fact] = []
    for number in range(130):
        who, at = f"m{number % 10}", START + timedelta(minutes=10 * number)
        lines = [Line("tea", 2, unit_price="6.25"), Line("mug", 1, total=f"{15 + number % 9}.00")]
        tenders = [paid_with_points(20, worth="0.20")] if number % 4 == 0 else []
        order = Order(f"o{number}", who, at, lines, tenders=tenders)
        found.append(order)
        if number < 20:
            later = at + timedelta(hours=30)
            found.append(attrs.evolve(order, lines=lines[:1], tenders=tenders, revision=2, revised_at=later))
        elif number < 120:
            part = [{"tea": 1}, None, {"mug": 1}, None][number % 4]
            amount = "4.00" if number % 4 == 3 else None
            found.append(Refund(f"r{number}", who, f"o{number}", at + timedelta(hours=50), part, amount))
        if 20 <= number < 40:
            found.append(Reversal(f"x{number}", who, f"o{number}", f"r{number}", at + timedelta(hours=60)))
    found += [Activity(f"v{n}", f"m{n % 10}", "visit", START + timedelta(hours=n)) for n in range(30)]
    assert len(found) == 300
    return found


def redemptions() -> list[Redeem]:
    """Return 100 redemptions of the same members, at instants between those of the facts."""
    return [
        Redeem(f"m{n % 10}", 7 + n % 5, key=f"k{n}", at=START + timedelta(minutes=13 * n + 700)) for n in range(100)
    ]


def deliveries(with_commands: bool) -> list[Call]:
    """Return the facts, and the redemptions too if asked for, as calls."""
    told: list[Fact | Redeem] = [*facts(), *(redemptions() if with_commands else ())]
    return [partial(_tell, told=each) for each in told]


def _tell(club: Club, told: Fact | Redeem) -> Receipt:
    return club.do(told) if isinstance(told, Redeem) else club.record(told)


def deliver(path: str, name: str, with_commands: bool, start: Any, folder: str) -> None:
    """Deliver everything in an order of one's own. Leave a list of the answers."""
    calls = deliveries(with_commands)
    order = list(range(len(calls)))
    random.Random(name).shuffle(order)
    answers = {}
    with SQLiteStore(path) as store:
        club = Club(PROGRAM, store)
        start.wait(120)
        for number in order:
            answers[number] = answer(club, calls[number])
    Path(folder, name).write_text(json.dumps([answers[number] for number in range(len(calls))]))


SCARCE = Program(
    "scarce",
    "USD",
    earning=[per_amount(1, each="1.00"), activity("gift", 10, budget=Budget("spring", 205))],
    rewards=[coins(100, worth="1.00"), reward("mug", 5, kind="gift", stock=7)],
)


def grab(path: str, name: str, start: Any, folder: str) -> None:
    """Take what one can of a budget and of a stock that others take of too, each thing asked for twice."""
    given, mugs = 0, 0
    with SQLiteStore(path) as store:
        club = Club(SCARCE, store)
        club.earn(name, 100, key="welcome", at=START)
        start.wait(120)
        for number in range(12):
            at = START + timedelta(hours=number)
            gift = Activity(f"{name}-{number}", name, "gift", at)
            receipt = club.record(gift)
            assert club.record(gift) == receipt
            given += receipt.points
            if number % 4 == 0:
                taken = [_took(club, name, f"mug-{number}", at) for _ in range(2)]
                assert taken[0] == taken[1]
                mugs += taken[0]
    Path(folder, name).write_text(json.dumps([given, mugs]))


def _took(club: Club, member: str, key: str, at: datetime) -> bool:
    try:
        club.redeem(member, 5, reward="mug", key=key, at=at)
    except Refused as error:
        if error.reason != "out_of_stock":
            raise
        return False
    return True


if __name__ == "__main__":
    globals()[sys.argv[1]](*json.loads(sys.argv[2]))
