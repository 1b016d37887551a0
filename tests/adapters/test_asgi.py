"""What is peculiar to ASGI over HTTP: messages, scopes, cancellation, event loops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import pytest

from coatcheck import ConfigurationError, SessionNotLoaded, StoreError, drivers
from coatcheck.clock import system_clock
from coatcheck.events import ChangesDropped, Event
from coatcheck.request import ASGIRequest
from coatcheck.store import AsyncSQLiteStore, MemoryStore
from coatcheck_asgi import SessionMiddleware, get_session
from tests.adapters.doors import BODY, ClientGone, Message, play, scope_of
from tests.adapters.site import SECRET, Request, untouched
from tests.adapters.taps import Tap, make_store

pytestmark = pytest.mark.anyio
App = Callable[[Any, Any, Any], Awaitable[None]]
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


def scope(cookie: str | None = None, path: str = "/", **more: Any) -> Message:
    """Return the scope of a plain GET."""
    headers = [("Cookie", cookie)] if cookie else []
    return {**scope_of(Request(untouched, path=path, headers=headers)), **more}


def cookie_of(messages: list[Message]) -> str | None:
    """Return name and value of the one cookie that a response sets."""
    values = [
        value
        for message in messages
        for name, value in message.get("headers", ())
        if name == b"set-cookie"
    ]
    assert len(values) <= 1
    return values[0].decode().partition(";")[0] if values else None


async def writing(scope: Any, receive: Any, send: Any) -> None:
    """An application that stores something."""
    scope["session"]["n"] = scope["session"].get("n", 0) + 1
    await send(START)
    await send({**END, "body": b"%d" % scope["session"]["n"]})


async def started(app: App, **options: Any) -> tuple[SessionMiddleware, str]:
    """Return the application with the middleware around it, and the cookie of a session in it."""
    options = {"secret": SECRET, "purge": "never", "store": MemoryStore(), **options}
    middleware = SessionMiddleware(app, **options)
    inner, middleware.app = middleware.app, writing
    sent, _ = await play(middleware, scope(), [BODY])
    middleware.app = inner
    cookie = cookie_of(sent)
    assert cookie is not None
    return middleware, cookie


async def test_the_session_is_where_everybody_looks() -> None:
    """Under our key, and under `session`, as Starlette has it; the ID beside it."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["coatcheck.session"]
        assert scope["session"] is session is get_session(scope)
        session_id = scope["coatcheck.session_id"]
        assert "None" in repr(session_id)
        assert str(session_id) == session_id == session.id
        assert repr(session_id) == f"<session ID, handle={session.handle}>"
        assert hash(session_id) == hash(session.id)
        seen.append(session)
        await send(START)
        await send(END)

    await play(SessionMiddleware(app, secret=SECRET), scope(), [BODY])
    assert len(seen) == 1


async def test_the_caller_s_scope_is_left_alone() -> None:
    """Nothing is added to it, and nothing in it is replaced (S-79)."""
    outer = scope()
    before = dict(outer)
    sent, _ = await play(SessionMiddleware(writing, secret=SECRET), outer, [BODY])
    assert cookie_of(sent)
    assert outer == before
    assert all(outer[key] is before[key] for key in before)


async def test_the_application_s_message_is_left_alone() -> None:
    """It may be a constant: headers are added to a copy."""
    sent, _ = await play(SessionMiddleware(writing, secret=SECRET), scope(), [BODY])
    assert cookie_of(sent)
    assert START == {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize("kind", ["lifespan", "telepathy"])
def test_other_scopes_pass_untouched(kind: str) -> None:
    """Lifespan, and whatever is invented next: the very same objects, and no session."""
    seen: list[Any] = []

    async def app(*given: Any) -> None:
        seen.append(given)

    given = ({"type": kind}, object(), object())
    # Any three objects will do: they are only passed on.
    asyncio.run(SessionMiddleware(app, secret=SECRET)(*given))  # type: ignore[arg-type]
    assert all(one is other for one, other in zip(seen[0], given, strict=True))
    assert given[0] == {"type": kind}


async def test_messages_before_the_response_pass() -> None:
    """Early hints, push and debug carry no cookie, and commit nothing."""
    extras: list[Message] = [
        {"type": "http.response.debug", "info": {"template": "x"}},
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        {"type": "http.response.push", "path": "/a.css", "headers": []},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        for extra in extras:
            await send(extra)
            scope["session"]["a"] += 1
        await send(START)
        await send(END)

    sent, error = await play(SessionMiddleware(app, secret=SECRET), scope(), [BODY])
    assert error is None
    assert [*sent[:3]] == extras
    assert sent[3]["type"] == "http.response.start"
    assert cookie_of(sent)


async def test_trailers_and_files_are_bodies_too() -> None:
    """What changed is saved before the last message of a body, whatever that is."""
    order: list[str] = []
    store = MemoryStore()
    tap = Tap(store)

    async def files(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        scope["session"]["n"] = 5
        await send({"type": "http.response.pathsend", "path": "/x"})

    async def trailers(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        scope["session"]["n"] = 6
        await send(END)
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": False})

    for app in (files, trailers):
        middleware, cookie = await started(app, store=store)
        tap.take()

        async def send(message: Message) -> None:
            order.extend([*tap.take(), message["type"].rpartition(".")[2]])

        # Nothing is received, so there is nothing to receive it with.
        await middleware(scope(cookie), None, send)  # type: ignore[arg-type]
    assert order == [
        *("start", "get", "update", "pathsend"),
        *("start", "get", "update", "body", "trailers"),
    ]


async def test_a_response_may_have_no_headers_at_all() -> None:
    """The key may be missing, or hold any iterable."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["a"] = 1
        await send({"type": "http.response.start", "status": 200, **shape})
        await send(END)

    shapes: list[Message] = [{}, {"headers": None}, {"headers": iter([(b"x", b"1")])}]
    for shape in shapes:  # noqa: B007 - the application looks at it
        sent, _ = await play(SessionMiddleware(app, secret=SECRET), scope(), [BODY])
        assert cookie_of(sent)


async def test_lazy_sessions_are_loaded_by_hand(tmp_path: Path) -> None:
    """`lazy=True`: no store call before `load()`, and a look before it names the remedy."""
    tap = Tap(make_store("file", tmp_path, system_clock))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        assert tap.take() == []
        with pytest.raises(SessionNotLoaded, match=r"await session\.load\(\)"):
            session["n"]
        assert await session.load() is session
        assert tap.take() == ["get"]
        assert session["n"] == 1
        await session.load()
        await send(START)
        await send(END)
        assert tap.take() == []

    store: Any = tap.store
    middleware, cookie = await started(app, store=store, lazy=True)
    tap.take()
    assert (await play(middleware, scope(cookie), [BODY]))[1] is None


async def test_a_visitor_needs_no_load(tmp_path: Path) -> None:
    """Without a well-signed ID there is nothing to await."""
    store: Any = make_store("file", tmp_path, system_clock)
    middleware = SessionMiddleware(writing, secret=SECRET, store=store, lazy=True)
    sent, _ = await play(middleware, scope("session=garbage"), [BODY])
    assert cookie_of(sent)


async def test_a_store_error_in_a_task_group_is_one_too() -> None:
    """Task groups wrap what their tasks raise."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(scope["session"].save)
            tap.break_down()
            scope["session"]["n"] = 2

    tap = Tap(MemoryStore())
    middleware, cookie = await started(app, store=tap.store)
    sent, error = await play(middleware, scope(cookie), [BODY])
    assert (sent[0]["status"], error) == (503, None)


async def test_an_application_cannot_go_on_after_the_503() -> None:
    """It is told by an exception, also if it swallows the first one; nothing more leaves."""
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["n"] = 2
        tap.failing_once.append("update")
        for message in (START, {**END, "more_body": True}, END):
            try:
                await send(message)
            except StoreError as error:
                raised.append(str(error))

    tap = Tap(MemoryStore())
    middleware, cookie = await started(app, store=tap.store)
    sent, error = await play(middleware, scope(cookie), [BODY])
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], error) == (503, None)
    assert len(raised) == 3
    assert "503" in raised[-1]
    middleware.app = writing
    sent, _ = await play(middleware, scope(cookie), [BODY])
    assert sent[-1]["body"] == b"2"  # what was answered with a 503 was not saved afterwards


async def test_a_cancelled_stream_is_still_saved(tmp_path: Path) -> None:
    """The final save is shielded: the server that gives up on a client loses no change."""
    events: list[Event] = []
    blocked = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        scope["session"]["n"] = 99
        blocked.set()
        await anyio.sleep_forever()

    store = AsyncSQLiteStore(tmp_path / "s.db", durability="full")
    middleware, cookie = await started(app, store=store, on_event=events.append)
    async with anyio.create_task_group() as group:
        group.start_soon(play, middleware, scope(cookie), [BODY])
        await blocked.wait()
        group.cancel_scope.cancel()
    middleware.app = writing
    sent, _ = await play(middleware, scope(cookie), [BODY])
    assert sent[-1]["body"] == b"100"
    assert not [event for event in events if isinstance(event, ChangesDropped)]
    await store.aclose()


async def test_a_request_that_is_cancelled_before_its_response_keeps_nothing() -> None:
    """Half of a change is worse than none; it is told."""
    events: list[Event] = []
    blocked = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["n"] = 99
        blocked.set()
        await anyio.sleep_forever()

    middleware, cookie = await started(app, on_event=events.append)
    async with anyio.create_task_group() as group:
        group.start_soon(play, middleware, scope(cookie), [BODY])
        await blocked.wait()
        group.cancel_scope.cancel()
    middleware.app = writing
    sent, _ = await play(middleware, scope(cookie), [BODY])
    assert sent[-1]["body"] == b"2"
    assert [e.reason for e in events if isinstance(e, ChangesDropped)] == ["error"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_final_save_that_hangs_is_given_up(backend: str) -> None:
    """After 5 s, and told; here the clock of the loop is not waited for."""
    events: list[Event] = []
    memory = MemoryStore()
    hangs = False

    class Hanging:
        get_never_suspends = True
        namespace = memory.namespace

        async def get(self, key: str, /) -> Any:
            return memory.get(key)

        async def create(self, key: str, payload: bytes, /, **more: Any) -> bool:
            return memory.create(key, payload, **more)

        async def update(self, key: str, payload: bytes, /, **more: Any) -> Any:
            if hangs:
                await anyio.sleep_forever()
            return memory.update(key, payload, **more)

        async def touch(self, key: str, /, **more: Any) -> bool:
            return memory.touch(key, **more)

        async def delete(self, key: str, /, **more: Any) -> Any:
            return memory.delete(key, **more)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal hangs
        await send(START)
        scope["session"]["n"] = 99
        hangs = True

    async def main() -> None:
        middleware, cookie = await started(app, store=Hanging(), on_event=events.append)
        middleware.lifecycle.runtime.shield = partial(drivers.shield, seconds=0.01)
        assert (await play(middleware, scope(cookie), [BODY]))[1] is None

    assert signature(drivers.shield).parameters["seconds"].default == 5.0
    anyio.run(main, backend=backend)
    assert [(e.reason, e.keys) for e in events if isinstance(e, ChangesDropped)] == [
        ("late", ("n",))
    ]


async def test_an_error_after_the_client_left_is_no_failure() -> None:
    """`send` raises once the client has gone: what the application had changed is saved."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        scope["session"]["n"] = 10
        while True:
            await send({**END, "body": b"x", "more_body": True})

    middleware, cookie = await started(app)
    _, error = await play(middleware, scope(cookie), [BODY], chunks_read=3)
    assert isinstance(error, ClientGone)
    middleware.app = writing
    sent, _ = await play(middleware, scope(cookie), [BODY])
    assert sent[-1]["body"] == b"11"


async def test_an_application_may_return_without_a_response() -> None:
    """Then no ID can leave, and nothing new is stored; what exists is saved."""
    events: list[Event] = []
    tap = Tap(MemoryStore())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["n"] = 5

    middleware, cookie = await started(app, store=tap.store, on_event=events.append)
    tap.take()
    await play(middleware, scope(), [BODY])
    assert tap.take() == []
    assert [e.reason for e in events if isinstance(e, ChangesDropped)] == ["late"]
    await play(middleware, scope(cookie), [BODY])
    assert tap.take() == ["get", "update"]


async def test_a_stream_of_known_length_is_saved_before_its_last_byte() -> None:
    """Whatever comes after that byte; a length that is wrong changes nothing else."""
    order: list[str] = []
    tap = Tap(MemoryStore())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"Content-Length", length)]
        await send({**START, "headers": headers})
        scope["session"]["n"] = length
        for chunk in (b"ab", b"cd", b"ef"):
            await send({**END, "body": chunk, "more_body": True})
        await send(END)

    async def send(message: Message) -> None:
        order.extend([*tap.take(), message.get("body", b"-").decode()])

    for length, expected in (
        (b"6", ["-", "get", "ab", "cd", "update", "ef", ""]),
        (b"4", ["-", "get", "ab", "update", "cd", "ef", ""]),
        (b"9", ["-", "get", "ab", "cd", "ef", "update", ""]),
        (b"x", ["-", "get", "ab", "cd", "ef", "update", ""]),
    ):
        middleware, cookie = await started(app, store=tap.store)
        tap.take()
        order.clear()
        # Nothing is received, so there is nothing to receive it with.
        await middleware(scope(cookie), None, send)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        assert order == expected, length


async def test_several_workers_without_a_store_are_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memories cannot see each other."""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with pytest.warns(UserWarning, match=r"store='sqlite:///sessions\.db'") as caught:
        SessionMiddleware(writing, secret=SECRET)
    assert caught[0].filename == __file__
    SessionMiddleware(writing, secret=SECRET, store="memory://")


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("", "/static", "/static"),
        ("/app", "/app/static", "/static"),
        ("/app/", "/app/static", "/static"),
        ("/app", "/static", "/static"),
        ("/app", "/apple", "/apple"),
        ("/app", "/app", ""),
    ],
)
def test_a_path_is_taken_below_its_mount(root: str, path: str, below: str) -> None:
    """Whether or not the server leaves the mount point in it; a mere prefix is none."""
    assert ASGIRequest({"root_path": root, "path": path}).path == below


def test_bad_options_are_said_at_once() -> None:
    """By name, with the remedy."""
    with pytest.raises(ConfigurationError, match="expire"):
        # Whoever has no type checker must be told too.
        SessionMiddleware(writing, secret=SECRET, expired=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigurationError, match="secret"):
        SessionMiddleware(writing)


def test_get_session_says_what_is_missing() -> None:
    """Without the middleware, or where a path is excluded."""
    with pytest.raises(ConfigurationError, match="SessionMiddleware.*exclude"):
        get_session({"type": "http"})


async def test_purging_comes_after_the_response(tmp_path: Path) -> None:
    """At most every ten minutes, and only where somebody looked."""
    order: list[str] = []
    tap = Tap(make_store("file", tmp_path, system_clock))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"].get("a")
        await send(START)
        await send(END)

    async def send(message: Message) -> None:
        order.extend([*tap.take(), message["type"].rpartition(".")[2]])

    store: Any = tap.store
    middleware = SessionMiddleware(app, secret=SECRET, store=store)
    for _ in range(3):
        # Nothing is received, so there is nothing to receive it with.
        await middleware(scope(), None, send)  # type: ignore[arg-type]
    order.extend(tap.take())
    assert order == ["start", "body", "claim_purge", "purge", "start", "body", "start", "body"]


def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With its cause, for the operator; the client is told nothing of that."""
    tap = Tap(MemoryStore())

    async def main() -> None:
        middleware, cookie = await started(writing, store=tap.store)
        tap.break_down()
        sent, _ = await play(middleware, scope(cookie), [BODY])
        assert b"fire" not in sent[-1]["body"]

    with caplog.at_level(logging.ERROR, "coatcheck"):
        asyncio.run(main())
    assert [record.message for record in caplog.records] == [
        "the session store failed: the disk is on fire"
    ]
