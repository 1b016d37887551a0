"""Servers that stop: gracefully, out of patience, or at once. No session is left half-written."""

from __future__ import annotations

import signal
import socket
import sqlite3
import threading
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import unexpected
from tests.e2e.servers import ASGI, KINDS, Server
from tests.e2e.visitors import Visitor, receive_all, receive_until

MOUNTS = ("plain", "framework", "files")


class Writer:
    """A visitor who writes two keys at a time, again and again, until the server is gone."""

    def __init__(self, server: Server, mount: str) -> None:
        self.visitor = Visitor(server, mount)
        self.visitor.get("put", one="0", two="0")
        self.acknowledged = 0
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def check(self) -> None:
        """Wait until the server is gone; both keys are there, as told last or one step further."""
        self._thread.join()
        self.visitor.http.close()
        stored = self.visitor.stored
        assert stored is not None
        assert stored["one"] == stored["two"]
        assert int(stored["one"]) in (self.acknowledged, self.acknowledged + 1)

    def _write(self) -> None:
        try:
            while True:
                number = str(self.acknowledged + 1)
                self.visitor.get("put", one=number, two=number).raise_for_status()
                self.acknowledged += 1
        except httpx.TransportError:
            return


@contextmanager
def held_streams(server: Server, gate: str) -> Generator[dict[str, tuple[Visitor, socket.socket]]]:
    """Begin a stream on each mount, which waits for the gate after its first chunk."""
    with ExitStack() as stack:
        streams: dict[str, tuple[Visitor, socket.socket]] = {}
        for mount in MOUNTS:
            visitor = stack.enter_context(Visitor(server, mount))
            visitor.get("put", a="1")
            opened = stack.enter_context(visitor.begin("wait", gate=gate))
            receive_until(opened, b"first,")
            streams[mount] = visitor, opened
        yield streams


@pytest.mark.parametrize("name", KINDS)
def test_graceful(name: str, tmp_path: Path) -> None:
    """At SIGTERM responses are finished and saved; whatever was told to be saved, is."""
    kind = KINDS[name]
    if name == "gunicorn-sync":
        kind = kind.with_arguments("--workers", "4")
    with Server(kind, tmp_path) as server:
        with held_streams(server, "gate") as streams:
            writer = Writer(server, "framework")
            with socket.create_connection(("127.0.0.1", server.port), 30) as idle:
                server.terminate()
                if kind.stopping is None:
                    assert idle.recv(1) == b""
            if kind.stopping is not None:
                server.wait_for(kind.stopping)
            (tmp_path / "gate").touch()
            for _, opened in streams.values():
                if kind.finishes:
                    receive_until(opened, b"second")
                else:
                    assert receive_all(opened) == b""
        assert server.wait() == kind.exit_code
        writer.check()
        last = "gate open" if kind.finishes else "begun"
        for visitor, _ in streams.values():
            assert visitor.stored == {"a": "1", "waited": last}
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert unexpected(server.log) == []


@pytest.mark.parametrize("name", ASGI)
def test_out_of_patience(name: str, tmp_path: Path) -> None:
    """A server that cancels what does not end in time leaves the last changes saved."""
    argument = "--timeout-graceful-shutdown" if name == "uvicorn" else "--graceful-timeout"
    with Server(KINDS[name].with_arguments(argument, "0"), tmp_path) as server:
        with held_streams(server, "never") as streams:
            server.terminate()
            server.wait()
        # uvicorn ends its process without waiting for what it has cancelled.
        saved = ["begun", "first sent"] if name == "uvicorn" else ["first sent"]
        for mount, (visitor, _) in streams.items():
            assert visitor.stored in [{"a": "1", "waited": value} for value in saved], mount


def test_interrupted(tmp_path: Path) -> None:
    """Where an event loop ends and cancels all, the save included, that is told."""
    kind = KINDS["uvicorn"].with_arguments("--timeout-graceful-shutdown", "0")
    with Server(kind, tmp_path) as server:
        with held_streams(server, "never") as streams:
            server.process.send_signal(signal.SIGINT)
            server.wait()
        for visitor, _ in streams.values():
            if visitor.stored != {"a": "1", "waited": "first sent"}:
                assert visitor.stored == {"a": "1", "waited": "begun"}
                assert visitor.told() == (("waited",), "late")
