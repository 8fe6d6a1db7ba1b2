"""Conditions on what a customer has done, as trees of plain data: ``(spend(months(6)) >= "250.00") | ~bought``.

A tree can be asked three things of a history at an instant: whether it holds (`matches`), why, with what is measured,
needed and missing (`explain`), and when its answer would change by itself if nothing more happened. It says itself in
one sentence (``str``). Its leaves are comparisons of measures (see `loyaltykit.measures`). Trees combine with ``&``,
``|`` and ``~`` and obey the laws of Boolean algebra. As data they are written and read by `loyaltykit.wire`; nothing in
them is evaluated, and their size is bounded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import repeat
from typing import Any, ClassVar, NoReturn

import attrs

from loyaltykit.calendar import from_us, instant, to_us
from loyaltykit.errors import InputError
from loyaltykit.history import History

MAX_DEPTH = 10
MAX_LEAVES = 500
"""What people write is smaller; JSON of it stays within the levels that are read."""


@attrs.frozen
class Verdict:
    """What a condition says of a history at an instant, and why. Print it: a tree with one line a part.

    `measured`, `needed` and `missing` are those of a comparison: money in the program's currency, points, days or
    plain numbers; `missing` is how much more would make it hold (None where more does not help). `changes_at` is the
    instant, in UTC, from which the answer will be another one if nothing more happens; None if it never will be.
    """

    text: str
    holds: bool
    changes_at: datetime | None = None
    measured: int | Decimal | None = None
    needed: int | Decimal | None = None
    missing: int | Decimal | None = None
    parts: tuple[Verdict, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self._line(), *self._branches()])

    def _line(self) -> str:
        notes = [] if self.parts else ["nothing" if self.measured is None else f"{self.measured} so far"]
        notes += [f"{self.missing} missing"] if self.missing else []
        if self.changes_at is not None:
            notes.append(f"{'until' if self.holds else 'not until'} {self.changes_at:%Y-%m-%d %H:%M %Z}")
        return f"{'yes' if self.holds else 'no'}: {self.text}" + (f" ({'; '.join(notes)})" if notes else "")

    def _branches(self) -> Iterator[str]:
        for part in self.parts:
            last = part is self.parts[-1]
            yield ("└─ " if last else "├─ ") + part._line()
            for line in part._branches():
                yield ("   " if last else "│  ") + line


class Condition(ABC):
    """A condition on a history. Combine conditions with ``&``, ``|`` and ``~``.

    >>> from loyaltykit.calendar import months, weeks
    >>> from loyaltykit.measures import orders, spend
    >>> loyal = (spend(months(6)) >= "250.00") | (orders(weeks(5)) >= 5)
    >>> print(loyal)
    spent at least 250.00 in the past 6 months, or placed at least 5 orders in the past 5 weeks
    """

    __slots__ = ()

    @abstractmethod
    def holds(self, history: History, at: int) -> bool:
        """Say whether the condition holds at an instant, in microseconds since 1970."""

    @abstractmethod
    def flips(self, history: History, at: int) -> Iterator[int]:
        """Yield when the answer turns into the other one, after `at`, if nothing more happens."""

    @abstractmethod
    def judge(self, history: History, at: int) -> Verdict:
        """Return the verdict at an instant, in microseconds since 1970."""

    @abstractmethod
    def says(self, currency: str | None = None) -> str:
        """Return the condition in words; with a currency, money is shown in it."""

    def matches(self, history: History, at: datetime) -> bool:
        """Say whether the condition holds of a history at an instant. Nothing after the instant counts.

        >>> from datetime import UTC, datetime
        >>> from loyaltykit.facts import Order
        >>> from loyaltykit.measures import spend
        >>> history = History([Order("1", "ann", datetime(2026, 3, 2, tzinfo=UTC), amount="59.90")])
        >>> (spend() >= "50.00").matches(history, at=datetime(2026, 3, 2, tzinfo=UTC))
        True
        """
        return self.holds(_history(history), to_us(instant(at)))

    def explain(self, history: History, at: datetime) -> Verdict:
        """Return the answer with the reasons behind it, for each part of the tree."""
        return self.judge(_history(history), to_us(instant(at)))

    def changes_at(self, history: History, at: datetime) -> datetime | None:
        """Return when the answer will be another one if nothing more happens; None if it never will."""
        return _first(self.flips(_history(history), to_us(instant(at))))

    def __and__(self, other: Condition) -> AllOf:
        return AllOf(_joined(AllOf, self, other)) if isinstance(other, Condition) else NotImplemented

    def __or__(self, other: Condition) -> AnyOf:
        return AnyOf(_joined(AnyOf, self, other)) if isinstance(other, Condition) else NotImplemented

    def __invert__(self) -> Condition:
        return self.part if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition is not true or false by itself: ask it with matches(history, at), and combine conditions"
            " with & | ~, not with and, or, not"
        )

    def __str__(self) -> str:
        return self.says()


def _history(value: Any) -> History:
    if isinstance(value, History):
        return value
    raise InputError("history", value, "give a History, as in History(facts)")


def _first(found: Iterator[int]) -> datetime | None:
    us = next(found, None)
    return None if us is None else from_us(us)


def _joined(kind: type[AllOf] | type[AnyOf], *parts: Condition) -> tuple[Condition, ...]:
    """Put ``a & b & c`` into one tuple rather than nesting pairs."""
    return tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, kind) else (part,)))


# ---------------------------------------------------------------- trees


def _conditions(value: Any) -> tuple[Condition, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError("condition.parts", value, "give conditions, as in spend(months(6)) >= '250.00'")
    parts = tuple(value)
    for place, part in enumerate(parts):
        if not isinstance(part, Condition):
            raise InputError(f"condition.parts[{place}]", part, "give a condition, as in orders() >= 2")
    return parts


def _condition(value: Any) -> Condition:
    if isinstance(value, Condition):
        return value
    raise InputError("condition.part", value, "give a condition, as in orders() >= 2")


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield the comparisons that a tree is made of, from left to right."""
    if isinstance(condition, Not):
        yield from leaves(condition.part)
    elif isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from leaves(part)
    else:
        yield condition


def depth(condition: Condition) -> int:
    """Return how many levels a tree has; a comparison has one."""
    if isinstance(condition, Not):
        return 1 + depth(condition.part)
    if isinstance(condition, AllOf | AnyOf):
        return 1 + max(map(depth, condition.parts), default=0)
    return 1


def _size(condition: Condition) -> int:
    """Return how many comparisons, and groups without any, a tree has."""
    if isinstance(condition, Not):
        return _size(condition.part)
    return (sum(map(_size, condition.parts)) or 1) if isinstance(condition, AllOf | AnyOf) else 1


def _bounded(tree: Condition) -> None:
    if depth(tree) > MAX_DEPTH:
        raise InputError("condition", f"{depth(tree)} levels", f"give a tree of at most {MAX_DEPTH} levels")
    if _size(tree) > MAX_LEAVES:
        raise InputError("condition", "a tree", f"give one of at most {MAX_LEAVES} comparisons")


class _Several(Condition):
    """What joins several conditions."""

    __slots__ = ()
    word: ClassVar[str]
    empty: ClassVar[str]
    parts: tuple[Condition, ...]

    def flips(self, history: History, at: int) -> Iterator[int]:
        """Yield when the answer turns, from when those of the parts do."""
        answers = [part.holds(history, at) for part in self.parts]
        now = self.join(answers)
        turns = merge(*(zip(part.flips(history, at), repeat(place)) for place, part in enumerate(self.parts)))
        pending: list[int] = []
        last = None
        for us, place in turns:
            if last is not None and us != last:
                for each in pending:
                    answers[each] = not answers[each]
                pending = []
                if self.join(answers) != now:
                    now = not now
                    yield last
            last = us
            pending.append(place)
        for each in pending:
            answers[each] = not answers[each]
        if last is not None and self.join(answers) != now:
            yield last

    def holds(self, history: History, at: int) -> bool:
        """Say whether the parts together hold."""
        return self.join(part.holds(history, at) for part in self.parts)

    def judge(self, history: History, at: int) -> Verdict:
        """Return the verdict, with those of the parts."""
        parts = tuple(part.judge(history, at) for part in self.parts)
        holds = self.join([part.holds for part in parts])
        return Verdict(self.says(history.currency), holds, _first(self.flips(history, at)), parts=parts)

    def says(self, currency: str | None = None) -> str:
        """Return the parts, joined by a word."""
        if not self.parts:
            return self.empty
        said = [
            f"({part.says(currency)})" if isinstance(part, _Several) else part.says(currency) for part in self.parts
        ]
        return f", {self.word} ".join(said)

    @abstractmethod
    def join(self, answers: Iterable[bool]) -> bool:
        """Return the answer from those of the parts."""


@attrs.frozen
class AllOf(_Several):
    """All of the conditions hold; of none, everybody's do."""

    word: ClassVar[str] = "and"
    empty: ClassVar[str] = "anybody"
    parts: tuple[Condition, ...] = attrs.field(converter=_conditions)

    def __attrs_post_init__(self) -> None:
        _bounded(self)

    def join(self, answers: Iterable[bool]) -> bool:
        """Return whether all are true."""
        return all(answers)


@attrs.frozen
class AnyOf(_Several):
    """At least one of the conditions holds; of none, nobody's does."""

    word: ClassVar[str] = "or"
    empty: ClassVar[str] = "nobody"
    parts: tuple[Condition, ...] = attrs.field(converter=_conditions)

    def __attrs_post_init__(self) -> None:
        _bounded(self)

    def join(self, answers: Iterable[bool]) -> bool:
        """Return whether any is true."""
        return any(answers)


@attrs.frozen
class Not(Condition):
    """The condition does not hold."""

    part: Condition = attrs.field(converter=_condition)

    def __attrs_post_init__(self) -> None:
        _bounded(self)

    def holds(self, history: History, at: int) -> bool:
        """Say whether the part does not hold."""
        return not self.part.holds(history, at)

    def flips(self, history: History, at: int) -> Iterator[int]:
        """Yield when the part's answer turns."""
        return self.part.flips(history, at)

    def judge(self, history: History, at: int) -> Verdict:
        """Return the verdict, with that of the part."""
        part = self.part.judge(history, at)
        return Verdict(self.says(history.currency), not part.holds, part.changes_at, parts=(part,))

    def says(self, currency: str | None = None) -> str:
        """Return the part, denied."""
        said = self.part.says(currency)
        return f"not ({said})" if isinstance(self.part, _Several) else f"not {said}"


def all_of(*conditions: Condition) -> AllOf:
    """Return the condition that holds where all of these do: everybody's, for none."""
    return AllOf(conditions)


def any_of(*conditions: Condition) -> AnyOf:
    """Return the condition that holds where any of these does: nobody's, for none."""
    return AnyOf(conditions)
