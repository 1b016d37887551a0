"""How a session travels that is all in its cookie: as an ID does, but that it is long."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coatcheck.cookies import MAX_AGE_LIMIT, PAIR_LIMIT, read_cookies
from coatcheck.request import Request
from coatcheck.state.candidates import MOST_CANDIDATES
from coatcheck.state.cookie import CookieState

_SHORTEST: Final = 128
_matches_form: Final = re.compile(rf"[A-Za-z0-9_-]{{{_SHORTEST},{PAIR_LIMIT}}}").fullmatch


def has_form(text: str) -> bool:
    """Say whether a text looks like a sealed record, which no signed ID does."""
    return _SHORTEST <= len(text) <= PAIR_LIMIT and _matches_form(text) is not None


class SealedCookieState(CookieState):
    """Reads sealed records from a cookie, and sets and deletes it as `CookieState` does."""

    __slots__ = ()

    def __init__(self, name: str, *, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, options=options)

    @property
    def room(self) -> int:
        """How many characters a value may have.

        Older browsers count the attributes too (RFC 6265, 6.1), the newest name and value alone.
        """
        return PAIR_LIMIT - len(self._cookie.set("", max_age=MAX_AGE_LIMIT, https=True))

    def extract(self, request: Request, /) -> Sequence[str]:
        """Return the values that look like a sealed record, distinct and in order, at most nine."""
        found: list[str] = []
        for line in request.header("cookie"):
            for value in read_cookies(line, self._name):
                if has_form(value) and value not in found:
                    found.append(value)
                    if len(found) > MOST_CANDIDATES:
                        return found
        return found

    def __repr__(self) -> str:
        return f"SealedCookieState({self._name!r})"
