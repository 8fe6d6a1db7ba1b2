"""Why a balance is what it is: the tree of facts and rules behind it, in words.

Pure: from the records and the books folded from them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from loyaltykit.books import Books, Move
from loyaltykit.calendar import from_us, local_date, to_us, zone
from loyaltykit.decisions import Explanation
from loyaltykit.earning import award
from loyaltykit.facts import Order
from loyaltykit.journal import Context, Record, record_of
from loyaltykit.program import Program
from loyaltykit.status import Status
from loyaltykit.tables import number
from loyaltykit.wire import loads

_VERBS = {
    "earn": "earned",
    "restore": "given back",
    "reinstate": "reinstated",
    "transfer_in": "received",
    "adjust_up": "adjusted",
    "redeem": "redeemed",
    "expire": "expired",
    "claw_back": "taken back",
    "transfer_out": "sent away",
    "adjust_down": "adjusted",
    "activate": "became active",
    "hold": "held",
    "release": "released",
    "repay": "repaid a debt",
    "term": "got an expiry date",
}


_GROUPS = {
    "earn": "given by hand",
    "open": "brought along",
    "redeem": "redeemed",
    "capture": "redeemed",
    "restore": "given back",
    "adjust": "adjusted by hand",
    "clawback": "taken back by hand",
    "reinstate": "reinstated",
    "transfer": "sent to others",
    "receive": "received from others",
    "merge": "merged",
    "absorb": "merged",
    "unmerge": "merged",
    "reopen": "merged",
    "erased": "from what was erased",
}


def reason_of(records: Mapping[str, Record]) -> Callable[[str], str | None]:
    """Return how to say, in words, what an entry follows from: an order, a refund, a key."""

    def reason(source: str) -> str | None:
        record = record_of(source, records)
        if record is None:
            kind, _, name = source.partition(":")
            return {"hold": f"hold {name} ended", "inactivity": "inactivity"}.get(kind)
        name = record.key.partition(":")[2]
        payload = json.loads(record.payload)
        match record.kind:
            case "order":
                revision = payload.get("revision", 1)
                return f"order {payload['id']}" + (f", revision {revision}" if revision > 1 else "")
            case "refund":
                return f"refund {payload['id']} of order {payload['order']}"
            case "reversal":
                return f"reversal of refund {payload['refund']} of order {payload['order']}"
            case "activity":
                about = payload.get("product") or payload.get("order")
                return f"{payload['name']} of {about}" if about else str(payload["name"])
            case "capture":
                return f"hold {payload['hold']}"
            case "restore":
                return f"redemption {payload['of']}"
            case "transfer":
                return f"to {payload['to']} ({name})"
            case "receive" | "absorb" | "reopen":
                return f"from {payload['from']}"
            case "merge":
                return f"merged into {payload['into']}"
            case "unmerge":
                return f"back to {payload['of']}"
            case "term":
                return "the program's new terms"
            case _:
                what = payload.get("reward") or payload.get("reason")
                return f"{what} ({name})" if what else name

    return reason


def explain_account(
    versions: Mapping[int, Program], program: Program, context: Context, books: Books, unit: str, at: datetime,
    status: Status | None = None,
) -> Explanation:  # fmt: skip
    """Return the tree behind a balance: its sources, and for each the entries that it led to; and what comes next."""
    row, until = books.unit(unit), to_us(at)
    reason = reason_of(context.records)
    groups: dict[str, dict[str, list[Move]]] = {}
    for move in books.moves:
        if move[0] == unit and move[2] and move[3] <= until:
            root = _root(move[4], context.records)
            groups.setdefault(_group(root, context.records), {}).setdefault(root, []).append(move)
    because = []
    for title, stories in groups.items():
        children = [_told(versions, program, context, moves, reason) for moves in stories.values()]
        total = sum(move[2] for moves in stories.values() for move in moves)
        flat = tuple(child for told in children for child in told)
        because.append(Explanation(f"{number(total)} {title}", flat))
    balance = row.active - row.debt + row.held
    head = f"{number(balance)} {unit}"
    extra = [f"{number(row.pending)} pending"] if row.pending else []
    extra += [f"{number(row.held)} of them held"] if row.held else []
    extra += [f"a debt of {number(row.debt)}"] if row.debt else []
    return Explanation(
        head + (f" ({', '.join(extra)})" if extra else ""), tuple(because), _next(books, unit, program, status)
    )


def _root(source: str, records: Mapping[str, Record]) -> str:
    """Return what a source belongs to: a refund to its order, an expired lot to what earned it."""
    record = record_of(source, records)
    if record is not None and record.ref is not None and record.kind in ("order", "refund", "reversal"):
        return record.ref
    return source if record is None else record.key


def _group(root: str, records: Mapping[str, Record]) -> str:
    record = records.get(root)
    if root.startswith("order:"):
        return "from orders"
    if record is not None and record.kind == "activity":
        return f"for {json.loads(record.payload)['name']}"
    if record is None:
        return "by itself"
    return _GROUPS.get(record.kind, record.kind.replace("_", " "))


def _told(
    versions: Mapping[int, Program], program: Program, context: Context, moves: Iterable[Move],
    reason: Callable[[str], str | None],
) -> list[Explanation]:  # fmt: skip
    told = []
    for _, kind, amount, when, source, _, given_reason, actor in moves:
        day = local_date(from_us(when), program.zone)
        what = given_reason or reason(source) or source
        how = _breakdown(versions, context.records.get(source)) if kind == "earn" else ""
        by = f", by {actor}" if actor else ""
        told.append(Explanation(f"{number(amount)} {_VERBS[kind]}: {what} ({day}){by}{how}"))
    return told


def _breakdown(versions: Mapping[int, Program], record: Record | None) -> str:
    """Return how an award was computed, from the version of the program that made it."""
    if record is None or record.kind != "order":
        return ""
    outcome: dict[str, Any] = json.loads(record.outcome)
    if "version" not in outcome:
        return ""
    order = loads(Order, record.payload)
    given = award(versions[outcome["version"]], order, tier=outcome["tier"], used=outcome["used"])
    return ": " + "; ".join(given.explain())


def _next(books: Books, unit: str, program: Program, status: Status | None) -> tuple[str, ...]:
    here = zone(program.zone)
    soon = [
        f"{number(points)} expire on {from_us(when).astimezone(here):%Y-%m-%d %H:%M}"
        for when, points in books.expiring(unit)[:3]
    ]
    said = [", ".join(soon)] if soon else []
    said += status.ahead(program.currency, program.zone) if status is not None else []
    return (f"next: {'; '.join(said)}",) if said else ()
