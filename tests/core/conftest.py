"""What the tests of the core have in common: a clock, a server and a browser."""

from __future__ import annotations

import pytest

from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture
def harness(clock: ManualClock) -> Harness:
    """A server with the default options, over a counting memory store."""
    return Harness(time=clock)


@pytest.fixture
def browser(harness: Harness) -> Browser:
    """A browser that comes to `harness`."""
    return Browser(harness)
