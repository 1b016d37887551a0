"""Async stores that are suspended in the wrong place of an enrolment."""

from __future__ import annotations

import anyio.lowlevel

from coatcheck.store.protocol import Admission, Admitted, Stored
from tests.stores.broken.torn import LockedStore, caught_only_by
from tests.stores.reference import Record


@caught_only_by("test_59_an_enrolment_inside_an_enrolment")
class ImpatientEnrol(LockedStore):
    """`enrol` counts and enters under a lock for which it does not wait long."""

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
        async with self.impatiently():
            counted = self.reference.counted(self.reference.user(user_id), None)
            room = limit is None or len(counted) < limit
            await anyio.lowlevel.checkpoint()
            return await super().enrol(
                user_id,
                key,
                payload,
                expires_at=expires_at,
                limit=None if room else limit,
                evict=evict,
            )


@caught_only_by("test_59_two_for_one_key")
class EnrolsOverAnother(LockedStore):
    """`enrol` finds the key free, is suspended, and writes over what came in between."""

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
        free = self.current(key) is None
        await anyio.lowlevel.checkpoint()
        admission = await super().enrol(
            user_id, key, payload, expires_at=expires_at, limit=limit, evict=evict
        )
        if free and admission is None:
            self.reference.put(key, Record(Stored(1, expires_at, payload), user_id))
            return await self.admit(user_id, key, limit=limit, evict=evict)
        return admission


@caught_only_by("test_59_a_revocation_inside_an_enrolment")
class EnrolReadsTheEpochFirst(LockedStore):
    """`enrol` looks at the epoch, is suspended, and enrols."""

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
        epoch = self.reference.user(user_id).epoch
        await anyio.lowlevel.checkpoint()
        admission = await super().enrol(
            user_id, key, payload, expires_at=expires_at, limit=limit, evict=evict
        )
        return admission._replace(epoch=epoch) if isinstance(admission, Admitted) else admission


@caught_only_by("test_59_a_look_inside_an_enrolment")
class EnrolShowsTheRecordFirst(LockedStore):
    """`enrol` writes the record, is suspended, and does the rest."""

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
        if self.current(key) is None and limit is None:
            self.write(key, 1, payload, expires_at)
            await anyio.lowlevel.checkpoint()
            if self.current(key) == Stored(1, expires_at, payload):
                del self.reference.backend.records[self.reference.place(key)]
        return await super().enrol(
            user_id, key, payload, expires_at=expires_at, limit=limit, evict=evict
        )
