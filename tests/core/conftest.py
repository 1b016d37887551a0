"""What the tests of the core have in common: a clock, a server and a browser."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.bench import Bench, MakeBench
from tests.core.harness import Browser, Harness, put


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


@pytest.fixture
def session(browser: Browser) -> Session:
    """A stored session with some data, in a new request."""
    browser.visit(put(name="Ann", cart=["tea"], nested={"a": {"b": [1]}}, n=1))
    browser.harness.store.take()
    return browser.begin().session


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops."""
    name: str = request.param
    return name


@pytest.fixture(params=["sync", "inline", "threads"])
def make(request: pytest.FixtureRequest) -> MakeBench:
    """Make benches of one kind."""

    def make_bench(**options: Any) -> Bench:
        return Bench(request.param, **options)

    return make_bench


@pytest.fixture
def bench(make: MakeBench) -> Bench:
    """A manager with the default options."""
    return make()
