"""The shell that plays pages with servers: they are processes of their own, and so are programs.

Only ports differ from what stands on the page: a server gets a free one, and whoever is told to
visit the page's port is sent there. `curl` is that of the system where it has one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.docs.curl import Curl
from tests.docs.shell import Shell, option
from tests.e2e.conftest import unexpected
from tests.e2e.servers import KINDS, PATIENCE, Kind, Server

_LOCAL: Final = re.compile(r"(?<=//127\.0\.0\.1:)\d+")


class RealShell(Shell):
    """Plays consoles in one folder by starting what they name."""

    def __init__(self, folder: Path, *, curl: str | None = shutil.which("curl")) -> None:
        super().__init__(folder)
        self._curl = curl
        self._stand_in = Curl(folder)
        self._running: dict[str, tuple[Server, ExitStack]] = {}
        self._complaints: list[str] = []

    def port(self, named: str) -> int:
        """Return at which port the server really is that a page has at the one named."""
        return self._running[named][0].port

    def close(self) -> None:
        """Stop all servers; raises `AssertionError` where one has logged an error."""
        super().close()
        self._stand_in.close()
        for port in list(self._running):
            self._stop(port)
        assert self._complaints == []

    @property
    def _commands(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        return {
            **super()._commands,
            "curl": self._call,
            "flask": self._flask,
            "gunicorn": self._gunicorn,
            "uvicorn": self._uvicorn,
        }

    def _python(self, words: Sequence[str]) -> str:
        if words[0] != "-c":
            self.used.add(Path(words[0]).stem)
        return self._run([sys.executable, *words])

    def _call(self, words: Sequence[str]) -> str:
        def there(port: re.Match[str]) -> str:
            if port[0] not in self._running:
                raise AssertionError(f"nobody is served at port {port[0]} on this page")
            return str(self.port(port[0]))

        words = [_LOCAL.sub(there, word) for word in words]
        if self._curl is None:
            return self._stand_in.run(words)
        return self._run([self._curl, "-q", "--silent", "--noproxy", "*", *words])

    def _flask(self, words: Sequence[str]) -> str:
        self.used.add(option(words, "--app", "app"))
        port = option(words, "--port", "5000")
        listening = r"Running on http://127\.0\.0\.1:([0-9]+)"
        return self._start(port, ("flask", *words, "--port", "0"), listening)

    def _uvicorn(self, words: Sequence[str]) -> str:
        self.used.update(word.partition(":")[0] for word in words)
        port = option(words, "--port", "8000")
        return self._start(port, ("uvicorn", *words, "--port", "0"), KINDS["uvicorn"].listening)

    def _gunicorn(self, words: Sequence[str]) -> str:
        self.used.update(word.partition(":")[0] for word in words)
        port = option(words, "--bind", "127.0.0.1:8000").rpartition(":")[2]
        command = ("gunicorn", *words, "--bind", "127.0.0.1:0")
        return self._start(port, command, KINDS["gunicorn-sync"].listening)

    def _start(self, port: str, command: Sequence[str], listening: str) -> str:
        """Start a server in place of the one that the page has had at that port."""
        self._stop(port)
        stack = ExitStack()
        kind = Kind(command, "wsgi", listening, stopping=None, cwd=self.folder)
        server = stack.enter_context(Server(kind, self.folder))
        self._running[port] = server, stack
        return ""

    def _stop(self, port: str) -> None:
        if port in self._running:
            server, stack = self._running.pop(port)
            stack.close()
            server.show_log()
            self._complaints += unexpected(server.log)

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stderr}"
        return done.stdout
