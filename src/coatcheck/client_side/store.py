"""The store that keeps nothing: a session is all in its cookie, encrypted.

The verbs work on the record that the handle has with it (`carried`), one request's copy. So the
lifecycle is the same as over any store, and what it has written leaves with the response.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any, Final, cast

from coatcheck import checks
from coatcheck.client_side.carried import Slot, slot_of
from coatcheck.client_side.ids import SealedIDs
from coatcheck.client_side.revocations import (
    AskedRevocations,
    Revocations,
    RevokedSince,
    StoredRevocations,
)
from coatcheck.client_side.state import SealedCookieState
from coatcheck.clock import Clock, system_clock
from coatcheck.config import SessionConfig
from coatcheck.errors import ConfigurationError
from coatcheck.keys import KeyRing
from coatcheck.layout import unpack
from coatcheck.passage import Passage
from coatcheck.record import Tombstone
from coatcheck.shapes import is_async
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    Admitted,
    Conflict,
    Gone,
    IndexEntry,
    Purges,
    Store,
    Stored,
    Updated,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.urls import open_store

SIGN_IN_NEEDS: Final = (
    "login() needs a way to end a session that is kept in its cookie, for a copy of the cookie is"
    " good after logout() too: write EncryptedCookieStore(revocations='sqlite:///ended.db'), or"
    " revoked_since=..., a function that knows when a user's sessions were revoked last"
)
_LIMITS: Final = (
    "sessions are kept in the client's cookie: a copy of an older cookie brings back the data that"
    " it had, of parallel requests the last to answer wins, nothing can be stored after the headers"
    " have left, and no list of sessions is kept; see 'The session in the cookie' in the"
    " documentation"
)
_warned = False


class EncryptedCookieStore:
    """Keeps each session in its client's cookie, encrypted with AES-256-GCM, and nothing here.

    A cookie has room for somewhat less than 3 KB; more is `SessionTooLarge`, before the headers
    leave. What no server keeps no server can take back:

    - A copy of an older cookie opens the session as it was then, until it expires, after
      `destroy()` too. So `login()` is refused, unless one of the two arguments says what has ended.
    - Of two requests at the same time the one that answers last wins, with all its keys.
    - What is stored after the headers have left is refused (`ResponseStarted`) or told.
    - There is no list of sessions, and no `max_sessions_per_user`.

    Args:
        revocations: a blocking store, or its URL, for what has ended before its time: one small
            record for each user who has signed out, read at each request of a signed-in user. A
            store, or a namespace, of its own.
        revoked_since: instead of that, a function that returns, for a user, the time (seconds since
            the epoch) up to which sign-ins are void, or `None`. `logout()` then ends the cookie in
            that browser alone, and to end copies is for whoever moves that time.
        namespace: the namespace of the sessions.

    Raises:
        ConfigurationError: for an option that is wrong. Where the adapter is made: for a weak
            secret, and for options that need a server.

    Warns:
        UserWarning: once in a process, of these limits.
    """

    preferred_codec = "binary"

    def __init__(
        self,
        *,
        revocations: Store | str | None = None,
        revoked_since: RevokedSince | None = None,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> None:
        global _warned
        self.namespace = check_namespace(namespace)
        self._notes = open_store(revocations) if isinstance(revocations, str) else revocations
        self._revocations = _revocations(self._notes, revoked_since)
        place = "" if self._notes is None else getattr(self._notes, "location", id(self._notes))
        self.location = f"cookie:{place}"
        self.never_blocks = revoked_since is None and (
            self._notes is None or bool(getattr(self._notes, "never_blocks", False))
        )
        self._clock: Clock = system_clock
        if not _warned:
            _warned = True
            warnings.warn(_LIMITS, UserWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"<EncryptedCookieStore namespace={self.namespace!r}>"

    def passage(self, config: SessionConfig, keys: KeyRing, namespace: str, /) -> Passage:
        """Return how sessions travel: sealed, in the cookie of `cookie_name`."""
        if config.state is not None:
            raise ConfigurationError(
                "an EncryptedCookieStore keeps sessions in the cookie of cookie_name and"
                " cookie_options: leave state out"
            )
        if config.max_sessions_per_user is not None:
            raise ConfigurationError(
                "max_sessions_per_user needs a store that knows a user's sessions, and an"
                " EncryptedCookieStore keeps none: use memory://, file:///, sqlite:/// or another"
            )
        if config.encrypt:
            raise ConfigurationError(
                "the cookie of an EncryptedCookieStore is encrypted as it is: leave encrypt out"
            )
        self._clock = config.clock
        state = SealedCookieState(config.cookie_name, options=config.cookie_options)
        ids = SealedIDs(keys, namespace, state.name, room=state.room, clock=config.clock)
        return Passage(ids, state, None if self._revocations else SIGN_IN_NEEDS)

    def get(self, key: str, /) -> Stored | None:
        """Return the record that the request has brought, unless it has expired or was ended."""
        slot = _slot(key)
        if slot is None or (stored := slot.live()) is None or self._ended(key, slot):
            return None
        return stored

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Put a record in; raises `SessionTooLarge`, and `ConfigurationError` for a foreign key."""
        slot = _slot(key)
        check_deadline(expires_at)
        if slot is None:
            raise ConfigurationError(
                "an EncryptedCookieStore has room for the session of a request only: nothing can be"
                " copied into it"
            )
        if user_id is not None and self._revocations is None:
            raise ConfigurationError(SIGN_IN_NEEDS)
        if slot.live() is not None:
            return False
        slot.place.check_room(payload)
        slot.put(Stored(1, expires_at, bytes(payload)))
        return True

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace the record, for this response; `Gone` where the session was ended meanwhile."""
        slot = _slot(key)
        check_deadline(expires_at)
        if slot is None or (current := slot.live()) is None or self._ended(key, slot):
            return Gone()
        if current.version != version:
            return Conflict(current)
        if isinstance(unpack(payload), Tombstone):
            self._end(key, slot)
        else:
            slot.place.check_room(payload)
        slot.put(Stored(version + 1, expires_at, bytes(payload)))
        return Updated(version + 1)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline forward, for this response."""
        slot = _slot(key)
        check_deadline(expires_at)
        if slot is None or (current := slot.live()) is None or self._ended(key, slot):
            return False
        if current.version != version:
            return False
        if current.expires_at is not None and current.expires_at < expires_at:
            slot.put(Stored(version, expires_at, current.payload))
        return True

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Drop the record, and void all copies where revocations are kept; return what it was.

        `None` for a handle that no request has brought: it says not whose the session is.
        """
        slot = _slot(key)
        if slot is None or (current := slot.live()) is None or self._ended(key, slot):
            return None
        self._end(key, slot)
        slot.stored = slot.text = None
        return current

    def close(self) -> None:
        """Do nothing: the store of revocations belongs to whoever made it."""

    # What is known of a user: since when the sign-ins are good, and no more

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Raise `ConfigurationError`: nobody knows which sessions a user has."""
        raise ConfigurationError(
            "an EncryptedCookieStore has no list of a user's sessions: they can be revoked, by"
            " revoke_user(), and not be listed; use memory://, file:///, sqlite:/// or another"
        )

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """Admit it: nobody counts."""
        return Admitted(0, ())

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say that it may live, unless the user was revoked meanwhile."""
        slot = _slot(key)
        return slot is not None and not self._ended(key, slot)

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Void the user's sign-ins until now, by the clock of this process; return no keys.

        Raises `ConfigurationError` where no revocations are kept.
        """
        if self._revocations is None:
            raise ConfigurationError(SIGN_IN_NEEDS)
        self._revocations.end_all(user_id, keep, self._clock())
        return ()

    def forget(self, user_id: str, key: str, /) -> None:
        """Do nothing: there is no entry."""

    # Housekeeping, which is that of the revocations

    def purge(self, limit: int = 1000, /) -> int:
        """Remove revocations of sessions that have all expired."""
        return self._notes.purge(limit) if isinstance(self._notes, Purges) else 0

    def claim_purge(self, interval: float, /) -> bool:
        """Say whether this process is to do that now."""
        return isinstance(self._notes, Purges) and self._notes.claim_purge(interval)

    def _ended(self, key: str, slot: Slot) -> bool:
        if self._revocations is None:
            # A user's, from when there were revocations: nobody knows whether it was ended.
            return slot.user_id is not None
        return self._revocations.ended(key, slot)

    def _end(self, key: str, slot: Slot) -> None:
        if self._revocations is not None:
            self._revocations.end(key, slot, slot.place.now())


def _slot(key: str) -> Slot | None:
    return slot_of(check_key(key))


def _revocations(notes: Any, revoked_since: RevokedSince | None) -> Revocations | None:
    if notes is not None and revoked_since is not None:
        raise ConfigurationError("revocations and revoked_since say the same: give one of them")
    if revoked_since is not None:
        return AskedRevocations(checks.function("revoked_since", revoked_since, "f(user_id)"))
    if notes is None:
        return None
    verbs = ("get", "create", "update")
    checks.methods("revocations", notes, verbs, "a blocking store, or its URL")
    if is_async(notes):
        raise ConfigurationError(
            f"revocations must be a blocking store, and {type(notes).__name__} is awaited: give its"
            " URL, and an ASGI application calls it in a thread"
        )
    return StoredRevocations(cast("Store", notes))
