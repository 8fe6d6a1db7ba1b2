"""Ladders of tiers, with numbers that a person would check by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from histories import bought, utc

from loyaltykit.calendar import days, months, to_us, weeks
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Fact, Order, Refund, Reversal
from loyaltykit.grants import bonus_points, free_shipping, perk
from loyaltykit.history import History, Movement
from loyaltykit.matching import category
from loyaltykit.measures import (
    Measure,
    activities,
    balance_of,
    days_since_last,
    earned,
    orders,
    periods,
    products,
    spend,
)
from loyaltykit.tiers import (
    Invitation,
    Ladder,
    Tier,
    TierChange,
    TierStanding,
    benefits_of,
    changes,
    decisions,
    lint_ladder,
    standing,
    tier_of,
)
from loyaltykit.windows import (
    anniversary_year,
    between,
    calendar_month,
    calendar_year,
)
from loyaltykit.wire import dumps, loads

D = Decimal
TICK = timedelta(microseconds=1)
SPENT = {"Bronze": 0, "Silver": 300, "Gold": 1000}

CENTS = Ladder("s", spend(), {"A": "0.50"})


def ann(*facts: Fact, **named: Any) -> History:
    """Return the history of ann."""
    return History(facts, member="ann", **named)


def back(order: str, day: str, amount: Any = None) -> Refund:
    """Return a refund of so much, or of everything, on a day."""
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return Refund(f"r-{order}-{day}", "ann", order, at, amount=amount)


def day(text: str) -> datetime:
    """Return the first instant of a day, or an instant, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def path(found: Iterable[TierChange]) -> list[tuple[str, str, str | None]]:
    """Return changes as kind, day and tier."""
    return [(change.kind, change.at.date().isoformat(), change.after) for change in found]


class TestOrdersAndSpend:
    COUNTED = Ladder("club", orders(), {"one": 0, "two": 3, "three": 6})
    SPENT = Ladder("insider", spend(calendar_year()), {"base": 0, "silver": 200, "gold": 500})

    @pytest.mark.parametrize(
        ("count", "tier", "missing"), [(0, "one", 3), (2, "one", 1), (3, "two", 3), (6, "three", None)]
    )
    def test_tiers_by_orders(self, count: int, tier: str, missing: int | None) -> None:
        """The tier is the highest that the number of orders reaches; it says how many are missing to the next."""
        told = standing(self.COUNTED, ann(*(bought(str(n), "2026-03-02", 5) for n in range(count))), utc(2026, 4, 1))
        assert (tier, missing) == (told.tier, told.to_next)

    def test_what_went_back_or_was_cancelled_is_no_order(self) -> None:
        """Orders that were refunded as a whole or cancelled do not count; one of which something is left does."""
        facts = [bought(str(n), "2026-03-02", 5) for n in range(3)]
        last = utc(2026, 5, 1)
        assert tier_of(self.COUNTED, ann(*facts), last) == "two"
        assert tier_of(self.COUNTED, ann(*facts, back("0", "2026-04-01", "4.99")), last) == "two"
        assert tier_of(self.COUNTED, ann(*facts, back("0", "2026-04-01")), last) == "one"
        assert tier_of(self.COUNTED, ann(*facts[:2], bought("2", "2026-03-02", 5, state="cancelled")), last) == "one"

    @pytest.mark.parametrize(
        ("amount", "tier", "following", "missing"),
        [
            (0, "base", "silver", D(200)), ("199.99", "base", "silver", D("0.01")),
            (200, "silver", "gold", D(300)), (500, "gold", None, None),
        ],
    )  # fmt: skip
    def test_tiers_by_spend(self, amount: Any, tier: str, following: str | None, missing: Decimal | None) -> None:
        """Spending exactly the threshold counts; the base tier needs no spending."""
        told = standing(self.SPENT, ann(bought("1", "2026-03-02", amount)), utc(2026, 4, 1))
        assert (tier, following, missing) == (told.tier, told.next, told.to_next)

    def test_before_anything_is_known(self) -> None:
        """Who has done nothing yet has the tier that everybody begins with; since when, nobody can say."""
        for ladder in (self.COUNTED, self.SPENT, attrs.evolve(self.SPENT, measure=spend(anniversary_year()))):
            for history in (History(), ann(bought("1", "2026-03-02", 900))):
                told = standing(ladder, history, utc(2026, 1, 1))
                assert (told.tier, told.since, told.until, told.value) == (ladder.tiers[0].name, None, None, 0)
                assert changes(ladder, history, utc(2026, 1, 1)) == benefits_of(ladder, history, utc(2026, 1, 1)) == ()
        assert standing(self.SPENT, ann(bought("1", "2026-03-02", 1)), utc(2026, 4, 1)).since == utc(2026, 3, 2)
        joined = ann(bought("1", "2026-03-02", 1), joined=utc(2026, 1, 9))
        assert standing(self.SPENT, joined, utc(2026, 4, 1)).since == utc(2026, 1, 9)

    def test_without_a_base_tier_there_may_be_none(self) -> None:
        """A ladder whose lowest tier has to be earned leaves people without a tier, and says what is missing."""
        ladder = Ladder("vip", spend(), {"VIP": 100})
        told = standing(ladder, ann(bought("1", "2026-03-02", 40)), utc(2026, 4, 1))
        assert (None, "VIP", D("60.00"), None) == (told.tier, told.next, told.to_next, told.to_keep)
        assert "vip: no tier\n  60.00 to VIP" == str(told)
        assert [("entry", "2026-05-01", "VIP"), ("downgrade", "2026-05-03", None)] == path(
            changes(
                ladder,
                ann(bought("1", "2026-03-02", 40), bought("2", "2026-05-01", 60), back("2", "2026-05-03")),
                utc(2026, 6, 1),
            )
        )

    def test_several_ladders_at_once(self) -> None:
        """Each ladder judges the same history by itself."""
        history = ann(*(bought(str(n), "2026-03-02", 100) for n in range(4)))
        assert ["two", "silver"] == [tier_of(each, history, utc(2026, 4, 1)) for each in (self.COUNTED, self.SPENT)]

    def test_an_anniversary_year_is_the_members(self) -> None:
        """What counts begins anew on the anniversary of joining, on 28 February for one of 29 February."""
        ladder = attrs.evolve(self.SPENT, measure=spend(anniversary_year()))
        history = ann(bought("1", "2024-12-01", 300), joined=utc(2024, 2, 29, 15))
        told = standing(ladder, history, utc(2025, 1, 1))
        assert ("silver", utc(2025, 2, 28, 15), "base") == (told.tier, told.until, told.then)

    def test_a_year_ends_in_the_zone(self) -> None:
        """New Year in New York is five hours after that of UTC."""
        history = ann(bought("1", "2026-03-02", 300), zone="America/New_York")
        assert utc(2027, 1, 1, 5) == standing(self.SPENT, history, utc(2026, 4, 1)).until

    def test_a_fixed_window_has_an_end(self) -> None:
        """Before and after a fixed window nothing that is done now helps; what it brought is kept."""
        ladder = attrs.evolve(self.SPENT, measure=spend(between(day("2026-03-01"), day("2026-04-01"))))
        history = ann(bought("1", "2026-02-02", 300), bought("2", "2026-03-02", 250))
        told = [standing(ladder, history, each) for each in (day("2026-02-20"), day("2026-03-20"), day("2027-03-20"))]
        assert [("base", None), ("silver", D("250.00")), ("silver", None)] == [
            (each.tier, each.to_next) for each in told
        ]
        assert told[2].next == "gold"
        assert str(told[2]) == "insider: silver"


class TestRefunds:
    FACTS = (bought("1", "2026-02-01", 1000), back("1", "2026-03-01", 300))

    def ladder(self, **named: Any) -> Ladder:
        """Return a ladder by calendar years."""
        return Ladder("status", spend(), SPENT, **named)

    def test_at_once(self) -> None:
        """With `immediate`, what went back counts from its instant on as if it had never been bought."""
        ladder = self.ladder(refunds="immediate")
        assert "Gold" == tier_of(ladder, ann(*self.FACTS), utc(2026, 3, 1) - TICK)
        told = standing(ladder, ann(*self.FACTS), utc(2026, 3, 1))
        assert ("Silver", D("700.00"), D("300.00")) == (told.tier, told.value, told.to_next)

    @pytest.mark.parametrize("validity", ["end_of_period", "end_of_next_period"])
    def test_at_once_whatever_the_validity(self, validity: Any) -> None:
        """Nor does a tier last, or land softly, that rested on what went back."""
        ladder = self.ladder(validity=validity, grace=days(30), downgrade="one_down")
        history = ann(bought("1", "2026-02-01", 1000), back("1", "2026-03-01"))
        assert "Gold" == tier_of(ladder, history, utc(2026, 3, 1) - TICK)
        assert "Bronze" == tier_of(ladder, history, utc(2026, 3, 1))

    def test_at_the_review(self) -> None:
        """With `at_review` it counts from the next review on; until then, the tier and the value are as they were."""
        ladder = self.ladder(refunds="at_review")
        told = standing(ladder, ann(*self.FACTS), utc(2026, 3, 2))
        assert ("Gold", D("1000.00"), utc(2027, 1, 1), "Silver") == (told.tier, told.value, told.until, told.then)
        assert D("300.00") == told.to_keep
        assert "qualified" == told.reason
        assert "Silver" == tier_of(ladder, ann(*self.FACTS), utc(2027, 1, 1))

    def test_a_refund_that_did_not_stand(self) -> None:
        """A reversal restores the tier at once, and what was not counted yet is not counted twice."""
        facts = (*self.FACTS, Reversal("v", "ann", "1", self.FACTS[1].id, utc(2026, 4, 1)))
        assert [
            ("entry", "2026-02-01", "Gold"),
            ("downgrade", "2026-03-01", "Silver"),
            ("entry", "2026-04-01", "Gold"),
        ] == path(changes(self.ladder(), ann(*facts), utc(2027, 1, 1)))
        waiting = self.ladder(refunds="at_review")
        assert D("1000.00") == standing(waiting, ann(*facts), utc(2026, 5, 1)).value
        assert [("entry", "2026-02-01", "Gold")] == path(changes(waiting, ann(*facts), utc(2028, 1, 1)))
        late = (*self.FACTS, Reversal("v", "ann", "1", self.FACTS[1].id, utc(2027, 4, 1)))
        assert [("downgrade", "2027-01-01", "Silver"), ("entry", "2027-04-01", "Gold")] == path(
            changes(waiting, ann(*late), utc(2028, 1, 1))
        )[1:]

    def test_an_order_that_is_moved_counts_where_it_is(self) -> None:
        """Nothing went back of an order that turns out to be of another month: it counts there at once."""
        ladder = Ladder("status", spend(calendar_month()), SPENT, refunds="at_review")
        first = Order("1", "ann", utc(2026, 2, 1), amount=600)
        moved = attrs.evolve(first, at=utc(2026, 1, 31), revision=2, revised_at=utc(2026, 2, 2))
        told = [standing(ladder, ann(first, moved), utc(2026, 2, each)) for each in (1, 2)]
        assert [("Silver", D("600.00")), ("Bronze", D("0.00"))] == [(each.tier, each.value) for each in told]

    @pytest.mark.parametrize("refunds", ["immediate", "at_review"])
    def test_what_becomes_known_late_counts_from_then(self, refunds: Any) -> None:
        """A draft that is paid counts from its payment on; an order that is only moved is not counted twice."""
        ladder = self.ladder(refunds=refunds)
        paid = Order("1", "ann", utc(2026, 2, 1), amount=400, revision=2, revised_at=utc(2026, 2, 9))
        draft = attrs.evolve(paid, state="draft", revision=1, revised_at=None)
        assert [("entry", "2026-02-09", "Silver")] == path(changes(ladder, ann(draft, paid), utc(2026, 3, 1)))
        first = Order("1", "ann", utc(2026, 2, 1), amount=600)
        moved = attrs.evolve(first, at=utc(2026, 2, 5), revision=2, revised_at=utc(2026, 2, 5))
        assert [("entry", "2026-02-01", "Silver")] == path(changes(ladder, ann(first, moved), utc(2028, 3, 1)))
        more = attrs.evolve(first, lines=(), amount=1000, revision=2, revised_at=utc(2026, 2, 7))
        assert [("entry", "2026-02-01", "Silver"), ("entry", "2026-02-07", "Gold")] == path(
            changes(ladder, ann(first, more), utc(2028, 3, 1))
        )

    def test_a_tier_is_lost_and_reached_again_within_a_day(self) -> None:
        """Each time has its own grants, under keys of their own; the entry reward of the year is given once."""
        tiers = (Tier("Bronze"), Tier("Gold", 1000, perk("lounge"), bonus_points(500)))
        ladder = Ladder("status", spend(), tiers)
        facts = (
            bought("1", "2026-02-01T09:00", 1000), back("1", "2026-02-01T10:00"), bought("2", "2026-02-01T11:00", 1000),
            back("2", "2026-12-31"), bought("3", "2027-02-01", 1000),
        )  # fmt: skip
        grants = benefits_of(ladder, ann(*facts), utc(2028, 1, 1))
        assert [("02-01 09", "02-01 10"), ("02-01 11", "12-31 00"), ("02-01 00", None)] == [
            (f"{each.starts:%m-%d %H}", None if each.ends is None else f"{each.ends:%m-%d %H}") for each in grants
        ]
        assert 3 == len({each.key for each in grants})
        rewards = [each for each in decisions(ladder, ann(*facts), utc(2028, 1, 1)) if each.kind == "entry_reward"]
        assert ["2026-02-01", "2027-02-01"] == [each.due.date().isoformat() for each in rewards]
        assert ["entry:status:Gold:ann:2026-01-01:500 points", "entry:status:Gold:ann:2027-01-01:500 points"] == [
            each.key for each in rewards
        ]


class TestPoints:
    TIERS = (Tier("Basic"), Tier("Gold", 1000))
    MOVES = (
        Movement(to_us(utc(2025, 1, 1)), to_us(utc(2025, 1, 1)), "points", "earn", 1200),
        Movement(to_us(utc(2025, 6, 1)), to_us(utc(2025, 6, 1)), "points", "redeem", -500),
    )

    def test_spending_points_does_not_demote(self) -> None:
        """What was earned stays earned when it is spent; only a ladder on the balance looks at what is left."""
        for refunds in ("immediate", "at_review"):
            history = ann(movements=self.MOVES)
            ask = [Ladder("s", each, self.TIERS, refunds=refunds) for each in (earned(), balance_of())]
            assert ["Gold", "Basic"] == [tier_of(each, history, utc(2025, 6, 1)) for each in ask]
            assert ["Gold", "Gold"] == [tier_of(each, history, utc(2025, 6, 1) - TICK) for each in ask]

    def test_points_that_expire_do_not_demote(self) -> None:
        """Somebody who once spent enough keeps a tier for life, whatever became of the points."""
        expired = Movement(to_us(utc(2026, 1, 1)), to_us(utc(2025, 1, 1)), "points", "expire", -1000)
        history = ann(bought("1", "2025-01-01", 1000), movements=(self.MOVES[0], expired))
        for measure in (spend(), earned()):
            told = standing(Ladder("s", measure, self.TIERS), history, utc(2026, 2, 1))
            assert ("Gold", None, None) == (told.tier, told.until, told.to_keep)
        told = standing(Ladder("s", balance_of(), self.TIERS), history, utc(2025, 2, 1))
        assert ("Gold", utc(2026, 1, 1), 800) == (told.tier, told.until, told.to_keep)

    def test_points_that_are_still_to_come(self) -> None:
        """Points that will count later raise the tier then, if nothing more happens; nothing is needed to keep it."""
        pending = Movement(to_us(utc(2026, 3, 1)), to_us(utc(2026, 1, 1)), "points", "earn", 1000)
        told = standing(Ladder("s", balance_of(), self.TIERS), ann(movements=(pending,)), utc(2026, 2, 1))
        assert ("Basic", 0, 1000) == (told.tier, told.value, told.to_next)
        assert (utc(2026, 3, 1), "Gold", None) == (told.until, told.then, told.to_keep)

    def test_who_owes_points_still_has_the_tier_of_everybody(self) -> None:
        """A debt is less than nothing, and leads to the tier that all begin with; more is missing to the next."""
        debt = Movement(to_us(utc(2025, 1, 1)), to_us(utc(2025, 1, 1)), "points", "earn", -50)
        told = standing(Ladder("s", balance_of(), self.TIERS), ann(movements=(debt,)), utc(2025, 2, 1))
        assert ("Basic", -50, 1050) == (told.tier, told.value, told.to_next)
        assert () == changes(Ladder("s", balance_of(), self.TIERS), ann(movements=(debt,)), utc(2025, 2, 1))


class TestValidity:
    ROLLING = Ladder("status", spend(months(12)), SPENT, grace=days(30))
    TWO = (bought("1", "2025-03-01T10:00", 600), bought("2", "2025-09-01T10:00", 500))

    def test_grace_begins_with_the_true_crossing(self) -> None:
        """The value falls at the very instant, grace runs from there, and it does not matter when anybody looks."""
        crossing, end = utc(2026, 3, 1, 10), utc(2026, 3, 31, 10)
        assert D(1100) == standing(self.ROLLING, ann(*self.TWO), crossing - timedelta(seconds=1)).value
        told = standing(self.ROLLING, ann(*self.TWO), crossing)
        assert (D(500), "Gold", end, "Silver", "kept", D(500)) == (
            told.value, told.tier, told.until, told.then, told.reason, told.to_keep
        )  # fmt: skip
        assert "Gold" == tier_of(self.ROLLING, ann(*self.TWO), end - TICK)
        assert "Silver" == tier_of(self.ROLLING, ann(*self.TWO), end)
        late = [
            ("entry", "2025-03-01", "Silver"),
            ("entry", "2025-09-01", "Gold"),
            ("downgrade", "2026-03-31", "Silver"),
        ]
        assert late == path(changes(self.ROLLING, ann(*self.TWO), utc(2026, 4, 15)))
        assert end == changes(self.ROLLING, ann(*self.TWO), utc(2026, 4, 15))[-1].at

    def test_reached_again_in_its_grace_is_a_renewal(self) -> None:
        """Who spends enough within the grace keeps the tier, and is told so."""
        history = ann(*self.TWO, bought("3", "2026-03-20", 500))
        found = changes(self.ROLLING, history, utc(2026, 4, 15))
        assert ("renewal", "2026-03-20", "Gold") == path(found)[-1]
        assert ("Gold", "Gold") == (found[-1].before, found[-1].after)
        assert "tier_renewal" == decisions(self.ROLLING, history, utc(2026, 4, 15))[-1].kind

    @pytest.mark.parametrize(
        ("validity", "end"), [("end_of_period", utc(2025, 1, 1)), ("end_of_next_period", utc(2026, 1, 1))]
    )
    def test_to_the_end_of_a_period(self, validity: Any, end: datetime) -> None:
        """A tier that is reached in a year lasts until the end of that year, or of the next."""
        ladder = Ladder("status", spend(calendar_year()), SPENT, validity=validity)
        history = ann(bought("1", "2024-05-10", 1000))
        told = standing(ladder, history, utc(2024, 6, 1))
        assert (end, "Bronze") == (told.until, told.then)
        graceful = attrs.evolve(ladder, grace=months(1))
        assert end + timedelta(days=31) == standing(graceful, history, utc(2024, 6, 1)).until

    def test_a_renewal_is_told_once_a_period(self) -> None:
        """In each later year the tier is renewed when its threshold is reached, once, and lasts a year longer."""
        ladder = Ladder("status", spend(calendar_year()), SPENT, validity="end_of_next_period")
        facts = [
            bought(f"{year}-{month}", f"{year}-{month}-05", 400) for year in (2024, 2025) for month in (10, 11, 12)
        ]
        assert [
            ("entry", "2024-10-05", "Silver"), ("entry", "2024-12-05", "Gold"), ("renewal", "2025-12-05", "Gold"),
            ("downgrade", "2027-01-01", "Bronze"),
        ] == path(changes(ladder, ann(*facts), utc(2028, 1, 1)))  # fmt: skip
        told = standing(ladder, ann(*facts), utc(2025, 11, 20))
        assert (utc(2026, 1, 1), "Silver", D(200)) == (told.until, told.then, told.to_keep)

    def test_a_renewal_needs_no_new_order(self) -> None:
        """A tier is renewed at the begin of every period in which its threshold is still reached."""
        ladder = Ladder("status", spend(months(24)), SPENT, validity="end_of_period")
        assert [
            ("entry", "2024-05-10", "Gold"), ("renewal", "2025-01-01", "Gold"), ("renewal", "2026-01-01", "Gold"),
            ("downgrade", "2027-01-01", "Bronze"),
        ] == path(changes(ladder, ann(bought("1", "2024-05-10", 1000)), utc(2028, 1, 1)))  # fmt: skip

    def test_what_a_longer_month_brings_back(self) -> None:
        """The past month of 29 March begins on 28 February, as that of the day before: what left it is in again."""
        ladder = Ladder("status", orders(months(1)), {"A": 0, "B": 1})
        history = ann(bought("1", "2026-02-28T10:00", 5))
        found = changes(ladder, history, utc(2026, 5, 1))
        assert ["02-28 10", "03-28 10", "03-29 00", "03-29 10", "03-30 00", "03-30 10", "03-31 00", "03-31 10"] == [
            f"{change.at:%m-%d %H}" for change in found
        ]
        for change in found:
            assert change.after == ("A", "B")[ladder.measure.value(history, change.at)]

    def test_membership_years(self) -> None:
        """The periods may be the member's own years, while the measure looks at calendar months."""
        ladder = Ladder("s", spend(calendar_month()), SPENT, validity="end_of_period", period=anniversary_year())
        history = ann(bought("1", "2024-05-10", 1000), joined=utc(2024, 2, 29))
        assert utc(2025, 2, 28) == standing(ladder, history, utc(2024, 12, 1)).until

    def test_nothing_keeps_a_tier_that_cannot_last_longer(self) -> None:
        """Where what is bought now leaves the window before the tier ends, no amount is named."""
        ladder = Ladder("s", spend(months(1)), SPENT, validity="end_of_period")
        told = standing(ladder, ann(bought("1", "2026-02-01", 1000)), utc(2026, 3, 15))
        assert ("Gold", utc(2027, 1, 1), None) == (told.tier, told.until, told.to_keep)


class TestLandings:
    TIERS = (Tier("Bronze"), Tier("Silver", 300), Tier("Gold", 1000), Tier("Platinum", 2000))

    def ladder(self, **named: Any) -> Ladder:
        """Return a ladder by calendar years with soft landings."""
        return Ladder(
            "status", spend(calendar_year()), self.TIERS, validity="end_of_period", **{"downgrade": "one_down", **named}
        )

    def test_one_step_or_straight_down(self) -> None:
        """Whose spending only reaches the lowest tier falls by one a year, or at once."""
        history = ann(bought("1", "2024-05-10", 2500), bought("2", "2025-05-10", 10))
        soft = [tier_of(self.ladder(), history, utc(year, 6, 1)) for year in range(2024, 2030)]
        assert ["Platinum", "Gold", "Silver", "Bronze", "Bronze", "Bronze"] == soft
        assert "Bronze" == tier_of(self.ladder(downgrade="recompute"), history, utc(2025, 6, 1))
        told = standing(self.ladder(), history, utc(2025, 6, 1))
        assert ("Gold", utc(2025, 1, 1), utc(2026, 1, 1), "Silver", "kept", D(1990)) == (
            told.tier, told.since, told.until, told.then, told.reason, told.to_keep
        )  # fmt: skip

    def test_an_upgrade_during_a_landing(self) -> None:
        """Who rises during a landing has the better tier, and lands from that one afterwards."""
        history = ann(bought("1", "2024-05-10", 1000), bought("2", "2025-05-10", 2500))
        told = [tier_of(self.ladder(), history, utc(year, month, 1)) for year in (2025, 2026, 2027) for month in (2, 7)]
        assert ["Silver", "Platinum", "Gold", "Gold", "Silver", "Silver"] == told

    def test_a_landing_within_a_period(self) -> None:
        """Of a tier that lasts while it is reached, the landing goes from the fall to the end of the review period."""
        ladder = Ladder("status", spend(months(1)), self.TIERS, downgrade="one_down")
        history = ann(bought("1", "2026-02-10", 2500), bought("2", "2026-05-01", 2500))
        assert [
            ("entry", "2026-02-10", "Platinum"), ("downgrade", "2026-03-10", "Gold"),
            ("entry", "2026-05-01", "Platinum"), ("downgrade", "2026-06-01", "Gold"),
            ("downgrade", "2027-01-01", "Silver"), ("downgrade", "2028-01-01", "Bronze"),
        ] == path(changes(ladder, history, utc(2029, 1, 1)))  # fmt: skip

    def test_a_better_year_never_leads_to_a_worse_tier(self) -> None:
        """Who reaches the tier below by spending is treated as well as who only lands there."""
        ladder = Ladder("status", spend(months(1)), self.TIERS, downgrade="one_down")
        facts = [bought("1", "2026-02-10", 1000)]
        landed = tier_of(ladder, ann(*facts), utc(2026, 6, 1))
        assert "Silver" == landed == tier_of(ladder, ann(*facts, bought("2", "2026-02-20", 300)), utc(2026, 6, 1))

    def test_tiers_by_invitation_are_no_landing(self) -> None:
        """One lands on a tier that can be reached."""
        tiers = (Tier("Bronze"), Tier("Silver", 300), Tier("Friends", invitation=True), Tier("Gold", 1000))
        ladder = attrs.evolve(self.ladder(), tiers=tiers)
        assert "Silver" == tier_of(ladder, ann(bought("1", "2024-05-10", 1000)), utc(2025, 6, 1))


class TestInvitations:
    TIERS = (Tier("Bronze"), Tier("Silver", 300), Tier("Black", invitation=True, benefits=perk("concierge")))
    LADDER = Ladder("status", spend(months(12)), TIERS)

    def test_no_spending_reaches_a_tier_by_invitation(self) -> None:
        """It is neither reached nor the next one."""
        told = standing(self.LADDER, ann(bought("1", "2026-02-10", 99_999)), utc(2026, 3, 1))
        assert ("Silver", None, None) == (told.tier, told.next, told.to_next)

    def test_an_invitation_without_an_end(self) -> None:
        """It is held from its start, for as long as nothing else is said; its benefits too."""
        invited = [Invitation("Black", utc(2026, 2, 1))]
        assert "Bronze" == tier_of(self.LADDER, ann(), utc(2026, 2, 1) - TICK, invited)
        told = standing(self.LADDER, ann(), utc(2026, 2, 1), invited)
        assert ("Black", utc(2026, 2, 1), None, "invitation") == (told.tier, told.since, told.until, told.reason)
        assert [("concierge", None)] == [
            (grant.benefit.name, grant.ends) for grant in benefits_of(self.LADDER, ann(), utc(2026, 3, 1), invited)
        ]

    def test_a_tier_that_is_paid_for(self) -> None:
        """It ends when it is paid until, and leaves what the measure reaches; more spending does not prolong it."""
        invited = (each for each in [Invitation("Black", utc(2026, 2, 1), utc(2026, 8, 1), "paid")])
        told = standing(self.LADDER, ann(bought("1", "2026-02-10", 300)), utc(2026, 3, 1), invited)
        assert ("Black", utc(2026, 8, 1), "Silver", None, "paid") == (
            told.tier, told.until, told.then, told.to_keep, told.reason
        )  # fmt: skip

    def test_an_invitation_to_a_tier_that_can_be_reached(self) -> None:
        """It says how much would keep the tier once the invitation ends."""
        invited = [Invitation("Silver", utc(2026, 2, 1), utc(2026, 8, 1))]
        history = ann(bought("1", "2026-02-10", 100))
        told = standing(self.LADDER, history, utc(2026, 3, 1), invited)
        assert ("Silver", "invitation", utc(2026, 8, 1), D(200)) == (told.tier, told.reason, told.until, told.to_keep)
        both = ann(bought("1", "2026-02-10", 300))
        assert "qualified" == standing(self.LADDER, both, utc(2026, 3, 1), invited).reason

    def test_who_is_invited_before_the_first_order(self) -> None:
        """Membership years begin with the first thing that happens; while it is to come, it would be done now."""
        ladder = Ladder("s", spend(months(1)), self.TIERS, validity="end_of_period", period=anniversary_year())
        invited = [Invitation("Silver", utc(2026, 2, 1), utc(2026, 8, 1))]
        for history in (ann(), ann(bought("1", "2026-05-01", 10))):
            told = standing(ladder, history, utc(2026, 2, 1), invited)
            assert ("Silver", utc(2026, 8, 1), D(300)) == (told.tier, told.until, told.to_keep)

    @pytest.mark.parametrize(
        ("make", "field"),
        [
            (lambda: Invitation("Black", datetime(2026, 1, 1)), "invitation.starts"),
            (lambda: Invitation("Black", utc(2026, 1, 1), utc(2026, 1, 1)), "invitation.ends"),
            (lambda: Invitation("", utc(2026, 1, 1)), "invitation.tier"),
            (
                lambda: standing(TestInvitations.LADDER, ann(), utc(2026, 1, 2), [Invitation("X", utc(2026, 1, 1))]),
                "tier",
            ),
        ],
    )
    def test_bad_invitations(self, make: Callable[[], object], field: str) -> None:
        """An invitation to no tier, without a zone, or that ends before it begins, is an error."""
        with pytest.raises(InputError) as caught:
            make()
        assert field == caught.value.field

    def test_invitations_are_compared_by_their_instants(self) -> None:
        """The same instant in another zone is the same."""
        tokyo = History(zone="Asia/Tokyo").tz
        assert Invitation("Black", utc(2026, 1, 1), utc(2026, 2, 1)) == Invitation(
            "Black", utc(2026, 1, 1).astimezone(tokyo), utc(2026, 2, 1).astimezone(tokyo)
        )


class TestRules:
    @pytest.mark.parametrize(
        ("measure", "tiers", "text"),
        [
            (spend(months(12)), {"A": 0, "B": 300}, "A; B from 300 spent in the past 12 months"),
            (spend(where=category("coffee")), {"A": 1}, "A from 1 spent on coffee"),
            (orders(weeks(5)), {"A": 1}, "A from 1 order in the past 5 weeks"),
            (orders(), {"A": 0, "B": 3, "C": 6}, "A; B from 3 orders; C from 6 orders"),
            (products(), {"A": 0, "B": 5}, "A; B from 5 products"),
            (periods("month", calendar_year()), {"A": 0, "B": 5}, "A; B from 5 months in the calendar year"),
            (periods("half_year"), {"A": 1}, "A from 1 half-year"),
            (activities("review"), {"A": 1, "B": 2}, "A from 1 time review; B from 2 times review"),
            (earned(months(12)), {"A": 0, "B": 1000}, "A; B from 1,000 points earned in the past 12 months"),
            (earned(unit="tier miles"), {"A": 2}, "A from 2 tier miles earned"),
            (balance_of("stamps"), {"A": 1, "B": 2}, "A from 1 stamp; B from 2 stamps"),
        ],
    )  # fmt: skip
    def test_a_ladder_says_itself(self, measure: Measure, tiers: dict[str, int], text: str) -> None:
        """A ladder reads as a shopper would be told."""
        assert f"s: {text}" == str(Ladder("s", measure, tiers))

    def test_in_a_currency(self) -> None:
        """With a currency, thresholds are shown in it; who is invited is said."""
        ladder = Ladder("s", spend(), (Tier("A"), Tier("B", "300"), Tier("C", invitation=True)))
        assert "s: A; B from $300.00 spent; C by invitation" == ladder.says("USD")

    def test_a_standing_says_itself(self) -> None:
        """A standing tells the tier, what it takes to rise and what to stay."""
        history = ann(bought("1", "2025-03-01", 600), bought("2", "2025-09-01", 500))
        told = standing(attrs.evolve(TestValidity.ROLLING, tiers={**SPENT, "Top": 5000}), history, utc(2026, 2, 1))
        assert [
            "status: Gold until 2026-03-31, then Silver",
            "  3900.00 to Top",
            "  500.00 to keep Gold",
        ] == str(told).splitlines()
        assert told == loads(TierStanding, dumps(told))

    def test_lint(self) -> None:
        """A ladder without a base tier, or whose base tier brings nothing, is legal but named."""
        assert ["ladder 's' has no tier that a member begins with"] == lint_ladder(Ladder("s", spend(), {"A": 1}))
        assert 1 == len(lint_ladder(Ladder("s", spend(), (Tier("A", invitation=True),))))
        assert ["tier 'A' of ladder 's' brings nothing"] == lint_ladder(Ladder("s", spend(), {"A": 0}))
        assert [] == lint_ladder(Ladder("s", spend(), (Tier("A", benefits=free_shipping()),)))

    def test_benefits_of_one_name_have_keys_of_their_own(self) -> None:
        """A tier may ship freely here by one method and there by another."""
        shipping = (free_shipping(country="US"), free_shipping(country="CA"))
        ladder = Ladder("s", orders(), (Tier("A"), Tier("B", 1, shipping, (bonus_points(5), bonus_points(5)))))
        history = ann(bought("1", "2026-02-10", 10))
        assert 2 == len({grant.key for grant in benefits_of(ladder, history, utc(2026, 3, 1))})
        keys = [each.key for each in decisions(ladder, history, utc(2026, 3, 1)) if each.kind == "entry_reward"]
        assert ["entry:s:B:ann:2026-01-01:5 points", "entry:s:B:ann:2026-01-01:5 points#2"] == keys

    @pytest.mark.parametrize(
        ("make", "field"),
        [
            (lambda: Ladder("s", spend(), {}), "ladder.tiers"),
            (lambda: Ladder("s", spend(), "Gold"), "ladder.tiers"),
            (lambda: Ladder("s", spend(), ["Gold"]), "ladder.tiers[0]"),
            (lambda: Ladder("s", spend(), {"A": 0, "B": 300, "C": 300}), "ladder.tiers[2].threshold"),
            (lambda: Ladder("s", spend(), {"A": 300, "B": 0}), "ladder.tiers[1].threshold"),
            (lambda: Ladder("s", spend(), {"A": 0, "B": 0.5}), "ladder.tiers[1].threshold"),
            (lambda: Ladder("s", spend(), {"A": "-1"}), "ladder.tiers[0].threshold"),
            (lambda: Ladder("s", spend(currency="JPY"), {"A": "0.50"}), "ladder.tiers[0].threshold"),
            (lambda: Ladder("s", orders(), {"A": 0, "B": "3"}), "ladder.tiers[1].threshold"),
            (lambda: Ladder("s", orders(), {"A": 0, "B": D("2.5")}), "ladder.tiers[1].threshold"),
            (lambda: Ladder("s", orders(), {"A": -1}), "ladder.tiers[0].threshold"),
            (lambda: Ladder("s", orders(), (Tier("A"), Tier("A", 3))), "ladder.tiers[1].name"),
            (lambda: Ladder("s", days_since_last(), {"A": 0}), "ladder.measure"),
            (lambda: Ladder("s", months(12), {"A": 0}), "ladder.measure"),
            (lambda: Ladder("s:t", spend(), {"A": 0}), "ladder.name"),
            (lambda: Ladder("s", spend(), {"A:B": 0}), "tier.name"),
            (lambda: Ladder("s", spend(), {"A/B": 0}), "tier.name"),
            (lambda: Ladder("s", spend(days(0)), {"A": 0}), "window.period"),
            (lambda: Ladder("s", earned(unit=""), {"A": 0}), "measure.name"),
            (lambda: Ladder("s", spend(), {"A": 0}, validity="for_ever"), "ladder.validity"),
            (lambda: Ladder("s", spend(), {"A": 0}, period=months(12)), "ladder.period"),
            (lambda: Ladder("s", spend(), {"A": 0}, grace=30), "ladder.grace"),
            (lambda: Ladder("s", spend(), {"A": 0}, downgrade="none"), "ladder.downgrade"),
            (lambda: Ladder("s", spend(), {"A": 0}, refunds="never"), "ladder.refunds"),
            (lambda: Ladder("s", spend(), {"A": 0}, earn_tier="later"), "ladder.earn_tier"),
            (lambda: Tier("A", invitation=1), "tier.invitation"),
            (lambda: Ladder("s", spend(), {"A": 0}).place("B"), "tier"),
            (lambda: tier_of(Ladder("s", spend(), {"A": 0}), ann(), datetime(2026, 1, 1)), "at"),
            (lambda: tier_of(CENTS, ann(currency="JPY"), utc(2026, 1, 1)), "ladder.tiers[0].threshold"),
        ],
    )  # fmt: skip
    def test_bad_input(self, make: Any, field: str) -> None:
        """What is no ladder is refused, and the error names the field."""
        with pytest.raises(InputError) as caught:
            make()
        assert field == caught.value.field

    def test_a_ladder_in_another_currency(self) -> None:
        """Money of one currency is not put against thresholds in another."""
        with pytest.raises(WrongCurrency):
            tier_of(Ladder("s", spend(currency="EUR"), {"A": 0}), ann(), utc(2026, 1, 1))

    def test_other_measures(self) -> None:
        """A ladder may count reviews as well as anything else that is measured."""
        ladder = Ladder("s", activities("review"), {"A": 0, "B": 2})
        facts = [Activity(str(n), "ann", "review", utc(2026, 2, n)) for n in (1, 2)]
        assert [("entry", "2026-02-02", "B")] == path(changes(ladder, ann(*facts), utc(2026, 3, 1)))

    def test_the_year_9999(self) -> None:
        """What would last beyond the last year lasts without an end."""
        ladder = Ladder("s", orders(days(30)), {"A": 0, "B": 1}, grace=months(12))
        told = standing(ladder, ann(Order("1", "ann", utc(9999, 6, 1), amount=1)), utc(9999, 6, 2))
        assert ("B", None) == (told.tier, told.until)
