"""What the cases of the store contract have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

import pytest

from coatcheck.clock import Clock
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    AsyncEnrols,
    AsyncPurges,
    AsyncScans,
    AsyncStore,
    AsyncUserIndex,
    Updated,
    UpdateOutcome,
)
from coatcheck.testing.driver import Driver

Capability: TypeAlias = Literal["index", "purge", "scan", "enrol"]
OtherProcess: TypeAlias = Callable[[], Any]
"""Opens the store under test in another process; must be picklable."""

HOUR = 3600.0
DAY = 86_400.0


class OpenStore(Protocol):
    """Opens the store under test, in the shape of an async one, and closes it after the test."""

    def __call__(self, *, namespace: str = DEFAULT_NAMESPACE, clock: Clock = ...) -> AsyncStore: ...


def handle(number: int) -> str:
    """Return a store key; keys of neighbouring numbers have nothing in common."""
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]


KEY = handle(0)
OTHER = handle(1)


_REOPENING = "_needs_reopening"
F = TypeVar("F", bound=Callable[..., object])


def reopening(case: F) -> F:
    """Mark a case that opens the same records a second time."""
    setattr(case, _REOPENING, True)
    return case


class Cases:
    """The root of all cases: what the author of a store says about it."""

    capabilities: ClassVar[Collection[Capability]] = frozenset({"index", "purge", "scan"})
    """The capabilities that the store promises: a promised one that is missing fails.

    One that is there is tried, promised or not. `"enrol"` is for those stores alone that have it.
    """

    reopens: ClassVar[bool] = True
    """Whether `make_store` can open the same records again, with another clock.

    False for a store whose records live in one object: it has no cases that need a second one.
    """

    engine_expires: ClassVar[bool] = False
    """Whether an engine collects expired records by itself, so that `purge` finds none."""

    @pytest.fixture
    def users(self, driver: Driver, store: AsyncStore) -> AsyncUserIndex:
        """Return the store's user index."""
        return self.index(driver, store)

    def index(self, driver: Driver, store: AsyncStore) -> AsyncUserIndex:
        """Return the store's user index; skip or fail where it has none."""
        return driver.index(store) or self._without("index", "UserIndex")

    def enrols(self, driver: Driver, store: AsyncStore) -> AsyncEnrols:
        """Return the store's enrolment; skip or fail where it has none."""
        return driver.enrols(store) or self._without("enrol", "Enrols")

    def purges(self, driver: Driver, store: AsyncStore) -> AsyncPurges:
        """Return the store's purge; skip or fail where it has none."""
        return driver.purges(store) or self._without("purge", "Purges")

    def scans(self, driver: Driver, store: AsyncStore) -> AsyncScans:
        """Return the store's scan; skip or fail where it has none."""
        return driver.scans(store) or self._without("scan", "Scans")

    def _without(self, capability: Capability, protocol: str) -> Any:
        name = type(self).__name__
        if capability in self.capabilities:
            pytest.fail(
                f"{name}.capabilities promises {capability!r}, but the store lacks methods of"
                f" coatcheck.store.protocol.{protocol}: write them, or promise less"
            )
        pytest.skip(
            f"the store has no {protocol}: write its methods and add {capability!r} to"
            f" {name}.capabilities"
        )

    def __init_subclass__(cls) -> None:
        """Leave out what cannot concern the store."""
        super().__init_subclass__()
        if not cls.reopens:
            for name in dir(cls):
                if hasattr(getattr(cls, name), _REOPENING):
                    setattr(cls, name, None)


async def increment(store: AsyncStore, key: str, times: int) -> None:
    """Add one to the decimal number in the record, `times` times, by compare-and-set."""
    current = await store.get(key)
    for _ in range(times):
        outcome: UpdateOutcome | None = None
        while not isinstance(outcome, Updated):
            if current is None:
                raise AssertionError("the record is gone though nobody deleted it")
            payload = b"%d" % (int(current.payload) + 1)
            outcome = await store.update(
                key, payload, version=current.version, expires_at=current.expires_at
            )
            current = await store.get(key)
