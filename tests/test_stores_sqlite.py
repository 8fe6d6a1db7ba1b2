"""The SQLite store's file: what it refuses to open, what can happen to it, and that it is sound afterwards."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import typing
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loyaltykit.errors import (
    InputError,
    OutcomeUnknown,
    StoreBusy,
    StoreError,
    StoreForked,
    StoreFull,
    StoreReadOnly,
    StoreUnusable,
)
from loyaltykit.journal import NEVER, Head, Item, Lot, Need, Record
from loyaltykit.stores import SQLiteStore, _sqlite_schema as schema, _turnstile, sqlite as module
from loyaltykit.stores._sqlite_errors import told
from loyaltykit.testing._rows import as_lists, balance, commit, entry, item, lot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be made."""
    return tmp_path / "shop.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Return a store with one account of one version."""
    with SQLiteStore(path, timeout=0.2) as made:
        made.append(commit("p/a", 0, next_at=9, lots=[lot("a", 5, 9)], balances=[balance(5)], entries=[entry(1)]))
        yield made


def is_sound(path: Path | str) -> bool:
    """Return whether SQLite finds nothing wrong in the whole file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])


def all_of(store: SQLiteStore, account: str = "p/a") -> list[Any]:
    """Return everything that an account holds."""
    return list(as_lists(store.load(Need(account, everything=True))))


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("table", "row", "besides"),
    [
        ("head", Head, {"account": "TEXT", "program": "TEXT", "balances": "TEXT"}),
        ("record", Record, {"account": "TEXT", "entries": "TEXT"}),
        ("lot", Lot, {"account": "TEXT"}),
        ("item", Item, {"account": "TEXT"}),
    ],
)
def test_tables_are_the_journals_rows(store: SQLiteStore, table: str, row: Any, besides: dict[str, str]) -> None:
    """Each table has the columns of its row in the journal, under the same names and of the same types.

    If this fails because a row has changed: add a step to `_sqlite_schema.STEPS` that changes the table.
    """
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    kinds = {name: "INTEGER" if kind is int else "TEXT" for name, kind in typing.get_type_hints(row).items()}
    assert {name: kind for _, name, kind, *_ in info} == {**besides, **kinds}
    empty = {name for _, name, _, required, *_ in info if not required}
    optional = {name for name, kind in typing.get_type_hints(row).items() if type(None) in typing.get_args(kind)}
    assert empty == optional - {"value"}  # an item without a value is removed


@pytest.mark.parametrize(("view", "rows"), [("entry", "entries"), ("balance", "balances")])
def test_views_are_the_journals_rows(store: SQLiteStore, view: str, rows: str) -> None:
    """What is kept within another row shows as a row of its own, with the columns of the journal's."""
    context = store.load(Need("p/a", everything=True))
    made: Any = {"entry": context.entries, "balance": context.balances.values()}[view]
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"SELECT * FROM {view}")]
    assert [{"account": "p/a", **row._asdict()} for row in made] == found != []


@pytest.mark.parametrize("counts", [(1, 0, 0, 0, 0, 0), (1, 1, 0, 0, 1, 2), (2, 1, 1, 2, 0, 0)])
def test_no_glance_walks_a_table(store: SQLiteStore, counts: tuple[int, ...]) -> None:
    """Whether there is anything under a name is asked of an index."""
    statement = schema.head_and_whether(*counts)
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (None,) * statement.count("?")).fetchall()
    plan = [row[3] for row in rows]
    assert not [step for step in plan if step.startswith("SCAN") and "CONSTANT ROW" not in step], plan
    assert sum(counts) == len([step for step in plan if step.startswith("SEARCH")]) - 1


@pytest.mark.parametrize(
    "name",
    [name for name in dir(schema) if name[0] != "_" and str(getattr(schema, name)).startswith(("SELECT", "UPD"))],
)
def test_no_statement_walks_a_table(store: SQLiteStore, name: str) -> None:
    """Every question is answered through an index that begins with what it asks for, and in the index's order."""
    statement = getattr(schema, name)
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (None,) * statement.count("?")).fetchall()
    plan = [row[3] for row in rows]
    assert not [step for step in plan if step.startswith("SCAN") and step.split()[1] not in ("CONSTANT", "one")], plan
    if name not in ("RECORDS_WITH_ENTRIES", "LOTS_OPEN"):
        assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_an_analyst_can_add_up(store: SQLiteStore) -> None:
    """The tables answer sums in plain SQL, as the module's docstring shows."""
    store.append(commit("p/b", 0, balances=[balance(7, debt=2), balance(100, "cash")]))
    query = (schema.__doc__ or "").rpartition("::\n\n")[2]
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute(query).fetchall() == [("p", "cash", 100), ("p", "points", 10)]


def test_every_connection_is_durable(store: SQLiteStore) -> None:
    """Each thread's connection writes ahead and waits for the disk."""
    seen: list[tuple[Any, ...]] = []

    def look() -> None:
        execute = store._connection().execute
        seen.append(tuple(execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    look()
    assert seen == [("wal", 2), ("wal", 2)]


def test_tables_without_strict(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite is older than 3.37 the same tables are made without STRICT."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with SQLiteStore(path) as store:
        store.append(commit("p/a", 0, lots=[lot("a")]))
        assert store.load(Need("p/a", lots=("a",))).lots["a"] == lot("a")
        names = store._connection().execute("SELECT sql FROM sqlite_master").fetchall()
    assert not [name for (name,) in names if name and "STRICT" in name]


# ---------------------------------------------------------------- what is not opened


@pytest.mark.parametrize("given", [":memory:", "", "  ", "file:shop.db", None, 5])
def test_a_path_that_is_none(given: Any) -> None:
    """A path that names no file is the caller's mistake, and the message names the store without a file."""
    with pytest.raises(InputError) as caught:
        SQLiteStore(given)
    assert "MemoryStore" in str(caught.value) or "pathlib.Path" in str(caught.value)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True, None])
def test_a_timeout_that_is_none(path: Path, timeout: Any) -> None:
    """A timeout is a number of seconds."""
    with pytest.raises(InputError, match="timeout"):
        SQLiteStore(path, timeout=timeout)
    assert not path.exists()


@pytest.mark.parametrize("name", ["a b.db", "ü😀.db", "100%.db", "what?.db", "#1.db", "it's.db"])
def test_any_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file may have any name, and a relative one keeps its meaning when the process changes folders."""
    monkeypatch.chdir(tmp_path)
    with SQLiteStore(name) as store:
        monkeypatch.chdir("/")
        thread = threading.Thread(target=store.append, args=(commit("p/a"),))
        thread.start()
        thread.join()
        assert len(store.accounts("p")) == 1
        assert store.path == str(tmp_path.resolve() / name)
        assert name in repr(store)
    assert (tmp_path / name).exists()
    assert "closed" in repr(store)


def _text(path: Path) -> None:
    path.write_text("order,points\n" * 100)


def _foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE head (x)")


def _foreign_application(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


def _nameless(path: Path) -> None:
    SQLiteStore(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM schema")
        connection.commit()


def _newer(path: Path) -> None:
    SQLiteStore(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema SET version = 99")
        connection.commit()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_text, "not a SQLite file"),
        (_foreign, "another program"),
        (_foreign_application, "another program"),
        (_nameless, "damaged"),
        (_newer, "upgrade loyaltykit"),
    ],
)
def test_a_file_that_is_no_store(path: Path, make: Callable[[Path], None], says: str) -> None:
    """A file of something else, or of a later schema, is refused in plain words and not touched."""
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=says):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_no_folder(tmp_path: Path) -> None:
    """A folder that does not exist is named, and so is a folder in the place of the file."""
    with pytest.raises(StoreUnusable, match="create it first"):
        SQLiteStore(tmp_path / "nowhere" / "shop.db")
    with pytest.raises(StoreUnusable, match="is a folder"):
        SQLiteStore(tmp_path)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """An empty file, such as one made beforehand to set its rights, is as good as none."""
    path.touch()
    with SQLiteStore(path) as store:
        store.append(commit("p/a"))
    assert is_sound(path)


# ---------------------------------------------------------------- schemas

_OLD = schema.STEPS[0].replace("TABLE item (", "TABLE thing (").replace("ON item (", "ON thing (")
_RENAME = "ALTER TABLE thing RENAME TO item;\nUPDATE item SET value = replace(value, 'old', 'new');"


def test_an_older_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of an older schema takes the steps that it lacks when it is opened, with all that it holds."""
    monkeypatch.setattr(schema, "STEPS", (_OLD,))
    with SQLiteStore(path) as old:
        old.append(commit("p/a", lots=[lot("a")]))
        old._connection().execute(f"INSERT INTO thing VALUES ('p/a', 'hold', 'h', {NEVER}, 'old')")
    monkeypatch.setattr(schema, "STEPS", (_OLD, _RENAME))
    for _ in range(2):
        with SQLiteStore(path) as new:
            context = new.load(Need("p/a", lots=("a",), kinds=("hold",)))
            assert dict(context.lots) == {"a": lot("a")}
            assert dict(context.items) == {("hold", "h"): item("hold", "h", "new")}
    monkeypatch.setattr(schema, "STEPS", (_OLD,))
    with pytest.raises(StoreUnusable, match="schema 2"):
        SQLiteStore(path)
    assert is_sound(path)


def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are taken together or not at all."""
    monkeypatch.setattr(schema, "STEPS", (_OLD,))
    SQLiteStore(path).close()
    monkeypatch.setattr(schema, "STEPS", (_OLD, _RENAME, "DROP TABLE nothing;"))
    with pytest.raises(StoreError, match="nothing"):
        SQLiteStore(path)
    monkeypatch.setattr(schema, "STEPS", (_OLD, _RENAME))
    SQLiteStore(path).close()
    assert is_sound(path)


# ---------------------------------------------------------------- what happens to a file

_AS_ANYBODY = textwrap.dedent("""
    import os, sys
    from loyaltykit.errors import StoreReadOnly
    from loyaltykit.stores import SQLiteStore
    if os.geteuid() == 0:  # the superuser may write anything
        os.setgid(65534)
        os.setuid(65534)
    try:
        SQLiteStore(sys.argv[1])
    except StoreReadOnly as error:
        print(error)
""")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights work otherwise there")
@pytest.mark.parametrize(
    ("of_file", "of_folder", "exists"), [(0o444, 0o777, True), (0o666, 0o555, True), (0, 0o555, False)]
)
def test_read_only(of_file: int, of_folder: int, exists: bool) -> None:
    """A file or a folder that may not be written is named as such, and nothing is made beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shop.db")
        if exists:
            SQLiteStore(path).close()
            path.with_name("shop.db-lock").unlink()
            path.with_name("shop.db-next").unlink()
            path.chmod(of_file)
        before = os.listdir(folder)
        Path(folder).chmod(of_folder)
        command = [sys.executable, "-c", _AS_ANYBODY, str(path)]
        answer = subprocess.run(command, text=True, capture_output=True, check=False)
        Path(folder).chmod(0o700)
        assert "may not be" in answer.stdout, answer.stderr
        assert os.listdir(folder) == before


def test_locked_by_another_program(store: SQLiteStore) -> None:
    """While another program keeps the file locked, writing ends with `StoreBusy`, and works again afterwards."""
    before = all_of(store)
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for call in (lambda: store.append(commit("p/a", 1)), lambda: store.append_many([commit("p/a", 1)])):
            with pytest.raises(StoreBusy, match="another program") as caught:
                call()
            assert caught.value.retry is True
        with pytest.raises(StoreBusy):
            store.register("p", 1, 0, "{}")
        assert all_of(store) == before
        other.execute("ROLLBACK")
    store.append(commit("p/a", 1))


def test_locked_while_it_is_opened(path: Path) -> None:
    """A file that another program has locked for itself alone cannot be opened, and the message says why."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match="locked by another program"):
            SQLiteStore(path, timeout=0.05)
        other.execute("ROLLBACK")
    SQLiteStore(path).close()


def test_turns_that_do_not_come(store: SQLiteStore) -> None:
    """A writer waits for its turn no longer than its timeout, whoever has it: another thread, or another process."""
    with SQLiteStore(store.path, timeout=0.05) as other:
        with store.exclusive("p/a"):
            store.append(commit("p/a", 1))
            for _ in range(2):
                with pytest.raises(StoreBusy, match="other writers"):
                    other.append(commit("p/a", 2))
            caught: list[StoreError] = []

            def late() -> None:
                try:
                    store.append(commit("p/a", 2))
                except StoreError as error:
                    caught.append(error)

            thread = threading.Thread(target=late)
            thread.start()
            thread.join()
            assert [type(error) for error in caught] == [StoreBusy]
        other.append(commit("p/a", 2))
        store.append(commit("p/a", 3))


@pytest.mark.parametrize("many", [False, True])
def test_disk_full(store: SQLiteStore, many: bool) -> None:
    """When no space is left nothing of the commit is kept, and the same commit works once there is space."""
    before = all_of(store)
    made = commit("p/a", 1, lots=[lot(f"{n}" * 100) for n in range(200)], balances=[balance(9)])
    execute = store._connection().execute
    pages = execute("PRAGMA page_count").fetchone()[0]
    execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull, match="no space") as caught:
        store.append_many([made]) if many else store.append(made)
    assert caught.value.retry is True
    assert all_of(store) == before
    execute("PRAGMA max_page_count = 100000")
    store.append(made)
    assert is_sound(store.path)


_WITHOUT_SPACE = textwrap.dedent("""
    import resource, sys
    from loyaltykit.errors import OutcomeUnknown, StoreError
    from loyaltykit.journal import Need
    from loyaltykit.stores import SQLiteStore
    from loyaltykit.testing._rows import commit
    with SQLiteStore(sys.argv[1]) as store:
        store.append(commit("p/a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        kept = 1
        try:
            for kept in range(1, 1000):
                store.append(commit("p/a", kept))
        except StoreError as error:
            print(type(error).__name__)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(store.load(Need("p/a")).head.version - kept)
        store.append(commit("p/a", kept))
""")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
def test_a_commit_that_fails_on_its_way_to_the_disk(path: Path) -> None:
    """When the disk fails while a commit is written its outcome is unknown, and the store works on afterwards."""
    answer = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SPACE, str(path)], text=True, capture_output=True, check=False
    )
    assert answer.stdout.split() == ["OutcomeUnknown", "0"], answer.stderr
    assert is_sound(path)


def test_damaged(store: SQLiteStore) -> None:
    """A damaged file is reported as such by whatever meets the damage, and is not written over."""
    with SQLiteStore(f"{store.path}-empty") as empty:
        begun = empty._connection().execute("PRAGMA page_count").fetchone()[0] * 4096
    store.append_many([commit(f"p/{n}", 0, lots=[lot("a")]) for n in range(500)])
    store.close()
    content = Path(store.path).read_bytes()
    Path(store.path).write_bytes(content[:begun] + b"\xff" * (len(content) - begun))
    with SQLiteStore(store.path) as again:
        for call in (
            lambda: again.load(Need("p/a", everything=True)),
            lambda: again.append(commit("p/a", 1)),
            lambda: again.accounts("p"),
        ):
            with pytest.raises(StoreUnusable, match="damaged"):
                call()
    Path(store.path).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreUnusable, match="damaged"):
        SQLiteStore(store.path)


def test_a_file_that_has_gone(store: SQLiteStore) -> None:
    """A thread that comes when the file has been removed is told so; it does not begin an empty one."""
    os.remove(store.path)
    caught: list[BaseException] = []

    def look() -> None:
        try:
            store.load(Need("p/a"))
        except StoreError as error:
            caught.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert [type(error) for error in caught] == [StoreUnusable]
    assert not os.path.exists(store.path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked(store: SQLiteStore) -> None:
    """A forked child is refused its parent's store and may open one of its own; the parent works on."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may still be ending
        child = os.fork()
    if child == 0:
        answers = []
        try:
            for call in (lambda: store.load(Need("p/a")), lambda: store.append(commit("p/a", 1))):
                try:
                    call()
                except StoreForked:
                    answers.append("forked")
            store.close()
            with SQLiteStore(store.path) as own:
                own.append(commit("p/a", 1))
                answers.append("own")
        finally:
            os.write(writer, " ".join(answers).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "forked forked own"
    os.waitpid(child, 0)
    store.append(commit("p/a", 2))
    assert is_sound(store.path)


@pytest.mark.parametrize(
    "made",
    [
        commit("p/a", 1, balances=[balance(Decimal(1))]),  # type: ignore[arg-type]
        commit("p/a", 1, lots=[lot("b", 2**63)]),
        commit("p/a", 1, balances=[balance(0, "\ud800")]),
        commit("p/a", 1, items=[item("hold", "h", due_at=None)]),  # type: ignore[arg-type]
        commit("p/a", 1, lots=[lot("b", "many")]),  # type: ignore[arg-type]
    ],
    ids=["decimal", "too large", "half a letter", "none", "text"],
)
def test_values_that_cannot_be_kept(store: SQLiteStore, made: Any) -> None:
    """A row with a value of the wrong kind or size is refused with all of its commit, alone or among others."""
    before = all_of(store)
    with pytest.raises(StoreError, match="nothing was changed"):
        store.append(made)
    outcomes = store.append_many([commit("p/b"), made, commit("p/c")])
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert all_of(store) == before


def test_interrupted(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is interrupted in its midst leaves nothing behind, and the store works on."""
    before = all_of(store)

    def interrupted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> None:
            function(*given)
            raise KeyboardInterrupt

        return call

    with monkeypatch.context() as patch:
        for name in ("put_rows", "put_together", "glance", "view"):
            patch.setattr(module, name, interrupted(getattr(module, name)))
        for call in (
            lambda: store.append(commit("p/a", 1)),
            lambda: store.append_many([commit("p/a", 1)]),
            lambda: store.load(Need("p/a")),
            lambda: store.load(Need("p/a", due=1)),
        ):
            with pytest.raises(KeyboardInterrupt):
                call()
    assert all_of(store) == before
    with SQLiteStore(store.path, timeout=1) as other:
        other.append(commit("p/a", 1))


@pytest.mark.parametrize(
    ("code", "committing", "kind", "retry"),
    [
        (sqlite3.SQLITE_BUSY, False, StoreBusy, True),
        (sqlite3.SQLITE_LOCKED, False, StoreBusy, True),
        (sqlite3.SQLITE_FULL, True, StoreFull, True),
        (sqlite3.SQLITE_READONLY, False, StoreReadOnly, False),
        (sqlite3.SQLITE_CANTOPEN, False, StoreUnusable, False),
        (sqlite3.SQLITE_CORRUPT, False, StoreUnusable, False),
        (sqlite3.SQLITE_IOERR_FSYNC, True, OutcomeUnknown, True),
        (sqlite3.SQLITE_IOERR_READ, False, StoreError, True),
        (sqlite3.SQLITE_NOMEM, False, StoreError, True),
        (sqlite3.SQLITE_ERROR, False, StoreError, False),
    ],
)
def test_what_sqlite_says(path: Path, code: int, committing: bool, kind: type[StoreError], retry: bool) -> None:
    """Each of SQLite's failures has one meaning, and says whether to try again."""
    error = sqlite3.OperationalError("as it says")
    error.sqlite_errorcode = code
    answer = told(error, str(path), committing=committing)
    assert type(answer) is kind
    assert answer.retry is retry
    assert str(path) in str(answer)
    assert "as it says" in str(answer)


def test_without_turns_between_processes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked, writers of several stores ask again after short pauses, up to the timeout."""
    monkeypatch.setattr(_turnstile, "_fcntl", None)
    with SQLiteStore(path, timeout=0.05) as one, SQLiteStore(path, timeout=20) as two:
        assert not path.with_name("shop.db-lock").exists()
        one.append(commit("p/a"))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy):
                one.append(commit("p/a", 1))
            thread = threading.Thread(target=two.append, args=(commit("p/a", 1),))
            thread.start()
            other.execute("ROLLBACK")
            thread.join()
        assert two.accounts("p")[0][1].version == 2
        one.append(commit("p/a", 2))
