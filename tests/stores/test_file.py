"""What is particular to the file store: its options, its files, and their upkeep."""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store.file import FileStore
from coatcheck.store.file import header as headers
from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admitted,
    Purges,
    Refused,
    Scans,
    Stored,
    Updated,
    UserIndex,
)
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from tests.stores.file_tools import (
    HOUR,
    KEY,
    OTHER,
    all_files,
    file_of,
    put,
    sessions,
)
from tests.stores.test_contract import ENROLMENT, without


@without(*ENROLMENT)
class TestFileStoreContract(StoreContract):
    """The file store keeps every rule that holds for all stores."""

    @pytest.fixture
    def make_store(self, directory: Path, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> FileStore:
            return FileStore(directory, namespace=namespace, clock=clock)

        return make

    @pytest.fixture
    def other_process(self, directory: Path) -> Callable[[], FileStore]:
        return functools.partial(FileStore, directory)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return where the files are to be: where there is no disk to wait for, if possible."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(path) / "data" / "sessions"


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture
def store(directory: Path, clock: ManualClock) -> Iterator[FileStore]:
    """Return a store that waits for a lock for a tenth of a second."""
    store = FileStore(directory, timeout=0.1, clock=clock)
    yield store
    store.close()


def test_a_closed_store_says_so(store: FileStore) -> None:
    """Whoever goes on with a store after `close()` is told what is wrong, not an error number."""
    store.close()
    for call in (
        lambda: store.get(KEY),
        lambda: store.create(KEY, b"x", expires_at=None, user_id=None),
        lambda: store.delete(KEY),
        lambda: store.entries("ann"),
        lambda: store.purge(),
        lambda: store.scan(),
    ):
        with pytest.raises(StoreError, match=r"^the file store is closed$"):
            call()


def test_it_has_all_capabilities(store: FileStore) -> None:
    """The file store has an index, a purge and a scan, and prefers text."""
    assert isinstance(store, UserIndex)
    assert isinstance(store, Purges)
    assert isinstance(store, Scans)
    assert (store.namespace, store.preferred_codec) == ("coatcheck", "json")


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": -1},
        {"timeout": "2"},
        {"timeout": float("nan")},
        {"fsync": "no"},
        {"fsync": 1},
        {"namespace": "a b"},
        {"namespace": ""},
    ],
)
def test_bad_options_are_refused(directory: Path, options: dict[str, Any]) -> None:
    """A wrong option is a ConfigurationError, and no folder is made."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        FileStore(directory, **options)
    assert not directory.parent.exists()


def test_repr_shows_no_session(store: FileStore, directory: Path) -> None:
    """The representation names the directory, and neither a key nor a payload."""
    put(store)
    assert repr(store) == f"<FileStore {str(directory)!r} namespace='coatcheck'>"


# Files


def test_a_session_is_one_readable_file(store: FileStore) -> None:
    """A file is named by its handle and has a header line before the payload."""
    put(store, payload=b'{"cart": [1, 2]}', user_id="ann & bob")
    assert [path.name for path in all_files(sessions(store)) if path.name != "lock"] == [KEY]
    line, payload = file_of(store).read_bytes().split(b"\n", 1)
    assert payload == b'{"cart": [1, 2]}'
    words = line.split()
    assert words[:2] == [b"coatcheck", b"1"]
    assert words[2:6] == [KEY.encode(), b"1800003600.0", b"1", b"16"]
    assert words[7] == b'"ann\\u0020&\\u0020bob"'


def test_the_directory_stays_where_it_was(
    directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative directory means the place at construction, whatever `chdir` comes later."""
    directory.mkdir(mode=0o700, parents=True)
    monkeypatch.chdir(directory)
    store = FileStore("here", clock=clock)
    monkeypatch.chdir("/")
    put(store)
    assert file_of(store).parents[4] == directory
    store.close()


@pytest.mark.parametrize("deadline", [None, 0.1, 1e-300, 1.7976931348623157e308, -3.5, 5])
def test_a_header_keeps_every_deadline(deadline: float | None) -> None:
    """A deadline comes back exactly, and headers with other deadlines have the same length."""
    header = headers.begin(KEY, b"payload", deadline, "\ud800 \n\0")
    line = headers.encode(header)
    assert headers.decode(KEY, line[:-1]) == header
    assert len(line) == len(headers.encode(header._replace(expires_at=None)))
    assert line.count(b"\n") == 1
    assert header.user_id == "\ud800 \n\0"


def test_a_user_id_beyond_measure_is_refused(store: FileStore) -> None:
    """A user ID that no header can hold is a ValueError, and nothing is written."""
    with pytest.raises(ValueError, match="a user ID takes at most"):
        put(store, user_id="a" * 20_000)
    assert store.get(KEY) is None
    put(store, user_id="a" * 15_000)
    assert store.update(KEY, b"x" * 99_999, version=1, expires_at=None) == Updated(2)
    assert store.get(KEY) == Stored(2, None, b"x" * 99_999)


def test_namespaces_that_a_disk_confuses_are_apart(directory: Path, clock: ManualClock) -> None:
    """Each namespace has a folder of its own, also where a disk ignores case."""
    names = ("shop", "Shop", "SHOP", ".", "..", "a:b", "a" * 64, "x.y", "con")
    for name in names:
        store = FileStore(directory, namespace=name, clock=clock)
        put(store, payload=name.encode())
        store.close()
    folders = sorted(path.name for path in directory.iterdir())
    assert len({name.casefold() for name in folders}) == len(names)
    assert {"shop", "x.y", "con"} < set(folders)
    for name in names:
        store = FileStore(directory, namespace=name, clock=clock)
        assert store.get(KEY) == Stored(1, clock() + HOUR, name.encode())
        store.close()


# Upkeep


def test_purge_takes_only_its_own(store: FileStore, clock: ManualClock) -> None:
    """What is not an expired record of ours stays, wherever it lies."""
    put(store, user_id="ann")
    put(store, OTHER, expires_at=None)
    shard = file_of(store).parent
    root = Path(store.directory)
    foreign = "ab" + "1" * 30
    alien = "ab" + "2" * 30
    contents = {
        root / "README": b"mine",
        root / "sessions.db-journal": b"",
        root / ("e" * 32): b"coatcheck 1",
        shard / "README": b"mine",
        shard / ".hidden": b"",
        shard / foreign: b"not a session",
        shard / (KEY + ".bak"): file_of(store).read_bytes(),
        shard / KEY.upper(): file_of(store).read_bytes(),
        shard / alien: file_of(store).read_bytes(),
        sessions(store) / "notes" / KEY: file_of(store).read_bytes(),
        sessions(store) / "cd" / ("ab" + "3" * 30): file_of(store).read_bytes(),
    }
    for path, content in contents.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (shard / ("ab" + "4" * 30)).mkdir()
    clock.advance(HOUR + GARBAGE_AFTER)
    assert store.purge() == 1
    assert {path: path.read_bytes() for path in contents} == contents
    assert (shard / ("ab" + "4" * 30)).is_dir()
    assert not file_of(store).exists()
    assert file_of(store, OTHER).exists()


def test_purge_removes_what_the_dead_were_writing(store: FileStore) -> None:
    """A file that a writer left unfinished goes with the next purge, or with the next write."""
    put(store)
    unfinished = file_of(store).parent / "new"
    unfinished.write_bytes(b"coatc")
    assert store.purge() == 0
    assert not unfinished.exists()
    unfinished.write_bytes(b"coatc")
    assert store.update(KEY, b"whole", version=1, expires_at=None) == Updated(2)
    assert not unfinished.exists()


def test_purge_goes_on_where_it_stopped(store: FileStore, clock: ManualClock) -> None:
    """Batch after batch, each file is looked at about once."""
    keys = [f"{number:02x}" + "0" * 30 for number in range(0, 256, 4)]
    for key in keys:
        put(store, key, expires_at=clock() + 1)
    clock.advance(HOUR)
    assert [store.purge(10) for _ in range(7)] == [10] * 6 + [4]
    assert store.purge(10) == 0


def test_sessions_that_are_gone_make_room(store: FileStore, clock: ManualClock) -> None:
    """An entry of half a minute ago without a live record does not count against the limit."""
    for key in (KEY, OTHER):
        store.admit("ann", key, limit=None, evict=False)
    put(store, OTHER, user_id="ann", expires_at=clock() + 9 * HOUR)
    assert store.admit("ann", "e" * 32, limit=2, evict=False) == Refused()
    clock.advance(ADMISSION_GRACE + 1)
    assert isinstance(store.admit("ann", "e" * 32, limit=2, evict=False), Admitted)
    assert [entry.key for entry in store.entries("ann")] == [OTHER, "e" * 32]
    assert store.admit("ann", "f" * 32, limit=2, evict=False) == Refused()


def test_a_user_without_sessions_leaves_no_file(store: FileStore) -> None:
    """The file of a user goes with the last entry."""
    store.admit("ann", KEY, limit=None, evict=False)
    put(store, user_id="ann")
    store.delete(KEY)
    names = {path.name for path in all_files(Path(store.directory))}
    assert names == {"lock"}
    assert list(store.revoke("ann")) == []
    assert {path.name for path in all_files(Path(store.directory))} == {"lock"}


def test_a_large_folder_is_no_slower(store: FileStore) -> None:
    """Reading a session takes as long among 20,000 as among a few."""
    few = [f"{number:02x}" + "a" * 30 for number in range(50)]
    for key in few:
        put(store, key)
    before = statistics.median(timed(store, key) for key in few for _ in range(5))
    many = [f"{number * 13 % 256:02x}{number:030x}" for number in range(20_000)]
    for number in range(256):
        (sessions(store) / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
    for key in many:
        line = headers.encode(headers.begin(key, b"payload", None, None))
        descriptor = os.open(file_of(store, key), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, line + b"payload")
        os.close(descriptor)
    after = statistics.median(timed(store, key) for key in many[::80])
    assert after < 5 * before
    keys, cursor = store.scan(count=100)
    assert (len(keys), cursor) == (100, keys[-1])


def timed(store: FileStore, key: str) -> int:
    """Return how long a get takes, in nanoseconds."""
    begun = time.perf_counter_ns()
    assert store.get(key) is not None
    return time.perf_counter_ns() - begun
