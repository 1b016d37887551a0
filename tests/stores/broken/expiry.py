"""Broken deadlines and touches."""

from __future__ import annotations

import math

from coatcheck.store.protocol import (
    Stored,
    UpdateOutcome,
    check_key,
)
from tests.stores.broken.registry import caught_by, caught_only_by
from tests.stores.reference import Record, ReferenceStore


@caught_by("test_11_get_of_expired", "test_12_exact_boundary")
class GetIgnoresExpiry(ReferenceStore):
    """`get` returns what has expired."""

    def get(self, key: str, /) -> Stored | None:
        record = self.backend.records.get(self.place(check_key(key)))
        return record.stored if record else None


@caught_by("test_11_update_of_expired")
class UpdateIgnoresExpiry(ReferenceStore):
    """`update` revives what has expired."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            record = self.backend.records.get(self.place(check_key(key)))
            if record:
                record.stored = record.stored._replace(expires_at=None)
            return super().update(key, payload, version=version, expires_at=expires_at)


@caught_by("test_11_touch_of_expired")
class TouchIgnoresExpiry(ReferenceStore):
    """`touch` revives what has expired."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        record = self.backend.records.get(self.place(check_key(key)))
        if record is None or record.stored.version != version:
            return False
        record.stored = record.stored._replace(expires_at=expires_at)
        return True


@caught_by("test_11_delete_of_expired")
class DeleteIgnoresExpiry(ReferenceStore):
    """`delete` returns what had expired before."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        record = self.backend.records.get(self.place(check_key(key)))
        super().delete(key, user_id=user_id)
        return record.stored if record else None


@caught_by("test_11_create_over_expired", "test_12_create_at_the_boundary")
class CreateIgnoresExpiry(ReferenceStore):
    """`create` is in the way of what has expired."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        if self.place(key) in self.backend.records:
            return False
        return super().create(key, payload, expires_at=expires_at, user_id=user_id)


@caught_by("test_12_exact_boundary", "test_12_create_at_the_boundary")
class LiveAtTheDeadline(ReferenceStore):
    """Takes a record for live when its deadline has come."""

    def is_live(self, stored: Stored) -> bool:
        return stored.expires_at is None or self.clock() <= stored.expires_at


@caught_by("test_12_exact_boundary")
class WholeSeconds(ReferenceStore):
    """Rounds deadlines."""

    def is_live(self, stored: Stored) -> bool:
        return stored.expires_at is None or self.clock() < math.floor(stored.expires_at)


@caught_only_by("test_15_far_future")
class ShortCentury(ReferenceStore):
    """Keeps deadlines in 32 bits."""

    def put(self, key: str, record: Record) -> None:
        deadline = record.stored.expires_at
        if deadline is not None and deadline == deadline:
            record.stored = record.stored._replace(expires_at=min(deadline, 2.0**32))
        super().put(key, record)


@caught_only_by("test_15_no_deadline")
class NoneIsSoon(ReferenceStore):
    """Gives every record a deadline."""

    def is_live(self, stored: Stored) -> bool:
        return self.clock() < (stored.expires_at or 2e9)


@caught_only_by("test_15_no_number_is_no_deadline")
class ImmortalNaN(ReferenceStore):
    """What is created with NaN for a deadline lives for ever."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        deadline = None if expires_at is None or math.isnan(expires_at) else expires_at
        return super().create(key, payload, expires_at=deadline, user_id=user_id)


@caught_only_by("test_17_clocks_of_two_machines")
class ReadingRemoves(ReferenceStore):
    """`get` removes what has expired by its own clock."""

    def get(self, key: str, /) -> Stored | None:
        with self.lock:
            record = super().get(key)
            if record is None:
                self.backend.records.pop(self.place(key), None)
            return record


@caught_by("test_13_touch_moves_only_the_deadline", "test_25_touch_does_not_conflict")
class TouchBumpsTheVersion(ReferenceStore):
    """`touch` counts as a new version."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            touched = super().touch(key, version=version, expires_at=expires_at)
            if touched:
                record = self.backend.records[self.place(key)]
                record.stored = record.stored._replace(version=version + 1)
            return touched


@caught_only_by("test_14_touch_never_shortens")
class TouchShortens(ReferenceStore):
    """`touch` sets the deadline, whatever it was."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            record = self.live(key)
            if record is None or record.stored.version != version:
                return False
            record.stored = record.stored._replace(expires_at=expires_at)
            return True


@caught_only_by("test_14_touch_never_shortens")
class TouchSetsADeadline(ReferenceStore):
    """`touch` gives a deadline to a record without one."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            record = self.live(key)
            if record is not None and record.stored.expires_at is None:
                record.stored = record.stored._replace(expires_at=0.0)
                touched = record.stored.version == version
                record.stored = record.stored._replace(expires_at=expires_at)
                return touched
            return super().touch(key, version=version, expires_at=expires_at)


@caught_by("test_13_touch_only_its_version", "test_30_an_update_inside_a_touch")
class TouchAnyVersion(ReferenceStore):
    """`touch` moves the deadline of whatever version stands."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            record = self.live(key)
            current = record.stored.version if record else version
            return super().touch(key, version=current, expires_at=expires_at)


@caught_by("test_14_touch_creates_nothing", "test_27_touch_after_delete")
class CreatingTouch(ReferenceStore):
    """`touch` creates what is not there."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            if self.live(key) is None:
                self.put(key, Record(Stored(version, expires_at, b""), None))
            return super().touch(key, version=version, expires_at=expires_at)
