"""When a response has left, nothing of its session is left for the garbage collector to find."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import pytest

from coatcheck import ResponseStarted, SessionConfig
from coatcheck.clock import system_clock
from coatcheck.face import let_go, visit_of
from coatcheck.lifecycle import Lifecycle
from coatcheck.request import PlainRequest, Request
from coatcheck.runtime import Runtime
from coatcheck.session import Session
from coatcheck.store import MemoryStore
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.doors import BODY, play
from tests.adapters.site import SECRET
from tests.adapters.taps import make_store
from tests.adapters.test_asgi import END, START, cookie_of, scope
from tests.adapters.test_wsgi import PLAIN, environ_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

KINDS = ("read", "written", "new")


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Keep the garbage collector away."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def use(session: Any, kind: str) -> Any:
    """Use a session in one of the ways."""
    if kind == "read":
        return session.get("n")
    session["n"] = session.get("n", 0) + 1
    return session["n"]


class Watch:
    """Watches what a request made."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref[Any]] = []

    def __call__(self, session: Any) -> None:
        self.seen.append(weakref.ref(session))

    def all_gone(self) -> bool:
        """Say whether something was seen, and all of it is gone."""
        return bool(self.seen) and all(ref() is None for ref in self.seen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", ["list", "stream", "late", "write"])
def test_a_wsgi_response_leaves_nothing(kind: str, body: str) -> None:
    """However the body is made; also where the session is first looked at while it is sent.

    A session that nobody looks at stays in its environ, with no data: to prevent that would cost a
    request without a session more than the garbage collector does.
    """
    watch = Watch()

    def late(session: Any) -> Iterator[bytes]:
        yield b"first"
        yield b"%r" % use(session, "read")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ["coatcheck.session"]
        watch(session)
        write = start_response("200 OK", PLAIN)
        if "HTTP_COOKIE" in environ and body == "late":
            return late(session)
        if "HTTP_COOKIE" in environ and body == "write":
            write(b"first")
        made = b"%r" % use(session, kind)
        return iter([made]) if body == "stream" else [made]

    middleware = WSGIMiddleware(app, secret=SECRET, store=MemoryStore(), purge="never")
    headers: list[tuple[str, str]] = []
    sent: list[bytes] = []

    def exchange(cookie: str | None) -> None:
        def start_response(_status: str, given: list[tuple[str, str]], _info: Any = None) -> Any:
            headers[:] = given
            return sent.append

        chunks = middleware(environ_of(cookie), start_response)
        sent.extend(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()

    exchange(None)
    cookie = dict(headers).get("Set-Cookie", "").partition(";")[0]
    exchange(None if kind == "new" else cookie or "session=none")
    assert watch.all_gone()


def test_an_exception_of_a_wsgi_application_leaves_nothing() -> None:
    """Once the server has dealt with it."""
    watch = Watch()

    def app(environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
        session = environ["coatcheck.session"]
        watch(session)
        use(session, "new")
        raise LookupError("the application's own")

    middleware = WSGIMiddleware(app, secret=SECRET, store=MemoryStore(), purge="never")

    def start_response(_status: str, _headers: Any, _info: Any = None) -> Any:
        raise AssertionError("nothing is to be answered")

    def exchange() -> None:
        with pytest.raises(LookupError):
            middleware(environ_of(), start_response)

    exchange()
    assert watch.all_gone()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [*KINDS, "untouched"])
@pytest.mark.parametrize("store", ["memory", "async-sqlite"])
async def test_an_asgi_response_leaves_nothing(kind: str, store: str, tmp_path: Path) -> None:
    """Nor one for which nobody looked at the session, be it loaded ahead or not."""
    watch = Watch()
    opened: Any = MemoryStore() if store == "memory" else make_store(store, tmp_path, system_clock)

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        session = scope["coatcheck.session"]
        watch(session)
        body = b"" if kind == "untouched" and scope["path"] == "/" else b"%r" % use(session, kind)
        await send(START)
        await send({**END, "body": body})

    middleware = ASGIMiddleware(app, secret=SECRET, store=opened, purge="never")

    async def exchange(cookie: str | None, path: str = "/") -> str | None:
        sent, _ = await play(middleware, scope(cookie, path), [BODY])
        return cookie_of(sent)

    cookie = await exchange(None, "/first")
    await exchange(None if kind == "new" else cookie)
    assert watch.all_gone()


@pytest.mark.anyio
async def test_who_answers_after_returning_can_begin_no_session(tmp_path: Path) -> None:
    """An ASGI application has returned, and a task that it left behind goes on."""
    kept: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        kept.append(scope["coatcheck.session"])

    store = make_store("async-sqlite", tmp_path, system_clock)
    middleware = ASGIMiddleware(app, secret=SECRET, store=store, purge="never")
    for cookie in (None, "other=1"):
        assert await play(middleware, scope(cookie), [BODY]) == ([], None)
        with pytest.raises(ResponseStarted):
            kept.pop()["a"] = 1


def test_a_look_that_comes_too_late_is_that_of_the_thread_before() -> None:
    """A thread may be about to look first while another one looks, answers and lets go."""
    runtime = Runtime.blocking(SessionConfig(secret=SECRET), MemoryStore())
    request = PlainRequest()
    made: list[Request] = []

    def view(native: Request) -> Request:
        made.append(native)
        return native

    session = Session(Lifecycle(runtime), request, view)
    assert "a" not in session
    first = visit_of(session)
    let_go(session)
    assert session._first_look() is first  # pyright: ignore[reportPrivateUsage]
    assert made == [request]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flask_response_leaves_nothing(kind: str) -> None:
    """Flask refers to itself in a circle at each request; the session hangs on none of that."""
    watch = Watch()
    app = flask.Flask("site")
    Coatcheck(app, secret=SECRET, store=MemoryStore(), purge="never")

    @app.route("/")
    def view() -> str:  # pyright: ignore[reportUnusedFunction]
        session: Any = flask.session
        watch(session._get_current_object())
        return repr(use(session, kind))

    client = app.test_client(use_cookies=kind != "new")
    for _ in range(2):
        client.get("/").close()
    assert watch.all_gone()
