"""The SQL stores pass the contract on every engine and by both ways to it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.store.sql import SQLStore
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from coatcheck.testing.store_cases.base import OtherProcess
from tests.servers import postgresql


class Blocking(StoreContract):
    """A blocking store, given a URL."""

    @pytest.fixture
    def other_process(self, url: str) -> OtherProcess:
        return functools.partial(SQLStore, url)

    @pytest.fixture
    def make_store(self, url: str, clock: ManualClock) -> MakeStore:
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> SQLStore:
            return SQLStore(url, create_tables=True, namespace=namespace, clock=clock)

        return make


class TestOnSQLite(Blocking):
    """SQLite, by SQLAlchemy."""

    @pytest.fixture
    def url(self, in_memory: Path) -> str:
        return f"sqlite:///{in_memory}/sessions.db"


class TestOnPostgreSQL(Blocking):
    """PostgreSQL, by psycopg."""

    @pytest.fixture
    def url(self) -> str:
        return postgresql.fresh_url()
