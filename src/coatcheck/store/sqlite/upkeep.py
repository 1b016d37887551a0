"""Removing what has expired, and listing what is there, in steps that keep nobody waiting.

There is no index on the deadline, so a purge reads the table in the order of its key. It reads
without a lock, some thousand rows at a time, and removes what it found in short transactions that
look at each deadline again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from coatcheck.store.protocol import GARBAGE_AFTER
from coatcheck.store.sqlite.connection import Cursor

Run: TypeAlias = Callable[..., Any]
"""How a step is run: `run(step, *arguments)`."""

READ: Final = 5000
"""Rows that one step reads: some milliseconds, without a lock."""
REMOVE: Final = 100
"""Rows that one step removes: about a millisecond, while others wait for the lock."""

_EXPIRED: Final = """
    SELECT count(*), max(key), group_concat(key) FILTER (WHERE expires_at <= ?)
    FROM (
        SELECT key, expires_at FROM sessions WHERE namespace = ? AND key > ?
        ORDER BY key LIMIT ?
    )
"""


def expired(
    cursor: Cursor, now: float, namespace: str, after: str
) -> tuple[Sequence[str], str | None]:
    """Return the expired keys among the next rows, and the last key read, `None` at the end."""
    before = now - GARBAGE_AFTER
    ((count, last, found),) = cursor.execute(_EXPIRED, (before, namespace, after, READ)).fetchall()
    keys = sorted(found.split(",")) if found else []
    return keys, last if count == READ else None


_REMOVE: Final = "DELETE FROM sessions WHERE namespace = ? AND key = ? AND expires_at <= ?"


def remove(cursor: Cursor, now: float, namespace: str, keys: Sequence[str]) -> int:
    """Remove those records that are still expired; return how many."""
    before = now - GARBAGE_AFTER
    cursor.execute("BEGIN IMMEDIATE")
    cursor.executemany(_REMOVE, [(namespace, key, before) for key in keys])
    removed = cursor.rowcount
    cursor.execute("COMMIT")
    return removed


_ABANDONED: Final = """
    SELECT user_id, key, admitted_at <= ? AND NOT EXISTS (
        SELECT 1 FROM sessions
        WHERE sessions.namespace = user_sessions.namespace AND sessions.key = user_sessions.key
    )
    FROM user_sessions
    WHERE namespace = ? AND (user_id, key) > (?, ?)
    ORDER BY user_id, key LIMIT ?
"""
_FORGET_ABANDONED: Final = """
    DELETE FROM user_sessions
    WHERE namespace = ? AND user_id = ? AND key = ? AND admitted_at <= ? AND NOT EXISTS (
        SELECT 1 FROM sessions
        WHERE sessions.namespace = user_sessions.namespace AND sessions.key = user_sessions.key
    )
"""


def abandoned(
    cursor: Cursor, now: float, namespace: str, after: tuple[str, str]
) -> tuple[Sequence[tuple[str, str]], tuple[str, str] | None]:
    """Return the old entries without a record among the next ones, and the last one read."""
    values = (now - GARBAGE_AFTER, namespace, *after, READ)
    rows = cursor.execute(_ABANDONED, values).fetchall()
    found = [(user_id, key) for user_id, key, alone in rows if alone]
    return found, rows[-1][:2] if len(rows) == READ else None


def forget_abandoned(
    cursor: Cursor, now: float, namespace: str, entries: Sequence[tuple[str, str]]
) -> None:
    """Remove those entries that still have no record."""
    before = now - GARBAGE_AFTER
    cursor.execute("BEGIN IMMEDIATE")
    cursor.executemany(
        _FORGET_ABANDONED, [(namespace, user_id, key, before) for user_id, key in entries]
    )
    cursor.execute("COMMIT")


class Purge:
    """Where the last purge of this process stopped, so that the next one goes on from there.

    Else each batch of many would read again what the ones before it had found live.
    """

    def __init__(self) -> None:
        self._after = ""

    def __call__(self, run: Run, namespace: str, limit: int) -> int:
        """Remove at most `limit` records; fewer than that means that none is left."""
        removed: int = 0
        begun = after = self._after
        wrapped = begun == ""
        while removed < limit:
            keys, last = run(expired, namespace, after)
            for start in range(0, len(keys), REMOVE):
                batch = keys[start : min(start + REMOVE, start + limit - removed)]
                removed += run(remove, namespace, batch)
                if removed >= limit:
                    self._after = batch[-1]
                    return removed
            if last is not None and not (wrapped and begun and last >= begun):
                after = last
            elif wrapped:
                break
            else:
                wrapped, after = True, ""
        self._after = ""
        self._forget_abandoned(run, namespace)
        return removed

    def _forget_abandoned(self, run: Run, namespace: str) -> None:
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            entries, after = run(abandoned, namespace, after)
            for start in range(0, len(entries), REMOVE):
                run(forget_abandoned, namespace, entries[start : start + REMOVE])


_CLAIM: Final = """
    INSERT INTO namespaces (namespace, counter, purged_at) VALUES (?, 0, ?)
    ON CONFLICT (namespace) DO UPDATE SET purged_at = excluded.purged_at
    WHERE purged_at IS NULL OR purged_at > excluded.purged_at
        OR purged_at <= excluded.purged_at - ?
"""


def claim_purge(cursor: Cursor, now: float, namespace: str, interval: float) -> bool:
    """Take the interval, unless it is taken; a time ahead of the clock is no reason to wait."""
    cursor.execute(_CLAIM, (namespace, now, interval))
    return cursor.rowcount == 1


_SCAN: Final = """
    SELECT key FROM sessions
    WHERE namespace = ? AND key > ? AND (expires_at IS NULL OR expires_at > ?)
    ORDER BY key LIMIT ?
"""


def scan(
    cursor: Cursor, now: float, namespace: str, after: str, count: int
) -> tuple[Sequence[str], str | None]:
    """Return the next live keys, and the last of them if there may be more."""
    rows = cursor.execute(_SCAN, (namespace, after, now, count)).fetchall()
    keys = [row[0] for row in rows]
    return keys, keys[-1] if len(keys) == count else None


def move_log(cursor: Cursor, now: float) -> None:
    """Move the write-ahead log into the database, as far as no reader is in the way."""
    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    # By now there is little left to move, which is all that writers have to wait for.
    cursor.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


_COUNT_UP: Final = """
    INSERT INTO namespaces (namespace, counter) VALUES (?, 1)
    ON CONFLICT (namespace) DO UPDATE SET counter = counter + 1
"""


def begin_log(cursor: Cursor, now: float, namespace: str) -> None:
    """Write the log's first page, for which SQLite makes somebody wait until it is on the disk."""
    cursor.execute(_COUNT_UP, (namespace,))
