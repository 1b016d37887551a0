"""Bodies that are made while they are sent, on all servers: late changes, and clients gone."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e import views
from tests.e2e.servers import ASGI
from tests.e2e.visitors import Visitor, eventually, receive_all, receive_until


@pytest.mark.parametrize("count", [1, 100])
def test_late_change(visitor: Visitor, count: int) -> None:
    """What changes while a body is sent is saved before the client knows that it is complete."""
    with visitor.http.stream("GET", "stream", params={"count": count}) as response:
        begun = visitor.stored
        received = sum(map(len, response.iter_raw()))
        done = visitor.stored
    assert received == count * len(views.CHUNK)
    assert begun is not None
    assert done == {"nested": {"chunks": count}, "after the last": count}


@pytest.mark.parametrize("count", [1, 100])
def test_late_change_of_known_length(visitor: Visitor, count: int) -> None:
    """With a Content-Length the client knows that before the application has ended."""
    gate = f"{visitor.mount}-{count}"
    query = {"count": str(count), "length": "yes", "gate": gate}
    with visitor.http.stream("GET", "stream", params=query) as response:
        assert response.headers["Content-Length"] == str(count * len(views.CHUNK))
        received = sum(map(len, response.iter_raw()))
        done = visitor.stored
    (visitor.server.folder / gate).touch()
    assert received == count * len(views.CHUNK)
    assert done == {"nested": {"chunks": count}}
    eventually(lambda: visitor.stored, {"nested": {"chunks": count}, "after the last": count})


def test_old_client(visitor: Visitor) -> None:
    """For a client of HTTP/1.0, which knows no chunks, the connection ends after the save."""
    if visitor.mount == "framework" and "trio" in visitor.server.kind.command:
        return  # Hypercorn 0.18 leaves the connection of a StreamingResponse open, ours or not
    visitor.get("put", a="1")
    with visitor.begin("stream", version="1.0", count="3") as opened:
        answer = receive_all(opened)
    assert answer.endswith(views.CHUNK)
    assert visitor.stored == {"a": "1", "nested": {"chunks": 3}, "after the last": 3}


def test_late_start(visitor: Visitor) -> None:
    """A session cannot begin once the headers have left: the body is cut, and that is told."""
    with pytest.raises(httpx.RemoteProtocolError):
        visitor.get("late_start")
    visitor.server.wait_for("ResponseStarted: storing something in a new session")
    assert visitor.session_id is None


def test_cut_short(visitor: Visitor) -> None:
    """An exception in mid-body cuts it short; what changed after the headers is dropped."""
    with pytest.raises(httpx.RemoteProtocolError):
        visitor.get("cut_short")
    # httpx keeps no cookie of a response that it could not read to its end.
    with visitor.http.stream("GET", "cut_short") as response:
        assert response.status_code == 200
    assert visitor.told() == (("after",), "error")
    with visitor.copy() as again:
        assert again.stored == again.show()["data"] == {"before": "the headers"}


def test_disconnect(visitor: Visitor) -> None:
    """A client that leaves in mid-body loses nothing: what was changed until then is saved."""
    visitor.get("put", a="1")
    with visitor.begin("endless") as opened:
        receive_until(opened, views.CHUNK[:1000])
    eventually(lambda: (visitor.stored or {}).get("sent", 0) > 1, True)
    if visitor.mount != "framework" or visitor.server.kind.interface == "wsgi":
        # Starlette closes the generator of a response that was cancelled only when it is collected.
        eventually(lambda: "cleaned up" in (visitor.stored or {}), True)
    assert visitor.show()["data"]["a"] == "1"


@pytest.mark.parametrize("server", ASGI, indirect=True)
def test_disconnect_in_silence(visitor: Visitor) -> None:
    """A client that leaves while nothing is sent is noticed, and what was changed is saved."""
    visitor.get("put", a="1")
    with visitor.begin("wait", gate="never") as opened:
        receive_until(opened, b"first,")
        assert visitor.stored == {"a": "1", "waited": "begun"}
    eventually(lambda: visitor.stored, {"a": "1", "waited": "first sent"})


@pytest.mark.parametrize("ending", ["deleted", "signed in"])
def test_ended_meanwhile(visitor: Visitor, ending: str) -> None:
    """What a stream changes in a session that was ended meanwhile comes back nowhere."""
    reasons = {"deleted": "gone", "signed in": "replaced"}
    visitor.get("put", a="1")
    gate = f"{visitor.session_id}"
    with visitor.begin("wait", gate=gate) as opened:
        receive_until(opened, b"first,")
        session = visitor.server.stored(visitor.mount, visitor.session_id)
        assert session is not None
        handle = session.handle
        if ending == "deleted":
            assert visitor.server.manager(visitor.mount).delete(handle)
        else:
            session.login("ada")
            session.save()
        (visitor.server.folder / gate).touch()
        receive_until(opened, b"second")
    assert visitor.server.told(handle) == (("waited",), reasons[ending])
    assert visitor.stored is None
    if ending == "signed in":
        assert visitor.server.stored(visitor.mount, session.id) == {"a": "1", "waited": "begun"}
