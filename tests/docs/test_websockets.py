"""The page on streams and WebSockets, with a client that `curl` is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from coatcheck import SessionManager
from tests.docs.snippets import ROOT, SECRET, Workspace

PAGE = ROOT / "docs" / "how-to" / "streaming-and-websockets.md"
communicator: Any = ApplicationCommunicator  # has no types
STORE = "sqlite:///sessions.db"


@pytest.fixture
def chat(workspace: Workspace) -> ModuleType:
    """The page's application with a WebSocket."""
    workspace.play(PAGE)
    return workspace.module("chat")


@asynccontextmanager
async def connection(chat: ModuleType, cookie: str = "") -> AsyncGenerator[Any]:
    """Open `/chat`; the first message of the server is still to come."""
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/chat",
        "query_string": b"",
        "headers": [(b"cookie", cookie.encode())],
        "subprotocols": [],
    }
    client: Any = communicator(chat.app, scope)
    await client.send_input({"type": "websocket.connect"})
    yield client
    await client.wait()


async def say(client: Any, text: str) -> dict[str, Any]:
    """Send a text; return the answer."""
    await client.send_input({"type": "websocket.receive", "text": text})
    answer: dict[str, Any] = await client.receive_output()
    return answer


def test_what_is_said_is_saved_at_once(chat: ModuleType) -> None:
    """Each message is in the session of the other pages before it is answered."""
    manager = SessionManager(secret=SECRET, store=STORE)
    session = manager.create("ada")

    async def talk() -> None:
        async with connection(chat, f"session={session.id}") as client:
            assert (await client.receive_output())["type"] == "websocket.accept"
            assert (await say(client, "one"))["text"] == "ada: one"
            found = manager.find(session.handle)
            assert found is not None
            assert found["said"] == ["one"]
            assert (await say(client, "two"))["text"] == "ada: two"
            await client.send_input({"type": "websocket.disconnect", "code": 1001})

    asyncio.run(talk())
    session.refresh()
    assert session["said"] == ["one", "two"]


def test_a_sign_out_elsewhere_closes_the_connection(chat: ModuleType) -> None:
    """The next message after it is answered by closing."""
    manager = SessionManager(secret=SECRET, store=STORE)
    session = manager.create("ada")

    async def talk() -> None:
        async with connection(chat, f"session={session.id}") as client:
            assert (await client.receive_output())["type"] == "websocket.accept"
            manager.revoke_user("ada")
            closed = await say(client, "one")
            assert (closed["type"], closed["code"]) == ("websocket.close", 1008)

    asyncio.run(talk())


def test_a_visitor_is_turned_away(chat: ModuleType) -> None:
    """Nobody is signed in, so there is no connection."""

    async def talk() -> None:
        async with connection(chat) as client:
            assert (await client.receive_output())["type"] == "websocket.close"

    asyncio.run(talk())
