"""The SQL store for programs with an event loop of asyncio's.

What it does is written once, in `steps`, and called in a greenlet, which SQLAlchemy suspends where
a driver waits. What writes runs to its end in a task of its own, for at most `timeout`: a caller
that is cancelled in the middle of it neither loses a connection nor leaves behind a write of which
nobody knows whether it took place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from coatcheck import checks
from coatcheck import drivers as loops
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.sql import drivers, places, steps, upkeep
from coatcheck.store.sql.database import Database
from coatcheck.store.sql.engines import LoopEngines
from coatcheck.store.sql.tables import PREFIX, encode_user, tables_of
from coatcheck.store.sql.work import Step

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PURGE_TIMEOUT = 600.0
"""Seconds that all the steps of a purge may take together."""


class AsyncSQLStore:
    """Sessions in PostgreSQL, MariaDB, MySQL or SQLite, awaited, under asyncio.

    Args:
        database: a URL, `postgresql://` (psycopg), `mysql://`, `mariadb://` (asyncmy) or
            `sqlite:///` (aiosqlite), of which each event loop gets an engine of its own; or an
            `AsyncEngine`, for one event loop.

    For the other arguments see `SQLStore`.
    """

    def __init__(
        self,
        database: str | URL | AsyncEngine,
        *,
        create_tables: bool = False,
        prefix: str = PREFIX,
        schema: str | None = None,
        timeout: float = 3.0,
        pool_size: int = 16,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self._timeout = timeout = checks.seconds("timeout", timeout)
        pool_size = checks.count("pool_size", pool_size)
        self._lent = isinstance(database, AsyncEngine)
        if isinstance(database, AsyncEngine):
            url, engine = database.url, database
            self._engines = LoopEngines(lambda: engine, own=False)
        else:
            url = drivers.parse(database, is_async=True)
            self._engines = LoopEngines(
                lambda: drivers.make_async_engine(url, timeout=timeout, pool_size=pool_size),
                own=True,
            )
        self._database = Database(
            self._engines,
            tables_of(prefix, schema),
            clock=clock,
            timeout=timeout,
            create_tables=checks.flag("create_tables", create_tables),
            name=places.name(url),
        )
        self.location = places.location(url, schema, prefix)

    def __repr__(self) -> str:
        return f"<AsyncSQLStore {self._database.name!r} namespace={self.namespace!r}>"

    async def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`."""
        check_key(key)
        return await self._read(steps.get, self.namespace, key)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        check_key(key)
        check_deadline(expires_at)
        user = None if user_id is None else encode_user(user_id)
        return await self._run(steps.create, self.namespace, key, bytes(payload), expires_at, user)

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        check_key(key)
        check_deadline(expires_at)
        return await self._run(
            steps.update, self.namespace, key, bytes(payload), version, expires_at
        )

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_key(key)
        check_deadline(expires_at)
        return await self._run(steps.touch, self.namespace, key, version, expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        check_key(key)
        user = None if user_id is None else encode_user(user_id)
        return await self._run(steps.delete, self.namespace, key, user)

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return await self._read(steps.entries, self.namespace, encode_user(user_id))

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
        user = encode_user(user_id)
        return await self._run(steps.admit, self.namespace, user, key, limit, evict, replaces)

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        check_key(key)
        return await self._run(steps.confirm, self.namespace, encode_user(user_id), key, epoch)

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return await self._run(steps.revoke, self.namespace, encode_user(user_id), keep)

    async def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        check_key(key)
        await self._run(steps.forget, self.namespace, encode_user(user_id), key)

    async def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries."""
        run = self._database.run
        return await self._finish(PURGE_TIMEOUT, upkeep.purge, run, self.namespace, limit)

    async def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return await self._run(upkeep.claim_purge, self.namespace, interval)

    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        checks.count("count", count)
        after = "" if cursor is None else check_key(cursor)
        return await self._read(upkeep.scan, self.namespace, after, count)

    async def create_tables(self) -> None:
        """Make what is missing of the tables."""
        await self._finish(self._timeout, self._database.create_tables)

    async def aclose(self) -> None:
        """Close this event loop's connections; a call after it opens others.

        Each event loop that has used the store is to do so before it ends. An engine that was
        handed in is left as it is.
        """
        await self._engines.close()

    async def _read(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Run a step that changes nothing; cancelled, it costs its connection and nothing else.

        A lent engine's connection is set up before each use and reset after it. Cancelled in these,
        SQLAlchemy would keep it from the application's pool until it is collected as garbage.
        """
        if self._lent:
            return await self._run(step, *arguments)
        _check_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await greenlet_spawn(self._database.run, step, *arguments)
        except TimeoutError as error:
            raise self._late(self._timeout) from error

    async def _run(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Run a step."""
        return await self._finish(self._timeout, self._database.run, step, *arguments)

    async def _finish(self, seconds: float, work: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
        """Do the work in a task of its own, which a cancelled caller waits for."""
        _check_loop()
        task = asyncio.get_running_loop().create_task(greenlet_spawn(work, *arguments))
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except TimeoutError as error:
            task.cancel()
            await _settled(task)
            raise self._late(seconds) from error
        except asyncio.CancelledError:
            await loops.shield(_settled(task), seconds=seconds)
            raise

    def _late(self, seconds: float) -> StoreError:
        name = self._database.name
        return StoreError(f"the database {name} failed: no answer within {seconds:g} s")


async def _settled(task: asyncio.Task[Any]) -> None:
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # else asyncio tells that nobody asked for it


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "an AsyncSQLStore needs asyncio: under trio use a SQLStore, which is called in threads"
        ) from None
