"""What is kept of one session, how it becomes bytes, how two versions become one: pure functions.

A stored payload is either a `Record` or a `Tombstone`. A record holds no usable session ID: only
the SHA-256 of its secret half. The sliding deadline is not part of it, for it moves without
rewriting the payload; it lies beside the version in the store. A tombstone stands for ten minutes
where `login` or `regenerate` ended a record, so that what is in flight under the old ID neither
writes nor reads.

There are two layouts of the same fields, told apart by their first byte: a compact binary one, and
text in two lines for codecs that people read. Both carry a checksum and the length of the data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias, cast
from zlib import crc32

from coatcheck.codecs import Codec
from coatcheck.config import Resolver
from coatcheck.errors import CorruptRecord

TOMBSTONE_LIFE: Final = 600.0
"""Seconds for which a tombstone stands."""
MUTE_FOR: Final = 5.0
"""A request begun before the tombstone's time + this (s) was in flight: anonymous and mute."""


class Record(NamedTuple):
    """One session, as stored."""

    secret_hash: bytes
    user_id: str | None
    epoch: int
    """How often the session was cleared; a save from before the latest clear drops its data."""
    created_at: float
    signed_in_at: float | None
    idle: float | None
    """The idle timeout in seconds; `None`: it never expires by idleness."""
    deadline: float | None
    """The absolute deadline, in seconds since the epoch; `None`: there is none."""
    persistent: bool
    """Whether the client keeps the ID when it closes."""
    codec: int
    data: bytes

    @property
    def anchor(self) -> float:
        """The time from which `lifetime` counts: the latest login, else the creation."""
        return self.created_at if self.signed_in_at is None else self.signed_in_at

    def slide(self, now: float) -> float | None:
        """Return the sliding deadline of a session that is active at `now`."""
        return self.deadline if self.idle is None else now + self.idle

    def with_data(self, data: bytes, codec: int) -> Record:
        """Return the record with other data; five times as fast as `_replace`."""
        return _make_record((*self[:8], codec, data))

    def ended(self, now: float) -> bool:
        """Say whether the absolute deadline has come; at the deadline it has."""
        return self.deadline is not None and now >= self.deadline

    def as_of(self, now: float) -> Record:
        """Return the record with a start in the future moved to `now` (a clock was wrong)."""
        ahead = self.anchor - now
        if ahead <= 0.0:
            return self
        return self._replace(
            created_at=min(self.created_at, now),
            signed_in_at=None if self.signed_in_at is None else now,
            deadline=None if self.deadline is None else self.deadline - ahead,
        )


# A third of what calling the class of a named tuple costs.
_make_record: Final[Callable[[Iterable[Any]], Record]] = partial(
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    Record,
)


class Tombstone(NamedTuple):
    """What stands in the place of a record that `login` or `regenerate` ended."""

    secret_hash: bytes
    user_id: str | None
    buried_at: float
    successor: str
    """The handle of the record that came after."""
    wrapped: bytes
    """The successor's secret, wrapped under the old one: of use only to who holds the old ID."""

    def mutes(self, begun: float) -> bool:
        """Say whether a request begun at that time was in flight when the record ended."""
        return begun < self.buried_at + MUTE_FOR


Content: TypeAlias = Record | Tombstone

# Binary: magic, kind and flags, codec, hash, epoch, created, signed in, idle, deadline, lengths of
# user and data; then user, data, CRC-32 of all before.
_MAGIC: Final = b"\xcc\x01"
_HEAD: Final = struct.Struct(">2sBB32sIddddHI")
_HEAD_SIZE: Final = _HEAD.size
_head: Final = _HEAD.unpack_from
_GRAVE: Final = struct.Struct(">2sB32sd16s24sH")
_CRC: Final = struct.Struct("<I")
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything that ends in its own CRC-32, least significant byte first."""
_TOMBSTONE, _PERSISTENT, _USER, _SIGNED_IN, _IDLE, _DEADLINE = 1, 2, 4, 8, 16, 32

_TEXT: Final = b'{"coatcheck":1,"crc32":"'
_TEXT_HEAD: Final = len(_TEXT) + 10


def pack(content: Content, *, text: bool) -> bytes:
    """Turn a record or a tombstone into the payload that a store keeps."""
    if text:
        return _pack_text(content)
    user = b"" if content.user_id is None else content.user_id.encode()
    flags = 0 if content.user_id is None else _USER
    if isinstance(content, Tombstone):
        head = _GRAVE.pack(
            _MAGIC,
            flags | _TOMBSTONE,
            content.secret_hash,
            content.buried_at,
            bytes.fromhex(content.successor),
            content.wrapped,
            len(user),
        )
        body = head + user
        return body + _CRC.pack(crc32(body))
    _, _, epoch, created_at, signed_in_at, idle, deadline, persistent, codec, data = content
    if persistent:
        flags |= _PERSISTENT
    if signed_in_at is not None:
        flags |= _SIGNED_IN
    if idle is not None:
        flags |= _IDLE
    if deadline is not None:
        flags |= _DEADLINE
    head = _HEAD.pack(
        _MAGIC,
        flags,
        codec,
        content.secret_hash,
        epoch,
        created_at,
        signed_in_at or 0.0,
        idle or 0.0,
        deadline or 0.0,
        len(user),
        len(data),
    )
    body = b"%b%b%b" % (head, user, data)
    return body + _CRC.pack(crc32(body))


def unpack(payload: bytes) -> Content:
    """Turn a payload back; raises `CorruptRecord` for anything that `pack` did not make."""
    if payload[:1] == b"{":
        return _unpack_text(payload)
    if crc32(payload) != _RESIDUE or payload[:2] != _MAGIC or len(payload) < _HEAD_SIZE:
        raise CorruptRecord("the checksum does not match, or this is no record of ours")
    flags = payload[2]
    try:
        if flags & _TOMBSTONE:
            return _unpack_grave(payload, flags)
        _, _, codec, digest, epoch, created, signed_in, idle, deadline, users, length = _head(
            payload
        )
        start = _HEAD_SIZE + users
        if len(payload) != start + length + 4 or not isfinite(
            created + signed_in + idle + deadline
        ):
            raise CorruptRecord("a length or a time does not fit")
        return _make_record(
            (
                digest,
                payload[_HEAD_SIZE:start].decode() if flags & _USER else None,
                epoch,
                created,
                signed_in if flags & _SIGNED_IN else None,
                idle if flags & _IDLE else None,
                deadline if flags & _DEADLINE else None,
                flags & _PERSISTENT != 0,
                codec,
                payload[start:-4],
            )
        )
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecord(f"the fields do not fit: {error}") from error


def _unpack_grave(payload: bytes, flags: int) -> Tombstone:
    _, _, digest, buried_at, successor, wrapped, users = _GRAVE.unpack_from(payload)
    if len(payload) != _GRAVE.size + users + 4 or not isfinite(buried_at):
        raise CorruptRecord("a length or a time does not fit")
    user = payload[_GRAVE.size : -4].decode() if flags & _USER else None
    return Tombstone(digest, user, buried_at, successor.hex(), wrapped)


def _pack_text(content: Content) -> bytes:
    fields: dict[str, Any] = content._asdict()
    fields["secret_hash"] = content.secret_hash.hex()
    data = b""
    if isinstance(content, Tombstone):
        fields["wrapped"] = content.wrapped.hex()
    else:
        data = fields.pop("data")
        fields["size"] = len(data)
    rest = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()[1:] + b"\n" + data
    return b'%b%08x",%b' % (_TEXT, crc32(rest), rest)


def _unpack_text(payload: bytes) -> Content:
    rest = payload[_TEXT_HEAD:]
    if payload[:_TEXT_HEAD] != b'%b%08x",' % (_TEXT, crc32(rest)):
        raise CorruptRecord("the checksum does not match, or this is no record of ours")
    line, newline, data = rest.partition(b"\n")
    try:
        fields = cast("dict[str, Any]", json.loads(b"{" + line))
        size = fields.pop("size", None)
        fields["secret_hash"] = bytes.fromhex(fields["secret_hash"])
        if size is None:
            fields["wrapped"] = bytes.fromhex(fields["wrapped"])
            grave = Tombstone(**fields)
            content: Content = grave
            times: tuple[float, ...] = (grave.buried_at,)
        else:
            kept = Record(**fields, data=data)
            moments = (kept.created_at, kept.signed_in_at, kept.idle, kept.deadline)
            content, times = kept, tuple(moment for moment in moments if moment is not None)
        sound = newline and (size is None or size == len(data))
        if not sound or not all(isfinite(time) for time in times):
            raise CorruptRecord("a length or a time does not fit")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptRecord(f"the fields do not fit: {error}") from error
    return content


class _Missing:
    """The value of a key that is not there."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""What a resolver sees, and may return, for a key that is not there."""


class Merged(NamedTuple):
    """The outcome of a merge."""

    data: bytes
    keys: tuple[str, ...]
    """The keys that were applied onto theirs."""
    overwritten: tuple[str, ...]
    """Among them those that both had changed, and nothing resolved."""


def _values(codec: Codec, data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    values = codec.decode(data)
    return values, {key: codec.encode_value(key, value) for key, value in values.items()}


def difference(codec: Codec, base: bytes, mine: bytes) -> tuple[str, ...]:
    """Return the keys whose encoded values differ, among them those that are in one only."""
    if base == mine:
        return ()
    _, old = _values(codec, base)
    _, new = _values(codec, mine)
    return tuple(key for key in {**old, **new} if old.get(key) != new.get(key))


def merge(
    codec: Codec, base: bytes, mine: bytes, theirs: bytes, resolve: Mapping[str, Resolver]
) -> Merged:
    """Apply what changed between `base` and `mine` onto `theirs`, key by key.

    A removed key is a change like any other. Where both changed a key, its resolver decides, of
    equal changes too: two requests that both count from 1 to 2 make 3. Without one, mine wins.
    What a resolver raises passes through.
    """
    base_values, old = _values(codec, base)
    mine_values, new = _values(codec, mine)
    merged, current = _values(codec, theirs)
    applied: list[str] = []
    overwritten: list[str] = []
    for key in {**old, **new}:
        before, after, now = old.get(key), new.get(key), current.get(key)
        resolver = resolve.get(key)
        if before == after or (after == now and resolver is None):
            continue
        value = mine_values.get(key, MISSING)
        if now != before:
            if resolver is not None:
                value = resolver(base_values.get(key, MISSING), value, merged.get(key, MISSING))
            else:
                overwritten.append(key)
        applied.append(key)
        if value is MISSING:
            merged.pop(key, None)
        else:
            merged[key] = value
    return Merged(codec.encode(merged), tuple(applied), tuple(overwritten))


def restrict(codec: Codec, data: bytes, keep: frozenset[str] | None) -> bytes:
    """Return the data with only the keys in `keep`; all of them where that is `None`."""
    if keep is None:
        return data
    values = codec.decode(data)
    return codec.encode({key: values[key] for key in values if key in keep})
