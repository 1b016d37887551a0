"""The shell that plays consoles in earnest: programs and servers are processes of their own.

Only ports differ from what stands on the page: a server gets a free one, and whoever is told to
visit the page's port is sent there. `curl` is that of the system where it has one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.docs.shell import Shell, option
from tests.e2e.conftest import unexpected
from tests.e2e.servers import KINDS, PATIENCE, Kind, Server

_LOCAL: Final = re.compile(r"(?<=//127\.0\.0\.1:)\d+")


class RealShell(Shell):
    """Plays consoles in one folder by starting what they name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._real_curl = shutil.which("curl")
        self._running: dict[str, tuple[Server, ExitStack]] = {}
        self._complaints: list[str] = []

    def port(self, named: str) -> int:
        """Return at which port the server really is that a page has at the one named."""
        return self._running[named][0].port

    def close(self) -> None:
        """Stop all servers; raises `AssertionError` where one has logged an error."""
        super().close()
        for port in list(self._running):
            self._stop(port)
        assert self._complaints == []

    def _python(self, words: Sequence[str]) -> str:
        if words[0] != "-c":
            self.used.add(Path(words[0]).stem)
        return self._run([sys.executable, *words])

    def _call(self, words: Sequence[str]) -> str:
        if self._real_curl is None:
            return self.curl.run(words)

        def there(port: re.Match[str]) -> str:
            return str(self.port(port[0]))

        return self._run(
            [self._real_curl, "--silent", "--noproxy", "*"]
            + [_LOCAL.sub(there, word) for word in words]
        )

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
        self.curl.serve_at(port, server.port)
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
