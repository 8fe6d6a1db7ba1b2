"""From the JSON of a scenario document to the programs, members and deeds of each of its variants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from loyaltykit import commands
from loyaltykit._wire_scalars import near
from loyaltykit.calendar import zone as zone_of
from loyaltykit.errors import InputError
from loyaltykit.facts import Member, Order
from loyaltykit.matching import Tiers
from loyaltykit.program import Program
from loyaltykit.testing._scenario_form import Expect, Head, Outcome, Refusal, Step, Total, moment, read
from loyaltykit.testing._scenario_json import an_array, an_object, check_depth, check_names
from loyaltykit.testing._scenario_verbs import VERBS, Accept, Preview, Verb, spelled_out
from loyaltykit.testing._scenario_words import program_spelled_out

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "standard": {
        "name": "club",
        "currency": "USD",
        "earning": [{"type": "per_amount", "points": 1, "each": "1.00"}],
        "rewards": [{"type": "coins", "points": 100, "worth": "1.00"}],
    },
    "empty": {"name": "club", "currency": "USD"},
}
"""Programs by name: ``standard`` (1 point per 1.00 of the goods, 100 points = 1.00 off) and ``empty`` (no rules)."""

FIXED = ("version", "effective_from", "zone", "name", "currency", "preset")
"""What of a program cannot change in a later version: the step says the instant, the rest identifies the program."""


@attrs.frozen
class Deed:
    """A step, ready to be done: `value` is the fact, the command or the question; None only looks."""

    place: str
    at: datetime
    recorded_at: datetime
    member: str
    group: str = "look"
    value: Any = None
    tier: Tiers = None
    refused: Refusal | None = None
    gives: Outcome | None = None
    expects: tuple[tuple[str, Expect], ...] = ()  # each with its place
    total: Total | None = None
    segments: Mapping[str, tuple[str, ...]] = {}


@attrs.frozen
class Variant:
    """A document under one choice of policies. `name` is empty where the document has no variants."""

    name: str
    programs: tuple[Program, ...]
    members: tuple[Member, ...]
    deeds: tuple[Deed, ...]

    @property
    def zone(self) -> str:
        """The zone in which days begin."""
        return self.programs[0].zone


@attrs.frozen
class Scenario:
    """A document that was read and found well formed. `source` says where it came from."""

    source: str
    name: str
    title: str
    notes: tuple[str, ...]
    permute: bool
    variants: tuple[Variant, ...]


# ---------------------------------------------------------------- the document

_HEAD = [field.name for field in attrs.fields(Head)]
_STEP = [field.name for field in attrs.fields(Step)]
_PARTS = ["program", "variants", "members", "steps"]


def parse(data: Any, source: str = "scenario") -> Scenario:
    """Return the scenario that plain data describes. Raises `InputError` that names the place of what is wrong."""
    check_depth(data)
    whole = an_object(data, "scenario")
    check_names(whole, [*_HEAD, *_PARTS], "")
    head = _head(whole)
    steps = an_array(whole.get("steps", None), "steps")
    variants = an_object(whole.get("variants", {"": {}}), "variants")
    if not variants:
        raise InputError("variants", "{}", "name at least one, or leave it out")
    notes = (head.notes,) if isinstance(head.notes, str) else head.notes
    made = tuple(
        _Reader(whole, steps, name, an_object(changes, f"variants.{name}"), set(variants)).variant()
        for name, changes in variants.items()
    )
    return Scenario(source, head.name or re.sub(r".*[/\\]|\.json$", "", source), head.title, notes, head.permute, made)


def _head(whole: Mapping[str, Any]) -> Head:
    try:
        return read(Head, {name: value for name, value in whole.items() if name in _HEAD}, "")
    except InputError as error:
        error.field = error.field.removeprefix(".")
        raise


class _Reader:
    """Reads one variant of a document, step by step; keeps what steps may refer to without naming it."""

    def __init__(
        self, whole: Mapping[str, Any], steps: list[Any], name: str, changes: dict[str, Any], variants: set[str]
    ) -> None:
        self.whole, self.steps, self.name, self.changes, self.variants = whole, steps, name, changes, variants
        self.data = self._program_data()
        self.zone = _zone(self.data.get("zone", "UTC"), self._place_of("zone"))
        self.programs = [self._program(self.data, self._place_of)]
        self.profiles = self._profiles()
        self.members = list(self.profiles)
        self.numbers: Counter[str] = Counter()
        self.latest: dict[tuple[str, str], str] = {}
        self.orders: dict[str, Order] = {}
        self.quotes: list[str] = []

    # ------------------------------------------------------------ the program

    def _place_of(self, field: str) -> str:
        """Return the place in the document where a field of the program was given."""
        return f"variants.{self.name}.{field}" if field in self.changes else f"program.{field}"

    def _program_data(self) -> dict[str, Any]:
        given = self.whole.get("program", "standard")
        overrides = {"preset": given} if isinstance(given, str) else an_object(given, "program")
        preset = self.changes.get("preset", overrides.get("preset", "standard"))
        if not isinstance(preset, str) or preset not in PRESETS:
            place = "program" if isinstance(given, str) else self._place_of("preset")
            raise InputError(place, preset, f"there is no such preset; {near(preset, PRESETS)}")
        data = {**PRESETS[preset], **overrides, **self.changes}
        data.pop("preset", None)
        return data

    def _program(self, data: dict[str, Any], place_of: Any) -> Program:
        full = {
            name: program_spelled_out({name: value}, self.zone, place_of(name).removesuffix(f".{name}"))
            for name, value in data.items()
        }
        try:
            return read(Program, {name: value for each in full.values() for name, value in each.items()}, "")
        except InputError as error:
            path = error.field.removeprefix(".")
            field = re.split(r"[.\[]", path, maxsplit=1)[0]
            error.field = place_of(field) + path.removeprefix(field) if field else "program"
            raise

    def _change_program(self, data: Any, at: datetime, place: str) -> None:
        changes = an_object(data, place)
        version = len(self.programs) + 1
        self.data = {**self.data, **changes, "version": version, "effective_from": at.isoformat()}
        for name in FIXED:
            if name in changes:
                raise InputError(f"{place}.{name}", changes[name], "a later version of the program cannot change this")
        earlier = self._place_of
        self.programs.append(
            self._program(self.data, lambda field: f"{place}.{field}" if field in changes else earlier(field))
        )

    # ------------------------------------------------------------ the members

    def _profiles(self) -> dict[str, Any]:
        given = self.whole.get("members", ["ann"])
        if isinstance(given, list):
            for number, name in enumerate(given):
                if not isinstance(name, str):
                    raise InputError(f"members[{number}]", "...", "give a name")
            given = {name: {} for name in given}
        found = an_object(given, "members")
        if not found:
            raise InputError("members", "...", "name at least one")
        return found

    def _known(self, name: str | None, place: str) -> str:
        if name is None:
            return self.members[0]
        if name not in self.profiles:
            raise InputError(place, name, f"the document has no such member; {near(name, self.members)}")
        return name

    def _enrolled(self, first: datetime) -> tuple[Member, ...]:
        """Return the members as facts, from the first instant of the document on unless they say otherwise."""
        made = []
        for name, profile in self.profiles.items():
            place = f"members.{name}"
            data = dict(an_object(profile, place))
            at = moment(data.pop("at"), self.zone, f"{place}.at") if "at" in data else first
            check_names(data, _own_fields(Member), place)
            made.append(read(Member, {"id": name, "at": at.isoformat(), **data}, place))
        return tuple(made)

    # ------------------------------------------------------------ the steps

    def variant(self) -> Variant:
        """Return the variant, read."""
        deeds = []
        for number, data in enumerate(self.steps):
            deed = self._deed(an_object(data, f"steps[{number}]"), f"steps[{number}]")
            if deed is not None:
                deeds.append(deed)
        if not deeds:
            raise InputError("steps", "[]", "say what happens" if not self.name else f"nothing happens in {self.name}")
        first = min(deed.at for deed in deeds)
        return Variant(self.name, tuple(self.programs), self._enrolled(first), tuple(deeds))

    def _deed(self, data: dict[str, Any], place: str) -> Deed | None:
        verbs = [name for name in data if name in VERBS or name == "program"]
        check_names(data, [*_STEP, *VERBS, "program"], place)
        if len(verbs) > 1:
            raise InputError(f"{place}.{verbs[1]}", "...", f"do one thing a step; this one has {verbs[0]} already")
        step = read(Step, {name: value for name, value in data.items() if name not in verbs}, place)
        at = moment(step.at, self.zone, f"{place}.at")
        member = self._known(step.member, f"{place}.member")
        verb = verbs[0] if verbs else None
        if verb is not None:
            self.numbers[verb] += 1  # in every variant alike
        if not self._here(step, place):
            return None
        group, value = "look", None
        if verb == "program":
            self._change_program(data[verb], at, f"{place}.program")
        elif verb is not None:
            group = VERBS[verb].group
            value = self._value(verb, data[verb], member, at, f"{place}.{verb}")
        if value is None and (step.refused is not None or step.gives is not None):
            raise InputError(place, "...", "refused and gives are for steps that do something")
        recorded_at = at if step.recorded_at is None else moment(step.recorded_at, self.zone, f"{place}.recorded_at")
        return Deed(
            place, at, recorded_at, member, group, value, step.tier,
            Refusal(step.refused) if isinstance(step.refused, str) else step.refused,
            Outcome(step.gives) if isinstance(step.gives, int) else step.gives,
            self._expects(step, member, place),
            Total(available=step.total) if isinstance(step.total, int) else step.total,
            step.segments or {},
        )  # fmt: skip

    def _here(self, step: Step, place: str) -> bool:
        if step.only is None:
            return True
        wanted = (step.only,) if isinstance(step.only, str) else step.only
        for name in wanted:
            if name not in self.variants:
                hint = f"there is no such variant; {near(name, sorted(self.variants))}"
                raise InputError(f"{place}.only", name, hint)
        return self.name in wanted

    def _expects(self, step: Step, member: str, place: str) -> tuple[tuple[str, Expect], ...]:
        given = step.expect
        if given is None:
            return ()
        if isinstance(given, int):
            return ((f"{place}.expect", Expect(available=given, member=member)),)
        several = isinstance(given, tuple)
        found = []
        for number, each in enumerate(given if isinstance(given, tuple) else (given,)):
            where = f"{place}.expect[{number}]" if several else f"{place}.expect"
            who = member if each.member is None else self._known(each.member, f"{where}.member")
            for name in ("expiring", "due", "consented", "liability"):
                if each.known_at is not None and getattr(each, name) is not None:
                    raise InputError(f"{where}.{name}", "...", "it is seen by all that is known; leave known_at out")
            found.append((where, attrs.evolve(each, member=who)))
        return tuple(found)

    def _value(self, name: str, data: Any, member: str, at: datetime, place: str) -> Any:
        """Return the fact, command or question that a step's verb means."""
        verb = VERBS[name]
        if not isinstance(data, dict):
            field = verb.short.get(type(data))
            if field is None:
                kinds = ", ".join(_KINDS[kind] for kind in verb.short)
                raise InputError(place, data, "give an object, in braces" + (f", or {kinds}" if kinds else ""))
            data = {field: data}
        kind = Accept if name == "redeem" and "quote" in data else verb.kind
        own = _all_fields(kind)
        for field in {"member", "at"} & set(data) & set(own):
            raise InputError(f"{place}.{field}", data[field], f"the step says {field}, one level up")
        full: dict[str, Any] = {**verb.defaults, **spelled_out(verb, data, self.zone, place)}
        key = verb.key and full.setdefault(verb.key, f"{name}-{self.numbers[name]}")
        for field, sort in verb.latest.items():
            if field not in full:
                full[field] = self._latest(member, sort, f"{place}.{field}")
        if name == "profile":
            full["id"] = member
        if "member" in own:
            full["member"] = member
        if "at" in own:
            full["at"] = at.isoformat()
        if name == "order":
            self._revise(full, at)
        value: Any = read(kind, full, place)
        if name == "cancel":
            value = self._cancelled(value.order, at, place)
        self._remember(verb, value, member, key)
        if isinstance(value, commands.Transfer):
            self._known(value.to, f"{place}.to")
        elif name == "merge":
            self._known(value.into, f"{place}.into")
        elif isinstance(value, Accept) and value.quote not in self.quotes:
            raise InputError(
                f"{place}.quote", value.quote, f"there is no such quote before; {near(value.quote, self.quotes)}"
            )
        return Preview(value) if name == "preview" else value

    def _latest(self, member: str, sort: str, place: str) -> str:
        found = self.latest.get((member, sort))
        if found is None:
            raise InputError(place, None, f"missing; there is no {sort} of {member} before")
        return found

    def _remember(self, verb: Verb, value: Any, member: str, key: Any) -> None:
        for sort in verb.names:
            self.latest[member, sort] = key
        if verb is VERBS["quote"]:
            self.quotes.append(value.key)
        if isinstance(value, commands.Capture):
            self.latest[member, "redeem"] = value.hold
        if verb is VERBS["refund"]:
            self.latest[member, "refunded order"] = value.order
        if isinstance(value, Order) and verb is not VERBS["preview"]:
            self.orders[value.id] = value

    def _revise(self, data: dict[str, Any], at: datetime) -> None:
        """Take the step of a later revision for its beginning, where it is known when the order was placed."""
        first = self.orders.get(data["id"]) if isinstance(data["id"], str) else None
        revision = data.get("revision", 1)
        if first is not None and revision != first.revision and "revised_at" not in data:
            data.update(at=first.at.isoformat(), revised_at=at.isoformat())

    def _cancelled(self, order: str, at: datetime, place: str) -> Order:
        found = self.orders.get(order)
        if found is None:
            raise InputError(place, order, "there is no such order before")
        return attrs.evolve(found, state="cancelled", revision=found.revision + 1, revised_at=at)


_KINDS = {str: "a text", int: "a whole number", list: "an array"}


def _all_fields(kind: type) -> list[str]:
    return [field.alias or field.name for field in attrs.fields(kind)]


def _own_fields(kind: type) -> list[str]:
    """Return the fields of a class that a document gives: without those that the step says."""
    return [name for name in _all_fields(kind) if name not in ("id", "member", "at")]


def _zone(value: Any, place: str) -> str:
    try:
        return zone_of(value).key
    except InputError as error:
        error.field = place
        raise
