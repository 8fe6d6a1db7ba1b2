"""The club as an application uses it, on both stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from loyaltykit import (
    Activity,
    Budget,
    Club,
    HoldExpired,
    InputError,
    InsufficientPoints,
    KeyReused,
    Line,
    Member,
    MemoryStore,
    OnEvent,
    Opened,
    Order,
    Program,
    Refund,
    RefundTooLarge,
    Refused,
    Reversal,
    SQLiteStore,
    Unit,
    UnknownMember,
    WrongCurrency,
    activity,
    cash_back,
    coins,
    days,
    minutes,
    months,
    per_amount,
    per_day,
    per_order,
    points,
    reward,
    wire,
)
from loyaltykit.journal import Need
from loyaltykit.stores.protocol import Store


def at(month: int, day: int, hour: int = 0, minute: int = 0, year: int = 2026) -> datetime:
    """Return an instant of 2026, in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


PROGRAM = Program(
    "shop", "USD", earning=[per_amount(1)], rewards=[coins(100, worth="1.00"), reward("mug", 50, stock=1)]
)


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Make stores of one kind, closed after the test."""
    made: list[Store] = []

    def make() -> Store:
        path = tmp_path / f"{len(made)}.db"
        made.append(MemoryStore() if request.param == "memory" else SQLiteStore(path))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def club(make_store: Callable[[], Store]) -> Club:
    """A club with an empty store."""
    return Club(PROGRAM, make_store())


def rows(club: Club, member: str = "ann") -> Any:
    """Return everything that the store holds of a member."""
    return club._store.load(Need(f"{club.name}/{member}", everything=True))


# ---------------------------------------------------------------- bad input


BAD: dict[str, tuple[type[Exception], str, Callable[[Club], Any]]] = {
    "a naive datetime in a fact": (InputError, "order.at", lambda club: Order("1", "ann", datetime(2026, 1, 1))),
    "a naive datetime in a question": (
        InputError, "at", lambda club: club.balance("ann", at=datetime(2026, 1, 1))
    ),
    "a naive datetime in a command": (
        InputError, "at", lambda club: club.redeem("ann", 1, key="k", at=datetime(2026, 1, 1))
    ),
    "a float as money": (InputError, "order.amount", lambda club: Order("1", "ann", at(1, 1), amount=1.5)),
    "a negative quantity": (InputError, "line.quantity", lambda club: Line("mug", -1)),
    "another currency": (
        WrongCurrency, "order.currency",
        lambda club: club.record(Order("2", "ann", at(1, 2), amount="1.00", currency="EUR")),
    ),
    "an unknown member": (UnknownMember, "member", lambda club: club.redeem("nobody", 1, key="k", at=at(1, 2))),
    "a question about an unknown member": (UnknownMember, "member", lambda club: club.balance("nobody", at=at(1, 2))),
    "a refund above the order": (
        RefundTooLarge, "refund.amount", lambda club: club.record(Refund("r", "ann", "1", at(1, 2), amount="100.01"))
    ),
    "a refund of a line that the order has not": (
        InputError, "refund.lines", lambda club: club.record(Refund("r", "ann", "1", at(1, 2), {"cup": 1}))
    ),
    "a fact's id with another content": (
        KeyReused, "id", lambda club: club.record(Order("1", "ann", at(1, 1), amount="99.00"))
    ),
    "a command's key with another content": (
        KeyReused, "key", lambda club: club.redeem("ann", 20, key="spent", at=at(1, 3))
    ),
    "points as bool": (InputError, "points", lambda club: club.redeem("ann", True, key="k", at=at(1, 2))),
    "points as str": (InputError, "points", lambda club: club.redeem("ann", "5", key="k", at=at(1, 2))),  # type: ignore[arg-type]
    "points as float": (InputError, "points", lambda club: club.earn("ann", 5.0, key="k", at=at(1, 2))),  # type: ignore[arg-type]
    "no points": (InputError, "points", lambda club: club.redeem("ann", 0, key="k", at=at(1, 2))),
    "2**63 points": (InputError, "points", lambda club: club.earn("ann", 2**63, key="k", at=at(1, 2))),
    "more points than 2**63 in all": (
        InputError, "points", lambda club: club.earn("ann", 2**63 - 1, key="k", at=at(1, 2))
    ),
    "a unit that the program has not": (
        InputError, "unit", lambda club: club.earn("ann", 5, key="k", at=at(1, 2), unit="stars")
    ),
    "a hold that was not made": (InputError, "hold", lambda club: club.capture("ann", "none", at=at(1, 2))),
    "a redemption that was not made": (InputError, "of", lambda club: club.restore("ann", "none", at=at(1, 2))),
    "a hold that ends before it begins": (
        InputError, "until", lambda club: club.hold("ann", 5, key="k", until=at(1, 1), at=at(1, 2))
    ),
    "an adjustment without a reason": (
        InputError, "reason", lambda club: club.adjust("ann", 5, key="k", at=at(1, 2), reason="", actor="bo")
    ),
    "a transfer to oneself": (InputError, "to", lambda club: club.transfer("ann", "ann", 5, key="k", at=at(1, 2))),
    "a transfer to nobody": (UnknownMember, "member", lambda club: club.transfer("ann", "x", 5, key="k", at=at(1, 2))),
    "something that is no fact": (InputError, "fact", lambda club: club.record("order")),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_nothing_changes(club: Club, case: str) -> None:
    """Bad input gives an error of the right family that names the field, and leaves the store as it was."""
    club.record(Order("1", "ann", at(1, 1), amount="100.00"))
    club.redeem("ann", 10, key="spent", at=at(1, 1))
    kind, field, call = BAD[case]
    before = rows(club)
    with pytest.raises(kind) as caught:
        call(club)
    assert field == caught.value.field  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]
    assert before == rows(club)
    assert [] == club.verify("ann")


# ---------------------------------------------------------------- commands


def test_a_refusal_is_remembered(club: Club) -> None:
    """A refusal for want of points stands under its key, even when the points come later."""
    club.record(Order("1", "ann", at(1, 1), amount="80.00"))
    for _ in range(2):
        with pytest.raises(InsufficientPoints) as caught:
            club.redeem("ann", 100, key="k", at=at(1, 2))
        assert (100, 80, 20) == (caught.value.needed, caught.value.available, caught.value.short)
        club.earn("ann", 50, key="gift", at=at(1, 2))
    assert 130 == club.balance("ann", at=at(1, 3)).available


def test_a_retry_comes_later_and_is_the_same(club: Club) -> None:
    """The same command with the same key is one command, although its instant differs."""
    club.earn("ann", 100, key="e", at=at(1, 1))
    first = club.redeem("ann", 30, key="k", at=at(1, 2))
    again = club.redeem("ann", 30, key="k", at=at(1, 2, 0, 5))
    assert first == again
    assert (False, True) == (first.replayed, again.replayed)
    assert 70 == club.balance("ann", at=at(1, 3)).available


def test_hold_and_capture(club: Club) -> None:
    """Held points are out of reach until they are captured or released, or the hold ends by itself."""
    club.earn("ann", 100, key="e", at=at(1, 1))
    club.hold("ann", 80, key="h", until=at(1, 2) + minutes(30), at=at(1, 2))
    assert (20, 100, 80) == _three(club, at(1, 2, 0, 29))
    assert (100, 100, 0) == _three(club, at(1, 2, 0, 30))
    with pytest.raises(HoldExpired):
        club.capture("ann", "h", at=at(1, 2, 0, 30))
    assert (100, 100, 0) == _three(club, at(1, 2, 0, 31))


def _three(club: Club, when: datetime) -> tuple[int, int, int]:
    balance = club.balance("ann", at=when)
    return balance.available, balance.balance, balance.held


def test_only_the_member_or_an_agent_spends(make_store: Callable[[], Store]) -> None:
    """A stranger is quoted nothing and refused; the member and a named agent are not."""
    club = Club(attrs.evolve(PROGRAM, agents=["till-1"]), make_store())
    club.earn("ann", 300, key="e", at=at(1, 1))
    assert 0 == club.quote("ann", at=at(1, 2), due="3.00", actor="guest").points
    for spend in (
        lambda: club.redeem("ann", 100, key="k", at=at(1, 2), actor="guest"),
        lambda: club.hold("ann", 100, key="h", until=at(1, 3), at=at(1, 2), actor="guest"),
        lambda: club.transfer("ann", "bob", 100, key="t", at=at(1, 2), actor="guest"),
    ):
        club.record(Member("bob", at(1, 1)))
        with pytest.raises(Refused) as caught:
            spend()
        assert "actor_not_allowed" == caught.value.reason
    club.redeem("ann", 100, key="k1", at=at(1, 2), actor="till-1")
    club.redeem("ann", 100, key="k2", at=at(1, 2), actor="ann")
    assert 100 == club.balance("ann", at=at(1, 3)).available


def test_a_stock_is_shared_by_all(club: Club) -> None:
    """Of a reward of which there is one, one is redeemed; a refused redemption gives it back."""
    club.earn("ann", 100, key="e", at=at(1, 1))
    club.earn("bob", 40, key="e", at=at(1, 1))
    with pytest.raises(InsufficientPoints):
        club.redeem("bob", 50, reward="mug", key="m", at=at(1, 2))
    club.redeem("ann", club.quote("ann", "mug", at=at(1, 2)), key="m", at=at(1, 2))
    assert ("out_of_stock",) == club.quote("ann", "mug", at=at(1, 3)).reasons
    with pytest.raises(Refused) as caught:
        club.redeem("ann", 50, reward="mug", key="m2", at=at(1, 3))
    assert "out_of_stock" == caught.value.reason
    assert 50 == club.balance("ann", at=at(1, 4)).available


def test_a_budget_is_shared_by_all(make_store: Callable[[], Store]) -> None:
    """A campaign gives no more than its budget in all, and gets back what is refunded."""
    rule = per_amount(1, budget=Budget("spring", 120))
    club = Club(Program("b", "USD", earning=[rule], rewards=[coins(100, worth="1.00")]), make_store())
    given = [club.record(Order(f"o{n}", f"m{n}", at(1, 1 + n), amount="50.00")).points for n in range(4)]
    assert [50, 50, 20, 0] == given
    assert -50 == club.record(Refund("r", "m0", "o0", at(2, 1))).points
    assert 50 == club.record(Order("o9", "m9", at(2, 2), amount="60.00")).points
    assert [50, 50, 20, 0] == [
        club.record(Order(f"o{n}", f"m{n}", at(1, 1 + n), amount="50.00")).points for n in range(4)
    ]


# ---------------------------------------------------------------- two members


def test_transfer_keeps_dates_and_the_sum(club: Club) -> None:
    """What is sent keeps its dates; the same transfer again is nothing."""
    club.earn("ann", 100, key="e", at=at(1, 1), expires_at=at(3, 1))
    club.record(Member("bob", at(1, 1)))
    for _ in range(2):
        club.transfer("ann", "bob", 60, key="t", at=at(1, 2))
    assert 40 == club.balance("ann", at=at(1, 3)).available
    assert [(60, at(3, 1))] == [(lot.active, lot.expires_at) for lot in club.lots("bob", at=at(1, 3))]
    assert [0, 0] == [club.balance(member, at=at(3, 1)).available for member in ("ann", "bob")]
    assert [[], []] == [club.verify(member) for member in ("ann", "bob")]


def test_merge_and_unmerge(club: Club) -> None:
    """A merge moves every lot with its dates, later facts follow, an unmerge gives back what is left of the lots."""
    club.record(Order("o", "bob", at(1, 1), amount="100.00"))
    club.redeem("bob", 40, key="r", at=at(1, 2))
    club.earn("ann", 100, key="a", at=at(1, 1), expires_at=at(3, 1))
    for _ in range(2):
        club.merge("bob", "ann", at=at(2, 1))
    assert (160, 0) == (club.balance("ann", at=at(2, 2)).available, club.balance("bob", at=at(2, 2)).available)
    assert "ann" == club.record(Order("p", "bob", at(2, 3), amount="7.00")).member
    with pytest.raises(Refused) as caught:
        club.redeem("bob", 1, key="x", at=at(2, 3))
    assert "member_closed" == caught.value.reason
    assert -50 == club.record(Refund("f", "bob", "o", at(2, 4), amount="50.00")).points
    assert 117 == club.balance("ann", at=at(2, 4)).available
    for _ in range(2):
        club.unmerge("bob", at=at(2, 5))
    assert (107, 10) == (club.balance("ann", at=at(2, 6)).available, club.balance("bob", at=at(2, 6)).available)
    assert -10 - 40 == club.record(Refund("g", "bob", "o", at(2, 7))).points
    assert -40 == club.balance("bob", at=at(2, 8)).available
    assert [[], []] == [club.verify(member) for member in ("ann", "bob")]


# ---------------------------------------------------------------- versions


def test_an_award_keeps_to_its_version(make_store: Callable[[], Store]) -> None:
    """A refund takes back what was awarded then, also when the club is opened with the new version alone."""
    store = make_store()
    old = Program("v", "USD", earning=[per_amount(1)])
    new = attrs.evolve(old, version=2, effective_from=at(6, 1), earning=[per_amount(2)])
    Club(old, store).record(Order("1", "ann", at(1, 1), amount="100.00"))
    club = Club(new, store)
    assert 200 == club.record(Order("2", "ann", at(6, 1), amount="100.00")).points
    assert -100 == club.record(Refund("r", "ann", "1", at(7, 1))).points
    assert 200 == club.balance("ann", at=at(7, 2)).available


def test_a_changed_program_needs_a_new_version(make_store: Callable[[], Store]) -> None:
    """The same version with another content is refused: awards name the version that made them."""
    store = make_store()
    Club(PROGRAM, store)
    with pytest.raises(InputError) as caught:
        Club(attrs.evolve(PROGRAM, earning=[per_amount(3)]), store)
    assert "program.version" == caught.value.field


def test_switching_expiry_on(make_store: Callable[[], Store]) -> None:
    """Lots that had no expiry get the full term from the switch; lots that had one keep theirs."""
    first = Program("s", "USD", earning=[per_amount(1)])
    second = attrs.evolve(first, version=2, effective_from=at(6, 1), validity=days(30))
    third = attrs.evolve(second, version=3, effective_from=at(6, 10), validity=days(5))
    club = Club([first, second, third], make_store())
    club.record(Order("1", "ann", at(1, 1), amount="10.00"))
    club.record(Order("2", "ann", at(6, 2), amount="20.00"))
    found = [club.balance("ann", at=when).available for when in (at(5, 31), at(6, 30, 23, 59), at(7, 1), at(7, 2))]
    assert [10, 30, 20, 0] == found
    assert [] == club.verify("ann")


# ---------------------------------------------------------------- questions


def test_as_of_and_known_at(make_store: Callable[[], Store]) -> None:
    """`at` is when things happened, `known_at` what had been recorded by then."""
    clock = iter([at(1, 10), at(1, 20)])
    club = Club(PROGRAM, make_store(), clock=lambda: next(clock))
    club.record(Order("1", "ann", at(1, 5), amount="10.00"))
    club.record(Order("2", "ann", at(1, 1), amount="5.00"))
    assert [0, 5, 15] == [
        club.balance("ann", at=when).available for when in (at(1, 1) - minutes(1), at(1, 2), at(1, 6))
    ]
    assert [0, 10, 15] == [
        club.balance("ann", at=at(2, 1), known_at=when).available for when in (at(1, 9), at(1, 15), at(1, 20))
    ]


def test_statement_says_what_is_not_booked_yet(club: Club) -> None:
    """Expiry that no one has written down is shown at its instant; a sweep books it and changes no balance."""
    club.earn("ann", 100, key="e", at=at(1, 1), expires_at=at(2, 1), reason="a gift")
    before = club.statement("ann", at=at(3, 1))
    assert [("earn", 100, 100, True), ("expire", -100, 0, False)] == [
        (row.kind, row.amount, row.balance, row.booked) for row in before
    ]
    assert 1 == club.sweep(at=at(3, 1))
    after = club.statement("ann", at=at(3, 1))
    assert [row.booked for row in after] == [True, True]
    assert [attrs.evolve(row, booked=True) for row in before] == list(after)
    assert "a gift" in str(after)
    assert "<table>" in after._repr_html_()


def test_standing_and_explanation(club: Club) -> None:
    """The standing tells balances and what expires; the explanation tells why, in words."""
    club.record(Member("ann", at(1, 1), birthday=date(1990, 5, 17), zone="Europe/Oslo"))
    club.record(Order("1", "ann", at(1, 2), [Line("beans", 2, unit_price="10.00")]))
    club.record(Refund("r", "ann", "1", at(1, 3), {"beans": 1}))
    standing = club.standing("ann", at=at(1, 4))
    assert (10, 0, 0) == (standing.available, standing.pending, standing.held)
    assert standing.profile is not None
    assert date(1990, 5, 17) == standing.profile.birthday
    said = str(club.explain("ann", at=at(1, 4)))
    for part in ("10 points", "20 earned: order 1", "−10 taken back: refund r of order 1", "1 x 20.00"):
        assert part in said
    assert wire.loads(type(standing), wire.dumps(standing)) == standing


def test_expiring_knows_lots_and_inactivity(make_store: Callable[[], Store]) -> None:
    """What will go, and when, if nothing more happens: lots that expire, or the whole balance by inactivity."""
    club = Club(attrs.evolve(PROGRAM, inactivity=months(6)), make_store())
    club.earn("ann", 10, key="a", at=at(1, 1), expires_at=at(2, 1))
    club.earn("ann", 20, key="b", at=at(1, 15))
    assert [(at(2, 1), 10), (at(7, 15), 20)] == [(each.at, each.points) for each in club.expiring("ann", at=at(1, 20))]
    assert [at(2, 1)] == [each.at for each in club.expiring("ann", at=at(1, 20), within=days(30))]


def test_members_and_balances_come_in_pages(club: Club) -> None:
    """Pages are in the order of names and follow each other without gap or overlap."""
    for number in range(7):
        club.record(Order(f"o{number}", f"m{number}", at(1, 1), amount=f"{number}.00"))
    seen, after = [], ""
    while True:
        page = club.members_page(after=after, limit=3)
        seen += page.items
        if page.next is None:
            break
        after = page.next
    assert [f"m{number}" for number in range(7)] == seen
    listed = [(member, balance.available) for member, balance in club.balances(at=at(1, 2))]
    assert [(f"m{number}", number) for number in range(1, 7)] == [pair for pair in listed if pair[1]]


def test_several_programs_share_a_store(make_store: Callable[[], Store]) -> None:
    """Two programs in one store do not meet."""
    store = make_store()
    one, two = Club(PROGRAM, store), Club(attrs.evolve(PROGRAM, name="other"), store)
    one.record(Order("1", "ann", at(1, 1), amount="5.00"))
    two.record(Order("1", "ann", at(1, 1), amount="7.00"))
    assert (5, 7) == (one.balance("ann", at=at(1, 2)).available, two.balance("ann", at=at(1, 2)).available)
    assert ["ann"] == [*one.members()]


# ---------------------------------------------------------------- many at once


def test_record_many_is_record(make_store: Callable[[], Store]) -> None:
    """A batch answers and leaves behind what one by one does, and again changes nothing."""
    facts: list[Any] = []
    for number in range(60):
        when = at(1, 1) + timedelta(hours=number * 7)
        facts.append(Order(f"o{number}", f"m{number % 4}", when, amount="9.99"))
        if number % 5 == 0:
            facts.append(Refund(f"r{number}", f"m{number % 4}", f"o{number}", when + timedelta(days=2), amount="4.00"))
        if number % 11 == 0:
            facts.append(Reversal(f"v{number}", f"m{number % 4}", f"o{number}", f"r{number}", when + timedelta(days=3)))
    program = attrs.evolve(PROGRAM, validity=days(10), caps=[per_day(points=20)])
    single, batched = Club(program, make_store()), Club(program, make_store())
    one_by_one = [single.record(fact) for fact in facts]
    together = list(batched.record_many(facts, batch=17))
    assert one_by_one == together
    for number in range(4):
        when = at(3, 1)
        assert single.balance(f"m{number}", at=when) == batched.balance(f"m{number}", at=when)
        assert single.lots(f"m{number}", at=at(1, 15)) == batched.lots(f"m{number}", at=at(1, 15))
        assert [] == batched.verify(f"m{number}")
    assert together == list(batched.record_many(facts, batch=17))


def test_record_many_stops_at_an_error(club: Club) -> None:
    """What comes before a fact that cannot be true is recorded and answered; then the error is raised."""
    facts = [
        Order("1", "ann", at(1, 1), amount="10.00"),
        Refund("r", "ann", "1", at(1, 2), amount="11.00"),
        Order("2", "ann", at(1, 3), amount="10.00"),
    ]
    receipts = club.record_many(facts)
    received = [next(receipts).points]
    with pytest.raises(RefundTooLarge):
        next(receipts)
    assert [10] == received
    assert 10 == club.balance("ann", at=at(1, 4)).available


def test_rebuild_mends_what_was_tampered_with(make_store: Callable[[], Store]) -> None:
    """Rows that do not follow from the records are found, and mended by corrections."""
    store = make_store()
    club = Club(PROGRAM, store)
    club.record(Order("1", "ann", at(1, 1), amount="10.00"))
    context = store.load(Need("shop/ann", everything=True))
    assert context.head is not None
    balance = context.balances["points"]._replace(active=999)
    record = context.records["order:1"]._replace(version=2, key="tampering", plan="[]", ref=None, kind="sweep")
    from loyaltykit.journal import Commit

    head = context.head._replace(version=2)
    store.append(Commit("shop/ann", 1, head, [record], balances=[balance]))
    assert club.verify("ann")
    club.rebuild("ann", at=at(1, 2))
    assert [] == club.verify("ann")
    assert 10 == club.balance("ann", at=at(1, 3)).available


def test_units_of_money(make_store: Callable[[], Store]) -> None:
    """Cash back counts minor units in a unit of its own, beside points."""
    program = Program("cb", "USD", units=[Unit("cash", money=True)], earning=[per_amount(1), cash_back("1")])
    club = Club(program, make_store())
    club.record(Order("1", "ann", at(1, 1), amount="19.99"))
    assert (19, 20) == (
        club.balance("ann", at=at(1, 2)).available,
        club.balance("ann", at=at(1, 2), unit="cash").available,
    )


def test_opening_balances_keep_their_dates(club: Club) -> None:
    """Lots brought along keep their own dates and are spent by them."""
    lots = [Opened(100, at(1, 1, year=2025), at(3, 1)), Opened(50, at(6, 1, year=2025))]
    club.open("ann", lots, key="old system", at=at(2, 1))
    club.redeem("ann", 20, key="k", at=at(2, 2))
    assert [(80, at(3, 1)), (50, None)] == [(lot.active, lot.expires_at) for lot in club.lots("ann", at=at(2, 3))]
    assert 50 == club.balance("ann", at=at(3, 1)).available


def test_a_waiting_refund_is_told_with_its_order(club: Club) -> None:
    """A refund that comes before its order waits, and is applied with it."""
    assert "waiting" == club.record(Refund("r", "ann", "1", at(1, 5), amount="4.00")).status
    club.record(Order("1", "ann", at(1, 1), amount="10.00"))
    assert [10, 6] == [club.balance("ann", at=when).available for when in (at(1, 2), at(1, 6))]
    receipt = club.record(Refund("s", "ann", "1", at(1, 7)))
    assert (Decimal("6.00"), -6) == (receipt.cash, receipt.points)


def test_an_activity_earns_by_the_program(make_store: Callable[[], Store]) -> None:
    """An activity that the program does not name earns nothing, one that it names earns by its scope."""
    club = Club(Program("a", "USD", earning=[activity("review", 50, once="product")]), make_store())
    seen = [
        club.record(Activity(f"v{number}", "ann", name, at(1, 1 + number), product=product)).points
        for number, (name, product) in enumerate(
            [("review", "mug"), ("review", "mug"), ("tweet", "mug"), ("review", "tea")]
        )
    ]
    assert [50, 0, 0, 50] == seen


def test_profiles_are_not_in_the_records(make_store: Callable[[], Store]) -> None:
    """What is known of a person stands in one item that can be removed, never in the append-only records."""
    store = make_store()
    club = Club(PROGRAM, store)
    club.record(Member("ann", at(1, 1), email="ann@example.com", birthday=(5, 17)))
    club.record(Member("ann", at(1, 5), email="new@example.com"))
    club.record(Member("ann", at(1, 3), email="old@example.com"))
    found = club.member("ann")
    assert found is not None
    assert "new@example.com" == found.email
    records = store.load(Need("shop/ann", everything=True)).records.values()
    assert "example.com" not in json.dumps([list(record) for record in records])


def test_lots_with_dates_of_their_own_wait_for_one_event(make_store: Callable[[], Store]) -> None:
    """Two lots of one order that wait for the same event and live for different times are two lots."""
    program = Program(
        "w", "USD", activation=OnEvent("delivered"), validity=months(12),
        earning=[per_amount(1), per_order(5, validity=days(7))],
    )  # fmt: skip
    club = Club(program, make_store())
    club.record(Order("1", "ann", at(1, 1), amount="10.00"))
    assert (0, 15) == (club.balance("ann", at=at(1, 2)).available, club.balance("ann", at=at(1, 2)).pending)
    club.record(Activity("d", "ann", "delivered", at(1, 5), order="1"))
    found = [club.balance("ann", at=when).available for when in (at(1, 4), at(1, 5), at(1, 11), at(1, 12))]
    assert [0, 15, 15, 10] == found
    assert [] == club.verify("ann")


def test_batches_know_budgets_and_versions(make_store: Callable[[], Store]) -> None:
    """A batch keeps to a shared budget, and gives undated lots their term where expiry was switched on meanwhile."""
    rule = per_amount(1, budget=Budget("spring", 15))
    club = Club(Program("bb", "USD", earning=[rule]), make_store())
    facts = [Order(f"o{number}", f"m{number}", at(1, 1), amount="10.00") for number in range(3)]
    assert [10, 5, 0] == [receipt.points for receipt in club.record_many(facts)]
    first = Program("bs", "USD", earning=[per_amount(1)])
    club = Club([first, attrs.evolve(first, version=2, effective_from=at(6, 1), validity=days(30))], make_store())
    facts = [Order("1", "ann", at(1, 1), amount="10.00"), Order("2", "ann", at(6, 20), amount="20.00")]
    list(club.record_many(facts))
    assert [30, 20] == [club.balance("ann", at=when).available for when in (at(6, 30), at(7, 1))]
    assert [] == club.verify("ann")


# ---------------------------------------------------------------- names and merges


def day(number: float) -> datetime:
    """Return the instant so many days after the year began."""
    return at(1, 1) + timedelta(days=number)


def test_no_two_orders_and_revisions_are_taken_for_one() -> None:
    """An order called 1@2 is not revision 2 of order 1, whichever comes first; each has its own story."""
    told = [
        Order("1", "ann", day(1), amount="10.00"),
        Order("1@2", "ann", day(1), amount="20.00"),
        Order("1", "ann", day(1), amount="5.00", revision=2, revised_at=day(2)),
        Order("1@2", "ann", day(1), amount="40.00", revision=2, revised_at=day(2)),
        Order("1@@2", "ann", day(1), amount="80.00"),
        Refund("r", "ann", "1@2", day(3), amount="10.00"),
        Order("a@shop.example", "ann", day(1), amount="160.00"),
    ]
    for facts in (told, told[::-1]):
        club = Club(Program("shop", "USD", earning=per_amount(1), validity=days(300)), MemoryStore())
        receipts = [club.record(fact) for fact in facts]
        assert len(told) == len({receipt.key for receipt in receipts})
        assert 5 + 30 + 80 + 160 == club.balance("ann", at=day(4)).available
        lots = [(lot.source, lot.remaining) for lot in club.lots("ann", at=day(4))]
        assert [("order:1", 5), ("order:1@@2", 30), ("order:1@@@@2", 80), ("order:a@@shop.example", 160)] == lots
        reasons = {row.reason for row in club.statement("ann", at=day(364)) if row.kind == "expire"}
        assert {"order 1", "order 1@2", "order 1@@2", "order a@shop.example"} == reasons
        assert [] == club.verify("ann")


def test_the_points_of_two_orders_are_never_taken_for_one_anothers() -> None:
    """An order called 1#2 spends under another key than the second part of order 1; each is given back alone."""
    club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
    club.earn("ann", 1_000, key="welcome", at=day(1))
    club.record(Order("1", "ann", day(2), amount="9.00", tenders=[points(100, "1.00"), points(200, "2.00")]))
    club.record(Order("1#2", "ann", day(2), amount="9.00", tenders=points(400, "4.00")))
    assert 1_000 - 700 + 6 + 5 == club.balance("ann", at=day(2)).available
    assert 400 == club.record(Refund("r", "ann", "1#2", day(3))).points_back
    assert 300 == club.record(Refund("s", "ann", "1", day(3))).points_back
    assert 1_000 == club.balance("ann", at=day(3)).available
    assert [] == club.verify("ann")


@pytest.mark.parametrize("order", ["#1001", "1#c", "a+b", "100%", "100%23", "1@2", "a>b", "ß@ü"])
def test_an_order_id_may_hold_any_mark(order: str) -> None:
    """What is taken back of an order is taken from its own lot, whatever its id looks like; the books stay sound."""
    club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
    club.record(Order("0", "ann", day(1), amount="10.00"))
    club.record(Order(order, "ann", day(1), amount="10.00"))
    club.redeem("ann", 15, key="all", at=day(2))
    assert -7 == club.record(Refund("r", "ann", order, day(3), amount="7.00")).points
    assert -2 == club.balance("ann", at=day(4)).available
    assert [] == club.verify("ann")
    assert f"order {order}" in str(club.explain("ann", at=day(4)))


@pytest.mark.parametrize("member", ["bob", "bob+shop@example.com", "b#b"])
@pytest.mark.parametrize("refunded", [3.5, 19.5, 20, 21])
def test_a_refund_of_a_merged_members_order_counts_once_whenever_it_was(member: str, refunded: float) -> None:
    """A refund dated before the merge and heard of after it takes back its points, and makes none."""
    club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
    club.record(Order("o-1", member, day(1), amount="40.00"))
    club.record(Order("o-2", "ann", day(1), amount="40.00"))
    club.merge(member, "ann", at=day(20))
    for number, amount in enumerate(("5.00", "3.00")):
        club.record(Refund(f"r-{number}", member, "o-1", day(refunded - number), amount=amount))
    assert 72 == club.balance("ann", at=day(30)).available
    assert [] == club.verify("ann")
    club.unmerge(member, at=day(31))
    assert (40, 32) == (club.balance("ann", at=day(32)).available, club.balance(member, at=day(32)).available)
    assert [] == club.verify("ann") + club.verify(member)


def test_a_refund_that_waited_under_the_other_members_name_counts_after_the_merge() -> None:
    """A refund recorded of the member who takes the order's one in waits, and counts once, with the next one."""
    club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
    club.record(Order("o-1", "dee", day(1), amount="40.00"))
    club.record(Refund("r-1", "ann", "o-1", day(7), amount="10.00"))
    club.merge("dee", "ann", at=day(12))
    club.record(Refund("r-2", "dee", "o-1", day(13), amount="5.00"))
    assert 25 == club.balance("ann", at=day(14)).available
    assert [] == club.verify("ann")


def test_nothing_goes_to_a_member_who_was_merged_away() -> None:
    """What is sent to a closed member goes to the one who took them in; a merge into them is refused."""
    club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
    for number, who in enumerate(("ann", "bob", "cy")):
        club.record(Order(f"o-{number}", who, day(number), amount="10.00"))
    club.merge("bob", "ann", at=day(5))
    club.transfer("cy", "bob", 4, key="gift", at=day(6))
    assert (24, 0) == (club.balance("ann", at=day(7)).available, club.balance("bob", at=day(7)).available)
    with pytest.raises(Refused, match="merge into that one"):
        club.merge("cy", "bob", at=day(8))
    club.merge("bob", "ann", at=day(5))
    club.merge("ann", "cy", at=day(9))
    assert 30 == club.balance("cy", at=day(11)).available
    assert [] == club.verify("ann") + club.verify("bob") + club.verify("cy")
