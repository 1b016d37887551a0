"""CSRF tokens: bound to the session, ended with it, and no two of them alike."""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle  # noqa: TID251 - to see it refused
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck import SessionManager, csrf
from coatcheck.csrf import CSRFTokens
from coatcheck.errors import ResponseStarted, SessionEnded
from coatcheck.events import ChangesDropped, IDRejected
from coatcheck.keys import KeyRing
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, put, sign_in

Act = Callable[[Session], object]
HANDLE, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
TOKENS = CSRFTokens(KeyRing(SECRET), "coatcheck")


def token_of(browser: Browser, act: Act = len) -> str:
    """Make one request that does something, and then has a form on its page."""
    tokens: list[str] = []

    def page(session: Session) -> None:
        act(session)
        tokens.append(session.csrf_token())

    browser.visit(page)
    return tokens[0]


def accepts(browser: Browser, token: object) -> bool:
    """Make one request that checks a token."""
    exchange = browser.begin()
    answer = exchange.session.verify_csrf(token)
    exchange.finish()
    return answer


# Tokens


def test_sec_70_a_token_is_this_and_nothing_else() -> None:
    """Salt and MAC under a subkey of its own, over purpose, namespace, salt and handle."""
    token = TOKENS.make(HANDLE)
    both = base64.urlsafe_b64decode(token)
    assert (len(token), len(both)) == (64, 48)
    text = b"coatcheck csrf token" + bytes([9]) + b"coatcheck" + both[:24] + bytes.fromhex(HANDLE)
    assert both[24:] == hmac.digest(KeyRing(SECRET).subkey("csrf"), text, "sha256")[:24]
    assert TOKENS.verify(token, HANDLE)


def test_sec_70_tokens_have_nothing_in_common() -> None:
    """Compression gives nothing away that stands on two pages (BREACH); each of them holds."""
    tokens = [TOKENS.make(HANDLE) for _ in range(500)]
    assert all(TOKENS.verify(token, HANDLE) for token in tokens)
    assert len({token[:32] for token in tokens}) == len({token[32:] for token in tokens}) == 500
    for position in range(64):
        assert len({token[position] for token in tokens}) > 32


def test_sec_70_every_edit_is_refused() -> None:
    """Of any character, and every other length, case or spelling."""
    token = TOKENS.make(HANDLE)
    for position in range(64):
        for character in "A-_z0":
            edited = token[:position] + character + token[position + 1 :]
            assert TOKENS.verify(edited, HANDLE) == (edited == token)
    for edited in (
        token[:-1],
        token + "A",
        token + "=",
        token + "\n",
        " " + token,
        token.swapcase(),
        token[32:] + token[:32],
        token[:-1] + "\u00e9",
        token[:-1] + "\n",
    ):
        assert not TOKENS.verify(edited, HANDLE)


@given(st.text() | st.binary() | st.none() | st.integers() | st.lists(st.text()))
@settings(max_examples=300, deadline=None)
def test_sec_70_nothing_made_up_is_accepted_or_raises(token: object) -> None:
    """Whatever a form, a header or a JSON body may hold."""
    assert not TOKENS.verify(token, HANDLE)


def test_a_huge_token_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the length is wrong no MAC is made."""
    token = TOKENS.make(HANDLE)
    monkeypatch.setattr("coatcheck.csrf.hmac.digest", None)
    for length in (*range(64), *range(65, 200), 10_000_000):
        assert not TOKENS.verify("A" * length, HANDLE)
    with pytest.raises(TypeError):
        TOKENS.verify(token, HANDLE)


def test_sec_05_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hmac.compare_digest` decides, on two byte strings of 24."""
    seen: list[tuple[bytes, bytes]] = []

    def compare(first: bytes, second: bytes) -> bool:
        seen.append((first, second))
        return hmac.compare_digest(first, second)

    monkeypatch.setattr(csrf, "compare_digest", compare)
    token = TOKENS.make(HANDLE)
    assert TOKENS.verify(token, HANDLE)
    mac = base64.urlsafe_b64decode(token)[24:]
    assert seen == [(mac, mac)]


def test_sec_07_tokens_of_another_namespace_purpose_or_secret_are_refused() -> None:
    """As is one under the secret itself, or under the key that signs IDs."""
    token = TOKENS.make(HANDLE)
    for other in (
        CSRFTokens(KeyRing(SECRET), "coatchec"),
        CSRFTokens(KeyRing(SECRET), "shop"),
        CSRFTokens(KeyRing(OLD_SECRET), "coatcheck"),
    ):
        assert not other.verify(token, HANDLE)
        assert not TOKENS.verify(other.make(HANDLE), HANDLE)
    text = b"coatcheck csrf token" + bytes([9]) + b"coatcheck" + bytes(24) + bytes.fromhex(HANDLE)
    for key in (SECRET.encode(), KeyRing(SECRET).subkey("session-id"), b""):
        mac = hmac.digest(key, text, hashlib.sha256)[:24]
        assert not TOKENS.verify(base64.urlsafe_b64encode(bytes(24) + mac).decode(), HANDLE)


def test_sec_10_an_old_secret_s_tokens_still_hold() -> None:
    """While it is in the ring; new ones are made under the current one alone."""
    old = CSRFTokens(KeyRing(OLD_SECRET), "coatcheck").make(HANDLE)
    ring = CSRFTokens(KeyRing(SECRET, [OLD_SECRET]), "coatcheck")
    assert ring.verify(old, HANDLE)
    assert not ring.verify(old, OTHER)
    assert TOKENS.verify(ring.make(HANDLE), HANDLE)
    assert not TOKENS.verify(old, HANDLE)


def test_sec_84_what_makes_tokens_shows_no_key() -> None:
    """Nor does it leave the process."""
    assert repr(TOKENS) == "<CSRFTokens>"
    with pytest.raises(TypeError, match="build them from the configuration"):
        pickle.dumps(TOKENS)


# A session's tokens


def test_sec_70_a_token_holds_for_its_session_alone(harness: Harness) -> None:
    """For every request of it, and for nobody else's, signed in or not."""
    ann, bob, visitor = Browser(harness), Browser(harness), Browser(harness)
    ann.visit(sign_in("ann"))
    bob.visit(sign_in("bob"))
    token, another = token_of(ann), token_of(ann)
    assert token != another
    for _ in range(2):
        assert accepts(ann, token)
        assert accepts(ann, another)
    assert not accepts(bob, token)
    assert not accepts(visitor, token)
    assert not accepts(ann, token_of(bob))


@pytest.mark.parametrize(
    "end",
    [sign_in("ann"), sign_in("bob"), Session.regenerate, Session.logout, Session.destroy],
    ids=["login", "login of another", "regenerate", "logout", "destroy"],
)
def test_sec_70_a_token_ends_with_its_id(browser: Browser, end: Act) -> None:
    """Whatever gives the session another ID, in the same request already."""
    browser.visit(sign_in("ann", k=1))
    token = token_of(browser)
    exchange = browser.begin()
    assert exchange.session.verify_csrf(token)
    end(exchange.session)
    assert not exchange.session.verify_csrf(token)
    exchange.finish()
    assert not accepts(browser, token)
    browser.visit(put(k=2))
    assert not accepts(browser, token)
    assert accepts(browser, token_of(browser))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("ask", [sign_in("ann"), Session.regenerate])
def test_a_token_asked_for_after_login_is_for_the_session_to_come(
    browser: Browser, ask: Act, known: bool
) -> None:
    """So that the page that answers a sign-in can have a form."""
    if known:
        browser.visit(put(k=1))
    assert accepts(browser, token_of(browser, ask))


def test_a_token_outlives_what_does_not_change_the_id(clock: ManualClock, browser: Browser) -> None:
    """Writes, touches, `clear`, other times, and the end of the signing secret's time."""
    browser.visit(sign_in("ann"))
    token = token_of(browser)
    acts: list[Act] = [put(k=1), Session.clear, lambda session: session.set_expiry(idle=5000)]
    for act in acts:
        clock.advance(100)
        browser.visit(act)
        assert accepts(browser, token)
    later = Browser(browser.harness.twin(secret=OLD_SECRET, old_secrets=[SECRET]))
    later.id = browser.id or ""
    assert accepts(later, token)
    clock.advance(100)
    later.visit()
    assert later.id != browser.id
    assert accepts(later, token)
    assert accepts(browser, token)


@pytest.mark.parametrize(
    "token", [None, "", "x", "x" * 64, "x" * 1_000_000, b"x", 7, ["x"], "\ud800"]
)
def test_whatever_else_is_no_token(browser: Browser, token: Any) -> None:
    """Of a visitor, and of somebody known."""
    assert not accepts(browser, token)
    browser.visit(sign_in("ann"))
    assert not accepts(browser, token)
    assert not accepts(browser, browser.id)


def test_sec_07_a_token_is_no_session_id(harness: Harness, browser: Browser) -> None:
    """Sent as a cookie it is nobody's, and the store is not asked."""
    browser.visit(put(k=1))
    token = token_of(browser)
    harness.store.take()
    exchange = browser.begin(f"session={token}")
    assert exchange.session.is_new
    assert harness.store.take() == []
    assert harness.told(IDRejected) == []  # it does not even look like one


# A visitor's tokens


def test_asking_for_a_token_stores_the_session(harness: Harness, browser: Browser) -> None:
    """Empty as it is, for without its ID the token could never hold; once, and not again."""
    exchange = browser.begin()
    token = exchange.session.csrf_token()
    assert exchange.session.modified
    reply = exchange.finish()
    assert reply.sent == browser.id
    assert harness.store.take() == ["create"]
    assert accepts(browser, token)
    assert browser.saved() == {}
    harness.store.take()
    second = browser.begin()
    second.session.csrf_token()
    assert second.finish().cookie is None
    assert harness.store.take() == ["get"]


def test_a_session_that_a_token_was_asked_of_can_be_saved_at_once(browser: Browser) -> None:
    """`save()` does what the response would have done."""
    exchange = browser.begin()
    token = exchange.session.csrf_token()
    exchange.session.save()
    assert browser.harness.live() == [exchange.session.handle]
    assert exchange.finish().sent == browser.id
    assert accepts(browser, token)


def test_sec_44_checking_a_token_stores_nothing(harness: Harness, browser: Browser) -> None:
    """Whoever floods a form leaves no row, and is sent no cookie."""
    token = TOKENS.make(HANDLE)
    for value in (None, "x", token):
        exchange = browser.begin()
        assert not exchange.session.verify_csrf(value)
        reply = exchange.finish()
        assert (reply.cookie, reply.vary) == (None, ["Cookie"])
    assert harness.store.take() == []


@pytest.mark.parametrize("failed", [False, True])
def test_an_error_page_s_token_is_not_kept(harness: Harness, failed: bool) -> None:
    """As nothing else is that an error response has begun, unless it is asked for."""
    browser = Browser(harness if failed else Harness(save_on_error=True))
    exchange = browser.begin()
    token = exchange.session.csrf_token()
    reply = exchange.finish(failed=True)
    exchange.close(failed=True)
    assert (reply.cookie is None) == failed
    assert accepts(browser, token) != failed


@pytest.mark.parametrize("change", ["regenerate", "logout"])
def test_a_visitor_s_token_ends_in_the_same_request(browser: Browser, change: str) -> None:
    """After `logout` there is nothing left to be stored either."""
    exchange = browser.begin()
    token = exchange.session.csrf_token()
    getattr(exchange.session, change)()
    reply = exchange.finish()
    assert (reply.cookie is None) == (change == "logout")
    assert not accepts(browser, token)


def test_after_the_headers_a_token_needs_a_stored_session(browser: Browser) -> None:
    """What is known to the client goes on having tokens; a new ID could not be sent."""
    exchange = browser.begin()
    exchange.session.get("k")
    exchange.finish()
    with pytest.raises(ResponseStarted, match="headers have left"):
        exchange.session.csrf_token()
    exchange.close()
    assert browser.harness.store.take() == []
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session.get("k")
    exchange.finish()
    token = exchange.session.csrf_token()
    exchange.close()
    assert accepts(browser, token)


def test_a_destroyed_session_has_no_tokens(browser: Browser) -> None:
    """And accepts none."""
    browser.visit(put(k=1))
    token = token_of(browser)
    exchange = browser.begin()
    exchange.session.destroy()
    with pytest.raises(SessionEnded):
        exchange.session.csrf_token()
    assert not exchange.session.verify_csrf(token)


def test_in_flight_under_a_replaced_id_a_token_is_worth_nothing(browser: Browser) -> None:
    """The page of a request that a sign-in has overtaken is nobody's; nothing is stored for it."""
    browser.visit(put(k=1))
    token = token_of(browser)
    slow = browser.begin()
    harness, late = browser.harness, Browser(browser.harness)
    late.id = browser.id or ""
    browser.visit(sign_in("ann"))
    harness.store.take()
    assert not slow.session.verify_csrf(token)
    made = slow.session.csrf_token()
    assert slow.finish(deliver=False).cookie is None
    assert harness.store.take() == ["get"]
    assert harness.dropped() == []
    slow.session["k"] = 2
    slow.close()
    (told,) = harness.told(ChangesDropped)
    assert (told.handle, told.keys) == (harness.identity(late.id).handle, ("k",))
    assert not accepts(browser, made)
    assert not accepts(late, made)


def test_without_a_web_too(clock: ManualClock) -> None:
    """A manager's session makes the same tokens, also one that was found by its handle."""
    harness = Harness(time=clock)
    browser = Browser(harness)
    browser.visit(put(k=1))
    manager = SessionManager(secret=SECRET, store=harness.store.inner, clock=clock, purge="never")
    session = manager.open(browser.id or "")
    assert session is not None
    assert accepts(browser, session.csrf_token())
    found = manager.find(session.handle)
    assert found is not None
    assert found.verify_csrf(token_of(browser))


def test_a_token_costs_one_derived_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derived when one is first asked for, and never again."""
    harness = Harness()
    derived: list[str] = []
    subkey = type(harness.runtime.keys.keys[0]).subkey

    def count(key: Any, purpose: str) -> bytes:
        derived.append(purpose)
        return subkey(key, purpose)

    monkeypatch.setattr("coatcheck.keys.Key.subkey", count)
    browser = Browser(harness)
    browser.visit(put(k=1))
    assert derived == []
    for _ in range(3):
        assert accepts(browser, token_of(browser))
    assert derived == ["csrf"]
