"""Async stores that suspend in the wrong place, each where one case looks and no other.

Each of them keeps the other rules: what it finds changed after it was suspended it treats well, but
for one thing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.lowlevel

from coatcheck.store.protocol import (
    Admission,
    Admitted,
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
)
from tests.stores.broken.awaited import AwaitedStore, LateUpdate
from tests.stores.reference import Record, ReferenceStore

TORN: dict[type[AwaitedStore], str] = {LateUpdate: "test_50_cancelled_update"}
"""Each store and the one case that must fail for it."""
TURNS = 30
"""How often an impatient store looks whether a lock is free: longer than tasks that go on together
hold it, shorter than a case holds an operation up at a point."""

S = TypeVar("S", bound=type[AwaitedStore])


def caught_only_by(case: str) -> Callable[[S], S]:
    """Enter a store and the one case that must fail for it."""

    def enter(store: S) -> S:
        TORN[store] = case
        return store

    return enter


class LockedStore(AwaitedStore):
    """Has a lock that suspended verbs can hold."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        self.turn: anyio.Lock = store.backend.__dict__.setdefault("turn", anyio.Lock())

    def current(self, key: str) -> Stored | None:
        """Return the live record under the key."""
        record = self.reference.live(key)
        return record.stored if record else None

    def absent(self, key: str) -> bool:
        """Say whether nothing is under the key, not even what has expired."""
        return self.reference.place(key) not in self.reference.backend.records

    def write(self, key: str, version: int, payload: bytes, expires_at: float | None) -> None:
        """Write a record, whatever is there."""
        stored = Stored(version, expires_at, bytes(payload))
        before = self.reference.backend.records.get(self.reference.place(key))
        self.reference.put(key, Record(stored, before.user_id if before else None))

    @asynccontextmanager
    async def impatiently(self) -> AsyncGenerator[None]:
        """Wait for the lock, but not for long, and go on without it."""
        mine = False
        for _ in range(TURNS):
            try:
                self.turn.acquire_nowait()
            except anyio.WouldBlock:
                await anyio.lowlevel.checkpoint()
            else:
                mine = True
                break
        try:
            yield
        finally:
            if mine:
                self.turn.release()


@caught_only_by("test_23_an_update_inside_an_update")
class ImpatientUpdate(LockedStore):
    """`update` compares and sets under a lock for which it does not wait long."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        async with self.impatiently():
            stored = self.current(key)
            if stored is not None and stored.version != version:
                return Conflict(stored)
            await anyio.lowlevel.checkpoint()
            if self.current(key) is None:
                return Gone()
            self.write(key, version + 1, payload, expires_at)
            return Updated(version + 1)


@caught_only_by("test_24_a_create_inside_a_create")
class ImpatientCreate(LockedStore):
    """`create` looks and inserts under a lock for which it does not wait long."""

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        async with self.impatiently():
            if self.current(key) is not None:
                return False
            await anyio.lowlevel.checkpoint()
            stored = Stored(1, expires_at, bytes(payload))
            self.reference.put(key, Record(stored, user_id))
            return True


@caught_only_by("test_30_a_delete_inside_an_update")
class RaisingUpdate(LockedStore):
    """`update` brings back what was deleted while it was suspended."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        stored = self.current(key)
        if stored is not None and stored.version == version:
            await anyio.lowlevel.checkpoint()
            if self.absent(key):
                self.write(key, version + 1, payload, expires_at)
                return Updated(version + 1)
        return await super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_30_a_delete_inside_a_touch")
class RaisingTouch(LockedStore):
    """`touch` brings back what was deleted while it was suspended."""

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        stored = self.current(key)
        if stored is not None and stored.version == version:
            await anyio.lowlevel.checkpoint()
            if self.absent(key):
                self.write(key, version, stored.payload, expires_at)
                return True
        return await super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_30_an_update_inside_a_touch")
class TouchWritesTheRecord(LockedStore):
    """`touch` writes back what it read, over what was updated while it was suspended."""

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        stored = self.current(key)
        if stored is not None and stored.version == version:
            await anyio.lowlevel.checkpoint()
            now = self.current(key)
            if now is not None and now.version != version:
                self.write(key, version, stored.payload, expires_at)
                return True
        return await super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_30_one_of_two_deletes")
class DeleteReturnsWhatItSaw(LockedStore):
    """`delete` returns what stood before it was suspended."""

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        seen = self.current(key)
        await anyio.lowlevel.checkpoint()
        await super().delete(key, user_id=user_id)
        return seen


@caught_only_by("test_30_a_write_inside_a_get")
class GetInTwoSteps(LockedStore):
    """`get` reads the version, is suspended, and reads the rest."""

    async def get(self, key: str, /) -> Stored | None:
        first = self.current(key)
        await anyio.lowlevel.checkpoint()
        rest = self.current(key)
        return rest._replace(version=first.version) if first and rest else rest


@caught_only_by("test_30_a_get_is_whole")
class UpdateInTwoSteps(LockedStore):
    """`update` writes the version first; other writes have to wait, and `get` does not."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome: UpdateOutcome = Gone()
        with anyio.CancelScope(shield=True):
            async with self.turn:
                stored = self.current(key)
                if stored is not None and stored.version == version:
                    self.write(key, version + 1, stored.payload, None)
                    await anyio.lowlevel.checkpoint()
                    self.write(key, version, stored.payload, expires_at)
                outcome = await super().update(key, payload, version=version, expires_at=expires_at)
        return outcome

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        async with self.turn:
            return await super().touch(key, version=version, expires_at=expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        async with self.turn:
            return await super().delete(key, user_id=user_id)


@caught_only_by("test_31_expiry_inside_an_update")
class DyingUpdate(LockedStore):
    """`update` says `Updated` of what has expired while it was suspended."""

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        stored = self.current(key)
        if stored is not None and stored.version == version:
            await anyio.lowlevel.checkpoint()
            if self.current(key) is None and not self.absent(key):
                return Updated(version + 1)
        return await super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_16_a_rescue_inside_a_purge")
class PurgesTheRescued(LockedStore):
    """`purge` lists, is suspended, and removes what it has listed."""

    async def purge(self, limit: int = 1000, /) -> int:
        keys = self.reference.garbage()[:limit]
        await anyio.lowlevel.checkpoint()
        for key in keys:
            self.reference.delete(key)
        self.reference.sweep()
        return len(keys)


@caught_only_by("test_56_an_admission_inside_an_admission")
class ImpatientAdmit(LockedStore):
    """`admit` counts and enters under a lock for which it does not wait long."""

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
        async with self.impatiently():
            counted = self.reference.counted(self.reference.user(user_id), replaces)
            room = limit is None or len(counted) < limit
            await anyio.lowlevel.checkpoint()
            return await super().admit(
                user_id, key, limit=None if room else limit, evict=evict, replaces=replaces
            )


@caught_only_by("test_56_a_forgetting_inside_an_admission")
class AdmitRemembers(LockedStore):
    """`admit` writes back the entries that stood before it was suspended."""

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
        user = self.reference.user(user_id)
        entries = dict(user.entries)
        await anyio.lowlevel.checkpoint()
        admission = await super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        user.entries = {**entries, **user.entries}
        return admission


@caught_only_by("test_56_a_revocation_inside_an_admission")
class AdmitReadsTheEpochLast(LockedStore):
    """`admit` enters the key, is suspended, and looks at the epoch."""

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
        admission = await super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        await anyio.lowlevel.checkpoint()
        if not isinstance(admission, Admitted):
            return admission
        return Admitted(self.reference.user(user_id).epoch, admission.evicted)


@caught_only_by("test_56_a_revocation_inside_a_confirmation")
class ConfirmTakesTheEntryOut(LockedStore):
    """`confirm` takes the entry out, is suspended, and puts it back."""

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        user = self.reference.user(user_id)
        entry = user.entries.pop(key, None)
        await anyio.lowlevel.checkpoint()
        if entry is not None:
            user.entries[key] = entry
        return await super().confirm(user_id, key, epoch)


@caught_only_by("test_32_parallel_histories")
class CreateInTwoSteps(LockedStore):
    """`create` inserts, is suspended, and inserts again, over whatever came in between."""

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        created = await super().create(key, payload, expires_at=expires_at, user_id=user_id)
        if created:
            await anyio.lowlevel.checkpoint()
            stored = Stored(1, expires_at, bytes(payload))
            self.reference.put(key, Record(stored, user_id))
        return created
