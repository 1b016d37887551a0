"""What an operation costs beside a thousand sessions, and beside a million; and a purge of these.

Tables of all sizes stand on one engine at the same time and take turns, so that what else the
machine does meets all of them, and so do the store and the engine's bare operations (`bare.py`):
what grows with these is not ours. The records that are read and written are scattered over the
whole table; their keys are made before the clock is read. A new record is deleted again, so that a
table keeps its size.

The purge is of a table each second record of which has expired: in steps of 1,000, as the stores
purge by themselves; the longest step is what one request could wait for. Redis is not asked, which
removes what has expired by itself, nor is the store in memory, which does so at each new session.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import count as counting
from typing import Any, Final

from tests.benchmarks import bare, timing
from tests.benchmarks.bare import RUNS, Requests, changed
from tests.benchmarks.engines import FUTURE, Engine, key_of
from tests.benchmarks.footprint import TYPICAL, opened, payload
from tests.benchmarks.timing import medians

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
LARGEST: Final = {"file": 100_000}
"""A million files would be a measurement of the file system, and take the time of one."""
ROUNDS: Final = 15
PURGES_ITSELF: Final = frozenset({"redis", "memory"})
STEP: Final = 1000
WAYS: Final = ("ours", "bare")
_STRIDE: Final = 7_919
"""A prime, so that the records come in no order that an engine could like."""


def through(store: Any, data: bytes) -> Requests:
    """Return what requests ask of a store."""

    def read(key: str) -> None:
        if store.get(key) is None:
            raise RuntimeError("a record was lost")

    def write(key: str) -> None:
        found = store.get(key)
        fresh = changed(found.payload, found.version)
        store.update(key, fresh, version=found.version, expires_at=FUTURE)

    def begin(key: str) -> None:
        store.create(key, data, expires_at=FUTURE, user_id=None)
        store.delete(key)

    return Requests(read, write, begin)


def scattered(request: Callable[[str], object], first: int, size: int) -> Callable[[int], float]:
    """Return what makes the request so many times, of the records `first` to `first + size`."""
    numbers = counting(1)

    def run(times: int) -> float:
        keys = [key_of(first + next(numbers) * _STRIDE % size) for _ in range(times)]
        # Each pays for the garbage collection of what it has made, and of nothing else.
        gc.collect(1)
        start = timing.clock()
        for key in keys:
            request(key)
        gc.collect(1)
        return timing.clock() - start

    return run


def measure_flat(
    engine: Engine, sizes: tuple[int, ...], rounds: int = ROUNDS
) -> dict[tuple[int, str, str], float]:
    """Return the median seconds of each request beside each number of records, by who makes it."""
    plan: dict[tuple[int, str, str], Callable[[int], float]] = {}
    others: list[Requests] = []
    for size in sizes:
        table, data = f"of{size}", payload(TYPICAL)
        engine.fill(table, size, data)
        ours, other = through(engine.store(table), data), bare.of(engine, table, size, data)
        others.append(other)
        for name, field in RUNS.items():
            # Records that are not there have numbers of their own.
            first = size if field == "begin" else 0
            for way, requests in zip(WAYS, (ours, other), strict=True):
                plan[size, name, way] = scattered(getattr(requests, field), first, size)
    results = medians(plan, rounds)
    for other in others:
        other.close()
    return results


def measure_purge(engine: Engine, size: int) -> tuple[float, float, int]:
    """Purge half of `size` records; return the seconds, those of the longest step, and how many."""
    engine.fill("half", size, payload(TYPICAL), lapsed=True)
    store = engine.store("half")
    removed, longest, begun = 0, 0.0, time.perf_counter()
    while True:
        start = time.perf_counter()
        step = store.purge(STEP)
        longest = max(longest, time.perf_counter() - start)
        removed += step
        if step < STEP:
            break
    taken = time.perf_counter() - begun
    # Each second one lived: a sample of them must be there, and of the others none.
    for number in range(0, size, max(2, size // 1000 * 2)):
        if store.get(key_of(number)) is None:
            raise RuntimeError("a live record was purged")
    if removed != size // 2:
        raise RuntimeError(f"{removed} of {size // 2} expired records were purged")
    return taken, longest, removed


def show_flat(names: list[str], largest: int = SIZES[-1]) -> None:
    """Measure and print, as tests/scale/measured.py has it."""
    for name in names:
        with opened([name]) as found:
            engine, _ = found[name]
            most = min(largest, LARGEST.get(name, largest))
            sizes = tuple(size for size in SIZES if size <= most)
            results = measure_flat(engine, sizes)
            print(f'"{engine.name}": {{', flush=True)
            for request in RUNS:
                ours, other = (
                    tuple(round(results[size, request, way] * 1e6, 2) for size in sizes)
                    for way in WAYS
                )
                times = ", ".join(f"{a / b:.1f}" for a, b in zip(ours, other, strict=True))
                print(f'    "{request}": Flat({ours}, {other}),  # times bare: {times}', flush=True)
            print("},", flush=True)
            if name not in PURGES_ITSELF:
                taken, longest, removed = measure_purge(engine, most)
                print(
                    f'"{engine.name}": Purge({removed}, {taken:.1f}, {longest * 1e3:.0f}),',
                    flush=True,
                )
