"""Async stores that break one rule each."""

from __future__ import annotations

import anyio.lowlevel

from coatcheck.drivers import Blocking
from coatcheck.store.protocol import Conflict, Gone, Stored, Updated, UpdateOutcome
from tests.stores.reference import Record, ReferenceStore


class AwaitedStore(Blocking):
    """The reference store as an async one, correct as long as it does not suspend."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        self.reference = store


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
