"""The suite that every async store passes: the cases of `StoreContract`, awaited.

    from coatcheck.testing import AsyncStoreContract

    class TestMyStore(AsyncStoreContract):
        @pytest.fixture
        def make_store(self, tmp_path, clock):
            def make(*, namespace="coatcheck", clock=clock):
                return MyAsyncStore(tmp_path / "sessions", namespace=namespace, clock=clock)
            return make

What it needs comes with `coatcheck[testing]`: anyio for one, whose pytest plugin runs each case on
asyncio and on trio. A store for asyncio alone overrides one fixture:

        @pytest.fixture
        def anyio_backend(self):
            return "asyncio"
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE, AsyncStore, Stored, Updated
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver, MakeAsyncStore
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import HOUR, KEY, OpenStore, OtherProcess, handle
from coatcheck.testing.store_cases.basics import BasicCases
from coatcheck.testing.store_cases.enrol import EnrolCases
from coatcheck.testing.store_cases.expiry import ExpiryCases
from coatcheck.testing.store_cases.index import IndexCases
from coatcheck.testing.store_cases.model import ModelCases
from coatcheck.testing.store_cases.processes import ProcessCases
from coatcheck.testing.store_cases.races import RaceCases
from coatcheck.testing.store_cases.upkeep import PurgeCases, ScanCases
from coatcheck.testing.store_contract import in_child


class AsyncStoreFixtures:
    """The fixtures of `AsyncStoreContract`: `make_store` is for the author to write."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        """Return the event loop to run on; return `"asyncio"` for a store that needs it."""
        return request.param

    @pytest.fixture
    def make_store(self) -> MakeAsyncStore:
        """Return what opens the store: empty for each test, the same records within one test."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `make_store` that returns a callable"
            " make(*, namespace='coatcheck', clock=clock) which opens the store under test"
        )

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock that the store under test goes by."""
        return ManualClock()

    @pytest.fixture
    def other_process(self) -> OtherProcess | None:
        """Return a picklable callable that opens the same records in another process, if any can.

        Such as `functools.partial(MyAsyncStore, address)`; its clock is the system's.
        """
        return None

    @pytest.fixture
    def driver(self) -> Driver:
        """Return what runs the cases; not for authors to change."""
        # Here, so that `coatcheck.testing` can be imported without anyio.
        from coatcheck.testing.async_driver import AwaitedDriver

        return AwaitedDriver()

    @pytest.fixture
    async def open_store(
        self, make_store: MakeAsyncStore, clock: ManualClock, driver: Driver, anyio_backend: Any
    ) -> AsyncIterator[OpenStore]:
        """Open stores for a case and close them after it; not for authors to change."""
        opened: list[AsyncStore] = []

        def open_one(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = clock) -> AsyncStore:
            opened.append(make_store(namespace=namespace, clock=clock))
            return opened[-1]

        yield open_one
        for store in opened:
            await driver.close(store)

    @pytest.fixture
    def store(self, open_store: OpenStore) -> AsyncStore:
        """Return the store that most cases use; not for authors to change."""
        return open_store()


class CancelCases:
    """Case 50, which only an async store has: operations that are cancelled."""

    async def test_50_cancelled_update(self, store: AsyncStore, clock: ManualClock) -> None:
        """An update cancelled at any point takes place or does not; the store goes on working."""
        # Here, so that `coatcheck.testing` can be imported without anyio.
        from coatcheck.testing.async_driver import cancelled_at

        deadline = clock() + HOUR
        old, new = Stored(1, deadline, b"old"), Stored(2, deadline, b"new")
        for steps in range(24):
            key = handle(steps)
            await store.create(key, b"old", expires_at=deadline, user_id="ann")
            update = functools.partial(store.update, key, b"new", version=1, expires_at=deadline)
            reached = await cancelled_at(steps, update)
            record = await store.get(key)
            holds(record in (old, new), f"old or new, nothing else (step {steps})", record)
            version = record.version if record else 0
            outcome = await store.update(key, b"next", version=version, expires_at=deadline)
            equal(outcome, Updated(version + 1), f"no lock is left behind (step {steps})")
            removed = await store.delete(key)
            equal(removed, Stored(version + 1, deadline, b"next"), f"no late write (step {steps})")
            if not reached:
                return


@pytest.mark.anyio
class AsyncStoreContract(
    AsyncStoreFixtures,
    BasicCases,
    ExpiryCases,
    RaceCases,
    ModelCases,
    ProcessCases,
    CancelCases,
    IndexCases,
    EnrolCases,
    PurgeCases,
    ScanCases,
):
    """Subclass it under a name that begins with `Test`, and write the fixture `make_store`."""

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_52_use_after_fork(
        self, make_store: MakeAsyncStore, other_process: OtherProcess | None, anyio_backend: Any
    ) -> None:
        """A store that was made before a fork works in the child, and then in the parent."""
        from coatcheck.testing.async_driver import AwaitedDriver, run_on

        store = make_store()

        async def use(payload: bytes) -> bool:
            created = await store.create(KEY, payload, expires_at=None, user_id=None)
            found = await store.get(KEY)
            await AwaitedDriver().close(store)
            return created and found == Stored(1, None, payload)

        def use_here(payload: bytes) -> bool:
            return run_on(anyio_backend, functools.partial(use, payload))

        equal(in_child(lambda: use_here(b"child")), True, "it works in the child")
        equal(use_here(b"parent"), not other_process, "the parent finds what the child has left")
