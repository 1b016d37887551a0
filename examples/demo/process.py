"""The demo as a process of its own, for `check.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

START_SECONDS = 60
STOP_SECONDS = 20


class Demo:
    """Runs the demo on a free port while the `with` block lasts, and collects what it writes."""

    def __init__(self, data: Path) -> None:
        self._command = [sys.executable, str(Path(__file__).parent), "--port", "0"]
        self._command += ["--data", str(data)]
        self._ready = threading.Event()
        self._lines: list[str] = []
        self.url = ""

    @property
    def output(self) -> str:
        """What the demo wrote to its terminal."""
        return "".join(self._lines)

    def __enter__(self) -> Demo:
        self._process = subprocess.Popen(  # noqa: S603  (this very program)
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(START_SECONDS)
        if not self.url:
            self._process.kill()
            self._reader.join(STOP_SECONDS)
            raise OSError("the demo did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.name == "posix":
            self._process.send_signal(signal.SIGINT)  # as Ctrl-C does
        else:
            self._process.terminate()
        try:
            self.status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._reader.join(STOP_SECONDS)

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                self._lines.append(line)
                if found := re.search(r"Open +(http://\S+:[0-9]+)/", line):
                    self.url = found[1]
                    self._ready.set()
        self._ready.set()  # it ended, perhaps without having said where it is
