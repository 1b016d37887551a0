"""S-69 to S-84: what the middleware makes of a request, an ID and a scope."""

from __future__ import annotations

import re
from typing import Any

from coatcheck.events import IDRejected, UnknownID
from tests.adapters.doors import (
    BODY,
    ASGISite,
    FlaskSite,
    Message,
    WSGISite,
    asgi_app,
    play,
    scope_of,
    wsgi_app,
)
from tests.adapters.site import Request, Site, end, look, put, read
from tests.adapters.test_asgi import cookie_of
from tests.adapters.test_websocket import ACCEPT, CLOSE, CONNECT, LEAVE, socket, text
from tests.seeds.middleware import (
    Headers,
    carriers,
    everywhere,
    hearing_asgi,
    hearing_wsgi,
    middleware,
)

KEYS = {"coatcheck.session", "coatcheck.session_id"}


def forged(session_id: str) -> str:
    """Return an ID that differs in the signature."""
    return session_id[:-1] + ("A" if session_id[-1] != "A" else "B")


@everywhere()
def test_s_69_the_session_and_its_id_are_in_environ_and_scope(site: Site) -> None:
    """The application finds a mapping, and beside it the string that the client is sent."""
    seen, browser = carriers(site), site.browser()
    found: list[Any] = []

    def view(session: Any) -> str:
        found.append(session)
        session["a"] = 1
        return str(session["a"])

    assert browser.get(view).body == "1"
    (carrier,) = seen
    if site.door == "flask":  # where `flask.session`, which the view is given, is the place
        assert not KEYS & carrier.keys()
    else:
        assert carrier["coatcheck.session"] is found[0]
        assert str(carrier["coatcheck.session_id"]) == browser.id


@everywhere()
def test_s_70_a_new_id_has_68_characters(site: Site) -> None:
    """Of the URL-safe alphabet, and no two are equal."""
    browsers = [site.browser() for _ in range(8)]
    for browser in browsers:
        browser.get(put(a=1))
        assert re.fullmatch("[A-Za-z0-9_-]{68}", browser.id or "")
    assert len({browser.id for browser in browsers}) == 8


@everywhere()
def test_s_71_a_new_session_knows_id_creation_and_last_use(site: Site) -> None:
    """As attributes: among the application's keys stands nothing that it did not put there."""

    def view(session: Any) -> str:
        session["a"] = 1
        assert session.created_at == session.last_seen_at == site.clock()
        assert list(session) == list(session.copy()) == ["a"]
        return str(session.id)

    browser = site.browser()
    assert browser.get(view).body == browser.id
    assert browser.get(look).body == "{'a': 1}"


@everywhere()
def test_s_72_the_last_use_moves_with_the_throttled_touch(site: Site) -> None:
    """A use within the minute leaves it; the first use after that moves it; creation stays."""
    browser, begun = site.browser(), site.clock()
    browser.get(put(a=1))
    site.tap.take()

    def times(session: Any) -> tuple[float, float]:
        return session.created_at - begun, session.last_seen_at - begun

    for wait, shown, calls in (
        (59, 0.0, ["get"]),
        (1, 0.0, ["get", "touch"]),
        (1, 60.0, ["get"]),
    ):
        site.clock.advance(wait)
        assert browser.get(times).body == f"(0.0, {shown})"
        assert site.tap.take() == calls


@everywhere()
def test_s_73_the_issued_cookie_restores_the_data(site: Site) -> None:
    """All of it, with its types."""
    browser, stranger = site.browser(), site.browser()
    data = {"n": 1, "text": "ü", "list": [1, {"b": None}], "flag": False}
    browser.get(put(**data))
    assert browser.get(look).body == repr(data)
    assert stranger.get(look).body == "{}"


@everywhere()
def test_s_74_an_unknown_or_forged_id_gets_another_one_from_the_server(site: Site) -> None:
    """What the client brought is adopted by neither store nor cookie; a forgery costs no call."""
    browser = site.browser()
    browser.get(put(a=1))
    known = browser.id or ""
    browser.get(end)
    site.tap.take()
    for brought, calls in ((known, ["get", "create"]), (forged(known), ["create"])):
        visitor = site.browser()
        visitor.id = brought
        reply = visitor.get(put(b=2))
        assert reply.sent not in (None, known, forged(known))
        assert site.tap.take() == calls
        assert visitor.get(look).body == "{'b': 2}"
        site.tap.take()
    assert len(site.told(UnknownID)) == len(site.told(IDRejected)) == 1


@everywhere(expire=100)
def test_s_75_an_expired_session_gives_way_to_a_fresh_one(site: Site) -> None:
    """A new ID in a cookie, and nothing of the old data."""
    browser = site.browser()
    browser.get(put(a=1))
    old = browser.id
    site.clock.advance(101)
    reply = browser.get(put(b=2))
    assert reply.sent == browser.id
    assert reply.sent not in (None, old)
    assert browser.get(look).body == "{'b': 2}"


@everywhere(expire=100)
def test_s_76_at_the_deadline_a_session_is_expired(site: Site) -> None:
    """A millisecond earlier it is not."""
    early, late, begun = site.browser(), site.browser(), site.clock()
    early.get(put(a=1))
    late.get(put(a=1))
    site.clock.set(begun + 99.999)
    assert early.get(read("a")).body == "1"
    site.clock.set(begun + 100)
    assert late.get(read("a")).body == ""


@everywhere()
def test_s_77_an_empty_id_is_none(site: Site) -> None:
    """No call, no event, an ordinary visitor."""
    for value in ("session=", 'session=""', "session"):
        reply = site.browser().get(look, headers=[("Cookie", value)])
        assert (reply.status, reply.body, reply.cookie) == (200, "{}", None)
        assert site.tap.take() == []
        reply = site.browser().get(put(a=1), headers=[("Cookie", value)])
        assert re.fullmatch("[A-Za-z0-9_-]{68}", reply.sent or "")
        assert site.tap.take() == ["create"]
    assert site.told(IDRejected) == []


@everywhere()
def test_s_78_a_session_already_there_is_left_to_whoever_made_it(site: Site) -> None:
    """A middleware further in steps aside: the same session, and no Set-Cookie of its own."""
    sent: list[Headers] = []
    made: list[Any] = []

    def between_wsgi(app: Any) -> Any:
        def layer(environ: Any, start_response: Any) -> Any:
            made.append(environ["coatcheck.session"])
            return hearing_wsgi(app, sent.append)(environ, start_response)

        return layer

    def between_asgi(app: Any) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            made.append(scope["coatcheck.session"])
            await hearing_asgi(app, sent.append)(scope, receive, send)

        return layer

    if isinstance(site, ASGISite):
        site.app.app = between_asgi(middleware(site, asgi_app))
    elif isinstance(site, FlaskSite):
        site.serve(middleware(site, between_wsgi(site.flask)))
    elif isinstance(site, WSGISite):
        site.serve(middleware(site, between_wsgi(middleware(site, wsgi_app))))

    def view(session: Any) -> None:
        session["a"] = 1
        assert session.id == made[0].id
        assert session is made[0] or site.door == "flask"  # whose own class is a face of it

    browser = site.browser()
    assert browser.get(view).sent == browser.id is not None
    assert [name for name, _ in sent[0] if name.lower() == "set-cookie"] == []
    assert browser.get(look).body == "{'a': 1}"
    assert site.tap.take() == ["create", "get"]


def asgi(site: Site) -> ASGISite:
    """Return the site as what it is."""
    if not isinstance(site, ASGISite):
        raise TypeError(f"{site.door} is not ASGI")
    return site


def connect(
    site: Site, app: Any, session_id: str | None, *messages: Message
) -> tuple[list[Message], BaseException | None]:
    """Play a WebSocket application; return what was sent and what it raised."""
    place = asgi(site)
    place.app.app, inner = app, place.app.app
    cookie = None if session_id is None else f"session={session_id}"
    played = place.run(play(place.app, socket(cookie), [CONNECT, *messages]))
    place.app.app = inner
    return played


@everywhere("asgi")
def test_s_79_the_caller_s_scope_is_not_changed(site: Site) -> None:
    """Neither that of a request nor that of a connection; the application is given a copy."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        scope["session"]["a"] = 1
        if scope["type"] == "websocket":
            await send(ACCEPT)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

    asgi(site).app.app = app
    for outer in (scope_of(Request(look)), socket()):
        before = dict(outer)
        sent, error = site.run(play(asgi(site).app, outer, [BODY]))
        assert error is None
        assert cookie_of(sent) is not None
        assert outer == before
        assert all(outer[key] is before[key] for key in before)
        assert scopes.pop().keys() >= {*before, *KEYS}


@everywhere("asgi")
def test_s_80_a_scope_that_is_neither_http_nor_websocket_passes_untouched(site: Site) -> None:
    """The very scope, and the very functions; S-81 to S-83 say what a WebSocket is given."""
    passed: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.extend((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    asgi(site).app.app = app
    for kind in ("lifespan", "telephone"):
        scope = {"type": kind, "asgi": {"version": "3.0"}}
        site.run(asgi(site).app(scope, receive, send))
        assert passed[0] is scope
        assert passed[1:] == [receive, send]
        assert scope == {"type": kind, "asgi": {"version": "3.0"}}
        passed.clear()
    assert site.tap.take() == []


@everywhere("asgi")
def test_s_81_a_websocket_with_a_valid_cookie_has_the_same_session(site: Site) -> None:
    """The data and the ID that a page of the same browser sees."""
    browser = site.browser()
    browser.get(put(a=[1]))
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        session = scope["coatcheck.session"]
        seen.extend((dict(session), session.id, str(scope["coatcheck.session_id"])))

    sent, error = connect(site, app, browser.id)
    assert (error, seen) == (None, [{"a": [1]}, browser.id, browser.id])
    assert cookie_of(sent) is None


@everywhere("asgi")
def test_s_82_a_websocket_without_a_valid_id_has_an_empty_session(site: Site) -> None:
    """Absent, garbage, forged or expired: no data, no record, no cookie, and no ID of theirs."""
    browser = site.browser()
    browser.get(put(a=1))
    expired = browser.id or ""
    site.clock.advance(3600)
    site.tap.take()
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["coatcheck.session"]
        seen.extend((dict(session), session.is_new, str(scope["coatcheck.session_id"])))
        await send(ACCEPT)

    for brought in (None, "garbage", forged(expired), expired):
        sent, error = connect(site, app, brought)
        assert (error, seen[:2]) == (None, [{}, True])
        assert seen[2] not in (brought, expired)
        assert cookie_of(sent) is None
        seen.clear()
    assert site.tap.take() == ["get"]


@everywhere("asgi")
def test_s_83_changes_on_a_websocket_are_saved(site: Site) -> None:
    """At the end of the connection or by `save()`; a new ID goes out with the accept."""
    browser, newcomer = site.browser(), site.browser()
    browser.get(put(a=1))
    between: list[str] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        session = scope["coatcheck.session"]
        await receive()
        await send(ACCEPT)
        session["said"] = (await receive())["text"]
        await session.save()
        between.append((await browser.meanwhile(look)).body)
        session["left"] = (await receive())["type"]

    async def begin(scope: Any, receive: Any, send: Any) -> None:
        scope["coatcheck.session"]["b"] = 1
        await send(ACCEPT)
        scope["coatcheck.session"]["b"] = 2
        await send(CLOSE)

    async def meanwhile(scope: Any, receive: Any, send: Any) -> None:
        await (chat if scope["type"] == "websocket" else asgi_app)(scope, receive, send)

    sent, error = connect(site, meanwhile, browser.id, text("hello"), LEAVE)
    assert (error, len(sent)) == (None, 1)
    assert between == ["{'a': 1, 'said': 'hello'}"]
    assert browser.get(look).body == "{'a': 1, 'said': 'hello', 'left': 'websocket.disconnect'}"
    assert cookie_of(sent) is None
    sent, _ = connect(site, begin, None)
    newcomer.id = (cookie_of(sent) or "").removeprefix("session=")
    assert newcomer.get(look).body == "{'b': 2}"


@everywhere("asgi")
def test_s_84_a_lifespan_has_no_session(site: Site) -> None:
    """Start-up and shut-down go their way, and no key is added to their scope."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(dict(scope))
        for _ in range(2):
            await send({"type": (await receive())["type"] + ".complete"})

    scope: Message = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    asgi(site).app.app = app
    phases: list[Message] = [{"type": f"lifespan.{phase}"} for phase in ("startup", "shutdown")]
    sent, error = site.run(play(asgi(site).app, scope, phases))
    assert error is None
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert scopes == [scope]
    assert site.tap.take() == []
