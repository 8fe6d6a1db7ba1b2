"""Bugs that are planted on purpose: the machine of `loyaltykit.testing` must catch every one, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from seeding import Seed

from loyaltykit import books
from loyaltykit.errors import LoyaltyError
from loyaltykit.stores import MemoryStore
from loyaltykit.testing.machine import ClubMachine

SEEDS = {
    "a lot lives through the instant at which it expires": Seed(
        "books:Books._lot_event", "lot.expires_at <= now", "lot.expires_at < now"
    ),
    "the earliest earned goes first, not the soonest expiring": Seed(
        "books:Books.choose",
        "for _, _, name in self._open.get(unit, ()):\n",
        "for _, _, name in sorted(self._open.get(unit, ()), key=lambda key: key[1]):\n",
    ),
    "pending points can be spent": Seed("books:Books.credit", "if lot.active_at > at:", "if False:"),
    "nothing lapses": Seed("books:Books.advance", "if row.lapse_at < when and row.lapse_at <= at:", "if False:"),
    "a hold can end twice": Seed("books:Books.end_hold", 'self.keep("hold", name, None)', "pass"),
    "a debt is repaid again and again": Seed("books:Books.settle", "row.debt -= sum(use[3] for use in uses)", "pass"),
    "unpinned holds keep back what has expired": Seed(
        "books:Books._uncover", "if row.active >= 0 or not row.reserved:", "if True:"
    ),
    "what follows a hold's end is booked before it": Seed(
        "books:Books.advance", "now = self.at = max(when, self.at)", "now = max(when, self.at)"
    ),
    "lots are chosen from those that happen to be loaded": Seed(
        "books:Books._covers", "return amount <= loaded and at == then", "return True"
    ),
    "a clawback spares the order's own lot": Seed(
        "steps:_claw_back", "active = min(need - pending, lot.active, max(row.active, 0))", "active = 0"
    ),
    "what expired by itself is owed again": Seed(
        "steps:_claw_back", "excused = min(need, max(0, lot.expired - lot.excused))", "excused = 0"
    ),
    "a restore begins with the lots taken first": Seed("steps:_restore", "outstanding.pop()", "outstanding.pop(0)"),
    "grace is forgotten": Seed("steps:_restore", "if grace_until > at >= lot.expires_at:", "if False:"),
    "points given back by hand are spent again": Seed("steps:spent", "max(0, target - by_hand)", "target"),
    "a partial capture takes all": Seed("steps:capture", "_first(pinned, amount)", "pinned"),
    "what was excused is reinstated": Seed("steps:reinstate", "lot.expired - lot.excused)", "lot.expired)"),
    "what others paid is lost": Seed("steps:_raise", "if owed > cancelled:", "if False:"),
    "a spend's shortfall is always debt": Seed("steps:_forgive", 'if not debt or policy == "debt":', "if True:"),
    "a forgiven shortfall is given back": Seed("steps:_restore", 'if policy != "debt":', "if False:"),
    "a story told anew is added to the old one": Seed(
        "steps:steps_of", "(record.version, number) if step[1] == RANK_COMMAND else of_fact", "(record.version, number)"
    ),
    "late facts are appended without folding": Seed(
        "ledger:_posting", "in_order = ahead and (", "in_order = True or ("
    ),
    "the same instant is always in order": Seed("ledger:_follows", "and step[1] >= RANK_COMMAND", ""),
    "late facts commute with anything": Seed("ledger:_commutes", "step[0] <= head.settled_at or ", ""),
    "the fingerprint is not compared": Seed("ledger:post", "if seen.fingerprint != envelope.fingerprint:", "if False:"),
    "entries are not corrected": Seed(
        "ledger:_posting",
        "taken_back, moves = corrections(context.entries, books.moves)",
        "moves = corrections(context.entries, books.moves)[1]",
    ),
    "what is due is not loaded": Seed("ledger:view_at", "next_at <= at and", "False and"),
    "debt can be spent": Seed("commands:available", "return row.active - row.debt\n", "return row.active\n"),
    "a late command may take what later ones have spent": Seed(
        "commands:available", "if view.end is None or usable is None:", "if True:"
    ),
    "a late release undoes a capture": Seed("commands:View.resolved", 'ended = "hold:" + hold', "return False"),
    "a refund forgets those before it": Seed(
        "stories:order_story", "standing = tuple(refunds.values())", "standing = tuple(refunds.values())[-1:]"
    ),
    "a reversal does nothing": Seed("stories:order_story", "refunds.pop(fact.refund, None)", "pass"),
    "caps ignore what was taken back": Seed(
        "stories:order_story", "counts[name] = counts.get(name, 0) - amount", "pass"
    ),
    "an older revision replaces a newer one": Seed(
        "stories:order_story", "if order is not None and fact.revision < order.revision:", "if False:"
    ),
    "a step that a story no longer has stays": Seed(
        "stories:unsaid", "if which not in told and step[5] is not None", "if False"
    ),
    "the version check is dropped": Seed(
        "stores.memory:MemoryStore._append", "if version != commit.expected:", "if False:"
    ),
    "expired lots count as loaded": Seed("stores.memory:_Account._prefix", "bisect_left(keys, (at + 1,))", "0"),
}

EXAMPLES = 500
"""How many are tried before a bug counts as missed. Nearly all are found within a hundred."""

SOUND = 200
"""So many of the same examples must find nothing without a bug: what is found among them is the bug."""

PATIENCE = 10.0
"""Seconds of the processor for one example, which takes a fraction of one."""


class Hang(AssertionError):
    """An example did not come to an end."""


VIOLATIONS = (AssertionError, LoyaltyError)
"""What means that the machine found something: an assertion of its own, `Hang`, and an error where the model expects
none. Nothing else: a `TypeError` would be a seed that is no Python, and Hypothesis' own errors a flaky machine."""


class Enough(BaseException):
    """As many examples as were wanted have been tried. Hypothesis takes it for no failure, and lets it through."""


class Machine(ClubMachine):
    """One memory store, without faults: the bugs are in the code that all stores share, or in this store."""

    makers = (MemoryStore,)
    faults = 0.0
    patience = PATIENCE
    left: ClassVar[float] = inf

    def __init__(self) -> None:
        super().__init__()
        _alarm(self.patience)

    def teardown(self) -> None:
        """Close the stores, and be patient again."""
        _alarm(0)
        super().teardown()
        type(self).left -= 1
        if not self.left:
            raise Enough


def _alarm(seconds: float) -> None:
    """Interrupt, unless called again with 0, what goes on after so long; again and again, should that be ignored."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)


@contextmanager
def hangs_are_caught() -> Iterator[None]:
    """Raise `Hang` in an example that goes on for ever: a hang is a violation like a wrong balance.

    The clock is that of the processor, so a machine that is busy with other things is not taken for one that hangs.
    Where the system has no such clock (Windows), nothing is guarded.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise Hang(f"an example took more than {PATIENCE} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        _alarm(0)
        signal.signal(signal.SIGVTALRM, before)


def run(machine: type[ClubMachine] = Machine) -> None:
    """Run the machine, always with the same choices; raise what it finds."""
    limits = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    with hangs_are_caught():
        run_state_machine_as_test(machine, settings=limits)


def test_without_a_bug_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run finds nothing in the library as it is, so what it finds below is the bug."""
    monkeypatch.setattr(Machine, "left", SOUND)
    with pytest.raises(Enough):
        run()


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_has_a_place(name: str) -> None:
    """The text that a seed replaces is still there, exactly once: otherwise nothing would be planted."""
    assert SEEDS[name].old in SEEDS[name].text()
    assert SEEDS[name].old != SEEDS[name].new


@pytest.mark.parametrize("name", SEEDS)
def test_a_seeded_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine finds every bug that is put into the library."""
    SEEDS[name].plant(monkeypatch)
    with pytest.raises(VIOLATIONS):
        run()


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug by which the books never come to an end is found as well, and the clock of the guard is put back."""

    class Impatient(Machine):
        patience = 0.5

    def for_ever(self: books.Books, at: int) -> None:
        while True:
            pass

    monkeypatch.setattr(books.Books, "advance", for_ever)
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(Hang):
        run(Impatient)
    assert before == signal.getsignal(signal.SIGVTALRM)
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_VIRTUAL)
