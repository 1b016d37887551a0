"""How the ID travels: other cookies, headers, bearer tokens, and several ways at once."""

from __future__ import annotations

from typing import Any

from coatcheck import BearerState, CallbackState, CookieState, FirstOf, HeaderState
from coatcheck.events import AmbiguousID
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, end, look, put, read


def issue(session: Any) -> str:
    """A view that stores something and gives the client its ID in the body."""
    session["a"] = 1
    return str(session.id)


def bearer(session_id: str) -> list[tuple[str, str]]:
    """The header of a client that brings an ID as a token."""
    return [("Authorization", f"Bearer {session_id}")]


@scenario(cookie_name="__Host-id")
def sec_48_a_host_cookie_forces_what_it_needs(site: Site) -> None:
    """Secure and Path=/, without being told."""
    browser = site.browser(https=True)
    reply = browser.get(issue)
    age = "; Max-Age=2592000" if site.persistent else ""
    assert reply.cookie == (f"__Host-id={reply.body}; Path=/; HttpOnly; SameSite=Lax{age}; Secure")
    assert browser.get(read("a")).body == "1"


@scenario(state=HeaderState("X-Session"))
def an_id_can_travel_in_a_header(site: Site) -> None:
    """The client fills it in; no response echoes it, and caches are told of that header."""
    browser = site.browser()
    reply = browser.get(issue)
    assert (reply.cookie, reply.vary) == (None, ["X-Session"])
    session_id = reply.body
    assert not any(session_id in value for _, value in reply.headers)
    reply = browser.get(read("a"), headers=[("X-Session", session_id)])
    assert (reply.body, reply.cookie) == ("1", None)
    reply = browser.get(lambda session: session.destroy(), headers=[("x-session", session_id)])
    assert reply.cookie is None
    assert browser.get(look, headers=[("X-Session", session_id)]).body == "{}"
    assert browser.get(look, headers=[("Cookie", f"session={session_id}")]).body == "{}"


@scenario(state=BearerState())
def an_id_can_be_a_bearer_token(site: Site) -> None:
    """One scheme in any case, one space, one token; anything else is none."""
    browser = site.browser()
    session_id = browser.get(issue).body
    site.tap.take()
    for scheme in ("Bearer", "bearer", "BEARER"):
        reply = browser.get(read("a"), headers=[("Authorization", f"{scheme} {session_id}")])
        assert (reply.body, reply.cookie, reply.vary) == ("1", None, ["Authorization"])
    site.tap.take()
    for value in (
        f"Bearer  {session_id}",
        f"Bearer\t{session_id}",
        "Bearer",
        f"Bearer {session_id} x",
        f"Basic {session_id}",
        f"Bearer {session_id},{session_id}",
        session_id,
    ):
        assert browser.get(look, headers=[("Authorization", value)]).body == "{}", value
        assert site.tap.take() == []


@scenario(state=BearerState())
def a_bearer_client_may_begin_a_session_while_its_answer_streams(site: Site) -> None:
    """Its ID needs no header: it is in the body."""

    def write(session: Any) -> str:
        session["a"] = 1
        return str(session.id)

    session_id = site.browser().get(lambda session: Answer(body=[write])).body
    assert site.browser().get(read("a"), headers=bearer(session_id)).body == "1"


@scenario(state=FirstOf(BearerState(), CookieState("session")))
def a_client_is_answered_the_way_it_came(site: Site) -> None:
    """A bearer client is never sent a cookie, a browser is."""
    browser, program = site.browser(), site.browser()
    reply = browser.get(issue)
    assert reply.cookie == site.set_cookie(reply.body)
    assert reply.vary == ["Authorization, Cookie"]
    assert browser.get(read("a")).body == "1"
    token = site.browser().get(issue).body

    def renew(session: Any) -> str:
        session.login("ann")
        return str(session.id)

    reply = program.get(renew, headers=bearer(token))
    assert reply.cookie is None
    token = reply.body
    assert program.get(lambda session: session.user_id, headers=bearer(token)).body == "ann"
    reply = program.get(lambda session: session.logout(), headers=bearer(token))
    assert reply.cookie is None
    assert program.get(lambda session: session.user_id, headers=bearer(token)).body == ""


@scenario(state=FirstOf(BearerState(), CookieState("session")))
def sec_68_a_cookie_and_a_token_must_agree(site: Site) -> None:
    """Two live sessions in one request are an attack."""
    browser = site.browser()
    browser.get(issue)
    token = site.browser().get(issue).body
    assert browser.get(look, headers=bearer(token)).body == "{}"
    assert len(site.told(AmbiguousID)) == 1
    assert browser.get(look, headers=bearer(browser.id or "")).body == "{'a': 1}"


def _extract(request: Any) -> str | None:
    values: list[str] = request.header("x-custom")
    return values[0][::-1] if values else None


def _inject(headers: Any, session_id: str, options: Any) -> None:
    headers.add("X-Custom", session_id[::-1])


def _clear(headers: Any, options: Any) -> None:
    headers.add("X-Custom", "gone")


@scenario(state=CallbackState(_extract, _inject, _clear, vary=["X-Custom"]))
def an_id_can_travel_however_the_application_wants(site: Site) -> None:
    """Three functions are a State."""
    browser = site.browser()
    reply = browser.get(put(a=1))
    token = reply.all("x-custom")[0]
    assert (reply.cookie, reply.vary) == (None, ["X-Custom"])
    assert reply.cache_control == ["private, no-cache"]
    assert browser.get(read("a"), headers=[("X-Custom", token)]).body == "1"
    reply = browser.get(end, headers=[("X-Custom", token)])
    assert reply.all("x-custom") == ["gone"]
