"""The SQL stores pass the contract on every engine and by both ways to it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects.mysql.base import MySQLDialect

from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.store.sql import AsyncSQLStore, SQLStore
from coatcheck.testing import (
    AsyncStoreContract,
    MakeAsyncStore,
    MakeStore,
    ManualClock,
    StoreContract,
)
from coatcheck.testing.store_cases.base import OtherProcess
from tests.servers import mariadb, postgresql
from tests.stores.test_contract import ENROLMENT, without

BETWEEN_PROCESSES = "test_22_no_increment_is_lost_between_processes"


@without(*ENROLMENT)
class Blocking(StoreContract):
    """A blocking store, given a URL."""

    examples = 12

    @pytest.fixture
    def other_process(self, url: str) -> OtherProcess:
        return functools.partial(SQLStore, url)

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> SQLStore:
            return SQLStore(url, create_tables=True, namespace=namespace, clock=clock)

        return make


@without(*ENROLMENT)
class Awaited(AsyncStoreContract):
    """An async store, given a URL."""

    examples = 8

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def other_process(self, url: str) -> OtherProcess:
        return functools.partial(AsyncSQLStore, url)

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> MakeAsyncStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> AsyncSQLStore:
            return AsyncSQLStore(url, create_tables=True, namespace=namespace, clock=clock)

        return make


class SQLite:
    """SQLite, by SQLAlchemy."""

    @pytest.fixture
    def url(self, in_memory: Path) -> str:
        return f"sqlite:///{in_memory}/sessions.db"


class PostgreSQL:
    """PostgreSQL, by psycopg."""

    @pytest.fixture
    def url(self) -> str:
        return postgresql.fresh_url()


class MariaDB:
    """MariaDB, by PyMySQL and asyncmy."""

    @pytest.fixture
    def url(self) -> str:
        return mariadb.fresh_url()


@without(BETWEEN_PROCESSES)
class TestOnSQLite(SQLite, Blocking):
    """A blocking store on SQLite."""


class TestOnPostgreSQL(PostgreSQL, Blocking):
    """A blocking store on PostgreSQL."""


@without(BETWEEN_PROCESSES)
class TestOnMariaDB(MariaDB, Blocking):
    """A blocking store on MariaDB."""


@without(BETWEEN_PROCESSES)
class TestAwaitedOnPostgreSQL(PostgreSQL, Awaited):
    """An async store on PostgreSQL."""


@without(BETWEEN_PROCESSES)
class TestAwaitedOnMariaDB(MariaDB, Awaited):
    """An async store on MariaDB."""


def other_than(*words: str) -> list[str]:
    """Return the cases that have none of the words in their names."""
    cases = (name for name in dir(StoreContract) if callable(getattr(StoreContract, name)))
    return [name for name in cases if name[:5] == "test_" and not any(w in name for w in words)]


@without(*other_than("delete", "histories", "random", "purge", "fork"))
class TestAsOnMySQL(MariaDB, Blocking):
    """What removes, in a store that is given an engine, and no RETURNING, which MySQL lacks."""

    @pytest.fixture
    def make_store(
        self, url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[MakeStore]:
        now, engine = clock, create_engine(url.replace("mysql://", "mysql+pymysql://"))
        initialize = MySQLDialect.initialize

        def as_mysql(dialect: Any, connection: Any) -> None:
            initialize(dialect, connection)
            dialect.delete_returning = False

        monkeypatch.setattr(MySQLDialect, "initialize", as_mysql)

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> SQLStore:
            return SQLStore(engine, namespace=namespace, clock=clock)

        yield make
        engine.dispose()
