"""Scenarios on stores that processes can share: facts from two of them at once, and databases by their URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loyaltykit import SQLiteStore
from loyaltykit.errors import InputError
from loyaltykit.journal import Context, Need
from loyaltykit.stores import MemoryStore
from loyaltykit.testing import scenarios
from loyaltykit.testing._scenario_race import Begin, partner
from loyaltykit.testing._scenario_stores import STORES, Shared

BOTH = "facts from two processes at once"


def document(*steps: dict[str, Any], **fields: Any) -> scenarios.Scenario:
    """Return a document with these steps, whose facts may come in any order."""
    data = {"scenario": 1, "permute": True, **fields, "steps": [{"at": "2026-01-01", **step} for step in steps]}
    return scenarios.parse(data)


TEN = document(
    *({"order": f"{number}0.00"} for number in range(1, 11)), {"redeem": 5}, {"order": "1.00"}, {"expect": 546}
)


@pytest.fixture
def sqlite() -> Iterator[Callable[[], Any]]:
    """SQLite as the command line has it."""
    with STORES["sqlite"]() as make:
        yield make


def test_facts_come_from_two_processes(sqlite: Callable[[], Any]) -> None:
    """On a store that processes share, documents that say so are also played from two at once."""
    assert 1 + scenarios.ORDERS == scenarios.run(TEN, MemoryStore).runs
    report = scenarios.run(TEN, sqlite)
    assert (report.ok, report.runs) == (True, 2 + scenarios.ORDERS), str(report)


def test_what_the_other_process_loses_is_found(tmp_path: Path) -> None:
    """Facts of the other process that are not in the store in the end are missed."""
    numbers = iter(range(99))
    makes = Shared(
        lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db"), lambda store: partial(SQLiteStore, store.path + "-other")
    )
    failures = scenarios.run(TEN, makes).failures
    assert {BOTH} == {failure.replay for failure in failures}
    assert "steps[12].expect.available" in {failure.place for failure in failures}


class Careless(SQLiteStore):
    """A store that the other process can do nothing with, not even see that a fact has been recorded meanwhile."""

    def load(self, need: Need) -> Context:
        """Fail."""
        raise InputError("store", "other", "there is no paper left")


def test_what_goes_wrong_in_the_other_process_is_reported(tmp_path: Path) -> None:
    """An error of the other process is a failing expectation of the fact that it recorded."""
    numbers = iter(range(99))
    makes = Shared(lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db"), lambda store: partial(Careless, store.path))
    wrong = document({"order": "10.00"}, {"order": "20.00"}, {"expect": 30})
    failures = [each for each in scenarios.run(wrong, makes).failures if each.replay == BOTH]
    assert ["steps[1].refused", "steps[0].refused"] == [each.place for each in failures][:2]
    assert "no paper left" in failures[0].why


class Broken(SQLiteStore):
    """A store that the other process cannot open, for a reason that cannot be sent."""

    def __init__(self, path: str) -> None:
        class Peculiar(Exception):
            pass

        raise Peculiar("no such drawer")


def test_a_store_that_the_other_process_cannot_open(tmp_path: Path) -> None:
    """That the other process cannot begin is reported, whatever the reason; the next one can."""
    numbers = iter(range(99))
    makes = Shared(lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db"), lambda store: partial(Broken, store.path))
    failures = [each for each in scenarios.run(TEN, makes).failures if each.replay == BOTH]
    assert ("the second process", "Peculiar: no such drawer") == (failures[0].place, failures[0].why)
    with STORES["sqlite"]() as make:
        assert scenarios.run(TEN, make).ok


def test_one_other_process_does(sqlite: Callable[[], Any]) -> None:
    """The other process is started once, and goes on with the next store."""
    first = partner()
    for _ in range(2):
        store = sqlite()
        first.do(Begin(partial(SQLiteStore, store.path), TEN.variants[0].programs))
        first.begin([])
        assert [] == first.end()
        first.do(None)
        store.close()
    assert first is partner()


# ---------------------------------------------------------------- databases


needs_sql = pytest.mark.skipif(find_spec("sqlalchemy") is None, reason="needs sqlalchemy: pip install loyaltykit[sql]")


@needs_sql
def test_a_database_by_its_url(tmp_path: Path) -> None:
    """A database is named by its URL; its own tables are left alone, and those of the scenarios are gone in the end."""
    import sqlalchemy as sa

    from loyaltykit.stores.sql import SqlStore

    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with SqlStore(url) as store:
        store.create()
    engine = sa.create_engine(url)
    before = sa.inspect(engine).get_table_names()
    for report in (scenarios.run(TEN, url), scenarios.run(TEN, url)):
        assert (report.ok, report.runs) == (True, 2 + scenarios.ORDERS), str(report)
    assert before == sa.inspect(engine).get_table_names()
    engine.dispose()


@needs_sql
@pytest.mark.parametrize("url", ["paper://shop", "sqlite+paper:///shop.db"])
def test_no_such_database(url: str) -> None:
    """What is no database's URL is refused, and named."""
    with pytest.raises(InputError, match="store="):
        scenarios.run(TEN, url)


def test_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    with pytest.raises(InputError, match=r"loyaltykit\[sql\]"):
        scenarios.run(TEN, "sqlite:///shop.db")
