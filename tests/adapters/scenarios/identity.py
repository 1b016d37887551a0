"""Who is who: sign-in and renewal, planted IDs, and how many sessions a user may have."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import TooManySessions
from coatcheck.events import (
    SessionReplaced,
    SessionRevoked,
)
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    LIFETIME,
    Site,
    put,
    saved,
    sign_in,
)


def who(session: Any) -> str:
    """A view that shows who is signed in, and what is stored."""
    return f"{session.user_id} {dict(session)}"


@scenario()
def sec_29_login_begins_a_new_session_with_the_data_of_the_old(site: Site) -> None:
    """Under a new ID, and the response is for nobody else; the old ID is worth nothing."""
    browser, thief = site.browser(), site.browser()
    browser.get(put(cart=[1]))
    old = browser.id
    thief.id = old or ""

    def view(session: Any) -> str:
        session.login("ann")
        session["seen"] = True
        return str(session.id)

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(reply.body)
    assert reply.body not in (None, old)
    assert reply.cache_control == ["private, no-cache"]
    assert browser.get(who).body == "ann {'cart': [1], 'seen': True}"
    assert thief.get(who).body == "None {}"
    assert [event.reason for event in site.told(SessionReplaced)] == ["login"]


@scenario(index=True)
def what_login_costs(site: Site) -> None:
    """A visitor's: three calls, or one. With an old session: the read, and the tombstone too."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    at_once = hasattr(site.tap.store, "enrol")
    assert site.tap.take() == (["enrol"] if at_once else ["admit", "create", "confirm"])
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()
    browser.get(sign_in("ann"))
    assert site.tap.take() == ["get", "admit", "create", "update", "confirm"]


@scenario()
def sec_89_a_planted_id_is_worth_nothing_after_sign_in(site: Site) -> None:
    """Whoever planted it neither reads nor writes nor ends the victim's session (fixation)."""
    attacker, victim = site.browser(), site.browser()
    attacker.get(put(planted=True))
    victim.id = planted = attacker.id or ""
    victim.get(sign_in("ann", keep=()))
    assert victim.get(who).body == "ann {}"
    assert victim.id != planted
    assert attacker.get(who).body == "None {}"
    attacker.id = planted
    reply = attacker.get(lambda session: session.logout())
    assert reply.deleted or reply.cookie is None
    assert victim.get(who).body == "ann {}"


@scenario()
def sec_29_login_keeps_what_it_is_told_to_keep(site: Site) -> None:
    """And of another user's data never anything."""
    browser = site.browser()
    browser.get(put(cart=[1], secret=2))
    browser.get(sign_in("ann", keep=["cart"]))
    assert browser.get(who).body == "ann {'cart': [1]}"
    browser.get(sign_in("ann"))
    assert browser.get(who).body == "ann {'cart': [1]}"
    browser.get(sign_in("bob", keep=["cart"]))
    assert browser.get(who).body == "bob {}"


@scenario()
def sec_27_regenerate_keeps_everything_but_the_id(site: Site) -> None:
    """Data, this request's changes, user and times; twice is once."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    old, born = browser.id, site.clock()
    site.clock.advance(100)

    def view(session: Any) -> None:
        session["a"] = 1
        session.regenerate()
        session["b"] = 2
        session.regenerate()

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(browser.id, age=LIFETIME - 100)
    assert browser.get(who).body == "ann {'a': 1, 'b': 2}"
    assert browser.get(lambda session: session.created_at).body == str(born)
    thief = site.browser()
    thief.id = old or ""
    assert thief.get(who).body == "None {}"


@scenario()
def sec_30_requests_in_flight_under_the_old_id_are_mute(site: Site) -> None:
    """They neither write into the new session nor overwrite its cookie; later ones are visitors."""
    browser, slow = site.browser(), site.browser()
    browser.get(put(a=1))
    slow.id = old = browser.id or ""

    async def view(session: Any) -> str:
        before = dict(session)
        await browser.meanwhile(sign_in("ann"))
        session["b"] = 2
        return repr(before)

    reply = slow.get(view)
    assert (reply.body, reply.cookie) == ("{'a': 1}", None)
    assert site.dropped() == [("replaced", ("b",))]
    reply = slow.get(put(c=3))
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("replaced", ("b",)), ("replaced", ("c",))]
    assert browser.get(who).body == "ann {'a': 1}"
    site.clock.advance(5)
    reply = slow.get(put(d=4))
    assert reply.sent not in (None, old, browser.id)
    assert browser.get(who).body == "ann {'a': 1}"


@scenario()
def a_double_clicked_sign_in_is_one_session(site: Site) -> None:
    """The slower click joins the session of the faster, and is sent its ID."""
    browser, twice = site.browser(), site.browser()
    browser.get(put(a=1))
    twice.id = browser.id or ""

    async def view(session: Any) -> None:
        session.login("ann")
        session["second"] = True
        await browser.meanwhile(sign_in("ann"))

    twice.get(view)
    assert twice.id == browser.id
    assert browser.get(who).body == "ann {'a': 1, 'second': True}"


@scenario()
def the_id_of_a_new_session_is_known_before_it_is_stored(site: Site) -> None:
    """And so is its handle; both become valid with the response."""
    browser = site.browser()

    def view(session: Any) -> str:
        before = session.id, session.handle
        session["a"] = 1
        assert (session.id, session.handle) == before
        return str(session.id)

    assert browser.get(view).body == browser.id
    reply = site.browser().get(lambda session: session.handle)
    assert (len(reply.body), reply.cookie) == (32, None)


@scenario(index=True, max_sessions_per_user=2)
def sec_40_the_oldest_session_of_a_user_makes_room(site: Site) -> None:
    """A third sign-in ends the first."""
    browsers = [site.browser() for _ in range(3)]
    for browser in browsers:
        browser.get(sign_in("ann"))
    assert [browser.get(who).body for browser in browsers] == ["None {}", "ann {}", "ann {}"]
    assert [event.reason for event in site.told(SessionRevoked)] == ["evicted"]


@scenario(index=True, max_sessions_per_user=1, evict="refuse")
def sec_40_a_sign_in_too_many_is_refused(site: Site) -> None:
    """It fails the response, or `save()`, where the application can say so; nobody is signed in."""
    first, second = site.browser(), site.browser()
    first.get(sign_in("ann"))
    second.get(put(cart=1))
    held = second.id
    reply = second.get(sign_in("ann"))
    assert (reply.status, reply.cookie) == (500, None)
    if site.door != "flask":
        assert isinstance(reply.error, TooManySessions)

    async def view(session: Any) -> str:
        session.login("ann")
        with pytest.raises(TooManySessions):
            await saved(session)
        return who(session)

    reply = second.get(view)
    assert (reply.body, reply.cookie) == ("None {'cart': 1}", None)
    assert second.id == held
    first.get(lambda session: session.logout())
    second.get(sign_in("ann"))
    assert second.get(who).body == "ann {'cart': 1}"
