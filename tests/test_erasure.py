"""The erasure of a person: nothing personal is left, everything that counts is as before."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from loyaltykit import (
    Activity,
    Budget,
    Club,
    InputError,
    KeyReused,
    Line,
    Member,
    MemoryStore,
    Order,
    Program,
    Refund,
    Refused,
    SQLiteStore,
    StaleVersion,
    StoreError,
    StoreUnusable,
    Unit,
    UnknownMember,
    activity,
    agreed,
    coins,
    days,
    free_shipping,
    months,
    per_amount,
    reward,
)
from loyaltykit.audit import accounts, whole
from loyaltykit.commands import Transfer
from loyaltykit.journal import Commit, Item
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._rows import commit
from loyaltykit.testing.faults import FaultyStore, seeded

ANN = "customer-ann-4711"
GUEST = "guest-ann-0815"
WORDS = (
    ANN, GUEST, "ann", "Ann", "1980-04-01", "Oak Street", "sailing", "@example.org", "ORD-", "REF-", "secret-book",
    "sauna", "clerk-zoe", "zoe", "newsletter",
)  # fmt: skip
"""What was said of the person, and what must not be found afterwards."""

PROGRAM = Program(
    "shop",
    "USD",
    earning=[per_amount(1), activity("review", 50, budget=Budget("spring", 10_000))],
    rewards=[coins(100, worth="1.00"), reward("mug", 50, stock=50)],
    validity=months(12),
    activation=days(3),
)


def at(day: float) -> datetime:
    """Return an instant, in days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _live(club: Club) -> None:
    """Let Ann do everything that leaves a trace, among others who stay."""
    club.record(Member("bob", at(0)))
    club.earn("bob", 500, key="welcome-bob", at=at(1), expires_at=at(300))
    club.record(Member("cy", at(0)))
    club.record(
        Member(
            ANN, at(0), birthday=date(1980, 4, 1), email="ann@example.org",
            attributes={"address": "12 Oak Street", "hobby": "sailing"},
        )
    )  # fmt: skip
    club.record(Member(ANN, at(2), birthday=date(1980, 4, 1), email="new.ann@example.org"))
    club.record(agreed(ANN, "newsletter", at(2), source="checkout of Ann"))
    club.record(Order("ORD-1", ANN, at(4), lines=[Line("secret-book", 1, unit_price="80.00")]))
    club.record(Order("ORD-2", ANN, at(4), amount="80.00"))
    club.record(Refund("REF-1", ANN, "ORD-1", at(19), amount="10.00"))
    club.record(Refund("REF-9", ANN, "ORD-9", at(19), amount="10.00"))  # it waits for its order
    club.record(Activity("review-ann", ANN, "review", at(20), product="sauna"))
    club.earn(ANN, 100, key="sorry-ann", at=at(30), reason="Ann fell ill", actor="clerk-zoe")
    club.adjust(ANN, -5, key="ann-5", at=at(30), reason="a mistake of Ann's", actor="clerk-zoe")
    club.grant(ANN, free_shipping(), key="ann-free", at=at(30), reason="dear Ann")
    club.transfer(ANN, "bob", 60, key="present-ann", at=at(31), reason="from Ann")
    club.transfer("bob", ANN, 30, key="return-30", at=at(32), reason="thanks, Ann")
    with pytest.raises(Refused):
        club.transfer("bob", ANN, 30_000, key="refused", at=at(32), reason="for Ann")
    club.adjust("cy", 3, key="by-agent", at=at(32), reason="Ann said so", actor=ANN)
    club.redeem("bob", 520, key="bobs", at=at(33))
    club.redeem(ANN, 50, reward="mug", key="mug-ann", at=at(33))
    with pytest.raises(Refused):
        club.redeem(ANN, 5_000, key="much-ann", at=at(33))
    club.hold(ANN, 20, key="hold-ann", until=at(60), at=at(34))
    club.record(Order("ORD-G", GUEST, at(6), amount="40.00"))
    club.merge(GUEST, ANN, at=at(36))
    club.record(Refund("REF-G", GUEST, "ORD-G", at(37), amount="10.00"))


def _texts(store: Store, program: str = "shop") -> str:
    """Return all that a store holds of a program, as text."""
    return json.dumps(
        [whole(store, account) for account, _ in accounts(store, program)], default=list, skipkeys=True
    ) + str([whole(store, account) for account, _ in accounts(store, program)])


def _found(text: str | bytes, words: Iterable[str] = WORDS) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [word for word in words if word.encode() in data]


INSTANTS = (0, 4, 5, 8, 19, 25, 31.5, 33, 35, 36, 38, 61, 250, 320, 400, 800)


def _sums(club: Club, member: str) -> Any:
    """Return all that reports are made of: balances at many instants, movements, lots, without their names.

    Names decide which of two things that happen at one instant comes first, so the order at an instant is left out.
    """
    units = [unit.name for unit in club.program(at(0)).units] or ["points"]
    return [
        [
            [club.balance(member, at=at(day), unit=unit) for day in INSTANTS],
            sorted((row.at, row.kind, row.amount) for row in club.statement(member, at=at(400), unit=unit).rows),
            sorted(
                (lot.expires_at or at(9_999), lot.earned_at, lot.issued, lot.remaining)
                for lot in club.lots(member, at=at(40), unit=unit)
            ),
        ]
        for unit in units
    ]


@pytest.fixture
def club() -> Club:
    """A club in which Ann has done everything."""
    made = Club(PROGRAM, MemoryStore())
    _live(made)
    return made


# ---------------------------------------------------------------- nothing is left


@pytest.mark.parametrize("compact", [True, False], ids=["compact at once", "compact later"])
def test_no_personal_data_in_the_file(tmp_path: Path, compact: bool) -> None:
    """After an erasure no byte of the store's files, its log included, holds the id, or anything said of the person."""
    store = SQLiteStore(tmp_path / "shop.db")
    club = Club(PROGRAM, store)
    _live(club)
    assert list(WORDS) == [word for word in WORDS if word in _texts(store)], "the words are there before"
    name = club.erase(ANN, at=at(50), compact=compact)
    if not compact:
        store.compact()
    held_open = {path.name: _found(path.read_bytes()) for path in tmp_path.iterdir()}
    assert ([], []) == (held_open["shop.db"], held_open["shop.db-wal"])
    assert [] == list(club.verify_all())
    club.close()
    assert [] == [path.name for path in tmp_path.iterdir() if _found(path.read_bytes())]
    with Club(PROGRAM, SQLiteStore(tmp_path / "shop.db")) as again:
        assert [name, f"{name}-2"] == [member for member in again.members() if member not in ("bob", "cy")]


def test_erased_from_a_big_file(tmp_path: Path) -> None:
    """Pages that were split and moved hold no copies either, once the store was compacted."""
    store = SQLiteStore(tmp_path / "shop.db")
    chance = random.Random(5)
    people = [f"person-{number:06d}" for number in chance.sample(range(10**6), 120)]
    with Club(Program("shop", "USD", earning=per_amount(1)), store) as club:
        facts: list[Any] = []
        for number in range(900):
            who = chance.choice(people)
            told = {"home": "x" * chance.randrange(150) + who}
            facts.append(
                Order(f"o-{number}-{who}", who, at(number / 40), amount="9.00")
                if chance.random() < 0.6
                else Member(who, at(number / 40), attributes=told)
            )
        list(club.record_many(facts, batch=50))
        gone = [who for who in chance.sample(people, 20) if who in set(club.members())]
        for who in gone:
            club.erase(who, at=at(60), compact=False)
        store.compact()
        data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(gone) > 10
    assert [] == _found(data, gone)
    assert _found(data, people)


def test_nothing_in_the_rows(club: Club) -> None:
    """No row of any account, budget or stock names the person, what was said of them, or a fingerprint of it."""
    before = whole(club._store, f"shop/{ANN}")
    club.erase(ANN, at=at(50))
    text = _texts(club._store)
    assert [] == _found(text)
    prints = [record.fingerprint for record in before.records.values() if len(record.fingerprint) > 20]
    assert len(prints) > 10
    assert [] == _found(text, prints)


def test_others_keep_what_is_theirs(club: Club) -> None:
    """In the accounts of others, only what names the person changes; they go on as if nothing had been."""
    before = _sums(club, "bob")
    club.erase(ANN, at=at(50), pseudonym="someone")
    assert before == _sums(club, "bob")
    kept = whole(club._store, "shop/bob").records
    assert {"member@1767225600000000", "key:welcome-bob", "key:return-30", "key:bobs"} < set(kept)
    assert 1 == sum(key.startswith("transfer:someone:") for key in kept)
    assert "from someone" in str(club.explain("bob", at=at(50)))
    assert "to someone (return-30)" in str(club.explain("bob", at=at(50)))
    assert club.redeem("bob", 520, key="bobs", at=at(33)).replayed
    again = Transfer("bob", ANN, 30, key="return-30", at=at(32), reason="thanks, Ann")
    with pytest.raises(KeyReused):  # what it said named Ann, so it cannot be known again; it is not done twice
        club.do(again)
    club.restore("bob", "bobs", at=at(51))
    assert [] == club.verify("bob")


def test_erasing_the_other_side(club: Club) -> None:
    """A pseudonym can be a partner of the next one who is erased: nobody is found in anybody's books."""
    club.erase(ANN, at=at(50), pseudonym="x")
    club.erase("bob", at=at(51), pseudonym="y")
    assert [] == _found(_texts(club._store), [*WORDS, "bob", "bobs", "return-30"])
    assert ["cy", "x", "x-2", "y"] == list(club.members())
    assert [] == list(club.verify_all())


def test_facts_that_came_while_merged() -> None:
    """A person was merged into another by mistake: what came of theirs meanwhile is erased in the other's books too."""
    club = Club(PROGRAM, MemoryStore())
    club.record(Order("ORD-1", ANN, at(1), amount="40.00"))
    club.record(Order("ORD-0", ANN, at(1), amount="40.00"))
    club.record(Refund("REF-0", ANN, "ORD-0", at(1), amount="4.00"))
    club.record(Order("b-1", "bob", at(1), amount="20.00"))
    club.merge(ANN, "bob", at=at(2))
    club.record(Order("ORD-2", ANN, at(5), lines=[Line("secret-book", 1, unit_price="80.00")]))
    club.record(Refund("REF-1", ANN, "ORD-1", at(6), amount="10.00"))
    club.record(Refund("REF-2", ANN, "ORD-2", at(7), amount="5.00"))
    club.unmerge(ANN, at=at(8))
    before = _sums(club, "bob")
    club.erase(ANN, at=at(9))
    assert before == _sums(club, "bob")
    assert [] == _found(_texts(club._store))
    assert -20 == club.record(Refund("b-r", "bob", "b-1", at(10))).points
    assert [] == list(club.verify_all())


def test_what_went_on_to_others() -> None:
    """What the person sent, and what the recipient took along into another account, is found without reading all."""
    club = Club(PROGRAM, MemoryStore())
    club.record(Order("ORD-1", ANN, at(1), amount="40.00"))
    for who in ("bob", "cy", "dee"):
        club.record(Member(who, at(1)))
    club.transfer(ANN, "bob", 10, key="present-ann", at=at(5))
    club.merge("bob", "cy", at=at(6))
    club.merge("cy", "dee", at=at(7))
    club.erase(ANN, at=at(9), everywhere=False)
    assert [] == _found(_texts(club._store))
    assert 10 == club.balance("dee", at=at(9)).available
    club.unmerge("cy", at=at(10))
    club.unmerge("bob", at=at(11))
    assert 10 == club.balance("bob", at=at(12)).available
    assert [] == list(club.verify_all())


# ---------------------------------------------------------------- everything that counts is as before


def test_sums_stay(club: Club) -> None:
    """Balances at every instant, statements, lots and the liability are as before, under the pseudonym."""
    people = {ANN: "x", GUEST: "x-2", "bob": "bob", "cy": "cy"}
    before = {people[member]: _sums(club, member) for member in club.members()}
    assert "x" == club.erase(ANN, at=at(50), pseudonym="x")
    assert before == {member: _sums(club, member) for member in club.members()}
    assert [] == list(club.verify_all())
    assert 0 == sum(
        sum(row.transferred_in - row.transferred_out for row in (club.balance(member, at=at(50)),))
        for member in club.members()
    )


def test_the_account_goes_on(club: Club) -> None:
    """Points of an erased person still become active and expire, holds end, and a clerk may correct the balance."""
    club.erase(ANN, at=at(35.5), pseudonym="x")
    assert 20 == club.balance("x", at=at(59)).held
    assert 0 == club.balance("x", at=at(60)).held
    assert club.sweep_all(at=at(800)) >= 2
    assert 0 == club.balance("x", at=at(800)).balance
    assert [] == list(club.verify_all())
    club.adjust("x", 7, key="7", at=at(801), reason="test", actor="zoe")
    assert 7 == club.balance("x", at=at(801)).available
    assert [] == club.verify("x")


def test_questions_about_an_erased_person(club: Club) -> None:
    """What is asked of the whole base passes over the erased, of whom nothing is known but the points."""
    club.erase(ANN, at=at(50), pseudonym="x")
    assert club.member("x") is None
    assert () == club.consenting("newsletter", at=at(50))
    assert [] == list(club.all_due(at=at(90)))
    assert {"x", "x-2", "bob", "cy"} == {history.member for history in club.histories(at=at(50))}
    assert 200 < club.standing("x", at=at(50)).balance().balance < 300


def test_expiry_switched_on_once() -> None:
    """A version that switched expiry on is not applied a second time to an account that was erased."""
    second = Program("shop", "USD", earning=per_amount(1), validity=months(1), version=2, effective_from=at(20))
    club = Club([Program("shop", "USD", earning=per_amount(1)), second], MemoryStore())
    club.record(Order("ORD-1", ANN, at(1), amount="50.00"))
    assert 50 == club.balance(ANN, at=at(30)).available
    before = _sums(club, ANN)
    club.erase(ANN, at=at(31), pseudonym="x")
    assert before == _sums(club, "x")
    assert ["erased", "term", "erase"] == [
        record.kind for record in sorted(whole(club._store, "shop/x").records.values())
    ]


def test_names_keep_their_order() -> None:
    """Lots of the same dates are spent by name, so the numbers that stand for names keep their order."""
    club = Club(Program("shop", "USD", earning=per_amount(1), units=[Unit("points", shortfall="debt")]), MemoryStore())
    for name in ("1", "1 b", "1#c", "10", "2", "1+x", "b>1", "b-2>1", "b", "B", "é"):
        club.record(Order(name, ANN, at(1), amount="10.00"))
        club.earn(ANN, 10, key=name, at=at(1))
    club.redeem(ANN, 75, key="all", at=at(2))
    for number, name in enumerate(("1", "1 b", "1+x", "10", "2")):  # their points are spent: others pay, by name
        club.record(Refund(f"r{number}", ANN, name, at(3 + number / 9), amount="7.00"))
    club.restore(ANN, "all", 40, at=at(6))
    before = [(lot.remaining, lot.issued) for lot in club.lots(ANN, at=at(7))]
    club.erase(ANN, at=at(8), pseudonym="x")
    assert before == [(lot.remaining, lot.issued) for lot in club.lots("x", at=at(7))]
    assert ["erase"] == [r.kind for r in whole(club._store, "shop/x").records.values() if r.kind != "erased"]
    last = max(record.version for record in whole(club._store, "shop/x").records.values())
    assert [] == [entry for entry in whole(club._store, "shop/x").entries if entry.version == last]


def test_lots_still_come_from_their_records() -> None:
    """A lot is named after the record that brought it, and after it still is: its origin can be told."""
    earning = [per_amount(1), per_amount(2, unit="stamps")]
    club = Club(Program("shop", "USD", earning=earning, units=[Unit("stamps")]), MemoryStore())
    for number in range(12):
        club.record(Order(f"ORD-{number}", ANN, at(1), amount="10.00"))
    club.erase(ANN, at=at(2), pseudonym="x")
    kept = whole(club._store, "shop/x")
    assert 24 == len(kept.lots)
    assert {lot.source for lot in kept.lots.values()} < set(kept.records)
    assert 240 == club.balance("x", at=at(2), unit="stamps").available


# ---------------------------------------------------------------- who can be erased, and what comes later


def test_later_facts_open_a_new_account(club: Club) -> None:
    """Nothing remembers the person: a fact that comes later is that of somebody new, and can be erased again."""
    club.erase(ANN, at=at(50), pseudonym="x")
    with pytest.raises(UnknownMember):
        club.balance(ANN, at=at(50))
    with pytest.raises(UnknownMember):
        club.redeem(ANN, 10, key="late", at=at(51))
    late = club.record(Refund("REF-2", ANN, "ORD-2", at(51), amount="1.00"))
    assert ("waiting", 0) == (late.status, late.points)
    club.erase(ANN, at=at(52), pseudonym="x2")
    assert [] == _found(_texts(club._store))
    assert [] == list(club.verify_all())


def test_unknown_and_merged_members(club: Club) -> None:
    """An unknown member cannot be erased; one that was merged is erased with the one they were merged into."""
    with pytest.raises(UnknownMember):
        club.erase("nobody", at=at(50))
    with pytest.raises(Refused, match=f"erase {ANN}") as refusal:
        club.erase(GUEST, at=at(50))
    assert "member_closed" == refusal.value.reason


def test_pseudonyms(club: Club) -> None:
    """A pseudonym is a name that nobody has; left out, it is a random one."""
    with pytest.raises(InputError, match="pseudonym"):
        club.erase(ANN, at=at(50), pseudonym="bob")
    with pytest.raises(InputError, match="pseudonym"):
        club.erase(ANN, at=at(50), pseudonym="")
    names = {club.erase("cy", at=at(50)), club.erase(ANN, at=at(50))}
    assert 2 == len(names)
    assert all(name.startswith("erased-") and len(name) > 20 for name in names)


def test_wrong_books_are_mended_first(club: Club) -> None:
    """Books that are not those of their records are not erased, for nobody could tell what they were."""
    store = club._store
    assert isinstance(store, MemoryStore)
    kept = store._accounts[f"shop/{ANN}"].balances
    kept["points"] = kept["points"]._replace(active=10_000)
    before = _texts(store)
    with pytest.raises(StoreUnusable, match="rebuild"):
        club.erase(ANN, at=at(50))
    assert len(before) < len(_texts(store)) + 5_000  # others may have forgotten the person already
    club.rebuild(ANN, at=at(50))
    club.erase(ANN, at=at(51))
    assert [] == _found(_texts(store))


def test_handed_over_first() -> None:
    """What has left the person's account and has not arrived yet arrives before the names are gone."""
    store = FaultyStore(MemoryStore(), ["none", "none", "none", "before"])
    club = Club(PROGRAM, store)
    club.earn(ANN, 100, key="a", at=at(1))
    club.earn("bob", 1, key="b", at=at(1))
    with pytest.raises(Exception, match="busy"):
        club.transfer(ANN, "bob", 60, key="present-ann", at=at(5))
    store._plan = iter(())
    club.erase(ANN, at=at(6), pseudonym="x")
    assert (40, 61) == (club.balance("x", at=at(7)).balance, club.balance("bob", at=at(7)).balance)
    assert [] == _found(_texts(store))


@pytest.mark.parametrize("seed", range(12))
def test_interrupted(seed: int) -> None:
    """Whatever call to the store fails, and how, the same call again brings the erasure to its end."""
    inner = MemoryStore()
    _live(Club(PROGRAM, inner))
    before = _sums(Club(PROGRAM, inner), "bob")
    store = FaultyStore(inner, seeded(seed, rate=0.5))
    club = Club(PROGRAM, store)
    name = None
    for _ in range(50):
        try:
            name = club.erase(ANN, at=at(50))
            break
        except UnknownMember:
            break
        except StoreError as error:
            if not error.retry:
                raise
    assert [] == _found(_texts(inner))
    assert before == _sums(Club(PROGRAM, inner), "bob")
    assert [] == list(Club(PROGRAM, inner).verify_all())
    assert name in (None, *Club(PROGRAM, inner).members())


class _Meddling(MemoryStore):
    """A store in which somebody writes just before each of the first replacements."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: Any = iter(())

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Let the other one write first."""
        next(self.meddle, lambda: None)()
        super().replace(account, expected, instead)


def test_beside_other_writers() -> None:
    """What others write to the same accounts meanwhile is neither lost nor left out of the erasure."""
    store = _Meddling()
    club = Club(PROGRAM, store)
    _live(club)
    store.meddle = iter(
        [
            lambda: club.transfer(ANN, "cy", 10, key="to-cy-ann", at=at(45)),
            lambda: club.transfer(ANN, "bob", 10, key="again-ann", at=at(45)),
            lambda: club.record(Order("ORD-7", ANN, at(46), amount="7.00")),
            lambda: club.earn("bob", 5, key="five", at=at(46)),
        ]
    )
    club.erase(ANN, at=at(50), pseudonym="x")
    assert [] == _found(_texts(store))
    assert 13 == club.balance("cy", at=at(50)).balance
    assert [] == list(club.verify_all())
    with pytest.raises(StaleVersion):
        store.append(commit(f"shop/{ANN}", 20))


# ---------------------------------------------------------------- any history


_PEOPLE = ("q-ann", "q-bob", "q-cy", "q-dee")


def _anything(club: Club, chance: random.Random, steps: range, owners: list[str], merges: bool = True) -> None:
    """Do this and that, by chance; what the rules refuse is refused. `owners` are those of the orders so far."""
    for step in steps:
        who, other = chance.sample(_PEOPLE, 2)
        when = at(step / 3 + chance.choice([0, 0, 0.2]) + 1)
        key = f"k-{who}-{step}"
        try:
            match chance.randrange(14):
                case 0 | 1 | 2 | 3:
                    owners.append(who)
                    club.record(Order(f"o-{len(owners)}", who, when, amount=str(chance.choice([10, 25, 40]))))
                case 4 | 5 if owners:
                    number = chance.randrange(len(owners))
                    amount = str(chance.choice([5, 10, 30]))
                    club.record(Refund(f"r-{step}", owners[number], f"o-{number + 1}", when, amount=amount))
                case 6:
                    club.earn(who, 30, key=key, at=when, expires_at=when + timedelta(days=chance.choice([3, 300])))
                case 7:
                    club.redeem(who, chance.choice([5, 20, 60]), key=key, at=when, reason=f"for {who}")
                case 8:
                    club.transfer(who, other, chance.choice([5, 15]), key=key, at=when, reason=f"from {who}")
                case 9:
                    club.hold(who, 10, key=f"h-{who}", until=when + timedelta(days=2), at=when)
                case 10:
                    club.capture(who, f"h-{who}", at=when)
                case 11:
                    club.restore(who, f"k-{who}-{chance.randrange(step + 1)}", at=when)
                case 12 if merges and chance.random() < 0.5:
                    head = whole(club._store, f"shop/{other}").head
                    if head is not None and head.status == "open":
                        club.merge(who, other, at=when)
                case 12 if merges:
                    club.unmerge(who, at=when)
                case 13:
                    club.record(Activity(f"a-{step}", who, "review", when))
        except (InputError, Refused):
            pass


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["debt", "clamp", "clamp_keep_receivable"]),
    st.sampled_from(["pinned", "unpinned"]),
)
def test_any_history(seed: int, shortfall: Any, hold: Any) -> None:
    """Whatever happened, sums stay, nobody who was erased is named any more, and the others go on."""
    program = Program(
        "shop",
        "USD",
        earning=[per_amount(1), activity("review", 5, budget=Budget("spring", 40))],
        units=[Unit("points", shortfall=shortfall, hold=hold, validity=days(20), activation=days(1))],
    )
    store = MemoryStore()
    club = Club(program, store)
    chance, owners = random.Random(seed), list[str]()
    _anything(club, chance, range(60), owners)
    assert [] == list(club.verify_all())
    members = list(club.members())
    sums = {member: _sums(club, member) for member in members}
    heads = {member: whole(store, f"shop/{member}").head for member in members}
    who = chance.choice([member for member in members if heads[member].status == "open"])  # type: ignore[union-attr]
    club.erase(who, at=at(chance.choice([5, 22, 60])), pseudonym="x")
    left = set(club.members())
    gone = [member for member in members if member not in left]
    assert who in gone
    assert [] == list(club.verify_all())
    assert [] == _found(_texts(store), gone)
    by_sums = sorted(map(repr, sums.values()))
    assert by_sums == sorted(repr(_sums(club, member)) for member in left)
    _anything(club, chance, range(60, 90), owners, merges=False)
    assert [] == list(club.verify_all())


def test_tags_of_items(club: Club) -> None:
    """Of what an account keeps beside its records, an erased one has only what the ledger needs."""
    club.erase(ANN, at=at(50), pseudonym="x")
    items: dict[tuple[str, str], Item] = dict(whole(club._store, "shop/x").items)
    assert {"hold", "spent"} == {kind for kind, _ in items}
