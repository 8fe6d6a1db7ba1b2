"""The shop's program, and its club inside Django's own transaction."""

from collections.abc import Callable
from typing import TypeVar

from django.db import connection, transaction

from loyaltykit import Club, Program, coins, months, per_amount
from loyaltykit.stores.sql import SqlStore, run_transaction

PROGRAM = Program(
    name="Corner Shop Club",
    currency="USD",
    earning=[per_amount(1, each="1.00")],
    validity=months(12),
    rewards=[coins(100, worth="1.00")],
)

R = TypeVar("R")


def in_one_transaction(work: Callable[[Club], R]) -> R:
    """Do the shop's work and the club's in one transaction: both are there in the end, or neither.

    Where another request changed the same member in the meantime, all of it is done again.
    """
    return run_transaction(transaction.atomic, lambda _: work(Club(PROGRAM, SqlStore.enlisted(connection.connection))))
