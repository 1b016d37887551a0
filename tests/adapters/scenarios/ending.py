"""The end of sessions: destroyed, logged out, revoked, and never back."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import SessionEnded
from coatcheck.events import (
    SessionDestroyed,
)
from tests.adapters.scenarios.identity import who
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    DELETION,
    Answer,
    Reply,
    Site,
    end,
    look,
    put,
    renew,
    saved,
    sign_in,
    untouched,
)


@scenario()
def sec_31_destroy_ends_the_session_and_deletes_the_cookie(site: Site) -> None:
    """The object takes no more changes, and the old ID is worth nothing, however often it comes."""
    browser, thief = site.browser(), site.browser()
    browser.get(put(a=1))
    thief.id = old = browser.id or ""

    def view(session: Any) -> str:
        session.destroy()
        with pytest.raises(SessionEnded, match="destroyed"):
            session["b"] = 2
        with pytest.raises(SessionEnded):
            session.login("ann")
        return repr(dict(session))

    reply = browser.get(view)
    assert (reply.body, reply.cookie, reply.vary) == ("{}", DELETION, ["Cookie"])
    assert reply.cache_control == ["private, no-cache"]
    assert browser.cookies == ""
    assert [event.reason for event in site.told(SessionDestroyed)] == ["destroy"]
    for _ in range(3):
        assert thief.get(look).body == "{}"
    reply = thief.get(put(x=1))
    assert reply.sent not in (None, old)


@scenario()
def logout_goes_on_with_a_new_empty_session(site: Site) -> None:
    """What is stored in that gets an ID of its own; one cookie says both."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    old = browser.id

    def view(session: Any) -> None:
        session.logout()
        assert (session.user_id, dict(session)) == (None, {})
        session["flash"] = "bye"

    reply = browser.get(view)
    assert reply.sent == browser.id != old
    assert browser.get(who).body == "None {'flash': 'bye'}"
    assert browser.get(lambda session: session.logout()).cookie == DELETION


@scenario()
def logout_of_who_was_not_signed_in_says_nothing(site: Site) -> None:
    """A visitor without a cookie has none to delete, and who has a dead one loses it."""
    visitor, dead = site.browser(), site.browser()
    dead.get(put(a=1))
    gone = dead.id or ""
    dead.get(lambda session: session.destroy())
    dead.id = gone
    site.tap.take()
    assert visitor.get(lambda session: session.logout()).cookie is None
    assert site.tap.take() == []
    assert dead.get(lambda session: session.logout()).cookie == DELETION
    assert site.tap.take() == ["get"]


@scenario()
def sec_51_everything_in_one_request_sends_one_cookie(site: Site) -> None:
    """login, save, regenerate, destroy: the last word counts."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session.login("ann")
        await saved(session)
        session.regenerate()
        session["b"] = 1
        session.destroy()

    assert browser.get(view).cookie == DELETION
    assert site.live() == 0 if "keyvalue" not in site.kind else True


@scenario()
def sec_42_what_ends_a_session_ends_it_whatever_happens(site: Site) -> None:
    """An error response and an exception keep no data, but a session that was ended is ended."""

    def crash(session: Any) -> None:
        session["b"] = 1
        session.destroy()
        raise ZeroDivisionError

    def fail(session: Any) -> Answer:
        session.logout()
        session["b"] = 1
        return Answer(status=500)

    for view in (crash, fail):
        browser, thief = site.browser(), site.browser()
        browser.get(put(a=1))
        thief.id = browser.id or ""
        reply = browser.get(view)
        assert (reply.status, reply.sent) == (500, None)
        assert thief.get(look).body == "{}"
    assert len(site.told(SessionDestroyed)) == 2


def cleared(reply: Reply) -> list[str]:
    """Return what a response tells the browser to forget."""
    return reply.all("clear-site-data")


def leave(session: Any) -> None:
    """A view that signs out."""
    session.logout()


@scenario(clear_site_data=True)
def sec_59_logout_can_clear_the_site_s_data(site: Site) -> None:
    """The exact header, with the end of a session and on nothing else, and over https only."""
    browser = site.browser(https=True)
    for view in (sign_in("ann"), put(a=1), look, renew, untouched):
        assert cleared(browser.get(view)) == []
    reply = browser.get(leave)
    assert (cleared(reply), reply.deleted) == (['"cache", "storage"'], True)
    assert browser.cookies == ""
    assert cleared(browser.get(leave)) == []
    browser.get(put(a=1))
    assert cleared(browser.get(end)) == ['"cache", "storage"']
    plain = site.browser()
    plain.get(sign_in("ann"))
    reply = plain.get(leave)
    assert (cleared(reply), reply.cookie) == ([], DELETION)


@scenario(clear_site_data=["cookies", "cache"])
def sec_59_a_new_session_s_cookie_is_not_cleared_with_the_rest(site: Site) -> None:
    """Where logout goes on with a message for the next page, or with another user."""
    browser = site.browser(https=True)
    browser.get(sign_in("ann"))

    def leave_a_message(session: Any) -> None:
        session.logout()
        session["flash"] = "bye"

    reply = browser.get(leave_a_message)
    assert (cleared(reply), reply.sent) == (['"cache"'], browser.id)
    assert browser.get(look).body == "{'flash': 'bye'}"
    assert cleared(browser.get(leave)) == ['"cookies", "cache"']


@scenario(clear_site_data=True)
def sec_59_what_the_application_says_itself_stands(site: Site) -> None:
    """It is said once; and by an error response too, for that has ended the session."""
    for status in (200, 500):
        browser = site.browser(https=True)
        browser.get(sign_in("ann"))

        def view(session: Any, status: int = status) -> Answer:
            session.logout()
            own = [("Clear-Site-Data", '"*"')] if status == 200 else []
            return Answer(status=status, headers=own)

        assert cleared(browser.get(view)) == ['"*"' if status == 200 else '"cache", "storage"']


@scenario()
def sec_59_no_site_data_is_cleared_unless_it_is_wanted(site: Site) -> None:
    """It is an option."""
    browser = site.browser(https=True)
    browser.get(sign_in("ann"))
    assert cleared(browser.get(leave)) == []


@scenario()
def sec_32_destroy_is_final(site: Site) -> None:
    """No save of a request in flight brings the session back, and no cookie points to it."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session["a"] = 2
        await browser.meanwhile(lambda session: session.destroy())

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("gone", ("a",))]
    assert browser.get(look).body == "{}"
    assert site.tap.calls.count("create") == 1


@scenario()
def sec_32_a_touch_does_not_bring_a_session_back(site: Site) -> None:
    """A reader whose touch comes too late is anonymous the next time."""
    browser, other = site.browser(), site.browser()
    browser.get(put(a=1))
    other.id = browser.id or ""
    site.clock.advance(100)

    async def view(session: Any) -> str:
        value = session["a"]
        await other.meanwhile(lambda session: session.destroy())
        return str(value)

    reply = browser.get(view)
    assert (reply.body, reply.cookie) == ("1", None)
    assert browser.get(look).body == "{}"


@scenario()
def signing_out_works_whatever_is_in_flight(site: Site) -> None:
    """A logout that finds its session replaced ends the replacement too."""
    browser, other = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    other.id = browser.id or ""

    async def view(session: Any) -> None:
        assert session.user_id == "ann"
        await other.meanwhile(lambda session: session.regenerate())
        session.logout()

    assert browser.get(view).cookie == DELETION
    assert other.get(who).body == "None {}"


@scenario(index=True)
def sec_38_revoking_a_user_ends_what_is_in_flight_too(site: Site) -> None:
    """A sign-in under way is told, and no response sends a cookie for what was revoked."""
    browser = site.browser()
    browser.get(sign_in("ann"))

    async def view(session: Any) -> None:
        session["a"] = 1
        for handle in await site.call("revoke", "ann"):
            await site.call("delete", handle, user_id="ann")

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("gone", ("a",))]
    assert browser.get(who).body == "None {}"
