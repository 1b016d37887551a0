"""A clock that all processes of one run share, and that may be faster than the real one."""

from __future__ import annotations

import time
from typing import Final

EPOCH: Final = 1_800_000_000.0


class SharedClock:
    """Seconds since the epoch, `speed` times as fast as they pass; a `coatcheck.clock.Clock`.

    `CLOCK_MONOTONIC` is the same for all processes of a machine, so they agree.
    """

    def __init__(self, started: float, speed: float) -> None:
        """Begin at `EPOCH` when `time.monotonic()` was `started`, in seconds."""
        self.started = started
        self.speed = speed
        self.ahead = 0.0
        """Seconds by which this process has put its clock forward."""

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.at(time.monotonic())

    def at(self, monotonic: float) -> float:
        """Return what it showed when `time.monotonic()` was that."""
        return EPOCH + (monotonic - self.started) * self.speed + self.ahead
