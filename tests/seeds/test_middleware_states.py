"""S-99 to S-109: how the session ID travels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from coatcheck import (
    BearerState,
    CallbackState,
    ConfigurationError,
    CookieState,
    HeaderState,
    State,
)
from coatcheck.request import ASGIRequest, Request, ResponseHeaders, WSGIRequest
from tests.adapters.doors import DOORS
from tests.adapters.site import SECRET, Answer, Reply, Site, View, end, look, put, read, untouched
from tests.adapters.site import Request as Sent
from tests.seeds.middleware import ALL, configured, everywhere


class Envelope:
    """A State of one's own, derived from nothing: the ID travels in a header, backwards."""

    vary: Sequence[str] = ("X-Envelope",)
    sends = True

    def extract(self, request: Request, /) -> str | None:
        values = request.header("x-envelope")
        return values[0][::-1] if values else None

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        headers.add("X-Envelope", session_id[::-1])

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        headers.add("X-Envelope", "empty")


def issue(session: Any) -> str:
    """A view that stores something, and gives the client its ID in the body."""
    session["a"] = 1
    return str(session.id)


def ask(site: Site, view: View, *headers: tuple[str, str]) -> Reply:
    """Send one request with these headers, and no others."""
    return site.run(site.ask(Sent(view, headers=headers)))


@everywhere(state=Envelope())
def test_s_99_any_object_with_the_methods_is_a_state(site: Site) -> None:
    """Derived from nothing; a method that is missing is said at construction."""
    (sent,) = ask(site, put(a=1)).all("x-envelope")
    assert ask(site, read("a"), ("X-Envelope", sent)).body == "1"
    assert ask(site, end, ("X-Envelope", sent)).all("x-envelope") == ["empty"]
    assert ask(site, look, ("X-Envelope", sent)).body == "{}"

    class Unfinished:
        vary, sends, extract, clear = (), True, Envelope.extract, Envelope.clear

    half: Any = Unfinished()
    with pytest.raises(ConfigurationError, match=r"state must be .*inject.*without inject"):
        configured(site.door, secret=SECRET, state=half)

    for attributes in ({}, {"vary": "Cookie", "sends": True}, {"vary": ("Cookie",)}):
        mute: Any = type("Mute", (), {**vars(Envelope), "vary": None, "sends": None, **attributes})
        with pytest.raises(ConfigurationError, match="give the State an attribute (vary|sends) ="):
            configured(site.door, secret=SECRET, state=mute())
    derived: Any = type("Derived", (State,), {"vary": (), "sends": True, "extract": half.extract})
    with pytest.raises(TypeError, match="abstract methods '?clear'?, '?inject'?"):
        derived()


@pytest.mark.parametrize("door", ALL)
@pytest.mark.parametrize(
    "state",
    [HeaderState("X-Session"), BearerState(), CallbackState(lambda r: r.header("x-session"))],
)
def test_s_100_a_state_that_cannot_clear_adds_nothing(
    door: str, state: State, tmp_path: Path
) -> None:
    """The session is over all the same, and the client finds that out when it comes again."""
    with DOORS[door]("memory", tmp_path, state=state) as site:
        session_id = ask(site, issue).body
        ways = (("X-Session", session_id), ("Authorization", f"Bearer {session_id}"))
        assert ask(site, read("a"), *ways).body == "1"
        quiet, ended = ask(site, untouched, *ways), ask(site, end, *ways)
        assert ended.status == 200
        assert {name.lower() for name, _ in ended.headers} - {"vary", "cache-control"} == {
            name.lower() for name, _ in quiet.headers
        }
        assert ask(site, look, *ways).body == "{}"


@everywhere()
def test_s_101_the_right_cookie_is_read(site: Site) -> None:
    """Among several, in any place; without the cookie, the header or a value there is none."""
    browser = site.browser()
    browser.get(put(a=1))
    mine = f"session={browser.id}"
    for cookies in (mine, f"x=1; {mine}", f"{mine}; sessions=2", f"xsession=1; {mine}; y=2"):
        assert ask(site, read("a"), ("Cookie", cookies)).body == "1", cookies
    site.tap.take()
    for cookies in ("x=1", "", f"xsession={browser.id}", f"SESSION={browser.id}"):
        assert ask(site, look, ("Cookie", cookies)).body == "{}", cookies
    assert ask(site, look).body == "{}"
    assert site.tap.take() == []
    state = CookieState()
    for name in (b"cookie", b"Cookie", b"COOKIE"):
        assert state.extract(ASGIRequest({"headers": [(name, mine.encode())]})) == browser.id
    assert state.extract(ASGIRequest({"headers": []})) is None
    assert state.extract(ASGIRequest({})) is state.extract(WSGIRequest({})) is None


@everywhere()
def test_s_102_the_cookie_is_appended(site: Site) -> None:
    """Whatever the application said comes first, a cookie of its own too."""
    own = [("x-first", "1"), ("set-cookie", "theirs=1; Path=/"), ("x-last", "2")]

    def view(session: Any) -> Answer:
        session["a"] = 1
        return Answer(str(session.id), headers=own)

    reply = ask(site, view)
    pairs = [(name.lower(), value) for name, value in reply.headers]
    assert pairs[pairs.index(own[0]) :][: len(own)] == own
    assert reply.all("set-cookie") == ["theirs=1; Path=/", site.set_cookie(reply.body)]


@everywhere(cookie_name="id", cookie_options={"path": "/shop"})
def test_s_103_the_clearing_cookie_repeats_name_and_attributes(site: Site) -> None:
    """The configured name and path, and HttpOnly only where it is configured."""
    gone = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    open_site = site.twin(cookie_name="id", cookie_options={"path": "/shop", "httponly": False})
    for place, http_only in ((site, "; HttpOnly"), (open_site, "")):
        browser = place.browser(path="/shop")
        browser.get(put(a=1))
        cookie = f"id=; Path=/shop{http_only}; SameSite=Lax; {gone}"
        assert browser.get(end).all("set-cookie") == [cookie]
        assert browser.cookies == ""


@everywhere(state=HeaderState("X-Session-ID"))
def test_s_104_a_header_state_needs_the_name_of_the_header(site: Site) -> None:
    """`header_name is required`, it says without one; with one the ID is read from there."""
    for nothing in ((), ("",), (None,)):
        with pytest.raises(ConfigurationError, match="header_name is required"):
            HeaderState(*nothing)
    session_id = ask(site, issue).body
    assert ask(site, read("a"), ("X-Session-ID", session_id)).body == "1"
    assert ask(site, look, ("X-Session", session_id)).body == "{}"


@everywhere(state=HeaderState("X-Auth", r"^Token (\S+)\Z"))
def test_s_105_a_pattern_says_which_part_of_the_header_is_the_id(site: Site) -> None:
    """Its group; no match is none; the header's name is in any case."""
    session_id = ask(site, issue).body
    for name in ("X-Auth", "x-auth", "X-AUTH"):
        assert ask(site, read("a"), (name, f"Token {session_id}")).body == "1"
    site.tap.take()
    for value in (
        session_id,
        f"token {session_id}",
        f"Token  {session_id}",
        f"Token {session_id} ",
    ):
        assert ask(site, look, ("X-Auth", value)).body == "{}", value
    assert site.tap.take() == []
    state = HeaderState("X-Auth", r"^Token (\S+)\Z")
    headers = [(b"X-aUtH", f"Token {session_id}".encode())]
    assert state.extract(ASGIRequest({"headers": headers})) == session_id


@pytest.mark.parametrize("door", ALL)
@pytest.mark.parametrize("state", [HeaderState("X-Session"), BearerState()])
def test_s_106_a_header_or_bearer_state_sends_nothing(
    door: str, state: State, tmp_path: Path
) -> None:
    """A new session, a change, a new ID and the end add no header that carries anything."""
    with DOORS[door]("memory", tmp_path, state=state) as site:
        usual = {name.lower() for name, _ in ask(site, untouched).headers}

        def change(session: Any) -> str:
            session["b"] = 2
            return str(session.id)

        def anew(session: Any) -> str:
            session.regenerate()
            return str(session.id)

        reply = ask(site, issue)
        for view in (change, anew, end):
            ways = (("X-Session", reply.body), ("Authorization", f"Bearer {reply.body}"))
            more = {name.lower() for name, _ in reply.headers} - usual
            assert more <= {"vary", "cache-control"}
            assert not [value for _, value in reply.headers if reply.body in value]
            reply = ask(site, view, *ways)
        assert {name.lower() for name, _ in reply.headers} - usual <= {"vary", "cache-control"}


@everywhere(state=BearerState())
def test_s_107_a_bearer_token_is_read_from_authorization(site: Site) -> None:
    """The scheme in any case; another scheme gives none."""
    session_id = ask(site, issue).body
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        value = f"{scheme} {session_id}"
        assert ask(site, read("a"), ("Authorization", value)).body == "1"
    site.tap.take()
    for scheme in ("Basic", "Digest", "Bearers", "Token"):
        value = f"{scheme} {session_id}"
        assert ask(site, look, ("Authorization", value)).body == "{}"
    assert site.tap.take() == []


@everywhere()
def test_s_108_a_callback_state_needs_extract_and_may_inject(site: Site) -> None:
    """`extract` gets the request, environ or scope in it; `inject` headers, ID and options."""
    requests: list[Request] = []
    injected: list[tuple[str, Mapping[str, Any]]] = []

    def extract(request: Request) -> Sequence[str]:
        requests.append(request)
        return request.header("x-id")

    def inject(headers: ResponseHeaders, session_id: str, options: Mapping[str, Any]) -> None:
        injected.append((session_id, options))
        headers.add("X-Id", session_id)

    for wrong in (None, "x-id", ["x-id"]):
        function: Any = wrong
        with pytest.raises(ConfigurationError, match="extract must be a function"):
            CallbackState(function)
    mute = site.twin(state=CallbackState(extract, vary=["X-Id"]))
    session_id = ask(mute, issue).body
    reply = ask(mute, read("a"), ("X-Id", session_id))
    assert (reply.body, reply.all("x-id")) == ("1", [])
    key = "type" if site.door == "asgi" else "wsgi.version"
    assert requests
    assert all(key in request.native for request in requests)
    assert injected == []
    speaking = site.twin(state=CallbackState(extract, inject, vary=["X-Id"]))
    reply = ask(speaking, issue)
    assert reply.all("x-id") == [reply.body]
    ((session_id, options),) = injected
    assert session_id == reply.body
    assert options.keys() == {"request", "carried", "max_age"}
    assert key in options["request"].native


@everywhere()
def test_s_109_a_callback_can_fall_back_from_bearer_to_cookie(site: Site) -> None:
    """Programs by token, browsers by cookie, and one middleware for both."""
    cookie, bearer = CookieState("session"), BearerState()

    def extract(request: Request) -> str | Sequence[str] | None:
        return bearer.extract(request) or cookie.extract(request)

    def inject(headers: ResponseHeaders, session_id: str, options: Mapping[str, Any]) -> None:
        if bearer.extract(options["request"]) is None:
            cookie.inject(
                options["request"],
                headers,
                session_id,
                carried=options["carried"],
                max_age=options["max_age"],
            )

    both = site.twin(state=CallbackState(extract, inject, vary=["Authorization", "Cookie"]))
    browser = both.browser()
    reply = browser.get(issue)
    assert reply.all("set-cookie") == [site.set_cookie(reply.body)]
    assert reply.vary == ["Authorization, Cookie"]
    assert browser.get(read("a")).body == "1"
    token = ask(both, issue).body
    reply = ask(both, put(a=2), ("Authorization", f"Bearer {token}"))
    assert reply.all("set-cookie") == []
    held = ("Cookie", browser.cookies)
    assert ask(both, read("a"), held, ("Authorization", f"Bearer {token}")).body == "2"
    assert ask(both, read("a"), held, ("Authorization", "Basic x")).body == "1"
