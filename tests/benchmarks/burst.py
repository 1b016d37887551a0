"""Sixteen requests at once on one event loop, each with a session of its own, on Redis.

That is where one connection for all of them pays: commands go out together, and replies come back
together. Beside the ASGI adapter stand the bare application, and the bare work of such a request
through `redis.asyncio`: a GET, or a GET and a SET, on its pool of connections. The last line is
what does not scale: sixteen requests that change one and the same session, so that each has to meet
what the others saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import redis.asyncio

from coatcheck_asgi import SessionMiddleware
from tests.benchmarks.apps import SECRET, page
from tests.benchmarks.footprint import TYPICAL, payload
from tests.benchmarks.timing import medians
from tests.servers.redis import Server

AT_ONCE: Final = 16
ROUNDS: Final = 15
_redis: Final[Any] = redis.asyncio.Redis
"""Half of what it takes has no types."""


async def _application(scope: Any, receive: Any, send: Any) -> None:
    body = page(scope["path"], scope.get("coatcheck.session"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class Visitors:
    """An ASGI application, and sixteen visitors with the cookies that it has given them."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._cookies: list[bytes] = []

    async def visit(self, path: str, cookie: bytes | None) -> bytes:
        """Ask for a page; return the cookie that it sets, if any."""
        headers = [(b"host", b"localhost")]
        if cookie:
            headers.append((b"cookie", cookie))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "scheme": "http", "headers": headers, "client": ("127.0.0.1", 1), "server": None,
        }  # fmt: skip
        given = b""

        async def send(message: dict[str, Any]) -> None:
            nonlocal given
            for name, value in message.get("headers", ()):
                if name == b"set-cookie":
                    given = value.partition(b";")[0]

        await self._app(scope, _receive, send)
        return given

    async def begin(self) -> None:
        """Have each visitor get a session."""
        self._cookies = [await self.visit("/new", None) for _ in range(AT_ONCE)]

    async def together(self, path: str, at_once: int) -> None:
        """Have that many of the visitors ask at once."""
        await asyncio.gather(*(self.visit(path, cookie) for cookie in self._cookies[:at_once]))

    async def on_one_session(self) -> None:
        """Have sixteen requests change the session of one visitor at once."""
        await asyncio.gather(*(self.visit("/write", self._cookies[0]) for _ in range(AT_ONCE)))


class Bare:
    """The same work by redis-py's own client, and nothing else."""

    def __init__(self, url: str) -> None:
        self._client = _redis.from_url(url)
        self._value = payload(TYPICAL)

    async def begin(self) -> None:
        """Make what is read."""
        for number in range(AT_ONCE):
            await self._client.set(f"bare-{number}", self._value)

    async def _visit(self, path: str, number: int) -> None:
        await self._client.get(f"bare-{number}")
        if path == "/write":
            await self._client.set(f"bare-{number}", self._value, px=3_600_000)

    async def together(self, path: str, at_once: int) -> None:
        """Do it for that many at once."""
        await asyncio.gather(*(self._visit(path, number) for number in range(at_once)))


def show_burst(names: list[str]) -> None:
    """Measure and print microseconds a request."""
    server = Server("databases 16")
    loop = asyncio.new_event_loop()
    parties: dict[str, Any] = {
        "bare application": Visitors(_application),
        "redis.asyncio": Bare(f"{server.url}/1"),
        "with sessions": Visitors(
            SessionMiddleware(
                _application, secret=SECRET, store=f"{server.url}/2", on_event=lambda event: None
            )
        ),
    }
    plan: dict[tuple[str, str, int], Callable[[int], float]] = {}
    for name, party in parties.items():
        loop.run_until_complete(party.begin())
        for path in ("/read", "/write"):
            for at_once in (1, AT_ONCE):
                work = partial(party.together, path, at_once)
                plan[name, path, at_once] = partial(_timed, loop, work)
    plan["with sessions", "one session", AT_ONCE] = partial(
        _timed, loop, parties["with sessions"].on_one_session
    )
    results = medians(plan, ROUNDS)
    print("\nASGI on Redis, us a request          one at a time    16 at once")
    for path in ("/read", "/write"):
        for name in parties:
            cells = (results[name, path, count] / count * 1e6 for count in (1, AT_ONCE))
            print(f"  {path[1:]:6} {name:24}" + "".join(f"{cell:16.1f}" for cell in cells))
    one = results["with sessions", "one session", AT_ONCE] / AT_ONCE * 1e6
    print(f"  write  {'with one session for all':40}{one:16.1f}")
    server.remove()


def _timed(
    loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[None]], times: int
) -> float:
    async def repeat() -> float:
        start = loop.time()
        for _ in range(times):
            await work()
        return loop.time() - start

    return loop.run_until_complete(repeat())
