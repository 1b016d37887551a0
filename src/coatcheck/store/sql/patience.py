"""Connections of psycopg that wait for an answer for a limited time.

libpq and psycopg wait for ever for a server that has stopped without closing its sockets: a paused
machine, a network that drops packets. TCP notices some of it after minutes, and nothing where the
kernel of the other side still answers.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Final

import psycopg
from psycopg import waiting

TICK: Final = 0.1
"""Seconds after which psycopg looks again, with nothing received."""


class _Overdue(Exception):
    """Nothing came in time."""


def _bounded(work: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """Yield what `work` yields, until it has waited for `seconds`."""
    give_up = time.monotonic() + seconds
    try:
        state = next(work)
        while True:
            ready = yield state
            if not ready and time.monotonic() >= give_up:
                raise _Overdue
            state = work.send(ready)
    except StopIteration as stop:
        return stop.value


def _overdue(seconds: float) -> psycopg.OperationalError:
    return psycopg.OperationalError(f"no answer within {seconds:g} s: the connection was closed")


def blocking(seconds: float) -> type[psycopg.Connection[Any]]:
    """Return a class of connections that are closed when an answer takes longer."""

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = TICK, *_: Any, **__: Any) -> Any:
            try:
                return waiting.wait(_bounded(gen, seconds), self.pgconn.socket, interval=interval)
            except _Overdue:
                self.pgconn.finish()
                raise _overdue(seconds) from None
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                # In the middle of an answer: what comes next on it would be taken for another.
                self.pgconn.finish()
                raise

    return Connection


def awaited(seconds: float) -> type[psycopg.AsyncConnection[Any]]:
    """Return a class of async connections that are closed when an answer takes longer.

    Closed is also one whose waiting is cancelled. psycopg's own way asks the server to cancel the
    statement first, and waits for that for seconds more where the server has stopped.
    """

    class Connection(psycopg.AsyncConnection[Any]):
        async def wait(self, gen: Any, interval: float = TICK, *_: Any, **__: Any) -> Any:
            try:
                return await waiting.wait_async(
                    _bounded(gen, seconds), self.pgconn.socket, interval=interval
                )
            except _Overdue:
                self.pgconn.finish()
                raise _overdue(seconds) from None
            except BaseException as error:
                if not isinstance(error, Exception):
                    self.pgconn.finish()
                raise

    return Connection
