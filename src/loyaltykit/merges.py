"""What the head of an account notes of merges: who came here, by whose way, and where facts may be from other times.

The lots of a merged member come under a **prefix**: the names of those by way of whom they came, each with ``>``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from loyaltykit.journal import Head, stem


def note_of(head: Head | None) -> dict[str, Any]:
    """Return what an account's head notes of merges.

    `into`: into whom it was merged, `merges`: how often that happened. `absorbed`: who was merged into it, also by way
    of others; beside each, `via`: into whom they themselves were merged (themselves, if into this one), and `came`:
    when their lots came here, and after which record. `last`: out of whom it was taken again, `formerly`: in whose
    accounts facts about its orders may be from such times, and `back`: when its own lots came back, likewise.
    """
    note: dict[str, Any] = json.loads(head.note) if head is not None and head.note != "{}" else {}
    return note


def path_to(note: Mapping[str, Any], member: str) -> list[str]:
    """Return the way by which an absorbed member came, the outermost first.

    >>> path_to({"absorbed": ["bob", "ann"], "via": ["bob", "bob"], "came": [[7, 1], [7, 1]]}, "ann")
    ['bob', 'ann']
    """
    via = dict(zip(note.get("absorbed", ()), note.get("via", ()), strict=False))
    path = [member]
    while via.get(path[0], path[0]) != path[0]:
        path.insert(0, via[path[0]])
    return path


def prefix_of(note: Mapping[str, Any], member: str) -> str:
    """Return how the lots of an absorbed member begin: with the names of those by way of whom they came."""
    return "".join(f"{stem(each)}>" for each in path_to(note, member))


def came_at(note: Mapping[str, Any], member: str) -> tuple[int, int]:
    """Return when the lots of an absorbed member came, and after which record."""
    at, version = dict(zip(note["absorbed"], note.get("came", ()), strict=False)).get(member, (0, 0))
    return at, version


def without(note: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return what is noted of absorbed members once one of them is gone, with those who came by way of them."""
    rest = [
        (each, via, came)
        for each, via, came in zip(note.get("absorbed", ()), note.get("via", ()), note.get("came", ()), strict=True)
        if member not in path_to(note, each)
    ]
    return {
        "absorbed": [each[0] for each in rest],
        "via": [each[1] for each in rest],
        "came": [each[2] for each in rest],
    }


def links_of(note: Mapping[str, Any]) -> list[str]:
    """Return the members in whose accounts facts may be about the orders of this one."""
    return list(dict.fromkeys([*note.get("absorbed", ()), *note.get("formerly", ())]))


def strangers(note: Mapping[str, Any]) -> list[str]:
    """Return the members into whom this one was merged, and who have nothing to do with it now."""
    return [each for each in note.get("formerly", ()) if each not in note.get("absorbed", ())]


def formerly_of(account: str, note: Mapping[str, Any], *others: str) -> list[str]:
    """Return in whose accounts facts may be from other times about orders that are told of in this one."""
    known = dict.fromkeys([*others, *note.get("formerly", ())])
    known.pop(account.partition("/")[2], None)
    return list(known)
