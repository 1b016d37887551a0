"""A session manager of any kind, to be tested as if all were awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from coatcheck.drivers import CalledIndex, CalledPurges, CalledScans, Threaded, in_thread
from coatcheck.events import Event
from coatcheck.manager import AsyncSessionManager, SessionManager
from coatcheck.store.memory import MemoryStore
from coatcheck.testing.clock import ManualClock
from tests.core.harness import SECRET, SpyStore


class InThreads(Threaded):
    """A blocking store of which every call, those of the index too, is awaited."""

    def __init__(self, store: SpyStore) -> None:
        super().__init__(store)
        index = CalledIndex(store, in_thread)
        self.entries, self.admit, self.confirm = index.entries, index.admit, index.confirm
        self.revoke, self.forget = index.revoke, index.forget
        purges = CalledPurges(store, in_thread)
        self.purge, self.claim_purge = purges.purge, purges.claim_purge
        self.scan = CalledScans(store, in_thread).scan


class Bench:
    """A manager of any kind, its store, its clock and its events."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind = kind
        self.clock = ManualClock()
        self.store = SpyStore(MemoryStore(clock=self.clock))
        self.events: list[Event] = []
        common: dict[str, Any] = {
            "secret": SECRET,
            "clock": self.clock,
            "on_event": self.events.append,
            **options,
        }
        self.manager: Any = (
            SessionManager(store=self.store, **common)
            if kind == "sync"
            else AsyncSessionManager(
                store=InThreads(self.store) if kind == "threads" else self.store, **common
            )
        )

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the manager, and await it if need be."""
        return await done(getattr(self.manager, method)(*args, **kwargs))


async def done(outcome: Any) -> Any:
    """Await what a method returned, if it is to be awaited."""
    return await outcome if inspect.isawaitable(outcome) else outcome


MakeBench = Callable[..., Bench]
"""Makes benches of one kind, with options."""
