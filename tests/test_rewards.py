"""What points buy: coins, the catalogue, and quotes that never take more than needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, strategies as st
from shop import AT, cents, order

from loyaltykit import wire
from loyaltykit.amounts import from_minor
from loyaltykit.errors import InputError
from loyaltykit.facts import Line
from loyaltykit.matching import category, channel, code, order_total, weekday
from loyaltykit.program import Program, Unit
from loyaltykit.rewards import Coins, Quote, Reward, available, coins, coverage, quote, reward

DAY = date(2020, 6, 19)


def ask(rule: Coins | Reward, has: int, due: Any = None, **others: Any) -> Quote:
    """Quote one reward in US dollars."""
    return quote(Program("Club", "USD", rewards=rule), rule, has, **{"at": AT, "due": due, **others})


class TestCoins:
    def test_s51_never_more_than_needed(self) -> None:
        """S51: of 30 points worth 10.00 each, an order of 20.00 takes 2."""
        found = ask(coins(1, worth="10.00"), 30, "20.00")
        assert (2, D("20.00"), True) == (found.points, found.worth, found.ok)
        assert ask(coins(1, worth="10.00"), 30, "25.00").points == 2

    def test_s53_minimum_block_and_percent(self) -> None:
        """S53: from 500, in steps of 100, up to 50 %: of 1234 points 1200 are worth 12.00 off 30.00; none off 8.00."""
        rule = coins(100, worth="1.00", minimum=500, block=100, max_percent=50)
        found = ask(rule, 1234, "30.00")
        assert (1200, D("12.00")) == (found.points, found.worth)
        found = ask(rule, 1234, "8.00")
        assert (0, D("0.00"), ("below_minimum",)) == (found.points, found.worth, found.reasons)

    def test_s43_exact_decimals(self) -> None:
        """S43: 3030 points at 0.03 are 90.90 off, and none is left over."""
        found = ask(coins(1, worth="0.03"), 3030, "3000.00")
        assert (3030, D("90.90")) == (found.points, found.worth)

    def test_short(self) -> None:
        """Too few points: the quote says by how many."""
        found = ask(coins(100, worth="1.00", minimum=500), 420, "30.00")
        assert (found.reasons, found.short, found.points, found.needed) == (("insufficient_points",), 80, 0, 500)
        found = ask(coins(100, worth="1.00"), 420, "30.00", points=1000)
        assert (found.reasons, found.short) == (("insufficient_points",), 580)

    def test_as_many_as_asked(self) -> None:
        """Points asked for are taken as far as they are needed, in whole blocks."""
        rule = coins(100, worth="1.00", block=100)
        assert [ask(rule, 5000, "20.00", points=each).points for each in (150, 1000, 3000)] == [100, 1000, 2000]
        assert ask(rule, 5000, "20.00", points=99).reasons == ("below_minimum",)

    def test_nothing_due(self) -> None:
        """Where nothing is due, nothing is taken."""
        assert ask(coins(100, worth="1.00"), 420, 0).reasons == ("nothing_due",)

    def test_without_an_order(self) -> None:
        """Without an amount that is due, coins are only converted."""
        found = ask(coins(100, worth="1.00"), 1234)
        assert (1234, D("12.34")) == (found.points, found.worth)

    def test_a_debt(self) -> None:
        """Whoever is in debt can spend nothing."""
        found = ask(coins(100, worth="1.00"), -50, "5.00")
        assert (found.points, found.reasons, found.short) == (0, ("insufficient_points",), 51)

    def test_parts_of_a_cent_buy_nothing(self) -> None:
        """3 points worth 0.005 each are 0.01, for which 2 are enough; 1 is nothing."""
        rule = coins(1000, worth="5.00")
        assert (2, D("0.01")) == (ask(rule, 3).points, ask(rule, 3).worth)
        assert (ask(rule, 1).reasons, ask(rule, 1).short) == (("insufficient_points",), 1)

    @given(
        st.builds(
            lambda points, worth, minimum, block, percent: coins(
                points, worth=worth, minimum=minimum, block=block, max_percent=percent
            ),
            st.integers(1, 300), st.sampled_from(["0.01", "0.30", "1.00", "9.99"]), st.integers(0, 600),
            st.sampled_from([None, 1, 7, 100]), st.sampled_from([1, "33.3", 50, 100]),
        ),
        st.integers(-100, 5_000), cents(5_000), st.one_of(st.none(), st.integers(0, 5_000)),
    )  # fmt: skip
    def test_laws(self, rule: Coins, has: int, due: D, wanted: int | None) -> None:
        """A quote is within the balance, the percent, the minimum and the blocks, and no point could be saved."""
        found = ask(rule, has, due, points=wanted)
        assert found.ok == (found.points > 0)
        if not found.ok:
            assert (0, D("0.00")) == (found.points, found.worth)
            assert (found.short > 0) == (found.reasons == ("insufficient_points",))
            return
        assert found.worth is not None
        assert rule.minimum <= found.points <= min(has, has if wanted is None else wanted)
        assert found.points % (rule.block or 1) == 0
        assert 0 < found.worth <= due * rule.max_percent / 100
        exact = found.points * rule.worth / rule.points
        assert found.worth <= exact
        fewer = found.points - (rule.block or 1)
        assert fewer < rule.minimum or fewer * rule.worth / rule.points < found.worth

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"points": 0}, "coins.points"),
            ({"points": True}, "coins.points"),
            ({"worth": 0.5}, "coins.worth"),
            ({"worth": 0}, "coins.worth"),
            ({"minimum": -1}, "coins.minimum"),
            ({"block": 0}, "coins.block"),
            ({"max_percent": 101}, "coins.max_percent"),
            ({"unit": "a/b"}, "coins.unit"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], field: str) -> None:
        """What cannot be is refused, by field."""
        with pytest.raises(InputError) as caught:
            Coins(**{"points": 100, "worth": "1.00", **change})
        assert caught.value.field == field


class TestRewards:
    def test_red_2(self) -> None:
        """RED-2: 120 points buy a reward for 100; 80 are refused, 20 short."""
        assert (ask(reward("tote", 100), 120).points, ask(reward("tote", 100), 120).ok) == (100, True)
        found = ask(reward("tote", 100), 80)
        assert (found.points, found.reasons, found.short, found.needed) == (0, ("insufficient_points",), 20, 100)

    def test_worth_is_at_most_what_is_due(self) -> None:
        """A discount is worth no more than what is to be paid; a gift card keeps its value."""
        assert ask(reward("5 off", 500, worth="5.00"), 500, "3.00").worth == D("3.00")
        assert ask(reward("card", 500, kind="gift_card", worth="5.00"), 500, "3.00").worth == D("5.00")
        assert ask(reward("5 off", 500, worth="5.00"), 500).worth == D("5.00")
        assert ask(reward("mug", 500, kind="gift"), 500).worth is None

    def test_days(self) -> None:
        """A reward is offered on local days from its start until its end, exclusive."""
        rule = reward("fund", 50, starts=date(2026, 3, 2), through=date(2026, 3, 3))
        program = Program("Club", "USD", "America/New_York", rewards=rule)
        start = datetime(2026, 3, 2, 5, tzinfo=UTC)  # midnight in New York
        instants = [start - timedelta(microseconds=1), start, start + timedelta(days=2)]
        found = [quote(program, "fund", 99, at=at).reasons for at in instants]
        assert found == [("not_available",), (), ("not_available",)]

    def test_stock_tiers_and_conditions(self) -> None:
        """Every reason why not is named."""
        rule = reward("mug", 50, stock=0, tiers=["Gold", "Platinum"], where=weekday("tue") & order_total("20.00"))  # type: ignore[arg-type]
        found = ask(rule, 20, "19.00")
        assert found.reasons == ("out_of_stock", "tier", "conditions", "insufficient_points")
        tuesday = {"at": AT + timedelta(1), "tier": "Gold", "left": 1}
        assert [ask(rule, 50, each, **tuesday).ok for each in ("20.00", None)] == [True, False]
        assert str(ask(rule, 20, "19.00")).endswith("insufficient_points, 30 short)")

    def test_conditions_on_goods(self) -> None:
        """A condition on goods, codes or channels looks at the order, if there is one."""
        rule = reward("half off", 50, where=category("coffee") & channel("app") & code("GO"))
        of = order(Line("a"), Line("b", categories="coffee"), channel="app", codes="go")
        assert [ask(rule, 50, order=each).ok for each in (of, order(Line("a")), None)] == [True, False, False]

    def test_red_1_available(self) -> None:
        """RED-1: options are offered from their first day until their last, exclusive, and listed by name."""
        off = reward("$5 off", 100, starts=date(2020, 1, 1), ends=date(9999, 12, 31))
        fund = reward("covid fund", 50, kind="donation", starts=date(2020, 4, 1), ends=date(2020, 10, 1))
        both = [fund, off, reward("gone", 5, stock=0)]
        assert [each.name for each in available(both, DAY)] == ["$5 off", "covid fund"]
        assert [each.name for each in available(both, date(2020, 10, 1))] == ["$5 off"]
        late = datetime(2020, 10, 1, 3, tzinfo=UTC)  # still September in New York
        assert [len(available(both, late, zone)) for zone in ("UTC", "America/New_York")] == [1, 2]
        assert available([coins(1, worth=1)], DAY) == (coins(1, worth=1),)

    def test_red_1_coverage(self) -> None:
        """RED-1: of fun, gift and personalised, the kinds that no option has are missing."""
        assert coverage([coins(1, worth=1), reward("a", 1)]) == ("fun", "gift", "personalised")
        assert coverage([reward("a", 1, kind="gift"), reward("b", 1, kind="fun")]) == ("personalised",)

    def test_through_the_last_day_there_is(self) -> None:
        """Through the end of time is without end."""
        assert reward("a", 1, through=date.max).ends is None

    def test_by_name(self) -> None:
        """A reward may be named; an unknown one is an error that lists what there is."""
        program = Program("Club", "USD", rewards=[coins(1, worth="0.01"), reward("mug", 5)], version=3)
        found = quote(program, "mug", 9, at=AT, member="ann")
        assert (found.reward, found.version, found.member, found.at, found.unit) == ("mug", 3, "ann", AT, "points")
        with pytest.raises(InputError, match="it has: coins, mug"):
            quote(program, "tote", 9, at=AT)

    def test_a_fixed_price(self) -> None:
        """Only coins take a number of points."""
        with pytest.raises(InputError, match="fixed price"):
            ask(reward("mug", 5), 9, points=7)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"name": "a/b"}, "reward.name"),
            ({"name": ""}, "reward.name"),
            ({"points": -1}, "reward.points"),
            ({"points": "5"}, "reward.points"),
            ({"kind": "party"}, "reward.kind"),
            ({"worth": 1.5}, "reward.worth"),
            ({"starts": AT}, "reward.starts"),
            ({"ends": "2026-01-01"}, "reward.ends"),
            ({"starts": DAY, "ends": DAY}, "reward.ends"),
            ({"ends": DAY, "through": DAY}, "reward.through"),
            ({"stock": -1}, "reward.stock"),
            ({"tiers": 5}, "reward.tiers"),
            ({"where": "monday"}, "reward.where"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], field: str) -> None:
        """What cannot be is refused, by field."""
        with pytest.raises(InputError) as caught:
            reward(**{"name": "mug", "points": 5, **change})
        assert caught.value.field == field

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"at": datetime(2026, 3, 2)}, "at"),
            ({"due": 1.5}, "quote.due"),
            ({"due": "0.001"}, "quote.due"),
            ({"points": True}, "quote.points"),
            ({"has": True}, "quote.available"),
        ],
    )
    def test_questions_that_cannot_be(self, change: dict[str, Any], field: str) -> None:
        """A question with a wrong value is refused, by field."""
        arguments = {"has": 5, "at": AT, **change}
        with pytest.raises(InputError) as caught:
            ask(coins(1, worth="0.01"), arguments.pop("has"), **arguments)
        assert caught.value.field == field


class TestSaying:
    def test_words(self) -> None:
        """Coins, rewards and quotes say what they are in a sentence."""
        assert coins(1, worth="0.01").says("USD") == "1 point = $0.01 off"
        stamps = reward("free mug", 10, kind="gift", unit="stamps", tiers="Gold", through=date(2026, 6, 30))
        assert str(stamps) == "10 stamps = free mug, for Gold, through 2026-06-30"
        assert reward("welcome", 5, worth="2.00").says("EUR") == "5 points = welcome (€2.00 off)"
        mondays = reward("mug", 5, where=weekday("mon"), starts=DAY)
        assert str(mondays) == "5 points = mug, on Mondays, from 2020-06-19"
        assert str(ask(coins(100, worth="1.00"), 100, "1.00")) == "coins: 100 points = 1.00"
        assert repr(coins(100, worth="1.00")) == "Coins(points=100, worth=Decimal('1.00'))"

    @given(st.integers(0, 500), cents(900))
    def test_plain_data(self, has: int, due: D) -> None:
        """Rewards and quotes are plain data: they survive JSON."""
        rules = coins(100, worth="1.00", max_percent="12.5"), reward("mug", 5, tiers="Gold", where=weekday("mon"))
        for rule in rules:
            found = ask(rule, has, due)
            assert found == wire.loads(Quote, wire.dumps(found))
            assert rule == wire.loads(type(rule), wire.dumps(rule))

    def test_other_currencies(self) -> None:
        """Yen have no cents: coins are worth whole yen."""
        program = Program("Club", "JPY", rewards=coins(3, worth="2"), units=Unit("x"))
        found = quote(program, "coins", 100, due=5, at=AT)
        assert (6, D("4")) == (found.points, found.worth)
        assert from_minor(4, "JPY") == found.worth
