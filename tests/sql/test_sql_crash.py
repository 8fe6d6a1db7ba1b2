"""Servers that stop at once, again and again, and one that another takes over from: nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import crowds as shop
import pytest
import servers
import sqlalchemy as sa
from databases import skip_loudly

from loyaltykit.errors import StoreError
from loyaltykit.stores.sql import SqlStore

MEMBERS = [f"m{number}" for number in range(6)]


@pytest.fixture
def server() -> Iterator[servers.PostgreSQL]:
    """Run a server that only this test knows."""
    pytest.importorskip("psycopg")
    try:
        with servers.postgresql() as made:
            yield made
    except servers.Absent as absent:
        skip_loudly(absent)


class Writers:
    """Eight threads that record orders, and remember which of them were acknowledged, until they are told to end."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.acknowledged: list[tuple[str, str]] = []
        self.failed = 0
        self.wrong: list[StoreError] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(thread,)) for thread in range(8)]
        for thread in self._threads:
            thread.start()

    def _write(self, thread: int) -> None:
        club, number = shop.club(self.store), 0
        while not self._end.is_set():
            number += 1
            key, member = f"{thread}-{number}", MEMBERS[(thread + number) % len(MEMBERS)]
            try:
                club.record(shop.order(key, member))
            except StoreError as error:
                if not error.retry:  # whatever breaks in a crash, the same key may be sent again
                    self.wrong.append(error)
                self.failed += 1
                time.sleep(0.002)
            else:
                self.acknowledged.append((key, member))

    def wait_for(self, count: int) -> None:
        """Wait until so many more orders were acknowledged."""
        target, until = len(self.acknowledged) + count, time.monotonic() + 60
        while len(self.acknowledged) < target:
            assert time.monotonic() < until, f"{len(self.acknowledged)} were acknowledged, {self.failed} failed"
            time.sleep(0.002)

    def end(self) -> None:
        """End the threads."""
        self._end.set()
        for thread in self._threads:
            thread.join()


def prove(store: SqlStore, writers: Writers) -> None:
    """Assert that everything acknowledged is there once, and that telling it again changes nothing."""
    club = shop.club(store)
    assert [] == writers.wrong
    assert [] == shop.wrong(store, MEMBERS)
    before = {name: head.version for name, head in store.accounts("shop")}
    points = {member: shop.points(store, member) for member in MEMBERS}
    for _ in club.record_many([shop.order(key, member) for key, member in writers.acknowledged]):
        pass
    assert before == {name: head.version for name, head in store.accounts("shop")}
    assert points == {member: shop.points(store, member) for member in MEMBERS}
    assert sum(before.values()) >= len(writers.acknowledged)
    assert {member: 10 * before[f"shop/{member}"] for member in MEMBERS} == points


@pytest.mark.parametrize("options", [{}, {"driver": False, "one_statement": False}], ids=["psycopg", "plain"])
def test_stopped_at_once_again_and_again(server: servers.PostgreSQL, options: dict[str, bool]) -> None:
    """A server that crashes under eight writers, and comes back, has all it acknowledged, and nothing by halves."""
    engine = sa.create_engine(server.url(), pool_size=10)
    store = SqlStore(engine, **options)
    store.create()
    writers = Writers(store)
    try:
        for _ in range(4):
            writers.wait_for(40)
            server.stop("immediate")
            server.start()
        writers.wait_for(40)
    finally:
        writers.end()
    prove(store, writers)
    assert writers.failed
    engine.dispose()


def test_taken_over_by_a_synchronous_standby(server: servers.PostgreSQL) -> None:
    """After the primary is lost, the standby that confirmed each commit has all that was acknowledged."""
    first = sa.create_engine(server.url(), pool_size=10)
    store = SqlStore(first)
    store.create()
    with servers.folder(server.user) as path:
        standby = server.copy_to(path)
        standby.start()
        try:
            with first.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                connection.exec_driver_sql("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
                until = time.monotonic() + 30
                while connection.exec_driver_sql("SELECT sync_state FROM pg_stat_replication").scalar() != "sync":
                    assert time.monotonic() < until
                    time.sleep(0.01)
            writers = Writers(store)
            try:
                writers.wait_for(200)
                server.stop("immediate")
            finally:
                writers.end()
            standby.promote()
            second = sa.create_engine(standby.url())
            prove(SqlStore(second), writers)
            second.dispose()
        finally:
            standby.stop("immediate")
    first.dispose()
