"""A clock that moves when it is told to, so that no test sleeps."""

from __future__ import annotations

import math


class ManualClock:
    """A `Clock` for tests: call it for the time, `advance` it, `set` it."""

    __slots__ = ("_now",)

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        """Begin at `now`, in seconds since the epoch."""
        self.set(now)

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._now

    def __repr__(self) -> str:
        return f"ManualClock({self._now!r})"

    def advance(self, seconds: float) -> None:
        """Move by `seconds`; a negative number is a clock that somebody put back."""
        self.set(self._now + seconds)

    def set(self, now: float) -> None:
        """Move to `now`, in seconds since the epoch; raises `ValueError` if that is no time."""
        if not math.isfinite(now):
            raise ValueError(f"a clock shows a finite number of seconds, not {now!r}")
        self._now = float(now)
