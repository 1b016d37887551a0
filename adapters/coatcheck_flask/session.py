"""What `flask.session` is: a session with the attributes that Flask's own has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.sessions import SessionMixin

from coatcheck.lifecycle import Lifecycle
from coatcheck.request import Request
from coatcheck.session import BaseSession, Session
from coatcheck.visit import Visit


class FlaskSession(Session, SessionMixin):
    """The session of one Flask request, with `permanent`, `new`, `modified` and `accessed`."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        native: Any = None,
        view: Callable[[Any], Request] | None = None,
        *,
        outer: BaseSession | None = None,
    ) -> None:
        super().__init__(lifecycle, native, view)
        self._outer = outer
        """The session of a middleware around the application, if this one is a face of it."""

    @property
    def is_a_face(self) -> bool:
        """Whether a middleware around the application commits this session."""
        return self._outer is not None

    def _first_look(self) -> Visit:
        if self._outer is None:
            return super()._first_look()
        visit = self._visit = self._outer._first_look()
        return visit

    @property
    def accessed(self) -> bool:
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
        return visit.held.record.persistent if visit.held else visit.runtime.persistent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        value = bool(value)
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
