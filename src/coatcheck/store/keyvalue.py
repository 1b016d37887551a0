"""Sessions in any object with `get(id)`, `set(id, data)` and `delete(id)`.

What such an object cannot do, these stores cannot promise. Compare-and-set holds within one
process: two processes that save the same session at the same moment may lose a change, or bring
back a session that the other one is ending. There is no user index, no purge and no scan.
"""

from __future__ import annotations

import inspect
import os
import time
import warnings
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, cast

from coatcheck import checks, drivers
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.envelope import seal, unseal
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
    check_key,
)


class KeyValue(Protocol):
    """What `KeyValueStore` needs of an object; what `set` and `delete` return is not looked at."""

    @abstractmethod
    def get(self, id: str, /) -> str | bytes | None:
        """Return what `set` was given last, as text or as bytes, or `None`."""
        ...

    @abstractmethod
    def set(self, id: str, data: str, /) -> Any:
        """Keep the text, which is ASCII, in place of what is there."""
        ...

    @abstractmethod
    def delete(self, id: str, /) -> Any:
        """Remove what is there; nothing there is no error."""
        ...


class AsyncKeyValue(Protocol):
    """What `AsyncKeyValueStore` needs of an object: the same, awaited."""

    @abstractmethod
    def get(self, id: str, /) -> Awaitable[str | bytes | None]:
        """See `KeyValue.get`."""
        ...

    @abstractmethod
    def set(self, id: str, data: str, /) -> Awaitable[Any]:
        """See `KeyValue.set`."""
        ...

    @abstractmethod
    def delete(self, id: str, /) -> Awaitable[Any]:
        """See `KeyValue.delete`."""
        ...


POLL: Final = 0.001
"""Seconds between two looks whether somebody else in this process has done with a key."""

_METHODS: Final = ("get", "set", "delete")
_held: dict[str, object] = {}
"""The keys that somebody in this process is at, of all stores: two may share one object."""
_warned = False

if hasattr(os, "register_at_fork"):
    # In a child nobody but the thread that forked is at anything.
    os.register_at_fork(after_in_child=_held.clear)


class AsyncKeyValueStore:
    """Sessions in an object whose methods are awaited, such as a client of a key-value server.

    A method that returns its answer at once works too, and holds up the event loop meanwhile.

    Args:
        keyvalue: an object with `get(id)`, `set(id, data)` and `delete(id)`. It is given
            `"<namespace>:<handle>"` as `id` and one ASCII string as `data`.
        namespace: the namespace of the IDs.
        clock: the source of time.

    Raises:
        ConfigurationError: for an option that is wrong, or an object that lacks a method.

    Warns:
        UserWarning: once in a process, of what is weaker than in another store.
    """

    def __init__(
        self,
        keyvalue: AsyncKeyValue,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self._keyvalue = _checked(keyvalue)
        self.location = f"object:{id(keyvalue)}"
        self.namespace = check_namespace(namespace)
        self.clock = clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} namespace={self.namespace!r}>"

    async def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` for what is none of ours."""
        return await self._live(self._name(key))

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        name = self._name(key)
        check_deadline(expires_at)
        async with self._alone_with(name):
            if await self._standing(name) is not None:
                return False
            await self._write(name, Stored(1, expires_at, bytes(payload)))
            return True

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        name = self._name(key)
        check_deadline(expires_at)
        async with self._alone_with(name):
            current = await self._standing(name)
            if current is None:
                return Gone()
            if current.version != version:
                return Conflict(current)
            await self._write(name, Stored(version + 1, expires_at, bytes(payload)))
            return Updated(version + 1)

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        name = self._name(key)
        check_deadline(expires_at)
        async with self._alone_with(name):
            current = await self._standing(name)
            if current is None or current.version != version:
                return False
            if current.expires_at is not None and current.expires_at < expires_at:
                await self._write(name, Stored(version, expires_at, current.payload))
            return True

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record; return the live record that this call removed."""
        name = self._name(key)
        async with self._alone_with(name):
            try:
                current = await self._live(name)
            except CorruptRecord:
                # It is removed all the same, and it never was a session.
                current = None
            await self._ask("delete", name)
            return current

    async def aclose(self) -> None:
        """Do nothing: the object belongs to whoever made it."""

    def _name(self, key: str) -> str:
        return f"{self.namespace}:{check_key(key)}"

    async def _live(self, name: str) -> Stored | None:
        value = await self._ask("get", name)
        if value is None:
            return None
        record = unseal(name, value)
        over = record.expires_at is not None and self.clock() >= record.expires_at
        return None if over else record

    async def _standing(self, name: str) -> Stored | None:
        """Return what stands in the way of a write: only `get` may raise `CorruptRecord`."""
        try:
            return await self._live(name)
        except CorruptRecord as error:
            raise StoreError(f"{error}; delete it") from error

    async def _write(self, name: str, record: Stored) -> None:
        await self._ask("set", name, seal(name, record))

    async def _ask(self, method: str, *arguments: str) -> Any:
        try:
            answer = getattr(self._keyvalue, method)(*arguments)
            return await self._answer(answer)
        except StoreError:
            raise
        except Exception as error:
            kind = type(self._keyvalue).__name__
            raise StoreError(f"{method} of {kind} raised {type(error).__name__}") from error

    async def _answer(self, answer: Any) -> Any:
        return await answer if inspect.isawaitable(answer) else answer

    async def _wait(self) -> None:
        await drivers.pause(POLL)

    @asynccontextmanager
    async def _alone_with(self, name: str) -> AsyncGenerator[None]:
        """Keep the others in this process from the key, whether they are threads or tasks."""
        mine = object()
        # One look-up in a dict is atomic, so of several that come at once one finds itself there.
        while _held.setdefault(name, mine) is not mine:
            await self._wait()
        try:
            yield
        finally:
            del _held[name]


class _Stepped(AsyncKeyValueStore):
    """The same where nothing is awaited."""

    async def _answer(self, answer: Any) -> Any:
        if inspect.isawaitable(answer):
            close = getattr(answer, "close", None)
            if close is not None:
                # Else Python warns of a coroutine that was never awaited, which is told already.
                close()
            raise StoreError(
                f"the methods of a {type(self._keyvalue).__name__} are awaitable: write"
                " AsyncKeyValueStore(...), for an ASGI application"
            )
        return answer

    async def _wait(self) -> None:
        time.sleep(POLL)  # noqa: ASYNC251 - stepped by `run_now`, on no event loop


class KeyValueStore:
    """Sessions in an object with `get(id)`, `set(id, data)` and `delete(id)`.

    For the arguments see `AsyncKeyValueStore`, which is for objects whose methods are awaited.
    """

    def __init__(
        self,
        keyvalue: KeyValue,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        if any(inspect.iscoroutinefunction(getattr(keyvalue, name, None)) for name in _METHODS):
            raise ConfigurationError(
                f"the methods of a {type(keyvalue).__name__} are coroutines: write"
                " AsyncKeyValueStore(...), for an ASGI application"
            )
        self._stepped = _Stepped(cast(Any, keyvalue), namespace=namespace, clock=clock)
        self.namespace = self._stepped.namespace
        self.location = self._stepped.location
        self.clock = clock

    def __repr__(self) -> str:
        return f"<KeyValueStore namespace={self.namespace!r}>"

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` for what is none of ours."""
        return drivers.run_now(self._stepped.get(key))

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        return drivers.run_now(
            self._stepped.create(key, payload, expires_at=expires_at, user_id=user_id)
        )

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        return drivers.run_now(
            self._stepped.update(key, payload, version=version, expires_at=expires_at)
        )

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        return drivers.run_now(self._stepped.touch(key, version=version, expires_at=expires_at))

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record; return the live record that this call removed."""
        return drivers.run_now(self._stepped.delete(key, user_id=user_id))

    def close(self) -> None:
        """Do nothing: the object belongs to whoever made it."""


def _checked(keyvalue: Any) -> Any:
    """Return an object that has the methods; warn, once in a process, of what is weaker."""
    global _warned
    remedy = "an object with the methods get(id), set(id, data) and delete(id)"
    checks.methods("keyvalue", keyvalue, _METHODS, remedy)
    if not _warned:
        _warned = True
        warnings.warn(
            f"sessions in a {type(keyvalue).__name__} are safe from lost changes within one process"
            " only, and there is no list of a user's sessions, no purge and no scan: use another"
            " store, such as sqlite:///sessions.db, where that matters",
            UserWarning,
            stacklevel=3,
        )
    return keyvalue
