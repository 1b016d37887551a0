"""`clear()`: a barrier that what is in flight from before it does not pass."""

from __future__ import annotations

from typing import Literal

import pytest

from coatcheck.errors import SessionEnded
from tests.core.harness import Browser, Harness, put, sign_in


def test_clear_costs_what_a_write_costs(browser: Browser) -> None:
    """One update, which also moves the epoch; ID and user stay."""
    browser.visit(sign_in("ann", k=1))
    before = browser.id
    browser.harness.store.take()
    assert browser.visit(lambda session: session.clear()).cookie is None
    assert browser.harness.store.take() == ["get", "update"]
    assert browser.id == before
    assert browser.user() == "ann"
    assert browser.saved() == {}
    assert browser.harness.record(browser.id).epoch == 1


def test_clearing_what_is_empty_moves_the_epoch_too(browser: Browser) -> None:
    """What others have in flight is dropped even where there was nothing to clear."""
    browser.visit(sign_in("ann"))
    slow = browser.begin()
    slow.session["late"] = 1
    browser.visit(lambda session: session.clear())
    slow.finish()
    assert browser.saved() == {}
    assert browser.harness.dropped() == [("cleared", ("late",))]


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_a_session_cleared_as_often_as_can_be_counted_is_cleared_again(
    codec: Literal["binary", "json"],
) -> None:
    """The count begins anew; it never raises, though only a forged record has come so far."""
    harness = Harness(codec=codec)
    browser = Browser(harness)
    browser.visit(put(a=1))
    stored, handle = harness.stored(browser.id), harness.identity(browser.id).handle
    forged = harness.record(browser.id)._replace(epoch=2**32 - 1)
    payload = harness.runtime.pack(forged)
    harness.store.inner.update(
        handle, payload, version=stored.version, expires_at=stored.expires_at
    )
    browser.visit(lambda session: session.clear())
    assert browser.saved() == {}
    assert harness.record(browser.id).epoch == 0


def test_a_save_from_before_a_clear_is_dropped_and_told(browser: Browser) -> None:
    """Neither the old data nor a new key of an older request comes back; the session goes on."""
    browser.visit(put(cart=["tea"], k=1))
    slow = browser.begin()
    slow.session["late"] = 1
    slow.session["cart"].append("milk")
    browser.visit(lambda session: session.clear())
    browser.harness.store.take()
    reply = slow.finish()
    assert browser.harness.store.take() == ["update"]
    assert reply.cookie is None
    assert browser.saved() == {}
    assert browser.harness.dropped() == [("cleared", ("cart", "late"))]
    assert slow.session["late"] == 1


def test_the_clearing_request_keeps_what_it_writes(browser: Browser) -> None:
    """What is stored after `clear()` in the same request replaces all that was there."""
    browser.visit(put(a=1, b=2))

    slow = browser.begin()
    slow.session.clear()
    slow.session["a"] = 3
    browser.visit(put(c=4))
    slow.finish()
    assert browser.saved() == {"a": 3}


def test_two_clears_leave_what_the_later_one_wrote(browser: Browser) -> None:
    """A save that itself cleared replaces the data whole, whatever the epoch."""
    browser.visit(put(a=1))
    one, two = browser.begin(), browser.begin()
    for number, exchange in enumerate((one, two)):
        exchange.session.clear()
        exchange.session[f"key{number}"] = number
    one.finish()
    two.finish()
    assert browser.saved() == {"key1": 1}
    assert browser.harness.record(browser.id).epoch == 2


def test_dropped_stays_dropped(browser: Browser) -> None:
    """Once a foreign clear was met, later saves of the same request are dropped as well."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["late"] = 1
    browser.visit(lambda session: session.clear())
    with pytest.raises(SessionEnded) as caught:
        slow.session.save()
    assert caught.value.keys == ("late",)
    slow.session["later"] = 2
    with pytest.raises(SessionEnded) as caught:
        slow.session.save()
    assert caught.value.keys == ("later",)
    slow.finish()
    assert browser.saved() == {}


def test_after_refresh_one_may_write_again(browser: Browser) -> None:
    """`refresh()` takes note of the clear: what changes after it is saved."""
    browser.visit(put(k=1))
    slow = browser.begin()
    assert slow.session["k"] == 1
    browser.visit(lambda session: session.clear())
    slow.session.refresh()
    assert dict(slow.session) == {}
    slow.session["after"] = 1
    slow.finish()
    assert browser.saved() == {"after": 1}
    assert browser.harness.dropped() == []


def test_one_may_write_after_an_own_clear(browser: Browser) -> None:
    """The own clear is known: later saves of the same request go on from it."""
    browser.visit(put(k=1))

    exchange = browser.begin()
    exchange.session.clear()
    exchange.session.save()
    exchange.session["after"] = 1
    exchange.session.save()
    browser.visit(put(other=1))
    exchange.session["last"] = 2
    exchange.finish()
    assert browser.saved() == {"after": 1, "other": 1, "last": 2}


def test_times_pass_a_clear(browser: Browser) -> None:
    """A clear drops data; the times that an older request sets are kept."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["late"] = 1
    slow.session.set_expiry(idle=99)
    browser.visit(lambda session: session.clear())
    slow.finish()
    assert browser.saved() == {}
    assert browser.harness.record(browser.id).idle == 99
    assert browser.harness.dropped() == [("cleared", ("late",))]


def test_saving_times_takes_no_note_of_a_clear(browser: Browser) -> None:
    """After a save of times alone, data from before the clear is dropped as it was to be."""
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session.set_expiry(idle=99)
    browser.visit(lambda session: session.clear())
    slow.session.save()
    slow.session["late"] = 1
    slow.finish()
    assert browser.saved() == {}
    assert browser.harness.dropped() == [("cleared", ("late",))]


def test_a_reader_is_told_nothing(browser: Browser) -> None:
    """A request that changed nothing loses nothing to a clear."""
    browser.visit(put(cart=["tea"]))
    slow = browser.begin()
    assert slow.session["cart"] == ["tea"]
    browser.visit(lambda session: session.clear())
    slow.finish()
    assert browser.harness.dropped() == []


def test_a_clear_of_a_session_that_is_gone_is_told(browser: Browser) -> None:
    """Where there is nothing left to clear, that is told as any dropped change is."""
    browser.visit(sign_in("ann"))
    slow = browser.begin()
    slow.session.clear()
    browser.visit(lambda session: session.logout())
    slow.finish()
    assert browser.harness.dropped() == [("gone", ())]
