"""A Redis store by each of the ways that lead to a server, driven alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

import redis
import redis.asyncio

from coatcheck.clock import Clock, system_clock
from coatcheck.store.protocol import AsyncStore, Store
from coatcheck.store.redis import AsyncRedisStore, RedisStore
from coatcheck.store.redis.connection import IDLE

_BLOCKING: Any = redis.Redis
_AWAITED: Any = redis.asyncio.Redis
KEYS = [f"{number:032x}" for number in range(50)]
KEY = KEYS[0]
NEVER = 4e9
"""A deadline that no test comes to."""


class Way:
    """A store, and the event loop that it needs, if any; its methods are called alike."""

    def __init__(
        self,
        kind: str,
        url: str | Store | AsyncStore,
        *,
        timeout: float = 3.0,
        clock: Clock = system_clock,
        wait_replicas: int = 0,
    ) -> None:
        self.runner = asyncio.Runner() if kind.startswith("async") else None
        self.client: Any = None
        if not isinstance(url, str):
            self.store: Any = url
        elif kind == "url":
            self.store = RedisStore(url, timeout=timeout, clock=clock, wait_replicas=wait_replicas)
        elif kind == "async-url":
            self.store = AsyncRedisStore(
                url, timeout=timeout, clock=clock, wait_replicas=wait_replicas
            )
        elif kind == "client":
            self.client = _BLOCKING.from_url(url, socket_timeout=timeout)
            self.store = RedisStore(self.client, clock=clock, wait_replicas=wait_replicas)
        else:
            self.client = _AWAITED.from_url(url, socket_timeout=timeout)
            self.store = AsyncRedisStore(self.client, clock=clock, wait_replicas=wait_replicas)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.store, name)

        def call(*args: Any, **options: Any) -> Any:
            if self.runner is None:
                return method(*args, **options)

            async def work() -> Any:
                return await method(*args, **options)

            return self.runner.run(work())

        return call

    def create(self, key: str = KEY, payload: bytes = b"", user_id: str | None = None) -> bool:
        """Create a record with a deadline that never comes."""
        created: bool = self.__getattr__("create")(key, payload, expires_at=NEVER, user_id=user_id)
        return created

    def update(self, key: str = KEY, payload: bytes = b"new", version: int = 1) -> Any:
        """Update a record."""
        return self.__getattr__("update")(key, payload, version=version, expires_at=NEVER)

    def touch(self, key: str = KEY, version: int = 1) -> Any:
        """Move a deadline."""
        return self.__getattr__("touch")(key, version=version, expires_at=NEVER + 1)

    def every_verb(self) -> dict[str, Callable[[], Any]]:
        """Return a call of each method."""
        call = self.__getattr__
        return {
            "get": lambda: call("get")(KEY),
            "create": lambda: self.create(KEYS[1], b"", "ann"),
            "update": self.update,
            "touch": self.touch,
            "delete": lambda: call("delete")(KEY, user_id="ann"),
            "entries": lambda: call("entries")("ann"),
            "admit": lambda: call("admit")("ann", KEY, limit=1, evict=True),
            "confirm": lambda: call("confirm")("ann", KEY, 1),
            "revoke": lambda: call("revoke")("ann"),
            "forget": lambda: call("forget")("ann", KEY),
            "purge": call("purge"),
            "claim_purge": lambda: call("claim_purge")(60),
            "scan": call("scan"),
        }

    def rest(self) -> None:
        """Let so much time pass that a connection is looked at before it is used again."""
        time.sleep(2 * IDLE)
        if self.runner is not None:
            self.runner.run(asyncio.sleep(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.runner is None:
            self.store.close()
            if self.client is not None:
                self.client.close()
            return
        self.runner.run(self._aclose())
        self.runner.close()

    async def _aclose(self) -> None:
        await self.store.aclose()
        if self.client is not None:
            await self.client.aclose()


WAYS = ("url", "async-url", "client", "async-client")
