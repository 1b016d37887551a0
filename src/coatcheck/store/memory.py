"""Sessions in the memory of one process: for tests, demonstrations and single-process programs."""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import StoreError
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.memory_index import MemoryIndex
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admission,
    Conflict,
    Gone,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
    make_stored,
    make_updated,
)

OVERHEAD: Final = 900
"""What a record takes besides its payload, in bytes: measured with a user, rounded up."""


class MemoryStore:
    """A store in this process's memory; whoever is given the same object shares its sessions.

    It holds bytes, as every store does, so that nothing works here and fails elsewhere. It is
    bounded: where there is no room for a new record, expired ones go first, then the anonymous
    ones that were longest inactive. A session with a user is never evicted, so that a flood of
    visitors signs nobody out (SEC-45).

    Args:
        max_sessions: how many records there may be at most.
        max_bytes: how much memory they may take at most, in bytes, an overhead of 900 bytes a
            record included.
        namespace: the namespace of the IDs; two `MemoryStore` objects never share anything.
        clock: the source of time.

    Raises:
        ConfigurationError: for an option that is wrong.
    """

    never_blocks: Final = True

    def __init__(
        self,
        *,
        max_sessions: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self.max_sessions = checks.count("max_sessions", max_sessions)
        self.max_bytes = checks.count("max_bytes", max_bytes)
        self._lock = threading.Lock()
        self._index = MemoryIndex(self._lives)
        self._empty()

    def _empty(self) -> None:
        self._records: dict[str, Stored] = {}
        self._bytes = 0
        self._owners: dict[str, str] = {}
        # Without a user, longest inactive first: these may be evicted.
        self._anonymous: OrderedDict[str, None] = OrderedDict()
        # For each record with a deadline at least one item, due then or before: a deadline that
        # moves on leaves its item where it is, and whoever meets it there puts it right.
        self._due: list[tuple[float, str]] = []
        self._index.clear()
        self._purged_at: float | None = None

    def __repr__(self) -> str:
        return f"<MemoryStore namespace={self.namespace!r} records={len(self._records)}>"

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`."""
        # Without the lock: records are replaced as a whole, and one look-up in a dict is atomic.
        record = self._records.get(key)
        if record is None:
            check_key(key)
            return None
        expires_at = record.expires_at
        return record if expires_at is None or self.clock() < expires_at else None

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key.

        Raises `StoreError` where there is no room and only sessions with users could give way.
        """
        check_key(key)
        check_deadline(expires_at)
        record = make_stored((1, expires_at, bytes(payload)))
        with self._lock:
            now = self.clock()
            old = self._records.get(key)
            if old is not None:
                if not _is_over(old, now):
                    return False
                self._remove(key, old, keep_entry_of=user_id)
            if self._due and self._due[0][0] <= now - GARBAGE_AFTER:
                self._collect(now - GARBAGE_AFTER, 2)
            size = OVERHEAD + len(record.payload)
            if len(self._records) >= self.max_sessions or self._bytes + size > self.max_bytes:
                self._make_room(size, now)
            self._records[key] = record
            self._bytes += size
            if expires_at is not None:
                self._schedule(key, expires_at)
            if user_id is None:
                self._anonymous[key] = None
            else:
                self._owners[key] = user_id
            return True

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`.

        Raises `StoreError` where there is no room and only sessions with users could give way.
        """
        check_deadline(expires_at)
        record = make_stored((version + 1, expires_at, bytes(payload)))
        with self._lock:
            now = self.clock()
            current = self._records.get(key)
            if current is None or _is_over(current, now):
                check_key(key)
                return Gone()
            if current.version != version:
                return Conflict(current)
            if key in self._anonymous:
                self._anonymous.move_to_end(key)
            growth = len(payload) - len(current.payload)
            if growth > 0:
                self._make_room(growth, now, spare=key)
            self._bytes += growth
            self._records[key] = record
            if expires_at is not None and (
                current.expires_at is None or expires_at < current.expires_at
            ):
                self._schedule(key, expires_at)
            return make_updated((version + 1,))

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_key(key)
        check_deadline(expires_at)
        with self._lock:
            current = self._records.get(key)
            if current is None or current.version != version or _is_over(current, self.clock()):
                return False
            if key in self._anonymous:
                self._anonymous.move_to_end(key)
            if current.expires_at is not None and current.expires_at < expires_at:
                self._records[key] = Stored(version, expires_at, current.payload)
            return True

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        check_key(key)
        with self._lock:
            record = self._records.get(key)
            if record is None:
                if user_id is not None:
                    self._index.forget(user_id, key)
                return None
            self._remove(key, record)
            return None if _is_over(record, self.clock()) else record

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        with self._lock:
            return self._index.entries(user_id)

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
        """Enter `key`, before its record is created; see `UserIndex.admit`."""
        check_key(key)
        if replaces is not None:
            check_key(replaces)
        with self._lock:
            now = self.clock()
            self._index.forget_abandoned(now - GARBAGE_AFTER, self._records.__contains__)
            return self._index.admit(
                user_id, key, limit=limit, evict=evict, replaces=replaces, now=now
            )

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        check_key(key)
        with self._lock:
            return self._index.confirm(user_id, key, epoch)

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        with self._lock:
            return self._index.revoke(user_id, keep)

    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        check_key(key)
        with self._lock:
            self._index.forget(user_id, key)

    def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries."""
        with self._lock:
            before = self.clock() - GARBAGE_AFTER
            removed = self._collect(before, limit)
            if removed < limit:
                self._index.forget_abandoned(before, self._records.__contains__)
            return removed

    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one to purge in this `interval` (s)."""
        with self._lock:
            now = self.clock()
            # A time ahead of the clock was claimed before somebody put the clock back.
            if self._purged_at is not None and 0 <= now - self._purged_at < interval:
                return False
            self._purged_at = now
            return True

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        checks.count("count", count)
        after = "" if cursor is None else check_key(cursor)
        with self._lock:
            everything = list(self._records.items())
        now = self.clock()
        keys = heapq.nsmallest(
            count, (key for key, record in everything if key > after and not _is_over(record, now))
        )
        return keys, keys[-1] if len(keys) == count else None

    def clear_all(self) -> None:
        """Remove every session and every index, and forget who purged when."""
        with self._lock:
            self._empty()

    def close(self) -> None:
        """Do nothing: there is nothing to release, and others may share this object."""

    # What follows expects the lock to be held.

    def _remove(self, key: str, record: Stored, keep_entry_of: str | None = None) -> None:
        del self._records[key]
        self._bytes -= OVERHEAD + len(record.payload)
        self._anonymous.pop(key, None)
        owner = self._owners.pop(key, None)
        if owner is not None and owner != keep_entry_of:
            self._index.forget(owner, key)

    def _lives(self, key: str, now: float) -> bool:
        record = self._records.get(key)
        return record is not None and not _is_over(record, now)

    def _schedule(self, key: str, deadline: float) -> None:
        if len(self._due) > 2 * len(self._records) + 64:
            # Items of records that were deleted: what is left is built anew, in linear time.
            self._due = [
                (record.expires_at, name)
                for name, record in self._records.items()
                if record.expires_at is not None
            ]
            heapq.heapify(self._due)
        else:
            heapq.heappush(self._due, (deadline, key))

    def _collect(self, until: float, limit: int) -> int:
        """Remove at most `limit` records whose deadline is `until` or earlier."""
        removed = 0
        while removed < limit and self._due and self._due[0][0] <= until:
            _deadline, key = heapq.heappop(self._due)
            record = self._records.get(key)
            if record is None or record.expires_at is None:
                continue
            if record.expires_at <= until:
                self._remove(key, record)
                removed += 1
            else:
                heapq.heappush(self._due, (record.expires_at, key))
        return removed

    def _make_room(self, size: int, now: float, spare: str | None = None) -> None:
        """Make room for `size` more bytes, and for one more record unless one is to be spared."""
        most = self.max_sessions - 1 if spare is None else self.max_sessions
        while len(self._records) > most or self._bytes + size > self.max_bytes:
            if self._collect(now, 1):
                continue
            oldest = next((key for key in self._anonymous if key != spare), None)
            if oldest is None:
                raise StoreError(
                    f"the memory store is full: {len(self._records)} sessions, {self._bytes} bytes,"
                    " and all others belong to users: raise max_sessions or max_bytes, or use"
                    " another store"
                )
            self._remove(oldest, self._records[oldest])


def _is_over(record: Stored, now: float) -> bool:
    return record.expires_at is not None and now >= record.expires_at
