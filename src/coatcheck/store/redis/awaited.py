"""The Redis store for programs on asyncio."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias, Unpack

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import CorruptRecord
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.redis import records
from coatcheck.store.redis.keys import Names, time_to_live
from coatcheck.store.redis.opening import Extras, open_async_link
from coatcheck.store.redis.recent import Recent, swapped
from coatcheck.store.redis.replicas import AsyncWaitingLink, check_replicas
from coatcheck.store.redis.scripts import UPDATE
from coatcheck.store.redis.steps import Steps, outcome, update_arguments
from coatcheck.store.redis.stream import StreamLink
from coatcheck.store.redis.trouble import NotAString, NotUnderstood

if TYPE_CHECKING:
    import redis.asyncio

    Client: TypeAlias = (
        redis.asyncio.Redis | redis.asyncio.RedisCluster | redis.asyncio.ConnectionPool
    )


class AsyncRedisStore:
    """Sessions in Redis or Valkey, awaited; for the arguments see `RedisStore`.

    A client that is handed in is one of `redis.asyncio`, and belongs to the event loop that uses
    it. A store that is given a URL works on any number of event loops, with a connection for each.
    It needs asyncio: under trio give a `RedisStore`.
    """

    def __init__(
        self,
        server: str | Client,
        *,
        timeout: float | None = None,
        wait_replicas: int = 0,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
        **extras: Unpack[Extras],
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self._link, self.location = open_async_link(server, timeout, extras)
        if check_replicas(self._link, wait_replicas):
            shares = isinstance(self._link, StreamLink)
            writes = open_async_link(server, timeout, extras)[0] if shares else None
            self._link = AsyncWaitingLink(self._link, wait_replicas, writes)
        names = Names(self.namespace)
        self._sessions = names.sessions
        self._recent = Recent(usable=self._link.verbatim)
        self._read, self._call, self._run = self._link.read, self._link.call, self._link.run
        self._steps = Steps(self._link, names, self._now)

    def _now(self) -> float:
        return self.clock()

    def __repr__(self) -> str:
        return f"<AsyncRedisStore {self._link.where!r} namespace={self.namespace!r}>"

    async def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` for what is none of ours."""
        name = self._sessions + check_key(key).encode()
        try:
            value = await self._read("GET", name)
        except NotAString as error:
            raise CorruptRecord(str(error)) from error
        record = records.live(value, self.clock())
        if record is not None:
            self._recent.keep(name, value)
        return record

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        name = self._sessions + check_key(key).encode()
        check_deadline(expires_at)
        if user_id is not None or expires_at is None:
            return await self._steps.create(key, payload, expires_at, user_id)
        life, token = time_to_live(expires_at, self.clock()), records.new_token()
        value = records.first(payload, expires_at, None, token)
        if await self._call("SET", name, value, "NX", "PX", life) is not None:
            return True
        return await self._steps.take(key, value, life, None, token)

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        name = self._sessions + check_key(key).encode()
        check_deadline(expires_at)
        now = self.clock()
        swap = self._recent.swap(name, payload, version, expires_at, now)
        if swap is not None:
            try:
                done = swapped(swap, await self._call(*swap), version, now)
            except NotUnderstood:
                self._recent.refused()
            else:
                if done is not None:
                    return done
        arguments = update_arguments(payload, version, expires_at, now)
        reply = await self._run(UPDATE, name, *arguments)
        if isinstance(reply, list):
            return await self._steps.update(key, payload, version, expires_at)
        return outcome(reply, version)

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        self._recent.forget(self._sessions + check_key(key).encode())
        check_deadline(expires_at)
        return await self._steps.touch(key, version, expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        self._recent.forget(self._sessions + check_key(key).encode())
        return await self._steps.delete(key, user_id)

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return await self._steps.entries(user_id)

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
        return await self._steps.admit(user_id, key, limit, evict, replaces)

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        return await self._steps.confirm(user_id, check_key(key), epoch)

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return await self._steps.revoke(user_id, keep)

    async def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        await self._steps.forget(user_id, check_key(key))

    async def purge(self, limit: int = 1000, /) -> int:
        """Remove index entries without a record; the server removes expired records by itself."""
        checks.count("limit", limit)
        return await self._steps.purge()

    async def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return await self._steps.claim_purge(interval)

    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        return await self._steps.scan(cursor, checks.count("count", count))

    async def aclose(self) -> None:
        """Close the connections of a store that was given a URL."""
        await self._link.aclose()
