"""The printed migration: on an empty database, and on the tables that earlier versions have made.

`layouts/` keeps, for each version that changed the tables, what its migration printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects.mysql.base import MySQLDialect

from coatcheck.store.protocol import Admitted, IndexEntry, Stored, Updated
from coatcheck.store.sql import SQLStore
from coatcheck.store.sql.__main__ import main
from coatcheck.store.sql.statements import Statements
from coatcheck.store.sql.tables import Tables
from tests.servers import mariadb, postgresql

LAYOUTS = Path(__file__).with_name("layouts")
VERSIONS = ("0.1",)
"""Those whose tables differ, oldest first."""
KEY = "0" * 32
KINDS = ("postgresql", "mysql", "sqlite")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of engine in turn."""
    name: str = request.param
    return name


@pytest.fixture
def engine(kind: str, in_memory: Path) -> Iterator[Engine]:
    """Return an engine for a database without the tables of these tests."""
    if kind == "sqlite":
        url = f"sqlite:///{in_memory}/sessions.db"
    elif kind == "mysql":
        url = mariadb.fresh_url().replace("mysql:", "mysql+pymysql:")
    else:
        url = postgresql.fresh_url().replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    yield engine
    with engine.begin() as connection:
        for table in postgresql.TABLES:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS moved_{table}")
    engine.dispose()


def run(engine: Engine, script: str) -> None:
    """Run statements as they were printed."""
    with engine.begin() as connection:
        for statement in script.split(";\n")[:-1]:
            connection.exec_driver_sql(statement)


def printed(kind: str, capsys: pytest.CaptureFixture[str], prefix: str = "moved_") -> str:
    """Return what the command prints."""
    url = "sqlite:///x.db" if kind == "sqlite" else f"{kind}://"
    assert main([url, "--prefix", prefix]) == 0
    return capsys.readouterr().out


def test_the_newest_layout_is_kept(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables that change take a new file beside the old ones, and a migration from these."""
    newest = (LAYOUTS / f"{VERSIONS[-1]}-{kind}.sql").read_text()
    assert printed(kind, capsys, "coatcheck_") == newest


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_of_an_earlier_version(
    version: str, kind: str, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the migration a store goes on with what was in the tables, and nobody is signed out."""
    run(engine, (LAYOUTS / f"{version}-{kind}.sql").read_text().replace("coatcheck_", "moved_"))
    key = "`key`" if kind == "mysql" else "key"
    payload, user = {"postgresql": (r"'\x00ff'", r"'\x616e6e'")}.get(kind, ("x'00ff'", "x'616e6e'"))
    run(
        engine,
        f"INSERT INTO moved_sessions (namespace, {key}, version, user_id, payload)"
        f" VALUES ('coatcheck', '{KEY}', 5, {user}, {payload});\n"
        f"INSERT INTO moved_user_sessions (namespace, user_id, {key}, position, admitted_at,"
        f" evicted) VALUES ('coatcheck', {user}, '{KEY}', 1, 2.5, false);\n"
        "INSERT INTO moved_users (namespace, user_id, epoch, counter)"
        f" VALUES ('coatcheck', {user}, 77, 1);\n",
    )
    run(engine, printed(kind, capsys))
    store = SQLStore(engine, prefix="moved_")
    assert store.get(KEY) == Stored(5, None, b"\0\xff")
    assert store.entries("ann") == [IndexEntry(KEY, 2.5)]
    admitted = store.admit("ann", "1" * 32, limit=None, evict=True)
    assert isinstance(admitted, Admitted)
    assert admitted.epoch == 77
    assert store.update(KEY, b"new", version=5, expires_at=None) == Updated(6)
    assert store.scan() == ([KEY], None)
    assert store.delete(KEY, user_id="ann") == Stored(6, None, b"new")


def test_keys_are_exact(kind: str, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that differ in case or in a space are different, whatever the database thinks."""
    run(engine, printed(kind, capsys))
    names = ("shop", "Shop", "SHOP")
    stores = [SQLStore(engine, prefix="moved_", namespace=name) for name in names]
    for store in stores:
        for user in ("ann", "Ann", "ann ", "\N{LATIN SMALL LETTER A WITH DIAERESIS}nn"):
            assert isinstance(store.admit(user, KEY, limit=1, evict=False), Admitted)
        payload = store.namespace.encode() + bytes(range(256))
        assert store.create(KEY, payload, expires_at=None, user_id="ann")
    for store in stores:
        assert store.get(KEY) == Stored(1, None, store.namespace.encode() + bytes(range(256)))
    assert stores[0].delete(KEY) is not None
    assert stores[1].get(KEY) is not None


def test_what_is_said_to_mysql() -> None:
    """No statement uses what MariaDB has and MySQL has not."""
    dialect = MySQLDialect()
    dialect.server_version_info = (8, 0, 36)
    statements = vars(Statements(Tables(), dialect))
    texts = {
        name: str(statement.compile(dialect=dialect))
        for name, statement in statements.items()
        if hasattr(statement, "compile")
    }
    assert len(texts) > 20
    assert statements["pull"] is None
    assert "SKIP LOCKED" in texts["expired"]
    for word in ("RETURNING", "VALUES(", "IF NOT EXISTS", " EXCEPT ", "SEQUENCE"):
        assert [name for name, words in texts.items() if word in words.upper()] == []
