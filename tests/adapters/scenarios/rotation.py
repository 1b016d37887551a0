"""Periodic rotation: the ID is replaced under a session that goes on, and a stolen one shows."""

from __future__ import annotations

from typing import Any

from coatcheck.events import SecretReused, SessionRevoked
from coatcheck.rotation import IN_FLIGHT, PARALLEL
from tests.adapters.scenarios.identity import who
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import LIFETIME, Answer, Browser, Site, look, put, sign_in

EVERY = 900


def _rotated(site: Site, browser: Browser) -> str:
    """Let the ID be rotated and the new one be seen; return the one that is retired by that."""
    old = browser.id or ""
    site.clock.advance(EVERY)
    assert browser.get(look).sent not in (None, old)
    assert browser.get(look).cookie is None
    return old


@scenario(rotate_every=EVERY)
def sec_30_an_id_is_rotated_under_a_session_that_goes_on(site: Site) -> None:
    """With a touch or write that is due, and to whoever sent the old one; never at a sign-in."""
    browser, twice = site.browser(), site.browser()
    browser.get(put(a=1))
    browser.get(sign_in("ann"))
    first = browser.id or ""
    token = browser.get(lambda session: session.csrf_token()).body
    handle = browser.get(lambda session: session.handle).body
    site.clock.advance(EVERY)
    site.tap.calls.clear()
    assert browser.get(look).cookie == site.set_cookie(browser.id, age=LIFETIME - EVERY)
    assert site.tap.calls == ["get", "update"]
    assert browser.id != first
    twice.id = first
    assert twice.get(put(b=2)).cookie is None
    assert browser.get(who).body == "ann {'a': 1, 'b': 2}"
    assert browser.get(lambda session: session.handle).body == handle
    assert browser.get(lambda session: session.verify_csrf(token)).body == "True"
    site.tap.calls.clear()
    assert browser.get(look).cookie is None
    assert site.tap.calls == ["get"]
    site.clock.advance(EVERY)
    assert browser.get(put(c=3)).sent not in (None, first)


@scenario(rotate_every=EVERY)
def sec_30_lost_responses_and_requests_at_once_sign_nobody_out(site: Site) -> None:
    """The previous ID works until the new one is seen, and beside it for a minute."""
    browser, lost, slow = site.browser(), site.browser(), site.browser()
    browser.get(sign_in("ann"))
    lost.id = slow.id = old = browser.id or ""
    site.clock.advance(EVERY)

    async def view(session: Any) -> str:
        before = session.user_id
        await browser.meanwhile(put(a=1))
        session["b"] = 2
        return str(before)

    reply = slow.get(view)
    assert (reply.body, reply.cookie) == ("ann", None)
    site.clock.advance(PARALLEL)
    sent = {lost.get(put(c=3)).sent}
    lost.id = old
    site.clock.advance(PARALLEL + 100)
    sent.add(lost.get(look).sent)
    assert sent == {browser.id}
    assert browser.get(who).body == "ann {'a': 1, 'b': 2, 'c': 3}"
    slow.id = old
    site.clock.advance(IN_FLIGHT - 1)
    assert slow.get(who).body == "ann {'a': 1, 'b': 2, 'c': 3}"
    assert slow.id == old
    assert site.told(SecretReused) == []


@scenario(rotate_every=EVERY)
def sec_30_an_id_that_was_retired_is_a_theft(site: Site) -> None:
    """Whoever comes with it is nobody, and the session ends; an older one harms nobody."""
    browser, thief = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    oldest = _rotated(site, browser)
    stolen = _rotated(site, browser)
    site.clock.advance(IN_FLIGHT)
    thief.id = oldest
    assert thief.get(who).body == "None {}"
    assert browser.get(who).body == "ann {}"
    assert site.told(SecretReused) == []
    thief.id = stolen
    reply = thief.get(who)
    assert (reply.body, reply.cookie) == ("None {}", None)
    assert [event.user_id for event in site.told(SecretReused)] == ["ann"]
    assert [event.reason for event in site.told(SessionRevoked)] == ["stolen"]
    assert browser.get(who).body == "None {}"


@scenario(rotate_every=EVERY, encrypt="sealed")
def sec_30_rotated_ids_open_what_is_encrypted(site: Site) -> None:
    """Under the new ID and the one before; what was retired opens nothing."""
    browser, twice = site.browser(), site.browser()
    browser.get(put(a=1))
    old = ""
    for _ in range(2):
        twice.id = old = _rotated(site, browser)
        assert twice.get(look).body == browser.get(look).body
        assert twice.get(put(b=2)).cookie is None
    site.clock.advance(IN_FLIGHT)
    assert browser.get(look).body == "{'a': 1, 'b': 2}"
    browser.get(sign_in("ann"))
    twice.id = old
    site.clock.advance(IN_FLIGHT)
    assert twice.get(look).body == "{}"
    assert browser.get(who).body == "ann {'a': 1, 'b': 2}"


@scenario(rotate_every=EVERY)
def sec_30_nothing_is_rotated_once_the_headers_have_left(site: Site) -> None:
    """A stream that goes on over an interval keeps its ID, and so does who reads it."""
    browser = site.browser()
    browser.get(put(a=1))
    before = browser.id

    def late(session: Any) -> str:
        site.clock.advance(EVERY)
        session["b"] = 2
        return "end"

    def view(session: Any) -> Answer:
        assert session["a"] == 1
        return Answer(["begin ", late])

    reply = browser.get(view)
    assert (reply.body, reply.cookie) == ("begin end", None)
    site.clock.advance(60)
    assert browser.get(look).sent not in (None, before)
    assert browser.get(look).body == "{'a': 1, 'b': 2}"
