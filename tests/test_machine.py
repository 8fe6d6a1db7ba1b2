"""The stateful machine: memory against SQLite, and both against the plain model, with faults injected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from loyaltykit import MemoryStore, SQLiteStore
from loyaltykit.stores.protocol import Store
from loyaltykit.testing.machine import ClubMachine

STEPS = 10_000
LENGTH = 45
"""Rules an example; about 50 steps."""


@pytest.fixture
def sqlite(tmp_path: Path) -> Callable[[], Store]:
    """Make SQLite stores, each in a file of its own."""
    numbers = count()
    return lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db")


def test_memory_sqlite_and_the_model_agree(sqlite: Callable[[], Store]) -> None:
    """At least 10,000 random steps leave both stores equal, row by row, and equal to the model, at every instant."""

    class Machine(ClubMachine):
        makers = (MemoryStore, sqlite)
        steps: ClassVar[Counter[str]] = Counter()

    rounds = 0
    while (left := STEPS - sum(Machine.steps.values())) > 0:
        rounds += 1
        assert rounds < 20, f"only {Machine.steps} steps"
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(10, left // 50),
                stateful_step_count=LENGTH,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    assert sum(Machine.steps.values()) >= STEPS
