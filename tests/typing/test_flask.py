"""What type checkers make of the Flask extension; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from coatcheck.store import AsyncSQLiteStore, MemoryStore
from coatcheck_flask import Coatcheck, CoatcheckSessionInterface, FlaskSession, session

if TYPE_CHECKING:
    import flask
    from flask.sessions import SessionInterface, SessionMixin

    def set_up(app: flask.Flask) -> None:
        """At once, later, or by hand."""
        assert_type(Coatcheck(app), Coatcheck)
        Coatcheck(store="sqlite:///sessions.db", expire=60).init_app(app)
        app.session_interface = CoatcheckSessionInterface(store=MemoryStore())
        interface: SessionInterface = CoatcheckSessionInterface()
        assert interface

    def view() -> None:
        """The proxy that the package exports has all that a session has."""
        assert_type(session, FlaskSession)
        assert_type(session["key"], Any)
        assert_type(session.user_id, str | None)
        assert_type(session.permanent, bool)
        assert_type(session.new, bool)
        session.permanent = True
        session.modified = True
        session.login("ann", remember=3600)
        session.logout()
        session.save()
        as_flask: SessionMixin = session
        assert as_flask

    def what_is_wrong(app: flask.Flask, store: AsyncSQLiteStore) -> None:
        """Is found before the program runs."""
        Coatcheck(app, expires=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        Coatcheck(app, store=store)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        session.login(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
