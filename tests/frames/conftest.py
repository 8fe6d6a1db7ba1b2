"""The engines that tests of frames run on. One that is not installed is skipped, and the summary says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import engines
import pytest
from engines import ENGINES, need


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Return a session of Spark, running for real; its own warnings about other packages are not ours."""
    need("narwhals", "pyspark")
    with engines.spark_session() as session:
        yield session


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Any:
    """Return the engine of a name: how it makes and collects frames."""
    name = request.param
    need("narwhals", "pyarrow", engines.NEEDS.get(name, name))
    if name == "pyspark":
        return engines.pyspark(request.getfixturevalue("spark"))
    return ENGINES[name]()
