"""What a scenario document is made of: the classes that its JSON is read into, and its moments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args

import attrs

from loyaltykit import wire
from loyaltykit.calendar import day_start, through, zone as zone_of
from loyaltykit.errors import InputError
from loyaltykit.fields import optional

VERSION = 1
"""The version of the document form that this library reads and writes."""

MOMENT = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
"""A day, or a day and a time, or these with an offset from UTC."""

T = TypeVar("T")
Amount = int | Decimal | None
AmountOrNone = int | Decimal | Literal["none"] | None
Bucket = Literal[
    "available", "balance", "active", "pending", "held", "debt", "earned", "restored", "reinstated", "transferred_in",
    "adjusted_up", "redeemed", "expired", "clawed_back", "transferred_out", "adjusted_down", "receivable", "forgiven",
]  # fmt: skip
BUCKETS: tuple[str, ...] = get_args(Bucket)
"""What a balance is made of, as `loyaltykit.ledger.Balance` names it."""


def read(kind: type[T], data: Any, place: str) -> T:
    """Return the value of `kind` that `data` describes; an error names its place in the document."""
    try:
        return wire.from_data(kind, data)
    except InputError as error:
        error.field = re.sub(r"^\w*", lambda _: place, error.field, count=1)
        raise


# ---------------------------------------------------------------- moments


def _moment(field: str) -> Any:
    """Convert nothing, but refuse what is no moment."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(MOMENT, value):
            raise InputError(field, value, 'give a day, as in "2026-03-02", or a time on one, as in "2026-03-02 10:30"')
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise InputError(field, value, str(error)) from None
        return value

    return convert


def _end(field: str) -> Any:
    """Convert nothing, but refuse what is neither a moment nor ``never``."""
    convert = _moment(field)
    return lambda value: value if value == "never" else convert(value)


def moment(text: str, zone: str, place: str) -> datetime:
    """Return the instant that `text` names: a day is its first instant in `zone`, a time without offset is local.

    >>> moment("2026-07-06", "America/New_York", "steps[0].at").isoformat()
    '2026-07-06T04:00:00+00:00'
    """
    _moment(place)(text)
    try:
        if len(text) == 10:
            return day_start(date.fromisoformat(text), zone)
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone_of(zone))).astimezone(UTC)
    except (InputError, OverflowError):
        raise InputError(place, text, "the years run from 1 to 9999; this leaves them") from None


def end_of_day(text: Any, zone: str, place: str) -> datetime:
    """Return the end of something that lasts through the day that `text` names."""
    last = day(text, place)
    try:
        return through(last, zone)
    except InputError as error:
        raise InputError(place, text, error.hint) from None


def day(text: Any, place: str) -> date:
    """Return the day that `text` names."""
    if not isinstance(text, str) or len(text) != 10:
        raise InputError(place, text, 'give a day, as in "2026-03-02"')
    _moment(place)(text)
    return date.fromisoformat(text)


# ---------------------------------------------------------------- what is expected


@attrs.frozen
class Refusal:
    """How a step is refused: the reason, and the numbers behind it where they are given."""

    reason: str
    needed: int | None = None
    available: int | None = None
    short: int | None = None


@attrs.frozen
class Outcome:
    """What comes of a step at once: the change that it makes, or the quote or preview that it asks for.

    points: the change in the unit ``points`` (of a quote: what it takes). units: the change in each. asked: what an
    award would be without its limits. reasons: why it is less, or why a quote is refused. cash, gift_card,
    points_back: what a refund gives back to the customer. status: ``applied`` or ``waiting``. worth, needed,
    available, short: of a quote.
    """

    points: int | None = None
    units: Mapping[str, int | Decimal] | None = None
    asked: int | None = None
    reasons: tuple[str, ...] | None = None
    shortfall: int | None = None
    cash: Decimal | None = None
    gift_card: Decimal | None = None
    points_back: int | None = None
    status: str | None = None
    worth: Decimal | None = None
    needed: int | None = None
    available: int | None = None
    short: int | None = None


@attrs.frozen
class LotSeen:
    """A lot that holds something. Only what is given is compared.

    points: all that it holds. expires_at: the instant, or ``never``; through: its last day instead.
    """

    points: int | None = None
    active: int | None = None
    pending: int | None = None
    held: int | None = None
    issued: int | None = None
    earned_at: str | None = attrs.field(default=None, converter=optional(_moment("earned_at")))
    active_at: str | None = attrs.field(default=None, converter=optional(_end("active_at")))
    expires_at: str | None = attrs.field(default=None, converter=optional(_end("expires_at")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))
    id: str | None = None
    source: str | None = None


@attrs.frozen
class RowSeen:
    """A row of a statement: so many points more or fewer, and the running balance. Only what is given is compared."""

    kind: str | None = None
    points: Amount = None
    balance: Amount = None
    at: str | None = attrs.field(default=None, converter=optional(_moment("at")))
    reason: str | None = None
    booked: bool | None = None
    actor: str | None = None


@attrs.frozen
class ExpiringSeen:
    """Points that expire together, unless they are spent before."""

    points: int
    at: str | None = attrs.field(default=None, converter=optional(_moment("at")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))


# ---------------------------------------------------------------- status


@attrs.frozen
class TierSeen:
    """A standing on a ladder, the first of the program unless it is named. Only what is given is compared.

    tier, then, next: names; ``none`` where there is none. until: the instant from which the tier is another one if
    nothing more happens, or ``never``; through: its last day instead. value, to_next, to_keep: money in quotes, or
    whole numbers; ``none`` where nothing is missing.
    """

    tier: str | None = None
    ladder: str | None = None
    since: str | None = attrs.field(default=None, converter=optional(_moment("since")))
    until: str | None = attrs.field(default=None, converter=optional(_end("until")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))
    then: str | None = None
    next: str | None = None
    value: Amount = None
    to_next: AmountOrNone = None
    to_keep: AmountOrNone = None
    reason: str | None = None


@attrs.frozen
class ThresholdSeen:
    """A progress towards a threshold. Only what is given is compared.

    reached_at, revoked_at, until: instants, or ``never``; through: the last day of what is granted. order: the one that
    reached it, or ``none``. days, months, full_months: what is left of it, as `loyaltykit.thresholds.Left` counts.
    """

    granted: bool | None = None
    value: Amount = None
    target: Amount = None
    to_go: Amount = None
    reached_at: str | None = attrs.field(default=None, converter=optional(_end("reached_at")))
    revoked_at: str | None = attrs.field(default=None, converter=optional(_end("revoked_at")))
    until: str | None = attrs.field(default=None, converter=optional(_end("until")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))
    order: str | None = None
    days: int | None = None
    months: int | None = None
    full_months: int | None = None


@attrs.frozen
class CardSeen:
    """A stamp card: stamps that count, full cards, stamps on the next one, and those that it lacks."""

    stamps: int | None = None
    full: int | None = None
    left: int | None = None
    missing: int | None = None


@attrs.frozen
class BenefitSeen:
    """A benefit that is held: what, from which source (or sources, sorted), until when (``never``: no end is known)."""

    benefit: str | None = None
    source: str | tuple[str, ...] | None = None
    until: str | None = attrs.field(default=None, converter=optional(_end("until")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))


@attrs.frozen
class DueSeen:
    """A decision that is due. Only what is given is compared, of `data` only the names that are given.

    due: from when; ends: until when, exclusive, or ``never``; through: its last day instead.
    """

    kind: str | None = None
    key: str | None = None
    due: str | None = attrs.field(default=None, converter=optional(_moment("due")))
    ends: str | None = attrs.field(default=None, converter=optional(_end("ends")))
    through: str | None = attrs.field(default=None, converter=optional(_moment("through")))
    benefit: str | None = None
    data: Mapping[str, str] | None = None


# ---------------------------------------------------------------- members and totals


@attrs.frozen
class LiabilitySeen:
    """What the points are worth on the books, as `loyaltykit.liability` counts it. Only what is given is compared.

    expected: the share of the points that will be redeemed, all unless given. reserve: what the outstanding points will
    cost. Of what was paid for goods, deferred: for the points given with them; goods: the rest, revenue at once. Of the
    deferred, recognised: revenue from the points redeemed so far; left: not yet.
    """

    expected: Decimal = Decimal(1)
    reserve: Decimal | None = None
    deferred: Decimal | None = None
    goods: Decimal | None = None
    recognised: Decimal | None = None
    left: Decimal | None = None


@attrs.frozen
class Total:
    """The sums over the whole ledger. A money unit's amounts in quotes are money, others minor units.

    liability: what the outstanding points are worth by the program's coins, or more of it. due: all that is to be
    carried out, member by member, for each the earliest first, by key or with more.
    """

    unit: str = "points"
    liability: LiabilitySeen | Decimal | None = None
    due: tuple[DueSeen | str, ...] | None = None
    available: Amount = None
    balance: Amount = None
    active: Amount = None
    pending: Amount = None
    held: Amount = None
    debt: Amount = None
    earned: Amount = None
    restored: Amount = None
    reinstated: Amount = None
    transferred_in: Amount = None
    adjusted_up: Amount = None
    redeemed: Amount = None
    expired: Amount = None
    clawed_back: Amount = None
    transferred_out: Amount = None
    adjusted_down: Amount = None
    receivable: Amount = None
    forgiven: Amount = None

    def buckets(self) -> dict[str, int | Decimal]:
        """Return what is expected of the balance, by name."""
        named = ((name, getattr(self, name)) for name in BUCKETS)
        return {name: value for name, value in named if value is not None}


@attrs.frozen
class Expect(Total):
    """What is seen of one member and unit at the instant of the step. Only what is given is compared.

    The numbers are those of `loyaltykit.ledger.Balance`. lots: all that hold something, in the order in which they are
    spent; a number stands for what one holds. expiring: all that will expire, soonest first. entries: all amounts of
    the kinds that are named, oldest first. statement: all rows, oldest first. known_at: by what was recorded then.

    tier: the name, or more of the standing. thresholds: by name; true is granted. segments, badges: all, in any order.
    cards: by name. benefits: all that are held, in any order, by name or with more. consented: by purpose, or
    ``purpose:channel``.
    """

    member: str | None = None
    known_at: str | None = attrs.field(default=None, converter=optional(_moment("known_at")))
    lots: tuple[LotSeen | int, ...] | None = None
    expiring: tuple[ExpiringSeen, ...] | None = None
    entries: Mapping[str, tuple[int, ...]] | None = None
    statement: tuple[RowSeen, ...] | None = None
    tier: TierSeen | str | None = None
    thresholds: Mapping[str, ThresholdSeen | bool] | None = None
    segments: tuple[str, ...] | None = None
    badges: tuple[str, ...] | None = None
    cards: Mapping[str, CardSeen] | None = None
    benefits: tuple[BenefitSeen | str, ...] | None = None
    consented: Mapping[str, bool] | None = None


# ---------------------------------------------------------------- steps and documents


@attrs.frozen
class Step:
    """What happens at an instant, what comes of it, and what is seen then.

    Besides these fields a step has at most one thing that is done: a fact, a command or a question. member: the first
    of the document unless given. tier: the member's, when an order or activity earns, if not that of the program (of
    several ladders, several). only: the variants in which the step is done, all unless given. recorded_at: when it was
    learnt, if not at once. segments: who is in them, by name, in any order.
    """

    at: str = attrs.field(converter=_moment("at"))
    member: str | None = None
    recorded_at: str | None = attrs.field(default=None, converter=optional(_moment("recorded_at")))
    tier: tuple[str, ...] | str | None = None
    only: tuple[str, ...] | str | None = None
    note: str = ""
    refused: Refusal | str | None = None
    gives: Outcome | int | None = None
    expect: Expect | int | tuple[Expect, ...] | None = None
    total: Total | int | None = None
    segments: Mapping[str, tuple[str, ...]] | None = None


@attrs.frozen
class Head:
    """The document around its program and steps.

    scenario: the version of the form. name: how reports call it; the file's name unless given. notes: what the reader
    should know, such as how an open question was decided. permute: the facts between two commands may come in any
    order, and any number of times, and nothing that is seen changes.
    """

    scenario: int
    name: str | None = None
    title: str = ""
    notes: tuple[str, ...] | str = ()
    permute: bool = False

    def __attrs_post_init__(self) -> None:
        if self.scenario != VERSION:
            raise InputError("scenario", self.scenario, f"this version of loyaltykit reads form {VERSION}")
