"""Should our points expire after 90 days, or at the end of the year? Both, on a grocer's year, side by side.

The year is that of ``grocer_year.py``: 155,848 baskets of 2,469 households, with some returns. It is replayed under two
programs that differ in nothing but the validity of points, up to the first instant of the next year.

    pip install 'loyaltykit[demo]'
    python expiry_policy.py                      # the whole year
    python expiry_policy.py --households 100     # fewer, to try it out
    python expiry_policy.py --pictures FOLDER    # also draw what stands in the tutorial (extra: charts)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from _grocer_data import chosen, departments, facts_of, orders_of, rows
from attrs import evolve
from grocer_year import PROGRAM, YEAR_END, clipped

from loyaltykit import Order, Refund, days, end_of_year
from loyaltykit.replay import Comparison, Mover, Table, compare, explain, share_of_available, when_affordable

AFTER_90_DAYS = evolve(PROGRAM, name="90 days", validity=days(90))
AT_YEAR_END = evolve(PROGRAM, name="year end", validity=end_of_year())
GROUPS = 4


def report(facts: Sequence[Order | Refund], pictures: Path | None = None, progress: bool = False) -> str:
    """Return the whole comparison as text; draw its pictures into a folder, if one is given."""
    monthly = when_affordable(every="month")
    both = compare(AFTER_90_DAYS, AT_YEAR_END, facts, redemption=monthly, at=YEAR_END, explained=0)
    half = share_of_available("0.5", every="month")
    less = compare(AFTER_90_DAYS, AT_YEAR_END, facts, redemption=half, at=YEAR_END, explained=0)
    if pictures is not None:
        draw(both, pictures)
    moved = both.moved()
    first = max(moved, key=lambda each: each.gain)  # of equals, the first by name
    return "\n\n".join(
        [
            f"If {monthly}:",
            str(both.totals()),
            str(both.by_period(("redeemed", "expired", "liability"))),
            f"If {half}:",
            str(shortly(less)),
            f"Who gains and who loses, if {monthly}:",
            both.summary(),
            str(by_size(both, moved)),
            f"Why household {first.member} gains most:",
            *(why(both, first.member, facts, side) for side in (both.first, both.second)),
        ]
    )


def shortly(both: Comparison) -> Table:
    """Return the rows of the totals that the policy changes."""
    kept = ("redeemed", "expired", "outstanding", "liability", "cost", "cost share")
    totals = both.totals()
    return Table(totals.title, totals.columns, tuple(row for row in totals if row[0] in kept))


def by_size(both: Comparison, moved: Sequence[Mover]) -> Table:
    """Return how many gain and lose, and how much, among those who buy least and among those who buy most."""
    gains = {each.member: Decimal(each.gain) for each in moved}
    ranked = sorted(both.first.members, key=lambda each: (each.revenue, each.member))
    found = []
    for number in range(GROUPS):
        group = ranked[number * len(ranked) // GROUPS : (number + 1) * len(ranked) // GROUPS]
        mine = [gains[each.member] for each in group]
        spent = f"{group[0].revenue:,} to {group[-1].revenue:,}"
        found.append(
            (spent, len(group), sum(gain > 0 for gain in mine), sum(gain < 0 for gain in mine), sum(mine, Decimal(0)))
        )
    return Table("by what they buy in the year", ("bought for", "households", "gain", "lose", "together"), tuple(found))


def why(both: Comparison, member: str, facts: Sequence[Order | Refund], side) -> str:
    """Return the end of the reasons for what a household has under one program."""
    lines = str(explain(side, member, facts)).splitlines()
    return "\n".join([f"{side.program.name}: {side.member(member).redeemed} points redeemed", *clipped(lines, 12)])


def draw(both: Comparison, folder: Path) -> None:
    """Draw what is outstanding at the end of each month, in points and in money."""
    from loyaltykit.pictures import liability_over_time

    liability_over_time(both).save(str(folder / "expiry-liability.svg"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Compare two expiry policies on a grocer's year.")
    parser.add_argument("--households", type=int, help="only the first so many (default: all 2,469)")
    parser.add_argument("--pictures", type=Path, help="a folder to draw into")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.households is not None and options.households < 1:
        parser.error("--households: give 1 or more")
    try:
        households, _ = chosen(options.households)
        names = departments()
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed. What this example needs: pip install 'loyaltykit[demo]'")
    facts = list(facts_of(orders_of(rows(households), names), YEAR_END))
    print(report(facts, options.pictures, progress=not options.quiet))


if __name__ == "__main__":
    main()
