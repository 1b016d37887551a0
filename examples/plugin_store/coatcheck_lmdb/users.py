"""Which sessions a user has: one value for each user, changed within the store's transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import lmdb

from coatcheck.store.protocol import ADMISSION_GRACE, Admission, Admitted, IndexEntry, Refused


@dataclass
class _Entry:
    """One session in a user's index."""

    key: str
    admitted_at: float
    replaces: str | None = None
    evicted: bool = False


@dataclass
class _User:
    """What is known of one user; the entries stand in the order of their admission."""

    epoch: int
    entries: list[_Entry] = field(default_factory=list[_Entry])

    def find(self, key: str | None) -> _Entry | None:
        """Return the entry of a key."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def remove(self, key: str | None) -> None:
        """Remove the entry of a key, if there is one."""
        self.entries = [entry for entry in self.entries if entry.key != key]


class Users:
    """The index of all users, under keys with one prefix."""

    def __init__(self, prefix: bytes, counter: bytes) -> None:
        self._prefix = prefix
        self._counter = counter

    def entries(self, work: lmdb.Transaction, user_id: str) -> Sequence[IndexEntry]:
        """See `UserIndex.entries`."""
        user = self._read(work, self._name(user_id))
        if user is None:
            return []
        return [IndexEntry(entry.key, entry.admitted_at) for entry in user.entries]

    def admit(
        self,
        work: lmdb.Transaction,
        user_id: str,
        key: str,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None,
        now: float,
        lives: Callable[[str], bool],
    ) -> Admission:
        """See `UserIndex.admit`."""
        # An epoch is never used twice: else who was revoked might be taken for a newcomer.
        user = self._read(work, self._name(user_id)) or _User(self._next(work))
        evicted: list[str] = []
        if limit is not None:
            counted = [
                entry.key
                for entry in user.entries
                if not entry.evicted
                and entry.key not in (key, replaces)
                and (abs(now - entry.admitted_at) < ADMISSION_GRACE or lives(entry.key))
            ]
            evicted = counted[: max(0, len(counted) + 1 - limit)]
            if limit < 1 or (evicted and not evict):
                return Refused()
        for entry in user.entries:
            entry.evicted = entry.evicted or entry.key in evicted
        user.remove(key)
        user.entries.append(_Entry(key, now, replaces))
        self._write(work, self._name(user_id), user)
        return Admitted(user.epoch, evicted)

    def confirm(self, work: lmdb.Transaction, user_id: str, key: str, epoch: int) -> bool:
        """See `UserIndex.confirm`."""
        user = self._read(work, self._name(user_id))
        entry = None if user is None else user.find(key)
        if user is None or entry is None or entry.evicted or user.epoch != epoch:
            return False
        if entry.replaces is not None:
            user.remove(entry.replaces)
            entry.replaces = None
            self._write(work, self._name(user_id), user)
        return True

    def revoke(self, work: lmdb.Transaction, user_id: str, keep: Collection[str]) -> Sequence[str]:
        """See `UserIndex.revoke`."""
        user = self._read(work, self._name(user_id))
        if user is None:
            return []
        user.epoch = self._next(work)
        self._write(work, self._name(user_id), user)
        return [entry.key for entry in user.entries if entry.key not in keep]

    def forget(self, work: lmdb.Transaction, user_id: str, key: str) -> None:
        """See `UserIndex.forget`."""
        name = self._name(user_id)
        user = self._read(work, name)
        if user is not None and user.find(key) is not None:
            user.remove(key)
            self._write(work, name, user)

    def forget_abandoned(
        self, work: lmdb.Transaction, before: float, exists: Callable[[str], bool]
    ) -> None:
        """Remove the entries admitted `before` that time whose record was never created."""
        with work.cursor() as cursor:
            found, names = cursor.set_range(self._prefix), list[bytes]()
            while found and (name := bytes(cursor.key())).startswith(self._prefix):
                names.append(name)
                found = cursor.next()
        for name in names:
            user = self._read(work, name)
            if user is None:
                continue
            kept = [one for one in user.entries if one.admitted_at > before or exists(one.key)]
            if len(kept) < len(user.entries):
                user.entries = kept
                self._write(work, name, user)

    def _name(self, user_id: str) -> bytes:
        # Hashed, because a key of LMDB has 511 bytes at most.
        return self._prefix + sha256(user_id.encode()).hexdigest().encode()

    def _next(self, work: lmdb.Transaction) -> int:
        number = int(bytes(work.get(self._counter, b"0"))) + 1
        work.put(self._counter, b"%d" % number)
        return number

    def _read(self, work: lmdb.Transaction, name: bytes) -> _User | None:
        found = work.get(name)
        if found is None:
            return None
        value: dict[str, Any] = json.loads(bytes(found))
        return _User(value["epoch"], [_Entry(**entry) for entry in value["entries"]])

    def _write(self, work: lmdb.Transaction, name: bytes, user: _User) -> None:
        if user.entries:
            work.put(name, json.dumps(asdict(user)).encode())
        else:
            work.delete(name)
