"""Sessions that were loaded in another codec than this server's, and never read before."""

from __future__ import annotations

from typing import Literal

import pytest

from coatcheck.drivers import run_now
from coatcheck.errors import TooManySessions
from coatcheck.events import RecordCorrupt
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in

Name = Literal["binary", "json"]


@pytest.mark.parametrize("codecs", [("json", "binary"), ("binary", "json")])
def test_a_stream_meets_a_newer_version_in_another_codec(
    clock: ManualClock, codecs: tuple[Name, Name]
) -> None:
    """What was loaded is read in the codec that it came in, and what comes later is merged."""
    harness = Harness(time=clock, codec=codecs[0])
    browser = Browser(harness)
    browser.visit(put(k=1))
    clock.advance(100)
    exchange = browser.begin()
    assert exchange.session.user_id is None
    exchange.finish()
    other = Browser(harness.twin(codec=codecs[1]))
    other.id = browser.id or ""
    other.visit(put(n=1))
    clock.advance(100)
    run_now(harness.lifecycle.keep_alive(exchange.visit))
    assert dict(exchange.session) == {"k": 1}
    exchange.session["k"] = 2
    exchange.close()
    assert browser.read() == {"k": 2, "n": 1}
    assert harness.told(RecordCorrupt) == []


def test_a_refused_sign_in_leaves_a_session_of_another_codec(clock: ManualClock) -> None:
    """`TooManySessions` goes back to what was loaded."""
    harness = Harness(time=clock, codec="json", max_sessions_per_user=1, evict="refuse")
    Browser(harness).visit(sign_in("ann"))
    browser = Browser(harness.twin(codec="binary"))
    browser.visit(put(k=1))
    exchange = Browser(harness).begin(f"session={browser.id}")
    exchange.session["k"] = 2
    exchange.session.login("ann")
    with pytest.raises(TooManySessions):
        exchange.finish()
    assert dict(exchange.session) == {"k": 1}
    assert harness.told(RecordCorrupt) == []


def test_new_times_beside_another_codec(clock: ManualClock) -> None:
    """Whoever only sets the times, and meets another's save, reads what was loaded."""
    harness = Harness(time=clock, codec="json")
    browser = Browser(harness)
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session.set_expiry(idle=60)
    other = Browser(harness.twin(codec="binary"))
    other.id = browser.id or ""
    other.visit(put(n=1))
    exchange.session.save()
    assert dict(exchange.session) == {"k": 1}
    assert harness.told(RecordCorrupt) == []
