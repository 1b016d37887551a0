"""MariaDB servers that tests start, with what Debian's package `mariadb-server` installs."""

from __future__ import annotations

import atexit
import shutil
import socket
from collections.abc import Sequence
from functools import cache
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine

from coatcheck.store.sql import SQLStore
from tests.servers.databases import DatabaseServer, engine

HINT = "no MariaDB server: install mariadb-server (Debian: apt-get install mariadb-server)"
TABLES = ("sessions", "user_sessions", "users", "namespaces")


@cache
def program(name: str) -> str | None:
    """Return the path of a program of MariaDB's, if it is installed."""
    # Debian has the server where only root looks.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def needs_mariadb() -> None:
    """Skip the test, or the fixture that asks, where there is no server."""
    if program("mariadbd") is None or program("mariadb-install-db") is None:
        pytest.skip(HINT)


class MariaDB(DatabaseServer):
    """One MariaDB server."""

    def __init__(self, *options: str) -> None:
        needs_mariadb()
        self.options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        super().__init__()

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"mysql://tester:secret@127.0.0.1:{self.port}/test"

    def connect(self) -> Any:
        """Return a connection for the test itself."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="tester",
            password="secret",
            database="test",
            autocommit=True,
        )

    def prepare(self) -> None:
        data = self.folder / "data"
        self.call(
            *(program("mariadb-install-db") or "", "--no-defaults", f"--datadir={data}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"),
        )
        # One statement a line.
        (self.folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS test;\n"
            "CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'secret';\n"
            "GRANT ALL ON *.* TO tester@'127.0.0.1';\n"
        )

    def command(self) -> Sequence[str]:
        folder = self.folder
        return [
            *(program("mariadbd") or "", "--no-defaults", f"--datadir={folder}/data"),
            *(f"--socket={folder}/socket", f"--pid-file={folder}/pid"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1"),
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--skip-name-resolve"),
            *(f"--init-file={folder}/init.sql", *self.options),
        ]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False
        return True


@cache
def shared() -> MariaDB:
    """Return the one server of this process that tests share, and that no test breaks."""
    return MariaDB()


@cache
def _cleaner() -> Any:
    store = SQLStore(shared().url)
    store.create_tables()
    store.close()
    connection = shared().connect()
    atexit.register(connection.close)
    return connection


def fresh_url() -> str:
    """Return the URL of the shared server, its tables made and empty."""
    with _cleaner().cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM coatcheck_{table}")
    return shared().url


def fresh_engine() -> Engine:
    """Return an engine for the shared server, its tables made and empty."""
    return engine(fresh_url().replace("mysql:", "mysql+pymysql:"))
