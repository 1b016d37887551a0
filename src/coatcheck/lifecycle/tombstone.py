"""Tombstones: what keeps a replaced session's ID from being used, and leads on who may follow.

The successor's secret lies in one wrapped under the old secret (AES key wrap, RFC 3394), of which
the store has only a hash: a stolen store does not open it, and who holds the old ID does.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from coatcheck.errors import CorruptRecord
from coatcheck.ids import Identity
from coatcheck.layout import unpack
from coatcheck.lifecycle.rotating import current_identity
from coatcheck.lifecycle.visit import Held
from coatcheck.record import Content, Record, Tombstone
from coatcheck.runtime import Runtime
from coatcheck.store.protocol import Stored

MAX_CHAIN: Final = 10
"""How many replacements in a row a request in flight is followed through."""
_NO_WAY_ON: Final = bytes(24)


def tombstone_for(record: Record, old: Identity, new: Identity, now: float) -> Tombstone:
    """Make what takes the place of the record; without the old secret nobody can follow it."""
    rotation = record.rotation
    if rotation is not None and old.secret:
        # Another request may have rotated the secret since this one read the record.
        old = current_identity(old, record) or Identity(old.handle, b"")
    wrapped = aes_key_wrap(old.secret, new.secret) if old.secret else _NO_WAY_ON
    return Tombstone(record.secret_hash, record.user_id, now, new.handle, wrapped, rotation)


async def follow(
    runtime: Runtime, identity: Identity, grave: Tombstone
) -> tuple[Identity, Held] | None:
    """Follow tombstones to the live session at their end, unwrapping its secret on the way."""
    for _ in range(MAX_CHAIN):
        holder = current_identity(identity, grave)
        if holder is None:
            return None
        try:
            secret = aes_key_unwrap(holder.secret, grave.wrapped)
        except (InvalidUnwrap, ValueError):
            return None
        identity = Identity(grave.successor, secret)
        found = await look_up(runtime, identity.handle)
        current = None if found is None else current_identity(identity, found[1])
        if found is None or current is None:
            return None
        identity = current
        stored, content = found
        if isinstance(content, Record):
            if content.ended(runtime.clock()):
                return None
            try:
                content = runtime.opened(content, identity)
            except CorruptRecord as error:
                runtime.report(identity.handle, error)
                return None
            return identity, Held(stored.version, stored.expires_at, content)
        grave = content
    return None


async def look_up(runtime: Runtime, handle: str) -> tuple[Stored, Content] | None:
    """Return what lies in the store under a handle, and what it means.

    `None` where there is nothing, or what is no record of ours, which is an event.
    """
    try:
        stored = await runtime.store.get(handle)
        return None if stored is None else (stored, unpack(stored.payload))
    except CorruptRecord as error:
        runtime.report(handle, error)
        return None
