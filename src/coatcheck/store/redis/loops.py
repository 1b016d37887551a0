"""One thing for each event loop: a connection belongs to the loop on which it was made."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from coatcheck.errors import ConfigurationError, StoreError

T = TypeVar("T")
_abandoned: list[object] = []
"""What belongs to a parent process."""


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop; raise `ConfigurationError` where it is not asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "an AsyncRedisStore needs asyncio: give a RedisStore, which is called in threads, to an"
            " application under trio"
        ) from None


class PerLoop(Generic[T]):
    """Makes a thing for each event loop, when it is first asked for there.

    A child process begins anew: what its parent has made is the parent's.
    """

    def __init__(self, make: Callable[[], T], where: str) -> None:
        self._make = make
        self._where = where
        self._things: dict[asyncio.AbstractEventLoop, T] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    def current(self) -> T:
        """Return the running loop's own; raise `ConfigurationError` on a loop not asyncio's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = running_loop()  # which tells what to do instead
        if os.getpid() != self._process:
            self._process = os.getpid()
            self._lock = threading.Lock()  # a thread of the parent may have had it
            # Kept, for to collect them would take them out of the selector, which is shared.
            _abandoned.append(self._things)
            self._things = {}
        thing = self._things.get(loop)
        if thing is None:
            with self._lock:
                if self._closed:
                    raise StoreError(f"the store of {self._where} is closed")
                # A closed loop, and what belonged to it, would be kept here for ever.
                self._things = {
                    other: one for other, one in self._things.items() if not other.is_closed()
                }
                thing = self._things[loop] = self._make()
        return thing

    def close(self) -> list[tuple[asyncio.AbstractEventLoop, T]]:
        """Make no more; return what there is to be closed, with the loops."""
        with self._lock:
            self._closed = True
            things, self._things = self._things, {}
        if os.getpid() != self._process:
            return []
        return [(loop, thing) for loop, thing in things.items() if not loop.is_closed()]
