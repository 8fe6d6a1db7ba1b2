"""Lists of e-mail addresses imported from elsewhere, and lists of members handed on to e-mail and ad services.

What `loyaltykit.addresses` has read of an export becomes a `StaticList` with `import_list`; `reimport` replaces or
merges, as it is told. Whoever unsubscribed stays suppressed, whatever is imported later. Addresses of nobody known are
kept, and linked to a member once there is one.

The other way, `hand_over` says which rows to add to a service and which to remove, so that it has exactly the members
that it should, of those who agreed; `audience` gives an ad service hashes only. Nothing is sent from here: the host
does that, and says with `acknowledged` what arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import attrs

from loyaltykit import fields
from loyaltykit.addresses import Batch, address, hashed, parsed, shown
from loyaltykit.calendar import to_us
from loyaltykit.errors import InputError
from loyaltykit.fields import text, texts

How = Literal["replace", "merge"]

_PAIRS = "give a mapping, or pairs, of addresses and members"
_TWO = "is the address of two members; say whose it is"

# ---------------------------------------------------------------- a list from elsewhere


def _addresses(field: str) -> Any:
    def convert(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = (value,)
        elif not isinstance(value, Iterable):
            raise InputError(field, value, "give an address, or several")
        return tuple(sorted({address(each, field) for each in value}))

    return convert


def _links(value: Any) -> tuple[tuple[str, str], ...]:
    field = "static_list.links"
    found: dict[str, str] = {}
    if not isinstance(value, Iterable):
        raise InputError(field, value, _PAIRS)
    for pair in value.items() if isinstance(value, Mapping) else value:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(field, pair, _PAIRS)
        known, member = address(pair[0], field), text(pair[1], field)
        if found.setdefault(known, member) != member:
            raise InputError(field, shown(pair[0]), _TWO)
    return tuple(sorted(found.items()))


def _names(field: str) -> Any:
    return lambda value: tuple(sorted(set(texts(field)(value))))


@attrs.frozen
class StaticList:
    """A list of addresses, sorted, with where it came from and when it was imported last.

    `suppressed` are the addresses that unsubscribed, on the list now or not; `links` are (address, member) pairs for
    those that are known. Make one with `import_list`.
    """

    name: str = attrs.field(converter=fields.named("static_list.name"))
    addresses: tuple[str, ...] = attrs.field(converter=_addresses("static_list.addresses"))
    source: str = attrs.field(converter=fields.words("static_list.source"))
    imported_at: datetime = attrs.field(converter=fields.moment("static_list.imported_at"), eq=to_us)
    suppressed: tuple[str, ...] = attrs.field(default=(), converter=_addresses("static_list.suppressed"), kw_only=True)
    links: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_links, kw_only=True)

    @property
    def active(self) -> tuple[str, ...]:
        """The addresses that may be written to, sorted: all but those that unsubscribed."""
        out = set(self.suppressed)
        return tuple(each for each in self.addresses if each not in out)

    @property
    def members(self) -> tuple[str, ...]:
        """The ids of the members among the active addresses, sorted."""
        active = set(self.active)
        return tuple(sorted({member for each, member in self.links if each in active}))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The active addresses that are linked to no member yet, sorted."""
        known = {each for each, _ in self.links}
        return tuple(each for each in self.active if each not in known)

    def __str__(self) -> str:
        return f"{self.name}: {len(self.active):,} addresses from {self.source}, {self.imported_at:%Y-%m-%d}"


def import_list(name: str, batch: Batch, source: str, at: datetime, suppressed: Iterable[str] = ()) -> StaticList:
    """Make a list of what was read, at the instant `at`; `suppressed` are addresses that unsubscribed elsewhere.

    >>> from datetime import UTC
    >>> from loyaltykit.addresses import read_text
    >>> start, batch = datetime(2026, 3, 2, tzinfo=UTC), read_text("ana@example.com, bo@example.com")
    >>> vips = import_list("vips", batch, "crm", start)
    >>> link(suppress(vips, "bo@example.com"), {"Ana@example.com": "ana"}).members
    ('ana',)
    """
    return StaticList(name, batch.accepted, source, at, suppressed=suppressed)


def reimport(old: StaticList, batch: Batch, how: How, source: str, at: datetime) -> StaticList:
    """Import a list again: ``replace`` what it had, or ``merge`` the new addresses with it.

    Suppressed addresses stay suppressed, also where they are on the new export. Links stay with their addresses.

    >>> from datetime import UTC
    >>> from loyaltykit.addresses import read_text
    >>> start = datetime(2026, 3, 2, tzinfo=UTC)
    >>> old = import_list("vips", read_text("ana@example.com"), "crm", start, suppressed=["cy@example.com"])
    >>> reimport(old, read_text("bo@example.com, cy@example.com"), "merge", "shop", start).active
    ('ana@example.com', 'bo@example.com')
    >>> reimport(old, read_text("bo@example.com, cy@example.com"), "replace", "shop", start).active
    ('bo@example.com',)
    """
    if how not in get_args(How):
        raise InputError("how", how, "choose one of replace, merge")
    kept = set(batch.accepted) | set(old.addresses if how == "merge" else ())
    links = tuple(pair for pair in old.links if pair[0] in kept)
    return attrs.evolve(old, addresses=kept, source=source, imported_at=at, links=links)


def suppress(old: StaticList, addresses: str | Iterable[str]) -> StaticList:
    """Note that addresses unsubscribed: they stay out whatever is imported, until `readmit` is told of them."""
    return attrs.evolve(old, suppressed={*old.suppressed, *_addresses("addresses")(addresses)})


def readmit(old: StaticList, addresses: str | Iterable[str]) -> StaticList:
    """Note that addresses that unsubscribed have subscribed again by themselves."""
    return attrs.evolve(old, suppressed=set(old.suppressed) - set(_addresses("addresses")(addresses)))


def link(old: StaticList, members: Mapping[str, str]) -> StaticList:
    """Link addresses of the list to members; a new link of an address replaces its old one.

    `members` may know more addresses than the list has, malformed ones too: they are passed over. Raises `InputError`
    where one address, as it is compared, belongs to two members.
    """
    listed = set(old.addresses)
    found: dict[str, str] = {}
    for given, member in members.items():
        known, wrong = parsed(given)
        if wrong or known not in listed:
            continue
        if found.setdefault(known, member) != member:
            raise InputError("members", shown(given), _TWO)
    return attrs.evolve(old, links={**dict(old.links), **found})


# ---------------------------------------------------------------- handing on members


@attrs.frozen
class Destination:
    """What a service is known to have: the `members`, sorted, that were added there and not removed since.

    `unsure` are those of whom it is not known, because rows were sent and no answer came. The host keeps one such
    value for each service and list, by its `name`.
    """

    name: str = attrs.field(converter=fields.named("destination.name"))
    members: tuple[str, ...] = attrs.field(default=(), converter=_names("destination.members"))
    unsure: tuple[str, ...] = attrs.field(default=(), converter=_names("destination.unsure"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        both = sorted(set(self.members) & set(self.unsure))
        if both:
            raise InputError("destination.unsure", both[0], "is among the members; name it in one of the two")


@attrs.frozen
class HandOver:
    """The rows to add to a destination and to remove from it, sorted; `empty` when it has what it should."""

    destination: str = attrs.field(converter=fields.named("hand_over.destination"))
    add: tuple[str, ...] = attrs.field(default=(), converter=_names("hand_over.add"))
    remove: tuple[str, ...] = attrs.field(default=(), converter=_names("hand_over.remove"))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.add and not self.remove

    def __str__(self) -> str:
        return f"{self.destination}: {len(self.add):,} to add, {len(self.remove):,} to remove"


def hand_over(old: Destination, members: Iterable[str], consenting: Iterable[str]) -> HandOver:
    """Return what to add to a service and to remove from it, for it to have those of `members` who have consented.

    `consenting` are those who agree now: ``loyaltykit.consent.consenting(log, "newsletter", at)``. Whoever withdrew is
    removed, member of the segment or not. Rows of an unsure outcome are sent again; a service takes them twice.

    >>> rows = hand_over(Destination("mailing", ["ana", "bo"]), ["bo", "cy", "di"], ["ana", "bo", "cy"])
    >>> rows.add, rows.remove
    (('cy',), ('ana',))
    """
    wanted = set(texts("members")(members)) & set(texts("consenting")(consenting))
    there = set(old.members)
    return HandOver(old.name, wanted - there, (there | set(old.unsure)) - wanted)


def sent(old: Destination, rows: HandOver) -> Destination:
    """Note, before sending, that rows are on their way: until they are acknowledged nobody is sure of them.

    A service that is told and whose answer is lost has the rows, or has not. Without this note, somebody who was added
    and withdraws meanwhile would stay there.
    """
    touched = _touched(old, rows)
    return attrs.evolve(old, members=set(old.members) - touched, unsure=set(old.unsure) | touched)


def acknowledged(old: Destination, rows: HandOver, failed: Iterable[str] = ()) -> Destination:
    """Note that a service took the rows, all but `failed`; without this call, nothing has changed there.

    >>> old = Destination("mailing", ["ana", "bo"])
    >>> new = acknowledged(old, hand_over(old, ["bo", "cy"], ["bo", "cy"]))
    >>> new.members, hand_over(new, ["bo", "cy"], ["bo", "cy"]).empty
    (('bo', 'cy'), True)
    """
    done = _touched(old, rows) - set(texts("failed")(failed))
    members = (set(old.members) - done) | (set(rows.add) & done)
    return attrs.evolve(old, members=members, unsure=set(old.unsure) - done)


def _touched(old: Destination, rows: HandOver) -> set[str]:
    if rows.destination != old.name:
        raise InputError("hand_over.destination", rows.destination, f"these rows are not for {old.name}")
    return {*rows.add, *rows.remove}


def audience(members: Iterable[str], emails: Mapping[str, str], consenting: Iterable[str]) -> tuple[str, ...]:
    """Return the hashes, sorted, of the addresses of those members who have consented, for an ad service to match.

    `emails` has the address of each member, `consenting` are those who agree now, as in
    ``loyaltykit.consent.consenting(log, "ads", at)``. Without an address, or with a malformed one, a member is left
    out. No address stands in what comes back. Every export is the whole audience: whoever withdrew is gone from the
    next one, and the host takes what is gone out of the service.

    >>> rows = audience(["ann", "bo"], {"ann": " Ana@Example.com", "bo": "bo@example.com"}, ["ann", "cy"])
    >>> rows == (hashed("ana@example.com"),)
    True
    """
    chosen = set(texts("members")(members)) & set(texts("consenting")(consenting))
    known = (emails[member] for member in chosen if member in emails)
    return tuple(sorted({hashed(each) for each in known if not parsed(each)[1]}))
