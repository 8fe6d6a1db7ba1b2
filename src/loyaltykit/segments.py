"""Named parts of a customer base: who belongs now, who joined or left, the top spenders, the interested, the lapsed.

A base is a mapping of member ids to histories, as `loyaltykit.history.histories` makes it. Everything is worked out
from the histories at an instant; nothing is kept, so asking again gives the same answer, and no change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import floor
from typing import Any, Literal

import attrs

from loyaltykit import fields
from loyaltykit.amounts import exact, whole
from loyaltykit.calendar import Period, days, instant, months, to_us, weeks
from loyaltykit.conditions import Condition
from loyaltykit.errors import InputError, WrongCurrency
from loyaltykit.fields import text, texts
from loyaltykit.grants import Decision
from loyaltykit.history import History
from loyaltykit.matching import category
from loyaltykit.measures import activities, orders, spend
from loyaltykit.windows import Window, lifetime

Base = Mapping[str, History]
Lifecycle = Literal["prospect", "one_time", "repeat", "lapsed"]
InterestSource = Literal["declared", "derived"]

LAPSED = days(90)
"""How long without an order makes a customer a lapsed one, unless told otherwise."""

_EVER = lifetime()

# ---------------------------------------------------------------- segments


FORM = 1
"""The version of the form in which segments are written as data."""


def _form(value: Any) -> int:
    if value is True or value != FORM:
        raise InputError("segment.form", value, f"this version of loyaltykit reads form {FORM}")
    return FORM


@attrs.frozen
class Segment:
    """A condition with a name. As data it is written and read by `loyaltykit.wire`.

    `form` is the version of that data; data without it is of form 1. Another one is refused, rather than misread.

    >>> print(Segment("regulars", orders(weeks(5)) >= 5))
    regulars: placed at least 5 orders in the past 5 weeks
    """

    name: str = attrs.field(converter=fields.named("segment.name"))
    condition: Condition = attrs.field(
        converter=fields.a("segment.condition", Condition, "give a condition, as in spend(months(6)) >= '250.00'")
    )
    form: int = attrs.field(default=FORM, converter=_form, kw_only=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.condition}"


def loyal(amount: Any = "250.00", count: int = 5) -> Segment:
    """Return the usual segment of loyal customers: by what they spent in 6 months, or how often they came in 5 weeks.

    >>> print(loyal())
    loyal: spent at least 250.00 in the past 6 months, or placed at least 5 orders in the past 5 weeks
    """
    return Segment("loyal", (spend(months(6)) >= amount) | (orders(weeks(5)) >= count))


def members(segment: Segment | Condition, base: Base, at: datetime) -> tuple[str, ...]:
    """Return the ids, sorted, of those in the base for whom the segment's condition holds at an instant.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> from loyaltykit.history import histories
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> base = histories([Order("1", "bo", at, amount="300.00"), Order("2", "ann", at, amount="90.00")])
    >>> members(loyal(), base, at)
    ('bo',)
    """
    condition = segment.condition if isinstance(segment, Segment) else segment
    if not isinstance(condition, Condition):
        raise InputError("segment", segment, "give a segment or a condition")
    us = to_us(instant(at))
    return tuple(member for member, history in _sorted(base) if condition.holds(history, us))


def _sorted(base: Base) -> list[tuple[str, History]]:
    if not isinstance(base, Mapping):
        raise InputError("base", type(base).__name__, "give histories by member, as histories(facts) makes them")
    for member, history in base.items():
        if not isinstance(history, History):
            raise InputError("base", member, "give a History for each member")
    return sorted(base.items(), key=lambda item: item[0])


@attrs.frozen
class Delta:
    """Who joined a segment and who left it, sorted."""

    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nobody joined and nobody left."""
        return not self.joined and not self.left

    def __str__(self) -> str:
        return f"{len(self.joined):,} joined, {len(self.left):,} left"


def delta(before: Iterable[str], after: Iterable[str]) -> Delta:
    """Return who is in `after` alone, and who was in `before` alone.

    >>> delta(["ana", "bo"], ["bo", "cy"])
    Delta(joined=('cy',), left=('ana',))
    """
    was, now = set(texts("before")(before)), set(texts("after")(after))
    return Delta(tuple(sorted(now - was)), tuple(sorted(was - now)))


def changes(segment: Segment | Condition, base: Base, since: datetime, at: datetime) -> Delta:
    """Return who joined a segment and who left it between two instants, by what was known at each of them."""
    return delta(members(segment, base, since), members(segment, base, at))


# ---------------------------------------------------------------- the top


def top(
    values: Mapping[str, int | Decimal | None], n: int | None = None, *, share: Any = None, ties: bool = True
) -> tuple[str, ...]:
    """Return the ids with the highest values: the highest first, equal ones by id.

    Give `n`, how many, or `share`, which part of all that are in `values` (above 0 and up to 1, as ``"0.25"``, Decimal
    or Fraction; a float is refused). A share is rounded down to whole places, but to one at least. Whoever equals the
    last of them is in too, unless `ties` is False. None, 0 and less never qualify, however many places are left.

    >>> spent = {"ana": 100, "bo": 300, "cy": 300, "di": 50}
    >>> top(spent, share="0.25"), top(spent, 1, ties=False)
    (('bo', 'cy'), ('bo',))
    """
    if (n is None) == (share is None):
        raise InputError("n", n, "give n or share, one of the two")
    places = _places(share, len(values)) if n is None else whole(n, "n")
    ranked = sorted((member, value) for member, value in values.items() if _counts(value))
    ranked.sort(key=lambda item: item[1], reverse=True)  # type: ignore[arg-type,return-value]  # no None is left
    if ties and 0 < places < len(ranked):
        while places < len(ranked) and ranked[places][1] == ranked[places - 1][1]:
            places += 1
    return tuple(member for member, _ in ranked[:places])


def _places(share: Any, size: int) -> int:
    part = exact(share, "share")
    if not 0 < part <= 1:
        raise InputError("share", share, "give a part of all, above 0 and up to 1, as in '0.25'")
    return max(1, floor(part * size))


def _counts(value: Any) -> bool:
    if value is None:
        return False
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or (isinstance(value, Decimal) and value.is_nan())
    ):
        raise InputError("values", value, "give whole numbers or Decimals; a float is not exact")
    return value > 0


def top_spenders(
    base: Base,
    at: datetime,
    window: Window | Period = _EVER,
    *,
    n: int | None = None,
    share: Any = None,
    ties: bool = True,
) -> tuple[str, ...]:
    """Return the ids of those who spent most in a window, net of refunds, the highest first; see `top`.

    A share is one of the whole base, with those who bought nothing. Raises `WrongCurrency` where the histories are in
    several currencies, which do not compare.
    """
    listed, measure = _sorted(base), spend(window)
    currencies = sorted({history.currency for _, history in listed})
    if len(currencies) > 1:
        raise WrongCurrency("base", ", ".join(currencies), "rank the members of one currency at a time")
    return top({member: measure.value(history, at) for member, history in listed}, n, share=share, ties=ties)


# ---------------------------------------------------------------- stages


def stage(history: History, at: datetime, lapsed: Period = LAPSED) -> Lifecycle:
    """Return where somebody stands: ``prospect``, ``one_time``, ``repeat`` or ``lapsed``.

    Without an order of which something remains it is ``prospect``; with none placed later than `lapsed` ago,
    ``lapsed``; with one order ``one_time``, with more ``repeat``. A lapsed customer who buys again is ``repeat``.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Order
    >>> history = History([Order("1", "ann", datetime(2024, 4, 1, tzinfo=UTC), amount="20.00")])
    >>> stage(history, datetime(2024, 6, 29, tzinfo=UTC)), stage(history, datetime(2024, 6, 30, tzinfo=UTC))
    ('one_time', 'lapsed')
    """
    if not isinstance(lapsed, Period):
        raise InputError("lapsed", lapsed, "give a period, as in days(90)")
    count = orders().value(history, at)
    if not count:
        return "prospect"
    if not orders(lapsed).value(history, at):
        return "lapsed"
    return "one_time" if count == 1 else "repeat"


def stages(base: Base, at: datetime, lapsed: Period = LAPSED) -> dict[str, Lifecycle]:
    """Return the stage of everybody in the base at an instant, by id, sorted."""
    return {member: stage(history, at, lapsed) for member, history in _sorted(base)}


@attrs.frozen
class StageChange:
    """That a member went from one stage to another."""

    member: str
    before: Lifecycle
    after: Lifecycle


def stage_changes(before: Mapping[str, Lifecycle], after: Mapping[str, Lifecycle]) -> tuple[StageChange, ...]:
    """Return whose stage changed, sorted by id; whoever is in one of the two only is a prospect in the other.

    >>> stage_changes({"ann": "one_time", "bo": "repeat"}, {"ann": "repeat", "bo": "repeat", "cy": "prospect"})
    (StageChange(member='ann', before='one_time', after='repeat'),)
    """
    found = []
    for member in sorted({*before, *after}):
        was, now = before.get(member, "prospect"), after.get(member, "prospect")
        if was != now:
            found.append(StageChange(member, was, now))
    return tuple(found)


# ---------------------------------------------------------------- interests


def _topic(value: Any, field: str = "topic") -> str:
    topic = text(value, field).strip().casefold()
    if not topic:
        raise InputError(field, value, "give a name, as in 'dog'")
    return topic


def _as_topic(field: str) -> Any:
    return lambda value: _topic(value, field)


@attrs.frozen
class Interest:
    """That a topic concerns a member, or (`wanted` False) does not, from the instant `at` on.

    It was ``declared`` by the member, or ``derived`` from what was bought. Topics are compared without regard to case
    and outer spaces.
    """

    member: str = attrs.field(converter=fields.words("interest.member"))
    topic: str = attrs.field(converter=_as_topic("interest.topic"))
    at: datetime = attrs.field(converter=fields.moment("interest.at"), eq=to_us)
    wanted: bool = attrs.field(default=True, converter=fields.flag("interest.wanted"))
    source: InterestSource = attrs.field(
        default="declared", converter=fields.one_of("interest.source", InterestSource), kw_only=True
    )


def derive(
    base: Base, topics: Mapping[str, str], at: datetime, window: Window | Period = _EVER
) -> tuple[Interest, ...]:
    """Return what the purchases of a window say about interests; `topics` has the topic of each category.

    What was given back says nothing. A gift may mislead: what members declare counts before it (see `interests`).
    Derive anew each time rather than keep the entries.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Line, Order
    >>> from loyaltykit.history import histories
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> base = histories([Order("1", "ann", at, [Line("chow", total="9.00", categories="dog food")])])
    >>> [(entry.member, entry.topic) for entry in derive(base, {"dog food": "dog", "cat food": "cat"}, at)]
    [('ann', 'dog')]
    """
    named: dict[str, list[str]] = {}
    for name, topic in topics.items():
        named.setdefault(_topic(topic), []).append(name)
    measures = [(topic, orders(window, where=category(*names))) for topic, names in sorted(named.items())]
    return tuple(
        Interest(member, topic, at, source="derived")
        for member, history in _sorted(base)
        for topic, measure in measures
        if measure.value(history, at)
    )


def interests(entries: Iterable[Interest], at: datetime) -> dict[str, tuple[str, ...]]:
    """Return the topics, sorted, that concern each member at an instant.

    Of each topic the last word at or before the instant counts; of two at the same instant, the no. Declared beats
    derived: whoever has declared a topic has the declared ones only, and a declared no removes a derived topic.
    """
    now = to_us(instant(at))
    last: dict[tuple[str, str, InterestSource], tuple[int, bool]] = {}
    for entry in entries:
        rank = (to_us(entry.at), not entry.wanted)
        key = (entry.member, entry.topic, entry.source)
        if rank[0] <= now and (key not in last or last[key] < rank):
            last[key] = rank
    said: dict[InterestSource, dict[str, set[str]]] = {"declared": {}, "derived": {}}
    refused = set()
    for (member, topic, source), (_, no) in last.items():
        topics = said[source].setdefault(member, set())
        if not no:
            topics.add(topic)
        elif source == "declared":
            refused.add((member, topic))
    found = {}
    for member in sorted({*said["declared"], *said["derived"]}):
        derived = {topic for topic in said["derived"].get(member, ()) if (member, topic) not in refused}
        found[member] = tuple(sorted(said["declared"].get(member) or derived))
    return found


def interested(interests: Mapping[str, Collection[str]], topic: str) -> tuple[str, ...]:
    """Return the ids, sorted, of those whom a topic concerns; nobody of whom no interest is known.

    >>> known = {"ana": {"cat"}, "bo": {"dog"}, "cy": {"cat", "dog"}, "di": set()}
    >>> interested(known, "dog"), interested(known, "cat")
    (('bo', 'cy'), ('ana', 'cy'))
    """
    wanted = _topic(topic)
    return tuple(
        sorted(member for member, topics in interests.items() if wanted in map(_topic, texts("topics")(topics)))
    )


def announce(
    name: str,
    topic: str | None,
    interests: Mapping[str, Collection[str]],
    consenting: Iterable[str],
    at: datetime,
    ends: datetime | None = None,
) -> tuple[Decision, ...]:
    """Return an announcement for each member whom its topic concerns and who has consented to get one.

    General news have no topic (None) and go to all of `interests` who consented, those with no topic as well: give them
    ``()``. `name` tells announcements apart: by its key, ``announcement:<name>:<member>``, each goes to a member once.
    It is due from `at` until `ends` (exclusive); when it is taken up, ask for consent again.

    >>> from datetime import UTC
    >>> known, at = {"ana": ["cat"], "bo": ["dog"], "cy": ["cat", "dog"]}, datetime(2026, 3, 2, tzinfo=UTC)
    >>> [decision.key for decision in announce("new leashes", "dog", known, ["ana", "cy"], at)]
    ['announcement:new leashes:cy']
    """
    chosen = tuple(sorted(interests)) if topic is None else interested(interests, topic)
    willing = set(texts("consenting")(consenting))
    reason = "for everybody" if topic is None else f"interested in {_topic(topic)}"
    data = {"name": text(name, "announcement.name"), **({} if topic is None else {"topic": _topic(topic)})}
    return tuple(
        Decision("announcement", member, f"announcement:{name}:{member}", at, ends, reason=reason, data=data)
        for member in chosen
        if member in willing
    )


# ---------------------------------------------------------------- engagement


def engagement(history: History, weights: Mapping[str, int], at: datetime, window: Window | Period = _EVER) -> int:
    """Return how engaged a member is: each activity in the window counts its weight, one without a weight nothing.

    ``score = sum(weights[name] * how often)``. Weights are whole numbers; a negative one (``unsubscribe``) takes away.
    A mail opened by a machine, such as a proxy that loads its images, is no reading: give it another name.

    >>> from datetime import UTC
    >>> from loyaltykit.facts import Activity
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> names = ["email_read", "review", "share", "email_read", "bounce"]
    >>> history = History([Activity(str(place), "ann", name, at) for place, name in enumerate(names)])
    >>> engagement(history, {"email_read": 1, "review": 5, "share": 3}, at)
    10
    """
    least = -(10**9)
    return sum(
        whole(weight, "weights", least, -least) * int(activities(name, window).value(history, at) or 0)
        for name, weight in weights.items()
    )
