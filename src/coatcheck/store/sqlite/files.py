"""The files of a SQLite store: made for their owner alone, and never somebody else's.

What cannot be used raises `ConfigurationError`, and nothing is changed in it. A database file that
may be open in this process is looked at with `lstat` only: to close a file of one's own on it would
drop the locks that SQLite holds on it ("How To Corrupt An SQLite Database File", 2.2).
"""

from __future__ import annotations

import os
import stat
from typing import Final, TypeAlias

from coatcheck.errors import ConfigurationError

Inode: TypeAlias = tuple[int, int]
"""Device and number of a file: what tells it from another one under the same name."""

SIDECARS: Final = ("-wal", "-shm", "-journal")
"""What SQLite appends to the name of a database for the files that it keeps beside it."""

_POSIX: Final = os.name == "posix"
_NEW_FILE: Final = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)


def absolute_path(path: str | os.PathLike[str]) -> str:
    """Return the path of a database file as an absolute one, so that `chdir` changes nothing."""
    name = os.fspath(path)
    if not isinstance(name, str) or not name or "\0" in name:  # pyright: ignore[reportUnnecessaryIsInstance] : options come from files and environments
        raise ConfigurationError("the path of a SQLite store must be a string that is not empty")
    if name.startswith(":memory:"):
        raise ConfigurationError(
            "a SQLite database in memory is one per connection, so sessions would come and go:"
            " write store='memory://' or MemoryStore()"
        )
    return os.path.abspath(name)


def make_folder(folder: str) -> None:
    """Make the folder and those above it, for their owner alone; refuse one open to everybody."""
    try:
        if not os.path.isdir(folder):
            above = os.path.dirname(folder)
            if above != folder:
                make_folder(above)
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                # Another process was faster, or it is no folder, which stat tells below.
                pass
        found = os.stat(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder!r} of the SQLite store cannot be made or reached"
            f" ({error.strerror}): name a path in a folder that this program may write to"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{folder!r} is no folder: name another path for the SQLite store")
    # In a folder that everybody may write to, everybody may put another file in our file's place.
    if _POSIX and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise ConfigurationError(
            f"everybody may write to {folder!r}, and so replace the sessions in it:"
            f" chmod o-w {folder!r}, or name a path in another folder"
        )


def make_file(path: str) -> None:
    """Make an empty file for its owner alone, whatever the umask, unless something is there."""
    try:
        descriptor = os.open(path, _NEW_FILE, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"the SQLite store cannot make {path!r} ({error.strerror}): name a path in a folder"
            " that this program may write to"
        ) from error
    try:
        if _POSIX:
            # A umask may take the owner's own bits away as well.
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def look_at(path: str) -> os.stat_result:
    """Return what `lstat` says of a database file: a regular one of our own, no symbolic link.

    Raises `OSError` where nothing is there.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise ConfigurationError(
            f"{path!r} is {kind}: name the database file itself as the path of the SQLite store"
        )
    if _POSIX and found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path!r} belongs to the user {found.st_uid}, and this program runs as"
            f" {os.geteuid()}: run it as that user, or name another path for the SQLite store"
        )
    return found


def check_private(path: str) -> None:
    """Refuse files that others may read or write, beside the database file too."""
    for name in (path, *(path + suffix for suffix in SIDECARS)):
        try:
            found = look_at(name)
        except FileNotFoundError:
            continue
        if _POSIX and found.st_mode & 0o077:
            raise ConfigurationError(
                f"others than its owner may use {name!r}, which holds sessions: chmod 600 {name!r}"
            )


def inode(found: os.stat_result) -> Inode:
    """Return what tells the file from another one under the same name."""
    return found.st_dev, found.st_ino
