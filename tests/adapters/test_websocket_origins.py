"""WebSockets that a page of another origin opens: cross-site WebSocket hijacking (SEC-71)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from coatcheck import BearerState, CallbackState, CookieState, FirstOf, HeaderState
from coatcheck.clock import system_clock
from coatcheck.events import Event, OriginRefused
from coatcheck.request import Request
from coatcheck.state import State
from coatcheck_asgi import SessionMiddleware
from tests.adapters.doors import Message, play
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap, make_store
from tests.adapters.test_asgi import started
from tests.adapters.test_websocket import ACCEPT, CLOSE, CONNECT, socket

pytestmark = pytest.mark.anyio
REFUSED: list[Message] = [{"type": "websocket.close", "code": 1008, "reason": ""}]
EVIL = "https://evil.example"
seen: list[Any] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application that shows what it finds in the session."""
    session = scope.get("session")
    if session is not None:
        await session.load()
        seen.append(session.get("n"))
    await send(ACCEPT)
    await send(CLOSE)


def from_page(origin: str | None, headers: dict[str, str], **more: Any) -> Message:
    """Return the scope of a handshake that a page of that origin has begun."""
    pairs = [(b"host", b"site.example")]
    pairs += [(b"origin", origin.encode())] if origin is not None else []
    pairs += [(name.encode(), value.encode()) for name, value in headers.items()]
    return {**socket(), "headers": pairs, **more}


async def let_in(
    middleware: Any, origin: str | None, headers: dict[str, str], **more: Any
) -> list[Any] | None:
    """Return what the application saw in the session, `None` where it was not reached."""
    seen.clear()
    sent, error = await play(middleware, from_page(origin, headers, **more), [CONNECT])
    assert error is None
    if sent == REFUSED:
        assert seen == []
        return None
    assert [message["type"] for message in sent] == [ACCEPT["type"], CLOSE["type"]]
    return seen


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_sec_71_a_foreign_page_gets_no_session(kind: str, tmp_path: Path) -> None:
    """The answer is 403, the store is not asked, the application not reached, and it is told."""
    events: list[Event] = []
    tap = Tap(make_store(kind, tmp_path, system_clock))
    store: Any = tap.store
    middleware, cookie = await started(app, store=store, on_event=events.append)
    ours = {"cookie": cookie}
    tap.take()
    events.clear()
    for origin in (
        EVIL,
        "null",
        "",
        "http://site.example:8000",
        "https://site.example.evil.example",
    ):
        assert await let_in(middleware, origin, ours) is None
        assert tap.take() == []
        assert events == [OriginRefused(origin, "site.example")]
        events.clear()
    for own in ("http://site.example", "https://site.example", None):
        assert await let_in(middleware, own, ours) == [1]
    assert await let_in(middleware, "http://site.example", ours, scheme="wss") is None
    assert await let_in(middleware, "https://site.example", ours, scheme="wss") == [1]


async def test_sec_71_a_handshake_without_a_session_is_not_judged() -> None:
    """Anybody may open a public WebSocket, and other cookies are none of our business."""
    middleware, _ = await started(app)
    headers: dict[str, str]
    for headers in ({}, {"cookie": "theme=dark"}, {"cookie": "session=junk"}):
        assert await let_in(middleware, EVIL, headers) == [None]


async def test_sec_71_an_id_that_was_never_ours_is_judged_too() -> None:
    """Whether it would open a session the store alone could say, and it is not asked."""
    middleware, cookie = await started(app)
    assert await let_in(middleware, EVIL, {"cookie": "session=" + "A" * 68}) is None
    assert await let_in(middleware, EVIL, {"cookie": f"theme=dark; {cookie}"}) is None


async def test_sec_71_what_no_browser_sends_by_itself_is_not_judged() -> None:
    """A token in a header was put there by who has it; of a cookie beside it that is not known."""

    def by_hand(request: Request) -> list[str]:
        return [value.partition("=")[2] for value in request.header("cookie")]

    token_first = FirstOf(BearerState(), CookieState("session"))
    ways: list[tuple[State | None, str, str, bool]] = [
        (HeaderState("X-Session"), "x-session", "{}", True),
        (BearerState(), "authorization", "Bearer {}", True),
        (token_first, "authorization", "Bearer {}", True),
        (token_first, "cookie", "session={}", False),
        (CallbackState(by_hand, vary=["Cookie"]), "cookie", "x={}", False),
        (CallbackState(by_hand), "cookie", "x={}", False),
        (None, "cookie", "session={}", False),
    ]
    for state, header, form, free in ways:
        default, cookie = await started(app)
        store: Any = default.lifecycle.runtime.wrapped
        middleware = SessionMiddleware(app, secret=SECRET, store=store, state=state)
        headers = {header: form.format(cookie.partition("=")[2])}
        assert await let_in(middleware, "http://site.example", headers) == [1]
        assert (await let_in(middleware, EVIL, headers) == [1]) is free, state


async def test_sec_71_origins_can_be_listed() -> None:
    """Then those alone are let in; `any` judges none."""
    other, ours = "https://app.example.org", "http://site.example"
    for listed, expected in (
        ([other], {other: True, ours: False, None: False, "null": False}),
        ([other, "same"], {other: True, ours: True, None: False, EVIL: False}),
        (["same", "null"], {other: False, ours: True, "null": True, None: False}),
        (["any"], {other: True, ours: True, None: True, "null": True, EVIL: True}),
        ([], {other: False, ours: False, None: False, "null": False}),
    ):
        middleware, cookie = await started(app, websocket_origins=listed)
        for origin, expected_in in expected.items():
            met = await let_in(middleware, origin, {"cookie": cookie})
            assert (met == [1]) is expected_in, (listed, origin)


async def test_sec_71_where_there_is_no_session_nothing_is_judged() -> None:
    """On excluded paths, and where a middleware around this one has judged already."""
    middleware, cookie = await started(app, exclude=["/public"])
    ours = {"cookie": cookie}
    assert await let_in(middleware, EVIL, ours, path="/public/feed") == []
    assert await let_in(middleware, EVIL, ours, path="/feed") is None
    store: Any = middleware.lifecycle.runtime.wrapped
    inner = SessionMiddleware(app, secret=SECRET, store=store, websocket_origins=[])
    middleware.app = inner
    assert await let_in(middleware, None, ours) == [1]
    assert await let_in(inner, None, ours) is None


async def test_sec_71_pages_are_not_judged() -> None:
    """A request for a page has rules of its own: CSRF tokens, SameSite, CORS."""
    middleware, cookie = await started(app)
    plain = {**from_page(EVIL, {"cookie": cookie}), "type": "http", "scheme": "http"}
    seen.clear()
    await play(middleware, plain, [CONNECT])
    assert seen == [1]


async def test_sec_71_what_is_told_is_fit_for_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line, of a length that no client can choose."""
    caplog.set_level(logging.WARNING, "coatcheck")
    middleware, cookie = await started(app)
    for origin in ("x\r\nERROR fake", "y" * 70_000):
        assert await let_in(middleware, origin, {"cookie": cookie}) is None
    (record,) = caplog.records
    assert record.getMessage() == r"OriginRefused(origin='x\r\nERROR fake', host='site.example')"
    caplog.clear()
    other, cookie = await started(app)
    assert await let_in(other, "y" * 70_000, {"cookie": cookie}) is None
    assert len(caplog.records[0].getMessage()) < 300
