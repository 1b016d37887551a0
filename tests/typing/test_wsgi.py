"""What type checkers make of the WSGI middleware; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, assert_type

from coatcheck import Session
from coatcheck.store import AsyncSQLiteStore, MemoryStore
from coatcheck_wsgi import SessionMiddleware, get_session

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import flask

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """An application as PEP 3333 has it."""
        session = get_session(environ)
        assert_type(session, Session)
        assert_type(get_session(environ, "my.session"), Session)
        assert_type(session["n"], Any)
        start_response("200 OK", [])
        return []

    wrapped = SessionMiddleware(application, secret="...", store="sqlite:///sessions.db")
    assert_type(wrapped, SessionMiddleware)
    as_application: WSGIApplication = wrapped
    twice = SessionMiddleware(SessionMiddleware(application, secret="..."), secret="...")
    with_memory = SessionMiddleware(application, secret="...", store=MemoryStore(), expire=60)

    def around_flask(app: flask.Flask) -> None:
        """Flask's application is one too."""
        SessionMiddleware(app, secret="...")
        SessionMiddleware(app.wsgi_app, secret="...")

    def what_is_wrong(store: AsyncSQLiteStore) -> None:
        """Is found before the program runs."""
        SessionMiddleware(application, secret="...", expires=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        SessionMiddleware(application, secret=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionMiddleware(application, secret="...", store=store)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionMiddleware("app", secret="...")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
