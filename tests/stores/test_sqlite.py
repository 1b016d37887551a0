"""What is particular to the SQLite store: processes, locks, forks, damage, purging."""

from __future__ import annotations

import functools
import gc
import json
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store import SQLiteStore
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admitted,
    Gone,
    Purges,
    Scans,
    Stored,
    Updated,
    UserIndex,
)
from coatcheck.store.sqlite import steps, upkeep
from coatcheck.store.sqlite.connection import Cursor
from coatcheck.store.sqlite.database import Database
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from coatcheck.testing.store_cases.base import Capability
from tests.stores.programs import finish, run, start

HOUR = 3600.0
KEY, OTHER = "0" * 32, "f" * 32


class TestSQLiteStoreContract(StoreContract):
    """The SQLite store keeps every rule that holds for all stores."""

    capabilities = frozenset[Capability]({"index", "purge", "scan", "enrol"})

    @pytest.fixture
    def make_store(self, in_memory: Path, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> SQLiteStore:
            return SQLiteStore(in_memory / "sessions.db", namespace=namespace, clock=clock)

        return make

    @pytest.fixture
    def other_process(self, in_memory: Path) -> Callable[[], SQLiteStore]:
        return functools.partial(SQLiteStore, in_memory / "sessions.db")


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture
def path(in_memory: Path) -> Path:
    """Return where the database is to be."""
    return in_memory / "data" / "sessions.db"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[SQLiteStore]:
    """Return a store that waits for a lock for a tenth of a second."""
    store = SQLiteStore(path, timeout=0.1, clock=clock)
    yield store
    store.close()


@pytest.fixture
def raw(store: SQLiteStore, path: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection of somebody else to the store's database."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    yield connection
    connection.close()


def rows(connection: sqlite3.Connection, statement: str) -> list[Any]:
    """Return the first column of what a statement selects."""
    return [row[0] for row in connection.execute(statement).fetchall()]


def key_of(number: int) -> str:
    """Return a store key."""
    return f"{number:032x}"


def open_files(path: Path) -> int:
    """Return how often this process has the database open."""
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link) == str(path) for link in links if os.path.islink(link))


def test_it_has_all_capabilities(store: SQLiteStore) -> None:
    """The SQLite store has an index, a purge and a scan."""
    assert isinstance(store, UserIndex)
    assert isinstance(store, Purges)
    assert isinstance(store, Scans)
    assert store.namespace == "coatcheck"


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "none"},
        {"durability": True},
        {"timeout": -1},
        {"timeout": "2"},
        {"timeout": float("nan")},
        {"namespace": "a b"},
    ],
)
def test_bad_options_are_refused(path: Path, options: dict[str, Any]) -> None:
    """A wrong option is a ConfigurationError, and no file is made."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        SQLiteStore(path, **options)
    assert not path.parent.exists()


def test_repr_shows_no_session(store: SQLiteStore, path: Path) -> None:
    """The representation has the file in it, and neither a key nor a payload."""
    store.create(KEY, b"private", expires_at=None, user_id="ann")
    assert repr(store) == f"<SQLiteStore {str(path)!r} namespace='coatcheck'>"


def test_a_relative_path_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is one in the folder in which the store was made, wherever one goes then."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("sessions.db")
    monkeypatch.chdir("/")
    store.create(KEY, b"here", expires_at=None, user_id=None)
    store.close()
    assert (tmp_path / "sessions.db").stat().st_size > 0


@pytest.mark.parametrize("name", ["a?mode=memory", "50%25.db", "a#b c.db", "ä€.db", "\udcff.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """No character of a file name means anything else than itself."""
    store = SQLiteStore(tmp_path / name)
    store.create(KEY, b"here", expires_at=None, user_id=None)
    store.close()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
def test_durability(path: Path, durability: str, synchronous: int) -> None:
    """With `durability="full"` every commit is synced, in the log, on each connection."""
    database = Database(
        path, clock=time.time, timeout=1, full=durability == "full", checkpoints=True
    )

    def look(cursor: Cursor, _now: float) -> tuple[Any, Any]:
        (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
        (level,) = cursor.execute("PRAGMA synchronous").fetchone()
        return mode, level

    assert database.run(look) == ("wal", synchronous)
    database.close()
    store = SQLiteStore(path, durability="full" if durability == "full" else "normal")
    assert store.create(KEY, b"payload", expires_at=None, user_id=None)
    assert store.update(KEY, b"second", version=1, expires_at=None) == Updated(2)
    store.close()


# Processes, threads and forks


def test_sec_80_four_processes_lose_nothing(store: SQLiteStore, path: Path) -> None:
    """Four processes that add 25 keys each to one record by compare-and-set keep all 100."""
    program = """
        import json, sys
        from coatcheck.store import Conflict, SQLiteStore, Updated

        store, key = SQLiteStore(sys.argv[1]), "0" * 32
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(25):
            current = store.get(key)
            while True:
                data = {**json.loads(current.payload), f"{sys.argv[2]}-{number}": True}
                payload = json.dumps(data).encode()
                outcome = store.update(key, payload, version=current.version, expires_at=None)
                if isinstance(outcome, Updated):
                    break
                assert isinstance(outcome, Conflict)
                current = outcome.current
        store.close()
    """
    store.create(KEY, b"{}", expires_at=None, user_id=None)
    processes = [start(program, path, number) for number in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    record = store.get(KEY)
    assert record is not None
    assert record.version == 101
    assert len(json.loads(record.payload)) == 100


def test_threads_leave_no_connection_behind(store: SQLiteStore, path: Path) -> None:
    """One connection serves any number of threads that come one after another."""
    for number in range(20):
        thread = threading.Thread(
            target=store.create,
            args=(key_of(number), b""),
            kwargs={"expires_at": None, "user_id": None},
        )
        thread.start()
        thread.join()
    assert len(store.scan()[0]) == 20
    assert open_files(path) == 1


def test_close_leaves_no_file_open(store: SQLiteStore, path: Path) -> None:
    """After `close` no file is open, nothing is left beside the database, and calls raise."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.get, [key_of(number) for number in range(200)]))
    store.close()
    store.close()
    assert open_files(path) == 0
    assert os.listdir(path.parent) == ["sessions.db"]
    with pytest.raises(StoreError, match="closed"):
        store.get(KEY)
    with pytest.raises(StoreError, match="closed"):
        store.create(KEY, b"", expires_at=None, user_id=None)


def test_a_store_that_nobody_closes(path: Path) -> None:
    """A store that goes out of use closes its files by itself, without a warning."""
    store = SQLiteStore(path)
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    assert open_files(path) == 1
    del store
    gc.collect()
    assert open_files(path) == 0


def test_a_child_takes_locks_of_its_own(store: SQLiteStore, path: Path) -> None:
    """What a forked child saves outlives the parent's store.

    SQLite keeps its locks in memory that a fork copies. With the parent's connections open at the
    fork, the child would hold none, and the parent would remove the log as the last one to close.
    """
    store.create(KEY, b"parent", expires_at=None, user_id=None)
    child_reads, parent_writes = os.pipe()
    parent_reads, child_writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if store.update(KEY, b"child", version=1, expires_at=None) == Updated(2):
                os.write(child_writes, b"1")
                os.read(child_reads, 1)
                if store.update(KEY, b"late", version=2, expires_at=None) == Updated(3):
                    status = 0
        finally:
            os._exit(status)
    assert os.read(parent_reads, 1) == b"1"
    assert store.get(KEY) == Stored(2, None, b"child")
    store.close()
    os.write(parent_writes, b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for descriptor in (child_reads, parent_writes, parent_reads, child_writes):
        os.close(descriptor)
    reopened = SQLiteStore(path)
    assert reopened.get(KEY) == Stored(3, None, b"late")
    reopened.close()


def test_a_fork_amid_the_work_of_threads(path: Path) -> None:
    """A fork while other threads use the store harms neither side."""
    store, stop = SQLiteStore(path, timeout=30), threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            store.create(key_of(number), bytes(100), expires_at=None, user_id=None)
            store.delete(key_of(number))

    with ThreadPoolExecutor(3) as threads:
        works = [threads.submit(work, number) for number in range(3)]
        try:
            for number in range(5):
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        key = key_of(100 + number)
                        if store.create(key, b"child", expires_at=None, user_id=None):
                            status = 0
                    finally:
                        os._exit(status)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        finally:
            stop.set()
        for done in works:
            done.result()
    found = [store.get(key_of(100 + number)) for number in range(5)]
    store.close()
    assert found == [Stored(1, None, b"child")] * 5


@pytest.mark.skipif(sys.platform != "linux", reason="calls fork of the C library")
def test_a_fork_that_python_is_not_told_of(tmp_path: Path) -> None:
    """A child that a server written in C forked does not use its parent's connection."""
    run(
        """
        import ctypes, os, sys
        from coatcheck.store import SQLiteStore

        store = SQLiteStore(sys.argv[1])
        store.create("0" * 32, b"parent", expires_at=None, user_id=None)

        def files():
            links = ("/proc/self/fd/" + name for name in os.listdir("/proc/self/fd"))
            return sum(os.path.realpath(link) == sys.argv[1] for link in links)

        assert files() == 1
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            record = store.get("0" * 32)
            # The parent's is there as well, for it must not even be closed.
            os._exit(0 if record and record.payload == b"parent" and files() == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.update("0" * 32, b"on", version=1, expires_at=None).version == 2
        """,
        tmp_path / "sessions.db",
    )


# Locks


def test_a_write_waits_for_a_lock_and_no_longer(
    store: SQLiteStore, raw: sqlite3.Connection
) -> None:
    """A database that stays locked is a StoreError after the timeout, from every write."""
    store.create(KEY, b"old", expires_at=None, user_id="ann")
    raw.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    writes: list[Callable[[], object]] = [
        lambda: store.create(OTHER, b"", expires_at=None, user_id=None),
        lambda: store.update(KEY, b"new", version=1, expires_at=None),
        lambda: store.delete(KEY),
        lambda: store.admit("ann", OTHER, limit=1, evict=True),
        lambda: store.claim_purge(600),
    ]
    for write in writes:
        with pytest.raises(StoreError, match="locked for 0.1 s"):
            write()
    assert 0.5 <= time.monotonic() - begun < 10
    assert store.get(KEY) == Stored(1, None, b"old"), "no writer blocks a read"
    raw.execute("ROLLBACK")
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    assert store.entries("ann") == []


def test_a_write_goes_on_when_the_lock_is_free(path: Path) -> None:
    """A write that finds the database locked takes place as soon as it is not."""
    tries: list[float] = []

    def clock() -> float:
        """Free the lock when the time is asked for the third time, as each try does."""
        tries.append(1_800_000_000.0)
        if len(tries) == 3:
            other.execute("COMMIT")
        return tries[0]

    store = SQLiteStore(path, timeout=30, clock=clock)
    store.create(KEY, b"old", expires_at=None, user_id=None)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tries.clear()
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    assert len(tries) == 3
    other.close()
    store.close()


def test_a_refusal_leaves_no_transaction_open(store: SQLiteStore, raw: sqlite3.Connection) -> None:
    """After whatever a call has answered the next writer finds no lock."""
    store.admit("ann", KEY, limit=1, evict=False)
    store.admit("ann", OTHER, limit=1, evict=False)
    store.confirm("ann", KEY, 999)
    store.revoke("nobody")
    store.update(KEY, b"", version=1, expires_at=None)
    store.scan(count=1)
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("ROLLBACK")


def test_no_transaction_outlives_its_step(path: Path) -> None:
    """Whatever happens inside a step, its transaction ends with it and its lock is free."""
    database = Database(path, clock=time.time, timeout=0.1, full=False, checkpoints=True)

    def leave(cursor: Cursor, _now: float, error: BaseException) -> None:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("INSERT INTO namespaces (namespace, counter) VALUES ('half', 1)")
        raise error

    busy = sqlite3.OperationalError("locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raw = sqlite3.connect(path, isolation_level=None, timeout=0)
    for error, seen in (
        (busy, StoreError),
        (sqlite3.DatabaseError("broken"), StoreError),
        (ValueError("a bug"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        with pytest.raises(seen):
            database.run(leave, error)
        raw.execute("BEGIN IMMEDIATE")
        assert rows(raw, "SELECT count(*) FROM namespaces") == [0]
        raw.execute("ROLLBACK")
    raw.close()
    database.close()


def test_a_conflict_never_names_the_version_asked_for(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that comes too early, but finds its version when it looks why, takes place."""
    store.create(KEY, b"1", expires_at=None, user_id=None)
    other, get = SQLiteStore(path), steps.get

    def look(*arguments: Any) -> Stored | None:
        monkeypatch.setattr(steps, "get", get)
        assert other.update(KEY, b"2", version=1, expires_at=None) == Updated(2)
        return get(*arguments)

    monkeypatch.setattr(steps, "get", look)
    assert store.update(KEY, b"3", version=2, expires_at=None) == Updated(3)
    other.close()


# Files that vanish, fill up or break


def test_a_vanished_folder_is_an_error(store: SQLiteStore, path: Path, clock: ManualClock) -> None:
    """Where the folder has vanished, every call raises StoreError: no session is merely empty."""
    store.create(KEY, b"payload", expires_at=None, user_id="ann")
    shutil.rmtree(path.parent)
    clock.advance(1)
    for _ in range(2):
        with pytest.raises(StoreError, match="vanished"):
            store.get(KEY)
        with pytest.raises(StoreError, match="vanished"):
            store.update(KEY, b"late", version=1, expires_at=None)
        with pytest.raises(StoreError, match="vanished"):
            store.entries("ann")
        with pytest.raises(StoreError, match="vanished"):
            store.purge()
    assert not path.parent.exists()
    assert open_files(path) == 0


def test_a_replaced_file_is_noticed(store: SQLiteStore, path: Path, clock: ManualClock) -> None:
    """A store goes over to the file that another process has made in its file's place."""
    store.create(KEY, b"old", expires_at=None, user_id=None)
    for name in os.listdir(path.parent):
        (path.parent / name).unlink()
    other = SQLiteStore(path)
    other.create(OTHER, b"new", expires_at=None, user_id=None)
    clock.advance(1)
    assert store.get(KEY) is None
    assert store.get(OTHER) == Stored(1, None, b"new")
    assert store.update(OTHER, b"newer", version=1, expires_at=None) == Updated(2)
    assert other.get(OTHER) == Stored(2, None, b"newer")
    other.close()


def test_closing_a_removed_file_harms_no_other(store: SQLiteStore, path: Path) -> None:
    """A store whose file was removed leaves the log of the new one alone when it closes."""
    store.create(KEY, b"old", expires_at=None, user_id=None)
    for name in os.listdir(path.parent):
        (path.parent / name).unlink()
    other = SQLiteStore(path)
    other.create(OTHER, b"new", expires_at=None, user_id=None)
    store.close()
    third = SQLiteStore(path)
    assert third.get(OTHER) == Stored(1, None, b"new")
    assert third.update(OTHER, b"newer", version=1, expires_at=None) == Updated(2)
    assert other.get(OTHER) == Stored(2, None, b"newer")
    other.close()
    third.close()


def test_a_file_replaced_by_another_is_an_error(
    store: SQLiteStore, path: Path, clock: ManualClock
) -> None:
    """A database of something else that has come in the file's place is not used."""
    store.create(KEY, b"old", expires_at=None, user_id=None)
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE sessions (id)")
    foreign.commit()
    foreign.close()
    path.chmod(0o600)
    before = path.read_bytes()
    clock.advance(1)
    with pytest.raises(StoreError, match="something else"):
        store.get(KEY)
    assert path.read_bytes() == before


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    """Where the disk is full, a write raises StoreError, and what was saved before stands."""
    run(
        """
        import resource, sys
        from coatcheck.errors import StoreError
        from coatcheck.store import SQLiteStore
        from coatcheck.store.protocol import Stored, Updated

        store = SQLiteStore(sys.argv[1])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        saved, payload = [], bytes(20_000)
        for number in range(100):
            key = f"{number:032x}"
            try:
                store.create(key, payload, expires_at=None, user_id=None)
            except StoreError as error:
                assert error.__cause__ is not None
                break
            saved.append(key)
        else:
            raise SystemExit("the disk was never full")
        assert saved
        assert [store.get(key) for key in saved] == [Stored(1, None, payload)] * len(saved)
        assert store.get(key) is None
        try:
            store.update(saved[0], bytes(500_000), version=1, expires_at=None)
        except StoreError:
            pass
        else:
            raise SystemExit("the disk was not full any more")
        assert store.get(saved[0]) == Stored(1, None, payload)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert store.create(key, payload, expires_at=None, user_id=None)
        assert store.update(saved[0], b"small", version=1, expires_at=None) == Updated(2)
        store.close()
        """,
        tmp_path / "sessions.db",
    )


def test_a_file_that_may_only_be_read_is_an_error(tmp_path: Path) -> None:
    """Where the file has become read-only, reads go on and a write raises StoreError."""
    run(
        """
        import os, sys, tempfile
        from coatcheck.errors import StoreError
        from coatcheck.store.protocol import Stored
        from coatcheck.store.sqlite import SQLiteStore

        with tempfile.TemporaryDirectory() as folder:
            if os.geteuid() == 0:
                os.chown(folder, 65534, 65534)
                os.seteuid(65534)
            path = folder + "/sessions.db"
            store = SQLiteStore(path)
            store.create("0" * 32, b"old", expires_at=None, user_id=None)
            store.close()
            store = SQLiteStore(path)
            os.chmod(path, 0o400)
            for write in (
                lambda: store.update("0" * 32, b"new", version=1, expires_at=None),
                lambda: store.delete("0" * 32),
                lambda: SQLiteStore(path),
            ):
                try:
                    write()
                except StoreError as error:
                    assert "readonly" in str(error), error
                else:
                    raise SystemExit("a read-only file was written")
            assert store.get("0" * 32) == Stored(1, None, b"old")
        """,
        tmp_path,
    )


def test_a_row_of_wrong_types_is_corrupt(store: SQLiteStore, raw: sqlite3.Connection) -> None:
    """What somebody else put into a row is CorruptRecord from `get`, and StoreError elsewhere."""
    for column, value in (
        ("payload", "text"),
        ("payload", 1),
        ("version", "one"),
        ("version", 1.5),
        ("expires_at", "never"),
        ("expires_at", b"\0"),
    ):
        store.create(KEY, b"payload", expires_at=store.clock() + HOUR, user_id=None)
        raw.execute(f"UPDATE sessions SET {column} = ?", (value,))
        with pytest.raises(CorruptRecord):
            store.get(KEY)
        with pytest.raises(StoreError):
            store.update(KEY, b"new", version=7, expires_at=None)
        with pytest.raises(StoreError):
            store.touch(KEY, version=7, expires_at=store.clock() + 2 * HOUR)
        assert store.delete(KEY) is None
        assert store.get(KEY) is None


def test_damaged_pages_are_corrupt(path: Path) -> None:
    """Pages overwritten with garbage are CorruptRecord from `get`, and StoreError elsewhere."""
    store = SQLiteStore(path)
    for number in range(200):
        store.create(key_of(number), bytes(500), expires_at=None, user_id=None)
    store.close()
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        file.seek(pages // 2 * 4096)
        file.write(b"\xff" * (pages - pages // 2) * 4096)
    store = SQLiteStore(path)
    found = set[str]()
    for number in range(200):
        try:
            found.add(str(store.get(key_of(number))))
        except CorruptRecord:
            found.add("corrupt")
            with pytest.raises(StoreError, match="malformed"):
                store.update(key_of(number), b"", version=1, expires_at=None)
    assert "corrupt" in found
    assert found <= {"corrupt", str(Stored(1, None, bytes(500)))}
    store.close()


# The index and the purge


def test_no_user_is_left_in_the_index(store: SQLiteStore, raw: sqlite3.Connection) -> None:
    """A user without sessions takes no room in the database."""
    for number in range(5):
        admitted = store.admit(f"user-{number}", key_of(number), limit=None, evict=False)
        assert isinstance(admitted, Admitted)
        store.create(key_of(number), b"", expires_at=store.clock() + 10, user_id=f"user-{number}")
    assert rows(raw, "SELECT count(*) FROM users") == [5]
    store.delete(key_of(0))
    store.delete(key_of(1), user_id="user-1")
    store.forget("user-2", key_of(2))
    assert sorted(rows(raw, "SELECT user_id FROM users")) == ["user-3", "user-4"]


def test_a_record_is_whose_it_was_made(store: SQLiteStore, clock: ManualClock) -> None:
    """A record that takes the key of another user's expired one takes its index entry away."""
    for user in ("ann", "ann", "bob"):
        store.admit(user, KEY, limit=None, evict=False)
        assert store.create(KEY, user.encode(), expires_at=clock() + HOUR, user_id=user)
        assert [entry.key for entry in store.entries(user)] == [KEY]
        clock.advance(HOUR)
    assert store.entries("ann") == []


def test_sec_83_purge_of_a_large_table(
    store: SQLiteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge that reads and removes in many steps finds all that has expired, batch by batch."""
    monkeypatch.setattr(upkeep, "READ", 7)
    monkeypatch.setattr(upkeep, "REMOVE", 3)
    live = set[str]()
    for number in range(100):
        lives = number % 3 == 0
        if lives:
            live.add(key_of(number))
        deadline = clock() + (10 * HOUR if lives else 10)
        store.create(key_of(number), b"", expires_at=deadline, user_id=None)
    clock.advance(10 + GARBAGE_AFTER)
    assert [store.purge(10) for _ in range(8)] == [10, 10, 10, 10, 10, 10, 6, 0]
    assert set(store.scan()[0]) == live


def test_purge_goes_on_where_it_stopped(
    store: SQLiteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch does not read again what the ones before it have found live, yet misses nothing."""
    monkeypatch.setattr(upkeep, "READ", 10)
    for number in range(100):
        deadline = clock() + (10 if number >= 90 else 10 * HOUR)
        store.create(key_of(number), b"", expires_at=deadline, user_id=None)
    clock.advance(10 + GARBAGE_AFTER)
    reads: list[str] = []
    expired = upkeep.expired

    def spy(cursor: Cursor, now: float, namespace: str, after: str) -> Any:
        reads.append(after)
        return expired(cursor, now, namespace, after)

    monkeypatch.setattr(upkeep, "expired", spy)
    assert store.purge(5) == 5
    assert len(reads) == 10
    store.update(key_of(3), b"", version=1, expires_at=clock() - GARBAGE_AFTER)
    assert store.purge(5) == 5
    assert len(reads) == 11
    assert store.purge(5) == 1, "what has expired before the place where it stopped is found too"
    assert store.purge(5) == 0


def test_purge_removes_entries_without_records(store: SQLiteStore, clock: ManualClock) -> None:
    """A purge removes the entry of a login that never came to its record, and no other."""
    lost, kept = key_of(1), key_of(2)
    store.admit("ann", lost, limit=None, evict=False)
    store.admit("ann", kept, limit=None, evict=False)
    store.create(kept, b"", expires_at=None, user_id="ann")
    clock.advance(GARBAGE_AFTER - 1)
    assert store.purge() == 0
    assert [entry.key for entry in store.entries("ann")] == [lost, kept]
    clock.advance(1)
    assert store.purge() == 0
    assert [entry.key for entry in store.entries("ann")] == [kept]


def test_sec_35_a_clock_that_was_put_back(store: SQLiteStore, clock: ManualClock) -> None:
    """After the clock was put back by a day purges are claimed and old entries grow old again."""
    assert store.claim_purge(600)
    store.admit("ann", KEY, limit=1, evict=False)
    clock.advance(-86_400)
    assert store.claim_purge(600)
    assert not store.claim_purge(600)
    assert isinstance(store.admit("ann", OTHER, limit=1, evict=False), Admitted)
    assert store.get(KEY) is None
    assert store.update(KEY, b"", version=1, expires_at=None) == Gone()
