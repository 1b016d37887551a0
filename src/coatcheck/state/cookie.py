"""The session ID in a cookie: what browsers do by themselves, and the default."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any, Final

from coatcheck.cookies import CookieTemplate, read_cookies
from coatcheck.errors import ConfigurationError
from coatcheck.ids import ID_LENGTH, has_form_of_id
from coatcheck.request import Request, ResponseHeaders
from coatcheck.state.candidates import collect

logger = logging.getLogger("coatcheck")

OPTIONS: Final = (
    "domain",
    "httponly",
    "max_age",
    "partitioned",
    "path",
    "samesite",
    "secure",
)

_MOST_EXAMINED: Final = 256
_SECURE_IS_OFF: Final = (
    "the session cookie %r is sent without Secure, so that anybody on the way can take over the"
    " session: serve https and leave the option secure at 'auto'"
)
_SERVER_SAYS_HTTP: Final = (
    "the session cookie %r is sent without Secure, because the server says that the request came by"
    " plain http. If a proxy ends TLS, let the server trust its X-Forwarded-Proto: Werkzeug's"
    " ProxyFix(app.wsgi_app, x_proto=1), uvicorn --proxy-headers --forwarded-allow-ips=ADDRESS, or"
    " gunicorn --forwarded-allow-ips=ADDRESS (forwarded_allow_ips in its settings file). Or set the"
    " cookie option secure=True"
)
_RIVAL: Final = (
    "an application further in has sent a session of its own in the cookie %r, which goes to the"
    " client in the place of this one: let it find the session around it, by the environ or scope"
    " that it is given (the ASGI scope belongs under 'asgi.scope', as a2wsgi has it), or name one"
    " of the two cookies otherwise"
)
_SECURE_SCHEMES: Final = frozenset({"https", "wss"})


class _Everybody:
    """A set that has everybody in it."""

    def __contains__(self, client: object) -> bool:
        return True


class CookieState:
    """Reads the ID from a cookie, and sets and deletes it: the default State.

    `options` are merged into the defaults, and a false value turns one off: `httponly` (True),
    `path` (`"/"`), `samesite` (`"Lax"`), `secure` (`"auto"`: as the request came), `domain` (None:
    this host only), `partitioned` (False), `max_age` (`"auto"`: what is left of the session's
    lifetime; None: until the browser closes). `CookieTemplate` says what each may be. `expire`, in
    seconds or as a timedelta, sets Max-Age by hand.

    A name that begins with `__Host-` is the safest choice where the site is all https: browsers
    then let no other host and no plain http set the cookie. Raises `ConfigurationError` for an
    option that is unknown or that browsers would refuse.

    The first cookie without Secure that goes to a client that is not local is told to the
    `coatcheck` logger: mostly a proxy ends TLS and the server does not know.
    """

    __slots__ = ("_cookie", "_examined", "_lone", "_name")

    vary: Sequence[str] = ("Cookie",)
    sends = True

    def __init__(
        self,
        name: str = "session",
        *,
        expire: int | timedelta | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        chosen = dict(options or {})
        for option in chosen:
            if option not in OPTIONS:
                raise ConfigurationError(_unknown(option))
        if expire is not None and chosen.setdefault("max_age", expire) is not expire:
            raise ConfigurationError("expire and the option max_age are the same: give one of them")
        self._cookie = CookieTemplate(name, value_size=ID_LENGTH, **chosen)
        self._name = name
        # Most clients send the one cookie, well formed, perhaps among others: one look is enough
        # where the name stands nowhere else. Whatever this does not fit is read the careful way.
        other = rf"(?:(?!{re.escape(name)})[^;= \t]+=[^;]*; )*"
        more = rf"(?:; (?!{re.escape(name)})[^;= \t]+=[^;]*)*"
        self._lone = re.compile(
            rf"{other}{re.escape(name)}=([A-Za-z0-9_-]{{{ID_LENGTH}}}){more}"
        ).fullmatch
        # Clients (or proxies) that need no look, or no second one, at how the cookie travels.
        self._examined: set[str | None] | _Everybody = set()
        if self._cookie.is_secure(https=False):
            self._examined = _Everybody()

    @property
    def name(self) -> str:
        """The cookie's name."""
        return self._name

    def extract(self, request: Request, /) -> str | Sequence[str] | None:
        """Return the values in the form of an ID, distinct and in order, at most nine.

        A request may have several Cookie headers (HTTP/2 splits them, RFC 9113, 8.2.3).
        """
        lines = request.header("cookie")
        if not lines:
            return None
        if len(lines) == 1:
            if self._name not in lines[0]:
                return None
            if lone := self._lone(lines[0]):
                return lone[1]
        values = read_cookies(lines[0], self._name)
        # Nearly every request has one header with one such cookie, or none.
        if len(lines) == 1 and len(values) < 2:
            return values[0] if values and has_form_of_id(values[0]) else None
        found = collect([], values)
        for line in lines[1:]:
            collect(found, read_cookies(line, self._name))
        return found

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        """Set the cookie; `max_age` counts unless the option of that name is set."""
        https = request.scheme in _SECURE_SCHEMES
        if request.client not in self._examined and not self._cookie.is_secure(https=https):
            self._examine(request)
        self._send(headers, self._cookie.set(session_id, max_age=max_age, https=https))

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Delete the cookie, with the same attributes that it was set with."""
        https = request.scheme in _SECURE_SCHEMES
        self._send(headers, self._cookie.delete(https=https))

    def _send(self, headers: ResponseHeaders, cookie: str) -> None:
        """Add the cookie, in the place of any other of its name (RFC 6265bis, 4.1.1)."""
        head = f"{self._name}="
        others = [
            value for name, value in headers if len(name) == 10 and name.lower() == "set-cookie"
        ]
        rivals = [value for value in others if value.startswith(head)] if others else ()
        if not rivals:
            headers.add("Set-Cookie", cookie)
        elif any(has_form_of_id(rival[len(head) :].partition(";")[0]) for rival in rivals):
            logger.warning(_RIVAL, self._name)
        else:
            headers.set("Set-Cookie", cookie)
            for value in others:
                if value not in rivals:
                    headers.add("Set-Cookie", value)

    def _examine(self, request: Request) -> None:
        """Look, once for each of a few hundred peers, whether the cookie goes out in the open."""
        client = request.client
        if self._cookie.secure is False:
            exposed, remedy = not _is_local(client), _SECURE_IS_OFF
        else:
            exposed, remedy = not _is_local(client) or _claims_https(request), _SERVER_SAYS_HTTP
        if exposed:
            logger.warning(remedy, self._name)
            self._examined = _Everybody()
        elif isinstance(self._examined, set):
            if len(self._examined) >= _MOST_EXAMINED:
                self._examined.clear()
            self._examined.add(client)

    def __repr__(self) -> str:
        return f"CookieState({self._name!r})"


def _unknown(option: object) -> str:
    near = get_close_matches(str(option).lower().replace("_", ""), OPTIONS, n=1)
    return (
        f"unknown cookie option {option!r:.80}"
        + (f" (did you mean {near[0]!r}?)" if near else "")
        + f": the options are {', '.join(OPTIONS)}"
    )


def _is_local(client: str | None) -> bool:
    """Say whether the client is on this machine; unix sockets and test clients have no address."""
    if not client:
        return True
    try:
        address = ip_address(client)
    except ValueError:
        return True
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _claims_https(request: Request) -> bool:
    """Say whether a proxy says that the client came by https: a reason to warn, no more."""
    return any(
        value[:5].lower() == "https" for value in request.header("x-forwarded-proto")
    ) or any("proto=https" in value.lower() for value in request.header("forwarded"))
