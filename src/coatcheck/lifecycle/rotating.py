"""When a visit rotates its session's secret, takes note of it, or sends it once more.

All three are one update of the record, on a write that happens anyway or in place of a touch that
is due; only the first request with a new secret writes where it would not have. Where another
request was faster, nothing is done: it, or the next one, does the same.
"""

from __future__ import annotations

from hmac import compare_digest
from math import inf
from typing import TYPE_CHECKING

from coatcheck.ids import Identity, secret_hash
from coatcheck.rotation import PARALLEL, SEND_INTERVAL, rotated

if TYPE_CHECKING:
    from coatcheck.lifecycle.visit import Visit
    from coatcheck.record import Content, Record


def presented(visit: Visit) -> bytes | None:
    """Return the secret half of the ID that the client sent for this record, if it sent one."""
    identity = visit.identity
    for candidate, claimed, _ in visit.verified:
        if candidate == visit.carried and identity and claimed.handle == identity.handle:
            return claimed.secret
    return None


def mind(visit: Visit, record: Record) -> None:
    """See to it that the commit of a visit that was just opened does what is due.

    From here on the visit's identity has the current secret, whichever the client sent. Where
    nothing slides, and so nothing is ever touched, a rotation has a time of its own.
    """
    rotation, rotates = record.rotation, visit.runtime.rotates
    still = visit.touch_at == inf and not visit.reissue
    if rotation is None:
        if rotates and still:
            visit.touch_at = record.anchor + visit.runtime.rotate_every
        return
    secret = presented(visit)
    if visit.identity is not None:
        visit.identity = current_identity(visit.identity, record)
    if secret is None or not rotates:
        return
    if compare_digest(secret_hash(secret), record.secret_hash):
        if rotation.seen_at is None:
            visit.touch_at = -inf
        elif still:
            visit.touch_at = rotation.rotated_at + visit.runtime.rotate_every
    elif still and rotation.seen_at is None:
        visit.touch_at = rotation.rotated_at + SEND_INTERVAL


def turned(visit: Visit, record: Record, now: float) -> tuple[Record, Identity | None]:
    """Return the record as it is to be written now, and the identity to be sent then, if any."""
    rotation = record.rotation
    begun = record.anchor if rotation is None else rotation.rotated_at
    ripe = now >= begun + visit.runtime.rotate_every
    unseen = rotation is not None and rotation.seen_at is None
    if not ripe and not unseen:
        return record, None  # nearly every time
    secret = presented(visit)
    if secret is None:
        return record, None
    digest = secret_hash(secret)
    if compare_digest(digest, record.secret_hash):
        if ripe and _reaches(visit):
            return _rotated(visit, record, secret, now)
        if rotation is not None and unseen:
            return record._replace(rotation=rotation._replace(seen_at=now)), None
    elif rotation is not None and unseen and compare_digest(digest, rotation.previous):
        lost = visit.begun >= rotation.rotated_at + PARALLEL
        if lost and _reaches(visit):
            identity = current_identity(Identity(_handle(visit), secret), record)
            return record._replace(rotation=rotation._replace(rotated_at=now)), identity
    return record, None


def _rotated(visit: Visit, record: Record, secret: bytes, now: float) -> tuple[Record, Identity]:
    """Return the record under a new secret, and the identity with that."""
    new = visit.runtime.signer.mint()._replace(handle=_handle(visit))
    sealer, sealing = visit.runtime.sealer, record.sealing
    if sealer is not None and sealing is not None:
        # Who has the previous secret has the current one in `rotation`, and so the data key.
        sealing = sealer.rewrapped(sealing, new.secret)
    turned = record._replace(
        secret_hash=secret_hash(new.secret),
        rotation=rotated(record.rotation, secret, new.secret, now),
        sealing=sealing,
    )
    return turned, new


def current_identity(identity: Identity, record: Content) -> Identity | None:
    """Return the identity with the record's current secret, to who has that or the previous one."""
    digest = secret_hash(identity.secret)
    if compare_digest(digest, record.secret_hash):
        return identity
    rotation = record.rotation
    if rotation is None or not compare_digest(digest, rotation.previous):
        return None
    secret = rotation.current(identity.secret)
    return None if secret is None else Identity(identity.handle, secret)


def _reaches(visit: Visit) -> bool:
    """Say whether a new ID can reach the client that sent this one."""
    state, request = visit.runtime.state, visit.request
    if request is None or visit.response_started or not state.sends:
        return False
    # Of several ways that an ID may come, some cannot be answered.
    reaches = getattr(state, "reaches", None)
    return reaches is None or bool(reaches(request, visit.carried))


def _handle(visit: Visit) -> str:
    return visit.identity.handle if visit.identity else ""
