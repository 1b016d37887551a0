"""The suite that every blocking store passes, published for the authors of other stores.

    from coatcheck.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def make_store(self, tmp_path, clock):
            def make(*, namespace="coatcheck", clock=clock):
                return MyStore(tmp_path / "sessions", namespace=namespace, clock=clock)
            return make

What it needs comes with `coatcheck[testing]`. A case is named after its number in the list of
cases, and its docstring says in one sentence what it demands.
"""

from __future__ import annotations

import functools
import inspect
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import Blocking, run_now
from coatcheck.store.protocol import DEFAULT_NAMESPACE, AsyncStore, Stored, Updated
from coatcheck.testing import child
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver, MakeStore, SteppedDriver
from coatcheck.testing.expect import equal
from coatcheck.testing.store_cases.base import KEY, OpenStore, OtherProcess
from coatcheck.testing.store_cases.basics import BasicCases
from coatcheck.testing.store_cases.enrol import EnrolCases
from coatcheck.testing.store_cases.expiry import ExpiryCases
from coatcheck.testing.store_cases.index import IndexCases
from coatcheck.testing.store_cases.model import ModelCases
from coatcheck.testing.store_cases.processes import ProcessCases
from coatcheck.testing.store_cases.races import RaceCases
from coatcheck.testing.store_cases.upkeep import PurgeCases, ScanCases

C = TypeVar("C", bound=type[Any])


def stepped(contract: C) -> C:
    """Make every case of the class an ordinary function that steps its coroutine to the end."""
    for name in dir(contract):
        case = getattr(contract, name)
        if name.startswith("test_") and inspect.iscoroutinefunction(case):
            setattr(contract, name, _stepped(case))
    return contract


def _stepped(case: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(case)
    def run(*args: Any, **fixtures: Any) -> None:
        run_now(case(*args, **fixtures))

    return run


class StoreFixtures:
    """The fixtures of `StoreContract`: `make_store` is for the author to write."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
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

        Such as `functools.partial(MyStore, address)`; its clock is the system's.
        """
        return None

    @pytest.fixture
    def driver(self) -> Driver:
        """Return what runs the cases; not for authors to change."""
        return SteppedDriver()

    @pytest.fixture
    def open_store(
        self, make_store: MakeStore, clock: ManualClock, driver: Driver
    ) -> Iterator[OpenStore]:
        """Open stores for a case and close them after it; not for authors to change."""
        opened: list[AsyncStore] = []

        def open_one(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = clock) -> AsyncStore:
            opened.append(Blocking(make_store(namespace=namespace, clock=clock)))
            return opened[-1]

        yield open_one
        for store in opened:
            run_now(driver.close(store))

    @pytest.fixture
    def store(self, open_store: OpenStore) -> AsyncStore:
        """Return the store that most cases use; not for authors to change."""
        return open_store()


@stepped
class StoreContract(
    StoreFixtures,
    BasicCases,
    ExpiryCases,
    RaceCases,
    ModelCases,
    ProcessCases,
    IndexCases,
    EnrolCases,
    PurgeCases,
    ScanCases,
):
    """Subclass it under a name that begins with `Test`, and write the fixture `make_store`."""

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_52_use_after_fork(
        self, make_store: MakeStore, other_process: OtherProcess | None
    ) -> None:
        """A store that was opened before a fork works in the child and in the parent."""
        store = make_store()
        store.create(KEY, b"parent", expires_at=None, user_id=None)
        equal(store.get(KEY), Stored(1, None, b"parent"), "the store is in use before the fork")
        equal(in_child(lambda: child.use_after_fork(store, KEY)), True, "it works in the child")
        record = store.get(KEY)
        # A store of one process has a copy in the child, and the parent's own record stands.
        alone = Stored(1, None, b"parent")
        equal(record, Stored(2, None, b"child") if other_process else alone, "and in the parent")
        version = 2 if other_process else 1
        outcome = store.update(KEY, b"parent again", version=version, expires_at=None)
        equal(outcome, Updated(version + 1), "the parent goes on")
        getattr(store, "close", lambda: None)()


def in_child(work: Callable[[], bool]) -> bool:
    """Fork, run `work` in the child, and return what it returned; false where it raised."""
    with warnings.catch_warnings():
        # Threads of the test run itself are what Python 3.12 warns of here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if work() else 2
        except BaseException:  # noqa: BLE001 - the exit status tells
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
