"""The WSGI applications under test, as servers load them: `tests.e2e.wsgi_apps:application`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from wsgiref.util import setup_testing_defaults, shift_path_info

import flask

from coatcheck_flask import Coatcheck, session
from coatcheck_wsgi import SessionMiddleware, get_session
from tests.e2e import views

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def paced(body: views.Body) -> Iterator[bytes]:
    """Iterate over the chunks that are there, waiting where there is none yet."""
    with closing(body) as chunks:
        for chunk in chunks:
            if chunk is None:
                time.sleep(0.01)
            else:
                yield chunk


def plain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The views on bare WSGI."""
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    body, status, headers = views.answer(get_session(environ), environ["PATH_INFO"], query)
    line = f"{status} {HTTPStatus(status).phrase}"
    if isinstance(body, bytes):
        sized = [] if status in (204, 304) else [("Content-Length", str(len(body)))]
        write = start_response(line, [*headers, *sized])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        if "write" not in query:
            return [body]
        write(body[:3])
        write(body[3:])
        return []
    start_response(line, [*headers])
    if isinstance(body, Path):
        return environ["wsgi.file_wrapper"](body.open("rb"))  # type: ignore[no-any-return]
    return paced(body)


def on_flask(database: str) -> flask.Flask:
    """The views on Flask."""
    app = flask.Flask(__name__)
    Coatcheck(app, store=database, **views.OPTIONS)

    @app.route("/<path:path>", methods=["GET", "POST"])
    def view(path: str) -> flask.Response:
        body, status, headers = views.answer(session, path, flask.request.args)
        if isinstance(body, Path):
            return flask.send_file(body)
        if isinstance(body, bytes):
            return flask.Response(body, status, list(headers))
        chunks = flask.stream_with_context(paced(body))
        return flask.Response(chunks, status, list(headers))

    return app


def warm(app: WSGIApplication) -> None:
    """Use the application before the server forks its workers, and tell the cookie."""
    environ: WSGIEnvironment = {"PATH_INFO": "/put", "QUERY_STRING": "made=before%20the%20fork"}
    setup_testing_defaults(environ)

    def start_response(_status: str, headers: list[tuple[str, str]], *_: object) -> object:
        views.tell(f"before the fork: {dict(headers)['Set-Cookie'].partition(';')[0]}")
        return None

    list(app(environ, start_response))  # type: ignore[arg-type]


def build() -> WSGIApplication:
    """Make the applications, and mount them side by side."""
    database, files = views.store_urls(views.folder())
    mounts: dict[str | None, WSGIApplication] = {
        "plain": SessionMiddleware(plain, store=database, **views.OPTIONS),
        "framework": on_flask(database),
        "files": SessionMiddleware(plain, store=files, **views.FILES),
    }
    if "E2E_WARM" in os.environ:
        for app in mounts.values():
            warm(app)

    def dispatch(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return mounts[shift_path_info(environ)](environ, start_response)

    return dispatch


application = build()
