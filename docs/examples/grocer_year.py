"""A grocer's year, replayed through a loyalty program into a SQLite file, and checked.

1,469,307 lines of a till become 155,848 orders of 2,469 households (how: ``_grocer_data.py``). They go through the
program below in the order of time, with some returns. On the first of every month each household gets a voucher for
what its points can afford. Then the year is reported, every number in it is worked out a second time in SQL from the
till's lines (``_grocer_check.py``), and the two must agree to the point and the cent.

    pip install 'loyaltykit[demo]'
    python grocer_year.py                      # the whole year, into grocer-year.sqlite: some minutes
    python grocer_year.py --households 100     # fewer, to try it out

Run it again on the same file: everything is recorded under its own key, and nothing changes. Kill it half-way and run
it again: it goes on, and ends in the same books.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from _grocer_check import State, check, state
from _grocer_data import chosen, departments, facts_of, orders_of, rows

from loyaltykit import (
    Balance,
    Club,
    Order,
    Program,
    Refund,
    SQLiteStore,
    bonus,
    category,
    coins,
    days,
    per_amount,
    per_day,
    quote,
)

ZONE = ZoneInfo("America/New_York")
YEAR_END = datetime(2018, 1, 1, tzinfo=ZONE)
POINTS_A_DAY = 200

PROGRAM = Program(
    name="grocer",
    currency="USD",
    zone=ZONE.key,
    earning=[per_amount(1, each="1.00"), bonus(2, where=category("produce"))],
    caps=[per_day(points=POINTS_A_DAY)],
    validity=days(90),
    rewards=[coins(100, worth="1.00", minimum=200, block=100, name="voucher")],
)


@dataclass
class Year:
    """The totals of the report. Money is in cents."""

    households: int = 0
    baskets: int = 0
    lines: int = 0
    paid: int = 0
    discounts: int = 0
    returns: int = 0
    earned: int = 0
    taken_back: int = 0
    vouchers: int = 0
    redeemed: int = 0
    expired: int = 0
    outstanding: int = 0
    owed: int = 0
    liability: int = 0


# ---------------------------------------------------------------- the year


def replay(club: Club, facts: Iterable[Order | Refund], year: Year, progress) -> None:
    """Record the facts month by month in large batches, and give out the vouchers in between."""
    for month, part in groupby(facts, key=lambda fact: fact.at.astimezone(ZONE).month):
        progress.set_description(f"2017-{month:02}")
        for receipt in club.record_many(counted(part, year), batch=5_000):
            progress.update(receipt.kind == "order")
        if month < 12:
            year.vouchers += give_vouchers(club, datetime(2017, month + 1, 1, tzinfo=ZONE))
    while club.sweep(at=YEAR_END):  # write down what has expired by then; it changes no balance
        pass


def counted(facts: Iterable[Order | Refund], year: Year) -> Iterator[Order | Refund]:
    """Pass the facts on, and add them to the year."""
    for fact in facts:
        if isinstance(fact, Order):
            year.baskets += 1
            year.lines += len(fact.lines)
            year.paid += int(fact.goods * 100)
            year.discounts += int((sum(line.discount for line in fact.lines) + fact.discount) * 100)
        else:
            year.returns += 1
        yield fact


def give_vouchers(club: Club, at: datetime) -> int:
    """Redeem what each household can afford at the beginning of a month; return how many vouchers there were.

    What it can afford is asked for the instant before, which the voucher does not change: so a second run asks for the
    same voucher again, under the same key, and gets the first answer.
    """
    given = 0
    for member, balance in balances(club, at - timedelta.resolution):
        offer = quote(PROGRAM, "voucher", balance.available, at=balance.at, member=member)
        if offer.ok:
            club.redeem(member, offer, key=f"voucher {at:%Y-%m}", at=at)
            given += 1
    return given


def balances(club: Club, at: datetime) -> Iterator[tuple[str, Balance]]:
    """Return every household's balance at an instant, page by page."""
    after: str | None = ""
    while after is not None:
        page = club.balances(at=at, after=after, limit=500)
        yield from page
        after = page.next


# ---------------------------------------------------------------- the report


def report(club: Club, year: Year) -> str:
    """Fill in what the ledger says, and return the whole as text."""
    everyone = list(balances(club, YEAR_END))
    for _, balance in everyone:
        year.households += 1
        year.earned += balance.earned
        year.taken_back += balance.clawed_back
        year.redeemed += balance.redeemed
        year.expired += balance.expired
        year.outstanding += balance.active
        year.owed += balance.debt
    top, best = max(everyone, key=lambda each: each[1].earned)
    example, _ = min(everyone, key=dullness)
    coin = PROGRAM.rewards[0]
    worth = int(100 * coin.worth / coin.points)  # cents a point
    statement = str(club.statement(top, at=YEAR_END)).splitlines()
    year.liability = year.outstanding * worth
    lines = [
        f"{year.households:,} households, {year.baskets:,} baskets, {year.lines:,} lines: "
        f"{dollars(year.paid)} paid, after discounts of {dollars(year.discounts)}",
        "",
        f"  earned       {year.earned:>12,} points",
        f"  taken back   {-year.taken_back:>12,}         {year.returns:,} returns",
        f"  redeemed     {-year.redeemed:>12,}         {year.vouchers:,} vouchers, {dollars(year.redeemed * worth)}",
        f"  expired      {-year.expired:>12,}         after 90 days",
        *([f"  owed         {year.owed:>12,}         taken back when they had been spent"] if year.owed else []),
        f"  outstanding  {year.outstanding:>12,}         a liability of {dollars(year.liability)}",
        "",
        f"The end of the statement of household {top}, which earned the most, {best.earned:,} points:",
        *(f"  {line}" for line in (statement[0], *statement[-6:])),
        "",
        f"Why household {example} has what it has:",
        *(f"  {line}" for line in clipped(str(club.explain(example, at=YEAR_END)).splitlines(), 20)),
    ]
    return "\n".join(lines)


def dullness(each: tuple[str, Balance]) -> tuple[bool, int]:
    """Rank balances as examples: those to which everything happened come first, of them the shortest stories."""
    _, balance = each
    everything = balance.redeemed and balance.expired and balance.clawed_back and balance.available > 0
    return not everything, balance.earned


def clipped(lines: list[str], most: int) -> list[str]:
    """Leave out the middle of a long text."""
    if len(lines) <= most:
        return lines
    return [*lines[: most // 2], f"… {len(lines) - most} more lines …", *lines[-(most - most // 2) :]]


def dollars(cents: int) -> str:
    """Return cents as people write them."""
    return f"${cents // 100:,}.{cents % 100:02}"


def difference(before: State, after: State) -> str:
    """Say what a run has changed in the file, by comparing every account's version."""
    if not before.accounts:
        return f"New: {after.accounts:,} accounts, {after.records:,} records, {after.entries:,} entries."
    if before == after:
        return (
            f"Run again, nothing changed: {after.accounts:,} accounts stand at the versions they had, with the same "
            f"{after.records:,} records and {after.entries:,} entries."
        )
    return f"{after.records - before.records:,} records and {after.entries - before.entries:,} entries were added."


# ---------------------------------------------------------------- the command line


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Replay a grocer's year through a loyalty program.")
    parser.add_argument("--db", default="grocer-year.sqlite", help="the file to record into (default: %(default)s)")
    parser.add_argument("--households", type=int, help="only the first so many (default: all 2,469)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.households is not None and options.households < 1:
        parser.error("--households: give 1 or more")
    try:
        from tqdm import tqdm

        households, baskets = chosen(options.households)
        names = departments()
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed. What this example needs: pip install 'loyaltykit[demo]'")

    year = Year()
    with Club(PROGRAM, SQLiteStore(options.db)) as club:
        before = state(options.db)
        if before.accounts > len(households):
            sys.exit(f"{options.db} holds {before.accounts:,} households already; ask for them all, or name another")
        with tqdm(total=baskets, unit=" baskets", disable=options.quiet or None) as progress:
            replay(club, facts_of(orders_of(rows(households), names), YEAR_END), year, progress)
        print(report(club, year))
    print("\nThe same, worked out in SQL from the till's lines, and equal:")
    for line in check(
        rows(households), names, options.db, asdict(year), cap=POINTS_A_DAY, year_end=f"{YEAR_END:%Y-%m-%d %H:%M:%S}"
    ):
        print(f"  {line}")
    print(f"\n{difference(before, state(options.db))}")


if __name__ == "__main__":
    main()
