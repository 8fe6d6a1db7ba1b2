"""Reading and writing one account's rows, or those of many, over a link: what is done between opening and closing."""

from __future__ import annotations

from collections.abc import Sequence

from loyaltykit.errors import StaleVersion, StoreError
from loyaltykit.journal import Commit, Context, Need
from loyaltykit.stores._commits import check_commit, follows_failed, key_twice, moved, stale
from loyaltykit.stores._sql_errors import is_refused_row
from loyaltykit.stores._sql_links import Link, told_as
from loyaltykit.stores._sql_rows import WIDEST, Change, appended, asked, change, decode, named_head_values, room
from loyaltykit.stores._sql_statements import Statements

FIRST_LOTS = 32
"""How many lots a load fetches at first to cover an amount; where they do not, many more."""

Chain = list[tuple[int, Commit]]
"""Commits of one account that follow each other, with their places in the call."""


def chained(commits: Sequence[Commit]) -> tuple[list[StoreError | None], list[Chain]]:
    """Return what is wrong with each commit by itself, and the others by account, in an order that all writers keep."""
    outcomes: list[StoreError | None] = []
    chains: dict[str, Chain] = {}
    failed: set[str] = set()
    for place, commit in enumerate(commits):
        chain = chains.setdefault(commit.account, [])
        outcome: StoreError | None = None
        try:
            if commit.account in failed:
                raise StaleVersion(follows_failed(commit))
            check_commit(commit)
            if chain and chain[-1][1].head.version != commit.expected:
                raise StaleVersion(stale(commit, chain[-1][1].head.version))
            chain.append((place, commit))
        except StoreError as error:
            failed.add(commit.account)
            outcome = error
        outcomes.append(outcome)
    return outcomes, [chains[account] for account in sorted(chains) if chains[account]]


def is_about_rows(error: StoreError) -> bool:
    """Return whether the database has refused a row, as it will again."""
    return error.__cause__ is not None and is_refused_row(error.__cause__)


class Desk:
    """Reads and writes rows with the statements of one store. Transactions are the caller's."""

    def __init__(self, statements: Statements, place: str) -> None:
        self._statements = statements
        self._place = place
        self.one_statement = statements.one_statement

    # ------------------------------------------------------------ one account

    def view(self, link: Link, need: Need) -> Context:
        """Return what one statement answers: the head and all else as they were at one instant."""
        limit = FIRST_LOTS
        while True:
            shape, values = asked(need, limit)
            statement = self._statements.load(shape)
            context = decode(self._statements.answer, need, link.rows(statement.sql, statement.values(values)), limit)
            if context is not None:
                return context
            limit *= FIRST_LOTS

    def put(self, link: Link, new: Change, commit: Commit) -> None:
        """Write a commit, or raise `StaleVersion` and write nothing."""
        if self.one_statement:
            sizes, values = appended(new)
            statement = self._statements.append(new.expected == 0, sizes)
            moved = link.change(statement.sql, statement.values(values))
        else:
            moved = self._move_heads(link, [new])
            if moved:
                self._put_rows(link, [new])
        if not moved:
            raise StaleVersion(stale(commit, self.version(link, commit.account)))

    # ------------------------------------------------------------ row by row

    def _move_heads(self, link: Link, changes: Sequence[Change]) -> int:
        """Put new heads in the place of those expected; return how many were there."""
        moved = 0
        for statement, of in (
            (self._statements.new_head, [new for new in changes if new.expected == 0]),
            (self._statements.next_head, [new for new in changes if new.expected != 0]),
        ):
            values = [statement.values(named_head_values(new)) for new in of]
            count = link.many(statement.sql, values) if len(values) > 1 else -1
            moved += sum(link.change(statement.sql, each) for each in values) if count < 0 else count
        return moved

    def _put_rows(self, link: Link, changes: Sequence[Change]) -> None:
        """Write every row but the heads, table by table."""
        for name, sql in self._statements.puts.items():
            rows = [(new.account, *row) for new in changes for row in new.rows[name]]
            if len(rows) == 1:  # for one, drivers do less
                link.change(sql, rows[0])
            elif rows:
                link.many(sql, rows)

    def version(self, link: Link, account: str) -> int:
        """Return the account's version, 0 if there is none."""
        statement = self._statements.version
        rows = link.rows(statement.sql, statement.values({"account": account}))
        return int(rows[0][0]) if rows else 0

    def _versions_of(self, link: Link, accounts: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for place in range(0, len(accounts), WIDEST):
            names = accounts[place : place + WIDEST]
            size = room(len(names))
            statement = self._statements.versions_of(size)
            values = {f"account_{n}": names[min(n, len(names) - 1)] for n in range(size)}
            found.update((row[0], row[1]) for row in link.rows(statement.sql, statement.values(values)))
        return found

    def put_instead(self, link: Link, account: str, expected: int, instead: Commit) -> None:
        """Remove every row of an account, and write another in its place; `StaleVersion` if it is not there."""
        head, *rows = (
            (each.sql, each.values({"account": account, "expected": expected})) for each in self._statements.drops
        )
        if not link.change(*head):
            raise StaleVersion(moved(account, expected, self.version(link, account)))
        for each in rows:
            link.change(*each)
        version = self.version(link, instead.account)
        if version:
            raise StaleVersion(stale(instead, version))
        self.put(link, change(check_commit(instead), [instead]), instead)

    # ------------------------------------------------------------ many commits

    def put_together(self, link: Link, chains: Sequence[Chain]) -> dict[int, StoreError]:
        wrong: dict[int, StoreError] = {}
        changes: list[Change] = []
        versions = self._versions_of(link, [chain[0][1].account for chain in chains])
        for chain in chains:
            first = chain[0][1]
            version = versions.get(first.account, 0)
            if version == first.expected:
                changes.append(change(check_commit(first), [commit for _, commit in chain]))
            else:
                wrong.update((place, StaleVersion(follows_failed(commit))) for place, commit in chain)
                wrong[chain[0][0]] = StaleVersion(stale(first, version))
        if self._move_heads(link, changes) != len(changes):
            raise StaleVersion("another writer came between")
        self._put_rows(link, changes)
        return wrong

    def put_one_by_one(self, link: Link, chains: Sequence[Chain]) -> dict[int, StoreError]:
        wrong: dict[int, StoreError] = {}
        for chain in chains:
            failed = False
            for place, commit in chain:
                if failed:
                    wrong[place] = StaleVersion(follows_failed(commit))
                    continue
                link.change("SAVEPOINT one")
                try:
                    with told_as(self._place):
                        self.put(link, change(check_commit(commit), [commit]), commit)
                except StoreError as error:
                    if error.__cause__ is not None and not is_about_rows(error):
                        raise
                    link.change("ROLLBACK TO SAVEPOINT one")
                    wrong[place] = self.why(link, commit, error)
                    failed = True
                link.change("RELEASE SAVEPOINT one")
        return wrong

    def why(self, link: Link, commit: Commit, error: StoreError) -> StoreError:
        """Return the error for rows that were refused, which are gone again."""
        if not is_about_rows(error):
            return error
        try:
            version = self.version(link, commit.account)
            if version != commit.expected:
                return StaleVersion(stale(commit, version))
            keys = tuple(record.key for record in commit.records)[:WIDEST]
            for key in self.view(link, Need(commit.account, keys)).records:
                return StoreError(key_twice(commit.account, key))
        except Exception as second:  # what cannot be written cannot be looked for either
            if not is_refused_row(second):
                raise
        return error
