"""What scenarios are written against: a site behind one of the adapters, its visitors, its answers.

A view is written once and knows nothing of Flask, WSGI or ASGI: it is a function that is given the
session, and returns what to answer. One that must await something (`saved`, `refreshed`, another
visitor's request) is an `async def`; behind a synchronous adapter it never suspends.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from coatcheck.events import ChangesDropped, Event
from coatcheck.layout import unpack
from coatcheck.options import Options
from coatcheck.record import Record
from coatcheck.testing import ManualClock
from tests.adapters.taps import Tap, make_store
from tests.core.cookiejar import Jar, Page, parse

SECRET = "ad4pt-Hq7vX2mZ9pL4wT8yB3nD6fH1jR5sG0aE"
LIFETIME = 30 * 86_400
NAME = "session"
AnySession = Any
"""A `Session` or an `AsyncSession`: what a view does with it is written once."""
View = Callable[[Any], Any]
Chunk = str | View
E = TypeVar("E", bound=Event)
T = TypeVar("T")


@dataclass
class Answer:
    """What a view answers: a body at once, or in chunks, each made when it is due."""

    body: str | Sequence[Chunk] = ""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()

    @property
    def whole(self) -> bool:
        return isinstance(self.body, str)

    @property
    def chunks(self) -> Sequence[Chunk]:
        return (self.body,) if isinstance(self.body, str) else self.body


def as_answer(value: object) -> Answer:
    """Turn what a view returned into an answer."""
    if isinstance(value, Answer):
        return value
    return Answer("" if value is None else str(value))


async def make(chunk: Chunk, session: AnySession) -> bytes:
    """Make a chunk, now that it is due."""
    value = chunk if isinstance(chunk, str) else chunk(session)
    return str(await value if inspect.isawaitable(value) else value).encode()


async def answer_of(view: View, session: AnySession) -> Answer:
    """Run a view."""
    value = view(session)
    return as_answer(await value if inspect.isawaitable(value) else value)


async def saved(session: AnySession) -> None:
    """Save the session now, blocking or awaited."""
    value = session.save()
    if inspect.isawaitable(value):
        await value


async def refreshed(session: AnySession) -> None:
    """Read the record again, blocking or awaited."""
    value = session.refresh()
    if inspect.isawaitable(value):
        await value


@dataclass
class Request:
    """One request, as the client sends it."""

    view: View
    method: str = "GET"
    path: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    https: bool = False
    client: str | None = "127.0.0.1"
    chunks_read: int | None = None
    """After how many chunks the client goes away; `None`: it reads everything."""


@dataclass
class Reply:
    """What came back; an exception that reached the server is a 500, as servers make it."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    body: str = ""
    error: BaseException | None = None

    def all(self, name: str) -> list[str]:
        """Return the values of all headers of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def cookie(self) -> str | None:
        """The one Set-Cookie, if there is one."""
        cookies = self.all("set-cookie")
        if len(cookies) > 1:
            raise AssertionError(f"more than one Set-Cookie: {cookies}")
        return cookies[0] if cookies else None

    @property
    def deleted(self) -> bool:
        """Whether the response deletes the cookie."""
        return self.cookie is not None and parse(self.cookie).attributes.get("max-age") == "0"

    @property
    def sent(self) -> str | None:
        """The ID that the response sends, if it sends one."""
        return None if self.cookie is None or self.deleted else parse(self.cookie).value

    @property
    def vary(self) -> list[str]:
        """The values of all Vary headers."""
        return self.all("vary")

    @property
    def cache_control(self) -> list[str]:
        """The values of all Cache-Control headers."""
        return self.all("cache-control")


class Site(ABC):
    """One application behind one adapter, on one store."""

    door = ""
    persistent = True
    """Whether the cookie of a new session has a Max-Age."""
    ends_at_once = True
    """Whether `destroy` and `logout` are effective where they are called."""
    loads_ahead = False
    """Whether a well-signed ID costs a `get` before the application looks."""

    def __init__(
        self, kind: str, folder: Path, *, twin: Site | None = None, **options: Any
    ) -> None:
        self.clock: ManualClock
        self.tap: Tap
        self.kind = kind
        self.folder = folder
        self.clock = ManualClock() if twin is None else twin.clock
        self.tap = Tap(make_store(kind, folder, self.clock)) if twin is None else twin.tap
        self.events: list[Event] = []
        self.issued: list[str] = []
        """Every ID that a response sent."""
        defaults: Options = {
            "secret": SECRET,
            "clock": self.clock,
            "on_event": self.events.append,
            "purge": "never",
        }
        self.options: dict[str, Any] = {**defaults, **options}

    @abstractmethod
    async def ask(self, request: Request) -> Reply:
        """Send a request."""

    @abstractmethod
    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Drive what must be awaited."""

    def twin(self, **options: Any) -> Site:
        """Return another site behind the same adapter, on the same store."""
        return type(self)(self.kind, self.folder, twin=self, **options)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call the store itself, as another process might."""
        value = getattr(self.tap.store, method)(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    def without_session(self, session: Any) -> str:
        """A view for a path that is excluded from sessions."""
        assert session is None
        return "no session"

    def live(self) -> int:
        """Count the records that are no tombstones."""

        async def count() -> int:
            handles, _ = await self.call("scan", None, count=1000)
            found = [await self.call("get", handle) for handle in handles]
            return sum(isinstance(unpack(one.payload), Record) for one in found if one)

        calls = self.tap.calls
        self.tap.calls = []
        try:
            return self.run(count())
        finally:
            self.tap.calls = calls

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self.tap.store, "close", None)
        if close is not None:
            close()

    def browser(self, **page: Any) -> Browser:
        """Return a new visitor."""
        page.setdefault("https", False)
        return Browser(self, Page(**page))

    def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def dropped(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return reason and keys of all dropped changes so far."""
        return [(event.reason, tuple(event.keys)) for event in self.told(ChangesDropped)]

    def set_cookie(self, session_id: str | None, *, age: int = LIFETIME, more: str = "") -> str:
        """Return, byte for byte, what the cookie of an ID looks like with the default options."""
        max_age = f"; Max-Age={age}" if self.persistent else ""
        return f"session={session_id}; Path=/; HttpOnly; SameSite=Lax{max_age}{more}"


DELETION = (
    "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
)


class Browser:
    """One client with a cookie jar, after RFC 6265bis."""

    def __init__(self, site: Site, page: Page) -> None:
        self.site = site
        self.page = page
        self.jar = Jar(site.clock())

    @property
    def cookies(self) -> str:
        """The Cookie header that the browser would send."""
        self.jar.now = self.site.clock()
        return self.jar.header(self.page)

    @property
    def id(self) -> str | None:
        """The session ID that the browser would send."""
        for pair in self.cookies.split("; "):
            name, _, value = pair.partition("=")
            if name == NAME:
                return value
        return None

    @id.setter
    def id(self, value: str) -> None:
        """Plant an ID."""
        self.jar.receive(f"{NAME}={value}; Path=/", self.page)

    def get(self, view: View, **request: Any) -> Reply:
        """Send a request, and take the cookie of the response."""
        return self.site.run(self.meanwhile(view, **request))

    async def meanwhile(self, view: View, **request: Any) -> Reply:
        """Do the same from inside another request."""
        headers = list(request.pop("headers", ()))
        if self.cookies and not any(name.lower() == "cookie" for name, _ in headers):
            headers.append(("Cookie", self.cookies))
        reply = await self.site.ask(
            Request(view, headers=headers, https=self.page.https, **request)
        )
        cookie = reply.cookie
        if reply.sent:
            self.site.issued.append(reply.sent)
        if cookie is not None and not self.jar.receive(cookie, self.page):
            raise AssertionError(f"the browser refused {cookie}")
        return reply


def put(**values: Any) -> View:
    """A view that stores something."""
    return lambda session: session.update(values)


def read(key: str) -> View:
    """A view that shows a value."""
    return lambda session: session.get(key)


def look(session: Any) -> str:
    """A view that shows everything."""
    return repr(dict(session))


def untouched(session: Any) -> str:
    """A view that does not touch the session."""
    return "hello"


def renew(session: Any) -> None:
    """A view that asks for a new ID."""
    session.regenerate()


def end(session: Any) -> None:
    """A view that ends the session."""
    session.destroy()


def sign_in(user_id: str, **how: Any) -> View:
    """A view that signs a user in."""
    return lambda session: session.login(user_id, **how)
