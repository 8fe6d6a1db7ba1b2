"""Stores that are wrong on purpose, each in one way that real stores have been wrong: tests of the contract.

`BROKEN` holds them all. The contract must catch every one; `caught_by` names a test that does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import Balance, Commit, Context, Head, Item, Lot, Need, Record
from loyaltykit.stores.memory import MemoryStore


class BrokenStore(MemoryStore):
    """A `MemoryStore` with one mistake."""

    caught_by: ClassVar[str]

    def _version(self, account: str) -> int:
        kept = self.load(Need(account)).head
        return 0 if kept is None else kept.version


def _moved(commit: Commit, expected: int) -> Commit:
    """Return `commit` as if it had been decided on the version `expected`."""
    by = expected - commit.expected
    return commit._replace(
        expected=expected,
        head=commit.head._replace(version=commit.head.version + by),
        records=[each._replace(version=each.version + by) for each in commit.records],
        entries=[each._replace(version=each.version + by) for each in commit.entries],
    )


class IgnoresVersion(BrokenStore):
    """Appends whatever comes: the last writer wins and the first is lost."""

    caught_by = "test_version_check"

    def append(self, commit: Commit) -> None:
        """Append on top of whatever is there."""
        super().append(_moved(commit, self._version(commit.account)))


class ChecksTooEarly(BrokenStore):
    """Checks the version, and then appends: in between another writer may have done the same."""

    caught_by = "test_one_of_many_writers_wins"

    def append(self, commit: Commit) -> None:
        """Check, let others in, append."""
        version = self._version(commit.account)
        if version == commit.expected:
            time.sleep(0.001)
            commit = _moved(commit, self._version(commit.account))
        super().append(commit)


class LosesEveryFifth(BrokenStore):
    """Acknowledges every fifth commit without keeping it."""

    caught_by = "test_key_once"
    _count = 0

    def append(self, commit: Commit) -> None:
        """Append, four times out of five."""
        self._count += 1
        if self._count % 5:
            super().append(commit)


class AppliesHalf(BrokenStore):
    """Writes balances and lots before it looks at the key, and does not take them back."""

    caught_by = "test_nothing_of_a_refused_commit"

    def append(self, commit: Commit) -> None:
        """Append; of a commit whose key is refused, leave some rows."""
        try:
            super().append(commit)
        except StaleVersion:
            raise
        except StoreError:
            account = self._accounts.get(commit.account)
            if account is not None:
                account.apply(commit._replace(head=account.head, records=(), entries=(), items=()))
            raise


class MixesAccounts(BrokenStore):
    """Takes names that differ in case or in spaces at the end for one, as many collations do."""

    caught_by = "test_accounts_do_not_meet"

    def load(self, need: Need) -> Context:
        """Load from the account of a similar name."""
        return super().load(need._replace(account=need.account.lower().rstrip()))

    def append(self, commit: Commit) -> None:
        """Append to the account of a similar name."""
        super().append(commit._replace(account=commit.account.lower().rstrip()))


class ServesStaleLots(BrokenStore):
    """Answers with the lots that it found the time before: a cache that nobody empties."""

    caught_by = "test_lots_to_spend_follow_changes"

    def load(self, need: Need) -> Context:
        """Load, with lots out of a cache."""
        context = super().load(need)
        cache: dict[Need, Any] = self.__dict__.setdefault("_cache", {})
        lots = cache.get(need, context.lots)
        cache[need] = context.lots
        return context._replace(lots=lots)


class TornView(BrokenStore):
    """Reads the head first and the rest afterwards, without a transaction around them."""

    caught_by = "test_one_view"

    def load(self, need: Need) -> Context:
        """Load twice, and put the two together."""
        kept = super().load(need).head
        time.sleep(0.001)
        return super().load(need)._replace(head=kept)


class RecordsByKey(BrokenStore):
    """Returns the records of a whole account in the order of an index on their keys."""

    caught_by = "test_a_whole_account_in_the_order_of_recording"

    def load(self, need: Need) -> Context:
        """Load, with the records sorted by key."""
        found = super().load(need)
        return found._replace(records=dict(sorted(found.records.items())))


class DropsMicroseconds(BrokenStore):
    """Keeps instants to the millisecond, as some databases' time types do."""

    caught_by = "test_rows_as_given"

    def append(self, commit: Commit) -> None:
        """Append, with the instants of records cut."""
        records = [each._replace(at=each.at // 1000 * 1000) for each in commit.records]
        super().append(commit._replace(records=records))


class KeepsFloats(BrokenStore):
    """Keeps numbers as 64-bit floats, which are exact up to 2**53 only."""

    caught_by = "test_rows_as_given"

    def append(self, commit: Commit) -> None:
        """Append, with rounded balances."""
        balances = [each._replace(active=int(float(each.active))) for each in commit.balances]
        super().append(commit._replace(balances=balances))


class ForgetsKeys(BrokenStore):
    """Keeps only the latest ten keys, as a cache of answers would."""

    caught_by = "test_key_once"

    def append(self, commit: Commit) -> None:
        """Append, and forget what is old."""
        super().append(commit)
        by_key: dict[str, Record] = self._accounts[commit.account].by_key
        for key in list(by_key)[:-10]:
            del by_key[key]


class AcceptsKeysAgain(BrokenStore):
    """Has no unique index on the key."""

    caught_by = "test_nothing_of_a_refused_commit"

    def append(self, commit: Commit) -> None:
        """Append, whether the key is there or not."""
        account = self._accounts.get(commit.account)
        if account is not None:
            account.by_key = {key: each for key, each in account.by_key.items() if key not in str(commit.records)}
        super().append(commit)


class SpendsTheLatestFirst(BrokenStore):
    """Offers the lots that expire last before those that expire soon."""

    caught_by = "test_lots_to_spend"

    def load(self, need: Need) -> Context:
        """Load, with the wrong lots to spend."""
        every = super().load(need._replace(open_lots=True)).lots
        lots: dict[str, Lot] = dict(super().load(need._replace(spend=())).lots)
        for unit, wanted in need.spend:
            for each in sorted(every.values(), key=lambda lot: lot.expires_at, reverse=True):
                if wanted > 0 and each.unit == unit and each.active_at <= need.spend_at < each.expires_at:
                    wanted -= each.active
                    lots[each.lot] = each
        return super().load(need)._replace(lots=lots)


class SpendsWhatHasExpired(BrokenStore):
    """Counts a lot at the very instant at which it expires, which is the first at which it is gone."""

    caught_by = "test_lots_to_spend"

    def load(self, need: Need) -> Context:
        """Load, as if it were a microsecond earlier."""
        return super().load(need._replace(spend_at=need.spend_at - 1))


class MissesHeldLots(BrokenStore):
    """Takes a lot for open only while something is active in it."""

    caught_by = "test_lots_by_name_source_and_state"

    def load(self, need: Need) -> Context:
        """Load, without lots that are held as a whole."""
        context = super().load(need)
        return context._replace(lots={name: lot for name, lot in context.lots.items() if lot.active or not lot.held})


class DueTooLate(BrokenStore):
    """Finds what is due a microsecond too late."""

    caught_by = "test_due_accounts"

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Return what was due before `before`, not what is due at it."""
        return super().due(program, before - 1, limit)


class KeepsRemovedItems(BrokenStore):
    """Does not remove an item whose value is None."""

    caught_by = "test_items"

    def append(self, commit: Commit) -> None:
        """Append what is not None."""
        items: list[Item] = [each for each in commit.items if each.value is not None]
        super().append(commit._replace(items=items))


class UnsortedPages(BrokenStore):
    """Lists accounts in the order in which they were first seen."""

    caught_by = "test_pages_of_accounts"

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return accounts, unsorted."""
        found = [(name, kept.head) for name, kept in self._accounts.items() if name.startswith(f"{program}/")]
        return [pair for pair in found if pair[0] > after][: max(limit, 0)]


class SortsByCodeUnit(BrokenStore):
    """Lists accounts in the order of UTF-16 units, in which letters beyond 65,535 come too early."""

    caught_by = "test_pages_of_accounts"

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """Return accounts in another order."""
        found = sorted(super().accounts(program, "", 10**6), key=lambda pair: pair[0].encode("utf-16-be"))
        return [pair for pair in found if pair[0].encode("utf-16-be") > after.encode("utf-16-be")][: max(limit, 0)]


class OldBalancesInPages(BrokenStore):
    """Lists balances out of a summary that is made once."""

    caught_by = "test_pages_of_balances"

    def append(self, commit: Commit) -> None:
        """Append, and keep the first balance for the lists."""
        super().append(commit)
        first: dict[tuple[str, str], Balance] = self.__dict__.setdefault("_first", {})
        for each in commit.balances:
            first.setdefault((commit.account, each.unit), each)

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """Return balances as they once were."""
        first: dict[tuple[str, str], Balance] = self.__dict__.get("_first", {})
        page = super().balances(program, unit, after, limit)
        return [(name, kept, first[name, unit]) for name, kept, _ in page]


class CarriesOnAfterAFailure(BrokenStore):
    """Appends many commits one by one, each on its own, whatever became of the ones before it."""

    caught_by = "test_what_follows_a_failed_commit_fails"

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Append each."""
        outcomes: list[StoreError | None] = []
        for commit in commits:
            try:
                self.append(commit)
                outcomes.append(None)
            except StoreError as error:
                outcomes.append(error)
        return outcomes


class ReplacesPrograms(BrokenStore):
    """Lets a later content take the place of a registered version."""

    caught_by = "test_versions"

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep whatever came last."""
        self._versions.setdefault(program, {})[version] = (effective_from, payload)


class KeepsWhatIsReplaced(BrokenStore):
    """Puts the new account beside the old one, which stays."""

    caught_by = "test_replaced_by_another_name"

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Replace, and bring the old one back."""
        kept = self._accounts.get(account)
        super().replace(account, expected, instead)
        if kept is not None and instead.account != account:
            self._accounts[account] = kept


class ReplacesInTwoSteps(BrokenStore):
    """Removes the old account first, and then finds that the new one cannot be written."""

    caught_by = "test_refused_replacement"

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Remove, then append."""
        if self._version(account) == expected:
            super().replace(account, expected, _moved(instead, 0)._replace(account="p/nobody"))
            super().replace("p/nobody", instead.head.version, instead)
        else:
            super().replace(account, expected, instead)


class ReplacesAnyVersion(BrokenStore):
    """Replaces an account whatever has been written to it since it was loaded."""

    caught_by = "test_refused_replacement"

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Replace whatever is there."""
        super().replace(account, self._version(account) or expected, instead)


class WorksWhenClosed(BrokenStore):
    """Goes on working, on nothing, after it was closed."""

    caught_by = "test_closed"

    def close(self) -> None:
        """Forget everything and stay open."""
        super().close()
        self._closed = False


BROKEN: tuple[type[BrokenStore], ...] = tuple(BrokenStore.__subclasses__())
"""All of them, in the order above."""
