"""The fast way to one server under asyncio: one connection for each event loop, for all its tasks.

redis-py makes the connection, with addresses, TLS and passwords; then its transport is given this
protocol. Commands are written as they come, and replies handed out in the order of the commands.

That order is all that tells whose a reply is. So each command leaves its place in the queue only
with its reply, also where its task was cancelled meanwhile; and where a reply is too late, or is
none, the connection is given up with all that wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, Final

import hiredis
from hiredis import HiredisError, Reader
from redis import exceptions

from coatcheck.errors import StoreError
from coatcheck.store.redis.link import Argument, Command, Reply, as_page
from coatcheck.store.redis.loops import PerLoop
from coatcheck.store.redis.scripts import Script
from coatcheck.store.redis.trouble import FAILURES, Unreachable, error_reply, meaning

_NOTHING: Final = object()
_hiredis: Final[Any] = hiredis
_pack: Final[Callable[[Command], bytes]] = _hiredis.pack_command


def _hand_over(
    future: asyncio.Future[Reply], reply: Reply, loop: asyncio.AbstractEventLoop
) -> None:
    """Set a reply, and go on at once with the one task that awaits it.

    A future by itself wakes its task in the loop's next round. That is left to the loop where a
    task is running, for no other can be entered within it; and for a future that has several to
    call, or does not say whom.
    """
    callbacks: list[tuple[Any, Context]] = getattr(future, "_callbacks", None) or []
    if len(callbacks) != 1 or asyncio.current_task(loop) is not None:
        future.set_result(reply)
        return
    wake, context = callbacks[0]
    future.remove_done_callback(wake)
    future.set_result(reply)
    context.run(wake, future)


class Wire(asyncio.Protocol):
    """One connection: a queue of those who wait for replies."""

    def __init__(self, loop: asyncio.AbstractEventLoop, where: str, timeout: float) -> None:
        self._loop = loop
        self._where = where
        self._timeout = timeout
        self._transport: asyncio.Transport
        self._writer: Any = None
        self._reader: Any = Reader(replyError=error_reply, notEnoughData=_NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self.lost = False

    def take_over(self, connection: Any) -> None:
        """Go on with the transport of a connection that redis-py has made and introduced."""
        # A writer that is collected closes its transport.
        self._writer = writer = connection._writer
        connection._writer = connection._reader = None
        self._transport = writer.transport
        self._transport.set_protocol(self)
        if self._transport.is_closing():
            self.connection_lost(None)

    def send(self, packed: bytes) -> asyncio.Future[Reply]:
        """Write a command, and return what will be its reply, or the error that it is instead."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self.lost:
            future.set_result(Unreachable(f"{self._where} has closed the connection"))
            return future
        self._waiting.append((future, time.monotonic()))
        self._transport.write(packed)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        return future

    def data_received(self, data: bytes) -> None:
        """Hand out the replies; where only one has come, its task goes on at once."""
        reader, waiting = self._reader, self._waiting
        replies: list[tuple[asyncio.Future[Reply], Reply]] = []
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOTHING:
                replies.append((waiting.popleft()[0], reply))
        except (HiredisError, IndexError) as error:
            self.give_up(StoreError(f"{self._where} sent what is no reply: {error}"))
        alone = len(replies) == 1
        for future, reply in replies:
            if not future.done():
                if alone:
                    _hand_over(future, reply, self._loop)
                else:
                    future.set_result(reply)  # tasks go on in the order of their commands

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        reason = "the connection was closed" if exc is None else str(exc)
        self.give_up(Unreachable(f"{self._where} cannot be reached: {reason}"))

    def give_up(self, error: StoreError) -> None:
        """Close the connection, and answer with the error to all who wait."""
        self.lost = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._transport.abort()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                # As a result, not as an exception, of which asyncio tells if nobody looks.
                future.set_result(error)

    def _look(self) -> None:
        """See whether the oldest command has its reply; one timer does for all."""
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][1] + self._timeout - time.monotonic()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.give_up(meaning(exceptions.TimeoutError(), self._where, self._timeout))


class Loop:
    """What an event loop has: its connection, or the task that is making one."""

    def __init__(self, make: Callable[[], Any], where: str, timeout: float) -> None:
        self._make = make
        self._where = where
        self._timeout = timeout
        self._connecting: asyncio.Task[Wire] | None = None
        self.wire: Wire | None = None

    async def connected(self) -> Wire:
        """Return a connection; of those who come at once one connects, for all."""
        if self._connecting is None:
            # A task of its own, so that the first to come may be cancelled and the others go on.
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not connecting.cancelled() or (task is not None and task.cancelling()):
                raise
            raise StoreError(f"the store of {self._where} is closed") from None

    def _connected(self, task: asyncio.Task[Wire]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self.wire = task.result()

    async def _connect(self) -> Wire:
        connection = self._make()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, FAILURES):
                raise meaning(error, self._where, self._timeout) from error
            raise
        wire = Wire(asyncio.get_running_loop(), self._where, self._timeout)
        wire.take_over(connection)
        return wire

    def close(self) -> None:
        """Close the connection; a command under way is answered with an error."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self.wire is not None and not self.wire.lost:
            self.wire.give_up(StoreError(f"the store of {self._where} is closed"))


class StreamLink:
    """The connections of a store to one server, one for each event loop."""

    ordered = True
    verbatim = True

    def __init__(self, make: Callable[[], Any], where: str, timeout: float) -> None:
        self.where = where
        self.timeout: float | None = timeout
        self._loops = PerLoop(lambda: Loop(make, where, timeout), where)

    async def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        loop = self._loops.current()
        wire = loop.wire
        if wire is None or wire.lost:
            wire = await loop.connected()
        reply = await wire.send(_pack(command))
        if isinstance(reply, Exception):
            raise self._wrong(wire, reply) from reply
        return reply

    async def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        loop = self._loops.current()
        wire = loop.wire
        if wire is not None and not wire.lost:
            reply = await wire.send(_pack(command))
            if not isinstance(reply, Exception):
                return reply
            if not isinstance(reply, Unreachable):
                raise self._wrong(wire, reply) from reply
        return await self.call(*command)

    async def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        loop = self._loops.current()
        wire = loop.wire
        if wire is None or wire.lost:
            wire = await loop.connected()
        reply = await wire.send(_pack(("EVALSHA", script.sha, b"1", name, *arguments)))
        if not isinstance(reply, Exception):
            return reply
        if isinstance(reply, exceptions.NoScriptError):
            return await self.call("EVAL", script.text, b"1", name, *arguments)
        raise self._wrong(wire, reply) from reply

    async def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        loop = self._loops.current()
        wire = loop.wire
        if wire is None or wire.lost:
            wire = await loop.connected()
        replies = [await one for one in [wire.send(_pack(command)) for command in commands]]
        for reply in replies:
            if isinstance(reply, StoreError):
                raise reply
        return [self._wrong(wire, one) if isinstance(one, Exception) else one for one in replies]

    async def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        command: Command = ("SCAN", cursor or "0", "MATCH", pattern, "COUNT", count)
        return as_page(*await self.read(*command))

    def _wrong(self, wire: Wire, error: Exception) -> StoreError:
        wrong = meaning(error, self.where)
        if isinstance(error, exceptions.ReadOnlyError):
            # Another server may be in its place by now.
            wire.give_up(wrong)
        return wrong

    async def aclose(self) -> None:
        """Close the running loop's connection, and have other loops close theirs."""
        running = asyncio.get_running_loop()
        for loop, own in self._loops.close():
            if loop is running:
                own.close()
            else:
                loop.call_soon_threadsafe(own.close)
        # The transport closes its socket in the loop's next round.
        await asyncio.sleep(0)
