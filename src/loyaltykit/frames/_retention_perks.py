"""Which perks work, of whole bases: the engine counts those on whom rules hold, Python compares the counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import narwhals.stable.v2 as nw

from loyaltykit import retention as pure
from loyaltykit.amounts import exponent
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError
from loyaltykit.frames._base import Base
from loyaltykit.frames._retention_bought import counts_of
from loyaltykit.frames._rules import evaluate, measure
from loyaltykit.measures import Measure
from loyaltykit.retention.intervals import Sample
from loyaltykit.retention.perks import ENOUGH


def perk_lift(
    perk: str, base: Base, at: datetime, *, used: Condition, result: Condition | Measure,
    redemption: pure.Rate | None = None, held_out: bool = False, level: Any = "0.95", least: int = ENOUGH,
) -> pure.PerkLift:  # fmt: skip
    """Compare the customers on whom `used` holds at an instant with the others, as `retention.perk_lift` says.

    >>> import polars as pl
    >>> from datetime import UTC
    >>> from loyaltykit import frames, orders
    >>> from loyaltykit.habits import used_code
    >>> rows = [(f"m{n % 40}", datetime(2026, 3, 2), "HELLO" if n % 40 < 20 else None) for n in range(60)]
    >>> base = frames.Base(pl.DataFrame(rows, schema=["customer", "at", "code"], orient="row"), code="code")
    >>> used, now = used_code("HELLO"), datetime(2026, 3, 9, tzinfo=UTC)
    >>> found = frames.retention.perk_lift("welcome code", base, now, used=used, result=orders() >= 2, least=20)
    >>> found.verdict, found.points
    ('higher', Decimal('100.00'))
    """
    if not isinstance(base, Base):
        raise InputError("base", type(base).__name__, "give a base, as in frames.Base(frame, customer='...', at='...')")
    if not isinstance(used, Condition):
        raise InputError("used", used, "give a condition, as in used_code('WELCOME10')")
    options: dict[str, Any] = {"redemption": redemption, "held_out": held_out, "level": level, "least": least}
    if isinstance(result, Condition):
        both = counts_of(nw.from_native(evaluate(base, {"used": used, "result": result}, at)), "used", "result")
        did, others = ((both[side, True], both[side, True] + both[side, False]) for side in (True, False))
        return pure.rate_lift(perk, did, others, **options)
    if not isinstance(result, Measure):
        raise InputError("result", result, "give a condition or a measure, as in orders() >= 2 or spend(months(3))")
    who, numbers = (
        nw.from_native(found) for found in (evaluate(base, {"used": used}, at), measure(base, {"result": result}, at))
    )
    counts = counts_of(who.join(numbers, on=base.customer, how="inner"), "used", "result")
    if any(value is None or value != value for _, value in counts):  # a null, or the NaN that pandas makes of it
        raise InputError("result", str(result), "has no value for some members; give one that everybody has")
    whole = 10 ** exponent(base.currency) if result.kind == "spend" else 1
    return pure.mean_lift(perk, *(_sample(counts, side, whole) for side in (True, False)), **options)


def _sample(counts: Mapping[tuple[bool, int], int], side: bool, whole: int) -> Sample:
    """Return the numbers of one group summed up, from how many customers have each of them, in so many parts."""
    group = [(int(value), number) for (used, value), number in counts.items() if used == side]
    total = sum(value * number for value, number in group)
    squares = sum(value * value * number for value, number in group)
    return Sample(sum(number for _, number in group), Fraction(total, whole), Fraction(squares, whole * whole))
