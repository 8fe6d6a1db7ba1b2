"""Everything that loyaltykit raises: one base, three families.

* `InputError`: the caller's mistake. Names the field, the value and the way out.
* `Refused`: the program's rules say no. Carries a machine-readable reason and the numbers behind it.
* `StoreError`: storage failed. Says whether trying again with the same key is safe.

Every error survives pickling and carries its facts as typed fields.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.define(slots=False, eq=False)
class LoyaltyError(Exception):
    """Base of every error that loyaltykit raises."""


# ---------------------------------------------------------------- the caller's mistake


@attrs.define(slots=False, eq=False)
class InputError(LoyaltyError, ValueError):
    """A value that the library cannot accept: which field, which value, and the way out."""

    field: str
    value: Any
    hint: str

    def __str__(self) -> str:
        try:
            shown = repr(self.value)
        except Exception:  # an int of thousands of digits, or a repr that fails: the message must not
            shown = f"<{type(self.value).__name__}>"
        if len(shown) > 120:
            shown = shown[:117] + "..."
        return f"{self.field}={shown}: {self.hint}"


@attrs.define(slots=False, eq=False)
class KeyReused(InputError):
    """A key that was used before came again with another payload; nothing was changed."""


@attrs.define(slots=False, eq=False)
class UnknownMember(InputError):
    """A command or a question named a member of whom nothing has been recorded."""


@attrs.define(slots=False, eq=False)
class WrongCurrency(InputError):
    """An amount in another currency than the program's."""


@attrs.define(slots=False, eq=False)
class RefundTooLarge(InputError):
    """A refund above what was paid, or above what remains of the order or line."""


# ---------------------------------------------------------------- the rules say no


@attrs.define(slots=False, eq=False)
class Refused(LoyaltyError):
    """A command that the program's rules refuse; nothing was taken.

    `reason` is machine-readable (``insufficient_points``, ``hold_expired``, ``actor_not_allowed``,
    ``below_minimum``, ``not_available``, ``out_of_stock``, ``member_closed``, ...), `message` is for people.
    """

    reason: str
    message: str
    outcome: Any = None

    def __str__(self) -> str:
        return self.message


@attrs.define(slots=False, eq=False)
class InsufficientPoints(Refused):
    """Fewer points are available than were asked for; `short` says by how many."""

    needed: int = 0
    available: int = 0

    @property
    def short(self) -> int:
        """How many points are missing."""
        return self.needed - self.available


@attrs.define(slots=False, eq=False)
class HoldExpired(Refused):
    """A hold was captured at or after the instant at which it ended by itself."""


# ---------------------------------------------------------------- storage failed


@attrs.define(slots=False, eq=False)
class StoreError(LoyaltyError):
    """Storage failed. `retry` says whether the same call with the same key may succeed later."""

    message: str
    retry: bool = False

    def __str__(self) -> str:
        return self.message


@attrs.define(slots=False, eq=False)
class StaleVersion(StoreError):
    """Another writer changed the member since it was loaded; load again and decide again."""

    retry: bool = True


@attrs.define(slots=False, eq=False)
class StoreBusy(StoreError):
    """The store stayed locked, or its conflicts did not cease, for the whole time allowed."""

    retry: bool = True


@attrs.define(slots=False, eq=False)
class StoreFull(StoreError):
    """No space is left; nothing of the change was written, and the same key works once there is space."""

    retry: bool = True


@attrs.define(slots=False, eq=False)
class StoreReadOnly(StoreError):
    """The file, its folder or its file system may not be written."""


@attrs.define(slots=False, eq=False)
class StoreUnusable(StoreError):
    """Not a store of loyaltykit, damaged, of a schema that this version cannot read, or closed."""


@attrs.define(slots=False, eq=False)
class StoreForked(StoreError):
    """A store opened before ``fork()`` was used in the child process; open a store of its own there."""


@attrs.define(slots=False, eq=False)
class OutcomeUnknown(StoreError):
    """The commit was sent and its answer lost; repeating the call with the same key is safe."""

    retry: bool = True
