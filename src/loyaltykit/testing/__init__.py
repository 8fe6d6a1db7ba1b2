"""For tests of your own: the contract that every store must keep, faults to inject, scenarios as data.

Names load when they are asked for: `StoreContract` needs pytest and hypothesis (extra ``test``), the scenario runner
needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "FaultyStore": "faults",
    "StoreContract": "contract",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
