"""Application servers as processes of their own, each on a free port of the loopback interface."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

import pytest

from coatcheck import Session, SessionManager
from tests.e2e import views

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0
"""Seconds after which a server that does not start, stop or say something has failed the test."""


@dataclass(frozen=True)
class Kind:
    """A server, how it is started, and how it differs from the others."""

    command: Sequence[str]
    interface: Literal["wsgi", "asgi"]
    listening: str
    """What it writes when it listens, as a pattern with the port as its group."""
    stopping: str | None
    """What it writes when it begins to stop; `None`: nothing, but it closes idle connections."""
    exit_code: int = 0
    """With what it ends after SIGTERM."""
    keeps_alive: bool = True
    """Whether one connection serves several requests."""
    finishes: bool = True
    """Whether responses under way at SIGTERM are sent to their end."""
    cwd: Path = ROOT
    """The folder in which it is started."""

    def with_arguments(self, *arguments: str) -> Kind:
        """Return the same server with further arguments."""
        return replace(self, command=(*self.command, *arguments))


_GUNICORN: Final = Kind(
    (
        *("gunicorn", "tests.e2e.wsgi_apps:application", "--bind", "127.0.0.1:0"),
        *("--config", "python:tests.e2e.gunicorn_settings"),
    ),
    interface="wsgi",
    listening=r"Listening at: http://127\.0\.0\.1:([0-9]+)",
    stopping="Handling signal: term",
)
_HYPERCORN: Final = Kind(
    ("hypercorn", "tests.e2e.asgi_apps:application", "--bind", "127.0.0.1:0"),
    interface="asgi",
    listening=r"Running on http://127\.0\.0\.1:([0-9]+)",
    stopping=None,
)
KINDS: Final[dict[str, Kind]] = {
    "gunicorn-sync": replace(_GUNICORN.with_arguments("--worker-class", "sync"), keeps_alive=False),
    "gunicorn-gthread": _GUNICORN.with_arguments("--worker-class", "gthread", "--threads", "4"),
    "waitress": Kind(
        ("waitress", "--listen", "127.0.0.1:0", "tests.e2e.wsgi_apps:application"),
        interface="wsgi",
        listening=r"Serving on http://127\.0\.0\.1:([0-9]+)",
        stopping="",
        exit_code=-signal.SIGTERM,
        finishes=False,
    ),
    "uvicorn": Kind(
        ("uvicorn", "tests.e2e.asgi_apps:application", "--host", "127.0.0.1", "--port", "0"),
        interface="asgi",
        listening=r"running on http://127\.0\.0\.1:([0-9]+)",
        stopping="Waiting for connections to close",
        exit_code=-signal.SIGTERM,
    ),
    "hypercorn-asyncio": _HYPERCORN.with_arguments("--worker-class", "asyncio"),
    "hypercorn-trio": _HYPERCORN.with_arguments("--worker-class", "trio"),
}
WSGI: Final = [name for name, kind in KINDS.items() if kind.interface == "wsgi"]
ASGI: Final = [name for name, kind in KINDS.items() if kind.interface == "asgi"]


class Server:
    """Runs a server while the `with` block lasts, and collects what it writes."""

    def __init__(self, kind: Kind, folder: Path, **environment: str) -> None:
        self.kind = kind
        self.folder = folder
        self._environment = environment
        self._text = ""
        self._ended = False
        self._more = threading.Condition()
        self._managers: dict[str, SessionManager] = {}

    def __enter__(self) -> Server:
        module = self.kind.command[0]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install {module}, or 'coatcheck[dev]'")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.kind.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.kind.cwd,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                "PYTHONUNBUFFERED": "1",
                "PYTHONWARNINGS": "default",
                "E2E_FOLDER": str(self.folder),
                **self._environment,
            },
            start_new_session=True,  # a group, so that no worker is left behind
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = int(self.wait_for(self.kind.listening)[1])
            self._wait_until_it_accepts()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.process.poll() is None:
                self.terminate()
                self.wait()
        finally:
            self.kill()

    def _wait_until_it_accepts(self) -> None:
        """Try to connect until that works: uvicorn tells its port before its workers listen."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end, f"it does not listen:\n{self.log}"
                time.sleep(0.005)
            else:
                return

    def terminate(self) -> None:
        """Ask the server to stop, as process managers do."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until the server has ended; return its exit code."""
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End whatever is left of the server."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    @property
    def log(self) -> str:
        """What the server and its workers have written."""
        with self._more:
            return self._text

    def show_log(self, begun: int = 0) -> None:
        """Hand what was written since a position to pytest, which shows it where a test failed."""
        sys.stdout.write(self.log[begun:])

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the server has written something, and return it."""
        with self._more:
            self._more.wait_for(
                lambda: self._ended or re.search(pattern, self._text) is not None, PATIENCE
            )
            found = re.search(pattern, self._text)
        assert found is not None, f"no {pattern!r} in the log, whose end is:\n{self._text[-4000:]}"
        return found

    def told(self, handle: str) -> tuple[tuple[str, ...], str]:
        """Wait until it is told that changes of a session were dropped; return which and why."""
        found = self.wait_for(rf"ChangesDropped\(handle='{handle}', keys=(.*), reason='(\w+)'\)")
        return tuple(ast.literal_eval(found[1])), found[2]

    def manager(self, mount: str) -> SessionManager:
        """Return what manages the sessions of a mount in this process, beside the server's own."""
        kind = "files" if mount == "files" else "database"
        if kind not in self._managers:
            database, files = views.store_urls(self.folder)
            store = files if kind == "files" else database
            self._managers[kind] = SessionManager(store=store, secret=views.SECRET)
        return self._managers[kind]

    def stored(self, mount: str, session_id: str | None) -> Session | None:
        """Return a session as another process than the server's finds it."""
        return None if session_id is None else self.manager(mount).open(session_id)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while data := os.read(pipe.fileno(), 65536):
                with self._more:
                    self._text += data.decode(errors="replace")
                    self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()
