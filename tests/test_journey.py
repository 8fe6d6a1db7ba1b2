"""What a customer bought and kept, their favourites, and everything that happened, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError, KeyReused
from loyaltykit.facts import Activity, Fact, Line, Member, Order, Refund, Reversal
from loyaltykit.history import History
from loyaltykit.journey import bought, favourites, journey, purchases

AT = datetime(2024, 1, 5, 9, tzinfo=UTC)
END = datetime(2025, 1, 1, tzinfo=UTC)


def later(days: float) -> datetime:
    """Return the instant so many days after the first."""
    return AT + timedelta(days)


def order(number: int, at: datetime, *lines: Line | tuple[str, Any], **others: Any) -> Order:
    """Return an order of these lines, or products and quantities."""
    goods = [each if isinstance(each, Line) else Line(*each, unit_price="10.00") for each in lines]
    return Order(str(number), "ann", at, goods, **others)


def refund(number: int, of: int, at: datetime, lines: dict[str, Any] | None = None, amount: Any = None) -> Refund:
    """Return the refund of that number."""
    return Refund(f"r{number}", "ann", str(of), at, lines, amount)


SALES = st.lists(
    st.tuples(st.sampled_from(["mug", "tea", "pot"]), st.integers(1, 5), st.integers(0, 30), st.integers(0, 5)),
    max_size=8,
)


def facts_of(sales: Sequence[tuple[str, int, int, int]]) -> list[Fact]:
    """Return orders of one product each, and of some pieces a refund on the day after."""
    facts: list[Fact] = []
    for number, (sku, quantity, day, returned) in enumerate(sales):
        facts.append(order(number, later(day), (sku, quantity)))
        if returned:
            facts.append(refund(number, number, later(day + 1), {sku: min(quantity, returned)}))
    return facts


# ---------------------------------------------------------------- laws


@given(SALES)
def test_favourites_are_what_was_bought_less_what_was_returned(sales: Sequence[tuple[str, int, int, int]]) -> None:
    """By net quantity, then the latest bought, then by name; what went back altogether is none."""
    net: dict[str, int] = {}
    last: dict[str, int] = {}
    for sku, quantity, day, returned in sales:
        if rest := max(quantity - returned, 0):
            net[sku] = net.get(sku, 0) + rest
            last[sku] = max(last.get(sku, 0), day)
    expected = tuple(sorted(net, key=lambda sku: (-net[sku], -last[sku], sku)))
    assert expected == favourites(facts_of(sales), END)


@given(SALES, st.integers(0, 32), st.data())
def test_facts_are_a_set(sales: Sequence[tuple[str, int, int, int]], day: int, data: st.DataObject) -> None:
    """In whatever order facts come, and however often, they tell the same; later ones are not known."""
    facts = [Member("ann", AT), Member("ann", AT, zone="UTC"), Member("ann", later(3)), *facts_of(sales)]
    shuffled = data.draw(st.permutations(facts + facts[:3]))
    at = later(day)
    known = [fact for fact in facts if fact.at <= at]
    assert journey(facts, at) == journey(shuffled, at) == journey(known, END)
    assert bought(facts, at) == bought(shuffled, at) == bought(known, END)


@given(SALES)
def test_every_fact_is_one_step_in_time(sales: Sequence[tuple[str, int, int, int]]) -> None:
    """Nothing is left out, and time only goes on."""
    facts = facts_of(sales)
    steps = journey(facts, END).steps
    assert len(facts) == len(steps) == len({step.key for step in steps})
    assert sorted(step.at for step in steps) == [step.at for step in steps]


# ---------------------------------------------------------------- favourites


class TestFavourites:
    ORDERS = (order(1, AT, ("mug", 2)), order(2, later(27), ("tea", 3)), order(3, later(56), ("pot", 2)))

    def test_by_quantity_then_the_latest(self) -> None:
        """Three teas come before two pots, and these before two mugs that were bought earlier."""
        assert ("tea", "pot", "mug") == favourites(self.ORDERS, END)

    def test_returned_altogether(self) -> None:
        """What was bought and returned is no favourite."""
        assert () == favourites([order(1, AT, ("mug", 2)), refund(1, 1, later(15), {"mug": 2})], END)

    def test_a_refund_is_known_from_its_instant(self) -> None:
        """Before it came back it was bought; a refund that did not stand takes nothing."""
        facts: list[Fact] = [order(1, AT, ("mug", 2)), refund(1, 1, later(15), {"mug": 2})]
        assert ("mug",) == favourites(facts, later(14))
        assert () == favourites(facts, later(15))
        assert ("mug",) == favourites([*facts, Reversal("v", "ann", "1", "r1", later(16))], later(16))

    def test_declared_ones_come_first(self) -> None:
        """What a customer says they like comes before what they buy, in their own order, and once."""
        assert ("cup", "mug", "tea", "pot") == favourites(self.ORDERS, END, declared=["cup", "mug", "cup"])
        assert ("cup",) == favourites([], END, declared="cup")

    def test_the_top(self) -> None:
        """Only so many are wanted."""
        assert ("tea", "pot") == favourites(self.ORDERS, END, top=2)
        assert () == favourites(self.ORDERS, END, top=0)

    def test_nothing_known(self) -> None:
        """Who bought nothing has no favourites; nothing is known of what comes later."""
        assert () == favourites([], END)
        assert () == favourites(self.ORDERS, later(-1))

    def test_the_revision_in_force(self) -> None:
        """A changed order counts as it is now, at the instant at which it was placed."""
        facts = [order(1, AT, ("mug", 1)), order(1, AT, ("tea", 1), revision=2, revised_at=later(2))]
        assert ("mug",) == favourites(facts, later(1))
        assert ("tea",) == favourites(facts, later(2))
        assert [AT] == [each.last for each in bought(facts, later(2))]

    @pytest.mark.parametrize("state", ["draft", "cancelled"])
    def test_what_was_not_bought(self, state: str) -> None:
        """Drafts and cancelled orders hold nothing that was bought."""
        assert () == favourites([order(1, AT, ("mug", 1), state=state)], END)

    def test_what_is_no_product(self) -> None:
        """Neither a donation is a product, nor an order of which only the amount is known."""
        facts = [order(1, AT, Line("trees", 5, total="5.00", donation=True)), Order("2", "ann", AT, amount="9.00")]
        assert () == favourites(facts, END)
        assert ("order",) == favourites([order(1, AT, ("order", 2))], END)

    def test_all_the_money_went_back(self) -> None:
        """Goods whose whole price was given back count as returned; of a part of it they do not."""
        assert () == favourites([order(1, AT, ("mug", 1)), refund(1, 1, AT, amount="10.00")], END)
        assert ("mug",) == favourites([order(1, AT, ("mug", 1)), refund(1, 1, AT, amount="5.00")], END)

    def test_a_refund_that_cannot_be_true(self) -> None:
        """A refund of more than was bought is left out, as everywhere."""
        assert ("mug",) == favourites([order(1, AT, ("mug", 1)), refund(1, 1, AT, {"mug": 2})], END)
        assert () == favourites([refund(1, 1, AT, {"mug": 2})], END)

    def test_two_lines_of_one_product(self) -> None:
        """Quantities of a product are summed, over lines, orders and parts of a piece."""
        facts = [order(1, AT, ("tea", "0.5"), Line("tea", "1.25", id="b")), order(2, AT, ("tea", 1))]
        facts2: list[Fact] = [*facts, refund(1, 1, AT, {"b": 1})]
        assert [Decimal("2.75")] == [each.quantity for each in bought(facts, END)]
        assert [Decimal("1.75")] == [each.quantity for each in bought(facts2, END)]

    def test_exact_whatever_the_decimal_context(self) -> None:
        """Quantities that differ in their last digit are told apart."""
        facts = [order(1, AT, ("a", "1000.001")), order(2, AT, ("b", "1000.002"))]
        with localcontext(prec=3):
            assert ("b", "a") == favourites(facts, END)

    def test_two_members_after_a_merge(self) -> None:
        """The facts of accounts that became one are looked at together."""
        facts = [order(1, AT, ("mug", 1)), Order("2", "bo", AT, [Line("tea", 2)])]
        assert ("tea", "mug") == favourites(facts, END)

    def test_an_order_in_another_currency(self) -> None:
        """What was bought for other money was bought."""
        facts = [order(1, AT, ("mug", 2), currency="JPY"), refund(1, 1, AT, {"mug": 1})]
        assert [Decimal(1)] == [each.quantity for each in bought(History(facts), END)]

    def test_a_line_without_a_quantity(self) -> None:
        """Some tills know no quantities: the product was bought, though not how much of it."""
        found = purchases([order(1, AT, Line("mug", 0, total="9.00"))], END)[0]
        assert found.kept
        assert [("mug", 0, True)] == [tuple(each) for each in found.products]
        facts: list[Fact] = [order(1, AT, Line("mug", 0, total="9.00")), refund(1, 1, AT, {"mug": 0})]
        assert [("mug", 0, False)] == [tuple(each) for each in purchases(facts, END)[0].products]


# ---------------------------------------------------------------- the journey


class TestJourney:
    FACTS = (
        Activity("t-1", "ann", "ticket", later(8), order="1001"),
        Refund("r-2", "ann", "1001", later(9), amount="2.50"),
        Refund("r-1", "ann", "1001", later(7), {"mug": 1}),
        Reversal("v-1", "ann", "1001", "r-2", later(10)),
        Refund("r-3", "ann", "1001", later(11)),
        Activity("rv-1", "ann", "review", later(6), product="tea", order="1001"),
        Activity("s-1", "ann", "sign_up", AT),
        Member("ann", AT),
        Member("ann", later(1), birthday=date(1990, 5, 5), attributes={"size": "m"}),
        Order("1001", "ann", later(2), [Line("mug", 2, unit_price="10.00"), Line("tea", "0.50", unit_price="8.00")]),
        Order("1002", "ann", later(2), amount="5.00", state="draft"),
        Order("1002", "ann", later(2), amount="6.00", revision=2, revised_at=later(3)),
        Order("1002", "ann", later(2), amount="7.00", revision=3, revised_at=later(4)),
        Order("1002", "ann", later(2), amount="7.00", revision=4, revised_at=later(5), state="cancelled"),
    )

    def test_everything_in_time(self) -> None:
        """A readable line for each thing that happened, profile values left out."""
        expected = """\
when              what                  about
2024-01-05 10:00  joined
2024-01-05 10:00  sign_up
2024-01-06 10:00  changed the profile   birthday, size
2024-01-07 10:00  ordered               1001: 2 × mug, 0.5 × tea, $24.00
2024-01-07 10:00  drafted an order      1002: $5.00
2024-01-08 10:00  ordered               1002: $6.00
2024-01-09 10:00  changed an order      1002: $7.00
2024-01-10 10:00  cancelled an order    1002: $7.00
2024-01-11 10:00  review                tea of 1001
2024-01-12 10:00  returned              1 × mug of 1001
2024-01-13 10:00  ticket                1001
2024-01-14 10:00  got money back        $2.50 of 1001
2024-01-15 10:00  refund did not stand  r-2 of 1001
2024-01-16 10:00  returned              all that was left of 1001"""
        shown = journey(History(self.FACTS, zone="Europe/Paris"), END)
        assert expected == str(shown) == repr(shown)
        assert expected == str(journey(reversed(self.FACTS), END, zone="Europe/Paris"))
        assert "<td" in shown._repr_html_()

    def test_the_money_of_the_program(self) -> None:
        """An order that names no currency is in the program's."""
        order = Order("1", "ann", AT, amount="150")
        assert ["1: ¥150"] == [step.about for step in journey([order], END, currency="JPY")]
        assert ["1: ¥150"] == [step.about for step in journey(History([order], currency="JPY"), END)]

    def test_keys_name_the_facts(self) -> None:
        """From a step one finds the fact."""
        keys = [step.key for step in journey(self.FACTS, later(4))]
        assert [
            "member:ann",
            "activity:s-1",
            "member:ann",
            "order:1001",
            "order:1002",
            "order:1002@2",
            "order:1002@3",
        ] == keys

    def test_of_one_instant(self) -> None:
        """The member before the orders, these before what follows from them."""
        facts = [
            Activity("a", "ann", "visit", AT),
            Reversal("v", "ann", "1", "r1", AT),
            refund(1, 1, AT),
            order(2, AT),
            order(1, AT),
            Member("ann", AT),
        ]
        expected = ["member:ann", "order:1", "order:2", "refund:r1", "reversal:v", "activity:a"]
        assert expected == [step.key for step in journey(facts, AT)]

    def test_nothing_later_is_known(self) -> None:
        """A journey ends at the instant asked for, inclusive."""
        assert 2 == len(journey(self.FACTS, AT))
        assert 0 == len(journey(self.FACTS, AT - timedelta(microseconds=1)))

    def test_a_profile_without_its_attributes(self) -> None:
        """What was taken out of the profile was changed, too."""
        facts = [Member("ann", AT, attributes={"size": "m"}, email="a@x.com"), Member("ann", later(1))]
        assert ["", "email, size"] == [step.about for step in journey(facts, END)]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda: journey([order(1, AT), "mug"], END), "facts[1]"),  # type: ignore[list-item]
        (lambda: favourites("mug", END), "facts[0]"),  # type: ignore[arg-type]
        (lambda: favourites([], END, top=-1), "top"),
        (lambda: favourites([], END, declared=[1]), "declared"),  # type: ignore[list-item]
        (lambda: favourites([], date(2024, 1, 1)), "at"),  # type: ignore[arg-type]
        (lambda: journey([], datetime(2024, 1, 1)), "at"),
        (lambda: journey([], END, zone="Mars"), "zone"),
    ],
)
def test_what_is_refused(ask: Any, field: str) -> None:
    """A question that cannot be meant is refused, by the name of its field."""
    with pytest.raises(InputError) as caught:
        ask()
    assert field == caught.value.field


def test_two_facts_of_one_id() -> None:
    """One id is one fact: two contents under it cannot both be true."""
    with pytest.raises(KeyReused):
        favourites([order(1, AT, ("mug", 1)), order(1, AT, ("mug", 2))], END)
