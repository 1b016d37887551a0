"""Stores that have no test module of their own pass the contract.

The memory, file and SQLite stores run it beside the tests of what is particular to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import (
    CalledEnrols,
    CalledIndex,
    CalledPurges,
    CalledScans,
    Threaded,
    in_thread,
    pause,
)
from coatcheck.store.keyvalue import AsyncKeyValueStore, KeyValueStore
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.testing import (
    AsyncCountingStore,
    AsyncStoreContract,
    CountingStore,
    MakeAsyncStore,
    MakeStore,
    ManualClock,
    StoreContract,
)
from coatcheck.testing.store_cases.base import Capability
from coatcheck.testing.store_cases.enrol import EnrolCases
from coatcheck.testing.store_cases.index import IndexCases
from coatcheck.testing.store_cases.upkeep import PurgeCases, ScanCases
from tests.stores.reference import Backend, ReferenceStore

C = TypeVar("C", bound=type[object])

ALL_CAPABILITIES = sorted(
    name
    for cases in (IndexCases, EnrolCases, PurgeCases, ScanCases)
    for name in vars(cases)
    if name.startswith("test_")
)
ENROLMENT = [name for name in ALL_CAPABILITIES if name in vars(EnrolCases)]

OTHER_PROCESSES = ("test_22_no_increment_is_lost_between_processes",)


def without(*cases: str) -> Callable[[C], C]:
    """Leave out cases that cannot concern a store, so that no test of ours is ever skipped."""

    def leave_out(contract: C) -> C:
        for case in cases:
            if not hasattr(contract, case):
                raise TypeError(f"{case} is no case")
            setattr(contract, case, None)
        return contract

    return leave_out


@without(*OTHER_PROCESSES)
class TestReferenceStore(StoreContract):
    """The store that the broken ones are made from."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> ReferenceStore:
            return ReferenceStore(backend, namespace=namespace, clock=clock)

        return make


@without(*OTHER_PROCESSES)
class TestCountingStore(StoreContract):
    """A store that counts is no different from the one that it wraps."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> CountingStore:
            return CountingStore(ReferenceStore(backend, namespace=namespace, clock=clock))

        return make


class Suspending(Threaded):
    """The reference store as an async one that suspends in every call."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        index = CalledIndex(store, in_thread)
        self.entries, self.admit, self.confirm = index.entries, index.admit, index.confirm
        self.revoke, self.forget = index.revoke, index.forget
        self.enrol = CalledEnrols(store, in_thread).enrol
        purges = CalledPurges(store, in_thread)
        self.purge, self.claim_purge = purges.purge, purges.claim_purge
        self.scan = CalledScans(store, in_thread).scan


@without(*OTHER_PROCESSES)
class TestAsyncReferenceStore(AsyncStoreContract):
    """The same store, each call in a worker thread."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeAsyncStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncCountingStore:
            store = ReferenceStore(backend, namespace=namespace, clock=clock)
            return AsyncCountingStore(Suspending(store))

        return make


class Mapping(dict[str, str]):
    """An object with the three methods that `KeyValueStore` asks for."""

    def set(self, id: str, data: str) -> None:
        self[id] = data

    def delete(self, id: str) -> None:
        self.pop(id, None)


class AwaitedMapping:
    """The same, awaited, suspending each time."""

    def __init__(self) -> None:
        self._items: dict[str, str] = {}

    async def get(self, id: str) -> str | None:
        await pause(0)
        return self._items.get(id)

    async def set(self, id: str, data: str) -> None:
        await pause(0)
        self._items[id] = data
        await pause(0)

    async def delete(self, id: str) -> None:
        await pause(0)
        self._items.pop(id, None)


@without(*OTHER_PROCESSES, *ALL_CAPABILITIES)
@pytest.mark.filterwarnings("ignore:sessions in a Mapping are safe")
class TestKeyValueStore(StoreContract):
    """Any object with `get`, `set` and `delete`."""

    capabilities = frozenset[Capability]()

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        mapping, now = Mapping(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> KeyValueStore:
            return KeyValueStore(mapping, namespace=namespace, clock=clock)

        return make


@without(*OTHER_PROCESSES, *ALL_CAPABILITIES)
@pytest.mark.filterwarnings("ignore:sessions in a AwaitedMapping are safe")
class TestAsyncKeyValueStore(AsyncStoreContract):
    """Any object with these methods, awaited."""

    capabilities = frozenset[Capability]()

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeAsyncStore:
        mapping, now = AwaitedMapping(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncKeyValueStore:
            return AsyncKeyValueStore(mapping, namespace=namespace, clock=clock)

        return make
