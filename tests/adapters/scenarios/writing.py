"""Writes never clobber, and a change is saved or somebody is told."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from coatcheck import SessionEnded, SessionTooLarge, UnserializableValue
from coatcheck.events import KeyOverwritten, SessionMerged
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, look, put, read, refreshed, saved, sign_in


@scenario()
def a_first_write_creates_one_record_and_sends_one_cookie(site: Site) -> None:
    """Byte for byte, after the other headers, and under a new ID."""
    browser = site.browser()
    headers = [("X-First", "1"), ("X-Second", "2")]

    def view(session: Any) -> Answer:
        assert session.is_new
        assert not session.modified
        session["a"] = 1
        assert session.modified
        return Answer(session.id, headers=headers)

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(reply.body)
    assert [pair for pair in reply.headers if pair[0].lower().startswith("x-")] == [
        (name if site.door in ("wsgi", "flask") else name.lower(), value) for name, value in headers
    ]
    assert (reply.vary, reply.cache_control) == (["Cookie"], ["private, no-cache"])
    assert site.tap.take() == ["create"]
    assert browser.get(lambda session: session.is_new).body == "False"


@scenario()
def a_write_costs_a_get_and_an_update(site: Site) -> None:
    """And sends no cookie: the ID has not changed."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()
    reply = browser.get(put(b=2))
    assert (reply.cookie, reply.vary) == (None, ["Cookie"])
    assert site.tap.take() == ["get", "update"]
    assert browser.get(look).body == "{'a': 1, 'b': 2}"


@scenario()
def over_https_the_cookie_is_secure(site: Site) -> None:
    """`secure="auto"` follows the scheme; a deletion repeats it."""
    browser = site.browser(https=True)
    reply = browser.get(put(a=1))
    assert reply.cookie == site.set_cookie(browser.id, more="; Secure")
    reply = browser.get(lambda session: session.destroy())
    assert reply.cookie is not None
    assert reply.cookie.endswith("; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure")
    assert not browser.cookies


@scenario(cookie_options={"samesite": "Strict", "max_age": None, "path": "/shop"})
def cookie_options_are_merged_into_the_defaults(site: Site) -> None:
    """What is not named stays as safe as it was."""
    browser = site.browser(path="/shop/cart")
    reply = browser.get(put(a=1))
    assert reply.cookie == f"session={browser.id}; Path=/shop; HttpOnly; SameSite=Strict"
    assert browser.get(read("a")).body == "1"


@scenario()
def every_kind_of_change_is_seen(site: Site) -> None:
    """Set, delete, pop, setdefault, update, nested, and what only `modified` could tell."""
    browser = site.browser()
    browser.get(put(a=1, b=2, c=[1], d={"e": {"f": 1}}, g=3))

    def view(session: Any) -> None:
        del session["a"]
        session.pop("b")
        session["c"].append(2)
        session["d"]["e"]["f"] += 1
        session.setdefault("h", []).append(4)
        session |= {"g": 5}

    browser.get(view)
    assert browser.get(look).body == "{'c': [1, 2], 'd': {'e': {'f': 2}}, 'g': 5, 'h': [4]}"
    browser.get(lambda session: session.get("c").clear())
    assert browser.get(read("c")).body == "[]"
    browser.get(lambda session: next(iter(session.values())).append(7))
    assert browser.get(read("c")).body == "[7]"


@scenario()
def values_keep_their_types(site: Site) -> None:
    """What is stored comes back as what it was."""
    browser = site.browser()
    values = {
        "time": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "price": Decimal("19.90"),
        "bytes": b"\x00\xff",
        "pair": (1, {2}),
        "text": "Grüße \N{SNOWMAN}",
        "by_number": {1: "one"},
    }
    browser.get(put(**values))
    reply = browser.get(lambda session: session.copy() == values and list(session) == list(values))
    assert reply.body == "True"


@scenario()
def parallel_requests_keep_each_others_changes(site: Site) -> None:
    """A save applies what this request changed to the newest record."""
    browser = site.browser()
    browser.get(put(a=1, b=[1], c=1))

    async def view(session: Any) -> str:
        session["a"] = 2
        del session["c"]
        await browser.meanwhile(put(b=[1, 2], d=4))
        return look(session)

    reply = browser.get(view)
    assert (reply.body, reply.cookie) == ("{'a': 2, 'b': [1]}", None)
    assert browser.get(look).body == "{'a': 2, 'b': [1, 2], 'd': 4}"
    assert [tuple(event.keys) for event in site.told(SessionMerged)] == [("a", "c")]
    assert site.told(KeyOverwritten) == []


@scenario()
def the_last_of_two_changes_of_one_key_wins_and_is_told(site: Site) -> None:
    """An event names the key that was overwritten."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session["a"] = "late"
        await browser.meanwhile(put(a="early"))

    browser.get(view)
    assert browser.get(read("a")).body == "late"
    assert [event.key for event in site.told(KeyOverwritten)] == ["a"]


def both(base: list[str], mine: list[str], theirs: list[str]) -> list[str]:
    """Keep what either has."""
    return sorted({*mine, *theirs})


@scenario(resolve={"cart": both})
def a_resolver_decides_where_two_requests_changed_one_key(site: Site) -> None:
    """Two things put into a cart at once are both in it."""
    browser = site.browser()
    browser.get(put(cart=["apple"]))

    async def view(session: Any) -> None:
        session["cart"].append("pear")
        await browser.meanwhile(lambda session: session["cart"].append("fig"))

    browser.get(view)
    assert browser.get(read("cart")).body == "['apple', 'fig', 'pear']"
    assert site.told(KeyOverwritten) == []


@scenario()
def clear_is_a_barrier_for_what_is_in_flight(site: Site) -> None:
    """A save from before it is dropped and told; ID and user stay."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    session_id = browser.id

    async def view(session: Any) -> None:
        session["a"] = "too late"
        reply = await browser.meanwhile(lambda session: session.clear())
        assert reply.cookie is None

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("cleared", ("a",))]
    assert browser.get(look).body == "{}"
    assert browser.get(lambda session: session.user_id).body == "ann"
    assert browser.id == session_id


@scenario()
def a_session_that_becomes_empty_is_kept(site: Site) -> None:
    """It is updated, never deleted: its ID stays good."""
    browser = site.browser()
    browser.get(put(a=1))
    session_id = browser.id
    site.tap.take()
    assert browser.get(lambda session: session.pop("a")).cookie is None
    assert site.tap.take() == ["get", "update"]
    browser.get(put(b=2))
    assert browser.id == session_id


@scenario()
def a_session_can_be_saved_before_the_response(site: Site) -> None:
    """Others see it at once; what changes afterwards is saved with the response."""
    browser, other = site.browser(), site.browser()
    browser.get(put(a=1))
    other.id = browser.id or ""

    async def view(session: Any) -> str:
        session["a"] = 2
        await saved(session)
        seen = (await other.meanwhile(read("a"))).body
        session["b"] = 3
        return seen

    site.tap.take()
    assert browser.get(view).body == "2"
    assert site.tap.take() == ["get", "update", "get", "update"]
    assert browser.get(look).body == "{'a': 2, 'b': 3}"


@scenario()
def a_new_session_can_be_saved_before_the_response(site: Site) -> None:
    """Its cookie goes out with the response."""
    browser = site.browser()

    async def view(session: Any) -> str:
        session["a"] = 1
        await saved(session)
        return str(session.id)

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(reply.body)
    assert site.tap.take() == ["create"]
    assert browser.get(read("a")).body == "1"


@scenario()
def save_raises_what_it_could_not_do(site: Site) -> None:
    """The session ended meanwhile: the program is told which keys were not saved."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> str:
        session["a"] = 2
        await browser.meanwhile(lambda session: session.destroy())
        with pytest.raises(SessionEnded) as caught:
            await saved(session)
        with pytest.raises(SessionEnded):
            session["b"] = 1
        return ",".join(caught.value.keys)

    reply = browser.get(view)
    assert (reply.body, reply.cookie) == ("a", None)
    assert site.dropped() == []


@scenario()
def refresh_shows_what_others_saved(site: Site) -> None:
    """Unsaved changes stay on top of it."""
    browser = site.browser()
    browser.get(put(a=1, b=1))

    async def view(session: Any) -> str:
        session["b"] = 2
        await browser.meanwhile(put(a=5, b=5))
        await refreshed(session)
        return look(session)

    assert browser.get(view).body == "{'a': 5, 'b': 2}"
    assert browser.get(look).body == "{'a': 5, 'b': 2}"


@scenario()
def sec_42_an_error_response_keeps_nothing(site: Site) -> None:
    """Data, a login and a regenerate of a response of 500 or above are dropped and told."""
    browser = site.browser()
    browser.get(put(a=1))
    session_id = browser.id

    def write(session: Any) -> Answer:
        session["a"] = 2
        return Answer(status=500)

    def log_in(session: Any) -> Answer:
        session.login("ann")
        return Answer(status=503)

    def renew(session: Any) -> Answer:
        session.regenerate()
        return Answer(status=500)

    def crash(session: Any) -> Answer:
        session["a"] = 3
        raise ZeroDivisionError

    for view in (write, log_in, renew, crash):
        reply = browser.get(view)
        assert (reply.status >= 500, reply.cookie) == (True, None), view
    assert [reason for reason, _ in site.dropped()] == ["error"] * 4
    assert browser.id == session_id
    assert browser.get(lambda session: (session["a"], session.user_id)).body == "(1, None)"
    reply = site.browser().get(write)
    assert (reply.cookie, reply.status) == (None, 500)


@scenario(save_on_error=True)
def an_error_response_keeps_everything_where_that_is_wanted(site: Site) -> None:
    """`save_on_error=True`: as if the status were any other."""
    browser = site.browser()

    def write(session: Any) -> Answer:
        session["a"] = session.get("a", 0) + 1
        return Answer(status=500)

    assert browser.get(write).sent is not None
    browser.get(write)
    assert browser.get(read("a")).body == "2"


@scenario()
def redirects_and_refusals_keep_what_was_changed(site: Site) -> None:
    """Any status below 500 does; the cookie goes out with it."""
    for status in (201, 302, 303, 400, 403, 404, 422):
        browser = site.browser()

        def view(session: Any, status: int = status) -> Answer:
            session["status"] = status
            return Answer(status=status, headers=[("Location", "/")])

        reply = browser.get(view)
        assert (reply.status, reply.sent) == (status, browser.id)
        assert browser.get(read("status")).body == str(status)


@scenario()
def responses_without_a_body_keep_what_was_changed(site: Site) -> None:
    """HEAD, 204 and 304 carry a cookie like any other response."""
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)):
        browser = site.browser()

        def view(session: Any, status: int = status) -> Answer:
            session["a"] = status
            return Answer(status=status)

        assert browser.get(view, method=method).sent == browser.id
        assert browser.get(read("a")).body == str(status)


@scenario()
def a_value_that_does_not_encode_fails_the_request(site: Site) -> None:
    """The error names key and path, and what was stored before is unharmed."""
    browser = site.browser()
    browser.get(put(cart=[{"price": 1}], a=1))

    def view(session: Any) -> None:
        session["a"] = 2
        session["cart"][0]["price"] = object()

    site.tap.take()
    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (500, None)
    assert site.tap.take() == ["get"]
    if site.door != "flask":  # which answers by itself
        assert isinstance(reply.error, UnserializableValue)
        assert (reply.error.key, reply.error.path) == ("cart", "['cart'][0]['price']")
    assert browser.get(look).body == "{'cart': [{'price': 1}], 'a': 1}"

    async def early(session: Any) -> str:
        session["cart"] = {"x": object()}
        with pytest.raises(UnserializableValue, match="cart"):
            await saved(session)
        del session["cart"]
        return "mended"

    assert browser.get(early).body == "mended"
    assert browser.get(look).body == "{'a': 1}"


@scenario(max_size=1000)
def sec_24_a_session_that_is_too_large_fails_the_request(site: Site) -> None:
    """Nothing is written of it."""
    browser = site.browser()
    browser.get(put(a="x"))
    site.tap.take()
    reply = browser.get(put(b="x" * 1000))
    assert (reply.status, site.tap.take()) == (500, ["get"])
    if site.door != "flask":
        assert isinstance(reply.error, SessionTooLarge)
    assert browser.get(look).body == "{'a': 'x'}"
    assert site.browser().get(put(b="x" * 1000)).cookie is None
