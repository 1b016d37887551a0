"""The ways to a session that the processes take: both managers, and the WSGI middleware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final, Protocol

from coatcheck import AsyncSessionManager, SessionManager
from coatcheck.errors import SessionEnded, StoreError
from coatcheck.events import ChangesDropped
from coatcheck.session import BaseSession
from coatcheck.store import open_async_store, open_store
from coatcheck_wsgi import SessionMiddleware
from tests.torture.clock import SharedClock
from tests.torture.defects import DEFECTS

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SECRET: Final = "torture-Hq7vX2mZ9pL4wT8yB3nD6fH1jR5sG0aE"
Action = Callable[[BaseSession], bool]
"""Does something to a session; says whether that is to be saved."""


def add(base: Any, mine: Any, theirs: Any) -> int:
    """Resolve two counts that went on from one."""
    return (mine or 0) + (theirs or 0) - (base or 0)


class Door(Protocol):
    """A way to the sessions. What raises nothing returns a result as `journal.Operation` has it."""

    async def visit(self, session_id: str, action: Action, work: float) -> tuple[str, str | None]:
        """Open a session, do something to it, work for some seconds, save.

        Returns the result, and the session's ID afterwards, if it still has one.
        """
        ...

    async def create(self, user: str | None, data: dict[str, Any]) -> str:
        """Create a session; return its ID."""
        ...

    async def delete(self, handle: str, user: str | None) -> None:
        """End a session by its handle: `delete`, or `revoke` where a user is given."""
        ...

    async def revoke_user(self, user: str, keep: Iterable[str]) -> None:
        """End a user's sessions."""
        ...

    async def sessions_of(self, user: str) -> list[str]:
        """Return the handles of a user's sessions."""
        ...

    async def purge(self) -> None:
        """Remove what has expired."""
        ...


def _work(seconds: float) -> None:
    """Do what a program does between reading a session and saving it, in the way of nobody."""
    time.sleep(seconds)


class Blocking:
    """`SessionManager`."""

    def __init__(self, store: Any, clock: SharedClock, on_event: Callable[[Any], None]) -> None:
        self.manager = SessionManager(
            store=store, secret=SECRET, clock=clock, on_event=on_event, resolve={"count": add}
        )

    async def visit(self, session_id: str, action: Action, work: float) -> tuple[str, str | None]:
        session = self.manager.open(session_id)
        if session is None:
            return "none", None
        if not action(session):
            return "ok", None
        _work(work)
        try:
            self.manager.save(session)
        except SessionEnded:
            return "dropped", None
        return "ok", None if session.is_new else session.id

    async def create(self, user: str | None, data: dict[str, Any]) -> str:
        return self.manager.create(user, data).id

    async def delete(self, handle: str, user: str | None) -> None:
        if user is None:
            self.manager.delete(handle)
        else:
            self.manager.revoke(handle, user_id=user)

    async def revoke_user(self, user: str, keep: Iterable[str]) -> None:
        self.manager.revoke_user(user, keep=list(keep))

    async def sessions_of(self, user: str) -> list[str]:
        return [session.handle for session in self.manager.sessions_of(user)]

    async def purge(self) -> None:
        self.manager.purge_expired()


class Web(Blocking):
    """The WSGI middleware; what no request can ask for goes by the manager."""

    def __init__(self, store: Any, clock: SharedClock, on_event: Callable[[Any], None]) -> None:
        super().__init__(store, clock, on_event)
        self._dropped = False
        self._result = "none"
        self._headers: list[tuple[str, str]] = []
        self._status = ""
        self._action: Action = lambda session: False
        self._work = 0.0

        def tell(event: Any) -> None:
            self._dropped |= isinstance(event, ChangesDropped)
            on_event(event)

        self._app = SessionMiddleware(
            self._serve,
            store=store,
            secret=SECRET,
            clock=clock,
            on_event=tell,
            resolve={"count": add},
        )

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = environ["coatcheck.session"]
        if not session.is_new:
            if self._action(session):
                _work(self._work)
            self._result = "ok"
        start_response("200 OK", [])
        return [b""]

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        self._status, self._headers = status, headers
        return lambda data: None

    async def visit(self, session_id: str, action: Action, work: float) -> tuple[str, str | None]:
        self._action, self._work = action, work
        self._result, self._dropped, self._status = "none", False, ""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "SERVER_NAME": "torture.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "torture.example",
            "wsgi.url_scheme": "https",
            "HTTP_COOKIE": f"session={session_id}",
        }
        body = self._app(environ, self._start)
        b"".join(body)
        close = getattr(body, "close", None)
        if close is not None:
            close()
        if self._status.startswith("503"):
            raise StoreError("answered with 503")
        if self._dropped:
            return "dropped", None
        for name, value in self._headers:
            if name.lower() == "set-cookie" and "session" in (cookie := SimpleCookie(value)):
                return self._result, cookie["session"].value or None
        return self._result, session_id


class Awaited:
    """`AsyncSessionManager`."""

    def __init__(self, store: Any, clock: SharedClock, on_event: Callable[[Any], None]) -> None:
        self.manager = AsyncSessionManager(
            store=store, secret=SECRET, clock=clock, on_event=on_event, resolve={"count": add}
        )

    async def visit(self, session_id: str, action: Action, work: float) -> tuple[str, str | None]:
        session = await self.manager.open(session_id)
        if session is None:
            return "none", None
        if not action(session):
            return "ok", None
        await asyncio.sleep(work)
        try:
            await self.manager.save(session)
        except SessionEnded:
            return "dropped", None
        return "ok", None if session.is_new else session.id

    async def create(self, user: str | None, data: dict[str, Any]) -> str:
        return (await self.manager.create(user, data)).id

    async def delete(self, handle: str, user: str | None) -> None:
        if user is None:
            await self.manager.delete(handle)
        else:
            await self.manager.revoke(handle, user_id=user)

    async def revoke_user(self, user: str, keep: Iterable[str]) -> None:
        await self.manager.revoke_user(user, keep=list(keep))

    async def sessions_of(self, user: str) -> list[str]:
        return [session.handle for session in await self.manager.sessions_of(user)]

    async def purge(self) -> None:
        await self.manager.purge_expired()


DOORS: Final[tuple[type[Blocking] | type[Awaited], ...]] = (Blocking, Awaited, Web)


def open_door(
    number: int, url: str, clock: SharedClock, on_event: Callable[[Any], None], defect: str = ""
) -> Door:
    """Return the door that the process of that number takes, to a store broken on purpose or not.

    Raises `StoreError` where the store cannot be reached.
    """
    kind = DOORS[number % len(DOORS)]
    if defect:
        return Blocking(DEFECTS[defect](open_store(url, clock=clock)), clock, on_event)
    opened: Any = open_async_store if kind is Awaited else open_store
    return kind(opened(url, clock=clock), clock, on_event)
