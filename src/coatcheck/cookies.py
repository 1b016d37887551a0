"""Strict cookie reading and writing (RFC 6265bis), without any framework.

Reading takes a value only under exactly its name and changes nothing in it: no unquoting, no
percent-decoding, no `$Version`, and only space and tab are trimmed. More generous parsers can be
made to read one cookie for another (CVE-2023-23934, "cookie sandwich") or to take minutes
(CVE-2024-7592). Writing validates every part once, at construction, against header injection
(CVE-2024-47764) and against combinations that browsers drop without a word.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from coatcheck.errors import ConfigurationError

MAX_AGE_LIMIT: Final = 400 * 86400
"""Seconds for which browsers keep a cookie at most (RFC 6265bis, 5.5)."""
PAIR_LIMIT: Final = 4096
"""Octets that name and value may have together; browsers drop a larger cookie (5.6)."""
ATTRIBUTE_LIMIT: Final = 1024
"""Octets that the value of one attribute may have."""

Secure: TypeAlias = bool | Literal["auto"]
MaxAge: TypeAlias = int | Literal["auto"] | None
SameSite: TypeAlias = Literal["Strict", "Lax", "None"]

_BLANKS: Final = " \t"
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
_PATH: Final = re.compile(r"/[!#-+\--:<-\[\]-~]*")
# The last label begins with a letter, so an IP address is no domain.
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?")
_LONGEST_DOMAIN: Final = 253
# The longer prefix comes first, because the shorter one is the beginning of it.
_PREFIXES: Final = ("__Host-Http-", "__Host-", "__Http-", "__Secure-")
_SAMESITE: Final[dict[str, SameSite]] = {"strict": "Strict", "lax": "Lax", "none": "None"}
_EPOCH: Final = "Thu, 01 Jan 1970 00:00:00 GMT"


def read_cookies(header: str, name: str, /) -> list[str]:
    """Return the values of all cookies of exactly that name in one Cookie header, in order.

    Only `;` separates cookies: a comma may be part of a value, and whoever controls that value must
    not be able to make up a cookie. Never raises for any string; linear in the header's length.
    """
    values: list[str] = []
    if not name:
        return values
    size = len(name)
    at = header.find(name)
    while at >= 0:
        equals = at + size
        if header[equals : equals + 1] != "=" or (at and header[at - 2 : at] != "; "):
            equals = _equals_sign(header, at, equals)
            if equals < 0:
                at = header.find(name, at + size)
                continue
        end = header.find(";", equals)
        if end < 0:
            values.append(header[equals + 1 :].strip(_BLANKS))
            break
        values.append(header[equals + 1 : end].strip(_BLANKS))
        at = header.find(name, end)
    return values


def _equals_sign(header: str, at: int, after: int) -> int:
    """Return the place of the `=` if `header[at:after]` is the whole name of a cookie, else -1."""
    before = at - 1
    while before >= 0 and header[before] in _BLANKS:
        before -= 1
    if before >= 0 and header[before] != ";":
        return -1
    length = len(header)
    while after < length and header[after] in _BLANKS:
        after += 1
    return after if after < length and header[after] == "=" else -1


class CookieTemplate:
    """A cookie of which only the value is open: everything else is validated once, here.

    A false value turns an option off. Raises `ConfigurationError`, naming the remedy, for whatever
    browsers would refuse or misread.

    `path`: without it the browser takes the folder of the URL that it happened to ask for.
    `domain`: `None` is the safest, the cookie then goes to this very host alone.
    `secure`: `"auto"` follows the scheme of the request.
    `samesite`: `"Strict"`, `"Lax"` or `"None"`; `"auto"` is Lax, or None for a partitioned cookie.
    `max_age`: seconds or a timedelta; `"auto"` is what each call says; off, the cookie lasts until
    the browser closes, whatever a call says.
    `value_size`: octets that the name must leave free for the value.

    SameSite=None, Partitioned and the prefixes `__Host-`, `__Secure-`, `__Http-` and
    `__Host-Http-` need Secure, and turn `"auto"` into it.
    """

    __slots__ = ("_deletion", "_head", "_max_age", "_tail", "name", "secure")

    name: str
    secure: Secure
    _max_age: MaxAge

    def __init__(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: Secure | None = "auto",
        httponly: bool | None = True,
        samesite: str | None = "auto",
        partitioned: bool | None = False,
        max_age: int | timedelta | Literal["auto"] | None = "auto",
        value_size: int = 0,
    ) -> None:
        prefix = _check_name(name, value_size)
        path = _check_path(path)
        domain = _check_domain(domain)
        http_only = _check_switch("httponly", httponly)
        in_partition = _check_switch("partitioned", partitioned)
        same_site = _check_samesite(samesite, in_partition)
        needs_secure = prefix
        if not prefix and (in_partition or same_site == "None"):
            needs_secure = "partitioned" if in_partition else "samesite='None'"
        self.name = name
        self.secure = _check_secure(secure, needs_secure)
        self._max_age = _check_max_age(max_age)
        if prefix and "Host" in prefix and (path != "/" or domain):
            raise ConfigurationError(
                f"a {prefix} cookie has path='/' and no domain: leave both out"
            )
        if prefix and "Http" in prefix and not http_only:
            raise ConfigurationError(f"a {prefix} cookie is always httponly: leave httponly out")
        self._head = f"{name}="
        self._tail = "".join(
            (
                f"; Path={path}" if path else "",
                f"; Domain={domain}" if domain else "",
                "; HttpOnly" if http_only else "",
                f"; SameSite={same_site}" if same_site else "",
                "; Partitioned" if in_partition else "",
            )
        )
        self._deletion = f"{self._head}{self._tail}; Max-Age=0; Expires={_EPOCH}"

    def set(self, value: str, /, *, max_age: int | None, https: bool) -> str:
        """Return the value of a `Set-Cookie` header.

        `max_age` is in seconds, at most 400 days of them count; `None` is a cookie that lasts until
        the browser closes. `https` says how the request came. Raises `ValueError` if the value is
        no cookie value or too long for browsers; the message does not repeat it.
        """
        if not _VALUE.fullmatch(value):
            raise ValueError("a cookie value is made of visible ASCII without , ; \\ and quotes")
        if len(self.name) + len(value) > PAIR_LIMIT:
            raise ValueError(
                f"name and value of a cookie have at most {PAIR_LIMIT} octets together"
            )
        if self._max_age != "auto":
            max_age = self._max_age
        return self._head + value + _attributes(self._tail, max_age, self.is_secure(https=https))

    def delete(self, *, https: bool) -> str:
        """Return the value of the `Set-Cookie` header that makes the browser drop the cookie.

        It repeats every attribute: browsers refuse to let a lesser cookie replace a better one.
        """
        return f"{self._deletion}; Secure" if self.is_secure(https=https) else self._deletion

    def is_secure(self, *, https: bool) -> bool:
        """Say whether the cookie is sent with Secure where the request came so."""
        return self.secure is True or (https and self.secure == "auto")

    def __repr__(self) -> str:
        return f"<CookieTemplate {self._head}...{self._tail}>"


@lru_cache(maxsize=256, typed=True)
def _attributes(tail: str, max_age: int | None, secure: bool) -> str:
    """Return what follows the value; new sessions nearly all live equally long."""
    age = "" if max_age is None else f"; Max-Age={min(max_age, MAX_AGE_LIMIT):d}"
    return f"{tail}{age}; Secure" if secure else tail + age


def _check_name(name: object, value_size: int) -> str | None:
    """Return the name's prefix, if it has one."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"cookie name {name!r:.80} must be one or more of A-Z a-z 0-9 and !#$%&'*+-.^_`|~"
        )
    if len(name) + value_size > PAIR_LIMIT:
        raise ConfigurationError(
            f"the cookie name has {len(name)} characters: choose a shorter one"
        )
    for prefix in _PREFIXES:
        if name.lower().startswith(prefix.lower()):
            # Servers that fold case would take it for the name that browsers protect.
            if not name.startswith(prefix):
                raise ConfigurationError(f"cookie name {name!r:.80}: spell the prefix {prefix}")
            return prefix
    return None


def _check_text(option: str, value: object) -> str | None:
    if not value:
        return None
    if isinstance(value, str):
        return value
    raise ConfigurationError(f"cookie option {option} must be a string or off, not {value!r:.80}")


def _check_path(value: object) -> str | None:
    path = _check_text("path", value)
    if path and (not _PATH.fullmatch(path) or len(path) > ATTRIBUTE_LIMIT):
        raise ConfigurationError(
            f"cookie path {path!r:.80} must begin with / and be visible ASCII without , ; \\ and"
            f" quotes, at most {ATTRIBUTE_LIMIT} characters: percent-encode the rest"
        )
    return path


def _check_domain(value: object) -> str | None:
    domain = _check_text("domain", value)
    if domain and (not _DOMAIN.fullmatch(domain) or len(domain) > _LONGEST_DOMAIN):
        raise ConfigurationError(
            f"cookie domain {domain!r:.80} must be a name such as example.org, without leading dot,"
            " port or address: leave domain out to send the cookie to this host alone"
        )
    return domain and domain.lower()


def _check_switch(option: str, value: object) -> bool:
    if not value:
        return False
    # Text from a settings file would be true whatever it says.
    if value is True or value == 1:
        return True
    also = ", or 'auto'" if option == "secure" else ""
    raise ConfigurationError(
        f"cookie option {option} must be True or False{also}, not {value!r:.80}"
    )


def _check_samesite(value: object, in_partition: bool) -> SameSite | None:
    samesite = _check_text("samesite", value)
    if samesite is None:
        return "None" if in_partition else None
    if samesite == "auto":
        return "None" if in_partition else "Lax"
    known = _SAMESITE.get(samesite.lower())
    if known is None:
        raise ConfigurationError(
            f"cookie option samesite must be 'Strict', 'Lax', 'None' or off, not {samesite!r:.80}"
        )
    if in_partition and known != "None":
        raise ConfigurationError(
            f"a partitioned cookie is for embedding, which samesite={known!r} forbids:"
            " leave samesite out"
        )
    return known


def _check_secure(value: object, needed_for: str | None) -> Secure:
    if value == "auto":
        return True if needed_for else "auto"
    if _check_switch("secure", value):
        return True
    if needed_for:
        raise ConfigurationError(
            f"browsers refuse a cookie with {needed_for} that is not Secure: leave secure out"
        )
    return False


def _check_max_age(value: object) -> MaxAge:
    if value == "auto":
        return "auto"
    if not value:
        return None
    seconds = int(value.total_seconds()) if isinstance(value, timedelta) else value
    if isinstance(seconds, int) and seconds is not True and 1 <= seconds <= MAX_AGE_LIMIT:
        return seconds
    raise ConfigurationError(
        f"cookie option max_age must be 1 to {MAX_AGE_LIMIT} seconds (400 days), 'auto', or"
        f" None for a cookie that lasts until the browser closes, not {value!r:.80}"
    )
