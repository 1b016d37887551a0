"""WebSockets on all servers that have them: a session before, during and after the connection."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.e2e.outages import broken_store
from tests.e2e.servers import ASGI
from tests.e2e.visitors import Visitor, eventually

on_asgi = pytest.mark.parametrize("server", ASGI, indirect=True)


def ask(websocket: ClientConnection, *texts: str) -> str:
    """Send commands one after another; return the last reply."""
    reply = ""
    for text in texts:
        websocket.send(text)
        reply = str(websocket.recv())
    return reply


def new_id(websocket: ClientConnection, cookie: str) -> str | None:
    """Return the session ID that came with the accept."""
    assert websocket.response is not None
    sent = websocket.response.headers.get_all("Set-Cookie")
    return sent[0].partition(";")[0].removeprefix(f"{cookie}=") if sent else None


@on_asgi
def test_begins(visitor: Visitor) -> None:
    """What is stored before the accept begins a session, whose cookie comes with the accept."""
    with visitor.websocket(connected="yes") as websocket:
        session_id = new_id(websocket, visitor.cookie)
        begun = visitor.server.stored(visitor.mount, session_id)
        ask(websocket, "put late yes")
    assert begun == {"connected": "yes"}
    visitor.http.cookies.set(visitor.cookie, session_id or "")
    eventually(lambda: visitor.show()["data"], {"connected": "yes", "late": "yes"})


@on_asgi
@pytest.mark.parametrize("ending", ["the server", "the client", "a broken connection"])
def test_late_change(visitor: Visitor, ending: str) -> None:
    """What changes after the accept is saved when the connection ends, whoever ends it and how."""
    visitor.get("put", a="1")
    with visitor.websocket() as websocket:
        assert new_id(websocket, visitor.cookie) is None
        assert ask(websocket, "put b 2", "put c 3") == "done"
        assert visitor.stored == {"a": "1"}
        if ending == "the server":
            websocket.send("close")
            with pytest.raises(ConnectionClosedOK):
                websocket.recv()
            assert visitor.stored == {"a": "1", "b": "2", "c": "3"}
        elif ending == "a broken connection":
            websocket.socket.close()
    eventually(lambda: visitor.stored, {"a": "1", "b": "2", "c": "3"})


@pytest.mark.parametrize("server", ["uvicorn"], indirect=True)
def test_nobody_listens(visitor: Visitor) -> None:
    """Where a send fails because the client has left, that is no failure of the application."""
    visitor.get("put", a="1")
    with visitor.websocket() as websocket:
        assert ask(websocket, "talk hello") == "hello"
        websocket.socket.close()
    eventually(lambda: (visitor.stored or {}).get("said", 0) > 1, True)


@on_asgi
def test_save(visitor: Visitor) -> None:
    """`await session.save()` saves while the connection stays open."""
    visitor.get("put", a="1")
    with visitor.websocket() as websocket:
        ask(websocket, "put b 2", "save")
        assert visitor.stored == visitor.show()["data"] == {"a": "1", "b": "2"}
        ask(websocket, "put b 3")
    eventually(lambda: visitor.stored, {"a": "1", "b": "3"})


@on_asgi
def test_no_late_sign_in(visitor: Visitor) -> None:
    """Nobody can sign in after the accept, for the new ID could not be sent."""
    visitor.get("put", a="1")
    with visitor.websocket() as websocket:
        assert ask(websocket, "log_in ada") == "ResponseStarted"
    assert visitor.show()["user"] is None


@on_asgi
def test_exception(visitor: Visitor) -> None:
    """What changed since the accept is dropped and told when the application fails."""
    visitor.get("put", a="1")
    with visitor.websocket(connected="yes") as websocket:
        ask(websocket, "put b 2")
        websocket.send("fail")
        with pytest.raises(ConnectionClosed):
            websocket.recv()
    assert visitor.told() == (("b",), "error")
    assert visitor.stored == {"a": "1", "connected": "yes"}


@on_asgi
def test_turned_away(visitor: Visitor) -> None:
    """A client that is turned away gets no session; one that has one keeps the change."""
    with pytest.raises(InvalidStatus) as refusal:
        visitor.websocket(turn_away="yes", connected="yes")
    assert refusal.value.response.status_code == 403
    assert "Set-Cookie" not in refusal.value.response.headers
    visitor.get("put", a="1")
    with pytest.raises(InvalidStatus):
        visitor.websocket(turn_away="yes", connected="yes")
    eventually(lambda: visitor.stored, {"a": "1", "connected": "yes"})


@on_asgi
def test_ended_meanwhile(visitor: Visitor) -> None:
    """What a WebSocket changes in a session that was signed out is dropped and told."""
    visitor.get("put", a="1")
    session = visitor.server.stored(visitor.mount, visitor.session_id)
    assert session is not None
    with visitor.websocket() as websocket:
        ask(websocket, "put b 2")
        visitor.get("log_out")
        ask(websocket, "put c 3")
    keys, reason = visitor.server.told(session.handle)
    assert (set(keys), reason) == ({"b", "c"}, "gone")
    assert visitor.server.stored(visitor.mount, session.id) is None


@on_asgi
def test_outage(visitor: Visitor) -> None:
    """While the store is broken the handshake is answered with 503."""
    visitor.get("put", a="1")
    with broken_store(visitor.server.folder, visitor.mount):
        with pytest.raises(InvalidStatus) as refusal:
            visitor.websocket(connected="yes")
        assert refusal.value.response.status_code == 503
        assert "Set-Cookie" not in refusal.value.response.headers
    assert visitor.show()["data"] == {"a": "1"}


@on_asgi
def test_sec_71_another_origin(visitor: Visitor) -> None:
    """A page of another origin gets a 403 instead of the session; one of the same gets it."""
    visitor.get("put", a="1")
    for foreign in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus) as refusal:
            visitor.websocket(origin=foreign, connected="yes")
        assert refusal.value.response.status_code == 403
        assert "Set-Cookie" not in refusal.value.response.headers
    assert visitor.stored == {"a": "1"}
    with visitor.websocket(f"http://127.0.0.1:{visitor.server.port}") as websocket:
        assert ask(websocket, "put b 2", "save")
    assert visitor.stored == {"a": "1", "b": "2"}
