"""When the store is out of reach: 503, and the client's cookie is left alone."""

from __future__ import annotations

from typing import Any

from coatcheck import StoreError
from coatcheck.events import RecordCorrupt
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    Answer,
    Site,
    end,
    look,
    put,
    read,
    renew,
    saved,
    sign_in,
    untouched,
)


@scenario()
def sec_43_an_outage_signs_nobody_out(site: Site) -> None:
    """A page that looks is a 503 without a cookie; the session is there again afterwards."""
    browser, visitor = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    held = browser.id
    site.tap.break_down()
    for view in (read("a"), put(a=1), sign_in("bob"), end):
        reply = browser.get(view)
        assert (reply.status, reply.cookie) == (503, None)
        assert reply.cache_control == ["no-store"]
        assert "out of reach" in reply.body
        assert "fire" not in reply.body
    assert visitor.get(look).body == "{}"
    assert visitor.get(put(a=1)).status == 503
    site.tap.failing.clear()
    assert browser.id == held
    assert browser.get(lambda session: session.user_id).body == "ann"
    assert visitor.cookies == ""


@scenario()
def a_page_without_a_session_survives_an_outage(site: Site) -> None:
    """Who does not look needs no store."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.break_down()
    reply = browser.get(untouched)
    assert (reply.status, reply.body, reply.cookie) == (200, "hello", None)


@scenario()
def an_application_may_go_on_without_its_session(site: Site) -> None:
    """The `StoreError` is raised where the session is used, and can be caught there."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.break_down()

    def view(session: Any) -> str:
        try:
            return str(session["a"])
        except StoreError:
            return "nobody knows"

    reply = browser.get(view)
    assert (reply.status, reply.body, reply.cookie) == (200, "nobody knows", None)


@scenario()
def a_change_that_is_answered_with_503_is_not_made_later(site: Site) -> None:
    """The store fails once, at the commit, and works again at once: the answer stands."""
    browser = site.browser()
    browser.get(put(a=1))
    held = browser.id

    def write(session: Any) -> Answer:
        session["a"] = 2
        return Answer(body=["one", "two"])

    for view, fails in (
        (put(a=2), "update"),
        (write, "update"),
        (sign_in("ann"), "create"),
        (renew, "create"),
    ):
        site.tap.failing_once.append(fails)
        reply = browser.get(view)
        assert (reply.status, reply.cookie) == (503, None)
        assert site.tap.failing_once == []
    assert browser.id == held
    assert browser.get(lambda session: f"{session.user_id} {session['a']}").body == "None 1"


@scenario(index=True)
def sec_28_sec_43_a_sign_in_that_fails_half_way_leaves_the_old_session(site: Site) -> None:
    """Whichever step fails: one live session at most, and no cookie for a record that is not."""
    for step in ("admit", "create", "update", "confirm"):
        browser = site.browser()
        browser.get(put(a=step))
        site.tap.failing_once.append(step)
        reply = browser.get(sign_in("ann"))
        assert (reply.status, reply.cookie) == (503, None), step
        body = browser.get(look).body
        assert body == (f"{{'a': '{step}'}}" if step != "confirm" else "{}")


@scenario()
def an_exception_passes_even_where_the_store_is_broken_too(site: Site) -> None:
    """The application's own error is not replaced by another."""
    browser = site.browser()
    browser.get(put(a=1))

    def view(session: Any) -> None:
        session["a"] = 2
        site.tap.break_down()
        raise ZeroDivisionError

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (500, None)
    if site.door != "flask":
        assert isinstance(reply.error, ZeroDivisionError)


@scenario()
def a_failing_save_can_be_caught(site: Site) -> None:
    """And tried again; what was changed is not lost."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> str:
        session["a"] = 2
        site.tap.failing_once.append("update")
        try:
            await saved(session)
        except StoreError:
            await saved(session)
            return "at the second try"
        return "at once"

    assert browser.get(view).body == "at the second try"
    assert browser.get(read("a")).body == "2"


@scenario()
def sec_25_a_corrupt_record_is_an_anonymous_session(site: Site) -> None:
    """And an event, and no crash, however often it is met; it is left alone."""
    browser = site.browser()
    browser.get(put(a=1))

    async def spoil(session: Any) -> None:
        await site.call(
            "update", session.handle, b"rubbish", version=1, expires_at=site.clock() + 100
        )

    browser.get(spoil)
    for _ in range(2):
        reply = browser.get(look)
        assert (reply.status, reply.body, reply.cookie) == (200, "{}", None)
    assert len(site.told(RecordCorrupt)) == 2
    old = browser.id
    assert browser.get(put(b=1)).sent not in (None, old)
