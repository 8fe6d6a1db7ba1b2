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
    from loyaltykit.awards import Award as Award
    from loyaltykit.basis import Basis as Basis
    from loyaltykit.calendar import (
        Period as Period,
        days as days,
        hours as hours,
        minutes as minutes,
        months as months,
        quarters as quarters,
        weeks as weeks,
        years as years,
    )
    from loyaltykit.club import Club as Club
    from loyaltykit.commands import Opened as Opened
    from loyaltykit.decisions import (
        Expiring as Expiring,
        Explanation as Explanation,
        Page as Page,
        Receipt as Receipt,
        Standing as Standing,
        Statement as Statement,
    )
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
    from loyaltykit.ledger import (
        Account as Account,
        Balance as Balance,
        Lot as Lot,
        StatementRow as StatementRow,
    )
    from loyaltykit.matching import (
        category as category,
        channel as channel,
        code as code,
        dates as dates,
        order_total as order_total,
        sku as sku,
        tier as tier,
        time_of_day as time_of_day,
        weekday as weekday,
    )
    from loyaltykit.program import (
        Grace as Grace,
        Program as Program,
        Unit as Unit,
        explain as explain,
        grace as grace,
        lint as lint,
    )
    from loyaltykit.rewards import (
        Quote as Quote,
        available as available,
        coins as coins,
        coverage as coverage,
        quote as quote,
        reward as reward,
    )
    from loyaltykit.rules import (
        Budget as Budget,
        Cap as Cap,
        OnEvent as OnEvent,
        activity as activity,
        bonus as bonus,
        cash_back as cash_back,
        per_amount as per_amount,
        per_day as per_day,
        per_item as per_item,
        per_lifetime as per_lifetime,
        per_month as per_month,
        per_order as per_order,
        per_week as per_week,
        per_year as per_year,
        rate_table as rate_table,
    )
    from loyaltykit.stores.memory import MemoryStore as MemoryStore
    from loyaltykit.stores.sqlite import SQLiteStore as SQLiteStore
    from loyaltykit.windows import (
        anniversary_year as anniversary_year,
        between as between,
        calendar_day as calendar_day,
        calendar_half_year as calendar_half_year,
        calendar_month as calendar_month,
        calendar_quarter as calendar_quarter,
        calendar_week as calendar_week,
        calendar_year as calendar_year,
        lifetime as lifetime,
    )

# Where each public name is defined. A new name goes here and into the block above; a test holds the two together.
_HOME = {
    "Account": "ledger",
    "Activity": "facts",
    "Award": "awards",
    "Balance": "ledger",
    "Basis": "basis",
    "Budget": "rules",
    "Cap": "rules",
    "Club": "club",
    "Expiring": "decisions",
    "Explanation": "decisions",
    "Fact": "facts",
    "Grace": "program",
    "HoldExpired": "errors",
    "InputError": "errors",
    "InsufficientPoints": "errors",
    "KeyReused": "errors",
    "Line": "facts",
    "Lot": "ledger",
    "LoyaltyError": "errors",
    "Member": "facts",
    "MemoryStore": "stores.memory",
    "OnEvent": "rules",
    "Opened": "commands",
    "Order": "facts",
    "OutcomeUnknown": "errors",
    "Page": "decisions",
    "Period": "calendar",
    "Program": "program",
    "Quote": "rewards",
    "Receipt": "decisions",
    "Refund": "facts",
    "RefundTooLarge": "errors",
    "Refused": "errors",
    "Reversal": "facts",
    "SQLiteStore": "stores.sqlite",
    "StaleVersion": "errors",
    "Standing": "decisions",
    "Statement": "decisions",
    "StatementRow": "ledger",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "StoreForked": "errors",
    "StoreFull": "errors",
    "StoreReadOnly": "errors",
    "StoreUnusable": "errors",
    "Tender": "facts",
    "Unit": "program",
    "UnknownMember": "errors",
    "WrongCurrency": "errors",
    "activity": "rules",
    "anniversary_year": "windows",
    "available": "rewards",
    "between": "windows",
    "bonus": "rules",
    "calendar_day": "windows",
    "calendar_half_year": "windows",
    "calendar_month": "windows",
    "calendar_quarter": "windows",
    "calendar_week": "windows",
    "calendar_year": "windows",
    "cash": "facts",
    "cash_back": "rules",
    "category": "matching",
    "channel": "matching",
    "code": "matching",
    "coins": "rewards",
    "coverage": "rewards",
    "dates": "matching",
    "days": "calendar",
    "explain": "program",
    "gift_card": "facts",
    "grace": "program",
    "hours": "calendar",
    "lifetime": "windows",
    "lint": "program",
    "minutes": "calendar",
    "months": "calendar",
    "order_total": "matching",
    "per_amount": "rules",
    "per_day": "rules",
    "per_item": "rules",
    "per_lifetime": "rules",
    "per_month": "rules",
    "per_order": "rules",
    "per_week": "rules",
    "per_year": "rules",
    "points": "facts",
    "quarters": "calendar",
    "quote": "rewards",
    "rate_table": "rules",
    "reward": "rewards",
    "sku": "matching",
    "tier": "matching",
    "time_of_day": "matching",
    "weekday": "matching",
    "weeks": "calendar",
    "years": "calendar",
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
