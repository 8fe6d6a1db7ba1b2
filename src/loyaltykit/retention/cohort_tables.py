"""Cohorts: of the customers who first bought in one calendar period, which part is active so many periods later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from html import escape
from typing import Any

import attrs

from loyaltykit.calendar import CalendarUnit, as_unit, to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import flag
from loyaltykit.retention.periods import Cut, cuts, places
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.retention.rows import Base, purchases, zone_for
from loyaltykit.tables import html_text, number, percent, shade, text_table

# ---------------------------------------------------------------- values


@attrs.frozen
class Cell:
    """How many customers of a cohort were active at an age, and whether that period is still in progress."""

    cohort: str
    age: int
    size: int
    customers: int
    partial: bool = False

    @property
    def share(self) -> Rate:
        """``customers / size``: 100 % at age 0."""
        return Rate(self.customers, self.size)

    def __str__(self) -> str:
        return f"{self.share}*" if self.partial else str(self.share)

    _repr_html_ = html_text


@attrs.frozen
class Cohort:
    """The customers whose first purchase lies in one period, and how many were active 0, 1, 2, ... periods later."""

    period: Cut
    size: int
    active: tuple[int, ...]
    partial: bool = False  # whether the last of `active` is of a period in progress

    def __iter__(self) -> Iterator[Cell]:
        last = len(self.active) - 1
        for age, customers in enumerate(self.active):
            yield Cell(self.period.label, age, self.size, customers, self.partial and age == last)

    def share(self, age: int) -> Rate | None:
        """Return the part of the cohort that was active at an age; None where that has not come yet.

        >>> from datetime import UTC
        >>> march, april = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
        >>> Cohort(Cut("2026-03", march, april), 4, (4, 1)).share(1)
        Rate(1 of 4, 25 %)
        """
        return Rate(self.active[age], self.size) if 0 <= age < len(self.active) else None

    def __str__(self) -> str:
        return f"{self.period}: {self.size:,} customers, " + " ".join(str(cell) for cell in self)

    _repr_html_ = html_text


@attrs.frozen
class Curve:
    """The part that is active at each age from 0 on: of one cohort, or of all together."""

    name: str
    points: tuple[Rate, ...]

    def __str__(self) -> str:
        return f"{self.name}: " + " ".join(map(str, self.points))

    _repr_html_ = html_text


@attrs.frozen
class CohortTable:
    """Cohorts, the earliest first: iterate over it for them, or make a frame of its `rows` and `columns`, a cell each.

    Cells of a period in progress have a star in print and a dashed edge in a notebook: they are not complete.
    """

    cohorts: tuple[Cohort, ...]
    by: CalendarUnit = "month"
    unbounded: bool = False

    columns = ("cohort", "size", "age", "customers", "share", "partial")
    """The names of the columns of `rows`."""

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple for each cohort and age; the share is a float there (1 is 100 %)."""
        return tuple(
            (cell.cohort, cell.size, cell.age, cell.customers, float(cell.share), cell.partial)
            for cohort in self.cohorts
            for cell in cohort
        )

    def __iter__(self) -> Iterator[Cohort]:
        return iter(self.cohorts)

    def __len__(self) -> int:
        return len(self.cohorts)

    @property
    def ages(self) -> int:
        """How many ages there are: one more than the highest."""
        return max((len(cohort.active) for cohort in self.cohorts), default=0)

    def curves(self, partial: bool = False) -> tuple[Curve, ...]:
        """Return the curve of each cohort, without what is in progress unless `partial`.

        A cohort that is itself in progress has no point then, and is left out.
        """
        found = [
            Curve(cohort.period.label, tuple(cell.share for cell in cohort if partial or not cell.partial))
            for cohort in self.cohorts
        ]
        return tuple(curve for curve in found if curve.points)

    def overall(self, partial: bool = False) -> Curve:
        """Return the curve of all cohorts together, each with the weight of its size.

        At each age: all active customers by all customers, of the cohorts that have reached that age; without what is
        in progress unless `partial`. Old ages are those of few, early cohorts: see the denominators.
        """
        active, sizes = [0] * self.ages, [0] * self.ages
        for cohort in self.cohorts:
            for cell in cohort:
                if partial or not cell.partial:
                    active[cell.age] += cell.customers
                    sizes[cell.age] += cell.size
        shares = (rate(customers, size) for customers, size in zip(active, sizes, strict=True))
        return Curve("all", tuple(share for share in shares if share is not None))

    def __str__(self) -> str:
        lines: list[list[Any]] = []
        for cohort in self.cohorts:
            shares = [str(cell) for cell in cohort]
            lines.append([str(cohort.period), cohort.size, *shares, *[""] * (self.ages - len(shares))])
        headers, *cells = _right([["cohort", "customers", *map(str, range(self.ages))], *lines])
        footer = "* in progress" if any(cohort.partial for cohort in self.cohorts) else ""
        return "\n".join(filter(None, [text_table(headers, cells), footer]))

    def _repr_html_(self) -> str:
        """Return the table with each cell as dark as its share is high; age 0, always 100 %, is left plain."""
        later = [cell.share.share for cohort in self.cohorts for cell in cohort if cell.age]
        most = max(later, default=Fraction(0)) or Fraction(1)
        head = "".join(f'<th style="{_RIGHT}">{title}</th>' for title in ("customers", *range(self.ages)))
        lines = [
            _line(str(cohort.period), cohort.size, (_heat(cell, most) for cell in cohort)) for cohort in self.cohorts
        ]
        if len(self.cohorts) > 1:
            everybody = sum(cohort.size for cohort in self.cohorts)
            overall = [
                Cell("all", age, each.denominator, each.numerator) for age, each in enumerate(self.overall().points)
            ]
            lines.append(_line("all", everybody, (_heat(cell, most) for cell in overall)))
        means = f"share active that many {self.by.replace('_', '-')}s later{' or after' if self.unbounded else ''}"
        star = "; * in progress" if any(cohort.partial for cohort in self.cohorts) else ""
        return (
            f'<table><caption>{means}{star}</caption><thead><tr><th style="text-align:left">cohort</th>{head}</tr>'
            f"</thead><tbody>{''.join(lines)}</tbody></table>"
        )


def _right(lines: Sequence[list[Any]]) -> list[list[Any]]:
    """Set the third column and later ones to the right: shares compare by their ends."""
    widths = [max(map(len, column)) for column in zip(*(line[2:] for line in lines), strict=True)]
    return [[*line[:2], *(text.rjust(width) for text, width in zip(line[2:], widths, strict=True))] for line in lines]


_RIGHT = "text-align:right;white-space:nowrap"


def _line(name: str, size: int, cells: Iterable[str]) -> str:
    head = f'<th style="text-align:left;white-space:nowrap">{escape(name)}</th>'
    return f'<tr>{head}<td style="{_RIGHT}">{number(size)}</td>{"".join(cells)}</tr>'


def _heat(cell: Cell, most: Fraction) -> str:
    """Return a cell, the darkest where its share is the highest of all."""
    style = f"{_RIGHT};{shade(cell.share.share / most)}" if cell.age else f"{_RIGHT};opacity:0.6"
    if cell.partial:
        style += ";outline:1px dashed #888;outline-offset:-2px;font-style:italic"
    star = "*" if cell.partial else ""
    text = f"{number(cell.customers)} of {number(cell.size)}, {cell.share}"
    return f'<td style="{style}" title="{text}">{percent(cell.share.share, 1)}{star}</td>'


# ---------------------------------------------------------------- from purchases


def cohorts(
    base: Base, at: datetime, by: CalendarUnit = "month", *, zone: str | None = None, unbounded: bool = False
) -> CohortTable:
    """Return the cohort table of all purchases up to an instant, by day, week, month, quarter, half-year or year.

    A customer belongs to the cohort of the period of their first purchase. The cell at age k counts the different
    customers of it who bought in the k-th period after that one (calendar periods, not stretches of 30 days); with
    `unbounded`, in the k-th or any later one up to `at`, so that its rows never rise, and the latest cells may yet. At
    age 0 it is 100 %. Cells of a period in progress are `partial`. A period without new customers has no cohort.

    Days and months are those of `zone` (default: that of the histories). Purchases, refunds and guests are as in
    `purchases`: a customer whose first order was all given back begins with the next.

    >>> from datetime import UTC
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("bo", on(1, 9)), ("ann", on(2, 3)), ("cy", on(2, 7)), ("bo", on(3, 1))]
    >>> print(cohorts(rows, on(3, 10), zone="UTC"))
    cohort   customers      0     1      2
    2026-01          2  100 %  50 %  50 %*
    2026-02          1  100 %  0 %*
    * in progress
    >>> print(cohorts(rows, on(3, 10), zone="UTC", unbounded=True).cohorts[0])
    2026-01: 2 customers, 100 % 100 % 50 %*
    """
    if not isinstance(by, str):
        raise InputError("by", by, "cohorts need a calendar unit, as in 'month', so that ages compare")
    as_unit(by, "by")
    flag("unbounded")(unbounded)
    zone = zone_for(base, zone)
    bought = purchases(base, at)
    if not bought:
        return CohortTable((), by, unbounded)
    periods = cuts(by, bought[0].at, at, zone, last=bought[-1].at)
    active: dict[str, list[int]] = {}
    for purchase, place in zip(bought, places([to_us(each.at) for each in bought], periods), strict=True):
        active.setdefault(purchase.customer, []).append(place)  # in order of time
    pairs = (
        (found[0], place) for found in active.values() for place in (found[-1:] if unbounded else sorted(set(found)))
    )
    return cohort_table(periods, Counter(pairs), by, unbounded)


def cohort_table(
    periods: Sequence[Cut], counts: Mapping[tuple[int, int], int], by: CalendarUnit, unbounded: bool
) -> CohortTable:
    """Return the table of so many customers by the places, among the periods, of their first purchase and of another.

    The others are each period in which a customer bought, the first one included; with `unbounded`, only the last.

    >>> from datetime import UTC
    >>> periods = cuts("month", datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), "UTC")
    >>> print(cohort_table(periods, {(0, 0): 4, (0, 1): 1, (1, 1): 2}, "month", unbounded=False))
    cohort   customers      0     1
    2026-01          4  100 %  25 %
    2026-02          2  100 %
    """
    found = [[0] * (len(periods) - start) for start in range(len(periods))]
    for (start, place), customers in counts.items():
        for age in range(place - start + 1) if unbounded else (place - start,):
            found[start][age] += customers
    partial = bool(periods) and periods[-1].partial
    listed = [Cohort(cut, row[0], tuple(row), partial) for cut, row in zip(periods, found, strict=True) if row[0]]
    return CohortTable(tuple(listed), by, unbounded)
