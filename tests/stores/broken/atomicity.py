"""Verbs that are more than one step."""

from __future__ import annotations

from coatcheck.store.protocol import (
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
)
from tests.stores.broken.registry import caught_by
from tests.stores.reference import Record, ReferenceStore


@caught_by("test_23_an_update_inside_an_update", "test_30_a_delete_inside_an_update")
class UnlockedUpdate(ReferenceStore):
    """`update` compares, then sets."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.live(key)
        if record is None:
            return Gone()
        stored = record.stored
        if stored.version != version:
            return Conflict(stored)
        self.put(key, Record(Stored(version + 1, expires_at, bytes(payload)), record.user_id))
        return Updated(version + 1)


@caught_by("test_24_a_create_inside_a_create")
class UnlockedCreate(ReferenceStore):
    """`create` looks, then inserts."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        if self.live(key):
            return False
        self.put(key, Record(Stored(1, expires_at, bytes(payload)), user_id))
        return True


@caught_by("test_30_a_delete_inside_a_touch")
class UnlockedTouch(ReferenceStore):
    """`touch` reads, then writes the whole record."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        record = self.live(key)
        if record is None or record.stored.version != version:
            return False
        moved = record.stored._replace(expires_at=expires_at)
        self.put(key, Record(moved, record.user_id))
        return True


@caught_by("test_30_a_write_inside_a_get", "test_30_a_get_is_whole")
class TornGet(ReferenceStore):
    """Version, deadline and payload are written and read one after the other."""

    def get(self, key: str, /) -> Stored | None:
        record = self.live(key)
        if record is None:
            return None
        version = record.stored.version
        payload = record.stored.payload
        return Stored(version, record.stored.expires_at, payload)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            record = self.live(key)
            if record is None or record.stored.version != version:
                return super().update(key, payload, version=version, expires_at=expires_at)
            record.stored = record.stored._replace(version=version + 1)
            record.stored = record.stored._replace(payload=payload, expires_at=expires_at)
            return Updated(version + 1)


@caught_by("test_31_expiry_inside_an_update")
class DyingUpdate(ReferenceStore):
    """`update` says `Updated` though the record expired and was left as it was."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        return Updated(version + 1) if outcome == Gone() and self.live(key) is None else outcome
