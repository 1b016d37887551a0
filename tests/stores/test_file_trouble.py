"""The file store in trouble: damaged files, full disks, lost rights, vanished folders."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store.file import FileStore
from coatcheck.store.protocol import (
    Admitted,
    Gone,
    Updated,
)
from coatcheck.testing import ManualClock
from tests.stores.file_tools import (
    KEY,
    NOBODY,
    OTHER,
    all_files,
    ended,
    file_of,
    forked,
    let_others_pass,
    put,
    sessions,
)


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


# Damage


def test_sec_25_a_truncated_record_is_none(store: FileStore) -> None:
    """A file cut off at any byte is corrupt, and no verb writes to it."""
    put(store, payload=b"0123456789", user_id="ann")
    whole = file_of(store).read_bytes()
    header = whole.index(b"\n") + 1
    for length in range(len(whole)):
        file_of(store).write_bytes(whole[:length])
        with pytest.raises(CorruptRecord):
            store.get(KEY)
        assert store.create(KEY, b"new", expires_at=None, user_id=None) is False
        if length < header:
            assert store.update(KEY, b"new", version=1, expires_at=None) == Gone()
            assert store.touch(KEY, version=1, expires_at=4e9) is False
            assert store.delete(KEY) is None
            assert file_of(store).read_bytes() == whole[:length]


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_a_flipped_bit_is_noticed(store: FileStore, bit: int) -> None:
    """A file with one wrong bit anywhere is corrupt, and never other data."""
    put(store, payload=b'{"admin": false}', user_id="ann")
    whole = file_of(store).read_bytes()
    for place in range(len(whole)):
        wrong = bytearray(whole)
        wrong[place] ^= bit
        file_of(store).write_bytes(wrong)
        with pytest.raises(CorruptRecord):
            store.get(KEY)


def test_more_than_a_record_is_none(store: FileStore) -> None:
    """A file with something after its payload is corrupt."""
    put(store)
    with file_of(store).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(CorruptRecord):
        store.get(KEY)


def test_a_copy_under_another_name_is_none(store: FileStore) -> None:
    """A record copied to another key is no record of that key."""
    put(store)
    put(store, OTHER)
    shutil.copyfile(file_of(store), file_of(store, OTHER))
    with pytest.raises(CorruptRecord):
        store.get(OTHER)
    assert list(store.scan()[0]) == [KEY]


def test_a_damaged_payload_can_be_deleted(store: FileStore) -> None:
    """A record whose header is whole is ours: `delete` removes it, with its index entry."""
    assert isinstance(store.admit("ann", KEY, limit=None, evict=False), Admitted)
    put(store, user_id="ann")
    path = file_of(store)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert store.update(KEY, b"late", version=7, expires_at=None) == Gone()
    assert store.delete(KEY) is None
    assert not path.exists()
    assert list(store.entries("ann")) == []


def test_a_damaged_list_of_sessions_is_told(store: FileStore) -> None:
    """A user's file that is damaged is a StoreError: what it listed would escape a revocation."""
    store.admit("ann", KEY, limit=None, evict=False)
    (path,) = (path for path in all_files(Path(store.directory)) if len(path.name) == 64)
    for content in (b"", b"{", b"[]", b'{"epoch": 1}', b'{"epoch": 1, "entries": [{}]}'):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=path.name):
            store.entries("ann")
        with pytest.raises(StoreError, match="then remove the file"):
            store.revoke("ann")


def test_a_damaged_claim_is_none(store: FileStore, clock: ManualClock) -> None:
    """A claim to purge that cannot be read, or that lies in the future, holds nobody up."""
    assert store.claim_purge(600)
    (path,) = (path for path in all_files(sessions(store)) if path.name == "00.purged-at")
    path.write_bytes(b"soon\n")
    assert store.claim_purge(600)
    assert not store.claim_purge(600)
    clock.advance(-60)
    assert store.claim_purge(600)


# What the system refuses


def test_sec_77_a_full_disk_leaves_the_old_data(store: FileStore) -> None:
    """Where a file cannot be written whole, the old one stands and nothing is left behind."""
    old = put(store)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(StoreError, match="too large"):
            store.update(KEY, b"x" * 5000, version=1, expires_at=None)
        with pytest.raises(StoreError, match="too large"):
            store.create(OTHER, b"x" * 5000, expires_at=None, user_id=None)
        assert store.get(KEY) == old
        assert store.get(OTHER) is None

    assert ended(forked(fill)) == 0
    assert store.get(KEY) == old
    names = {path.name for path in all_files(sessions(store))}
    assert names == {KEY, "lock"}
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)


def test_a_folder_that_may_not_be_written_is_refused(directory: Path) -> None:
    """A read-only directory is a ConfigurationError that says what to do."""
    directory.mkdir(parents=True)
    let_others_pass(directory.parents[1], "data", "sessions")
    os.chown(directory, NOBODY if os.geteuid() == 0 else -1, -1)
    directory.chmod(0o500)

    def refuse() -> None:
        with pytest.raises(ConfigurationError, match=r"may not write to .*chmod u\+rwx"):
            FileStore(directory)

    assert ended(forked(refuse, user=NOBODY)) == 0
    directory.chmod(0o700)
    assert list(directory.iterdir()) == []


def test_files_that_may_not_be_read_are_told(store: FileStore, directory: Path) -> None:
    """A file that the system keeps from us is a StoreError, and not a missing session."""
    put(store)
    folder = let_others_pass(directory.parents[1], "data", "sessions", "coatcheck", "sessions")
    let_others_pass(folder, KEY[:2])
    file_of(store).chmod(0)
    folder.chmod(0o555)

    def read() -> None:
        with pytest.raises(StoreError, match="Permission denied"):
            store.get(KEY)
        with pytest.raises(StoreError, match="Permission denied"):
            store.create(OTHER, b"new", expires_at=None, user_id=None)

    assert ended(forked(read, user=NOBODY)) == 0
    folder.chmod(0o700)


@pytest.mark.parametrize("what", ["directory", "coatcheck", "sessions"])
@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_vanished_is_told(store: FileStore, what: str, again: bool) -> None:
    """A folder removed or replaced in use is a StoreError, and is not made again silently."""
    put(store)
    folder = Path(store.directory)
    folder = {"directory": folder, "coatcheck": folder / what, "sessions": sessions(store)}[what]
    shutil.rmtree(folder)
    if again:
        FileStore(store.directory).close()
    for call in (
        lambda: store.get(KEY),
        lambda: put(store),
        lambda: store.update(KEY, b"new", version=1, expires_at=None),
        lambda: store.touch(KEY, version=1, expires_at=4e9),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(StoreError, match="was removed or replaced while it was in use"):
            call()
    assert folder.exists() is again


def test_a_shard_that_vanished_is_made_again(store: FileStore) -> None:
    """Whoever removes some of the sessions removes these, and the store goes on."""
    put(store)
    put(store, OTHER)
    shutil.rmtree(file_of(store).parent)
    assert store.get(KEY) is None
    assert list(store.scan()[0]) == [OTHER]
    put(store)
    assert store.get(KEY) is not None


def test_a_closed_store_is_told(store: FileStore) -> None:
    """After `close` every call is a StoreError."""
    put(store)
    store.close()
    for call in (lambda: store.get(KEY), lambda: store.entries("ann"), store.scan, store.purge):
        with pytest.raises(StoreError):
            call()


def test_a_lock_that_stays_is_told(store: FileStore) -> None:
    """A lock that another process does not drop is a StoreError after the timeout."""
    record = put(store)
    other = FileStore(store.directory, clock=store.clock)
    read_end, write_end = os.pipe()

    def hold() -> None:
        with other._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
            os.write(write_end, b"!")
            signal.pause()

    pid = forked(hold)
    try:
        assert os.read(read_end, 1) == b"!"
        begun = time.monotonic()
        with pytest.raises(StoreError, match=r"was locked for 0\.1 s"):
            store.update(KEY, b"new", version=1, expires_at=None)
        assert time.monotonic() - begun < 1
        assert store.get(KEY) == record
        put(store, OTHER)
    finally:
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    other.close()


def test_durability_is_an_option(
    directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `fsync` each change waits for the file and its folder; without, for nothing."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for fsync, wanted in ((False, 0), (True, 5)):
        store = FileStore(directory, clock=clock, fsync=fsync)
        put(store)
        store.update(KEY, b"new", version=1, expires_at=None)
        store.delete(KEY)
        assert len(synced) == wanted
        store.close()


def test_without_flock_it_says_so(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without `flock` construction fails and names the store to use."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ConfigurationError, match="use SQLiteStore"):
        FileStore(directory)
    assert not directory.exists()
