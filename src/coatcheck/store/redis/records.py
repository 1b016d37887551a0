"""A record as one string in Redis, so that one GET reads it and one key is all that it takes.

`"r1" | version 8 | deadline 8 | token 8 | horizon 8 | length of user 2 | user | payload`,
big-endian; a deadline is a double, infinity where there is none. The token is that of the write
that made the version: a client that sends a command again because its answer was lost finds its
own. Until the horizon the user's index is sure to outlive the record.
"""

from __future__ import annotations

import os
import struct
from math import inf, isnan
from typing import Final

from coatcheck.errors import CorruptRecord
from coatcheck.store.protocol import Stored, make_stored
from coatcheck.store.redis.keys import HORIZON

MAGIC: Final = b"r1"
_HEAD: Final = struct.Struct(">2sQd8sdH")
_SIZE: Final = _HEAD.size
_DOUBLE: Final = struct.Struct(">d")
_VERSION: Final = struct.Struct(">Q")
_ALL_BITS: Final = 0xFFFFFFFFFFFFFFFF

pack_time: Final = _DOUBLE.pack
_pack_head: Final = _HEAD.pack
_unpack_head: Final = _HEAD.unpack_from


def new_token() -> bytes:
    """Return eight bytes by which a write knows its own work."""
    return os.urandom(8)


def first(payload: bytes, expires_at: float | None, user_id: str | None, token: bytes) -> bytes:
    """Return the value of a new record."""
    user = b"" if user_id is None else user_id.encode("utf-8", "surrogatepass")
    return _value(1, payload, expires_at, token, user)


def following(version: int, payload: bytes, expires_at: float | None) -> bytes:
    """Return the value that a record's next version has where the record is nobody's."""
    return _value((version + 1) & _ALL_BITS, payload, expires_at, new_token(), b"")


def successor(
    known: bytes, payload: bytes, version: int, expires_at: float | None, now: float
) -> bytes | None:
    """Return the value that follows a known one of a record.

    `None` where that is not of the version, or not live, or where the user's index is to be kept
    for longer first.
    """
    _magic, at, before, _token, horizon, length = _unpack_head(known)
    if at != version or now >= before:
        return None
    deadline = inf if expires_at is None else expires_at
    if not length:
        horizon = deadline + HORIZON
    elif deadline > horizon:
        return None
    head = _pack_head(MAGIC, (version + 1) & _ALL_BITS, deadline, new_token(), horizon, length)
    return head + known[_SIZE : _SIZE + length] + payload


def _value(
    version: int, payload: bytes, expires_at: float | None, token: bytes, user: bytes
) -> bytes:
    deadline = inf if expires_at is None else expires_at
    head = _pack_head(MAGIC, version, deadline, token, deadline + HORIZON, len(user))
    return head + user + payload if user else head + payload


def pack_version(version: int) -> bytes:
    """Return a version as it lies in a value; one that cannot be is equal to none that is."""
    return _VERSION.pack(version & _ALL_BITS)


def horizon(expires_at: float | None) -> float:
    """Return until when the index of a user is to be kept for a record with that deadline."""
    return inf if expires_at is None else expires_at + HORIZON


def parse(value: bytes) -> Stored:
    """Return the record in a value; raise `CorruptRecord` where there is none."""
    try:
        magic, version, deadline, _token, _horizon, length = _unpack_head(value)
    except struct.error:
        raise CorruptRecord("the value is too short to be a record of this store") from None
    if magic != MAGIC or isnan(deadline) or len(value) < _SIZE + length:
        raise CorruptRecord("the value is not one that this store has written")
    return make_stored((version, None if deadline == inf else deadline, value[_SIZE + length :]))


def live(value: bytes | None, now: float) -> Stored | None:
    """Return the live record in a value, `None` where there is no value or it has expired."""
    if value is None:
        return None
    record = parse(value)
    return record if record.expires_at is None or now < record.expires_at else None


def user_of(value: bytes) -> bytes:
    """Return whose the record in a value is, as in the name of the index; empty: nobody's."""
    length: int = _unpack_head(value)[5]
    return value[_SIZE : _SIZE + length]


DEADLINE_AT: Final = ("10", "17")
"""Where in a value the deadline lies, as GETRANGE takes it."""
NO_DEADLINE: Final = pack_time(inf)


def is_live(deadline: bytes, now: float) -> bool:
    """Say whether a record with these bytes at `DEADLINE_AT` is live; none: there is no record."""
    if len(deadline) != _DOUBLE.size:
        return False
    (at,) = _DOUBLE.unpack(deadline)
    return bool(now < at)
