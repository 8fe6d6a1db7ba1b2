"""The example docs/examples/import_in_parallel.py: every core, one file, and the books of one after the other."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loyaltykit import Club, MemoryStore, Order, Program, SQLiteStore, per_amount

SCRIPT = Path(__file__).parents[1] / "docs" / "examples" / "import_in_parallel.py"
BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)
ORDERS = [
    Order(f"o-{number}", f"member {number % 37}", BEGIN + timedelta(hours=number), amount=f"{number % 50}.95")
    for number in range(400)
]
PROGRAM = Program(name="Corner Shop Club", currency="USD", earning=per_amount(1))


def imported(orders: Path, books: Path) -> str:
    """Run the script in a process of its own; return what it prints."""
    command = [sys.executable, str(SCRIPT), str(orders), str(books)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def said(club: Club, member: str, at: datetime) -> list[tuple[datetime, str, int, int]]:
    """Return a member's statement, without when its rows were recorded."""
    return [(row.at, row.kind, row.amount, row.balance) for row in club.statement(member, at=at)]


def test_the_books_are_those_of_one_process(tmp_path: Path) -> None:
    """Every member's balance and statement are those of a club that records one order after the other; again, too."""
    orders, books = tmp_path / "orders.csv", tmp_path / "shop.db"
    with orders.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "member", "at", "amount"])
        rows.writerows([each.id, each.member, each.at.isoformat(), each.goods] for each in ORDERS)
    alone = Club(PROGRAM, MemoryStore())
    earned = sum(alone.record(order).points for order in ORDERS)
    for _ in range(2):
        assert imported(orders, books) == f"{earned:,} points earned\n"
        with Club(PROGRAM, SQLiteStore(books)) as club:
            now = ORDERS[-1].at
            for member in {order.member for order in ORDERS}:
                assert said(club, member, now) == said(alone, member, now)
                assert club.verify(member) == []
            assert sum(1 for _ in club.members()) == 37


def test_what_is_wrong_with_an_order_is_said(tmp_path: Path) -> None:
    """The import stops with the field and the value, and the script fails."""
    orders = tmp_path / "orders.csv"
    orders.write_text("id,member,at,amount\n1,ann,2026-03-02T09:00,5.00\n", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        imported(orders, tmp_path / "shop.db")
    assert "order.at" in failure.value.stderr
    assert "has no time zone" in failure.value.stderr
