"""The ASGI middleware, for HTTP and WebSocket, under asyncio and trio.

The session is committed before the message that carries the headers, again before the one that ends
the body, and when the application returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, Unpack, cast

from coatcheck.config import SessionConfig
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.events import logger
from coatcheck.face import brings_no_id, do_not_renew, headers_left, let_go, visit_of
from coatcheck.lifecycle import Lifecycle
from coatcheck.lifecycle.handshake import HandshakeGuard
from coatcheck.lifecycle.visit import Visit
from coatcheck.nesting import session_around
from coatcheck.options import Options
from coatcheck.request import ASGIHeaders, ASGIRequest
from coatcheck.response import UNAVAILABLE, finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import AsyncSession, SessionIDText
from coatcheck.state import CookieState
from coatcheck.store.protocol import AsyncStore, Store

# Frameworks disagree about the types of scopes and messages: those of asgiref are TypedDicts, those
# of Starlette any mappings. Applications of both kinds are welcome.
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]

_KEY: Final = "coatcheck.session"


class SessionMiddleware:
    """Gives an ASGI application a session under `scope["coatcheck.session"]`.

    It is also `scope["session"]`, so that Starlette's `request.session` is it. `store` is a URL or
    a store, blocking or async; `options` are those of `SessionConfig`, or one as `config`. With
    `lazy=True` a session whose store must be awaited is loaded by `await session.load()` only.
    Raises `ConfigurationError` for an option that is unknown or wrong, saying what to write.

        app = SessionMiddleware(app, secret=..., store="sqlite:///sessions.db")
        app.add_middleware(SessionMiddleware, secret=..., store=...)    # Starlette, FastAPI
    """

    def __init__(
        self,
        app: ASGIApp,
        config: SessionConfig | None = None,
        *,
        store: Store | AsyncStore | str | None = None,
        lazy: bool = False,
        key: str = _KEY,
        **options: Unpack[Options],
    ) -> None:
        self.app = app
        self.config = SessionConfig.from_options(config, **options)
        self.lifecycle = Lifecycle(Runtime.awaiting(self.config, store))
        self.key = key
        self._id_key = key + "_id"
        self._excludes, self._renews = self.config.excludes, self.config.renews
        self._guard = HandshakeGuard(self.lifecycle.runtime)
        self._loads_ahead = not lazy and not self.lifecycle.runtime.opens_inline
        # The default State: whoever sends no cookies has no session to load. Others may look
        # anywhere, also those that are made of it.
        self._by_cookies = type(self.lifecycle.runtime.state) is CookieState

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] != "websocket":
                await self.app(scope, receive, send)
                return
            if not self._admits(scope):
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
                return
        # The caller's scope stays as it is.
        inner: dict[str, Any] = {**scope}
        if inner.get(self.key) is not None:
            session_around(inner, self.key, self.lifecycle.runtime)  # or else it raises
            await self.app(scope, receive, send)
            return
        if self._excludes is not None and self._excludes(ASGIRequest(inner).path):
            await self.app(scope, receive, send)
            return
        session = AsyncSession(self.lifecycle, inner, ASGIRequest)
        if self._renews is not None and not self._renews(ASGIRequest(inner).path):
            do_not_renew(session)
        inner[self.key] = session
        inner[self._id_key] = SessionIDText(session)
        if self.key == _KEY or "session" not in inner:
            inner["session"] = session
        if self._loads_ahead:
            if self._by_cookies and _has_no_cookies(inner):
                brings_no_id(session)
            else:
                await session.prepare()
        try:
            await _Exchange(self.lifecycle, session, inner, receive, send).run(self.app)
        finally:
            let_go(session, scope)

    def _admits(self, scope: Any) -> bool:
        """Say whether a WebSocket is let in; one that gets no session from here always is."""
        request = ASGIRequest(scope)
        if scope.get(self.key) is not None or (self._excludes and self._excludes(request.path)):
            return True
        return self._guard.admits(request)


def _has_no_cookies(scope: Mapping[str, Any]) -> bool:
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    return b"cookie" not in [name.lower() for name, _ in headers if len(name) == 6]


def get_session(scope: Mapping[str, object], key: str = _KEY) -> AsyncSession:
    """Return the session in an ASGI scope, or in a request of Starlette or FastAPI.

    Raises `ConfigurationError` where there is none.
    """
    session = scope.get(key)
    if isinstance(session, AsyncSession):
        return session
    raise ConfigurationError(
        f"there is no session at scope[{key!r}]: wrap the application in SessionMiddleware, and see"
        " that its option exclude does not mean this path"
    )


_WITH_HEADERS: Final = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)
_WITH_BODY: Final = frozenset({"http.response.body", "websocket.http.response.body"})
_LAST: Final = frozenset({"http.response.pathsend", "websocket.close"})


class _Exchange:
    """One request and its response, or one WebSocket connection."""

    __slots__ = (
        "_client_left",
        "_failed",
        "_headers",
        "_left",
        "_lifecycle",
        "_receive",
        "_refused",
        "_scope",
        "_send",
        "_session",
        "_started",
    )

    def __init__(
        self,
        lifecycle: Lifecycle,
        session: AsyncSession,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self._lifecycle = lifecycle
        self._session = session
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = False
        self._failed = False
        self._refused = False
        self._client_left = False
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._left: int | None = None

    async def run(self, app: ASGIApp) -> None:
        scope = self._scope
        receive = self.receive if scope["type"] == "websocket" else self._receive
        try:
            await app(scope, receive, self.send)
        except Exception as error:
            # That a client left is no failure of the application.
            self._failed = self._failed or not self._client_left
            if not _is_store_error(error):
                raise
            if not self._started:
                await self._refuse(error)
            elif not self._refused:
                raise
        except BaseException:
            # Cancelled: what was begun before the response is half of a change.
            self._failed = self._failed or not self._started
            raise
        finally:
            if (visit := visit_of(self._session)) is not None:
                # Save what changed since the last commit, then see to what has expired.
                visit.response_started = True
                if not self._lifecycle.idle(visit):
                    await self._lifecycle.commit_late(visit, failed=self._failed)
                if self._lifecycle.claim_purge():
                    await self._lifecycle.purge()

    async def receive(self) -> Any:
        """What the application of a WebSocket awaits messages with."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            visit = visit_of(self._session)
            if visit is not None and self._lifecycle.keeps_alive(visit):
                await self._lifecycle.keep_alive(visit)
        elif message["type"] == "websocket.disconnect":
            self._client_left = True
        return message

    async def send(self, message: Any) -> None:
        """What the application sends messages with."""
        if self._refused:
            raise StoreError("this response was replaced by a 503, for the session store failed")
        kind, visit = message["type"], visit_of(self._session)
        if kind in _WITH_HEADERS:
            self._failed = message.get("status", 101) >= 500
            if visit is None:
                headers_left(self._session)
            else:
                if not self._lifecycle.idle(visit):
                    await self._commit(visit)
                headers: list[tuple[bytes, bytes]] = [*(message.get("headers") or ())]
                finish_headers(visit, ASGIHeaders(headers))
                message = {**message, "headers": headers}
            self._started = True
            self._headers = message.get("headers") or ()
        elif kind in _LAST or (kind in _WITH_BODY and self._completes(message)):
            if visit is not None:
                visit.response_started = True  # also where a WebSocket is turned away
                if not self._lifecycle.idle(visit):
                    await self._lifecycle.commit(visit, failed=self._failed)
        elif visit is not None and self._lifecycle.keeps_alive(visit):
            await self._lifecycle.keep_alive(visit)
        try:
            await self._send(message)
        except OSError:
            self._client_left = True
            raise

    async def _commit(self, visit: Visit) -> None:
        """Commit before the headers leave; answer 503 instead, and raise, where the store fails."""
        try:
            await self._lifecycle.commit(visit, failed=self._failed)
        except StoreError as error:
            await self._refuse(error)
            raise

    def _completes(self, message: Any) -> bool:
        """Say whether the client can know after this message that the body is complete.

        A length that is not fulfilled, or exceeded, is the server's to deal with.
        """
        if not message.get("more_body", False):
            return True
        if self._left is None:
            self._left = next(
                (
                    int(value)
                    for name, value in self._headers
                    if name.lower() == b"content-length" and value.isdigit()
                ),
                -1,
            )
        if self._left < 0:
            return False
        self._left = max(0, self._left - len(message.get("body", b"")))
        return self._left == 0

    async def _refuse(self, error: Exception) -> None:
        """Answer 503 and leave the client's cookie alone: an outage signs nobody out."""
        logger.error("the session store failed: %s", error, exc_info=error)
        self._failed = self._started = self._refused = True
        prefix = "http"
        if self._scope["type"] == "websocket":
            if "websocket.http.response" not in (self._scope.get("extensions") or ()):
                await self._send({"type": "websocket.close", "code": 1013, "reason": ""})
                return
            prefix = "websocket.http"
        body = UNAVAILABLE.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await self._send({"type": f"{prefix}.response.start", "status": 503, "headers": headers})
        await self._send({"type": f"{prefix}.response.body", "body": body})


def _is_store_error(error: Exception) -> bool:
    """Say whether it is one, or a group of nothing else, which task groups make of it."""
    if isinstance(error, ExceptionGroup):
        return cast("ExceptionGroup[Exception]", error).split(StoreError)[1] is None
    return isinstance(error, StoreError)
