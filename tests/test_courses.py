"""The course of an order: which revision held and which refunds stood, from one event to the next."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import attrs
import pytest
from histories import TICK, bought, known_from, stories, utc
from hypothesis import given, settings, strategies as st

from loyaltykit.amounts import total
from loyaltykit.calendar import from_us
from loyaltykit.commands import Terms
from loyaltykit.courses import Stage, course
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.facts import Line, Order, Refund, Reversal
from loyaltykit.program import Program
from loyaltykit.refunds import Remains, Split, remains, returned
from loyaltykit.rules import per_amount
from loyaltykit.stories import Known, order_story

Told = list[Order | Refund | Reversal]
SPLITS: st.SearchStrategy[Split] = st.sampled_from(["net_allocated", "gross_line_first"])


@st.composite
def told(draw: st.DrawFn) -> Told:
    """Draw what happened to one order, in any order, much of it at one instant."""
    found: Told = draw(stories("o1"))
    moments = [known_from(fact) for fact in found]
    moved: Told = []
    for fact in found:
        at = draw(st.sampled_from([known_from(fact), *moments]))
        if isinstance(fact, Order):
            revised = fact.revised_at is not None and at >= fact.at
            moved.append(attrs.evolve(fact, revised_at=at) if revised else fact)
        else:
            moved.append(attrs.evolve(fact, at=at))
    return draw(st.permutations(moved))


def at_once(stages: list[Stage]) -> dict[datetime, tuple[Order, Remains]]:
    """Return what held at the end of each instant."""
    return {from_us(stage.known): (stage.order, stage.rest) for stage in stages}


def naive(facts: Told, at: datetime, split: Split) -> tuple[Order, Remains] | None:
    """Return what is left by what is known at an instant, one event after the other."""
    known = [fact for fact in facts if known_from(fact) <= at]
    versions = [fact for fact in known if isinstance(fact, Order)]
    if not versions:
        return None
    ranks = {Order: 0, Refund: 1, Reversal: 2}
    known.sort(key=lambda fact: (known_from(fact), ranks[type(fact)], getattr(fact, "revision", 0), fact.id))
    order: Order | None = None
    standing: list[Refund] = []
    for fact in known:
        match fact:
            case Order() if order is None or fact.revision > order.revision:
                order, again = fact, standing
                standing = []
                for each in again:
                    standing += [each] if fits(order, [*standing, each], split) else []
            case Refund() if order is None or fits(order, [*standing, fact], split):
                standing.append(fact if order is None else narrowed(order, standing, fact, split))
            case Reversal():
                standing = [each for each in standing if each.id != fact.refund]
    assert order is not None
    return order, remains(order, standing, "USD", split)


def fits(order: Order, refunds: list[Refund], split: Split) -> bool:
    """Say whether refunds can be true beside each other."""
    try:
        remains(order, refunds, "USD", split)
    except InputError:
        return False
    return True


def narrowed(order: Order, others: list[Refund], refund: Refund, split: Split) -> Refund:
    """Return a refund of everything that is left as one of just that."""
    if not others or refund.lines or refund.amount:
        return refund
    goods = {line.name for line in order.lines if not line.donation}
    rest = remains(order, others, "USD", split).lines
    lines = {each.line: each.quantity for each in rest if each.line in goods and not each.gone}
    narrow = attrs.evolve(refund, lines=lines) if lines else refund
    return narrow if fits(order, [*others, narrow], split) else refund


class TestProperties:
    @given(told(), SPLITS)
    @settings(max_examples=300)
    def test_what_is_left_is_what_is_left_after_the_refunds_that_stand(self, facts: Told, split: Split) -> None:
        """At each instant, of the highest revision known, there is left what the refunds that can be true leave."""
        stages = at_once(course(facts, "USD", split))
        for at in sorted({known_from(fact) for fact in facts}):
            before = [each for when, each in stages.items() if when <= at]
            assert naive(facts, at, split) == (before[-1] if before else None)

    @given(told(), SPLITS)
    @settings(max_examples=300)
    def test_the_books_tell_the_same(self, facts: Told, split: Split) -> None:
        """The ledger's story of an order gives back what the course of the order says is gone."""
        program = Program("p", "USD", "UTC", earning=[per_amount(1, each="1.00")], refund_split=split)
        known = Known(program, None, {})
        for at, (order, rest) in at_once(course(facts, "USD", split)).items():
            story = order_story([fact for fact in facts if known_from(fact) <= at], known, lambda unit: Terms())
            gone = returned(order, [], "USD", split) if story.returned is None else story.returned
            assert story.award_of == order
            paid = remains(attrs.evolve(order, state="paid"), [], "USD", split).total
            assert rest.total == paid - total(tender.amount for tender in gone.tenders)

    @given(told(), SPLITS, st.randoms())
    def test_in_any_order(self, facts: Told, split: Split, random: Any) -> None:
        """The order in which one hears of it, and how often, changes nothing."""
        again = [*facts, *facts]
        random.shuffle(again)
        assert at_once(course(facts, "USD", split)) == at_once(course(again, "USD", split))

    @given(told(), SPLITS)
    def test_nothing_later_counts(self, facts: Told, split: Split) -> None:
        """What was known at an instant is the beginning of what is known later."""
        whole = course(facts, "USD", split)
        for at in {known_from(fact) for fact in facts}:
            early = course([fact for fact in facts if known_from(fact) <= at], "USD", split)
            assert early == [stage for stage in whole if from_us(stage.known) <= at]


AT = utc(2026, 3, 2)
ORDER = Order("1", "ann", AT, [Line("mug", 2, total=20), Line("cup", total=30)])


def refund(name: str, days: int = 1, **what: Any) -> Refund:
    """Return a refund of the order, so many days after it."""
    return Refund(name, "ann", "1", AT + timedelta(days), **what)


def goods(*facts: Order | Refund | Reversal) -> list[str]:
    """Return what is left of the goods at each stage."""
    return [str(stage.rest.goods) for stage in course(facts, "USD")]


class TestByHand:
    def test_unknown(self) -> None:
        """Of an order that is not known there is nothing to tell."""
        assert [] == course([refund("r")], "USD")
        assert [] == course([], "USD")

    def test_refund_and_reversal(self) -> None:
        """A refund takes away from its instant on, a reversal gives it back."""
        facts = [ORDER, refund("r", lines={"mug": 1}), Reversal("v", "ann", "1", "r", AT + timedelta(5))]
        assert ["50.00", "40.00", "50.00"] == goods(*facts)
        assert [0, 1, 5] == [(from_us(stage.known) - AT).days for stage in course(facts, "USD")]

    def test_what_cannot_be_true(self) -> None:
        """A refund of more than there is is left out; the next one that fits is not."""
        facts = [ORDER, refund("a", amount=60), refund("b", 2, lines={"pot": 1}), refund("c", 3, amount=50)]
        assert ["50.00", "50.00", "50.00", "0.00"] == goods(*facts)

    def test_a_refund_before_its_order(self) -> None:
        """A refund that is dated before its order waits for it."""
        assert ["30.00"] == goods(refund("r", -1, lines={"mug": 2}), ORDER)
        assert ["50.00"] == goods(refund("r", -1, amount=60), ORDER)

    def test_waiting_for_its_order_it_takes_everything(self) -> None:
        """A refund of everything that waited is one of the whole order, even if another one is reversed."""
        early = [refund("a", -2, lines={"mug": 1}), refund("b", -1)]
        assert ["0.00", "0.00"] == goods(*early, ORDER, Reversal("v", "ann", "1", "a", AT + timedelta(1)))

    def test_a_refund_of_everything_takes_what_is_left(self) -> None:
        """When an earlier refund is reversed, that much is kept after all."""
        later = [refund("a", lines={"mug": 1}), refund("b", 2), Reversal("v", "ann", "1", "a", AT + timedelta(3))]
        assert ["50.00", "40.00", "0.00", "10.00"] == goods(ORDER, *later)

    def test_a_refund_of_everything_with_lines_of_quantity_0(self) -> None:
        """Lines of one sku that were sold with quantity 0 come back together, and do not stand in the way."""
        order = attrs.evolve(ORDER, lines=[Line("tip", 0, total=5), Line("tip", 0, total=5), Line("mug", total=9)])
        assert ["19.00", "10.00", "0.00"] == goods(order, refund("a", lines={"mug": 1}), refund("b", 2))

    def test_revisions(self) -> None:
        """The highest revision holds; refunds that it leaves no room for are left out from then on."""
        less = attrs.evolve(ORDER, lines=[Line("mug", total=10)], revision=2, revised_at=AT + timedelta(2))
        late = attrs.evolve(ORDER, revision=1)
        assert ["50.00", "20.00", "10.00"] == goods(less, refund("r", amount=30), late)
        third = attrs.evolve(less, lines=ORDER.lines, revision=3, revised_at=AT + timedelta(1))
        assert ["50.00", "50.00"] == goods(ORDER, third, less)

    def test_at_one_instant(self) -> None:
        """At one instant a refund is of the revision of that instant, and its reversal comes after it."""
        more = attrs.evolve(ORDER, lines=[Line("pot", total=80)], revision=2, revised_at=AT + timedelta(1))
        assert ["50.00", "80.00", "0.00"] == goods(refund("r", lines={"pot": 1}), ORDER, more)
        assert ["50.00", "0.00", "50.00"] == goods(
            Reversal("a", "ann", "1", "r", AT + timedelta(1)), refund("r"), ORDER
        )

    def test_a_reversal_of_nothing(self) -> None:
        """What did not stand cannot be reversed, and a refund after its reversal stands."""
        assert ["50.00", "50.00", "0.00"] == goods(ORDER, Reversal("v", "ann", "1", "r", AT + TICK), refund("r"))

    def test_cancelled(self) -> None:
        """Of a cancelled order nothing is left."""
        cancelled = attrs.evolve(ORDER, state="cancelled", revision=2, revised_at=AT + timedelta(1))
        assert ["50.00", "0.00"] == goods(ORDER, cancelled)

    def test_other_currencies(self) -> None:
        """An order in another currency is an error; a refund in one cannot be true, and is left out."""
        with pytest.raises(WrongCurrency, match=r"order\.currency"):
            course([bought("1", "2026-03-02", 5, currency="EUR")], "USD")
        assert ["50.00", "50.00"] == goods(ORDER, refund("r", currency="EUR"))

    def test_the_split(self) -> None:
        """How a discount is shared out is the caller's to say."""
        order = Order("1", "ann", AT, [Line("mug", 2, total=20)], discount=5)
        left = {split: course([order, refund("r", lines={"mug": 1})], "USD", split)[-1].rest.goods for split in SPLIT}
        assert {"net_allocated": D("7.50"), "gross_line_first": D("5.00")} == left


SPLIT: list[Split] = ["net_allocated", "gross_line_first"]
