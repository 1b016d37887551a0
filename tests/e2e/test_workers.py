"""Several worker processes that share a store, forked or spawned."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

import pytest

from tests.e2e.conftest import unexpected
from tests.e2e.servers import KINDS, Kind, Server
from tests.e2e.visitors import Visitor, receive_until

WORKERS: Final[dict[str, Kind]] = {
    "gunicorn": KINDS["gunicorn-sync"].with_arguments("--workers", "2"),
    "gunicorn-preload": KINDS["gunicorn-sync"].with_arguments("--workers", "2", "--preload"),
    "uvicorn": KINDS["uvicorn"].with_arguments("--workers", "2"),
}
_turns = itertools.count()


@pytest.fixture(scope="module", params=WORKERS)
def workers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server with two worker processes."""
    name: str = request.param
    kind = WORKERS[name]
    warm = {"E2E_WARM": "yes"} if "--preload" in kind.command else {}
    with Server(kind, tmp_path_factory.mktemp(name), **warm) as running:
        yield running
    running.show_log()
    assert unexpected(running.log) == []


@pytest.fixture(params=["plain", "framework", "files"])
def visitor(request: pytest.FixtureRequest, workers: Server) -> Iterator[Visitor]:
    """A browser without cookies."""
    with Visitor(workers, request.param) as browser:
        yield browser


class Turns:
    """Lets one of two workers serve at a time, by keeping the other busy."""

    def __init__(self, server: Server) -> None:
        self._visitor = Visitor(server, "plain")
        self._busy: dict[int, tuple[str, socket.socket]] = {}

    def __enter__(self) -> Turns:
        while len(self._busy) < 2:
            self._block()
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self._busy):
            self._free(process)
        self._visitor.http.close()

    @property
    def workers(self) -> list[int]:
        """The two processes."""
        return sorted(self._busy)

    def take(self, process: int) -> ExitStack:
        """Let this worker alone serve, while the `with` block lasts."""
        self._free(process)
        stack = ExitStack()
        stack.callback(self._block)
        return stack

    def _block(self) -> None:
        # No two tests may have the same: the gates of those before are open.
        gate = f"turn-{next(_turns)}"
        opened = self._visitor.begin("block", gate=gate)
        found = self._visitor.server.wait_for(rf"\b{gate} holds up ([0-9]+)")
        self._busy[int(found[1])] = gate, opened

    def _free(self, process: int) -> None:
        gate, opened = self._busy.pop(process)
        (self._visitor.server.folder / gate).touch()
        with opened:
            receive_until(opened, b"free")


def test_shared(visitor: Visitor) -> None:
    """What one worker writes the other reads, at once; so it is with signing in and out."""
    with Turns(visitor.server) as turns:
        one, other = turns.workers
        with turns.take(one), visitor.copy() as browser:
            assert browser.get("put", a="1").json()["pid"] == one
            visitor.http.cookies.update(browser.http.cookies)
        with turns.take(other), visitor.copy() as browser:
            assert browser.show() == {"data": {"a": "1"}, "user": None, "pid": other}
            browser.get("put", b="2")
            browser.get("log_in", user="ada")
            visitor.http.cookies.clear()
            visitor.http.cookies.update(browser.http.cookies)
        with turns.take(one), visitor.copy() as browser:
            shown = browser.show()
            assert shown == {"data": {"a": "1", "b": "2"}, "user": "ada", "pid": one}
            browser.get("log_out")
        with turns.take(other), visitor.copy() as browser:
            assert browser.show() == {"data": {}, "user": None, "pid": other}


def test_parallel(visitor: Visitor) -> None:
    """Changes to different keys, made in two workers at once, are all kept."""
    visitor.get("put", a="1")

    def change(name: str) -> set[int]:
        with visitor.copy() as tab:
            answers = [tab.get("put", **{f"{name}{number}": name}) for number in range(8)]
        return {answer.json()["pid"] for answer in answers}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, "wxyz"))
    changed = {f"{name}{number}": name for name in "wxyz" for number in range(8)}
    assert visitor.stored == {"a": "1", **changed}


@pytest.mark.parametrize("workers", ["gunicorn-preload"], indirect=True)
def test_fork_after_open(visitor: Visitor) -> None:
    """A store that was opened and used before the fork serves every worker."""
    found = visitor.server.wait_for(f"before the fork: {visitor.cookie}=(.*)")
    visitor.http.cookies.set(visitor.cookie, found[1])
    made = {"made": "before the fork"}
    with Turns(visitor.server) as turns:
        for process in turns.workers:
            with turns.take(process), visitor.copy() as browser:
                shown = browser.show()
                assert (shown["pid"], shown["data"]["made"]) == (process, made["made"])
                browser.get("put", **{f"by-{process}": "1"})
        expected = {**made, **{f"by-{process}": "1" for process in turns.workers}}
    assert visitor.stored == expected


def test_killed_worker(visitor: Visitor) -> None:
    """A worker that is killed in mid-body takes nothing with it but what was not yet saved."""
    visitor.get("put", a="1")
    gate = f"{visitor.session_id}"
    with visitor.begin("wait", gate=gate) as opened:
        receive_until(opened, b"first,")
        killed = int(visitor.server.wait_for(f"{gate} holds up ([0-9]+)")[1])
        os.kill(killed, signal.SIGKILL)
    with visitor.copy() as browser:
        shown = browser.show()
    assert shown["pid"] != killed
    assert shown["data"] == {"a": "1", "waited": "begun"}
    if visitor.mount != "files":
        with closing(sqlite3.connect(visitor.server.folder / "sessions.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
