"""Tables that read well in a terminal and in a notebook."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from html import escape
from typing import Any

from loyaltykit.amounts import rounded


def number(value: int | Decimal) -> str:
    """Return a whole number, or money, with its thousands separated and a real minus sign.

    >>> number(-12345), number(Decimal("1234.50"))
    ('−12,345', '1,234.50')
    """
    return (f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}").replace("-", "−")


def percent(share: Fraction, places: int = 0) -> str:
    """Return a share in per cent with so many decimals, rounded half up.

    >>> percent(Fraction(127, 2000), 1), percent(Fraction(1, 3))
    ('6.4 %', '33 %')
    """
    return f"{rounded(share * 100, places):f} %"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else str(value)


def text_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in plain text: words to the left, numbers to the right.

    >>> print(text_table(["what", "points"], [["order 1001", 1300], ["refund r-1", -120]]))
    what        points
    order 1001   1,300
    refund r-1    −120
    """
    listed = [list(row) for row in rows]
    cells = [list(headers), *([_cell(value) for value in row] for row in listed)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    right = [bool(listed) and all(isinstance(row[column], int) for row in listed) for column in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


_NUMBER = re.compile(r"\s*[−-]?\d[\d,.]*( %)?\*?\s*")
_RIGHT = "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
_LEFT = "text-align:left"


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float | Decimal | Fraction) and not isinstance(value, bool)


def _styles(listed: Sequence[Sequence[Any]], columns: int) -> list[str]:
    """Return how each column is set: to the right where all of it reads as numbers.

    Texts in the first column are names, even those that consist of digits.
    """
    found = []
    for column in range(columns):
        cells = [row[column] for row in listed if row[column] not in (None, "")]
        names = column == 0 and any(isinstance(cell, str) for cell in cells)
        found.append(_RIGHT if cells and not names and all(map(_is_number, cells)) else _LEFT)
    return found


def html_table(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], *, faint: Collection[int] = (), below: Iterable[str] = ()
) -> str:
    """Return the same table for a notebook, on its own theme: columns of numbers, money and shares to the right.

    Rows whose places are in `faint` are in italics: what is not complete. The lines `below` follow the table.

    >>> "<i>2026-04 (in progress)</i>" in html_table(["month"], [["2026-03"], ["2026-04 (in progress)"]], faint={1})
    True
    """
    listed = [list(row) for row in rows]
    styles = _styles(listed, len(headers))
    head = "".join(
        f'<th style="{style}">{escape(header.strip())}</th>' for header, style in zip(headers, styles, strict=True)
    )
    body = []
    for place, row in enumerate(listed):
        cells = [escape(_cell(value).strip()) for value in row]
        if place in faint:
            cells = [f"<i>{cell}</i>" for cell in cells]
        body.append("".join(f'<td style="{style}">{cell}</td>' for cell, style in zip(cells, styles, strict=True)))
    after = "".join(f"<p>{escape(line)}</p>" for line in below)
    lines = "".join(f"<tr>{cells}</tr>" for cells in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>{after}"


def html_text(value: object) -> str:
    """Return what a value says of itself, as a paragraph for a notebook: a value's ``_repr_html_`` may be this.

    >>> html_text("100 < 200")
    '<p>100 &lt; 200</p>'
    """
    return f"<p>{escape(str(value))}</p>"


_DARK = (8, 81, 156)
"""A blue that everybody tells from white, whatever colours they see."""


def shade(share: Fraction | float) -> str:
    """Return the style of a cell as dark as a share is high, from white to blue, in the ink that reads best on it.

    Both colours are set, so that it reads the same on a dark page.

    >>> shade(0), shade(1)
    ('background:rgb(255,255,255);color:#000', 'background:rgb(8,81,156);color:#fff')
    """
    color = mixed(share)
    return f"background:rgb({','.join(map(str, color))});color:{ink_on(color)}"


def mixed(share: Fraction | float) -> tuple[int, ...]:
    """Return red, green and blue (0 to 255) of a share: white for 0 or less, the darkest blue for 1 or more.

    >>> mixed(0.5)
    (132, 168, 206)
    """
    part = min(max(float(share), 0.0), 1.0)
    return tuple(round(255 - (255 - dark) * part) for dark in _DARK)


def ink_on(color: Sequence[int]) -> str:
    """Return black or white, whichever reads better on a colour: the contrast is at least 4.5 to 1, as WCAG 2 asks.

    >>> ink_on((132, 168, 206)), ink_on((8, 81, 156))
    ('#000', '#fff')
    """
    # The luminance at which both contrast alike: (L + 0.05) / 0.05 = 1.05 / (L + 0.05).
    return "#000" if luminance(color) > 0.179 else "#fff"


def luminance(color: Sequence[int]) -> float:
    """Return the relative luminance of red, green and blue (0 to 255 each), as WCAG 2 defines it: 0 black, 1 white.

    >>> luminance((0, 0, 0)), luminance((255, 255, 255))
    (0.0, 1.0)
    """
    parts = [value / 255 for value in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return round(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2], 6)
