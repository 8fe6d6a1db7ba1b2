"""Leaves out of facts and commands what no rule looks at: for documents that are shown to others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from loyaltykit import wire
from loyaltykit.commands import Adjust, Command
from loyaltykit.consent import Consent
from loyaltykit.facts import Activity, Line, Member, Order, Refund
from loyaltykit.marks import Give, Invite
from loyaltykit.occasions import Birthday
from loyaltykit.program import Program


class Texts:
    """What is left of the texts of facts and commands: all of them (`kept`), or those that some rule may look at.

    Products, categories, channels, codes and activities that no version of the program names are numbered, the same one
    always alike, so that what counts different ones still counts as many. Left out are e-mail addresses and attributes,
    reasons, actors and sources, and birthdays where there is no gift for them. Ids, keys and instants stay.
    """

    def __init__(self, programs: Iterable[Program], kept: bool) -> None:
        self.kept = kept
        programs = list(programs)
        self._birthdays = any(isinstance(each, Birthday) for program in programs for each in program.occasions)
        named = (text for program in programs for text in _texts(wire.to_data(program)))
        self._known = {"order", *(text.strip().casefold() for text in named)}
        self._numbered: dict[tuple[str, str], str] = {}

    def of(self, value: Any) -> Any:
        """Return a fact or a command without what no rule looks at."""
        if self.kept:
            return value
        match value:
            case Order():
                lines = value.lines if value.by_amount else tuple(map(self._line, value.lines))
                channel = value.channel and self._name("channel", value.channel)
                codes = [self._name("code", each.strip().casefold()) for each in value.codes]
                return attrs.evolve(value, lines=lines, channel=channel, codes=codes)
            case Refund() if value.lines is not None:
                return attrs.evolve(value, lines=[(self._name("product", name), count) for name, count in value.lines])
            case Activity():
                product = value.product and self._name("product", value.product)
                return attrs.evolve(value, name=self._name("activity", value.name), product=product)
            case Member():
                birthday = value.birthday if self._birthdays else None
                return attrs.evolve(value, email=None, attributes=(), birthday=birthday)
            case Consent():
                return attrs.evolve(value, source=None)
            case Adjust():  # these two it cannot be without
                return attrs.evolve(value, reason="correction", actor="staff")
            case Invite():
                return attrs.evolve(value, source="invitation", reason=None, actor=None)
            case Give():
                return attrs.evolve(value, source="by hand", reason=None, actor=None)
            case Command():
                return attrs.evolve(value, reason=None, actor=None)
        return value

    def _line(self, line: Line) -> Line:
        categories = [self._name("category", each) for each in line.categories]
        name = line.id and self._name("product", line.id)
        return attrs.evolve(line, sku=self._name("product", line.sku), categories=categories, id=name)

    def _name(self, kind: str, text: str) -> str:
        """Return a text that a rule names as it is, another one with a number instead."""
        if text.strip().casefold() in self._known:
            return text
        return self._numbered.setdefault((kind, text), f"{kind} {len(self._numbered) + 1}")


def _texts(data: Any) -> Iterator[str]:
    """Yield every text in data, names of fields among them."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in [*data, *data.values()] if isinstance(data, dict) else data:
            yield from _texts(each)
