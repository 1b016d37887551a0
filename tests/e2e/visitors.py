"""Visitors of a server: browsers with cookies, and clients that misbehave on the socket."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.servers import PATIENCE, Server

_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes a while


class Visitor:
    """A browser that visits one mount of a server, and keeps its cookies."""

    def __init__(self, server: Server, mount: str) -> None:
        self.server = server
        self.mount = mount
        self.cookie = "files" if mount == "files" else "session"
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}/{mount}/",
            timeout=PATIENCE,
            verify=_NO_TLS,
            trust_env=False,  # no proxy
        )

    def __enter__(self) -> Visitor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def get(self, view: str, **query: str) -> httpx.Response:
        """Visit a page, keep its cookies, and follow no redirection."""
        return self.http.get(view, params=query)

    def show(self) -> dict[str, Any]:
        """Return what a page finds in the session, with the user and the worker's process."""
        response = self.get("show")
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    @property
    def session_id(self) -> str | None:
        """The session ID that the browser holds."""
        return self.http.cookies.get(self.cookie)

    @property
    def stored(self) -> dict[str, Any] | None:
        """The data of this visitor's session as another process finds it; `None`: no session."""
        session = self.server.stored(self.mount, self.session_id)
        return None if session is None else session.copy()

    def told(self) -> tuple[tuple[str, ...], str]:
        """Wait until it is told that changes of this session were dropped; return which and why."""
        session = self.server.stored(self.mount, self.session_id)
        assert session is not None
        return self.server.told(session.handle)

    def copy(self) -> Visitor:
        """Return another browser with the same cookies, on connections of its own."""
        other = Visitor(self.server, self.mount)
        other.http.cookies.update(self.http.cookies)
        return other

    def begin(self, view: str, *, version: str = "1.1", **query: str) -> socket.socket:
        """Send a request on a connection of its own; return the socket, with nothing read."""
        opened = self._connect()
        target = f"/{self.mount}/{view}?{urlencode(query)}"
        opened.sendall(
            f"GET {target} HTTP/{version}\r\nHost: localhost\r\n"
            f"Cookie: {self.cookie}={self.session_id}\r\nConnection: close\r\n\r\n".encode()
        )
        return opened

    def websocket(self, origin: str | None = None, **query: str) -> ClientConnection:
        """Open a WebSocket, from a page of that origin."""
        return connect(
            f"ws://127.0.0.1:{self.server.port}/{self.mount}/socket?{urlencode(query)}",
            additional_headers={"Cookie": f"{self.cookie}={self.session_id}"},
            origin=None if origin is None else Origin(origin),
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            compression=None,
            sock=self._connect(),  # which no proxy gets at
        )

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), PATIENCE)


def receive_until(opened: socket.socket, text: bytes) -> bytes:
    """Read from the socket until something came; return all that came."""
    received = b""
    while text not in received:
        data = opened.recv(65536)
        assert data, f"the server closed after {received!r}"
        received += data
    return received


def receive_all(opened: socket.socket) -> bytes:
    """Read from the socket until the server closes."""
    received = b""
    while data := opened.recv(65536):
        received += data
    return received


def eventually(look: Callable[[], object], expected: object) -> None:
    """Look again and again until that shows what is expected, for what nothing announces."""
    end = time.monotonic() + PATIENCE
    while (seen := look()) != expected:
        assert time.monotonic() < end, f"{seen!r} has not become {expected!r}"
        time.sleep(0.005)
