"""Many at once: no request ever sees another one's session (SEC-46)."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import flask
import pytest

from coatcheck.clock import system_clock
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.doors import BODY, play
from tests.adapters.site import SECRET
from tests.adapters.taps import make_store
from tests.adapters.test_asgi import cookie_of, scope
from tests.adapters.test_wsgi import PLAIN, Server

CLIENTS, VISITS = 12, 15


def count(session: Any, client: str) -> bytes:
    """Count this client's visits, in a session that must be its own."""
    assert session.setdefault("client", client) == client
    session["visits"] = session.get("visits", 0) + 1
    return b"%d" % session["visits"]


def wsgi_app(environ: Any, start_response: Any) -> Any:
    """The count as a WSGI application."""
    body = count(environ["coatcheck.session"], environ["client"])
    start_response("200 OK", PLAIN)
    return [body]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """The count as an ASGI application, which lets others go first now and then."""
    body = count(scope["session"], scope["client_name"])
    await anyio.lowlevel.checkpoint()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await anyio.lowlevel.checkpoint()
    await send({"type": "http.response.body", "body": body})


def flask_app(store: Any) -> flask.Flask:
    """The count as a Flask application."""
    app = flask.Flask("site")
    Coatcheck(app, secret=SECRET, store=store)

    @app.route("/")
    def view() -> bytes:  # pyright: ignore[reportUnusedFunction]
        return count(flask.session, flask.request.environ["client"])

    return app


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("door", ["wsgi", "flask"])
def test_sec_46_threads_never_see_each_others_sessions(
    door: str, kind: str, tmp_path: Path
) -> None:
    """Each with a client of its own."""
    store: Any = make_store(kind, tmp_path, system_clock)
    app: Any = WSGIMiddleware(wsgi_app, secret=SECRET, store=store)
    if door == "flask":
        app = flask_app(store)

    def visit(client: int) -> list[bytes]:
        cookie: str | None = None
        bodies: list[bytes] = []
        for _ in range(VISITS):
            server = Server(app, cookie, client=f"client {client}")
            bodies.append(server.run())
            cookie = server.cookie or cookie
        return bodies

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(visit, range(CLIENTS)))
    finally:
        sys.setswitchinterval(interval)
        store.close()
    assert results == [[b"%d" % (n + 1) for n in range(VISITS)]] * CLIENTS


@pytest.mark.parametrize("kind", ["memory", "async-sqlite", "file"])
def test_sec_46_tasks_never_see_each_others_sessions(kind: str, tmp_path: Path) -> None:
    """Each with a client of its own."""
    store: Any = make_store(kind, tmp_path, system_clock)
    app = ASGIMiddleware(asgi_app, secret=SECRET, store=store)

    async def visit(client: int) -> list[bytes]:
        cookie: str | None = None
        bodies: list[bytes] = []
        for _ in range(VISITS):
            given = scope(cookie, client_name=f"client {client}")
            sent, error = await play(app, given, [BODY])
            assert error is None
            bodies.append(sent[-1]["body"])
            cookie = cookie_of(sent) or cookie
        return bodies

    async def main() -> list[list[bytes]]:
        return await asyncio.gather(*(visit(client) for client in range(CLIENTS)))

    assert asyncio.run(main()) == [[b"%d" % (n + 1) for n in range(VISITS)]] * CLIENTS


def test_one_session_by_many_threads_loses_nothing(tmp_path: Path) -> None:
    """Each changes a key of its own, and all of them are there in the end."""
    store: Any = make_store("sqlite", tmp_path, system_clock)

    def app(environ: Any, start_response: Any) -> Any:
        environ["coatcheck.session"][environ["client"]] = True
        start_response("200 OK", PLAIN)
        return [b"%d" % len(environ["coatcheck.session"])]

    middleware = WSGIMiddleware(app, secret=SECRET, store=store)
    first = Server(middleware, client="first")
    first.run()

    def visit(client: int) -> bytes:
        return Server(middleware, first.cookie, client=str(client)).run()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(40)))
    last = Server(middleware, first.cookie, client="first")
    assert last.run() == b"41"
    store.close()
