"""What is done to a club's books as a whole, apart from the day's work: sweep, verify, seal, check, erase a person.

The imperative part; what an account becomes, and how books are compared, is said by the pure modules `erasure` and
`seals`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import count

from loyaltykit import audit
from loyaltykit.amounts import whole
from loyaltykit.audit import Progress
from loyaltykit.calendar import instant, to_us
from loyaltykit.commands import Draft, record_key
from loyaltykit.erasure import Persons, absorbed, erased, forgetting, mentions, others
from loyaltykit.errors import InputError, OutcomeUnknown, Refused, StaleVersion, StoreBusy
from loyaltykit.fields import text
from loyaltykit.handover import HANDOVER, no_terms
from loyaltykit.journal import Context, Need
from loyaltykit.ledger import Envelope
from loyaltykit.merges import note_of
from loyaltykit.questions import Questions
from loyaltykit.seals import Finding, Seal
from loyaltykit.session import Task, pause
from loyaltykit.stores.protocol import Compacts
from loyaltykit.writer import ATTEMPTS


class Housekeeping(Questions):
    """What a `loyaltykit.club.Club` does in the background."""

    # ------------------------------------------------------------ sweeping

    def sweep(self, *, at: datetime, limit: int = 1_000) -> int:
        """Write down what has expired or become active by `at`, for up to `limit` members; return for how many.

        Bookkeeping only: no balance changes by it, and none depends on it. Transfers and merges that something
        interrupted are completed as well.
        """
        until = to_us(instant(at))
        accounts = self._store.due(self.name, until, whole(limit, "limit", 1))
        for account in accounts:
            self._sweep(account, until)
        return len(accounts)

    def sweep_all(self, *, at: datetime, batch: int = 1_000, progress: Progress = None) -> int:
        """Do what `sweep` does for every member, `batch` at a time; return for how many.

        `progress` is told after each batch how many are done, and the account that was the last. To stop in between
        and begin again is always safe: what is swept is not due any more.
        """
        until, done, batch = to_us(instant(at)), 0, whole(batch, "batch", 1)
        before: tuple[str, ...] = ()
        while (accounts := tuple(self._store.due(self.name, until, batch))) and accounts != before:
            for account in accounts:
                self._sweep(account, until)
            before, done = accounts, done + len(accounts)
            if progress is not None:
                progress(done, accounts[-1])
        return done

    def _sweep(self, account: str, until: int) -> None:
        envelope = Envelope(f"sweep@{until}", "sweep", until, "", "{}")
        need = Need(account, keys=(envelope.key,), due=until, kinds=("hold", HANDOVER))
        self._writer.write(Task(need, envelope, lambda view: Draft([], {}), no_terms))
        self._complete(account, self._store.load(need))

    def _complete(self, account: str, context: Context) -> None:
        """Bring to its end what has left an account and is not known to have arrived."""
        for (kind, key), item in context.items.items():
            if kind == HANDOVER and item.value is not None:
                sent = self._store.load(Need(account, keys=(record_key(key),))).records[record_key(key)]
                self._writer.take_in(account, sent, json.loads(item.value))

    # ------------------------------------------------------------ checking

    def verify_all(self, *, progress: Progress = None) -> Iterator[Finding]:
        """Yield what is wrong with the stored books of all members, budgets and stocks; nothing if all is well.

        Each account is folded anew from its records and compared with every row that is stored. They are read one after
        the other, so a base of any size takes little memory; `progress` is told every 500 accounts.
        """
        return audit.verify_all(self._store, self.name, progress=progress)

    def seal(self, earlier: Seal | None = None, *, progress: Progress = None) -> Seal:
        """Return a seal of all that is recorded now: keep it elsewhere, and `check` the books against it later.

        With the `earlier` seal only accounts that were written to since are read.
        """
        return audit.seal(self._store, self.name, self._writer.now(), earlier, progress=progress)

    def check(self, seal: Seal, *, progress: Progress = None) -> Iterator[Finding]:
        """Yield, in words, whatever was tampered with since a seal was made, and what `verify_all` finds."""
        return audit.check(self._store, seal, progress=progress)

    # ------------------------------------------------------------ erasing a person

    def erase(
        self, member: str, *, at: datetime, pseudonym: str | None = None, everywhere: bool = True, compact: bool = True
    ) -> str:
        """Erase a person: their account goes on under a pseudonym, with no personal data; return the pseudonym.

        Gone are their facts, profile, consents, texts, and every name that the shop gave (of orders, keys, holds), for
        which numbers stand from now on; in the accounts of others and in budgets and stocks, their name and keys. What
        moved stays: balances at any instant, statements, sums and the liability are as before, and unspent points
        expire in their time. Members that were merged into this one are erased with them.

        `pseudonym` is a name that no member has (default: a random one). Nothing that is kept leads from the person to
        it. A fact that comes later under the old name opens a new account, and can be erased in its turn; so stop
        whatever delivers them first. Interrupted, the same call again completes it.

        With `everywhere`, every account of the program is read, for what others alone know: that a transfer to the
        person was refused, that the person acted for them. Without, only accounts that the person's own books name.
        With `compact`, a store that can writes its file anew, so that nothing is left in its free space either. Both
        take as long as reading or copying everything; where the base is large, do it at night, and `compact` once for
        many (`SQLiteStore.compact`). Backups keep what they hold.

        Raises `UnknownMember`; `Refused` for a member that was merged into another; `InputError` where the pseudonym is
        a member; `StoreUnusable` where books are wrong: `rebuild` the member first.

        >>> from datetime import UTC, datetime
        >>> from loyaltykit import Club, MemoryStore, Order, Program, per_amount
        >>> now = datetime(2026, 3, 2, tzinfo=UTC)
        >>> club = Club(Program("shop", "USD", earning=per_amount(1)), MemoryStore())
        >>> receipt = club.record(Order("1001", "ann", now, amount="59.90"))
        >>> name = club.erase("ann", at=now)
        >>> list(club.members()) == [name], club.balance(name, at=now).available
        (True, 59)
        """
        name = f"erased-{secrets.token_hex(8)}" if pseudonym is None else text(pseudonym, "pseudonym")
        head = self._writer.head(member)
        if head.status == "closed":
            into = note_of(head)["into"]
            raise Refused("member_closed", f"{member} was merged into {into}: erase {into}, and both are erased")
        if self._load_all(name).head is not None:
            raise InputError("pseudonym", pseudonym, "is a member already; give a name that nobody has, or none")
        self._erase(member, name, to_us(instant(at)), everywhere)
        if compact and isinstance(self._store, Compacts):
            self._store.compact()
        return name

    def _erase(self, member: str, pseudonym: str, at: int, everywhere: bool) -> None:
        known: dict[str, str] = {}
        found: list[str] | None = None
        for attempt in range(ATTEMPTS):
            try:
                people = self._merged_into(member)
                for name in people:
                    if name not in known:
                        known[name] = pseudonym if name == member else self._free(pseudonym, known)
                if found is None:
                    found = [name for name in self._everybody(everywhere) if mentions(self._load_all(name), people)]
                self._replace(people, Persons(known, people.values()), found, at)
                return
            except (StaleVersion, OutcomeUnknown):
                if self._load_all(pseudonym).head is not None:  # it was the answer that was lost
                    return
                pause(attempt, self._writer.sleep)
        raise StoreBusy(f"the accounts that name {member} were changed by others {ATTEMPTS} times in a row; try again")

    def _free(self, pseudonym: str, known: Mapping[str, str]) -> str:
        """Return a name like the pseudonym that nobody has."""
        names = (f"{pseudonym}-{number}" for number in count(2))
        return next(name for name in names if name not in known.values() and self._load_all(name).head is None)

    def _replace(self, people: Mapping[str, Context], persons: Persons, found: list[str], at: int) -> None:
        """Let first others forget the person, then replace those who were merged into them, and them last."""
        self._forget(people, persons, found, at)
        for name, context in reversed(list(people.items())):
            if context.head is not None:
                new = self._account(persons.pseudonyms[name])
                instead = erased(context, new, persons, at, self._writer.now())
                self._store.replace(self._account(name), context.head.version, instead)

    def _merged_into(self, member: str) -> dict[str, Context]:
        """Return the accounts of a person, each whole: the member's, and those that were merged into it."""
        people: dict[str, Context] = {}
        names = [member]
        while names:
            name = names.pop()
            if name not in people:
                self._complete(self._account(name), self._load_all(name))
                people[name] = self._load_all(name)
                names += absorbed(people[name])
        return people

    def _forget(self, people: Mapping[str, Context], persons: Persons, found: list[str], at: int) -> None:
        """Replace the accounts of others, and the pools, that name the persons."""
        names = [*found, *(name for context in people.values() for name in others(context))]
        seen = set(people)
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            context = self._forget_in(self._account(name), persons, at)
            if context is not None:  # what it received from the person may have gone on with a merge
                names += others(context, merged=True)
        for pool in self._pools():
            self._forget_in(pool, persons, at)

    def _forget_in(self, account: str, persons: Persons, at: int) -> Context | None:
        """Replace an account that names the persons; return it as it was, None if it does not name them."""
        with self._store.exclusive(account):
            self._complete(account, self._store.load(Need(account, kinds=(HANDOVER,))))
            context = self._store.load(Need(account, everything=True))
            instead = context.head and forgetting(context, account, persons, at, self._writer.now())
            if context.head is None or instead is None:
                return None
            self._store.replace(account, context.head.version, instead)
            return context

    def _everybody(self, everywhere: bool) -> Iterator[str]:
        return (account.partition("/")[2] for account, _ in audit.listed(self._store, self.name) if everywhere)

    def _pools(self) -> list[str]:
        return [account for name in audit.books_of(self.name)[1:] for account, _ in audit.listed(self._store, name)]

    def _load_all(self, member: str) -> Context:
        return self._store.load(Need(self._account(member), everything=True))
