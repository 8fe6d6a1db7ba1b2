"""Tests of the tests: bugs put into the ledger on purpose, each of which the stateful machine must find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from loyaltykit import MemoryStore, books, ledger, rulebook, steps, stories, wire
from loyaltykit.books import Books
from loyaltykit.facts import Order, Reversal
from loyaltykit.testing.machine import ClubMachine

Patch = pytest.MonkeyPatch


class Machine(ClubMachine):
    """Two memory stores, without faults: the bugs are in the ledger."""

    makers = (MemoryStore, MemoryStore)
    faults = 0.0


def found(examples: int = 300) -> bool:
    """Say whether the machine finds anything wrong."""
    limits = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    try:
        run_state_machine_as_test(Machine, settings=limits)
    except Exception:
        return True
    return False


def op(patch: Patch, name: str, make: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Replace a kind of step by what `make` makes of it."""
    table: Mapping[str, Callable[..., None]] = {**steps.OPS, name: make(steps.OPS[name])}
    patch.setattr(steps, "OPS", table)


def lives_a_microsecond_longer(patch: Patch) -> None:
    """Lives a microsecond longer."""
    real = books._due
    patch.setattr(books, "_due", lambda lot: real(lot) + (0 if lot.pending or real(lot) == books.NEVER else 1))


def latest_expiring_first(patch: Patch) -> None:
    """Latest expiring first."""
    real = Books.choose

    def choose(self: Books, unit: str, *rest: Any) -> Any:
        keys = self._open.get(unit, [])
        keys.reverse()
        try:
            return real(self, unit, *rest)
        finally:
            keys.reverse()

    patch.setattr(Books, "choose", choose)


def pending_is_active(patch: Patch) -> None:
    """Pending is active."""

    def credit(self: Books, lot: Any, quantity: int, at: int) -> Any:
        self.unit(lot.unit).active += quantity
        return lot._replace(active=lot.active + quantity), "active"

    patch.setattr(Books, "credit", credit)


def debt_is_never_repaid(patch: Patch) -> None:
    """Debt is never repaid."""
    patch.setattr(Books, "settle", lambda self, unit, at, source: None)


def debt_is_repaid_twice(patch: Patch) -> None:
    """Debt is repaid twice."""
    real = Books.settle

    def settle(self: Books, unit: str, at: int, source: str) -> None:
        before = self.unit(unit).debt
        real(self, unit, at, source)
        row = self.unit(unit)
        row.debt = max(0, row.debt - (before - row.debt))

    patch.setattr(Books, "settle", settle)


def a_shortfall_is_forgotten(patch: Patch) -> None:
    """A shortfall is forgotten."""
    patch.setattr(Books, "short", lambda self, row, amount, policy, source: 0)


def refunds_take_nothing_back(patch: Patch) -> None:
    """Refunds take nothing back."""
    patch.setattr(stories, "targets", lambda program, order, refunds, award: tuple(lot.points for lot in award.lots))


def caps_ignore_clawbacks(patch: Patch) -> None:
    """Caps ignore clawbacks."""
    patch.setattr(stories, "counts_back", lambda *rest: ())


def caps_never_count(patch: Patch) -> None:
    """Caps never count."""
    patch.setattr(rulebook, "counted", lambda books, names: {})


def reversals_are_not_heard(patch: Patch) -> None:
    """Reversals are not heard."""
    real = rulebook.order_story
    patch.setattr(
        rulebook, "order_story", lambda facts, *rest: real([f for f in facts if not isinstance(f, Reversal)], *rest)
    )


def revisions_are_not_heard(patch: Patch) -> None:
    """Revisions are not heard."""
    real = rulebook.order_story

    def story(facts: Any, *rest: Any) -> Any:
        return real([fact for fact in facts if not isinstance(fact, Order) or fact.revision == 1], *rest)

    patch.setattr(rulebook, "order_story", story)


def any_payload_will_do(patch: Patch) -> None:
    """Any payload will do."""
    real = wire.signed
    patch.setattr(rulebook.wire, "signed", lambda value, without=(): (real(value)[0], "the same"))


def late_facts_are_only_appended(patch: Patch) -> None:
    """Late facts are only appended."""
    patch.setattr(ledger, "_commutes", lambda books, step, head: True)


def restored_to_the_first_lot(patch: Patch) -> None:
    """Restored to the first lot."""
    real = steps._restore

    def restore(books: Books, row: Any, outstanding: list[Any], *rest: Any) -> Any:
        outstanding.reverse()
        try:
            return real(books, row, outstanding, *rest)
        finally:
            outstanding.reverse()

    patch.setattr(steps, "_restore", restore)


def grace_is_forgotten(patch: Patch) -> None:
    """Grace is forgotten."""
    real = rulebook._terms
    patch.setattr(rulebook, "_terms", lambda *rest: attrs.evolve(real(*rest), grace_until=lambda at: 0))


def inactivity_is_ignored(patch: Patch) -> None:
    """Inactivity is ignored."""
    op(patch, "lapse", lambda real: lambda *rest: None)


def release_gives_nothing_back(patch: Patch) -> None:
    """Release gives nothing back."""
    op(patch, "release", lambda real: lambda *rest: None)


def capture_takes_one_too_many(patch: Patch) -> None:
    """Capture takes one too many."""

    def more(real: Callable[..., None]) -> Callable[..., None]:
        return lambda books, at, source, name, amount, *rest: real(books, at, source, name, amount + 1, *rest)

    op(patch, "capture", more)


def a_clawback_spares_its_own_lot(patch: Patch) -> None:
    """A clawback spares its own lot."""
    real = steps._claw_back

    def claw_back(books: Books, lot: Any, need: int, at: int, source: str, policy: str) -> None:
        others = sum(row.active for row in books.lots.values() if row.unit == lot.unit and row.lot != lot.lot)
        if others < need or lot.pending:
            real(books, lot, need, at, source, policy)
            return
        row = books.unit(lot.unit)
        chosen = [pair for pair in books.choose(lot.unit, need + lot.active, at) if pair[0] != lot.lot]
        uses = books.take(row, steps._first(chosen, need), "clawed")
        taken = sum(use[3] for use in uses)
        books.put(books.lots[lot.lot]._replace(owed=lot.owed + taken))
        books.move(lot.unit, "claw_back", -taken, at, source, uses)

    patch.setattr(steps, "_claw_back", claw_back)


def an_order_earns_before_it_spends(patch: Patch) -> None:
    """An order earns before it spends."""
    patch.setattr(stories, "RANK_SPEND", stories.RANK_AWARD + 1)


def expiry_counts_as_clawed(patch: Patch) -> None:
    """Expiry counts as clawed."""
    patch.setitem(books.SUMS, "expire", ("clawed_back", -1))


SEEDED = [
    lives_a_microsecond_longer,
    latest_expiring_first,
    pending_is_active,
    debt_is_never_repaid,
    debt_is_repaid_twice,
    a_shortfall_is_forgotten,
    refunds_take_nothing_back,
    caps_ignore_clawbacks,
    caps_never_count,
    reversals_are_not_heard,
    revisions_are_not_heard,
    any_payload_will_do,
    late_facts_are_only_appended,
    restored_to_the_first_lot,
    grace_is_forgotten,
    inactivity_is_ignored,
    release_gives_nothing_back,
    capture_takes_one_too_many,
    a_clawback_spares_its_own_lot,
    an_order_earns_before_it_spends,
    expiry_counts_as_clawed,
]


def test_enough_bugs_are_seeded() -> None:
    """At least fifteen bugs are seeded."""
    assert len(SEEDED) >= 15


@pytest.mark.parametrize("seed", SEEDED, ids=lambda seed: seed.__name__)
def test_a_seeded_bug_is_found(monkeypatch: Patch, seed: Callable[[Patch], None]) -> None:
    """The machine finds every bug that is put into the ledger."""
    seed(monkeypatch)
    assert found()


def test_without_a_bug_nothing_is_found() -> None:
    """The same machine finds nothing in the ledger as it is, so what it found above was the bug."""
    assert not found(examples=40)
