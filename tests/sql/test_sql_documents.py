"""The scenario documents and the stateful machine on the SQL store, over every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from loyaltykit.stores import MemoryStore
from loyaltykit.stores.sql import SqlStore
from loyaltykit.testing import scenarios
from loyaltykit.testing.machine import ClubMachine

DOCUMENTS = scenarios.documents(Path(__file__).parent.parent / "scenarios")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_document(path: Path, reused: Callable[[], SqlStore]) -> None:
    """What a scenario document says comes true on a database server as it does in memory."""
    scenarios.check(path, reused)


def test_memory_sql_and_the_model_agree(reused: Callable[[], SqlStore]) -> None:
    """Random steps leave the SQL store equal to memory, row by row, and to the model, at every instant."""

    class Machine(ClubMachine):
        makers = (MemoryStore, reused)
        steps: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    assert sum(Machine.steps.values()) > 100
