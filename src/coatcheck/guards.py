"""What a session is asked before something is done in its name."""

from __future__ import annotations

from datetime import timedelta

from coatcheck.checks import seconds
from coatcheck.errors import SignInRequired
from coatcheck.mapping import SessionMapping


class SessionGuards(SessionMapping):
    """The part of a session that an application asks before it does what must not be forged."""

    @property
    def signed_in_at(self) -> float | None:
        """When the user signed in last, in seconds since the epoch; `None`: nobody is signed in.

        Only `login` moves that, and one that waits to be carried out counts as now.
        """
        visit = self._look()
        change = visit.replacement
        if change is not None and change.reason == "login":
            return visit.runtime.clock()
        return visit.held.record.signed_in_at if visit.held else None

    def require_recent_auth(self, max_age: float | timedelta) -> None:
        """Raise `SignInRequired` unless the user has signed in less than `max_age` ago.

        `max_age` is in seconds or a timedelta. For what a stolen or forgotten session must not be
        enough: a new password or address, a payment (OWASP ASVS 5.0, 7.5.1 and 7.5.3). Activity
        does not count. To go on, ask for the password and `login(session.user_id)`: that begins
        idle timeout and lifetime afresh, under a new ID, and keeps the data.
        """
        limit = seconds("max_age", max_age)
        signed_in_at = self.signed_in_at
        now = self._look().runtime.clock()
        if signed_in_at is None or now - signed_in_at >= limit:
            raise SignInRequired(limit, None if signed_in_at is None else now - signed_in_at)
