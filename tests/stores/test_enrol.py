"""Enrolment: a session is admitted, created and confirmed in one step, where the store can.

What every store that can has to keep is in the published contract. This is about what stands in
SQLite's tables, and about who calls it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from coatcheck import AsyncSessionManager, SessionManager, SessionService, TooManySessions
from coatcheck.drivers import run_now
from coatcheck.errors import StoreError
from coatcheck.shapes import awaited, never_suspending
from coatcheck.store import AsyncSQLiteStore, MemoryStore, SQLiteStore
from coatcheck.store.protocol import (
    Admission,
    Admitted,
    AsyncEnrols,
    AsyncStore,
    AsyncUserIndex,
)
from coatcheck.testing import CountingStore, ManualClock
from coatcheck.testing.store_cases.base import HOUR, handle

A, B = handle(0), handle(1)
SECRET = "enr0l-Vb7nQ2xK9mT4wZ8yL3pD6fH1jR5cG0aE"
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Place:
    """A database, a store on it in the shape of an async one, and what steps its coroutines."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.clock = ManualClock()
        self.run: Run
        if kind == "blocking":
            shape = never_suspending(SQLiteStore(path, clock=self.clock))
            self.run = run_now
        else:
            shape = awaited(AsyncSQLiteStore(path, clock=self.clock))
            self.run = _on_a_loop
        self.store: AsyncStore = shape.store
        assert shape.users is not None
        assert shape.enrols is not None
        self.users: AsyncUserIndex = shape.users
        self.enrols: AsyncEnrols = shape.enrols
        self.given: Any = shape.given

    def enrol(self, key: str, payload: bytes = b"data", **options: Any) -> Admission | None:
        """Enrol a session of ann that lives for an hour."""
        options = {"expires_at": self.clock() + HOUR, "limit": None, "evict": False, **options}
        found: Admission | None = self.run(self.enrols.enrol("ann", key, payload, **options))
        return found

    def rows(self) -> list[list[tuple[Any, ...]]]:
        """Return all that the database holds."""
        connection = sqlite3.connect(self.path)
        tables = ("sessions", "user_sessions", "users", "namespaces")
        rows = [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables]
        connection.close()
        return rows


def _on_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    async def main() -> Any:
        return await work

    return anyio.run(main)


@pytest.fixture(params=["blocking", "awaited"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two stores."""
    name: str = request.param
    return name


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder where there is no disk to wait for, if possible."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(path)


@pytest.fixture
def place(folder: Path, kind: str) -> Iterator[Place]:
    """A database and a store of either kind."""
    made = Place(folder / "sessions.db", kind)
    yield made
    if kind == "blocking":
        made.given.close()
    else:
        made.run(made.given.aclose())


def test_it_does_what_three_calls_do(place: Place, folder: Path, kind: str) -> None:
    """The tables are as they are after `admit`, `create` and `confirm`."""
    other = Place(folder / "other.db", kind)
    for key in (B, A):
        found = place.enrol(key)
        ends = other.clock() + HOUR
        admitted = other.run(other.users.admit("ann", key, limit=None, evict=False))
        assert other.run(other.store.create(key, b"data", expires_at=ends, user_id="ann"))
        assert other.run(other.users.confirm("ann", key, admitted.epoch))
        assert found == admitted
    assert place.rows() == other.rows()
    other.run(other.given.aclose()) if kind == "awaited" else other.given.close()


def test_half_of_it_never_happens(place: Place) -> None:
    """Where the record cannot be written, the index is as it was."""
    place.enrol(A)
    before = place.rows()
    unfit: Any = object()
    with pytest.raises((StoreError, TypeError)):
        place.enrol(B, unfit, limit=1, evict=True)
    assert place.rows() == before
    assert isinstance(place.enrol(B), Admitted)


# Whoever begins a session


def counted(folder: Path, **options: Any) -> tuple[SessionManager, CountingStore]:
    """Return a manager on SQLite, and the store that counts its calls."""
    store = CountingStore(SQLiteStore(folder / "sessions.db"))
    return SessionManager(secret=SECRET, store=store, **options), store


def calls(store: CountingStore) -> dict[str, int]:
    """Return how often each method was called since the last time."""
    found = dict(store.calls)
    store.reset()
    return found


def test_a_session_that_replaces_none_is_enrolled(folder: Path) -> None:
    """It takes one call, which creates it signed in; one that is evicted is ended as ever."""
    manager, store = counted(folder, max_sessions_per_user=1)
    first = manager.create("ann", {"n": 1})
    assert calls(store) == {"enrol": 1}
    second = manager.create("ann", {"n": 2})
    assert calls(store) == {"enrol": 1, "delete": 1, "entries": 1}
    assert manager.open(first.id) is None
    found = manager.open(second.id)
    assert found is not None
    assert (found.user_id, dict(found)) == ("ann", {"n": 2})


def test_a_session_that_replaces_one_is_not(folder: Path) -> None:
    """Between its creation and its confirmation the old one is buried."""
    manager, store = counted(folder)
    session = manager.create(None, {"n": 1})
    calls(store)
    session.login("ann")
    session.save()
    assert calls(store) == {"admit": 1, "create": 1, "update": 1, "confirm": 1}


def test_too_many_are_told(folder: Path) -> None:
    """At the limit it is tried once more, after what is dead has been removed."""
    manager, store = counted(folder, max_sessions_per_user=1, evict="refuse")
    standing = manager.create("ann")
    calls(store)
    with pytest.raises(TooManySessions):
        manager.create("ann")
    assert calls(store) == {"enrol": 2, "entries": 1}
    assert [one.handle for one in manager.sessions_of("ann")] == [standing.handle]


def test_the_service_begins_a_session_with_one_call(folder: Path) -> None:
    """So does Concierge's contract, on a database."""
    store = CountingStore(SQLiteStore(folder / "sessions.db"))
    service = SessionService(store=store, secret=SECRET)
    assert service.new_session("ann", data={"n": 1})
    assert calls(store) == {"enrol": 1}


def test_an_event_loop_enrols_too(folder: Path) -> None:
    """`AsyncSessionManager` on the store that is awaited begins sessions in one step."""

    async def main() -> None:
        store = AsyncSQLiteStore(folder / "sessions.db")
        manager = AsyncSessionManager(secret=SECRET, store=store, max_sessions_per_user=1)
        for number in range(2):
            session = await manager.create("ann", {"n": number})
            assert [one.handle for one in await manager.sessions_of("ann")] == [session.handle]
        await store.aclose()

    anyio.run(main)


class Odd(MemoryStore):
    """A store that enrols, and is interrupted before it can say so, or finds the handle taken."""

    error: BaseException | None = None

    def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        """Do it and raise the error; without one, do nothing."""
        if self.error is None:
            return None
        self.admit(user_id, key, limit=limit, evict=evict)
        self.create(key, payload, expires_at=expires_at, user_id=user_id)
        raise self.error


def test_an_interrupted_enrolment_is_undone() -> None:
    """Nobody knows the ID of a session whose enrolment was broken off, so it goes again."""
    store = Odd()
    store.error = KeyboardInterrupt()
    manager = SessionManager(secret=SECRET, store=store)
    with pytest.raises(KeyboardInterrupt):
        manager.create("ann")
    assert list(store.entries("ann")) == []
    assert store.scan() == ([], None)


def test_a_key_that_is_taken_is_told() -> None:
    """A store that finds a new handle taken makes the sign-in fail, as with broken randomness."""
    manager = SessionManager(secret=SECRET, store=Odd())
    with pytest.raises(StoreError, match="is the randomness broken"):
        manager.create("ann")
