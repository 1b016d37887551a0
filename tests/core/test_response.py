"""What a session adds to a response: the cookie, `Vary` and `Cache-Control`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coatcheck.events import ResponseMadePrivate
from coatcheck.face import visit_of
from coatcheck.request import ASGIHeaders
from coatcheck.response import finish_headers
from coatcheck.session import Session
from coatcheck.state import BearerState, CookieState, FirstOf
from coatcheck.testing.clock import ManualClock
from tests.core.cookiejar import Page
from tests.core.harness import Browser, Harness, Reply, put, sign_in

DAY = 86_400.0
PLAIN = Page(https=False)


def ask_as_bearer(
    harness: Harness, act: Callable[[Session], object], session_id: str | None
) -> Reply:
    """Make one request whose ID travels in the Authorization header."""
    headers = {} if session_id is None else {"authorization": f"Bearer {session_id}"}
    exchange = Browser(harness).begin(headers=headers)
    act(exchange.session)
    return exchange.finish(deliver=False)


# The cookie


@pytest.mark.parametrize(("page", "secure"), [(Page(), "; Secure"), (PLAIN, "")])
def test_the_cookie_to_the_byte(harness: Harness, page: Page, secure: str) -> None:
    """Name, 68 characters, and the safe attributes; Secure as the request came."""
    browser = Browser(harness, page)
    reply = browser.visit(put(k=1))
    assert reply.cookie is not None
    value = reply.cookie[len("session=") :][:68]
    assert reply.cookie == (
        f"session={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000{secure}"
    )
    assert browser.read() == {"k": 1}


def test_a_stored_session_sends_no_cookie(clock: ManualClock, browser: Browser) -> None:
    """Reads, touches and writes of a session that the client has say nothing new."""
    browser.visit(put(k=1))
    for number in range(5):
        clock.advance(100)
        assert browser.visit().set_cookies == []
        assert browser.visit(put(k=number)).set_cookies == []


@pytest.mark.parametrize(
    ("lifetime", "expected"), [(7200, 7200), (30 * DAY, 30 * DAY), (None, 400 * DAY), (0.5, 0)]
)
def test_max_age_is_what_is_left_of_the_lifetime(lifetime: Any, expected: float) -> None:
    """Idle time is the server's business alone; browsers keep nothing beyond 400 days."""
    browser = Browser(Harness(expire=0.25 if lifetime == 0.5 else 3600, lifetime=lifetime))
    assert browser.visit(put(k=1), deliver=False).max_age == expected


def test_max_age_shrinks_with_what_is_left(clock: ManualClock, browser: Browser) -> None:
    """An ID that is sent later is kept less long: `regenerate` does not prolong anything."""
    browser.visit(sign_in("ann"))
    clock.advance(1000)
    assert browser.visit(lambda session: session.regenerate()).max_age == 30 * DAY - 1000


def test_a_browser_session_cookie_has_no_max_age() -> None:
    """By option the browser forgets the cookie when it closes."""
    browser = Browser(Harness(cookie_options={"max_age": None}))
    assert browser.visit(put(k=1)).max_age is None


def test_a_changed_lifetime_sends_the_cookie_again(browser: Browser) -> None:
    """The browser learns the new Max-Age; an idle timeout, or the same lifetime, tells nothing."""
    browser.visit(put(k=1))
    before = browser.id
    reply = browser.visit(lambda session: session.set_expiry(lifetime=1000))
    assert (reply.sent, reply.max_age) == (before, 1000)
    assert browser.visit(lambda session: session.set_expiry(lifetime=1000)).cookie is None
    assert browser.visit(lambda session: session.set_expiry(idle=60)).cookie is None


def test_what_the_client_keeps_can_change(browser: Browser) -> None:
    """A session that becomes persistent, or ceases to be, sends its cookie again."""
    browser.visit(put(k=1))
    for persistent, max_age in ((False, None), (True, 30 * DAY)):
        exchange = browser.begin()
        assert len(exchange.session) == 1
        exchange.visit.amend({"persistent": persistent})
        reply = exchange.finish()
        assert (reply.sent, reply.max_age) == (browser.id, max_age)
        exchange = browser.begin()
        assert len(exchange.session) == 1
        exchange.visit.amend({"persistent": persistent})
        assert exchange.finish().cookie is None


@pytest.mark.parametrize("lifetime", [None, "indefinite"])
def test_a_long_session_sends_its_cookie_each_200th_day(lifetime: Any) -> None:
    """Beyond 400 days the touch or save that passes each 200th day renews the cookie."""
    browser = Browser(Harness(expire=30 * DAY, lifetime=lifetime))
    clock = browser.harness.clock
    browser.visit(put(k=1))
    sent: list[int] = []
    for day in range(25, 1001, 25):
        clock.advance(25 * DAY)
        reply = browser.visit(put(k=day)) if day % 2 else browser.visit()
        if reply.cookie is not None:
            assert (reply.sent, reply.max_age) == (browser.id, 400 * DAY)
            sent.append(day)
    assert sent == [200, 400, 600, 800, 1000]


def test_where_nothing_slides_every_save_from_the_200th_day_on_sends_it() -> None:
    """Without a record of activity nobody knows when the cookie was sent last."""
    browser = Browser(Harness(expire=None, lifetime=None))
    clock = browser.harness.clock
    browser.visit(put(k=1))
    clock.advance(199 * DAY)
    assert browser.visit(put(k=2)).cookie is None
    clock.advance(1 * DAY)
    assert browser.visit().cookie is None
    assert browser.visit(put(k=3)).max_age == 400 * DAY
    assert browser.visit(put(k=4)).max_age == 400 * DAY


def test_a_session_of_400_days_needs_no_second_cookie() -> None:
    """Its first one lasts as long as it does."""
    browser = Browser(Harness(expire=30 * DAY, lifetime=400 * DAY))
    browser.visit(put(k=1))
    for _ in range(15):
        browser.harness.clock.advance(25 * DAY)
        assert browser.visit().cookie is None


def test_one_request_sends_one_cookie(browser: Browser) -> None:
    """However much happens to the session, there is one Set-Cookie at most."""

    def act(session: Session) -> None:
        session["k"] = 1
        session.save()
        session.login("ann")
        session.save()
        session.regenerate()
        session.save()
        session.set_expiry(lifetime=1000)
        session.save()

    reply = browser.visit(act)
    assert len(reply.set_cookies) == 1
    assert browser.user() == "ann"

    def end(session: Session) -> None:
        act(session)
        session.destroy()

    reply = browser.visit(end)
    assert len(reply.set_cookies) == 1
    assert reply.deleted


# Vary and Cache-Control


def _headers(
    browser: Browser, act: Callable[[Session], object], *given: tuple[str, str]
) -> dict[str, list[str]]:
    """Return the headers of a response that the application gave some already."""
    exchange = browser.begin()
    exchange.headers.extend(given)
    act(exchange.session)
    exchange.finish()
    found: dict[str, list[str]] = {}
    for name, value in exchange.headers:
        found.setdefault(name.lower(), []).append(value)
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["cookie"], ["cookie"]),
        (["Accept, COOKIE"], ["Accept, COOKIE"]),
        (["*"], ["*"]),
        (["Accept", "Origin"], ["Accept, Origin, Cookie"]),
        (["Accept,Origin\t, Cookie"], ["Accept,Origin\t, Cookie"]),
        (["Cookie2"], ["Cookie2, Cookie"]),
    ],
)
def test_vary_is_completed(browser: Browser, given: list[str], expected: list[str]) -> None:
    """What the State reads is added to what the application says, once, and `*` says it all."""
    found = _headers(browser, len, *(("Vary", value) for value in given))
    assert found["vary"] == expected


def test_untouched_nothing_is_added(browser: Browser) -> None:
    """A page that does not look at the session can be kept by everybody."""
    browser.visit(sign_in("ann"))
    exchange = browser.begin()
    exchange.headers.append(("Cache-Control", "public, max-age=60"))
    reply = exchange.finish()
    assert (reply.vary, reply.cache_control) == ([], ["public, max-age=60"])


def test_a_visitors_page_may_be_cached(browser: Browser) -> None:
    """Looking at a session without user and without a new cookie adds no Cache-Control."""
    assert "cache-control" not in _headers(browser, len)
    browser.visit(put(k=1))
    assert "cache-control" not in _headers(browser, len)


PERSONAL: dict[str, Callable[[Session], object]] = {
    "read": len,
    "new": put(k=1),
    "login": sign_in("bob"),
    "logout": lambda session: session.logout(),
    "destroy": lambda session: session.destroy(),
}


@pytest.mark.parametrize("act", PERSONAL.values(), ids=PERSONAL)
@pytest.mark.parametrize(("cache", "said"), [("private", "private, no-cache"), ("no-store",) * 2])
def test_a_users_page_is_private(cache: Any, said: str, act: Callable[[Session], object]) -> None:
    """A response for a user, or with a cookie, is kept by no shared cache."""
    browser = Browser(Harness(cache=cache))
    browser.visit(sign_in("ann"))
    assert _headers(browser, act)["cache-control"] == [said]


def test_a_page_of_a_session_that_was_lost_is_private(browser: Browser) -> None:
    """It may show what the user's session held before another request ended it."""
    browser.visit(sign_in("ann", k=1))
    slow = browser.begin()
    slow.session["k"] = 2
    browser.visit(lambda session: session.logout())
    assert slow.finish().cache_control == ["private, no-cache"]


@pytest.mark.parametrize("said", ["no-store", "private", "max-age=60, Private", "No-Store, a=b"])
def test_what_keeps_shared_caches_away_stays(browser: Browser, said: str) -> None:
    """A page that says so itself is left alone."""
    browser.visit(sign_in("ann"))
    assert _headers(browser, len, ("Cache-Control", said))["cache-control"] == [said]


@pytest.mark.parametrize("said", ["max-age=60", "no-cache, must-revalidate", "s-maxage=5"])
def test_what_does_not_is_made_private(browser: Browser, said: str) -> None:
    """A shared cache may keep whatever has an age: the rest of what was said stays."""
    browser.visit(sign_in("ann"))
    found = _headers(browser, len, ("Cache-Control", said))
    assert found["cache-control"] == [f"private, {said}"]
    assert browser.harness.told(ResponseMadePrivate) == []


@pytest.mark.parametrize(
    ("said", "made"),
    [
        (["public"], "private"),
        (["public, max-age=60"], "private, max-age=60"),
        (["max-age=60, Public"], "private, max-age=60"),
        (["max-age=60", "public"], "private, max-age=60"),
    ],
)
def test_public_becomes_private_and_is_told(browser: Browser, said: list[str], made: str) -> None:
    """A user's page that says `public` would be shown to others."""
    browser.visit(sign_in("ann"))
    handle = browser.harness.live()[0]
    found = _headers(browser, len, *(("cache-control", value) for value in said))
    assert found["cache-control"] == [made]
    assert browser.harness.told(ResponseMadePrivate) == [ResponseMadePrivate(handle)]


def test_other_headers_keep_their_order(browser: Browser) -> None:
    """What the application sends stays first, and as it was."""
    exchange = browser.begin()
    exchange.headers.extend([("X-One", "1"), ("Set-Cookie", "theme=dark"), ("X-Two", "2")])
    exchange.session["k"] = 1
    exchange.finish(deliver=False)
    assert [name for name, _ in exchange.headers[:3]] == ["X-One", "Set-Cookie", "X-Two"]
    assert len([name for name, _ in exchange.headers if name == "Set-Cookie"]) == 2


def test_headers_of_asgi_are_lower_case(browser: Browser) -> None:
    """The same text as bytes, as the ASGI specification asks."""
    exchange = browser.begin()
    exchange.session["k"] = 1
    exchange.session.save()
    visit = visit_of(exchange.session)
    assert visit is not None
    native: list[tuple[bytes, bytes]] = []
    finish_headers(visit, ASGIHeaders(native))
    assert [name for name, _ in native] == [b"set-cookie", b"vary", b"cache-control"]


def test_headers_of_asgi_are_the_same_however_often_they_are_read() -> None:
    """What is added while they are read comes with the next reading, in lower case too."""
    headers = ASGIHeaders([(b"X-One", b"1"), (b"x-two", b"2")])
    for name, value in headers:
        headers.add("X-Copy-Of-" + name, value)
    expected = [("X-One", "1"), ("x-two", "2"), ("x-copy-of-x-one", "1"), ("x-copy-of-x-two", "2")]
    assert [*headers] == [*headers] == expected == [*ASGIHeaders(headers.native)]
    headers.set("x-one", "3")
    assert [*headers] == [*expected[1:], ("x-one", "3")]


# Other ways to travel


def test_a_bearer_client_gets_no_header_but_vary() -> None:
    """Its program reads the ID from the session, and sends it by itself."""
    harness = Harness(state=BearerState())
    found: list[str] = []

    def act(session: Session) -> None:
        session.login("ann")
        found.append(session.id)

    reply = ask_as_bearer(harness, act, None)
    assert reply.set_cookies == []
    assert reply.vary == ["Authorization"]
    assert reply.cache_control == ["private, no-cache"]
    users: list[str | None] = []
    ask_as_bearer(harness, lambda session: users.append(session.user_id), found[0])
    assert users == ["ann"]
    reply = ask_as_bearer(harness, lambda session: session.logout(), found[0])
    assert (reply.set_cookies, reply.cache_control) == ([], ["private, no-cache"])
    assert harness.live() == []


def test_an_answer_goes_the_way_the_id_came() -> None:
    """With two States a bearer client is sent no cookie, and a browser is."""
    harness = Harness(state=FirstOf(BearerState(), CookieState()))
    browser = Browser(harness)
    assert browser.visit(put(k=1)).sent == browser.id
    assert browser.read() == {"k": 1}
    reply = ask_as_bearer(harness, lambda session: session.regenerate(), browser.id)
    assert reply.set_cookies == []
    assert reply.vary == ["Authorization, Cookie"]


def test_of_two_sessions_the_one_in_the_cookie_is_deleted() -> None:
    """A client that sends two live ones is nobody; it can be told through its cookie alone."""
    harness = Harness(state=FirstOf(BearerState(), CookieState()))
    one, two = Browser(harness), Browser(harness)
    assert one.visit(put(k=1)).sent
    assert two.visit(put(k=2)).sent
    exchange = one.begin(headers={"authorization": f"Bearer {two.id}"})
    exchange.session.destroy()
    assert exchange.finish(deliver=False).deleted


# Clear-Site-Data


@pytest.mark.parametrize(
    ("given", "alone", "beside_a_new_id"),
    [
        (True, '"cache", "storage"', '"cache", "storage"'),
        (["*"], '"*"', '"cache", "storage", "executionContexts"'),
        (["cookies"], '"cookies"', None),
        (["storage", "cookies"], '"storage", "cookies"', '"storage"'),
        (False, None, None),
    ],
)
def test_sec_59_clear_site_data_to_the_byte(
    given: Any, alone: str | None, beside_a_new_id: str | None
) -> None:
    """On the end of a session; the cookie of what comes after it is not among what is cleared."""
    for after, expected in ({}, alone), ({"flash": "bye"}, beside_a_new_id):
        browser = Browser(Harness(clear_site_data=given))
        browser.visit(sign_in("ann"))
        exchange = browser.begin()
        exchange.session.logout()
        exchange.session.update(after)
        exchange.finish()
        told = [value for name, value in exchange.headers if name == "Clear-Site-Data"]
        assert told == ([] if expected is None else [expected])
        assert browser.read() == after
        exchange = browser.begin()
        exchange.session["k"] = 1
        exchange.finish()
        assert "Clear-Site-Data" not in dict(exchange.headers)


def test_sec_59_a_session_begun_after_a_logout_and_lost_leaves_no_cookie() -> None:
    """The deletion is for the old one; of the new one nothing may be sent."""
    harness = Harness(clear_site_data=True)
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    exchange = browser.begin()
    exchange.session.logout()
    exchange.session["k"] = 1
    exchange.session.save()
    harness.store.inner.delete(exchange.session.handle)
    exchange.session["k"] = 2
    reply = exchange.finish()
    assert reply.deleted
    assert dict(exchange.headers)["Clear-Site-Data"] == '"cache", "storage"'
    assert browser.id is None
