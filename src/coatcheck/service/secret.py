"""A secret that a program on one machine makes for itself, once, and keeps in a file."""

from __future__ import annotations

import os
import secrets
import stat
from typing import Final

from coatcheck.errors import ConfigurationError
from coatcheck.keys import SHORTEST_SECRET

NAME: Final = "secret.key"
LONGEST: Final = 4096
"""How much of the file is read, in bytes; more is no secret."""

_SAFE: Final = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_OURS_ALONE: Final = 0o077


def kept_secret(directory: str) -> bytes:
    """Return the secret in `secret.key` in the directory; make one where there is no such file.

    Of several programs that make one at once, all return the same. Raises `ConfigurationError` for
    a file that is short, that others than its owner may use, or that cannot be read or made.
    """
    path = os.path.join(directory, NAME)
    try:
        try:
            return _read(path)
        except FileNotFoundError:
            _make_folder(directory)
            _make(path)
            return _read(path)
    except OSError as error:
        raise ConfigurationError(
            f"the secret {path!r} cannot be read or made ({error.strerror}): mend that, or give"
            " secret=..., a string of 32 characters or more"
        ) from error


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | _SAFE)
    try:
        _check(path, os.fstat(descriptor))
        secret = os.read(descriptor, LONGEST + 1).strip()
    finally:
        os.close(descriptor)
    if not SHORTEST_SECRET <= len(secret) <= LONGEST:
        raise ConfigurationError(
            f"{path!r} has {len(secret)} bytes, and a secret has {SHORTEST_SECRET} to {LONGEST}:"
            " restore it, or remove it, which ends all sessions"
        )
    return secret


def _check(path: str, found: os.stat_result) -> None:
    """Refuse a file that somebody else knows, or may have put there."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path!r} is no regular file: remove it, or give secret=...")
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path!r} belongs to the user {found.st_uid}, and this program runs as"
            f" {os.geteuid()}: run it as that user, or give secret=..."
        )
    if found.st_mode & _OURS_ALONE:
        raise ConfigurationError(
            f"others than its owner may use {path!r}, and so forge the ID of any session: remove"
            " it, which ends all sessions, or, if nobody can have read it, chmod 600"
        )


def _make_folder(folder: str) -> None:
    """Make the folder and those above it, where they are missing, for their owner alone."""
    if not os.path.isdir(folder):
        _make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # another program was faster, or it is no folder, which using it tells


def _make(path: str) -> None:
    """Make the file, whole or not at all: written under another name, then linked into place.

    A link, unlike a rename, replaces nothing, so the first of several programs wins.
    """
    new = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    try:
        try:
            os.write(descriptor, secrets.token_urlsafe(32).encode() + b"\n")
            # Sessions outlive a power cut, so their secret has to.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # another program was faster
    finally:
        os.unlink(new)
