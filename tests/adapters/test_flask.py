"""What is peculiar to Flask: its attributes, its test client, its hooks, its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from wsgiref.util import FileWrapper

import flask
import pytest

from coatcheck import ResponseStarted, SessionError, SessionManager, StoreError
from coatcheck.events import ChangesDropped, Event
from coatcheck.store import MemoryStore
from coatcheck.testing import ManualClock
from coatcheck_flask import Coatcheck, FlaskSession, session
from tests.adapters.site import SECRET
from tests.adapters.taps import Tap
from tests.adapters.test_flask_setup import configure
from tests.adapters.test_wsgi import Server
from tests.core.cookiejar import parse

DAY = 86_400
View = TypeVar("View", bound=Callable[..., Any])


class Site:
    """A Flask application with the extension, on a counting memory store."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(clock=self.clock)
        self.tap = Tap(self.store)
        self.events: list[Event] = []
        self.app = flask.Flask("site")
        configure(self.app, options.pop("config", {}))
        self.options: dict[str, Any] = {
            "secret": SECRET,
            "clock": self.clock,
            "on_event": self.events.append,
            "purge": "never",
            **options,
        }
        Coatcheck(self.app, store=self.store, **self.options)
        self.client = self.app.test_client()

    def view(self, rule: str = "/") -> Callable[[View], View]:
        """Enter a view."""
        return self.app.route(rule)

    def stored(self) -> list[dict[str, Any]]:
        """Return the data of all sessions."""
        options = {name: self.options[name] for name in ("secret", "clock", "purge")}
        manager = SessionManager(store=self.store, **options)
        found = (manager.find(handle) for handle in self.store.scan()[0])
        return [one.copy() for one in found if one is not None]

    def dropped(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return reason and keys of all dropped changes."""
        return [(e.reason, tuple(e.keys)) for e in self.events if isinstance(e, ChangesDropped)]


@pytest.fixture
def site() -> Site:
    """An application with default options."""
    return Site()


def age_of(response: Any) -> str | None:
    """Return the Max-Age of the session cookie that a response sets, `"-"` if it sets none."""
    cookies = response.headers.getlist("Set-Cookie")
    assert len(cookies) <= 1
    return parse(cookies[0]).attributes.get("max-age") if cookies else "-"


def test_the_session_has_the_attributes_that_flask_s_own_has(site: Site) -> None:
    """`new`, `modified`, `accessed`, `permanent`, with what they mean there."""

    @site.view()
    def view() -> str:
        assert isinstance(flask.session, FlaskSession | object)
        assert not session.accessed
        seen = [session.new, session.accessed, session.modified, session.permanent]
        session["n"] = session.get("n", 0) + 1
        return repr([*seen, session.modified])

    assert site.client.get("/").text == "[True, True, False, False, True]"
    assert site.client.get("/").text == "[False, True, False, False, True]"


def test_nested_changes_need_no_modified(site: Site) -> None:
    """But who sets it, out of habit, does no harm."""

    @site.view("/<int:sets>")
    def view(sets: int) -> str:
        session.setdefault("cart", []).append(sets)
        if sets:
            session.modified = True
        return repr(session["cart"])

    assert site.client.get("/0").text == "[0]"
    assert site.client.get("/1").text == "[0, 1]"
    assert site.client.get("/0").text == "[0, 1, 0]"


def test_flash_messages(site: Site) -> None:
    """Shown once."""

    @site.view("/flash")
    def flash() -> str:
        flask.flash("saved", "info")
        return ""

    @site.view()
    def show() -> str:
        return repr(flask.get_flashed_messages(with_categories=True))

    site.client.get("/flash")
    assert site.client.get("/").text == "[('info', 'saved')]"
    assert site.client.get("/").text == "[]"


def test_session_transaction(site: Site) -> None:
    """Tests set up and inspect a session as they do with Flask's own."""

    @site.view()
    def view() -> str:
        session["seen"] = True
        return str(session["user"])

    with site.client.session_transaction() as planned:
        planned["user"] = "ann"
    assert site.client.get("/").text == "ann"
    with site.client.session_transaction() as found:
        assert dict(found) == {"user": "ann", "seen": True}
    assert site.stored() == [{"user": "ann", "seen": True}]


def test_the_session_can_be_read_after_the_request(site: Site) -> None:
    """`with client:` keeps the context."""

    @site.view()
    def view() -> str:
        session["a"] = 1
        return ""

    with site.client:
        site.client.get("/")
        assert flask.session["a"] == 1


def test_hooks_that_run_after_the_view_may_change_the_session(site: Site) -> None:
    """It is saved after all of them, once."""

    @site.view()
    def view() -> str:
        session["view"] = 1

        @flask.after_this_request
        def last(response: flask.Response) -> flask.Response:
            session["this"] = 2
            return response

        return ""

    @site.app.after_request
    def after(response: flask.Response) -> flask.Response:  # pyright: ignore[reportUnusedFunction]
        session["all"] = 3
        return response

    site.client.get("/")
    assert site.stored() == [{"view": 1, "this": 2, "all": 3}]
    assert site.tap.calls.count("create") == 1


def test_a_change_at_teardown_is_saved_or_said(site: Site) -> None:
    """When the response is closed; a new session cannot begin there."""
    raised: list[str] = []

    @site.view("/<looks>")
    def view(looks: str) -> str:
        if looks == "writes":
            session["a"] = 1
        return ""

    @site.app.teardown_request
    def teardown(error: BaseException | None) -> None:  # pyright: ignore[reportUnusedFunction]
        try:
            session["late"] = True
        except ResponseStarted as started:
            raised.append(str(started))

    site.client.get("/nothing", buffered=True)
    assert site.stored() == []
    assert len(raised) == 1
    site.client.get("/writes", buffered=True)
    assert site.stored() == [{"a": 1, "late": True}]
    site.client.get("/nothing", buffered=True)
    assert site.stored() == [{"a": 1, "late": True}]


def test_stream_with_context(site: Site) -> None:
    """A generator may use the session, and what it changes is saved."""

    @site.view()
    def view() -> flask.Response:
        session["a"] = 1

        def chunks() -> Iterator[str]:
            yield "x"
            session["a"] = 2
            yield "\N{SNOWMAN}"

        return flask.Response(flask.stream_with_context(chunks()), headers={"X-Mine": "1"})

    response = site.client.get("/", buffered=True)
    assert (response.text, response.headers["X-Mine"]) == ("x\N{SNOWMAN}", "1")
    assert site.stored() == [{"a": 2}]


def test_a_file_is_sent_as_ever(site: Site, tmp_path: Path) -> None:
    """Handed on to the server, and to conditional requests."""
    (tmp_path / "page.txt").write_text("content")

    @site.view()
    def view() -> flask.Response:
        session["a"] = 1
        return flask.send_file(tmp_path / "page.txt")

    response = site.client.get("/", buffered=True)
    assert response.text == "content"
    assert age_of(response) is None
    again = site.client.get("/", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
    again.close()


def test_a_file_keeps_the_wrapper_of_the_server(site: Site, tmp_path: Path) -> None:
    """So that the server can send it by itself (PEP 3333)."""
    (tmp_path / "page.txt").write_text("content")

    @site.view()
    def view() -> flask.Response:
        session["a"] = 1
        return flask.send_file(tmp_path / "page.txt")

    body: Any = Server(site.app, None, FileWrapper).call()
    assert isinstance(body, FileWrapper)
    body.close()


def test_a_stream_is_closed_where_the_client_left(site: Site) -> None:
    """Whatever its generator holds open is let go."""
    closed: list[bool] = []

    @site.view()
    def view() -> flask.Response:
        def chunks() -> Iterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append(True)

        return flask.Response(chunks())

    body: Any = Server(site.app).call()
    assert next(iter(body)) == b"a"
    body.close()
    assert closed == [True]


def test_static_files_cost_nothing(site: Site, tmp_path: Path) -> None:
    """Nobody looks at the session there."""
    site.app.static_folder = str(tmp_path)
    (tmp_path / "a.css").write_text("")

    @site.view()
    def view() -> str:
        session["a"] = 1
        return ""

    site.client.get("/")
    site.tap.take()
    response = site.client.get("/static/a.css")
    assert (response.status_code, response.headers.getlist("Vary")) == (200, [])
    assert site.tap.take() == []
    response.close()


def test_an_unhandled_exception_keeps_nothing(site: Site) -> None:
    """In production it is a 500, in tests it comes through; the session is as it was."""

    @site.view("/<what>")
    def view(what: str) -> str:
        session["n"] = what
        if what == "crash":
            raise ZeroDivisionError
        return ""

    site.client.get("/fine")
    site.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert site.client.get("/crash").status_code == 500
    assert site.stored() == [{"n": "fine"}]
    assert site.dropped() == [("error", ("n",))]
    site.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        site.client.get("/crash")
    assert site.stored() == [{"n": "fine"}]


def test_a_handled_exception_keeps_what_its_status_says(site: Site) -> None:
    """A 404 keeps, a 500 drops."""

    @site.view("/<int:status>")
    def view(status: int) -> str:
        session["status"] = status
        flask.abort(status)

    site.client.get("/404")
    site.client.get("/500")
    assert site.stored() == [{"status": 404}]


def test_an_outage_in_a_view_is_a_503(site: Site) -> None:
    """In production and in tests, without a word to the client of what is broken."""

    @site.view()
    def view() -> str:
        return str(session.get("a"))

    with site.client.session_transaction() as planned:
        planned["a"] = 1
    site.tap.break_down()
    for testing in (False, True):
        site.app.testing = testing
        response = site.client.get("/")
        assert (response.status_code, age_of(response)) == (503, "-")
        assert "fire" not in response.text
        assert response.headers["Cache-Control"] == "no-store"
    assert site.client.get_cookie("session") is not None


@pytest.mark.parametrize("code", [StoreError, 503, Exception])
def test_an_application_may_answer_an_outage_itself(code: Any) -> None:
    """Its own handler is left in place, when it was there before; later ones win as Flask says."""
    app = flask.Flask("site")
    tap = Tap(MemoryStore())

    def handler(error: Exception) -> tuple[str, int]:
        return "our own page", 503

    app.register_error_handler(StoreError, handler)
    store: Any = tap.store
    Coatcheck(app, store=store, secret=SECRET)

    @app.route("/")
    def view() -> str:  # pyright: ignore[reportUnusedFunction]
        session["a"] = 1
        session.save()
        return ""

    tap.break_down()
    assert app.test_client().get("/").text == "our own page"


def test_an_outage_at_the_save_takes_the_place_of_the_page(site: Site, tmp_path: Path) -> None:
    """Whatever was to be sent: a text, a stream, which is closed, a file."""
    closed: list[str] = []
    seen: list[bytes] = []
    (tmp_path / "page.txt").write_text("content")

    def look(sender: object, response: flask.Response) -> None:
        seen.append(response.get_data())

    flask.request_finished.connect(look, site.app)

    @site.view("/<what>")
    def view(what: str) -> Any:
        session["what"] = what
        site.tap.failing_once.append("update")
        if what == "file":
            return flask.send_file(tmp_path / "page.txt")
        if what == "stream":
            response = flask.Response(iter(["a", "b"]))
            response.call_on_close(lambda: closed.append(what))
            return response
        return "text", {"X-Secret": "1", "Content-Disposition": "attachment"}

    with site.client.session_transaction() as planned:
        planned["what"] = "nothing"
    for what in ("text", "stream", "file"):
        response = site.client.get(f"/{what}", buffered=True)
        assert (response.status_code, age_of(response)) == (503, "-")
        assert response.text == "The session store is out of reach. Please try again.\n"
        assert sorted(name for name, _ in response.headers) == [
            "Cache-Control",
            "Content-Length",
            "Content-Type",
        ]
    assert closed == ["stream"]
    assert seen == [b"The session store is out of reach. Please try again.\n"] * 3
    assert site.stored() == [{"what": "nothing"}]


def test_permanent_false_is_a_cookie_that_goes_with_the_browser(site: Site) -> None:
    """And the idle timeout `SESSION_EXPIRE`."""

    @site.view("/<key>")
    def view(key: str) -> str:
        session[key] = 1
        return str(session.expires_at)

    response = site.client.get("/a")
    assert age_of(response) is None
    assert response.text == str(site.clock() + 3600)


def test_permanent_true_lasts(site: Site) -> None:
    """`PERMANENT_SESSION_LIFETIME`, 31 days by default, is its idle timeout, no lifetime less."""

    @site.view("/<value>")
    def view(value: str) -> str:
        session.permanent = value == "on"
        session["value"] = value
        return str(session.permanent)

    @site.view()
    def read() -> str:
        return f"{session.get('value')} {session.permanent}"

    response = site.client.get("/on")
    assert (response.text, age_of(response)) == ("True", str(31 * DAY))
    assert age_of(site.client.get("/on")) == "-"
    site.clock.advance(30 * DAY)
    assert site.client.get("/").text == "on True"
    response = site.client.get("/off")
    assert (response.text, age_of(response)) == ("False", None)
    site.clock.advance(3600)
    assert site.client.get("/").text == "None False"


def test_a_permanent_session_ends_as_the_preset_says() -> None:
    """Flask's own 31 days, which nobody has chosen, do not outlast it."""
    site = Site(preset="aal3")

    @site.view()
    def view() -> str:
        session.permanent = True
        session["value"] = 1
        return ""

    reply = site.client.get("/")
    assert parse(reply.headers["Set-Cookie"]).attributes["max-age"] == "43200"
    site.clock.advance(899)
    assert len(site.stored()) == 1
    site.clock.advance(1)
    assert site.stored() == []


def test_permanent_alone_stores_nothing(site: Site) -> None:
    """An application may set it before every request: visitors get no row and no cookie of that."""

    @site.app.before_request
    def always() -> None:  # pyright: ignore[reportUnusedFunction]
        session.permanent = True

    @site.view("/<what>")
    def view(what: str) -> str:
        if what == "write":
            session["a"] = 1
        return ""

    response = site.client.get("/read")
    assert (age_of(response), site.stored()) == ("-", [])
    assert age_of(site.client.get("/write")) == str(31 * DAY)
    site.tap.take()
    assert age_of(site.client.get("/read")) == "-"
    assert site.tap.take() == ["get"]


def test_permanent_may_be_said_of_every_path() -> None:
    """In `before_request` it does nothing where a path has no session, nor does `modified`."""
    site = Site(exclude=["/static"])

    @site.app.before_request
    def say() -> None:
        session.permanent = True
        session.modified = True

    @site.view("/page")
    @site.view("/static/page")
    def page() -> str:
        return f"{session.permanent} {session.modified}"

    excluded, other = site.client.get("/static/page"), site.client.get("/page")
    assert (excluded.status_code, excluded.text) == (200, "True False")
    assert "Vary" not in excluded.headers
    assert other.text == "True False"
    assert site.tap.take() == []


def test_a_form_on_a_path_without_sessions_is_a_mistake() -> None:
    """Its token could never hold, so that the program is told; whatever it sends is refused."""
    site = Site(exclude=["/static"])

    @site.view("/static/form")
    def form() -> str:
        with pytest.raises(SessionError, match="SESSION_EXCLUDE"):
            session.csrf_token()
        return str(session.verify_csrf("x" * 64))

    assert site.client.get("/static/form").text == "False"
    assert site.tap.take() == []


@pytest.mark.parametrize("order", ["before", "after"])
def test_permanent_holds_for_a_sign_in_of_the_same_request(site: Site, order: str) -> None:
    """Before `login()` or after it, also where the old session was permanent already."""

    @site.view("/start")
    def start() -> str:
        session.permanent = True
        session["a"] = 1
        return ""

    @site.view("/login")
    def login() -> str:
        if order == "before":
            session.permanent = True
        session.login("ann")
        if order == "after":
            session.permanent = True
        return str(session.permanent)

    @site.view("/plain")
    def plain() -> str:
        session.login("ann")
        return str(session.permanent)

    @site.view("/remember")
    def remember() -> str:
        session.login("ann", remember=5 * DAY)
        return str(session.permanent)

    for path in ("/start", "/login"):
        assert age_of(site.client.get(path)) == str(31 * DAY)
    response = site.client.get("/plain")
    assert (response.text, age_of(response)) == ("False", None)
    response = site.client.get("/remember")
    assert (response.text, age_of(response)) == ("True", str(5 * DAY))


def test_permanent_cannot_change_in_a_stream(site: Site) -> None:
    """That needs a cookie."""

    @site.view()
    def view() -> flask.Response:
        session["a"] = 1

        def chunks() -> Iterator[str]:
            yield "x"
            with pytest.raises(ResponseStarted, match=r"session\.permanent"):
                session.permanent = True

        return flask.Response(flask.stream_with_context(chunks()))

    assert site.client.get("/", buffered=True).text == "x"


def test_a_class_of_views_and_blueprints_share_the_session(site: Site) -> None:
    """As ever."""
    blueprint = flask.Blueprint("shop", "shop", url_prefix="/shop")

    @blueprint.route("/")
    def shop() -> str:  # pyright: ignore[reportUnusedFunction]
        return str(session["a"])

    @site.view()
    def view() -> str:
        session["a"] = 1
        return ""

    site.app.register_blueprint(blueprint)
    site.client.get("/")
    assert site.client.get("/shop/").text == "1"


def test_templates_see_the_session(site: Site) -> None:
    """Under its name, and a look is a look."""

    @site.view()
    def view() -> str:
        return flask.render_template_string("{{ session.get('a', 'none') }} {{ 'b' in session }}")

    response = site.client.get("/")
    assert response.text == "none False"
    assert response.headers.getlist("Vary") == ["Cookie"]


def test_save_in_a_view_raises_what_the_view_can_handle() -> None:
    """Which a save after the view could not tell it."""
    from coatcheck import TooManySessions

    site = Site(max_sessions_per_user=1, evict="refuse")

    @site.view()
    def view() -> str:
        session.login("ann")
        try:
            session.save()
        except TooManySessions as error:
            return str(error)
        return "signed in"

    assert site.app.test_client().get("/").text == "signed in"
    assert "already has 1 live session" in site.app.test_client().get("/").text


def test_a_cookie_is_for_the_mount_point() -> None:
    """`APPLICATION_ROOT` binds it, as Flask's own."""
    site = Site(config={"APPLICATION_ROOT": "/shop"})

    @site.view()
    def view() -> str:
        session["a"] = 1
        return ""

    cookie = site.client.get("/").headers["Set-Cookie"]
    assert parse(cookie).attributes["path"] == "/shop"
