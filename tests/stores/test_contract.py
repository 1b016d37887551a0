"""Every built-in store passes the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from coatcheck.clock import Clock
from coatcheck.drivers import CalledIndex, CalledPurges, CalledScans, Threaded, in_thread
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

C = TypeVar("C", bound=type[object])

OTHER_PROCESSES = ("test_22_no_increment_is_lost_between_processes",)


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
