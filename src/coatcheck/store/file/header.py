"""The first line of a record's file: all that the store itself knows of the record.

    coatcheck 1 <key> <deadline> <version> <size> <checksum> <user> <checksum of this line>

The payload follows as it is. The line has no other spaces; the deadline is padded to a fixed width,
so that a touch can write the line anew in its place. The key is in it because a copy of a file
under another name is no record of that name.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple
from zlib import crc32

from coatcheck.errors import CorruptRecord
from coatcheck.tuples import maker

LIMIT: Final = 16_384
"""The longest header, in bytes, so that one read brings it; only a user ID can be as long."""

_FORMAT: Final = b"coatcheck"
_VERSION: Final = b"1"
_NEVER: Final = b"never"
_NOBODY: Final = b"-"


class Header(NamedTuple):
    """What stands in the first line of a record's file."""

    key: str
    expires_at: float | None
    version: int
    size: int
    """The length of the payload in bytes."""
    checksum: bytes
    """CRC-32 of the payload: against truncation and damage, not against forgers."""
    user: bytes
    """The user as JSON without spaces, or `-`."""

    @property
    def user_id(self) -> str | None:
        """Whose index the record belongs to."""
        if self.user == _NOBODY:
            return None
        user_id: str = json.loads(self.user)
        return user_id


make_header: Final = maker(Header)


def checksum(data: bytes) -> bytes:
    """Return the CRC-32 of `data` as eight hex digits."""
    return b"%08x" % crc32(data)


def begin(key: str, payload: bytes, expires_at: float | None, user_id: str | None) -> Header:
    """Return the header of a new record; raise `ValueError` for a user ID beyond all measure."""
    # Escapes instead of spaces, so that the line can be split at its spaces.
    user = json.dumps(user_id).replace(" ", "\\u0020").encode() if user_id is not None else _NOBODY
    if len(user) > LIMIT - 256:
        raise ValueError(f"a user ID takes at most {LIMIT - 256} bytes here, not {len(user)}")
    return make_header((key, expires_at, 1, len(payload), checksum(payload), user))


def follow(header: Header, payload: bytes, expires_at: float | None) -> Header:
    """Return the header of the next version."""
    key, _, version, _, _, user = header
    return make_header((key, expires_at, version + 1, len(payload), checksum(payload), user))


def encode(header: Header) -> bytes:
    """Return the header as a line; headers that differ in the deadline alone have one length."""
    key, expires_at, version, size, check, user = header
    deadline = _NEVER if expires_at is None else b"%r" % float(expires_at)
    line = b"%b %b %b %-24b %d %d %b %b " % (
        _FORMAT,
        _VERSION,
        key.encode(),
        deadline,
        version,
        size,
        check,
        user,
    )
    return b"%b%08x\n" % (line, crc32(line))


def decode(key: str, line: bytes) -> Header:
    """Return the header that a line shows, without its line end.

    Raises `CorruptRecord` for anything but what `encode` has written for that very key.
    """
    try:
        name, form, found, deadline, version, size, check, user, line_check = line.split()
        if name != _FORMAT or form != _VERSION or found != key.encode():
            raise CorruptRecord("the file begins with the header of something else")
        if line_check != b"%08x" % crc32(line[:-8]):
            raise CorruptRecord("the header of the file is damaged")
        expires_at = None if deadline == _NEVER else float(deadline)
        return make_header((key, expires_at, int(version), int(size), check, user))
    except ValueError as error:
        raise CorruptRecord("the file does not begin with a header") from error
