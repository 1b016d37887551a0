"""When the store is out of reach and `on_store_error` is "anonymous": public pages still work."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import StoreError
from coatcheck.events import ChangesDropped, StoreFailed
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Site, end, look, put, read, refreshed, renew, saved, sign_in

ANONYMOUS: dict[str, Any] = {"on_store_error": "anonymous"}


def who(session: Any) -> str:
    """Say who is signed in, and what the session has."""
    return f"{session.user_id} {session.is_new} {dict(session)}"


def leave(session: Any) -> None:
    """Sign out."""
    session.logout()


@scenario(**ANONYMOUS)
def a_public_page_survives_an_outage(site: Site) -> None:
    """It is shown to nobody in particular, and no cookie is sent or deleted; then all is back."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    browser.get(put(a=1))
    held = browser.id
    site.tap.break_down()
    reply = browser.get(who)
    assert (reply.status, reply.body, reply.cookie) == (200, "None True {}", None)
    assert reply.cache_control == ["private, no-cache"]
    assert [event.error for event in site.told(StoreFailed)] == ["the disk is on fire"]
    site.tap.failing.clear()
    assert browser.id == held
    assert browser.get(who).body == "ann False {'a': 1}"


@scenario(**ANONYMOUS)
def what_is_written_in_an_outage_is_dropped_and_told(site: Site) -> None:
    """By who has a session and by who has none; only the first call of the store is tried."""
    browser, visitor = site.browser(), site.browser()
    browser.get(put(a=1))
    held = browser.id or ""
    site.tap.break_down()
    site.tap.take()
    reply = browser.get(put(a=2, b=3))
    assert (reply.status, reply.cookie) == (200, None)
    assert site.tap.take() == ["get"]
    reply = visitor.get(put(c=4))
    assert (reply.status, reply.cookie) == (200, None)
    assert site.tap.take() == ["create"]
    assert dropped(site) == [
        (("a", "b"), "outage"),
        (("c",), "outage"),
    ]
    site.tap.failing.clear()
    assert browser.id == held
    assert browser.get(look).body == "{'a': 1}"
    assert (visitor.get(look).body, visitor.cookies) == ("{}", "")


def dropped(site: Site) -> list[tuple[tuple[str, ...], str]]:
    """Return the keys that were dropped, and why."""
    return [(tuple(sorted(event.keys)), event.reason) for event in site.told(ChangesDropped)]


@scenario(**ANONYMOUS)
def whoever_signs_in_or_out_in_an_outage_is_told(site: Site) -> None:
    """503, and the cookie stays: nobody is to believe that it was done."""
    browser, visitor = site.browser(), site.browser()
    browser.get(put(a=1))
    held = browser.id
    site.tap.break_down()
    for view in (sign_in("ann"), end, leave, renew):
        reply = browser.get(view)
        assert (reply.status, reply.cookie) == (503, None)
    assert visitor.get(sign_in("ann")).status == 503
    site.tap.failing.clear()
    assert browser.id == held
    assert browser.get(who).body == "None False {'a': 1}"


@scenario(**ANONYMOUS)
def an_explicit_save_in_an_outage_is_a_store_error(site: Site) -> None:
    """Who asks for it is told by it, and so is who wants to read again or to sign in."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.break_down()

    async def view(session: Any) -> str:
        session["b"] = 2
        for ask in (saved, refreshed):
            with pytest.raises(StoreError, match="store failed"):
                await ask(session)
        for name in ("logout", "destroy", "regenerate"):
            with pytest.raises(StoreError, match=name):
                getattr(session, name)()
        with pytest.raises(StoreError, match="login"):
            session.login("ann")
        return str(session["b"])

    reply = browser.get(view)
    assert (reply.status, reply.body, reply.cookie) == (200, "2", None)


@scenario(**ANONYMOUS)
def a_change_of_a_session_that_was_read_is_never_dropped_silently(site: Site) -> None:
    """The store fails only when it is to be saved: that is a 503, as ever."""
    browser = site.browser()
    browser.get(put(a=1))
    held = browser.id
    site.tap.failing_once.append("update")
    reply = browser.get(put(a=2))
    assert (reply.status, reply.cookie) == (503, None)
    assert browser.id == held
    assert browser.get(read("a")).body == "1"


@scenario(index=True, **ANONYMOUS)
def a_store_that_comes_back_during_a_request_changes_nothing_in_it(site: Site) -> None:
    """What began without a session ends without one: nothing of it is written later."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.failing_once.append("get")
    reply = browser.get(put(b=2))
    assert (reply.status, reply.cookie) == (200, None)
    assert browser.get(look).body == "{'a': 1}"
    assert site.live() == 1
