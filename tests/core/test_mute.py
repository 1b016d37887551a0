"""Requests that were in flight when another one replaced their session."""

from __future__ import annotations

import pytest

from coatcheck.lifecycle.visit import Phase
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in


@pytest.fixture
def replaced(clock: ManualClock, harness: Harness, browser: Browser) -> Browser:
    """A browser that still sends the ID of a session in which somebody has just signed in."""
    browser.visit(put(k=1))
    slow = Browser(harness)
    slow.id = browser.id or ""
    browser.visit(sign_in("ann"))
    harness.store.take()
    harness.events.clear()
    return slow


def test_in_flight_it_is_anonymous_and_mute(harness: Harness, replaced: Browser) -> None:
    """Less than 5 s after, the old ID reads nothing, stores nothing and sends nothing."""
    harness.clock.advance(4.999)
    exchange = replaced.begin()
    assert dict(exchange.session) == {}
    assert exchange.session.user_id is None
    exchange.session["late"] = 1
    assert exchange.visit.phase is Phase.MUTE
    reply = exchange.finish()
    assert reply.cookie is None
    assert harness.store.take() == ["get"]
    assert harness.dropped() == [("replaced", ("late",))]


def test_what_counts_is_when_the_request_began(harness: Harness, replaced: Browser) -> None:
    """A slow request that began in time is mute however late it looks."""
    exchange = replaced.begin()
    harness.clock.advance(60)
    exchange.session["late"] = 1
    assert exchange.finish().cookie is None
    assert harness.dropped() == [("replaced", ("late",))]


def test_later_it_is_an_ordinary_visitor(harness: Harness, replaced: Browser) -> None:
    """5 s after, whoever comes with the old ID may begin a session of its own."""
    harness.clock.advance(5)
    reply = replaced.visit(put(k=2))
    assert reply.sent is not None
    assert replaced.read() == {"k": 2}
    assert harness.dropped() == []


@pytest.mark.parametrize("ask", ["clear", "regenerate", "set_expiry"])
def test_mute_requests_are_dropped_and_told(harness: Harness, replaced: Browser, ask: str) -> None:
    """What changes no key is told as well, without keys."""
    exchange = replaced.begin()
    if ask == "set_expiry":
        exchange.session.set_expiry(idle=60)
    else:
        getattr(exchange.session, ask)()
    assert exchange.finish().cookie is None
    assert harness.store.take() == ["get"]
    assert harness.dropped() == [("replaced", ())]


def test_a_mute_request_that_only_reads_tells_nothing(harness: Harness, replaced: Browser) -> None:
    """Where nothing was to be stored, nothing was dropped."""
    assert replaced.read() == {}
    assert harness.dropped() == []


def test_a_mute_sign_in_begins_a_session(harness: Harness, replaced: Browser) -> None:
    """Another user's sign-in is one of its own, and keeps what was written after it."""

    def act(session: Session) -> None:
        session["before"] = 1
        session.login("bob")
        session["after"] = 1

    reply = replaced.visit(act)
    assert reply.sent is not None
    assert replaced.user() == "bob"
    assert replaced.read() == {"after": 1}
    assert harness.dropped() == [("replaced", ("before",))]
