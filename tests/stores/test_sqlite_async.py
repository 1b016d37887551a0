"""What is particular to the async SQLite store: that it never stalls the event loop."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store import AsyncSQLiteStore, SQLiteStore
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    AsyncPurges,
    AsyncScans,
    AsyncUserIndex,
    Stored,
    Updated,
)
from coatcheck.store.sqlite.awaited import LOG_BYTES
from coatcheck.store.sqlite.connection import Cursor
from coatcheck.store.sqlite.database import Database
from coatcheck.testing import AsyncStoreContract, MakeAsyncStore, ManualClock
from coatcheck.testing.store_cases.base import Capability
from tests.stores.programs import finish, start

KEY, OTHER = "0" * 32, "f" * 32

pytestmark = pytest.mark.anyio


class TestAsyncSQLiteStoreContract(AsyncStoreContract):
    """The async SQLite store keeps every rule that holds for all stores."""

    capabilities = frozenset[Capability]({"index", "purge", "scan", "enrol"})

    @pytest.fixture
    def make_store(self, in_memory: Path, clock: ManualClock) -> MakeAsyncStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncSQLiteStore:
            return AsyncSQLiteStore(in_memory / "sessions.db", namespace=namespace, clock=clock)

        return make

    @pytest.fixture
    def other_process(self, in_memory: Path) -> Callable[[], AsyncSQLiteStore]:
        return functools.partial(AsyncSQLiteStore, in_memory / "sessions.db")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Return the event loop on which a test runs."""
    return request.param


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture
def path(in_memory: Path) -> Path:
    """Return where the database is to be."""
    return in_memory / "sessions.db"


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[AsyncSQLiteStore]:
    """Return a store that waits long for a lock."""
    store = AsyncSQLiteStore(path, timeout=30, clock=clock)
    yield store
    await store.aclose()


@pytest.fixture
def raw(store: AsyncSQLiteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection of somebody else to the store's database."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    yield connection
    connection.close()


async def test_it_has_all_capabilities(store: AsyncSQLiteStore) -> None:
    """The async SQLite store has an index, a purge and a scan, and its `get` never suspends."""
    assert isinstance(store, AsyncUserIndex)
    assert isinstance(store, AsyncPurges)
    assert isinstance(store, AsyncScans)
    assert store.get_never_suspends is True
    assert store.namespace == "coatcheck"


async def test_repr_shows_no_session(store: AsyncSQLiteStore, path: Path) -> None:
    """The representation has the file in it, and neither a key nor a payload."""
    await store.create(KEY, b"private", expires_at=None, user_id="ann")
    assert repr(store) == f"<AsyncSQLiteStore {str(path)!r} namespace='coatcheck'>"


async def test_bad_options_are_refused(path: Path) -> None:
    """A wrong option is a ConfigurationError when the store is made."""
    with pytest.raises(ConfigurationError, match="durability"):
        AsyncSQLiteStore(path, durability="some")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="timeout"):
        AsyncSQLiteStore(path, timeout=-1)


def test_get_never_suspends(path: Path) -> None:
    """`get` runs to its end in one step, also where no event loop is running."""
    blocking, store = SQLiteStore(path), AsyncSQLiteStore(path)
    blocking.create(KEY, b"payload", expires_at=None, user_id=None)
    assert run_now(store.get(KEY)) == Stored(1, None, b"payload")
    assert run_now(store.get(OTHER)) is None
    # So do writes, where nothing is locked and the disk is not waited for.
    assert run_now(store.update(KEY, b"new", version=1, expires_at=None)) == Updated(2)
    assert blocking.get(KEY) == Stored(2, None, b"new")
    blocking.close()


async def test_both_stores_share_a_file(store: AsyncSQLiteStore, path: Path) -> None:
    """The blocking store and the async one see each other's sessions, users and epochs."""
    other = SQLiteStore(path)
    admitted = other.admit("ann", KEY, limit=1, evict=False)
    other.create(KEY, b"payload", expires_at=None, user_id="ann")
    assert await store.get(KEY) == Stored(1, None, b"payload")
    assert [entry.key for entry in await store.entries("ann")] == [KEY]
    assert await store.revoke("ann") == [KEY]
    assert not other.confirm("ann", KEY, getattr(admitted, "epoch", 0))
    assert await store.delete(KEY) == Stored(1, None, b"payload")
    assert other.entries("ann") == []
    other.close()


async def test_a_lock_does_not_stall_the_loop(store: AsyncSQLiteStore, path: Path) -> None:
    """While another process holds the lock, reads and other tasks go on; then the write does."""
    await store.create(KEY, b"old", expires_at=None, user_id=None)
    holder = start(
        """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        print("locked", flush=True)
        sys.stdin.readline()
        connection.execute("COMMIT")
        """,
        path,
    )
    assert holder.stdout is not None
    assert await anyio.to_thread.run_sync(holder.stdout.readline) == "locked\n"
    outcomes: list[object] = []

    async def write() -> None:
        outcomes.append(await store.update(KEY, b"new", version=1, expires_at=None))

    turns = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            assert await store.get(KEY) == Stored(1, None, b"old")
            await anyio.lowlevel.checkpoint()
            turns += 1
        assert outcomes == []
        await anyio.to_thread.run_sync(finish, holder)
    assert outcomes == [Updated(2)]
    assert turns > 5, "hundreds, where nothing else has the processor"


async def test_a_write_waits_no_longer_than_told(path: Path) -> None:
    """A database that stays locked is a StoreError after the timeout, from every write."""
    store, raw = AsyncSQLiteStore(path, timeout=0.05), sqlite3.connect(path, isolation_level=None)
    await store.create(KEY, b"old", expires_at=None, user_id="ann")
    raw.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked for 0.05 s"):
        await store.create(OTHER, b"", expires_at=None, user_id=None)
    with pytest.raises(StoreError, match="locked for 0.05 s"):
        await store.update(KEY, b"new", version=1, expires_at=None)
    with pytest.raises(StoreError, match="locked for 0.05 s"):
        await store.admit("ann", OTHER, limit=1, evict=True)
    with pytest.raises(StoreError, match="locked for 0.05 s"):
        await store.revoke("ann")
    assert await store.get(KEY) == Stored(1, None, b"old"), "no writer blocks a read"
    assert await store.entries("ann") == []
    raw.close()
    assert await store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    await store.aclose()


async def test_a_read_of_a_locked_file_is_an_error(path: Path) -> None:
    """Where even reads are locked out, `get` raises StoreError at once instead of waiting."""
    store = AsyncSQLiteStore(path, timeout=30)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA locking_mode = EXCLUSIVE")
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("ROLLBACK")
    begun = time.monotonic()
    with pytest.raises(StoreError, match="locked"):
        await store.get(KEY)
    with pytest.raises(StoreError, match="locked"):
        await store.entries("ann")
    assert time.monotonic() - begun < 5
    raw.close()
    assert await store.get(KEY) is None
    await store.aclose()


async def test_a_cancelled_write_leaves_nothing_open(
    store: AsyncSQLiteStore, raw: sqlite3.Connection
) -> None:
    """A write cancelled while it waits for the lock does nothing, and holds nothing afterwards."""
    await store.create(KEY, b"old", expires_at=None, user_id=None)
    raw.execute("BEGIN IMMEDIATE")
    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            await store.update(KEY, b"new", version=1, expires_at=None)

        async def admit() -> None:
            await store.admit("ann", OTHER, limit=1, evict=True)

        tasks.start_soon(write)
        tasks.start_soon(admit)
        await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    raw.execute("COMMIT")
    raw.execute("BEGIN EXCLUSIVE")
    raw.execute("COMMIT")
    assert await store.get(KEY) == Stored(1, None, b"old")
    assert await store.entries("ann") == []
    assert await store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)


def test_no_commit_moves_the_log() -> None:
    """Where commits run on the event loop, none of them moves the log into the database."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(
            folder + "/sessions.db", clock=time.time, timeout=1, full=False, checkpoints=False
        )

        def look(cursor: Cursor, _now: float) -> object:
            return cursor.execute("PRAGMA wal_autocheckpoint").fetchone()

        assert database.run(look) == (0,)
        database.close()


async def test_the_log_is_bounded(store: AsyncSQLiteStore, path: Path) -> None:
    """However much is written, the log is moved into the database in between, in a thread."""
    await store.create(KEY, b"", expires_at=None, user_id=None)
    size, times = 250_000, 12 * LOG_BYTES // 250_000
    for version in range(1, times):
        payload = bytes(size - 8) + version.to_bytes(8, "big")
        assert isinstance(
            await store.update(KEY, payload, version=version, expires_at=None), Updated
        )
    log, database = path.with_name("sessions.db-wal"), path
    assert (await anyio.Path(log).stat()).st_size < 2 * LOG_BYTES
    assert (await anyio.Path(database).stat()).st_size > size


async def test_a_log_that_cannot_be_moved_is_no_error(
    store: AsyncSQLiteStore, raw: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that is in the way of the log makes no write fail."""
    await store.create(KEY, b"", expires_at=None, user_id=None)
    raw.execute("BEGIN")
    raw.execute("SELECT * FROM sessions").fetchall()
    for version in range(1, 40):
        payload = bytes(250_000) + version.to_bytes(8, "big")
        outcome = await store.update(KEY, payload, version=version, expires_at=None)
        assert outcome == Updated(version + 1)
    raw.execute("COMMIT")


@pytest.mark.parametrize("durability", ["normal", "full"])
async def test_durability(path: Path, durability: Any) -> None:
    """With either durability what was written is there, for other stores too."""
    store, other = AsyncSQLiteStore(path, durability=durability), SQLiteStore(path)
    assert await store.create(KEY, b"first", expires_at=None, user_id=None)
    assert await store.update(KEY, b"second", version=1, expires_at=None) == Updated(2)
    assert other.get(KEY) == Stored(2, None, b"second")
    assert await store.delete(KEY) == Stored(2, None, b"second")
    await store.aclose()
    other.close()


async def test_purge(store: AsyncSQLiteStore, clock: ManualClock) -> None:
    """A purge removes what has expired, in batches, while the loop goes on."""
    for number in range(25):
        deadline = clock() + (10 if number < 20 else 10_000)
        await store.create(f"{number:032x}", b"", expires_at=deadline, user_id=None)
    clock.advance(10 + GARBAGE_AFTER)
    assert [await store.purge(15) for _ in range(3)] == [15, 5, 0]
    keys, cursor = await store.scan(count=3)
    more, _cursor = await store.scan(cursor, count=3)
    assert [*keys, *more] == [f"{number:032x}" for number in range(20, 25)]


async def test_a_vanished_folder_is_an_error(
    store: AsyncSQLiteStore, path: Path, clock: ManualClock
) -> None:
    """Where the file has vanished, every call raises StoreError: no session is merely empty."""
    await store.create(KEY, b"payload", expires_at=None, user_id="ann")
    for file in path.parent.iterdir():
        file.unlink()
    clock.advance(1)
    with pytest.raises(StoreError, match="vanished"):
        await store.get(KEY)
    with pytest.raises(StoreError, match="vanished"):
        await store.update(KEY, b"late", version=1, expires_at=None)
    with pytest.raises(StoreError, match="vanished"):
        await store.purge()


async def test_a_row_of_wrong_types_is_corrupt(
    store: AsyncSQLiteStore, raw: sqlite3.Connection
) -> None:
    """What somebody else put into a row is CorruptRecord from `get`, and StoreError elsewhere."""
    await store.create(KEY, b"payload", expires_at=None, user_id=None)
    raw.execute("UPDATE sessions SET payload = 'text'")
    with pytest.raises(CorruptRecord):
        await store.get(KEY)
    with pytest.raises(StoreError):
        await store.update(KEY, b"new", version=7, expires_at=None)


def spoil_half(path: Path) -> None:
    """Overwrite the second half of the pages."""
    content = path.read_bytes()
    half = len(content) // 8192 * 4096
    path.write_bytes(content[:half] + b"\xff" * (len(content) - half))


async def test_damaged_pages_are_corrupt(path: Path) -> None:
    """Pages overwritten with garbage are CorruptRecord from `get`, and StoreError elsewhere."""
    store, keys = AsyncSQLiteStore(path), [f"{number:032x}" for number in range(100)]
    for key in keys:
        await store.create(key, bytes(500), expires_at=None, user_id=None)
    await store.aclose()
    spoil_half(path)
    store, damaged = AsyncSQLiteStore(path), list[str]()
    for key in keys:
        try:
            assert await store.get(key) == Stored(1, None, bytes(500))
        except CorruptRecord:
            damaged.append(key)
    with pytest.raises(StoreError, match="malformed"):
        await store.update(damaged[0], b"", version=1, expires_at=None)
    await store.aclose()


async def test_close(store: AsyncSQLiteStore, path: Path) -> None:
    """After `aclose`, which may be repeated, calls raise and nothing is left beside the file."""
    await store.create(KEY, b"payload", expires_at=None, user_id=None)
    await store.aclose()
    await store.aclose()
    assert [file.name for file in path.parent.iterdir()] == ["sessions.db"]
    with pytest.raises(StoreError, match="closed"):
        await store.get(KEY)
    with pytest.raises(StoreError, match="closed"):
        await store.create(KEY, b"", expires_at=None, user_id=None)
