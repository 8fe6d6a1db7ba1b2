"""Measure conditions against a loop written by hand in the same run: `python tests/bench/conditions.py`.

The loop is what a developer would write without the library: orders in the window less their refunds, in `Decimal`.
Everything is told as a ratio of medians, for these hold where absolute numbers do not: candidates take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from loyaltykit.calendar import months, weeks
from loyaltykit.conditions import Condition
from loyaltykit.facts import Fact, Line, Order, Refund
from loyaltykit.history import History
from loyaltykit.matching import category
from loyaltykit.measures import days_since_last, orders, periods, products, spend

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LOYAL: Condition = spend(months(12)) >= "250.00"
SIX: Sequence[Condition] = [
    LOYAL,
    orders(weeks(5)) >= 5,
    products(months(6)) >= 3,
    spend(months(12), where=category("coffee")) >= "50.00",
    days_since_last() <= 30,
    periods("month", months(12)) >= 6,
]


def facts(count: int, refunded: int = 20, within: timedelta = timedelta(days=360)) -> list[Fact]:
    """Return so many orders of two lines, all of the past year, and a refund of every `refunded`-th."""
    found: list[Fact] = []
    for number in range(count):
        at = NOW - within * (count - number) / count
        lines = [
            Line("beans", 2, unit_price="3.50", categories="coffee"),
            Line(f"mug-{number % 9}", 1, total="9.90"),
        ]
        found.append(Order(f"o{number}", "ann", at, lines))
        if number % refunded == 0:
            found.append(Refund(f"r{number}", "ann", f"o{number}", at + timedelta(hours=1), amount="4.00"))
    return found


def by_hand(some: list[Fact]) -> bool:
    """Return the answer of `LOYAL` as a developer would work it out; a day of the month before is close enough."""
    since = NOW.replace(year=NOW.year - 1)
    inside = {fact.id: fact for fact in some if isinstance(fact, Order) and since < fact.at <= NOW}
    spent = Decimal(0)
    for order in inside.values():
        spent += sum(line.net for line in order.lines) - order.discount
    for fact in some:
        if isinstance(fact, Refund) and fact.order in inside and fact.at <= NOW:
            spent -= fact.amount if fact.amount is not None else inside[fact.order].goods
    return spent >= Decimal("250.00")


def medians(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run every candidate in turn, several rounds, and return the median seconds of each."""
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            begin = time.perf_counter()
            run()
            if turn:  # the first round warms up
                seen[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seen.items()}


def fresh(some: list[Fact], conditions: Sequence[Condition]) -> Callable[[], object]:
    """Return what goes from facts to answers."""

    def run() -> object:
        history = History(some)
        return [condition.matches(history, NOW) for condition in conditions]

    return run


def moving(some: list[Fact], conditions: Sequence[Condition]) -> Callable[[], object]:
    """Return what asks a history that has been asked before, each time at another instant."""
    history, past = History(some), iter(range(10**9))

    def run() -> object:
        at = NOW - timedelta(seconds=next(past))
        return [condition.matches(history, at) for condition in conditions]

    return run


def main() -> None:
    """Run the benchmark and print its ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41, help="how often each candidate runs")
    compare(parser.parse_args().rounds)


def compare(rounds: int) -> None:
    """Print the ratios, of the medians of so many rounds."""
    for refunded, what in ((20, "a refund of every 20th"), (2, "a refund of every 2nd")):
        some = facts(1_000, refunded)
        history = History(some)
        assert by_hand(some) == LOYAL.matches(history, NOW)
        found = medians(
            {
                "hand": lambda some=some: by_hand(some),  # type: ignore[misc]
                "one": fresh(some, [LOYAL]),
                "six": fresh(some, SIX),
                "one more": moving(some, [LOYAL]),
                "six more": moving(some, SIX),
                "explain": lambda history=history: LOYAL.explain(history, NOW),  # type: ignore[misc]
            },
            rounds,
        )
        hand, one = found["hand"], found["one"]
        print(f"1,000 orders in the window, {what}; a loop by hand takes {hand * 1000:.2f} ms")
        print(f"  one condition, from facts to answer: {one / hand:.2f} times the loop")
        print(f"  six conditions against one: {found['six'] / one:.2f} times")
        asked, six = found["one more"] / hand, found["six more"] / hand
        print(f"  of a history that was asked before: {asked:.3f} of the loop; six {six:.3f}")
        print(f"  the reasons, and when the answer will change: {found['explain'] / hand:.2f} times the loop")
    print("the cost of history, from facts to answer")
    sizes = {f"{count:,}": fresh(facts(count), [LOYAL]) for count in (10, 100, 1_000, 10_000)}
    grown = medians(sizes, max(rounds // 4, 3))
    for name, seconds in grown.items():
        each = seconds / int(name.replace(",", ""))
        print(f"  {name:>7} orders: {seconds / grown['10']:>8.1f} times 10 orders, {each * 1e6:.1f} us an order")


if __name__ == "__main__":
    main()
