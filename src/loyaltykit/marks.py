"""Commands that move no points: an invitation to a tier, a benefit given by hand, a decision that was carried out.

They are kept under their key like every command, and read again with the member's history.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from loyaltykit.calendar import optional_us, to_us
from loyaltykit.commands import Command
from loyaltykit.errors import InputError
from loyaltykit.fields import a, moment, optional, words
from loyaltykit.grants import Benefit, Grant
from loyaltykit.tiers import Invitation


@attrs.frozen
class Invite(Command):
    """Let a member hold a tier from the command's instant until `ends` (exclusive; None: without end)."""

    tier: str = attrs.field(converter=words("tier"))
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("ends")), kw_only=True)
    source: str = attrs.field(default="invitation", converter=words("source"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        _after(self.ends, self.at)

    @property
    def invitation(self) -> Invitation:
        """The invitation, as tiers count it."""
        return Invitation(self.tier, self.at, self.ends, self.source)


@attrs.frozen
class Give(Command):
    """Let a member hold a benefit from the command's instant until `ends` (exclusive; None: without end)."""

    benefit: Benefit = attrs.field(converter=a("benefit", Benefit, "give a benefit, as in free_shipping()"))
    ends: datetime | None = attrs.field(default=None, eq=optional_us, converter=optional(moment("ends")), kw_only=True)
    source: str = attrs.field(default="by hand", converter=words("source"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        _after(self.ends, self.at)

    @property
    def grant(self) -> Grant:
        """The grant that it makes."""
        return Grant(self.benefit, self.member, self.source, f"give:{self.key}", self.at, self.ends)


@attrs.frozen
class Acknowledge(Command):
    """Say that a decision, by its key, was carried out: it is due no more."""

    decision: str = attrs.field(converter=words("decision"))


Mark = Invite | Give | Acknowledge
"""The commands that only have to be known."""


def _after(ends: datetime | None, at: datetime) -> None:
    if ends is not None and to_us(ends) <= to_us(at):
        raise InputError("ends", ends, f"give an instant after the beginning, {at}")
