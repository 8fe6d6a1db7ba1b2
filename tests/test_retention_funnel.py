"""Funnels of steps, carts left behind and why, messages opened and clicked, by people and by machines."""

from __future__ import annotations

from decimal import Decimal
from math import prod
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit import retention
from loyaltykit.errors import InputError
from loyaltykit.retention.carts import Cart, Carts, abandonment, abandonment_rate, ranking
from loyaltykit.retention.funnels import Mailing, Message, click_rate, funnel, mailing, open_rate, reached
from loyaltykit.retention.rates import Rate

STEPS = ["visited", "cart", "checkout", "paid"]


def share_of(rate: Rate | None) -> Any:
    """Return the exact share of a rate that there is."""
    assert rate is not None
    return rate.share


# ---------------------------------------------------------------- steps


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6))
def test_the_rates_of_the_steps_multiply_to_that_of_the_whole(numbers: list[int]) -> None:
    """Step by step and as a whole, as many are lost; each step's share of the first is that of its way there."""
    counts = sorted(numbers, reverse=True)
    found = funnel([(f"step {place}", number) for place, number in enumerate(counts)])

    for place, step in enumerate(found):
        assert share_of(step.of_first) == prod(share_of(each.of_previous) for each in found.steps[: place + 1])
    assert found.rate == found.steps[-1].of_first
    assert counts[0] - counts[-1] == sum(each.lost for each in found)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(STEPS)), max_size=20), st.randoms())
def test_reached_is_counted_by_id(events: list[tuple[str, str]], random: Any) -> None:
    """At a step are those seen at it or later, each once, in whatever order and however often it is told."""
    found = reached(events, STEPS)

    for place, step in enumerate(found):
        assert len({who for who, at in events if STEPS.index(at) >= place}) == step.count
    told = events * 2
    random.shuffle(told)
    assert found == reached(told, STEPS)


def test_a_funnel_by_hand() -> None:
    """Of 1,000 visitors 300 fill a cart: 30 %; 90 pay: 9 % of all, 75 % of those who were about to."""
    found = funnel({"visited": 1000, "cart": 300, "checkout": 120, "paid": 90})
    assert [("100", "100"), ("30", "30"), ("40", "12"), ("75", "9")] == [
        (f"{each.of_previous}".removesuffix(" %"), f"{each.of_first}".removesuffix(" %")) for each in found
    ]
    assert [0, 700, 180, 30] == [each.lost for each in found]
    assert ("cart", 300, 700, 0.3, 0.3) == found.rows[1]
    assert ("step", "count", "lost", "of_previous", "of_first") == found.columns
    assert "cart: 300" == str(found.steps[1])
    assert "<td" in found._repr_html_()
    assert 4 == len(found)


def test_a_funnel_in_which_nobody_came_far() -> None:
    """A share of nobody is none; that of those who came may be 0."""
    found = funnel({"visited": 5, "cart": 0, "paid": 0})
    assert [Rate(5, 5), Rate(0, 5), None] == [each.of_previous for each in found]
    assert 0 == found.rate
    empty = reached([], ["visited", "paid"])
    assert [None, None] == [each.of_first for each in empty]
    assert empty.rate is None
    assert ("paid", 0, 0, None, None) == empty.rows[1]
    assert "visited      0     0\n" in str(empty)


def test_a_count_that_rises_is_refused_with_the_way_out() -> None:
    """More at a step than before it is no funnel; the error names the step and what counts such cases."""
    with pytest.raises(InputError) as caught:
        funnel({"cart": 10, "checkout": 4, "paid": 5})
    assert "counts[2]" == caught.value.field
    assert "paid has more than the 4 of checkout" in str(caught.value)
    assert "reached()" in str(caught.value)


# ---------------------------------------------------------------- carts


CHANNELS = st.sampled_from([None, "mobile", "web"])
CARTS = st.lists(st.builds(Cart, st.sampled_from("abcdefgh"), st.booleans(), CHANNELS, st.none()), max_size=20)


@given(CARTS)
def test_carts_are_counted_once_and_by_channel_add_up(rows: list[Cart]) -> None:
    """Started is every cart that is seen, completed what is once; the channels' sums are those of all."""
    found = abandonment(rows)

    assert len({row.cart for row in rows}) == found.all.started == sum(each.started for each in found)
    assert len({row.cart for row in rows if row.completed}) == found.all.completed
    assert found.rate == abandonment_rate(found.all.started, found.all.completed)
    assert sum(each.abandoned for each in found) == found.all.abandoned
    assert sorted((each.started for each in found), reverse=True) == [each.started for each in found]
    assert abandonment([*rows, *rows]).all == found.all


def test_what_is_told_of_one_cart_by_several_rows() -> None:
    """It was started where it was first seen, and left for the last reason; a completed one was left for none."""
    found = abandonment([
        ("1",), ("1", False, "mobile", "slow"), ("1", False, "web", "shipping_cost"), ("1",),
        ("2", True, "web", "slow"),
        Cart("3", channel="web"),
    ])  # fmt: skip
    assert {"mobile": (1, 0), "web": (2, 1)} == {each.channel: (each.started, each.completed) for each in found}
    assert ("shipping_cost",) == found.reasons.names


def test_one_customer_may_have_several_carts() -> None:
    """Carts are counted, not customers: who completed one of two abandoned the other."""
    assert "50 %" == str(abandonment([("ann/1", True), ("ann/2", False)]).rate)


def test_carts_read_well() -> None:
    """A table has a row a channel, one for all, and the reasons below it."""
    found = abandonment([("1", False, "mobile", "slow"), ("2", True, "web"), ("3",)])
    assert ("mobile", 1, 0, 1, 1.0) == found.rows[0]
    assert (None, 1, 0, 1, 1.0) == found.rows[-1]
    assert "not known" in str(found)
    assert "all              3          1          2  66.67 %" in str(found)
    assert str(found).endswith("why, where it is known: slow 1")
    assert "<td" in found._repr_html_()
    assert "1 of 1 carts abandoned (100 %)" == str(Carts(1, 0))
    assert "web: 0 of 0 carts abandoned" == str(Carts(0, 0, "web"))
    assert abandonment([]).rate is None
    assert "why" not in str(abandonment([]))


def test_reasons_are_ranked() -> None:
    """The most frequent first; those as frequent by name, in whatever order they were given."""
    found = ranking({"shipping_cost": 28, "account": 23, "slow": 12}, of=100)
    assert ("shipping_cost", "account", "slow") == found.names
    assert Decimal("28.00") == share_of(found.ranked[0].share) * 100
    assert ("shipping_cost", 28, 0.28) == found.rows[0]
    assert "shipping_cost: 28 (28 %)" == str(found.ranked[0])
    assert ("a", "b", "c") == ranking({"c": 2, "b": 2, "a": 2}).names == ranking(list("cbaabc")).names
    assert Rate(28, 63) == ranking({"shipping_cost": 28, "account": 23, "slow": 12}).ranked[0].share
    assert [(0, None)] == [(each.count, each.share) for each in ranking({"slow": 0})]
    assert "slow: 0" == str(ranking({"slow": 0}).ranked[0])
    assert 0 == len(ranking({}))
    assert "<td" in found._repr_html_()


def test_a_cited_figure_to_compare_with() -> None:
    """The register has the usual figures under the kinds that the module names."""
    assert "28 %" == retention.benchmark("shipping_28").value
    assert "40.5 %" == retention.benchmark("cart_email_opened").value


# ---------------------------------------------------------------- messages


def test_rates_of_messages_by_hand() -> None:
    """405 of 1,000 are 40.50 %, 300 are 30.00 %; of nothing there is no rate."""
    found = open_rate(1000, 405), open_rate(1000, 300), click_rate(1000, 300)
    assert [Decimal("40.50"), Decimal("30.00"), Decimal("30.00")] == [each.percent for each in found if each]
    assert open_rate(0, 0) is click_rate(0, 0) is None


def test_what_machines_opened_is_told_apart() -> None:
    """Without them the rate says how many are not counted, and with them it has no note."""
    found = Mailing(sent=1000, opened=405, machine=105, clicked=60)
    assert "30 % (105 that machines alone opened are not counted)" == str(found.open_rate)
    assert found.open_rate == open_rate(1000, 405, 105)
    assert "40.5 %" == str(found.open_rate_with_machines)
    assert ("6 %", "20 %") == (str(found.click_rate), str(found.click_to_open_rate))
    assert "300 of 1,000 opened by people (30 %), 105 by machines alone; 60 clicked (6 %)" == str(found)
    assert "nothing sent" == str(Mailing(0, 0))
    assert "machines" not in str(Mailing(10, 5))
    assert Mailing(10, 0).click_to_open_rate is None


MESSAGES = st.lists(
    st.builds(Message, st.sampled_from("abcdef"), st.sampled_from(["sent", "opened", "clicked"]), st.booleans()),
    max_size=20,
)


@given(MESSAGES, st.randoms())
def test_each_message_counts_once(rows: list[Message], random: Any) -> None:
    """However often it is opened, in any order: by people if by any, else by machines; clicks of machines are none."""
    found = mailing(rows)
    people = {row.message for row in rows if not row.machine and row.event != "sent"}
    machines = {row.message for row in rows if row.machine and row.event != "sent"}

    assert len({row.message for row in rows}) == found.sent
    assert (len(people), len(machines - people)) == (found.by_people, found.machine)
    assert len({row.message for row in rows if row.event == "clicked" and not row.machine}) == found.clicked
    told = rows * 2
    random.shuffle(told)
    assert found == mailing(told)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: funnel({}), "counts"),
        (lambda: funnel({"visited": 3}), "counts"),
        (lambda: funnel("visited"), "counts"),  # type: ignore[arg-type]
        (lambda: funnel(3), "counts"),  # type: ignore[arg-type]
        (lambda: funnel([("visited", 3), ("visited", 3)]), "counts[1]"),
        (lambda: funnel([("visited", 3, 1), ("paid", 3)]), "counts[0]"),  # type: ignore[list-item]
        (lambda: funnel([("visited",), ("paid", 3)]), "counts[0]"),  # type: ignore[list-item]
        (lambda: funnel({"visited": 3, "paid": -1}), "counts[1]"),
        (lambda: funnel({"visited": True, "paid": 0}), "counts[0]"),
        (lambda: funnel({"visited": 3.0, "paid": 0}), "counts[0]"),  # type: ignore[dict-item]
        (lambda: funnel({"": 3, "paid": 0}), "counts[0]"),
        (lambda: reached([("v", "left")], STEPS), "events[0]"),
        (lambda: reached([("v",)], STEPS), "events[0]"),
        (lambda: reached(["v"], STEPS), "events[0]"),
        (lambda: reached([(7, "paid")], STEPS), "events[0]"),  # type: ignore[list-item]
        (lambda: reached({"v": "paid"}, STEPS), "events"),
        (lambda: reached([], "paid"), "steps"),
        (lambda: reached([], ["paid"]), "steps"),
        (lambda: reached([], ["paid", "paid"]), "steps"),
        (lambda: reached([], {"cart", "paid"}), "steps"),  # type: ignore[arg-type]
        (lambda: abandonment_rate(10, 11), "completed"),
        (lambda: abandonment_rate(-1, 0), "started"),
        (lambda: abandonment_rate(10, True), "completed"),
        (lambda: Carts(1, 2), "carts.completed"),
        (lambda: Carts(1, 1, ""), "carts.channel"),
        (lambda: abandonment("carts"), "carts"),
        (lambda: abandonment([("1", True, "web", "slow", "ann")]), "carts[0]"),
        (lambda: abandonment([()]), "carts[0]"),
        (lambda: abandonment([("1",), (2,)]), "carts[1].cart"),
        (lambda: abandonment([("1", 1)]), "carts[0].completed"),
        (lambda: abandonment([("1", False, 7)]), "carts[0].channel"),
        (lambda: abandonment([("1", False, None, 7)]), "carts[0].reason"),
        (lambda: ranking("slow"), "counts"),
        (lambda: ranking(3), "counts"),  # type: ignore[arg-type]
        (lambda: ranking([3]), "counts[0]"),  # type: ignore[list-item]
        (lambda: ranking({"slow": -1}), "counts[slow]"),
        (lambda: ranking({"slow": True}), "counts[slow]"),
        (lambda: ranking({"slow": 5}, of=4), "counts[slow]"),
        (lambda: ranking({"slow": 5}, of=True), "of"),
        (lambda: open_rate(10, 11), "opened"),
        (lambda: open_rate(-1, 0), "sent"),
        (lambda: open_rate(10, True), "opened"),
        (lambda: open_rate(10, 5, 6), "machine"),
        (lambda: open_rate(10, 5, machine=-1), "machine"),
        (lambda: click_rate(10, 11), "clicked"),
        (lambda: Mailing(10, 11), "mailing.opened"),
        (lambda: Mailing(10, 5, 6), "mailing.machine"),
        (lambda: Mailing(10, 5, 2, 4), "mailing.clicked"),
        (lambda: attrs.evolve(Mailing(10, 5), sent=4), "mailing.opened"),
        (lambda: mailing([("m", "bounced")]), "messages[0].event"),
        (lambda: mailing([("m", "opened", "proxy")]), "messages[0].machine"),
        (lambda: mailing([(7, "sent")]), "messages[0].message"),
        (lambda: mailing([("m", "sent", False, 1)]), "messages[0]"),
        (lambda: mailing(7), "messages"),  # type: ignore[arg-type]
    ],
)
def test_refuses(wrong: Any, field: str) -> None:
    """What cannot be is refused, and the error names the field."""
    with pytest.raises(InputError) as caught:
        wrong()
    assert field == caught.value.field
