"""Making and checking the folders of a file store, for their owner alone."""

from __future__ import annotations

import os
import stat

from coatcheck.errors import ConfigurationError

OPEN_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def absolute_path(directory: str | os.PathLike[str]) -> str:
    """Return the directory as an absolute path, so that `chdir` changes nothing."""
    name = os.fspath(directory)
    if not isinstance(name, str) or not name or "\0" in name:  # pyright: ignore[reportUnnecessaryIsInstance] : options come from files and environments
        raise ConfigurationError(
            "the directory of a file store must be a path that is not empty, such as"
            " FileStore('/var/lib/myapp/sessions')"
        )
    return os.path.abspath(name)


def open_directory(path: str) -> int:
    """Make the directory and those above it where they are missing; return its descriptor.

    Raises `ConfigurationError` for one that others may change (CVE-2020-24583, CVE-2020-24584), a
    symbolic link, or one that this program cannot use.
    """
    try:
        _make(path)
        found = os.lstat(path)
    except OSError as error:
        raise _unusable(path, error) from error
    if stat.S_ISLNK(found.st_mode):
        raise ConfigurationError(
            f"{path!r} is a symbolic link: name the folder itself, {os.path.realpath(path)!r}"
        )
    return _open(path, None, path)


def open_folder(parent: int, name: str, path: str) -> int:
    """Make the folder in an open one where it is missing; return its descriptor.

    `path` is how messages call it. Raises `ConfigurationError` as `open_directory` does.
    """
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    return _open(name, parent, path)


def _make(path: str) -> None:
    """Make the directory and those above it, each 0700 from the first instant."""
    if os.path.lexists(path):
        return
    above = os.path.dirname(path)
    if above != path:
        _make(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        # Another process was faster, or it is no folder, which opening it tells.
        pass


def _open(name: str, parent: int | None, path: str) -> int:
    try:
        descriptor = os.open(name, OPEN_FOLDER, dir_fd=parent)
    except NotADirectoryError as error:
        raise ConfigurationError(
            f"{path!r} is no folder: name another directory for the file store"
        ) from error
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _check(path, os.fstat(descriptor))
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            raise ConfigurationError(
                f"this program may not write to {path!r}: chmod u+rwx {path!r}, mount its disk"
                " writable, or name another directory for the file store"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: str, found: os.stat_result) -> None:
    """Refuse a folder in which others may replace files."""
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path!r} belongs to the user {found.st_uid}, and this program runs as"
            f" {os.geteuid()}: run it as that user, or name another directory"
        )
    if found.st_mode & 0o022:
        raise ConfigurationError(
            f"others may write to {path!r}, and so replace the sessions in it: chmod 700 {path!r}"
        )


def _unusable(path: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the folder {path!r} of the file store cannot be made or opened ({error.strerror}):"
        " name a directory that this program may write to"
    )
