"""The ASGI applications under test, as servers load them: `tests.e2e.asgi_apps:application`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from coatcheck_asgi import SessionMiddleware, get_session
from tests.e2e import views

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


async def plain(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """The views on bare ASGI."""
    query = dict(parse_qsl(scope["query_string"].decode()))
    if scope["type"] == "websocket":
        await plain_websocket(scope, query, receive, send)
        return
    body, status, headers = views.answer(get_session(scope), scope["path"], query)
    if isinstance(body, Path):
        body = body.read_bytes()
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    if isinstance(body, bytes) and status not in (204, 304):
        sent.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return
    left = anyio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        with closing(body):
            for chunk in body:
                if left.is_set():
                    break
                await anyio.sleep(0.01 if chunk is None else 0)
                if chunk is not None:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not left.is_set():
            await send({"type": "http.response.body"})
        group.cancel_scope.cancel()


async def plain_websocket(
    scope: Mapping[str, Any], query: Mapping[str, str], receive: Receive, send: Send
) -> None:
    """Obey the client of a WebSocket, on bare ASGI."""
    session = get_session(scope)
    await receive()
    if "connected" in query:
        session["connected"] = query["connected"]
    if "turn_away" in query:
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": 1000})
            return
        async for reply in views.command(session, message["text"]):
            await send({"type": "websocket.send", "text": reply})


async def starlette_page(request: Request) -> Response:
    """The views on Starlette."""
    body, status, headers = views.answer(
        get_session(request), request.url.path, request.query_params
    )
    if isinstance(body, Path):
        return FileResponse(body)
    if isinstance(body, bytes):
        response = Response(body, status)
        for name, value in headers:
            response.headers.append(name, value)
        return response
    return StreamingResponse(paced(body), status, dict(headers))


async def paced(body: views.Body) -> AsyncIterator[bytes]:
    """Iterate over the chunks that are there, sleeping where there is none yet."""
    with closing(body):
        for chunk in body:
            await anyio.sleep(0.01 if chunk is None else 0)
            if chunk is not None:
                yield chunk


async def starlette_websocket(websocket: WebSocket) -> None:
    """Obey the client of a WebSocket, on Starlette."""
    session = get_session(websocket)
    if "connected" in websocket.query_params:
        session["connected"] = websocket.query_params["connected"]
    if "turn_away" in websocket.query_params:
        await websocket.close(1008)
        return
    await websocket.accept()
    try:
        while (text := await websocket.receive_text()) != "close":
            async for reply in views.command(session, text):
                await websocket.send_text(reply)
        await websocket.close()
    except WebSocketDisconnect:
        return


def on_starlette(database: str) -> Starlette:
    """Return the views on Starlette."""
    app = Starlette(
        routes=[
            Route("/framework/{view}", starlette_page, methods=["GET", "POST"]),
            WebSocketRoute("/framework/socket", starlette_websocket),
        ]
    )
    app.add_middleware(SessionMiddleware, store=database, **views.OPTIONS)
    return app


def build() -> App:
    """Make the applications, and mount them side by side."""
    database, files = views.store_urls(views.folder())
    mounts: dict[str, App] = {
        "plain": SessionMiddleware(plain, store=database, **views.OPTIONS),
        "framework": on_starlette(database),
        "files": SessionMiddleware(plain, store=files, **views.FILES),
    }

    async def dispatch(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "/framework")  # a lifespan has none
        await mounts[path.split("/")[1]](scope, receive, send)

    return dispatch


application = build()
