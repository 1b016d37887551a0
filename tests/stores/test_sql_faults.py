"""SQL stores on servers that fail: killed, paused, in the way of each other, read-only."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import pymysql
import pytest
from sqlalchemy import create_engine, event

from coatcheck.errors import StoreError
from coatcheck.store.protocol import Admitted, Conflict, Stored, Updated
from coatcheck.store.sql import AsyncSQLStore, SQLStore
from tests.servers import mariadb, postgresql
from tests.servers.databases import DatabaseServer, wait_for
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

KEY, OTHER = "e" * 32, "f" * 32
TIMEOUT = 0.6
"""Seconds that a store waits which is to give up."""
LONG = 30.0
"""Seconds that one waits which is not."""
SLACK = 5.0
"""Seconds by which a busy machine may be late."""

KINDS = ("postgresql", "mariadb")
Breakable = PostgreSQL | MariaDB
T = TypeVar("T")


@pytest.fixture(
    scope="module", params=[partial(PostgreSQL, "deadlock_timeout=1s"), MariaDB], ids=KINDS
)
def server(request: pytest.FixtureRequest) -> Iterator[Breakable]:
    """Return a server of each kind in turn, to do to it what one likes."""
    server: Breakable = request.param()
    yield server
    server.remove()


@pytest.fixture
def store(server: Breakable) -> Iterator[SQLStore]:
    """Return a store with one live record, and a connection that is open."""
    store = SQLStore(server.url, create_tables=True, timeout=LONG)
    store.delete(KEY)
    assert store.create(KEY, b"first", expires_at=None, user_id=None)
    yield store
    store.close()


@pytest.fixture
def hasty(server: Breakable, store: SQLStore) -> Iterator[SQLStore]:
    """Return one that soon gives up, on the same record, with a connection that is open."""
    hasty = SQLStore(server.url, timeout=TIMEOUT)
    eventually(lambda: hasty.get(KEY))
    yield hasty
    hasty.close()


def eventually(work: Callable[[], T]) -> T:
    """Return what the work returns once the store has been answered in time."""
    end = time.monotonic() + LONG
    while True:
        try:
            return work()
        except StoreError:
            if time.monotonic() > end:
                raise


class Awaited:
    """An async store on an event loop of its own, called like a blocking one."""

    def __init__(self, url: str, timeout: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._store = AsyncSQLStore(url, timeout=timeout)

    def call(self, verb: str, *args: Any, **options: Any) -> Any:
        """Return what the store's method returns."""
        return self._loop.run_until_complete(getattr(self._store, verb)(*args, **options))

    def close(self) -> None:
        """Close the connections and the loop."""
        self.call("aclose")
        self._loop.close()


@pytest.fixture
def awaited(server: Breakable, store: SQLStore) -> Iterator[Awaited]:
    """Return an async store on the same record, with a connection that is open."""
    awaited = Awaited(server.url, LONG)
    assert awaited.call("get", KEY) == Stored(1, None, b"first")
    yield awaited
    awaited.close()


@pytest.fixture
def hasty_awaited(server: Breakable, store: SQLStore) -> Iterator[Awaited]:
    """Return one that soon gives up, with a connection that is open."""
    hasty = Awaited(server.url, TIMEOUT)
    eventually(lambda: hasty.call("get", KEY))
    yield hasty
    hasty.close()


@contextmanager
def in_time() -> Generator[None]:
    """Fail unless the block ends within the timeout, and some."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < TIMEOUT + SLACK


def cut_all(server: Breakable) -> None:
    """End every connection but the one that does it."""
    connection: Any = server.connect()
    if isinstance(server, PostgreSQL):
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'tester'")
            for (number,) in cursor.fetchall():
                if number != connection.thread_id():
                    cursor.execute(f"KILL {number}")
    connection.close()


def test_a_connection_that_was_cut(server: Breakable, store: SQLStore, awaited: Awaited) -> None:
    """Each operation after it connects anew, and nobody notices."""
    works: list[Callable[[], object]] = [
        lambda: store.get(KEY),
        lambda: store.update(KEY, b"second", version=1, expires_at=None),
        lambda: store.touch(KEY, version=2, expires_at=9e9),
        lambda: type(store.admit("ann", OTHER, limit=1, evict=True)),
        lambda: store.create(OTHER, b"", expires_at=None, user_id="ann"),
        lambda: store.delete(OTHER, user_id="ann"),
        lambda: awaited.call("update", KEY, b"third", version=2, expires_at=None),
    ]
    outcomes: list[object] = []
    for work in works:
        cut_all(server)
        outcomes.append(work())
    assert outcomes == [
        *(Stored(1, None, b"first"), Updated(2), True, Admitted, True, Stored(1, None, b"")),
        Updated(3),
    ]


@contextmanager
def lost_answers(server: Breakable) -> Generator[tuple[SQLStore, Callable[[str], None]]]:
    """Return a store, and what makes it lose the answer to the next statement of a kind."""
    engine = create_engine(_with_driver(server))
    marked: list[str] = []

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, values: Any, _context: Any) -> bool:
        cursor.execute(statement, values)
        if marked and statement.startswith(marked[0]):
            marked.clear()
            if isinstance(server, PostgreSQL):
                cursor.connection.close()
                raise psycopg.OperationalError("the connection was cut")
            raise pymysql.OperationalError(2013, "the connection was cut")
        return True

    yield SQLStore(engine), marked.append
    engine.dispose()


def test_an_answer_that_is_lost(server: Breakable, store: SQLStore) -> None:
    """What was done is not done again, and is answered as if nothing had been lost."""
    store.delete(OTHER)
    first = store.admit("bob", KEY, limit=1, evict=True)
    with lost_answers(server) as (unlucky, lose):
        lose("COMMIT")
        second = unlucky.admit("bob", OTHER, limit=1, evict=True)
        assert isinstance(first, Admitted)
        assert second == Admitted(first.epoch, [KEY])
        lose("INSERT")
        assert unlucky.create(OTHER, b"", expires_at=None, user_id="bob")
        lose("UPDATE")
        assert unlucky.update(OTHER, b"x", version=1, expires_at=8e9) == Updated(2)
        lose("UPDATE")
        assert unlucky.touch(OTHER, version=2, expires_at=9e9)
    for key in (KEY, OTHER):
        store.delete(key, user_id="bob")


def test_the_answer_to_a_removal_is_lost(server: Breakable, store: SQLStore) -> None:
    """Whether it was this call that removed the record is unknown then, and so it is told.

    `None` would say that there was nothing: after a tombstone, that nothing has replaced it.
    """
    with lost_answers(server) as (unlucky, lose):
        lose("DELETE")
        with pytest.raises(StoreError, match="nobody can say"):
            unlucky.delete(KEY)
        assert unlucky.delete(KEY) is None


def test_a_server_that_is_killed(server: Breakable, store: SQLStore, awaited: Awaited) -> None:
    """A StoreError while it is away; when it is back, so is every record, without a restart."""
    server.kill()
    with in_time(), pytest.raises(StoreError, match="failed"):
        store.get(KEY)
    with in_time(), pytest.raises(StoreError, match="failed"):
        store.update(KEY, b"lost", version=1, expires_at=None)
    with in_time(), pytest.raises(StoreError, match="failed"):
        awaited.call("update", KEY, b"lost", version=1, expires_at=None)
    server.start()
    assert store.get(KEY) == Stored(1, None, b"first")
    assert awaited.call("update", KEY, b"second", version=1, expires_at=None) == Updated(2)


def test_a_server_that_was_restarted(server: Breakable, store: SQLStore, awaited: Awaited) -> None:
    """Where nobody asked in between, nobody is told."""
    server.kill()
    server.start()
    assert store.update(KEY, b"second", version=1, expires_at=None) == Updated(2)
    assert awaited.call("get", KEY) == Stored(2, None, b"second")


def test_a_server_that_is_paused(
    server: Breakable, hasty: SQLStore, hasty_awaited: Awaited
) -> None:
    """A server that does not answer is waited for no longer than `timeout`, and asked again."""
    server.signal(signal.SIGSTOP)
    try:
        with in_time(), pytest.raises(StoreError, match="failed"):
            hasty.update(KEY, b"late", version=1, expires_at=None)
        with in_time(), pytest.raises(StoreError, match="failed"):
            hasty_awaited.call("get", KEY)
    finally:
        server.signal(signal.SIGCONT)
    # Nobody knows when what was under way is done, and whether it is; both are whole.
    for ask in (lambda: hasty.get(KEY), lambda: hasty_awaited.call("get", KEY)):
        assert eventually(ask) in (Stored(1, None, b"first"), Stored(2, None, b"late"))


@pytest.fixture
def raw(server: Breakable) -> Iterator[Any]:
    """Return a cursor of somebody else's connection."""
    connection = server.connect()
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def waits(server: Breakable) -> None:
    """Wait until a statement waits for a lock."""
    question = (
        "SELECT 0, count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        if isinstance(server, PostgreSQL)
        else "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    )
    connection: Any = server.connect()

    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return int(cursor.fetchone()[1]) > 0

    wait_for(waiting)
    connection.close()


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Generator[Future[Any]]:
    """Run the work in a thread while the block runs."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(work)


def test_a_lock_is_waited_for(server: Breakable, store: SQLStore, raw: Any) -> None:
    """An update waits for a transaction on the same record, and then learns what it did."""
    raw.execute("BEGIN")
    raw.execute("UPDATE coatcheck_sessions SET version = version + 1")
    with meanwhile(lambda: store.update(KEY, b"x", version=1, expires_at=None)) as outcome:
        waits(server)
        raw.execute("COMMIT")
        assert outcome.result() == Conflict(Stored(2, None, b"first"))


def test_a_lock_that_stays(server: Breakable, store: SQLStore, hasty: SQLStore, raw: Any) -> None:
    """One that is held for longer than `timeout` is a StoreError, and the record is as it was."""
    raw.execute("BEGIN")
    raw.execute("SELECT * FROM coatcheck_sessions FOR UPDATE")
    with in_time(), pytest.raises(StoreError):
        hasty.update(KEY, b"late", version=1, expires_at=None)
    if isinstance(server, PostgreSQL):
        raw.execute("COMMIT")
        assert store.get(KEY) == Stored(1, None, b"first")
    else:
        raw.execute("ROLLBACK")
        assert store.get(KEY) is not None


def test_a_deadlock(server: Breakable, store: SQLStore, raw: Any) -> None:
    """Of two that wait for each other the store gives way, and tries again."""
    store.admit("ann", OTHER, limit=None, evict=False)
    if isinstance(server, PostgreSQL):
        # Whoever looks for deadlocks first is the one to give way, and each looks once.
        raw.execute("SET deadlock_timeout = '60s'")
    raw.execute("BEGIN")
    # Whoever has changed less is the one to give way in MariaDB.
    values = ", ".join(f"('padding', '{number:032x}', 1, '')" for number in range(50))
    raw.execute(
        f"INSERT INTO coatcheck_sessions (namespace, {_key(server)}, version, payload)"
        f" VALUES {values}"
    )
    raw.execute("UPDATE coatcheck_user_sessions SET position = position + 0, admitted_at = 1")
    with meanwhile(lambda: store.admit("ann", OTHER, limit=None, evict=False)) as outcome:
        waits(server)
        raw.execute("UPDATE coatcheck_users SET counter = counter + 1")
        raw.execute("ROLLBACK")
        assert isinstance(outcome.result(), Admitted)
    assert [entry.key for entry in store.entries("ann")] == [OTHER]


def _key(server: Breakable) -> str:
    return "key" if isinstance(server, PostgreSQL) else "`key`"


def test_a_serialization_failure(raw: Any, server: Breakable, store: SQLStore) -> None:
    """At the strictest isolation level a statement that fails for another one is tried again."""
    if isinstance(server, PostgreSQL):
        options = {"options": "-c default_transaction_isolation=serializable"}
        engine = create_engine(_with_driver(server), connect_args=options)
    else:
        engine = create_engine(
            _with_driver(server),
            connect_args={"init_command": "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"},
        )
    strict = SQLStore(engine)
    assert strict.get(KEY) == Stored(1, None, b"first")
    raw.execute("BEGIN")
    raw.execute("UPDATE coatcheck_sessions SET version = version + 1")
    with meanwhile(lambda: strict.update(KEY, b"x", version=1, expires_at=None)) as outcome:
        waits(server)
        raw.execute("COMMIT")
        assert outcome.result() == Conflict(Stored(2, None, b"first"))
    assert isinstance(strict.admit("ann", OTHER, limit=3, evict=True), Admitted)
    engine.dispose()


def _with_driver(server: DatabaseServer) -> str:
    url: str = getattr(server, "url", "")
    return url.replace("mysql:", "mysql+pymysql:").replace("postgresql:", "postgresql+psycopg:")


def test_a_read_only_server() -> None:
    """A replica that takes no writes is read, and a write to it is a StoreError."""
    url = postgresql.shared().url
    writer = SQLStore(postgresql.fresh_url())
    writer.create(KEY, b"first", expires_at=None, user_id=None)
    writer.close()
    replica = SQLStore(f"{url}&options=-c%20default_transaction_read_only%3Don")
    assert replica.get(KEY) == Stored(1, None, b"first")
    with pytest.raises(StoreError, match="read-only"):
        replica.update(KEY, b"x", version=1, expires_at=None)
    replica.close()


def test_a_server_that_takes_writes_no_more() -> None:
    """Its connection is not used again: after a failover another server has its name."""
    url = postgresql.fresh_url()
    with postgresql.shared().connect() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
        store = SQLStore(url)
        try:
            assert store.get(KEY) is None
        finally:
            connection.execute("ALTER ROLE CURRENT_USER RESET default_transaction_read_only")
    with pytest.raises(StoreError, match="read-only"):
        store.create(KEY, b"", expires_at=None, user_id=None)
    assert store.create(KEY, b"", expires_at=None, user_id=None) is True
    store.close()


def test_nobody_listens() -> None:
    """A server that is not there is a StoreError that names it, without the password."""
    for url in ("postgresql://user:hunter2@127.0.0.1:1/shop", "mysql://u:hunter2@127.0.0.1:1/shop"):
        store = SQLStore(url)
        with pytest.raises(StoreError, match="127.0.0.1:1/shop") as caught:
            store.get(KEY)
        assert "hunter2" not in str(caught.value)
        store.close()


def test_every_connection_is_in_use() -> None:
    """Whoever gets no connection in time is told so."""
    store = SQLStore(mariadb.fresh_url(), pool_size=1, timeout=0.2)
    with (
        store._engines.current().connect(),  # pyright: ignore[reportPrivateUsage]
        pytest.raises(StoreError, match="all connections of the pool are in use"),
    ):
        store.get(KEY)
    assert store.get(KEY) is None
    store.close()
