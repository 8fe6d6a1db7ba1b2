"""What is seen of a member, as the expectations of a scenario document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from loyaltykit.ledger import Lot
from loyaltykit.questions import Questions
from loyaltykit.status import Status
from loyaltykit.testing._scenario_form import BUCKETS
from loyaltykit.thresholds import Progress
from loyaltykit.tiers import TierStanding

Data = dict[str, Any]
Say = Callable[[datetime], str]

NONE = "none"
"""What documents say where there is no tier, no order, nothing missing."""


def seen(
    club: Questions, member: str, at: datetime, say: Say, *, status: bool = True, keys: bool = True
) -> list[Data]:  # fmt: skip
    """Return what a member has at an instant: the balance and lots of every unit, with `status` also where they stand.

    `say` says an instant in the words of the document. Without `keys`, decisions that are due are told by their kind.
    """
    standing = club.standing(member, at=at)
    found: list[Data] = []
    for balance in standing.balances:
        have = balance.available
        usual = {"available": None, "balance": have, "active": have}  # unless something is held or owed
        numbers = {name: getattr(balance, name) for name in BUCKETS}
        shown = {name: number for name, number in numbers.items() if number != usual.get(name, 0)}
        lots = [_lot(lot, say) for lot in standing.lots if lot.unit == balance.unit]
        found.append({"member": member, "unit": balance.unit, **shown, "lots": lots})
    if status and standing.status is not None:
        due = [each.key if keys else {"kind": each.kind, "due": say(each.due)} for each in club.due(member, at=at)]
        first, *others = [_tier(each, say) for each in standing.status.tiers] or [{}]
        found.append({"member": member, **first, **_status(standing.status, say), "due": due})
        found += [{"member": member, **each} for each in others]
    return found


def _lot(lot: Lot, say: Say) -> Data:
    parts = {name: getattr(lot, name) for name in ("pending", "held") if getattr(lot, name)}
    times = {"earned_at": say(lot.earned_at), "expires_at": _end(lot.expires_at, say)}
    return {"points": lot.remaining, **parts, **times, "source": lot.source}


def _tier(standing: TierStanding, say: Say) -> Data:
    since = {} if standing.since is None else {"since": say(standing.since)}
    numbers = {name: _number(getattr(standing, name)) for name in ("value", "to_next", "to_keep")}
    names = {"ladder": standing.ladder, "tier": standing.tier or NONE, "next": standing.next or NONE}
    return {"tier": {**names, **since, "until": _end(standing.until, say), **numbers}}


def _status(status: Status, say: Say) -> Data:
    """Return what is derived from the history, apart from tiers."""
    thresholds = {each.threshold: _threshold(each, say) for each in status.thresholds}
    cards = {each.card: {"stamps": each.stamps, "full": each.full} for each in status.cards}
    return {
        **({"thresholds": thresholds} if thresholds else {}),
        **({"cards": cards} if cards else {}),
        "segments": list(status.segments),
        "badges": list(status.badges),
        "benefits": sorted(str(each.benefit) for each in status.benefits),
    }


def _threshold(progress: Progress, say: Say) -> Data:
    numbers = {name: _number(getattr(progress, name)) for name in ("value", "to_go")}
    times = {name: _end(getattr(progress, name), say) for name in ("reached_at", "revoked_at", "until")}
    return {"granted": progress.granted, **numbers, **times}


def _end(at: datetime | None, say: Say) -> str:
    return "never" if at is None else say(at)


def _number(value: int | Decimal | None) -> int | str:
    """Return a number as documents have it: money in quotes."""
    return NONE if value is None else value if isinstance(value, int) else f"{value:f}"
