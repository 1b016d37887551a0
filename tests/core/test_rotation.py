"""IDs under an old secret: they open, and are sent anew under the new one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.session import Session
from coatcheck.state import BearerState
from tests.core.cookiejar import Page
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, Reply, put, sign_in

DAY = 86_400.0
PLAIN = Page(https=False)


def ask_as_bearer(
    harness: Harness, act: Callable[[Session], object], session_id: str | None
) -> Reply:
    """Make one request whose ID travels in the Authorization header."""
    headers = {} if session_id is None else {"authorization": f"Bearer {session_id}"}
    exchange = Browser(harness).begin(headers=headers)
    act(exchange.session)
    return exchange.finish(deliver=False)


def _signed_with(browser: Browser, secret: str) -> bool:
    """Say whether the browser's ID is good under this secret alone."""
    return Harness(secret=secret).runtime.signer.verify(browser.id or "") is not None


@pytest.fixture
def rotated() -> Browser:
    """A browser with an ID under the old secret, at a server that has a new one."""
    old = Harness(secret=OLD_SECRET)
    browser = Browser(old)
    browser.visit(sign_in("ann", k=1))
    browser.harness = old.twin(secret=SECRET, old_secrets=[OLD_SECRET])
    old.store.take()
    return browser


def test_an_id_under_an_old_secret_still_opens(rotated: Browser) -> None:
    """Replacing the secret signs nobody out, and costs a read no write."""
    assert rotated.user() == "ann"
    assert rotated.harness.store.take() == ["get"]
    assert _signed_with(rotated, OLD_SECRET)


def test_old_and_new_spelling_of_one_id_are_one(rotated: Browser) -> None:
    """A browser that holds the same session under both secrets is not ambiguous."""
    old = rotated.id or ""
    rotated.harness.clock.advance(100)
    rotated.visit()
    new = rotated.id or ""
    assert old != new
    rotated.harness.store.take()
    for first, second in ((old, new), (new, old)):
        exchange = rotated.begin(f"session={first}; session={second}")
        assert exchange.session.user_id == "ann"
    assert rotated.harness.store.take() == ["get", "get"]


@pytest.mark.parametrize("how", ["touch", "save"])
def test_the_next_touch_or_save_sends_it_under_the_new_secret(rotated: Browser, how: str) -> None:
    """The same session, handle and secret, signed anew, and once."""
    before = rotated.harness.identity(rotated.id)
    if how == "touch":
        rotated.harness.clock.advance(100)
        reply = rotated.visit()
        assert rotated.harness.store.take() == ["get", "touch"]
    else:
        reply = rotated.visit(put(k=2))
        assert rotated.harness.store.take() == ["get", "update"]
    assert reply.sent == rotated.id
    assert rotated.harness.identity(rotated.id) == before
    assert _signed_with(rotated, SECRET)
    rotated.harness.clock.advance(100)
    assert rotated.visit().cookie is None
    assert rotated.user() == "ann"


def test_where_nothing_slides_the_first_read_sends_it() -> None:
    """An update of the unchanged payload makes sure that a live session is behind the new ID."""
    old = Harness(secret=OLD_SECRET, expire=None)
    browser = Browser(old)
    browser.visit(put(k=1))
    before = old.record(browser.id)
    browser.harness = old.twin(secret=SECRET, old_secrets=[OLD_SECRET], expire=None)
    old.store.take()
    assert browser.visit().sent == browser.id
    assert old.store.take() == ["get", "update"]
    assert browser.harness.record(browser.id) == before
    assert browser.visit().cookie is None
    assert old.store.take() == ["get"]


def test_the_new_id_prolongs_no_session_that_does_not_slide() -> None:
    """A session that ends some time after its last change ends then, whatever is sent."""
    old = Harness(secret=OLD_SECRET, slide=False)
    browser = Browser(old)
    browser.visit(put(k=1))
    before = old.stored(browser.id).expires_at
    old.clock.advance(100)
    browser.harness = old.twin(secret=SECRET, old_secrets=[OLD_SECRET], slide=False)
    assert browser.visit().sent == browser.id
    assert _signed_with(browser, SECRET)
    assert browser.harness.stored(browser.id).expires_at == before


def test_a_state_that_cannot_send_writes_nothing_for_it() -> None:
    """Where the new ID could not reach the client, a read stays a read."""
    old = Harness(secret=OLD_SECRET, expire=None)
    browser = Browser(old)
    browser.visit(put(k=1))
    server = old.twin(secret=SECRET, old_secrets=[OLD_SECRET], expire=None, state=BearerState())
    old.store.take()
    reply = ask_as_bearer(server, len, browser.id)
    assert reply.cookie is None
    assert old.store.take() == ["get"]


def test_without_the_old_secret_the_id_is_worth_nothing(rotated: Browser) -> None:
    """Once the old secret is dropped, its IDs are forgeries."""
    rotated.harness = rotated.harness.twin()
    assert rotated.user() is None
    assert rotated.harness.store.take() == []


def test_a_session_that_is_gone_is_not_sent_again(rotated: Browser) -> None:
    """A save that finds nothing sends no ID, new secret or not."""
    slow = rotated.begin()
    slow.session["k"] = 2
    other = Browser(rotated.harness)
    other.id = rotated.id or ""
    other.visit(lambda session: session.logout())
    assert slow.finish().cookie is None
