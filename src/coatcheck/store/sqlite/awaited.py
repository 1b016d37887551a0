"""The SQLite store for programs with an event loop, asyncio's or trio's.

A read takes some microseconds, less than a hop to a thread and back, and a writer never blocks it;
so reads run where they stand. So do writes, which do not wait for the disk; where another process
has the lock, the task sleeps and the loop goes on. What does wait for the disk runs in a thread:
moving the write-ahead log into the database, purging, and with `durability="full"` every write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from typing import Final, TypeVar, TypeVarTuple

from coatcheck import checks, drivers
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.events import logger
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.sqlite import steps, upkeep
from coatcheck.store.sqlite.blocking import Durability
from coatcheck.store.sqlite.connection import Busy, Damaged, Step, delays, locked
from coatcheck.store.sqlite.database import Database

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

READ_PATIENCE: Final = 0.002
"""Seconds for which a read may hold up the loop.

No writer blocks a read. What may is another process that opens or closes the database as the first
or the last one to have it open.
"""
LOG_BYTES: Final = 4 * 1024 * 1024
"""How much is written before the log is moved into the database."""
ROW_BYTES: Final = 2 * 4096
"""What a write puts into the log besides its payload: pages are written as a whole."""


class AsyncSQLiteStore:
    """Sessions in a SQLite database, awaited; for the arguments see `SQLiteStore`.

    Several of these and several `SQLiteStore`s, in any number of processes, may share one file.
    """

    get_never_suspends: Final = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "normal",
        timeout: float = 3.0,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self._full = checks.choice("durability", durability, ("normal", "full")) == "full"
        self._purge = upkeep.Purge()
        self._database = Database(
            path,
            clock=clock,
            timeout=checks.seconds("timeout", timeout, zero=True),
            full=self._full,
            checkpoints=self._full,
        )
        self.location = f"sqlite:{os.path.realpath(path)}"
        self._written = 0

    def __repr__(self) -> str:
        return f"<AsyncSQLiteStore {self._database.path!r} namespace={self.namespace!r}>"

    async def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`, without ever suspending.

        Raises `StoreError` where the database is locked, and `CorruptRecord` where it is damaged.
        """
        check_key(key)
        try:
            return self._read(steps.get, self.namespace, key)
        except Damaged as error:
            raise CorruptRecord(str(error)) from error

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        check_key(key)
        check_deadline(expires_at)
        return await self._write(
            len(payload), steps.create, self.namespace, key, payload, expires_at, user_id
        )

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        check_key(key)
        check_deadline(expires_at)
        return await self._write(
            len(payload), steps.update, self.namespace, key, payload, version, expires_at
        )

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_key(key)
        check_deadline(expires_at)
        return await self._write(0, steps.touch, self.namespace, key, version, expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        check_key(key)
        return await self._write(0, steps.delete, self.namespace, key, user_id)

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return self._read(steps.entries, self.namespace, user_id)

    async def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """Enter `key`, before its record is created; see `UserIndex.admit`."""
        check_key(key)
        if replaces is not None:
            check_key(replaces)
        return await self._write(
            0, steps.admit, self.namespace, user_id, key, limit, evict, replaces
        )

    async def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        """Admit, create and confirm in one transaction; see `Enrols.enrol`."""
        check_key(key)
        check_deadline(expires_at)
        return await self._write(
            len(payload),
            steps.enrol,
            self.namespace,
            user_id,
            key,
            payload,
            expires_at,
            limit,
            evict,
        )

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        check_key(key)
        return await self._write(0, steps.confirm, self.namespace, user_id, key, epoch)

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return await self._write(0, steps.revoke, self.namespace, user_id, keep)

    async def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        check_key(key)
        await self._write(0, steps.forget, self.namespace, user_id, key)

    async def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries."""
        removed = await drivers.in_thread(self._purge, self._database.run, self.namespace, limit)
        self._written += removed * ROW_BYTES
        return removed

    async def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return await self._write(0, upkeep.claim_purge, self.namespace, interval)

    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        checks.count("count", count)
        after = "" if cursor is None else check_key(cursor)
        return await drivers.in_thread(
            self._database.run, upkeep.scan, self.namespace, after, count
        )

    async def aclose(self) -> None:
        """Close all connections; whatever is called afterwards raises `StoreError`."""
        # The last one to close moves the log into the database.
        await drivers.in_thread(self._database.close)

    def _read(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        try:
            return self._database.attempt(step, *arguments)
        except Busy:
            pass
        for delay in delays(READ_PATIENCE):
            time.sleep(delay)
            try:
                return self._database.attempt(step, *arguments)
            except Busy:
                continue
        raise StoreError("the database is locked, and a read holds up no event loop to wait for it")

    async def _write(self, size: int, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        if self._full:
            return await drivers.in_thread(lambda: self._database.run(step, *arguments))
        try:
            result = self._database.attempt(step, *arguments)
        except Busy:
            result = await self._persist(step, *arguments)
        self._written += size + ROW_BYTES
        if self._written > LOG_BYTES:
            await self._move_log()
        return result

    async def _persist(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Try until the lock is free; nothing is held while the task sleeps or is cancelled."""
        for delay in delays(self._database.timeout):
            await drivers.pause(delay)
            try:
                return self._database.attempt(step, *arguments)
            except Busy:
                continue
        raise locked(self._database.path, self._database.timeout)

    async def _move_log(self) -> None:
        self._written = 0
        try:
            await drivers.in_thread(self._database.run, upkeep.move_log)
            await drivers.in_thread(self._database.run, upkeep.begin_log, self.namespace)
        except StoreError as error:
            # What was to be saved is saved. The log goes on growing until the next try.
            logger.warning("the log of a SQLite store was not moved: %s", error)
