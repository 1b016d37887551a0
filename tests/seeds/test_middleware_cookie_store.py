"""S-112 and S-114 to S-116: the session in the client's cookie, encrypted."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest

from coatcheck import SessionManager
from coatcheck.events import IDRejected
from tests.adapters.site import SECRET, Site, end, look, put, read
from tests.adapters.taps import cookie_store
from tests.seeds.middleware import everywhere

DATA = {"name": "Ada Lovelace", "cart": [{"sku": "A-1", "price": 9.9}]}
OTHER_SECRET = "0ther-Wb8xN3kV7qY2tM9cJ4hS6gP1zF5rD0u"


@everywhere(kind="cookie")
def test_s_112_what_travels_is_the_record_and_not_its_name(site: Site) -> None:
    """What the store was given last is what the client is sent: with each change another value."""
    browser = site.browser()
    sent = [browser.get(put(n=n)).sent or "" for n in range(3)]
    assert len(set(sent)) == 3
    manager = SessionManager(secret=SECRET, store=cookie_store(), clock=site.clock)
    opened = [manager.open(text) for text in sent]
    assert [session and dict(session) for session in opened] == [{"n": n} for n in range(3)]
    assert len({session.handle for session in opened if session}) == 1
    assert site.tap.take()[0] == "create"


@pytest.mark.parametrize("value", ["", "garbage", "A" * 68, "A" * 319, "!" * 319, "A" * 9999])
def test_what_we_did_not_seal_is_no_session(value: str) -> None:
    """Whatever it looks like, and nothing raises."""
    assert SessionManager(secret=SECRET, store=cookie_store()).open(value) is None


def test_s_114_a_sealed_session_shows_nothing_and_no_change_of_it_opens() -> None:
    """Not plain text; tampered or under another secret it is none; equal data never looks equal."""
    manager = SessionManager(secret=SECRET, store=cookie_store())
    sealed = manager.create(data=DATA).id
    raw = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    for word in (b"Ada", b"Lovelace", b"cart", b"name", b"price"):
        assert word not in raw
    assert manager.create(data=DATA).id != sealed
    session = manager.open(sealed)
    assert session is not None
    assert dict(session) == DATA
    for place in range(len(sealed)):
        edited = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        assert manager.open(edited) is None, place
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelled = {sealed[:-1] + letter for letter in letters} - {sealed}
    assert [manager.open(other) for other in respelled] == [None] * 63
    for cut in (sealed[:-1], sealed[1:], sealed + "A", sealed + "=", sealed + "\n", " " + sealed):
        assert manager.open(cut) is None
    assert SessionManager(secret=OTHER_SECRET, store=cookie_store()).open(sealed) is None


@everywhere(kind="cookie")
def test_s_115_a_session_is_begun_changed_and_read_back(site: Site) -> None:
    """What is written is sent; what is only read sends nothing, and asks nobody."""
    browser = site.browser()
    assert browser.get(look).cookie is None
    browser.get(put(**DATA))
    before = browser.id
    for _ in range(2):
        reply = browser.get(read("name"))
        assert (reply.body, reply.cookie, reply.vary) == ("Ada Lovelace", None, ["Cookie"])
    assert browser.get(put(name="Ada Lovelace")).cookie is None

    def change(session: Any) -> None:
        session["cart"][0]["price"] = 12.5
        del session["name"]

    reply = browser.get(change)
    assert reply.sent == browser.id != before
    assert reply.cache_control == ["private, no-cache"]
    assert browser.get(look).body == "{'cart': [{'sku': 'A-1', 'price': 12.5}]}"
    assert not site.told(IDRejected)


@everywhere(kind="cookie")
def test_s_116_a_copy_outlives_what_it_was_copied_from(site: Site) -> None:
    """The documented limit: who destroys a session ends it in that browser, for nobody signed in.

    And an older copy has the data that it had (rollback).
    """
    browser, copy = site.browser(), site.browser()
    browser.get(put(credits=10))
    copy.id = browser.id or ""
    browser.get(put(credits=3))
    assert browser.get(end).deleted
    assert browser.cookies == ""
    assert browser.get(look).body == "{}"
    assert copy.get(look).body == "{'credits': 10}"
    site.clock.advance(3600)
    assert copy.get(look).body == "{}"
