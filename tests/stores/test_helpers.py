"""The clock and the counting stores that tests are written with."""

from __future__ import annotations

import copy
import math

import pytest

from coatcheck.drivers import Blocking, run_now
from coatcheck.store.protocol import Enrols, Purges, Scans, Stored, UserIndex
from coatcheck.testing import AsyncCountingStore, CountingStore, ManualClock
from coatcheck.testing.expect import equal, holds
from tests.stores.reference import Backend, ReferenceStore

KEY = "0123456789abcdef" * 2


def reference() -> ReferenceStore:
    """Return an empty store."""
    return ReferenceStore(Backend(), clock=ManualClock())


def test_a_manual_clock_moves_when_told() -> None:
    """It stands still until it is advanced or set, and can go back."""
    clock = ManualClock(100)
    assert clock() == clock() == 100.0
    clock.advance(2.5)
    assert clock() == 102.5
    clock.advance(-3)
    assert clock() == 99.5
    clock.set(7)
    assert (clock(), type(clock())) == (7.0, float)
    assert repr(clock) == "ManualClock(7.0)"
    assert copy.copy(clock)() == 7.0


@pytest.mark.parametrize("now", [math.nan, math.inf])
def test_a_manual_clock_shows_numbers(now: float) -> None:
    """It refuses what is no time, and stays where it was."""
    clock = ManualClock(5)
    with pytest.raises(ValueError, match="finite number of seconds"):
        clock.set(now)
    assert clock() == 5


def test_a_counting_store_counts_every_call() -> None:
    """It counts each method by name and forwards arguments and results."""
    store = CountingStore(reference())
    assert store.create(KEY, b"a", expires_at=None, user_id="ann")
    assert store.get(KEY) == Stored(1, None, b"a")
    assert store.get(KEY) == Stored(1, None, b"a")
    store.update(KEY, b"b", version=1, expires_at=None)
    store.touch(KEY, version=2, expires_at=9.0)
    store.delete(KEY, user_id="ann")
    assert isinstance(store, UserIndex)
    assert list(store.entries("ann")) == []
    wanted = {"create": 1, "get": 2, "update": 1, "touch": 1, "delete": 1, "entries": 1}
    assert (dict(store.calls), store.total) == (wanted, 7)
    store.reset()
    assert store.total == 0


def test_an_async_counting_store_counts_every_call() -> None:
    """It counts each method by name and forwards arguments and results."""

    async def use() -> None:
        assert await store.create(KEY, b"a", expires_at=None, user_id="ann")
        assert await store.get(KEY) == Stored(1, None, b"a")
        await store.update(KEY, b"b", version=1, expires_at=None)
        await store.touch(KEY, version=2, expires_at=9.0)
        await store.delete(KEY, user_id="ann")

    store = AsyncCountingStore(Blocking(reference()))
    run_now(use())
    assert dict(store.calls) == dict.fromkeys(("create", "get", "update", "touch", "delete"), 1)
    assert getattr(store, "get_never_suspends", None) is True


def test_a_counting_store_has_the_capabilities_of_the_other() -> None:
    """It has exactly those capabilities and attributes that the wrapped store has."""
    whole, bare = CountingStore(reference()), AsyncCountingStore(Blocking(reference()))
    for capability in (UserIndex, Enrols, Purges, Scans):
        assert isinstance(whole, capability)
        assert not isinstance(bare, capability)
    assert getattr(whole, "namespace", None) == "coatcheck"
    assert not hasattr(bare, "namespace")


def test_checks_name_the_rule_and_the_values() -> None:
    """A check that fails says which rule was broken, what was found and what was wanted."""
    with pytest.raises(AssertionError, match=r"(?s)a rule.*found:  1.*wanted: 2"):
        equal(1, 2, "a rule")
    with pytest.raises(AssertionError, match="a rule"):
        equal(True, 1, "a rule")
    with pytest.raises(AssertionError, match=r"(?s)a rule.*found:  'this'"):
        holds(False, "a rule", "this")
