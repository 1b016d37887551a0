"""The WSGI middleware (PEP 3333).

The application's `start_response` is held back until the first chunk, `write()` or the end of the
body is due; then the session is committed, and its cookie goes out with the status that stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Final, Unpack

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.events import logger
from coatcheck.face import Face, do_not_renew, headers_left, let_go, lifecycle_of, share, visit_of
from coatcheck.lifecycle import Lifecycle
from coatcheck.nesting import session_around
from coatcheck.options import Options
from coatcheck.request import WSGIHeaders, WSGIRequest
from coatcheck.response import UNAVAILABLE, finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import Session, SessionIDText
from coatcheck.store.protocol import Store
from coatcheck.streaming import StreamedBody, commit_at_the_end, purge_aside

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
_KEY: Final = "coatcheck.session"


class SessionMiddleware:
    """Gives a WSGI application a session under `environ["coatcheck.session"]`.

    `store` is a URL or a store; `options` are those of `SessionConfig`, or one as `config`. Raises
    `ConfigurationError` for an option that is unknown or wrong, saying what to write.

        application = SessionMiddleware(application, secret=..., store="sqlite:///sessions.db")
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: SessionConfig | None = None,
        *,
        store: Store | str | None = None,
        key: str = _KEY,
        **options: Unpack[Options],
    ) -> None:
        self.app = app
        self.config = SessionConfig.from_options(config, **options)
        self.lifecycle = Lifecycle(Runtime.blocking(self.config, store))
        self.key = key
        self._id_key = key + "_id"
        self._excludes, self._renews = self.config.excludes, self.config.renews

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.key in environ or "asgi.scope" in environ:
            outer = session_around(environ, self.key, self.lifecycle.runtime)
            if outer is not None:
                return self._within(outer, environ, start_response)
        if self._excludes is not None and self._excludes(WSGIRequest(environ).path):
            return self.app(environ, start_response)
        session = Session(self.lifecycle, environ, WSGIRequest)
        if self._renews is not None and not self._renews(WSGIRequest(environ).path):
            do_not_renew(session)
        environ[self.key] = session
        environ[self._id_key] = SessionIDText(session)
        return _Exchange(self.lifecycle, session, start_response).run(self.app, environ)

    def _within(
        self, outer: Face, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Step aside for the same sessions further out, which will be committed there."""
        if self.key not in environ:
            # An ASGI middleware's: the application gets a face of it that need not be awaited, and
            # the headers wait for the application as ever.
            environ[self.key] = session = Session(lifecycle_of(outer))
            share(session, outer)
            environ[self._id_key] = SessionIDText(session)
            return _Exchange(None, session, start_response).run(self.app, environ)
        return self.app(environ, start_response)


def get_session(environ: Mapping[str, object], key: str = _KEY) -> Session:
    """Return the session in a WSGI environ; raises `ConfigurationError` where there is none."""
    session = environ.get(key)
    if isinstance(session, Session):
        return session
    raise ConfigurationError(
        f"there is no session at environ[{key!r}]: wrap the application in SessionMiddleware, and"
        " see that its option exclude does not mean this path"
    )


class _Exchange:
    """One request and its response; without a lifecycle, its session is committed elsewhere."""

    __slots__ = (
        "_gave_up",
        "_headers",
        "_start_response",
        "_started",
        "_status",
        "_write",
        "lifecycle",
        "session",
    )

    def __init__(
        self, lifecycle: Lifecycle | None, session: Session, start_response: StartResponse
    ) -> None:
        self.lifecycle = lifecycle
        self.session = session
        self._start_response = start_response
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._started = False
        self._write: Callable[[bytes], object] | None = None
        self._gave_up = False

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes]:
        try:
            body = app(environ, self._hold_back)
        except BaseException as error:  # noqa: BLE001 - it is raised again, or answered
            return self.give_up(error)
        if body.__class__ is list or body.__class__ is tuple or _is_file(body, environ):
            try:
                self.commit()
            except BaseException as error:  # noqa: BLE001 - it is raised again, or answered
                _close(body)
                return self.give_up(error)
            return body
        return _Stream(self, body)

    def _hold_back(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | tuple[None, None, None] | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """The `start_response` that the application sees."""
        if self._started and exc_info and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status is not None and not exc_info:
            raise RuntimeError(
                "start_response() was called twice, the second time without exc_info"
            )
        self._status = status
        # A copy: an application may keep the list, and a cookie in it would go to the next client.
        self._headers = [*headers]
        return self._write_now

    def _write_now(self, data: bytes) -> None:
        """The `write()` that the application sees."""
        self.commit()
        headers_left(self.session)
        if self._write is not None:
            self._write(data)

    def commit(self) -> None:
        """Commit the session; the first time, let the headers leave."""
        status, lifecycle = self._status, self.lifecycle
        if status is None:
            raise RuntimeError("the application sent a body before it called start_response()")
        visit = None if lifecycle is None else visit_of(self.session)
        if lifecycle is not None and visit is not None:
            if not lifecycle.idle(visit):
                run_now(lifecycle.commit(visit, failed=self.failed))
            if not self._started:
                finish_headers(visit, WSGIHeaders(self._headers))
                purge_aside(lifecycle)
            let_go(self.session)
        elif lifecycle is not None:
            headers_left(self.session)
        if not self._started:
            self._started = True
            self._write = self._start_response(status, self._headers)

    @property
    def failed(self) -> bool:
        """Whether what the application did is not to be kept."""
        return self._gave_up or (self._status is not None and self._status[:1] == "5")

    def stream(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Return what is to be sent after the headers, which have just left."""
        if self.lifecycle is None:
            return chunks
        return StreamedBody(
            self.lifecycle, self.session, chunks, length=self._length(), failed=self.failed
        )

    def _length(self) -> int | None:
        """Return the response's Content-Length in bytes, if it has one."""
        for name, value in self._headers:
            if name.lower() == "content-length" and value.isascii() and value.isdecimal():
                return int(value)
        return None

    def give_up(self, error: BaseException) -> Iterable[bytes]:
        """Keep nothing; raise the error, or answer 503 where the store is broken.

        What ends a session still ends it. The client's cookie is left alone: an outage signs nobody
        out.
        """
        self._gave_up = True
        self.finish()
        if self.lifecycle is None or self._started or not isinstance(error, StoreError):
            try:
                raise error
            finally:
                del error  # its traceback leads here, and would keep all of this alive
        logger.error("the session store failed: %s", error, exc_info=error)
        body = UNAVAILABLE.encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        self._started = True
        self._start_response("503 Service Unavailable", headers)
        return [body]

    def finish(self) -> None:
        """Save what was not saved yet, where no header and no error can reach the client."""
        if self.lifecycle is not None:
            commit_at_the_end(self.lifecycle, self.session, failed=self.failed)


class _Stream:
    """A body that is made while it is sent."""

    __slots__ = ("_body", "_exchange", "_rest")

    def __init__(self, exchange: _Exchange, body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._body = body
        self._rest: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._rest is None:
            self._rest = self._begin()
        return next(self._rest)

    def _begin(self) -> Iterator[bytes]:
        """Let the headers leave, now that the first chunk, or the end, is due."""
        exchange = self._exchange
        try:
            chunks = iter(self._body)
            first = list(islice(chunks, 1))
            exchange.commit()
        except BaseException as error:  # noqa: BLE001 - it is raised again, or answered
            return iter(exchange.give_up(error))
        return exchange.stream(chain(first, chunks))

    def close(self) -> None:
        """Close the application's body, and save what changed since the last commit."""
        try:
            _close(self._body)
        finally:
            if isinstance(self._rest, StreamedBody):
                self._rest.close()
            else:
                self._exchange.finish()


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_file(body: object, environ: WSGIEnvironment) -> bool:
    """Say whether the server may recognise the body as a file that it can send by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # A function as a wrapper, such as uWSGI's, may hand out the file itself.
    return wrapper is not None and hasattr(body, "read")
