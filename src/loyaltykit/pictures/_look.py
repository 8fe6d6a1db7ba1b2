"""What the pictures share: the library that draws them, loaded when first needed; colours, axes, words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from loyaltykit.errors import InputError
from loyaltykit.tables import mixed, number

if TYPE_CHECKING:
    import altair

    Chart: TypeAlias = altair.LayerChart
    """What every function here returns: a chart of altair, to show, save, or change further."""

# By Okabe and Ito (2008): colours that people with any of the usual kinds of colour vision tell apart.
BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"
INK, SOFT, GREY, GRID = "#222222", "#6e6e6e", "#cccccc", "#e6e6e6"
DARK = "#" + "".join(f"{part:02x}" for part in mixed(1))  # a scale ends where that of the tables does

FAINT = 0.4  # the opacity of what is in progress

# ---------------------------------------------------------------- the library


def library() -> Any:
    """Return altair; where it is missing, say how to get it."""
    try:
        return import_module("altair")
    except ModuleNotFoundError as error:
        if error.name != "altair":
            raise  # it is there, but something that it needs is not
        hint = "pictures are drawn with altair, which is not installed: pip install 'loyaltykit[charts]'"
        raise ModuleNotFoundError(hint, name="altair") from None


def marks(rows: Iterable[Mapping[str, Any]], **channels: Any) -> Any:
    """Return a chart, without a mark yet, that carries its rows with it: no frame library is needed."""
    alt = library()
    return alt.Chart(alt.Data(values=[dict(row) for row in rows])).encode(**channels)


def layers(title: str, note: str, size: tuple[int, int], *charts: Any) -> Chart:
    """Lay charts on one another, below a title and a note.

    All styles are the charts' own and none is a configuration of the whole, so that it can stand beside others.
    """
    alt = library()
    heading = alt.TitleParams(
        title, subtitle=note, anchor="start", frame="group", fontSize=15, fontWeight=600, color=INK, offset=12,
        subtitleFontSize=12, subtitleColor=SOFT, subtitlePadding=4,
    )  # fmt: skip
    found: Chart = alt.layer(*charts, view=alt.ViewBackground(stroke=None))
    return found.properties(title=heading, width=size[0], height=size[1])


def given(value: Any, kinds: type | tuple[type, ...], field: str, sources: str) -> None:
    """Refuse what is not a value of these kinds, or has nothing in it to draw."""
    if not isinstance(value, kinds):
        raise InputError(field, type(value).__name__, f"give what {sources} returns")
    if isinstance(value, Sized) and not len(value):
        raise InputError(field, (), "there is nothing in it to draw")


# ---------------------------------------------------------------- axes and scales


def axis(title: str | None, **more: Any) -> Any:
    """Return an axis without ink that says nothing: grid lines only where they are asked for."""
    plain = {
        "title": title, "titleColor": SOFT, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
        "labelColor": INK, "labelFontSize": 11, "labelPadding": 6, "labelFlush": False,
        "grid": False, "gridColor": GRID, "domain": False, "ticks": False,
    }  # fmt: skip
    return library().Axis(**{**plain, **more})


def measured(title: str | None, **more: Any) -> Any:
    """Return an axis of quantities: a few grid lines, and thousands told apart."""
    return axis(title, **{"grid": True, "tickCount": 5, "format": ",~r", **more})


def shares(title: str | None, **more: Any) -> Any:
    """Return an axis of shares, in per cent."""
    return measured(title, labelExpr="format(datum.value * 100, ',~r') + ' %'", **more)


def periods(labels: Sequence[str]) -> Any:
    """Return the place of each period, in their order; of many, not all are named, but the last one always is."""
    alt = library()
    named = list(labels)[:: -math.ceil(len(labels) / 24)]
    return alt.X("period:O", sort=list(labels), axis=axis(None, values=named, labelAngle=-40, labelOverlap=False))


def heat(field: str, most: float) -> Any:
    """Return the colour of cells: from white to the darkest, as `loyaltykit.tables.mixed` has it."""
    alt = library()
    colors = alt.Scale(domain=[0, most], range=["white", DARK], interpolate="rgb", clamp=True)
    return alt.Color(f"{field}:Q", scale=colors, legend=None)


def inked() -> Any:
    """Return the colour of text on such cells: that of the field ``ink``, which `loyaltykit.tables.ink_on` tells."""
    alt = library()
    return alt.condition("datum.ink == '#fff'", alt.value("white"), alt.value("black"))


def colored(field: str, colors: Mapping[str, str], *, named: bool = True) -> Any:
    """Return a colour for each name, and a plain legend, unless they are named in the picture itself."""
    alt = library()
    legend = alt.Legend(title=None, labelColor=INK, labelFontSize=11, symbolType="square") if named else None
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.Color(f"{field}:N", scale=scale, sort=list(colors), legend=legend)


def solid_unless_partial() -> Any:
    """Return an opacity that is faint where the field ``partial`` says that a period is in progress."""
    alt = library()
    return alt.condition("datum.partial", alt.value(FAINT), alt.value(1))


def told(**titles: str) -> list[Any]:
    """Return what a pointer is told of a mark: fields that hold words, and what they are called."""
    alt = library()
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


# ---------------------------------------------------------------- words


def starred(label: str, partial: bool) -> str:
    """Return a text with a star where it is of a period in progress."""
    return f"{label}*" if partial else label


def noted(text: str, partial: bool) -> str:
    """Return a note that says what a star means, where there is one."""
    return "; ".join(filter(None, [text, "* in progress" if partial else ""]))


def counted(count: int, what: str) -> str:
    """Return a count in words.

    >>> counted(23570, "customer")
    '23,570 customers'
    """
    return f"{number(count)} {what}{'' if count == 1 else 's'}"
