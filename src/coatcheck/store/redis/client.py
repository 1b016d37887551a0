"""The way through redis-py's public commands: any client that somebody hands in.

What the client is set up to do stays so: its pool, its timeouts, its retries, its decoding of
replies, which is asked for raw bytes. A cluster is told each key, and scanned node by node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.client import NEVER_DECODE

from coatcheck.errors import StoreError
from coatcheck.store.redis.link import Argument, Command, Reply, as_page
from coatcheck.store.redis.loops import PerLoop, running_loop
from coatcheck.store.redis.scripts import Script
from coatcheck.store.redis.trouble import NoScript, Unreachable, meaning

_RAW: Final[dict[str, Any]] = {NEVER_DECODE: True}


class _Clients:
    """What both links have: the client, and what it is."""

    ordered = False
    verbatim = False

    def __init__(
        self, client: Any, where: str, *, is_cluster: bool, timeout: float | None = None
    ) -> None:
        self._client = client
        self.is_cluster = is_cluster
        self.timeout = timeout
        self.where = where

    def _wrong(self, error: BaseException) -> StoreError:
        return meaning(error, self.where, self.timeout)

    def _replies(self, replies: Sequence[Reply]) -> list[Reply]:
        """Return the replies of a pipeline, with our errors among them."""
        return [self._wrong(one) if isinstance(one, Exception) else one for one in replies]

    def _node(self, client: Any, cursor: str) -> tuple[Any, str, Any]:
        """Return the node that a cursor belongs to, its own cursor there, and the node after it.

        A node's cursor means nothing to another one, so a failover ends the scan with an error.
        """
        nodes = sorted(client.get_primaries(), key=lambda node: str(node.name))
        name, _, number = cursor.rpartition("|")
        for place, node in enumerate(nodes):
            if node.name == name or not cursor:
                return node, number or "0", (*nodes[place + 1 :], None)[0]
        raise StoreError(f"{self.where} has changed while it was scanned: begin anew")


def _cluster_page(reply: Reply, node: Any, after: Any) -> tuple[list[bytes], str | None]:
    """Return a reply of one node as a page; redis-py gives the cursors by the names of nodes."""
    cursors, found = reply
    names, number = as_page(next(iter(cursors.values())), found)
    if number is not None:
        return names, f"{node.name}|{number}"
    return names, None if after is None else f"{after.name}|0"


class ClientLink(_Clients):
    """A blocking client."""

    def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        try:
            return self._client.execute_command(*command, **_RAW)
        except Exception as error:
            raise self._wrong(error) from error

    def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        try:
            return self.call(*command)
        except Unreachable:
            return self.call(*command)

    def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return self.call("EVALSHA", script.sha, 1, name, *arguments)
        except NoScript:
            return self.call("EVAL", script.text, 1, name, *arguments)

    def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        try:
            with self._client.pipeline(**_plain(self.is_cluster)) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command, **_RAW)
                return self._replies(pipeline.execute(raise_on_error=False))
        except Exception as error:
            raise self._wrong(error) from error

    def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        rest = ("MATCH", pattern, "COUNT", count)
        if not self.is_cluster:
            return as_page(*self.call("SCAN", cursor or "0", *rest))
        names: list[bytes] = []
        following: str | None = cursor
        try:
            while following is not None and not names:
                node, number, after = self._node(self._client, following)
                reply = self._client.execute_command(
                    "SCAN", number, *rest, target_nodes=node, **_RAW
                )
                names, following = _cluster_page(reply, node, after)
        except Exception as error:
            raise self._wrong(error) from error
        return names, following

    def close(self) -> None:
        """Do nothing: the client belongs to whoever made it."""


class AsyncClientLink(_Clients):
    """An awaited client."""

    def _get(self) -> Any:
        running_loop()
        return self._client

    async def _ready(self) -> Any:
        """Return the client; a cluster's that does not know its nodes yet takes any of them."""
        client = self._get()
        if self.is_cluster:
            try:
                await client.initialize()
            except Exception as error:
                raise self._wrong(error) from error
        return client

    async def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        client = await self._ready()
        try:
            return await client.execute_command(*command, **_RAW)
        except Exception as error:
            raise self._wrong(error) from error

    async def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        try:
            return await self.call(*command)
        except Unreachable:
            return await self.call(*command)

    async def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return await self.call("EVALSHA", script.sha, 1, name, *arguments)
        except NoScript:
            return await self.call("EVAL", script.text, 1, name, *arguments)

    async def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        client = await self._ready()
        try:
            async with client.pipeline(**_plain(self.is_cluster)) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command, **_RAW)
                return self._replies(await pipeline.execute(raise_on_error=False))
        except Exception as error:
            raise self._wrong(error) from error

    async def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        rest = ("MATCH", pattern, "COUNT", count)
        if not self.is_cluster:
            return as_page(*await self.call("SCAN", cursor or "0", *rest))
        names: list[bytes] = []
        following: str | None = cursor
        client = await self._ready()
        try:
            while following is not None and not names:
                node, number, after = self._node(client, following)
                reply = await client.execute_command(
                    "SCAN", number, *rest, target_nodes=node, **_RAW
                )
                names, following = _cluster_page(reply, node, after)
        except Exception as error:
            raise self._wrong(error) from error
        return names, following

    async def aclose(self) -> None:
        """Do nothing: the client belongs to whoever made it."""


class OwnedClientLink(ClientLink):
    """A client that was made here, and is closed here, with those it asks for the primary."""

    def close(self) -> None:
        """Close the client."""
        for client in _family(self._client):
            client.close()


class OwnedAsyncClientLink(AsyncClientLink):
    """Awaited clients that are made here, one for each event loop, and closed here."""

    def __init__(self, make: Callable[[], Any], where: str, **options: Any) -> None:
        super().__init__(None, where, **options)
        self._clients = PerLoop(make, where)

    def _get(self) -> Any:
        return self._clients.current()

    async def aclose(self) -> None:
        """Close the running loop's client, and have other loops close theirs."""
        for loop, client in self._clients.close():
            for one in _family(client):
                if loop is asyncio.get_running_loop():
                    await one.aclose()
                else:
                    asyncio.run_coroutine_threadsafe(one.aclose(), loop)


def _family(client: Any) -> list[Any]:
    """Return a client, and the clients of the Sentinels that its pool asks."""
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    return [client, *(() if manager is None else manager.sentinels)]


def _plain(is_cluster: bool) -> dict[str, Any]:
    """Return what makes a pipeline that is no transaction; a cluster's never is one."""
    return {} if is_cluster else {"transaction": False}
