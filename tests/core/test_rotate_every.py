"""Periodic rotation: a secret is swapped in place, and who comes with a retired one is a thief."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import pytest

from coatcheck import EncryptedCookieStore
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.events import (
    SecretReused,
    SessionDestroyed,
    SessionRevoked,
    TouchFailed,
    WrongSecret,
)
from coatcheck.face import do_not_renew
from coatcheck.lifecycle.visit import Phase
from coatcheck.manager import SessionManager
from coatcheck.options import Options
from coatcheck.rotation import IN_FLIGHT, PARALLEL
from coatcheck.runtime import Runtime
from coatcheck.state import BearerState, CookieState, FirstOf
from coatcheck.store.keyvalue import KeyValueStore
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, put, raising, sign_in

EVERY = 900.0


def _harness(**options: Unpack[Options]) -> Harness:
    merged: Options = {"rotate_every": EVERY}
    merged.update(options)
    return Harness(**merged)


@pytest.fixture
def harness() -> Harness:
    """A server that rotates every 15 minutes."""
    return _harness()


@pytest.fixture
def browser(harness: Harness) -> Browser:
    """A visitor who is signed in."""
    browser = Browser(harness)
    browser.visit(sign_in("ann", a=1))
    harness.store.take()
    return browser


def _rotate(browser: Browser, *, deliver: bool = True) -> str:
    """Let the interval pass and make a request; return the ID from before it."""
    before = browser.id or ""
    browser.harness.clock.advance(EVERY)
    browser.visit(deliver=deliver)
    return before


def _with(harness: Harness, session_id: str) -> Browser:
    other = Browser(harness)
    other.id = session_id
    return other


def test_the_id_changes_and_the_session_does_not(harness: Harness, browser: Browser) -> None:
    """In place of a touch that is due: one update, and the same handle, data, user and times."""
    before, record = browser.id or "", harness.record(browser.id)
    harness.clock.advance(EVERY - 1)
    assert browser.visit().cookie is None
    assert harness.store.take() == ["get", "touch"]
    harness.clock.advance(60)
    reply = browser.visit()
    assert reply.sent not in (None, before)
    assert harness.store.take() == ["get", "update"]
    after = harness.record(browser.id)
    assert harness.identity(before).handle == harness.identity(reply.sent).handle
    assert after[1:10] == record[1:10]
    assert after.secret_hash != record.secret_hash
    assert harness.stored(browser.id).expires_at == harness.clock() + 3600
    assert browser.read() == {"a": 1}
    assert browser.user() == "ann"


def test_it_rides_on_a_write(harness: Harness, browser: Browser) -> None:
    """A request that writes rotates with the same update, and a failed one too."""
    harness.clock.advance(EVERY)
    before = browser.id
    reply = browser.visit(put(b=2))
    assert harness.store.take() == ["get", "update"]
    assert reply.sent not in (None, before)
    assert browser.read() == {"a": 1, "b": 2}


def test_the_first_request_with_the_new_id_retires_the_old_one_and_no_other_writes(
    harness: Harness, browser: Browser
) -> None:
    """One update more in an interval; all other reads are one `get`."""
    _rotate(browser)
    harness.store.take()
    assert browser.visit().cookie is None
    assert harness.store.take() == ["get", "update"]
    assert browser.visit().cookie is None
    assert harness.store.take() == ["get"]


def test_it_is_off_by_default() -> None:
    """Without `rotate_every` nothing of it happens."""
    harness = Harness(lifetime=None)
    browser = Browser(harness)
    browser.visit(put(a=1))
    before = browser.id
    for _ in range(40):
        harness.clock.advance(1800)
        assert browser.visit().cookie is None
    assert browser.id == before
    assert harness.record(before).rotation is None


@pytest.mark.parametrize("ask", ["login", "regenerate"])
def test_a_new_record_remembers_no_secret(harness: Harness, browser: Browser, ask: str) -> None:
    """`login` and `regenerate` clear what theft is: no ID from before them raises the alarm."""
    oldest = _rotate(browser)
    browser.visit()
    previous = browser.id or ""
    browser.visit(lambda session: session.login("ann") if ask == "login" else session.regenerate())
    assert harness.record(browser.id).rotation is None
    harness.clock.advance(IN_FLIGHT + 1)
    for session_id in (oldest, previous):
        assert _with(harness, session_id).user() is None
    assert harness.told(SecretReused) == []
    assert browser.user() == "ann"


# Responses that get lost, and requests at once


def test_a_lost_response_signs_nobody_out(harness: Harness, browser: Browser) -> None:
    """The previous ID is accepted, and after 10 s the very same new one is sent again."""
    before = _rotate(browser, deliver=False)
    wanted = harness.record(before).secret_hash
    assert browser.id == before
    assert browser.user() == "ann"
    for _ in range(5):
        harness.clock.advance(PARALLEL + 60)
        reply = browser.visit(deliver=False)
        assert reply.sent not in (None, before)
        assert harness.record(before).secret_hash == wanted
    harness.clock.advance(PARALLEL + 60)
    browser.visit()
    assert browser.id != before
    assert browser.user() == "ann"
    assert harness.told(SecretReused) == []


def test_a_parallel_request_works_and_is_sent_nothing(harness: Harness, browser: Browser) -> None:
    """Within 10 s of a rotation the previous ID is that of a request that was sent at once."""
    before = _rotate(browser)
    harness.clock.advance(PARALLEL - 0.1)
    other = _with(harness, before)
    harness.store.take()
    assert other.visit().cookie is None
    assert harness.store.take() == ["get"]
    assert other.visit(put(b=2)).cookie is None
    assert browser.read() == {"a": 1, "b": 2}


def test_two_requests_that_both_rotate_agree(harness: Harness, browser: Browser) -> None:
    """One rotates; the other merges its change, and sends no cookie."""
    harness.clock.advance(EVERY)
    slow, slower = browser.begin(), browser.begin()
    slow.session["b"] = 2
    slower.session["c"] = 3
    first, second = slow.finish(), slower.finish()
    assert first.sent is not None
    assert second.cookie is None
    assert browser.id == first.sent
    assert browser.read() == {"a": 1, "b": 2, "c": 3}


def test_a_request_under_way_with_the_retired_id_is_served(
    harness: Harness, browser: Browser
) -> None:
    """Where it began before the old ID was retired + 60 s: it reads, writes, and has no cookie."""
    before = _rotate(browser)
    late = _with(harness, before).begin()
    browser.visit()
    harness.clock.advance(IN_FLIGHT - 1)
    early = _with(harness, before).begin()
    assert dict(early.session) == {"a": 1}
    early.session["b"] = 2
    harness.clock.advance(3 * IN_FLIGHT)
    assert late.session.user_id == "ann"
    assert (early.finish().cookie, late.finish().cookie) == (None, None)
    assert harness.told(SecretReused) == []
    assert browser.read() == {"a": 1, "b": 2}


def test_a_request_under_way_that_changes_the_lifetime_sends_no_old_id(
    harness: Harness, browser: Browser
) -> None:
    """What it must send is the ID that stands, whichever came with it."""
    slow = browser.begin()
    slow.session.set_expiry(lifetime=86_400)
    _rotate(browser)
    new = browser.id
    reply = slow.finish()
    assert reply.sent == new
    assert reply.max_age == 86_400 - EVERY
    browser.visit()
    assert browser.user() == "ann"


def test_one_that_has_missed_two_rotations_sends_none(harness: Harness, browser: Browser) -> None:
    """It saves, and cannot know what the ID is now."""
    slow = browser.begin()
    slow.session.set_expiry(lifetime=86_400)
    _rotate(browser)
    _rotate(browser)
    assert slow.finish().cookie is None
    assert harness.record(browser.id).deadline == harness.clock() - 2 * EVERY + 86_400
    assert browser.user() == "ann"


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_session_that_is_open_stays_open(harness: Harness, browser: Browser, rounds: int) -> None:
    """A stream or a WebSocket, a `refresh()` and a late save go on over rotations."""
    slow = browser.begin()
    assert slow.session["a"] == 1
    slow.finish()
    for _ in range(rounds):
        _rotate(browser)
    browser.visit(put(b=2))
    lifecycle, visit = harness.lifecycle, slow.visit
    assert lifecycle.keeps_alive(visit)
    run_now(lifecycle.keep_alive(visit))
    assert visit.phase is Phase.STORED
    slow.session.refresh()
    assert slow.session["b"] == 2
    slow.session["c"] = 3
    slow.close()
    assert browser.read() == {"a": 1, "b": 2, "c": 3}
    assert harness.told(SecretReused) == []


def test_nothing_rotates_once_the_headers_have_left(harness: Harness, browser: Browser) -> None:
    """A save while a body streams keeps the ID, for a new one could not be sent."""
    harness.clock.advance(EVERY - 1)
    exchange = browser.begin()
    len(exchange.session)
    exchange.finish()
    before = harness.record(browser.id).secret_hash
    harness.clock.advance(100)
    exchange.session["b"] = 2
    exchange.close()
    assert harness.record(browser.id).secret_hash == before
    assert browser.saved() == {"a": 1, "b": 2}


def test_a_store_that_fails_while_rotating_costs_nobody_a_page(
    harness: Harness, browser: Browser
) -> None:
    """As where a touch fails; and if the answer only got lost, the new ID is sent later."""
    harness.clock.advance(EVERY)
    before = browser.id
    harness.store.after("update", raising(StoreError("the answer got lost")))
    assert browser.visit().cookie is None
    assert [event.handle for event in harness.told(TouchFailed)] == [
        harness.identity(before).handle
    ]
    assert browser.user() == "ann"
    harness.clock.advance(70)
    assert browser.visit().sent not in (None, before)
    assert browser.user() == "ann"


# Theft


def test_the_id_that_was_retired_last_is_a_theft(harness: Harness, browser: Browser) -> None:
    """Its bearer is anonymous, an event says so, and the session ends for both."""
    stolen = _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    thief = _with(harness, stolen)
    exchange = thief.begin()
    assert (exchange.session.user_id, dict(exchange.session)) == (None, {})
    assert exchange.finish().cookie is None
    handle = harness.identity(stolen).handle
    assert harness.told(SecretReused) == [SecretReused(handle, "ann")]
    assert harness.told(SessionRevoked) == [SessionRevoked(handle, "ann", "stolen")]
    assert browser.user() is None
    assert harness.live() == []


def test_the_victim_raises_the_alarm_where_the_thief_was_first(
    harness: Harness, browser: Browser
) -> None:
    """The thief was sent the new ID and uses it; the victim's own ID is then the retired one."""
    thief = _with(harness, browser.id or "")
    _rotate(thief)
    thief.visit()
    harness.clock.advance(IN_FLIGHT)
    assert browser.user() is None
    assert len(harness.told(SecretReused)) == 1
    assert thief.user() is None


def test_an_event_is_all_where_that_is_the_policy() -> None:
    """`on_theft="event"` leaves the session to its owner; the thief stays anonymous."""
    harness = _harness(on_theft="event")
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    thief = _with(harness, _rotate(browser))
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    assert thief.visit(put(b=1)).sent is not None
    assert thief.user() is None
    assert len(harness.told(SecretReused)) == 1
    assert browser.user() == "ann"
    assert harness.told(SessionRevoked) == []


def test_all_sessions_of_the_user_end_where_that_is_the_policy() -> None:
    """`on_theft="revoke-user"`: the other devices too, and nobody else's."""
    harness = _harness(on_theft="revoke-user")
    browser, phone, other = Browser(harness), Browser(harness), Browser(harness)
    browser.visit(sign_in("ann"))
    phone.visit(sign_in("ann"))
    other.visit(sign_in("bob"))
    stolen = _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    _with(harness, stolen).visit()
    assert [browser.user(), phone.user(), other.user()] == [None, None, "bob"]
    assert {event.reason for event in harness.told(SessionRevoked)} == {"stolen"}
    assert len(harness.told(SessionRevoked)) == 2


def test_a_store_that_fails_while_sessions_of_a_theft_end_lets_none_of_them_live() -> None:
    """The alarm is raised again by the next one who comes with the stolen ID."""
    harness = _harness(on_theft="revoke-user")
    browser, phone, tablet = (Browser(harness) for _ in range(3))
    for each in (browser, phone, tablet):
        each.visit(sign_in("ann"))
    stolen = _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    harness.store.after("delete", raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        _with(harness, stolen).visit()
    _with(harness, stolen).visit()
    assert [each.user() for each in (browser, phone, tablet)] == [None, None, None]


def test_an_older_id_is_nobodys_and_harms_nobody(harness: Harness, browser: Browser) -> None:
    """Two rotations back nothing opens, and no alarm is raised: generation -2 never works."""
    oldest = _rotate(browser)
    _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    assert _with(harness, oldest).user() is None
    assert harness.told(SecretReused) == []
    assert [event.handle for event in harness.told(WrongSecret)] == [
        harness.identity(oldest).handle
    ]
    assert browser.user() == "ann"


def test_the_one_before_is_retired_as_long_as_the_new_one_was_not_seen(
    harness: Harness, browser: Browser
) -> None:
    """Where the latest ID got lost the previous one works, and the one before it is the alarm."""
    stolen = _rotate(browser)
    browser.visit()
    _rotate(browser, deliver=False)
    harness.clock.advance(IN_FLIGHT)
    assert browser.user() == "ann"
    assert _with(harness, stolen).user() is None
    assert len(harness.told(SecretReused)) == 1
    assert browser.user() is None


def test_a_request_that_is_two_rotations_late_is_mute(harness: Harness, browser: Browser) -> None:
    """It began before them: it shows nobody, creates nothing, and overwrites no cookie."""
    late = browser.begin()
    _rotate(browser)
    browser.visit()
    _rotate(browser)
    browser.visit()
    late.session["b"] = 2
    assert late.visit.phase is Phase.MUTE
    assert late.finish().cookie is None
    assert harness.dropped() == [("replaced", ("b",))]
    assert harness.told(SecretReused) == []
    assert harness.told(WrongSecret) == []
    assert browser.read() == {"a": 1}


def test_who_brings_the_current_id_as_well_is_no_thief(harness: Harness, browser: Browser) -> None:
    """Two cookies of one name, of which one is old, are one browser's."""
    old = _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    for both in ((old, browser.id), (browser.id, old)):
        exchange = browser.begin("; ".join(f"session={one}" for one in both))
        assert exchange.session.user_id == "ann"
        exchange.finish()
    previous = _rotate(browser, deliver=False)
    exchange = browser.begin(f"session={old}; session={previous}")
    assert exchange.session.user_id == "ann"
    exchange.finish()
    assert harness.told(SecretReused) == []


def test_all_that_is_to_be_ended_in_a_request_is_ended(harness: Harness, browser: Browser) -> None:
    """A stolen session and one that signs out, in one request: the one, and the other."""
    stolen = _rotate(browser)
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    other = Browser(harness)
    other.visit(sign_in("bob"))
    exchange = browser.begin(f"session={stolen}; session={other.id}")
    assert exchange.session.user_id == "bob"
    exchange.session.logout()
    assert harness.live() == []
    assert exchange.finish().deleted
    assert [event.reason for event in harness.told(SessionRevoked)] == ["stolen"]
    assert [event.user_id for event in harness.told(SessionDestroyed)] == ["bob"]


def test_a_theft_is_told_where_a_replaced_record_is_told_too(
    harness: Harness, browser: Browser
) -> None:
    """A sign-in after the theft ends the memory of it: its tombstone raises no alarm."""
    stolen = _rotate(browser)
    browser.visit()
    browser.visit(sign_in("ann"))
    harness.clock.advance(IN_FLIGHT)
    assert _with(harness, stolen).user() is None
    assert browser.user() == "ann"
    assert harness.told(SecretReused) == []


def test_a_slow_request_with_the_previous_id_cannot_overwrite_a_sign_in(
    harness: Harness, browser: Browser
) -> None:
    """It comes to the tombstone with an ID of one rotation ago, and is mute all the same."""
    before = _rotate(browser)
    slow = _with(harness, before).begin()
    browser.visit(sign_in("ann"))
    slow.session["b"] = 2
    assert slow.finish().cookie is None
    assert slow.visit.phase is Phase.MUTE
    assert harness.dropped() == [("replaced", ("b",))]


def test_a_double_clicked_sign_in_over_a_rotation_is_one_session(
    harness: Harness, browser: Browser
) -> None:
    """One click came with the previous ID, the other with the current one."""
    before = _rotate(browser)
    twice = _with(harness, before)
    slow = twice.begin()
    slow.session.login("ann")
    browser.visit(sign_in("ann"))
    slow.finish()
    assert twice.id == browser.id
    assert twice.user() == "ann"


def test_a_double_clicked_sign_in_that_both_loaded_before_a_rotation_is_one_session(
    harness: Harness, browser: Browser
) -> None:
    """The slow one read the record before the other rotated it."""
    twice = _with(harness, browser.id or "")
    harness.clock.advance(EVERY)
    slow = twice.begin()
    slow.session.login("ann")
    browser.visit()
    browser.visit(sign_in("ann"))
    slow.finish()
    assert twice.id == browser.id


# Where it cannot be


def test_a_bearer_client_keeps_its_id() -> None:
    """What cannot be sent is not rotated, though other clients of the site are."""
    harness = _harness(state=FirstOf(BearerState(), CookieState("session")))
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    before = browser.id
    harness.clock.advance(EVERY)
    exchange = browser.begin("", headers={"authorization": f"Bearer {before}"})
    assert exchange.session.user_id == "ann"
    assert exchange.finish().cookie is None
    assert harness.record(before).rotation is None
    harness.clock.advance(60)
    assert browser.visit().sent not in (None, before)


def test_a_manager_rotates_nothing_and_takes_what_is_accepted() -> None:
    """It has nobody to send an ID to; a theft shown to it ends the session too."""
    harness = _harness()
    browser = Browser(harness)
    browser.visit(sign_in("ann", a=1))
    manager = SessionManager(harness.config, store=harness.store)
    harness.clock.advance(EVERY)
    session = manager.open(browser.id or "")
    assert session is not None
    session["b"] = 2
    session.save()
    assert harness.record(browser.id).rotation is None
    before = _rotate(browser)
    other = manager.open(before)
    assert other is not None
    assert other.id == browser.id
    browser.visit()
    harness.clock.advance(IN_FLIGHT)
    assert manager.open(before) is None
    assert manager.open(browser.id or "") is None
    assert len(harness.told(SecretReused)) == 1


def test_where_nothing_slides_it_takes_place_all_the_same() -> None:
    """An update of its own once an interval has passed, and one more that retires."""
    harness = _harness(slide=False, expire=None)
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    before = browser.id
    harness.store.take()
    browser.visit()
    assert harness.store.take() == ["get"]
    harness.clock.advance(EVERY)
    expires_at = harness.stored(before).expires_at
    assert browser.visit(deliver=False).sent not in (None, before)
    assert browser.visit().cookie is None
    harness.clock.advance(60)
    assert browser.visit().sent not in (None, before)
    assert browser.user() == "ann"
    harness.store.take()
    browser.visit()
    assert harness.store.take() == ["get"]
    assert harness.stored(before).expires_at == expires_at


def test_a_rotation_that_cannot_be_sent_prolongs_no_session_that_does_not_slide() -> None:
    """Neither for a bearer client nor in a stream is the deadline moved in its place."""
    harness = _harness(slide=False, state=FirstOf(BearerState(), CookieState("session")))
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    expires_at = harness.stored(browser.id).expires_at
    streamed = browser.begin()
    len(streamed.session)
    streamed.finish()
    harness.clock.advance(EVERY)
    bearer = browser.begin("", headers={"authorization": f"Bearer {browser.id}"})
    assert bearer.session.user_id == "ann"
    assert bearer.finish().cookie is None
    harness.store.take()
    assert harness.lifecycle.keeps_alive(streamed.visit)
    run_now(harness.lifecycle.keep_alive(streamed.visit))
    assert not harness.lifecycle.keeps_alive(streamed.visit)
    assert harness.store.take() == []
    assert harness.stored(browser.id).expires_at == expires_at


def test_where_nothing_slides_a_client_that_cannot_be_sent_an_id_slides_nothing() -> None:
    """A rotation that is due and cannot be is no touch."""
    harness = _harness(slide=False, state=FirstOf(BearerState(), CookieState("session")))
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    stored = harness.stored(browser.id)
    harness.clock.advance(EVERY)
    harness.store.take()
    exchange = browser.begin("", headers={"authorization": f"Bearer {browser.id}"})
    assert exchange.session.user_id == "ann"
    exchange.finish()
    assert harness.store.take() == ["get"]
    assert harness.stored(browser.id) == stored


def test_an_id_under_an_old_secret_is_rotated_too() -> None:
    """The new one is under the new secret; the previous one under the old is still accepted."""
    old = _harness(secret=OLD_SECRET)
    browser = Browser(old)
    browser.visit(sign_in("ann"))
    before = browser.id or ""
    harness = Harness(
        old.store, old.clock, secret=SECRET, old_secrets=[OLD_SECRET], rotate_every=EVERY
    )
    harness.clock.advance(EVERY)
    browser.harness = harness
    assert browser.visit(deliver=False).sent is not None
    harness.clock.advance(70)
    browser.visit()
    assert browser.id != before
    assert browser.user() == "ann"


def test_a_polling_page_rotates_nothing() -> None:
    """What does not count as activity writes nothing, and is sent nothing."""
    harness = _harness(renew=["!/poll"])
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    poll = Browser(harness, replace(browser.page, path="/poll"))
    poll.id = browser.id or ""
    harness.clock.advance(EVERY)
    harness.store.take()
    exchange = poll.begin()
    do_not_renew(exchange.session)
    len(exchange.session)
    assert exchange.finish().cookie is None
    assert harness.store.take() == ["get"]


def test_an_interval_that_is_too_short_is_refused() -> None:
    """A response may be under way for as long."""
    with pytest.raises(ConfigurationError, match="rotate_every must be at least 60 seconds"):
        _harness(rotate_every=59.9)
    assert _harness(rotate_every=60).config.rotate_every == 60.0


@pytest.mark.filterwarnings("ignore:sessions ")
def test_what_a_store_cannot_do_is_refused() -> None:
    """To end all sessions of a user takes an index, and what is all in its cookie has no secret."""
    config = _harness(on_theft="revoke-user").config
    store, in_client = KeyValueStore(_Dict()), EncryptedCookieStore()
    with pytest.raises(ConfigurationError, match="revoke-user"):
        Runtime.blocking(config, store)
    with pytest.raises(ConfigurationError, match="rotate_every has no effect"):
        Runtime.blocking(_harness().config, in_client)


class _Dict:
    def get(self, key: str) -> str | None:
        return None

    def set(self, key: str, data: str) -> None:
        """Keep nothing."""

    def delete(self, key: str) -> None:
        """Keep nothing."""
