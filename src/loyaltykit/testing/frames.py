"""The conformance suite of engines: random customers and random rules, on an engine and in pure Python.

An engine is two functions: one makes a frame of its own from plain columns, the other turns such a frame into rows::

    conform(make, collect, seeds=range(5))

asks every measure, window, filter and tree of conditions, thresholds, ladders and retention tables of customers whose
orders lie on the bounds of windows, and a microsecond before and after them; with refunds known late, reversals,
revisions, guests, names that look like something else, in several zones. Where answers differ from those of pure
Python, an `AssertionError` tells all of them, and shows one case, made small. Needs the extra ``frames``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from loyaltykit import frames
from loyaltykit.history import History
from loyaltykit.testing._frames_checks import ANY, CHECKS, Cell, Check
from loyaltykit.testing._frames_data import FIRST, Sample, sample
from loyaltykit.testing._frames_load import Collect, Make, load, told
from loyaltykit.testing._frames_rules import rules as rules_of

_TRIES = 40  # so many times a case that differs is asked again to make it smaller
_LISTED = 20


class Mismatch(NamedTuple):
    """One answer that an engine does not give as pure Python does."""

    check: str
    cell: Cell
    engine: Any
    pure: Any


@attrs.frozen(repr=False)
class Conformity:
    """How many answers were compared, by what was asked; all were equal."""

    answers: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        return f"<Conformity: {sum(count for _, count in self.answers):,} answers, all as in pure Python>"


def conform(
    make: Make, collect: Collect, seeds: Iterable[int] = range(3), *, customers: int = 100, rules: int = 40
) -> Conformity:
    """Ask an engine and pure Python the same of random customers, and raise `AssertionError` where answers differ.

    Each seed is one base of so many customers, and so many measures and conditions, asked in as few queries as there
    are kinds of questions. The same seeds ask the same. Of eight seeds in a row the first four have rows that tell
    everything; of the others some tell amounts alone, some not even of which order they are. Pairs of seeds have a list
    of all customers and have none, in turn.

    >>> import polars as pl
    >>> types = {"text": pl.String, "integer": pl.Int64, "instant": pl.Datetime("us", "UTC")}
    >>> def make(columns, kinds):
    ...     return pl.DataFrame(columns, schema={name: types[kinds[name]] for name in columns})
    >>> conform(make, pl.DataFrame.to_dicts, seeds=[1], customers=5, rules=10)
    <Conformity: ... answers, all as in pure Python>
    """
    asked: Counter[str] = Counter()
    for seed in seeds:
        drawn = sample(seed, customers)
        drawn_rules = rules_of(drawn, rules)
        base = load(make, drawn, drawn.histories)
        differing: list[tuple[_Case, list[Mismatch]]] = []
        for check in CHECKS:
            case = _Case(make, collect, drawn, drawn.histories, check, check.rules(drawn_rules))
            try:
                count, found = case.compare(base)
            except Exception as error:
                error.add_note(f"asked for {check.name} of {drawn}")
                raise
            asked[check.name] += count
            differing += [(case, found)] if found else []
        if differing:
            raise AssertionError(_told(differing))
    return Conformity(tuple(sorted(asked.items())))


@attrs.frozen
class _Case:
    """What is asked of whom, on which engine."""

    make: Make
    collect: Collect
    sample: Sample
    histories: Mapping[str, History]
    check: Check
    rules: Mapping[str, Any]

    def compare(self, base: frames.Base | None = None) -> tuple[int, list[Mismatch]]:
        """Return how many answers there are, and those that differ."""
        base = base or load(self.make, self.sample, self.histories)
        pure = self.check.pure(self.histories, self.rules, self.sample.at)
        engine = self.check.engine(base, self.rules, self.sample.at, self.collect)
        cells = sorted(pure.keys() | engine.keys(), key=repr)
        missing = "no such row"
        both = ((cell, engine.get(cell, missing), pure.get(cell, missing)) for cell in cells)
        return len(cells), [
            Mismatch(self.check.name, cell, left, right) for cell, left, right in both if not _same(left, right)
        ]

    def smaller(self, cell: Cell) -> _Case:
        """Return the smallest case found in which the same column still differs."""
        best, tries = self, iter(range(_TRIES))
        while True:
            for other in best._parts(cell):
                if next(tries, None) is None:
                    return best
                if other._differs(cell.column):
                    best = other
                    break
            else:
                return best

    def _differs(self, column: str) -> bool:
        try:
            return any(mismatch.cell.column == column for mismatch in self.compare()[1])
        except Exception:  # another failure is another case
            return False

    def _parts(self, cell: Cell) -> Iterator[_Case]:
        """Yield smaller cases: of one rule, of one customer or half of them, without one of the facts."""
        if cell.column in self.rules and len(self.rules) > 1:
            yield attrs.evolve(self, rules={cell.column: self.rules[cell.column]})
        names = list(self.histories)
        if len(names) > 1:
            customer: Any = cell.row[0] if isinstance(cell.row, tuple) else cell.row
            if customer in self.histories:
                yield attrs.evolve(self, histories={customer: self.histories[customer]})
            for half in (names[: len(names) // 2], names[len(names) // 2 :]):
                yield attrs.evolve(self, histories={name: self.histories[name] for name in half})
        if len(names) > 3:
            return
        for name, history in self.histories.items():
            for field in ("facts", "movements"):
                values = getattr(history, field)
                for place, value in enumerate(values):
                    if getattr(value, "id", None) == FIRST:
                        continue
                    less = attrs.evolve(history, **{field: values[:place] + values[place + 1 :]})
                    yield attrs.evolve(self, histories={**self.histories, name: less})


def _same(left: Any, right: Any) -> bool:
    """Say whether an engine's answer equals that of pure Python, and is of one kind with it: true is not 1."""
    return right is ANY or (type(left) is type(right) and bool(left == right))


def _told(differing: Sequence[tuple[_Case, list[Mismatch]]]) -> str:
    """Return in words what differs: all of it, and one case in full."""
    case, found = differing[0]
    drawn, everything = case.sample, [mismatch for _, some in differing for mismatch in some]
    lines = [f"{len(everything):,} answers differ from those of pure Python, of {drawn}:"]
    by_rule = Counter((mismatch.check, mismatch.cell.column) for mismatch in everything)
    rules = {(case.check.name, name): str(rule) for case, _ in differing for name, rule in case.rules.items()}
    for (check, column), count in by_rule.most_common(_LISTED):
        lines.append(f"  {count:>6} x {check}[{column}]: {rules.get((check, column), '')}")
    if len(by_rule) > _LISTED:
        lines.append(f"  and of {len(by_rule) - _LISTED} more")
    small = case.smaller(found[0].cell)
    again = [each for each in small.compare()[1] if each.cell.column == found[0].cell.column] or found
    check, (row, column), engine, pure = again[0]
    lines += [
        "One case, made small:",
        f"  {check}[{column}] of {row!r}: {engine!r} on the engine, {pure!r} in pure Python",
        f"  {small.rules[column]}" if column in small.rules else "",
        f"  at {drawn.at.isoformat()} in {drawn.zone}, {drawn.currency}",
        *(f"  {line}" for line in told(small.histories)),
    ]
    return "\n".join(line for line in lines if line.strip())
