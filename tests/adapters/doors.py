"""The adapters as sites: the one view function behind WSGI, Flask and ASGI."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote
from wsgiref.validate import validator

import anyio
import flask
import pytest
import trio
from asgiref.testing import ApplicationCommunicator

from coatcheck import SessionError
from coatcheck.drivers import run_now
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.site import Answer, AnySession, Reply, Request, Site, answer_of, make

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # WebOb imports cgi
    import webtest

_BODILESS = {204, 304}
Message = dict[str, Any]
T = TypeVar("T")


def headers_of(answer: Answer) -> list[tuple[str, str]]:
    """Return the headers of an answer, with a type where there is a body."""
    plain = [] if answer.status in _BODILESS else [("Content-Type", "text/plain; charset=utf-8")]
    return [*plain, *answer.headers]


def status_line(status: int) -> str:
    """Return the status as WSGI has it."""
    return f"{status} {HTTPStatus(status).phrase}"


def chunks_of(answer: Answer, session: AnySession) -> Iterator[bytes]:
    """Make the chunks of an answer, one by one."""
    for chunk in answer.chunks:
        yield run_now(make(chunk, session))


def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The view as a WSGI application."""
    session = environ.get("coatcheck.session")
    answer = run_now(answer_of(environ["test.request"].view, session))
    start_response(status_line(answer.status), headers_of(answer))
    if answer.status in _BODILESS:
        return []
    return list(chunks_of(answer, session)) if answer.whole else chunks_of(answer, session)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """The view as an ASGI application."""
    session = scope.get("coatcheck.session")
    answer = await answer_of(scope["test.request"].view, session)
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(answer)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if not answer.whole:
        for chunk in answer.chunks:
            body = await make(chunk, session)
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        body = b"" if answer.status in _BODILESS else str(answer.body).encode()
        await send({"type": "http.response.body", "body": body})


def flask_app() -> flask.Flask:
    """The view as a Flask application."""
    app = flask.Flask("site", static_folder=None)
    app.logger.addHandler(logging.NullHandler())
    app.logger.propagate = False

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def view(path: str) -> flask.Response:
        session: Any = flask.session
        request: Request = flask.request.environ["test.request"]
        answer = run_now(answer_of(request.view, session))
        body = answer.body if isinstance(answer.body, str) else chunks_of(answer, session)
        if not isinstance(body, str):
            body = flask.stream_with_context(body)
        response = flask.Response(body, answer.status, headers_of(answer))
        if answer.status in _BODILESS:
            del response.headers["Content-Type"]
        return response

    return app


class Recorder:
    """A WSGI server's part: it notes what leaves, also where an exception comes out."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.replies: list[Reply] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        reply = Reply(500)
        self.replies.append(reply)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            reply.status, reply.headers = int(status[:3]), list(headers)
            return chunks.append

        chunks: list[bytes] = []
        request: Request = environ["test.request"]
        try:
            body = self.app(environ, start)
            try:
                for chunk in body:
                    chunks.append(chunk)
                    if request.chunks_read is not None and len(chunks) >= request.chunks_read:
                        break
            finally:
                close: Callable[[], None] = getattr(body, "close", lambda: None)
                close()
        except Exception as error:  # noqa: BLE001 - a server survives anything
            reply.error = error
        reply.body = b"".join(chunks).decode()
        start_response("204 No Content", [])
        return []


class _WSGISite(Site):
    """A site behind a WSGI server, with WebTest and wsgiref's validator in between."""

    app: WSGIApplication

    def serve(self, app: WSGIApplication) -> None:
        """Set up what stands between the client and the application."""
        self.recorder = Recorder(validator(app))
        self.webtest: Any = webtest.TestApp(self.recorder)

    async def ask(self, request: Request) -> Reply:
        environ: Message = {"test.request": request}
        if request.client is not None:
            environ["REMOTE_ADDR"] = request.client
        blank = webtest.TestRequest.blank(
            request.path,
            environ,
            base_url="https://www.example.org" if request.https else "http://www.example.org",
            method=request.method,
        )
        for name, value in request.headers:
            key = "HTTP_" + name.upper().replace("-", "_")
            known = blank.environ.get(key)
            glue = "; " if key == "HTTP_COOKIE" else ", "
            blank.environ[key] = value if known is None else known + glue + value
        self.webtest.do_request(blank, expect_errors=True)
        return self.recorder.replies.pop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return run_now(work)


class WSGISite(_WSGISite):
    """The WSGI middleware around the view."""

    door = "wsgi"

    def __init__(
        self, kind: str, folder: Path, *, twin: Site | None = None, **options: Any
    ) -> None:
        super().__init__(kind, folder, twin=twin, **options)
        store: Any = self.tap.store
        self.serve(WSGIMiddleware(wsgi_app, store=store, **self.options))


class FlaskSite(_WSGISite):
    """The Flask extension, with the view as its only one."""

    door = "flask"
    persistent = False

    def __init__(
        self, kind: str, folder: Path, *, twin: Site | None = None, **options: Any
    ) -> None:
        super().__init__(kind, folder, twin=twin, **options)
        self.flask = flask_app()
        store: Any = self.tap.store
        Coatcheck(self.flask, store=store, **self.options)
        self.serve(self.flask)

    def without_session(self, session: Any) -> str:
        assert dict(session) == {}
        assert session.user_id is None
        assert "excluded" in repr(session).lower()
        for change in (session.clear, session.logout, lambda: session.update(a=1)):
            with pytest.raises(SessionError, match="exclude"):
                change()
        return "no session"


def scope_of(request: Request) -> Message:
    """Return the scope of a request, as a server makes it."""
    path, _, query = request.path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https" if request.https else "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (b"host", b"www.example.org"),
            *((name.lower().encode(), value.encode()) for name, value in request.headers),
        ],
        "client": None if request.client is None else (request.client, 4711),
        "server": ("www.example.org", 80),
        "test.request": request,
    }


class ClientGone(OSError):
    """What a server may raise from `send` once the client has gone."""


def reply_of(messages: list[Message], error: BaseException | None) -> Reply:
    """Make a reply of the messages that left."""
    reply = Reply(500, error=error)
    for message in messages:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = [(n.decode(), v.decode()) for n, v in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            reply.body += message.get("body", b"").decode()
    return reply


async def play(
    app: Callable[[Any, Any, Any], Awaitable[None]],
    scope: Message,
    incoming: Iterable[Message] = (),
    *,
    chunks_read: int | None = None,
) -> tuple[list[Message], BaseException | None]:
    """Run an application by hand, on any event loop; return what it sent, and what it raised.

    Nothing comes after the `incoming` messages. After `chunks_read` parts of a body the client is
    gone, and `send` raises.
    """
    waiting, sent = list(incoming), list[Message]()

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        bodies = sum(message["type"].endswith(".body") for message in sent)
        if chunks_read is not None and bodies >= chunks_read:
            raise ClientGone
        sent.append(message)

    try:
        with anyio.fail_after(10):
            await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - a server survives anything
        return sent, error
    return sent, None


BODY: Message = {"type": "http.request", "body": b"", "more_body": False}


class ASGISite(Site):
    """The ASGI middleware around the view, on asyncio, driven by asgiref's communicator."""

    door = "asgi"
    ends_at_once = False

    def __init__(
        self, kind: str, folder: Path, *, twin: Site | None = None, **options: Any
    ) -> None:
        super().__init__(kind, folder, twin=twin, **options)
        store: Any = self.tap.store
        self.app = ASGIMiddleware(asgi_app, store=store, **self.options)
        self.loads_ahead = not self.app.lifecycle.runtime.opens_inline
        self.runner: asyncio.Runner
        self.runner = twin.runner if isinstance(twin, ASGISite) else asyncio.Runner()

    async def ask(self, request: Request) -> Reply:
        scope = scope_of(request)
        if request.chunks_read is not None:
            return reply_of(*await play(self.app, scope, [BODY], chunks_read=request.chunks_read))
        # asgiref has no types for it.
        communicator: Any = ApplicationCommunicator(self.app, scope)  # type: ignore[no-untyped-call]
        await communicator.send_input(BODY)
        error: BaseException | None = None
        try:
            await communicator.wait(timeout=30)  # its second is too short for a busy machine
        except Exception as raised:  # noqa: BLE001 - a server survives anything
            error = raised
        messages: list[Message] = []
        while not communicator.output_queue.empty():
            messages.append(communicator.output_queue.get_nowait())
        return reply_of(messages, error)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def __exit__(self, *_: object) -> None:
        close = getattr(self.tap.store, "aclose", None)
        if close is not None:
            self.runner.run(close())
        self.runner.close()
        super().__exit__()


class TrioSite(ASGISite):
    """The ASGI middleware on trio."""

    async def ask(self, request: Request) -> Reply:
        return reply_of(
            *await play(self.app, scope_of(request), [BODY], chunks_read=request.chunks_read)
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return trio.run(partial(_await, work))

    def __exit__(self, *_: object) -> None:
        close = getattr(self.tap.store, "aclose", None)
        if close is not None:
            trio.run(close)
        self.runner.close()
        Site.__exit__(self)


async def _await(work: Coroutine[Any, Any, T]) -> T:
    return await work


DOORS: dict[str, type[Site]] = {
    "wsgi": WSGISite,
    "flask": FlaskSite,
    "asgi": ASGISite,
    "trio": TrioSite,
}
SITES = [
    *((door, kind) for door in ("wsgi", "flask") for kind in ("memory", "file", "sqlite")),
    *(("asgi", kind) for kind in ("memory", "file", "sqlite", "async-sqlite")),
    ("trio", "memory"),
    ("trio", "file"),
    ("trio", "async-sqlite"),
    *(("wsgi", "redis"), ("flask", "redis"), ("asgi", "async-redis"), ("trio", "redis")),
    *(("wsgi", "postgresql"), ("asgi", "async-postgresql"), ("flask", "mariadb")),
]
"""Every adapter on every built-in store."""
KEYVALUE_SITES = [("wsgi", "keyvalue"), ("flask", "keyvalue"), ("asgi", "async-keyvalue")]
"""And on whatever has `get`, `set` and `delete`, which has no index of users."""
