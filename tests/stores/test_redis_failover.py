"""Where Redis is several servers: a primary that is replaced, and slots that move."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from coatcheck.errors import StoreError
from coatcheck.store.protocol import Stored, Updated
from coatcheck.store.redis import AsyncRedisStore, RedisStore
from tests.servers import redis as servers
from tests.stores.redis_ways import KEY, KEYS, NEVER, Way


@pytest.fixture
def group() -> Iterator[servers.Sentinels]:
    """A primary, a replica and a Sentinel of the test's own."""
    group = servers.Sentinels()
    yield group
    group.remove()


def test_a_failover(group: servers.Sentinels) -> None:
    """When the primary dies, calls fail until the replica has taken over; then all goes on."""
    store, runner = RedisStore(group.url, timeout=0.5), asyncio.Runner()
    other = AsyncRedisStore(group.url, timeout=0.5)
    assert store.create(KEY, b"old", expires_at=NEVER, user_id="ann") is True
    assert runner.run(other.get(KEY)) == Stored(1, NEVER, b"old")
    group.primary.ask("WAIT", 1, 5000)
    group.primary.kill()

    def blocking() -> object:
        return store.update(KEY, b"new", version=1, expires_at=NEVER)

    def awaited() -> object:
        return runner.run(other.update(KEY, b"newer", version=2, expires_at=NEVER))

    for work, wanted in ((blocking, Updated(2)), (awaited, Updated(3))):
        deadline = time.monotonic() + servers.PATIENCE
        while True:
            assert time.monotonic() < deadline
            with contextlib.suppress(StoreError):
                outcome = work()
                break
            time.sleep(0.05)
        assert outcome == wanted
    assert store.get(KEY) == Stored(3, NEVER, b"newer")
    assert group.replica.ask("INFO", "replication")["role"] == "master"
    store.close()
    runner.run(other.aclose())
    runner.close()


@pytest.fixture
def pair() -> Iterator[tuple[servers.Server, servers.Server]]:
    """A primary and its replica."""
    with (
        servers.one_server("repl-diskless-sync-delay 0") as primary,
        servers.one_server(f"replicaof 127.0.0.1 {primary.port}") as replica,
    ):
        client: Any = redis.Redis(port=primary.port)
        with client:
            client.set("first", 1)
            # A new replica tells once a second how far it has come, until it is asked.
            servers.wait_for(lambda: client.wait(1, 2000) == 1)
        yield primary, replica


@pytest.mark.parametrize("kind", ["url", "async-url", "client"])
def test_writes_that_wait_for_a_replica(
    pair: tuple[servers.Server, servers.Server], kind: str
) -> None:
    """What is acknowledged is on the replica; where that cannot be had, the write is an error."""
    primary, replica = pair
    with Way(kind, primary.url, timeout=1, wait_replicas=1) as way:
        for number, key in enumerate(KEYS[:5]):
            assert way.create(key, b"1", "ann" if number % 2 else None) is True
            assert replica.ask("EXISTS", f"coatcheck/s/{key}") == 1
            assert way.update(key, b"2") == Updated(2)
            assert replica.ask("GET", f"coatcheck/s/{key}").endswith(b"2")
        admitted = way.admit("ann", KEY, limit=None, evict=False)
        assert way.confirm("ann", KEY, admitted.epoch) is True
        primary.ask("SCRIPT", "FLUSH")
        assert way.delete(KEY, user_id="ann") is not None
        assert replica.ask("EXISTS", f"coatcheck/s/{KEY}") == 0
        replica.kill()
        with pytest.raises(StoreError, match="a failover could take it back"):
            way.create()
        assert way.get(KEYS[2]) == Stored(2, NEVER, b"2")


def test_who_reads_does_not_wait_for_a_replica(
    pair: tuple[servers.Server, servers.Server],
) -> None:
    """Other tasks read on, while a write waits for a replica that is away."""
    primary, replica = pair
    replica.kill()

    async def use() -> bool:
        store = AsyncRedisStore(primary.url, timeout=1, wait_replicas=1)
        assert await store.get(KEY) is None
        write = asyncio.ensure_future(store.create(KEY, b"1", expires_at=NEVER, user_id=None))
        await asyncio.sleep(0)
        await store.get(KEY)
        early = not write.done()
        with pytest.raises(StoreError, match="a failover could take it back"):
            await write
        await store.aclose()
        return early

    assert asyncio.run(use())


def test_a_slot_that_moves() -> None:
    """While the slot of a session moves to another node, and when it has, it is the same one."""
    nodes = servers.new_cluster()
    url = servers.cluster_url(nodes)
    store, runner = RedisStore(url), asyncio.Runner()
    other = AsyncRedisStore(url)
    key = KEYS[7]
    name = f"coatcheck/s/{key}"
    assert store.create(key, b"1", expires_at=NEVER, user_id=None) is True
    assert runner.run(other.get(key)) == Stored(1, NEVER, b"1")
    slot: int = nodes[0].ask("CLUSTER", "KEYSLOT", name)
    ids = [node.ask("CLUSTER", "MYID").decode() for node in nodes]
    source = slot // (16_384 // 3 + 1)
    target = (source + 1) % 3
    nodes[target].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    nodes[source].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    try:
        assert store.update(key, b"2", version=1, expires_at=NEVER) == Updated(2)
        nodes[source].ask("MIGRATE", "127.0.0.1", nodes[target].port, name, 0, 5000)
        assert store.get(key) == Stored(2, NEVER, b"2")
        assert runner.run(other.update(key, b"3", version=2, expires_at=NEVER)) == Updated(3)
    finally:
        for node in (nodes[target], nodes[source], *nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    assert store.update(key, b"4", version=3, expires_at=NEVER) == Updated(4)
    assert runner.run(other.get(key)) == Stored(4, NEVER, b"4")
    store.close()
    runner.run(other.aclose())
    runner.close()
    for node in nodes:
        node.remove()
