"""What a shop asks of the ledger: earn, redeem, hold, capture, release, restore, claw back, adjust, open, reinstate.

A command carries a key. It is decided once, on what was recorded then: the same key again gets the first answer, and
a refusal that rests on the state of the account is remembered under its key as well. `decide` is the pure function
from a command and the books at its instant to the steps that it means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import attrs

from loyaltykit.books import RANK_COMMAND, Books, More, Step
from loyaltykit.calendar import to_us
from loyaltykit.errors import HoldExpired, InputError, InsufficientPoints, Refused
from loyaltykit.facts import order_key
from loyaltykit.fields import count, moment, optional, several, words
from loyaltykit.journal import NEVER, Context, Need, Record, stem
from loyaltykit.merges import note_of, prefix_of
from loyaltykit.steps import awarded

Shortfall = Literal["debt", "clamp", "clamp_keep_receivable"]


@attrs.frozen
class Command:
    """What every command has: the member, its own key, the instant, and who asks for it and why."""

    member: str = attrs.field(converter=words("member"))
    key: str = attrs.field(converter=words("key"), kw_only=True)
    at: datetime = attrs.field(converter=moment("at"), kw_only=True)
    actor: str | None = attrs.field(default=None, converter=optional(words("actor")), kw_only=True)
    reason: str | None = attrs.field(default=None, converter=optional(words("reason")), kw_only=True)


@attrs.frozen
class Earn(Command):
    """Give points by hand, outside any rule. Dates left out are those of the unit's validity and activation."""

    points: int = attrs.field(converter=count("points", 1))
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)
    active_at: datetime | None = attrs.field(default=None, converter=optional(moment("active_at")), kw_only=True)
    expires_at: datetime | None = attrs.field(default=None, converter=optional(moment("expires_at")), kw_only=True)


@attrs.frozen
class Adjust(Command):
    """Correct a balance up or down by hand, with a reason and an actor. It is no activity of the member."""

    points: int = attrs.field(converter=count("points", -(2**63 - 1)))
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)
    expires_at: datetime | None = attrs.field(default=None, converter=optional(moment("expires_at")), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.points:
            raise InputError("points", self.points, "give a positive or negative number")
        if self.reason is None:
            raise InputError("reason", None, "say why the balance is adjusted")
        if self.actor is None:
            raise InputError("actor", None, "say who adjusts the balance")


@attrs.frozen
class Opened:
    """One lot that a member brings along from an older system."""

    points: int = attrs.field(converter=count("points", 1))
    earned_at: datetime = attrs.field(converter=moment("earned_at"))
    expires_at: datetime | None = attrs.field(default=None, converter=optional(moment("expires_at")))
    active_at: datetime | None = attrs.field(default=None, converter=optional(moment("active_at")))


@attrs.frozen
class Open(Command):
    """Take over a balance from an older system, lot by lot, each with its own dates."""

    lots: tuple[Opened, ...] = attrs.field(converter=several("lots", Opened, "give Opened values"))
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)


@attrs.frozen
class Redeem(Command):
    """Spend points, soonest expiring first. `order` and `reward` say what for."""

    points: int = attrs.field(converter=count("points", 1))
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)
    order: str | None = attrs.field(default=None, converter=optional(words("order")), kw_only=True)
    reward: str | None = attrs.field(default=None, converter=optional(words("reward")), kw_only=True)


@attrs.frozen
class Transfer(Command):
    """Send points to another member; every lot keeps its dates."""

    to: str = attrs.field(converter=words("to"))
    points: int = attrs.field(converter=count("points", 1))
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.to == self.member:
            raise InputError("to", self.to, "give another member than the sender")


@attrs.frozen
class Hold(Command):
    """Set points aside until they are captured or released, at the latest until the instant `until`."""

    points: int = attrs.field(converter=count("points", 1))
    until: datetime = attrs.field(converter=moment("until"), kw_only=True)
    unit: str = attrs.field(default="points", converter=words("unit"), kw_only=True)
    order: str | None = attrs.field(default=None, converter=optional(words("order")), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.until <= self.at:
            raise InputError("until", self.until, f"after the hold begins, {self.at}")


@attrs.frozen
class Capture(Command):
    """Spend what a hold set aside, or `points` of it; the rest goes back to its lots."""

    hold: str = attrs.field(converter=words("hold"))
    points: int | None = attrs.field(default=None, converter=optional(count("points", 1)), kw_only=True)


@attrs.frozen
class Release(Command):
    """Let a hold go. Of a hold that has ended already, nothing."""

    hold: str = attrs.field(converter=words("hold"))


@attrs.frozen
class Restore(Command):
    """Give back points that were redeemed under the key `of`, to the lots that they came from."""

    of: str = attrs.field(converter=words("of"))
    points: int | None = attrs.field(default=None, converter=optional(count("points", 1)), kw_only=True)


@attrs.frozen
class ClawBack(Command):
    """Take back points that were given by hand under the key `of`: at most what still stands of them."""

    of: str = attrs.field(converter=words("of"))
    points: int | None = attrs.field(default=None, converter=optional(count("points", 1)), kw_only=True)


@attrs.frozen
class Reinstate(Command):
    """Undo the expiry of a lot, in the same lot, which then lives until `expires_at`."""

    lot: str = attrs.field(converter=words("lot"))
    expires_at: datetime | None = attrs.field(default=None, converter=optional(moment("expires_at")), kw_only=True)


# ---------------------------------------------------------------- deciding


@attrs.frozen
class Terms:
    """What the program says about one unit, as far as the ledger asks: policies, and dates at an instant."""

    shortfall: Shortfall = "debt"
    hold: Literal["pinned", "unpinned"] = "pinned"
    restore: Literal["strict", "off"] | Any = "strict"  # or a Period of grace, by way of `grace_until`
    dates: Callable[[datetime], tuple[int, int]] = lambda at: (to_us(at), NEVER)
    lapse_at: Callable[[datetime], int | None] = lambda at: None
    grace_until: Callable[[datetime], int] = lambda at: 0


class View(NamedTuple):
    """What a decision sees: the books at the command's instant, what was loaded, and the terms of each unit."""

    books: Books
    context: Context
    need: Need
    terms: Callable[[str], Terms]
    end: Books | None = None  # the books at the head, where that is later than the instant of the command
    late: bool = False  # later records exist that nothing depends on, and the books are those of the head

    @property
    def usable(self) -> Mapping[str, int] | None:
        """What later records leave of each lot; None if there are none. What expired since could still be used."""
        if self.end is None:
            return None
        end = self.end.lots
        return {
            name: max(0, end[name].active + end[name].expired - lot.expired) for name, lot in self.books.lots.items()
        }

    def resolved(self, hold: str) -> bool:
        """Say whether a hold was captured or released, now or by what was recorded of later."""
        ended = "hold:" + hold
        if any(record.ref == ended and record.status == "applied" for record in self.records.values()):
            return True
        return self.end is not None and self.end.value("spent", hold) is not None

    @property
    def records(self) -> Mapping[str, Record]:
        """The records that were loaded, by key."""
        return self.context.records

    @property
    def known(self) -> bool:
        """Whether anything was recorded of the member before."""
        return self.context.head is not None

    @property
    def closed(self) -> bool:
        """Whether the member was merged into another one."""
        return self.context.head is not None and self.context.head.status == "closed"

    def saw(self, item: tuple[str, str]) -> bool:
        """Say whether an item was loaded, so that its absence means that there is none."""
        return self.need.everything or item in self.need.items or item in self.books.items


class Draft(NamedTuple):
    """A decision before it is recorded."""

    steps: list[Step]
    outcome: dict[str, Any]
    status: str = "applied"
    ref: str | None = None
    head: tuple[str, str] | None = None  # the account's new status and note, where they change
    anew: bool = False  # fold the books anew from all records
    award: Any = None  # the award that an order or activity was given, for the receipt


def record_key(key: str) -> str:
    """Return the key under which a command's record is kept, apart from those of facts."""
    return "key:" + key


def source_of(command: Command) -> str:
    """Return the key of the record of `command`."""
    return record_key(command.key)


def refused(reason: str, message: str, **numbers: int) -> Draft:
    """Return a refusal that is remembered under its key."""
    return Draft([], {"refused": reason, "message": message, **numbers}, "refused")


def raise_refusal(outcome: Mapping[str, Any], result: Any = None) -> None:
    """Raise the error that a remembered refusal stands for, if it is one."""
    reason = outcome.get("refused")
    if reason is None:
        return
    if reason == "insufficient_points":
        raise InsufficientPoints(reason, outcome["message"], result, outcome["needed"], outcome["available"])
    if reason == "hold_expired":
        raise HoldExpired(reason, outcome["message"], result)
    raise Refused(reason, outcome["message"], result)


def available(view: View, unit: str) -> int:
    """Return what a command may spend: active minus debt, and no more than later commands have left."""
    row = view.books.unit(unit)
    usable = view.usable
    if view.end is None or usable is None:
        return row.active - row.debt
    lots = [lot for lot in view.books.lots.values() if lot.unit == unit]
    gone = sum(view.end.lots[lot.lot].expired - lot.expired for lot in lots)
    left = max(0, view.end.unit(unit).active + gone)
    return min(row.active, left, sum(min(lot.active, usable[lot.lot]) for lot in lots)) - row.debt


def _spend(command: Redeem | Hold | Transfer, view: View) -> Draft | list[tuple[str, int]]:
    """Choose the lots for a spending command, or refuse it."""
    if view.late:
        return _spend_late(command, view)
    have = available(view, command.unit)
    if command.points > have:
        return refused(
            "insufficient_points",
            f"{command.points} {command.unit} are needed and {have} are available: {command.points - have} too few",
            needed=command.points,
            available=have,
        )
    return view.books.choose(command.unit, command.points, to_us(command.at), view.usable)


def _spend_late(command: Redeem | Hold | Transfer, view: View) -> list[tuple[str, int]]:
    """Choose the lots for a command that comes a little late, if what it needs is there now as it was then."""
    row = view.books.unit(command.unit)
    chosen = view.books.choose(command.unit, command.points, to_us(command.at))
    if row.debt or row.receivable or row.reserved or sum(quantity for _, quantity in chosen) < command.points:
        raise More(everything=True)
    return chosen


def _steps(command: Command, *steps: list[Any]) -> list[Step]:
    """Complete steps with the instant, rank and source of a command, and with its reason and actor."""
    at, source = to_us(command.at), source_of(command)
    notes = [["note", command.reason, command.actor]] if command.reason or command.actor else []
    return [[at, RANK_COMMAND, source, *step] for step in (*notes, *steps)]


def _lapse(command: Command, unit: str, terms: Terms) -> list[list[Any]]:
    lapse_at = terms.lapse_at(command.at)
    return [] if lapse_at is None else [["lapse", unit, lapse_at]]


def _earn(command: Earn, view: View) -> Draft:
    terms, at, lot = view.terms(command.unit), to_us(command.at), stem(source_of(command))
    active_at, expires_at = terms.dates(command.at)
    if command.active_at is not None:
        active_at = to_us(command.active_at)
    if command.expires_at is not None:
        expires_at = to_us(command.expires_at)
    award = ["award", lot, command.unit, command.points, at, active_at, expires_at, terms.shortfall]
    return Draft(_steps(command, *_lapse(command, command.unit, terms), award), {"points": command.points})


def _adjust(command: Adjust, view: View) -> Draft:
    at, source = to_us(command.at), source_of(command)
    terms = view.terms(command.unit)
    if command.points > 0:
        expires_at = terms.dates(command.at)[1] if command.expires_at is None else to_us(command.expires_at)
        lot = [stem(source), command.unit, command.points, at, at, expires_at]
        return Draft(_steps(command, ["credit", "adjust_up", [lot]]), {"points": command.points})
    have = max(available(view, command.unit), 0)
    chosen = view.books.choose(command.unit, min(-command.points, have), at, view.usable)
    missing = -command.points - sum(quantity for _, quantity in chosen)
    if missing and terms.shortfall == "debt":
        chosen.append(("", missing))
    taken = sum(quantity for _, quantity in chosen)
    step = ["redeem", source, command.unit, "adjust_down", [list(use) for use in chosen], terms.shortfall]
    return Draft(_steps(command, step), {"points": -taken, "shortfall": -command.points - taken})


def _open(command: Open, view: View) -> Draft:
    source = source_of(command)
    lots = []
    for number, lot in enumerate(command.lots, 1):
        earned_at = to_us(lot.earned_at)
        active_at = earned_at if lot.active_at is None else to_us(lot.active_at)
        expires_at = NEVER if lot.expires_at is None else to_us(lot.expires_at)
        lots.append([f"{stem(source)}#{number}", command.unit, lot.points, earned_at, active_at, expires_at])
    return Draft(_steps(command, ["credit", "transfer_in", lots]), {"points": sum(lot.points for lot in command.lots)})


def _redeem(command: Redeem, view: View) -> Draft:
    if view.books.value("spent", command.key) is not None:
        raise InputError("key", command.key, "an order has spent points under this key; give the redemption another")
    chosen = _spend(command, view)
    if isinstance(chosen, Draft):
        return chosen
    terms = view.terms(command.unit)
    uses = [list(use) for use in chosen]
    steps = _steps(
        command,
        *_lapse(command, command.unit, terms),
        ["redeem", command.key, command.unit, "redeem", uses, terms.shortfall],
    )
    return Draft(steps, {"points": -command.points}, ref=command.order and order_key(command.order))


def _transfer(command: Transfer, view: View) -> Draft:
    chosen = _spend(command, view)
    if isinstance(chosen, Draft):
        return chosen
    uses = [list(use) for use in chosen]
    step = ["redeem", command.key, command.unit, "transfer_out", uses, view.terms(command.unit).shortfall]
    return Draft(_steps(command, step), {"points": -command.points})


def _hold(command: Hold, view: View) -> Draft:
    chosen = _spend(command, view)
    if isinstance(chosen, Draft):
        return chosen
    pinned = [list(use) for use in chosen] if view.terms(command.unit).hold == "pinned" else None
    step = ["hold", command.key, command.unit, to_us(command.until), pinned, command.points]
    return Draft(
        _steps(command, step),
        {"held": command.points, "until": to_us(command.until), "unit": command.unit},
        ref=command.order and order_key(command.order),
    )


def _held(name: str, view: View) -> Record:
    record = view.records.get(record_key(name))
    if record is None or record.kind != "hold" or record.status != "applied":
        raise InputError("hold", name, "no hold was made under this key")
    return record


def _capture(command: Capture, view: View) -> Draft:
    held = int(json.loads(_held(command.hold, view).outcome)["held"])
    if view.resolved(command.hold):
        return refused("hold_ended", f"the hold {command.hold} was captured or released before")
    value = view.books.value("hold", command.hold)
    if value is None:
        return refused("hold_expired", f"the hold {command.hold} ended before {command.at.isoformat()}")
    unit, amount, pinned = value
    points = held if command.points is None else command.points
    if points > held:
        raise InputError("points", points, f"the hold {command.hold} is of {held}; capture at most that")
    terms, row = view.terms(unit), view.books.unit(unit)
    # What expired under an unpinned hold, or was learnt to have been spent before, other points make up.
    have = amount + (row.active - row.debt if pinned is None else max(0, row.active - row.debt))
    if view.end is not None and view.end.value("hold", command.hold) is None:  # it has ended since
        have = min(have, _since(view, unit, pinned))
    if points > have:
        return refused(
            "insufficient_points", f"{points} {unit} are needed and {have} are available", needed=points,
            available=have,
        )  # fmt: skip
    steps = _steps(command, *_lapse(command, unit, terms), ["capture", command.hold, points, terms.shortfall])
    return Draft(steps, {"points": -points, "released": max(0, amount - points)}, ref="hold:" + command.hold)


def _since(view: View, unit: str, pinned: list[list[Any]] | None) -> int:
    """Return how much of what a hold gave back when it ended has not been used since."""
    usable, end = view.usable, view.end
    if usable is None or end is None:
        return NEVER
    if pinned is not None:
        return sum(min(quantity, usable[name]) for name, quantity in pinned)
    gone = sum(end.lots[lot.lot].expired - lot.expired for lot in view.books.lots.values() if lot.unit == unit)
    return max(0, end.unit(unit).active + gone)


def _release(command: Release, view: View) -> Draft:
    _held(command.hold, view)
    value = view.books.value("hold", command.hold)
    if value is None or view.resolved(command.hold):
        return Draft([], {"released": 0})
    return Draft(_steps(command, ["release", command.hold]), {"released": value[1]}, ref="hold:" + command.hold)


def _restore(command: Restore, view: View) -> Draft:
    # A redemption of somebody who was merged into the member came here with their lots.
    note = note_of(view.context.head)
    names = [prefix + command.of for prefix in ("", *(prefix_of(note, each) for each in note.get("absorbed", ())))]
    missing = tuple(("spent", name) for name in names if not view.saw(("spent", name)))
    if missing:
        raise More(items=missing)
    name = next((name for name in names if view.books.value("spent", name) is not None), None)
    if name is None:
        raise InputError("of", command.of, "nothing was redeemed under this key")
    unit, outstanding, *_ = view.books.value("spent", name)
    spent = sum(quantity for _, quantity in outstanding)
    if view.end is not None:  # and was not given back later
        spent = min(spent, sum(quantity for _, quantity in view.end.value("spent", name)[1]))
    points = min(spent, spent if command.points is None else command.points)
    terms = view.terms(unit)
    step = ["restored", name, points, terms.shortfall, terms.grace_until(command.at)]
    return Draft(_steps(command, step) if points else [], {"points": points})


def _claw_back(command: ClawBack, view: View) -> Draft:
    lot = view.books.lots.get(stem(record_key(command.of)))
    if lot is None:
        raise InputError("of", command.of, "nothing was earned under this key; an order's points go back by a Refund")
    stands = awarded(lot)
    if view.end is not None:  # and was not taken back later
        stands = min(stands, awarded(view.end.lots[lot.lot]))
    points = min(stands, stands if command.points is None else command.points)
    terms = view.terms(lot.unit)
    step = ["taken", lot.lot, points, terms.shortfall]
    return Draft(_steps(command, step) if points else [], {"points": -points})


def _reinstate(command: Reinstate, view: View) -> Draft:
    lot = view.books.lots.get(command.lot)
    if lot is None or not lot.expired:
        raise InputError("lot", command.lot, "no lot of this name has expired")
    expires_at = view.terms(lot.unit).dates(command.at)[1] if command.expires_at is None else to_us(command.expires_at)
    points = lot.expired - lot.excused
    return Draft(_steps(command, ["reinstate", lot.lot, points, expires_at]), {"points": points})


DECIDE: Mapping[type[Command], Callable[[Any, View], Draft]] = {
    Earn: _earn, Adjust: _adjust, Open: _open, Redeem: _redeem, Transfer: _transfer, Hold: _hold, Capture: _capture,
    Release: _release, Restore: _restore, ClawBack: _claw_back, Reinstate: _reinstate,
}  # fmt: skip


def decide(command: Command, view: View) -> Draft:
    """Decide a command on the books at its instant: the steps that it means, or a refusal with its reason."""
    return DECIDE[type(command)](command, view)
