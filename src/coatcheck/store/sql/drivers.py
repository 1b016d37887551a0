"""From a URL to an engine of the store's own, with the drivers that are known to keep time."""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from coatcheck.errors import ConfigurationError

_BLOCKING: Final = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
}
_AWAITED: Final = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
    "sqlite": "sqlite+aiosqlite",
}
_INSTALL: Final = {
    "postgresql": "pip install 'coatcheck[postgresql]'",
    "mysql": "pip install 'coatcheck[mysql]'",
    "mariadb": "pip install 'coatcheck[mysql]'",
    "sqlite": "pip install aiosqlite",
}
_OF_MYSQL: Final = frozenset(
    {
        *("unix_socket", "charset", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher"),
        "ssl_check_hostname",
    }
)
"""What a URL of MySQL may say to the driver."""

_MODE: Final = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"
"""What our own connections ask of MySQL: no other mode changes what a value means."""
_BY_BACKSLASH: Final = frozenset({"asyncmy", "aiomysql"})
"""Drivers that put values into a statement, escaped by backslashes whatever the server's mode."""


def parse(url: str | URL, *, is_async: bool) -> URL:
    """Return a URL with the driver that is to be used; the URL itself is never shown."""
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the URL of the SQL store is malformed: write"
            " 'postgresql://user:password@host/database', with %40 for an @ in the password"
        ) from None
    name = parts.drivername
    backend = name.partition("+")[0]
    drivers = _AWAITED if is_async else _BLOCKING
    driver = drivers.get(backend)
    if driver is None or name not in (backend, driver):
        known = ", ".join(sorted({*drivers, *drivers.values()}))
        raise ConfigurationError(
            f"a SQL store opens no {name!r} URL by itself: write one of {known}, or make an engine"
            " and hand it in"
        )
    if backend == "sqlite" and (not parts.database or "memory" in parts.database):
        raise ConfigurationError(
            "a SQLite database in memory is one per connection: write store='memory://'"
        )
    _check_query(backend, parts.query)
    return parts.set(drivername=driver)


def _check_query(backend: str, query: Mapping[str, Any]) -> None:
    """Refuse what the driver would refuse only when it connects, or never."""
    known: Collection[str] = ()
    if backend == "postgresql" and query:
        options = _load("psycopg.pq", backend).Conninfo.get_defaults()
        known = {option.keyword.decode() for option in options}
    elif backend in ("mysql", "mariadb"):
        known = _OF_MYSQL
    unknown = min(query.keys() - known, default=None)
    if unknown is not None:
        raise ConfigurationError(
            f"{unknown!r} in the URL of the SQL store means nothing to {backend}"
        )


def make_engine(url: URL, *, timeout: float, pool_size: int) -> Engine:
    """Return an engine for a URL as `parse` returns it; it connects when it is first used."""
    connect: Any = None
    if url.get_backend_name() == "postgresql":
        connect = _load("coatcheck.store.sql.patience", "postgresql").blocking(timeout).connect
    options, parameters = _options(url, timeout, pool_size)
    try:
        if connect is None:
            return create_engine(url, connect_args=parameters, **options)
        return create_engine(url, creator=partial(connect, **parameters), **options)
    except ImportError as error:
        raise _missing(url.get_backend_name(), error.name) from error


def make_async_engine(url: URL, *, timeout: float, pool_size: int) -> AsyncEngine:
    """Return an async engine for a URL as `parse` returns it."""
    connect: Any = None
    if url.get_backend_name() == "postgresql":
        connect = _load("coatcheck.store.sql.patience", "postgresql").awaited(timeout).connect
    options, parameters = _options(url, timeout, pool_size)
    try:
        if connect is None:
            return create_async_engine(url, connect_args=parameters, **options)
        return create_async_engine(url, async_creator=partial(connect, **parameters), **options)
    except ImportError as error:
        raise _missing(url.get_backend_name(), error.name) from error


def _options(url: URL, timeout: float, pool_size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the engine and what the driver is to be told."""
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        # Without these, each return of a connection to the pool would cost a round trip.
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "pool_use_lifo": True,
        # The values are a visitor's data, and errors get into logs.
        "hide_parameters": True,
    }
    backend = url.get_backend_name()
    if backend == "sqlite":
        return options, {"timeout": timeout}
    whole = max(1, math.ceil(timeout))
    if backend == "postgresql":
        parameters = dict(url.get_dialect()().create_connect_args(url)[1])
        parameters.setdefault("connect_timeout", whole)
        # Less than the client waits: a statement that it gives up is not to be done later.
        limit = f"-c statement_timeout={max(1, math.floor(timeout * 900))}"
        parameters["options"] = f"{limit} {parameters.get('options', '')}".strip()
        return options, parameters
    parameters = {
        "connect_timeout": whole,
        "read_timeout": timeout,
        "init_command": f"SET SESSION innodb_lock_wait_timeout = {max(1, whole - 1)},"
        f" SESSION sql_mode = '{_MODE}'",
    }
    if url.drivername.endswith("pymysql"):
        parameters["write_timeout"] = timeout
    return options, parameters


def check_quoting(connection: Connection) -> None:
    """Refuse a connection on which a value could become part of a statement (CWE-89)."""
    if connection.dialect.driver in _BY_BACKSLASH:
        mode = connection.exec_driver_sql("SELECT @@SESSION.sql_mode").scalar_one()
        if "NO_BACKSLASH_ESCAPES" in str(mode):
            raise ConfigurationError(
                f"{connection.dialect.driver} does not quote values as the server's sql_mode"
                " NO_BACKSLASH_ESCAPES wants them, and they become statements: make the engine"
                " without that mode, connect_args={'init_command': \"SET sql_mode = ...\"}, or"
                " give the store a URL"
            )


def _load(module: str, backend: str) -> Any:
    # When it is needed: the drivers of each kind of engine are an extra of their own.
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(backend, error.name) from error


def _missing(backend: str, module: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"a {backend} store needs {module}, which is not installed: {_INSTALL[backend]}"
    )
