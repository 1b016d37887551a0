"""The torture in short: three processes for a moment; `make torture` is the long form."""

from __future__ import annotations

from tests.servers import redis as redis_servers
from tests.torture.model import LOST
from tests.torture.run import Plan, torture


def test_a_local_store() -> None:
    """Processes on one SQLite database break no promise."""
    report = torture(Plan("sqlite", seconds=1.0, processes=3, slots=30, users=6))
    assert report.verdict.clean, str(report)


def test_a_server_that_is_killed() -> None:
    """Nor do they on a server that is killed in between, and keeps what it acknowledged."""
    redis_servers.needs_redis()
    report = torture(Plan("redis", 1.3, processes=3, kill_every=0.6, slots=30, users=6))
    assert report.kills > 0
    assert report.verdict.clean, str(report)


def test_a_broken_store() -> None:
    """A store that writes over what others have written does not get through."""
    report = torture(Plan("sqlite", 0.7, processes=2, slots=4, users=2, defect="overwrites"))
    assert report.verdict.found[LOST], str(report)
