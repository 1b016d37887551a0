"""What type checkers make of the ASGI middleware; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, assert_type

from coatcheck import AsyncSession
from coatcheck.store import AsyncSQLiteStore, MemoryStore
from coatcheck_asgi import SessionMiddleware, get_session

if TYPE_CHECKING:
    from asgiref.typing import (
        ASGI3Application,
        ASGIReceiveCallable,
        ASGISendCallable,
        HTTPScope,
        Scope,
    )
    from fastapi import Depends, FastAPI
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp
    from starlette.types import Receive as StarletteReceive
    from starlette.types import Scope as StarletteScope
    from starlette.types import Send as StarletteSend
    from starlette.websockets import WebSocket

    async def by_asgiref(
        scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """An application with the types of asgiref."""

    async def by_starlette(
        scope: StarletteScope, receive: StarletteReceive, send: StarletteSend
    ) -> None:
        """An application with the types of Starlette."""

    first = SessionMiddleware(by_asgiref, secret="...", store=AsyncSQLiteStore("sessions.db"))
    second = SessionMiddleware(by_starlette, secret="...", store=MemoryStore(), lazy=True)
    as_asgiref: ASGI3Application = first
    as_starlette: ASGIApp = second
    twice = SessionMiddleware(first, secret="...")

    def in_starlette() -> None:
        """In all the ways in which it takes middlewares."""
        app = Starlette(middleware=[Middleware(SessionMiddleware, secret="...", expire=60)])
        app.add_middleware(SessionMiddleware, secret="...", store="sqlite:///sessions.db")
        SessionMiddleware(app, secret="...")
        fast = FastAPI()
        fast.add_middleware(SessionMiddleware, secret="...", max_age=3600, https_only=True)
        app.add_middleware(SessionMiddleware, secret="...", expires=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]

    def the_session_is_typed(
        request: Request, socket: WebSocket, scope: HTTPScope, loose: dict[str, Any]
    ) -> None:
        """Wherever one gets it from."""
        assert_type(get_session(request), AsyncSession)
        assert_type(get_session(socket), AsyncSession)
        assert_type(get_session(request.scope), AsyncSession)
        assert_type(get_session(scope), AsyncSession)
        assert_type(get_session(loose, "my.session"), AsyncSession)

    def current(request: HTTPConnection) -> AsyncSession:
        """A dependency of FastAPI."""
        return get_session(request)

    async def view(session: Annotated[AsyncSession, Depends(current)]) -> None:
        """A view that asks for it."""
        assert_type(session.user_id, str | None)

    def what_is_wrong() -> None:
        """Is found before the program runs."""
        SessionMiddleware(by_asgiref, secret="...", expires=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        SessionMiddleware(by_asgiref, secret="...", store=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionMiddleware("app", secret="...")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
