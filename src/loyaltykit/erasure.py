"""The erasure of a person: what their account becomes, and what becomes of the accounts of others that name them.

Pure. The books of an erased person go on under a pseudonym: every movement stays, with its instants, so that sums,
reports and the conservation law hold. What was said of the person goes: their facts, texts, profile and consents, the
fingerprints of these, and every name that the shop chose (of orders, keys, holds), for which numbers stand from now
on. In the accounts of others, and in pools, only what names the person is changed.

The fold decides ties by name, so the numbers keep the order of the names that they stand for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from loyaltykit import journal
from loyaltykit.books import Books, Step
from loyaltykit.commands import Draft
from loyaltykit.errors import StoreUnusable
from loyaltykit.handover import HANDOVER, no_terms
from loyaltykit.journal import NEVER, Balance, Commit, Context, Entry, Need, Record, compact
from loyaltykit.ledger import NEW, Envelope, post
from loyaltykit.merges import note_of
from loyaltykit.steps import corrections, replay

Name = Callable[[str], str]

_BOOKED = ("hold", "spent")
"""The kinds of items that the fold makes; the others are kept beside it."""

_PEOPLE = ("member", "actor", "to", "from", "into", "last", "absorbed", "via", "formerly", "home")
"""Under these names, what is recorded says who."""

_HANDED_OVER = ("lots", "spent", "counts", "orders", "debts", "lapses")
"""Under these names, a transfer or merge says what the other account takes in."""

_MERGES = ("merge", "absorb", "unmerge", "reopen", "let_go")


class Persons:
    """Who is erased, each with the pseudonym: how their names are told from others', and what stands for them.

    `contexts` are their accounts, for the names of their orders.
    """

    def __init__(self, pseudonyms: Mapping[str, str], contexts: Iterable[Context] = ()) -> None:
        self.pseudonyms = dict(pseudonyms)
        self.orders = {record.ref for context in contexts for record in context.records.values()}
        self._spelled = {journal.stem(person): journal.stem(name) for person, name in pseudonyms.items()}
        self._spelled |= pseudonyms
        anyone = "|".join(map(re.escape, sorted(self._spelled, key=len, reverse=True)))
        # "ann>order:1", "transfer:ann:gift#1", "key:merge:ann:1", also in what came from a merged account: "bo>..."
        self._named = re.compile(
            rf"((?:[^>]*>)*?)(?:({anyone})>|((?:key:|arrived:)?(?:transfer|merge|unmerge):)({anyone}):)", re.DOTALL
        )
        self._reserved = re.compile(f"({anyone})/", re.DOTALL)

    def stem(self, name: str, pool: bool) -> str | None:
        """Return how a name begins from now on if it names somebody who is erased; None if it does not."""
        found = (self._reserved if pool else self._named).match(name)
        if found is None:
            return None
        if pool:
            return f"{self._spelled[found[1]]}/"
        before, lots_of, way, other = found.groups()
        return f"{before}{self._spelled[lots_of]}>" if lots_of else f"{before}{way}{self._spelled[other]}:"

    def said(self, data: Any, name: Name, people: Iterable[str] = _PEOPLE) -> Any:
        """Return plain data with the pseudonyms in place of the persons, and names as `name` says."""
        match data:
            case dict():
                return {name(key): self._who(key, value, name, people) for key, value in data.items()}
            case list():
                return [self.said(each, name, people) for each in data]
            case str():
                return name(data)
        return data

    def _who(self, key: str, value: Any, name: Name, people: Iterable[str]) -> Any:
        if key in people and isinstance(value, str):
            return self.pseudonyms.get(value, value)
        if key in people and isinstance(value, list):
            return [self._who(key, each, name, people) for each in value]
        return self.said(value, name, people)


# ---------------------------------------------------------------- who is named


def absorbed(context: Context) -> list[str]:
    """Return the members that were merged into this one."""
    return list(note_of(context.head).get("absorbed", []))


def others(context: Context, *, merged: bool = False) -> Iterator[str]:
    """Yield whom an account names, in its records and its head; `merged`: only those it was ever merged with."""
    note = note_of(context.head)
    yield from _values([note], _PEOPLE)
    for record in context.records.values():
        if record.kind in _MERGES or not merged:
            yield from _values([json.loads(record.payload), json.loads(record.outcome)], _people_of(record))
    for (kind, _), item in context.items.items():
        if kind == HANDOVER and item.value is not None:
            yield from _values([json.loads(item.value)], _PEOPLE)


def mentions(context: Context, names: Iterable[str]) -> bool:
    """Say whether any of the names occurs anywhere in an account's rows, if only as a part of something else."""
    rows = (context.head or (), *context.records.values(), *context.entries, *context.items.values())
    text = "\n".join(value for row in rows for value in row if isinstance(value, str))
    return any(spelled in text for name in names for spelled in (name, compact(name)[1:-1], journal.stem(name)))


def _people_of(record: Record) -> tuple[str, ...]:
    return (*_PEOPLE, "of") if record.kind in ("unmerge", "let_go") else _PEOPLE


def _values(rows: Iterable[Any], people: Iterable[str]) -> Iterator[str]:
    for row in rows:
        for key, value in row.items():
            if key in people:
                yield from [value] if isinstance(value, str) else value or ()


# ---------------------------------------------------------------- what they become


def erased(context: Context, account: str, persons: Persons, at: int, recorded_at: int) -> Commit:
    """Return the account that takes the place of an erased person's, under its new name `account`.

    Raises `StoreUnusable` where the stored books are not those of their records: mend them first.
    """
    kept = {record.key for record in context.records.values() if record.kind == "term"}  # of the program, not a person
    numbers = _numbered(_names(context) - kept, set(context.records), lambda name: "")
    name = _naming(numbers)
    records = [record if record.key in kept else _reduced(record, name) for record in context.records.values()]
    entries = [_entry(entry, name)._replace(reason=None, actor=None) for entry in context.entries]
    note = note_of(context.head)
    kept_of = ("into", "absorbed", "via", "came", "merges")
    note = persons.said({key: note[key] for key in kept_of if key in note}, str)
    return _instead(context, Parts(account, "erase", records, entries, {}, note), at, recorded_at)


def _reduced(record: Record, name: Name) -> Record:
    """Return of a record what the books need: when it was, and what it did to them."""
    return record._replace(
        key=name(record.key), kind="erased", ref=record.ref and name(record.ref), fingerprint="", payload="{}",
        outcome="{}", plan=compact([_step(step, name) for step in json.loads(record.plan) if step[3] != "note"]),
    )  # fmt: skip


def forgetting(context: Context, account: str, persons: Persons, at: int, recorded_at: int) -> Commit | None:
    """Return what takes the place of another's account, or a pool, that names an erased person; None if it does not."""
    pool = "~" in account.partition("/")[0]
    round_ = f"{context.head.version + 1}." if context.head else ""  # apart from the numbers of an earlier erasure

    own = {record.ref for record in context.records.values()}
    theirs = {}  # facts of the person that came while they were merged into this member
    for record in context.records.values():
        who = json.loads(record.payload).get("member")
        if who in persons.pseudonyms:
            theirs.update(dict.fromkeys((record.key, record.ref or record.key), f"{persons.pseudonyms[who]}:"))

    def stem(name: str) -> str | None:
        begin = theirs.get(name) or theirs.get(journal.source_of_lot(name)) or persons.stem(name, pool)
        return begin and begin + round_

    numbers = _numbered(_names(context), set(context.records), stem)
    for old, new in [*numbers.items()]:  # what goes back to a member who was merged is told there without their name
        if stem(old.partition(">")[2]):
            numbers.setdefault(old.partition(">")[2], new.partition(">")[2])
    name = _naming(numbers)
    records, changed = [], set()
    for record in context.records.values():
        told, named = _told(record, persons, name)
        if record.key in theirs:
            told = _reduced(record, name)
        records.append(told)
        if told.key != record.key or named:
            changed.add(told.key)
    entries = []
    for entry in context.entries:
        entry = _entry(entry, name)
        actor = persons.pseudonyms.get(entry.actor or "", entry.actor)
        entries.append(entry._replace(actor=actor, reason=None if entry.source in changed else entry.reason))
    items = {}
    for key, item in context.items.items():
        theirs_too = item.kind == "order" and (item.name in theirs or item.name in persons.orders - own)
        if key[0] not in _BOOKED and item.value is not None and not theirs_too:
            value = persons.said(json.loads(item.value), name)
            text = item.value if value == json.loads(item.value) else compact(value)
            called = item.name if item.kind != HANDOVER else name("key:" + item.name).removeprefix("key:")
            items[item.kind, called] = item._replace(name=called, value=text)
    note = persons.said(note_of(context.head), str)
    kept = {key: item for key, item in context.items.items() if key[0] not in _BOOKED}
    same = note == note_of(context.head) and items == kept
    if not numbers and not changed and same and list(context.entries) == entries:
        return None
    return _instead(context, Parts(account, "forget", records, entries, items, note), at, recorded_at)


def _told(record: Record, persons: Persons, name: Name) -> tuple[Record, bool]:
    """Return a record without the persons, and whether what it says named one: then it gives no reason any more."""
    people = _people_of(record)
    payload, outcome = json.loads(record.payload), json.loads(record.outcome)
    new_payload, new_outcome = persons.said(payload, name, people), persons.said(outcome, name, people)
    named = bool(new_payload != payload or new_outcome.get("to") != outcome.get("to"))
    if named:  # what was handed over has arrived, and bears names that the person's account gave
        new_payload.pop("reason", None)
        new_outcome = {key: value for key, value in new_outcome.items() if key not in _HANDED_OVER}
    plan = [_step(step, name) for step in json.loads(record.plan)]
    for step in plan:
        if step[3] == "note":
            step[4:] = [None if named else step[4], persons.pseudonyms.get(step[5], step[5])]
    told = record._replace(
        key=name(record.key), ref=record.ref and name(record.ref),
        plan=compact(plan),
        payload=record.payload if new_payload == payload else compact(new_payload),
        outcome=record.outcome if new_outcome == outcome else compact(new_outcome),
    )  # fmt: skip
    if named or told.key != record.key:
        told = told._replace(fingerprint="")
    return told, named


class Parts(NamedTuple):
    """The rows of an account under new names, as far as they are not folded from them."""

    account: str
    kind: str  # of the record that says what was done
    records: list[Record]
    entries: list[Entry]
    items: Mapping[tuple[str, str], Any]
    note: Mapping[str, Any]


def _instead(context: Context, parts: Parts, at: int, recorded_at: int) -> Commit:
    """Fold the records under their new names, and return all of the account, with a record of what was done."""
    head = context.head or NEW
    folded = replay(context.records.values(), until=head.at)
    if any(corrections(context.entries, folded.moves)) or not _same(folded, context.balances):
        raise StoreUnusable(f"the stored books that {parts.account} is to follow are wrong; mend them with rebuild()")
    at = max(at, head.at)
    folded.advance(at)
    need = Need(parts.account, everything=True)
    records = {record.key: record for record in parts.records}
    renamed = Context(head._replace(note=compact(dict(parts.note))), {}, records, {}, parts.items, parts.entries)
    envelope = Envelope(f"{parts.kind}@{head.version + 1}", parts.kind, at, "", "{}")
    made = post(renamed, need, envelope, recorded_at, lambda view: Draft([], {}, anew=True), no_terms).commit
    if made is None or not _same(folded, {row.unit: row for row in made.balances}):
        raise StoreUnusable(f"{parts.account} would not have the same balances; nothing was changed")
    next_at = min([made.head.next_at, *(item.due_at for item in parts.items.values())], default=NEVER)
    return Commit(
        parts.account, 0, made.head._replace(next_at=next_at), sorted([*parts.records, *made.records]),
        [*parts.entries, *made.entries], made.lots, made.balances,
        [*parts.items.values(), *(item for item in made.items if item.value is not None)],
    )  # fmt: skip


def _same(books: Books, balances: Mapping[str, Balance]) -> bool:
    return all(books.unit(unit).row() == balances.get(unit, Balance(unit)) for unit in {*books.units, *balances})


# ---------------------------------------------------------------- names


def _names(context: Context) -> set[str]:
    """Return every name in an account's plans and entries, and the keys and refs of its records."""
    found = {*context.records, *(record.ref for record in context.records.values() if record.ref)}

    def note(name: str) -> str:
        found.add(name)
        return name

    for record in context.records.values():
        for step in json.loads(record.plan):
            _step(step, note)
    for entry in context.entries:
        _entry(entry, note)
    holds = {name for name in found if name.startswith("hold:") and name[5:] in found}
    return found - holds - {"inactivity"}  # the end of a hold is named after the hold; nobody chose the other


def _numbered(names: set[str], keys: set[str], stem: Callable[[str], str | None]) -> dict[str, str]:
    """Return what stands for the names that have a stem: the stem and a number, in the order of the names.

    What a fold names after others is named alike: a lot beside another ("lot+source"), and, between them in the order
    of names, what merely begins like the lot ("lot#...").
    """
    new: dict[str, str] = {}
    chosen = sorted(name for name in names if stem(name) is not None)
    beside = {name: parts for name in chosen if (parts := _beside(name, names, keys)) is not None}
    width = len(str(len(chosen)))
    for number, name in enumerate(chosen, 1):
        if name not in beside:
            longer = (name[:end] for end in range(len(name) - 1, 0, -1) if name[end] < "+" and name[:end] in new)
            before = next(longer, None)
            begin = stem(name) if before is None else new[before] + "#"
            new[name] = f"{begin}{number:0{width}}"
    for name, (lot, source) in sorted(beside.items()):
        new[name] = f"{new.get(lot, lot)}+{new.get(source, source)}"
    return new


def _beside(name: str, names: set[str], keys: set[str]) -> tuple[str, str] | None:
    """Return the lot and the source after which a lot beside another is named, if it is one."""
    for place, letter in enumerate(name):
        if letter == "+" and name[place + 1 :] in keys and name[:place] in names:
            return name[:place], name[place + 1 :]
    return None


def _naming(numbers: Mapping[str, str]) -> Name:
    def name(old: str) -> str:
        if old.startswith("hold:") and old not in numbers:
            return "hold:" + numbers.get(old[5:], old[5:])
        return numbers.get(old, old)

    return name


def _step(step: Step, name: Name) -> Step:
    """Return a step with its source, and the lots, holds and redemptions that it is about, under other names."""
    at, rank, source, op, *values = step
    match op:
        case "credit":
            kind, lots = values
            values = [kind, _first_named(lots, name)]
        case "send":
            values = [_first_named(values[0], name)]
        case "redeem":
            subject, unit, kind, uses, *rest = values
            values = [name(subject), unit, kind, _first_named(uses, name), *rest]
        case "hold":
            subject, unit, until, uses, *rest = values
            values = [name(subject), unit, until, uses and _first_named(uses, name), *rest]
        case "carry":
            subject, value = values
            values = [name(subject), value and [value[0], _first_named(value[1], name), *value[2:]]]
        case "note" | "lapse" | "term" | "owe":
            pass
        case _:
            values = [name(values[0]), *values[1:]]
    return [at, rank, name(source), op, *values]


def _first_named(rows: Iterable[list[Any]], name: Name) -> list[list[Any]]:
    return [[first and name(first), *rest] for first, *rest in rows]


def _entry(entry: Entry, name: Name) -> Entry:
    uses = _first_named(json.loads(entry.uses), name)
    return entry._replace(source=name(entry.source), uses=compact(uses))
