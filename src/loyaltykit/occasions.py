"""Birthdays, anniversaries and seasons: days that come round, and what a customer gets on them, once each time.

An occasion is a frozen rule. `due` derives, at an instant, what is to be carried out, as decisions with natural keys;
the host carries each out and says so by its key, in `done`, and it does not come again. A job may run at any hour, as
often as it likes, and may miss as many days as `catch_up` says.

* Days are local: in the member's zone where it is known, else in the program's (or always in the program's).
* An occasion is due from the first instant of its day until the end of the last day of its catch-up, exclusive.
* The year in a key is that of the occasion: a birthday of 30 December that is caught up in January keeps its year.
* What falls on 29 February is kept, in a year without one, on 28 February (``feb28``) or on 1 March (``mar1``).

Keys: ``birthday:<member>:<year>``, ``anniversary:<member>:<what>:<n>`` with what = ``joining``, ``first_purchase``, the
product (of a rule for one product) or the day of the purchase, ``season:<name>:<year of its start>:<member>``. Further
parts of one occasion have the same key with ``/2``, ``/review_request``, ``/coupon``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import attrs

from loyaltykit.calendar import Period, day_start, days, from_us, instant, local_date, on_birthday, through, to_us
from loyaltykit.errors import InputError
from loyaltykit.facts import Member
from loyaltykit.fields import a, brief, named, one_of, optional, several, texts, words
from loyaltykit.grants import BENEFITS, Benefit, Decision, Grant, percent_off
from loyaltykit.history import History
from loyaltykit.journey import Product, Purchase, purchases

LeapDay = Literal["feb28", "mar1"]
InZone = Literal["member", "program"]
Since = Literal["first_purchase", "joining", "product"]


# ---------------------------------------------------------------- what all occasions share


def _whole_days(field: str) -> Any:
    def convert(value: Any) -> Period:
        period = days(value) if type(value) is int and value >= 0 else value
        if not isinstance(period, Period):
            raise InputError(field, value, "give a number of days from 0, or a period, as in days(7)")
        if period.microseconds:
            raise InputError(field, str(period), "it counts whole local days; give days, weeks or months")
        if period.months >= 12 or period.days >= 365:
            raise InputError(field, str(period), "give less than a year: then the next one comes")
        return period

    return convert


def _ahead(value: Any) -> Period:
    period: Period = _whole_days("occasion.ahead")(value)
    if period.end_of is not None:
        raise InputError("occasion.ahead", str(period), "counting back, a period goes to no end; leave to_end_of out")
    return period


def _validity(value: Any) -> Period:
    period: Period = a("occasion.validity", Period, "give a period, as in days(30)")(value)
    if period == Period():
        raise InputError("occasion.validity", str(period), "what is given is valid longer than nothing")
    return period


@attrs.frozen(kw_only=True, repr=False)
class _Occasion:
    """What every occasion has besides its own fields."""

    ahead: Period = attrs.field(default=days(0), converter=_ahead)
    catch_up: Period = attrs.field(default=days(0), converter=_whole_days("occasion.catch_up"))
    validity: Period | None = attrs.field(default=None, converter=optional(_validity))
    leap_day: LeapDay = attrs.field(default="feb28", converter=one_of("occasion.leap_day", LeapDay))
    zone: InZone = attrs.field(default="member", converter=one_of("occasion.zone", InZone))

    def _valid(self) -> str:
        if self.validity is None:
            return ""
        shown = str(self.validity)
        return f", valid {shown}" if shown.startswith("to ") else f", valid for {shown}"

    __repr__ = brief


def _and(parts: Iterable[object]) -> str:
    *others, last = map(str, parts)
    return f"{', '.join(others)} and {last}" if others else last


# ---------------------------------------------------------------- the rules


@attrs.frozen(repr=False)
class Birthday(_Occasion):
    """Benefits on the birthday, once a year, as long as it is still within `catch_up`.

    ahead: from how long before the day on it is given already: a number of days, or a `Period` of whole days.
    catch_up: for how long after the day it is still given: a number of days, or a `Period` of whole days, through
    its last day (with ``to_end_of``, on to the end of that unit); less than a year. validity: for how long what is
    given is valid, from the start of the day (None: without end); nothing is due that would be over. leap_day: when
    29 February is kept in a year without one. zone: whose days count, the ``member``'s (else the program's) or always
    the ``program``'s.

    A birthday without its year counts, one supplied on the day itself too. The day of birth is none.

    >>> str(Birthday(percent_off(15), catch_up=7, validity=days(30)))
    '15% off an order on your birthday, valid for 30 days'
    """

    benefits: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS)
    name: str = attrs.field(default="birthday", converter=named("birthday.name"), kw_only=True)

    def __str__(self) -> str:
        return f"{_and(self.benefits or ['good wishes'])} on your birthday{self._valid()}"


@attrs.frozen(repr=False)
class AnniversaryOf(_Occasion):
    """Benefits on each anniversary of the first purchase, of joining, or of the purchase of a product.

    `catch_up`, `validity`, `leap_day` and `zone` are as in `Birthday`. A product's anniversary counts from the first
    purchase of it that was not returned; `products` names those that count (none: all), and those that were bought
    on one day share their anniversary. The first purchase is the earliest order of which something remains. A member
    joined at ``History.joined``, else when they were first known as a `Member`; who only bought has not. Rules
    `of` the same thing share their keys: a program needs one of each.

    >>> str(AnniversaryOf("joining", percent_off(5, on="everything")))
    '5% off everything on each anniversary of your joining'
    """

    of: Since = attrs.field(converter=one_of("anniversary.of", Since))
    benefits: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS)
    products: tuple[str, ...] = attrs.field(default=(), converter=texts("anniversary.products"))
    name: str = attrs.field(default="anniversary", converter=named("anniversary.name"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.products and self.of != "product":
            raise InputError("anniversary.products", self.products, f"the anniversary of {self.of} has no products")

    def _when(self) -> str:
        what = {"first_purchase": "your first purchase", "joining": "your joining", "product": "a purchase"}[self.of]
        if self.products:
            what = f"your purchase of {' or '.join(self.products)}"
        return f"on each anniversary of {what}"

    def __str__(self) -> str:
        return f"{_and(self.benefits or ['good wishes'])} {self._when()}{self._valid()}"


@attrs.frozen(repr=False)
class OneTwoThree:
    """On the anniversary of a purchase: celebrate it, ask for a review, and give a coupon for the next purchase.

    Three decisions (``celebrate``, ``review_request``, ``coupon``) in this order. The request is left out where
    everything bought then has been reviewed; the coupon does not depend on it. There is one bundle a calendar year:
    the earliest anniversary that is given in it. Of what was returned there is none.

    `anniversary` says of which purchases, until when it is caught up, and how long the coupon is valid; its benefits
    come with the celebration. `review` is the name of the activity by which the host reports a review; one that names
    neither product nor order is taken for a review of everything.

    >>> str(OneTwoThree())
    'on each anniversary of a purchase, once a year: a celebration, a request for a review and 10% off the ...'
    """

    anniversary: AnniversaryOf = attrs.field(
        default=AnniversaryOf("product"),
        converter=a("one_two_three.anniversary", AnniversaryOf, "give an AnniversaryOf('product')"),
    )
    coupon: Benefit = attrs.field(
        default=percent_off(10, on="the next purchase"),
        converter=a("one_two_three.coupon", Benefit, "give a benefit, as in percent_off(10, on='the next purchase')"),
    )
    review: str = attrs.field(default="review", converter=words("one_two_three.review"), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.anniversary.of == "joining":
            raise InputError(
                "one_two_three.anniversary", "joining", "give one of a purchase: there is nothing to review"
            )

    def __str__(self) -> str:
        given = self.anniversary.benefits
        celebration = f"a celebration with {_and(given)}" if given else "a celebration"
        parts = _and([celebration, "a request for a review", self.coupon])
        return f"{self.anniversary._when()}, once a year: {parts}{self.anniversary._valid()}"

    __repr__ = brief


_MONTH_DAY = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")


def _month_day(field: str) -> Any:
    def convert(value: Any) -> str:
        found = _MONTH_DAY.fullmatch(value) if isinstance(value, str) else None
        try:
            month, day = map(int, found.groups()) if found else value
            return f"{on_birthday(2000, month, day):%m-%d}"  # a leap year: 29 February is a day
        except (TypeError, ValueError):
            raise InputError(field, value, "give a month and a day, as in '12-15' or (12, 15)") from None

    return convert


def _dates(value: Any) -> tuple[tuple[date, date], ...]:
    hint = "give pairs of days, the first and the last, as in [(date(2026, 4, 3), date(2026, 4, 6))]"
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError("season.dates", value, hint)
    found = []
    for pair in value:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError("season.dates", pair, hint)
        if any(not isinstance(day, date) or isinstance(day, datetime) for day in pair):
            raise InputError("season.dates", pair, hint)
        if pair[1] < pair[0]:
            raise InputError("season.dates", pair, "the last day is not before the first")
        if pair[1] - pair[0] > timedelta(365):
            raise InputError("season.dates", pair, "a season lasts at most a year")
        found.append((pair[0], pair[1]))
    found.sort()
    for (first, _), (second, _) in pairwise(found):
        if first.year == second.year:
            raise InputError("season.dates", second, f"two seasons start in {first.year}; give each a rule of its own")
    return tuple(found)


@attrs.frozen(repr=False)
class Season(_Occasion):
    """Benefits in a season: from `start` through `end`, both inclusive, each a month and a day, as in ``"12-15"``.

    A season may go across New Year; each is named by the year in which it starts, and given once. Moving feasts are
    given by `dates` instead, pairs of the first and the last day. `catch_up`, `leap_day` and `zone` are as in
    `Birthday`; catch-up begins after the last day. `validity` counts from the season's start (None: to its end).

    >>> winter = Season("winter", "12-15", "01-06", percent_off(10))
    >>> str(winter), winter.instance(date(2025, 1, 3))
    ('10% off an order from 15 December through 6 January, once a season', 2024)
    """

    name: str = attrs.field(converter=named("season.name"))
    start: str | None = attrs.field(default=None, converter=optional(_month_day("season.start")))
    end: str | None = attrs.field(default=None, converter=optional(_month_day("season.end")))
    benefits: tuple[Benefit, ...] = attrs.field(default=(), converter=BENEFITS)
    dates: tuple[tuple[date, date], ...] = attrs.field(default=(), converter=_dates, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.dates and (self.start or self.end):
            raise InputError("season.dates", self.dates, "give start and end, or dates, not both")
        for field in ("start", "end"):
            if not self.dates and getattr(self, field) is None:
                raise InputError(f"season.{field}", None, "give start and end, or dates")

    def in_year(self, year: int) -> tuple[date, date] | None:
        """Return the first and the last day of the season that starts in `year`; None if there is none."""
        if self.start is None or self.end is None:
            return next((each for each in self.dates if each[0].year == year), None)
        later = year + (self.end < self.start)
        return self._day(year, self.start), self._day(later, self.end)

    def _day(self, year: int, month_day: str) -> date:
        return on_birthday(year, int(month_day[:2]), int(month_day[3:]), self.leap_day)

    def instance(self, day: date) -> int | None:
        """Return the year in which the season that `day` lies in started; None if it lies in none."""
        for year in (day.year, day.year - 1):
            ends = self.in_year(year) if year else None
            if ends is not None and ends[0] <= day <= ends[1]:
                return year
        return None

    def __str__(self) -> str:
        if self.start is None:
            when = _and(f"from {_spoken(a)} {a.year} through {_spoken(b)} {b.year}" for a, b in self.dates)
        else:
            first, last = (self._day(2000, each) for each in (self.start, self.end or ""))
            when = f"from {_spoken(first)} through {_spoken(last)}"
        return f"{_and(self.benefits or ['good wishes'])} {when}, once a season{self._valid()}"


_MONTHS = " January February March April May June July August September October November December"


def _spoken(day: date) -> str:
    """Return a day without its year, in English whatever the machine's language."""
    return f"{day.day} {_MONTHS.split(' ')[day.month]}"


Occasion = Birthday | AnniversaryOf | OneTwoThree | Season

_OCCASIONS = several("occasions", (Birthday, AnniversaryOf, OneTwoThree, Season), "give occasions, as in Birthday()")


# ---------------------------------------------------------------- when they come round


class _Time(NamedTuple):
    """One time that an occasion comes round. Its key is `head`, the member, `tail`; `products`: what is left of it."""

    first: date
    through: date
    head: str
    tail: str
    reason: str
    data: tuple[tuple[str, str], ...]
    products: tuple[str, ...] = ()
    stands: bool = True


class _Start(NamedTuple):
    """A day from which anniversaries count; it does not stand if everything bought on it was returned."""

    day: date
    what: str
    words: str
    products: tuple[str, ...] = ()
    stands: bool = True


@attrs.frozen(slots=False, eq=False)
class _Person:
    """What is known of one member at an instant."""

    history: History
    at: datetime
    done: frozenset[str]
    ids: tuple[str, ...]

    @cached_property
    def purchases(self) -> Sequence[Purchase]:
        return purchases(self.history, self.at)

    @cached_property
    def birthday(self) -> date | tuple[int, int] | None:
        profile = self.history.profile(self.at)
        return None if profile is None else profile.birthday

    @property
    def joined(self) -> datetime | None:
        profiles = (fact.at for fact in self.history.facts if isinstance(fact, Member))
        joined = self.history.joined or min(profiles, key=to_us, default=None)
        return None if joined is None or to_us(joined) > to_us(self.at) else joined

    def zone(self, rule: _Occasion) -> str:
        profile = self.history.profile(self.at) if rule.zone == "member" else None
        return self.history.zone if profile is None or profile.zone is None else profile.zone

    def has(self, time: _Time, part: str) -> bool:
        """Say whether a part of an occasion was given already, perhaps under an id from before a merge."""
        return any(f"{time.head}{each}{time.tail}{part}" in self.done for each in self.ids)

    def unreviewed(self, products: Sequence[str], review: str) -> tuple[str, ...] | None:
        """Return which of these products have no review yet; None if there is nothing left to ask for."""
        now, seen = to_us(self.at), set[str]()
        for each in self.history.activities:
            if each.name == review and to_us(each.at) <= now:
                if each.product is None and each.order is None:
                    return None
                orders = (purchase for purchase in self.purchases if purchase.order.id == each.order)
                seen |= {each.product} if each.product else {of.sku for order in orders for of in order.products}
        rest = tuple(product for product in products if product not in seen)
        return rest if rest or not (products or seen) else None


def anniversary(start: date, day: date, leap_day: LeapDay = "feb28") -> int | None:
    """Return which anniversary of `start` is kept on `day`, 1 for the first; None if none is, as on the day itself.

    >>> anniversary(date(2020, 2, 29), date(2023, 2, 28)), anniversary(date(2023, 6, 1), date(2024, 6, 2))
    (3, None)
    """
    kept = day.year > start.year and on_birthday(day.year, start.month, start.day, leap_day) == day
    return day.year - start.year if kept else None


def _anniversaries(rule: AnniversaryOf, person: _Person) -> Callable[[int], list[_Time]]:
    starts = _starts(rule, person)

    def of(year: int) -> list[_Time]:
        times = []
        for start in starts:
            if (n := year - start.day.year) >= 1:
                kept = on_birthday(year, start.day.month, start.day.day, rule.leap_day)
                reason = f"{n} year{'s' if n > 1 else ''} since {start.words} on {start.day}"
                data = (("n", str(n)), ("since", str(start.day)))
                tail = f":{start.what}:{n}"
                times.append(_Time(kept, kept, "anniversary:", tail, reason, data, start.products, start.stands))
        return times

    return of


def _numbered(products: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name each product by a pair of its own: product, product 2, ... One text might become too long for them."""
    for number, product in enumerate(products, 1):
        yield ("product" if number == 1 else f"product {number}"), product


def _starts(rule: AnniversaryOf, person: _Person) -> list[_Start]:
    zone = person.zone(rule)
    if rule.of == "joining":
        joined = person.joined
        return [] if joined is None else [_Start(local_date(joined, zone), "joining", "joining")]
    if rule.of == "first_purchase":
        kept = [purchase for purchase in person.purchases if purchase.kept][:1]
        return [
            _Start(local_date(order.at, zone), "first_purchase", "the first purchase", _skus(products))
            for order, products, _ in kept
        ]
    one = len(rule.products) == 1
    found: dict[date, list[Product]] = {}
    counted: set[str] = set()
    for order, products, _ in person.purchases:
        here = [each for each in products if not rule.products or each.sku in rule.products]
        if here:
            there = found.setdefault(local_date(order.at, zone), [])
            there += [each for each in here if each.sku not in counted]
            counted.update(_skus(here))
    # The keys of one product's anniversaries do not tell its purchases apart: the one that counts is the only one.
    return [
        _Start(day, rule.products[0] if one else str(day), f"the purchase of {_and(skus or '-')}", skus, bool(skus))
        for day, skus in ((day, _skus(found[day])) for day in sorted(found))
        if skus or not one
    ]


def _skus(products: Iterable[Product]) -> tuple[str, ...]:
    return tuple(sorted({product.sku for product in products if product.kept}))


def _times(rule: Occasion, person: _Person) -> Callable[[int], list[_Time]]:
    """Return how to tell, for a year, the times that an occasion comes round in it, given already or not."""
    if isinstance(rule, OneTwoThree):
        rule = rule.anniversary
    if isinstance(rule, AnniversaryOf):
        return _anniversaries(rule, person)
    since, known = person.history.anchor, person.birthday
    member = bool(person.history.member) and (since is None or to_us(since) <= to_us(person.at))

    def of(year: int) -> list[_Time]:
        data = (("year", str(year)),)
        if isinstance(rule, Season):
            ends = rule.in_year(year) if member else None
            head = f"season:{rule.name}:{year}:"
            return [_Time(*ends, head, "", f"{rule.name}, from {ends[0]} through {ends[1]}", data)] if ends else []
        if known is None or (isinstance(known, date) and year <= known.year):
            return []
        month, day = (known.month, known.day) if isinstance(known, date) else known
        kept = on_birthday(year, month, day, rule.leap_day)
        return [_Time(kept, kept, "birthday:", f":{year}", f"birthday on {kept}", data)]

    return of


# ---------------------------------------------------------------- what is due


def _after(day: date, period: Period) -> date:
    """Return the day that is a period of whole days after another; with `end_of`, the day after that unit."""
    return period.after(day_start(day, UTC), UTC).date()


def _starts_after(day: date, zone: str, at: datetime) -> datetime:
    """Return the start of a day, or of the next one where a zone skipped it altogether, so that it is after `at`."""
    start = day_start(day, zone)
    return start if start > at else through(day, zone)


def _window(rule: _Occasion, time: _Time, zone: str) -> tuple[datetime, datetime, datetime | None]:
    """Return from when until when an occasion is due, and until when what is given is valid."""
    begins = day_start(rule.ahead.before(day_start(time.first, UTC), UTC).date(), zone)
    starts = day_start(time.first, zone)
    last = _after(time.through, rule.catch_up)
    ends = _starts_after(last if rule.catch_up.end_of else last + timedelta(1), zone, starts)
    if rule.validity is None:
        return begins, ends, ends if isinstance(rule, Season) else None
    if rule.validity.microseconds:
        return begins, ends, rule.validity.after(starts, zone)
    return begins, ends, _starts_after(_after(time.first, rule.validity), zone, starts)


class _Part(NamedTuple):
    """One decision of an occasion: what it adds to the key, its kind, and its particulars."""

    suffix: str
    kind: str
    benefit: Benefit | None
    data: dict[str, str]


def _parts(rule: Occasion, time: _Time, person: _Person) -> Iterator[_Part]:
    of = rule.anniversary if isinstance(rule, OneTwoThree) else rule
    kind = {Birthday: "birthday", AnniversaryOf: "anniversary", OneTwoThree: "celebrate", Season: "season"}[type(rule)]
    data = {"occasion": of.name, "day": str(time.first), **dict(time.data)}
    products = dict(_numbered(time.products))
    for number, benefit in enumerate(of.benefits or [None], 1):
        yield _Part("" if number == 1 else f"/{number}", kind, benefit, data | products)
    if isinstance(rule, OneTwoThree):
        unreviewed = person.unreviewed(time.products, rule.review)
        if unreviewed is not None:
            yield _Part("/review_request", "review_request", None, data | dict(_numbered(unreviewed)))
        yield _Part("/coupon", "coupon", rule.coupon, data | products)


def _open(rule: Occasion, person: _Person, span: Iterable[int]) -> Iterator[Decision]:
    """Return, year by year, what is not over and was not given: due now, or later."""
    of: _Occasion = rule.anniversary if isinstance(rule, OneTwoThree) else rule
    zone, member, come_round = person.zone(of), person.history.member, _times(rule, person)
    for year in span:
        times = sorted(come_round(year))
        bundle = isinstance(rule, OneTwoThree)
        if bundle:  # what was given in a year is that year's bundle, though it be returned since
            times = [each for each in times if any(person.has(each, part) for part in _BUNDLE)][:1] or times
        there = [(time, *_window(of, time, zone)) for time in times if time.stands]
        there = [each for each in there if each[2] > person.at]
        for time, starts, ends, valid_until in there[:1] if bundle else there:
            for part in _parts(rule, time, person):
                until, data = ends, part.data
                if part.benefit is not None and valid_until is not None:
                    until, data = min(ends, valid_until), {**data, "valid_until": valid_until.isoformat()}
                if until > person.at and not person.has(time, part.suffix):
                    key = f"{time.head}{member}{time.tail}{part.suffix}"
                    yield Decision(
                        part.kind, member, key, starts, until, reason=time.reason, benefit=part.benefit, data=data
                    )


_BUNDLE = ("", "/review_request", "/coupon")
_LATEST = 9998
"""The last year looked at: the ends of its days are still within the years that there are."""


def _person(history: Any, at: datetime, done: Collection[str], formerly: Iterable[str]) -> _Person:
    if not isinstance(history, History):
        raise InputError("history", history, "give History(facts, zone=...), with the facts of one member")
    if isinstance(done, str):
        raise InputError("done", done, "give a collection of keys")
    ids = (history.member, *texts("formerly")(formerly))
    return _Person(history, from_us(to_us(instant(at))), frozenset(done), ids)


def due(
    occasions: Occasion | Iterable[Occasion],
    history: History,
    at: datetime,
    *,
    until: datetime | None = None,
    done: Collection[str] = (),
    formerly: Iterable[str] = (),
) -> tuple[Decision, ...]:
    """Return what is due to a member at an instant and was not given yet: the earliest first, a bundle in its order.

    With `until`, what will be due by that instant is there too.

    `history` holds what is known of the member, its zone is the program's. `done` are the keys of what was carried
    out; `formerly` the ids that the member had before a merge, under which something may be done.

    A decision is the same whenever it is derived within its time: ``due`` is the first instant of the local day,
    ``ends`` the end, exclusive, of its catch-up (or of the benefit's validity, where that comes first). Its data say
    the ``occasion``, the ``day``, the ``year`` or the ``n``-th, the products, and until when a benefit is valid
    (``valid_until``, an instant, exclusive).

    >>> ann = Member("ann", datetime(2026, 1, 1, tzinfo=UTC), birthday=date(1990, 5, 5), zone="Asia/Tokyo")
    >>> gift, = due(Birthday(percent_off(15)), History([ann]), datetime(2026, 5, 5, tzinfo=UTC))
    >>> gift.key, gift.due.isoformat(), gift.ends.isoformat()
    ('birthday:ann:2026', '2026-05-04T15:00:00+00:00', '2026-05-05T15:00:00+00:00')
    """
    person = _person(history, at, done, formerly)
    horizon = person.at if until is None else max(person.at, from_us(to_us(instant(until, "until"))))
    found: dict[str, Decision] = {}
    for occasion in _OCCASIONS(occasions):
        # A season lasts a year at most, its catch-up less than one and on to the end of a year.
        span = range(max(person.at.year - 3, 1), min(horizon.year + 2, _LATEST) + 1)
        for decision in _open(occasion, person, span):
            if decision.due <= horizon:
                found.setdefault(decision.key, decision)
    return tuple(sorted(found.values(), key=lambda decision: decision.due))


def next_date(
    occasions: Occasion | Iterable[Occasion],
    history: History,
    at: datetime,
    *,
    done: Collection[str] = (),
    formerly: Iterable[str] = (),
) -> date | None:
    """Return the next local day, from that of `at` on, on which something not yet given is due; None if there is none.

    The arguments are those of `due`. What is due at this instant is due today.

    >>> ann = Member("ann", datetime(2026, 1, 1, tzinfo=UTC), birthday=(7, 9))
    >>> next_date(Birthday(), History([ann]), datetime(2026, 3, 6, tzinfo=UTC), done={"birthday:ann:2026"})
    datetime.date(2027, 7, 9)
    """
    person = _person(history, at, done, formerly)
    dates = []
    for occasion in _OCCASIONS(occasions):
        zone = person.zone(occasion.anniversary if isinstance(occasion, OneTwoThree) else occasion)
        first = next(_open(occasion, person, range(max(person.at.year - 3, 1), _LATEST + 1)), None)
        if first is not None:
            dates.append(max(local_date(person.at, zone), local_date(first.due, zone)))
    return min(dates, default=None)


def granted(decision: Decision) -> Grant:
    """Return what a member holds by a decision that was carried out: its benefit, for as long as it is valid.

    >>> ann = Member("ann", datetime(2026, 1, 1, tzinfo=UTC), birthday=(5, 5))
    >>> birthday = Birthday(percent_off(15), validity=days(30))
    >>> grant = granted(*due(birthday, History([ann]), datetime(2026, 5, 5, tzinfo=UTC)))
    >>> grant.source, grant.ends.isoformat()
    ('occasion birthday', '2026-06-04T00:00:00+00:00')
    """
    data = dict(decision.data)
    if decision.benefit is None or "occasion" not in data:
        raise InputError("decision", decision.key, "give a decision of an occasion that comes with a benefit")
    ends = datetime.fromisoformat(data["valid_until"]) if "valid_until" in data else None
    source = f"occasion {data['occasion']}"
    return Grant(decision.benefit, decision.member, source, decision.key, decision.due, ends)
