"""What the tables here share: values to iterate over, plain data, and a short text for a terminal or a notebook.

And what those that are made of plain rows and counts check of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, SupportsFloat, TypeVar

from loyaltykit.amounts import whole
from loyaltykit.errors import InputError
from loyaltykit.tables import html_table, text_table

T = TypeVar("T")
_SHOWN = 20  # a base may have a million customers


class Listing(ABC, Generic[T]):
    """A table: iterate over it for values, or make a frame of its `rows` and `columns`. The first 20 are printed."""

    __slots__ = ()
    columns: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _values(self) -> tuple[T, ...]:
        """Return the values, one for each row."""

    @property
    @abstractmethod
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a row."""

    def __iter__(self) -> Iterator[T]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def _shown(self, count: int) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Return what is printed of the first so many rows: headers and cells."""
        return self.columns, self.rows[:count]

    def _note(self) -> str:
        """Return what is said below the table."""
        return ""

    def _below(self) -> list[str]:
        more = f"... and {len(self) - _SHOWN:,} more" if len(self) > _SHOWN else ""
        return [line for line in (more, self._note()) if line]

    def __str__(self) -> str:
        return "\n".join([text_table(*self._shown(_SHOWN)), *self._below()])

    def _repr_html_(self) -> str:
        return html_table(*self._shown(_SHOWN), below=self._below())


class Partial(Protocol):
    """A value of one period."""

    @property
    def partial(self) -> bool:
        """Whether the period is still in progress."""


P = TypeVar("P", bound=Partial)


class PeriodListing(Listing[P]):
    """A table of periods that follow one another: all of them are printed, the one in progress faintly."""

    __slots__ = ()
    periods: tuple[P, ...]

    def _values(self) -> tuple[P, ...]:
        return self.periods

    def _below(self) -> list[str]:
        return []

    def _repr_html_(self) -> str:
        faint = [place for place, each in enumerate(self.periods) if each.partial]
        return html_table(*self._shown(len(self)), faint=faint)


def as_float(share: SupportsFloat | None) -> float | None:
    """Return a share as plain data: a float, or None where it is of nothing."""
    return None if share is None else float(share)


def as_text(share: object) -> str:
    """Return a share for people, empty where it is of nothing."""
    return "" if share is None else str(share)


def cells(rows: Any, field: str, width: tuple[int, int], hint: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each row with the name of its place; what is no row, or has too few or too many cells, is refused."""
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise InputError(field, rows, hint)
    for place, row in enumerate(rows):
        if not isinstance(row, tuple | list) or not width[0] <= len(row) <= width[1]:
            raise InputError(f"{field}[{place}]", row, hint)
        yield f"{field}[{place}]", tuple(row)


def part(value: Any, field: str, of: int, why: str) -> int:
    """Return how many of `of` did something; more than all of them is refused, with the reason."""
    number = whole(value, field)
    if number > of:
        raise InputError(field, value, f"at most {of}: {why}")
    return number
