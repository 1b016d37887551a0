"""How sync and async meet: the lifecycle is written once, as coroutines, and driven in two ways.

Under ASGI the coroutines are awaited. Elsewhere they are given a `Blocking` store, whose methods
never suspend, and `run_now` steps them to their end in one go: no thread, no event loop, no second
copy of the rules. A blocking store under ASGI is wrapped as `Threaded`.

anyio is used where it is installed (the `asgi` extra), so that trio works; else asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

from coatcheck.store.protocol import (
    Admission,
    Enrols,
    IndexEntry,
    Purges,
    Scans,
    Store,
    Stored,
    UpdateOutcome,
    UserIndex,
)

P = ParamSpec("P")
T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T], /) -> T:
    """Run a coroutine that never suspends, and return its result.

    Raises `RuntimeError` if it does suspend: an async store was handed to synchronous code.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("an async store was used from synchronous code: give a blocking store")


async def pause(seconds: float, /) -> None:
    """Sleep on the running event loop."""
    try:
        import anyio
    except ImportError:
        await asyncio.sleep(seconds)
    else:
        await anyio.sleep(seconds)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a worker thread and return its result."""
    try:
        import anyio.to_thread
    except ImportError:
        return await asyncio.to_thread(function, *args, **kwargs)
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))


async def shield(work: Coroutine[Any, Any, T], /, *, seconds: float = 5.0) -> T:
    """Await `work` and let no cancellation interrupt it, for at most `seconds`.

    A cancellation that came meanwhile takes effect afterwards. Raises `TimeoutError` when the time
    is over.
    """
    try:
        import anyio
    except ImportError:
        return await _shield_task(work, seconds)
    if _on_asyncio():
        with anyio.CancelScope(shield=True):
            return await _shield_task(work, seconds)
    else:
        with anyio.move_on_after(seconds, shield=True):
            return await work
    raise _too_late(seconds)


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _shield_task(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Shield from `Task.cancel()` too, which anyio's shields let through, in a task of its own."""
    task = asyncio.create_task(work)
    clock = asyncio.get_running_loop().time
    give_up = clock() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        left = give_up - clock()
        if left <= 0.0:
            task.cancel()
        try:
            await asyncio.wait((task,), timeout=left if left > 0.0 else None)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # else asyncio tells that nobody asked for it
        raise cancelled
    if task.cancelled():
        raise _too_late(seconds)
    return task.result()


def _too_late(seconds: float) -> TimeoutError:
    return TimeoutError(f"the session could not be saved within {seconds:g} s")


class Blocking:
    """A blocking store in the shape of an async one: its methods never suspend."""

    __slots__ = ("wrapped",)
    get_never_suspends = True

    def __init__(self, store: Store) -> None:
        self.wrapped = store

    async def get(self, key: str, /) -> Stored | None:
        return self.wrapped.get(key)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        return self.wrapped.create(key, payload, expires_at=expires_at, user_id=user_id)

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        return self.wrapped.update(key, payload, version=version, expires_at=expires_at)

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        return self.wrapped.touch(key, version=version, expires_at=expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        return self.wrapped.delete(key, user_id=user_id)


Call = Callable[..., Coroutine[Any, Any, Any]]
"""How a blocking method is called: `call(function, *args, **kwargs)`."""


async def call_now(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function where it stands; the blocking counterpart of `in_thread`."""
    return function(*args, **kwargs)


class Threaded:
    """A blocking store in the shape of an async one: every call runs in a worker thread."""

    __slots__ = ("wrapped",)
    get_never_suspends = False

    def __init__(self, store: Store) -> None:
        self.wrapped = store

    async def get(self, key: str, /) -> Stored | None:
        return await in_thread(self.wrapped.get, key)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        return await in_thread(
            self.wrapped.create, key, payload, expires_at=expires_at, user_id=user_id
        )

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        return await in_thread(
            self.wrapped.update, key, payload, version=version, expires_at=expires_at
        )

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        return await in_thread(self.wrapped.touch, key, version=version, expires_at=expires_at)

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        return await in_thread(self.wrapped.delete, key, user_id=user_id)


class CalledIndex:
    """A blocking store's user index in the shape of an async one."""

    __slots__ = ("_call", "_index")

    def __init__(self, index: UserIndex, call: Call) -> None:
        self._index = index
        self._call = call

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        entries: Sequence[IndexEntry] = await self._call(self._index.entries, user_id)
        return entries

    async def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        admission: Admission = await self._call(
            self._index.admit, user_id, key, limit=limit, evict=evict, replaces=replaces
        )
        return admission

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        confirmed: bool = await self._call(self._index.confirm, user_id, key, epoch)
        return confirmed

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        keys: Sequence[str] = await self._call(self._index.revoke, user_id, keep=keep)
        return keys

    async def forget(self, user_id: str, key: str, /) -> None:
        await self._call(self._index.forget, user_id, key)


class CalledEnrols:
    """A blocking store's enrolment in the shape of an async one."""

    __slots__ = ("_call", "_enrols")

    def __init__(self, enrols: Enrols, call: Call) -> None:
        self._enrols = enrols
        self._call = call

    async def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        admission: Admission | None = await self._call(
            self._enrols.enrol,
            user_id,
            key,
            payload,
            expires_at=expires_at,
            limit=limit,
            evict=evict,
        )
        return admission


class CalledPurges:
    """A blocking store's purge in the shape of an async one."""

    __slots__ = ("_call", "_purges")

    def __init__(self, purges: Purges, call: Call) -> None:
        self._purges = purges
        self._call = call

    async def purge(self, limit: int = 1000, /) -> int:
        removed: int = await self._call(self._purges.purge, limit)
        return removed

    async def claim_purge(self, interval: float, /) -> bool:
        claimed: bool = await self._call(self._purges.claim_purge, interval)
        return claimed


class CalledScans:
    """A blocking store's scan in the shape of an async one."""

    __slots__ = ("_call", "_scans")

    def __init__(self, scans: Scans, call: Call) -> None:
        self._scans = scans
        self._call = call

    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        page: tuple[Sequence[str], str | None] = await self._call(
            self._scans.scan, cursor, count=count
        )
        return page
