"""From orders and activities to points: exactly, once rounded, limited, explained; and what stands after refunds."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D, localcontext
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings, strategies as st
from shop import AT, SPLITS, one_refund, order, orders, possible, program, programs, refund, refunds

from loyaltykit import wire
from loyaltykit.amounts import round_to_int
from loyaltykit.awards import Award
from loyaltykit.calendar import days, months
from loyaltykit.earning import award, counters, counts_back, dates, dates_on_event, targets
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Activity, Line, Order, gift_card, points
from loyaltykit.matching import category, sku, tier, weekday
from loyaltykit.program import Basis, Program, Unit
from loyaltykit.refunds import Split, remains, returned
from loyaltykit.rules import (
    Budget,
    OnEvent,
    Rule,
    activity,
    bonus,
    cash_back,
    per_amount,
    per_day,
    per_item,
    per_lifetime,
    per_month,
    per_order,
    per_week,
    rate_table,
)
from loyaltykit.worth import order_worth, plan_of

ONE = per_amount(1, each="1.00")


def of_amount(amount: Any, **others: Any) -> Order:
    """Return an order of goods for this much."""
    return order(Line("a", total=amount), **others)


def earned(rules: Program | Rule, fact: Order | Activity, **others: Any) -> int:
    """Return the points that a fact earns."""
    return award(rules if isinstance(rules, Program) else program(rules), fact, **others).points


def did(name: str, number: int = 1, *, at: datetime = AT, **others: Any) -> Activity:
    """Return an activity."""
    return Activity(f"{name}-{number}", "ann", name, at, **others)


def book(used: dict[str, int], made: Award) -> Award:
    """Add the counts of an award to `used`."""
    for counter, count in made.counts:
        used[counter] = used.get(counter, 0) + count
    return made


class TestLaws:
    @given(st.data(), orders(), programs(), st.sampled_from([None, "Gold"]))
    def test_refunds_lower_targets_to_nothing(
        self, data: st.DataObject, of: Order, by: Program, member: str | None
    ) -> None:
        """Targets start at what was given, never rise as refunds follow, and end at 0 like one full refund."""
        made = award(by, of, tier=member)
        some = [*data.draw(refunds(of, by.refund_split)), refund(99)]
        before = tuple(lot.points for lot in made.lots)
        assert before == targets(by, of, [], made)
        for count in range(1, len(some) + 1):
            after = targets(by, of, some[:count], made)
            assert all(0 <= now <= was for was, now in zip(before, after, strict=True))
            before = after
        assert targets(by, of, [refund(99)], made) == before
        assert not any(before)

    @given(st.data(), orders(), programs())
    def test_the_set_of_refunds_decides(self, data: st.DataObject, of: Order, by: Program) -> None:
        """Neither the order in which refunds are given nor their repetition changes a target."""
        made = award(by, of)
        some = data.draw(refunds(of, by.refund_split))
        assert targets(by, of, some, made) == targets(by, of, data.draw(st.permutations([*some, *some])), made)

    @given(st.data(), orders(), SPLITS)
    def test_a_refund_heard_late_raises_no_target(self, data: st.DataObject, of: Order, split: Split) -> None:
        """Where a unit has one lot, and more of an order earns more, an early refund heard late raises nothing."""
        by = program(
            ONE, per_item(3, where=category("tea")), bonus("1.5", where=category("coffee")), per_order(25),
            refund_split=split,
        )  # fmt: skip
        some, more = data.draw(refunds(of, split)), data.draw(one_refund(of, [], 98, split))
        more = attrs.evolve(more, at=AT)
        assume(possible(of, [*some, more], split))
        made = award(by, of)
        assert sum(targets(by, of, [*some, more], made)) <= sum(targets(by, of, some, made))

    @given(st.data(), orders(), programs())
    def test_targets_are_what_the_rest_would_earn(self, data: st.DataObject, of: Order, by: Program) -> None:
        """A unit's targets come to the least of what was given and what the rules give for each state of the rest."""
        made, plan = award(by, of), plan_of(by)
        some = data.draw(refunds(of, by.refund_split))
        least = dict(made.given)
        for count in range(1, len(some) + 1):
            rest = remains(of, some[:count], by.currency, by.refund_split)
            worth = order_worth(plan, of, rest, made.tier).points
            for unit in plan.units:
                exact = sum((worth.get(name, Fraction(0)) for name in unit.names), Fraction(0))
                if unit.name in least:
                    least[unit.name] = min(least[unit.name], round_to_int(exact, unit.rounding))
        standing = list(zip(made.lots, targets(by, of, some, made), strict=True))
        assert least == {unit: sum(now for lot, now in standing if lot.unit == unit) for unit in least}

    @given(orders(), programs(), st.sampled_from([None, "Gold"]))
    def test_lots_sum_to_what_is_given(self, of: Order, by: Program, member: str | None) -> None:
        """The lots of a unit come to what is given, no lot is empty, and no two have the same dates."""
        made = award(by, of, tier=member)
        for unit, points_given in made.given:
            lots = [lot for lot in made.lots if lot.unit == unit]
            assert points_given == sum(lot.points for lot in lots)
            assert all(lot.points > 0 for lot in lots)
            assert len(lots) == len({(lot.active_at, lot.expires_at, lot.event, lot.validity) for lot in lots})

    @given(orders(), programs(), st.sampled_from([None, "Gold"]))
    def test_shares_explain_what_was_asked(self, of: Order, by: Program, member: str | None) -> None:
        """The exact shares come to what was asked, but for the one rounding; each is its factor times its basis."""
        made = award(by, of, tier=member)
        for unit, asked in made.asked:
            exact = sum(share.points for share in made.shares if share.unit == unit)
            assert abs(exact - asked) < 1
        assert made == wire.loads(Award, wire.dumps(made)) == pickle.loads(pickle.dumps(made))
        assert all(isinstance(line, str) for line in made.explain())

    @given(orders(), st.integers(0, 9), st.sampled_from(["0.03", "1.00", "7.00"]), st.sampled_from([1, 2, D("1.5")]))
    def test_the_plain_formula(self, of: Order, count: int, each: str, factor: Any) -> None:
        """Points are ⌊Σ basis x factor x points / each⌋; the basis is what goods cost, less discounts and points."""
        assume(not (of.tax_included and of.tax))
        by = program(per_amount(count, each=each), bonus(factor, where=category("coffee")))
        goods = sum((Fraction(line.net) for line in of.lines if not line.donation), Fraction(0))
        paid = sum(Fraction(tender.amount) for tender in of.tenders if tender.kind == "points")
        share = max(Fraction(0), goods - Fraction(of.discount) - paid) / goods if goods else Fraction(0)
        times = share * count / Fraction(each)
        expected = sum(
            Fraction(line.net) * times * (Fraction(factor) if "coffee" in line.categories else 1)
            for line in of.lines
            if not (line.gift_card or line.donation)
        )
        # The order's discount is shared out in whole cents: what is left of each line is money.
        slack = Fraction(len(of.lines), 100) * count / Fraction(each) * Fraction(factor)
        assert abs(earned(by, of) - expected) < 1 + slack

    @given(st.lists(orders(most_lines=2), min_size=1, max_size=4), st.integers(0, 60), st.integers(1, 3))
    def test_caps_are_never_passed(self, some: list[Order], most: int, times: int) -> None:
        """However many orders a day has, the cap's points and times are not passed, and the remainder is given."""
        by = program(per_amount(1, each="1.70", cap=per_day(times, most)), per_order(7), caps=per_week(points=100))
        used: dict[str, int] = {}
        for of in some:
            made = book(used, award(by, of, used=used))
            assert set(counters(by, of)) >= {counter for counter, _ in made.counts}
            if made.points < dict(made.asked).get("points", 0):
                assert "cap" in made.reasons
        limits = {"/times": times, "/points": most}
        for counter, count in used.items():
            assert count <= (100 if "~" in counter else limits[counter[counter.rindex("/") :]])

    @given(st.data(), orders(), st.integers(0, 60))
    def test_counts_come_back_with_the_points(self, data: st.DataObject, of: Order, most: int) -> None:
        """Counters go back with the points, never by more than was counted, and wholly after a full refund."""
        by = program(
            per_amount(1, cap=per_day(points=most)), per_item(2, name="items", cap=per_day(times=1)),
            caps=per_week(3, 100),
        )  # fmt: skip
        made = award(by, of)
        some = data.draw(refunds(of, "net_allocated"))
        before = [0] * len(made.counts)
        for count in range(len(some) + 1):
            back = dict(counts_back(by, of, some[:count], made))
            assert list(back) == [counter for counter, _ in made.counts]
            assert all(0 <= now <= most for now, (_, most) in zip(back.values(), made.counts, strict=True))
            week = [counter for counter in back if "~points" in counter and counter.endswith("points")]
            if week:
                assert back[week[0]] == made.points - sum(targets(by, of, some[:count], made))
            before = list(back.values())
        if before and some and some[-1].lines is None and some[-1].amount is None:
            assert dict(made.counts) == dict(counts_back(by, of, some, made))


class TestScenarios:
    def test_s24_round_once(self) -> None:
        """S24: three lines of 0.99 are floor(2.97) = 2, not 0 and not 3."""
        assert earned(ONE, order(*[Line(each, total="0.99") for each in "abc"])) == 2

    def test_s25_symmetric_refund(self) -> None:
        """S25: 49.95 earns 49, and a full refund takes 49."""
        by, of = program(ONE), of_amount("49.95")
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1)], made)) == (49, (0,))

    def test_s27_tax(self) -> None:
        """S27: 100.00 with 20 % tax earns 100 without the tax and 120 with it, on top or included."""
        top, inside = of_amount("100.00", tax="20.00"), of_amount("120.00", tax="20.00", tax_included=True)
        assert [earned(program(ONE), each) for each in (top, inside)] == [100, 100]
        assert [earned(program(ONE, basis=Basis(tax=True)), each) for each in (top, inside)] == [120, 120]

    def test_s28_shipping(self) -> None:
        """S28: an item for 30.00 with shipping 15.00 earns 30, and 45 where shipping counts."""
        of = of_amount("30.00", shipping="15.00")
        assert [earned(program(ONE, basis=each), of) for each in ("goods", "goods_and_shipping")] == [30, 45]

    def test_s29_redeemed_part(self) -> None:
        """S29: 100.00 of which 50.00 are paid with points earns 50, and 100 before points."""
        of = of_amount("100.00", tenders=points(5000, worth="50.00"))
        assert [earned(program(ONE, basis=each), of) for each in ("goods", "before_points")] == [50, 100]

    def test_s30_discounted_order(self) -> None:
        """S30: 100.00 − 30 % earns 70, whether the line or the order is discounted; 100 before discounts."""
        for of in (of_amount("100.00", discount="30.00"), order(Line("a", total="100.00", discount="30.00"))):
            assert next(earned(program(ONE, basis=each), of) for each in ("goods", "before_discounts")) == 70
        line = order(Line("a", total="100.00", discount="30.00"))
        assert earned(program(ONE, basis="before_discounts"), line) == 100

    def test_s31_gift_cards_earn_once(self) -> None:
        """S31: buying a gift card for 50.00 and an item for 20.00 earns 20, paying 50.00 with it 50; or 70 and 0."""
        bought = order(Line("card", total="50.00", gift_card=True), Line("a", total="20.00"))
        spent = of_amount("50.00", tenders=gift_card("50.00"))
        assert [earned(ONE, each) for each in (bought, spent)] == [20, 50]
        assert [earned(program(ONE, basis=Basis(gift_cards=True)), each) for each in (bought, spent)] == [70, 0]

    @pytest.mark.parametrize(("stacking", "expected"), [("multiply", 300), ("additive", 250), ("best", 200)])
    def test_s36_stacking(self, stacking: str, expected: int) -> None:
        """S36: 100.00 with 1.5 for the tier and 2 for the promotion."""
        by = program(ONE, bonus("1.5", where=tier("Gold")), bonus(2, where=category("coffee")), stacking=stacking)
        of = order(Line("a", total="100.00", categories="coffee"))
        assert earned(by, of, tier="Gold") == expected

    def test_s38_tier_comes_in_as_a_value(self) -> None:
        """S38: the order earns 100 as Silver and 200 as Gold; whoever calls says which tier counts."""
        by = program(ONE, bonus(2, where=tier("Gold")))
        assert [earned(by, of_amount("100.00"), tier=each) for each in ("Silver", "Gold", None)] == [100, 200, 100]

    def test_s40_thresholds_are_inclusive(self) -> None:
        """S40: a minimum of 1000.00 is reached by 1000.00 and not by 999.99."""
        for rule in (per_order(5, minimum="1000.00"), rate_table({"1000.00": 1}, each="200.00")):
            assert [earned(rule, of_amount(each)) for each in ("999.99", "1000.00")] == [0, 5]

    @pytest.mark.parametrize("where", ["rule", "program"])
    def test_s41_a_cap_gives_the_remainder(self, where: str) -> None:
        """S41: 50 a day, 40 used: an order worth 30 gives 10; its refund frees them for the next of the same day."""
        cap = per_day(points=50)
        by = program(per_amount(1, cap=cap)) if where == "rule" else program(ONE, caps=cap)
        used: dict[str, int] = {}
        book(used, award(by, of_amount("40.00"), used=used))
        of = of_amount("30.00")
        made = book(used, award(by, of, used=used))
        assert (made.points, dict(made.asked)["points"], made.reasons) == (10, 30, ("cap",))
        assert targets(by, of, [refund(1)], made) == (0,)
        for counter, back in counts_back(by, of, [refund(1)], made):
            used[counter] -= back
        assert award(by, of, used=used).points == 10

    def test_s43_exact(self) -> None:
        """S43: 0.03 is 0.03: 3000.00 at 1 point per 0.03 is 100,000 points."""
        assert earned(per_amount(1, each="0.03"), of_amount("3000.00")) == 100_000

    def test_s44_points_are_not_money(self) -> None:
        """S44: points do not round as the currency does: 1 an order is 1; ¥150 at 1 per ¥100 is 1."""
        yen = Program("Club", "JPY", earning=per_amount(1, each="100"))
        assert (earned(per_order(1), of_amount("3.00")), earned(yen, of_amount("150"))) == (1, 1)

    @pytest.mark.parametrize(("split", "after"), [("gross_line_first", 5), ("net_allocated", 7)])
    def test_s56_partial_refund(self, split: str, after: int) -> None:
        """S56: 2 x 10.00 − 5.00 earns 15; after one item 5 or 7 stand, after both 0."""
        by = program(ONE, refund_split=split)
        for others in ({"discount": "5.00"}, {"tenders": points(500, worth="5.00")}):
            of = order(Line("a", total="10.00"), Line("b", total="10.00"), **others)
            made = award(by, of)
            some = [refund(1, {"a": 1}), refund(2, {"b": 1})]
            assert [(15,), (after,), (0,)] == [targets(by, of, some[:count], made) for count in range(3)]

    def test_s65_discount_share(self) -> None:
        """S65: 150 + 60 − 20 % earns 168; the refund of the 150 item takes 120 and leaves 48."""
        by, of = program(ONE), order(Line("a", total="150.00"), Line("b", total="60.00"), discount="42.00")
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"a": 1})], made)) == (168, (48,))


class TestMission:
    def test_earn_1(self) -> None:
        """The first event in its scope earns, the rest nothing; an unknown activity nothing; 119.99 is 119."""
        by = program(
            ONE, activity("signup", 5, once="customer"), activity("review", 50, once="product"),
            activity("share", 10, once="day"),
        )  # fmt: skip
        facts: list[Order | Activity] = [
            did("signup"), did("signup", 2), of_amount("119.99"), did("review", 1, product="mug"),
            did("review", 2, product="mug"), did("share"), did("share", 2), did("share", 3, at=AT + timedelta(1)),
            did("tweet"),
        ]  # fmt: skip
        used: dict[str, int] = {}
        made = [book(used, award(by, fact, used=used)) for fact in facts]
        assert [each.points for each in made] == [5, 0, 119, 50, 0, 10, 0, 10, 0]
        assert [each.reasons for each in made[-2:]] == [(), ("no_rule",)]
        assert made[1].reasons == ("once",)

    def test_earn_2_cash_back(self) -> None:
        """1 % of 250.00 is 2.50, of 19.99 0.20; what 100.00 of 250.00 gave goes back with them; ¥150 give ¥2."""
        by = program(cash_back(1), units=Unit("cash", money=True))
        of = order(Line("a", total="150.00"), Line("b", total="100.00"))
        made = award(by, of)
        assert (dict(made.given)["cash"], dict(award(by, of_amount("19.99")).given)["cash"]) == (250, 20)
        assert targets(by, of, [refund(1, {"b": 1})], made) == (150,)
        yen = Program("Club", "JPY", earning=cash_back(1), units=Unit("cash", money=True))
        assert dict(award(yen, of_amount("150")).given) == {"cash": 2}

    def test_earn_2_accumulated_discount(self) -> None:
        """A percent of discount for each order, at most 5: seven orders come to 5."""
        by = program(per_order(1, unit="percent", cap=per_lifetime(points=5)), units=Unit("percent"))
        used: dict[str, int] = {}
        given_each = [dict(book(used, award(by, of_amount("9.00"), used=used)).given)["percent"] for _ in range(7)]
        assert given_each == [1, 1, 1, 1, 1, 0, 0]


class TestRules:
    def test_per_item(self) -> None:
        """Points per item go by quantity, also by part of one, and follow a partial refund."""
        by, of = program(per_item(10, where=sku("mug"))), order(Line("mug", 3, total="9.00"), Line("cup", total="2.00"))
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"mug": 1})], made)) == (30, (20,))
        assert earned(per_item(10), order(Line("ham", "0.350", total="4.00"))) == 3

    def test_per_order_goes_with_the_last(self) -> None:
        """A fixed award stays until the last of the order goes back."""
        by, of = program(ONE, per_order(100)), order(Line("a", total="10.00"), Line("b", total="10.00"))
        made = award(by, of)
        some = [refund(1, {"a": 1}), refund(2, {"b": 1})]
        assert [targets(by, of, some[:count], made) for count in range(3)] == [(120,), (110,), (0,)]
        found = [targets(by, of, [refund(1, amount=each)], made) for each in ("10.00", "20.00")]
        assert found == [(110,), (0,)]

    def test_per_order_with_a_minimum(self) -> None:
        """An award for a total goes when the rest no longer reaches it: buying and sending back earns nothing."""
        by, of = program(per_order(100, minimum="50.00")), order(Line("a", total="45.00"), Line("b", total="10.00"))
        made = award(by, of)
        some = [refund(1, amount="5.00"), refund(2, {"b": 1})]
        assert [targets(by, of, some[:count], made) for count in range(3)] == [(100,), (100,), (0,)]

    def test_per_order_on_goods(self) -> None:
        """An award for an order with certain goods needs one such line, and goes with the last of them."""
        by, of = program(per_order(5, where=category("tea"))), order(Line("a", total="9.00"), Line("b", total="1.00"))
        assert award(by, of).reasons == ("no_rule",)
        of = order(Line("a", total="9.00"), Line("b", total="1.00", categories="tea"))
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"b": 1})], made)) == (5, (0,))

    def test_rate_table(self) -> None:
        """The highest band reached applies to the whole basis, and nothing below the first."""
        rule = rate_table({"10.00": 1, "50.00": 2})
        assert [earned(rule, of_amount(each)) for each in ("9.99", "10.00", "49.99", "50.00")] == [0, 10, 49, 100]

    def test_rate_table_after_a_refund(self) -> None:
        """Where what is left reaches a lower band only, the lower rate applies to it."""
        by, of = program(rate_table({"0": 1, "50.00": 2})), order(Line("a", total="40.00"), Line("b", total="20.00"))
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"b": 1})], made)) == (120, (40,))

    def test_a_falling_table_gives_nothing_back(self) -> None:
        """Where less would earn more, a refund still raises nothing."""
        by, of = program(rate_table({"0": 5, "50.00": 1})), order(Line("a", total="40.00"), Line("b", total="20.00"))
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"b": 1})], made)) == (60, (60,))

    def test_bonus_on_lines(self) -> None:
        """A bonus multiplies the lines where it holds, and nothing else: no fixed awards."""
        by = program(ONE, per_order(7), bonus(2, where=category("coffee")))
        assert earned(by, order(Line("a", total="480.00", categories="coffee"), Line("b", total="340.00"))) == 1307

    def test_bonus_of_a_unit(self) -> None:
        """A bonus multiplies its own unit alone."""
        by = program(ONE, per_amount(1, unit="status"), bonus(3, unit="status"), units=Unit("status"))
        assert dict(award(by, of_amount("10.00")).given) == {"points": 10, "status": 30}

    def test_no_points_on_sale_goods(self) -> None:
        """A bonus of 0 takes the points of a line away, whatever else multiplies it."""
        by = program(ONE, bonus(3, name="launch", validity=days(7)), bonus(0, where=category("sale")))
        assert earned(by, order(Line("a", total="10.00", categories="sale"), Line("b", total="5.00"))) == 15

    def test_bonus_with_dates_of_its_own(self) -> None:
        """What a bonus with its own validity adds is a lot of its own, and the whole is rounded once."""
        by = program(per_amount(1, each="2.00"), bonus(2, name="short", validity=days(7)), validity=months(12))
        made = award(by, of_amount("5.00"))
        assert (made.points, [lot.points for lot in made.lots]) == (5, [3, 2])
        assert [lot.rules for lot in made.lots] == [("purchase",), ("short",)]

    def test_bonus_with_a_cap(self) -> None:
        """The cap of a bonus limits what the bonus adds, and the base stays."""
        by = program(ONE, bonus(3, name="triple", cap=per_day(points=15)))
        made = award(by, of_amount("10.00"))
        assert (made.points, made.asked[0][1], made.reasons, made.cut) == (25, 30, ("cap",), (("triple", 15),))

    def test_starts_and_ends(self) -> None:
        """A rule is in force from its start, inclusive, until its end, exclusive."""
        rule = per_order(1, starts=AT, ends=AT + timedelta(hours=1))
        instants = [AT - timedelta(microseconds=1), AT, AT + timedelta(minutes=59), AT + timedelta(hours=1)]
        assert [earned(rule, attrs.evolve(of_amount("1.00"), at=at)) for at in instants] == [0, 1, 1, 0]
        doing = activity("review", 1, starts=AT, ends=AT + timedelta(hours=1))
        assert [earned(doing, did("review", at=at)) for at in instants] == [0, 1, 1, 0]

    def test_activities_with_conditions(self) -> None:
        """An activity rule may ask for the product, the day and the tier."""
        rule = activity("review", 5, where=sku("mug") & weekday("mon") & tier("Gold"))
        assert [
            earned(rule, did("review", product=product), tier=member)
            for product, member in (("mug", "Gold"), ("cup", "Gold"), ("mug", None), (None, "Gold"))
        ] == [5, 0, 0, 0]

    def test_drafts_and_cancelled_orders(self) -> None:
        """A draft earns nothing yet, a cancelled order nothing any more."""
        for state in ("draft", "cancelled"):
            made = award(program(ONE, per_order(5)), of_amount("9.00", state=state))
            assert (0, (state,), ()) == (made.points, made.reasons, made.lots)

    def test_reasons_for_nothing(self) -> None:
        """Nothing earned says why: no rule, nothing that earns, or less than one point."""
        coffee = per_amount(1, where=category("coffee"))
        donation = order(Line("d", total="5.00", donation=True))
        assert [
            award(program(rule), of).reasons
            for rule, of in ((coffee, of_amount("9.00")), (per_order(1), donation), (ONE, of_amount("0.50")))
        ] == [("no_rule",), ("no_basis",), ("rounded_down",)]
        assert award(program(ONE), of_amount("0")).reasons == ("no_basis",)

    def test_an_award_fits_the_ledger(self) -> None:
        """Whatever the rules say, an award is below 2**63."""
        made = award(program(per_amount(2**63 - 1, each="0.01")), of_amount("1000.00"))
        assert made.points == 2**63 - 1

    def test_the_currency(self) -> None:
        """An order in another currency earns nothing by mistake."""
        with pytest.raises(WrongCurrency):
            award(program(ONE), of_amount("5.00", currency="EUR"))

    def test_only_orders_and_activities(self) -> None:
        """Other facts have no award."""
        with pytest.raises(InputError, match="Order or an Activity"):
            award(program(ONE), refund(1))  # type: ignore[arg-type]


class TestBasis:
    def test_points_pay_for_goods_first(self) -> None:
        """The whole value paid with points comes off the goods, in proportion, and not below 0."""
        by = program(ONE, bonus(2, where=category("coffee")))
        goods = (Line("a", total="60.00", categories="coffee"), Line("b", total="40.00"))
        of = order(*goods, shipping="10.00", tenders=points(5000, worth="50.00"))
        assert earned(by, of) == 2 * 30 + 20
        of = order(*goods, shipping="10.00", tenders=points(11_000, worth="110.00"))
        assert (earned(by, of), award(by, of).reasons) == (0, ("no_basis",))

    def test_points_come_off_the_basis_whole(self) -> None:
        """Their whole value comes off, also where the basis is without an included tax."""
        of = of_amount("120.00", tax="20.00", tax_included=True, tenders=points(6000, worth="60.00"))
        assert [earned(program(ONE, basis=each), of) for each in ("goods", "goods_and_tax")] == [40, 60]

    def test_points_pay_for_gift_cards_too(self) -> None:
        """What points paid is shared with the gift cards that were bought, but not with donations."""
        of = order(
            Line("a", total="50.00"), Line("c", total="50.00", gift_card=True), Line("d", total="9.00", donation=True),
            tenders=points(5000, worth="50.00"),
        )  # fmt: skip
        assert earned(ONE, of) == 25

    def test_tax_on_shipping(self) -> None:
        """An order's tax is on its shipping as well: only the goods' part of it counts with the goods."""
        of = of_amount("100.00", shipping="15.00", tax="23.00")
        assert [earned(program(ONE, basis=each), of) for each in ("goods_and_tax", "everything_paid")] == [120, 138]

    def test_gift_cards_and_donations_bear_no_tax(self) -> None:
        """The tax is for the goods alone."""
        of = order(
            Line("a", total="100.00"), Line("c", total="50.00", gift_card=True),
            Line("d", total="50.00", donation=True), tax="20.00",
        )  # fmt: skip
        assert earned(program(ONE, basis="goods_and_tax"), of) == 120
        everything = Basis(tax=True, gift_cards=True, donations=True)
        assert earned(program(ONE, basis=everything), of) == 220

    def test_a_tax_on_nothing(self) -> None:
        """A tax without anything that bears it adds nothing and breaks nothing."""
        of = order(Line("c", total="50.00", gift_card=True), tax="5.00")
        assert earned(program(ONE, basis=Basis(tax=True, gift_cards=True)), of) == 50

    def test_shipping_is_not_goods(self) -> None:
        """Where shipping earns, a bonus on goods does not hold on it, and it is no item."""
        by = program(ONE, per_item(100), bonus(2, where=category("coffee")), basis="goods_and_shipping")
        assert earned(by, order(Line("a", total="10.00", categories="coffee"), shipping="5.00")) == 20 + 5 + 200

    def test_gross_basis_after_a_refund(self) -> None:
        """Before discounts, what is left counts at its price before discounts."""
        by = program(ONE, basis="before_discounts")
        of = order(Line("a", 2, total="100.00", discount="20.00"), discount="40.00")
        made = award(by, of)
        assert (made.points, targets(by, of, [refund(1, {"a": 1})], made)) == (100, (50,))


class TestLimits:
    def test_times(self) -> None:
        """Two reviews a month earn, the third of the month nothing, the first of the next again."""
        by, used = program(activity("review", 50, cap=per_month(2))), {}
        at = [AT, AT + timedelta(1), AT + timedelta(2), AT + timedelta(30)]
        made = [book(used, award(by, did("review", n, at=each), used=used)).points for n, each in enumerate(at)]
        assert made == [50, 50, 0, 50]

    def test_windows_are_local(self) -> None:
        """A cap's day is the program's: 04:59Z is the evening before in New York."""
        by = program(per_order(1, cap=per_day(1)), zone="America/New_York")
        late = attrs.evolve(of_amount("1.00"), at=datetime(2026, 3, 2, 4, 59, tzinfo=UTC))
        assert counters(by, late) == ("cap/order/day:2026-03-01/times",)
        assert counters(by, of_amount("1.00")) == ("cap/order/day:2026-03-02/times",)

    def test_counters(self) -> None:
        """The counters named are those of the rules that could apply, each once, and those of the unit."""
        by = program(
            ONE,
            activity("review", 5, once="day", cap=per_lifetime(3, 10), budget=Budget("spring", 100)),
            per_order(5, budget=Budget("spring", 100), ends=AT),
            per_item(5, budget=Budget("spring", 100)),
            caps=[per_week(points=9)],
        )
        assert counters(by, did("review")) == (
            "cap/review/lifetime/points",
            "cap/review/lifetime/times",
            "once/review/2026-03-02",
            "budget/spring",
            "cap/~points/week:2026-03-02/points",
        )
        assert counters(by, of_amount("1.00")) == ("budget/spring", "cap/~points/week:2026-03-02/points")
        assert counters(program(ONE), of_amount("1.00")) == ()

    def test_scopes(self) -> None:
        """Once per product, order or customer is counted by what the activity names."""
        by = program(*[activity("x", 1, name=each, once=each) for each in ("product", "order", "customer")])  # type: ignore[arg-type]
        found = counters(by, did("x", product="a/b", order="7"))
        assert found == ("once/product/a/b", "once/order/7", "once/customer/")

    def test_a_budget_gives_what_is_left(self) -> None:
        """A campaign's budget is for all; the last award gets the remainder, the next nothing."""
        by = program(per_order(40, name="spring", budget=100))
        made = [award(by, of_amount("1.00"), used={"budget/spring": used}) for used in (0, 80, 100)]
        assert [each.points for each in made] == [40, 20, 0]
        assert [each.reasons for each in made] == [(), ("budget",), ("budget",)]
        assert made[1].counts == (("budget/spring", 20),)

    @given(st.data(), orders(), st.integers(0, 40))
    def test_a_shared_budget_is_not_passed(self, data: st.DataObject, of: Order, most: int) -> None:
        """Rules that share a budget together give no more than is left of it."""
        budget = Budget("spring", most)
        by = program(
            per_amount(1, each="1.30", budget=budget), per_amount(1, each="0.70", name="b", budget=budget),
            per_amount(1, each="1.10", name="c"),
        )  # fmt: skip
        made = award(by, of)
        assert dict(made.counts).get("budget/spring", 0) <= most
        first = data.draw(one_refund(of, [], 1, "net_allocated"))
        assert sum(targets(by, of, [first], made)) <= made.points
        assert counts_back(by, of, [first, refund(2)], made) == made.counts

    def test_what_a_cap_cut_stays_cut(self) -> None:
        """After a refund a rule gives no more than it gave, so that others' points still go back with their goods."""
        by = program(ONE, per_order(100, cap=per_lifetime(1)))
        of = order(Line("a", total="30.00"), Line("b", total="20.00"))
        made = award(by, of, used={"cap/order/lifetime/times": 1})
        assert (made.points, made.cut) == (50, (("order", 0),))
        assert targets(by, of, [refund(1, {"b": 1})], made) == (30,)

    def test_what_a_cap_cut_hides_nothing(self) -> None:
        """A rule that was cut does not make up for another's points, whose goods went back."""
        by = program(
            per_amount(1, where=category("a"), cap=per_day(points=10)), per_amount(1, name="b", where=category("b"))
        )
        of = order(Line("a", total="30.00", categories="a"), Line("b", total="5.00", categories="b"))
        made = award(by, of)
        assert (made.points, made.cut) == (15, (("purchase on a", 10),))
        assert targets(by, of, [refund(1, {"b": 1})], made) == (10,)

    def test_a_capped_award_is_the_least(self) -> None:
        """The cap does not apply again: 10 of 30 given stand until less than 10 are due."""
        by, of = program(ONE, caps=per_day(points=10)), of_amount("30.00")
        made = award(by, of)
        some = [refund(1, amount="15.00"), refund(2, amount="8.00")]
        assert [targets(by, of, some[:count], made) for count in range(3)] == [(10,), (10,), (7,)]

    def test_times_come_back_with_the_last_point(self) -> None:
        """A time is free again when nothing of what it gave is left."""
        by = program(per_amount(1, cap=per_day(1)))
        of = order(Line("a", total="30.00"), Line("b", total="20.00"))
        made = award(by, of)
        some = [refund(1, {"a": 1}), refund(2, {"b": 1})]
        counter = "cap/purchase/day:2026-03-02/times"
        assert [dict(counts_back(by, of, some[:count], made))[counter] for count in range(3)] == [0, 0, 1]

    def test_counters_that_do_not_concern(self) -> None:
        """What was used of other counters does not matter."""
        used = {"cap/other/day:2026-03-02/points": 99, "cap/purchase/day:2026-03-01/points": 99}
        assert award(program(per_amount(1, cap=per_day(points=5))), of_amount("9.00"), used=used).points == 5


class TestDates:
    def made(self, **others: Any) -> Award:
        """Return the award of 10.00 under these dates."""
        return award(program(ONE, **others), of_amount("10.00"))

    def test_at_once_and_for_ever(self) -> None:
        """Without activation and validity, points are active at once and never expire."""
        (lot,) = self.made().lots
        assert (lot.earned_at, lot.active_at, lot.expires_at, lot.event) == (AT, AT, None, None)

    def test_validity_from_activation(self) -> None:
        """S21: pending 30 days, valid for 10: active on 31 January, expired on 10 February."""
        of = attrs.evolve(of_amount("10.00"), at=datetime(2026, 1, 1, tzinfo=UTC))
        (lot,) = award(program(ONE, activation=days(30), validity=days(10)), of).lots
        assert (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 10, tzinfo=UTC)) == (lot.active_at, lot.expires_at)

    def test_validity_from_earning(self) -> None:
        """Counted from earning, the validity runs while points are pending."""
        (lot,) = self.made(activation=days(3), validity=days(10), validity_from="earning").lots
        assert (AT + timedelta(3), AT + timedelta(10)) == (lot.active_at, lot.expires_at)

    def test_months_end_in_the_zone(self) -> None:
        """12 months to the end of the month end with the program's month."""
        (lot,) = self.made(validity=months(12).to_end_of("month"), zone="America/New_York").lots
        assert lot.expires_at == datetime(2027, 4, 1, 4, tzinfo=UTC)

    def test_on_an_event(self) -> None:
        """Points that wait for an event have no dates until it comes, unless they count from earning."""
        (lot,) = self.made(activation=OnEvent("delivered"), validity=days(10)).lots
        assert (None, None, "delivered", days(10)) == (lot.active_at, lot.expires_at, lot.event, lot.validity)
        later = AT + timedelta(5)
        found = dates_on_event(lot, later, "UTC")
        assert (later, AT + timedelta(15)) == (found.active_at, found.expires_at)
        (lot,) = self.made(activation=OnEvent("delivered"), validity=days(10), validity_from="earning").lots
        assert lot.expires_at == AT + timedelta(10) == dates_on_event(lot, later, "UTC").expires_at

    def test_a_rule_overrides_its_unit(self) -> None:
        """A rule's own dates make a lot of their own; equal dates share one, however they are written."""
        by = program(
            ONE, per_order(5, validity="never"), activity("x", 1), per_item(2, validity=days(7)), validity=days(7)
        )
        made = award(by, of_amount("10.00"))
        assert [(lot.points, lot.rules) for lot in made.lots] == [(12, ("purchase", "item")), (5, ("order",))]
        assert made.lots[1].expires_at is None

    def test_dates_of_a_unit(self) -> None:
        """A unit's dates can be asked without a rule."""
        unit = program(validity=days(10), activation=days(1)).unit("points")
        found = dates(unit, AT, "UTC")
        assert (AT + timedelta(1), AT + timedelta(11)) == (found.active_at, found.expires_at)


class TestTargets:
    def test_two_lots_fall_together(self) -> None:
        """Where a unit has two lots, their sum is the rules' and neither rises: not 1.6 + 1.5 = 2 + 1 after 1 + 2."""
        by = program(per_amount(1, where=category("a")), per_amount(1, name="b", where=category("b"), validity=days(7)))
        of = order(Line("a", total="1.60", categories="a"), Line("b", 10, total="2.50", categories="b"))
        made = award(by, of)
        assert [lot.points for lot in made.lots] == [2, 2]
        found = [targets(by, of, [refund(1, amount=each)], made) for each in ("0.01", "0.50", "1.00", "2.00", "4.00")]
        assert found == [(2, 2), (1, 2), (1, 2), (1, 1), (0, 0)]

    def test_no_lot_rises(self) -> None:
        """Of 1.6 + 1.5 the first lot alone would have 2 of 3 points; it had 1 before, of 1.6 + 2.1, and keeps that."""
        by = program(per_amount(1, where=category("a")), per_amount(1, name="b", where=category("b"), validity=days(7)))
        of = order(Line("a", total="1.60", categories="a"), Line("b", 25, total="2.50", categories="b"))
        made = award(by, of)
        some = [refund(1, {"b": 4}), refund(2, {"b": 6})]
        assert [targets(by, of, some[:count], made) for count in range(3)] == [(2, 2), (1, 2), (1, 2)]

    @given(st.data(), orders())
    @settings(max_examples=50)
    def test_many_lots(self, data: st.DataObject, of: Order) -> None:
        """With a lot for every rule, no lot rises and the sums are those of the rules."""
        by = program(
            *[per_amount(3, each="7.00", name=f"r{n}", validity=days(n), where=sku(f"s{n}", "s0")) for n in range(1, 5)]
        )
        made = award(by, of)
        some = data.draw(refunds(of, "net_allocated"))
        before = targets(by, of, [], made)
        for count in range(1, len(some) + 1):
            after = targets(by, of, some[:count], made)
            assert all(now <= was for was, now in zip(before, after, strict=True))
            before = after

    def test_a_smaller_revision(self) -> None:
        """A revision that leaves less takes points back like a refund; one that leaves more gives none by itself."""
        by, of = program(ONE), order(Line("a", total="30.00"), Line("b", total="20.00"))
        made = award(by, of)
        less = order(Line("a", total="30.00"), revision=2)
        more = order(Line("a", total="90.00"), revision=2)
        assert [targets(by, each, [], made) for each in (less, more)] == [(30,), (50,)]
        assert targets(by, order(Line("a", total="30.00"), revision=2, state="cancelled"), [], made) == (0,)
        assert targets(by, less, [refund(1, amount="10.00")], made) == (20,)

    def test_the_tier_of_the_award(self) -> None:
        """S61: what was earned as Silver is judged as Silver, whatever the member is by now."""
        by = program(ONE, bonus(2, where=tier("Gold")))
        of = of_amount("100.00")
        made = award(by, of, tier="Silver")
        assert targets(by, of, [refund(1, amount="40.00")], made) == (60,)

    def test_the_version_of_the_award(self) -> None:
        """S60: an award is judged by the version that made it; another one is refused."""
        of = of_amount("100.00")
        made = award(program(ONE), of)
        with pytest.raises(InputError, match="made by version 1"):
            targets(program(per_amount(2), version=2), of, [], made)


class TestExplaining:
    COFFEE = (Line("a", total="480.00", categories="coffee"), Line("b", total="340.00"))

    def test_an_order(self) -> None:
        """An award says how it came about, in factors and amounts."""
        by = program(ONE, bonus(2, where=category("coffee")))
        made = award(by, order(*self.COFFEE))
        assert made.explain() == ["2 x 480.00 coffee + 1 x 340.00 other, rounded down once"]
        assert str(made) == "1,300 points for order:1"
        assert repr(made).startswith("<Award 1,300 points for order:1: 2 x 480.00 coffee")

    def test_several_units_and_a_cap(self) -> None:
        """Each unit has a line, and what limited it another."""
        by = program(ONE, per_order(5), cash_back("1.5"), units=Unit("cash", money=True), caps=per_day(points=100))
        assert award(by, order(*self.COFFEE)).explain() == [
            "1 x 820.00 purchase + 5 order, rounded down once",
            "100 points of 825 given: cap",
            "cash: 1.5% of 820.00",
        ]

    def test_activities_and_nothing(self) -> None:
        """An activity has no amounts to tell; nothing says why."""
        by = program(activity("review", 50))
        assert award(by, did("review")).explain() == ["50 review"]
        assert award(by, did("tweet")).explain() == ["nothing: no_rule"]
        assert str(award(by, did("tweet"))) == "0 points for activity:tweet-1"

    def test_rounded_up(self) -> None:
        """Another rounding is told as it was."""
        by = program(per_amount(1, each="3.00"), rounding="ceiling")
        assert award(by, of_amount("1.00")).explain() == ["1/3 x 1.00, rounded up once"]

    @given(st.data(), orders(), programs())
    def test_no_decimal_context(self, data: st.DataObject, of: Order, by: Program) -> None:
        """What precision an application has chosen for its own decimals changes nothing."""
        some = data.draw(refunds(of, by.refund_split))
        made = award(by, of)
        expected = made, targets(by, of, some, made), returned(of, some, "USD", by.refund_split)
        with localcontext(prec=1):
            assert expected == (
                award(by, of), targets(by, of, some, made), returned(of, some, "USD", by.refund_split)
            )  # fmt: skip

    @given(orders())
    def test_preview_is_the_award(self, of: Order) -> None:
        """Asking twice gives the same answer: nothing is remembered between calls."""
        by = program(ONE, bonus(2, where=category("coffee")), caps=per_day(points=20))
        assert award(by, of) == award(by, of)
