"""What the tests of the middleware's lines share: every door, and a look inside and outside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import pytest

from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.doors import DOORS, ASGISite, FlaskSite, WSGISite, asgi_app, wsgi_app
from tests.adapters.site import Site

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ALL = ("flask", "wsgi", "asgi")
Play = Callable[[Site], None]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Headers = list[tuple[str, str]]
Note = Callable[[Headers], object]


def everywhere(
    *doors: str, kind: str = "memory", **options: Any
) -> Callable[[Play], Callable[[str, Path], None]]:
    """Make a test of a function that takes a site: behind Flask, WSGI and ASGI, or these doors.

    `kind` is that of the store; behind ASGI, `"keyvalue"` is one that must be awaited.
    """

    def enter(play: Play) -> Callable[[str, Path], None]:
        def test(door: str, tmp_path: Path) -> None:
            store = f"async-{kind}" if (door, kind) == ("asgi", "keyvalue") else kind
            with DOORS[door](store, tmp_path, **options) as site:
                play(site)

        test.__name__ = test.__qualname__ = play.__name__
        test.__module__, test.__doc__ = play.__module__, play.__doc__
        return pytest.mark.parametrize("door", doors or ALL)(test)

    return enter


def configured(door: str, **options: Any) -> object:
    """Set an application up behind a door, as its author does."""
    if door == "flask":
        return Coatcheck(flask.Flask("site", static_folder=None), **options)
    if door == "wsgi":
        return WSGIMiddleware(wsgi_app, **options)
    return ASGIMiddleware(asgi_app, **options)


def carriers(site: Site) -> list[Any]:
    """Return a list that gets every environ or scope that the application is given from now on."""
    seen: list[Any] = []

    def in_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ)
        return wsgi_app(environ, start_response)

    async def in_asgi(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await asgi_app(scope, receive, send)

    if isinstance(site, FlaskSite):
        site.flask.before_request(lambda: seen.append(flask.request.environ))
    elif isinstance(site, WSGISite):
        site.serve(middleware(site, in_wsgi))
    elif isinstance(site, ASGISite):
        site.app.app = in_asgi
    return seen


def heard(site: Site, note: Note) -> None:
    """Have `note` called with the headers at each start of a response that leaves the adapter."""
    if isinstance(site, FlaskSite):
        site.serve(hearing_wsgi(site.flask, note))
    elif isinstance(site, WSGISite):
        site.serve(hearing_wsgi(middleware(site, wsgi_app), note))
    elif isinstance(site, ASGISite):
        place: Any = site
        place.app = hearing_asgi(site.app, note)


def middleware(site: Site, app: Any) -> Any:
    """Put the middleware of a site around an application: the same sessions."""
    kind: Any = ASGIMiddleware if isinstance(site, ASGISite) else WSGIMiddleware
    return kind(app, store=site.tap.store, **site.options)


def hearing_wsgi(app: WSGIApplication, note: Note) -> WSGIApplication:
    """Put a layer around a WSGI application that notes the headers which leave it."""

    def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *exc_info: Any) -> Callable[[bytes], object]:
            note(headers)
            return start_response(status, headers, *exc_info)

        return app(environ, start)

    return layer


def hearing_asgi(app: ASGIApp, note: Note) -> ASGIApp:
    """Put a layer around an ASGI application that notes the headers which leave it."""

    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def listen(message: Any) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = message.get("headers", ())
                note([(name.decode(), value.decode()) for name, value in headers])
            await send(message)

        await app(scope, receive, listen)

    return layer
