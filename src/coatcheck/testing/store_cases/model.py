"""Case 32: random sequences against a model, and parallel histories that must have an order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

from coatcheck.store.protocol import AsyncStore
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver
from coatcheck.testing.expect import holds
from coatcheck.testing.store_cases.base import Cases, handle
from coatcheck.testing.store_cases.history import Recorder, Step, Verb, explains

# Reads and updates twice: they are what makes an impossible order visible.
_VERBS: tuple[Verb, ...] = ("get", "create", "update", "touch", "delete", "get", "update", "update")


class ModelCases(Cases):
    """Random sequences against a model, and parallel histories that must have an order."""

    examples: ClassVar[int] = 60
    """How many random sequences are tried; each has at most `steps` calls."""

    steps: ClassVar[int] = 25

    histories: ClassVar[int] = 40
    """How many parallel histories are recorded and explained."""

    async def test_32_random_sequences(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """No sequence of verbs and passing time makes the store differ from a dict."""
        # Here, so that `coatcheck.testing` can be imported without hypothesis, for the clock alone.
        from coatcheck.testing.store_cases.machine import search

        await driver.explore(search(store, clock, self.examples, self.steps))

    async def test_32_parallel_histories(self, store: AsyncStore, driver: Driver) -> None:
        """What parallel calls return is what some order of the calls, one by one, would return."""
        for number in range(self.histories):
            recorder = Recorder(store, handle(number))
            workers = [recorder.worker(_steps(number, worker)) for worker in range(3)]
            await driver.together(*workers)
            holds(explains(recorder.events), "the history has an order", *recorder.events)


def _steps(history: int, worker: int) -> Sequence[Step]:
    """Return four arbitrary steps, the same in every run."""
    dice = hashlib.sha256(b"%d %d" % (history, worker)).digest()
    return [
        Step(_VERBS[dice[i] % len(_VERBS)], 100 * worker + i, 1 + dice[i + 4] % 2) for i in range(4)
    ]
