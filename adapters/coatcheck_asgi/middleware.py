"""The ASGI middleware, for HTTP and WebSocket, under asyncio and trio.

The session is committed before the message that carries the headers, again before the one that ends
the body, and when the application returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from coatcheck.config import SessionConfig
from coatcheck.drivers import shield
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.events import logger
from coatcheck.lifecycle import Lifecycle
from coatcheck.options import Options
from coatcheck.request import ASGIHeaders, ASGIRequest
from coatcheck.response import finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import (
    AsyncSession,
    BaseSession,
    SessionIDText,
    do_not_renew,
    lifecycle_of,
    visit_of,
)
from coatcheck.store.protocol import AsyncStore, Store

if TYPE_CHECKING:
    from asgiref.typing import (
        ASGI3Application,
        ASGIReceiveCallable,
        ASGIReceiveEvent,
        ASGISendCallable,
        Scope,
    )

_UNAVAILABLE = b"The session store is out of reach. Please try again.\n"


class SessionMiddleware:
    """Gives an ASGI application a session under `scope["coatcheck.session"]`.

    It is also `scope["session"]`, so that Starlette's `request.session` is it. `store` is a URL or a
    store, blocking or async; `options` are those of `SessionConfig`, or one as `config`. With
    `lazy=True` a session whose store must be awaited is loaded by `await session.load()` only.
    Raises `ConfigurationError` for an option that is unknown or wrong, saying what to write.

        app = SessionMiddleware(app, secret=..., store="sqlite:///sessions.db")
        app.add_middleware(SessionMiddleware, secret=..., store=...)    # Starlette, FastAPI
    """

    def __init__(
        self,
        app: ASGI3Application,
        config: SessionConfig | None = None,
        *,
        store: Store | AsyncStore | str | None = None,
        lazy: bool = False,
        key: str = "coatcheck.session",
        **options: Unpack[Options],
    ) -> None:
        self.app: Any = app
        self.config = SessionConfig.from_options(config, **options)
        self.lifecycle = Lifecycle(Runtime.awaiting(self.config, store))
        self.key = key
        self._id_key = key + "_id"
        self._loads_ahead = not lazy and not self.lifecycle.runtime.opens_inline

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        kind = scope["type"]
        config = self.config
        if kind != "http" and kind != "websocket":
            await self.app(scope, receive, send)
            return
        known: dict[str, Any] = {**scope}
        if self.key in known:
            self._check_same(known[self.key])
            await self.app(scope, receive, send)
            return
        if (excludes := config.excludes) is not None and excludes(ASGIRequest(known).path):
            await self.app(scope, receive, send)
            return
        session = AsyncSession(self.lifecycle, known, ASGIRequest)
        if config.renews is not None and not config.renews(ASGIRequest(known).path):
            do_not_renew(session)
        known[self.key] = known["session"] = session
        known[self._id_key] = SessionIDText(session)
        exchange = _Exchange(self.lifecycle, session, receive, send)
        if self._loads_ahead:
            try:
                await session.prepare()
            except StoreError as error:
                await exchange.unavailable(kind, error)
                return
        await exchange.run(self.app, known)

    def _check_same(self, outer: object) -> None:
        """Step aside for the same sessions; refuse to hide those of another middleware."""
        same = isinstance(outer, BaseSession) and self.lifecycle.runtime.same_sessions(
            lifecycle_of(outer).runtime
        )
        if not same:
            raise ConfigurationError(
                f"scope[{self.key!r}] already holds a session of another store or namespace: give"
                " one of the two middlewares a key of its own, for example key='my.session'"
            )


_CARRY_HEADERS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)
_CARRY_BODY = frozenset({"http.response.body", "websocket.http.response.body"})


class _Exchange:
    """One request and its response, or one WebSocket connection."""

    __slots__ = ("_answered", "_failed", "_lifecycle", "_receive", "_send", "_session", "_started")

    def __init__(
        self,
        lifecycle: Lifecycle,
        session: AsyncSession,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self._lifecycle = lifecycle
        self._session = session
        self._receive = receive
        self._send: Any = send
        self._started = False
        self._failed = False
        self._answered = False

    async def run(self, app: Any, scope: dict[str, Any]) -> None:
        receive = self.receive if scope["type"] == "websocket" else self._receive
        try:
            await app(scope, receive, self.send)
        except StoreError as error:
            self._failed = True
            if self._started:
                raise
            await self.unavailable(scope["type"], error)
        except BaseException:
            self._failed = True
            raise
        finally:
            await self._finish()

    async def receive(self) -> ASGIReceiveEvent:
        """What the application of a WebSocket awaits messages with."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            await self._keep_alive()
        return message

    async def send(self, message: Any) -> None:
        """What the application sends messages with."""
        if self._answered:
            return  # a 503 took the place of this response
        kind = message["type"]
        visit = visit_of(self._session)
        if visit is not None:
            if kind in _CARRY_HEADERS:
                if not await self._commit_headers(message):
                    return
                message = self._finished(message)
            elif kind in _CARRY_BODY and not message.get("more_body", False):
                if not self._lifecycle.idle(visit):
                    await self._lifecycle.commit(visit, failed=self._failed)
            else:
                await self._keep_alive()
        if kind in _CARRY_HEADERS:
            self._started = True
        await self._send(message)

    async def _commit_headers(self, message: Any) -> bool:
        """Commit before the headers leave; `False` where the store failed, and 503 was answered."""
        visit = visit_of(self._session)
        status = message.get("status", 101)
        self._failed = status >= 500
        if visit is None or self._lifecycle.idle(visit):
            return True
        try:
            await self._lifecycle.commit(visit, failed=self._failed)
        except StoreError as error:
            kind = "http" if message["type"] == "http.response.start" else "websocket"
            await self.unavailable(kind, error)
            return False
        return True

    def _finished(self, message: Any) -> Any:
        visit = visit_of(self._session)
        if visit is None:
            return message
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        finish_headers(visit, ASGIHeaders(headers))
        return {**message, "headers": headers}

    async def _keep_alive(self) -> None:
        visit = visit_of(self._session)
        if visit is not None and self._lifecycle.keeps_alive(visit):
            await self._lifecycle.keep_alive(visit)

    async def _finish(self) -> None:
        """Save what changed since the last commit; no cancellation interrupts that for 5 s."""
        visit = visit_of(self._session)
        if visit is None:
            return
        lifecycle = self._lifecycle
        visit.response_started = True
        if not lifecycle.idle(visit):
            await shield(lifecycle.commit_late(visit, failed=self._failed))
        if lifecycle.purge_is_due():
            await lifecycle.purge_if_due()

    async def unavailable(self, kind: str, error: StoreError) -> None:
        """Answer 503 and leave the client's cookie alone: an outage signs nobody out."""
        logger.error("the session store failed: %s", error, exc_info=error)
        self._answered = self._started = True
        if kind == "websocket":
            await self._send({"type": "websocket.close", "code": 1013, "reason": None})
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_UNAVAILABLE)),
            (b"cache-control", b"no-store"),
        ]
        await self._send({"type": "http.response.start", "status": 503, "headers": headers})
        await self._send({"type": "http.response.body", "body": _UNAVAILABLE})
