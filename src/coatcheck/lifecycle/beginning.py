"""How records begin: that of a visitor for whom something is stored, and what all begin with."""

from __future__ import annotations

from typing import Final

from coatcheck.errors import StoreError
from coatcheck.events import SessionCreated
from coatcheck.ids import Identity, secret_hash
from coatcheck.lifecycle.saving import amended, encode
from coatcheck.lifecycle.visit import Held, Visit, make_held
from coatcheck.record import Record, make_record
from coatcheck.runtime import Runtime
from coatcheck.sealing import Sealing

MAX_COLLISIONS: Final = 3
"""How many new handles are tried; a second collision of 128 random bits means broken randomness."""


async def begin(visit: Visit) -> None:
    """Create the record of a new anonymous session, in which something was stored."""
    runtime = visit.runtime
    data = encode(runtime, visit)
    now = runtime.clock()
    for _ in range(MAX_COLLISIONS):
        identity = visit.identity or runtime.signer.mint()
        sealing = None if runtime.sealer is None else runtime.sealer.fresh(identity)
        record = amended(visit, fresh_record(runtime, identity, None, data, now, sealing))
        expires_at = record.slide(now)
        if await runtime.store.create(
            identity.handle, runtime.pack(record), expires_at=expires_at, user_id=None
        ):
            break
        visit.identity = None
    else:
        raise StoreError(
            f"{MAX_COLLISIONS} new handles in a row were taken: is the randomness broken?"
        )
    take_over(visit, identity, make_held((1, expires_at, record)), data)
    if runtime.emit.wants(SessionCreated):
        runtime.emit(SessionCreated(identity.handle))


def fresh_record(
    runtime: Runtime,
    identity: Identity,
    user_id: str | None,
    data: bytes,
    now: float,
    sealing: Sealing | None,
) -> Record:
    """Compose the record of a session that begins now."""
    config = runtime.config
    lifetime = config.lifetime
    return make_record(
        (
            secret_hash(identity.secret),
            user_id,
            0,
            now,
            None if user_id is None else now,
            config.expire,
            None if lifetime is None else now + lifetime,
            runtime.persistent,
            runtime.codec_number,
            data,
            sealing,
            None,
        )
    )


def take_over(visit: Visit, identity: Identity, held: Held, mine: bytes) -> None:
    """Make the visit one of the new session, whose ID is to be sent."""
    visit.identity = identity
    visit.buried = visit.tombstone = visit.replacement = None
    visit.hold(held)
    visit.base = mine
    visit.epoch = held.record.epoch
    visit.reissue = False
    visit.must_issue = True
    visit.settle()
