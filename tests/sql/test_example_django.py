"""The example docs/examples/django_shop: its own tests, by Django's test runner, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from loyaltykit.stores.sql import run_transaction

PROJECT = Path(__file__).parents[2] / "docs" / "examples" / "django_shop"

pytestmark = pytest.mark.skipif(find_spec("django") is None, reason="NOT TESTED: no django is installed")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_example_passes_its_own_tests(kind: str, new_url: Callable[[str], Any]) -> None:
    """The example's tests pass, on tables that its migrations made, and Django's migrations are complete."""
    url = new_url(kind)
    where = str(url.database if kind == "sqlite" else url.set(drivername=kind))
    for command in (["test", "--noinput"], ["makemigrations", "--check"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *command],
            cwd=PROJECT,
            env={**os.environ, "SHOP_DATABASE": where, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert command[0] != "test" or "Ran 4 tests" in done.stdout


def test_an_error_of_djangos_own_is_recognized() -> None:
    """Where Django says in its own words that a transaction was overtaken, all of it is done again."""

    class SerializationFailure(Exception):
        sqlstate = "40001"

    tries: list[int] = []

    def overtaken_once(_: object) -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            raise RuntimeError("could not serialize access") from SerializationFailure()
        return "done"

    assert "done" == run_transaction(nullcontext, overtaken_once)
    assert [0, 1] == tries
