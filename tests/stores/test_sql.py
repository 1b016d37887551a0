"""What is particular to the SQL stores: statements, transactions, tables, names, event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store.protocol import Admitted, Conflict, Gone, Stored, Updated
from coatcheck.store.sql import AsyncSQLStore, SQLStore, upkeep
from coatcheck.store.sql.work import Work
from coatcheck.testing import ManualClock
from tests.servers import mariadb, postgresql

HOUR = 3600.0
KEY, OTHER, THIRD = "0" * 32, "f" * 32, "3" * 32
SERVERS = {"postgresql": postgresql.fresh_url, "mariadb": mariadb.fresh_url}


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of each server in turn, its tables made and empty."""
    return SERVERS[request.param]()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Return an engine of the application's."""
    engine = create_engine(
        url.replace("mysql:", "mysql+pymysql:").replace("postgresql:", "postgresql+psycopg:")
    )
    yield engine
    engine.dispose()


@pytest.fixture
def statements(engine: Engine) -> list[str]:
    """Return a list that gets the first word of each statement that reaches a driver."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement.split()[0])

    event.listen(engine, "before_cursor_execute", note)
    return seen


# What it costs


def test_what_each_operation_costs(
    engine: Engine, statements: list[str], clock: ManualClock
) -> None:
    """One statement to read, create, update or touch; one more to learn why that was not done."""
    store = SQLStore(engine, clock=clock)
    later = clock() + HOUR

    def cost(call: Callable[[], object]) -> str:
        statements.clear()
        call()
        return " ".join(statements)

    store.get(KEY)  # the first use asks what server it is
    assert cost(lambda: store.get(KEY)) == "SELECT"
    assert cost(lambda: _create(store, KEY, later)) == "INSERT"
    assert cost(lambda: store.get(KEY)) == "SELECT"
    assert cost(lambda: store.update(KEY, b"", version=1, expires_at=later)) == "UPDATE"
    assert cost(lambda: store.update(KEY, b"", version=1, expires_at=later)) == "UPDATE SELECT"
    assert cost(lambda: store.update(OTHER, b"", version=1, expires_at=later)) == "UPDATE SELECT"
    assert cost(lambda: store.touch(KEY, version=2, expires_at=later + 1)) == "UPDATE"
    assert cost(lambda: store.touch(KEY, version=2, expires_at=later + 1)) == "UPDATE SELECT"
    assert cost(lambda: store.delete(KEY)) == "DELETE"
    begin = "BEGIN" if engine.dialect.name == "postgresql" else "START"
    entering = f"{begin} INSERT SELECT INSERT COMMIT"
    assert cost(lambda: _admit(store, "ann", KEY)) == entering
    limited = f"{begin} INSERT SELECT SELECT INSERT COMMIT"
    assert cost(lambda: _admit(store, "ann", OTHER, limit=2)) == limited
    evicting = f"{begin} INSERT SELECT SELECT UPDATE INSERT COMMIT"
    assert cost(lambda: _admit(store, "ann", THIRD, limit=2)) == evicting
    assert cost(lambda: store.confirm("ann", OTHER, 1)) == "SELECT"
    assert cost(lambda: store.entries("ann")) == "SELECT"
    assert cost(lambda: store.revoke("ann")) == f"{begin} UPDATE SELECT COMMIT"
    assert cost(lambda: store.forget("ann", KEY)) == "DELETE"
    _create(store, OTHER, later, "ann")
    assert cost(lambda: store.delete(OTHER, user_id="ann")) == "DELETE DELETE"
    assert cost(lambda: store.claim_purge(600)) == "UPDATE SELECT INSERT"
    assert cost(lambda: store.claim_purge(600)) == "UPDATE SELECT"
    assert cost(store.scan) == "SELECT"


def test_each_statement_is_one_round_trip() -> None:
    """Nothing else reaches the server: no ping, no BEGIN, no ROLLBACK, in neither kind of store."""
    url = mariadb.fresh_url()
    raw = mariadb.shared().connect()

    def asked() -> int:
        with raw.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return int(cursor.fetchone()[1])

    store = SQLStore(url)
    _create(store, KEY, None)
    before = asked()
    store.get(KEY)
    store.update(KEY, b"", version=1, expires_at=None)
    # Each asking is a question as well.
    assert asked() - before == 3
    store.close()

    async def use() -> int:
        store = AsyncSQLStore(url)
        await store.get(KEY)
        before = asked()
        await store.get(KEY)
        await store.update(KEY, b"", version=2, expires_at=None)
        cost = asked() - before
        await store.aclose()
        return cost

    assert asyncio.run(use()) == 3
    raw.close()


# The application's own transactions


def test_the_application_s_transaction_is_not_touched(engine: Engine, clock: ManualClock) -> None:
    """What the store does stands whatever the application rolls back, and the other way round."""
    store = SQLStore(engine, clock=clock)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS orders (number INTEGER)"))
        connection.execute(text("DELETE FROM orders"))
        connection.commit()
        connection.execute(text("INSERT INTO orders VALUES (1)"))
        _create(store, KEY, None)
        assert store.delete(OTHER) is None
        assert connection.in_transaction()
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == 0
    assert store.get(KEY) == Stored(1, None, b"payload")
    with engine.connect() as connection:
        level = connection.get_isolation_level()
        assert level != "AUTOCOMMIT"


def test_a_lent_engine_is_not_closed(engine: Engine) -> None:
    """`close` closes the store, not the engine that it was given."""
    store = SQLStore(engine)
    pool = engine.pool
    store.close()
    assert engine.pool is pool
    with pytest.raises(StoreError, match="closed"):
        store.get(KEY)


# Tables


def test_missing_tables_are_named(url: str) -> None:
    """Without its tables a store says what makes them, and goes on as soon as they are made."""
    store = SQLStore(url, prefix="other_")
    with pytest.raises(StoreError, match=r"create_tables\(\), or run what .*coatcheck.store.sql"):
        store.get(KEY)
    with pytest.raises(StoreError, match="other_"):
        _admit(store, "ann", KEY)
    store.create_tables()
    store.create_tables()
    _create(store, KEY, None)
    assert store.get(KEY) == Stored(1, None, b"payload")
    _drop(store, "other_")
    store.close()


def test_tables_are_made_when_they_are_missed(url: str) -> None:
    """With `create_tables=True` the first use makes them, from several threads at once too."""
    stores = [SQLStore(url, prefix="late_", create_tables=True) for _ in range(4)]
    admissions = _at_once([partial(_admit, store, "ann", KEY) for store in stores])
    assert {type(admission) for admission in admissions} == {Admitted}
    _drop(stores[0], "late_")
    for store in stores:
        store.close()


def test_the_migration_can_be_run_again(url: str, engine: Engine) -> None:
    """What is printed makes the tables in an empty database, and nothing where they are there."""
    command = (sys.executable, "-m", "coatcheck.store.sql", url, "--prefix", "printed_")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    store = SQLStore(engine, prefix="printed_")
    for number in range(2):
        with engine.begin() as connection:
            for statement in done.stdout.split(";\n")[:-1]:
                connection.exec_driver_sql(statement)
        assert store.create(f"{number:032x}", b"", expires_at=None, user_id="ann")
    assert store.scan()[0] == [f"{number:032x}" for number in range(2)]
    _drop(store, "printed_")


@pytest.mark.parametrize("url", ["nosuch://", "sqlite://", "postgresql://x/?nosuch=1"])
def test_a_migration_for_nothing(url: str) -> None:
    """A URL that means nothing ends the command with a message, not with a traceback."""
    command = (sys.executable, "-m", "coatcheck.store.sql", url)
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


# Names


def test_sec_78_users_are_values_and_nothing_else(url: str) -> None:
    """Every character that a user may have is kept, and a user too long for a column is refused."""
    store = SQLStore(url)
    users = ["\0", "a\0", "a", "a ", "\N{GRINNING FACE}" * 256, "'; DROP TABLE coatcheck_users; --"]
    for number, user in enumerate(users):
        _admit(store, user, f"{number:032x}")
        assert store.create(f"{number:032x}", b"", expires_at=None, user_id=user)
    for number, user in enumerate(users):
        assert [entry.key for entry in store.entries(user)] == [f"{number:032x}"]
        assert store.delete(f"{number:032x}") == Stored(1, None, b"")
        assert store.entries(user) == []
    with pytest.raises(ValueError, match="1025 bytes"):
        store.entries("a" * 1025)
    with pytest.raises(ValueError, match="surrogates"):
        store.entries("\ud800")
    store.close()


HOSTILE_MODE = "NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL"
QUOTING = ("' OR 1 = 1 -- ", "\\' OR 1 = 1 -- ", "a\\", "a\\\\'", '"', "\n\r\x1a", "%s", ":u")


@pytest.fixture
def hostile() -> Iterator[str]:
    """Return the URL of a server on which a backslash is a character like any other."""
    url = mariadb.fresh_url()
    with mariadb.shared().connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL sql_mode = %s", (HOSTILE_MODE,))
        yield url
        cursor.execute("SET GLOBAL sql_mode = DEFAULT")


def test_sec_78_whatever_the_server_takes_for_a_quote(hostile: str) -> None:
    """Values stay values in every mode of the server, by either driver (CWE-89).

    asyncmy escapes by backslashes where the server takes these for nothing.
    """

    async def use(verb: str, *args: Any, **options: Any) -> Any:
        store = AsyncSQLStore(hostile)
        try:
            return await getattr(store, verb)(*args, **options)
        finally:
            await store.aclose()

    blocking = SQLStore(hostile)
    for number, user in enumerate(QUOTING):
        key, payload = f"{number:032x}", user.encode() + b"'\\"
        asyncio.run(use("admit", user, key, limit=None, evict=True))
        assert asyncio.run(use("create", key, payload, expires_at=None, user_id=user))
        assert asyncio.run(use("get", key)) == Stored(1, None, payload) == blocking.get(key)
        assert [entry.key for entry in blocking.entries(user)] == [key]
    assert len(blocking.scan()[0]) == len(asyncio.run(use("scan"))[0]) == len(QUOTING)
    blocking.close()


def test_sec_78_an_engine_that_does_not_quote(hostile: str) -> None:
    """An engine that was handed in and cannot keep values apart is refused when it is used."""

    async def use() -> None:
        engine = create_async_engine(hostile.replace("mysql:", "mysql+asyncmy:"))
        try:
            await AsyncSQLStore(engine).get(KEY)
        finally:
            await engine.dispose()

    with pytest.raises(ConfigurationError, match="NO_BACKSLASH_ESCAPES"):
        asyncio.run(use())


def test_an_expired_record_of_somebody_else(url: str, clock: ManualClock) -> None:
    """Whoever takes an expired record's key takes it out of the other user's index too."""
    store = SQLStore(url, clock=clock)
    _admit(store, "ann", KEY)
    _create(store, KEY, clock() + 1, "ann")
    clock.advance(1)
    _admit(store, "bob", KEY)
    assert store.create(KEY, b"new", expires_at=None, user_id="bob")
    assert store.entries("ann") == []
    assert [entry.key for entry in store.entries("bob")] == [KEY]
    store.close()


def test_purge_forgets_users_and_abandoned_entries(
    url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries that never got a record go, page by page, and then users without any."""
    monkeypatch.setattr("coatcheck.store.sql.upkeep.PAGE", 3)
    store = SQLStore(url, clock=clock)
    for number in range(10):
        _admit(store, f"user{number}", f"{number:032x}")
    _create(store, f"{4:032x}", None, "user4")
    clock.advance(121)
    _admit(store, "young", KEY)
    assert store.purge() == 0
    left = [number for number in range(10) if store.entries(f"user{number}")]
    assert left == [4]
    assert len(store.entries("young")) == 1
    with create_engine(_with_driver(url)).connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM coatcheck_users")).scalar()
        connection.invalidate()
    assert count == 2
    store.close()


def test_a_purge_spares_a_user_who_came_back(url: str, clock: ManualClock) -> None:
    """A user's row that another purge removed, and a sign-in made anew, is not taken for the old.

    Both rows count to one; without the row no revocation would find the session.
    """
    store, late = SQLStore(url, clock=clock), SQLStore(url, clock=clock)
    _admit(store, "ann", KEY)
    store.forget("ann", KEY)
    epochs: list[int] = []

    def another_comes_between(work: Work, now: float, namespace: str, after: bytes) -> object:
        seen = work.rows(work.sql.idle, n=namespace, after=after, end=b"\xff")
        assert len(seen) == 1
        store.purge()
        admitted = store.admit("ann", OTHER, limit=None, evict=False)
        epochs.append(getattr(admitted, "epoch", 0))

        def rows(statement: Any, **values: Any) -> Any:
            return seen if statement is work.sql.idle else work.rows(statement, **values)

        stale: Any = SimpleNamespace(sql=work.sql, rows=rows, each=work.each)
        return upkeep.idle(stale, now, namespace, after)

    late._database.run(another_comes_between, "coatcheck", b"")  # pyright: ignore[reportPrivateUsage]
    assert store.confirm("ann", OTHER, epochs[0])
    assert store.revoke("ann") == [OTHER]
    assert not store.confirm("ann", OTHER, epochs[0])
    store.close()
    late.close()


def test_a_table_that_refuses_rows(url: str) -> None:
    """A constraint of somebody else's is a StoreError, and not a key that is taken for ever."""
    store = SQLStore(url, prefix="checked_", create_tables=True)
    assert store.get(KEY) is None
    engine = store._engines.current()  # pyright: ignore[reportPrivateUsage]
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE checked_sessions ADD CONSTRAINT checked_own CHECK (version > 1)"
        )
    with pytest.raises(StoreError, match="checked_own"):
        _create(store, KEY, None)
    _drop(store, "checked_")
    store.close()


def test_payloads_are_not_in_errors(engine: Engine) -> None:
    """An error that gets into a log shows no data of a visitor, and no password."""
    store = SQLStore(engine, prefix="nosuch_")
    with pytest.raises(StoreError) as caught:
        store.create(KEY, b"private", expires_at=None, user_id="ann")
    error: BaseException | None = caught.value
    while error is not None:
        assert "private" not in str(error)
        assert "tester:secret" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# Event loops


def test_several_event_loops(url: str) -> None:
    """One async store serves several event loops, one after another and at the same time."""
    store = AsyncSQLStore(url)

    async def use(key: str) -> object:
        await store.create(key, b"", expires_at=None, user_id=None)
        found = await store.update(key, b"", version=1, expires_at=None)
        await store.aclose()
        return found

    assert asyncio.run(use(KEY)) == Updated(2)

    def run(number: int) -> object:
        return asyncio.run(use(f"{number:032x}"))

    assert _at_once([partial(run, number) for number in range(1, 5)]) == [Updated(2)] * 4


def test_an_async_engine_can_be_handed_in(url: str) -> None:
    """An `AsyncEngine` is used as it is, and left open."""
    name = _with_driver(url).replace("pymysql", "asyncmy")

    async def use() -> object:
        engine = create_async_engine(name)
        store = AsyncSQLStore(engine)
        await store.create(KEY, b"", expires_at=None, user_id=None)
        found = await store.update(KEY, b"", version=9, expires_at=None)
        await store.aclose()
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        await engine.dispose()
        return found

    assert asyncio.run(use()) == Conflict(Stored(1, None, b""))


def test_a_cancelled_save_takes_place(url: str) -> None:
    """A save whose caller is cancelled is done when the caller goes on, on a connection as before.

    Else a connection would be lost, and nobody could say whether the record was written.
    """

    async def use() -> object:
        store = AsyncSQLStore(url, pool_size=1)
        await store.create(KEY, b"", expires_at=None, user_id=None)
        for version in range(1, 5):
            update = store.update(KEY, b"", version=version, expires_at=None)
            task = asyncio.create_task(update)
            for _ in range(version):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        found = await store.get(KEY)
        await store.aclose()
        return found

    assert asyncio.run(use()) == Stored(5, None, b"")


def test_a_cancelled_read_leaves_a_lent_engine_alone(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connections go back to the application's pool as they were, and none is lost."""
    name = _with_driver(url).replace("pymysql", "asyncmy")

    async def use() -> object:
        engine = create_async_engine(name, pool_size=1, max_overflow=0)
        store = AsyncSQLStore(engine)
        await store.get(KEY)
        for rounds in range(24):
            task = asyncio.create_task(store.get(KEY))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        opened = engine.pool.status()
        await engine.dispose()
        return opened

    assert "Connections in pool: 1" in str(asyncio.run(use()))
    gc.collect()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_trio_is_refused() -> None:
    """Under trio an async SQL store says what to use, before it connects."""
    import trio

    store = AsyncSQLStore("postgresql://nowhere.invalid/x")
    with pytest.raises(ConfigurationError, match="under trio use a SQLStore"):
        trio.run(store.get, KEY)


def test_many_at_once(url: str) -> None:
    """More callers than connections wait for one another."""
    store = SQLStore(url, pool_size=2)
    _create(store, KEY, None)
    found = _at_once([lambda: store.get(KEY)] * 12)
    assert found == [Stored(1, None, b"payload")] * 12
    store.close()


def test_sqlite_in_a_file(tmp_path: Path) -> None:
    """A SQLite file works too, in the form in which SQLAlchemy names it."""
    url = f"sqlite:///{tmp_path}/sessions.db"
    store = SQLStore(url, create_tables=True)
    _create(store, KEY, None, "ann")
    assert store.update(KEY, b"", version=1, expires_at=None) == Updated(2)
    assert store.update(OTHER, b"", version=1, expires_at=None) == Gone()
    assert SQLStore(url).location == store.location
    store.close()

    async def use() -> object:
        awaited = AsyncSQLStore(url)
        found = await awaited.update(KEY, b"new", version=2, expires_at=None)
        assert await awaited.delete(KEY, user_id="ann") == Stored(3, None, b"new")
        await awaited.aclose()
        return found

    assert asyncio.run(use()) == Updated(3)


def _create(store: SQLStore, key: str, deadline: float | None, user: str | None = None) -> None:
    assert store.create(key, b"payload", expires_at=deadline, user_id=user)


def _admit(store: SQLStore, user: str, key: str, limit: int | None = None) -> object:
    return store.admit(user, key, limit=limit, evict=True)


def _drop(store: SQLStore, prefix: str) -> None:
    engine = store._engines.current()  # pyright: ignore[reportPrivateUsage]
    with engine.connect() as connection:
        for table in postgresql.TABLES:
            connection.exec_driver_sql(f"DROP TABLE {prefix}{table}")


def _with_driver(url: str) -> str:
    return url.replace("mysql:", "mysql+pymysql:").replace("postgresql:", "postgresql+psycopg:")


def _at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(len(works)) as threads:
        return [future.result() for future in [threads.submit(work) for work in works]]
