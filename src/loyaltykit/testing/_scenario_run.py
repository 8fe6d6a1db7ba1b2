"""Runs a scenario on a store, and says what came out otherwise than expected, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from loyaltykit._wire_scalars import near
from loyaltykit.amounts import from_minor
from loyaltykit.awards import Award
from loyaltykit.club import Club
from loyaltykit.commands import Transfer
from loyaltykit.decisions import Receipt
from loyaltykit.errors import InputError, LoyaltyError, RefundTooLarge
from loyaltykit.grants import Decision
from loyaltykit.ledger import StatementRow
from loyaltykit.marks import Acknowledge
from loyaltykit.rewards import Quote as Priced
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._scenario_came import (
    change,
    expiring_like,
    fields,
    given_by,
    lot_like,
    pairs,
    reason_of,
    shown,
    when_like,
)
from loyaltykit.testing._scenario_form import Expect, LotSeen, Outcome, Total, moment
from loyaltykit.testing._scenario_orders import BACKWARDS, facts, parts, replays
from loyaltykit.testing._scenario_race import Begin, partner
from loyaltykit.testing._scenario_read import Deed, Scenario, Variant
from loyaltykit.testing._scenario_status import StatusLook, due_found, in_segment
from loyaltykit.testing._scenario_stores import again, is_shared
from loyaltykit.testing._scenario_total import liability_found, paid_for_goods, summed, whole_ledger
from loyaltykit.testing._scenario_verbs import Accept, CarryOut, Merge, Preview, Quote, Sweep, Unmerge


@attrs.frozen
class Failure:
    """One expectation that was not met: where it stands, what was expected, what came, and why it came."""

    source: str
    variant: str
    store: str
    replay: str
    place: str
    expected: str
    came: str
    why: str = ""

    def __str__(self) -> str:
        under = ", ".join(part for part in (self.variant, self.store, self.replay) if part)
        why = "".join(f"\n      {line}" for line in self.why.splitlines())
        because = f"\n    because{why}" if why else ""
        return f"{self.source} ({under}): {self.place}\n    expected {self.expected}\n    came     {self.came}{because}"


@attrs.frozen
class Report:
    """What came of running a scenario: how many runs and expectations there were, and those that were not met."""

    runs: int = 0
    checked: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything came as expected."""
        return not self.failures

    def __add__(self, other: Report) -> Report:
        return Report(self.runs + other.runs, self.checked + other.checked, (*self.failures, *other.failures))

    def __str__(self) -> str:
        counted = f"{self.checked} expectations in {self.runs} runs"
        if self.ok:
            return f"{counted}: all met"
        return "\n".join([*map(str, self.failures), f"{counted}: {len(self.failures)} not met"])


def run_scenario(scenario: Scenario, store: Callable[[], Store], store_name: str) -> Report:
    """Run every variant of a scenario, each on a new store, and the permutations of those that ask for them."""
    report = Report()
    for variant in scenario.variants:

        def run(replay: str, do: Callable[[_Play], None], variant: Variant = variant) -> Report:
            play = _Play(variant, store)
            try:
                do(play)
                play.check_books()
            finally:
                play.club.close()
            failures = (Failure(scenario.source, variant.name, store_name, replay, *found) for found in play.failures)
            return Report(1, play.checked, tuple(failures))

        done = run("", _Play.all_in_order)
        if scenario.permute and done.ok:  # else they would say the same many times over
            for label, deeds in replays(variant.deeds):
                done += run(label, partial(_Play.all_in_another, deeds=deeds, swept=label == BACKWARDS))
            if is_shared(store):
                done += run("facts from two processes at once", _Play.all_from_two_processes)
        report += done
    return report


# ---------------------------------------------------------------- one run


class _Play:
    """One run of one variant: the club, and what did not come as expected (place, expected, came, why)."""

    def __init__(self, variant: Variant, make_store: Callable[[], Store]) -> None:
        self.variant = variant
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        store = make_store()
        self.again = again(make_store, store)
        self.club = Club(variant.programs, store, clock=lambda: self.now)
        self.members = [member.id for member in variant.members]
        self.quotes: dict[str, Priced] = {}
        self.decided: dict[str, Decision] = {}  # what was carried out, by key
        self.failures: list[tuple[str, str, str, str]] = []
        self.checked = 0
        begun = min(deed.recorded_at for deed in variant.deeds)
        for member in variant.members:
            self.now = min(member.at, begun)
            self.club.record(member)

    # ------------------------------------------------------------ all of it

    def all_in_order(self) -> None:
        """Do each step, and look."""
        for deed in self.variant.deeds:
            self.do(deed)
            self.look(deed)

    def all_in_another(self, deeds: Iterable[Deed], swept: bool) -> None:
        """Do these, and look only then."""
        for deed in deeds:
            self.do(deed, again=True)
        if swept:  # whether what happened by itself is written down must not matter either
            self.sweep(max(deed.at for deed in self.variant.deeds))
        self._look_again()

    def all_from_two_processes(self) -> None:
        """Let another process record the last facts between two commands while this one records the first."""
        self._guarded("the second process", self._from_two_processes)
        self._look_again()

    def _from_two_processes(self) -> None:
        assert self.again is not None
        another = partner()
        another.do(Begin(self.again, self.variant.programs))
        for part in parts(self.variant.deeds):
            told = facts(part)
            mine, theirs = told[: (2 * len(told) + 2) // 3], told[len(told) // 3 :][::-1]  # some come from both
            another.begin(theirs)
            early: list[Deed] = []  # refunds that only a fact makes possible which was not there yet: they come again
            for deed in mine or part:
                self.do(deed, again=True, early=early)
            for deed, error in zip(theirs, another.end(), strict=True):
                if isinstance(error, RefundTooLarge):
                    early.append(deed)
                else:
                    self._compare_refusal(deed, error)
            for deed in early:
                self.do(deed, again=True)
        another.do(None)

    def _look_again(self) -> None:
        for deed in self.variant.deeds:
            self.look(deed, again=True)

    # ------------------------------------------------------------ a step

    def do(self, deed: Deed, again: bool = False, early: list[Deed] | None = None) -> None:
        """Do what a step says, and compare what comes of it; `again`, in another order, only that facts are taken.

        A refund that is larger than what is known of its order is added to `early`, where that is given.
        """
        if deed.value is None:
            return
        self.now = deed.recorded_at
        result: Any = None
        refusal: Exception | None = None
        try:
            result = self._done(deed)
        except Exception as error:  # a scenario reports whatever breaks, and goes on
            refusal = error
        if early is not None and isinstance(refusal, RefundTooLarge):
            early.append(deed)
            return
        if not again:
            self._compare_refusal(deed, refusal)
            if deed.gives is not None and refusal is None:
                self._compare_outcome(deed, deed.gives, result)
        elif deed.group == "fact":
            self._compare_refusal(deed, refusal)

    def _done(self, deed: Deed) -> Any:
        club, value, at, member = self.club, deed.value, deed.at, deed.member
        if deed.group == "fact":
            return club.record(value, tier=deed.tier)
        match value:
            case Quote():
                priced = club.quote(
                    member, value.reward, at=at, due=value.due, points=value.points, tier=deed.tier, actor=value.actor
                )
                self.quotes[value.key] = priced
                return priced
            case Accept():
                if value.quote not in self.quotes:
                    raise InputError("quote", value.quote, "there is no quote of this key before")
                return club.redeem(member, self.quotes[value.quote], key=value.key, at=at, actor=value.actor)
            case Preview():
                return club.preview(value.order, tier=deed.tier)
            case Transfer():
                return club.transfer(
                    member, value.to, value.points, key=value.key, at=at, unit=value.unit, actor=value.actor,
                    reason=value.reason,
                )  # fmt: skip
            case Merge():
                return club.merge(member, value.into, at=at)
            case Unmerge():
                return club.unmerge(member, at=at)
            case CarryOut(decision=str() as decision, give=False):
                return club.do(
                    Acknowledge(
                        member, decision, key=value.key or f"done:{decision}", at=at, actor=value.actor,
                        reason=value.reason,
                    )
                )  # fmt: skip
            case CarryOut():
                return [
                    club.acknowledge(each, at=at, actor=value.actor, reason=value.reason)
                    for each in self._decisions(member, value, at)
                ][-1]
            case Sweep():
                return self.sweep(at)
            case _:
                return club.do(value)

    def _decisions(self, member: str, wanted: CarryOut, at: datetime) -> list[Decision]:
        """Return the decisions that are to be carried out: those that are due, or one that was before."""
        due = self.club.due(member, at=at)
        chosen = {each.key: each for each in due if wanted.kind in (None, each.kind)}
        if wanted.decision is not None:
            chosen = {key: each for key, each in {**self.decided, **chosen}.items() if key == wanted.decision}
        if not chosen:
            given = wanted.decision or wanted.kind
            hint = (
                near(given, [each.key if wanted.kind is None else each.kind for each in due]) if due else "nothing is"
            )
            raise InputError("acknowledge", given, f"this is not due; {hint}")
        self.decided |= chosen
        return list(chosen.values())

    def sweep(self, at: datetime) -> None:
        """Write down what happened by itself."""
        while self.club.sweep(at=at):
            pass

    # ------------------------------------------------------------ comparing

    def _compare(self, place: str, expected: Any, came: Any, why: Callable[[], str]) -> None:
        self.checked += 1
        if expected != came:
            self.failures.append((place, shown(expected), shown(came), why()))

    def _why(self, member: str, at: datetime, unit: str = "points") -> Callable[[], str]:
        """Return how to explain a member's balance."""

        def explain() -> str:
            try:
                return f"{member}: {self.club.explain(member, at=at, unit=unit)}"
            except LoyaltyError as error:
                return f"{member}: {error}"

        return explain

    def _compare_refusal(self, deed: Deed, refusal: Exception | None) -> None:
        def why() -> str:
            balance = self._why(deed.member, deed.at)()
            return balance if refusal is None else f"{refusal}\n{balance}"

        wanted, place = deed.refused, f"{deed.place}.refused"
        came = None if refusal is None else reason_of(refusal)
        self._compare(place, None if wanted is None else wanted.reason, came, why)
        if wanted is not None and wanted.reason == came:
            for name in ("needed", "available", "short"):
                if getattr(wanted, name) is not None:
                    self._compare(f"{place}.{name}", getattr(wanted, name), getattr(refusal, name, None), why)

    def _compare_outcome(self, deed: Deed, wanted: Outcome, result: Any) -> None:
        def why() -> str:
            given = result.award if isinstance(result, Receipt) else result
            if isinstance(given, Award):
                return "\n".join([f"{given}", *given.explain()])
            return self._why(deed.member, deed.at)() if given is None else f"{given}"

        for name in (field.name for field in attrs.fields(Outcome)):
            expected = getattr(wanted, name)
            if expected is None:
                continue
            if name == "units":
                for unit, amount in expected.items():
                    came = self._amount(deed, unit, amount, change(result, unit))
                    self._compare(f"{deed.place}.gives.units.{unit}", amount, came, why)
            else:
                self._compare(f"{deed.place}.gives.{name}", expected, given_by(result, name), why)

    def _amount(self, deed: Deed, unit: str, expected: Any, points: Any) -> Any:
        """Return so many of a unit as money where money is expected of a money unit."""
        if isinstance(expected, Decimal) and isinstance(points, int):
            program = self.club.program(deed.at)
            return from_minor(points, program.currency) if program.unit(unit).money else Decimal(points)
        return points

    # ------------------------------------------------------------ looking

    def look(self, deed: Deed, again: bool = False) -> None:
        """Compare what a step expects to see; `again`, in another order, without what was known at some instant."""
        looks = [
            (place, partial(self._look_at, deed, place, expect))
            for place, expect in deed.expects
            if not again or expect.known_at is None
        ]
        if deed.total is not None:
            looks.append((f"{deed.place}.total", partial(self._look_at_all, deed, deed.total)))
        for name, wanted in deed.segments.items():
            looks.append((f"{deed.place}.segments.{name}", partial(self._look_at_segment, deed, name, wanted)))
        for place, look in looks:
            self._guarded(place, look)

    def _guarded(self, place: str, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # reported, as where something is done
            self._compare(place, "an answer", reason_of(error), partial(str, error))

    def _look_at(self, deed: Deed, place: str, expect: Expect) -> None:
        club, member, at, unit = self.club, expect.member or deed.member, deed.at, expect.unit
        zone = self.variant.zone
        known_at = None if expect.known_at is None else moment(expect.known_at, zone, place)
        for look in StatusLook(club, member, at, known_at, zone, place).found(expect):
            self._compare(*look)
        why = self._why(member, at, unit)
        balance = club.balance(member, at=at, unit=unit, known_at=known_at)
        for name, wanted in expect.buckets().items():
            self._compare(f"{place}.{name}", wanted, self._amount(deed, unit, wanted, getattr(balance, name)), why)
        if expect.liability is not None:
            paid = paid_for_goods([club.history(member, at=at)], at)
            program, sums = club.program(at), summed([balance])
            for seen in liability_found(expect.liability, program, unit, sums, paid, place, why):
                self._compare(*seen)
        if expect.lots is not None:
            lots = [LotSeen(each) if isinstance(each, int) else each for each in expect.lots]
            found = pairs(lots, club.lots(member, at=at, unit=unit, known_at=known_at))
            came = [lot_like(wanted, lot, zone, place) for wanted, lot in found]
            self._compare(f"{place}.lots", [fields(each) for each in lots], came, why)
        if expect.expiring is not None:
            found = pairs(expect.expiring, club.expiring(member, at=at, unit=unit))
            came = [expiring_like(wanted, each, zone, place) for wanted, each in found]
            self._compare(f"{place}.expiring", [fields(each) for each in expect.expiring], came, why)
        if expect.entries is not None or expect.statement is not None:
            rows = club.statement(member, at=at, unit=unit, known_at=known_at)
            for kind, amounts in (expect.entries or {}).items():
                of_kind = [row.amount for row in rows if row.kind == kind]
                self._compare(f"{place}.entries.{kind}", list(amounts), of_kind, why)
            if expect.statement is not None:
                came = [self._row_like(deed, unit, *pair, place) for pair in pairs(expect.statement, rows)]
                self._compare(f"{place}.statement", [fields(each) for each in expect.statement], came, why)

    def _row_like(self, deed: Deed, unit: str, wanted: Any, row: StatementRow, place: str) -> dict[str, Any]:
        came: dict[str, Any] = {"kind": row.kind, "points": row.amount, "balance": row.balance, "reason": row.reason}
        came |= {"booked": row.booked, "actor": row.actor}
        if wanted is None:
            return {name: came[name] for name in ("kind", "points", "balance")}
        given = fields(wanted)
        if "at" in given:
            came["at"] = when_like(given["at"], "at", row.at, self.variant.zone, place)
        return {name: self._amount(deed, unit, given[name], came[name]) for name in given}

    def _look_at_segment(self, deed: Deed, name: str, wanted: tuple[str, ...]) -> None:
        self._compare(*in_segment(self.club, name, wanted, deed.at, self.variant.zone, f"{deed.place}.segments"))

    def _look_at_all(self, deed: Deed, total: Total) -> None:
        club, at, unit, place = self.club, deed.at, total.unit, f"{deed.place}.total"
        sums = whole_ledger(club, at, unit)

        def why() -> str:
            return "\n".join(self._why(member, at, unit)() for member in self.members)

        for name, wanted in total.buckets().items():
            self._compare(f"{place}.{name}", wanted, self._amount(deed, unit, wanted, sums[name]), why)
        if total.liability is not None:
            paid = paid_for_goods(club.histories(at=at), at)
            for found in liability_found(total.liability, club.program(at), unit, sums, paid, place, why):
                self._compare(*found)
        if total.due is not None:
            decisions = list(club.all_due(at=at))
            self._compare(*due_found(total.due, decisions, self.variant.zone, place, str))

    def check_books(self) -> None:
        """Prove every member's books: the stored rows follow from the records, and every point is accounted for."""
        for member in self.members:
            place = f"the books of {member}"
            self._guarded(place, partial(self._prove, place, member))

    def _prove(self, place: str, member: str) -> None:
        self._compare(place, [], self.club.verify(member), lambda: "")
