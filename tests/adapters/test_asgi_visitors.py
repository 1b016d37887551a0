"""What the ASGI middleware does for those who come without a session, where a store is awaited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coatcheck.clock import system_clock
from coatcheck.request import Request as View
from coatcheck.state import CookieState
from coatcheck_asgi import SessionMiddleware
from tests.adapters.doors import BODY, Message, play, scope_of
from tests.adapters.site import SECRET, Request, untouched
from tests.adapters.taps import Tap, make_store

pytestmark = pytest.mark.anyio
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class Counting:
    """A State that counts how often somebody asks it for IDs; from elsewhere, one that is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        original = CookieState.extract

        def extract(state: CookieState, request: View, /) -> Any:
            self.asked += 1
            return original(state, request)

        monkeypatch.setattr(CookieState, "extract", extract)


class Elsewhere(CookieState):
    """A State made of the default one, that finds the ID in the address."""

    def extract(self, request: View, /) -> Any:
        query: bytes = request.native["query_string"]
        return query.decode() or None


def visit(*headers: tuple[bytes, bytes], query: bytes = b"") -> Message:
    """Return the scope of a request with these headers."""
    scope = scope_of(Request(untouched))
    return {**scope, "headers": [*scope["headers"], *headers], "query_string": query}


async def untouched_page(scope: Any, receive: Any, send: Any) -> None:
    """A page that does not look at the session."""
    await send(START)
    await send(END)


async def counting_page(scope: Any, receive: Any, send: Any) -> None:
    """A page that counts visits."""
    scope["session"]["n"] = scope["session"].get("n", 0) + 1
    await send(START)
    await send({**END, "body": b"%d" % scope["session"]["n"]})


async def test_who_sends_no_cookie_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the page asks, that is: whoever sends one is, for what there is to load."""
    counting = Counting(monkeypatch)
    store: Any = make_store("file", tmp_path, system_clock)
    middleware = SessionMiddleware(untouched_page, secret=SECRET, store=store)
    await play(middleware, visit((b"accept", b"*/*")), [BODY])
    assert counting.asked == 0
    await play(middleware, visit((b"cookie", b"a=1")), [BODY])
    assert counting.asked == 1


async def test_a_page_may_still_begin_a_session(tmp_path: Path) -> None:
    """And the next request finds it, however the server writes the name of the header."""
    tap = Tap(make_store("file", tmp_path, system_clock))
    store: Any = tap.store
    middleware = SessionMiddleware(counting_page, secret=SECRET, store=store, purge="never")
    sent, error = await play(middleware, visit(), [BODY])
    assert error is None
    assert tap.take() == ["create"]
    cookie = dict(sent[0]["headers"])[b"set-cookie"].partition(b";")[0]
    for name in (b"cookie", b"Cookie", b"COOKIE"):
        sent, error = await play(middleware, visit((name, cookie)), [BODY])
        assert error is None
        assert tap.take() == ["get", "update"]
    assert sent[1]["body"] == b"4"


async def test_a_state_that_looks_elsewhere(tmp_path: Path) -> None:
    """Only the default State itself is known to read cookies and nothing else."""
    tap = Tap(make_store("file", tmp_path, system_clock))
    store: Any = tap.store
    options: Any = {"secret": SECRET, "store": store, "purge": "never"}
    sent, _ = await play(SessionMiddleware(counting_page, **options), visit(), [BODY])
    session_id = dict(sent[0]["headers"])[b"set-cookie"].partition(b";")[0].partition(b"=")[2]
    middleware = SessionMiddleware(counting_page, **options, state=Elsewhere())
    sent, error = await play(middleware, visit(query=session_id), [BODY])
    assert error is None
    assert sent[1]["body"] == b"2"
