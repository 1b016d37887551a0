"""The page on streams and WebSockets, with a client that `curl` is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from coatcheck import SessionManager
from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT, SECRET, blocks
from tests.e2e.servers import PATIENCE

PAGE = ROOT / "docs" / "how-to" / "streaming-and-websockets.md"


def test_the_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message is saved before it is answered; a sign-out elsewhere closes the connection."""
    monkeypatch.setenv("SECRET_KEY", SECRET)
    (chat,) = (block for block in blocks(PAGE) if block.title == "chat.py")
    (tmp_path / "chat.py").write_text(chat.text, encoding="utf-8")
    manager = SessionManager(secret=SECRET, store=f"sqlite:///{tmp_path}/sessions.db")
    session = manager.create("ada")

    shell = RealShell(tmp_path)
    try:
        shell.run("uvicorn chat:app")
        with pytest.raises(InvalidStatus):
            open_chat(shell)  # nobody is signed in
        with open_chat(shell, session.id) as socket:
            for text in ("one", "two"):
                socket.send(text)
                assert socket.recv() == f"ada: {text}"
                session.refresh()
                assert session["said"][-1] == text
            manager.revoke_user("ada")
            socket.send("three")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
    finally:
        shell.close()


def open_chat(shell: RealShell, session_id: str = "") -> ClientConnection:
    """Connect, with a session or without one."""
    return connect(
        f"ws://127.0.0.1:{shell.port('8000')}/chat",
        additional_headers={"Cookie": f"session={session_id}"},
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        proxy=None,
    )
