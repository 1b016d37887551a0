"""How many sessions a user may have at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from coatcheck.errors import (
    ConfigurationError,
    TooManySessions,
)
from coatcheck.events import SessionRevoked
from coatcheck.manager import AsyncSessionManager, SessionManager
from coatcheck.store.keyvalue import KeyValueStore
from coatcheck.store.protocol import ADMISSION_GRACE
from coatcheck.testing.clock import ManualClock
from tests.core.bench import MakeBench
from tests.core.harness import SECRET

pytestmark = pytest.mark.anyio


async def test_the_oldest_session_goes(make: MakeBench) -> None:
    """Over the limit a sign-in ends the oldest ones, and tells."""
    bench = make(max_sessions_per_user=3)
    created = [await bench("create", "ann", {"n": number}) for number in range(5)]
    assert [session["n"] for session in await bench("sessions_of", "ann")] == [2, 3, 4]
    assert await bench("open", created[0].id) is None
    told = [event for event in bench.events if isinstance(event, SessionRevoked)]
    assert told == [SessionRevoked(created[n].handle, "ann", "evicted") for n in (0, 1)]
    assert (await bench("create", "bob")).user_id == "bob"


async def test_at_the_limit_a_sign_in_is_refused(make: MakeBench) -> None:
    """By option nobody is signed out: the error says for whom and how many."""
    bench = make(max_sessions_per_user=2, evict="refuse")
    created = [await bench("create", "ann") for _ in range(2)]
    with pytest.raises(TooManySessions) as caught:
        await bench("create", "ann")
    assert (caught.value.user_id, caught.value.limit) == ("ann", 2)
    assert len(bench.store.inner.entries("ann")) == 2
    await bench("delete", created[0].handle)
    assert (await bench("create", "ann")).user_id == "ann"


async def test_signing_in_again_needs_no_room(make: MakeBench) -> None:
    """The session that is replaced does not count: a second sign-in, or a new ID, evicts nobody."""
    bench = make(max_sessions_per_user=1, evict="refuse")
    session = await bench("create", "ann", {"k": 1})
    session.login("ann")
    await bench("save", session)
    session.regenerate()
    await bench("save", session)
    assert [dict(one) for one in await bench("sessions_of", "ann")] == [{"k": 1}]


async def test_dead_entries_are_healed(make: MakeBench) -> None:
    """What a crash left in the index, or what is past its lifetime, stands in nobody's way."""
    bench = make(max_sessions_per_user=2, evict="refuse", expire=3600, lifetime=1000)
    index = bench.store.inner
    index.admit("ann", "0" * 32, limit=None, evict=False)
    await bench("create", "ann")
    with pytest.raises(TooManySessions):
        await bench("create", "ann")
    bench.clock.advance(ADMISSION_GRACE + 1)
    assert (await bench("create", "ann")).user_id == "ann"
    bench.clock.advance(1000)
    assert (await bench("create", "ann")).user_id == "ann"


async def test_a_limit_needs_an_index(make: MakeBench) -> None:
    """A store that does not know users is refused at construction, naming the remedy."""
    with warnings.catch_warnings(action="ignore"):
        store = KeyValueStore(_Shelf(), clock=ManualClock())
    kinds: list[Callable[[], object]] = [
        lambda: SessionManager(secret=SECRET, store=store, max_sessions_per_user=1),
        lambda: AsyncSessionManager(secret=SECRET, store=store, max_sessions_per_user=1),
    ]
    for construct in kinds:
        with pytest.raises(ConfigurationError, match="user index"):
            construct()
    manager = SessionManager(secret=SECRET, store=store)
    with pytest.raises(ConfigurationError, match="no user index"):
        manager.revoke_user("ann")
    with pytest.raises(ConfigurationError, match="no user index"):
        manager.sessions_of("ann")
    assert manager.create("ann").user_id == "ann"


class _Shelf:
    """The least that a key-value store is."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)
