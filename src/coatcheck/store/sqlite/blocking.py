"""The SQLite store for synchronous programs."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Literal

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import CorruptRecord
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.sqlite import steps, upkeep
from coatcheck.store.sqlite.connection import Busy, Damaged
from coatcheck.store.sqlite.database import Database

Durability = Literal["normal", "full"]
"""What a commit outlives: `"normal"` a crash of the program, `"full"` also a power cut."""


class SQLiteStore:
    """Sessions in a SQLite database, for any number of threads and processes on one machine.

    The database has a file of its own, which is made when it is not there, for its owner alone
    (0600, and 0700 for folders), with a `-wal` and a `-shm` file beside it.

    A file that is removed while the store is open is missed after a second: from then on every call
    raises `StoreError`, until a file of ours is there again.

    Args:
        path: the database file.
        durability: `"normal"`: a power cut may take the last moments' changes, never the whole;
            `"full"`: whatever was saved is on the disk, at the price of waiting for it.
        timeout: seconds to wait while another process has the database locked.
        namespace: the namespace of the IDs; stores of different namespaces may share a file.
        clock: the source of time.

    Raises:
        ConfigurationError: for an option that is wrong, or a file that cannot be used: it was not
            changed.
        StoreError: for a file that stays locked or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "normal",
        timeout: float = 3.0,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self._purge = upkeep.Purge()
        self._database = Database(
            path,
            clock=clock,
            timeout=checks.seconds("timeout", timeout, zero=True),
            full=checks.choice("durability", durability, ("normal", "full")) == "full",
            checkpoints=True,
        )
        self.location = f"sqlite:{os.path.realpath(path)}"
        self._attempt, self._run = self._database.attempt, self._database.run

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._database.path!r} namespace={self.namespace!r}>"

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` where pages are damaged."""
        check_key(key)
        try:
            try:
                return self._attempt(steps.get, self.namespace, key)
            except Busy:
                return self._run(steps.get, self.namespace, key)
        except Damaged as error:
            raise CorruptRecord(str(error)) from error

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(steps.create, self.namespace, key, payload, expires_at, user_id)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(steps.update, self.namespace, key, payload, version, expires_at)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(steps.touch, self.namespace, key, version, expires_at)

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        check_key(key)
        return self._run(steps.delete, self.namespace, key, user_id)

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return self._run(steps.entries, self.namespace, user_id)

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
        return self._run(steps.admit, self.namespace, user_id, key, limit, evict, replaces)

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
        """Admit, create and confirm in one transaction; see `Enrols.enrol`."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(
            steps.enrol, self.namespace, user_id, key, payload, expires_at, limit, evict
        )

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        check_key(key)
        return self._run(steps.confirm, self.namespace, user_id, key, epoch)

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return self._run(steps.revoke, self.namespace, user_id, keep)

    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        check_key(key)
        self._run(steps.forget, self.namespace, user_id, key)

    def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries."""
        return self._purge(self._run, self.namespace, limit)

    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return self._run(upkeep.claim_purge, self.namespace, interval)

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        checks.count("count", count)
        after = "" if cursor is None else check_key(cursor)
        return self._run(upkeep.scan, self.namespace, after, count)

    def close(self) -> None:
        """Close all connections; whatever is called afterwards raises `StoreError`."""
        self._database.close()
