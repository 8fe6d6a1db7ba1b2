"""How far people come: funnels of steps in an order, and messages that are sent, opened and clicked.

What is counted is visits, messages and the like, by their ids: telling the same twice changes nothing. Rates are exact,
and None of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import attrs

from loyaltykit.amounts import whole
from loyaltykit.errors import InputError
from loyaltykit.fields import count, flag, one_of, text
from loyaltykit.retention._listing import Listing, as_float, as_text, cells, part
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.tables import html_text

# ---------------------------------------------------------------- steps


@attrs.frozen
class FunnelStep:
    """One step: how many reached it, of how many that reached the step before (itself, in the first), and the first."""

    step: str
    count: int
    before: int
    first: int

    @property
    def lost(self) -> int:
        """How many of those at the step before did not reach this one."""
        return self.before - self.count

    @property
    def of_previous(self) -> Rate | None:
        """``count / before``: of those at the step before, the share that reached this one; None of nobody."""
        return rate(self.count, self.before)

    @property
    def of_first(self) -> Rate | None:
        """``count / first``: of all who began, the share that reached this step; None of nobody."""
        return rate(self.count, self.first)

    def __str__(self) -> str:
        return f"{self.step}: {self.count:,}"

    _repr_html_ = html_text


@attrs.frozen
class Funnel(Listing[FunnelStep]):
    """How many reached each step: iterate over it for steps, or make a frame of its `rows` and `columns`."""

    steps: tuple[FunnelStep, ...]

    columns = ("step", "count", "lost", "of_previous", "of_first")
    """The names of the columns of `rows`."""

    @property
    def rate(self) -> Rate | None:
        """The share of all who began that reached the last step; None of nobody."""
        return self.steps[-1].of_first

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a step; shares are floats there (1 is 100 %), None where they are of nobody."""
        return tuple(
            (each.step, each.count, each.lost, as_float(each.of_previous), as_float(each.of_first))
            for each in self.steps
        )

    def _values(self) -> tuple[FunnelStep, ...]:
        return self.steps

    def _shown(self, count: int) -> tuple[list[str], list[list[Any]]]:
        headers = ["step", "count", "lost", "of the step before", "of the first"]
        return headers, [
            [each.step, each.count, each.lost, as_text(each.of_previous), as_text(each.of_first)]
            for each in self.steps[:count]
        ]


def funnel(counts: Mapping[str, int] | Iterable[tuple[str, int]]) -> Funnel:
    """Return the funnel of how many reached each step, the first step first.

    Each is counted among those who reached the step before, so the counts never rise: one that does is refused. Where
    people may enter halfway, count by `reached`, for which whoever reached a step has been through those before it.

    >>> print(funnel({"visited": 1000, "cart": 300, "checkout": 120, "paid": 90}))
    step      count  lost  of the step before  of the first
    visited   1,000     0  100 %               100 %
    cart        300   700  30 %                30 %
    checkout    120   180  40 %                12 %
    paid         90    30  75 %                9 %
    """
    hint = "give a count for each of two steps or more, in their order, as in {'visited': 1000, 'paid': 90}"
    found: list[tuple[str, int]] = []
    for field, row in cells(list(counts.items()) if isinstance(counts, Mapping) else counts, "counts", (2, 2), hint):
        step, number = text(row[0], field), whole(row[1], field)
        if any(step == name for name, _ in found):
            raise InputError(field, step, "is named twice; give each step once")
        if found and number > found[-1][1]:
            name, least = found[-1]
            why = f"{step} has more than the {least} of {name} before it; count those of {name} who went on, or use"
            raise InputError(field, number, f"{why} reached(), which counts whoever is at a step in those before it")
        found.append((step, number))
    if len(found) < 2:
        raise InputError("counts", len(found), hint)
    before = [found[0][1], *(number for _, number in found)]
    steps = (FunnelStep(step, number, was, before[0]) for (step, number), was in zip(found, before, strict=False))
    return Funnel(tuple(steps))


def reached(events: Iterable[Sequence[str]], steps: Sequence[str]) -> Funnel:
    """Return the funnel of rows of (id, step), in any order: of visits, carts, customers, or whatever is followed.

    Each id counts once at a step, however often it is there, and at all steps before the last one that it reached: a
    checkout whose cart was not seen has had a cart. A step that is not among `steps` is refused.

    >>> seen = [("v1", "visited"), ("v2", "visited"), ("v1", "cart"), ("v1", "cart"), ("v3", "paid")]
    >>> [(each.step, each.count) for each in reached(seen, ["visited", "cart", "paid"])]
    [('visited', 3), ('cart', 2), ('paid', 1)]
    """
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        raise InputError("steps", steps, "give the names of the steps, the first step first")
    order = {text(step, f"steps[{place}]"): place for place, step in enumerate(steps)}
    if not 2 <= len(order) == len(steps):
        raise InputError("steps", tuple(steps), "give two steps or more, each once")
    furthest: dict[str, int] = {}
    for field, row in cells(events, "events", (2, 2), "give rows of (id, step)"):
        who, step = (text(cell, field) for cell in row)
        if step not in order:
            raise InputError(field, step, f"is no step: name one of {', '.join(steps)}, or leave the row out")
        furthest[who] = max(order[step], furthest.get(who, 0))
    ended = Counter(furthest.values())
    counts = list(accumulate(ended[place] for place in reversed(range(len(steps)))))
    return funnel(list(zip(steps, reversed(counts), strict=True)))


# ---------------------------------------------------------------- messages


Event = Literal["sent", "opened", "clicked"]

_MESSAGES = "give rows of (message, event, machine), as in ('m1', 'opened', False); machine may be left out"
_MORE_OPENED = "no more were sent; count each message once, however often it is opened"
_MORE_CLICKED = "no more were sent; count each message once, however often it is clicked"
_MORE_MACHINE = "no more were opened at all"
_NOT_OPENED = "no more were opened by people; a click shows that the message was opened, so count it as opened, too"


class Message(NamedTuple):
    """What is told of one message to one person: its id, what happened, and whether a machine did it, not a person."""

    message: str
    event: Event = "sent"
    machine: bool = False


@attrs.frozen
class Mailing:
    """How many messages were sent, opened (`machine` of them by machines alone) and clicked by people.

    Each message counts once. Machines open messages too: proxies that protect privacy open whatever arrives, and
    scanners follow links. The rates are those of people; with machines the open rate is ``opened / sent``.

    >>> print(Mailing(sent=1000, opened=405, machine=120, clicked=57))
    285 of 1,000 opened by people (28.5 %), 120 by machines alone; 57 clicked (5.7 %)
    """

    sent: int = attrs.field(converter=count("mailing.sent"))
    opened: int = attrs.field(converter=count("mailing.opened"))
    machine: int = attrs.field(default=0, converter=count("mailing.machine"))
    clicked: int = attrs.field(default=0, converter=count("mailing.clicked"))

    def __attrs_post_init__(self) -> None:
        part(self.opened, "mailing.opened", self.sent, _MORE_OPENED)
        part(self.machine, "mailing.machine", self.opened, _MORE_MACHINE)
        part(self.clicked, "mailing.clicked", self.by_people, _NOT_OPENED)

    @property
    def by_people(self) -> int:
        """How many were opened by people: ``opened - machine``. Some of the others may have been read as well."""
        return self.opened - self.machine

    @property
    def open_rate(self) -> Rate | None:
        """The share that people opened: ``(opened - machine) / sent``; None where nothing was sent."""
        return open_rate(self.sent, self.opened, self.machine)

    @property
    def open_rate_with_machines(self) -> Rate | None:
        """The share that anybody or anything opened: ``opened / sent``; None where nothing was sent."""
        return open_rate(self.sent, self.opened)

    @property
    def click_rate(self) -> Rate | None:
        """The share that people clicked: ``clicked / sent``; None where nothing was sent."""
        return click_rate(self.sent, self.clicked)

    @property
    def click_to_open_rate(self) -> Rate | None:
        """Of what people opened, the share that they clicked; None where they opened nothing."""
        return rate(self.clicked, self.by_people)

    def __str__(self) -> str:
        if not self.sent:
            return "nothing sent"
        opened = "" if self.open_rate is None else f" ({attrs.evolve(self.open_rate, note='')})"
        machines = f", {self.machine:,} by machines alone" if self.machine else ""
        return (
            f"{self.by_people:,} of {self.sent:,} opened by people{opened}{machines}; "
            f"{self.clicked:,} clicked ({self.click_rate})"
        )

    _repr_html_ = html_text


def open_rate(sent: int, opened: int, machine: int = 0) -> Rate | None:
    """Return the share of messages that people opened: ``(opened - machine) / sent``; None where nothing was sent.

    Each message counts once, however often it is opened. `machine` of the opened ones were opened by machines alone,
    such as the proxies that protect privacy in mail; without it they count, as most reports have it. Where it is known
    which messages did not arrive, leave those out of `sent`.

    >>> print(open_rate(sent=1000, opened=405))
    40.5 %
    >>> print(open_rate(sent=1000, opened=405, machine=120))
    28.5 % (120 that machines alone opened are not counted)
    """
    of = whole(sent, "sent")
    seen = part(opened, "opened", of, _MORE_OPENED)
    alone = part(machine, "machine", seen, _MORE_MACHINE)
    return rate(seen - alone, of, f"{alone:,} that machines alone opened are not counted" if alone else "")


def click_rate(sent: int, clicked: int) -> Rate | None:
    """Return the share of messages that were clicked: ``clicked / sent``; None where nothing was sent.

    >>> print(click_rate(sent=1000, clicked=57))
    5.7 %
    """
    of = whole(sent, "sent")
    return rate(part(clicked, "clicked", of, _MORE_CLICKED), of)


def mailing(messages: Iterable[Message | tuple[Any, ...]]) -> Mailing:
    """Return how many messages were sent, opened and clicked, from rows of `Message` in any order.

    An id is that of one message to one person. Whatever happened to it often, counts once; what was opened or clicked
    was sent, and what a person clicked, that person opened. What machines alone opened or clicked is told apart, and
    their clicks are none.

    >>> rows = [("m1", "sent"), ("m2", "sent"), ("m1", "opened", True), ("m1", "opened"), ("m2", "opened", True)]
    >>> print(mailing(rows))
    1 of 2 opened by people (50 %), 1 by machines alone; 0 clicked (0 %)
    """
    sent: set[str] = set()
    opened: dict[bool, set[str]] = {False: set(), True: set()}
    clicked: set[str] = set()
    for field, row in cells(messages, "messages", (1, 3), _MESSAGES):
        message, event, machine = Message(*row)
        one_of(f"{field}.event", Event)(event)
        by = flag(f"{field}.machine")(machine)
        sent.add(text(message, f"{field}.message"))
        if event != "sent":
            opened[by].add(message)
        if event == "clicked" and not by:
            clicked.add(message)
    alone = opened[True] - opened[False]
    return Mailing(len(sent), len(opened[False]) + len(alone), len(alone), len(clicked))
