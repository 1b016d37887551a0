"""Verbs that are broken in one corner each, where one case of the contract looks and no other."""

from __future__ import annotations

from typing import Any

from coatcheck.store.protocol import Conflict, Gone, Stored, Updated, UpdateOutcome
from tests.stores.broken.registry import caught_only_by
from tests.stores.reference import Record, ReferenceStore


@caught_only_by("test_01_missing_is_none")
class EmptyFile(ReferenceStore):
    """The only one who has an empty file open reads an empty record."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.backend.counter += 1
        self.touched = False

    def put(self, key: str, record: Record) -> None:
        self.touched = True
        super().put(key, record)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        self.touched = True
        return super().update(key, payload, version=version, expires_at=expires_at)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        self.touched = True
        return super().touch(key, version=version, expires_at=expires_at)

    def get(self, key: str, /) -> Stored | None:
        found = super().get(key)
        alone = self.backend.counter == 1 and not self.touched
        return Stored(0, None, b"") if found is None and alone else found


@caught_only_by("test_02_bytes_come_back")
class LineEnds(ReferenceStore):
    """Line ends are those of this system."""

    def copied(self, payload: bytes) -> bytes:
        return bytes(payload).replace(b"\r\n", b"\n")


@caught_only_by("test_03_create_never_overwrites")
class RefusedCreateTakesTheDeadline(ReferenceStore):
    """A `create` that is refused, and has no deadline, takes that of the record away."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        record = self.live(key)
        if record is not None and expires_at is None:
            record.stored = record.stored._replace(expires_at=None)
        return super().create(key, payload, expires_at=expires_at, user_id=user_id)


@caught_only_by("test_04_versions_count_up")
class UnchangedIsNoVersion(ReferenceStore):
    """After the first update, one with what is there already is not counted."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.live(key)
        same = record is not None and record.stored == (version, expires_at, payload)
        if same and version > 1:
            return Updated(version)
        return super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_05_delete_leaves_the_others")
class LastButOne(ReferenceStore):
    """Whoever deletes the last record but one deletes the last as well."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        left = [place for place in self.backend.records if place[0] == self.namespace]
        if removed is not None and len(left) == 1:
            del self.backend.records[left[0]]
        return removed


@caught_only_by("test_05_delete_returns_what_it_removed")
class DeleteFromAnEmptyTable(ReferenceStore):
    """`delete` returns an empty record where nothing was ever stored."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        new = user_id is None and not self.backend.__dict__.get("written")
        return Stored(0, None, b"") if new else removed

    def put(self, key: str, record: Record) -> None:
        self.backend.__dict__["written"] = True
        super().put(key, record)


@caught_only_by("test_07_bad_keys_are_refused")
class AnyCase(ReferenceStore):
    """Keys may be in upper case."""

    def live(self, key: str) -> Record | None:
        return super().live(key.lower() if isinstance(key, str) else key)  # pyright: ignore[reportUnnecessaryIsInstance]


@caught_only_by("test_07_keys_of_other_types_are_refused")
class BytesForKeys(ReferenceStore):
    """Keys may be bytes."""

    def live(self, key: Any) -> Record | None:
        return super().live(key.decode() if isinstance(key, bytes) else key)


@caught_only_by("test_10_two_stores_are_one")
class RemembersWhatWasMissing(ReferenceStore):
    """What a store once found missing is missing to it until it creates it itself."""

    def get(self, key: str, /) -> Stored | None:
        missing: set[str] = self.__dict__.setdefault("missing", set())
        found = None if key in missing else super().get(key)
        if found is None:
            missing.add(key)
        return found

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        self.__dict__.setdefault("missing", set()).discard(key)
        return super().create(key, payload, expires_at=expires_at, user_id=user_id)


@caught_only_by("test_18_conflict_moves_nothing")
class FirstConflictMovesTheDeadline(ReferenceStore):
    """An update in conflict moves the deadline of a record at version 1."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if isinstance(outcome, Conflict) and outcome.current.version == 1:
            record = self.backend.records[self.place(key)]
            record.stored = record.stored._replace(expires_at=expires_at)
        return outcome


@caught_only_by("test_18_update_moves_the_deadline")
class NeverStaysNever(ReferenceStore):
    """`update` gives no deadline to a record without one."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.live(key)
        kept = None if record is not None and record.stored.expires_at is None else expires_at
        return super().update(key, payload, version=version, expires_at=kept)


@caught_only_by("test_19_conflict_carries_the_record")
class NegativeVersions(ReferenceStore):
    """A negative version is any version."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        record = self.live(key)
        if record is not None and version < 0:
            version = record.stored.version
        return super().update(key, payload, version=version, expires_at=expires_at)


@caught_only_by("test_19_update_creates_nothing")
class UpdateFromNothing(ReferenceStore):
    """An update of version 0 inserts."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if outcome == Gone() and version == 0:
            self.put(key, Record(Stored(1, expires_at, payload), None))
            return Updated(1)
        return outcome


@caught_only_by("test_20_conflict_carries_the_newest")
class OneBehind(ReferenceStore):
    """Whoever is two versions behind is told of the one before the newest."""

    def put(self, key: str, record: Record) -> None:
        before = self.backend.records.get(self.place(key), record).stored
        self.backend.__dict__.setdefault("before", {})[key] = before
        super().put(key, record)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if isinstance(outcome, Conflict) and outcome.current.version - version >= 2 > 1 <= version:
            return Conflict(self.backend.__dict__["before"][key])
        return outcome


@caught_only_by("test_21_no_increment_is_lost")
class LosesTheTwentieth(ReferenceStore):
    """The twentieth version of a record is not written, though `update` says `Updated`."""

    def put(self, key: str, record: Record) -> None:
        lost: set[str] = self.backend.__dict__.setdefault("lost", set())
        if record.stored.version == 20 and key not in lost:
            lost.add(key)
            return
        super().put(key, record)


@caught_only_by("test_23_one_winner_of_many_updates")
class StaleForLateLosers(ReferenceStore):
    """Of several that lose against one, only the first is told of the winner."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        told: dict[tuple[str, int], int] = self.backend.__dict__.setdefault("told", {})
        with self.lock:
            outcome = super().update(key, payload, version=version, expires_at=expires_at)
            if isinstance(outcome, Conflict):
                told[key, version] = told.get((key, version), 0) + 1
                if told[key, version] > 1:
                    return Conflict(outcome.current._replace(version=version, payload=b"base"))
            return outcome


@caught_only_by("test_24_one_winner_of_many_creates")
class GivesWayToTheFourth(ReferenceStore):
    """`create` refuses twice and then overwrites."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        refused: dict[str, int] = self.backend.__dict__.setdefault("refused", {})
        with self.lock:
            created = super().create(key, payload, expires_at=expires_at, user_id=user_id)
            refused[key] = 0 if created else refused.get(key, 0) + 1
            if refused[key] > 2:
                self.put(key, Record(Stored(1, expires_at, self.copied(payload)), user_id))
                return True
            return created


@caught_only_by("test_26_update_after_delete")
class UpdateGuessesTheNext(ReferenceStore):
    """An update of the version after that which was deleted inserts."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        if removed is not None:
            self.backend.__dict__.setdefault("graves", {})[key] = removed.version
        return removed

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        graves: dict[str, int] = self.backend.__dict__.get("graves", {})
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if outcome == Gone() and graves.get(key) == version - 1:
            self.put(key, Record(Stored(version + 1, expires_at, payload), None))
            return Updated(version + 1)
        return outcome


@caught_only_by("test_32_random_sequences")
class RemembersTheDeleted(ReferenceStore):
    """What a visitor creates where something was deleted begins at version 2."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        removed = super().delete(key, user_id=user_id)
        if removed is not None:
            self.backend.__dict__.setdefault("deleted", set()).add(key)
        return removed

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        created = super().create(key, payload, expires_at=expires_at, user_id=user_id)
        if created and user_id is None and key in self.backend.__dict__.get("deleted", ()):
            record = self.backend.records[self.place(key)]
            record.stored = record.stored._replace(version=2)
        return created
