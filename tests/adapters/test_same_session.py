"""The same session everywhere: Flask, WSGI, ASGI, and managers in another process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, Unpack, cast

import flask
import pytest

from coatcheck.options import Options
from coatcheck_asgi import SessionMiddleware as ASGIMiddleware
from coatcheck_flask import Coatcheck
from coatcheck_wsgi import SessionMiddleware as WSGIMiddleware
from tests.adapters.doors import BODY, asgi_app, flask_app, play, reply_of, scope_of, wsgi_app
from tests.adapters.site import SECRET, Reply, Request, View, put, sign_in
from tests.adapters.test_wsgi import Server

ROOT = Path(__file__).resolve().parents[2]
Ask = Callable[[View], Reply]


class Everywhere:
    """One browser, and one site of which every part is another framework."""

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        self.cookie: str | None = None
        options["secret"] = SECRET
        self.wsgi = WSGIMiddleware(wsgi_app, store=url, **options)
        self.flask: flask.Flask = flask_app()
        Coatcheck(self.flask, store=url, **options)
        self.runner = asyncio.Runner()
        self.asgi = ASGIMiddleware(asgi_app, store=url, **options)
        self.doors: dict[str, Ask] = {
            "flask": lambda view: self._synchronous(self.flask, view),
            "wsgi": lambda view: self._synchronous(self.wsgi, view),
            "asgi": self._asynchronous,
        }

    def ask(self, door: str, view: View) -> Reply:
        """Visit one of the parts, and take its cookie along."""
        reply = self.doors[door](view)
        assert reply.error is None
        if reply.sent:
            self.cookie = f"session={reply.sent}"
        return reply

    def _synchronous(self, app: Any, view: View) -> Reply:
        server = Server(app, self.cookie)
        server.environ["test.request"] = Request(view)
        body = server.run().decode()
        return Reply(int(server.status[:3]), server.headers, body)

    def _asynchronous(self, view: View) -> Reply:
        headers = [("Cookie", self.cookie)] if self.cookie else []
        scope = scope_of(Request(view, headers=headers))
        return self.runner.run(self._play(scope))

    async def _play(self, scope: dict[str, Any]) -> Reply:
        return reply_of(*await play(self.asgi, scope, [BODY]))


class Elsewhere:
    """A process of its own, with both managers on the same store."""

    def __init__(self, url: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.adapters.elsewhere", url, SECRET],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *command: Any) -> Any:
        stdin, stdout = cast("IO[str]", self.child.stdin), cast("IO[str]", self.child.stdout)
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def close(self) -> None:
        self.child.communicate()


@pytest.fixture(params=["sqlite:///{}/sessions.db", "file://{}/sessions"], ids=["sqlite", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that several processes can share."""
    scheme: str = request.param
    return scheme.format(tmp_path)


@pytest.fixture
def everywhere(url: str) -> Iterator[Everywhere]:
    """The site."""
    site = Everywhere(url)
    yield site
    site.runner.close()


@pytest.fixture
def elsewhere(url: str) -> Iterator[Elsewhere]:
    """The other process."""
    child = Elsewhere(url)
    yield child
    child.close()


def show(session: Any) -> str:
    """A view that shows who is there and what is stored."""
    return f"{session.user_id} {sorted(session.items())}"


def test_one_cookie_one_key_one_record(everywhere: Everywhere, elsewhere: Elsewhere) -> None:
    """Signed in with Flask, read by WSGI, changed by ASGI, listed and revoked elsewhere."""
    handle = everywhere.ask("flask", lambda session: session.login("ann") or session.handle).body
    cookie = everywhere.cookie
    everywhere.ask("flask", put(cart=["apple"]))
    assert everywhere.ask("wsgi", show).body == "ann [('cart', ['apple'])]"
    everywhere.ask("asgi", lambda session: session["cart"].append("pear"))
    for door in everywhere.doors:
        assert everywhere.ask(door, show).body == "ann [('cart', ['apple', 'pear'])]"
    assert everywhere.cookie == cookie

    expected = [{"handle": handle, "user": "ann", "data": {"cart": ["apple", "pear"]}}]
    for kind in ("blocking", "async"):
        assert elsewhere(kind, "list", "ann") == expected
    assert elsewhere("blocking", "change", handle, {"note": "hello"}) is True
    for door in everywhere.doors:
        assert "('note', 'hello')" in everywhere.ask(door, show).body

    assert elsewhere("async", "revoke", handle) is True
    for door in everywhere.doors:
        assert everywhere.ask(door, show).body == "None []"
    assert elsewhere("blocking", "revoke", handle) is False
    assert elsewhere("blocking", "list", "ann") == []


@pytest.mark.parametrize("encrypt", [True, "sealed"])
def test_an_encrypted_session_is_one_everywhere(url: str, encrypt: Literal[True, "sealed"]) -> None:
    """What one front encrypts the others read, change, and pass on to the next ID."""
    site = Everywhere(url, encrypt=encrypt)
    try:
        site.ask("flask", sign_in("ann"))
        site.ask("wsgi", put(cart=["apple"]))
        site.ask("asgi", lambda session: session["cart"].append("pear"))
        site.ask("wsgi", lambda session: session.regenerate())
        for door in site.doors:
            assert site.ask(door, show).body == "ann [('cart', ['apple', 'pear'])]"
        site.ask("asgi", lambda session: session.login("ann"))
        site.ask("flask", put(note="hello"))
        assert site.ask("wsgi", lambda session: session["note"]).body == "hello"
    finally:
        site.runner.close()


def test_sec_38_all_sessions_of_a_user_end_at_once(
    everywhere: Everywhere, elsewhere: Elsewhere
) -> None:
    """Wherever they were begun; another user's go on."""
    cookies: dict[str, str | None] = {}
    for door in everywhere.doors:
        for user in ("ann", "bob"):
            everywhere.cookie = None
            everywhere.ask(door, sign_in(user))
            cookies[f"{door} {user}"] = everywhere.cookie
    assert len(elsewhere("async", "list", "ann")) == 3
    assert elsewhere("async", "revoke_user", "ann") == 3
    for begun, cookie in cookies.items():
        for door in everywhere.doors:
            everywhere.cookie = cookie
            expected = "bob []" if begun.endswith("bob") else "None []"
            assert everywhere.ask(door, show).body == expected, (begun, door)


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_session_that_a_program_made_is_good_everywhere(
    kind: str, everywhere: Everywhere, elsewhere: Elsewhere
) -> None:
    """Its ID is a cookie's value, and the ID of a cookie is what a program opens."""
    session_id = elsewhere(kind, "create", "ann", {"n": 1})
    for door in everywhere.doors:
        everywhere.cookie = f"session={session_id}"
        assert everywhere.ask(door, show).body == "ann [('n', 1)]"
    everywhere.ask("asgi", put(n=2))
    assert elsewhere("async", "open", session_id)["data"] == {"n": 2}
    everywhere.ask("flask", lambda session: session.logout())
    assert elsewhere("async", "open", session_id) is None


def test_parallel_requests_at_different_doors_keep_each_others_changes(
    everywhere: Everywhere,
) -> None:
    """A slow page of one framework, a fast one of another, in one session."""
    everywhere.ask("wsgi", put(n=0))
    for slow, fast in (("flask", "wsgi"), ("wsgi", "asgi"), ("flask", "asgi")):

        def view(session: Any, slow: str = slow, fast: str = fast) -> None:
            session[slow] = fast
            everywhere.ask(fast, lambda other: other.update({fast: slow}))

        everywhere.ask(slow, view)
        for door in everywhere.doors:
            shown = everywhere.ask(door, lambda session: repr(dict(session))).body
            assert f"'{slow}': '{fast}'" in shown
            assert f"'{fast}': '{slow}'" in shown
