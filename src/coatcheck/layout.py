"""How a record or a tombstone becomes the bytes that a store keeps, and back.

There are two layouts of the same fields, told apart by their first byte: a compact binary one, and
text in two lines for codecs that people read. Both carry a checksum and the length of the data, for
bytes that decode are not yet bytes that were written.
"""

from __future__ import annotations

import json
import re
import struct
from binascii import a2b_base64, b2a_base64
from math import isfinite
from typing import Final, cast
from zlib import crc32

from coatcheck.errors import CorruptRecord
from coatcheck.record import Content, Tombstone, make_record, sealed_record
from coatcheck.rotation import Rotation

# Binary: magic, kind and flags, codec, hash, epoch, created, signed in, idle, deadline, lengths of
# user and data; then user, rotation, data, CRC-32 of all before.
_MAGIC: Final = b"\xcc\x01"
_HEAD: Final = struct.Struct(">2sBB32sIddddHI")
_HEAD_SIZE: Final = _HEAD.size
_head: Final = _HEAD.unpack_from
_GRAVE: Final = struct.Struct(">2sB32sd16s24sH")
_TURN: Final = struct.Struct(">32s24sdd32sd")
_CRC: Final = struct.Struct("<I")
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything that ends in its own CRC-32, least significant byte first."""
_TOMBSTONE, _PERSISTENT, _USER, _SIGNED_IN, _IDLE, _DEADLINE = 1, 2, 4, 8, 16, 32
_ROTATION, _SEALED = 64, 128

_HIGHEST, _CODECS, _LONGEST_USER = 0xFFFF_FFFF, 0xFF, 0xFFFF
"""The limits of the binary layout: what one of them cannot hold is no record in the other."""

# Text: one line of named fields in a fixed order, then the data as it is. The CRC-32 is that of all
# that follows it. `none` stands for None, and a user's name is quoted as in JSON.
_TIME: Final = r"(none|[0-9.e+-]{1,24})"
_TEXT: Final = b"coatcheck/1 crc32="
_TEXT_HEAD: Final = len(_TEXT) + 9
_RECORD_LINE: Final = re.compile(
    r"session bytes=([0-9]{1,10}) codec=([0-9]{1,3}) epoch=([0-9]{1,10}) keep=(yes|no)"
    rf" created={_TIME} signed_in={_TIME} idle={_TIME} deadline={_TIME}"
    r'( sealed=base64)?( rotated=[0-9a-f]{224})? secret_sha256=([0-9a-f]{64}) user=(none|"[^\n]*")'
).fullmatch
_GRAVE_LINE: Final = re.compile(
    rf"replaced at={_TIME} by=([0-9a-f]{{32}}) wrapped=([0-9a-f]{{48}})"
    r'( rotated=[0-9a-f]{224})? secret_sha256=([0-9a-f]{64}) user=(none|"[^\n]*")'
).fullmatch


def pack(content: Content, *, text: bool) -> bytes:
    """Turn a record or a tombstone into the payload that a store keeps."""
    if text:
        return _pack_text(content)
    if isinstance(content, Tombstone):
        return _pack_grave(content)
    (
        digest,
        user_id,
        epoch,
        created,
        signed_in,
        idle,
        deadline,
        persistent,
        codec,
        data,
        sealing,
        rotation,
    ) = content
    flags, user, size = _PERSISTENT if persistent else 0, b"", len(data)
    if user_id is not None:
        flags, user = flags | _USER, user_id.encode()
    if signed_in is not None:
        flags |= _SIGNED_IN
    if idle is not None:
        flags |= _IDLE
    if deadline is not None:
        flags |= _DEADLINE
    if rotation is not None:
        flags |= _ROTATION
    if sealing is not None:
        flags, size = flags | _SEALED, sealing.size(size)
    head = _HEAD.pack(
        _MAGIC,
        flags,
        codec,
        digest,
        epoch,
        created,
        signed_in or 0.0,
        idle or 0.0,
        deadline or 0.0,
        len(user),
        size,
    )
    if user:
        head += user
    if rotation is not None:
        head += _pack_turn(rotation)
    if sealing is not None:
        data = sealing.seal(data, head)
    return b"".join((head, data, _CRC.pack(crc32(data, crc32(head)))))


def _pack_grave(grave: Tombstone) -> bytes:
    flags, rest = _TOMBSTONE, b""
    if grave.user_id is not None:
        flags, rest = flags | _USER, grave.user_id.encode()
    users = len(rest)
    if grave.rotation is not None:
        flags, rest = flags | _ROTATION, rest + _pack_turn(grave.rotation)
    head = _GRAVE.pack(
        _MAGIC,
        flags,
        grave.secret_hash,
        grave.buried_at,
        bytes.fromhex(grave.successor),
        grave.wrapped,
        users,
    )
    body = head + rest
    return body + _CRC.pack(crc32(body))


def _pack_turn(rotation: Rotation) -> bytes:
    previous, wrapped, rotated_at, seen_at, retired, retired_at = rotation
    return _TURN.pack(previous, wrapped, rotated_at, seen_at or 0.0, retired, retired_at)


def _unpack_turn(payload: bytes, start: int) -> Rotation:
    previous, wrapped, rotated_at, seen_at, retired, retired_at = _TURN.unpack_from(payload, start)
    if not isfinite(rotated_at + seen_at + retired_at):
        raise CorruptRecord("a time does not fit")
    # The zeros stand for none: no time, and no hash that anybody has found a secret of.
    before = retired if retired_at else b""
    return Rotation(previous, wrapped, rotated_at, seen_at or None, before, retired_at)


def unpack(payload: bytes) -> Content:
    """Turn a payload back; raises `CorruptRecord` for anything that `pack` did not make.

    A record whose data is encrypted is a `SealedRecord`.
    """
    if payload[:2] != _MAGIC or crc32(payload) != _RESIDUE or len(payload) < _HEAD_SIZE:
        if payload[:1] == _TEXT[:1]:
            return _unpack_text(payload)
        raise CorruptRecord("the checksum does not match, or this is no record of ours")
    flags = payload[2]
    try:
        if flags & _TOMBSTONE:
            return _unpack_grave(payload, flags)
        _, _, codec, digest, epoch, created, signed_in, idle, deadline, users, length = _head(
            payload
        )
        named = start = _HEAD_SIZE + users
        rotation = None
        if flags & _ROTATION:
            rotation, start = _unpack_turn(payload, named), named + _TURN.size
        if len(payload) != start + length + 4 or not isfinite(
            created + signed_in + idle + deadline
        ):
            raise CorruptRecord("a length or a time does not fit")
        fields = (
            digest,
            payload[_HEAD_SIZE:named].decode() if flags & _USER else None,
            epoch,
            created,
            signed_in if flags & _SIGNED_IN else None,
            idle if flags & _IDLE else None,
            deadline if flags & _DEADLINE else None,
            flags & _PERSISTENT != 0,
            codec,
            payload[start:-4],
            payload[:start] if flags & _SEALED else None,
            rotation,
        )
        return sealed_record(fields) if flags & _SEALED else make_record(fields)
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecord(f"the fields do not fit: {error}") from error


def _unpack_grave(payload: bytes, flags: int) -> Tombstone:
    _, _, digest, buried_at, successor, wrapped, users = _GRAVE.unpack_from(payload)
    end, rotation = _GRAVE.size + users, None
    user = payload[_GRAVE.size : end].decode() if flags & _USER else None
    if flags & _ROTATION:
        rotation, end = _unpack_turn(payload, end), end + _TURN.size
    if len(payload) != end + 4 or not isfinite(buried_at):
        raise CorruptRecord("a length or a time does not fit")
    return Tombstone(digest, user, buried_at, successor.hex(), wrapped, rotation)


def _pack_text(content: Content) -> bytes:
    user = "none" if content.user_id is None else json.dumps(content.user_id)
    owner = f"secret_sha256={content.secret_hash.hex()} user={user}"
    if content.rotation is not None:
        owner = f"rotated={_pack_turn(content.rotation).hex()} {owner}"
    data = b""
    if isinstance(content, Tombstone):
        line = (
            f" replaced at={content.buried_at!r} by={content.successor}"
            f" wrapped={content.wrapped.hex()} {owner}\n"
        )
    else:
        data, sealing = content.data, content.sealing
        size = len(data) if sealing is None else (sealing.size(len(data)) + 2) // 3 * 4
        times = (content.created_at, content.signed_in_at, content.idle, content.deadline)
        created, signed_in, idle, deadline = ("none" if at is None else repr(at) for at in times)
        line = (
            f" session bytes={size} codec={content.codec} epoch={content.epoch}"
            f" keep={'yes' if content.persistent else 'no'} created={created}"
            f" signed_in={signed_in} idle={idle} deadline={deadline}"
            f"{'' if sealing is None else ' sealed=base64'} {owner}\n"
        )
        if sealing is not None:
            data = b2a_base64(sealing.seal(data, line.encode()), newline=False)
    rest = line.encode() + data
    return b"%b%08x%b" % (_TEXT, crc32(rest), rest)


def _unpack_text(payload: bytes) -> Content:
    rest = payload[_TEXT_HEAD - 1 :]
    if payload[: _TEXT_HEAD - 1] != b"%b%08x" % (_TEXT, crc32(rest)):
        raise CorruptRecord("the checksum does not match, or this is no record of ours")
    try:
        head, _, data = rest.partition(b"\n")
        line = head[1:].decode("ascii")
        if found := _RECORD_LINE(line):
            size, codec, epoch, keep, created, signed_in, idle, deadline = found.groups()[:8]
            sealed, turned, digest, user = found.groups()[8:]
            if int(size) != len(data) or created == "none":
                raise CorruptRecord("a length or a time does not fit")
            if int(epoch) > _HIGHEST or int(codec) > _CODECS:
                raise CorruptRecord("a number does not fit")
            fields = (
                bytes.fromhex(digest),
                _read_user(user),
                int(epoch),
                _read_time(created) or 0.0,
                _read_time(signed_in),
                _read_time(idle),
                _read_time(deadline),
                keep == "yes",
                int(codec),
                _read_envelope(data) if sealed else data,
                head + b"\n" if sealed else None,
                _read_turn(turned),
            )
            return sealed_record(fields) if sealed else make_record(fields)
        if (found := _GRAVE_LINE(line)) and not data:
            at, successor, wrapped, turned, digest, user = found.groups()
            return Tombstone(
                bytes.fromhex(digest),
                _read_user(user),
                _read_time(at) or 0.0,
                successor,
                bytes.fromhex(wrapped),
                _read_turn(turned),
            )
    except ValueError as error:
        raise CorruptRecord(f"the fields do not fit: {error}") from error
    raise CorruptRecord("the fields are not those of a record of this version")


def _read_time(text: str) -> float | None:
    if text == "none":
        return None
    time = float(text)
    if not isfinite(time):
        raise ValueError("a time is not finite")
    return time


def _read_turn(text: str | None) -> Rotation | None:
    return _unpack_turn(bytes.fromhex(text[-2 * _TURN.size :]), 0) if text else None


def _read_envelope(text: bytes) -> bytes:
    envelope = a2b_base64(text, strict_mode=True)
    if b2a_base64(envelope, newline=False) != text:
        raise ValueError("the envelope is spelled otherwise than we write it")
    return envelope


def _read_user(text: str) -> str | None:
    if text == "none":
        return None
    user = cast("str", json.loads(text))
    if len(user.encode()) > _LONGEST_USER:
        raise ValueError("the user is too long")
    return user
