"""A record as one ASCII string, for stores that keep one value under a name and nothing beside it.

Base64 of `"c1" | version 8 | deadline 8 | checksum 4 | payload`, big-endian; the deadline is a
double, infinity where there is none. The checksum is a CRC-32 of the name and of all the rest: it
finds what was cut short, changed by accident, or put under another name. It is no defence against
whoever may write to the store.
"""

from __future__ import annotations

import binascii
import math
import struct
import zlib
from typing import Final

from coatcheck.errors import CorruptRecord
from coatcheck.store.protocol import Stored

_HEAD: Final = struct.Struct(">2sQd")
_SUM: Final = struct.Struct(">I")
_START: Final = _HEAD.size + _SUM.size
_MAGIC: Final = b"c1"


def seal(name: str, record: Stored) -> str:
    """Return the record as a string of ASCII letters, digits, `+`, `/` and `=`."""
    deadline = math.inf if record.expires_at is None else record.expires_at
    head = _HEAD.pack(_MAGIC, record.version, deadline)
    checksum = _SUM.pack(_checksum(name, head, record.payload))
    text = binascii.b2a_base64(head + checksum + record.payload, newline=False)
    return text.decode("ascii")


def unseal(name: str, text: object) -> Stored:
    """Return the record in a string or in bytes; raise `CorruptRecord` where there is none."""
    if not isinstance(text, str | bytes | bytearray):
        raise CorruptRecord(f"the value is no string but a {type(text).__name__}")
    try:
        # A str with other than ASCII characters is a ValueError, as is what is not base64.
        data = binascii.a2b_base64(text, strict_mode=True)
        magic, version, deadline = _HEAD.unpack_from(data)
        (checksum,) = _SUM.unpack_from(data, _HEAD.size)
    except (ValueError, struct.error) as error:
        raise CorruptRecord("the value is not one that this store has written") from error
    payload = data[_START:]
    if magic != _MAGIC or checksum != _checksum(name, data[: _HEAD.size], payload):
        raise CorruptRecord("the value is not one that this store has written under this name")
    return Stored(version, None if deadline == math.inf else deadline, payload)


def _checksum(name: str, head: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(head, zlib.crc32(name.encode("ascii"))))
