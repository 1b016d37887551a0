"""Servers that are started once for many tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.e2e.servers import KINDS, Server
from tests.e2e.visitors import Visitor

EXPECTED: Final = (
    r"RuntimeError: (before|after) the (headers|accept)",
    r"coatcheck\.errors\.StoreError: .*",
    r"coatcheck\.errors\.ResponseStarted: .*",
    r"sqlite3\.OperationalError: no such table: .*",
    r"FileNotFoundError: .*",
    r"ExceptionGroup: .*\(1 sub-exception\)",
    r"ResourceWarning: Enable tracemalloc .*",
    # gunicorn leaves the heartbeat file of a worker open that it had to kill at its own end.
    r"sys:1: ResourceWarning: unclosed file <_io\.FileIO name=\d+ mode='rb\+' closefd=True>",
)
"""What the tests provoke: the last lines of tracebacks, and a warning that is a server's own."""


@pytest.fixture(scope="session", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server of each kind."""
    name: str = request.param
    with Server(KINDS[name], tmp_path_factory.mktemp(name)) as running:
        yield running
    running.show_log()
    assert unexpected(running.log) == []


@pytest.fixture(params=["plain", "framework", "files"])
def visitor(request: pytest.FixtureRequest, server: Server) -> Iterator[Visitor]:
    """A browser without cookies: on the bare interface, on the framework, and on a file store."""
    begun = len(server.log)
    with Visitor(server, request.param) as browser:
        yield browser
    server.show_log(begun)


def unexpected(log: str) -> list[str]:
    """Return the errors and warnings in a server's log that no test provoked."""
    lines = re.findall(
        r"^[\s|]*((?:\w+\.)*\w*(?:Error|Exception|Group|Warning)(?::.*)?)$", log, re.MULTILINE
    )
    lines += re.findall(
        r"^.*(?:never (?:awaited|retrieved)|unclosed (?!<socket)).*$", log, re.MULTILINE
    )
    return [line for line in lines if not any(re.fullmatch(one, line) for one in EXPECTED)]
