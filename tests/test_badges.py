"""Stamp cards and badges: what fills a card, what earns a badge, and what a refund does to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit import wire
from loyaltykit.badges import Badge, StampCard, Stamped, earned_badges, first_held, stamped, stamps
from loyaltykit.calendar import days, hours
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Line, Member, Order, Refund, Reversal
from loyaltykit.grants import Decision, free_shipping, perk
from loyaltykit.history import History, Movement
from loyaltykit.matching import category, channel, code, order_total, sku, tier
from loyaltykit.measures import activities, days_since_first, days_since_last, earned, orders, products, spend
from loyaltykit.windows import calendar_month

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
END = AT + timedelta(60)
TICK = timedelta(microseconds=1)
COFFEE = perk("a free coffee")


def day(number: int) -> datetime:
    """Return the instant that many days after the first."""
    return AT + timedelta(number)


def order(number: int, at: datetime | None = None, **others: Any) -> Order:
    """Return an order of 10.00, on the day of its number."""
    return Order(str(number), "ann", at or day(number), **(others or {"amount": "10.00"}))


def refund(number: int, at: datetime, lines: dict[str, Any] | None = None) -> Refund:
    """Return the refund of an order, in whole or in part."""
    return Refund(f"r{number}", "ann", str(number), at, lines)


@st.composite
def courses(draw: st.DrawFn, refunds: bool = True) -> list[Fact]:
    """Some orders of a coffee or two, of which some come back, and some of these not after all; and some reviews."""
    found: list[Fact] = []
    for number in range(draw(st.integers(0, 9))):
        at = day(draw(st.integers(0, 12)))
        line = Line("coffee", draw(st.integers(1, 4)), unit_price="5.00", categories="coffee")
        found.append(order(number, at, lines=[line, Line("tea", total="2.00")] if draw(st.booleans()) else [line]))
        if refunds and draw(st.booleans()):
            back = at + timedelta(draw(st.integers(0, 9)))
            some = draw(st.none() | st.integers(1, int(line.quantity)))
            found.append(refund(number, back, None if some is None else {"coffee": some}))
            if draw(st.booleans()):
                again = back + timedelta(draw(st.integers(0, 3)))
                found.append(Reversal(f"v{number}", "ann", str(number), f"r{number}", again))
    for number in range(draw(st.integers(0, 2))):
        found.append(Activity(f"a{number}", "ann", "review", day(draw(st.integers(0, 12)))))
    return found


CARDS = st.builds(
    StampCard,
    st.just("coffee card"),
    st.integers(1, 5),
    st.just(COFFEE),
    per=st.sampled_from(["order", "item", "product"]),
    where=st.sampled_from([None, category("coffee"), sku("tea"), order_total("10")]),
    after_refund=st.sampled_from(["keep", "revoke"]),
)
INSTANTS = st.integers(0, 30 * 24).map(lambda number: AT + timedelta(hours=number))


# ---------------------------------------------------------------- stamps


@given(st.integers(0, 10**6), st.integers(1, 100))
def test_full_cards_and_stamps_left(number: int, size: int) -> None:
    """The stamps on full cards and those left are all the stamps, and those left do not fill a card."""
    full, left = stamps(number, size)
    assert number == full * size + left
    assert 0 <= left < size


def test_five_stamps_fill_a_card() -> None:
    """Four stamps of five fill nothing; the fifth fills the card."""
    assert (0, 4) == stamps(4, size=5)
    assert (1, 0) == stamps(5, size=5)
    assert (2, 1) == stamps(11, size=5)


@given(courses(), CARDS, INSTANTS)
def test_a_card_counts_what_remains(facts: list[Fact], card: StampCard, at: datetime) -> None:
    """Full cards, stamps left and decisions agree with the stamps that count, at every instant."""
    history = History(facts, member="ann")
    found = stamped(card, history, at)
    assert 0 <= found.left < card.size
    assert found.stamps + found.missing == (found.full + 1) * card.size
    live = [each for each in found.decisions if each.is_due(at)]
    assert [f"card:coffee card:ann:{number}" for number in range(1, found.full + 1)] == [each.key for each in live]
    if card.after_refund == "revoke":
        assert stamps(found.stamps, card.size) == (found.full, found.left)
    else:
        assert live == [*found.decisions]
        moments = {fact.at for fact in facts if fact.at <= at}
        most = max((stamped(card, history, each).stamps for each in moments), default=0)
        assert most // card.size == found.full
        assert max(0, found.stamps - found.full * card.size) == found.left


@given(courses(), CARDS, INSTANTS, st.randoms())
def test_the_same_order_stamps_once(facts: list[Fact], card: StampCard, at: datetime, random: Any) -> None:
    """Facts in another order, some of them twice, stamp alike."""
    others = facts + facts[:5]
    random.shuffle(others)
    assert stamped(card, History(facts, member="ann"), at) == stamped(card, History(others, member="ann"), at)


@given(courses(), CARDS, INSTANTS, st.integers(0, 99))
def test_what_was_filled_stays_as_it_was(facts: list[Fact], card: StampCard, at: datetime, later: int) -> None:
    """Asked again later, a card was filled when it was filled, unless a refund took it back meanwhile."""
    history = History(facts, member="ann")
    before = {each.key: each for each in stamped(card, history, at).decisions}
    after = {each.key: each for each in stamped(card, history, at + timedelta(hours=later)).decisions}
    assert set(before) <= set(after)
    for key, decision in before.items():
        if card.after_refund == "keep":
            assert decision == after[key]
        assert after[key].ends is None or after[key].due <= after[key].ends


@given(courses(), CARDS)
def test_a_card_is_filled_at_its_instant(facts: list[Fact], card: StampCard) -> None:
    """From the instant at which a card is filled it is full, and just before it is not."""
    history = History(facts, member="ann")
    for number, decision in enumerate(stamped(card, history, END).decisions, 1):
        assert stamped(card, history, decision.due).full >= number
        assert stamped(card, history, decision.due - TICK).full < number
        if decision.ends is not None:
            assert stamped(card, history, decision.ends - TICK).full >= number
            assert stamped(card, history, decision.ends).full < number


def test_one_import_fills_two_cards() -> None:
    """Eleven orders imported at once fill two cards, each when its fifth stamp was bought, and one stamp is left."""
    history = History([order(number) for number in range(1, 12)])
    found = stamped(StampCard("card", 5, COFFEE), history, END)
    assert (11, 2, 1, 4) == (found.stamps, found.full, found.left, found.missing)
    assert [day(5), day(10)] == [each.due for each in found.decisions]
    assert [("card:card:ann:1", COFFEE), ("card:card:ann:2", COFFEE)] == [
        (each.key, each.benefit) for each in found.decisions
    ]
    assert "card: 2 full, 1 of 5 stamps on the next" == str(found)
    once = History([order(1, lines=[Line("coffee", 11, unit_price="3.50")])])
    found = stamped(StampCard("card", 5, COFFEE, per="item"), once, END)
    assert [day(1), day(1)] == [each.due for each in found.decisions]


def test_orders_items_or_products() -> None:
    """An order is one stamp, its three coffees are three, its two different products two."""
    lines = [
        Line("espresso", 2, unit_price="3.50", categories="coffee"),
        Line("latte", 1, unit_price="4.50", categories="coffee"),
        Line("mug", 1, unit_price="9.00"),
        Line("gift", 5, total="5.00", donation=True),
    ]
    history = History([order(1, lines=lines, codes="SPRING", channel="web"), order(2)])

    def count(**named: Any) -> int:
        return stamped(StampCard("card", 9, COFFEE, **named), history, END).stamps

    assert [2, 5, 4] == [count(per=each) for each in ("order", "item", "product")]
    coffee = category("coffee")
    assert [1, 3, 2] == [count(per=each, where=coffee) for each in ("order", "item", "product")]
    assert [1, 4, 0] == [count(per="item", where=each) for each in (sku("mug"), channel("web"), code("none"))]
    assert [2, 1, 0] == [count(where=order_total(each)) for each in ("10.00", "20.50", "20.51")]


def test_what_is_weighed_is_one_item() -> None:
    """350 grams of cheese are one item, 2.5 kilograms too, and so is what is left of them."""
    lines = [Line("cheese", "0.350", total="7.00"), Line("ham", "2.5", total="30.00"), Line("misc", 0, total="1.00")]
    history = History([order(1, lines=lines), refund(1, day(2), {"ham": "0.5"}), refund(2, day(2))])
    card = StampCard("card", 5, COFFEE, per="item")
    assert [3, 3] == [stamped(card, history, day(each)).stamps for each in (1, 2)]
    gone = History([history.facts[0], refund(1, day(3), {"ham": "2.5"})])
    assert [3, 2] == [stamped(card, gone, day(each)).stamps for each in (1, 3)]


def test_drafts_and_cancelled_orders_do_not_stamp() -> None:
    """A draft is no order yet; of a cancelled one nothing remains, from when it was cancelled on."""
    history = History(
        [
            order(1, amount="10.00", state="draft"),
            order(2),
            order(2, amount="10.00", state="cancelled", revision=2, revised_at=day(4)),
            Order("3", "ann", day(3)),
            Order("4", "ann", day(3), state="cancelled"),
        ]
    )
    card = StampCard("card", 5, COFFEE)
    assert [1, 2, 1] == [stamped(card, history, day(each)).stamps for each in (2, 3, 4)]
    assert 0 == stamped(attrs.evolve(card, where=sku("mug")), history, END).stamps


def test_keep_or_revoke() -> None:
    """After a refund a full card is kept, and its stamp bought again before the next fills; or it is taken back."""
    facts: list[Fact] = [*[order(number) for number in range(1, 6)], refund(5, day(6)), order(7), order(8)]
    history = History(facts)
    keep, revoke = (StampCard("card", 5, COFFEE, after_refund=each) for each in ("keep", "revoke"))  # type: ignore[arg-type]
    assert [(1, 0, 6), (1, 0, 5), (1, 1, 4)] == [
        ((found := stamped(keep, history, day(each))).full, found.left, found.missing) for each in (6, 7, 8)
    ]
    assert [(1, 0), (0, 4), (1, 0), (1, 1)] == [
        ((found := stamped(revoke, history, day(each))).full, found.left) for each in (5, 6, 7, 8)
    ]
    assert [(day(5), None)] == [(each.due, each.ends) for each in stamped(keep, history, END).decisions]
    assert [(day(5), day(6))] == [(each.due, each.ends) for each in stamped(revoke, history, day(6)).decisions]
    assert [(day(7), None)] == [(each.due, each.ends) for each in stamped(revoke, history, day(7)).decisions]


def test_a_card_says_itself() -> None:
    """A card is said in one phrase."""
    assert "card: free shipping for every order" == str(StampCard("card", 1, free_shipping()))
    assert "card: a free coffee for every 10 different products on tea" == str(
        StampCard("card", 10, COFFEE, per="product", where=category("tea"))
    )


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("stamp_card.name", lambda: StampCard("a:b", 5, COFFEE)),
        ("stamp_card.size", lambda: StampCard("a", 0, COFFEE)),
        ("stamp_card.size", lambda: StampCard("a", "5", COFFEE)),
        ("stamp_card.benefit", lambda: StampCard("a", 5, "coffee")),
        ("stamp_card.per", lambda: StampCard("a", 5, COFFEE, per="day")),  # type: ignore[arg-type]
        ("stamp_card.where", lambda: StampCard("a", 5, COFFEE, where="coffee")),
        ("stamp_card.where", lambda: StampCard("a", 5, COFFEE, where=~tier("Gold"))),
        ("stamp_card.after_refund", lambda: StampCard("a", 5, COFFEE, after_refund="ask")),  # type: ignore[arg-type]
        ("number", lambda: stamps(-1, 5)),
        ("size", lambda: stamps(1, 0)),
        ("at", lambda: stamped(StampCard("a", 5, COFFEE), History(), datetime(2026, 3, 2))),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(field: str, make: Any) -> None:
    """What no card can be is refused, by the name of the field."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


@given(courses(), CARDS)
def test_cards_are_plain_data(facts: list[Fact], card: StampCard) -> None:
    """A card and its state are written as JSON and read back equal."""
    assert card == wire.loads(StampCard, wire.dumps(card))
    found = stamped(card, History(facts, member="ann"), END)
    assert found == wire.loads(Stamped, wire.dumps(found))


# ---------------------------------------------------------------- badges

LEAVES: list[Condition] = [
    orders() >= 3,
    orders(days(4)) >= 2,
    orders(calendar_month()) >= 3,
    spend() >= "30.00",
    spend(hours(50)) > "20.00",
    products() >= 2,
    orders(where=category("tea")) >= 1,
    activities("review") >= 1,
    days_since_first() >= 5,
    days_since_last() > 3,
    days_since_last() >= 0,
    days_since_first(days(6)) >= 4,
    days_since_last().equals(2),
    orders() >= 99,
]
LEAF = st.sampled_from(LEAVES)
CONDITIONS = st.one_of(
    LEAF,
    st.builds(lambda part: ~part, LEAF),
    st.builds(lambda one, other: one & other, LEAF, LEAF),
    st.builds(lambda one, other: one | ~other, LEAF, LEAF),
    st.builds(lambda one, other: one & ~other, LEAF, LEAF),
)


def edges(facts: Sequence[Fact]) -> list[datetime]:
    """Return instants at and about which answers may change, and some at which they do not."""
    found = {fact.at + timedelta(hours=each) for fact in facts for each in (0, 1, 50)}
    found |= {datetime(2026, 3, 1, tzinfo=UTC) + timedelta(number) for number in range(40)}
    found |= {fact.at + timedelta(number) for fact in facts for number in (4, 6)}
    return sorted(each + ticks * TICK for each in found for ticks in (-1, 0, 1))


@given(courses(), CONDITIONS)
def test_first_held_is_the_first_instant(facts: list[Fact], condition: Condition) -> None:
    """A condition holds when it first held, and at no instant before it since the first fact."""
    history = History(facts, member="ann")
    first = first_held(condition, history, END)
    begun = min((fact.at for fact in facts), default=END + TICK)
    for moment in edges(facts):
        if begun <= moment <= END and (first is None or moment < first):
            assert not condition.matches(history, moment), moment
    if first is not None:
        assert first >= begun
        assert condition.matches(history, first)
        assert first == first_held(condition, history, first)
        assert first_held(condition, history, first - TICK) is None


@given(courses(), CONDITIONS, INSTANTS, INSTANTS)
def test_a_badge_is_awarded_once(facts: list[Fact], condition: Condition, one: datetime, other: datetime) -> None:
    """A badge that is kept has been earned at the same instant whenever one asks, and its condition held then."""
    history, badge = History(facts, member="ann"), Badge("b", condition)
    early, late = (earned_badges(badge, history, at) for at in sorted((one, other)))
    assert early == late[: len(early)]
    assert [first_held(condition, history, max(one, other))] == ([each.due for each in late] or [None])
    assert () == earned_badges(badge, history, one, have=["b"])


def remaining(fact: Fact, facts: Sequence[Fact], at: datetime) -> Fact:
    """Return what is known at an instant to remain of an order, as if nothing else had been bought."""
    if not isinstance(fact, Order):
        return fact if isinstance(fact, Activity) else attrs.evolve(NOTHING, id=fact.id, at=fact.at)
    gone = attrs.evolve(NOTHING, id=fact.id, at=fact.at)
    stood = {each.refund for each in facts if isinstance(each, Reversal) and each.at <= at}
    for each in facts:
        if isinstance(each, Refund) and each.order == fact.id and each.at <= at and each.id not in stood:
            back = {line.sku: line.quantity for line in fact.lines} if each.lines is None else dict(each.lines)
            left = [attrs.evolve(line, quantity=line.quantity - back.get(line.sku, 0)) for line in fact.lines]
            kept = [line for line in left if line.quantity]
            return attrs.evolve(fact, lines=kept) if kept else gone
    return fact


NOTHING = Activity("0", "ann", "nothing", AT)


@given(courses(), CONDITIONS, INSTANTS)
def test_a_badge_is_held_only_if_it_was_earned_with_what_remains(
    facts: list[Fact], condition: Condition, at: datetime
) -> None:
    """With revoke, a badge is held exactly if the condition would have held once, had all been known at once."""
    history = History(facts, member="ann")
    found = earned_badges(Badge("b", condition, after_refund="revoke"), history, at)
    told = [remaining(fact, facts, at) for fact in facts]
    deserved = first_held(condition, History(told, member="ann"), at)
    assert bool(earned_badges(Badge("b", condition), history, at)) == bool(found)
    if found:
        assert (deserved is not None) == found[0].is_due(at)


@given(courses(refunds=False), CONDITIONS)
def test_without_refunds_the_policies_agree(facts: list[Fact], condition: Condition) -> None:
    """Time alone takes no badge away."""
    history = History(facts, member="ann")
    keep, revoke = (
        earned_badges(Badge("b", condition, after_refund=each), history, END) for each in ("keep", "revoke")
    )  # type: ignore[arg-type]
    assert keep == revoke


def test_five_orders_and_a_review() -> None:
    """Five orders earn the one badge and not the other; a badge that the member has is not awarded again."""
    rules = [Badge("five orders", orders() >= 5, COFFEE), Badge("reviewer", activities("review") >= 1)]
    history = History([order(number) for number in range(1, 6)])
    (found,) = earned_badges(rules, history, END)
    assert ("badge_earned", "badge:five orders:ann", day(5), None, COFFEE) == (
        found.kind, found.key, found.due, found.ends, found.benefit,
    )  # fmt: skip
    assert ("placed at least 5 orders", {"badge": "five orders"}) == (found.reason, dict(found.data))
    assert () == earned_badges(rules, history, day(5) - TICK)
    more = History([*history.facts, order(6), Activity("a", "ann", "review", day(3))])
    assert () == earned_badges(rules, history, END, have={"five orders"})
    assert ["badge:reviewer:ann", "badge:five orders:ann"] == [each.key for each in earned_badges(rules, more, END)]
    assert ["badge:reviewer:ann"] == [each.key for each in earned_badges(rules, more, END, have="five orders")]


def test_a_badge_comes_with_time() -> None:
    """A badge for a year of custom is earned on the day, though nothing happens on it; a quiet week earns one too."""
    history = History([order(1), order(9)], zone="America/New_York")
    year = Badge("one year", days_since_first() >= 365)
    (found,) = earned_badges(year, history, day(400))
    assert datetime(2027, 3, 3, 5, tzinfo=UTC) == found.due
    longer = Badge("more than a year", days_since_first() > 365)
    assert [datetime(2027, 3, 4, 5, tzinfo=UTC)] == [each.due for each in earned_badges(longer, history, day(400))]
    fresh = Badge("fresh", ~(days_since_first() >= 0))
    assert () == earned_badges(fresh, history, END)
    quiet = Badge("quiet", ~(orders(days(5)) >= 1))
    (found,) = earned_badges(quiet, history, END)
    due = day(6) - timedelta(hours=1)  # the clocks went forward that day
    assert due == found.due
    assert () == earned_badges(quiet, history, due - TICK)


def test_a_refund_keeps_or_revokes() -> None:
    """After a refund a badge is kept; or it is taken back until it is reached again, or the refund did not stand."""
    facts: list[Fact] = [*[order(number) for number in range(1, 4)], refund(3, day(5))]
    three = orders() >= 3
    keep, revoke = Badge("b", three), Badge("b", three, after_refund="revoke")

    def told(badge: Badge, *more: Fact, at: datetime = END) -> list[tuple[datetime, datetime | None]]:
        return [(each.due, each.ends) for each in earned_badges(badge, History([*facts, *more]), at)]

    assert [(day(3), None)] == told(keep)
    assert [(day(3), None)] == told(revoke, at=day(5) - TICK)
    assert [(day(3), day(5))] == told(revoke, at=day(5))
    assert [(day(8), None)] == told(revoke, order(8))
    assert [(day(3), day(5))] == told(revoke, order(8), at=day(8) - TICK)
    assert [(day(7), None)] == told(revoke, Reversal("v", "ann", "3", "r3", day(7)))
    assert [(day(8), day(9))] == told(revoke, order(8), refund(8, day(9)))
    assert [(day(8), None)] == told(revoke, order(8), order(7, day(9)), refund(1, day(9)), at=END)
    assert [] == [each for each in earned_badges(revoke, History(facts), END, have=["b"]) if each.ends is None]
    assert [day(5)] == [each.ends for each in earned_badges(revoke, History(facts), END, have=["b"])]


def test_time_does_not_revoke_what_a_refund_left_alone() -> None:
    """Two orders within four days earn a badge; a refund of another order weeks later leaves it."""
    busy = Badge("busy", orders(days(4)) >= 2, after_refund="revoke")
    history = History([order(1), order(2), order(20), refund(20, day(22))])
    assert [(day(2), None)] == [(each.due, each.ends) for each in earned_badges(busy, history, END)]
    back = History([*history.facts, refund(1, day(30))])
    assert [(day(2), day(30))] == [(each.due, each.ends) for each in earned_badges(busy, back, END)]
    after_all = History([*back.facts, Reversal("v", "ann", "1", "r1", day(35))])
    assert [(day(35), None)] == [(each.due, each.ends) for each in earned_badges(busy, after_all, END)]


def test_a_product_that_came_back() -> None:
    """A badge for two different products goes, with revoke, when one of them comes back, and not with some of one."""
    bought = order(1, lines=[Line("tea", 2, unit_price="4.00"), Line("mug", total="9.00")])
    badge = Badge("curious", products() >= 2, after_refund="revoke")
    history = History([bought, refund(1, day(2), {"tea": 1}), Refund("x", "ann", "1", day(4), {"tea": 1})])
    assert [None] == [each.ends for each in earned_badges(badge, history, day(4) - TICK)]
    assert [(day(1), day(4))] == [(each.due, each.ends) for each in earned_badges(badge, history, END)]


def test_points_that_are_taken_back() -> None:
    """A badge for points earned goes, with revoke, when they are taken back; points that come later count later."""
    us = [int(day(each).timestamp()) * 10**6 for each in range(9)]
    moves = [Movement(us[1], us[1], "points", "earn", 60), Movement(us[3], us[2], "points", "earn", 50)]
    badge = Badge("b", earned() >= 100, after_refund="revoke")
    joined = Member("ann", day(0))
    history = History([joined], movements=moves)
    assert [(day(3), None)] == [(each.due, each.ends) for each in earned_badges(badge, history, END)]
    back = History([joined], movements=[*moves, Movement(us[1], us[5], "points", "earn", -20)])
    assert [(day(3), day(5))] == [(each.due, each.ends) for each in earned_badges(badge, back, END)]


def test_nobody_earns_nothing() -> None:
    """A history without facts has earned no badge and has no stamps, whatever is asked."""
    assert () == earned_badges(Badge("new", ~(orders() >= 1)), History(), END)
    assert first_held(~(orders() >= 1), History(), END) is None
    found = stamped(StampCard("card", 5, COFFEE), History(), END)
    assert (0, 0, 0, 5, ()) == (found.stamps, found.full, found.left, found.missing, found.decisions)


def test_a_badge_says_itself() -> None:
    """A badge is said in one phrase."""
    assert "five orders: placed at least 5 orders" == str(Badge("five orders", orders() >= 5))
    assert "regular, with a free coffee: placed at least 5 orders" == str(Badge("regular", orders() >= 5, COFFEE))


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("badge.name", lambda: Badge("a:b", orders() >= 5)),
        ("badge.condition", lambda: Badge("a", orders())),
        ("badge.benefit", lambda: Badge("a", orders() >= 5, "coffee")),
        ("badge.after_refund", lambda: Badge("a", orders() >= 5, after_refund="ask")),  # type: ignore[arg-type]
        ("badges", lambda: earned_badges([Badge("a", orders() >= 5), Badge("a", orders() >= 9)], History(), END)),
        ("badges[0]", lambda: earned_badges(["a"], History(), END)),  # type: ignore[list-item]
        ("have", lambda: earned_badges([], History(), END, have=5)),  # type: ignore[arg-type]
        ("at", lambda: earned_badges([], History(), datetime(2026, 3, 2))),
    ],
)
def test_a_badge_that_makes_no_sense_is_refused(field: str, make: Any) -> None:
    """What no badge can be is refused, by the name of the field."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


@given(CONDITIONS, st.none() | st.just(COFFEE), st.sampled_from(["keep", "revoke"]))
def test_badges_are_plain_data(condition: Condition, benefit: Any, policy: Any) -> None:
    """A badge, with its condition, is written as JSON and read back equal; so is its award."""
    badge = Badge("b", condition, benefit, after_refund=policy)
    assert badge == wire.loads(Badge, wire.dumps(badge))
    for each in earned_badges(badge, History([order(1), order(2), order(3)]), END):
        assert each == wire.loads(Decision, wire.dumps(each))
