"""Indexes, purges and scans broken in one corner each, where one case looks and no other."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from coatcheck.store.protocol import Admission, Admitted, Refused, Stored
from tests.stores.broken.registry import caught_only_by
from tests.stores.reference import ReferenceStore, User


@caught_only_by("test_16_purge_removes_what_has_expired")
class PurgesLate(ReferenceStore):
    """`purge` leaves what expired less than five minutes ago."""

    def garbage(self) -> list[str]:
        return [key for key in super().garbage() if self.age(key) >= 300]

    def age(self, key: str) -> float:
        """Return for how many seconds the record under the key has been expired."""
        return self.clock() - (self.backend.records[self.place(key)].stored.expires_at or 0.0)


@caught_only_by("test_16_purge_waits")
class PurgesAfterAMinute(ReferenceStore):
    """`purge` waits for one minute, not for two."""

    def garbage(self) -> list[str]:
        return [
            key
            for (namespace, key), record in self.backend.records.items()
            if namespace == self.namespace
            and record.stored.expires_at is not None
            and self.clock() - record.stored.expires_at >= 60
        ]


@caught_only_by("test_16_purge_knows_touches_and_updates")
class PurgesByTheFirst(ReferenceStore):
    """`purge` goes by the deadline that the record began with."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        created = super().create(key, payload, expires_at=expires_at, user_id=user_id)
        if created:
            self.__dict__.setdefault("first", {})[key] = expires_at
        return created

    def garbage(self) -> list[str]:
        first: dict[str, float | None] = self.__dict__.get("first", {})
        return [
            key
            for key, deadline in first.items()
            if deadline is not None
            and self.place(key) in self.backend.records
            and self.clock() - deadline >= 120
        ]


@caught_only_by("test_29_delete_of_a_missing_record_takes_the_entry_along")
class HintForTheLiving(ReferenceStore):
    """`delete` does not use the hint where the record has expired."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        expired = self.live(key) is None and self.place(key) in self.backend.records
        if expired and user_id is not None:
            del self.backend.records[self.place(key)]
            return None
        return super().delete(key, user_id=user_id)


@caught_only_by("test_54_a_session_in_the_making_counts")
class UnlimitedDoNotCount(ReferenceStore):
    """What was admitted without a limit, and has no record yet, is no reason to refuse."""

    evicts = True

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        with self.lock:
            if limit is None:
                self.backend.__dict__.setdefault("unlimited", set()).add(key)
            self.evicts = evict
            admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
            self.evicts = True
            return admission

    def counted(self, user: User, replaces: str | None) -> list[str]:
        free: set[str] = set() if self.evicts else self.backend.__dict__.get("unlimited", set())
        counted = super().counted(user, replaces)
        return [key for key in counted if key not in free or self.live(key)]


@caught_only_by("test_54_marked_entries_do_not_count")
class MarkedEntriesCount(ReferenceStore):
    """Entries that are marked already count against the limit of `admit`."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        with self.lock:
            marked = [entry for entry in self.user(user_id).entries.values() if entry.marked]
            for entry in marked:
                entry.marked = False
            admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
            for entry in marked:
                entry.marked = True
            return admission


@caught_only_by("test_54_refused_at_the_limit")
class RefusedForEver(ReferenceStore):
    """A key that was refused once is refused to everybody."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        refused: set[str] = self.backend.__dict__.setdefault("refused", set())
        if key in refused:
            return Refused()
        admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        if isinstance(admission, Refused):
            refused.add(key)
        return admission


@caught_only_by("test_55_what_is_stored_stays")
class OwnMarks(ReferenceStore):
    """A store that has admitted a session knows of no marks but its own."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        own: set[str] = self.__dict__.setdefault("own", set())
        admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        if isinstance(admission, Admitted):
            own.add(key)
            own.difference_update(admission.evicted)
        return admission

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            entry = self.user(user_id).entries.get(key)
            if entry is not None and key in self.__dict__.get("own", ()):
                entry.marked = False
            return super().confirm(user_id, key, epoch)


@caught_only_by("test_55_revoke_moves_the_epoch")
class TheKeptKeepTheirEpoch(ReferenceStore):
    """What a revocation keeps may be confirmed under the old epoch."""

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        self.backend.__dict__.setdefault("kept", set()).update(keep)
        return super().revoke(user_id, keep=keep)

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        if key in self.backend.__dict__.get("kept", ()):
            epoch = self.user(user_id).epoch
        return super().confirm(user_id, key, epoch)


@caught_only_by("test_56_admissions_together")
class OneTooMany(ReferenceStore):
    """A limit of three or more is exceeded by one before anybody is refused."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        if limit is not None and limit >= 3 and not evict:
            limit += 1
        return super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)


@caught_only_by("test_57_scan_of_nothing")
class SmallPagesAreFilled(ReferenceStore):
    """A small page of an empty store has an empty key in it."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        keys, after = super().scan(cursor, count=count)
        return ([""] if count < 1000 and not self.backend.records else keys), after


@caught_only_by("test_57_scan_goes_on_elsewhere")
class ScanKeepsItsPlace(ReferenceStore):
    """A cursor means something to the store that gave it, and to no other."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        places: dict[str, str] = self.__dict__.setdefault("places", {})
        if cursor is not None and cursor not in places:
            return [], None
        keys, after = super().scan(places[cursor] if cursor else None, count=count)
        if after is None:
            return keys, None
        name = f"{id(self)}-{len(places)}"
        places[name] = after
        return keys, name
