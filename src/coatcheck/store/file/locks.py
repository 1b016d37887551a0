"""Locks between processes and threads: `flock` on a file that is opened for each use.

Each use has an open file description of its own, which is what `flock` counts, so that threads and
forked processes shut one another out as strangers do. The system drops the lock when its holder
ends, however that ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType

from coatcheck.errors import ConfigurationError, StoreError

FIRST_PAUSE = 0.0001
LONGEST_PAUSE = 0.005


class Locks:
    """Takes and drops locks on open files, waiting for at most `timeout` seconds.

    Raises `ConfigurationError` on a system without `flock`.
    """

    __slots__ = ("_exclusive", "_flock", "_timeout", "_unlock")

    def __init__(self, timeout: float) -> None:
        try:
            # Here, so that this module can be imported on Windows, which has no such module.
            import fcntl
        except ImportError as error:
            raise ConfigurationError(
                "FileStore needs flock, which this system lacks: use SQLiteStore, which works here"
            ) from error
        self._timeout = timeout
        self._flock = fcntl.flock
        self._exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
        self._unlock = fcntl.LOCK_UN

    def take(self, open_file: Callable[[str], int], shard: str, folder: str) -> int:
        """Open the lock file of a shard and lock it; return its descriptor.

        Raises `StoreError` if the lock is not free in time, which names the shard and its folder.
        """
        end = 0.0
        while True:
            descriptor = open_file(shard)
            try:
                try:
                    self._flock(descriptor, self._exclusive)
                except BlockingIOError:
                    end = end or time.monotonic() + self._timeout
                    self._wait(descriptor, end, f"{folder}/{shard}")
                if os.fstat(descriptor).st_nlink:
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            # Somebody tidied up the lock file meanwhile, and others lock a new one by now.
            os.close(descriptor)

    def _wait(self, descriptor: int, end: float, name: str) -> None:
        pause = FIRST_PAUSE
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                self._flock(descriptor, self._exclusive)
            except BlockingIOError:
                continue
            return
        raise StoreError(
            f"{name} was locked for {self._timeout:g} s: another process holds it, or its disk does"
            " not answer"
        )

    def drop(self, descriptor: int) -> None:
        """Unlock and close."""
        try:
            # Closing would not do: a process that was forked meanwhile has a copy.
            self._flock(descriptor, self._unlock)
        finally:
            os.close(descriptor)


class Held:
    """A lock for a `with` statement."""

    __slots__ = ("_descriptor", "_folder", "_locks", "_open", "_shard")

    def __init__(
        self, locks: Locks, open_file: Callable[[str], int], shard: str, folder: str
    ) -> None:
        self._locks = locks
        self._open = open_file
        self._shard = shard
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = self._locks.take(self._open, self._shard, self._folder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._locks.drop(self._descriptor)
