"""How what a client sent becomes a session: verified, then looked up, then judged.

An ID that we did not sign never reaches the store. What the store has is a session only to who
knows its secret; everything else is anonymous, and an event. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final

from coatcheck.drivers import run_now
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.events import (
    AmbiguousID,
    IDRejected,
    SessionExpired,
    StoreFailed,
    UnknownID,
    WrongSecret,
)
from coatcheck.ids import Identity, secret_hash
from coatcheck.layout import unpack
from coatcheck.record import Record, Tombstone
from coatcheck.runtime import Runtime
from coatcheck.state.candidates import MOST_CANDIDATES
from coatcheck.store.protocol import Stored
from coatcheck.visit import Claim, Held, Phase, Visit, make_held

MOST_ASKED: Final = 2
"""How many well-signed IDs of one request the store is asked about; with more it is nobody's."""


def identify(visit: Visit) -> None:
    """Find the well-signed IDs that the client sent, without asking the store."""
    runtime = visit.runtime
    found = runtime.state.extract(visit.request) if visit.request is not None else None
    candidates: Sequence[str] = (found,) if isinstance(found, str) else found or ()
    visit.candidates = candidates
    if not candidates:
        return
    visit.carried = candidates[0]
    if len(candidates) > MOST_CANDIDATES:
        runtime.emit(IDRejected("too-many"))
        return
    verify = runtime.signer.verify
    verified: list[Claim] = []
    for candidate in candidates:
        known = verify(candidate)
        if known is not None:
            identity, current = known
            if not verified or all(identity != other for _, other, _ in verified):
                verified.append((candidate, identity, current))
    if not verified:
        runtime.emit(IDRejected("signature"))
    visit.verified = verified


async def open_visit(visit: Visit) -> None:
    """Find the session that the client came with, in at most two store calls."""
    if visit.runtime.get_now is not None:
        open_now(visit)
        return
    met: list[Met] = []
    try:
        for _, identity, _ in _to_be_asked(visit):
            met.append(await meet(visit.runtime, identity))
    except StoreError as error:
        _go_on_without(visit, error)
        return
    _choose(visit, met)


def open_now(visit: Visit) -> None:
    """Do the same where the store's `get` never suspends."""
    get = visit.runtime.get_now
    if get is None:
        run_now(open_visit(visit))
        return
    met: list[Met] = []
    try:
        for _, identity, _ in _to_be_asked(visit):
            met.append(_meet_now(visit.runtime, identity, get))
    except StoreError as error:
        _go_on_without(visit, error)
        return
    _choose(visit, met)


async def find(visit: Visit, identity: Identity) -> bool:
    """Open the session of a handle that no client sent; `False` if there is none."""
    met = await meet(visit.runtime, identity)
    if not isinstance(met, Held):
        return False
    visit.identity = identity
    visit.adopt(met)
    return True


Met = Held | Tombstone | None


async def meet(runtime: Runtime, identity: Identity) -> Met:
    """Ask the store what the handle stands for, for who knows the secret; `None` is an event.

    Without a secret (an administrator's handle) nothing is compared.
    """
    if runtime.get_now is not None:
        return _meet_now(runtime, identity, runtime.get_now)
    try:
        return _judge(runtime, identity, await runtime.store.get(identity.handle))
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


def _meet_now(runtime: Runtime, identity: Identity, get: Callable[[str], Stored | None]) -> Met:
    try:
        return _judge(runtime, identity, get(identity[0]))
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


def _judge(runtime: Runtime, identity: Identity, stored: Stored | None) -> Met:
    """Say what a stored record is to who came with that identity; raises `CorruptRecord`."""
    handle, secret = identity
    if stored is None:
        runtime.emit(UnknownID(handle))
        return None
    version, expires_at, payload = stored
    content = unpack(payload)
    if secret and not compare_digest(secret_hash(secret), content.secret_hash):
        runtime.emit(WrongSecret(handle))
        return None
    if type(content) is not Record or runtime.sealer is not None:
        if isinstance(content, Tombstone):
            runtime.emit(UnknownID(handle))
            return content
        content = runtime.opened(content, identity)
    now = runtime.clock()
    if content.created_at > now or (content.signed_in_at or 0.0) > now:
        content = content.as_of(now)
    if content.deadline is not None and now >= content.deadline:
        runtime.emit(SessionExpired(handle))
        return None
    return make_held((version, expires_at, content))


def _to_be_asked(visit: Visit) -> Sequence[Claim]:
    if visit.candidates is None:
        identify(visit)
    return visit.verified if len(visit.verified) <= MOST_ASKED else ()


def _go_on_without(visit: Visit, error: StoreError) -> None:
    """Serve a request without its session, if that is wanted; else raise the error.

    Only a request: whoever asks a manager is to know that the store was not read.
    """
    runtime = visit.runtime
    if runtime.config.on_store_error == "fail" or visit.request is None:
        raise error
    runtime.emit(StoreFailed(str(error)))
    identity = visit.verified[0][1]
    visit.become_new()
    visit.phase, visit.buried = Phase.UNREADABLE, identity


def _choose(visit: Visit, met: Sequence[Met]) -> None:
    """Decide what the visit is: the one live session, or nobody's."""
    claims = visit.verified
    live: Held | None = None
    grave: Tombstone | None = None
    buried: Identity | None = None
    ambiguous = len(claims) > MOST_ASKED
    for (candidate, identity, current), found in zip(claims, met, strict=False):
        if isinstance(found, Held):
            ambiguous = live is not None
            live = found
            visit.carried, visit.identity, visit.reissue = candidate, identity, not current
        elif found is not None and found.mutes(visit.begun):
            grave, buried = found, identity
    if live is not None and not ambiguous:
        visit.adopt(live)
        return
    if ambiguous:
        handles = tuple(identity.handle for _, identity, _ in claims)
        visit.runtime.emit(AmbiguousID(handles))
        grave = None
    visit.become_new()
    if grave is not None:
        visit.phase = Phase.MUTE
        visit.buried, visit.tombstone = buried, grave
