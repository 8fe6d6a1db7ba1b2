"""Import orders from a CSV file with every core: each process records those of members of its own.

    python docs/examples/import_in_parallel.py orders.csv shop.db

The file has the columns id, member, at (ISO 8601 with its offset) and amount. Run again, it changes nothing.
"""

from __future__ import annotations

import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from itertools import repeat
from zlib import crc32

from loyaltykit import Club, Order, Program, SQLiteStore, per_amount

PROGRAM = Program(name="Corner Shop Club", currency="USD", earning=per_amount(1))


def load(orders: str, books: str, part: int, parts: int) -> int:
    """Record the orders of one part of the members, and return what they earned."""
    with Club(PROGRAM, SQLiteStore(books)) as club, open(orders, newline="", encoding="utf-8") as file:
        mine = (
            Order(row["id"], row["member"], datetime.fromisoformat(row["at"]), amount=row["amount"])
            for row in csv.DictReader(file)
            if crc32(row["member"].encode()) % parts == part
        )
        return sum(receipt.points for receipt in club.record_many(mine))


def main(orders: str, books: str, parts: int = os.cpu_count() or 1) -> None:
    """Record all orders, and print what they earned."""
    with ProcessPoolExecutor(parts) as pool:
        points = sum(pool.map(load, repeat(orders), repeat(books), range(parts), repeat(parts)))
    print(f"{points:,} points earned")


if __name__ == "__main__":
    main(*sys.argv[1:])
