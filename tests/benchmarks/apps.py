"""The applications that are timed: the same four pages behind each adapter, with and without it."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from flask import Flask
from flask.sessions import NullSession, SessionInterface

from coatcheck_asgi import SessionMiddleware as ASGISessions
from coatcheck_flask import Coatcheck, session
from coatcheck_wsgi import SessionMiddleware as WSGISessions

SECRET = "benchmark-secret-benchmark-secret-0123456789"
PAYLOAD: dict[str, Any] = {
    "csrf": "IjY3ZGQ5NTc2ZjQ2MTY5ZWMwOGU1ZTRkMjY0ZTYwZGY3YjFkMGE4YWUi",
    "email": "jan.kowalski@example.com",
    "name": "Jan Kowalski",
    "roles": ["user", "editor", "billing"],
    "locale": "pl_PL",
    "timezone": "Europe/Warsaw",
    "cart": [{"sku": "A-1001", "qty": 2, "cents": 1999}, {"sku": "B-2040", "qty": 1, "cents": 90}],
    "prefs": {"theme": "dark", "page_size": 50, "sidebar": False, "beta": None},
    "seen": 1767225600.25,
}


def page(path: str, session: Any) -> bytes:
    """Do what the page of that path does with a session; a bare application has none."""
    if path == "/untouched" or session is None:
        return b"1"
    if path == "/write":
        session["n"] += 1
    elif path == "/new":
        session.update(PAYLOAD)
        session["n"] = 1
    return str(session["n"]).encode()


class Target(Protocol):
    """An application that can be asked for a page many times over."""

    def ask(self, path: str, cookie: str | None) -> list[tuple[str, str]]:
        """Ask once; return the response's headers."""
        ...

    def time(self, path: str, cookie: str | None, times: int) -> float:
        """Ask that many times; return the seconds it took."""
        ...


class WSGITarget:
    """A WSGI application, called as a server calls it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def _environ(self, path: str, cookie: str | None) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
            "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        if cookie is not None:
            environ["HTTP_COOKIE"] = cookie
        return environ

    def ask(self, path: str, cookie: str | None) -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> None:
            seen.extend(headers)

        body = self._app(self._environ(path, cookie), start_response)
        b"".join(body)
        _close(body)
        return seen

    def time(self, path: str, cookie: str | None, times: int) -> float:
        app, environ = self._app, self._environ(path, cookie)

        def start_response(status: str, headers: object, exc_info: object = None) -> None:
            if status[0] != "2":
                raise RuntimeError(f"{path}: {status}")

        start = time.perf_counter()
        for _ in range(times):
            body = app(environ.copy(), start_response)
            b"".join(body)
            _close(body)
        return time.perf_counter() - start


class ASGITarget:
    """An ASGI application, called as a server calls it, on an event loop of its own."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def _scope(self, path: str, cookie: str | None) -> dict[str, Any]:
        headers = [(b"host", b"localhost")]
        if cookie is not None:
            headers.append((b"cookie", cookie.encode()))
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "scheme": "http", "headers": headers, "client": ("127.0.0.1", 1), "server": None,
        }  # fmt: skip

    async def _run(self, path: str, cookie: str | None, times: int) -> list[dict[str, Any]]:
        scope, messages = self._scope(path, cookie), list[dict[str, Any]]()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if times == 1:
                messages.append(message)

        for _ in range(times):
            await self._app(scope.copy(), receive, send)
        return messages

    def ask(self, path: str, cookie: str | None) -> list[tuple[str, str]]:
        messages = self._loop.run_until_complete(self._run(path, cookie, 1))
        return [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]

    def time(self, path: str, cookie: str | None, times: int) -> float:
        start = time.perf_counter()
        self._loop.run_until_complete(self._run(path, cookie, times))
        return time.perf_counter() - start


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def wsgi(store: str | None) -> Target:
    """Make the WSGI application, bare or with sessions in the store of that URL."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        body = page(environ["PATH_INFO"], environ.get("coatcheck.session"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    return WSGITarget(WSGISessions(app, secret=SECRET, store=store) if store else app)


def asgi(store: str | None) -> Target:
    """Make the ASGI application, bare or with sessions in the store of that URL."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = page(scope["path"], scope.get("coatcheck.session"))
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return ASGITarget(ASGISessions(app, secret=SECRET, store=store) if store else app)


def flask(store: str | None) -> Target:
    """Make the Flask application, bare or with sessions in the store of that URL."""
    app = Flask("benchmark")
    if store:
        app.config["SECRET_KEY"], app.config["SESSION_STORE"] = SECRET, store
        Coatcheck(app)
    else:
        app.session_interface = _NoSession()
    for path in ("/untouched", "/read", "/write", "/new"):
        app.add_url_rule(path, path, partial(page, path, session) if store else _one)
    return WSGITarget(app)


def _one() -> bytes:
    return b"1"


class _NoSession(SessionInterface):
    """Flask always opens a session; this is the cheapest."""

    _session = NullSession()

    def open_session(self, app: Flask, request: object) -> NullSession:
        return self._session

    def save_session(self, app: Flask, session: object, response: object) -> None:
        return None


ADAPTERS: dict[str, Callable[[str | None], Target]] = {"wsgi": wsgi, "asgi": asgi, "flask": flask}
