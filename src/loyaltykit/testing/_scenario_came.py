"""What came of a scenario, in the words in which the document says what it expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs

from loyaltykit import errors
from loyaltykit.awards import Award
from loyaltykit.decisions import Expiring, Receipt
from loyaltykit.errors import InputError, Refused
from loyaltykit.ledger import Lot
from loyaltykit.rewards import Quote
from loyaltykit.testing._scenario_form import ExpiringSeen, LotSeen, end_of_day, moment


def reason_of(error: Exception) -> str:
    """Return the name of a refusal in documents: its reason, or what kind of mistake it is."""
    if isinstance(error, Refused):
        return error.reason
    names = {
        errors.KeyReused: "key_reused", errors.RefundTooLarge: "refund_too_large",
        errors.UnknownMember: "unknown_member", errors.WrongCurrency: "wrong_currency", InputError: "invalid",
    }  # fmt: skip
    return next((name for kind, name in names.items() if isinstance(error, kind)), type(error).__name__)


def change(result: Any, unit: str) -> int:
    """Return how much of a unit a step gave."""
    if isinstance(result, Receipt):
        return result.change(unit)
    if isinstance(result, Award):
        return dict(result.given).get(unit, 0)
    return result.points if isinstance(result, Quote) and result.unit == unit else 0


def given_by(result: Any, name: str) -> Any:
    """Return what came of a step, by the name that documents have for it."""
    award = result.award if isinstance(result, Receipt) else result
    if name == "asked":
        return dict(award.asked).get("points", 0) if isinstance(award, Award) else None
    if name == "reasons":
        return getattr(award, "reasons", None)
    return getattr(result, name, None)


def pairs(wanted: Iterable[Any], found: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair what was found with what was expected in its place, if anything was."""
    wanted = list(wanted)
    for number, each in enumerate(found):
        yield (wanted[number] if number < len(wanted) else None), each


def fields(value: Any) -> dict[str, Any]:
    """Return the fields that a document gives."""
    named = ((field.name, getattr(value, field.name)) for field in attrs.fields(type(value)))
    return {name: item for name, item in named if item is not None}


def when_like(given: Any, name: str, at: datetime | None, zone: str, place: str) -> str:
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


def times_like(wanted: Any, times: Mapping[str, datetime | None], zone: str, place: str) -> dict[str, str]:
    """Return those instants of what was found that were asked for, in the words in which they were expected."""
    given = {name: each for name, each in fields(wanted).items() if name in times}
    return {name: when_like(each, name, times[name], zone, place) for name, each in given.items()}


def lot_like(wanted: LotSeen | None, lot: Lot, zone: str, place: str) -> dict[str, Any]:
    """Return of a lot what was expected of it; of one that was not expected, what it holds and when it expires."""
    given = {"points": None, "expires_at": None} if wanted is None else fields(wanted)
    came: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("earned_at", "active_at", "expires_at", "through"):
            when = getattr(lot, "expires_at" if name == "through" else name)
            came[name] = when_like(value, name, when, zone, place)
        else:
            came[name] = lot.remaining if name == "points" else getattr(lot, name)
    return came


def expiring_like(wanted: ExpiringSeen | None, soon: Expiring, zone: str, place: str) -> dict[str, Any]:
    """Return of points that expire together what was expected of them."""
    given = {"points": None, "at": None} if wanted is None else fields(wanted)
    return {
        name: soon.points if name == "points" else when_like(value, name, soon.at, zone, place)
        for name, value in given.items()
    }


def shown(value: Any) -> str:
    """Return a value in words: of a report."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {shown(item)}" for name, item in value.items()) + ")"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{value}"
