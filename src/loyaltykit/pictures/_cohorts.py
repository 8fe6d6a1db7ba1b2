"""Pictures of who stays: cohorts, and customers period by period."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from loyaltykit.pictures._look import (
    BLUE,
    INK,
    ORANGE,
    SKY,
    SOFT,
    VERMILLION,
    axis,
    colored,
    given,
    heat,
    inked,
    layers,
    library,
    marks,
    measured,
    noted,
    periods,
    shares,
    solid_unless_partial,
    starred,
    told,
)
from loyaltykit.retention import Cell, CohortTable, RetentionTable
from loyaltykit.tables import ink_on, mixed, number, percent

if TYPE_CHECKING:
    from loyaltykit.pictures._look import Chart

_ALL = "all"  # what `CohortTable.overall` calls the curve of all cohorts together


def _units(table: CohortTable) -> str:
    return f"{table.by.replace('_', '-')}s after the first purchase"


def _first(table: CohortTable) -> str:
    return f"{table.by.replace('_', '-')} of the first purchase"


def cohort_heatmap(table: CohortTable) -> Chart:
    """Draw a cohort table: a cell for each cohort and age, the darker, the more of the cohort was active.

    The scale ends at the highest share; age 0, which is always 100 %, gives way to the number of customers. The last
    line is of all together. Cells of a period in progress have a dashed edge and a star: they are not complete.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import retention
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("bo", on(1, 9)), ("ann", on(2, 3)), ("cy", on(2, 7)), ("bo", on(3, 1))]
    >>> chart = cohort_heatmap(retention.cohorts(rows, on(3, 10), zone="UTC"))
    >>> chart.title.text
    'Who comes back: share of each cohort that is active'
    """
    given(table, CohortTable, "table", "retention.cohorts")
    alt = library()
    later = [cell.share.share for cohort in table for cell in cohort if cell.age]
    most = max(later, default=Fraction(0)) or Fraction(1)
    places = 1 if most < Fraction(1, 5) else 0
    lines = [(starred(each.period.label, each.period.partial), each.size, list(each)) for each in table]
    if len(lines) > 1:
        overall = [Cell(_ALL, age, each.denominator, each.numerator) for age, each in enumerate(table.overall().points)]
        lines.append((_ALL, sum(each.size for each in table), overall))
    sizes = [{"cohort": name, "age": 0, "text": number(size), "ink": "#000"} for name, size, _ in lines]
    found = [
        {
            "cohort": name, "age": cell.age, "share": float(cell.share), "partial": cell.partial,
            "text": starred(percent(cell.share.share, places), cell.partial),
            "ink": ink_on(mixed(cell.share.share / most)), "of": f"{number(cell.customers)} of {number(cell.size)}",
        }
        for name, _, cells in lines
        for cell in cells
        if cell.age
    ]  # fmt: skip
    names = [name for name, _, _ in lines]
    head = axis(
        _units(table), labelAngle=0, orient="top", labelExpr="datum.value == 0 ? 'customers' : datum.label"
    )  # fmt: skip
    base = marks(
        [*sizes, *found],
        x=alt.X("age:O", axis=head, scale=alt.Scale(domain=list(range(max(table.ages, 2))))),
        y=alt.Y("cohort:O", axis=axis(_first(table)), sort=names, scale=alt.Scale(domain=names)),
    )
    cells = base.transform_filter("datum.age > 0").encode(
        tooltip=told(cohort="cohort", age=_units(table), text="active", of="customers")
    )
    return layers(
        "Who comes back: share of each cohort that is active" + (" then or later" if table.unbounded else ""),
        noted("", any(each.partial for each in table)),
        (46 * max(table.ages, 6), 26 * len(lines)),
        cells.mark_rect(stroke="white", strokeWidth=1.5).encode(color=heat("share", float(most))),
        cells.transform_filter("datum.partial").mark_rect(filled=False, stroke=SOFT, strokeDash=[3, 2]),
        base.mark_text(fontSize=11).encode(text="text:N", color=inked()),
    )


def retention_curves(table: CohortTable) -> Chart:
    """Draw the curve of each cohort, the later, the lighter, and that of all together over them.

    They begin at age 1, for at age 0 all are 100 %. What is in progress is left out: it is no drop.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import retention
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("bo", on(1, 9)), ("ann", on(2, 3)), ("cy", on(2, 7)), ("bo", on(3, 1))]
    >>> chart = retention_curves(retention.cohorts(rows, on(3, 10), zone="UTC"))
    >>> chart.title.text
    'How many are still active'
    """
    given(table, CohortTable, "table", "retention.cohorts")
    alt = library()
    curves, overall = table.curves(), table.overall()
    rows = [
        {
            "cohort": curve.name, "age": age, "share": float(point), "active": percent(point.share, 1),
            "of": f"{number(point.numerator)} of {number(point.denominator)}", "last": age == len(curve.points) - 1,
        }
        for curve in (*curves, overall)
        for age, point in enumerate(curve.points)
        if age
    ]  # fmt: skip
    across = measured(_units(table), grid=False, format="d", tickMinStep=1, tickCount=min(table.ages, 12))
    base = marks(
        rows,
        x=alt.X("age:Q", axis=across, scale=alt.Scale(nice=False, zero=False)),
        y=alt.Y("share:Q", axis=shares("active customers of the cohort"), scale=alt.Scale(zero=True)),
        tooltip=told(cohort="cohort", age=_units(table), active="active", of="customers"),
    )
    names = [curve.name for curve in curves]
    legend = alt.Legend(title="cohort", titleColor=SOFT, titleFontWeight="normal", labelColor=INK, symbolType="stroke",
                        symbolStrokeWidth=3, symbolLimit=40, offset=36)  # fmt: skip
    color = alt.Color("cohort:O", sort=names, scale=alt.Scale(domain=names, scheme="viridis"), legend=legend)
    together = base.transform_filter(f"datum.cohort == '{_ALL}'")
    return layers(
        "How many are still active" + (", then or later" if table.unbounded else ""),
        f"by {_first(table)}; the thick line is all together",
        (560, 320),
        base.transform_filter(f"datum.cohort != '{_ALL}'")
        .mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=16))
        .encode(color=color),
        together.mark_line(strokeWidth=3.5, color=INK),
        together.transform_filter("datum.last")
        .mark_text(align="left", dx=8, color=INK, fontWeight=600)
        .encode(text="cohort:N"),
    )


def customers_by_period(table: RetentionTable) -> Chart:
    """Draw who bought in each period: kept, back after a pause, new; and below, who of those before did not.

    A period in progress is faint, and nobody is called lost in it.

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import retention
    >>> def on(*day): return datetime(2026, *day, 12, tzinfo=UTC)
    >>> rows = [("ann", on(1, 5)), ("bo", on(1, 9)), ("ann", on(2, 3)), ("cy", on(2, 7)), ("bo", on(3, 1))]
    >>> chart = customers_by_period(retention.retention_by_period(rows, on(3, 10), zone="UTC"))
    >>> chart.title.text
    'Who stayed, came and left'
    """
    given(table, RetentionTable, "table", "retention.retention_by_period")
    alt = library()
    colors = {"kept": BLUE, "came back": SKY, "new": ORANGE, "lost": VERMILLION}
    rows = [
        {
            "period": starred(each.period.label, each.partial), "partial": each.partial, "who": who, "place": place,
            "customers": -count if who == "lost" else count, "of": number(count),
        }
        for each in table
        for counts in [each.turnover]
        for place, (who, count) in enumerate(
            zip(colors, (counts.retained, counts.returned, counts.new, counts.lost), strict=True)
        )
        if not (who == "lost" and each.partial)
    ]  # fmt: skip
    bars = marks(
        rows,
        x=periods([starred(each.period.label, each.partial) for each in table]),
        y=alt.Y("customers:Q", axis=measured("customers", labelExpr="format(abs(datum.value), ',~r')")),
        color=colored("who", colors),
        order=alt.Order("place:Q"),
        opacity=solid_unless_partial(),
        tooltip=told(period="period", who="who", of="customers"),
    )
    what = "bought" if table.active == "purchase" else f"bought within {table.alive_for} of its end"
    return layers(
        "Who stayed, came and left",
        noted(f"customers who {what}, period by period", any(each.partial for each in table)),
        (max(30 * len(table), 320), 300),
        bars.mark_bar(),
        marks([{"zero": 0}], y="zero:Q").mark_rule(color=SOFT),
    )
