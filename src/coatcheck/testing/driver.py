"""How the cases of a contract reach the store under test: awaited, or stepped without a loop.

The cases are written once, as coroutines over an async store. For a blocking store they are given a
`Blocking` wrapper and stepped to their end in one go, so that there is no second copy of them.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

from coatcheck.clock import Clock
from coatcheck.drivers import (
    Blocking,
    CalledEnrols,
    CalledIndex,
    CalledPurges,
    CalledScans,
    call_now,
    run_now,
)
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    AsyncEnrols,
    AsyncPurges,
    AsyncScans,
    AsyncStore,
    AsyncUserIndex,
    Enrols,
    Purges,
    Scans,
    Store,
    UserIndex,
)

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Work = Callable[[], Coroutine[Any, Any, T]]


class MakeStore(Protocol):
    """Opens the blocking store under test; every call within one test reaches the same backend."""

    def __call__(self, *, namespace: str = DEFAULT_NAMESPACE, clock: Clock = ...) -> Store:
        """`clock` defaults to the test's own `ManualClock`."""
        ...


class MakeAsyncStore(Protocol):
    """Opens the async store under test; every call within one test reaches the same backend."""

    def __call__(self, *, namespace: str = DEFAULT_NAMESPACE, clock: Clock = ...) -> AsyncStore:
        """`clock` defaults to the test's own `ManualClock`."""
        ...


class Point(Protocol):
    """One place inside an operation at which another operation may come between."""

    async def meet(self, first: Work[A], second: Work[B]) -> tuple[A, B]:
        """Run `first`; when it has come to this point, run `second`; return both results.

        Where `second` has to wait for `first` (a lock), both go on together.
        """
        ...


class Driver(Protocol):
    """What the cases need besides the store itself."""

    def index(self, store: AsyncStore, /) -> AsyncUserIndex | None:
        """Return the store's user index, if it has one."""
        ...

    def enrols(self, store: AsyncStore, /) -> AsyncEnrols | None:
        """Return the store's enrolment, if it has one."""
        ...

    def purges(self, store: AsyncStore, /) -> AsyncPurges | None:
        """Return the store's purge, if it has one."""
        ...

    def scans(self, store: AsyncStore, /) -> AsyncScans | None:
        """Return the store's scan, if it has one."""
        ...

    async def together(self, *works: Work[T]) -> list[T]:
        """Run all at the same time, as threads or as tasks, and return their results in order."""
        ...

    def points(self, store: AsyncStore, /) -> Iterator[Point]:
        """Yield one point after another, until an operation ends before it comes to the point."""
        ...

    async def explore(self, search: Callable[[Callable[[Work[Any]], Any]], None], /) -> None:
        """Call `search(run)`, blocking code that runs coroutines by `run(work)`."""
        ...

    async def close(self, store: AsyncStore, /) -> None:
        """Close the store, if it can be closed."""
        ...


PATIENCE = 0.005
"""Seconds that a point waits for the second operation, which may be waiting for a lock.

Too short makes a case weaker, never wrong: the two operations then run side by side.
"""
MOST_POINTS = 400


class SteppedDriver:
    """Drives a blocking store.

    What runs together runs in threads; what comes between comes by tracing lines.
    """

    def index(self, store: AsyncStore, /) -> AsyncUserIndex | None:
        """Return the store's user index, if it has one."""
        wrapped = _wrapped(store)
        return CalledIndex(wrapped, call_now) if isinstance(wrapped, UserIndex) else None

    def enrols(self, store: AsyncStore, /) -> AsyncEnrols | None:
        """Return the store's enrolment, if it has one."""
        wrapped = _wrapped(store)
        return CalledEnrols(wrapped, call_now) if isinstance(wrapped, Enrols) else None

    def purges(self, store: AsyncStore, /) -> AsyncPurges | None:
        """Return the store's purge, if it has one."""
        wrapped = _wrapped(store)
        return CalledPurges(wrapped, call_now) if isinstance(wrapped, Purges) else None

    def scans(self, store: AsyncStore, /) -> AsyncScans | None:
        """Return the store's scan, if it has one."""
        wrapped = _wrapped(store)
        return CalledScans(wrapped, call_now) if isinstance(wrapped, Scans) else None

    async def together(self, *works: Work[T]) -> list[T]:
        """Run all at the same time, one thread each, and return their results in order."""
        barrier = threading.Barrier(len(works))
        threads = [_Thread(functools.partial(_after, barrier, work)) for work in works]
        for thread in threads:
            thread.start()
        return [thread.result() for thread in threads]

    def points(self, store: AsyncStore, /) -> Iterator[Point]:
        """Yield a point for each line of the store's package that an operation comes to."""
        files = _source_files(_wrapped(store))
        for number in range(MOST_POINTS):
            point = _TracedPoint(files, number)
            yield point
            if not point.reached:
                return

    async def explore(self, search: Callable[[Callable[[Work[Any]], Any]], None], /) -> None:
        """Call `search(run)` where it stands."""
        search(lambda work: run_now(work()))

    async def close(self, store: AsyncStore, /) -> None:
        """Call the store's `close`, if it has one."""
        close = getattr(_wrapped(store), "close", None)
        if close is not None:
            close()


class _TracedPoint:
    """The line number `number` that a thread executes in the given source files."""

    def __init__(self, files: frozenset[str], number: int) -> None:
        self._files = files
        self._left = number
        self._second: _Thread | None = None
        self.reached = False

    async def meet(self, first: Work[A], second: Work[B]) -> tuple[A, B]:
        self._second = thread = _Thread(second)
        previous = sys.gettrace()
        sys.settrace(self._enter)
        try:
            outcome = run_now(first())
        finally:
            sys.settrace(previous)
            if not self.reached:
                thread.start()
        return outcome, thread.result()

    def _enter(self, frame: types.FrameType, event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, _frame: types.FrameType, event: str, _argument: Any) -> Any:
        if event == "line" and not self.reached:
            if self._left == 0 and self._second is not None:
                self.reached = True
                self._second.start()
                self._second.join(PATIENCE)
            self._left -= 1
        return self._line


class _Thread(threading.Thread):
    """A thread that keeps what its work returns or raises."""

    def __init__(self, work: Work[Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._outcome: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._outcome = run_now(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error

    def result(self) -> Any:
        self.join(60)
        if self.is_alive():
            raise AssertionError("an operation on the store has not returned within 60 s")
        if self._error is not None:
            raise self._error
        return self._outcome


async def _after(barrier: threading.Barrier, work: Callable[[], Awaitable[T]]) -> T:
    barrier.wait(60)
    return await work()


def _wrapped(store: AsyncStore) -> Store:
    if not isinstance(store, Blocking):
        raise TypeError("StoreContract is for blocking stores; AsyncStoreContract for async ones")
    return store.wrapped


def _source_files(store: Store) -> frozenset[str]:
    """Return the files of the store's class, of its bases, and of the packages they lie in."""
    files: set[str] = set()
    own = {base.__module__ for base in type(store).__mro__} - {"builtins", "typing"}
    packages = tuple(f"{name.rpartition('.')[0]}." for name in own if "." in name)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and (name in own or name.startswith(packages)):
            files.add(file)
    return frozenset(files)
