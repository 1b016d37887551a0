"""The file store."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from typing import Final, ParamSpec, TypeVar

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import StoreError
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.file.directory import absolute_path, open_directory, open_folder
from coatcheck.store.file.folder import Folder
from coatcheck.store.file.locks import Locks
from coatcheck.store.file.records import Records
from coatcheck.store.file.upkeep import Upkeep
from coatcheck.store.file.users import Users
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)

P = ParamSpec("P")
T = TypeVar("T")

_IS_FOLDER_NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9_.-]{0,62}")


def _tells(method: Callable[P, T]) -> Callable[P, T]:
    """Make whatever the system refuses a `StoreError`."""

    @functools.wraps(method)
    def tell(*args: P.args, **options: P.kwargs) -> T:
        try:
            return method(*args, **options)
        except OSError as error:
            raise _told(error) from error

    return tell


def _told(error: OSError) -> StoreError:
    if error.errno == errno.EBADF:
        return StoreError("the file store is closed")
    return StoreError(f"the file store failed: {error}")


class FileStore:
    """Sessions in files, for any number of threads and processes on one machine.

    A session is one file, named by its handle: a line of the store's own, then the payload as the
    codec has written it, which is readable text with the JSON codec. Whatever else lies in the
    directory is left alone. It needs `flock`, which Windows lacks.

    Args:
        directory: where the files are; it is made where it is missing (0700). There is no default:
            in a temporary directory others could put files in the way of ours.
        namespace: the namespace of the IDs; stores of different namespaces may share a directory.
        clock: the source of time.
        timeout: seconds to wait while another process holds a lock.
        fsync: whether each change waits until it is on the disk, so that a power cut takes none;
            that costs a multiple of the time.

    Raises:
        ConfigurationError: for an option that is wrong, a directory that cannot be used or that
            others may change, or a system without `flock`.
    """

    preferred_codec: Final = "json"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
        timeout: float = 3.0,
        fsync: bool = False,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self.directory = absolute_path(directory)
        self.location = f"file:{os.path.realpath(self.directory)}"
        locks = Locks(checks.seconds("timeout", timeout, zero=True))
        sessions, users = _open_folders(
            self.directory, _folder_name(namespace), locks, checks.flag("fsync", fsync)
        )
        self._records = Records(sessions, clock)
        self._get = self._records.get
        self._users = Users(users, self._records.lives, clock)
        self._upkeep = Upkeep(self._records, self._users, clock)

    def __repr__(self) -> str:
        return f"<FileStore {self.directory!r} namespace={self.namespace!r}>"

    def close(self) -> None:
        """Close the directory; the files stay."""
        self._records.folder.close()
        self._users.folder.close()

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` for a file that is not ours."""
        check_key(key)
        # As `_tells` does, without its call: every request comes by here.
        try:
            return self._get(key)
        except OSError as error:
            raise _told(error) from error

    @_tells
    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key, or a file not of ours."""
        check_deadline(expires_at)
        return self._records.create(check_key(key), bytes(payload), expires_at, user_id)

    @_tells
    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        check_deadline(expires_at)
        return self._records.update(check_key(key), bytes(payload), version, expires_at)

    @_tells
    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_deadline(expires_at)
        return self._records.touch(check_key(key), version, expires_at)

    @_tells
    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        removed, owner = self._records.delete(check_key(key))
        # After the record, and under another lock: one lock at a time. A crash in between
        # leaves an entry without a record, which counts for `ADMISSION_GRACE` at most.
        if owner is not None:
            self._users.forget(owner, key)
        if user_id is not None and user_id != owner:
            self._users.forget(user_id, key)
        return removed

    @_tells
    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return self._users.entries(user_id)

    @_tells
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
        """Enter `key` into the user's index, as far as `limit` allows."""
        return self._users.admit(
            user_id, check_key(key), limit=limit, evict=evict, replaces=replaces
        )

    @_tells
    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live."""
        return self._users.confirm(user_id, key, epoch)

    @_tells
    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`, for the caller to end."""
        return self._users.revoke(user_id, keep)

    @_tells
    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there."""
        self._users.forget(user_id, key)

    @_tells
    def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries.

        Nothing else is removed but what writers were writing who died.
        """
        return self._upkeep.purge(limit)

    @_tells
    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return self._upkeep.claim_purge(interval)

    @_tells
    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return the next `count` live keys, in order, and the cursor of those that follow."""
        return self._upkeep.scan(cursor, count)

    @_tells
    def damaged(self) -> Sequence[str]:
        """Return the keys whose files do not begin as those of records do.

        They are left alone, and only their owner can say what they were. What is damaged further on
        is found when it is read.
        """
        return self._upkeep.damaged()


def _open_folders(directory: str, name: str, locks: Locks, fsync: bool) -> tuple[Folder, Folder]:
    """Make and open the folders of a namespace: that of its sessions and that of its users."""
    path = os.path.join(directory, name)
    root = open_directory(directory)
    try:
        inside = open_folder(root, name, path)
    finally:
        os.close(root)

    def open_part(part: str) -> Folder:
        place = os.path.join(path, part)
        return Folder(open_folder(inside, part, place), place, locks, fsync=fsync)

    try:
        return open_part("sessions"), open_part("users")
    finally:
        os.close(inside)


def _folder_name(namespace: str) -> str:
    """Return the folder of a namespace: its own name, or a hash where a disk may confuse two."""
    if _IS_FOLDER_NAME.fullmatch(namespace):
        return namespace
    return "=" + hashlib.sha256(namespace.encode()).hexdigest()[:32]
