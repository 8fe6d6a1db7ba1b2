"""JSON as scenario documents hold it: read, and bounded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from loyaltykit._wire_scalars import MAX_DEPTH, near
from loyaltykit.errors import InputError


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InputError("json", name[:100], "this name comes twice in one object; give it once")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InputError("json", name, "is not JSON; give a finite number")


def decoded(text: str | bytes) -> Any:
    """Return the data of a JSON text; `InputError` with line and column for what is not JSON."""
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError("json", "...", "too many levels within each other") from None
    except ValueError as error:
        raise InputError("json", "...", str(error)) from None


def encoded(data: Any, width: int = 120, indent: int = 0, before: int = 0) -> str:
    """Return data as JSON for people: whatever fits into a line stands in one, everything else is broken into lines.

    `indent` is that of the line, of which `before` characters more are taken.

    >>> print(encoded({"title": "A gift", "steps": [{"at": "2026-01-01", "earn": 100}]}, width=40))
    {
      "title": "A gift",
      "steps": [
        {"at": "2026-01-01", "earn": 100}
      ]
    }
    """
    text = json.dumps(data, ensure_ascii=False)
    if indent + before + len(text) < width or not data or not isinstance(data, dict | list):
        return text
    inner = indent + 2
    if isinstance(data, list):
        parts, (start, end) = [encoded(each, width, inner) for each in data], "[]"
    else:
        named = ((json.dumps(name, ensure_ascii=False) + ": ", each) for name, each in data.items())
        parts, (start, end) = [name + encoded(each, width, inner, len(name)) for name, each in named], "{}"
    return start + ",".join(f"\n{' ' * inner}{part}" for part in parts) + f"\n{' ' * indent}{end}"


def check_depth(data: Any) -> None:
    """Refuse data that are nested deeper than anything that is read."""
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InputError("scenario", "...", f"at most {MAX_DEPTH} levels within each other")
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [item for items in inner for item in items]


def an_object(data: Any, place: str) -> dict[str, Any]:
    """Return `data` if it is an object."""
    if not isinstance(data, dict):
        raise InputError(place, "..." if isinstance(data, list) else data, "give an object, in braces")
    return data


def an_array(data: Any, place: str) -> list[Any]:
    """Return `data` if it is an array."""
    if not isinstance(data, list):
        raise InputError(place, "..." if isinstance(data, dict) else data, "give an array, in square brackets")
    return data


def check_names(data: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    """Refuse fields that are not among those that are known."""
    known = list(known)
    for name in data:
        if name not in known:
            path = f"{place}.{name[:100]}".removeprefix(".")
            raise InputError(path, "...", f"there is no such field; {near(name, known)}")
