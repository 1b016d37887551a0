"""The fast way to one server: commands on the sockets of connections that redis-py has made.

redis-py makes the connections, with addresses, TLS and passwords; its client, its pool and its
retries are left out, which is three quarters of what a command costs. Connections are lent out, one
caller at a time, the one used last first, so there are never more than callers at the same moment,
whether these are threads or greenlets.

A connection on which anything went wrong between a command and its reply is closed, so nobody ever
reads a reply that was meant for another. One that lay idle is looked at first, because a server may
have closed it. Neither is a command that changes something ever sent twice.

Python's own time limits have it ask the kernel before each send and each recv whether that would
wait, which is two calls more a command; so the kernel is told the limit where it can keep one.
"""

from __future__ import annotations

import _socket
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis import exceptions

from coatcheck.errors import StoreError
from coatcheck.store.redis.link import Argument, Command, Reply, as_page
from coatcheck.store.redis.scripts import Script
from coatcheck.store.redis.trouble import FAILURES, NoScript, Unreachable, error_reply, meaning

IDLE: Final = 0.05
"""Seconds after which a connection is looked at before it is used."""

_NOTHING: Final = object()
_READ: Final = 16_384
_hiredis: Final[Any] = hiredis
_pack: Final[Callable[[Command], bytes]] = _hiredis.pack_command


class Lent:
    """A connection of redis-py, what its socket and its parser do, and when it was used last."""

    __slots__ = ("connection", "feed", "gets", "recv", "send", "used_at", "waits_in_kernel")

    def __init__(self, connection: Any, timeout: float) -> None:
        self.connection = connection
        sock: Any = connection._sock
        self.waits_in_kernel = _wait_in_kernel(sock, timeout)
        self.send, self.recv = sock.sendall, sock.recv
        reader: Any = _hiredis.Reader(replyError=error_reply, notEnoughData=_NOTHING)
        self.feed, self.gets = reader.feed, reader.gets
        self.used_at = time.monotonic()

    def receive(self) -> Reply:
        """Return the next reply, or the error that it is, when it has come."""
        while (reply := self.gets()) is _NOTHING:
            data = self.recv(_READ)
            if not data:
                raise exceptions.ConnectionError("the connection was closed")
            self.feed(data)
        return reply

    def is_stale(self) -> bool:
        """Say whether it is closed, or has something to read that nobody asked for."""
        try:
            if not self.waits_in_kernel:
                return bool(self.connection.can_read(0))
            self.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except FAILURES:
            return True
        return True


class ConnectionLink:
    """Connections to one server, made by `connect` when there are none idle."""

    ordered = True
    verbatim = True

    def __init__(self, make: Callable[[], Any], where: str, timeout: float) -> None:
        self._make = make
        self.timeout: float | None = timeout
        self._limit = timeout
        self.where = where
        self._idle: list[Lent] = []
        self._process = os.getpid()
        self._closed = False

    def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        return self._exchange(_pack(command))

    def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        packed = _pack(command)
        try:
            return self._exchange(packed)
        except Unreachable:
            # The server may have been restarted; what was idle is as old as what has failed.
            self._drop_idle()
            return self._exchange(packed)

    def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return self._exchange(_pack(("EVALSHA", script.sha, b"1", name, *arguments)))
        except NoScript:
            return self.call("EVAL", script.text, b"1", name, *arguments)

    def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        packed = b"".join(map(_pack, commands))
        lent = self._take()
        try:
            lent.send(packed)
            replies = [lent.receive() for _ in commands]
        except BaseException as error:
            wrong = self._broken(lent, error)
            if wrong is None:
                raise
            raise wrong from error
        lent.used_at = time.monotonic()
        self._idle.append(lent)
        return [self._refused(one) if isinstance(one, Exception) else one for one in replies]

    def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        return as_page(*self.read("SCAN", cursor or "0", "MATCH", pattern, "COUNT", count))

    def close(self) -> None:
        """Close all connections; those in use as soon as they are given back."""
        self._closed = True
        self._drop_idle()
        self._idle = _Closing()

    def _exchange(self, packed: bytes) -> Reply:
        """Return the reply to one command."""
        lent = self._take()
        try:
            lent.send(packed)
            # As `receive`, but without asking the parser before there is anything to parse.
            lent.feed(lent.recv(_READ))
            if (reply := lent.gets()) is _NOTHING:
                reply = lent.receive()
        except BaseException as error:
            wrong = self._broken(lent, error)
            if wrong is None:
                raise
            raise wrong from error
        lent.used_at = time.monotonic()
        self._idle.append(lent)
        if isinstance(reply, Exception):
            raise self._refused(reply) from reply
        return reply

    def _take(self) -> Lent:
        if os.getpid() != self._process:
            # The parent's connections: to close our copies of them does it no harm.
            self._process = os.getpid()
            self._idle = _Closing() if self._closed else []
        try:
            lent = self._idle.pop()
        except IndexError:
            return self._connect()
        if time.monotonic() - lent.used_at > IDLE and lent.is_stale():
            lent.connection.disconnect()
            return self._take()
        return lent

    def _connect(self) -> Lent:
        if self._closed:
            raise StoreError(f"the store of {self.where} is closed")
        connection = self._make()
        try:
            connection.connect()
        except FAILURES as error:
            raise meaning(error, self.where, self.timeout) from error
        return Lent(connection, self._limit)

    def _broken(self, lent: Lent, error: BaseException) -> StoreError | None:
        """Close a connection whose next reply may be anybody's; return what the error means.

        `None` stands for one that is not ours, such as KeyboardInterrupt, or what ends a greenlet.
        """
        lent.connection.disconnect()
        if isinstance(error, (*FAILURES, hiredis.HiredisError)):
            return meaning(error, self.where, self.timeout)
        return None

    def _refused(self, error: Exception) -> StoreError:
        if isinstance(error, exceptions.ReadOnlyError):
            # Another server may be in its place by now.
            self._drop_idle()
        return meaning(error, self.where)

    def _drop_idle(self) -> None:
        while True:
            try:
                self._idle.pop().connection.disconnect()
            except IndexError:
                return


class _Closing(list[Lent]):
    """Stands in for the idle connections when there are to be none: closes what is given back."""

    def append(self, lent: Lent, /) -> None:
        lent.connection.disconnect()


def _wait_in_kernel(sock: Any, timeout: float) -> bool:
    """Have the kernel keep the limit (s) of each send and recv; say whether it does.

    A socket of TLS, or one that a greenlet waits on, must have Python's.
    """
    if os.name != "posix" or sock.__class__.recv is not _socket.socket.recv:
        return False
    seconds, fraction = divmod(timeout, 1)
    limit = struct.pack("@ll", int(seconds), max(1, int(fraction * 1e6)))
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    except OSError:
        return False
    sock.settimeout(None)
    return True
