"""What encryption adds to reading and writing a session of 1 KB, in memory: the least of rounds."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Literal

from coatcheck import SessionManager
from coatcheck.store import MemoryStore
from tests.benchmarks.apps import SECRET
from tests.benchmarks.timing import timed

Mode = bool | Literal["sealed"]
MODES: tuple[Mode, ...] = (False, True, "sealed")
ROUNDS, BATCH = 600, 40


class Reader:
    """One session of about 1 KB behind a manager that encrypts in one way."""

    def __init__(self, mode: Mode) -> None:
        self.manager = SessionManager(secret=SECRET, store=MemoryStore(), encrypt=mode)
        session = self.manager.create("ada", {"text": "x" * 1000, "n": 0})
        self.id, self.n = session.id, 0

    def read(self) -> None:
        session = self.manager.open(self.id)
        if session is None or session["text"] is None:
            raise RuntimeError("the session is gone")

    def write(self) -> None:
        session = self.manager.open(self.id)
        if session is None:
            raise RuntimeError("the session is gone")
        self.n = (self.n + 1) % 100
        session["n"] = self.n
        session.save()


def show_encryption(engines: list[str]) -> None:
    """Print the table; `engines` plays no part, for all are in memory."""
    plan: dict[tuple[Mode, str], Callable[[], None]] = {}
    for mode in MODES:
        reader = Reader(mode)
        plan[mode, "read"], plan[mode, "read and write"] = reader.read, reader.write
    least = dict.fromkeys(plan, float("inf"))
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        for name, operation in plan.items():
            least[name] = min(least[name], timed(operation, BATCH) / BATCH)
    print("\na session of 1 KB, us: without encryption, and what that adds")
    for act in ("read", "read and write"):
        plain, *more = (least[mode, act] * 1e6 for mode in MODES)
        added = (
            f"{name} +{us - plain:.1f}" for name, us in zip(("True", "sealed"), more, strict=True)
        )
        print(f"  {act:16}{plain:>8.1f}   " + "   ".join(added))
