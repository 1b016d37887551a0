"""What a commit keeps: metadata, other codecs, failed responses, the end of the body."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck.errors import StoreError
from coatcheck.events import TouchFailed
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, raising

# Metadata and codecs


def test_metadata_comes_from_the_stored_record(browser: Browser) -> None:
    """Saving data leaves the times that another request set meanwhile."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["k"] = 2
    browser.visit(lambda session: session.set_expiry(idle=99, lifetime=1000))
    slow.finish()
    record = browser.harness.record(browser.id)
    assert (record.idle, record.deadline) == (99, record.created_at + 1000)
    assert browser.saved() == {"k": 2}


def test_data_that_was_never_decoded_is_unchanged(browser: Browser) -> None:
    """Changing a time writes the data back as it lies there, whatever its codec."""
    text = Browser(browser.harness.twin(codec="json"))
    text.visit(put(k=1, cart=["tea"]))
    browser.id = text.id or ""
    before = browser.harness.record(text.id)
    browser.visit(lambda session: session.set_expiry(idle=99))
    after = browser.harness.record(text.id)
    assert after == before._replace(idle=99)


def test_servers_with_different_codecs_share_a_session(browser: Browser) -> None:
    """What one wrote the other reads, writes and merges with."""
    text = Browser(browser.harness.twin(codec="json"))
    text.visit(put(a=1, when=(1, 2)))
    browser.id = text.id or ""
    assert browser.read() == {"a": 1, "when": (1, 2)}
    slow = browser.begin()
    slow.session["b"] = 2
    text.visit(put(c=3))
    slow.finish()
    other = text.begin()
    other.session["d"] = 4
    browser.visit(put(a=5))
    other.finish()
    expected = {"a": 5, "b": 2, "c": 3, "d": 4, "when": (1, 2)}
    assert text.read() == browser.read() == expected


def test_their_data_that_does_not_decode_ends_the_session_here(browser: Browser) -> None:
    """Meeting it in a conflict is an event, not an exception, and theirs is left alone."""
    harness = browser.harness
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["k"] = 2
    stored = harness.stored(browser.id)
    theirs = harness.record(browser.id).with_data(b"\xc1", harness.runtime.codec_number)
    payload = harness.runtime.pack(theirs)
    handle = harness.identity(browser.id).handle
    harness.store.inner.update(
        handle, payload, version=stored.version, expires_at=stored.expires_at
    )
    assert slow.finish().cookie is None
    assert harness.dropped() == [("gone", ("k",))]
    assert harness.record(browser.id) == theirs


# Responses that fail


def test_an_error_response_drops_changes_and_tells(browser: Browser) -> None:
    """With status 500 or above data is as it was, and an event names what was dropped."""
    browser.visit(put(k=1))
    browser.harness.store.take()
    reply = browser.visit(put(k=2, n=1), failed=True)
    assert reply.cookie is None
    assert browser.harness.store.take() == ["get"]
    assert browser.saved() == {"k": 1}
    assert browser.harness.dropped() == [("error", ("k", "n"))]


def test_an_error_response_still_counts_as_activity(clock: ManualClock, browser: Browser) -> None:
    """A user who meets an error was there all the same."""
    browser.visit(put(k=1))
    clock.advance(3000)
    browser.visit(failed=True)
    clock.advance(3000)
    assert browser.read() == {"k": 1}


def test_an_error_response_begins_no_session(browser: Browser) -> None:
    """A visitor whose request failed has no session."""
    assert browser.visit(put(k=1), failed=True).cookie is None
    assert browser.harness.store.take() == []
    assert browser.harness.dropped() == [("error", ("k",))]


def test_what_was_saved_by_hand_outlives_an_error(browser: Browser) -> None:
    """`save()` is at once; what comes after it is dropped with the error."""

    def act(session: Session) -> None:
        session["k"] = 1
        session.save()
        session["k"] = 2

    reply = browser.visit(act, failed=True)
    assert browser.saved() == {"k": 1}
    assert reply.sent == browser.id
    assert browser.harness.dropped() == [("error", ("k",))]


def test_dropped_changes_do_not_come_back(browser: Browser) -> None:
    """What an error dropped is not saved by a later save in the same request."""
    browser.visit(put(k=1, cart=["tea"]))
    exchange = browser.begin()
    exchange.session["k"] = 2
    exchange.session["cart"].append("milk")
    exchange.finish(failed=True)
    exchange.session["later"] = 3
    exchange.session.save()
    assert browser.saved() == {"k": 1, "cart": ["tea"], "later": 3}


def test_save_on_error_keeps_changes() -> None:
    """By option the data of a failed response is kept."""
    browser = Browser(Harness(save_on_error=True))
    browser.visit(put(k=1), failed=True)
    browser.visit(put(n=2), failed=True)
    assert browser.saved() == {"k": 1, "n": 2}
    assert browser.harness.dropped() == []


# At the end of the body


def test_changes_while_the_body_streams_are_saved(browser: Browser) -> None:
    """What changes after the headers is saved when the body ends, nested changes too."""
    browser.visit(put(k=1, cart=[]))
    exchange = browser.begin()
    cart: list[Any] = exchange.session["cart"]
    exchange.finish()
    exchange.session["k"] = 2
    cart.append("tea")
    exchange.close()
    assert browser.saved() == {"k": 2, "cart": ["tea"]}


def test_a_new_session_whose_headers_left_without_it_is_told(browser: Browser) -> None:
    """Where no commit came before the headers, no record is begun whose ID nobody gets."""
    exchange = browser.begin()
    exchange.session["k"] = 1
    exchange.visit.response_started = True
    exchange.close()
    assert browser.harness.store.take() == []
    assert browser.harness.dropped() == [("late", ("k",))]


def test_what_fails_at_the_end_is_an_event(browser: Browser) -> None:
    """Where nobody can be reached any more, errors become events."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    assert len(exchange.session) == 1
    exchange.finish()
    exchange.session["bad"] = object()
    exchange.close()
    exchange = browser.begin()
    assert len(exchange.session) == 1
    exchange.finish()
    exchange.session["k"] = 2
    browser.harness.store.before("update", raising(StoreError("out of reach")))
    exchange.close()
    assert browser.harness.dropped() == [("late", ("k", "bad")), ("late", ("k",))]
    assert browser.saved() == {"k": 1}


def test_a_page_that_only_reads_asks_for_no_commit(clock: ManualClock, browser: Browser) -> None:
    """Until a touch is due adapters make no coroutine, nor where lists were handed out."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    assert exchange.session["cart"] == ["tea"]
    lifecycle = browser.harness.lifecycle
    clock.advance(59)
    assert lifecycle.idle(exchange.visit)
    clock.advance(1)
    assert not lifecycle.idle(exchange.visit)


def test_a_page_that_only_reads_survives_a_failing_touch(
    clock: ManualClock, browser: Browser
) -> None:
    """What was read is true; that the session is in use is noted by the next request."""
    browser.visit(put(k=1))
    clock.advance(100)
    browser.harness.store.before("touch", raising(StoreError("out of reach")))
    assert browser.read() == {"k": 1}
    handle = browser.harness.identity(browser.id).handle
    assert browser.harness.told(TouchFailed) == [TouchFailed(handle, "out of reach")]
    browser.harness.store.take()
    assert browser.read() == {"k": 1}
    assert browser.harness.store.take() == ["get", "touch"]


def test_a_failing_touch_is_raised_to_who_saves(clock: ManualClock, browser: Browser) -> None:
    """`save()` of an unchanged session is asked for nothing else."""
    browser.visit(put(k=1))
    clock.advance(100)
    session = browser.begin().session
    assert session["k"] == 1
    browser.harness.store.before("touch", raising(StoreError("out of reach")))
    with pytest.raises(StoreError, match="out of reach"):
        session.save()
