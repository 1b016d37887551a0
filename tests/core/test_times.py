"""Idle timeout, lifetime and touches: when a session ends, and what moves that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from coatcheck.events import SessionExpired
from coatcheck.face import do_not_renew
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in

DAY = 86_400.0


# What a session says


def test_the_times_of_a_session(clock: ManualClock, browser: Browser) -> None:
    """Creation, last activity and end, in seconds since the epoch."""
    start = clock()
    exchange = browser.begin()
    assert exchange.session.created_at == start
    assert exchange.session.last_seen_at == start
    assert exchange.session.expires_at == start + 3600
    exchange.session["k"] = 1
    exchange.finish()
    clock.advance(1800)
    session = browser.begin().session
    assert session.created_at == start
    assert session.last_seen_at == start
    assert session.expires_at == start + 3600
    browser.visit()
    session = browser.begin().session
    assert session.last_seen_at == start + 1800
    assert session.expires_at == start + 5400


def test_expires_at_is_the_smaller_deadline() -> None:
    """Where the lifetime ends before the idle timeout, that is when the session ends."""
    browser = Browser(Harness(lifetime=1000))
    start = browser.harness.clock()
    assert browser.begin().session.expires_at == start + 1000
    browser.visit(put(k=1))
    assert browser.begin().session.expires_at == start + 1000


def test_an_indefinite_session_never_expires() -> None:
    """Without both timeouts there is no end, and activity is not recorded."""
    browser = Browser(Harness(expire=None, lifetime="indefinite"))
    start = browser.harness.clock()
    assert browser.begin().session.expires_at is None
    browser.visit(put(k=1))
    browser.harness.clock.advance(10 * 365 * DAY)
    browser.jar.now = start
    session = browser.begin(f"session={browser.jar.cookies[0].value}").session
    assert session.expires_at is None
    assert session["k"] == 1
    assert session.last_seen_at == start


# Idle timeout


@pytest.mark.parametrize("expire", [1, 0.5, 60, 3600, 86_400.25])
def test_at_the_idle_timeout_it_is_expired(expire: float) -> None:
    """A moment before, the session lives; at the deadline it does not."""
    browser = Browser(Harness(expire=expire))
    clock = browser.harness.clock
    browser.visit(sign_in("ann", k=1))
    clock.advance(expire - 0.125)
    assert browser.read() == {"k": 1}
    clock.advance(expire - 0.125)
    assert browser.user() == "ann"
    clock.advance(expire)
    assert browser.read() == {}
    assert browser.user() is None
    assert browser.harness.live() == []


def test_reading_touches_once_per_interval(clock: ManualClock, browser: Browser) -> None:
    """Activity is recorded at most once a minute: one touch more, no new version, no cookie."""
    browser.visit(put(k=1))
    browser.harness.store.take()
    calls: list[list[str]] = []
    for _ in range(13):
        clock.advance(10)
        assert browser.visit().cookie is None
        calls.append(browser.harness.store.take())
    assert calls.count(["get", "touch"]) == 2
    assert calls.count(["get"]) == 11
    assert calls[5] == calls[11] == ["get", "touch"]
    stored = browser.harness.stored(browser.id)
    assert stored.version == 1
    assert stored.expires_at == clock() - 10 + 3600


@pytest.mark.parametrize(
    ("expire", "interval"), [(3600, 60), (600, 60), (599, 59.9), (100, 10), (1, 0.1)]
)
def test_the_touch_interval_is_a_minute_or_a_tenth(expire: float, interval: float) -> None:
    """By default it is the smaller of 60 s and a tenth of the idle timeout."""
    browser = Browser(Harness(expire=expire))
    clock, store = browser.harness.clock, browser.harness.store
    browser.visit(put(k=1))
    store.take()
    clock.advance(interval - 0.01)
    browser.visit()
    assert store.take() == ["get"]
    clock.advance(0.02)
    browser.visit()
    assert store.take() == ["get", "touch"]


def test_the_touch_interval_can_be_chosen() -> None:
    """Zero touches with every look; a longer one less often."""
    browser = Browser(Harness(touch_interval=0))
    browser.visit(put(k=1))
    browser.harness.store.take()
    for _ in range(3):
        browser.visit()
        assert browser.harness.store.take() == ["get", "touch"]
    other = Browser(browser.harness.twin(touch_interval=timedelta(minutes=30)))
    other.id = browser.id or ""
    browser.harness.clock.advance(1799)
    other.visit()
    assert browser.harness.store.take() == ["get"]


def test_saving_moves_the_deadline_too(clock: ManualClock, browser: Browser) -> None:
    """A write is activity; it needs no touch beside it."""
    browser.visit(put(k=1))
    clock.advance(1000)
    browser.harness.store.take()
    browser.visit(put(k=2))
    assert browser.harness.store.take() == ["get", "update"]
    assert browser.harness.stored(browser.id).expires_at == clock() + 3600


def test_only_looking_counts_as_activity(clock: ManualClock, browser: Browser) -> None:
    """A request that does not look at the session keeps nobody signed in."""
    browser.visit(put(k=1))
    for _ in range(4):
        clock.advance(1000)
        browser.begin().finish()
    assert browser.read() == {}


@pytest.mark.parametrize("act", [len, put(k=2)])
def test_a_request_may_be_no_activity(clock: ManualClock, browser: Browser, act: Any) -> None:
    """With `renew=False` for its path, neither reading nor writing moves the deadline."""
    browser.visit(put(k=1))
    before = browser.harness.stored(browser.id).expires_at
    clock.advance(1000)
    exchange = browser.begin()
    do_not_renew(exchange.session)
    act(exchange.session)
    exchange.finish()
    assert "touch" not in browser.harness.store.take()
    assert browser.harness.stored(browser.id).expires_at == before
    assert browser.read()["k"] in (1, 2)


def test_sliding_can_be_turned_off() -> None:
    """Without sliding, reading never touches, and the session ends when it was to end."""
    browser = Browser(Harness(slide=False))
    browser.visit(put(k=1))
    browser.harness.store.take()
    browser.harness.clock.advance(3599)
    browser.visit()
    assert browser.harness.store.take() == ["get"]
    browser.harness.clock.advance(1)
    assert browser.read() == {}


def test_a_touch_that_fails_proves_nothing(clock: ManualClock, browser: Browser) -> None:
    """Where another request wrote meanwhile, the session goes on without a word."""
    browser.visit(put(k=1))
    clock.advance(100)
    slow = browser.begin()
    assert slow.session["k"] == 1
    browser.visit(put(k=2))
    browser.harness.store.take()
    slow.finish()
    assert browser.harness.store.take() == ["touch"]
    assert slow.session["k"] == 1
    assert browser.harness.events[1:] == []


# Lifetime


def test_sec_34_activity_does_not_move_the_absolute_deadline(
    clock: ManualClock, browser: Browser
) -> None:
    """A session in constant use ends when its lifetime does."""
    harness = Harness(time=clock, lifetime=7200)
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    old = browser.id
    for _ in range(11):
        clock.advance(600)
        assert browser.user() == "ann"
    clock.advance(599)
    assert browser.user() == "ann"
    clock.advance(1)
    browser.id = old or ""
    assert browser.user() is None
    assert harness.told(SessionExpired) == [SessionExpired(harness.identity(old).handle)]


def test_a_save_past_the_absolute_deadline_is_gone(clock: ManualClock, browser: Browser) -> None:
    """A request that was loaded in time and commits too late saves nothing."""
    harness = Harness(time=clock, lifetime=1000)
    browser = Browser(harness)
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["k"] = 2
    harness.store.take()
    clock.advance(1000)
    assert slow.finish().cookie is None
    assert harness.store.take() == []
    assert harness.dropped() == [("gone", ("k",))]


@pytest.mark.parametrize("indefinite", [None, "indefinite"])
def test_both_timeouts_can_be_indefinite(indefinite: Any) -> None:
    """Without idle timeout the absolute deadline stands in the store; without both, none."""
    harness = Harness(expire=indefinite, lifetime=1000)
    browser = Browser(harness)
    browser.visit(put(k=1))
    assert harness.stored(browser.id).expires_at == harness.clock() + 1000
    harness.store.take()
    harness.clock.advance(999)
    browser.visit()
    assert harness.store.take() == ["get"]
    harness.clock.advance(1)
    assert browser.read() == {}
    eternal = Browser(Harness(expire=indefinite, lifetime=indefinite))
    eternal.visit(put(k=1))
    assert eternal.harness.stored(eternal.id).expires_at is None


# Per session


def test_set_expiry_changes_this_session(clock: ManualClock, browser: Browser) -> None:
    """Both times of one session, in seconds, as timedelta, or indefinite."""
    browser.visit(put(k=1))
    start = clock()
    browser.visit(lambda session: session.set_expiry(idle=timedelta(minutes=5), lifetime=1000))
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (300, start + 1000)
    assert browser.harness.stored(browser.id).expires_at == start + 300
    browser.visit(lambda session: session.set_expiry(idle=None))
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (None, start + 1000)
    assert browser.harness.stored(browser.id).expires_at == start + 1000
    browser.visit(lambda session: session.set_expiry(lifetime="indefinite"))
    assert browser.harness.record(browser.id).deadline is None
    assert browser.harness.stored(browser.id).expires_at is None


def test_set_expiry_of_a_new_session(clock: ManualClock, browser: Browser) -> None:
    """What was asked before the session is stored holds from the start."""

    def act(session: Session) -> None:
        session.set_expiry(idle=99)
        session["k"] = 1
        session.set_expiry(lifetime=999)

    assert browser.visit(act).max_age == 999
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (99, clock() + 999)


def test_lifetime_counts_from_the_sign_in(clock: ManualClock, browser: Browser) -> None:
    """From the latest login, else from the creation, and not from the call."""
    browser.visit(put(k=1))
    created = clock()
    clock.advance(100)
    browser.visit(lambda session: session.set_expiry(lifetime=1000))
    assert browser.harness.record(browser.id).deadline == created + 1000
    browser.visit(sign_in("ann"))
    signed_in = clock()
    clock.advance(100)
    browser.visit(lambda session: session.set_expiry(lifetime=1000))
    assert browser.harness.record(browser.id).deadline == signed_in + 1000


def test_a_lifetime_that_is_over_ends_the_session(clock: ManualClock, browser: Browser) -> None:
    """A lifetime shorter than what has passed already is an end."""
    browser.visit(put(k=1))
    clock.advance(100)
    browser.visit(lambda session: session.set_expiry(lifetime=50))
    assert browser.read() == {}


@pytest.mark.parametrize("remember", [30 * DAY, timedelta(days=30)])
def test_remember_is_idle_timeout_and_lifetime(
    clock: ManualClock, browser: Browser, remember: Any
) -> None:
    """A remembered sign-in lives that long without activity, and no longer with it."""
    browser.visit(put(k=1))
    reply = browser.visit(lambda session: session.login("ann", remember=remember))
    assert reply.max_age == 30 * DAY
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (30 * DAY, clock() + 30 * DAY)
    assert record.persistent
    clock.advance(29 * DAY)
    assert browser.user() == "ann"
    clock.advance(1 * DAY)
    assert browser.user() is None


def test_set_expiry_refines_a_remembered_sign_in(clock: ManualClock, browser: Browser) -> None:
    """What is asked in the same request, before or after, holds for the new session."""

    def act(session: Session) -> None:
        session.login("ann", remember=30 * DAY)
        session.set_expiry(idle=DAY)

    browser.visit(act)
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (DAY, clock() + 30 * DAY)


# A clock that was wrong


def test_sec_35_a_creation_in_the_future_counts_as_now(
    clock: ManualClock, browser: Browser
) -> None:
    """Where somebody puts the clock back, no session lives longer than from then on."""
    browser.visit(sign_in("ann"))
    browser.visit(lambda session: session.set_expiry(idle=None, lifetime=1000))
    clock.advance(-DAY)
    exchange = browser.begin()
    assert exchange.session.created_at == clock()
    exchange.session["k"] = 1
    exchange.finish()
    assert browser.harness.record(browser.id).deadline == clock() + 1000
    clock.advance(999)
    assert browser.begin().session.user_id == "ann"
    clock.advance(1)
    assert browser.user() is None


def test_times_are_those_last_saved(clock: ManualClock, browser: Browser) -> None:
    """What was asked for, and may still come to nothing, shows once it is saved."""
    browser.visit(put(k=1))
    begun = clock()
    clock.advance(10)
    session = browser.begin().session
    session.set_expiry(idle=60)
    assert session.expires_at == begun + 3600
    session.save()
    assert session.expires_at == begun + 70
    session.login("ann")
    assert session.created_at == begun
    session.save()
    assert (session.created_at, session.expires_at) == (begun + 10, begun + 10 + 3600)
