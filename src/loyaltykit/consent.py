"""Who agreed to what: an append-only register by purpose and channel, whose answer is no until somebody says yes.

A **purpose** (``spotlight``, ``ads``) may have a **channel** (``social``, ``newsletter``), written together as
``spotlight:social``. Each pair is asked and answered by itself: a yes to ``spotlight:website`` is none to
``spotlight:social``, nor to ``spotlight`` as a whole. Names are compared without regard to case and outer spaces, so
that a withdrawal never misses what it withdraws.

The register is a log of `Consent` entries that is only ever added to, in any order and any number of times. At an
instant the last entry at or before it counts; of two at the same instant, the refusal. Ask again, with `permitted`,
when a decision is about to be carried out: somebody may have said no since it was made.

Messages that need no consent, such as the news that an order was sent, are the host's matter and are not asked about
here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from loyaltykit import fields
from loyaltykit.calendar import instant, to_us
from loyaltykit.errors import InputError
from loyaltykit.facts import Fact
from loyaltykit.fields import optional, text
from loyaltykit.grants import Decision

_Key = tuple[str, str | None]


# ---------------------------------------------------------------- entries


def _folded(value: Any, field: str) -> str:
    folded = text(value, field).strip().casefold()
    if not folded:
        raise InputError(field, value, "give a name, as in 'spotlight'")
    return folded


def _key(purpose: Any, channel: Any) -> _Key:
    """Take a purpose and a channel, or both in one as ``purpose:channel``, as they are compared."""
    text(purpose, "consent.purpose")
    name, colon, rest = purpose.partition(":")
    if colon and channel is not None:
        raise InputError("consent.channel", channel, f"the purpose names a channel already, {rest!r}; give it once")
    said = rest if colon else channel
    if isinstance(said, str) and ":" in said:
        raise InputError("consent.purpose" if colon else "consent.channel", said, "a channel has no ':'")
    return _folded(name, "consent.purpose"), None if said is None else _folded(said, "consent.channel")


@attrs.frozen
class Consent:
    """What a member said about a purpose, from the instant `at` on: yes (`given`) or no.

    The channel is part of the purpose (``"spotlight:social"``) or given as `channel`. `source` says where it was said,
    for whoever has to prove it. Write one with `agreed` or `withdrawn`.

    >>> from datetime import UTC
    >>> print(Consent("ann", "spotlight:social", True, datetime(2024, 1, 1, tzinfo=UTC), source="checkout"))
    ann agreed to spotlight:social on 2024-01-01 (checkout)
    """

    member: str = attrs.field(converter=fields.words("consent.member"))
    purpose: str = attrs.field(converter=fields.words("consent.purpose"))
    given: bool = attrs.field(converter=fields.flag("consent.given"))
    at: datetime = attrs.field(converter=fields.moment("consent.at"), eq=to_us)
    channel: str | None = attrs.field(default=None, kw_only=True)
    source: str | None = attrs.field(default=None, converter=optional(fields.words("consent.source")), kw_only=True)

    def __attrs_post_init__(self) -> None:
        purpose, channel = _key(self.purpose, self.channel)
        object.__setattr__(self, "purpose", purpose)
        object.__setattr__(self, "channel", channel)

    @property
    def topic(self) -> str:
        """Purpose and channel in one: ``spotlight:social``."""
        return self.purpose if self.channel is None else f"{self.purpose}:{self.channel}"

    def __str__(self) -> str:
        said = "agreed to" if self.given else "said no to"
        where = f" ({self.source})" if self.source is not None else ""
        return f"{self.member} {said} {self.topic} on {self.at:%Y-%m-%d}{where}"


Told = Fact | Consent
"""What may be told of a member: what happened, and what they said they agree to."""


def agreed(
    member: str, purpose: str, at: datetime, *, channel: str | None = None, source: str | None = None
) -> Consent:
    """Return the entry that a member says yes from `at` on."""
    return Consent(member, purpose, True, at, channel=channel, source=source)


def withdrawn(
    member: str, purpose: str, at: datetime, *, channel: str | None = None, source: str | None = None
) -> Consent:
    """Return the entry that a member says no from `at` on, whatever was said before."""
    return Consent(member, purpose, False, at, channel=channel, source=source)


# ---------------------------------------------------------------- answers


def consented(log: Iterable[Consent], member: str, purpose: str, at: datetime, channel: str | None = None) -> bool:
    """Say whether a member's last word about a purpose, at or before the instant `at`, is yes; no word is a no.

    >>> from datetime import UTC
    >>> log = [agreed("ann", "spotlight:social", datetime(2024, 1, 1, tzinfo=UTC)),
    ...        withdrawn("ann", "spotlight:social", datetime(2024, 3, 1, tzinfo=UTC))]
    >>> consented(log, "ann", "spotlight:social", datetime(2024, 2, 1, tzinfo=UTC))
    True
    >>> consented(log, "ann", "spotlight", datetime(2024, 3, 2, tzinfo=UTC), channel="social")
    False
    """
    word = last_word(log, member, purpose, at, channel)
    return word is not None and word.given


def last_word(
    log: Iterable[Consent], member: str, purpose: str, at: datetime, channel: str | None = None
) -> Consent | None:
    """Return the entry on which `consented` rests at the instant `at`, or None where nothing was said by then."""
    who, key = text(member, "member"), _key(purpose, channel)
    return _last((entry for entry in log if entry.member == who), at).get((who, key))


def consenting(log: Iterable[Consent], purpose: str, at: datetime, channel: str | None = None) -> tuple[str, ...]:
    """Return the ids, sorted, of all members who have consented to a purpose at an instant, in one pass.

    >>> from datetime import UTC
    >>> start = datetime(2024, 1, 1, tzinfo=UTC)
    >>> log = [agreed("cy", "ads", start), agreed("ann", "ads", start), agreed("bo", "email", start)]
    >>> consenting(log, "ads", start)
    ('ann', 'cy')
    """
    key = _key(purpose, channel)
    asked = (entry for entry in log if (entry.purpose, entry.channel) == key)
    return tuple(sorted(member for (member, _), entry in _last(asked, at).items() if entry.given))


def channels(log: Iterable[Consent], member: str, purpose: str, at: datetime) -> tuple[str, ...]:
    """Return the channels, sorted, for which a member has consented to a purpose at an instant.

    >>> from datetime import UTC
    >>> start = datetime(2024, 1, 1, tzinfo=UTC)
    >>> channels([agreed("ann", "spotlight:social", start), agreed("ann", "ads", start)], "ann", "spotlight", start)
    ('social',)
    """
    who, name = text(member, "member"), _folded(purpose, "consent.purpose")
    asked = (entry for entry in log if entry.member == who and entry.purpose == name and entry.channel is not None)
    return tuple(sorted(str(entry.channel) for entry in _last(asked, at).values() if entry.given))


def withdraw_all(
    log: Iterable[Consent], member: str, at: datetime, *, source: str | None = None
) -> tuple[Consent, ...]:
    """Return the entries that take back all to which a member has consented at an instant: add them to the log.

    >>> from datetime import UTC
    >>> log = [agreed("ann", "spotlight:social", datetime(2024, 1, 1, tzinfo=UTC))]
    >>> [str(entry) for entry in withdraw_all(log, "ann", datetime(2024, 3, 1, tzinfo=UTC))]
    ['ann said no to spotlight:social on 2024-03-01']
    """
    who = text(member, "member")
    words = _last((entry for entry in log if entry.member == who), at).values()
    topics = sorted(entry.topic for entry in words if entry.given)
    return tuple(withdrawn(who, topic, at, source=source) for topic in topics)


def permitted(
    decisions: Iterable[Decision], log: Iterable[Consent], purpose: str, at: datetime, channel: str | None = None
) -> tuple[Decision, ...]:
    """Return those of the decisions whose members have consented at the instant `at`, at which they are taken up.

    >>> from datetime import UTC
    >>> start, later = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    >>> log = [agreed("ann", "email", start), withdrawn("ann", "email", later)]
    >>> greeting = Decision("celebrate", "ann", "birthday:ann:2024", start)
    >>> len(permitted([greeting], log, "email", start)), len(permitted([greeting], log, "email", later))
    (1, 0)
    """
    willing = set(consenting(log, purpose, at, channel))
    return tuple(decision for decision in decisions if decision.member in willing)


def _last(log: Iterable[Consent], at: datetime) -> dict[tuple[str, _Key], Consent]:
    """Return the last entry of each member, purpose and channel, not after `at`; at one instant, a refusal."""
    now = to_us(instant(at))
    found: dict[tuple[str, _Key], Consent] = {}
    ranks: dict[tuple[str, _Key], tuple[int, bool]] = {}
    for entry in log:
        us = to_us(entry.at)
        if us > now:
            continue
        key = (entry.member, (entry.purpose, entry.channel))
        rank = (us, not entry.given)
        if key not in ranks or ranks[key] < rank:
            found[key], ranks[key] = entry, rank
    return found
