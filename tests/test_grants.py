"""Benefits, grants and decisions: what they hold, what limits them, when they are live, and their plain-data form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit import wire
from loyaltykit.errors import InputError
from loyaltykit.grants import (
    Benefit,
    Decision,
    Grant,
    amount_off,
    bonus_points,
    free_shipping,
    keyed,
    percent_off,
    perk,
)

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)

COUNTRIES = st.lists(st.sampled_from(["US", "CA", "DE"]), min_size=1, max_size=3).map("|".join)
WEIGHTS = st.sampled_from(["0", "1.5", "2", "2.50", "10"])
LIMITS = st.fixed_dictionaries(
    {}, optional={"country": COUNTRIES, "max_weight": WEIGHTS, "min_total": WEIGHTS, "method": st.just("standard")}
)
USES = st.none() | st.integers(1, 3)
SHIPPING = st.builds(lambda limits, uses: free_shipping(uses=uses, **limits), LIMITS, USES)
BENEFITS = st.one_of(
    SHIPPING,
    st.sampled_from([perk("early access"), bonus_points(500), percent_off("12.5"), amount_off("5.00", country="US")]),
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "country": st.sampled_from(["US", "CA", "DE", "FR"]),
        "weight": WEIGHTS,
        "total": WEIGHTS,
        "method": st.sampled_from(["standard", "express"]),
    },
)
MOMENTS = st.integers(0, 9).map(lambda hours: AT + timedelta(hours=hours))
GRANTS = st.builds(
    lambda benefit, starts, length, revoked: Grant(
        benefit, "ann", "membership", "m:1", starts, None if length is None else starts + length, revoked_at=revoked
    ),
    BENEFITS,
    MOMENTS,
    st.none() | st.integers(0, 5).map(lambda hours: timedelta(hours=hours)),
    st.none() | MOMENTS,
)


# ---------------------------------------------------------------- benefits


@given(SHIPPING, SHIPPING, GIVEN)
def test_what_covers_another_holds_wherever_that_holds(wide: Benefit, narrow: Benefit, given_: dict[str, Any]) -> None:
    """A benefit covers another only if it holds wherever, and as often as, the other does."""
    if wide.covers(narrow):
        assert narrow.unmet(given_) or not wide.unmet(given_)
        assert wide.uses is None or (narrow.uses is not None and narrow.uses <= wide.uses)


@given(BENEFITS, BENEFITS)
def test_covering_is_an_order(one: Benefit, other: Benefit) -> None:
    """A benefit covers itself, and one of another kind never."""
    assert one.covers(one)
    assert one.name == other.name or not one.covers(other)


@given(SHIPPING, GIVEN)
def test_what_is_not_said_keeps_no_limit(benefit: Benefit, given_: dict[str, Any]) -> None:
    """The less is known of a delivery, the fewer limits are kept: nothing is promised that may not hold."""
    assert set(benefit.unmet(given_)) <= set(benefit.unmet({}))
    assert len(benefit.limits) == len(benefit.unmet({}))


def test_limits() -> None:
    """Words are compared as they are, one of several is enough, and a number may be exactly the most or the least."""
    benefit = free_shipping(method="standard", country="US|CA", max_weight="2.5", min_total="50")
    good = {"method": "standard", "country": "CA", "weight": "2.5", "total": D("50.00"), "colour": "red"}
    assert () == benefit.unmet(good)
    assert ("country US or CA",) == benefit.unmet({**good, "country": "us"})
    assert ("method standard",) == benefit.unmet({**good, "method": None})
    assert ("weight at most 2.5",) == benefit.unmet({**good, "weight": "2.501"})
    assert ("total at least 50",) == benefit.unmet({**good, "total": "49.99"})


def test_a_benefit_says_itself() -> None:
    """A benefit is said in the words of a shop front, with its limits and uses."""
    assert "free shipping (country US or CA, weight at most 2.5)" == str(
        free_shipping(country="US|CA", max_weight="2.5")
    )
    assert "free shipping, once" == str(free_shipping(uses=1))
    assert "free shipping, 1,000 times" == str(free_shipping(uses=1000))
    assert "12.5% off an order" == str(percent_off("12.5"))
    assert "5.00 off the next purchase" == str(amount_off("5.00", "the next purchase"))
    assert "1,500 points" == str(bonus_points(1500))


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("benefit.name", lambda: perk("")),
        ("benefit.kind", lambda: Benefit("x", "magic")),  # type: ignore[arg-type]
        ("benefit.percent", lambda: percent_off(101)),
        ("benefit.percent", lambda: percent_off(0)),
        ("benefit.worth", lambda: amount_off("0")),
        ("benefit.worth", lambda: amount_off(1.5)),
        ("benefit.points", lambda: bonus_points(-1)),
        ("benefit.uses", lambda: free_shipping(uses=0)),
        ("benefit.limits", lambda: free_shipping(country=5)),  # type: ignore[arg-type]
        ("benefit.limits.max_weight", lambda: free_shipping(max_weight="heavy")),
        ("weight", lambda: free_shipping(max_weight="2").unmet({"weight": 1.5})),
        ("country", lambda: free_shipping(country="US").unmet({"country": 5})),
        ("name", lambda: keyed("name")("a:b")),
        ("name", lambda: keyed("name")(5)),
    ],
)
def test_a_benefit_that_makes_no_sense_is_refused(field: str, make: Any) -> None:
    """What no benefit can be is refused, by the name of the field."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


# ---------------------------------------------------------------- grants and decisions


@given(GRANTS, st.integers(-1, 12), st.integers(-1, 1))
def test_a_grant_is_live_from_its_start_until_it_is_over(grant: Grant, hours: int, ticks: int) -> None:
    """A grant is live from its start, inclusive, until its end or its revocation, exclusive."""
    at = AT + timedelta(hours=hours) + ticks * TICK
    over = [each for each in (grant.ends, grant.revoked_at) if each is not None and each <= at]
    assert (grant.starts <= at and not over) == grant.live(at)
    assert (grant.until is not None and grant.until <= at) == bool(over)


def test_a_grant_goes_by_the_instant() -> None:
    """Instants of any zone are compared as instants, in the repeated hour too."""
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=fold) for fold in (0, 1))
    grant = Grant(free_shipping(), "ann", "membership", "m:1", AT, second)
    assert grant.live(first)
    assert not grant.live(second)
    assert grant == attrs.evolve(grant, ends=second.astimezone(UTC))


def test_a_decision_is_due_until_its_end() -> None:
    """A decision is due from its instant, inclusive, until its end, exclusive; without one however late."""
    decision = Decision("offer", "ann", "offer:lamp:ann", AT, AT + timedelta(hours=1))
    assert [False, True, True, False] == [
        decision.is_due(each) for each in (AT - TICK, AT, AT + timedelta(hours=1) - TICK, AT + timedelta(hours=1))
    ]
    assert attrs.evolve(decision, ends=None).is_due(datetime(2126, 1, 1, tzinfo=UTC))


def test_a_key_may_be_longer_than_the_names_in_it() -> None:
    """Names of 200 characters go into a key; a key without end is refused."""
    assert Decision("x", "m" * 200, f"badge:{'n' * 200}:{'m' * 200}", AT).key.endswith("m")
    for key in ("", "k" * 1001, "a\nb", None):
        with pytest.raises(InputError, match=r"grant\.key"):
            Grant(perk("x"), "ann", "membership", key, AT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("grant.benefit", {"benefit": "free shipping"}),
        ("grant.member", {"member": ""}),
        ("grant.source", {"source": None}),
        ("grant.starts", {"starts": datetime(2026, 3, 2)}),
        ("grant.ends", {"ends": AT - TICK}),
        ("grant.revoked_at", {"revoked_at": "today"}),
    ],
)
def test_a_grant_that_cannot_be_is_refused(field: str, changes: dict[str, Any]) -> None:
    """What no grant can be is refused, by the name of the field."""
    with pytest.raises(InputError) as caught:
        attrs.evolve(Grant(perk("x"), "ann", "membership", "m:1", AT), **changes)
    assert field == caught.value.field


@given(GRANTS)
def test_they_are_plain_data(grant: Grant) -> None:
    """Grants, benefits and decisions are written as JSON and read back equal."""
    decision = Decision("offer", "ann", "k", grant.starts, benefit=grant.benefit, data={"b": "1", "a": "2"})
    for value in (grant, grant.benefit, decision):
        assert value == wire.loads(type(value), wire.dumps(value))


def test_a_grant_reads_like_one() -> None:
    """What goes without saying is left out of the data."""
    assert {
        "benefit": {"name": "free shipping", "kind": "free_shipping", "limits": {"country": "US"}, "uses": 2},
        "member": "ann",
        "source": "membership",
        "key": "m:1",
        "starts": "2026-03-02T09:30:00Z",
    } == wire.to_data(Grant(free_shipping(uses=2, country="US"), "ann", "membership", "m:1", AT))
