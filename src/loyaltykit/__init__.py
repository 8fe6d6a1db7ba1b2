"""Loyalty logic as a library: facts in, decisions out.

Every public name is imported from here. A name's module loads when the name is first used, so ``import loyaltykit``
costs next to nothing, and a program that needs only the ledger never loads the rest.

>>> from loyaltykit import cash
>>> cash("35.21").amount
Decimal('35.21')
"""

import sys

__version__ = "0.1.0.dev0"

# Type checkers and editors take this for true; importing it from typing would cost more than all else here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from loyaltykit.errors import (
        HoldExpired as HoldExpired,
        InputError as InputError,
        InsufficientPoints as InsufficientPoints,
        KeyReused as KeyReused,
        LoyaltyError as LoyaltyError,
        OutcomeUnknown as OutcomeUnknown,
        RefundTooLarge as RefundTooLarge,
        Refused as Refused,
        StaleVersion as StaleVersion,
        StoreBusy as StoreBusy,
        StoreError as StoreError,
        StoreForked as StoreForked,
        StoreFull as StoreFull,
        StoreReadOnly as StoreReadOnly,
        StoreUnusable as StoreUnusable,
        UnknownMember as UnknownMember,
        WrongCurrency as WrongCurrency,
    )
    from loyaltykit.facts import (
        Activity as Activity,
        Fact as Fact,
        Line as Line,
        Member as Member,
        Order as Order,
        Refund as Refund,
        Reversal as Reversal,
        Tender as Tender,
        cash as cash,
        gift_card as gift_card,
        points as points,
    )

# Where each public name is defined. A new name goes here and into the block above; a test holds the two together.
_HOME = {
    "Activity": "facts",
    "Fact": "facts",
    "HoldExpired": "errors",
    "InputError": "errors",
    "InsufficientPoints": "errors",
    "KeyReused": "errors",
    "Line": "facts",
    "LoyaltyError": "errors",
    "Member": "facts",
    "Order": "facts",
    "OutcomeUnknown": "errors",
    "Refund": "facts",
    "RefundTooLarge": "errors",
    "Refused": "errors",
    "Reversal": "facts",
    "StaleVersion": "errors",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "StoreForked": "errors",
    "StoreFull": "errors",
    "StoreReadOnly": "errors",
    "StoreUnusable": "errors",
    "Tender": "facts",
    "UnknownMember": "errors",
    "WrongCurrency": "errors",
    "cash": "facts",
    "gift_card": "facts",
    "points": "facts",
}

__all__ = sorted(_HOME)


def _load(name: str) -> object:
    """Import the module that defines `name`, and keep the value so that the next use is a plain look-up."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Hidden from type checkers, which would otherwise take every misspelt name for an object.
if not TYPE_CHECKING:
    __getattr__ = _load
