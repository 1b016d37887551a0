"""What a file store does besides its verbs: removing what has expired, listing what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coatcheck.clock import Clock
from coatcheck.errors import CorruptRecord
from coatcheck.store.file.folder import Folder
from coatcheck.store.file.records import Records
from coatcheck.store.file.users import Users

_CLAIM: Final = "00.purged-at"
"""A file among the records that has not the name of one; its shard is `00`, by its name."""


class Upkeep:
    """Purges and scans of the records, and of what belongs to them."""

    def __init__(self, records: Records, users: Users, clock: Clock) -> None:
        self._records = records
        self._users = users
        self._clock = clock
        self._purge_from = ""

    def purge(self, limit: int) -> int:
        """See `Purges.purge`. Each call goes on where the one before has stopped."""
        for folder in (self._records.folder, self._users.folder):
            _remove_unfinished(folder)
        folder = self._records.folder
        shards = folder.shards()
        rest = [shard for shard in shards if shard >= self._purge_from]
        removed = 0
        for shard in rest + shards[: len(shards) - len(rest)]:
            self._purge_from = shard
            for name in folder.names(shard):
                if removed >= limit:
                    return removed
                removed += self._collect(name)
        self._users.sweep(self._records.is_there)
        return removed

    def _collect(self, name: str) -> bool:
        # Most files are none of it, which shows without the lock.
        if not self._records.is_garbage(name):
            return False
        collected, user_id = self._records.collect(name)
        if user_id is not None:
            self._users.forget(user_id, name)
        return collected

    def claim_purge(self, interval: float) -> bool:
        """See `Purges.claim_purge`."""
        if not self._is_due(interval):
            return False
        folder = self._records.folder
        with folder.locked(_CLAIM[:2]):
            if not self._is_due(interval):
                return False
            folder.replace(_CLAIM, b"%r\n" % self._clock())
            return True

    def _is_due(self, interval: float) -> bool:
        try:
            found = self._records.folder.read(_CLAIM)
            if found is None:
                return True
            claimed_at = float(found)
        except (ValueError, CorruptRecord):
            return True
        # A claim from the future was made by a clock that was wrong.
        return not 0 <= self._clock() - claimed_at < interval

    def scan(self, cursor: str | None, count: int) -> tuple[Sequence[str], str | None]:
        """See `Scans.scan`: the keys in order; the cursor is the last one returned."""
        after = cursor or ""
        folder = self._records.folder
        keys: list[str] = []
        for shard in folder.shards():
            if shard < after[:2]:
                continue
            # Some file systems list a file twice or never while it is replaced.
            with folder.locked(shard):
                names = folder.names(shard)
            for name in names:
                if name > after and self._records.lives(name):
                    keys.append(name)
                    if len(keys) == count:
                        return keys, name
        return keys, None

    def damaged(self) -> Sequence[str]:
        """See `FileStore.damaged`."""
        folder = self._records.folder
        names = [name for shard in folder.shards() for name in folder.names(shard)]
        return [name for name in names if self._records.is_damaged(name)]


def _remove_unfinished(folder: Folder) -> None:
    for shard in folder.unfinished():
        with folder.locked(shard):
            folder.tidy(shard)
