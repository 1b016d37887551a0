"""Broken purges and scans."""

from __future__ import annotations

from collections.abc import Sequence

from tests.stores.broken.registry import caught_by, caught_only_by
from tests.stores.reference import ReferenceStore


@caught_by("test_16_purge_removes_what_has_expired", "test_16_purge_in_batches")
class PurgesAll(ReferenceStore):
    """`purge` removes what is live."""

    def garbage(self) -> list[str]:
        return [key for namespace, key in self.backend.records if namespace == self.namespace]


@caught_by("test_16_purge_removes_what_has_expired")
class PurgesNone(ReferenceStore):
    """`purge` removes nothing."""

    def garbage(self) -> list[str]:
        return []


@caught_only_by("test_08_namespaces_are_apart")
class PurgesOthers(ReferenceStore):
    """`purge` removes what belongs to another namespace."""

    def purge(self, limit: int = 1000, /) -> int:
        own, removed = self.namespace, 0
        for namespace in sorted({namespace for namespace, _key in self.backend.records}):
            self.namespace = namespace
            removed += super().purge(limit)
        self.namespace = own
        return removed


@caught_only_by("test_16_purge_in_batches")
class PurgesUnbounded(ReferenceStore):
    """`purge` does not heed its limit."""

    def purge(self, limit: int = 1000, /) -> int:
        return super().purge(10**9)


@caught_by("test_16_purge_waits", "test_17_clocks_of_two_machines")
class PurgesAtOnce(ReferenceStore):
    """`purge` removes what has just expired."""

    def garbage(self) -> list[str]:
        return [
            key
            for (namespace, key), record in self.backend.records.items()
            if namespace == self.namespace and not self.is_live(record.stored)
        ]


@caught_only_by("test_16_purge_takes_index_entries_along")
class PurgeLeavesEntries(ReferenceStore):
    """`purge` leaves index entries behind."""

    def purge(self, limit: int = 1000, /) -> int:
        with self.lock:
            self.sweep()
            keys = self.garbage()[:limit]
            for key in keys:
                del self.backend.records[self.place(key)]
            return len(keys)


@caught_only_by("test_16_purge_takes_abandoned_entries")
class PurgeLeavesTheAbandoned(ReferenceStore):
    """`purge` leaves entries behind of sessions that were never created."""

    def sweep(self) -> None:
        """Do nothing."""


@caught_by("test_16_a_rescue_inside_a_purge")
class UnlockedPurge(ReferenceStore):
    """`purge` lists, then removes."""

    def purge(self, limit: int = 1000, /) -> int:
        keys = self.garbage()[:limit]
        for key in keys:
            self.delete(key)
        self.sweep()
        return len(keys)


@caught_by("test_16_purge_knows_touches_and_updates")
class PurgesByTheFirstDeadline(ReferenceStore):
    """`purge` goes by the deadline that the record began with."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        created = super().create(key, payload, expires_at=expires_at, user_id=user_id)
        first: dict[str, float] = self.__dict__.setdefault("first", {})
        if created and expires_at is not None:
            first[key] = expires_at
        return created

    def garbage(self) -> list[str]:
        first: dict[str, float] = self.__dict__.get("first", {})
        return [key for key, deadline in first.items() if self.clock() - deadline > 120]


@caught_only_by("test_16_one_claims_the_purge")
class EverybodyPurges(ReferenceStore):
    """Every process may purge whenever it likes."""

    def claim_purge(self, interval: float, /) -> bool:
        return True


@caught_only_by("test_57_scan_under_change")
class ScanByOffset(ReferenceStore):
    """`scan` counts rows, so that removals shift what is to come."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        keys, _cursor = super().scan(count=10**9)
        begin = int(cursor or 0)
        return keys[begin : begin + count], (
            str(begin + count) if begin + count < len(keys) else None
        )


@caught_by("test_57_scan_of_nothing")
class ScanPlaceholder(ReferenceStore):
    """`scan` of an empty store lists an empty key."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        keys, after = super().scan(cursor, count=count)
        return keys or [""], after


@caught_by("test_57_scan_lists_what_is_live")
class ScanSkips(ReferenceStore):
    """`scan` leaves out the first key of each later page."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        keys, after = super().scan(cursor, count=count)
        return (keys[1:] if cursor else keys), after


@caught_only_by("test_57_scan_lists_what_is_live")
class ScanAtOnce(ReferenceStore):
    """`scan` returns everything in one page."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        return super().scan(cursor, count=10**9)


@caught_by("test_57_scan_goes_on_elsewhere")
class ScanInMemory(ReferenceStore):
    """`scan` keeps its place in the store."""

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        places: dict[str, str] = self.__dict__.setdefault("places", {})
        keys, after = super().scan(places.get(cursor) if cursor else None, count=count)
        if after is None or cursor == "1" * 50:
            return keys, None
        name = (cursor or "") + "1"
        places[name] = after
        return keys, name
