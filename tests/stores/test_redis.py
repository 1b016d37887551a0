"""What is particular to the Redis stores: what lies in the server, and how it is asked."""

from __future__ import annotations

import asyncio
import gc
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import trio

from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store import open_async_store, open_store
from coatcheck.store.protocol import GARBAGE_AFTER, Admitted, Conflict, Refused, Stored, Updated
from coatcheck.store.redis import AsyncRedisStore, RedisStore, records, scripts
from coatcheck.store.redis.keys import HORIZON
from coatcheck.store.redis.loops import PerLoop
from coatcheck.store.redis.steps import update_arguments
from coatcheck.testing import ManualClock
from coatcheck.testing.store_contract import in_child
from tests.servers import redis as servers
from tests.stores.redis_ways import KEY, KEYS, NEVER, WAYS, Way

_REDIS: Any = redis.Redis
_SENTINEL: Any = redis.Sentinel
_POOL: Any = redis.ConnectionPool
HOUR, DAY = 3600.0, 86_400.0
SESSION, INDEX = b"coatcheck/s/" + KEY.encode(), b"coatcheck/u/ann"


@pytest.fixture
def url() -> str:
    """The URL of an empty database."""
    return servers.fresh_url()


@pytest.fixture
def raw(url: str) -> Iterator[Any]:
    """A client of redis-py, to look with."""
    client = _REDIS.from_url(url, protocol=2)
    yield client
    client.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, url: str, clock: ManualClock) -> Iterator[Way]:
    """A store by each way."""
    with Way(request.param, url, clock=clock) as way:
        yield way


def life(raw: Any, name: bytes) -> float | None:
    """Return the seconds that a name has to live; `None`: for ever."""
    left: int = raw.pttl(name)
    return None if left == -1 else left / 1000


def test_sec_81_every_name_has_a_time_to_live(way: Way, raw: Any, clock: ManualClock) -> None:
    """A record's is its deadline and what clocks may differ; a user's index lasts longer."""
    deadline = clock() + HOUR
    way.admit("ann", KEY, limit=None, evict=False)
    way.__getattr__("create")(KEY, b"", expires_at=deadline, user_id="ann")
    way.claim_purge(600)
    assert sorted(raw.keys()) == [b"coatcheck/purge", SESSION, INDEX]
    assert life(raw, SESSION) == pytest.approx(HOUR + GARBAGE_AFTER, abs=5)
    assert life(raw, INDEX) == pytest.approx(HOUR + HORIZON + GARBAGE_AFTER, abs=5)
    assert life(raw, b"coatcheck/purge") == pytest.approx(600 + GARBAGE_AFTER, abs=5)
    way.__getattr__("touch")(KEY, version=1, expires_at=deadline + HOUR)
    assert life(raw, SESSION) == pytest.approx(2 * HOUR + GARBAGE_AFTER, abs=5)
    way.__getattr__("update")(KEY, b"", version=1, expires_at=clock() + 60)
    assert life(raw, SESSION) == pytest.approx(60 + GARBAGE_AFTER, abs=5)


def test_an_index_outlives_its_sessions(way: Way, raw: Any, clock: ManualClock) -> None:
    """However far a deadline moves, the index that a revocation needs is told to last longer."""
    way.admit("ann", KEY, limit=None, evict=False)
    way.__getattr__("create")(KEY, b"", expires_at=clock() + HOUR, user_id="ann")
    touch, update = way.__getattr__("touch"), way.__getattr__("update")
    assert touch(KEY, version=1, expires_at=clock() + 3 * DAY) is True
    assert life(raw, INDEX) == pytest.approx(3 * DAY + HORIZON + GARBAGE_AFTER, abs=5)
    assert update(KEY, b"a", version=1, expires_at=clock() + 9 * DAY) == Updated(2)
    assert life(raw, INDEX) == pytest.approx(9 * DAY + HORIZON + GARBAGE_AFTER, abs=5)
    assert update(KEY, b"b", version=2, expires_at=None) == Updated(3)
    assert life(raw, INDEX) is None
    assert life(raw, SESSION) is None
    assert update(KEY, b"c", version=3, expires_at=clock() + HOUR) == Updated(4)
    assert way.get(KEY) == Stored(4, clock() + HOUR, b"c")
    assert records.user_of(raw.get(SESSION)) == b"ann"


def test_nothing_is_left_of_a_user_who_has_gone(way: Way, raw: Any) -> None:
    """With the last entry the index goes, epoch and all."""
    epochs: list[int] = []
    for key in KEYS[:2]:
        epochs.append(way.admit("ann", key, limit=3, evict=False).epoch)
        way.create(key, b"", "ann")
        way.delete(key)
        assert raw.dbsize() == 0
    assert epochs[0] < epochs[1]


def test_the_limit_counts_who_is_there(way: Way, raw: Any, clock: ManualClock) -> None:
    """At the limit the old entries are looked at, and those without a record make room."""
    for number in range(3):
        way.admit("ann", KEYS[number], limit=None, evict=False)
        if number:
            way.create(KEYS[number], b"", "ann")
    assert way.admit("ann", KEYS[9], limit=3, evict=False) == Refused()
    clock.advance(31)
    admitted = way.admit("ann", KEYS[3], limit=3, evict=True)
    assert isinstance(admitted, Admitted)
    assert admitted.evicted == []
    way.create(KEYS[3], b"", "ann")
    assert [entry.key for entry in way.entries("ann")] == KEYS[1:4]
    assert way.admit("ann", KEYS[4], limit=3, evict=True).evicted == [KEYS[1]]
    raw.delete(b"coatcheck/s/" + KEYS[2].encode())
    clock.advance(GARBAGE_AFTER + 1)
    assert way.purge() == 0
    assert [entry.key for entry in way.entries("ann")] == [KEYS[1], KEYS[3]]


def test_a_limit_far_below_what_is_there(way: Way, raw: Any, clock: ManualClock) -> None:
    """However many have to make room, each of them is named."""
    entry = struct.pack(">dd", 0.0, clock()) + b"0"
    raw.hset(INDEX, mapping={"e": "1", "c": "0"} | {f"{n:032x}": entry for n in range(9000)})
    assert len(way.admit("ann", "f" * 32, limit=1, evict=True).evicted) == 9000


def test_a_write_sent_twice_is_one_write(way: Way, raw: Any, clock: ManualClock) -> None:
    """A client that has lost the answer and sends the command again is told of its own success."""
    way.create()
    arguments = update_arguments(b"new", 1, NEVER, clock())
    command = ("EVAL", scripts.UPDATE.text, 1, SESSION, *arguments)
    assert raw.execute_command(*command) == 1
    assert raw.execute_command(*command) == 1
    assert way.update(version=1) == Conflict(Stored(2, NEVER, b"new"))


class Twice(redis.Redis):
    """A client that has always lost the first answer."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        _REDIS.execute_command(self, *args, **options)
        return _REDIS.execute_command(self, *args, **options)


def test_a_client_that_sends_everything_twice(url: str) -> None:
    """It creates and updates as others do."""
    client: Any = Twice
    with client.from_url(url) as twice:
        store = RedisStore(twice)
        for key, user_id, deadline in (
            (KEY, None, NEVER),
            (KEYS[1], "ann", NEVER),
            (KEYS[2], None, None),
        ):
            assert store.create(key, b"1", expires_at=deadline, user_id=user_id) is True
            assert store.update(key, b"2", version=1, expires_at=deadline) == Updated(2)
            assert store.update(key, b"3", version=1, expires_at=deadline) == Conflict(
                Stored(2, deadline, b"2")
            )
            assert store.create(key, b"4", expires_at=deadline, user_id=user_id) is False
        assert isinstance(store.admit("ann", KEYS[3], limit=None, evict=True), Admitted)
        room = store.admit("ann", KEYS[4], limit=1, evict=True)
        assert isinstance(room, Admitted)
        assert room.evicted == [KEYS[3]]


def test_round_trips(way: Way, url: str, raw: Any) -> None:
    """One command each, as the server has counted them; a conflict brings the record along."""
    way.create(KEYS[9])
    for call in way.every_verb().values():
        call()  # so that connections are made and scripts known
    raw.flushdb()

    def cost(call: Callable[[], object]) -> dict[str, int]:
        raw.config_resetstat()
        call()
        stats: dict[str, dict[str, int]] = raw.info("commandstats")
        found = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
        inside = ("getrange", "setrange", "pexpire", "info", "config|resetstat", "hget", "hdel")
        for name in (*inside, "hlen", "del"):
            found.pop(name, None)
        return found

    assert cost(lambda: way.get(KEY)) == {"get": 1}
    assert cost(way.create) == {"set": 1}
    assert cost(lambda: way.get(KEY)) == {"get": 1}
    assert cost(way.touch) == {"evalsha": 1}
    assert cost(way.update) == {"evalsha": 1, "set": 1}
    assert cost(way.update) == {"evalsha": 1, "get": 1}
    assert cost(lambda: way.delete(KEY)) == {"getdel": 1}
    assert cost(lambda: way.create(KEY, b"", "ann")) == {"set": 1}
    assert cost(lambda: way.delete(KEY, user_id="ann")) == {"getdel": 1, "evalsha": 1}


def test_tasks_that_are_cancelled(url: str) -> None:
    """Whoever goes on gets the reply to the own command, whoever else was cancelled."""

    async def main() -> None:
        store = AsyncRedisStore(url)
        for key in KEYS:
            await store.create(key, key.encode(), expires_at=None, user_id=None)

        async def read(key: str) -> None:
            for _ in range(10):
                assert await store.get(key) == Stored(1, None, key.encode())

        for turn in range(5):
            tasks = [asyncio.ensure_future(read(key)) for key in KEYS]
            for _ in range(turn):
                await asyncio.sleep(0)
            doomed = tasks[turn::2]
            for task in doomed:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [r for r, task in zip(results, tasks, strict=True) if task not in doomed] == [
                None
            ] * (len(tasks) - len(doomed))
        await store.aclose()

    asyncio.run(main())


def test_the_first_task_is_cancelled_while_it_connects(url: str) -> None:
    """The others get the connection that it has asked for."""

    async def main() -> None:
        store = AsyncRedisStore(url)
        tasks = [asyncio.ensure_future(store.get(KEY)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [None, None]
        await store.aclose()

    asyncio.run(main())


def test_a_store_that_is_closed_while_it_connects(url: str) -> None:
    """Who waits for the connection is told, and not taken for cancelled."""

    async def main() -> None:
        store = AsyncRedisStore(url)
        waiting = asyncio.ensure_future(store.get(KEY))
        await asyncio.sleep(0)
        await store.aclose()
        with pytest.raises(StoreError, match="closed"):
            await waiting

    asyncio.run(main())


def test_two_loops_begin_at_the_same_moment() -> None:
    """Each keeps what was made for it; else nobody could close that any more."""
    things, armed, found = PerLoop(object, "nowhere"), threading.Event(), list[object]()

    async def ask() -> object:
        return things.current()

    with asyncio.Runner() as one, asyncio.Runner() as other:
        late = threading.Thread(target=lambda: found.append(other.run(ask())))

        class Watched(asyncio.SelectorEventLoop):
            def is_closed(self) -> bool:
                if armed.is_set():
                    # Just where the first one looks which loops are over.
                    armed.clear()
                    late.start()
                    late.join(0.1)
                return super().is_closed()

        with asyncio.Runner(loop_factory=Watched) as watched:
            watched.run(ask())
            armed.set()
            one.run(ask())
            late.join()
            assert [other.run(ask())] == found


def test_several_event_loops(url: str) -> None:
    """A store serves several loops, at the same time and one after the other."""
    store = AsyncRedisStore(url)

    async def use(key: str) -> None:
        assert await store.create(key, key.encode(), expires_at=None, user_id=None) is True
        for _ in range(20):
            assert await store.get(key) == Stored(1, None, key.encode())

    runners = [asyncio.Runner() for _ in range(3)]
    threads = [
        threading.Thread(target=runner.run, args=(use(key),))
        for runner, key in zip(runners, KEYS, strict=False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runners[0].run(use(KEYS[10]))
    runners[0].run(store.aclose())
    with pytest.raises(StoreError, match="closed"):
        runners[0].run(store.get(KEY))
    for runner in runners:
        runner.run(asyncio.sleep(0))
        runner.close()


def test_a_fork_between_two_uses(url: str) -> None:
    """A child has connections of its own, and its end takes nothing from the parent."""
    blocking, awaited, runner = RedisStore(url), AsyncRedisStore(url), asyncio.Runner()
    blocking.create(KEY, b"", expires_at=None, user_id=None)
    runner.run(awaited.get(KEY))

    def use() -> bool:
        async def update() -> Any:
            outcome = await awaited.update(KEY, b"", version=2, expires_at=None)
            await awaited.aclose()
            return outcome

        first = blocking.update(KEY, b"", version=1, expires_at=None)
        gc.collect()
        return (first, asyncio.run(update())) == (Updated(2), Updated(3))

    for _ in range(2):
        assert in_child(use) is True
        assert blocking.update(KEY, b"", version=3, expires_at=None) == Updated(4)
        assert runner.run(awaited.get(KEY)) == Stored(4, None, b"")
        blocking.delete(KEY)
        blocking.create(KEY, b"", expires_at=None, user_id=None)
    blocking.close()
    runner.run(awaited.aclose())
    runner.close()


def test_a_closed_store(way: Way) -> None:
    """A store that was given a URL opens no more connections; one with a client closes nothing."""
    way.create()
    close = "close" if way.runner is None else "aclose"
    way.__getattr__(close)()
    if way.client is not None:
        assert way.get(KEY) == Stored(1, NEVER, b"")
    else:
        with pytest.raises(StoreError, match="closed"):
            way.get(KEY)


def test_no_more_connections_than_callers(url: str, raw: Any) -> None:
    """Threads that come one after the other use one connection."""
    store = RedisStore(url)
    before = len(raw.client_list())
    for key in KEYS[:5]:
        thread = threading.Thread(target=store.get, args=(key,))
        thread.start()
        thread.join()
    assert len(raw.client_list()) == before + 1
    store.close()


def test_trio_is_told(url: str) -> None:
    """Redis needs asyncio under ASGI, and says what to do."""

    async def main() -> None:
        for server in (url, redis.asyncio.Redis(), "redis+cluster://localhost"):
            with pytest.raises(ConfigurationError, match="give a RedisStore"):
                await AsyncRedisStore(server).get(KEY)

    trio.run(main)


def test_urls(url: str) -> None:
    """Each scheme opens its store, and the same records have the same location."""
    server = servers.shared()
    socket = f"unix://{server.socket}"
    for one in (url, url.replace("redis", "valkey"), f"{socket}?db={url.rpartition('/')[2]}"):
        store: Any = open_store(one, timeout=2)
        assert isinstance(store, RedisStore)
        assert store.create(KEY, b"", expires_at=None, user_id=None) is (one == url)
        store.close()

    async def main() -> None:
        store: Any = open_async_store(f"redis+{socket}?db={url.rpartition('/')[2]}")
        assert isinstance(store, AsyncRedisStore)
        assert await store.get(KEY) == Stored(1, None, b"")
        await store.aclose()

    asyncio.run(main())
    client, pool = _REDIS.from_url(url), _POOL.from_url(url)
    locations = {RedisStore(one).location for one in (url, client, pool)}
    assert len({*locations, AsyncRedisStore(url).location}) == 1
    client.close()


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (RedisStore, lambda: redis.asyncio.Redis(), "AsyncRedisStore"),
        (AsyncRedisStore, lambda: redis.Redis(), "this client blocks"),
        (RedisStore, lambda: _SENTINEL([]), "master_for"),
        (RedisStore, lambda: _REDIS().pipeline(), "give the client itself"),
        (RedisStore, object, "a client of redis-py"),
        (AsyncRedisStore, lambda: None, "a client of redis-py"),
        (RedisStore, lambda: "localhost:6379", "redis://localhost:6379/0"),
        (RedisStore, lambda: "redis://localhost?timeout=1", "as keywords"),
    ],
)
def test_what_is_no_server(kind: Callable[[Any], object], given: Any, told: str) -> None:
    """Whatever else is handed in is refused, with the remedy."""
    with pytest.raises(ConfigurationError, match=told):
        kind(given())


def test_options_belong_to_a_url(url: str) -> None:
    """A client has its own timeouts, and nothing of it is replaced."""
    with pytest.raises(ConfigurationError, match="timeout belongs to a URL"):
        RedisStore(redis.Redis(), timeout=1)
    with pytest.raises(ConfigurationError, match="db"):
        RedisStore("unix:///run/redis.sock", db=-1)
    with pytest.raises(ConfigurationError, match="wait_replicas must be a whole number"):
        RedisStore(url, wait_replicas=-1)
    with pytest.raises(ConfigurationError, match="no WAIT to the nodes of a cluster"):
        AsyncRedisStore("redis+cluster://localhost", wait_replicas=1)
