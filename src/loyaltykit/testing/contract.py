"""The contract of a store, as tests to inherit: whoever keeps `StoreContract` keeps the laws of `Store`.

In a test module of your own::

    class TestMyStore(StoreContract):
        def make_store(self):
            return MyStore(...)

pytest then runs every law against it. It needs the extra ``test`` (pytest and hypothesis). The laws are numbered in
`loyaltykit.stores.protocol`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from typing import Any

import pytest

_parts = (
    "_rows",
    "_contract_base",
    "_contract_writing",
    "_contract_reading",
    "_contract_listing",
    "_contract_replacing",
)
_modules = [f"loyaltykit.testing.{part}" for part in _parts]
# Before they are imported, so that a failing law shows what it compared.
pytest.register_assert_rewrite(*(module for module in _modules if module not in sys.modules))

from loyaltykit.testing._contract_listing import ListingLaws  # noqa: E402
from loyaltykit.testing._contract_reading import ReadingLaws  # noqa: E402
from loyaltykit.testing._contract_replacing import ReplacingLaws  # noqa: E402
from loyaltykit.testing._contract_writing import WritingLaws  # noqa: E402


class StoreContract(WritingLaws, ReadingLaws, ListingLaws, ReplacingLaws):
    """Every law of `loyaltykit.stores.protocol.Store`; a subclass says how to make the store.

    Override `make_store`, and `reopen` if what the store holds outlives it. Stores are closed after each test.
    `examples` says how many examples of arbitrary rows are tried.
    """


def broken_laws(contract: type[StoreContract], names: Collection[str] | None = None) -> list[str]:
    """Run the tests of `contract`, or those called `names`, without pytest's collection; return those that fail.

    For tests of tests: a store known to be wrong must break some law.
    """
    found: list[str] = []
    for name, arguments in _calls(contract):
        if name in found or (names is not None and name not in names):
            continue
        instance = contract()
        instance.setup_method()
        try:
            getattr(instance, name)(**arguments)
        except (Exception, pytest.fail.Exception):
            found.append(name)
        finally:
            instance.teardown_method()
    return found


def _calls(contract: type[StoreContract]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every test of `contract` with its arguments, one call for each set of parameters."""
    names = [name for cls in reversed(contract.__mro__) for name in vars(cls) if name.startswith("test_")]
    for name in dict.fromkeys(names):
        marks = [mark for mark in getattr(getattr(contract, name), "pytestmark", []) if mark.name == "parametrize"]
        if not marks:
            yield name, {}
            continue
        fields, values = marks[0].args[:2]
        for value in values:
            yield name, {fields: value} if isinstance(fields, str) else dict(zip(fields, value, strict=True))
