"""How things are timed: many times over, in rounds that take turns, the median of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

BATCH = 0.02
"""Seconds that one batch takes, about."""
clock = time.perf_counter


def by_the_processor() -> None:
    """Time what this process uses of the processor, on a machine that has other work too."""
    global clock
    clock = time.process_time


def timed(operation: Callable[[], object], times: int) -> float:
    """Return the seconds that the operation takes, that many times over."""
    start = clock()
    for _ in range(times):
        operation()
    return clock() - start


def enough(run: Callable[[int], float]) -> int:
    """Return how many times to run for a batch of about `BATCH` seconds."""
    run(3)
    return max(5, int(BATCH / (run(10) / 10)))


def medians(plan: Mapping[K, Callable[[int], float]], rounds: int) -> dict[K, float]:
    """Return the median seconds of everything in the plan, rounds interleaved."""
    times = {name: enough(run) for name, run in plan.items()}
    samples: dict[K, list[float]] = {name: [] for name in plan}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, run in plan.items():
            samples[name].append(run(times[name]) / times[name])
    return {name: median(values) for name, values in samples.items()}
