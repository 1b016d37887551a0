"""When a process removes what has expired: now and then, one at a time, in batches."""

from __future__ import annotations

from itertools import pairwise

import pytest

from coatcheck.drivers import run_now
from coatcheck.errors import StoreError
from coatcheck.events import PurgeFailed
from coatcheck.lifecycle import PURGE_INTERVAL
from coatcheck.store.protocol import GARBAGE_AFTER
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, raising


def _purge(harness: Harness) -> int:
    """Do what adapters do after a response."""
    return run_now(harness.lifecycle.purge()) if harness.lifecycle.claim_purge() else 0


def _leave_garbage(harness: Harness, count: int) -> None:
    now = harness.clock()
    for number in range(count):
        harness.store.inner.create(f"{number:032x}", b"", expires_at=now + 1, user_id=None)
    harness.clock.advance(GARBAGE_AFTER + 2)


def test_it_is_done_every_ten_minutes_or_so() -> None:
    """Asked after every response, it happens at most once in the interval, jittered by a tenth."""
    harness = Harness(purge="auto")
    _purge(harness)
    harness.store.take()
    times: list[float] = []
    for _ in range(4 * 60):
        harness.clock.advance(10)
        _purge(harness)
        if "claim_purge" in harness.store.take():
            times.append(harness.clock())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps
    assert min(gaps) >= 0.9 * PURGE_INTERVAL
    assert max(gaps) <= 1.1 * PURGE_INTERVAL + 10


@pytest.mark.parametrize(("most", "seconds"), [(False, 540.0), (True, 659.4)])
def test_it_is_due_within_a_tenth_of_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, most: bool, seconds: float
) -> None:
    """At the very moment that was drawn, and not before."""

    def draw(below: int) -> int:
        return below - 1 if most else 0

    monkeypatch.setattr("coatcheck.lifecycle.randbelow", draw)
    harness = Harness(purge="auto")
    begun = harness.clock()
    assert harness.lifecycle.claim_purge()
    harness.clock.set(begun + seconds - 0.001)
    assert not harness.lifecycle.claim_purge()
    harness.clock.set(begun + seconds)
    assert harness.lifecycle.claim_purge()


def test_of_several_responses_one_purges() -> None:
    """Also where the purge has not begun when the next ones are sent: no crowd of threads."""
    harness = Harness(purge="auto")
    assert [harness.lifecycle.claim_purge() for _ in range(3)] == [True, False, False]
    harness.clock.advance(1.1 * PURGE_INTERVAL)
    assert [harness.lifecycle.claim_purge() for _ in range(3)] == [True, False, False]


def test_of_several_processes_one_purges() -> None:
    """Who does not get the claim asks for nothing more."""
    harness = Harness(purge="auto")
    others = [harness.twin(purge="auto") for _ in range(3)]
    _leave_garbage(harness, 5)
    harness.store.take()
    assert [_purge(one) for one in (harness, *others)] == [5, 0, 0, 0]
    assert harness.store.take() == ["claim_purge", "purge"] + ["claim_purge"] * 3


@pytest.mark.parametrize(("count", "batches"), [(0, 1), (999, 1), (1000, 2), (2005, 3)])
def test_it_goes_on_until_nothing_is_left(count: int, batches: int) -> None:
    """In batches of 1,000; what is live stays."""
    harness = Harness(purge="auto")
    browser = Browser(harness)
    browser.visit(put(k=1))
    _leave_garbage(harness, count)
    harness.store.take()
    assert _purge(harness) == count
    assert harness.store.take() == ["claim_purge"] + ["purge"] * batches
    assert browser.read() == {"k": 1}


@pytest.mark.parametrize("verb", ["claim_purge", "purge"])
def test_a_failure_concerns_no_visitor(verb: str) -> None:
    """It is an event, and the next interval tries again."""
    harness = Harness(purge="auto")
    _leave_garbage(harness, 3)
    harness.store.before(verb, raising(StoreError("out of reach")))
    assert _purge(harness) == 0
    assert harness.told(PurgeFailed) == [PurgeFailed("out of reach")]
    assert _purge(harness) == 0
    harness.clock.advance(1.1 * PURGE_INTERVAL)
    assert _purge(harness) == 3


def test_it_can_be_left_to_others(clock: ManualClock) -> None:
    """With `purge="never"` no request ever purges."""
    harness = Harness(time=clock, purge="never")
    for _ in range(10):
        clock.advance(PURGE_INTERVAL)
        assert not harness.lifecycle.claim_purge()
