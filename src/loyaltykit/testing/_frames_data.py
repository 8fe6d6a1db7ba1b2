"""Random customers for the conformance suite of frames: everything that can happen, at the edges of windows.

A `Sample` is drawn from one number. Its instants are steered: to the bounds of every window that its rules will use,
to the begins of local days and to changes of clocks, and to one microsecond before and after each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Literal

import attrs

from loyaltykit.amounts import from_minor
from loyaltykit.basis import BASES
from loyaltykit.calendar import Period, day_start, days, from_us, hours, local_date, months, to_us, weeks, years
from loyaltykit.facts import Activity, Fact, Line, Order, Refund, Reversal
from loyaltykit.history import History, Movement
from loyaltykit.windows import Anniversary, Between, CalendarWindow, Lifetime, Rolling, Window, bounds

TICK = timedelta(microseconds=1)

Road = Literal["full", "amounts", "alone"]
_ROADS: tuple[Road, ...] = ("full", "full", "full", "full", "amounts", "alone", "alone", "amounts")

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Berlin", "America/Havana")
_CURRENCIES = ("USD", "USD", "JPY", "KWD")

# Ends of months and years, and days on which clocks are changed in one of the zones.
_DAYS = (
    date(2024, 1, 1), date(2024, 2, 29), date(2024, 3, 10), date(2024, 3, 31), date(2024, 4, 7), date(2024, 8, 31),
    date(2024, 10, 6), date(2024, 10, 27), date(2024, 11, 3), date(2024, 12, 31), date(2025, 2, 28), date(2025, 3, 30),
)  # fmt: skip

# Names that engines may take for something else: quotes, nulls, patterns, statements, look-alikes.
_NAMES = (
    "o'brien", 'ann "q"', "a\\b", "50%_off", "x; DROP TABLE t; --", "NaN", "null", "None", "0", "1e5", "Ann", "ann",
    " ann", "Žofie", "日本", "É", "E\u0301", "🐈", "{0}", "$1", "`at`",
)  # fmt: skip
SKUS = {"beans": ("coffee",), "brew's": ("coffee", 'té "x"'), "leaf": ('té "x"',), "mug": (), "Löffel": ("NaN",)}
CATEGORIES = sorted({each for some in SKUS.values() for each in some})
CHANNELS = (None, "web", "wéb", "shop's")
CODES = ("WELCOME10", "welcome10 ", "Frühling", "FRÜHLING", "it's")
ACTIVITIES = ("review", "visit")
UNITS = ("points", "stamps")
FIRST = "first"
"""The id of the visit that is the first thing known of a customer, where nothing else tells it."""


@attrs.frozen(repr=False)
class Sample:
    """What one seed draws: an instant, a zone, a currency, windows to ask about, and the history of every customer.

    Guests have bought, too: their orders are in `guests`, under a member's name that no base knows. In two samples of
    four there is a list of all customers, with the instant of joining (`listed`); in the others customers are those of
    whom anything is known. `road` says what the rows of orders tell: everything (``full``), nothing of lines and of
    what is left of an order (``amounts``), or not even of which order they are, nothing being taken back (``alone``).
    """

    seed: int
    at: datetime
    zone: str
    currency: str
    windows: tuple[Window, ...]
    histories: dict[str, History]
    guests: History
    listed: bool
    road: Road

    def __repr__(self) -> str:
        return f"<Sample {self.seed}: {len(self.histories)} customers at {self.at.isoformat()} in {self.zone}>"


def sample(seed: int, customers: int = 100) -> Sample:
    """Draw so many customers. The same seed and number give the same sample.

    >>> sample(1, 5)
    <Sample 1: 5 customers at ... in ...>
    """
    rng = Random(seed)
    zone = ZONES[seed % len(ZONES)]
    currency = rng.choice(_CURRENCIES)
    start = day_start(rng.choice(_DAYS), zone)
    at = start + rng.choice([timedelta(0), -TICK, TICK, timedelta(hours=rng.randrange(24), minutes=30)])
    windows = _windows(rng, at)
    road = _ROADS[seed % len(_ROADS)]
    draw = _Draw(rng, at, zone, currency, windows, road)
    names = [*_NAMES, *(f"c{number}" for number in range(customers))][:customers]
    histories = {name: draw.history(name) for name in names}
    listed = seed // 2 % 2 == 0
    if not listed:
        histories = {name: _unlisted(history) for name, history in histories.items() if history.facts}
    return Sample(seed, at, zone, currency, windows, histories, draw.history("guest"), listed, road)


def _unlisted(history: History) -> History:
    """Return a history of which rows tell all: the first thing known of the customer is a visit."""
    known = attrs.evolve(history, joined=None)
    assert known.anchor is not None
    return attrs.evolve(known, facts=[*known.facts, Activity(FIRST, known.member, "visit", known.anchor)])


def _windows(rng: Random, at: datetime) -> tuple[Window, ...]:
    periods = [
        months(6), weeks(5), days(1), days(30), months(1), months(12), hours(24),
        Period(months=1, days=1, microseconds=5),
    ]  # fmt: skip
    units: list[Any] = ["day", "week", "month", "quarter", "half_year", "year"]
    fixed = (
        Between(date(2024, 2, 29), date(2024, 11, 3)),
        Between(at - timedelta(days=40), at + rng.choice([-TICK, TICK])),
    )
    return (
        Lifetime(),
        *map(Rolling, rng.sample(periods, 3)),
        *map(CalendarWindow, rng.sample(units, 2)),
        Anniversary(rng.choice([years(1), months(1)])),
        rng.choice(fixed),
    )


class _Draw:
    """Draws histories: about one instant, in one zone."""

    def __init__(
        self, rng: Random, at: datetime, zone: str, currency: str, windows: Sequence[Window], road: Road
    ) -> None:
        self.rng, self.at, self.zone, self.currency, self.road = rng, at, zone, currency, road
        self.edges = sorted({edge for window in windows for edge in self._edges(window)} | {at})
        bases = ["goods", "goods", "everything_paid", "before_discounts"] if road == "full" else ["goods"]
        self.basis = BASES[rng.choice(bases)]

    def _edges(self, window: Window) -> Iterator[datetime]:
        if not isinstance(window, Anniversary):
            span = bounds(window, self.at, self.zone)
            yield from (edge for edge in (span.start, span.end) if edge is not None)
        today = local_date(self.at, self.zone)
        for back in (0, 1, 7, 30):
            yield day_start(today - timedelta(days=back), self.zone)

    def moment(self) -> datetime:
        """Draw an instant: mostly at an edge, or a microsecond beside it; seldom later than the instant asked about."""
        rng = self.rng
        if rng.random() < 0.6:
            return rng.choice(self.edges) + rng.choice([0, 0, -1, 1]) * TICK
        if rng.random() < 0.1:
            return self.at + timedelta(hours=rng.randrange(1, 200))
        half_hours = rng.choice([rng.randrange(48 * 40), rng.randrange(48 * 700)])
        return self.at - timedelta(minutes=30 * half_hours)

    def soon(self, at: datetime) -> datetime:
        """Draw an instant, mostly not long after another one, now and then before it."""
        rng = self.rng
        return rng.choice([at, at + timedelta(hours=rng.randrange(1, 900)), self.moment(), self.at, self.at + TICK])

    def money(self, *cents: int) -> Decimal:
        return from_minor(self.rng.choice(cents), self.currency)

    def history(self, member: str) -> History:
        """Draw what a customer did; now and then nothing."""
        rng = self.rng
        facts: list[Fact] = []
        for number in range(rng.choice([0, 1, 1, 2, 3, 4, 6])):
            story = self.story if self.road == "full" else self.amounts
            facts += story(f"order {number}", member)
        for number in range(rng.choice([0, 0, 1, 3])):
            product = rng.choice([None, "mug", "leaf"])
            facts.append(Activity(f"{number}", member, rng.choice(ACTIVITIES), self.moment(), product=product))
        joined = None
        if rng.random() < 0.5:  # so that an anniversary is about now
            joined = rng.choice([years(1), years(3), months(1)]).before(self.at, self.zone)
            joined += rng.choice([timedelta(0), TICK, -TICK, timedelta(days=-3)])
        rng.shuffle(facts)
        return History(
            facts, member=member, currency=self.currency, zone=self.zone, basis=self.basis, joined=joined,
            movements=[self.movement() for _ in range(rng.choice([0, 0, 2, 4]))],
        )  # fmt: skip

    def movement(self) -> Movement:
        """Draw points that come or go, now and then told late."""
        rng, at = self.rng, to_us(self.moment())
        known = rng.choice([at, at, to_us(self.soon(from_us(at)))])
        kind = rng.choice(["earn", "earn", "redeem", "expire"])
        return Movement(at, known, rng.choice(UNITS), kind, rng.randint(-9, 9))

    def story(self, number: str, member: str) -> list[Fact]:
        """Draw what happened to one order: revisions, refunds (some cannot be true), reversals, also out of turn."""
        rng, at = self.rng, self.moment()
        first = self.order(number, member, at)
        found: list[Fact] = [first]
        if rng.random() < 0.2:
            changed = rng.choice([first, self.order(number, member, at)])
            moved = rng.choice([at, at, at - timedelta(days=1)])
            state = rng.choice([changed.state, "cancelled"])
            found.append(attrs.evolve(changed, at=moved, state=state, revision=2, revised_at=max(moved, self.soon(at))))
        for place in range(rng.choice([0, 0, 0, 1, 1, 2])):
            kind = rng.choice(["whole", "lines", "amount"])
            lines = amount = None
            if kind == "lines":
                lines = {rng.choice([line.name for line in first.lines] or ["none"]): rng.randint(0, 2)}
            if kind == "amount":
                amount = self.money(1, 333, 1000)
            found.append(Refund(f"{number}:{place}", member, number, self.soon(at), lines, amount))
            if rng.random() < 0.25:
                found.append(Reversal(f"{number}:{place}", member, number, f"{number}:{place}", self.soon(at)))
        return found

    def amounts(self, number: str, member: str) -> list[Fact]:
        """Draw an order of which rows without lines tell all: its amount, and what of it was taken back."""
        rng, at = self.rng, self.moment()
        codes = rng.sample(CODES, rng.choice([0, 0, 1, 2]))
        amount, channel = self.money(1, 999, 1000, 2500), rng.choice(CHANNELS)
        found: list[Fact] = [Order(number, member, at, channel=channel, codes=codes, amount=amount)]
        for place in range(0 if self.road == "alone" else rng.choice([0, 0, 1, 2])):
            taken = rng.choice([None, self.money(1, 333, 999, 1000)])
            found.append(Refund(f"{number}:{place}", member, number, self.soon(at), amount=taken))
            if rng.random() < 0.25:
                found.append(Reversal(f"{number}:{place}", member, number, f"{number}:{place}", self.soon(at)))
        return found

    def order(self, number: str, member: str, at: datetime) -> Order:
        """Draw an order: plain, by its amount alone, or with whatever there may be to it."""
        rng = self.rng
        codes = rng.sample(CODES, rng.choice([0, 0, 1, 2]))
        plain = Order(number, member, at, channel=rng.choice(CHANNELS), codes=codes)
        kind = rng.choice(["plain", "plain", "amount", "special"])
        if kind == "amount":
            return attrs.evolve(plain, amount=self.money(0, 1, 999, 1000, 2500))
        special = kind == "special"
        lines = [self.line(special) for _ in range(rng.choice([1, 1, 2, 3]))]
        order = attrs.evolve(plain, lines=lines)
        if not special:
            return order
        least = min(self.money(0, 101), sum((line.net for line in lines if not line.donation), Decimal(0)))
        return attrs.evolve(
            order, discount=least, shipping=self.money(0, 490), tax=self.money(0, 37),
            state=rng.choice(["paid", "paid", "placed", "draft", "cancelled"]),
        )  # fmt: skip

    def line(self, special: bool) -> Line:
        """Draw a line: of goods, or of something special."""
        rng, sku = self.rng, self.rng.choice(sorted(SKUS))
        kind = rng.choice(["goods", "goods", "gift_card", "donation"]) if special else "goods"
        return Line(
            sku, rng.choice([1, 2, 3]), total=self.money(0, 1, 333, 1000, 2500), categories=SKUS[sku],
            gift_card=kind == "gift_card", donation=kind == "donation",
        )  # fmt: skip
