"""The fast way to one server: packed commands on redis-py's own connections.

redis-py makes the connections, with addresses, TLS and passwords, and reads the replies; its
client, its pool and its retries are left out, which is two thirds of what a command costs.
Connections are lent out, one caller at a time, the one used last first, so there are never more
than callers at the same moment, whether these are threads or greenlets.

A connection on which anything went wrong between a command and its reply is closed, so nobody ever
reads a reply that was meant for another. One that lay idle is looked at first, because a server may
have closed it. Neither is a command that changes something ever sent twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis import exceptions

from coatcheck.errors import StoreError
from coatcheck.store.redis.link import Argument, Command, Reply, as_page
from coatcheck.store.redis.scripts import Script
from coatcheck.store.redis.trouble import FAILURES, NoScript, Unreachable, meaning

IDLE: Final = 0.05
"""Seconds after which a connection is looked at before it is used."""

_hiredis: Final[Any] = hiredis
_pack: Final[Callable[[Command], bytes]] = _hiredis.pack_command


class Lent:
    """A connection, and when it was used last."""

    __slots__ = ("connection", "used_at")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.used_at = time.monotonic()


class ConnectionLink:
    """Connections to one server, made by `connect` when there are none idle."""

    ordered = True

    def __init__(self, make: Callable[[], Any], where: str, timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self.where = where
        self._idle: list[Lent] = []
        self._process = os.getpid()
        self._closed = False

    def call(self, *command: Argument) -> Reply:
        """See `Link.call`."""
        lent = self._take()
        connection = lent.connection
        try:
            connection.send_packed_command((_pack(command),), False)
            reply = connection.read_response(True)
        except exceptions.ResponseError as error:
            self._settle(lent, error)
            raise meaning(error, self.where) from error
        except FAILURES as error:
            connection.disconnect()
            raise meaning(error, self.where, self._timeout) from error
        except BaseException:
            # Such as KeyboardInterrupt: the reply is still to come, and it is nobody's.
            connection.disconnect()
            raise
        lent.used_at = time.monotonic()
        self._idle.append(lent)
        return reply

    def read(self, *command: Argument) -> Reply:
        """See `Link.read`."""
        try:
            return self.call(*command)
        except Unreachable:
            # The server may have been restarted; what was idle is as old as what has failed.
            self._drop_idle()
            return self.call(*command)

    def run(self, script: Script, name: bytes, *arguments: Argument) -> Reply:
        """See `Link.run`."""
        try:
            return self.call("EVALSHA", script.sha, b"1", name, *arguments)
        except NoScript:
            return self.call("EVAL", script.text, b"1", name, *arguments)

    def each(self, commands: Sequence[Command]) -> list[Reply]:
        """See `Link.each`."""
        lent = self._take()
        connection = lent.connection
        replies: list[Reply] = []
        try:
            connection.send_packed_command((b"".join(map(_pack, commands)),), False)
            for _ in commands:
                try:
                    replies.append(connection.read_response(True))
                except exceptions.ResponseError as error:
                    replies.append(meaning(error, self.where))
        except FAILURES as error:
            connection.disconnect()
            raise meaning(error, self.where, self._timeout) from error
        except BaseException:
            connection.disconnect()
            raise
        lent.used_at = time.monotonic()
        self._idle.append(lent)
        return replies

    def scan(self, cursor: str, pattern: bytes, count: int) -> tuple[list[bytes], str | None]:
        """See `Link.scan`."""
        return as_page(*self.read("SCAN", cursor or "0", "MATCH", pattern, "COUNT", count))

    def close(self) -> None:
        """Close all connections; those in use as soon as they are given back."""
        self._closed = True
        self._drop_idle()
        self._idle = _Closing()

    def _take(self) -> Lent:
        if os.getpid() != self._process:
            # The parent's connections: to close our copies of them does it no harm.
            self._process = os.getpid()
            self._idle = _Closing() if self._closed else []
        try:
            lent = self._idle.pop()
        except IndexError:
            return self._connect()
        if time.monotonic() - lent.used_at > IDLE and _is_stale(lent.connection):
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
            raise meaning(error, self.where, self._timeout) from error
        return Lent(connection)

    def _settle(self, lent: Lent, error: exceptions.ResponseError) -> None:
        """Keep the connection after an error reply, unless another server may be in its place."""
        if isinstance(error, exceptions.ReadOnlyError):
            lent.connection.disconnect()
            self._drop_idle()
        else:
            self._idle.append(lent)

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


def _is_stale(connection: Any) -> bool:
    """Say whether the connection is closed, or has something to read that nobody asked for."""
    try:
        return bool(connection.can_read(0))
    except FAILURES:
        return True
