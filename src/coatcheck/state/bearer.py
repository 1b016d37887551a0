"""The session ID as an opaque bearer token (RFC 6750), for clients that are no browsers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coatcheck.ids import has_form_of_id
from coatcheck.request import Request, ResponseHeaders

_SCHEME: Final = "bearer "


class BearerState:
    """Reads the ID from `Authorization: Bearer <ID>`.

    The scheme may be in any case (RFC 9110, 11.1); then come exactly one space and one ID, and
    nothing else. Anything else, and a header sent twice, is none. Give the client its ID in a body
    (`session.id`): `inject` and `clear` do nothing.
    """

    __slots__ = ()

    vary: Sequence[str] = ("Authorization",)
    sends = False

    def extract(self, request: Request, /) -> str | None:
        """Return the ID if there is exactly one header and it has one."""
        values = request.header("authorization")
        if len(values) != 1:
            return None
        value = values[0]
        size = len(_SCHEME)
        if value[:size].lower() != _SCHEME:
            return None
        token = value[size:]
        return token if has_form_of_id(token) else None

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
        """Do nothing: no response may echo a credential."""

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Do nothing: only the client can drop what it keeps."""

    def __repr__(self) -> str:
        return "BearerState()"
