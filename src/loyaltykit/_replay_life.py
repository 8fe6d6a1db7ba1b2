"""One member's time under a program: what would have been earned, redeemed, expired, reached.

Pure. `loyaltykit.replay` runs it for every member and sums up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

import attrs

from loyaltykit import commands, thresholds, tiers
from loyaltykit._replay_tiers import Foresight, foreseeable
from loyaltykit.amounts import exact, money
from loyaltykit.books import RANK_AWARD, RANK_REFUND, RANK_REVISION, Books, Move, Step, order_key
from loyaltykit.calendar import CalendarUnit, as_unit, from_us, next_start, start_of, to_us
from loyaltykit.commands import Redeem, Terms, View, decide
from loyaltykit.consent import Consent, Told
from loyaltykit.earning import award, counters
from loyaltykit.errors import InputError, KeyReused, RefundTooLarge, WrongCurrency
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal
from loyaltykit.fields import optional
from loyaltykit.history import History
from loyaltykit.journal import Context, Need, Record, compact
from loyaltykit.matching import Tiers
from loyaltykit.program import Program
from loyaltykit.recorded import asks_for_points, movements
from loyaltykit.refunds import remains
from loyaltykit.rewards import Coins, quote
from loyaltykit.status import as_tiers, asks_for_tiers, earning_tiers
from loyaltykit.steps import apply, replay
from loyaltykit.stories import Known, OrderFact, activity_steps, key_of, new_story, order_story, ref_of, unsaid

# ---------------------------------------------------------------- the model of redemption


def _share(value: Any) -> Decimal:
    share = money(value, "redemption.share", 0)
    if share > 1:
        raise InputError("redemption.share", share, "give a share from 0 to 1, as in '0.5'")
    return share


def _each(value: Any) -> CalendarUnit:
    return as_unit(value, "redemption.every")


@attrs.frozen
class Redemption:
    """How members are taken to redeem their points: what is assumed of them, exactly.

    A member redeems at set moments, always through the program's coins (its first `Coins`), so by their minimum, their
    block and their worth. At each moment, of what is available then (active less debt), the `share` is taken, rounded
    down to whole points; the largest number of coins that fits in it is redeemed, or nothing where not even the least
    that the coins allow does.

    `every` None: the moments are the orders. The points are redeemed one microsecond before the order is placed, so
    that the order earns and lets expire what it would have anyway; they are worth at most what the order's goods come
    to (and the `max_percent` of it that the coins say). Drafts and cancelled orders are no moments, and a later
    revision is none. `every` a calendar unit, as ``"month"``: the moments are the last microsecond of each local
    month, and nothing limits what the points are worth.

    What is redeemed is a voucher beside the orders: it changes neither what an order comes to nor what it earns, and
    when goods come back, it stays redeemed. Orders that were paid with points themselves (`Order.tenders`) spend those
    besides.
    """

    share: Decimal = attrs.field(converter=_share)
    every: CalendarUnit | None = attrs.field(default=None, converter=optional(_each))

    def __str__(self) -> str:
        if not self.share:
            return "nobody redeems"
        percent = f"{100 * self.share:f}"
        percent = percent.rstrip("0").rstrip(".") if "." in percent else percent
        much = "all that is available" if self.share == 1 else f"{percent} % of what is available"
        when = "at every order" if self.every is None else f"at the end of every {self.every.replace('_', ' ')}"
        return f"everybody redeems {much} {when}"


never = Redemption(0)
"""Nobody redeems anything: what is issued expires or remains."""


def when_affordable(every: CalendarUnit | None = None) -> Redemption:
    """Return the model in which everybody redeems as much as they can, at each order, or at each `every`'s end.

    >>> print(when_affordable())
    everybody redeems all that is available at every order
    """
    return Redemption(1, every)


def share_of_available(share: Decimal | int | str, every: CalendarUnit | None = None) -> Redemption:
    """Return the model in which everybody redeems a share of what is available, from 0 to 1.

    >>> print(share_of_available("0.25", every="month"))
    everybody redeems 25 % of what is available at the end of every month
    """
    return Redemption(share, every)


# ---------------------------------------------------------------- what is known of a member's facts


class Life(NamedTuple):
    """What became of a member by the end: movements of points, orders, tiers and thresholds, in microseconds."""

    first: int  # since when there is the member
    acts: list[Told | Redeem]  # what would have been recorded, in this order
    moves: list[Move]
    sales: list[tuple[int, int, int]]  # known, minor units, whether an order came (1) or went (-1)
    tiers: list[tuple[int, str, str, str | None, str | None]]  # at, ladder, kind, before, after
    reached: list[tuple[int, str]]  # at, threshold


_RANKS = {Member: 0, Activity: RANK_AWARD, Refund: RANK_REFUND, Reversal: RANK_REFUND + 1, Consent: RANK_REFUND + 2}


def _place(fact: Told) -> tuple[int, int, str]:
    """Return a fact's place in time: by the instant from which it is known; an order before what is about it."""
    if isinstance(fact, Order):
        rank = RANK_AWARD if fact.revision == 1 else RANK_REVISION + fact.revision
        return to_us(fact.known_from), rank, key_of(fact)
    return to_us(fact.at), _RANKS[type(fact)], key_of(fact)


def in_time(facts: Iterable[Told], until: int) -> list[tuple[int, str, Told]]:
    """Return facts known by `until` in the order of time, each once: (instant, key, fact).

    Raises `KeyReused` for two facts with one id and different contents.
    """
    found: list[tuple[int, str, Told]] = []
    before: tuple[int, int, str] | None = None
    for place, fact in sorted(((_place(fact), fact) for fact in facts), key=lambda pair: pair[0]):
        if place[0] > until:
            break
        if before is not None and place == before and found[-1][2] == fact:
            continue
        found.append((place[0], place[2], fact))
        before = place
    seen: set[str] = set()
    for _, key, _ in found:
        if key in seen:
            hint = "two facts have this id, with other contents; a changed order takes the next revision"
            raise KeyReused("id", key, hint)
        seen.add(key)
    return found


def joined_at(facts: Iterable[tuple[int, str, Told]]) -> int:
    """Return the instant from which a member counts: of the first fact."""
    return min(to_us(fact.at) for _, _, fact in facts)


# ---------------------------------------------------------------- the books


class _Tale:
    """What is known of one order so far."""

    __slots__ = ("counts", "facts", "ignored", "known", "planned")

    def __init__(self) -> None:
        self.facts: list[OrderFact] = []
        self.known: Known | None = None
        self.planned: list[Step] = []
        self.counts: dict[str, int] = {}
        self.ignored: tuple[str, ...] = ()


class _Ledger:
    """The books of one member as facts come in the order of time: what a club would keep, without the keeping."""

    def __init__(self, program: Program, terms: Callable[[str], Terms], member: str) -> None:
        self.books = Books()
        self._program = program
        self._terms = terms
        self._member = member
        self._last: tuple[Any, ...] = ()
        self._log: list[tuple[int, str, str | None, int, list[Step]]] = []
        self._tales: dict[str, _Tale] = {}
        self._counts: dict[str, int] = {}
        self._by_tier = asks_for_tiers(program)
        self._by_points = self._by_tier and asks_for_points(program)
        self._facts: list[Fact] = []
        self._joined: int | None = None
        self._told_of: set[str | None] = set()  # the orders of which anything is known
        self.foresight: Foresight | None = None

    def record(self, key: str, fact: Told) -> None:
        """Let a fact have its effect."""
        program = self._program
        currency = getattr(fact, "currency", None)
        if currency is not None and currency != program.currency:
            kind = type(fact).__name__.lower()
            raise WrongCurrency(
                f"{kind}.currency", currency, f"the program {program.name} counts in {program.currency}"
            )
        steps: list[Step] = []
        ref = ref_of(fact)
        if isinstance(fact, Activity):
            used, tier = self._used(fact), self._tiers(fact)
            given = award(program, fact, tier=tier, used=used)
            steps += activity_steps(program, fact, given, self._terms)
            self._count({}, dict(given.counts))
        if ref is not None and isinstance(fact, Order | Refund | Reversal | Activity):
            steps += self._told(ref, fact)
        self.write(key, ref, to_us(fact.at), steps)
        if self._by_tier and not isinstance(fact, Consent):
            self._facts.append(fact)
            self._told_of.add(ref)
        if self._joined is None or to_us(fact.at) < self._joined:
            self._joined = to_us(fact.at)

    def _told(self, ref: str, fact: OrderFact) -> list[Step]:
        """Return what a fact changes in the story of its order."""
        tale = self._tales.get(ref)
        if tale is None:
            tale = self._tales[ref] = _Tale()
        tale.facts.append(fact)
        if tale.known is None:
            if not isinstance(fact, Order):
                return []
            tale.known = Known(self._program, self._tiers(fact), self._used(fact))
        alone = len(tale.facts) == 1 and isinstance(fact, Order)
        story = (
            new_story(fact, tale.known, self._terms)  # type: ignore[arg-type]  # alone: it is an order
            if alone
            else order_story(tale.facts, tale.known, self._terms)
        )
        if isinstance(fact, Refund) and set(story.ignored) - set(tale.ignored):
            raise self._too_large(fact, tale.facts)
        steps = unsaid(story.steps, tale.planned)
        self._count(tale.counts, story.counts)
        tale.planned += steps
        tale.counts, tale.ignored = story.counts, story.ignored
        return steps

    def _too_large(self, refund: Refund, facts: Sequence[OrderFact]) -> InputError:
        order = max((each for each in facts if isinstance(each, Order)), key=lambda each: each.revision)
        refunds = [each for each in facts if isinstance(each, Refund)]
        try:
            remains(order, refunds, self._program.currency, self._program.refund_split)
        except InputError as error:
            return error
        return RefundTooLarge("refund.id", refund.id, "with it, more would be refunded than the order was of")

    def _used(self, fact: Order | Activity) -> dict[str, int]:
        return {name: count for name in counters(self._program, fact) if (count := self._counts.get(name, 0))}

    def _count(self, before: dict[str, int], after: dict[str, int]) -> None:
        for name in {**before, **after}:
            self._counts[name] = self._counts.get(name, 0) + after.get(name, 0) - before.get(name, 0)

    def _tiers(self, fact: Order | Activity) -> Tiers:
        """Return the tier by which a fact earns: by what was known before it, and (by the ladder's policy) with it."""
        if not self._by_tier:
            return None
        if self.foresight is not None and ref_of(fact) not in self._told_of:
            foreseen = self.foresight.names(fact, self._joined)
            if foreseen is not None:
                return as_tiers(foreseen)
        points = movements({each.key: each for each in self._records()}, to_us(fact.at)) if self._by_points else ()
        joined = fact.at if self._joined is None else from_us(self._joined)
        return earning_tiers(self._program, history_of(self._program, self._member, self._facts, joined, points), fact)

    def redeem(self, command: Redeem) -> None:
        """Redeem what was found to be available."""
        context = Context(None, {}, {}, {}, {})
        draft = decide(command, View(self.books, context, Need(""), self._terms))
        self.write(commands.source_of(command), None, to_us(command.at), draft.steps)

    def write(self, key: str, ref: str | None, at: int, steps: list[Step]) -> None:
        """Apply steps; where one comes before what was applied already, fold them all anew."""
        version = len(self._log) + 1
        self._log.append((version, key, ref, at, steps))
        if len(steps) > 1:
            steps = sorted(steps, key=lambda step: order_key(step, version))
        for step in steps:
            place = order_key(step, version)
            if place <= self._last or step[0] < self.books.at:
                self._last = max(self._last, *(order_key(each, version) for each in steps))
                self.books = replay(self._records(), until=max(self.books.at, at))
                return
            apply(self.books, step)
            self._last = place

    def _records(self) -> list[Record]:
        return [
            Record(version, key, "", ref, at, 0, "", "applied", "{}", compact(steps), "{}")
            for version, key, ref, at, steps in self._log
        ]

    def movements(self, at: int) -> Any:
        """Return how points moved, for rules that ask about them."""
        return movements({each.key: each for each in self._records()}, at)


def history_of(program: Program, member: str, facts: Iterable[Fact], joined: datetime, points: Any = ()) -> History:
    """Return a member's history as a program counts it."""
    return History(
        facts, member=member, currency=program.currency, zone=program.zone,
        basis=program.spend_basis or program.basis, split=program.refund_split, joined=joined, movements=points,
    )  # fmt: skip


# ---------------------------------------------------------------- a life


def coins_of(program: Program, unit: str) -> Coins | None:
    """Return the program's points as money, None if it has no such reward."""
    return next((each for each in program.rewards if isinstance(each, Coins) and each.unit == unit), None)


class Rules(NamedTuple):
    """What is the same for every member."""

    program: Program
    terms: Callable[[str], Terms]
    redemption: Redemption
    coins: Coins | None
    unit: str
    until: int


def live(rules: Rules, member: str, facts: Iterable[Told]) -> Life | None:
    """Let a member live under a program, up to and including an instant; None where nothing is known by then."""
    program, until = rules.program, rules.until
    known = in_time(facts, until)
    if not known:
        return None
    ledger = _Ledger(program, rules.terms, member)
    if foreseeable(program):
        told = [fact for _, _, fact in known if not isinstance(fact, Consent)]
        history = history_of(program, member, told, from_us(joined_at(known)))
        ledger.foresight = Foresight(program.tiers, history, known)
    acts: list[Told | Redeem] = []
    redeems = rules.coins is not None and rules.redemption.share > 0
    by_order = redeems and rules.redemption.every is None
    moments = _moments(rules, known[0][0]) if redeems and not by_order else iter(())
    moment = next(moments, None)
    for at, group in groupby(known, key=lambda each: each[0]):
        together = list(group)
        while moment is not None and moment < at:
            _redeem(rules, ledger, member, moment, None, f"replay:{moment}", acts)
            moment = next(moments, None)
        if by_order:
            for _, key, fact in together:
                if isinstance(fact, Order) and fact.revision == 1 and fact.state in ("placed", "paid"):
                    _redeem(rules, ledger, member, at - 1, fact, f"replay:{key}", acts)
        for _, key, fact in together:
            ledger.record(key, fact)
            acts.append(fact)
    while moment is not None:
        _redeem(rules, ledger, member, moment, None, f"replay:{moment}", acts)
        moment = next(moments, None)
    ledger.books.advance(until)
    return _looked_back(rules, member, known, ledger, acts)


def _moments(rules: Rules, first: int) -> Iterator[int]:
    """Yield the last microseconds of the calendar units from the one of `first` on."""
    unit, zone = rules.redemption.every, rules.program.zone
    assert unit is not None
    end = next_start(unit, start_of(unit, from_us(first), zone), zone)
    while to_us(end) - 1 <= rules.until:
        yield to_us(end) - 1
        end = next_start(unit, end, zone)


def _redeem(
    rules: Rules, ledger: _Ledger, member: str, at: int, order: Order | None, key: str, acts: list[Told | Redeem]
) -> None:
    """Redeem at a moment what the model says, if it comes to anything."""
    books, coins = ledger.books, rules.coins
    if at > books.at:
        books.advance(at)
    offer = books.available(rules.unit)
    if rules.redemption.share != 1 and offer > 0:
        part = offer * exact(rules.redemption.share)
        offer = part.numerator // part.denominator
    if coins is None or offer < max(1, coins.minimum, coins.block or 1):
        return
    when = from_us(at)
    found = quote(rules.program, coins, offer, at=when, due=None if order is None else order.goods)
    if found.ok:
        command = Redeem(member, found.points, key=key, at=when, unit=rules.unit)
        ledger.redeem(command)
        acts.append(command)


def _looked_back(
    rules: Rules, member: str, known: list[tuple[int, str, Told]], ledger: _Ledger, acts: list[Told | Redeem]
) -> Life:
    """Say what a member bought, was and reached, from the whole of the facts."""
    program, until = rules.program, rules.until
    end, joined = from_us(until), from_us(joined_at(known))
    facts = [fact for _, _, fact in known if not isinstance(fact, Consent)]
    bought = History(
        facts, member=member, currency=program.currency, zone=program.zone, split=program.refund_split, joined=joined
    )
    sales = [(sale.known, sale.amount, sale.present) for sale in bought.purchases if sale.known <= until]
    been: list[tuple[int, str, str, str | None, str | None]] = []
    reached: list[tuple[int, str]] = []
    if program.tiers or program.thresholds:
        points = ledger.movements(until) if asks_for_points(program) else ()
        history = bought
        if points or (program.spend_basis or program.basis) != bought.basis:
            history = history_of(program, member, facts, joined, points)
        for ladder in program.tiers:
            changes = [each for each in tiers.changes(ladder, history, end) if each.kind != "renewal"]
            first = changes[0].before if changes else tiers.tier_of(ladder, history, end)
            been.append((to_us(joined), ladder.name, "joined", None, first))
            been += [(to_us(each.at), ladder.name, each.kind, each.before, each.after) for each in changes]
        for threshold in program.thresholds:
            times = {to_us(each.starts) for each in thresholds.granted(threshold, history, end)}
            times.update(to_us(each.due) for each in thresholds.decisions(threshold, history, end))
            reached += [(at, threshold.name) for at in sorted(times)]
    return Life(to_us(joined), acts, ledger.books.moves, sales, been, reached)


def debts(move: Move) -> int:
    """Return what a movement adds to (or takes from) what a member owes."""
    if '"debt"' not in move[5]:
        return 0
    return sum(quantity * ((origin == "debt") - (to == "debt")) for _, origin, to, quantity in json.loads(move[5]))
