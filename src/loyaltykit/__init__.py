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
    from loyaltykit.access import (
        Launch as Launch,
        Request as Request,
    )
    from loyaltykit.async_club import (
        AsyncClub as AsyncClub,
    )
    from loyaltykit.awards import (
        Award as Award,
    )
    from loyaltykit.badges import (
        Badge as Badge,
        StampCard as StampCard,
    )
    from loyaltykit.basis import (
        Basis as Basis,
    )
    from loyaltykit.benefits import (
        Entitlement as Entitlement,
        ShippingFee as ShippingFee,
        exclusive as exclusive,
        shipping_fee as shipping_fee,
    )
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
    from loyaltykit.club import (
        Club as Club,
    )
    from loyaltykit.commands import (
        Opened as Opened,
    )
    from loyaltykit.conditions import (
        Condition as Condition,
        Verdict as Verdict,
        all_of as all_of,
        any_of as any_of,
    )
    from loyaltykit.consent import (
        Consent as Consent,
        agreed as agreed,
        withdrawn as withdrawn,
    )
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
    from loyaltykit.grants import (
        Benefit as Benefit,
        Decision as Decision,
        Grant as Grant,
        amount_off as amount_off,
        bonus_points as bonus_points,
        free_shipping as free_shipping,
        percent_off as percent_off,
        perk as perk,
    )
    from loyaltykit.habits import (
        active as active,
        bought as bought,
        did as did,
        first_time_buyer as first_time_buyer,
        has_not as has_not,
        lapsed as lapsed,
        never as never,
        one_time_buyer as one_time_buyer,
        prospect as prospect,
        regularly as regularly,
        repeat_buyer as repeat_buyer,
        restarted as restarted,
        reviewed as reviewed,
        stopped as stopped,
        used_code as used_code,
    )
    from loyaltykit.history import (
        History as History,
        histories as histories,
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
    from loyaltykit.measures import (
        Comparison as Comparison,
        Measure as Measure,
        activities as activities,
        balance_of as balance_of,
        categories as categories,
        codes as codes,
        days_since_first as days_since_first,
        days_since_last as days_since_last,
        earned as earned,
        orders as orders,
        periods as periods,
        products as products,
        spend as spend,
    )
    from loyaltykit.occasions import (
        AnniversaryOf as AnniversaryOf,
        Birthday as Birthday,
        OneTwoThree as OneTwoThree,
        Season as Season,
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
    from loyaltykit.segments import (
        Segment as Segment,
    )
    from loyaltykit.sources import (
        FactSource as FactSource,
    )
    from loyaltykit.status import (
        Status as Status,
        describe as describe,
    )
    from loyaltykit.stores.memory import (
        MemoryStore as MemoryStore,
    )
    from loyaltykit.stores.sqlite import (
        SQLiteStore as SQLiteStore,
    )
    from loyaltykit.thresholds import (
        Progress as Progress,
        Threshold as Threshold,
        end_of_day as end_of_day,
        end_of_month as end_of_month,
        end_of_year as end_of_year,
    )
    from loyaltykit.tiers import (
        Invitation as Invitation,
        Ladder as Ladder,
        Tier as Tier,
        TierChange as TierChange,
        TierStanding as TierStanding,
    )
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
    "AnniversaryOf": "occasions",
    "AsyncClub": "async_club",
    "Award": "awards",
    "Badge": "badges",
    "Balance": "ledger",
    "Basis": "basis",
    "Benefit": "grants",
    "Birthday": "occasions",
    "Budget": "rules",
    "Cap": "rules",
    "Club": "club",
    "Comparison": "measures",
    "Condition": "conditions",
    "Consent": "consent",
    "Decision": "grants",
    "Entitlement": "benefits",
    "Expiring": "decisions",
    "Explanation": "decisions",
    "Fact": "facts",
    "FactSource": "sources",
    "Grace": "program",
    "Grant": "grants",
    "History": "history",
    "HoldExpired": "errors",
    "InputError": "errors",
    "InsufficientPoints": "errors",
    "Invitation": "tiers",
    "KeyReused": "errors",
    "Ladder": "tiers",
    "Launch": "access",
    "Line": "facts",
    "Lot": "ledger",
    "LoyaltyError": "errors",
    "Measure": "measures",
    "Member": "facts",
    "MemoryStore": "stores.memory",
    "OnEvent": "rules",
    "OneTwoThree": "occasions",
    "Opened": "commands",
    "Order": "facts",
    "OutcomeUnknown": "errors",
    "Page": "decisions",
    "Period": "calendar",
    "Program": "program",
    "Progress": "thresholds",
    "Quote": "rewards",
    "Receipt": "decisions",
    "Refund": "facts",
    "RefundTooLarge": "errors",
    "Refused": "errors",
    "Request": "access",
    "Reversal": "facts",
    "SQLiteStore": "stores.sqlite",
    "Season": "occasions",
    "Segment": "segments",
    "ShippingFee": "benefits",
    "StaleVersion": "errors",
    "StampCard": "badges",
    "Standing": "decisions",
    "Statement": "decisions",
    "StatementRow": "ledger",
    "Status": "status",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "StoreForked": "errors",
    "StoreFull": "errors",
    "StoreReadOnly": "errors",
    "StoreUnusable": "errors",
    "Tender": "facts",
    "Threshold": "thresholds",
    "Tier": "tiers",
    "TierChange": "tiers",
    "TierStanding": "tiers",
    "Unit": "program",
    "UnknownMember": "errors",
    "Verdict": "conditions",
    "WrongCurrency": "errors",
    "active": "habits",
    "activities": "measures",
    "activity": "rules",
    "agreed": "consent",
    "all_of": "conditions",
    "amount_off": "grants",
    "anniversary_year": "windows",
    "any_of": "conditions",
    "available": "rewards",
    "balance_of": "measures",
    "between": "windows",
    "bonus": "rules",
    "bonus_points": "grants",
    "bought": "habits",
    "calendar_day": "windows",
    "calendar_half_year": "windows",
    "calendar_month": "windows",
    "calendar_quarter": "windows",
    "calendar_week": "windows",
    "calendar_year": "windows",
    "cash": "facts",
    "cash_back": "rules",
    "categories": "measures",
    "category": "matching",
    "channel": "matching",
    "code": "matching",
    "codes": "measures",
    "coins": "rewards",
    "coverage": "rewards",
    "dates": "matching",
    "days": "calendar",
    "days_since_first": "measures",
    "days_since_last": "measures",
    "describe": "status",
    "did": "habits",
    "earned": "measures",
    "end_of_day": "thresholds",
    "end_of_month": "thresholds",
    "end_of_year": "thresholds",
    "exclusive": "benefits",
    "explain": "program",
    "first_time_buyer": "habits",
    "free_shipping": "grants",
    "gift_card": "facts",
    "grace": "program",
    "has_not": "habits",
    "histories": "history",
    "hours": "calendar",
    "lapsed": "habits",
    "lifetime": "windows",
    "lint": "program",
    "minutes": "calendar",
    "months": "calendar",
    "never": "habits",
    "one_time_buyer": "habits",
    "order_total": "matching",
    "orders": "measures",
    "per_amount": "rules",
    "per_day": "rules",
    "per_item": "rules",
    "per_lifetime": "rules",
    "per_month": "rules",
    "per_order": "rules",
    "per_week": "rules",
    "per_year": "rules",
    "percent_off": "grants",
    "periods": "measures",
    "perk": "grants",
    "points": "facts",
    "products": "measures",
    "prospect": "habits",
    "quarters": "calendar",
    "quote": "rewards",
    "rate_table": "rules",
    "regularly": "habits",
    "repeat_buyer": "habits",
    "restarted": "habits",
    "reviewed": "habits",
    "reward": "rewards",
    "shipping_fee": "benefits",
    "sku": "matching",
    "spend": "measures",
    "stopped": "habits",
    "tier": "matching",
    "time_of_day": "matching",
    "used_code": "habits",
    "weekday": "matching",
    "weeks": "calendar",
    "withdrawn": "consent",
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
