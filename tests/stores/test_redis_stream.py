"""The wire of the awaited Redis store: who gets which reply, and when its task goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from coatcheck.errors import StoreError
from coatcheck.store.redis.stream import Wire

Case = Callable[[Wire, socket.socket], Awaitable[None]]
SOON = 5.0


class Connected:
    """As much of a connection of redis-py as is taken over: one end of a pair of sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader: Any = reader
        self._writer: Any = writer


def on_a_wire(case: Case) -> None:
    """Run a case on a wire and the server's end of it."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            wire = Wire(asyncio.get_running_loop(), "Redis", SOON)
            wire.take_over(Connected(*await asyncio.open_connection(sock=ours)))
            await case(wire, theirs)
            if not wire.lost:
                wire.give_up(StoreError("closed"))
            await asyncio.sleep(0)

    # Not `asyncio.run`, which waits at its end for tasks, be they never woken.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_what_came_before_garbage_is_a_reply() -> None:
    """It is handed out; who waits for the garbage is told."""

    async def case(wire: Wire, server: socket.socket) -> None:
        replies = [wire.send(b"first"), wire.send(b"second")]
        server.sendall(b"+yes\r\n garbage \r\n")
        first, second = await asyncio.wait_for(asyncio.gather(*replies), SOON)
        assert first == b"yes"
        assert isinstance(second, StoreError)
        assert "sent what is no reply" in str(second)
        assert wire.lost

    on_a_wire(case)


def test_a_reply_too_many_gives_the_connection_up() -> None:
    """The one that was asked for is handed out before."""

    async def case(wire: Wire, server: socket.socket) -> None:
        reply = wire.send(b"first")
        server.sendall(b"+yes\r\n+no\r\n")
        assert await asyncio.wait_for(reply, SOON) == b"yes"
        assert wire.lost

    on_a_wire(case)


def test_a_task_goes_on_as_its_reply_comes() -> None:
    """Those of several that come together go on in the loop's next round, in their order."""

    async def case(wire: Wire, _server: socket.socket) -> None:
        order: list[bytes] = []

        async def ask() -> None:
            order.append(await wire.send(b"..."))

        tasks = [asyncio.ensure_future(ask()) for _ in range(4)]
        await asyncio.sleep(0)
        after: list[list[bytes]] = []

        def arrive() -> None:
            wire.data_received(b"+a\r\n")
            after.append([*order])
            wire.data_received(b"+b\r\n+c\r\n+d\r\n")
            after.append([*order])

        asyncio.get_running_loop().call_soon(arrive)
        await asyncio.gather(*tasks)
        assert after == [[b"a"], [b"a"]]
        assert order == [b"a", b"b", b"c", b"d"]

    on_a_wire(case)


def test_no_task_is_entered_within_another() -> None:
    """Where a transport hands data over while a task runs, the loop wakes the one that waits."""

    async def case(wire: Wire, _server: socket.socket) -> None:
        order: list[str] = []

        async def ask() -> None:
            order.append((await wire.send(b"...")).decode())

        task = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        wire.data_received(b"+reply\r\n")
        order.append("handed over")
        await task
        assert order == ["handed over", "reply"]

    on_a_wire(case)


def test_whoever_else_asks_is_called_too() -> None:
    """A future has any number of callbacks, each of which is called once."""

    async def case(wire: Wire, server: socket.socket) -> None:
        called: list[Any] = []
        reply = wire.send(b"...")
        reply.add_done_callback(lambda future: called.append(future.result()))

        async def ask() -> Any:
            return await reply

        tasks = [asyncio.ensure_future(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        server.sendall(b"+yes\r\n")
        assert await asyncio.wait_for(asyncio.gather(*tasks), SOON) == [b"yes", b"yes"]
        assert called == [b"yes"]

    on_a_wire(case)


def test_a_task_that_is_cancelled_as_its_reply_comes() -> None:
    """It is cancelled, and the next one gets its own reply."""

    async def case(wire: Wire, _server: socket.socket) -> None:
        async def ask() -> Any:
            return await wire.send(b"...")

        tasks = [asyncio.ensure_future(ask()) for _ in range(2)]
        await asyncio.sleep(0)

        def arrive() -> None:
            tasks[0].cancel()
            wire.data_received(b"+a\r\n")
            wire.data_received(b"+b\r\n")

        asyncio.get_running_loop().call_soon(arrive)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] == b"b"

    on_a_wire(case)
