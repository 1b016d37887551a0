"""Which sessions a user has, in memory: the index of `MemoryStore`, without its lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    Admission,
    Admitted,
    IndexEntry,
    Refused,
)


class _Entry:
    """One session in a user's index."""

    __slots__ = ("admitted_at", "evicted", "replaces")

    def __init__(self, admitted_at: float, replaces: str | None) -> None:
        self.admitted_at = admitted_at
        self.replaces = replaces
        self.evicted = False


class _User:
    """One user: the epoch, and the entries in the order of their admission."""

    __slots__ = ("entries", "epoch")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.entries: dict[str, _Entry] = {}


class MemoryIndex:
    """The entries of all users. `lives(key, now)` says whether a key has a live record."""

    def __init__(self, lives: Callable[[str, float], bool]) -> None:
        self._lives = lives
        self._users: dict[str, _User] = {}
        self._admissions: deque[tuple[float, str, str]] = deque()
        self._counter = 0

    def clear(self) -> None:
        """Remove all entries; epochs shown to somebody before stay used."""
        self._users.clear()
        self._admissions.clear()

    def entries(self, user_id: str) -> Sequence[IndexEntry]:
        """See `UserIndex.entries`."""
        user = self._users.get(user_id)
        if user is None:
            return []
        return [IndexEntry(key, entry.admitted_at) for key, entry in user.entries.items()]

    def admit(
        self,
        user_id: str,
        key: str,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None,
        now: float,
    ) -> Admission:
        """See `UserIndex.admit`."""
        user = self._users.get(user_id)
        evicted: list[str] = []
        if limit is not None:
            counted = [] if user is None else self._counted(user, (key, replaces), now)
            evicted = counted[: max(0, len(counted) + 1 - limit)]
            if limit < 1 or (evicted and not evict):
                return Refused()
        self._counter += 1
        if user is None:
            # An epoch is never used twice, so nobody whose index was empty in between is taken for
            # somebody who was never revoked.
            user = self._users[user_id] = _User(self._counter)
        for other in evicted:
            user.entries[other].evicted = True
        # Removed first, so that it stands last: the order of the dict is that of admissions.
        user.entries.pop(key, None)
        user.entries[key] = _Entry(now, replaces)
        self._admissions.append((now, user_id, key))
        return Admitted(user.epoch, evicted)

    def _counted(self, user: _User, spared: Collection[str | None], now: float) -> list[str]:
        return [
            key
            for key, entry in user.entries.items()
            if not entry.evicted
            and key not in spared
            and (abs(now - entry.admitted_at) < ADMISSION_GRACE or self._lives(key, now))
        ]

    def confirm(self, user_id: str, key: str, epoch: int) -> bool:
        """See `UserIndex.confirm`."""
        user = self._users.get(user_id)
        entry = None if user is None else user.entries.get(key)
        if user is None or entry is None or entry.evicted or user.epoch != epoch:
            return False
        if entry.replaces is not None:
            user.entries.pop(entry.replaces, None)
            entry.replaces = None
        return True

    def revoke(self, user_id: str, keep: Collection[str]) -> Sequence[str]:
        """See `UserIndex.revoke`."""
        user = self._users.get(user_id)
        if user is None:
            return []
        self._counter += 1
        user.epoch = self._counter
        return [key for key in user.entries if key not in keep]

    def forget(self, user_id: str, key: str) -> None:
        """See `UserIndex.forget`."""
        user = self._users.get(user_id)
        if user is not None and user.entries.pop(key, None) is not None and not user.entries:
            del self._users[user_id]

    def forget_abandoned(self, before: float, exists: Callable[[str], bool]) -> None:
        """Remove the entries admitted `before` that time whose record was never created."""
        while self._admissions and self._admissions[0][0] <= before:
            _admitted_at, user_id, key = self._admissions.popleft()
            user = self._users.get(user_id)
            entry = None if user is None else user.entries.get(key)
            if entry is not None and entry.admitted_at <= before and not exists(key):
                self.forget(user_id, key)
