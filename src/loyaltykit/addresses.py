"""E-mail addresses: checked, hashed, and read from a text or CSV export, which says what it took and what not, and why.

An address is trimmed and in lower case throughout. Its form is checked by RFC 5321 (at most 64 characters before
the ``@``, 254 in all, 63 in a part of the domain) and RFC 5322 (dot-atoms only: no quoted names, no ``[192.0.2.1]``),
with letters of all scripts (RFC 6531); a domain is kept as it is written, in its own letters or as ``xn--``. Whether
anybody reads it, nobody can tell from its form.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import attrs

from loyaltykit.errors import InputError

MAX_SIZE = 10_000_000
"""Characters (or bytes) of an export that are read unless told otherwise."""

MAX_ENTRIES = 1_000_000
"""Addresses, good and bad, that one export may have."""

_SHOWN = 80
_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.")
_DOMAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_HEADERS = ("email", "emailaddress", "mail", "mailaddress", "customeremail")


# ---------------------------------------------------------------- one address


def address(value: Any, field: str = "address") -> str:
    """Return an e-mail address, trimmed and in lower case; raise `InputError` for `field` if it is malformed.

    >>> address(" Ana@Example.com ")
    'ana@example.com'
    """
    found, wrong = parsed(value)
    if wrong:
        raise InputError(field, shown(value) if isinstance(value, str) else value, wrong)
    return found


def hashed(value: str) -> str:
    """Return the SHA-256, in hexadecimal, of a trimmed lower-case address (UTF-8), as ad services match customers by.

    >>> hashed(" Ana@Example.com") == hashed("ana@example.com")
    True
    """
    return sha256(address(value).encode()).hexdigest()


def parsed(value: Any) -> tuple[str, str]:
    """Return an address as it is kept, and what is wrong with it: of the two, one is ``""``.

    >>> parsed("Ann <Ann@Example.com>"), parsed("ana@example")
    (('ann@example.com', ''), ('', 'the domain has no dot'))
    """
    if not isinstance(value, str):
        return "", "is no text"
    value = value.strip()
    if value.endswith(">") and "<" in value:  # Ann <ann@example.com>, as mail programs copy it
        value = value[value.rindex("<") + 1 : -1].strip()
    if not value:
        return "", "no address"
    if len(value) > 254:
        return "", "longer than 254 characters"
    if not value.isprintable():
        return "", "has characters that cannot be seen"
    if not value.isascii():
        value = unicodedata.normalize("NFC", "".join(map(_foreign, value)))
    value = value.lower()
    local, at, domain = value.rpartition("@")
    if not at:
        return "", "has no @"
    if "@" in local:
        return "", "has more than one @"
    wrong = _wrong_local(local) or _wrong_domain(domain)
    return ("", wrong) if wrong else (value, "")


def _foreign(char: str) -> str:
    # A few letters of other scripts turn into ASCII ones, such as the Kelvin sign into k: it would be someone else's
    # address. A space in its place is refused below.
    if char.isascii():
        return char
    return " " if any(c.isascii() for c in unicodedata.normalize("NFC", char).lower()) else char


def _wrong_local(local: str) -> str:
    if not local:
        return "nothing before the @"
    if len(local.encode()) > 64:
        return "longer than 64 characters before the @"
    if not _made_of(local, _LOCAL):
        return "has characters that an address does not have"
    if local[0] == "." or local[-1] == "." or ".." in local:
        return "has a dot too many before the @"
    return ""


def _wrong_domain(domain: str) -> str:
    if not domain:
        return "nothing after the @"
    if not _made_of(domain, _DOMAIN):
        return "has characters that a domain does not have"
    parts = domain.split(".")
    if len(parts) < 2:
        return "the domain has no dot"
    if not all(parts):
        return "has a dot too many after the @"
    if any(len(part) > 63 or part[0] == "-" or part[-1] == "-" for part in parts) or parts[-1].isdigit():
        return "is at no possible domain"
    return ""


def _made_of(part: str, allowed: frozenset[str]) -> bool:
    return all(c in allowed or (not c.isascii() and unicodedata.category(c)[0] in "LMN") for c in part)


def shown(value: str) -> str:
    """Return a text from outside as it may be shown: short, and without control characters."""
    brief = value[: _SHOWN + 1].strip()
    plain = "".join(c if c.isprintable() else "�" for c in brief)
    return plain if len(value) <= _SHOWN else plain[: _SHOWN - 1] + "…"


# ---------------------------------------------------------------- reading an export


@attrs.frozen
class Rejection:
    """What was refused of an export: the line it stands on, from 1; its text, shortened; and why."""

    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text!r} {self.reason}"


@attrs.frozen
class Batch:
    """What was read of an export: the addresses taken, in its order; what was refused; how many came again."""

    accepted: tuple[str, ...]
    rejected: tuple[Rejection, ...] = ()
    duplicates: int = 0

    def __str__(self) -> str:
        return f"{len(self.accepted):,} accepted, {len(self.rejected):,} rejected, {self.duplicates:,} duplicates"


def read_text(export: str | bytes, *, limit: int = MAX_SIZE) -> Batch:
    r"""Read addresses that stand one a line, or several with commas or semicolons between them.

    ``Ann <ann@example.com>`` is the address in it; empty lines are passed over. Bytes are UTF-8; a byte order
    mark and any line ends are fine. Raises `InputError` for more than `limit` characters (or bytes) or `MAX_ENTRIES`
    addresses, and for what is no text.

    >>> batch = read_text(" Ana@Example.com \nbo@example.com\nana@example.com\nnot-an-email\n")
    >>> batch.accepted, [str(each) for each in batch.rejected], batch.duplicates
    (('ana@example.com', 'bo@example.com'), ["line 4: 'not-an-email' has no @"], 1)
    """
    lines = _lines(export, limit)
    return _collect((number, entry) for number, line in enumerate(lines, 1) for entry in _entries(line))


def read_csv(
    export: str | bytes, column: str | int | None = None, *, delimiter: str | None = None, limit: int = MAX_SIZE
) -> Batch:
    r"""Read the addresses of one column of a CSV export.

    `column` is the name of its header (case does not matter) or its number, from 1. Left out, it is the only column,
    or else the one called ``email`` or the like. A first row without any ``@`` is the header. `delimiter` is, unless
    given, the comma, semicolon or tab of which the first line has most. A row without an address is rejected, an
    empty row is not. Sizes, bytes and line ends as in `read_text`.

    Raises `InputError` where there is no such column, and for quotes that are never closed.

    >>> read_csv("id,E-mail\r\n1,Ana@Example.com\r\n2,\r\n").accepted
    ('ana@example.com',)
    """
    if column is not None and not isinstance(column, str) and (type(column) is not int or column < 1):
        raise InputError("column", column, "give the name of a header, or a number from 1")
    lines = _lines(export, limit)
    first = next((line for line in lines if line.strip()), "")
    if delimiter is None:
        delimiter = max(",;\t", key=first.count)  # of equals the first: the comma
    elif not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '" \r\n':
        raise InputError("delimiter", delimiter, "give one character, as in ';'")
    rows = _rows(lines, delimiter)
    head = next(rows, None)
    return Batch(()) if head is None else _collect(_cells(head, rows, column))


def _rows(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows that are not empty, each with the number of the line it begins on."""
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        began = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:  # an unclosed quote swallows what follows: nothing of it can be trusted
            hint = f"the row that begins on line {began} is not CSV ({error}); close or double its quotes"
            raise InputError("export", shown(lines[began - 1]), hint) from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield began, row


def _cells(
    head: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]], column: str | int | None
) -> Iterator[tuple[int, str]]:
    headed = not any("@" in cell for cell in head[1])
    place = _place([cell.strip() for cell in head[1]], headed, column)
    if not headed:
        yield head[0], head[1][place]
    for number, row in rows:
        yield number, row[place] if place < len(row) else ""


def _place(names: list[str], headed: bool, column: str | int | None) -> int:
    """Return which column is meant, from 0."""
    if isinstance(column, int):
        if column > len(names):
            raise InputError("column", column, f"the first row has {len(names)}")
        return column - 1
    choices = f"choose one of {', '.join(map(shown, names[:50]))}, or give its number, from 1"
    if column is not None:
        wanted = column.strip().casefold()
        places = [place for place, name in enumerate(names) if headed and name.casefold() == wanted]
        if len(places) != 1:
            several = "the header is there more than once" if places else "there is no such header"
            raise InputError("column", column, f"{several}; {choices}" if headed else "give its number: no header")
        return places[0]
    if len(names) == 1:
        return 0
    if headed:
        plain = ["".join(c for c in name.casefold() if c.isalnum()) for name in names]
        for header in _HEADERS:
            if plain.count(header) == 1:
                return plain.index(header)
        raise InputError("column", None, f"say which one it is; {choices}")
    places = [place for place, name in enumerate(names) if "@" in name]
    if len(places) != 1:
        raise InputError("column", None, "several columns have an @; give the number of the one that is meant")
    return places[0]


def _lines(export: str | bytes, limit: int) -> list[str]:
    if not isinstance(export, str | bytes | bytearray):
        raise InputError("export", type(export).__name__, "give the content of the export, as str or bytes")
    if len(export) > limit:
        raise InputError("export", f"{len(export)} characters", f"at most {limit}; pass limit= to allow more")
    if not isinstance(export, str):
        hint = "is not UTF-8; decode it first, as in data.decode('utf-16') or data.decode('cp1252')"
        try:
            export = export.decode()
        except UnicodeDecodeError:
            raise InputError("export", "...", hint) from None
        if "\0" in export:
            raise InputError("export", "...", hint)
    # Not splitlines: it also splits at characters that no export means as the end of a line.
    return export.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _entries(line: str) -> list[str]:
    """Return the entries of a line that are not empty; a comma within quotes does not separate."""
    pieces = line.split('"')
    pieces[::2] = [piece.replace(",", "\n").replace(";", "\n") for piece in pieces[::2]]
    parts = "".join(pieces).split("\n")
    return [part for part in parts if part.strip()]


def _collect(entries: Iterable[tuple[int, str]]) -> Batch:
    accepted: dict[str, None] = {}
    rejected: list[Rejection] = []
    duplicates = 0
    for count, (line, entry) in enumerate(entries, 1):
        if count > MAX_ENTRIES:
            raise InputError("export", f"more than {MAX_ENTRIES} addresses", "split the export into several")
        found, wrong = parsed(entry)
        if wrong:
            rejected.append(Rejection(line, shown(entry), wrong))
        elif found in accepted:
            duplicates += 1
        else:
            accepted[found] = None
    return Batch(tuple(accepted), tuple(rejected), duplicates)
