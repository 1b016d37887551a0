"""The pages that may open a WebSocket: `websocket_origins=["https://app.example.org"]`.

A browser lets any page open a WebSocket to any site, and no rule of CORS stands in between; it only
says, in `Origin`, which page that was (RFC 6454, RFC 6455, 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from coatcheck import checks
from coatcheck.request import Request

SAME: Final = "same"
MISSING: Final = "missing"
ANY: Final = "any"
_WORDS: Final = frozenset({SAME, MISSING, ANY, "null"})

_PLACE: Final = r"[a-z0-9._~:\[\]-]+"
_origin: Final = re.compile(rf"[a-z][a-z0-9+.-]*://{_PLACE}").fullmatch
_of_web: Final = re.compile(rf"(https?)://({_PLACE})").fullmatch
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
LONGEST_SHOWN: Final = 200
"""Characters of a header that an event repeats at most."""


def origins(name: str, value: Any) -> tuple[str, ...]:
    """Return a list of origins as a tuple, in the spelling of browsers.

    Raises `ConfigurationError` for what no browser sends, such as a path behind the host.
    """
    entries = checks.listed(name, value, "['https://app.example.org', 'same']")
    return tuple(_entry(f"{name}[{number}]", entry) for number, entry in enumerate(entries))


def _entry(name: str, entry: object) -> str:
    spelled = entry.lower() if isinstance(entry, str) and entry.isascii() else ""
    if entry in _WORDS:
        return spelled
    if not _origin(spelled):
        raise checks.wrong(
            name,
            "an origin as browsers send it, such as 'https://app.example.org', without a path, a"
            " pattern or a slash at its end, or 'same', 'missing', 'null' or 'any'",
            entry,
        )
    found = _of_web(spelled)
    # Browsers leave the default port out (RFC 6454, 6.1).
    return spelled.removesuffix(_DEFAULT_PORTS[found[1]]) if found else spelled


class OriginTest:
    """Says whether the page that a handshake comes from is one of those allowed."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(allowed)

    @property
    def is_needed(self) -> bool:
        """Whether anything can be refused."""
        return ANY not in self._allowed

    def __call__(self, request: Request) -> bool:
        values = request.header("origin")
        if len(values) != 1:
            # No browser leaves it out; one that sends two is none.
            return not values and MISSING in self._allowed
        origin = values[0]
        return origin in self._allowed - {SAME, MISSING} or (
            SAME in self._allowed and is_same(origin, request)
        )


def is_same(origin: str, request: Request) -> bool:
    """Say whether an origin is that of the request's own `Host`.

    A page that came by https may talk to what calls itself plain http, for that is how a server
    looks to itself behind a proxy that ends TLS. The other way round is an attack on the network.
    """
    hosts, found = request.header("host"), _of_web(origin.lower())
    if len(hosts) != 1 or not found:
        return False
    scheme, place = found.groups()
    if scheme == "http" and request.scheme in ("https", "wss"):
        return False
    port = _DEFAULT_PORTS[scheme]
    return place.removesuffix(port) == hosts[0].lower().removesuffix(port)


def shown(request: Request, name: str) -> str:
    """Return what a request says in a header, in a length that is fit for a log."""
    return ", ".join(request.header(name))[:LONGEST_SHOWN]
