"""Seed a bug: replace a piece of a function's text, everywhere that the function is used, for the length of a test."""

from __future__ import annotations
import __future__

import importlib
import inspect
import sys
import textwrap
from types import ModuleType
from typing import Any, NamedTuple

import pytest


class Seed(NamedTuple):
    """One bug: in the function `where` ("module:Class.method"), the text `old`, which stands there once, is `new`."""

    where: str
    old: str
    new: str

    def owner(self) -> Any:
        """Return the module or class in which the function stands."""
        name, _, path = self.where.partition(":")
        owner: Any = importlib.import_module(f"loyaltykit.{name}")
        for part in path.split(".")[:-1]:
            owner = getattr(owner, part)
        return owner

    def text(self) -> str:
        """Return the function's source; an error says that a seed has no place any more, which is no bug caught."""
        try:
            right = inspect.getattr_static(self.owner(), self.where.rpartition(":")[2].rpartition(".")[2])
        except AttributeError:
            raise LookupError(f"there is no {self.where} any more: move the seed to where its code went") from None
        text = textwrap.dedent(inspect.getsource(right.fget if isinstance(right, property) else right))
        if (times := text.count(self.old)) != 1:
            raise LookupError(
                f"{self.where} has {times} times, not once, {self.old!r}: write the seed for its new text"
            )
        return text

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        """Put the bug in, until `patch` is undone."""
        owner, last = self.owner(), self.where.rpartition(":")[2].rpartition(".")[2]
        right = inspect.getattr_static(owner, last)
        module: Any = owner if isinstance(owner, ModuleType) else sys.modules[owner.__module__]
        flags = __future__.annotations.compiler_flag
        made: dict[str, Any] = {}
        exec(compile(self.text().replace(self.old, self.new), f"<{self.where}>", "exec", flags), module.__dict__, made)
        patch.setattr(owner, last, made[last])
        if owner is module:
            _replace_everywhere(patch, right, made[last])


def _replace_everywhere(patch: pytest.MonkeyPatch, right: Any, wrong: Any) -> None:
    """Put one function in place of another in every module, and in the tables that modules keep."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.startswith("loyaltykit"):
            for key, value in list(vars(module).items()):
                if value is right:
                    patch.setattr(module, key, wrong)
                elif isinstance(value, dict):
                    for each in [each for each, found in value.items() if found is right]:
                        patch.setitem(value, each, wrong)
