"""What every store checks in a commit before it looks at what it holds, and the words in which it refuses one."""

from __future__ import annotations

from loyaltykit.errors import StoreError
from loyaltykit.journal import Commit


def check_commit(commit: Commit) -> str:
    """Refuse a commit that would break the stream, whatever the store holds: a mistake of the caller.

    Returns:
        The account's program: what stands before the first slash of its name.

    Raises:
        StoreError: the account's name is not ``program/member``, the commit has no record, its records do not number
            on from `expected`, the head does not count them, a key or an entry comes twice, or an entry belongs to no
            record.
    """
    program, slash, _ = commit.account.partition("/")
    if not slash:
        raise StoreError(f"the account's name {commit.account!r} is not of the form 'program/member'")
    version = commit.expected
    for record in commit.records:
        version += 1
        if record.version != version:
            version = -1
            break
    if not commit.records or version != commit.head.version:
        raise StoreError(
            f"the commit for {commit.account!r} does not number on: after version {commit.expected} come records "
            f"{[record.version for record in commit.records]} and a head of version {commit.head.version}"
        )
    if len(commit.records) > 1 and len({record.key for record in commit.records}) != len(commit.records):
        raise StoreError(f"the commit for {commit.account!r} has a key twice")
    for entry in commit.entries:
        if not commit.expected < entry.version <= version:
            raise StoreError(
                f"the commit for {commit.account!r} has an entry for version {entry.version}, but no record"
            )
    if len(commit.entries) > 1 and len({entry[:2] for entry in commit.entries}) != len(commit.entries):
        raise StoreError(f"the commit for {commit.account!r} has an entry twice")
    return program


def check_replacement(account: str, expected: int, instead: Commit) -> str:
    """Refuse what cannot take the place of an account, whatever the store holds: a mistake of the caller.

    Returns:
        The program of `instead`.

    Raises:
        StoreError: there is nothing to replace, `instead` does not begin at the first record or does not fit together,
            or it has the same name and no higher version.
    """
    program = check_commit(instead)
    if expected < 1 or instead.expected != 0:
        raise StoreError(
            f"{account!r} at version {expected} cannot be replaced by a commit that expects version "
            f"{instead.expected}: replace an account that exists, by one that begins at its first record"
        )
    if instead.account == account and instead.head.version <= expected:
        raise StoreError(
            f"{account!r} at version {expected} cannot be replaced by version {instead.head.version} of itself: add a "
            "record, so that who has loaded the old one finds it moved"
        )
    return program


def stale(commit: Commit, version: int) -> str:
    """Return the message of a `StaleVersion`."""
    return moved(commit.account, commit.expected, version)


def moved(account: str, expected: int, version: int) -> str:
    """Return the message of a `StaleVersion`, for an account that is not at the version that was expected."""
    return (
        f"account {account!r} is at version {version}, not {expected}: "
        "another writer was first; load again and decide again"
    )


def follows_failed(commit: Commit) -> str:
    """Return the message of a `StaleVersion` for what follows a commit that failed in the same call."""
    return f"an earlier commit for {commit.account!r} in the same call failed; load again and decide again"


def key_twice(account: str, key: str) -> str:
    """Return the message for a key that the account has recorded already."""
    return f"account {account!r} has recorded the key {key!r} already; name it in Need.keys and look before deciding"


def other_version(program: str, version: int) -> str:
    """Return the message for a version of a program that is registered with another content."""
    return (
        f"version {version} of the program {program!r} is registered with another content; "
        "give the changed program the next version"
    )
