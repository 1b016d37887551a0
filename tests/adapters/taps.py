"""The stores that scenarios are played on, each with a tap: what was called, what is to fail."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coatcheck import EncryptedCookieStore
from coatcheck.clock import Clock
from coatcheck.errors import StoreError
from coatcheck.store import AsyncStore, MemoryStore, Store
from coatcheck.store.file import FileStore
from coatcheck.store.keyvalue import AsyncKeyValueStore, KeyValueStore
from coatcheck.store.redis import AsyncRedisStore, RedisStore
from coatcheck.store.sql import AsyncSQLStore, SQLStore
from coatcheck.store.sqlite import AsyncSQLiteStore, SQLiteStore
from tests.servers import mariadb, postgresql
from tests.servers import redis as servers

AnyStore = Store | AsyncStore
WRITES = frozenset(
    {"create", "update", "touch", "delete", "admit", "confirm", "enrol", "revoke", "forget"}
)
_METHODS = (*sorted(WRITES), "get", "entries", "purge", "claim_purge", "scan")


class Tap:
    """Notes the calls of a store, and makes them fail where a test wants that."""

    def __init__(self, store: AnyStore) -> None:
        self.store = store
        self.calls: list[str] = []
        self.failing: set[str] = set()
        """The methods that raise `StoreError` for now."""
        self.failing_once: list[str] = []
        """The methods that raise it at their next call."""
        for name in _METHODS:
            method = getattr(store, name, None)
            if method is not None:
                setattr(store, name, self._tapped(name, method))

    def take(self) -> list[str]:
        """Return the names of the calls since the last time, and begin anew."""
        calls, self.calls = self.calls, []
        return calls

    def break_down(self) -> None:
        """Make everything fail from now on."""
        self.failing.update(_METHODS)

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing_once:
            self.failing_once.remove(name)
            raise StoreError("the disk is on fire")
        if name in self.failing:
            raise StoreError("the disk is on fire")

    def _tapped(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(method):

            async def awaited(*args: Any, **kwargs: Any) -> Any:
                self._note(name)
                return await method(*args, **kwargs)

            return awaited

        def called(*args: Any, **kwargs: Any) -> Any:
            self._note(name)
            return method(*args, **kwargs)

        return called


class Shelf:
    """The smallest thing that a `KeyValueStore` takes."""

    def __init__(self) -> None:
        self.things: dict[str, str] = {}

    def get(self, id: str, /) -> str | None:
        return self.things.get(id)

    def set(self, id: str, data: str, /) -> None:
        self.things[id] = data

    def delete(self, id: str, /) -> None:
        self.things.pop(id, None)


class AsyncShelf:
    """The same, awaited."""

    def __init__(self) -> None:
        self.shelf = Shelf()

    async def get(self, id: str, /) -> str | None:
        return self.shelf.get(id)

    async def set(self, id: str, data: str, /) -> None:
        self.shelf.set(id, data)

    async def delete(self, id: str, /) -> None:
        self.shelf.delete(id)


def cookie_store(revocations: Store | None = None, **options: Any) -> EncryptedCookieStore:
    """Make a store that keeps sessions in the cookie, and signs users in."""
    if "revoked_since" not in options:
        options["revocations"] = revocations or MemoryStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its limits are is known here
        return EncryptedCookieStore(**options)


def make_store(kind: str, folder: Path, clock: Clock) -> AnyStore:
    """Make an empty store; `async-...` is one that must be awaited."""
    if kind == "memory":
        return MemoryStore(clock=clock)
    if kind == "file":
        return FileStore(folder / "sessions", clock=clock)
    if kind == "sqlite":
        return SQLiteStore(folder / "sessions.db", clock=clock)
    if kind == "async-sqlite":
        return AsyncSQLiteStore(folder / "sessions.db", clock=clock)
    if kind == "redis":
        return RedisStore(servers.fresh_url(), clock=clock)
    if kind == "async-redis":
        return AsyncRedisStore(servers.fresh_url(), clock=clock)
    if kind == "postgresql":
        return SQLStore(postgresql.fresh_engine(), clock=clock)
    if kind == "async-postgresql":
        return AsyncSQLStore(postgresql.fresh_url(), clock=clock)
    if kind == "mariadb":
        return SQLStore(mariadb.fresh_engine(), clock=clock)
    if kind == "cookie":
        return cookie_store(MemoryStore(clock=clock))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has no index is known here
        if kind == "keyvalue":
            return KeyValueStore(Shelf(), clock=clock)
        if kind == "async-keyvalue":
            return AsyncKeyValueStore(AsyncShelf(), clock=clock)
    raise ValueError(kind)
