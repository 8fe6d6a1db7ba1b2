"""Writing on behalf of a club: load, decide, append, over as many accounts as a fact or a command touches.

The imperative part behind `loyaltykit.club`. What is decided, and in which order streams are written, is said by the
pure modules; here it is done, and done again where another writer was faster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from loyaltykit import commands, wire
from loyaltykit.awards import Award
from loyaltykit.books import Books
from loyaltykit.calendar import instant, to_us
from loyaltykit.consent import Told
from loyaltykit.decisions import Receipt
from loyaltykit.earning import award, counters
from loyaltykit.elsewhere import Absorbed
from loyaltykit.errors import LoyaltyError, OutcomeUnknown, Refused, StaleVersion, StoreBusy, StoreError
from loyaltykit.facts import Activity, Fact, Order
from loyaltykit.handover import TAKES_IN, Moved, arrived, give_back, let_go, reserve
from loyaltykit.journal import Commit, Head, Need, Record
from loyaltykit.ledger import Posting
from loyaltykit.matching import Tiers
from loyaltykit.merges import links_of, note_of
from loyaltykit.program import Program
from loyaltykit.rewards import Reward
from loyaltykit.rulebook import EARNS, Rulebook, count_items, counted, unknown_member
from loyaltykit.session import Session, Task, pause
from loyaltykit.sources import FactSource, told_by
from loyaltykit.stores.protocol import Store
from loyaltykit.stories import key_of, ref_of

ATTEMPTS = 60
"""How often a write that others overtook is decided again before `StoreBusy` is raised."""

HOT = 50
"""For how many of its next writes an account that others overtook asks them to wait at once."""

UNKNOWN = 3
"""How often a write whose answer was lost is repeated, with the same key, before `OutcomeUnknown` is raised."""


class Writer:
    """All writing to one program's streams in one store."""

    def __init__(
        self, rules: Rulebook, store: Store, clock: Callable[[], datetime], source: FactSource | None = None
    ) -> None:
        self.rules = rules
        self.store = store
        self.source = source
        self.sleep: Callable[[float], object] = time.sleep  # an event loop's, where that is what waits
        self._clock = clock
        self._hot: dict[str, int] = {}

    def head(self, member: str) -> Head:
        """Return the head of a member's account; `UnknownMember` if there is none."""
        head = self.store.load(Need(self.rules.account(member))).head
        if head is None:
            raise unknown_member(member)
        return head

    def record(self, fact: Told, tier: Tiers) -> Posting:
        """Write a fact, to the account in which its member's facts go now, with its part of the budgets reserved."""
        reserved = self._reserve_budgets(fact, tier) if isinstance(fact, EARNS) else {}
        every = tier is None and self.rules.asks_for_tiers(fact)
        account: str | None = None
        elsewhere: Mapping[str, Sequence[Record]] = {}
        prefixes: Sequence[str] = ()
        told = self._asked(fact) if tier is None else ()
        while True:
            task = self.rules.fact_task(
                fact, tier, account=account, elsewhere=elsewhere, prefixes=prefixes, reserved=reserved, source=told
            )
            try:
                posting = self.write(task)
                break
            except Moved as moved:
                account, elsewhere, prefixes = self.rules.account(moved.into), {}, ()
            except Absorbed as absorbed:
                elsewhere = self._elsewhere(absorbed.members, None if every else fact)
                prefixes = absorbed.prefixes
        self._settle_budgets(posting, fact, reserved)
        return posting

    def told(self, member: str, known_at: datetime | None = None) -> tuple[Fact, ...]:
        """Return what the shop's own tables tell of a member, where the club reads any."""
        return () if self.source is None else told_by(self.source, member, known_at)

    def _asked(self, fact: Told) -> tuple[Fact, ...]:
        """Return what the shop's own tables tell of a fact's member, where what it earns depends on that."""
        if self.source is None or not isinstance(fact, EARNS) or not self.rules.asks_for_tiers(fact):
            return ()
        return self.told(fact.member)

    def _elsewhere(self, members: Sequence[str], about: Told | None = None) -> dict[str, Sequence[Record]]:
        """Return the records of members with whom another is, or was, merged: of a fact and its order, or all."""
        found: dict[str, Sequence[Record]] = {}
        for member in members:
            need = Need(self.rules.account(member), everything=about is None)
            if about is not None:
                ref = ref_of(about)
                need = need._replace(keys=(key_of(about),), refs=() if ref is None else (ref,))
            found[member] = tuple(self.store.load(need).records.values())
        return found

    def tiers(self, fact: Order | Activity) -> Tiers:
        """Return the tiers by which a fact would earn now; None where the program does not ask for any."""
        if not self.rules.asks_for_tiers(fact):
            return None
        context = self.store.load(Need(self.rules.account(fact.member), everything=True))
        elsewhere = self._elsewhere(links_of(note_of(context.head)))
        return self.rules.tiers(fact, context, elsewhere, self.told(fact.member))

    def preview(self, fact: Order | Activity, tier: Tiers) -> Award:
        """Return what a fact would earn now, with what has been counted under caps and budgets so far."""
        program = self.rules.program(fact.at)
        tier = self.tiers(fact) if tier is None else tier
        names = counters(program, fact)
        used: Mapping[str, int] = {}
        if names:
            context = self.store.load(Need(self.rules.account(fact.member), items=count_items(names)))
            used = counted(Books(items=context.items), names)
        for rule in program.earning:
            if rule.budget is not None:
                used = {**used, f"budget/{rule.budget.name}": self.used(self.pool("budget", rule.budget.name))}
        return award(program, fact, tier=tier, used=used)

    # ------------------------------------------------------------ two accounts

    def hand_over(self, task: Task) -> Receipt:
        """Write the sending side, then the receiving one, then note on the first that it arrived."""
        posting = self.write(task)
        receipt = self.rules.receipt(posting)
        outcome = json.loads(posting.record.outcome)
        if posting.record.status == "applied":
            self.take_in(task.need.account, posting.record, {"kind": posting.record.kind, "to": outcome["to"]})
        return receipt

    def take_in(self, account: str, sent: Record, value: Mapping[str, Any]) -> None:
        """Complete what has left an account: write the other side, and note that it arrived."""
        other, member = self.rules.account(value["to"]), account.partition("/")[2]
        while True:
            try:
                self.write(TAKES_IN[value["kind"]](other, member, sent))
                break
            except Moved as moved:
                other = self.rules.account(moved.into)
        for between in json.loads(sent.outcome).get("via", ()) if value["kind"] == "unmerge" else ():
            self.write(let_go(self.rules.account(between), member, sent))
        self.write(arrived(account, sent.key.removeprefix("key:"), sent.at))

    # ------------------------------------------------------------ pools

    def pool(self, kind: str, name: str) -> str:
        """Return the name of a pool's stream."""
        return f"{self.rules.name}~{kind}/{name}"

    def used(self, pool: str) -> int:
        """Return how much of a pool is used."""
        item = self.store.load(Need(pool, items=(("count", "used"),))).items.get(("count", "used"))
        return 0 if item is None or item.value is None else int(json.loads(item.value))

    def _reserve_budgets(self, fact: Order | Activity, tier: Tiers) -> dict[str, tuple[int, int]]:
        """Reserve what the fact would take of each campaign budget: name -> (reserved, the budget's points)."""
        program = self.rules.program(fact.at)
        limits = {rule.budget.name: rule.budget.points for rule in program.earning if rule.budget is not None}
        if not limits:
            return {}
        wanted = dict(self.preview(fact, tier).counts)
        reserved = {}
        for name, limit in limits.items():
            want, got = wanted.get(f"budget/{name}", 0), 0
            key, at = f"{fact.member}/{key_of(fact)}", to_us(fact.at)
            # What was reserved before an interruption is used up in the pool, and still ours.
            if want or self.store.load(Need(self.pool("budget", name), keys=(key,))).records:
                task = reserve(self.pool("budget", name), key, at, want, limit, wire.fingerprint(fact))
                got = json.loads(self.write(task).record.outcome)["reserved"]
            reserved[name] = (got, limit)
        return reserved

    def _settle_budgets(self, posting: Posting, fact: Told, reserved: Mapping[str, tuple[int, int]]) -> None:
        """Give back to the budgets what was reserved and not given, and what was taken back."""
        changes = json.loads(posting.record.outcome).get("budgets", {})
        for name in {*reserved, *changes}:
            rest = reserved.get(name, (0, 0))[0] - changes.get(name, 0)
            if rest > 0:
                key = f"{posting.member}/{key_of(fact)}:rest"
                self.write(give_back(self.pool("budget", name), key, posting.record.at, rest))

    def redeem_from_stock(self, command: commands.Redeem, task: Task, program: Program) -> Receipt:
        """Redeem a reward of which there are only so many: one is reserved first, and given back if it is refused."""
        reward = next((each for each in program.rewards if each.name == command.reward), None)
        if not isinstance(reward, Reward) or reward.stock is None:
            return self.rules.receipt(self.write(task))
        pool, key, at = self.pool("stock", reward.name), f"{command.member}/{command.key}", to_us(command.at)
        taken = self.write(reserve(pool, key, at, 1, reward.stock, task.envelope.fingerprint))
        if not json.loads(taken.record.outcome)["reserved"]:
            raise Refused("out_of_stock", f"no {reward.name} is left")
        posting = self.write(task)
        if posting.record.status == "refused":
            self.write(give_back(pool, key + ":rest", at, 1))
        return self.rules.receipt(posting)

    def write(self, task: Task) -> Posting:
        """Load, decide, append; again where another writer was faster or the answer was lost."""
        unknown = 0
        account = task.need.account
        for attempt in range(ATTEMPTS):
            hint = self.store.exclusive(account) if attempt or self._is_hot(account) else nullcontext()
            try:
                with hint:
                    session = Session(self.store, task.need)
                    self._switch_terms(session, task.need.account, task.envelope.at)
                    posting = session.run(task, self.now())
                    session.flush()
                return posting
            except StaleVersion:
                if getattr(self.store, "joined", False):
                    raise  # in a transaction of the shop's, which can only be done again as a whole
                if len(self._hot) > 10_000:  # a hint: nothing is lost with it
                    self._hot.clear()
                self._hot[account] = HOT
                pause(attempt, self.sleep)
            except OutcomeUnknown:
                unknown += 1
                if unknown > UNKNOWN:
                    raise
                pause(attempt, self.sleep)
        raise StoreBusy(
            f"{task.need.account} was changed by others {ATTEMPTS} times in a row; try again with the same key"
        )

    def _is_hot(self, account: str) -> bool:
        """Say whether writers of an account are likely to meet, as they did a few writes ago."""
        left = self._hot.pop(account, 0)
        if left > 1:
            self._hot[account] = left - 1
        return left > 0

    def _switch_terms(self, session: Session, account: str, at: int) -> None:
        """Where a later version switched expiry on, give lots that had none their full term, once an account."""
        for switch in self.rules.switches:
            if switch.at <= at and account.startswith(self.rules.name + "/"):
                session.run(self.rules.switch_task(account, switch), self.now())

    def book_switches(self, member: str, at: int) -> None:
        """Write down that expiry was switched on, where it was by `at`, before the member's books are read."""
        if any(switch.at <= at for switch in self.rules.switches):
            session = Session(self.store, Need(self.rules.account(member)))
            if session.context.head is None:
                return
            self._switch_terms(session, self.rules.account(member), at)
            session.flush()

    def now(self) -> int:
        """Return when something is recorded that is recorded now."""
        return to_us(instant(self._clock(), "clock()"))

    def record_batch(self, facts: Sequence[Told]) -> Iterator[Receipt]:
        """Record facts account by account, each account loaded once and appended once, all in one durable step."""
        if any(rule.budget is not None for program in self.rules.versions.values() for rule in program.earning):
            for fact in facts:  # a budget is a stream of its own, which all members share
                yield self.rules.receipt(self.record(fact, None), fact)
            return
        by_account: dict[str, list[int]] = {}
        for place, fact in enumerate(facts):
            by_account.setdefault(self.rules.account_of(fact), []).append(place)
        batch = _Batch(len(facts))
        for account, places in by_account.items():
            self._decide(account, facts, places, batch)
        outcomes = self.store.append_many([commit for commit, _ in batch.commits])
        for (_, places), outcome in zip(batch.commits, outcomes, strict=True):
            if outcome is None:
                continue
            if not outcome.retry:
                raise outcome
            # Another writer was faster: one by one.
            self._record_each(facts, places, batch)
        for place in range(batch.end):
            yield batch.receipts[place]
        if batch.error is not None:
            raise batch.error

    def _decide(self, account: str, facts: Sequence[Told], places: list[int], batch: _Batch) -> None:
        """Decide the facts at these places, which are of this account, as one commit."""
        tasks: list[Task] = []
        for place in places:
            if place > batch.end:
                break
            try:
                fact = facts[place]
                tasks.append(self.rules.fact_task(fact, None, account=account, source=self._asked(fact)))
            except LoyaltyError as wrong:
                batch.end, batch.error = place, wrong
        if not tasks:
            return
        last, now = max(task.envelope.at for task in tasks), self.now()
        session = Session(self.store, *[task.need for task in tasks], due=last)
        written = 0  # so many of the places before are in the store
        for number, (place, task) in enumerate(zip(places, tasks, strict=False)):
            try:
                self._switch_terms(session, task.need.account, task.envelope.at)
                posting = session.run(task, now)
            except (Moved, Absorbed, StaleVersion):  # merged, or overtaken: as if it had come alone
                try:
                    session.flush()
                except StaleVersion:  # what was decided for those before is of no use either
                    self._record_each(facts, places[written:number], batch)
                session, written = Session(self.store, task.need), number + 1
                self._record_each(facts, [place], batch)
            except LoyaltyError as wrong:
                batch.end, batch.error = place, wrong
            else:
                batch.receipts[place] = self.rules.receipt(posting, facts[place])
            if place >= batch.end:
                break
        commit = session.commit()
        if commit is not None:
            batch.commits.append((commit, places))

    def _record_each(self, facts: Sequence[Told], places: Sequence[int], batch: _Batch) -> None:
        """Record the facts at these places one by one; the batch ends before the first that cannot be."""
        for place in places:
            if place >= batch.end:
                break
            try:
                batch.receipts[place] = self.rules.receipt(self.record(facts[place], None), facts[place])
            except StoreError:
                raise
            except LoyaltyError as wrong:
                batch.end, batch.error = place, wrong


class _Batch:
    """What has been decided of a batch: it ends before the first fact that cannot be recorded, if there is one."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.error: LoyaltyError | None = None
        self.receipts: dict[int, Receipt] = {}
        self.commits: list[tuple[Commit, list[int]]] = []
