"""From what a store is given, a URL or a client of redis-py, to the link that it works through.

A client that somebody hands in is used as it is. Those made here never send a command again whose
answer was lost: a second `delete` would say that there was nothing to remove.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict, cast

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.connection
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry

from coatcheck import checks
from coatcheck.errors import ConfigurationError
from coatcheck.store.redis.addresses import Address, read
from coatcheck.store.redis.client import (
    AsyncClientLink,
    ClientLink,
    OwnedAsyncClientLink,
    OwnedClientLink,
)
from coatcheck.store.redis.connection import ConnectionLink
from coatcheck.store.redis.link import AsyncLink, Link
from coatcheck.store.redis.stream import StreamLink
from coatcheck.store.redis.trouble import FAILURES, meaning

# Half of what it takes has no types in redis-py.
_blocking: Final[Any] = redis
_awaited: Final[Any] = redis.asyncio
_cluster_node: Final[Any] = ClusterNode

TIMEOUT: Final = 3.0
"""Seconds to wait for a server, where nothing else is said."""


class Extras(TypedDict, total=False):
    """What else redis-py is to be told of the server that a URL names."""

    db: int
    """The number of the database, where the URL is that of a socket."""
    ssl_ca_certs: str
    """The file of certificates to trust in place of the system's."""
    ssl_certfile: str
    """The file of the client's own certificate."""
    ssl_keyfile: str
    """The file of its key."""


def open_link(server: object, timeout: float | None, extras: Extras) -> tuple[Link, str]:
    """Return the blocking link to a server, and the location of its records."""
    if not isinstance(server, str):
        client: Any = server
        if isinstance(server, redis.ConnectionPool):
            client = redis.Redis(connection_pool=server)
        _check(client, (redis.Redis, redis.RedisCluster), _blocking.client.Pipeline, "RedisStore")
        _no_options(timeout, extras)
        cluster = isinstance(client, redis.RedisCluster)
        location = _location(client, cluster)
        where = f"Redis ({location})"
        return ClientLink(client, where, is_cluster=cluster, timeout=_patience(client)), location
    made: Any
    address, limit = _address(server, extras), _limit(timeout)
    options = _options(address, limit, Retry(NoBackoff(), 0))
    if address.kind == "cluster":
        nodes = [_cluster_node(*host) for host in address.hosts]
        try:
            made = _blocking.RedisCluster(startup_nodes=nodes, **options)
        except FAILURES as error:
            raise meaning(error, address.where, limit) from error
    elif address.kind == "sentinel":
        watching = _blocking.Sentinel(address.hosts, sentinel_kwargs=_watching(options), **options)
        made = watching.master_for(address.service)
    else:
        kind = _kind(address, redis.connection)
        return ConnectionLink(lambda: kind(**_place(address, options)), address.where, limit), (
            address.location
        )
    cluster = address.kind == "cluster"
    link = OwnedClientLink(made, address.where, is_cluster=cluster, timeout=limit)
    return link, address.location


def open_async_link(server: object, timeout: float | None, extras: Extras) -> tuple[AsyncLink, str]:
    """Return the awaited link to a server, and the location of its records."""
    if not isinstance(server, str):
        client: Any = server
        if isinstance(server, redis.asyncio.ConnectionPool):
            client = redis.asyncio.Redis(connection_pool=server)
        kinds = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
        _check(client, kinds, _awaited.client.Pipeline, "AsyncRedisStore")
        _no_options(timeout, extras)
        cluster = isinstance(client, redis.asyncio.RedisCluster)
        location = _location(client, cluster)
        where, limit = f"Redis ({location})", _patience(client)
        return AsyncClientLink(client, where, is_cluster=cluster, timeout=limit), location
    address, limit = _address(server, extras), _limit(timeout)
    options = _options(address, limit, AsyncRetry(NoBackoff(), 0))

    if address.kind == "node":
        kind = _kind(address, redis.asyncio.connection)
        return StreamLink(lambda: kind(**_place(address, options)), address.where, limit), (
            address.location
        )

    def make() -> Any:
        if address.kind == "cluster":
            nodes = [AsyncClusterNode(*host) for host in address.hosts]
            # Else, after some slots have moved, it would cut the connections that others wait on.
            return _awaited.RedisCluster(startup_nodes=nodes, reinitialize_steps=0, **options)
        watching = _awaited.Sentinel(address.hosts, sentinel_kwargs=_watching(options), **options)
        return watching.master_for(address.service)

    cluster = address.kind == "cluster"
    link = OwnedAsyncClientLink(make, address.where, is_cluster=cluster, timeout=limit)
    return link, address.location


def _address(url: str, extras: Extras) -> Address:
    address = read(url)
    tls = {name: value for name, value in extras.items() if name.startswith("ssl_")}
    if tls and "ssl" not in address.options:
        raise ConfigurationError(f"{min(tls)} is for a server with TLS: write a rediss:// URL")
    if "db" in extras:
        if "path" not in address.options:
            raise ConfigurationError("db is for a socket: write redis://localhost:6379/1")
        number = extras["db"]
        if isinstance(number, bool) or not isinstance(cast(object, number), int) or number < 0:
            raise ConfigurationError("db must be the number of a database, 0 or more")
    address.options.update(extras)
    return address


def _limit(timeout: float | None) -> float:
    return TIMEOUT if timeout is None else checks.seconds("timeout", timeout)


def _options(address: Address, limit: float, retry: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        **address.options,
        "socket_timeout": limit,
        "socket_connect_timeout": limit,
        "socket_keepalive": True,
        "retry": retry,
        "protocol": 2,
    }
    if options.get("ssl"):
        # Not so in every version of redis-py that is supported.
        options.update(ssl_cert_reqs="required", ssl_check_hostname=True)
    return options


def _kind(address: Address, module: Any) -> Any:
    """Return the class of redis-py's connections to the server."""
    if "path" in address.options:
        return module.UnixDomainSocketConnection
    return module.SSLConnection if address.options.get("ssl") else module.Connection


def _place(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a connection to one server."""
    if "path" in options:
        return {name: options[name] for name in options if name != "socket_keepalive"}
    ((host, port),) = address.hosts
    return {
        **{name: options[name] for name in options if name != "ssl"},
        "host": host,
        "port": port,
    }


def _watching(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the connections to the Sentinels have in common with those to the servers."""
    return {
        name: value
        for name, value in options.items()
        if name.startswith(("socket_", "ssl")) or name == "retry"
    }


def _check(client: object, kinds: tuple[type, ...], refused: type, store: str) -> None:
    if isinstance(client, kinds) and not isinstance(client, refused):
        return
    name = f"{type(client).__module__.partition('.')[0]}.{type(client).__name__}"
    remedy = f"give {store}(...) a URL, such as 'redis://localhost:6379/0', or a client of redis-py"
    if isinstance(client, refused):
        remedy = "give the client itself"
    elif isinstance(client, redis.Redis | redis.RedisCluster | redis.ConnectionPool):
        remedy = "this client blocks: give it to RedisStore(...)"
    elif isinstance(
        client, redis.asyncio.Redis | redis.asyncio.RedisCluster | redis.asyncio.ConnectionPool
    ):
        remedy = "this client is awaited: give it to AsyncRedisStore(...)"
    elif isinstance(client, redis.Sentinel | redis.asyncio.Sentinel):
        remedy = "write sentinel.master_for('primary-name')"
    raise ConfigurationError(f"{store} cannot use a {name}: {remedy}")


def _no_options(timeout: float | None, extras: Extras) -> None:
    if timeout is not None or extras:
        name = min(extras) if extras else "timeout"
        raise ConfigurationError(f"{name} belongs to a URL, and a client was given: set it there")


def _patience(client: Any) -> float | None:
    """Return how many seconds a client waits for a reply, if that is known."""
    pool = getattr(client, "connection_pool", None)
    timeout = getattr(pool, "connection_kwargs", {}).get("socket_timeout")
    return timeout if isinstance(timeout, int | float) else None


def _location(client: Any, cluster: bool) -> str:
    if cluster:
        return f"redis-cluster:{id(client)}"
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    if "path" in options:
        return f"redis:node:{options['path']}//{options.get('db', 0)}"
    service = getattr(client.connection_pool, "service_name", None)
    if service is not None:
        return f"redis-sentinel:{service}/{options.get('db', 0)}"
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return f"redis:node:{host}:{port}//{options.get('db', 0)}"
