"""Stores by URL: `open_store("sqlite:///sessions.db")`.

`memory://`: a `MemoryStore`; options `max_sessions` and `max_bytes`.

`file:///srv/app/sessions`: a `FileStore` in that folder; options `timeout` and `fsync`.

`sqlite:///sessions.db`, `sqlite:////srv/app/sessions.db`: a `SQLiteStore` at a relative or, with a
fourth slash, an absolute path; options `durability` and `timeout`.

`postgresql://user:password@host/database`, `mysql://`, `mariadb://`: a `SQLStore`; options
`create_tables`, `prefix`, `schema`, `timeout` and `pool_size`. What else stands in the query, such
as `sslmode`, is the driver's.

`redis://host:6379/0`, `rediss://` with TLS, `unix:///run/redis.sock`,
`redis+sentinel://host:26379,host:26379/primary-name/0`, `redis+cluster://host:6379,host:6379`, and
`valkey://`: a `RedisStore`; options `timeout`, `wait_replicas`, `db` (of a socket), `ssl_ca_certs`,
`ssl_certfile` and `ssl_keyfile`.

Options stand in the query: `sqlite:///sessions.db?durability=full&timeout=2`. All stores have
`namespace`. A character that has a meaning in URLs is written in percent form where it belongs to a
path: `%3F` for a question mark, `%23` for a hash, `%25` for a percent sign.

Another distribution adds a scheme by an entry point of the group `coatcheck.stores`. Its name is
the scheme, and its value a function that is called as
`function(url, *, is_async, namespace, clock)`, returns an async store if `is_async` and else a
blocking one, and raises `ConfigurationError` for whatever is wrong with the URL.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from coatcheck.clock import system_clock
from coatcheck.errors import ConfigurationError
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import DEFAULT_NAMESPACE, AsyncStore, Store

ENTRY_POINTS: Final = "coatcheck.stores"
"""The group of entry points by which other distributions add schemes."""

_VERBS: Final = ("get", "create", "update", "touch", "delete")
_KEY_VALUE: Final = ("get", "set", "delete")


def open_store(url: str | Store, /, **options: Any) -> Store:
    """Return the blocking store that a URL names; a store is returned as it is.

    Args:
        url: the URL, or a store.
        options: what the store's class takes as keywords, `clock` among them. An option stands in
            the URL or here, not in both.

    Raises:
        ConfigurationError: for a URL or an option that means nothing; passwords are never shown.
        StoreError: where the store cannot be reached.
    """
    store: Store = _open(url, options, is_async=False)
    return store


def open_async_store(url: str | AsyncStore | Store, /, **options: Any) -> AsyncStore | Store:
    """Return the store that a URL names, awaited where there is such a one.

    `memory://` is a `MemoryStore`, which never blocks, and `file://` a `FileStore`, which is
    called in threads. For arguments and errors see `open_store`.
    """
    store: AsyncStore | Store = _open(url, options, is_async=True)
    return store


@dataclass(frozen=True)
class _Scheme:
    """What a URL of a scheme of ours may say, and how it is opened."""

    open: Callable[[SplitResult, bool, dict[str, Any]], Any]
    options: Mapping[str, Callable[[str, str], Any]]
    """For each option of the query: how to read it."""
    has_driver: bool = False
    """Whether other names in the query are for a driver, which knows them."""


def _open(url: object, options: dict[str, Any], *, is_async: bool) -> Any:
    if not isinstance(url, str):
        return _as_it_is(url, options)
    parts = _split(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None and "+" in parts.scheme:
        # SQLAlchemy's URLs may name the driver: mysql+pymysql://
        family = _SCHEMES.get(parts.scheme.partition("+")[0])
        scheme = family if family is not None and family.has_driver else None
    if scheme is None:
        return _open_elsewhere(url, parts, options, is_async)
    return scheme.open(parts, is_async, _read_options(parts, scheme, options))


def _as_it_is(store: object, options: dict[str, Any]) -> object:
    if all(callable(getattr(store, verb, None)) for verb in _VERBS) and not isinstance(store, type):
        if options:
            raise ConfigurationError(
                f"options belong to a URL, and a store was given: make the store with"
                f" {', '.join(sorted(options))}"
            )
        return store
    kind = "None" if store is None else f"a {type(store).__name__}"
    remedy = "write 'sqlite:///sessions.db', or make one, as by SQLiteStore('sessions.db')"
    if isinstance(store, os.PathLike):
        remedy = "a path says nothing of the kind of store: " + remedy
    elif isinstance(store, type):
        remedy = f"{store.__name__} is a class: write {store.__name__}(...)"
    elif all(callable(getattr(store, method, None)) for method in _KEY_VALUE):
        remedy = "an object with get, set and delete becomes one by KeyValueStore(...)"
    raise ConfigurationError(f"store must be a store or a URL, not {kind}: {remedy}")


def _split(url: str) -> SplitResult:
    """Return the parts of a URL; whatever is wrong with it, the URL itself is not shown."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://.*", url, re.DOTALL):
        raise ConfigurationError(
            "store must be a URL such as 'sqlite:///sessions.db', and what was given has no"
            f" scheme: write one of {_known_schemes()}"
        )
    scheme = url.partition(":")[0].lower()
    if re.search(r"[\x00-\x20\x7f]", url):
        # Python's parser would drop some of these without a word.
        raise ConfigurationError(
            f"the {scheme} URL of the store has a space or a control character in it: write %20"
            " for a space"
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        # The parser's own message would show a part of the URL.
        raise ConfigurationError(f"the {scheme} URL of the store is malformed") from None
    if parts.fragment or url.endswith("#"):
        raise ConfigurationError(f"the {scheme} URL of the store has a '#' in it: write %23")
    return parts


def _read_options(parts: SplitResult, scheme: _Scheme, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the query, as what they mean, and those given as keywords."""
    known = scheme.options.keys()
    found: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            if scheme.has_driver:
                continue
            raise _unknown_option(parts.scheme, name, known)
        if name in found:
            raise ConfigurationError(f"the URL of the store gives {name} twice: give it once")
        found[name] = scheme.options[name](name, value)
    for name, value in options.items():
        if name not in known and name != "clock":
            raise _unknown_option(parts.scheme, name, known)
        if name in found:
            raise ConfigurationError(f"{name} is given in the URL of the store and beside it")
        found[name] = value
    return found


def _unknown_option(scheme: str, name: str, known: Iterable[str]) -> ConfigurationError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return ConfigurationError(
        f"a {scheme} store has no option {name!r}: {hint}it has {', '.join(names)}"
    )


def _text(_name: str, value: str) -> str:
    return value


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise ConfigurationError(f"{name} in the URL of the store must be true or false")
    return value == "true"


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise ConfigurationError(f"{name} in the URL of the store must be a whole number")
    return int(value)


def _seconds(name: str, value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        raise ConfigurationError(
            f"{name} in the URL of the store must be a number of seconds, such as {name}=2.5"
        )
    return float(value)


def _no_host(parts: SplitResult, example: str) -> None:
    if parts.netloc:
        raise ConfigurationError(
            f"a {parts.scheme} URL names no host, so three slashes come first: write {example}"
        )


def _path(parts: SplitResult, path: str, example: str) -> str:
    decoded = unquote(path, errors="surrogateescape")
    if not decoded.strip("/") or "\0" in decoded:
        raise ConfigurationError(f"a {parts.scheme} URL names a path: write {example}")
    return decoded


def _open_memory(parts: SplitResult, _is_async: bool, options: dict[str, Any]) -> Any:
    if parts.netloc or parts.path not in ("", "/"):
        raise ConfigurationError("a memory URL names nothing: write memory://")
    return MemoryStore(**options)


def _open_file(parts: SplitResult, _is_async: bool, options: dict[str, Any]) -> Any:
    from coatcheck.store.file import FileStore

    example = "file:///srv/app/sessions"
    _no_host(parts, example)
    return FileStore(_path(parts, parts.path, example), **options)


def _open_sqlite(parts: SplitResult, is_async: bool, options: dict[str, Any]) -> Any:
    from coatcheck.store.sqlite import AsyncSQLiteStore, SQLiteStore

    example = "sqlite:///sessions.db, or sqlite:////srv/app/sessions.db for an absolute path"
    _no_host(parts, example)
    # One slash ends the host that is not there; what follows is the path, as with SQLAlchemy.
    path = _path(parts, parts.path[1:], example)
    return AsyncSQLiteStore(path, **options) if is_async else SQLiteStore(path, **options)


def _open_sql(parts: SplitResult, is_async: bool, options: dict[str, Any]) -> Any:
    try:
        from coatcheck.store.sql import AsyncSQLStore, SQLStore
    except ImportError as error:
        extra = "postgresql" if parts.scheme.startswith("postgres") else "mysql"
        raise ConfigurationError(
            f"a {parts.scheme} store needs {error.name}, which is not installed:"
            f" pip install 'coatcheck[{extra}]'"
        ) from error
    query = parse_qsl(parts.query, keep_blank_values=True)
    driver = urlencode([(name, value) for name, value in query if name not in _OF_SQL])
    url = f"{parts.scheme}://{parts.netloc}{parts.path}?{driver}".removesuffix("?")
    return AsyncSQLStore(url, **options) if is_async else SQLStore(url, **options)


def _open_redis(parts: SplitResult, is_async: bool, options: dict[str, Any]) -> Any:
    try:
        from coatcheck.store.redis import AsyncRedisStore, RedisStore
    except ImportError as error:
        raise ConfigurationError(
            f"a {parts.scheme} store needs {error.name}, which is not installed:"
            " pip install 'coatcheck[redis]'"
        ) from error
    url = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return AsyncRedisStore(url, **options) if is_async else RedisStore(url, **options)


_OF_REDIS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "timeout": _seconds,
    "wait_replicas": _whole,
    "db": _whole,
    "ssl_ca_certs": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "namespace": _text,
}
_REDIS: Final = _Scheme(_open_redis, _OF_REDIS)

_OF_SQL: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "create_tables": _flag,
    "prefix": _text,
    "schema": _text,
    "timeout": _seconds,
    "pool_size": _whole,
    "namespace": _text,
}

_SCHEMES: Final[Mapping[str, _Scheme]] = {
    "memory": _Scheme(
        _open_memory, {"max_sessions": _whole, "max_bytes": _whole, "namespace": _text}
    ),
    "file": _Scheme(_open_file, {"fsync": _flag, "timeout": _seconds, "namespace": _text}),
    "sqlite": _Scheme(_open_sqlite, {"durability": _text, "timeout": _seconds, "namespace": _text}),
    "postgresql": _Scheme(_open_sql, _OF_SQL, has_driver=True),
    "mysql": _Scheme(_open_sql, _OF_SQL, has_driver=True),
    "mariadb": _Scheme(_open_sql, _OF_SQL, has_driver=True),
    "redis": _REDIS,
    "rediss": _REDIS,
    "redis+sentinel": _REDIS,
    "rediss+sentinel": _REDIS,
    "redis+cluster": _REDIS,
    "rediss+cluster": _REDIS,
    "unix": _REDIS,
    "redis+unix": _REDIS,
    "valkey": _REDIS,
    "valkeys": _REDIS,
}


def _open_elsewhere(
    url: str, parts: SplitResult, options: dict[str, Any], is_async: bool
) -> object:
    """Open a URL whose scheme another distribution has added."""
    # Here, because it loads a dozen modules and most programs name a scheme of ours.
    import importlib.metadata

    found = importlib.metadata.entry_points(group=ENTRY_POINTS, name=parts.scheme)
    if not found:
        near = difflib.get_close_matches(parts.scheme, _schemes(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigurationError(
            f"no store is installed for the scheme {parts.scheme!r}: {hint}there are"
            f" {_known_schemes()}"
        )
    names = sorted(entry.value for entry in found)
    if len(names) > 1:
        raise ConfigurationError(
            f"several distributions have a store for the scheme {parts.scheme!r}"
            f" ({', '.join(names)}): uninstall all but one"
        )
    namespace = options.pop("namespace", DEFAULT_NAMESPACE)
    clock = options.pop("clock", system_clock)
    if options:
        raise _unknown_option(parts.scheme, min(options), ("namespace", "clock"))
    (entry,) = found
    opener = cast("Callable[..., object]", entry.load())
    return opener(url, is_async=is_async, namespace=namespace, clock=clock)


def _schemes() -> list[str]:
    import importlib.metadata

    added = (entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS))
    return sorted({*_SCHEMES, *added})


def _known_schemes() -> str:
    return ", ".join(f"{scheme}://" for scheme in _schemes())
