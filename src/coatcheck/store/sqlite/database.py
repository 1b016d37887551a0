"""A SQLite database as a store uses it: a pool of connections that survives forks and removals.

Connections are kept open and lent out, one caller at a time, the one used last first. So there are
never more than callers at the same moment, whether these are threads, greenlets or tasks, and none
is left behind by a thread that ends.

A child process must not use a connection of its parent, nor one of its own that it opens while it
has the parent's: SQLite keeps its locks in the memory that the fork copied, and takes those of the
parent for its own ("How To Corrupt An SQLite Database File", 2.6). So all connections are closed
before a fork, and both sides open new ones. Only a fork that Python is not told of, as that of a
server written in C, leaves the child with copies; it notices by the process ID and lets them lie.
Such a server should fork before it uses a store; to make one leaves no connection open.

A file that was removed or replaced under an open connection stays in use until somebody looks: each
connection does, with one `lstat`, when it is first used again after a second.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from typing import Final, TypeVar, TypeVarTuple

from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store.sqlite import files, schema
from coatcheck.store.sqlite.connection import Busy, Cursor, Step, connect, meaning, persist
from coatcheck.store.sqlite.founding import found

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CHECK_INTERVAL: Final = 1.0
"""Seconds for which a connection trusts that the file is still the one that it has open."""
FORK_PATIENCE: Final = 30.0
"""Seconds that a fork waits for what other threads have under way: a copy of it would hold locks
in the child that nobody ever lets go."""


class Database:
    """The connections to one database file.

    Args:
        path: the file; made if it is not there.
        clock: the source of time.
        timeout: seconds to wait for a lock.
        full: whether each commit is on the disk when it returns (`synchronous=FULL`).
        checkpoints: whether a commit may move the write-ahead log into the database.

    Raises:
        ConfigurationError: for a file that cannot be used; it was not changed.
        StoreError: for one that stays locked, or on which an input or output fails.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        timeout: float,
        full: bool,
        checkpoints: bool,
    ) -> None:
        self.path = files.absolute_path(path)
        self.clock = clock
        self.timeout = timeout
        # No larger cache, no `mmap_size`. Beside a million sessions a read takes as long with them,
        # for what grows is the way to memory (docs/explanation/scale.md). A commit of any other
        # connection empties the cache, which takes the longer the larger it ever was; and a mapped
        # page that the disk cannot read ends the process with SIGBUS, not the call with an error.
        self._settings = [
            f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}",
            # Functions that a planted schema names are not to be run.
            "PRAGMA trusted_schema = OFF",
        ]
        if not checkpoints:
            self._settings.append("PRAGMA wal_autocheckpoint = 0")
        self._closed = False
        self._idle: list[Cursor] | _Closing = []
        self._cursors: set[Cursor] = set()
        self._connecting = threading.Lock()
        self._process = os.getpid()
        with _founding:
            found(self.path, self._settings, timeout)
        _databases.add(self)

    def __del__(self) -> None:
        """Close what nobody closed, in the process that opened it."""
        if "_process" not in vars(self):
            return
        if os.getpid() != self._process:
            self.after_fork_in_child()
        for cursor in self._cursors:
            cursor.connection.close()

    def attempt(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Run a step on a connection; raises `Busy` where it needs a lock that another one has."""
        now = self.clock()
        if os.getpid() != self._process:
            self.after_fork_in_child()
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self._connect(now)
        if not cursor.checked_at <= now < cursor.checked_at + CHECK_INTERVAL:
            cursor = self._check(cursor, now)
        try:
            result = step(cursor, now, *arguments)
        except sqlite3.Error as error:
            raise self._settle(cursor, error) from error
        except BaseException:
            self.discard(cursor)
            raise
        self._idle.append(cursor)
        return result

    def run(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Run a step, and wait where another connection has the lock that it needs.

        Raises `StoreError` if it has it for longer than `timeout`.
        """
        try:
            return self.attempt(step, *arguments)
        except Busy:
            return persist(lambda: self.attempt(step, *arguments), self.path, self.timeout)

    def _settle(self, cursor: Cursor, error: sqlite3.Error) -> Exception:
        """Keep the connection, or put it away; return what the error means for the caller."""
        reason = meaning(error, self.path)
        if isinstance(reason, Busy) and not cursor.connection.in_transaction:
            self._idle.append(cursor)
        else:
            self.discard(cursor)
        return reason

    def discard(self, cursor: Cursor) -> None:
        """Close the connection; a transaction that it has open is rolled back."""
        cursor.connection.close()
        # Not before: a fork goes ahead when there are none left.
        self._cursors.discard(cursor)

    def _check(self, cursor: Cursor, now: float) -> Cursor:
        """Return the cursor if its file still has the name, else one of the file that has it."""
        try:
            inode = self._look()
        except StoreError:
            self.discard(cursor)
            raise
        if inode != cursor.inode:
            self.discard(cursor)
            return self._connect(now)
        cursor.checked_at = now
        return cursor

    def _look(self) -> files.Inode:
        try:
            return files.inode(files.look_at(self.path))
        except OSError as error:
            raise StoreError(
                f"the database {self.path!r} has vanished ({error.strerror}): put it back, or"
                " start the program again for a new one"
            ) from error
        except ConfigurationError as error:
            raise StoreError(f"the database cannot be used any more: {error}") from error

    def _connect(self, now: float) -> Cursor:
        """Open another connection, and make sure that it is one to a database of ours."""
        with self._connecting:
            if self._closed:
                raise StoreError(f"the store of {self.path!r} is closed")
            inode, cursor = self._look(), None
            try:
                cursor = connect(self.path, "rw", self._settings)
                schema.check_header(cursor, self.path)
                # Now the files beside it are there too. Nobody else may have put them there.
                files.check_private(self.path)
                if self._look() != inode:
                    # Another file came between: which of the two is open, nobody knows.
                    raise Busy
            except BaseException as error:
                if cursor is not None:
                    cursor.connection.close()
                if isinstance(error, sqlite3.Error):
                    raise meaning(error, self.path) from error
                if isinstance(error, ConfigurationError):
                    raise StoreError(f"the database cannot be used any more: {error}") from error
                raise
            cursor.inode = inode
            cursor.checked_at = now
            self._cursors.add(cursor)
            return cursor

    def close(self) -> None:
        """Close all connections: those in use as soon as they are given back."""
        self._closed = True
        idle, self._idle = self._idle, _Closing(self)
        self._drain(idle)

    def _drain(self, idle: list[Cursor] | _Closing) -> None:
        while True:
            try:
                self.discard(idle.pop())
            except IndexError:
                return

    def before_fork(self) -> None:
        """Close all connections, and let nobody open one until the fork is over."""
        self._connecting.acquire()
        idle, self._idle = self._idle, _Closing(self)
        deadline = time.monotonic() + FORK_PATIENCE
        self._drain(idle)
        while self._cursors and time.monotonic() < deadline:
            time.sleep(0.0005)
            self._drain(idle)

    def after_fork(self) -> None:
        """Let connections be opened again, in the parent."""
        if not self._closed:
            self._idle = []
        self._connecting.release()

    def after_fork_in_child(self) -> None:
        """Let connections be opened again, in the child; leave the parent's as they are."""
        self._process = os.getpid()
        self._connecting = threading.Lock()
        if self._cursors:
            _abandoned.append(self._cursors)
        self._cursors = set()
        if not self._closed:
            self._idle = []


class _Closing:
    """Stands in for the idle connections while there are to be none: closes what is given back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pop(self) -> Cursor:
        raise IndexError

    def append(self, cursor: Cursor) -> None:
        self._database.discard(cursor)


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_founding = threading.Lock()
"""Held while a new file is closed, which would drop any lock of this process on it."""
_abandoned: list[set[Cursor]] = []
"""Connections of a parent process: to close one, or to let it be collected, could harm it."""
_forking: list[Database] = []


def _before_fork() -> None:
    # Also so that one thread forks at a time: `_forking` is that one's.
    _founding.acquire()
    _forking[:] = _databases
    for database in _forking:
        database.before_fork()


def _after_fork() -> None:
    for database in _forking:
        database.after_fork()
    _forking.clear()
    _founding.release()


def _after_fork_in_child() -> None:
    for database in _forking:
        database.after_fork_in_child()
    _forking.clear()
    _founding.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )
