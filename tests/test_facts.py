"""Facts: what is taken as having happened, and what cannot have."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Line, Member, Order, Refund, Reversal, Tender, cash, gift_card, points, text

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = AT + timedelta(days=1)

CENTS = st.decimals(0, 10**6, places=2)
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Draw a line: by its unit price or by its total, often with a discount."""
    sku, quantity = draw(st.sampled_from("abc")), draw(st.decimals(0, 99, places=1))
    price = {draw(st.sampled_from(["total", "unit_price"])): draw(CENTS)}
    full = Line(sku, quantity, **price, donation=draw(st.booleans()))
    return attrs.evolve(full, discount=full.gross * draw(st.integers(0, 4)) / 4)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Draw an order of a few lines, with a discount, shipping and tax."""
    bought = draw(st.lists(lines(), max_size=5))
    discountable = sum((line.net for line in bought if not line.donation), Decimal(0))
    return Order(
        draw(TEXTS),
        draw(TEXTS),
        AT,
        bought,
        discount=discountable * draw(st.integers(0, 4)) / 4,
        shipping=draw(CENTS),
        tax=draw(CENTS),
        codes=draw(st.lists(TEXTS, max_size=2)),
    )


# ---------------------------------------------------------------- texts


class TestText:
    @given(TEXTS)
    def test_a_text_stays_as_it_is(self, value: str) -> None:
        """Names and ids are kept to the letter, in any script."""
        assert value == text(value, "order.id")

    @pytest.mark.parametrize("value", ["", "a" * 201, "a\nb", "a\0", "\ud800", 1001, None, b"1001"])
    def test_what_would_break_a_key_is_refused(self, value: Any) -> None:
        """An id is 1 to 200 printable characters: it becomes part of a key, a row and a log line."""
        with pytest.raises(InputError) as caught:
            Order(value, "ann", AT)
        assert caught.value.field == "order.id"

    def test_the_longest(self) -> None:
        """200 characters are allowed."""
        assert text("a" * 200, "order.id") == "a" * 200


# ---------------------------------------------------------------- lines


class TestLine:
    @given(CENTS, st.integers(0, 99), st.integers(0, 4))
    def test_a_line_costs_its_price_times_its_quantity(self, price: Decimal, count: int, quarters: int) -> None:
        """Gross is unit price times quantity, net is gross less the line's own discount."""
        gross = price * count
        line = Line("mug", count, unit_price=price, discount=gross * quarters / 4)
        assert (gross, gross - gross * quarters / 4) == (line.gross, line.net)

    @given(CENTS, st.decimals(0, 99, places=3))
    def test_a_total_stands_whatever_the_quantity(self, amount: Decimal, count: Decimal) -> None:
        """Totals that do not divide by the quantity, or come with a quantity of 0, are taken as they are."""
        assert amount == Line("mug", count, total=amount).gross

    def test_a_line_without_a_price_costs_nothing(self) -> None:
        """A gift in the parcel is a line of nothing."""
        assert Line("sticker", 3).net == 0

    def test_one_category_need_not_be_a_list(self) -> None:
        """A single category may be given bare; it is not taken for a list of letters."""
        assert Line("espresso", categories="coffee").categories == ("coffee",)
        assert Line("espresso", categories=["coffee", "hot"]).categories == ("coffee", "hot")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"quantity": -1}, "line.quantity"),
            ({"quantity": 1.5}, "line.quantity"),
            ({"total": "-0.01"}, "line.total"),
            ({"total": 9.99}, "line.total"),
            ({"unit_price": "NaN"}, "line.unit_price"),
            ({"total": "1.00", "unit_price": "1.00"}, "line.total"),
            ({"total": "1.00", "discount": "1.01"}, "line.discount"),
            ({"discount": "0.01"}, "line.discount"),
            ({"gift_card": 1}, "line.gift_card"),
            ({"donation": "yes"}, "line.donation"),
            ({"categories": ["coffee", 7]}, "line.categories"),
            ({"id": ""}, "line.id"),
        ],
    )
    def test_a_line_that_cannot_be_true_is_refused(self, fields: dict[str, Any], field: str) -> None:
        """Negative, inexact or contradictory lines are refused, and the error names the field."""
        with pytest.raises(InputError) as caught:
            Line("mug", **fields)
        assert caught.value.field == field

    def test_a_line_may_be_discounted_to_nothing(self) -> None:
        """A discount may be the whole line."""
        assert Line("mug", total="1.00", discount="1.00").net == 0


# ---------------------------------------------------------------- tenders


class TestTender:
    def test_the_three_kinds(self) -> None:
        """An order is paid with money, from a gift card, with points, or with several of them."""
        assert cash("1.50") == Tender("cash", Decimal("1.50"))
        assert gift_card("1.50", key="gc-1") == Tender("gift_card", Decimal("1.50"), key="gc-1")
        assert points(176, worth="0.88") == Tender("points", Decimal("0.88"), 176)

    @pytest.mark.parametrize(
        ("make", "field"),
        [
            (lambda: Tender("card", "1.00"), "tender.kind"),  # type: ignore[arg-type]
            (lambda: Tender("cash", "1.00", 5), "tender.points"),
            (lambda: points(-1, worth="1.00"), "tender.points"),
            (lambda: points(1.0, worth="1.00"), "tender.points"),  # type: ignore[arg-type]
            (lambda: cash("-1.00"), "tender.amount"),
            (lambda: gift_card("1.00", key=""), "tender.key"),
        ],
    )
    def test_a_part_that_cannot_be_true_is_refused(self, make: Any, field: str) -> None:
        """Unknown kinds, points that are not points, negative amounts are refused by name."""
        with pytest.raises(InputError) as caught:
            make()
        assert caught.value.field == field


# ---------------------------------------------------------------- orders


class TestOrder:
    @given(orders())
    def test_the_total_is_the_sum_of_its_parts(self, order: Order) -> None:
        """Goods are the lines after every discount; the total adds shipping, and tax where it comes on top."""
        goods = sum((line.net for line in order.lines), Decimal(0)) - order.discount
        assert (goods, goods + order.shipping + order.tax) == (order.goods, order.total)
        assert order.goods >= 0

    @given(orders())
    def test_an_order_is_a_value(self, order: Order) -> None:
        """Orders compare, hash, copy and pickle by what they say."""
        assert order == attrs.evolve(order) == pickle.loads(pickle.dumps(order))
        assert hash(order) == hash(attrs.evolve(order))

    @given(orders())
    def test_every_line_has_an_id_of_its_own(self, order: Order) -> None:
        """A refund can name each line: by its id, else its sku, else its sku and a number."""
        ids = [line.id for line in order.lines]
        assert len(set(ids)) == len(ids)
        assert all(line.id is not None and line.id.split("#")[0] == line.sku for line in order.lines)

    def test_lines_are_named_after_their_sku(self) -> None:
        """The second line of one sku is sku#2."""
        order = Order("1", "ann", AT, [Line("mug"), Line("mug"), Line("tea", id="x"), Line("mug")])
        assert [line.id for line in order.lines] == ["mug", "mug#2", "x", "mug#3"]

    def test_one_id_names_one_line(self) -> None:
        """Two lines of one order do not share an id."""
        with pytest.raises(InputError, match=r"line\.id"):
            Order("1", "ann", AT, [Line("mug", id="x"), Line("tea", id="x")])

    def test_a_single_line_or_tender_need_not_be_a_list(self) -> None:
        """One line, one tender, one code may be given bare."""
        order = Order("1", "ann", AT, Line("mug", total="5.00"), tenders=cash("5.00"), codes="HELLO")
        assert (1, (cash("5.00"),), ("HELLO",)) == (len(order.lines), order.tenders, order.codes)

    @given(CENTS, CENTS)
    def test_an_amount_stands_for_the_goods(self, amount: Decimal, discount: Decimal) -> None:
        """An order given by its amount is one line that leaves the amount after the discount."""
        order = Order("1", "ann", AT, amount=amount, discount=discount)
        assert (amount, amount) == (order.goods, order.total)
        assert [("order", amount + discount)] == [(line.id, line.gross) for line in order.lines]
        assert order == attrs.evolve(order)

    def test_an_included_tax_is_not_added(self) -> None:
        """Where prices include the tax, the total is that of the prices."""
        line = Line("mug", total="11.90")
        assert Decimal("11.90") == Order("1", "ann", AT, line, tax="1.90", tax_included=True).total
        assert Decimal("13.80") == Order("1", "ann", AT, line, tax="1.90").total

    def test_tenders_may_leave_a_rest(self) -> None:
        """What the tenders do not cover was paid in cash; they may cover all of it."""
        line = Line("mug", total="10.00")
        for amount in ("3.00", "10.00"):
            assert Decimal("10.00") == Order("1", "ann", AT, line, tenders=[points(100, worth=amount)]).total

    def test_a_revision_holds_from_its_own_instant(self) -> None:
        """An order is known from when it was placed, a changed one from when it was changed."""
        assert Order("1", "ann", AT).known_from == AT
        assert Order("1", "ann", AT, revision=2, revised_at=LATER).known_from == LATER

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"at": datetime(2026, 3, 2, 9)}, "order.at"),
            ({"at": "2026-03-02T09:00Z"}, "order.at"),
            ({"member": ""}, "order.member"),
            ({"lines": ["mug"]}, "order.lines"),
            ({"lines": "mug"}, "order.lines"),
            ({"tenders": ["5.00"]}, "order.tenders"),
            ({"amount": "1.00", "lines": [Line("mug")]}, "order.amount"),
            ({"amount": "-1.00"}, "order.amount"),
            ({"amount": 1.0}, "order.amount"),
            ({"discount": "0.01"}, "order.discount"),
            ({"lines": [Line("gift", total="5.00", donation=True)], "discount": "0.01"}, "order.discount"),
            ({"shipping": "-1"}, "order.shipping"),
            ({"tax": "-1"}, "order.tax"),
            ({"amount": "1.00", "tax": "1.01", "tax_included": True}, "order.tax"),
            ({"tax_included": None}, "order.tax_included"),
            ({"amount": "1.00", "tenders": [cash("0.51"), points(1, worth="0.50")]}, "order.tenders"),
            ({"state": "shipped"}, "order.state"),
            ({"state": []}, "order.state"),
            ({"revision": 0}, "order.revision"),
            ({"revision": True}, "order.revision"),
            ({"revised_at": AT - timedelta(microseconds=1)}, "order.revised_at"),
            ({"codes": [""]}, "order.codes"),
            ({"channel": 1}, "order.channel"),
            ({"currency": ""}, "order.currency"),
        ],
    )
    def test_an_order_that_cannot_be_true_is_refused(self, fields: dict[str, Any], field: str) -> None:
        """Inexact, negative or contradictory orders are refused, and the error names the field."""
        with pytest.raises(InputError) as caught:
            Order(**{"id": "1", "member": "ann", "at": AT} | fields)
        assert caught.value.field == field

    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
    def test_an_instant_keeps_its_zone(self, zone: str) -> None:
        """The shop's own time is kept as it was given."""
        at = datetime(2026, 3, 2, 9, tzinfo=ZoneInfo(zone))
        assert Order("1", "ann", at).at is at

    def test_facts_do_not_change(self) -> None:
        """What happened has happened."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Order("1", "ann", AT).id = "2"  # type: ignore[misc]


# ---------------------------------------------------------------- refunds


class TestRefund:
    def test_the_order_of_lines_does_not_matter(self) -> None:
        """A refund of a mug and a tea is one of a tea and a mug."""
        first = Refund("r", "ann", "1", AT, {"mug": 1, "tea": "0.5"})
        assert first == Refund("r", "ann", "1", AT, [("tea", Decimal("0.5")), ("mug", 1)])
        assert first.lines == (("mug", Decimal(1)), ("tea", Decimal("0.5")))

    def test_without_lines_and_amount_everything_went_back(self) -> None:
        """A plain refund names neither lines nor an amount."""
        assert Refund("r", "ann", "1", AT).lines is None
        assert Refund("r", "ann", "1", AT).amount is None

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"lines": {}}, "refund.lines"),
            ({"lines": {"mug": -1}}, "refund.lines"),
            ({"lines": {"mug": 1.0}}, "refund.lines"),
            ({"lines": {"": 1}}, "refund.lines"),
            ({"amount": "0.00"}, "refund.amount"),
            ({"amount": "-1.00"}, "refund.amount"),
            ({"amount": "1.00", "lines": {"mug": 1}}, "refund.amount"),
            ({"at": date(2026, 3, 2)}, "refund.at"),
            ({"order": 1001}, "refund.order"),
        ],
    )
    def test_a_refund_that_cannot_be_true_is_refused(self, fields: dict[str, Any], field: str) -> None:
        """A refund of nothing, of less than nothing, or in two ways at once is refused by name."""
        with pytest.raises(InputError) as caught:
            Refund(**{"id": "r", "member": "ann", "order": "1", "at": AT} | fields)
        assert caught.value.field == field

    def test_a_reversal_names_its_refund(self) -> None:
        """A refund that did not stand is taken back by name."""
        assert Reversal("v", "ann", "1", "r", LATER).refund == "r"
        with pytest.raises(InputError, match=r"reversal\.refund"):
            Reversal("v", "ann", "1", "", LATER)


# ---------------------------------------------------------------- activities and members


class TestActivityAndMember:
    def test_an_activity_may_be_about_a_product_or_an_order(self) -> None:
        """A review names its product."""
        review = Activity("rv", "ann", "review", AT, product="mug", order="1")
        assert (review.product, review.order) == ("mug", "1")
        with pytest.raises(InputError, match=r"activity\.name"):
            Activity("rv", "ann", "", AT)

    @pytest.mark.parametrize("birthday", [None, date(2000, 2, 29), (2, 29), (12, 31)])
    def test_birthdays(self, birthday: Any) -> None:
        """A birthday is a date, or a month and a day where the year is unknown; 29 February is one."""
        assert birthday == Member("ann", AT, birthday=birthday).birthday

    @pytest.mark.parametrize("birthday", [(2, 30), (13, 1), (0, 1), (2.0, 1), "1202", 7, (1,), (2000, 1, 1), AT])
    def test_no_birthdays(self, birthday: Any) -> None:
        """30 February is none, and an instant is no day."""
        with pytest.raises(InputError, match=r"member\.birthday"):
            Member("ann", AT, birthday=birthday)

    def test_attributes_are_pairs_of_texts(self) -> None:
        """What else is known of a member is names and texts, whose order does not matter."""
        member = Member("ann", AT, attributes={"shop": "north", "lang": "en"})
        assert member == Member("ann", AT, attributes=[("lang", "en"), ("shop", "north")])
        with pytest.raises(InputError, match=r"member\.attributes"):
            Member("ann", AT, attributes={"age": 40})

    @pytest.mark.parametrize("fields", [{"id": ""}, {"at": datetime(2026, 1, 1)}, {"zone": 1}, {"email": "a\nb"}])
    def test_a_member_that_cannot_be_is_refused(self, fields: dict[str, Any]) -> None:
        """A member has an id, an instant, and texts for the rest."""
        with pytest.raises(InputError, match=f"member.{next(iter(fields))}"):
            Member(**{"id": "ann", "at": AT} | fields)
