"""`login` and `regenerate`: the old record ends, and a new one begins under a new ID."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.errors import SessionEnded, SessionTooLarge, StoreError
from coatcheck.events import SessionCreated, SessionReplaced
from coatcheck.record import TOMBSTONE_LIFE, Tombstone
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, raising, sign_in

ASKS: list[Callable[[Session], None]] = [
    lambda session: session.login("ann"),
    lambda session: session.regenerate(),
]
each_ask = pytest.mark.parametrize("ask", ASKS, ids=["login", "regenerate"])


def opened(harness: Harness, session_id: str) -> dict[str, object] | None:
    """Return the data that an ID opens for whoever presents it a minute later; `None`: nobody's."""
    harness.clock.advance(60)
    browser = Browser(harness)
    browser.id = session_id
    exchange = browser.begin()
    return None if exchange.session.is_new else dict(exchange.session)


# The new ID


@each_ask
def test_sec_27_a_new_id_takes_the_place_of_the_old(
    harness: Harness, browser: Browser, ask: Callable[[Session], None]
) -> None:
    """New handle, new secret, one live record, one cookie; the old ID is worth nothing."""
    browser.visit(put(k=1))
    old = browser.id or ""

    def act(session: Session) -> None:
        session["before"] = 1
        ask(session)
        session["after"] = 1

    reply = browser.visit(act)
    assert reply.sent is not None
    was, now = harness.identity(old), harness.identity(reply.sent)
    assert was.handle != now.handle
    assert was.secret != now.secret
    assert harness.live() == [now.handle]
    assert browser.read() == {"k": 1, "before": 1, "after": 1}
    assert opened(harness, old) is None


@each_ask
def test_what_it_costs(harness: Harness, browser: Browser, ask: Callable[[Session], None]) -> None:
    """In a loaded session two round trips more, create and tombstone; for a user the index too."""
    browser.visit(put(k=1))
    harness.store.take()
    browser.visit(ask)
    calls = harness.store.take()
    assert [call for call in calls if call not in ("admit", "confirm")] == [
        "get",
        "create",
        "update",
    ]
    assert calls.count("admit") == calls.count("confirm") == (browser.user() == "ann")


def test_another_users_index_is_one_call_more(harness: Harness, browser: Browser) -> None:
    """Signing in as somebody else forgets the entry of who was signed in before."""
    browser.visit(sign_in("ann"))
    harness.store.take()
    browser.visit(sign_in("bob"))
    assert harness.store.take() == ["get", "admit", "create", "update", "confirm", "forget"]
    assert harness.store.inner.entries("ann") == []
    assert [entry.key for entry in harness.store.inner.entries("bob")] == harness.live()


def test_a_visitor_signs_in_with_one_create(harness: Harness, browser: Browser) -> None:
    """Without a session there is nothing to replace."""
    browser.visit(sign_in("ann", k=1))
    assert harness.store.take() == ["admit", "create", "confirm"]
    assert browser.user() == "ann"
    assert browser.read() == {"k": 1}
    assert harness.told(SessionCreated) == [SessionCreated(harness.live()[0], "ann")]


def test_asked_twice_it_happens_once(harness: Harness, browser: Browser) -> None:
    """Several sign-ins and regenerations in one request are one replacement, by the last."""
    browser.visit(put(k=1))
    harness.store.take()

    def act(session: Session) -> None:
        session.regenerate()
        session.login("ann")
        session.regenerate()
        session.login("ann")

    reply = browser.visit(act)
    assert reply.sent is not None
    assert harness.store.take().count("create") == 1
    assert browser.user() == "ann"
    assert browser.read() == {"k": 1}


def test_a_tombstone_stands_in_the_old_place(harness: Harness, browser: Browser) -> None:
    """It has no data, lives ten minutes, and holds nothing that opens the new session by itself."""
    browser.visit(sign_in("ann", secret="data"))
    old = browser.id or ""
    browser.visit(lambda session: session.regenerate())
    grave = harness.content(old)
    assert isinstance(grave, Tombstone)
    was, now = harness.identity(old), harness.identity(browser.id)
    assert (grave.successor, grave.user_id) == (now.handle, "ann")
    stored = harness.stored(old)
    assert stored.expires_at == harness.clock() + TOMBSTONE_LIFE
    for hidden in (b"data", now.secret, was.secret):
        assert hidden not in stored.payload


def test_events_name_both_handles(harness: Harness, browser: Browser) -> None:
    """What replaced what, for whom, and why."""
    browser.visit(put(k=1))
    first = harness.live()[0]
    browser.visit(sign_in("ann"))
    second = harness.live()[0]
    browser.visit(lambda session: session.regenerate())
    third = harness.live()[0]
    assert harness.told(SessionReplaced) == [
        SessionReplaced(first, second, "ann", "login"),
        SessionReplaced(second, third, "ann", "regenerate"),
    ]


# What passes into the new session


def test_regenerate_takes_over_user_and_all_times(clock: ManualClock, browser: Browser) -> None:
    """Only the ID is new; that another request changed the times meanwhile counts."""
    browser.visit(sign_in("ann", k=1))
    browser.visit(lambda session: session.set_expiry(idle=500, lifetime=5000))
    before = browser.harness.record(browser.id)
    clock.advance(100)
    browser.visit(lambda session: session.regenerate())
    after = browser.harness.record(browser.id)
    assert after == before._replace(secret_hash=after.secret_hash)
    assert browser.harness.stored(browser.id).expires_at == clock() + 500


def test_regenerate_takes_over_times_set_meanwhile(clock: ManualClock, browser: Browser) -> None:
    """An idle timeout that was made shorter meanwhile holds for the new record at once."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session.regenerate()
    browser.visit(lambda session: session.set_expiry(idle=60))
    exchange.finish()
    assert browser.harness.record(browser.id).idle == 60
    assert browser.harness.stored(browser.id).expires_at == clock() + 60


def test_login_starts_all_times_afresh(clock: ManualClock, browser: Browser) -> None:
    """A sign-in has its own creation, sign-in time, idle timeout and lifetime."""
    browser.visit(put(k=1))
    browser.visit(lambda session: session.set_expiry(idle=500, lifetime=5000))
    clock.advance(100)
    browser.visit(sign_in("ann"))
    record = browser.harness.record(browser.id)
    assert (record.created_at, record.signed_in_at) == (clock(), clock())
    assert (record.idle, record.deadline) == (3600, clock() + 30 * 86_400)
    assert record.epoch == 0


def test_signing_in_again_is_a_new_session_too(clock: ManualClock, browser: Browser) -> None:
    """The same user's second sign-in moves the times and the ID, and keeps the data."""
    browser.visit(sign_in("ann", k=1))
    old = browser.id or ""
    clock.advance(100)
    browser.visit(sign_in("ann"))
    assert browser.id != old
    assert browser.harness.record(browser.id).signed_in_at == clock()
    assert browser.read() == {"k": 1}
    assert len(browser.harness.store.inner.entries("ann")) == 1


def test_keep_names_what_passes(browser: Browser) -> None:
    """Only the named keys pass, and what is written afterwards."""
    browser.visit(put(cart=["tea"], csrf="x", flash="y"))

    def act(session: Session) -> None:
        session["flash"] = "z"
        session.login("ann", keep=["cart"])
        session["after"] = 1

    browser.visit(act)
    assert browser.saved() == {"cart": ["tea"], "after": 1}


def test_keep_holds_for_what_comes_meanwhile(browser: Browser) -> None:
    """A key that another request stores while the sign-in is under way passes only if kept."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    exchange.session.login("ann", keep=["cart"])
    browser.visit(put(cart=["tea", "milk"], csrf="planted"))
    exchange.finish()
    assert browser.saved() == {"cart": ["tea", "milk"]}


@pytest.mark.parametrize("keep", [None, ["secret", "later"]])
def test_sec_29_another_users_data_never_passes(browser: Browser, keep: list[str] | None) -> None:
    """Not even what is named, nor what is stored meanwhile."""
    browser.visit(sign_in("ann", secret=1))
    exchange = browser.begin()
    exchange.session["later"] = 1
    exchange.session.login("bob", keep=keep)
    assert dict(exchange.session) == {}
    exchange.session["mine"] = 1
    browser.visit(put(later=2))
    exchange.finish()
    assert browser.saved() == {"mine": 1}
    assert browser.user() == "bob"


# Failure


@each_ask
@pytest.mark.parametrize("verb", ["admit", "create", "update", "confirm"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_sec_28_a_store_that_fails_leaves_one_id_at_most(
    browser: Browser, ask: Callable[[Session], None], verb: str, when: str
) -> None:
    """Wherever the store fails, no cookie is sent and nothing is live that nobody has."""
    harness = browser.harness
    browser.visit(sign_in("ann", k=1))
    exchange = browser.begin()
    ask(exchange.session)
    getattr(harness.store, when)(verb, raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        exchange.finish()
    known = harness.identity(browser.id).handle
    assert harness.live() in ([], [known])
    if verb in ("admit", "create") or (verb, when) == ("update", "before"):
        assert browser.read() == {"k": 1}


@each_ask
@pytest.mark.parametrize("verb", ["admit", "create", "update", "confirm"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_replacement_can_be_tried_again(
    browser: Browser, ask: Callable[[Session], None], verb: str, when: str
) -> None:
    """Trying again succeeds, or tells that the old session is gone; never a dead cookie."""
    harness = browser.harness
    browser.visit(sign_in("ann", k=1))
    exchange = browser.begin()
    ask(exchange.session)
    getattr(harness.store, when)(verb, raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        exchange.session.save()
    try:
        exchange.session.save()
    except SessionEnded:
        assert exchange.finish().cookie is None
        assert harness.live() == []
    else:
        reply = exchange.finish()
        assert harness.live() == [harness.identity(reply.sent).handle]
        assert browser.user() == "ann"
        assert browser.read() == {"k": 1}


@each_ask
def test_what_cannot_be_stored_changes_nothing(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """All is encoded and measured before the first call: the old session stays as it was."""
    harness = browser.harness
    browser.visit(put(k=1))
    harness.store.take()

    def act(session: Session) -> None:
        ask(session)
        session["huge"] = "x" * 70_000

    with pytest.raises(SessionTooLarge):
        browser.visit(act)
    assert harness.store.take() == ["get"]
    assert browser.read() == {"k": 1}


def test_what_is_too_large_together_leaves_the_old_session() -> None:
    """Where the merge with what came meanwhile does not fit, the new record goes again."""
    browser = Browser(Harness(max_size=300))
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session["mine"] = "x" * 200
    exchange.session.login("ann")
    browser.visit(put(theirs="y" * 200))
    with pytest.raises(SessionTooLarge):
        exchange.finish()
    assert browser.saved() == {"k": 1, "theirs": "y" * 200}
    assert browser.harness.live() == [browser.harness.identity(browser.id).handle]
    assert browser.harness.store.inner.entries("ann") == []


@each_ask
def test_an_error_response_signs_nobody_in(
    browser: Browser, ask: Callable[[Session], None]
) -> None:
    """With a failed response there is no new ID, and that is told."""
    browser.visit(put(k=1))
    old = browser.id
    harness = browser.harness
    harness.store.take()
    assert browser.visit(ask, failed=True).cookie is None
    assert harness.store.take() == ["get"]
    assert browser.id == old
    assert browser.user() is None
    assert harness.dropped() == [("error", ())]


def test_save_on_error_signs_in_all_the_same() -> None:
    """By option a failed response keeps its sign-in."""
    browser = Browser(Harness(save_on_error=True))
    browser.visit(sign_in("ann"), failed=True)
    assert browser.user() == "ann"


# Past the absolute deadline


def test_an_expired_session_is_not_regenerated() -> None:
    """A lifetime that ends between the look and the commit ends it: no cookie, and it is told."""
    browser = Browser(Harness(lifetime=100))
    browser.visit(put(k=1))
    browser.harness.clock.advance(99)
    exchange = browser.begin()
    exchange.session["mine"] = 1
    exchange.session.regenerate()
    browser.harness.clock.advance(1)
    assert exchange.finish().cookie is None
    assert browser.harness.dropped() == [("gone", ("mine",))]


def test_a_sign_in_over_an_expired_session_is_one_of_its_own() -> None:
    """It takes nothing over that was there before `login()`."""
    browser = Browser(Harness(lifetime=100))
    browser.visit(put(k=1))
    browser.harness.clock.advance(99)
    exchange = browser.begin()
    exchange.session["mine"] = 1
    exchange.session.login("ann")
    exchange.session["after"] = 1
    browser.harness.clock.advance(1)
    assert exchange.finish().sent is not None
    assert browser.harness.dropped() == [("gone", ("mine",))]
    assert browser.read() == {"after": 1}
    assert browser.user() == "ann"
