"""The ledger's laws, each as a property or an example, and each policy of the ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from loyaltykit import (
    Activity,
    Balance,
    Club,
    HoldExpired,
    InputError,
    InsufficientPoints,
    KeyReused,
    Line,
    MemoryStore,
    OnEvent,
    Order,
    Program,
    Refund,
    RefundTooLarge,
    Refused,
    Reversal,
    SQLiteStore,
    activity,
    hours,
    per_amount,
    per_day,
    points,
)
from loyaltykit.commands import Adjust, Capture, ClawBack, Command, Earn, Hold, Redeem, Reinstate, Release, Restore
from loyaltykit.journal import Context, Need
from loyaltykit.ledger import Account
from loyaltykit.program import grace
from loyaltykit.stores.protocol import Store
from loyaltykit.testing import strategies as draw
from loyaltykit.testing.strategies import EPOCH, MICROSECOND, hour

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

POLICIES = ["debt", "clamp", "clamp_keep_receivable"]


def shop(store: Store | None = None, **rules: Any) -> Club:
    """Return a club of one point for each dollar."""
    rules.setdefault("earning", [per_amount(1)])
    return Club(Program("shop", "USD", **rules), store or MemoryStore(), clock=lambda: EPOCH)


def bought(id: str, at: float, amount: int, **others: Any) -> Order:
    """Return an order of so many dollars."""
    return Order(id, "ann", hour(at), amount=amount, **others)


def available(club: Club, at: float) -> int:
    """Return what ann can spend."""
    return club.balance("ann", at=hour(at)).available


def everything(club: Club) -> Context:
    """Return all rows of ann."""
    return club._store.load(Need(f"{club.name}/ann", everything=True))


def sound(club: Club) -> None:
    """Assert that the stored books are what the records say."""
    assert [] == club.verify("ann")


@st.composite
def histories(draw_: st.DrawFn, commands: bool = True) -> tuple[Program, list[Any]]:
    """Draw a program, and facts and commands of ann in the order of their instants."""
    program = draw_(draw.programs())
    at, found = EPOCH, []
    for number in range(1, draw_(st.integers(2, 10)) + 1):
        at += timedelta(hours=draw_(st.sampled_from([0, 1, 2, 4])))
        known = [each.id for each in found if isinstance(each, Order)]
        kinds = ["order", "order", "activity", *(["give", "spend", "spend"] if commands else [])]
        kind = draw_(st.sampled_from([*kinds, *(["refund", "refund", "delivery", "reversal"] if known else [])]))
        when, of = st.just(at), known[-1] if known else ""
        gone = [each for each in found if isinstance(each, Refund)]
        if kind == "order":
            found.append(draw_(draw.orders("ann", str(number), when)))
        elif kind == "refund":
            found.append(draw_(draw.refunds("ann", of, str(number), when)))
        elif kind == "reversal" and gone:
            found.append(draw_(draw.reversals("ann", gone[-1].order, gone[-1].id, str(number), when)))
        elif kind == "give":
            found.append(draw_(draw.grants("ann", str(number), at)))
        elif kind == "spend":
            found.append(draw_(draw.spendings("ann", str(number), at)))
        else:
            found.append(draw_(draw.activities("ann", str(number), when, of if kind == "delivery" else None)))
    return program, found


def play(club: Club, history: Sequence[Any]) -> None:
    """Record facts and give commands; what is refused is refused."""
    for each in history:
        try:
            if isinstance(each, Command):
                club.do(each)
            else:
                club.record(each)
        except (Refused, InputError):
            pass


def edges(club: Club) -> list[datetime]:
    """Return the instants at which ann's books change, and those a microsecond before."""
    context = everything(club)
    times = {entry.at for entry in context.entries} | {lot.expires_at for lot in context.lots.values()}
    times |= {lot.active_at for lot in context.lots.values()}
    found = {EPOCH + timedelta(microseconds=time - int(EPOCH.timestamp()) * 10**6) for time in times if time < 2**61}
    return sorted(found | {each - MICROSECOND for each in found})[:40]


# ---------------------------------------------------------------- 1: append-only


@FEW
@given(histories(), st.randoms())
def test_entries_are_only_appended_and_corrections_name_what_they_correct(
    drawn: tuple[Program, list[Any]], chance: Any
) -> None:
    """What was written stays; an entry that takes another one back names it, and is its mirror."""
    program, history = drawn
    club = Club(program, MemoryStore(), clock=lambda: EPOCH)
    chance.shuffle(history)
    before: Sequence[Any] = ()
    for each in history:
        play(club, [each])
        entries = everything(club).entries
        assert before == entries[: len(before)]
        before = entries
    placed = {f"{entry.version}/{entry.line}": entry for entry in before}
    taken_back = [entry.corrects for entry in before if entry.corrects is not None]
    assert len(taken_back) == len(set(taken_back))
    for entry in before:
        if entry.corrects is not None:
            wrong = placed[entry.corrects]
            assert (-wrong.amount, wrong.at, wrong.source) == (entry.amount, entry.at, entry.source)


# ---------------------------------------------------------------- 2: conservation


@FEW
@given(histories())
def test_conservation_at_every_instant(drawn: tuple[Program, list[Any]]) -> None:
    """What came in is there or went out, at every instant and for every prefix of the statement."""
    program, history = drawn
    club = Club(program, MemoryStore(), clock=lambda: EPOCH)
    play(club, history)
    assume(everything(club).head is not None)
    for at in edges(club):
        row = club.balance("ann", at=at)
        came = row.earned + row.restored + row.reinstated + row.transferred_in + row.adjusted_up
        went = row.redeemed + row.expired + row.clawed_back + row.transferred_out + row.adjusted_down
        assert came == row.active + row.pending + row.held - row.debt + went
        rows = club.statement("ann", at=at)
        assert row.balance + row.pending == sum(each.amount for each in rows)
        assert [each.amount for each in rows] == [b.balance - a.balance for a, b in pairwise([_ZERO, *rows])]


class _Zero:
    balance = 0


_ZERO: Any = _Zero()


# ---------------------------------------------------------------- 3: derived, not stored


@FEW
@given(histories(), st.lists(draw.instants(), max_size=4))
def test_a_sweep_changes_no_balance(drawn: tuple[Program, list[Any]], sweeps: list[datetime]) -> None:
    """With sweeps and without, every balance, lot and statement is the same; only `booked` differs."""
    program, history = drawn
    plain, swept = (Club(program, MemoryStore(), clock=lambda: EPOCH) for _ in range(2))
    for each in history:
        play(plain, [each])
        for at in sweeps:
            if at <= (each.at if isinstance(each, Command) else getattr(each, "known_from", each.at)):
                swept.sweep(at=at)
        play(swept, [each])
    assume(everything(plain).head is not None)
    for at in edges(plain):
        assert plain.balance("ann", at=at) == swept.balance("ann", at=at)
        assert plain.lots("ann", at=at) == swept.lots("ann", at=at)
        rows = [[row[:7] for row in map(_tuple, club.statement("ann", at=at))] for club in (plain, swept)]
        assert rows[0] == rows[1]
    sound(swept)


def _tuple(row: Any) -> tuple[Any, ...]:
    return (row.at, row.kind, row.amount, row.balance, row.source, row.uses, row.actor)


@FEW
@given(histories())
def test_what_was_seen_then_can_be_seen_later(drawn: tuple[Program, list[Any]]) -> None:
    """The balance at an instant, by what was known then, is what was answered then, whatever came since."""
    program, history = drawn
    now = [EPOCH]
    club = Club(program, MemoryStore(), clock=lambda: now[0])
    seen: list[tuple[datetime, datetime, Balance]] = []
    for number, each in enumerate(history):
        now[0] = hour(100 + number)
        play(club, [each])
        if everything(club).head is not None:
            seen += [(at, now[0], club.balance("ann", at=at)) for at in (each.at, each.at + timedelta(hours=7))]
    for at, known_at, balance in seen:
        assert balance == club.balance("ann", at=at, known_at=known_at)


def test_late_facts_are_known_from_when_they_were_recorded() -> None:
    """An order told three days late counts at its instant, but not by what was known before it was told."""
    now = [hour(1)]
    club = Club(Program("shop", "USD", earning=[per_amount(1)]), MemoryStore(), clock=lambda: now[0])
    club.record(bought("1", 0, 10))
    now[0] = hour(72)
    club.record(bought("2", 1, 5))
    assert 15 == club.balance("ann", at=hour(2)).available
    assert 10 == club.balance("ann", at=hour(2), known_at=hour(71)).available
    assert 15 == club.balance("ann", at=hour(2), known_at=hour(72)).available


# ---------------------------------------------------------------- 4: half-open


@pytest.mark.parametrize(
    ("at", "expected"),
    [(hour(10) - MICROSECOND, 0), (hour(10), 100), (hour(11) - MICROSECOND, 100), (hour(11), 0)],
)
def test_a_lot_is_spendable_from_its_first_instant_until_its_end(at: datetime, expected: int) -> None:
    """A lot is spendable while active_at <= t < expires_at, to the microsecond, and exactly then."""
    account = Account("ann").do(Earn("ann", 100, key="e", at=hour(0), active_at=hour(10), expires_at=hour(11)))
    assert expected == account.balance(at).available
    spending = Redeem("ann", 100, key="r", at=at)
    if expected:
        assert 0 == account.do(spending).balance(at).available
    else:
        with pytest.raises(InsufficientPoints):
            account.do(spending)


def test_a_hold_ends_at_its_instant() -> None:
    """A hold holds until its end, exclusive; at its end the points are back and it cannot be captured."""
    account = Account("ann").do(Earn("ann", 100, key="e", at=hour(0)))
    account = account.do(Hold("ann", 80, key="h", at=hour(1), until=hour(2)))
    assert 20 == account.balance(hour(2) - MICROSECOND).available
    assert 100 == account.balance(hour(2)).available
    assert 20 == account.do(Capture("ann", "h", key="c", at=hour(2) - MICROSECOND)).balance(hour(3)).available
    with pytest.raises(HoldExpired):
        account.do(Capture("ann", "h", key="c", at=hour(2)))


def test_a_refund_is_known_from_its_own_instant() -> None:
    """Before a refund the order counts whole; from its instant on, what remains."""
    club = shop()
    club.record(bought("1", 0, 10))
    club.record(Refund("r", "ann", "1", hour(5), amount="4.00"))
    assert (10, 6) == (club.balance("ann", at=hour(5) - MICROSECOND).available, available(club, 5))


# ---------------------------------------------------------------- 5: soonest-expiring first


@FEW
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, 5), st.sampled_from([None, 8, 9, 10])), min_size=1, max_size=6
    ),
    st.data(),
)
def test_a_spend_takes_the_soonest_expiring_first(lots: list[Any], data: st.DataObject) -> None:
    """A spend takes a prefix of the lots in the order (expiry, earning, id), never-expiring last."""
    account = Account("ann")
    for number, (count, earned, ends) in enumerate(lots):
        expires_at = None if ends is None else hour(ends)
        account = account.do(Earn("ann", count, key=f"{number}", at=hour(earned), expires_at=expires_at))
    before = account.lots(hour(6))
    keys = [(lot.expires_at or hour(9_999), lot.earned_at, lot.id) for lot in before]
    assert keys == sorted(keys)
    taken = data.draw(st.integers(1, sum(lot.active for lot in before)))
    account = account.do(Redeem("ann", taken, key="r", at=hour(6)))
    rest = {lot.id: lot.active for lot in account.lots(hour(6))}
    for lot in before:
        here = min(taken, lot.active)
        taken -= here
        assert lot.active - here == rest.get(lot.id, 0)


# ---------------------------------------------------------------- 6: back to where it came from


def test_a_restore_returns_points_to_their_lots_with_their_dates() -> None:
    """Points come back to the very lots, those taken last first; what has passed its date expires."""
    account = Account("ann")
    for key, ends in (("early", 5), ("late", 10)):
        account = account.do(Earn("ann", 10, key=key, at=hour(0), expires_at=hour(ends)))
    account = account.do(Redeem("ann", 15, key="r", at=hour(1)))
    account = account.do(Restore("ann", "r", points=7, key="back", at=hour(2)))
    assert [("key:early", 2), ("key:late", 10)] == [(lot.id, lot.active) for lot in account.lots(hour(2))]
    account = account.do(Restore("ann", "r", key="rest", at=hour(6)))
    assert [("key:late", 10)] == [(lot.id, lot.active) for lot in account.lots(hour(6))]
    assert (15, 10) == (account.balance(hour(6)).restored, account.balance(hour(6)).expired)


def test_a_clawback_takes_pending_then_its_own_lot_then_others_then_the_shortfall() -> None:
    """A clawback takes from the award's pending points, its own lot, other lots, and then makes debt."""
    account = Account("ann")
    account = account.do(Earn("ann", 10, key="other", at=hour(0), expires_at=hour(50)))
    account = account.do(Earn("ann", 10, key="own", at=hour(0), active_at=hour(5), expires_at=hour(90)))
    taken = account.do(ClawBack("ann", "own", points=4, key="c", at=hour(1)))
    assert (6, 10) == (taken.balance(hour(1)).pending, taken.balance(hour(1)).active)
    account = account.do(Redeem("ann", 5, key="r", at=hour(6)))  # 5 of the other lot, which expires sooner
    account = account.do(ClawBack("ann", "own", points=8, key="c", at=hour(7)))
    assert {"key:other": 5, "key:own": 2} == {lot.id: lot.active for lot in account.lots(hour(7))}
    account = account.do(Redeem("ann", 6, key="s", at=hour(8)))
    account = account.do(ClawBack("ann", "own", key="d", at=hour(9)))
    assert (0, 1) == (account.balance(hour(9)).active, account.balance(hour(9)).debt)
    assert 10 == account.balance(hour(9)).clawed_back, "never more than was earned"
    assert account == account.do(ClawBack("ann", "own", key="d", at=hour(9)))


# ---------------------------------------------------------------- 7: cumulative refunds


@FEW
@given(
    st.lists(st.sampled_from([{"tea": 1}, {"mug": 1}, {"pot": 1}, {"mug": 2}, "1.00", "7.50", "0.01"]), max_size=5),
    st.sampled_from(["net_allocated", "gross_line_first"]),
    st.sampled_from(["pro_rata", "full_only"]),
    st.randoms(),
)
def test_any_refunds_end_where_one_full_refund_ends(parts: list[Any], split: str, back: str, chance: Any) -> None:
    """Whatever partial refunds come before it, in whatever order they are told, the last one leaves nothing."""
    club = shop(refund_split=split, reward_back=back)
    club.earn("ann", 50, key="e", at=hour(0))
    lines = [Line("tea", 3, unit_price=1), Line("mug", 2, unit_price=5), Line("pot", 1, unit_price=12)]
    order = Order("1", "ann", hour(1), lines, discount=2, tenders=[points(30, worth="3.00")])
    told: list[Any] = [order]
    for number, part in enumerate([*parts, None]):
        lines_, amount = (part, None) if isinstance(part, dict) else (None, part)
        told.append(Refund(f"r{number}", "ann", "1", hour(2 + number), lines_, amount))
    for each in chance.sample(told, len(told)):
        try:
            club.record(each)
        except (RefundTooLarge, InputError):
            assume(each is not told[-1])
    assert 50 == available(club, 99)
    assert 0 == club.balance("ann", at=hour(99)).debt
    sound(club)


def test_a_refund_takes_what_its_rules_gave() -> None:
    """Each refund lowers the award to what the rules give for the rest, rounded once."""
    club = shop()
    club.record(Order("1", "ann", hour(0), [Line("a", 3, unit_price="0.99")]))
    stands = [available(club, 0)]
    for number in (1, 2, 3):
        club.record(Refund(f"r{number}", "ann", "1", hour(number), {"a": 1}))
        stands.append(available(club, number))
    assert [2, 1, 0, 0] == stands


def test_what_expired_is_not_owed_again_but_what_repaid_a_debt_is() -> None:
    """A refund after the points expired takes nothing; after they were spent, or repaid a debt, it takes all."""
    club = shop(validity=hours(10))
    club.record(bought("1", 0, 30))
    club.record(Refund("r", "ann", "1", hour(20)))
    assert 0 == available(club, 20)
    club.record(bought("2", 30, 30, tenders=[points(10, worth="0.00")]))  # 30 - 10 = 20
    assert 20 == available(club, 30)
    club.record(Refund("s", "ann", "2", hour(31)))
    assert 0 == available(club, 31)
    sound(club)


# ---------------------------------------------------------------- 8: idempotent, and in any order


@settings(FEW, max_examples=120)
@given(histories(commands=False), st.randoms())
def test_facts_in_any_order_and_any_number_of_times(drawn: tuple[Program, list[Any]], chance: Any) -> None:
    """Any permutation and repetition of facts ends in the same balances, lots, and history."""
    program, facts = drawn
    told = [*facts, *chance.choices(facts, k=2)]
    chance.shuffle(told)
    clubs = [Club(_uncapped(program), MemoryStore(), clock=lambda: EPOCH) for _ in range(2)]
    for club, order in zip(clubs, (facts, told), strict=True):
        for fact in order:
            try:
                club.record(fact)
            except InputError:
                assume(False)
    for at in edges(clubs[0]):
        one, other = (club.balance("ann", at=at) for club in clubs)
        assert one == other
        assert [club.lots("ann", at=at) for club in clubs[:1]] == [club.lots("ann", at=at) for club in clubs[1:]]
    rows = [[_tuple(row) for row in club.statement("ann", at=hour(500))] for club in clubs]
    assert rows[0] == rows[1]
    sound(clubs[1])


def _uncapped(program: Program) -> Program:
    """Return the program without caps, for these depend on the order in which facts are told."""
    import attrs

    return attrs.evolve(program, caps=(), earning=tuple(attrs.evolve(rule, cap=None) for rule in program.earning))


@FEW
@given(histories(), st.randoms())
def test_the_same_again_is_answered_the_same(drawn: tuple[Program, list[Any]], chance: Any) -> None:
    """Doing anything again, even a refused command, gives the first answer and changes nothing."""
    program, history = drawn
    club = Club(program, MemoryStore(), clock=lambda: EPOCH)

    def answer(each: Any) -> Any:
        try:
            return club.do(each) if isinstance(each, Command) else club.record(each)
        except (Refused, InputError) as error:
            return type(error), str(error)

    first = [answer(each) for each in history]
    before = everything(club)
    recorded = {key.partition(":")[2] for key in before.records}
    for place in chance.sample(range(len(history)), len(history)):
        each = history[place]
        if (each.key if isinstance(each, Command) else each.id) in recorded:
            assert first[place] == answer(each)
    assert before == everything(club)


def test_another_payload_under_a_key_is_a_conflict() -> None:
    """The same key with another payload is refused, for facts and commands, and nothing changes."""
    club = shop()
    club.record(bought("1", 0, 10))
    club.earn("ann", 5, key="k", at=hour(0))
    before = everything(club)
    with pytest.raises(KeyReused):
        club.record(bought("1", 0, 11))
    with pytest.raises(KeyReused):
        club.earn("ann", 6, key="k", at=hour(0))
    with pytest.raises(KeyReused):
        club.redeem("ann", 5, key="k", at=hour(0))
    assert before == everything(club)


def test_a_command_is_decided_once() -> None:
    """A redemption that was done stays done when a late refund shows that the points were not there."""
    club = shop()
    club.record(bought("1", 0, 10))
    club.redeem("ann", 10, key="r", at=hour(5))
    club.record(Refund("late", "ann", "1", hour(1)))
    balance = club.balance("ann", at=hour(5))
    assert (10, 10, 0) == (balance.redeemed, balance.debt, balance.active)
    sound(club)


@FEW
@given(histories(), st.integers(1, 5))
def test_batches_are_as_one_by_one(drawn: tuple[Program, list[Any]], size: int) -> None:
    """Facts in batches, and facts one by one, lead to the same records, entries, lots and balances."""
    program, history = drawn
    facts = [each for each in history if not isinstance(each, Command)]
    single, batched = (Club(program, MemoryStore(), clock=lambda: EPOCH) for _ in range(2))
    play(single, facts)
    for begin in range(0, len(facts), size):
        part = facts[begin : begin + size]
        try:
            list(batched.record_many(part, batch=size))
        except InputError:
            play(batched, part)
    one, other = everything(single), everything(batched)
    assert one[1:6] == other[1:6]
    assert (one.head and one.head[:4]) == (other.head and other.head[:4])


# ---------------------------------------------------------------- 9: writers at the same time


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_of_twenty_parallel_spends_of_one_balance_one_wins(kind: str, tmp_path: Path) -> None:
    """Twenty writers spend the same hundred points at once: one wins, the others are refused, nothing is lost."""
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "shop.db")
    club = shop(store)
    club.earn("ann", 100, key="e", at=hour(0))
    start, won = threading.Barrier(20), []

    def spend(number: int) -> None:
        start.wait()
        try:
            won.append(club.redeem("ann", 100, key=f"r{number}", at=hour(1)).points)
        except InsufficientPoints:
            won.append(0)

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [-100, *[0] * 19] == sorted(won)
    assert (0, 100) == (available(club, 1), club.balance("ann", at=hour(1)).redeemed)
    sound(club)
    store.close()


# ---------------------------------------------------------------- 10: explainable


@FEW
@given(histories())
def test_every_balance_can_be_asked_why(drawn: tuple[Program, list[Any]]) -> None:
    """The explanation begins with the balance, and its branches add up to what came in less what went out."""
    program, history = drawn
    club = Club(program, MemoryStore(), clock=lambda: EPOCH)
    play(club, history)
    assume(everything(club).head is not None)
    for at in edges(club)[-6:]:
        balance = club.balance("ann", at=at)
        explanation = club.explain("ann", at=at)
        assert str(explanation).startswith(f"{balance.balance} points".replace("-", "−"))
        parts = [_leading(each.text) for each in explanation.because]
        assert balance.balance + balance.pending == sum(parts)


def _leading(text: str) -> int:
    return int(text.split()[0].replace("−", "-").replace(",", ""))


# ---------------------------------------------------------------- 11: exact


@FEW
@given(histories())
def test_there_is_no_float_anywhere(drawn: tuple[Program, list[Any]]) -> None:
    """Rows hold texts, whole numbers and nothing else, and no text of theirs holds a float."""
    program, history = drawn
    club = Club(program, MemoryStore(), clock=lambda: EPOCH)
    play(club, history)
    context = everything(club)

    def refuse(text: str) -> Any:
        raise AssertionError(f"a float was written: {text}")

    rows: list[Any] = [*context.entries, *context.lots.values(), *context.balances.values(), *context.items.values()]
    for row in [*rows, *context.records.values()]:
        assert {type(value) for value in row} <= {int, str, type(None)}
        for text in (getattr(row, name, None) for name in ("payload", "plan", "outcome", "uses", "value")):
            if text:
                json.loads(text, parse_float=refuse)


def test_large_numbers_are_exact() -> None:
    """Numbers far beyond what a float can hold come back to the point."""
    large = 2**62 + 1
    account = Account("ann").do(Earn("ann", large, key="e", at=hour(0)))
    account = account.do(Redeem("ann", 1, key="r", at=hour(1)))
    assert 2**62 == account.balance(hour(1)).available


# ---------------------------------------------------------------- policies: shortfall


@pytest.mark.parametrize(
    ("policy", "then", "later"),
    [("debt", -50, 30), ("clamp", 0, 80), ("clamp_keep_receivable", 0, 30)],
)
def test_shortfall(policy: str, then: int, later: int) -> None:
    """Earn 50, spend 50, refund: a debt of 50; or nothing, forgiven; or nothing, and repaid by the next 80."""
    club = shop(shortfall=policy)
    club.record(bought("a", 0, 50))
    club.redeem("ann", 50, key="r", at=hour(1))
    receipt = club.record(Refund("back", "ann", "a", hour(2)))
    assert then == available(club, 2)
    assert (0 if policy == "debt" else 50) == receipt.shortfall
    assert (50 if policy == "debt" else 0) == receipt.debt
    club.record(bought("b", 3, 80))
    assert later == available(club, 3)
    club.record(Reversal("v", "ann", "a", "back", hour(4)))  # the refund did not stand: as if it had never been
    assert 80 == available(club, 4)
    sound(club)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_redemption_that_nobody_could_pay_gives_nothing_for_free(policy: str) -> None:
    """An order paid with points that were not there, and returned, leaves the member with nothing, not with points."""
    club = shop(shortfall=policy, earning=[])
    club.earn("ann", 4, key="e", at=hour(0))
    club.record(bought("1", 1, 10, tenders=[points(10, worth="10.00")]))
    club.record(Refund("r", "ann", "1", hour(2)))
    assert 4 == available(club, 2)
    sound(club)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_adjustment_below_zero_keeps_to_the_shortfall_policy(policy: str) -> None:
    """Taking more by hand than is there makes debt, or takes only what is there."""
    account = Account("ann", _terms(policy)).do(Earn("ann", 5, key="e", at=hour(0)))
    account = account.do(Adjust("ann", -8, key="a", at=hour(1), actor="clerk", reason="a mistake"))
    balance = account.balance(hour(1))
    assert ((0, 3, 8) if policy == "debt" else (0, 0, 5)) == (balance.active, balance.debt, balance.adjusted_down)


def _terms(policy: Any) -> Callable[[str], Any]:
    from loyaltykit.commands import Terms

    return lambda unit: Terms(shortfall=policy)


# ---------------------------------------------------------------- policies: restore


@pytest.mark.parametrize(
    ("policy", "at", "expected"),
    [("strict", 4, 10), ("strict", 6, 0), ("off", 4, 0), (grace(hours(3)), 4, 10), (grace(hours(3)), 6, 10)],
)
def test_restore(policy: Any, at: int, expected: int) -> None:
    """Points come back to a lot that lives until 5:00: strictly, never, or after it for three hours more."""
    club = shop(restore=policy, earning=[])
    club.earn("ann", 10, key="e", at=hour(0), expires_at=hour(5))
    club.record(bought("1", 1, 10, tenders=[points(10, worth="10.00")]))
    club.record(Refund("r", "ann", "1", hour(at)))
    assert expected == available(club, at)
    if expected:
        ends = 5 if at < 5 else at + 3
        assert (expected, 0) == (
            club.balance("ann", at=hour(ends) - MICROSECOND).available, available(club, ends)
        )  # fmt: skip
    sound(club)


# ---------------------------------------------------------------- policies: hold


def test_a_pinned_hold_keeps_its_lots_alive_and_an_unpinned_one_does_not() -> None:
    """The lot expires under the hold: pinned points can still be captured, unpinned ones are gone."""
    for policy, captured, expired in (("pinned", 8, 2), ("unpinned", 0, 10)):
        club = shop(hold=policy)
        club.earn("ann", 10, key="e", at=hour(0), expires_at=hour(5))
        club.hold("ann", 8, key="h", at=hour(4), until=hour(9))
        if captured:
            assert -8 == club.capture("ann", "h", at=hour(6)).points
        else:
            with pytest.raises(InsufficientPoints):
                club.capture("ann", "h", at=hour(6))
        balance = club.balance("ann", at=hour(10))
        assert (captured, expired, 0) == (balance.redeemed, balance.expired, balance.held)
        sound(club)


def test_released_points_whose_date_has_passed_expire_after_the_release() -> None:
    """What follows a hold's end follows it in the books as well, with a sweep or without."""
    for sweep in (False, True):
        club = shop()
        club.earn("ann", 10, key="e", at=hour(0), expires_at=hour(5))
        club.hold("ann", 10, key="h", at=hour(1), until=hour(10))
        if sweep:
            club.sweep(at=hour(7))
        rows = [(row.kind, row.at) for row in club.statement("ann", at=hour(20))]
        assert [("earn", hour(0)), ("hold", hour(1)), ("release", hour(10)), ("expire", hour(10))] == rows
        club.sweep(at=hour(20))
        sound(club)


# ---------------------------------------------------------------- policies: validity, reward back, split, inactivity


@pytest.mark.parametrize(("policy", "ends"), [("activation", 13), ("earning", 10)])
def test_validity_counts_from_activation_or_from_earning(policy: str, ends: int) -> None:
    """Earned at 0:00, active after three hours, valid for ten: until 13:00, or until 10:00."""
    club = shop(activation=hours(3), validity=hours(10), validity_from=policy)
    club.record(bought("1", 0, 10))
    assert [0, 10, 10, 0] == [
        club.balance("ann", at=at).available
        for at in (hour(3) - MICROSECOND, hour(3), hour(ends) - MICROSECOND, hour(ends))
    ]


def test_points_wait_for_their_event() -> None:
    """Points that wait for a delivery become active at its instant, even if it is told before the order."""
    for order_first in (True, False):
        club = shop(activation=OnEvent("delivered"), validity=hours(10))
        told = [bought("1", 0, 10), Activity("d", "ann", "delivered", hour(2), order="1")]
        for fact in told if order_first else reversed(told):
            club.record(fact)
        assert [0, 10, 0] == [available(club, at) for at in (1, 2, 12)]
        sound(club)


@pytest.mark.parametrize(("policy", "expected"), [("pro_rata", 5), ("full_only", 0)])
def test_reward_back(policy: str, expected: int) -> None:
    """Half of an order comes back: half of its points, or none before the last of it."""
    club = shop(reward_back=policy, earning=[])
    club.earn("ann", 10, key="e", at=hour(0))
    club.record(Order("1", "ann", hour(1), [Line("a", 2, unit_price=5)], tenders=[points(10, worth="10.00")]))
    assert expected == club.record(Refund("r", "ann", "1", hour(2), {"a": 1})).points_back
    assert 10 - expected == club.record(Refund("s", "ann", "1", hour(3))).points_back
    assert 10 == available(club, 3)


@pytest.mark.parametrize(("policy", "expected"), [("net_allocated", [507, 1000]), ("gross_line_first", [505, 1000])])
def test_refund_split(policy: str, expected: list[int]) -> None:
    """Two items of 10.00 with 5.00 off for 500 points: what the first return leaves, and the second."""
    club = shop(refund_split=policy, reward_back="full_only")
    club.earn("ann", 1000, key="e", at=hour(0))
    lines = [Line("a", 1, unit_price=10), Line("b", 1, unit_price=10)]
    club.redeem("ann", 500, key="reward", at=hour(1))
    club.record(Order("1", "ann", hour(1), lines, discount=5))
    assert 515 == available(club, 1)
    found = []
    for number, sku in enumerate("ab"):
        club.record(Refund(f"r{number}", "ann", "1", hour(2 + number), {sku: 1}))
        if number:
            club.restore("ann", "reward", at=hour(2 + number))
        found.append(available(club, 2 + number))
    assert expected == found


def test_a_balance_lapses_after_inactivity() -> None:
    """Twelve hours after the last earn or redemption all is gone; an order told late, but before, keeps it."""
    club = shop(inactivity=hours(12))
    club.record(bought("1", 0, 10))
    assert (10, 0) == (club.balance("ann", at=hour(12) - MICROSECOND).available, available(club, 12))
    club.sweep(at=hour(20))
    club.record(bought("2", 6, 5))
    assert (15, 0) == (club.balance("ann", at=hour(18) - MICROSECOND).available, available(club, 18))
    sound(club)


def test_a_cap_counts_net_of_what_was_taken_back() -> None:
    """Fifty a day: 40, then 10 of 30; the second is returned, and the next order of 30 gets 10 again."""
    club = shop(caps=[per_day(points=50)])
    assert 40 == club.record(bought("a", 0, 40)).points
    assert 10 == club.record(bought("b", 1, 30)).points
    assert -10 == club.record(Refund("r", "ann", "b", hour(2))).points
    assert 10 == club.record(bought("c", 3, 30)).points


# ---------------------------------------------------------------- late commands


@pytest.fixture(params=POLICIES)
def late(request: pytest.FixtureRequest) -> Iterator[Club]:
    """A club in which ann earned 10 at 9:00 and has been active since."""
    club = shop(shortfall=request.param)
    club.record(bought("1", 9, 10))
    yield club
    sound(club)


def test_a_late_redemption_cannot_take_later_points(late: Club) -> None:
    """A redemption dated before the points were earned is refused, a hold too, an adjustment takes none of them."""
    with pytest.raises(InsufficientPoints):
        late.redeem("ann", 5, key="r", at=hour(5))
    with pytest.raises(InsufficientPoints):
        late.hold("ann", 5, key="h", at=hour(5), until=hour(50))
    late.adjust("ann", -5, key="a", at=hour(5), reason="a mistake", actor="clerk")
    balance = late.balance("ann", at=hour(9))
    assert (0, 5) == (balance.debt, balance.active) if balance.adjusted_down else (0, 10)


def test_a_late_redemption_cannot_take_what_was_spent_since(late: Club) -> None:
    """Of ten points, eight were spent at 12:00: a redemption dated 11:00 gets two at most."""
    late.redeem("ann", 8, key="r", at=hour(12))
    with pytest.raises(InsufficientPoints) as refusal:
        late.redeem("ann", 3, key="s", at=hour(11))
    assert (3, 2) == (refusal.value.needed, refusal.value.available)
    assert -2 == late.redeem("ann", 2, key="t", at=hour(11)).points


def test_a_hold_is_resolved_once_whatever_the_dates(late: Club) -> None:
    """A release dated before the capture gives nothing back, nor does a second capture take again."""
    late.hold("ann", 8, key="h", at=hour(10), until=hour(20))
    late.capture("ann", "h", 5, at=hour(15))
    late.release("ann", "h", at=hour(12))
    with pytest.raises(Refused):
        late.capture("ann", "h", 8, key="again", at=hour(13))
    assert (5, 5) == (available(late, 16), late.balance("ann", at=hour(16)).redeemed)


def test_a_late_restore_does_not_redeem_again(late: Club) -> None:
    """Restores by hand add up to what was redeemed at most, whatever their dates and whatever a refund gives back."""
    late.redeem("ann", 10, key="r", at=hour(10))
    late.restore("ann", "r", 3, key="x", at=hour(20))
    late.restore("ann", "r", 5, key="y", at=hour(15))
    assert 8 == available(late, 21)
    late.restore("ann", "r", key="z", at=hour(12))
    assert (10, 10) == (available(late, 21), late.balance("ann", at=hour(21)).restored)
    with pytest.raises(InputError):
        late.restore("ann", "r", key="before", at=hour(9))


def test_late_clawbacks_take_no_more_than_was_given(late: Club) -> None:
    """Two clawbacks of six out of ten, the second dated before the first, take ten."""
    late.earn("ann", 10, key="e", at=hour(10))
    late.claw_back("ann", "e", 6, key="x", at=hour(20))
    late.claw_back("ann", "e", 6, key="y", at=hour(15))
    assert (10, 10) == (available(late, 21), late.balance("ann", at=hour(21)).clawed_back)


def test_refunds_and_restores_by_hand_add_up(late: Club) -> None:
    """A later refund gives back what is left after a restore by hand, and never redeems again."""
    late.redeem("ann", 10, key="r", at=hour(10))
    late.record(Order("2", "ann", hour(10), [Line("a", 2, unit_price=5)], tenders=[points(10, worth="10.00", key="r")]))
    late.record(Refund("x", "ann", "2", hour(11), {"a": 1}))
    late.restore("ann", "r", 3, at=hour(12))
    assert 8 == available(late, 12)
    late.record(Refund("y", "ann", "2", hour(13), {"a": 1}))
    assert 10 == available(late, 13)


# ---------------------------------------------------------------- one instant


def test_at_one_instant_commands_see_what_was_recorded() -> None:
    """An order, its refund, a hold and its capture, all at one instant: each sees what came before it."""
    club = shop()
    club.record(bought("1", 1, 10))
    club.record(Refund("r", "ann", "1", hour(1), amount="4.00"))
    club.hold("ann", 6, key="h", at=hour(1), until=hour(2))
    assert (0, 6) == (available(club, 1), club.balance("ann", at=hour(1)).held)
    order = Order("2", "ann", hour(1), amount=6, tenders=[points(6, worth="6.00", key="h")])
    club.record(order)
    assert (0, 0, 6) == (
        available(club, 1), club.balance("ann", at=hour(1)).held, club.balance("ann", at=hour(1)).redeemed
    )  # fmt: skip
    club.record(Refund("s", "ann", "2", hour(1)))
    assert 6 == available(club, 1)
    sound(club)


# ---------------------------------------------------------------- revisions


def test_revisions_in_any_order_end_in_the_highest() -> None:
    """Revisions told in any order, even where a higher one took effect earlier, end in the highest."""
    first = bought("1", 0, 10)
    second = Order("1", "ann", hour(0), amount=20, revision=2, revised_at=hour(9))
    third = Order("1", "ann", hour(0), amount=30, revision=3, revised_at=hour(5))
    for told in ([first, second, third], [third, second, first], [second, first, third], [first, third, second]):
        club = shop()
        for fact in told:
            club.record(fact)
        assert [10, 30, 30] == [available(club, at) for at in (1, 5, 9)], [each.revision for each in told]
        sound(club)


def test_an_order_that_is_no_longer_paid_with_points_gives_them_back() -> None:
    """A revision without the points part returns the points that the order had spent."""
    club = shop(earning=[])
    club.earn("ann", 10, key="e", at=hour(0))
    club.record(bought("1", 1, 10, tenders=[points(10, worth="10.00")]))
    club.record(bought("1", 1, 10, revision=2, revised_at=hour(2)))
    assert (0, 10) == (available(club, 1), available(club, 2))
    sound(club)


def test_a_refund_that_an_order_cannot_have_had_does_not_keep_the_order_out() -> None:
    """A refund dated before its order, and larger than it, is left out; the order is recorded."""
    club = shop()
    club.record(Refund("r", "ann", "1", hour(1), amount="99.00"))
    receipt = club.record(bought("1", 2, 10))
    assert (10, ("refund:r",)) == (available(club, 2), receipt.ignored)
    sound(club)


def test_a_late_refund_that_undoes_what_was_spent_since() -> None:
    """Points spent at 10:00 turn out never to have been earned: the redemption becomes a debt."""
    club = shop()
    club.record(bought("1", 5, 10))
    club.redeem("ann", 10, key="r", at=hour(10))
    club.record(Refund("early", "ann", "1", hour(1)))  # known before the order itself: nothing was earned
    assert -10 == available(club, 10)
    assert 0 == club.balance("ann", at=hour(10)).earned
    sound(club)


def test_two_parts_in_points_are_both_paid() -> None:
    """An order paid in two parts of points takes both from the lots, also where many lots are not loaded."""
    club = shop(earning=[])
    for number in range(20):
        club.earn("ann", 5, key=f"{number}", at=hour(0), expires_at=hour(100 + number))
    club.record(bought("1", 1, 10, tenders=[points(30, worth="3.00"), points(40, worth="4.00")]))
    assert (30, 0) == (available(club, 1), club.balance("ann", at=hour(1)).debt)
    sound(club)


def test_what_is_refused_can_be_reinstated_released_and_forgotten() -> None:
    """Commands on what does not exist are refused as input, and leave no trace."""
    account = Account("ann").do(Earn("ann", 5, key="e", at=hour(0)))
    wrong: list[Command] = [
        Capture("ann", "no", key="1", at=hour(1)),
        Release("ann", "no", key="2", at=hour(1)),
        Restore("ann", "no", key="3", at=hour(1)),
        ClawBack("ann", "no", key="4", at=hour(1)),
        Reinstate("ann", "key:e", key="5", at=hour(1)),
    ]
    for command in wrong:
        with pytest.raises(InputError):
            account.do(command)


def test_a_reinstated_lot_lives_on() -> None:
    """An expired lot comes back, in itself, until its new end; a clawback that it let pass is not undone by that."""
    account = Account("ann").do(Earn("ann", 10, key="e", at=hour(0), expires_at=hour(5)))
    account = account.do(ClawBack("ann", "e", points=4, key="c", at=hour(6)))
    account = account.do(Reinstate("ann", "key:e", expires_at=hour(20), key="r", at=hour(7)))
    assert [6, 6, 0] == [account.balance(at).available for at in (hour(7), hour(20) - MICROSECOND, hour(20))]
    assert [] == account.verify()


def test_an_activity_is_not_taken_for_its_order() -> None:
    """A review that names an order keeps its own points, whatever happens to the order."""
    club = shop(earning=[per_amount(1), activity("review", 5)])
    club.record(bought("1", 0, 10))
    club.record(Activity("a", "ann", "review", hour(1), order="1"))
    club.record(Refund("r", "ann", "1", hour(0)))
    club.record(bought("1", 0, 3, revision=2, revised_at=hour(3)))
    assert 5 == available(club, 2)
    sound(club)
