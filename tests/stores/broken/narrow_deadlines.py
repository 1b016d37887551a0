"""Deadlines and touches that are broken in one corner each, where one case looks and no other."""

from __future__ import annotations

import math

from coatcheck.store.protocol import Stored, UpdateOutcome, check_key
from tests.stores.broken.registry import caught_only_by
from tests.stores.reference import Record, ReferenceStore


class AtTheDeadline(ReferenceStore):
    """Looks at records of a user whose deadline is this very moment."""

    def dying(self, key: str) -> Record | None:
        """Return the record under the key if its deadline is now and it is a user's."""
        record = self.backend.records.get(self.place(check_key(key)))
        if record is None or record.user_id is None or record.stored.expires_at != self.clock():
            return None
        return record


@caught_only_by("test_11_get_of_expired")
class GetComesFirst(AtTheDeadline):
    """An expired record is handed out until another verb has noticed that it is over."""

    def get(self, key: str, /) -> Stored | None:
        record = self.dying(key)
        return record.stored if record else super().get(key)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        if self.dying(key):
            del self.backend.records[self.place(key)]
        return super().update(key, payload, version=version, expires_at=expires_at)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        if self.dying(key):
            del self.backend.records[self.place(key)]
        return super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_11_update_of_expired")
class UpdateAtTheDeadline(AtTheDeadline):
    """`update` revives what has just expired."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.dying(key)
        if record is not None:
            record.stored = record.stored._replace(expires_at=None)
        return super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_11_touch_of_expired")
class TouchAtTheDeadline(AtTheDeadline):
    """`touch` revives what has just expired."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        record = self.dying(key)
        if record is not None:
            record.stored = record.stored._replace(expires_at=expires_at)
        return super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_11_delete_of_expired")
class DeleteAtTheDeadline(AtTheDeadline):
    """`delete` without a hint returns what has just expired."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        record = self.dying(key) if user_id is None else None
        removed = super().delete(key, user_id=user_id)
        return record.stored if record else removed


@caught_only_by("test_11_create_over_expired")
class CreateGoesOnCounting(ReferenceStore):
    """Where a user's record has expired, a visitor's goes on from its version."""

    def put(self, key: str, record: Record) -> None:
        before = self.backend.records.get(self.place(key))
        if before is not None and before.user_id and record.user_id is None:
            record.stored = record.stored._replace(version=before.stored.version + 1)
        super().put(key, record)


@caught_only_by("test_12_create_at_the_boundary")
class CreateIsEarly(ReferenceStore):
    """`create` overwrites what expires within the next millisecond."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        record = self.live(key)
        if record is not None and (record.stored.expires_at or math.inf) - self.clock() < 1e-3:
            del self.backend.records[self.place(key)]
        return super().create(key, payload, expires_at=expires_at, user_id=user_id)


@caught_only_by("test_12_exact_boundary")
class WholeDeadlines(ReferenceStore):
    """Fractions of a second do not count."""

    def is_live(self, stored: Stored) -> bool:
        if stored.expires_at is None or not math.isfinite(stored.expires_at):
            return super().is_live(stored)
        return self.clock() < math.floor(stored.expires_at)


@caught_only_by("test_13_touch_moves_only_the_deadline")
class TouchRounds(ReferenceStore):
    """`touch` keeps milliseconds."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        return super().touch(key, version=version, expires_at=round(expires_at, 3))


@caught_only_by("test_13_touch_only_its_version")
class TouchOfTheFuture(ReferenceStore):
    """`touch` takes a version that was not written yet."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        record = self.live(key)
        if record is not None and version > record.stored.version:
            version = record.stored.version
        return super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_14_touch_creates_nothing")
class TouchFromNothing(ReferenceStore):
    """A touch of version 0 creates."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        if version == 0 and self.live(key) is None:
            self.put(key, Record(Stored(1, expires_at, b""), None))
            return True
        return super().touch(key, version=version, expires_at=expires_at)


@caught_only_by("test_25_touch_does_not_conflict")
class TouchWinsOverAnUpdate(ReferenceStore):
    """A deadline that a touch has moved is not moved back by an update, if it is a minute."""

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        touched = super().touch(key, version=version, expires_at=expires_at)
        if touched:
            self.__dict__.setdefault("moved", {})[key] = expires_at
        return touched

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        moved: float | None = self.__dict__.get("moved", {}).get(key)
        if moved is not None and expires_at is not None and 0 < moved - expires_at <= 60:
            expires_at = moved
        return super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_27_touch_after_delete")
class TouchRaisesTheDead(ReferenceStore):
    """`touch` brings back a user's record that was deleted without a hint."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        record = self.live(key)
        if record is not None and record.user_id is not None and user_id is None:
            self.backend.__dict__.setdefault("dead", {})[key] = record
        return super().delete(key, user_id=user_id)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        dead: dict[str, Record] = self.backend.__dict__.get("dead", {})
        if key in dead and self.live(key) is None:
            self.put(key, dead.pop(key))
        return super().touch(key, version=version, expires_at=expires_at)
