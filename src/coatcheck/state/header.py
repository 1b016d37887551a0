"""The session ID in a request header that the client itself fills in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

from coatcheck.errors import ConfigurationError
from coatcheck.ids import has_form_of_id
from coatcheck.request import Request, ResponseHeaders

# Without the underscore, which is legal in HTTP.
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")


class HeaderState:
    """Reads the ID from the header `header_name`; how the client comes by it is its own affair.

    `pattern`, a regular expression, is searched for in the header's value; its first group, or all
    that it matched where it has none, is the ID. Without it the whole value is. A header sent twice
    counts as none.

    Raises `ConfigurationError` for a missing or malformed `header_name` or `pattern`. A name with
    an underscore is refused: in WSGI `X_Session` and `X-Session` are one header, so a proxy that
    guards one may let the other pass (CVE-2015-0219). For the same reason the server has to drop
    headers with underscores, as gunicorn, waitress, Werkzeug and nginx do unless told otherwise.
    """

    __slots__ = ("_name", "_pattern", "vary")

    vary: Sequence[str]
    sends = False

    def __init__(
        self, header_name: str | None = None, pattern: str | re.Pattern[str] | None = None
    ) -> None:
        if not header_name:
            raise ConfigurationError("header_name is required: HeaderState('X-Session-ID')")
        if not _HEADER_NAME.fullmatch(header_name):
            raise ConfigurationError(
                f"header_name {header_name!r:.80} is not the name of a header: use letters, digits"
                " and dashes, no underscores"
            )
        self.vary = (header_name,)
        self._name = header_name.lower()
        self._pattern = None if pattern is None else _compiled(pattern)

    def extract(self, request: Request, /) -> str | None:
        """Return the ID if exactly one header of that name has one."""
        values = request.header(self._name)
        if len(values) != 1:
            return None
        value: str | None = values[0].strip(" \t")
        if self._pattern is not None:
            match = self._pattern.search(values[0])
            value = match and match[1 if self._pattern.groups else 0]
        return value if value is not None and has_form_of_id(value) else None

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
        """Do nothing: the client fills in the header, and no response may echo a credential."""

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Do nothing: only the client can drop what it keeps."""

    def __repr__(self) -> str:
        return f"HeaderState({self.vary[0]!r})"


def _compiled(pattern: object) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern) if isinstance(pattern, str) else pattern
    except re.error as error:
        raise ConfigurationError(f"pattern {pattern!r:.80} does not compile: {error}") from error
    searched = cast("re.Pattern[Any]", compiled)
    if isinstance(compiled, re.Pattern) and isinstance(searched.pattern, str):
        return searched
    raise ConfigurationError(f"pattern {pattern!r:.80} must be a str or a compiled str pattern")
