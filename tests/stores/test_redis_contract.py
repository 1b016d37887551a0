"""The Redis stores pass the contract on every kind of server and by both ways to it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import redis
import redis.asyncio

from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.store.redis import AsyncRedisStore, RedisStore
from coatcheck.testing import (
    AsyncStoreContract,
    MakeAsyncStore,
    MakeStore,
    ManualClock,
    StoreContract,
)
from coatcheck.testing.store_cases.base import OtherProcess
from tests.servers import redis as servers
from tests.stores.test_contract import ENROLMENT, without

REDIS: Any = redis.Redis
ASYNC_REDIS: Any = redis.asyncio.Redis
LEFT_OUT = ("test_16_purge_in_batches", *ENROLMENT)
"""The engine purges, and the index of a user need not lie where the records do."""
PROCESSES = "test_22_no_increment_is_lost_between_processes"
"""It takes seconds to start them, and they know nothing of what leads to the server."""


class Redis:
    """What the contracts on Redis have in common."""

    engine_expires = True
    server: ClassVar[str] = "node"

    @pytest.fixture
    def url(self) -> str:
        """The URL of an empty server."""
        servers.needs_redis()
        return servers.FRESH[self.server]()


class Blocking(Redis):
    """A blocking store, given a URL."""

    @pytest.fixture
    def other_process(self, url: str) -> OtherProcess:
        return functools.partial(RedisStore, url)

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> RedisStore:
            return RedisStore(url, namespace=namespace, clock=clock)

        return make


class Awaited(Redis):
    """An awaited store, given a URL."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return "asyncio"

    @pytest.fixture
    def other_process(self, url: str) -> OtherProcess:
        return functools.partial(AsyncRedisStore, url)

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> MakeAsyncStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncRedisStore:
            return AsyncRedisStore(url, namespace=namespace, clock=clock)

        return make


@without(*LEFT_OUT)
class TestRedisStore(Blocking, StoreContract):
    """One server, on connections of the store's own."""

    server = "node"


@without(*LEFT_OUT)
class TestAsyncRedisStore(Awaited, AsyncStoreContract):
    """One server, all commands on one connection."""

    server = "node"


@without(*LEFT_OUT, PROCESSES)
class TestRedisStoreOfClient(Blocking, StoreContract):
    """A client that was handed in, which decodes replies for whoever else uses it."""

    server = "node"
    examples = 20
    histories = 20

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> Iterator[MakeStore]:
        now, client = clock, REDIS.from_url(url, decode_responses=True)

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> RedisStore:
            return RedisStore(client, namespace=namespace, clock=clock)

        yield make
        client.close()


@without(*LEFT_OUT, PROCESSES, "test_52_use_after_fork")
class TestAsyncRedisStoreOfClient(Awaited, AsyncStoreContract):
    """An awaited client that was handed in, and so belongs to one event loop."""

    server = "node"
    examples = 20
    histories = 20

    @pytest.fixture
    async def make_store(self, url: str, clock: ManualClock) -> Any:
        now, client = clock, ASYNC_REDIS.from_url(url, decode_responses=True)

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncRedisStore:
            return AsyncRedisStore(client, namespace=namespace, clock=clock)

        yield make
        await client.aclose()


@without(*LEFT_OUT, PROCESSES)
class TestRedisClusterStore(Blocking, StoreContract):
    """A cluster of three nodes."""

    server = "cluster"
    examples = 20
    histories = 20


@without(*LEFT_OUT, PROCESSES)
class TestAsyncRedisClusterStore(Awaited, AsyncStoreContract):
    """The same, awaited."""

    server = "cluster"
    examples = 20
    histories = 20


@without(*LEFT_OUT, PROCESSES)
class TestRedisSentinelStore(Blocking, StoreContract):
    """A primary that Sentinels name."""

    server = "sentinel"
    examples = 20
    histories = 20


@without(*LEFT_OUT, PROCESSES)
class TestAsyncRedisSentinelStore(Awaited, AsyncStoreContract):
    """The same, awaited."""

    server = "sentinel"
    examples = 20
    histories = 20
