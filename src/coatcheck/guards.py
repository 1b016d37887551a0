"""What a session is asked before something is done in its name.

`require_recent_auth` says whether its user is there, `verify_csrf` whether its own page asks.
"""

from __future__ import annotations

from datetime import timedelta

from coatcheck.checks import seconds
from coatcheck.errors import SignInRequired
from coatcheck.lifecycle.visit import Phase
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

    def csrf_token(self) -> str:
        """Return a token for the forms of this session's pages, 64 characters: new at each call.

        Whatever a form sends back is checked by `verify_csrf`. Tokens hold for this session until
        `login`, `regenerate`, `logout` or `destroy`; one asked for after `login()` is for the
        session to come. To ask for one stores a session that nothing is stored in yet, and sends
        its ID, for otherwise no token would ever hold: so ask where a form is, not on every page.
        Raises `SessionEnded` after `destroy()`, and `ResponseStarted` where such an ID cannot be
        sent any more.
        """
        visit = self._look()
        visit.data()  # one that does not decode is anonymous, and another session
        if visit.replacement is None and (
            visit.phase is Phase.MUTE or visit.phase is Phase.UNREADABLE
        ):
            # Nobody's session: what its page sends back is refused, whoever sends it.
            return visit.runtime.csrf.make(visit.runtime.signer.mint().handle)
        if visit.phase is not Phase.STORED and visit.replacement is None:
            self._changing()
            if visit.identity is None:
                visit.identity = visit.runtime.signer.mint()
            visit.written = visit.must_issue = True
        return visit.runtime.csrf.make(visit.handle or "")

    def verify_csrf(self, token: object) -> bool:
        """Say whether the token is one that `csrf_token` has made for this session.

        `False` for anything else: none at all, another session's, one from before `login`,
        `regenerate` or `logout` (of this request too: check first). It stores nothing. Compared in
        constant time.
        """
        visit = self._look()
        visit.data()
        handle = visit.handle
        return handle is not None and visit.runtime.csrf.verify(token, handle)
