"""Removing what has expired, and listing what is there, in steps that keep nobody waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import IntegrityError

from coatcheck.store.protocol import GARBAGE_AFTER
from coatcheck.store.sql.work import Work

Run: TypeAlias = Callable[..., Any]
"""How a step is run: `run(step, *arguments)`."""

REMOVE: Final = 250
"""Rows that one transaction removes."""
PAGE: Final = 5000
"""Rows of the index that one statement looks at."""

_LAST: Final = b"\xff"
"""Comes after every user: no UTF-8 has this byte."""


def purge(run: Run, namespace: str, limit: int) -> int:
    """Remove at most `limit` records; fewer than that means that none is left."""
    removed = 0
    while removed < limit:
        most = min(REMOVE, limit - removed)
        batch: int = run(remove_expired, namespace, most)
        removed += batch
        if batch < most:
            _sweep(run, abandoned, namespace)
            _sweep(run, idle, namespace)
            break
    return removed


def _sweep(run: Run, step: Any, namespace: str) -> None:
    after: bytes | None = b""
    while after is not None:
        after = run(step, namespace, after)


def remove_expired(work: Work, now: float, namespace: str, most: int) -> int:
    """Remove some expired records and their entries; those that somebody else has locked stay."""
    work.begin(*work.sql.purge_begin)
    rows = work.rows(work.sql.expired, n=namespace, before=now - GARBAGE_AFTER, most=most)
    if rows:
        work.do(work.sql.purge, n=namespace, ks=[row[0] for row in rows])
        owned = [{"n": namespace, "u": user, "k": key} for key, user in rows if user is not None]
        work.each(work.sql.forget, owned)
    work.commit()
    return len(rows)


def abandoned(work: Work, now: float, namespace: str, after: bytes) -> bytes | None:
    """Remove old entries without a record from one page; return where the next one begins."""
    page = work.rows(work.sql.entries_end, n=namespace, after=after, size=PAGE)
    end = page[0][0] if page else _LAST
    rows = work.rows(
        work.sql.abandoned, n=namespace, after=after, end=end, before=now - GARBAGE_AFTER
    )
    # An entry that was made again meanwhile has another time.
    work.each(
        work.sql.abandon,
        [{"n": namespace, "u": user, "k": key, "was": at} for user, key, at in rows],
    )
    return end if page else None


def idle(work: Work, now: float, namespace: str, after: bytes) -> bytes | None:
    """Remove users without entries from one page; return where the next one begins."""
    page = work.rows(work.sql.users_end, n=namespace, after=after, size=PAGE)
    end = page[0][0] if page else _LAST
    rows = work.rows(work.sql.idle, n=namespace, after=after, end=end)
    work.each(
        work.sql.part,
        [{"n": namespace, "u": user, "was": count, "e": epoch} for user, count, epoch in rows],
    )
    return end if page else None


def claim_purge(work: Work, now: float, namespace: str, interval: float) -> bool:
    """Take the interval, unless it is taken; a time ahead of the clock is no reason to wait."""
    if work.count(work.sql.claim, n=namespace, now=now, before=now - interval) == 1:
        return True
    if work.rows(work.sql.claimed, n=namespace):
        return False
    try:
        work.do(work.sql.first_claim, n=namespace, now=now)
        return True
    except IntegrityError:
        # Somebody else was first.
        return False


def scan(
    work: Work, now: float, namespace: str, after: str, count: int
) -> tuple[Sequence[str], str | None]:
    """Return the next live keys, and the last of them if there may be more."""
    rows = work.rows(work.sql.scan, n=namespace, after=after, now=now, most=count)
    keys = [row[0] for row in rows]
    return keys, keys[-1] if len(keys) == count else None
