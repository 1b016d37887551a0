"""Where a SQL store gets its connections: from one engine, or from one for each event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

_AUTOCOMMIT: Final = {"isolation_level": "AUTOCOMMIT"}

_abandoned: list[object] = []
"""Pools of a parent process: to close one, or to let it be collected, could harm the parent."""


class Engines(Protocol):
    """Gives the engine that is to be used here and now."""

    def current(self) -> Engine:
        """Return the engine, in autocommit mode."""
        ...

    def after_fork(self) -> None:
        """Leave the parent's connections alone: two processes on one mix up their answers."""
        ...


class OneEngine:
    """The engine of a blocking store."""

    def __init__(self, engine: Engine, *, own: bool) -> None:
        self._engine = engine
        self._own = own
        self.url = engine.url
        _in_use.add(self)
        # It has the same pool.
        self._autocommit = engine if own else engine.execution_options(**_AUTOCOMMIT)

    def current(self) -> Engine:
        return self._autocommit

    def after_fork(self) -> None:
        _abandon(self._engine)

    def close(self) -> None:
        """Close the connections of an engine of our own."""
        if self._own:
            self._engine.dispose()


class LoopEngines:
    """The engines of an async store: a connection belongs to the event loop that opened it."""

    def __init__(self, make: Callable[[], AsyncEngine], *, own: bool) -> None:
        self._make = make
        self._own = own
        self._lock = threading.Lock()
        self._made: WeakKeyDictionary[Any, tuple[AsyncEngine, Engine]] = WeakKeyDictionary()
        _in_use.add(self)

    def current(self) -> Engine:
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is None:
            with self._lock:
                engine = self._make()
                sync = engine.sync_engine
                made = engine, (sync if self._own else sync.execution_options(**_AUTOCOMMIT))
                self._made[loop] = made
        return made[1]

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        for engine, _ in self._made.values():
            _abandon(engine.sync_engine)
        self._made.clear()

    async def close(self) -> None:
        """Close the connections of this event loop's engine, if it is one of our own."""
        made = self._made.pop(asyncio.get_running_loop(), None)
        if made is not None and self._own:
            await made[0].dispose()


def _abandon(engine: Engine) -> None:
    _abandoned.append(engine.pool)
    engine.dispose(close=False)


_in_use: WeakSet[Engines] = WeakSet()


def _after_fork() -> None:
    for engines in list(_in_use):
        engines.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
