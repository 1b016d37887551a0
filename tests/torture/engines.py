"""The systems under torture: how each is started, killed, and looked into afterwards."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import redis

from coatcheck.store.sql import SQLStore
from tests.servers import mariadb, postgresql
from tests.servers import redis as redis_servers
from tests.servers.databases import IN_MEMORY

TABLES: Final = ("sessions", "user_sessions", "users")
APPEND: Final = ("appendonly yes", "appendfsync always")


class Engine(Protocol):
    """A system that keeps sessions, for one run."""

    url: str
    serves: bool
    """Whether there is a server to kill; else there are only the processes themselves."""

    def kill(self) -> None:
        """Kill a server as a crash does, and start it again on what it has written."""
        ...

    def left(self) -> Mapping[str, int]:
        """Return how many rows, keys or files of each kind there are."""
        ...

    def remove(self) -> None:
        """End it."""
        ...


class RedisEngine:
    """A Redis server, or the three nodes of a cluster."""

    serves = True

    def __init__(self, nodes: Sequence[redis_servers.Server], url: str) -> None:
        self.nodes = nodes
        self.url = url
        self._next = itertools.cycle(nodes)

    def kill(self) -> None:
        node = next(self._next)
        node.kill()
        node.start()
        if len(self.nodes) > 1:
            redis_servers.wait_for_cluster(self.nodes)

    def left(self) -> Mapping[str, int]:
        counts = {"index entries of users": 0}
        for node in self.nodes:
            client: Any = redis.Redis(port=node.port)
            with client:
                counts["index entries of users"] += sum(
                    1 for _ in client.scan_iter(match="coatcheck/u/*", count=1000)
                )
        return counts

    def remove(self) -> None:
        for node in self.nodes:
            node.remove()


class SQLEngine:
    """A PostgreSQL or MariaDB server."""

    serves = True

    def __init__(self, server: postgresql.PostgreSQL | mariadb.MariaDB) -> None:
        self.server = server
        self.url = server.url
        store = SQLStore(server.url)
        store.create_tables()
        store.close()

    def kill(self) -> None:
        self.server.kill()
        self.server.start()

    def left(self) -> Mapping[str, int]:
        connection: Any = self.server.connect()
        counts: dict[str, int] = {}
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"SELECT count(*) FROM coatcheck_{table}")
                counts[f"rows of {table}"] = cursor.fetchone()[0]
        connection.close()
        return counts

    def remove(self) -> None:
        self.server.remove()


class LocalEngine:
    """A SQLite database or a folder of files."""

    serves = False

    def __init__(self, kind: str, folder: Path) -> None:
        self._folder = folder / "sessions"
        self.url = (
            f"sqlite:///{folder}/sessions.db" if kind == "sqlite" else f"file:///{self._folder}"
        )

    def kill(self) -> None:
        raise NotImplementedError("there is no server")

    def left(self) -> Mapping[str, int]:
        if not self._folder.exists():
            return {}
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        kept = ("lock", "00.purged-at")
        return {f"file {path}": 1 for path in files if path.name not in kept}

    def remove(self) -> None:
        pass


class GivenEngine:
    """What somebody else has started, and this run leaves running; it should be empty."""

    serves = False

    def __init__(self, url: str) -> None:
        self.url = url

    def kill(self) -> None:
        raise NotImplementedError("there is no server")

    def left(self) -> Mapping[str, int]:
        return {}

    def remove(self) -> None:
        pass


def _redis(folder: Path) -> Engine:
    server = redis_servers.Server(*APPEND)
    return RedisEngine([server], server.url)


def _cluster(folder: Path) -> Engine:
    nodes = redis_servers.new_cluster(*APPEND)
    return RedisEngine(nodes, redis_servers.cluster_url(nodes))


def _postgresql(folder: Path) -> Engine:
    return SQLEngine(
        postgresql.PostgreSQL("fsync=on", "full_page_writes=on", "synchronous_commit=on")
    )


def _mariadb(folder: Path) -> Engine:
    return SQLEngine(mariadb.MariaDB("--innodb-flush-log-at-trx-commit=1"))


ENGINES: Final[Mapping[str, Callable[[Path], Engine]]] = {
    "redis": _redis,
    "cluster": _cluster,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "sqlite": lambda folder: LocalEngine("sqlite", folder),
    "file": lambda folder: LocalEngine("file", folder),
}


def new_folder() -> Path:
    """Return a new folder, where there is no disk to wait for if the system has such a place."""
    return Path(tempfile.mkdtemp(prefix=f"coatcheck-torture-{os.getpid()}-", dir=IN_MEMORY))
