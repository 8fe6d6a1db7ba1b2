"""What a store must do.

A store knows nothing of loyalty. It keeps, for every **account** (one member in one program), a stream of
**records** (the facts and commands, in the order in which they were recorded) and the rows that the records led
to. All values are ``str``, ``int`` or ``None``; instants are integer microseconds since 1970 in UTC; "never" is
`NEVER`; texts that hold structure are JSON that the store need not read.

The laws, which `loyaltykit.testing.StoreContract` checks:

1. **Stream.** An account's records have the versions 1, 2, 3, ... without a gap, and are never changed or removed, save
   whole by `replace`. A commit brings at least one, numbered on from `expected`.
2. **All or nothing.** A commit is applied whole, durably before `append` returns, or not at all.
3. **Version check.** `append` succeeds only if the account's version still is the commit's `expected`; else it
   raises `StaleVersion` and changes nothing. Two writers that loaded the same version cannot both succeed. This holds
   between threads, and between processes where the store can be shared.
4. **One key, one record.** A key is recorded at most once in an account; a commit that fits the version but repeats a
   key is a `StoreError` that no retry mends.
5. **One view.** What `load` returns belongs together: it is the account at one version. The records of a whole account
   (``Need(everything=True)``) come in the order of recording.
6. **Read your writes.** What `append` acknowledged, every later `load`, from anywhere, includes.
7. **Accounts do not meet.** No commit waits for, reads or changes another account, apart from the physical
   write lock of an embedded store.
8. **Rows as given.** Every row comes back equal, to the last microsecond and the last unit, up to 2**63 - 1.
9. **Errors speak.** A failure raises one of the `StoreError` family and leaves the store as it was before the call.
10. **Replacing.** `replace` is the only thing that removes rows: it takes a whole account out and puts another stream
    in its place, all or nothing, under the same version check. What was taken out no call returns any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from loyaltykit.errors import StoreError
from loyaltykit.journal import Balance, Commit, Context, Head, Need


@runtime_checkable
class Store(Protocol):
    """A place that keeps accounts. The module's docstring has the laws.

    An account's name is ``program/member``; a store lists the accounts of one program in order of their name.
    """

    def load(self, need: Need) -> Context:
        """Return one consistent view of an account, with at least what `need` names."""

    def append(self, commit: Commit) -> None:
        """Apply `commit` durably and whole, or raise and change nothing. `StaleVersion` if the version moved."""

    def append_many(self, commits: Sequence[Commit]) -> list[StoreError | None]:
        """Apply each commit whole or not at all, together faster than one by one; say for each what went wrong.

        The call returns once all that succeeded are durable. Several commits of one account follow each other; once one
        of them has failed, the later ones fail with `StaleVersion`. A failure of the whole call applies nothing.
        """

    def exclusive(self, account: str) -> AbstractContextManager[None]:
        """A hint, not a promise: until it is left, other writers of `account` wait if that can be arranged cheaply."""

    def accounts(self, program: str, after: str = "", limit: int = 100) -> Sequence[tuple[str, Head]]:
        """A page of the accounts of `program` whose name comes after `after`, by name in code point order."""

    def balances(
        self, program: str, unit: str, after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, Head, Balance]]:
        """A page of accounts with their balance in `unit`, by name in code point order."""

    def due(self, program: str, before: int, limit: int = 100) -> Sequence[str]:
        """Accounts in which something happens by itself at or before the instant `before`, soonest first."""

    def versions(self, program: str) -> Sequence[tuple[int, int, str]]:
        """The registered versions of a program: (version, effective from, JSON), by version."""

    def register(self, program: str, version: int, effective_from: int, payload: str) -> None:
        """Keep a version of a program; the same again is nothing, another payload is a `StoreError`."""

    def programs(self) -> Sequence[str]:
        """The names of the programs of which a version is registered, in code point order."""

    def replace(self, account: str, expected: int, instead: Commit) -> None:
        """Remove every row of `account`, if its version is `expected`, and durably put all of `instead` there.

        `instead` is an account from its first record on (``instead.expected == 0``): under another name, that no
        account has, or under the same one, and then at a higher version, so that who loaded the old one finds it moved.
        `StaleVersion` if the version of `account` moved or the other name is taken. For the erasure of a person.
        """

    def close(self) -> None:
        """Let go of files and connections. A closed store raises `StoreUnusable`."""


@runtime_checkable
class Compacts(Protocol):
    """What a store can do besides, whose files keep what was removed or changed for a while."""

    def compact(self) -> None:
        """Leave nothing in the files of what was removed or changed. It may take as long as copying them."""
