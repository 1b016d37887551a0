"""S-117 to S-125: the session in the application's hands; it is its own helper."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import flask
import pytest
from starlette.requests import Request as StarletteRequest

import coatcheck_asgi
import coatcheck_flask
import coatcheck_wsgi
from coatcheck import AsyncSession, ConfigurationError, Session
from tests.adapters.site import Site, View, look, put
from tests.seeds.middleware import carriers, everywhere


def current(session: Any) -> Any:
    """Return the session itself, where Flask hands out a proxy of it."""
    return getattr(session, "_get_current_object", lambda: session)()


@everywhere()
def test_s_117_a_missing_key_raises_and_names_what_was_meant(site: Site) -> None:
    """`session[k]` is a `KeyError` with the key and a suggestion; `session.get(k)` is None."""
    browser = site.browser()
    browser.get(put(user_name="ann", cart=[]))

    def view(session: Any) -> str:
        with pytest.raises(KeyError, match=r"'usr_name' is not .*did you mean 'user_name'"):
            session["usr_name"]
        with pytest.raises(KeyError, match="'zzz' is not in the session") as caught:
            session["zzz"]
        assert "did you mean" not in str(caught.value)
        with pytest.raises(KeyError, match="did you mean 'cart'"):
            del session["carts"]
        assert session.get("usr_name") is None
        return str(session["user_name"])

    assert browser.get(view).body == "ann"


@everywhere()
def test_s_118_get_with_a_default(site: Site) -> None:
    """The default for a missing key, whatever it is; the value for one that is there, if false."""
    browser = site.browser()
    browser.get(put(a=1, none=None, zero=0, empty=[]))

    def view(session: Any) -> None:
        assert session.get("missing", "default") == "default"
        assert session.get("missing", None) is None
        assert session.get("missing", 0) == 0
        there: dict[str, Any] = {"a": 1, "none": None, "zero": 0, "empty": []}
        for key, value in there.items():
            assert session.get(key, "default") == value

    reply = browser.get(view)
    assert (reply.status, reply.error) == (200, None)


@everywhere()
def test_s_119_keys_are_set_tested_and_deleted(site: Site) -> None:
    """One or many at a time; of pairs that are none, none is set; `|=` goes on with the session."""
    browser = site.browser()

    def fill(session: Any) -> None:
        session["a"] = session["b"] = 1
        session.update({"c": 2}, d=3)
        session.update([("e", 4), ("f", 5)])
        for odd in (["g"], [("g",)], [("g", 1), ("h",)], {"g": 1, 2: 3}):
            with pytest.raises((TypeError, ValueError)):
                session.update(odd)
        whole = session
        whole |= {"i": 6}
        assert whole is session
        assert "a" in session
        assert "g" not in session

    assert browser.get(fill).status == 200
    stored = {"a": 1, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5, "i": 6}
    assert browser.get(look).body == repr(stored)

    def remove(session: Any) -> None:
        del session["a"]
        del session["b"], session["c"]
        assert session.pop("d") == 3
        assert session.pop("a", "gone") == "gone"
        assert "a" not in session

    assert browser.get(remove).status == 200
    assert browser.get(look).body == "{'e': 4, 'f': 5, 'i': 6}"


@everywhere()
def test_s_120_keys_are_the_application_s_all_of_them(site: Site) -> None:
    """Nothing is reserved: a key with an underscore is a key like any other."""
    browser = site.browser()
    data = {"_id": "mine", "_created": 1, "a": 2, "_": 3}
    browser.get(lambda session: session.update(data))
    assert browser.get(lambda session: list(session.keys())).body == repr(list(data))
    assert browser.get(lambda session: len(session)).body == "4"
    assert browser.get(look).body == repr(data)
    assert browser.get(lambda session: session.id).body == browser.id


@everywhere()
def test_s_121_id_is_the_id_and_methods_ask_for_the_rest(site: Site) -> None:
    """`regenerate()` and `destroy()` put nothing among the data."""
    browser = site.browser()
    browser.get(put(a=1))
    issued = browser.id
    assert browser.get(lambda session: session.id).body == issued

    def anew(session: Any) -> str:
        session.regenerate()
        return f"{session.id} {dict(session)}"

    def over(session: Any) -> str:
        session.destroy()
        return repr(dict(session))

    reply = browser.get(anew)
    assert reply.body == f"{browser.id} {{'a': 1}}"
    assert browser.id != issued
    assert browser.get(over).body == "{}"
    assert browser.id is None


@everywhere()
def test_s_122_what_the_helper_changes_the_middleware_stores(site: Site) -> None:
    """Through every way that a mapping offers, and through what it has handed out."""
    browser = site.browser()
    changes: list[View] = [
        lambda session: session.update(a=[1], b={"c": 1}, d=2),
        lambda session: session.setdefault("e", []).append(3),
        lambda session: session["b"].update(c=2),
        lambda session: session.get("a").append(2),
        lambda session: next(iter(session.values())).append(3),
        lambda session: dict(session.items())["b"].update(f=4),
        lambda session: session.slice("b")["b"].update(g=5),
        lambda session: session.pop("d"),
    ]
    for change in changes:
        assert browser.get(change).status == 200
    stored = {"a": [1, 2, 3], "b": {"c": 2, "f": 4, "g": 5}, "e": [3]}
    assert browser.get(look).body == repr(stored)


@everywhere()
def test_s_123_the_session_is_the_helper_itself(site: Site) -> None:
    """In environ, scope, `request.session` and `flask.session`; where none is, that is said."""
    seen, browser = carriers(site), site.browser()

    def view(session: Any) -> str:
        assert issubclass(type(current(session)), MutableMapping)
        if site.door == "flask":
            assert session is flask.session is coatcheck_flask.session
            assert isinstance(current(session), coatcheck_flask.FlaskSession)
        return str(session.handle)

    handle = browser.get(view).body
    assert len(handle) == 32
    (carrier,) = seen
    if site.door == "flask":
        with pytest.raises(RuntimeError, match="request context"):
            len(flask.session)
        return
    get_session: Any = (coatcheck_wsgi if site.door == "wsgi" else coatcheck_asgi).get_session
    session = get_session(carrier)
    assert session is carrier["coatcheck.session"]
    assert isinstance(session, Session if site.door == "wsgi" else AsyncSession)
    assert session.handle == handle
    if site.door == "asgi":
        request = StarletteRequest(carrier)
        assert request.session is get_session(request) is session
    no_session: list[dict[str, Any]] = [{}, {"coatcheck.session": {}}, {"session": session}]
    for nothing in no_session:
        with pytest.raises(ConfigurationError, match="wrap the application in SessionMiddleware"):
            get_session(nothing)


@everywhere()
def test_s_124_slice_skips_what_is_missing_and_clear_keeps_the_id(site: Site) -> None:
    """`slice` is a plain dict in the order asked for; `clear` empties the data and nothing else."""
    browser = site.browser()
    browser.get(lambda session: session.login("ann"))
    browser.get(put(a=1, b=[2], c=None))
    issued, born = browser.id, site.clock()
    site.clock.advance(10)

    def view(session: Any) -> str:
        part = session.slice("c", "zzz", "a")
        assert type(part) is dict
        part["a"] = "mine alone"
        assert session.slice() == session.slice("yyy") == {}
        return repr(session.slice("c", "zzz", "a"))

    assert browser.get(view).body == "{'c': None, 'a': 1}"
    assert browser.get(lambda session: session.clear()).all("set-cookie") == []
    kept = browser.get(lambda s: (dict(s), s.id == issued, s.user_id, s.created_at - born))
    assert kept.body == "({}, True, 'ann', 0.0)"


@everywhere(exclude=["/static"])
def test_s_125_one_session_a_request_and_a_test_whether_there_is_one(site: Site) -> None:
    """Whoever asks, and however often, is given the same; excluded paths have none."""
    seen, browser = carriers(site), site.browser()
    held: list[Any] = []

    def view(session: Any) -> None:
        held.extend((current(session), current(session)))
        session["a"] = 1

    browser.get(view)
    assert held[0] is held[1]
    excluded = browser.get(site.without_session, path="/static/a.css")
    assert (excluded.status, excluded.body) == (200, "no session")
    within, without = seen
    if site.door == "flask":
        return  # `without_session` saw that the stand-in is empty and takes no change
    assert "coatcheck.session" in within
    assert within["coatcheck.session"] is held[0]
    assert "coatcheck.session" not in without
    if site.door == "asgi":
        assert StarletteRequest(within).session is StarletteRequest(within).session is held[0]
        assert "session" not in without
