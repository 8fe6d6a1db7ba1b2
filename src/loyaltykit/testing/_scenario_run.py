"""Runs a scenario on a store, and says what came out otherwise than expected, and why."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from math import factorial
from typing import Any

import attrs

from loyaltykit import errors
from loyaltykit.amounts import from_minor
from loyaltykit.awards import Award
from loyaltykit.club import Club
from loyaltykit.commands import Transfer
from loyaltykit.decisions import Expiring, Receipt
from loyaltykit.errors import InputError, LoyaltyError, Refused
from loyaltykit.ledger import Lot, StatementRow
from loyaltykit.rewards import Quote as Priced
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._scenario_form import Expect, ExpiringSeen, LotSeen, Outcome, Total, end_of_day, moment
from loyaltykit.testing._scenario_read import Deed, Scenario, Variant
from loyaltykit.testing._scenario_verbs import Accept, Merge, Preview, Quote, Sweep, Unmerge

ORDERS = 6
"""In how many other orders the facts of a document are replayed that says that they may be."""


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
        return (
            f"{self.source} ({under}): {self.place}\n    expected {self.expected}\n    came     {self.came}"
            + (f"\n    because{why}" if why else "")
        )


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
        report += _run(scenario, variant, store, store_name)
        if scenario.permute:
            for label, deeds in _replays(variant.deeds):
                report += _run(scenario, variant, store, store_name, label, deeds)
    return report


def _replays(deeds: tuple[Deed, ...]) -> Iterator[tuple[str, list[Deed]]]:
    """Yield the deeds in other orders: the facts between two commands change places, and each comes twice."""
    parts: list[list[Deed]] = [[]]
    for deed in deeds:
        if deed.group == "command":
            parts += [[deed], []]
        elif deed.group == "fact" and deed.refused is None:
            parts[-1].append(deed)
    yield "facts twice", [deed for part in parts for deed in _twice(part, part)]
    yield "facts backwards", [deed for part in parts for deed in _twice(part[::-1], part)]
    longest = max(map(len, parts))
    if longest > 2 and factorial(longest) <= ORDERS:
        others = list(permutations(range(longest)))[1:-1]
        for number, order in enumerate(others, 1):
            mixed = [[part[place] for place in order if place < len(part)] for part in parts]
            yield f"facts in order {number}", [deed for part in mixed for deed in part]
    elif longest > 2:
        chance = random.Random(longest)
        for number in range(1, ORDERS - 1):
            mixed = [chance.sample(part, len(part)) for part in parts]
            yield f"facts in order {number}", [deed for part in mixed for deed in part]


def _twice(part: list[Deed], again: list[Deed]) -> list[Deed]:
    return part if part and part[0].group == "command" else [*part, *again]


def _run(
    scenario: Scenario, variant: Variant, make_store: Callable[[], Store], store_name: str, replay: str = "",
    deeds: Iterable[Deed] | None = None,
) -> Report:  # fmt: skip
    """Run a variant once; with `deeds` do these first, and look only then."""
    play = _Play(variant, make_store)
    try:
        if deeds is None:
            for deed in variant.deeds:
                play.do(deed)
        else:
            for deed in deeds:
                play.do(deed, quietly=True)
            if replay == "facts backwards":  # what happened by itself may be written down or not
                play.sweep(max(deed.at for deed in variant.deeds))
            for deed in variant.deeds:
                play.look(deed, known=False)
        play.check_books()
    finally:
        play.club.close()
    failures = (Failure(scenario.source, variant.name, store_name, replay, *found) for found in play.failures)
    return Report(1, play.checked, tuple(failures))


# ---------------------------------------------------------------- one run


class _Play:
    """One run of one variant: the club, and what did not come as expected (place, expected, came, why)."""

    def __init__(self, variant: Variant, make_store: Callable[[], Store]) -> None:
        self.variant = variant
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self.club = Club(variant.programs, make_store(), clock=lambda: self.now)
        self.members = [member.id for member in variant.members]
        self.quotes: dict[str, Priced] = {}
        self.failures: list[tuple[str, str, str, str]] = []
        self.checked = 0
        for member in variant.members:
            self.now = member.at
            self.club.record(member)

    def do(self, deed: Deed, quietly: bool = False) -> None:
        """Do what a step says, and compare what comes of it; `quietly` only do it."""
        self.now = deed.recorded_at
        result: Any = None
        refusal: Exception | None = None
        if deed.value is not None:
            try:
                result = self._done(deed)
            except Exception as error:  # a scenario reports what breaks, and goes on to the next
                refusal = error
        if quietly:
            if deed.group == "fact" and refusal is not None:
                self.failures.append((f"{deed.place}.refused", "none", reason_of(refusal), f"{refusal}"))
            return
        self._compare_refusal(deed, refusal)
        if deed.gives is not None and refusal is None:
            self._compare_outcome(deed, deed.gives, result)
        self.look(deed)

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
            case Sweep():
                return self.sweep(at)
            case _:
                return club.do(value)

    def sweep(self, at: datetime) -> None:
        """Write down what happened by itself."""
        while self.club.sweep(at=at):
            pass

    # ------------------------------------------------------------ comparing

    def _compare(self, place: str, expected: Any, came: Any, why: Callable[[], str]) -> None:
        self.checked += 1
        if expected != came:
            self.failures.append((place, _shown(expected), _shown(came), why()))

    def _why(self, member: str, at: datetime, unit: str = "points") -> Callable[[], str]:
        """Return how to explain a member's balance."""

        def explain() -> str:
            try:
                return f"{member}: {self.club.explain(member, at=at, unit=unit)}"
            except LoyaltyError as error:
                return f"{member}: {error}"

        return explain

    def _compare_refusal(self, deed: Deed, refusal: Exception | None) -> None:
        if deed.value is None:
            return
        came = None if refusal is None else reason_of(refusal)
        why = self._why(deed.member, deed.at) if refusal is None else lambda: f"{refusal}"
        wanted = deed.refused
        self._compare(f"{deed.place}.refused", None if wanted is None else wanted.reason, came, why)
        if wanted is not None and refusal is not None and wanted.reason == came:
            for name in ("needed", "available", "short"):
                if getattr(wanted, name) is not None:
                    self._compare(
                        f"{deed.place}.refused.{name}", getattr(wanted, name), getattr(refusal, name, None), why
                    )

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
                    came = self._amount(deed, unit, amount, _change(result, unit))
                    self._compare(f"{deed.place}.gives.units.{unit}", amount, came, why)
            else:
                self._compare(f"{deed.place}.gives.{name}", expected, _given(result, name), why)

    def _amount(self, deed: Deed, unit: str, expected: Any, points: Any) -> Any:
        """Return so many of a unit as money where money is expected of a money unit."""
        if isinstance(expected, Decimal) and isinstance(points, int):
            program = self.club.program(deed.at)
            return from_minor(points, program.currency) if program.unit(unit).money else Decimal(points)
        return points

    # ------------------------------------------------------------ looking

    def look(self, deed: Deed, known: bool = True) -> None:
        """Compare what a step expects to see; without `known` leave out what was known at some instant."""
        for place, expect in deed.expects:
            if known or expect.known_at is None:
                self._guarded(place, lambda p=place, e=expect: self._look_at(deed, p, e))  # type: ignore[misc]
        if deed.total is not None:
            total = deed.total
            self._guarded(f"{deed.place}.total", lambda: self._look_at_all(deed, total))

    def _guarded(self, place: str, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # as when it is done: reported, and on to the next
            self.checked += 1
            self.failures.append((place, "an answer", reason_of(error), f"{error}"))

    def _look_at(self, deed: Deed, place: str, expect: Expect) -> None:
        club, member, at, unit = self.club, expect.member or deed.member, deed.at, expect.unit
        zone = self.variant.zone
        known_at = None if expect.known_at is None else moment(expect.known_at, zone, place)
        why = self._why(member, at, unit)
        balance = club.balance(member, at=at, unit=unit, known_at=known_at)
        for name, wanted in expect.buckets().items():
            self._compare(f"{place}.{name}", wanted, self._amount(deed, unit, wanted, getattr(balance, name)), why)
        if expect.lots is not None:
            found = club.lots(member, at=at, unit=unit, known_at=known_at)
            lots = [LotSeen(each) if isinstance(each, int) else each for each in expect.lots]
            shown = [_lot_like(wanted, lot, zone, place) for wanted, lot in _pairs(lots, found)]
            self._compare(f"{place}.lots", [_fields(each) for each in lots], shown, why)
        if expect.expiring is not None:
            soon = club.expiring(member, at=at, unit=unit)
            shown = [_expiring_like(wanted, each, zone, place) for wanted, each in _pairs(expect.expiring, soon)]
            self._compare(f"{place}.expiring", [_fields(each) for each in expect.expiring], shown, why)
        if expect.entries is not None or expect.statement is not None:
            rows = club.statement(member, at=at, unit=unit, known_at=known_at)
            for kind, amounts in (expect.entries or {}).items():
                came = [row.amount for row in rows if row.kind == kind]
                self._compare(f"{place}.entries.{kind}", list(amounts), came, why)
            if expect.statement is not None:
                shown = [self._row_like(deed, unit, *pair, place) for pair in _pairs(expect.statement, rows)]
                self._compare(f"{place}.statement", [_fields(each) for each in expect.statement], shown, why)

    def _row_like(self, deed: Deed, unit: str, wanted: Any, row: StatementRow, place: str) -> dict[str, Any]:
        came: dict[str, Any] = {"kind": row.kind, "points": row.amount, "balance": row.balance, "reason": row.reason}
        came |= {"booked": row.booked, "actor": row.actor}
        if wanted is None:
            return {name: came[name] for name in ("kind", "points", "balance")}
        given = _fields(wanted)
        if "at" in given:
            came["at"] = _when_like(given["at"], "at", row.at, self.variant.zone, place)
        return {name: self._amount(deed, unit, given[name], came[name]) for name in given}

    def _look_at_all(self, deed: Deed, total: Total) -> None:
        balances = [self.club.balance(member, at=deed.at, unit=total.unit) for member in self.members]

        def why() -> str:
            return "\n".join(self._why(member, deed.at, total.unit)() for member in self.members)

        for name, wanted in total.buckets().items():
            came = sum(getattr(balance, name) for balance in balances)
            self._compare(f"{deed.place}.total.{name}", wanted, self._amount(deed, total.unit, wanted, came), why)

    def check_books(self) -> None:
        """Prove every member's books: the stored rows follow from the records, and every point is accounted for."""
        for member in self.members:
            self._compare(f"the books of {member}", [], self.club.verify(member), lambda: "")


# ---------------------------------------------------------------- what came, in the words of what was expected


def reason_of(error: Exception) -> str:
    """Return the name of a refusal in documents: its reason, or what kind of mistake it is."""
    if isinstance(error, Refused):
        return error.reason
    names = {
        errors.KeyReused: "key_reused", errors.RefundTooLarge: "refund_too_large",
        errors.UnknownMember: "unknown_member", errors.WrongCurrency: "wrong_currency", InputError: "invalid",
    }  # fmt: skip
    return next((name for kind, name in names.items() if isinstance(error, kind)), type(error).__name__)


def _change(result: Any, unit: str) -> int:
    if isinstance(result, Receipt):
        return result.change(unit)
    if isinstance(result, Award):
        return dict(result.given).get(unit, 0)
    return result.points if isinstance(result, Priced) and result.unit == unit else 0


def _given(result: Any, name: str) -> Any:
    """Return what came of a step, by the name that documents have for it."""
    award = result.award if isinstance(result, Receipt) else result
    if name == "asked":
        return dict(award.asked).get("points", 0) if isinstance(award, Award) else None
    if name == "reasons":
        return getattr(award, "reasons", None)
    return getattr(result, name, None)


def _pairs(wanted: Iterable[Any], found: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair what was found with what was expected in its place, if anything was."""
    wanted = list(wanted)
    for number, each in enumerate(found):
        yield (wanted[number] if number < len(wanted) else None), each


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields that a document gives."""
    named = ((field.name, getattr(value, field.name)) for field in attrs.fields(type(value)))
    return {name: item for name, item in named if item is not None}


def _when_like(given: Any, name: str, at: datetime | None, zone: str, place: str) -> str:
    """Return an instant in the words of what was expected of it, where it is the same; else in full.

    `given` under the name ``through`` is a last day, under every other name a moment.
    """
    if at is None:
        return "never"
    if given is not None and given != "never":
        wanted = end_of_day(given, zone, place) if name == "through" else moment(given, zone, place)
        if at == wanted:
            return str(given)
    return f"until {at.isoformat()}" if name == "through" else at.isoformat()


def _lot_like(wanted: LotSeen | None, lot: Lot, zone: str, place: str) -> dict[str, Any]:
    given = {"points": None, "expires_at": None} if wanted is None else _fields(wanted)
    came: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("earned_at", "active_at", "expires_at", "through"):
            when = getattr(lot, "expires_at" if name == "through" else name)
            came[name] = _when_like(value, name, when, zone, place)
        else:
            came[name] = lot.remaining if name == "points" else getattr(lot, name)
    return came


def _expiring_like(wanted: ExpiringSeen | None, soon: Expiring, zone: str, place: str) -> dict[str, Any]:
    given = {"points": None, "at": None} if wanted is None else _fields(wanted)
    return {
        name: soon.points if name == "points" else _when_like(value, name, soon.at, zone, place)
        for name, value in given.items()
    }


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_shown(item)}" for name, item in value.items()) + ")"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{value}"
