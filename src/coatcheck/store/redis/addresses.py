"""What a Redis URL says.

    redis://[[user]:password@]host[:port][/db]       one server; rediss:// with TLS
    unix://[[user]:password@]/run/redis.sock         a server on this machine
    redis+sentinel://...@host[:port],host.../name[/db]   the primary of that name, as Sentinels say
    redis+cluster://...@host[:port],host...          a cluster, with nodes to begin with

`valkey` stands for `redis`. What has a meaning in URLs is written in percent form: `%40` for an at
sign in a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from coatcheck.errors import ConfigurationError

Kind: TypeAlias = Literal["node", "sentinel", "cluster"]

SCHEMES: Final = (
    *("redis", "rediss", "unix", "redis+unix", "valkey", "valkeys"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)
_EXAMPLES: Final = {
    "": "redis://localhost:6379/0",
    "unix": "unix:///run/redis/redis.sock",
    "sentinel": "redis+sentinel://host:26379,host:26379/primary-name/0",
    "cluster": "redis+cluster://host:6379,host:6379",
}
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]/@,]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Address:
    """Where the server is, and how to sign in."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    """Servers, Sentinels, or nodes to begin with; none for a socket."""
    service: str
    """The name of the primary, for Sentinels."""
    options: dict[str, Any]
    """What redis-py's connections take: `username`, `password`, `db`, `path`, `ssl`."""

    @property
    def where(self) -> str:
        """How errors name the server."""
        if "path" in self.options:
            return f"Redis at {self.options['path']}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        names = {"node": "Redis at", "cluster": "the Redis Cluster at"}
        name = names.get(self.kind, f"the Redis primary {self.service!r} of the Sentinels at")
        return f"{name} {hosts}"

    @property
    def location(self) -> str:
        """The same for all stores that keep the same records."""
        place = self.options.get("path") or ",".join(f"{h}:{p}" for h, p in sorted(self.hosts))
        return f"redis:{self.kind}:{place}/{self.service}/{self.options.get('db', 0)}"


def read(url: str) -> Address:
    """Return what a URL without options says; raise `ConfigurationError`, which never shows it."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise ConfigurationError(
            "a Redis store is given a URL or a client of redis-py: write"
            f" {_EXAMPLES['']!r}, or one of the schemes {', '.join(SCHEMES)}"
        )
    if "?" in rest or "#" in rest:
        raise ConfigurationError(
            f"the {scheme} URL has a '?' or '#' in it: give options as keywords, or the URL to"
            " open_store(...), and write %3F or %23 in a password"
        )
    base, _, variety = scheme.partition("+")
    kind: Kind = "node"
    if variety == "sentinel":
        kind = "sentinel"
    elif variety == "cluster":
        kind = "cluster"
    example = _EXAMPLES["unix" if scheme == "unix" else variety]
    credentials, _, place = rest.rpartition("@")
    options = _credentials(credentials)
    if "unix" in (scheme, variety):
        options["path"] = _socket(place, example)
        return Address("node", (), "", options)
    if base in ("rediss", "valkeys"):
        options["ssl"] = True
    names, _, path = place.partition("/")
    parts = [unquote(part) for part in path.split("/")] if path else []
    service = ""
    if kind == "sentinel":
        service = parts.pop(0) if parts else ""
        if not service:
            raise ConfigurationError(f"a {scheme} URL names the primary: write {example}")
    if parts and parts != [""]:
        if len(parts) > 1 or not re.fullmatch(r"[0-9]{1,5}", parts[0]) or kind == "cluster":
            raise ConfigurationError(
                f"what follows the host in a {scheme} URL is not the number of a database:"
                f" write {example}"
            )
        options["db"] = int(parts[0])
    port = 26379 if kind == "sentinel" else 6379
    hosts = tuple(_host(name, port, scheme, example) for name in names.split(","))
    if kind == "node" and len(hosts) > 1:
        raise ConfigurationError(
            f"a {scheme} URL names one server: write {_EXAMPLES['sentinel']} or"
            f" {_EXAMPLES['cluster']} for several"
        )
    return Address(kind, hosts, service, options)


def _credentials(text: str) -> dict[str, Any]:
    user, _, password = text.partition(":")
    options: dict[str, Any] = {}
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    return options


def _socket(path: str, example: str) -> str:
    path = unquote(path)
    if not path.startswith("/") or path == "/":
        raise ConfigurationError(f"a URL of a socket names its absolute path: write {example}")
    return path


def _host(name: str, port: int, scheme: str, example: str) -> tuple[str, int]:
    if name == "":
        return "localhost", port
    found = _HOST.fullmatch(name)
    if found is None or int(found[3] or 1) > 65_535 or int(found[3] or 1) == 0:
        raise ConfigurationError(
            f"a host in the {scheme} URL of the store is malformed: write {example}, with %40 for"
            " an at sign and %2F for a slash in a password"
        )
    return unquote(found[1] or found[2]), int(found[3] or port)
