"""What holds for the whole suite: the examples in the documents are tests too, and nothing depends on the machine."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from doctest import ELLIPSIS
from typing import Any

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.myst import DocTestDirectiveParser, PythonCodeBlockParser

# Scripts below docs/ are run as programs; only the modules of the package have doctests.
collect_ignore_glob = ["docs/*.py"]

# A zone with an odd offset that no example uses: what reads the machine's own zone by mistake shows at once.
os.environ["TZ"] = "Pacific/Chatham"
if hasattr(time, "tzset"):
    time.tzset()

# A time limit per example measures how busy the machine is. Where CI is set, the same examples are tried every time.
settings.register_profile("loyaltykit", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("loyaltykit")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores: some tests wait for disks, servers and other processes."""
    return (os.cpu_count() or 1) + 1


_LONGEST = ("test_machine.py", "test_seeded_bugs.py", "test_conformance.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: where tests run on several cores, none is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


def _enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Run one document's examples in a folder of their own, so that they may open files by short names."""
    stack = namespace["_folder"] = contextlib.ExitStack()
    stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))


def _leave_folder(namespace: dict[str, Any]) -> None:
    namespace["_folder"].close()


# Every Python block of README.md and the pages below docs/, those with prompts as doctests. The blocks of one document
# share their names, as its reader would expect.
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), DocTestDirectiveParser(optionflags=ELLIPSIS)],
    pattern="*.md",
    setup=_enter_empty_folder,
    teardown=_leave_folder,
).pytest()
