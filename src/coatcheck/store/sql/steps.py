"""What a SQL store does with a connection: the statements and their meaning.

Every function here takes a `Work` and the time, and either does all of its work or raises. The
blocking store calls it, and the async one has it called in a greenlet, so there is one text.

Only keys and versions decide, never what a driver counts besides: MySQL may count a row that a
statement left as it was, and PostgreSQL answers a statement from the moment at which it began, so
that one which both updates and looks would show what stood before.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from coatcheck.errors import StoreError
from coatcheck.events import logger
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
from coatcheck.store.sql.errors import reason
from coatcheck.store.sql.work import Work


def get(work: Work, now: float, namespace: str, key: str) -> Stored | None:
    """Return the live record."""
    for row in work.rows(work.sql.get, n=namespace, k=key):
        return _live(row, now)
    return None


def _live(row: Any, now: float) -> Stored | None:
    record = Stored(row[0], row[1], row[2])
    return record if record.expires_at is None or now < record.expires_at else None


def create(
    work: Work,
    now: float,
    namespace: str,
    key: str,
    payload: bytes,
    expires_at: float | None,
    user_id: bytes | None,
) -> bool:
    """Insert a record, or take the key of an expired one."""
    values = {"n": namespace, "k": key, "t": expires_at, "p": payload, "u": user_id}
    while True:
        try:
            work.do(work.sql.insert, **values)
            return True
        except IntegrityError as error:
            # The key is taken; by whom, a statement of its own has to look.
            rows = work.rows(work.sql.look, n=namespace, k=key)
            work.look_anew(error)
        for row in rows:
            record = _live(row, now)
            if record is not None:
                return work.again and record == Stored(1, expires_at, payload)
            if work.count(work.sql.replace, **values, v=row[0], was=row[1]) == 1:
                if row[3] is not None and row[3] != user_id:
                    work.do(work.sql.forget, n=namespace, u=row[3], k=key)
                return True


def update(
    work: Work,
    now: float,
    namespace: str,
    key: str,
    payload: bytes,
    version: int,
    expires_at: float | None,
) -> UpdateOutcome:
    """Compare and set; where that fails, a statement of its own looks why."""
    while True:
        values = {"n": namespace, "k": key, "v": version, "t": expires_at, "p": payload}
        if work.count(work.sql.update, **values, now=now) == 1:
            return Updated(version + 1)
        current = get(work, now, namespace, key)
        if current is None:
            return Gone()
        if work.again and current == Stored(version + 1, expires_at, payload):
            return Updated(version + 1)
        # Between the two statements another writer may have come to the very version asked for.
        if current.version != version:
            return Conflict(current)
        work.look_anew()


def touch(
    work: Work, now: float, namespace: str, key: str, version: int, expires_at: float
) -> bool:
    """Move the deadline forward; where that fails, look whether it stood as far already."""
    if work.count(work.sql.touch, n=namespace, k=key, v=version, t=expires_at, now=now) == 1:
        return True
    current = get(work, now, namespace, key)
    return (
        current is not None
        and current.version == version
        and (current.expires_at is None or current.expires_at >= expires_at)
    )


def delete(
    work: Work, now: float, namespace: str, key: str, user_id: bytes | None
) -> Stored | None:
    """Remove a record, then its index entry: never a record that its user's index has lost."""
    row = _pull(work, namespace, key)
    owners = {user_id, None if row is None else row[3]} - {None}
    try:
        for owner in owners:
            work.do(work.sql.forget, n=namespace, u=owner, k=key)
    except SQLAlchemyError as error:
        if row is None:
            raise
        # What was removed decides who ends what, so it must not get lost. An entry without a record
        # counts for half a minute, and goes with the next purge.
        logger.warning("an index entry of a removed session was left behind: %s", reason(error))
    if row is None and work.again:
        # To say that there was nothing decides a race, perhaps wrongly: after a tombstone one goes
        # on to what has replaced it.
        raise StoreError(
            "the connection to the database was lost while a session was being removed: it is gone,"
            " and nobody can say whether that was done here"
        )
    return None if row is None else _live(row, now)


def _pull(work: Work, namespace: str, key: str) -> Any:
    """Remove a record and return its row as it last stood."""
    if work.sql.pull is not None:
        rows = work.rows(work.sql.pull, n=namespace, k=key)
        return rows[0] if rows else None
    while True:
        rows = work.rows(work.sql.look, n=namespace, k=key)
        if not rows:
            return None
        if work.count(work.sql.remove, n=namespace, k=key, v=rows[0][0], was=rows[0][1]) == 1:
            return rows[0]
        work.look_anew()


def entries(work: Work, now: float, namespace: str, user_id: bytes) -> Sequence[IndexEntry]:
    """Return the user's entries, oldest admission first."""
    return [IndexEntry(*row) for row in work.rows(work.sql.entries, n=namespace, u=user_id)]


def admit(
    work: Work,
    now: float,
    namespace: str,
    user_id: bytes,
    key: str,
    limit: int | None,
    evict: bool,
    replaces: str | None,
) -> Admission:
    """Enter a key, within the limit.

    The user's row is locked first, and by whoever else admits or revokes. A new row begins with an
    epoch that nobody can have seen, so rows of users without sessions need not be kept.
    """
    user = {"n": namespace, "u": user_id}
    work.begin()
    work.do(work.sql.know, **user, e=secrets.randbits(62))
    ((epoch, counter),) = work.rows(work.sql.user, **user)
    evicted: list[str] = []
    if limit is not None:
        rows = work.rows(work.sql.standing, **user, now=now)
        counted, dead = _standing(rows, now, key)
        counted = [other for other in counted if other != replaces]
        evicted = counted[: max(0, len(counted) + 1 - limit)]
        if limit < 1 or (evicted and not evict):
            work.undo()
            return Refused()
        if dead:
            work.do(work.sql.forget_all, **user, ks=dead)
        if evicted:
            work.do(work.sql.evict, **user, ks=evicted)
        if work.again and any(row[0] == key for row in rows):
            # It was entered before the connection was lost, and what it evicted then is marked.
            marked = [row[0] for row in rows if row[2] and row[0] not in (*dead, replaces)]
            evicted = marked + evicted
    work.do(work.sql.enter, **user, k=key, counter_=counter, now=now, r=replaces)
    work.commit()
    return Admitted(epoch, evicted)


def _standing(rows: Sequence[Any], now: float, key: str) -> tuple[list[str], list[str]]:
    """Return the keys that count, and those of entries that are old and have no live record."""
    counted: list[str] = []
    dead: list[str] = []
    for other, admitted_at, evicted, live in rows:
        # A clock that was put back makes no entry young for ever.
        if live is None and abs(now - admitted_at) >= ADMISSION_GRACE and other != key:
            dead.append(other)
        elif not evicted and other != key:
            counted.append(other)
    return counted, dead


def confirm(work: Work, now: float, namespace: str, user_id: bytes, key: str, epoch: int) -> bool:
    """Say whether the session may live; if so, remove the entry that it replaces.

    The first statement decides. A revocation that comes after it has yet to list the key.
    """
    rows = work.rows(work.sql.confirm, n=namespace, u=user_id, k=key, e=epoch)
    for (replaces,) in rows:
        if replaces is not None and replaces != key:
            work.do(work.sql.forget, n=namespace, u=user_id, k=replaces)
    return bool(rows)


def revoke(
    work: Work, now: float, namespace: str, user_id: bytes, keep: Collection[str]
) -> Sequence[str]:
    """Advance the user's epoch and return the keys.

    A user who is not known has no sessions. One who is entered at this moment comes after us, and
    is not to be listed: the epoch that would shut the session out was not advanced.
    """
    rows: Sequence[Any] = ()
    work.begin()
    if work.count(work.sql.advance, n=namespace, u=user_id):
        rows = work.rows(work.sql.entries, n=namespace, u=user_id)
    work.commit()
    return [key for key, _admitted_at in rows if key not in keep]


def forget(work: Work, now: float, namespace: str, user_id: bytes, key: str) -> None:
    """Remove an index entry."""
    work.do(work.sql.forget, n=namespace, u=user_id, k=key)
