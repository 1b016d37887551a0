"""The session interface, for who sets `app.session_interface` by hand; the extension uses it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from flask.sessions import SessionInterface

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import StoreError
from coatcheck.events import logger
from coatcheck.lifecycle import Lifecycle
from coatcheck.options import Options
from coatcheck.request import WSGIRequest
from coatcheck.response import finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import BaseSession, do_not_renew, lifecycle_of, visit_of
from coatcheck.settings import store_from_mapping
from coatcheck.store.protocol import Store
from coatcheck.streaming import StreamedBody, commit_at_the_end
from coatcheck_flask.session import FlaskSession

if TYPE_CHECKING:
    from flask import Flask
    from flask.wrappers import Request, Response


class CoatcheckSessionInterface(SessionInterface):
    """Opens and saves `flask.session` on any store.

    Settings come from `app.config`, read at each request, or from the options given here, which
    win. Works on an application (`app.session_interface = ...`) and on a class.
    """

    def __init__(self, *, store: Store | str | None = None, **options: Unpack[Options]) -> None:
        self._store = store
        self._options = options
        self._served: dict[int, tuple[dict[str, Any], Lifecycle]] = {}

    def lifecycle(self, app: Flask) -> Lifecycle:
        """Return what serves the application under its present configuration."""
        known = self._served.get(id(app))
        if known is not None and known[0] == app.config:
            return known[1]
        config = SessionConfig.from_mapping(app.config, **self._options)
        store = self._store if self._store is not None else store_from_mapping(app.config)
        if known is not None and known[1].runtime.config == config:
            return known[1]
        runtime = Runtime.blocking(config, store)
        runtime.persistent = False  # as Flask has it: only `session.permanent = True` makes it so
        lifecycle = Lifecycle(runtime)
        self._served[id(app)] = (dict(app.config), lifecycle)
        return lifecycle

    def open_session(self, app: Flask, request: Request) -> FlaskSession:
        lifecycle = self.lifecycle(app)
        environ = request.environ
        outer = environ.get("coatcheck.session")
        if isinstance(outer, BaseSession) and lifecycle.runtime.same_sessions(
            lifecycle_of(outer).runtime
        ):
            return FlaskSession(lifecycle_of(outer), outer=outer)
        session = FlaskSession(lifecycle, environ, WSGIRequest)
        config = lifecycle.runtime.config
        if config.renews is not None and not config.renews(request.path):
            do_not_renew(session)
        return session

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if not isinstance(session, FlaskSession) or session.is_a_face:
            return
        lifecycle = lifecycle_of(session)
        visit = visit_of(session)
        failed = response.status_code >= 500
        if visit is not None:
            if not lifecycle.idle(visit):
                try:
                    run_now(lifecycle.commit(visit, failed=failed))
                except StoreError as error:
                    make_unavailable(response, error)
                    return
            finish_headers(visit, response.headers)
        body = response.response
        if body.__class__ is not list and body.__class__ is not tuple:
            if not response.direct_passthrough and response.is_streamed:
                response.response = StreamedBody(
                    lifecycle,
                    session,
                    response.response,
                    length=response.content_length,
                    failed=failed,
                )


def make_unavailable(response: Response, error: StoreError) -> None:
    """Turn the response into a 503 that leaves the client's cookie alone."""
    logger.error("the session store failed: %s", error, exc_info=error)
    response.headers.clear()
    response.status_code = 503
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    response.set_data("The session store is out of reach. Please try again.\n")
