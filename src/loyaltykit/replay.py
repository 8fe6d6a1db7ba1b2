"""Replay: what would this program have done with these orders, and what would that one?

Months of real facts run through a program in memory, member by member. The answers are those that a `Club` gives
where the same facts are recorded in the order of time, to the point; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from typing import NamedTuple

import attrs

from loyaltykit._replay_life import (
    Redemption,
    Rules,
    coins_of,
    live,
    never,
    share_of_available,
    when_affordable,
)
from loyaltykit._replay_result import (
    Comparison,
    Explained,
    Flow,
    MemberTotals,
    Mover,
    Population,
    Reached,
    Result,
    Span,
    Table,
    mover,
)
from loyaltykit._replay_rows import Framed, facts_in
from loyaltykit._replay_tally import Calendar, Tally, summed_up
from loyaltykit.calendar import as_unit, from_us, instant, to_us
from loyaltykit.club import Club
from loyaltykit.commands import Redeem
from loyaltykit.consent import Consent, Told
from loyaltykit.decisions import Explanation
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Member, Order, Refund, Reversal
from loyaltykit.program import Program
from loyaltykit.retention.periods import By
from loyaltykit.rulebook import Rulebook
from loyaltykit.stores.memory import MemoryStore

__all__ = [
    "Comparison", "Explained", "Flow", "MemberTotals", "Mover", "Population", "Reached", "Redemption", "Result", "Span",
    "Table", "compare", "explain", "never", "replay", "share_of_available", "when_affordable",
]  # fmt: skip

Progress = Callable[[int, int | None], None]
"""Called with how many facts are done, and how many there are (None where they are streamed)."""


def replay(
    program: Program, facts: Iterable[Told] | Framed, *, redemption: Redemption | None = None,
    at: datetime | None = None, every: By = "month", unit: str = "points", progress: Progress | bool | None = None,
    grouped: bool = False,
) -> Result:  # fmt: skip
    """Say what a program would have done with facts, had it always been in force.

    `facts` are orders, refunds, reversals, activities, members and consents, in any order; each counts once, from the
    instant at which it became known, and those from after `at` do not count. Or they are a `loyaltykit.frames.Base`:
    orders of rows of the caller's own frame, of which every line is one piece. `redemption` says how points are taken to
    be redeemed (default: `when_affordable()` if the program has coins of the `unit`, else `never`). `at` is the last
    instant that counts (default: that of the last fact's period). `every` is a calendar unit, local to the program's
    zone, or boundaries of periods. `progress` is called now and then; True shows a bar (extra ``progress``).

    Members are replayed one after the other, and forgotten but for a few totals. With ``grouped=True`` the facts have
    to come member by member; they are not collected first, and memory does not grow with them (then give `at`).

    Raises what a `Club` would raise for a fact that cannot be recorded (`KeyReused`, `RefundTooLarge`,
    `WrongCurrency`). A campaign budget is shared between members, so a program with one is refused (`InputError`).

    >>> from datetime import UTC
    >>> from loyaltykit import Program, coins, days, per_amount
    >>> program = Program("Club", "USD", earning=per_amount(1), validity=days(40), rewards=coins(100, worth="1.00"))
    >>> told = [Order("1", "ann", datetime(2026, 1, 10, tzinfo=UTC), amount=70),
    ...         Order("2", "ann", datetime(2026, 2, 3, tzinfo=UTC), amount=90)]
    >>> print(replay(program, told, redemption=never).by_period())
    Club: nobody redeems
    period              members  orders  issued  taken back  redeemed  expired  outstanding  liability  revenue  cost  cost share
    2026-01                   1       1      70           0         0        0           70       0.70    70.00  0.00      0.0000
    2026-02                   1       1      90           0         0       70           90       0.90    90.00  0.00      0.0000
    2026-01 to 2026-02        1       2     160           0         0       70           90       0.90   160.00  0.00      0.0000
    """  # noqa: E501 (a table)
    plan = _planned(program, facts, at, every, grouped)
    rules = _rules(program, redemption, unit, plan.until)
    tally = _tallied([rules], plan, progress)[0]
    return summed_up(rules, plan.every, tally)


def compare(
    first: Program, second: Program, facts: Iterable[Told] | Framed, *, redemption: Redemption | None = None,
    at: datetime | None = None, every: By = "month", unit: str = "points", progress: Progress | bool | None = None,
    grouped: bool = False, explained: int = 2,
) -> Comparison:  # fmt: skip
    """Replay facts under two programs, and say who gains or loses how much; explain the members that move most.

    The other arguments are those of `replay`. To compare one program under two models of redemption, `replay` it twice
    and `Result.compare` the results.

    >>> from datetime import UTC
    >>> from loyaltykit import Program, coins, days, per_amount
    >>> long = Program("Long", "USD", earning=per_amount(1), validity=days(365), rewards=coins(100, worth="1.00"))
    >>> short = attrs.evolve(long, name="Short", validity=days(30))
    >>> told = [Order("1", "ann", datetime(2026, 1, 10, tzinfo=UTC), amount=70),
    ...         Order("2", "ann", datetime(2026, 2, 20, tzinfo=UTC), amount=90)]
    >>> print(compare(long, short, told, explained=0).summary())
    Under Short, 0 members gain 0, 1 lose 0.70, 0 have the same.
    """
    plan = _planned(first, facts, at, every, grouped)
    if first.zone != second.zone:
        raise InputError("second.zone", second.zone, f"the first has {first.zone}; periods are those of one zone")
    sides = [_rules(each, redemption, unit, plan.until) for each in (first, second)]
    one, two = _tallied(sides, plan, progress, explained)
    result = Comparison(summed_up(sides[0], plan.every, one), summed_up(sides[1], plan.every, two))
    why = tuple(
        Explained(member, *(_explanation(side, member, told) for side in sides))
        for _, _, member, told in sorted(one.best, reverse=True)
    )
    return attrs.evolve(result, explained=why)


def explain(result: Result, member: str, facts: Iterable[Told] | Framed) -> Explanation:
    """Return why a member has what a replay says: the tree of facts and rules behind it, at its end. Print it.

    A result does not keep the facts, so give them again; only those of the member are looked at.
    """
    result.member(member)
    told = [fact for fact in facts_in(facts) if _member(fact) == member]
    rules = _rules(result.program, result.redemption, result.unit, to_us(result.at))
    return _explanation(rules, member, told)


def _explanation(rules: Rules, member: str, facts: Sequence[Told]) -> Explanation:
    """Record a member's time in a club of its own, and ask it."""
    life = live(rules, member, facts)
    with Club(rules.program, MemoryStore(), clock=lambda: from_us(rules.until)) as club:
        for act in life.acts if life is not None else ():
            if isinstance(act, Redeem):
                club.do(act)
            else:
                club.record(act)
        return club.explain(member, at=from_us(rules.until), unit=rules.unit)


# ---------------------------------------------------------------- the input


class _Plan(NamedTuple):
    """The facts by member, the last instant, and the periods."""

    members: Iterator[tuple[str, Sequence[Told]]]
    facts: int | None  # how many; None where they are streamed
    until: int
    every: By
    calendar: Calendar


def _member(fact: Told) -> str:
    if not isinstance(fact, Order | Refund | Reversal | Activity | Member | Consent):
        raise InputError("facts", fact, "give orders, refunds, reversals, activities, members and consents")
    return fact.id if isinstance(fact, Member) else fact.member


def _known(fact: Told) -> int:
    return to_us(fact.known_from if isinstance(fact, Order) else fact.at)


def _planned(program: Program, given: Iterable[Told] | Framed, at: datetime | None, every: By, grouped: bool) -> _Plan:
    facts = facts_in(given)
    if not isinstance(every, str):
        every = tuple(every)
    else:
        as_unit(every, "every")
    until = None if at is None else to_us(instant(at))
    if grouped:
        if until is None:
            hint = "where facts are streamed, give the last instant that counts, as in at=datetime(2026, 12, 31, ...)"
            raise InputError("at", None, hint)
        calendar = Calendar(every, program.zone, until)
        return _Plan(_streamed(facts), None, calendar.last(until), every, calendar)
    by_member: dict[str, list[Told]] = {}
    count = last = 0
    for count, fact in enumerate(facts, 1):
        by_member.setdefault(_member(fact), []).append(fact)
        last = _known(fact) if count == 1 else max(last, _known(fact))
    if not count:
        raise InputError("facts", (), "give at least one fact")
    calendar = Calendar(every, program.zone, last if until is None else until)
    listed = sorted(by_member.items())
    return _Plan(iter(listed), count, calendar.last(until), every, calendar)


def _streamed(facts: Iterable[Told]) -> Iterator[tuple[str, Sequence[Told]]]:
    """Yield the facts of one member after the other; refuse a member that comes again."""
    done: set[str] = set()
    member, mine = None, list[Told]()
    for fact in facts:
        name = _member(fact)
        if name != member:
            if member is not None:
                yield member, mine
                done.add(member)
            if name in done:
                raise InputError("facts", name, "with grouped=True all facts of one member come together")
            member, mine = name, []
        mine.append(fact)
    if member is not None:
        yield member, mine


def _rules(program: Program, redemption: Redemption | None, unit: str, until: int) -> Rules:
    for place, rule in enumerate(program.earning):
        if rule.budget is not None:
            hint = "a budget is shared between members, who are replayed one by one; leave it out, or use a Club"
            raise InputError(f"program.earning[{place}].budget", rule.budget.name, hint)
    program = attrs.evolve(program, effective_from=None)
    program.unit(unit)
    coins = coins_of(program, unit)
    if redemption is None:
        redemption = never if coins is None else when_affordable()
    if not isinstance(redemption, Redemption):
        raise InputError("redemption", redemption, "give never, when_affordable() or share_of_available('0.5')")
    if redemption.share and coins is None:
        hint = f"the program has no coins of {unit} to redeem them through; add coins(...), or give redemption=never"
        raise InputError("redemption", str(redemption), hint)
    rulebook = Rulebook({program.version: program})
    return Rules(program, rulebook.terms(program), redemption, coins, unit, until)


# ---------------------------------------------------------------- the lives


def _tallied(sides: Sequence[Rules], plan: _Plan, progress: Progress | bool | None, explained: int = 0) -> list[Tally]:
    """Let every member live under each of the programs."""
    tallies, done = [Tally() for _ in sides], 0
    with _shown(progress, plan.facts) as tell:
        for number, (member, facts) in enumerate(plan.members):
            _one(sides, plan.calendar, tallies, number, member, facts, explained)
            done += len(facts)
            tell(done, plan.facts)
    return tallies


@contextmanager
def _shown(progress: Progress | bool | None, total: int | None) -> Iterator[Progress]:
    """Return what is told how far it is: the caller's own, a bar, or nobody."""
    if progress is not True:
        yield progress or (lambda done, total: None)
        return
    try:
        tqdm = import_module("tqdm.auto").tqdm
    except ModuleNotFoundError:
        hint = "a bar needs tqdm: pip install 'loyaltykit[progress]'; or give a function of your own"
        raise InputError("progress", True, hint) from None
    with tqdm(total=total, unit=" facts") as bar:
        yield lambda done, total: bar.update(done - bar.n)


def _one(
    sides: Sequence[Rules], calendar: Calendar, tallies: Sequence[Tally], number: int, member: str,
    facts: Sequence[Told], explained: int,
) -> None:  # fmt: skip
    """Let one member live under each of the programs; keep the facts of those few that move most."""
    lives = [live(rules, member, facts) for rules in sides]
    totals = [
        tally.add(member, life, rules, calendar)
        for rules, life, tally in zip(sides, lives, tallies, strict=True)
        if life is not None
    ]
    if len(totals) == 2 and explained > 0:
        one, two = sides
        moved = mover(one.program, two.program, one.unit, two.unit, *totals)
        if moved.gain:
            tallies[0].keep((abs(moved.gain), -number, member, facts), explained)
