"""Every built-in store passes the contract."""

from __future__ import annotations

import pytest

from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from tests.stores.reference import Backend, ReferenceStore


class TestReferenceStore(StoreContract):
    """The store that the broken ones are made from."""

    @pytest.fixture
    def make_store(self, clock: ManualClock) -> MakeStore:
        backend, now = Backend(), clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> ReferenceStore:
            return ReferenceStore(backend, namespace=namespace, clock=clock)

        return make
