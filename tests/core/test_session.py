"""The session beside its data: its identity, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from coatcheck.errors import (
    ConfigurationError,
    ResponseStarted,
    SessionEnded,
    SignInRequired,
    UnserializableValue,
)
from coatcheck.face import visit_of
from coatcheck.session import Session, SessionIDText
from tests.core.harness import Browser, Harness, put, sign_in

DAY = 86_400.0
Act = Callable[[Any], object]


# Identity


def test_untouched_it_is_not_accessed(harness: Harness, browser: Browser) -> None:
    """A session that nobody looked at says so, and its repr does not look either."""
    session = browser.begin().session
    assert not session.accessed
    assert not session.modified
    assert repr(session) == "<Session unopened>"
    assert visit_of(session) is None
    assert harness.store.calls == []


USES: dict[str, Act] = {
    "in": lambda session: "k" in session,
    "len": len,
    "iter": list,
    "bool": bool,
    "eq": lambda session: session == {},
    "ne": lambda session: session != {},
    "or": lambda session: session | {},
    "ror": lambda session: {} | session,
    "ior": lambda session: session.__ior__({}),
    "getitem": lambda session: session["k"],
    "delitem": lambda session: session.__delitem__("k"),
    "setitem": lambda session: session.__setitem__("k", 1),
    "get": lambda session: session.get("k"),
    "keys": lambda session: list(session.keys()),
    "values": lambda session: list(session.values()),
    "items": lambda session: list(session.items()),
    "pop": lambda session: session.pop("k", None),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("k"),
    "update": lambda session: session.update(),
    "clear": lambda session: session.clear(),
    "copy": lambda session: session.copy(),
    "slice": lambda session: session.slice("k"),
    "id": lambda session: session.id,
    "handle": lambda session: session.handle,
    "user_id": lambda session: session.user_id,
    "is_new": lambda session: session.is_new,
    "created_at": lambda session: session.created_at,
    "expires_at": lambda session: session.expires_at,
    "last_seen_at": lambda session: session.last_seen_at,
    "csrf_token": lambda session: session.csrf_token(),
    "verify_csrf": lambda session: session.verify_csrf("x" * 64),
    "signed_in_at": lambda session: session.signed_in_at,
    "require_recent_auth": lambda session: session.require_recent_auth(60),
    "login": lambda session: session.login("ann"),
    "logout": lambda session: session.logout(),
    "regenerate": lambda session: session.regenerate(),
    "destroy": lambda session: session.destroy(),
    "set_expiry": lambda session: session.set_expiry(idle=60),
    "save": lambda session: session.save(),
    "refresh": lambda session: session.refresh(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_use_counts_as_a_look(browser: Browser, use: Act) -> None:
    """Whatever is asked of it, the session was accessed, and so the response has `Vary`."""
    exchange = browser.begin()
    with suppress(KeyError, SignInRequired):
        use(exchange.session)
    assert exchange.session.accessed
    assert exchange.finish().vary == ["Cookie"]


def test_no_public_use_is_left_out() -> None:
    """The table above has every method, property and operator of a session."""
    inert = {"accessed", "modified", "fromkeys"}
    public = {name for name in dir(Session) if not name.startswith("_")}
    assert public - inert <= USES.keys()


def test_the_id_is_that_of_the_cookie(browser: Browser) -> None:
    """The ID that a new session has before it is stored is the one that is sent then."""
    exchange = browser.begin()
    before, handle = exchange.session.id, exchange.session.handle
    assert len(before) == 68
    assert len(handle) == 32
    exchange.session["k"] = 1
    assert exchange.finish().sent == before == exchange.session.id
    assert browser.harness.live() == [handle]
    assert browser.begin().session.id == before


@pytest.mark.parametrize("ask", ["login", "regenerate"])
def test_the_id_to_come_is_known_at_once(browser: Browser, ask: str) -> None:
    """After `login` or `regenerate` the session shows the ID that it will have."""
    browser.visit(put(k=1))
    old = browser.id
    exchange = browser.begin()
    if ask == "login":
        exchange.session.login("ann")
    else:
        exchange.session.regenerate()
    assert exchange.session.id != old
    assert exchange.session.id == exchange.finish().sent == exchange.session.id


def test_is_new_until_it_was_stored_before(browser: Browser) -> None:
    """A session is new in the request that begins it, also after it is stored, and never again."""
    exchange = browser.begin()
    assert exchange.session.is_new
    exchange.session["k"] = 1
    exchange.finish()
    assert exchange.session.is_new
    assert not browser.begin().session.is_new


def test_modified_says_whether_something_would_be_saved(session: Session) -> None:
    """Reading is no change, nor handing out; a nested change is, until it is undone."""
    cart = session["cart"]
    assert not session.modified
    cart.append("milk")
    assert session.modified
    cart.pop()
    assert not session.modified
    session["n"] = 2
    assert session.modified


def test_setting_modified_makes_values_be_compared(browser: Browser) -> None:
    """`modified = True` is understood as in other frameworks; `False` keeps every change."""
    browser.visit(put(k=1))
    browser.harness.store.take()
    exchange = browser.begin()
    exchange.session.modified = True
    exchange.finish()
    assert browser.harness.store.take() == ["get"]
    exchange = browser.begin()
    exchange.session["k"] = 2
    exchange.session.modified = False
    exchange.finish()
    assert browser.saved() == {"k": 2}


def test_sec_84_repr_shows_neither_id_nor_data(browser: Browser, session: Session) -> None:
    """What lands in a log has the handle, and nothing that opens or fills a session."""
    assert len(session) == 4
    text = repr(session)
    assert session.handle in text
    assert "Ann" not in text
    assert session.id[10:] not in text
    assert "stored" in text
    name = SessionIDText(session)
    assert session.id not in repr(name)
    assert session.handle in repr(name)


def test_the_id_as_a_text_is_made_when_asked_for(harness: Harness, browser: Browser) -> None:
    """The text that stands for the ID equals it, and asks no store before it is read."""
    browser.visit(put(k=1))
    harness.store.take()
    session = browser.begin().session
    text = SessionIDText(session)
    assert harness.store.take() == []
    assert str(text) == browser.id
    assert text == browser.id
    assert text == SessionIDText(session)
    assert text != 5
    assert hash(text) == hash(browser.id)
    assert harness.store.take() == ["get"]


# login, logout, regenerate, destroy: what they ask and refuse


@pytest.mark.parametrize("user", [5, None, b"ann", ["ann"]])
def test_a_user_is_a_string(session: Session, user: Any) -> None:
    """A number is refused rather than turned into a string behind the program's back."""
    with pytest.raises(TypeError, match="write str"):
        session.login(user)


@pytest.mark.parametrize("user", ["", "x" * 1025, "ü" * 513, "\ud800"])
def test_a_user_fits_every_store(session: Session, user: str) -> None:
    """A user's name has 1 to 1024 bytes of UTF-8."""
    with pytest.raises(ValueError, match="user_id"):
        session.login(user)
    assert session.user_id is None


@pytest.mark.parametrize("user", ["0", "x" * 1024, "ü" * 512, " ", "a\nb"])
def test_any_other_string_is_a_user(browser: Browser, user: str) -> None:
    """Whatever fits is a user, the string "0" too."""
    browser.visit(sign_in(user))
    assert browser.user() == user


def test_keep_is_no_string(session: Session) -> None:
    """A bare string would be taken for a list of letters."""
    with pytest.raises(TypeError, match=r"keep=\['cart'\]"):
        session.login("ann", keep="cart")


@pytest.mark.parametrize("remember", [0, -1, "1d", True, float("nan"), timedelta(days=401)])
def test_a_sign_in_that_is_refused_changes_nothing(session: Session, remember: Any) -> None:
    """A mistake in one argument leaves data, user and ID as they were."""
    before, handle = session.copy(), session.handle
    with pytest.raises(ConfigurationError):
        session.login("ann", keep=[], remember=remember)
    assert session == before
    assert session.user_id is None
    assert session.handle == handle


def test_a_value_that_does_not_encode_stops_the_sign_in(session: Session) -> None:
    """What cannot be stored is told at `login`, which then did nothing."""
    session["bad"] = object()
    with pytest.raises(UnserializableValue) as caught:
        session.login("ann")
    assert caught.value.key == "bad"
    assert session.user_id is None
    session.login("ann", keep=["name"])
    assert dict(session) == {"name": "Ann"}


def test_login_shows_at_once(session: Session) -> None:
    """User and data are, for the rest of the request, as they will be stored."""
    session.login("ann", keep=["name", "unknown"])
    assert session.user_id == "ann"
    assert dict(session) == {"name": "Ann"}
    session["after"] = 1
    session.login("bob")
    assert session.user_id == "bob"
    assert dict(session) == {}


def test_keep_only_ever_narrows(browser: Browser, session: Session) -> None:
    """What a first sign-in left behind does not come back with a second one."""
    exchange = browser.begin()
    exchange.session.login("ann", keep=["name", "n"])
    exchange.session.login("ann", keep=["name", "cart"])
    exchange.finish()
    assert browser.saved() == {"name": "Ann"}


def test_logout_goes_on_anonymous_and_empty(browser: Browser) -> None:
    """After `logout` there is a new session, which can be used."""
    browser.visit(sign_in("ann", k=1))
    exchange = browser.begin()
    old = exchange.session.handle
    exchange.session.logout()
    assert exchange.session.user_id is None
    assert dict(exchange.session) == {}
    assert exchange.session.is_new
    assert exchange.session.handle != old
    exchange.session["flash"] = "bye"
    exchange.finish()
    assert browser.read() == {"flash": "bye"}


CHANGES: dict[str, Act] = {
    "setitem": lambda session: session.__setitem__("k", 1),
    "delitem": lambda session: session.__delitem__("k"),
    "update": lambda session: session.update(k=1),
    "ior": lambda session: session.__ior__({"k": 1}),
    "pop": lambda session: session.pop("k", None),
    "setdefault": lambda session: session.setdefault("k", 1),
    "clear": lambda session: session.clear(),
    "login": lambda session: session.login("ann"),
    "regenerate": lambda session: session.regenerate(),
    "set_expiry": lambda session: session.set_expiry(idle=5),
    "modified": lambda session: setattr(session, "modified", True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_destroyed_session_takes_no_changes(session: Session, change: Act) -> None:
    """After `destroy` reading finds nothing, and writing raises."""
    session.destroy()
    assert dict(session) == {}
    assert session.user_id is None
    with pytest.raises(SessionEnded, match="destroyed"):
        change(session)
    session.destroy()
    session.logout()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_session_lost_to_another_request_says_so(
    browser: Browser, session: Session, change: Act
) -> None:
    """Once it is known that the session is gone, reading and writing raise."""
    session["n"] = 2
    browser.visit(lambda other: other.destroy())
    with pytest.raises(SessionEnded) as caught:
        session.save()
    assert caught.value.keys == ("n",)
    uses: list[Act] = [change, len, lambda lost: lost["n"], lambda lost: lost.get("n"), dict]
    for use in uses:
        with pytest.raises(SessionEnded, match="another request"):
            use(session)


@pytest.mark.parametrize("change", ["login", "regenerate", "set_expiry"])
def test_what_needs_a_header_raises_after_the_headers(browser: Browser, change: str) -> None:
    """A new ID cannot leave any more: the error says to do it earlier."""
    needy = dict(CHANGES)
    needy["set_expiry"] = lambda session: session.set_expiry(lifetime=60)
    browser.visit(put(k=1))
    exchange = browser.begin()
    assert exchange.session["k"] == 1
    exchange.finish()
    with pytest.raises(ResponseStarted, match="before the response starts"):
        needy[change](exchange.session)


def test_a_new_session_cannot_begin_after_the_headers(browser: Browser) -> None:
    """Storing something in a session that has no record raises then; reading does not."""
    exchange = browser.begin()
    assert exchange.session.get("k") is None
    exchange.finish()
    assert dict(exchange.session) == {}
    with pytest.raises(ResponseStarted, match="storing something in a new session"):
        exchange.session["k"] = 1


def test_what_needs_no_header_works_after_the_headers(browser: Browser) -> None:
    """Data, idle timeout and ending are the server's business alone."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    assert len(exchange.session) == 1
    exchange.finish()
    exchange.session["k"] = 2
    exchange.session.set_expiry(idle=60)
    exchange.close()
    assert browser.saved() == {"k": 2}
    assert browser.harness.record(browser.id).idle == 60
    exchange.session.logout()
    exchange.close()
    assert browser.harness.live() == []


@pytest.mark.parametrize("idle", [0, -1, True, "soon", float("inf"), float("nan"), 400 * DAY + 1])
@pytest.mark.parametrize("which", ["idle", "lifetime"])
def test_set_expiry_refuses_what_is_no_time(session: Session, which: str, idle: Any) -> None:
    """A timeout is a positive, finite time of at most 400 days, or indefinite."""
    with pytest.raises(ConfigurationError, match=which):
        session.set_expiry(**{which: idle})
