"""Sessions of programs with an event loop, over stores that suspend and stores that do not."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from coatcheck.config import SessionConfig
from coatcheck.drivers import Blocking
from coatcheck.errors import SessionEnded, SessionNotLoaded, StoreError
from coatcheck.events import ChangesDropped, Event, SecretReused
from coatcheck.face import visit_of
from coatcheck.layout import unpack
from coatcheck.lifecycle import Lifecycle
from coatcheck.lifecycle.visit import Visit
from coatcheck.record import Record
from coatcheck.request import PlainRequest, Request
from coatcheck.rotation import IN_FLIGHT
from coatcheck.runtime import Runtime
from coatcheck.session import AsyncSession
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import Stored, UpdateOutcome
from coatcheck.testing.clock import ManualClock
from tests.core.harness import SECRET, Browser, Harness, SpyStore, raising, sign_in

pytestmark = pytest.mark.anyio


class Suspending(Blocking):
    """A store that is awaited, and suspends in each call."""

    get_never_suspends = False

    async def get(self, key: str, /) -> Stored | None:
        await anyio.lowlevel.checkpoint()
        return await super().get(key)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        await anyio.lowlevel.checkpoint()
        return await super().create(key, payload, expires_at=expires_at, user_id=user_id)

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        await anyio.lowlevel.checkpoint()
        return await super().update(key, payload, version=version, expires_at=expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        await anyio.lowlevel.checkpoint()
        return await super().delete(key, user_id=user_id)


class Server:
    """One server whose store suspends, or does not."""

    def __init__(self, *, suspends: bool) -> None:
        self.clock = ManualClock()
        self.store = SpyStore(MemoryStore(clock=self.clock))
        self.events: list[Event] = []
        config = SessionConfig(secret=SECRET, clock=self.clock, on_event=self.events.append)
        store: Any = Suspending(self.store) if suspends else self.store
        self.runtime = Runtime.awaiting(config, store)
        self.lifecycle = Lifecycle(self.runtime)

    def session(self, session_id: str | None = None) -> AsyncSession:
        """Begin a request with that ID."""
        headers = {} if session_id is None else {"cookie": f"session={session_id}"}
        request = PlainRequest(headers)

        def view(_: Any) -> Request:
            return request

        return AsyncSession(self.lifecycle, None, view)

    async def stored(self, **values: Any) -> str:
        """Return the ID of a stored session."""
        session = self.session()
        session.update(values)
        await session.save()
        self.store.take()
        return session.id

    async def commit(self, session: AsyncSession, **options: Any) -> None:
        """Commit a session that was looked at."""
        visit = visit_of(session)
        assert visit is not None
        await self.lifecycle.commit(visit, **options)

    def live(self) -> list[str]:
        """Return the handles of all live records."""
        found: list[str] = []
        for handle in self.store.inner.scan()[0]:
            stored = self.store.inner.get(handle)
            if stored is not None and isinstance(unpack(stored.payload), Record):
                found.append(handle)
        return found


@pytest.fixture(params=[True, False], ids=["suspends", "inline"])
def server(request: pytest.FixtureRequest) -> Server:
    """A server of either kind."""
    return Server(suspends=request.param)


@pytest.fixture
def suspending() -> Server:
    """A server whose store suspends."""
    return Server(suspends=True)


async def test_it_is_loaded_then_used_like_any_other(server: Server) -> None:
    """`load` returns the session; from then on it is a mapping, saved by `await save()`."""
    session_id = await server.stored(k=1)
    session = await server.session(session_id).load()
    assert server.store.take() == ["get"]
    session["k"] += 1
    await session.save()
    await session.load()
    assert server.store.take() == ["update"]
    assert dict(await server.session(session_id).load()) == {"k": 2}


async def test_use_before_load_names_the_remedy(suspending: Server) -> None:
    """Where the store must be awaited, looking first is a mistake that the error explains."""
    session = suspending.session(await suspending.stored(k=1))
    uses: list[Callable[[AsyncSession], object]] = [
        len,
        lambda early: early["k"],
        lambda early: early.update(k=2),
        lambda early: early.user_id,
        lambda early: early.logout(),
    ]
    for use in uses:
        with pytest.raises(SessionNotLoaded, match=r"await session\.load\(\)"):
            use(session)
    assert suspending.store.take() == []
    assert not session.accessed
    assert dict(await session.load()) == {"k": 1}


async def test_a_visitor_needs_no_load(suspending: Server) -> None:
    """Without a well-signed ID there is nothing to wait for."""
    for session_id in (None, "A" * 68, "junk"):
        session = suspending.session(session_id)
        assert dict(session) == {}
        session["k"] = 1
    assert suspending.store.take() == []


async def test_a_store_that_never_suspends_needs_no_load() -> None:
    """The session opens at its first use, as in a synchronous program."""
    server = Server(suspends=False)
    session = server.session(await server.stored(k=1))
    assert server.store.take() == []
    assert session["k"] == 1
    assert server.store.take() == ["get"]


async def test_loading_ahead_is_no_look(server: Server) -> None:
    """An adapter that loads ahead leaves it to the application whether the session is used."""
    session = server.session(await server.stored(k=1))
    await session.prepare()
    await session.prepare()
    assert server.store.take() == ["get"]
    assert not session.accessed
    assert session["k"] == 1
    assert session.accessed
    assert server.store.take() == []


async def test_a_theft_that_is_told_while_loading_ahead_ends_the_session() -> None:
    """Though the page that the stolen ID came for never looks at it."""
    harness = Harness(rotate_every=60)
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    stolen = browser.id or ""
    harness.clock.advance(60)
    browser.visit()
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    store: Any = Suspending(harness.store)
    lifecycle = Lifecycle(Runtime.awaiting(harness.config, store))
    request = PlainRequest({"cookie": f"session={stolen}"})
    session = AsyncSession(lifecycle, None, lambda _: request)
    await session.prepare()
    assert visit_of(session) is None
    assert [event.user_id for event in harness.told(SecretReused)] == ["ann"]
    assert browser.user() is None


async def test_an_outage_is_told_at_the_first_use(server: Server) -> None:
    """What the store raised ahead is raised where the session is used, and nowhere else."""
    session = server.session(await server.stored(k=1))
    server.store.before("get", raising(StoreError("out of reach")))
    await session.prepare()
    with pytest.raises(StoreError):
        len(session)
    assert dict(await session.load()) == {"k": 1}


async def test_of_several_tasks_that_load_at_once_all_have_one_session(server: Server) -> None:
    """The first load is guarded."""
    session = server.session(await server.stored(k=1))

    async def use(number: int) -> None:
        await session.load()
        session[f"task{number}"] = number

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(use, number)
    await session.save()
    stored = await server.session(session.id).load()
    assert dict(stored) == {"k": 1} | {f"task{number}": number for number in range(5)}


@pytest.mark.parametrize("end", ["logout", "destroy"])
async def test_ending_waits_for_the_commit(server: Server, end: str) -> None:
    """Noted at once, and carried out when the response starts or `save()` is awaited."""
    session_id = await server.stored(k=1)
    session = await server.session(session_id).load()
    getattr(session, end)()
    assert dict(session) == {}
    assert len(server.live()) == 1
    await server.commit(session, failed=True)
    assert server.live() == []
    session = await server.session(await server.stored(k=1)).load()
    getattr(session, end)()
    await session.save()
    assert server.live() == []


async def test_refresh_is_awaited(server: Server) -> None:
    """What others saved appears, or the end of the session raises."""
    session_id = await server.stored(k=1)
    session = await server.session(session_id).load()
    other = await server.session(session_id).load()
    other["k"] = 2
    await other.save()
    await session.refresh()
    assert session["k"] == 2
    other.destroy()
    await other.save()
    with pytest.raises(SessionEnded):
        await session.refresh()


async def _cancelled(work: Callable[[], Awaitable[object]], server: Server, verb: str) -> bool:
    """Run the work and cancel it within that store call; say whether the cancellation was seen."""
    with anyio.CancelScope() as scope:
        server.store.before(verb, scope.cancel)
        await work()
        await anyio.lowlevel.checkpoint()
    return scope.cancelled_caught


@pytest.mark.parametrize("verb", ["create", "update"])
@pytest.mark.parametrize("ask", ["login", "regenerate"])
async def test_a_cancelled_request_leaves_no_session_half_replaced(
    suspending: Server, ask: str, verb: str
) -> None:
    """A sign-in or regeneration that began is finished; then the cancellation takes effect."""
    session = await suspending.session(await suspending.stored(k=1)).load()
    if ask == "login":
        session.login("ann")
    else:
        session.regenerate()

    async def commit() -> None:
        await suspending.commit(session)

    assert await _cancelled(commit, suspending, verb)
    assert suspending.live() == [session.handle]
    assert dict(await suspending.session(session.id).load()) == {"k": 1}


async def test_the_last_save_is_not_cancelled(suspending: Server) -> None:
    """What changed while a body was sent is saved though the client has gone."""
    session_id = await suspending.stored(k=1)
    session = await suspending.session(session_id).load()
    session["k"] = 2
    visit = visit_of(session)
    assert visit is not None
    visit.response_started = True

    async def commit() -> None:
        await suspending.lifecycle.commit_late(visit)

    assert await _cancelled(commit, suspending, "update")
    assert dict(await suspending.session(session_id).load()) == {"k": 2}


@pytest.mark.parametrize("error", [TimeoutError, GeneratorExit])
async def test_a_last_save_that_was_broken_off_is_told(
    suspending: Server, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """A store that takes too long raises nothing, the end of the loop goes on; both are told."""
    session = await suspending.session(await suspending.stored(k=1)).load()
    session["k"] = 2
    visit = visit_of(session)
    assert visit is not None

    async def break_off(work: Coroutine[Any, Any, Any]) -> None:
        work.close()
        raise error

    monkeypatch.setattr(suspending.runtime, "shield", break_off)
    with pytest.raises(error) if error is not TimeoutError else nullcontext():
        await suspending.lifecycle.commit_late(visit)
    assert suspending.events[1:] == [ChangesDropped(session.handle, ("k",), "late")]


async def test_two_threads_may_look_first_at_the_same_time(
    suspending: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one thread writes while another one opens the session of a visitor is not lost."""
    session = suspending.session()
    await session.prepare()

    def write() -> None:
        session["theirs"] = 1

    other = threading.Thread(target=write)
    become_new = Visit.become_new

    def meanwhile(visit: Visit) -> None:
        if other.ident is None:
            other.start()
            other.join(0.05)  # it is done by then, unless it has to wait for us
        become_new(visit)

    monkeypatch.setattr(Visit, "become_new", meanwhile)
    session["mine"] = 2
    other.join()
    assert session == {"mine": 2, "theirs": 1}
