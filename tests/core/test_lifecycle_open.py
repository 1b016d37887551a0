"""How a session is found: which IDs reach the store, and what they open."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from threading import Barrier, Thread

import pytest

from coatcheck.codecs import CustomType
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.events import (
    AmbiguousID,
    IDRejected,
    RecordCorrupt,
    SessionExpired,
    UnknownID,
    WrongSecret,
)
from coatcheck.ids import Identity
from coatcheck.session import Session
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, put, raising, sign_in


def _stored(harness: Harness, **values: object) -> str:
    """Return the ID of a new stored session."""
    browser = Browser(harness)
    browser.visit(put(**(values or {"k": 1})))
    harness.store.take()
    harness.events.clear()
    return browser.id or ""


def _cookie(*ids: str) -> str:
    return "; ".join(f"session={session_id}" for session_id in ids)


# What costs what


def test_untouched_costs_no_store_call(harness: Harness, browser: Browser) -> None:
    """A request that does not look at the session asks nothing, visitor or known user."""
    assert browser.begin().finish().vary == []
    browser.visit(sign_in("ann"))
    harness.store.take()
    reply = browser.begin().finish()
    assert (reply.cookie, reply.vary, reply.cache_control) == (None, [], [])
    assert harness.store.take() == []


def test_a_visitor_costs_no_store_call(harness: Harness, browser: Browser) -> None:
    """Without an ID there is nothing to ask for: looking finds an empty session."""
    assert browser.read() == {}
    assert harness.store.take() == []


def test_reading_costs_one_get(harness: Harness) -> None:
    """However often it is read, a session is asked for once."""
    browser = Browser(harness)
    browser.id = _stored(harness, k=1)
    exchange = browser.begin()
    assert harness.store.take() == []
    assert [exchange.session["k"] for _ in range(5)] == [1] * 5
    assert exchange.session.user_id is None
    assert exchange.finish().cookie is None
    assert harness.store.take() == ["get"]


# What is no ID of ours


FORGERIES: list[Callable[[str], str]] = [
    lambda good: "",
    lambda good: good[:-1],
    lambda good: good + "A",
    lambda good: good * 2,
    lambda good: "A" * 68,
    lambda good: "A" * 100_000,
    lambda good: good[:-1] + ("A" if good[-1] != "A" else "B"),
    lambda good: good[::-1],
    lambda good: good.swapcase(),
    lambda good: '"' + good + '"',
    lambda good: "%41" + good[1:],
    lambda good: good[:40] + "\x00" + good[41:],
    lambda good: good[:40] + "\u00e9" + good[41:],
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_forged_ids_never_reach_the_store(harness: Harness, forge: Callable[[str], str]) -> None:
    """Truncated, oversized, garbage or altered: no store call, no exception, nobody."""
    good = _stored(harness, secret="data")
    exchange = Browser(harness).begin(_cookie(forge(good)))
    assert dict(exchange.session) == {}
    assert exchange.session.user_id is None
    assert exchange.finish().cookie is None
    assert harness.store.take() == []
    assert {type(event) for event in harness.events} <= {IDRejected}


@pytest.mark.parametrize("option", [{"namespace": "other"}, {"secret": OLD_SECRET}])
def test_ids_of_other_applications_never_reach_the_store(
    harness: Harness, option: dict[str, str]
) -> None:
    """Another namespace or another secret signs IDs that are worth nothing here."""
    namespace, secret = option.get("namespace", "coatcheck"), option.get("secret", SECRET)
    foreign = _stored(Harness(time=harness.clock, namespace=namespace, secret=secret))
    exchange = Browser(harness).begin(_cookie(foreign))
    assert dict(exchange.session) == {}
    assert harness.store.take() == []


# What opens nothing


def _never_stored(harness: Harness, browser: Browser) -> None:
    browser.id = harness.runtime.signer.sign(harness.runtime.signer.mint())


def _destroyed(harness: Harness, browser: Browser) -> None:
    browser.visit(put(k=1))
    planted = browser.id
    browser.visit(lambda session: session.destroy())
    browser.id = planted or ""


def _expired(harness: Harness, browser: Browser) -> None:
    browser.visit(put(k=1))
    harness.clock.advance(3600)


def _past_its_lifetime(harness: Harness, browser: Browser) -> None:
    browser.visit(put(k=1))
    planted = browser.id
    browser.visit(lambda session: session.set_expiry(idle=None, lifetime=100))
    harness.clock.advance(100)
    browser.id = planted or ""


def _replaced_long_ago(harness: Harness, browser: Browser) -> None:
    browser.visit(put(k=1))
    planted = browser.id
    browser.visit(sign_in("ann"))
    harness.clock.advance(5)
    browser.id = planted or ""


@pytest.mark.parametrize(
    "make", [_never_stored, _destroyed, _expired, _past_its_lifetime, _replaced_long_ago]
)
def test_a_dead_id_is_never_adopted(
    harness: Harness, browser: Browser, make: Callable[[Harness, Browser], None]
) -> None:
    """A well-signed ID that opens nothing is anonymous, and what is stored goes under a new one."""
    make(harness, browser)
    planted = browser.id
    harness.store.take()
    harness.events.clear()
    exchange = browser.begin()
    assert dict(exchange.session) == {}
    assert exchange.session.user_id is None
    assert exchange.session.is_new
    assert harness.store.take() == ["get"]
    assert {type(event) for event in harness.events} <= {UnknownID, SessionExpired}
    assert harness.events
    exchange.session["mine"] = 1
    reply = exchange.finish()
    assert reply.sent not in (None, planted)
    assert harness.identity(reply.sent).handle != harness.identity(planted).handle
    assert browser.read() == {"mine": 1}


def test_a_wrong_secret_opens_nothing_and_harms_nobody(harness: Harness) -> None:
    """Who knows a handle, and even signs, has no session; an event tells, and nothing goes."""
    good = _stored(harness, k=1)
    handle = harness.identity(good).handle
    forged = harness.runtime.signer.sign(Identity(handle, b"not the secret.."))
    thief = Browser(harness)
    thief.id = forged
    assert thief.read() == {}
    thief.visit(lambda session: session.clear())
    thief.visit(lambda session: session.logout())
    assert harness.told(WrongSecret) == [WrongSecret(handle)] * 3
    owner = Browser(harness)
    owner.id = good
    assert owner.read() == {"k": 1}


# Broken records


def _break(harness: Harness, session_id: str, payload: bytes) -> None:
    """Let other bytes lie in the store under that ID."""
    handle = harness.identity(session_id).handle
    stored = harness.stored(session_id)
    harness.store.inner.update(
        handle, payload, version=stored.version, expires_at=stored.expires_at
    )


@pytest.mark.parametrize("payload", [b"", b"garbage", b"\x80\x04\x95", b"{}", b"coatcheck/1"])
def test_a_broken_record_is_anonymous_and_an_event(
    harness: Harness, browser: Browser, payload: bytes
) -> None:
    """The visitor goes on without a session, the record is left alone, and no request fails."""
    browser.visit(put(k=1))
    broken = browser.id or ""
    handle = harness.identity(broken).handle
    _break(harness, broken, payload)
    assert browser.read() == {}
    assert [event.handle for event in harness.told(RecordCorrupt)] == [handle]
    browser.visit(put(k=2))
    assert browser.read() == {"k": 2}
    assert browser.id != broken
    stored = harness.store.inner.get(handle)
    assert stored is not None
    assert stored.payload == payload


class _Point:
    """A type of the application's own."""


def test_data_that_does_not_decode_is_anonymous_and_an_event(browser: Browser) -> None:
    """Where a type is known no more, the record is sound and its data is not: the same rule."""
    known = browser.harness
    types = [CustomType(_Point, "point", lambda _: None, lambda _: _Point())]
    richer = known.twin(types=types)
    other = Browser(richer)
    other.visit(sign_in("ann", at=_Point()))
    browser.id = other.id or ""
    assert browser.read() == {}
    assert [event.handle for event in known.told(RecordCorrupt)] == richer.live()
    browser.visit(put(k=1))
    assert browser.read() == {"k": 1}
    assert browser.user() is None
    assert type(other.read()["at"]) is _Point


def test_data_that_does_not_decode_is_noticed_when_it_is_written_too(browser: Browser) -> None:
    """Writing first, or asking for a comparison, finds the same, and clobbers nothing."""
    known = browser.harness
    types = [CustomType(_Point, "point", lambda _: None, lambda _: _Point())]
    other = Browser(known.twin(types=types))
    other.visit(put(at=_Point()))
    browser.id = other.id or ""
    exchange = browser.begin()
    exchange.session.modified = True
    exchange.finish()
    exchange = browser.begin()
    exchange.session["k"] = 1
    assert exchange.finish().sent not in (None, other.id)
    assert type(other.read()["at"]) is _Point


def test_a_store_that_finds_rubbish_is_no_error(harness: Harness, browser: Browser) -> None:
    """A store may say that what lies there is no record: the visitor is anonymous."""
    browser.visit(put(k=1))
    harness.store.before("get", raising(CorruptRecord("a folder lies there")))
    assert browser.read() == {}
    assert len(harness.told(RecordCorrupt)) == 1
    assert browser.read() == {"k": 1}


def test_a_store_that_fails_is_an_error(harness: Harness, browser: Browser) -> None:
    """An outage is neither a visitor without session nor the end of one."""
    browser.visit(put(k=1))
    harness.store.before("get", raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        browser.read()
    assert browser.read() == {"k": 1}


# Several candidates


def test_the_order_of_candidates_does_not_matter(harness: Harness) -> None:
    """One live session among forged and dead ones is found, wherever it stands."""
    good = _stored(harness, k=1)
    dead = harness.runtime.signer.sign(harness.runtime.signer.mint())
    for order in permutations((good, dead, "A" * 68, "junk")):
        exchange = Browser(harness).begin(_cookie(*order))
        assert dict(exchange.session) == {"k": 1}
        exchange.session["k"] = 1
        assert exchange.finish().cookie is None
    assert harness.store.take().count("get") <= 2 * 24


def test_two_live_candidates_are_nobody(harness: Harness) -> None:
    """Somebody planted one of them: neither is believed, and an event names both."""
    first, second = _stored(harness, k=1), _stored(harness, k=2)
    for order in ((first, second), (second, first)):
        browser = Browser(harness)
        exchange = browser.begin(_cookie(*order))
        assert dict(exchange.session) == {}
        assert harness.store.take() == ["get", "get"]
        exchange.session["mine"] = 1
        reply = exchange.finish()
        assert reply.sent not in (None, first, second)
        harness.store.take()
    handles = {harness.identity(session_id).handle for session_id in (first, second)}
    assert [set(event.handles) for event in harness.told(AmbiguousID)] == [handles, handles]
    assert harness.record(first).data != harness.record(second).data


def test_the_same_candidate_twice_is_one(harness: Harness) -> None:
    """A repeated cookie is no second session."""
    good = _stored(harness, k=1)
    assert dict(Browser(harness).begin(_cookie(good, good, good)).session) == {"k": 1}
    assert harness.store.take() == ["get"]


def test_a_tombstone_is_not_live(harness: Harness, browser: Browser) -> None:
    """An old ID that lingers in a second cookie does not hide the session that replaced it."""
    browser.visit(put(k=1))
    old = browser.id or ""
    browser.visit(sign_in("ann"))
    for order in ((old, browser.id or ""), (browser.id or "", old)):
        assert Browser(harness).begin(_cookie(*order)).session.user_id == "ann"


def test_more_than_two_well_signed_candidates_cost_no_get(harness: Harness) -> None:
    """Three different IDs of ours are two too many, live or not."""
    ids = [_stored(harness, k=number) for number in range(3)]
    assert dict(Browser(harness).begin(_cookie(*ids)).session) == {}
    assert harness.store.take() == []
    assert len(harness.told(AmbiguousID)) == 1


def test_too_many_candidates_cost_no_signature(harness: Harness) -> None:
    """More than eight candidates are not even verified."""
    good = _stored(harness, k=1)
    junk = ["ABCDEFGHIJ"[number] * 68 for number in range(8)]
    assert dict(Browser(harness).begin(_cookie(*junk[:7], good)).session) == {"k": 1}
    harness.store.take()
    assert dict(Browser(harness).begin(_cookie(*junk, good)).session) == {}
    assert harness.store.take() == []
    assert harness.told(IDRejected) == [IDRejected("too-many")]


# At once


def test_the_first_load_is_guarded() -> None:
    """Of several threads that look at once, all get the same session."""
    harness = Harness()
    browser = Browser(harness)
    browser.visit(put(k=1))
    for _ in range(20):
        session = browser.begin().session
        barrier = Barrier(4)

        def look(number: int, session: Session = session, barrier: Barrier = barrier) -> None:
            barrier.wait()
            session[f"thread{number}"] = number

        threads = [Thread(target=look, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert dict(session) == {"k": 1} | {f"thread{number}": number for number in range(4)}
