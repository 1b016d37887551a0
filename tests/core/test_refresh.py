"""Reading the record again, and sessions that another request ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coatcheck.errors import SessionEnded
from coatcheck.session import Session
from tests.core.harness import Browser, put, sign_in

DAY = 86_400.0
Act = Callable[[Any], object]


# refresh


def test_refresh_shows_what_others_saved(browser: Browser) -> None:
    """The newest record is read again; until then reads are repeatable."""
    browser.visit(put(a=1))
    session = browser.begin().session
    assert session["a"] == 1
    browser.visit(put(a=2, b=2))
    assert dict(session) == {"a": 1}
    session.refresh()
    assert dict(session) == {"a": 2, "b": 2}


def test_refresh_keeps_what_is_not_saved_yet(browser: Browser) -> None:
    """Unsaved changes, removals, times and a pending sign-in are applied on top of it."""
    browser.visit(put(a=1, b=1, c=1))
    exchange = browser.begin()
    exchange.session["a"] = "mine"
    del exchange.session["b"]
    exchange.session.set_expiry(idle=99)
    exchange.session.login("ann")
    browser.visit(put(c=2, d=2))
    exchange.session.refresh()
    assert dict(exchange.session) == {"a": "mine", "c": 2, "d": 2}
    exchange.finish()
    assert browser.saved() == {"a": "mine", "c": 2, "d": 2}
    assert browser.user() == "ann"
    assert browser.harness.record(browser.id).idle == 99


def test_refresh_keeps_a_pending_clear(browser: Browser) -> None:
    """A clear stays a barrier: what others saved before the refresh goes too."""
    browser.visit(put(a=1))
    exchange = browser.begin()
    exchange.session.clear()
    exchange.session["mine"] = 1
    slow = browser.begin()
    slow.session["slow"] = 1
    browser.visit(put(theirs=1))
    exchange.session.refresh()
    assert dict(exchange.session) == {"mine": 1}
    exchange.finish()
    slow.finish()
    assert browser.saved() == {"mine": 1}


def test_refresh_keeps_a_clear_after_which_all_was_put_back(browser: Browser) -> None:
    """Data that is as it was read does not make a clear undone."""
    browser.visit(put(a=1))
    exchange = browser.begin()
    exchange.session.clear()
    exchange.session["a"] = 1
    browser.visit(put(theirs=1))
    exchange.session.refresh()
    assert dict(exchange.session) == {"a": 1}
    exchange.finish()
    assert browser.saved() == {"a": 1}


def test_refresh_brings_back_nothing_that_a_sign_in_left_behind(browser: Browser) -> None:
    """Another user's data does not come along, not even what was saved meanwhile."""
    browser.visit(sign_in("ann", secret=1))
    exchange = browser.begin()
    exchange.session.login("bob")
    browser.visit(put(later="of ann"))
    exchange.session.refresh()
    assert dict(exchange.session) == {}
    exchange.finish()
    assert browser.saved() == {}
    assert browser.user() == "bob"


@pytest.mark.parametrize(
    ("begun", "kept"), [(sign_in("ann"), None), (put(a=1), ["a"])], ids=["empty", "all-kept"]
)
def test_refresh_brings_nothing_past_a_sign_in(
    browser: Browser, begun: Act, kept: list[str] | None
) -> None:
    """What was saved meanwhile stays behind also where there was nothing to be dropped before."""
    browser.visit(begun)
    exchange = browser.begin()
    exchange.session.login("bob", keep=kept)
    mine = dict(exchange.session)
    browser.visit(put(later="of another"))
    exchange.session.refresh()
    assert dict(exchange.session) == mine
    exchange.finish()
    assert browser.saved() == mine
    assert browser.user() == "bob"


def sign_bob_in(session: Session) -> None:
    """Ask for a session of bob's."""
    session.login("bob")


def renew(session: Session) -> None:
    """Ask for a new ID."""
    session.regenerate()


@pytest.mark.parametrize("ask", [sign_bob_in, renew])
def test_what_others_saved_before_a_refresh_can_be_cleared(browser: Browser, ask: Act) -> None:
    """A refresh makes nobody's data one's own: what is cleared then stays so, and is not told."""
    browser.visit(put(a=0))
    exchange = browser.begin()
    ask(exchange.session)
    exchange.session["after"] = 1
    browser.visit(put(a=5, later="of another"))
    exchange.session.refresh()
    browser.visit(lambda session: session.clear())
    exchange.finish()
    assert browser.saved() == {"after": 1}
    assert browser.harness.dropped() == []


def test_a_refresh_saves_nothing_from_a_sign_out(browser: Browser) -> None:
    """Who signs in again, and has seen what others saved, begins without it if they signed out."""
    browser.visit(sign_in("ann", a=0))
    exchange = browser.begin()
    exchange.session.login("ann")
    exchange.session["after"] = 1
    browser.visit(put(later="of another"))
    exchange.session.refresh()
    other = browser.begin()
    other.session.logout()
    other.finish(deliver=False)
    exchange.finish()
    assert browser.saved() == {"after": 1}


@pytest.mark.parametrize("keep", [None, ["a", "later"]])
def test_a_refresh_saves_nothing_from_somebody_elses_sign_in(
    browser: Browser, keep: list[str] | None
) -> None:
    """Where the session has become ann's meanwhile, bob's begins with what came after."""
    browser.visit(put(a=0))
    exchange = browser.begin()
    exchange.session.login("bob", keep=keep)
    exchange.session["after"] = 1
    browser.visit(put(later="of another"))
    exchange.session.refresh()
    other = browser.begin()
    other.session.login("ann")
    other.finish(deliver=False)
    exchange.finish()
    assert browser.saved() == {"after": 1}


@pytest.mark.parametrize("mine", [{"a": 1, "n": 1}, {"a": 2}, {}], ids=["added", "changed", "gone"])
def test_refresh_keeps_any_change(browser: Browser, mine: dict[str, int]) -> None:
    """However what was changed compares with what was read."""
    browser.visit(put(a=1))
    exchange = browser.begin()
    exchange.session["a"] = 1
    exchange.session.update(mine)
    if not mine:
        del exchange.session["a"]
    browser.visit(put(theirs=1))
    exchange.session.refresh()
    exchange.finish()
    assert browser.saved() == {**mine, "theirs": 1}


def test_refresh_of_a_session_that_is_gone_raises(browser: Browser) -> None:
    """The application learns that the session ended, and what it had changed is told."""
    browser.visit(put(a=1))
    session = browser.begin().session
    session["a"] = 2
    browser.visit(lambda other: other.logout())
    with pytest.raises(SessionEnded):
        session.refresh()
    assert browser.harness.dropped() == [("gone", ("a",))]


def test_refresh_without_a_record_does_nothing(browser: Browser) -> None:
    """A new session has nothing to read again, and keeps what it was given."""
    session = browser.begin().session
    session["a"] = 1
    assert session.handle  # from here on there is one that it will have
    session.refresh()
    assert dict(session) == {"a": 1}
    assert browser.harness.store.calls == []


# Ended elsewhere


@pytest.mark.parametrize("end", ["logout", "destroy"])
def test_a_lost_session_can_still_be_signed_out(browser: Browser, end: str) -> None:
    """Signing out works whatever was in flight: what replaced the session ends with it."""
    browser.visit(sign_in("ann", k=1))
    exchange = browser.begin()
    exchange.session["k"] = 2
    browser.visit(lambda other: other.regenerate())
    with pytest.raises(SessionEnded):
        exchange.session.save()
    assert len(browser.harness.live()) == 1
    if end == "logout":
        exchange.session.logout()
    else:
        exchange.session.destroy()
    assert browser.harness.live() == []
    assert exchange.finish().deleted


def test_changes_of_a_lost_session_through_held_values_are_told(browser: Browser) -> None:
    """Where the session cannot be reached to raise, an event tells."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    cart = exchange.session["cart"]
    exchange.session["n"] = 1
    browser.visit(lambda other: other.destroy())
    with pytest.raises(SessionEnded):
        exchange.session.save()
    cart.append("milk")
    exchange.finish()
    exchange.close()
    assert browser.harness.dropped() == [("gone", ("cart",))]
