"""How the cases of a contract reach an async store: on the running event loop."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from coatcheck.store.protocol import (
    AsyncEnrols,
    AsyncPurges,
    AsyncScans,
    AsyncStore,
    AsyncUserIndex,
)
from coatcheck.testing.driver import Point, Work

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

PATIENCE = 0.005
"""Seconds that a point waits for the second operation, which may be waiting for a lock."""

TURNS = 20
"""How often the event loop goes on for the second operation, however long that takes."""

MOST_POINTS = 24


class AwaitedDriver:
    """Drives an async store.

    What runs together runs in tasks; what comes between comes where an operation suspends.
    """

    def index(self, store: AsyncStore, /) -> AsyncUserIndex | None:
        """Return the store's user index, if it has one."""
        return store if isinstance(store, AsyncUserIndex) else None

    def enrols(self, store: AsyncStore, /) -> AsyncEnrols | None:
        """Return the store's enrolment, if it has one."""
        return store if isinstance(store, AsyncEnrols) else None

    def purges(self, store: AsyncStore, /) -> AsyncPurges | None:
        """Return the store's purge, if it has one."""
        return store if isinstance(store, AsyncPurges) else None

    def scans(self, store: AsyncStore, /) -> AsyncScans | None:
        """Return the store's scan, if it has one."""
        return store if isinstance(store, AsyncScans) else None

    async def together(self, *works: Work[T]) -> list[T]:
        """Run all at the same time, one task each, and return their results in order."""
        results: dict[int, T] = {}

        async def keep(number: int, work: Work[T]) -> None:
            await anyio.lowlevel.checkpoint()
            results[number] = await work()

        async with _Tasks() as group:
            for number, work in enumerate(works):
                group.start_soon(keep, number, work)
        return [results[number] for number in range(len(works))]

    def points(self, _store: AsyncStore, /) -> Iterator[Point]:
        """Yield a point before an operation, and one for each time that it suspends."""
        for number in range(-1, MOST_POINTS):
            point = _SuspensionPoint(number)
            yield point
            if number >= 0 and not point.reached:
                return

    async def explore(self, search: Callable[[Callable[[Work[Any]], Any]], None], /) -> None:
        """Call `search(run)` in a worker thread, which runs coroutines on this loop."""
        await anyio.to_thread.run_sync(search, anyio.from_thread.run)

    async def close(self, store: AsyncStore, /) -> None:
        """Call the store's `aclose` or `close`, if it has one, and await what it returns."""
        close = getattr(store, "aclose", None) or getattr(store, "close", None)
        closing = close() if close is not None else None
        if inspect.isawaitable(closing):
            await closing


class _SuspensionPoint:
    """The moment at which an operation goes on after its suspension `number`; -1: before it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.reached = False

    async def meet(self, first: Work[A], second: Work[B]) -> tuple[A, B]:
        outcomes: dict[str, Any] = {}
        done = anyio.Event()

        async def run_second() -> None:
            outcomes["second"] = await second()
            done.set()

        async def come_between() -> None:
            self.reached = True
            group.start_soon(run_second)
            with anyio.move_on_after(PATIENCE):
                await done.wait()
            # On a busy machine that time may be over before the second was given any of it.
            for _ in range(TURNS):
                if done.is_set():
                    break
                await anyio.lowlevel.checkpoint()

        async def run_first() -> None:
            outcomes["first"] = await _Watched(first, self._number, resumed=come_between)
            if not self.reached:
                await run_second()

        group: TaskGroup
        async with _Tasks() as group:
            if self._number < 0:
                await come_between()
            await run_first()
        return outcomes["first"], outcomes["second"]


async def _nothing() -> None:
    """Do nothing, without suspending."""


class _Watched:
    """An operation to await that is interrupted at its suspension `number`, counted from 0."""

    def __init__(
        self,
        work: Work[Any],
        number: int,
        *,
        suspended: Callable[[], object] = lambda: None,
        resumed: Work[None] = _nothing,
    ) -> None:
        self._work = work
        self._number = number
        self._suspended = suspended
        self._resumed = resumed

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work().__await__()
        go_on: Callable[[], Any] = functools.partial(inner.send, None)
        for number in itertools.count():
            try:
                awaited = go_on()
            except StopIteration as stop:
                return stop.value
            if number == self._number:
                self._suspended()
            try:
                go_on = functools.partial(inner.send, (yield awaited))
            except BaseException as error:  # noqa: BLE001 - it is the operation's to handle
                go_on = functools.partial(inner.throw, error)
            if number == self._number:
                yield from self._resumed().__await__()


async def cancelled_at(number: int, work: Work[object]) -> bool:
    """Run the work and cancel it in its suspension `number`; say whether it came to that."""
    reached = False

    def cancel() -> None:
        nonlocal reached
        reached = True
        scope.cancel()

    with anyio.CancelScope() as scope:
        await _Watched(work, number, suspended=cancel)
    return reached


def run_on(backend: Any, work: Work[T]) -> T:
    """Run the work on a new event loop of that kind, given as anyio's pytest plugin takes it."""
    given: tuple[str, dict[str, Any] | None] = (backend, None)
    name, options = given if isinstance(backend, str) else backend
    return anyio.run(work, backend=name, backend_options=options)


class _Tasks:
    """A task group that raises the first error itself, not a group of errors."""

    def __init__(self) -> None:
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as errors:
            raise _first_of(errors) from errors


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
