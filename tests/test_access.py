"""Head starts, private sales, and first dibs on what there is little of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st

from loyaltykit import wire
from loyaltykit.access import Allocation, Launch, Request, first_dibs, invitations, offers, pass_on
from loyaltykit.calendar import days, hours, months
from loyaltykit.errors import InputError
from loyaltykit.grants import Decision

AT = datetime(2024, 6, 10, 9, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NEW_YORK = ZoneInfo("America/New_York")
TOLD = datetime(2024, 6, 1, tzinfo=UTC)

NAMES = ["Gold", "Silver", "dog people", "Bronze"]
GROUPS = st.lists(st.sampled_from(NAMES), max_size=4)
HEAD_STARTS = st.dictionaries(st.sampled_from(NAMES[:3]), st.integers(0, 72) | st.sampled_from([days(2), months(1)]))
INSTANTS = st.integers(-60 * 24 * 40, 60 * 24 * 5).map(lambda minutes: AT + timedelta(minutes=minutes))


@st.composite
def launches(draw: st.DrawFn) -> Launch:
    """A launch with any head starts and policies."""
    starts = draw(HEAD_STARTS)
    frozen = draw(st.booleans())
    return Launch(
        "summer",
        AT,
        starts,
        private=bool(starts) and draw(st.booleans()),
        ends=draw(st.none() | st.just(AT + timedelta(3))),
        membership="frozen" if frozen else "live",
        announced_at=TOLD if frozen else None,
    )


# ---------------------------------------------------------------- launches


@given(launches(), GROUPS, INSTANTS)
def test_open_from_the_opening_until_the_end(launch: Launch, groups: list[str], at: datetime) -> None:
    """One may buy from one's opening, inclusive, until the end, exclusive, and at no other time."""
    opens = launch.opens_at(groups, NEW_YORK)
    assert launch.may_buy(at, groups, NEW_YORK) == (
        opens is not None and opens <= at and (launch.ends is None or at < launch.ends)
    )
    if opens is not None:
        assert opens <= launch.at
        assert launch.may_buy(opens, groups, NEW_YORK)
        assert not launch.may_buy(opens - TICK, groups, NEW_YORK)


@given(launches(), GROUPS, st.sampled_from(NAMES))
def test_more_groups_never_open_later(launch: Launch, groups: list[str], more: str) -> None:
    """Who holds one more tier or segment waits no longer for it."""
    before, after = launch.opens_at(groups, NEW_YORK), launch.opens_at([*groups, more], NEW_YORK)
    assert before is None or (after is not None and after <= before)


@given(launches(), GROUPS)
def test_a_private_launch_never_opens_for_others(launch: Launch, groups: list[str]) -> None:
    """A private launch is for those with a head start; any other is for all, at the latest when it is launched."""
    named = {name for name, _ in launch.head_starts} & set(groups)
    assert (launch.private and not named) == (launch.opens_at(groups, NEW_YORK) is None)


def test_forty_eight_hours_earlier() -> None:
    """With 48 hours of head start one may buy at 9:00 two days before, and not at 8:59."""
    launch = Launch("summer", AT, {"Gold": 48})
    assert launch.may_buy(datetime(2024, 6, 8, 9, tzinfo=UTC), ["Gold"])
    assert not launch.may_buy(datetime(2024, 6, 8, 8, 59, tzinfo=UTC), ["Gold"])
    assert not launch.may_buy(datetime(2024, 6, 8, 9, tzinfo=UTC))
    assert launch.may_buy(AT)
    assert not launch.may_buy(AT - TICK, "Silver")


def test_the_best_of_several_head_starts() -> None:
    """Who holds several tiers and segments has the earliest of their openings."""
    launch = Launch("summer", AT, {"Silver": 24, "Gold": 48, "dog people": hours(36)})
    assert AT - timedelta(hours=36) == launch.opens_at(["Silver", "dog people"])
    assert AT - timedelta(hours=48) == launch.opens_at(NAMES)


def test_hours_are_elapsed_and_days_are_local() -> None:
    """Where clocks go forward, a day of head start has 23 hours; 24 hours are 24 hours."""
    launch = datetime(2026, 3, 8, 9, tzinfo=NEW_YORK)  # clocks went from 2:00 to 3:00 that day
    by_hours, by_days = (Launch("spring", launch, {"Gold": start}) for start in (24, days(1)))
    assert datetime(2026, 3, 7, 13, tzinfo=UTC) == by_hours.opens_at("Gold")
    assert datetime(2026, 3, 7, 13, tzinfo=UTC) == by_hours.opens_at("Gold", NEW_YORK)
    assert datetime(2026, 3, 7, 14, tzinfo=UTC) == by_days.opens_at("Gold", NEW_YORK)
    assert datetime(2026, 3, 7, 9, tzinfo=NEW_YORK) == by_days.opens_at("Gold", "America/New_York")


def test_the_repeated_hour() -> None:
    """Where an hour comes twice, the opening is one of the two instants."""
    launch = Launch("autumn", datetime(2026, 11, 2, 1, 30, tzinfo=NEW_YORK), {"Gold": 24})
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold) for fold in (0, 1))
    assert not launch.may_buy(first, "Gold")
    assert launch.may_buy(second, "Gold")


def test_days_need_a_zone() -> None:
    """A head start in days cannot be counted without a zone; one in hours can."""
    launch = Launch("summer", AT, {"Gold": days(2), "Silver": 24})
    with pytest.raises(InputError, match=r"zone=None: the head start of Gold, 2 days"):
        launch.opens_at(["Gold"])
    assert AT - timedelta(hours=24) == launch.opens_at(["Silver"])


def test_membership_live_or_frozen() -> None:
    """Live, what is held when one buys counts; frozen, what was held at the announcement, whoever left since."""

    def groups(at: datetime) -> Iterable[str]:
        return ["Gold"] if at < datetime(2024, 6, 9, tzinfo=UTC) else []

    live = Launch("summer", AT, {"Gold": 48}, announced_at=TOLD)
    frozen = attrs.evolve(live, membership="frozen")
    before, after = datetime(2024, 6, 8, 12, tzinfo=UTC), datetime(2024, 6, 9, 12, tzinfo=UTC)
    assert [True, False] == [live.may_buy(at, groups) for at in (before, after)]
    assert [True, True] == [frozen.may_buy(at, groups) for at in (before, after)]
    assert (after, TOLD) == (live.judged_at(after), frozen.judged_at(after))
    late = attrs.evolve(frozen, announced_at=datetime(2024, 6, 9, 1, tzinfo=UTC))
    assert not late.may_buy(before, groups)


def test_a_private_sale() -> None:
    """A private sale is for its members from their opening to its end, and for nobody else at any time."""
    sale = Launch("members' night", AT, {"Gold": 0}, private=True, ends=AT + timedelta(hours=5))
    assert sale.may_buy(AT, "Gold")
    assert not sale.may_buy(AT - TICK, "Gold")
    assert not sale.may_buy(AT + timedelta(hours=5), "Gold")
    assert not any(sale.may_buy(AT + timedelta(hours=each), "Silver") for each in range(10))
    assert sale.opens_at("Silver") is None


def test_a_launch_that_is_moved() -> None:
    """A launch that is moved moves every head start, and is announced anew under another key."""
    launch = Launch("summer", AT, {"Gold": 48}, membership="frozen", announced_at=TOLD)
    moved = attrs.evolve(launch, at=AT + timedelta(7))
    assert AT + timedelta(5) == moved.opens_at("Gold")
    assert TOLD == moved.judged_at(AT)
    keys = {each.key for version in (launch, moved) for each in invitations(version, {"ann": ["Gold"]})}
    assert {"launch:summer:20240608T090000Z:ann", "launch:summer:20240615T090000Z:ann"} == keys


def test_a_launch_says_itself() -> None:
    """A launch is said in one sentence."""
    assert "summer opens on 2024-06-10 09:00 UTC, Gold 48 hours earlier and Silver 1 day earlier" == str(
        Launch("summer", AT, {"Gold": 48, "Silver": days(1)})
    )
    assert "summer opens on 2024-06-10 09:00 UTC, for Gold only" == str(Launch("summer", AT, {"Gold": 0}, private=True))


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("launch.name", lambda: Launch("a:b", AT)),
        ("launch.at", lambda: Launch("a", datetime(2024, 6, 10))),
        ("launch.head_starts", lambda: Launch("a", AT, {"Gold": -1})),
        ("launch.head_starts", lambda: Launch("a", AT, {"Gold": "48"})),
        ("launch.head_starts", lambda: Launch("a", AT, {"Gold": days(1).to_end_of("month")})),
        ("launch.head_starts", lambda: Launch("a", AT, private=True)),
        ("launch.private", lambda: Launch("a", AT, {"Gold": 1}, private="yes")),
        ("launch.ends", lambda: Launch("a", AT, ends=AT)),
        ("launch.membership", lambda: Launch("a", AT, membership="mixed")),  # type: ignore[arg-type]
        ("launch.announced_at", lambda: Launch("a", AT, membership="frozen")),
        ("launch.announced_at", lambda: Launch("a", AT, announced_at=AT + TICK)),
        ("at", lambda: Launch("a", AT).may_buy(datetime(2024, 6, 10))),
        ("groups", lambda: Launch("a", AT).opens_at([5])),  # type: ignore[list-item]
        ("zone", lambda: Launch("a", AT, {"Gold": days(1)}).opens_at("Gold", "Mars")),
    ],
)
def test_a_launch_that_makes_no_sense_is_refused(field: str, make: Any) -> None:
    """What no launch can be is refused, by the name of the field."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field


@given(launches())
def test_launches_are_plain_data(launch: Launch) -> None:
    """A launch is written as JSON and read back equal."""
    assert launch == wire.loads(Launch, wire.dumps(launch))


# ---------------------------------------------------------------- whom to tell


@given(launches(), st.dictionaries(st.sampled_from(["ann", "bo", "cy"]), GROUPS))
def test_those_with_a_head_start_are_told(launch: Launch, members: dict[str, list[str]]) -> None:
    """Whoever may buy earlier than others is told once, before the head start is over."""
    found = invitations(launch, members, NEW_YORK)
    early = []
    for member, groups in sorted(members.items()):
        opens, others = launch.opens_at(groups, NEW_YORK), launch.opens_at((), NEW_YORK)
        if opens is not None and (others is None or opens < others):
            early.append(member)
    assert early == [each.member for each in found]
    assert len({each.key for each in found}) == len(found)
    for each in found:
        opens = launch.opens_at(members[each.member], NEW_YORK)
        assert opens is not None
        assert dict(each.data)["opens"] == opens.isoformat()
        assert (launch.announced_at or opens) == each.due
        assert (launch.ends if launch.private else launch.at) == each.ends
        assert each == wire.loads(Decision, wire.dumps(each))


def test_nobody_is_told_too_late() -> None:
    """Of a launch that is announced when it is open for all, or over before one's turn, nobody is told."""
    launch = Launch("summer", AT, {"Gold": 48, "Silver": 0}, announced_at=AT)
    assert () == invitations(launch, {"ann": ["Gold"], "bo": ["Silver"]})
    assert () == invitations(Launch("summer", AT, {"Silver": 0}, announced_at=TOLD), {"bo": ["Silver"]})
    assert () == invitations(attrs.evolve(launch, announced_at=None), {"cy": []})
    (told,) = invitations(Launch("x", AT + TICK, {"Gold": 0}, private=True), {"ann": "Gold"})
    assert ("launch:x:20240610T090000.000001Z:ann", None) == (told.key, told.ends)


# ---------------------------------------------------------------- first dibs

RANKS = {"gold": 2, "base": 1}
MEMBERS = ["ann", "bo", "cy", "dee", "eve"]
REQUESTS = st.lists(
    st.builds(
        Request,
        st.sampled_from(MEMBERS),
        st.integers(0, 5).map(lambda minutes: AT + timedelta(minutes=minutes)),
        st.sampled_from(["gold", "base", None]),
    ),
    max_size=12,
)


def at(minute: int) -> datetime:
    """Return that minute after ten."""
    return AT.replace(hour=10, minute=minute)


@given(st.integers(0, 6), REQUESTS)
def test_as_many_units_as_there_are_go_to_the_first_in_line(units: int, requests: list[Request]) -> None:
    """No unit too many, none left while somebody waits, one a member, and nobody before one of a higher rank."""
    found = first_dibs(units, requests, RANKS)
    asked = {each.member for each in requests}
    assert min(units, len(asked)) == len(found.allocated)
    assert sorted(asked) == sorted([*found.allocated, *found.waiting])
    line = {each.member: each for each in found.line}
    order = [(-RANKS.get(line[each].tier or "", -1), line[each].at, each) for each in found.allocated + found.waiting]
    assert sorted(order) == order
    for member, request in line.items():
        assert min(each.at for each in requests if each.member == member) == request.at


@given(st.integers(0, 6), REQUESTS, st.randoms())
def test_requests_in_any_order_and_number(units: int, requests: list[Request], random: Any) -> None:
    """The same requests, shuffled and repeated, are allocated alike."""
    others = requests + requests[:4]
    random.shuffle(others)
    assert first_dibs(units, requests, RANKS) == first_dibs(units, others, RANKS)


@given(st.integers(0, 6), REQUESTS, st.sets(st.sampled_from(MEMBERS)), st.sets(st.sampled_from(MEMBERS)))
def test_passing_on(units: int, requests: list[Request], first: set[str], second: set[str]) -> None:
    """What lapsed goes down the line: at once or one after the other, in any order, repeated or not, it ends alike."""
    found = first_dibs(units, requests, RANKS)
    asked = {each.member for each in requests}
    first, second = first & asked, second & asked
    both = pass_on(found, first | second)
    assert both == pass_on(pass_on(found, first), second) == pass_on(pass_on(found, second), first)
    assert both == pass_on(both, first)
    stayed = [each for each in requests if each.member not in first | second]
    assert first_dibs(units, stayed, RANKS).allocated == both.allocated
    kept = [each for each in found.allocated if each not in first | second]
    assert tuple(kept) == both.allocated[: len(kept)]
    assert both == wire.loads(Allocation, wire.dumps(both))


def test_rank_first_then_time() -> None:
    """Gold comes before base although base asked first; of two golds the earlier does; the rest waits."""
    asked = [Request("ana", at(5), "gold"), Request("bo", at(0), "base"), Request("cy", at(1), "gold")]
    found = first_dibs(2, asked, RANKS)
    assert (("cy", "ana"), ("bo",)) == (found.allocated, found.waiting)
    assert "2 of 2 units allocated, 1 waiting" == str(found)
    found = pass_on(found, "cy")
    assert (("ana", "bo"), (), ("cy",)) == (found.allocated, found.waiting, found.lapsed)
    assert () == pass_on(found, ["ana", "bo"]).allocated


def test_ties_and_duplicates() -> None:
    """At one instant the member decides; the earliest request of a member counts, though a later one ranked higher."""
    found = first_dibs(1, [Request("bo", at(0), "base"), Request("ann", at(0), "base")], RANKS)
    assert ("ann",) == found.allocated
    found = first_dibs(
        1, [Request("ann", at(0), "base"), Request("ann", at(1), "gold"), Request("bo", at(5), "gold")], RANKS
    )
    assert (("bo",), ("ann",)) == (found.allocated, found.waiting)
    found = first_dibs(1, [Request("ann", at(0)), Request("ann", at(0), "gold"), Request("bo", at(0), "base")], RANKS)
    assert ("ann",) == found.allocated
    assert ("bo", "ann") == first_dibs(2, [Request("ann", at(0)), Request("bo", at(9), "base")], {"base": 0}).allocated


def test_offers_go_to_those_who_have_a_unit() -> None:
    """Each who has a unit is offered it, to be paid in time; after a lapse only those who move up are."""
    found = first_dibs(1, [Request("ann", at(0)), Request("bo", at(1))], {})
    (offer,) = offers(found, "lamp", AT, days(1), "America/New_York")
    assert ("offer", "ann", "offer:lamp:ann", AT, AT + timedelta(1)) == (
        offer.kind, offer.member, offer.key, offer.due, offer.ends,
    )  # fmt: skip
    later = pass_on(found, "ann")
    assert ["offer:lamp:bo"] == [each.key for each in offers(later, "lamp", AT, hours(24), before=found)]
    assert () == offers(later, "lamp", AT, hours(24), before=later)


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("units", lambda: first_dibs(-1, [], RANKS)),
        ("request.tier", lambda: first_dibs(1, [Request("ann", AT, "Gold")], RANKS)),
        ("request.at", lambda: Request("ann", datetime(2024, 6, 10))),
        ("request.member", lambda: Request("", AT)),
        ("requests[0]", lambda: first_dibs(1, ["ann"], RANKS)),  # type: ignore[list-item]
        ("ranks", lambda: first_dibs(1, [], {"gold": "first"})),  # type: ignore[dict-item]
        ("lapsed", lambda: pass_on(first_dibs(1, [Request("ann", AT)], {}), "bo")),
        ("release", lambda: offers(first_dibs(1, [], {}), "a:b", AT, hours(1))),
        ("within", lambda: offers(first_dibs(1, [], {}), "lamp", AT, timedelta(1))),  # type: ignore[arg-type]
        ("at", lambda: offers(first_dibs(1, [], {}), "lamp", datetime(2024, 6, 10), hours(1))),
    ],
)
def test_what_cannot_be_allocated_is_refused(field: str, make: Any) -> None:
    """What is no request, no rank or no period is refused, by name."""
    with pytest.raises(InputError) as caught:
        make()
    assert field == caught.value.field
