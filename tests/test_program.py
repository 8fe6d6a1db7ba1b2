"""A program as one value: validated, linted, explained, versioned; and the rules that it consists of."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st
from shop import AT, programs

from loyaltykit import wire
from loyaltykit.calendar import days, months
from loyaltykit.errors import InputError
from loyaltykit.facts import Line
from loyaltykit.matching import (
    AllOf,
    AnyOf,
    Dates,
    Match,
    Not,
    Scene,
    TimeOfDay,
    category,
    channel,
    code,
    dates,
    depends_on_line,
    leaves,
    order_total,
    sku,
    tier,
    time_of_day,
    weekday,
)
from loyaltykit.program import BASES, Basis, Grace, Program, Unit, explain, grace, in_force, lint
from loyaltykit.rewards import coins, reward
from loyaltykit.rules import (
    Budget,
    Cap,
    OnEvent,
    Rule,
    activity,
    bonus,
    cash_back,
    counted,
    per_amount,
    per_day,
    per_item,
    per_lifetime,
    per_month,
    per_order,
    per_week,
    per_year,
    rate_table,
)

ONE = per_amount(1)
COINS = coins(100, worth="1.00")


def program(**others: Any) -> Program:
    """Return a program in US dollars."""
    return Program("Club", "USD", **others)


def refused_field(make: Any, *arguments: Any, **others: Any) -> str:
    """Return the field that is refused."""
    with pytest.raises(InputError) as caught:
        make(*arguments, **others)
    return caught.value.field


class TestExplaining:
    def test_prg_1(self) -> None:
        """PRG-1: a program is explained in exactly three steps."""
        assert explain(program(earning=ONE, rewards=coins(100, worth="5.00"))) == [
            "Join: free",
            "Earn: purchase = 1 point per $1.00",
            "Redeem: 100 points = $5.00 off",
        ]

    def test_prg_1_lint(self) -> None:
        """PRG-1: a program without a way to earn, or to redeem, says so."""
        assert lint(program(rewards=COINS)) == ["no way to earn"]
        assert lint(program(earning=ONE)) == ["no way to redeem"]
        assert lint(program()) == ["no way to earn", "no way to redeem"]
        assert lint(program(earning=ONE, rewards=COINS)) == []

    @given(programs(rewards=[COINS, reward("mug", 500, kind="gift")]))
    def test_every_rule_appears(self, some: Program) -> None:
        """Every earning rule and every reward is in the explanation, by its name or its price."""
        join, earning, redeeming = explain(some)
        assert join == "Join: free"
        assert all(f"{rule.name} = " in earning for rule in some.earning)
        assert redeeming == "Redeem: 100 points = $1.00 off; 500 points = mug"

    def test_nothing_to_explain(self) -> None:
        """Also an empty program has three steps."""
        assert explain(program(join="5.00 a year")) == ["Join: 5.00 a year", "Earn: nothing yet", "Redeem: nothing yet"]

    def test_sentences(self) -> None:
        """Each rule says what it gives, on what, and its limits."""
        start = datetime(2026, 1, 1, tzinfo=UTC)
        said = {
            per_amount(2, each="3.00", where=category("coffee")): "purchase on coffee = 2 points per 3.00",
            per_amount(1, unit="stamps"): "purchase (stamps) = 1 stamp per 1.00",
            per_item(1, name="mugs", where=sku("mug")): "mugs = 1 point per item on product mug",
            per_order(1000): "order = 1,000 points per order",
            cash_back("1.5"): "cash back (cash) = 1.5% back as cash",
            bonus("1.5", where=tier("Gold", "Silver")): "bonus for Gold or Silver = 1.5 x points",
            activity("review", 50, once="product", cap=per_month(2)): (
                "review = 50 points, once per product, at most 2 times a month"
            ),
            activity("visit", 1, cap=per_day(1, 5)): "visit = 1 point, at most once and 5 points a day",
            activity("share", 2, budget=1000, unit="stars", starts=start, ends=start + timedelta(1)): (
                "share (stars) = 2 stars, as long as the 1,000 of share (stars) last, from 2026-01-01 00:00 UTC, "
                "until 2026-01-02 00:00 UTC"
            ),
        }
        assert list(said.values()) == [str(rule) for rule in said]
        assert str(per_lifetime(1)) == "at most once ever"
        assert (counted(1, "credit"), counted(2, "stamps")) == ("1 credit", "2 stamps")

    def test_repr_is_short(self) -> None:
        """A repr shows what differs from the default."""
        assert repr(bonus(2)) == "Bonus(factor=Decimal('2'), name='bonus')"
        assert repr(Basis(tax=True)) == "Basis(tax=True)"
        assert repr(program(earning=ONE)) == (
            "Program(name='Club', currency='USD', earning=(PerAmount(points=1, name='purchase'),))"
        )


class TestLint:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"earning": [per_order(5), bonus(2)]}, "earning rule 'bonus' has no points to multiply"),
            ({"earning": [ONE, activity("x", 0)]}, "earning rule 'x' gives nothing"),
            ({"earning": [rate_table({"0": 0})]}, "earning rule 'purchase by total' gives nothing"),
            ({"earning": [per_amount(1, cap=per_day(0))]}, "earning rule 'purchase' is limited to nothing"),
            ({"earning": [per_amount(1, budget=0)]}, "earning rule 'purchase' is limited to nothing"),
            (
                {"earning": [activity("x", 5, where=category("a"))]},
                "earning rule 'x on a' asks for an order, which an activity does not have",
            ),
            ({"rewards": [coins(10, worth="1.00", unit="stamps")]}, "reward 'coins' costs stamps, which nothing earns"),
            ({"rewards": [COINS, reward("mug", 5, stock=0)]}, "reward 'mug' has no stock"),
            ({"rewards": [COINS], "units": [Unit("stamps"), Unit("stars")]}, "unit 'stars' is not used"),
        ],
    )
    def test_what_makes_no_sense(self, fields: dict[str, Any], expected: str) -> None:
        """What is valid but cannot be meant is reported."""
        assert expected in lint(program(**{"earning": ONE, "rewards": COINS, "units": Unit("stamps"), **fields}))

    def test_bonus_alone_is_no_way_to_earn(self) -> None:
        """A bonus has nothing to multiply by itself."""
        assert lint(program(earning=bonus(2), rewards=COINS)) == ["no way to earn"]


class TestValidation:
    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": "a/b"}, "program.name"),
            ({"name": "a~b"}, "program.name"),
            ({"currency": "usd"}, "program.currency"),
            ({"zone": "Mars"}, "program.zone"),
            ({"zone": None}, "program.zone"),
            ({"join": ""}, "program.join"),
            ({"units": "stamps"}, "program.units"),
            ({"units": [Unit("a"), Unit("a")]}, "program.units[1].name"),
            ({"earning": [ONE, "x"]}, "program.earning[1]"),
            ({"earning": 5}, "program.earning"),
            ({"earning": [ONE, per_amount(2)]}, "program.earning[1].name"),
            ({"earning": [ONE, per_order(1, unit="stamps")]}, "program.earning[1].unit"),
            ({"earning": cash_back(1), "units": Unit("cash")}, "program.earning[0].unit"),
            ({"earning": per_amount(1, each="0.001")}, "program.earning[0].each"),
            ({"earning": per_order(1, minimum="0.001")}, "program.earning[0].minimum"),
            ({"earning": rate_table({"0.001": 1})}, "program.earning[0].bands"),
            ({"earning": per_order(1, where=order_total("0.001"))}, "program.earning[0].where"),
            ({"earning": per_order(1, cap=per_day(1, unit="stamps"))}, "program.earning[0].cap.unit"),
            (
                {"earning": [per_order(1, budget=Budget("b", 1)), per_item(1, budget=Budget("b", 2))]},
                "program.earning[1].budget",
            ),
            ({"caps": per_day(1, unit="stamps")}, "program.caps[0].unit"),
            ({"rewards": [COINS, COINS]}, "program.rewards[1].name"),
            ({"rewards": coins(1, worth="0.001")}, "program.rewards[0].worth"),
            ({"rewards": reward("x", 1, unit="q"), "units": Unit("q", qualifying=True)}, "program.rewards[0].unit"),
            ({"rewards": reward("x", 1, unit="q")}, "program.rewards[0].unit"),
            ({"validity": 12}, "program.validity"),
            ({"activation": "delivered"}, "program.activation"),
            ({"validity_from": "birth"}, "program.validity_from"),
            ({"inactivity": "never"}, "program.inactivity"),
            ({"basis": "net"}, "program.basis"),
            ({"rounding": "nearest"}, "program.rounding"),
            ({"stacking": None}, "program.stacking"),
            ({"shortfall": "forget"}, "program.shortfall"),
            ({"restore": days(3)}, "program.restore"),
            ({"refund_split": 1}, "program.refund_split"),
            ({"reward_back": ""}, "program.reward_back"),
            ({"hold": True}, "program.hold"),
            ({"agents": 5}, "program.agents"),
            ({"version": 0}, "program.version"),
            ({"version": True}, "program.version"),
            ({"effective_from": datetime(2026, 1, 1)}, "program.effective_from"),
            ({"terms": None}, "program.terms"),
        ],
    )
    def test_by_field(self, fields: dict[str, Any], field: str) -> None:
        """What cannot be is refused, by the path of the field."""
        assert field == refused_field(Program, **{"name": "Club", "currency": "USD", **fields})

    @pytest.mark.parametrize(
        ("make", "field"),
        [
            (lambda: per_amount(True), "per_amount.points"),
            (lambda: per_amount("1"), "per_amount.points"),
            (lambda: per_amount(-1), "per_amount.points"),
            (lambda: per_amount(2**63), "per_amount.points"),
            (lambda: per_amount(1, each=1.0), "per_amount.each"),
            (lambda: per_amount(1, each=0), "per_amount.each"),
            (lambda: per_amount(1, name="a/b"), "rule.name"),
            (lambda: per_amount(1, unit=""), "rule.unit"),
            (lambda: per_amount(1, where="coffee"), "rule.where"),
            (lambda: per_amount(1, cap=5), "rule.cap"),
            (lambda: per_amount(1, budget="5"), "rule.budget"),
            (lambda: per_amount(1, validity=5), "rule.validity"),
            (lambda: per_amount(1, activation="never"), "rule.activation"),
            (lambda: per_amount(1, starts=date(2026, 1, 1)), "rule.starts"),
            (lambda: per_amount(1, starts=AT, ends=AT), "rule.ends"),
            (lambda: per_item(D(1)), "per_item.points"),
            (lambda: per_order(1, minimum=-1), "per_order.minimum"),
            (lambda: cash_back(0), "cash_back.percent"),
            (lambda: cash_back(101), "cash_back.percent"),
            (lambda: bonus(1.5), "bonus.factor"),
            (lambda: bonus("0.5", cap=per_day(1)), "bonus.factor"),
            (lambda: rate_table({}), "rate_table.bands"),
            (lambda: rate_table({"0": 1, 0: 2}), "rate_table.bands"),
            (lambda: rate_table({"0": True}), "rate_table.bands"),
            (lambda: rate_table([5]), "rate_table.bands"),
            (lambda: activity("", 5), "activity_rule.activity"),
            (lambda: activity("x", 5, once="year"), "activity_rule.once"),
            (lambda: Cap("day"), "cap.times"),
            (lambda: Cap("hour", 1), "cap.period"),
            (lambda: per_week(-1), "cap.times"),
            (lambda: per_year(points=2**63), "cap.points"),
            (lambda: Budget("a/b", 5), "budget.name"),
            (lambda: OnEvent(5), "on_event.event"),
            (lambda: Unit("a~b"), "unit.name"),
            (lambda: Unit("a", money=1), "unit.money"),
            (lambda: Unit("a", restore="grace"), "unit.restore"),
            (lambda: Basis(tax=0), "basis.tax"),
            (lambda: Basis(points="some"), "basis.points"),
            (lambda: grace(5), "grace.period"),
            (lambda: category(), "where.names"),
            (lambda: category(5), "where.names"),
            (lambda: weekday("monday"), "weekday.days"),
            (lambda: weekday(), "weekday.days"),
            (lambda: time_of_day("9 o'clock", "10:00"), "time_of_day.start"),
            (lambda: time_of_day("09:00", time(10, tzinfo=UTC)), "time_of_day.end"),
            (lambda: time_of_day("09:00", "09:00"), "time_of_day.end"),
            (lambda: dates(AT), "dates.start"),
            (lambda: dates(date(2026, 1, 2), until=date(2026, 1, 2)), "dates.until"),
            (lambda: dates(until=date(2026, 1, 2), through=date(2026, 1, 2)), "dates.through"),
            (lambda: order_total(1.5), "order_total.at_least"),
            (lambda: AllOf(()), "all_of.parts"),
            (lambda: AnyOf((ONE,)), "any_of.parts"),
            (lambda: Not("x"), "not.part"),
        ],
    )
    def test_parts_by_field(self, make: Any, field: str) -> None:
        """The parts of a program refuse what cannot be, by field."""
        assert field == refused_field(make)

    def test_friendly_input(self) -> None:
        """One item stands for a tuple, text for money, a mapping for a table, a number for a budget."""
        some = program(earning=rate_table({"50.00": 2, 0: 1}, each=1, budget=5), rewards=COINS, agents="till-1")
        assert (len(some.earning), len(some.rewards), some.agents) == (1, 1, ("till-1",))
        rule = some.earning[0]
        assert rule == rate_table([("0", 1), (D(50), 2)], each=D("1.00"), budget=Budget("purchase by total", 5))

    def test_names(self) -> None:
        """Derived names tell rules apart, and have nothing that keys cannot hold."""
        rules = [ONE, per_amount(1, unit="stamps"), per_amount(1, where=category("a/b~c"))]
        assert [rule.name for rule in rules] == ["purchase", "purchase (stamps)", "purchase on a-b-c"]
        assert len(per_amount(1, where=category("x" * 200, "y" * 200)).name) == 200


class TestUnits:
    def test_points_by_default(self) -> None:
        """The unit ``points`` exists undeclared, with the program's dates and policies."""
        found = program(validity=months(12), activation=days(3), inactivity=months(6), shortfall="clamp").unit("points")
        assert (months(12), days(3), months(6)) == (found.validity, found.activation, found.inactivity)
        assert (
            found.validity_from, found.shortfall, found.restore, found.hold, found.rounding,
        ) == ("activation", "clamp", "strict", "pinned", "floor")  # fmt: skip

    def test_declared_points_keep_the_programs_dates(self) -> None:
        """Declaring ``points`` changes what it says and nothing else."""
        some = program(validity=months(12), units=Unit("points", rounding="half_up", restore="off"))
        found = some.unit("points")
        assert (months(12), "half_up", "off") == (found.validity, found.rounding, found.restore)

    def test_other_units_have_dates_of_their_own(self) -> None:
        """Another unit never expires unless it says so; its policies are the program's; money rounds half up."""
        some = program(
            validity=months(12), rounding="ceiling", restore=grace(days(30)), validity_from="earning",
            units=[Unit("stamps"), Unit("cash", money=True, validity=months(1), hold="unpinned")],
        )  # fmt: skip
        stamps, cash = some.unit("stamps"), some.unit("cash")
        assert (None, "ceiling", Grace(days(30)), "earning") == (
            stamps.validity, stamps.rounding, stamps.restore, stamps.validity_from,
        )  # fmt: skip
        assert (months(1), "half_up", "unpinned") == (cash.validity, cash.rounding, cash.hold)

    def test_unknown(self) -> None:
        """An unknown unit is an error that lists those there are."""
        with pytest.raises(InputError, match="it has: points, stamps"):
            program(units=Unit("stamps")).unit("stars")


class TestVersions:
    def test_in_force(self) -> None:
        """The version in force is the one that took effect last; it starts at its instant."""
        first = program()
        second = program(version=2, effective_from=AT)
        third = program(version=3, effective_from=AT)
        assert first is in_force([second, first], AT - timedelta(microseconds=1))
        assert second is in_force([second, first], AT)
        assert third is in_force([third, second, first], AT + timedelta(1))
        early = program(version=9, effective_from=AT - timedelta(1))
        assert second is in_force([early, second], AT)
        with pytest.raises(InputError, match="in force yet"):
            in_force([second], AT - timedelta(1))
        with pytest.raises(InputError, match="no time zone"):
            in_force([first], datetime(2026, 1, 1))

    def test_values(self) -> None:
        """Programs are values: equal by content, usable as keys, evolved and pickled."""
        some, same = program(earning=ONE, rewards=COINS), program(earning=[per_amount(1)], rewards=[COINS])
        assert {some: 1}[same] == 1
        assert attrs.evolve(some, version=2).version == 2
        assert attrs.evolve(some, version=2) != some
        assert some == pickle.loads(pickle.dumps(some))
        assert hash(some) == hash(pickle.loads(pickle.dumps(some)))

    @given(programs(rewards=[COINS, reward("mug", 5, tiers="Gold", where=weekday("mon"))], restore=grace(days(3))))
    def test_plain_data(self, some: Program) -> None:
        """A program survives JSON, and what is wrong in it is found by its path."""
        assert some == wire.loads(Program, wire.dumps(some))

    def test_paths_in_json(self) -> None:
        """A wrong value in JSON is refused with its path."""
        data = wire.to_data(program(earning=[ONE, per_order(5)]))
        data["earning"][1]["points"] = -5
        assert refused_field(wire.from_data, Program, data) == "program.earning[1].points"

    def test_bases(self) -> None:
        """A basis may be given by its name."""
        assert all(program(basis=name).basis == basis for name, basis in BASES.items())


MATCHES: st.SearchStrategy[Match] = st.recursive(
    st.sampled_from(
        [
            category("coffee"), category("tea", "coffee"), sku("mug"), channel("app"), code("GO"), tier("Gold"),
            weekday("mon", "tue"), time_of_day("09:00", "10:00"), time_of_day("22:00", "09:31"), order_total("10.00"),
            dates(date(2026, 3, 2), through=date(2026, 3, 2)), dates(until=date(2026, 3, 2)),
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda part: ~part),
    ),
    max_leaves=5,
)  # fmt: skip

SCENES = st.builds(
    Scene,
    st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 4), timezones=st.just(UTC)),
    st.just(UTC),
    st.sampled_from([None, "Gold", "Silver"]),
    st.sampled_from([None, "app", "web"]),
    st.sampled_from([(), ("go ",), ("NO",)]),
    st.sampled_from([None, (999, 100), (1000, 100), (2001, 200)]),
)

LINES = st.sampled_from([None, Line("mug"), Line("cup", categories="coffee"), Line("mug", categories=["tea", "x"])])


class TestConditions:
    @given(MATCHES, MATCHES, SCENES, LINES)
    def test_algebra(self, one: Match, other: Match, scene: Scene, line: Line | None) -> None:
        """``&``, ``|`` and ``~`` mean and, or and not, and chains stay flat."""
        first, second = one.holds(scene, line), other.holds(scene, line)
        assert (first and second) == (one & other).holds(scene, line)
        assert (first or second) == (one | other).holds(scene, line)
        assert first != (~one).holds(scene, line)
        assert one == ~~one or isinstance(one, Not)
        assert (one & other) & one == one & (other & one)
        assert leaves(one & other) == (*leaves(one), *leaves(other))

    @given(MATCHES, SCENES, LINES)
    def test_what_does_not_depend_on_the_line(self, one: Match, scene: Scene, line: Line | None) -> None:
        """A condition without goods in it holds of all lines or of none."""
        if not depends_on_line(one):
            assert one.holds(scene, None) == one.holds(scene, line)

    @given(MATCHES)
    def test_plain_data(self, one: Match) -> None:
        """A condition is plain data and says itself."""
        rule = per_order(1, name="x", where=one)
        assert rule == wire.loads(type(rule), wire.dumps(rule))
        assert str(one)
        assert "None" not in str(one)

    def test_words(self) -> None:
        """A condition says itself in the words of a shop."""
        one = (category("coffee") | sku("mug")) & ~weekday("sat", "sun") & time_of_day("17:00", "19:00")
        assert str(one) == "(on coffee or on product mug) and not on Saturdays or Sundays and from 17:00 to 19:00"
        assert str(~(code("A") & channel("app"))) == "not (with code A and through app)"
        assert str(order_total("50.00") & tier("Gold")) == "on orders of at least 50.00 and for Gold"
        assert str(dates(date(2026, 3, 2))) == "from 2026-03-02"
        assert str(dates(until=date(2026, 3, 2))) == "through 2026-03-01"
        assert str(dates()) == "on every day"
        assert str(Dates(None, date.min)) == "until 0001-01-01"

    def test_and_is_not_ampersand(self) -> None:
        """``and``, ``or`` and ``not`` would silently drop a condition; they are errors."""
        with pytest.raises(TypeError, match=r"& \| ~"):
            bool(category("a") and category("b"))
        with pytest.raises(TypeError):
            category("a") & "b"  # type: ignore[operator]

    def test_local_time(self) -> None:
        """Days and times of day are local, from the start inclusive to the end exclusive, across midnight too."""
        at = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)  # Monday, 22:00 in New York
        scene = Scene(at, ZoneInfo("America/New_York"))
        assert weekday("mon").holds(scene, None)
        assert dates(through=date(2026, 3, 2)).holds(scene, None)
        assert TimeOfDay("22:00", "02:00").holds(scene, None)  # type: ignore[arg-type]
        assert not TimeOfDay("20:00", "22:00").holds(scene, None)  # type: ignore[arg-type]

    def test_days_from_until_and_through(self) -> None:
        """``until`` a day is without it, ``through`` a day with it."""
        scene = Scene(AT, UTC)
        today, tomorrow = date(2026, 3, 2), date(2026, 3, 3)
        found = [dates(today), dates(tomorrow), dates(until=today), dates(until=tomorrow), dates(through=today)]
        assert [one.holds(scene, None) for one in found] == [True, False, False, True, True]

    def test_depth(self) -> None:
        """Conditions are as deep as people write them, and no deeper."""
        deep: Match = category("a")
        for _ in range(4):
            deep = (deep | tier("x")) & tier("y")
        assert depends_on_line(deep | tier("x"))
        with pytest.raises(InputError, match="levels"):
            Not((deep | tier("x")) & tier("y"))

    def test_own_conditions(self) -> None:
        """A condition of one's own works beside the others."""

        class Even(Match):
            """The line's quantity is even."""

            per_line = True

            def holds(self, scene: Scene, line: Line | None) -> bool:
                """Say whether it is even."""
                return line is not None and line.quantity % 2 == 0

        one = Even() & category("coffee")
        assert depends_on_line(one)
        assert one.holds(Scene(AT, UTC), Line("x", 2, categories="coffee"))
        assert isinstance(per_amount(1, name="even", where=one), Rule)
