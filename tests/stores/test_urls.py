"""Stores by URL."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coatcheck.store
from coatcheck.errors import ConfigurationError
from coatcheck.store import (
    AsyncSQLiteStore,
    AsyncSQLStore,
    FileStore,
    KeyValueStore,
    MemoryStore,
    SQLiteStore,
    SQLStore,
    open_async_store,
    open_store,
)
from coatcheck.store.protocol import Store
from coatcheck.testing import ManualClock

KEY = "0" * 32
Open = Callable[..., Any]


@pytest.fixture(params=[open_store, open_async_store])
def open_either(request: pytest.FixtureRequest) -> Open:
    """Return either function: both refuse the same."""
    function: Open = request.param
    return function


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder of its own, for relative paths."""
    monkeypatch.chdir(tmp_path)


def saved(store: Store) -> None:
    """Save a session and close the store."""
    assert store.create(KEY, b"payload", expires_at=None, user_id=None)
    assert store.get(KEY) is not None
    getattr(store, "close", lambda: None)()


def test_memory() -> None:
    """`memory://` is a memory store, a new one each time, also for async programs."""
    store = open_store("memory://")
    assert type(store) is MemoryStore
    assert open_store("memory://") is not store
    assert type(open_async_store("memory://")) is MemoryStore
    assert type(open_store("memory:///")) is MemoryStore


def test_memory_options() -> None:
    """The bounds of a memory store stand in the URL, or beside it."""
    store: Any = open_store("memory://?max_sessions=7&max_bytes=9000&namespace=a:b")
    assert (store.max_sessions, store.max_bytes, store.namespace) == (7, 9000, "a:b")
    clock = ManualClock()
    other: Any = open_store("MEMORY://", max_sessions=8, namespace="c", clock=clock)
    assert (other.max_sessions, other.namespace, other.clock) == (8, "c", clock)


def test_file(tmp_path: Path) -> None:
    """`file:///directory` is a file store in that directory, also for async programs."""
    store = open_store(f"file://{tmp_path}/sessions")
    assert type(store) is FileStore
    saved(store)
    assert (tmp_path / "sessions").is_dir()
    other = open_async_store(f"file://{tmp_path}/other?namespace=b&fsync=true")
    assert type(other) is FileStore
    assert other.namespace == "b"
    other.close()


def test_sqlite_at_a_relative_path(tmp_path: Path) -> None:
    """Three slashes are a path relative to the working directory."""
    store = open_store("sqlite:///data/sessions.db")
    assert type(store) is SQLiteStore
    saved(store)
    assert (tmp_path / "data" / "sessions.db").is_file()


def test_sqlite_at_an_absolute_path(tmp_path: Path) -> None:
    """Four slashes are an absolute path, as `f"sqlite:///{absolute}"` gives them."""
    assert str(tmp_path).startswith("/")
    saved(open_store(f"sqlite:///{tmp_path}/sessions.db"))
    assert (tmp_path / "sessions.db").is_file()


def test_sqlite_for_async_programs() -> None:
    """For async programs a SQLite URL is the async store."""
    store = open_async_store("sqlite:///sessions.db?namespace=a&durability=full&timeout=2.5")
    assert type(store) is AsyncSQLiteStore
    assert store.namespace == "a"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "mysql", "mariadb"])
def test_sql_databases(scheme: str) -> None:
    """A URL of SQLAlchemy's names a SQL store; our options are taken out, nothing connects."""
    url = f"{scheme}://user:hunter2@db.example:4711/shop"
    options = "?namespace=a&prefix=b_&timeout=2.5&pool_size=3&create_tables=true"
    for opened, kind in ((open_store, SQLStore), (open_async_store, AsyncSQLStore)):
        store = opened(url + options)
        assert isinstance(store, kind)
        assert store.namespace == "a"
        assert str(store.location).endswith(":db.example:4711/shop:.b_")
        assert "hunter2" not in repr(store)
        assert "db.example:4711/shop" in repr(store)


def test_options_of_a_driver() -> None:
    """What a SQL store does not know in a URL goes to the driver, decoded once."""
    url = "postgresql://localhost/shop?sslmode=require&application_name=a%26b%2525&timeout=2"
    store: Any = open_store(url)
    name = store._engines.url.query["application_name"]
    assert (name, store._engines.url.query["sslmode"]) == ("a&b%25", "require")


def test_options_come_from_either_side() -> None:
    """Options of the query are read as what they are; keywords are taken as they are."""
    clock = ManualClock()
    store: Any = open_store("sqlite:///s.db?timeout=0", durability="full", clock=clock)
    assert store.clock is clock
    with pytest.raises(ConfigurationError, match="timeout"):
        open_store("sqlite:///s.db", timeout="2")
    with pytest.raises(ConfigurationError, match="durability must be 'normal' or 'full'"):
        open_store("sqlite:///s.db?durability=best")
    with pytest.raises(ConfigurationError, match="namespace must be"):
        open_store("memory://?namespace=a%20b")


def test_every_option_of_a_class_is_one_of_its_url() -> None:
    """No keyword of a store's class was forgotten in the options of its URL."""
    for url, kind in (
        ("memory://", MemoryStore),
        ("file:///tmp/x", FileStore),
        ("sqlite:///x", SQLiteStore),
        ("sqlite:///x", AsyncSQLiteStore),
        ("postgresql:///x", SQLStore),
        ("mariadb:///x", AsyncSQLStore),
    ):
        known = inspect.signature(kind).parameters
        wanted = {name for name, one in known.items() if one.kind is one.KEYWORD_ONLY} - {"clock"}
        with pytest.raises(ConfigurationError) as caught:
            open_store(url, no_such=1)
        listed = str(caught.value).rpartition("it has ")[2]
        assert set(listed.split(", ")) == wanted


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        ("a%20b.db", "a b.db"),
        ("100%25.db", "100%.db"),
        ("a%3Fb%23c.db", "a?b#c.db"),
        ("%C3%A4.db", "ä.db"),
        ("ä.db", "ä.db"),
        ("a+b.db", "a+b.db"),
        ("%FF.db", "\udcff.db"),
    ],
)
def test_paths_are_percent_decoded(tmp_path: Path, quoted: str, name: str) -> None:
    """A path is decoded once, as the bytes that it stands for."""
    saved(open_store(f"sqlite:///{quoted}"))
    assert os.listdir(tmp_path) == [name]


def test_a_store_is_returned_as_it_is(open_either: Open) -> None:
    """What is a store already is not touched."""
    store = MemoryStore()
    assert open_either(store) is store
    twin = AsyncSQLiteStore("sessions.db")
    assert open_either(twin) is twin
    with pytest.raises(ConfigurationError, match="options belong to a URL"):
        open_either(store, namespace="a")


class Engine:
    """An object that is no store but could become one."""

    def get(self, id: str) -> None: ...
    def set(self, id: str, data: str) -> None: ...
    def delete(self, id: str) -> None: ...


@pytest.mark.parametrize(
    ("thing", "remedy"),
    [
        (None, "write 'sqlite:///sessions.db'"),
        (5, "write 'sqlite:///sessions.db'"),
        (b"memory://", "not a bytes"),
        ({}, "not a dict"),
        (Path("sessions.db"), "a path says nothing of the kind of store"),
        (MemoryStore, r"write MemoryStore\(...\)"),
        (Engine(), r"becomes one by KeyValueStore\(...\)"),
    ],
)
def test_what_is_no_store_is_refused(open_either: Open, thing: object, remedy: str) -> None:
    """What is neither a store nor a URL is a ConfigurationError that names the remedy."""
    with pytest.raises(ConfigurationError, match=remedy):
        open_either(thing)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "has no scheme"),
        ("memory", "has no scheme"),
        ("memory:", "has no scheme"),
        ("sessions.db", "has no scheme"),
        ("/srv/sessions.db", "has no scheme"),
        ("sqlite:sessions.db", "has no scheme"),
        ("://x", "has no scheme"),
        ("5qlite:///x", "has no scheme"),
        ("memory://host", "write memory://"),
        ("memory:///path", "write memory://"),
        ("file://relative/dir", "three slashes"),
        ("file://", "names a path"),
        ("file:///", "names a path"),
        ("file:////", "names a path"),
        ("file:///%00", "names a path"),
        ("sqlite://sessions.db", "three slashes"),
        ("sqlite://", "names a path"),
        ("sqlite:///", "names a path"),
        ("sqlite:////", "names a path"),
        ("sqlite:///a%00b", "names a path"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///a#b.db", "write %23"),
        ("sqlite:///a.db#", "write %23"),
        ("sqlite:///a b.db", "write %20"),
        ("sqlite:///a\n.db", "control character"),
        ("sqlite:///a\tb.db", "control character"),
        ("sqlite://[::1/x", "malformed"),
        ("sqlite:///a.db?timeout=", "number of seconds"),
        ("sqlite:///a.db?timeout=fast", "number of seconds"),
        ("sqlite:///a.db?timeout=-1", "number of seconds"),
        ("sqlite:///a.db?timeout=nan", "number of seconds"),
        ("sqlite:///a.db?timeout=1e3", "number of seconds"),
        ("sqlite:///a.db?timeout=1_0", "number of seconds"),
        ("sqlite:///a.db?timeout=1&timeout=2", "twice"),
        ("file:///a?fsync=1", "fsync in the URL of the store must be true or false"),
        ("memory://?max_sessions=many", "whole number"),
        ("memory://?max_sessions=0", "whole number from 1"),
        ("memory://?max_sessions=\N{ARABIC-INDIC DIGIT ONE}", "whole number"),
        ("sqlite:///a.db?Timeout=2", "did you mean timeout"),
        ("sqlite:///a.db?durabilty=full", "did you mean durability"),
        ("sqlite:///a.db?mode=ro", "it has durability, namespace, timeout"),
        ("sqlite:///a.db?clock=1", "no option 'clock'"),
        ("memory://?timeout=2", "a memory store has no option 'timeout'"),
        ("sqlit:///a.db", "did you mean sqlite"),
        ("http://example.org", "there are file://, mariadb://, memory://, mysql://, postgresql://"),
        ("redis://localhost/first", "not the number of a database"),
        ("redis://localhost/0/1", "not the number of a database"),
        ("redis://localhost:port", "malformed"),
        ("redis://localhost:0", "malformed"),
        ("redis://localhost:65536", "malformed"),
        ("redis://a:6379,b:6379", "names one server"),
        ("redis://localhost?db=1", "redis://localhost:6379/1"),
        ("redis://localhost?timeout=0", "timeout"),
        ("redis://localhost?tiemout=1", "did you mean timeout"),
        ("redis://localhost?ssl_ca_certs=ca.pem", "rediss://"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix:///", "absolute path"),
        ("redis+sentinel://localhost", "names the primary"),
        ("redis+sentinel://localhost/name/first", "not the number of a database"),
        ("redis+cluster://localhost/1", "not the number of a database"),
        ("redis+sentinal://localhost", "did you mean redis"),
        ("postgres://localhost", "did you mean postgresql"),
        ("postgresql+psycopg2://localhost", "make an engine and hand it in"),
        ("mysql+aiomysql://localhost", "make an engine and hand it in"),
        ("postgresql://localhost/?timout=2", "'timout' in the URL of the SQL store means nothing"),
        ("mysql://localhost/?sslmode=require", "'sslmode' in the URL of the SQL store"),
        ("mariadb://localhost/?timeout=0", "timeout must be above 0"),
        ("mysql://localhost/?pool_size=0", "pool_size must be a whole number"),
        ("mysql://localhost/?create_tables=yes", "create_tables in the URL"),
        ("postgresql://localhost/?prefix=a;b", "prefix must be"),
        ("postgresql://localhost/?schema=A", "schema must be"),
        ("postgresql://localhost:port/", "malformed"),
    ],
)
def test_bad_urls_are_refused(open_either: Open, tmp_path: Path, url: str, told: str) -> None:
    """A URL that means nothing is a ConfigurationError that says what to write; nothing is made."""
    with pytest.raises(ConfigurationError, match=told):
        open_either(url)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_out": 2}, "did you mean timeout"),
        ({"max_sessions": 2}, "no option 'max_sessions'"),
        ({"namespace": "b"}, "given in the URL of the store and beside it"),
    ],
)
def test_bad_options_are_refused(open_either: Open, options: dict[str, Any], told: str) -> None:
    """A keyword that means nothing, or that the URL gives as well, is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match=told):
        open_either("sqlite:///sessions.db?namespace=a", **options)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@localhost/first",
        "postgresql://user:hunter2@localhost/db?sslmod=require",
        "postgresql://user:hunter2@localhost:port/db",
        "mysql+nosuch://user:hunter2@localhost/db",
        "nosuch://user:hunter2@host",
        "sqlite://user:hunter2@host/path.db",
        "memory://user:hunter2@",
        "file://user:hunter2@host/path",
        "redis://:hunter2#@localhost/0",
        "redis://:hunter2 @localhost/0",
        "redis://:hunter2@[::1/0",
        "redis//:hunter2@localhost",
        "redis:hunter2@localhost",
        "redis://user:hunter2@host\N{FULLWIDTH SOLIDUS}x",
    ],
)
def test_no_password_is_shown(open_either: Open, url: str) -> None:
    """Whatever is wrong with a URL, no part of it that may be a password is told to anybody."""
    with pytest.raises(ConfigurationError) as caught:
        open_either(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


PLUGIN = """
from coatcheck.errors import ConfigurationError
from coatcheck.store import MemoryStore

calls = []

def open_it(url, *, is_async, namespace, clock):
    if "bad" in url:
        raise ConfigurationError("the URL of an acme store is bad: write acme://good")
    calls.append((url, is_async))
    return MemoryStore(namespace=namespace, clock=clock)
"""


@pytest.fixture
def install(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a function that installs a distribution with a store for a scheme."""

    def install(distribution: str, scheme: str) -> None:
        folder = tmp_path_factory.mktemp(distribution)
        (folder / f"{distribution}_stores.py").write_text(PLUGIN)
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(
            f"[coatcheck.stores]\n{scheme} = {distribution}_stores:open_it\n"
        )
        monkeypatch.syspath_prepend(folder)  # pyright: ignore[reportUnknownMemberType]

    return install


def test_a_scheme_of_another_distribution(install: Open) -> None:
    """An entry point adds a scheme: it is given the URL, which kind to open, and the namespace."""
    install("acme", "acme")
    clock = ManualClock()
    url = "acme://user:password@host/0?anything=goes"
    store: Any = open_store(url, namespace="a", clock=clock)
    assert (type(store), store.namespace, store.clock) == (MemoryStore, "a", clock)
    assert open_async_store("ACME://x") is not store
    calls = importlib.import_module("acme_stores").calls
    assert calls == [(url, False), ("ACME://x", True)]
    with pytest.raises(ConfigurationError, match="write acme://good"):
        open_store("acme://bad")
    with pytest.raises(ConfigurationError, match="no option 'timeout'"):
        open_store(url, timeout=2)
    with pytest.raises(ConfigurationError, match="did you mean acme"):
        open_store("acne://x")


def test_a_scheme_of_ours_cannot_be_taken(install: Open) -> None:
    """An entry point that is named after a scheme of ours is not asked."""
    install("evil", "memory")
    assert type(open_store("memory://")) is MemoryStore
    with pytest.raises(ConfigurationError):
        open_store("memory://bad")


def test_two_distributions_with_one_scheme(install: Open) -> None:
    """Two distributions that add the same scheme are a ConfigurationError that names both."""
    install("left", "acme")
    install("right", "acme")
    with pytest.raises(ConfigurationError, match="left_stores:open_it, right_stores:open_it"):
        open_store("acme://x")


def test_the_table_of_contents() -> None:
    """Every store is found in `coatcheck.store`, and what is not there is an AttributeError."""
    assert coatcheck.store.KeyValueStore is KeyValueStore
    assert coatcheck.store.SQLiteStore.__module__ == "coatcheck.store.sqlite.blocking"
    with pytest.raises(AttributeError, match="NoSuchStore"):
        getattr(coatcheck.store, "NoSuchStore")  # noqa: B009 - the name is not there
