"""Twenty thousand malformed Cookie headers through each adapter: no exception, no store call."""

from __future__ import annotations

import asyncio
from functools import cache
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any

import pytest

from coatcheck.drivers import run_now
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.test_asgi import scope
from tests.adapters.test_wsgi import PLAIN, environ_of
from tests.fuzz.fronts import FRONTS, Front
from tests.fuzz.headers import header

HEADERS = 20_000


@cache
def hostile() -> list[str]:
    """Make Cookie headers (as Latin-1 text) that have no ID of ours in them, but come close."""
    dice = Random(20_261_121)
    return [header(dice) for _ in range(HEADERS)]


@pytest.mark.parametrize("door", FRONTS)
def test_sec_66_any_cookie_header_is_taken(door: str) -> None:
    """Each is a visitor's, at every door, and not one call reaches the store."""
    front = FRONTS[door]()
    for one in hostile():
        front.check(one.encode("latin-1"))
    assert front.told == {"IDRejected"}


def test_sec_66_a_good_cookie_among_the_bad_ones_still_works() -> None:
    """Whatever stands around it, as long as it is a cookie of its own."""
    front = Front()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        found = environ["coatcheck.session"]
        found["n"] = found.get("n", 0) + 1
        return [str(found["n"]).encode()]

    def start(*given: Any) -> Any:
        sent.append(given)

    middleware = WSGIMiddleware(app, **front.options)
    sent: list[Any] = []
    plain = environ_of()
    middleware(dict(plain), start)
    cookie = next(v for n, v in sent[0][1] if n == "Set-Cookie").partition(";")[0]
    front.tap.take()
    count = 1
    for bad in hostile()[:1000]:
        if "session" in bad:
            continue
        for one in (f"{bad}; {cookie}", f"{cookie}; {bad}", f"{bad};{cookie}; {bad}"):
            environ = {**plain, "HTTP_COOKIE": one}
            body: Any = middleware(environ, start)
            count += 1
            assert b"".join(body) == str(count).encode(), one
    assert count > 100


def test_the_event_loop_is_not_needed() -> None:
    """What the test above relies on: with a memory store nothing under ASGI ever suspends."""
    front = Front()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        pass

    middleware = ASGIMiddleware(app, **front.options)
    run_now(middleware(scope(), None, send))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    asyncio.run(middleware(scope(), None, send))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert front.tap.take() == ["create", "create"]
