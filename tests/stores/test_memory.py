"""What is particular to the memory store: that it is bounded, and whom it lets go first."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store import MemoryStore
from coatcheck.store.memory import OVERHEAD
from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    DEFAULT_NAMESPACE,
    GARBAGE_AFTER,
    Admitted,
    Gone,
    Purges,
    Refused,
    Scans,
    Stored,
    Updated,
    UserIndex,
)
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from tests.stores.test_contract import ENROLMENT, without

HOUR = 3600.0


@without(*ENROLMENT)
class TestMemoryStoreContract(StoreContract):
    """The memory store keeps every rule that holds for all stores."""

    reopens = False

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> MemoryStore:
            return MemoryStore(namespace=namespace, clock=clock)

        return make


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture
def keys() -> Iterator[str]:
    """Yield store keys, each once."""
    return (f"{number:032x}" for number in itertools.count())


def visit(store: MemoryStore, key: str, payload: bytes = b"visitor") -> bool:
    """Create a record without a user that lives for an hour."""
    return store.create(key, payload, expires_at=store.clock() + HOUR, user_id=None)


def sign_in(store: MemoryStore, key: str, user_id: str = "ann") -> bool:
    """Create a record with a user that lives for an hour, as a login does."""
    assert isinstance(store.admit(user_id, key, limit=None, evict=False), Admitted)
    return store.create(key, b"user", expires_at=store.clock() + HOUR, user_id=user_id)


def live(store: MemoryStore) -> set[str]:
    """Return all live keys."""
    return set(store.scan(count=100_000)[0])


def records(store: MemoryStore) -> int:
    """Return how many records are kept, live or not."""
    return int(repr(store).partition("records=")[2].rstrip(">"))


def test_it_has_all_capabilities() -> None:
    """The memory store has an index, a purge and a scan, and may be called on an event loop."""
    store = MemoryStore()
    assert isinstance(store, UserIndex)
    assert isinstance(store, Purges)
    assert isinstance(store, Scans)
    assert store.never_blocks is True
    assert store.namespace == "coatcheck"


@pytest.mark.parametrize("namespace", ["", "a b", "x" * 65, "a*", "a\n", "ä", "a/b"])
def test_a_bad_namespace_is_refused(namespace: str) -> None:
    """A namespace is 1 to 64 letters, digits and : _ . - (SEC-81)."""
    with pytest.raises(ConfigurationError, match="namespace must be"):
        MemoryStore(namespace=namespace)


@pytest.mark.parametrize("namespace", ["a", "A1:b_c.d-e", "x" * 64])
def test_a_good_namespace_is_kept(namespace: str) -> None:
    """A namespace within the charset is the store's namespace."""
    assert MemoryStore(namespace=namespace).namespace == namespace


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10"])
def test_a_bad_bound_is_refused(limit: int) -> None:
    """The bounds are whole numbers from 1."""
    with pytest.raises(ConfigurationError, match="max_sessions"):
        MemoryStore(max_sessions=limit)
    with pytest.raises(ConfigurationError, match="max_bytes"):
        MemoryStore(max_bytes=limit)


def test_sec_45_a_flood_of_visitors_signs_nobody_out(
    clock: ManualClock, keys: Iterator[str]
) -> None:
    """Twice as many visitors as there is room for leave a login alone."""
    store = MemoryStore(max_sessions=100, clock=clock)
    login = next(keys)
    sign_in(store, login)
    for _ in range(200):
        assert visit(store, next(keys))
    assert records(store) == 100
    assert login in live(store)
    assert [entry.key for entry in store.entries("ann")] == [login]


def test_the_longest_inactive_visitor_goes_first(clock: ManualClock, keys: Iterator[str]) -> None:
    """Creating, updating and touching are activity; reading is not, for reads never write."""
    store = MemoryStore(max_sessions=4, clock=clock)
    first, second, third, fourth, fifth, sixth = itertools.islice(keys, 6)
    for key in (first, second, third, fourth):
        visit(store, key)
    assert store.update(first, b"x", version=1, expires_at=clock() + HOUR) == Updated(2)
    assert store.touch(second, version=1, expires_at=clock() + HOUR)
    store.get(third)
    visit(store, fifth)
    assert live(store) == {first, second, fourth, fifth}
    visit(store, sixth)
    assert live(store) == {first, second, fifth, sixth}


def test_what_has_expired_goes_before_visitors(clock: ManualClock, keys: Iterator[str]) -> None:
    """Where there is no room, an expired record gives way before any live one."""
    store = MemoryStore(max_sessions=3, clock=clock)
    old, user, visitor, new = itertools.islice(keys, 4)
    visit(store, visitor)
    store.create(user, b"short", expires_at=clock() + 10, user_id="ann")
    store.create(old, b"short", expires_at=clock() + 20, user_id=None)
    clock.advance(10)
    visit(store, new)
    assert live(store) == {visitor, old, new}


def test_a_store_full_of_users_refuses(clock: ManualClock, keys: Iterator[str]) -> None:
    """Where only sessions with users could give way, `create` raises and nothing is lost."""
    store = MemoryStore(max_sessions=3, clock=clock)
    users = list(itertools.islice(keys, 3))
    for number, key in enumerate(users):
        sign_in(store, key, f"user-{number}")
    with pytest.raises(StoreError, match="raise max_sessions"):
        visit(store, next(keys))
    with pytest.raises(StoreError, match="raise max_sessions"):
        sign_in(store, next(keys), "late")
    assert live(store) == set(users)
    store.delete(users[0])
    assert visit(store, next(keys))


def test_sec_45_bytes_are_bounded(clock: ManualClock, keys: Iterator[str]) -> None:
    """Payloads count as well as records, and a login makes room as a visitor does."""
    store = MemoryStore(max_bytes=10 * (OVERHEAD + 1000), clock=clock)
    made = list(itertools.islice(keys, 15))
    for key in made:
        visit(store, key, bytes(1000))
    assert live(store) == set(made[5:])
    login = next(keys)
    store.create(login, bytes(2000 + OVERHEAD), expires_at=None, user_id="ann")
    assert live(store) == {*made[7:], login}


def test_growth_is_bounded(clock: ManualClock, keys: Iterator[str]) -> None:
    """An update that needs more room evicts others, never its own record, else it raises."""
    store = MemoryStore(max_bytes=3 * (OVERHEAD + 100), clock=clock)
    first, second, third = itertools.islice(keys, 3)
    for key in (first, second, third):
        visit(store, key, bytes(100))
    assert store.update(first, bytes(150), version=1, expires_at=None) == Updated(2)
    assert live(store) == {first, third}
    with pytest.raises(StoreError, match="full"):
        store.update(first, bytes(10_000), version=2, expires_at=None)
    assert store.get(first) == Stored(2, None, bytes(150))


def test_shrinking_makes_room(clock: ManualClock, keys: Iterator[str]) -> None:
    """What an update or a delete frees can be used again."""
    store = MemoryStore(max_bytes=2 * (OVERHEAD + 100), clock=clock)
    first, second, third = itertools.islice(keys, 3)
    store.create(first, bytes(100 + OVERHEAD), expires_at=None, user_id="ann")
    store.update(first, b"", version=1, expires_at=None)
    store.create(second, bytes(200), expires_at=None, user_id="bob")
    with pytest.raises(StoreError):
        store.create(third, b"", expires_at=None, user_id="bob")
    store.delete(second)
    assert store.create(third, bytes(200), expires_at=None, user_id="bob")


def test_creating_collects_what_expired_long_ago(clock: ManualClock, keys: Iterator[str]) -> None:
    """Without any purge a store holds no more than what is live and what has just expired."""
    store = MemoryStore(clock=clock)
    for _ in range(300):
        visit(store, next(keys))
    clock.advance(HOUR + GARBAGE_AFTER)
    for _ in range(200):
        visit(store, next(keys))
    assert records(store) == 200


def test_a_touched_record_is_not_collected(clock: ManualClock, keys: Iterator[str]) -> None:
    """A record lives by the deadline that stands, however often that was moved."""
    store = MemoryStore(max_sessions=3, clock=clock)
    touched, updated, kept = itertools.islice(keys, 3)
    store.create(touched, b"", expires_at=clock() + 10, user_id="ann")
    store.create(updated, b"", expires_at=clock() + 10, user_id="ann")
    store.create(kept, b"", expires_at=clock() + 10, user_id="ann")
    for minute in range(1, 60):
        store.touch(touched, version=1, expires_at=clock() + 60 * minute)
    store.update(updated, b"", version=1, expires_at=clock() + HOUR)
    store.update(kept, b"", version=1, expires_at=None)
    clock.advance(1800)
    with pytest.raises(StoreError):
        visit(store, next(keys))
    assert live(store) == {touched, updated, kept}
    store.update(updated, b"", version=2, expires_at=clock() + 1)
    clock.advance(1)
    assert visit(store, next(keys))
    assert live(store) >= {touched, kept}


def test_deleted_records_leave_nothing_behind(clock: ManualClock, keys: Iterator[str]) -> None:
    """Sessions that come and go take no memory, though their deadlines are far away."""
    store = MemoryStore(clock=clock)

    def come_and_go(times: int) -> None:
        for key in itertools.islice(keys, times):
            sign_in(store, key)
            store.delete(key, user_id="ann")
            clock.advance(1)

    come_and_go(1000)
    tracemalloc.start()
    try:
        come_and_go(4000)
        grown, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 50_000


def test_a_record_is_whose_it_was_made(clock: ManualClock, keys: Iterator[str]) -> None:
    """A record that takes the key of another user's expired one takes nothing of its index."""
    store, key = MemoryStore(clock=clock), next(keys)
    for user in ("ann", "ann", "bob"):
        sign_in(store, key, user)
        assert [entry.key for entry in store.entries(user)] == [key]
        clock.advance(HOUR)
    assert store.entries("ann") == []


def test_an_entry_without_a_record_counts_for_a_while(
    clock: ManualClock, keys: Iterator[str]
) -> None:
    """A login that never came to its record blocks the next one for 30 s, and no longer."""
    store = MemoryStore(clock=clock)
    store.admit("ann", next(keys), limit=1, evict=False)
    clock.advance(ADMISSION_GRACE - 1)
    assert store.admit("ann", next(keys), limit=1, evict=False) == Refused()
    clock.advance(1)
    assert isinstance(store.admit("ann", next(keys), limit=1, evict=False), Admitted)


def test_an_entry_without_a_record_is_purged(clock: ManualClock, keys: Iterator[str]) -> None:
    """A purge removes the entry of a login that never came to its record, and no other."""
    store = MemoryStore(clock=clock)
    lost, kept = next(keys), next(keys)
    store.admit("ann", lost, limit=None, evict=False)
    sign_in(store, kept)
    clock.advance(GARBAGE_AFTER)
    assert store.purge() == 0
    assert [entry.key for entry in store.entries("ann")] == [kept]


def test_clear_all_empties_the_store(clock: ManualClock, keys: Iterator[str]) -> None:
    """After `clear_all` there are no sessions, no index and no epoch to confirm."""
    store = MemoryStore(clock=clock)
    user, visitor = next(keys), next(keys)
    admitted = store.admit("ann", user, limit=None, evict=False)
    assert isinstance(admitted, Admitted)
    store.create(user, b"user", expires_at=None, user_id="ann")
    visit(store, visitor)
    store.clear_all()
    assert live(store) == set()
    assert store.entries("ann") == []
    assert store.update(user, b"late", version=1, expires_at=None) == Gone()
    again = store.admit("ann", user, limit=None, evict=False)
    assert isinstance(again, Admitted)
    assert not store.confirm("ann", user, admitted.epoch)
    assert store.confirm("ann", user, again.epoch)


def test_two_stores_share_nothing(keys: Iterator[str]) -> None:
    """Whoever is given the same object shares its sessions; another object has its own."""
    key = next(keys)
    one, two = MemoryStore(), MemoryStore()
    visit(one, key)
    assert two.get(key) is None


def test_repr_shows_no_session(keys: Iterator[str]) -> None:
    """The representation has neither a key nor a payload in it."""
    store, key = MemoryStore(), next(keys)
    visit(store, key, b"private")
    assert repr(store) == "<MemoryStore namespace='coatcheck' records=1>"


def test_threads_never_exceed_the_bounds(clock: ManualClock) -> None:
    """Threads that create, update and delete at the same time leave the counts right."""
    store = MemoryStore(max_sessions=50, max_bytes=10**6, clock=clock)

    def work(number: int) -> None:
        for round_ in range(300):
            key = f"{number:08x}{round_:024x}"
            visit(store, key, bytes(round_))
            store.update(key, bytes(2 * round_), version=1, expires_at=None)
            store.touch(key, version=2, expires_at=clock() + HOUR)
            if round_ % 3 == 0:
                store.delete(key)
            store.scan(count=5)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert records(store) <= 50
    for key in live(store):
        store.delete(key)
    big = 10**6 - OVERHEAD
    assert store.create("f" * 32, bytes(big), expires_at=None, user_id="ann")
    assert records(store) == 1
