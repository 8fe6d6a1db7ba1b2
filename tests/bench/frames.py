"""Measure whole bases against hand-written queries and other packages, as ratios: `python tests/bench/frames.py`.

Three tasks on synthetic orders (a row an order, see `frames_data`): the RFM summary, six segments, monthly cohorts.
Each is run on DuckDB and Polars, by `loyaltykit.frames` and by a query that somebody who knows the engine would write,
in turn, in one process; the median of the rounds' ratios counts. Memory is that of a process of its own, above what it
held before. The RFM summary is also run by `lifetimes` and `pymc-marketing`, each in an environment that the command
makes, since their pins clash. Their answers are compared, customer by customer, and with `--check` also those of pure
Python.

Needs the extra ``frames``, duckdb, polars, pandas and pyarrow. Ten million orders want about 8 GB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEERS = {"lifetimes": "lifetimes==0.11.3", "pymc-marketing": "pymc-marketing==0.19.2"}
LIMITS = {"duckdb": (1.15, 1.2), "polars": (1.6, 1.5)}
"""What is aimed at: at most so many times the time, and the memory, of the hand-written query."""

FASTER = 8
"""So many times as fast as other packages: what is aimed at for the RFM summary."""

TASKS = ("rfm", "segments", "cohorts")


def child(*arguments: Any, python: str = sys.executable, script: str = "frames_run.py") -> dict[str, Any]:
    """Run a script of this folder in a process of its own, and return what it found."""
    command = [python, "-W", "ignore", str(HERE / script), *map(str, arguments)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def against_hand(path: Path, engine: str, rounds: int) -> None:
    """Print how long each task takes against the query by hand, and the memory."""
    time_limit, memory_limit = LIMITS[engine]
    for task in TASKS:
        times = child("both", engine, task, path, rounds)
        ours, hand = (statistics.median(times[who]["seconds"]) for who in ("ours", "hand"))
        more, less = (child(who, engine, task, path, 1)["megabytes"] for who in ("ours", "hand"))
        print(
            f"  {engine:<8}{task:<10}{ours:>8.2f} s against {hand:>6.2f} s by hand:"
            f" {paired(times, 'seconds'):.2f}x (at most {time_limit}x; {quickest(times):.2f}x the quickest rounds,"
            f" {paired(times, 'work'):.2f}x the work);"
            f" {more:>6,.0f} MB against {less:>6,.0f} MB: {more / less:.2f}x (at most {memory_limit}x);"
            f" answers {'equal' if times['equal'] else 'DIFFER'}",
            flush=True,
        )


def paired(times: Any, name: str) -> float:
    """Return the median of each round's ratio: a machine that is slower for a while is so for both."""
    both = zip(times["ours"][name], times["hand"][name], strict=True)
    return statistics.median(ours / hand for ours, hand in both)


def quickest(times: Any) -> float:
    """Return the ratio of the quickest rounds, which nothing else has disturbed."""
    return float(min(times["ours"]["seconds"]) / min(times["hand"]["seconds"]))


def environment(folder: Path, peer: str) -> str:
    """Return the Python of a peer's own environment, made where it is not there yet."""
    home = folder / "venvs" / peer
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        print(f"  making an environment for {peer}", flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEERS[peer], "pyarrow"], check=True)
        done.touch()
    return str(python)


def against_peers(folder: Path, path: Path, rounds: int) -> None:
    """Print how long other packages, and ours beside them, take for the RFM summary, and whether they agree."""
    for peer in PEERS:
        python, out = environment(folder, peer), folder / f"{peer}.parquet"
        found = child(peer, path, "2026-07-01", out, rounds, python=python, script="peers/rfm.py")
        theirs = statistics.median(found["seconds"])
        beside = {engine: child("ours", engine, "rfm", path, rounds)["seconds"] for engine in LIMITS}
        equal = child("compare", path, out)
        print(
            f"  {peer:<16}{theirs:>8.2f} s, {found['megabytes']:>6,.0f} MB: "
            + ", ".join(f"{theirs / statistics.median(each):.1f}x ours on {engine}" for engine, each in beside.items())
            + f" (at least {FASTER}x); {equal['equal']:,} of {equal['customers']:,} customers equal",
            flush=True,
        )


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=10_000_000, help="how many orders (default: ten million)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run")
    parser.add_argument("--folder", type=Path, default=HERE / ".frames", help="where files and environments are kept")
    parser.add_argument("--no-peers", action="store_true", help="leave the other packages out")
    parser.add_argument("--check", action="store_true", help="compare every engine's answers with pure Python's, too")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / ".gitignore").write_text("*\n")
    made = child("data", options.folder, options.orders)
    path = Path(made["path"])
    print(f"{options.orders:,} orders of {made['customers']:,} customers")
    for engine in LIMITS:
        against_hand(path, engine, options.rounds)
    if not options.no_peers:
        print("the RFM summary of other packages")
        against_peers(options.folder, path, max(1, options.rounds // 2))
    if options.check:
        print("answers against pure Python, customer by customer")
        for engine in ("duckdb", "polars", "pyarrow", "pandas", "ibis", "pyspark"):
            found = child("check", engine, path)
            print(f"  {engine:<10}" + "; ".join(f"{name}: {told}" for name, told in found.items()), flush=True)


if __name__ == "__main__":
    main()
