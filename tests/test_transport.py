"""Books from one store to another, as rows and as lines: all of it, unchanged, any number of times."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loyaltykit import (
    Activity,
    Budget,
    Club,
    InputError,
    InsufficientPoints,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    SQLiteStore,
    StoreBusy,
    StoreError,
    activity,
    coins,
    days,
    months,
    per_amount,
    reward,
)
from loyaltykit.audit import accounts, seal, verify_all, whole
from loyaltykit.stores import move as move_module
from loyaltykit.stores.move import main, move
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._rows import as_lists, commit
from loyaltykit.testing.faults import FaultyStore, seeded
from loyaltykit.transport import copy, differences, export_lines, import_lines

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1), activity("review", 50, budget=Budget("spring", 10_000))],
    rewards=[coins(100, worth="1.00"), reward("mug", 50, stock=50)],
    validity=months(12),
    activation=days(3),
)


def at(day: float) -> datetime:
    """Return an instant, in days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _live(club: Club, members: int = 12, days_long: int = 40, seed: int = 1) -> None:
    chance = random.Random(seed)
    for number in range(members):
        who = f"m-{seed}-{number}"
        club.record(Member(who, at(0), attributes={"née": "Ünï '\"\\ "}))
        club.earn(who, 200, key="welcome", at=at(0), expires_at=at(chance.choice([20, 200])))
    for number in range(members * 4):
        who, other = (f"m-{seed}-{each}" for each in chance.sample(range(members), 2))
        when = at(1 + number * days_long / members / 4)
        club.record(Order(f"o-{number}", who, when, amount="30.00"))
        with suppress(InsufficientPoints):
            match chance.randrange(5):
                case 0:
                    club.record(Refund(f"r-{number}", who, f"o-{number}", when, amount="5.00"))
                case 1:
                    club.transfer(who, other, 5, key=f"t-{number}", at=when)
                case 2:
                    club.hold(who, 7, key=f"h-{number}", until=when + timedelta(days=3), at=when)
                case 3:
                    club.record(Activity(f"a-{number}", who, "review", when))
                case 4:
                    club.redeem(who, 50, reward="mug", key=f"k-{number}", at=when)


@pytest.fixture(scope="module")
def source() -> Iterator[Store]:
    """A store with a shop in it, that no test changes."""
    with MemoryStore() as store:
        _live(Club(PROGRAM, store))
        yield store


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "target.db")
    yield store
    store.close()


def _all(store: Store) -> object:
    return [(account, as_lists(whole(store, account))) for account, _ in accounts(store, "shop")], store.versions(
        "shop"
    )


# ---------------------------------------------------------------- from store to store


def test_copied_whole(source: Store, target: Store) -> None:
    """Every row of every account, budget and stock, and every version of the program, is in the target as it was."""
    assert 14 == copy(source, target, "shop").accounts
    assert _all(source) == _all(target)
    assert [] == list(differences(source, target, "shop"))
    assert seal(source, "shop", 0).root == seal(target, "shop", 0).root
    assert [] == list(verify_all(target, "shop"))
    for program in ("shop", "shop~budget", "shop~stock"):
        assert list(source.accounts(program)) == list(target.accounts(program))
    assert list(source.due("shop", 2**62)) == list(target.due("shop", 2**62))


def test_only_one_program(target: Store) -> None:
    """Other programs of the same store are left where they are."""
    store = MemoryStore()
    for name in ("shop", "shop2", "sho"):
        Club(Program(name, "USD", earning=per_amount(1)), store).record(Order("1", "ann", at(1), amount="9.00"))
    copy(store, target, "shop")
    assert ["shop"] == list(target.programs())
    assert [] == list(target.accounts("shop2"))


def test_a_club_goes_on_in_the_target(source: Store, target: Store) -> None:
    """A club on the copy knows what was recorded, under the same keys, and goes on."""
    copy(source, target, "shop")
    with Club(PROGRAM, target) as club:
        assert (
            club.earn("m-1-0", 200, key="welcome", at=at(0), expires_at=at(20)).replayed or club.verify("m-1-0") == []
        )
        before = club.balance("m-1-0", at=at(50)).available
        club.record(Order("new", "m-1-0", at=at(50), amount="10.00"))
        assert before + 10 == club.balance("m-1-0", at=at(53)).available
        assert [] == list(club.verify_all())


def test_again_and_what_is_new(target: Store) -> None:
    """Copying again adds what was recorded since, and nothing else: a shop can copy first, and stop for the rest."""
    store = MemoryStore()
    club = Club(PROGRAM, store)
    _live(club, seed=2)
    club.hold("m-2-4", 1, key="ends", until=at(55), at=at(45))
    assert 14 == copy(store, target, "shop").written
    assert 0 == copy(store, target, "shop").written
    club.record(Order("new", "m-2-3", at=at(50), amount="10.00"))
    club.sweep_all(at=at(60))
    club.record(Member("newcomer", at(60)))
    club.redeem("m-2-3", 50, reward="mug", key="one-more", at=at(61))
    assert 1 < copy(store, target, "shop").written < 16
    assert _all(store) == _all(target)
    assert [] == list(differences(store, target, "shop"))


def test_another_content_is_not_overwritten(source: Store, target: Store) -> None:
    """An account that the target has with another content is neither changed nor mixed with the source's."""
    target.append(commit("shop/m-1-5", 0, "a", "b"))
    before = as_lists(whole(target, "shop/m-1-5"))
    with pytest.raises(StoreError, match="m-1-5 with another content"):
        copy(source, target, "shop")
    assert before == as_lists(whole(target, "shop/m-1-5"))
    found = {finding.code: finding.account for finding in differences(source, target, "shop")}
    assert "shop/m-1-5" == found["different"]


def test_a_target_that_went_on(source: Store, target: Store) -> None:
    """Once something was recorded at the target, the source is no longer copied over it."""
    copy(source, target, "shop")
    Club(PROGRAM, target).earn("m-1-1", 5, key="at the target", at=at(70))
    with pytest.raises(StoreError, match="m-1-1 with another content"):
        copy(source, target, "shop")


def test_differences_are_named(source: Store) -> None:
    """What is missing, different, or only in the target is named."""
    target = MemoryStore()
    copy(source, target, "shop")
    target._accounts["shop/m-1-2"].lots.clear()
    del target._accounts["shop/m-1-3"]
    target._programs["shop"].remove("shop/m-1-3")
    target.append(commit("shop/zoe"))
    target.register("shop", 9, 0, "{}")
    assert [
        ("shop", "different"), ("shop/m-1-2", "different"), ("shop/m-1-3", "missing"), ("shop/zoe", "only_there"),
    ] == [(finding.account, finding.code) for finding in differences(source, target, "shop")]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_interrupted_copy(source: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, and however, the same call again brings the copy to its end."""
    monkeypatch.setattr("loyaltykit.transport._TOGETHER", 30)
    inner = MemoryStore()
    target = FaultyStore(inner, seeded(seed, rate=0.2))
    for _ in range(100):
        try:
            copy(source, target, "shop")
            break
        except StoreError as error:
            if not error.retry:
                raise
    assert [] == list(differences(source, inner, "shop"))


def test_progress(source: Store, target: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told every so many accounts, and at the end."""
    monkeypatch.setattr("loyaltykit.audit._PAGE", 5)
    told: list[tuple[int, str]] = []
    copy(source, target, "shop", progress=lambda *said: told.append(said))
    assert [(5, "shop/m-1-2"), (10, "shop/m-1-7")] == told[:2]
    assert (14, "shop~stock/mug") == told[-1]


# ---------------------------------------------------------------- as lines


def test_export_and_import(source: Store, target: Store) -> None:
    """What was exported can be read again, row by row as it was; the same books give the same bytes."""
    lines = list(export_lines(source, "shop"))
    assert lines == list(export_lines(source, "shop"))
    assert all(json.loads(line) for line in lines)
    copied = import_lines(target, lines)
    assert ("shop", 14, 14) == (copied.program, copied.accounts, copied.written)
    assert _all(source) == _all(target)
    assert lines == list(export_lines(target, "shop"))
    assert 0 == import_lines(target, (line + "\r\n" for line in lines)).written


def test_import_goes_on(source: Store, target: Store) -> None:
    """A file that ends too soon is refused, and what it held is kept: the whole of it completes the import."""
    lines = list(export_lines(source, "shop"))
    for some in (lines[:1], lines[:6], lines[:-1]):
        with pytest.raises(InputError, match="ends before"):
            import_lines(target, some)
    import_lines(target, lines)
    assert [] == list(differences(source, target, "shop"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda lines: [], "lines"),
        (lambda lines: ["{}", *lines[1:]], "line 1"),
        (lambda lines: [lines[0].replace('"books":1', '"books":2'), *lines[1:]], "books"),
        (lambda lines: [*lines[:4], *lines[5:]], "sha256"),
        (lambda lines: [*lines[:4], lines[4].replace(",200,", ",900,"), *lines[5:]], "sha256"),
        (lambda lines: [*lines[:4], lines[4][:-9], *lines[5:]], "line 5"),
        (lambda lines: [*lines[:4], "[]", *lines[5:]], "line 5"),
        (lambda lines: [*lines[:4], lines[4].replace('"shop/', '"other/'), *lines[5:]], "account"),
        (lambda lines: [*lines, lines[4]], "line 18"),
    ],
    ids=["empty", "no header", "later format", "line gone", "edited", "cut", "no object", "other program", "after"],
)
def test_bad_exports(source: Store, change: Callable[[list[str]], list[str]], field: str) -> None:
    """Lines that are not a whole export as it was written are refused, and the line is named."""
    lines = list(export_lines(source, "shop"))
    with pytest.raises(InputError) as error:
        import_lines(MemoryStore(), change(lines))
    assert field == error.value.field


# ---------------------------------------------------------------- the command


def _shop(path: Path) -> None:
    with SQLiteStore(path) as store:
        _live(Club(PROGRAM, store), members=5, seed=3)
        Club(Program("second", "USD", earning=per_amount(1)), store).record(Order("1", "ann", at(1), amount="9.00"))


def test_command(tmp_path: Path) -> None:
    """The command copies every program of a store, compares and verifies both sides, and says so."""
    _shop(tmp_path / "old.db")
    command = [sys.executable, "-m", "loyaltykit.stores.move", "old.db", "new.db"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert [
        "second: 1 accounts, 1 of them written",
        "second: compared, nothing wrong",
        "second: verified source, nothing wrong",
        "second: verified target, nothing wrong",
        "shop: 7 accounts, 7 of them written",
    ] == done.stdout.splitlines()[:5]
    with SQLiteStore(tmp_path / "old.db") as old, SQLiteStore(tmp_path / "new.db") as new:
        assert ["second", "shop"] == list(new.programs())
        assert [] == list(differences(old, new, "shop"))


def test_command_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the source's own books are wrong, the copy is as wrong, and the status says so."""
    _shop(tmp_path / "old.db")
    with SQLiteStore(tmp_path / "old.db") as store:
        more = "json_set(balances, '$.points[1]', json_extract(balances, '$.points[1]') + 7)"  # active
        store._connection().execute(f"UPDATE head SET balances = {more} WHERE account = 'shop/m-3-2'")
    assert 1 == main([str(tmp_path / "old.db"), str(tmp_path / "new.db")])
    said = capsys.readouterr().out
    assert "shop: compared, nothing wrong" in said
    assert 2 == said.count("shop/m-3-2: the balance of points is stored as")


def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is not there, or a database for which a package is missing, is said in one line."""
    assert 2 == main([str(tmp_path / "none.db"), str(tmp_path / "new.db")])
    assert "no such file" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()
    assert 1 == main([__file__, str(tmp_path / "new.db")])
    assert "is not a SQLite file" in capsys.readouterr().err


def test_moving_says_how_far_it_is(source: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large store says from time to time how far it is; a target with another content ends it."""
    said: list[str] = []
    monkeypatch.setattr("loyaltykit.audit._PAGE", 5)
    told = move_module._told(said.append, "copied")
    told(9_999, "a")
    told(10_000, "b")
    assert ["  copied 10,000 accounts, up to b"] == said
    target = MemoryStore()
    assert move(source, target, said.append)
    target.append(commit("shop/zoe"))
    assert not move(source, target, said.append)
    with pytest.raises(StoreBusy):
        move(source, FaultyStore(MemoryStore(), ["before"]), said.append)
