"""Seals: every way of changing what was recorded is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from loyaltykit import (
    Budget,
    Club,
    InputError,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    SQLiteStore,
    StoreError,
    activity,
    coins,
    months,
    per_amount,
    reward,
)
from loyaltykit.audit import seal, whole
from loyaltykit.journal import Context, Need
from loyaltykit.seals import Finding, Seal, compare, sealed, wrongs
from loyaltykit.stores.protocol import Store

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1), activity("review", 50, budget=Budget("spring", 10_000))],
    rewards=[coins(100, worth="1.00"), reward("mug", 5, stock=50)],
    validity=months(12),
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time, a second later with each question."""
        self.now += timedelta(seconds=1)
        return self.now


def at(day: float) -> datetime:
    """Return an instant, in days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _live(club: Club) -> None:
    for who in ("ann", "bob", "cy"):
        club.record(Member(who, at(0)))
        for number in range(1, 6):
            club.record(Order(f"{who}-{number}", who, at(number), amount=f"{10 * number}.00"))
        club.record(Refund(f"r-{who}", who, f"{who}-3", at(7), amount="5.00"))
        club.hold(who, 5, key="cart", until=at(300), at=at(8))
        club.redeem(who, 5, key="mug", reward="mug", at=at(9))


Shop = tuple[Club, Path, Clock]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A club with a history in a file, and the clock by which it records."""
    clock = Clock()
    with Club(PROGRAM, SQLiteStore(tmp_path / "shop.db"), clock=clock) as club:
        _live(club)
        yield club, tmp_path / "shop.db", clock


def _sealed(club: Club, clock: Clock) -> Seal:
    clock.now += timedelta(hours=1)
    made = club.seal()
    clock.now += timedelta(days=1)
    return made


def _run(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


ANN = "account = 'shop/ann'"
MORE = "json_set(balances, '$.points[1]', json_extract(balances, '$.points[1]') + {})"  # active

TAMPERING: list[tuple[str, list[str], set[str]]] = [
    (
        "a payload",
        [f"UPDATE record SET payload = replace(payload, '40', '90') WHERE {ANN} AND key = 'order:ann-4'"],
        {"record_changed: record 5 (order:ann-4) was changed"},
    ),
    (
        "an instant of recording",
        [f"UPDATE record SET recorded_at = recorded_at - 1 WHERE {ANN} AND version = 2"],
        {"record_changed: record 2 (order:ann-1) was changed"},
    ),
    (
        "a key",
        [f"UPDATE record SET key = 'order:other' WHERE {ANN} AND version = 6"],
        {"record_changed: record 6 (order:other) was changed"},
    ),
    (
        "the amount of an entry",
        [f"UPDATE record SET entries = json_set(entries, '$[0][3]', 1000) WHERE {ANN} AND version = 3"],
        {"entries_changed: the entries of record 3 (order:ann-2) were changed, removed or added"},
    ),
    (
        "an entry is gone",
        [f"UPDATE record SET entries = json_remove(entries, '$[0]') WHERE {ANN} AND version = 7"],
        {"entries_changed: the entries of record 7 (refund:r-ann) were changed, removed or added"},
    ),
    (
        "an entry more",
        [
            "UPDATE record SET entries = json_insert(entries, '$[#]',"
            f" json_set(json_extract(entries, '$[0]'), '$[0]', 9)) WHERE {ANN} AND version = 4"
        ],
        {"entries_changed: the entries of record 4 (order:ann-3) were changed, removed or added"},
    ),
    (
        "a record is gone",
        [f"DELETE FROM record WHERE {ANN} AND version = 4"],
        {"records_removed: 1 records are gone, from version 4 on"},
    ),
    (
        "a record is gone, and the others close ranks",
        [
            f"DELETE FROM record WHERE {ANN} AND version = 4",
            f"UPDATE record SET version = version - 1 WHERE {ANN} AND version > 4",
            f"UPDATE head SET version = version - 1 WHERE {ANN}",
        ],
        {"records_removed: 1 records are gone, from version 4 on"},
    ),
    (
        "a record more",
        [
            f"UPDATE record SET version = version + 1 WHERE {ANN} AND version > 4",
            "INSERT INTO record SELECT account, 5, 'order:new', kind, ref, at, recorded_at, fingerprint, status,"
            f" payload, '[]', outcome, '[]' FROM record WHERE {ANN} AND version = 4",
            f"UPDATE head SET version = version + 1 WHERE {ANN}",
        ],
        {"records_added: record 5 (order:new) was put in"},
    ),
    (
        "two records change places",
        [
            f"UPDATE record SET version = 99 WHERE {ANN} AND version = 3",
            f"UPDATE record SET version = 3 WHERE {ANN} AND version = 5",
            f"UPDATE record SET version = 5 WHERE {ANN} AND version = 99",
        ],
        {"records_moved: records 3, 5 are not in the order in which they were recorded"},
    ),
    (
        "the tail is cut, and all follows from what is left",
        [
            f"DELETE FROM record WHERE {ANN} AND version > 8",
            f"UPDATE head SET version = 8, at = {int(at(8).timestamp())}000000 WHERE {ANN}",
            f"UPDATE lot SET active = active + 5, spent = spent - 5 WHERE {ANN} AND lot = 'order:ann-1'",
            f"UPDATE head SET balances = {MORE.format(5)} WHERE {ANN}",
            f"UPDATE head SET balances = json_set(balances, '$.points[13]', 0) WHERE {ANN}",  # redeemed
            f"DELETE FROM item WHERE {ANN} AND name = 'mug'",
        ],
        {"tail_cut: the last 1 of 9 records are gone, from version 9 on"},
    ),
    (
        "lots",
        [f"UPDATE lot SET active = active + 70, issued = issued + 70 WHERE {ANN} AND lot = 'order:ann-5'"],
        {"rows_changed: lots, balances, items or the head of version 9 changed"},
    ),
    (
        "a balance",
        [f"UPDATE head SET balances = {MORE.format(70)} WHERE {ANN}"],
        {"rows_changed: lots, balances, items or the head of version 9 changed"},
    ),
    (
        "a hold",
        [f"DELETE FROM item WHERE {ANN} AND kind = 'hold'"],
        {"rows_changed: lots, balances, items or the head of version 9 changed"},
    ),
    (
        "the head",
        [f"UPDATE head SET status = 'closed' WHERE {ANN}"],
        {"rows_changed: lots, balances, items or the head of version 9 changed"},
    ),
    (
        "an account is gone",
        [f"DELETE FROM {table} WHERE {ANN}" for table in ("head", "record", "lot", "item")],
        {"account_removed: the account is gone; it had 9 records"},
    ),
    (
        "an account more, as if it had always been there",
        [
            f"INSERT INTO {table} SELECT 'shop/zoe', {columns} FROM {table} WHERE {ANN}"
            for table, columns in [
                ("head", "program, version, at, recorded_at, settled_at, next_at, status, note, balances"),
                (
                    "record",
                    "version, key, kind, ref, at, recorded_at, fingerprint, status, payload, plan, outcome, '[]'",
                ),
            ]
        ],
        {"account_added: the account says that it was there on 2026-06-01 00:00, and is not in the seal"},
    ),
    (
        "a stock",
        ["UPDATE item SET value = '1' WHERE account = 'shop~stock/mug' AND kind = 'count'"],
        {"rows_changed: lots, balances, items or the head of version 3 changed"},
    ),
    (
        "the program",
        ['UPDATE program SET payload = replace(payload, \'"currency":"USD"\', \'"currency":"EUR"\')'],
        {"program_changed: version 1 of the program was changed"},
    ),
    (
        "when the program began",
        ["UPDATE program SET effective_from = 5"],
        {"program_changed: version 1 of the program was changed"},
    ),
    ("the program is gone", ["DELETE FROM program"], {"program_removed: version 1 of the program is gone"}),
]


@pytest.mark.parametrize(("statements", "named"), [each[1:] for each in TAMPERING], ids=[each[0] for each in TAMPERING])
def test_tampering_is_named(shop: Shop, statements: list[str], named: set[str]) -> None:
    """Whatever is changed behind the store's back is found by the seal and named."""
    club, path, clock = shop
    made = _sealed(club, clock)
    assert [] == list(club.check(made))
    _run(path, *statements)
    found = {f"{each.code}: {each.message}" for each in club.check(made) if each.code != "wrong"}
    assert named == found


def test_tampering_is_named_after_more_was_recorded(shop: Shop) -> None:
    """What was recorded since is no finding, and hides none."""
    club, path, clock = shop
    made = _sealed(club, clock)
    club.record(Order("ann-9", "ann", at(20), amount="9.00"))
    club.record(Order("dee-1", "dee", at(20), amount="9.00"))
    club.sweep_all(at=at(500))
    assert [] == list(club.check(made))
    _run(path, f"UPDATE record SET payload = replace(payload, '40', '90') WHERE {ANN} AND key = 'order:ann-4'")
    assert ["record_changed"] == [each.code for each in club.check(made) if each.code != "wrong"]


def test_what_verify_finds_besides(shop: Shop) -> None:
    """Lots and balances that do not follow from the records are found without a seal, whichever account it is."""
    club, path, _ = shop
    assert [] == list(club.verify_all())
    _run(
        path,
        f"UPDATE lot SET active = active + 70 WHERE {ANN} AND lot = 'order:ann-5'",
        f"UPDATE head SET balances = {MORE.format(1)} WHERE account = 'shop/bob'",
        "UPDATE record SET plan = '[[1,2' WHERE account = 'shop/cy' AND version = 3",
    )
    found = {each.account: each for each in club.verify_all()}
    assert ["shop/ann", "shop/bob", "shop/cy"] == list(found)
    assert ("cy", "wrong") == (found["shop/cy"].member, found["shop/cy"].code)
    assert "cannot be folded" in str(found["shop/cy"])


def test_backdated(shop: Shop) -> None:
    """What says that it was recorded before the seal, and is not in it, is named: a record, or a whole account."""
    club, _, clock = shop
    made = _sealed(club, clock)
    clock.now -= timedelta(days=3)  # to the books, a clock that goes back is no other than somebody who says so
    club.earn("ann", 50, key="late", at=at(30))
    club.record(Member("zoe", at(1)))
    found = {each.account: each.code for each in club.check(made)}
    assert {"shop/ann": "backdated", "shop/zoe": "account_added"} == found


def test_forged_marks() -> None:
    """Where the short marks are made to fit, the chain still tells that something was changed."""
    club = Club(PROGRAM, MemoryStore())
    _live(club)
    context = whole(club._store, "shop/ann")
    changed = {key: record._replace(at=record.at + 1) for key, record in context.records.items()}
    forged = attrs.evolve(sealed("shop/ann", context), marks=sealed("x", context._replace(records=changed)).marks)
    found = list(compare(forged, context._replace(records=changed), at(0)))
    assert {"record_changed"} == {each.code for each in found if each.code != "backdated"}


# ---------------------------------------------------------------- the seal itself


def test_the_same_books_have_the_same_seal(tmp_path: Path) -> None:
    """Stores of different kinds that hold the same have the same root; a root changes with whatever is recorded."""
    roots = []
    for store in (MemoryStore(), SQLiteStore(tmp_path / "shop.db")):
        with Club(PROGRAM, store, clock=Clock()) as club:
            _live(club)
            first = seal(store, "shop", 0)
            assert first.root == seal(store, "shop", 0).root
            club.earn("ann", 1, key="one", at=at(9))
            roots.append((first.root, seal(store, "shop", 0).root))
    assert roots[0] == roots[1]
    assert roots[0][0] != roots[0][1]


def test_written_and_read(shop: Shop) -> None:
    """A seal is kept as lines; lines that are missing or changed are refused."""
    club, _, clock = shop
    made = _sealed(club, clock)
    lines = list(made.lines())
    assert made == Seal.of_lines(line + "\n" for line in lines)
    assert made.root in lines[-1]
    for wrong in ([], lines[:-1], lines[:2] + lines[3:], [*lines[:2], lines[2].replace("9", "8"), *lines[3:]], ["["]):
        with pytest.raises(InputError, match="seal"):
            Seal.of_lines(wrong)
    with pytest.raises(InputError, match="another version"):
        Seal.of_lines([lines[0].replace('"seal":1', '"seal":2'), *lines[1:]])


class _Counting(MemoryStore):
    """A store that counts which accounts are read whole."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def load(self, need: Need) -> Context:
        """Load, and note it."""
        if need.everything:
            self.read.append(need.account)
        return super().load(need)


def test_sealing_again_reads_what_is_new() -> None:
    """With an earlier seal only accounts that were written to are read, and the seal is the same as without."""
    store, clock = _Counting(), Clock()
    club = Club(PROGRAM, store, clock=clock)
    _live(club)
    first = club.seal()
    club.earn("bob", 5, key="five", at=at(10))
    club.record(Member("zoe", at(10)))
    store.read.clear()
    second = club.seal(first)
    assert ["shop/bob", "shop/zoe"] == store.read
    assert attrs.evolve(club.seal(), at=second.at) == second
    assert [] == list(club.check(first)) == list(club.check(second))


def test_sealing_again_does_not_cover_up() -> None:
    """What was changed before is not sealed as if it were right: the new seal is refused, or names it later."""
    store = MemoryStore()
    club = Club(PROGRAM, store, clock=Clock())
    _live(club)
    first = club.seal()
    kept = store._accounts["shop/ann"]
    forged = kept.records[1]._replace(payload="{}")
    kept.records[1] = kept.by_key[forged.key] = forged
    second = club.seal(first)  # nothing was recorded since: the account is not read
    assert ["record_changed"] == [each.code for each in club.check(second)]
    club.earn("ann", 5, key="five", at=at(10))
    with pytest.raises(StoreError, match="shop/ann"):
        club.seal(first)


def test_erasure_and_seals() -> None:
    """An erasure shows against an earlier seal, for the account is gone from under its name; a new seal is clean."""
    clock = Clock()
    club = Club(PROGRAM, MemoryStore(), clock=clock)
    _live(club)
    first = _sealed(club, clock)
    club.erase("ann", at=at(20), pseudonym="x")
    assert {"shop/ann", "shop/x", "shop~stock/mug"} == {each.account for each in club.check(first)}
    second = club.seal()
    assert [] == list(club.check(second))
    assert "ann" not in "".join(second.lines())


# ---------------------------------------------------------------- in batches


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever walks over the whole store tells how far it is."""
    monkeypatch.setattr("loyaltykit.audit._PAGE", 2)
    club = Club(PROGRAM, MemoryStore(), clock=Clock())
    _live(club)
    wanted = [(2, "shop/bob"), (4, "shop~stock/mug")]
    walks: list[Callable[[Any], Any]] = [
        lambda told: list(club.verify_all(progress=told)),
        lambda told: club.seal(progress=told),
        lambda told: list(club.check(club.seal(), progress=told)),
    ]
    for walk in walks:
        told: list[tuple[int, str]] = []
        walk(lambda done, account, told=told: told.append((done, account)))
        assert wanted == told


def test_sweep_in_batches() -> None:
    """Everything that is due is swept, some members at a time, and progress is told after each batch."""
    store = MemoryStore()
    club = Club(PROGRAM, store)
    for number in range(23):
        club.earn(f"m{number:02}", 10, key="a", at=at(0), expires_at=at(10 + number % 3))
    told: list[tuple[int, str]] = []
    assert 16 == club.sweep_all(at=at(11), batch=5, progress=lambda *said: told.append(said))
    assert [5, 10, 15, 16] == [done for done, _ in told]
    assert [] == list(store.due("shop", int(at(11).timestamp() * 1e6)))
    assert 0 == club.sweep_all(at=at(11))
    assert 7 == club.sweep_all(at=at(12))
    assert [] == list(club.verify_all())


def test_sweep_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays due although it was swept does not keep the sweep going for ever."""
    club = Club(PROGRAM, MemoryStore())
    club.earn("ann", 10, key="a", at=at(0), expires_at=at(10))
    monkeypatch.setattr(MemoryStore, "due", lambda self, program, before, limit=100: ["shop/ann"])
    assert 1 == club.sweep_all(at=at(11))


def test_findings_say_where() -> None:
    """A finding names the account and says what is wrong in words."""
    club = Club(PROGRAM, MemoryStore())
    _live(club)
    store: Store = club._store
    context = whole(store, "shop/bob")
    points = context.balances["points"]
    forged = context._replace(balances={"points": points._replace(active=1)})
    found = list(wrongs("shop/bob", forged))
    assert [("bob", "wrong")] == [(each.member, each.code) for each in found]
    assert str(found[0]).startswith("shop/bob: the balance of points is stored as")
    assert Finding("shop/bob", "wrong", "x") == Finding("shop/bob", "wrong", "x")
