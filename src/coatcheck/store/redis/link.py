"""What the stores ask of a server, whatever the way to it: one command, a script, several, a page.

There are two ways, and each blocking and awaited: redis-py's public commands (`client`), for every
kind of client that somebody hands in, for Cluster and for Sentinel; and commands on connections of
the store's own to one server (`connection`, `stream`), which cost a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from coatcheck.store.redis.scripts import Script

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = Any


class Link(Protocol):
    """A way to the server; whatever goes wrong on it is a `StoreError`."""

    where: str
    """How errors name the server."""
    timeout: float | None
    """Seconds that it waits for a reply, where that is known."""
    ordered: bool
    """Whether the commands of `each` run one after the other, and an error stops none of them."""
    verbatim: bool
    """Whether replies are what the server has sent, and no command is ever sent twice."""

    def call(self, *command: Argument) -> Reply:
        """Return the reply to a command."""
        ...

    def read(self, *command: Argument) -> Reply:
        """Return the reply to a command that changes nothing, so that it may be sent twice."""
        ...

    def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """Run a script on one name."""
        ...

    def each(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the replies to several commands, at best in one round trip; errors among them."""
        ...

    def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """Return some names and the cursor of the next page, `""` being that of the first."""
        ...

    def close(self) -> None:
        """Close what was opened here."""
        ...


class AsyncLink(Protocol):
    """The same, awaited."""

    where: str
    timeout: float | None
    ordered: bool
    verbatim: bool

    async def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        ...

    async def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        ...

    async def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        ...

    async def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        ...

    async def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        ...

    async def aclose(self) -> None:
        """See `Link.close`."""
        ...


class Stepped:
    """A blocking link in the shape of an awaited one: its methods never suspend."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.where = link.where
        self.timeout = link.timeout
        self.ordered = link.ordered
        self.verbatim = link.verbatim

    async def call(self, *command: Argument) -> Reply:
        return self._link.call(*command)

    async def read(self, *command: Argument) -> Reply:
        return self._link.read(*command)

    async def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        return self._link.run(script, name, *arguments)

    async def each(self, commands: Sequence[Command]) -> list[Reply]:
        return self._link.each(commands)

    async def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        return self._link.scan(cursor, pattern, count)

    async def aclose(self) -> None:
        self._link.close()


def as_page(cursor: Reply, names: Reply) -> tuple[list[bytes], str | None]:
    """Return a reply to SCAN as a page; the cursor is a number, as text or not."""
    number = int(cursor)
    return list(names), str(number) if number else None
