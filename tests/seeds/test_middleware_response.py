"""S-85 to S-98: what the middleware stores, and what it says to the client, and when."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import SessionEnded
from coatcheck.layout import unpack
from coatcheck.record import Record, Tombstone
from tests.adapters.site import (
    DELETION,
    Answer,
    Request,
    Site,
    View,
    end,
    look,
    put,
    read,
    renew,
    untouched,
)
from tests.seeds.middleware import everywhere, heard


@everywhere()
def test_s_85_a_new_session_sends_one_cookie_once_something_is_stored(site: Site) -> None:
    """The application's headers stay, in their order; an untouched session sends nothing."""
    own = [("x-b", "1"), ("x-a", "2"), ("x-b", "3"), ("etag", '"x"')]

    def headers_of(do: View) -> list[tuple[str, str]]:
        def view(session: Any) -> Answer:
            do(session)
            return Answer("body", headers=own)

        reply = site.run(site.ask(Request(view)))
        return [(name.lower(), value) for name, value in reply.headers]

    stored = headers_of(put(a=1))
    assert [pair for pair in stored if pair[0] in ("x-a", "x-b", "etag")] == own
    names = [name for name, _ in stored]
    assert names.count("set-cookie") == 1
    assert names.index("set-cookie") > names.index("etag")
    for nothing in (untouched, look):
        assert "set-cookie" not in dict(headers_of(nothing))


@everywhere()
def test_s_86_an_existing_session_without_a_change_sends_no_cookie(site: Site) -> None:
    """Nobody looks, somebody reads, or what is there already is written: nothing."""
    browser = site.browser()
    browser.get(put(a=1, b=[2]))
    for view in (untouched, look, read("a"), read("b"), put(a=1)):
        assert browser.get(view).all("set-cookie") == []


@everywhere()
def test_s_87_a_changed_session_is_stored_without_a_cookie(site: Site) -> None:
    """The ID has not changed, and Max-Age does not depend on idle time."""
    browser = site.browser()
    browser.get(put(a=1))
    assert browser.get(put(a=2, b=3)).all("set-cookie") == []
    assert browser.get(look).body == "{'a': 2, 'b': 3}"


@everywhere()
def test_s_88_nested_changes_are_stored_without_a_cookie(site: Site) -> None:
    """In lists and dicts, through what was handed out and through what was handed in."""
    browser = site.browser()
    browser.get(put(a=[1], b={"c": {"d": []}}, e=1))

    def change(session: Any) -> None:
        session["a"].append(2)
        session["b"]["c"]["d"].append(3)
        fresh = session["f"] = {}
        fresh["late"] = True
        del session["e"]

    assert browser.get(change).all("set-cookie") == []
    stored = "{'a': [1, 2], 'b': {'c': {'d': [3]}}, 'f': {'late': True}}"
    assert browser.get(look).body == stored
    assert browser.get(lambda session: session["a"].clear()).all("set-cookie") == []
    assert browser.get(read("a")).body == "[]"


@everywhere(expire=3600)
def test_s_89_a_late_read_sends_no_cookie_and_needs_none(site: Site) -> None:
    """Past half of `expire` as before it: the client keeps the cookie, the server slides."""
    browser = site.browser()
    browser.get(put(a=1))
    issued = browser.id
    for wait in (1700, 1900, 3599, 3599):
        site.clock.advance(wait)
        reply = browser.get(read("a"))
        assert (reply.body, reply.all("set-cookie")) == ("1", []), wait
        assert browser.id == issued


@everywhere()
def test_s_90_changes_are_stored_before_the_response_leaves(site: Site) -> None:
    """When the headers are forwarded the write is done; without a change there is no `update`."""
    done: list[list[str]] = []
    heard(site, lambda _: done.append(site.tap.take()))
    browser = site.browser()
    ahead = ["get"] if site.loads_ahead else []
    for view, calls in (
        (put(a=1), ["create"]),
        (put(a=2), ["get", "update"]),
        (look, ["get"]),
        (untouched, ahead),
    ):
        browser.get(view)
        assert done.pop() == calls
        assert site.tap.take() == []


@everywhere()
def test_s_91_an_application_that_fails_before_its_response_keeps_nothing(site: Site) -> None:
    """Nothing is stored of a new session nor of a known one, and no cookie is set."""
    visitor, known = site.browser(), site.browser()
    known.get(put(a=1))
    site.tap.take()

    def view(session: Any) -> None:
        session["a"] = 2
        raise ZeroDivisionError

    for browser, calls in ((visitor, []), (known, ["get"])):
        reply = browser.get(view)
        assert (reply.status, reply.all("set-cookie")) == (500, [])
        assert site.tap.take() == calls
    assert known.get(look).body == "{'a': 1}"


@everywhere()
def test_s_92_destroy_deletes_the_record_and_the_cookie(site: Site) -> None:
    """At once behind Flask and WSGI; behind ASGI when the response starts."""
    done: list[list[str]] = []
    within: list[bool] = []
    heard(site, lambda _: done.append(site.tap.take()))
    browser = site.browser()
    browser.get(put(a=1))
    assert site.live() == 1

    def view(session: Any) -> None:
        session.destroy()
        within.append("delete" in site.tap.calls)

    assert browser.get(view).cookie == DELETION
    assert within == [site.door in ("flask", "wsgi")]
    assert done[-1] == ["get", "delete"]
    assert site.live() == 0
    assert browser.cookies == ""


@everywhere(cookie_options={"path": "/shop"})
def test_s_93_after_destroy_the_old_id_gives_an_empty_new_session(site: Site) -> None:
    """The clearing cookie has Max-Age=0 and the configured Path."""
    browser, thief = site.browser(path="/shop"), site.browser(path="/shop")
    browser.get(put(a=1))
    old = thief.id = browser.id or ""
    reply = browser.get(end)
    assert reply.cookie == DELETION.replace("Path=/;", "Path=/shop;")
    assert "Max-Age=0" in DELETION
    assert browser.cookies == ""
    assert thief.get(lambda session: (session.is_new, dict(session))).body == "(True, {})"
    assert thief.get(put(b=1)).sent not in (None, old)


@everywhere()
def test_s_94_regenerate_begins_a_new_record_under_a_new_id(site: Site) -> None:
    """The old one gives way to a tombstone, in which there is no data."""
    browser = site.browser()
    browser.get(put(word="open-sesame"))
    before = browser.get(lambda session: session.handle).body
    old = browser.id
    reply = browser.get(renew)
    assert reply.sent not in (None, old)
    after = browser.get(lambda session: session.handle).body
    grave, record = (site.run(site.call("get", handle)).payload for handle in (before, after))
    assert before != after
    assert isinstance(unpack(grave), Tombstone)
    assert isinstance(unpack(record), Record)
    assert b"open-sesame" in record
    assert b"open-sesame" not in grave


@everywhere()
def test_s_95_after_regenerate_the_data_is_under_the_new_id_alone(site: Site) -> None:
    """What the same request changed before and after goes with it; the old ID gives no data."""
    browser, thief = site.browser(), site.browser()
    browser.get(put(a=1, b=1))
    old = thief.id = browser.id or ""

    def view(session: Any) -> None:
        session["b"] = 2
        session.regenerate()
        session["c"] = 3

    browser.get(view)
    assert browser.id != old
    assert browser.get(look).body == "{'a': 1, 'b': 2, 'c': 3}"
    assert thief.get(look).body == "{}"


@everywhere()
def test_s_96_regenerate_and_a_change_send_one_cookie(site: Site) -> None:
    """However often and in whatever order."""
    browser = site.browser()
    browser.get(put(a=1))

    def view(session: Any) -> str:
        session["a"] = 2
        session.regenerate()
        session["b"] = 3
        session.regenerate()
        return str(session.id)

    reply = browser.get(view)
    assert reply.all("set-cookie") == [site.set_cookie(reply.body)]
    assert browser.get(look).body == "{'a': 2, 'b': 3}"


@everywhere()
def test_s_97_destroy_wins_over_regenerate(site: Site) -> None:
    """In one request, and asked for in either order: there is no session left."""

    def both(session: Any) -> None:
        session.regenerate()
        session["b"] = 1
        session.destroy()

    def reverse(session: Any) -> None:
        session.destroy()
        with pytest.raises(SessionEnded):
            session.regenerate()

    for view in (both, reverse):
        browser = site.browser()
        browser.get(put(a=1))
        assert browser.get(view).all("set-cookie") == [DELETION]
        assert site.live() == 0


@everywhere()
def test_s_98_what_was_asked_for_once_happens_once(site: Site) -> None:
    """`regenerate()` and `destroy()` are methods: no flag among the data asks again."""
    browser = site.browser()
    browser.get(put(a=1))
    browser.get(renew)
    renewed = browser.id
    assert browser.get(put(b=2)).all("set-cookie") == []
    assert browser.id == renewed
    assert browser.get(look).body == "{'a': 1, 'b': 2}"
    browser.get(put(_regenerated=1, _destroyed=1))  # to us, keys like any others
    assert browser.get(put(c=3)).all("set-cookie") == []
    assert browser.id == renewed
    browser.get(end)
    browser.get(put(d=4))
    assert browser.get(look).body == "{'d': 4}"
