"""How many sessions a user may have at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from coatcheck.errors import ConfigurationError, StoreError, TooManySessions
from coatcheck.events import SessionRevoked
from coatcheck.manager import AsyncSessionManager, SessionManager
from coatcheck.store.keyvalue import KeyValueStore
from coatcheck.store.protocol import ADMISSION_GRACE
from coatcheck.testing.clock import ManualClock
from tests.core.bench import MakeBench
from tests.core.harness import SECRET, raising

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


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("step", ["create", "confirm", "delete"])
async def test_a_sign_in_that_fails_evicts_nobody(make: MakeBench, limit: int, step: str) -> None:
    """Whoever was signed in still is, and counts as before: the next sign-in ends the oldest."""
    bench = make(max_sessions_per_user=limit)
    created = [await bench("create", "ann", {"n": number}) for number in range(limit)]
    bench.store.before(step, raising(StoreError("the disk is full")))
    with pytest.raises(StoreError, match="the disk is full"):
        await bench("create", "ann")
    for session in created:
        assert await bench("open", session.id) is not None
    assert len(await bench("sessions_of", "ann")) == limit
    for number in range(limit):
        await bench("create", "ann", {"n": limit + number})
    left = [session["n"] for session in await bench("sessions_of", "ann")]
    assert left == list(range(limit, 2 * limit))


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_what_a_crashed_sign_in_evicted_ends_with_the_next_one(
    make: MakeBench, limit: int
) -> None:
    """Marked, and left standing, it would live on beside as many sessions as are allowed."""
    bench = make(max_sessions_per_user=limit)
    created = [await bench("create", "ann") for _ in range(limit)]
    index, killed = bench.store.inner, "f" * 32
    # A sign-in that was killed after its confirmation, before it ended what it had evicted.
    assert getattr(index.admit("ann", killed, limit=limit, evict=True), "evicted", None)
    stored = index.get(created[0].handle)
    assert stored is not None
    assert index.create(killed, stored.payload, expires_at=stored.expires_at, user_id="ann")
    assert len(await bench("sessions_of", "ann")) == limit + 1
    newest = await bench("create", "ann")
    left = [session.handle for session in await bench("sessions_of", "ann")]
    assert left == [*[session.handle for session in created[2:]], killed, newest.handle][-limit:]


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
