"""Adapters within adapters: one session, committed once, by the outermost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import a2wsgi
import flask
import pytest
from asgiref.wsgi import WsgiToAsgi, WsgiToAsgiInstance

from coatcheck import ConfigurationError, SessionError
from coatcheck.clock import system_clock
from coatcheck.face import visit_of
from coatcheck.store import MemoryStore
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck, session
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from coatcheck_wsgi import get_session
from tests.adapters.doors import BODY, play, reply_of
from tests.adapters.site import SECRET, Reply
from tests.adapters.taps import Tap, make_store
from tests.adapters.test_asgi import scope
from tests.adapters.test_wsgi import PLAIN, Server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

App = Callable[[Any, Any, Any], Awaitable[None]]
Bridge = Callable[[Any], App]
A2WSGI: Any = a2wsgi.WSGIMiddleware
OTHER = "0ther-Hq7vX2mZ9pL4wT8yB3nD6fH1jR5sG0aE"


class ScopedInstance(WsgiToAsgiInstance):
    """asgiref's bridge, with the scope where a2wsgi has it: what its users have to write."""

    def build_environ(self, scope: Any, body: Any) -> Any:
        return {**super().build_environ(scope, body), "asgi.scope": scope}  # type: ignore[no-untyped-call]


class Scoped(WsgiToAsgi):
    """The same, as an application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await ScopedInstance(self.wsgi_application)(scope, receive, send)  # type: ignore[no-untyped-call]


BRIDGES: list[Bridge] = [A2WSGI, Scoped]
STORES = ["memory", "file", "sqlite", "async-sqlite"]


def visits(app: App, *cookies: str | None) -> list[Reply]:
    """Send requests, one after the other on one event loop; `None` is the cookie just sent."""

    async def send() -> list[Reply]:
        replies: list[Reply] = []
        held = ""
        for cookie in cookies:
            reply = reply_of(*await play(app, scope(held if cookie is None else cookie), [BODY]))
            if reply.sent:
                held = f"session={reply.sent}"
            replies.append(reply)
        return replies

    return asyncio.run(send())


def flask_app(store: Any, **config: Any) -> flask.Flask:
    """Return a Flask application that counts, streams, signs in and out."""
    app = flask.Flask("inner", static_folder=None)
    app.config["SECRET_KEY"] = SECRET
    for key, value in config.items():
        app.config[key] = value
    Coatcheck(app, store=store)

    @app.route("/")
    def count() -> str:  # pyright: ignore[reportUnusedFunction]
        session["flask"] = session.get("flask", 0) + 1
        return repr(dict(session))

    return app


def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A WSGI application that counts."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    found = get_session(environ)
    found["wsgi"] = found.get("wsgi", 0) + 1
    assert str(environ["coatcheck.session_id"]) == found.id
    return [repr(dict(found)).encode()]


def around(inner: App) -> App:
    """An ASGI application that counts, and has another inside."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found = scope["session"]
        found["asgi"] = found.get("asgi", 0) + 1
        await inner(scope, receive, send)

    return app


# The same sessions: whoever is further in steps aside


def test_wsgi_in_wsgi() -> None:
    """The very same object, one cookie, one commit."""
    seen: list[Any] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ["coatcheck.session"])
        start_response("200 OK", PLAIN)
        seen[0]["a"] = 1
        return []

    tap = Tap(MemoryStore())
    options: dict[str, Any] = {"secret": SECRET, "store": tap.store, "purge": "never"}
    inner = WSGIMiddleware(app, **options)

    def between(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ["coatcheck.session"])
        return inner(environ, start_response)

    server = Server(WSGIMiddleware(between, **options))
    server.run()
    assert seen[0] is seen[1]
    assert server.cookie is not None
    assert tap.take() == ["create"]


def test_asgi_in_asgi() -> None:
    """The very same object and scope, one cookie, one commit."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        scope["session"]["a"] = 1
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    tap = Tap(MemoryStore())
    options: dict[str, Any] = {"secret": SECRET, "store": tap.store, "purge": "never"}
    inner = ASGIMiddleware(app, **options)

    async def between(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await inner(scope, receive, send)

    (reply,) = visits(ASGIMiddleware(between, **options), "")
    assert seen[0] is seen[1]
    assert reply.sent
    assert tap.take() == ["create"]


@pytest.mark.parametrize("kind", ["memory", "file", "sqlite"])
def test_flask_in_wsgi(kind: str, tmp_path: Path) -> None:
    """`flask.session` is a face of the session in the environ; the middleware commits it."""
    tap = Tap(make_store(kind, tmp_path, system_clock))
    app = flask_app(tap.store)

    @app.route("/out")
    def sign_out() -> str:  # pyright: ignore[reportUnusedFunction]
        session.logout()
        return repr(dict(session))

    @app.route("/save")
    def save() -> str:  # pyright: ignore[reportUnusedFunction]
        session["saved"] = True
        session.save()
        session.refresh()
        return repr([session.new, session.permanent, session.modified, session["saved"]])

    def between(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["wsgi"] = True
        return app(environ, start_response)

    store: Any = tap.store
    middleware = WSGIMiddleware(between, secret=SECRET, store=store, purge="never")
    first = Server(middleware)
    assert first.run() == b"{'wsgi': True, 'flask': 1}"
    assert tap.take() == ["create"]
    assert Server(middleware, first.cookie).run() == b"{'wsgi': True, 'flask': 2}"
    assert tap.take() == ["get", "update"]
    assert (
        Server(middleware, first.cookie, PATH_INFO="/save").run() == b"[False, True, False, True]"
    )
    last = Server(middleware, first.cookie, PATH_INFO="/out")
    assert last.run() == b"{}"
    assert last.cookie == "session="


def test_flask_streams_in_wsgi() -> None:
    """The middleware saves what a stream of Flask's changes."""
    store = MemoryStore()
    app = flask_app(store)

    @app.route("/stream")
    def stream() -> flask.Response:  # pyright: ignore[reportUnusedFunction]
        def chunks() -> Iterator[str]:
            yield "x"
            session["flask"] = "streamed"
            yield "y"

        return flask.Response(flask.stream_with_context(chunks()))

    @app.route("/read")
    def read() -> str:  # pyright: ignore[reportUnusedFunction]
        return str(session["flask"])

    middleware = WSGIMiddleware(app, secret=SECRET, store=store)
    first = Server(middleware)
    first.run()
    assert Server(middleware, first.cookie, PATH_INFO="/stream").run() == b"xy"
    assert Server(middleware, first.cookie, PATH_INFO="/read").run() == b"streamed"


@pytest.mark.parametrize("bridge", BRIDGES, ids=["a2wsgi", "asgiref"])
@pytest.mark.parametrize("kind", STORES)
def test_flask_in_asgi(kind: str, bridge: Bridge, tmp_path: Path) -> None:
    """Where the bridge shows the scope: one session, one cookie, one commit for both."""
    tap = Tap(make_store(kind, tmp_path, system_clock))
    blocking = make_store("sqlite", tmp_path, system_clock) if "async" in kind else tap.store
    store: Any = tap.store
    app = ASGIMiddleware(
        around(bridge(flask_app(blocking))), secret=SECRET, store=store, purge="never"
    )
    replies = visits(app, "", None, None)
    assert [reply.body for reply in replies] == [
        f"{{'asgi': {n}, 'flask': {n}}}" for n in (1, 2, 3)
    ]
    assert [reply.sent is not None for reply in replies] == [True, False, False]
    assert tap.take() == ["create", *["get", "update"] * 2]


def test_a_form_further_in_begins_the_session_of_who_is_further_out() -> None:
    """A token that Flask's page has holds for the ASGI application around it."""
    flask_in_asgi = flask.Flask("form", static_folder=None)
    flask_in_asgi.config["SECRET_KEY"] = SECRET
    store = MemoryStore()
    Coatcheck(flask_in_asgi, store=store)
    flask_in_asgi.add_url_rule("/", "form", lambda: session.csrf_token())
    bridge = BRIDGES[0](flask_in_asgi)
    held: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held.append(scope["session"].verify_csrf(pages[-1] if pages else None))
        await bridge(scope, receive, send)

    pages: list[str] = []
    outer = ASGIMiddleware(app, secret=SECRET, store=store, purge="never")
    (first,) = visits(outer, "")
    pages.append(first.body)
    visits(outer, f"session={first.sent}", "")
    assert held == [False, True, False]


@pytest.mark.parametrize("bridge", BRIDGES, ids=["a2wsgi", "asgiref"])
@pytest.mark.parametrize("kind", STORES)
def test_wsgi_in_asgi_both_wrapped(kind: str, bridge: Bridge, tmp_path: Path) -> None:
    """The inner middleware gives its application a face that need not be awaited."""
    tap = Tap(make_store(kind, tmp_path, system_clock))
    blocking = make_store("sqlite", tmp_path, system_clock) if "async" in kind else tap.store
    inner_store: Any = blocking
    store: Any = tap.store
    inner = WSGIMiddleware(wsgi_app, secret=SECRET, store=inner_store)
    app = ASGIMiddleware(around(bridge(inner)), secret=SECRET, store=store, purge="never")
    replies = visits(app, "", None, None)
    assert [reply.body for reply in replies] == [f"{{'asgi': {n}, 'wsgi': {n}}}" for n in (1, 2, 3)]
    assert [reply.sent is not None for reply in replies] == [True, False, False]
    assert tap.take() == ["create", *["get", "update"] * 2]


def test_a_wsgi_stream_in_asgi_is_saved(tmp_path: Path) -> None:
    """Its thread and the event loop share the session: nothing that either does is lost."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        found = get_session(environ)
        found["n"] = 0
        yield b"-"
        for number in range(1, 200):
            found["n"] = number
            found.setdefault("seen", []).append(number)
            yield b"."

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        body = f"{scope['session']['n']} {len(scope['session']['seen'])}".encode()
        await send({"type": "http.response.body", "body": body})

    for kind in ("memory", "file", "async-sqlite"):
        store: Any = make_store(kind, tmp_path, system_clock)
        blocking: Any = make_store("sqlite", tmp_path, system_clock) if "a" in kind else store
        inner_store = store if kind != "async-sqlite" else blocking
        inner = WSGIMiddleware(app, secret=SECRET, store=inner_store)
        outer = ASGIMiddleware(A2WSGI(inner), secret=SECRET, store=store)
        (written,) = visits(outer, "")
        outer.app = reader
        (shown,) = visits(outer, f"session={written.sent}")
        assert shown.body == "199 199"


def test_a_commit_on_the_loop_does_not_hide_a_change_of_a_thread() -> None:
    """One that ends just after the change takes it for saved; the next one compares."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = get_session(environ)
        found["n"] = "from the thread"
        visit = visit_of(found)
        assert visit is not None
        visit.settle()  # what such a commit does last
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    store = MemoryStore()
    counting = A2WSGI(WSGIMiddleware(wsgi_app, secret=SECRET, store=store))
    outer = ASGIMiddleware(counting, secret=SECRET, store=store)
    (first,) = visits(outer, "")
    outer.app = A2WSGI(WSGIMiddleware(app, secret=SECRET, store=store))
    visits(outer, f"session={first.sent}")
    outer.app = counting
    (last,) = visits(outer, f"session={first.sent}")
    assert last.body == "{'wsgi': 2, 'n': 'from the thread'}"


def test_what_a_face_cannot_do_in_asgi_is_said(tmp_path: Path) -> None:
    """A session whose store is awaited cannot be saved from a thread; signing out is noted."""
    messages: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = get_session(environ)
        for ask in (found.save, found.refresh):
            with pytest.raises(SessionError) as caught:
                ask()
            messages.append(str(caught.value))
        found.logout()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return []

    store: Any = make_store("file", tmp_path, system_clock)
    inner = WSGIMiddleware(app, secret=SECRET, store=store)
    counting = A2WSGI(WSGIMiddleware(wsgi_app, secret=SECRET, store=store))
    outer = ASGIMiddleware(counting, secret=SECRET, store=store)
    (first,) = visits(outer, "")
    outer.app = A2WSGI(inner)
    (last,) = visits(outer, f"session={first.sent}")
    assert last.deleted
    assert len(store.scan()[0]) == 0
    assert all("ASGI middleware" in message for message in messages)
    assert len(messages) == 2


def test_sec_51_a_bridge_that_hides_the_scope_still_sends_one_cookie(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """asgiref's own: two sessions begin; the inner one reaches the client, and that is told."""
    store = MemoryStore()
    inside: Any = WsgiToAsgi(flask_app(store))  # type: ignore[no-untyped-call]
    app = ASGIMiddleware(around(inside), secret=SECRET, store=store)
    with caplog.at_level(logging.WARNING, "coatcheck"):
        first, second = visits(app, "", None)
    assert first.body == "{'flask': 1}"
    assert first.sent
    assert any("asgi.scope" in record.message for record in caplog.records)
    caplog.clear()
    # One session now; two views of it, whose changes are merged.
    assert (second.body, second.cookie) == ("{'flask': 2}", None)
    (third,) = visits(app, f"session={first.sent}")
    assert third.body == "{'flask': 3, 'asgi': 1}"
    assert caplog.records == []


def test_a_cookie_of_another_library_gives_way() -> None:
    """Of the same name, in the same response: at most one may be sent."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ).login("ann")
        headers = [("Set-Cookie", "session=; Max-Age=0"), ("set-cookie", "theme=dark")]
        start_response("200 OK", [*headers, *PLAIN])
        return []

    server = Server(WSGIMiddleware(app, secret=SECRET))
    server.run()
    cookies = [value for name, value in server.headers if name.lower() == "set-cookie"]
    assert len(cookies) == 2
    assert len(cookies[0].partition(";")[0]) == len("session=") + 68
    assert cookies[1] == "theme=dark"


# Other sessions: never hidden


def test_other_sessions_need_a_key_of_their_own() -> None:
    """Another store, or another namespace, under the same key is refused, naming the remedy."""
    inner = WSGIMiddleware(wsgi_app, secret=SECRET, store=MemoryStore())
    outer = WSGIMiddleware(inner, secret=SECRET, store=MemoryStore())
    with pytest.raises(ConfigurationError, match="key='my.session'"):
        Server(outer).run()
    store = MemoryStore()
    app = flask_app(store)
    app.testing = True
    with pytest.raises(ConfigurationError, match="key='my.session'"):
        Server(WSGIMiddleware(app, secret=SECRET, store=MemoryStore())).run()

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    middle = ASGIMiddleware(never, secret=SECRET, store=MemoryStore())
    (reply,) = visits(ASGIMiddleware(middle, secret=SECRET, store=MemoryStore()), "")
    assert isinstance(reply.error, ConfigurationError)
    assert "key='my.session'" in str(reply.error)


def test_something_else_under_the_key_is_refused_too() -> None:
    """Whatever it is, it is not hidden."""
    middleware = WSGIMiddleware(wsgi_app, secret=SECRET)
    with pytest.raises(ConfigurationError, match="key="):
        Server(middleware, None, None, **{"coatcheck.session": {}}).run()


def test_two_sessions_side_by_side() -> None:
    """Each under its own key and cookie; `request.session` stays the outer one's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["coatcheck.session"]["a"] = 1
        scope["admin.session"]["b"] = 2
        assert scope["session"] is scope["coatcheck.session"]
        assert str(scope["admin.session_id"]) == scope["admin.session"].id
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    inner = ASGIMiddleware(
        app, secret=OTHER, store=MemoryStore(), key="admin.session", cookie_name="admin"
    )
    outer = ASGIMiddleware(inner, secret=SECRET, store=MemoryStore())
    (reply,) = visits_all(outer)
    names = sorted(value.partition("=")[0] for value in reply.all("set-cookie"))
    assert (reply.error, names) == (None, ["admin", "session"])


def visits_all(app: App) -> list[Reply]:
    """Send one request, whose response may set several cookies."""

    async def send() -> list[Reply]:
        return [reply_of(*await play(app, scope(), [BODY]))]

    return asyncio.run(send())


def test_sec_82_a_namespace_keeps_sessions_apart(tmp_path: Path) -> None:
    """The same file under two namespaces is two stores."""
    url = f"sqlite:///{tmp_path / 's.db'}"
    inner = WSGIMiddleware(wsgi_app, secret=SECRET, store=url, namespace="inner")
    outer = WSGIMiddleware(inner, secret=SECRET, store=url, namespace="outer")
    with pytest.raises(ConfigurationError, match="another store or namespace"):
        Server(outer).run()


@pytest.mark.parametrize("scheme", ["sqlite:///{}/s.db", "file://{}/s"])
def test_stores_of_one_url_are_one_store(scheme: str, tmp_path: Path) -> None:
    """Whoever opened it: the inner middleware steps aside."""
    url = scheme.format(tmp_path)
    inner = WSGIMiddleware(wsgi_app, secret=SECRET, store=url)
    app = ASGIMiddleware(around(A2WSGI(inner)), secret=SECRET, store=url)
    first, second = visits(app, "", None)
    assert first.body == "{'asgi': 1, 'wsgi': 1}"
    assert second.body == "{'asgi': 2, 'wsgi': 2}"


def test_excluded_outside_is_open_inside() -> None:
    """A path that the outer middleware leaves out has the inner one's session."""
    store = MemoryStore()
    inner = WSGIMiddleware(wsgi_app, secret=SECRET, store=store)
    outer = WSGIMiddleware(inner, secret=SECRET, store=store, exclude=["/"])
    server = Server(outer)
    assert server.run() == b"{'wsgi': 1}"
    assert server.cookie is not None


def test_an_outage_that_a_face_meets_is_answered_by_who_commits(tmp_path: Path) -> None:
    """Flask further in: its own 503, or that of the middleware; the cookie is left alone."""
    tap = Tap(make_store("memory", tmp_path, system_clock))
    store: Any = tap.store
    app = ASGIMiddleware(A2WSGI(flask_app(store)), secret=SECRET, store=store)
    (first,) = visits(app, "")
    tap.break_down()
    (reply,) = visits(app, f"session={first.sent}")
    assert (reply.status, reply.cookie) == (503, None)
