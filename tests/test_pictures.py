"""Pictures: what they show of which value, that they can be drawn, and that they can be worked on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from purchase_rows import bought, on

from loyaltykit import (
    Ladder,
    Order,
    Program,
    Refund,
    coins,
    days,
    liability,
    months,
    per_amount,
    pictures,
    retention,
    spend,
)
from loyaltykit.errors import InputError
from loyaltykit.pictures._tiers import _NEW, laid_out, transitions
from loyaltykit.replay import Flow, Result, compare, never, replay
from loyaltykit.tables import luminance

needs_altair = pytest.mark.skipif(
    find_spec("altair") is None, reason="pictures need altair: pip install 'loyaltykit[charts]'"
)

# ---------------------------------------------------------------- values to draw

PROGRAM = Program(
    "one year", "USD", earning=per_amount(1), validity=days(365), rewards=coins(100, worth="1.00", block=100),
    tiers=Ladder("status", spend(months(2)), {"Bronze": 0, "Silver": 100, "Gold": 300}),
)  # fmt: skip
BARE = Program("bare", "USD", earning=per_amount(1))
AT = datetime(2026, 5, 10, tzinfo=UTC)
FACTS = [
    Order("1", "ann", on(1, 10), amount="180.00"),
    Order("2", "ann", on(2, 20), amount="95.00"),
    Refund("r", "ann", "2", on(3, 2), amount="20.00"),
    Order("3", "bo", on(2, 25), amount="60.00"),
    Order("4", "bo", on(4, 30), amount="380.00"),
    Order("5", "cy", on(5, 5), amount="10.00"),
]
ROWS = bought(ann=[(1, 5), (2, 3), (3, 8), (4, 2)], bo=[(1, 9), (3, 1)], cy=[(2, 7)], di=[(3, 3), (4, 5)])


def table(**more: Any) -> retention.CohortTable:
    """Return a small cohort table, in the middle of April."""
    return retention.cohorts(ROWS, on(4, 10), zone="UTC", **more)


def result(program: Program = PROGRAM) -> Result:
    """Return a small replay, in the middle of May."""
    return replay(program, FACTS, at=AT, redemption=never if program is BARE else None)


def values() -> retention.HistoricValues:
    """Return what five customers brought: 50, 20, 15, 10 and 5."""
    brought = {"ann": 50, "bo": 20, "cy": 15, "di": 10, "ed": 5}
    return retention.historic_value([(name, on(1, 1), amount) for name, amount in brought.items()], AT)


def lifetimes() -> retention.LifetimeValues:
    """Return what one customer is worth."""
    worth = retention.LifetimeValue("ann", Decimal(5), Decimal(7), Decimal(12), 0.5, 1.5)
    return retention.LifetimeValues((worth,), "margin")


CALLS: dict[str, Callable[[], Any]] = {
    "cohort_heatmap": lambda: pictures.cohort_heatmap(table()),
    "cohort_heatmap unbounded": lambda: pictures.cohort_heatmap(table(unbounded=True, by="half_year")),
    "retention_curves": lambda: pictures.retention_curves(table()),
    "customers_by_period": lambda: pictures.customers_by_period(
        retention.retention_by_period(ROWS, on(4, 10), zone="UTC")
    ),
    "rfm_map": lambda: pictures.rfm_map(retention.rfm_scores(retention.rfm(ROWS, AT, zone="UTC"))),
    "gap_survival": lambda: pictures.gap_survival(retention.time_between_orders(ROWS, AT, zone="UTC")),
    "value_curve": lambda: pictures.value_curve(values()),
    "value_curve predicted": lambda: pictures.value_curve(lifetimes()),
    "points_over_time": lambda: pictures.points_over_time(result()),
    "points_over_time compared": lambda: pictures.points_over_time(
        compare(PROGRAM, BARE, FACTS, at=AT, redemption=never)
    ),
    "liability_over_time": lambda: pictures.liability_over_time(result()),
    "liability_over_time compared": lambda: pictures.liability_over_time(
        compare(PROGRAM, attrs.evolve(PROGRAM, name='"strict" \\'), FACTS, at=AT)
    ),
    "tier_flow": lambda: pictures.tier_flow(result(), "status"),
    "deferred_revenue": lambda: pictures.deferred_revenue(
        liability.revenue_by_period("9000", [(4500, 9700), (4600, 9990)], places=0)
    ),
}


def drawn(chart: Any, layer: int) -> list[dict[str, Any]]:
    """Return the rows of a layer; those of all layers alike stand in the chart itself."""
    rows: list[dict[str, Any]] = getattr(chart.layer[layer].data, "values", None) or chart.data.values
    return rows


# ---------------------------------------------------------------- all of them


@needs_altair
@pytest.mark.parametrize("name", CALLS)
def test_each_is_a_chart_to_go_on_with(name: str) -> None:
    """What comes back is valid, titled, and can be resized, laid over another and put beside one."""
    import altair

    chart = CALLS[name]()
    assert isinstance(chart, altair.LayerChart)
    assert chart.to_dict()["title"]["text"]
    wide = chart.properties(width=900)
    assert 900 == (wide | chart).to_dict()["hconcat"][0]["width"]
    (chart + altair.Chart(altair.Data(values=[{"y": 1}])).mark_rule().encode(y="y:Q")).to_dict()


@needs_altair
@pytest.mark.skipif(find_spec("vl_convert") is None, reason="drawing needs vl-convert-python, which is not installed")
@pytest.mark.parametrize("name", CALLS)
def test_each_can_be_drawn(name: str) -> None:
    """Vega draws it, and its title is in it."""
    import vl_convert

    chart = CALLS[name]()
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    assert chart.title.text in svg


def test_every_picture_is_tested() -> None:
    """The list above is complete."""
    assert sorted(pictures.__all__) == sorted({name.split()[0] for name in CALLS})


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """Importing the module loads neither altair nor a frame library."""
    code = "import json, sys, loyaltykit.pictures; print(json.dumps([*sys.modules]))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert not {"altair", "narwhals", "pandas"} & loaded


@pytest.mark.parametrize("name", CALLS)
def test_what_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without altair, the error says what to install."""
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'loyaltykit\[charts\]'") as caught:
        CALLS[name]()
    assert "altair" == caught.value.name


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: pictures.cohort_heatmap([1]), "table"),  # type: ignore[arg-type]
        (lambda: pictures.cohort_heatmap(retention.CohortTable(())), "table"),
        (lambda: pictures.retention_curves(retention.CohortTable(())), "table"),
        (lambda: pictures.customers_by_period(table()), "table"),  # type: ignore[arg-type]
        (lambda: pictures.rfm_map(retention.RfmScores(())), "found"),
        (lambda: pictures.gap_survival(retention.survival([])), "table"),
        (lambda: pictures.gap_survival(retention.survival([(7, 3, 0)]), through=0), "through"),
        (lambda: pictures.value_curve(retention.HistoricValues((), "revenue")), "table"),
        (lambda: pictures.value_curve(retention.historic_value([("ann", on(1, 1), 0)], AT)), "table"),
        (lambda: pictures.points_over_time(PROGRAM), "result"),  # type: ignore[arg-type]
        (lambda: pictures.liability_over_time(result(BARE)), "result.program"),
        (lambda: pictures.tier_flow(result(BARE)), "result.program"),
        (lambda: pictures.tier_flow(result(), "gold"), "ladder"),
        (lambda: pictures.deferred_revenue(liability.revenue_by_period(9, [])), "table"),
    ],
)
@needs_altair
def test_bad_input_is_named(call: Callable[[], Any], field: str) -> None:
    """What cannot be drawn is refused by its name, with where it comes from."""
    with pytest.raises(InputError) as caught:
        call()
    assert field == caught.value.field


# ---------------------------------------------------------------- cohorts and periods


@needs_altair
def test_the_heat_map_says_what_the_table_says() -> None:
    """A line for each cohort and one for all: the size, then a share at each age, with a star while in progress."""
    chart = pictures.cohort_heatmap(table())
    rows = drawn(chart, 2)
    lines = {name: [row["text"] for row in rows if row["cohort"] == name] for name in ("2026-01", "2026-02", "all")}
    assert {
        "2026-01": ["2", "50 %", "100 %", "50 %*"],
        "2026-02": ["1", "0 %", "0 %*"],
        "all": ["4", "33 %", "100 %"],
    } == lines
    assert "* in progress" == chart.title.subtitle


@needs_altair
def test_the_heat_map_ends_its_scale_at_the_highest_share() -> None:
    """The darkest cell is the highest share, in the same colour as in the tables of a notebook."""
    scale = pictures.cohort_heatmap(retention.cohorts(ROWS[:6], on(4, 10), zone="UTC")).to_dict()["layer"][0]
    expected = {"domain": [0, 1.0], "range": ["white", "#08519c"], "interpolate": "rgb"}
    assert expected.items() <= scale["encoding"]["color"]["scale"].items()


@needs_altair
def test_no_curve_ends_with_a_drop_that_is_none() -> None:
    """The period in progress is on no curve; a cohort of which nothing else is known has none."""
    rows = drawn(pictures.retention_curves(table()), 0)
    assert {"2026-01": 2, "2026-02": 1, "all": 2} == Counter(row["cohort"] for row in rows)
    assert [1, 2] == [row["age"] for row in rows if row["cohort"] == "2026-01"]


@needs_altair
def test_nobody_is_lost_before_the_period_is_over() -> None:
    """Customers of a period add up to those who bought; the lost are below, and not drawn while it is in progress."""
    found = retention.retention_by_period(ROWS, on(4, 10), zone="UTC")
    rows = drawn(pictures.customers_by_period(found), 0)
    above: Counter[str] = Counter()
    for row in rows:
        above[row["period"].rstrip("*")] += max(row["customers"], 0)
    assert {each.period.label: each.turnover.end for each in found} == above
    assert {"2026-04*"} == {row["period"] for row in rows if row["partial"]}
    lost = {row["period"]: row["customers"] for row in rows if row["who"] == "lost"}
    assert {each.period.label: -each.turnover.lost for each in found if not each.partial} == lost


@needs_altair
def test_of_many_periods_the_last_is_named() -> None:
    """Labels do not run into one another, and the one that may have a star is there."""
    found = retention.retention_by_period(ROWS, on(4, 10), "day", zone="UTC")
    named = pictures.customers_by_period(found).to_dict()["layer"][0]["encoding"]["x"]["axis"]["values"]
    assert (True, "2026-04-10*") == (len(named) <= 24, named[0])


# ---------------------------------------------------------------- customers


@needs_altair
def test_the_map_has_everybody_in_one_cell() -> None:
    """All pairs of scores are there, with the name of their segment; the counts add up."""
    scores = retention.rfm_scores(retention.rfm(ROWS, AT, zone="UTC"))
    rows = drawn(pictures.rfm_map(scores), 0)
    assert retention.SEGMENT_NAMES == {(row["r"], row["f"]): row["segment"] for row in rows}
    by_segment: Counter[str] = Counter()
    for row in rows:
        by_segment[row["segment"]] += row["customers"]
    assert {each.name: len(each.customers) for each in retention.rfm_segments(scores)} == by_segment


@needs_altair
def test_a_map_of_other_scores() -> None:
    """With other numbers of scores there are as many cells, without names but those given."""
    scores = retention.rfm_scores(retention.rfm(ROWS, AT, zone="UTC"), r=[30], f=[2, 3])
    rows = drawn(pictures.rfm_map(scores, {(2, 3): "best"}), 0)
    assert (6, ["best"]) == (len(rows), [row["segment"] for row in rows if row["segment"]])


@needs_altair
def test_the_curve_of_gaps_begins_with_all_and_ends_where_few_are_left() -> None:
    """It starts at 100 %; it ends with the day asked for, else where 98 % have ended, else with the longest."""
    found = retention.survival([(7, 50, 0), (14, 48, 0), (90, 1, 0), (700, 0, 1)])
    rows = drawn(pictures.gap_survival(found), 1)
    assert [(0, 1.0), (7, 0.5), (14, 0.02), (14, 0.02)] == [(row["days"], round(row["share"], 9)) for row in rows]
    rows = drawn(pictures.gap_survival(found, through=100), 1)
    assert [0, 7, 14, 90, 100] == [row["days"] for row in rows]
    rows = drawn(pictures.gap_survival(retention.survival([(7, 1, 2), (9, 0, 1)])), 1)
    assert [0, 7, 9, 9] == [row["days"] for row in rows]


@needs_altair
def test_the_median_is_said_only_where_it_is_seen() -> None:
    """Where fewer than half of the gaps end, the note says so, and no point is drawn."""
    seen, unseen = ([(7, 3, 0), (9, 0, 1)], [(7, 1, 2), (9, 0, 1)])
    charts = [pictures.gap_survival(retention.survival(each)) for each in (seen, unseen)]
    assert [4, 2] == [len(chart.layer) for chart in charts]
    assert "half order again within 7 days; the band is the 95 % limits" == charts[0].title.subtitle
    assert charts[1].title.subtitle.startswith("fewer than half are seen to order again")


@needs_altair
def test_the_best_fifth() -> None:
    """Of five customers who brought 50, 20, 15, 10 and 5, the best one brought half."""
    chart = pictures.value_curve(values())
    assert [0, 0.5, 0.7, 0.85, 0.95, 1] == [row["value"] for row in drawn(chart, 0)]
    assert "the best 20 % of 5 customers bring 50 %" == chart.title.subtitle
    six = [(name, on(1, 1), amount) for name, amount in zip("abcdef", (50, 20, 10, 10, 5, 5), strict=True)]
    chart = pictures.value_curve(retention.historic_value(six, AT))
    assert "the best 20 % of 6 customers bring 54 %" == chart.title.subtitle  # the first, and a fifth of the second


# ---------------------------------------------------------------- points


@needs_altair
def test_points_are_those_of_the_replay() -> None:
    """What is issued is above, what leaves is below, and the line is what is outstanding at each end."""
    one = result()
    chart = pictures.points_over_time(one)
    sums: Counter[str] = Counter()
    for row in drawn(chart, 0):
        sums[row["what"]] += row["points"]
    total = one.total
    assert {"issued": total.issued, "redeemed": -total.redeemed, "taken back": -total.taken_back} == sums
    assert [span.outstanding for span in one.periods] == [row["points"] for row in drawn(chart, 2)]
    assert {"2026-05*"} == {row["period"] for row in drawn(chart, 0) if row["partial"]}
    assert chart.title.subtitle.endswith("; * in progress")


@needs_altair
def test_a_comparison_has_a_line_for_each() -> None:
    """Both programs are drawn over the same periods, by their names."""
    both = compare(PROGRAM, attrs.evolve(PROGRAM, validity=days(30)), FACTS, at=AT)
    rows = drawn(pictures.liability_over_time(both), 0)
    for name, one in zip(both.names, (both.first, both.second), strict=True):
        expected = [float(span.liability or 0) for span in one.periods]
        assert expected == [row["value"] for row in rows if row["program"] == name]


@needs_altair
def test_a_deferral_adds_up() -> None:
    """Earlier revenue, that of the period and what is left are the whole, also where an estimate takes revenue back."""
    found = liability.revenue_by_period("9000", [(4500, 9700), (4600, 9990), (9990, 9990)], places=0)
    rows = drawn(pictures.deferred_revenue(found), 0)
    for period in (1, 2, 3):
        parts = [row["amount"] for row in rows if row["period"] == period]
        assert (9000, True) == (sum(parts), min(parts) >= 0)
    assert found.periods[1].of_period < 0
    assert 0 == next(row["amount"] for row in rows if row["period"] == 2 and row["what"] == "revenue of the period")


# ---------------------------------------------------------------- tiers

TIERS = (None, "Bronze", "Silver", "Gold")
PATHS = st.lists(st.lists(st.sampled_from(TIERS), min_size=1, max_size=4), max_size=30)
"""What each member had in a period, one after the other; the first of it before the period, unless they are new."""


def moved(paths: list[list[Any]], new: int) -> tuple[Counter[Any], Counter[Any], list[Flow]]:
    """Return how many members had which tier before and after, and the moves; the last `new` members are new."""
    before: Counter[Any] = Counter()
    after: Counter[Any] = Counter()
    flows: Counter[Any] = Counter()
    for place, path in enumerate(paths):
        if place < len(paths) - new:
            before[path[0]] += 1
        else:
            flows["joined", None, path[0]] += 1
        for one, two in pairwise(path):
            if one != two:
                flows["entry", one, two] += 1
        after[path[-1]] += 1
    return before, after, [Flow("p", "status", *which, members) for which, members in flows.items()]


@given(PATHS, st.integers(0, 30))
def test_everybody_comes_from_somewhere(paths: list[list[Any]], new: int) -> None:
    """Ribbons out of a tier are as wide as it was, those into it, with new members, as it is; none is negative."""
    before, after, flows = moved(paths, min(new, len(paths)))
    found = transitions(before, flows)
    assert all(members > 0 for members in found.values())
    outgoing: Counter[Any] = Counter()
    incoming: Counter[Any] = Counter()
    for (one, two), members in found.items():
        outgoing[one] += members
        incoming[two] += members
    assert +before == Counter({tier: members for tier, members in outgoing.items() if tier is not _NEW})
    assert +after == incoming


def test_moves_by_hand() -> None:
    """Three rise from Bronze, which had two members: a new one joined and rose at once, and is drawn so."""
    flows = [
        Flow("p", "status", "entry", "Bronze", "Silver", 3),
        Flow("p", "status", "joined", None, "Bronze", 1),
        Flow("p", "status", "downgrade", "Silver", "Bronze", 1),
    ]
    found = transitions({"Bronze": 2, "Silver": 1}, flows)
    assert {("Bronze", "Silver"): 2, (_NEW, "Silver"): 1, ("Silver", "Bronze"): 1} == found


def test_bars_and_ribbons_by_hand() -> None:
    """The lowest tier is at the bottom, ribbons stay within their bars, new members are at the foot of theirs."""
    before = {"Bronze": 60, "Silver": 40}
    moves = {
        ("Bronze", "Bronze"): 45,
        ("Bronze", "Silver"): 15,
        ("Silver", "Silver"): 20,
        ("Silver", "Bronze"): 20,
        (_NEW, "Bronze"): 5,
    }
    after = {"Bronze": 70, "Silver": 35}
    bars, ribbons = laid_out([before, after], [moves], [None, "Bronze", "Silver"])
    gap = 5.25
    assert [
        (0, "Bronze", 0, 60),
        (0, "Silver", 60 + gap, 100 + gap),
        (1, "Bronze", 0, 70),
        (1, "Silver", 70 + gap, 105 + gap),
    ] == [(bar.period, bar.tier, bar.low, bar.high) for bar in bars]
    edges = {(each.before, each.after): (each.left, each.right) for each in ribbons}
    assert {
        ("Bronze", "Bronze"): (0, 5),
        ("Bronze", "Silver"): (45, 70 + gap),
        ("Silver", "Bronze"): (60 + gap, 50),
        ("Silver", "Silver"): (80 + gap, 85 + gap),
    } == edges


@needs_altair
def test_tiers_are_those_of_the_replay() -> None:
    """Bars are the members of each tier at each end, and the last ones have their names beside them."""
    one = result()
    chart = pictures.tier_flow(one)
    shown = {(row["period"].rstrip("*"), row["tier"]): row["members"] for row in drawn(chart, 1)}
    held = {(each.period, each.tier or "no status"): str(each.members) for each in one.populations if each.members}
    assert held == shown
    assert {row["text"] for row in drawn(chart, 2)} == {
        f"{each.tier}  {each.members}" for each in one.populations if each.period == "2026-05" and each.members
    }


@needs_altair
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_higher_tiers_are_darker(count: int) -> None:
    """However many there are, each tier is darker than the one below, so that it is told apart without its hue."""
    from loyaltykit.pictures._tiers import _colors

    names = ["none", *(f"tier {place}" for place in range(count))]
    shades = [luminance(list(bytes.fromhex(color[1:]))) for color in list(_colors(names).values())[1:]]
    assert count == len(set(shades))
    assert sorted(shades, reverse=True) == shades


@needs_altair
def test_one_period_has_bars_and_no_ribbons() -> None:
    """Nobody can have moved yet."""
    chart = pictures.tier_flow(replay(PROGRAM, FACTS[:1], at=on(1, 20)))
    assert ([], ["Silver  1"]) == (chart.layer[0].data.values, [row["text"] for row in drawn(chart, 1)])
    chart.to_dict()
