"""The session interface, which the extension sets up; it also works alone."""

from __future__ import annotations

from copy import copy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack, cast

from flask import current_app
from flask.sessions import SessionInterface

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import StoreError
from coatcheck.events import logger
from coatcheck.face import do_not_renew, headers_left, lifecycle_of, share, visit_of
from coatcheck.lifecycle import Lifecycle
from coatcheck.nesting import session_around
from coatcheck.options import Options
from coatcheck.request import WSGIRequest
from coatcheck.response import UNAVAILABLE, finish_headers
from coatcheck.runtime import Runtime
from coatcheck.settings import store_from_mapping
from coatcheck.shapes import AnyStore
from coatcheck.store.protocol import Store
from coatcheck.streaming import StreamedBody, commit_at_the_end, purge_aside
from coatcheck_flask.session import ExcludedSession, FlaskSession, SharedSession

if TYPE_CHECKING:
    from flask import Flask
    from flask.wrappers import Request, Response

_KEY: Final = "coatcheck.session"
_SERVED: Final = "coatcheck.served"


class _Served(NamedTuple):
    """What serves one application under one state of its configuration."""

    interface: CoatcheckSessionInterface
    settings: dict[str, Any]
    store: AnyStore | str | None
    lifecycle: Lifecycle


class CoatcheckSessionInterface(SessionInterface):
    """Opens and saves `flask.session` on any store.

    Settings come from `app.config`, read at each request, or from the options given here, which
    win. Works on an application (`app.session_interface = ...`) and on a class, for all of its
    applications. What is unknown or wrong is a `ConfigurationError` at the first request, saying
    what to write; the extension says it at once.
    """

    def __init__(self, *, store: Store | str | None = None, **options: Unpack[Options]) -> None:
        self._store = store
        self._options = options
        self._lock = Lock()

    def lifecycle(self, app: Flask) -> Lifecycle:
        """Return what serves the application under its present configuration."""
        served: _Served | None = app.extensions.get(_SERVED)
        if served is None or served.settings != app.config or served.interface is not self:
            with self._lock:
                served = app.extensions[_SERVED] = self._serve(app, app.extensions.get(_SERVED))
        return served.lifecycle

    def _serve(self, app: Flask, before: _Served | None) -> _Served:
        if before is None:
            _answer_store_errors(app)
        # What may be changed in place is compared with a copy.
        settings: dict[str, Any] = {
            key: copy(value) if type(value) in (list, dict, set) else value
            for key, value in cast("dict[str, Any]", app.config).items()
        }
        config = SessionConfig.from_mapping(app.config, **self._options)
        store = self._store if self._store is not None else store_from_mapping(app.config)
        runtime = self._runtime(config, store, before)
        runtime.persistent = False  # as Flask has it: only `session.permanent = True` makes it so
        known = before is not None and before.lifecycle.runtime is runtime
        lifecycle = before.lifecycle if before is not None and known else Lifecycle(runtime)
        return _Served(self, settings, store, lifecycle)

    def _runtime(
        self, config: SessionConfig, store: AnyStore | str | None, before: _Served | None
    ) -> Runtime:
        """Return what was there before, as far as it fits: a store in memory keeps its sessions."""
        if before is None or before.interface is not self or before.store != store:
            return Runtime.blocking(config, store)
        runtime = before.lifecycle.runtime
        if runtime.config == config:
            return runtime
        same_keys = runtime.config.namespace == config.namespace
        return Runtime.blocking(config, runtime.wrapped if same_keys else store)

    def open_session(self, app: Flask, request: Request) -> FlaskSession:
        lifecycle = self.lifecycle(app)
        environ = request.environ
        if _KEY in environ or "asgi.scope" in environ:
            outer = session_around(environ, _KEY, lifecycle.runtime)
            if outer is not None:
                shared = SharedSession(lifecycle_of(outer))
                share(shared, outer)
                return shared
        config = lifecycle.runtime.config
        if config.excludes is not None and config.excludes(request.path):
            return ExcludedSession(lifecycle)
        session = FlaskSession(lifecycle, environ, WSGIRequest)
        if config.renews is not None and not config.renews(request.path):
            do_not_renew(session)
        return session

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if not isinstance(session, FlaskSession) or not session.committed_here:
            return
        lifecycle = lifecycle_of(session)
        visit = visit_of(session)
        failed = response.status_code >= 500
        if visit is not None:
            if not lifecycle.idle(visit):
                try:
                    run_now(lifecycle.commit(visit, failed=failed))
                except StoreError as error:
                    _make_unavailable(response, error)
                    return
            finish_headers(visit, response.headers)
            purge_aside(lifecycle)
        body = response.response
        made = body.__class__ is list or body.__class__ is tuple or response.direct_passthrough
        if made or not response.is_streamed:
            headers_left(session)
            response.call_on_close(partial(commit_at_the_end, lifecycle, session, failed=failed))
        else:
            response.response = StreamedBody(
                lifecycle, session, body, length=response.content_length, failed=failed
            )


def _answer_store_errors(app: Flask) -> None:
    """Make a `StoreError` of a view a 503, unless the application handles it itself."""
    if StoreError not in app.error_handler_spec[None][None]:
        app.register_error_handler(StoreError, _unavailable)


def _unavailable(error: StoreError) -> Response:
    response = current_app.response_class()
    _make_unavailable(response, error)
    return response


def _make_unavailable(response: Response, error: StoreError) -> None:
    """Turn the response into a 503 that leaves the client's cookie alone: nobody is signed out."""
    logger.error("the session store failed: %s", error, exc_info=error)
    close = getattr(response.response, "close", None)
    if close is not None:
        close()
    response.direct_passthrough = False
    response.headers.clear()
    response.status_code = 503
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    response.set_data(UNAVAILABLE)
