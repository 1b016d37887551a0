"""What is asked before something is done in the session's name: whether the sign-in is fresh."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from coatcheck import SessionError, SessionManager
from coatcheck.errors import ConfigurationError, SignInRequired
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import SECRET, Browser, put, sign_in


def fresh(browser: Browser, max_age: float | timedelta = 300) -> bool:
    """Make one request that asks whether the sign-in is fresh."""
    exchange = browser.begin()
    try:
        exchange.session.require_recent_auth(max_age)
    except SignInRequired:
        return False
    finally:
        exchange.finish()
    return True


# When the user signed in


def test_signed_in_at_is_the_time_of_the_latest_sign_in(
    clock: ManualClock, browser: Browser
) -> None:
    """Nobody's session has none; `regenerate` keeps it, and `logout` ends it."""
    assert browser.begin().session.signed_in_at is None
    browser.visit(put(k=1))
    assert browser.begin().session.signed_in_at is None
    start = clock()
    browser.visit(sign_in("ann"))
    clock.advance(100)
    assert browser.begin().session.signed_in_at == start
    exchange = browser.begin()
    exchange.session.regenerate()
    assert exchange.session.signed_in_at == start
    exchange.finish()
    assert browser.begin().session.signed_in_at == start
    exchange = browser.begin()
    exchange.session.logout()
    assert exchange.session.signed_in_at is None


def test_a_sign_in_that_waits_counts_as_now(clock: ManualClock, browser: Browser) -> None:
    """Also where it is one again, of the same user."""
    browser.visit(sign_in("ann"))
    clock.advance(1000)
    session = browser.begin().session
    session.login("ann")
    assert session.signed_in_at == clock()
    session.require_recent_auth(1)
    clock.advance(5)
    session.require_recent_auth(1)


def test_who_signs_in_without_a_web_signed_in_then(clock: ManualClock) -> None:
    """A manager's session of a user begins with a sign-in; one of nobody does not."""
    manager = SessionManager(secret=SECRET, store="memory://", clock=clock)
    assert manager.create("ann").signed_in_at == clock()
    assert manager.create().signed_in_at is None


# Fresh enough?


def test_sec_37_at_max_age_the_sign_in_is_stale(clock: ManualClock, browser: Browser) -> None:
    """A second before it is not; the refusal changes nothing."""
    browser.visit(sign_in("ann", k=1))
    for limit in (300, 300.0, timedelta(minutes=5)):
        assert fresh(browser, limit)
    clock.advance(299)
    assert fresh(browser)
    clock.advance(1)
    before = browser.harness.stored(browser.id)
    assert not fresh(browser)
    assert fresh(browser, 301)
    assert browser.read() == {"k": 1}
    assert browser.harness.stored(browser.id) == before


def test_sec_37_activity_does_not_move_the_sign_in(clock: ManualClock, browser: Browser) -> None:
    """Neither reading nor writing, nor a new ID, nor other times."""
    browser.visit(sign_in("ann"))
    start = clock()
    acts: tuple[Callable[[Session], object], ...] = (
        len,
        put(k=1),
        lambda session: session.regenerate(),
        lambda session: session.set_expiry(idle=5000),
        lambda session: session.clear(),
    )
    for act in acts:
        clock.advance(70)
        browser.visit(act)
        assert browser.begin().session.signed_in_at == start
    assert not fresh(browser)


def test_sec_37_signing_in_again_moves_both_deadlines_and_the_id(
    clock: ManualClock, browser: Browser
) -> None:
    """And keeps the data; the ID from before is worth nothing."""
    browser.visit(sign_in("ann", k=1))
    old = browser.id or ""
    before = browser.harness.stored(old).expires_at, browser.harness.record(old).deadline
    clock.advance(1800)
    assert not fresh(browser)
    browser.visit(sign_in("ann"))
    assert fresh(browser, 1)
    assert browser.read() == {"k": 1}
    assert browser.id != old
    after = (
        browser.harness.stored(browser.id).expires_at,
        browser.harness.record(browser.id).deadline,
    )
    assert [new and new - (was or 0) for was, new in zip(before, after, strict=True)] == [1800] * 2
    thief = Browser(browser.harness)
    thief.id = old
    assert thief.user() is None


def test_sec_37_nobody_has_signed_in_recently(browser: Browser) -> None:
    """Neither a visitor, nor who has data, nor who has just signed out."""
    assert not fresh(browser)
    browser.visit(put(k=1))
    assert not fresh(browser)
    exchange = browser.begin()
    exchange.session.login("ann")
    exchange.session.logout()
    with pytest.raises(SignInRequired):
        exchange.session.require_recent_auth(300)


def test_the_error_names_the_remedy(clock: ManualClock, browser: Browser) -> None:
    """And says how long ago it was, but not who."""
    with pytest.raises(SignInRequired, match=r"nobody is signed in.*session\.login") as caught:
        browser.begin().session.require_recent_auth(300)
    assert (caught.value.max_age, caught.value.age) == (300.0, None)
    browser.visit(sign_in("ann"))
    clock.advance(400)
    with pytest.raises(SessionError, match=r"400 s ago.*300 s ago.*password.*login") as stale:
        browser.begin().session.require_recent_auth(timedelta(minutes=5))
    assert isinstance(stale.value, SignInRequired)
    assert (stale.value.max_age, stale.value.age) == (300.0, 400.0)
    assert "ann" not in str(stale.value)


@pytest.mark.parametrize("max_age", [0, -1, None, True, "300", float("nan"), float("inf")])
def test_a_limit_is_a_time(browser: Browser, max_age: Any) -> None:
    """Nothing that is none passes for "never mind"."""
    browser.visit(sign_in("ann"))
    with pytest.raises(ConfigurationError, match="^max_age must be"):
        browser.begin().session.require_recent_auth(max_age)
