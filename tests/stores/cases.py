"""Runs single cases of the store contracts without pytest, on stores that may be broken."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any

import anyio
import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import Blocking, run_now
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.testing import AsyncStoreContract, ManualClock, StoreContract
from coatcheck.testing.async_driver import AwaitedDriver
from coatcheck.testing.driver import SteppedDriver
from tests.stores.broken.awaited import AwaitedStore
from tests.stores.reference import Backend, ReferenceStore

Kind = Callable[..., ReferenceStore]
Wrap = Callable[[ReferenceStore], AwaitedStore]


def cases_of(contract: type[object]) -> set[str]:
    """Name the cases of a contract."""
    return {name for name in dir(contract) if name.startswith("test_")}


def variants(case: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments by which a case is parametrized."""
    marks: list[pytest.Mark] = getattr(getattr(AsyncStoreContract, case), "pytestmark", [])
    tables = [mark.args for mark in marks if mark.name == "parametrize"]
    if not tables:
        yield {}
    for name, values in tables:
        for value in values:
            yield {name: value}


def run_case(
    case: str,
    kind: Kind,
    arguments: dict[str, Any],
    *,
    other_process: Callable[[], Any] | None = None,
) -> None:
    """Run one case of the contract on a store of that kind."""
    backend, now, driver = Backend(), ManualClock(), SteppedDriver()
    contract = StoreContract()
    opened: list[Blocking] = []

    def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> ReferenceStore:
        return kind(backend, namespace=namespace, clock=clock)

    def open_store(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> Blocking:
        opened.append(Blocking(make(namespace=namespace, clock=clock)))
        return opened[-1]

    store = open_store()
    fixtures: dict[str, Callable[[], object]] = {
        "open_store": lambda: open_store,
        "make_store": lambda: make,
        "clock": lambda: now,
        "driver": lambda: driver,
        "other_process": lambda: other_process,
        "store": lambda: store,
        "users": lambda: contract.index(driver, store),
        "enrolment": lambda: contract.enrols(driver, store),
    }
    try:
        getattr(contract, case)(**_wanted(contract, case, fixtures, arguments), **arguments)
    finally:
        if "close" not in case:
            for one in opened:
                run_now(driver.close(one))


def awaited_case(
    case: str,
    kind: Kind,
    arguments: dict[str, Any],
    *,
    wrap: Wrap = AwaitedStore,
    backend: str = "asyncio",
    other_process: Callable[[], Any] | None = None,
) -> Callable[[], Any]:
    """Return one case of the async contract on a store of that kind, wrapped to be awaited."""
    records, now, driver = Backend(), ManualClock(), AwaitedDriver()
    contract = AsyncStoreContract()

    def open_store(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AwaitedStore:
        return wrap(kind(records, namespace=namespace, clock=clock))

    store = open_store()
    fixtures: dict[str, Callable[[], object]] = {
        "open_store": lambda: open_store,
        "make_store": lambda: open_store,
        "clock": lambda: now,
        "driver": lambda: driver,
        "other_process": lambda: other_process,
        "anyio_backend": lambda: backend,
        "store": lambda: store,
        "users": lambda: contract.index(driver, store),
        "enrolment": lambda: contract.enrols(driver, store),
    }
    given = {**_wanted(contract, case, fixtures, arguments), **arguments}
    return functools.partial(getattr(contract, case), **given)


def failing_awaited(
    cases: Collection[str], kind: Kind, *, wrap: Wrap = AwaitedStore, backend: str = "asyncio"
) -> set[str]:
    """Return which cases of the async contract fail; most of them on one event loop."""
    failed: set[str] = set()

    async def await_all() -> None:
        for case in awaited:
            for arguments in variants(case):
                try:
                    await awaited_case(case, kind, arguments, wrap=wrap, backend=backend)()
                except Exception:  # noqa: BLE001 - a broken store may raise anything
                    failed.add(case)

    awaited = [case for case in cases if _is_coroutine(case)]
    anyio.run(await_all, backend=backend)
    for case in set(cases) - set(awaited):
        try:
            awaited_case(case, kind, {}, wrap=wrap, backend=backend)()
        except Exception:  # noqa: BLE001 - as above
            failed.add(case)
    return failed


def _is_coroutine(case: str) -> bool:
    return inspect.iscoroutinefunction(getattr(AsyncStoreContract, case))


def _wanted(
    contract: object,
    case: str,
    fixtures: dict[str, Callable[[], object]],
    arguments: dict[str, Any],
) -> dict[str, object]:
    names = set(inspect.signature(getattr(contract, case)).parameters) - set(arguments)
    return {name: fixtures[name]() for name in names}


def fails(case: str, kind: Kind) -> bool:
    """Say whether the case of the blocking contract fails, in any of its variants."""
    for arguments in variants(case):
        try:
            run_case(case, kind, arguments)
        except pytest.skip.Exception:
            continue
        except Exception:  # noqa: BLE001 - a broken store may raise anything
            return True
    return False
