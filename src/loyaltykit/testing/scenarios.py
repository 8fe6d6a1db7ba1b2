"""Scenarios as data: "given this program and these events, then these numbers", in JSON, for anyone to write and run.

A document is an object with these fields; ``docs/how-to/write-a-scenario.md`` shows how to write one, and `schema` is
its JSON Schema::

    {
      "scenario": 1,
      "title": "Points expire, spent ones do not",
      "steps": [
        {"at": "2026-01-01", "earn": {"points": 100, "through": "2026-02-28"}},
        {"at": "2026-02-15", "redeem": 80, "expect": 20},
        {"at": "2026-03-01", "expect": {"available": 0, "expired": 20}}
      ]
    }

Run documents from the command line, on one store or several::

    python -m loyaltykit.testing.scenarios PATH... --store memory --store sqlite

It prints each expectation that is not met, with what was expected, what came, and why. The exit status is 1 if any
was not met, and 2 if a document is malformed. In a test suite of your own, call `check` on each of `documents`.
It needs neither pytest nor any other extra.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from loyaltykit.errors import InputError
from loyaltykit.rules import counted
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._scenario_form import VERSION
from loyaltykit.testing._scenario_json import decoded, encoded
from loyaltykit.testing._scenario_orders import ORDERS
from loyaltykit.testing._scenario_read import PRESETS, Scenario, parse
from loyaltykit.testing._scenario_run import Failure, Report, run_scenario
from loyaltykit.testing._scenario_schema import schema
from loyaltykit.testing._scenario_stores import STORES, opened

__all__ = [
    "MAX_SIZE",
    "ORDERS",
    "PRESETS",
    "STORES",
    "VERSION",
    "Failure",
    "Report",
    "Scenario",
    "check",
    "documents",
    "dumps",
    "load",
    "loads",
    "main",
    "parse",
    "run",
    "schema",
]

MAX_SIZE = 10_000_000
"""Characters (or bytes) in one document."""


# ---------------------------------------------------------------- reading


def loads(text: str | bytes, source: str = "scenario") -> Scenario:
    """Return the scenario that a JSON text describes.

    Raises `InputError` whose field is the place of what is wrong, such as ``steps[2].redeem.points``.

    >>> loads('{"scenario": 1, "title": "A gift", "steps": [{"at": "2026-01-01", "earn": 100}]}').title
    'A gift'
    >>> loads('{"scenario": 1, "steps": [{"at": "2026-01-01", "earn": "many"}]}')
    Traceback (most recent call last):
        ...
    loyaltykit.errors.InputError: steps[0].earn='many': give an object, in braces, or a whole number
    """
    if len(text) > MAX_SIZE:
        raise InputError("json", f"{len(text)} characters", f"at most {MAX_SIZE}")
    return parse(decoded(text), source)


def dumps(document: dict[str, Any]) -> str:
    """Return a document as JSON that reads well, a step a line where it fits: of `loyaltykit.Club.scenario`, say.

    >>> print(dumps({"scenario": 1, "title": "A gift", "steps": [{"at": "2026-01-01", "earn": 100}]}))
    {"scenario": 1, "title": "A gift", "steps": [{"at": "2026-01-01", "earn": 100}]}
    """
    return encoded(document)


def load(path: str | Path) -> Scenario:
    """Return the scenario in a file (UTF-8). Raises `InputError` as `loads` does, and `OSError`."""
    return loads(Path(path).read_bytes(), str(path))


def documents(*paths: str | Path) -> list[Path]:
    """Return the documents below folders (all ``.json`` files) and the files among `paths`, sorted.

    Raises `InputError` for a path where there is nothing.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        below = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not below or not all(each.is_file() for each in below):
            raise InputError("path", str(path), "there is no scenario document")
        found.update(below)
    return sorted(found)


# ---------------------------------------------------------------- running


def run(scenario: Scenario, store: str | Callable[[], Store] = "memory") -> Report:
    """Run a scenario, each of its variants on a new store, and return what came of it.

    `store` is the name of one of `STORES`, the URL of a database (extra ``sql``), ``module:function``, or a function
    that makes a new and empty store.

    >>> wrong = {"scenario": 1, "steps": [{"at": "2026-01-01", "earn": 100, "expect": 90}]}
    >>> print(run(parse(wrong, "wrong.json")).failures[0])
    wrong.json (memory): steps[0].expect.available
        expected 90
        came     100
        because
          ann: 100 points
          └─ 100 given by hand
             └─ 100 earned: earn-1 (2026-01-01)
    """
    with opened(store) as (name, make):
        return run_scenario(scenario, make, name)


def check(document: Scenario | str | Path | dict[str, Any], store: str | Callable[[], Store] = "memory") -> Report:
    """Run a document (a path, plain data, or a `Scenario`) and raise `AssertionError` if anything came otherwise.

    For test suites: ``@pytest.mark.parametrize("path", documents("tests/scenarios"))``.

    >>> check({"scenario": 1, "steps": [{"at": "2026-01-01", "earn": 100, "expect": 100}]}).ok
    True
    """
    if isinstance(document, str | Path):
        document = load(document)
    elif isinstance(document, dict):
        document = parse(document)
    report = run(document, store)
    if not report.ok:
        raise AssertionError(f"{document.name}: {document.title}\n{report}")
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run documents as the command line says; return 0 if all came as expected, 1 if not, 2 if one is malformed."""
    parser = argparse.ArgumentParser(
        prog="python -m loyaltykit.testing.scenarios",
        description="Run scenario documents, and say what came otherwise.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a document, or a folder with documents below it")
    parser.add_argument(
        "--store", action="append", dest="stores", metavar="NAME",
        help=f"what to run them on: {', '.join(STORES)}, the URL of a database, or module:function; several are run one"
        " after the other",
    )  # fmt: skip
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of documents, and end")
    given = parser.parse_args(arguments)
    if given.schema:
        import json

        print(json.dumps(schema(), indent=2, ensure_ascii=False))
        return 0
    if not given.paths:
        parser.error("name at least one PATH")
    return _run_all(given.paths, given.stores or ["memory"])


def _run_all(paths: Iterable[str], stores: Iterable[str]) -> int:
    malformed = 0
    scenarios: list[Scenario] = []
    for path in paths:
        try:
            files = documents(path)
        except InputError as error:
            files, malformed = [], malformed + 1
            print(f"{path}: {error.hint}")
        for file in files:
            try:
                scenarios.append(load(file))
            except (InputError, OSError) as error:
                malformed += 1
                print(f"{file}: {error}")
    report = Report()
    try:
        for store in stores:
            with opened(store) as (name, make):
                for scenario in scenarios:
                    done = run_scenario(scenario, make, name)
                    report += done
                    for failure in done.failures:
                        print(failure)
    except InputError as error:
        print(error)
        return 2
    ran = ", ".join(
        counted(number, what)
        for number, what in ((len(scenarios), "documents"), (report.runs, "runs"), (report.checked, "expectations"))
    )
    failed = f"{len(report.failures)} not met" if report.failures else "all met"
    print(f"{ran}: {failed}" + (f"; {malformed} documents malformed" if malformed else ""))
    return 2 if malformed else 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
