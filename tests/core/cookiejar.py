"""A browser's cookie jar after RFC 6265bis, written from the RFC alone: the oracle for cookies.

`parse` is stricter than a browser: it takes only what the grammar for servers (4.1.1) allows, so
whatever we send must be well-formed, and not merely understood. The jar then follows the storage
model (5.7) and the retrieval (5.8), with the rules for `Partitioned` (CHIPS) and for the prefixes.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from datetime import UTC, datetime

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
_VISIBLE = frozenset(chr(code) for code in range(0x21, 0x7F))
_COOKIE_OCTET = _VISIBLE - frozenset('",;\\')
_AV_OCTET = (_VISIBLE | {" "}) - {";"}
_KNOWN = {"path", "domain", "httponly", "samesite", "partitioned", "max-age", "expires", "secure"}
_FLAGS = {"httponly", "partitioned", "secure"}
_LONGEST_AGE = 34_560_000


@dataclass(frozen=True)
class Parsed:
    """One well-formed `Set-Cookie` value."""

    name: str
    value: str
    attributes: dict[str, str | None]


def parse(text: str) -> Parsed:
    """Return name, value and attributes (names in lower case); raise `ValueError` if malformed."""
    pair, *parts = text.split("; ")
    name, equals, value = pair.partition("=")
    if not equals or not name or not set(name) <= _TOKEN or not set(value) <= _COOKIE_OCTET:
        raise ValueError(f"malformed pair in {text!r}")
    if len(name) + len(value) > 4096:
        raise ValueError("name and value are too long")
    attributes: dict[str, str | None] = {}
    for part in parts:
        attribute, equals, setting = part.partition("=")
        key = attribute.lower()
        if key not in _KNOWN or key in attributes:
            raise ValueError(f"unknown or repeated attribute {attribute!r} in {text!r}")
        if bool(equals) == (key in _FLAGS) or (equals and not setting):
            raise ValueError(f"attribute {attribute!r} must be a flag or have a value: {text!r}")
        if not set(setting) <= _AV_OCTET or len(setting) > 1024:
            raise ValueError(f"malformed or too long attribute {attribute!r} in {text!r}")
        attributes[key] = setting if equals else None
    age = attributes.get("max-age")
    if age is not None and not (
        age == "0" or (age[0] in "123456789" and set(age) <= set("0123456789"))
    ):
        raise ValueError(f"malformed Max-Age in {text!r}")
    return Parsed(name, value, attributes)


@dataclass(frozen=True)
class Page:
    """Where a request goes: what decides which cookies may be set and sent."""

    host: str = "www.example.org"
    path: str = "/"
    https: bool = True

    @property
    def default_path(self) -> str:
        """The folder of the URL (5.1.4)."""
        return self.path[: self.path.rindex("/")] or "/"


@dataclass
class Cookie:
    """One cookie in the jar."""

    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    http_only: bool
    same_site: str
    partitioned: bool
    expires: float | None


@dataclass
class Jar:
    """The cookies of one browser; `now` is in seconds since the epoch."""

    now: float = 1_800_000_000.0
    cookies: list[Cookie] = field(default_factory=list[Cookie])

    def receive(self, text: str, page: Page) -> bool:
        """Process one `Set-Cookie` value; say whether it was accepted."""
        parsed = parse(text)
        cookie = self._cookie(parsed, page)
        if cookie is None:
            return False
        if not cookie.secure and not page.https and self._overlays_secure(cookie):
            return False
        self.cookies = [other for other in self.cookies if _identity(other) != _identity(cookie)]
        if cookie.expires is None or cookie.expires > self.now:
            self.cookies.append(cookie)
        return True

    def header(self, page: Page) -> str:
        """Return the Cookie header for a request to that page, `""` if there is none."""
        chosen = [cookie for cookie in self.cookies if self._goes_to(cookie, page)]
        chosen.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in chosen)

    def _goes_to(self, cookie: Cookie, page: Page) -> bool:
        if cookie.expires is not None and cookie.expires <= self.now:
            return False
        same = page.host == cookie.domain
        domain = same if cookie.host_only else _domain_matches(page.host, cookie.domain)
        return (
            domain and _path_matches(page.path, cookie.path) and (page.https or not cookie.secure)
        )

    def _cookie(self, parsed: Parsed, page: Page) -> Cookie | None:
        attributes = parsed.attributes
        domain = (attributes.get("domain") or "").lower()
        path = attributes.get("path")
        cookie = Cookie(
            parsed.name,
            parsed.value,
            domain or page.host,
            not domain,
            path if path and path.startswith("/") else page.default_path,
            "secure" in attributes,
            "httponly" in attributes,
            (attributes.get("samesite") or "default").lower(),
            "partitioned" in attributes,
            self._expiry(attributes),
        )
        refused = (
            (domain and not _domain_matches(page.host, domain))
            or (cookie.secure and not page.https)
            or (cookie.same_site == "none" and not cookie.secure)
            or (cookie.partitioned and not cookie.secure)
            or not _prefix_allows(cookie, path)
        )
        return None if refused else cookie

    def _expiry(self, attributes: dict[str, str | None]) -> float | None:
        age = attributes.get("max-age")
        if age is not None:
            return self.now + min(int(age), _LONGEST_AGE) if int(age) > 0 else float("-inf")
        date = attributes.get("expires")
        if date is None:
            return None
        read = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        return min(read.timestamp(), self.now + _LONGEST_AGE)

    def _overlays_secure(self, cookie: Cookie) -> bool:
        return any(
            other.secure
            and other.name == cookie.name
            and (
                _domain_matches(other.domain, cookie.domain)
                or _domain_matches(cookie.domain, other.domain)
            )
            and _path_matches(cookie.path, other.path)
            for other in self.cookies
        )


def _identity(cookie: Cookie) -> tuple[object, ...]:
    return cookie.name, cookie.domain, cookie.host_only, cookie.path, cookie.partitioned


def _domain_matches(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _path_matches(request_path: str, path: str) -> bool:
    if request_path == path:
        return True
    return request_path.startswith(path) and (path[-1] == "/" or request_path[len(path)] == "/")


def _prefix_allows(cookie: Cookie, path: str | None) -> bool:
    name = cookie.name.lower()
    whole_host = cookie.secure and cookie.host_only and path == "/"
    if name.startswith("__host-http-"):
        return whole_host and cookie.http_only
    if name.startswith("__host-"):
        return whole_host
    if name.startswith("__http-"):
        return cookie.secure and cookie.http_only
    return cookie.secure or not name.startswith("__secure-")
