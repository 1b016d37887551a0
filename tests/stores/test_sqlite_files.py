"""The files of a SQLite store: for their owner alone, and never somebody else's."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store import AsyncSQLiteStore, SQLiteStore
from coatcheck.store.protocol import Stored
from coatcheck.store.sqlite.schema import APPLICATION_ID
from coatcheck.testing import ManualClock

KEY = "0" * 32

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is to be."""
    return tmp_path / "sessions.db"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set a umask for the test."""
    mask: int = request.param
    before = os.umask(mask)
    yield mask
    os.umask(before)


@pytest.fixture(params=[SQLiteStore, AsyncSQLiteStore])
def open_store(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    """Return either class: both are refused the same."""
    store: Callable[[Path], object] = request.param
    return store


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.lstat().st_mode)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and the bytes of every file in a folder."""
    return {file.name: (mode(file), file.read_bytes()) for file in folder.iterdir()}


def make_ours(path: Path) -> None:
    """Make a database of ours with one record in it."""
    store = SQLiteStore(path)
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    store.close()


def test_sec_80_modes_whatever_the_umask(path: Path, umask: int) -> None:
    """The database, its log and its shared memory are 0600 whatever the umask is."""
    seen: dict[str, int] = {}
    store = SQLiteStore(path)
    seen["at first"] = mode(path)
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    for suffix in ("", "-wal", "-shm"):
        seen[suffix] = mode(path.with_name(path.name + suffix))
    store.close()
    seen["at last"] = mode(path)
    assert seen == {"at first": 0o600, "": 0o600, "-wal": 0o600, "-shm": 0o600, "at last": 0o600}


def test_sec_80_nothing_is_ever_open_to_others(
    path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database file is made 0600, not made so afterwards."""
    modes: list[int] = []
    real_open = os.open

    def spy(name: str, flags: int, permissions: int = 0o777) -> int:
        descriptor = real_open(name, flags, permissions)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    SQLiteStore(path).close()
    assert modes == [0o600 & ~umask]


def test_missing_folders_are_made_for_their_owner(tmp_path: Path) -> None:
    """Every folder that is missing is made 0700 whatever the umask lets through."""
    before = os.umask(0)
    try:
        SQLiteStore(tmp_path / "a" / "b" / "c" / "sessions.db").close()
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_folder_open_to_everybody_is_refused(
    tmp_path: Path, open_store: Callable[[Path], object]
) -> None:
    """A folder that everybody may write to is refused, unless its sticky bit protects the file."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod o-w"):
        open_store(folder / "sessions.db")
    assert list(folder.iterdir()) == []
    folder.chmod(0o1777)
    make_ours(folder / "sessions.db")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """A path through a file is refused, and the file is left as it was."""
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="folder"):
        SQLiteStore(tmp_path / "file" / "sessions.db")
    with pytest.raises(ConfigurationError, match="folder"):
        SQLiteStore(tmp_path / "file" / "more" / "sessions.db")
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("target", ["missing.db", "other.db", "text"])
def test_a_planted_link_is_not_followed(
    path: Path, tmp_path: Path, target: str, open_store: Callable[[Path], object]
) -> None:
    """A symbolic link in the file's place is refused; what it points to is not made or changed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    make_ours(outside / "other.db")
    (outside / "text").write_bytes(b"")
    before = snapshot(outside)
    path.symlink_to(outside / target)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        open_store(path)
    assert snapshot(outside) == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_link_beside_the_file_is_not_followed(path: Path, tmp_path: Path, suffix: str) -> None:
    """Nor is a link followed where SQLite keeps its log, its shared memory and its journal."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "target").write_bytes(b"mine")
    before = snapshot(outside)
    path.with_name(path.name + suffix).symlink_to(outside / "target")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        SQLiteStore(path)
    assert snapshot(outside) == before


def test_a_log_that_appears_is_not_used(path: Path) -> None:
    """A log that others can write to is noticed when the next connection is opened."""
    store = SQLiteStore(path)
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    path.with_name("sessions.db-wal").chmod(0o666)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        SQLiteStore(path)
    store.close()


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_is_no_file_is_refused(path: Path, kind: str) -> None:
    """A FIFO, a folder or a socket in the file's place is refused at once."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    with pytest.raises(ConfigurationError, match="no regular file"):
        SQLiteStore(path)


@pytest.mark.parametrize("permissions", [0o644, 0o660, 0o602])
def test_a_file_that_others_may_use_is_refused(path: Path, permissions: int) -> None:
    """A database of ours that others may read or write is refused, naming the remedy."""
    make_ours(path)
    path.chmod(permissions)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        SQLiteStore(path)
    assert mode(path) == permissions
    path.chmod(0o600)
    store = SQLiteStore(path)
    assert store.get(KEY) == Stored(1, None, b"payload")
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    """A database that belongs to another user is refused."""
    make_ours(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to the user 65534"):
        SQLiteStore(path)


# What is not ours


def foreign_database(path: Path) -> None:
    """Make a database of another program."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, data TEXT)")
    connection.execute("INSERT INTO sessions VALUES ('a', 'b')")
    connection.commit()
    connection.close()


def foreign_database_with_an_id(path: Path) -> None:
    """Make a database of another program that has an application ID."""
    foreign_database(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 1234")
    connection.close()


def foreign_database_with_a_log(path: Path) -> None:
    """Make one as a program that crashed leaves it: what was written last is in the log alone."""
    foreign_database(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO sessions VALUES ('c', 'd')")
    connection.commit()
    files = {name: path.with_name(path.name + name).read_bytes() for name in ("", "-wal")}
    connection.close()
    for name, content in files.items():
        path.with_name(path.name + name).write_bytes(content)


def foreign_database_with_a_journal(path: Path) -> None:
    """Make one as a program that crashed leaves it: whoever opens it next rolls it back."""
    foreign_database(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO sessions VALUES (?, ?)", [(str(number), "x" * 3000) for number in range(99)]
    )
    files = {name: path.with_name(path.name + name).read_bytes() for name in ("", "-journal")}
    connection.execute("ROLLBACK")
    connection.close()
    for name, content in files.items():
        path.with_name(path.name + name).write_bytes(content)


def empty_foreign_database(path: Path) -> None:
    """Make a database without tables."""
    connection = sqlite3.connect(path)
    connection.execute("VACUUM")
    connection.close()


def text(path: Path) -> None:
    """Make a file that begins almost as a database does."""
    path.write_text("SQLite format 4, or something else\n" * 200)


def one_byte(path: Path) -> None:
    """Make a file of one byte."""
    path.write_bytes(b"S")


def header_alone(path: Path) -> None:
    """Make the header of another program's database, and nothing after it."""
    foreign_database(path)
    path.write_bytes(path.read_bytes()[:100])


def newer(path: Path) -> None:
    """Make a database of ours as a later version might."""
    make_ours(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        foreign_database,
        foreign_database_with_an_id,
        foreign_database_with_a_log,
        foreign_database_with_a_journal,
        empty_foreign_database,
        text,
        one_byte,
        header_alone,
        newer,
    ],
    ids=lambda make: make.__name__,
)
def test_what_is_not_ours_is_left_alone(
    path: Path, make: Callable[[Path], None], open_store: Callable[[Path], object]
) -> None:
    """A file of something else is refused, and neither it nor anything beside it is touched."""
    make(path)
    for file in path.parent.iterdir():
        file.chmod(0o600)
    before = snapshot(path.parent)
    with pytest.raises(ConfigurationError, match="name another path"):
        open_store(path)
    assert snapshot(path.parent) == before


def test_tables_that_are_not_ours_are_refused(path: Path) -> None:
    """A database that calls itself ours but lacks a column is refused, and not changed."""
    make_ours(path)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE sessions RENAME COLUMN expires_at TO expires")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="no such column"):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_refused(path: Path) -> None:
    """A database of ours that was cut short is refused with a remedy, and not changed."""
    make_ours(path)
    content = path.read_bytes()[:4096]
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="restore it"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_taken(path: Path) -> None:
    """An empty file of ours, as a crash at the very first start leaves it, becomes a database."""
    path.touch(0o600)
    store = SQLiteStore(path)
    assert store.create(KEY, b"payload", expires_at=None, user_id=None)
    store.close()


def test_an_interrupted_start_is_made_good(path: Path) -> None:
    """What a crash amid the making of the tables leaves is rolled back, and they are made again."""
    make_ours(path)
    whole = path.read_bytes()
    connection = sqlite3.connect(path.with_name("other.db"), isolation_level=None)
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("CREATE TABLE sessions (id)")
    connection.execute("COMMIT")
    connection.close()
    path.with_name("other.db").unlink()
    # A transaction that began with an empty file is rolled back by a journal that says: no pages.
    header = bytes.fromhex("d9d505f920a163d7") + (0).to_bytes(4, "big") + bytes(4)
    header += (0).to_bytes(4, "big") + (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    path.write_bytes(whole[:18] + b"\1\1" + whole[20:4096])
    path.with_name("sessions.db-journal").write_bytes(header.ljust(512, b"\0"))
    path.with_name("sessions.db-journal").chmod(0o600)
    store = SQLiteStore(path)
    assert store.get(KEY) is None
    assert store.create(KEY, b"payload", expires_at=None, user_id=None)
    store.close()


@pytest.mark.parametrize("name", [":memory:", ":memory:?cache=shared"])
def test_a_database_in_memory_is_refused(name: str, open_store: Callable[[str], object]) -> None:
    """A database that only one connection would see is refused in favour of the memory store."""
    with pytest.raises(ConfigurationError, match="memory://"):
        open_store(name)


@pytest.mark.parametrize("name", ["", "a\0b", b"sessions.db", None, 5])
def test_what_is_no_path_is_refused(name: str, open_store: Callable[[str], object]) -> None:
    """An empty path, bytes and other things are refused."""
    with pytest.raises((ConfigurationError, TypeError)):
        open_store(name)


def test_a_locked_database_at_the_start(path: Path) -> None:
    """A database that stays locked while a store is made is a StoreError after the timeout."""
    raw = sqlite3.connect(path, isolation_level=None)
    path.chmod(0o600)
    raw.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked for 0.05 s"):
        SQLiteStore(path, timeout=0.05)
    raw.execute("ROLLBACK")
    raw.close()
    make_ours(path)


def test_the_loss_of_the_right_is_an_error(path: Path) -> None:
    """A file that others may use since the store was opened is a StoreError at the next opening."""
    clock = ManualClock()
    store = SQLiteStore(path, clock=clock)
    path.chmod(0o666)
    with pytest.raises(StoreError, match="chmod 600"):
        store.get(KEY)
    path.chmod(0o600)
    assert store.get(KEY) is None
    store.close()
