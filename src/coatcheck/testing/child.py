"""What the contract runs in other processes."""

from __future__ import annotations

import inspect
from multiprocessing.synchronize import Barrier
from typing import Any

from coatcheck.drivers import Blocking, run_now
from coatcheck.store.protocol import Updated
from coatcheck.testing.store_cases.base import OtherProcess, increment


def increment_elsewhere(open_store: OtherProcess, all_ready: Barrier, key: str, times: int) -> None:
    """Open the store; when all are ready, add one to the number in the record, `times` times."""

    async def work(store: Any) -> None:
        await store.get(key)
        # Blocking, on an event loop that has nothing else to do.
        all_ready.wait(60)
        await increment(store, key, times)

    _run(open_store(), work)


def use_after_fork(store: Any, key: str) -> bool:
    """Read and update the record with a store that was opened before the fork."""

    async def use(store: Any) -> bool:
        record = await store.get(key)
        if record is None:
            return False
        outcome = await store.update(key, b"child", version=record.version, expires_at=None)
        return isinstance(outcome, Updated)

    return bool(_run(store, use))


def _run(store: Any, work: Any) -> Any:
    if not inspect.iscoroutinefunction(store.get):
        return run_now(work(Blocking(store)))
    # Here, because a blocking store is tested without anyio installed.
    import anyio

    return anyio.run(work, store)
