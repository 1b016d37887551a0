"""One server process with both sides in it, and a page that shows them side by side."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

import asgi_side
import flask_side
from front_door import FrontDoor
from pages import SIDES, STATIC, TEMPLATES
from place import Place

HOST = "127.0.0.1"
WELCOME = """\
Coatcheck: one session on two frameworks, in one SQLite file.

    Open     {url}/
    or       {url}/flask/  and  {url}/asgi/
    Data     {database}

For a second session of the same user open a private window and sign in there with the same name.
What happens to the sessions is written below. Ctrl-C stops the demo; who is signed in stays so.
"""

templates = Jinja2Templates(TEMPLATES)


def make_app(place: Place) -> Starlette:
    """Return both sides and the page with both. Each side opens the session for itself."""
    flask: Any = flask_side.make_app(place)  # the bridge has types of its own for all of this
    return Starlette(
        routes=[
            Route("/", show_both),
            Mount("/flask", cast(ASGIApp, WSGIMiddleware(flask))),
            Mount("/asgi", asgi_side.make_app(place)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            # Another name for this address means that somebody else's page is behind the request.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(FrontDoor),
        ],
    )


async def show_both(request: Request) -> Response:
    """Show the two sides in two frames. This page itself has no session."""
    return templates.TemplateResponse(request, "both.html", {"sides": SIDES})


def listen(port: int) -> socket.socket:
    """Return a socket that listens on that port or, for 0, any; raises `OSError` if it is taken."""
    # With the protocol named, asyncio turns off Nagle's algorithm: 40 ms less on each page.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere this would let two programs listen on one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def serve(place: Place, listener: socket.socket) -> None:
    """Serve until Ctrl-C."""
    app = make_app(place)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("coatcheck").setLevel(logging.DEBUG)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    print(WELCOME.format(url=url, database=place.database), flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
