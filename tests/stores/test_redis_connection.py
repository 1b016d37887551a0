"""The sockets of the blocking Redis store: whose time limit they have, and when they are stale."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import exceptions

from coatcheck.errors import StoreError
from coatcheck.store.redis.connection import IDLE, ConnectionLink

TIMEOUT = 0.2
PONG = b"+PONG\r\n"


class Cooperative(socket.socket):
    """A socket as those of greenlets are: with an own way to wait."""

    def recv(self, *arguments: Any) -> bytes:
        return super().recv(*arguments)


class Connected:
    """As much of a connection of redis-py as is used: one end of a pair of sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(TIMEOUT)

    def connect(self) -> None:
        """It is connected already."""

    def can_read(self, timeout: float) -> bool:
        """Say whether there is something to read, as redis-py does."""
        self._sock.settimeout(timeout)
        try:
            data = self._sock.recv(1)
        except BlockingIOError:
            return False
        finally:
            self._sock.settimeout(TIMEOUT)
        if not data:
            raise exceptions.ConnectionError("closed")
        return True

    def disconnect(self) -> None:
        """Close the socket."""
        self._sock.close()


class Pair:
    """A link, and the servers' ends of the connections that it has made."""

    def __init__(self, kind: type[socket.socket]) -> None:
        self.ends: list[socket.socket] = []
        self.sockets: list[socket.socket] = []
        self._kind = kind
        self.link = ConnectionLink(self._make, "the server", TIMEOUT)

    def _make(self) -> Connected:
        end, other = socket.socketpair()
        own = self._kind(fileno=other.detach())
        self.ends.append(end)
        self.sockets.append(own)
        return Connected(own)

    def warm(self) -> None:
        """Have one command answered, so that there is a connection that lies idle."""
        connection = self.link._connect()  # pyright: ignore[reportPrivateUsage]
        self.ends[0].sendall(PONG)
        assert connection.receive() == b"PONG"
        self.link._idle.append(connection)  # pyright: ignore[reportPrivateUsage]

    def close(self) -> None:
        """Close all sockets."""
        self.link.close()
        for one in (*self.ends, *self.sockets):
            one.close()


@pytest.fixture(params=[socket.socket, Cooperative])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A link whose sockets are Python's, or of somebody who waits otherwise."""
    pair = Pair(request.param)
    yield pair
    pair.close()


@pytest.mark.skipif(os.name != "posix", reason="only there the kernel is asked")
def test_the_kernel_keeps_the_limit(pair: Pair) -> None:
    """A greenlet's socket keeps Python's, for the kernel would stop all greenlets; nor may TLS."""
    pair.warm()
    plain = type(pair.sockets[0]) is socket.socket
    assert pair.sockets[0].gettimeout() == (None if plain else TIMEOUT)


def test_a_silent_server_is_an_error_in_time(pair: Pair) -> None:
    """Whoever keeps the limit, the error names it, and nothing is sent a second time."""
    pair.warm()
    begun = time.monotonic()
    with pytest.raises(StoreError, match=r"the server did not answer within 0\.2 s"):
        pair.link.read("PING")
    assert TIMEOUT * 0.9 < time.monotonic() - begun < TIMEOUT * 10
    assert pair.ends[0].recv(100) == b"*1\r\n$4\r\nPING\r\n"
    assert len(pair.ends) == 1


def test_a_server_that_reads_nothing_is_an_error_in_time(pair: Pair) -> None:
    """The limit holds for what is sent too."""
    pair.warm()
    with pytest.raises(StoreError, match="did not answer within"):
        pair.link.call("SET", b"key", b"x" * 5_000_000)


@pytest.mark.parametrize(
    ("sent", "fresh"), [(None, True), (b"", False), (PONG, False)], ids=["quiet", "closed", "more"]
)
def test_what_lay_idle_is_looked_at(pair: Pair, sent: bytes | None, *, fresh: bool) -> None:
    """A connection that the server has closed, or sent something on unasked, is not used."""
    pair.warm()
    (lent,) = pair.link._idle  # pyright: ignore[reportPrivateUsage]
    if sent == b"":
        pair.ends[0].close()
    elif sent is not None:
        pair.ends[0].sendall(sent)
    lent.used_at -= 2 * IDLE
    taken = pair.link._take()  # pyright: ignore[reportPrivateUsage]
    assert (taken is lent) == fresh
    assert (pair.sockets[0].fileno() != -1) == fresh
