"""The file store between processes: killed writers, forks, and changes at the same time."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck.drivers import Blocking, run_now
from coatcheck.errors import CorruptRecord
from coatcheck.store.file import FileStore
from coatcheck.store.file import header as headers
from coatcheck.store.protocol import Conflict, Gone, Stored, Updated
from coatcheck.testing import ManualClock
from coatcheck.testing.store_cases.base import increment
from tests.stores.file_tools import HOUR, KEY, all_files, ended, file_of, forked, sessions

KILLS = int(os.environ.get("FILE_STORE_KILLS", "60"))
"""How many writers are killed; `FILE_STORE_KILLS=5000` before a release."""

RACES = int(os.environ.get("FILE_STORE_RACES", "200"))
"""How often a delete meets an update; `FILE_STORE_RACES=10000` before a release."""


@pytest.fixture
def store() -> Iterator[FileStore]:
    """Return a store where there is no disk to wait for, if possible."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        store = FileStore(Path(path) / "sessions", clock=ManualClock())
        yield store
        store.close()


def told(key: str, version: int) -> bytes:
    """Return a payload that says which record and version it belongs to, of varying length."""
    return b"%b %d|" % (key.encode(), version) * (1 + version % 97)


def write_for_ever(store: FileStore, keys: list[str]) -> None:
    """Create, update, touch and delete until somebody ends this process."""
    deadline = store.clock() + HOUR
    for number in itertools.count():
        key = keys[number % len(keys)]
        record = store.get(key)
        if record is None:
            store.admit("ann", key, limit=None, evict=False)
            store.create(key, told(key, 1), expires_at=deadline, user_id="ann")
        elif number % 31 == 0:
            store.delete(key)
        elif number % 3 == 0:
            deadline += 1
            store.touch(key, version=record.version, expires_at=deadline)
        else:
            version = record.version
            store.update(key, told(key, version + 1), version=version, expires_at=deadline)


def test_sec_77_a_killed_writer_leaves_whole_records(store: FileStore) -> None:
    """Whenever a writer is killed, each record is whole, nothing is locked, and work goes on."""
    keys = [f"{number:02x}" + "0" * 30 for number in range(4)]
    for kill in range(KILLS):
        pid = forked(lambda: write_for_ever(store, keys))
        # Not a wait for something: another moment for each kill.
        time.sleep(0.002 + kill % 40 * 0.0002)
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        for key in keys:
            record = store.get(key)
            if record is not None:
                assert record.payload == told(key, record.version)
                outcome = store.update(
                    key,
                    told(key, record.version + 1),
                    version=record.version,
                    expires_at=store.clock() + HOUR,
                )
                assert outcome == Updated(record.version + 1)
        entries = {entry.key for entry in store.entries("ann")}
        assert {key for key in keys if store.get(key)} <= entries <= set(keys)
    store.purge()
    names = [path.name for path in all_files(sessions(store))]
    assert set(names) <= {*keys, "lock"}


def test_sec_77_an_update_never_brings_a_deleted_record_back(store: FileStore) -> None:
    """Another process updates as fast as it can: what is deleted stays deleted."""
    deadline = store.clock() + HOUR
    begin_read, begin_write = os.pipe()
    said_read, said_write = os.pipe()

    def update_for_ever() -> None:
        for number in itertools.count():
            key = f"{number:032x}"
            assert os.read(begin_read, 1)
            version = 1
            while store.update(key, b"late", version=version, expires_at=deadline) != Gone():
                version += 1
                if version == 2:
                    os.write(said_write, b"!")
            os.write(said_write, b".")

    pid = forked(update_for_ever)
    try:
        for number in range(RACES):
            key = f"{number:032x}"
            store.create(key, b"first", expires_at=deadline, user_id=None)
            os.write(begin_write, b"!")
            assert os.read(said_read, 1) == b"!"
            removed = store.delete(key)
            assert removed is not None
            assert removed.version >= 2
            assert os.read(said_read, 1) == b"."
            assert store.get(key) is None
            assert not file_of(store, key).exists()
    finally:
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        for descriptor in (begin_read, begin_write, said_read, said_write):
            os.close(descriptor)


def test_no_write_of_four_processes_is_lost(store: FileStore) -> None:
    """Four processes make 25 changes each to one session: 100 are kept."""
    store.create(KEY, b"0", expires_at=None, user_id=None)
    pids = [forked(lambda: run_now(increment(Blocking(store), KEY, 25))) for _ in range(4)]
    assert [ended(pid) for pid in pids] == [0] * 4
    assert store.get(KEY) == Stored(101, None, b"100")


def test_readers_never_see_a_mixed_deadline(store: FileStore) -> None:
    """A reader beside a process that touches sees the deadlines that were set, each as it was."""
    first = 1_899_999_999.5
    store.create(KEY, b"payload", expires_at=first, user_id="ann")

    def touch_for_ever() -> None:
        # Carries through many digits, so that a mixture of two deadlines would be a third one.
        for step in itertools.count(1):
            store.touch(KEY, version=1, expires_at=first + step * 0.5)

    pid = forked(touch_for_ever)
    try:
        last = first
        for _ in range(3000):
            record = store.get(KEY)
            assert record is not None
            assert record.expires_at is not None
            assert (record.version, record.payload) == (1, b"payload")
            assert (record.expires_at - first) % 0.5 == 0
            assert last <= record.expires_at < last + 100_000
            last = record.expires_at
        assert last > first
    finally:
        os.kill(pid, signal.SIGKILL)
        ended(pid)


def test_a_reader_waits_for_a_touch_under_way(store: FileStore) -> None:
    """A header that is half old and half new is read again when the touch is done."""
    deadline = store.clock() + HOUR
    store.create(KEY, b"payload", expires_at=deadline, user_id=None)
    old = file_of(store).read_bytes()
    header = headers.decode(KEY, old.split(b"\n", 1)[0])
    new = headers.encode(header._replace(expires_at=deadline + 99_999))
    found: list[Stored | None] = []
    reader = threading.Thread(target=lambda: found.append(store.get(KEY)))
    lock = store._records.folder.locked(KEY[:2])  # pyright: ignore[reportPrivateUsage]
    with lock, file_of(store).open("r+b") as file:
        # The two deadlines differ before and behind the place at which the new one ends.
        file.write(new[: new.index(b".") - 3])
        file.flush()
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        file.write(new[new.index(b".") - 3 :])
    reader.join(10)
    assert found == [Stored(1, deadline + 99_999, b"payload")]
    file_of(store).write_bytes(new[: new.index(b".") - 3] + old[new.index(b".") - 3 :])
    with pytest.raises(CorruptRecord):
        store.get(KEY)


def test_a_forked_child_holds_no_lock(store: FileStore) -> None:
    """A process forked while a lock is held has a copy of it, and does not keep it."""
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    with store._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
        pid = forked(signal.pause)
    try:
        assert store.update(KEY, b"new", version=1, expires_at=None) == Updated(2)
    finally:
        os.kill(pid, signal.SIGKILL)
        ended(pid)


def test_closing_in_a_child_leaves_the_parent_alone(store: FileStore) -> None:
    """A child that closes its copy of the store closes nothing of its parent's."""
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    assert ended(forked(store.close)) == 0
    assert store.get(KEY) == Stored(1, None, b"payload")


def test_a_lock_file_that_is_tidied_up_locks_nothing_out(store: FileStore) -> None:
    """Somebody removes lock files: whoever waited for the old one takes the new one."""
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    lock = file_of(store).parent / "lock"
    outcomes: list[object] = []

    def update() -> None:
        outcomes.append(store.update(KEY, b"new", version=1, expires_at=None))

    waiting = threading.Thread(target=update)
    with store._records.folder.locked(KEY[:2]):  # pyright: ignore[reportPrivateUsage]
        waiting.start()
        waiting.join(0.02)
        lock.unlink()
        waiting.join(0.02)
        assert waiting.is_alive()
    waiting.join(10)
    assert outcomes == [Updated(2)]
    assert lock.exists()
    outcome = store.update(KEY, b"late", version=1, expires_at=None)
    assert outcome == Conflict(Stored(2, None, b"new"))
