"""Facts: what is taken as having happened, and what cannot have."""

from __future__ import annotations

import decimal
import pickle
import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit.errors import InputError, RefundTooLarge
from loyaltykit.facts import LARGEST, Activity, Line, Member, Order, Refund, Reversal, Tender, cash, gift_card, points
from loyaltykit.fields import text

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = AT + timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
FIRST = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)  # the clocks of New York show it twice
SECOND = FIRST.replace(fold=1)

CENTS = st.decimals(0, 10**6, places=2)
TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Draw a line: by its unit price or by its total, often with a discount."""
    sku, quantity = draw(st.sampled_from("abc")), draw(st.decimals(0, 99, places=1))
    price = {draw(st.sampled_from(["total", "unit_price"])): draw(CENTS)}
    full = Line(sku, quantity, **price, donation=draw(st.booleans()))
    return full if full.donation else attrs.evolve(full, discount=full.gross * draw(st.integers(0, 4)) / 4)


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


SKUS = st.sampled_from(["a", "a#2", "b", "x" * 190, "x" * 199, "x" * 200])
SKUS_AND_IDS = st.lists(st.tuples(SKUS, st.none() | SKUS), max_size=8).filter(
    lambda lines: len(ids := [name for _, name in lines if name]) == len(set(ids))
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
            ({"total": "5.00", "donation": True, "discount": "1.00"}, "line.discount"),
            ({"quantity": "1e9", "unit_price": "1e14"}, "line.unit_price"),
            ({"total": "922337203685477.5808"}, "line.total"),
            ({"categories": None}, "line.categories"),
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

    @given(st.decimals(0, 10**6, places=12), st.decimals(0, 10**6, places=12), st.integers(1, 5))
    def test_sums_are_exact(self, price: Decimal, count: Decimal, precision: int) -> None:
        """Gross and net have all their digits, whatever the precision that an application has set."""
        exact = Fraction(price) * Fraction(count)
        with decimal.localcontext() as context:
            context.prec = precision
            line = Line("mug", count, unit_price=price)
            discount = min(line.gross, Decimal("0.01"))
            discounted = Line("mug", count, unit_price=price, discount=discount)
            assert (exact, exact - Fraction(discount)) == (Fraction(line.gross), Fraction(discounted.net))

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

    @given(orders(), st.integers(1, 3))
    def test_no_sum_depends_on_the_decimal_context(self, order: Order, precision: int) -> None:
        """An application may compute with few digits; an order does not."""
        with decimal.localcontext() as context:
            context.prec = precision
            assert order == attrs.evolve(order)
            sums = (order.goods, order.total)
        assert sums == (order.goods, order.total)

    @given(SKUS_AND_IDS)
    def test_every_line_has_a_name_of_its_own(self, named: list[tuple[str, str | None]]) -> None:
        """A refund can name each line: by the id it was given, else its sku, else its sku and a number."""
        order = Order("1", "ann", AT, [Line(sku, id=name) for sku, name in named])
        names = [line.name for line in order.lines]
        assert len(set(names)) == len(names)
        assert all(name == given for name, (_, given) in zip(names, named, strict=True) if given is not None)
        assert all(
            given is not None or name == sku or (len(name) <= 200 and name.rpartition("#")[0] == sku[:190])
            for name, (sku, given) in zip(names, named, strict=True)
        )
        assert attrs.evolve(order).lines == order.lines

    def test_lines_are_named_after_their_sku(self) -> None:
        """The second line of one sku is sku#2; an id that says no more than the sku is none."""
        order = Order(
            "1", "ann", AT, [Line("mug"), Line("mug"), Line("tea", id="x"), Line("mug"), Line("cup", id="cup")]
        )
        assert [line.name for line in order.lines] == ["mug", "mug#2", "x", "mug#3", "cup"]
        assert [line.id for line in order.lines] == [None, "mug#2", "x", "mug#3", None]

    def test_an_id_that_is_given_comes_first(self) -> None:
        """A line keeps the id that it was given, wherever it stands; a sku that is taken gets a number."""
        order = Order("1", "ann", AT, [Line("x"), Line("y", id="x"), Line("z"), Line("z", id="z")])
        assert [line.name for line in order.lines] == ["x#2", "x", "z#2", "z"]

    def test_lines_that_need_no_id_are_kept_as_they_are(self) -> None:
        """Lines of different skus are not copied."""
        bought = Line("mug"), Line("tea")
        assert all(kept is line for kept, line in zip(Order("1", "ann", AT, bought).lines, bought, strict=True))

    def test_many_lines_of_one_sku(self) -> None:
        """Naming takes time in proportion to the lines."""
        start = time.process_time()
        order = Order("1", "ann", AT, [Line("x")] * 10_000)
        assert time.process_time() - start < 2
        assert order.lines[-1].name == "x#10000"

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
        assert [("order", amount + discount)] == [(line.name, line.gross) for line in order.lines]
        assert order == attrs.evolve(order)

    def test_another_amount(self) -> None:
        """An order given by its amount takes another one in place of its line, and not beside it."""
        order = Order("1", "ann", AT, amount="5.00")
        assert Decimal("7.00") == attrs.evolve(order, lines=(), amount="7.00", revision=2).goods
        with pytest.raises(InputError, match=r"give lines=\(\) with it"):
            attrs.evolve(order, amount="7.00")

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

    def test_a_revision_in_the_hour_that_comes_twice(self) -> None:
        """Instants count, not what the clock shows: 01:10 the second time is after 01:30 the first time."""
        changed = SECOND.replace(minute=10)
        assert changed == Order("1", "ann", FIRST, revision=2, revised_at=changed).known_from
        with pytest.raises(InputError, match=r"order\.revised_at"):
            Order("1", "ann", changed, revision=2, revised_at=FIRST)

    def test_the_largest_order(self) -> None:
        """In minor units of any currency, an order with its shipping and tax stays below 2**63."""
        assert int(LARGEST * 10**4) == 2**63 - 1
        half = Line("a", total=LARGEST / 2)
        assert Order("1", "ann", AT, [half, half]).total == LARGEST
        with pytest.raises(InputError, match=r"order\.lines"):
            Order("1", "ann", AT, [half, half], shipping="0.0001")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"at": datetime(2026, 3, 2, 9)}, "order.at"),
            ({"at": "2026-03-02T09:00Z"}, "order.at"),
            ({"member": ""}, "order.member"),
            ({"lines": ["mug"]}, "order.lines[0]"),
            ({"lines": "mug"}, "order.lines"),
            ({"lines": None}, "order.lines"),
            ({"lines": 5}, "order.lines"),
            ({"tenders": ["5.00"]}, "order.tenders[0]"),
            ({"tenders": 5}, "order.tenders"),
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
            ({"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, "order.at"),
            ({"codes": [""]}, "order.codes"),
            ({"codes": None}, "order.codes"),
            ({"channel": 1}, "order.channel"),
            ({"currency": ""}, "order.currency"),
            ({"currency": "dollars"}, "order.currency"),
            ({"currency": "usd"}, "order.currency"),
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

    def test_facts_of_one_instant_are_equal(self) -> None:
        """The same instant in two zones is one; what a clock shows twice is two instants."""
        utc = FIRST.astimezone(UTC)
        for make in (
            lambda at: Order("1", "ann", at),
            lambda at: Order("1", "ann", AT, revised_at=at),
            lambda at: Refund("r", "ann", "1", at),
            lambda at: Reversal("v", "ann", "1", "r", at),
            lambda at: Activity("a", "ann", "review", at),
            lambda at: Member("ann", at),
        ):
            assert make(FIRST) == make(utc) != make(SECOND)
            assert hash(make(FIRST)) == hash(make(utc))

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
            ({"lines": [("mug", 1), ("mug", 2)]}, "refund.lines"),
            ({"lines": ["mug"]}, "refund.lines"),
            ({"lines": "ab"}, "refund.lines"),
            ({"lines": ["ab"]}, "refund.lines"),
            ({"lines": 5}, "refund.lines"),
            ({"currency": "dollars"}, "refund.currency"),
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
        assert not isinstance(caught.value, RefundTooLarge)

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

    @pytest.mark.parametrize(
        "birthday", [(2, 30), (13, 1), (0, 1), (2.0, 1), (True, 1), "12", 7, (1,), (2000, 1, 1), AT]
    )
    def test_no_birthdays(self, birthday: Any) -> None:
        """30 February is none, and an instant is no day."""
        with pytest.raises(InputError, match=r"member\.birthday"):
            Member("ann", AT, birthday=birthday)

    def test_attributes_are_pairs_of_texts(self) -> None:
        """What else is known of a member is names and texts, whose order does not matter."""
        member = Member("ann", AT, attributes={"shop": "north", "lang": "en"})
        assert member == Member("ann", AT, attributes=[("lang", "en"), ("shop", "north")])

    @pytest.mark.parametrize("attributes", [{"age": 40}, [("x", "1"), ("x", "2")], ["ab"], "ab", [("x",)], 5, None])
    def test_attributes_that_say_nothing(self, attributes: Any) -> None:
        """A name comes once, with a text; two letters are no pair."""
        with pytest.raises(InputError, match=r"member\.attributes"):
            Member("ann", AT, attributes=attributes)

    @pytest.mark.parametrize(
        "fields", [{"id": ""}, {"at": datetime(2026, 1, 1)}, {"zone": 1}, {"zone": "Mars/Base"}, {"email": "a\nb"}]
    )
    def test_a_member_that_cannot_be_is_refused(self, fields: dict[str, Any]) -> None:
        """A member has an id, an instant, and texts for the rest."""
        with pytest.raises(InputError, match=f"member.{next(iter(fields))}"):
            Member(**{"id": "ann", "at": AT} | fields)


class TestErrors:
    @pytest.mark.parametrize("value", [10**5000, [10**5000], "x" * 10**6], ids=["int", "list", "text"])
    def test_an_error_can_always_be_shown(self, value: Any) -> None:
        """The message is made of any value whatever, and stays short."""
        assert len(str(InputError("order.amount", value, "give less"))) < 200
