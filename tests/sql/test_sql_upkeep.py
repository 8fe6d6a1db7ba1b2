"""Moving, erasing, sealing and verifying on databases: what the stores of the library do, this one does too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from loyaltykit import (
    Budget,
    Club,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    SQLiteStore,
    activity,
    coins,
    per_amount,
    reward,
)
from loyaltykit.audit import seal
from loyaltykit.stores.move import main
from loyaltykit.stores.sql import SqlStore
from loyaltykit.transport import copy, differences, export_lines, import_lines

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1), activity("review", 50, budget=Budget("spring", 10_000))],
    rewards=[coins(100, worth="1.00"), reward("mug", 5, stock=50)],
)


def at(day: float) -> datetime:
    """Return an instant, in days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _live(club: Club) -> None:
    for who in ("ann", "Ann", "bob", "née", "ß"):
        club.record(Member(who, at(0), birthday=date(1980, 4, 1), attributes={"street": f"of {who} '\"\\ 😀"}))
        for number in range(1, 6):
            club.record(Order(f"{who}-{number}", who, at(number), amount=f"{10 * number}.00"))
        club.record(Refund(f"r-{who}", who, f"{who}-3", at(7), amount="5.00"))
        club.hold(who, 5, key="cart", until=at(300), at=at(8))
        club.redeem(who, 5, key="mug", reward="mug", at=at(9))
    club.transfer("ann", "bob", 7, key="present", at=at(10))


@pytest.fixture
def books() -> Iterator[MemoryStore]:
    """A shop's books."""
    with MemoryStore() as store:
        _live(Club(PROGRAM, store))
        yield store


def test_copied_and_exported(store: SqlStore, books: MemoryStore) -> None:
    """Books copied into a database have the same hashes there, and come out of it byte by byte as they went in."""
    copy(books, store, "shop")
    assert [] == list(differences(books, store, "shop"))
    assert seal(books, "shop", 0).root == seal(store, "shop", 0).root
    lines = list(export_lines(store, "shop"))
    assert list(export_lines(books, "shop")) == lines
    with MemoryStore() as again:
        import_lines(again, lines)
        assert [] == list(differences(store, again, "shop"))


def test_grows_after_a_copy(store: SqlStore, books: MemoryStore) -> None:
    """What was recorded since the first copy is added by the next."""
    copy(books, store, "shop")
    club = Club(PROGRAM, books)
    club.sweep_all(at=at(400))
    club.record(Order("new", "née", at(401), amount="8.00"))
    assert 5 <= copy(books, store, "shop").written
    assert [] == list(differences(books, store, "shop"))


def test_erased(store: SqlStore) -> None:
    """A person is erased from a database as from a file: no row names them, and the sums are as before."""
    club = Club(PROGRAM, store)
    _live(club)
    before = [club.balance("ann", at=at(day)) for day in range(0, 20, 3)]
    club.erase("ann", at=at(20), pseudonym="x")
    assert before == [club.balance("x", at=at(day)) for day in range(0, 20, 3)]
    assert sorted(["Ann", "bob", "née", "ß", "x"]) == list(club.members())
    assert [] == list(club.verify_all())
    text = "\n".join(export_lines(store, "shop"))
    assert "Ann-1" in text
    assert [] == [word for word in ('"ann', "ann-", "of ann", "ann/", ":ann:") if word in text]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_command(
    kind: str, tmp_path: Path, new_url: Callable[[str], sa.URL], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command moves a SQLite store to a database, and back, and verifies both sides."""
    with Club(PROGRAM, SQLiteStore(tmp_path / "shop.db")) as club:
        _live(club)
    url = new_url(kind).render_as_string(hide_password=False)
    assert 0 == main([str(tmp_path / "shop.db"), url])
    assert 0 == main([str(tmp_path / "shop.db"), url])
    assert 0 == main([url, str(tmp_path / "back.db")])
    said = capsys.readouterr().out.splitlines()
    assert ["6 of them written", "0 of them written", "6 of them written"] == [
        line.partition(", ")[2] for line in said if "written" in line
    ]
    with SQLiteStore(tmp_path / "shop.db") as first, SQLiteStore(tmp_path / "back.db") as last:
        assert list(export_lines(first, "shop")) == list(export_lines(last, "shop"))
