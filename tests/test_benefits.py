"""Who holds which benefit, what only some hold, and what shipping costs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit import wire
from loyaltykit.benefits import Entitlement, ShippingFee, exclusive, held, lint_exclusive, shipping_fee
from loyaltykit.calendar import day_start, through
from loyaltykit.errors import InputError
from loyaltykit.grants import Benefit, Grant, bonus_points, free_shipping, percent_off, perk

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NEW_YORK = "America/New_York"

BENEFITS = [
    perk("video"),
    perk("music"),
    free_shipping(),
    free_shipping(country="US"),
    free_shipping(method="standard", max_weight="2"),
    free_shipping(uses=1),
    free_shipping(uses=2, country="US"),
    percent_off(10),
    bonus_points(100),
]
HOURS = st.integers(0, 12).map(lambda hours: timedelta(hours=hours))


@st.composite
def grants(draw: st.DrawFn, member: str = "ann") -> Grant:
    """A grant that begins and perhaps ends within half a day."""
    starts = AT + draw(HOURS)
    ends = draw(st.none() | HOURS)
    return Grant(
        draw(st.sampled_from(BENEFITS)),
        member,
        draw(st.sampled_from(["membership", "trial", "tier status: Gold"])),
        f"key {draw(st.integers(0, 99))}",
        starts,
        None if ends is None else starts + ends,
        revoked_at=draw(st.none() | HOURS.map(lambda after: AT + after)),
    )


def unique(found: list[Grant]) -> list[Grant]:
    """Return grants of which no two have one key."""
    return list({grant.key: grant for grant in found}.values())


SOME = st.lists(grants(), max_size=8).map(unique)
MOMENTS = st.tuples(HOURS, st.integers(-1, 1)).map(lambda each: AT + each[0] + each[1] * TICK)


def grant(source: str, benefit: Benefit | None = None, **others: Any) -> Grant:
    """Return a grant of free shipping."""
    return Grant(benefit or free_shipping(), "ann", source, **{"key": source, "starts": AT, **others})


# ---------------------------------------------------------------- who holds what


@given(SOME, MOMENTS)
def test_held_is_the_union_of_the_live_grants(some: list[Grant], at: datetime) -> None:
    """Each benefit with a live grant is held once, with all its live grants, and nothing else is."""
    found = held(some, at)
    live = [each for each in some if each.live(at)]
    assert {each.benefit for each in live} == {each.benefit for each in found}
    assert len({each.benefit for each in found}) == len(found)
    assert sorted(live, key=lambda each: each.key) == sorted(
        (each for entry in found for each in entry.grants), key=lambda each: each.key
    )


@given(SOME, MOMENTS, st.randoms())
def test_order_and_repetition_make_no_difference(some: list[Grant], at: datetime, random: Any) -> None:
    """The same grants, in another order, some of them twice, give the same answer."""
    others = some + some[:3]
    random.shuffle(others)
    assert held(some, at) == held(others, at)
    assert shipping_fee("7.90", some, at, country="US") == shipping_fee("7.90", others, at, country="US")


@given(SOME, MOMENTS)
def test_a_benefit_is_held_without_a_break_until_its_end(some: list[Grant], at: datetime) -> None:
    """From now until the end that is told a benefit is held at every instant, and no longer at the end itself."""
    for entry in held(some, at):
        edges = [each for grant in some for each in (grant.starts, grant.ends, grant.revoked_at) if each is not None]
        for edge in edges:
            for moment in (edge - TICK, edge, edge + TICK):
                if moment >= at and (entry.until is None or moment < entry.until):
                    assert entry.benefit in {each.benefit for each in held(some, moment)}
        if entry.until is not None:
            assert entry.benefit not in {each.benefit for each in held(some, entry.until)}
            ends = [each.until for each in entry.grants]
            assert None not in ends
            assert entry.until >= max(each for each in ends if each is not None)


def test_a_benefit_of_two_sources() -> None:
    """What two sources give is held once, until the later of them ends, and lives on when one of them ends."""
    year, plus = grant("threshold", ends=AT + timedelta(10)), grant("membership", ends=AT + timedelta(20))
    (entry,) = held([year, plus], AT)
    assert (("membership", "threshold"), plus.ends) == (entry.sources, entry.until)
    assert "free shipping from membership and threshold, through 2026-03-22" == entry.says("UTC")
    (entry,) = held([year, plus], AT + timedelta(10))
    assert ("membership",) == entry.sources
    assert () == held([year, plus], AT + timedelta(20))


def test_a_renewal_prolongs() -> None:
    """A membership that goes on where the old one ends is held until the new one ends; after a gap it is not."""
    first = grant("membership", key="1", ends=AT + timedelta(10))
    second = grant("membership", key="2", starts=AT + timedelta(10), ends=AT + timedelta(20))
    late = grant("membership", key="3", starts=AT + timedelta(20) + TICK)
    assert [AT + timedelta(20)] == [each.until for each in held([late, second, first], AT)]
    assert [None] == [each.until for each in held([late], AT + timedelta(21))]
    assert "free shipping from membership" == held([late], AT + timedelta(21))[0].says(NEW_YORK)


def test_the_last_day_is_that_of_the_zone() -> None:
    """What lasts through a local day is held to the end of it, and its last day is that day in that zone."""
    perks = [grant("membership", perk("video"), ends=through(date(2026, 3, 31), NEW_YORK))]
    (entry,) = held(perks, AT)
    assert date(2026, 3, 31) == entry.last_day(NEW_YORK)
    assert date(2026, 4, 1) == entry.last_day("UTC")
    assert held(perks, datetime(2026, 4, 1, 3, 59, tzinfo=UTC))
    assert not held(perks, datetime(2026, 4, 1, 4, tzinfo=UTC))


def test_members_are_kept_apart() -> None:
    """Of the grants of many members, each member's are told."""
    other = Grant(free_shipping(), "bo", "trial", "t:bo", AT)
    assert [("ann", ("membership",)), ("bo", ("trial",))] == [
        (each.member, each.sources) for each in held([other, grant("membership")], AT)
    ]


def test_what_left_the_terms() -> None:
    """What was granted is held until it ends, unless the terms of today are asked for."""
    some = [grant("membership", perk("video")), grant("membership", perk("music"), key="2")]
    assert ["music", "video"] == [str(each.benefit) for each in held(some, AT)]
    assert ["music"] == [str(each.benefit) for each in held(some, AT, terms=[perk("music")])]
    assert ["music"] == [str(each.benefit) for each in held(some, AT, terms=perk("music"))]


def test_what_is_used_up_is_not_held() -> None:
    """A grant whose uses are used up is no longer held; another of the same benefit is."""
    some = [grant("reward", free_shipping(uses=2), key="r1"), grant("reward", free_shipping(uses=2), key="r2")]
    assert [2] == [len(each.grants) for each in held(some, AT, used={"r1": 1})]
    assert [("r2",)] == [tuple(each.key for each in entry.grants) for entry in held(some, AT, used={"r1": 2})]
    assert () == held(some, AT, used={"r1": 2, "r2": 3})


# ---------------------------------------------------------------- what only some hold


@given(st.lists(st.sampled_from(BENEFITS)), st.lists(st.sampled_from(BENEFITS)))
def test_exclusive_is_what_others_have_not(vip: list[Benefit], everyone: list[Benefit]) -> None:
    """The exclusive benefits are VIPs' own, each once, sorted; what nobody else has is exclusive, what all have not."""
    found = exclusive(vip, everyone)
    assert [*dict.fromkeys(found)] == [*found]
    assert set(found) <= set(vip) - set(everyone)
    assert sorted(each.name for each in found) == [each.name for each in found]
    assert found == exclusive(reversed(vip), everyone)
    assert set(vip) == set(exclusive(vip, []))
    assert () == exclusive(vip, [*everyone, *vip])
    assert bool(found) == (lint_exclusive(vip, everyone) == [])


def test_perks_that_others_cannot_get() -> None:
    """Of a member price that all have, VIPs have nothing more; video, music and fast shipping are theirs alone."""
    found = exclusive({"two-day shipping", "video", "music", "member price"}, {"member price"})
    assert ["music", "two-day shipping", "video"] == [str(each) for each in found]
    assert () == exclusive({"member price"}, {"member price"})
    assert (perk("video"),) == exclusive("video", perk("music"))


def test_a_narrower_benefit_is_not_exclusive() -> None:
    """What others have everywhere is not exclusive in one country; what they have in one country is, everywhere."""
    assert () == exclusive(free_shipping(country="US"), free_shipping())
    assert () == exclusive(free_shipping(country="US", uses=1), free_shipping(country="US|CA"))
    assert () == exclusive(free_shipping(max_weight="2"), free_shipping(max_weight="5"))
    assert (free_shipping(),) == exclusive(free_shipping(), free_shipping(country="US"))
    assert (free_shipping(uses=3),) == exclusive(free_shipping(uses=3), free_shipping(uses=2))


def test_an_empty_exclusive_set_is_remarked() -> None:
    """A tier that has nothing of its own is named."""
    assert ["VIP has no benefit that others do not have"] == lint_exclusive([], [])
    assert ["tier 'Gold' has no benefit that others do not have"] == lint_exclusive("a", {"a", "b"}, "tier 'Gold'")
    assert [] == lint_exclusive("a", "b")


@pytest.mark.parametrize("wrong", [5, [5], [""], None])
def test_exclusive_refuses_what_is_no_benefit(wrong: Any) -> None:
    """What is neither a benefit nor a name is refused."""
    with pytest.raises(InputError, match="everyone="):
        exclusive([], wrong)


# ---------------------------------------------------------------- shipping


@given(SOME, MOMENTS, st.sampled_from([{}, {"country": "US"}, {"method": "standard", "weight": "1"}]))
def test_one_source_is_enough(some: list[Grant], at: datetime, given_: dict[str, str]) -> None:
    """Shipping is free exactly if a live source holds for the delivery; else it costs what it costs."""
    found = shipping_fee("7.90", some, at, **given_)
    fits = [
        each
        for each in some
        if each.live(at) and each.benefit.kind == "free_shipping" and not each.benefit.unmet(given_)
    ]
    assert (D("0.00") if fits else D("7.90")) == found.fee
    if fits:
        chosen = next(each for each in fits if each.key == found.grant)
        assert (chosen.source, ()) == (found.reason, found.missed)
        unlimited = [each for each in fits if each.benefit.uses is None]
        assert found.uses_up == (not unlimited)
        rivals = unlimited or fits
        assert chosen in rivals
        ends = [each.until for each in rivals if each.until is not None]
        assert (min(ends) if ends else None) == chosen.until
    else:
        assert ("standard", None, False) == (found.reason, found.grant, found.uses_up)
        assert {each.key for each in some if each.benefit.kind == "free_shipping"} == {key for key, _ in found.missed}
    assert D("7.90") == found.fee + found.saved


@given(st.lists(grants().filter(lambda each: each.benefit.uses is not None), max_size=6).map(unique), MOMENTS)
def test_no_grant_is_used_more_often_than_it_may_be(some: list[Grant], at: datetime) -> None:
    """Orders that come one after the other use each grant at most as often as it says, and all of them in the end."""
    used: dict[str, int] = {}
    for _ in range(20):
        found = shipping_fee("7.90", some, at, country="US", used=used)
        if found.grant is None:
            break
        used[found.grant] = used.get(found.grant, 0) + 1
    live = {each.key: each.benefit.uses for each in some if each.live(at)}
    assert live == used


def test_free_through_the_last_day() -> None:
    """Free shipping for the rest of the year holds on 31 December to its last instant, and not on 1 January."""
    year = grant(
        "year_threshold", starts=day_start(date(2024, 8, 15), NEW_YORK), ends=through(date(2024, 12, 31), NEW_YORK)
    )
    midnight = datetime(2025, 1, 1, 5, tzinfo=UTC)
    found = shipping_fee("7.90", [year], midnight - TICK)
    assert (D("0.00"), "year_threshold", "0.00") == (found.fee, found.reason, str(found.fee))
    assert "free shipping (year_threshold)" == str(found)
    found = shipping_fee("7.90", [year], midnight)
    assert (D("7.90"), "standard", (("year_threshold", "ended"),)) == (found.fee, found.reason, found.missed)
    assert "$7.90 shipping (standard)" == str(found)


def test_scarce_sources_are_spared() -> None:
    """A source without a number of uses goes first, then what ends first, then what has the most limits and uses."""
    plus, one, two = grant("membership"), grant("reward", free_shipping(uses=1)), grant("won", free_shipping(uses=1))
    found = shipping_fee(5, [one, plus], AT)
    assert ("membership", False) == (found.reason, found.uses_up)
    soon = grant("trial", free_shipping(uses=1), ends=AT + timedelta(1))
    found = shipping_fee(5, [one, soon], AT)
    assert ("trial", True) == (found.reason, found.uses_up)
    assert "membership" == shipping_fee(5, [soon, plus], AT).reason
    home = grant("home", free_shipping(uses=1, country="US"))
    assert "home" == shipping_fee(5, [one, home], AT, country="US").reason
    many = grant("zeal", free_shipping(uses=3))
    assert "zeal" == shipping_fee(5, [one, many], AT).reason
    assert "reward" == shipping_fee(5, [one, many], AT, used={"zeal": 3}).reason
    assert "reward" == shipping_fee(5, [two, one], AT).reason
    assert "won" == shipping_fee(5, [two, grant("reward", starts=AT + TICK, benefit=free_shipping(uses=1))], AT).reason


def test_limits_of_the_delivery() -> None:
    """A source for one method, country or weight holds there alone, and the reason for the others is told."""
    some = [grant("membership", free_shipping(method="standard", country="US|CA", max_weight="2.5"))]
    good = {"method": "standard", "country": "CA", "weight": "2.5"}
    assert D(0) == shipping_fee("7.90", some, AT, **good).fee
    for change, why in [
        ({"method": "express"}, "only for method standard"),
        ({"country": "DE"}, "only for country US or CA"),
        ({"country": None}, "only for country US or CA"),
        ({"weight": D("2.6"), "method": "express"}, "only for weight at most 2.5, method standard"),
    ]:
        found = shipping_fee("7.90", some, AT, **{**good, **change})
        assert (D("7.90"), (("membership", why),)) == (found.fee, found.missed)
    early = shipping_fee("7.90", [grant("trial", starts=AT + TICK)], AT)
    assert (("trial", "not begun"),) == early.missed
    spent = shipping_fee("7.90", [grant("reward", free_shipping(uses=1))], AT, used={"reward": 1})
    assert (("reward", "used up"),) == spent.missed


def test_other_benefits_do_not_pay_for_shipping() -> None:
    """A perk, points and percents off have nothing to do with the fee."""
    found = shipping_fee("7.90", [grant("membership", each) for each in (perk("video"), percent_off(10))], AT)
    assert (D("7.90"), ()) == (found.fee, found.missed)


def test_where_nothing_is_due_nothing_is_used() -> None:
    """A delivery that costs nothing uses up no grant."""
    found = shipping_fee(0, [grant("reward", free_shipping(uses=1))], AT)
    assert (D(0), "standard", False, None) == (found.fee, found.reason, found.uses_up, found.grant)
    assert "free shipping (standard)" == str(found)


@pytest.mark.parametrize(
    ("fee", "currency", "shown", "free"),
    [("500", "JPY", "500", "0"), ("7.9", "USD", "7.90", "0.00"), ("1.250", "KWD", "1.250", "0.000")],
)
def test_the_fee_has_the_decimals_of_its_currency(fee: str, currency: str, shown: str, free: str) -> None:
    """A fee in yen has no decimals, one in dinars three, also where it is nothing."""
    assert shown == str(shipping_fee(fee, [], AT, currency=currency).fee)
    assert free == str(shipping_fee(fee, [grant("membership")], AT, currency=currency).fee)


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("fee", lambda: shipping_fee(7.9, [], AT)),
        ("fee", lambda: shipping_fee("-1", [], AT)),
        ("fee", lambda: shipping_fee("7.905", [], AT)),
        ("fee", lambda: shipping_fee("500.5", [], AT, currency="JPY")),
        ("fee", lambda: shipping_fee(None, [], AT)),
        ("currency", lambda: shipping_fee("7.90", [], AT, currency="dollar")),
        ("at", lambda: shipping_fee("7.90", [], datetime(2026, 3, 2))),
        ("grants[1]", lambda: shipping_fee("7.90", [grant("x"), "membership"], AT)),  # type: ignore[list-item]
        ("grants", lambda: shipping_fee("7.90", "membership", AT)),  # type: ignore[arg-type]
        ("grants", lambda: shipping_fee("7.90", [grant("x"), Grant(free_shipping(), "bo", "x", "y", AT)], AT)),
        ("used.x", lambda: shipping_fee("7.90", [], AT, used={"x": -1})),
        ("used", lambda: shipping_fee("7.90", [], AT, used=["x"])),  # type: ignore[arg-type]
        ("weight", lambda: shipping_fee("7.90", [grant("x", free_shipping(max_weight="2"))], AT, weight=1.5)),
        ("at", lambda: held([], date(2026, 3, 2))),  # type: ignore[arg-type]
        ("benefits[0]", lambda: held([], AT, terms=["video"])),  # type: ignore[list-item]
    ],
)
def test_what_cannot_be_decided_is_refused(field: str, make: Any) -> None:
    """What is no money, no instant, no grant of the one who orders is refused, by name."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


@given(SOME, MOMENTS)
def test_decisions_are_plain_data(some: list[Grant], at: datetime) -> None:
    """Entitlements and fees are written as JSON and read back equal."""
    fee = shipping_fee("7.90", some, at)
    assert fee == wire.loads(ShippingFee, wire.dumps(fee))
    for entry in held(some, at):
        assert entry == wire.loads(Entitlement, wire.dumps(entry))
