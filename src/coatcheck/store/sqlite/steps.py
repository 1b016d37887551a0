"""What a SQLite store does with a connection, each in one go: the statements and their meaning.

Every function here takes a cursor and the time, and either does all of its work or raises and has
done nothing. None of them waits. How to try again when the database is locked is for the caller:
that is all in which the blocking store and the async one differ.

A statement outside of `BEGIN` is a transaction of its own. Rows are always fetched to the end,
since a statement that stands in the middle of its rows keeps its transaction open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, cast

from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    Admission,
    Admitted,
    Conflict,
    Gone,
    IndexEntry,
    Refused,
    Stored,
    Updated,
    UpdateOutcome,
)
from coatcheck.store.sqlite.connection import Cursor

_GET: Final = "SELECT version, expires_at, payload FROM sessions WHERE namespace = ? AND key = ?"


_record = cast("Callable[[type[Stored], tuple[Any, ...]], Stored]", tuple.__new__)  # pyright: ignore[reportUnknownMemberType]
"""Makes a `Stored` of a row in half the time that the class itself takes."""


def get(cursor: Cursor, now: float, namespace: str, key: str) -> Stored | None:
    """Return the live record; raise `CorruptRecord` if the row is none of ours."""
    for row in cursor.execute(_GET, (namespace, key)).fetchall():
        return _live(row, now)
    return None


def _live(row: tuple[Any, ...], now: float) -> Stored | None:
    version, expires_at, payload = row
    if type(payload) is bytes and type(version) is int:
        if expires_at is None:
            return _record(Stored, row)
        if type(expires_at) is float:
            return _record(Stored, row) if now < expires_at else None
    raise CorruptRecord("a row of the table sessions has values of wrong types")


def _current(cursor: Cursor, now: float, namespace: str, key: str) -> Stored | None:
    """Return what stands in the way of a write: only `get` may raise `CorruptRecord`."""
    try:
        return get(cursor, now, namespace, key)
    except CorruptRecord as error:
        raise StoreError(f"{error}; delete it") from error


_CREATE: Final = """
    INSERT INTO sessions (namespace, key, version, expires_at, user_id, payload)
    VALUES (?, ?, 1, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE
    SET version = 1, expires_at = excluded.expires_at, user_id = excluded.user_id,
        payload = excluded.payload
    WHERE expires_at <= ?
"""


def create(
    cursor: Cursor,
    now: float,
    namespace: str,
    key: str,
    payload: bytes,
    expires_at: float | None,
    user_id: str | None,
) -> bool:
    """Insert a record, or take the key of an expired one."""
    cursor.execute(_CREATE, (namespace, key, expires_at, user_id, payload, now))
    return cursor.rowcount == 1


_UPDATE: Final = """
    UPDATE sessions SET version = version + 1, expires_at = ?, payload = ?
    WHERE namespace = ? AND key = ? AND version = ? AND (expires_at IS NULL OR expires_at > ?)
"""


def update(
    cursor: Cursor,
    now: float,
    namespace: str,
    key: str,
    payload: bytes,
    version: int,
    expires_at: float | None,
) -> UpdateOutcome:
    """Compare and set; where that fails, a statement of its own looks why."""
    while True:
        cursor.execute(_UPDATE, (expires_at, payload, namespace, key, version, now))
        if cursor.rowcount == 1:
            return Updated(version + 1)
        current = _current(cursor, now, namespace, key)
        if current is None:
            return Gone()
        # Between the two statements another writer may have come to the very version asked for.
        if current.version != version:
            return Conflict(current)


_TOUCH: Final = """
    UPDATE sessions SET expires_at = ?
    WHERE namespace = ? AND key = ? AND version = ? AND expires_at > ? AND expires_at < ?
"""


def touch(
    cursor: Cursor, now: float, namespace: str, key: str, version: int, expires_at: float
) -> bool:
    """Move the deadline forward; where that fails, look whether it stood as far already."""
    cursor.execute(_TOUCH, (expires_at, namespace, key, version, now, expires_at))
    if cursor.rowcount == 1:
        return True
    current = _current(cursor, now, namespace, key)
    return (
        current is not None
        and current.version == version
        and (current.expires_at is None or current.expires_at >= expires_at)
    )


_DELETE: Final = """
    DELETE FROM sessions WHERE namespace = ? AND key = ? RETURNING version, expires_at, payload
"""
_FORGET: Final = "DELETE FROM user_sessions WHERE namespace = ? AND user_id = ? AND key = ?"


def delete(
    cursor: Cursor, now: float, namespace: str, key: str, user_id: str | None
) -> Stored | None:
    """Remove a record; a trigger removes its index entry along with it."""
    for row in cursor.execute(_DELETE, (namespace, key)).fetchall():
        try:
            return _live(row, now)
        except CorruptRecord:
            # It is gone now, and it never was a session.
            return None
    if user_id is not None:
        cursor.execute(_FORGET, (namespace, user_id, key))
    return None


_ENTRIES: Final = """
    SELECT key, admitted_at FROM user_sessions WHERE namespace = ? AND user_id = ?
    ORDER BY position
"""


def entries(cursor: Cursor, now: float, namespace: str, user_id: str) -> Sequence[IndexEntry]:
    """Return the user's entries, oldest admission first."""
    return [IndexEntry(*row) for row in cursor.execute(_ENTRIES, (namespace, user_id)).fetchall()]


# Whether an old entry has a live record; a clock that was put back makes no entry young for ever.
_FORGET_DEAD: Final = """
    DELETE FROM user_sessions
    WHERE namespace = ? AND user_id = ? AND key <> ? AND abs(? - admitted_at) >= ?
        AND NOT EXISTS (
            SELECT 1 FROM sessions
            WHERE sessions.namespace = user_sessions.namespace
                AND sessions.key = user_sessions.key
                AND (expires_at IS NULL OR expires_at > ?)
        )
"""
_COUNTED: Final = """
    SELECT key FROM user_sessions
    WHERE namespace = ? AND user_id = ? AND NOT evicted AND key <> ? AND key IS NOT ?
    ORDER BY position
"""
_EVICT: Final = (
    "UPDATE user_sessions SET evicted = 1 WHERE namespace = ? AND user_id = ? AND key = ?"
)
_COUNT_UP: Final = """
    INSERT INTO namespaces (namespace, counter) VALUES (?, 1)
    ON CONFLICT (namespace) DO UPDATE SET counter = counter + 1
    RETURNING counter
"""
_KNOW_USER: Final = """
    INSERT INTO users (namespace, user_id, epoch) VALUES (?, ?, ?)
    ON CONFLICT (namespace, user_id) DO NOTHING RETURNING epoch
"""
_EPOCH: Final = "SELECT epoch FROM users WHERE namespace = ? AND user_id = ?"
_ENTER: Final = """
    INSERT INTO user_sessions (namespace, user_id, key, position, admitted_at, evicted, replaces)
    VALUES (?, ?, ?, ?, ?, 0, ?)
    ON CONFLICT (namespace, user_id, key) DO UPDATE
    SET position = excluded.position, admitted_at = excluded.admitted_at, evicted = 0,
        replaces = excluded.replaces
"""


def admit(
    cursor: Cursor,
    now: float,
    namespace: str,
    user_id: str,
    key: str,
    limit: int | None,
    evict: bool,
    replaces: str | None,
) -> Admission:
    """Enter a key, within the limit."""
    cursor.execute("BEGIN IMMEDIATE")
    admission = _admit(cursor, now, namespace, user_id, key, limit, evict, replaces)
    cursor.execute("ROLLBACK" if isinstance(admission, Refused) else "COMMIT")
    return admission


def enrol(
    cursor: Cursor,
    now: float,
    namespace: str,
    user_id: str,
    key: str,
    payload: bytes,
    expires_at: float | None,
    limit: int | None,
    evict: bool,
) -> Admission | None:
    """Enter a key, within the limit, and insert its record, in one transaction."""
    cursor.execute("BEGIN IMMEDIATE")
    admission: Admission | None = _admit(cursor, now, namespace, user_id, key, limit, evict, None)
    if isinstance(admission, Admitted):
        if create(cursor, now, namespace, key, payload, expires_at, user_id):
            cursor.execute("COMMIT")
            return admission
        admission = None
    cursor.execute("ROLLBACK")
    return admission


def _admit(
    cursor: Cursor,
    now: float,
    namespace: str,
    user_id: str,
    key: str,
    limit: int | None,
    evict: bool,
    replaces: str | None,
) -> Admission:
    """Enter a key, within the limit, in a transaction that is open."""
    evicted: list[str] = []
    if limit is not None:
        rows = cursor.execute(_COUNTED, (namespace, user_id, key, replaces)).fetchall()
        if len(rows) >= limit:
            cursor.execute(_FORGET_DEAD, (namespace, user_id, key, now, ADMISSION_GRACE, now))
            rows = cursor.execute(_COUNTED, (namespace, user_id, key, replaces)).fetchall()
        evicted = [row[0] for row in rows[: max(0, len(rows) + 1 - limit)]]
        if limit < 1 or (evicted and not evict):
            return Refused()
        if evicted:
            cursor.executemany(_EVICT, [(namespace, user_id, other) for other in evicted])
    ((counter,),) = cursor.execute(_COUNT_UP, (namespace,)).fetchall()
    # A user without entries gets the counter for an epoch; any other keeps the one that is there.
    known = cursor.execute(_KNOW_USER, (namespace, user_id, counter)).fetchall()
    ((epoch,),) = known or cursor.execute(_EPOCH, (namespace, user_id)).fetchall()
    cursor.execute(_ENTER, (namespace, user_id, key, counter, now, replaces))
    return Admitted(epoch, evicted)


_CONFIRM: Final = """
    SELECT replaces FROM user_sessions JOIN users USING (namespace, user_id)
    WHERE namespace = ? AND user_id = ? AND key = ? AND NOT evicted AND epoch = ?
"""


def confirm(cursor: Cursor, now: float, namespace: str, user_id: str, key: str, epoch: int) -> bool:
    """Say whether the session may live; if so, remove the entry that it replaces."""
    rows = cursor.execute(_CONFIRM, (namespace, user_id, key, epoch)).fetchall()
    if not rows or rows[0][0] is None:
        # Most replace nothing, and then it is one statement, which nothing comes between.
        return bool(rows)
    cursor.execute("BEGIN IMMEDIATE")
    rows = cursor.execute(_CONFIRM, (namespace, user_id, key, epoch)).fetchall()
    for (replaces,) in rows:
        if replaces is not None and replaces != key:
            cursor.execute(_FORGET, (namespace, user_id, replaces))
    cursor.execute("COMMIT")
    return bool(rows)


_ADVANCE: Final = "UPDATE users SET epoch = ? WHERE namespace = ? AND user_id = ?"


def revoke(
    cursor: Cursor, now: float, namespace: str, user_id: str, keep: Collection[str]
) -> Sequence[str]:
    """Advance the user's epoch and return the keys.

    A user without entries has no epoch to advance: nothing could be confirmed any more.
    """
    cursor.execute("BEGIN IMMEDIATE")
    rows = cursor.execute(_ENTRIES, (namespace, user_id)).fetchall()
    if rows:
        ((counter,),) = cursor.execute(_COUNT_UP, (namespace,)).fetchall()
        cursor.execute(_ADVANCE, (counter, namespace, user_id))
    cursor.execute("COMMIT")
    return [key for key, _admitted_at in rows if key not in keep]


def forget(cursor: Cursor, now: float, namespace: str, user_id: str, key: str) -> None:
    """Remove an index entry."""
    cursor.execute(_FORGET, (namespace, user_id, key))
