"""Broken verbs, keys, namespaces and openings."""

from __future__ import annotations

import os
import threading
from typing import Any

from coatcheck.store.protocol import (
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
    check_key,
)
from tests.stores.broken.registry import caught_by, caught_only_by
from tests.stores.reference import Record, ReferenceStore, User


@caught_by("test_02_bytes_come_back")
class TextStore(ReferenceStore):
    """Takes payloads for text."""

    def copied(self, payload: bytes) -> bytes:
        return payload.replace(b"\r\n", b"\n")


@caught_by("test_01_missing_is_none", "test_05_delete_returns_what_it_removed")
class DefaultRecord(ReferenceStore):
    """`get` of a missing record is an empty one."""

    def get(self, key: str, /) -> Stored | None:
        return super().get(key) or Stored(0, None, b"")


@caught_by("test_03_create_never_overwrites", "test_24_one_winner_of_many_creates")
class OverwritingCreate(ReferenceStore):
    """`create` is an upsert."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        self.put(check_key(key), Record(Stored(1, expires_at, self.copied(payload)), user_id))
        return True


@caught_by("test_03_create_never_overwrites")
class PoliteOverwritingCreate(ReferenceStore):
    """`create` overwrites and says `False`."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        with self.lock:
            free = self.live(key) is None
            self.put(key, Record(Stored(1, expires_at, self.copied(payload)), user_id))
            return free


@caught_by("test_19_conflict_carries_the_record", "test_23_one_winner_of_many_updates")
class LastWriteWins(ReferenceStore):
    """`update` does not compare versions."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            record = self.live(key)
            current = record.stored.version if record else version
            return super().update(key, payload, version=current, expires_at=expires_at)


@caught_by("test_19_update_creates_nothing", "test_26_update_after_delete")
class InsertingUpdate(ReferenceStore):
    """`update` inserts where nothing is."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            outcome = super().update(key, payload, version=version, expires_at=expires_at)
            if outcome == Gone():
                self.put(key, Record(Stored(version + 1, expires_at, payload), None))
                return Updated(version + 1)
            return outcome


@caught_by("test_21_no_increment_is_lost", "test_32_parallel_histories")
class LosesAnUpdate(ReferenceStore):
    """The second `update` of a record is not written, though it says `Updated`."""

    def put(self, key: str, record: Record) -> None:
        if record.stored.version != 3:
            super().put(key, record)


@caught_by("test_18_conflict_moves_nothing", "test_19_conflict_carries_the_record")
class ConflictMovesTheDeadline(ReferenceStore):
    """An update in conflict moves the deadline."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            outcome = super().update(key, payload, version=version, expires_at=expires_at)
            if isinstance(outcome, Conflict):
                record = self.backend.records[self.place(key)]
                record.stored = record.stored._replace(expires_at=expires_at)
            return outcome


@caught_by("test_04_versions_count_up", "test_02_bytes_come_back")
class SkippingVersions(ReferenceStore):
    """`update` takes a version that is merely another one."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if isinstance(outcome, Updated):
            record = self.backend.records[self.place(key)]
            record.stored = record.stored._replace(version=version + 2)
            return Updated(version + 2)
        return outcome


@caught_by("test_19_conflict_carries_the_record", "test_20_conflict_carries_the_newest")
class StaleConflict(ReferenceStore):
    """`Conflict` carries the record of an old snapshot."""

    def put(self, key: str, record: Record) -> None:
        self.snapshot = self.backend.records.get(self.place(key), record).stored
        super().put(key, record)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        return Conflict(self.snapshot) if isinstance(outcome, Conflict) else outcome


@caught_by("test_18_update_moves_the_deadline", "test_25_touch_does_not_conflict")
class UpdateKeepsTheDeadline(ReferenceStore):
    """`update` does not move the deadline."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            record = self.live(key)
            kept = record.stored.expires_at if record else expires_at
            return super().update(key, payload, version=version, expires_at=kept)


@caught_by("test_05_delete_returns_what_it_removed")
class DeleteSaysTrue(ReferenceStore):
    """`delete` says that it removed something, and not what."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        return True if removed else None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


@caught_by("test_05_delete_returns_what_it_removed", "test_30_one_of_two_deletes")
class DeleteSaysNothing(ReferenceStore):
    """`delete` always returns `None`."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        super().delete(key, user_id=user_id)
        return None


@caught_by("test_30_one_of_two_deletes")
class DeleteInTwoSteps(ReferenceStore):
    """`delete` returns what it saw, not what it removed."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        seen = self.get(key)
        super().delete(key, user_id=user_id)
        return seen


@caught_by("test_05_delete_leaves_the_others")
class DeleteAll(ReferenceStore):
    """`delete` removes more than one record."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        self.backend.records.clear()
        return removed


@caught_only_by("test_06_payloads_do_not_alias")
class Aliasing(ReferenceStore):
    """Keeps the caller's own buffer."""

    def copied(self, payload: bytes) -> bytes:
        return payload


@caught_by("test_07_bad_keys_are_refused", "test_07_keys_of_other_types_are_refused")
class AnyKey(ReferenceStore):
    """Takes whatever it is given for a key."""

    def live(self, key: str) -> Record | None:
        record = self.backend.records.get(self.place(str(key)))
        return record if record is not None and self.is_live(record.stored) else None


@caught_by("test_08_namespaces_are_apart")
class OneNamespace(ReferenceStore):
    """Records of all namespaces lie together."""

    def place(self, name: str) -> tuple[str, str]:
        return ("", name)


@caught_only_by("test_08_namespaces_have_their_own_index")
class ForgetsEverywhere(ReferenceStore):
    """`forget` removes the entry from all namespaces."""

    def forget(self, user_id: str, key: str, /) -> None:
        with self.lock:
            for (_namespace, name), user in self.backend.users.items():
                if name == user_id:
                    user.entries.pop(key, None)


@caught_by("test_08_namespaces_have_their_own_index", "test_58_namespaces_are_apart")
class OneIndex(ReferenceStore):
    """The index is that of all namespaces."""

    def user(self, user_id: str) -> User:
        return self.backend.users.setdefault(("", user_id), User())

    def all_users(self) -> list[User]:
        return list(self.backend.users.values())


@caught_only_by("test_09_what_is_stored_stays")
class VanishingStore(ReferenceStore):
    """Loses its records when it is closed."""

    def close(self) -> None:
        self.backend.records.clear()


@caught_by("test_10_two_stores_are_one", "test_20_conflict_carries_the_newest")
class Caching(ReferenceStore):
    """`get` and `Conflict` show what this very store has seen last."""

    def get(self, key: str, /) -> Stored | None:
        seen: dict[str, Stored | None] = self.__dict__.setdefault("seen", {})
        return seen.setdefault(key, super().get(key))

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        cached = self.get(key)
        return Conflict(cached) if isinstance(outcome, Conflict) and cached else outcome


@caught_only_by("test_52_use_after_fork")
class OneProcess(ReferenceStore):
    """Works in the process in which it was opened, and nowhere else."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pid = os.getpid()

    def is_live(self, stored: Stored) -> bool:
        return os.getpid() == self.pid and super().is_live(stored)


@caught_only_by("test_53_close_twice")
class ClosesOnce(ReferenceStore):
    """Raises when it is closed a second time."""

    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@caught_by("test_53_close_twice")
class LeavesThreads(ReferenceStore):
    """Starts a thread that `close` does not end."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        threading.Thread(target=threading.Event().wait, args=(1,), daemon=True).start()
        return super().create(key, payload, expires_at=expires_at, user_id=user_id)

    def close(self) -> None:
        """Forget the thread."""
