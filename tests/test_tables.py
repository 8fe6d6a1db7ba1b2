"""Tables that read well: what stands to the right, what is in italics, and colours that everybody can read."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st
from purchase_rows import bought, on

from loyaltykit import retention
from loyaltykit.retention import RetentionTable, retention_by_period
from loyaltykit.tables import html_table, luminance, number, shade, text_table


def aligned(html: str, tag: str = "td") -> list[str]:
    """Return how the cells of a table stand, one after the other."""
    return re.findall(rf'<{tag} style="text-align:(\w+)', html)


@given(st.floats(0, 1))
def test_ink_can_be_read_on_every_shade(share: float) -> None:
    """The contrast of text and background is at least 4.5 to 1, and darker means more."""
    red, green, blue, ink = re.findall(r"\((\d+),(\d+),(\d+)\).*(#\w+)", shade(share))[0]
    behind = luminance((int(red), int(green), int(blue)))
    light, dark = max(behind, 1.0 * (ink == "#fff")), min(behind, 1.0 * (ink == "#fff"))
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert behind >= luminance([int(part) for part in re.findall(r"\d+", shade(min(share + 0.01, 1.0)))[:3]])


def test_a_share_beyond_the_scale_has_the_colour_of_its_end() -> None:
    """Below 0 is white, above 1 the darkest."""
    assert (shade(0), shade(1)) == (shade(-0.5), shade(Fraction(3, 2)))


@pytest.mark.parametrize(
    ("cells", "side"),
    [
        ([1, 20], "right"),
        (["1,234.50", "−3.20"], "right"),
        (["66.67 %", None, ""], "right"),
        (["50 %*", "100 %"], "right"),
        ([Decimal("1.20"), None], "right"),
        (["2026-01", "2026-02"], "left"),
        (["3 to 4", "5"], "left"),
        ([True, False], "left"),
        ([None, ""], "left"),
    ],
)
def test_columns_of_numbers_stand_to_the_right(cells: list[Any], side: str) -> None:
    """In a notebook, numbers, money and shares stand to the right with their header, all else to the left."""
    html = html_table(["name", "value"], [["ann", cell] for cell in cells])
    assert ["left", side] == aligned(html, "th")
    assert ["left", side] * len(cells) == aligned(html)


def test_names_that_consist_of_digits_stand_to_the_left() -> None:
    """The first column names the row, unless it is of true numbers."""
    assert "left" == aligned(html_table(["customer"], [["00004"], ["00021"]]))[0]
    assert "right" == aligned(html_table(["days"], [[4], [21]]))[0]


def test_what_others_wrote_is_not_markup() -> None:
    """Headers, cells and lines below are escaped."""
    html = html_table(["<a>"], [["<b>"]], below=["<c>"])
    assert ["&lt;a&gt;", "&lt;b&gt;", "&lt;c&gt;"] == re.findall(r"&lt;\w&gt;", html)
    assert not re.search("<[abc]>", html)


def test_what_is_not_complete_is_in_italics() -> None:
    """The row of a period in progress is told from the others in a notebook, too."""
    table = retention_by_period(bought(ann=[(1, 5), (2, 3)]), on(2, 10), zone="UTC")
    assert isinstance(table, RetentionTable)
    january, february = table._repr_html_().split("<tr>")[2:]
    assert "<i>" not in january
    assert "<i>2026-02 (in progress)</i>" in february


def test_a_table_without_rows_has_its_headers() -> None:
    """Nothing to show is no error."""
    assert "name" == text_table(["name"], [])
    assert "<tbody></tbody>" in html_table(["name"], [])


def test_numbers_for_people() -> None:
    """Thousands are separated, and minus is a minus."""
    assert ("1,234,567", "−20", "0") == (number(1234567), number(-20), number(0))
    money = [Decimal("1234.50"), Decimal("-0.05"), Decimal("1E3")]
    assert ["1,234.50", "−0.05", "1,000"] == [number(amount) for amount in money]
    assert "value\n1,234.50" == text_table(["value"], [[Decimal("1234.50")]])


@pytest.mark.parametrize("name", retention.__all__)
def test_what_says_itself_says_it_in_a_notebook(name: str) -> None:
    """Every value and table of retention with words of its own shows them in a notebook, not its fields."""
    found = getattr(retention, name)
    if isinstance(found, type) and found.__str__ not in (object.__str__, tuple.__str__):
        assert hasattr(found, "_repr_html_")


def test_words_are_a_paragraph() -> None:
    """What a value says of itself is escaped."""
    assert "<p>33.74 %</p>" == retention.Rate(747, 2214)._repr_html_()
    assert "<p>50 % (&lt;b&gt;)</p>" == retention.Rate(1, 2, "<b>")._repr_html_()
