"""The neutral view of a request and of a response's headers, over what WSGI and ASGI call them.

A State sees nothing else, so it works behind every adapter. Header text is Latin-1, as PEP 3333 and
the ASGI specification carry it; names are compared without case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol


class Request(Protocol):
    """What a State may know of a request."""

    @property
    def native(self) -> MutableMapping[str, Any]:
        """The WSGI environ or the ASGI scope."""
        ...

    @property
    def scheme(self) -> str:
        """`"http"`, `"https"`, `"ws"` or `"wss"`, as the server reports it."""
        ...

    @property
    def method(self) -> str:
        """The HTTP method; `"GET"` for a WebSocket handshake."""
        ...

    @property
    def path(self) -> str:
        """The path below the place where the application is mounted, without percent-encoding."""
        ...

    @property
    def client(self) -> str | None:
        """The peer's address as the server reports it, if it does."""
        ...

    def header(self, name: str, /) -> list[str]:
        """Return the values of all headers of that (lower-case) name, in order."""
        ...


class WSGIRequest:
    """A `Request` over a WSGI environ (PEP 3333)."""

    __slots__ = ("native",)

    def __init__(self, environ: MutableMapping[str, Any]) -> None:
        self.native = environ

    @property
    def scheme(self) -> str:
        scheme: str = self.native.get("wsgi.url_scheme", "http")
        return scheme

    @property
    def method(self) -> str:
        method: str = self.native.get("REQUEST_METHOD", "GET")
        return method

    @property
    def path(self) -> str:
        path: str = self.native.get("PATH_INFO", "")
        # PEP 3333 carries the octets of UTF-8 as Latin-1.
        return (
            path if path.isascii() else path.encode("latin-1", "replace").decode(errors="replace")
        )

    @property
    def client(self) -> str | None:
        address: str | None = self.native.get("REMOTE_ADDR")
        return address

    def header(self, name: str, /) -> list[str]:
        """One value at most: a server joins repeated headers (RFC 3875, 4.1.18)."""
        value: str | None = self.native.get(
            "HTTP_COOKIE" if name == "cookie" else "HTTP_" + name.upper().replace("-", "_")
        )
        return [] if value is None else [value]


class ASGIRequest:
    """A `Request` over an ASGI scope of type `http` or `websocket`."""

    __slots__ = ("native",)

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.native = scope

    @property
    def scheme(self) -> str:
        scheme: str = self.native.get("scheme", "http")
        return scheme

    @property
    def method(self) -> str:
        method: str = self.native.get("method", "GET")
        return method

    @property
    def path(self) -> str:
        path: str = self.native.get("path", "")
        root: str = self.native.get("root_path", "")
        # Some servers leave the mount point in `path`, as the specification now asks; some do not.
        mounted = root and (path == root or path.startswith(root.rstrip("/") + "/"))
        return path[len(root.rstrip("/")) :] if mounted else path

    @property
    def client(self) -> str | None:
        client = self.native.get("client")
        return client[0] if client else None

    def header(self, name: str, /) -> list[str]:
        wanted, size = name.encode("latin-1"), len(name)
        headers: list[tuple[bytes, bytes]] = self.native.get("headers", [])
        return [
            value.decode("latin-1")
            for key, value in headers
            if len(key) == size and key.lower() == wanted
        ]


class ResponseHeaders(Protocol):
    """The headers of a response that has not left yet."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of every header, in order."""
        ...

    def add(self, name: str, value: str, /) -> None:
        """Append a header, after those already there."""
        ...

    def set(self, name: str, value: str, /) -> None:
        """Replace all headers of that name (without case) by one, or append it."""
        ...


class WSGIHeaders:
    """`ResponseHeaders` over the list that a WSGI application hands to `start_response`."""

    __slots__ = ("native",)

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.native = headers

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.native)

    def add(self, name: str, value: str, /) -> None:
        self.native.append((name, value))

    def set(self, name: str, value: str, /) -> None:
        wanted = name.lower()
        self.native[:] = [pair for pair in self.native if pair[0].lower() != wanted]
        self.native.append((name, value))


class ASGIHeaders:
    """`ResponseHeaders` over the header list of an ASGI message."""

    __slots__ = ("native",)

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.native = headers

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.native]
        )

    def add(self, name: str, value: str, /) -> None:
        self.native.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def set(self, name: str, value: str, /) -> None:
        wanted = name.lower().encode("latin-1")
        self.native[:] = [pair for pair in self.native if pair[0].lower() != wanted]
        self.native.append((wanted, value.encode("latin-1")))


class PlainRequest:
    """A `Request` from plain values: for programs without a web, and for tests of States."""

    __slots__ = ("client", "headers", "method", "native", "path", "scheme")

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        scheme: str = "http",
        method: str = "GET",
        path: str = "/",
        client: str | None = "127.0.0.1",
    ) -> None:
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.scheme, self.method, self.path, self.client = scheme, method, path, client
        self.native: MutableMapping[str, Any] = {}

    def header(self, name: str, /) -> list[str]:
        value = self.headers.get(name)
        return [] if value is None else [value]
