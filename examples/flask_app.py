"""Notes, in Flask: who is signed in, data changed in place, and messages.

    $ pip install 'coatcheck[flask]'
    $ export SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
    $ flask --app flask_app run --port 5000

In another terminal:

    $ curl -c jar -b jar -d note=milk http://127.0.0.1:5000/
    Nobody's notes: milk
    $ curl -L -c jar -b jar -d name=ada http://127.0.0.1:5000/sign-in
    Welcome, ada.
    ada's notes: milk
    $ curl -b jar http://127.0.0.1:5000/
    ada's notes: milk
    $ curl -L -c jar -b jar -d "" http://127.0.0.1:5000/sign-out
    Nobody's notes: none
"""

from __future__ import annotations

import os
from datetime import timedelta

from flask import Flask, flash, get_flashed_messages, redirect, request
from werkzeug import Response

from coatcheck_flask import Coatcheck, session

app = Flask(__name__)
app.config.from_mapping(SECRET_KEY=os.environ["SECRET_KEY"], SESSION_STORE="sqlite:///sessions.db")
Coatcheck(app)


@app.get("/")
def show() -> str:
    """Show the notes; whoever has none is sent no cookie."""
    notes = ", ".join(session.get("notes", [])) or "none"
    lines = [*get_flashed_messages(), f"{session.user_id or 'Nobody'}'s notes: {notes}"]
    return "".join(f"{line}\n" for line in lines)


@app.post("/")
def add() -> str:
    """Add a note: a change inside a list, which is saved like any other."""
    session.setdefault("notes", []).append(request.form["note"])
    return show()


@app.post("/sign-in")
def sign_in() -> Response:
    """Sign in; whatever ID was there before is worth nothing from now on."""
    # A real application checks a password here.
    remember = timedelta(days=14) if "remember" in request.form else None
    session.login(request.form["name"], remember=remember)
    flash(f"Welcome, {session.user_id}.")
    return redirect("/", 303)


@app.post("/sign-out")
def sign_out() -> Response:
    """End the session, in the store too."""
    session.logout()
    return redirect("/", 303)
