"""A writer killed in the midst of its work, again and again, on one file that grows."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fault_work
import pytest

from loyaltykit.club import Club
from loyaltykit.stores import SQLiteStore

LIVES = 50

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal there")


def test_killed_in_mid_write(tmp_path: Path) -> None:
    """What a killed process had acknowledged is there, and of the one thing that it was at either all or a part.

    Whatever is told again is answered as before and adds nothing, what was interrupted comes to its end when it is
    told again, and the books and the file are in order. Another process that writes meanwhile is not held up.
    """
    path = tmp_path / "shop.db"
    chance = random.Random(50)
    command = [sys.executable, fault_work.__file__, "hatch", "[]"]
    answers: list[str] = []
    with (
        SQLiteStore(path) as store,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nest,
    ):
        keys: set[tuple[str, str]] = set()
        midway = 0
        for life in range(LIVES):
            if life % 2:  # every other time nobody else has the file open, and who opens it next must recover it
                store.close()
            before = len(answers)
            mine: list[str] = []

            def write_too(life: int = life, store: SQLiteStore = store, mine: list[str] = mine) -> None:
                if life % 2 == 0:
                    key = f"{life}-{len(mine)}"
                    Club(fault_work.PROGRAM, store).earn("parent", 1, key=key, at=fault_work.START)
                    mine.append(key)

            answers += _live_and_die(nest, path, before, chance, write_too)
            keys |= {("parent", f"key:{key}") for key in mine}
            if life % 2:
                store = SQLiteStore(path)
            club = Club(fault_work.PROGRAM, store)
            new = [fault_work.happening(number) for number in range(before, len(answers))]
            keys |= {key for what in new for key in what.keys}
            interrupted = fault_work.happening(len(answers))
            stored = fault_work.stored_keys(store)
            midway += stored > keys
            assert keys <= stored, f"lost: {sorted(keys - stored)}"
            assert stored <= keys | interrupted.keys
            touched = {member for what in (*new, interrupted) for member in what.members}
            known = touched & {member for member, _ in stored}
            assert fault_work.problems(store, club, known) == []
            again = [*range(before, len(answers)), *chance.sample(range(before), min(before, 5))]
            for number in again:
                assert fault_work.answer(club, fault_work.happening(number).call) == answers[number]
            assert fault_work.stored_keys(store) == stored
            answers.append(fault_work.answer(club, interrupted.call))
            keys |= interrupted.keys
            assert fault_work.stored_keys(store) == keys
        club = Club(fault_work.PROGRAM, store)
        for number, told in enumerate(answers):
            assert fault_work.answer(club, fault_work.happening(number).call) == told
        assert fault_work.stored_keys(store) == keys
        assert fault_work.problems(store, club) == []
        store.close()
        assert nest.stdin is not None
        nest.stdin.close()
    print(
        f"{len(answers)} things happened in {LIVES} lives; at {midway} deaths something was there that nobody was told"
    )


def _live_and_die(
    nest: subprocess.Popen[str], path: Path, first: int, chance: random.Random, meanwhile: Callable[[], None]
) -> list[str]:
    """Let a child write from `first` on, kill it at some moment, and return what it had acknowledged."""
    assert nest.stdin is not None
    assert nest.stdout is not None
    nest.stdin.write(json.dumps([str(path), first, chance.choice([8, 4_000])]) + "\n")
    nest.stdin.flush()
    child = int(nest.stdout.readline())
    answers: list[str] = []
    for _ in range(chance.randrange(12)):
        answers.append(_acknowledged(nest.stdout.readline(), first + len(answers)))
        meanwhile()
    select.select([], [], [], chance.uniform(0, 0.012))  # somewhere in what comes next
    os.kill(child, signal.SIGKILL)
    meanwhile()
    while (line := nest.stdout.readline()) != "dead\n":
        answers.append(_acknowledged(line, first + len(answers)))
    return answers


def _acknowledged(line: str, number: int) -> str:
    told, answer = line.split()
    assert int(told) == number
    return answer
