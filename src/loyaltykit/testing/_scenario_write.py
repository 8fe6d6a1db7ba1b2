"""Writes what a club has on record of a member as a scenario document: a bug report that reproduces itself.

The document holds the versions of the program, every fact and command in the order in which they were recorded, and
what is seen now. Members whose books reach into this one's are in it with all that is on record of them; those who were
only sent something are in it by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import attrs

from loyaltykit import wire
from loyaltykit.calendar import from_us, to_us, zone as zone_of
from loyaltykit.commands import DECIDE, Transfer, record_key
from loyaltykit.consent import Consent
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Member, Order
from loyaltykit.journal import Context, Record
from loyaltykit.marks import Acknowledge
from loyaltykit.matching import Tiers
from loyaltykit.program import Program
from loyaltykit.questions import Questions
from loyaltykit.recorded import FACTS, MARKS
from loyaltykit.rulebook import Rulebook
from loyaltykit.status import asks_for_tiers
from loyaltykit.testing._scenario_form import VERSION, moment
from loyaltykit.testing._scenario_read import FIXED
from loyaltykit.testing._scenario_seen import seen
from loyaltykit.testing._scenario_texts import Texts
from loyaltykit.testing._scenario_verbs import INSTANTS, VERBS

Data = dict[str, Any]

_KINDS: Mapping[str, Any] = {
    **FACTS, **MARKS, "consent": Consent, **{kind.__name__.lower(): kind for kind in DECIDE}
}  # fmt: skip
"""The class of what each kind of record holds; other records are the other side of something, or bookkeeping."""

_VERBS = {verb.kind: name for name, verb in VERBS.items() if verb.group != "question"}
_COMES_FROM = {"receive": "from", "absorb": "from", "reopen": "from", "merge": "into", "unmerge": "of"}
"""The kinds of records that another member's books are behind, and what names that member."""


def written(
    club: Questions, rules: Rulebook, read: Callable[[str], Context], member: str, at: datetime | None = None,
    *, texts: bool = True, whole: bool = True,
) -> Data:  # fmt: skip
    """Return a member's stream as a scenario document, with what is seen at an instant (default: the latest known).

    `read` gives everything on record of a member. Without `texts`, what no rule looks at is left out or renamed. Not
    `whole`: more is known of the members than what is on record, so nothing is said of their status.
    """
    streams = _streams(member, read)
    told = [record for context in streams.values() for record in context.records.values()]
    now = from_us(max(record.at for record in told)) if at is None else at
    programs = sorted(rules.versions.values(), key=lambda each: (each.effective_from is not None, each.effective_from))
    writer = _Writer(rules, programs, streams, Texts(programs, kept=texts))
    if not whole:
        writer.notes.append("What the shop's own tables tell is not in here, so nothing is said of the status.")
    steps = [step for name, record in in_order(streams) for step in writer.steps(name, record)]

    def say(instant: datetime) -> str:
        return said(instant, writer.zone)

    expects = [
        each for name in streams for each in seen(club, name, now, say, status=whole and name == member, keys=texts)
    ]
    return {
        "scenario": VERSION,
        "title": f"What {member} has on {now.astimezone(zone_of(writer.zone)):%Y-%m-%d}",
        **({"notes": writer.notes} if writer.notes else {}),
        "program": writer.program(),
        "members": writer.members(),
        "steps": [*writer.versions(), *steps, {"at": say(now), "expect": expects}],
    }


def said(at: datetime, zone: str) -> str:
    """Return an instant as documents say it, as shortly as it can be: a day, a local time, or a time in UTC.

    >>> said(datetime(2026, 7, 6, 4, tzinfo=UTC), "America/New_York")
    '2026-07-06'
    >>> said(datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "America/New_York")  # the second 01:30 of that day
    '2026-11-01T06:30:00Z'
    """
    local = at.astimezone(zone_of(zone)).replace(tzinfo=None)
    for text in (local.date().isoformat(), local.isoformat(" ", "minutes"), local.isoformat(" ")):
        if moment(text, zone, "at") == at:
            return text
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


# ---------------------------------------------------------------- which streams, in which order


def _streams(member: str, read: Callable[[str], Context]) -> dict[str, Context]:
    """Return all that is on record of a member, and of those from whom something came, or who were merged."""
    found: dict[str, Context] = {}
    todo = [member]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = read(name)
            if any(record.kind == "erased" for record in found[name].records.values()):
                hint = "this person was erased; what is left of their books cannot be told as facts and commands"
                raise InputError("member", name, hint)
            todo += [other for record in _records(found[name]) if (other := _other(record)) is not None]
    return found


def _records(context: Context) -> list[Record]:
    return sorted(context.records.values(), key=lambda record: record.version)


def _other(record: Record) -> str | None:
    field = _COMES_FROM.get(record.kind)
    return None if field is None else json.loads(record.payload)[field]


def in_order(streams: Mapping[str, Context]) -> Iterator[tuple[str, Record]]:
    """Yield the records of several members in an order in which all of them can be done again.

    Each member's stay in their order. What left one member for another comes when the other is about to take it in;
    for the rest, what was recorded first comes first.
    """
    queues = {name: _records(context) for name, context in streams.items()}
    arrives = {
        left: (name, record)
        for name, queue in queues.items()
        for record in queue
        if (left := _left(record, streams)) is not None
    }
    taken_in = {(name, record.version) for name, record in arrives.values()}

    def ready(name: str) -> bool:
        record = queues[name][0]
        other, arrival = arrives.get((name, record.version), (name, record))
        return (name, record.version) not in taken_in and queues[other][0] is arrival

    while any(queues.values()):
        heads = sorted((queue[0].recorded_at, name) for name, queue in queues.items() if queue)
        waiting = [name for _, name in heads if (name, queues[name][0].version) not in taken_in]
        name = next(filter(ready, waiting), waiting[0])  # none is ready: two crossed, and either may be the first
        record = queues[name].pop(0)
        yield name, record
        if (name, record.version) in arrives:
            other, arrival = arrives[name, record.version]
            queues[other].remove(arrival)


def _left(record: Record, streams: Mapping[str, Context]) -> tuple[str, int] | None:
    """Return whose record, by its version, a record took in, if it did."""
    if record.kind not in ("receive", "absorb", "reopen"):
        return None
    sender = json.loads(record.payload)["from"]
    name = record.key.split(":", 1)[1].removeprefix(f"{sender}:")
    if record.kind != "receive":
        return sender, int(name)
    sent = streams[sender].records.get(record_key(name))
    return None if sent is None else (sender, sent.version)


# ---------------------------------------------------------------- records as steps


class _Writer:
    """Turns records into steps, one after the other; keeps what later ones rest on, and what a reader should know."""

    def __init__(self, rules: Rulebook, programs: list[Program], streams: Mapping[str, Context], texts: Texts) -> None:
        self.rules, self.programs, self.streams, self.texts = rules, programs, streams, texts
        self.zone = programs[0].zone
        self.first = next(iter(streams))
        self.notes: list[str] = []
        self.done: dict[str, dict[str, Record]] = {name: {} for name in streams}  # what was recorded so far, by key
        self.absorbed: dict[str, list[str]] = {name: [] for name in streams}
        self.sent_to: set[str] = set()
        self.swept: int | None = None
        if any(rule.budget is not None for program in programs for rule in program.earning):
            self.notes.append("Campaign budgets are shared with members who are not in here, and may have been short.")

    def members(self) -> dict[str, Data]:
        """Return the members of the document: since when there is something of them, and who they were then."""
        found: dict[str, Data] = {}
        for name, context in self.streams.items():
            at = from_us(min(record.at for record in context.records.values()))
            profile = self._profile(name, f"member@{to_us(at)}")
            found[name] = {"at": said(at, self.zone), **(profile or {})}
        return found | {name: {} for name in sorted(self.sent_to) if name not in found}

    def program(self) -> Data:
        """Return the first version of the program."""
        first = self.programs[0]
        since = {} if first.effective_from is None else {"effective_from": said(first.effective_from, self.zone)}
        return {"preset": "empty", **_without(first, "version", "effective_from"), **since}

    def versions(self) -> Iterator[Data]:
        """Yield the steps from which later versions of the program are in force."""
        for before, after in pairwise(self.programs):
            changes = _changed(before, after)
            for name in FIXED:
                if name in changes:
                    hint = f"version {after.version} changes it, and a document has one"
                    raise InputError(f"program.{name}", changes[name], hint)
            assert after.effective_from is not None
            yield {"at": said(after.effective_from, self.zone), "program": changes}

    def steps(self, name: str, record: Record) -> Iterator[Data]:
        """Yield the step in which a record is made again; none for what comes by itself."""
        step = self._step(name, record)
        if step is not None:
            at, recorded_at = from_us(record.at), from_us(record.recorded_at)
            recorded = {} if at == recorded_at else {"recorded_at": said(recorded_at, self.zone)}
            step = {"at": said(at, self.zone), "member": name, **recorded, **step, **self._came(record)}
            if step["member"] == self.first:
                del step["member"]
            yield step
        self.done[name][record.key] = record

    def _step(self, name: str, record: Record) -> Data | None:
        payload = json.loads(record.payload)
        match record.kind:
            case "member":
                profile = self._profile(name, record.key)
                first = record.key == f"member@{min(each.at for each in self.streams[name].records.values())}"
                return None if first else {"profile": profile or {}}
            case "merge":
                if record.status == "applied":
                    self.absorbed[payload["into"]] += [name, *self.absorbed[name]]
                return {"merge": payload["into"]}
            case "unmerge":
                gone = {payload["of"], *self.absorbed[payload["of"]]}
                for each in self.absorbed.values():  # also of those by way of whom they came
                    each[:] = [other for other in each if other not in gone] if payload["of"] in each else each
                return {"member": payload["of"], "unmerge": {}}
            case "sweep":
                again, self.swept = self.swept == record.at, record.at
                return None if again else {"sweep": {}}
            case kind if kind in _KINDS:
                self.swept = None
                return self._told(name, record, wire.loads(_KINDS[kind], record.payload))
        return None

    def _profile(self, name: str, key: str) -> Data | None:
        """Return who a member was by one of their profiles; None where there is none, or the person was erased."""
        item = self.streams[name].items.get(("profile", key))
        if item is None or item.value is None:
            return None
        return _without(self.texts.of(wire.loads(Member, item.value)), "id", "at")

    def _told(self, name: str, record: Record, value: Any) -> Data:
        """Return the step of a fact or a command."""
        value = self.texts.of(value)
        if isinstance(value, Transfer):
            self.sent_to.add(value.to)
        if isinstance(value, Acknowledge):
            return {"acknowledge": _without(value, "member", "at", "actor") | {"give": False}}
        step: Data = {_VERBS[type(value)]: self._said(value)}
        if getattr(value, "member", name) != name:  # of somebody who was merged before
            step["member"] = value.member
        if isinstance(value, Order | Activity):
            tier = self._tier(name, record, value)
            if tier is not None:
                step["tier"] = tier
        return step

    def _said(self, value: Any) -> Data:
        """Return the fields of a fact or a command as documents have them: a step says whose, and when."""
        data = _without(value, "member", "at")
        if isinstance(value, Order) and value.by_amount:
            del data["lines"]
            data["amount"] = str(value.goods)
        if isinstance(value, Order) and value.revision > 1:
            data.setdefault("revised_at", None)  # else it would be the step's instant
        for each in (data, *data.get("lots", ())):
            for name in INSTANTS & set(each):
                each[name] = each[name] and said(datetime.fromisoformat(each[name]), self.zone)
        return data

    def _tier(self, name: str, record: Record, fact: Order | Activity) -> Any:
        """Return the tier that was given with a fact: the one by which it earned, if the program did not find it."""
        outcome, done = json.loads(record.outcome), self.done[name]
        if any(each.kind == record.kind == "order" and each.ref == record.ref for each in done.values()):
            return None
        version = outcome.get("version")
        if version is not None and version != self.rules.program(fact.at).version:
            self.notes.append(f"{record.key} was recorded when version {version} was the latest one known.")
        tier: Tiers = tuple(outcome["tier"]) if isinstance(outcome.get("tier"), list) else outcome.get("tier")
        if tier is None or not asks_for_tiers(self.rules.program(fact.at)):
            return outcome.get("tier")
        elsewhere = {each: list(self.done[each].values()) for each in self.absorbed[name]}
        found = self.rules.tiers(fact, self.streams[name]._replace(records=done), elsewhere)
        return None if found == tier else outcome["tier"]

    def _came(self, record: Record) -> Data:
        """Return what came of a record: its refusal, or what it gave."""
        outcome = json.loads(record.outcome)
        if record.status == "refused":
            numbers = {name: outcome[name] for name in ("needed", "available") if name in outcome}
            return {"refused": {"reason": outcome["refused"], **numbers} if numbers else outcome["refused"]}
        changes = {unit: change for unit, change in outcome.get("changes", {}).items() if change}
        if record.kind not in _KINDS or not changes:
            return {}
        return {"gives": changes["points"] if set(changes) == {"points"} else {"units": changes}}


def _without(value: Any, *names: str) -> Data:
    return {name: each for name, each in wire.to_data(value).items() if name not in names}


def _changed(before: Program, after: Program) -> Data:
    """Return what a later version has otherwise, as data; what it has no more, as it is by default."""
    old, new = (_without(each, "version", "effective_from") for each in (before, after))
    changed = {name: each for name, each in new.items() if old.get(name) != each}
    for name in old.keys() - new.keys():
        default = attrs.fields_dict(Program)[name].default
        changed[name] = wire.to_data(default) if attrs.has(type(default)) else default if default != () else []
    return changed
