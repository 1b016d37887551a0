"""The smallest store that keeps every rule: what the broken ones are broken copies of."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from coatcheck.clock import Clock
from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admission,
    Admitted,
    Conflict,
    Gone,
    IndexEntry,
    Refused,
    Stored,
    Updated,
    UpdateOutcome,
    check_key,
)


@dataclass
class Record:
    """A record and whose it is."""

    stored: Stored
    user_id: str | None


@dataclass
class Entry:
    """A session in a user's index."""

    number: int
    admitted_at: float
    replaces: str | None
    marked: bool = False


@dataclass
class User:
    """What the index knows of a user."""

    epoch: int = 0
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])


@dataclass
class Backend:
    """What several stores share."""

    records: dict[tuple[str, str], Record] = field(default_factory=dict[tuple[str, str], Record])
    users: dict[tuple[str, str], User] = field(default_factory=dict[tuple[str, str], User])
    claimed_at: float = -math.inf
    counter: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class ReferenceStore:
    """A dict under a lock, with each rule in a method of its own, for one subclass to break."""

    def __init__(
        self, backend: Backend, *, namespace: str = DEFAULT_NAMESPACE, clock: Clock
    ) -> None:
        self.backend = backend
        self.namespace = namespace
        self.clock = clock

    @property
    def lock(self) -> threading.RLock:
        """What makes a verb one step."""
        return self.backend.lock

    def place(self, name: str) -> tuple[str, str]:
        """Where a record or a user is kept."""
        return (self.namespace, name)

    def is_live(self, stored: Stored) -> bool:
        """Whether the deadline has not passed."""
        return stored.expires_at is None or self.clock() < stored.expires_at

    def live(self, key: str) -> Record | None:
        """Return the live record under a key."""
        record = self.backend.records.get(self.place(check_key(key)))
        return record if record is not None and self.is_live(record.stored) else None

    def put(self, key: str, record: Record) -> None:
        """Store the record, whatever was there."""
        self.backend.records[self.place(key)] = record

    def copied(self, payload: bytes) -> bytes:
        """Return bytes that nobody else holds."""
        return bytes(payload)

    def get(self, key: str, /) -> Stored | None:
        with self.lock:
            record = self.live(key)
            return record.stored if record else None

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        with self.lock:
            if self.live(key):
                return False
            self.put(key, Record(Stored(1, expires_at, self.copied(payload)), user_id))
            return True

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        with self.lock:
            record = self.live(key)
            if record is None:
                return Gone()
            if record.stored.version != version:
                return Conflict(record.stored)
            self.put(
                key, Record(Stored(version + 1, expires_at, self.copied(payload)), record.user_id)
            )
            return Updated(version + 1)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        with self.lock:
            record = self.live(key)
            if record is None or record.stored.version != version:
                return False
            if record.stored.expires_at is not None and record.stored.expires_at < expires_at:
                record.stored = record.stored._replace(expires_at=expires_at)
            return True

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        with self.lock:
            live = self.live(key)
            record = self.backend.records.pop(self.place(key), None)
            owners = {user_id, record.user_id if record else None} - {None}
            for owner in owners:
                self.forget(str(owner), key)
            return live.stored if live else None

    def user(self, user_id: str) -> User:
        """Return what the index knows of the user."""
        return self.backend.users.setdefault(self.place(user_id), User())

    def counted(self, user: User, replaces: str | None) -> list[str]:
        """Return the keys that count against the limit, oldest admission first."""
        return [
            key
            for key, entry in self.in_order(user)
            if not entry.marked and key != replaces and not self.is_stale(key, entry)
        ]

    def is_stale(self, key: str, entry: Entry) -> bool:
        """Whether an entry has been without a record for so long that none will come."""
        return self.clock() - entry.admitted_at > ADMISSION_GRACE and not self.live(key)

    def in_order(self, user: User) -> list[tuple[str, Entry]]:
        """Return the entries in the order of admission."""
        return sorted(user.entries.items(), key=lambda item: item[1].number)

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        with self.lock:
            ordered = self.in_order(self.user(user_id))
            return [IndexEntry(key, entry.admitted_at) for key, entry in ordered]

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
        check_key(key)
        with self.lock:
            user, evicted = self.user(user_id), list[str]()
            counted = self.counted(user, replaces)
            if limit is not None and len(counted) >= limit:
                if not evict:
                    return Refused()
                evicted = self.surplus(counted, limit)
                for name in evicted:
                    user.entries[name].marked = True
            self.backend.counter += 1
            user.entries[key] = Entry(self.backend.counter, self.clock(), replaces)
            return Admitted(user.epoch, evicted)

    def enrol(
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
        check_key(key)
        with self.lock:
            if self.live(key):
                return None
            # Not those of a subclass: what is broken there is right here.
            admission = ReferenceStore.admit(self, user_id, key, limit=limit, evict=evict)
            if isinstance(admission, Admitted):
                ReferenceStore.create(self, key, payload, expires_at=expires_at, user_id=user_id)
            return admission

    def surplus(self, counted: list[str], limit: int) -> list[str]:
        """Return what has to go so that one more is admitted."""
        return counted[: len(counted) - limit + 1]

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            user = self.user(user_id)
            entry = user.entries.get(key)
            if entry is None or entry.marked or user.epoch != epoch:
                return False
            if entry.replaces is not None:
                user.entries.pop(entry.replaces, None)
            return True

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        with self.lock:
            user = self.user(user_id)
            user.epoch += 1
            return [key for key, _entry in self.in_order(user) if key not in keep]

    def forget(self, user_id: str, key: str, /) -> None:
        with self.lock:
            self.user(user_id).entries.pop(key, None)

    def garbage(self) -> list[str]:
        """Return the keys that purge may remove."""
        return [
            key
            for (namespace, key), record in self.backend.records.items()
            if namespace == self.namespace
            and record.stored.expires_at is not None
            and self.clock() - record.stored.expires_at >= GARBAGE_AFTER
        ]

    def purge(self, limit: int = 1000, /) -> int:
        with self.lock:
            keys = self.garbage()[:limit]
            for key in keys:
                self.delete(key)
            self.sweep()
            return len(keys)

    def sweep(self) -> None:
        """Remove old entries of sessions that were never created."""
        before = self.clock() - GARBAGE_AFTER
        for user in self.all_users():
            for key, entry in list(user.entries.items()):
                if entry.admitted_at <= before and self.place(key) not in self.backend.records:
                    del user.entries[key]

    def all_users(self) -> list[User]:
        """Return what the index knows of all users."""
        places = self.backend.users.items()
        return [user for (namespace, _user), user in places if namespace == self.namespace]

    def claim_purge(self, interval: float, /) -> bool:
        with self.lock:
            if self.clock() - self.backend.claimed_at < interval:
                return False
            self.backend.claimed_at = self.clock()
            return True

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        with self.lock:
            after = cursor or ""
            keys = sorted(
                key
                for (namespace, key), record in self.backend.records.items()
                if namespace == self.namespace and key > after and self.is_live(record.stored)
            )
            return keys[:count], keys[count - 1] if len(keys) > count else None
