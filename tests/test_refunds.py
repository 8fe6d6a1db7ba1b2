"""What is left of an order after its refunds, and what has gone back."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st
from shop import AT, SPLITS, one_refund, order, orders, possible, refund, refunds

from loyaltykit.errors import InputError, RefundTooLarge, WrongCurrency
from loyaltykit.facts import Line, Order, Refund, cash, gift_card, points
from loyaltykit.refunds import RewardBack, Split, remains, returned

BACK = st.sampled_from(["pro_rata", "full_only"])


def goods_left(of: Order, *some: Refund, split: Split = "net_allocated") -> D:
    """Return what is left of the goods."""
    return remains(of, some, "USD", split).goods


class TestLaws:
    @given(st.data(), orders(), SPLITS, BACK)
    def test_any_sequence_ends_where_one_full_refund_ends(
        self, data: st.DataObject, of: Order, split: Split, back: RewardBack
    ) -> None:
        """After any refunds and one of the rest, all is as after one full refund: to the cent and the point."""
        some = [each for each in data.draw(refunds(of, split)) if not named_donation(of, each)]
        assume(possible(of, some, split))
        whole = refund(99)
        assert returned(of, [whole], "USD", split, back) == returned(of, [*some, whole], "USD", split, back)
        assert remains(of, [whole], "USD", split) == remains(of, [*some, whole], "USD", split)

    @given(orders(), SPLITS, BACK)
    def test_what_was_paid_comes_back_exactly(self, of: Order, split: Split, back: RewardBack) -> None:
        """Without donations a full refund returns each part of the payment, and every point."""
        assume(not any(line.donation for line in of.lines))
        gone = returned(of, [refund(1)], "USD", split, back).tenders
        assert of.tenders == gone[: len(of.tenders)]
        assert of.total == sum(tender.amount for tender in gone)

    @given(st.data(), orders(), SPLITS)
    def test_money_is_conserved(self, data: st.DataObject, of: Order, split: Split) -> None:
        """What has gone back and what is left come to what was paid, after every refund."""
        some = data.draw(refunds(of, split))
        gone = sum(tender.amount for tender in returned(of, some, "USD", split).tenders)
        assert of.total == gone + remains(of, some, "USD", split).total

    @given(st.data(), orders(), SPLITS)
    def test_the_set_decides(self, data: st.DataObject, of: Order, split: Split) -> None:
        """Neither the order in which refunds are given nor their repetition changes anything."""
        some = data.draw(refunds(of, split))
        shuffled = data.draw(st.permutations([*some, *some]))
        assert remains(of, some, "USD", split) == remains(of, shuffled, "USD", split)

    @given(st.data(), orders(), SPLITS, BACK)
    def test_one_more_refund_never_leaves_more(
        self, data: st.DataObject, of: Order, split: Split, back: RewardBack
    ) -> None:
        """Whenever one more refund is heard of, even an early one, no line grows and no part of the payment shrinks."""
        some = data.draw(refunds(of, split))
        more = data.draw(one_refund(of, [], 98, split))
        if data.draw(st.booleans()):
            more = refund(98, dict(more.lines) if more.lines else None, more.amount, AT)
        assume(possible(of, [*some, more], split))
        before, after = remains(of, some, "USD", split), remains(of, [*some, more], "USD", split)
        assert all(
            now.units * before.of <= was.units * after.of and now.quantity <= was.quantity
            for was, now in zip(before.lines, after.lines, strict=True)
        )
        gone = returned(of, some, "USD", split, back).tenders
        gone_after = returned(of, [*some, more], "USD", split, back).tenders
        assert all(
            was.amount <= now.amount and was.points <= now.points for was, now in zip(gone, gone_after, strict=True)
        )

    @given(st.data(), orders(), SPLITS)
    def test_two_refunds_of_goods_are_one(self, data: st.DataObject, of: Order, split: Split) -> None:
        """Refunding goods in two steps leaves what refunding them in one step leaves."""
        some = data.draw(refunds(of, split, ["lines"]))
        assume(some and all(each.lines for each in some))
        together: dict[str, D] = {}
        for name, quantity in [pair for each in some for pair in each.lines or ()]:
            together[name] = together.get(name, D(0)) + quantity
        assert remains(of, some, "USD", split) == remains(of, [refund(1, together)], "USD", split)

    @given(st.data(), orders(), SPLITS)
    def test_no_more_than_is_left(self, data: st.DataObject, of: Order, split: Split) -> None:
        """A refund above what is left, of goods or of money, is refused."""
        some = data.draw(refunds(of, split))
        rest = remains(of, some, "USD", split)
        place = data.draw(st.sampled_from(range(len(rest.lines))))
        with pytest.raises(RefundTooLarge):
            remains(of, [*some, refund(50, {rest.lines[place].line: rest.lines[place].quantity + 1})], "USD", split)
        goods = sum(left.units for left, line in zip(rest.lines, of.lines, strict=True) if not line.donation)
        with pytest.raises(RefundTooLarge):
            remains(of, [*some, refund(50, amount=D(goods // rest.of + 1) / 100 + D("0.01"))], "USD", split)


def named_donation(of: Order, each: Refund) -> bool:
    """Say whether a refund names a donation."""
    return any(line.donation and line.name == name for name, _ in each.lines or () for line in of.lines)


class TestScenarios:
    TWO = (Line("a", total="10.00"), Line("b", total="10.00"))

    @pytest.mark.parametrize(
        ("split", "left"),
        [("gross_line_first", ["15.00", "5.00", "0.00"]), ("net_allocated", ["15.00", "7.50", "0.00"])],
    )
    @pytest.mark.parametrize("how", ["discount", "points"])
    def test_s56_reward_on_an_order(self, split: Split, left: list[str], how: str) -> None:
        """S56: 2 x 10.00 − 5.00: one item is 7.50, or 10.00 with the discount left to the other; so for points."""
        some = [refund(1, {"a": 1}), refund(2, {"b": 1})]
        if how == "discount":
            of = order(*self.TWO, discount="5.00")
            assert [D(each) for each in left] == [goods_left(of, *some[:count], split=split) for count in range(3)]
        else:
            of = order(*self.TWO, tenders=points(500, worth="5.00"))
            rest = [remains(of, some[:count], "USD", split) for count in range(3)]
            assert [D(each) for each in left] == [each.goods - each.money(each.paid_points_units) for each in rest]

    def test_s56_points_come_back_with_the_last(self) -> None:
        """S56: with ``full_only`` the 500 points come back with the second item, else half of them with each."""
        of = order(*self.TWO, tenders=points(500, worth="5.00"))
        some = [refund(1, {"a": 1}), refund(2, {"b": 1})]
        assert [returned(of, some[:n], "USD", reward_back="full_only").points for n in (1, 2)] == [0, 500]
        assert [returned(of, some[:n], "USD").points for n in (1, 2)] == [250, 500]
        assert [returned(of, some[:n], "USD", "gross_line_first").points for n in (1, 2)] == [0, 500]
        assert [D("10.00"), D("15.00")] == [returned(of, some[:n], "USD", "gross_line_first").cash for n in (1, 2)]
        assert [D("7.50"), D("15.00")] == [returned(of, some[:n], "USD").cash for n in (1, 2)]

    def test_s63_mixed_tender(self) -> None:
        """S63: 36.09 paid with 35.21 and 176 points give back 35.21 and 176 points, not 36.09."""
        of = order(Line("a", total="36.09"), tenders=[cash("35.21"), points(176, worth="0.88")])
        gone = returned(of, [refund(1)], "USD")
        assert (D("35.21"), 176) == (gone.cash, gone.points)

    def test_s65_discount_share(self) -> None:
        """S65: of 150 + 60 − 20 %, the 150 item gives back 120.00 and leaves 48.00."""
        of = order(Line("a", total="150.00"), Line("b", total="60.00"), discount="42.00")
        assert D("48.00") == goods_left(of, refund(1, {"a": 1}))
        assert D("120.00") == returned(of, [refund(1, {"a": 1})], "USD").cash

    def test_s97_all_is_discounted(self) -> None:
        """An order that costs nothing is whole until its goods come back."""
        of = order(Line("a", total="5.60"), discount="5.60")
        assert (remains(of, [], "USD").empty, remains(of, [refund(1, {"a": 1})], "USD").empty) == (False, True)


class TestLines:
    def test_parts_of_a_cent_do_not_get_lost(self) -> None:
        """3 for 10.00 come back as 3.33, 3.34, 3.33: the sum is what was paid."""
        of = order(Line("a", 3, total="10.00"))
        gone = [returned(of, [refund(i, {"a": 1}) for i in range(1, n + 1)], "USD").cash for n in (1, 2, 3)]
        assert [D("3.33"), D("6.67"), D("10.00")] == gone

    def test_by_sku_or_by_id(self) -> None:
        """A line is named by its id; by its sku are meant all lines of the sku, the first first."""
        of = order(Line("mug", 1, total="5.00"), Line("mug", 2, total="14.00"), Line("cup", total="3.00", id="mug-3"))
        assert D("8.00") == goods_left(of, refund(1, {"mug#2": 2}))
        assert D("10.00") == goods_left(of, refund(1, {"mug": 2}))
        assert D("19.00") == goods_left(of, refund(1, {"cup": 1})) == goods_left(of, refund(1, {"mug-3": 1}))

    def test_an_id_wins_over_a_sku(self) -> None:
        """Where one line has as its id what another has as its sku, the id is meant."""
        of = order(Line("x", total="5.00", id="y"), Line("y", total="7.00", id="z"))
        assert D("7.00") == goods_left(of, refund(1, {"y": 1}))

    def test_unknown_line(self) -> None:
        """A refund of a line that the order does not have is an error that names both."""
        with pytest.raises(InputError, match=r"r1.*no such line") as caught:
            goods_left(order(Line("a", total="1.00")), refund(1, {"b": 1}))
        assert caught.value.field == "refund.lines"

    def test_quantity_zero(self) -> None:
        """A line sold with quantity 0 comes back whole, once, when it is named with quantity 0."""
        of = order(Line("a", 0, total="5.00"), Line("b", total="1.00"))
        assert D("1.00") == goods_left(of, refund(1, {"a": 0}))
        with pytest.raises(RefundTooLarge, match="back already"):
            goods_left(of, refund(1, {"a": 0}), refund(2, {"a": 0}))
        with pytest.raises(RefundTooLarge):
            goods_left(of, refund(1, {"a": 1}))

    def test_nothing_of_a_line(self) -> None:
        """Quantity 0 of a line that was sold with a quantity takes nothing."""
        assert D("5.00") == goods_left(order(Line("a", 2, total="5.00")), refund(1, {"a": 0}))


class TestAmounts:
    def test_spread_over_what_is_left(self) -> None:
        """An amount comes off all goods that are left, in proportion, and not off donations."""
        of = order(Line("a", total="30.00"), Line("b", total="10.00"), Line("c", total="5.00", donation=True))
        rest = remains(of, [refund(1, amount="4.00")], "USD")
        assert [left.units // rest.of for left in rest.lines] == [2700, 900, 500]

    def test_dates_decide(self) -> None:
        """An amount is taken off the goods that were left at its instant."""
        of = order(Line("a", total="30.00"), Line("b", total="10.00"))
        later = remains(of, [refund(1, {"b": 1}), refund(2, amount="3.00")], "USD")
        sooner = remains(of, [refund(3, {"b": 1}), refund(2, amount="3.00")], "USD")
        assert (D("27.00"), D("27.75")) == (later.goods, sooner.goods)

    def test_the_last_part_of_a_cent(self) -> None:
        """What is shown as left can be refunded, although it may be a third of a cent more than is left."""
        of = order(Line("a", 3, total="20.00"))
        assert D("6.67") == goods_left(of, refund(1, {"a": 2}))
        assert remains(of, [refund(1, {"a": 2}), refund(2, amount="6.67")], "USD").empty
        with pytest.raises(RefundTooLarge, match=r"only 6\.66"):
            goods_left(of, refund(1, {"a": 2}), refund(2, amount="6.68"))

    def test_more_decimals_than_the_currency(self) -> None:
        """A refund of a part of a cent is an error."""
        with pytest.raises(InputError, match="at most 2 decimals"):
            goods_left(order(Line("a", total="3.00")), refund(1, amount="0.001"))

    def test_all_of_the_goods_by_amount_ends_the_order(self) -> None:
        """When amounts have taken all of the goods, shipping and tax come back as with a full refund."""
        for split in ("net_allocated", "gross_line_first"):
            of = order(Line("a", 2, total="20.00"), discount="5.00", shipping="4.90", tax="1.00")
            rest = remains(of, [refund(1, amount="15.00")], "USD", split)  # type: ignore[arg-type]
            assert (True, D("0.00")) == (rest.empty, rest.total)


class TestTheRest:
    def test_shipping_and_tax(self) -> None:
        """Shipping stays until the last of the goods; the tax goes with what it is on."""
        of = order(Line("a", total="30.00"), Line("b", total="10.00"), shipping="10.00", tax="5.00")
        rest = remains(of, [refund(1, {"a": 1})], "USD")
        assert (D("10.00"), D("2.00"), D("22.00")) == (rest.shipping, rest.tax, rest.total)
        rest = remains(of, [refund(1, {"a": 1}), refund(2, {"b": 1})], "USD")
        assert (D("0.00"), D("0.00"), D("0.00"), True) == (rest.shipping, rest.tax, rest.total, rest.empty)

    def test_included_tax_is_not_counted_twice(self) -> None:
        """A tax that prices include is part of them."""
        of = order(Line("a", total="24.00"), tax="4.00", tax_included=True)
        rest = remains(of, [], "USD")
        assert (D("24.00"), D("4.00")) == (rest.total, rest.tax)

    def test_donations(self) -> None:
        """A donation is neither discounted nor refunded, unless it is named."""
        of = order(Line("a", total="10.00"), Line("d", total="2.00", donation=True), discount="5.00")
        rest = remains(of, [refund(1)], "USD")
        assert (D("2.00"), True) == (rest.total, rest.empty)
        assert D("0.00") == remains(of, [refund(1), refund(2, {"d": 1})], "USD").total

    def test_only_donations(self) -> None:
        """An order of donations alone is not empty to begin with, and a full refund gives nothing back."""
        of = order(Line("d", total="2.00", donation=True))
        assert (False, D("2.00")) == (remains(of, [], "USD").empty, remains(of, [refund(1)], "USD").total)
        assert remains(of, [refund(1, {"d": 1})], "USD").empty

    def test_free_goods_do_not_keep_an_order(self) -> None:
        """When all that was paid for is gone, a free gift that stays does not hold back the shipping."""
        of = order(Line("a", total="10.00"), Line("gift", total="0"), shipping="4.90")
        assert remains(of, [refund(1, {"a": 1})], "USD").empty
        assert not remains(of, [refund(1, {"gift": 1})], "USD").empty

    def test_cancelled(self) -> None:
        """Of a cancelled order nothing is left, whatever was refunded before; too much of that is still an error."""
        of = order(Line("a", 2, total="10.00"), shipping="4.90", state="cancelled", tenders=points(100, worth="1.00"))
        assert (D("0.00"), True) == (remains(of, [], "USD").total, remains(of, [], "USD").empty)
        assert D("0.00") == remains(of, [refund(1, {"a": 1})], "USD").total
        assert (D("13.90"), 100) == (returned(of, [], "USD").cash, returned(of, [], "USD").points)
        with pytest.raises(RefundTooLarge):
            remains(of, [refund(1, {"a": 3})], "USD")

    def test_goods_above_the_discount(self) -> None:
        """With ``gross_line_first`` the discount stays: where it is more than the rest, nothing more is owed."""
        of = order(Line("a", total="10.00"), Line("b", total="10.00"), discount="15.00")
        rest = remains(of, [refund(1, {"a": 1})], "USD", "gross_line_first")
        assert (D("0.00"), False) == (rest.total, rest.empty)

    def test_gift_cards_before_points(self) -> None:
        """With ``gross_line_first`` money goes back first, gift cards next, points last."""
        of = order(Line("a", 3, total="30.00"), tenders=[points(100, worth="10.00"), gift_card("10.00"), cash("10.00")])
        gone = returned(of, [refund(1, {"a": 2})], "USD", "gross_line_first")
        assert [D("0.00"), D("10.00"), D("10.00")] == [tender.amount for tender in gone.tenders]

    def test_points_without_a_worth(self) -> None:
        """Points that stood for no money come back with the part of the order that came back."""
        of = order(Line("a", 2, total="30.00"), tenders=points(101, worth="0"))
        assert [returned(of, [refund(i, {"a": 1}) for i in range(n)], "USD").points for n in (0, 1, 2)] == [0, 50, 101]

    def test_points_are_rounded_down_until_the_last(self) -> None:
        """Of 101 points half are 50; the last part gives back the rest."""
        of = order(Line("a", 2, total="30.00"), tenders=points(101, worth="10.00"))
        assert [returned(of, [refund(i, {"a": 1}) for i in range(n)], "USD").points for n in (0, 1, 2)] == [0, 50, 101]

    def test_units(self) -> None:
        """`Returned.points` counts the unit ``points`` alone, and the parts keep their key and unit."""
        of = order(Line("a", total="3.00"), tenders=[points(5, "1.00", unit="stamps"), points(7, "1.00", key="h")])
        gone = returned(of, [refund(1)], "USD")
        assert (gone.points, gone.tenders[0].unit, gone.tenders[1].key) == (7, "stamps", "h")
        assert D("2.00") == gone.amount("points")

    def test_weighed_goods_are_rounded_to_cents(self) -> None:
        """A price that does not end in whole cents is rounded, half up, as tills do."""
        of = order(Line("ham", "1.25", unit_price="3.99"))
        assert D("4.99") == remains(of, [], "USD").total == returned(of, [refund(1)], "USD").cash

    @pytest.mark.parametrize(
        ("kwargs", "error"),
        [
            ({"order": "2"}, InputError),
            ({"currency": "EUR"}, WrongCurrency),
        ],
    )
    def test_refunds_of_something_else(self, kwargs: dict[str, Any], error: type[Exception]) -> None:
        """A refund of another order, or in another currency, is an error."""
        fields = {"id": "r", "member": "ann", "order": "1", "at": AT, **kwargs}
        with pytest.raises(error):
            remains(order(Line("a", total="1.00")), [Refund(**fields)], "USD")

    def test_an_order_in_another_currency(self) -> None:
        """An order in another currency than the program's is an error; yen have no cents."""
        with pytest.raises(WrongCurrency):
            remains(order(Line("a", total="1.00"), currency="EUR"), [], "USD")
        assert D("150") == remains(order(Line("a", total="150"), currency="JPY"), [], "JPY").goods
