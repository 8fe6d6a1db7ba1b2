"""Status through a club: what it works out from what is on record, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loyaltykit import (
    AnniversaryOf,
    Badge,
    Birthday,
    Club,
    InputError,
    Ladder,
    Launch,
    Line,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    Segment,
    SQLiteStore,
    StampCard,
    Threshold,
    Tier,
    UnknownMember,
    agreed,
    bonus,
    bonus_points,
    calendar_year,
    days,
    free_shipping,
    lint,
    months,
    orders,
    per_amount,
    percent_off,
    perk,
    spend,
    tier,
    withdrawn,
)
from loyaltykit.measures import earned

YEAR = calendar_year()


def on(day: str) -> datetime:
    """Return the first instant of a day, or an instant, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def program(**changed: Any) -> Program:
    """Return a program with a bit of everything."""
    named: dict[str, Any] = {
        "earning": [per_amount(1), bonus(2, where=tier("Gold"))],
        "tiers": Ladder(
            "status",
            spend(months(12)),
            [Tier("Bronze"), Tier("Silver", 300), Tier("Gold", 1000, free_shipping(), entry=bonus_points(500))],
        ),
        "thresholds": Threshold("the year", spend(YEAR), "500.00", grants=free_shipping()),
        "segments": Segment("regulars", orders(months(6)) >= 2),
        "badges": Badge("five orders", orders() >= 5),
        "cards": StampCard("coffee card", 3, perk("a free coffee")),
        "occasions": Birthday(percent_off(15), validity=days(30)),
    }
    return Program("club", "USD", **{**named, **changed})


def order(id: str, day: str, amount: int, member: str = "ann", **others: Any) -> Order:
    """Return an order of one mug."""
    return Order(id, member, on(day), [Line("mug", 1, unit_price=amount)], **others)


@pytest.fixture(params=["memory", "sqlite"])
def club(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Club]:
    """A club of that program."""
    store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "shop.db")
    with Club(program(), store, clock=lambda: on("2026-01-01")) as made:
        yield made


def test_standing_brings_the_status(club: Club) -> None:
    """One question answers what a member has, is, holds and lacks."""
    club.record(order("1", "2026-03-02", 420))
    standing = club.standing("ann", at=on("2026-03-03"))
    assert standing.status is not None
    assert ("Silver", (), "the year") == (
        standing.status.tier(), standing.status.segments, standing.status.thresholds[0].threshold
    )  # fmt: skip
    assert Decimal("80.00") == standing.status.threshold("the year").to_go
    for line in ("420 points available", "status: Silver", "580.00 to Gold", "the year: 420.00 of 500.00"):
        assert line in str(standing)
    assert "Gold is $580.00 away; Silver is kept until 2027-03-02" in str(club.explain("ann", at=on("2026-03-03")))


def test_status_is_of_an_instant(club: Club) -> None:
    """Nothing that happens later counts, and a refund is known from its own instant."""
    club.record(order("1", "2026-03-02", 1000))
    club.record(Refund("r", "ann", "1", on("2026-04-01"), amount=300))
    seen = [club.status("ann", at=on(day)).tier() for day in ("2026-03-01", "2026-03-02", "2026-03-31", "2026-04-01")]
    assert ["Bronze", "Gold", "Gold", "Silver"] == seen


def test_orders_earn_by_the_tier_before_them(club: Club) -> None:
    """The order that reaches Gold earns as before; the next one twice; told again, or refunded, by the same tier."""
    first, second = order("1", "2026-03-02", 1000), order("2", "2026-03-03", 100)
    assert [1000, 200] == [club.record(each).points for each in (first, second)]
    assert 200 == club.preview(order("3", "2026-03-04", 100)).points
    assert 200 == club.record(second).points
    club.record(Refund("r", "ann", "1", on("2026-03-05")))
    assert 200 == club.balance("ann", at=on("2026-03-05")).available, "what was earned by a tier is not told anew"
    assert 100 == club.record(order("4", "2026-03-06", 100)).points
    assert [] == club.verify("ann")


def test_orders_may_earn_by_the_tier_that_they_reach() -> None:
    """With the other policy, the order that reaches the tier earns by it."""
    ladder = Ladder("status", spend(months(12)), {"Bronze": 0, "Gold": 1000}, earn_tier="include_current")
    club = Club(program(tiers=ladder), MemoryStore())
    assert [600, 1000] == [
        club.record(order(*each)).points for each in (("1", "2026-03-02", 600), ("2", "2026-03-03", 500))
    ]


def test_a_batch_earns_as_one_by_one() -> None:
    """In one batch or one by one, each order earns by what is on record before it."""
    told = [order(str(day), f"2026-03-{day:02}", 400) for day in range(1, 7)]
    single, batched = Club(program(), MemoryStore()), Club(program(), MemoryStore())
    expected = [single.record(each).points for each in told]
    assert [400, 400, 400, 800, 800, 800] == expected
    assert expected == [receipt.points for receipt in batched.record_many(told)]


def test_several_ladders_at_once() -> None:
    """A rule holds for whoever has its tier on any ladder."""
    ladders = [
        Ladder("status", spend(months(12)), {"Bronze": 0, "Gold": 1000}),
        Ladder("visits", orders(), {"Guest": 0, "Friend": 2}),
    ]
    club = Club(program(tiers=ladders, earning=[per_amount(1), bonus(3, where=tier("Friend"))]), MemoryStore())
    points = [club.record(order(str(day), f"2026-03-{day:02}", 10)).points for day in range(1, 4)]
    assert [10, 10, 30] == points
    assert ("Bronze", "Friend") == (
        club.status("ann", at=on("2026-03-04")).tier("status"), club.status("ann", at=on("2026-03-04")).tier("visits")
    )  # fmt: skip


def test_merged_members_bring_their_orders(club: Club) -> None:
    """After a merge the orders of both count, also for the tier by which the next one earns."""
    club.record(order("1", "2026-03-02", 600))
    club.record(order("2", "2026-03-03", 600, "bo"))
    club.merge("bo", "ann", at=on("2026-03-04"))
    assert "Gold" == club.status("ann", at=on("2026-03-05")).tier()
    assert 200 == club.record(order("3", "2026-03-06", 100)).points


def test_invitations_and_grants_by_hand(club: Club) -> None:
    """A tier or a benefit may be given for a time, and is gone by itself."""
    club.record(order("1", "2026-03-02", 10))
    club.invite("ann", "Gold", key="i", at=on("2026-03-03"), ends=on("2026-06-01"), source="paid")
    club.grant("ann", free_shipping(), key="g", at=on("2026-03-03"), ends=on("2026-05-01"), source="membership")
    status = club.status("ann", at=on("2026-04-01"))
    assert ("Gold", "paid") == (status.tier(), status.tiers[0].reason)
    assert "Bronze" == club.status("ann", at=on("2026-06-01")).tier()
    fees = [club.shipping_fee("ann", "7.90", at=on(day)) for day in ("2026-03-02", "2026-04-01", "2026-06-01")]
    assert [Decimal("7.90"), Decimal("0.00"), Decimal("7.90")] == [fee.fee for fee in fees]
    assert ("standard", "standard") == (fees[0].reason, fees[2].reason)
    with pytest.raises(InputError, match="no ladder of the program has a tier"):
        club.invite("ann", "Platinum", key="p", at=on("2026-03-03"))
    with pytest.raises(UnknownMember):
        club.invite("cy", "Gold", key="c", at=on("2026-03-03"))


def test_what_is_due_is_carried_out_once(club: Club) -> None:
    """What is acknowledged is due no more, and gives its points once; at an earlier instant it was still due."""
    club.record(order("1", "2026-03-02", 1000))
    now = on("2026-03-03")
    kinds = [decision.kind for decision in club.due("ann", at=now)]
    assert ["tier_entry", "entry_reward", "threshold_reached"] == kinds
    reward = club.due("ann", at=now)[1]
    for _ in range(2):
        club.acknowledge(reward, at=now)
    assert 1500 == club.balance("ann", at=now).available
    assert ["tier_entry", "threshold_reached"] == [decision.kind for decision in club.due("ann", at=now)]
    assert 3 == len(club.due("ann", at=now - timedelta(hours=1)))
    club.acknowledge(club.due("ann", at=now)[0], at=now, give=False)
    assert ["threshold_reached"] == [decision.kind for decision in club.all_due(at=now)]


def test_a_benefit_that_was_carried_out_is_held(club: Club) -> None:
    """The coupon of a birthday is held from when it was given, for as long as it is valid."""
    club.record(Member("ann", on("2026-01-01"), birthday=date(1990, 5, 5)))
    (gift,) = club.due("ann", at=on("2026-05-05"))
    club.acknowledge(gift, at=on("2026-05-05"))
    held = [
        [each.benefit.name for each in club.status("ann", at=on(day)).benefits] for day in ("2026-05-05", "2026-06-04")
    ]
    assert [["15% off an order"], []] == held


def test_what_dates_will_make_due(club: Club) -> None:
    """A look ahead tells of birthdays; what has to happen first is not foretold."""
    club.record(Member("ann", on("2026-01-01"), birthday=(5, 5)))
    club.record(order("1", "2026-03-02", 100))
    assert () == club.due("ann", at=on("2026-05-01"))
    coming = club.due("ann", at=on("2026-05-01"), within=days(7))
    assert ["birthday:ann:2026"] == [decision.key for decision in coming if decision.kind == "birthday"]


def test_an_occasion_may_be_due_before_its_day() -> None:
    """A birthday that is kept three days ahead is due from the start of that day, under the birthday's own key."""
    club = Club(program(occasions=Birthday(percent_off(15), ahead=3)), MemoryStore())
    club.record(Member("ann", on("2026-01-01"), birthday=(1, 2), zone="Asia/Tokyo"))
    first = on("2026-12-29T15:00")
    assert [(), ("birthday:ann:2027",)] == [
        tuple(each.key for each in club.due("ann", at=at)) for at in (first - timedelta(microseconds=1), first)
    ]


def test_points_about_to_expire_are_told_of() -> None:
    """So long before they expire, once for each instant, until they do or are spent."""
    club = Club(program(validity=days(90), expiry_notice=days(14), tiers=(), earning=per_amount(1)), MemoryStore())
    club.record(order("1", "2026-03-01", 100))
    told = [
        [
            (each.key, dict(each.data)["points"])
            for each in club.due("ann", at=on(day))
            if each.kind == "points_expiring"
        ]
        for day in ("2026-05-15", "2026-05-16", "2026-05-29", "2026-05-30")
    ]
    soon = [("expiring:points:ann:2026-05-30", "100")]
    assert [[], soon, soon, []] == told
    club.redeem("ann", 100, key="r", at=on("2026-05-17"))
    assert [] == [each for each in club.due("ann", at=on("2026-05-18")) if each.kind == "points_expiring"]


def test_the_whole_base(club: Club) -> None:
    """Segments, consent and launches are asked of all members."""
    for day in (2, 3):
        club.record(order(f"a{day}", f"2026-03-0{day}", 600))
        club.record(order(f"b{day}", f"2026-03-0{day}", 10, "bo"))
    club.record(order("c", "2026-03-02", 10, "cy"))
    now = on("2026-03-04")
    assert ("ann", "bo") == club.segment("regulars", at=now)
    assert ["ann", "bo", "cy"] == [history.member for history in club.histories(at=now)]
    club.record(agreed("ann", "news", now, channel="email"))
    club.record(agreed("bo", "news", now, channel="email"))
    club.record(withdrawn("bo", "news", on("2026-03-05"), channel="email"))
    assert [("ann", "bo"), ("ann",)] == [
        club.consenting("news", at=at, channel="email") for at in (now, on("2026-03-05"))
    ]
    launch = Launch("drop", on("2026-04-10T09:00"), {"Gold": 48})
    early = on("2026-04-08T09:00")
    assert [True, False] == [club.may_buy(member, launch, at=early) for member in ("ann", "bo")]
    with pytest.raises(InputError, match="regulars"):
        club.segment("unknown", at=now)


def test_what_was_recorded_by_then(club: Club) -> None:
    """`known_at` limits the answer to what had been recorded; an order told late was not known before."""
    clocks = iter([on("2026-03-02"), on("2026-03-20")])
    late = Club(program(), MemoryStore(), clock=lambda: next(clocks, on("2026-03-20")))
    late.record(order("1", "2026-03-02", 10))
    late.record(order("2", "2026-03-03", 1000))
    seen = [late.status("ann", at=on("2026-03-10"), known_at=on(day)).tier() for day in ("2026-03-10", "2026-03-20")]
    assert ["Bronze", "Gold"] == seen


def test_profiles_held_in_their_time(club: Club) -> None:
    """A birthday that was edited is the new one from then on, and the old one before."""
    club.record(Member("ann", on("2026-01-01"), birthday=(3, 5)))
    club.record(Member("ann", on("2026-03-06"), birthday=(7, 9)))
    days_due = [[each.key for each in club.due("ann", at=on(day))] for day in ("2026-03-05", "2026-07-09")]
    assert [["birthday:ann:2026"], ["birthday:ann:2026"]] == days_due
    club.acknowledge(club.due("ann", at=on("2026-03-05"))[0], at=on("2026-03-05"))
    assert () == club.due("ann", at=on("2026-07-09"))
    assert [] == club.verify("ann")


def test_pending_points_do_not_qualify() -> None:
    """Points count for a tier from when they become active, and no longer when they are taken back."""
    ladder = Ladder("status", earned(), {"none": 0, "Gold": 100})
    club = Club(program(tiers=ladder, activation=days(14), earning=per_amount(1)), MemoryStore())
    club.record(order("1", "2026-03-01", 100))
    seen = [club.status("ann", at=on(day)).tier() for day in ("2026-03-14", "2026-03-15")]
    assert ["none", "Gold"] == seen
    club.record(Refund("r", "ann", "1", on("2026-03-20"), amount=1))
    assert ["Gold", "none"] == [club.status("ann", at=on(day)).tier() for day in ("2026-03-19", "2026-03-20")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"thresholds": Threshold("t", spend(YEAR), "0.001", grants=perk("x"))}, "program.thresholds[0].target"),
        ({"segments": Segment("s", (orders() >= 1) & (spend(currency="EUR") >= 1))},
         "program.segments[0].condition.parts[1].measure.currency"),
        ({"tiers": Ladder("l", earned(unit="miles"), {"a": 0})}, "program.tiers[0].measure.name"),
        ({"tiers": [Ladder(name, orders(), {"a": 0}) for name in "lm"]}, "program.tiers[1].tiers[0].name"),
        ({"badges": [Badge("b", orders() >= 1)] * 2}, "program.badges[1].name"),
    ],
)  # fmt: skip
def test_a_program_whose_status_cannot_be_is_refused(changed: dict[str, Any], field: str) -> None:
    """The error names the path of what is wrong."""
    with pytest.raises(InputError) as error:
        program(**changed)
    assert field == error.value.field


def test_an_anniversary_of_joining_counts_from_the_first_record(club: Club) -> None:
    """Whoever opens an account joins with it."""
    later = Club(program(occasions=AnniversaryOf("joining", perk("cake"))), MemoryStore())
    later.record(order("1", "2026-03-02", 10))
    assert ["anniversary:ann:joining:1"] == [
        each.key for each in later.due("ann", at=on("2027-03-02")) if each.kind == "anniversary"
    ]


def test_lint_finds_a_best_tier_that_is_none() -> None:
    """A ladder whose best tier brings nothing of its own is legal, and is said."""
    same = Ladder("status", orders(), [Tier("Base", 0, perk("news")), Tier("Best", 5, perk("news"))])
    assert ["tier 'Best' has no benefit that others do not have"] == [
        each for each in lint(program(tiers=same, earning=per_amount(1))) if "tier" in each
    ]


def test_dates_are_shown_in_the_program_s_zone() -> None:
    """What lasts until midnight in New York is shown as that day, not as the one in Greenwich."""
    club = Club(program(zone="America/New_York"), MemoryStore())
    club.record(order("1", "2026-03-02T05:00", 600))
    assert "granted until 2027-01-01" in str(club.status("ann", at=on("2026-03-03")))
    assert "Silver until 2027-03-02, then Bronze" in str(club.status("ann", at=on("2026-03-03")))


def test_every_member_is_visited() -> None:
    """A base larger than a page is gone through to its end."""
    club = Club(program(), MemoryStore())
    list(club.record_many(Member(f"m{number:04}", on("2026-01-01"), birthday=(5, 5)) for number in range(1_203)))
    assert 1_203 == len([*club.members()])
    assert 1_203 == len([each for each in club.all_due(at=on("2026-05-05")) if each.kind == "birthday"])


def test_a_decision_is_judged_by_the_version_of_its_day() -> None:
    """What a later version of the program gives on entering a tier does not go to those who entered before."""
    tiers = [Tier("Bronze"), Tier("Gold", 1000, entry=bonus_points(200))]
    first = program(tiers=Ladder("status", spend(months(12)), tiers))
    more = [Tier("Bronze"), Tier("Gold", 1000, entry=[bonus_points(250), perk("a mug")])]
    later = program(tiers=Ladder("status", spend(months(12)), more), version=2, effective_from=on("2026-04-01"))
    club = Club([first, later], MemoryStore())
    club.record(order("1", "2026-03-02", 1000))
    club.record(order("2", "2026-04-02", 1000, "bo"))
    rewards = {
        member: [str(each.benefit) for each in club.due(member, at=on("2026-04-03")) if each.kind == "entry_reward"]
        for member in ("ann", "bo")
    }
    assert {"ann": ["200 points"], "bo": ["250 points", "a mug"]} == rewards


def test_a_tier_that_was_refunded_away_leaves_nothing_to_celebrate(club: Club) -> None:
    """Bought and returned on one day: the entry and its reward are over before anybody carried them out."""
    club.record(order("1", "2026-03-02", 1000))
    club.record(Refund("r", "ann", "1", on("2026-03-02T18:00")))
    assert ["tier_downgrade"] == [
        each.kind for each in club.due("ann", at=on("2026-03-03")) if each.kind != "threshold_reached"
    ]


def test_a_late_order_is_no_second_welcome(club: Club) -> None:
    """An entry that a late order moves to an earlier day of the same review period keeps its key."""
    club.record(order("1", "2026-03-05", 400))
    club.acknowledge(
        next(each for each in club.due("ann", at=on("2026-03-06")) if each.kind == "tier_entry"), at=on("2026-03-06")
    )
    club.record(order("2", "2026-03-04", 400))
    assert [] == [each for each in club.due("ann", at=on("2026-03-07")) if each.kind == "tier_entry"]


def test_the_receipt_says_what_was_given(club: Club) -> None:
    """Acknowledging a decision that comes with points answers with the points."""
    club.record(order("1", "2026-03-02", 1000))
    reward = next(each for each in club.due("ann", at=on("2026-03-03")) if each.kind == "entry_reward")
    assert 500 == club.acknowledge(reward, at=on("2026-03-03")).points


def test_a_look_ahead_is_a_period(club: Club) -> None:
    """Seven what is a question."""
    club.record(order("1", "2026-03-02", 10))
    with pytest.raises(InputError, match="give a period, as in days"):
        club.due("ann", at=on("2026-03-03"), within=7)  # type: ignore[arg-type]


def test_an_order_of_nothing_is_no_order(club: Club) -> None:
    """Nothing was bought with an order that has no lines; something free was."""
    club.record(Order("1", "ann", on("2026-03-02")))
    club.record(Order("2", "ann", on("2026-03-02"), [Line("sample", 1)]))
    assert 1 == orders().value(club.history("ann", at=on("2026-03-03")), on("2026-03-03"))
