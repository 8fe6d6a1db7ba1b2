"""Move everything from one store to another: ``python -m loyaltykit.stores.move SOURCE TARGET``.

SOURCE and TARGET are paths of SQLite stores, or URLs of other databases (``postgresql+psycopg://...``), which need the
extra ``sql``. All programs are copied, then compared by their hashes, then verified on both sides. The status is 0
where all of that went well. The source is only read; repeated, the command copies what was recorded since.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from loyaltykit.audit import verify_all
from loyaltykit.errors import InputError, LoyaltyError
from loyaltykit.seals import Finding
from loyaltykit.stores.protocol import Store
from loyaltykit.stores.sqlite import SQLiteStore
from loyaltykit.transport import copy, differences


def open_store(where: str, *, create: bool = False) -> Store:
    """Open the store at a path or URL; `create` makes one where there is none."""
    if "://" not in where:
        if not create and not os.path.exists(where):
            raise InputError("source", where, "there is no such file")
        return SQLiteStore(where)
    try:
        from loyaltykit.stores.sql import SqlStore
    except ImportError as error:
        raise InputError("store", where, f"needs the extra sql, pip install loyaltykit[sql] ({error})") from None
    store: Any = SqlStore(where)
    if create:
        store.create()
    found: Store = store
    return found


def move(source: Store, target: Store, say: Callable[[str], object] = print) -> bool:
    """Copy all programs of `source` to `target`, compare and verify both; return whether all is well."""
    well = True
    for program in source.programs():
        say(str(copy(source, target, program, progress=_told(say, "copied"))))
        checks: Iterable[tuple[str, Iterator[Finding]]] = (
            ("compared", differences(source, target, program, progress=_told(say, "compared"))),
            ("verified source", verify_all(source, program, progress=_told(say, "verified"))),
            ("verified target", verify_all(target, program, progress=_told(say, "verified"))),
        )
        for what, findings in checks:
            wrong = 0
            for finding in findings:
                say(f"  {finding}")
                wrong += 1
            say(f"{program}: {what}, {wrong or 'nothing'} wrong")
            well = well and not wrong
    return well


def _told(say: Callable[[str], object], what: str) -> Callable[[int, str], None]:
    def progress(done: int, account: str) -> None:
        if done % 10_000 == 0:
            say(f"  {what} {done:,} accounts, up to {account}")

    return progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its status: 0 if all is well, 1 if something is wrong, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="python -m loyaltykit.stores.move", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("source", help="path of a SQLite store, or URL of a database")
    parser.add_argument("target", help="path or URL of the store to fill; it is made if it is not there")
    given = parser.parse_args(arguments)
    try:
        with ExitStack() as stack:
            source = stack.enter_context(closing(open_store(given.source)))
            target = stack.enter_context(closing(open_store(given.target, create=True)))
            return 0 if move(source, target) else 1
    except LoyaltyError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1


if __name__ == "__main__":
    sys.exit(main())
