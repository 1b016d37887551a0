"""Sessions of bodies that stream and of connections that stay open."""

from __future__ import annotations

import pytest

from coatcheck.drivers import run_now
from coatcheck.errors import SessionEnded, StoreError
from coatcheck.events import TouchFailed
from coatcheck.face import do_not_renew
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Exchange, Harness, put, raising

DAY = 86_400.0


def _stream(browser: Browser) -> Exchange:
    """Return a request whose headers have left and whose body goes on."""
    exchange = browser.begin()
    assert exchange.session["k"] == 1
    exchange.finish()
    browser.harness.store.take()
    return exchange


def _chunk(exchange: Exchange) -> None:
    """Let one chunk pass, as an adapter does."""
    lifecycle = exchange.browser.harness.lifecycle
    if lifecycle.keeps_alive(exchange.visit):
        run_now(lifecycle.keep_alive(exchange.visit))


def test_a_long_stream_keeps_the_session_alive(clock: ManualClock, browser: Browser) -> None:
    """The first chunk past each interval touches, all others cost nothing."""
    browser.visit(put(k=1))
    exchange = _stream(browser)
    for _ in range(24):
        clock.advance(300)
        _chunk(exchange)
        _chunk(exchange)
    assert browser.harness.store.take() == ["touch"] * 24
    assert browser.read() == {"k": 1}


def test_a_stream_meets_a_newer_version(clock: ManualClock, browser: Browser) -> None:
    """Where another request saved meanwhile, one get tells that the session stands."""
    browser.visit(put(k=1))
    exchange = _stream(browser)
    browser.visit(put(k=2))
    browser.harness.store.take()
    clock.advance(100)
    _chunk(exchange)
    assert browser.harness.store.take() == ["touch", "get"]
    assert exchange.session["k"] == 1
    exchange.session["n"] = 1
    exchange.close()
    assert browser.harness.store.take() == ["update"]
    assert browser.saved() == {"k": 2, "n": 1}


@pytest.mark.parametrize("end", ["logout", "regenerate", "expire"])
def test_a_stream_learns_that_its_session_ended(
    clock: ManualClock, browser: Browser, end: str
) -> None:
    """None or a tombstone: the next access raises, and what was changed is told."""
    browser.visit(put(k=1))
    exchange = _stream(browser)
    exchange.session["k"] = 2
    if end == "expire":
        clock.advance(3600)
    else:
        browser.visit(lambda session: getattr(session, end)())
        clock.advance(100)
    _chunk(exchange)
    with pytest.raises(SessionEnded):
        len(exchange.session)
    assert browser.harness.dropped() == [("gone", ("k",))]
    browser.harness.store.take()
    _chunk(exchange)
    exchange.close()
    assert browser.harness.store.take() == []


def test_a_stream_ends_with_the_lifetime(clock: ManualClock) -> None:
    """Touches do not carry a stream past the absolute deadline."""
    browser = Browser(Harness(time=clock, lifetime=1000))
    browser.visit(put(k=1))
    exchange = _stream(browser)
    clock.advance(1000)
    _chunk(exchange)
    with pytest.raises(SessionEnded):
        len(exchange.session)


def test_a_stream_may_be_no_activity(clock: ManualClock, browser: Browser) -> None:
    """With `renew=False` chunks touch nothing."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    do_not_renew(exchange.session)
    assert exchange.session["k"] == 1
    exchange.finish()
    browser.harness.store.take()
    clock.advance(1000)
    _chunk(exchange)
    assert browser.harness.store.take() == []


@pytest.mark.parametrize("failing", [["touch"], ["get"]])
def test_a_store_that_fails_interrupts_no_stream(
    clock: ManualClock, browser: Browser, failing: list[str]
) -> None:
    """It is told once, and tried again an interval later."""
    browser.visit(put(k=1))
    exchange = _stream(browser)
    if failing == ["get"]:
        browser.visit(put(k=2))  # so that the touch is not enough
    browser.harness.store.take()
    clock.advance(100)
    for verb in failing:
        browser.harness.store.before(verb, raising(StoreError("out of reach")))
    _chunk(exchange)
    _chunk(exchange)
    handle = exchange.session.handle
    assert browser.harness.told(TouchFailed) == [TouchFailed(handle, "out of reach")]
    clock.advance(100)
    _chunk(exchange)
    assert browser.harness.store.take() == [
        *(["touch", "touch"] if failing == ["touch"] else ["touch", "get", "touch", "get"])
    ]
    assert exchange.session["k"] == 1
    exchange.close()
