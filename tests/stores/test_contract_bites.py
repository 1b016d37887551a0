"""The contract catches every defect that it was written against."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, cast

import anyio
import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import Blocking, run_now
from coatcheck.store.protocol import DEFAULT_NAMESPACE, AsyncStore
from coatcheck.testing import AsyncStoreContract, ManualClock, StoreContract
from coatcheck.testing.async_driver import AwaitedDriver
from coatcheck.testing.driver import SteppedDriver
from tests.stores.broken import BROKEN
from tests.stores.broken.awaited import BROKEN_AWAITED, AwaitedStore
from tests.stores.reference import Backend, ReferenceStore


def variants(case: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments by which a case is parametrized."""
    marks: list[pytest.Mark] = getattr(getattr(StoreContract, case), "pytestmark", [])
    tables = [mark.args for mark in marks if mark.name == "parametrize"]
    if not tables:
        yield {}
    for name, values in tables:
        for value in values:
            yield {name: value}


def run_case(case: str, kind: type[ReferenceStore], arguments: dict[str, Any]) -> None:
    """Run one case of the contract on a store of that kind, without pytest."""
    backend, now, driver = Backend(), ManualClock(), SteppedDriver()
    opened: list[AsyncStore] = []

    def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> ReferenceStore:
        return kind(backend, namespace=namespace, clock=clock)

    def open_store(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncStore:
        opened.append(Blocking(make(namespace=namespace, clock=clock)))
        return opened[-1]

    contract = StoreContract()
    store = open_store()
    fixtures: dict[str, Callable[[], object]] = {
        "open_store": lambda: open_store,
        "make_store": lambda: make,
        "clock": lambda: now,
        "driver": lambda: driver,
        "other_process": lambda: None,
        "store": lambda: store,
        "users": lambda: contract.index(driver, store),
    }
    function = getattr(contract, case)
    wanted = set(inspect.signature(function).parameters) - set(arguments)
    try:
        function(**{name: fixtures[name]() for name in wanted}, **arguments)
    finally:
        if "close" not in case:
            for one in opened:
                run_now(driver.close(one))


def failures(case: str, kind: type[ReferenceStore]) -> list[BaseException]:
    """Return what the case raises, in all its variants."""
    found: list[BaseException] = []
    for arguments in variants(case):
        try:
            run_case(case, kind, arguments)
        except pytest.skip.Exception:
            continue
        except (AssertionError, RuntimeError) as error:
            found.append(error)
    return found


NAMED = sorted({case for cases in BROKEN.values() for case in cases})


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: cast("type[object]", kind).__name__)
def test_each_defect_is_caught(kind: type[ReferenceStore]) -> None:
    """Every case that is named for a defect fails on the store that has it."""
    silent = [case for case in BROKEN[kind] if not failures(case, kind)]
    assert silent == []


@pytest.mark.parametrize("case", NAMED)
def test_the_correct_store_passes(case: str) -> None:
    """What fails on the broken stores passes on the one that they are copies of."""
    assert failures(case, ReferenceStore) == []


def test_every_case_has_its_defect() -> None:
    """No case is there that no broken store fails; one needs a second process."""
    cases = {name for name in dir(StoreContract) if name.startswith("test_")}
    assert cases - set(NAMED) == {"test_22_no_increment_is_lost_between_processes"}


def run_awaited_case(case: str, kind: type[AwaitedStore], backend: str) -> None:
    """Run one case of the async contract on a store of that kind, without pytest."""
    clock = ManualClock()
    store = kind(ReferenceStore(Backend(), clock=clock))
    function = getattr(AsyncStoreContract(), case)
    fixtures = {"store": store, "clock": clock, "driver": AwaitedDriver()}
    wanted = inspect.signature(function).parameters
    work = functools.partial(function, **{name: fixtures[name] for name in wanted})
    anyio.run(work, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", BROKEN_AWAITED)
def test_each_defect_of_an_async_store_is_caught(kind: type[AwaitedStore], backend: str) -> None:
    """Every case that is named for a defect fails on the store that has it, and only there."""
    for case in BROKEN_AWAITED[kind]:
        run_awaited_case(case, AwaitedStore, backend)
        with pytest.raises(AssertionError):
            run_awaited_case(case, kind, backend)
