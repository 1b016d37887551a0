"""Every built-in store passes the contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import CalledIndex, CalledPurges, CalledScans, Threaded, in_thread
from coatcheck.store.file import FileStore
from coatcheck.store.memory import MemoryStore
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
from coatcheck.testing.store_cases.base import OtherProcess
from tests.stores.reference import Backend, ReferenceStore

C = TypeVar("C", bound=type[object])

OTHER_PROCESSES = ("test_22_no_increment_is_lost_between_processes",)
REOPENING = (
    "test_09_what_is_stored_stays",
    "test_10_two_stores_are_one",
    "test_17_clocks_of_two_machines",
    "test_55_what_is_stored_stays",
    "test_57_scan_goes_on_elsewhere",
)


def without(*cases: str) -> Callable[[C], C]:
    """Leave out cases that cannot concern a store, so that no test of ours is ever skipped."""

    def leave_out(contract: C) -> C:
        for case in cases:
            if not callable(getattr(contract, case)):
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


@without(*OTHER_PROCESSES, *REOPENING)
class TestMemoryStore(StoreContract):
    """Records in memory, in one object."""

    reopens = False

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        stores: dict[str, MemoryStore] = {}
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> MemoryStore:
            return stores.setdefault(namespace, MemoryStore(namespace=namespace, clock=clock))

        return make


class TestFileStore(StoreContract):
    """Records in files."""

    @pytest.fixture
    def make_store(self, tmp_path: Path, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> FileStore:
            return FileStore(tmp_path / "sessions", namespace=namespace, clock=clock)

        return make

    @pytest.fixture
    def other_process(self, tmp_path: Path) -> OtherProcess:
        return functools.partial(FileStore, tmp_path / "sessions")


class Suspending(Threaded):
    """The reference store as an async one that suspends in every call."""

    def __init__(self, store: ReferenceStore) -> None:
        super().__init__(store)
        index = CalledIndex(store, in_thread)
        self.entries, self.admit, self.confirm = index.entries, index.admit, index.confirm
        self.revoke, self.forget = index.revoke, index.forget
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
