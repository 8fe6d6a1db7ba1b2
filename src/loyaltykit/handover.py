"""What passes between two accounts: transfers, merges, unmerges, and pools that many members draw on.

Pure. No commit spans two accounts. What leaves one is recorded there under a key, with all that the other needs to
take it in; the other takes it in under a key of its own; then the first notes that it arrived. Each step can be
repeated, so whatever interrupts it, the same call again, or the next sweep, brings it to its end.

A **pool** is a stream of its own: a campaign's budget, the stock of a reward. A member's part is reserved there under
a key before it is given, and what was not used, or was taken back, is returned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from loyaltykit.books import RANK_COMMAND, Step
from loyaltykit.commands import Draft, Terms, Transfer, View
from loyaltykit.journal import NEVER, Lot, Need, Record, compact, stem
from loyaltykit.ledger import Envelope
from loyaltykit.merges import formerly_of, note_of, path_to, prefix_of, without
from loyaltykit.session import Task

HANDOVER = "handover"
"""The kind of item that remembers what has left an account and is not known to have arrived."""

CARRIED = ("issued", "spent", "expired", "clawed", "owed", "excused", "forgiven")
"""What a lot brings along, besides what it still holds, when its account is merged."""


def no_terms(unit: str) -> Terms:
    """Return the terms of steps that ask for none."""
    return Terms()


class Moved(Exception):
    """The member was merged: what is for them goes to `into` now."""

    def __init__(self, into: str) -> None:
        super().__init__(into)
        self.into = into


def require_open(view: View) -> None:
    """Raise `Moved` where the member was merged into another."""
    if view.closed:
        raise Moved(note_of(view.context.head)["into"])


def _noted(view: View, status: str, **changes: Any) -> tuple[str, str]:
    return status, compact({**note_of(view.context.head), **changes})


def handover(view: View, key: str, at: int, value: Mapping[str, Any]) -> None:
    """Remember that something is on its way."""
    view.books.keep(HANDOVER, key, dict(value), at)


def arrived(account: str, key: str, at: int) -> Task:
    """Return the task that notes, on the sending side, that what left under `key` has arrived."""
    envelope = Envelope(f"arrived:{key}", "arrived", at, "", "{}", f"key:{key}")

    def choose(view: View) -> Draft:
        view.books.keep(HANDOVER, key, None)
        return Draft([], {})

    return Task(Need(account, keys=(envelope.key,), items=((HANDOVER, key),)), envelope, choose, no_terms)


# ---------------------------------------------------------------- transfers


def transferred(command: Transfer, draft: Draft, view: View, at: int) -> Draft:
    """Complete the decision of a transfer with what the recipient takes in: every lot with its own dates."""
    if draft.status != "applied":
        return draft
    chosen = next(step[7] for step in draft.steps if step[3] == "redeem")
    lots = []
    for name, quantity in chosen:
        lot = view.books.lots[name]
        lots.append([command.unit, quantity, lot.earned_at, lot.active_at, lot.expires_at])
    handover(view, command.key, at, {"kind": "transfer", "to": command.to})
    return draft._replace(outcome={**draft.outcome, "to": command.to, "lots": lots})


def received(account: str, sender: str, sent: Record) -> Task:
    """Return the task that takes a transfer in."""
    outcome = json.loads(sent.outcome)
    key = f"transfer:{sender}:{sent.key.removeprefix('key:')}"
    lots = [[f"{stem(key)}#{number}", *lot] for number, lot in enumerate(outcome["lots"], 1)]
    steps: list[Step] = [[sent.at, RANK_COMMAND, key, "credit", "transfer_in", lots]]
    payload = compact({"from": sender})
    envelope = Envelope(key, "receive", sent.at, sent.fingerprint, payload)

    def choose(view: View) -> Draft:
        require_open(view)
        return Draft(steps, {})

    return Task(Need(account, keys=(key,)), envelope, choose, no_terms)


# ---------------------------------------------------------------- merges


def _emptied(view: View, prefix: str, at: int, source: str) -> tuple[list[Step], dict[str, Any]]:
    """Return the steps that send everything away whose lots begin with `prefix`, and what is sent."""
    lapses = {name: row.lapse_at for name, row in sorted(view.books.units.items()) if row.lapse_at != NEVER}
    lots = [lot for lot in view.books.lots.values() if lot.lot.startswith(prefix) and (lot.issued or lot.spent)]
    holds = [name for (kind, name), item in view.books.items.items() if kind == "hold" and item.value is not None]
    steps: list[Step] = [[at, RANK_COMMAND, source, "release", name] for name in sorted(holds)]
    sent = [[lot.lot, _content(lot), lot.unit] for lot in lots if _content(lot)]
    steps.append([at, RANK_COMMAND, source, "send", sent])
    spent = {
        name: json.loads(item.value)
        for (kind, name), item in sorted(view.books.items.items())
        if kind == "spent" and item.value is not None and name.startswith(prefix)
    }
    return steps, {
        "lots": [
            [lot.lot.removeprefix(prefix), lot.unit, _content(lot), lot.earned_at, lot.active_at, lot.expires_at,
             [getattr(lot, column) for column in CARRIED]]
            for lot in lots
        ],
        "spent": {
            name.removeprefix(prefix): [unit, [[lot.removeprefix(prefix), count] for lot, count in uses], *rest]
            for name, (unit, uses, *rest) in spent.items()
        },
        "lapses": lapses,
    }  # fmt: skip


def _content(lot: Lot) -> int:
    return lot.pending + lot.active + lot.held


def merge(account: str, into: str, key: str, at: int) -> Task:
    """Return the task that empties and closes an account for its merge into the member `into`."""
    source = f"key:{key}"

    def choose(view: View) -> Draft:
        steps, sent = _emptied(view, "", at, source)
        debts = {name: unit.debt for name, unit in view.books.units.items() if unit.debt}
        steps += [[at, RANK_COMMAND, source, "owe", name, -debt] for name, debt in sorted(debts.items())]
        counts = {
            name: json.loads(item.value)
            for (kind, name), item in view.books.items.items()
            if kind == "count" and item.value is not None
        }
        orders = {
            name: json.loads(item.value)
            for (kind, name), item in view.books.items.items()
            if kind == "order" and item.value is not None
        }
        handover(view, key, at, {"kind": "merge", "to": into})
        note = note_of(view.context.head)
        outcome = {**sent, "debts": debts, "counts": counts, "orders": orders, "to": into}
        outcome |= {name: note[name] for name in ("absorbed", "via", "formerly") if note.get(name)}
        merges = note.get("merges", 0) + 1
        return Draft(steps, outcome, head=_noted(view, "closed", into=into, merges=merges))

    envelope = Envelope(source, "merge", at, into, compact({"into": into}))
    return Task(Need(account, keys=(source,), everything=True), envelope, choose, no_terms)


def absorbed(account: str, source: str, sent: Record) -> Task:
    """Return the task that takes a merged account in: every lot with its dates and history, debts, redemptions."""
    outcome = json.loads(sent.outcome)
    key = f"merge:{source}:{sent.version}"
    prefix = f"{stem(source)}>"
    steps = _carried(outcome, prefix, sent.at, key)
    steps += [[sent.at, RANK_COMMAND, key, "owe", unit, debt] for unit, debt in sorted(outcome["debts"].items())]
    items = (*(("count", name) for name in outcome["counts"]), *(("order", name) for name in outcome["orders"]))

    def choose(view: View) -> Draft:
        require_open(view)
        for name, count in outcome["counts"].items():
            view.books.keep("count", name, (view.books.value("count", name) or 0) + count)
        for name, value in outcome["orders"].items():
            if view.books.value("order", name) is None:
                view.books.keep("order", name, value)
        note = without(note_of(view.context.head), source)
        came = outcome.get("absorbed", [])
        ways = zip(came, outcome.get("via", []), strict=True)
        note["absorbed"] += [source, *came]
        note["via"] += [source, *(source if each == way else way for each, way in ways)]
        version = 0 if view.context.head is None else view.context.head.version
        note["came"] += [[sent.at, version]] * (1 + len(came))
        note["formerly"] = formerly_of(account, note_of(view.context.head), *outcome.get("formerly", ()))
        return Draft(steps, {}, head=_noted(view, "open", **note))

    payload = compact({"from": source})
    envelope = Envelope(key, "absorb", sent.at, sent.fingerprint, payload)
    return Task(Need(account, keys=(key,), items=items), envelope, choose, no_terms)


def _carried(outcome: Mapping[str, Any], prefix: str, at: int, key: str) -> list[Step]:
    """Return the steps that take lots in with their history, and the redemptions that may yet be given back."""
    lots = [[prefix + name, *rest] for name, *rest in outcome["lots"]]
    steps: list[Step] = [[at, RANK_COMMAND, key, "credit", "transfer_in", lots]] if lots else []
    for name, (unit, uses, *rest) in outcome["spent"].items():
        value = [unit, [[lot and prefix + lot, count] for lot, count in uses], *rest]
        steps.append([at, RANK_COMMAND, key, "carry", prefix + name, value])
    steps += [[at, RANK_COMMAND, key, "lapse", unit, end] for unit, end in outcome.get("lapses", {}).items()]
    return steps


def unmerge(account: str, source: str, key: str, at: int) -> Task:
    """Return the task that gives back what is left of the lots that came from the member `source`."""
    record = f"key:{key}"

    def choose(view: View) -> Draft:
        note = note_of(view.context.head)
        prefix, between = prefix_of(note, source), path_to(note, source)[:-1]
        steps, sent = _emptied(view, prefix, at, record)
        steps += [[at, RANK_COMMAND, record, "carry", prefix + name, None] for name in sent["spent"]]
        handover(view, key, at, {"kind": "unmerge", "to": source})
        outcome = {**sent, "to": source, "via": between, "formerly": note.get("formerly", [])}
        return Draft(steps, outcome, head=_noted(view, "open", **without(note, source)))

    envelope = Envelope(record, "unmerge", at, source, compact({"of": source}))
    return Task(Need(account, keys=(record,), everything=True), envelope, choose, no_terms)


def reopened(account: str, into: str, sent: Record) -> Task:
    """Return the task that reopens an account and takes its lots back in."""
    outcome = json.loads(sent.outcome)
    key = f"unmerge:{into}:{sent.version}"
    steps = _carried(outcome, "", sent.at, key)
    payload = compact({"from": into})
    envelope = Envelope(key, "reopen", sent.at, sent.fingerprint, payload)

    def choose(view: View) -> Draft:
        head = view.context.head
        known = formerly_of(account, note_of(head), into, *outcome.get("via", ()), *outcome.get("formerly", ()))
        back = [sent.at, 0 if head is None else head.version]
        return Draft(steps, {}, head=_noted(view, "open", into=None, last=into, formerly=known, back=back))

    return Task(Need(account, keys=(key,), everything=True), envelope, choose, no_terms)


def let_go(account: str, into: str, sent: Record) -> Task:
    """Return the task that lets an account by way of which a member came know that they were taken out again."""
    source = json.loads(sent.outcome)["to"]
    key = f"unmerge:{into}:{sent.version}"

    def choose(view: View) -> Draft:
        note = note_of(view.context.head)
        status = "open" if view.context.head is None else view.context.head.status
        return Draft([], {}, head=_noted(view, status, **without(note, source)))

    return Task(
        Need(account, keys=(key,)), Envelope(key, "let_go", sent.at, "", compact({"of": source})), choose, no_terms
    )


TAKES_IN = {"transfer": received, "merge": absorbed, "unmerge": reopened}
"""How the other account takes in what is handed over, by kind: (its account, the first member, the record)."""


# ---------------------------------------------------------------- pools


def reserve(account: str, key: str, at: int, wanted: int, limit: int, fingerprint: str) -> Task:
    """Return the task that reserves up to `wanted` of what a pool has left of its `limit`."""

    def choose(view: View) -> Draft:
        used = view.books.value("count", "used") or 0
        given = max(0, min(wanted, limit - used))
        view.books.keep("count", "used", used + given)
        return Draft([], {"reserved": given})

    envelope = Envelope(key, "reserve", at, fingerprint, "{}")
    return Task(Need(account, keys=(key,), items=(("count", "used"),)), envelope, choose, no_terms)


def give_back(account: str, key: str, at: int, amount: int) -> Task:
    """Return the task that returns a part to its pool."""

    def choose(view: View) -> Draft:
        view.books.keep("count", "used", max(0, (view.books.value("count", "used") or 0) - amount))
        return Draft([], {"returned": amount})

    envelope = Envelope(key, "give_back", at, str(amount), "{}")
    return Task(Need(account, keys=(key,), items=(("count", "used"),)), envelope, choose, no_terms)
