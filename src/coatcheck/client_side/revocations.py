"""What has ended before its time, of sessions that no server keeps: a note for each user.

A note says until when all of the user's sign-ins are void, and which single sessions are. Without
it a copy of a cookie is good until it expires, whoever has signed out meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from math import isfinite
from typing import Any, Final, Protocol, cast

from coatcheck.checks import LONGEST
from coatcheck.client_side.carried import Slot
from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store.protocol import Store, Stored, Updated

RevokedSince = Callable[[str], float | None]
"""Given a user, returns the time (s since the epoch) up to which sign-ins are void, or `None`."""

_LABEL: Final = b"coatcheck revocations of "
_MOST_TRIES: Final = 100


class Revocations(Protocol):
    """Where it is known what has been ended."""

    def ended(self, handle: str, slot: Slot, /) -> bool:
        """Say whether the session of a user was ended, or the user's sign-ins up to then."""
        ...

    def end(self, handle: str, slot: Slot, now: float, /) -> None:
        """Void all copies of one session."""
        ...

    def end_all(self, user_id: str, keep: Collection[str], now: float, /) -> None:
        """Void whatever the user has signed in to until now, but for the handles in `keep`."""
        ...


class AskedRevocations:
    """Revocations that the application keeps: it is asked about each request of a user."""

    def __init__(self, revoked_since: RevokedSince) -> None:
        self._revoked_since = revoked_since

    def ended(self, handle: str, slot: Slot, /) -> bool:
        """Ask the application; what it raises is a `StoreError`, for the session is not known."""
        if slot.user_id is None:
            return False
        try:
            since = self._revoked_since(slot.user_id)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"revoked_since raised {type(error).__name__}") from error
        # Nothing is good that is not known to be: NaN, which is after nothing, voids all.
        return since is not None and not slot.signed_in_at > since

    def end(self, handle: str, slot: Slot, now: float, /) -> None:
        """Do nothing: the application moves its own time, and knows of users, not of sessions."""

    def end_all(self, user_id: str, keep: Collection[str], now: float, /) -> None:
        """Raise `ConfigurationError`: that time is the application's to move."""
        raise ConfigurationError(
            "a user's sessions are revoked where revoked_since() looks: let it return the present"
            " time for that user from now on"
        )


class StoredRevocations:
    """Revocations in a store, one record a user; it is asked once about each request of a user."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ended(self, handle: str, slot: Slot, /) -> bool:
        """Look the user's note up."""
        if slot.user_id is None:
            return False
        stored = self._get(_key(slot.user_id))
        if stored is None:
            return False
        note = _read(stored.payload)
        since = note.keep.get(handle, note.since)
        return handle in note.ended or (since is not None and slot.signed_in_at <= since)

    def end(self, handle: str, slot: Slot, now: float, /) -> None:
        """Note the session, until the last copy of it has expired."""
        until = slot.until

        def add(note: _Note) -> None:
            note.ended[str(handle)] = until

        if slot.user_id is not None:
            self._change(slot.user_id, add, now)

    def end_all(self, user_id: str, keep: Collection[str], now: float, /) -> None:
        """Note the time."""

        def move(note: _Note) -> None:
            # What is spared now may be void since the time before, and stays so.
            note.keep = {str(handle): note.keep.get(handle, note.since) for handle in keep}
            note.since = now if note.since is None else max(note.since, now)

        self._change(user_id, move, now)

    def _change(self, user_id: str, change: Callable[[_Note], None], now: float) -> None:
        key = _key(user_id)
        for _ in range(_MOST_TRIES):
            stored = self._get(key)
            note = _Note() if stored is None else _read(stored.payload)
            note.ended = {handle: until for handle, until in note.ended.items() if until > now}
            change(note)
            payload, expires_at = note.payload(), now + LONGEST
            if stored is None:
                if self._store.create(key, payload, expires_at=expires_at, user_id=None):
                    return
                continue
            outcome = self._store.update(
                key, payload, version=stored.version, expires_at=expires_at
            )
            if isinstance(outcome, Updated):
                return
        raise StoreError("others kept changing the revocations of a user; nothing was revoked")

    def _get(self, key: str) -> Stored | None:
        try:
            return self._store.get(key)
        except CorruptRecord as error:
            # What is void is not known then, so nothing is good.
            raise StoreError(f"revocations cannot be read: {error}") from error


class _Note:
    """What is void of one user's."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.keep: dict[str, float | None] = {}
        self.ended: dict[str, float] = {}

    def payload(self) -> bytes:
        return json.dumps({"since": self.since, "keep": self.keep, "ended": self.ended}).encode()


def _read(payload: bytes) -> _Note:
    note = _Note()
    try:
        fields = cast("dict[str, Any]", json.loads(payload))
        note.since = _time(fields["since"])
        note.keep = {str(handle): _time(since) for handle, since in fields["keep"].items()}
        note.ended = {str(handle): float(until) for handle, until in fields["ended"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            "what lies in the store of revocations is none: give these a store of their own"
        ) from error
    return note


def _time(value: Any) -> float | None:
    if value is None:
        return None
    if not isfinite(time := float(value)):
        raise ValueError("a time is not finite")
    return time


def _key(user_id: str) -> str:
    return hashlib.sha256(_LABEL + user_id.encode()).hexdigest()[:32]
