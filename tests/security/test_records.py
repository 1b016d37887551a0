"""What a record may be: ours or nothing, never code, and out of reach of the application's keys."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from coatcheck.events import RecordCorrupt
from coatcheck.store.protocol import Updated
from coatcheck.store.sql import SQLStore
from coatcheck.store.sql.tables import PREFIX, tables_of
from tests.core.harness import Browser, Harness, put, sign_in
from tests.servers import mariadb, postgresql

ROOT = Path(__file__).resolve().parents[2]
DATA = {"a": 1, "user_id": "eve", "_user_id": "eve", "role": "admin"}
FOREIGN = {
    "JSON": json.dumps(DATA).encode(),
    "JSON of a session that says who it is": json.dumps({"version": 1, "data": DATA}).encode(),
    "pickle": b"(dp0\nVuser_id\np1\nVeve\np2\ns.",
    "marshal": b"{u\x07\x00\x00\x00user_idu\x03\x00\x00\x00eve0",
    "Ruby's Marshal": b'\x04\x08{\x06I"\x0cuser_id\x06:\x06ETI"\x08eve\x06;\x00T',
    "itsdangerous": b"eyJ1c2VyX2lkIjoiZXZlIn0.ZVxYzA.c2lnbmF0dXJlc2lnbmF0dXJl",
    "an envelope of Fernet": b"gAAAAABlXFjM" + b"A" * 80,
    "nothing": b"",
}
"""What other libraries keep, and what somebody would plant who can write to the store."""


@pytest.mark.parametrize("foreign", FOREIGN)
def test_sec_09_no_other_format_is_tried(foreign: str) -> None:
    """What is not in our format is no session: nothing falls back to what reads more."""
    harness = Harness()
    browser = Browser(harness)
    browser.visit(put(a="mine"))
    stored = harness.stored(browser.id)
    handle = harness.identity(browser.id).handle
    outcome = harness.store.inner.update(
        handle, FOREIGN[foreign], version=stored.version, expires_at=stored.expires_at
    )
    assert isinstance(outcome, Updated)
    assert browser.read() == {}
    assert browser.user() is None
    assert [event.handle for event in harness.told(RecordCorrupt)] == [handle, handle]


_PLANT = """
import pickle, sys
from coatcheck import SessionManager, open_store

class Bomb:
    def __reduce__(self):
        return (sys.exit, ("the record was run",))

bomb = pickle.dumps(Bomb())
for url in ("memory://", f"file://{sys.argv[1]}/files", f"sqlite:///{sys.argv[1]}/one.db"):
    store = open_store(url)
    manager = SessionManager(secret="N0vq2W9sXr4kTz7bYc1mJd5hFg8pLa3uEo6iQwVtRnk", store=store)
    def round():
        session = manager.create("ann", data={"a": [1, {"b": "c"}]})
        assert manager.open(session.id)["a"] == [1, {"b": "c"}]
        found = store.get(session.handle)
        store.update(session.handle, bomb, version=found.version, expires_at=found.expires_at)
        if manager.open(session.id) is not None:
            raise SystemExit("a pickle is a session")
    round()  # imports what is imported late
    watching = True
    def watch(event, args):
        if watching and event in {"pickle.find_class", "marshal.loads", "exec", "compile"}:
            raise SystemExit(f"{event} in {url}")
    sys.addaudithook(watch)
    round()
    watching = False
print("unharmed")
"""


def test_sec_21_nothing_in_a_record_is_run(tmp_path: Path) -> None:
    """With Python's own audit hooks watching, no store and no codec decodes by running code."""
    command = [sys.executable, "-c", _PLANT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("unharmed", 0), done.stderr


def test_sec_23_nothing_is_compressed() -> None:
    """A small record cannot become a large one, and what is sent says nothing by its length."""
    tools = {"zlib", "gzip", "bz2", "lzma", "zipfile", "zstandard", "brotli", "lz4", "compression"}
    for file in (*ROOT.glob("src/**/*.py"), *ROOT.glob("adapters/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            used: set[str] = set()
            if isinstance(node, ast.ImportFrom) and node.module in tools:
                used = {alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                used = {alias.name for alias in node.names} & tools - {"zlib"}
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "zlib":
                used = {node.attr}
            assert used <= {"crc32"}, file


METADATA = (
    *("id", "handle", "user_id", "_user_id", "user", "_auth", "auth_time", "signed_in_at"),
    *("created_at", "expires_at", "last_seen_at", "lifetime", "idle", "permanent", "is_new"),
    *("_coatcheck", "__class__", "_permanent", "secret_hash", "epoch", "version", "csrf_token"),
)


def test_sec_41_no_key_reaches_what_a_session_is() -> None:
    """The application's keys are its own, whatever their names: who it is stands elsewhere."""
    harness = Harness()
    browser, other = Browser(harness), Browser(harness)
    browser.visit(sign_in("ann"))
    before = harness.record(browser.id)
    browser.visit(put(**dict.fromkeys(METADATA, "eve")))
    assert browser.user() == "ann"
    assert browser.read() == dict.fromkeys(METADATA, "eve")
    record = harness.record(browser.id)
    for field in ("user_id", "created_at", "signed_in_at", "secret_hash"):
        assert getattr(record, field) == getattr(before, field), field
    other.visit(put(**dict.fromkeys(METADATA, "eve")))
    assert other.user() is None


@pytest.fixture(params=[postgresql.fresh_engine, mariadb.fresh_engine])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return an engine of each server in turn."""
    engine: Engine = request.param()
    yield engine
    engine.dispose()


def test_sec_79_a_key_is_compared_byte_by_byte(engine: Engine) -> None:
    """Neither case nor trailing blanks are folded, whatever the collation of the database is."""
    key = "ab" * 16
    assert SQLStore(engine).create(key, b"x", expires_at=None, user_id=None)
    column = tables_of(PREFIX, None).sessions.c.key
    with engine.connect() as connection:
        for like, found in ((key, [key]), (key.upper(), []), (key[:-1], [])):
            rows = connection.execute(select(column).where(column == like))
            assert [row[0] for row in rows] == found, like
