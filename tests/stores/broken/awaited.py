"""Async stores that break one rule each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import anyio.lowlevel

from coatcheck.drivers import Blocking
from coatcheck.store.protocol import (
    Admission,
    Conflict,
    Gone,
    IndexEntry,
    Stored,
    Updated,
    UpdateOutcome,
)
from tests.stores.reference import Record, ReferenceStore


class AwaitedStore(Blocking):
    """The reference store as an async one, correct as long as it does not suspend."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        self.reference = store

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        return self.reference.entries(user_id)

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
        return self.reference.admit(user_id, key, limit=limit, evict=evict, replaces=replaces)

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
        return self.reference.enrol(
            user_id, key, payload, expires_at=expires_at, limit=limit, evict=evict
        )

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        return self.reference.confirm(user_id, key, epoch)

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        return self.reference.revoke(user_id, keep=keep)

    async def forget(self, user_id: str, key: str, /) -> None:
        self.reference.forget(user_id, key)

    async def purge(self, limit: int = 1000, /) -> int:
        return self.reference.purge(limit)

    async def claim_purge(self, interval: float, /) -> bool:
        return self.reference.claim_purge(interval)

    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        return self.reference.scan(cursor, count=count)

    def close(self) -> None:
        """Close the store within, if it can be closed."""
        getattr(self.reference, "close", lambda: None)()


class SuspendingUpdate(AwaitedStore):
    """`update` suspends between comparing and setting."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.reference.live(key)
        if record is None:
            return Gone()
        stored = record.stored
        if stored.version != version:
            return Conflict(stored)
        await anyio.lowlevel.checkpoint()
        self.reference.put(key, Record(Stored(version + 1, expires_at, payload), record.user_id))
        return Updated(version + 1)


class SuspendingCreate(AwaitedStore):
    """`create` suspends between looking and inserting."""

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        if self.reference.live(key):
            return False
        await anyio.lowlevel.checkpoint()
        self.reference.put(key, Record(Stored(1, expires_at, payload), user_id))
        return True


class HalfAnUpdate(AwaitedStore):
    """`update` writes in two steps, and a cancellation in between leaves one of them."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.reference.live(key)
        if record is None or record.stored.version != version:
            return await super().update(key, payload, version=version, expires_at=expires_at)
        record.stored = record.stored._replace(version=version + 1)
        await anyio.lowlevel.checkpoint()
        record.stored = record.stored._replace(payload=payload, expires_at=expires_at)
        return Updated(version + 1)


class LateUpdate(AwaitedStore):
    """`update` hands the work to somebody who does it also where the caller was cancelled."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        self.late: list[tuple[str, Record]] = []

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException:
            self.late.append((key, Record(Stored(version + 1, expires_at, payload), None)))
            raise
        return await super().update(key, payload, version=version, expires_at=expires_at)

    async def get(self, key: str, /) -> Stored | None:
        found = await super().get(key)
        while self.late:
            self.reference.put(*self.late.pop())
        return found


BROKEN_AWAITED: dict[type[AwaitedStore], tuple[str, ...]] = {
    SuspendingUpdate: (
        "test_23_an_update_inside_an_update",
        "test_23_one_winner_of_many_updates",
        "test_21_no_increment_is_lost",
        "test_30_a_delete_inside_an_update",
        "test_32_parallel_histories",
    ),
    SuspendingCreate: (
        "test_24_a_create_inside_a_create",
        "test_24_one_winner_of_many_creates",
    ),
    HalfAnUpdate: ("test_50_cancelled_update", "test_30_a_get_is_whole"),
    LateUpdate: ("test_50_cancelled_update",),
}
"""Each broken store and the cases that must fail for it, every one of them."""
