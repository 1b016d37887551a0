"""How the cases of a contract reach an async store: on the running event loop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from coatcheck.store.protocol import (
    AsyncPurges,
    AsyncScans,
    AsyncStore,
    AsyncUserIndex,
)
from coatcheck.testing.driver import Point, Work

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

MOST_STEPS = 24
"""How many steps of the event loop into an operation another one comes between, at most."""


class AwaitedDriver:
    """Drives an async store: tasks for what runs together, loop steps for what comes between."""

    def index(self, store: AsyncStore, /) -> AsyncUserIndex | None:
        """Return the store's user index, if it has one."""
        return store if isinstance(store, AsyncUserIndex) else None

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

        await _all([functools.partial(keep, *item) for item in enumerate(works)])
        return [results[number] for number in range(len(works))]

    def points(self, _store: AsyncStore, /) -> Iterator[Point]:
        """Yield a point for each step of the loop that an operation takes."""
        for steps in range(MOST_STEPS):
            point = _LoopPoint(steps)
            yield point
            if not point.reached:
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


class _LoopPoint:
    """A number of steps of the event loop after an operation has begun."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.reached = False

    async def meet(self, first: Work[A], second: Work[B]) -> tuple[A, B]:
        outcomes: dict[str, Any] = {}

        async def run_first() -> None:
            outcomes["first"] = await first()

        async def run_second() -> None:
            for _ in range(self._steps):
                await anyio.lowlevel.checkpoint()
            self.reached = "first" not in outcomes
            outcomes["second"] = await second()

        await _all([run_first, run_second])
        return outcomes["first"], outcomes["second"]


async def cancelled_after(steps: int, work: Work[object]) -> None:
    """Run the work, and cancel it when the event loop has made that many steps."""
    async with anyio.create_task_group() as group:

        async def run() -> None:
            await work()
            group.cancel_scope.cancel()

        group.start_soon(run)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


def run_on(backend: Any, work: Work[T]) -> T:
    """Run the work on a new event loop of that kind, given as anyio's pytest plugin takes it."""
    given: tuple[str, dict[str, Any] | None] = (backend, None)
    name, options = given if isinstance(backend, str) else backend
    return anyio.run(work, backend=name, backend_options=options)


async def _all(works: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run all as tasks; raise the first error of them itself, not a group."""
    errors: list[Exception] = []

    async def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(run, work)
    if errors:
        raise errors[0]
