"""The page on many sessions: its arithmetic, and its constants beside real servers."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from coatcheck import AsyncSessionManager, Session, SessionConfig, SessionManager
from coatcheck.drivers import Blocking
from coatcheck.errors import SaveConflict, SessionTooLarge
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import Updated, UpdateOutcome
from coatcheck.testing import AsyncCountingStore, CountingStore, ManualClock
from tests.benchmarks import bare, engines
from tests.benchmarks.engines import FUTURE, Engine, key_of, user_of
from tests.benchmarks.footprint import (
    LARGER,
    TYPICAL,
    bytes_a_session,
    operations,
    payload,
    redis_meter,
)
from tests.core.harness import SECRET
from tests.scale import measured
from tests.scale.model import (
    GAP,
    HOURS,
    MONTHS,
    TRAFFIC,
    VISIT_REQUESTS,
    Node,
    carries,
    cluster,
    touches_a_second,
    touches_at_a_beat,
)
from tests.scale.page import COUNTS, PAGE, page
from tests.servers import mariadb, postgresql, redis

TOLERANCE = 0.15
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "Redis": lambda folder: engines.Redis(redis.shared()),
    "PostgreSQL": lambda folder: engines.PostgreSQLEngine(postgresql.shared()),
    "MariaDB": lambda folder: engines.MariaDBEngine(mariadb.shared()),
    "SQLite": lambda folder: engines.SQLite(str(folder)),
    "file": lambda folder: engines.File(str(folder)),
    "memory": lambda folder: engines.Memory(traced=True),
}
SAMPLE = {"file": 300, "memory": 2_000, "MariaDB": 30_000}
"""How many sessions are looked at; 10,000 elsewhere. MariaDB takes its space by the megabyte."""


@contextmanager
def opened(name: str, folder: Path) -> Generator[Engine]:
    """An engine on a server of the tests."""
    engine = ENGINES[name](folder)
    try:
        yield engine
    finally:
        engine.close()


@pytest.mark.parametrize("name", ENGINES)
def test_what_a_session_takes(name: str, tmp_path: Path) -> None:
    """The model says within 15 % what thousands of sessions take, with a user and without."""
    model, count = measured.FOOTPRINTS[name], SAMPLE.get(name, 10_000)
    with opened(name, tmp_path) as engine:
        for table, size, users in (
            ("small", TYPICAL, False),
            ("large", LARGER, False),
            ("owned", TYPICAL, True),
        ):
            found = bytes_a_session(engine, table, count, size, users=users)
            assert found == pytest.approx(model.session(size, signed_in=users), rel=TOLERANCE)


@pytest.mark.parametrize("name", ENGINES)
def test_filled_tables_are_as_the_store_leaves_them(name: str, tmp_path: Path) -> None:
    """What is measured are sessions: they are read, changed, listed, found by user and purged."""
    data = payload(50)
    with opened(name, tmp_path) as engine:
        engine.fill("filled", 20, data, users=True)
        store = engine.store("filled")
        assert all(store.get(key_of(number)).payload == data for number in range(20))
        assert store.update(key_of(3), b"x", version=1, expires_at=FUTURE) == Updated(2)
        assert [entry.key for entry in store.entries(user_of(3))] == [key_of(3)]
        assert store.delete(key_of(4), user_id=user_of(4)).payload == data
        assert store.entries(user_of(4)) == []
        keys, _ = store.scan(None, count=1000)
        assert sorted(keys) == sorted(key_of(number) for number in range(20) if number != 4)
        if name not in ("Redis", "memory"):
            engine.fill("half", 20, data, lapsed=True)
            assert engine.store("half").purge(1000) == 10
            assert [engine.store("half").get(key_of(n)) is None for n in range(4)] == [
                *(False, True, False, True)
            ]


def _bytes_of(found: Any) -> bytes:
    """Return what a bare read found: bytes, a row, or a list of rows."""
    if isinstance(found, bytes):
        return found
    return b"".join(_bytes_of(each) for each in found if isinstance(each, (bytes, tuple)))


@pytest.mark.parametrize("name", ENGINES)
def test_bare_operations_are_on_the_same_records(name: str, tmp_path: Path) -> None:
    """What the stores are compared with finds their records, and leaves them as they can read."""
    data = payload(50)
    with opened(name, tmp_path) as engine:
        engine.fill("bare", 5, data)
        requests = bare.of(engine, "bare", 5, data)
        assert data in _bytes_of(requests.read(key_of(2)))
        requests.write(key_of(3))
        requests.begin(key_of(5))
        requests.close()
        store = engine.store("bare")
        assert [store.get(key_of(number)) is None for number in (2, 3, 5)] == [False, False, True]


def test_what_goes_over_the_wire() -> None:
    """The bytes to Redis and from it are those of the model, for each operation."""
    engine, meter, repeat = engines.Redis(redis.shared()), redis_meter(redis.shared()), 300
    engine.fill("wire", 10, payload(TYPICAL))
    for name, operation in operations(engine.store("wire"), 10).items():
        operation(0)
        before = meter()
        for number in range(1, repeat + 1):
            operation(number)
        after = meter()
        model = measured.COSTS["Redis"][name]
        sent, received = (after.sent - before.sent), (after.received - before.received)
        assert sent / repeat == pytest.approx(model.sent, rel=TOLERANCE, abs=3), name
        # The meter's own answers are in it: some kilobytes.
        assert received / repeat == pytest.approx(model.received, rel=TOLERANCE, abs=30), name
    engine.close()


def by_chance(gap: float) -> Iterator[float]:
    """Yield lengths as of a Poisson process, the same ones each time."""
    number = 0
    while True:
        number += 1
        digest = hashlib.sha256(b"%d" % number).digest()
        yield -gap * math.log((int.from_bytes(digest[:7], "big") + 0.5) / 2**56)


@pytest.mark.parametrize("gap", [1.0, GAP, 300.0])
@pytest.mark.parametrize("kind", ["chance", "beat"])
def test_touches_as_the_model_says(gap: float, kind: str) -> None:
    """A session that is only read is touched as often as the formula says, to within 5 %."""
    clock = ManualClock()
    store = CountingStore(MemoryStore(clock=clock))
    manager = SessionManager(secret=SECRET, store=store, clock=clock, expire=36_000.0)
    session_id = manager.create(data={"n": 1}).id
    lengths = by_chance(gap) if kind == "chance" else iter(lambda: gap, None)
    begun, requests = clock(), 4_000 if gap < 60 else 1_500
    store.reset()
    for _ in range(requests):
        clock.advance(next(lengths))
        session = manager.open(session_id)
        assert isinstance(session, Session)
        assert session["n"] == 1
        session.save()
    taken = clock() - begun
    model = touches_a_second if kind == "chance" else touches_at_a_beat
    assert store.calls["touch"] / taken == pytest.approx(model(gap, 60.0), rel=0.05)
    assert store.calls["get"] == requests
    assert not store.calls["update"]


def test_a_visit_costs_what_the_model_says() -> None:
    """Requests of one visit, played: reads, touches and writes are those of the arithmetic."""
    clock = ManualClock()
    store = CountingStore(MemoryStore(clock=clock))
    manager = SessionManager(secret=SECRET, store=store, clock=clock)
    visits, lengths = 60, by_chance(GAP)
    for _ in range(visits):
        session_id = manager.create(data={"n": 0}).id
        for number in range(1, VISIT_REQUESTS):
            clock.advance(next(lengths))
            session = manager.open(session_id)
            assert isinstance(session, Session)
            if number in (7, 14):
                session["n"] += 1
            session.save()
    rates = HOURS.operations()
    for name in ("get", "create", "update"):
        assert store.calls[name] / visits == pytest.approx(rates[name] * HOURS.live), name
    # A write is a touch as well, which the model leaves out: it is the upper bound.
    assert 0.6 < store.calls["touch"] / visits / (rates["touch"] * HOURS.live) < 1


class Suspends(AsyncCountingStore):
    """A store in memory that lets others go on while it works, as one on a server does."""

    def __init__(self) -> None:
        super().__init__(Blocking(MemoryStore()))

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Go on after all who want to update now."""
        await asyncio.sleep(0)
        return await super().update(key, payload, version=version, expires_at=expires_at)


def test_what_one_session_for_all_costs() -> None:
    """`n` requests that change one session in step need `n * (n + 1) / 2` updates; none is lost."""
    at_once, store = 16, Suspends()
    manager = AsyncSessionManager(secret=SECRET, store=store)

    async def change(number: int, session_id: str) -> None:
        session = await manager.open(session_id)
        assert session is not None
        session[f"key {number}"] = number
        await session.save()

    async def race() -> int:
        session_id = (await manager.create(data={})).id
        await asyncio.gather(*(change(number, session_id) for number in range(at_once)))
        found = await manager.open(session_id)
        assert found is not None
        return len(found)

    assert asyncio.run(race()) == at_once
    assert store.calls["update"] == at_once * (at_once + 1) // 2
    assert f"{at_once} requests: {at_once * (at_once + 1) // 2} updates" in page()


@pytest.mark.parametrize("traffic", TRAFFIC, ids=lambda one: str(one.name))
def test_a_cluster_that_is_asked_for_carries_what_it_is_for(traffic: Any) -> None:
    """Both tables say the same: so many nodes are enough, and one less is not."""
    redis_of = (measured.FOOTPRINTS["Redis"], measured.COSTS["Redis"])
    for count in COUNTS:
        found = cluster(count, traffic, *redis_of)
        most, bound = carries(found.nodes, traffic, *redis_of)
        assert most >= count
        assert bound == found.bound
        if found.nodes > 1:
            assert carries(found.nodes - 1, traffic, *redis_of)[0] < count


def test_what_bounds_a_cluster() -> None:
    """Whatever there is least of; larger sessions need more memory and more network."""
    redis_of = (measured.FOOTPRINTS["Redis"], measured.COSTS["Redis"])
    assert cluster(1e9, MONTHS, *redis_of).bound == "memory"
    assert cluster(1e9, HOURS, *redis_of).bound == "processor"
    narrow = Node(network=1e6)
    assert cluster(1e9, HOURS, *redis_of, node=narrow).bound == "network"
    small, large = (cluster(1e6, HOURS, *redis_of, size=size) for size in (TYPICAL, 65_536))
    assert large.memory > 50 * small.memory
    assert large.received > 50 * small.received


def test_the_page_is_made_from_the_model() -> None:
    """`make scale` writes it; nobody else does."""
    assert PAGE.read_text(encoding="utf-8") == page()
    assert "| remembered, 10^9 |" in page()


def test_what_bounds_the_hot_spots_is_there() -> None:
    """The page names options and errors by their names, and the sizes that hold by default."""
    text = page()
    options = {field.name for field in fields(SessionConfig)}
    for name in ("max_size", "max_sessions_per_user", "touch_interval", "expire", "lifetime"):
        assert name in options
        assert f"`{name}`" in text
    for error in (SaveConflict, SessionTooLarge):
        assert f"`{error.__name__}`" in text
    assert f"{SessionConfig(secret=SECRET).max_size:,}" in text
