"""Pictures of points over time: what is outstanding, what moved, and what it is worth on the books."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loyaltykit.errors import InputError
from loyaltykit.liability import RevenueTable
from loyaltykit.pictures._look import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILLION,
    axis,
    colored,
    given,
    layers,
    library,
    marks,
    measured,
    noted,
    periods,
    solid_unless_partial,
    starred,
    told,
)
from loyaltykit.replay import Comparison, Result, Span
from loyaltykit.tables import number

if TYPE_CHECKING:
    from loyaltykit.pictures._look import Chart

_MOVES = {"issued": BLUE, "redeemed": GREEN, "expired": ORANGE, "taken_back": PURPLE}


def _sides(result: Result | Comparison) -> dict[str, Result]:
    """Return one or two results, by the names of their programs."""
    if isinstance(result, Comparison):
        sides = dict(zip(result.names, (result.first, result.second), strict=True))
    else:
        sides = {result.program.name: result} if isinstance(result, Result) else {}
    given(next(iter(sides.values()), result), Result, "result", "replay or compare")
    return sides


def _label(span: Span) -> str:
    return starred(span.label, span.partial)


def _layers(title: str, note: str, result: Result, *charts: Any) -> Chart:
    size = (max(36 * len(result.periods), 360), 300)
    return layers(title, noted(note, any(each.partial for each in result.periods)), size, *charts)


def points_over_time(result: Result | Comparison) -> Chart:
    """Draw the points outstanding at the end of each period, and what was issued, redeemed, expired and taken back.

    Of a comparison, only what is outstanding is drawn, a line for each program. What moved in a period in progress is
    faint, for it is not complete; what is outstanding then is so at the last instant of the replay.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import Order, Program, days, per_amount
    >>> from loyaltykit.replay import replay
    >>> told = [Order("1", "ann", datetime(2026, 1, 10, tzinfo=UTC), amount=70),
    ...         Order("2", "ann", datetime(2026, 2, 3, tzinfo=UTC), amount=90)]
    >>> chart = points_over_time(replay(Program("Club", "USD", earning=per_amount(1), validity=days(40)), told))
    >>> chart.title.text
    'Points outstanding'
    """
    sides = _sides(result)
    if len(sides) > 1:
        return _lines("Points outstanding", "points", sides, lambda span: span.outstanding)
    alt = library()
    ((name, one),) = sides.items()
    moved = {what: color for what, color in _MOVES.items() if getattr(one.total, what)}
    moves = [
        {
            "period": _label(span), "partial": span.partial, "what": what.replace("_", " "), "of": number(points),
            "points": points if what == "issued" else -points,
        }
        for span in one.periods
        for what in moved
        for points in [getattr(span, what)]
    ]  # fmt: skip
    held = [
        {"period": _label(span), "points": span.outstanding, "what": "outstanding", "of": number(span.outstanding)}
        for span in one.periods
    ]
    colors = {"outstanding": INK, **{what.replace("_", " "): color for what, color in moved.items()}}
    channels = {
        "x": periods([_label(span) for span in one.periods]),
        "y": alt.Y("points:Q", axis=measured("points")),
        "color": colored("what", colors),
        "tooltip": told(period="period", what="what", of="points"),
    }
    return _layers(
        "Points outstanding",
        f"at the end of each period, and what moved in it ({name}: {one.redemption})",
        one,
        marks(moves, **channels).mark_bar(size=18).encode(opacity=solid_unless_partial()),
        marks([{"zero": 0}], y="zero:Q").mark_rule(color=SOFT),
        marks(held, **channels).mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=40)),
    )


def liability_over_time(result: Result | Comparison) -> Chart:
    """Draw what the outstanding points are worth at the end of each period, by the worth of the program's coins.

    Of a comparison, a line for each program. A period in progress ends at the last instant of the replay.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import Order, Program, coins, days, per_amount
    >>> from loyaltykit.replay import replay
    >>> told = [Order("1", "ann", datetime(2026, 1, 10, tzinfo=UTC), amount=70)]
    >>> program = Program("Club", "USD", earning=per_amount(1), rewards=coins(100, worth="1.00"))
    >>> chart = liability_over_time(replay(program, told))
    >>> chart.title.text
    'What the outstanding points are worth'
    """
    sides = _sides(result)
    for name, one in sides.items():
        if one.total.liability is None:
            hint = "its points have no worth; give it coins, as in rewards=coins(100, worth='1.00')"
            raise InputError("result.program", name, hint)
    currency = next(iter(sides.values())).program.currency
    return _lines("What the outstanding points are worth", currency, sides, lambda span: span.liability)


def _lines(title: str, unit: str, sides: dict[str, Result], value: Callable[[Span], Any]) -> Chart:
    """Draw a number of each period's end: a line for each result, with its name, or the number, where it ends."""
    alt = library()
    first = next(iter(sides.values()))
    rows = [
        {
            "period": _label(span), "program": name, "value": float(value(span)), "of": number(value(span)),
            "last": span is one.periods[-1],
        }
        for name, one in sides.items()
        for span in one.periods
    ]  # fmt: skip
    base = marks(
        rows,
        x=periods([_label(span) for span in first.periods]),
        y=alt.Y("value:Q", axis=measured(unit), scale=alt.Scale(zero=True)),
        color=colored("program", dict(zip(sides, (BLUE, VERMILLION), strict=False)), named=False),
        tooltip=told(program="program", period="period", of=unit),
    )
    # The second line is thinner, so that the first one shows below it where both are the same.
    wide = alt.condition(f"datum.program == {json.dumps(next(iter(sides)))}", alt.value(4), alt.value(2))
    drawn = [
        base.mark_line().encode(strokeWidth=wide),
        base.mark_point(filled=True, size=40, opacity=1),
        base.transform_filter("datum.last")
        .mark_text(align="left", dx=10, fontWeight=600)
        .encode(text="program:N" if len(sides) > 1 else "of:N"),
    ]
    if len(sides) == 1:
        drawn.insert(0, base.mark_area(opacity=0.15))
    models = " and ".join(dict.fromkeys(str(one.redemption) for one in sides.values()))
    return _layers(title, f"at the end of each period ({models})", first, *drawn)


def deferred_revenue(table: RevenueTable) -> Chart:
    """Draw a deferral, period by period: the part that has become revenue, and the part that is still deferred.

    Where a changed estimate takes revenue back, there is none of the period, and the earlier is what is left of it.

    >>> from loyaltykit import liability
    >>> chart = deferred_revenue(liability.revenue_by_period("9000", [(4500, 9700), (8500, 9900)], places=0))
    >>> chart.title.text
    'Revenue from redeemed points'
    """
    given(table, RevenueTable, "table", "liability.revenue_by_period")
    alt = library()
    colors = {"earlier revenue": SKY, "revenue of the period": BLUE, "still deferred": GREY}
    rows = [
        {"period": period, "what": what, "amount": float(amount), "of": number(amount), "place": place}
        for period, each in enumerate(table, 1)
        for earlier in [min(each.to_date, each.to_date - each.of_period)]
        for place, (what, amount) in enumerate(
            zip(colors, (earlier, each.to_date - earlier, each.left), strict=True)
        )
    ]  # fmt: skip
    bars = marks(
        rows,
        x=alt.X("period:O", axis=axis("period", labelAngle=0)),
        y=alt.Y("amount:Q", axis=measured("amount")),
        color=colored("what", colors),
        order=alt.Order("place:Q"),
        tooltip=told(period="period", what="what", of="amount"),
    )
    return layers(
        "Revenue from redeemed points",
        "what was deferred, at the end of each period",
        (max(72 * len(table), 240), 280),
        bars.mark_bar(size=36),
    )
