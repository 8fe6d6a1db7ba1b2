"""Tables that read well in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def number(value: int) -> str:
    """Return a whole number with its thousands separated and a real minus sign.

    >>> number(-12345)
    '−12,345'
    """
    return f"{value:,}".replace("-", "−")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


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


def html_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the same table for a notebook."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{"right" if isinstance(value, int) else "left"}">{escape(_cell(value))}</td>'
            for value in row
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
