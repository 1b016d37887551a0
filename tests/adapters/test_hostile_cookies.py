"""Twenty thousand malformed Cookie headers through each adapter: no exception, no store call."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - a seeded generator of nonsense, not of secrets
from collections.abc import Callable
from functools import cache
from typing import Any

import flask

from coatcheck.drivers import run_now
from coatcheck.events import Event
from coatcheck.ids import ID_LENGTH, IDSigner
from coatcheck.keys import KeyRing
from coatcheck.store import MemoryStore
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap
from tests.adapters.test_asgi import scope
from tests.adapters.test_wsgi import PLAIN, environ_of

HEADERS = 20_000
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ODD = "\"\\'%;,= \t\x00\x0b\x1c\x85\xa0\xe9\xff(){}[]<>@:?/"


@cache
def hostile() -> list[str]:
    """Make Cookie headers (as Latin-1 text) that have no ID of ours in them, but come close."""
    dice = random.Random(20_261_121)
    signer = IDSigner(KeyRing(SECRET), "another-namespace")
    other = IDSigner(KeyRing("n0t-0ur-s3cr3t-Hq7vX2mZ9pL4wT8yB3nD6fH1"), "coatcheck")
    near = [one.sign(one.mint()) for one in (signer, other) for _ in range(20)]
    names = ["session", "Session", " session", "session ", "\x85session", "__Host-session", "s", ""]

    def text(length: int, alphabet: str) -> str:
        return "".join(dice.choices(alphabet, k=length))

    makers: list[Callable[[], str]] = [
        lambda: dice.choice(near),
        lambda: text(ID_LENGTH, _ALPHABET),
        lambda: text(dice.randrange(200), _ALPHABET),
        lambda: text(dice.randrange(200), _ODD + _ALPHABET),
        lambda: '"' + dice.choice(near) + '"',
        lambda: dice.choice(near)[: dice.randrange(ID_LENGTH)],
        lambda: dice.choice(near) + text(1, _ODD),
        lambda: "../" * dice.randrange(30),
        lambda: "\\" * dice.randrange(2000),
    ]
    headers: list[str] = []
    for _ in range(HEADERS):
        pairs = [
            f"{dice.choice(names)}{dice.choice(('=', '=', '=', ' = ', '', '=='))}"
            f"{dice.choice(makers)()}"
            for _ in range(dice.choice((1, 1, 1, 2, 3, 12)))
        ]
        headers.append(dice.choice(("; ", "; ", ";", ", ", " ;\t", "&")).join(pairs))
    return headers


def check(ask: Callable[[str], str], tap: Tap, events: list[Event]) -> None:
    """Send them all; each is a visitor, and not one call reaches the store."""
    tap.take()
    for header in hostile():
        assert ask(header) == "{}", header
    assert tap.take() == []
    assert {type(event).__name__ for event in events} <= {"IDRejected"}


def site() -> tuple[Tap, list[Event], dict[str, Any]]:
    """Return a tapped store, the events, and the options of an adapter."""
    tap, events = Tap(MemoryStore()), list[Event]()
    options: dict[str, Any] = {"secret": SECRET, "on_event": events.append, "purge": "never"}
    return tap, events, {**options, "store": tap.store}


def test_sec_66_wsgi_takes_any_cookie_header() -> None:
    """The environ carries whatever octets came, as Latin-1."""
    tap, events, options = site()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return [repr(dict(environ["coatcheck.session"])).encode()]

    middleware = WSGIMiddleware(app, **options)
    plain = environ_of()

    def ask(header: str) -> str:
        sent: list[Any] = []
        environ = {**plain, "HTTP_COOKIE": header}
        # `append` returns nothing, and so the function goes on to what `write()` would be.
        body: Any = middleware(environ, lambda *given: sent.append(given) or sent.append)  # type: ignore[func-returns-value]
        assert not any(name == "Set-Cookie" for name, _ in sent[0][1])
        return b"".join(body).decode()

    check(ask, tap, events)


def test_sec_66_asgi_takes_any_cookie_header() -> None:
    """The scope carries bytes."""
    tap, events, options = site()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = repr(dict(scope["session"])).encode()
        await send({"type": "http.response.body", "body": body})

    middleware = ASGIMiddleware(app, **options)
    plain = scope()

    def ask(header: str) -> str:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        given = {**plain, "headers": [(b"cookie", header.encode("latin-1"))]}
        run_now(middleware(given, None, send))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        assert not any(name == b"set-cookie" for name, _ in sent[0]["headers"])
        body: bytes = sent[1]["body"]
        return body.decode()

    check(ask, tap, events)


def test_sec_66_flask_takes_any_cookie_header() -> None:
    """Through Flask itself, whose own parser of cookies is left out of it."""
    tap, events, options = site()
    app = flask.Flask("site")
    Coatcheck(app, **options)

    @app.route("/")
    def view() -> str:  # pyright: ignore[reportUnusedFunction]
        return repr(dict(flask.session))

    plain = environ_of()

    def ask(header: str) -> str:
        sent: list[Any] = []
        environ = {**plain, "HTTP_COOKIE": header}
        # `append` returns nothing, as above.
        body: Any = app(environ, lambda *given: sent.append(given) or sent.append)  # type: ignore[func-returns-value]
        try:
            assert not any(name == "Set-Cookie" for name, _ in sent[0][1])
            return b"".join(body).decode()
        finally:
            body.close()

    check(ask, tap, events)


def test_sec_66_a_good_cookie_among_the_bad_ones_still_works() -> None:
    """Whatever stands around it, as long as it is a cookie of its own."""
    tap, _, options = site()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        found = environ["coatcheck.session"]
        found["n"] = found.get("n", 0) + 1
        return [str(found["n"]).encode()]

    def start(*given: Any) -> Any:
        sent.append(given)

    middleware = WSGIMiddleware(app, **options)
    sent: list[Any] = []
    plain = environ_of()
    middleware(dict(plain), start)
    cookie = next(v for n, v in sent[0][1] if n == "Set-Cookie").partition(";")[0]
    tap.take()
    count = 1
    for bad in hostile()[:1000]:
        if "session" in bad:
            continue
        for header in (f"{bad}; {cookie}", f"{cookie}; {bad}", f"{bad};{cookie}; {bad}"):
            environ = {**plain, "HTTP_COOKIE": header}
            body: Any = middleware(environ, start)
            count += 1
            assert b"".join(body) == str(count).encode(), header
    assert count > 100


def test_the_event_loop_is_not_needed() -> None:
    """What the test above relies on: with a memory store nothing under ASGI ever suspends."""
    tap, _, options = site()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        pass

    middleware = ASGIMiddleware(app, **options)
    run_now(middleware(scope(), None, send))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    asyncio.run(middleware(scope(), None, send))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert tap.take() == ["create", "create"]
