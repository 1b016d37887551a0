"""How a session object gets at its visit: at its first use, and not before.

Adapters and managers steer that through the functions at the end; applications never see it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from coatcheck.errors import ResponseStarted, SessionEnded
from coatcheck.lifecycle import Lifecycle
from coatcheck.lifecycle.visit import Phase, Visit
from coatcheck.request import Request

_UNOPENED: Final = Phase.UNOPENED
_LOST: Final = Phase.LOST
_opening: Final = threading.Lock()
"""Held for a microsecond, in which no store is called."""


class Face:
    """The part of a session that finds its visit, and says whether a change can be kept."""

    # Class attributes for what most requests never set: an untouched session must cost nothing.
    _visit: Visit | None = None
    _prepared: Visit | None = None
    _outer: Face | None = None
    _candidates: tuple[str, ...] | None = None
    _renew = True
    _headers_left = False
    _on_event_loop = False

    def __init__(
        self, lifecycle: Lifecycle, native: Any = None, view: Callable[[Any], Request] | None = None
    ) -> None:
        """Make the session of one request; adapters and managers do this, applications never.

        `native` is the environ or scope, and `view` makes a `Request` of it once that is needed.
        """
        self._lifecycle = lifecycle
        self._native = native
        self._request_view = view
        self._begun = lifecycle.runtime.clock()
        self._opened: list[Visit] = []

    def _first_look(self) -> Visit:
        """Open the session at its first use. Of several threads that do so at once, one wins."""
        visit = self._prepared
        if visit is None:
            visit = self._new_visit() if self._outer is None else self._visit_of_outer(self._outer)
            if visit.phase is _UNOPENED:
                self._open(visit)
        elif not visit.verified:
            # A visitor's, looked for an ID and not yet opened. All threads have this same visit.
            with _opening:
                if visit.phase is _UNOPENED:
                    self._open(visit)
        self._opened.append(visit)
        winner = self._visit = self._opened[0]
        return winner

    def _new_visit(self) -> Visit:
        # In this order: where another thread lets go of them meanwhile, it has looked, and its look
        # is the one that counts.
        native, view = self._native, self._request_view
        request = None if view is None else view(native)
        visit = Visit(self._lifecycle.runtime, request, self._begun, self._renew)
        visit.candidates = self._candidates
        visit.response_started = self._headers_left
        return visit

    def _visit_of_outer(self, outer: Face) -> Visit:
        visit = outer._visit or outer._first_look()
        if outer._on_event_loop:
            # It may be committed on the event loop while a change is made in this thread. Whatever
            # the commit misses then is found by comparing at the next one.
            visit.shared = True
        return visit

    def _open(self, visit: Visit) -> None:
        raise NotImplementedError

    def _look(self) -> Visit:
        visit = self._visit or self._first_look()
        if visit.phase is _LOST:
            raise SessionEnded("this session was ended by another request, or it expired")
        return visit

    def _view(self) -> dict[str, Any]:
        visit = self._visit or self._first_look()
        view = visit.view
        if view is None or visit.phase is _LOST:
            return self._look().data()
        return view

    def _changing(self) -> Visit:
        """Return the visit, for a change; raises where no change can be kept."""
        visit = self._look()
        if visit.phase is Phase.ENDED:
            raise SessionEnded("this session was destroyed: a destroyed session takes no changes")
        if visit.response_started:
            if visit.phase is Phase.NEW:
                self._needs_header(visit, "storing something in a new session")
            elif visit.runtime.in_client:
                self._needs_header(visit, "changing a session that is kept in its cookie")
        return visit

    def _needs_header(self, visit: Visit, what: str) -> None:
        if visit.response_started and visit.runtime.state.sends:
            raise ResponseStarted(
                f"{what} needs a response header, and the headers have left: do it before the"
                " response starts, for example before the first chunk of a stream is made"
            )


def visit_of(session: Face) -> Visit | None:
    """Return the visit behind a session that was looked at, for adapters; else `None`."""
    return session._visit  # pyright: ignore[reportPrivateUsage]


def attach(session: Face, visit: Visit) -> None:
    """Make the session a face of a visit that is open already; for managers."""
    session._visit = visit  # pyright: ignore[reportPrivateUsage]


def lifecycle_of(session: Face) -> Lifecycle:
    """Return the lifecycle that serves the session; for adapters that meet one of another's."""
    return session._lifecycle  # pyright: ignore[reportPrivateUsage]


def share(session: Face, outer: Face) -> None:
    """Make the session another face of one that an adapter further out commits; before its use."""
    session._outer = outer  # pyright: ignore[reportPrivateUsage]


def headers_left(session: Face) -> None:
    """Take note that the response's headers are gone, looked at or not; for adapters."""
    session._headers_left = True  # pyright: ignore[reportPrivateUsage]
    visit = session._visit or session._prepared  # pyright: ignore[reportPrivateUsage]
    if visit is not None:
        visit.response_started = True


def let_go(session: Face, native: Any = None) -> None:
    """Let go of the request, for its headers have left; for adapters.

    Environ and scope hold the session. If it held them too, all of that, the visitor's data in it,
    would stay in memory until the garbage collector came. A session that nobody has looked at yet
    can do with `native`, which does not hold it; without that it keeps what it has.
    """
    headers_left(session)
    visit = session._visit or session._prepared  # pyright: ignore[reportPrivateUsage]
    if visit is not None:
        visit.request = session._request_view = None  # pyright: ignore[reportPrivateUsage]
        session._native = None  # pyright: ignore[reportPrivateUsage]
    elif native is not None:
        session._native = native  # pyright: ignore[reportPrivateUsage]


def brings_no_id(session: Face) -> None:
    """Take note that this request carries no ID, so that none is looked for; for adapters."""
    session._candidates = ()  # pyright: ignore[reportPrivateUsage]


def do_not_renew(session: Face) -> None:
    """Let this request not count as activity; for adapters, before the session is used."""
    session._renew = False  # pyright: ignore[reportPrivateUsage]
