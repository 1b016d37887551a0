"""What is asked before something is done in a session's name."""

from __future__ import annotations

from typing import Any

from coatcheck import ResponseStarted, SignInRequired
from tests.adapters.scenarios.ending import leave
from tests.adapters.scenarios.identity import who
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, View, put, renew, sign_in


def pay(session: Any) -> Answer:
    """A view that wants a fresh sign-in."""
    try:
        session.require_recent_auth(300)
    except SignInRequired:
        return Answer("password, please", 403)
    return Answer(f"paid by {session.user_id}")


@scenario()
def sec_37_a_stale_sign_in_is_not_enough(site: Site) -> None:
    """The same answer for who is not signed in; signing in again goes on under a new ID."""
    browser = site.browser()
    assert browser.get(pay).status == 403
    browser.get(sign_in("ann"))
    browser.get(put(a=1))
    site.clock.advance(299)
    assert browser.get(pay).body == "paid by ann"
    site.clock.advance(1)
    reply = browser.get(pay)
    assert (reply.status, reply.vary) == (403, ["Cookie"])
    old = browser.id
    assert browser.get(sign_in("ann")).sent == browser.id != old
    assert browser.get(pay).body == "paid by ann"
    assert browser.get(who).body == "ann {'a': 1}"


def form(session: Any) -> str:
    """A view with a form."""
    return str(session.csrf_token())


def submit(token: object) -> View:
    """A view that a form is sent to."""

    def check(session: Any) -> Answer:
        return Answer("ok") if session.verify_csrf(token) else Answer("refused", 403)

    return check


@scenario()
def sec_70_a_csrf_token_is_bound_to_the_session_and_rotates_with_it(site: Site) -> None:
    """Each page has another one; none holds for anybody else, nor after sign-in or sign-out."""
    browser, other = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    other.get(sign_in("bob"))
    first, second = browser.get(form).body, browser.get(form).body
    assert first != second
    for token, status in ((first, 200), (second, 200), (None, 403), (first[::-1], 403)):
        reply = browser.get(submit(token))
        assert (reply.status, reply.vary, reply.cookie) == (status, ["Cookie"], None)
    assert other.get(submit(first)).status == 403
    assert site.browser().get(submit(first)).status == 403
    for change in (renew, sign_in("ann"), leave):
        token = browser.get(form).body
        assert browser.get(submit(token)).status == 200
        browser.get(change)
        assert browser.get(submit(token)).status == 403


@scenario()
def sec_70_a_visitor_s_form_has_a_session(site: Site) -> None:
    """To ask for a token stores an empty session, and sends its ID; to check one does not."""
    browser = site.browser()
    assert browser.get(submit("x" * 64)).cookie is None
    assert site.tap.take() == []
    reply = browser.get(form)
    assert reply.cookie == site.set_cookie(browser.id)
    assert reply.cache_control == ["private, no-cache"]
    assert site.tap.take() == ["create"]
    assert browser.get(submit(reply.body)).status == 200

    def sign_in_by_form(session: Any) -> str:
        assert session.verify_csrf(reply.body)
        session.login("ann")
        return form(session)

    token = browser.get(sign_in_by_form).body
    assert browser.get(submit(token)).status == 200
    assert browser.get(submit(reply.body)).status == 403


@scenario()
def a_csrf_token_after_the_headers_needs_a_session(site: Site) -> None:
    """In a body that is streamed: where the client has an ID, tokens go on."""

    def chunk(session: Any) -> str:
        try:
            return form(session)
        except ResponseStarted:
            return "too late"

    def stream(session: Any) -> Answer:
        return Answer(body=["", "a", chunk])

    browser = site.browser()
    reply = browser.get(stream)
    assert (reply.body, reply.cookie) == ("atoo late", None)
    browser.get(put(a=1))
    reply = browser.get(stream)
    assert browser.get(submit(reply.body[1:])).status == 200
