"""Seals: short proofs of what was recorded, kept elsewhere, against which the books are checked later.

Pure. Whoever can write to the database can change a record and everything that follows from it, so that the books
agree again. A **seal** is made beforehand, off the road on which orders are recorded: for every account its version and
a **chain** of hashes over its records and their entries, each ``sha256(the one before + record + entries)``. It is kept
where the database's masters cannot write. What was sealed and is not there any more, or not as it was, is found and
named; what was recorded after the seal is for the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from hashlib import sha256
from typing import Any, NamedTuple

import attrs

from loyaltykit.calendar import from_us, to_us
from loyaltykit.errors import InputError
from loyaltykit.journal import Context, Record, compact
from loyaltykit.ledger import verify

_MARK = 8
"""Characters of a digest by which a record is told from others when it comes to naming what was changed."""

_SLACK = 60_000_000
"""Microseconds between the instant at which a writer says that it records and the one at which it has recorded."""

FORMAT = 1


# ---------------------------------------------------------------- digests


class _Digest(NamedTuple):
    """One record with its entries, hashed: by their content alone, so that one that has moved is known again."""

    record: bytes
    entries: bytes

    @property
    def mark(self) -> str:
        return self.record.hex()[:_MARK] + self.entries.hex()[:_MARK]


def _hashed(rows: Any) -> bytes:
    return sha256(compact(rows).encode("utf-8", "surrogatepass")).digest()


def _digests(context: Context) -> list[_Digest]:
    entries: dict[int, list[Any]] = {}
    for entry in sorted(context.entries, key=lambda entry: entry[:2]):
        entries.setdefault(entry.version, []).append(entry[1:])
    return [
        _Digest(_hashed(record[1:]), _hashed(entries.get(record.version, [])))
        for record in sorted(context.records.values())
    ]


def _chain(account: str, digests: Iterable[_Digest]) -> str:
    link = sha256(account.encode()).digest()
    for digest in digests:
        link = sha256(link + digest.record + digest.entries).digest()
    return link.hex()


def digest(account: str, context: Context) -> tuple[str, str]:
    """Return the hashes of an account: the chain over its records and entries, and that of the state they led to.

    Two stores that hold the same account give the same two.
    """
    state = [
        context.head, *(sorted(rows.values()) for rows in (context.lots, context.balances, context.items)),
    ]  # fmt: skip
    return _chain(account, _digests(context)), _hashed(state).hex()


# ---------------------------------------------------------------- values


@attrs.frozen
class Sealed:
    """One account in a seal: its version, the chain up to there, the state, and a short mark for each record."""

    account: str
    version: int
    chain: str
    state: str
    marks: str


@attrs.frozen
class Seal:
    """All accounts and versions of a program at an instant, hashed. Make it with `loyaltykit.club.Club.seal`.

    `root` stands for all of it: whoever keeps those 64 characters can tell whether a seal was changed. Keep the seal as
    `lines`, and read it with `Seal.of_lines`. It names accounts, and so members; of what they did it says nothing.
    """

    program: str
    at: datetime
    versions: tuple[tuple[int, str], ...] = ()
    accounts: tuple[Sealed, ...] = attrs.field(default=(), repr=lambda accounts: f"<{len(accounts)} accounts>")

    @property
    def root(self) -> str:
        """The hash of the whole seal."""
        link = sha256()
        for line in self._lines():
            link.update(line.encode() + b"\n")
        return link.hexdigest()

    def _lines(self) -> Iterator[str]:
        yield compact({"seal": FORMAT, "program": self.program, "at": to_us(self.at), "versions": self.versions})
        for each in self.accounts:
            yield compact(attrs.astuple(each))

    def lines(self) -> Iterator[str]:
        """Yield the seal as lines of JSON, without line ends: what it is of, one line an account, its root."""
        yield from self._lines()
        yield compact({"root": self.root})

    @classmethod
    def of_lines(cls, lines: Iterable[str]) -> Seal:
        """Read a seal back; `InputError` where lines are missing, or are not what was written.

        >>> from datetime import UTC
        >>> seal = Seal("shop", datetime(2026, 3, 2, tzinfo=UTC))
        >>> Seal.of_lines(seal.lines()) == seal
        True
        """
        try:
            first, *rest, last = [json.loads(line) for line in lines if line.strip()]
            if first["seal"] != FORMAT:
                raise InputError("seal", first["seal"], f"was written by another version; this one reads {FORMAT}")
            versions = tuple((version, said) for version, said in first["versions"])
            seal = cls(first["program"], from_us(first["at"]), versions, tuple(Sealed(*each) for each in rest))
            root = last["root"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("seal", "...", f"these are not the lines of a whole seal: {error}") from None
        if root != seal.root:
            raise InputError("seal", root, f"is the root of another seal than these lines, whose root is {seal.root}")
        return seal


@attrs.frozen
class Finding:
    """Something that is wrong with stored books: in which account, what (a code), and in words.

    The codes: ``wrong`` (the books do not follow from their records), and against a seal ``record_changed``,
    ``records_removed``, ``records_added``, ``records_moved``, ``tail_cut``, ``entries_changed``, ``rows_changed``
    (lots, balances or items of the version that was sealed), ``backdated``, ``account_removed``, ``account_added``,
    ``program_changed``, ``program_removed``; between two stores ``missing``, ``different``, ``only_there``.
    """

    account: str
    code: str
    message: str

    @property
    def member(self) -> str:
        """The member whose account it is."""
        return self.account.partition("/")[2]

    def __str__(self) -> str:
        return f"{self.account}: {self.message}"


# ---------------------------------------------------------------- sealing


def sealed(account: str, context: Context) -> Sealed:
    """Return one account's part of a seal."""
    digests = _digests(context)
    version = 0 if context.head is None else context.head.version
    chain, state = digest(account, context)
    return Sealed(account, version, chain, state, "".join(each.mark for each in digests))


def continues(before: Sealed, context: Context) -> bool:
    """Say whether an account still begins with what was sealed of it."""
    return _chain(before.account, _digests(context)[: before.version]) == before.chain


def program_digest(effective_from: int, payload: str) -> str:
    """Return the hash of one version of a program."""
    return _hashed([effective_from, payload]).hex()


# ---------------------------------------------------------------- comparing


def wrongs(account: str, context: Context) -> Iterator[Finding]:
    """Yield where an account's books do not follow from its records."""
    try:
        problems = verify(context)
    except Exception as error:  # whatever was written into a plan: it is not what the library wrote
        problems = [f"the records cannot be folded: {error!r}"]
    yield from (Finding(account, "wrong", problem) for problem in problems)


def compare(before: Sealed, context: Context, at: datetime) -> Iterator[Finding]:
    """Yield how an account differs from what was sealed of it at the instant `at`; what came after is no difference."""
    account, digests = before.account, _digests(context)
    records = sorted(context.records.values())
    if _chain(account, digests[: before.version]) != before.chain:
        found = [Finding(account, *each) for each in _changes(before, records, digests)]
        anything = f"the records up to version {before.version} are not those that were sealed"
        yield from found or [Finding(account, "record_changed", anything)]
        return
    if len(records) == before.version and digest(account, context)[1] != before.state:
        yield Finding(account, "rows_changed", f"lots, balances, items or the head of version {before.version} changed")
    for record in records[before.version :]:
        if record.recorded_at < to_us(at) - _SLACK:
            said = f"{_named(record)} says that it was recorded before the seal, and was not in it"
            yield Finding(account, "backdated", said)


def added(account: str, context: Context, at: datetime) -> Iterator[Finding]:
    """Yield that an account is not in a seal although it says that it was there at the instant `at`."""
    first = min((record.recorded_at for record in context.records.values()), default=to_us(at))
    if first < to_us(at) - _SLACK:
        said = f"the account says that it was there on {from_us(first):%Y-%m-%d %H:%M}, and is not in the seal"
        yield Finding(account, "account_added", said)


def _named(record: Record) -> str:
    return f"record {record.version} ({record.key})"


def _changes(before: Sealed, records: Sequence[Record], digests: Sequence[_Digest]) -> Iterator[tuple[str, str]]:
    """Yield what became of the records that were sealed, as codes and words."""
    width, count = 2 * _MARK, before.version
    old = [before.marks[place : place + width] for place in range(0, len(before.marks), width)]
    new = [each.mark for each in digests]
    was, now = [mark[:_MARK] for mark in old], [mark[:_MARK] for mark in new]
    if was != now[:count] and sorted(was) == sorted(now[:count]):
        moved = [str(place + 1) for place in range(count) if was[place] != now[place]]
        yield "records_moved", f"records {', '.join(moved)} are not in the order in which they were recorded"
        return
    for _, i, i_end, j, j_end in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        for place, here in zip(range(i, i_end), range(j, j_end), strict=False):
            if was[place] != now[here]:
                yield "record_changed", f"{_named(records[here])} was changed"
            elif old[place] != new[here]:
                yield "entries_changed", f"the entries of {_named(records[here])} were changed, removed or added"
        gone = range(i + j_end - j + 1, i_end + 1)
        if gone and i_end == count and j_end == len(now):
            yield "tail_cut", f"the last {len(gone)} of {count} records are gone, from version {gone[0]} on"
        elif gone:
            yield "records_removed", f"{len(gone)} records are gone, from version {gone[0]} on"
        elif i_end < count:
            for record in records[j + i_end - i : j_end]:
                yield "records_added", f"{_named(record)} was put in"
