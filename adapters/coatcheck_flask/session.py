"""What `flask.session` is: a session with the attributes that Flask's own has."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, NoReturn, cast

import flask
from flask.sessions import SessionMixin

from coatcheck.errors import SessionError
from coatcheck.lifecycle.visit import Visit
from coatcheck.session import Session


class FlaskSession(Session, SessionMixin):
    """The session of one Flask request, with `permanent`, `new`, `modified` and `accessed`."""

    committed_here = True
    """Whether the session interface is who saves this session."""
    _said_permanent: bool | None = None

    @property
    def accessed(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the application has looked at the session."""
        return self._visit is not None

    @accessed.setter
    def accessed(self, value: bool) -> None:
        # Flask sets it wherever `flask.session` is mentioned (GHSA-68rp-wp8r-4726), for its own
        # session does not see every look. Ours does, and opens at the first one.
        pass

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether the session did not exist before this request."""
        return self.is_new

    @property
    def permanent(self) -> bool:
        """Whether the client keeps the session when it closes.

        `True` gives it `PERMANENT_SESSION_LIFETIME` as its idle timeout, and a lifetime no shorter;
        `False` gives it `SESSION_EXPIRE`, and a cookie that goes when the browser closes.
        """
        visit = self._look()
        if visit.expiry and "persistent" in visit.expiry:
            persistent: bool = visit.expiry["persistent"]
            return persistent
        change = visit.replacement
        if change is not None and change.reason == "login":
            return change.remember is not None or visit.runtime.persistent
        return visit.held.record.persistent if visit.held else visit.runtime.persistent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self._said_permanent = value = bool(value)
        if value == self.permanent:
            return
        visit = self._changing()
        self._needs_header(visit, "changing session.permanent")
        config = visit.runtime.config
        idle = config.permanent_idle if value and config.permanent_idle else config.expire
        changes: dict[str, Any] = {"persistent": value, "idle": idle}
        if value and idle is not None:
            changes["least_lifetime"] = idle
        visit.amend(changes)

    def login(
        self,
        user_id: str,
        *,
        keep: Iterable[str] | None = None,
        remember: float | timedelta | None = None,
    ) -> None:
        super().login(user_id, keep=keep, remember=remember)
        if remember is None and self._said_permanent is not None:
            self.permanent = self._said_permanent  # what was said holds for the new session too


class SharedSession(FlaskSession):
    """A face of the session of a middleware around the application, which commits it."""

    committed_here = False


class ExcludedSession(FlaskSession):
    """What stands in for a session where the option `exclude` says that there is none."""

    committed_here = False

    def __repr__(self) -> str:
        return "<FlaskSession excluded>"

    # Both are said of every request in many a `before_request`, and neither alone stores anything.

    @property
    def permanent(self) -> bool:
        """What was said last, to no effect."""
        return bool(self._said_permanent)

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self._said_permanent = bool(value)

    @property
    def modified(self) -> bool:
        """False: there is nothing that could be saved."""
        return False

    @modified.setter
    def modified(self, value: bool) -> None:
        pass

    def _first_look(self) -> Visit:
        visit = self._visit = self._new_visit()
        visit.become_new()
        return visit

    def _refuse_change(self, *_: object) -> NoReturn:
        raise SessionError(
            "the option exclude means this path, so that it has no session to change: take the path"
            " out of SESSION_EXCLUDE"
        )

    _changing = _end = _refuse_change  # type: ignore[assignment]


session: Final = cast(FlaskSession, flask.session)
"""`flask.session`, with the type that it has where Coatcheck is set up."""
