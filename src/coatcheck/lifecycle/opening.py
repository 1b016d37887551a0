"""How what a client sent becomes a session: verified, then looked up, then judged.

An ID that we did not sign never reaches the store. What the store has is a session only to who
knows its secret; everything else is anonymous, and an event. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, NamedTuple

from coatcheck.drivers import run_now
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.events import (
    AmbiguousID,
    IDRejected,
    SecretReused,
    SessionExpired,
    StoreFailed,
    UnknownID,
    WrongSecret,
)
from coatcheck.ids import Identity, secret_hash
from coatcheck.layout import unpack
from coatcheck.lifecycle.rotating import current_identity, mind
from coatcheck.lifecycle.visit import Claim, Ending, Held, Phase, Visit, make_held
from coatcheck.record import Content, Record, Tombstone
from coatcheck.rotation import Standing
from coatcheck.runtime import Runtime
from coatcheck.state.candidates import MOST_CANDIDATES
from coatcheck.store.protocol import Stored

MOST_ASKED: Final = 2
"""How many well-signed IDs of one request the store is asked about; with more it is nobody's."""


def identify(visit: Visit) -> None:
    """Find the well-signed IDs that the client sent, unless that is done; ask no store."""
    if visit.candidates is not None:
        return
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
    identify(visit)
    met: list[Met] = []
    try:
        for _, identity, _ in _to_be_asked(visit):
            met.append(await meet(visit.runtime, identity))
    except StoreError as error:
        _go_on_without(visit, error)
        return
    _choose(visit, met)


def open_now(visit: Visit) -> None:
    """Do the same where the store's `get` never suspends, or has nothing to be asked for."""
    identify(visit)
    if not visit.verified:
        visit.become_new()  # most visitors
        return
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
    """Open the session of a handle that no client sent, or open it anew; `False`: there is none."""
    met = await meet(visit.runtime, identity, visit.held)
    if not isinstance(met, Held):
        return False
    visit.identity = identity
    visit.adopt(met)
    return True


class Former(NamedTuple):
    """What the store has for who came with a secret that is not the current one."""

    identity: Identity
    stored: Stored
    content: Content


Met = Held | Tombstone | Former | None


async def meet(runtime: Runtime, identity: Identity, held: Held | None = None) -> Met:
    """Ask the store what the handle stands for, for who knows the secret; `None` is an event.

    Without a secret (an administrator's handle) nothing is compared; nor where the session is
    `held` already, whose secret may have been rotated since.
    """
    if runtime.get_now is not None:
        return _meet_now(runtime, identity, runtime.get_now, held)
    try:
        return _judge(runtime, identity, await runtime.store.get(identity.handle), held)
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


def _meet_now(
    runtime: Runtime,
    identity: Identity,
    get: Callable[[str], Stored | None],
    held: Held | None = None,
) -> Met:
    try:
        return _judge(runtime, identity, get(identity[0]), held)
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


def _judge(
    runtime: Runtime, identity: Identity, stored: Stored | None, held: Held | None = None
) -> Met:
    """Say what a stored record is to who came with that identity; raises `CorruptRecord`."""
    handle, secret = identity
    if stored is None:
        runtime.emit(UnknownID(handle))
        return None
    version, expires_at, payload = stored
    content = unpack(payload)
    if secret and not compare_digest(secret_hash(secret), content.secret_hash) and held is None:
        if content.rotation is not None:
            return Former(identity, stored, content)
        runtime.emit(WrongSecret(handle))
        return None
    if type(content) is not Record or runtime.sealer is not None:
        if isinstance(content, Tombstone):
            runtime.emit(UnknownID(handle))
            return content
        content = runtime.opened(content, identity, held.record.sealing if held else None)
    now = runtime.clock()
    if content.created_at > now or (content.signed_in_at or 0.0) > now:
        content = content.as_of(now)
    if content.deadline is not None and now >= content.deadline:
        runtime.emit(SessionExpired(handle))
        return None
    return make_held((version, expires_at, content))


def _to_be_asked(visit: Visit) -> Sequence[Claim]:
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


def _choose(visit: Visit, met: Sequence[Met], *, late: bool = False) -> None:
    """Decide what the visit is: the one live session, or nobody's.

    `late` says that one of the IDs was retired while the request was under way.
    """
    claims = visit.verified
    if len(met) == 1 and isinstance(lone := met[0], Held):
        _enter(visit, claims[0], lone)  # nearly every request that brings an ID
        return
    live: tuple[Claim, Held] | None = None
    grave: Tombstone | None = None
    buried: Identity | None = None
    ambiguous = len(claims) > MOST_ASKED
    for claim, found in zip(claims, met, strict=False):
        if isinstance(found, Held):
            ambiguous = live is not None
            live, visit.carried = (claim, found), claim[0]
        elif isinstance(found, Former):
            weighed, late = _weighed(visit, met)
            _choose(visit, weighed, late=late)
            return
        elif found is not None and found.mutes(visit.begun):
            grave, buried = found, claim[1]
    if live is not None and not ambiguous:
        _enter(visit, *live)
        return
    if ambiguous:
        handles = tuple(identity.handle for _, identity, _ in claims)
        visit.runtime.emit(AmbiguousID(handles))
        grave, late = None, False
    visit.become_new()
    if grave is not None or late:
        visit.phase = Phase.MUTE
        visit.buried, visit.tombstone = buried, grave


def _enter(visit: Visit, claim: Claim, held: Held) -> None:
    """Make the visit one of the session that the ID stands for."""
    visit.carried, visit.identity, current = claim
    visit.reissue = not current
    visit.adopt(held)
    if visit.runtime.rotates or held.record.rotation is not None:
        mind(visit, held.record)


def _weighed(visit: Visit, met: Sequence[Met]) -> tuple[Sequence[Met], bool]:
    """Judge the former secrets among what was met; say too whether one was only late.

    Who brings the current secret as well, in two cookies say, is no thief.
    """
    runtime, late = visit.runtime, False
    known = {
        identity.handle
        for (_, identity, _), found in zip(visit.verified, met, strict=False)
        if isinstance(found, Held)
    }
    weighed: list[Met] = []
    stolen: list[Former] = []
    for found in met:
        if not isinstance(found, Former):
            weighed.append(found)
            continue
        rotation, handle = found.content.rotation, found.identity.handle
        accepted: Met = None
        standing = rotation.standing(found.identity.secret, visit.begun) if rotation else None
        if handle in known:
            pass
        elif standing is Standing.ACCEPTED:
            accepted = _accept(runtime, found)
            if isinstance(accepted, Held):
                known.add(handle)
        elif standing is Standing.STOLEN and isinstance(found.content, Record):
            stolen.append(found)
        elif standing is Standing.LATE:
            late = True
            runtime.emit(UnknownID(handle))
        else:
            runtime.emit(WrongSecret(handle))
        weighed.append(accepted)
    for former in stolen:
        if former.identity.handle not in known:
            _raise_alarm(visit, former)
    return weighed, late


def _accept(runtime: Runtime, former: Former) -> Met:
    """Return what the store has for who came with the previous secret, which is still accepted."""
    identity = current_identity(former.identity, former.content)
    if identity is None:
        runtime.emit(WrongSecret(former.identity.handle))
        return None
    try:
        return _judge(runtime, identity, former.stored)
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


def _raise_alarm(visit: Visit, former: Former) -> None:
    """Tell that a session's ID was stolen; the commit ends what is to be ended."""
    handle, user_id = former.identity.handle, former.content.user_id
    visit.runtime.emit(SecretReused(handle, user_id))
    if visit.runtime.config.on_theft != "event":
        visit.endings.append(Ending(handle, user_id, "stolen"))
