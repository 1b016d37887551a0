"""Cases 22 and 52: several processes."""

from __future__ import annotations

import multiprocessing

import pytest

from coatcheck.store.protocol import AsyncStore, Stored
from coatcheck.testing import child
from coatcheck.testing.expect import equal
from coatcheck.testing.store_cases.base import KEY, Cases, OtherProcess, reopening

PROCESSES = 3
ROUNDS = 100


def skip_without(other_process: OtherProcess | None, cases: Cases) -> OtherProcess:
    """Return `other_process`, or skip and say what to write."""
    if other_process is None:
        pytest.skip(
            f"{type(cases).__name__} has no fixture `other_process`: return a picklable callable"
            " that opens the store, such as functools.partial(MyStore, address)"
        )
    return other_process


class ProcessCases(Cases):
    """Several processes."""

    @reopening
    async def test_22_no_increment_is_lost_between_processes(
        self, store: AsyncStore, other_process: OtherProcess | None
    ) -> None:
        """Increments by compare-and-set from several processes add up."""
        open_there = skip_without(other_process, self)
        await store.create(KEY, b"0", expires_at=None, user_id=None)
        spawn = multiprocessing.get_context("spawn")
        # Each is done in a moment, so without this none would meet another.
        all_ready = spawn.Barrier(PROCESSES)
        arguments = (open_there, all_ready, KEY, ROUNDS)
        children = [
            spawn.Process(target=child.increment_elsewhere, args=arguments)
            for _ in range(PROCESSES)
        ]
        for process in children:
            process.start()
        for process in children:
            process.join(60)
        equal([process.exitcode for process in children], [0] * PROCESSES, "all have finished")
        total = PROCESSES * ROUNDS
        equal(await store.get(KEY), Stored(1 + total, None, b"%d" % total), "no increment is lost")
