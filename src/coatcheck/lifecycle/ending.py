"""How a session ends, whoever ends it: its record is removed, and so is what replaced it."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from coatcheck.errors import StoreError
from coatcheck.events import SessionRevoked
from coatcheck.lifecycle.tombstone import look_up
from coatcheck.record import Record
from coatcheck.runtime import Runtime
from coatcheck.store.protocol import ADMISSION_GRACE, Admitted


async def end_record(
    runtime: Runtime, handle: str, user_id: str | None, *, evicted: bool = False
) -> Record | None:
    """Remove the session that the handle stands for; return it, if there still was one.

    The store says what this very call removed. If that is a tombstone, a `login` or `regenerate`
    was faster; its successor is the same session where both have the same user, or both have none,
    and is ended too. A sign-in by another user is a session of its own and stays: otherwise whoever
    planted an ID could sign its victim out. So does, where the session is `evicted`, any sign-in
    that has replaced it: that one has a place of its own within the limit.
    """
    seen = {handle}
    first_buried = inf
    while True:
        stored = await runtime.store.delete(handle, user_id=user_id)
        content = runtime.read(handle, stored.payload) if stored else None
        if content is None or isinstance(content, Record):
            return content
        found = await look_up(runtime, content.successor)
        if found is None or found[1].user_id != content.user_id or content.successor in seen:
            return None
        first_buried = min(first_buried, content.buried_at)
        # `regenerate` takes over the creation, and `login` begins at the tombstone's very time.
        if evicted and isinstance(found[1], Record) and found[1].created_at >= first_buried:
            return None
        handle, user_id = content.successor, content.user_id
        seen.add(handle)


async def end_stolen(runtime: Runtime, handle: str, user_id: str | None) -> None:
    """End a session whose ID was stolen, or by `on_theft` all of its user's.

    A sign-in that has replaced it meanwhile stays: that ID nobody has stolen. It ends last: where
    the store fails before that, it raises the alarm again, and the rest is ended then.
    """
    others: Sequence[str] = ()
    index = runtime.index
    if runtime.config.on_theft == "revoke-user" and index is not None and user_id is not None:
        others = [other for other in await index.revoke(user_id) if other != handle]
    for each in (*others, handle):
        if await end_record(runtime, each, user_id, evicted=True) is not None:
            runtime.emit(SessionRevoked(each, user_id, "stolen"))


async def make_room(
    runtime: Runtime,
    user_id: str | None,
    newest: str,
    evicted: Sequence[str],
    spared: str | None,
) -> None:
    """End what a new session of the user has evicted, but what is `spared`.

    And whatever else is older and over the limit: a sign-in that crashed, or met a full disk, may
    have evicted it and left it standing, and an evicted one is not evicted again.
    """
    index, limit = runtime.index, runtime.config.max_sessions_per_user
    for handle in evicted:
        if handle != spared:
            await _end_evicted(runtime, handle, user_id)
    if not evicted or index is None or limit is None or user_id is None:
        return
    handles = [entry.key for entry in await index.entries(user_id)]
    older = handles[: handles.index(newest)] if newest in handles else []
    if len(older) < limit:
        return
    for handle in reversed(older):
        # A tombstone stays: it leads on to what has replaced it, which is perhaps the newest.
        if not await _lives(runtime, handle):
            continue
        if limit <= 1:
            await _end_evicted(runtime, handle, user_id)
        limit -= 1


async def _end_evicted(runtime: Runtime, handle: str, user_id: str | None) -> None:
    try:
        record = await end_record(runtime, handle, user_id, evicted=True)
    except StoreError:
        # The record may be gone all the same, and its index entry not: on a full disk, for one.
        # Then the new session is the only one that the user has left.
        if await look_up(runtime, handle) is not None:
            raise
        return
    if record is not None:
        runtime.emit(SessionRevoked(handle, user_id, "evicted"))


async def undo(runtime: Runtime, user_id: str | None, newest: str, evicted: Sequence[str]) -> None:
    """Remove a new session that could not be completed; what it has evicted lives on.

    Those end for which there is no room: somebody was admitted since who knows nothing of them.
    """
    index, limit = runtime.index, runtime.config.max_sessions_per_user
    try:
        await runtime.store.delete(newest, user_id=user_id)
    finally:
        if index is not None and user_id is not None:
            for handle in reversed(evicted):
                room = await index.admit(user_id, handle, limit=limit, evict=False)
                if not isinstance(room, Admitted):
                    await _end_evicted(runtime, handle, user_id)


async def heal(runtime: Runtime, user_id: str) -> None:
    """Remove a user's index entries that no live session is behind, and no admission either."""
    index, now = runtime.index, runtime.clock()
    if index is None:
        return
    for entry in await index.entries(user_id):
        old = now - entry.admitted_at > ADMISSION_GRACE
        if old and not await _lives(runtime, entry.key):
            await index.forget(user_id, entry.key)


async def _lives(runtime: Runtime, handle: str) -> bool:
    found = await look_up(runtime, handle)
    return (
        found is not None and isinstance(found[1], Record) and not found[1].ended(runtime.clock())
    )
