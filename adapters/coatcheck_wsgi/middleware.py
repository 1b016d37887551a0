"""The WSGI middleware (PEP 3333).

The application's `start_response` is held back until the first chunk, `write()` or the end of the
body is due; then the session is committed, and its cookie goes out with the status that stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.events import logger
from coatcheck.lifecycle import Lifecycle
from coatcheck.options import Options
from coatcheck.request import WSGIHeaders, WSGIRequest
from coatcheck.response import finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import (
    BaseSession,
    Session,
    SessionIDText,
    do_not_renew,
    lifecycle_of,
    visit_of,
)
from coatcheck.store.protocol import Store
from coatcheck.streaming import StreamedBody, commit_at_the_end

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
_UNAVAILABLE = b"The session store is out of reach. Please try again.\n"


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
        key: str = "coatcheck.session",
        **options: Unpack[Options],
    ) -> None:
        self.app = app
        self.config = SessionConfig.from_options(config, **options)
        self.lifecycle = Lifecycle(Runtime.blocking(self.config, store))
        self.key = key
        self._id_key = key + "_id"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        outer = environ.get(self.key)
        config = self.config
        if outer is not None:
            self._check_same(outer)
            return self.app(environ, start_response)
        if config.excludes is not None and config.excludes(environ.get("PATH_INFO", "")):
            return self.app(environ, start_response)
        session = Session(self.lifecycle, environ, WSGIRequest)
        if config.renews is not None and not config.renews(environ.get("PATH_INFO", "")):
            do_not_renew(session)
        environ[self.key] = session
        environ[self._id_key] = SessionIDText(session)
        return _Exchange(self.lifecycle, session, start_response).run(self.app, environ)

    def _check_same(self, outer: object) -> None:
        """Step aside for the same sessions; refuse to hide those of another middleware."""
        same = isinstance(outer, BaseSession) and self.lifecycle.runtime.same_sessions(
            lifecycle_of(outer).runtime
        )
        if not same:
            raise ConfigurationError(
                f"environ[{self.key!r}] already holds a session of another store or namespace: give"
                " one of the two middlewares a key of its own, for example key='my.session'"
            )


class _Exchange:
    """One request and its response."""

    __slots__ = (
        "_headers",
        "_start_response",
        "_status",
        "_write",
        "lifecycle",
        "session",
        "started",
    )

    def __init__(
        self, lifecycle: Lifecycle, session: Session, start_response: StartResponse
    ) -> None:
        self.lifecycle = lifecycle
        self.session = session
        self._start_response = start_response
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self.started = False
        self._write: Callable[[bytes], object] | None = None

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes]:
        try:
            body = app(environ, self._hold_back)
        except StoreError as error:
            self.abandon()
            return self.unavailable(error)
        except BaseException:
            self.abandon()
            raise
        if body.__class__ is list or body.__class__ is tuple or _is_wrapped_file(body, environ):
            try:
                self.start()
            except StoreError as error:
                _close(body)
                return self.unavailable(error)
            except BaseException:
                _close(body)
                raise
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
        if exc_info and self.started and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status is not None and not exc_info:
            raise RuntimeError(
                "start_response() was called twice, the second time without exc_info"
            )
        self._status = status
        self._headers = headers
        return self._write_now

    def _write_now(self, data: bytes) -> None:
        """The `write()` that the application sees."""
        self.start()
        if self._write is not None:
            self._write(data)

    def start(self) -> None:
        """Commit the session and let the headers leave."""
        if self.started:
            return
        status, visit = self._status, visit_of(self.session)
        if status is None:
            raise RuntimeError("the application sent a body before it called start_response()")
        if visit is not None:
            if not self.lifecycle.idle(visit):
                run_now(self.lifecycle.commit(visit, failed=self.failed))
            finish_headers(visit, WSGIHeaders(self._headers))
            if self.lifecycle.purge_is_due():
                Thread(target=_purge, args=(self.lifecycle,), daemon=True).start()
        self.started = True
        self._write = self._start_response(status, self._headers)

    @property
    def failed(self) -> bool:
        return self._status is not None and self._status[:1] == "5"

    @property
    def length(self) -> int | None:
        """The response's Content-Length in bytes, if it has one."""
        for name, value in self._headers:
            if name.lower() == "content-length" and value.isascii() and value.isdecimal():
                return int(value)
        return None

    def abandon(self) -> None:
        """An exception passes: what ends a session still ends it, and nothing else is kept."""
        commit_at_the_end(self.lifecycle, self.session, failed=True)

    def unavailable(self, error: StoreError) -> Iterable[bytes]:
        """Answer 503 and leave the client's cookie alone: an outage signs nobody out."""
        if self.started:
            raise error
        logger.error("the session store failed: %s", error, exc_info=error)
        self.started = True
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE))),
            ("Cache-Control", "no-store"),
        ]
        self._start_response("503 Service Unavailable", headers)
        return [_UNAVAILABLE]


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
            exchange.start()
        except StoreError as error:
            exchange.abandon()
            return iter(exchange.unavailable(error))
        except BaseException:
            exchange.abandon()
            raise
        return StreamedBody(
            exchange.lifecycle,
            exchange.session,
            chain(first, chunks),
            length=exchange.length,
            failed=exchange.failed,
        )

    def close(self) -> None:
        """Close the application's body, and save what changed since the last commit."""
        exchange = self._exchange
        try:
            _close(self._body)
        finally:
            if isinstance(self._rest, StreamedBody):
                self._rest.close()
            else:
                commit_at_the_end(exchange.lifecycle, exchange.session, failed=exchange.failed)


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_wrapped_file(body: object, environ: WSGIEnvironment) -> bool:
    """Say whether the server recognises the body as a file that it can send by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _purge(lifecycle: Lifecycle) -> None:
    run_now(lifecycle.purge_if_due())
