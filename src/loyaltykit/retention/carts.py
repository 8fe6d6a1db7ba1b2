"""Carts that are left behind, by channel or device, and why.

What is counted is carts, by their ids: one customer may have several. Rates are exact, and None of nothing. What others
report is in ``benchmarks("checkout")``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from loyaltykit.amounts import whole
from loyaltykit.errors import InputError
from loyaltykit.fields import count, flag, optional, text, words
from loyaltykit.retention._listing import Listing, as_float, as_text, cells, part
from loyaltykit.retention.rates import Rate, rate
from loyaltykit.tables import html_text

# ---------------------------------------------------------------- reasons


@attrs.frozen
class Ranked:
    """One name in a ranking, how often it was counted, and its share."""

    name: str
    count: int
    share: Rate | None

    def __str__(self) -> str:
        return f"{self.name}: {self.count:,}" if self.share is None else f"{self.name}: {self.count:,} ({self.share})"

    _repr_html_ = html_text


@attrs.frozen
class Ranking(Listing[Ranked]):
    """Names by how often they were counted, the most frequent first: iterate over it, or make a frame of its `rows`."""

    ranked: tuple[Ranked, ...]

    columns = ("name", "count", "share")
    """The names of the columns of `rows`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names, the most frequent first."""
        return tuple(each.name for each in self.ranked)

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a name; the share is a float there (1 is 100 %), None of nothing."""
        return tuple((each.name, each.count, as_float(each.share)) for each in self.ranked)

    def _values(self) -> tuple[Ranked, ...]:
        return self.ranked

    def _shown(self, count: int) -> tuple[Sequence[str], list[list[Any]]]:
        return self.columns, [[each.name, each.count, as_text(each.share)] for each in self.ranked[:count]]


def ranking(counts: Mapping[str, int] | Iterable[str], of: int | None = None) -> Ranking:
    """Rank reasons, or other names, by how often each was given, with its share; those as frequent are by name.

    Give counts by name, or the names as they were given. The share is of all that was counted, or `of` so many who
    were asked, where each may have named several reasons, or none.

    >>> print(ranking({"shipping_cost": 28, "account": 23, "slow": 12}, of=100))
    name           count  share
    shipping_cost     28  28 %
    account           23  23 %
    slow              12  12 %
    """
    if isinstance(counts, str) or not isinstance(counts, Iterable):
        raise InputError("counts", counts, "give counts by name, or the names that were given")
    if isinstance(counts, Mapping):
        numbers = {text(name, "counts"): whole(number, f"counts[{name}]") for name, number in counts.items()}
    else:
        numbers = dict(Counter(text(name, f"counts[{place}]") for place, name in enumerate(counts)))
    asked = sum(numbers.values()) if of is None else whole(of, "of")
    for name, number in numbers.items():
        part(number, f"counts[{name}]", asked, "so many were asked; count each of them once for a reason")
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(tuple(Ranked(name, number, rate(number, asked)) for name, number in ordered))


# ---------------------------------------------------------------- carts


_CARTS = "give rows of (cart, completed, channel, reason); all after the cart's id may be left out"
_MORE_COMPLETED = "a cart that was completed was started; count it as started, too"


class Cart(NamedTuple):
    """What is told of one cart: its id, whether it was completed, and the channel or device; or why it was left."""

    cart: str
    completed: bool = False
    channel: str | None = None
    reason: str | None = None


@attrs.frozen
class Carts:
    """How many carts were started and how many of them completed, in a channel (None: not known) or in all.

    >>> print(Carts(started=200, completed=60, channel="mobile"))
    mobile: 140 of 200 carts abandoned (70 %)
    """

    started: int = attrs.field(converter=count("carts.started"))
    completed: int = attrs.field(converter=count("carts.completed"))
    channel: str | None = attrs.field(default=None, converter=optional(words("carts.channel")))

    def __attrs_post_init__(self) -> None:
        part(self.completed, "carts.completed", self.started, _MORE_COMPLETED)

    @property
    def abandoned(self) -> int:
        """How many were left behind: ``started - completed``."""
        return self.started - self.completed

    @property
    def rate(self) -> Rate | None:
        """The abandonment rate: ``abandoned / started``; None where no cart was started."""
        return rate(self.abandoned, self.started)

    def __str__(self) -> str:
        name = "" if self.channel is None else f"{self.channel}: "
        share = "" if self.rate is None else f" ({self.rate})"
        return f"{name}{self.abandoned:,} of {self.started:,} carts abandoned{share}"

    _repr_html_ = html_text


@attrs.frozen
class Abandonment(Listing[Carts]):
    """Carts by channel, most carts first: iterate over it, or make a frame of its `rows` and `columns`.

    `all` are the carts of all channels together, `reasons` why those that were left behind were, as far as it is known.
    """

    channels: tuple[Carts, ...]
    reasons: Ranking = Ranking(())

    columns = ("channel", "started", "completed", "abandoned", "rate")
    """The names of the columns of `rows`."""

    @property
    def all(self) -> Carts:
        """The carts of all channels together."""
        return Carts(sum(each.started for each in self.channels), sum(each.completed for each in self.channels))

    @property
    def rate(self) -> Rate | None:
        """The abandonment rate of all carts; None where there is none."""
        return self.all.rate

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """Plain data, a tuple a channel; the rate is a float there (1 is 100 %)."""
        return tuple(
            (each.channel, each.started, each.completed, each.abandoned, as_float(each.rate)) for each in self.channels
        )

    def _values(self) -> tuple[Carts, ...]:
        return self.channels

    def _shown(self, count: int) -> tuple[Sequence[str], list[list[Any]]]:
        named = [(each.channel or "not known", each) for each in self.channels[:count]]
        listed = [*named, ("all", self.all)]
        return self.columns, [
            [name, each.started, each.completed, each.abandoned, as_text(each.rate)] for name, each in listed
        ]

    def _note(self) -> str:
        reasons = ", ".join(f"{each.name} {each.count:,}" for each in self.reasons.ranked[:5])
        return f"why, where it is known: {reasons}" if reasons else ""


def abandonment_rate(started: int, completed: int) -> Rate | None:
    """Return the share of carts that were left behind: ``(started - completed) / started``; None of no cart.

    >>> print(abandonment_rate(started=1000, completed=300))
    70 %
    """
    number = whole(started, "started")
    return rate(number - part(completed, "completed", number, _MORE_COMPLETED), number)


def abandonment(carts: Iterable[Cart | tuple[Any, ...]]) -> Abandonment:
    """Return how many carts were abandoned, by channel and for which reasons, from rows of `Cart`.

    Rows with one id are one cart: started in the channel that the first of them names, completed if any of them says
    so, and otherwise left for the reason that the last of them names. A cart that is seen only when it is completed was
    started, too. One that is young may be completed yet: leave out those that were started in the last hours.

    >>> left = [("2", False, "mobile", "shipping_cost"), ("3", False, "mobile", "account"),
    ...         ("4", False, "web", "shipping_cost")]
    >>> print(abandonment([("1", False, "mobile"), ("1", True), *left, ("5", True, "web")]))
    channel  started  completed  abandoned  rate
    mobile         3          1          2  66.67 %
    web            2          1          1  50 %
    all            5          2          3  60 %
    why, where it is known: shipping_cost 2, account 1
    """
    found: dict[str, Cart] = {}
    for field, row in cells(carts, "carts", (1, 4), _CARTS):
        cart, completed, channel, reason = Cart(*row)
        text(cart, f"{field}.cart")
        flag(f"{field}.completed")(completed)
        optional(words(f"{field}.channel"))(channel)
        optional(words(f"{field}.reason"))(reason)
        was = found.get(cart, Cart(cart))
        found[cart] = Cart(cart, was.completed or completed, was.channel or channel, reason or was.reason)
    started = Counter(cart.channel for cart in found.values())
    done = Counter(cart.channel for cart in found.values() if cart.completed)
    ordered = sorted(started.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
    why = [cart.reason for cart in found.values() if not cart.completed and cart.reason is not None]
    return Abandonment(tuple(Carts(number, done[channel], channel) for channel, number in ordered), ranking(why))
