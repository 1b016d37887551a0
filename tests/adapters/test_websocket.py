"""Sessions of WebSocket connections: a new ID with the accept, changes saved at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from coatcheck import ResponseStarted, SessionEnded, StoreError
from coatcheck.clock import system_clock
from coatcheck.events import ChangesDropped, Event
from coatcheck.store import MemoryStore
from coatcheck.testing import ManualClock
from coatcheck_asgi import SessionMiddleware
from tests.adapters.doors import Message, play
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap, make_store
from tests.adapters.test_asgi import cookie_of, scope, started

pytestmark = pytest.mark.anyio
CONNECT: Message = {"type": "websocket.connect"}
LEAVE: Message = {"type": "websocket.disconnect", "code": 1001}
ACCEPT: Message = {"type": "websocket.accept"}
CLOSE: Message = {"type": "websocket.close", "code": 1000}
DENIAL: Message = {"websocket.http.response": {}}


def socket(cookie: str | None = None, extensions: Message | None = None) -> Message:
    """Return the scope of a WebSocket handshake."""
    plain = scope(cookie, scheme="ws", subprotocols=["chat"], extensions=extensions)
    return {**plain, "type": "websocket"}


def text(message: str) -> Message:
    """Return a message from the client."""
    return {"type": "websocket.receive", "text": message}


async def stored(middleware: SessionMiddleware, cookie: str) -> dict[str, Any]:
    """Return what is stored for a cookie."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(await scope["session"].load())
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    inner, middleware.app = middleware.app, app
    await play(middleware, scope(cookie))
    middleware.app = inner
    return found


async def test_a_new_session_s_cookie_goes_out_with_the_accept() -> None:
    """Beside the subprotocol and the headers of the application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        scope["session"]["a"] = 1
        headers = [(b"x-mine", b"1")]
        await send({**ACCEPT, "subprotocol": "chat", "headers": headers})
        scope["session"]["a"] = 2
        await send(CLOSE)

    middleware = SessionMiddleware(app, secret=SECRET)
    sent, error = await play(middleware, socket(), [CONNECT])
    assert error is None
    assert (sent[0]["type"], sent[0]["subprotocol"]) == ("websocket.accept", "chat")
    assert sent[0]["headers"][0] == (b"x-mine", b"1")
    cookie = cookie_of(sent)
    assert cookie is not None
    assert await stored(middleware, cookie) == {"a": 2}


async def test_what_changes_on_the_way_is_saved_at_the_end() -> None:
    """However the end comes: close, the client's leaving, a return."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            scope["session"].setdefault("said", []).append(message["text"])
            await send({"type": "websocket.send", "text": "ok"})
        if ends_by_raising:
            raise RuntimeError("nobody is there any more")

    for ends_by_raising in (False, True):  # noqa: B007 - the application looks at it
        middleware, cookie = await started(app)
        sent, _ = await play(middleware, socket(cookie), [CONNECT, text("a"), text("b"), LEAVE])
        assert len(sent) == 3
        assert await stored(middleware, cookie) == {"n": 1, "said": ["a", "b"]}


async def test_an_exception_keeps_what_was_saved_before() -> None:
    """What came after is dropped and told."""
    events: list[Event] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        scope["session"]["a"] = 1
        await scope["session"].save()
        scope["session"]["b"] = 2
        raise ZeroDivisionError

    middleware, cookie = await started(app, on_event=events.append)
    _, error = await play(middleware, socket(cookie), [CONNECT])
    assert isinstance(error, ZeroDivisionError)
    assert await stored(middleware, cookie) == {"n": 1, "a": 1}
    dropped = [event for event in events if isinstance(event, ChangesDropped)]
    assert [(event.reason, event.keys) for event in dropped] == [("error", ("b",))]


async def test_sec_71_a_new_session_cannot_begin_after_the_accept(tmp_path: Path) -> None:
    """Its ID cannot leave any more, looked at before or not; nothing is stored."""
    tap = Tap(make_store("memory", tmp_path, system_clock))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if looks:
            scope["session"].get("a")
        await send(ACCEPT)
        with pytest.raises(ResponseStarted, match="headers have left"):
            scope["session"]["a"] = 1
        with pytest.raises(ResponseStarted):
            scope["session"].login("ann")

    for looks in (False, True):  # noqa: B007 - the application looks at it
        store: Any = tap.store
        middleware = SessionMiddleware(app, secret=SECRET, store=store, purge="never")
        sent, error = await play(middleware, socket(), [CONNECT])
        assert (error, cookie_of(sent), tap.take()) == (None, None, [])


async def test_a_connection_that_is_turned_away_sends_no_cookie(tmp_path: Path) -> None:
    """A close in the place of the accept has no headers: nothing new is stored; that is told."""
    events: list[Event] = []
    tap = Tap(make_store("memory", tmp_path, system_clock))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send(CLOSE)

    store: Any = tap.store
    middleware, cookie = await started(app, store=store, on_event=events.append)
    tap.take()
    sent, _ = await play(middleware, socket(), [CONNECT])
    assert (sent, tap.take()) == ([CLOSE], [])
    assert [e.reason for e in events if isinstance(e, ChangesDropped)] == ["late"]
    await play(middleware, socket(cookie), [CONNECT])
    assert await stored(middleware, cookie) == {"n": 1, "a": 1}


async def test_a_denial_is_a_response_like_any_other() -> None:
    """With the extension it has headers and a body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        scope["session"]["a"] = 2
        await send({"type": "websocket.http.response.body", "body": b"no"})

    middleware = SessionMiddleware(app, secret=SECRET)
    sent, _ = await play(middleware, socket(extensions=DENIAL), [CONNECT])
    cookie = cookie_of(sent)
    assert cookie is not None
    assert (b"vary", b"Cookie") in sent[0]["headers"]
    assert await stored(middleware, cookie) == {"a": 2}


async def test_messages_keep_the_session_alive(tmp_path: Path) -> None:
    """Each one past the interval touches, from either side; a session that ended is noticed."""
    clock = ManualClock()
    tap = Tap(make_store("memory", tmp_path, clock))
    calls: list[list[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        await receive()
        await send(ACCEPT)
        assert session["n"] == 1
        tap.take()
        for _ in range(3):
            clock.advance(59)
            await receive()
            calls.append(tap.take())
        clock.advance(60)
        await send({"type": "websocket.send", "text": "x"})
        calls.append(tap.take())
        handle = session.handle
        assert session["n"] == 1
        clock.advance(3599)
        store.delete(handle)
        await receive()
        with pytest.raises(SessionEnded):
            session["n"]

    store: Any = tap.store
    middleware, cookie = await started(app, store=store, clock=clock)
    messages = [text("x")] * 4
    _, error = await play(middleware, socket(cookie), [CONNECT, *messages])
    assert error is None
    assert calls == [[], ["touch"], [], ["touch"]]


async def test_messages_need_not_keep_it_alive(tmp_path: Path) -> None:
    """`renew=False`."""
    clock = ManualClock()
    tap = Tap(make_store("memory", tmp_path, clock))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        assert scope["session"]["n"] == 1
        tap.take()
        clock.advance(100)
        await receive()
        await send(CLOSE)
        assert tap.take() == []

    store: Any = tap.store
    middleware, cookie = await started(app, store=store, clock=clock, renew=["!/"])
    assert (await play(middleware, socket(cookie), [CONNECT, text("x")]))[1] is None


async def test_sec_30_a_rotated_id_goes_out_with_the_accept() -> None:
    """As a new session's does."""
    clock = ManualClock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert scope["session"]["n"] == 1
        await send(ACCEPT)

    middleware, cookie = await started(app, clock=clock, rotate_every=900)
    clock.advance(900)
    sent, error = await play(middleware, socket(cookie), [CONNECT])
    assert error is None
    assert cookie_of(sent) not in (None, cookie)
    assert await stored(middleware, cookie_of(sent) or "") == {"n": 1}


async def test_sec_30_a_connection_goes_on_over_rotations() -> None:
    """It rotates nothing itself, and sees and saves what is stored under IDs it never had."""
    clock = ManualClock()
    cookies, visit = list[str](), scope

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        if scope["type"] == "http":
            session["n"] += 1
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
            return
        await receive()
        assert session["n"] == 1
        await send(ACCEPT)
        for _ in range(3):
            clock.advance(900)
            await receive()
            for _ in range(2):
                sent, _ = await play(middleware, visit(cookies[-1]))
                cookies.append(cookie_of(sent) or cookies[-1])
            await session.refresh()
        assert session["n"] == 7
        session["mine"] = True
        await send(CLOSE)

    middleware, cookie = await started(app, clock=clock, rotate_every=900, store=MemoryStore())
    cookies.append(cookie)
    _, error = await play(middleware, socket(cookie), [CONNECT, *[text("x")] * 3])
    assert error is None
    assert len(set(cookies)) == 4
    assert await stored(middleware, cookies[-1]) == {"n": 7, "mine": True}


async def test_sec_71_refresh_sees_a_sign_out_elsewhere() -> None:
    """An application that must know at once may ask."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        await send(ACCEPT)
        assert session["n"] == 1
        store.delete(session.handle)
        with pytest.raises(SessionEnded):
            await session.refresh()

    store = MemoryStore()
    middleware, cookie = await started(app, store=store)
    assert (await play(middleware, socket(cookie), [CONNECT]))[1] is None


async def test_an_outage_closes_the_handshake(tmp_path: Path) -> None:
    """Code 1013, try again later; with the extension a 503; the cookie is left alone."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if looks_before:
            scope["session"].get("n")
        tap.failing_once.extend(["get", "update"])
        scope["session"]["n"] = 2
        await send(ACCEPT)
        raise AssertionError

    tap = Tap(make_store("file", tmp_path, system_clock))
    store: Any = tap.store
    middleware, cookie = await started(app, store=store)
    for looks_before in (False, True):
        tap.failing_once[:] = [] if looks_before else ["get"]
        sent, error = await play(middleware, socket(cookie), [CONNECT])
        assert (error, [message["type"] for message in sent]) == (None, ["websocket.close"])
        assert sent[0]["code"] == 1013
        tap.failing_once[:] = [] if looks_before else ["get"]
        sent, error = await play(middleware, socket(cookie, DENIAL), [CONNECT])
        assert error is None
        assert [message["type"] for message in sent] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert (sent[0]["status"], cookie_of(sent)) == (503, None)
    tap.failing_once.clear()
    assert await stored(middleware, cookie) == {"n": 1}


async def test_an_outage_after_the_accept_is_the_server_s_to_tell(tmp_path: Path) -> None:
    """It closes the connection with 1011, as for any error."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        scope["session"]["n"] = 2
        tap.break_down()
        await send(CLOSE)

    tap = Tap(make_store("memory", tmp_path, system_clock))
    store: Any = tap.store
    middleware, cookie = await started(app, store=store)
    sent, error = await play(middleware, socket(cookie), [CONNECT])
    assert len(sent) == 1
    assert isinstance(error, StoreError)


async def test_a_server_that_shuts_down_loses_no_change(tmp_path: Path) -> None:
    """Connections are cancelled then; the final save is shielded."""
    ready = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        scope["session"]["n"] = 7
        ready.set()
        await receive()

    store: Any = make_store("file", tmp_path, system_clock)
    middleware, cookie = await started(app, store=store)
    async with anyio.create_task_group() as group:
        group.start_soon(play, middleware, socket(cookie), [CONNECT])
        await ready.wait()
        group.cancel_scope.cancel()
    assert await stored(middleware, cookie) == {"n": 7}
