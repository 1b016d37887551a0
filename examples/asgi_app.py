"""Notes, in plain ASGI: a page that writes them through a WebSocket. No framework.

    $ pip install 'coatcheck[asgi]' uvicorn websockets
    $ export SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
    $ uvicorn asgi_app:app --port 8002

Open http://127.0.0.1:8002/, and then open it in a second window. What one of them writes is in the
session at once; the other one sees it with its own next note.
"""

from __future__ import annotations

import html
import os
from collections.abc import Awaitable, Callable
from typing import Any

from coatcheck import MISSING, SessionEnded
from coatcheck_asgi import SessionMiddleware, get_session

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE = """<!doctype html>
<meta charset="utf-8"><title>Notes</title>
<p>{user}'s notes: <output>{notes}</output></p>
<form><input name="note" autofocus><button>Add</button></form>
<script>
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  const [form] = document.forms, notes = document.querySelector("output");
  socket.onmessage = event => notes.textContent = event.data;
  socket.onclose = () => notes.textContent = "closed: load this page again";
  form.onsubmit = event => {{
    event.preventDefault();
    socket.send(form.note.value);
    form.reset();
  }};
</script>
"""


async def notes(scope: Message, receive: Receive, send: Send) -> None:
    """Answer a request of any kind."""
    if scope["type"] == "http":
        await page(scope, send)
    elif scope["type"] == "websocket":
        await socket(scope, receive, send)
    else:
        raise NotImplementedError(scope["type"])  # the server goes on without a lifespan


async def page(scope: Message, send: Send) -> None:
    """Show the notes; whoever has none is sent no cookie."""
    session = get_session(scope)  # scope["coatcheck.session"], with its type
    user, listed = session.user_id or "Nobody", ", ".join(session.get("notes", []))
    body = PAGE.format(user=html.escape(user), notes=html.escape(listed)).encode()
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def socket(scope: Message, receive: Receive, send: Send) -> None:
    """Take notes until the client leaves."""
    session = get_session(scope)
    await receive()  # websocket.connect
    session.setdefault("notes", [])  # begins a session, while its ID can go out with the accept
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            session["notes"].append(message.get("text") or "")
            await session.save()  # now; without it, when the connection ends
            await session.refresh()  # and see what others have written
            await send({"type": "websocket.send", "text": ", ".join(session["notes"])})
    except SessionEnded:  # signed out on another page, or expired
        await send({"type": "websocket.close", "code": 1008})


def both(base: Any, mine: list[str], theirs: Any) -> list[str]:
    """Keep what two windows wrote at the same moment; the later one would win otherwise."""
    before: list[str] = [] if base is MISSING else base
    others: list[str] = [] if theirs is MISSING else theirs
    return [*others, *mine[len(before) :]]


app = SessionMiddleware(
    notes,
    secret=os.environ["SECRET_KEY"],
    store="sqlite:///sessions.db",
    resolve={"notes": both},
)
