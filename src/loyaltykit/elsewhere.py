"""Where the facts of an order are, once members were merged: with the member of whom it was told, or with others.

An order's lots are in one account; a fact about it goes there, and is judged by all that was told of the order, in
whichever accounts it was recorded meanwhile. Pure: from loaded records to where they belong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from loyaltykit import wire
from loyaltykit.books import Step
from loyaltykit.commands import View
from loyaltykit.errors import KeyReused
from loyaltykit.handover import Moved
from loyaltykit.journal import Context, Record
from loyaltykit.merges import came_at, note_of, path_to, prefix_of, strangers
from loyaltykit.recorded import FACTS
from loyaltykit.stories import OrderFact, key_of


class Absorbed(Exception):
    """The order may have been recorded of one of the `members` with whom this one is, or was, merged.

    `prefixes` are those of the lots that came from them.
    """

    def __init__(self, members: Sequence[str], prefixes: Sequence[str]) -> None:
        super().__init__(members, prefixes)
        self.members, self.prefixes = members, prefixes


class Elsewhere(NamedTuple):
    """What an order was recorded as before its lots came here with a merge, or came back: what was `told` by then.

    `home` is the absorbed member of whom it was told first, `prefix` that of its lots here, `records` are those in
    other accounts, `came` is when the lots came.
    """

    home: str | None = None
    prefix: str = ""
    records: Sequence[Record] = ()
    came: int = 0
    told: frozenset[str] = frozenset()

    def moved(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps of the order's story as those of this account: after the lots that they are about came.

        What happened before follows right after, an event a microsecond, in the order of the story. What was told by
        then has been done; so what is heard of only now, and happened before it, goes on from there.
        """
        if not self.told:
            return list(steps)
        last = {(step[3], step[4]): (place, step[5:]) for place, step in enumerate(steps) if step[2] in self.told}
        events: dict[tuple[Any, ...], int] = {}
        found = []
        for place, (at, rank, key, verb, name, *said) in enumerate(steps):
            if key not in self.told:
                after, standing = last.get((verb, name), (-1, said))
                said = standing if after > place else said
                if at <= self.came:
                    at = self.came + 1 + events.setdefault((at, rank, key), len(events))
            found.append([at, rank, key, verb, self.prefix + name, *said])
        return found


def found_elsewhere(
    view: View, elsewhere: Mapping[str, Sequence[Record]], own: Sequence[Record], ref: str, fact: OrderFact
) -> Elsewhere:
    """Return what an order was recorded as of members with whom this one is, or was, merged."""
    if not elsewhere:
        return Elsewhere()
    note, here = note_of(view.context.head), view.need.account.partition("/")[2]
    found = {
        member: sorted((r for r in records if r.ref == ref and r.kind in FACTS), key=lambda record: record.version)
        for member, records in elsewhere.items()
    }
    absorbed = [member for member in note.get("absorbed", ()) if found.get(member)]
    others = [record for records in found.values() for record in records]
    said = {json.loads(record.outcome).get("home") for record in (*own, *others)} - {None}
    home = next((member for member in (here, *note.get("absorbed", ())) if member in said), None)
    if absorbed and not said:  # the innermost
        home = max(absorbed, key=lambda member: len(path_to(note, member)))
    if home is None and said:  # the order came while one was merged into the other, and its lots stayed there
        raise Moved(min(said))
    if home is None and not own:
        for member in strangers(note):
            if any(json.loads(record.payload).get("member") == fact.member for record in found.get(member, ())):
                raise Moved(member)
    prefix, (came, version) = "", note.get("back", (0, 0))
    if home is None or home == here:
        home = None
    else:  # its lots came with a merge, and may have gone with this account, and come back, since
        prefix, (came, version) = prefix_of(note, home), max(came_at(note, home), (came, version), key=itemgetter(1))
    before = [record for record in own if record.version <= version]
    if not prefix and not before:
        return Elsewhere()
    return Elsewhere(home, prefix, others, came, frozenset(record.key for record in (*before, *others)))


def check_again(fact: OrderFact, note: Mapping[str, Any], elsewhere: Mapping[str, Sequence[Record]]) -> None:
    """Send a fact that was recorded of somebody with whom this member is, or was, merged to where it was recorded."""
    for member, records in elsewhere.items():
        for record in records:
            if record.key == key_of(fact):
                if record.fingerprint == wire.fingerprint(fact):
                    raise Moved(member)
                if member in note.get("absorbed", ()):
                    raise KeyReused("id", fact.id, f"was recorded of {member}, who has been merged into {fact.member}")


def with_others(context: Context, elsewhere: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Return an account's records with those of members with whom it is merged, or was: then of its own orders."""
    records, apart = [*context.records.values()], strangers(note_of(context.head))
    for member, others in elsewhere.items():
        records += others if member not in apart else ()
    orders = {record.ref for record in records if record.kind == "order"}
    for member in apart:
        records += [record for record in elsewhere.get(member, ()) if record.ref in orders]
    return records
