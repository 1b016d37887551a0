"""What is peculiar to WSGI: `start_response`, `write()`, files, and what servers do with bodies."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from coatcheck import ConfigurationError, ResponseStarted, StoreError
from coatcheck.clock import system_clock
from coatcheck.events import ChangesDropped, Event
from coatcheck.store import MemoryStore
from coatcheck_wsgi import SessionMiddleware, get_session
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap, make_store

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PLAIN = [("Content-Type", "text/plain")]


def environ_of(cookie: str | None = None) -> dict[str, Any]:
    """Return the environ of a plain GET."""
    environ: dict[str, Any] = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie
    return environ


class Server:
    """A server's end of one exchange: it notes in which order things happen."""

    def __init__(
        self,
        app: WSGIApplication,
        cookie: str | None = None,
        file_wrapper: Callable[[Any], Any] | None = None,
        **more: Any,
    ) -> None:
        self.app = app
        self.environ = {**environ_of(cookie), **more}
        if file_wrapper is not None:
            self.environ["wsgi.file_wrapper"] = file_wrapper
        self.log: list[str] = []
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        self.log.append(f"start {status[:3]}")
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        self.log.append("write")
        self.written.append(data)

    def call(self) -> Iterable[bytes]:
        """Call the application, and do nothing with its body yet."""
        return self.app(self.environ, self.start_response)

    def run(self) -> bytes:
        """Do what servers do, to the end."""
        body = self.call()
        try:
            for chunk in body:
                self.write(chunk)
        finally:
            getattr(body, "close", lambda: None)()
        return b"".join(self.written)

    @property
    def cookie(self) -> str | None:
        """Name and value of the one cookie that was set."""
        values = [value for name, value in self.headers if name == "Set-Cookie"]
        assert len(values) <= 1
        return values[0].partition(";")[0] if values else None


def counting(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An application that stores something."""
    session = get_session(environ)
    start_response("200 OK", PLAIN)
    session["n"] = session.get("n", 0) + 1
    return [b"%d" % session["n"]]


def wrapped(app: WSGIApplication, **options: Any) -> SessionMiddleware:
    """Return the application with the middleware around it."""
    options = {"secret": SECRET, "purge": "never", "store": MemoryStore(), **options}
    return SessionMiddleware(app, **options)


def started(app: WSGIApplication, **options: Any) -> tuple[SessionMiddleware, str]:
    """Do the same, and return the cookie of a session in it too."""
    middleware = wrapped(counting, **options)
    server = Server(middleware)
    assert server.run() == b"1"
    middleware.app = app
    assert server.cookie is not None
    return middleware, server.cookie


def stored(middleware: SessionMiddleware, cookie: str) -> dict[str, Any]:
    """Return what is stored for a cookie."""
    found: dict[str, Any] = {}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found.update(get_session(environ))
        start_response("200 OK", PLAIN)
        return []

    inner, middleware.app = middleware.app, app
    Server(middleware, cookie).run()
    middleware.app = inner
    return found


def test_a_change_after_start_response_counts() -> None:
    """The application's `start_response` is held back until its first chunk is due."""
    server = Server(wrapped(counting))
    assert server.run() == b"1"
    assert server.cookie is not None
    assert server.log == ["start 200", "write"]


def test_the_id_is_beside_the_session() -> None:
    """It resolves when it is used, equals its string, and shows no more than the handle."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session_id = environ["coatcheck.session_id"]
        assert repr(session_id) == "<session ID, handle=None>"
        assert not get_session(environ).accessed
        start_response("200 OK", PLAIN)
        session = get_session(environ)
        assert str(session_id) == session_id == session.id
        assert session.id not in repr(session_id)
        assert session.handle in repr(session_id)
        return []

    assert Server(wrapped(app)).run() == b""


@pytest.mark.parametrize("shape", [list, tuple])
def test_a_finished_body_is_handed_on_untouched(shape: Callable[[Iterable[bytes]], Any]) -> None:
    """The server may look at its length."""
    body: Iterable[bytes] = shape([b"a", b"b"])

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", PLAIN)
        return body

    server = Server(wrapped(app))
    assert server.call() is body
    assert server.log == ["start 200"]
    assert server.cookie is not None


def test_a_file_is_handed_on_to_the_server() -> None:
    """What its own `file_wrapper` made, so that it can send it by itself (PEP 3333)."""
    file = FileWrapper(io.BytesIO(b"data"))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", PLAIN)
        return file

    server = Server(wrapped(app), file_wrapper=FileWrapper)
    assert server.call() is file
    assert server.cookie is not None


def test_a_file_wrapper_may_be_a_function() -> None:
    """Such as uWSGI's, which hands out the file itself."""
    file = io.BytesIO(b"data")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        wrap: Callable[[Any], Iterable[bytes]] = environ["wsgi.file_wrapper"]
        return wrap(file)

    def itself(file: object) -> object:
        return file

    server = Server(wrapped(app), file_wrapper=itself)
    assert server.call() is file


def test_an_application_may_be_a_generator() -> None:
    """Which calls `start_response` with its first chunk."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        session = get_session(environ)
        session["a"] = 1
        start_response("200 OK", PLAIN)
        session["a"] = 2
        yield b"x"
        session["a"] = 3
        yield b"y"

    middleware = wrapped(app)
    server = Server(middleware)
    assert server.run() == b"xy"
    assert server.cookie is not None
    assert stored(middleware, server.cookie) == {"a": 3}


def test_a_body_that_is_never_iterated_is_closed() -> None:
    """Nothing left, so nothing new can be stored; what exists is saved."""
    events: list[Event] = []
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError

        def close(self) -> None:
            closed.append(True)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", PLAIN)
        return Body()

    middleware, cookie = started(app, on_event=events.append)
    for sent in (cookie, None):
        server = Server(middleware, sent)
        body: Any = server.call()
        body.close()
        assert server.log == []
    assert closed == [True, True]
    assert stored(middleware, cookie) == {"n": 1, "a": 1}
    assert [e.reason for e in events if isinstance(e, ChangesDropped)] == ["late"]


def test_a_sign_in_whose_answer_never_leaves_is_dropped() -> None:
    """Else its client would hold an ID that is worth nothing any more."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        get_session(environ).login("ann")
        start_response("200 OK", PLAIN)
        return iter([b"welcome"])

    middleware, cookie = started(app)
    body: Any = Server(middleware, cookie).call()
    body.close()
    assert stored(middleware, cookie) == {"n": 1}


def test_write_lets_the_headers_leave() -> None:
    """What was changed before is saved before, what is changed later is saved later."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = get_session(environ)
        write = start_response("200 OK", PLAIN)
        session["a"] = 1
        server.log.append(",".join(tap.take()))
        write(b"x")
        server.log.append(",".join(tap.take()))
        session["a"] = 2
        write(b"y")
        server.log.append(",".join(tap.take()))
        session["a"] = 3
        return [b"z"]

    tap = Tap(MemoryStore())
    middleware = wrapped(app, store=tap.store)
    server = Server(middleware)
    assert server.run() == b"xyz"
    assert server.log == ["", "start 200", "write", "create", "write", "update", "write"]
    assert tap.take() == ["update"]
    assert server.cookie is not None
    assert stored(middleware, server.cookie) == {"a": 3}


def test_after_write_a_new_session_cannot_begin() -> None:
    """Looked at before or not."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        if environ["looks"]:
            get_session(environ).get("a")
        write(b"x")
        with pytest.raises(ResponseStarted):
            get_session(environ)["a"] = 1
        return []

    for looks in (False, True):
        server = Server(wrapped(app), looks=looks)
        assert server.run() == b"x"
        assert server.cookie is None


def test_after_a_list_was_returned_a_new_session_cannot_begin() -> None:
    """The headers have left by then, looked at or not."""
    kept: list[Any] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        kept.append(get_session(environ))
        return [b"x"]

    assert Server(wrapped(app)).run() == b"x"
    with pytest.raises(ResponseStarted):
        kept[0]["a"] = 1


def test_an_error_page_takes_the_place_of_a_response_that_has_not_left() -> None:
    """`start_response` with `exc_info` (PEP 3333): the status that then stands decides."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        get_session(environ)["a"] = 1
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", PLAIN, sys.exc_info())
        return [b"sorry"]

    events: list[Event] = []
    middleware, cookie = started(app, on_event=events.append)
    server = Server(middleware, cookie)
    assert server.run() == b"sorry"
    assert (server.status[:3], server.log) == ("500", ["start 500", "write"])
    assert stored(middleware, cookie) == {"n": 1}
    assert [e.reason for e in events if isinstance(e, ChangesDropped)] == ["error"]


def test_an_error_page_comes_too_late_once_the_headers_have_left() -> None:
    """The exception is raised again, as the standard says."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"x"
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", PLAIN, sys.exc_info())
        yield b"never"

    with pytest.raises(ZeroDivisionError):
        Server(wrapped(app)).run()


def test_start_response_twice_is_an_error() -> None:
    """Without `exc_info` it is a mistake of the application."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        start_response("200 OK", PLAIN)
        return []

    with pytest.raises(RuntimeError, match="twice"):
        Server(wrapped(app)).run()


@pytest.mark.parametrize("body", [[b"x"], iter([b"x"])])
def test_a_body_without_start_response_is_an_error(body: Iterable[bytes]) -> None:
    """And no server is handed half of a response."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return body

    server = Server(wrapped(app))
    with pytest.raises(RuntimeError, match="start_response"):
        server.run()
    assert server.log == []


def test_a_server_s_start_response_may_return_nothing() -> None:
    """Test doubles do not; then there is no `write()`, and one call is one call all the same."""
    calls: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"x"
        get_session(environ).get("a")
        yield b"y"

    server = Server(wrapped(app))
    server.start_response = lambda status, *_: calls.append(status)  # type: ignore[assignment,method-assign] # pyright: ignore[reportAttributeAccessIssue]
    assert server.run() == b"xy"
    assert calls == ["200 OK"]


def test_it_is_clean_on_both_sides(tmp_path: Path) -> None:
    """wsgiref's validator finds nothing between server and middleware, nor further in."""

    def listed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", PLAIN)
        return [b"x"]

    def streamed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", PLAIN)
        yield b"x"
        get_session(environ)["a"] = 2
        yield b"y"

    for app, expected in ((listed, b"x"), (streamed, b"xy")):
        middleware = wrapped(validator(app))
        server = Server(validator(middleware))
        assert server.run() == expected
        server = Server(validator(middleware), server.cookie)
        assert server.run() == expected


def test_the_body_is_closed_where_the_commit_fails() -> None:
    """Whatever it holds open is let go."""
    closed: list[bool] = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    class File(io.BytesIO):
        def close(self) -> None:
            closed.append(True)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["n"] = 2
        tap.failing_once.append("update")
        start_response("200 OK", PLAIN)
        given: Iterable[bytes] = environ["body"]
        return given

    tap = Tap(MemoryStore())
    middleware, cookie = started(app, store=tap.store)
    for body in (Body([b"x"]), FileWrapper(File())):
        server = Server(middleware, cookie, FileWrapper, body=body)
        assert b"out of reach" in server.run()
        assert (server.status[:3], server.cookie) == ("503", None)
    assert closed == [True, True]


def test_purging_keeps_no_response_waiting(tmp_path: Path) -> None:
    """A store that blocks is purged in a thread; one in memory at once."""
    import threading

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ).get("a")
        start_response("200 OK", PLAIN)
        return []

    for kind in ("memory", "file"):
        tap = Tap(make_store(kind, tmp_path, system_clock))
        middleware = wrapped(app, store=tap.store, purge="auto")
        for _ in range(3):
            Server(middleware).run()
        for thread in threading.enumerate():
            if thread.name == "coatcheck-purge":
                thread.join()
        assert tap.take() == ["claim_purge", "purge"]


def test_get_session_says_what_is_missing() -> None:
    """Without the middleware, or where a path is excluded."""
    with pytest.raises(ConfigurationError, match=r"SessionMiddleware.*exclude"):
        get_session(environ_of())


def test_bad_options_are_said_at_once(tmp_path: Path) -> None:
    """By name, with the remedy; a store that must be awaited is one."""
    with pytest.raises(ConfigurationError, match="did you mean"):
        SessionMiddleware(counting, secret=SECRET, expires=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigurationError, match="secret"):
        SessionMiddleware(counting)
    awaited: Any = make_store("async-sqlite", tmp_path, system_clock)
    with pytest.raises(ConfigurationError, match="must be awaited"):
        SessionMiddleware(counting, secret=SECRET, store=awaited)


def test_several_workers_without_a_store_are_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memories cannot see each other."""
    monkeypatch.setattr(sys, "argv", ["gunicorn", "--workers=4", "app:app"])
    with pytest.warns(UserWarning, match=r"store='sqlite:///sessions\.db'") as caught:
        SessionMiddleware(counting, secret=SECRET)
    assert caught[0].filename == __file__
    SessionMiddleware(counting, secret=SECRET, store="memory://")


def test_a_store_error_after_write_reaches_the_server() -> None:
    """There is no 503 any more once a status has left."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = get_session(environ)
        start_response("200 OK", PLAIN)(b"x")
        tap.break_down()
        session["n"] = 5
        return []

    tap = Tap(MemoryStore())
    middleware, cookie = started(app, store=tap.store)
    with pytest.raises(StoreError):
        Server(middleware, cookie).run()
