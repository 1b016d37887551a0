"""Ending a session: what is destroyed stays destroyed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.errors import CorruptRecord, SessionEnded, StoreError
from coatcheck.events import ChangesDropped, Event, RecordCorrupt, SessionDestroyed
from coatcheck.manager import SessionManager
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.cookiejar import parse
from tests.core.harness import SECRET, Browser, Exchange, Harness, put, raising, sign_in

each_end = pytest.mark.parametrize("end", ["logout", "destroy"])


def ending(end: str) -> Callable[[Session], object]:
    """Return an application that calls this method of the session."""
    return lambda session: getattr(session, end)()


def manager_of(harness: Harness) -> SessionManager:
    """Return an administrator's manager of the same sessions."""
    return SessionManager(secret=SECRET, store=harness.store, clock=harness.clock)


# What it costs and sends


@each_end
def test_ending_is_at_once(browser: Browser, end: str) -> None:
    """In a synchronous program the record is gone when the call returns, at one delete."""
    browser.visit(sign_in("ann", k=1))
    harness = browser.harness
    harness.store.take()
    exchange = browser.begin()
    getattr(exchange.session, end)()
    assert harness.live() == []
    assert harness.store.inner.entries("ann") == []
    exchange.finish()
    assert harness.store.take() == ["get", "delete"]


@each_end
def test_the_cookie_is_deleted_as_it_was_set(browser: Browser, end: str) -> None:
    """The deletion repeats the attributes, so that the browser obeys; its jar is empty then."""
    browser.visit(put(k=1))
    reply = browser.visit(ending(end))
    assert reply.deleted
    assert parse(reply.cookie or "").attributes.keys() >= {"path", "httponly", "samesite", "secure"}
    assert browser.id is None


@each_end
def test_sec_31_the_old_id_stays_dead(clock: ManualClock, browser: Browser, end: str) -> None:
    """However often and late it is presented, it opens nothing."""
    browser.visit(sign_in("ann", k=1))
    old = browser.id or ""
    browser.visit(ending(end))
    for _ in range(10):
        thief = Browser(browser.harness)
        thief.id = old
        assert thief.read() == {}
        assert thief.user() is None
        clock.advance(30)


@each_end
def test_a_dead_id_is_deleted_too(harness: Harness, browser: Browser, end: str) -> None:
    """Where nothing is left to end, the cookie goes all the same; no delete is asked for."""
    browser.id = harness.runtime.signer.sign(harness.runtime.signer.mint())
    assert browser.visit(ending(end)).deleted
    assert harness.store.take() == ["get"]


@each_end
def test_a_forged_id_is_deleted_without_a_store_call(
    harness: Harness, browser: Browser, end: str
) -> None:
    """What has the form of an ID and is none goes from the client, and reaches no store."""
    browser.id = "A" * 68
    assert browser.visit(ending(end)).deleted
    assert harness.store.take() == []


@each_end
@pytest.mark.parametrize("after", [put(k=2), sign_in("bob"), ending("logout"), ending("destroy")])
def test_a_session_is_ended_once(
    browser: Browser, end: str, after: Callable[[Session], object]
) -> None:
    """Asked again, or with more to do, it is one delete, one event and one cookie."""
    browser.visit(sign_in("ann", k=1))
    harness = browser.harness
    handle = harness.identity(browser.id).handle
    harness.store.take()

    def act(session: Session) -> None:
        getattr(session, end)()
        try:
            after(session)
        except SessionEnded:
            assert end == "destroy"

    reply = browser.visit(act)
    assert reply.cookie is not None
    assert harness.store.take().count("delete") == 1
    assert [event.handle for event in harness.told(SessionDestroyed)] == [handle]
    assert handle not in harness.live()


@each_end
def test_an_event_says_whose_it_was(browser: Browser, end: str) -> None:
    """Handle, user and reason, and no ID."""
    browser.visit(sign_in("ann"))
    handle = browser.harness.live()[0]
    browser.visit(ending(end))
    told = browser.harness.told(SessionDestroyed)
    assert [(event.handle, event.user_id, event.reason) for event in told] == [(handle, "ann", end)]


@each_end
def test_an_error_response_still_ends_the_session(browser: Browser, end: str) -> None:
    """Ending takes effect whatever happens: it is never dropped with the data."""
    browser.visit(sign_in("ann", k=1))
    reply = browser.visit(ending(end), failed=True)
    assert reply.deleted
    assert browser.harness.live() == []


@each_end
def test_sec_42_a_hook_that_raises_stops_nothing(end: str) -> None:
    """A broken `on_event` keeps nobody signed in."""

    def fail(event: Event) -> None:
        raise ZeroDivisionError

    browser = Browser(Harness(on_event=fail))
    browser.visit(sign_in("ann"))
    browser.visit(ending(end))
    assert browser.harness.live() == []


@each_end
def test_a_store_that_fails_is_told_and_tried_again(browser: Browser, end: str) -> None:
    """The caller learns that the session was not ended; the commit tries once more."""
    browser.visit(sign_in("ann"))
    harness = browser.harness
    exchange = browser.begin()
    harness.store.before("delete", raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        getattr(exchange.session, end)()
    assert len(harness.live()) == 1
    assert exchange.finish(failed=True).deleted
    assert harness.live() == []


# More than one thing in a request


def test_sign_out_and_in_again(browser: Browser) -> None:
    """Both in one request: the old session ends, the new one has nothing of it, one cookie."""
    browser.visit(sign_in("ann", secret=1))
    old = browser.id

    def act(session: Session) -> None:
        session.logout()
        session.login("ann")
        session["new"] = 1

    assert browser.visit(act).sent not in (None, old)
    assert browser.read() == {"new": 1}
    assert len(browser.harness.live()) == 1


@pytest.mark.parametrize("ask", [sign_in("bob", k=2), ending("regenerate")])
@each_end
def test_ending_wins_over_what_was_pending(
    browser: Browser, end: str, ask: Callable[[Session], object]
) -> None:
    """A sign-in or regeneration asked for before it is not carried out."""
    browser.visit(sign_in("ann", k=1))
    browser.harness.store.take()

    def act(session: Session) -> None:
        ask(session)
        getattr(session, end)()

    assert browser.visit(act).deleted
    assert browser.harness.store.take() == ["get", "delete"]
    assert browser.harness.live() == []


def test_after_signing_out_a_visitor_may_store_something(browser: Browser) -> None:
    """A message for the next page begins a new session; one cookie, which is not the deletion."""
    browser.visit(sign_in("ann"))
    old = browser.id

    def act(session: Session) -> None:
        session.logout()
        session["flash"] = "bye"

    assert browser.visit(act).sent not in (None, old)
    assert browser.read() == {"flash": "bye"}
    assert browser.user() is None


# Against what is in flight

ENDS: dict[str, Callable[[Browser], object]] = {
    "logout": lambda browser: browser.visit(ending("logout")),
    "destroy": lambda browser: browser.visit(ending("destroy")),
    "delete": lambda browser: manager_of(browser.harness).delete(browser.harness.live()[0]),
    "revoke": lambda browser: manager_of(browser.harness).revoke(browser.harness.live()[0]),
    "revoke-own": lambda browser: manager_of(browser.harness).revoke(
        browser.harness.live()[0], user_id="ann"
    ),
    "revoke-user": lambda browser: manager_of(browser.harness).revoke_user("ann"),
    "idle": lambda browser: browser.harness.clock.advance(3600),
}
FLIGHTS: dict[str, Callable[[Session], object]] = {
    "write": put(late=1),
    "nested": lambda session: session["cart"].append("milk"),
    "remove": lambda session: session.pop("cart"),
    "clear": lambda session: session.clear(),
    "expiry": lambda session: session.set_expiry(idle=99_999),
    "lifetime": lambda session: session.set_expiry(lifetime=999_999),
    "regenerate": lambda session: session.regenerate(),
    "touch": len,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("flight", FLIGHTS.values(), ids=FLIGHTS)
def test_no_late_request_brings_it_back(
    clock: ManualClock,
    browser: Browser,
    end: Callable[[Browser], object],
    flight: Callable[[Session], object],
) -> None:
    """No save, touch, merge or index write revives what was ended, and no cookie is sent."""
    browser.visit(sign_in("ann", cart=["tea"]))
    harness = browser.harness
    old = browser.id or ""
    clock.advance(100)
    slow = browser.begin()
    flight(slow.session)
    end(browser)
    assert harness.live() == []
    assert slow.finish().cookie is None
    slow.close()
    assert harness.live() == []
    if end is not ENDS["idle"]:
        assert harness.store.inner.entries("ann") == []
    thief = Browser(harness)
    thief.id = old
    assert thief.read() == {}
    told = [reason for reason, _ in harness.dropped()]
    assert told == ([] if flight is len else ["gone"])


def test_sec_32_two_hundred_held_sessions_stay_destroyed(harness: Harness) -> None:
    """200 sessions ended while a slow request holds each, then saved: none is alive."""
    held: list[Exchange] = []
    for number in range(200):
        browser = Browser(harness)
        browser.visit(sign_in(f"user{number}", cart=[]))
        slow = browser.begin()
        slow.session["cart"].append(number)
        held.append(slow)
        browser.visit(ending("logout"))
    for slow in held:
        assert slow.finish().cookie is None
    assert harness.live() == []
    assert len(harness.dropped()) == 200


# Following what replaced it


@each_end
@pytest.mark.parametrize("user", ["ann", None])
def test_ending_follows_a_regeneration(
    harness: Harness, browser: Browser, end: str, user: str | None
) -> None:
    """Who signs out while the ID is being renewed is signed out of the renewed session too."""
    browser.visit(put(k=1) if user is None else sign_in(user, k=1))
    slow = browser.begin()
    assert slow.session["k"] == 1
    for _ in range(3):
        browser.visit(lambda session: session.regenerate())
    getattr(slow.session, end)()
    assert harness.live() == []
    assert slow.finish().deleted


@each_end
def test_ending_in_a_mute_request_follows_too(harness: Harness, browser: Browser, end: str) -> None:
    """So does a request that met the tombstone when it opened the session."""
    browser.visit(sign_in("ann", k=1))
    slow = Browser(harness)
    slow.id = browser.id or ""
    browser.visit(lambda session: session.regenerate())
    assert slow.visit(ending(end)).deleted
    assert harness.live() == []


@each_end
@pytest.mark.parametrize("late", [False, True], ids=["loaded", "mute"])
def test_sec_89_a_planted_id_signs_nobody_out(
    harness: Harness, browser: Browser, end: str, late: bool
) -> None:
    """Who holds the anonymous ID from before a sign-in ends nothing of the user's."""
    attacker = Browser(harness)
    attacker.visit(put(k=1))
    browser.id = attacker.id or ""
    slow = attacker.begin()
    if not late:
        assert slow.session["k"] == 1
    browser.visit(sign_in("ann"))
    getattr(slow.session, end)()
    slow.finish()
    assert browser.user() == "ann"


def test_a_former_users_id_signs_no_other_user_out(harness: Harness, browser: Browser) -> None:
    """Ann's old ID ends nothing of Bob, who signed in over her session."""
    browser.visit(sign_in("ann"))
    slow = browser.begin()
    assert slow.session.user_id == "ann"
    browser.visit(sign_in("bob"))
    slow.session.logout()
    slow.finish(deliver=False)
    assert browser.user() == "bob"


@each_end
def test_rubbish_in_the_way_is_an_event(harness: Harness, browser: Browser, end: str) -> None:
    """A successor that the store cannot read keeps nobody from signing out."""
    browser.visit(sign_in("ann"))
    slow = browser.begin()
    assert slow.session.user_id == "ann"
    browser.visit(lambda session: session.regenerate())
    harness.store.before("get", raising(CorruptRecord("a folder lies there")))
    getattr(slow.session, end)()
    assert slow.finish().deleted
    assert len(harness.told(RecordCorrupt)) == 1


# Who sends a deletion cookie


def test_nobody_else_sends_a_deletion(browser: Browser) -> None:
    """Lost, expired, revoked, mute or broken: a response that did not sign out deletes nothing."""
    browser.visit(sign_in("ann"))
    for act in (put(k=1), ending("__len__"), ending("regenerate")):
        slow = browser.begin()
        act(slow.session)
        other = Browser(browser.harness)
        other.id = browser.id or ""
        other.visit(ending("logout"))
        assert slow.finish().cookie is None
        assert browser.visit().cookie is None
        browser.visit(sign_in("ann"))


@each_end
def test_an_ending_that_fails_where_nobody_can_be_reached_is_told(
    harness: Harness, browser: Browser, end: str
) -> None:
    """Behind a body that ended without a complaint the session is still alive, and that is said."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    assert exchange.session["k"] == 1
    exchange.finish()
    harness.store.before("delete", raising(StoreError("down")))
    with pytest.raises(StoreError):
        getattr(exchange.session, end)()
    harness.store.before("delete", raising(StoreError("still down")))
    exchange.close()
    told = [(event.handle, event.reason) for event in harness.told(ChangesDropped)]
    assert told == [(harness.identity(browser.id).handle, "late")]
