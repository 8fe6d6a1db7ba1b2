"""A second process, which records facts in the same store while the first one does."""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from loyaltykit.club import Club
from loyaltykit.program import Program
from loyaltykit.stores.protocol import Store
from loyaltykit.testing._scenario_read import Deed


class Begin(NamedTuple):
    """What the second process is told first: how it opens the store, and the versions of the program."""

    open: Callable[[], Store]
    programs: tuple[Program, ...]


Work = Sequence[Deed] | Begin | None
"""What it is told: where to begin, which facts to record, or (None) to let go of the store."""


class Partner:
    """The second process: one for as long as this one lasts, for starting it takes longer than its work."""

    def __init__(self) -> None:
        here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        code = f"from {__name__} import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self.close)

    def begin(self, work: Work) -> None:
        """Let it begin with what it is told."""
        assert self._process.stdin is not None
        pickle.dump(work, self._process.stdin)
        self._process.stdin.flush()

    def end(self) -> list[Exception | None]:
        """Wait until it is done; return the error of each of its facts, None for those that were recorded."""
        assert self._process.stdout is not None
        errors: list[Exception | None] = pickle.load(self._process.stdout)
        return errors

    def do(self, work: Work) -> None:
        """Tell it something, and wait until it is done; raise what went wrong."""
        self.begin(work)
        for error in self.end():
            if error is not None:
                raise error

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


@cache
def _partner_of(process: int) -> Partner:
    return Partner()


def partner() -> Partner:
    """Return the second process; it is started when it is first needed."""
    return _partner_of(os.getpid())


def serve() -> None:
    """Be the second process: do what comes in until there is no more."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # nothing else may be written where answers are read
    club: Club | None = None
    now = datetime.min

    def clock() -> datetime:
        return now

    while True:
        try:
            work: Work = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        errors: list[Exception | None] = []
        try:
            if isinstance(work, Begin):
                club = Club(work.programs, work.open(), clock=clock)
            elif club is not None and work is None:
                club.close()
            elif club is not None:
                for deed in work or ():
                    now = deed.recorded_at
                    errors.append(_error(club, deed))
        except Exception as error:
            errors.append(_sendable(error))
        pickle.dump(errors, answers)
        answers.flush()


def _error(club: Club, deed: Deed) -> Exception | None:
    try:
        club.record(deed.value, tier=deed.tier)
    except Exception as error:  # it is for the first process to judge
        return _sendable(error)
    return None


def _sendable(error: Exception) -> Exception:
    """Return an error, or, where it cannot be sent, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
