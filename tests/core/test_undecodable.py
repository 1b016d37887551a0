"""`login` and `regenerate` over a record that does not decode: anonymous, and an event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.events import RecordCorrupt
from coatcheck.session import Session
from tests.core.harness import Browser, Harness, put, sign_in

ASKS: list[Callable[[Session], None]] = [
    lambda session: session.login("ann"),
    lambda session: session.regenerate(),
]
each_ask = pytest.mark.parametrize("ask", ASKS, ids=["login", "regenerate"])


@each_ask
def test_an_undecodable_session_lends_its_user_to_nobody(
    harness: Harness, browser: Browser, ask: Callable[[Session], None]
) -> None:
    """It is anonymous from the event on: only a sign-in makes a session of it, a new one."""
    browser.visit(sign_in("bob", k=1))
    stored = harness.stored(browser.id)
    unknown = harness.record(browser.id).with_data(b"?", 99)
    harness.store.inner.update(
        harness.identity(browser.id).handle,
        harness.runtime.pack(unknown),
        version=stored.version,
        expires_at=stored.expires_at,
    )
    reply = browser.visit(ask, deliver=False)
    assert len(harness.told(RecordCorrupt)) == 1
    users = [harness.record(reply.sent).user_id] if reply.sent else []
    assert users == (["ann"] if ask is ASKS[0] else [])


@each_ask
@pytest.mark.parametrize("rubbish", ["data", "record"])
def test_what_is_written_meanwhile_and_does_not_decode_is_as_good_as_gone(
    harness: Harness, browser: Browser, ask: Callable[[Session], None], rubbish: str
) -> None:
    """An event and no exception: a sign-in is one of its own, and everything else is told."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session["mine"] = 1
    ask(exchange.session)
    exchange.session["after"] = 1
    stored = harness.stored(browser.id)
    unknown = harness.record(browser.id).with_data(b"?", 99)
    harness.store.inner.update(
        harness.identity(browser.id).handle,
        harness.runtime.pack(unknown) if rubbish == "data" else b"?",
        version=stored.version,
        expires_at=stored.expires_at,
    )
    reply = exchange.finish()
    assert len(harness.told(RecordCorrupt)) == 1
    if ask is ASKS[0]:
        assert harness.dropped() == [("gone", ("mine",))]
        assert browser.read() == {"after": 1}
    else:
        assert harness.dropped() == [("gone", ("mine", "after"))]
        assert reply.cookie is None
