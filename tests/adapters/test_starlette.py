"""Starlette and FastAPI: `add_middleware`, `request.session`, mounts, and their own middlewares."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import a2wsgi
import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from coatcheck import AsyncSession, ConfigurationError, StoreError
from coatcheck.clock import system_clock
from coatcheck.store import MemoryStore
from coatcheck_asgi import SessionMiddleware, get_session
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap, make_store
from tests.adapters.test_nesting import flask_app
from tests.core.cookiejar import parse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones would rather have another httpx
    from starlette import testclient

A2WSGI: Any = a2wsgi.WSGIMiddleware


def session_of(request: HTTPConnection) -> AsyncSession:
    """The session, as a dependency of FastAPI."""
    return get_session(request)


CurrentSession = Annotated[AsyncSession, Depends(session_of)]


def browse(app: Any, **options: Any) -> Any:
    """Return a client of the application."""
    make: Any = testclient.TestClient
    return make(app, **options)


def middleware(**options: Any) -> list[Middleware]:
    """Return what `Starlette(middleware=...)` takes."""
    given: dict[str, Any] = {"secret": SECRET, **options}
    return [Middleware(SessionMiddleware, **given)]


async def count(request: Request) -> Response:
    """A page that counts visits."""
    request.session["n"] = request.session.get("n", 0) + 1
    return PlainTextResponse(str(request.session["n"]))


def client_of(*routes: Any, **options: Any) -> Any:
    """Return a client of an application with these routes."""
    app = Starlette(routes=list(routes), middleware=middleware(**options))
    return browse(app, raise_server_exceptions=False)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["memory", "file", "async-sqlite"])
def test_request_session(kind: str, backend: Any, tmp_path: Path) -> None:
    """It is the session, on every store and event loop."""
    app = Starlette(
        routes=[Route("/", count)],
        middleware=middleware(store=make_store(kind, tmp_path, system_clock)),
    )
    with browse(app, backend=backend) as client:
        responses = [client.get("/") for _ in range(3)]
    assert [response.text for response in responses] == ["1", "2", "3"]
    cookies = [response.headers.get_list("set-cookie") for response in responses]
    assert [len(values) for values in cookies] == [1, 0, 0]
    assert parse(cookies[0][0]).attributes["max-age"] in ("2592000", "2591999")


def test_the_options_of_starlette_s_own_middleware() -> None:
    """Its keywords are understood, so that one import makes the change."""
    app = Starlette(routes=[Route("/", count)])
    app.add_middleware(
        SessionMiddleware,
        secret_key=SECRET,
        session_cookie="sid",
        max_age=3600,
        same_site="strict",
        https_only=True,
        path="/",
    )
    response = browse(app, base_url="https://testserver").get("/")
    cookie = parse(response.headers["set-cookie"])
    assert (cookie.name, cookie.attributes["samesite"]) == ("sid", "Strict")
    assert "secure" in cookie.attributes


def test_fastapi_with_a_dependency() -> None:
    """Typed, by a function of one line."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret=SECRET, store=MemoryStore())

    async def login(session: CurrentSession, user: str) -> dict[str, str]:
        session.login(user)
        return {"id": session.handle}

    async def me(session: CurrentSession) -> dict[str, str | None]:
        return {"user": session.user_id}

    def sync_view(session: CurrentSession) -> dict[str, str | None]:
        session["sync"] = True
        return {"user": session.user_id}

    async def refuse(session: CurrentSession) -> None:
        session["tried"] = True
        raise HTTPException(403)

    async def talk(socket: WebSocket, session: CurrentSession) -> None:
        session["socket"] = True
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    app.add_api_route("/login", login, methods=["POST"])
    app.add_api_route("/me", me)
    app.add_api_route("/sync", sync_view)
    app.add_api_route("/refuse", refuse)
    app.add_api_websocket_route("/talk", talk)
    client = browse(app)
    assert client.get("/me").json() == {"user": None}
    client.post("/login?user=ann")
    assert client.get("/me").json() == {"user": "ann"}
    assert client.get("/sync").json() == {"user": "ann"}
    assert client.get("/refuse").status_code == 403
    # Nobody catches that the client leaves; that is no failure of the application.
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk") as socket:  # noqa: PT012
        socket.send_text("hello")
        assert socket.receive_text() == "hello"

    async def everything(session: CurrentSession) -> list[str]:
        return sorted(session)

    app.add_api_route("/everything", everything)
    assert client.get("/everything").json() == ["socket", "sync", "tried"]


def test_streams_files_and_what_runs_in_the_background(tmp_path: Path) -> None:
    """Each response class of Starlette; a background task's changes are saved too."""
    (tmp_path / "page.txt").write_text("content")

    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[str]:
            yield "a"
            request.session["stream"] = True
            yield "b"

        return StreamingResponse(chunks())

    async def file(request: Request) -> Response:
        request.session["file"] = True
        return FileResponse(tmp_path / "page.txt")

    async def background(request: Request) -> Response:
        def work() -> None:
            request.session["background"] = True

        return PlainTextResponse("ok", background=BackgroundTask(work))

    async def everything(request: Request) -> Response:
        return JSONResponse(sorted(request.session))

    client = client_of(
        Route("/", count),
        Route("/stream", stream),
        Route("/file", file),
        Route("/background", background),
        Route("/everything", everything),
    )
    client.get("/")
    assert client.get("/stream").text == "ab"
    assert client.get("/file").text == "content"
    assert client.get("/background").text == "ok"
    assert client.get("/everything").json() == ["background", "file", "n", "stream"]


def test_errors_keep_nothing_and_outages_are_503() -> None:
    """Through Starlette's own handling of exceptions."""
    tap = Tap(MemoryStore())

    async def crash(request: Request) -> Response:
        request.session["n"] = "crashed"
        raise ZeroDivisionError

    async def read(request: Request) -> Response:
        return PlainTextResponse(str(request.session["n"]))

    client = client_of(
        Route("/", count), Route("/crash", crash), Route("/read", read), store=tap.store
    )
    client.get("/")
    assert client.get("/crash").status_code == 500
    assert client.get("/read").text == "1"
    tap.failing_once.append("update")
    response = client.get("/")
    assert (response.status_code, response.headers.get("set-cookie")) == (503, None)
    tap.failing_once.append("get")
    assert client.get("/read").status_code == 503
    assert client.get("/read").text == "1"


def test_an_application_may_answer_an_outage_itself() -> None:
    """By a handler for `StoreError`, where its own code meets it."""
    tap = Tap(MemoryStore())

    async def sorry(request: Request, error: Exception) -> Response:
        return PlainTextResponse("our own page", 503)

    async def read(request: Request) -> Response:
        return PlainTextResponse(str(request.session["n"]))

    app = Starlette(
        routes=[Route("/", count), Route("/read", read)],
        middleware=middleware(store=tap.store),
        exception_handlers={StoreError: sorry},
    )
    client = browse(app)
    client.get("/")
    tap.failing_once.append("get")
    assert client.get("/read").text == "our own page"


def test_beside_a_middleware_of_the_base_http_kind() -> None:
    """Further out or further in: it sees the session, and may change it."""

    class Stamp(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            request.session["before"] = True
            response = await call_next(request)
            response.headers["X-Stamp"] = "1"
            return response

    async def everything(request: Request) -> Response:
        return JSONResponse(sorted(request.session))

    app = Starlette(routes=[Route("/", everything)], middleware=[*middleware(), Middleware(Stamp)])
    client = browse(app)
    response = client.get("/")
    assert (response.json(), response.headers["x-stamp"]) == (["before"], "1")
    assert "set-cookie" in response.headers


def test_web_sockets() -> None:
    """A class-based endpoint; a new session's cookie comes with the accept."""

    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_connect(self, websocket: WebSocket) -> None:
            websocket.session["connected"] = True
            await websocket.accept()

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            websocket.session["said"] = data
            await websocket.send_text(data)

    async def everything(request: Request) -> Response:
        return JSONResponse(dict(request.session))

    client = client_of(WebSocketRoute("/echo", Echo), Route("/", everything))
    with client.websocket_connect("/echo") as socket:
        headers: dict[bytes, bytes] = dict(socket.extra_headers)
        socket.send_text("hi")
        assert socket.receive_text() == "hi"
    cookie = parse(headers[b"set-cookie"].decode())
    client.cookies.set(cookie.name, cookie.value)
    assert client.get("/").json() == {"connected": True, "said": "hi"}


def test_a_mounted_flask_application(tmp_path: Path) -> None:
    """One session for both, one cookie, whoever is asked first."""
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    inner = A2WSGI(flask_app(None, SESSION_STORE=url))
    client = client_of(Route("/", count), Mount("/shop", inner), store=url)
    assert client.get("/").text == "1"
    response = client.get("/shop/")
    assert response.text == "{'n': 1, 'flask': 1}"
    assert "set-cookie" not in response.headers
    assert client.get("/").text == "2"


def test_exclude_looks_below_the_mount() -> None:
    """The path that the application sees is what counts."""

    async def peek(request: Request) -> Response:
        return PlainTextResponse(str("session" in request.scope))

    inner = Starlette(
        routes=[Route("/public", peek), Route("/private", peek)],
        middleware=middleware(exclude=["/public"]),
    )
    client = browse(Starlette(routes=[Mount("/app", inner)]))
    assert client.get("/app/public").text == "False"
    assert client.get("/app/private").text == "True"


def test_wrong_options_are_said_when_the_application_starts() -> None:
    """That is when Starlette makes its middlewares."""
    app = Starlette(middleware=middleware(expires=5))
    with pytest.raises(ConfigurationError, match="expire"), browse(app):
        pass
