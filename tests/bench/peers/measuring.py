"""How time and memory are measured, the same way for everybody: nothing but the standard library."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any


def _memory(name: str) -> float:
    """Return a number of /proc/self/status, in MB: VmRSS, what is held now, or VmHWM, the most that was held."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def measured(run: Callable[[], Any], rounds: int) -> tuple[Any, dict[str, Any]]:
    """Return a result, the seconds of each round (by the clock, and of work), and the memory of the first one.

    Work is that of all processors together, which other programs disturb less; memory is MB above the start.
    """
    gc.collect()
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak is what is held now
    before, seconds, work, peak = _memory("VmRSS"), [], [], 0.0
    for turn in range(rounds):
        begin, worked = time.perf_counter(), time.process_time()
        result = run()
        seconds.append(time.perf_counter() - begin)
        work.append(time.process_time() - worked)
        peak = peak if turn else _memory("VmHWM") - before
    return result, {"seconds": seconds, "work": work, "megabytes": peak}
