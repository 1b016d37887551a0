"""Row 1: Cookie headers through the core and each adapter: nobody, no exception, no store call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import flask

from coatcheck.drivers import run_now
from coatcheck.events import Event
from coatcheck.store import MemoryStore
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap
from tests.adapters.test_asgi import scope
from tests.adapters.test_wsgi import PLAIN, environ_of
from tests.core.harness import Browser, Harness
from tests.fuzz.headers import header_bytes
from tests.fuzz.target import Fuzz, Target

_SEVERAL: Final = b"\x1e"
"""Stands between two Cookie headers of one request, where there can be two."""


@dataclass
class Front:
    """One way into the system, over a memory store that is watched."""

    tap: Tap = field(default_factory=lambda: Tap(MemoryStore()))
    told: set[str] = field(default_factory=set[str])
    """The kinds of events."""
    ask: Callable[[bytes], str] = lambda _header: ""
    """Sends one Cookie header; returns the page, which shows all that is in the session."""

    @property
    def options(self) -> dict[str, Any]:
        """The options of an adapter."""

        def note(event: Event) -> None:
            self.told.add(type(event).__name__)

        return {"secret": SECRET, "on_event": note, "purge": "never", "store": self.tap.store}

    def check(self, header: bytes) -> None:
        """A header without an ID of ours is a visitor who costs nothing and is sent nothing."""
        page = self.ask(header)
        assert page == "{}", page
        assert not self.tap.calls, self.tap.take()
        assert self.told <= {"IDRejected"}, self.told


def core() -> Front:
    """The lifecycle itself, without a framework."""
    front = Front()
    options = front.options
    store: Any = options.pop("store")
    harness = Harness(store, **options)
    browser = Browser(harness)

    def ask(header: bytes) -> str:
        exchange = browser.begin(header.decode("latin-1"))
        shown = repr(dict(exchange.session))
        assert exchange.finish(deliver=False).cookie is None
        assert not harness.store.take()
        return shown

    front.ask = ask
    return front


def wsgi() -> Front:
    """The middleware: the environ carries whatever octets came, as Latin-1."""
    front = Front()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return [repr(dict(environ["coatcheck.session"])).encode()]

    middleware = WSGIMiddleware(app, **front.options)
    plain = environ_of()

    def ask(header: bytes) -> str:
        environ = {**plain, "HTTP_COOKIE": header.decode("latin-1")}
        start = _Start()
        body = b"".join(middleware(environ, start)).decode()
        assert not any(name == "Set-Cookie" for name, _ in start.headers)
        return body

    front.ask = ask
    return front


async def no_body() -> Any:
    """Stand where a server would hand on the body of a request; no application here reads it."""
    raise NotImplementedError("nobody reads a body")


def asgi() -> Front:
    """The middleware: the scope carries bytes, in one header or several."""
    front = Front()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = repr(dict(scope["session"])).encode()
        await send({"type": "http.response.body", "body": body})

    middleware = ASGIMiddleware(app, **front.options)
    plain = scope()

    def ask(header: bytes) -> str:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        given = {**plain, "headers": [(b"cookie", line) for line in header.split(_SEVERAL)]}
        run_now(middleware(given, no_body, send))
        assert not any(name == b"set-cookie" for name, _ in sent[0]["headers"])
        body: bytes = sent[1]["body"]
        return body.decode()

    front.ask = ask
    return front


def flask_app() -> Front:
    """Flask itself, whose own parser of cookies is left out of it."""
    front = Front()
    app = flask.Flask("site")
    Coatcheck(app, **front.options)

    @app.route("/")
    def view() -> str:  # pyright: ignore[reportUnusedFunction]
        return repr(dict(flask.session))

    plain = environ_of()

    def ask(header: bytes) -> str:
        start = _Start()
        body: Any = app({**plain, "HTTP_COOKIE": header.decode("latin-1")}, start)
        try:
            assert not any(name == "Set-Cookie" for name, _ in start.headers)
            return b"".join(body).decode()
        finally:
            body.close()

    front.ask = ask
    return front


class _Start:
    """A server's `start_response`."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.headers = headers
        return self.write

    def write(self, data: bytes) -> None:
        """Take what nobody here writes."""


FRONTS: Final[dict[str, Callable[[], Front]]] = {
    "core": core,
    "wsgi": wsgi,
    "asgi": asgi,
    "flask": flask_app,
}


def _target(name: str) -> Target:
    def build() -> Fuzz:
        return Fuzz(header_bytes, FRONTS[name]().check)

    return Target(
        name=f"cookies-{name}",
        row=1,
        full=1_000_000,
        quick=200,
        promise="a Cookie header without an ID of ours is a visitor: no exception, no store call",
        build=build,
        guided=name == "core",
    )


TARGETS: Final = tuple(_target(name) for name in FRONTS)
