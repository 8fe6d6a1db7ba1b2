"""Histories: what of each order counts, from which instant, as it became known."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal as D, localcontext
from typing import Any

import attrs
import pytest
from histories import INSTANTS, bought, facts, histories, known_from, left_of, stories, utc
from hypothesis import given, settings, strategies as st

from loyaltykit.basis import Basis
from loyaltykit.calendar import to_us
from loyaltykit.club import Club
from loyaltykit.courses import course
from loyaltykit.errors import InputError, KeyReused, WrongCurrency
from loyaltykit.facts import Activity, Fact, Line, Member, Order, Refund, Reversal
from loyaltykit.history import History, histories as by_member
from loyaltykit.measures import orders, spend
from loyaltykit.program import Program
from loyaltykit.rules import per_amount
from loyaltykit.stores.memory import MemoryStore


class TestCourse:
    @given(stories("1"), st.randoms(use_true_random=False))
    def test_after_each_event_it_is_what_remains_by_then(self, story: list[Any], random: Any) -> None:
        """The stages of an order are what its facts leave of it at each instant, in whatever order they come."""
        random.shuffle(story)
        stages, history = course(story, "USD"), History(story)
        assert sorted(stage.known for stage in stages) == [stage.known for stage in stages]
        for at in sorted({known_from(fact) for fact in story}):
            told = left_of([fact for fact in story if known_from(fact) <= at], history)
            then = [(stage.order, stage.rest) for stage in stages if stage.known <= to_us(at)]
            assert told == (then[-1] if then else None)

    @settings(max_examples=300)
    @given(facts(3, points=False), st.lists(INSTANTS, max_size=3))
    def test_spend_is_what_a_point_a_cent_earns(self, some: list[Fact], others: list[datetime]) -> None:
        """A history and the ledger agree, at every instant, on what remains of every order."""
        program = Program("club", "USD", earning=[per_amount(1, each="0.01")], rounding="half_up")
        club, taken = Club(program, MemoryStore()), []
        for fact in some:
            with suppress(InputError):  # known at once to be more than is left
                club.record(fact)
                taken.append(fact)
        history = History(taken, member="ann")
        for at in [*others, *map(known_from, taken)]:
            points = club.balance("ann", at=at).available if taken else 0
            assert D(points) / 100 == spend().value(history, at), at

    def test_refunds_that_came_before_the_order_are_told_as_the_ledger_does(self) -> None:
        """A refund of everything that waited for its order stays one of everything."""
        order = Order("1", "ann", utc(2024, 3, 5), [Line("mug", total=10), Line("pot", total=30)])
        some = [
            Refund("a", "ann", "1", utc(2024, 3, 2), {"mug": 1}),
            Refund("b", "ann", "1", utc(2024, 3, 3)),
            Reversal("c", "ann", "1", "a", utc(2024, 3, 6)),
        ]
        club = Club(Program("club", "USD", earning=[per_amount(1)]), MemoryStore())
        for fact in [order, *some]:
            club.record(fact)
        assert 0 == club.balance("ann", at=utc(2024, 3, 7)).available
        assert [0, 0] == [stage.rest.goods for stage in course([*some, order], "USD")]

    def test_a_refund_that_cannot_be_true_is_left_out(self) -> None:
        """Of 50.00 not 60.00 can come back, nor 30.00 twice, nor a product that was not bought."""
        order = bought("1", "2024-03-01", 50)
        refunds = [
            Refund("a", "ann", "1", utc(2024, 3, 2), amount=60),
            Refund("b", "ann", "1", utc(2024, 3, 3), amount=30),
            Refund("c", "ann", "1", utc(2024, 3, 4), amount=30),
            Refund("d", "ann", "1", utc(2024, 3, 5), {"mug": 1}),
        ]
        assert [50, 50, 20, 20, 20] == [stage.rest.goods for stage in course([*refunds, order], "USD")]

    def test_a_refund_of_the_rest_is_only_of_the_rest(self) -> None:
        """What an earlier refund took is owned again when that is reversed; the rest stays gone."""
        order = Order("1", "ann", utc(2024, 3, 1), [Line("mug", total=10), Line("pot", total=30)])
        some = [
            Refund("a", "ann", "1", utc(2024, 3, 2), {"mug": 1}),
            Refund("b", "ann", "1", utc(2024, 3, 3)),
            Reversal("c", "ann", "1", "a", utc(2024, 3, 4)),
        ]
        assert [40, 30, 0, 10] == [stage.rest.goods for stage in course([*some, order], "USD")]


class TestHistory:
    @given(histories())
    def test_changes_sum_up_to_what_is_there(self, history: History) -> None:
        """However an order was changed, what is counted of it is there once or not at all, and never less."""
        for sales in (history.purchases, history.sales):
            assert sorted(sale.known for sale in sales) == [sale.known for sale in sales]
            there: dict[Any, int] = {}
            for sale in sales:
                assert sale.at <= sale.known
                kind = (sale.order, sale.at, *sale[3:7])
                there[kind] = there.get(kind, 0) + sale.present
                assert there[kind] in (0, 1)

    @given(histories())
    def test_lines_sum_up_to_the_order(self, history: History) -> None:
        """Of goods without shipping, what the lines of all orders count is what the orders count."""
        history = attrs.evolve(history, basis="goods")
        assert sum(sale.amount for sale in history.purchases) == sum(sale.amount for sale in history.sales)

    @given(histories(2))
    def test_simple_orders_are_no_exception(self, history: History) -> None:
        """What is taken a quick way for simple orders is what the long way gives."""
        same = Basis(donations=True)  # no donation is simple
        given = [fact for fact in history.facts if isinstance(fact, Order)]
        quick = History([fact for fact in given if not any(line.donation for line in fact.lines)], member="ann")
        for name in ("purchases", "sales"):
            slow = getattr(attrs.evolve(quick, basis=same), name)
            assert sorted(getattr(quick, name), key=repr) == sorted(slow, key=repr)

    def test_a_narrow_decimal_context_changes_nothing(self) -> None:
        """Amounts are exact, whatever precision a program has set for its own numbers."""
        order = Order("1", "ann", utc(2024, 3, 1), [Line("pot", total="12345.67"), Line("mug", total="0.01")])
        with localcontext(prec=3):
            assert D("12345.68") == spend().value(History([order]), utc(2024, 3, 1))

    def test_one_member_at_a_time(self) -> None:
        """Facts of several members are told apart by `histories`; one history has one member."""
        mixed = [
            bought("1", "2024-03-01", 5),
            Order("2", "bo", utc(2024, 3, 1), amount=7),
            Member("bo", utc(2024, 1, 1)),
        ]
        with pytest.raises(InputError, match=r"history\.facts='bo'"):
            History(mixed)
        found = by_member(mixed, zone="Europe/Berlin")
        assert {"ann": D(5), "bo": D(7)} == {name: spend().value(each, utc(2024, 3, 1)) for name, each in found.items()}
        assert {"Europe/Berlin"} == {each.zone for each in found.values()}
        assert utc(2024, 1, 1) == found["bo"].anchor

    def test_it_shows_itself(self) -> None:
        """A history says whose it is, how many orders it has, and since when."""
        assert "<History of nobody: 0 orders>" == repr(History())
        both = History([bought("1", "2024-03-01", 5), bought("2", "2024-03-02", 5)])
        assert "<History of ann: 2 orders, since 2024-03-01>" == repr(both)

    def test_the_latest_word_on_a_member_holds(self) -> None:
        """A profile is that known at the instant."""
        first, later = Member("ann", utc(2024, 1, 1), zone="UTC"), Member("ann", utc(2024, 2, 1), zone="Asia/Tokyo")
        history = History([later, first])
        assert [None, first, later] == [
            history.profile(at) for at in (utc(2023, 12, 31), utc(2024, 1, 31), utc(2024, 2, 1))
        ]

    def test_a_membership_begins_with_the_first_thing_known(self) -> None:
        """An order that is told of late begins nothing before it is known; the day of joining goes before all."""
        order = bought("1", "2024-03-01", 5, revision=2, revised_at=utc(2024, 4, 1))
        assert utc(2024, 4, 1) == History([order]).anchor
        assert utc(2024, 3, 9) == History([order, Activity("a", "ann", "visit", utc(2024, 3, 9))]).anchor
        assert utc(2023, 1, 1) == History([order], joined=utc(2023, 1, 1)).anchor
        assert History().anchor is None

    def test_activities_come_once_and_in_time(self) -> None:
        """An activity that is told twice happened once."""
        one, two = Activity("1", "ann", "visit", utc(2024, 3, 2)), Activity("2", "ann", "visit", utc(2024, 3, 1))
        assert [two, one] == list(History([one, two, one]).activities)


class TestBadInput:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (bought("1", "2024-03-01", 5), bought("1", "2024-03-01", 6)),
            (Refund("r", "ann", "1", utc(2024, 3, 2)), Refund("r", "ann", "2", utc(2024, 3, 2))),
            (Reversal("v", "ann", "1", "r", utc(2024, 3, 2)), Reversal("v", "ann", "1", "s", utc(2024, 3, 2))),
            (Activity("a", "ann", "visit", utc(2024, 3, 2)), Activity("a", "ann", "visit", utc(2024, 3, 3))),
        ],
    )
    def test_one_id_means_one_fact(self, first: Fact, second: Fact) -> None:
        """Two facts with one id and different contents are an error, not a matter of which comes first."""
        for some in ([first, second], [second, first, second]):
            history = History(some)
            with pytest.raises(KeyReused, match=r"history\.facts"):
                _ = (history.orders, history.activities)
        assert 0 == orders().value(History([first, first], member="ann"), utc(2024, 1, 1))

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("history.currency", {"currency": "dollars"}),
            ("history.zone", {"zone": "Mars/Olympus"}),
            ("history.basis", {"basis": "profit"}),
            ("history.split", {"split": "half"}),
            ("history.joined", {"joined": datetime(2024, 1, 1)}),
            ("history.facts[0]", {"facts": ["order"]}),
            ("history.facts", {"facts": 5}),
        ],
    )
    def test_the_field_is_named(self, field: str, fields: Any) -> None:
        """What is no currency, zone, basis, instant or fact is refused by name."""
        with pytest.raises(InputError) as caught:
            History(**fields)
        assert field == caught.value.field

    def test_orders_are_in_the_currency(self) -> None:
        """Another currency's order is not silently added up."""
        with pytest.raises(WrongCurrency):
            spend().value(History([bought("1", "2024-03-01", 5, currency="EUR")]), utc(2024, 3, 1))
