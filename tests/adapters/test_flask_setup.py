"""Setting Flask up: the extension, factories, the bare interface, `app.config` as it changes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import pytest

from coatcheck import ConfigurationError
from coatcheck.store import MemoryStore
from coatcheck_flask import Coatcheck, CoatcheckSessionInterface
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap
from tests.core.cookiejar import parse


def counting(app: flask.Flask) -> flask.Flask:
    """Give the application a view that counts visits."""

    @app.route("/")
    def view() -> str:  # pyright: ignore[reportUnusedFunction]
        flask.session["n"] = flask.session.get("n", 0) + 1
        return str(flask.session["n"])

    return app


def configure(app: flask.Flask, settings: Mapping[str, Any]) -> None:
    """Set keys of the configuration."""
    for key, value in settings.items():
        app.config[key] = value


def application(**config: Any) -> flask.Flask:
    """Return an application with a secret and that configuration."""
    app = counting(flask.Flask("site"))
    configure(app, {"SECRET_KEY": SECRET, **config})
    return app


def attributes(app: flask.Flask, **request: Any) -> dict[str, str | None]:
    """Return the attributes of the cookie of a first visit."""
    response = app.test_client().get("/", **request)
    return parse(response.headers["Set-Cookie"]).attributes


def test_everything_can_stand_in_the_configuration(tmp_path: Path) -> None:
    """Under Flask's names and ours."""
    app = application(
        SESSION_STORE=f"sqlite:///{tmp_path / 'sessions.db'}",
        SESSION_EXPIRE=100,
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_DOMAIN="example.org",
        SESSION_COOKIE_PATH="/a",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
    )
    extension = Coatcheck(app)
    assert app.extensions["coatcheck"] is extension
    response = app.test_client().get("/", base_url="https://www.example.org")
    cookie = parse(response.headers["Set-Cookie"])
    assert (cookie.name, cookie.attributes) == (
        "sid",
        {
            "path": "/a",
            "domain": "example.org",
            "httponly": None,
            "samesite": "Strict",
            "secure": None,
        },
    )
    assert (tmp_path / "sessions.db").exists()


def test_a_key_with_flask_s_default_counts_as_unset() -> None:
    """So Secure follows the scheme, and SameSite is Lax."""
    app = application(
        SESSION_COOKIE_SECURE=False, SESSION_COOKIE_SAMESITE=None, SESSION_COOKIE_HTTPONLY=True
    )
    Coatcheck(app)
    assert attributes(app) == {"path": "/", "httponly": None, "samesite": "Lax"}
    assert attributes(app, base_url="https://example.org") == {
        "path": "/",
        "httponly": None,
        "samesite": "Lax",
        "secure": None,
    }


def test_keywords_win_over_the_configuration() -> None:
    """One by one."""
    app = application(SESSION_COOKIE_SAMESITE="Strict", SESSION_EXPIRE=100)
    Coatcheck(app, cookie_options={"samesite": "None"}, expire=50)
    assert attributes(app, base_url="https://example.org")["samesite"] == "None"
    session_interface: Any = app.session_interface
    assert session_interface.lifecycle(app).runtime.config.expire == 50


def test_refresh_each_request_false_turns_sliding_off() -> None:
    """The session ends at its first deadline, however often it is read."""
    from coatcheck.testing import ManualClock

    clock = ManualClock()
    app = flask.Flask("site")
    configure(app, {"SECRET_KEY": SECRET, "SESSION_REFRESH_EACH_REQUEST": False})
    tap = Tap(MemoryStore(clock=clock))
    store: Any = tap.store
    Coatcheck(app, store=store, clock=clock, purge="never")

    @app.route("/<what>")
    def view(what: str) -> str:  # pyright: ignore[reportUnusedFunction]
        if what == "write":
            flask.session["a"] = 1
        return str(flask.session.get("a"))

    client = app.test_client()
    client.get("/write")
    for _ in range(2):
        clock.advance(1799)
        assert client.get("/read").text == "1"
    assert "touch" not in tap.calls
    clock.advance(2)
    assert client.get("/read").text == "None"


def test_an_application_factory() -> None:
    """One extension, made before the applications, serves several of them."""
    extension = Coatcheck(store=MemoryStore())

    def create(name: str) -> flask.Flask:
        app = counting(flask.Flask(name))
        app.config["SECRET_KEY"] = SECRET
        extension.init_app(app)
        return app

    first, second = create("first"), create("second")
    cookie = parse(first.test_client().get("/").headers["Set-Cookie"])
    client = second.test_client()
    client.set_cookie(cookie.name, cookie.value)
    assert client.get("/").text == "2"


def test_applications_without_a_store_share_nothing() -> None:
    """Each has a memory of its own, also where one interface serves them."""
    interface = CoatcheckSessionInterface()
    value = ""
    for _ in range(3):
        app = application()
        app.session_interface = interface
        client = app.test_client()
        client.set_cookie("session", value)
        response = client.get("/")
        assert response.text == "1"
        value = parse(response.headers["Set-Cookie"]).value


@pytest.mark.parametrize("missing", ["SECRET_KEY"])
def test_a_missing_secret_is_said_with_its_remedy(missing: str) -> None:
    """By the extension at once, by the bare interface at the first request."""
    app = counting(flask.Flask("site"))
    with pytest.raises(ConfigurationError, match=rf"{missing} .*secrets\.token_urlsafe"):
        Coatcheck(app)
    app.session_interface = CoatcheckSessionInterface()
    app.testing = True
    with pytest.raises(ConfigurationError, match=rf"{missing} .*secrets\.token_urlsafe"):
        app.test_client().get("/")
    app.config[missing] = SECRET
    assert app.test_client().get("/").text == "1"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("SESSION_EXPIRES", 5, "SESSION_EXPIRE"),
        ("SESSION_TYPE", "redis", "SESSION_STORE"),
        ("SESSION_COOKIE_SAMESITE", "Sometimes", "samesite"),
        ("SESSION_STORE", "carrier-pigeon://", "carrier-pigeon"),
        ("SECRET_KEY_FALLBACKS", "old", "SECRET_KEY_FALLBACKS"),
    ],
)
def test_what_is_wrong_is_said_at_once(key: str, value: object, words: str) -> None:
    """By its name, with the remedy."""
    with pytest.raises(ConfigurationError, match=words):
        Coatcheck(application(**{key: value}))


def test_the_bare_interface_on_an_application() -> None:
    """Without the extension: it reads the configuration by itself."""
    app = application(SESSION_COOKIE_NAME="sid")
    app.session_interface = CoatcheckSessionInterface(store=MemoryStore())
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert client.get_cookie("sid") is not None


def test_the_bare_interface_on_a_class() -> None:
    """For all of its applications, each with its own configuration."""

    class Shop(flask.Flask):
        session_interface = CoatcheckSessionInterface(store=MemoryStore())

    for name in ("a", "b"):
        app = counting(Shop(name))
        configure(app, {"SECRET_KEY": SECRET, "SESSION_COOKIE_NAME": f"sid-{name}"})
        client = app.test_client()
        assert [client.get("/").text for _ in range(2)] == ["1", "2"]
        assert client.get_cookie(f"sid-{name}") is not None


def test_the_bare_interface_answers_an_outage_too() -> None:
    """In a view, as the extension does."""
    app = application()
    tap = Tap(MemoryStore())
    store: Any = tap.store
    app.session_interface = CoatcheckSessionInterface(store=store)
    client = app.test_client()
    client.get("/")
    tap.break_down()
    response = client.get("/")
    assert (response.status_code, response.headers.getlist("Set-Cookie")) == (503, [])


def test_the_configuration_is_read_at_each_request() -> None:
    """What changes in it takes effect, in place or not, and no session is lost by that."""
    app = application()
    app.session_interface = CoatcheckSessionInterface()
    client = app.test_client()
    assert client.get("/").text == "1"
    app.config["SESSION_COOKIE_SAMESITE"] = "Strict"
    assert attributes(app)["samesite"] == "Strict"
    app.config["UNRELATED"] = 1
    assert client.get("/").text == "2"
    new = secrets.token_urlsafe(32)
    fallbacks: list[str] = []
    app.config["SECRET_KEY_FALLBACKS"] = fallbacks
    assert client.get("/").text == "3"
    app.config["SECRET_KEY"] = new
    fallbacks.append(SECRET)
    response = client.get("/")
    assert response.text == "4"
    assert "Set-Cookie" in response.headers


def test_a_list_that_changes_in_place_is_noticed() -> None:
    """A fallback that is appended counts from the next request on."""
    fallbacks: list[str] = []
    app = application(SECRET_KEY_FALLBACKS=fallbacks)
    app.session_interface = CoatcheckSessionInterface()
    client = app.test_client()
    assert client.get("/").text == "1"
    app.config["SECRET_KEY"] = secrets.token_urlsafe(32)
    other = app.test_client()
    assert other.get("/").text == "1"
    fallbacks.append(SECRET)
    assert client.get("/").text == "2"


def test_another_store_may_be_named_later(tmp_path: Path) -> None:
    """And is used from then on."""
    app = application()
    interface = CoatcheckSessionInterface()
    app.session_interface = interface
    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["1", "2"]
    app.config["SESSION_STORE"] = f"sqlite:///{tmp_path / 'sessions.db'}"
    assert client.get("/").text == "1"
    served = interface.lifecycle(app)
    app.config["UNRELATED"] = 1
    assert interface.lifecycle(app) is served


def test_expired_sessions_are_purged_after_responses() -> None:
    """At most every ten minutes, and only where somebody looked."""
    tap = Tap(MemoryStore())
    store: Any = tap.store
    app = application()
    Coatcheck(app, store=store)
    client = app.test_client()
    for _ in range(3):
        client.get("/")
    assert tap.calls.count("claim_purge") == tap.calls.count("purge") == 1


def test_an_unchanged_configuration_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor after a change that does not concern sessions, but once."""
    from coatcheck import SessionConfig

    app = application()
    app.session_interface = CoatcheckSessionInterface()
    client = app.test_client()
    client.get("/")
    reads: list[object] = []
    read = SessionConfig.from_mapping

    def noted(*given: Any, **options: Any) -> SessionConfig:
        reads.append(given)
        return read(*given, **options)

    monkeypatch.setattr(SessionConfig, "from_mapping", noted)
    client.get("/")
    assert reads == []
    app.config["UNRELATED"] = 1
    for _ in range(3):
        client.get("/")
    assert len(reads) == 1


def test_several_workers_without_a_store_are_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memories cannot see each other."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "-w 4")
    with pytest.warns(UserWarning, match="several worker processes"):
        Coatcheck(application())
    Coatcheck(application(SESSION_STORE="memory://"))


def test_another_interface_may_take_over() -> None:
    """An extension that is set up a second time, with another store, is what counts."""
    app = application()
    first, second = MemoryStore(), MemoryStore()
    Coatcheck(app, store=first)
    Coatcheck(app, store=second)
    app.test_client().get("/")
    assert [len(store.scan()[0]) for store in (first, second)] == [0, 1]


def test_every_option_of_flask_is_understood_without_a_warning() -> None:
    """The default configuration of any application is."""
    Coatcheck(application())
