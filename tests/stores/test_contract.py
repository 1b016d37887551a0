"""Every built-in store passes the contract."""

from __future__ import annotations

import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import CalledIndex, CalledPurges, CalledScans, Threaded, in_thread
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
from tests.stores.reference import Backend, ReferenceStore


class TestReferenceStore(StoreContract):
    """The store that the broken ones are made from."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> ReferenceStore:
            return ReferenceStore(backend, namespace=namespace, clock=clock)

        return make


class TestCountingStore(StoreContract):
    """A store that counts is no different from the one that it wraps."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> CountingStore:
            return CountingStore(ReferenceStore(backend, namespace=namespace, clock=clock))

        return make


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


class TestAsyncReferenceStore(AsyncStoreContract):
    """The same store, each call in a worker thread."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeAsyncStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncCountingStore:
            store = ReferenceStore(backend, namespace=namespace, clock=clock)
            return AsyncCountingStore(Suspending(store))

        return make
