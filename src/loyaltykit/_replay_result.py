"""What came of a replay, as values to look at: period by period, tier by tier, member by member, and side by side.

Pure. Points are whole numbers, money is `Decimal` in the program's currency, rounded half up once a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from loyaltykit._replay_life import Redemption, coins_of
from loyaltykit.amounts import exact, exponent, from_minor, round_to_int, rounded
from loyaltykit.decisions import Explanation
from loyaltykit.errors import InputError
from loyaltykit.program import Program
from loyaltykit.tables import html_table, html_text, number, text_table

# ---------------------------------------------------------------- tables


@attrs.frozen(repr=False)
class Table:
    """A table to print, to show in a notebook, or to make a frame of: its `columns`, and its `rows` as plain data."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _shown(self) -> list[list[Any]]:
        return [[_shown(value) for value in row] for row in self.rows]

    def __str__(self) -> str:
        return f"{self.title}\n{text_table(*_to_the_right([_headed(each) for each in self.columns], self._shown()))}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_text(self.title) + html_table([_headed(each) for each in self.columns], self._shown())


def _headed(column: str) -> str:
    return column.replace("_", " ")


def _shown(value: Any) -> Any:
    return f"{value:,f}".replace("-", "−") if isinstance(value, Decimal) else value


def _to_the_right(headers: list[str], rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """Pad the columns of money, which are texts by now, so that they stand to the right like numbers."""
    for column in range(1, len(headers)):
        cells = [row[column] for row in rows]
        if any(isinstance(cell, str) and cell.lstrip("−")[:1].isdigit() for cell in cells):
            texts = ["" if cell is None else number(cell) if isinstance(cell, int) else str(cell) for cell in cells]
            width = max(map(len, [headers[column], *texts]))
            headers[column] = headers[column].rjust(width)
            for row, text in zip(rows, texts, strict=True):
                row[column] = text.rjust(width)
    return headers, rows


# ---------------------------------------------------------------- what a period brought


@attrs.frozen
class Span:
    """One period of a replay, or the whole of it: from `start`, inclusive, until `end`, exclusive.

    `members` bought something in it, `orders` were placed, for a `revenue`: the goods bought less those that went back,
    each in the period in which it became known. In points: `issued` by orders and activities, `taken_back` with what
    was returned, `redeemed` (less what was given back), `expired`, and `forgiven`, debt that the program's shortfall
    policy lets go. At the end (of the period, or of the replay if it comes first) `outstanding` are all points that
    members have, active, pending or held, and `owed` is what they owe::

        issued - taken_back - redeemed - expired + forgiven = what (outstanding - owed) grew by

    By the worth of the program's coins, `liability` is what the outstanding points are worth, `cost` what was
    redeemed, and `cost_share` the cost as a share of the revenue (four decimals); None without coins or revenue.
    """

    label: str
    start: datetime
    end: datetime
    partial: bool
    members: int
    orders: int
    revenue: Decimal
    issued: int
    taken_back: int
    redeemed: int
    expired: int
    forgiven: int
    outstanding: int
    owed: int
    liability: Decimal | None
    cost: Decimal | None
    cost_share: Decimal | None


@attrs.frozen
class Population:
    """How many members have a tier (None: none) at the end of a period."""

    period: str
    ladder: str
    tier: str | None
    members: int


@attrs.frozen
class Flow:
    """How many times a member came from one tier to another in a period.

    `kind` is ``entry``, ``downgrade``, or ``joined`` for members that are new: they come from nowhere, and `after` is
    the tier that they begin with.
    """

    period: str
    ladder: str
    kind: str
    before: str | None
    after: str | None
    members: int


@attrs.frozen
class Reached:
    """How often a threshold was reached in a period; one that grants nothing, and was undone, is not there."""

    period: str
    threshold: str
    times: int


@attrs.frozen
class MemberTotals:
    """What a replay came to for one member, at its end. `got` is what it brought them: redeemed, or still there."""

    member: str
    orders: int
    revenue: Decimal
    issued: int
    taken_back: int
    redeemed: int
    expired: int
    forgiven: int
    outstanding: int
    owed: int
    tiers: tuple[str, ...] = ()

    @property
    def got(self) -> int:
        """Points redeemed and outstanding, less what is owed."""
        return self.redeemed + self.outstanding - self.owed


def worth(program: Program, unit: str, points: int) -> Decimal | None:
    """Return what points are worth by the program's coins, rounded half up; None where it has none."""
    value = _units(program, unit, points)
    return None if value is None else from_minor(round_to_int(value, "half_up"), program.currency)


def _units(program: Program, unit: str, points: int) -> Fraction | None:
    coins = coins_of(program, unit)
    if coins is None:
        return None
    return Fraction(points * exact(coins.worth) * 10 ** exponent(program.currency), coins.points)


def share(part: Decimal | None, whole: Decimal) -> Decimal | None:
    """Return a part as a share of the whole, to four decimals, rounded half up; None where there is no whole."""
    if part is None or whole <= 0:
        return None
    return rounded(exact(part) / exact(whole), 4)


_POINTS = ("issued", "taken_back", "redeemed", "expired", "outstanding")
_MONEY = ("liability", "revenue", "cost", "cost_share")


# ---------------------------------------------------------------- the result


@attrs.frozen(repr=False)
class Result:
    """What a program would have done with some facts, up to `at` (inclusive). Print it, or ask for one of its tables.

    `periods` follow one another without a hole, `total` is the whole; `populations`, `flows` and `reached` are by
    period, `members` by name. It is plain data, and does not hold on to the facts.
    """

    program: Program
    redemption: Redemption
    at: datetime
    unit: str
    periods: tuple[Span, ...]
    total: Span
    populations: tuple[Population, ...]
    flows: tuple[Flow, ...]
    reached: tuple[Reached, ...]
    members: tuple[MemberTotals, ...]

    def by_period(self) -> Table:
        """Return the periods, and the whole below them."""
        columns = ("members", "orders", *_POINTS, *(each for each in _MONEY if self._has(each)))
        columns = (*columns, *(each for each in ("owed", "forgiven") if any(getattr(p, each) for p in self.periods)))
        rows = [
            (each.label + (" (in progress)" if each.partial else ""), *(getattr(each, name) for name in columns))
            for each in (*self.periods, self.total)
        ]
        return Table(f"{self.program.name}: {self.redemption}", ("period", *columns), tuple(rows))

    def _has(self, column: str) -> bool:
        return column == "revenue" or getattr(self.total, column) is not None

    def by_tier(self) -> Table:
        """Return how many members had which tier at the end of each period: a column a tier."""
        names: dict[tuple[str, str | None], None] = {}
        for ladder in self.program.tiers:
            names.update(dict.fromkeys([(ladder.name, None), *((ladder.name, tier.name) for tier in ladder.tiers)]))
        held = {(each.period, each.ladder, each.tier): each.members for each in self.populations}
        shown = [name for name in names if name[1] or any(held.get((each.label, *name)) for each in self.periods)]
        columns = tuple(tier or f"no {ladder}" for ladder, tier in shown)
        rows = tuple((each.label, *(held.get((each.label, *name), 0) for name in shown)) for each in self.periods)
        return Table("members by tier, at the end of each period", ("period", *columns), rows)

    def by_flow(self) -> Table:
        """Return the moves between tiers, by period."""
        return Table(
            "moves between tiers",
            ("period", "ladder", "kind", "before", "after", "members"),
            tuple(attrs.astuple(each) for each in self.flows),
        )

    def by_threshold(self) -> Table:
        """Return how often each threshold was reached, by period: a column a threshold."""
        names = tuple(each.name for each in self.program.thresholds)
        times = {(each.period, each.threshold): each.times for each in self.reached}
        rows = tuple((each.label, *(times.get((each.label, name), 0) for name in names)) for each in self.periods)
        return Table("thresholds reached", ("period", *names), rows)

    def top(self, count: int = 10) -> Table:
        """Return the members who gain most: by what they got, then by name."""
        best = sorted(self.members, key=lambda each: (-each.got, each.member))[: max(0, count)]
        columns: tuple[str, ...] = (
            "member",
            "orders",
            "revenue",
            "issued",
            "redeemed",
            "expired",
            "outstanding",
            "got",
        )
        rows: list[tuple[Any, ...]] = [tuple(getattr(each, name) for name in columns) for each in best]
        if coins_of(self.program, self.unit) is not None:
            columns = (*columns, "worth")
            rows = [(*row, worth(self.program, self.unit, each.got)) for row, each in zip(rows, best, strict=True)]
        return Table("who gains most", columns, tuple(rows))

    def member(self, name: str) -> MemberTotals:
        """Return what it came to for a member."""
        for each in self.members:
            if each.member == name:
                return each
        raise InputError("member", name, "nothing was known of this member by the end of the replay")

    def compare(self, other: Result) -> Comparison:
        """Return this result beside another one, of the same facts up to the same instant."""
        return Comparison(self, other)

    def _tables(self) -> list[Table]:
        tables = [self.by_period()]
        if self.program.tiers:
            tables.append(self.by_tier())
        if self.program.thresholds:
            tables.append(self.by_threshold())
        return [*tables, self.top(5)]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._tables()))

    def __repr__(self) -> str:
        total = self.total
        return f"<Result of {self.program.name}: {len(self.members):,} members, {total.orders:,} orders, {total.label}>"

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self._tables())


# ---------------------------------------------------------------- side by side


@attrs.frozen
class Mover:
    """What two programs bring one member: what they get under each, and what the second one brings them more.

    `gain` is in money where both programs have coins, else in points.
    """

    member: str
    first: int
    second: int
    gain: int | Decimal


@attrs.frozen
class Explained:
    """Why a member has what they have at the end, under each of two programs."""

    member: str
    first: Explanation
    second: Explanation


@attrs.frozen(repr=False)
class Comparison:
    """Two results of the same facts beside each other: the totals, the periods, and who gains or loses how much."""

    first: Result
    second: Result
    explained: tuple[Explained, ...] = ()

    def __attrs_post_init__(self) -> None:
        first, second = self.first, self.second
        if first.program.currency != second.program.currency:
            hint = f"the first is in {first.program.currency}; compare programs of one currency"
            raise InputError("second.currency", second.program.currency, hint)
        if first.at != second.at:
            raise InputError("second.at", second.at, f"replay both up to one instant; the first is up to {first.at}")
        if [(each.start, each.end) for each in first.periods] != [(each.start, each.end) for each in second.periods]:
            raise InputError("second.periods", len(second.periods), "replay both by the same periods")

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called: their programs' names, with A and B where these are one and the same."""
        names = self.first.program.name, self.second.program.name
        return names if names[0] != names[1] else (f"{names[0]} A", f"{names[1]} B")

    def totals(self) -> Table:
        """Return the whole of both, and the difference: the second less the first."""
        rows: list[tuple[Any, ...]] = []
        for name in ("members", "orders", "revenue", *_POINTS, "owed", "liability", "cost", "cost_share"):
            one, two = getattr(self.first.total, name), getattr(self.second.total, name)
            if one is not None or two is not None:
                rows.append((_headed(name), one, two, None if one is None or two is None else two - one))
        for ladder in dict.fromkeys(each.name for result in self._both for each in result.program.tiers):
            names = [
                tier.name for r in self._both for each in r.program.tiers if each.name == ladder for tier in each.tiers
            ]
            for tier in dict.fromkeys(names):
                one, two = (_held(result, ladder, tier) for result in self._both)
                rows.append((f"{tier} at the end", one, two, two - one))
        return Table("the whole", ("", *self.names, "difference"), tuple(rows))

    @property
    def _both(self) -> tuple[Result, Result]:
        return self.first, self.second

    def by_period(self, columns: Sequence[str] = ("issued", "redeemed", "expired", "outstanding")) -> Table:
        """Return some columns of the periods side by side: each of the first, then of the second."""
        headed = [f"{column} {name}" for column in columns for name in ("A", "B")]
        rows = [
            (one.label, *(getattr(each, column) for column in columns for each in (one, two)))
            for one, two in zip(self.first.periods, self.second.periods, strict=True)
        ]
        return Table(f"A: {self.names[0]}, B: {self.names[1]}", ("period", *headed), tuple(rows))

    def moved(self) -> tuple[Mover, ...]:
        """Return every member with what they gain (or lose: negative) by the second, those that move most first."""
        found = [
            mover(self.first.program, self.second.program, self.first.unit, self.second.unit, one, two)
            for one, two in zip(self.first.members, self.second.members, strict=True)
        ]
        return tuple(sorted(found, key=_size, reverse=True))  # of equals, the first by name

    def movers(self, count: int = 10) -> Table:
        """Return the members that move most, and how."""
        rows = tuple(attrs.astuple(each) for each in self.moved()[: max(0, count)])
        return Table("who gains or loses most", ("member", *self.names, "gain"), rows)

    def summary(self) -> str:
        """Say in a sentence how many members gain and lose by the second program, and how much."""
        moved = [each.gain for each in self.moved()]
        up, down = [each for each in moved if each > 0], [each for each in moved if each < 0]
        kind = "" if self._in_money else " points"
        more, less = (_shown(sum(each)) if self._in_money else number(int(sum(each))) for each in (up, down))
        return (
            f"Under {self.names[1]}, {len(up):,} members gain {more if up else 0}{kind}, {len(down):,} lose"
            f" {str(less).lstrip('−') if down else 0}{kind}, {len(moved) - len(up) - len(down):,} have the same."
        )

    @property
    def _in_money(self) -> bool:
        return all(coins_of(each.program, each.unit) is not None for each in self._both)

    def __str__(self) -> str:
        parts = [str(self.totals()), self.summary(), str(self.movers(5))]
        for each in self.explained:
            for name, why in zip(self.names, (each.first, each.second), strict=True):
                parts.append(f"{each.member} under {name}:\n{why}")
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"<Comparison of {self.names[0]} and {self.names[1]}: {len(self.first.members):,} members>"

    def _repr_html_(self) -> str:
        tables = (self.totals(), self.by_period(), self.movers(5))
        return html_text(self.summary()) + "".join(each._repr_html_() for each in tables)


def _size(moved: Mover) -> Decimal:
    return abs(Decimal(moved.gain))


def _held(result: Result, ladder: str, tier: str) -> int:
    last = result.periods[-1].label if result.periods else ""
    wanted = (last, ladder, tier)
    return sum(each.members for each in result.populations if (each.period, each.ladder, each.tier) == wanted)


def mover(first: Program, second: Program, unit: str, other: str, one: MemberTotals, two: MemberTotals) -> Mover:
    """Return what the second program brings a member more than the first."""
    before, after = worth(first, unit, one.got), worth(second, other, two.got)
    gain: int | Decimal = two.got - one.got
    if before is not None and after is not None:
        gain = after - before
    return Mover(one.member, one.got, two.got, gain)
