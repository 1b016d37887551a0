"""The Flask side. Sessions are set up in `make_app`; the views use `flask.session` as always."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from flask import Flask, abort, redirect, render_template, request
from flask import session as flask_session
from werkzeug import Response

import basket
from coatcheck import SessionManager
from coatcheck_flask import Coatcheck, FlaskSession
from pages import COOKIE, FLASK, TEMPLATES, after, counter
from place import Place

session = cast(FlaskSession, flask_session)
"""`flask.session`, under the type that it has now, so that editors know `login` and the rest."""


def make_app(place: Place) -> Flask:
    """Return the application, to be mounted at `/flask`."""
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=None)
    app.config.from_mapping(
        SECRET_KEY=place.secret,
        SESSION_STORE=place.store,
        SESSION_COOKIE_NAME=COOKIE,
    )
    Coatcheck(app, resolve={"basket": basket.merge})
    # For what concerns other sessions than that of the request.
    manager = SessionManager(store=place.store, secret=place.secret)

    @app.get("/")
    def show() -> str:
        user = session.user_id
        users_sessions = manager.sessions_of(user) if user else []
        return render_template(
            "counter.html", **counter(FLASK, session, users_sessions, beside=_beside())
        )

    @app.post("/sign-in")
    def sign_in() -> Response:
        name = request.form.get("name", "").strip()
        if not 0 < len(name) <= 40:
            abort(400, "Please go back and give a name of 1 to 40 characters.")
        session.login(name, remember=timedelta(days=30) if "remember" in request.form else None)
        session["signed_in_on"] = FLASK.name
        return _back()

    @app.post("/sign-out")
    def sign_out() -> Response:
        session.logout()
        return _back()

    @app.post("/regenerate")
    def regenerate() -> Response:
        session.regenerate()
        return _back()

    @app.post("/basket/<key>/put")
    def put(key: str) -> Response:
        if key not in basket.GOODS:
            abort(404)
        basket.put(session, key, FLASK.name)
        return _back()

    @app.post("/basket/<key>/take")
    def take(key: str) -> Response:
        basket.take(session, key)
        return _back()

    @app.post("/sessions/<handle>/revoke")
    def revoke(handle: str) -> Response:
        user = session.user_id
        if user is None:
            abort(403, "Please sign in first.")
        try:
            manager.revoke(handle, user_id=user)  # only if it is the user's own
        except ValueError:
            abort(404)  # not in the form of a handle
        return _back()

    @app.post("/sessions/revoke-others")
    def revoke_others() -> Response:
        user = session.user_id
        if user is None:
            abort(403, "Please sign in first.")
        manager.revoke_user(user, keep=[session.handle])
        return _back()

    return app


def _beside() -> bool:
    return "beside" in request.args


def _back() -> Response:
    return redirect(after(FLASK, beside=_beside()), 303)
