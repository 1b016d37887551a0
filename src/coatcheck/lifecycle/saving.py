"""How a session's changes reach its record: compare-and-set, and merge where another was faster.

Only the keys that this request changed are applied, to the newest record; a clear is a barrier; and
a record that is gone is never written again. Nothing here creates a record.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any, Final

from coatcheck.cookies import MAX_AGE_LIMIT
from coatcheck.errors import CorruptRecord, SaveConflict, SessionTooLarge, StoreError
from coatcheck.events import KeyOverwritten, SessionMerged
from coatcheck.ids import Identity
from coatcheck.lifecycle.rotating import turned
from coatcheck.lifecycle.visit import Held, Visit, make_held
from coatcheck.record import Content, Merged, Record, Tombstone, merge
from coatcheck.runtime import MAX_CONFLICT_SECONDS, Runtime
from coatcheck.store.protocol import Conflict, Stored, Updated

RENEW_COOKIE: Final = MAX_AGE_LIMIT / 2
"""Where a session outlives its cookie, that is sent anew as each of these passes, in seconds."""


def encode(runtime: Runtime, visit: Visit) -> bytes:
    """Encode the view; raises `UnserializableValue` and `SessionTooLarge`, before any write."""
    data = runtime.codec.encode(visit.data())
    check_size(runtime, data)
    return data


def check_size(runtime: Runtime, data: bytes) -> None:
    """Raise `SessionTooLarge` where the encoded data is longer than `max_size`."""
    if len(data) > runtime.config.max_size:
        raise SessionTooLarge(len(data), runtime.config.max_size)


def amended(visit: Visit, record: Record) -> Record:
    """Return the record's metadata with what this request changed of it."""
    changes = visit.expiry
    if not changes:
        return record
    fields: dict[str, Any] = {
        name: changes[name] for name in ("idle", "persistent") if name in changes
    }
    deadline = record.deadline
    if "lifetime" in changes:
        lifetime = changes["lifetime"]
        deadline = None if lifetime is None else record.anchor + lifetime
    if deadline is not None and "least_lifetime" in changes:
        deadline = max(deadline, record.anchor + changes["least_lifetime"])
    fields["deadline"] = deadline
    return record._replace(**fields)


async def save(visit: Visit, *, force: bool = False) -> None:
    """Write what changed into the record; where nothing did, touch it if that is due.

    `force` writes an unchanged record too. A record that is gone, or was replaced, makes the visit
    `lose` what it changed. Raises `SaveConflict` after `MAX_CONFLICT_SECONDS` of conflicts.
    """
    runtime, held = visit.runtime, visit.held
    if held is None:
        return
    mine = encode(runtime, visit) if visit.written or visit.shared or visit.cleared else visit.base
    changed = visit.cleared or mine != visit.base
    reissue = visit.reissue and visit.touch_at == inf and visit.renew and runtime.state.sends
    if not (changed or visit.expiry or reissue or force):
        visit.settle()
        await touch(visit)
        return
    handle = handle_of(visit)
    give_up = 0.0
    new: Identity | None = None
    while True:
        now = runtime.clock()
        record = held.record
        if record.deadline is not None and now >= record.deadline:
            visit.lose("gone")
            return
        if changed and not visit.cleared and record.epoch != visit.epoch:
            visit.drop_data("cleared", mine)
            changed = False
            if not (visit.expiry or reissue or force):
                visit.hold(held)
                visit.settle()
                return
        try:
            record, merged = _next_record(visit, record, mine if changed else None)
        except CorruptRecord as error:
            runtime.report(handle, error)
            visit.lose("gone")
            return
        if runtime.rotates:
            record, new = turned(visit, record, now)
        slides = visit.expiry or (visit.renew and (changed or runtime.slides))
        expires_at = record.slide(now) if slides else held.expires_at
        outcome = await runtime.store.update(
            handle, runtime.pack(record), version=held.version, expires_at=expires_at
        )
        if isinstance(outcome, Updated):
            break
        if not isinstance(outcome, Conflict):
            visit.lose("gone")
            return
        current = _understand(visit, outcome.current)
        if current is None:
            return
        held = current
        give_up = give_up or monotonic() + MAX_CONFLICT_SECONDS
        if monotonic() > give_up:
            raise SaveConflict(
                "other requests kept changing this session for 2 s; the change was not saved"
            )
    if new is not None:
        visit.identity, visit.must_issue = new, True
    _note_saved(visit, make_held((outcome.version, expires_at, record)), held, mine, now)
    if merged is not None:
        report_merge(visit, merged)


def _next_record(visit: Visit, theirs: Record, mine: bytes | None) -> tuple[Record, Merged | None]:
    """Compose the record to write over `theirs`; `mine` is `None` where the data stays theirs."""
    runtime = visit.runtime
    record = amended(visit, theirs) if visit.expiry else theirs
    if mine is None:
        return record, None
    if visit.cleared:
        epoch = (theirs.epoch + 1) & 0xFFFF_FFFF  # it has four bytes in the store
        return record._replace(data=mine, codec=runtime.codec_number, epoch=epoch), None
    if theirs.data == visit.base:
        return record.with_data(mine, runtime.codec_number), None
    merged = merge(runtime.codec, visit.base, mine, runtime.data_of(theirs), runtime.config.resolve)
    check_size(runtime, merged.data)
    return record.with_data(merged.data, runtime.codec_number), merged


def report_merge(visit: Visit, merged: Merged) -> None:
    """Tell that a save met a newer version, and which keys it overwrote."""
    runtime, handle = visit.runtime, handle_of(visit)
    runtime.emit(SessionMerged(handle, merged.keys))
    for key in merged.overwritten:
        runtime.emit(KeyOverwritten(handle, key))


def _note_saved(visit: Visit, saved: Held, before: Held, mine: bytes, now: float) -> None:
    record, old = saved.record, before.record
    lifetime_changed = bool(visit.expiry) and (
        record.deadline != old.deadline or record.persistent != old.persistent
    )
    if visit.cleared:
        visit.epoch = record.epoch
    if lifetime_changed or visit.reissue or renews_cookie(before, now) or visit.runtime.in_client:
        visit.must_issue = True
        visit.reissue = False
    visit.base = mine
    visit.hold(saved)
    visit.settle()


def _understand(visit: Visit, current: Stored) -> Held | None:
    """Read the record that came first; where it cannot be built on, the visit loses."""
    content = read_again(visit.runtime, visit.identity, visit.held, current.payload)
    if content is None:
        visit.lose("gone")
        return None
    if isinstance(content, Tombstone):
        visit.lose("replaced")
        return None
    return Held(current.version, current.expires_at, content)


def read_again(
    runtime: Runtime, identity: Identity | None, held: Held | None, payload: bytes
) -> Content | None:
    """Return what lies now where `held` was read before; `None` is an event."""
    if identity is None or held is None:
        return None
    try:
        return runtime.understood(payload, identity, held.record.sealing)
    except CorruptRecord as error:
        runtime.report(identity.handle, error)
        return None


class NotTouched(StoreError):
    """The store failed in a touch, so that nothing is lost that the application did."""


async def touch(visit: Visit) -> bool:
    """Slide the deadline if an interval has passed; `False` where that was due and did not happen.

    A touch that fails proves nothing: another request may just have written, and so slid it. The
    next one is due an interval later. Raises `NotTouched`.
    """
    runtime, held = visit.runtime, visit.held
    now = runtime.clock()
    if held is None or now < visit.touch_at or not visit.renew:
        return True
    expires_at = held.record.slide(now)
    if runtime.rotates and not held.record.ended(now):
        record, new = turned(visit, held.record, now)
        if record is not held.record:
            return await _turn(visit, held, record, new)
        if not runtime.slides or record.idle is None:
            visit.touch_at = inf  # a rotation is due, which cannot reach the client from here
            return True
    if held.record.ended(now) or expires_at is None:
        return False
    handle = handle_of(visit)
    visit.touch_at = now + runtime.touch_interval(held.record.idle or inf)
    try:
        slid = await runtime.store.touch(handle, version=held.version, expires_at=expires_at)
    except StoreError as error:
        raise NotTouched(str(error)) from error
    if not slid:
        return False
    if visit.reissue or renews_cookie(held, now) or runtime.in_client:
        visit.must_issue = True
        visit.reissue = False
    visit.hold(Held(held.version, expires_at, held.record))
    return True


async def _turn(visit: Visit, held: Held, record: Record, new: Identity | None) -> bool:
    """Write, in place of a touch, the record whose secret was rotated, seen or is sent again.

    Where another request was faster, this one leaves it at that, and has nothing to send.
    """
    runtime, now = visit.runtime, visit.runtime.clock()
    expires_at = record.slide(now) if runtime.slides else held.expires_at
    visit.touch_at = now + runtime.touch_interval(record.idle or inf)
    try:
        outcome = await runtime.store.update(
            handle_of(visit), runtime.pack(record), version=held.version, expires_at=expires_at
        )
    except StoreError as error:
        raise NotTouched(str(error)) from error
    if not isinstance(outcome, Updated):
        return False
    if new is not None or visit.reissue or renews_cookie(held, now):
        visit.identity, visit.must_issue = new or visit.identity, True
        visit.reissue = False
    visit.hold(Held(outcome.version, expires_at, record))
    return True


def handle_of(visit: Visit) -> str:
    """Return the handle of the record that is behind the visit."""
    return visit.identity.handle if visit.identity else ""


def cookie_life(record: Record, now: float) -> int | None:
    """Return the Max-Age of the session's cookie in seconds; `None`: until the browser closes."""
    if not record.persistent:
        return None
    left = MAX_AGE_LIMIT if record.deadline is None else min(MAX_AGE_LIMIT, record.deadline - now)
    return max(0, int(left))


def renews_cookie(before: Held, now: float) -> bool:
    """Say whether a 200th day has passed since the session was last active, for a long session.

    Where nothing slides, the last activity is not known: then every save from that day on counts.
    """
    record = before.record
    if record.deadline is not None and record.deadline - record.created_at <= MAX_AGE_LIMIT:
        return False  # nearly every session
    if record.deadline is not None and record.deadline - record.anchor <= MAX_AGE_LIMIT:
        return False
    marks = (now - record.anchor) // RENEW_COOKIE
    if record.idle is None or before.expires_at is None:
        return marks >= 1
    return marks > (before.expires_at - record.idle - record.anchor) // RENEW_COOKIE
