"""The picture of tiers over time: how many members each has, and ribbons of those who came from one to another."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from loyaltykit.errors import InputError
from loyaltykit.pictures._look import (
    GREY,
    INK,
    axis,
    colored,
    given,
    layers,
    library,
    marks,
    noted,
    starred,
    told,
)
from loyaltykit.replay import Flow, Result
from loyaltykit.tables import number

if TYPE_CHECKING:
    from loyaltykit.pictures._look import Chart

Tier = str | None

_NEW = object()  # where new members come from
_HALF = 0.09  # half the width of a bar, where the next one is 1 away
_STEPS = 12  # straight parts of a ribbon


# ---------------------------------------------------------------- who came from where


def transitions(before: Mapping[Tier, int], flows: Iterable[Flow]) -> dict[tuple[Any, Tier], int]:
    """Return how many members came from which tier at the end of one period to which at the end of the next.

    Moves are counted one by one. Members who moved twice within the period are taken together only where they must be:
    where more left a tier than had been in it, some of those who had just come to it went on, new members first.
    """
    moved: Counter[tuple[Any, Tier]] = Counter()
    for flow in flows:
        moved[_NEW if flow.kind == "joined" else flow.before, flow.after] += flow.members
    while (found := _too_many(before, moved)) is not None:
        tier, excess = found
        comes = min((edge for edge in moved if edge[1] == tier and moved[edge]), key=lambda edge: edge[0] is not _NEW)
        goes = next(edge for edge in moved if edge[0] == tier and moved[edge])
        both = min(excess, moved[comes], moved[goes])
        moved[comes] -= both
        moved[goes] -= both
        if comes[0] != goes[1]:  # else they came back to where they had been
            moved[comes[0], goes[1]] += both
    stay = {(tier, tier): members - _out(moved, tier) for tier, members in before.items()}
    return {edge: members for edge, members in {**moved, **stay}.items() if members}


def _too_many(before: Mapping[Tier, int], moved: Mapping[tuple[Any, Tier], int]) -> tuple[Tier, int] | None:
    """Return a tier that more members left than had been in it, and how many more; None where there is none."""
    for tier in dict.fromkeys(edge[0] for edge in moved if edge[0] is not _NEW):
        excess = _out(moved, tier) - before.get(tier, 0)
        if excess > 0:
            return tier, excess
    return None


def _out(moved: Mapping[tuple[Any, Tier], int], tier: Tier) -> int:
    return sum(members for edge, members in moved.items() if edge[0] == tier)


# ---------------------------------------------------------------- where it is drawn


class Bar(NamedTuple):
    """The members of one tier at the end of one period, from `low` to `high`."""

    period: int
    tier: Tier
    members: int
    low: float
    high: float


class Ribbon(NamedTuple):
    """Members who came from a bar to one of the next period: its lower edges on both, and how wide it is."""

    period: int
    before: Tier
    after: Tier
    members: int
    left: float
    right: float

    def points(self) -> Iterator[tuple[float, float, float]]:
        """Yield places along the ribbon: across, its lower and its upper edge."""
        for step in range(_STEPS + 1):
            part = step / _STEPS
            bend = (1 - math.cos(math.pi * part)) / 2
            low = self.left + (self.right - self.left) * bend
            yield self.period + _HALF + part * (1 - 2 * _HALF), low, low + self.members


def laid_out(
    populations: Sequence[dict[Tier, int]], moves: Sequence[dict[tuple[Any, Tier], int]], ladder: Sequence[Tier]
) -> tuple[list[Bar], list[Ribbon]]:
    """Return the bars, the lowest tier at the bottom, and the ribbons between them.

    On both sides of a bar, ribbons lie in the order of the tiers at their other end; new members, who have none, are
    at the bottom of it.
    """
    most = max(sum(members.values()) for members in populations)
    gap = most * 0.05  # room for names beside thin bars
    rank = {tier: place for place, tier in enumerate(ladder)}
    bars: list[Bar] = []
    for period, members in enumerate(populations):
        low = 0.0
        for tier in ladder:
            count = members.get(tier, 0)
            if count:
                bars.append(Bar(period, tier, count, low, low + count))
                low += count + gap
    ribbons: list[Ribbon] = []
    foot = {(bar.period, bar.tier): bar.low for bar in bars}
    for period, moved in enumerate(moves):
        old = {edge: members for edge, members in moved.items() if edge[0] is not _NEW}
        left, right = {}, {}
        reached = {tier: foot.get((period, tier), 0.0) for tier in ladder}
        for edge in sorted(old, key=lambda edge: rank[edge[1]]):
            left[edge] = reached[edge[0]]
            reached[edge[0]] += old[edge]
        reached = {tier: foot.get((period + 1, tier), 0.0) + moved.get((_NEW, tier), 0) for tier in ladder}
        for edge in sorted(old, key=lambda edge: rank[edge[0]]):
            right[edge] = reached[edge[1]]
            reached[edge[1]] += old[edge]
        ribbons += [Ribbon(period, *edge, members, left[edge], right[edge]) for edge, members in old.items()]
    return bars, ribbons


# ---------------------------------------------------------------- the picture

_SCALE = ((253, 208, 98), (38, 130, 142), (68, 20, 110))  # from light to dark, so that everybody tells them apart


def _colors(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for no tier, which is grey, and for each tier: the higher, the darker."""
    found = {names[0]: GREY}
    for place, name in enumerate(names[1:]):
        part = 2 * place / max(len(names) - 2, 1)  # from 0 to 2, along the scale
        below = min(int(part), 1)
        ends = zip(_SCALE[below], _SCALE[below + 1], strict=True)
        found[name] = "#" + "".join(f"{round(low + (high - low) * (part - below)):02x}" for low, high in ends)
    return found


def tier_flow(result: Result, ladder: str | None = None) -> Chart:
    """Draw how many members have each tier at the end of each period, and ribbons of those who moved and who stayed.

    A part of a bar to which no ribbon leads is of new members. Who moved twice in a period is drawn as two moves
    wherever that is possible; in shorter periods (``every="week"``) it hardly matters. `ladder` is the name of one of
    the program's ladders (default: the first).

    >>> from datetime import UTC, datetime
    >>> from loyaltykit import Ladder, Order, Program, months, per_amount, spend
    >>> from loyaltykit.replay import replay
    >>> ladder = Ladder("status", spend(months(6)), {"Bronze": 0, "Silver": 100})
    >>> program = Program("Club", "USD", earning=per_amount(1), tiers=ladder)
    >>> told = [Order("1", "ann", datetime(2026, 1, 10, tzinfo=UTC), amount=70),
    ...         Order("2", "ann", datetime(2026, 2, 3, tzinfo=UTC), amount=90)]
    >>> chart = tier_flow(replay(program, told))
    >>> chart.title.text
    'Who moves between tiers: status'
    """
    given(result, Result, "result", "replay")
    alt = library()
    name, order = _ladder(result, ladder)
    words = {tier: f"no {name}" if tier is None else tier for tier in order}
    labels = [starred(span.label, span.partial) for span in result.periods]
    held: dict[str, dict[Tier, int]] = {span.label: {} for span in result.periods}
    for each in result.populations:
        if each.ladder == name:
            held[each.period][each.tier] = each.members
    flows: dict[str, list[Flow]] = {span.label: [] for span in result.periods}
    for flow in result.flows:
        if flow.ladder == name:
            flows[flow.period].append(flow)
    populations = list(held.values())
    moves = [transitions(before, moved) for before, moved in zip(populations, list(flows.values())[1:], strict=False)]
    bars, ribbons = laid_out(populations, moves, order)

    flowing = [
        {
            "x": across, "low": low, "high": high, "ribbon": place, "stays": ribbon.before == ribbon.after,
            "tier": words[ribbon.after], "from": words[ribbon.before], "members": number(ribbon.members),
            "period": labels[ribbon.period + 1],
        }
        for place, ribbon in enumerate(ribbons)
        for across, low, high in ribbon.points()
    ]  # fmt: skip
    standing = [
        {
            "x": bar.period - _HALF, "x2": bar.period + _HALF, "low": bar.low, "high": bar.high,
            "middle": (bar.low + bar.high) / 2, "tier": words[bar.tier], "members": number(bar.members),
            "text": f"{words[bar.tier]}  {number(bar.members)}", "period": labels[bar.period],
            "last": bar.period == len(labels) - 1,
        }
        for bar in bars
    ]  # fmt: skip
    step = math.ceil(len(labels) / 24)
    below = axis(
        None, values=list(range(len(labels)))[::-step], labelExpr=f"{json.dumps(labels)}[datum.value]", labelAngle=-40,
        labelOverlap=False,
    )  # fmt: skip
    channels = {
        "x": alt.X("x:Q", axis=below, scale=alt.Scale(domain=[-0.2, len(labels) - 0.8], nice=False, zero=False)),
        "y": alt.Y("low:Q", axis=None),
        "y2": "high:Q",
        "color": colored("tier", _colors(list(words.values())), named=False),
    }
    blocks = marks(standing, **channels)
    return layers(
        f"Who moves between tiers: {name}",
        noted(
            "members at the end of each period; no ribbon leads to those who are new",
            any(span.partial for span in result.periods),
        ),
        (max(56 * len(labels), 360), 320),
        marks(flowing, **channels)
        .mark_area()
        .encode(
            detail="ribbon:N",
            opacity=alt.condition("datum.stays", alt.value(0.25), alt.value(0.75)),
            tooltip=told(**{"period": "period", "from": "from", "tier": "to", "members": "members"}),
        ),
        blocks.mark_rect().encode(x2="x2:Q", tooltip=told(period="period", tier="tier", members="members")),
        marks([row for row in standing if row["last"]], x=alt.X("x2:Q"), y="middle:Q")
        .mark_text(align="left", dx=6, color=INK, fontSize=12, fontWeight=600)
        .encode(text="text:N"),
    )


def _ladder(result: Result, name: str | None) -> tuple[str, list[Tier]]:
    """Return the name and the tiers of a ladder, the lowest first; None is to have no tier."""
    listed = {each.name: each for each in result.program.tiers}
    if not listed:
        raise InputError("result.program", result.program.name, "it has no tiers to draw; give it a Ladder")
    if name is not None and name not in listed:
        raise InputError("ladder", name, f"the program has {', '.join(listed)}")
    chosen = listed[name or next(iter(listed))]
    return chosen.name, [None, *(tier.name for tier in chosen.tiers)]
