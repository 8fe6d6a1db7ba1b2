"""The versions of a program at work: what each fact and command needs to see, and how it is decided.

Pure: from facts, commands and loaded books to drafts. `loyaltykit.club` does the loading and appending.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

from loyaltykit import commands, wire
from loyaltykit.awards import Award
from loyaltykit.books import RANK_TERM, Books, More
from loyaltykit.calendar import from_us, to_us
from loyaltykit.commands import Command, Draft, Terms, View, decide, raise_refusal, record_key
from loyaltykit.consent import Consent, Told
from loyaltykit.decisions import Receipt
from loyaltykit.earning import award, counters, dates
from loyaltykit.elsewhere import Absorbed, check_again, found_elsewhere, with_others
from loyaltykit.errors import InputError, RefundTooLarge, UnknownMember, WrongCurrency
from loyaltykit.facts import Activity, Fact, Member, Order, Refund, Reversal, spending_key
from loyaltykit.fields import text
from loyaltykit.handover import require_open, transferred
from loyaltykit.journal import NEVER, Context, Need, Record, stem
from loyaltykit.ledger import Envelope, Posting
from loyaltykit.marks import Acknowledge, Give, Invite, Mark
from loyaltykit.matching import Tiers
from loyaltykit.merges import links_of, note_of, prefix_of
from loyaltykit.program import Grace, Program, in_force
from loyaltykit.recorded import FACTS, earning_tiers
from loyaltykit.refunds import remains
from loyaltykit.session import Task
from loyaltykit.status import asks_for_tiers
from loyaltykit.stories import Known, OrderFact, Story, activity_steps, key_of, new_story, order_story, ref_of, unsaid

NOTHING: Mapping[str, Any] = MappingProxyType({})

# As tuples, for these questions are asked several times a fact, and `A | B` makes a new type each time.
TOLD = (Order, Refund, Reversal, Activity, Member, Consent)
EARNS = (Order, Activity)

NOTHING_BACK = {"counts": {}, "cash": "0", "gift_card": "0", "points": 0, "ignored": []}
"""What is noted of an order of which nothing was counted and nothing went back: nothing, so no row is kept."""


class Switch(NamedTuple):
    """A version that switched expiry on for a unit, from `at`: lots that had none then end at `expires_at`."""

    unit: str
    version: int
    at: int
    expires_at: int


class Part(NamedTuple):
    """What comes with a fact from outside its account: tier, its order's other records, budget parts, more facts.

    `ref` is the key of its order, if it is about one, and `names` are the counters that its award looks at.
    """

    tier: Tiers
    elsewhere: Mapping[str, Sequence[Record]]
    used: Mapping[str, int]
    source: Sequence[Fact]
    ref: str | None
    names: tuple[str, ...]


class Rulebook:
    """All versions of one program, and what they make of facts and commands."""

    def __init__(self, versions: Mapping[int, Program]) -> None:
        self.versions = versions
        self.name = next(iter(versions.values())).name
        self._terms: dict[tuple[int, str], Terms] = {}
        self.switches = tuple(_switches(versions))
        always = [each for each in versions.values() if each.effective_from is None]
        self._only = always[0] if len(versions) == len(always) == 1 else None

    def program(self, at: datetime) -> Program:
        """Return the version that is in force at an instant."""
        return self._only or in_force(self.versions.values(), at)

    def judges(self, program: Program, at: datetime) -> bool:
        """Say whether a version is the one in force at an instant; before the first of them, that is the first."""
        try:
            return self.program(at) is program
        except InputError:
            return program is min(self.versions.values(), key=lambda each: to_us(each.effective_from or at))

    def check_unit(self, unit: str) -> str:
        """Return a unit that some version of the program has; refuse another."""
        if unit != "points" and all(each.name != unit for version in self.versions.values() for each in version.units):
            self.versions[max(self.versions)].unit(unit)
        return unit

    def terms(self, program: Program) -> Callable[[str], Terms]:
        """Return what a version says about each unit, as far as the ledger asks."""

        def of(unit: str) -> Terms:
            terms = self._terms.get((program.version, unit))
            if terms is None:
                terms = self._terms[program.version, unit] = _terms(program, unit)
            return terms

        return of

    def account(self, member: str) -> str:
        """Return the name of a member's account."""
        return f"{self.name}/{text(member, 'member')}"

    def account_of(self, fact: Told) -> str:
        """Return the name of the account of a fact's member."""
        if not isinstance(fact, TOLD):
            raise InputError("fact", fact, "give an Order, Refund, Reversal, Activity, Member or Consent")
        return self.account(fact.id if isinstance(fact, Member) else fact.member)

    def check_currency(self, fact: Told) -> None:
        """Refuse a fact in another currency than the program's."""
        program = self.program(fact.at)
        currency = getattr(fact, "currency", None)
        if currency is not None and currency != program.currency:
            raise WrongCurrency(
                f"{type(fact).__name__.lower()}.currency",
                currency,
                f"the program {self.name} counts in {program.currency}",
            )

    def switch_task(self, account: str, switch: Switch) -> Task:
        """Say how a version that switched expiry on is applied to an account."""
        key = f"term:{switch.unit}:{switch.version}"
        envelope = Envelope(key, "term", switch.at, "", "{}")
        step = [switch.at, RANK_TERM, key, "term", switch.unit, switch.expires_at]
        return Task(
            Need(account, keys=(key,), open_lots=True, kinds=("hold",)),
            envelope,
            lambda view: Draft([step] if view.known else [], {}),
            lambda unit: Terms(),
        )

    def fact_task(
        self, fact: Told, tier: Tiers, *, account: str | None = None,
        elsewhere: Mapping[str, Sequence[Record]] = NOTHING, prefixes: Sequence[str] = (),
        reserved: Mapping[str, tuple[int, int]] = NOTHING, source: Sequence[Fact] = (),
    ) -> Task:  # fmt: skip
        """Say what recording a fact needs to see, and how it is decided.

        `account` is where it goes if its member was merged. `elsewhere` are the records of its order in accounts
        that this one is, or was, merged with, `prefixes` those of lots from there; `reserved` are its parts of campaign
        budgets: (reserved, the budget's points), and `source` what the shop's own tables tell of the member, where a
        tier is to be worked out.
        """
        account = account or self.account_of(fact)
        if not isinstance(fact, Member):
            self.check_currency(fact)
        key, ref, at = key_of(fact), ref_of(fact), to_us(fact.at)
        kind = type(fact).__name__.lower()
        program = self.program(fact.at)
        payload, fingerprint = wire.signed(fact)
        envelope = Envelope(key, kind, at, fingerprint, "{}" if isinstance(fact, Member) else payload, ref)
        terms = self.terms(program)
        if isinstance(fact, Member):
            need = Need(account, (key,), items=(("profile", "member"),))
            return Task(need, envelope, lambda view: _enrol(fact, view), terms)
        if isinstance(fact, Consent):
            return Task(Need(account, (key,)), envelope, _note, terms)
        names = counters(program, fact) if isinstance(fact, EARNS) else ()
        budgets = {f"budget/{name}": limit - got for name, (got, limit) in reserved.items()}
        part = Part(tier, elsewhere, budgets, source, ref, names)
        keys, refs, stems = [key], [], []
        items = [*count_items(names)]
        if ref is not None:
            refs = [ref]
            # Of an order that is new there is nothing else yet; where it turns out not to be, `_order` asks for it.
            if not isinstance(fact, Order) or fact.revision > 1 or elsewhere:
                stems = [prefix + stem(ref) for prefix in ("", *prefixes)]
                items.append(("order", ref))
            if isinstance(fact, Order):
                items += _spending_items(fact)
                keys += [record_key(tender.key) for tender in fact.tenders if tender.key is not None]
        need = Need(account, tuple(keys), tuple(refs), stems=tuple(stems), items=tuple(items))
        if tier is None and self.asks_for_tiers(fact):
            need = need._replace(everything=True)
        return Task(need, envelope, lambda view: self._tell(fact, part, view), terms)

    def asks_for_tiers(self, fact: Told) -> bool:
        """Say whether what a fact earns depends on a tier that has to be worked out from all that is on record."""
        return isinstance(fact, EARNS) and asks_for_tiers(self.program(fact.at))

    def tiers(
        self, fact: Order | Activity, context: Context, elsewhere: Mapping[str, Sequence[Record]],
        source: Sequence[Fact] = (),
    ) -> Tiers:  # fmt: skip
        """Return the tiers by which a fact earns, from its account and those that were merged into it."""
        records = with_others(context, elsewhere)
        return earning_tiers(fact.member, context, records, self.program(fact.at), fact, source)

    def _tell(self, fact: OrderFact, part: Part, view: View) -> Draft:
        """Decide a fact: what an activity earns by itself, and what the story of its order now says."""
        require_open(view)
        ref, note = part.ref, note_of(view.context.head)
        if note or part.elsewhere:  # as good as never: somebody was merged
            links = links_of(note)
            if set(part.elsewhere) != set(links) and (ref is not None or note.get("formerly")):
                raise Absorbed(links, [prefix_of(note, each) for each in note.get("absorbed", ())])
            check_again(fact, note, part.elsewhere)
        program = self.program(fact.at)
        if part.tier is None and isinstance(fact, EARNS) and asks_for_tiers(program):
            part = part._replace(tier=self.tiers(fact, view.context, part.elsewhere, part.source))
        steps: list[Any] = []
        outcome: dict[str, Any] = {}
        counts: dict[str, int] = {}
        given: Award | None = None
        if isinstance(fact, Activity):
            used = {**counted(view.books, part.names), **part.used}
            given = award(program, fact, tier=part.tier, used=used)
            steps += activity_steps(program, fact, given, self.terms(program))
            outcome = {"version": program.version, "tier": part.tier, "used": used}
            counts = dict(given.counts)
        waiting = False
        if ref is not None:
            draft = self._order(fact, ref, part, view, counts)
            steps += draft.steps
            outcome.update(draft.outcome)
            waiting = draft.status == "waiting"
            given = given or draft.award
        budgets = {name.removeprefix("budget/"): n for name, n in counts.items() if n and name.startswith("budget/")}
        if budgets:
            outcome["budgets"] = budgets
        for name, amount in counts.items():
            if amount and not name.startswith("budget/"):
                view.books.keep("count", name, _count(view.books, name) + amount)
        return Draft(steps, outcome, "waiting" if waiting and not steps else "applied", ref, award=given)

    def _order(self, fact: OrderFact, ref: str, part: Part, view: View, counts: dict[str, int]) -> Draft:
        """Tell the story of the order that a fact belongs to; add to `counts` what changes under the caps."""
        records = [record for record in view.records.values() if record.ref == ref and record.kind in FACTS]
        if isinstance(fact, Order) and not records and not part.elsewhere:
            return self._new_order(fact, ref, part, view, counts)
        if not view.need.everything and stem(ref) not in view.need.stems:
            raise More(stems=(stem(ref),), items=(("order", ref),))
        records.sort(key=lambda record: record.version)
        before_merge = found_elsewhere(view, part.elsewhere, records, ref, fact)
        prefix, earlier = before_merge.prefix, before_merge.records
        outcome: dict[str, Any] = {"home": before_merge.home} if before_merge.home else {}
        known = next((json.loads(r.outcome) for r in (*earlier, *records) if r.kind == "order"), None)
        if known is None:
            if not isinstance(fact, Order):
                return Draft([], outcome, "waiting")
            program = self.program(fact.at)
            used = {**counted(view.books, part.names), **part.used}
            known = {"version": program.version, "tier": part.tier, "used": used}
        if isinstance(fact, Order):
            outcome |= {name: known[name] for name in ("version", "tier", "used")}
        redeemed = {name for r in (*earlier, *records) for name in json.loads(r.outcome).get("redeemed", ())}
        if isinstance(fact, Order):
            redeemed |= _redeemed(fact, view.records)
            outcome |= {"redeemed": sorted(redeemed)} if redeemed else {}
        fixed = Known(self.versions[known["version"]], known["tier"], known["used"], frozenset(redeemed))
        facts = [wire.loads(FACTS[record.kind], record.payload) for record in (*earlier, *records)]
        story = order_story([*facts, fact], fixed, self.terms(fixed.program))
        before = view.books.value("order", ref) or {}
        if before_merge.told:  # what is noted here may be of another time
            before = _noted(order_story(facts, fixed, self.terms(fixed.program)))
        if isinstance(fact, Refund) and set(story.ignored) - set(before.get("ignored", ())):
            raise _too_large(fact, facts, fixed.program)
        wanted = [("order", ref), *(("count", name) for name in story.counts)]
        for order in (each for each in [*facts, fact] if isinstance(each, Order)):
            wanted += [(kind, prefix + name) for kind, name in _spending_items(order)]
        missing = tuple(item for item in wanted if not item[1].startswith("budget/") and not view.saw(item))
        if missing:
            raise More(items=missing)
        for name in {*story.counts, *before.get("counts", {})}:
            counts[name] = counts.get(name, 0) + story.counts.get(name, 0) - before.get("counts", {}).get(name, 0)
        after = _noted(story)
        if before or after != NOTHING_BACK:
            view.books.keep("order", ref, after)
        cancelled = isinstance(fact, Order) and fact.state == "cancelled" and story.award_of is fact
        if not isinstance(fact, Order) or (cancelled and any(isinstance(each, Order) for each in facts)):
            outcome["back"] = [before.get("cash", "0"), before.get("gift_card", "0"), before.get("points", 0)]
            outcome["now"] = [after["cash"], after["gift_card"], after["points"]]
        if story.ignored:
            outcome["ignored"] = list(story.ignored)
        planned = [step for record in records for step in json.loads(record.plan)]
        steps = unsaid(before_merge.moved(story.steps), planned)
        given = story.award if isinstance(fact, Order) and story.award_of is fact else None
        return Draft([step for step in steps if step[2] not in before_merge.told], outcome, award=given)

    def _new_order(self, order: Order, ref: str, part: Part, view: View, counts: dict[str, int]) -> Draft:
        """Tell the story of an order of which nothing is known yet: `_order` without what came before, for speed."""
        program = self.program(order.at)
        used = {**counted(view.books, part.names), **part.used}
        redeemed = _redeemed(order, view.records)
        outcome: dict[str, Any] = {"version": program.version, "tier": part.tier, "used": used}
        if redeemed:
            outcome["redeemed"] = sorted(redeemed)
        known = Known(program, part.tier, used, frozenset(redeemed))
        story = new_story(order, known, self.terms(program))
        for name, amount in story.counts.items():
            counts[name] = counts.get(name, 0) + amount
        if story.counts or story.returned:
            after = _noted(story)
            if after != NOTHING_BACK:
                view.books.keep("order", ref, after)
        return Draft(unsaid(story.steps, ()), outcome, award=story.award)

    def command_task(self, command: Command) -> Task:
        """Say what a command needs to see, and how it is decided."""
        program = self.program(command.at)
        at, key = to_us(command.at), record_key(command.key)
        kind = type(command).__name__.lower()
        need = Need(self.account(command.member), keys=(key,))
        match command:
            case commands.Redeem() | commands.Hold() | commands.Transfer():
                program.unit(command.unit)
                need = need._replace(
                    spend=((command.unit, command.points),), spend_at=at, items=(("spent", command.key),)
                )
            case commands.Earn() | commands.Open():
                program.unit(command.unit)
            case commands.Adjust():
                program.unit(command.unit)
                if command.points < 0:
                    need = need._replace(spend=((command.unit, -command.points),), spend_at=at)
            case commands.Capture() | commands.Release():
                need = need._replace(
                    keys=(key, record_key(command.hold)),
                    refs=(f"hold:{command.hold}",),
                    items=(("hold", command.hold),),
                )
            case commands.Restore():
                need = need._replace(items=(("spent", command.of),))
            case commands.ClawBack():
                need = need._replace(stems=(stem(record_key(command.of)),))
            case commands.Reinstate():
                need = need._replace(lots=(command.lot,))
            case Invite():
                if command.tier not in {tier.name for ladder in program.tiers for tier in ladder.tiers}:
                    raise InputError("tier", command.tier, "no ladder of the program has a tier of this name")
            case Give() | Acknowledge():
                pass
            case _:
                raise InputError("command", command, "give a command of loyaltykit.commands or loyaltykit.marks")
        opens = kind in ("earn", "open")

        def choose(view: View) -> Draft:
            if not opens and not view.known:
                raise unknown_member(command.member)
            if view.closed:
                return commands.refused("member_closed", f"{command.member} was merged into another member")
            if isinstance(command, Mark):
                return Draft([], {})
            draft = decide(command, view)
            return transferred(command, draft, view, at) if isinstance(command, commands.Transfer) else draft

        payload, fingerprint = wire.signed(command, without=("at", "until"))  # a retry comes later, and is the same
        envelope = Envelope(key, kind, at, fingerprint, payload)
        return Task(need, envelope, choose, self.terms(program))

    def receipt(self, posting: Posting, fact: Told | None = None) -> Receipt:
        """Turn what was recorded into the answer; raise the refusal that it stands for, if it is one."""
        record = posting.record
        outcome = json.loads(record.outcome) if posting.outcome is None else posting.outcome
        given: Award | None = posting.award
        if given is None and isinstance(fact, EARNS) and "version" in outcome:
            program = self.versions[outcome["version"]]
            given = award(program, fact, tier=outcome["tier"], used=outcome["used"])
        cash, gift_card, points_back = None, None, 0
        if "now" in outcome:
            then, now = outcome["back"], outcome["now"]
            cash, gift_card = Decimal(now[0]) - Decimal(then[0]), Decimal(now[1]) - Decimal(then[1])
            points_back = now[2] - then[2]
        changes = outcome.get("changes", {})
        receipt = Receipt(
            record.key.removeprefix("key:"), record.kind, posting.member, from_us(record.at), record.status,
            changes.get("points", 0), tuple(sorted(changes.items())), outcome.get("shortfall", 0),
            outcome.get("debt", 0), given,
            cash, gift_card, points_back, tuple(outcome.get("ignored", ())), posting.commit is None,
        )  # fmt: skip
        raise_refusal(outcome, receipt)
        return receipt


# ---------------------------------------------------------------- small steps


def _terms(program: Program, name: str) -> Terms:
    unit, zone = program.unit(name), program.zone
    grace = unit.restore if isinstance(unit.restore, Grace) else None

    def when(at: datetime) -> tuple[int, int]:
        made = dates(unit, at, zone)
        return (
            NEVER if made.active_at is None else to_us(made.active_at),
            NEVER if made.expires_at is None else to_us(made.expires_at),
        )

    return Terms(
        shortfall=unit.shortfall or "debt",
        hold=unit.hold or "pinned",
        restore="off" if unit.restore == "off" else "strict",
        dates=when,
        lapse_at=lambda at: None if unit.inactivity is None else to_us(unit.inactivity.after(at, zone)),
        grace_until=lambda at: 0 if grace is None else to_us(grace.period.after(at, zone)),
    )


def _switches(versions: Mapping[int, Program]) -> Iterator[Switch]:
    """Return where one version after another switched expiry on."""
    ordered = sorted(versions.values(), key=lambda each: (each.effective_from is not None, each.effective_from))
    for before, after in pairwise(ordered):
        for name in ["points", *(unit.name for unit in after.units)]:
            try:
                old, new = before.unit(name), after.unit(name)
            except InputError:  # a new unit has no old lots
                continue
            if old.validity is None and new.validity is not None and after.effective_from is not None:
                expires_at = new.validity.after(after.effective_from, after.zone)
                yield Switch(name, after.version, to_us(after.effective_from), to_us(expires_at))


def count_items(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the items that hold these counters."""
    return tuple(("count", name) for name in names)


def _spending_items(order: Order) -> list[tuple[str, str]]:
    """Return the items that an order paid with points reads: its own redemptions, and those that its parts name."""
    found = []
    for number, tender in enumerate(order.tenders):
        if tender.kind == "points" and tender.key is None:
            found.append(("spent", spending_key(order.id, number)))
        elif tender.kind == "points" and tender.key is not None:
            found += [("spent", tender.key), ("hold", tender.key)]
    return found


def _noted(story: Story) -> dict[str, Any]:
    """Return what is noted of an order: what it counts for, and what has gone back."""
    back = story.returned
    return {
        "counts": {name: amount for name, amount in story.counts.items() if amount},
        "cash": str(back.amount("cash")) if back else "0",
        "gift_card": str(back.amount("gift_card")) if back else "0",
        "points": back.points if back else 0,
        "ignored": list(story.ignored),
    }


def _redeemed(order: Order, records: Mapping[str, Record]) -> set[str]:
    """Return the keys that parts of the payment name and under which points were redeemed."""
    found = set()
    for tender in order.tenders:
        record = records.get(record_key(tender.key)) if tender.key is not None else None
        if record is not None and record.kind == "redeem" and record.status == "applied":
            found.add(record.key.removeprefix("key:"))
    return found


def _count(books: Books, name: str) -> int:
    return int(books.value("count", name) or 0)


def counted(books: Books, names: Iterable[str]) -> dict[str, int]:
    """Return what was counted so far, where anything was."""
    return {name: count for name in names if (count := _count(books, name))}


def _enrol(member: Member, view: View) -> Draft:
    """Keep what is known of a person: the latest word holds, and the earlier ones held in their time."""
    view.books.keep("profile", key_of(member), wire.to_data(member))
    known = view.books.value("profile", "member")
    if known is None or to_us(wire.from_data(Member, known).at) <= to_us(member.at):
        view.books.keep("profile", "member", wire.to_data(member))
    return Draft([], {})


def _note(view: View) -> Draft:
    """Keep what only has to be known: its record is all."""
    require_open(view)
    return Draft([], {})


def unknown_member(member: str) -> UnknownMember:
    """Return the error for a member of whom nothing was recorded."""
    return UnknownMember("member", member, "nothing was recorded of this member; record a Member or another fact first")


def _too_large(refund: Refund, facts: Sequence[Fact], program: Program) -> InputError:
    """Return why a refund cannot be true of its order."""
    order = max((each for each in facts if isinstance(each, Order)), key=lambda each: each.revision)
    others = [each for each in facts if isinstance(each, Refund)]
    try:
        remains(order, [*others, refund], program.currency, program.refund_split)
    except InputError as error:
        return error
    return RefundTooLarge("refund.id", refund.id, "with it, more would be refunded than the order was of")
