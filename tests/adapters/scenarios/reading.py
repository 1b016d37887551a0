"""Reads never write: what looking costs, and what it leaves behind."""

from __future__ import annotations

from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, View, look, put, read, untouched


@scenario()
def a_page_without_a_session_costs_nothing(site: Site) -> None:
    """Nobody looks: no store call, no cookie, no Vary, for visitors and users alike."""
    visitor, known = site.browser(), site.browser()
    known.get(put(a=1))
    site.tap.take()
    for browser, calls in ((visitor, []), (known, ["get"] if site.loads_ahead else [])):
        reply = browser.get(untouched)
        assert (reply.status, reply.body, reply.cookie) == (200, "hello", None)
        assert reply.vary == reply.cache_control == []
        assert site.tap.take() == calls


@scenario()
def sec_44_a_look_by_a_visitor_costs_nothing(site: Site) -> None:
    """Nothing is stored for who stored nothing; but caches must know that the page looked."""
    reply = site.browser().get(look)
    assert (reply.body, reply.cookie, reply.vary) == ("{}", None, ["Cookie"])
    assert reply.cache_control == []
    assert site.tap.take() == []


@scenario()
def a_read_costs_one_get(site: Site) -> None:
    """And sends nothing."""
    browser = site.browser()
    browser.get(put(a=1, b=[1, {"c": 2}]))
    site.tap.take()
    for view, body in ((read("a"), "1"), (read("b"), "[1, {'c': 2}]"), (read("z"), "")):
        reply = browser.get(view)
        assert (reply.body, reply.cookie, reply.vary) == (body, None, ["Cookie"])
        assert site.tap.take() == ["get"]


@scenario()
def a_read_touches_once_an_interval(site: Site) -> None:
    """The idle deadline slides by a touch, not more often than every 60 s by default."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()
    for wait, calls in ((59, ["get"]), (1, ["get", "touch"]), (59, ["get"]), (1, ["get", "touch"])):
        site.clock.advance(wait)
        assert browser.get(read("a")).cookie is None
        assert site.tap.take() == calls, wait


@scenario(expire=100, touch_interval=0)
def every_use_can_touch(site: Site) -> None:
    """With an interval of 0 a session in use never expires, and an unused one does."""
    browser = site.browser()
    browser.get(put(a=1))
    for _ in range(5):
        site.clock.advance(99)
        assert browser.get(read("a")).body == "1"
    site.clock.advance(100)
    assert browser.get(read("a")).body == ""


@scenario()
def writing_what_is_there_already_is_no_write(site: Site) -> None:
    """Equal data is not written again."""
    browser = site.browser()
    browser.get(put(a=1, b={"c": [1]}))
    site.tap.take()
    reply = browser.get(put(a=1, b={"c": [1]}))
    assert (reply.cookie, site.tap.take()) == (None, ["get"])


@scenario()
def a_store_is_not_bothered_for_what_was_taken_back(site: Site) -> None:
    """No row and no cookie for a visitor in whose session nothing is left."""

    def change_of_mind(session: dict[str, int]) -> None:
        session["a"] = 1
        del session["a"]

    def clear(session: dict[str, int]) -> None:
        session["a"] = 1
        session.clear()

    for view in (change_of_mind, clear):
        reply = site.browser().get(view)
        assert (reply.cookie, site.tap.take()) == (None, [])


@scenario(exclude=["/static", "*.ico", "/größe"])
def excluded_paths_have_no_session(site: Site) -> None:
    """Not even a look is possible there, so that nothing is ever loaded."""

    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()
    for path in ("/static", "/static/a.css", "/favicon.ico", "/gr%C3%B6%C3%9Fe"):
        reply = browser.get(site.without_session, path=path)
        assert (reply.status, reply.body, reply.vary) == (200, "no session", []), path
        assert site.tap.take() == []
    assert browser.get(read("a"), path="/statics").body == "1"


@scenario(renew=["!/poll"])
def a_page_that_polls_keeps_no_session_alive(site: Site) -> None:
    """`renew` names what counts as activity; data is still read and written there."""
    browser = site.browser()
    browser.get(put(a=1))
    site.clock.advance(3000)
    site.tap.take()
    assert browser.get(read("a"), path="/poll").body == "1"
    assert site.tap.take() == ["get"]
    browser.get(put(a=2), path="/poll")
    assert site.tap.take() == ["get", "update"]
    site.clock.advance(600)
    assert browser.get(read("a")).body == ""


@scenario()
def head_not_modified_and_no_content_read_as_any_other(site: Site) -> None:
    """A response without a body looks, and says so."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()

    def view(status: int) -> View:
        return lambda session: Answer(
            str(session["a"]) if session and status == 200 else "", status
        )

    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)):
        reply = browser.get(view(status), method=method)
        assert (reply.status, reply.cookie, reply.vary) == (status, None, ["Cookie"])
        assert site.tap.take() == ["get"]
