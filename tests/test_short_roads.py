"""Where writing takes a shorter road, it arrives where the long one does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st
from test_ledger_laws import FEW, histories, play

from loyaltykit import Club, MemoryStore, Order, Program, hours, ledger, per_amount
from loyaltykit.books import Books
from loyaltykit.errors import InputError
from loyaltykit.journal import Balance
from loyaltykit.rulebook import Rulebook
from loyaltykit.stories import Known, new_story, order_story
from loyaltykit.testing import strategies as draw
from loyaltykit.testing.strategies import EPOCH, hour

KEYS = ["a", "b"]


@st.composite
def known_orders(draw_: st.DrawFn) -> tuple[Known, Order]:
    """Draw an order, perhaps a changed or cancelled one, and what is fixed when it becomes known."""
    program = draw_(draw.programs())
    order = draw_(draw.orders(keys=KEYS))
    if draw_(st.booleans()):
        order = draw_(draw.revisions(order, 2))
    used = draw_(st.dictionaries(st.just("cap/~points/day:2026-01-01/points"), st.integers(0, 40)))
    return Known(program, None, used, frozenset(draw_(st.lists(st.sampled_from(KEYS))))), order


@FEW
@given(known_orders())
def test_a_new_order_is_a_story_of_one_event(drawn: tuple[Known, Order]) -> None:
    """An order of which nothing else is known means what its story means that consists of it alone."""
    known, order = drawn
    terms = Rulebook({1: known.program}).terms(known.program)
    assert order_story([order], known, terms) == new_story(order, known, terms)


def _state(books: Books) -> tuple[Any, ...]:
    rows = {name: row for name, unit in books.units.items() if (row := unit.row()) != Balance(name)}
    spendable = {unit: keys for unit, keys in books._open.items() if keys}
    changed = books.changed_lots, books.changed_units, books.changed_items
    stands = books.at, books.settled_at, books.lots, rows, books.items, books.next_at(), spendable
    return *stands, books.moves, changed, books.shortfalls, books.notes


def _checked(program: Program, facts: list[Any]) -> int:
    """Record facts as one batch; return how often books went on, each time the same as if made anew."""
    real, went_on = ledger.view_at, []

    def both(context: Any, need: Any, at: int, blind: bool = False, kept: Books | None = None) -> Any:
        books, end = real(context, need, at, blind, kept)
        if kept is not None and books is kept:
            went_on.append(at)
            assert _state(real(context, need, at, blind)[0]) == _state(books)
        return books, end

    with pytest.MonkeyPatch.context() as patch, suppress(InputError):
        patch.setattr(ledger, "view_at", both)
        list(Club(program, MemoryStore(), clock=lambda: EPOCH).record_many(facts))
    return len(went_on)


@FEW
@given(histories(commands=False))
def test_books_that_go_on_are_the_books_made_anew(drawn: tuple[Program, list[Any]]) -> None:
    """In a batch the books that one fact left are for the next what the rows written so far would make."""
    _checked(*drawn)


def test_books_go_on_in_a_batch() -> None:
    """From the second fact of a member on, a batch in order makes no books anew."""
    orders = [Order(str(number), "ann", hour(number), amount=10) for number in range(5)]
    assert 4 == _checked(Program("shop", "USD", earning=per_amount(1), validity=hours(2)), orders)


@FEW
@given(histories())
def test_the_next_event_is_the_soonest_of_all(drawn: tuple[Program, list[Any]]) -> None:
    """What the books say happens next is the least of all dates that their lots, holds and balances have."""
    program, history = drawn
    real = Books.next_at

    def all_dates(books: Books) -> int:
        times = [books._next_at, *(lot.due_at for lot in books.lots.values() if lot.due_at > books.at)]
        times += [item.due_at for item in books.items.values() if item.value is not None]
        times += [unit.lapse_at for unit in books.units.values() if unit.active or unit.reserved]
        assert min(times) == real(books)
        return min(times)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Books, "next_at", all_dates)
        club = Club(program, MemoryStore(), clock=lambda: EPOCH)
        play(club, history)
