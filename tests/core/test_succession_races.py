"""`login` and `regenerate` beside other requests to the same session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.errors import SessionEnded, TooManySessions
from coatcheck.events import KeyOverwritten
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Exchange, Harness, put, sign_in

ASKS: list[Callable[[Session], None]] = [
    lambda session: session.login("ann"),
    lambda session: session.regenerate(),
]
each_ask = pytest.mark.parametrize("ask", ASKS, ids=["login", "regenerate"])


@each_ask
def test_what_was_committed_meanwhile_is_merged(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """Changes committed to the old record pass into the new one, key by key."""
    browser.visit(put(a=0, b=0, both=0))
    exchange = browser.begin()
    exchange.session["a"] = "mine"
    exchange.session["both"] = "mine"
    ask(exchange.session)
    browser.visit(put(b="theirs", both="theirs"))
    browser.harness.store.before("update", lambda: browser.visit(put(c="again")))
    exchange.finish()
    assert browser.saved() == {"a": "mine", "b": "theirs", "both": "mine", "c": "again"}
    told = {event.key for event in browser.harness.told(KeyOverwritten)}
    assert told == {"both"}


@each_ask
def test_what_a_save_was_merged_with_passes_on(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """Who has saved by hand, beside others, does not write over them with its older view."""
    browser.visit(put(a=0, b=0, gone=0))
    exchange = browser.begin()
    exchange.session["a"] = "mine"

    def change(session: Session) -> None:
        session["b"] = "theirs"
        del session["gone"]

    browser.visit(change)
    exchange.session.save()
    ask(exchange.session)
    exchange.session["after"] = 1
    exchange.finish()
    assert browser.saved() == {"a": "mine", "b": "theirs", "after": 1}


def _overwriting(browser: Browser) -> Exchange:
    """Return a request that has saved beside another, and is about to overwrite its `k`."""
    browser.visit(put(k=0, x=0))
    exchange = browser.begin()
    exchange.session["x"] = 1
    browser.visit(put(k="theirs"))
    exchange.session.save()
    exchange.session["k"] = "mine"
    return exchange


@each_ask
def test_what_is_overwritten_is_told_once(browser: Browser, ask: Callable[[Session], None]) -> None:
    """However often the data was merged on the way."""
    exchange = _overwriting(browser)
    ask(exchange.session)
    browser.harness.store.before("update", lambda: browser.visit(put(other=1)))
    exchange.finish()
    assert browser.saved() == {"k": "mine", "x": 1, "other": 1}
    assert [event.key for event in browser.harness.told(KeyOverwritten)] == ["k"]


def test_a_sign_in_that_is_refused_overwrites_nothing() -> None:
    """Nobody is told of a key that still stands."""
    harness = Harness(max_sessions_per_user=1, evict="refuse")
    Browser(harness).visit(sign_in("ann"))
    browser = Browser(harness)
    exchange = _overwriting(browser)
    exchange.session.login("ann")
    with pytest.raises(TooManySessions):
        exchange.finish()
    assert browser.saved() == {"k": "theirs", "x": 1}
    assert harness.told(KeyOverwritten) == []


@each_ask
def test_what_others_cleared_before_a_save_stays_cleared(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """A save that was refused for somebody's `clear` is not made up for by a new ID."""
    browser.visit(put(old=1))
    exchange = browser.begin()
    exchange.session["before"] = 1
    browser.visit(lambda session: session.clear())
    with pytest.raises(SessionEnded):
        exchange.session.save()
    ask(exchange.session)
    exchange.session["after"] = 1
    exchange.finish()
    assert browser.saved() == {"after": 1}


@each_ask
def test_a_newer_epoch_keeps_theirs_and_what_came_after(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """Where somebody cleared meanwhile, what was written before the call is dropped and told."""
    browser.visit(put(old=1))
    exchange = browser.begin()
    exchange.session["before"] = 1
    ask(exchange.session)
    exchange.session["after"] = 1

    def clear(session: Session) -> None:
        session.clear()
        session["theirs"] = 1

    browser.visit(clear)
    exchange.finish()
    assert browser.saved() == {"theirs": 1, "after": 1}
    assert browser.harness.dropped() == [("cleared", ("before",))]


@each_ask
def test_an_own_clear_replaces_what_came_meanwhile(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """Clearing and signing in drops what others stored in the old session."""
    browser.visit(put(old=1))
    exchange = browser.begin()
    exchange.session.clear()
    ask(exchange.session)
    exchange.session["mine"] = 1
    browser.visit(put(theirs=1))
    exchange.finish()
    assert browser.saved() == {"mine": 1}


@each_ask
def test_a_slow_request_can_neither_read_nor_write_the_new_session(
    harness: Harness, browser: Browser, ask: Callable[[Session], None]
) -> None:
    """What was loaded before is dropped and told; no cookie undoes the new one."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["k"] = "slow"
    browser.visit(ask)
    browser.visit(put(new="secret"))
    reply = slow.finish()
    assert reply.cookie is None
    assert harness.dropped() == [("replaced", ("k",))]
    with pytest.raises(SessionEnded):
        len(slow.session)
    assert browser.read() == {"k": 1, "new": "secret"}


def test_of_two_regenerations_one_counts(harness: Harness, browser: Browser) -> None:
    """The other one deletes its new record, sends no cookie and tells."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["slow"] = 1
    slow.session.regenerate()
    browser.visit(lambda session: session.regenerate())
    assert slow.finish().cookie is None
    assert harness.live() == [harness.identity(browser.id).handle]
    assert harness.dropped() == [("replaced", ("slow",))]
    assert browser.read() == {"k": 1}


@pytest.mark.parametrize("end", ["logout", "destroy"])
def test_a_regeneration_of_what_was_ended_gives_up(
    harness: Harness, browser: Browser, end: str
) -> None:
    """Signing out wins over a regeneration in flight: nothing of the session is live."""
    browser.visit(sign_in("ann", k=1))
    slow = browser.begin()
    slow.session.regenerate()
    browser.visit(lambda session: getattr(session, end)())
    assert slow.finish().cookie is None
    assert harness.live() == []
    assert harness.store.inner.entries("ann") == []
    assert harness.dropped() == [("gone", ())]


def test_a_sign_in_after_the_session_ended_is_one_of_its_own(
    harness: Harness, browser: Browser
) -> None:
    """It keeps only what was written after `login()`, and tells what it dropped."""
    browser.visit(put(old=1))
    slow = browser.begin()
    slow.session["before"] = 1
    slow.session.login("ann")
    slow.session["after"] = 1
    browser.visit(lambda session: session.logout())
    reply = slow.finish()
    assert reply.sent is not None
    assert browser.user() == "ann"
    assert browser.read() == {"after": 1}
    assert harness.dropped() == [("gone", ("before",))]
    assert len(harness.live()) == 1


def test_a_sign_in_as_somebody_else_after_another_is_one_of_its_own(
    harness: Harness, browser: Browser
) -> None:
    """Whoever signed in first has the old session; the other one begins without its data."""
    browser.visit(put(cart=["tea"]))
    slow = browser.begin()
    slow.session.login("bob")
    slow.session["mine"] = 1
    first = Browser(harness)
    first.id = browser.id or ""
    first.visit(sign_in("ann"))
    assert slow.finish().sent is not None
    assert (browser.user(), browser.read()) == ("bob", {"mine": 1})
    assert (first.user(), first.read()) == ("ann", {"cart": ["tea"]})
    assert harness.dropped() == []


def test_what_keep_leaves_behind_is_no_dropped_change(harness: Harness, browser: Browser) -> None:
    """A sign-in of its own tells what was written before it, and not what `keep` left out."""
    browser.visit(put(cart=["tea"], csrf="x"))
    slow = browser.begin()
    slow.session.login("ann", keep=["cart"])
    browser.visit(lambda session: session.logout())
    slow.finish()
    assert browser.read() == {}
    assert harness.dropped() == []


def test_keep_narrows_what_comes_meanwhile_too(browser: Browser) -> None:
    """Of two sign-ins in a request, what the first leaves out does not pass by the second."""
    browser.visit(put(name="x"))
    slow = browser.begin()
    slow.session.login("ann", keep=["name"])
    slow.session.login("ann", keep=["name", "cart"])
    browser.visit(put(cart=["planted"]))
    slow.finish()
    assert browser.read() == {"name": "x"}


# A double-clicked sign-in


def test_a_double_click_is_one_session_where_it_conflicts(
    harness: Harness, browser: Browser
) -> None:
    """Both loaded the old session: the second joins the first, and sends the same ID."""
    browser.visit(put(cart=["tea"]))
    second = browser.begin()
    second.session["before"] = 2
    second.session.login("ann")
    second.session["after"] = 2
    one = browser.visit(sign_in("ann", first=1))
    two = second.finish()
    assert one.sent == two.sent
    assert len(harness.live()) == 1
    assert [entry.key for entry in harness.store.inner.entries("ann")] == harness.live()
    assert browser.read() == {"cart": ["tea"], "first": 1, "before": 2, "after": 2}
    assert harness.dropped() == []


def test_a_double_click_is_one_session_where_it_comes_late(
    harness: Harness, browser: Browser
) -> None:
    """The second meets the tombstone when it opens: it joins, and adds what it wrote after."""
    browser.visit(put(cart=["tea"]))
    late = Browser(harness)
    late.id = browser.id or ""
    one = browser.visit(sign_in("ann", first=1))

    def act(session: Session) -> None:
        session["before"] = 2
        session.login("ann")
        session["after"] = 2

    harness.store.take()
    two = late.visit(act)
    assert harness.store.take() == ["get", "get", "update"]
    assert one.sent == two.sent
    assert len(harness.live()) == 1
    assert browser.read() == {"cart": ["tea"], "first": 1, "after": 2}
    assert harness.dropped() == [("replaced", ("before",))]


def test_a_double_click_follows_through_several_replacements(
    harness: Harness, browser: Browser
) -> None:
    """Where the first click's session was replaced again, the second joins what it is now."""
    browser.visit(put(k=1))
    late = Browser(harness)
    late.id = browser.id or ""
    slow = browser.begin()
    slow.session.login("ann")
    browser.visit(sign_in("ann"))
    for _ in range(3):
        browser.visit(lambda session: session.regenerate())
    assert slow.finish(deliver=False).sent == browser.id
    assert late.visit(sign_in("ann")).sent == browser.id
    assert len(harness.live()) == 1


def test_a_double_click_after_signing_out_is_a_sign_in_of_its_own(
    harness: Harness, browser: Browser
) -> None:
    """The first click's session has ended: the second does not bring it back."""
    browser.visit(put(k=1))
    late = Browser(harness)
    late.id = browser.id or ""
    browser.visit(sign_in("ann", first=1))
    browser.visit(lambda session: session.logout())
    late.visit(sign_in("ann", second=2))
    assert late.read() == {"second": 2}
    assert late.user() == "ann"


def test_only_the_very_successor_is_joined(harness: Harness, browser: Browser) -> None:
    """A record under the successor's handle that is not the successor's is left alone."""
    browser.visit(put(k=1))
    late = Browser(harness)
    late.id = browser.id or ""
    browser.visit(sign_in("ann", first=1))
    handle, stored = harness.live()[0], harness.stored(browser.id)
    strange = harness.record(browser.id)._replace(secret_hash=b"s" * 32)
    harness.store.inner.update(
        handle, harness.runtime.pack(strange), version=stored.version, expires_at=stored.expires_at
    )
    assert late.visit(sign_in("ann", second=2)).sent not in (None, browser.id)
    assert late.read() == {"second": 2}
    assert harness.record(browser.id) == strange


@pytest.mark.parametrize("late", [False, True], ids=["conflict", "mute"])
def test_what_it_joins_may_end_in_that_very_moment(
    harness: Harness, browser: Browser, late: bool
) -> None:
    """Between looking and joining the first session is signed out: a sign-in of its own."""
    browser.visit(put(k=1))
    other = Browser(harness)
    other.id = browser.id or ""
    slow = other.begin()
    if not late:
        slow.session.login("ann")
    browser.visit(sign_in("ann"))
    if late:
        slow.session.login("ann")
    slow.session["mine"] = 1

    def sign_out() -> None:
        browser.visit(lambda session: session.logout())

    # The next update joins; in the case of a conflict the one before it finds the tombstone.
    if late:
        harness.store.before("update", sign_out)
    else:
        harness.store.before("update", lambda: harness.store.before("update", sign_out))
    reply = slow.finish()
    assert reply.sent is not None
    assert other.user() == "ann"
    assert other.read() == {"mine": 1}
    assert len(harness.live()) == 1


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_a_double_clicked_sign_in_needs_room_once(clock: ManualClock, again: bool) -> None:
    """Where no more sessions are allowed, the second click joins the first one's session."""
    harness = Harness(time=clock, max_sessions_per_user=1, evict="refuse")
    browser = Browser(harness)
    browser.visit(sign_in("ann", k=1) if again else put(k=1))
    slow = browser.begin()
    slow.session.login("ann")
    slow.session["slow"] = 1
    browser.visit(sign_in("ann", fast=1))
    reply = slow.finish()
    assert reply.sent == browser.id
    assert browser.read() == {"k": 1, "fast": 1, "slow": 1}
    assert harness.live() == [entry.key for entry in harness.store.inner.entries("ann")]
    assert harness.dropped() == []


def test_nobody_joins_a_session_for_want_of_room(clock: ManualClock) -> None:
    """A sign-in whose own session was not replaced, or by somebody else's, is refused."""
    harness = Harness(time=clock, max_sessions_per_user=1, evict="refuse")
    Browser(harness).visit(sign_in("ann", mine=1))
    browser = Browser(harness)
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session.login("ann")
    with pytest.raises(TooManySessions):
        browser.visit(sign_in("ann"))
    browser.visit(sign_in("bob"))
    with pytest.raises(TooManySessions):
        slow.finish()
    assert browser.user() == "bob"
