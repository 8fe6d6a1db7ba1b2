"""What can be done in a step of a scenario: each verb, the class it makes, and what may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from loyaltykit import commands, marks
from loyaltykit.consent import Consent
from loyaltykit.errors import InputError
from loyaltykit.facts import Activity, Member, Order, Refund, Reversal
from loyaltykit.testing._scenario_form import end_of_day, moment
from loyaltykit.testing._scenario_words import benefit, not_both

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


@attrs.frozen
class CarryOut:
    """Carry out what is due, and say so: the decision of this key, those of this kind, or all.

    With `give` false it is only said of a `decision` that it was carried out, whether it is due or not; `key` is then
    the command's.
    """

    decision: str | None = None
    kind: str | None = None
    give: bool = True
    key: str | None = None
    actor: str | None = None
    reason: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.decision is not None and self.kind is not None:
            raise InputError("kind", self.kind, "give decision or kind, not both")
        if not self.give and self.decision is None:
            raise InputError("give", self.give, "name the decision that was carried out elsewhere")
        if self.key is not None and self.give:
            raise InputError("key", self.key, "what is given has the decision's key; give false goes with it")


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
    defaults: Mapping[str, Any] = {}


VERBS: Mapping[str, Verb] = {
    "order": Verb(Order, "fact", {str: "amount"}, "id", names=("order",)),
    "cancel": Verb(Cancel, "fact", {str: "order"}, latest={"order": "order"}),
    "refund": Verb(Refund, "fact", {str: "order"}, "id", {"order": "order"}, ("refund",)),
    "reversal": Verb(Reversal, "fact", {str: "refund"}, "id", {"refund": "refund", "order": "refunded order"}),
    "activity": Verb(Activity, "fact", {str: "name"}, "id"),
    "profile": Verb(Member, "fact"),
    "consent": Verb(Consent, "fact", {str: "purpose"}, defaults={"given": True}),
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
    "invite": Verb(marks.Invite, "command", {str: "tier"}, "key", through="ends"),
    "grant": Verb(marks.Give, "command", {str: "benefit"}, "key", through="ends"),
    "acknowledge": Verb(CarryOut, "command", {str: "decision"}),
    "sweep": Verb(Sweep, "command"),
    "quote": Verb(Quote, "question", {str: "due"}, "key", {}, ("quote",)),
    "preview": Verb(Order, "question", {str: "amount"}, "id"),
}  # fmt: skip
"""Each verb of a step, in the order of the documentation."""


# ---------------------------------------------------------------- what is written shortly

INSTANTS = frozenset({"revised_at", "until", "ends", "expires_at", "active_at", "earned_at"})
"""The fields of facts and commands that hold an instant, besides the step's own."""


def spelled_out(verb: Verb, data: Any, zone: str, place: str) -> Any:
    """Return the data of a verb with its instants in full, and last days as the ends that they mean."""
    if isinstance(data, list):
        return [spelled_out(verb, each, zone, f"{place}[{number}]") for number, each in enumerate(data)]
    if not isinstance(data, dict):
        return data
    full: dict[str, Any] = {}
    for name, value in data.items():
        inner = f"{place}.{name}"
        if name in INSTANTS and isinstance(value, str):
            full[name] = moment(value, zone, inner).isoformat()
        elif name == "benefit" and verb.kind is marks.Give:
            full[name] = benefit(value)
        elif name == "through" and verb.through is not None:
            not_both(data, verb.through, inner)
            full[verb.through] = end_of_day(value, zone, inner).isoformat()
        else:
            full[name] = spelled_out(verb, value, zone, inner)
    return full
