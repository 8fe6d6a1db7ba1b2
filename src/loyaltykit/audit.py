"""Whole stores, account by account: verified, sealed, checked against a seal.

The imperative part of `loyaltykit.seals`. All of it works on any store, with or without a club at work on it, and takes
little memory; the callback `progress` is told every 500 accounts how many are done, and which was the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loyaltykit.calendar import from_us
from loyaltykit.errors import StoreError
from loyaltykit.journal import Context, Head, Need
from loyaltykit.seals import (
    Finding,
    Seal,
    Sealed,
    added,
    compare,
    continues,
    program_digest,
    sealed,
    wrongs,
)
from loyaltykit.stores.protocol import Store

Progress = Callable[[int, str], None] | None

_PAGE = 500


def books_of(program: str) -> tuple[str, ...]:
    """Return the names under which a store keeps the accounts of a program: members', budgets' and stocks'."""
    return program, f"{program}~budget", f"{program}~stock"


def listed(store: Store, program: str) -> Iterator[tuple[str, Head]]:
    """Yield every account that is kept under a name, page by page."""
    after = ""
    while page := store.accounts(program, after, _PAGE):
        yield from page
        after = page[-1][0]


def accounts(store: Store, program: str, progress: Progress = None) -> Iterator[tuple[str, Head]]:
    """Yield every account of a program: members by name, then budgets, then stocks."""
    done, account = 0, ""
    for name in books_of(program):
        for account, head in listed(store, name):
            yield account, head
            done += 1
            if progress is not None and done % _PAGE == 0:
                progress(done, account)
    if progress is not None and done % _PAGE:
        progress(done, account)


def whole(store: Store, account: str) -> Context:
    """Return everything that a store has of an account."""
    return store.load(Need(account, everything=True))


def verify_all(store: Store, program: str, *, progress: Progress = None) -> Iterator[Finding]:
    """Yield what is wrong with the books of a program, of every account; nothing if all is well.

    Each is folded anew from its records and compared with every row that is stored.
    """
    for account, _ in accounts(store, program, progress):
        yield from wrongs(account, whole(store, account))


def seal(store: Store, program: str, at: int, earlier: Seal | None = None, *, progress: Progress = None) -> Seal:
    """Return the seal of a program, begun at the instant `at` (microseconds since 1970 in UTC).

    With the `earlier` seal, only accounts that were written to since are read. Raises `StoreError` where one of them
    does not begin with what was sealed: `check` says what was changed.
    """
    before = {} if earlier is None else {each.account: each for each in earlier.accounts}
    found: list[Sealed] = []
    for account, head in accounts(store, program, progress):
        known = before.get(account)
        if known is not None and known.version == head.version:
            found.append(known)
            continue
        context = whole(store, account)
        if known is not None and not continues(known, context):
            raise StoreError(f"{account} does not begin with what was sealed before; check() says what was changed")
        if context.head is not None:
            found.append(sealed(account, context))
    versions = tuple((number, program_digest(start, said)) for number, start, said in store.versions(program))
    return Seal(program, from_us(at), versions, tuple(found))


def check(store: Store, seal: Seal, *, progress: Progress = None) -> Iterator[Finding]:
    """Yield whatever was tampered with since a seal was made, and where the books do not follow from their records.

    What was recorded since is no finding. The erasure of a person is one, for the account is gone from under its name:
    check first, erase, and seal anew.
    """
    versions = {number: program_digest(start, said) for number, start, said in store.versions(seal.program)}
    for number, said in seal.versions:
        if number not in versions:
            yield Finding(seal.program, "program_removed", f"version {number} of the program is gone")
        elif versions[number] != said:
            yield Finding(seal.program, "program_changed", f"version {number} of the program was changed")
    before = {each.account: each for each in seal.accounts}
    for account, _ in accounts(store, seal.program, progress):
        known, context = before.pop(account, None), whole(store, account)
        yield from added(account, context, seal.at) if known is None else compare(known, context, seal.at)
        yield from wrongs(account, context)
    for account in before:
        yield Finding(account, "account_removed", f"the account is gone; it had {before[account].version} records")
