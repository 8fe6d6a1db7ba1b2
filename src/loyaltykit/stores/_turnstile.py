"""A turnstile: writers of one file pass one at a time, in the order in which they came.

SQLite lets waiting writers ask again after pauses that grow, so under load one of them may wait for seconds while
another commits thousands of times. A turnstile changes nothing about what is right, only about whose turn it is:
threads of one process stand in a line, and processes wait at ``flock`` on a file beside the database, which the
system hands on in the order of asking and takes back from a process that dies. Where there is no ``flock`` the
threads still stand in line, and `Turnstile.spans_processes` says that processes do not.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from threading import TIMEOUT_MAX, Lock, Thread
from time import monotonic
from types import ModuleType
from weakref import WeakSet

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None


class Turnstile:
    """Let one thread of one process through at a time. `path` is the file at which the processes wait.

    Raises:
        OSError: the file can be neither opened nor created.
    """

    def __init__(self, path: str) -> None:
        self._lock = Lock()  # guards the line and the waiter; never held while waiting
        self._taken = False
        self._line: deque[Lock] = deque()  # the waiting threads, each at a lock of its own
        self._waiter: _Waiter | None = None
        self._fd = -1
        if _fcntl is not None:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            _open.add(self)
            try:
                _fcntl.flock(self._fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                _fcntl.flock(self._fd, _fcntl.LOCK_UN)
            except BlockingIOError:
                pass
            except OSError:  # a file system without locks
                self.close()

    @property
    def spans_processes(self) -> bool:
        """Whether other processes wait as well."""
        return self._fd >= 0

    def enter(self, timeout: float) -> bool:
        """Wait for the turn, at most `timeout` seconds; return whether it has come. `leave` gives it up."""
        timeout = min(timeout, TIMEOUT_MAX)
        deadline = monotonic() + timeout
        if not self._enter_line(timeout):
            return False
        try:
            entered = self._enter_file(deadline)
        except BaseException:
            self._call_next()
            raise
        if not entered:
            self._call_next()
        return entered

    def leave(self) -> None:
        """Let the next one through."""
        if _fcntl is not None and self._fd >= 0:
            with contextlib.suppress(OSError):  # closed in this very moment
                _fcntl.flock(self._fd, _fcntl.LOCK_UN)
        self._call_next()

    def close(self) -> None:
        """Close the file. What waits at it in another thread is let through."""
        with self._lock:
            fd, self._fd = self._fd, -1
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.stop()  # it may wait at the file just now, so it closes it
        elif fd >= 0:
            os.close(fd)

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

    def _enter_file(self, deadline: float) -> bool:
        if _fcntl is None or self._fd < 0:
            return True
        try:
            _fcntl.flock(self._fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return True
        with self._lock:
            if self._fd < 0:
                return True
            if self._waiter is None:
                self._waiter = _Waiter(self._fd)
            waiter = self._waiter
        return waiter.wait(deadline - monotonic())


class _Waiter:
    """A thread that waits at a file, because ``flock`` knows no time limit and pauses between tries are not fair."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = Lock()
        self._asked = Lock()  # released to set the thread going
        self._asked.acquire()
        self._granted = Lock()  # released when the file is had
        self._granted.acquire()
        self._waiting = False  # the thread is at the file, or about to be
        self._wanted = False  # and somebody still wants it
        self._stopped = False
        Thread(target=self._run, name="loyaltykit turnstile", daemon=True).start()

    def wait(self, timeout: float) -> bool:
        """Return whether the file was had within `timeout` seconds. Called by one thread at a time."""
        with self._lock:
            self._wanted = True
            if not self._waiting:
                self._waiting = True
                self._asked.release()
        try:
            if self._granted.acquire(timeout=max(0.0, timeout)):
                return True
        except BaseException:
            if self._give_up():
                self._unlock()
            raise
        return self._give_up()

    def stop(self) -> None:
        """Let go of the file as soon as the thread has it, and close it."""
        with self._lock:
            self._stopped = True
            if self._wanted:
                self._wanted = False
                self._granted.release()
            if not self._waiting:
                self._waiting = True
                self._asked.release()

    def _give_up(self) -> bool:
        """Want the file no more; return True if it was had in that very moment."""
        with self._lock:
            self._wanted = False
            return self._granted.acquire(blocking=False)

    def _run(self) -> None:
        assert _fcntl is not None
        while True:
            self._asked.acquire()
            if not self._stopped:
                with contextlib.suppress(OSError):  # a failing flock costs fairness and nothing else
                    _fcntl.flock(self._fd, _fcntl.LOCK_EX)
            with self._lock:
                if self._stopped:
                    os.close(self._fd)
                    return
                self._waiting = False
                if self._wanted:
                    self._wanted = False
                    self._granted.release()
                else:
                    self._unlock()

    def _unlock(self) -> None:
        if _fcntl is not None:
            _fcntl.flock(self._fd, _fcntl.LOCK_UN)


_open: WeakSet[Turnstile] = WeakSet()


def _let_go_in_child() -> None:
    """Close the files in a forked child, which would else keep its parent's turn beyond the parent's death."""
    for turnstile in list(_open):
        fd, turnstile._fd = turnstile._fd, -1
        turnstile._waiter = None
        turnstile._lock = Lock()  # whoever held it is not here to release it
        if fd >= 0:
            os.close(fd)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
