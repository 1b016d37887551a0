"""Pages of all kinds, on all servers: what a session promises holds over sockets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e import views
from tests.e2e.outages import broken_store
from tests.e2e.servers import WSGI
from tests.e2e.visitors import Visitor


def test_round_trip(visitor: Visitor) -> None:
    """A visitor reads, writes, signs in, is known, and signs out."""
    first = visitor.get("show")
    assert first.json()["data"] == {}
    assert "Set-Cookie" not in first.headers
    assert first.headers["Vary"] == "Cookie"

    written = visitor.get("put", colour="ĝreen")
    assert written.headers["Set-Cookie"].startswith(f"{visitor.cookie}=")
    anonymous = visitor.session_id
    read = visitor.get("show")
    assert read.json()["data"] == {"colour": "ĝreen"}
    assert "Set-Cookie" not in read.headers

    signed_in = visitor.get("log_in", user="ada")
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "show")
    known = visitor.session_id
    assert known != anonymous
    shown = visitor.get("show")
    assert (shown.json()["data"], shown.json()["user"]) == ({"colour": "ĝreen"}, "ada")
    assert shown.headers["Cache-Control"] == "private, no-cache"

    gone = visitor.get("log_out")
    assert "Max-Age=0" in gone.headers["Set-Cookie"]
    assert visitor.session_id is None
    for old in (anonymous, known):
        with Visitor(visitor.server, visitor.mount) as thief:
            thief.http.cookies.set(visitor.cookie, old or "")
            assert thief.show()["user"] is None


def test_untouched(visitor: Visitor) -> None:
    """A page that does not look at the session leaves no trace of it in the response."""
    visitor.get("put", a="1")
    response = visitor.get("untouched")
    assert not {"set-cookie", "vary", "cache-control"} & set(response.headers)


@pytest.mark.parametrize("code", ["200", "204", "304", "404"])
def test_status(visitor: Visitor, code: str) -> None:
    """A response with a body or without one keeps the change and carries the cookie."""
    response = visitor.get("status", code=code)
    assert response.status_code == int(code)
    assert response.content == (b"" if code in ("204", "304") else b"a body")
    assert "Set-Cookie" in response.headers
    assert visitor.stored == visitor.show()["data"] == {"status": code}


def test_head(visitor: Visitor) -> None:
    """HEAD keeps the change and carries the cookie, and no body."""
    response = visitor.http.head("put", params={"a": "1"})
    assert (response.status_code, response.content) == (200, b"")
    assert visitor.stored == visitor.show()["data"] == {"a": "1"}


def test_own_cookies(visitor: Visitor) -> None:
    """The cookies of the application and of the session leave side by side."""
    response = visitor.get("own_cookies", a="1")
    names = [line.partition("=")[0] for line in response.headers.get_list("Set-Cookie")]
    assert sorted(names) == sorted(["theme", "lang", visitor.cookie])


@pytest.mark.parametrize("code", ["500", "503"])
def test_error_page(visitor: Visitor, code: str) -> None:
    """What a page with an error changed is dropped and told, and the cookie stays as it is."""
    visitor.get("put", a="1")
    response = visitor.get("status", code=code)
    assert (response.status_code, response.content) == (int(code), b"a body")
    assert "Set-Cookie" not in response.headers
    assert visitor.stored == {"a": "1"}
    assert visitor.told() == (("status",), "error")


def test_exception(visitor: Visitor) -> None:
    """What a page changed before it failed is dropped and told."""
    visitor.get("put", a="1")
    response = visitor.get("fail", a="2", b="3")
    assert response.status_code == 500
    assert "Set-Cookie" not in response.headers
    keys, reason = visitor.told()
    assert (set(keys), reason) == ({"a", "b"}, "error")
    with visitor.copy() as again:  # uvicorn closes the connection, and does not say so before
        assert again.stored == again.show()["data"] == {"a": "1"}


def test_file(visitor: Visitor) -> None:
    """A file arrives whole, sent as the server sends files, with the session's cookie."""
    response = visitor.get("file", a="1")
    assert response.content == views.CHUNK * 3
    assert visitor.stored == {"a": "1"}


@pytest.mark.parametrize("server", WSGI, indirect=True)
def test_write(visitor: Visitor) -> None:
    """What WSGI's `write()` sends comes with the cookie, on a server's own `write()`."""
    if visitor.mount == "framework":
        return  # Flask has none
    response = visitor.get("put", a="1", write="yes")
    assert "Set-Cookie" in response.headers
    assert response.json()["data"] == visitor.stored == {"a": "1", "write": "yes"}


def test_keep_alive(visitor: Visitor) -> None:
    """Requests on one connection share no session but by the cookie."""
    first = visitor.get("put", a="1")
    cookie = f"{visitor.cookie}={visitor.session_id}"
    visitor.http.cookies.clear()
    second = visitor.get("show")
    assert second.json()["data"] == {}
    third = visitor.http.get("show", headers={"Cookie": cookie})
    assert third.json()["data"] == {"a": "1"}
    streams = {response.extensions["network_stream"] for response in (first, second, third)}
    assert len(streams) == (1 if visitor.server.kind.keeps_alive else 3)


def test_parallel(visitor: Visitor) -> None:
    """Parallel requests that change different keys all keep their change."""
    visitor.get("put", a="1")

    def change(name: str) -> None:
        with visitor.copy() as tab:
            for number in range(3):
                assert tab.get("put", **{f"{name}{number}": name}).status_code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, "wxyz"))
    changed = {f"{name}{number}": name for name in "wxyz" for number in range(3)}
    assert visitor.stored == {"a": "1", **changed}


def test_outage(visitor: Visitor) -> None:
    """While the store is broken there are 503s, and nobody is signed out by that."""
    visitor.get("put", a="1")
    visitor.get("log_in", user="ada")
    with broken_store(visitor.server.folder, visitor.mount):
        for view in ("show", "put", "log_in", "own_cookies"):
            response = visitor.get(view, user="bob")
            assert response.status_code == 503
            assert response.text == "The session store is out of reach. Please try again.\n"
            assert response.headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in response.headers
        assert visitor.get("untouched").status_code == 200
        with Visitor(visitor.server, visitor.mount) as stranger:
            assert stranger.get("show").status_code == 200
            assert stranger.get("put", a="1").status_code == 503
            assert stranger.session_id is None
    shown = visitor.show()
    assert (shown["data"], shown["user"]) == ({"a": "1"}, "ada")
