"""Bodies that are made while they are sent, and sessions that change on the way."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import ResponseStarted, SessionEnded, UnserializableValue
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Chunk, Site, View, look, put, read, renew, sign_in


def streaming(*chunks: Chunk, headers: Any = (), first: View | None = None) -> View:
    """A view that changes the session, perhaps, and then streams."""

    def view(session: Any) -> Answer:
        if first is not None:
            first(session)
        return Answer(chunks, headers=headers)

    return view


def writer(**values: Any) -> Chunk:
    """A chunk that stores something while it is made."""

    def chunk(session: Any) -> str:
        session.update(values)
        return "."

    return chunk


@scenario()
def sec_58_what_changes_before_a_stream_is_saved_before_its_headers(site: Site) -> None:
    """The cookie is among them."""
    browser = site.browser()
    reply = browser.get(streaming("a", "b", "c", first=put(a=1)))
    assert (reply.body, reply.cookie) == ("abc", site.set_cookie(browser.id))
    assert site.tap.take() == ["create"]
    assert browser.get(streaming("a: ", read("a"))).body == "a: 1"


@scenario()
def sec_58_what_changes_in_a_stream_is_saved_at_its_end(site: Site) -> None:
    """Nested changes too; one save for all of them."""
    browser = site.browser()
    browser.get(put(a=1, b=[1]))
    site.tap.take()

    def nested(session: Any) -> str:
        session["b"].append(2)
        return "+"

    reply = browser.get(streaming("x", writer(a=2), nested, writer(c=3)))
    assert (reply.status, reply.body, reply.cookie) == (200, "x.+.", None)
    assert site.tap.take() == ["get", "update"]
    assert browser.get(look).body == "{'a': 2, 'b': [1, 2], 'c': 3}"
    reply = browser.get(streaming(writer(a=3), writer(a=4), first=put(a=0)))
    assert browser.get(read("a")).body == "4"


@scenario()
def a_session_that_is_first_looked_at_in_a_stream_is_saved_too(site: Site) -> None:
    """The headers have left without a word of it, but nothing is lost."""
    browser = site.browser()
    browser.get(put(a=1))
    browser.get(streaming("x", "y", writer(b=2), "z"))
    assert browser.get(look).body == "{'a': 1, 'b': 2}"


@scenario()
def a_new_session_cannot_begin_in_a_stream(site: Site) -> None:
    """Its ID cannot leave any more: that is said at once, and nothing is stored."""
    messages: list[str] = []

    def store(session: Any) -> str:
        with pytest.raises(ResponseStarted) as caught:
            session["a"] = 1
        messages.append(str(caught.value))
        assert dict(session) == {}
        return "!"

    for first in (None, look):
        reply = site.browser().get(streaming("x", store, first=first))
        assert (reply.body, reply.error, reply.cookie) == ("x!", None, None)
    assert all("before the response starts" in message for message in messages)
    assert site.tap.take() == []


@scenario()
def sec_58_what_needs_a_header_raises_in_a_stream(site: Site) -> None:
    """login, regenerate, another lifetime; what needs none is done."""
    browser = site.browser()
    browser.get(put(a=1))

    def late(session: Any) -> str:
        asks: list[View] = [sign_in("ann"), renew, lambda it: it.set_expiry(lifetime=100)]
        for ask in asks:
            with pytest.raises(ResponseStarted, match="headers have left"):
                ask(session)
        session.set_expiry(idle=2 * 3600)
        return "!"

    assert browser.get(streaming("x", late)).body == "x!"
    site.clock.advance(2 * 3600 - 1)
    assert browser.get(read("a")).body == "1"


@scenario()
def a_session_can_end_in_a_stream(site: Site) -> None:
    """Its cookie stays with the client, and is worth nothing."""
    browser = site.browser()
    browser.get(put(a=1))

    def end(session: Any) -> str:
        session.destroy()
        return "bye"

    reply = browser.get(streaming("good", end))
    assert (reply.body, reply.cookie) == ("goodbye", None)
    assert browser.cookies
    assert browser.get(look).body == "{}"


@scenario()
def a_long_stream_keeps_its_session_alive(site: Site) -> None:
    """Each chunk past the interval touches; the session outlives its idle timeout."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()

    def wait(session: Any) -> str:
        site.clock.advance(30)
        return "."

    reply = browser.get(streaming(*[wait] * 200, first=read("a")))
    assert reply.body == "." * 200
    calls = site.tap.take()
    assert calls[0] == "get"
    assert set(calls[1:]) == {"touch"}
    assert len(calls) == 101
    assert browser.get(read("a")).body == "1"


@scenario(renew=False)
def a_long_stream_can_be_told_not_to(site: Site) -> None:
    """`renew=False`: nothing but a new request, or a save, is activity."""
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()

    def wait(session: Any) -> str:
        site.clock.advance(30)
        return "."

    browser.get(streaming(*[wait] * 200, first=read("a")))
    assert site.tap.take() == ["get"]
    assert browser.get(read("a")).body == ""


@scenario()
def a_stream_notices_that_its_session_has_ended(site: Site) -> None:
    """The next look after the next touch raises: who signed out elsewhere is signed out here."""
    browser = site.browser()
    browser.get(put(a=1))
    other = site.browser()
    other.id = browser.id or ""
    seen: list[str] = []

    def check(session: Any) -> str:
        try:
            seen.append(str(session["a"]))
        except SessionEnded:
            seen.append("ended")
        return "."

    async def end(session: Any) -> str:
        await other.meanwhile(lambda session: session.destroy())
        return "."

    def wait(session: Any) -> str:
        site.clock.advance(61)
        return "."

    reply = browser.get(streaming(check, end, check, wait, "x", check, first=read("a")))
    assert (reply.status, reply.error) == (200, None)
    assert seen == ["1", "1", "ended"]


@scenario()
def an_exception_in_a_stream_keeps_what_was_saved_before(site: Site) -> None:
    """What came after is dropped and told; the server cuts the body short."""
    browser = site.browser()
    browser.get(put(a=1))

    def crash(session: Any) -> str:
        session["b"] = 2
        raise ZeroDivisionError

    reply = browser.get(streaming("x", crash, "y", first=put(a=2)))
    assert (reply.status, reply.body) == (200, "x")
    assert isinstance(reply.error, ZeroDivisionError)
    assert browser.get(look).body == "{'a': 2}"
    assert site.dropped() == [("error", ("b",))]


@scenario()
def a_value_that_does_not_encode_cuts_the_stream_short(site: Site) -> None:
    """The client can see that; what was stored before is unharmed."""
    browser = site.browser()
    browser.get(put(a=1))
    reply = browser.get(streaming("x", writer(a=object())))
    assert isinstance(reply.error, UnserializableValue)
    assert browser.get(look).body == "{'a': 1}"


@scenario()
def a_store_that_breaks_in_a_stream_cuts_it_short(site: Site) -> None:
    """There is no other way left to tell the client."""
    browser = site.browser()
    browser.get(put(a=1))

    def smash(session: Any) -> str:
        session["a"] = 2
        site.tap.break_down()
        return "."

    reply = browser.get(streaming("x", smash))
    assert reply.status == 200
    assert type(reply.error).__name__ == "StoreError"
    site.tap.failing.clear()
    assert browser.get(read("a")).body == "1"
    assert site.dropped() == [("error", ("a",))]


@scenario()
def a_client_that_goes_away_takes_nothing_along(site: Site) -> None:
    """What was changed until then is saved: that it left is no failure of the application."""
    browser = site.browser()
    browser.get(put(a=1))
    reply = browser.get(
        streaming("x", writer(a=2), "y", writer(b="never"), first=look), chunks_read=2
    )
    assert reply.body == "x."
    assert browser.get(read("a")).body == "2"
    assert site.dropped() == []


@scenario()
def a_stream_with_a_length_is_saved_before_its_last_byte(site: Site) -> None:
    """The client may know that it has everything, and come back at once."""
    browser, other = site.browser(), site.browser()
    browser.get(put(a=1))
    other.id = browser.id or ""
    site.tap.take()
    chunks = ["12", writer(a=2), "34"]
    reply = browser.get(streaming(*chunks, headers=[("Content-Length", "5")]), chunks_read=3)
    assert reply.body == "12.34"
    assert site.tap.take() == ["get", "update"]
    assert other.get(read("a")).body == "2"


@scenario()
def a_stream_with_a_length_is_not_completed_where_the_save_fails(site: Site) -> None:
    """The client lacks the last byte, and so can see it."""
    browser = site.browser()
    browser.get(put(a=1))
    chunks = ["12", writer(a=object()), "34"]
    reply = browser.get(streaming(*chunks, headers=[("Content-Length", "5")]))
    assert isinstance(reply.error, UnserializableValue)
    assert reply.body == "12."
    assert browser.get(look).body == "{'a': 1}"


@scenario()
def a_page_in_flight_with_a_stream_keeps_both_changes(site: Site) -> None:
    """The stream's are merged when it ends."""
    browser = site.browser()
    browser.get(put(a=1))

    def view(session: Any) -> Answer:
        session["a"] = 2
        return Answer([writer(b=2)])

    other = site.browser()
    other.id = browser.id or ""

    async def around(session: Any) -> None:
        session["c"] = 3
        await other.meanwhile(view)

    browser.get(around)
    assert browser.get(look).body == "{'a': 2, 'b': 2, 'c': 3}"


@scenario()
def an_error_that_streams_keeps_nothing(site: Site) -> None:
    """Neither before its headers nor after them."""
    browser = site.browser()
    browser.get(put(a=1))

    def view(session: Any) -> Answer:
        session["a"] = 2
        return Answer(["x", writer(b=2)], status=500)

    assert browser.get(view).status == 500
    assert browser.get(look).body == "{'a': 1}"
    assert site.dropped() == [("error", ("a",)), ("error", ("b",))]


@scenario()
def a_body_that_is_never_made_takes_no_new_id(site: Site) -> None:
    """HEAD, and a client that left before the first chunk: an existing session is saved."""
    browser = site.browser()
    browser.get(put(a=1))
    browser.get(streaming("x", writer(b=2), first=put(a=2)), chunks_read=0)
    assert browser.get(look).body == "{'a': 2}"
    reply = browser.get(streaming("x", first=sign_in("ann")), method="HEAD")
    assert reply.status == 200
