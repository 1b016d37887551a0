"""Database servers that tests start: what those of all kinds have in common.

Each process of the tests starts its own, in a folder that is removed with it, reached by a Unix
socket in that folder; they end with the process, however it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, create_engine

PATIENCE = 60.0
"""Seconds that a server may take to start or to end, on a machine that has much else to do."""
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
NOBODY = 65534
PREFIX = "coatcheck-sql-"
"""How the folders are named, before the process that made them."""


class DatabaseServer:
    """One server process, which can be paused, killed and started again on the same data."""

    def __init__(self) -> None:
        _remove_stale()
        prefix = f"{PREFIX}{os.getpid()}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=IN_MEMORY))
        # PostgreSQL refuses to run as root, and nobody else should either.
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        atexit.register(self.remove)
        self.prepare()
        self.start()

    def prepare(self) -> None:
        """Make the folder of the data."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return how the server is started."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Say whether the server serves."""
        raise NotImplementedError

    def call(self, *command: str | Path) -> None:
        """Run a program as the server's user, to its end."""
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')}")

    def start(self) -> None:
        """Start it, and wait until it answers; raise at once where it gives up."""
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
        wait_for(self._serves, self._told)

    def _serves(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.command()[0]} has ended instead of serving: {self._told()}")
        return self.answers()

    def _told(self) -> str:
        log = self.folder / "server.log"
        return f"the end of {log} is:\n{log.read_text(errors='replace')[-2000:]}"

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes, such as SIGSTOP or SIGCONT."""
        if self._process is not None:
            pids = [self._process.pid, *_children(self._process.pid)]
            _signal(pids, number)
            if number == signal.SIGSTOP:
                wait_for(lambda: all(map(stopped, pids)), self._told)

    def kill(self) -> None:
        """Kill it as a crash of the machine does: all of its processes, at once.

        PostgreSQL does not start again before the last one is gone.
        """
        if self._process is not None:
            children = _children(self._process.pid)
            _signal([self._process.pid, *children, *_children(self._process.pid)], signal.SIGKILL)
            self._process.wait()
            self._process = None
            wait_for(lambda: not any(map(_runs, children)), self._told)

    def remove(self) -> None:
        """End it, and remove what it has left; a child process leaves it to its parent."""
        if os.getpid() != self._owner:
            return
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.remove)


def _remove_stale() -> None:
    """Remove what processes have left that were killed."""
    for folder in Path(tempfile.gettempdir() if IN_MEMORY is None else IN_MEMORY).glob(
        f"{PREFIX}*"
    ):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}") and os.path.isdir("/proc/self"):
            shutil.rmtree(folder, ignore_errors=True)


def die_with_parent() -> None:
    """Have the kernel end the server when the process of the tests ends, even by SIGKILL."""
    pr_set_pdeathsig = 1
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        # Some end by themselves, and those of PostgreSQL all do when the first one has.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stopped(pid: int) -> bool:
    """Say whether all threads of a process have heard SIGSTOP, which a busy machine delays."""
    if not os.path.isdir("/proc/self"):
        return True
    return all(_state(stat) in "TtZX" for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def _runs(pid: int) -> bool:
    """Say whether the process is there, and no mere entry that nobody has asked for yet."""
    return _state(Path(f"/proc/{pid}/stat")) not in "ZX"


def _state(stat: Path) -> str:
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


@cache
def engine(url: str) -> Engine:
    """Return the engine of this process for a URL: to make one takes longer than most tests."""
    made = create_engine(url)
    atexit.register(made.dispose)
    return made


def wait_for(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait until the condition holds, for a real process that gives no other sign."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"a server did not come to it in {PATIENCE} s: {told()}")
        time.sleep(0.01)
