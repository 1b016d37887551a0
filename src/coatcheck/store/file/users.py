"""Which sessions a user has: one small JSON file a user, changed under the lock of its shard.

    {"epoch": 8153, "entries": [{"key": "...", "admitted_at": 1800000000.0, "replaces": null,
    "evicted": false}]}

The order of the list is that of admission, so no clock is asked. A file without entries is removed:
an epoch begins at a random number, so that one that comes anew is not mistaken for one from before.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from coatcheck.clock import Clock
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.store.file.folder import Folder
from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    GARBAGE_AFTER,
    Admission,
    Admitted,
    IndexEntry,
    Refused,
)

_IS_NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class Entry:
    """One session in a user's file."""

    key: str
    admitted_at: float
    replaces: str | None
    evicted: bool = False


@dataclass(slots=True)
class User:
    """What a user's file says."""

    epoch: int
    entries: list[Entry]

    def entry(self, key: str) -> Entry | None:
        """Return the entry of a key, if there is one."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def drop(self, key: str) -> bool:
        """Remove the entry of a key; say whether there was one."""
        before = len(self.entries)
        self.entries = [entry for entry in self.entries if entry.key != key]
        return len(self.entries) < before


class Users:
    """The index of all users. `lives(key)` says whether a key has a live record."""

    def __init__(self, folder: Folder, lives: Callable[[str], bool], clock: Clock) -> None:
        self.folder = folder
        self._lives = lives
        self._clock = clock

    def entries(self, user_id: str) -> Sequence[IndexEntry]:
        """See `UserIndex.entries`."""
        return [
            IndexEntry(entry.key, entry.admitted_at) for entry in self._load(_name(user_id)).entries
        ]

    def admit(
        self, user_id: str, key: str, *, limit: int | None, evict: bool, replaces: str | None
    ) -> Admission:
        """See `UserIndex.admit`."""
        name = _name(user_id)
        evicted: list[str] = []
        with self.folder.locked(name[:2]):
            user = self._load(name)
            user.drop(key)
            if limit is not None:
                counted = self._counted(user, replaces)
                if len(counted) >= limit:
                    self._remove_stale(user)
                    counted = self._counted(user, replaces)
                surplus = counted[: max(0, len(counted) + 1 - limit)]
                if surplus and not evict:
                    return Refused()
                for entry in surplus:
                    entry.evicted = True
                    evicted.append(entry.key)
            user.entries.append(Entry(key, self._clock(), replaces))
            self._save(name, user)
        return Admitted(user.epoch, evicted)

    def confirm(self, user_id: str, key: str, epoch: int) -> bool:
        """See `UserIndex.confirm`."""
        name = _name(user_id)
        entry = self._standing(self._load(name), key, epoch)
        if entry is None or entry.replaces is None:
            # Most replace nothing. A file is read as it was at one moment, without a lock too.
            return entry is not None
        with self.folder.locked(name[:2]):
            user = self._load(name)
            entry = self._standing(user, key, epoch)
            if entry is not None and entry.replaces is not None and user.drop(entry.replaces):
                self._save(name, user)
            return entry is not None

    def _standing(self, user: User, key: str, epoch: int) -> Entry | None:
        entry = user.entry(key)
        return None if entry is None or entry.evicted or user.epoch != epoch else entry

    def revoke(self, user_id: str, keep: Collection[str]) -> Sequence[str]:
        """See `UserIndex.revoke`."""
        name = _name(user_id)
        with self.folder.locked(name[:2]):
            user = self._load(name)
            if not user.entries:
                # Nobody was shown an epoch that could still be confirmed: that needs an entry.
                return []
            user.epoch += 1
            self._save(name, user)
        return [entry.key for entry in user.entries if entry.key not in keep]

    def forget(self, user_id: str, key: str) -> None:
        """See `UserIndex.forget`."""
        name = _name(user_id)
        with self.folder.locked(name[:2]):
            user = self._load(name)
            if user.drop(key):
                self._save(name, user)

    def sweep(self, is_there: Callable[[str], bool]) -> None:
        """Remove old entries without a record, left by whoever died between the two."""
        for shard in self.folder.shards():
            for name in filter(_IS_NAME.fullmatch, self.folder.names(shard)):
                # Most files have none, which shows without the lock.
                if self._abandoned(name, is_there):
                    with self.folder.locked(shard):
                        abandoned = self._abandoned(name, is_there)
                        if abandoned:
                            user = self._load(name)
                            user.entries = [e for e in user.entries if e.key not in abandoned]
                            self._save(name, user)

    def _abandoned(self, name: str, is_there: Callable[[str], bool]) -> list[str]:
        before = self._clock() - GARBAGE_AFTER
        try:
            entries = self._load(name).entries
        except StoreError:
            # Damaged: that is told to whoever signs in, and is no reason to leave others unswept.
            return []
        return [one.key for one in entries if one.admitted_at <= before and not is_there(one.key)]

    def _counted(self, user: User, replaces: str | None) -> list[Entry]:
        return [entry for entry in user.entries if not entry.evicted and entry.key != replaces]

    def _remove_stale(self, user: User) -> None:
        """Drop what is without a live record for so long that none will come."""
        oldest = self._clock() - ADMISSION_GRACE
        user.entries = [
            entry
            for entry in user.entries
            if entry.admitted_at >= oldest or entry.evicted or self._lives(entry.key)
        ]

    def _load(self, name: str) -> User:
        """Read a user's file; a user without one has no entries and a new epoch.

        A damaged file is no empty one: sessions that are not listed would outlive a revocation.
        """
        try:
            found = self.folder.read(name)
            if found is None:
                return User(secrets.randbits(48), [])
            content = json.loads(found)
            return User(content["epoch"], [Entry(**entry) for entry in content["entries"]])
        except (ValueError, TypeError, KeyError, CorruptRecord) as error:
            raise StoreError(
                f"the list of a user's sessions, {self.folder.path}/{name[:2]}/{name}, is damaged:"
                " end the sessions of that user, then remove the file"
            ) from error

    def _save(self, name: str, user: User) -> None:
        if user.entries:
            # By hand: `asdict` takes ten times as long.
            entries = [
                {
                    "key": entry.key,
                    "admitted_at": entry.admitted_at,
                    "replaces": entry.replaces,
                    "evicted": entry.evicted,
                }
                for entry in user.entries
            ]
            data = json.dumps({"epoch": user.epoch, "entries": entries})
            self.folder.replace(name, data.encode() + b"\n")
        else:
            self.folder.remove(name)


def _name(user_id: str) -> str:
    """Return the name of a user's file: no text of a user becomes part of a path (CWE-22)."""
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()
