"""The session that is all in its cookie: what it keeps secret, what ends it, and what cannot."""

from __future__ import annotations

import base64
import json
import logging
import pickle  # noqa: TID251 - to see it refused, and to look at what it would take along
import warnings
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface

from coatcheck import (
    BearerState,
    ConfigurationError,
    EncryptedCookieStore,
    SessionManager,
)
from coatcheck.client_side import store as module
from coatcheck.cookies import PAIR_LIMIT
from coatcheck.errors import (
    ResponseStarted,
    SessionEnded,
    SessionError,
    SessionTooLarge,
    StoreError,
)
from coatcheck.events import ChangesDropped, Event, IDRejected, UnknownID
from coatcheck.store import AsyncSQLiteStore, MemoryStore, SQLiteStore
from coatcheck.testing import ManualClock
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from tests.adapters.doors import DOORS, play
from tests.adapters.site import (
    SECRET,
    Answer,
    Site,
    View,
    end,
    look,
    put,
    read,
    refreshed,
    renew,
    saved,
    sign_in,
)
from tests.adapters.taps import AsyncShelf, cookie_store
from tests.adapters.test_asgi import cookie_of
from tests.adapters.test_websocket import ACCEPT, CONNECT, socket
from tests.seeds.middleware import configured, everywhere

DAY = 86_400


def who(session: Any) -> str:
    """A view that shows who is signed in, and what is stored."""
    return f"{session.user_id} {dict(session)}"


def log_out(session: Any) -> None:
    """A view that signs out."""
    session.logout()


def manager(store: EncryptedCookieStore | None = None, **options: Any) -> SessionManager:
    """Return a manager of sessions in cookies."""
    options = {"secret": SECRET, "purge": "never", **options}
    return SessionManager(store=store or cookie_store(), **options)


def only_visitors() -> EncryptedCookieStore:
    """Return a store that signs nobody in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EncryptedCookieStore()


def store_of(site: Site) -> EncryptedCookieStore:
    """Return the store of a site."""
    store = site.tap.store
    assert isinstance(store, EncryptedCookieStore)
    return store


def opened(managing: SessionManager, session_id: str) -> str | None:
    """Return whose session an ID opens, and what is in it; `None`: none."""
    session = managing.open(session_id)
    return None if session is None else who(session)


# Signing in needs a way to end what nobody keeps


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
def test_sec_88_nobody_signs_in_where_nothing_can_be_revoked(door: str, tmp_path: Path) -> None:
    """`login` raises where it is called, and says what to write; visitors are served."""
    with DOORS[door]("cookie", tmp_path) as site:
        site.tap.store = only_visitors()
        site = site.twin()
        browser = site.browser()
        browser.get(put(a=1))

        def view(session: Any) -> str:
            with pytest.raises(ConfigurationError, match=r"revocations='.*revoked_since="):
                session.login("ann")
            return who(session)

        assert browser.get(view).body == "None {'a': 1}"
    with pytest.raises(ConfigurationError, match="revocations="):
        manager(only_visitors()).create("ann")
    with pytest.raises(ConfigurationError, match="revocations="):
        manager(only_visitors()).revoke_user("ann")


def test_sec_88_no_user_s_session_opens_where_revocations_are_no_longer_kept() -> None:
    """It may have been ended; a visitor's opens."""
    notes = cookie_store()
    user, visitor = manager(notes).create("ann").id, manager(notes).create(data={"a": 1}).id
    assert opened(manager(notes), user) == "ann {}"
    assert opened(manager(only_visitors()), user) is None
    assert opened(manager(only_visitors()), visitor) == "None {'a': 1}"


@everywhere(kind="cookie")
def test_sec_88_a_copy_is_worth_nothing_after_logout(site: Site) -> None:
    """Whichever copy, and the user's other sessions live on."""
    browser, phone, thief = site.browser(), site.browser(), site.browser()
    browser.get(sign_in("ann"))
    phone.get(sign_in("ann"))
    copies = [browser.id or ""]
    for n in range(3):
        browser.get(put(n=n))
        copies.append(browser.id or "")
    assert browser.get(log_out).deleted
    for copy in copies:
        thief.id = copy
        reply = thief.get(who)
        assert (reply.body, reply.cookie) == ("None {}", None)
    assert phone.get(who).body == "ann {}"
    thief.id = copies[-1]
    thief.get(put(mine=True))
    assert thief.get(who).body == "None {'mine': True}"
    assert len(site.told(UnknownID)) == 5


@everywhere(kind="cookie")
def test_sec_88_revoking_a_user_ends_all_copies(site: Site) -> None:
    """But what is kept; and what was void before is not brought back by being kept now."""
    first, second, third = (site.browser() for _ in range(3))
    managing = manager(store_of(site), clock=site.clock)
    handles: dict[str, str] = {}
    for name, browser in (("first", first), ("second", second)):
        browser.get(sign_in("ann"))
        handles[name] = str(browser.get(lambda session: session.handle).body)
    site.clock.advance(1)
    assert managing.revoke_user("ann", keep=[handles["first"]]) == 0
    assert (first.get(who).body, second.get(who).body) == ("ann {}", "None {}")
    held = second.id or ""
    site.clock.advance(1)
    third.get(sign_in("ann"))
    handles["third"] = str(third.get(lambda session: session.handle).body)
    site.clock.advance(1)
    managing.revoke_user("ann", keep=list(handles.values()))
    second.id = held
    assert [browser.get(who).body for browser in (first, second, third)] == [
        "ann {}",
        "None {}",
        "ann {}",
    ]
    managing.revoke_user("ann")
    assert [browser.get(who).body for browser in (first, third)] == ["None {}"] * 2
    site.clock.advance(1)
    first.get(sign_in("ann"))
    assert first.get(who).body == "ann {}"
    other = site.browser()
    other.get(sign_in("bob"))
    managing.revoke_user("ann")
    assert other.get(who).body == "bob {}"
    managing.revoke_user("bob")  # at the very time of the sign-in
    assert other.get(who).body == "None {}"


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
def test_sec_88_an_epoch_of_the_application_voids_every_copy(door: str, tmp_path: Path) -> None:
    """`revoked_since` is asked about users alone; a sign-in at that time is void, a later one not.

    `logout` ends the cookie in that browser, and the application moves the time where it wants to.
    """
    epochs: dict[str, float] = {}
    asked: list[str] = []

    def revoked_since(user_id: str) -> float | None:
        asked.append(user_id)
        return epochs.get(user_id)

    with DOORS[door]("cookie", tmp_path) as site:
        options: dict[str, Any] = {"secret": SECRET, "clock": site.clock, "purge": "never"}
        site.tap.store = cookie_store(revoked_since=revoked_since)
        site = site.twin(**options)
        browser, thief = site.browser(), site.browser()
        browser.get(put(a=1))
        browser.get(look)
        assert asked == []
        browser.get(sign_in("ann"))
        thief.id = browser.id or ""
        browser.get(log_out)
        assert thief.get(who).body == "ann {'a': 1}"
        epochs["ann"] = site.clock()
        assert thief.get(who).body == "None {}"
        site.clock.advance(1)
        browser.get(sign_in("ann"))
        assert browser.get(who).body == "ann {}"
        assert set(asked) == {"ann"}
    with pytest.raises(ConfigurationError, match=r"revoked_since\(\) looks"):
        manager(cookie_store(revoked_since=revoked_since)).revoke_user("ann")


@everywhere(kind="cookie")
def test_sec_88_sec_27_who_regenerates_or_signs_in_again_leaves_no_second_session(
    site: Site,
) -> None:
    """Where somebody is signed in, the old ID is worth nothing afterwards."""
    for act in (renew, sign_in("ann"), sign_in("bob")):
        browser, thief = site.browser(), site.browser()
        browser.get(sign_in("ann"))
        thief.id = browser.id or ""
        browser.get(act)
        assert browser.get(who).body in ("ann {}", "bob {}")
        assert thief.get(who).body == "None {}"


@everywhere(kind="cookie")
def test_sec_88_what_is_in_flight_when_a_session_ends_is_dropped_and_told(site: Site) -> None:
    """It sends no cookie, which would bring the session back."""
    browser, other = site.browser(), site.browser()
    for act in (log_out, end, renew):
        browser.get(sign_in("ann"))
        other.id = browser.id or ""
        site.events.clear()

        async def view(session: Any, act: Any = act) -> None:
            session["late"] = True
            await other.meanwhile(act)

        reply = browser.get(view)
        assert (reply.status, reply.cookie) == (200, None)
        assert site.dropped() == [("gone", ("late",))]


@everywhere(kind="cookie")
def test_sec_88_rollback_is_a_documented_limit(site: Site) -> None:
    """A copy of an older cookie of a session that goes on has the older data, signed in or not."""
    for begin in (put(), sign_in("ann")):
        browser, copy = site.browser(), site.browser()
        browser.get(begin)
        browser.get(put(credits=10))
        copy.id = browser.id or ""
        browser.get(put(credits=0))
        assert copy.get(read("credits")).body == "10"


@everywhere(kind="cookie")
def test_sec_88_of_parallel_requests_the_last_answer_wins(site: Site) -> None:
    """The other documented limit: nobody knows of the other one's change, so nothing merges."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session["mine"] = True
        await browser.meanwhile(put(theirs=True))

    browser.get(view)
    assert browser.get(look).body == "{'a': 1, 'mine': True}"


# What is inside, and whom it opens to


def test_sec_88_times_are_inside_and_the_server_judges_them() -> None:
    """Idle timeout, lifetime, and 400 days for what has neither, whatever the browser keeps."""
    clock = ManualClock()
    kinds: list[tuple[dict[str, Any], tuple[int, int]]] = [
        ({"expire": 100}, (99, 100)),
        ({"expire": 100, "lifetime": 50}, (49, 50)),
        ({"expire": None, "lifetime": 200}, (199, 200)),
        ({"expire": None, "lifetime": None}, (400 * DAY - 1, 400 * DAY)),
    ]
    for options, ages in kinds:
        managing = manager(clock=clock, **options)
        session_id = managing.create(data={"a": 1}).id
        begun = clock()
        for age, live in zip(ages, (True, False), strict=True):
            clock.set(begun + age)
            assert (managing.open(session_id) is not None) is live, (options, age)


def test_sec_88_sec_07_a_session_opens_in_its_own_cookie_only() -> None:
    """The namespace, the cookie's name and the purpose are authenticated."""
    here = manager()
    session_id = here.create(data={"a": 1}).id
    assert opened(here, session_id) == "None {'a': 1}"
    assert opened(manager(cookie_name="other"), session_id) is None
    assert opened(manager(cookie_store(namespace="other")), session_id) is None
    # Names are not run together.
    one = manager(cookie_store(namespace="a"), cookie_name="bc").create(data={"a": 1}).id
    assert opened(manager(cookie_store(namespace="ab"), cookie_name="c"), one) is None


def test_sec_88_sec_12_weak_secrets_are_refused() -> None:
    """Where the adapter is made: nothing but the secret stands between a client and the data."""
    kinds: list[dict[str, Any]] = [
        {"secret": "short"},
        {"secret": "a" * 64},
        {"secret": SECRET, "old_secrets": ["changeme"]},
    ]
    for weak in kinds:
        with pytest.raises(ConfigurationError, match=r"secret.*EncryptedCookieStore must not"):
            manager(**weak)


def test_sec_88_sec_10_a_secret_is_replaced_and_signs_nobody_out() -> None:
    """What the old one sealed opens, and goes out under the new one with the next change."""
    new_secret = "n3w-Wb8xN3kV7qY2tM9cJ4hS6gP1zF5rD0uLeQ"
    old = manager().create(data={"a": 1}).id
    both = manager(secret=new_secret, old_secrets=[SECRET])
    session = both.open(old)
    assert session is not None
    session["a"] = 2
    session.save()
    assert opened(manager(secret=new_secret), session.id) == "None {'a': 2}"
    assert opened(manager(secret=new_secret), old) is None


@everywhere(kind="cookie")
def test_sec_09_nothing_falls_back_to_what_is_not_encrypted(site: Site) -> None:
    """Signed and plain sessions of others, and of ours, are none: no data of them is seen."""
    data = {"admin": True}
    plain = json.dumps(data).encode()
    app = flask.Flask("other")
    app.secret_key = SECRET
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    signed = SessionManager(secret=SECRET, store=MemoryStore()).create(data=data).id
    planted = [
        base64.urlsafe_b64encode(plain).decode().rstrip("="),
        base64.urlsafe_b64encode(plain * 20).decode().rstrip("="),
        base64.urlsafe_b64encode(pickle.dumps(data) * 20).decode().rstrip("="),
        str(serializer.dumps(data)),
        str(serializer.dumps({**data, "long": "x" * 200})),
        signed,
        signed * 4,
        manager().create(data=data).id[:-24],
    ]
    for value in planted:
        reply = site.browser().get(look, headers=[("Cookie", f"session={value}")])
        assert (reply.status, reply.body, reply.cookie) == (200, "{}", None)
    assert len(site.told(IDRejected)) == 4
    # And a sealed one is nothing to a server that keeps sessions itself.
    sealed = manager().create(data=data).id
    assert SessionManager(secret=SECRET, store=MemoryStore()).open(sealed) is None


def test_sec_23_nothing_is_compressed_and_lengths_tell_little() -> None:
    """Data of one length has one length of a cookie, whatever it is (CRIME, BREACH)."""
    managing = manager()
    lengths = {len(managing.create(data={"a": text}).id) for text in ("x" * 60, "qwertyuiop" * 6)}
    assert len(lengths) == 1
    blocks = {len(managing.create(data={"a": "x" * size}).id) for size in range(120)}
    assert len(blocks) in (2, 3)


# The size of a cookie


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cookie_name": "__Host-a-rather-long-name-of-a-session"},
        {"cookie_options": {"domain": "www.example.org", "secure": True, "samesite": "None"}},
    ],
)
def test_sec_88_sec_53_what_does_not_fit_is_told_before_the_headers_leave(
    door: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """Name, value and attributes have 4096 octets at most; one more block is `SessionTooLarge`."""
    with DOORS[door]("cookie", tmp_path, **options) as site:
        browser = site.browser(https=True)
        fits, too_large = 2000, 4096
        while too_large - fits > 1:
            middle = (fits + too_large) // 2

            def view(session: Any, size: int = middle) -> None:
                session["text"] = "x" * size

            reply = browser.get(view)
            if reply.cookie is None:
                too_large = middle
                assert reply.status == 500
                assert reply.sent is None
            else:
                fits = middle
                assert len(reply.cookie) <= PAIR_LIMIT
        longest = browser.get(put(text="y" * fits)).cookie or ""
        assert len(longest.replace("Max-Age=2592000", "Max-Age=34560000")) > PAIR_LIMIT - 64 * 4 / 3
        assert fits > 2600

        async def caught(session: Any) -> str:
            session["text"] = "x" * too_large
            with pytest.raises(SessionTooLarge) as told:
                await saved(session)
            session["text"] = "short"
            assert told.value.size > told.value.limit
            return str(told.value)

        assert "keep large data elsewhere" in browser.get(caught).body
        assert browser.get(read("text")).body == "short"


# What comes too late


@everywhere(kind="cookie")
def test_sec_88_sec_58_after_the_headers_nothing_is_stored_and_somebody_is_told(site: Site) -> None:
    """An exception where the change is noticed at once; else the event, as nobody else can be."""
    browser = site.browser()
    browser.get(put(a=[1]))

    def refused(session: Any) -> str:
        for act in (
            lambda: session.update(b=1),
            session.clear,
            session.destroy,
            session.logout,
            session.regenerate,
            lambda: session.set_expiry(idle=1),
            lambda: session.login("ann"),
        ):
            with pytest.raises(ResponseStarted):
                act()
        return "."

    def nested(session: Any) -> str:
        session["a"].append(2)
        return "."

    def streaming(chunk: View) -> View:
        def view(session: Any) -> Answer:
            look(session)
            return Answer(["x", chunk])

        return view

    kinds: list[tuple[View, list[Any]]] = [(refused, []), (nested, [("late", ("a",))])]
    for chunk, dropped in kinds:
        reply = browser.get(streaming(chunk))
        assert (reply.status, reply.error) == (200, None)
        assert site.dropped() == dropped
        assert browser.get(look).body == "{'a': [1]}"


@everywhere(kind="cookie")
def test_what_was_saved_before_the_headers_leaves_with_them(site: Site) -> None:
    """However often; and a refresh shows this request's own."""
    browser = site.browser()

    async def view(session: Any) -> str:
        for n in range(3):
            session["n"] = n
            await saved(session)
        await refreshed(session)
        return look(session)

    assert browser.get(view).body == "{'n': 2}"
    assert browser.get(look).body == "{'n': 2}"


@everywhere(kind="cookie")
def test_a_refresh_finds_out_that_a_session_was_revoked(site: Site) -> None:
    """That is known, though no other request's data is."""
    browser, other = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    other.id = browser.id or ""

    async def view(session: Any) -> str:
        assert session.user_id == "ann"
        await other.meanwhile(log_out)
        with pytest.raises(SessionEnded):
            await refreshed(session)
        return "ended"

    assert browser.get(view).body == "ended"


# Nothing else gives it away


@everywhere(kind="cookie")
def test_sec_84_what_is_told_has_no_session_in_it(site: Site) -> None:
    """No event, handle, repr or pickled event takes data or a key along."""
    browser = site.browser()
    seen: list[Any] = []

    def view(session: Any) -> str:
        session["secret"] = "tell-nobody"
        session.login("ann")
        with pytest.raises(SessionError, match="kept in its cookie"):
            session.id  # noqa: B018 - a property
        seen.append(session.handle)
        assert type(session.handle) is str
        return ""

    browser.get(view)
    browser.get(log_out)
    events: list[Event] = site.events
    assert len(events) == 2
    taken = pickle.dumps(events) + repr([events, seen, site.tap.store]).encode()
    assert b"tell-nobody" not in taken
    assert pickle.loads(pickle.dumps(events)) == events
    assert (browser.id or "x" * 99).encode() not in taken


def test_sec_88_the_limits_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first store is made in a process."""
    monkeypatch.setattr(module, "_warned", False)
    with pytest.warns(UserWarning, match="a copy of an older cookie") as told:
        EncryptedCookieStore()
    only_once = EncryptedCookieStore()
    assert (len(told), repr(only_once)) == (1, "<EncryptedCookieStore namespace='coatcheck'>")
    assert told[0].filename == __file__


# What it cannot be set up with


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
def test_options_that_need_a_server_are_refused(door: str) -> None:
    """Where the adapter is made, and the error names what to do."""
    for options, word in (
        ({"state": BearerState()}, "leave state out"),
        ({"max_sessions_per_user": 1}, "max_sessions_per_user"),
        ({"encrypt": True}, "leave encrypt out"),
        ({"encrypt": "sealed"}, "leave encrypt out"),
        ({"rotate_every": 3600}, "rotate_every has no effect"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            configured(door, secret=SECRET, store=cookie_store(), **options)


def test_revocations_must_be_a_blocking_store_or_a_function(tmp_path: Path) -> None:
    """And one of the two."""
    given: list[tuple[dict[str, Any], str]] = [
        ({"revocations": MemoryStore(), "revoked_since": len}, "give one of them"),
        ({"revocations": AsyncSQLiteStore(tmp_path / "ended.db")}, "AsyncSQLiteStore is awaited"),
        ({"revocations": AsyncShelf()}, "a blocking store"),
        ({"revocations": "nonsense://"}, "nonsense"),
        ({"revoked_since": 12}, "revoked_since must be a function"),
    ]
    for options, word in given:
        with pytest.raises(ConfigurationError, match=word):
            EncryptedCookieStore(**options)


def test_nobody_lists_or_finds_what_nobody_keeps() -> None:
    """An empty list would be a wrong answer."""
    managing = manager()
    session = managing.create("ann")
    with pytest.raises(ConfigurationError, match="no list"):
        managing.sessions_of("ann")
    assert managing.find(session.handle) is None
    assert managing.delete(session.handle) is False
    assert managing.revoke(session.handle) is False
    assert opened(managing, session.id) == "ann {}"


# The revocations


@everywhere(kind="cookie")
def test_sec_43_what_is_not_known_to_be_good_opens_nothing(site: Site) -> None:
    """Where revocations cannot be read a user's request is a 503, and nobody is signed out."""
    notes: Any = store_of(site)._notes  # pyright: ignore[reportPrivateUsage]
    browser, visitor = site.browser(), site.browser()
    visitor.get(put(a=1))
    browser.get(sign_in("ann"))
    held = browser.id
    healthy = notes.get

    def broken(key: str) -> Any:
        raise StoreError("down")

    notes.get = broken
    reply = browser.get(who)
    assert (reply.status, reply.cookie, browser.id) == (503, None, held)
    assert visitor.get(look).body == "{'a': 1}"
    notes.get = healthy
    assert browser.get(who).body == "ann {}"


def test_revocations_are_kept_no_longer_than_the_last_copy_lives(tmp_path: Path) -> None:
    """A note has what can still be good, and goes with the last of it."""
    clock = ManualClock()
    notes = SQLiteStore(tmp_path / "ended.db", clock=clock)
    managing = manager(cookie_store(notes), clock=clock, lifetime=10 * DAY)
    copy = ""
    for _ in range(5):
        session = managing.create("ann")
        copy = session.id
        session.logout()
        session.save()
        clock.advance(4 * DAY)
    (key,), _ = notes.scan()
    stored = notes.get(key)
    assert stored is not None
    assert len(json.loads(stored.payload)["ended"]) == 3
    clock.advance(400 * DAY + 121)
    assert opened(managing, copy) is None
    assert managing.purge_expired() == 1
    notes.close()


def test_a_session_whose_lifetime_was_shortened_is_revoked_in_all_its_copies() -> None:
    """An older copy may be good for longer than what was signed out."""
    clock = ManualClock()
    managing = manager(clock=clock, expire=None, lifetime=10 * DAY)
    session = managing.create("ann")
    copy = session.id
    session.set_expiry(lifetime=60)
    session.save()
    session.logout()
    session.save()
    clock.advance(9 * DAY)
    managing.create("ann").logout()
    assert opened(managing, copy) is None


def test_a_foreign_record_among_the_revocations_opens_nothing() -> None:
    """Fail closed: it may have been what said that a session has ended."""
    notes = MemoryStore()
    managing = manager(cookie_store(notes))
    session = managing.create("ann")
    managing.revoke_user("bob")
    session_id = session.id
    session.logout()
    session.save()
    for payload in (b"rubbish", b"[]", b"{}", b'{"since": NaN, "keep": {}, "ended": {}}'):
        keys, _ = notes.scan()
        for key in keys:
            stored = notes.get(key)
            assert stored is not None
            notes.update(key, payload, version=stored.version, expires_at=None)
        with pytest.raises(StoreError, match="revocations"):
            managing.open(session_id)


def test_dropped_changes_are_told_in_the_log_without_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the handle and the keys."""
    caplog.set_level(logging.DEBUG, "coatcheck")
    managing = manager()
    session = managing.create("ann", {"a": "tell-nobody"})
    copy = managing.open(session.id)
    assert copy is not None
    session.logout()
    session.save()
    copy["a"] = "tell-nobody-either"
    with pytest.raises(SessionEnded):
        copy.save()
    assert "tell-nobody" not in caplog.text
    assert not [record for record in caplog.records if isinstance(record.args, ChangesDropped)]


# Through a WebSocket, in threads, and by every door


@pytest.mark.anyio
async def test_sec_88_a_websocket_gets_the_cookie_with_its_accept() -> None:
    """And nothing after it; that the session was revoked is seen by asking."""
    notes = cookie_store()
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        session["opened"] = True
        await send(ACCEPT)
        with pytest.raises(ResponseStarted, match="kept in its cookie"):
            session["late"] = True
        seen.append(dict(session))
        manager(notes).revoke_user("ann")
        with pytest.raises(SessionEnded):
            await session.refresh()

    session_id = manager(notes).create("ann", {"a": 1}).id
    middleware = ASGIMiddleware(app, secret=SECRET, store=notes, purge="never")
    sent, error = await play(middleware, socket(f"session={session_id}"), [CONNECT])
    assert error is None
    assert seen == [{"a": 1, "opened": True}]
    cookie = cookie_of(sent)
    assert cookie not in (None, f"session={session_id}")
    copy = manager().open((cookie or "").partition("=")[2])
    assert copy is not None
    assert who(copy) == "ann {'a': 1, 'opened': True}"


def test_sec_88_one_cookie_is_one_session_behind_every_door(tmp_path: Path) -> None:
    """With revocations in a file, which ASGI asks in threads; also by its URL, from a manager."""
    url = f"sqlite:///{tmp_path}/ended.db"
    clock = ManualClock()
    sites: list[Site] = []
    for door in ("wsgi", "flask", "asgi"):
        site = DOORS[door]("cookie", tmp_path)
        site.clock = clock
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            site.tap.store = EncryptedCookieStore(revocations=url)
        sites.append(site.twin(secret=SECRET, clock=clock))
    browsers = [site.browser() for site in sites]
    held = ""
    for number, (begins, goes_on) in enumerate(
        zip(browsers, [*browsers[1:], browsers[0]], strict=True)
    ):
        begins.get(sign_in(f"user-{number}"))
        begins.get(put(n=number))
        goes_on.id = held = begins.id or ""
        assert goes_on.get(who).body == f"user-{number} {{'n': {number}}}"
        assert goes_on.get(log_out).deleted
        assert begins.get(who).body == "None {}"
    assert manager(store_of(sites[0]), clock=clock).open(held) is None
    for site in sites:
        site.__exit__()
