"""Writes that count as done when replicas have them, so that a failover takes none back.

Each write is followed by `WAIT` on the same connection. Redis replicates without waiting else, and
a replica that takes over lacks what had not reached it yet: a change, or that somebody signed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.store.redis.link import Argument, AsyncLink, Command, Link, Reply
from coatcheck.store.redis.opening import TIMEOUT
from coatcheck.store.redis.scripts import Script
from coatcheck.store.redis.trouble import NoScript


def check_replicas(link: object, replicas: int) -> int:
    """Return the number if it can be one for this link; raise `ConfigurationError` if not."""
    if isinstance(replicas, bool) or not isinstance(cast("object", replicas), int) or replicas < 0:
        raise ConfigurationError("wait_replicas must be a whole number, 0 or more")
    if replicas and getattr(link, "is_cluster", False):
        raise ConfigurationError(
            "wait_replicas is for a server with replicas, alone or with Sentinels: redis-py sends"
            " no WAIT to the nodes of a cluster"
        )
    return replicas


class _Waiting:
    """What both links have in common: the command that waits, and what its reply means."""

    def __init__(self, link: Link | AsyncLink, replicas: int) -> None:
        self.where = link.where
        self.timeout = link.timeout
        self.ordered = link.ordered
        self.verbatim = link.verbatim
        self._replicas = replicas
        # A little less than what the connection waits for, so that it is this that gives up.
        self._wait: Command = ("WAIT", replicas, max(1, int((link.timeout or TIMEOUT) * 800)))

    def _done(self, replies: Sequence[Reply]) -> list[Reply]:
        """Return the replies to the writes; raise `StoreError` where too few replicas have them."""
        *done, reached = replies
        if all(isinstance(reply, Exception) for reply in done):
            return done
        if isinstance(reached, Exception):
            raise reached
        if reached < self._replicas:
            raise StoreError(
                f"{self.where} has made a write that {reached} of {self._replicas} replicas have"
                " got: a failover could take it back"
            )
        return done

    def _one(self, replies: Sequence[Reply]) -> Reply:
        (reply,) = self._done(replies)
        if isinstance(reply, Exception):
            raise reply
        return reply


def _evalsha(script: Script, name: bytes, arguments: tuple[Argument, ...]) -> Command:
    return ("EVALSHA", script.sha, 1, name, *arguments)


def _eval(script: Script, name: bytes, arguments: tuple[Argument, ...]) -> Command:
    return ("EVAL", script.text, 1, name, *arguments)


class WaitingLink(_Waiting):
    """A blocking link whose writes wait for replicas."""

    def __init__(self, link: Link, replicas: int) -> None:
        super().__init__(link, replicas)
        self._link = link
        self.read, self.scan, self.close = link.read, link.scan, link.close

    def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        return self._one(self._link.each([command, self._wait]))

    def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return self.call(*_evalsha(script, name, arguments))
        except NoScript:
            return self.call(*_eval(script, name, arguments))

    def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        return self._done(self._link.each([*commands, self._wait]))


class AsyncWaitingLink(_Waiting):
    """An awaited link whose writes wait for replicas.

    `writes` is another link for them, where tasks share a connection: `WAIT` keeps all that comes
    after it waiting too, and who reads is not to.
    """

    def __init__(self, link: AsyncLink, replicas: int, writes: AsyncLink | None = None) -> None:
        super().__init__(link, replicas)
        self._reads, self._link = link, writes or link
        self.read, self.scan = link.read, link.scan

    async def aclose(self) -> None:
        """See `Link.close`."""
        await self._reads.aclose()
        if self._link is not self._reads:
            await self._link.aclose()

    async def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        return self._one(await self._link.each([command, self._wait]))

    async def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return await self.call(*_evalsha(script, name, arguments))
        except NoScript:
            return await self.call(*_eval(script, name, arguments))

    async def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        return self._done(await self._link.each([*commands, self._wait]))
