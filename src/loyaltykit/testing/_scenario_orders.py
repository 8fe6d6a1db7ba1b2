"""In which other orders the facts of a scenario are played, and in how many."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations

from loyaltykit.testing._scenario_read import Deed

ORDERS = 4
"""How often facts are replayed in a document that says so: twice, backwards, shuffled; three in every order."""

BACKWARDS = "facts backwards"


def parts(deeds: Sequence[Deed]) -> list[list[Deed]]:
    """Return the deeds from one command to the next, which comes first in the next part.

    A fact that is expected to be refused is left out, and what is seen is left for the end.
    """
    found: list[list[Deed]] = [[]]
    for deed in deeds:
        if deed.group == "command":
            found += [[deed], []]
        elif deed.group == "fact" and deed.refused is None:
            found[-1].append(deed)
    return found


def facts(part: Sequence[Deed]) -> list[Deed]:
    """Return the facts among the deeds of a part."""
    return [deed for deed in part if deed.group == "fact"]


def replays(deeds: Sequence[Deed]) -> Iterator[tuple[str, list[Deed]]]:
    """Yield the deeds in other orders, each with a name.

    Commands stay where they are. The facts between two of them come twice; backwards; and in some other orders.
    """
    divided = parts(deeds)
    yield "facts twice", [deed for part in divided for deed in (*part, *facts(part))]
    yield BACKWARDS, [deed for part in divided for deed in (*part[::-1], *facts(part))]
    longest = max(map(len, divided))
    chance = random.Random(longest)
    orders = [] if longest < 3 else list(permutations(range(longest)))[1:-1] if longest == 3 else [()] * (ORDERS - 2)
    for number, order in enumerate(orders, 1):
        mixed = [
            [part[place] for place in order if place < len(part)] if order else chance.sample(part, len(part))
            for part in divided
        ]
        yield f"facts in order {number}", [deed for part in mixed for deed in part]
