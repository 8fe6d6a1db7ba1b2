"""Habits by name: each is exactly the comparisons that its docstring says."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from histories import INSTANTS, bought as order, histories, utc
from hypothesis import given, strategies as st

from loyaltykit.calendar import days, from_us, local_date, months, to_us, weeks
from loyaltykit.conditions import Condition, leaves
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Fact, Line, Order, Refund
from loyaltykit.habits import (
    active,
    bought,
    did,
    first_time_buyer,
    has_not,
    lapsed,
    never,
    one_time_buyer,
    prospect,
    regularly,
    repeat_buyer,
    restarted,
    reviewed,
    stopped,
    used_code,
)
from loyaltykit.history import History
from loyaltykit.matching import category, channel
from loyaltykit.measures import Comparison, activities, balance_of, days_since_last, orders, spend
from loyaltykit.windows import calendar_year
from loyaltykit.wire import dumps, loads

ALL = [
    bought("suede"),
    bought(where=category("coffee"), window=months(6)),
    used_code("WELCOME10"),
    did("visit", months(1), times=3),
    reviewed("mug"),
    never(orders()),
    has_not(activities("visit"), weeks(5)),
    stopped(spend(), months(12), months(3)),
    restarted(90, 30),
    regularly(3, 6),
    prospect(),
    first_time_buyer(30),
    one_time_buyer(),
    repeat_buyer(),
    active(months(3)),
    lapsed(days(90)),
]


def past(*days_of: str) -> History:
    """Return a history of orders on these days."""
    return History([order(str(place), day, 10) for place, day in enumerate(days_of)])


class TestMeaning:
    @given(histories(), INSTANTS)
    def test_buyers_are_prospects_or_bought_once_or_more(self, history: History, at: Any) -> None:
        """Everybody is exactly one of prospect, one-time buyer and repeat buyer; a buyer is active or has lapsed."""
        assert 1 == sum(each.matches(history, at) for each in (prospect(), one_time_buyer(), repeat_buyer()))
        buyer = not prospect().matches(history, at)
        assert buyer == bought().matches(history, at)
        assert buyer == (lapsed(days(90)).matches(history, at) + active(days(90)).matches(history, at) == 1)

    @given(histories(), INSTANTS, st.integers(1, 60), st.integers(1, 60))
    def test_to_come_back_one_has_to_have_been_away(self, history: History, at: Any, pause: int, recent: int) -> None:
        """Restarted: an order in the recent days, none in the pause before, and one before that, by local days."""
        today = local_date(at, history.zone)
        kept = [(today - local_date(placed, history.zone)).days for placed in _kept(history, at)]
        # An order on the very day on which the pause began is before it or in it by the clock: either may be told.
        if recent + pause not in kept:
            expected = (
                any(ago <= recent for ago in kept)
                and not any(recent < ago < recent + pause for ago in kept)
                and any(ago > recent + pause for ago in kept)
            )
            assert expected == restarted(pause, recent).matches(history, at)

    @pytest.mark.parametrize("condition", ALL)
    def test_they_are_plain_conditions(self, condition: Condition) -> None:
        """A habit is made of comparisons, and written as these."""
        assert all(isinstance(leaf, Comparison) for leaf in leaves(condition))
        assert condition == loads(Condition, dumps(condition, Condition))


def _kept(history: History, at: datetime) -> list[datetime]:
    """Return the instants of the orders of which something remains, by what is known."""
    found: Counter[tuple[str, int]] = Counter()
    for sale in history.purchases:
        if sale.known <= to_us(at):
            found[sale.order, sale.at] += sale.present
    return [from_us(placed) for (_, placed), count in found.items() if count > 0]


class TestByHand:
    def test_bought(self) -> None:
        """A product, a category, or both on one line; given back is not bought."""
        lines = [Line("suede", total=40, categories="shoes"), Line("mug", total=9, categories="kitchen")]
        facts: list[Fact] = [Order("1", "ann", utc(2024, 3, 1), lines, channel="web")]
        history, now = History(facts), utc(2024, 3, 9)
        for condition, expected in (
            (bought("suede"), True),
            (bought("boots", "mug"), True),
            (bought("boots"), False),
            (bought(where=category("shoes")), True),
            (bought("mug", where=category("shoes")), False),
            (bought("mug", where=channel("web")), True),
            (bought("suede", window=days(8)), False),
            (bought(), True),
        ):
            assert expected == condition.matches(history, now), str(condition)
        returned = History([*facts, Refund("r", "ann", "1", utc(2024, 3, 2), {"suede": 1})])
        assert (False, True) == (bought("suede").matches(returned, now), bought("mug").matches(returned, now))

    def test_used_code(self) -> None:
        """A code counts in either case, with an order that was kept."""
        history = History([order("1", "2024-03-01", 5, codes="welcome10")])
        assert used_code("WELCOME10").matches(history, utc(2024, 3, 1))
        assert not used_code("SPRING").matches(history, utc(2024, 3, 1))

    def test_stopped_and_never(self) -> None:
        """Who bought in the past year but not in the past 3 months has stopped; who never did has not."""
        now, over = utc(2024, 8, 31), stopped(orders(), months(12), months(3))
        assert over.matches(past("2024-05-31"), now)
        assert not over.matches(past("2024-05-31", "2024-06-01"), now)
        assert not over.matches(past("2023-08-31"), now)
        assert (True, False) == tuple(never(orders()).matches(each, now) for each in (History(), past("2024-05-31")))
        assert has_not(orders(), months(3)).matches(History(), now)

    def test_restarted(self) -> None:
        """90 days away, and back within the past 30."""
        now, back = utc(2024, 8, 31), restarted(90, 30)
        assert back.matches(past("2024-04-01", "2024-08-30"), now)
        assert not back.matches(past("2024-04-01", "2024-07-15", "2024-08-30"), now)
        assert not back.matches(past("2024-08-30"), now)
        assert not back.matches(past("2024-04-01"), now)

    def test_regularly(self) -> None:
        """Orders in 3 different months of the past 6 months; many in one month are one."""
        now = utc(2024, 8, 31)
        assert regularly(3, 6).matches(past("2024-03-02", "2024-05-01", "2024-08-31"), now)
        assert not regularly(3, 6).matches(past("2024-02-29", "2024-05-01", "2024-08-31"), now)
        assert not regularly(3, 6).matches(past("2024-05-01", "2024-05-02", "2024-08-31"), now)
        assert regularly(2, 2, "week").matches(past("2024-08-25", "2024-08-26"), now)
        assert not regularly(7, 6).matches(past(*(f"2024-0{month}-28" for month in range(3, 9))), now)

    def test_first_time_buyers(self) -> None:
        """A first order of 30 local days ago is recent enough, one of 31 is not."""
        now = utc(2024, 8, 31)
        first = [past((now - timedelta(count)).date().isoformat()) for count in (30, 31)]
        assert [True, False] == [first_time_buyer(30).matches(each, now) for each in first]

    def test_lapsed_has_the_far_bound_outside(self) -> None:
        """An order exactly 90 days ago is 90 days without one."""
        now = utc(2024, 8, 31)
        for ago, expected in ((90, True), (89, False)):
            assert expected == lapsed(days(90)).matches(past((now - timedelta(ago)).date().isoformat()), now)
        assert not lapsed(days(90)).matches(History(), now)

    def test_reviews(self) -> None:
        """A review of another product is none of this one."""
        history = History([Activity("1", "ann", "review", utc(2024, 3, 1), product="mug")])
        now = utc(2024, 3, 2)
        assert [True, True, False] == [reviewed(name).matches(history, now) for name in (None, "mug", "pot")]
        assert not did("review", times=2).matches(history, now)
        assert did("review", calendar_year()).matches(history, now)


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "make"),
        [
            ("never.something", lambda: never(days_since_last())),
            ("never.something", lambda: never("orders")),  # type: ignore[arg-type]
            ("has_not.something", lambda: has_not(balance_of(), months(6))),
            ("stopped.something", lambda: stopped(orders() >= 1, months(12), months(3))),  # type: ignore[arg-type]
            ("measure.window", lambda: has_not(orders(), "lately")),  # type: ignore[arg-type]
            ("did.times", lambda: did("visit", times=0)),
            ("restarted.pause", lambda: restarted(0, 30)),
            ("restarted.recent", lambda: restarted(90, 0)),
            ("regularly.unit", lambda: regularly(3, 6, "fortnight")),  # type: ignore[arg-type]
            ("regularly.of", lambda: regularly(1, 0)),
            ("regularly.least", lambda: regularly(0, 6)),
            ("regularly.least", lambda: regularly(8, 6)),
            ("first_time_buyer.within", lambda: first_time_buyer(-1)),
            ("repeat_buyer.least", lambda: repeat_buyer(1)),
            ("where.names", used_code),
        ],
    )
    def test_the_field_is_named(self, field: str, make: Any) -> None:
        """What makes no sense as a habit is refused by name."""
        with pytest.raises(InputError) as caught:
            make()
        assert field == caught.value.field
