"""Notes, in plain WSGI: no framework, and the same sessions as the applications beside it.

    $ pip install coatcheck gunicorn
    $ export SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
    $ gunicorn --workers 2 --bind 127.0.0.1:8001 wsgi_app:application

In another terminal:

    $ curl -c jar -b jar -d note=milk http://127.0.0.1:8001/
    Nobody's notes: milk
    $ curl -c jar -b jar -d name=ada http://127.0.0.1:8001/sign-in
    ada's notes: milk
    $ curl -c jar -b jar -X POST http://127.0.0.1:8001/sign-out
    Nobody's notes: none
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from coatcheck_wsgi import SessionMiddleware, get_session

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def notes(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request; the session is saved between the return and the first byte."""
    session = get_session(environ)  # environ["coatcheck.session"], with its type
    status = "200 OK"
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "GET", "/":
            pass
        case "POST", "/":
            session.setdefault("notes", []).append(form(environ, "note"))
        case "POST", "/sign-in":
            # A real application checks a password here.
            session.login(form(environ, "name"))
        case "POST", "/sign-out":
            session.logout()
        case _:
            status = "404 Not Found"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    listed = ", ".join(session.get("notes", [])) or "none"
    return [f"{session.user_id or 'Nobody'}'s notes: {listed}\n".encode()]


def form(environ: WSGIEnvironment, field: str) -> str:
    """Return a field of the form that was sent; "?" where it is missing."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return parse_qs(body.decode("utf-8", "replace")).get(field, ["?"])[0]


application = SessionMiddleware(
    notes, secret=os.environ["SECRET_KEY"], store="sqlite:///sessions.db"
)
