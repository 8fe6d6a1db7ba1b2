"""Birthdays, anniversaries and seasons: due on their local day, each once, whenever a job looks."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from loyaltykit.calendar import Period, day_start, days, hours, local_date, months, on_birthday, through
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Line, Member, Order, Refund, Reversal
from loyaltykit.grants import Decision, bonus_points, percent_off, perk
from loyaltykit.history import History
from loyaltykit.occasions import (
    AnniversaryOf,
    Birthday,
    Occasion,
    OneTwoThree,
    Season,
    anniversary,
    due,
    granted,
    next_date,
)
from loyaltykit.wire import from_data, to_data

ZONES = ["UTC", "America/New_York", "Pacific/Auckland", "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo"]
GIFT = percent_off(15)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def noon(year: int, month: int, day: int, hour: int = 12) -> datetime:
    """Return an instant of a day, in UTC."""
    return datetime(year, month, day, hour, tzinfo=UTC)


def born(birthday: Any, at: datetime = FIRST, zone: str | None = None) -> Member:
    """Return ann, as known from an instant."""
    return Member("ann", at, birthday=birthday, zone=zone)


def purchase(number: int, at: datetime, *skus: str) -> Order:
    """Return an order of one piece of each product."""
    return Order(str(number), "ann", at, [Line(sku, unit_price="10.00") for sku in skus])


def back(number: int, at: datetime, *skus: str) -> Refund:
    """Return the refund of an order, or of some of its products."""
    return Refund(f"r{number}", "ann", str(number), at, dict.fromkeys(skus, 1) or None)


def keys(
    rule: Occasion | Sequence[Occasion],
    facts: Sequence[Fact],
    at: datetime,
    done: Collection[str] = (),
    zone: str = "UTC",
) -> list[str]:
    """Return the keys of what is due."""
    return [each.key for each in due(rule, History(facts, zone=zone, member="ann"), at, done=done)]


def kinds(rule: Occasion, facts: Sequence[Fact], at: datetime, done: Collection[str] = ()) -> list[str]:
    """Return the kinds of what is due."""
    return [each.kind for each in due(rule, History(facts), at, done=done)]


def upcoming(rule: Occasion, facts: Sequence[Fact], at: datetime, done: Collection[str] = ()) -> date | None:
    """Return the next day on which something is due."""
    return next_date(rule, History(facts, member="ann"), at, done=done)


# ---------------------------------------------------------------- laws


MONTH_DAYS = st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda day: (day.month, day.day))
LEAP_DAYS = st.sampled_from(["feb28", "mar1"])


@st.composite
def runs(draw: st.DrawFn, missed: int, start: date = date(2025, 6, 1), count: int = 800) -> list[datetime]:
    """Draw the instants of a daily job, at any hour, that never misses more than so many days in a row."""
    at, instants, gone = start, [], 0
    gaps = draw(st.lists(st.integers(0, missed), min_size=1, max_size=20))
    hour = draw(st.lists(st.integers(0, 23), min_size=1, max_size=7))
    while gone < count:
        instants.append(datetime(at.year, at.month, at.day, hour[len(instants) % len(hour)], 30, tzinfo=UTC))
        step = gaps[len(instants) % len(gaps)] + 1
        at, gone = at + timedelta(step), gone + step
    return instants


def given_in(rule: Occasion, facts: Sequence[Fact], instants: Sequence[datetime]) -> list[Decision]:
    """Return all decisions that a job carries out and acknowledges."""
    done: dict[str, Decision] = {}
    for at in instants:
        for decision in due(rule, History(facts, member="ann"), at, done=done.keys()):
            assert decision.key not in done
            assert decision.is_due(at)
            done[decision.key] = decision
    return list(done.values())


@st.composite
def birthdays(draw: st.DrawFn) -> tuple[Birthday, list[datetime]]:
    """Draw a rule, and the runs of a job that misses fewer days than it allows."""
    catch_up = draw(st.integers(1, 40))
    rule = Birthday(GIFT, catch_up=catch_up, leap_day=draw(LEAP_DAYS))
    return rule, draw(runs(catch_up - 1))  # a run may be just before its day ends elsewhere


class TestLaws:
    @given(MONTH_DAYS, birthdays())
    def test_a_birthday_comes_once_a_year_whatever_days_a_job_misses(
        self, birthday: tuple[int, int], drawn: tuple[Birthday, list[datetime]]
    ) -> None:
        """Within the catch-up window no birthday is lost, and none is given twice."""
        rule, instants = drawn
        kept = [on_birthday(year, *birthday, policy=rule.leap_day) for year in range(2025, 2029)]
        whole = [day for day in kept if instants[0].date() <= day and day + timedelta(50) <= instants[-1].date()]
        found = [each.key for each in given_in(rule, [born(birthday)], instants)]
        assert len(set(found)) == len(found)
        assert {f"birthday:ann:{day.year}" for day in whole} <= set(found)
        assert set(found) <= {f"birthday:ann:{day.year}" for day in kept}

    @settings(max_examples=20)
    @given(st.data(), st.integers(1, 20))
    def test_every_part_of_a_bundle_comes_once_a_year(self, data: st.DataObject, catch_up: int) -> None:
        """Deriving again after any of the parts was acknowledged gives the rest, and nothing twice."""
        days_bought = data.draw(st.lists(st.dates(date(2023, 1, 1), date(2024, 12, 31)), min_size=1, max_size=5))
        facts = [purchase(n, noon(day.year, day.month, day.day), f"p{n}") for n, day in enumerate(days_bought)]
        rule = OneTwoThree(AnniversaryOf("product", catch_up=catch_up))
        done: list[str] = []
        for at in data.draw(runs(catch_up - 1)):
            found = keys(rule, facts, at, done)
            if found:
                done += found[: data.draw(st.integers(0, 3))]
                done += keys(rule, facts, at, done)
        assert len(set(done)) == len(done)
        coupons = [key for key in done if key.endswith("/coupon")]
        assert len(coupons) * 3 == len(done)
        assert len(coupons) in (2, 3)  # two calendar years in whole, and parts of one before or after

    @given(st.data())
    def test_the_order_in_which_facts_arrive_does_not_matter(self, data: st.DataObject) -> None:
        """Facts are a set: shuffled or told twice, they lead to the same decisions."""
        facts: list[Fact] = [
            born((6, 3), zone="America/New_York"),
            born((6, 2), FIRST + timedelta(1)),
            *(purchase(n, noon(2023, 6, data.draw(st.integers(1, 3))), "mug", f"p{n}") for n in range(4)),
            back(0, noon(2023, 7, 1)),
            back(1, noon(2023, 7, 2), "mug"),
            Reversal("v", "ann", "1", "r1", noon(2023, 8, 1)),
            Activity("a", "ann", "review", noon(2023, 8, 1), product="p2"),
        ]
        rules: list[Occasion] = [Birthday(GIFT), OneTwoThree(), AnniversaryOf("first_purchase")]
        rules = [attrs.evolve(each, catch_up=3) if not isinstance(each, OneTwoThree) else each for each in rules]
        at = noon(2024, 6, data.draw(st.integers(1, 5)))
        shuffled = data.draw(st.permutations(facts + facts[:5]))
        assert due(rules, History(facts), at) == due(rules, History(shuffled), at)

    @given(MONTH_DAYS, st.sampled_from(ZONES), LEAP_DAYS, st.integers(2024, 2030), st.integers(0, 30))
    def test_a_birthday_is_due_from_the_first_to_the_last_microsecond_of_its_local_days(
        self, birthday: tuple[int, int], zone: str, leap_day: Any, year: int, catch_up: int
    ) -> None:
        """A day begins with its first local instant, be it of 23 or 25 hours or without a midnight."""
        day = on_birthday(year, *birthday, policy=leap_day)
        rule, facts = Birthday(GIFT, catch_up=catch_up, leap_day=leap_day), [born(birthday, zone=zone)]
        starts, ends = day_start(day, zone), through(day + timedelta(catch_up), zone)
        key, tick = f"birthday:ann:{year}", timedelta(microseconds=1)
        expected = [(starts - tick, False), (starts, True), (ends - tick, True), (ends, False)]
        assert expected == [(at, key in keys(rule, facts, at)) for at, _ in expected]

    @given(MONTH_DAYS, st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)), st.integers(0, 40), LEAP_DAYS)
    def test_nothing_is_due_before_the_day_that_was_announced(
        self, birthday: tuple[int, int], when: datetime, catch_up: int, leap_day: Any
    ) -> None:
        """Between an instant and the next date nothing falls due, and on it something does."""
        rule, facts, at = (
            Birthday(GIFT, catch_up=catch_up, leap_day=leap_day),
            [born(birthday)],
            when.replace(tzinfo=UTC),
        )
        found = upcoming(rule, facts, at)
        assert found is not None
        assert keys(rule, facts, max(at, day_start(found, UTC)))
        if found > at.date():
            assert [] == keys(rule, facts, at)
            assert [] == keys(rule, facts, day_start(found, UTC) - timedelta(microseconds=1))

    @given(st.sampled_from([("12-15", "01-06"), ("06-01", "08-31"), ("02-29", "03-02"), ("11-30", "02-29")]), st.data())
    def test_a_day_lies_in_a_season_exactly_if_the_season_is_due(
        self, ends: tuple[str, str], data: st.DataObject
    ) -> None:
        """Both ends belong to the season, and its instance is the year in which it starts."""
        rule = Season("s", *ends, leap_day=data.draw(LEAP_DAYS))
        day = data.draw(st.dates(date(2023, 1, 1), date(2029, 12, 31)))
        zone = data.draw(st.sampled_from(ZONES))
        year, found = rule.instance(day), keys(rule, [born(None)], day_start(day, zone), zone=zone)
        assert ([] if year is None else [f"season:s:{year}:ann"]) == found

    @given(st.data())
    def test_every_rule_has_a_plain_form(self, data: st.DataObject) -> None:
        """A program is data: each rule is written and read back without loss."""
        rule: Occasion = data.draw(
            st.sampled_from(
                [
                    Birthday([GIFT, perk("cake")], catch_up=months(0).to_end_of("month"), validity=days(30)),
                    AnniversaryOf("product", GIFT, "mug", leap_day="mar1", zone="program"),
                    OneTwoThree(),
                    Season("winter", "12-15", "01-06", GIFT),
                    Season("Easter", dates=[(date(2026, 4, 3), date(2026, 4, 6))], catch_up=2),
                ]
            )
        )
        assert rule == from_data(Occasion, to_data(rule, Occasion))


# ---------------------------------------------------------------- birthdays


class TestBirthday:
    def test_the_local_day_counts(self) -> None:
        """10 March begins in Auckland while it is still 9 March in London."""
        at = datetime(2024, 3, 9, 23, 30, tzinfo=UTC)
        assert ["birthday:ann:2024"] == keys(Birthday(), [born((3, 10), zone="Pacific/Auckland")], at)
        assert [] == keys(Birthday(), [born((3, 10), zone="UTC")], at)

    def test_the_instants_in_tokyo(self) -> None:
        """A birthday is due from local midnight, as an instant, until the local midnight after it."""
        gift = due(Birthday(GIFT), History([born((5, 5))], zone="Asia/Tokyo"), noon(2026, 5, 4, 15))[0]
        assert (noon(2026, 5, 4, 15), noon(2026, 5, 5, 15)) == (gift.due, gift.ends)
        assert [] == keys(Birthday(), [born((5, 5))], noon(2026, 5, 4, 14), zone="Asia/Tokyo")

    def test_the_zone_of_the_member_comes_before_that_of_the_program(self) -> None:
        """The member's zone decides where it is known, unless the rule says that the program's does."""
        facts, at = [born((5, 5), zone="Asia/Tokyo")], noon(2026, 5, 4, 16)
        assert ["birthday:ann:2026"] == keys(Birthday(), facts, at, zone="America/New_York")
        assert [] == keys(Birthday(zone="program"), facts, at, zone="America/New_York")
        assert ["birthday:ann:2026"] == keys(Birthday(zone="program"), facts, at, zone="Asia/Tokyo")

    @pytest.mark.parametrize(
        ("leap_day", "year", "day"),
        [
            ("feb28", 2026, date(2026, 2, 28)),
            ("mar1", 2026, date(2026, 3, 1)),
            ("feb28", 2028, date(2028, 2, 29)),
            ("mar1", 2028, date(2028, 2, 29)),
            ("feb28", 2100, date(2100, 2, 28)),
        ],
    )
    def test_born_on_29_february(self, leap_day: Any, year: int, day: date) -> None:
        """The birthday is kept every year, on a day that a policy names, and once."""
        rule, facts = Birthday(leap_day=leap_day), [born(date(2000, 2, 29))]
        around = [date(year, 2, 27) + timedelta(n) for n in range(5)]
        assert [day] == [each for each in around if keys(rule, facts, day_start(each, UTC))]
        assert day == upcoming(rule, facts, noon(year, 1, 1))

    def test_in_a_leap_year_the_day_before_is_not_the_birthday(self) -> None:
        """28 February stands in for 29 February only where there is none."""
        assert [] == keys(Birthday(), [born((2, 29))], noon(2024, 2, 28))

    def test_once_a_year(self) -> None:
        """What was given for the year does not come again."""
        assert [] == keys(Birthday(), [born((3, 10))], noon(2024, 3, 10), {"birthday:ann:2024"})
        assert ["birthday:ann:2025"] == keys(Birthday(), [born((3, 10))], noon(2025, 3, 10), {"birthday:ann:2024"})

    def test_edited_after_it_was_given(self) -> None:
        """A new birthday brings no second gift in the year; the next one comes on the new day."""
        facts = [born((3, 5)), born((7, 9), noon(2026, 3, 6))]
        done = {"birthday:ann:2026"}
        assert [] == keys(Birthday(), facts, noon(2026, 7, 9), done)
        assert date(2027, 7, 9) == upcoming(Birthday(), facts, noon(2026, 3, 7), done)
        assert ["birthday:ann:2027"] == keys(Birthday(), facts, noon(2027, 7, 9), done)
        assert [] == keys(Birthday(), facts, noon(2027, 3, 5), done)

    def test_edited_before_it_was_given(self) -> None:
        """The birthday that is known on the day counts."""
        facts = [born((3, 5)), born((7, 9), noon(2026, 3, 1))]
        assert [] == keys(Birthday(), facts, noon(2026, 3, 5))
        assert ["birthday:ann:2026"] == keys(Birthday(), facts, noon(2026, 7, 9))

    def test_taken_back(self) -> None:
        """A member who no longer says their birthday has none."""
        assert [] == keys(Birthday(), [born((3, 5)), born(None, noon(2026, 3, 1))], noon(2026, 3, 5))

    def test_supplied_on_the_day_itself(self) -> None:
        """Nobody has to say their birthday in advance; but it is not known before it was said."""
        facts = [born((3, 5), noon(2026, 3, 5, 14))]
        assert ["birthday:ann:2026"] == keys(Birthday(), facts, noon(2026, 3, 5, 14))
        assert [] == keys(Birthday(), facts, noon(2026, 3, 5, 13))

    @pytest.mark.parametrize("birthday", [date(2026, 5, 5), date(2030, 5, 5)])
    def test_not_born_yet(self, birthday: date) -> None:
        """The day of birth is no birthday, nor are the years before it."""
        assert [] == keys(Birthday(), [born(birthday)], noon(2026, 5, 5))
        assert date(birthday.year + 1, 5, 5) == upcoming(Birthday(), [born(birthday)], noon(2026, 1, 1))

    def test_a_birthday_without_its_year(self) -> None:
        """Month and day are enough."""
        assert ["birthday:ann:2026"] == keys(Birthday(), [born((5, 5))], noon(2026, 5, 5))

    def test_caught_up_in_the_new_year(self) -> None:
        """The year in the key is that of the birthday, not of the day on which the job ran."""
        rule, facts = Birthday(GIFT, catch_up=7), [born((12, 30))]
        assert ["birthday:ann:2025"] == keys(rule, facts, noon(2026, 1, 3))
        assert [] == keys(rule, facts, noon(2026, 1, 3), {"birthday:ann:2025"})
        assert ["birthday:ann:2026"] == keys(rule, facts, noon(2026, 12, 30), {"birthday:ann:2025"})

    @pytest.mark.parametrize(
        ("catch_up", "last"),
        [
            (0, date(2026, 3, 10)),
            (7, date(2026, 3, 17)),
            (months(1), date(2026, 4, 10)),
            (days(0).to_end_of("month"), date(2026, 3, 31)),
            (days(0).to_end_of("year"), date(2026, 12, 31)),
        ],
    )
    def test_until_when_it_is_caught_up(self, catch_up: Any, last: date) -> None:
        """So many days after the day, the last one included, or on to the end of a month."""
        rule, facts = Birthday(catch_up=catch_up), [born((3, 10))]
        assert ["birthday:ann:2026"] == keys(rule, facts, through(last, UTC) - timedelta(microseconds=1))
        assert [] == keys(rule, facts, through(last, UTC))

    def test_the_same_whenever_it_is_derived(self) -> None:
        """A decision made late is the decision that would have been made in time."""
        rule, history = Birthday(GIFT, catch_up=7, validity=days(30)), History([born((3, 10))])
        assert due(rule, history, noon(2026, 3, 10)) == due(rule, history, noon(2026, 3, 17))

    def test_nothing_is_given_that_would_be_over(self) -> None:
        """A gift for three days is not caught up on the fifth."""
        rule, facts = Birthday(GIFT, catch_up=7, validity=days(3)), [born((3, 10))]
        assert ["birthday:ann:2026"] == keys(rule, facts, noon(2026, 3, 12))
        assert [] == keys(rule, facts, noon(2026, 3, 13))
        assert date(2027, 3, 10) == upcoming(rule, facts, noon(2026, 3, 13))

    def test_several_benefits(self) -> None:
        """Each benefit is a decision of its own, and acknowledged by itself."""
        rule, facts = Birthday([GIFT, bonus_points(100)]), [born((3, 10))]
        assert ["birthday:ann:2026", "birthday:ann:2026/2"] == keys(rule, facts, noon(2026, 3, 10))
        assert ["birthday:ann:2026/2"] == keys(rule, facts, noon(2026, 3, 10), {"birthday:ann:2026"})

    def test_without_a_benefit(self) -> None:
        """A birthday may be no more than a greeting."""
        assert [None] == [each.benefit for each in due(Birthday(), History([born((3, 10))]), noon(2026, 3, 10))]

    def test_a_day_that_the_zone_skipped(self) -> None:
        """Samoa had no 30 December 2011; a birthday on it was kept as soon as the next day began."""
        facts = [born((12, 30), noon(2011, 1, 1), zone="Pacific/Apia")]
        at = day_start(date(2011, 12, 31), "Pacific/Apia")
        rule = Birthday(GIFT, validity=days(1))
        assert ["birthday:ann:2011"] == keys(rule, facts, at)
        assert [] == keys(rule, facts, at - timedelta(microseconds=1))
        assert [] == keys(rule, facts, at + timedelta(1))
        assert date(2011, 12, 31) == upcoming(rule, facts, noon(2011, 12, 1))

    def test_after_a_merge(self) -> None:
        """What was given under the former id is not given again."""
        history = History([born((3, 10))])
        assert () == due(Birthday(), history, noon(2026, 3, 10), done={"birthday:bo:2026"}, formerly="bo")
        assert 1 == len(due(Birthday(), history, noon(2026, 3, 10), done={"birthday:bo:2026"}))

    def test_two_rules_of_one_key(self) -> None:
        """A program that names two birthday rules gives one gift, that of the first."""
        found = due([Birthday(GIFT), Birthday(perk("cake"))], History([born((3, 10))]), noon(2026, 3, 10))
        assert [GIFT] == [each.benefit for each in found]

    def test_nobody_known(self) -> None:
        """Without facts there is nothing to celebrate, and no day to wait for."""
        assert [] == keys([Birthday(), AnniversaryOf("joining"), AnniversaryOf("product")], [], noon(2026, 3, 10))
        assert None is upcoming(Birthday(), [], noon(2026, 3, 10))
        assert None is upcoming(AnniversaryOf("joining"), [], noon(2026, 3, 10))


class TestGranted:
    def test_the_benefit_is_held_from_the_day_on(self) -> None:
        """Thirty days are the birthday and the 29 days after it."""
        decision = due(Birthday(GIFT, validity=days(30)), History([born((5, 5))], zone="Asia/Tokyo"), noon(2026, 5, 5))[
            0
        ]
        grant = granted(decision)
        assert (GIFT, "ann", "birthday:ann:2026", "occasion birthday") == (
            grant.benefit, grant.member, grant.key, grant.source,
        )  # fmt: skip
        assert (
            date(2026, 6, 3) == local_date(grant.ends - timedelta(microseconds=1), "Asia/Tokyo") if grant.ends else None
        )
        assert day_start(date(2026, 6, 4), "Asia/Tokyo") == grant.ends
        assert grant.live(noon(2026, 5, 4, 15))

    def test_without_a_validity_there_is_no_end(self) -> None:
        """What has no term is held for good; only a season ends with itself."""
        assert None is granted(due(Birthday(GIFT), History([born((5, 5))]), noon(2026, 5, 5))[0]).ends
        season = due(Season("s", "05-01", "05-31", GIFT), History([born(None)]), noon(2026, 5, 5))[0]
        assert noon(2026, 6, 1, 0) == granted(season).ends

    def test_elapsed_time(self) -> None:
        """Forty-eight hours are not always two days."""
        rule = Birthday(GIFT, validity=hours(48))
        facts = [born((3, 8), zone="America/New_York")]
        grant = granted(due(rule, History(facts), noon(2026, 3, 8))[0])
        assert noon(2026, 3, 10, 5) == grant.ends  # 01:00 in New York, for the 8th had 23 hours

    def test_days_are_whole_where_midnight_is_skipped(self) -> None:
        """Where the day starts at 01:00 the last day still ends at midnight."""
        facts = [born((11, 4), noon(2018, 1, 1), zone="America/Sao_Paulo")]
        grant = granted(due(Birthday(GIFT, validity=days(2)), History(facts), noon(2018, 11, 4))[0])
        assert (noon(2018, 11, 4, 3), noon(2018, 11, 6, 2)) == (grant.starts, grant.ends)

    def test_only_of_a_benefit(self) -> None:
        """A greeting grants nothing."""
        with pytest.raises(InputError) as caught:
            granted(due(Birthday(), History([born((5, 5))]), noon(2026, 5, 5))[0])
        assert "decision" == caught.value.field


# ---------------------------------------------------------------- anniversaries


class TestAnniversary:
    def test_which_it_is(self) -> None:
        """Full years on the day itself; day 0 is none, nor is any other day."""
        assert 4 == anniversary(date(2020, 2, 29), date(2024, 2, 29))
        assert 3 == anniversary(date(2020, 2, 29), date(2023, 2, 28))
        assert 3 == anniversary(date(2020, 2, 29), date(2023, 3, 1), "mar1")
        assert None is anniversary(date(2020, 2, 29), date(2023, 3, 1))
        assert None is anniversary(date(2023, 6, 1), date(2024, 6, 2))
        assert None is anniversary(date(2023, 6, 1), date(2023, 6, 1))
        assert None is anniversary(date(2023, 6, 1), date(2022, 6, 1))

    @pytest.mark.parametrize(("of", "what"), [("first_purchase", "first_purchase"), ("product", "2020-02-29")])
    def test_of_a_purchase_on_29_february(self, of: Any, what: str) -> None:
        """It is kept on 28 February, and on 29 February in leap years."""
        facts = [purchase(1, noon(2020, 2, 29), "mug")]
        assert [f"anniversary:ann:{what}:4"] == keys(AnniversaryOf(of), facts, noon(2024, 2, 29))
        assert [f"anniversary:ann:{what}:3"] == keys(AnniversaryOf(of), facts, noon(2023, 2, 28))
        assert [] == keys(AnniversaryOf(of), facts, noon(2024, 2, 28))
        assert [] == keys(AnniversaryOf(of), facts, noon(2020, 2, 29))

    def test_the_day_after_is_none(self) -> None:
        """Without a catch-up window only the day itself counts."""
        facts = [purchase(1, noon(2023, 6, 1), "mug")]
        assert [] == keys(AnniversaryOf("product"), facts, noon(2024, 6, 2))
        assert ["anniversary:ann:2023-06-01:1"] == keys(AnniversaryOf("product", catch_up=1), facts, noon(2024, 6, 2))

    def test_of_joining(self) -> None:
        """A member joined when they were first known, unless the host knows better."""
        facts = [born(None, noon(2021, 4, 1)), born((5, 5), noon(2022, 4, 2))]
        assert ["anniversary:ann:joining:2"] == keys(AnniversaryOf("joining"), facts, noon(2023, 4, 1))
        history = History(facts, joined=noon(2019, 8, 8))
        assert ["anniversary:ann:joining:4"] == [
            each.key for each in due(AnniversaryOf("joining"), history, noon(2023, 8, 8))
        ]
        assert None is upcoming(AnniversaryOf("joining"), facts, noon(2021, 3, 1))  # not known by then
        assert None is upcoming(AnniversaryOf("joining"), [purchase(1, FIRST, "mug")], noon(2021, 3, 1))  # a guest

    def test_of_the_first_purchase_that_stands(self) -> None:
        """A first order that went back does not count; the next one does. A bounced refund changes that back."""
        rule = AnniversaryOf("first_purchase")
        facts: list[Fact] = [purchase(1, noon(2023, 6, 1), "mug"), purchase(2, noon(2023, 7, 1), "tea")]
        facts += [back(1, noon(2023, 6, 15))]
        assert [] == keys(rule, facts, noon(2024, 6, 1))
        assert ["anniversary:ann:first_purchase:1"] == keys(rule, facts, noon(2024, 7, 1))
        facts += [Reversal("v", "ann", "1", "r1", noon(2023, 6, 20))]
        assert ["anniversary:ann:first_purchase:1"] == keys(rule, facts, noon(2024, 6, 1))
        assert [] == keys(rule, facts, noon(2024, 7, 1))

    def test_what_counts_as_a_purchase(self) -> None:
        """An order known by its amount does; a draft, a cancelled order and a donation do not."""
        rule, at = AnniversaryOf("first_purchase"), noon(2023, 6, 1)
        assert 1 == len(keys(rule, [Order("1", "ann", at, amount="5.00")], noon(2024, 6, 1)))
        assert [] == keys(rule, [Order("1", "ann", at, amount="5.00", state="draft")], noon(2024, 6, 1))
        assert [] == keys(rule, [Order("1", "ann", at, amount="5.00", state="cancelled")], noon(2024, 6, 1))
        assert [] == keys(rule, [Order("1", "ann", at, Line("trees", total="1.00", donation=True))], noon(2024, 6, 1))
        assert [] == keys(AnniversaryOf("product"), [Order("1", "ann", at, amount="5.00")], noon(2024, 6, 1))

    def test_a_returned_product_has_none(self) -> None:
        """What was returned is not celebrated; what was bought with it is."""
        facts = [purchase(1, noon(2023, 6, 1), "mug", "tea"), back(1, noon(2023, 6, 9), "mug")]
        assert [] == keys(AnniversaryOf("product", products="mug"), facts, noon(2024, 6, 1))
        assert ["anniversary:ann:tea:1"] == keys(AnniversaryOf("product", products="tea"), facts, noon(2024, 6, 1))
        found = due(AnniversaryOf("product"), History(facts), noon(2024, 6, 1))
        assert ["1 year since the purchase of tea on 2023-06-01"] == [each.reason for each in found]

    def test_part_of_a_product_was_returned(self) -> None:
        """As long as one piece remains, the purchase stands."""
        facts = [Order("1", "ann", noon(2023, 6, 1), Line("mug", 2)), back(1, noon(2023, 6, 9), "mug")]
        assert ["anniversary:ann:mug:1"] == keys(AnniversaryOf("product", products="mug"), facts, noon(2024, 6, 1))

    def test_a_refund_is_known_from_its_own_instant(self) -> None:
        """A product that goes back after its anniversary had one."""
        facts = [purchase(1, noon(2023, 6, 1), "mug"), back(1, noon(2024, 6, 2))]
        assert 1 == len(keys(AnniversaryOf("product", catch_up=3), facts, noon(2024, 6, 1)))
        assert [] == keys(AnniversaryOf("product", catch_up=3), facts, noon(2024, 6, 3))

    def test_several_products_of_one_day_are_one_decision(self) -> None:
        """In one order or in two, what was bought on a day has one anniversary, which names it all."""
        facts = [purchase(1, noon(2023, 6, 1, 8), "mug", "tea"), purchase(2, noon(2023, 6, 1, 20), "pot", "mug")]
        found = due(AnniversaryOf("product"), History(facts), noon(2024, 6, 1))
        assert ["anniversary:ann:2023-06-01:1"] == [each.key for each in found]
        data = dict(found[0].data)
        assert ("mug", "pot", "tea") == (data["product"], data["product 2"], data["product 3"])
        assert "1 year since the purchase of mug, pot and tea on 2023-06-01" == found[0].reason

    def test_the_same_decision_although_one_of_the_products_went_back(self) -> None:
        """A return between two runs of a job brings no second message for the rest of the day's purchases."""
        rule = AnniversaryOf("product", catch_up=7)
        facts = [purchase(1, noon(2023, 6, 1), "mug", "tea")]
        done = keys(rule, facts, noon(2024, 6, 1))
        assert [] == keys(rule, [*facts, back(1, noon(2024, 6, 2), "mug")], noon(2024, 6, 3), done)

    def test_bought_again(self) -> None:
        """A product's anniversary counts from its first purchase that stands."""
        facts = [purchase(1, noon(2022, 6, 1), "mug"), purchase(2, noon(2023, 3, 1), "mug")]
        rule = AnniversaryOf("product", products="mug")
        assert [] == keys(rule, facts, noon(2024, 3, 1))
        assert ["anniversary:ann:mug:2"] == keys(rule, facts, noon(2024, 6, 1))
        facts2: list[Fact] = [*facts, back(1, noon(2022, 6, 9))]
        assert ["anniversary:ann:mug:1"] == keys(rule, facts2, noon(2024, 3, 1))
        assert [] == keys(rule, facts2, noon(2024, 6, 1))

    def test_the_local_day_of_the_purchase(self) -> None:
        """Bought at 23:30 in New York is bought on that day there, whatever the day in UTC."""
        facts = [born(None, zone="America/New_York"), purchase(1, datetime(2023, 6, 2, 3, 30, tzinfo=UTC), "mug")]
        at = day_start(date(2024, 6, 1), "America/New_York")
        assert ["anniversary:ann:2023-06-01:1"] == keys(AnniversaryOf("product"), facts, at)

    def test_near_new_year(self) -> None:
        """The n-th anniversary that is caught up in January is the n-th of December."""
        facts = [purchase(1, noon(2023, 12, 30), "mug")]
        rule = AnniversaryOf("first_purchase", catch_up=7)
        assert ["anniversary:ann:first_purchase:1"] == keys(rule, facts, noon(2025, 1, 3))
        assert date(2025, 12, 30) == upcoming(rule, facts, noon(2025, 1, 3), keys(rule, facts, noon(2025, 1, 3)))


# ---------------------------------------------------------------- the bundle


COUPON = "anniversary:ann:2023-06-01:1/coupon"


class TestOneTwoThree:
    FACTS = (purchase(1, noon(2023, 6, 1), "mug"),)

    def review(self, **about: str) -> Activity:
        """Return a review, written before the anniversary."""
        return Activity("v", "ann", "review", noon(2023, 7, 1), **about)  # type: ignore[arg-type]

    def test_celebrate_ask_and_give(self) -> None:
        """The three come in this order, the coupon for the next purchase."""
        found = due(OneTwoThree(), History(self.FACTS), noon(2024, 6, 1))
        assert ["celebrate", "review_request", "coupon"] == [each.kind for each in found]
        assert [("n", "1")] * 3 == [next(pair for pair in each.data if pair[0] == "n") for each in found]
        assert "10% off the next purchase" == str(found[2].benefit)
        assert Decimal(10) == (found[2].benefit and found[2].benefit.percent)

    @pytest.mark.parametrize("about", [{"product": "mug"}, {"order": "1"}, {}])
    def test_the_coupon_does_not_depend_on_the_review(self, about: dict[str, str]) -> None:
        """Who has reviewed the product is not asked again, and has the coupon all the same."""
        facts = [*self.FACTS, self.review(**about)]
        assert ["celebrate", "coupon"] == kinds(OneTwoThree(), facts, noon(2025, 6, 1))

    @pytest.mark.parametrize("about", [{"product": "tea"}, {"order": "2"}])
    def test_a_review_of_something_else(self, about: dict[str, str]) -> None:
        """Only a review of what was bought counts."""
        facts = [*self.FACTS, self.review(**about)]
        assert ["celebrate", "review_request", "coupon"] == kinds(OneTwoThree(), facts, noon(2024, 6, 1))

    def test_a_review_counts_from_its_instant(self) -> None:
        """One written later does not undo what was asked before."""
        facts = [*self.FACTS, Activity("v", "ann", "review", noon(2024, 6, 2), product="mug")]
        rule = OneTwoThree(AnniversaryOf("product", catch_up=3))
        assert 3 == len(kinds(rule, facts, noon(2024, 6, 1)))
        assert 2 == len(kinds(rule, facts, noon(2024, 6, 2)))

    def test_asked_about_what_has_no_review(self) -> None:
        """Of several products only those without a review are asked about."""
        facts = [purchase(1, noon(2023, 6, 1), "mug", "tea", "pot"), self.review(product="pot")]
        request = due(OneTwoThree(), History(facts), noon(2024, 6, 1))[1]
        assert {"product": "mug", "product 2": "tea"} == {
            name: value for name, value in request.data if name.startswith("product")
        }

    def test_an_order_whose_products_are_not_known(self) -> None:
        """Of a first order known by its amount a review is asked for unless there is one of anything."""
        rule = OneTwoThree(AnniversaryOf("first_purchase"))
        facts: list[Fact] = [Order("1", "ann", noon(2023, 6, 1), amount="20.00")]
        assert 3 == len(kinds(rule, facts, noon(2024, 6, 1)))
        assert 2 == len(kinds(rule, [*facts, self.review(product="mug")], noon(2024, 6, 1)))

    def test_none_for_what_was_returned(self) -> None:
        """A refunded product has no bundle."""
        assert [] == kinds(OneTwoThree(), [*self.FACTS, back(1, noon(2023, 6, 9))], noon(2024, 6, 1))

    def test_each_part_is_acknowledged_by_itself(self) -> None:
        """A job that stopped between two parts goes on with the rest."""
        done = ["anniversary:ann:2023-06-01:1"]
        assert ["review_request", "coupon"] == kinds(OneTwoThree(), self.FACTS, noon(2024, 6, 1), done)
        assert ["celebrate", "review_request"] == kinds(OneTwoThree(), self.FACTS, noon(2024, 6, 1), [COUPON])

    def test_one_a_year(self) -> None:
        """A customer who buys often has one bundle a year: that of the earliest anniversary that was given."""
        facts = [*self.FACTS, purchase(2, noon(2023, 8, 1), "tea")]
        done = keys(OneTwoThree(), facts, noon(2024, 6, 1))
        assert 3 == len(done)
        assert [] == keys(OneTwoThree(), facts, noon(2024, 8, 1), done)
        assert date(2025, 6, 1) == upcoming(OneTwoThree(), facts, noon(2024, 7, 1), done)
        assert 3 == len(keys(OneTwoThree(), facts, noon(2024, 8, 1)))  # the first was missed for good

    def test_one_a_year_within_two_windows(self) -> None:
        """While two anniversaries are caught up, only the earlier is given."""
        facts = [*self.FACTS, purchase(2, noon(2023, 6, 3), "tea")]
        rule = OneTwoThree(AnniversaryOf("product", catch_up=7))
        found = keys(rule, facts, noon(2024, 6, 4))
        assert 3 == len(found)
        assert COUPON == found[-1]
        assert [] == keys(rule, facts, noon(2024, 6, 5), found)

    def test_one_a_year_although_the_product_went_back_after_it(self) -> None:
        """The year's bundle was given: what is returned later makes no room for another."""
        facts: list[Fact] = [*self.FACTS, purchase(2, noon(2023, 8, 1), "tea")]
        done = keys(OneTwoThree(), facts, noon(2024, 6, 1))
        assert [] == keys(OneTwoThree(), [*facts, back(1, noon(2024, 6, 9))], noon(2024, 8, 1), done)

    def test_of_one_product_every_year(self) -> None:
        """That it was bought again in between does not take the bundle of a later year."""
        facts = [*self.FACTS, purchase(2, noon(2024, 3, 1), "mug")]
        rule = OneTwoThree(AnniversaryOf("product", products="mug"))
        done = keys(rule, facts, noon(2024, 6, 1))
        assert 3 == len(done)
        assert 3 == len(keys(rule, facts, noon(2025, 6, 1), done))

    def test_no_second_celebration_beside_another_rule(self) -> None:
        """An anniversary that is celebrated already is not celebrated again by the bundle."""
        found = due([AnniversaryOf("product"), OneTwoThree()], History(self.FACTS), noon(2024, 6, 1))
        assert ["anniversary", "review_request", "coupon"] == [each.kind for each in found]

    def test_one_a_year_beside_another_rule(self) -> None:
        """A second anniversary of the year that another rule celebrated brings no second coupon."""
        facts, rules = [*self.FACTS, purchase(2, noon(2023, 8, 1), "tea")], [AnniversaryOf("product"), OneTwoThree()]
        done = keys(rules, facts, noon(2024, 6, 1))
        assert COUPON in done
        done += keys(rules, facts, noon(2024, 8, 1), done)
        assert "anniversary:ann:2023-08-01:1" == done[-1]
        assert [] == keys(rules, facts, noon(2024, 8, 1), done)

    def test_a_gift_with_the_celebration(self) -> None:
        """The benefits of the anniversary come with the celebration, the term is that of all."""
        rule = OneTwoThree(AnniversaryOf("product", perk("cake"), validity=days(60)), percent_off(20))
        found = due(rule, History(self.FACTS), noon(2024, 6, 1))
        assert ["cake", None, "20% off an order"] == [each.benefit and each.benefit.name for each in found]
        assert [noon(2024, 7, 31, 0)] * 2 == [granted(each).ends for each in found if each.benefit]


# ---------------------------------------------------------------- seasons


class TestSeason:
    @pytest.mark.parametrize(
        ("start", "end", "day", "year"),
        [
            ("12-15", "01-06", date(2025, 1, 3), 2024),
            ("12-15", "01-06", date(2024, 12, 15), 2024),
            ("12-15", "01-06", date(2025, 1, 6), 2024),
            ("12-15", "01-06", date(2025, 1, 7), None),
            ("12-15", "01-06", date(2024, 12, 14), None),
            ("06-01", "08-31", date(2024, 7, 1), 2024),
            ("06-01", "08-31", date(2024, 8, 31), 2024),
            ("06-01", "08-31", date(2024, 9, 1), None),
            ("10-31", "10-31", date(2024, 10, 31), 2024),
            ("02-01", "02-29", date(2025, 2, 28), 2025),
            ("02-01", "02-29", date(2025, 3, 1), None),
            ("12-15", "01-06", date(1, 1, 3), None),
        ],
    )
    def test_which_season_a_day_lies_in(self, start: str, end: str, day: date, year: int | None) -> None:
        """A season is named by the year in which it starts; both ends belong to it."""
        assert year == Season("s", start, end).instance(day)

    def test_once_a_season(self) -> None:
        """One reward from December to January, and another in the next December."""
        rule, facts = Season("winter", "12-15", "01-06", GIFT), [born(None)]
        assert ["season:winter:2024:ann"] == keys(rule, facts, noon(2024, 12, 15))
        assert ["season:winter:2024:ann"] == keys(rule, facts, noon(2025, 1, 6))
        assert [] == keys(rule, facts, noon(2025, 1, 6), {"season:winter:2024:ann"})
        assert ["season:winter:2025:ann"] == keys(rule, facts, noon(2025, 12, 31), {"season:winter:2024:ann"})
        assert date(2025, 12, 15) == upcoming(rule, facts, noon(2025, 1, 2), {"season:winter:2024:ann"})
        assert date(2025, 1, 2) == upcoming(rule, facts, noon(2025, 1, 2))

    def test_who_joins_within_the_season(self) -> None:
        """A member has the season from the instant at which they are known."""
        rule, facts = Season("winter", "12-15", "01-06"), [born(None, noon(2025, 1, 2))]
        assert [] == keys(rule, facts, noon(2025, 1, 1))
        assert ["season:winter:2024:ann"] == keys(rule, facts, noon(2025, 1, 2))

    def test_who_is_known_by_name_alone(self) -> None:
        """A season needs nobody's past."""
        assert ["season:winter:2024:ann"] == keys(Season("winter", "12-15", "01-06"), [], noon(2025, 1, 1))
        assert () == due(Season("winter", "12-15", "01-06"), History(), noon(2025, 1, 1))

    def test_moving_feasts(self) -> None:
        """A feast that moves is given by its days, and may be caught up after its last one."""
        rule = Season("Easter", dates=[(date(2027, 3, 28), date(2027, 3, 29)), (date(2026, 4, 5), date(2026, 4, 6))])
        facts = [born(None)]
        assert ["season:Easter:2026:ann"] == keys(rule, facts, noon(2026, 4, 6))
        assert [] == keys(rule, facts, noon(2026, 4, 7))
        late = attrs.evolve(rule, catch_up=2)
        assert ["season:Easter:2026:ann"] == keys(late, facts, noon(2026, 4, 8))
        assert [] == keys(late, facts, noon(2026, 4, 9))
        assert date(2027, 3, 28) == upcoming(rule, facts, noon(2026, 4, 7))
        assert None is upcoming(rule, facts, noon(2027, 3, 30))

    def test_across_new_year_by_dates(self) -> None:
        """A season of given days is named by the year of the first."""
        rule = Season("new year", dates=[(date(2026, 12, 28), date(2027, 1, 3))])
        assert 2026 == rule.instance(date(2027, 1, 2))
        assert ["season:new year:2026:ann"] == keys(rule, [born(None)], noon(2027, 1, 2))

    def test_the_local_day(self) -> None:
        """A season begins and ends with the member's own days."""
        rule, facts = Season("winter", "12-15", "01-06"), [born(None, zone="Asia/Tokyo")]
        found = due(rule, History(facts), noon(2024, 12, 14, 15))[0]
        assert (noon(2024, 12, 14, 15), noon(2025, 1, 6, 15)) == (found.due, found.ends)


# ---------------------------------------------------------------- several, in words, and refused


def test_several_occasions_at_once() -> None:
    """A birthday inside a season is two decisions, each under its own key, the earlier due first."""
    rules = [Birthday(GIFT), Season("winter", "12-15", "01-06", GIFT)]
    assert ["season:winter:2025:ann", "birthday:ann:2025"] == keys(rules, [born((12, 20))], noon(2025, 12, 20))
    assert date(2025, 12, 15) == next_date(rules, History([born((12, 20))]), noon(2025, 12, 1))


def test_far_away_years() -> None:
    """At the ends of the years that there are, nothing breaks."""
    rules = [Birthday(catch_up=30), Season("s", "12-15", "01-06")]
    early, late = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
    assert ["birthday:ann:1"] == keys(rules, [born((1, 2), datetime(1, 1, 1, tzinfo=UTC))], early)
    assert [] == keys(rules, [born((12, 28))], late)
    assert None is next_date(rules, History([born((12, 28))]), late)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Birthday(), "good wishes on your birthday"),
        (Birthday([GIFT, perk("a cake")]), "15% off an order and a cake on your birthday"),
        (
            Birthday(GIFT, validity=days(0).to_end_of("month")),
            "15% off an order on your birthday, valid to the end of the month",
        ),
        (
            AnniversaryOf("first_purchase", GIFT, validity=days(30)),
            "15% off an order on each anniversary of your first purchase, valid for 30 days",
        ),
        (AnniversaryOf("product"), "good wishes on each anniversary of a purchase"),
        (
            AnniversaryOf("product", GIFT, ["mug", "pot"]),
            "15% off an order on each anniversary of your purchase of mug or pot",
        ),
        (
            OneTwoThree(AnniversaryOf("product", perk("a cake"), validity=days(60))),
            "on each anniversary of a purchase, once a year: a celebration with a cake, a request for a review and "
            "10% off the next purchase, valid for 60 days",
        ),
        (
            Season("Easter", benefits=GIFT, dates=[(date(2026, 4, 3), date(2026, 4, 6))]),
            "15% off an order from 3 April 2026 through 6 April 2026, once a season",
        ),
        (Season("s", (2, 1), "2-29", GIFT), "15% off an order from 1 February through 29 February, once a season"),
    ],
)
def test_a_rule_in_words(rule: Occasion, said: str) -> None:
    """A rule says itself as a shopper would be told."""
    assert said == str(rule)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Birthday("a cake"), "benefits"),  # type: ignore[arg-type]
        (lambda: Birthday(name="a/b"), "birthday.name"),
        (lambda: Birthday(catch_up=-1), "occasion.catch_up"),
        (lambda: Birthday(catch_up=True), "occasion.catch_up"),
        (lambda: Birthday(catch_up=1.5), "occasion.catch_up"),
        (lambda: Birthday(catch_up=hours(12)), "occasion.catch_up"),
        (lambda: Birthday(catch_up=months(12)), "occasion.catch_up"),
        (lambda: Birthday(catch_up=365), "occasion.catch_up"),
        (lambda: Birthday(validity=30), "occasion.validity"),
        (lambda: Birthday(validity=Period()), "occasion.validity"),
        (lambda: Birthday(leap_day="feb29"), "occasion.leap_day"),  # type: ignore[arg-type]
        (lambda: Birthday(zone="Europe/Paris"), "occasion.zone"),  # type: ignore[arg-type]
        (lambda: AnniversaryOf("wedding"), "anniversary.of"),  # type: ignore[arg-type]
        (lambda: AnniversaryOf("joining", products="mug"), "anniversary.products"),
        (lambda: OneTwoThree(AnniversaryOf("joining")), "one_two_three.anniversary"),
        (lambda: OneTwoThree(Birthday()), "one_two_three.anniversary"),  # type: ignore[arg-type]
        (lambda: OneTwoThree(coupon="10%"), "one_two_three.coupon"),  # type: ignore[arg-type]
        (lambda: Season("s"), "season.start"),
        (lambda: Season("s", "12-15"), "season.end"),
        (lambda: Season("s", "13-01", "01-06"), "season.start"),
        (lambda: Season("s", "12-15", "02-30"), "season.end"),
        (lambda: Season("s", 12, "01-06"), "season.start"),  # type: ignore[arg-type]
        (lambda: Season("s", "12-15", "01-06", dates=[(date(2026, 1, 1), date(2026, 1, 2))]), "season.dates"),
        (lambda: Season("s", dates=[(date(2026, 1, 2), date(2026, 1, 1))]), "season.dates"),
        (lambda: Season("s", dates=[(date(2026, 1, 1), date(2027, 1, 2))]), "season.dates"),
        (lambda: Season("s", dates=[(date(2026, 1, 1),) * 2, (date(2026, 4, 1),) * 2]), "season.dates"),
        (lambda: Season("s", dates=[(noon(2026, 1, 1), noon(2026, 1, 2))]), "season.dates"),
        (lambda: Season("s", dates=[date(2026, 1, 1)]), "season.dates"),  # type: ignore[list-item]
        (lambda: Season("s", dates="2026"), "season.dates"),  # type: ignore[arg-type]
        (lambda: due(Birthday(), [born(None)], FIRST), "history"),  # type: ignore[arg-type]
        (lambda: due(Birthday(), History(), FIRST, done="birthday:ann:2026"), "done"),
        (lambda: due(Birthday(), History(), date(2026, 1, 1)), "at"),  # type: ignore[arg-type]
        (lambda: due("birthday", History(), FIRST), "occasions"),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused(make: Any, field: str) -> None:
    """A rule that cannot be meant is refused, by the name of its field."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


def test_a_long_list_of_products() -> None:
    """However much was bought on a day, the decision can name it."""
    skus = [f"{number}-{'x' * 100}" for number in range(50)]
    random.Random(1).shuffle(skus)
    found = due(AnniversaryOf("product"), History([purchase(1, noon(2023, 6, 1), *skus)]), noon(2024, 6, 1))
    assert 50 == len([name for name, _ in found[0].data if name.startswith("product")])
