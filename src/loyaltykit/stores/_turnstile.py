"""A turnstile: writers of one file pass one at a time, in the order in which they came.

SQLite lets waiting writers ask again after pauses that grow, so under load one of them may wait for seconds while
another commits thousands of times. A turnstile changes nothing about what is right, only about whose turn it is.
Threads of one process stand in a line. Processes wait at ``flock``, which the system takes back from a process that
dies, but which who has just left can take again before the one that waits has woken up. So there are two doors, each
a file. All wait at the first; who is through it is next, keeps it, and looks at the second until that is free. Being
the only one who looks, it need not hurry, and the one behind wakes up meanwhile. Where there is no ``flock`` the
threads still stand in line, and `Turnstile.spans_processes` says that processes do not.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from threading import TIMEOUT_MAX, Lock, Thread
from time import monotonic, sleep
from types import ModuleType
from weakref import WeakSet

_fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    _fcntl = None
else:
    _fcntl = fcntl
    _flock, _EXCLUSIVE, _AT_ONCE, _UNLOCK = fcntl.flock, fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN


_SHORTEST_PAUSE = 0.00002  # seconds between two looks at the second door; the system rounds up to some 0.0001
_LONGEST_PAUSE = 0.001


class Turnstile:
    """Let one thread of one process through at a time; the doors are the files `path` + ``-next`` and ``-lock``.

    Raises:
        OSError: a file can be neither opened nor created.
    """

    def __init__(self, path: str) -> None:
        self._lock = Lock()  # guards the line, the doors and the waiter; never held while waiting
        self._taken = False
        self._line: deque[Lock] = deque()  # the waiting threads, each at a lock of its own
        self._waiter: _Waiter | None = None
        self._doors: _Doors | None = None
        if _fcntl is not None:
            self._doors = _Doors(path)
            _open.add(self)
            if not self._doors.work():
                self.close()

    @property
    def spans_processes(self) -> bool:
        """Whether other processes wait as well."""
        return self._doors is not None

    def enter(self, timeout: float) -> bool:
        """Wait for the turn, at most `timeout` seconds; return whether it has come. `leave` gives it up."""
        timeout = min(timeout, TIMEOUT_MAX)
        deadline = monotonic() + timeout
        if not self._enter_line(timeout):
            return False
        try:
            entered = self._enter_doors(deadline)
        except BaseException:
            self._call_next()
            raise
        if not entered:
            self._call_next()
        return entered

    def leave(self) -> None:
        """Let the next one through."""
        doors = self._doors
        if doors is not None:
            with contextlib.suppress(OSError):  # closed in this very moment
                doors.leave_second()
        self._call_next()

    def close(self) -> None:
        """Close the files. What waits at them in another thread is let through."""
        with self._lock:
            doors, self._doors = self._doors, None
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.stop()  # it may wait at a door just now, so it closes them
        elif doors is not None:
            doors.close()

    def __del__(self) -> None:
        self.close()

    def _enter_line(self, timeout: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            place = Lock()
            place.acquire()
            self._line.append(place)
        try:
            if place.acquire(timeout=timeout):
                return True
        except BaseException:
            if not self._step_out(place):
                self._call_next()
            raise
        return not self._step_out(place)

    def _step_out(self, place: Lock) -> bool:
        """Leave the line; return False if the turn had come in that very moment."""
        with self._lock:
            if place in self._line:
                self._line.remove(place)
                return True
        return False

    def _call_next(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().release()  # handed over: the one that left cannot overtake
            else:
                self._taken = False

    def _enter_doors(self, deadline: float) -> bool:
        doors, waiter = self._doors, self._waiter
        if doors is None:
            return True
        # A waiter whose caller gave up may still be on its way in; then this call waits with it.
        if (waiter is not None and waiter.waiting) or not doors.try_first():
            with self._lock:
                if self._doors is None:
                    return True
                if self._waiter is None:
                    self._waiter = _Waiter(doors)
                waiter = self._waiter
            if not waiter.wait(deadline - monotonic()):
                return False
        try:
            return self._enter_second(doors, deadline)
        finally:
            if self._doors is not None:
                doors.leave_first()

    def _enter_second(self, doors: _Doors, deadline: float) -> bool:
        pause = _SHORTEST_PAUSE
        while self._doors is not None and not doors.try_second():
            if monotonic() >= deadline:
                return False
            sleep(pause)
            pause = min(pause * 1.1, _LONGEST_PAUSE)
        return True


class _Doors:
    """The two files at which processes wait, one after the other."""

    def __init__(self, path: str) -> None:
        self._first = os.open(path + "-next", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._second = os.open(path + "-lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            os.close(self._first)
            raise

    def work(self) -> bool:
        """Return whether the file system knows such locks."""
        try:
            if self.try_first():
                self.leave_first()
        except OSError:
            return False
        return True

    def try_first(self) -> bool:
        """Pass the first door if it is free."""
        return _try(self._first)

    def wait_first(self) -> None:
        """Wait until the first door has been passed, however long."""
        _flock(self._first, _EXCLUSIVE)

    def leave_first(self) -> None:
        """Free the first door."""
        _flock(self._first, _UNLOCK)

    def try_second(self) -> bool:
        """Pass the second door if it is free."""
        return _try(self._second)

    def leave_second(self) -> None:
        """Free the second door."""
        _flock(self._second, _UNLOCK)

    def close(self) -> None:
        """Close the files, and with them what is held."""
        os.close(self._first)
        os.close(self._second)


def _try(fd: int) -> bool:
    try:
        _flock(fd, _EXCLUSIVE | _AT_ONCE)
    except BlockingIOError:
        return False
    return True


class _Waiter:
    """A thread that waits at the first door, because ``flock`` knows no time limit, and pauses are not fair to many."""

    def __init__(self, doors: _Doors) -> None:
        self._doors = doors
        self._lock = Lock()
        self._asked = Lock()  # released to set the thread going
        self._asked.acquire()
        self._granted = Lock()  # released when the door has been passed
        self._granted.acquire()
        self.waiting = False  # the thread is at the door, or about to be
        self._wanted = False  # and somebody still wants it
        self._stopped = False
        Thread(target=self._run, name="loyaltykit turnstile", daemon=True).start()

    def wait(self, timeout: float) -> bool:
        """Return whether the door was passed within `timeout` seconds. Called by one thread at a time."""
        with self._lock:
            self._wanted = True
            if not self.waiting:
                self.waiting = True
                self._asked.release()
        try:
            if self._granted.acquire(timeout=max(0.0, timeout)):
                return True
        except BaseException:
            if self._give_up():
                self._doors.leave_first()
            raise
        return self._give_up()

    def stop(self) -> None:
        """Close the doors as soon as the thread is through."""
        with self._lock:
            self._stopped = True
            if self._wanted:
                self._wanted = False
                self._granted.release()
            if not self.waiting:
                self.waiting = True
                self._asked.release()

    def _give_up(self) -> bool:
        """Want it no more; return True if it came in that very moment."""
        with self._lock:
            self._wanted = False
            return self._granted.acquire(blocking=False)

    def _run(self) -> None:
        while True:
            self._asked.acquire()
            if not self._stopped:
                with contextlib.suppress(OSError):  # a failing flock costs fairness and nothing else
                    self._doors.wait_first()
            with self._lock:
                if self._stopped:
                    self._doors.close()
                    return
                self.waiting = False
                if self._wanted:
                    self._wanted = False
                    self._granted.release()
                else:
                    self._doors.leave_first()


_open: WeakSet[Turnstile] = WeakSet()


def _let_go_in_child() -> None:
    """Close the files in a forked child, which would else keep its parent's turn beyond the parent's death."""
    for turnstile in list(_open):
        doors, turnstile._doors = turnstile._doors, None
        turnstile._waiter = None
        turnstile._lock = Lock()  # whoever held it is not here to release it
        if doors is not None:
            doors.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
