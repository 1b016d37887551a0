"""Whom the file store's locks shut out, and what they take of a process."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck.errors import StoreError
from coatcheck.store.file import FileStore
from coatcheck.store.protocol import Stored, Updated
from coatcheck.testing import ManualClock
from tests.stores.file_tools import KEY, ended, forked, put

HOLDER = "was locked for 0.1 s"


@pytest.fixture
def store() -> Iterator[FileStore]:
    """Return a store that waits for a lock for a tenth of a second, without a disk if possible."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        store = FileStore(Path(path) / "sessions", clock=ManualClock(), timeout=0.1)
        yield store
        store.close()


def is_shut_out(store: FileStore) -> bool:
    """Say whether the store cannot change a record whose shard somebody has locked."""
    try:
        store.update(KEY, b"new", version=1, expires_at=None)
    except StoreError as error:
        return HOLDER in str(error)
    return False


@pytest.mark.parametrize("again", [False, True], ids=["one store", "two stores"])
def test_threads_shut_one_another_out(store: FileStore, again: bool) -> None:
    """A thread waits for another one of its process, through one store or through two."""
    put(store)
    other = FileStore(store.directory, clock=store.clock, timeout=0.1) if again else store
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(is_shut_out(other)))
    with store._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
        waiting.start()
        waiting.join(10)
    assert found == [True]
    assert other.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    other.close()


def test_a_child_shuts_its_parent_out(store: FileStore) -> None:
    """What a forked child has locked is locked for the parent, though they share the store."""
    put(store)
    read_end, write_end = os.pipe()

    def hold() -> None:
        with store._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
            os.write(write_end, b"!")
            signal.pause()

    pid = forked(hold)
    try:
        assert os.read(read_end, 1) == b"!"
        assert is_shut_out(store)
    finally:
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        os.close(read_end)
        os.close(write_end)
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)


def test_a_parent_shuts_its_child_out(store: FileStore) -> None:
    """What a process has locked is locked for a child that it forks meanwhile."""
    put(store)

    def change() -> None:
        assert is_shut_out(store)

    with store._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
        assert ended(forked(change)) == 0
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)


def open_descriptors() -> int:
    """Count what this process has open."""
    return len(os.listdir("/dev/fd"))


def test_locks_leave_nothing_open(store: FileStore) -> None:
    """Changes in every shard, and of as many users, leave as much open as there was."""
    before = open_descriptors()
    for number in range(256):
        key = f"{number:02x}" + "0" * 30
        store.admit(str(number), key, limit=1, evict=True)
        put(store, key, user_id=str(number))
        assert store.get(key) is not None
        assert store.delete(key) is not None
    assert open_descriptors() == before


def test_a_process_without_a_descriptor_left_is_told(store: FileStore) -> None:
    """Where nothing more can be opened a change is a StoreError, the record as it was."""
    record = put(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for spare in (0, 1):
        # Numbers are given out from below, so none must be free there.
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1 + spare, hard))
        try:
            with pytest.raises(StoreError, match="Too many open files"):
                store.update(KEY, b"new", version=1, expires_at=None)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)
        assert store.get(KEY) == record
    assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    assert store.get(KEY) == Stored(2, None, b"new")
