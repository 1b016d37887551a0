"""Plays requests against the core: what every adapter does, and no framework."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, Unpack

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.events import ChangesDropped, Event
from coatcheck.face import visit_of
from coatcheck.ids import Identity
from coatcheck.layout import unpack
from coatcheck.lifecycle import Lifecycle
from coatcheck.lifecycle.visit import Visit
from coatcheck.options import Options
from coatcheck.record import Content, Record
from coatcheck.request import PlainRequest, Request, WSGIHeaders
from coatcheck.response import finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import Session
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import (
    Admission,
    IndexEntry,
    Purges,
    Scans,
    Store,
    Stored,
    UpdateOutcome,
    UserIndex,
)
from coatcheck.streaming import commit_at_the_end
from coatcheck.testing.clock import ManualClock
from tests.core.cookiejar import Jar, Page, parse

SECRET = "c0re-Kq7vX2mZ9pL4wT8yB3nD6fH1jR5sG0aE"
OLD_SECRET = "0ld-Wb8xN3kV7qY2tM9cJ4hS6gP1zF5rD0uLe"
E = TypeVar("E", bound=Event)
T = TypeVar("T")


class FullStore(Store, UserIndex, Purges, Scans, Protocol):
    """A blocking store with all capabilities, as all built-in ones are."""


class SpyStore:
    """Counts the calls of a store, and lets a test come before or after any one of them."""

    def __init__(self, inner: FullStore) -> None:
        self.inner = inner
        self.namespace: str = getattr(inner, "namespace", "coatcheck")
        self.never_blocks: bool = getattr(inner, "never_blocks", False)
        self.preferred_codec: str = getattr(inner, "preferred_codec", "binary")
        self.calls: list[str] = []
        self._before: dict[str, list[Callable[[], object]]] = {}
        self._after: dict[str, list[Callable[[], object]]] = {}

    def take(self) -> list[str]:
        """Return the names of the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls

    def before(self, verb: str, hook: Callable[[], object]) -> None:
        """Run the hook before the next call of that verb: once."""
        self._before.setdefault(verb, []).append(hook)

    def after(self, verb: str, hook: Callable[[], object]) -> None:
        """Run the hook after the next call of that verb took effect: once."""
        self._after.setdefault(verb, []).append(hook)

    def _pass(self, verb: str, call: Callable[[], T]) -> T:
        self.calls.append(verb)
        for hook in self._before.pop(verb, ()):
            hook()
        result = call()
        for hook in self._after.pop(verb, ()):
            hook()
        return result

    def get(self, key: str, /) -> Stored | None:
        return self._pass("get", lambda: self.inner.get(key))

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        return self._pass(
            "create",
            lambda: self.inner.create(key, payload, expires_at=expires_at, user_id=user_id),
        )

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        return self._pass(
            "update",
            lambda: self.inner.update(key, payload, version=version, expires_at=expires_at),
        )

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        return self._pass(
            "touch", lambda: self.inner.touch(key, version=version, expires_at=expires_at)
        )

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        return self._pass("delete", lambda: self.inner.delete(key, user_id=user_id))

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        return self._pass("entries", lambda: self.inner.entries(user_id))

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        return self._pass(
            "admit",
            lambda: self.inner.admit(user_id, key, limit=limit, evict=evict, replaces=replaces),
        )

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        return self._pass("confirm", lambda: self.inner.confirm(user_id, key, epoch))

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        return self._pass("revoke", lambda: self.inner.revoke(user_id, keep=keep))

    def forget(self, user_id: str, key: str, /) -> None:
        self._pass("forget", lambda: self.inner.forget(user_id, key))

    def purge(self, limit: int = 1000, /) -> int:
        return self._pass("purge", lambda: self.inner.purge(limit))

    def claim_purge(self, interval: float, /) -> bool:
        return self._pass("claim_purge", lambda: self.inner.claim_purge(interval))

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        return self._pass("scan", lambda: self.inner.scan(cursor, count=count))


def raising(error: BaseException) -> Callable[[], object]:
    """Return a hook that raises."""

    def hook() -> object:
        raise error

    return hook


class Harness:
    """One application server's core: configuration, store, events, and what they hold."""

    def __init__(
        self,
        store: FullStore | None = None,
        time: ManualClock | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.clock = time or ManualClock()
        if not isinstance(store, SpyStore):
            namespace = options.get("namespace", "coatcheck")
            store = SpyStore(store or MemoryStore(clock=self.clock, namespace=namespace))
        self.store = store
        self.events: list[Event] = []
        defaults: Options = {
            "secret": SECRET,
            "clock": self.clock,
            "on_event": self.events.append,
            "purge": "never",
        }
        defaults.update(options)
        self.config = SessionConfig.from_options(**defaults)
        self.runtime = Runtime.blocking(self.config, self.store)
        self.lifecycle = Lifecycle(self.runtime)

    def twin(self, **options: Unpack[Options]) -> Harness:
        """Return another server over the same store and clock, which encrypts as this one does."""
        options.setdefault("encrypt", self.config.encrypt)
        return Harness(self.store, self.clock, **options)

    def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def dropped(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return reason and keys of all dropped changes so far."""
        return [(event.reason, tuple(event.keys)) for event in self.told(ChangesDropped)]

    def identity(self, session_id: str | None) -> Identity:
        """Return what an ID stands for."""
        verified = self.runtime.signer.verify(session_id or "")
        if verified is None:
            raise AssertionError("not an ID of ours")
        return verified[0]

    def content(self, session_id: str | None) -> Content | None:
        """Return what the store keeps for an ID."""
        stored = self.store.inner.get(self.identity(session_id).handle)
        return unpack(stored.payload) if stored else None

    def record(self, session_id: str | None) -> Record:
        """Return the record that the store keeps for an ID."""
        content = self.content(session_id)
        if not isinstance(content, Record):
            raise AssertionError(f"{content!r} is no record")
        return self.runtime.opened(content, self.identity(session_id))

    def stored(self, session_id: str | None) -> Stored:
        """Return version, deadline and payload that the store keeps for an ID."""
        stored = self.store.inner.get(self.identity(session_id).handle)
        if stored is None:
            raise AssertionError("nothing is stored under that ID")
        return stored

    def live(self) -> list[str]:
        """Return the handles of all live records; a tombstone is none."""
        handles, _ = self.store.inner.scan(None, count=10_000)
        found = ((handle, self.store.inner.get(handle)) for handle in handles)
        return [
            handle
            for handle, stored in found
            if stored is not None and isinstance(unpack(stored.payload), Record)
        ]


@dataclass
class Reply:
    """What a response says about the session."""

    set_cookies: list[str]
    vary: list[str]
    cache_control: list[str]

    @property
    def cookie(self) -> str | None:
        """The one Set-Cookie, if there is one."""
        if len(self.set_cookies) > 1:
            raise AssertionError(f"more than one Set-Cookie: {self.set_cookies}")
        return self.set_cookies[0] if self.set_cookies else None

    @property
    def deleted(self) -> bool:
        """Whether the response deletes the cookie."""
        return self.cookie is not None and parse(self.cookie).attributes.get("max-age") == "0"

    @property
    def sent(self) -> str | None:
        """The ID that the response sends, if it sends one."""
        return None if self.cookie is None or self.deleted else parse(self.cookie).value

    @property
    def max_age(self) -> int | None:
        """The Max-Age of the ID that the response sends; `None`: until the browser closes."""
        if self.cookie is None:
            raise AssertionError("no cookie was sent")
        age = parse(self.cookie).attributes.get("max-age")
        return None if age is None else int(age)


@dataclass
class Exchange:
    """One request under way, and its response."""

    browser: Browser
    session: Session
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def visit(self) -> Visit:
        """What the core knows of the session; it must have been looked at."""
        visit = visit_of(self.session)
        if visit is None:
            raise AssertionError("nobody looked at the session")
        return visit

    def finish(self, *, failed: bool = False, deliver: bool = True) -> Reply:
        """Commit and send the headers; unless they get lost, the browser takes its cookie."""
        lifecycle, visit = self.browser.harness.lifecycle, visit_of(self.session)
        if visit is not None:
            if not lifecycle.idle(visit):
                run_now(lifecycle.commit(visit, failed=failed))
            finish_headers(visit, WSGIHeaders(self.headers))
        values: dict[str, list[str]] = {"set-cookie": [], "vary": [], "cache-control": []}
        for name, value in self.headers:
            values.setdefault(name.lower(), []).append(value)
        reply = Reply(values["set-cookie"], values["vary"], values["cache-control"])
        if deliver:
            self.browser.receive(reply)
        return reply

    def close(self, *, failed: bool = False) -> None:
        """End the body: commit what changed since the headers left."""
        commit_at_the_end(self.browser.harness.lifecycle, self.session, failed=failed)


class Browser:
    """One client with a cookie jar."""

    def __init__(self, harness: Harness, page: Page | None = None) -> None:
        self.harness = harness
        self.page = page or Page()
        self.jar = Jar(harness.clock())

    @property
    def id(self) -> str | None:
        """The session ID that the browser would send."""
        self.jar.now = self.harness.clock()
        header = self.jar.header(self.page)
        return header.partition("=")[2] if header else None

    @id.setter
    def id(self, value: str) -> None:
        """Plant an ID."""
        self.jar.receive(f"{self.harness.config.cookie_name}={value}; Path=/", self.page)

    def receive(self, reply: Reply) -> None:
        """Take the cookie of a response."""
        self.jar.now = self.harness.clock()
        if reply.cookie is not None and not self.jar.receive(reply.cookie, self.page):
            raise AssertionError(f"the browser refused {reply.cookie}")

    def begin(
        self, cookie: str | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """Begin a request; `cookie` takes the place of what the jar holds."""
        self.jar.now = self.harness.clock()
        header = self.jar.header(self.page) if cookie is None else cookie
        request = PlainRequest(
            {**({"cookie": header} if header else {}), **(headers or {})},
            scheme="https" if self.page.https else "http",
            path=self.page.path,
        )

        def view(_: Any) -> Request:
            return request

        return Exchange(self, Session(self.harness.lifecycle, None, view))

    def visit(
        self, act: Callable[[Session], object] = len, *, failed: bool = False, deliver: bool = True
    ) -> Reply:
        """Make one request in which the application does `act`; by default it only looks."""
        exchange = self.begin()
        act(exchange.session)
        return exchange.finish(failed=failed, deliver=deliver)

    def read(self) -> dict[str, Any]:
        """Make one request that reads the data."""
        exchange = self.begin()
        data = dict(exchange.session)
        exchange.finish()
        return data

    def saved(self) -> dict[str, Any]:
        """Return the data that the store holds for the browser's session."""
        return self.harness.runtime.codec.decode(self.harness.record(self.id).data)

    def user(self) -> str | None:
        """Make one request that asks who is signed in."""
        exchange = self.begin()
        user = exchange.session.user_id
        exchange.finish()
        return user


def put(**values: Any) -> Callable[[Session], None]:
    """Return an application that stores values."""

    def act(session: Session) -> None:
        session.update(values)

    return act


def sign_in(user_id: str, **values: Any) -> Callable[[Session], None]:
    """Return an application that signs a user in, then stores values."""

    def act(session: Session) -> None:
        session.login(user_id)
        session.update(values)

    return act
