"""What is kept of one session, and how two versions of it become one: pure functions.

A record holds no usable session ID: only the SHA-256 of its secret half. The sliding deadline is
not part of it, for it moves without rewriting the record; it lies beside the version in the store.
A tombstone stands for ten minutes where `login` or `regenerate` ended a record, so that what is in
flight under the old ID neither writes nor reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

from coatcheck.codecs import Codec
from coatcheck.config import Resolver
from coatcheck.rotation import Rotation
from coatcheck.sealing import Sealing
from coatcheck.tuples import maker

TOMBSTONE_LIFE: Final = 600.0
"""Seconds for which a tombstone stands."""
UNREADABLE: Final = -1
"""Takes the place of a codec's number where the data cannot be decrypted without the client."""
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
    sealing: Sealing | None = None
    """How the data is encrypted where it is written; `None`: it is not."""
    rotation: Rotation | None = None
    """Which secrets it had before the current one; `None`: none."""

    def __repr__(self) -> str:
        # A traceback with local variables, as error trackers send it, has no visitor's data in it.
        return f"<Record of {len(self.data)} bytes, user_id={self.user_id!r}, epoch={self.epoch}>"

    @property
    def anchor(self) -> float:
        """The time from which `lifetime` counts: the latest login, else the creation."""
        return self.created_at if self.signed_in_at is None else self.signed_in_at

    def slide(self, now: float) -> float | None:
        """Return the sliding deadline of a session that is active at `now`."""
        return self.deadline if self.idle is None else now + self.idle

    def with_data(self, data: bytes, codec: int) -> Record:
        """Return the record with other data; five times as fast as `_replace`."""
        return make_record((*self[:8], codec, data, *self[10:]))

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


make_record: Final = maker(Record)


class SealedRecord(Record):
    """A record as it is stored encrypted: its `data` is the envelope, and nothing is proved yet.

    It is good for reading what it says beside its data. `Sealer.open` makes a `Record` of it.
    """

    __slots__ = ()

    @property
    def bound(self) -> bytes:
        """The bytes of the payload that the envelope is bound to, in the place of `sealing`."""
        return cast("bytes", self[10])


sealed_record: Final = maker(SealedRecord)


class Tombstone(NamedTuple):
    """What stands in the place of a record that `login` or `regenerate` ended."""

    secret_hash: bytes
    user_id: str | None
    buried_at: float
    successor: str
    """The handle of the record that came after."""
    wrapped: bytes
    """The successor's secret, wrapped under the old one: of use only to who holds the old ID."""
    rotation: Rotation | None = None
    """That of the record, for requests that were in flight under the secret before."""

    def mutes(self, begun: float) -> bool:
        """Say whether a request begun at that time was in flight when the record ended."""
        return begun < self.buried_at + MUTE_FOR


Content: TypeAlias = Record | Tombstone


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
