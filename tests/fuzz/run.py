"""Drives one target: for a number of cases or of seconds, and keeps what broke it."""

from __future__ import annotations

import hashlib
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from types import FrameType
from typing import Any

from tests.fuzz.target import Fuzz, Target

REGRESSIONS = Path(__file__).with_name("regressions")
"""Inputs that once broke something, in a folder for each target; the quick form replays them."""
HANG = 20.0
"""Seconds of processor time that one batch of inputs may take; it is made to take a twentieth of
one. A machine that is busy, or stops this process for a while, does not make an input endless."""
ENOUGH = 3
"""After so many failures a target is broken, and more of them say nothing new."""
_BATCH_SECONDS = 0.05


class Hang(BaseException):
    """An input keeps its target busy; no `except Exception` on the way takes it for its own."""


@dataclass
class Meter:
    """Counts the cases of one run, and says when it is over."""

    cases: int | None = None
    """How many cases at most."""
    seconds: float | None = None
    """How long at most."""
    seed: int = 0
    kept: Path | None = None
    """Where inputs are kept that break the target."""
    hang: float = HANG
    done: int = 0
    failures: list[str] = field(default_factory=list[str])
    notes: Counter[str] = field(default_factory=Counter[str])
    """What else is worth a line: how often parsers disagreed, how many writes were acknowledged."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begun

    def going(self) -> bool:
        """Say whether to go on."""
        if len(self.failures) >= ENOUGH:
            return False
        if self.cases is not None and self.done >= self.cases:
            return False
        return self.seconds is None or self.elapsed < self.seconds

    def room(self, wanted: int) -> int:
        """Return how many of so many cases are still to be done."""
        return wanted if self.cases is None else min(wanted, self.cases - self.done)

    def fail(self, why: str, data: bytes | None = None) -> None:
        """Note a failure, and keep the input that shows it."""
        if data is not None and self.kept is not None:
            self.kept.mkdir(parents=True, exist_ok=True)
            path = self.kept / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            why = f"{why}\n  kept as {path.name}"
        self.failures.append(why)

    def report(self) -> dict[str, Any]:
        """Return what happened, as plain values."""
        return {
            "done": self.done,
            "failures": self.failures,
            "notes": dict(self.notes),
            "elapsed": self.elapsed,
        }


def run(target: Target, meter: Meter) -> Meter:
    """Run a target until the meter says stop."""
    if target.play is not None:
        try:
            target.play(meter)
        except AssertionError:
            meter.fail(traceback.format_exc(limit=-3))
    elif target.build is not None:
        attack(target.build(), meter)
    return meter


def attack(fuzz: Fuzz, meter: Meter) -> None:
    """Make inputs and judge them, in batches between which the time is looked at."""
    dice = Random(meter.seed)
    make, check = fuzz
    size = 1
    with alarmed() as set_alarm:
        while meter.going():
            batch = meter.room(size)
            began = time.monotonic()
            set_alarm(meter.hang)
            for _ in range(batch):
                data = make(dice)
                try:
                    check(data)
                except (Exception, Hang):  # noqa: BLE001 - any of them is a failure
                    set_alarm(0)
                    meter.fail(f"{data!r:.300}\n{traceback.format_exc(limit=-4)}", data)
                    break
                finally:
                    meter.done += 1
            if time.monotonic() - began < _BATCH_SECONDS / 2:
                size = min(size * 2, 4096)


def replay(target: Target, folder: Path = REGRESSIONS) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each input that once broke the target."""
    files = (folder / target.name).glob("*")
    yield from sorted((path.name, path.read_bytes()) for path in files)


@contextmanager
def alarmed() -> Generator[Callable[[float], object]]:
    """Give a function that sets an alarm, which raises `Hang` after seconds of work; 0: none."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang("this takes far too long")

    def set_alarm(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_PROF, seconds)

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield set_alarm
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
