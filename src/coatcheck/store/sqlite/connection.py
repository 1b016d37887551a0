"""One connection to a SQLite database, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar, TypeVarTuple
from urllib.parse import quote

from coatcheck.errors import StoreError
from coatcheck.store.sqlite.files import Inode

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Busy(Exception):
    """Another connection holds the lock that was needed; nothing was done."""


class Damaged(StoreError):
    """The file is not a database any more, or pages of it are damaged."""


class Cursor(sqlite3.Cursor):
    """A connection's one cursor: made once, because making one costs a tenth of a SELECT."""

    __slots__ = ("checked_at", "inode")
    checked_at: float
    inode: Inode


Step = Callable[[Cursor, float, *Ts], T]
"""What is done with a connection in one go: `step(cursor, now, *arguments)`."""


def connect(path: str, mode: str, settings: Sequence[str] = ()) -> Cursor:
    """Open a connection that never waits, begins no transactions of its own, and makes no file."""
    connection = sqlite3.connect(
        f"file://{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    cursor = connection.cursor(Cursor)
    try:
        for setting in settings:
            cursor.execute(setting)
    except BaseException:
        connection.close()
        raise
    return cursor


def meaning(error: sqlite3.Error, path: str) -> Exception:
    """Return the exception that says what the error means for the caller."""
    code = primary_code(error)
    if code in _BUSY:
        return Busy()
    kind = Damaged if code in _BROKEN else StoreError
    return kind(f"the database {path!r} failed: {error}")


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 where the error is the module's own."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def locked(path: str, timeout: float) -> StoreError:
    """Return the error to raise where a lock was not to be had in time."""
    return StoreError(f"the database {path!r} was locked for {timeout:g} s")


def delays(timeout: float) -> Iterator[float]:
    """Yield how many seconds to wait before each new try, until `timeout` seconds have passed.

    SQLite's own busy handler makes an unlucky writer wait for seconds, because everybody sleeps in
    the same growing steps. Short ones of random length keep it in milliseconds.
    """
    begun = time.perf_counter_ns()
    while (waited := time.perf_counter_ns() - begun) < timeout * 1e9:
        # The last digits of a nanosecond clock are random enough to spread a few processes.
        step = 50_000 + time.perf_counter_ns() % 450_000
        # Whoever holds a lock for so long is not writing a session.
        yield step * (1e-9 if waited < 50_000_000 else 1e-8)


def persist(work: Callable[[], T], path: str, timeout: float) -> T:
    """Do the work, and do it again while it is `Busy`; raise `StoreError` after `timeout` s."""
    waits = delays(timeout)
    while True:
        try:
            return work()
        except Busy as busy:
            delay = next(waits, None)
            if delay is None:
                raise locked(path, timeout) from busy
        time.sleep(delay)
