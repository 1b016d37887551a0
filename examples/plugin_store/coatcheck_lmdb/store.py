"""The five verbs on LMDB. Each is one transaction, and LMDB has one writer at a time."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from math import inf, isfinite
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import lmdb

from coatcheck import CorruptRecord, StoreError
from coatcheck.clock import Clock, system_clock
from coatcheck.store import Conflict, Gone, Stored, Updated
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admission,
    IndexEntry,
    Refused,
    UpdateOutcome,
    check_key,
)
from coatcheck_lmdb.users import Users

_HEAD: Final = struct.Struct(">QdH")
_TIME: Final = struct.Struct(">d")


class _Environment:
    """An open LMDB environment. A process may open each only once, so stores share it."""

    def __init__(self, path: str, size: int) -> None:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without metasync a power cut may take the last moments with it, and damages nothing.
        self.lmdb = lmdb.open(path, map_size=size, mode=0o600, metasync=False, max_readers=512)


_open: WeakValueDictionary[str, _Environment] = WeakValueDictionary()
_opening = Lock()


def _forget_inherited() -> None:
    """Let a forked process open environments of its own: those of its parent are not for it."""
    global _opening
    _opening = Lock()
    for shared in list(_open.values()):
        del shared.lmdb
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)


class _Record(NamedTuple):
    """What lies under a key."""

    stored: Stored
    user_id: str | None


class LMDBStore:
    """Sessions in an LMDB environment, which is a folder on a local disk.

    Args:
        path: the folder; it is made where it is missing, for its owner alone.
        megabytes: the most that the environment may take, in MiB. It is address space, and takes
            no more of the disk than its sessions do.
        namespace: the namespace of the IDs.
        clock: the source of time.

    Raises:
        StoreError: where the folder cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        megabytes: int = 1024,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.path = os.path.realpath(path)
        self.location = f"lmdb:{self.path}"
        self.namespace = namespace
        self.clock = clock
        self._size = megabytes * 1024 * 1024
        self._users = Users(f"{namespace}\0u\0".encode(), f"{namespace}\0c".encode())
        self._kept: _Environment | None = None
        with self._trouble():
            self._environment()

    def __repr__(self) -> str:
        return f"<LMDBStore {self.path!r} namespace={self.namespace!r}>"

    # The verbs

    def get(self, key: str, /) -> Stored | None:
        """See `Store.get`."""
        name = self._name(key)
        with self._transaction(write=False) as work:
            record = self._live(work, name)
            return None if record is None else record.stored

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """See `Store.create`."""
        check_key(key)
        with self._transaction() as work:
            return self._create(work, key, Stored(1, expires_at, payload), user_id)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """See `Store.update`."""
        name = self._name(key)
        with self._transaction() as work:
            current = self._live(work, name)
            if current is None:
                return Gone()
            if current.stored.version != version:
                return Conflict(current.stored)
            _write(work, name, Stored(version + 1, expires_at, payload), current.user_id)
            return Updated(version + 1)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """See `Store.touch`."""
        name = self._name(key)
        with self._transaction() as work:
            current = self._live(work, name)
            if current is None or current.stored.version != version:
                return False
            end = current.stored.expires_at
            if end is not None and end < expires_at:
                moved = current.stored._replace(expires_at=expires_at)
                _write(work, name, moved, current.user_id)
            else:
                _check_deadline(expires_at)
            return True

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """See `Store.delete`."""
        name = self._name(key)
        with self._transaction() as work:
            try:
                record = _read(work, name)
            except CorruptRecord:
                record = None  # it goes too, and was no session
            work.delete(name)
            owner = user_id if record is None or record.user_id is None else record.user_id
            if owner is not None:
                self._users.forget(work, owner, key)
            return record.stored if record is not None and self._lives(record) else None

    # The index of a user's sessions

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """See `UserIndex.entries`."""
        with self._transaction(write=False) as work:
            return self._users.entries(work, user_id)

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
        """See `UserIndex.admit`."""
        check_key(key)
        if replaces is not None:
            check_key(replaces)
        with self._transaction() as work:
            return self._admit(work, user_id, key, limit, evict, replaces)

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
        """See `Enrols.enrol`."""
        check_key(key)
        with self._transaction() as work:
            admission = self._admit(work, user_id, key, limit, evict, None)
            if isinstance(admission, Refused):
                return admission
            if self._create(work, key, Stored(1, expires_at, payload), user_id):
                return admission
            work.abort()
            return None

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """See `UserIndex.confirm`."""
        check_key(key)
        with self._transaction() as work:
            return self._users.confirm(work, user_id, key, epoch)

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """See `UserIndex.revoke`."""
        with self._transaction() as work:
            return self._users.revoke(work, user_id, keep)

    def forget(self, user_id: str, key: str, /) -> None:
        """See `UserIndex.forget`."""
        check_key(key)
        with self._transaction() as work:
            self._users.forget(work, user_id, key)

    # Upkeep

    def purge(self, limit: int = 1000, /) -> int:
        """See `Purges.purge`."""
        removed = 0
        with self._transaction() as work:
            before = self.clock() - GARBAGE_AFTER
            for key in list(self._keys(work, "")):
                if removed == limit:
                    return removed
                try:
                    record = _read(work, self._name(key))
                except CorruptRecord:
                    continue
                if record is not None and (record.stored.expires_at or inf) <= before:
                    work.delete(self._name(key))
                    if record.user_id is not None:
                        self._users.forget(work, record.user_id, key)
                    removed += 1
            if removed < limit:
                self._users.forget_abandoned(
                    work, before, lambda key: work.get(self._name(key)) is not None
                )
            return removed

    def claim_purge(self, interval: float, /) -> bool:
        """See `Purges.claim_purge`."""
        name = f"{self.namespace}\0p".encode()
        with self._transaction() as work:
            now = self.clock()
            claimed = work.get(name)
            if claimed is not None and 0 <= now - _TIME.unpack(claimed)[0] < interval:
                return False
            work.put(name, _TIME.pack(now))
            return True

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """See `Scans.scan`."""
        if count < 1:
            raise ValueError("count must be 1 or more")
        page: list[str] = []
        with self._transaction(write=False) as work:
            for key in self._keys(work, "" if cursor is None else check_key(cursor)):
                try:
                    live = self._live(work, self._name(key)) is not None
                except CorruptRecord:
                    live = True  # who asks for it is told
                if live:
                    page.append(key)
                if len(page) == count:
                    return page, key
        return page, None

    def close(self) -> None:
        """Let go of the environment; it is closed with the last store that uses it."""
        self._kept = None

    # How it is kept

    def _create(
        self, work: lmdb.Transaction, key: str, stored: Stored, user_id: str | None
    ) -> bool:
        name = self._name(key)
        old = _read(work, name)
        if old is not None:
            if self._lives(old):
                return False
            if old.user_id is not None and old.user_id != user_id:
                self._users.forget(work, old.user_id, key)
        _write(work, name, stored, user_id)
        return True

    def _admit(
        self,
        work: lmdb.Transaction,
        user_id: str,
        key: str,
        limit: int | None,
        evict: bool,
        replaces: str | None,
    ) -> Admission:
        def lives(other: str) -> bool:
            return self._live(work, self._name(other)) is not None

        return self._users.admit(
            work,
            user_id,
            key,
            limit=limit,
            evict=evict,
            replaces=replaces,
            now=self.clock(),
            lives=lives,
        )

    def _name(self, key: str) -> bytes:
        return f"{self.namespace}\0r\0{check_key(key)}".encode()

    def _keys(self, work: lmdb.Transaction, after: str) -> Iterator[str]:
        """Yield the keys of all records behind that one, in order."""
        prefix = f"{self.namespace}\0r\0".encode()
        with work.cursor() as cursor:
            found = cursor.set_range(prefix + after.encode())
            while found and (name := bytes(cursor.key())).startswith(prefix):
                key = name[len(prefix) :].decode()
                if key != after:
                    yield key
                found = cursor.next()

    def _live(self, work: lmdb.Transaction, name: bytes) -> _Record | None:
        record = _read(work, name)
        return record if record is not None and self._lives(record) else None

    def _lives(self, record: _Record) -> bool:
        return record.stored.expires_at is None or self.clock() < record.stored.expires_at

    def _environment(self) -> lmdb.Environment:
        kept = self._kept
        if kept is None or not hasattr(kept, "lmdb"):
            with _opening:
                kept = _open.get(self.path)
                if kept is None:
                    kept = _open[self.path] = _Environment(self.path, self._size)
            self._kept = kept
        return kept.lmdb

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Generator[lmdb.Transaction]:
        with self._trouble(), self._environment().begin(write=write) as work:
            yield work

    @contextmanager
    def _trouble(self) -> Generator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"the LMDB environment {self.path} failed: {error}") from error


def _check_deadline(expires_at: float | None) -> None:
    if expires_at is not None and not isfinite(expires_at):
        raise ValueError("a deadline is a finite number of seconds since the epoch, or None")


def _read(work: lmdb.Transaction, name: bytes) -> _Record | None:
    found = work.get(name)
    if found is None:
        return None
    try:
        version, expires_at, length = _HEAD.unpack_from(found)
        start = _HEAD.size + length
        user = bytes(found[_HEAD.size : start]).decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecord(f"this is no record of ours: {error}") from error
    end = None if expires_at == inf else expires_at
    return _Record(Stored(version, end, bytes(found[start:])), user or None)


def _write(work: lmdb.Transaction, name: bytes, stored: Stored, user_id: str | None) -> None:
    _check_deadline(stored.expires_at)
    user = b"" if user_id is None else user_id.encode()
    end = inf if stored.expires_at is None else stored.expires_at
    work.put(name, _HEAD.pack(stored.version, end, len(user)) + user + bytes(stored.payload))
