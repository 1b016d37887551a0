"""Two clients behind one shared cache: nobody is shown the other's page, or given its cookie.

The browsers follow RFC 6265bis (`cookiejar`), the cache RFC 9111 (`sharedcache`); both are as
greedy as their RFCs allow. In front of them stands an application that says all sorts of things to
caches, and on each address always does the same with the session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.adapters.doors import DOORS
from tests.adapters.site import Answer, Request, Site
from tests.core.cookiejar import Jar, Page
from tests.security.sharedcache import Headers, Response, SharedCache

DOOR_NAMES = ["wsgi", "flask", "asgi"]
COOKIES: list[dict[str, Any]] = [
    {},
    {"cookie_name": "__Host-id"},
    {"cookie_options": {"path": "/app", "secure": True, "samesite": "Strict"}},
    {"cookie_options": {"domain": "example.org", "secure": True}},
    {"cookie_options": {"samesite": "None", "secure": True, "partitioned": True}},
    {"cache": "no-store"},
]
SAID: dict[str, Sequence[tuple[str, str]]] = {
    "nothing": (),
    "public": (("Cache-Control", "public, max-age=600"),),
    "age": (("Cache-Control", "max-age=600"),),
    "shared": (("Cache-Control", "s-maxage=600"), ("Vary", "Accept")),
    "stale": (("Cache-Control", "public, no-cache"), ("Vary", "accept , COOKIE")),
}
"""What the application itself says to caches, by a part of the address."""
ENDS = {"logout", "destroy"}


def act(what: str, client: str, session: Any) -> None:
    """Do with the session what an address is for; the client's name stands for its data."""
    if what == "put":
        session["of"] = client
    elif what in {"login", "again"}:
        session.login(client)
        session["of"] = client
        if what == "again":
            session.regenerate()
    elif what == "renew":
        session.regenerate()
    elif what in ENDS:
        getattr(session, what)()


def page(what: str, said: str, client: str, session: Any) -> Answer:
    """Answer with whose session it is: by that, a page that comes to somebody else is known."""
    act(what, client, session)
    body = "hello"
    if what not in {"untouched", "destroy"}:
        body = f"{session.user_id} {session.get('of')}"
    if what == "stream":
        return Answer(["streamed ", lambda session: f"{session.user_id} {session.get('of')}"])
    etag = f'"{sha256(body.encode()).hexdigest()[:12]}"'
    return Answer(body, 404 if what == "missing" else 200, [*SAID[said], ("ETag", etag)])


def conditional(view: Callable[[Any], Answer], etags: Sequence[str], session: Any) -> Answer:
    """Answer 304 where a cache already has the page, as frameworks do."""
    answer = view(session)
    tag = next((value for name, value in answer.headers if name == "ETag"), None)
    if answer.status == 200 and tag in etags:
        return Answer("", 304, answer.headers)
    return answer


@dataclass
class World:
    """One site, one cache in front of it, and who was sent which ID by the site itself."""

    site: Site
    heeds_vary: bool = True
    cache: SharedCache = field(init=False)
    sent_to: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.cache = SharedCache(self.site.clock, self.heeds_vary)

    def origin(
        self, client: str, path: str, view: Callable[[Any], Answer], headers: Any
    ) -> Response:
        """Answer a request that came through the cache."""
        etags = [tag for n, v in headers if n == "If-None-Match" for tag in v.split(", ")]
        given = [pair for pair in headers if pair[0] != "If-None-Match"]
        asked = Request(partial(conditional, view, etags), path=path, headers=given, https=True)
        reply = self.site.run(self.site.ask(asked))
        assert reply.error is None
        if reply.sent is not None:
            assert self.sent_to.setdefault(reply.sent, client) == client
        return Response(reply.status, tuple(reply.headers), reply.body)


CERTAINLY_ALIVE: Final = 3600.0 - 60.0
"""Seconds without a request that every session outlives: the idle timeout, less the throttle."""


@dataclass
class Client:
    """A browser behind the cache."""

    world: World
    name: str
    jar: Jar = field(default_factory=Jar)
    alive: float = 0.0
    """When its session was last certainly alive: what the cache answers renews none."""

    def visit(self, what: str, said: str) -> None:
        """Ask for an address, and check what came."""
        cache = self.world.cache
        path = f"/app/{what}/{said}"
        here = Page("www.example.org", path)
        self.jar.now = self.world.site.clock()
        before = self.jar.header(here)
        view = partial(page, what, said, self.name)
        hits = cache.hits
        response = cache.ask(
            "GET",
            path,
            [("Cookie", before)] if before else [],
            partial(self.world.origin, self.name, path, view),
        )
        others = {"ann": "bob", "bob": "ann"}[self.name]
        if not cache.heeds_vary:
            others += " "  # a page of a user: an anonymous one is told apart by Vary alone
        assert others not in response.body, f"{self.name} was shown {response.body!r}"
        cookies = [value for name, value in response.headers if name.lower() == "set-cookie"]
        if cache.hits > hits:
            assert cookies == [], "a cookie came from the cache"
            assert what not in ENDS or not before or not cache.heeds_vary
            return
        expected = self.jar.now - self.alive <= CERTAINLY_ALIVE
        if cookies or (expected and what != "untouched"):
            self.alive = self.jar.now
        assert len(cookies) <= 1
        for cookie in cookies:
            assert self.jar.receive(cookie, here), f"the browser refused {cookie}"
        after = self.jar.header(here)
        if what in {"login", "again"}:
            assert len(cookies) == 1
            assert after not in ("", before)
            assert response.body == f"{self.name} {self.name}"
        elif what == "put":
            assert cookies or before
            assert not (cookies and before and expected)
        elif what in ENDS:
            assert self.jar.cookies == [], "the browser kept the cookie of an ended session"
        elif what != "renew":
            assert cookies == []


ACTS = ["read", "stream", "missing", "untouched", "put", "login", "again", "renew", *sorted(ENDS)]
SITES = st.tuples(
    st.sampled_from(COOKIES),
    st.sampled_from([True, True, False]),
    st.lists(st.sampled_from(sorted(SAID)), min_size=1, max_size=2),
)
"""Options, whether the cache heeds Vary, and what the application says to caches."""
VISITS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([*ACTS, "read", "put"]),
        st.integers(0, 1),
        st.sampled_from([0.0, 0.0, 0.0, 61.0, 700.0]),
    ),
    min_size=5,
    max_size=25,
)


MEETING = [
    (who, what, 0, 0.0)
    for what in ("put", "read", "stream", "missing", "login", "read", "logout")
    for who in ("ann", "bob")
]
LEAVING = [("ann", "put", 0, 0.0), ("ann", "destroy", 0, 0.0), ("bob", "destroy", 0, 0.0)]


@pytest.mark.parametrize("door", DOOR_NAMES)
@settings(max_examples=1 + settings().max_examples // 3)
@example(visits=MEETING, setting=({}, True, ["shared"]))
@example(visits=MEETING, setting=({}, True, ["age"]))
@example(visits=MEETING, setting=({}, True, ["nothing"]))
@example(visits=MEETING, setting=({}, False, ["nothing"]))
@example(visits=MEETING, setting=({"cookie_name": "__Host-id"}, True, ["public"]))
@example(visits=LEAVING, setting=({}, False, ["nothing"]))
@given(visits=VISITS, setting=SITES)
def test_sec_57_sec_52_sec_51_two_clients_behind_a_cache_never_meet(
    door: str,
    visits: list[tuple[str, str, int, float]],
    setting: tuple[dict[str, Any], bool, list[str]],
) -> None:
    """Whatever they do; each gets at most one cookie at a time, and none is left after logout.

    A cache that forgets Vary may mix up visitors, but gives nobody a user's page or a cookie.
    """
    expect_apart(door, visits, setting)


def expect_apart(
    door: str,
    visits: list[tuple[str, str, int, float]],
    setting: tuple[dict[str, Any], bool, list[str]],
) -> None:
    """Let two clients make these visits through one cache."""
    options, heeds_vary, said = setting
    with DOORS[door]("memory", Path(), **options) as site:
        world = World(site, heeds_vary)
        clients = {name: Client(world, name) for name in ("ann", "bob")}
        for name, what, which, seconds in visits:
            site.clock.advance(seconds)
            clients[name].visit(what, said[which % len(said)])
        ids = [{cookie.value for cookie in client.jar.cookies} for client in clients.values()]
        assert not ids[0] & ids[1]


@pytest.mark.parametrize("door", DOOR_NAMES)
def test_sec_57_pages_that_are_nobody_s_are_still_cached(door: str) -> None:
    """The cache is not just shut out: of two visitors it answers the second by itself."""
    with DOORS[door]("memory", Path()) as site:
        world = World(site)
        ann, bob = Client(world, "ann"), Client(world, "bob")
        for what in ("untouched", "read"):
            hits = world.cache.hits
            ann.visit(what, "public")
            bob.visit(what, "public")
            assert world.cache.hits == hits + 1
        ann.visit("login", "public")
        hits = world.cache.hits
        ann.visit("read", "public")
        bob.visit("read", "public")
        assert world.cache.hits == hits + 1, "only bob's page is still there"


LEAKS: dict[str, tuple[Headers, Headers, Headers]] = {
    "a cookie without private": ((("Vary", "Cookie"), ("Set-Cookie", "id=1")), [], []),
    "public": ((("Cache-Control", "public"), ("Set-Cookie", "id=1")), [], []),
    "a page without Vary": ((("Cache-Control", "max-age=60"),), [("Cookie", "id=1")], []),
    "Vary by something else": ((("Vary", "Accept"),), [("Cookie", "id=1")], []),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_the_model_of_a_cache_is_greedy(leak: str) -> None:
    """What would be wrong to send, the model gives to the wrong client: it can see a leak."""
    headers, first, second = LEAKS[leak]
    cache = SharedCache(lambda: 0.0)
    ann, bob = Response(200, tuple(headers), "ann's"), Response(200, tuple(headers), "bob's")
    assert cache.ask("GET", "/", first, lambda _: ann) == ann
    assert cache.ask("GET", "/", second, lambda _: bob) == ann


@pytest.mark.parametrize(
    "headers",
    [
        (("Cache-Control", "private"),),
        (("Cache-Control", "no-store"),),
        (("Cache-Control", "no-cache"),),
        (("Cache-Control", "max-age=0"),),
        (("Vary", "Accept, Cookie"),),
        (("Vary", "*"),),
    ],
)
def test_the_model_of_a_cache_keeps_to_the_rules(headers: Headers) -> None:
    """What forbids to answer another client with it is heeded."""
    cache = SharedCache(lambda: 0.0)
    ann, bob = Response(200, tuple(headers), "ann's"), Response(200, tuple(headers), "bob's")
    cache.ask("GET", "/", [("Cookie", "id=1")], lambda _: ann)
    assert cache.ask("GET", "/", [("Cookie", "id=2")], lambda _: bob) == bob
