"""A folder of files in 256 shards, with a lock each; files are only ever replaced as a whole.

Whoever changes files of a shard holds its lock. Reading takes none: `os.replace` swaps whole files.
Nobody holds two locks at a time, so no two ever wait for each other.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.store.file.locks import Held, Locks

CHUNK: Final = 16_384
"""How much a first read asks for, in bytes: `os.read` allocates what it is asked for."""

_SHARDS: Final = frozenset(f"{number:02x}" for number in range(256))

_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_READ: Final = os.O_RDONLY | _FLAGS
_CHANGE: Final = os.O_RDWR | _FLAGS
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
_LIST: Final = _READ | getattr(os, "O_DIRECTORY", 0)

_NO_FILE: Final = (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.ENODEV)
"""A symbolic link, a folder opened for writing, a socket or a pipe, a device without a driver."""


class Folder:
    """An open folder of files whose names begin with two hex digits, those of their shard."""

    def __init__(self, descriptor: int, path: str, locks: Locks, *, fsync: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self._locks = locks
        self._fsync = fsync
        self._known: set[str] = set()
        found = os.fstat(descriptor)
        self._identity = (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Close the folder; whatever is asked of it afterwards raises `OSError`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    def read(self, name: str, *, whole: bool = True) -> bytes | None:
        """Read a file, no link and never waiting; `None` where nothing is there.

        Unless it is to be read `whole`, its beginning will do, of `CHUNK` bytes. Raises
        `CorruptRecord` if it is no regular file of its own.
        """
        descriptor = self._open(name, _READ)
        if descriptor is None:
            return None
        try:
            data = begin_to_read(descriptor)
            if whole and len(data) == CHUNK:
                parts = [data]
                while chunk := os.read(descriptor, 1 << 20):
                    parts.append(chunk)
                return b"".join(parts)
            return data
        finally:
            os.close(descriptor)

    def open_for_change(self, name: str) -> int | None:
        """Open a file for writing in its place. The caller holds the lock of its shard."""
        return self._open(name, _CHANGE)

    def _open(self, name: str, flags: int) -> int | None:
        shard = name[:2]
        if shard not in self._known and not self._know(shard):
            return None
        try:
            return os.open(f"{shard}/{name}", flags, dir_fd=self._descriptor)
        except FileNotFoundError:
            self._check_presence()
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                raise CorruptRecord(f"{name} is no regular file") from error
            raise

    def locked(self, shard: str) -> Held:
        """Return the lock of a shard, to be held by a `with` statement.

        Entering it raises `StoreError` if the lock is not free within the timeout.
        """
        return Held(self._locks, self._open_lock, shard, self.path)

    def _open_lock(self, shard: str) -> int:
        name = f"{shard}/lock"
        if shard not in self._known:
            self._make(shard)
        try:
            return os.open(name, _CHANGE, dir_fd=self._descriptor)
        except FileNotFoundError:
            self._make(shard)
            return os.open(name, _CHANGE | os.O_CREAT, 0o600, dir_fd=self._descriptor)

    def replace(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all. The caller holds the lock of its shard."""
        shard, directory = name[:2], self._descriptor
        new = f"{shard}/new"
        try:
            descriptor = os.open(new, _CREATE, 0o600, dir_fd=directory)
        except FileExistsError:
            # Whoever was writing it died: nobody else writes here without the lock.
            self.tidy(shard)
            descriptor = os.open(new, _CREATE, 0o600, dir_fd=directory)
        try:
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                if self._fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(new, f"{shard}/{name}", src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            self.tidy(shard)
            raise
        if self._fsync:
            self._settle(shard)

    def remove(self, name: str) -> None:
        """Remove a file. The caller holds the lock of its shard."""
        os.unlink(f"{name[:2]}/{name}", dir_fd=self._descriptor)
        if self._fsync:
            self._settle(name[:2])

    def tidy(self, shard: str) -> None:
        """Remove what somebody was writing who died. The caller holds the lock of the shard."""
        try:
            os.unlink(f"{shard}/new", dir_fd=self._descriptor)
        except FileNotFoundError:
            pass

    def unfinished(self) -> list[str]:
        """Return the shards in which a file is being written, or was by somebody who died."""
        return [shard for shard in self.shards() if self._exists(f"{shard}/new")]

    def _exists(self, path: str) -> bool:
        try:
            os.stat(path, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def shards(self) -> list[str]:
        """Return the shards that are there, in order."""
        descriptor = os.open(".", _LIST, dir_fd=self._descriptor)
        try:
            return sorted(_SHARDS.intersection(os.listdir(descriptor)))
        finally:
            os.close(descriptor)

    def names(self, shard: str) -> list[str]:
        """Return the names in a shard, in order; none where there is no such shard."""
        try:
            descriptor = os.open(shard, _LIST, dir_fd=self._descriptor)
        except FileNotFoundError:
            self._check_presence()
            return []
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def _settle(self, shard: str) -> None:
        """Have the disk know what the shard now contains."""
        descriptor = os.open(shard, _LIST, dir_fd=self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _make(self, shard: str) -> None:
        try:
            os.mkdir(shard, 0o700, dir_fd=self._descriptor)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._check_presence()
            raise
        self._know(shard)

    def _know(self, shard: str) -> bool:
        """Say whether the shard is there; raise `StoreError` if it is no folder of our own.

        Once is enough: only its owner can put another one in its place.
        """
        try:
            found = os.stat(shard, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            self._check_presence()
            return False
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not ours or found.st_mode & 0o022:
            raise StoreError(
                f"{self.path}/{shard} is not the folder that the store has made, which its owner"
                " alone may change: find out who has put it there, then remove it"
            )
        self._known.add(shard)
        return True

    def _check_presence(self) -> None:
        """Raise `StoreError` where the folder itself is no longer what lies under its path.

        Else a session would be missing, or saved where nobody looks, and nobody would know why.
        """
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise self._vanished() from error
        if (found.st_dev, found.st_ino) != self._identity:
            raise self._vanished()

    def _vanished(self) -> StoreError:
        return StoreError(
            f"the folder {self.path!r} was removed or replaced while it was in use: put it back,"
            " or restart the program, which then makes a new one"
        )


def begin_to_read(descriptor: int) -> bytes:
    """Read the beginning of an open file; raise `CorruptRecord` unless it is regular and its own.

    A second name (a hard link) may be anywhere, so the file may be somebody else's (CWE-62).
    """
    try:
        data = os.read(descriptor, CHUNK)
    except (IsADirectoryError, BlockingIOError) as error:
        raise CorruptRecord("there is no regular file") from error
    found = os.fstat(descriptor)
    if found.st_nlink > 1 or not stat.S_ISREG(found.st_mode):
        raise CorruptRecord("there is no regular file with one name")
    return data
