"""What can be done in a step of a scenario: each verb, the class it makes, and what may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal

import attrs

from loyaltykit import commands
from loyaltykit.basis import BASES
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Member, Order, Refund, Reversal
from loyaltykit.testing._scenario_form import day, end_of_day, moment, period
from loyaltykit.wire import to_data

# ---------------------------------------------------------------- what is asked rather than recorded


@attrs.frozen
class Quote:
    """Price a reward, by default the program's points as money. Nothing is taken."""

    reward: str | None = None
    due: str | int | None = None
    points: int | None = None
    actor: str | None = None
    key: str = ""


@attrs.frozen
class Accept:
    """Redeem what a quote said. `quote` is the quote's key."""

    quote: str
    key: str
    actor: str | None = None


@attrs.frozen
class Cancel:
    """Cancel an order: its next revision, in which nothing of it remains."""

    order: str


@attrs.frozen
class Preview:
    """Ask what an order would earn. Nothing is recorded."""

    order: Order


@attrs.frozen
class Merge:
    """Merge the step's member into another."""

    into: str


@attrs.frozen
class Unmerge:
    """Undo the merge of the step's member."""


@attrs.frozen
class Sweep:
    """Write down what happened by itself so far. It changes nothing that is seen."""


# ---------------------------------------------------------------- the verbs


@attrs.frozen
class Verb:
    """One thing that a step may do.

    kind: the class that it makes. short: which field a bare value stands for, by its JSON type. key: the field that is
    named after the verb and its number (``redeem-2``) where it is left out. latest: the fields that, left out, name the
    latest thing of the member of some sort; names: of which sorts this becomes the latest. through: the field that a
    last day sets.
    """

    kind: type
    group: Literal["fact", "command", "question"]
    short: Mapping[type, str] = {}
    key: str | None = None
    latest: Mapping[str, str] = {}
    names: tuple[str, ...] = ()
    through: str | None = None
    defaults: Mapping[str, str] = {}


VERBS: Mapping[str, Verb] = {
    "order": Verb(Order, "fact", {str: "amount"}, "id", names=("order",)),
    "cancel": Verb(Cancel, "fact", {str: "order"}, latest={"order": "order"}),
    "refund": Verb(Refund, "fact", {str: "order"}, "id", {"order": "order"}, ("refund",)),
    "reversal": Verb(Reversal, "fact", {str: "refund"}, "id", {"refund": "refund", "order": "refunded order"}),
    "activity": Verb(Activity, "fact", {str: "name"}, "id"),
    "profile": Verb(Member, "fact"),
    "earn": Verb(commands.Earn, "command", {int: "points"}, "key", {}, ("earn",), "expires_at"),
    "adjust": Verb(
        commands.Adjust, "command", {int: "points"}, "key", through="expires_at",
        defaults={"reason": "correction", "actor": "staff"},
    ),
    "open": Verb(commands.Open, "command", {list: "lots"}, "key", through="expires_at"),
    "redeem": Verb(commands.Redeem, "command", {int: "points"}, "key", {}, ("redeem",)),
    "hold": Verb(commands.Hold, "command", {int: "points"}, "key", {}, ("hold",), "until"),
    "capture": Verb(commands.Capture, "command", {int: "points", str: "hold"}, "key", {"hold": "hold"}),
    "release": Verb(commands.Release, "command", {str: "hold"}, "key", {"hold": "hold"}),
    "restore": Verb(commands.Restore, "command", {int: "points", str: "of"}, "key", {"of": "redeem"}),
    "claw_back": Verb(commands.ClawBack, "command", {int: "points", str: "of"}, "key", {"of": "earn"}),
    "reinstate": Verb(commands.Reinstate, "command", {str: "lot"}, "key", through="expires_at"),
    "transfer": Verb(commands.Transfer, "command", {}, "key"),
    "merge": Verb(Merge, "command", {str: "into"}),
    "unmerge": Verb(Unmerge, "command"),
    "sweep": Verb(Sweep, "command"),
    "quote": Verb(Quote, "question", {str: "due"}, "key", {}, ("quote",)),
    "preview": Verb(Order, "question", {str: "amount"}, "id"),
}  # fmt: skip
"""Each verb of a step, in the order of the documentation."""


# ---------------------------------------------------------------- what is written shortly

_INSTANTS = frozenset({"revised_at", "until", "expires_at", "active_at", "earned_at"})
_RULE_INSTANTS = frozenset({"starts", "ends", "effective_from"})
_PERIODS = frozenset({"validity", "activation", "inactivity", "period"})
POLICIES = {"clamp_forgive": "clamp", "from_activation": "activation", "from_earning": "earning"}
"""Names of policies that say more than the field does by itself, and what the program calls them."""


def _stamp(at: datetime) -> str:
    return at.isoformat()


def spelled_out(verb: Verb, data: Any, zone: str, place: str) -> Any:
    """Return the data of a verb with its instants in full, and last days as the ends that they mean."""
    if isinstance(data, list):
        return [spelled_out(verb, each, zone, f"{place}[{number}]") for number, each in enumerate(data)]
    if not isinstance(data, dict):
        return data
    full: dict[str, Any] = {}
    for name, value in data.items():
        inner = f"{place}.{name}"
        if name in _INSTANTS and isinstance(value, str):
            full[name] = _stamp(moment(value, zone, inner))
        elif name == "through" and verb.through is not None:
            _not_both(data, verb.through, inner)
            full[verb.through] = _stamp(end_of_day(value, zone, inner))
        else:
            full[name] = spelled_out(verb, value, zone, inner)
    return full


def program_spelled_out(data: Any, zone: str, place: str, within: str = "") -> Any:
    """Return the data of a program with periods as data, instants in full, and last days as the ends that they mean.

    `within` is the field of the program in which `data` stands.
    """
    if isinstance(data, list):
        return [program_spelled_out(each, zone, f"{place}[{number}]", within) for number, each in enumerate(data)]
    if not isinstance(data, dict):
        return data
    full: dict[str, Any] = {}
    for name, value in data.items():
        inner, top = f"{place}.{name}", within or name
        if name in _RULE_INSTANTS and top != "rewards" and isinstance(value, str):
            full[name] = _stamp(moment(value, zone, inner))
        elif name == "through":
            end = "until" if data.get("type") == "dates" else "ends"
            _not_both(data, end, inner)
            if end == "ends" and top != "rewards":
                full[end] = _stamp(end_of_day(value, zone, inner))
            else:
                full[end] = _day_after(day(value, inner), inner)
        elif name in _PERIODS:
            full[name] = _dated(name, value)
        elif name == "restore":
            full[name] = _restored(value)
        elif name == "basis" and isinstance(value, str) and value in BASES:
            full[name] = to_data(BASES[value])
        else:
            value = POLICIES.get(value, value) if isinstance(value, str) else value
            full[name] = program_spelled_out(value, zone, inner, top)
    return full


def _dated(name: str, value: Any) -> Any:
    value = period(value)
    if name == "activation" and isinstance(value, dict) and "type" not in value:
        return {"type": "on_event" if "event" in value else "period", **value}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"grace"}:
        return {"period": period(value["grace"])}
    return value


def _not_both(data: Mapping[str, Any], name: str, place: str) -> None:
    if name in data:
        raise InputError(place, data["through"], f"give {name} or through, not both")


def _day_after(last: date, place: str) -> str:
    try:
        return (last + timedelta(1)).isoformat()
    except OverflowError:
        raise InputError(place, last.isoformat(), "the years run from 1 to 9999") from None
