"""Stores that count: for tests of how often something calls the store."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from coatcheck.store.protocol import AsyncStore, Store, Stored, UpdateOutcome

_CAPABILITIES: Final = (
    *("entries", "admit", "confirm", "revoke", "forget", "enrol"),
    *("purge", "claim_purge", "scan"),
)
_ATTRIBUTES: Final = (
    *("namespace", "never_blocks", "get_never_suspends", "preferred_codec"),
    *("close", "aclose"),
)


class _Counting:
    """What both kinds have: the counts, and whatever else the wrapped store has."""

    def __init__(self, store: Store | AsyncStore) -> None:
        self.calls: Counter[str] = Counter()
        """How often each method was called, by its name."""
        # As attributes of the object, because Python 3.12 looks up the methods of a runtime
        # protocol without `__getattr__`, and a store without a capability must not seem to have it.
        for name in _CAPABILITIES:
            method = getattr(store, name, None)
            if method is not None:
                setattr(self, name, self._counted(name, method))
        for name in _ATTRIBUTES:
            if hasattr(store, name):
                setattr(self, name, getattr(store, name))

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        raise NotImplementedError

    @property
    def total(self) -> int:
        """How many calls there were in all."""
        return self.calls.total()

    def reset(self) -> None:
        """Begin to count anew."""
        self.calls.clear()


class CountingStore(_Counting):
    """A `Store` that counts the calls and forwards them, capabilities and attributes too."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.wrapped = store

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return method(*args, **options)

        return call

    def get(self, key: str, /) -> Stored | None:
        """See `Store.get`."""
        self.calls["get"] += 1
        return self.wrapped.get(key)

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """See `Store.create`."""
        self.calls["create"] += 1
        return self.wrapped.create(key, payload, expires_at=expires_at, user_id=user_id)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """See `Store.update`."""
        self.calls["update"] += 1
        return self.wrapped.update(key, payload, version=version, expires_at=expires_at)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """See `Store.touch`."""
        self.calls["touch"] += 1
        return self.wrapped.touch(key, version=version, expires_at=expires_at)

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """See `Store.delete`."""
        self.calls["delete"] += 1
        return self.wrapped.delete(key, user_id=user_id)


class AsyncCountingStore(_Counting):
    """An `AsyncStore` that counts the calls and forwards them, capabilities and attributes too."""

    def __init__(self, store: AsyncStore) -> None:
        super().__init__(store)
        self.wrapped = store

    def _counted(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return await method(*args, **options)

        return call

    async def get(self, key: str, /) -> Stored | None:
        """See `Store.get`."""
        self.calls["get"] += 1
        return await self.wrapped.get(key)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """See `Store.create`."""
        self.calls["create"] += 1
        return await self.wrapped.create(key, payload, expires_at=expires_at, user_id=user_id)

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """See `Store.update`."""
        self.calls["update"] += 1
        return await self.wrapped.update(key, payload, version=version, expires_at=expires_at)

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """See `Store.touch`."""
        self.calls["touch"] += 1
        return await self.wrapped.touch(key, version=version, expires_at=expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """See `Store.delete`."""
        self.calls["delete"] += 1
        return await self.wrapped.delete(key, user_id=user_id)
