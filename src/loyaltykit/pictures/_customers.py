"""Pictures of the customers themselves: how lately and often they buy, how long they wait, what they are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING

from loyaltykit.amounts import whole
from loyaltykit.errors import InputError
from loyaltykit.pictures._look import (
    BLUE,
    INK,
    axis,
    counted,
    given,
    heat,
    inked,
    layers,
    library,
    marks,
    measured,
    shares,
    told,
)
from loyaltykit.retention import SEGMENT_NAMES, HistoricValues, LifetimeValues, RfmScores, Survival
from loyaltykit.tables import ink_on, mixed, number, percent

if TYPE_CHECKING:
    from typing import Any

    from loyaltykit.pictures._look import Chart


def rfm_map(found: RfmScores, names: Mapping[tuple[int, ...], str] = SEGMENT_NAMES) -> Chart:
    """Draw how many customers have each pair of a recency and a frequency score, with the name of its segment.

    `names` are those given to `retention.rfm_segments`; a pair that they do not name is drawn without a name.

    >>> from loyaltykit import retention
    >>> scores = retention.RfmScores((retention.RfmScore("ann", 5, 5, 4), retention.RfmScore("bo", 2, 5, 5)))
    >>> chart = rfm_map(scores)
    >>> chart.title.subtitle
    '2 customers; the darker, the more'
    """
    given(found, RfmScores, "found", "retention.rfm_scores")
    alt = library()
    counts = Counter((each.r, each.f) for each in found)
    most = max(counts.values())
    rows = [
        {
            "r": r, "f": f, "customers": counts[r, f], "segment": names.get((r, f), ""), "text": number(counts[r, f]),
            "share": percent(Fraction(counts[r, f], len(found)), 1), "ink": ink_on(mixed(counts[r, f] / most)),
        }
        for r in range(1, found.sizes[0] + 1)
        for f in range(1, found.sizes[1] + 1)
    ]  # fmt: skip
    cells = marks(
        rows,
        x=alt.X("f:O", axis=axis(f"frequency score: {found.sizes[1]} is the most orders", labelAngle=0)),
        y=alt.Y("r:O", sort="descending", axis=axis(f"recency score: {found.sizes[0]} is the most recent")),
        tooltip=told(segment="segment", text="customers", share="share", r="recency score", f="frequency score"),
    )
    return layers(
        "Recency and frequency",
        f"{counted(len(found), 'customer')}; the darker, the more",
        (108 * found.sizes[1], 62 * found.sizes[0]),
        cells.mark_rect(stroke="white", strokeWidth=2).encode(color=heat("customers", most)),
        cells.mark_text(fontSize=15, fontWeight=600, dy=-7).encode(text="text:N", color=inked()),
        cells.mark_text(fontSize=11, dy=11).encode(text="segment:N", color=inked()),
    )


def gap_survival(table: Survival, through: int | None = None) -> Chart:
    """Draw which share of the gaps between orders lasts longer than so many days, with its limits and the median.

    It ends with the day `through`; by default with the one by which 98 % of the gaps have ended, if so many are seen to
    end, else with the longest.

    >>> from loyaltykit import retention
    >>> chart = gap_survival(retention.survival([(7, 3, 0), (14, 4, 1), (30, 1, 1)]))
    >>> chart.title.subtitle
    'half order again within 14 days; the band is the 95 % limits'
    """
    given(table, Survival, "table", "retention.time_between_orders")
    alt = library()
    longest = table.steps[-1].days
    last = whole(through, "through", 1) if through is not None else table.quantile("0.98") or longest
    rows: list[dict[str, Any]] = [{"days": 0, "share": 1.0, "low": 1.0, "high": 1.0, "text": "100 %"}]
    for step in table:
        if step.days <= last:
            share = float(step.share)
            low, high = (share if limit is None else limit for limit in (step.low, step.high))
            rows.append({"days": step.days, "share": share, "low": low, "high": high, "text": percent(step.share, 1)})
    rows.append({**rows[-1], "days": min(last, longest)})
    x = alt.X("days:Q", axis=measured("days since the order", grid=False, tickCount=8), scale=alt.Scale(nice=False))
    y = alt.Y("share:Q", axis=shares("have not ordered again"), scale=alt.Scale(domain=[0, 1]))
    base = marks(rows, x=x, tooltip=told(days="days", text="have not ordered again"))
    drawn = [
        base.mark_area(interpolate="step-after", color=BLUE, opacity=0.2).encode(y="low:Q", y2="high:Q"),
        base.mark_line(interpolate="step-after", color=BLUE, strokeWidth=2.5).encode(y=y),
    ]
    half = "fewer than half are seen to order again"
    if table.median is not None:
        words = counted(table.median, "day")
        half = f"half order again within {words}"
        if table.median <= last:
            drawn += _pointed(table.median, 0.5, words, up=True)
    return layers(
        "Time until the next order", f"{half}; the band is the {percent(table.level)} limits", (560, 300), *drawn
    )


def _pointed(x: float, y: float, text: str, *, up: bool) -> list[Any]:
    """Return a dot with a few words beside it, above it or below it."""
    at = marks([{"x": x, "y": y, "text": text}], x="x:Q", y="y:Q")
    return [
        at.mark_point(color=INK, filled=True, size=60, opacity=1),
        at.mark_text(align="left", dx=9, dy=-9 if up else 9, color=INK, fontWeight=600).encode(text="text:N"),
    ]


def value_curve(table: HistoricValues | LifetimeValues) -> Chart:
    """Draw which share of all value comes from which share of the customers, the most valuable first.

    Of `LifetimeValues`, it is the predicted value.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import retention
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> values = retention.historic_value([("ann", now, 60), ("bo", now, 30), ("cy", now, 5), ("di", now, 5)], now)
    >>> chart = value_curve(values)
    >>> chart.title.subtitle
    'the best 20 % of 4 customers bring 48 %'
    """
    given(table, (HistoricValues, LifetimeValues), "table", "retention.historic_value or lifetime_values")
    alt = library()
    kind = "predicted" if isinstance(table, LifetimeValues) else "value"
    values = sorted((getattr(each, kind) for each in table), reverse=True)
    reached = list(accumulate(map(Fraction, values), initial=Fraction(0)))
    whole_value, count = reached[-1], len(values)
    if whole_value <= 0:
        raise InputError("table", count, "the values do not come to more than 0; there is nothing to share out")
    steps = min(count, 200)
    places = [step * count // steps for step in range(steps + 1)]
    rows = [
        {
            "customers": place / count, "value": float(part), "text": percent(part),
            "of": f"{number(place)} of {number(count)}",
        }
        for place in places
        for part in [reached[place] / whole_value]
    ]  # fmt: skip
    full, rest = divmod(count, 5)
    fifth = (reached[full] + Fraction(rest, 5) * Fraction(values[full])) / whole_value
    curve = marks(
        rows,
        x=alt.X("customers:Q", axis=shares("customers, the most valuable first", grid=False)),
        y=alt.Y("value:Q", axis=shares(f"{kind.replace('value', 'historic')} {table.of}")),
        tooltip=told(of="customers", text="of all value"),
    )
    return layers(
        "Who brings the value",
        f"the best 20 % of {counted(count, 'customer')} bring {percent(fifth)}",
        (400, 320),
        curve.mark_area(color=BLUE, opacity=0.15),
        curve.mark_line(color=BLUE, strokeWidth=2.5),
        *_pointed(0.2, float(fifth), percent(fifth), up=False),
    )
