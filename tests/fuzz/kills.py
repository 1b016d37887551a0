"""Row 14: kill -9 of a process that writes: each record is whole, what was acknowledged is there.

A killed process loses nothing that it has handed to the system; losing power is another matter, for
which stores have `durability`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from coatcheck.store.file import FileStore
from coatcheck.store.protocol import Stored, Updated
from coatcheck.store.sqlite import SQLiteStore
from tests.fuzz.run import Meter
from tests.fuzz.target import Target
from tests.stores.file_tools import ended, forked

HOUR: Final = 3600.0
KEYS: Final = tuple(f"{number:02x}" + "0" * 30 for number in range(4))
LONGEST: Final = 0.006
"""Seconds from the first acknowledged write to the kill, at most."""

Open = Callable[[Path], Any]
STORES: Final[dict[str, Open]] = {
    "file": lambda folder: FileStore(folder / "sessions"),
    "sqlite": lambda folder: SQLiteStore(folder / "sessions.db"),
}


def told(key: str, version: int) -> bytes:
    """Return a payload that says which record and version it is, of very varying length."""
    return b"%b %d|" % (key.encode(), version) * (1 + version * 37 % 400)


def write_for_ever(open_store: Open, folder: Path, pipe: int) -> None:
    """Write to one record after the other; say of each write that it is done, in one line."""
    store = open_store(folder)
    deadline = time.time() + HOUR
    for number in itertools.count():
        key = KEYS[number % len(KEYS)]
        record: Stored | None = store.get(key)
        if record is None:
            store.create(key, told(key, 1), expires_at=deadline, user_id="ann")
            done = 1
        elif number % 23 == 0:
            os.write(pipe, b"%d -\n" % KEYS.index(key))
            store.delete(key)
            done = 0
        elif number % 5 == 0:
            store.touch(key, version=record.version, expires_at=deadline + number)
            done = record.version
        else:
            done = record.version + 1
            outcome = store.update(
                key, told(key, done), version=record.version, expires_at=deadline + number
            )
            if outcome != Updated(done):
                raise SystemExit(f"{outcome} where nobody else writes")
        os.write(pipe, b"%d %d\n" % (KEYS.index(key), done))


def acknowledged(text: bytes) -> dict[str, int | None]:
    """Return the last version of each record that was acknowledged; `None`: a delete had begun."""
    found: dict[str, int | None] = {}
    for line in text.split(b"\n")[:-1]:
        number, version = line.split()
        found[KEYS[int(number)]] = None if version == b"-" else int(version)
    return found


def expect_whole(store: Any, before: dict[str, int | None]) -> None:
    """Look at each record: whole, as new as acknowledged, and at most one write newer."""
    for key, least in before.items():
        record: Stored | None = store.get(key)
        if record is None:
            assert not least, f"{key} had version {least}, and is gone"
            continue
        assert record.payload == told(key, record.version), f"{key} is torn"
        if least is not None:
            assert least <= record.version <= least + 1, f"{key}: {least}, not {record.version}"
    for key in KEYS:
        record = store.get(key)
        if record is not None:
            outcome = store.update(
                key,
                told(key, record.version + 1),
                version=record.version,
                expires_at=time.time() + HOUR,
            )
            assert outcome == Updated(record.version + 1), "what was killed has left a lock behind"


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill(kind: str) -> Callable[[Meter], None]:
    """Return what kills writers to a store of that kind, as often as the meter lets it."""
    open_store = STORES[kind]

    def play(meter: Meter) -> None:
        dice = Random(meter.seed)
        with _folder() as folder:
            while meter.going():
                meter.done += 1
                text = _killed(open_store, folder, dice.random() * LONGEST)
                before = acknowledged(text)
                meter.notes["acknowledged writes"] += text.count(b"\n")
                store = open_store(folder)
                try:
                    expect_whole(store, before)
                finally:
                    store.close()

    return play


def _killed(open_store: Open, folder: Path, after: float) -> bytes:
    """Let a child write, kill it, and return what it has acknowledged."""
    ours, theirs = os.pipe()
    pid = forked(lambda: write_for_ever(open_store, folder, theirs))
    os.close(theirs)
    try:
        text = os.read(ours, 1)  # it has begun
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL, "the writer ended by itself"
        while more := os.read(ours, 65_536):
            text += more
    finally:
        os.close(ours)
    return text


TARGETS: Final = tuple(
    Target(
        name=f"kill-{kind}",
        row=14,
        full=5_000,
        quick=8,
        promise="after kill -9 no record is torn, and no acknowledged write is lost",
        play=kill(kind),
    )
    for kind in STORES
)
